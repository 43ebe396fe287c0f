package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Settings are the knobs of proposing and blending.
type Settings struct {
	Drafts   int     // K: candidates sampled from the decoder
	Found    int     // M: candidates found among the examples
	Shown    int     // demonstrations that the decoder sees
	Step     float64 // largest change of a blend weight in one turn
	Carry    int     // turns of the scene before that stay in the prompt when a scene begins
	Distance bool    // follow goal distance (needs a Tracker)
}

// DefaultSettings are the settings that play uses.
func DefaultSettings() Settings {
	return Settings{Drafts: 8, Found: 8, Shown: 3, Step: 0.15, Carry: 6, Distance: true}
}

// Deps are the implementations an Engine works with.
type Deps struct {
	Content   Content
	Store     Store
	Mind      Mind
	Retriever Retriever
	Judge     Judge
	Tracker   Tracker
	Clock     func() time.Time
	Settings  Settings
}

// Engine plays talks. Its methods may be called from any goroutine; turns are made one at a time.
type Engine struct {
	Deps
	mu      sync.Mutex   // one turn at a time
	turns   atomic.Int64 // turns begun
	tidying sync.WaitGroup
	warming atomic.Pointer[context.CancelFunc] // ends the last warm
}

// New returns an engine over its dependencies.
func New(d Deps) *Engine {
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Settings == (Settings{}) {
		d.Settings = DefaultSettings()
	}
	return &Engine{Deps: d}
}

// Close ends what is made ready ahead of turns and waits for work left between them.
func (e *Engine) Close() {
	if cancel := e.warming.Load(); cancel != nil {
		(*cancel)()
	}
	e.tidying.Wait()
}

// warm reads what the first turn of a talk needs while the player reads the screen: the story's intents, the scene, the persona.
// Nothing depends on it.
func (e *Engine) warm(t *Talk) {
	ctx, cancel := context.WithCancel(context.Background())
	if last := e.warming.Swap(&cancel); last != nil {
		(*last)()
	}
	before := e.turns.Load()
	e.tidying.Go(func() {
		defer cancel()
		st := t.State().Clone()
		sc, ok := t.Story.Scene(st.Scene)
		if !ok || len(sc.Present) == 0 {
			return
		}
		p, err := e.prompt(t, st, e.answerer(sc, &st, ""))
		if err == nil && e.Ready(ctx) == nil && e.mu.TryLock() {
			if e.turns.Load() == before { // else the model has read on
				_, _ = e.Mind.Read(ctx, p)
			}
			e.mu.Unlock()
		}
		_, _ = e.Tracker.Intents(ctx, t.Story, "")
	})
}

// Start begins a story in its first scene.
func (e *Engine) Start(ctx context.Context, story string, seed uint64) (*Talk, error) {
	s, err := e.Content.Story(story)
	if err != nil {
		return nil, err
	}
	if len(s.Scenes) == 0 {
		return nil, &Error{Code: Invalid, Message: fmt.Sprintf("the story %q has no scenes", story), Hint: "weave story check names what is missing"}
	}
	st := State{Strength: 1, Visits: map[string]int{}, Flags: map[string]any{}, Fired: map[string]bool{}, Moods: map[string]string{}}
	if s.Kind == KindLesson {
		known, err := e.Store.Learner(ctx)
		if err != nil {
			return nil, err
		}
		st.Lesson = &Lesson{Mastery: known.Mastery, Pace: known.Pace}
		if manner, ok := s.Pace[known.Pace]; ok {
			for who, b := range manner.Blend {
				st.Targets, st.Blends, st.Causes = put(st.Targets, who, b), put(st.Blends, who, b), put(st.Causes, who, manner.Cause)
			}
		}
	}
	opening := e.enter(&Talk{Story: s, Session: Session{Seed: seed}}, &st, &s.Scenes[0])
	session, err := e.Store.Create(ctx, story, seed, opening)
	if err != nil {
		return nil, err
	}
	t := &Talk{Story: s, Session: session}
	for _, n := range opening {
		t.Path = append(t.Path, *n)
	}
	e.warm(t)
	return t, nil
}

// Resume returns to a session exactly where it was left.
func (e *Engine) Resume(ctx context.Context, id int64) (*Talk, error) {
	session, err := e.Store.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	t, err := e.load(ctx, session)
	if err == nil {
		e.warm(t)
	}
	return t, err
}

func (e *Engine) load(ctx context.Context, session Session) (*Talk, error) {
	s, err := e.Content.Story(session.Story)
	if err != nil {
		return nil, &Error{Code: NotFound, Message: fmt.Sprintf("this save belongs to the story %q, which is not in the library", session.Story),
			Hint: "put its file back into the stories folder; the save is kept", Err: nil}
	}
	path, err := e.Store.Path(ctx, session.ID, session.Head)
	if err != nil {
		return nil, err
	}
	t := &Talk{Story: s, Session: session, Path: path}
	if t.Scene() == nil {
		return nil, &Error{Code: Incompatible, Message: fmt.Sprintf("the scene %q is no longer in %q", t.State().Scene, s.Title),
			Hint: "start the story anew; the save is kept"}
	}
	return t, nil
}

