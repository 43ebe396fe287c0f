package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// why shows how a reply was chosen: every candidate with its rewards. Another can be taken from there.
type why struct {
	node  engine.Node
	index int // of the node in the path
	at    int // the candidate looked at
}

// why shows how the chosen reply, else the last, came about.
func (m *model) why() {
	i := m.transcript.Chosen()
	nodes := m.transcript.Nodes()
	for j := len(nodes) - 1; i < 0 && j >= 0; j-- {
		if nodes[j].Kind == engine.Character {
			i = j
		}
	}
	if i < 0 || nodes[i].Reply == nil || len(nodes[i].Reply.Candidates) == 0 {
		m.tell("nobody has answered yet")
		return
	}
	m.over = &why{node: nodes[i], index: i, at: nodes[i].Reply.Chosen}
}

func (w *why) press(m *model, msg tea.KeyMsg) tea.Cmd {
	k, n := m.keys, len(w.node.Reply.Candidates)
	switch {
	case key.Matches(msg, k.Close), key.Matches(msg, k.Why), key.Matches(msg, k.PlainWhy):
		m.over = nil
	case key.Matches(msg, k.Up):
		w.at = max(0, w.at-1)
	case key.Matches(msg, k.Down):
		w.at = min(n-1, w.at+1)
	case key.Matches(msg, k.Top):
		w.at = 0
	case key.Matches(msg, k.Bottom):
		w.at = n - 1
	case key.Matches(msg, k.Use):
		m.over = nil
		if w.at == w.node.Reply.Chosen {
			return nil
		}
		if m.doing != nil {
			m.tell(m.busyText())
			return nil
		}
		return m.play(Command{Name: "swipe", Choice: w.at + 1}, w.index)
	}
	return nil
}

func (w *why) bindings(k keys) []key.Binding { return []key.Binding{k.Use, k.Up, k.Down, k.Close} }

// cells of a reward in the table.
const rewardCells = 7

// shortNames are the judges' names as table heads, in the order of engine.Rewards.
var shortNames = []string{"goal", "voice", "like", "answers", "fluent", "repeat", "length"}

func (w *why) render(m *model, width, height int) []string {
	t, r := m.theme, w.node.Reply
	name, style := m.who(w.node.Speaker)
	var shares []string
	for _, id := range r.Blend.IDs() {
		shares = append(shares, fmt.Sprintf("%s %.2f", theme.Clean(id), r.Blend[id]))
	}
	about := fmt.Sprintf("%s · strength %.2g · seed %d · %s", strings.Join(shares, " "), r.Strength, r.Seed, r.Kernel)
	out := []string{theme.Fit(" "+t.Title.Render("Why this reply")+"  "+style.Bold(true).Render(name)+"  "+t.Dim.Render(about), width)}
	wide := width >= 96
	head := "        total  source "
	if wide {
		for _, n := range shortNames {
			head += theme.PadLeft(n, rewardCells+1)
		}
	}
	out = append(out, "", t.Dim.Render(theme.Fit(head+"  says", width)))
	var rows [][]string
	for i, c := range r.Candidates {
		mark := "  "
		if i == r.Chosen {
			mark = t.Accent.Render("✓ ")
		}
		row := fmt.Sprintf("%2d %s %6.2f  %s ", i+1, mark, c.Total, theme.Pad(sourceWord(c.Source), 6))
		if wide {
			for _, v := range c.Rewards.Values() {
				row += fmt.Sprintf(" %*.2f", rewardCells, v)
			}
		}
		row += "  " + theme.Clean(c.Text)
		if i == w.at {
			row = t.Accent.Render("›") + t.Text.Bold(true).Render(row)
		} else {
			row = " " + row
		}
		rows = append(rows, []string{theme.Fit(row, width)})
	}
	detail := w.detail(t, width)
	room := max(3, height-len(out)-len(detail))
	out = append(out, window(rows, w.at, room)...)
	return fill(append(out, detail...), height)
}

func sourceWord(s engine.Source) string {
	switch s {
	case engine.Generated:
		return "made"
	case engine.Retrieved:
		return "found"
	}
	return string(s)
}

// detail tells all of one candidate.
func (w *why) detail(t *theme.Theme, width int) []string {
	r := w.node.Reply
	c := r.Candidates[w.at]
	out := []string{""}
	for _, l := range theme.Wrap(theme.Clean(c.Text), min(88, width-4)) {
		out = append(out, "  "+l)
	}
	line := ""
	for i, v := range c.Rewards.Values() {
		part := fmt.Sprintf("%s %.2f × %.2g", shortNames[i], v, r.Weights.Values()[i])
		if line != "" && theme.Width(line)+theme.Width(part)+3 > min(88, width-4) {
			out = append(out, "  "+t.Dim.Render(line))
			line = ""
		}
		if line != "" {
			line += " + "
		}
		line += part
	}
	out = append(out, "  "+t.Dim.Render(line))
	if c.Of != "" {
		out = append(out, "  "+t.Dim.Render(theme.Fit("a written line of "+theme.Clean(c.Of), width-4)))
	}
	if c.Nearest != "" {
		out = append(out, "  "+t.Dim.Render(theme.Fit(fmt.Sprintf("nearest written line (%.2f): %s", c.Likeness, theme.Clean(c.Nearest)), width-4)))
	}
	return out
}
