package seq2seq

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/checkpoint/half"
	"github.com/personaweave/personaweave/engine/gguf"
)

// draft is a GGUF file to be changed and written.
type draft struct {
	meta    map[string]any // string, uint32, float32, bool, []string or []int32
	tensors []gguf.Tensor
}

// variant is the tiny base, changed.
func variant(t *testing.T, change func(*draft)) []byte {
	t.Helper()
	base, err := os.ReadFile("testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	d := &draft{map[string]any{}, slices.Clone(f.Tensors())}
	for _, key := range f.Keys() {
		if s, err := f.Text(key); err == nil {
			d.meta[key] = s
		} else if n, err := f.Uint(key); err == nil {
			d.meta[key] = uint32(n)
		} else if x, err := f.Float(key); err == nil {
			d.meta[key] = float32(x)
		} else if list, err := f.Strings(key); err == nil {
			d.meta[key] = list
		} else if list, err := f.Ints(key); err == nil {
			ints := make([]int32, len(list))
			for i, n := range list {
				ints[i] = int32(n)
			}
			d.meta[key] = ints
		} else {
			t.Fatalf("%s is of a kind that this test cannot write", key)
		}
	}
	change(d)
	return d.bytes()
}

func (d *draft) bytes() []byte {
	le := binary.LittleEndian
	str := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	out := le.AppendUint64(le.AppendUint64(le.AppendUint32([]byte("GGUF"), 3), uint64(len(d.tensors))), uint64(len(d.meta)))
	for key, v := range d.meta {
		out = str(out, key)
		switch v := v.(type) {
		case uint32:
			out = le.AppendUint32(le.AppendUint32(out, 4), v)
		case float32:
			out = le.AppendUint32(le.AppendUint32(out, 6), math.Float32bits(v))
		case bool:
			out = append(le.AppendUint32(out, 7), map[bool]byte{true: 1}[v])
		case string:
			out = str(le.AppendUint32(out, 8), v)
		case []string:
			out = le.AppendUint64(le.AppendUint32(le.AppendUint32(out, 9), 8), uint64(len(v)))
			for _, s := range v {
				out = str(out, s)
			}
		case []int32:
			out = le.AppendUint64(le.AppendUint32(le.AppendUint32(out, 9), 5), uint64(len(v)))
			for _, n := range v {
				out = le.AppendUint32(out, uint32(n))
			}
		}
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, (32-len(b)%32)%32)...) }
	var data []byte
	for _, t := range d.tensors {
		out = le.AppendUint32(str(out, t.Name), uint32(len(t.Shape)))
		for _, n := range slices.Backward(t.Shape) {
			out = le.AppendUint64(out, uint64(n))
		}
		out = le.AppendUint64(le.AppendUint32(out, uint32(t.Type)), uint64(len(data)))
		data = pad(append(data, t.Data...))
	}
	return append(pad(out), data...)
}

// tensor returns the tensor of a name, which is added where it is not there.
func (d *draft) tensor(name string) *gguf.Tensor {
	i := slices.IndexFunc(d.tensors, func(t gguf.Tensor) bool { return t.Name == name })
	if i < 0 {
		i = len(d.tensors)
		d.tensors = append(d.tensors, gguf.Tensor{Name: name})
	}
	return &d.tensors[i]
}

// factors slows the rotary pairs, each by as much.
func (d *draft) factors(f ...float32) {
	t := d.tensor("rope_freqs.weight")
	t.Shape = []int{len(f)}
	for _, x := range f {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(x))
	}
}

// say is what a variant makes of a moment: the logits of a reply's first token.
func say(t *testing.T, data []byte) []float32 {
	t.Helper()
	m, err := Load(Source{Base: data})
	if err != nil {
		t.Fatal(err)
	}
	d := m.NewDialogue()
	m.Append(d, m.Tokens(Turn{Role: User, Text: "hello, who are you?"}))
	return m.Begin(d, []Share{{m.EncodePersona("a quiet gardener"), 1}}, "x").Logits()
}

