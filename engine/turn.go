package engine

import (
	"context"
	"slices"
	"time"
)

// Turn takes a player's line to a reply, in the order of the design: clean, commit, track, follow the story's rules, choose
// who answers and move the blend, propose, judge, commit. It streams events through emit, from this goroutine, and returns
// the talk with the new nodes. What was committed before an error stays: the returned talk is never nil, and holds it.
func (e *Engine) Turn(ctx context.Context, t *Talk, line string, turn int64, emit func(Event)) (*Talk, error) {
	e.turns.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.State().Ended != "" {
		return t, &Error{Code: Invalid, Message: "this story has ended", Hint: "undo to go back, or start it anew from the library"}
	}
	said, cut, err := Clean(line)
	if err != nil {
		return t, err
	}
	if cut {
		emit(Noticed{TurnOf{turn}, "that was long: only its beginning was kept"})
	}
	st := t.State().Clone()
	st.Turn++
	player := &Node{Kind: Player, Text: said, State: st, Created: e.Clock()}
	longer, err := e.append(ctx, t, player)
	if err != nil {
		return t, err
	}
	t = longer
	emit(Committed{TurnOf{turn}, *player})
	return e.answer(ctx, t, turn, 0, emit)
}

// answer follows the rules after the player's line at the head, unless they have been followed already, and makes a reply.
func (e *Engine) answer(ctx context.Context, t *Talk, turn int64, attempt int, emit func(Event)) (*Talk, error) {
	head := t.Path[len(t.Path)-1]
	st := head.State.Clone()
	said := lastLine(t)
	ask := "" // the question of a lesson, after a reply to talk
	if head.Kind == Player {
		if err := e.track(ctx, t, &st, said, turn, emit); err != nil {
			return t, err
		}
		var nodes []*Node
		taught := false
		if sc, ok := t.Story.Scene(st.Scene); ok && st.Lesson != nil && !st.Lesson.Over && st.Lesson.Step < len(sc.Steps) {
			if c := e.lesson(t, sc, &st); c != nil {
				reaction, next, answered, err := c.teach(ctx, said, func() { e.step(&st, c.speaker, turn, emit) })
				if err != nil {
					return t, err
				}
				if taught, ask = answered, next; taught {
					st.Said = nil // an answer is an answer, whatever else it might mean
					nodes = append(nodes, e.line(&st, c.speaker, reaction))
				}
			}
		}
		more, moved, err := e.follow(t, &st, turn, emit)
		if err != nil {
			return t, err
		}
		if nodes = append(nodes, more...); taught && !moved && ask != "" {
			nodes = append(nodes, e.line(&st, st.Speaker, ask))
		}
		if len(nodes) > 0 {
			longer, err := e.append(ctx, t, nodes...)
			if err != nil {
				return t, err
			}
			t = longer
			for _, n := range nodes {
				emit(Committed{TurnOf{turn}, *n})
			}
		}
		if taught {
			return t, e.remember(ctx, st)
		}
		if moved {
			return t, nil
		}
	}
	sc, ok := t.Story.Scene(st.Scene)
	if !ok || len(sc.Present) == 0 {
		emit(Noticed{TurnOf{turn}, "nobody is here to answer"})
		return t, nil
	}
	speaker := e.answerer(sc, &st, said)
	e.step(&st, speaker, turn, emit)
	emit(Thinking{TurnOf{turn}, speaker})
	node, err := e.reply(ctx, t, st, speaker, said, seed(t.Session.Seed, len(t.Path), attempt))
	if err != nil {
		return t, err
	}
	longer, err := e.append(ctx, t, node)
	if err != nil {
		return t, err
	}
	emit(Committed{TurnOf{turn}, *node})
	e.tidy(longer, node.State, speaker)
	if ask != "" {
		st := node.State.Clone()
		again := e.line(&st, sc.Present[0], ask)
		if longer, err = e.append(ctx, longer, again); err != nil {
			return longer, err
		}
		emit(Committed{TurnOf{turn}, *again})
	}
	return longer, nil
}

