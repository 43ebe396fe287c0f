// Package eval measures the model on dialogue files: how well it predicts, chooses and voices replies that people wrote. It uses
// the model as play does and knows no storage or screens.
package eval

import (
	"context"
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

// Scorer tells how likely replies are.
type Scorer interface {
	// Score returns the likelihood of each text as the reply of a moment; a moment without a blend is the null persona's, and an
	// empty one is a talk that begins with the reply.
	Score(m Moment, texts []string) []Likelihood
}

// Speaker makes replies.
type Speaker interface {
	// Say makes a reply: greedily without chance, else sampled as play does.
	Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error)
}

// Ranker orders replies by something else than likelihood.
type Ranker interface {
	// Rank scores each text as the reply of a moment; more is better.
	Rank(m Moment, texts []string) []float64
}

// Heads are the vectors of the model's heads.
type Heads interface {
	// Want is the reply head's vector of a moment.
	Want(m Moment) []float32
	// Response and Voice are the heads' vectors of replies read alone.
	Response(texts []string) (response, voice [][]float32)
	// Persona is a description's vector.
	Persona(description string) []float32
	// VoiceScale is the scale of the persona classifier.
	VoiceScale() float64
}

// Model is what is measured.
type Model interface {
	Scorer
	Speaker
	Heads
}

// Options bound a run.
type Options struct {
	Seed      uint64
	Replies   int // at most this many replies are scored, spread over the records; 0: all
	Ranked    int // of them, how many are also ranked by likelihood, which is slow; 0: 50
	Generate  int // of them, how many are also answered anew for f1, distinct2 and repeat_rate; 0: 60
	Baselines []Baseline
	Progress  func(done, of int)
}

