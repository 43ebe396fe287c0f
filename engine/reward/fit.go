package reward

import (
	"math"

	"github.com/personaweave/personaweave/engine"
)

// Pair is two candidates for one moment, A the one that a reader preferred.
type Pair struct{ A, B engine.Rewards }

// Fit returns weights of the rewards under which the preferred candidate of a pair scores more: a logistic regression on the
// differences of their rewards (Bradley and Terry 1952) by projected gradient, no weight below 0, with a ridge toward prior. The goal's
// weight is the prior's, since goals are set by stories; the others are scaled to its sum, so that the goal counts as it did.
func Fit(pairs []Pair, prior engine.Rewards, ridge float64) engine.Rewards {
	start := prior.Values()
	n := len(start)
	spread := make([]float64, n) // root mean square of a difference: what makes a unit of each judge alike
	diff := make([][]float64, len(pairs))
	for i, p := range pairs {
		a, b := p.A.Values(), p.B.Values()
		diff[i] = make([]float64, n)
		for j := range a {
			diff[i][j] = a[j] - b[j]
			spread[j] += diff[i][j] * diff[i][j] / float64(len(pairs))
		}
	}
	w, toward := make([]float64, n), make([]float64, n)
	for j := range spread {
		spread[j] = math.Sqrt(spread[j])
		toward[j] = start[j] * spread[j]
	}
	copy(w, toward)
	const steps, most = 1000, 0.5
	rate := min(most, 1/(2+ridge)) // converges for whatever ridge
	for range steps {
		grad := make([]float64, n)
		for _, d := range diff {
			z := 0.0
			for j, x := range d {
				if spread[j] > 0 {
					z += w[j] * x / spread[j]
				}
			}
			miss := 1 / (1 + math.Exp(z)) // 1 − P(the reader's choice)
			for j, x := range d {
				if spread[j] > 0 {
					grad[j] += miss * x / spread[j] / float64(len(diff))
				}
			}
		}
		for j := range w {
			w[j] = max(0, w[j]+rate*(grad[j]-ridge*(w[j]-toward[j])))
		}
	}
	sum, was := 0.0, 0.0
	for j := 1; j < n; j++ { // 0 is the goal
		if spread[j] > 0 {
			w[j] /= spread[j]
		} else {
			w[j] = start[j]
		}
		sum, was = sum+w[j], was+start[j]
	}
	for j := 1; j < n && sum > 0; j++ {
		w[j] *= was / sum
	}
	w[0] = start[0]
	return engine.Rewards{Goal: w[0], Classifier: w[1], Similarity: w[2], Relevance: w[3], Coherence: w[4], Repetition: w[5], Length: w[6]}
}

// Agree is the share of pairs whose preferred candidate scores more under the weights; ties count half.
func Agree(pairs []Pair, w engine.Rewards) float64 {
	sum := 0.0
	for _, p := range pairs {
		switch a, b := p.A.Dot(w), p.B.Dot(w); {
		case a > b:
			sum++
		case a == b:
			sum += 0.5
		}
	}
	return sum / float64(max(1, len(pairs)))
}
