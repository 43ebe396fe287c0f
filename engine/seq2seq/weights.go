package seq2seq

import "github.com/personaweave/personaweave/engine/kernel"

// Weights are what a model knows; they never change after loading.
type Weights struct {
	Config
	Embed *kernel.Matrix // [Vocab, Dim]
	Out   *kernel.Matrix // [Vocab, Dim]; Embed where the base ties them
	Stack []Layer
	Norm  []float32 // [Dim]
	Slow  []float32 // [HeadDim/2]: a rotary pair turns this many times slower than Theta says; nil: none does
	E     *Virtual  // nil: the adapter has none
	Heads Heads
}

// Layer is one layer of the stack that encoder and decoder share, the adapter merged in.
type Layer struct {
	AttnNorm, FFNNorm []float32      // [Dim]
	Q, O              *kernel.Matrix // [Heads·HeadDim, Dim], [Dim, Heads·HeadDim]
	K, V              *kernel.Matrix // [KVDim, Dim]
	Gate, Up, Down    *kernel.Matrix // [FF, Dim], [FF, Dim], [Dim, FF]
}

// Virtual makes the virtual token e.
type Virtual struct {
	D    []float32   // [64, SpaceDim]
	K, V [][]float32 // a layer: [KVDim, 64]
	Bias []float32   // a layer
}

// Heads are the matrices of the heads, [SpaceDim, Dim] each, and the scales of their softmaxes.
type Heads struct {
	Reply, Response, Voice, Persona, Line []float32
	ReplyScale, VoiceScale, LineScale     float32
}

// slot is a place in the packed weights.
type slot struct {
	name       string
	rows, cols int  // cols 0: rows float32
	offset     int  // bytes
	size       int  // bytes
	float      bool // float32 instead of a packed matrix
}

// layout lists the packed weights of a shape in order, 64-byte aligned, and their size in bytes.
func layout(c Config, tied, e bool) (slots []slot, size int) {
	add := func(name string, rows, cols int, float bool) {
		s := slot{name: name, rows: rows, cols: cols, offset: size, float: float}
		if float {
			s.size = 4 * rows * max(1, cols)
		} else {
			s.size = kernel.PackedSize(rows, cols)
		}
		size += (s.size + 63) &^ 63
		slots = append(slots, s)
	}
	d, qd, kvd := c.Dim, c.Heads*c.HeadDim, c.KVDim()
	add("token_embd", c.Vocab, d, false)
	if !tied {
		add("output", c.Vocab, d, false)
	}
	add("output_norm", d, 0, true)
	for l := range c.Layers {
		p := blk(l)
		add(p+"attn_norm", d, 0, true)
		add(p+"ffn_norm", d, 0, true)
		add(p+"attn_q", qd, d, false)
		add(p+"attn_k", kvd, d, false)
		add(p+"attn_v", kvd, d, false)
		add(p+"attn_output", d, qd, false)
		add(p+"ffn_gate", c.FF, d, false)
		add(p+"ffn_up", c.FF, d, false)
		add(p+"ffn_down", d, c.FF, false)
		if e {
			add(p+"e.k", kvd, eDim, true)
			add(p+"e.v", kvd, eDim, true)
		}
	}
	if e {
		add("e.d", eDim, SpaceDim, true)
		add("e.bias", c.Layers, 0, true)
	}
	for _, h := range headNames {
		add("heads."+h, SpaceDim, d, true)
	}
	add("heads.scales", 3, 0, true)
	return slots, size
}

var headNames = []string{"reply", "response", "voice", "persona", "line"}

// bind makes weights of packed memory laid out by layout.
func bind(c Config, tied, e bool, buf []byte) *Weights {
	slots, _ := layout(c, tied, e)
	matrices, floats := map[string]*kernel.Matrix{}, map[string][]float32{}
	for _, s := range slots {
		b := buf[s.offset : s.offset+s.size]
		if s.float {
			floats[s.name] = floatsOf(b)
		} else {
			matrices[s.name] = kernel.NewMatrix(b, s.rows, s.cols)
		}
	}
	w := &Weights{Config: c, Embed: matrices["token_embd"], Out: matrices["output"], Norm: floats["output_norm"]}
	if tied {
		w.Out = w.Embed
	}
	if e {
		w.E = &Virtual{D: floats["e.d"], Bias: floats["e.bias"]}
	}
	for l := range c.Layers {
		p := blk(l)
		w.Stack = append(w.Stack, Layer{AttnNorm: floats[p+"attn_norm"], FFNNorm: floats[p+"ffn_norm"],
			Q: matrices[p+"attn_q"], K: matrices[p+"attn_k"], V: matrices[p+"attn_v"], O: matrices[p+"attn_output"],
			Gate: matrices[p+"ffn_gate"], Up: matrices[p+"ffn_up"], Down: matrices[p+"ffn_down"]})
		if e {
			w.E.K, w.E.V = append(w.E.K, floats[p+"e.k"]), append(w.E.V, floats[p+"e.v"])
		}
	}
	s := floats["heads.scales"]
	w.Heads = Heads{Reply: floats["heads.reply"], Response: floats["heads.response"], Voice: floats["heads.voice"], Persona: floats["heads.persona"],
		Line: floats["heads.line"], ReplyScale: s[0], VoiceScale: s[1], LineScale: s[2]}
	return w
}
