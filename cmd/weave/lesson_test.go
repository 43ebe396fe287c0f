package main

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// lines reads a file of JSON lines.
func lines[T any](t *testing.T, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var x T
		if err := json.Unmarshal(sc.Bytes(), &x); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, x)
	}
	return out
}

// A hundred answers to the lessons' free questions, written by somebody who had read the questions alone: right ones are
// accepted, wrong ones are not. -v tells which were judged otherwise; WEAVE_ANSWERS names another file.
func TestMeaningAnswers(t *testing.T) {
	t.Parallel()
	l, w := walking(t)
	path := "../../stories/testdata/answers.jsonl"
	if other := os.Getenv("WEAVE_ANSWERS"); other != "" {
		path = other
	}
	var right, accepted, wrong, taken int
	for _, x := range lines[struct {
		Story, Scene, Step, Answer string
		Right                      bool
	}](t, path) {
		s, err := l.Story(x.Story)
		if err != nil {
			t.Fatal(err)
		}
		sc, _ := s.Scene(x.Scene)
		var q *engine.Question
		for i := range sc.Steps {
			if sc.Steps[i].ID == x.Step {
				q = &sc.Steps[i].Question
			}
		}
		if q == nil {
			t.Fatalf("%s/%s has no step %q", x.Story, x.Scene, x.Step)
		}
		ok, err := w.engine.Right(t.Context(), q, x.Answer)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case x.Right:
			if right++; ok {
				accepted++
			}
		default:
			if wrong++; ok {
				taken++
			}
		}
		if ok != x.Right {
			t.Logf("%s/%s: %q is right: %v, judged: %v", x.Story, x.Step, x.Answer, x.Right, ok)
		}
	}
	t.Logf("%d of %d right answers accepted, %d of %d wrong ones", accepted, right, taken, wrong)
	if accepted*100 < right*90 || taken*100 > wrong*5 {
		t.Errorf("%d of %d right answers accepted, %d of %d wrong ones", accepted, right, taken, wrong)
	}
}

// Forty talks at the two desks, labelled by somebody who judged the lines as a trainer would: the reports agree with the labels in
// most. -v tells where they do not.
func TestReportsAgreeWithTrainers(t *testing.T) {
	t.Parallel()
	l, w := walking(t)
	agree, all := map[string]int{}, 0
	talks := lines[struct {
		Story                     string
		Lines                     []string
		Calm, Clarity, Resolution string
	}](t, "../../stories/testdata/desk-talks.jsonl")
	for i, x := range talks {
		s, err := l.Story(x.Story)
		if err != nil {
			t.Fatal(err)
		}
		talk, err := w.engine.Start(t.Context(), x.Story, 1)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range x.Lines {
			if talk.State().Ended != "" {
				break
			}
			if talk, err = w.engine.Turn(t.Context(), talk, line, int64(n), func(engine.Event) {}); err != nil {
				t.Fatal(err)
			}
		}
		all++
		for _, m := range s.Report {
			want := map[string]string{"calm": x.Calm, "clarity": x.Clarity, "resolution": x.Resolution}[m.ID]
			got := "poor"
			if m.Score(talk.State()) >= 6 {
				got = "good"
			}
			if got == want {
				agree[m.ID]++
			} else {
				t.Logf("talk %d (%s): %s is %s, scored %.1f", i+1, x.Story, m.ID, want, m.Score(talk.State()))
			}
		}
	}
	t.Logf("of %d talks the report agrees on calm in %d, on clarity in %d, on resolution in %d", all, agree["calm"], agree["clarity"], agree["resolution"])
	for id, n := range agree {
		if n*100 < all*65 {
			t.Errorf("%s agrees in %d of %d", id, n, all)
		}
	}
}