// What Llama-shaped bases differ in changes what is computed where it should, and nowhere else.
func TestVariants(t *testing.T) {
	t.Parallel()
	plain := say(t, variant(t, func(*draft) {}))
	slower := func(d *draft) {
		d.meta["llama.rope.scaling.type"], d.meta["llama.rope.scaling.factor"] = "linear", float32(2)
	}
	bos := func(d *draft) {
		d.meta["tokenizer.ggml.add_bos_token"], d.meta["tokenizer.ggml.bos_token_id"] = true, uint32(0)
	}
	for _, c := range []struct {
		name        string
		change      func(*draft)
		least, most float64 // how far from plain
	}{
		{"an output layer of its own", func(d *draft) {
			e := *d.tensor("token_embd.weight")
			e.Name = "output.weight"
			d.tensors = append(d.tensors, e)
		}, 0, 0},
		{"another output layer", func(d *draft) {
			e := *d.tensor("token_embd.weight")
			e.Name, e.Data = "output.weight", make([]byte, len(e.Data))
			d.tensors = append(d.tensors, e)
		}, 1, 1},
		{"stored in 16 bits", func(d *draft) {
			for i := range d.tensors {
				t := &d.tensors[i]
				if len(t.Shape) < 2 {
					continue
				}
				var data []byte
				for b := t.Data; len(b) > 0; b = b[4:] {
					data = binary.LittleEndian.AppendUint16(data, half.ToBF16(math.Float32frombits(binary.LittleEndian.Uint32(b))))
				}
				t.Type, t.Data = gguf.BF16, data
			}
		}, 1e-5, 0.02},
		{"a key head for every query head", func(d *draft) {
			d.meta["llama.attention.head_count_kv"] = uint32(6)
			for i := range d.tensors {
				t := &d.tensors[i]
				if !strings.HasSuffix(t.Name, "attn_k.weight") && !strings.HasSuffix(t.Name, "attn_v.weight") {
					continue
				}
				var data []byte
				for head := range slices.Chunk(t.Data, len(t.Data)/2) {
					data = append(append(append(data, head...), head...), head...)
				}
				t.Shape, t.Data = []int{96, 96}, data
			}
		}, 0, 1e-3},
		{"rotary factors of 1", func(d *draft) { d.factors(1, 1, 1, 1, 1, 1, 1, 1) }, 0, 0},
		{"rotary factors", func(d *draft) { d.factors(1, 1, 1, 1, 4, 4, 8, 8) }, 1e-4, 1},
		{"linear scaling", slower, 1e-4, 1},
		{"another rotary base", func(d *draft) { d.meta["llama.rope.freq_base"] = float32(500000) }, 1e-4, 1},
		{"a first token", bos, 1e-3, 1},
		{"a first token that is not wanted", func(d *draft) { bos(d); d.meta["tokenizer.ggml.add_bos_token"] = false }, 0, 0},
		{"a first token that opens a turn", func(d *draft) { bos(d); d.meta["tokenizer.ggml.bos_token_id"] = uint32(1) }, 0, 0},
	} {
		if far := apart(say(t, variant(t, c.change)), plain); !(far >= c.least && far <= c.most) {
			t.Errorf("%s is %.2g from the base, not %g to %g", c.name, far, c.least, c.most)
		}
	}
	if !slices.Equal(say(t, variant(t, slower)), say(t, variant(t, func(d *draft) { d.factors(2, 2, 2, 2, 2, 2, 2, 2) }))) {
		t.Error("linear scaling by 2 is not what rotary factors of 2 are")
	}
}

// With a first token, what is cached is still what is read at once.
func TestFirstTokenCached(t *testing.T) {
	t.Parallel()
	m, err := Load(Source{Base: variant(t, func(d *draft) {
		d.meta["tokenizer.ggml.add_bos_token"], d.meta["tokenizer.ggml.bos_token_id"] = true, uint32(0)
	})})
	if err != nil {
		t.Fatal(err)
	}
	all := append(m.Tokens(Turn{Role: Scene, Text: "A quiet room."}), m.Tokens(Turn{Role: User, Text: "hello"})...)
	once, pieces := m.NewDialogue(), m.NewDialogue()
	m.Append(once, all)
	m.Append(pieces, all[:5])
	m.Append(pieces, all[5:])
	if !slices.Equal(m.Begin(once, nil, "").State(), m.Begin(pieces, nil, "").State()) {
		t.Error("read in pieces it is another")
	}
}

