package reward

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/personaweave/personaweave/engine"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Moods are the moods that written dialogues are marked with, in the order of a MoodHead's rows.
var Moods = []string{"angry", "calm", "curious", "funny", "sad", "tense", "urgent", "warm"}

// lexicon lists what players type in a mood, from the words our dialogues' players use.
var lexicon = map[string][]string{
	"angry":   {"angry", "hate", "stupid", "idiot", "useless", "shut", "liar", "rubbish", "furious", "damn", "hell", "ridiculous", "worst", "fed", "annoyed", "annoying", "kill", "fight", "unacceptable", "refund", "manager", "joke"},
	"sad":     {"sad", "sorry", "miss", "lost", "alone", "lonely", "cry", "crying", "died", "dead", "tired", "hurt", "hurts", "gone", "nobody", "goodbye"},
	"warm":    {"thanks", "thank", "love", "lovely", "kind", "friend", "nice", "beautiful", "welcome", "glad", "appreciate", "dear", "sweet", "happy"},
	"funny":   {"lol", "haha", "hahaha", "lmao", "joke", "funny", "hehe", "rofl", "silly", "omg", "wait"},
	"urgent":  {"hurry", "quick", "quickly", "now", "fast", "help", "emergency", "run", "immediately", "asap", "late", "minutes"},
	"curious": {"why", "how", "what", "who", "where", "when", "which", "really", "tell", "explain", "wonder"},
	"tense":   {"dont", "stop", "wrong", "trust", "afraid", "scared", "lie", "lying", "truth", "afford", "promise", "caught"},
}

// plainOrder breaks ties of the lexicon alone: the stronger mood first.
var plainOrder = []string{"angry", "urgent", "sad", "tense", "funny", "warm", "curious"}

// MoodHead estimates a player's mood: a softmax over encoder states of the last lines and counts of words and marks.
type MoodHead struct {
	Model string      `json:"model"` // the weights whose states it reads
	Moods []string    `json:"moods"`
	Mean  []float32   `json:"mean"`  // of each feature
	Scale []float32   `json:"scale"` // 1 / standard deviation of each feature
	W     [][]float32 `json:"w"`     // a row a mood, the last number its bias
}

// ReadMoodHead reads a head as it ships; nil for none.
func ReadMoodHead(data []byte) (*MoodHead, error) {
	if len(data) == 0 {
		return nil, nil
	}
	h := &MoodHead{}
	if err := json.Unmarshal(data, h); err != nil {
		return nil, fmt.Errorf("the mood head: %w", err)
	}
	for _, row := range h.W {
		if len(row) != len(h.Mean)+1 || len(h.Scale) != len(h.Mean) || len(h.W) != len(h.Moods) {
			return nil, fmt.Errorf("the mood head has rows of %d numbers for %d features", len(row), len(h.Mean))
		}
	}
	return h, nil
}

// recent is how much each older line of the player counts, and how many count.
const (
	recent      = 0.7
	recentLines = 5
)

// MoodFeatures are what the head sees of a player's lines, oldest first: the mean of their states, recent ones counting more, and
// counts of words and marks.
func (t *Tracker) MoodFeatures(ctx context.Context, lines []string) ([]float32, error) {
	lines = lines[max(0, len(lines)-recentLines):]
	rs, err := t.read(ctx, lines, true)
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	out := make([]float32, len(rs[0].State))
	marks := make([]float64, len(plainOrder)+6)
	total := 0.0
	for i, r := range rs {
		w := math.Pow(recent, float64(len(rs)-1-i))
		total += w
		for j, x := range r.State {
			out[j] += float32(w) * x
		}
		for j, x := range count(lines[i]) {
			marks[j] += w * x
		}
	}
	for j := range out {
		out[j] /= float32(total)
	}
	for _, m := range marks {
		out = append(out, float32(m/total))
	}
	return out, nil
}

