// Package transcript draws a talk: names in a margin, narration set apart, one item for each node of the path. Items never
// change once drawn and are kept; a frame costs what is visible, whatever the length of the talk. It must not know the game.
package transcript

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// measure is the longest line of text, in cells; longer ones are hard to read.
const measure = 96

// keptItems is how many drawn items are kept before all are forgotten.
const keptItems = 4096

// Who says how a persona is drawn in the margin.
type Who func(id string) (name string, style lipgloss.Style)

// View is a window on a talk. It follows the talk's end until it is scrolled away from it.
type View struct {
	theme *theme.Theme
	who   Who
	story *engine.Story
	nodes []engine.Node

	width, height int
	margin        int // cells of the names
	kept          map[key][]string

	chosen int // index of the reply the player chose, or −1
	last   int // index of the last reply, or −1: it shows how many candidates there are

	away bool // scrolled away from the end; then:
	end  int  // the last item that shows
	cut  int  // how many of its lines are hidden below
	tail []string
}

type key struct {
	node          int64
	chosen, width int
	mark          mark
}

type mark byte

const (
	unmarked mark = iota
	swiped        // shows which candidate it is
	picked        // the same, and chosen by the player
)

// New returns an empty view.
func New(t *theme.Theme, who Who) *View {
	return &View{theme: t, who: who, kept: map[key][]string{}, chosen: -1, last: -1}
}

// Set shows a path of a story's talk. A view scrolled away stays where it is as long as there is something there.
func (v *View) Set(story *engine.Story, nodes []engine.Node) {
	if v.story != story {
		v.story, v.away, v.margin = story, false, 0
		clear(v.kept)
	}
	v.nodes = nodes
	if v.end >= len(nodes) {
		v.away = false
	}
	v.chosen, v.last = -1, -1
	for i, n := range slices.Backward(nodes) {
		if n.Kind == engine.Character {
			v.last = i
			break
		}
	}
	v.measureNames()
}

// Resize sets the window's size in cells.
func (v *View) Resize(width, height int) {
	if width != v.width {
		clear(v.kept)
		v.width = width
		v.measureNames()
	}
	v.height = max(0, height)
	if v.away {
		v.Scroll(0)
	}
}

// measureNames makes the margin wide enough for the cast's names, within reason.
func (v *View) measureNames() {
	if v.story == nil {
		return
	}
	wide := theme.Width("you")
	for _, id := range v.story.Cast {
		name, _ := v.who(id)
		wide = max(wide, theme.Width(name))
	}
	for i := range v.story.Scenes {
		for _, id := range v.story.Scenes[i].Present {
			name, _ := v.who(id)
			wide = max(wide, theme.Width(name))
		}
	}
	if m := min(wide, 12, max(3, v.width/4)); m != v.margin {
		v.margin = m
		clear(v.kept)
	}
}

// Nodes is the path that is shown.
func (v *View) Nodes() []engine.Node { return v.nodes }

// SetTail sets lines that stand below the talk's end.
func (v *View) SetTail(lines []string) { v.tail = lines }

// Tail wraps a line that is not part of the talk yet, as the named speaker's.
func (v *View) Tail(name string, nameStyle, textStyle lipgloss.Style, text string) []string {
	return append([]string{""}, v.spoken(name, nameStyle, textStyle, text, unmarked, "")...)
}

// Chosen is the index of the reply the player chose, or −1.
func (v *View) Chosen() int { return v.chosen }

// Choose chooses the reply at index i and brings it into view; −1 chooses none.
func (v *View) Choose(i int) {
	v.chosen = -1
	if i >= 0 && i < len(v.nodes) && v.nodes[i].Kind == engine.Character {
		v.chosen = i
		v.show(i)
	}
}

