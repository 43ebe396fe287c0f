package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/persona"
	"github.com/personaweave/personaweave/engine/reward"
	"github.com/personaweave/personaweave/saves"
	"github.com/personaweave/personaweave/stories"
)

// terse is the shipped model with nothing to say: what a player means is told as in play, and replies cost nothing. It reads
// each text once.
type terse struct {
	*persona.Mind
	read map[string]engine.Reading
}

func (m terse) Readings(ctx context.Context, texts []string, player bool) ([]engine.Reading, error) {
	key := func(s string) string { return fmt.Sprint(player, s) }
	var missing []string
	for _, s := range texts {
		if _, ok := m.read[key(s)]; !ok {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		rs, err := m.Mind.Readings(ctx, missing, player)
		if err != nil {
			return nil, err
		}
		for i, s := range missing {
			m.read[key(s)] = rs[i]
		}
	}
	out := make([]engine.Reading, len(texts))
	for i, s := range texts {
		out[i] = m.read[key(s)]
	}
	return out, nil
}

func (terse) Read(context.Context, engine.Prompt) ([]float32, error) {
	return make([]float32, persona.Width), nil
}
func (terse) Draft(_ context.Context, _ engine.Prompt, n int, _ uint64) ([]engine.Draft, error) {
	return slices.Repeat([]engine.Draft{{Text: "Mm.", Finished: true}}, n), nil
}
func (terse) Score(_ context.Context, _ engine.Prompt, texts []string) ([]float64, error) {
	return make([]float64, len(texts)), nil
}
func (terse) Tidy(context.Context, engine.Prompt) error { return nil }

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

// Every walkthrough arrives at its ending when the shipped model tells what its lines mean.
func TestWalkthroughsWithTheModel(t *testing.T) {
	t.Parallel()
	l, mind := shipped(t)
	store, err := saves.Open(filepath.Join(t.TempDir(), "weave.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	none := persona.NewIndex(nil)
	e := engine.New(engine.Deps{Content: l, Store: store, Mind: mind, Retriever: none, Tracker: reward.NewTracker(mind),
		Judge: &reward.Judge{Mind: mind, Retriever: none, W: reward.DefaultWeights(), Scale: classifierScale}})
	t.Cleanup(e.Close)
	ctx := t.Context()
	for _, s := range l.Stories() {
		for _, w := range l.Walkthroughs(s.ID) {
			talk, err := e.Start(ctx, s.ID, 1)
			if err != nil {
				t.Fatal(err)
			}
			trail := ""
			for i, line := range w.Lines {
				if talk.State().Ended != "" {
					break
				}
				if talk, err = e.Turn(ctx, talk, line, int64(i), func(engine.Event) {}); err != nil {
					t.Fatal(err)
				}
				trail += "\n  " + line + " → " + talk.State().Scene
				for id := range talk.State().Said {
					trail += " " + id
				}
			}
			if got := talk.State().Ended; got != w.Ending {
				t.Errorf("%s, %q ends in %q, want %q%s", s.ID, w.Name, got, w.Ending, trail)
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
