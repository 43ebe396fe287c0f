package persona

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/personaweave/personaweave/engine"
)

// Duo is a mind of two models: one that nobody tuned for this program speaks, and the one that was reads. Speaker drafts and
// scores replies; Reader has the heads, and with them what is wanted, what was said and asked, who would say so, and every stored
// vector. It is as safe for concurrent use as its two minds.
type Duo struct{ Speaker, Reader *Mind }

var _ engine.Mind = Duo{}

// Ready waits until both models are loaded.
func (d Duo) Ready(ctx context.Context) error {
	if err := d.Speaker.Ready(ctx); err != nil {
		return err
	}
	return d.Reader.Ready(ctx)
}

// Model is a hash of both models' weights and of how the speaker blends; empty while either loads.
func (d Duo) Model() string {
	speaker, reader := d.Speaker.Model(), d.Reader.Model()
	if speaker == "" || reader == "" {
		return ""
	}
	how := "attended"
	if d.Speaker.Mixed {
		how = "mixed"
	}
	h := sha256.Sum256([]byte(speaker + " " + how + " " + reader))
	return hex.EncodeToString(h[:])[:len(reader)]
}

// Kernel names the kernel path.
func (d Duo) Kernel() string { return d.Reader.Kernel() }

// Read brings both up to the prompt and returns the reader's vector.
func (d Duo) Read(ctx context.Context, p engine.Prompt) ([]float32, error) {
	if _, err := d.Speaker.Read(ctx, p); err != nil {
		return nil, err
	}
	return d.Reader.Read(ctx, p)
}

// Draft has the speaker sample n replies.
func (d Duo) Draft(ctx context.Context, p engine.Prompt, n int, seed uint64) ([]engine.Draft, error) {
	return d.Speaker.Draft(ctx, p, n, seed)
}

// Score has the speaker score texts.
func (d Duo) Score(ctx context.Context, p engine.Prompt, texts []string) ([]float64, error) {
	return d.Speaker.Score(ctx, p, texts)
}

// Readings are the reader's.
func (d Duo) Readings(ctx context.Context, texts []string, player bool) ([]engine.Reading, error) {
	return d.Reader.Readings(ctx, texts, player)
}

// PersonaVector is the reader's.
func (d Duo) PersonaVector(ctx context.Context, description string) ([]float32, error) {
	return d.Reader.PersonaVector(ctx, description)
}

// Tidy has both read what is left.
func (d Duo) Tidy(ctx context.Context, p engine.Prompt) error {
	if err := d.Speaker.Tidy(ctx, p); err != nil {
		return err
	}
	return d.Reader.Tidy(ctx, p)
}
