package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/gguf"
	"github.com/personaweave/personaweave/engine/token"
	"github.com/personaweave/personaweave/engine/weights"
	"github.com/personaweave/personaweave/stories"
)

func (a *app) trainCmd() *cobra.Command {
	return group("train", "The trainer's bench", a.trainDataCmd())
}

// trainedOn is what is trained on of one source.
type trainedOn struct {
	Source     string  `json:"source"`
	Records    int     `json:"records"`
	Replies    int     `json:"replies"`
	Tokens     int     `json:"tokens"`  // of the replies
	Context    int     `json:"context"` // of scenes and turns that are only read
	HeldOut    int     `json:"heldout"` // records
	Duplicates int     `json:"duplicates"`
	Stock      int     `json:"stock"`
	Same       int     `json:"same"`
	Share      float64 `json:"share"` // of what is read in a pass, in tokens
}

func (a *app) trainDataCmd() *cobra.Command {
	var dir, chat, split string
	var asJSON bool
	c := &cobra.Command{Use: "data", Short: "Count what the model is trained on, and check that nothing held out is in it", Args: argCount(0, 0, ""),
		Long: "Counts what the model is trained on, by source: the dialogue files, the cast with its stories, and the public persona chat where\n" +
			"one is given, after the split. Left out are replies said before to the same line (duplicates), those of which there are more than\n" +
			"enough that begin alike or are alike (stock), and those that are the same as one held out. tokens are those of the replies,\n" +
			"context those of scenes and lines that are only read; share is a source's part of a pass. It fails if anything held out is left.",
		Example: "  weave train data\n  weave train data --chat synthetic-persona-chat.jsonl.gz --json",
		RunE: func(*cobra.Command, []string) error {
			if split == "" {
				split = filepath.Join(dir, "split.json")
			}
			rows, checked, err := trainData(dir, chat, split)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(map[string]any{"sources": rows})
			}
			if err := dataTable(a.out, rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "\nnothing held out is in it: %d replies were compared with %d that are held out\n", checked[0], checked[1])
			return err
		}}
	c.Flags().StringVar(&dir, "dialogues", "stories/dialogues", "the folder of dialogue files")
	c.Flags().StringVar(&chat, "chat", "", "the public persona chat, a dialogue file")
	c.Flags().StringVar(&split, "split", "", "what is held out; split.json of the dialogues unless given")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// trainData counts by source, in order of their names, and tells how many replies were checked against how many held out.
func trainData(dir, chat, split string) ([]trainedOn, [2]int, error) {
	var checked [2]int
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		return nil, checked, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there are no dialogues (*.jsonl.gz) in %s", dir),
			Hint: "run it in a checkout of personaweave, or give their folder: --dialogues DIR"}
	}
	data, err := os.ReadFile(split)
	if err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, checked, &engine.Error{Code: engine.NotFound, Message: "cannot read the split " + split, Hint: "give stories/dialogues/split.json with --split", Err: err}
	}
	s, err := corpus.ParseSplit(data)
	if err != nil {
		return nil, checked, &engine.Error{Code: engine.Invalid, Message: split + " is not a split", Hint: "give stories/dialogues/split.json with --split", Err: err}
	}
	sources := map[string]string{}
	for _, f := range files {
		sources[strings.TrimSuffix(filepath.Base(f), ".jsonl.gz")] = f
	}
	if chat != "" {
		sources[corpus.Chat] = chat
	}
	library, err := stories.Open() // what ships, not the player's own
	if err != nil {
		return nil, checked, err
	}
	talks, held := corpus.Written(library.Personas(), library.Stories(), false), corpus.Written(library.Personas(), library.Stories(), true)
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		records, err := corpus.ReadFile(sources[source])
		if err != nil {
			return nil, checked, err
		}
		ours, out := s.Sort(records, source)
		talks, held = append(talks, ours...), append(held, out...)
	}
	file, err := gguf.Parse(weights.Base())
	if err != nil {
		return nil, checked, err
	}
	tok, err := token.FromGGUF(file)
	if err != nil {
		return nil, checked, err
	}
	kept, left := corpus.Pick(talks, held)
	if err := s.Leak(kept, held); err != nil {
		return nil, checked, err
	}
	rows := map[string]*trainedOn{}
	row := func(source string) *trainedOn {
		if rows[source] == nil {
			l := left[source]
			rows[source] = &trainedOn{Source: source, Duplicates: l.Duplicates, Stock: l.Stock, Same: l.Same}
		}
		return rows[source]
	}
	for _, t := range talks {
		row(t.Source).Records++
	}
	for _, t := range held {
		row(t.Source).HeldOut++
		for _, b := range t.Blocks {
			for _, x := range b.Turns {
				if x.Learned {
					checked[1]++
				}
			}
		}
	}
	size := func(text string) int { return len(tok.Encode(strings.TrimSpace(text))) }
	sizes := map[string]float64{}
	for _, t := range kept {
		r := row(t.Source)
		for _, b := range t.Blocks {
			r.Context += size(b.Scene)
			for _, x := range b.Turns {
				if n := size(x.Text); x.Learned {
					r.Tokens += n
					r.Replies++
					checked[0]++
				} else {
					r.Context += n
				}
			}
		}
		sizes[t.Source] = float64(r.Tokens + r.Context)
	}
	shares := corpus.Shares(sizes)
	var out []trainedOn
	for _, source := range slices.Sorted(maps.Keys(rows)) {
		rows[source].Share = math.Round(shares[source]*1000) / 1000
		out = append(out, *rows[source])
	}
	return out, checked, nil
}

// dataTable draws the counts with their sums.
func dataTable(out io.Writer, rows []trainedOn) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "source      \trecords\treplies\ttokens\tcontext\theld out\tduplicates\tstock\tas held out\tshare\t")
	sum := trainedOn{Source: "all", Share: 1}
	line := func(r trainedOn) {
		fmt.Fprintf(w, "%-12s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f %%\t\n", r.Source, r.Records, r.Replies, r.Tokens, r.Context, r.HeldOut, r.Duplicates, r.Stock, r.Same, 100*r.Share)
	}
	for _, r := range rows {
		line(r)
		sum.Records, sum.Replies, sum.Tokens, sum.Context = sum.Records+r.Records, sum.Replies+r.Replies, sum.Tokens+r.Tokens, sum.Context+r.Context
		sum.HeldOut, sum.Duplicates, sum.Stock, sum.Same = sum.HeldOut+r.HeldOut, sum.Duplicates+r.Duplicates, sum.Stock+r.Stock, sum.Same+r.Same
	}
	line(sum)
	return w.Flush()
}
