package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/reward"
)

// rung is what a mixture of two personas sounds like: the classifier's mean confidence in each, over made replies to common lines.
type rung struct {
	Weight  float64            `json:"weight"` // of the second persona
	Voices  map[string]float64 `json:"voices"` // of the two, and "others": the rest of the cast
	Replies int                `json:"replies"`
	Heard   string             `json:"heard"` // the first reply to the first line
}

func (a *app) sweepCmd() *cobra.Command {
	var asJSON bool
	var lines, n, steps int
	var strength float64
	var seed uint64
	c := &cobra.Command{Use: "sweep P Q", Short: "Hear two characters blended, from one to the other, and how the classifier hears them", Args: argCount(2, 2, "P Q"),
		Example: "  weave persona sweep librarian robot",
		RunE: func(c *cobra.Command, args []string) error {
			if lines < 1 || n < 1 || n > 64 || steps < 2 || steps > 101 {
				return usage{fmt.Errorf("--lines is 1 or more, --n 1 to 64, --steps 2 to 101")}
			}
			if args[0] == args[1] {
				return usage{fmt.Errorf("name two different characters")}
			}
			if strength < 0 || strength > engine.MaxStrength {
				return usage{fmt.Errorf("--strength goes from 0 to %g", float64(engine.MaxStrength))}
			}
			rungs, err := a.sweep(c.Context(), args[0], args[1], lines, n, steps, strength, seed)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(rungs)
			}
			fmt.Fprintf(a.out, "%s of %s  %-10.10s  %-10.10s  others\n", "weight", args[1], args[0], args[1])
			for _, r := range rungs {
				fmt.Fprintf(a.out, "%6.2f %*s  %-10.2f  %-10.2f  %-6.2f  %s\n", r.Weight, len(args[1])+3, "", r.Voices[args[0]], r.Voices[args[1]], r.Voices["others"], r.Heard)
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&lines, "lines", 10, "how many common lines are answered")
	c.Flags().IntVar(&n, "n", 4, "replies made to each")
	c.Flags().IntVar(&steps, "steps", 11, "weights from 0 to 1")
	c.Flags().Float64Var(&strength, "strength", 1, "persona strength, 0 to 3")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of chance")
	return c
}

// sweep makes replies at every weight and lets the classifier tell the cast apart in them. No example line takes part.
func (a *app) sweep(ctx context.Context, p, q string, lines, n, steps int, strength float64, seed uint64) ([]rung, error) {
	content, err := a.content()
	if err != nil {
		return nil, err
	}
	pair := make([]*engine.Persona, 2)
	for i, id := range []string{p, q} {
		if pair[i], err = content.Persona(id); err != nil {
			return nil, err
		}
	}
	game, err := a.bench()
	if err != nil {
		return nil, err
	}
	if err := game.Ready(ctx); err != nil {
		return nil, err
	}
	var ids []string
	var voices [][]float32
	for _, who := range content.Personas() {
		v, err := game.Prototype(ctx, who.ID, who.Description)
		if err != nil {
			return nil, err
		}
		ids, voices = append(ids, who.ID), append(voices, v)
	}
	var asked []string
	common := content.Common()
	for i := range min(lines, len(common)) { // spread over their kinds
		asked = append(asked, common[i*len(common)/min(lines, len(common))].Text)
	}
	out := make([]rung, steps)
	for k := range out {
		w := float64(k) / float64(steps-1)
		r := rung{Weight: w, Voices: map[string]float64{p: 0, q: 0, "others": 0}}
		var texts []string
		for i, line := range asked {
			prompt := engine.Prompt{Turns: []engine.Spoken{{Player: true, Text: line}}, Strength: strength}
			for j, weight := range []float64{1 - w, w} {
				if weight > 0 {
					prompt.Blend = append(prompt.Blend, engine.Weighted{ID: pair[j].ID, Description: pair[j].Description, Weight: weight})
				}
			}
			drafts, err := game.Mind.Draft(ctx, prompt, n, seed+uint64(i))
			if err != nil {
				return nil, err
			}
			for _, d := range drafts {
				texts = append(texts, d.Text)
			}
		}
		read, err := game.Mind.Readings(ctx, texts, false)
		if err != nil {
			return nil, err
		}
		for _, x := range read {
			for i, c := range reward.Classify(voices, x.Voice, classifierScale) {
				to := ids[i]
				if to != p && to != q {
					to = "others"
				}
				r.Voices[to] += c / float64(len(read))
			}
		}
		r.Replies, r.Heard = len(read), texts[0]
		out[k] = r
	}
	return out, nil
}
