package eval

import (
	"context"
	"math/rand/v2"

	"github.com/personaweave/personaweave/engine/seq2seq"
)

// Seq2Seq measures the model itself, as play uses it but for a character's name, which files do not tell.
type Seq2Seq struct {
	Model    *seq2seq.Model
	personas map[string]*seq2seq.Persona
}

// kept is how many personas stay read.
const kept = 24

func (s *Seq2Seq) begin(m Moment) (*seq2seq.Decoder, func()) {
	d := s.Model.NewDialogue()
	if m.Scene != "" {
		s.Model.Append(d, s.Model.Tokens(seq2seq.Turn{Role: seq2seq.Scene, Text: m.Scene}))
	}
	for _, t := range m.Said {
		role := seq2seq.Assistant
		if t.Player {
			role = seq2seq.User
		}
		s.Model.Append(d, s.Model.Tokens(seq2seq.Turn{Role: role, Text: t.Text}))
	}
	if len(s.personas)+len(m.Blend) > kept {
		for _, p := range s.personas {
			s.Model.Release(p)
		}
		s.personas = nil
	}
	if s.personas == nil {
		s.personas = map[string]*seq2seq.Persona{}
	}
	var mix []seq2seq.Share
	for _, b := range m.Blend {
		p, ok := s.personas[b.Description]
		if !ok {
			p = s.Model.EncodePersona(b.Description)
			s.personas[b.Description] = p
		}
		mix = append(mix, seq2seq.Share{Persona: p, Weight: b.Weight})
	}
	dec := s.Model.Begin(d, mix, "")
	return dec, func() {
		dec.Close()
		s.Model.Forget(d)
	}
}

// Score implements Model.
func (s *Seq2Seq) Score(m Moment, texts []string) []Likelihood {
	dec, done := s.begin(m)
	defer done()
	out := make([]Likelihood, 0, len(texts))
	for _, l := range dec.Score(texts) {
		out = append(out, Likelihood(l))
	}
	return out
}

// Want implements Model.
func (s *Seq2Seq) Want(m Moment) []float32 {
	dec, done := s.begin(m)
	defer done()
	return s.Model.ReplyVector(dec.State())
}

// Response implements Model.
func (s *Seq2Seq) Response(texts []string) (response, voice [][]float32) {
	for _, r := range s.Model.Read(texts, seq2seq.Assistant) {
		response, voice = append(response, s.Model.ResponseVector(r)), append(voice, s.Model.VoiceVector(r))
	}
	return response, voice
}

// Persona implements Model.
func (s *Seq2Seq) Persona(description string) []float32 { return s.Model.PersonaVector(description) }

// VoiceScale implements Model.
func (s *Seq2Seq) VoiceScale() float64 { return s.Model.VoiceScale() }

// Say implements Model.
func (s *Seq2Seq) Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error) {
	dec, done := s.begin(m)
	defer done()
	set := seq2seq.DefaultSampling()
	if chance == nil {
		set.Temperature, chance = 0, rand.New(rand.NewPCG(0, 0))
	}
	out, err := dec.Sample(ctx, set, 1, []*rand.Rand{chance})
	if err != nil {
		return "", err
	}
	return out[0].Text, nil
}
