package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
)

// TFIDF answers with what was answered to the nearest line of its exchanges: cosine of words, each weighing log(1 + N/df) once.
type TFIDF struct {
	learn []corpus.Exchange
	df    map[string]float64
	rows  map[string][]entry // of lines, by word
}

// entry is a word's share of a row's unit vector.
type entry struct {
	row    int
	weight float64
}

// weighed is a word and its share of a text's unit vector.
type weighed struct {
	word   string
	weight float64
}

// NewTFIDF reads exchanges.
func NewTFIDF(learn []corpus.Exchange) *TFIDF {
	x := &TFIDF{learn: learn, df: map[string]float64{}, rows: map[string][]entry{}}
	for _, e := range learn {
		for _, w := range wordsOf(e.You) {
			x.df[w]++
		}
	}
	for i, e := range learn {
		for _, w := range x.bag(e.You) {
			x.rows[w.word] = append(x.rows[w.word], entry{i, w.weight})
		}
	}
	return x
}

// wordsOf lists the different words of a text, sorted.
func wordsOf(text string) []string {
	w := strings.Fields(engine.Fold(text))
	slices.Sort(w)
	return slices.Compact(w)
}

// bag is a text's unit vector, by word.
func (x *TFIDF) bag(text string) []weighed {
	var out []weighed
	sum := 0.0
	for _, w := range wordsOf(text) {
		v := math.Log(1 + float64(len(x.learn))/max(1, x.df[w]))
		out = append(out, weighed{w, v})
		sum += v * v
	}
	for i := range out {
		out[i].weight /= math.Sqrt(sum)
	}
	return out
}

func cosine(a, b []weighed) (sum float64) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch strings.Compare(a[i].word, b[j].word) {
		case 0:
			sum += a[i].weight * b[j].weight
			i, j = i+1, j+1
		case -1:
			i++
		default:
			j++
		}
	}
	return sum
}

// answer is the answer to the nearest line; the first of several.
func (x *TFIDF) answer(line string) string {
	near := make([]float64, len(x.learn))
	for _, w := range x.bag(line) {
		for _, e := range x.rows[w.word] {
			near[e.row] += w.weight * e.weight
		}
	}
	best := 0
	for i, s := range near {
		if s > near[best] {
			best = i
		}
	}
	if len(near) == 0 {
		return ""
	}
	return x.learn[best].Says
}

// Say implements Speaker; chance changes nothing.
func (x *TFIDF) Say(_ context.Context, m Moment, _ *rand.Rand) (string, error) {
	return x.answer(m.asked()), nil
}

// Rank implements Ranker: a text's cosine with the player's line, with the descriptions of the blend and with the answer that was
// found, added.
func (x *TFIDF) Rank(m Moment, texts []string) []float64 {
	var told strings.Builder
	for _, s := range m.Blend {
		told.WriteString(s.Description + " ")
	}
	likes := [][]weighed{x.bag(m.asked()), x.bag(told.String()), x.bag(x.answer(m.asked()))}
	out := make([]float64, len(texts))
	for i, t := range texts {
		b := x.bag(t)
		for _, l := range likes {
			out[i] += cosine(b, l)
		}
	}
	return out
}