// remember keeps what a lesson learned about its learner.
func (e *Engine) remember(ctx context.Context, st State) error {
	known, err := e.Store.Learner(ctx)
	if err != nil {
		return err
	}
	known.Pace = st.Lesson.Pace
	for skill, p := range st.Lesson.Mastery {
		known.Mastery = put(known.Mastery, skill, p)
	}
	if st.Ended != "" {
		known.Lessons++
	}
	return e.Store.KeepLearner(ctx, known)
}

// track notes what the player's line means, the player's mood, and how far the goals are.
func (e *Engine) track(ctx context.Context, t *Talk, st *State, said string, turn int64, emit func(Event)) error {
	intents, err := e.Tracker.Intents(ctx, t.Story, said)
	if err != nil {
		return err
	}
	st.Said, st.Line = intents, countLine(said)
	mood, err := e.Tracker.Mood(ctx, e.spoken(t, st.Scene))
	if err != nil {
		return err
	}
	st.Moods = put(st.Moods, "you", mood)
	return e.measure(ctx, t, st, turn, emit)
}

// measure updates the distance of the scene's goals that are not done.
func (e *Engine) measure(ctx context.Context, t *Talk, st *State, turn int64, emit func(Event)) error {
	sc, ok := t.Story.Scene(st.Scene)
	if !ok || !e.Settings.Distance {
		return nil
	}
	spoken := e.spoken(t, st.Scene)
	for i := range sc.Goals {
		g := &sc.Goals[i]
		if st.Done[g.ID] {
			continue
		}
		d, err := e.Tracker.Distance(ctx, g, spoken)
		if err != nil {
			return err
		}
		st.Goals = put(st.Goals, g.ID, d)
		emit(GoalMoved{TurnOf{turn}, g.ID, d, false})
	}
	return nil
}

// step moves the speaker's blend toward its target by one bounded step.
func (e *Engine) step(st *State, speaker string, turn int64, emit func(Event)) {
	from, target := st.Blends[speaker], st.Targets[speaker]
	if len(target) == 0 {
		target = Pure(speaker)
	}
	if len(from) == 0 {
		from = target
	}
	to := from.Toward(target, e.Settings.Step)
	st.Blends = put(st.Blends, speaker, to)
	if !to.Equal(from) {
		emit(BlendMoved{TurnOf{turn}, speaker, from, to, target, st.Causes[speaker]})
	}
}

// reply proposes candidates for the speaker, judges them and returns the node of the best.
func (e *Engine) reply(ctx context.Context, t *Talk, st State, speaker, said string, seed uint64) (*Node, error) {
	p, err := e.prompt(t, st, speaker)
	if err != nil {
		return nil, err
	}
	open := openGoals(t, st)
	m := Moment{Prompt: p, Said: said, Place: t.Story.ID + "/" + st.Scene, Goals: open, Distance: nearest(st, open), Used: used(t), Seed: seed}
	r, err := e.Say(ctx, m)
	if err != nil {
		return nil, err
	}
	st.Speaker, st.Next = speaker, ""
	return &Node{Kind: Character, Speaker: speaker, Text: r.Candidates[r.Chosen].Text, State: st, Reply: r, Created: e.Clock()}, nil
}

// Moment is what one reply is made from.
type Moment struct {
	Prompt   Prompt
	Said     string // the line being answered
	Place    string // "STORY/SCENE" or empty
	Goals    []Goal
	Distance float64 // of the nearest open goal; −1 without one
	Used     map[string]bool
	Seed     uint64
	Drafts   int // 0: the settings' number
	Found    int // 0: the settings' number; −1: none
}