// count counts a line's words by mood, in plainOrder, and its marks: capitals, exclamations, questions, dots, its length, its
// shortness.
func count(line string) []float64 {
	out := make([]float64, len(plainOrder)+6)
	n := 0
	for w := range strings.FieldsSeq(engine.Fold(line)) {
		n++
		for i, mood := range plainOrder {
			if slices.Contains(lexicon[mood], w) {
				out[i]++
			}
		}
	}
	letters, upper := 0.0, 0.0
	for _, r := range line {
		if unicode.IsLetter(r) {
			letters++
			if unicode.IsUpper(r) {
				upper++
			}
		}
	}
	marks := out[len(plainOrder):]
	if letters >= 6 {
		marks[0] = upper / letters
	}
	marks[1], marks[2] = min(3, float64(strings.Count(line, "!"))), min(2, float64(strings.Count(line, "?")))
	marks[3] = float64(strings.Count(line, "..."))
	marks[4] = math.Log1p(float64(n))
	if n <= 2 {
		marks[5] = 1
	}
	return out
}

// plainMood is the mood by the lexicon alone: of one line.
func plainMood(line string) string {
	score := count(line)
	marks := score[len(plainOrder):]
	by := func(mood string) *float64 { return &score[slices.Index(plainOrder, mood)] }
	if marks[0] >= 0.7 {
		*by("angry") += 1.5
	}
	if marks[1] >= 2 {
		*by("urgent")++
	}
	if strings.HasSuffix(strings.TrimSpace(line), "?") {
		*by("curious") += 0.9
	}
	best, top := "calm", 0.0
	for i, mood := range plainOrder {
		if score[i] > top {
			best, top = mood, score[i]
		}
	}
	return best
}

// Mood estimates the player's mood from what was said; without a head for the model at play, from the words of the last line.
func (t *Tracker) Mood(ctx context.Context, said []engine.Spoken) (string, error) {
	var lines []string
	for _, s := range said {
		if s.Player {
			lines = append(lines, s.Text)
		}
	}
	if len(lines) == 0 {
		return "calm", nil
	}
	if t.Head == nil || t.Head.Model != t.Mind.Model() {
		return plainMood(lines[len(lines)-1]), nil
	}
	x, err := t.MoodFeatures(ctx, lines)
	if err != nil {
		return "", err
	}
	if mood := t.Head.Likeliest(x); mood != "" {
		return mood, nil
	}
	return plainMood(lines[len(lines)-1]), nil
}

// Likeliest is the mood that the features speak for; "" for features of another length.
func (h *MoodHead) Likeliest(x []float32) string {
	p := h.Estimate(x)
	if p == nil {
		return ""
	}
	best := 0
	for i := range p {
		if p[i] > p[best] {
			best = i
		}
	}
	return h.Moods[best]
}

// Estimate is the probability of each mood; nil for features of another length.
func (h *MoodHead) Estimate(x []float32) []float64 {
	if len(x) != len(h.Mean) {
		return nil
	}
	z := make([]float64, len(h.W))
	for i, row := range h.W {
		s := float64(row[len(x)])
		for j, v := range x {
			s += float64(row[j]) * float64((v-h.Mean[j])*h.Scale[j])
		}
		z[i] = s
	}
	return softmax(z)
}

// softmax makes shares of scores, in place.
func softmax(z []float64) []float64 {
	if len(z) == 0 {
		return z
	}
	top, sum := slices.Max(z), 0.0
	for i := range z {
		z[i] = math.Exp(z[i] - top)
		sum += z[i]
	}
	for i := range z {
		z[i] /= sum
	}
	return z
}

// MoodExample is what a player's lines look like and the mood they were written in. Weight 0 counts as 1.
type MoodExample struct {
	X      []float32
	Mood   string
	Weight float64
}

