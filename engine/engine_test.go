package engine_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/personaweave/personaweave/engine"
	"pgregory.net/rapid"
)

func TestTurnCommitsThePlayersLineBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	w.mind.fail = errors.New("model gone")
	after, err := w.Turn(context.Background(), talk, "hello", 1, func(engine.Event) {})
	if err == nil {
		t.Fatal("a broken model must be told")
	}
	if got := after.Path[len(after.Path)-1]; got.Kind != engine.Player || got.Text != "hello" || got.ID == 0 {
		t.Fatalf("the player's line is not kept: %+v", got)
	}
	w.mind.fail = nil
	again, err := w.Again(context.Background(), after, len(after.Path)-1, 2, func(engine.Event) {})
	if err != nil || again.LastReply() < 0 {
		t.Fatalf("the missing reply cannot be made: %v", err)
	}
}

func TestReplyHoldsEveryCandidateAndReplays(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	talk, events := w.say(t, talk, "hello")
	i := talk.LastReply()
	r := talk.Path[i].Reply
	if len(r.Candidates) != 10 { // 8 drafts, 2 found
		t.Fatalf("%d candidates stored, want 10", len(r.Candidates))
	}
	if r.Candidates[r.Chosen].Text != talk.Path[i].Text {
		t.Fatal("the stored choice is not the reply")
	}
	if _, ok := events[0].(engine.Committed); !ok {
		t.Fatalf("the first event is %T, want the player's line committed", events[0])
	}
	if _, same, err := w.Replay(context.Background(), talk, i); err != nil || !same {
		t.Fatalf("replay differs: %v", err)
	}
}

func TestWhoAnswers(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	for _, step := range []struct{ line, want string }{{"hello", "wren"}, {"captain, are you there", "hale"}, {"why?", "hale"}, {"Wren?", "wren"}} {
		talk, _ = w.say(t, talk, step.line)
		if got := talk.Path[talk.LastReply()].Speaker; got != step.want {
			t.Errorf("%q is answered by %s, want %s", step.line, got, step.want)
		}
	}
	talk, err := w.SetNext(context.Background(), talk, "captain")
	if err != nil {
		t.Fatal(err)
	}
	if talk, _ = w.say(t, talk, "Wren, what now"); talk.Path[talk.LastReply()].Speaker != "hale" {
		t.Error("/as is not obeyed")
	}
	if _, err := w.SetNext(context.Background(), talk, "nobody"); engine.CodeOf(err) != engine.NotFound {
		t.Errorf("an absent speaker is accepted: %v", err)
	}
}

func TestBlendMovesByBoundedStepsWithItsCause(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	talk, events := w.say(t, talk, "break the seal")
	var moved *engine.BlendMoved
	for _, e := range events {
		if m, ok := e.(engine.BlendMoved); ok {
			moved = &m
		}
	}
	if moved == nil || moved.Cause != "you broke the seal" {
		t.Fatalf("no move with its cause: %+v", moved)
	}
	want := []float64{0.85, 0.70, 0.60, 0.60}
	for i, v := range want {
		if got := talk.State().Blends["wren"]["wren"]; math.Abs(got-v) > 1e-9 {
			t.Errorf("turn %d: weight %.3f, want %.2f", i+1, got, v)
		}
		if got := talk.Path[talk.LastReply()].Reply.Blend["wren"]; math.Abs(got-v) > 1e-9 {
			t.Errorf("turn %d: the reply was made with %.3f, want %.2f", i+1, got, v)
		}
		talk, _ = w.say(t, talk, "Wren, and then?")
	}
	if talk.State().Flags["trust"] != -1.0 {
		t.Errorf("flag trust is %v, want −1", talk.State().Flags["trust"])
	}
}

func TestScenesGoalsAndEnding(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	talk, _ = w.say(t, talk, "give me the map") // a beat of this very turn does it
	if !talk.State().Done["map"] || talk.State().Goals["map"] != 0 {
		t.Errorf("the goal is not done: %+v", talk.State())
	}
	talk, _ = w.say(t, talk, "leave")
	if talk.State().Scene != "boat" || talk.Path[len(talk.Path)-1].Text != "Water." {
		t.Fatalf("not in the boat: %+v", talk.State())
	}
	talk, _ = w.say(t, talk, "go, leave now")
	if talk.State().Ended != "away" {
		t.Fatal("the story did not end")
	}
	if _, err := w.Turn(context.Background(), talk, "hello?", 9, func(engine.Event) {}); engine.CodeOf(err) != engine.Invalid {
		t.Errorf("a line after the ending: %v", err)
	}
	if md := w.Markdown(talk); !strings.Contains(md, "**You:** give me the map") || !strings.Contains(md, "*You go.*") {
		t.Errorf("transcript lacks lines:\n%s", md)
	}
}

func TestUndoRedoSwipeReturnWhereTheyWere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, talk := play(t)
	one, _ := w.say(t, talk, "hello")
	two, _ := w.say(t, one, "break the seal")
	back, err := w.Undo(ctx, two)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(one.Path, back.Path); d != "" {
		t.Errorf("undo is not where it was (-want +got):\n%s", d)
	}
	forth, err := w.Redo(ctx, back)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(two.Path, forth.Path); d != "" {
		t.Errorf("redo is not where it was:\n%s", d)
	}
	at := one.LastReply()
	other, err := w.Swipe(ctx, forth, at, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := other.Path[at]; got.Text != got.Reply.Candidates[3].Text || len(other.Path) != at+1 {
		t.Fatalf("swipe shows %q", got.Text)
	}
	home, err := w.Swipe(ctx, other, at, one.Path[at].Reply.Chosen)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(two.Path, home.Path); d != "" {
		t.Errorf("swiping back lost what followed:\n%s", d)
	}
	if _, err := w.Swipe(ctx, home, 0, 1); err == nil {
		t.Error("narration has candidates")
	}
}

