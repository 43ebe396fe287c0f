package eval

import (
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Value is a measurement with its count and a 95 % interval: bootstrap (Efron 1979, percentile method, 1,000 resamples), of
// distinct2 the jackknife's.
type Value struct {
	Value float64 `json:"value"`
	N     int     `json:"n"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Report is what a run measured, or what it measured of a rival; a metric that the files do not allow, or that a rival cannot do,
// is left out.
type Report struct {
	Seed          uint64 `json:"seed"`
	NLL           *Value `json:"nll_per_word,omitempty"`      // −Σ log p / Σ words, nats; words are those between white space, and one end a reply
	NLLNull       *Value `json:"nll_per_word_null,omitempty"` // the same under the null persona
	PPL           *Value `json:"ppl_word,omitempty"`          // exp of nll_per_word
	Bits          *Value `json:"bits_per_byte,omitempty"`     // −Σ log₂ p / Σ (bytes + 1)
	Hits          *Value `json:"hits1_20,omitempty"`          // reply head · response head is above that of 19 others of its source
	HitsLM        *Value `json:"hits1_20_lm,omitempty"`       // log p(reply | moment) a token is
	HitsMI        *Value `json:"hits1_20_mi,omitempty"`       // log p(reply | moment) − log p(reply) is
	HitsMIToken   *Value `json:"hits1_20_mi_token,omitempty"` // that, a token, is
	F1            *Value `json:"f1,omitempty"`                // overlap of words of the greedy reply and the one written
	Persona       *Value `json:"persona_top1,omitempty"`      // of 10 descriptions its own has the highest persona head · voice head
	PersonaLM     *Value `json:"persona_top1_lm,omitempty"`   // its own makes the reply likeliest
	Blend         *Value `json:"blend_spearman,omitempty"`    // ladders, rank correlation: the weight written, the classifier's
	Distinct2     *Value `json:"distinct2,omitempty"`         // different pairs of words / pairs, over all sampled replies
	Repeats       *Value `json:"repeat_rate,omitempty"`       // sampled replies that say three words twice, or a line of the talk again
	LadderCorr    *Value `json:"ladder_corr,omitempty"`       // Pearson: the weight written, the mean weight w̄ by likelihood over five mixtures
	LadderArg     *Value `json:"ladder_argmax,omitempty"`     // of five mixtures, the one written for is likeliest
	LadderBetween *Value `json:"ladder_between,omitempty"`    // lines of which w̄(reply at 0) < w̄(reply at 0.5) < w̄(reply at 1)

	Baselines map[string]*Report `json:"baselines,omitempty"` // the rivals, by name
}

const resamples = 1000

// interval draws the indices of n observations anew and returns the middle 95 % of f.
func interval(seed uint64, n int, f func(pick []int) float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([]float64, 0, resamples)
	pick := make([]int, n)
	for range resamples {
		for i := range pick {
			pick[i] = rng.IntN(n)
		}
		if v := f(pick); !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(out)
	return out[len(out)*25/1000], out[min(len(out)-1, len(out)*975/1000)]
}

// jackknife measures f with the interval of leaving each observation out (Tukey 1958): drawing some twice, as a bootstrap does,
// would make what is said look less distinct than it is.
func jackknife(n int, f func(pick []int) float64) *Value {
	if n < 2 {
		return nil
	}
	all := whole(n)
	v := Value{Value: f(all), N: n}
	out, mean := make([]float64, n), 0.0
	for i := range out {
		out[i] = f(slices.Delete(slices.Clone(all), i, i+1))
		mean += out[i] / float64(n)
	}
	spread := 0.0
	for _, x := range out {
		spread += (x - mean) * (x - mean)
	}
	half := 1.96 * math.Sqrt(spread*float64(n-1)/float64(n))
	v.Low, v.High = v.Value-half, v.Value+half
	if math.IsNaN(v.Value) || math.IsNaN(half) {
		return nil
	}
	return &v
}

func whole(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func measure(seed uint64, n int, f func(pick []int) float64) *Value {
	if n == 0 {
		return nil
	}
	v := f(whole(n))
	if math.IsNaN(v) {
		return nil
	}
	low, high := interval(seed, n, f)
	return &Value{v, n, low, high}
}

func (r *run) report() *Report {
	seed := r.o.Seed
	ratio := func(name string, shape func(float64) float64) *Value { return r.values[name].shaped(seed, shape) }
	pairs := func(p [][2]float64, f func(x, y []float64) float64) *Value {
		return measure(seed, len(p), func(pick []int) float64 {
			x, y := make([]float64, len(pick)), make([]float64, len(pick))
			for k, i := range pick {
				x[k], y[k] = p[i][0], p[i][1]
			}
			return f(x, y)
		})
	}
	return &Report{Seed: seed, NLL: ratio("nll_per_word", same), NLLNull: ratio("nll_per_word_null", same), PPL: ratio("nll_per_word", math.Exp), Bits: ratio("bits_per_byte", same),
		Hits: ratio("hits1_20", same), HitsLM: ratio("hits1_20_lm", same), HitsMI: ratio("hits1_20_mi", same), HitsMIToken: ratio("hits1_20_mi_token", same),
		F1: ratio("f1", same), Persona: ratio("persona_top1", same), PersonaLM: ratio("persona_top1_lm", same), Blend: pairs(r.blends, spearman),
		Distinct2: distinct2(r.said), Repeats: ratio("repeat_rate", same),
		LadderCorr: pairs(r.ladders, pearson), LadderArg: ratio("ladder_argmax", same), LadderBetween: ratio("ladder_between", same)}
}

func same(x float64) float64 { return x }

// ratio is Σx / Σn.
func (c *column) ratio(seed uint64) *Value { return c.shaped(seed, same) }

// shaped is a function of Σx / Σn; nil without observations.
func (c *column) shaped(seed uint64, shape func(float64) float64) *Value {
	if c == nil {
		return nil
	}
	return measure(seed, len(c.x), func(pick []int) float64 {
		x, n := 0.0, 0.0
		for _, i := range pick {
			x += c.x[i]
			n += c.n[i]
		}
		return shape(x / n)
	})
}

// distinct2 is the share of pairs of words that are different (Li et al. 2016), over all texts together.
func distinct2(texts []string) *Value {
	return jackknife(len(texts), func(pick []int) float64 {
		seen, n := map[[2]string]bool{}, 0
		for _, i := range pick {
			w := strings.Fields(engine.Fold(texts[i]))
			for j := 0; j+1 < len(w); j++ {
				seen[[2]string{w[j], w[j+1]}] = true
				n++
			}
		}
		return float64(len(seen)) / float64(n)
	})
}

func pearson(x, y []float64) float64 {
	n, mx, my := float64(len(x)), 0.0, 0.0
	for i := range x {
		mx += x[i] / n
		my += y[i] / n
	}
	var sxy, sxx, syy float64
	for i := range x {
		sxy += (x[i] - mx) * (y[i] - my)
		sxx += (x[i] - mx) * (x[i] - mx)
		syy += (y[i] - my) * (y[i] - my)
	}
	return sxy / math.Sqrt(sxx*syy)
}

// spearman is the correlation of ranks, ties at their mean.
func spearman(x, y []float64) float64 { return pearson(ranks(x), ranks(y)) }

func ranks(x []float64) []float64 {
	order := whole(len(x))
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			out[order[k]] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}

// row is a measurement and what people call it.
type row struct {
	name string
	v    *Value
}

func writeRows(w io.Writer, rows []row) error {
	for _, x := range rows {
		if x.v == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-42s %8.3f  [%.3f, %.3f]  n %d\n", x.name, x.v.Value, x.v.Low, x.v.High, x.v.N); err != nil {
			return err
		}
	}
	return nil
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	if err := writeRows(w, r.rows()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Baselines)) {
		if _, err := fmt.Fprintf(w, "\n%s\n", name); err != nil {
			return err
		}
		if err := writeRows(w, r.Baselines[name].rows()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "seed %d\n", r.Seed)
	return err
}

func (r *Report) rows() []row {
	return []row{{"perplexity per word", r.PPL}, {"nats per word", r.NLL}, {"  without persona", r.NLLNull}, {"bits per byte", r.Bits},
		{"right reply of 20", r.Hits}, {"right reply of 20, likelihood", r.HitsLM}, {"  mutual information", r.HitsMI}, {"  mutual information a token", r.HitsMIToken},
		{"right persona of 10", r.Persona}, {"right persona of 10, likelihood", r.PersonaLM}, {"blend, rank correlation", r.Blend},
		{"ladders, correlation", r.LadderCorr}, {"ladders, right of 5", r.LadderArg}, {"ladders, the middle is between", r.LadderBetween},
		{"word overlap (f1)", r.F1}, {"distinct pairs of words", r.Distinct2}, {"replies that repeat", r.Repeats}}
}
