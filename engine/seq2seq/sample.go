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

// most is how many of the likeliest tokens are looked at when TopK does not say.
const most = 256

// choice is a token with its logit.
type choice struct {
	id    int
	logit float32
}

// sampler picks tokens from logits with reused memory. It is not safe for concurrent use.
type sampler struct {
	Sampling
	breakers map[int]bool
	near     []choice // the likeliest tokens, best first
	prob     []float64
}

// pick returns a token for one row of logits [V], whose log Σ eˣ is given, and its log-probability at temperature 1 without
// penalties. history is what was said, oldest first: the recent dialogue and this reply so far; allow rules tokens out.
func (s *sampler) pick(logits []float32, logSum float64, history []int, rng *rand.Rand, allow func(int) bool) (token int, logprob float64) {
	n := most
	if s.TopK > 0 {
		n = s.TopK
	}
	s.collect(logits, n+16, allow) // some more, for those that penalties move down
	if s.DRYMultiplier > 0 {
		s.penalise(history)
		slices.SortFunc(s.near, order)
	}
	if s.Temperature <= 0 {
		id := s.near[0].id
		return id, float64(logits[id]) - logSum
	}
	n = min(n, len(s.near))
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
	return id, float64(logits[id]) - logSum
}

// order puts likelier tokens first, and the lower id on ties.
func order(a, b choice) int {
	switch {
	case a.logit > b.logit:
		return -1
	case a.logit < b.logit:
		return 1
	}
	return a.id - b.id
}

// collect gathers the n likeliest tokens that are allowed, best first. At least one is.
func (s *sampler) collect(logits []float32, n int, allow func(int) bool) {
	s.near = s.near[:0]
	least := float32(math.Inf(-1))
	for i, l := range logits {
		if l > least && allow(i) {
			s.near = append(s.near, choice{i, l})
			if len(s.near) >= 4*n { // keep the best n of what was gathered
				slices.SortFunc(s.near, order)
				s.near = s.near[:n]
				least = s.near[n-1].logit
			}
		}
	}
	slices.SortFunc(s.near, order)
	s.near = s.near[:min(n, len(s.near))]
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
