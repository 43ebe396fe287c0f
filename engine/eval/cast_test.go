package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// stand answers for the sailor, the baker and the judge: what it finds is in voice, what it makes is the baker's whoever speaks, and
// from the tenth turn of a talk on it says one thing.
type stand struct{ asked []engine.Moment }

func (s *stand) Say(_ context.Context, m engine.Moment) (*engine.Reply, error) {
	s.asked = append(s.asked, m)
	id := m.Prompt.Blend[0].ID
	own := map[string]string{"sailor": "Aye, salt on the deck.", "baker": "Flour for the dough.", "judge": "Order, says the law."}[id]
	out := &engine.Reply{Candidates: []engine.Candidate{
		{Text: "Warm flour and dough from the oven.", Source: engine.Generated, Total: 1},
		{Text: "the dough rises, you see, and rises, and the dough rises", Source: engine.Generated, Total: 0.5},
		{Text: own + " " + m.Said, Source: engine.Retrieved, Total: 2, Of: id}}, Chosen: 2}
	if m.Found < 0 {
		out.Candidates, out.Chosen = out.Candidates[:2], 0
	}
	if len(m.Prompt.Turns) > 18 {
		out.Candidates[out.Chosen].Text = "Warm flour and dough from the oven."
	}
	return out, nil
}

// shelf finds one line by words alone.
type shelf struct{ engine.Retriever }

func (shelf) Retrieve(_ context.Context, q engine.Query, m int) ([]engine.Found, error) {
	if q.Want != nil || q.Line != nil || m != 1 {
		return nil, errors.New("the model took part")
	}
	for id := range q.Personas {
		return []engine.Found{{StoredExample: &engine.StoredExample{Example: engine.Example{Says: map[string]string{"sailor": "Rope and tide.", "baker": "An oven.", "judge": "In this court."}[id]}}}}, nil
	}
	return nil, nil
}

