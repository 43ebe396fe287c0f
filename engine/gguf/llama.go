package gguf

import (
	"fmt"
	"math"
	"slices"
)

// Llama is the shape of a Llama-like decoder: pre-norm layers with RMSNorm, rotary attention with grouped key/value heads,
// SwiGLU.
//
// Tensors, as [out, in]: token_embd.weight [Vocab, Dim]; for layer l, blk.l.attn_norm.weight [Dim], attn_q.weight
// [Heads·HeadDim, Dim], attn_k.weight and attn_v.weight [KVHeads·HeadDim, Dim], attn_output.weight [Dim, Heads·HeadDim],
// ffn_norm.weight [Dim], ffn_gate.weight and ffn_up.weight [FF, Dim], ffn_down.weight [Dim, FF]; output_norm.weight [Dim];
// output.weight [Vocab, Dim] unless Tied; rope_freqs.weight [HeadDim/2] where RopeFactors.
//
// The rows of attn_q and attn_k are stored so that the two halves of a rotary pair are neighbours: within a head, rows 2i and
// 2i+1 turn together by pos·RopeTheta^(−2i/HeadDim) / (RopeScale · rope_freqs[i]). (Checkpoints of Hugging Face pair i with
// i+HeadDim/2; the conversion to GGUF reorders them.)
type Llama struct {
	Name      string  // general.name, may be empty
	Vocab     int     // tokens
	Context   int     // positions it was trained for
	Layers    int     // blocks
	Dim       int     // width of the residual stream
	Heads     int     // query heads
	KVHeads   int     // key/value heads; divides Heads
	HeadDim   int     // width of a head, even
	FF        int     // inner width of the feed-forward layer
	RopeTheta float64 // rotary base
	RopeScale float64 // positions count as this many times fewer (Chen et al. 2023, linear scaling); 1: as they are
	Eps       float64 // of RMSNorm
	Tied      bool    // the output layer is the embedding

	RopeFactors bool // rope_freqs.weight slows each rotary pair by a factor of its own (Llama 3.1)
}

// Llama returns the model's shape after it has been checked against every tensor, or an *Error that says what does not fit.
func (f *File) Llama() (Llama, error) {
	fail := func(format string, args ...any) (Llama, error) {
		return Llama{}, &Error{f.name, fmt.Sprintf(format, args...), doOther}
	}
	arch, err := f.Text("general.architecture")
	if err != nil {
		return Llama{}, err
	}
	if arch != "llama" {
		return fail("is of the architecture %q, not llama", arch)
	}
	m := Llama{RopeTheta: 10000, RopeScale: 1}
	m.Name, _ = f.Text("general.name")
	for _, field := range []struct {
		dst       *int
		key       string
		low, high uint64
	}{
		{&m.Layers, "llama.block_count", 1, 1 << 10},
		{&m.Dim, "llama.embedding_length", 1, 1 << 17},
		{&m.Heads, "llama.attention.head_count", 1, 1 << 12},
		{&m.FF, "llama.feed_forward_length", 1, 1 << 20},
		{&m.Context, "llama.context_length", 1, 1 << 30},
	} {
		if *field.dst, err = f.bounded(field.key, field.low, field.high); err != nil {
			return Llama{}, err
		}
	}
	m.KVHeads = m.Heads
	if f.Has("llama.attention.head_count_kv") {
		if m.KVHeads, err = f.bounded("llama.attention.head_count_kv", 1, uint64(m.Heads)); err != nil {
			return Llama{}, err
		}
	}
	if m.Heads%m.KVHeads != 0 {
		return fail("has %d heads for %d key/value heads", m.Heads, m.KVHeads)
	}
	if f.Has("llama.attention.key_length") {
		if m.HeadDim, err = f.bounded("llama.attention.key_length", 2, 1<<12); err != nil {
			return Llama{}, err
		}
	} else if m.HeadDim = m.Dim / m.Heads; m.HeadDim*m.Heads != m.Dim {
		return fail("has a width of %d for %d heads", m.Dim, m.Heads)
	}
	for _, key := range []string{"llama.attention.value_length", "llama.rope.dimension_count"} {
		if !f.Has(key) {
			continue
		}
		if n, err := f.Uint(key); err != nil || n != uint64(m.HeadDim) {
			return fail("has heads of %d but another %q, which cannot be computed", m.HeadDim, key)
		}
	}
	if m.HeadDim%2 != 0 {
		return fail("has heads of the odd width %d", m.HeadDim)
	}
	if f.Has("llama.rope.freq_base") {
		if m.RopeTheta, err = f.Float("llama.rope.freq_base"); err != nil {
			return Llama{}, err
		}
	}
	if m.Eps, err = f.Float("llama.attention.layer_norm_rms_epsilon"); err != nil {
		return Llama{}, err
	}
	if !(m.RopeTheta >= 1 && m.RopeTheta <= math.MaxFloat32) || !(m.Eps > 0 && m.Eps < 1) {
		return fail("has a rotary base of %v and a norm epsilon of %v", m.RopeTheta, m.Eps)
	}
	scaling, _ := f.Text("llama.rope.scaling.type")
	for _, key := range []string{"llama.rope.scaling.factor", "llama.rope.scale_linear"} { // the second is how it was written until 2023
		if f.Has(key) && (scaling == "linear" || scaling == "") {
			if m.RopeScale, err = f.Float(key); err != nil {
				return Llama{}, err
			}
			break
		}
	}
	switch {
	case scaling != "" && scaling != "none" && scaling != "linear":
		return fail("scales its rotary positions (%s), which cannot be computed", scaling)
	case !(m.RopeScale > 0 && m.RopeScale <= 1<<16):
		return fail("scales its rotary positions by %v", m.RopeScale)
	}
	if experts, err := f.Uint("llama.expert_count"); err == nil && experts > 0 {
		return fail("is a mixture of %d experts, which cannot be computed", experts)
	}
	embedding, err := f.Tensor("token_embd.weight")
	if err != nil {
		return Llama{}, err
	}
	m.Vocab = embedding.Shape[0] // llama.vocab_size may leave out what was added or padded
	_, untied := f.Lookup("output.weight")
	m.Tied = !untied
	_, m.RopeFactors = f.Lookup("rope_freqs.weight")
	return m, f.checkShapes(m)
}

