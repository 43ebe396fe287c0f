package engine_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/personaweave/personaweave/engine"
)

// mind is a stand-in for the model: what it says depends on the prompt and the seed alone, as the real one's does.
type mind struct {
	mu      sync.Mutex
	prompts []engine.Prompt
	fail    error
}

func vec(text string) []float32 {
	h := fnv.New64a()
	h.Write([]byte(text))
	v := make([]float32, 256)
	v[h.Sum64()%256] = 1
	return v
}

func (m *mind) Model() string  { return "fake" }
func (m *mind) Kernel() string { return "fake" }
func (m *mind) Read(_ context.Context, p engine.Prompt) ([]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prompts = append(m.prompts, p)
	return vec(p.Name), m.fail
}
func (m *mind) Draft(_ context.Context, p engine.Prompt, n int, seed uint64) ([]engine.Draft, error) {
	var out []engine.Draft
	for i := range n {
		out = append(out, engine.Draft{Text: fmt.Sprintf("%s says %d after %d turns (no%d).", p.Name, seed%1000, len(p.Turns), i), Finished: true, LogProb: -2})
	}
	return out, nil
}
func (m *mind) Score(_ context.Context, _ engine.Prompt, texts []string) ([]float64, error) {
	return make([]float64, len(texts)), nil
}
func (m *mind) Readings(_ context.Context, texts []string, _ bool) ([]engine.Reading, error) {
	out := make([]engine.Reading, len(texts))
	for i, s := range texts {
		out[i] = engine.Reading{Response: vec(s), Voice: vec(s), Line: vec(s)}
	}
	return out, nil
}
func (m *mind) PersonaVector(_ context.Context, d string) ([]float32, error) { return vec(d), nil }
func (m *mind) Tidy(context.Context, engine.Prompt) error                    { return nil }

// shelf finds the lines it was given.
type shelf []string

func (s shelf) Retrieve(_ context.Context, q engine.Query, m int) ([]engine.Found, error) {
	var out []engine.Found
	for _, line := range s {
		if !q.Used[engine.Fold(line)] && len(out) < m {
			out = append(out, engine.Found{StoredExample: &engine.StoredExample{Example: engine.Example{Says: line, Persona: "wren"}, Response: vec(line), Voice: vec(line)}})
		}
	}
	return out, nil
}
func (s shelf) Demonstrate(context.Context, engine.Query, int) ([]engine.Exchange, error) {
	return nil, nil
}
func (s shelf) Nearest([]float32, map[string]float64, string) (engine.Found, bool) {
	return engine.Found{}, false
}
func (s shelf) Voices(string) ([]float32, int) { return nil, 0 }

// first prefers the earliest candidate.
type first struct{}

func (first) Judge(_ context.Context, _ engine.Case, c []engine.Candidate, _ []engine.Found) error {
	for i := range c {
		c[i].Total = float64(-i)
	}
	return nil
}
func (first) Weights() engine.Rewards { return engine.Rewards{Classifier: 1} }

// words takes an intent for said when the line holds its id.
type words struct{}

func (words) Intents(_ context.Context, s *engine.Story, line string) (map[string]bool, error) {
	out := map[string]bool{}
	for id := range s.Intents {
		if strings.Contains(line, id) {
			out[id] = true
		}
	}
	return out, nil
}
func (words) Distance(context.Context, *engine.Goal, []engine.Spoken) (float64, error) {
	return 0.5, nil
}
func (words) Mood(context.Context, []engine.Spoken) (string, error) { return "calm", nil }

// Means takes a line for a meaning when it holds one of the words the meaning is like.
func (words) Means(_ context.Context, in *engine.Intent, line string) (bool, error) {
	for _, w := range in.Like {
		if strings.Contains(line, w) {
			return true, nil
		}
	}
	return false, nil
}

// rule is a condition in Go.
type rule func(engine.Facts) bool

func (r rule) Holds(f engine.Facts) (bool, error) { return r(f), nil }
func (r rule) String() string                     { return "rule" }

type content struct {
	stories  []*engine.Story
	personas []*engine.Persona
}

