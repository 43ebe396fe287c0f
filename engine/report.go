package engine

import (
	"fmt"
	"strings"
	"unicode"
)

// Measure is something that a report scores, by rules that it states.
type Measure struct {
	ID    string
	Title string
	Start float64 // of 10, before anything counted
	Rules []Rule
}

// Rule adds to a measure when its condition holds after a player's line, once unless Repeat.
type Rule struct {
	When    Condition
	Add     float64
	Because string
	Repeat  bool
}

// Scored is a rule that counted.
type Scored struct {
	Measure string  `json:"measure"`
	Rule    int     `json:"rule"`
	Add     float64 `json:"add"`
	Line    int     `json:"line"` // the player's line it counted for, from 1
}

// score notes which rules of the report count for the player's last line.
func (e *Engine) score(t *Talk, st *State) error {
	for _, m := range t.Story.Report {
		for i, r := range m.Rules {
			if !r.Repeat && counted(st, m.ID, i) {
				continue
			}
			if holds, err := r.When.Holds(st.Facts()); err != nil {
				return err
			} else if holds {
				st.Scored = append(st.Scored, Scored{m.ID, i, r.Add, playerLines(t)})
			}
		}
	}
	return nil
}

func counted(st *State, measure string, rule int) bool {
	for _, s := range st.Scored {
		if s.Measure == measure && s.Rule == rule {
			return true
		}
	}
	return false
}

func playerLines(t *Talk) int {
	n := 0
	for i := range t.Path {
		if t.Path[i].Kind == Player {
			n++
		}
	}
	return n
}

// Score is a measure's value in [0, 10].
func (m *Measure) Score(st State) float64 {
	v := m.Start
	for _, s := range st.Scored {
		if s.Measure == m.ID {
			v += s.Add
		}
	}
	return min(10, max(0, v))
}

// report tells each measure's score and what it is made of.
func report(measures []Measure, st State) string {
	var b strings.Builder
	for _, m := range measures {
		fmt.Fprintf(&b, "%s: %.3g of 10, from %.3g", m.Title, m.Score(st), m.Start)
		for i, r := range m.Rules {
			var lines []string
			sum := 0.0
			for _, s := range st.Scored {
				if s.Measure == m.ID && s.Rule == i {
					sum += s.Add
					lines = append(lines, fmt.Sprint(s.Line))
				}
			}
			if len(lines) > 0 {
				fmt.Fprintf(&b, "; %+.3g %s (line %s)", sum, r.Because, strings.Join(lines, ", "))
			}
		}
		b.WriteString(". ")
	}
	return strings.TrimSpace(b.String())
}

// countLine counts a player's line.
func countLine(s string) LineFacts {
	f := LineFacts{Words: len(strings.Fields(s)), Questions: strings.Count(s, "?"), Exclaims: strings.Count(s, "!")}
	letters, capitals := 0, 0
	for _, r := range s {
		if unicode.IsLetter(r) {
			letters++
			if unicode.IsUpper(r) {
				capitals++
			}
		}
	}
	if letters >= 8 {
		f.Capitals = float64(capitals) / float64(letters)
	}
	return f
}
