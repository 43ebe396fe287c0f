package reward

import (
	"context"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/kernel"
)

// Judge gives candidates their rewards with the model's heads.
type Judge struct {
	Mind      engine.Mind
	Retriever engine.Retriever
	W         engine.Rewards // weights of the rewards
	Scale     float64        // of the classifier's softmax

	mu         sync.Mutex
	goalStates map[string][][]float32 // response vectors of goals' lines
}

// DefaultWeights are the weights of play.
func DefaultWeights() engine.Rewards {
	return engine.Rewards{Goal: 0.5, Classifier: 0.6, Similarity: 0.4, Relevance: 1.5, Coherence: 0.6, Repetition: 1, Length: 1}
}

// Weights returns the weights of the rewards.
func (j *Judge) Weights() engine.Rewards { return j.W }

// Judge fills Rewards, Nearest, Likeness, ClosesGoal and Total of every candidate. found[i] is the example behind a retrieved
// candidate, whose vectors are known already; generated ones are read. It fails only when the model does.
func (j *Judge) Judge(ctx context.Context, c engine.Case, candidates []engine.Candidate, found []engine.Found) error {
	readings, err := j.readings(ctx, candidates, found)
	if err != nil {
		return err
	}
	if err := j.score(ctx, c, candidates); err != nil {
		return err
	}
	goals, err := j.goals(ctx, c.Goals)
	if err != nil {
		return err
	}
	personas := map[string]float64{}
	for _, w := range c.Prompt.Blend {
		personas[w.ID] += w.Weight
	}
	for i := range candidates {
		k, r := &candidates[i], readings[i]
		k.Rewards = engine.Rewards{
			Classifier: j.agreement(c, r.Voice),
			Relevance:  dot(c.Want, r.Response),
			Coherence:  coherence(k.LogProb),
			Repetition: repetition(k.Text, c),
			Length:     length(k.Text),
		}
		if i < len(found) && found[i].StoredExample != nil && personas[found[i].Persona] > 0 { // its own, written to answer such a line
			k.Rewards.Relevance = max(k.Rewards.Relevance, found[i].Answers)
			k.Rewards.Coherence = (1 + k.Rewards.Coherence) / 2
		}
		if near, ok := j.Retriever.Nearest(r.Response, personas, k.Text); ok {
			k.Nearest, k.Likeness = near.Says, near.Score
			k.Rewards.Similarity = max(0, near.Score)
		}
		if len(goals) > 0 && c.Distance >= 0 {
			k.ClosesGoal = c.Distance - closest(goals, r.Response, c.Distance)
			k.Rewards.Goal = k.ClosesGoal
		}
		k.Total = k.Rewards.Dot(j.W)
	}
	return nil
}

// readings reads the generated candidates and takes the stored vectors of the retrieved.
func (j *Judge) readings(ctx context.Context, candidates []engine.Candidate, found []engine.Found) ([]engine.Reading, error) {
	out := make([]engine.Reading, len(candidates))
	var texts []string
	var at []int
	for i, c := range candidates {
		if i < len(found) && found[i].StoredExample != nil && len(found[i].Response) > 0 {
			out[i] = engine.Reading{Response: found[i].Response, Voice: found[i].Voice}
			continue
		}
		texts, at = append(texts, c.Text), append(at, i)
	}
	if len(texts) == 0 {
		return out, nil
	}
	rs, err := j.Mind.Readings(ctx, texts, false)
	if err != nil {
		return nil, err
	}
	for k, i := range at {
		out[i] = rs[k]
	}
	return out, nil
}

// opening is how many words of a written line are scored: what follows them tells little of whether it answers, and costs time.
const opening = 10

// score asks for the likelihood of the candidates that the decoder did not make.
func (j *Judge) score(ctx context.Context, c engine.Case, candidates []engine.Candidate) error {
	var texts []string
	var at []int
	for i, k := range candidates {
		if k.Source != engine.Generated {
			words := strings.Fields(k.Text)
			texts, at = append(texts, strings.Join(words[:min(opening, len(words))], " ")), append(at, i)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	scores, err := j.Mind.Score(ctx, c.Prompt, texts)
	if err != nil {
		return err
	}
	for k, i := range at {
		candidates[i].LogProb = scores[k]
	}
	return nil
}

// agreement is how well the voice matches the mixture: the classifier's distribution q over the blend's personas and the
// rivals is a softmax of Scale·(voice·p); agreement is Σ min(wᵢ, qᵢ), which is 1 − the total variation distance. For one
// persona alone it is q of that persona.
func (j *Judge) agreement(c engine.Case, voice []float32) float64 {
	if len(c.Voices) == 0 {
		return 0
	}
	q := Classify(append(append([][]float32{}, c.Voices...), c.Rivals...), voice, j.Scale)
	sum := 0.0
	for i, w := range c.Prompt.Blend {
		sum += min(w.Weight, q[i])
	}
	return sum
}

// Classify is the persona classifier: a softmax of scale·(voice·p) over personas given by their unit vectors p.
func Classify(personas [][]float32, voice []float32, scale float64) []float64 {
	q := make([]float64, len(personas))
	for i, p := range personas {
		q[i] = scale * dot(p, voice)
	}
	return softmax(q)
}

// coherence maps a mean log-likelihood per token to [0, 1]: −5 and below is 0, −1 and above is 1.
func coherence(logprob float64) float64 { return min(1, max(0, (logprob+5)/4)) }

// repetition is −1 for a line said before in this talk, less for one that shares its word triples with an earlier line, the
// player's last line, or itself.
func repetition(text string, c engine.Case) float64 {
	if c.Used[engine.Fold(text)] {
		return -1
	}
	own := triples(text)
	worst := 0.0
	n := 0
	for i := len(c.Prompt.Turns) - 1; i >= 0 && n < 12; i-- {
		worst = max(worst, overlap(own, triples(c.Prompt.Turns[i].Text)))
		n++
	}
	words := strings.Fields(engine.Fold(text))
	if len(words) > 3 {
		distinct := map[string]bool{}
		for _, w := range words {
			distinct[w] = true
		}
		if rate := float64(len(distinct)) / float64(len(words)); rate < 0.6 {
			worst = max(worst, 1-rate)
		}
	}
	return -worst
}

func triples(text string) map[[3]string]bool {
	w := strings.Fields(engine.Fold(text))
	out := map[[3]string]bool{}
	for i := 0; i+2 < len(w); i++ {
		out[[3]string{w[i], w[i+1], w[i+2]}] = true
	}
	return out
}

func overlap(a, b map[[3]string]bool) float64 {
	if len(a) == 0 {
		return 0
	}
	n := 0
	for t := range a {
		if b[t] {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

// length costs a reply that says next to nothing, runs on, or stops in the middle of a sentence.
func length(text string) float64 {
	cost := 0.0
	switch n := len(strings.Fields(text)); {
	case n < 2:
		cost = 0.6
	case n < 4:
		cost = 0.2
	case n > 45:
		cost = 0.6
	case n > 32:
		cost = 0.2
	}
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text, `"'”’)*`))
	if unicode.IsLetter(last) || last == ',' || last == '-' || last == ':' {
		cost += 0.5
	}
	return -min(1, cost)
}

func dot(a, b []float32) float64 {
	if len(a) == 0 || len(a) != len(b) {
		return 0
	}
	return float64(kernel.Dot(a, b))
}
