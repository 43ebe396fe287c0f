package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// follow runs a scene's rules on the state after a player's line: goals, beats, the report, endings. It returns the nodes of
// narration they ask for, in order; moved tells that the story left the scene or ended, so that nobody answers in it.
func (e *Engine) follow(t *Talk, st *State, turn int64, emit func(Event)) (nodes []*Node, moved bool, err error) {
	sc, ok := t.Story.Scene(st.Scene)
	if !ok {
		return nil, false, &Error{Code: NotFound, Message: fmt.Sprintf("the story has no scene %q", st.Scene)}
	}
	nodes, to, err := e.beats(t, sc, st, turn, emit)
	if err != nil {
		return nil, false, err
	}
	if err := e.score(t, st); err != nil {
		return nil, false, err
	}
	if to == "" {
		return nodes, false, nil
	}
	more, err := e.leave(t, st, to, turn, emit)
	return append(nodes, more...), true, err
}

// beats runs the beats of a scene and looks for an ending; it returns what they narrate and where they lead.
func (e *Engine) beats(t *Talk, sc *Scene, st *State, turn int64, emit func(Event)) (nodes []*Node, to string, err error) {
	if err := e.reach(sc, st, turn, emit); err != nil {
		return nil, "", err
	}
	for i := range sc.Beats {
		b := &sc.Beats[i]
		if st.Fired[b.ID] && !b.Repeat {
			continue
		}
		if b.When != nil {
			holds, err := b.When.Holds(st.Facts())
			if err != nil {
				return nil, "", err
			}
			if !holds {
				continue
			}
		}
		st.Fired = put(st.Fired, b.ID, true)
		apply(st, b)
		if b.Narrate != "" {
			nodes = append(nodes, &Node{Kind: Narration, Text: b.Narrate, State: st.Clone(), Created: e.Clock()})
		}
		if b.Goto != "" {
			return nodes, b.Goto, nil
		}
	}
	if err := e.reach(sc, st, turn, emit); err != nil { // a beat may have done it
		return nil, "", err
	}
	for _, id := range slices.Sorted(maps.Keys(t.Story.Endings)) {
		end := t.Story.Endings[id]
		if end.When == nil {
			continue
		}
		if holds, err := end.When.Holds(st.Facts()); err != nil {
			return nil, "", err
		} else if holds {
			return nodes, "end:" + id, nil
		}
	}
	return nodes, "", nil
}

// reach marks the scene's goals that are done.
func (e *Engine) reach(sc *Scene, st *State, turn int64, emit func(Event)) error {
	for i := range sc.Goals {
		g := &sc.Goals[i]
		if g.Done == nil || st.Done[g.ID] {
			continue
		}
		if done, err := g.Done.Holds(st.Facts()); err != nil {
			return err
		} else if done {
			st.Done = put(st.Done, g.ID, true)
			st.Goals = put(st.Goals, g.ID, 0)
			emit(GoalMoved{TurnOf{turn}, g.ID, 0, true})
		}
	}
	return nil
}

// apply sets a beat's flags and blend targets.
func apply(st *State, b *Beat) {
	for id, v := range b.Set {
		if s, ok := v.(string); ok && len(s) > 1 && (s[0] == '+' || s[0] == '-') {
			if by, err := strconv.ParseFloat(s, 64); err == nil {
				had, _ := st.Flags[id].(float64)
				st.Flags = put[string, any](st.Flags, id, had+by)
				continue
			}
		}
		if n, ok := v.(int); ok {
			v = float64(n)
		}
		st.Flags = put(st.Flags, id, v)
	}
	for who, target := range b.Blend {
		st.Targets = put(st.Targets, who, target)
		st.Causes = put(st.Causes, who, b.Cause)
	}
}

// leave goes to another scene or to an ending.
func (e *Engine) leave(t *Talk, st *State, to string, turn int64, emit func(Event)) ([]*Node, error) {
	if id, isEnd := strings.CutPrefix(to, "end:"); isEnd {
		end, ok := t.Story.Endings[id]
		if !ok {
			return nil, &Error{Code: NotFound, Message: fmt.Sprintf("the story has no ending %q", id), Hint: "weave story check finds such gaps"}
		}
		st.Ended = id
		emit(Ended{TurnOf{turn}, id, end.Title})
		nodes := []*Node{{Kind: Narration, Text: end.Narrate, State: st.Clone(), Created: e.Clock()}}
		said := report(t.Story.Report, *st)
		if st.Lesson != nil {
			said = summary(t.Story, *st)
		}
		if said != "" {
			nodes = append(nodes, &Node{Kind: Narration, Text: said, State: st.Clone(), Created: e.Clock()})
		}
		return nodes, nil
	}
	sc, ok := t.Story.Scene(to)
	if !ok {
		return nil, &Error{Code: NotFound, Message: fmt.Sprintf("the story has no scene %q", to), Hint: "weave story check finds such gaps"}
	}
	emit(SceneChanged{TurnOf{turn}, to})
	return e.enter(t, st, sc), nil
}

// answerer chooses who answers: who the player asked for by command, who the line names, who spoke last, who is first here.
func (e *Engine) answerer(sc *Scene, st *State, line string) string {
	here := map[string]bool{}
	for _, id := range sc.Present {
		here[id] = true
	}
	if here[st.Next] {
		return st.Next
	}
	low := " " + Fold(line) + " "
	best, at := "", len(low)+1
	for _, id := range sc.Present {
		p, err := e.Content.Persona(id)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(Fold(p.Name)) {
			if len(word) < 3 {
				continue
			}
			if i := strings.Index(low, " "+word+" "); i >= 0 && i < at {
				best, at = id, i
			}
		}
	}
	if best != "" {
		return best
	}
	if here[st.Speaker] {
		return st.Speaker
	}
	if len(sc.Present) > 0 {
		return sc.Present[0]
	}
	return ""
}
