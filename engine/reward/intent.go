package reward

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
	"gonum.org/v1/gonum/mat"
)

// intentBook tells some intents apart: a kernel regression for each, over all written lines of all of them.
type intentBook struct {
	ids   []string
	idf   map[string]float64
	lines []intentLine
	owner []int      // index of the intent that a line is like; ^index of the one that it is unlike
	mean  []float32  // of the lines' states
	alpha *mat.Dense // [line, intent]
}

// intentLine is a line as the kernel sees it: three unit vectors, whose products are added.
type intentLine struct {
	grams map[string]float64 // words and letter triples
	line  []float32          // line head
	state []float32          // encoder states, less their mean
}

// How intents are told. Chosen on the written lines of seven stories, each left out in turn, so that about one line in fifty that
// means another intent is taken for this one: `go test ./cmd/weave -run IntentsLeftOut -v` prints what they reach.
const (
	intentCut     = 0.22 // score from which a line means an intent; the intent's own lines score about 1
	intentPenalty = 2    // of the L2 penalty
	intentNear    = -0.1 // score that near misses are given
	meansCut      = 0.6  // the same for a meaning that stands alone: the answer to a question
	meansNear     = -0.5 // and what its near misses are given
	intentNearest = 0.35 // likeness, in words or by the line head, that some line of the intent must have
)

// Intents tells which of a story's intents a line means.
func (t *Tracker) Intents(ctx context.Context, s *engine.Story, line string) (map[string]bool, error) {
	if len(s.Intents) == 0 {
		return nil, nil
	}
	book, err := t.book(ctx, s, s.Intents)
	if err != nil {
		return nil, err
	}
	p, err := t.means(ctx, book, line)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i, id := range book.ids {
		in := s.Intents[id]
		if p[i] >= intentCut && worded(&in, line) {
			out[id] = true
		}
	}
	return out, nil
}

// Means tells whether a line has one meaning.
func (t *Tracker) Means(ctx context.Context, in *engine.Intent, line string) (bool, error) {
	if !worded(in, line) {
		return false, nil
	}
	book, err := t.book(ctx, in, map[string]engine.Intent{"": *in})
	if err != nil {
		return false, err
	}
	p, err := t.means(ctx, book, line)
	return err == nil && p[0] >= meansCut, err
}

// means scores a line for each of a book's intents.
func (t *Tracker) means(ctx context.Context, b *intentBook, text string) ([]float64, error) {
	rs, err := t.read(ctx, []string{text}, true)
	if err != nil {
		return nil, err
	}
	x := b.line(text, rs[0])
	out, near := make([]float64, len(b.ids)), make([]float64, len(b.ids))
	for k := range b.lines {
		y := &b.lines[k]
		words, line := sparse(x.grams, y.grams), dot(x.line, y.line)
		if i := b.owner[k]; i >= 0 && i != idle {
			near[i] = max(near[i], words, line)
		}
		like := words + line + dot(x.state, y.state)
		for i, a := range b.alpha.RawRowView(k) {
			out[i] += a * like
		}
	}
	for i := range out {
		if near[i] < intentNearest {
			out[i] = 0
		}
	}
	return out, nil
}

func (b *intentBook) line(text string, r engine.Reading) intentLine {
	x := intentLine{grams: b.grams(text), line: r.Line}
	if len(b.mean) == len(r.State) {
		x.state = make([]float32, len(r.State))
		sum := 0.0
		for i, v := range r.State {
			x.state[i] = v - b.mean[i]
			sum += float64(x.state[i]) * float64(x.state[i])
		}
		if sum > 0 {
			f := float32(1 / math.Sqrt(sum))
			for i := range x.state {
				x.state[i] *= f
			}
		}
	}
	return x
}

func (x *intentLine) times(y *intentLine) float64 {
	return sparse(x.grams, y.grams) + dot(x.line, y.line) + dot(x.state, y.state)
}

// worded reports whether a line has the words that a meaning needs and none that it must not have.
func worded(in *engine.Intent, line string) bool {
	if len(in.Needs)+len(in.Never) == 0 {
		return true
	}
	has := func(beginnings string) bool {
		for w := range strings.FieldsSeq(engine.Fold(strings.ReplaceAll(line, "'", ""))) {
			for b := range strings.SplitSeq(beginnings, "|") {
				if b = strings.TrimSpace(b); b != "" && (strings.HasPrefix(w, b) || len(b) > 5 && len(w) >= len(b)-1 && engine.EditDistance(w[:min(len(w), len(b))], b) <= 1) {
					return true
				}
			}
		}
		return false
	}
	return !slices.ContainsFunc(in.Needs, func(n string) bool { return !has(n) }) && !slices.ContainsFunc(in.Never, has)
}

