package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/term"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// Options say where the screen begins.
type Options struct {
	Story   string // story id to play; empty: begin in the library, unless Session
	Session int64  // the save to resume; 0: the newest of the story, unless New
	New     bool   // begin the story anew
	Seed    uint64 // of the first talk that is begun; those after it count on from there
	Info    string // one line about model and kernel, shown in the library; may be empty
	// Untuned names the model that speaks where nobody tuned it for this program ("untuned model NAME"); it stays in sight.
	Untuned string
	// Waking tells what is being made ready, where it takes long; nil or empty: nothing to tell. It must not block.
	Waking func() string
	Clock  func() time.Time // nil: time.Now
	// Export writes a talk as a transcript and returns where; nil: there is no /export.
	Export func(*engine.Talk) (path string, err error)
}

// leaveWait is how long the program waits at its end for a reply that is being made and has been cancelled.
const leaveWait = 2 * time.Second

// Run plays on the terminal until the player leaves (nil), ctx ends (its cause) or the terminal fails. What is under way when
// it ends is cancelled.
func Run(ctx context.Context, g Game, o Options) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r := lipgloss.DefaultRenderer()
	r.HasDarkBackground() // asks the terminal, which must not happen once its answers are read as keys
	m := newModel(inner, g, o, theme.New(r))
	options := []tea.ProgramOption{tea.WithAltScreen(), tea.WithContext(inner)}
	if term.IsTerminal(os.Stdin.Fd()) {
		options = append(options, tea.WithInput(&pasteReader{File: os.Stdin}))
	}
	_, err := tea.NewProgram(m, options...).Run()
	cancel()
	m.crew.end(leaveWait)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, tea.ErrInterrupted):
		return nil
	case err != nil:
		return fmt.Errorf("play on the terminal: %w", err)
	}
	return nil
}
