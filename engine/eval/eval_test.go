package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/corpus"
)

// oracle gives every word of a reply the same probability, and knows by name who says what.
type oracle struct {
	perWord float64 // probability of a word
	favour  float64 // what a blend near the right one adds to a reply's log-likelihood
}

func vector(text string) []float32 {
	h := uint32(2166136261)
	for _, b := range []byte(text) {
		h = (h ^ uint32(b)) * 16777619
	}
	r := rand.New(rand.NewPCG(uint64(h), 0))
	v := make([]float32, 64)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// weightOf is the weight that a reply "… @0.25" of a ladder was written at.
func weightOf(text string) (w float64) {
	if _, after, ok := strings.Cut(text, "@"); ok {
		fmt.Sscan(after, &w)
	}
	return w
}

func (o oracle) Score(m Moment, texts []string) (out []Likelihood) {
	for _, t := range texts {
		n := len(strings.Fields(t)) + 1
		s := float64(n) * math.Log(o.perWord)
		if len(m.Blend) == 2 {
			s -= o.favour * math.Abs(m.Blend[0].Weight-weightOf(t))
		}
		if len(m.Blend) == 1 && strings.HasPrefix(t, m.Blend[0].Description+" ") {
			s += 1
		}
		out = append(out, Likelihood{s, n})
	}
	return out
}
func (o oracle) Want(m Moment) []float32 { return vector(m.Said[len(m.Said)-1].Text) }
func (o oracle) Response(texts []string) (a, b [][]float32) {
	for _, t := range texts {
		line := t
		if _, after, ok := strings.Cut(t, "answers "); ok {
			line = after
		}
		who, _, _ := strings.Cut(t, " ")
		v := vector(who)
		if strings.Contains(t, "@") {
			v = make([]float32, 64)
			for i, p := range vector("P") {
				v[i] = float32(weightOf(t))*p + float32(1-weightOf(t))*vector("Q")[i]
			}
		}
		a, b = append(a, vector(line)), append(b, v)
	}
	return a, b
}
func (o oracle) Persona(d string) []float32 { return vector(d) }
func (o oracle) VoiceScale() float64        { return 0.05 }
func (o oracle) Say(_ context.Context, m Moment, chance *rand.Rand) (string, error) {
	if chance == nil {
		return "one two three four", nil
	}
	return "again and again and again and", nil
}

func grids(people, lines int) (out []corpus.Record) {
	for p := range people {
		r := corpus.Record{Source: "test", Persona: fmt.Sprint("p", p), B: []string{fmt.Sprint("who", p)}}
		for l := range lines {
			line := fmt.Sprintf("line %d of %d", l, p)
			r.Replies = append(r.Replies, corpus.Exchange{You: line, Says: fmt.Sprintf("who%d answers %s", p, line)})
		}
		out = append(out, r)
	}
	return out
}

func TestGrid(t *testing.T) {
	t.Parallel()
	r, err := Run(context.Background(), oracle{perWord: 0.01}, grids(12, 4), Options{Seed: 1, Ranked: 48})
	if err != nil {
		t.Fatal(err)
	}
	// Seven words and an end: who, answers, line, l, of, p make six; one end. Each costs ln 100, and a nat is won a reply.
	words := 7.0
	if want := math.Log(100) - 1/words; math.Abs(r.NLL.Value-want) > 1e-9 || math.Abs(r.PPL.Value-math.Exp(want)) > 1e-6 {
		t.Errorf("nll %v, ppl %v, want %v", r.NLL.Value, r.PPL.Value, want)
	}
	if math.Abs(r.NLLNull.Value-math.Log(100)) > 1e-9 {
		t.Errorf("null %v", r.NLLNull.Value)
	}
	if r.Hits.Value != 1 || r.Hits.N != 48 || r.Persona.Value != 1 || r.HitsLM == nil || r.F1.N != 48 || r.Repeats.Value != 1 {
		t.Errorf("%+v %+v %+v %+v", r.Hits, r.Persona, r.HitsLM, r.Repeats)
	}
	if r.PersonaLM.Value != 1 || r.PersonaLM.N != 48 {
		t.Errorf("likelihood names the persona: %+v", r.PersonaLM)
	}
	if r.LadderCorr != nil || r.LadderBetween != nil || r.Blend != nil {
		t.Error("grids gave values of ladders")
	}
	// Of "again and again and again and", five pairs a reply, two are different.
	if want := 2.0 / (5 * 48); math.Abs(r.Distinct2.Value-want) > 1e-9 {
		t.Errorf("distinct2 %v, want %v", r.Distinct2.Value, want)
	}
	var text, js bytes.Buffer
	if err := r.Text(&text); err != nil || !strings.Contains(text.String(), "right persona of 10") {
		t.Error(text.String(), err)
	}
	if err := json.NewEncoder(&js).Encode(r); err != nil || !strings.Contains(js.String(), `"nll_per_word":{"value":`) {
		t.Error(js.String(), err)
	}
	again, err := Run(context.Background(), oracle{perWord: 0.01}, grids(12, 4), Options{Seed: 1, Ranked: 48})
	if err != nil {
		t.Fatal(err)
	}
	var js2 bytes.Buffer
	if err := json.NewEncoder(&js2).Encode(again); err != nil || js.String() != js2.String() {
		t.Error("the same seed gave other values")
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	r := corpus.Record{Source: "test", Personas: map[string]corpus.Speaker{"p": {ID: "p", Description: "P"}, "q": {ID: "q", Description: "Q"}}}
	for l := range 6 {
		x := corpus.Rung{You: fmt.Sprint("line ", l)}
		for _, w := range []float64{0, 0.25, 0.5, 0.75, 1} {
			x.Replies = append(x.Replies, corpus.Mixed{W: w, Text: fmt.Sprintf("reply %d @%g", l, w)})
		}
		r.Lines = append(r.Lines, x)
	}
	out, err := Run(context.Background(), oracle{perWord: 0.1, favour: 100}, []corpus.Record{r}, Options{Seed: 2, Generate: 1, Ranked: 1})
	if err != nil {
		t.Fatal(err)
	}
	if out.LadderBetween.Value != 1 || out.LadderBetween.N != 6 {
		t.Errorf("the middle is between: %+v", out.LadderBetween)
	}
	if out.LadderArg.Value != 1 || out.LadderCorr.Value < 0.999 || out.Blend.Value < 0.999 || out.LadderArg.N != 30 {
		t.Errorf("%+v %+v %+v", out.LadderArg, out.LadderCorr, out.Blend)
	}
}

// A model that likes short words whatever was said: likelihood chooses "a a a a", mutual information what fits the moment.
type glib struct{ oracle }

func (g glib) Score(m Moment, texts []string) (out []Likelihood) {
	for _, t := range texts {
		l := Likelihood{-float64(len(t)), len(strings.Fields(t)) + 1}
		if len(m.Said) > 0 && strings.HasSuffix(t, "answers "+m.Said[0].Text) {
			l.Sum += 5
		}
		out = append(out, l)
	}
	return out
}

func TestMutualInformation(t *testing.T) {
	t.Parallel()
	records := grids(12, 4)
	for i := range 30 {
		r := corpus.Record{Source: "test", Persona: "p", B: []string{"glib"}}
		r.Replies = append(r.Replies, corpus.Exchange{You: "x", Says: "a a a a " + string(rune('a'+i))})
		records = append(records, r)
	}
	every := samples(records)
	r := &run{o: Options{Seed: 1}, near: bySource(every), pool: descriptions(every), score: glib{}, values: map[string]*column{}}
	for _, s := range every[:48] {
		r.rank(s)
	}
	report := r.report()
	if report.HitsLM.Value > 0.1 || report.HitsMI.Value != 1 || report.HitsMIToken.Value != 1 || report.HitsMI.N != 48 {
		t.Errorf("likelihood %+v, mutual information %+v, a token %+v", report.HitsLM, report.HitsMI, report.HitsMIToken)
	}
	if report.PersonaLM != nil {
		t.Error("glib hears personas")
	}
}

func TestNothingToMeasure(t *testing.T) {
	t.Parallel()
	if _, err := Run(context.Background(), oracle{perWord: 0.1}, nil, Options{}); err == nil {
		t.Fatal("no records gave a report")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, oracle{perWord: 0.1}, grids(3, 3), Options{}); err == nil {
		t.Fatal("a cancelled run gave a report")
	}
}

// Hand values: ranks 1, 2.5, 2.5, 4 against 4, 3, 2, 1 (Spearman with ties), and a known overlap.
func TestHandValues(t *testing.T) {
	t.Parallel()
	if got := spearman([]float64{1, 2, 2, 3}, []float64{9, 8, 7, 6}); math.Abs(got - -0.9486832980505138) > 1e-12 {
		t.Errorf("spearman %v", got)
	}
	if got := pearson([]float64{1, 2, 3}, []float64{2, 4, 7}); math.Abs(got-0.9933992677987828) > 1e-12 {
		t.Errorf("pearson %v", got)
	}
	if got := f1("The cat sat.", "the cat ran off"); math.Abs(got-4.0/7) > 1e-12 {
		t.Errorf("f1 %v", got)
	}
	low, high := interval(1, 100, func(p []int) float64 {
		s := 0.0
		for _, i := range p {
			s += float64(i % 2)
		}
		return s / 100
	})
	if low < 0.35 || low > 0.45 || high < 0.55 || high > 0.65 { // a fair coin of 100 throws: 0.5 ± 0.098
		t.Errorf("interval %v %v", low, high)
	}
}
