package persona

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/corpus"
	"github.com/personaweave/personaweave/engine/seq2seq"
	"github.com/personaweave/personaweave/engine/weights"
)

// BenchmarkSteering measures how well a weight steers the base that nobody tuned: attended, where replies attend to both
// descriptions, and mixed, where next-token distributions are mixed. It does so on a quarter of our ladders, five replies to each
// line, written for five mixtures.
//
//	go test ./engine/persona -run - -bench Steering -benchtime 1x -timeout 2h
//
// corr is Pearson's correlation of the weight a reply was written for with the mean weight by likelihood; best is how often the
// likeliest of five weights is that one; nats are a word's of the written replies, each under its own mixture; heard is the
// correlation of a weight with how much the voice head of the shipped model hears of the first persona in four replies made under
// it to a ladder's first line. What is logged is mixed less attended with a 95 % interval (bootstrap over ladders).
func BenchmarkSteering(b *testing.B) {
	load := func(adapter []byte) *seq2seq.Model {
		m, err := seq2seq.Load(seq2seq.Source{Base: weights.Base(), BaseHash: weights.BaseHash, Adapter: adapter, CacheDir: filepath.Join(os.TempDir(), "personaweave-test-cache")})
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	speaker, reader := load(nil), load(weights.Adapter())
	var ladders []corpus.Record
	for _, name := range []string{"ladder2", "ladder3"} {
		some, err := corpus.ReadFile(filepath.Join("..", "..", "stories", "dialogues", name+".jsonl.gz"))
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; i < len(some); i += 4 {
			ladders = append(ladders, some[i])
		}
	}
	var modes [2][]steered
	for b.Loop() {
		for k, begin := range []beginner{speaker.Begin, speaker.BeginMixed} {
			modes[k] = nil
			for i := range ladders {
				modes[k] = append(modes[k], steer(b, speaker, reader, &ladders[i], begin))
			}
		}
	}
	all := make([]int, len(ladders))
	for i := range all {
		all[i] = i
	}
	for _, m := range []struct {
		name string
		of   func([]steered, []int) float64
	}{
		{"corr", func(s []steered, pick []int) float64 {
			return correlation(s, pick, func(x steered) [][2]float64 { return x.scored })
		}},
		{"heard", func(s []steered, pick []int) float64 {
			return correlation(s, pick, func(x steered) [][2]float64 { return x.heard })
		}},
		{"best", func(s []steered, pick []int) float64 {
			return ratio(s, pick, func(x steered) (float64, float64) { return x.right, float64(len(x.scored)) })
		}},
		{"nats", func(s []steered, pick []int) float64 {
			return ratio(s, pick, func(x steered) (float64, float64) { return x.nats, x.words })
		}},
	} {
		b.ReportMetric(m.of(modes[0], all), m.name+"-attended")
		b.ReportMetric(m.of(modes[1], all), m.name+"-mixed")
		rng, pick, drawn := rand.New(rand.NewPCG(1, 2)), make([]int, len(all)), make([]float64, 1000)
		for i := range drawn {
			for j := range pick {
				pick[j] = rng.IntN(len(all))
			}
			drawn[i] = m.of(modes[1], pick) - m.of(modes[0], pick)
		}
		slices.Sort(drawn)
		b.Logf("%s: mixed less attended is %+.3f [%+.3f, %+.3f], %d ladders", m.name, m.of(modes[1], all)-m.of(modes[0], all), drawn[25], drawn[974], len(all))
	}
	b.ReportMetric(0, "ns/op")
}

type beginner = func(*seq2seq.Dialogue, []seq2seq.Share, string, ...*seq2seq.Demonstration) *seq2seq.Decoder

// steered is what was measured on one ladder.
type steered struct {
	scored [][2]float64 // weight written for, mean weight by likelihood
	heard  [][2]float64 // weight, share of the first persona in what was said under it
	right  float64      // how many replies are likeliest under the weight written for
	nats   float64
	words  float64
}

func steer(b *testing.B, speaker, reader *seq2seq.Model, r *corpus.Record, begin beginner) (s steered) {
	rungs := []float64{0, 0.25, 0.5, 0.75, 1}
	var people [2]*seq2seq.Persona
	var voices [2][]float32
	for i, id := range []string{"p", "q"} {
		people[i], voices[i] = speaker.EncodePersona(r.Personas[id].Description), reader.PersonaVector(r.Personas[id].Description)
		defer speaker.Release(people[i])
	}
	for n, l := range r.Lines {
		d := speaker.NewDialogue()
		speaker.Append(d, speaker.Tokens(seq2seq.Turn{Role: seq2seq.User, Text: l.You}))
		texts := make([]string, len(l.Replies))
		for i, x := range l.Replies {
			texts[i] = x.Text
		}
		scores := make([][]seq2seq.Likelihood, len(rungs))
		for k, w := range rungs {
			dec := begin(d, []seq2seq.Share{{Persona: people[0], Weight: w}, {Persona: people[1], Weight: 1 - w}}, "")
			scores[k] = dec.Score(texts)
			if n == 0 {
				s.heard = append(s.heard, [2]float64{w, hear(b, dec, reader, voices)})
			}
			dec.Close()
		}
		speaker.Forget(d)
		for i, x := range l.Replies {
			best, mass, mean := 0, 0.0, 0.0
			for k := range rungs {
				if scores[k][i].Sum > scores[best][i].Sum {
					best = k
				}
			}
			for k, w := range rungs {
				e := math.Exp(scores[k][i].Sum - scores[best][i].Sum)
				mass, mean = mass+e, mean+w*e
				if math.Abs(w-x.W) < 0.125 {
					s.nats -= scores[k][i].Sum
				}
			}
			s.words += float64(len(strings.Fields(x.Text)) + 1)
			s.scored = append(s.scored, [2]float64{x.W, mean / mass})
			if math.Abs(rungs[best]-x.W) < 0.125 {
				s.right++
			}
		}
	}
	return s
}

// hear is the share of the first voice in four replies.
func hear(b *testing.B, dec *seq2seq.Decoder, reader *seq2seq.Model, voices [2][]float32) (share float64) {
	var rngs []*rand.Rand
	for i := range 4 {
		rngs = append(rngs, rand.New(rand.NewPCG(1, uint64(i))))
	}
	drafts, err := dec.Sample(b.Context(), seq2seq.DefaultSampling(), 1, rngs)
	if err != nil {
		b.Fatal(err)
	}
	var said []string
	for _, d := range drafts {
		said = append(said, d.Text)
	}
	for _, read := range reader.Read(said, seq2seq.Assistant) {
		lean := 0.0
		for i, v := range reader.VoiceVector(read) {
			lean += float64(v) * float64(voices[0][i]-voices[1][i])
		}
		share += 1 / (1 + math.Exp(-12*lean)) / float64(len(said))
	}
	return share
}

func ratio(s []steered, pick []int, of func(steered) (float64, float64)) float64 {
	var x, n float64
	for _, i := range pick {
		a, b := of(s[i])
		x, n = x+a, n+b
	}
	return x / n
}

// correlation is Pearson's, over the pairs of all ladders picked.
func correlation(s []steered, pick []int, of func(steered) [][2]float64) float64 {
	var n, sx, sy, sxx, syy, sxy float64
	for _, i := range pick {
		for _, p := range of(s[i]) {
			x, y := p[0], p[1]
			n, sx, sy = n+1, sx+x, sy+y
			sxx, syy, sxy = sxx+x*x, syy+y*y, sxy+x*y
		}
	}
	return (n*sxy - sx*sy) / math.Sqrt((n*sxx-sx*sx)*(n*syy-sy*sy))
}
