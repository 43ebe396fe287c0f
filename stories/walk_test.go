package stories_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/stories"
)

// player is everything an engine needs beside its content, in memory and without a model: characters say next to nothing, and
// what the player means is told by likeness of words.
type player struct{}

func (player) Model() string  { return "none" }
func (player) Kernel() string { return "none" }
func (player) Read(context.Context, engine.Prompt) ([]float32, error) {
	return make([]float32, 256), nil
}
func (player) Draft(_ context.Context, _ engine.Prompt, n int, _ uint64) ([]engine.Draft, error) {
	return slices.Repeat([]engine.Draft{{Text: "Mm.", Finished: true}}, n), nil
}
func (player) Score(_ context.Context, _ engine.Prompt, texts []string) ([]float64, error) {
	return make([]float64, len(texts)), nil
}
func (player) Readings(_ context.Context, texts []string, _ bool) ([]engine.Reading, error) {
	v := make([]float32, 256)
	return slices.Repeat([]engine.Reading{{Response: v, Voice: v, Line: v}}, len(texts)), nil
}
func (player) PersonaVector(context.Context, string) ([]float32, error) {
	return make([]float32, 256), nil
}
func (player) Tidy(context.Context, engine.Prompt) error { return nil }
func (player) Retrieve(context.Context, engine.Query, int) ([]engine.Found, error) {
	return nil, nil
}
func (player) Demonstrate(context.Context, engine.Query, int) ([]engine.Exchange, error) {
	return nil, nil
}
func (player) Nearest([]float32, map[string]float64, string) (engine.Found, bool) {
	return engine.Found{}, false
}
func (player) Voices(string) ([]float32, int) { return nil, 0 }
func (player) Judge(context.Context, engine.Case, []engine.Candidate, []engine.Found) error {
	return nil
}
func (player) Weights() engine.Rewards { return engine.Rewards{} }

// Intents takes a line for an intent when half of the words are those of a line it is like, more than of any near miss.
func (player) Intents(_ context.Context, s *engine.Story, line string) (map[string]bool, error) {
	out := map[string]bool{}
	for id, in := range s.Intents {
		if like := nearest(line, in.Like); like >= 0.6 && like > nearest(line, in.Unlike) {
			out[id] = true
		}
	}
	return out, nil
}

func nearest(line string, lines []string) float64 {
	best := 0.0
	for _, l := range lines {
		best = max(best, dice(line, l))
	}
	return best
}

// dice is the Sørensen–Dice likeness of the words of two lines.
func dice(a, b string) float64 {
	x, y := strings.Fields(engine.Fold(a)), strings.Fields(engine.Fold(b))
	slices.Sort(x)
	slices.Sort(y)
	x, y = slices.Compact(x), slices.Compact(y)
	both := 0
	for _, w := range x {
		if slices.Contains(y, w) {
			both++
		}
	}
	if len(x)+len(y) == 0 {
		return 0
	}
	return 2 * float64(both) / float64(len(x)+len(y))
}

func (player) Distance(context.Context, *engine.Goal, []engine.Spoken) (float64, error) {
	return 0.5, nil
}
func (player) Mood(context.Context, []engine.Spoken) (string, error) { return "calm", nil }
func (player) Means(_ context.Context, in *engine.Intent, line string) (bool, error) {
	like := nearest(line, in.Like)
	return like >= 0.6 && like > nearest(line, in.Unlike), nil
}

// shelf is a Store that only grows; a walk asks nothing else of it.
type shelf struct {
	engine.Store
	nodes   int64
	session engine.Session
}

func (s *shelf) Create(ctx context.Context, story string, seed uint64, nodes []*engine.Node) (engine.Session, error) {
	s.session = engine.Session{ID: 1, Story: story, Seed: seed, Branch: "main"}
	return s.Append(ctx, 1, 0, nodes)
}
func (s *shelf) Append(_ context.Context, _, parent int64, nodes []*engine.Node) (engine.Session, error) {
	for _, n := range nodes {
		s.nodes++
		n.ID, n.Session, n.Parent = s.nodes, 1, parent
		parent = n.ID
	}
	s.session.Head = parent
	return s.session, nil
}

func (s *shelf) Learner(context.Context) (engine.Learner, error)   { return engine.Learner{}, nil }
func (s *shelf) KeepLearner(context.Context, engine.Learner) error { return nil }

// walk plays a walkthrough and tells how it went.
func walk(t *testing.T, l *stories.Library, story string, w stories.Walkthrough) {
	t.Helper()
	p := player{}
	e := engine.New(engine.Deps{Content: l, Store: &shelf{}, Mind: p, Retriever: p, Judge: p, Tracker: p})
	t.Cleanup(e.Close)
	ctx := context.Background()
	talk, err := e.Start(ctx, story, 1)
	if err != nil {
		t.Fatal(err)
	}
	var trail []string
	for i, line := range w.Lines {
		if end := talk.State().Ended; end != "" {
			t.Fatalf("%q ends (%s) before line %d, %q\n%s", w.Name, end, i+1, line, strings.Join(trail, "\n"))
		}
		if talk, err = e.Turn(ctx, talk, line, int64(i+1), func(engine.Event) {}); err != nil {
			t.Fatal(err)
		}
		st := talk.State()
		var meant []string
		for id := range st.Said {
			meant = append(meant, id)
		}
		slices.Sort(meant)
		trail = append(trail, "  "+line+" ("+strings.Join(meant, ", ")+") → "+st.Scene)
	}
	if got := talk.State().Ended; got != w.Ending {
		t.Errorf("%q ends in %q, want %q\n%s", w.Name, got, w.Ending, strings.Join(trail, "\n"))
	}
}

func TestScaffoldWalksToItsEndings(t *testing.T) {
	t.Parallel()
	text, err := stories.NewStory("first-steps")
	if err != nil {
		t.Fatal(err)
	}
	l, err := stories.OpenFS(fstest.MapFS{"library/first-steps.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	ways := l.Walkthroughs("first-steps")
	if len(ways) != 2 {
		t.Fatalf("%d walkthroughs, want 2", len(ways))
	}
	for _, w := range ways {
		walk(t, l, "first-steps", w)
	}
}
