package reward

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// Pairs chosen by known weights give those weights back, up to scale, and judges that say nothing keep theirs.
func TestFit(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 1))
	draw := func() engine.Rewards {
		return engine.Rewards{Classifier: rng.Float64(), Similarity: rng.Float64(), Relevance: rng.Float64(), Coherence: rng.Float64()}
	}
	truth := engine.Rewards{Classifier: 6, Relevance: 12, Coherence: 3}
	var pairs []Pair
	for range 1800 {
		a, b := draw(), draw()
		if rng.Float64() > 1/(1+math.Exp(-a.Dot(truth)+b.Dot(truth))) {
			a, b = b, a
		}
		pairs = append(pairs, Pair{a, b})
	}
	prior := engine.Rewards{Goal: 0.5, Classifier: 1, Similarity: 1, Relevance: 1, Coherence: 1, Length: 1}
	w := Fit(pairs[:1200], prior, 1e-4)
	if r := w.Relevance / w.Classifier; math.Abs(r-2) > 0.4 {
		t.Errorf("relevance to classifier %.2f, want 2: %+v", r, w)
	}
	if r := w.Relevance / w.Coherence; math.Abs(r-4) > 1.5 {
		t.Errorf("relevance to coherence %.2f, want 4: %+v", r, w)
	}
	if w.Similarity > 0.1*w.Relevance || w.Goal != 0.5 || w.Repetition != 0 {
		t.Errorf("%+v", w)
	}
	if fitted, before := Agree(pairs[1200:], w), Agree(pairs[1200:], prior); fitted < before+0.05 {
		t.Errorf("agrees with %.3f of held-out pairs, before %.3f", fitted, before)
	}
	if same := Fit(pairs, prior, 1e3); math.Abs(same.Similarity-1) > 0.1 {
		t.Errorf("a strong ridge keeps the prior: %+v", same)
	}
}
