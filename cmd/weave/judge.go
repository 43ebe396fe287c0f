package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/reward"
)

// pair is two candidates for one moment, for somebody to read and mark which is better.
type pair struct {
	Persona     string    `json:"persona"`
	Description string    `json:"description"`
	Scene       string    `json:"scene,omitempty"`
	Said        []string  `json:"said"` // "you: …" and "NAME: …", oldest first
	Kind        string    `json:"kind"` // drawn, random (the chosen one and another), likeliest (the chosen one and the likeliest)
	A           candidate `json:"a"`
	B           candidate `json:"b"`
	Chosen      string    `json:"chosen,omitempty"` // what play would say: a or b
	Better      string    `json:"better"`           // to be filled in: a, b or same
}

type candidate struct {
	Text    string         `json:"text"`
	Source  engine.Source  `json:"source"`
	LogProb float64        `json:"logprob"`
	Rewards engine.Rewards `json:"rewards"`
}

func (a *app) pairsCmd() *cobra.Command {
	var n int
	var kind string
	var seed uint64
	c := &cobra.Command{Use: "pairs FILE", Short: "Write pairs of candidate replies to held-out lines, for somebody to mark the better", Args: argCount(1, 1, "FILE"),
		Long: "Pairs are written as JSON lines. Mark each with \"better\": \"a\", \"b\" or \"same\"; `weave model judge FILE` fits the judges' weights to them.",
		RunE: func(c *cobra.Command, args []string) error {
			if n < 1 || !slices.Contains([]string{"drawn", "random", "likeliest"}, kind) {
				return usage{fmt.Errorf("--n is 1 or more; --kind is drawn, random or likeliest")}
			}
			out, err := os.Create(args[0])
			if err != nil {
				return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot write %s: %v", args[0], err), Hint: "give another file"}
			}
			e := json.NewEncoder(out)
			e.SetEscapeHTML(false)
			return errors.Join(a.pairs(c.Context(), n, kind, seed, e.Encode), out.Close())
		}}
	c.Flags().IntVar(&n, "n", 100, "how many")
	c.Flags().StringVar(&kind, "kind", "drawn", "which two: drawn (any two), random (what play says and another), likeliest (what play says and what the model finds likeliest)")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of chance")
	return c
}

// occasion is a moment at which a character is to answer, out of what training held out.
type occasion struct {
	who   *engine.Persona
	scene string
	said  []engine.Spoken
}

// occasions lists, for each of the cast, held-out lines alone and the player's turns of its held-out dialogues.
func (a *app) occasions() ([]occasion, error) {
	l, err := a.content()
	if err != nil {
		return nil, err
	}
	var out []occasion
	for _, p := range l.Personas() {
		for _, line := range l.HeldOut() {
			out = append(out, occasion{p, "", []engine.Spoken{{Player: true, Text: line.Text}}})
		}
		for _, d := range p.Dialogues {
			if !d.HeldOut {
				continue
			}
			var said []engine.Spoken
			for _, t := range d.Turns {
				s := engine.Spoken{Player: t.Player, Text: t.Text}
				if !t.Player {
					s.Name = p.ShortName()
				}
				if said = append(said, s); t.Player {
					for range 4 { // as many occasions in a talk as outside one, or nearly
						out = append(out, occasion{p, d.Scene, slices.Clone(said)})
					}
				}
			}
		}
	}
	return out, nil
}

// pairs makes n pairs, spread over the cast.
func (a *app) pairs(ctx context.Context, n int, kind string, seed uint64, write func(any) error) error {
	all, err := a.occasions()
	if err != nil {
		return err
	}
	game, err := a.engine(nil, nowhere{}, false)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	count := map[string]int{}
	for made := 0; made < n && len(all) > 0; {
		at := 0 // the first of whoever has had fewest
		for i, o := range all {
			if count[o.who.ID] < count[all[at].who.ID] {
				at = i
			}
		}
		o := all[at]
		all = slices.Delete(all, at, at+1)
		p := engine.Prompt{Scene: o.scene, Turns: o.said, Name: o.who.ShortName(), Strength: 1, Blend: []engine.Weighted{{ID: o.who.ID, Description: o.who.Description, Weight: 1}}}
		used := map[string]bool{}
		for _, t := range o.said {
			used[engine.Fold(t.Text)] = true
		}
		r, err := game.Say(ctx, engine.Moment{Prompt: p, Said: o.said[len(o.said)-1].Text, Distance: -1, Used: used, Seed: rng.Uint64()})
		if err != nil {
			return err
		}
		i, j := two(r, kind, rng)
		if i == j {
			continue
		}
		x := pair{Persona: o.who.ID, Description: o.who.Description, Scene: o.scene, Kind: kind}
		for _, t := range o.said {
			name := t.Name
			if t.Player {
				name = "you"
			}
			x.Said = append(x.Said, name+": "+t.Text)
		}
		if rng.IntN(2) == 0 {
			i, j = j, i
		}
		of := func(k engine.Candidate) candidate { return candidate{k.Text, k.Source, k.LogProb, k.Rewards} }
		x.A, x.B = of(r.Candidates[i]), of(r.Candidates[j])
		switch r.Chosen {
		case i:
			x.Chosen = "a"
		case j:
			x.Chosen = "b"
		}
		if err := write(x); err != nil {
			return err
		}
		count[o.who.ID]++
		made++
		fmt.Fprintf(a.errs, "\r%d of %d ", made, n)
	}
	fmt.Fprintln(a.errs)
	return nil
}

