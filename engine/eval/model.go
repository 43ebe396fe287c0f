package eval

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/personaweave/personaweave/engine/seq2seq"
)

// Seq2Seq measures the model itself, as play uses it but for a character's name and demonstrations, which files do not tell.
type Seq2Seq struct {
	Model    *seq2seq.Model
	talk     memory
	personas map[string]*seq2seq.Persona
}

// kept is how many personas stay read.
const kept = 24

// memory is the dialogue that was read last: many replies are scored at one moment.
type memory struct {
	turns    []seq2seq.Turn
	dialogue *seq2seq.Dialogue
}

// read returns the dialogue of these turns.
func (t *memory) read(m *seq2seq.Model, turns []seq2seq.Turn) *seq2seq.Dialogue {
	if t.dialogue != nil && slices.Equal(t.turns, turns) {
		return t.dialogue
	}
	if t.dialogue != nil {
		m.Forget(t.dialogue)
	}
	t.turns, t.dialogue = turns, m.NewDialogue()
	var ids []int
	for _, turn := range turns {
		ids = append(ids, m.Tokens(turn)...)
	}
	m.Append(t.dialogue, ids)
	return t.dialogue
}

// turns are what was said at a moment.
func (m Moment) turns() (out []seq2seq.Turn) {
	for _, t := range m.Said {
		role := seq2seq.Assistant
		if t.Player {
			role = seq2seq.User
		}
		out = append(out, seq2seq.Turn{Role: role, Text: t.Text})
	}
	return out
}

// begin is the decoder of the reply that would come at a moment, to be closed before the next is asked for.
func (s *Seq2Seq) begin(m Moment) *seq2seq.Decoder {
	turns := m.turns()
	if m.Scene != "" {
		turns = slices.Insert(turns, 0, seq2seq.Turn{Role: seq2seq.Scene, Text: m.Scene})
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
	return s.Model.Begin(s.talk.read(s.Model, turns), mix, "")
}

// Score implements Scorer.
func (s *Seq2Seq) Score(m Moment, texts []string) []Likelihood { return score(s.begin(m), texts) }

// score scores texts and closes the decoder.
func score(dec *seq2seq.Decoder, texts []string) []Likelihood {
	defer dec.Close()
	out := make([]Likelihood, 0, len(texts))
	for _, l := range dec.Score(texts) {
		out = append(out, Likelihood(l))
	}
	return out
}

// Want implements Heads.
func (s *Seq2Seq) Want(m Moment) []float32 {
	dec := s.begin(m)
	defer dec.Close()
	return s.Model.ReplyVector(dec.State())
}

// Response implements Heads.
func (s *Seq2Seq) Response(texts []string) (response, voice [][]float32) {
	for _, r := range s.Model.Read(texts, seq2seq.Assistant) {
		response, voice = append(response, s.Model.ResponseVector(r)), append(voice, s.Model.VoiceVector(r))
	}
	return response, voice
}

// Persona implements Heads.
func (s *Seq2Seq) Persona(description string) []float32 { return s.Model.PersonaVector(description) }

// VoiceScale implements Heads.
func (s *Seq2Seq) VoiceScale() float64 { return s.Model.VoiceScale() }

// Say implements Speaker.
func (s *Seq2Seq) Say(ctx context.Context, m Moment, chance *rand.Rand) (string, error) {
	return say(ctx, s.begin(m), chance)
}

// say makes one reply and closes the decoder.
func say(ctx context.Context, dec *seq2seq.Decoder, chance *rand.Rand) (string, error) {
	defer dec.Close()
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
