package reward

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/personaweave/personaweave/engine"
)

// wordMind reads a text as its bag of words: texts that share words are near in every head.
type wordMind struct {
	engine.Mind
	logprob float64
	broken  error
}

func bagOf(text string) []float32 {
	v, sum := make([]float32, 256), 0.0
	for w := range strings.FieldsSeq(engine.Fold(text)) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(w))
		v[h.Sum32()%256]++
	}
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(max(sum, 1e-9)))
	}
	return v
}

func (m wordMind) Readings(_ context.Context, texts []string, _ bool) ([]engine.Reading, error) {
	out := make([]engine.Reading, len(texts))
	for i, t := range texts {
		out[i] = engine.Reading{Response: bagOf(t), Voice: bagOf(t), Line: bagOf(t)}
	}
	return out, m.broken
}

func (m wordMind) Score(_ context.Context, _ engine.Prompt, texts []string) ([]float64, error) {
	out := make([]float64, len(texts))
	for i := range out {
		out[i] = m.logprob
	}
	return out, m.broken
}

// oneLine is a retriever that has one example.
type oneLine struct {
	engine.Retriever
	e engine.StoredExample
}

func (o oneLine) Nearest(response []float32, _ map[string]float64, not string) (engine.Found, bool) {
	if o.e.Says == not {
		return engine.Found{}, false
	}
	return engine.Found{StoredExample: &o.e, Score: dot(response, bagOf(o.e.Says))}, true
}

var near = cmpopts.EquateApprox(0, 1e-6)

func TestClassify(t *testing.T) {
	t.Parallel()
	// e^2/(e^2+e^0+e^-2) by hand
	a, b := []float32{1, 0}, []float32{0, 1}
	got := Classify([][]float32{a, b, {-1, 0}}, []float32{1, 0}, 2)
	z := math.E*math.E + 1 + 1/(math.E*math.E)
	if diff := cmp.Diff([]float64{math.E * math.E / z, 1 / z, 1 / (math.E * math.E) / z}, got, near); diff != "" {
		t.Error(diff)
	}
}

// A 70/30 reply should look 70/30: agreement is 1 − the total variation distance.
func TestAgreement(t *testing.T) {
	t.Parallel()
	a, b, rival := []float32{1, 0, 0}, []float32{0, 1, 0}, []float32{0, 0, 1}
	j := &Judge{Scale: 12}
	c := engine.Case{Voices: [][]float32{a, b}, Rivals: [][]float32{rival}, Prompt: engine.Prompt{Blend: []engine.Weighted{{ID: "a", Weight: 0.7}, {ID: "b", Weight: 0.3}}}}
	mixed := []float32{0.5, 0.5 - float32(math.Log(7.0/3)/12), -0.5}
	if got := j.agreement(c, mixed); math.Abs(got-1) > 1e-3 {
		t.Errorf("a voice of the blend's own mixture agrees %.3f, want 1", got)
	}
	if pure, wrong := j.agreement(c, a), j.agreement(c, rival); math.Abs(pure-0.7) > 0.01 || wrong > 0.01 {
		t.Errorf("one side alone agrees %.3f (want 0.7), a rival %.3f (want 0)", pure, wrong)
	}
	if got := j.agreement(engine.Case{}, a); got != 0 {
		t.Errorf("without a persona agreement is %v", got)
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	c := engine.Case{Used: map[string]bool{engine.Fold("Mind the third rung."): true}, Prompt: engine.Prompt{Turns: []engine.Spoken{{Player: true, Text: "where does the river go at night"}}}}
	for text, want := range map[string]float64{
		"Mind the third rung!":                    -1,
		"A fresh line about something else.":      0,
		"Where does the river go at night?":       -1,
		"no no no no no no":                       -(1 - 1.0/6),
		"the river goes where it likes, at night": 0,
	} {
		if got := repetition(text, c); math.Abs(got-want) > 1e-6 {
			t.Errorf("repetition of %q is %.3f, want %.3f", text, got, want)
		}
	}
	whole := "Maps of the streets that the water took."
	for text, worse := range map[string]bool{"Yes.": true, "I see it.": true, "Maps of the streets that": true, strings.Repeat("word ", 60) + ".": true, whole: false, "“Go on then,” she said.": false} {
		if got := length(text); got > 0 || got < -1 || worse != (got < 0) {
			t.Errorf("length costs %.2f for %q", got, text)
		}
	}
	if coherence(-9) != 0 || coherence(0) != 1 || coherence(-3) != 0.5 {
		t.Errorf("coherence of −9, 0, −3: %v %v %v", coherence(-9), coherence(0), coherence(-3))
	}
}

func TestJudgePrefers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	j := &Judge{Mind: wordMind{logprob: -2}, Retriever: oneLine{e: engine.StoredExample{Example: engine.Example{Says: "the maps are dry"}}}, W: DefaultWeights(), Scale: 12}
	c := engine.Case{Want: bagOf("the maps are in the cabinet"), Voices: [][]float32{bagOf("maps cabinet dry")}, Rivals: [][]float32{bagOf("boat sea tide")},
		Prompt: engine.Prompt{Blend: []engine.Weighted{{ID: "wren", Weight: 1}}}, Distance: 0.9, Goals: []engine.Goal{{ID: "g", ReachedLike: []string{"the cabinet is open and the maps are yours"}}}}
	k := []engine.Candidate{
		{Text: "The maps are in the cabinet, dry as ever.", Source: engine.Generated, LogProb: -1.5},
		{Text: "The boat rides the tide to sea.", Source: engine.Generated, LogProb: -1.5},
		{Text: "The cabinet is open and the maps are yours.", Source: engine.Retrieved},
		{Text: "the maps are dry", Source: engine.Retrieved},
	}
	if err := j.Judge(ctx, c, k, make([]engine.Found, len(k))); err != nil {
		t.Fatal(err)
	}
	if k[0].Total <= k[1].Total {
		t.Errorf("off topic and out of voice is worth %.2f, on topic %.2f", k[1].Total, k[0].Total)
	}
	if k[2].ClosesGoal < 0.8 || k[1].ClosesGoal > 0.3 || k[2].Rewards.Goal != k[2].ClosesGoal {
		t.Errorf("the goal falls by %.2f for the goal's own line, by %.2f for another", k[2].ClosesGoal, k[1].ClosesGoal)
	}
	if k[0].Nearest != "the maps are dry" || k[0].Likeness <= 0 || k[3].Nearest != "" {
		t.Errorf("nearest lines: %q (%.2f); a written line's own: %q", k[0].Nearest, k[0].Likeness, k[3].Nearest)
	}
	if k[2].LogProb != -2 {
		t.Errorf("a found line's likelihood is %v", k[2].LogProb)
	}
	for _, x := range k {
		if math.Abs(x.Total-x.Rewards.Dot(j.W)) > 1e-9 {
			t.Errorf("%q: total %.3f is not the weighted sum %.3f", x.Text, x.Total, x.Rewards.Dot(j.W))
		}
	}
	j.Mind = wordMind{broken: errors.New("the model is gone")}
	if err := j.Judge(ctx, c, k, make([]engine.Found, len(k))); err == nil {
		t.Error("a model that fails is not told")
	}
}

