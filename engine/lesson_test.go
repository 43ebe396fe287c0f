package engine_test

import (
	"context"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/personaweave/personaweave/engine"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"3/4": "3/4", "its 3/4 i think": "3/4", "0.75": "3/4", ".75": "3/4", "75%": "3/4", "75 percent": "3/4", "three quarters": "3/4", "3 quarters": "3/4",
		"three fourths": "3/4", "a half": "1/2", "half": "1/2", "1 1/2": "3/2", "one and a half": "3/2", "2 and 1/4": "9/4", "twelve": "12", "twenty-five": "25",
		"two hundred": "200", "three over four": "3/4", "2/4 + 1/4 = 3/4": "1/2 1/4 3/4", "no idea": "", "1/0": "", "4 apples and 5 pears": "4 5", "an apple": "",
		"six eighths": "3/4", "99999999999999999999999999": "",
	} {
		var got []string
		for _, n := range engine.Numbers(line) {
			got = append(got, n.RatString())
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"3/4", "a half and 1 1/2", "twenty-five%", "../..", "1//2", "0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range engine.Numbers(s) {
			if n == nil {
				t.Fatal("nil")
			}
		}
	})
}

// school is a lesson of three questions in one scene, and an ending for those who know.
func school() *engine.Story {
	q := func(ask string, n int64) engine.Question {
		return engine.Question{Ask: engine.Wording{"": ask, "hale": strings.ToUpper(ask)}, Accept: []engine.Answer{{Number: big.NewRat(n, 1)}, {Meaning: &engine.Intent{Like: []string{"sure"}}}},
			Explain: engine.Wording{"": "It is so."}}
	}
	again := q("Two and two again?", 4)
	return &engine.Story{ID: "school", Title: "School", Kind: engine.KindLesson, Cast: []string{"wren", "hale"},
		Skills: []engine.Skill{{ID: "adding", Title: "adding"}},
		Pace: map[engine.Pace]engine.Manner{engine.Struggling: {Blend: map[string]engine.Blend{"wren": engine.Pure("wren")}, Cause: "slower"},
			engine.Steady: {Blend: map[string]engine.Blend{"wren": engine.Pure("wren")}, Cause: "steady"}, engine.Flying: {Blend: map[string]engine.Blend{"wren": engine.Pure("hale")}, Cause: "faster"}},
		Voices: map[string]engine.Voice{"wren": {Right: []string{"Yes."}, Wrong: []string{"No."}, Again: []string{"Once more."}, Skip: []string{"So be it."}},
			"hale": {Right: []string{"AYE!"}, Wrong: []string{"NO!"}, Again: []string{"AGAIN!"}, Skip: []string{"HA!"}}},
		Endings: map[string]engine.Ending{"done": {Title: "Done", Narrate: "The bell rings."}},
		Scenes: []engine.Scene{{ID: "class", Setting: "A room.", Opening: "Chalk.", Present: []string{"wren"}, Steps: []engine.Step{
			{ID: "one", Skill: "adding", Question: q("Two and two?", 4), Hints: []engine.Wording{{"": "Count."}, {"": "More than three."}}, Review: &again,
				Misses: []engine.Miss{{Answers: []engine.Answer{{Number: big.NewRat(22, 1)}}, Say: engine.Wording{"": "Not side by side."}}}},
			{ID: "two", Skill: "adding", Question: q("Two and three?", 5), Hints: []engine.Wording{{"": "Count."}}, Right: engine.Wording{"": "Five it is."}},
			{ID: "three", Skill: "adding", Question: q("Two and four?", 6), Hints: []engine.Wording{{"": "Count."}}},
		}, Beats: []engine.Beat{{ID: "class/over", When: rule(func(f engine.Facts) bool { return f.Lesson != nil && f.Lesson.Over }), Goto: "end:done"}}}},
	}
}

// lesson plays lines in the school and returns what was said after each, and the talk.
func lesson(t *testing.T, w *world, lines ...string) ([]string, *engine.Talk) {
	t.Helper()
	w.Content = content{[]*engine.Story{school()}, w.Content.(content).personas}
	talk, err := w.Start(context.Background(), "school", 7)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{talk.Path[len(talk.Path)-1].Text}
	for _, line := range lines {
		before := len(talk.Path)
		talk, _ = w.say(t, talk, line)
		var texts []string
		for _, n := range talk.Path[before+1:] {
			texts = append(texts, n.Text)
		}
		out = append(out, strings.Join(texts, " | "))
	}
	return out, talk
}

