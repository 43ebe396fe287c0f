// Package panel draws what stands beside the talk: the blend as bars, how well the last replies fit the persona and the goal,
// the moods, and who is here. It must not know the game.
package panel

import (
	"fmt"
	"math"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"github.com/personaweave/personaweave/tui/theme"
)

// Bar is one persona's share of the blend.
type Bar struct {
	ID     string
	Share  float64 // as drawn, in [0, 1]
	Target float64 // where it is going
	Style  lipgloss.Style
}

// Data is what the panel shows. Texts must be clean.
type Data struct {
	Name, Tagline string
	Style         lipgloss.Style // of the name
	Become        string         // the description the player gave, or empty
	Bars          []Bar          // heaviest first
	Cause         string         // why the blend moves
	Strength      float64        // of the persona; 1 is plain
	Voice         []float64      // persona consistency of the last replies, oldest first, in [0, 1]
	Goal          []float64      // goal distance after them, 1 → 0
	Want          string         // what the nearest goal is
	Reached       bool           // every goal of the scene is done
	Mood, You     string         // of who speaks, of the player
	Here          []string       // who is present
	Next          string         // who answers next, where the player said so
	Asked         string         // which question of a lesson is open, as "3 of 7"
	Known         []Known        // what the learner knows
}

// Known is how sure a learner is of a skill.
type Known struct {
	Title string
	Share float64 // [0, 1]
}

// moves is the smallest difference of a share from its target that is told.
const moves = 0.005

// arrow says where a share is going.
func (b Bar) arrow() string {
	switch {
	case b.Target-b.Share > moves:
		return "▲"
	case b.Share-b.Target > moves:
		return "▼"
	}
	return ""
}

// Side draws the panel: at most height lines, none wider than width.
func (d Data) Side(t *theme.Theme, width, height int) []string {
	var lines []string
	add := func(s string) { lines = append(lines, theme.Fit(s, width)) }
	wrap := func(style lipgloss.Style, s string, most int) {
		w := theme.Wrap(s, width)
		if len(w) > most {
			w = w[:most]
			w[most-1] = theme.Fit(w[most-1]+"…", width)
		}
		for _, l := range w {
			lines = append(lines, style.Render(theme.Fit(l, width)))
		}
	}
	gap := func() {
		if len(lines) > 0 && height > 14 {
			lines = append(lines, "")
		}
	}
	if d.Name != "" {
		add(d.Style.Bold(true).Render(d.Name))
	}
	switch {
	case d.Become != "":
		wrap(t.Dim, "“"+d.Become+"”", 3)
	case d.Tagline != "" && height > 14:
		wrap(t.Dim, d.Tagline, 2)
	}
	gap()
	for _, b := range d.Bars {
		lines = append(lines, d.bar(t, b, width))
	}
	if d.Cause != "" {
		wrap(t.Dim, d.Cause, 2)
	}
	if math.Abs(d.Strength-1) > 0.005 {
		add(t.Dim.Render("strength  ") + fmt.Sprintf("%.2g", d.Strength))
	}
	gap()
	if n := len(d.Voice); n > 0 {
		add(t.Dim.Render("in voice  ") + Spark(d.Voice, width-18) + fmt.Sprintf(" %.2f", d.Voice[n-1]))
	}
	switch n := len(d.Goal); {
	case d.Reached:
		add(t.Dim.Render("goal      ") + t.Accent.Render("reached"))
	case n > 0:
		add(t.Dim.Render("goal      ") + Spark(d.Goal, width-23) + fmt.Sprintf(" %.2f", d.Goal[n-1]) + t.Dim.Render(" to go"))
	}
	if d.Want != "" && !d.Reached && height > 14 {
		wrap(t.Dim, d.Want, 4)
	}
	if d.Asked != "" {
		add(t.Dim.Render("question  ") + d.Asked)
	}
	for _, k := range d.Known {
		full := max(3, min(8, width/4))
		add(t.Accent.Render(fill(k.Share, full)) + t.Dim.Render(rest(k.Share, full)+" "+k.Title))
	}
	gap()
	if d.Mood != "" {
		add(t.Dim.Render("mood      ") + d.Mood)
	}
	if d.You != "" {
		add(t.Dim.Render("you seem  ") + d.You)
	}
	if d.Next != "" {
		add(t.Dim.Render("next      ") + d.Next)
	}
	if len(d.Here) > 0 {
		for i, l := range theme.Wrap(strings.Join(d.Here, " · "), width-10) {
			label := "here      "
			if i > 0 {
				label = "          "
			}
			add(t.Dim.Render(label) + l)
		}
	}
	return lines[:min(len(lines), max(0, height))]
}

// bar draws one share: id, bar, number, and an arrow while it moves.
func (d Data) bar(t *theme.Theme, b Bar, width int) string {
	name := 4
	for _, o := range d.Bars {
		name = max(name, theme.Width(o.ID))
	}
	name = min(name, width*2/5)
	full := max(3, width-name-1-5-2)
	out := theme.Pad(b.ID, name) + " " + b.Style.Render(fill(b.Share, full)) + t.Dim.Render(rest(b.Share, full)) +
		fmt.Sprintf(" %.2f", b.Share)
	if a := b.arrow(); a != "" {
		out += " " + t.Accent.Render(a)
	}
	return theme.Fit(out, width)
}

// eighths are the left-aligned block elements from one eighth to seven.
var eighths = []rune("▏▎▍▌▋▊▉")

// fill draws the part of a bar that a share in [0, 1] fills, in eighths of a cell.
func fill(share float64, cells int) string {
	n := int(math.Round(min(1, max(0, share)) * float64(cells) * 8))
	s := strings.Repeat("█", n/8)
	if n%8 > 0 {
		s += string(eighths[n%8-1])
	}
	return s
}

func rest(share float64, cells int) string {
	n := int(math.Round(min(1, max(0, share)) * float64(cells) * 8))
	return strings.Repeat("░", cells-(n+7)/8)
}

// Spark draws numbers in [0, 1] as a line of at most cells blocks, the newest at the right.
func Spark(values []float64, cells int) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values[max(0, len(values)-max(1, cells)):] {
		if math.IsNaN(v) {
			v = 0
		}
		b.WriteRune(levels[int(math.Round(min(1, max(0, v))*float64(len(levels)-1)))])
	}
	return b.String()
}

// Strip draws the panel as one line of at most width cells.
func (d Data) Strip(t *theme.Theme, width int) string {
	var parts []string
	var shares []string
	for _, b := range d.Bars {
		shares = append(shares, b.Style.Render(b.ID)+fmt.Sprintf(" %.2f", b.Share)+t.Accent.Render(b.arrow()))
	}
	if len(shares) > 0 {
		parts = append(parts, strings.Join(shares, " "))
	}
	if n := len(d.Voice); n > 0 {
		parts = append(parts, t.Dim.Render("voice ")+fmt.Sprintf("%.2f", d.Voice[n-1]))
	}
	switch n := len(d.Goal); {
	case d.Reached:
		parts = append(parts, t.Dim.Render("goal reached"))
	case n > 0:
		parts = append(parts, t.Dim.Render("goal ")+fmt.Sprintf("%.2f", d.Goal[n-1]))
	}
	if d.Asked != "" {
		parts = append(parts, t.Dim.Render("question ")+d.Asked)
	}
	if d.You != "" {
		parts = append(parts, t.Dim.Render("you seem ")+d.You)
	}
	return theme.Fit(strings.Join(parts, t.Dim.Render(" · ")), width)
}