// enter moves the state into a scene and returns its opening as a node, and the first question of a lesson as another.
func (e *Engine) enter(t *Talk, st *State, sc *Scene) []*Node {
	st.Scene, st.Turn, st.Said, st.Next = sc.ID, 0, nil, ""
	st.Visits = put(st.Visits, sc.ID, st.Visits[sc.ID]+1)
	st.Goals, st.Done = map[string]float64{}, map[string]bool{}
	for _, g := range sc.Goals {
		st.Goals[g.ID] = 1
	}
	for _, who := range sc.Present {
		target, ok := sc.Blend[who]
		if !ok {
			target = Pure(who)
			if len(st.Targets[who]) > 0 {
				target = st.Targets[who]
			}
		}
		st.Targets = put(st.Targets, who, target)
		if len(st.Blends[who]) == 0 {
			st.Blends = put(st.Blends, who, target)
		}
	}
	if !slices.Contains(sc.Present, st.Speaker) {
		st.Speaker = ""
	}
	nodes := []*Node{{Kind: Narration, Text: sc.Opening, State: st.Clone(), Created: e.Clock()}}
	if c := e.lesson(t, sc, st); c != nil {
		if ask := c.begin(); ask != "" {
			nodes = append(nodes, e.line(st, c.speaker, ask))
		}
		nodes[0].State = st.Clone()
	}
	return nodes
}

// line is a character's line that its author wrote for this moment.
func (e *Engine) line(st *State, speaker, text string) *Node {
	st.Speaker = speaker
	return &Node{Kind: Character, Speaker: speaker, Text: text, State: st.Clone(), Created: e.Clock()}
}

func put[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[k] = v
	return m
}

// append stores nodes below the talk's head and returns the longer talk.
func (e *Engine) append(ctx context.Context, t *Talk, nodes ...*Node) (*Talk, error) {
	parent := int64(0)
	if len(t.Path) > 0 {
		parent = t.Path[len(t.Path)-1].ID
	}
	session, err := e.Store.Append(ctx, t.Session.ID, parent, nodes)
	if err != nil {
		return nil, err
	}
	return t.with(session, nodes...), nil
}

// describe is the text the Persona Encoder reads for a persona of a blend.
func (e *Engine) describe(st State, id string) (string, error) {
	if text, ok := st.Become[id]; ok {
		return text, nil
	}
	p, err := e.Content.Persona(id)
	if err != nil {
		return "", err
	}
	return p.Description, nil
}

// prompt gathers what a reply by speaker depends on.
func (e *Engine) prompt(t *Talk, st State, speaker string) (Prompt, error) {
	p := Prompt{Strength: st.Strength}
	if _, other := st.Become[speaker]; !other {
		who, err := e.Content.Persona(speaker)
		if err != nil {
			return p, err
		}
		p.Name = who.ShortName()
	}
	blend := st.Blends[speaker]
	if len(blend) == 0 {
		blend = Pure(speaker)
	}
	for _, id := range blend.IDs() {
		text, err := e.describe(st, id)
		if err != nil {
			return p, err
		}
		p.Blend = append(p.Blend, Weighted{ID: id, Description: text, Weight: blend[id]})
	}
	sc, ok := t.Story.Scene(st.Scene)
	if !ok {
		return p, &Error{Code: NotFound, Message: fmt.Sprintf("the story has no scene %q", st.Scene), Hint: "weave story check finds such gaps"}
	}
	p.Scene = e.setting(sc, st)
	p.Turns = e.spoken(t, st.Scene)
	return p, nil
}

// setting is turn 0: the place and who is present, with a few words on each.
func (e *Engine) setting(sc *Scene, st State) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(sc.Setting))
	for _, id := range sc.Present {
		if _, other := st.Become[id]; other {
			continue
		}
		if p, err := e.Content.Persona(id); err == nil {
			fmt.Fprintf(&b, " %s, %s, is here.", p.Name, lowerFirst(strings.TrimRight(p.Tagline, ".")))
		}
	}
	return strings.TrimSpace(b.String())
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && !(s[1] >= 'A' && s[1] <= 'Z') {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// spoken lists what was said in this visit to the scene, and a few turns before it.
func (e *Engine) spoken(t *Talk, scene string) []Spoken {
	start := len(t.Path)
	for start > 0 && t.Path[start-1].State.Scene == scene {
		start--
	}
	for carried := 0; start > 0 && carried < e.Settings.Carry; start-- {
		if k := t.Path[start-1].Kind; k == Player || k == Character {
			carried++
		}
	}
	var out []Spoken
	for _, n := range t.Path[start:] {
		switch n.Kind {
		case Player:
			out = append(out, Spoken{Player: true, Text: n.Text})
		case Character:
			name := n.Speaker
			if p, err := e.Content.Persona(n.Speaker); err == nil {
				name = p.ShortName()
			}
			out = append(out, Spoken{Name: name, Text: n.Text})
		}
	}
	return out
}

// used collects the replies already said on the path, folded, so that none is said twice.
func used(t *Talk) map[string]bool {
	out := map[string]bool{}
	for _, n := range t.Path {
		if n.Kind == Character {
			out[Fold(n.Text)] = true
		}
	}
	return out
}

// Fold reduces a line to what makes two lines the same: lower-case letters and digits.
func Fold(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127)
	}), " ")
}

// seed derives the seed of a reply from the session's seed, its place on the path and how many replies stand there already.
func seed(base uint64, depth, attempt int) uint64 {
	h := fnv.New64a()
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], base)
	binary.LittleEndian.PutUint64(b[8:], uint64(depth))
	binary.LittleEndian.PutUint64(b[16:], uint64(attempt))
	h.Write(b[:])
	return h.Sum64()
}

// unit scales v to length 1 in place and returns it.
func unit(v []float32) []float32 {
	s := 0.0
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	if s > 0 {
		f := float32(1 / math.Sqrt(s))
		for i := range v {
			v[i] *= f
		}
	}
	return v
}
