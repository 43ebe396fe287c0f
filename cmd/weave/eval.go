package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/eval"
)

func (a *app) evalCmd() *cobra.Command {
	var files []string
	var asJSON bool
	var split string
	o := eval.Options{}
	c := &cobra.Command{Use: "eval --data FILES", Short: "Measure the model on dialogue files", Args: argCount(0, 0, "--data FILES"),
		Example: "  weave eval --data stories/dialogues/grid3.jsonl.gz --split stories/dialogues/split.json --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usage{fmt.Errorf("say what to measure on: --data FILE, a dialogue file (.jsonl or .jsonl.gz)")}
			}
			if o.Replies < 0 || o.Ranked < 0 || o.Generate < 0 {
				return usage{fmt.Errorf("--replies, --ranked and --generate are 0 or more")}
			}
			var held *corpus.Split
			if split != "" {
				data, err := os.ReadFile(split)
				if err != nil {
					return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the split: %v", err), Hint: "give stories/dialogues/split.json, or leave --split out"}
				}
				if held, err = corpus.ParseSplit(data); err != nil {
					return err
				}
			}
			var records []corpus.Record
			for _, f := range files {
				some, err := corpus.ReadFile(f)
				if err != nil {
					return err
				}
				for i := range some {
					if held == nil || held.Holds(&some[i]) {
						records = append(records, some[i])
					}
				}
			}
			if len(records) == 0 {
				return &engine.Error{Code: engine.Invalid, Message: "the split holds nothing of these files out", Hint: "leave out --split to measure on all"}
			}
			m, err := a.ready(c.Context())
			if err != nil {
				return err
			}
			if terminal(a.in, a.out) {
				o.Progress = func(done, of int) { fmt.Fprintf(a.errs, "\r%d of %d ", done, of) }
			}
			r, err := eval.Run(c.Context(), &eval.Seq2Seq{Model: m}, records, o)
			if o.Progress != nil {
				fmt.Fprintln(a.errs)
			}
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(r)
			}
			return r.Text(a.out)
		}}
	c.Flags().StringSliceVar(&files, "data", nil, "dialogue files")
	c.Flags().StringVar(&split, "split", "", "measure only on what this split holds out of training")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed of chance")
	c.Flags().IntVar(&o.Replies, "replies", 0, "score at most so many replies; 0: all")
	c.Flags().IntVar(&o.Ranked, "ranked", 0, "rank so many by likelihood among 20; 0: 50")
	c.Flags().IntVar(&o.Generate, "generate", 0, "make so many replies anew; 0: 60")
	return c
}