func (c content) Stories() []*engine.Story { return c.stories }
func (c content) Story(id string) (*engine.Story, error) {
	for _, s := range c.stories {
		if s.ID == id {
			return s, nil
		}
	}
	return nil, &engine.Error{Code: engine.NotFound, Message: "no story"}
}
func (c content) Personas() []*engine.Persona { return c.personas }
func (c content) Persona(id string) (*engine.Persona, error) {
	for _, p := range c.personas {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, &engine.Error{Code: engine.NotFound, Message: "no persona " + id}
}

// memory is a Store in memory.
type memory struct {
	mu       sync.Mutex
	session  engine.Session
	branches []engine.Branch
	nodes    []engine.Node
	learner  engine.Learner
	full     bool
}

var errFull = errors.New("disk full")

func (m *memory) add(parent int64, nodes []*engine.Node) error {
	if m.full {
		return errFull
	}
	for _, n := range nodes {
		n.ID, n.Session, n.Parent = int64(len(m.nodes)+1), 1, parent
		m.nodes = append(m.nodes, *n)
		parent = n.ID
	}
	m.session.Head = parent
	return nil
}
func (m *memory) Create(_ context.Context, story string, seed uint64, nodes []*engine.Node) (engine.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = engine.Session{ID: 1, Story: story, Seed: seed, Branch: "main"}
	err := m.add(0, nodes)
	return m.session, err
}
func (m *memory) Sessions(context.Context, string) ([]engine.Session, error) {
	return []engine.Session{m.session}, nil
}
func (m *memory) Session(context.Context, int64) (engine.Session, error) { return m.session, nil }
func (m *memory) Rename(context.Context, int64, string) error            { return nil }
func (m *memory) Delete(context.Context, int64) error                    { return nil }
func (m *memory) Path(_ context.Context, _, head int64) ([]engine.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []engine.Node
	for id := head; id != 0; id = m.nodes[id-1].Parent {
		out = append(out, m.nodes[id-1])
	}
	slices.Reverse(out)
	return out, nil
}
func (m *memory) Append(_ context.Context, _, parent int64, nodes []*engine.Node) (engine.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.add(parent, nodes)
	return m.session, err
}
func (m *memory) SetHead(_ context.Context, _, head int64) (engine.Session, error) {
	m.session.Head = head
	return m.session, nil
}
func (m *memory) Children(_ context.Context, _, parent int64) ([]engine.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []engine.Node
	for _, n := range m.nodes {
		if n.Parent == parent {
			out = append(out, n)
		}
	}
	return out, nil
}
func (m *memory) Branches(context.Context, int64) ([]engine.Branch, error) { return m.branches, nil }
func (m *memory) Fork(_ context.Context, _ int64, name string, head int64) (engine.Session, error) {
	m.branches = append(m.branches, engine.Branch{Name: name, Head: head})
	m.session.Branch, m.session.Head = name, head
	return m.session, nil
}
func (m *memory) Learner(context.Context) (engine.Learner, error) { return m.learner, nil }
func (m *memory) KeepLearner(_ context.Context, l engine.Learner) error {
	m.learner = l
	return nil
}
func (m *memory) Switch(context.Context, int64, string) (engine.Session, error) {
	return m.session, nil
}

// house is a small story in two rooms.
func house() *engine.Story {
	return &engine.Story{
		ID: "house", Title: "House", Cast: []string{"wren", "hale"},
		Intents: map[string]engine.Intent{"map": {}, "leave": {}, "seal": {}},
		Endings: map[string]engine.Ending{"away": {Title: "Away", Narrate: "You go."}},
		Scenes: []engine.Scene{
			{ID: "hall", Setting: "A hall.", Opening: "Lamps.", Present: []string{"wren", "hale"},
				Goals: []engine.Goal{{ID: "map", ReachedLike: []string{"take it"}, Done: rule(func(f engine.Facts) bool { return f.Flag["map"] == true })}},
				Beats: []engine.Beat{
					{ID: "hall/1", When: rule(func(f engine.Facts) bool { return f.Said["seal"] }), Narrate: "Wax cracks.", Blend: map[string]engine.Blend{"wren": {"wren": 0.6, "hale": 0.4}}, Cause: "you broke the seal", Set: map[string]any{"trust": "-1"}},
					{ID: "hall/2", When: rule(func(f engine.Facts) bool { return f.Said["map"] }), Set: map[string]any{"map": true}},
					{ID: "hall/3", When: rule(func(f engine.Facts) bool { return f.Said["leave"] }), Goto: "boat"},
				}},
			{ID: "boat", Setting: "A boat.", Opening: "Water.", Present: []string{"hale"},
				Beats: []engine.Beat{{ID: "boat/1", When: rule(func(f engine.Facts) bool { return f.Said["leave"] }), Goto: "end:away"}}},
		},
	}
}

type world struct {
	*engine.Engine
	mind  *mind
	store *memory
}

func play(t *testing.T) (*world, *engine.Talk) {
	t.Helper()
	w := &world{mind: &mind{}, store: &memory{}}
	w.Engine = engine.New(engine.Deps{
		Content: content{[]*engine.Story{house()}, []*engine.Persona{
			{ID: "wren", Name: "Wren Aldous", Tagline: "Librarian", Description: "a librarian"},
			{ID: "hale", Name: "Captain Hale", Tagline: "Captain", Description: "a captain"}}},
		Store: w.store, Mind: w.mind, Retriever: shelf{"Mind the third rung.", "Maps are dry."}, Judge: first{}, Tracker: words{},
		Clock: func() time.Time { return time.Unix(1, 0) },
	})
	talk, err := w.Start(context.Background(), "house", 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w, talk
}

// say takes a turn and returns the talk after it and what was emitted.
func (w *world) say(t *testing.T, talk *engine.Talk, line string) (*engine.Talk, []engine.Event) {
	t.Helper()
	var events []engine.Event
	talk, err := w.Turn(context.Background(), talk, line, 1, func(e engine.Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	return talk, events
}
