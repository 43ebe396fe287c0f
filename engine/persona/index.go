package persona

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
)

// Width is the width of the vectors of readings.
const Width = 256

// Index finds examples by exact search over their vectors and words. It is immutable and safe for concurrent use.
type Index struct {
	examples []engine.StoredExample
	response []float32 // [n, Width]
	line     []float32 // [n, Width]
	voice    []float32 // [n, Width]
	words    []bag     // of the line each example answered
	idf      map[string]float64
	of       map[string][]int // rows by persona
	borrow   []int
	centres  map[string][]float32
}

// bag is a sparse unit vector of weighted words.
type bag map[string]float64

// NewIndex builds an index over examples whose vectors are Width wide; others are left out.
func NewIndex(examples []engine.StoredExample) *Index {
	x := &Index{of: map[string][]int{}, centres: map[string][]float32{}, idf: map[string]float64{}}
	for _, e := range examples {
		if len(e.Response) == Width && len(e.Voice) == Width && len(e.Line) == Width {
			x.examples = append(x.examples, e)
		}
	}
	n := len(x.examples)
	x.response, x.line, x.voice = make([]float32, 0, n*Width), make([]float32, 0, n*Width), make([]float32, 0, n*Width)
	for i := range x.examples {
		e := &x.examples[i]
		x.response, x.line, x.voice = append(x.response, e.Response...), append(x.line, e.Line...), append(x.voice, e.Voice...)
		e.Response, e.Line, e.Voice = x.response[i*Width:(i+1)*Width], x.line[i*Width:(i+1)*Width], x.voice[i*Width:(i+1)*Width]
		x.of[e.Persona] = append(x.of[e.Persona], i)
		if e.Borrow {
			x.borrow = append(x.borrow, i)
		}
		for w := range wordSet(e.You) {
			x.idf[w]++
		}
	}
	for w, df := range x.idf {
		x.idf[w] = math.Log(1 + float64(n)/df)
	}
	x.words = make([]bag, n)
	for i := range x.examples {
		x.words[i] = x.bag(x.examples[i].You)
	}
	for id, rows := range x.of {
		c := make([]float32, Width)
		for _, i := range rows {
			for j, v := range x.examples[i].Voice {
				c[j] += v
			}
		}
		x.centres[id] = normalise(c)
	}
	return x
}

// Len is the number of examples.
func (x *Index) Len() int { return len(x.examples) }

// Weights of the ways an example can be near; chosen by reading what was found for the common lines.
const (
	byReply  = 0.9  // reply head · response head
	byLine   = 0.7  // line head · line head
	byWords  = 1.0  // tf-idf cosine of the player's words and the words answered
	byPlace  = 0.15 // it belongs to this scene
	byVoice  = 0.6  // borrowed lines: likeness of voice
	byManner = 0.4  // demonstrations: likeness of voice
	lineFar  = 0.25 // cosine of the line head at which two lines have nothing in common
)

// Retrieve returns up to m examples near the query, best first, one per text.
func (x *Index) Retrieve(ctx context.Context, q engine.Query, m int) ([]engine.Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := len(x.examples)
	if n == 0 || m <= 0 {
		return nil, nil
	}
	reply, line, voice := x.scan(x.response, q.Want), x.scan(x.line, q.Line), x.scan(x.voice, q.Voice)
	words := x.bag(q.Text)
	like := func(i int) float64 { return cosine(words, x.words[i]) }
	answers := func(i int) float64 { return min(1, max(0, like(i), (at(line, i)-lineFar)/(1-lineFar))) }
	score := func(i int) float64 {
		return byReply*at(reply, i) + byLine*at(line, i) + byWords*like(i)
	}
	var found []engine.Found
	add := func(i int, s float64) {
		if !q.Used[engine.Fold(x.examples[i].Says)] {
			found = append(found, engine.Found{StoredExample: &x.examples[i], Score: s, Answers: answers(i)})
		}
	}
	for id, w := range q.Personas {
		for _, i := range x.of[id] {
			e := &x.examples[i]
			if e.Place != "" && e.Place != q.Place {
				continue
			}
			s := score(i) + 0.2*math.Log(max(w, 1e-3))
			if e.Place != "" {
				s += byPlace
			}
			add(i, s)
		}
	}
	if q.Borrow {
		for _, i := range x.borrow {
			if _, own := q.Personas[x.examples[i].Persona]; !own {
				add(i, score(i)+byVoice*at(voice, i))
			}
		}
	}
	slices.SortStableFunc(found, func(a, b engine.Found) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return strings.Compare(a.Says, b.Says)
	})
	seen := map[string]bool{}
	out := found[:0]
	for _, f := range found {
		if len(out) == m {
			break
		}
		if key := engine.Fold(f.Says); !seen[key] {
			seen[key] = true
			out = append(out, f)
		}
	}
	return out, nil
}