func TestAgainIsASiblingWithAnotherSeed(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	talk, _ = w.say(t, talk, "hello")
	at := talk.LastReply()
	again, err := w.Again(context.Background(), talk, at, 2, func(engine.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	a, b := talk.Path[at], again.Path[at]
	if a.Parent != b.Parent || a.ID == b.ID || a.Reply.Seed == b.Reply.Seed || a.Text == b.Text {
		t.Errorf("again made %q (seed %d) of %q (seed %d)", b.Text, b.Reply.Seed, a.Text, a.Reply.Seed)
	}
}

func TestCommandsAreStoredAndUndone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, talk := play(t)
	set, err := w.SetBlend(ctx, talk, "", engine.Blend{"wren": 1, "hale": 1}, true)
	if err != nil || set.State().Blends["wren"]["hale"] != 0.5 {
		t.Fatalf("blend not set: %v %v", set.State().Blends, err)
	}
	robot, err := w.Become(ctx, set, "wren", "a sarcastic robot")
	if err != nil {
		t.Fatal(err)
	}
	robot, _ = w.say(t, robot, "hi")
	p := w.mind.prompts[len(w.mind.prompts)-1]
	if p.Name != "" || len(p.Blend) != 1 || p.Blend[0].Description != "a sarcastic robot" {
		t.Errorf("the model was asked as %q with %+v", p.Name, p.Blend)
	}
	if _, err := w.SetStrength(ctx, robot, math.NaN()); err == nil {
		t.Error("strength NaN accepted")
	}
	if _, err := w.SetBlend(ctx, robot, "", engine.Blend{"nobody": 1}, false); engine.CodeOf(err) != engine.NotFound {
		t.Errorf("unknown persona in a blend: %v", err)
	}
	undone, err := w.Undo(ctx, set)
	if err != nil || undone.State().Blends["wren"]["wren"] != 1 {
		t.Errorf("command not undone: %v", err)
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	w, talk := play(t)
	w.store.full = true
	after, err := w.Turn(context.Background(), talk, "hello", 1, func(engine.Event) {})
	if !errors.Is(err, errFull) || len(after.Path) != len(talk.Path) {
		t.Fatalf("err %v, path %d", err, len(after.Path))
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"  hi\tthere\n":                         "hi there",
		"\x1b[31mred\x1b[0m":                    "red",
		"\x1b]0;title\x07hello":                 "hello",
		"a\x00b\x07c":                           "abc",
		"\u202eevil\u202c":                      "evil",
		"שלום":                                  "שלום",
		"👩‍🚀🔥":                                  "👩‍🚀🔥",
		"e\u0301":                               "é",
		"\x9bbroken utf8 \xff\xfe but readable": "broken utf8 but readable",
	} {
		if got, _, err := engine.Clean(in); err != nil || got != want {
			t.Errorf("Clean(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "   ", "\n\n", "\x1b[2J", "\x00"} {
		if got, _, err := engine.Clean(in); engine.CodeOf(err) != engine.Invalid {
			t.Errorf("Clean(%q) = %q, %v; want a clear refusal", in, got, err)
		}
	}
	got, cut, err := engine.Clean(strings.Repeat("a mile of text ", 80000))
	if err != nil || !cut || utf8.RuneCountInString(got) > engine.MaxLine {
		t.Errorf("1 MB: %d characters, cut %v, %v", utf8.RuneCountInString(got), cut, err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("hi \x1b[31m there")
	f.Add("\x1b]8;;x\x1b\\y\x9b1m")
	f.Fuzz(func(t *testing.T, s string) {
		got, _, err := engine.Clean(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(got, "\x1b\x00\n\r\x07\u009b") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > engine.MaxLine {
			t.Fatalf("Clean(%q) = %q", s, got)
		}
		if twice, _, err := engine.Clean(got); err != nil || twice != got {
			t.Fatalf("not settled: %q then %q", got, twice)
		}
	})
}

func TestBlendProperties(t *testing.T) {
	t.Parallel()
	blends := rapid.Custom(func(t *rapid.T) engine.Blend {
		b := engine.Blend{}
		for _, id := range []string{"a", "b", "c"} {
			b[id] = rapid.Float64Range(0, 1).Draw(t, id)
		}
		b["a"] += 0.01
		n, err := b.Normal()
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
	rapid.Check(t, func(t *rapid.T) {
		from, to := blends.Draw(t, "from"), blends.Draw(t, "to")
		step := rapid.Float64Range(0.05, 0.5).Draw(t, "step")
		b := from
		for range int(1/step) + 2 {
			next := b.Toward(to, step)
			sum := 0.0
			for id, w := range next {
				sum += w
				if math.Abs(w-b[id]) > step+1e-9 || w < 0 {
					t.Fatalf("%v → %v moves more than %v", b, next, step)
				}
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Fatalf("weights sum to %v", sum)
			}
			b = next
		}
		if !b.Equal(to) {
			t.Fatalf("%v never reached %v", b, to)
		}
		set := from.Set("b", 0.4)
		if math.Abs(set["b"]-0.4) > 1e-9 {
			t.Fatalf("Set gives %v", set)
		}
		if back, err := engine.ParseBlend(from.String()); err != nil || len(back) == 0 {
			t.Fatalf("%q does not parse: %v", from, err)
		}
	})
	for _, bad := range []string{"", "a", "a=x", "a=-1", "a=0", "a=1,a=1", "=1", "a=NaN", "a=Inf"} {
		if b, err := engine.ParseBlend(bad); err == nil {
			t.Errorf("ParseBlend(%q) = %v", bad, b)
		}
	}
}
