package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/saves"
)

func sessionID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usage{fmt.Errorf("%q is not the number of a save; weave saves list shows them", s)}
	}
	return id, nil
}

func (a *app) savesCmd() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List saves, last played first", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		s, err := a.data()
		if err != nil {
			return err
		}
		all, err := s.Sessions(c.Context(), "")
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		for _, x := range all {
			state := x.Scene
			if x.Ended != "" {
				state = "ended: " + x.Ended
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d turns\t%s\n", x.ID, x.Story, x.Name, state, x.Turns, x.Played.Local().Format(time.DateTime))
		}
		return w.Flush()
	}}
	var to string
	export := &cobra.Command{Use: "export SAVE", Short: "Write a save as JSON lines", Args: argCount(1, 1, "SAVE"), RunE: func(c *cobra.Command, args []string) error {
		id, err := sessionID(args[0])
		if err != nil {
			return err
		}
		s, err := a.data()
		if err != nil {
			return err
		}
		if to == "" {
			return s.Export(c.Context(), a.out, id)
		}
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", to, err), Hint: "give another file with --to"}
		}
		err = s.Export(c.Context(), f, id)
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(to)
		}
		return err
	}}
	export.Flags().StringVar(&to, "to", "", "the file to write; it must not exist")
	imp := &cobra.Command{Use: "import FILE", Short: "Add a save that was exported", Args: argCount(1, 1, "FILE"), RunE: func(c *cobra.Command, args []string) error {
		var in io.Reader = a.in
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the save: %v", err), Hint: "give a file that weave saves export wrote"}
			}
			defer f.Close()
			in = f
		}
		s, err := a.data()
		if err != nil {
			return err
		}
		x, err := s.Import(c.Context(), in)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "save %d of %s, %d turns\n", x.ID, x.Story, x.Turns)
		return nil
	}}
	check := &cobra.Command{Use: "check", Short: "Check the file of saves", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		s, err := a.data()
		if err != nil {
			return err
		}
		if err := s.Check(c.Context()); err != nil {
			return err
		}
		all, err := s.Sessions(c.Context(), "")
		if err != nil {
			return err
		}
		for _, x := range all {
			if _, err := s.Path(c.Context(), x.ID, x.Head); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.out, "%d saves are well\n", len(all))
		return nil
	}}
	return group("saves", "The player's saves", list, export, imp, check)
}

// doctorCmd checks all that play needs and says what to do about what is missing.
func (a *app) doctorCmd() *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "Check model, library, saves and machine", Args: argCount(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error {
		ctx, ill := c.Context(), 0
		report := func(what string, err error, well string) {
			if err != nil {
				ill++
				fmt.Fprintf(a.out, "✗ %-8s %s\n", what, oneLine(err))
				return
			}
			fmt.Fprintf(a.out, "✓ %-8s %s\n", what, well)
		}
		report("machine", nil, fmt.Sprintf("%s/%s, kernel %s on %d threads (this machine can run %v)", runtime.GOOS, runtime.GOARCH, kernel.Name(), kernel.Threads(), kernel.Paths()))
		start := time.Now()
		m, err := a.ready(ctx)
		took, weights := time.Since(start).Round(time.Millisecond), ""
		if err == nil {
			weights = fmt.Sprintf("weights %s, loaded in %v", m.Hash(), took)
			if u := a.untuned(); u != "" {
				weights = u + ", " + weights
			}
		}
		report("model", err, weights)
		l, err := a.content()
		cast := ""
		if err == nil {
			cast = fmt.Sprintf("%d personas, %d stories", len(l.Personas()), len(l.Stories()))
			err = errors.Join(l.Problems()...)
		}
		report("library", err, cast)
		path, err := saves.DefaultPath()
		if err == nil {
			var s *saves.Saves
			if s, err = a.data(); err == nil {
				err = s.Check(ctx)
			}
		}
		report("saves", err, path)
		if ill > 0 {
			return fmt.Errorf("%d of 4 checks failed; what to do stands beside each", ill)
		}
		return nil
	}}
}
