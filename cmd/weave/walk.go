package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/persona"
	"github.com/personaweave/personaweave/engine/reward"
	"github.com/personaweave/personaweave/saves"
	"github.com/personaweave/personaweave/stories"
)

// terse is a model with nothing to say: what a player means is told as in play, and replies cost nothing. It reads each text once.
type terse struct {
	*persona.Mind
	read map[string]engine.Reading
}

// Readings reads each text once.
func (m terse) Readings(ctx context.Context, texts []string, player bool) ([]engine.Reading, error) {
	key := func(s string) string { return fmt.Sprint(player, s) }
	var missing []string
	for _, s := range texts {
		if _, ok := m.read[key(s)]; !ok {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		rs, err := m.Mind.Readings(ctx, missing, player)
		if err != nil {
			return nil, err
		}
		for i, s := range missing {
			m.read[key(s)] = rs[i]
		}
	}
	out := make([]engine.Reading, len(texts))
	for i, s := range texts {
		out[i] = m.read[key(s)]
	}
	return out, nil
}

// Read reads nothing.
func (terse) Read(context.Context, engine.Prompt) ([]float32, error) {
	return make([]float32, persona.Width), nil
}

// Draft says next to nothing.
func (terse) Draft(_ context.Context, _ engine.Prompt, n int, _ uint64) ([]engine.Draft, error) {
	return slices.Repeat([]engine.Draft{{Text: "Mm.", Finished: true}}, n), nil
}

// Score finds all alike.
func (terse) Score(_ context.Context, _ engine.Prompt, texts []string) ([]float64, error) {
	return make([]float64, len(texts)), nil
}

// Tidy does nothing.
func (terse) Tidy(context.Context, engine.Prompt) error { return nil }

// walker plays walkthroughs: the rules and the understanding of play, without replies.
type walker struct {
	engine *engine.Engine
	close  func()
}

func (a *app) walker(l *stories.Library) (*walker, error) {
	dir, err := os.MkdirTemp("", "weave-walk")
	if err != nil {
		return nil, &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot make a folder to play in: %v", err), Hint: "set TMPDIR to a folder you can write to"}
	}
	store, err := saves.Open(filepath.Join(dir, "weave.db"))
	if err != nil {
		return nil, err
	}
	t, err := a.tracker()
	if err != nil {
		return nil, err
	}
	mind := terse{a.think(), map[string]engine.Reading{}}
	t.Mind = mind
	none := persona.NewIndex(nil)
	e := engine.New(engine.Deps{Content: l, Store: store, Mind: mind, Retriever: none, Tracker: t,
		Judge: &reward.Judge{Mind: mind, Retriever: none, W: reward.DefaultWeights(), Scale: classifierScale}})
	return &walker{e, func() { e.Close(); _ = store.Close(); _ = os.RemoveAll(dir) }}, nil
}

// walk plays a walkthrough; trail tells, line by line, what was understood and where it led.
func (w *walker) walk(ctx context.Context, story string, lines []string) (ended, trail string, err error) {
	talk, err := w.engine.Start(ctx, story, 1)
	if err != nil {
		return "", "", err
	}
	for i, line := range lines {
		if talk.State().Ended != "" {
			break
		}
		from := len(talk.Path)
		if talk, err = w.engine.Turn(ctx, talk, line, int64(i), func(engine.Event) {}); err != nil {
			return "", trail, err
		}
		st := talk.State()
		trail += "\n  " + line + " → " + st.Scene
		for _, n := range talk.Path[from:] {
			if len(n.State.Said) > 0 && n.Kind != engine.Player {
				for id := range n.State.Said {
					trail += " " + id
				}
				break
			}
		}
		if l := st.Lesson; l != nil {
			trail += fmt.Sprintf(" step %d wrong %d hints %d", l.Step+1, l.Wrong, l.Hints)
		}
	}
	return talk.State().Ended, trail, nil
}

// walkScript plays a file's lines, one a line, and prints what is narrated and what characters say by the author's hand.
func (a *app) walkScript(ctx context.Context, w *walker, story, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the script: %v", err), Hint: "give a file with one line for each turn"}
	}
	talk, err := w.engine.Start(ctx, story, 1)
	if err != nil {
		return err
	}
	told := 0
	tell := func() {
		for _, n := range talk.Path[told:] {
			switch {
			case n.Kind == engine.Narration:
				fmt.Fprintln(a.out, n.Text)
			case n.Kind == engine.Character && n.Reply == nil:
				fmt.Fprintf(a.out, "%s: %s\n", n.Speaker, n.Text)
			}
		}
		told = len(talk.Path)
	}
	tell()
	i := int64(0)
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" || talk.State().Ended != "" {
			continue
		}
		fmt.Fprintln(a.out, "> "+line)
		i++
		if talk, err = w.engine.Turn(ctx, talk, line, i, func(engine.Event) {}); err != nil {
			return err
		}
		tell()
	}
	fmt.Fprintf(a.out, "ending: %s\n", talk.State().Ended)
	return nil
}

// walkCmd plays the walkthroughs of stories.
func (a *app) walkCmd() *cobra.Command {
	verbose, script := false, ""
	c := &cobra.Command{Use: "walk [STORY]", Short: "Play the walkthroughs that a story's author wrote and tell which endings they reach", Args: argCount(0, 1, "[STORY]"),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.content()
			if err != nil {
				return err
			}
			all := l.Stories()
			if len(args) == 1 {
				s, err := l.Story(args[0])
				if err != nil {
					return err
				}
				all = []*engine.Story{s}
			}
			w, err := a.walker(l)
			if err != nil {
				return err
			}
			defer w.close()
			if script != "" {
				if len(args) == 0 {
					return usage{&engine.Error{Code: engine.Invalid, Message: "--script needs a story", Hint: "weave story walk STORY --script FILE"}}
				}
				return a.walkScript(c.Context(), w, args[0], script)
			}
			lost := 0
			for _, s := range all {
				for _, x := range l.Walkthroughs(s.ID) {
					ended, trail, err := w.walk(c.Context(), s.ID, x.Lines)
					if err != nil {
						return err
					}
					how := "arrives at " + ended
					switch {
					case ended == "":
						how = "does not end; it should at " + x.Ending
					case ended != x.Ending:
						how = fmt.Sprintf("arrives at %s, not at %s", ended, x.Ending)
					}
					fmt.Fprintf(a.out, "%s: %q %s\n", s.ID, x.Name, how)
					if verbose || ended != x.Ending {
						fmt.Fprintln(a.out, strings.TrimPrefix(trail, "\n"))
					}
					if ended != x.Ending {
						lost++
					}
				}
			}
			if lost > 0 {
				return &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%d walkthroughs do not arrive", lost), Hint: "look where their lines were understood otherwise, and write those lines under the intent meant"}
			}
			return nil
		}}
	c.Flags().StringVar(&script, "script", "", "play the lines of this file instead, and print what the story tells")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell what each line was understood as")
	return c
}
