package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/tui"
)

type playFlags struct {
	library bool // begin in the library
	story   string
	fresh   bool
	plain   bool
	script  string
	seed    uint64
	seeded  bool
}

func (a *app) playCmd() *cobra.Command {
	var f playFlags
	c := &cobra.Command{
		Use:   "play [STORY]",
		Short: "Play a story: where you left it, or anew",
		Args:  argCount(0, 1, "[STORY]"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.story = args[0]
			}
			f.seeded = c.Flags().Changed("seed")
			return a.play(c.Context(), f)
		},
	}
	c.Flags().BoolVar(&f.fresh, "new", false, "begin anew instead of where you left it")
	c.Flags().BoolVar(&f.plain, "plain", false, "line by line, for pipes and screen readers")
	c.Flags().StringVar(&f.script, "script", "", "play the lines of a file, plainly, from the beginning")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "begin anew with this seed of chance: the same lines get the same replies")
	return c
}

func (a *app) play(ctx context.Context, f playFlags) error {
	content, err := a.content()
	if err != nil {
		return err
	}
	if f.story == "" && !f.library {
		if all := content.Stories(); len(all) > 0 {
			f.story = all[0].ID
		}
	}
	if f.story != "" {
		if _, err := content.Story(f.story); err != nil {
			return err
		}
	}
	in := a.in
	if f.script != "" {
		file, err := os.Open(f.script)
		if err != nil {
			return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the script: %v", err), Hint: "give a file with one line of the player's per line"}
		}
		defer file.Close()
		in, f.plain = file, true
	}
	if !f.plain && !terminal(a.in, a.out) {
		f.plain = true
	}
	a.screen = !f.plain
	game, err := a.open()
	if err != nil {
		return err
	}
	fresh := f.fresh || f.seeded || f.script != ""
	if !f.seeded {
		f.seed = rand.Uint64()
	}
	if f.plain {
		if f.story == "" {
			if all := content.Stories(); len(all) > 0 {
				f.story = all[0].ID
			}
		}
		return tui.Plain(ctx, game, in, a.out, tui.PlainOptions{Story: f.story, New: fresh, Seed: f.seed, Echo: f.script != "", Untuned: a.untuned(), Export: func(t *engine.Talk) (string, error) { return game.Markdown(t), nil }})
	}
	waking := func() string {
		if s := a.filling.Load(); s != nil {
			return *s
		}
		return ""
	}
	return tui.Run(ctx, game, tui.Options{Waking: waking, Untuned: a.untuned(), Story: f.story, New: fresh, Seed: f.seed, Info: fmt.Sprintf("%s · %d threads", kernel.Name(), kernel.Threads()), Export: a.export})
}

func terminal(in io.Reader, out io.Writer) bool {
	i, ok1 := in.(*os.File)
	o, ok2 := out.(*os.File)
	return ok1 && ok2 && term.IsTerminal(int(i.Fd())) && term.IsTerminal(int(o.Fd()))
}

// export writes a talk as Markdown into the player's data folder and returns where.
func (a *app) export(t *engine.Talk) (string, error) {
	dir, err := dataDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "exports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write to %s: %v", dir, err), Hint: "make room or give the folder back its rights"}
	}
	return tui.CommandExport(t, a.game.Markdown(t), filepath.Join(dir, fmt.Sprintf("%s-%d-%d.md", t.Story.ID, t.Session.ID, len(t.Path))))
}
