package tui

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/rivo/uniseg"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// inputRows is the most rows the player's line takes on the screen.
const inputRows = 3

// input is the player's line: one line of text, drawn over one to three rows.
type input struct {
	line    textinput.Model
	history []string
	at      int    // index in history of what is shown; len(history) is the new line
	fresh   string // the new line, while an old one is shown
}

func newInput() input {
	line := textinput.New()
	line.CharLimit = engine.MaxLine
	line.KeyMap.Paste.SetEnabled(false)
	line.KeyMap.AcceptSuggestion.SetEnabled(false)
	line.Focus() // its blinking is not wanted: the cursor stands still
	return input{line: line}
}

func (in *input) value() string { return in.line.Value() }
func (in *input) empty() bool   { return in.line.Value() == "" }

func (in *input) set(s string) {
	in.line.SetValue(s)
	in.line.CursorEnd()
}

// sent empties the line and remembers what was in it.
func (in *input) sent() {
	if s := in.value(); strings.TrimSpace(s) != "" && (len(in.history) == 0 || in.history[len(in.history)-1] != s) {
		in.history = append(in.history, s)
	}
	in.at, in.fresh = len(in.history), ""
	in.line.Reset()
}

// recall shows the line sent before (−1) or after (+1) the one shown.
func (in *input) recall(step int) {
	to := in.at + step
	if to < 0 || to > len(in.history) {
		return
	}
	if in.at == len(in.history) {
		in.fresh = in.value()
	}
	in.at = to
	if to == len(in.history) {
		in.set(in.fresh)
		return
	}
	in.set(in.history[to])
}

// press edits the line by a key. What is typed or pasted is made safe to draw and cut to the room there is; it reports whether
// it was cut.
func (in *input) press(msg tea.KeyMsg) (cut bool) {
	if msg.Type == tea.KeyRunes || msg.Type == tea.KeySpace {
		if msg.Alt && !msg.Paste {
			in.line, _ = in.line.Update(msg)
			return false
		}
		room := engine.MaxLine - utf8.RuneCountInString(in.value())
		text := msg.Runes
		if most := 8 * engine.MaxLine; len(text) > most { // what is cleaned away may be long, but not without end
			text, cut = text[:most], true
		}
		clean := []rune(strings.ToValidUTF8(engine.Printable(string(text)), ""))
		if len(clean) > room {
			clean, cut = clean[:max(0, room)], true
		}
		if len(clean) > 0 {
			in.line, _ = in.line.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: clean})
		}
		return cut
	}
	before, at := in.value(), in.line.Position()
	in.line, _ = in.line.Update(msg)
	in.whole(msg, before, at)
	return false
}

// whole keeps the cursor out of what is one character to the eye (an emoji of several code points): moving passes it, and
// deleting takes all of it.
func (in *input) whole(msg tea.KeyMsg, before string, at int) {
	now := in.line.Position()
	if d := now - at; d != 1 && d != -1 {
		return
	}
	start, end := cluster(before, now)
	if start == now {
		return
	}
	switch {
	case key.Matches(msg, in.line.KeyMap.CharacterForward):
		in.line.SetCursor(end)
	case key.Matches(msg, in.line.KeyMap.CharacterBackward):
		in.line.SetCursor(start)
	case key.Matches(msg, in.line.KeyMap.DeleteCharacterBackward):
		r := []rune(in.value())
		in.line.SetValue(string(r[:start]) + string(r[now:]))
		in.line.SetCursor(start)
	}
}

// cluster returns the runes [start, end) of the grapheme cluster that rune i of s lies in.
func cluster(s string, i int) (start, end int) {
	g := uniseg.NewGraphemes(s)
	for g.Next() {
		end = start + len(g.Runes())
		if i < end {
			return start, end
		}
		start = end
	}
	return start, start
}

// render draws the line with its cursor in rows of width cells: at most most rows, those around the cursor.
func (in *input) render(t *theme.Theme, width, most int, focus bool, placeholder string) []string {
	const prompt = 2
	wide := max(2, width-prompt-1-t.CursorWidth())
	var rows []string
	var row strings.Builder
	cells, pos, cursorRow := 0, 0, 0
	flush := func() {
		rows = append(rows, row.String())
		row.Reset()
		cells = 0
	}
	g := uniseg.NewGraphemes(in.value())
	done := !focus
	for g.Next() {
		s, n := g.Str(), len(g.Runes())
		if w := theme.Width(s); cells+w > wide {
			flush()
		}
		cells += theme.Width(s)
		if !done && in.line.Position() < pos+n {
			row.WriteString(t.Cursor(s))
			cursorRow, done = len(rows), true
		} else {
			row.WriteString(s)
		}
		pos += n
	}
	if !done {
		if cells+1 > wide {
			flush()
		}
		cursorRow = len(rows)
		row.WriteString(t.Cursor(" "))
	}
	if in.empty() && placeholder != "" {
		row.WriteString(t.Dim.Render(theme.Fit(placeholder, wide-1)))
	}
	flush()
	from := max(0, min(cursorRow-most+1, len(rows)-most))
	if cursorRow < from {
		from = cursorRow
	}
	to := min(len(rows), from+max(1, most))
	out := make([]string, 0, most)
	for i, r := range rows[from:to] {
		lead := "  "
		switch {
		case from+i == 0:
			lead = "› "
		case i == 0:
			lead = "… "
		}
		out = append(out, t.Accent.Render(lead)+r)
	}
	return out
}
