package theme

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/charmbracelet/lipgloss"
	"github.com/lucasb-eyer/go-colorful"
	"github.com/muesli/termenv"
	"pgregory.net/rapid"
)

func themed(dark bool) *Theme {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.TrueColor)
	r.SetHasDarkBackground(dark)
	return New(r)
}

// A persona's name can be read on either background, whatever colour its author chose.
func TestPersonaContrast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dark := rapid.Bool().Draw(t, "dark")
		colour := fmt.Sprintf("#%06x", rapid.IntRange(0, 0xffffff).Draw(t, "colour"))
		if rapid.Bool().Draw(t, "none") {
			colour = ""
		}
		ground := colorful.Color{R: 1, G: 1, B: 1}
		if dark {
			ground = colorful.Color{R: 0.11, G: 0.11, B: 0.11}
		}
		style := themed(dark).Persona(rapid.StringN(1, 8, -1).Draw(t, "id"), colour)
		c, err := colorful.Hex(string(style.GetForeground().(lipgloss.Color)))
		if err != nil || contrast(c, ground) < 4.45 {
			t.Fatalf("%s on dark=%v: %v has contrast %.2f", colour, dark, style.GetForeground(), contrast(c, ground))
		}
	})
}

// Cut, filled and wrapped text takes the cells it was given, wide characters and emoji among them.
func TestFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Clean(strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"word", "日本語", "😀", "👩‍👩‍👧", " ", "é", "שלום", "longerthanmostwords"})).Draw(t, "s"), ""))
		width := rapid.IntRange(2, 60).Draw(t, "width")
		if n := Width(Pad(s, width)); n != width {
			t.Fatalf("Pad gives %d cells of %d: %q", n, width, Pad(s, width))
		}
		if n := Width(PadLeft(s, width)); n != width {
			t.Fatalf("PadLeft gives %d cells of %d", n, width)
		}
		if n := Width(Ends(s, s, width)); n != width {
			t.Fatalf("Ends gives %d cells of %d: %q", n, width, Ends(s, s, width))
		}
		for _, l := range Wrap(s, width) {
			if Width(l) > width {
				t.Fatalf("a line of %d cells in %d: %q", Width(l), width, l)
			}
		}
	})
}
