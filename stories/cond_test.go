package stories

import (
	"testing"

	"github.com/personaweave/personaweave/engine"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	n := &names{intents: []string{"seal", "leave"}, goals: []string{"map"}, flags: map[string]any{"door": false, "trust": 0.0, "name": ""},
		cast: []string{"wren", "old-hale"}, personas: []string{"wren", "old-hale"}}
	facts := engine.Facts{
		Turn: 3, Visits: 1, Said: map[string]bool{"seal": true}, Flag: map[string]any{"trust": 2.0, "door": true, "name": "Ann"},
		Goal: map[string]float64{"map": 0.25}, Mood: map[string]string{"you": "angry", "wren": "calm"},
		Blend: map[string]engine.Blend{"wren": {"wren": 0.7, "old-hale": 0.3}},
	}
	for _, c := range []struct {
		rule         string
		given, unset bool // with the facts, and with none
	}{
		{"turn > 2", true, false},
		{"turn == 0 || visits == 1", true, true},
		{"said.seal", true, false},
		{"said.seal and not said.leave", true, false},
		{"!said.leave", true, true},
		{"flag.door", true, false},
		{"flag.door && said.seal", true, false},
		{"!flag.door", false, true},
		{"flag.trust > 1", true, false},
		{"flag.trust <= 0", false, true},
		{"flag.trust + turn >= 5", true, false},
		{"flag.trust == 0", false, true},
		{"flag.trust > turn", false, false},
		{`flag.name == "Ann"`, true, false},
		{`flag.name == ""`, false, true},
		{"goal.map < 0.5", true, false},
		{"goal.map == 1", false, true}, // not measured: all the way to go
		{`mood.you == "angry"`, true, false},
		{`mood.you in ["angry", "sad"]`, true, false},
		{`mood.wren == ""`, false, true},
		{"blend.wren.wren > 0.9", false, true}, // not met: alone
		{`blend.wren["old-hale"] >= 0.3`, true, false},
		{`blend["old-hale"].wren == 0`, true, true},
		{"turn in 1..3", true, false},
		{"flag.door ? turn > 5 : visits == 0", false, true},
		{"true", true, true},
		{"false", false, false},
	} {
		f := &file{name: "x.yaml"}
		cond := n.compile(value{f: f, line: 1}, c.rule)
		if err := f.err(); err != nil || cond == nil || cond.String() != c.rule {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		for _, side := range []struct {
			facts engine.Facts
			want  bool
		}{{facts, c.given}, {engine.Facts{}, c.unset}} {
			if got, err := cond.Holds(side.facts); err != nil || got != side.want {
				t.Errorf("%s is %v (%v), want %v, with %+v", c.rule, got, err, side.want, side.facts)
			}
		}
	}
}

// A save can hold a flag as an older version of the story set it.
func TestAFlagOfAnotherKindCountsAsUnset(t *testing.T) {
	t.Parallel()
	n := &names{flags: map[string]any{"door": false, "trust": 0.0}}
	for rule, want := range map[string]bool{"flag.door": false, "flag.trust > 0": false, "flag.trust == 0": true} {
		got, err := n.compile(value{f: &file{}}, rule).Holds(engine.Facts{Flag: map[string]any{"door": 1.0, "trust": "high"}})
		if err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", rule, got, err, want)
		}
	}
}