func TestLlama3Turns(t *testing.T) {
	t.Parallel()
	m, err := Load(Source{Base: variant(t, func(d *draft) {
		words := d.meta["tokenizer.ggml.tokens"].([]string)
		words[0], words[1], words[2] = "<|end_header_id|>", "<|start_header_id|>", "<|eot_id|>"
	})})
	if err != nil {
		t.Fatal(err)
	}
	tok := m.Tokenizer()
	want := slices.Concat([]int{1}, tok.Encode("assistant Wren"), []int{0}, tok.Encode("\n\nFine."), []int{2})
	if got := m.Tokens(Turn{Role: Assistant, Name: "Wren", Text: " Fine. "}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	out, err := m.Begin(m.NewDialogue(), nil, "Wren").Sample(context.Background(), Sampling{TopP: 1, MaxTokens: 8}, 1, oneSource())
	if err != nil || slices.ContainsFunc(out[0].IDs, func(id int) bool { return id < 3 }) {
		t.Errorf("%v %v", out, err)
	}
}

func TestVariantsThatCannotBePlayed(t *testing.T) {
	t.Parallel()
	words := func(d *draft) []string { return d.meta["tokenizer.ggml.tokens"].([]string) }
	for name, c := range map[string]struct {
		change func(*draft)
		want   string
	}{
		"architecture": {func(d *draft) { d.meta["general.architecture"] = "qwen2" }, `is of the architecture "qwen2", not llama; use a GGUF`},
		"no turns":     {func(d *draft) { words(d)[1] = "<s>" }, "has no tokens that mark turns, neither ChatML's"},
		"tokenizer":    {func(d *draft) { d.meta["tokenizer.ggml.model"] = "llama" }, `of the kind "llama", not byte-level BPE; choose`},
		"split":        {func(d *draft) { d.meta["tokenizer.ggml.pre"] = "tekken" }, `by the rules "tekken"`},
		"heads": {func(d *draft) {
			d.meta["llama.attention.head_count"], d.meta["llama.attention.head_count_kv"] = uint32(12), uint32(4)
			for _, key := range []string{"attention.key_length", "attention.value_length", "rope.dimension_count"} {
				d.meta["llama."+key] = uint32(8)
			}
		}, "a head width of 8 is not supported; choose another"},
		"biases": {func(d *draft) {
			bias, norm := d.tensor("blk.0.attn_q.bias"), d.tensor("output_norm.weight")
			bias.Shape, bias.Data = norm.Shape, norm.Data
		}, `has the tensor "blk.0.attn_q.bias", which no plain Llama has; use`},
		"rotary factor":  {func(d *draft) { d.factors(1, 1, 1, 1, 1, 1, 1, 0) }, "a rotary factor is 0"},
		"rotary factors": {func(d *draft) { d.factors(1, 1) }, `"rope_freqs.weight" has the shape [2], not [8]`},
		"first token": {func(d *draft) {
			d.meta["tokenizer.ggml.add_bos_token"], d.meta["tokenizer.ggml.bos_token_id"] = true, uint32(512)
		}, "first token is 512 of 512"},
		"more than there": {func(d *draft) {
			d.tensor("token_embd.weight").Shape, d.tensor("token_embd.weight").Data = []int{500, 96}, d.tensor("token_embd.weight").Data[:500*96*4]
		}, "512 tokens but 500 embeddings"},
	} {
		_, err := Load(Source{Base: variant(t, c.change), Name: "mine.gguf"})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Mixed distributions are Σ wᵢ·pᵢ, token by token: in the logits, in what is scored and in what is sampled.
func TestMixed(t *testing.T) {
	t.Parallel()
	var f tinyFixture
	readFixture(t, "tiny.json.gz", &f)
	m := tiny(t)
	d, mix := prepare(m, f.Cases[1])
	a, b := mix[0].Persona, mix[1].Persona
	weights := []float64{0.3, 0.7}
	dec := m.BeginMixed(d, []Share{{a, weights[0]}, {b, weights[1]}}, "x")
	defer dec.Close()
	var alone [2]*Decoder
	for i, p := range []*Persona{a, b} {
		alone[i] = m.Begin(d, []Share{{p, 1}}, "x")
		if got := m.BeginMixed(d, []Share{{p, 1}, {mix[1-i].Persona, 0}}, "x").Logits(); !slices.Equal(got, alone[i].Logits()) {
			t.Error("a weight of 0 leaves a trace")
		}
	}
	softmax := func(l []float32) []float64 {
		out, sum := make([]float64, len(l)), 0.0
		for i, x := range l {
			out[i] = math.Exp(float64(x))
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	p, q, got := softmax(alone[0].Logits()), softmax(alone[1].Logits()), softmax(dec.Logits())
	for i := range got {
		if want := weights[0]*p[i] + weights[1]*q[i]; math.Abs(got[i]-want) > 1e-4*want+1e-9 {
			t.Fatalf("token %d: %g, want %g", i, got[i], want)
		}
	}
	texts := []string{"Yes.", "I would not say so, no.", ""}
	under := func(d *Decoder) [][]float64 { return d.logProbs(&d.with, texts) }
	lp, lq := under(alone[0]), under(alone[1])
	for i, l := range dec.Score(texts) {
		want := 0.0
		for j := range lp[i] {
			want += math.Log(weights[0]*math.Exp(lp[i][j]) + weights[1]*math.Exp(lq[i][j]))
		}
		if l.Tokens != len(lp[i]) || math.Abs(l.Sum-want) > 1e-9*math.Abs(want) {
			t.Errorf("%q scores %v, want %g of %d", texts[i], l, want, len(lp[i]))
		}
	}
	for _, strength := range []float64{1, 2} {
		many := func(n int) (out []*rand.Rand) {
			for i := range n {
				out = append(out, rand.New(rand.NewPCG(9, uint64(i))))
			}
			return out
		}
		batch, err := dec.Sample(context.Background(), DefaultSampling(), strength, many(3))
		if err != nil {
			t.Fatal(err)
		}
		one, err := dec.Sample(context.Background(), DefaultSampling(), strength, many(1))
		if err != nil || one[0].Text != batch[0].Text || one[0].LogProb != batch[0].LogProb {
			t.Errorf("strength %g: %q in a batch, %q alone", strength, batch[0].Text, one[0].Text)
		}
	}
	said, err := dec.Sample(context.Background(), greedy(), 1, oneSource())
	if err != nil {
		t.Fatal(err)
	}
	if l := dec.Score([]string{said[0].Text})[0]; l.Tokens != said[0].Tokens || math.Abs(l.Sum/float64(l.Tokens)-said[0].LogProb) > 1e-3 {
		t.Errorf("%q was sampled at %g in %d tokens and scores %g in %d", said[0].Text, said[0].LogProb, said[0].Tokens, l.Sum/float64(l.Tokens), l.Tokens)
	}
}