// ChooseNext moves the choice by one reply, up the talk with step −1 and down with +1; past the last none is chosen. It
// reports whether there was a reply to choose.
func (v *View) ChooseNext(step int) bool {
	i := v.chosen
	if i < 0 {
		i = len(v.nodes)
		if step > 0 {
			return v.last >= 0
		}
	}
	for i += step; i >= 0 && i < len(v.nodes); i += step {
		if v.nodes[i].Kind == engine.Character {
			v.Choose(i)
			return true
		}
	}
	if step > 0 {
		v.chosen = -1
		v.Bottom()
	}
	return v.last >= 0
}

// Bottom returns to the talk's end.
func (v *View) Bottom() { v.away = false }

// Top goes to the talk's beginning.
func (v *View) Top() {
	rest := v.height
	for i := range v.nodes {
		n := len(v.item(i))
		if n >= rest {
			v.away, v.end, v.cut = true, i, n-rest
			return
		}
		rest -= n
	}
	v.away = false
}

// Away reports whether the view is scrolled away from the talk's end.
func (v *View) Away() bool { return v.away }

// Scroll moves the window by lines: up the talk where lines is above 0, else down.
func (v *View) Scroll(lines int) {
	if len(v.nodes) == 0 {
		return
	}
	if !v.away {
		if lines <= 0 {
			return
		}
		v.end, v.cut = len(v.nodes)-1, 0
		lines = max(0, lines-len(v.tail))
	}
	v.away = true
	v.end = min(v.end, len(v.nodes)-1)
	v.cut += lines
	for v.cut >= len(v.item(v.end)) && v.end > 0 {
		v.cut -= len(v.item(v.end))
		v.end--
	}
	for v.cut < 0 {
		if v.end == len(v.nodes)-1 {
			v.away = false
			return
		}
		v.end++
		v.cut += len(v.item(v.end))
	}
	if v.end == len(v.nodes)-1 && v.cut == 0 && lines <= 0 {
		v.away = false
		return
	}
	have := -v.cut
	for i := v.end; i >= 0 && have < v.height; i-- {
		have += len(v.item(i))
	}
	if have < v.height {
		v.Top()
	}
}

// show scrolls so that item i is in view.
func (v *View) show(i int) {
	end, cut, rest := len(v.nodes)-1, 0, v.height
	if v.away {
		end, cut = v.end, v.cut
	} else {
		rest -= len(v.tail)
	}
	if i > end || i == end && cut > 0 {
		v.away, v.end, v.cut = i < len(v.nodes)-1, i, 0
		return
	}
	rest += cut
	for j := end; j > i && rest > 0; j-- {
		rest -= len(v.item(j))
	}
	if rest < len(v.item(i)) {
		v.away, v.end, v.cut = true, i, 0
		v.Scroll(0)
	}
}

// Render draws the window: exactly as many lines as it is high, none wider than it is wide.
func (v *View) Render() []string {
	var parts [][]string
	end, cut, have := len(v.nodes)-1, 0, 0
	if v.away {
		end, cut = v.end, v.cut
	} else if len(v.tail) > 0 {
		parts = append(parts, v.tail)
		have = len(v.tail)
	}
	for i := end; i >= 0 && have < v.height; i-- {
		lines := v.item(i)
		if i == end {
			lines = lines[:max(0, len(lines)-cut)]
		}
		parts = append(parts, lines)
		have += len(lines)
	}
	out := make([]string, 0, max(have, v.height))
	for range v.height - have {
		out = append(out, "")
	}
	for _, lines := range slices.Backward(parts) {
		out = append(out, lines...)
	}
	return out[len(out)-v.height:]
}

// item returns the lines of one node, drawn once for each way it can look.
func (v *View) item(i int) []string {
	n := &v.nodes[i]
	k := key{node: n.ID, width: v.width}
	if n.Kind == engine.Character && n.Reply != nil {
		k.chosen = n.Reply.Chosen
	}
	switch {
	case i == v.chosen:
		k.mark = picked
	case i == v.last && v.chosen < 0:
		k.mark = swiped
	}
	if lines, ok := v.kept[k]; ok && n.ID != 0 {
		return lines
	}
	if len(v.kept) >= keptItems {
		clear(v.kept)
	}
	lines := v.draw(i, k.mark)
	v.kept[k] = lines
	return lines
}

