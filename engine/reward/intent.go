package reward

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// intentBook holds one story's intents, their lines weighed and read.
type intentBook struct {
	ids   []string
	idf   map[string]float64
	lines map[string][2][]intentLine // like, unlike
}

type intentLine struct {
	text  string
	grams map[string]float64 // unit vector over words and letter triples
	read  []float32          // line head
}

// Intents tells which of a story's intents a line means: those with a written line that is near it, by words and by the
// model's line head together, nearer than every near miss.
func (t *Tracker) Intents(ctx context.Context, s *engine.Story, line string) (map[string]bool, error) {
	book, err := t.book(ctx, s, s.Intents)
	if err != nil || len(book.ids) == 0 {
		return nil, err
	}
	rs, err := t.read(ctx, []string{line}, true)
	if err != nil {
		return nil, err
	}
	grams := book.grams(line)
	out := map[string]bool{}
	for _, id := range book.ids {
		in := s.Intents[id]
		if book.means(id, grams, rs[0].Line) && worded(&in, line) {
			out[id] = true
		}
	}
	return out, nil
}

// Means tells whether a line has one meaning, by the same likeness.
func (t *Tracker) Means(ctx context.Context, in *engine.Intent, line string) (bool, error) {
	if !worded(in, line) {
		return false, nil
	}
	book, err := t.book(ctx, in, map[string]engine.Intent{"": *in})
	if err != nil {
		return false, err
	}
	rs, err := t.read(ctx, []string{line}, true)
	if err != nil {
		return false, err
	}
	return book.means("", book.grams(line), rs[0].Line), nil
}

// means reports whether a line is near enough to what an intent is like, and nearer than to any near miss.
func (b *intentBook) means(id string, grams map[string]float64, read []float32) bool {
	like := b.nearest(b.lines[id][0], grams, read)
	return like >= intentCut && like > b.nearest(b.lines[id][1], grams, read)
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

// intentCut is the likeness from which a line means an intent; intentWords is the share of words against the line head.
// Chosen on written lines left out one by one: `go test ./cmd/weave -run IntentsLeftOut -v` prints how many it gets right.
const (
	intentCut   = 0.5
	intentWords = 0.6
)

func (b *intentBook) nearest(lines []intentLine, grams map[string]float64, read []float32) float64 {
	best := math.Inf(-1)
	for _, l := range lines {
		s := intentWords*sparse(grams, l.grams) + (1-intentWords)*max(0, dot(read, l.read))
		best = max(best, s)
	}
	return best
}

// book reads the lines of some intents once; of is whose they are.
func (t *Tracker) book(ctx context.Context, of any, intents map[string]engine.Intent) (*intentBook, error) {
	t.reading.Lock() // whoever comes meanwhile waits for the same book
	defer t.reading.Unlock()
	t.mu.Lock()
	b, ok := t.intents[of]
	t.mu.Unlock()
	if ok {
		return b, nil
	}
	b = &intentBook{idf: map[string]float64{}, lines: map[string][2][]intentLine{}}
	var all []string
	for id, in := range intents {
		b.ids = append(b.ids, id)
		all = append(append(all, in.Like...), in.Unlike...)
	}
	slices.Sort(b.ids)
	for _, text := range all {
		for g := range pieces(text) {
			b.idf[g]++
		}
	}
	for g, df := range b.idf {
		b.idf[g] = math.Log(1 + float64(len(all))/df)
	}
	for _, id := range b.ids {
		in := intents[id]
		var sides [2][]intentLine
		for k, texts := range [2][]string{in.Like, in.Unlike} {
			if len(texts) == 0 {
				continue
			}
			rs, err := t.Mind.Readings(ctx, texts, true)
			if err != nil {
				return nil, err
			}
			for i, text := range texts {
				sides[k] = append(sides[k], intentLine{text, b.grams(text), rs[i].Line})
			}
		}
		b.lines[id] = sides
	}
	t.mu.Lock()
	t.intents[of] = b
	t.mu.Unlock()
	return b, nil
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
