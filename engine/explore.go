package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Coverage is what random players reached in a story: ids.
type Coverage struct {
	Scenes, Goals, Endings map[string]bool
	Turns                  int // played
}

// Explore plays a story's rules, without a model, as many players who mean anything at any time, going on from whatever was new
// (as go-explore does, Ecoffet et al. 2021), until all is reached or this many turns are played. The same seed explores alike.
func Explore(s *Story, turns int, seed uint64) (Coverage, error) {
	c := Coverage{Scenes: map[string]bool{}, Goals: map[string]bool{}, Endings: map[string]bool{}}
	if len(s.Scenes) == 0 {
		return c, nil
	}
	e := &Engine{Deps: Deps{Clock: func() time.Time { return time.Time{} }, Settings: DefaultSettings()}}
	t := &Talk{Story: s}
	goals := 0
	for i := range s.Scenes {
		goals += len(s.Scenes[i].Goals)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	intents := slices.Sorted(maps.Keys(s.Intents))
	first := State{Strength: 1}
	if s.Kind == KindLesson {
		first.Lesson = &Lesson{}
	}
	e.enter(t, &first, &s.Scenes[0])
	c.Scenes[first.Scene] = true
	pool, seen := []State{first}, map[string]bool{}
	quiet := func(Event) {}
	for c.Turns < turns && (len(c.Scenes) < len(s.Scenes) || len(c.Goals) < goals || len(c.Endings) < len(s.Endings)) {
		// begin anew, from anywhere, or near what was new last
		at := 0
		switch rng.IntN(4) {
		case 1, 2:
			at = rng.IntN(len(pool))
		case 3:
			at = len(pool) - 1 - rng.IntN(min(len(pool), 32))
		}
		st := pool[at].Clone()
		clever, talkative := rng.Float64(), 0.2+0.8*rng.Float64()
		for range 48 {
			c.Turns++
			if err := e.randomTurn(t, &st, intents, rng, clever, talkative, quiet); err != nil {
				return c, err
			}
			c.Scenes[st.Scene] = true
			for id, done := range st.Done {
				if done {
					c.Goals[id] = true
				}
			}
			if st.Ended != "" {
				c.Endings[st.Ended] = true
				break
			}
			if key := signature(st); !seen[key] && len(pool) < 5000 {
				seen[key] = true
				pool = append(pool, st.Clone())
			}
		}
	}
	return c, nil
}

// randomTurn plays one player's line that means anything.
func (e *Engine) randomTurn(t *Talk, st *State, intents []string, rng *rand.Rand, clever, talkative float64, quiet func(Event)) error {
	st.Turn++
	st.Said = nil
	for n := 0; n < 2 && len(intents) > 0 && rng.Float64() < talkative*(1-0.7*float64(n)); n++ {
		st.Said = put(st.Said, intents[rng.IntN(len(intents))], true)
	}
	st.Line = LineFacts{Words: 1 + rng.IntN(30), Questions: rng.IntN(2), Exclaims: rng.IntN(3)}
	if rng.IntN(4) == 0 {
		st.Line.Capitals = 0.9
	}
	st.Moods = put(st.Moods, "you", []string{"angry", "calm", "curious", "funny", "sad", "tense", "urgent", "warm"}[rng.IntN(8)])
	for id, d := range st.Goals {
		if !st.Done[id] {
			st.Goals = put(st.Goals, id, min(1, max(0, d+0.3*rng.NormFloat64())))
		}
	}
	sc, ok := t.Story.Scene(st.Scene)
	if !ok {
		return &Error{Code: NotFound, Message: fmt.Sprintf("the story has no scene %q", st.Scene)}
	}
	if c := e.lesson(t, sc, st); c != nil && st.Lesson != nil && !st.Lesson.Over {
		right := rng.Float64() < clever
		st.Lesson.learn(sc.Steps[st.Lesson.Step].Skill, right, false)
		c.finish(!right)
		st.Lesson.Pace = st.Lesson.pace()
		c.manner()
		c.ask()
	}
	for _, who := range sc.Present {
		if rng.IntN(2) == 0 {
			e.step(st, who, 0, quiet)
		}
	}
	_, _, err := e.follow(t, st, 0, quiet)
	return err
}

// signature is what makes two states alike to a story's rules.
func signature(st State) string {
	var b strings.Builder
	b.WriteString(st.Scene)
	for _, id := range slices.Sorted(maps.Keys(st.Flags)) {
		fmt.Fprintf(&b, " %s=%v", id, st.Flags[id])
	}
	for _, id := range slices.Sorted(maps.Keys(st.Done)) {
		b.WriteString(" " + id)
	}
	if st.Lesson != nil {
		fmt.Fprintf(&b, " %d %s", len(st.Lesson.Marks), st.Lesson.Pace)
	}
	return b.String()
}
