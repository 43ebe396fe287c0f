package engine

import (
	"maps"
	"slices"
)

// State is a talk's game state after a node; it is stored with every node, so that any node can be returned to.
type State struct {
	Scene    string             `json:"scene"`
	Turn     int                `json:"turn"`             // player turns in this scene
	Visits   map[string]int     `json:"visits,omitempty"` // by scene
	Flags    map[string]any     `json:"flags,omitempty"`  // bool, float64 or string
	Goals    map[string]float64 `json:"goals,omitempty"`  // distance 1 → 0 of this scene's goals
	Done     map[string]bool    `json:"done,omitempty"`   // goals done
	Moods    map[string]string  `json:"moods,omitempty"`  // by persona id; "you" is the player
	Blends   map[string]Blend   `json:"blends,omitempty"` // by speaker: as it stands
	Targets  map[string]Blend   `json:"targets,omitempty"`
	Causes   map[string]string  `json:"causes,omitempty"` // by speaker: why its target last changed
	Fired    map[string]bool    `json:"fired,omitempty"`  // beats
	Said     map[string]bool    `json:"said,omitempty"`   // intents of the player's last line
	Strength float64            `json:"strength"`         // persona strength (guidance γ); 1 is plain
	Speaker  string             `json:"speaker,omitempty"`
	Next     string             `json:"next,omitempty"` // who answers next, by the player's command
	Ended    string             `json:"ended,omitempty"`
	// Become replaces a speaker's persona by a description (/become), by speaker.
	Become map[string]string `json:"become,omitempty"`
	Line   LineFacts         `json:"line,omitzero"` // of the player's last line
	Lesson *Lesson           `json:"lesson,omitempty"`
	Scored []Scored          `json:"scored,omitempty"` // what counted for the report
}

// Clone returns a copy that shares nothing with s.
func (s State) Clone() State {
	s.Visits, s.Flags, s.Goals, s.Done = maps.Clone(s.Visits), maps.Clone(s.Flags), maps.Clone(s.Goals), maps.Clone(s.Done)
	s.Moods, s.Causes, s.Fired, s.Said = maps.Clone(s.Moods), maps.Clone(s.Causes), maps.Clone(s.Fired), maps.Clone(s.Said)
	s.Become = maps.Clone(s.Become)
	s.Lesson, s.Scored = s.Lesson.clone(), slices.Clone(s.Scored)
	s.Blends, s.Targets = cloneBlends(s.Blends), cloneBlends(s.Targets)
	return s
}

func cloneBlends(m map[string]Blend) map[string]Blend {
	if m == nil {
		return nil
	}
	out := make(map[string]Blend, len(m))
	for k, v := range m {
		out[k] = maps.Clone(v)
	}
	return out
}

// Facts returns what conditions see of the state.
func (s State) Facts() Facts {
	return Facts{Turn: s.Turn, Visits: s.Visits[s.Scene], Said: s.Said, Flag: s.Flags, Goal: s.Goals, Mood: s.Moods, Blend: s.Blends, Line: s.Line, Lesson: s.Lesson}
}
