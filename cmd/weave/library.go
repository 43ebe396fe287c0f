package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/stories"
)

func (a *app) personaCmd() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the cast", Args: argCount(0, 0, ""), RunE: func(*cobra.Command, []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		for _, p := range l.Personas() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d lines\n", p.ID, p.Name, p.Tagline, len(p.Examples))
		}
		return w.Flush()
	}}
	show := &cobra.Command{Use: "show PERSONA", Short: "Show a character", Args: argCount(1, 1, "PERSONA"), RunE: func(_ *cobra.Command, args []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		p, err := l.Persona(args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s (%s): %s\n\n%s\n\nknows:\n", p.Name, p.ID, p.Tagline, p.Description)
		for _, k := range p.Knows {
			fmt.Fprintf(a.out, "  - %s\n", k)
		}
		fmt.Fprintf(a.out, "\n%d example lines, %d dialogues; for instance:\n", len(p.Examples), len(p.Dialogues))
		for _, e := range p.Examples[:min(8, len(p.Examples))] {
			fmt.Fprintf(a.out, "  you: %s\n  %s: %s\n", e.You, p.ShortName(), e.Says)
		}
		return nil
	}}
	return group("persona", "The writer's bench for characters", list, show, a.sweepCmd(), a.newCmd("persona", "personas", stories.NewPersona), a.checkCmd("persona"))
}

func (a *app) storyCmd() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the library", Args: argCount(0, 0, ""), RunE: func(*cobra.Command, []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		for _, s := range l.Stories() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d scenes\n", s.ID, s.Kind, s.Title, len(s.Scenes))
		}
		return w.Flush()
	}}
	show := &cobra.Command{Use: "show STORY", Short: "Show a story", Args: argCount(1, 1, "STORY"), RunE: func(_ *cobra.Command, args []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		s, err := l.Story(args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s (%s, %s)\n\n%s\n\ncast: %s\n", s.Title, s.ID, s.Kind, s.Summary, strings.Join(s.Cast, ", "))
		for i, sc := range s.Scenes {
			fmt.Fprintf(a.out, "\n%d. %s (%s), with %s\n   %d beats", i+1, sc.Title, sc.ID, strings.Join(sc.Present, ", "), len(sc.Beats))
			for _, g := range sc.Goals {
				fmt.Fprintf(a.out, "; goal: %s", g.Want)
			}
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "\n%d endings\n", len(s.Endings))
		return nil
	}}
	lesson := false
	story := a.newCmd("story", "library", func(id string) (string, error) {
		if lesson {
			return stories.NewLesson(id)
		}
		return stories.NewStory(id)
	})
	story.Flags().BoolVar(&lesson, "lesson", false, "begin a lesson: steps, hints, a report")
	return group("story", "The writer's bench for stories", list, show, story, a.checkCmd("story"), a.walkCmd())
}

// newCmd writes a scaffold into the player's folder.
func (a *app) newCmd(what, folder string, scaffold func(string) (string, error)) *cobra.Command {
	return &cobra.Command{Use: "new ID", Short: "Begin a " + what + " of your own", Args: argCount(1, 1, "ID"), RunE: func(_ *cobra.Command, args []string) error {
		text, err := scaffold(args[0])
		if err != nil {
			return usage{err}
		}
		dir, err := dataDir()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, folder, args[0]+".yaml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot make %s: %v", filepath.Dir(path), err), Hint: "set WEAVE_DATA to a folder you can write to"}
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			return &engine.Error{Code: engine.Invalid, Message: path + " is there already", Hint: "choose another id; it was left as it is"}
		}
		if err == nil {
			_, err = f.WriteString(text)
			if err = errors.Join(err, f.Close()); err != nil {
				_ = os.Remove(path)
			}
		}
		if err != nil {
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", path, err), Hint: "set WEAVE_DATA to a folder you can write to"}
		}
		fmt.Fprintf(a.out, "%s\nEdit it, then: weave %s check %s\n", path, what, path)
		return nil
	}}
}

// checkCmd checks a file, or everything.
func (a *app) checkCmd(what string) *cobra.Command {
	return &cobra.Command{Use: "check [FILE]", Short: "Check a " + what + " file: each mistake with its line", Args: argCount(0, 1, "[FILE]"), RunE: func(_ *cobra.Command, args []string) error {
		l, err := a.content()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			if p := l.Problems(); len(p) > 0 {
				return errors.Join(p...)
			}
			fmt.Fprintf(a.out, "%d personas and %d stories are well\n", len(l.Personas()), len(l.Stories()))
			return nil
		}
		err = l.Check(args[0])
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 1 {
			all := joined.Unwrap()
			for _, e := range all[:len(all)-1] {
				fmt.Fprintln(a.errs, oneLine(e))
			}
			err = all[len(all)-1]
		}
		if err == nil {
			fmt.Fprintf(a.out, "%s is well\n", args[0])
		}
		return err
	}}
}