// Say proposes candidates, judges them and chooses: the part of a turn that needs no story. The reply holds them all, best
// first chosen; it fails only when neither the decoder nor the examples have anything.
func (e *Engine) Say(ctx context.Context, m Moment) (*Reply, error) {
	start := e.Clock()
	timings := map[string]float64{}
	lap := func(name string) {
		now := e.Clock()
		timings[name] = float64(now.Sub(start).Microseconds()) / 1000
		start = now
	}
	c, err := e.casework(ctx, m)
	if err != nil {
		return nil, err
	}
	q, err := e.query(ctx, m, c)
	if err != nil {
		return nil, err
	}
	if m.Found >= 0 {
		if m.Prompt.Shown, err = e.Retriever.Demonstrate(ctx, q, e.Settings.Shown); err != nil {
			return nil, err
		}
	}
	lap("recall")
	c.Prompt = m.Prompt
	if c.Want, err = e.Mind.Read(ctx, m.Prompt); err != nil {
		return nil, err
	}
	q.Want = c.Want
	lap("read")
	k, n := m.Drafts, m.Found
	if k == 0 {
		k = e.Settings.Drafts
	}
	if n == 0 {
		n = e.Settings.Found
	}
	var drafts []Draft
	if k > 0 {
		if drafts, err = e.Mind.Draft(ctx, m.Prompt, k, m.Seed); err != nil {
			return nil, err
		}
	}
	lap("draft")
	var found []Found
	if n > 0 {
		if found, err = e.Retriever.Retrieve(ctx, q, n); err != nil {
			return nil, err
		}
	}
	lap("retrieve")
	candidates, from := gather(m.Prompt.Name, drafts, found, m.Used)
	if len(candidates) == 0 && k > 0 { // nothing of it can be said: think again, once
		if drafts, err = e.Mind.Draft(ctx, m.Prompt, k, ^m.Seed); err != nil {
			return nil, err
		}
		candidates, from = gather(m.Prompt.Name, drafts, nil, m.Used)
	}
	if len(candidates) == 0 {
		return nil, &Error{Code: Internal, Message: "no reply came to mind", Hint: "try again, or say it in other words"}
	}
	if err := e.Judge.Judge(ctx, c, candidates, from); err != nil {
		return nil, err
	}
	lap("judge")
	best := 0
	for i := range candidates {
		if candidates[i].Total > candidates[best].Total {
			best = i
		}
	}
	blend := Blend{}
	for _, w := range m.Prompt.Blend {
		blend[w.ID] += w.Weight
	}
	chosen := candidates[best]
	goal := m.Distance
	if goal >= 0 {
		goal = min(1, max(0, goal-chosen.ClosesGoal))
	}
	return &Reply{Candidates: candidates, Chosen: best, Blend: blend, Strength: m.Prompt.Strength, Seed: m.Seed, Model: e.Mind.Model(),
		Kernel: e.Mind.Kernel(), Weights: e.Judge.Weights(), Consistency: consistency(chosen), Goal: goal, TimingsMS: timings}, nil
}

// casework gathers what judges know of the moment: vectors of the blend's personas and of distractors from the cast.
func (e *Engine) casework(ctx context.Context, m Moment) (Case, error) {
	c := Case{Prompt: m.Prompt, Goals: m.Goals, Distance: m.Distance, Used: m.Used}
	if r, ok := e.Retriever.(Readier); ok { // Voices and Nearest wait as long, deaf to ctx
		if err := r.Ready(ctx); err != nil {
			return c, err
		}
	}
	in := map[string]bool{}
	for _, w := range m.Prompt.Blend {
		v, err := e.Prototype(ctx, w.ID, w.Description)
		if err != nil {
			return c, err
		}
		in[w.ID] = true
		c.Voices = append(c.Voices, v)
	}
	for _, p := range e.Content.Personas() {
		if in[p.ID] {
			continue
		}
		v, err := e.Prototype(ctx, p.ID, p.Description)
		if err != nil {
			return c, err
		}
		c.Rivals = append(c.Rivals, v)
	}
	return c, nil
}

// Prototype is a persona's point in persona space: its description's vector, drawn to the centre of its written lines.
func (e *Engine) Prototype(ctx context.Context, id, description string) ([]float32, error) {
	p, err := e.Mind.PersonaVector(ctx, description)
	if err != nil {
		return nil, err
	}
	centre, n := e.Retriever.Voices(id)
	if n == 0 {
		return p, nil
	}
	if known, err := e.Content.Persona(id); err != nil || known.Description != description {
		return p, nil // a description of the player's own under a known name
	}
	v := slices.Clone(p)
	for i := range v {
		v[i] += centre[i]
	}
	return unit(v), nil
}

