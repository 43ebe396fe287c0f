// Command weave plays stories with characters whose replies a small model on this machine makes. It wires the packages together
// and knows no arithmetic, storage or drawing of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// usage marks an error of wrong use: exit code 2.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// run is the program: exit code 0 done, 1 failed, 2 wrong use. Errors are one line that says what to do next.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: in, out: out, errs: errs}
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return 1
	}
	fmt.Fprintf(errs, "weave: %s\n", oneLine(err))
	if u := (usage{}); errors.As(err, &u) {
		return 2
	}
	return 1
}

// oneLine is an error as one line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(engine.Printable(strings.ReplaceAll(err.Error(), "\n", "; ")), func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// root builds the commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "weave",
		Short:         "Talk with characters woven from plain descriptions",
		Long:          "weave is a terminal roleplay application: characters are persona vectors blended turn by turn, and replies come from a\nmodel on this machine and from lines their authors wrote. Without a command it opens the library.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return a.play(c.Context(), playFlags{library: true}) },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&a.modelPath, "model", "", "another Llama-shaped GGUF speaks, untuned, instead of the shipped model; see weave model --help")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(a.playCmd(), a.sayCmd(), a.evalCmd(), a.benchCmd(), a.trainCmd(), a.savesCmd(), a.doctorCmd(), a.personaCmd(), a.storyCmd(), a.modelCmd())
	return root
}

// noArgs refuses arguments and names a command that may have been meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + c.CommandPath() + " --help"
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + c.CommandPath() + " " + near[0] + "?"
	}
	return usage{fmt.Errorf("unknown command or argument %q; %s", args[0], hint)}
}

func argCount(least, most int, use string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage{fmt.Errorf("wrong number of arguments; use: %s %s", c.CommandPath(), use)}
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(subs...)
	return c
}