func cast() *Cast {
	c := &Cast{Sayer: &stand{}, Learn: speakers(40), Texts: []string{"Today: warm flour, and dough; from the oven!", "Warm flour"}, Finder: shelf{}, Untuned: oracle{perWord: 1}}
	for i := range 30 {
		c.Lines, c.Chat = append(c.Lines, fmt.Sprint("held line ", i)), append(c.Chat, fmt.Sprint("other line ", i))
	}
	for who, says := range map[string]string{"sailor": "The tide and the rope.", "baker": "My oven, my flour.", "judge": "I know the law of this court."} {
		c.Roles = append(c.Roles, Role{ID: who, Name: who, Description: "the " + who, Scene: "A quay."})
		c.Authored = append(c.Authored, Reply{Persona: who, You: "who are you", Source: Authored, Text: says})
	}
	slices.SortFunc(c.Roles, func(a, b Role) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(c.Authored, func(a, b Reply) int { return strings.Compare(a.Persona, b.Persona) })
	return c
}

func TestCast(t *testing.T) {
	t.Parallel()
	c := cast()
	told := 0
	r, replies, err := c.Run(context.Background(), CastOptions{Seed: 1, Replies: 30, Progress: func(done, of int) {
		if told++; done != told || of != 30 {
			t.Errorf("%d of %d after %d", done, of, told)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if told != 30 || r.Personas != 3 || r.Authored.N != 3 || r.Authored.Value != 1 || r.Shown.Value != 1 || r.Shown.N != 30 || r.ShownRatio.Value != 1 {
		t.Errorf("shown: %+v %+v %+v", r.Authored, r.Shown, r.ShownRatio)
	}
	// What it makes is the baker's for all three.
	for _, v := range []*Value{r.Generated, r.GeneratedRatio, r.Unretrieved} {
		if math.Abs(v.Value-1.0/3) > 1e-9 || v.N != 30 || v.Low < 0.1 || v.High > 0.6 || v.Low >= v.Value || v.High <= v.Value {
			t.Errorf("generated: %+v", v)
		}
	}
	if r.Retrieved.Value != 1 || r.Found.Value != 1 || r.Untuned.N != 30 || r.TalkDrift != nil || r.TalkRepeats != nil {
		t.Errorf("%+v %+v %+v", r.Retrieved, r.Found, r.Untuned)
	}
	// The best has seven words and stands in a written line; the other does not and says "the dough rises" twice.
	if r.Copied.Value != 1 || r.CopiedDrafts.Value != 0.5 || r.Repeats.Value != 0 {
		t.Errorf("copies %+v, of all %+v, repeats %+v", r.Copied, r.CopiedDrafts, r.Repeats)
	}
	each := map[string]int{}
	for _, x := range replies {
		if x.Source == Shown {
			each[x.Persona]++
			if !x.Retrieved || !strings.HasSuffix(x.Text, x.You) {
				t.Errorf("%+v", x)
			}
		}
	}
	if each["baker"] != 10 || each["judge"] != 10 || each["sailor"] != 10 {
		t.Errorf("not even: %v", each)
	}
	m := c.Sayer.(*stand).asked[0]
	if p := m.Prompt; p.Scene != "A quay." || p.Strength != 1 || p.Name != p.Blend[0].ID || p.Blend[0].Weight != 1 || len(p.Turns) != 1 || p.Turns[0].Text != m.Said || m.Distance != -1 || m.Drafts != 0 || m.Found != 0 {
		t.Errorf("not as play asks: %+v", m)
	}
	again, other, err := cast().Run(context.Background(), CastOptions{Seed: 1, Replies: 30})
	if err != nil || !slices.Equal(replies, other) {
		t.Fatal("the same seed said other things", err)
	}
	var a, b bytes.Buffer
	if err := errors.Join(json.NewEncoder(&a).Encode(r), json.NewEncoder(&b).Encode(again), r.Text(&b)); err != nil || !strings.HasPrefix(b.String(), a.String()) {
		t.Error("the same seed measured otherwise", err)
	}
}

func TestTalks(t *testing.T) {
	t.Parallel()
	c := cast()
	c.Finder, c.Untuned = nil, nil
	r, replies, err := c.Run(context.Background(), CastOptions{Seed: 1, Replies: 3, Talks: 3, Turns: 30})
	if err != nil {
		t.Fatal(err)
	}
	// From turn 10 on it says the baker's one line: said once, it repeats 20 of 30 times; the probes at turn 20 are all the baker's.
	if want := 20.0 / 30; math.Abs(r.TalkRepeats.Value-want) > 1e-9 || r.TalkRepeats.N != 90 {
		t.Errorf("repeats %+v, want %v", r.TalkRepeats, want)
	}
	if r.TalkFresh.Value != 1 || math.Abs(r.TalkLate.Value-1.0/3) > 1e-9 || math.Abs(r.TalkDrift.Value+2.0/3) > 1e-9 || r.TalkDrift.N != 30 {
		t.Errorf("turn 1 %+v, 20 %+v, drift %+v", r.TalkFresh, r.TalkLate, r.TalkDrift)
	}
	if r.TalkTriples.Value < 0.6 || r.TalkTriples.Value > 0.95 || r.Unretrieved != nil || r.Untuned != nil {
		t.Errorf("triples %+v", r.TalkTriples)
	}
	asked := map[Source]map[string][]string{Fresh: {}, Late: {}, Talked: {}}
	for _, x := range replies {
		if asked[x.Source] != nil {
			asked[x.Source][x.Persona] = append(asked[x.Source][x.Persona], x.You)
		}
	}
	for _, who := range c.Roles {
		fresh, talk := asked[Fresh][who.ID], asked[Talked][who.ID]
		if len(fresh) != 10 || !slices.Equal(fresh, asked[Late][who.ID]) || len(talk) != 30 || slices.ContainsFunc(talk, func(s string) bool { return slices.Contains(fresh, s) }) {
			t.Errorf("asked %v, then %v, in the talk %v", fresh, asked[Late][who.ID], talk)
		}
	}
	longest := 0
	for _, m := range c.Sayer.(*stand).asked {
		longest = max(longest, len(m.Prompt.Turns))
	}
	if longest != 59 { // 29 lines and answers, and one line
		t.Errorf("a talk of %d turns", longest)
	}
}

func TestCastStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := cast().Run(ctx, CastOptions{Replies: 3}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
	if _, _, err := (&Cast{}).Run(context.Background(), CastOptions{}); err == nil {
		t.Error("nobody was measured")
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	c := newTexts([]string{"I don’t know where the cat went.", "Ask again tomorrow"})
	for text, want := range map[string]bool{"Don't know where the cat": true, "know where the ca": false, "cat went ask again": false, "Ask again… tomorrow!": true} {
		if c.hold(text) != want {
			t.Errorf("%q is a copy: %v", text, !want)
		}
	}
}

// The quotient of two means, each with its own chance: 0.5 over 0.8, by the delta method ± 1.96·0.625·√(0.5/(0.5·200) + 0.2/(0.8·400)).
func TestOver(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	x, y := make([]float64, 200), make([]float64, 400)
	for i := range x {
		x[i] = float64(i % 2)
	}
	for i := range y {
		y[i] = one(i%5 > 0)
	}
	rng.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
	v := over(1, x, y)
	half := 1.96 * 0.625 * math.Sqrt(0.5/(0.5*200)+0.2/(0.8*400))
	if v.Value != 0.625 || math.Abs(v.High-v.Low-2*half) > 0.03 {
		t.Errorf("%+v, want 0.625 ± %v", v, half)
	}
	if over(1, x, nil) != nil || over(1, nil, y) != nil || over(1, x, []float64{0}) != nil {
		t.Error("a quotient of nothing")
	}
}
