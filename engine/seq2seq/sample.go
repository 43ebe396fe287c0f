package seq2seq

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling are the decoder's settings.
type Sampling struct {
	Temperature float64 // 0: greedy
	TopP        float64 // smallest set of tokens with this much probability; 1: all
	TopK        int     // at most this many tokens; 0: all
	MaxTokens   int     // cap of a reply

	// DRY (p-e-w 2024): a token that would continue a sequence of n ≥ DRYAllowed tokens that stood before loses
	// DRYMultiplier · DRYBase^(n−DRYAllowed) from its logit; breakers end a sequence.
	DRYMultiplier float64
	DRYBase       float64
	DRYAllowed    int
}

// DefaultSampling is what play uses.
func DefaultSampling() Sampling {
	return Sampling{Temperature: 0.7, TopP: 0.9, TopK: 40, MaxTokens: 48, DRYMultiplier: 0.8, DRYBase: 1.75, DRYAllowed: 2}
}

// far is how much less likely than the best a token can be and still count in a sum of probabilities: e^-16 of 49,152 tokens
// is under 0.6 % of the best one's.
const far = 16

// choice is a token with its logit.
type choice struct {
	id    int
	logit float32
}

// sampler picks tokens from logits with reused memory. It is not safe for concurrent use.
type sampler struct {
	Sampling
	breakers map[int]bool
	near     []choice
	prob     []float64
}

// pick returns a token for one row of logits [V] and its log-probability at temperature 1 without penalties. history is what
// was said, oldest first: the recent dialogue and this reply so far; allow, where not nil, rules tokens out.
func (s *sampler) pick(logits []float32, history []int, rng *rand.Rand, allow func(int) bool) (token int, logprob float64) {
	s.collect(logits)
	logZ := s.logSum(1)
	if s.DRYMultiplier > 0 {
		s.penalise(history)
	}
	if allow != nil {
		kept := s.near[:0]
		for _, c := range s.near {
			if allow(c.id) {
				kept = append(kept, c)
			}
		}
		s.near = kept
	}
	if len(s.near) == 0 { // everything near was ruled out: take the best that is allowed
		best := -1
		for i, l := range logits {
			if (best < 0 || l > logits[best]) && (allow == nil || allow(i)) {
				best = i
			}
		}
		return best, float64(logits[best]) - logZ
	}
	slices.SortFunc(s.near, func(a, b choice) int {
		switch {
		case a.logit > b.logit:
			return -1
		case a.logit < b.logit:
			return 1
		}
		return a.id - b.id
	})
	if s.Temperature <= 0 {
		id := s.near[0].id
		return id, float64(logits[id]) - logZ
	}
	n := len(s.near)
	if s.TopK > 0 {
		n = min(n, s.TopK)
	}
	s.prob = slices.Grow(s.prob[:0], n)[:n]
	sum := 0.0
	for i := range n {
		s.prob[i] = math.Exp(float64(s.near[i].logit-s.near[0].logit) / s.Temperature)
		sum += s.prob[i]
	}
	keep, mass := 0, 0.0
	for keep < n && (keep == 0 || mass < s.TopP*sum) {
		mass += s.prob[keep]
		keep++
	}
	u := rng.Float64() * mass
	i := 0
	for u -= s.prob[0]; u > 0 && i+1 < keep; u -= s.prob[i] {
		i++
	}
	id := s.near[i].id
	return id, float64(logits[id]) - logZ
}

// collect gathers the tokens within far of the best.
func (s *sampler) collect(logits []float32) {
	best := logits[0]
	for _, l := range logits {
		best = max(best, l)
	}
	s.near = s.near[:0]
	for i, l := range logits {
		if l > best-far {
			s.near = append(s.near, choice{i, l})
		}
	}
}

// logSum is log Σ exp(l/t) over the collected tokens.
func (s *sampler) logSum(t float64) float64 {
	best := s.near[0].logit
	for _, c := range s.near {
		best = max(best, c.logit)
	}
	sum := 0.0
	for _, c := range s.near {
		sum += math.Exp(float64(c.logit-best) / t)
	}
	return float64(best)/t + math.Log(sum)
}

// logProb returns log softmax(logits)[token].
func (s *sampler) logProb(logits []float32, token int) float64 {
	s.collect(logits)
	return float64(logits[token]) - s.logSum(1)
}

// dryLongest bounds how far back a repeated sequence is followed.
const dryLongest = 24

// penalise lowers the logits of collected tokens that would continue a repetition.
func (s *sampler) penalise(history []int) {
	n := len(history)
	if n < s.DRYAllowed+1 || s.breakers[history[n-1]] {
		return
	}
	longest := map[int]int{}
	last := history[n-1]
	for i := n - 2; i >= 0; i-- {
		if history[i] != last {
			continue
		}
		m := 1
		for m < dryLongest && i-m >= 0 && history[i-m] == history[n-1-m] && !s.breakers[history[i-m]] {
			m++
		}
		if next := history[i+1]; m >= s.DRYAllowed && m > longest[next] {
			longest[next] = m
		}
	}
	if len(longest) == 0 {
		return
	}
	for i, c := range s.near {
		if m := longest[c.id]; m > 0 {
			s.near[i].logit -= float32(s.DRYMultiplier * math.Pow(s.DRYBase, float64(m-s.DRYAllowed)))
		}
	}
}

// guide combines logits with and without persona in place: dst = null + γ (dst − null) (Ho and Salimans 2022).
func guide(dst, null []float32, gamma float64) {
	g := float32(gamma)
	for i, l := range null {
		dst[i] = l + g*(dst[i]-l)
	}
}