// sample is one reply that somebody wrote.
type sample struct {
	Moment
	reply  string
	rung   int // ladders: which line it answers, counted over the file; −1 elsewhere
	weight float64
	at     int    // its place in the files
	source string // of its record
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
					out = append(out, sample{Moment{Said: []engine.Spoken{{Player: true, Text: l.You}}, Blend: []Share{{p, x.W}, {q, 1 - x.W}}}, x.Text, rung, x.W, len(out), r.Source})
				}
				rung++
			}
		case corpus.Grid:
			for _, x := range r.Replies {
				out = append(out, sample{Moment{Said: []engine.Spoken{{Player: true, Text: x.You}}, Blend: []Share{{r.Description(), 1}}}, x.Says, -1, 1, len(out), r.Source})
			}
		default:
			var said []engine.Spoken
			for _, t := range r.Turns {
				if t.Who == "b" {
					out = append(out, sample{Moment{r.Context, slices.Clone(said), blendOf(r, t)}, t.Text, -1, 1, len(out), r.Source})
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

// Run measures the model on records, and its rivals on the same replies.
func Run(ctx context.Context, m Model, records []corpus.Record, o Options) (*Report, error) {
	every := samples(records)
	if len(every) == 0 {
		return nil, &engine.Error{Code: engine.Invalid, Message: "the files hold no replies of a character", Hint: "give dialogue files with turns of b, grids or ladders"}
	}
	if o.Ranked == 0 {
		o.Ranked = 50
	}
	if o.Generate == 0 {
		o.Generate = 60
	}
	some, pool, near := spread(every, o.Replies), descriptions(every), bySource(every)
	done, total := 0, (1+len(o.Baselines))*(len(some)+min(o.Ranked, len(some))+min(o.Generate, len(some)))
	step := func() error {
		done++
		if o.Progress != nil {
			o.Progress(done, total)
		}
		return ctx.Err()
	}
	of := func(what any) (*Report, error) {
		r := &run{o: o, near: near, pool: pool, values: map[string]*column{}, rungs: map[int]map[float64]float64{}}
		r.score, _ = what.(Scorer)
		r.speak, _ = what.(Speaker)
		r.order, _ = what.(Ranker)
		r.heads, _ = what.(Heads)
		if err := r.measure(ctx, some, step); err != nil {
			return nil, err
		}
		return r.report(), nil
	}
	out, err := of(m)
	if err != nil {
		return nil, err
	}
	for _, b := range o.Baselines {
		r, err := of(b.Is)
		if err != nil {
			return nil, err
		}
		if out.Baselines == nil {
			out.Baselines = map[string]*Report{}
		}
		out.Baselines[b.Name] = r
	}
	return out, nil
}

func bySource(all []sample) map[string][]string {
	out := map[string][]string{}
	for _, s := range all {
		out[s.source] = append(out[s.source], s.reply)
	}
	return out
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

// run gathers observations by metric. What cannot do something is nil.
type run struct {
	score Scorer
	speak Speaker
	order Ranker
	heads Heads

	o       Options
	near    map[string][]string // every reply, by source
	pool    []string            // every description of the files
	values  map[string]*column
	said    []string // what was generated, sampled
	blends  [][2]float64
	ladders [][2]float64
	rungs   map[int]map[float64]float64 // ladders: by line and weight written, the weight estimated
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

func (r *run) hit(name string, ok bool) { r.add(name, one(ok), 1) }

func one(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

// measure takes every measurement of the samples that can be taken.
func (r *run) measure(ctx context.Context, some []sample, step func() error) error {
	for _, s := range some {
		if r.score != nil {
			r.predict(s)
		}
		r.choose(s)
		if err := step(); err != nil {
			return err
		}
	}
	for _, s := range spread(some, r.o.Ranked) {
		if r.score != nil {
			r.rank(s)
		}
		if err := step(); err != nil {
			return err
		}
	}
	for _, s := range spread(some, r.o.Generate) {
		if r.speak != nil {
			if err := r.generate(ctx, s); err != nil {
				return err
			}
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// predict scores the reply under its blend and under the null persona. A reply counts its whitespace words and one end.
func (r *run) predict(s sample) {
	words, bytes := float64(len(strings.Fields(s.reply))+1), float64(len(s.reply)+1)
	own := r.score.Score(s.Moment, []string{s.reply})[0].Sum
	r.add("nll_per_word", -own, words)
	r.add("bits_per_byte", -own/math.Ln2, bytes)
	if r.heads == nil {
		return
	}
	null := r.score.Score(Moment{s.Scene, s.Said, nil}, []string{s.reply})[0].Sum
	r.add("nll_per_word_null", -null, words)
	if s.rung < 0 {
		return
	}
	best, mean, mass := 0, 0.0, 0.0
	weights := []float64{0, 0.25, 0.5, 0.75, 1}
	scores := make([]float64, len(weights))
	for i, w := range weights {
		scores[i] = r.score.Score(Moment{s.Scene, s.Said, []Share{{s.Blend[0].Description, w}, {s.Blend[1].Description, 1 - w}}}, []string{s.reply})[0].Sum
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
	if r.rungs[s.rung] == nil {
		r.rungs[s.rung] = map[float64]float64{}
	}
	at := r.rungs[s.rung]
	at[s.weight] = mean / mass
	low, ok0 := at[0]
	middle, ok1 := at[0.5]
	high, ok2 := at[1]
	if ok0 && ok1 && ok2 && (s.weight == 0 || s.weight == 0.5 || s.weight == 1) { // the last of the three
		r.hit("ladder_between", low < middle && middle < high)
	}
}

// rivals draws what a sample competes with: 19 replies of its source that are not the same, and nine other descriptions of the files;
// fewer where there are no more. They are the same for everything that is measured.
func (r *run) rivals(s sample) (texts, people []string) {
	rng := rand.New(rand.NewPCG(r.o.Seed, uint64(s.at)+1<<32))
	texts = []string{s.reply}
	for tries := 0; len(texts) < 20 && tries < 50*20; tries++ {
		o := r.near[s.source][rng.IntN(len(r.near[s.source]))]
		if engine.Fold(o) != engine.Fold(s.reply) && !slices.Contains(texts, o) {
			texts = append(texts, o)
		}
	}
	if s.rung >= 0 || len(s.Blend) != 1 || len(r.pool) < 10 {
		return texts, nil
	}
	people = []string{s.Blend[0].Description}
	for len(people) < 10 {
		if d := r.pool[rng.IntN(len(r.pool))]; !slices.Contains(people, d) {
			people = append(people, d)
		}
	}
	return texts, people
}

// choose ranks the reply among 20 without likelihood, and its persona among 10 by the classifier.
func (r *run) choose(s sample) {
	texts, people := r.rivals(s)
	if r.order != nil && len(texts) == 20 {
		l := r.order.Rank(s.Moment, texts)
		r.hit("hits1_20", first(len(l), func(i int) float64 { return l[i] }))
	}
	if r.heads == nil {
		return
	}
	response, voice := r.heads.Response(texts)
	if len(texts) == 20 {
		want := r.heads.Want(s.Moment)
		r.hit("hits1_20", first(len(response), func(i int) float64 { return dot(want, response[i]) }))
	}
	if s.rung >= 0 {
		q := reward.Classify([][]float32{r.heads.Persona(s.Blend[0].Description), r.heads.Persona(s.Blend[1].Description)}, voice[0], r.heads.VoiceScale())
		r.blends = append(r.blends, [2]float64{s.weight, q[0]})
	}
	if people != nil {
		r.hit("persona_top1", first(len(people), func(i int) float64 { return dot(r.heads.Persona(people[i]), voice[0]) }))
	}
}

// rank ranks the reply among 20 by its mean log-likelihood a token and by mutual information with the moment (Li et al. 2016),
// log p(reply | moment) − log p(reply | nothing), summed and by token; and its persona among 10 by the reply's likelihood.
func (r *run) rank(s sample) {
	texts, people := r.rivals(s)
	if people != nil {
		likely := make([]float64, len(people))
		for i, d := range people {
			likely[i] = r.score.Score(Moment{s.Scene, s.Said, []Share{{d, 1}}}, texts[:1])[0].Sum
		}
		if slices.Min(likely) < slices.Max(likely) { // else it is deaf to personas
			r.hit("persona_top1_lm", first(len(likely), func(i int) float64 { return likely[i] }))
		}
	}
	if len(texts) < 20 {
		return
	}
	l := r.score.Score(s.Moment, texts)
	n := r.score.Score(Moment{}, texts)
	tokens := func(i int) float64 { return float64(max(1, l[i].Tokens)) }
	r.hit("hits1_20_lm", first(20, func(i int) float64 { return l[i].Sum / tokens(i) }))
	r.hit("hits1_20_mi", first(20, func(i int) float64 { return l[i].Sum - n[i].Sum }))
	r.hit("hits1_20_mi_token", first(20, func(i int) float64 { return (l[i].Sum - n[i].Sum) / tokens(i) }))
}

// generate answers the moment: greedily for f1, sampled for the rest.
func (r *run) generate(ctx context.Context, s sample) error {
	greedy, err := r.speak.Say(ctx, s.Moment, nil)
	if err != nil {
		return err
	}
	r.add("f1", f1(greedy, s.reply), 1)
	text, err := r.speak.Say(ctx, s.Moment, rand.New(rand.NewPCG(r.o.Seed, uint64(len(r.said)))))
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
