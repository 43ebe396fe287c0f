package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/eval"
	"github.com/personaweave/personaweave/saves"
	"github.com/personaweave/personaweave/stories"
)

const castHelp = `Measure the written characters at play, on player's lines that nothing was trained on: each is said to a character
where its first scene stands, and the engine answers as in play, without the held-out answers.

The judge is a logistic regression over words that shares nothing with the model. It learns from the characters' lines, less every
text that it judges, and tells whose line a text is among all characters. Its values are shares of texts that it gives to the right
one: of the authors' held-out answers (judge_authored), of the replies shown (judge_shown), of the best generated candidate of each
moment (judge_generated); shown_over_authored and generated_over_authored are their quotients.

retrieved is the share of shown replies that their author wrote; copied, of the best generated replies of six words or more, those
that stand word for word in a line of the characters, of the dialogue files or of --train (copied_drafts: of all generated
candidates). distinct2: different pairs of words over pairs. repeat_rate: generated replies that say three words in a row twice.

Talks: --talks of --turns turns each, with lines in a random order. talk_repeat_rate: replies that say three words in a row twice,
or a line of the talk again; talk_repeat_triples: triples of words that the character said before in the talk. Ten more lines are
asked at turn 1 and again after 19 turns, with the same seeds: talk_drift is the judge's share at turn 20 less that at turn 1.

--baselines adds, on the same moments: judge_unretrieved, the model without written lines; judge_found, the answer to the written
line nearest by words, without the model; judge_untuned, the base told its description and scene by its system turn.

Every value comes with its count and a 95 % interval (bootstrap over replies, 1,000 resamples; distinct2: jackknife).`

func (a *app) evalCastCmd() *cobra.Command {
	o := eval.CastOptions{}
	var asJSON, baselines bool
	var out string
	var train []string
	c := &cobra.Command{Use: "cast", Short: "Measure the written characters at play", Long: castHelp, Args: argCount(0, 0, ""),
		Example: "  weave eval cast --replies 200 --talks 10 --baselines --out replies.jsonl --json",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Replies < 0 || o.Talks < 0 {
				return usage{errors.New("--replies and --talks are 0 or more")}
			}
			if o.Talks > 0 && o.Turns < 20 {
				return usage{errors.New("--turns is 20 or more: the persona is measured again at turn 20; --talks 0 leaves talks out")}
			}
			cast, err := a.cast(train, baselines)
			if err != nil {
				return err
			}
			var write *os.File
			if out != "" { // before what takes long
				if write, err = os.Create(out); err != nil {
					return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", out, err), Hint: "give another file"}
				}
				defer func() { err = errors.Join(err, write.Close()) }()
			}
			store, err := a.measuring()
			if err != nil {
				return err
			}
			defer store.Close()
			game, err := a.engine(nil, store, false)
			if err != nil {
				return err
			}
			if err := game.Ready(c.Context()); err != nil {
				return err
			}
			cast.Sayer = game
			if baselines {
				cast.Finder = a.shelf
			}
			o.Progress = a.progress()
			r, replies, err := cast.Run(c.Context(), o)
			a.progressed(o.Progress)
			if err != nil {
				return err
			}
			if write != nil {
				w := bufio.NewWriter(write)
				e := json.NewEncoder(w)
				e.SetEscapeHTML(false)
				for _, x := range replies {
					if err := e.Encode(x); err != nil {
						return err
					}
				}
				if err := w.Flush(); err != nil {
					return err
				}
			}
			return a.tell(r, asJSON)
		}}
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed of chance")
	c.Flags().IntVar(&o.Replies, "replies", 200, "moments, spread evenly over the characters; 0: every character and line")
	c.Flags().IntVar(&o.Talks, "talks", 10, "long talks, spread over the characters; 0: none")
	c.Flags().IntVar(&o.Turns, "turns", 50, "turns of each talk")
	c.Flags().BoolVar(&baselines, "baselines", false, "measure the rivals too")
	c.Flags().StringSliceVar(&train, "train", nil, "more dialogue files that were trained on, to find copies of")
	c.Flags().StringVar(&out, "out", "", "write every reply that was judged to this file, as JSON lines")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// measuring keeps the vectors of examples between measurements, apart from the player's, which have the held-out lines too.
func (a *app) measuring() (*saves.Saves, error) {
	if err := os.MkdirAll(cacheDir(), 0o700); err != nil {
		return nil, &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot make %s: %v", cacheDir(), err), Hint: "set WEAVE_CACHE to a folder you can write to"}
	}
	return saves.Open(filepath.Join(cacheDir(), "eval.db"))
}

// cast gathers what is known of the written characters.
func (a *app) cast(train []string, baselines bool) (*eval.Cast, error) {
	content, err := a.content()
	if err != nil {
		return nil, err
	}
	lines, err := content.Examples(true)
	if err != nil {
		return nil, err
	}
	c := &eval.Cast{}
	if c.Texts, err = content.Texts(); err != nil {
		return nil, err
	}
	for _, f := range train {
		records, err := readRecords(f)
		if err != nil {
			return nil, err
		}
		for _, x := range eval.Exchanges(records, nil) {
			c.Texts = append(c.Texts, x.Says)
		}
	}
	known, speaks := map[string]bool{}, map[string]bool{}
	for _, p := range content.Personas() {
		known[p.ID] = true
	}
	for _, e := range lines {
		c.Texts = append(c.Texts, e.Says)
		switch {
		case !known[e.Persona]:
		case !e.HeldOut:
			speaks[e.Persona] = true
			c.Learn = append(c.Learn, eval.Line{Persona: e.Persona, Text: e.Says})
		case e.Common != "":
			c.Authored = append(c.Authored, eval.Reply{Persona: e.Persona, You: e.You, Source: eval.Authored, Text: e.Says})
		}
	}
	for _, p := range content.Personas() {
		if speaks[p.ID] {
			scene, place := stage(content, p)
			c.Roles = append(c.Roles, eval.Role{ID: p.ID, Name: p.ShortName(), Description: p.Description, Scene: scene, Place: place})
		}
	}
	for _, l := range content.HeldOut() {
		c.Lines = append(c.Lines, l.Text)
	}
	for _, l := range content.Common() {
		if l.HeldOut {
			c.Lines = append(c.Lines, l.Text)
		} else {
			c.Chat = append(c.Chat, l.Text)
		}
	}
	if baselines {
		base, err := bareBase()
		if err != nil {
			return nil, err
		}
		c.Untuned = base
	}
	return c, nil
}

// stage is turn 0 of a character: the first scene where it is present, and its place; elsewhere only that it is here.
func stage(content *stories.Library, who *engine.Persona) (scene, place string) {
	here := func(p *engine.Persona) string {
		tag := strings.TrimRight(p.Tagline, ".")
		if tag != "" {
			tag = strings.ToLower(tag[:1]) + tag[1:]
		}
		return fmt.Sprintf("%s, %s, is here.", p.Name, tag)
	}
	for _, s := range content.Stories() {
		for i := range s.Scenes {
			sc := &s.Scenes[i]
			in := false
			text := strings.TrimSpace(sc.Setting)
			for _, id := range sc.Present {
				in = in || id == who.ID
				if p, err := content.Persona(id); err == nil {
					text += " " + here(p)
				}
			}
			if in {
				return text, s.ID + "/" + sc.ID
			}
		}
	}
	return here(who), ""
}
