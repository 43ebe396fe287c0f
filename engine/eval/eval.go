// Package eval measures the model on dialogue files: how well it predicts, chooses and voices replies that people wrote. It uses
// the model as play does and knows no storage or screens.
package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/reward"
)

// Share is a persona of a blend, by its description.
type Share struct {
	Description string
	Weight      float64
}

// Moment is where a reply stands: scene, what was said, and the blend it is said under.
type Moment struct {
	Scene string
	Said  []engine.Spoken
	Blend []Share
}

// Likelihood is a sum of log-probabilities over the tokens of a reply and its end.
type Likelihood struct {
	Sum    float64
	Tokens int
}

// Model is what is measured.
type Model interface {
	// Score returns the likelihood of each text as the reply of a moment; a moment without a blend is the null persona's.
	Score(m Moment, texts []string) []Likelihood
	// Want is the reply head's vector of a moment.
	Want(m Moment) []float32
	// Response and Voice are the heads' vectors of replies read alone.
	Response(texts []string) (response, voice [][]float32)
	// Persona is a description's vector.
	Persona(description string) []float32
	// Say makes a reply: greedily without chance, else sampled as play does.
	Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error)
	// VoiceScale is the scale of the persona classifier.
	VoiceScale() float64
}

// Options bound a run.
type Options struct {
	Seed     uint64
	Replies  int // at most this many replies are scored, spread over the records; 0: all
	Ranked   int // of them, how many are also ranked by likelihood among 20, which is slow; 0: a quarter of 200
	Generate int // of them, how many are also answered anew for f1, distinct2 and repeat_rate; 0: 60
	Progress func(done, of int)
}

// sample is one reply that somebody wrote.
type sample struct {
	Moment
	reply  string
	rung   int // ladders: which line it answers, counted over the file; −1 elsewhere
	weight float64
}

// samples lists the replies of records in order.
func samples(records []corpus.Record) (out []sample) {
	rung := 0
	for i := range records {
		r := &records[i]
		switch r.Kind() {
		case corpus.Ladder:
			p, q := r.Personas["p"].Description, r.Personas["q"].Description
			for _, l := range r.Lines {
				for _, x := range l.Replies {
					out = append(out, sample{Moment{Said: []engine.Spoken{{Player: true, Text: l.You}}, Blend: []Share{{p, x.W}, {q, 1 - x.W}}}, x.Text, rung, x.W})
				}
				rung++
			}
		case corpus.Grid:
			for _, x := range r.Replies {
				out = append(out, sample{Moment{Said: []engine.Spoken{{Player: true, Text: x.You}}, Blend: []Share{{r.Description(), 1}}}, x.Says, -1, 1})
			}
		default:
			var said []engine.Spoken
			for _, t := range r.Turns {
				if t.Who == "b" {
					out = append(out, sample{Moment{r.Context, slices.Clone(said), blendOf(r, t)}, t.Text, -1, 1})
				}
				said = append(said, engine.Spoken{Player: t.Who == "a", Text: t.Text})
			}
		}
	}
	return out
}

func blendOf(r *corpus.Record, t corpus.Turn) []Share {
	if len(r.Personas) == 0 {
		if d := r.Description(); d != "" {
			return []Share{{d, 1}}
		}
		return nil
	}
	weights := t.Blend
	if len(weights) == 0 {
		weights = map[string]float64{r.Persona: 1}
	}
	var out []Share
	for _, id := range engine.Blend(weights).IDs() {
		if p, ok := r.Personas[id]; ok && weights[id] > 0 {
			out = append(out, Share{p.Description, weights[id]})
		}
	}
	return out
}

