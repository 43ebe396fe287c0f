package main

import (
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/reward"
	"github.com/personaweave/personaweave/stories"
)

// shipped is the library and a terse mind over the shipped model.
func shipped(t *testing.T) (*stories.Library, terse) {
	t.Helper()
	a := &app{out: io.Discard, errs: io.Discard}
	t.Cleanup(a.close)
	l, err := a.content()
	if err != nil {
		t.Fatal(err)
	}
	return l, terse{a.think(), map[string]engine.Reading{}}
}

// Every walkthrough arrives at its ending when the shipped model tells what its lines mean: the author's, and those of strangers.
func TestWalkthroughsWithTheModel(t *testing.T) {
	t.Parallel()
	a := &app{out: io.Discard, errs: io.Discard}
	t.Cleanup(a.close)
	l, err := a.content()
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.walker(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	for _, s := range l.Stories() {
		reached, strangers := map[string]bool{}, map[string]bool{}
		for _, x := range l.Walkthroughs(s.ID) {
			ended, trail, err := w.walk(t.Context(), s.ID, x.Lines)
			if err != nil {
				t.Fatal(err)
			}
			if ended != x.Ending {
				t.Errorf("%s, %q ends in %q, want %q%s", s.ID, x.Name, ended, x.Ending, trail)
			}
			if reached[ended] = true; x.Stranger {
				strangers[ended] = true
			}
		}
		for id := range s.Endings {
			if !reached[id] || !strangers[id] {
				t.Errorf("%s: the ending %q has a walkthrough: %v, a stranger's: %v", s.ID, id, reached[id], strangers[id])
			}
		}
	}
}

// Each written line of an intent is left out and asked about: about half must still mean their intent, and near misses, left out
// likewise, clearly less often. -v prints the counts.
func TestIntentsLeftOut(t *testing.T) {
	t.Parallel()
	l, mind := shipped(t)
	hit, like, miss, unlike := 0, 0, 0, 0
	for _, s := range l.Stories() {
		for id, in := range s.Intents {
			for side, lines := range [][]string{in.Like, in.Unlike} {
				for i, line := range lines {
					left := engine.Story{Intents: maps.Clone(s.Intents)}
					rest := slices.Delete(slices.Clone(lines), i, i+1)
					if side == 0 {
						left.Intents[id] = engine.Intent{Like: rest, Unlike: in.Unlike}
					} else {
						left.Intents[id] = engine.Intent{Like: in.Like, Unlike: rest}
					}
					got, err := reward.NewTracker(mind).Intents(t.Context(), &left, line)
					if err != nil {
						t.Fatal(err)
					}
					if side == 0 {
						like++
						if got[id] {
							hit++
						}
					} else {
						unlike++
						if got[id] {
							miss++
						}
					}
				}
			}
		}
	}
	t.Logf("%d of %d left-out lines mean their intent; %d of %d left-out near misses do", hit, like, miss, unlike)
	if hit*100 < like*45 || hit*100/like < miss*100/unlike+8 {
		t.Errorf("%d of %d left-out lines mean their intent; %d of %d left-out near misses do", hit, like, miss, unlike)
	}
}