// two picks the candidates of a pair.
func two(r *engine.Reply, kind string, rng *rand.Rand) (int, int) {
	n := len(r.Candidates)
	switch kind {
	case "random":
		return r.Chosen, rng.IntN(n)
	case "likeliest":
		best := 0
		for i, c := range r.Candidates {
			if c.LogProb > r.Candidates[best].LogProb {
				best = i
			}
		}
		return r.Chosen, best
	}
	return rng.IntN(n), rng.IntN(n)
}

func (a *app) judgeCmd() *cobra.Command {
	var ridge float64
	c := &cobra.Command{Use: "judge FILES", Short: "Fit the judges' weights to marked pairs, and tell how often they choose as the reader did", Args: argCount(1, 1<<10, "FILES"),
		Long: "Of the drawn pairs two thirds are fitted and every third is kept apart. Pairs of the other kinds tell how often the reader prefers what play says.",
		RunE: func(_ *cobra.Command, args []string) error {
			var all []pair
			for _, path := range args {
				some, err := readPairs(path)
				if err != nil {
					return err
				}
				all = append(all, some...)
			}
			return a.judge(all, ridge)
		}}
	c.Flags().Float64Var(&ridge, "ridge", 0.05, "how strongly the weights of play draw the fitted ones")
	return c
}

func readPairs(path string) ([]pair, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the pairs: %v", err), Hint: "weave model pairs FILE writes them"}
	}
	defer f.Close()
	var out []pair
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for line := 1; s.Scan(); line++ {
		if strings.TrimSpace(s.Text()) == "" {
			continue
		}
		var p pair
		if err := json.Unmarshal(s.Bytes(), &p); err != nil {
			return nil, &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%s:%d: not a pair: %v", path, line, err), Hint: "weave model pairs FILE writes them"}
		}
		if !slices.Contains([]string{"a", "b", "same"}, p.Better) {
			return nil, &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%s:%d: the pair is not marked", path, line), Hint: `write "better": "a", "b" or "same"`}
		}
		out = append(out, p)
	}
	return out, s.Err()
}

func (a *app) judge(all []pair, ridge float64) error {
	var fit, apart []reward.Pair
	won, drawn := map[string]float64{}, 0
	count := map[string]int{}
	people := map[string]bool{}
	for _, p := range all {
		people[p.Persona] = true
		if p.Kind != "drawn" {
			count[p.Kind]++
			switch p.Better {
			case "same":
				won[p.Kind] += 0.5
			case p.Chosen:
				won[p.Kind]++
			}
			continue
		}
		if p.Better == "same" {
			continue
		}
		x := reward.Pair{A: p.A.Rewards, B: p.B.Rewards}
		if p.Better == "b" {
			x.A, x.B = x.B, x.A
		}
		if drawn++; drawn%3 == 0 {
			apart = append(apart, x)
		} else {
			fit = append(fit, x)
		}
	}
	fmt.Fprintf(a.out, "%d pairs over %d characters\n", len(all), len(people))
	if len(fit) > 0 {
		w, now := reward.Fit(fit, reward.DefaultWeights(), ridge), reward.DefaultWeights()
		for i, name := range w.Names() {
			fmt.Fprintf(a.out, "%-10s now %.2f, fitted %.2f\n", name, now.Values()[i], w.Values()[i])
		}
		fmt.Fprintf(a.out, "chooses as the reader: of %d pairs kept apart, now %s, fitted %s; of %d fitted pairs, now %s, fitted %s\n", len(apart),
			rate(reward.Agree(apart, now), len(apart)), rate(reward.Agree(apart, w), len(apart)), len(fit), rate(reward.Agree(fit, now), len(fit)), rate(reward.Agree(fit, w), len(fit)))
	}
	for _, kind := range []string{"random", "likeliest"} {
		if n := count[kind]; n > 0 {
			fmt.Fprintf(a.out, "what play says against the %s: preferred in %s of %d\n", map[string]string{"random": "others, at random", "likeliest": "likeliest"}[kind], rate(won[kind]/float64(n), n), n)
		}
	}
	return nil
}

// rate prints a share of n with its 95 % interval (Wilson 1927).
func rate(p float64, n int) string {
	if n == 0 {
		return "–"
	}
	const z = 1.96
	k := float64(n)
	mid, half := (p+z*z/(2*k))/(1+z*z/k), z/(1+z*z/k)*math.Sqrt(p*(1-p)/k+z*z/(4*k*k))
	return fmt.Sprintf("%.2f (%.2f–%.2f)", p, mid-half, mid+half)
}