// bounded returns an integer of the metadata within [low, high].
func (f *File) bounded(key string, low, high uint64) (int, error) {
	n, err := f.Uint(key)
	if err != nil {
		return 0, err
	}
	if n < low || n > high {
		return 0, &Error{f.name, fmt.Sprintf("metadata %q is %d, not within %d and %d", key, n, low, high), doOther}
	}
	return int(n), nil
}

// checkShapes checks that the model's tensors are there, of the right shape, and no others.
func (f *File) checkShapes(m Llama) error {
	q, kv := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	want := map[string][]int{"token_embd.weight": {m.Vocab, m.Dim}, "output_norm.weight": {m.Dim}}
	if !m.Tied {
		want["output.weight"] = []int{m.Vocab, m.Dim}
	}
	if m.RopeFactors {
		want["rope_freqs.weight"] = []int{m.HeadDim / 2}
	}
	if m.Layers > len(f.tensors) {
		return &Error{f.name, fmt.Sprintf("has %d layers but only %d tensors", m.Layers, len(f.tensors)), doFetch}
	}
	for l := range m.Layers {
		for name, shape := range map[string][]int{
			"attn_norm": {m.Dim}, "attn_q": {q, m.Dim}, "attn_k": {kv, m.Dim}, "attn_v": {kv, m.Dim}, "attn_output": {m.Dim, q},
			"ffn_norm": {m.Dim}, "ffn_gate": {m.FF, m.Dim}, "ffn_up": {m.FF, m.Dim}, "ffn_down": {m.Dim, m.FF},
		} {
			want[fmt.Sprintf("blk.%d.%s.weight", l, name)] = shape
		}
	}
	for i := range f.tensors {
		t := &f.tensors[i]
		shape, known := want[t.Name]
		if !known {
			return &Error{f.name, fmt.Sprintf("has the tensor %q, which no plain Llama has", t.Name), doOther}
		}
		if !slices.Equal(shape, t.Shape) {
			return &Error{f.name, fmt.Sprintf("tensor %q has the shape %v, not %v", t.Name, t.Shape, shape), doOther}
		}
		delete(want, t.Name)
	}
	if len(want) > 0 {
		names := make([]string, 0, len(want))
		for name := range want {
			names = append(names, name)
		}
		return &Error{f.name, fmt.Sprintf("has no tensor %q", slices.Min(names)), doFetch}
	}
	return nil
}