// book reads the lines of some intents once and fits what tells them apart; of is whose they are.
func (t *Tracker) book(ctx context.Context, of any, intents map[string]engine.Intent) (*intentBook, error) {
	t.reading.Lock() // whoever comes meanwhile waits for the same book
	defer t.reading.Unlock()
	t.mu.Lock()
	b, ok := t.intents[of]
	t.mu.Unlock()
	if ok {
		return b, nil
	}
	b = &intentBook{idf: map[string]float64{}}
	var texts []string
	var owner []int
	for i, id := range slices.Sorted(maps.Keys(intents)) {
		b.ids = append(b.ids, id)
		for _, s := range intents[id].Like {
			texts, owner = append(texts, s), append(owner, i)
		}
		for _, s := range intents[id].Unlike {
			texts, owner = append(texts, s), append(owner, ^i)
		}
	}
	if len(intents) > 1 {
		for _, s := range t.Idle { // what players say anywhere means nothing, unless it is written as meaning something
			if !slices.ContainsFunc(texts, func(x string) bool { return shares(x, s) }) {
				texts, owner = append(texts, s), append(owner, idle)
			}
		}
	}
	rs, err := t.read(ctx, texts, true)
	if err != nil {
		return nil, err
	}
	for _, s := range texts {
		for g := range pieces(s) {
			b.idf[g]++
		}
	}
	for g, df := range b.idf {
		b.idf[g] = math.Log(1 + float64(len(texts))/df)
	}
	b.mean = make([]float32, len(rs[0].State))
	for _, r := range rs {
		for j, v := range r.State {
			b.mean[j] += v / float32(len(rs))
		}
	}
	for i, s := range texts {
		b.lines = append(b.lines, b.line(s, rs[i]))
	}
	b.owner = owner
	if err := b.fit(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.intents[of] = b
	t.mu.Unlock()
	return b, nil
}

// fit finds the weights of the lines for each intent: ridge regression in the space of the kernel, 1 for what it is like, less than 0
// for its near misses, 0 for all else.
func (b *intentBook) fit() error {
	n := len(b.lines)
	gram := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			x := b.lines[i].times(&b.lines[j])
			if i == j {
				x += intentPenalty
			}
			gram.SetSym(i, j, x)
		}
	}
	var factor mat.Cholesky
	if !factor.Factorize(gram) {
		return &engine.Error{Code: engine.Internal, Message: "the intents' lines cannot be told apart", Hint: "weave story check finds lines that stand twice"}
	}
	near := intentNear
	if len(b.ids) == 1 { // told from its near misses alone
		near = meansNear
	}
	want := mat.NewDense(n, len(b.ids), nil)
	for k, i := range b.owner {
		switch {
		case i == idle:
		case i >= 0:
			want.Set(k, i, 1)
		default:
			want.Set(k, ^i, near)
		}
	}
	b.alpha = mat.NewDense(n, len(b.ids), nil)
	return factor.SolveTo(b.alpha, want)
}

// idle marks lines that mean no intent.
const idle = math.MaxInt

// shares reports whether two lines have half of their words in common.
func shares(a, b string) bool {
	x, y := strings.Fields(engine.Fold(a)), strings.Fields(engine.Fold(b))
	both := 0
	for _, w := range x {
		if slices.Contains(y, w) {
			both++
		}
	}
	return 2*both >= min(len(x), len(y)) && both > 0
}

// grams weighs a text's words and letter triples by how rare they are among the story's intent lines.
func (b *intentBook) grams(text string) map[string]float64 {
	out, sum := map[string]float64{}, 0.0
	for g, n := range pieces(text) {
		idf, ok := b.idf[g]
		if !ok {
			if strings.HasPrefix(g, "#") {
				continue
			}
			idf = math.Log(1+float64(len(b.idf))) / 2
		}
		w := idf * n
		out[g] = w
		sum += w * w
	}
	for g := range out {
		out[g] /= math.Sqrt(sum)
	}
	return out
}

// fillers carry little meaning in a player's line.
var fillers = map[string]bool{"the": true, "a": true, "an": true, "to": true, "please": true, "pls": true, "just": true, "so": true, "well": true, "um": true, "oh": true, "then": true, "is": true, "it": true, "of": true}

func pieces(text string) map[string]float64 {
	out := map[string]float64{}
	for w := range strings.FieldsSeq(engine.Fold(strings.ReplaceAll(text, "'", ""))) {
		weight := 1.0
		if fillers[w] {
			weight = 0.3
		}
		out[w] += weight
		if len(w) > 3 {
			padded := "^" + w + "$"
			for i := 0; i+3 <= len(padded); i++ {
				out["#"+padded[i:i+3]] += 0.35 * weight
			}
		}
	}
	return out
}

func sparse(a, b map[string]float64) float64 {
	if len(b) < len(a) {
		a, b = b, a
	}
	s := 0.0
	for g, v := range a {
		s += v * b[g]
	}
	return s
}
