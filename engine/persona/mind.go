package persona

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/engine/seq2seq"
)

// Window is how many tokens of dialogue the memory holds before the oldest turns leave, and Chunk how many leave at once.
const (
	Window = 1500
	Chunk  = 500
)

// Mind is the model as the engine uses it: it keeps what was read of the talk and of each persona, so that a turn reads only
// what is new. It is safe for concurrent use; calls are serialised.
type Mind struct {
	Sampling seq2seq.Sampling
	// Mixed has blends mix next-token distributions instead of attending to all descriptions. An untuned base is steered as well by
	// either (BenchmarkSteering), and this one takes as many times longer as there are personas. Set it before the first use.
	Mixed bool

	mu       sync.Mutex
	model    *seq2seq.Model
	ready    chan struct{}
	err      error
	dialogue *seq2seq.Dialogue
	read     []piece                                    // turns in dialogue, in order
	personas map[string]*seq2seq.Persona                // by description; those of the last blends
	vectors  map[string][]float32                       // p by description
	shown    map[engine.Exchange]*seq2seq.Demonstration // those of the last replies
	tokens   map[seq2seq.Turn][]int
	open     *seq2seq.Decoder // the reply about to be said, and what it is of
	openKey  string
}

// keep is how many personas stay read: their memories are some megabytes each.
const keep = 24

// piece is a turn in the dialogue memory and where it ends there, in tokens.
type piece struct {
	turn seq2seq.Turn
	end  int
}

// NewMind returns a mind whose model is loaded by load, in the background.
func NewMind(load func() (*seq2seq.Model, error)) *Mind {
	m := &Mind{Sampling: seq2seq.DefaultSampling(), ready: make(chan struct{}), personas: map[string]*seq2seq.Persona{}, vectors: map[string][]float32{}, shown: map[engine.Exchange]*seq2seq.Demonstration{}, tokens: map[seq2seq.Turn][]int{}}
	go func() {
		m.model, m.err = load()
		close(m.ready)
	}()
	return m
}