// ownLine is the share of a blend from which a persona's written lines may be said as they are.
const ownLine = 0.3

// query asks for example lines near the moment; Want is filled in when the reply head has spoken.
func (e *Engine) query(ctx context.Context, m Moment, c Case) (Query, error) {
	q := Query{Text: m.Said, Personas: map[string]float64{}, Place: m.Place, Used: m.Used}
	var mean []float32
	written := 0
	for i, w := range m.Prompt.Blend {
		if w.Weight >= ownLine {
			q.Personas[w.ID] += w.Weight
		}
		if _, n := e.Retriever.Voices(w.ID); n > 0 {
			written++
		}
		if mean == nil {
			mean = make([]float32, len(c.Voices[i]))
		}
		for j, x := range c.Voices[i] {
			mean[j] += float32(w.Weight) * x
		}
	}
	q.Voice, q.Borrow = unit(mean), written == 0
	if m.Said != "" {
		r, err := e.Mind.Readings(ctx, []string{m.Said}, true)
		if err != nil {
			return q, err
		}
		q.Line = r[0].Line
	}
	return q, nil
}

// gather makes candidates of drafts and found lines that may be said: within the rating, and not said before. Of those that say
// nearly the same the written one stays, else the first; drafts that are unfinished or say next to nothing stay only where there is
// nothing better. from[i] is the found example behind candidate i, or one without an example; name fills placeholders.
func gather(name string, drafts []Draft, found []Found, used map[string]bool) ([]Candidate, []Found) {
	var out []Candidate
	var from []Found
	var said []map[string]bool
	add := func(c Candidate, f Found) {
		key := Fold(c.Text)
		if key == "" || used[key] && len(key) > 12 || Unfit(c.Text) != "" {
			return
		}
		words := wordsOf(c.Text)
		i := slices.IndexFunc(said, func(other map[string]bool) bool { return alike(words, other) })
		switch {
		case i < 0:
			out, from, said = append(out, c), append(from, f), append(said, words)
		case c.Source == Retrieved && out[i].Source == Generated:
			out[i], from[i], said[i] = c, f, words
		}
	}
	draft := func(wanted func(Draft) bool) {
		for _, d := range drafts {
			if wanted(d) {
				add(Candidate{Text: d.Text, Source: Generated, LogProb: d.LogProb}, Found{})
			}
		}
	}
	draft(func(d Draft) bool { return d.Finished && !empty(d.Text) })
	for _, f := range found {
		add(Candidate{Text: Fill(f.Says, "", name), Source: Retrieved, Of: f.Persona}, f)
	}
	if len(out) == 0 {
		draft(func(d Draft) bool { return d.Finished })
	}
	if len(out) == 0 {
		draft(func(Draft) bool { return true })
	}
	return out, from
}

// consistency is the persona consistency reward of a candidate, in [0, 1].
func consistency(c Candidate) float64 {
	return min(1, max(0, 0.5*c.Rewards.Classifier+0.5*c.Rewards.Similarity))
}

func openGoals(t *Talk, st State) []Goal {
	sc, ok := t.Story.Scene(st.Scene)
	if !ok {
		return nil
	}
	var out []Goal
	for _, g := range sc.Goals {
		if !st.Done[g.ID] {
			out = append(out, g)
		}
	}
	return out
}

func nearest(st State, open []Goal) float64 {
	best := -1.0
	for _, g := range open {
		if d, ok := st.Goals[g.ID]; ok && (best < 0 || d < best) {
			best = d
		}
	}
	return best
}

func lastLine(t *Talk) string {
	for _, n := range slices.Backward(t.Path) {
		if n.Kind == Player {
			return n.Text
		}
	}
	return ""
}

// tidy reads the reply into the dialogue memory while the player reads it on the screen.
func (e *Engine) tidy(t *Talk, st State, speaker string) {
	p, err := e.prompt(t, st, speaker)
	if err != nil {
		return
	}
	e.tidying.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = e.Mind.Tidy(ctx, p) // nothing depends on it: the next turn reads what is missing
	})
}
