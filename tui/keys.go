package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/key"

	"github.com/personaweave/personaweave/tui/theme"
)

// keys are all keys of the screen; help and the status line are made from them.
type keys struct {
	Quit, Suspend, Help key.Binding

	Up, Down, PageUp, PageDown, Top, Bottom key.Binding

	// The library.
	Open, New, Delete, Next, Prev, Leave key.Binding

	// A scene, whatever has the focus.
	Send, Again, Undo, Redo, Branch, Why, Panel, Older, Newer, SwipeLeft, SwipeRight, Browse, Earlier, Later key.Binding

	// A scene, while the transcript has the focus: plain characters.
	Input, PlainAgain, PlainUndo, PlainRedo, PlainBranch, PlainWhy, PlainOlder, PlainNewer, PlainQuit, Library key.Binding

	Yes, No, Close, Use key.Binding
}

func newKeys() keys {
	bind := func(names, show, help string) key.Binding {
		return key.NewBinding(key.WithKeys(strings.Fields(names)...), key.WithHelp(show, help))
	}
	return keys{
		Quit: bind("ctrl+c", "ctrl+c", "quit"), Suspend: bind("ctrl+z", "ctrl+z", "to the shell"), Help: bind("? f1", "?", "help"),
		Up: bind("up k", "↑/k", "up"), Down: bind("down j", "↓/j", "down"), PageUp: bind("pgup", "pgup", "page up"),
		PageDown: bind("pgdown", "pgdn", "page down"), Top: bind("home g", "g", "beginning"), Bottom: bind("end G", "G", "end"),

		Open: bind("enter", "enter", "open"), New: bind("n", "n", "begin anew"), Delete: bind("d delete", "d", "delete"),
		Next: bind("tab right l", "tab", "next section"), Prev: bind("shift+tab left h", "shift+tab", "section before"),
		Leave: bind("q esc", "q", "quit"),

		Send: bind("enter", "enter", "say"), Again: bind("alt+r", "alt+r", "again"), Undo: bind("alt+u", "alt+u", "undo"),
		Redo: bind("alt+y", "alt+y", "redo"), Branch: bind("alt+b", "alt+b", "branch"), Why: bind("alt+w", "alt+w", "why"),
		Panel: bind("tab", "tab", "panel"), Older: bind("alt+up", "alt+↑", "choose a reply"),
		Newer: bind("alt+down", "alt+↓", "the next one"), SwipeLeft: bind("left", "←", "candidate before"),
		SwipeRight: bind("right", "→", "next candidate"), Browse: bind("esc", "esc", "browse"),
		Earlier: bind("up", "↑", "your line before"), Later: bind("down", "↓", "your line after"),

		Input: bind("i enter", "i", "write"), PlainAgain: bind("r", "r", "again"), PlainUndo: bind("u", "u", "undo"),
		PlainRedo: bind("U", "U", "redo"), PlainBranch: bind("b", "b", "branch"), PlainWhy: bind("w", "w", "why"),
		PlainOlder: bind("[ p", "[", "choose a reply"), PlainNewer: bind("] n", "]", "the next one"),
		PlainQuit: bind("q", "q", "quit"), Library: bind("esc", "esc", "library"),

		Yes: bind("y Y", "y", "yes"), No: bind("n N esc q", "n", "no"), Close: bind("esc q", "esc", "close"),
		Use: bind("enter", "enter", "take this one"),
	}
}

// shortHelp is the status line: as many of the bindings as fit, most important first.
func shortHelp(t *theme.Theme, width int, bindings ...key.Binding) string {
	out, used := "", 1
	for _, b := range bindings {
		h := b.Help()
		s := theme.Width(h.Key) + 1 + theme.Width(h.Desc)
		sep := ""
		if out != "" {
			sep = t.Dim.Render(" · ")
			s += 3
		}
		if used+s > width {
			break
		}
		used += s
		out += sep + h.Key + " " + t.Dim.Render(h.Desc)
	}
	return " " + out
}

// helpGroup is one part of the help overlay.
type helpGroup struct {
	title    string
	bindings []key.Binding
}

func (k keys) helpLibrary() []helpGroup {
	return []helpGroup{
		{"Library", []key.Binding{k.Up, k.Down, k.Next, k.Prev, k.Open, k.New, k.Delete, k.Help, k.Leave, k.Suspend}},
	}
}

func (k keys) helpScene() []helpGroup {
	return []helpGroup{
		{"Writing", []key.Binding{k.Send, k.Again, k.Undo, k.Redo, k.Branch, k.Why, k.Older, k.Newer, k.SwipeLeft, k.SwipeRight,
			k.Panel, k.Earlier, k.Later, k.PageUp, k.PageDown, k.Browse, k.Suspend, k.Quit}},
		{"Browsing", []key.Binding{k.Up, k.Down, k.Top, k.Bottom, k.PlainOlder, k.PlainNewer, k.PlainAgain, k.PlainUndo,
			k.PlainRedo, k.PlainBranch, k.PlainWhy, k.Input, k.Library, k.PlainQuit, k.Help}},
	}
}