func TestALessonAsksHintsExplainsAndComesBack(t *testing.T) {
	t.Parallel()
	w, _ := play(t)
	got, talk := lesson(t, w, "22", "3", "5?", "seven", "hint", "five", "6", "i'm sure, 3? no 4")
	want := []string{"Two and two?", "Not side by side.", "No. Count.", "No. More than three.", "No. It is so. | Two and three?", "Count.", "Five it is. | Two and four?",
		"Yes. | Once more. Two and two again?",
		"Yes. | The bell rings. | How it went: 1 of 3 right at once, 1 after a second look. Missed at first and right when it came back: adding. How sure you are by now: adding 78%."}
	got[len(got)-1] = got[len(got)-1][:strings.LastIndex(got[len(got)-1], " ")] + " 78%."
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if talk.State().Ended != "done" || w.store.learner.Lessons != 1 || w.store.learner.Mastery["adding"] <= 0.3 {
		t.Errorf("ended %q, kept %+v", talk.State().Ended, w.store.learner)
	}
}

func TestALessonsMannerFollowsTheLearner(t *testing.T) {
	t.Parallel()
	w, _ := play(t)
	// Three right at once: the captain's manner, and it is kept for the next lesson.
	got, talk := lesson(t, w, "4", "5", "6")
	if b := talk.State().Blends["wren"]; b["hale"] <= 0 || !strings.Contains(got[3], "The bell rings.") {
		t.Errorf("after three right answers the blend is %v, and %q was said", b, got[3])
	}
	if w.store.learner.Pace != engine.Flying {
		t.Errorf("the learner is kept as %q", w.store.learner.Pace)
	}
	if got, _ := lesson(t, w); got[0] != "TWO AND TWO?" {
		t.Errorf("the next lesson begins with %q", got[0])
	}
}

func TestTalkInALessonIsAnsweredByTheModel(t *testing.T) {
	t.Parallel()
	w, _ := play(t)
	got, talk := lesson(t, w, "why do i need this?", "ok", "skip")
	if !strings.HasPrefix(got[1], "Wren says") || !strings.HasSuffix(got[2], "Two and two?") || !strings.HasPrefix(got[3], "So be it. It is so.") {
		t.Errorf("%q", got)
	}
	if at := talk.LastReply(); talk.Path[at].Reply != nil {
		t.Error("the tutor's question has candidates")
	} else if _, err := w.Again(context.Background(), talk, at, 1, func(engine.Event) {}); engine.CodeOf(err) != engine.Invalid {
		t.Errorf("an author's line was made again: %v", err)
	}
}

func TestAReportStatesItsRules(t *testing.T) {
	t.Parallel()
	w, _ := play(t)
	s := house()
	shout := rule(func(f engine.Facts) bool { return f.Line.Capitals > 0.6 })
	s.Report = []engine.Measure{{ID: "calm", Title: "Calm", Start: 5, Rules: []engine.Rule{{When: shout, Add: -2, Because: "you shouted", Repeat: true},
		{When: rule(func(f engine.Facts) bool { return f.Said["map"] }), Add: 1, Because: "you asked"}}}}
	w.Content = content{[]*engine.Story{s}, w.Content.(content).personas}
	talk, err := w.Start(context.Background(), "house", 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"THE map OF THE HOUSE", "A map, LOUDER AND LOUDER", "leave", "leave"} {
		talk, _ = w.say(t, talk, line)
	}
	want := "Calm: 2 of 10, from 5; -4 you shouted (line 1, 2); +1 you asked (line 1)."
	if got := talk.Path[len(talk.Path)-1].Text; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

func TestExploreTellsWhatCannotBeReached(t *testing.T) {
	t.Parallel()
	s := house()
	s.Endings["never"] = engine.Ending{Title: "Never", When: rule(func(f engine.Facts) bool { return f.Flag["unset"] == true })}
	c, err := engine.Explore(s, 2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Scenes["boat"] || !c.Goals["map"] || !c.Endings["away"] || c.Endings["never"] {
		t.Errorf("%+v", c)
	}
	if c, err := engine.Explore(school(), 5000, 1); err != nil || !c.Endings["done"] {
		t.Errorf("the school: %+v, %v", c, err)
	}
}
