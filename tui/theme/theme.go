// Package theme holds the screen's colours and the few ways text is fitted into cells. It must not know what is drawn.
package theme

import (
	"hash/fnv"

	"github.com/charmbracelet/lipgloss"
	"github.com/lucasb-eyer/go-colorful"
	"github.com/muesli/termenv"
)

// Theme is the set of styles of one terminal. It is made once and not changed.
type Theme struct {
	Text      lipgloss.Style
	Dim       lipgloss.Style // asides: help, labels, what the player told the program
	Accent    lipgloss.Style // what is chosen, and what is done
	Warn      lipgloss.Style // what went wrong
	Title     lipgloss.Style
	Narration lipgloss.Style

	renderer *lipgloss.Renderer
	plain    bool // without colour: marks must say what colour says
	dark     bool
}

// New makes the theme for a terminal: its colour profile and background are the renderer's.
func New(r *lipgloss.Renderer) *Theme {
	colour := func(light, dark string) lipgloss.Style {
		return r.NewStyle().Foreground(lipgloss.AdaptiveColor{Light: light, Dark: dark})
	}
	return &Theme{
		Text: r.NewStyle(), Dim: colour("#6A6A6A", "#8C8C8C"), Accent: colour("#006A70", "#6CC5CC"),
		Warn: colour("#9C3A00", "#F0A35E"), Title: r.NewStyle().Bold(true),
		Narration: colour("#555555", "#A6A6A6").Italic(true),
		renderer:  r, plain: r.ColorProfile() == termenv.Ascii, dark: r.HasDarkBackground(),
	}
}

// Plain reports whether the terminal draws without colour.
func (t *Theme) Plain() bool { return t.plain }

// Persona is the style of a persona's name and bars: its colour (#rrggbb) brought to a contrast of at least 4.5 (WCAG 2.1)
// with the background. A persona without a readable colour gets one by its id.
func (t *Theme) Persona(id, colour string) lipgloss.Style {
	c, err := colorful.Hex(colour)
	if err != nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(id))
		c = colorful.Hcl(float64(h.Sum32()%360), 0.5, 0.6).Clamped()
	}
	ground, toward := colorful.Color{R: 1, G: 1, B: 1}, colorful.Color{}
	if t.dark {
		ground, toward = colorful.Color{R: 0.11, G: 0.11, B: 0.11}, colorful.Color{R: 1, G: 1, B: 1}
	}
	out := c
	for i := 1; i <= 20 && contrast(out, ground) < 4.5; i++ {
		out = c.BlendLab(toward, float64(i)/20).Clamped()
	}
	return t.renderer.NewStyle().Foreground(lipgloss.Color(out.Hex()))
}

// contrast is the ratio of relative luminances of WCAG 2.1, from 1 to 21.
func contrast(a, b colorful.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c colorful.Color) float64 {
	r, g, b := c.LinearRgb()
	return 0.2126*r + 0.7152*g + 0.0722*b
}

// Cursor draws the cell under the cursor. Without colour it is a bar before the cell, so that it is seen on any terminal.
func (t *Theme) Cursor(cell string) string {
	if t.plain {
		return "▏" + cell
	}
	return t.renderer.NewStyle().Reverse(true).Render(cell)
}

// CursorWidth is how many cells Cursor adds to the cell it draws.
func (t *Theme) CursorWidth() int {
	if t.plain {
		return 1
	}
	return 0
}