func TestDistanceFallsTowardTheGoal(t *testing.T) {
	t.Parallel()
	tr := NewTracker(wordMind{})
	g := &engine.Goal{ID: "open", ReachedLike: []string{"the cabinet is open, the maps are yours"}}
	talk := []engine.Spoken{{Player: true, Text: "hello there"}, {Text: "we keep birds upstairs"}, {Player: true, Text: "what about that cabinet"}, {Text: "the cabinet stays shut"}, {Player: true, Text: "please"}, {Text: "very well: the cabinet is open, the maps are yours"}}
	var got []float64
	for n := 0; n <= len(talk); n += 2 {
		d, err := tr.Distance(t.Context(), g, talk[:n])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d)
	}
	if got[0] != 1 || !(got[1] > got[2] || got[1] == 1) || got[3] > 0.1 || got[2] <= got[3] {
		t.Errorf("the distance goes %v", got)
	}
	if d, err := tr.Distance(t.Context(), &engine.Goal{}, talk); d != 1 || err != nil {
		t.Errorf("a goal without lines is %v away (%v)", d, err)
	}
}

func TestIntents(t *testing.T) {
	t.Parallel()
	tr := NewTracker(wordMind{})
	s := &engine.Story{Intents: map[string]engine.Intent{
		"open": {Like: []string{"open the cabinet", "unlock the cabinet please"}, Unlike: []string{"what is in the cabinet"}},
		"bye":  {Like: []string{"goodbye", "i have to go now"}},
	}}
	for line, want := range map[string]map[string]bool{
		"open the cabinet!":         {"open": true},
		"pls open that cabinet":     {"open": true},
		"whats is in the cabinet?":  {},
		"i have to go now, goodbye": {"bye": true},
		"do you like cheese":        {},
		"":                          {},
	} {
		got, err := tr.Intents(t.Context(), s, line)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
	if got, err := tr.Intents(t.Context(), &engine.Story{}, "hello"); len(got) != 0 || err != nil {
		t.Errorf("a story without intents: %v, %v", got, err)
	}
}

func TestMood(t *testing.T) {
	t.Parallel()
	tr := NewTracker(wordMind{})
	for line, want := range map[string]string{"i hate you": "angry", "LET ME IN THERE": "angry", "haha ok": "funny", "thank you so much": "warm", "why is that?": "curious", "my dog died": "sad", "hurry!!": "urgent", "the door is blue": "calm", "": "calm"} {
		if got, err := tr.Mood(t.Context(), []engine.Spoken{{Player: true, Text: line}}); got != want || err != nil {
			t.Errorf("%q is %s (%v), want %s", line, got, err, want)
		}
	}
}
