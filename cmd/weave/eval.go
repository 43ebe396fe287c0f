package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/eval"
	"github.com/personaweave/personaweave/engine/seq2seq"
	"github.com/personaweave/personaweave/engine/weights"
)

const evalHelp = `Measure the model on the replies of dialogue files, grids and ladders (README, "Dialogues"), at most --replies of them, spread
over the files. Every value comes with its count, its seed and a 95 % interval (bootstrap over replies, 1,000 resamples; distinct2:
jackknife).

  nll_per_word      −Σ log p(reply) / Σ words, nats; words are those between white space, and one end a reply
  nll_per_word_null the same under the null persona
  ppl_word          exp(nll_per_word)
  bits_per_byte     −Σ log₂ p(reply) / Σ (bytes + 1)
  hits1_20          the reply comes before 19 others of its source, by reply head · response head
  hits1_20_lm       … by log p(reply | moment) a token (--ranked)
  hits1_20_mi       … by log p(reply | moment) − log p(reply), the second without dialogue and persona (Li et al. 2016)
  hits1_20_mi_token … by the same a token
  persona_top1      its own of ten descriptions of the files has the highest persona head · voice head
  persona_top1_lm   its own of ten descriptions makes the reply likeliest, all else the same (--ranked)
  f1                words that the greedy reply and the written one share, 2·same / (words + words) (--generate)
  distinct2         different pairs of words over pairs, over all sampled replies
  repeat_rate       sampled replies that say three words in a row twice, or a line of the talk again
On ladders, with w̄(reply) = Σ w p(reply | w) / Σ p(reply | w) over the mixtures w = 0, ¼, ½, ¾, 1:
  blend_spearman    rank correlation of the weight written for and the weight by the classifier
  ladder_corr       Pearson correlation of the weight written for and w̄
  ladder_argmax     of the five mixtures, the one written for makes the reply likeliest
  ladder_between    lines with w̄(reply at 0) < w̄(reply at ½) < w̄(reply at 1)

--baselines measures rivals on the same replies, each with the metrics that it has:
  untuned  the base without our adapter, description and scene as its system turn
  null     the model under the null persona
  ngram    an interpolated 5-gram over words (modified Kneser–Ney), unknown words spelled by letters, which has read the last words
           of the player's line
  tfidf    the answer to the nearest line by TF-IDF; candidates ranked by their cosine with the line, the description and that answer
The last two learn from the files of --train (else of --data), less what --split holds out and what is measured.`

func (a *app) evalCmd() *cobra.Command {
	var files, train []string
	var asJSON, baselines bool
	var split string
	o := eval.Options{}
	c := &cobra.Command{Use: "eval --data FILES", Short: "Measure the model on dialogue files", Long: evalHelp, Args: argCount(0, 0, "--data FILES"),
		Example: "  weave eval --data stories/dialogues/grid3.jsonl.gz --split stories/dialogues/split.json --baselines --json\n  weave eval cast --replies 200 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usage{fmt.Errorf("say what to measure on: --data FILE, a dialogue file (.jsonl or .jsonl.gz)")}
			}
			if o.Replies < 0 || o.Ranked < 0 || o.Generate < 0 {
				return usage{fmt.Errorf("--replies, --ranked and --generate are 0 or more")}
			}
			if baselines && split == "" && len(train) == 0 {
				return usage{errors.New("say what the rivals learn from: --train FILES, or --split FILE to learn from the rest of --data")}
			}
			held, err := readSplit(split)
			if err != nil {
				return err
			}
			out := func(r *corpus.Record) bool { return held == nil || held.Holds(r) }
			all, err := readRecords(files...)
			if err != nil {
				return err
			}
			records, rest := part(all, out)
			if len(records) == 0 {
				return &engine.Error{Code: engine.Invalid, Message: "the split holds nothing of these files out", Hint: "leave out --split to measure on all"}
			}
			if len(train) > 0 {
				if rest, err = readRecords(train...); err != nil {
					return err
				}
				if held != nil {
					_, rest = part(rest, out)
				}
			}
			m, err := a.ready(c.Context())
			if err != nil {
				return err
			}
			model := &eval.Seq2Seq{Model: m}
			if baselines {
				base, err := bareBase()
				if err != nil {
					return err
				}
				learn := eval.Exchanges(rest, records)
				o.Baselines = []eval.Baseline{{Name: "untuned", Is: base}, {Name: "null", Is: eval.Null{Model: model}},
					{Name: "ngram", Is: eval.NewNGram(learn)}, {Name: "tfidf", Is: eval.NewTFIDF(learn)}}
			}
			o.Progress = a.progress()
			r, err := eval.Run(c.Context(), model, records, o)
			a.progressed(o.Progress)
			if err != nil {
				return err
			}
			return a.tell(r, asJSON)
		}}
	c.Flags().StringSliceVar(&files, "data", nil, "dialogue files")
	c.Flags().StringVar(&split, "split", "", "measure only on what this split holds out of training")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed of chance")
	c.Flags().IntVar(&o.Replies, "replies", 0, "score at most so many replies; 0: all")
	c.Flags().IntVar(&o.Ranked, "ranked", 0, "rank so many by likelihood among 20; 0: 50")
	c.Flags().IntVar(&o.Generate, "generate", 0, "make so many replies anew; 0: 60")
	c.Flags().BoolVar(&baselines, "baselines", false, "measure the rivals too")
	c.Flags().StringSliceVar(&train, "train", nil, "dialogue files that the rivals learn from")
	c.AddCommand(a.evalCastCmd(), a.evalReadingCmd())
	return c
}

// progress tells on a terminal how far a measurement is; nil elsewhere.
func (a *app) progress() func(done, of int) {
	if !terminal(a.in, a.out) {
		return nil
	}
	return func(done, of int) { fmt.Fprintf(a.errs, "\r%d of %d ", done, of) }
}

// progressed ends the line of progress.
func (a *app) progressed(progress func(done, of int)) {
	if progress != nil {
		fmt.Fprintln(a.errs)
	}
}

// bareBase is the base as it came.
func bareBase() (*eval.Untuned, error) {
	m, err := seq2seq.Load(seq2seq.Source{Base: weights.Base(), BaseHash: weights.BaseHash, CacheDir: cacheDir()})
	if err != nil {
		return nil, err
	}
	return &eval.Untuned{Model: m}, nil
}

// readSplit reads a split; nil without a path.
func readSplit(path string) (*corpus.Split, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the split: %v", err), Hint: "give stories/dialogues/split.json, or leave --split out"}
	}
	return corpus.ParseSplit(data)
}

// readRecords reads dialogue files, one after another.
func readRecords(files ...string) ([]corpus.Record, error) {
	var out []corpus.Record
	for _, f := range files {
		some, err := corpus.ReadFile(f)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// part parts records into those that are in and those that are not.
func part(all []corpus.Record, in func(*corpus.Record) bool) (yes, no []corpus.Record) {
	for i := range all {
		if in(&all[i]) {
			yes = append(yes, all[i])
		} else {
			no = append(no, all[i])
		}
	}
	return yes, no
}

// tell prints a report, for people or as JSON.
func (a *app) tell(report interface{ Text(io.Writer) error }, asJSON bool) error {
	if !asJSON {
		return report.Text(a.out)
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
