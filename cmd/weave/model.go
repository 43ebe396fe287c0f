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
	load := func(path string) (*seq2seq.Model, error) {
		b := &app{in: a.in, out: a.out, errs: a.errs, modelPath: path}
		src, err := b.source()
		if err != nil {
			return nil, err
		}
		return seq2seq.Load(src)
	}
	describe := func(name string, m *seq2seq.Model) {
		c := m.Config()
		fmt.Fprintf(a.out, "%s: %s, %d layers, width %d, %d tokens, weights %s, kernel %s on %d threads\n", name, c.Preset, c.Layers, c.Dim, c.Vocab, m.Hash(), kernel.Name(), kernel.Threads())
	}
	list := &cobra.Command{Use: "list", Short: "Show the model in use", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		m, err := a.think().Seq2Seq(c.Context())
		if err != nil {
			return err
		}
		name := a.chosenModel()
		if name == "" {
			name = "shipped"
		}
		describe(name, m)
		return nil
	}}
	check := &cobra.Command{Use: "check FILE", Short: "Tell whether a GGUF can be played", Args: argCount(1, 1, "FILE"), RunE: func(_ *cobra.Command, args []string) error {
		m, err := load(args[0])
		if err != nil {
			return err
		}
		describe(args[0], m)
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
		m, err := load(full)
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
		describe(full, m)
		return nil
	}}
	ready := &cobra.Command{Use: "ready", Short: "Print how many milliseconds after its start this program could reply", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		begin := time.Now()
		if b, err := os.ReadFile("/proc/self/stat"); err == nil {
			begin = started(string(b), begin)
		}
		if _, err := a.ready(c.Context()); err != nil {
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
	return group("model", "The model's bench", list, check, use, ready, vectors, a.moodCmd())
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

// ready waits for the model.
func (a *app) ready(ctx context.Context) (*seq2seq.Model, error) { return a.think().Seq2Seq(ctx) }
