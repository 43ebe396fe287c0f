package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/engine/persona"
	"github.com/personaweave/personaweave/engine/seq2seq"
)

// modelHelp says what another model is good for, and what it needs.
const modelHelp = `A model of your own speaks in place of the shipped one with --model FILE.gguf, or always after weave model use FILE.gguf. It is
used as it is, untuned, and the screen says so: it reads a character's description as the system turn, and all those of a blend, each
by its weight. The shipped model stays beside it to understand you, to find example lines and to judge replies.

It must be a GGUF of the architecture llama, stored as F32, F16, BF16, Q8_0, Q6_K, Q5_*, Q4_0, Q4_1 or Q4_K, with a byte-level
BPE tokenizer (SmolLM, Llama 3) whose turns are marked in ChatML or as in Llama 3. weave model check FILE tells.

Memory: about 1.1 GB for every billion parameters beside the 0.5 GB that weave takes without it, and as much on disk, in the cache.`

// chosenModel is the GGUF to play with instead of the shipped one, or empty: --model, else what `model use` chose.
func (a *app) chosenModel() string {
	if a.modelPath != "" {
		return a.modelPath
	}
	if dir, err := dataDir(); err == nil {
		if b, err := os.ReadFile(filepath.Join(dir, "model")); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}

func (a *app) modelCmd() *cobra.Command {
	describe := func(name, what string, m *seq2seq.Model) {
		c := m.Config()
		fmt.Fprintf(a.out, "%s: %s, %d layers, width %d, %d tokens, weights %s in %d MB, kernel %s on %d threads\n", name, what, c.Layers, c.Dim, c.Vocab, m.Hash(), m.Bytes()>>20, kernel.Name(), kernel.Threads())
	}
	list := &cobra.Command{Use: "list", Short: "Show the model in use", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		m, err := a.ready(c.Context())
		if err != nil {
			return err
		}
		if name := a.chosenModel(); name != "" {
			describe(name, "untuned", m)
		} else {
			describe("shipped", m.Config().Preset, m)
		}
		return nil
	}}
	check := &cobra.Command{Use: "check FILE", Short: "Tell whether a GGUF can be played", Args: argCount(1, 1, "FILE"), RunE: func(_ *cobra.Command, args []string) error {
		m, err := loadFile(args[0], "")
		if err != nil {
			return err
		}
		describe(args[0], "untuned", m)
		return nil
	}}
	use := &cobra.Command{Use: "use FILE|shipped", Short: "Play with another GGUF from now on", Args: argCount(1, 1, "FILE|shipped"), RunE: func(_ *cobra.Command, args []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, "model")
		if args[0] == "shipped" {
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				return err
			}
			fmt.Fprintln(a.out, "playing with the shipped model")
			return nil
		}
		full, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		m, err := loadFile(full, "")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot make %s: %v", dir, err), Hint: "set WEAVE_DATA to a folder you can write to"}
		}
		next := path + ".new" // a choice that cannot be written leaves the last one
		err = os.WriteFile(next, []byte(full+"\n"), 0o600)
		if err == nil {
			err = os.Rename(next, path)
		}
		if err != nil {
			_ = os.Remove(next)
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", path, err), Hint: "set WEAVE_DATA to a folder you can write to"}
		}
		describe(full, "untuned", m)
		return nil
	}}
	ready := &cobra.Command{Use: "ready", Short: "Print how many milliseconds after its start this program could reply", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		begin := time.Now()
		if b, err := os.ReadFile("/proc/self/stat"); err == nil {
			begin = started(string(b), begin)
		}
		if err := a.minds().Ready(c.Context()); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%.0f\n", since(begin))
		return nil
	}}
	vectors := &cobra.Command{Use: "vectors FILE", Short: "Write the vectors of the library's example lines, as they ship", Args: argCount(1, 1, "FILE"), RunE: func(c *cobra.Command, args []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		lines, err := l.Examples(true)
		if err != nil {
			return err
		}
		all, err := persona.Fill(c.Context(), a.think(), nowhere{}, nil, lines, func(done, of int) { fmt.Fprintf(a.errs, "\r%d of %d ", done, of) })
		fmt.Fprintln(a.errs)
		if err != nil {
			return err
		}
		f, err := os.Create(args[0])
		if err != nil {
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", args[0], err), Hint: "give another file"}
		}
		return errors.Join(persona.NewVectors(a.mind.Model(), all).Write(f), f.Close())
	}}
	g := group("model", "The model's bench", list, check, use, ready, vectors, a.moodCmd(), a.pairsCmd(), a.judgeCmd())
	g.Long = modelHelp
	return g
}

// started is when this process started, by Linux's account of it in hundredths of a second since boot; otherwise now.
func started(stat string, now time.Time) time.Time {
	var up, ticks float64
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return now
	}
	if _, err := fmt.Sscan(string(b), &up); err != nil {
		return now
	}
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return now
	}
	if _, err := fmt.Sscan(fields[19], &ticks); err != nil {
		return now
	}
	return now.Add(-time.Duration((up - ticks/100) * float64(time.Second)))
}

// ready waits for the model that speaks.
func (a *app) ready(ctx context.Context) (*seq2seq.Model, error) { return a.speaker().Seq2Seq(ctx) }