// draw makes the lines of a node. They depend on the node and on those above it, which never change, and on the mark.
func (v *View) draw(i int, m mark) []string {
	n := &v.nodes[i]
	var lines []string
	if i > 0 && !(n.Kind == engine.Command && v.nodes[i-1].Kind == engine.Command) {
		lines = append(lines, "")
	}
	text := n.Text
	if i == 0 || n.State.Scene != v.nodes[i-1].State.Scene {
		if sc, ok := v.story.Scene(n.State.Scene); ok {
			if title := theme.Clean(sc.Title); title != "" && i > 0 {
				lines = append(lines, " "+v.theme.Dim.Render(theme.Fit("── "+title+" ──", v.width-2)), "")
			}
			if n.Kind == engine.Narration && strings.TrimSpace(text) == "" {
				text = sc.Setting
			}
		}
	}
	switch n.Kind {
	case engine.Narration:
		lines = append(lines, v.narration(text)...)
	case engine.Player:
		lines = append(lines, v.spoken("you", v.theme.Dim, v.theme.Text, text, m, "")...)
	case engine.Character:
		swipe := ""
		if r := n.Reply; m != unmarked && r != nil && len(r.Candidates) > 1 {
			swipe = fmt.Sprintf("‹ %d of %d ›", r.Chosen+1, len(r.Candidates))
		}
		name, style := v.who(n.Speaker)
		lines = append(lines, v.spoken(name, style.Bold(true), v.theme.Text, text, m, swipe)...)
	case engine.Command:
		for _, l := range theme.Wrap("· "+theme.Clean(text), v.width-v.margin-4) {
			lines = append(lines, strings.Repeat(" ", v.margin+3)+v.theme.Dim.Render(l))
		}
	}
	if was := (i > 0 && v.nodes[i-1].State.Ended == n.State.Ended); n.State.Ended != "" && !was {
		title := "the end"
		if e, ok := v.story.Endings[n.State.Ended]; ok && theme.Clean(e.Title) != "" {
			title += ": " + theme.Clean(e.Title)
		}
		lines = append(lines, "", " "+v.theme.Accent.Render(theme.Fit("── "+title+" ──", v.width-2)))
	}
	return lines
}

// narration draws authored text: indented, in italics where the terminal has them, its paragraphs kept.
func (v *View) narration(text string) []string {
	indent := strings.Repeat(" ", 3)
	var lines []string
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if paragraph = theme.Clean(paragraph); paragraph == "" {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		for _, l := range theme.Wrap(paragraph, min(measure, v.width-5)) {
			lines = append(lines, indent+v.theme.Narration.Render(l))
		}
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

// spoken draws an utterance: the name in the margin, the text beside it, at its end which candidate it is.
func (v *View) spoken(name string, nameStyle, textStyle lipgloss.Style, text string, m mark, swipe string) []string {
	gutter := " "
	if m == picked {
		gutter = v.theme.Accent.Render("▌")
	}
	wide := max(2, min(measure, v.width-v.margin-4))
	body := theme.Wrap(theme.Clean(text), wide)
	lines := make([]string, 0, len(body)+1)
	margin := nameStyle.Render(theme.Fit(name, v.margin)) + strings.Repeat(" ", max(0, v.margin-theme.Width(theme.Fit(name, v.margin))))
	for i, l := range body {
		if i > 0 {
			margin = strings.Repeat(" ", v.margin)
		}
		line := gutter + margin + "  " + textStyle.Render(l)
		if i == len(body)-1 && swipe != "" {
			room := wide - theme.Width(l) - theme.Width(swipe)
			if room < 2 {
				lines = append(lines, line)
				line, room = gutter+strings.Repeat(" ", v.margin+2), wide-theme.Width(swipe)
			}
			line += strings.Repeat(" ", max(0, room)) + v.theme.Dim.Render(swipe)
		}
		lines = append(lines, line)
	}
	return lines
}