// spread picks n of all, evenly over them.
func spread[T any](all []T, n int) []T {
	if n <= 0 || n >= len(all) {
		return all
	}
	out := make([]T, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}

// Run measures the model on records.
func Run(ctx context.Context, m Model, records []corpus.Record, o Options) (*Report, error) {
	every := samples(records)
	if len(every) == 0 {
		return nil, &engine.Error{Code: engine.Invalid, Message: "the files hold no replies of a character", Hint: "give dialogue files with turns of b, grids or ladders"}
	}
	some := spread(every, o.Replies)
	if o.Ranked == 0 {
		o.Ranked = 50
	}
	if o.Generate == 0 {
		o.Generate = 60
	}
	r := &run{m: m, o: o, rng: rand.New(rand.NewPCG(o.Seed, 1)), all: every, pool: descriptions(every), values: map[string]*column{}}
	total := len(some) + min(o.Ranked, len(some)) + min(o.Generate, len(some))
	done := 0
	step := func() error {
		done++
		if o.Progress != nil {
			o.Progress(done, total)
		}
		return ctx.Err()
	}
	for _, s := range some {
		r.predict(s)
		r.choose(s)
		if err := step(); err != nil {
			return nil, err
		}
	}
	for _, s := range spread(some, o.Ranked) {
		r.rank(s)
		if err := step(); err != nil {
			return nil, err
		}
	}
	for _, s := range spread(some, o.Generate) {
		if err := errors.Join(r.generate(ctx, s), step()); err != nil {
			return nil, err
		}
	}
	return r.report(), nil
}

func descriptions(all []sample) (out []string) {
	seen := map[string]bool{}
	for _, s := range all {
		for _, b := range s.Blend {
			if !seen[b.Description] {
				seen[b.Description] = true
				out = append(out, b.Description)
			}
		}
	}
	return out
}

// run gathers observations by metric.
type run struct {
	m       Model
	o       Options
	rng     *rand.Rand
	all     []sample
	pool    []string // every description of the files
	values  map[string]*column
	said    []string // what was generated, sampled
	blends  [][2]float64
	ladders [][2]float64
}

// column holds the observations of a ratio: sums of x over sums of n.
type column struct{ x, n []float64 }

func (r *run) add(name string, x, n float64) {
	c := r.values[name]
	if c == nil {
		c = &column{}
		r.values[name] = c
	}
	c.x, c.n = append(c.x, x), append(c.n, n)
}

func (r *run) hit(name string, ok bool) {
	x := 0.0
	if ok {
		x = 1
	}
	r.add(name, x, 1)
}

// predict scores the reply under its blend and under the null persona. A reply counts its whitespace words and one end.
func (r *run) predict(s sample) {
	words, bytes := float64(len(strings.Fields(s.reply))+1), float64(len(s.reply)+1)
	own := r.m.Score(s.Moment, []string{s.reply})[0].Sum
	null := r.m.Score(Moment{s.Scene, s.Said, nil}, []string{s.reply})[0].Sum
	r.add("nll_per_word", -own, words)
	r.add("nll_per_word_null", -null, words)
	r.add("bits_per_byte", -own/math.Ln2, bytes)
	if s.rung < 0 {
		return
	}
	best, mean, mass := 0, 0.0, 0.0
	weights := []float64{0, 0.25, 0.5, 0.75, 1}
	scores := make([]float64, len(weights))
	for i, w := range weights {
		scores[i] = r.m.Score(Moment{s.Scene, s.Said, []Share{{s.Blend[0].Description, w}, {s.Blend[1].Description, 1 - w}}}, []string{s.reply})[0].Sum
		if scores[i] > scores[best] {
			best = i
		}
	}
	for i, w := range weights {
		e := math.Exp(scores[i] - scores[best])
		mean += w * e
		mass += e
	}
	r.hit("ladder_argmax", math.Abs(weights[best]-s.weight) < 0.125)
	r.ladders = append(r.ladders, [2]float64{s.weight, mean / mass})
}

// others picks n replies of the file that are not this one.
func (r *run) others(s sample, n int) []string {
	var out []string
	for tries := 0; len(out) < n && tries < 50*n; tries++ {
		o := r.all[r.rng.IntN(len(r.all))].reply
		if engine.Fold(o) != engine.Fold(s.reply) && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// choose ranks the reply among 20 by the reply head, and its persona among 10 by the classifier.
func (r *run) choose(s sample) {
	response, voice := r.m.Response(append([]string{s.reply}, r.others(s, 19)...))
	if len(response) == 20 {
		want := r.m.Want(s.Moment)
		r.hit("hits1_20", first(len(response), func(i int) float64 { return dot(want, response[i]) }))
	}
	if s.rung >= 0 {
		q := reward.Classify([][]float32{r.m.Persona(s.Blend[0].Description), r.m.Persona(s.Blend[1].Description)}, voice[0], r.m.VoiceScale())
		r.blends = append(r.blends, [2]float64{s.weight, q[0]})
		return
	}
	if len(s.Blend) != 1 || len(r.pool) < 10 {
		return
	}
	people := []string{s.Blend[0].Description}
	for len(people) < 10 {
		if d := r.pool[r.rng.IntN(len(r.pool))]; !slices.Contains(people, d) {
			people = append(people, d)
		}
	}
	r.hit("persona_top1", first(len(people), func(i int) float64 { return dot(r.m.Persona(people[i]), voice[0]) }))
}

// rank ranks the reply among 20 by the model's mean log-likelihood a token.
func (r *run) rank(s sample) {
	texts := append([]string{s.reply}, r.others(s, 19)...)
	if len(texts) < 20 {
		return
	}
	l := r.m.Score(s.Moment, texts)
	r.hit("hits1_20_lm", first(len(l), func(i int) float64 { return l[i].Sum / float64(max(1, l[i].Tokens)) }))
}

// generate answers the moment: greedily for f1, sampled for the rest.
func (r *run) generate(ctx context.Context, s sample) error {
	greedy, err := r.m.Say(ctx, s.Moment, nil)
	if err != nil {
		return err
	}
	r.add("f1", f1(greedy, s.reply), 1)
	text, err := r.m.Say(ctx, s.Moment, rand.New(rand.NewPCG(r.o.Seed, uint64(len(r.said)))))
	if err != nil {
		return err
	}
	r.said = append(r.said, text)
	r.hit("repeat_rate", repeats(text, s.Said))
	return nil
}

// first tells whether candidate 0 of n scores above all others.
func first(n int, score func(int) float64) bool {
	for i := 1; i < n; i++ {
		if score(i) >= score(0) {
			return false
		}
	}
	return true
}

// f1 is the word overlap of two texts, case and punctuation aside.
func f1(a, b string) float64 {
	x, y := strings.Fields(engine.Fold(a)), strings.Fields(engine.Fold(b))
	left := map[string]int{}
	for _, w := range y {
		left[w]++
	}
	same := 0
	for _, w := range x {
		if left[w] > 0 {
			left[w]--
			same++
		}
	}
	if same == 0 {
		return 0
	}
	return 2 * float64(same) / float64(len(x)+len(y))
}

// repeats tells whether a reply says a triple of words twice, or repeats a line of the talk.
func repeats(text string, said []engine.Spoken) bool {
	w := strings.Fields(engine.Fold(text))
	seen := map[[3]string]bool{}
	for i := 0; i+2 < len(w); i++ {
		t := [3]string{w[i], w[i+1], w[i+2]}
		if seen[t] {
			return true
		}
		seen[t] = true
	}
	for _, s := range said {
		if len(w) > 2 && engine.Fold(s.Text) == engine.Fold(text) {
			return true
		}
	}
	return false
}

func dot(a, b []float32) float64 {
	s := 0.0
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}
