package eval

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Line is a text and the persona that says it.
type Line struct{ Persona, Text string }

// Judge tells whose line a text is by its words: a multinomial logistic regression (L2) that shares nothing with the model. A text
// is a unit vector over its different words, pairs of words and pieces of five letters, hashed into buckets (Weinberger et al.
// 2009). The weights come of stochastic gradient descent with steps s/(1+sλt) (Bottou 2012), in an order that is always the same,
// so the same lines make the same judge.
type Judge struct {
	personas []string
	weights  []float32 // [buckets, personas]
	bias     []float32 // [personas]
}

const (
	buckets     = 1 << 18
	pieceLen    = 5 // letters
	judgeEpochs = 6
	judgeLambda = 2e-6 // of the penalty λ/2·|w|²
	judgeStep   = 10.0 // the first
)

// NewJudge learns from lines, but from none that is the same as one of the texts that it will judge (fold tells).
func NewJudge(lines []Line, judged []string) *Judge {
	skip := map[string]bool{"": true}
	for _, t := range judged {
		skip[fold(t)] = true
	}
	j := &Judge{}
	var learn []Line
	seen := map[Line]bool{}
	for _, l := range lines {
		l.Text = fold(l.Text)
		if skip[l.Text] || seen[l] {
			continue
		}
		seen[l] = true
		learn, j.personas = append(learn, l), append(j.personas, l.Persona)
	}
	slices.Sort(j.personas)
	j.personas = slices.Compact(j.personas)
	j.fit(learn)
	return j
}

func (j *Judge) fit(lines []Line) {
	k := len(j.personas)
	j.weights, j.bias = make([]float32, buckets*k), make([]float32, k)
	rows, of := make([][]uint32, len(lines)), make([]int, len(lines))
	for i, l := range lines {
		rows[i] = features(l.Text)
		of[i], _ = slices.BinarySearch(j.personas, l.Persona)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	scale, t := 1.0, 0.0 // the weights are scale·weights, so that shrinking all of them is one product
	p := make([]float64, k)
	for range judgeEpochs {
		for _, i := range rng.Perm(len(rows)) {
			step := judgeStep / (1 + judgeStep*judgeLambda*t)
			t++
			j.classify(p, rows[i], scale)
			p[of[i]]--
			scale *= 1 - step*judgeLambda
			x := 1 / math.Sqrt(float64(len(rows[i])))
			for _, f := range rows[i] {
				w := j.weights[int(f)*k : (int(f)+1)*k]
				for c := range w {
					w[c] -= float32(step * x / scale * p[c])
				}
			}
			for c := range j.bias {
				j.bias[c] -= float32(0.01 * step * p[c])
			}
		}
	}
	for i := range j.weights {
		j.weights[i] *= float32(scale)
	}
}

// classify fills p [personas] with the probability of each persona.
func (j *Judge) classify(p []float64, row []uint32, scale float64) {
	k := len(j.personas)
	clear(p)
	for _, f := range row {
		for c, w := range j.weights[int(f)*k : (int(f)+1)*k] {
			p[c] += float64(w)
		}
	}
	x := scale / math.Sqrt(float64(max(1, len(row))))
	top := math.Inf(-1)
	for c := range p {
		p[c] = p[c]*x + float64(j.bias[c])
		top = max(top, p[c])
	}
	sum := 0.0
	for c := range p {
		p[c] = math.Exp(p[c] - top)
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
	}
}

// Likeliest is the persona that most likely says a text; empty when the judge has learned nothing.
func (j *Judge) Likeliest(text string) string {
	best, p := "", make([]float64, len(j.personas))
	j.classify(p, features(fold(text)), 1)
	top := 0.0
	for c, x := range p {
		if x > top {
			best, top = j.personas[c], x
		}
	}
	return best
}

var marks = strings.NewReplacer("’", "'", "…", " ", "–", " ", "—", " ", "“", " ", "”", " ")

// fold is engine.Fold, all marks aside: what makes two texts the same.
func fold(text string) string { return engine.Fold(marks.Replace(text)) }

// features are the buckets of a folded text, each once.
func features(text string) []uint32 {
	var out []uint32
	add := func(parts ...string) {
		h := fnv.New64a()
		for _, p := range parts {
			_, _ = h.Write([]byte(p))
		}
		out = append(out, uint32(h.Sum64()%buckets))
	}
	before := ""
	for w := range strings.FieldsSeq(text) {
		add("w ", w)
		add("p ", before, " ", w)
		before = w
	}
	add("p ", before, " ")
	letters := []rune(" " + text + " ")
	for i := 0; i+pieceLen <= len(letters); i++ {
		add("l ", string(letters[i:i+pieceLen]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
