package reward

import (
	"context"
	"math"
	"strings"
	"sync"

	"github.com/personaweave/personaweave/engine"
)

// Tracker follows intents, goals and mood with the model's readings and the words themselves.
type Tracker struct {
	Mind engine.Mind
	Head *MoodHead // nil: the mood by words alone
	Idle []string  // what players say anywhere, and means nothing to a story

	reading sync.Mutex // held while a story's intents are read
	mu      sync.Mutex
	lines   map[string]engine.Reading // readings of written and said lines, by side and text
	intents map[any]*intentBook       // by whose they are: a story, or one meaning
}

// NewTracker returns a tracker over the model.
func NewTracker(m engine.Mind) *Tracker {
	return &Tracker{Mind: m, lines: map[string]engine.Reading{}, intents: map[any]*intentBook{}}
}

// read returns readings, from memory where it can. What players say is forgotten when there is much of it.
func (t *Tracker) read(ctx context.Context, texts []string, player bool) ([]engine.Reading, error) {
	side := "b:"
	if player {
		side = "a:"
	}
	out := make([]engine.Reading, len(texts))
	var missing []string
	var at []int
	t.mu.Lock()
	for i, s := range texts {
		if r, ok := t.lines[side+s]; ok {
			out[i] = r
		} else {
			missing, at = append(missing, s), append(at, i)
		}
	}
	t.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	rs, err := t.Mind.Readings(ctx, missing, player)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) > 4096 {
		clear(t.lines)
	}
	for k, i := range at {
		out[i] = rs[k]
		t.lines[side+missing[k]] = rs[k]
	}
	return out, nil
}

// Distance is 1 − how near the last six turns came to lines that sound like the goal reached, older turns counting less. It
// is measured by the response vectors of what was said and of the goal's lines, mapped so that unrelated talk is near 1.
func (t *Tracker) Distance(ctx context.Context, g *engine.Goal, said []engine.Spoken) (float64, error) {
	if len(g.ReachedLike) == 0 || len(said) == 0 {
		return 1, nil
	}
	states, err := t.read(ctx, g.ReachedLike, false)
	if err != nil {
		return 1, err
	}
	said = said[max(0, len(said)-6):]
	texts := make([]string, len(said))
	for i, s := range said {
		texts[i] = s.Text
	}
	rs, err := t.read(ctx, texts, false)
	if err != nil {
		return 1, err
	}
	near := 0.0
	for i, r := range rs {
		age := float64(len(rs) - 1 - i)
		for _, s := range states {
			near = max(near, math.Pow(0.93, age)*nearness(dot(s.Response, r.Response)))
		}
	}
	return 1 - near, nil
}

// nearness maps a cosine of response vectors to [0, 1]: 0.2 and below is unrelated, 0.85 and above is the same thing said.
func nearness(cos float64) float64 { return min(1, max(0, (cos-0.2)/0.65)) }

// goals returns the response vectors of the goals' lines.
func (j *Judge) goals(ctx context.Context, goals []engine.Goal) ([][]float32, error) {
	var texts []string
	for _, g := range goals {
		texts = append(texts, g.ReachedLike...)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	key := strings.Join(texts, "\x00")
	j.mu.Lock()
	cached, ok := j.goalStates[key]
	j.mu.Unlock()
	if ok {
		return cached, nil
	}
	rs, err := j.Mind.Readings(ctx, texts, false)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(rs))
	for i, r := range rs {
		out[i] = r.Response
	}
	j.mu.Lock()
	if j.goalStates == nil || len(j.goalStates) > 256 {
		j.goalStates = map[string][][]float32{}
	}
	j.goalStates[key] = out
	j.mu.Unlock()
	return out, nil
}

// closest is the goal distance after a reply: the smaller of what it was and what the reply itself reaches.
func closest(goals [][]float32, response []float32, before float64) float64 {
	d := before
	for _, g := range goals {
		d = min(d, 1-nearness(dot(g, response)))
	}
	return d
}