// shownWords is the most words of an exchange's line, and of its answer, that is shown to the decoder.
const shownWords = 30

// Demonstrate returns up to m exchanges near the query in topic and manner, one per text: lines of the query's personas, and of others
// those free of names and facts, for a small decoder says what it is shown. Other scenes' lines and lines already said are left out.
func (x *Index) Demonstrate(ctx context.Context, q engine.Query, m int) ([]engine.Exchange, error) {
	if err := ctx.Err(); err != nil || m <= 0 || q.Text == "" {
		return nil, err
	}
	line, voice := x.scan(x.line, q.Line), x.scan(x.voice, q.Voice)
	words := x.bag(q.Text)
	type near struct {
		i int
		s float64
	}
	var best []near // the m nearest so far, one per text
	for i := range x.examples {
		e := &x.examples[i]
		s := byLine*at(line, i) + byWords*cosine(words, x.words[i]) + byManner*at(voice, i)
		if len(best) == m && s <= best[m-1].s || e.Place != "" && e.Place != q.Place || e.You == "" {
			continue
		}
		if _, own := q.Personas[e.Persona]; !own && !e.Borrow {
			continue
		}
		if n := len(strings.Fields(e.Says)); n < 3 || n > shownWords || len(strings.Fields(e.You)) > shownWords || q.Used[engine.Fold(e.Says)] {
			continue
		}
		if slices.ContainsFunc(best, func(b near) bool { return x.examples[b.i].Says == e.Says }) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(b near, s float64) int { return cmp.Compare(s, b.s) })
		best = slices.Insert(best, at, near{i, s})
		best = best[:min(m, len(best))]
	}
	out := make([]engine.Exchange, len(best))
	for k, b := range best {
		out[k] = engine.Exchange{You: x.examples[b.i].You, Says: x.examples[b.i].Says}
	}
	return out, nil
}

// Nearest returns the example of these personas whose response vector is nearest, the line not left aside.
func (x *Index) Nearest(response []float32, personas map[string]float64, not string) (engine.Found, bool) {
	best, found := engine.Found{Score: math.Inf(-1)}, false
	skip := engine.Fold(not)
	for id := range personas {
		for _, i := range x.of[id] {
			s := float64(kernel.Dot(x.response[i*Width:(i+1)*Width], response))
			if s > best.Score && (skip == "" || engine.Fold(x.examples[i].Says) != skip) {
				best, found = engine.Found{StoredExample: &x.examples[i], Score: s}, true
			}
		}
	}
	return best, found
}

// Voices returns the centre of a persona's lines in persona space, and how many lines it has.
func (x *Index) Voices(persona string) ([]float32, int) {
	return x.centres[persona], len(x.of[persona])
}

// scan returns the dot product of q with every row, or nil without a query.
func (x *Index) scan(rows, q []float32) []float32 {
	if len(q) != Width {
		return nil
	}
	out := make([]float32, len(rows)/Width)
	kernel.DotRows(out, rows, q)
	return out
}

func at(v []float32, i int) float64 {
	if v == nil {
		return 0
	}
	return float64(v[i])
}

// bag weighs the words of a text by how rare they are among the lines answered.
func (x *Index) bag(text string) bag {
	b, sum := bag{}, 0.0
	for w := range wordSet(text) {
		idf, ok := x.idf[w]
		if !ok {
			idf = math.Log(2 + float64(len(x.examples)))
		}
		b[w] = idf
		sum += idf * idf
	}
	for w := range b {
		b[w] /= math.Sqrt(sum)
	}
	return b
}

// spellings folds what players type short.
var spellings = map[string]string{"u": "you", "ur": "your", "r": "are", "im": "i", "whats": "what", "wheres": "where", "whos": "who",
	"pls": "please", "thx": "thanks", "dont": "not", "cant": "not", "don": "not", "t": "not", "wont": "not", "n": "and", "y": "why", "hey": "hi", "hello": "hi", "ok": "okay"}

func wordSet(text string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(engine.Fold(text)) {
		if s, ok := spellings[w]; ok {
			w = s
		}
		if len(w) > 4 {
			w = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(w, "ing"), "ed"), "s")
		}
		out[w] = true
	}
	return out
}

func cosine(a, b bag) float64 {
	if len(b) < len(a) {
		a, b = b, a
	}
	s := 0.0
	for w, v := range a {
		s += v * b[w]
	}
	return s
}

func normalise(v []float32) []float32 {
	s := 0.0
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	if s > 0 {
		f := float32(1 / math.Sqrt(s))
		for i := range v {
			v[i] *= f
		}
	}
	return v
}
