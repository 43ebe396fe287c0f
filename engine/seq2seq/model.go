package seq2seq

import (
	"math"
	"strings"
	"unsafe"

	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/engine/token"
)

// Model is a model ready to read and speak: weights, tokens, and the scratch memory of one caller. It is not safe for
// concurrent use.
type Model struct {
	w    *Weights
	tok  *token.Tokenizer
	hash string

	settle func() // waits for the cache of packed weights

	marks
	newline  []int // tok("\n")
	banned   []bool
	cos, sin []float32        // [MaxPos, HeadDim/2]
	zero     []float32        // a bias of 0 in every layer
	sink     []kernel.Segment // what every token attends to besides: the base's first token, where it wants one

	run     runState
	sampler sampler
}

// newModel prepares weights for use. hash names them; first is the token that the base wants before all others, or −1.
func newModel(w *Weights, tok *token.Tokenizer, first int, hash string) *Model {
	m := &Model{w: w, tok: tok, hash: hash, zero: make([]float32, w.Layers)}
	m.marks, _ = marksOf(tok)
	m.newline = tok.Encode("\n")
	half := w.HeadDim / 2
	m.cos, m.sin = make([]float32, MaxPos*half), make([]float32, MaxPos*half)
	for p := range MaxPos {
		for i := range half {
			a := float64(p) * math.Pow(w.Theta, -float64(2*i)/float64(w.HeadDim))
			if w.Slow != nil {
				a /= float64(w.Slow[i])
			}
			m.cos[p*half+i], m.sin[p*half+i] = float32(math.Cos(a)), float32(math.Sin(a))
		}
	}
	m.banned = make([]bool, w.Vocab)
	m.sampler.breakers = map[int]bool{}
	for id := range w.Vocab {
		if id >= tok.Len() || tok.IsSpecial(id) {
			m.banned[id] = true
			continue
		}
		s := string(tok.DecodeToken(id))
		if strings.ContainsAny(s, "\n\r\t\x00\x1b") {
			m.banned[id] = true
		}
		if t := strings.TrimSpace(s); t == "" || strings.ContainsAny(t, "\n:\"*.!?,;") {
			m.sampler.breakers[id] = true
		}
	}
	if first >= 0 {
		mem := m.take()
		m.pass([]int{first}, []lane{{n: 1, own: mem}}, []int{0}, 0, w.Layers)
		m.sink = []kernel.Segment{segment(mem, m.zero)}
	}
	return m
}

// Settle waits until the packed weights are kept for the next start, where they had to be made.
func (m *Model) Settle() { m.settle() }

// Hash names the weights: base, adapter and packing.
func (m *Model) Hash() string { return m.hash }

// Bytes is the size of the weights in memory.
func (m *Model) Bytes() int {
	_, size := layout(m.w.Config, m.w.Out == m.w.Embed, m.w.E != nil)
	return size
}

// Config is the model's shape.
func (m *Model) Config() Config { return m.w.Config }

// Tokenizer is the model's tokenizer.
func (m *Model) Tokenizer() *token.Tokenizer { return m.tok }

// VoiceScale is the scale of the persona classifier's softmax, as trained; ReplyScale that of reply · response.
func (m *Model) VoiceScale() float64 { return float64(m.w.Heads.VoiceScale) }
func (m *Model) ReplyScale() float64 { return float64(m.w.Heads.ReplyScale) }

// floatsOf views bytes as float32; b is 4-byte aligned and its length a multiple of 4.
func floatsOf(b []byte) []float32 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