// FitMood fits a head to examples: multinomial logistic regression with an L2 penalty, by L-BFGS; moods that are rare count as
// much as those that are common.
func FitMood(examples []MoodExample, penalty float64) (*MoodHead, error) {
	if len(examples) == 0 {
		return nil, fmt.Errorf("no dialogue with a mood to learn from")
	}
	n, d, k := len(examples), len(examples[0].X), len(Moods)
	h := &MoodHead{Moods: Moods, Mean: make([]float32, d), Scale: make([]float32, d)}
	sums, squares := make([]float64, d), make([]float64, d)
	mass, all := make([]float64, k), 0.0
	target, weight := make([]int, n), make([]float64, n)
	for i, e := range examples {
		target[i] = slices.Index(Moods, e.Mood)
		if target[i] < 0 {
			return nil, fmt.Errorf("%q is none of the moods %s", e.Mood, strings.Join(Moods, ", "))
		}
		if weight[i] = e.Weight; weight[i] == 0 {
			weight[i] = 1
		}
		mass[target[i]] += weight[i]
		all += weight[i]
		for j, v := range e.X {
			sums[j] += float64(v)
			squares[j] += float64(v) * float64(v)
		}
	}
	for j := range d {
		mean := sums[j] / float64(n)
		h.Mean[j], h.Scale[j] = float32(mean), float32(1/math.Sqrt(max(1e-8, squares[j]/float64(n)-mean*mean)))
	}
	x := mat.NewDense(n, d+1, nil)
	for i, e := range examples {
		weight[i] *= math.Sqrt(all / (float64(k) * mass[target[i]])) // halfway to balance
		for j, v := range e.X {
			x.Set(i, j, float64((v-h.Mean[j])*h.Scale[j]))
		}
		x.Set(i, d, 1)
	}
	z, g := mat.NewDense(n, k, nil), mat.NewDense(k, d+1, nil)
	evaluate := func(grad, w []float64) float64 {
		wm := mat.NewDense(k, d+1, w)
		z.Mul(x, wm.T())
		loss := 0.0
		for i := range n {
			row := z.RawRowView(i)
			p := softmax(row)
			loss -= weight[i] * math.Log(max(1e-12, p[target[i]]))
			p[target[i]]--
			for c := range p {
				p[c] *= weight[i]
			}
		}
		if grad != nil {
			g.Mul(z.T(), x)
			copy(grad, g.RawMatrix().Data)
		}
		for c := range k {
			for j := range d {
				v := w[c*(d+1)+j]
				loss += penalty / 2 * v * v
				if grad != nil {
					grad[c*(d+1)+j] += penalty * v
				}
			}
		}
		return loss
	}
	problem := optimize.Problem{Func: func(w []float64) float64 { return evaluate(nil, w) }, Grad: func(grad, w []float64) { evaluate(grad, w) }}
	found, err := optimize.Minimize(problem, make([]float64, k*(d+1)), &optimize.Settings{MajorIterations: 120, GradientThreshold: 1e-3 * all}, &optimize.LBFGS{})
	if err != nil && found == nil {
		return nil, err
	}
	for c := range k {
		row := make([]float32, d+1)
		for j := range row {
			row[j] = float32(found.X[c*(d+1)+j])
		}
		h.W = append(h.W, row)
	}
	return h, nil
}

// MacroF1 is the mean over moods of F1, and the F1 of each; a mood that is never right counts 0, one that never occurs is left out.
func MacroF1(want, got []string) (float64, map[string]float64) {
	each := map[string]float64{}
	sum := 0.0
	for _, m := range Moods {
		tp, fp, fn := 0.0, 0.0, 0.0
		for i := range want {
			switch {
			case want[i] == m && got[i] == m:
				tp++
			case got[i] == m:
				fp++
			case want[i] == m:
				fn++
			}
		}
		if tp+fn == 0 {
			continue
		}
		each[m] = 2 * tp / (2*tp + fp + fn)
		sum += each[m]
	}
	return sum / float64(max(1, len(each))), each
}
