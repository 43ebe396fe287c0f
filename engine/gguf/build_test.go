package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// builder makes GGUF files, right ones and wrong ones.
type builder struct {
	meta, list, data []byte
	entries, tensors uint64
	align            int
}

var le = binary.LittleEndian

func str(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }

func (b *builder) kv(key string, k kind, raw ...byte) *builder {
	b.meta = append(le.AppendUint32(str(b.meta, key), uint32(k)), raw...)
	b.entries++
	return b
}

func (b *builder) text(key, s string) *builder { return b.kv(key, kindString, str(nil, s)...) }

func (b *builder) u32(key string, n uint32) *builder {
	return b.kv(key, kindU32, le.AppendUint32(nil, n)...)
}

func (b *builder) f32(key string, x float32) *builder {
	return b.kv(key, kindF32, le.AppendUint32(nil, math.Float32bits(x))...)
}

func (b *builder) array(key string, elem kind, n uint64, raw ...byte) *builder {
	return b.kv(key, kindArray, append(le.AppendUint64(le.AppendUint32(nil, uint32(elem)), n), raw...)...)
}

// raw describes a tensor as told and adds no data.
func (b *builder) raw(name string, t Type, offset uint64, dims ...uint64) *builder {
	b.list = le.AppendUint32(str(b.list, name), uint32(len(dims)))
	for _, d := range dims {
		b.list = le.AppendUint64(b.list, d)
	}
	b.list = le.AppendUint64(le.AppendUint32(b.list, uint32(t)), offset)
	b.tensors++
	return b
}

// tensor adds an F32 tensor of zeros, dims innermost first.
func (b *builder) tensor(name string, dims ...uint64) *builder {
	n := uint64(4)
	for _, d := range dims {
		n *= d
	}
	b.raw(name, F32, uint64(len(b.data)), dims...)
	b.data = b.pad(append(b.data, make([]byte, n)...))
	return b
}

func (b *builder) pad(data []byte) []byte {
	if b.align == 0 {
		b.align = 32
	}
	for len(data)%b.align != 0 {
		data = append(data, 0)
	}
	return data
}

func (b *builder) bytes() []byte {
	out := le.AppendUint32([]byte("GGUF"), 3)
	out = le.AppendUint64(le.AppendUint64(out, b.tensors), b.entries)
	return append(b.pad(append(append(out, b.meta...), b.list...)), b.data...)
}

// llama returns a small right model: 2 layers, 8 wide, 4 heads for 2, 12 inner, 16 tokens.
func llama() *builder {
	b := &builder{}
	b.text("general.architecture", "llama").text("general.name", "toy")
	b.u32("llama.block_count", 2).u32("llama.embedding_length", 8).u32("llama.attention.head_count", 4)
	b.u32("llama.attention.head_count_kv", 2).u32("llama.feed_forward_length", 12).u32("llama.context_length", 64)
	b.f32("llama.attention.layer_norm_rms_epsilon", 1e-5).f32("llama.rope.freq_base", 5000)
	b.tensor("token_embd.weight", 8, 16).tensor("output_norm.weight", 8)
	for l := range 2 {
		p := fmt.Sprintf("blk.%d.", l)
		b.tensor(p+"attn_norm.weight", 8).tensor(p+"attn_q.weight", 8, 8).tensor(p+"attn_k.weight", 8, 4)
		b.tensor(p+"attn_v.weight", 8, 4).tensor(p+"attn_output.weight", 8, 8).tensor(p+"ffn_norm.weight", 8)
		b.tensor(p+"ffn_gate.weight", 8, 12).tensor(p+"ffn_up.weight", 8, 12)
		if l == 0 {
			b.tensor(p+"ffn_down.weight", 12, 8)
		}
	}
	return b
}
