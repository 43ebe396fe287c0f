package eval

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/seq2seq"
)

// Baseline is a rival of the model: a Scorer, a Speaker, a Ranker or several of them.
type Baseline struct {
	Name string
	Is   any
}

// Untuned is the base as it came, told by its system turn who it is: the descriptions of the blend, heaviest first, and the scene,
// each on a line. The rest of the talk follows in the form that it was tuned on.
type Untuned struct {
	Model *seq2seq.Model // without an adapter
	talk  memory
}

func (u *Untuned) begin(m Moment) *seq2seq.Decoder {
	blend := slices.Clone(m.Blend)
	slices.SortStableFunc(blend, func(a, b Share) int {
		switch {
		case a.Weight > b.Weight:
			return -1
		case a.Weight < b.Weight:
			return 1
		}
		return 0
	})
	var told []string
	for _, s := range blend {
		if s.Weight > 0 {
			told = append(told, s.Description)
		}
	}
	if m.Scene != "" {
		told = append(told, m.Scene)
	}
	turns := m.turns()
	if len(told) > 0 {
		turns = slices.Insert(turns, 0, seq2seq.Turn{Role: seq2seq.System, Text: strings.Join(told, "\n")})
	}
	return u.Model.Begin(u.talk.read(u.Model, turns), nil, "")
}

// Score implements Scorer.
func (u *Untuned) Score(m Moment, texts []string) []Likelihood { return score(u.begin(m), texts) }

// Say implements Speaker.
func (u *Untuned) Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error) {
	return say(ctx, u.begin(m), chance)
}

// Null is the model under the null persona.
type Null struct{ Model Model }

// Score implements Scorer.
func (n Null) Score(m Moment, texts []string) []Likelihood {
	return n.Model.Score(Moment{m.Scene, m.Said, nil}, texts)
}

// Say implements Speaker.
func (n Null) Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error) {
	return n.Model.Say(ctx, Moment{m.Scene, m.Said, nil}, chance)
}

// Rank implements Ranker with the heads.
func (n Null) Rank(m Moment, texts []string) []float64 {
	want := n.Model.Want(Moment{m.Scene, m.Said, nil})
	response, _ := n.Model.Response(texts)
	out := make([]float64, len(texts))
	for i, r := range response {
		out[i] = dot(want, r)
	}
	return out
}

// Exchanges are the replies of records with the player's line before each, or an empty one: what a rival learns from. Those that are
// measured are left out.
func Exchanges(learn, measured []corpus.Record) []corpus.Exchange {
	skip := map[corpus.Exchange]bool{}
	for _, s := range samples(measured) {
		skip[s.exchange()] = true
	}
	var out []corpus.Exchange
	for _, s := range samples(learn) {
		if x := s.exchange(); !skip[x] {
			out = append(out, x)
		}
	}
	return out
}

func (s *sample) exchange() corpus.Exchange { return corpus.Exchange{You: s.asked(), Says: s.reply} }

// asked is the player's line that a moment's reply answers, or empty.
func (m Moment) asked() string {
	if n := len(m.Said); n > 0 && m.Said[n-1].Player {
		return m.Said[n-1].Text
	}
	return ""
}
