package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// overlay lies over the page and takes the keys while it is there.
type overlay interface {
	press(m *model, msg tea.KeyMsg) tea.Cmd
	// render draws exactly height lines, none wider than width.
	render(m *model, width, height int) []string
	bindings(k keys) []key.Binding
}

// sheet is a text to read: help, a character.
type sheet struct {
	title string
	lines func(width int) []string
	top   int
	last  int // the furthest top that still shows something new
}

func (s *sheet) press(m *model, msg tea.KeyMsg) tea.Cmd {
	k := m.keys
	page := max(1, m.height-4)
	switch {
	case key.Matches(msg, k.Close), key.Matches(msg, k.Help), key.Matches(msg, k.Use):
		m.over = nil
	case key.Matches(msg, k.Up):
		s.top--
	case key.Matches(msg, k.Down):
		s.top++
	case key.Matches(msg, k.PageUp):
		s.top -= page
	case key.Matches(msg, k.PageDown), msg.Type == tea.KeySpace:
		s.top += page
	case key.Matches(msg, k.Top):
		s.top = 0
	case key.Matches(msg, k.Bottom):
		s.top = s.last
	}
	s.top = max(0, min(s.top, s.last))
	return nil
}

func (s *sheet) render(m *model, width, height int) []string {
	all := s.lines(width - 3)
	s.last = max(0, len(all)-(height-2))
	s.top = min(s.top, s.last)
	more := ""
	if s.last > 0 {
		more = m.theme.Dim.Render(fmt.Sprintf("%d–%d of %d", s.top+1, min(len(all), s.top+height-2), len(all)))
	}
	out := []string{theme.Ends(" "+m.theme.Title.Render(s.title), more, width-1), ""}
	for _, l := range all[s.top:] {
		out = append(out, "  "+theme.Fit(l, width-3))
	}
	return fill(out, height)
}

func (s *sheet) bindings(k keys) []key.Binding {
	return []key.Binding{k.Close, k.Up, k.Down, k.PageDown, k.PageUp}
}

// newHelp lists the keys of the page and, in a scene, the commands.
func newHelp(m *model) overlay {
	groups, title := m.keys.helpLibrary(), "Help"
	commands := m.page == pageScene
	if commands {
		groups = m.keys.helpScene()
	}
	t := m.theme
	return &sheet{title: title, lines: func(width int) []string {
		var out []string
		for _, g := range groups {
			out = append(out, t.Accent.Render(g.title))
			out = append(out, columns(g.bindings, width, t)...)
			out = append(out, "")
		}
		if commands {
			out = append(out, t.Accent.Render("Commands")+t.Dim.Render("  tab completes them"))
			for _, u := range CommandList() {
				out = append(out, theme.Fit(u.Use, width))
				for _, l := range theme.Wrap(u.Help, max(8, width-4)) {
					out = append(out, "    "+t.Dim.Render(l))
				}
			}
		}
		return out
	}}
}

// columns draws bindings in as many columns as there is room for.
func columns(bindings []key.Binding, width int, t *theme.Theme) []string {
	const cell = 26
	n := max(1, width/cell)
	rows := (len(bindings) + n - 1) / n
	out := make([]string, rows)
	for i, b := range bindings {
		h := b.Help()
		out[i%rows] += theme.Pad(theme.Pad(h.Key, 10)+" "+t.Dim.Render(h.Desc), min(cell, width))
	}
	for i := range out {
		out[i] = strings.TrimRight(out[i], " ")
	}
	return out
}

// newPersonaCard shows a character to a player: who it is, what it knows, how it speaks.
func newPersonaCard(m *model, p *engine.Persona) overlay {
	t := m.theme
	name, style := m.who(p.ID)
	return &sheet{title: theme.Clean(p.Name) + " · " + p.ID, lines: func(width int) []string {
		var out []string
		wrap := func(indent string, s string, dim bool) {
			for _, l := range theme.Wrap(theme.Clean(s), min(88, width)-len(indent)) {
				if dim {
					l = t.Dim.Render(l)
				}
				out = append(out, indent+l)
			}
		}
		wrap("", p.Description, false)
		if len(p.Examples) > 0 {
			out = append(out, "", t.Accent.Render("Heard"))
			for _, e := range spread(p.Examples, 8) {
				wrap("", "you: "+e.You, true)
				before := len(out)
				wrap(strings.Repeat(" ", theme.Width(name)+2), e.Says, false)
				if before < len(out) {
					out[before] = style.Bold(true).Render(name) + "  " + strings.TrimLeft(out[before], " ")
				}
			}
		}
		if len(p.Knows) > 0 {
			out = append(out, "", t.Accent.Render("Knows"))
			for _, f := range p.Knows {
				wrap("  ", f, true)
			}
		}
		return out
	}}
}

// spread is at most n elements taken evenly.
func spread[T any](s []T, n int) []T {
	if len(s) <= n {
		return s
	}
	out := make([]T, 0, n)
	for i := range n {
		out = append(out, s[i*len(s)/n])
	}
	return out
}

// ask is a question to answer with yes or no before something is lost.
type ask struct {
	question string
	yes      func(session int64) tea.Cmd
	session  int64
}

func (a *ask) press(m *model, msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, m.keys.Yes):
		m.over = nil
		return a.yes(a.session)
	case key.Matches(msg, m.keys.No):
		m.over = nil
	}
	return nil
}

func (a *ask) render(m *model, width, height int) []string {
	out := []string{"", ""}
	for _, l := range theme.Wrap(theme.Clean(a.question), min(72, width-6)) {
		out = append(out, "   "+l)
	}
	return fill(append(out, "", "   "+m.theme.Accent.Render("y")+" yes    "+m.theme.Accent.Render("n")+" no"), height)
}

func (a *ask) bindings(k keys) []key.Binding { return []key.Binding{k.Yes, k.No} }

// branchList lists the branches of a talk; the one taken is played.
type branchList struct {
	branches []engine.Branch
	at       int
}

func newBranchList(m *model, b []engine.Branch) overlay {
	l := &branchList{branches: b}
	for i := range b {
		if m.talk != nil && b[i].Name == m.talk.Session.Branch {
			l.at = i
		}
	}
	return l
}

func (l *branchList) press(m *model, msg tea.KeyMsg) tea.Cmd {
	k := m.keys
	switch {
	case key.Matches(msg, k.Close):
		m.over = nil
	case key.Matches(msg, k.Up):
		l.at = max(0, l.at-1)
	case key.Matches(msg, k.Down):
		l.at = min(len(l.branches)-1, l.at+1)
	case key.Matches(msg, k.Use):
		m.over = nil
		return m.act(Command{Name: "switch", Text: l.branches[l.at].Name})
	}
	return nil
}

func (l *branchList) render(m *model, width, height int) []string {
	out := []string{" " + m.theme.Title.Render("Branches"), ""}
	var rows [][]string
	for i, b := range l.branches {
		row := "   " + theme.Clean(b.Name)
		if i == l.at {
			row = " " + m.theme.Accent.Render("› "+theme.Clean(b.Name))
		}
		if m.talk != nil && b.Name == m.talk.Session.Branch {
			row += m.theme.Dim.Render("  played now")
		}
		rows = append(rows, []string{theme.Fit(row, width)})
	}
	return fill(append(out, window(rows, l.at, height-2)...), height)
}

func (l *branchList) bindings(k keys) []key.Binding {
	return []key.Binding{k.Use, k.Up, k.Down, k.Close}
}
