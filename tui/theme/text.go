package theme

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/personaweave/personaweave/engine"
)

// Clean makes a text of any origin safe to draw on one line: no escape sequence, control character or direction mark, and
// white space squeezed.
func Clean(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(engine.Printable(s), "")), " ")
}

// Width is the number of cells that s takes; styles take none.
func Width(s string) int { return ansi.StringWidth(s) }

// Fit cuts s so that it takes at most width cells, with an ellipsis where something is missing.
func Fit(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(s, width, "…")
}

// Pad cuts or fills s so that it takes exactly width cells.
func Pad(s string, width int) string {
	s = Fit(s, width)
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// PadLeft is Pad with s at the right.
func PadLeft(s string, width int) string {
	s = Fit(s, width)
	return strings.Repeat(" ", max(0, width-Width(s))) + s
}

// Ends puts left and right at the two ends of a line of width cells. Where there is no room for both, left is cut, and right
// is left out where less than a third would remain.
func Ends(left, right string, width int) string {
	room := width - Width(right) - 1
	if Width(right) == 0 || room < width/3 {
		return Pad(left, width)
	}
	return Pad(left, room) + " " + right
}

// Wrap breaks one paragraph into lines of at most width cells, at spaces where there are any. It returns at least one line.
func Wrap(s string, width int) []string {
	lines := strings.Split(ansi.Wrap(s, max(2, width), ""), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines
}
