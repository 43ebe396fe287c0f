package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/personaweave/personaweave/engine"
)

type sayFlags struct {
	as, blend, context string
	n, found           int
	seed               uint64
	seeded, json       bool
	strength           float64
}

func (a *app) sayCmd() *cobra.Command {
	var f sayFlags
	c := &cobra.Command{
		Use:   "say --as PERSONA TEXT",
		Short: "One reply of a character, or of a description in quotes",
		Example: `  weave say --as librarian "whats in the locked cabinet??"
  weave say --as "a sarcastic robot who misses the sea" --json "hello, who are you?"
  weave say --blend "librarian=0.7,captain=0.3" "can you help me?"`,
		Args: argCount(1, 1, `[--as PERSONA] "TEXT"`),
		RunE: func(c *cobra.Command, args []string) error {
			f.seeded = c.Flags().Changed("seed")
			return a.say(c.Context(), f, args[0])
		},
	}
	c.Flags().StringVar(&f.as, "as", "", "who answers: a persona's id, or a description in quotes")
	c.Flags().StringVar(&f.blend, "blend", "", `a mixture of personas, such as "librarian=0.7,captain=0.3"`)
	c.Flags().StringVar(&f.context, "context", "", `a file with what was said before: lines "you: …" and "NAME: …"; a line without either sets the scene`)
	c.Flags().IntVar(&f.n, "n", 8, "how many candidates the model makes")
	c.Flags().IntVar(&f.found, "found", 8, "how many example lines are considered; 0: none")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of chance")
	c.Flags().Float64Var(&f.strength, "strength", 1, "persona strength, 0 to 3")
	c.Flags().BoolVar(&f.json, "json", false, "print candidates, rewards, blend and timings as JSON")
	return c
}

// said is what `say --json` prints.
type said struct {
	Model      string             `json:"model"` // "shipped", or that it is untuned
	Reply      string             `json:"reply"`
	Speaker    string             `json:"speaker"`
	Seed       uint64             `json:"seed"`
	Blend      engine.Blend       `json:"blend"`
	Candidates []engine.Candidate `json:"candidates"`
	TimingsMS  map[string]float64 `json:"timings_ms"`
}

// described is the id of a persona given by a description alone.
const described = "you-described"

func (a *app) say(ctx context.Context, f sayFlags, text string) error {
	line, _, err := engine.Clean(text)
	if err != nil {
		return usage{err}
	}
	if f.as == "" && f.blend == "" {
		return usage{fmt.Errorf("say who answers: --as PERSONA, or --blend \"p=0.7,q=0.3\"")}
	}
	if f.n < 0 || f.n > 64 || f.found < 0 || f.found > 64 || f.n+f.found == 0 {
		return usage{fmt.Errorf("--n and --found go from 0 to 64, and not both are 0")}
	}
	if f.strength < 0 || f.strength > engine.MaxStrength {
		return usage{fmt.Errorf("--strength goes from 0 to %g", float64(engine.MaxStrength))}
	}
	if !f.seeded {
		f.seed = rand.Uint64()
	}
	content, err := a.content()
	if err != nil {
		return err
	}
	p := engine.Prompt{Strength: f.strength}
	speaker := f.as
	blend := engine.Blend{}
	if f.as != "" {
		blend = engine.Pure(f.as)
	}
	if f.blend != "" {
		if blend, err = engine.ParseBlend(f.blend); err != nil {
			return usage{err}
		}
		if speaker == "" {
			speaker = blend.IDs()[0]
		}
	}
	for _, id := range blend.IDs() {
		who, err := content.Persona(id)
		switch {
		case err == nil:
			p.Blend = append(p.Blend, engine.Weighted{ID: id, Description: who.Description, Weight: blend[id]})
		case id == f.as && strings.ContainsFunc(id, unicode.IsSpace):
			text, _, err := engine.Clean(id)
			if err != nil {
				return usage{err}
			}
			p.Blend = append(p.Blend, engine.Weighted{ID: described, Description: text, Weight: blend[id]})
		default:
			return err
		}
	}
	if who, err := content.Persona(speaker); err == nil {
		p.Name = who.ShortName()
	}
	if f.context != "" {
		if err := readContext(f.context, &p); err != nil {
			return err
		}
	}
	p.Turns = append(p.Turns, engine.Spoken{Player: true, Text: line})
	game, err := a.bench()
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, t := range p.Turns {
		used[engine.Fold(t.Text)] = true
	}
	if f.found == 0 {
		f.found = -1
	}
	m := engine.Moment{Prompt: p, Said: line, Distance: -1, Used: used, Seed: f.seed, Drafts: f.n, Found: f.found}
	if f.n == 0 {
		m.Drafts = -1
	}
	r, err := game.Say(ctx, m)
	if err != nil {
		return err
	}
	reply := r.Candidates[r.Chosen].Text
	model := a.untuned()
	if !f.json {
		if file, ok := a.errs.(*os.File); ok && model != "" && term.IsTerminal(int(file.Fd())) {
			fmt.Fprintf(file, "(%s)\n", model)
		}
		_, err := fmt.Fprintln(a.out, reply)
		return err
	}
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if model == "" {
		model = "shipped"
	}
	return e.Encode(said{model, reply, speaker, f.seed, r.Blend, r.Candidates, r.TimingsMS})
}

// readContext reads what was said before.
func readContext(path string, p *engine.Prompt) error {
	file, err := os.Open(path)
	if err != nil {
		return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the context: %v", err), Hint: `give a file of lines "you: …" and "NAME: …"`}
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		text, _, err := engine.Clean(s.Text())
		if err != nil {
			continue // an empty line
		}
		who, said, ok := strings.Cut(text, ":")
		said = strings.TrimSpace(said)
		switch {
		case !ok || said == "" || strings.ContainsAny(who, ".,!?") || len(strings.Fields(who)) > 3:
			p.Scene = strings.TrimSpace(p.Scene + " " + text)
		case strings.EqualFold(who, "you"):
			p.Turns = append(p.Turns, engine.Spoken{Player: true, Text: said})
		default:
			p.Turns = append(p.Turns, engine.Spoken{Name: who, Text: said})
		}
	}
	if err := s.Err(); err != nil {
		return &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("cannot read the context %s: %v", path, err), Hint: "give a text file"}
	}
	return nil
}

// nowhere keeps no examples: a reply can be made where nothing can be written.
type nowhere struct{}

func (nowhere) Examples(context.Context, string) ([]engine.StoredExample, error) { return nil, nil }
func (nowhere) ReplaceExamples(context.Context, string, []engine.StoredExample) error {
	return nil
}
func (nowhere) KeepExample(context.Context, string, engine.StoredExample) error { return nil }

// bench is the engine without talks: over the player's examples where they can be opened, else over what ships.
func (a *app) bench() (*engine.Engine, error) {
	store, err := a.data()
	if err != nil {
		return a.engine(nil, nowhere{}, true)
	}
	return a.engine(store, store, true)
}
