package seq2seq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/weights"
)

func shipped(t testing.TB) *Model {
	t.Helper()
	m, err := Load(Source{Base: weights.Base(), BaseHash: weights.BaseHash, Adapter: weights.Adapter(), CacheDir: os.Getenv("WEAVE_CACHE")})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sources(n int) (out []*rand.Rand) {
	for i := range n {
		out = append(out, rand.New(rand.NewPCG(1, uint64(i))))
	}
	return out
}

// BenchmarkReading reads 256 tokens into an empty dialogue.
func BenchmarkReading(b *testing.B) {
	m := shipped(b)
	ids := m.tok.Encode(strings.Repeat("Water stands ankle-deep between the shelves, and the lamps have been lit by somebody. ", 20))[:256]
	for b.Loop() {
		d := m.NewDialogue()
		m.Append(d, ids)
		m.Forget(d)
	}
	b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDecode decodes 32 tokens a row after dialogues of several lengths.
func BenchmarkDecode(b *testing.B) {
	m := shipped(b)
	ids := m.tok.Encode(strings.Repeat("Water stands ankle-deep between the shelves, and the lamps have been lit by somebody. ", 200))
	for _, length := range []int{64, 1400} {
		d := m.NewDialogue()
		m.Append(d, ids[:length])
		for _, batch := range []int{1, 8} {
			b.Run(fmt.Sprintf("after%d/batch%d", length, batch), func(b *testing.B) {
				for b.Loop() {
					m.DecodeSteps(d, batch, 32)
				}
				b.ReportMetric(float64(32*batch*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
		m.Forget(d)
	}
}

// BenchmarkJudging reads 8 replies alone and scores 8 others: what judging a turn's candidates costs.
func BenchmarkJudging(b *testing.B) {
	m := shipped(b)
	d := m.NewDialogue()
	m.Append(d, m.Tokens(Turn{Role: User, Text: "what is in the locked cabinet?"}))
	dec := m.Begin(d, []Share{{m.EncodePersona("A dry, precise librarian of a drowned reading room."), 1}}, "Wren")
	texts := make([]string, 8)
	for i := range texts {
		texts[i] = fmt.Sprintf("Maps of the streets the water took; I keep them dry in case it gives back number %d.", i)
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			m.Read(texts, Assistant)
		}
	})
	b.Run("score", func(b *testing.B) {
		for b.Loop() {
			dec.Score(texts)
		}
	})
	b.Run("draft8", func(b *testing.B) {
		tokens := 0
		for b.Loop() {
			out, err := dec.Sample(context.Background(), DefaultSampling(), 1, sources(8))
			if err != nil {
				b.Fatal(err)
			}
			for _, o := range out {
				tokens += o.Tokens
			}
		}
		b.ReportMetric(float64(tokens)/float64(b.N), "tokens")
	})
}
