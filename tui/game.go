// Package tui is the screen: one tea.Model and its parts. It draws what the engine's types say and asks a Game to play; it must
// not know the model, the storage or the file formats.
package tui

import (
	"context"

	"github.com/personaweave/personaweave/engine"
)

// Game plays talks; *engine.Engine is one. Every method may take long and is called in a tea.Cmd, never in Update or View.
// Talks are immutable snapshots.
type Game interface {
	engine.Content
	// Ready waits until the model is loaded, or says why it cannot be.
	Ready(ctx context.Context) error
	// Sessions lists saves, last played first.
	Sessions(ctx context.Context) ([]engine.Session, error)
	// Start begins a story; Resume returns to a save exactly where it was left.
	Start(ctx context.Context, story string, seed uint64) (*engine.Talk, error)
	Resume(ctx context.Context, session int64) (*engine.Talk, error)
	Delete(ctx context.Context, session int64) error
	// Turn takes the player's line to the reply; events are emitted in order, from one goroutine, tagged with turn.
	Turn(ctx context.Context, t *engine.Talk, line string, turn int64, emit func(engine.Event)) (*engine.Talk, error)
	// Again makes another reply in place of the character's node at index at of t.Path; what followed it stays on its branch.
	Again(ctx context.Context, t *engine.Talk, at int, turn int64, emit func(engine.Event)) (*engine.Talk, error)
	// Swipe shows the candidate (index into Reply.Candidates) of the node at index at in its place; going back to a
	// candidate that was continued returns to what followed it.
	Swipe(ctx context.Context, t *engine.Talk, at, candidate int) (*engine.Talk, error)
	// Undo goes back to before the player's last line; Redo forward again along the newest branch.
	Undo(ctx context.Context, t *engine.Talk) (*engine.Talk, error)
	Redo(ctx context.Context, t *engine.Talk) (*engine.Talk, error)
	// Fork names a branch at index at of t.Path and plays it; Switch plays another; Branches lists them.
	Fork(ctx context.Context, t *engine.Talk, at int, name string) (*engine.Talk, error)
	Switch(ctx context.Context, t *engine.Talk, name string) (*engine.Talk, error)
	Branches(ctx context.Context, t *engine.Talk) ([]engine.Branch, error)
	// Rename names the save (/save NAME).
	Rename(ctx context.Context, t *engine.Talk, name string) (*engine.Talk, error)
	// SetBlend sets a speaker's target blend; jump moves there at once. speaker "" is the last one who spoke.
	SetBlend(ctx context.Context, t *engine.Talk, speaker string, b engine.Blend, jump bool) (*engine.Talk, error)
	// Become replaces a speaker's persona by a description; SetStrength sets persona strength; SetNext who answers next.
	Become(ctx context.Context, t *engine.Talk, speaker, description string) (*engine.Talk, error)
	SetStrength(ctx context.Context, t *engine.Talk, strength float64) (*engine.Talk, error)
	SetNext(ctx context.Context, t *engine.Talk, speaker string) (*engine.Talk, error)
}