// Ready waits until the model is loaded.
func (m *Mind) Ready(ctx context.Context) error {
	select {
	case <-m.ready:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lock waits for the model and takes it; after an error it is not taken.
func (m *Mind) lock(ctx context.Context) error {
	if err := m.Ready(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	err := ctx.Err()
	if err != nil {
		m.mu.Unlock()
	}
	return err
}

// Seq2Seq returns the model under the mind, once it is loaded.
func (m *Mind) Seq2Seq(ctx context.Context) (*seq2seq.Model, error) {
	if err := m.Ready(ctx); err != nil {
		return nil, err
	}
	return m.model, nil
}

// Model is the hash of the weights; empty while they load.
func (m *Mind) Model() string {
	select {
	case <-m.ready:
		if m.err == nil {
			return m.model.Hash()
		}
	default:
	}
	return ""
}

// Kernel names the kernel path.
func (m *Mind) Kernel() string { return kernel.Name() }

// turnsOf lists a prompt as the model's turns: the scene, then what was said.
func turnsOf(p engine.Prompt) []seq2seq.Turn {
	var out []seq2seq.Turn
	if p.Scene != "" {
		out = append(out, seq2seq.Turn{Role: seq2seq.Scene, Text: p.Scene})
	}
	for _, s := range p.Turns {
		if s.Player {
			out = append(out, seq2seq.Turn{Role: seq2seq.User, Text: s.Text})
		} else {
			out = append(out, seq2seq.Turn{Role: seq2seq.Assistant, Name: s.Name, Text: s.Text})
		}
	}
	return out
}

// encode returns a turn's tokens, from memory where it can.
func (m *Mind) encode(t seq2seq.Turn) []int {
	ids, ok := m.tokens[t]
	if !ok {
		if len(m.tokens) > 8192 {
			clear(m.tokens)
		}
		ids = m.model.Tokens(t)
		m.tokens[t] = ids
	}
	return ids
}

// window returns the turns that fit: turn 0, and the newest others. Turns leave Chunk tokens at a time, so that what was read
// serves many turns. It looks at everything but the player's last line, so that what it drops is known before that line is.
func (m *Mind) window(turns []seq2seq.Turn) []seq2seq.Turn {
	first := 0
	if len(turns) > 0 && turns[0].Role == seq2seq.Scene {
		first = 1
	}
	settled := len(turns)
	if settled > first && turns[settled-1].Role == seq2seq.User {
		settled--
	}
	total := 0
	for _, t := range turns[:settled] {
		total += len(m.encode(t))
	}
	drop := 0
	if total > Window {
		drop = (total - Window + Chunk - 1) / Chunk * Chunk
	}
	start := first
	for dropped := 0; dropped < drop && start < settled; start++ {
		dropped += len(m.encode(turns[start]))
	}
	if start == first {
		return turns
	}
	return append(append([]seq2seq.Turn{}, turns[:first]...), turns[start:]...)
}

// remember brings the dialogue memory to exactly these turns: it keeps the longest common beginning and reads the rest.
func (m *Mind) remember(turns []seq2seq.Turn) {
	if m.dialogue == nil {
		m.dialogue = m.model.NewDialogue()
	}
	same := 0
	for same < len(m.read) && same < len(turns) && m.read[same].turn == turns[same] {
		same++
	}
	if same == len(m.read) && same == len(turns) {
		return
	}
	m.shut()
	if same < len(m.read) {
		end := 0
		if same > 0 {
			end = m.read[same-1].end
		}
		m.dialogue.Truncate(end)
		m.read = m.read[:same]
	}
	var fresh []int
	end := m.dialogue.Len()
	for _, t := range turns[same:] {
		ids := m.encode(t)
		fresh = append(fresh, ids...)
		end += len(ids)
		m.read = append(m.read, piece{t, end})
	}
	m.model.Append(m.dialogue, fresh)
}

// shut closes the decoder: what it attends to is about to change.
func (m *Mind) shut() {
	if m.open != nil {
		m.open.Close()
		m.open, m.openKey = nil, ""
	}
}

// persona returns what the Persona Encoder makes of a description, read once.
func (m *Mind) persona(description string) *seq2seq.Persona {
	p, ok := m.personas[description]
	if !ok {
		if len(m.personas) >= keep {
			m.shut()
			for d, old := range m.personas {
				m.model.Release(old)
				delete(m.personas, d)
			}
		}
		p = m.model.EncodePersona(description)
		m.personas[description] = p
	}
	return p
}

// demonstrations reads exchanges, those that are not read yet; what is too long is left out.
func (m *Mind) demonstrations(some []engine.Exchange) (out []*seq2seq.Demonstration) {
	var fresh [][2]string
	for _, x := range some {
		if _, ok := m.shown[x]; !ok {
			fresh = append(fresh, [2]string{x.You, x.Says})
		}
	}
	if len(fresh)+len(m.shown) > keep {
		m.shut()
		for x, old := range m.shown {
			if old != nil {
				m.model.Dismiss([]*seq2seq.Demonstration{old})
			}
			delete(m.shown, x)
		}
		return m.demonstrations(some)
	}
	for i, d := range m.model.Demonstrate(fresh) {
		m.shown[engine.Exchange{You: fresh[i][0], Says: fresh[i][1]}] = d
	}
	for _, x := range some {
		if d := m.shown[x]; d != nil {
			out = append(out, d)
		}
	}
	return out
}

// begin reads the prompt and returns the decoder of the reply that would come now; the same one until the prompt changes.
func (m *Mind) begin(p engine.Prompt) *seq2seq.Decoder {
	m.remember(m.window(turnsOf(p)))
	key := p.Name
	for _, w := range p.Blend {
		key += fmt.Sprintf("\x00%s\x00%g", w.Description, w.Weight)
	}
	for _, x := range p.Shown {
		key += "\x00" + x.You + "\x00" + x.Says
	}
	if m.open != nil && m.openKey == key {
		return m.open
	}
	m.shut()
	if len(m.personas)+len(p.Blend) > keep {
		for d, old := range m.personas {
			m.model.Release(old)
			delete(m.personas, d)
		}
	}
	var mix []seq2seq.Share
	for _, w := range p.Blend {
		mix = append(mix, seq2seq.Share{Persona: m.persona(w.Description), Weight: w.Weight})
	}
	begin := m.model.Begin
	if m.Mixed {
		begin = m.model.BeginMixed
	}
	m.open, m.openKey = begin(m.dialogue, mix, p.Name, m.demonstrations(p.Shown)...), key
	return m.open
}

// Read brings the memory up to the prompt and returns the reply head's vector.
func (m *Mind) Read(ctx context.Context, p engine.Prompt) ([]float32, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.model.ReplyVector(m.begin(p).State()), nil
}

// Draft samples n replies in one batch.
func (m *Mind) Draft(ctx context.Context, p engine.Prompt, n int, seed uint64) ([]engine.Draft, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	strength := p.Strength
	if len(p.Blend) == 0 {
		strength = 1
	}
	rngs := make([]*rand.Rand, n)
	for i := range rngs {
		rngs[i] = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	drafts, err := m.begin(p).Sample(ctx, m.Sampling, strength, rngs)
	if err != nil {
		return nil, err
	}
	out := make([]engine.Draft, 0, n)
	for _, d := range drafts {
		text, whole := finish(d.Text, d.Ended, p)
		if text != "" {
			out = append(out, engine.Draft{Text: text, LogProb: d.LogProb, Tokens: d.Tokens, Finished: whole})
		}
	}
	return out, nil
}

// Score returns the mean log-likelihood per token of each text as the next reply.
func (m *Mind) Score(ctx context.Context, p engine.Prompt, texts []string) ([]float64, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	scores := m.begin(p).Score(texts)
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = s.Sum / float64(max(1, s.Tokens))
	}
	return out, nil
}

// Readings reads each text alone.
func (m *Mind) Readings(ctx context.Context, texts []string, player bool) ([]engine.Reading, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	role := seq2seq.Assistant
	if player {
		role = seq2seq.User
	}
	out := make([]engine.Reading, len(texts))
	for i, r := range m.model.Read(texts, role) {
		if player {
			out[i] = engine.Reading{Line: m.model.LineVector(r), State: r}
		} else {
			out[i] = engine.Reading{Response: m.model.ResponseVector(r), Voice: m.model.VoiceVector(r)}
		}
	}
	return out, nil
}

// PersonaVector returns p of a description.
func (m *Mind) PersonaVector(ctx context.Context, description string) ([]float32, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	p, ok := m.vectors[description]
	if !ok {
		if len(m.vectors) > 4096 {
			clear(m.vectors)
		}
		p = m.model.PersonaVector(description)
		m.vectors[description] = p
	}
	return p, nil
}

// Tidy reads the prompt's turns, so that the next turn finds them read, whatever the window dropped.
func (m *Mind) Tidy(ctx context.Context, p engine.Prompt) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.remember(m.window(turnsOf(p)))
	return nil
}
