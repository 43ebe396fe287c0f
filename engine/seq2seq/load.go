package seq2seq

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/personaweave/personaweave/engine/checkpoint"
	"github.com/personaweave/personaweave/engine/gguf"
	"github.com/personaweave/personaweave/engine/kernel"
	"github.com/personaweave/personaweave/engine/token"
)

// AdapterFormat is what an adapter's metadata says under "format".
const AdapterFormat = "weave-adapter-1"

// packing names the layout of the packed weights; it changes with every change of layout or rounding.
const packing = "int8-g32-r16-1"

// Source says what a model is made of.
type Source struct {
	Base     []byte // a GGUF file in memory, which must stay as it is while the model is in use
	Name     string // what messages call the base; empty: it ships
	BaseHash string // its SHA-256 in hex, where it is known beforehand
	Adapter  []byte // a safetensors file; empty: the base alone, with untrained heads
	CacheDir string // where packed weights are kept between runs; empty: nowhere
}

// Load makes a model: the base dequantised, the adapter merged, packed for the kernels. Packed weights come from the cache where
// it has them. A cache that cannot be read or written is no error.
func Load(src Source) (*Model, error) {
	parse := gguf.Parse
	if src.Name != "" {
		parse = func(data []byte) (*gguf.File, error) { return gguf.ParseAs(src.Name, data) }
	}
	file, err := parse(src.Base)
	if err != nil {
		return nil, err
	}
	shape, err := file.Llama()
	if err != nil {
		return nil, err
	}
	c := Config{Preset: "smol", Layers: shape.Layers, Dim: shape.Dim, Heads: shape.Heads, KVHeads: shape.KVHeads, HeadDim: shape.HeadDim,
		FF: shape.FF, Vocab: shape.Vocab, Theta: shape.RopeTheta, Eps: shape.Eps, HeadLayer: max(1, shape.Layers*8/15)}
	if shape.Dim < 256 {
		c.Preset = "tiny"
	}
	baseHash := src.BaseHash
	if baseHash == "" {
		baseHash = sum(src.Base)
	}
	var ad *adapter
	if len(src.Adapter) > 0 {
		if ad, err = readAdapter(src.Adapter, &c, baseHash); err != nil {
			return nil, err
		}
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("the model cannot be played: %w; choose another with --model", err)
	}
	tok, err := token.FromGGUF(file)
	if err != nil {
		return nil, err
	}
	if _, ok := marksOf(tok); !ok {
		return nil, fmt.Errorf("model %s: has no tokens that mark turns, neither ChatML's <|im_start|> and <|im_end|> nor Llama 3's <|start_header_id|> and <|eot_id|>; choose one that was tuned for talks, such as SmolLM2-1.7B-Instruct", file.Name())
	}
	if tok.Len() > c.Vocab {
		return nil, fmt.Errorf("model %s: has %d tokens but %d embeddings; fetch the file again", file.Name(), tok.Len(), c.Vocab)
	}
	first, err := firstToken(file, tok)
	if err != nil {
		return nil, err
	}
	hash := sum([]byte(packing + baseHash + sum(src.Adapter)))[:16]
	hasE := ad != nil && ad.file.Has("e.d")
	_, size := layout(c, shape.Tied, hasE)
	var keeping sync.WaitGroup
	buf, err := cached(&keeping, src.CacheDir, hash, size, func(buf []byte) error {
		if src.BaseHash != "" && sum(src.Base) != src.BaseHash {
			return errors.New("the base model inside this program is damaged; build or fetch it again")
		}
		return packAll(buf, c, shape.Tied, hasE, file, ad)
	})
	if err != nil {
		return nil, err
	}
	w := bind(c, shape.Tied, hasE, buf)
	if w.Slow, err = slow(file, shape); err != nil {
		return nil, err
	}
	m := newModel(w, tok, first, hash)
	m.settle = keeping.Wait
	return m, nil
}

// firstToken is the token that a base was trained to see before any other, or −1: it wants none, or the one that opens a turn.
func firstToken(file *gguf.File, tok *token.Tokenizer) (int, error) {
	pre, _ := file.Text("tokenizer.ggml.pre")
	wanted, err := file.Bool("tokenizer.ggml.add_bos_token")
	if err != nil {
		wanted = pre == "llama-bpe" // which did not say so until 2024
	}
	if !wanted || !file.Has("tokenizer.ggml.bos_token_id") {
		return -1, nil
	}
	id, err := file.Uint("tokenizer.ggml.bos_token_id")
	if err != nil {
		return 0, err
	}
	if id >= uint64(tok.Len()) {
		return 0, fmt.Errorf("model %s: its first token is %d of %d; fetch the file again", file.Name(), id, tok.Len())
	}
	if m, _ := marksOf(tok); int(id) == m.start {
		return -1, nil
	}
	return int(id), nil
}

// slow is how many times slower each rotary pair turns than RopeTheta says; nil: none does.
func slow(file *gguf.File, shape gguf.Llama) ([]float32, error) {
	if shape.RopeScale == 1 && !shape.RopeFactors {
		return nil, nil
	}
	out := slices.Repeat([]float32{1}, shape.HeadDim/2)
	if shape.RopeFactors {
		t, err := file.Tensor("rope_freqs.weight")
		if err != nil {
			return nil, err
		}
		if err := t.Dequantize(out); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i] *= float32(shape.RopeScale)
		if !(out[i] > 0 && out[i] < math.MaxFloat32) {
			return nil, fmt.Errorf("model %s: a rotary factor is %v; fetch the file again", file.Name(), out[i])
		}
	}
	return out, nil
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// adapter is an adapter file that fits the shape.
type adapter struct {
	file  *checkpoint.File
	rank  int
	scale float32
}

// readAdapter checks an adapter's metadata against the base and takes the settings from it.
func readAdapter(data []byte, c *Config, baseHash string) (*adapter, error) {
	f, err := checkpoint.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("the adapter is damaged: %w; build or fetch it again", err)
	}
	if got := f.Meta["format"]; got != AdapterFormat {
		return nil, fmt.Errorf("the adapter has the format %q, not %q; use one made for this version", got, AdapterFormat)
	}
	if got := f.Meta["base"]; got != baseHash {
		return nil, fmt.Errorf("the adapter belongs to another base model (%.12s…, not %.12s…); use the two that belong together", got, baseHash)
	}
	a := &adapter{file: f}
	rank, err1 := strconv.Atoi(f.Meta["rank"])
	scale, err2 := strconv.ParseFloat(f.Meta["scale"], 32)
	layer, err3 := strconv.Atoi(f.Meta["head_layer"])
	if err := errors.Join(err1, err2, err3); err != nil || rank < 0 || rank > 4096 || layer < 1 || layer > c.Layers {
		return nil, fmt.Errorf("the adapter's rank, scale or head_layer makes no sense (%q, %q, %q); build or fetch it again", f.Meta["rank"], f.Meta["scale"], f.Meta["head_layer"])
	}
	a.rank, a.scale, c.HeadLayer = rank, float32(scale), layer
	if p := f.Meta["preset"]; p != "" {
		c.Preset = p
	}
	return a, nil
}

func blk(l int) string { return "blk." + strconv.Itoa(l) + "." }

// suffix is the name of a tensor in a layer.
var adapted = map[string]string{"attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "o", "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down"}

// packAll fills buf, laid out by layout, from the base and the adapter.
func packAll(buf []byte, c Config, tied, e bool, file *gguf.File, ad *adapter) error {
	slots, _ := layout(c, tied, e)
	jobs := make(chan slot)
	errs := make([]error, max(1, runtime.NumCPU()))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			p := packer{c: c, file: file, ad: ad}
			for s := range jobs {
				if errs[i] == nil {
					errs[i] = p.fill(buf[s.offset:s.offset+s.size], s)
				}
			}
		})
	}
	for _, s := range slots {
		jobs <- s
	}
	close(jobs)
	wg.Wait()
	return errors.Join(errs...)
}

// packer packs one slot at a time, with scratch memory that it keeps.
type packer struct {
	c       Config
	file    *gguf.File
	ad      *adapter
	rows, t []float32
}

func (p *packer) fill(buf []byte, s slot) error {
	if s.float {
		v, err := p.floats(s)
		if err != nil {
			return err
		}
		if n := copy(floatsOf(buf), v); n != s.rows*max(1, s.cols) {
			return fmt.Errorf("tensor %q has %d values, not %d", s.name, n, s.rows*max(1, s.cols))
		}
		return nil
	}
	src, err := p.file.Tensor(s.name + ".weight")
	if err != nil {
		return err
	}
	var layer int
	var part string
	var a, b []float32
	if _, err := fmt.Sscanf(s.name, "blk.%d.%s", &layer, &part); err == nil && p.ad != nil {
		if name := fmt.Sprintf("layers.%d.%s", layer, adapted[part]); p.ad.file.Has(name + ".a") {
			if a, err = p.ad.file.Floats(name+".a", p.ad.rank, s.cols); err != nil {
				return fmt.Errorf("the adapter does not fit: %w; build or fetch it again", err)
			}
			if b, err = p.ad.file.Floats(name+".b", s.rows, p.ad.rank); err != nil {
				return fmt.Errorf("the adapter does not fit: %w; build or fetch it again", err)
			}
		}
	}
	m := kernel.NewMatrix(buf, s.rows, s.cols)
	tile := 192
	if turned := part == "attn_q" || part == "attn_k"; turned {
		tile = p.c.HeadDim * max(1, tile/p.c.HeadDim)
	}
	for from := 0; from < s.rows; from += tile {
		n := min(tile, s.rows-from)
		w := floats(&p.rows, n*s.cols)
		if err := src.DequantizeRows(w, from, from+n); err != nil {
			return err
		}
		if part == "attn_q" || part == "attn_k" {
			w = p.unturn(w, n, s.cols)
		}
		if a != nil {
			kernel.Sgemm(false, false, n, s.cols, p.ad.rank, p.ad.scale, b[from*p.ad.rank:(from+n)*p.ad.rank], p.ad.rank, a, s.cols, 1, w, s.cols)
		}
		m.Quantize(from, w)
	}
	return nil
}

// unturn puts the rows of whole heads into the order in which row j turns with row j + HeadDim/2: the file has the pairs side
// by side.
func (p *packer) unturn(w []float32, n, cols int) []float32 {
	out := floats(&p.t, n*cols)
	hd := p.c.HeadDim
	for h := 0; h < n; h += hd {
		for i := range hd / 2 {
			for j := range 2 {
				copy(out[(h+j*hd/2+i)*cols:][:cols], w[(h+2*i+j)*cols:][:cols])
			}
		}
	}
	return out
}

// floats returns a slot of float32: norms from the base, the rest from the adapter, or untrained where there is none.
func (p *packer) floats(s slot) ([]float32, error) {
	if src, ok := p.file.Lookup(s.name + ".weight"); ok {
		out := make([]float32, src.Len())
		return out, src.Dequantize(out)
	}
	trained := func(name string, shape ...int) ([]float32, error) {
		v, err := p.ad.file.Floats(name, shape...)
		if err != nil {
			return nil, fmt.Errorf("the adapter does not fit: %w; build or fetch it again", err)
		}
		return v, nil
	}
	var layer int
	var part string
	switch {
	case s.name == "heads.scales":
		out := []float32{16, 16, 16}
		for i, name := range []string{"reply", "voice", "line"} {
			if p.ad != nil && p.ad.file.Has("heads.scale."+name) {
				v, err := trained("heads.scale."+name, 1)
				if err != nil {
					return nil, err
				}
				out[i] = v[0]
			}
		}
		return out, nil
	case s.name == "e.bias":
		out := make([]float32, s.rows)
		for l := range out {
			v, err := trained(fmt.Sprintf("layers.%d.e.bias", l), 1)
			if err != nil {
				return nil, err
			}
			out[l] = v[0]
		}
		return out, nil
	case s.name == "e.d":
		return trained(s.name, s.rows, s.cols)
	case p.ad != nil && p.ad.file.Has(s.name):
		return trained(s.name, s.rows, s.cols)
	}
	if n, _ := fmt.Sscanf(s.name, "blk.%d.%s", &layer, &part); n == 2 {
		return trained(fmt.Sprintf("layers.%d.%s", layer, part), s.rows, s.cols)
	}
	// An untrained head: a random projection, the same for all heads, which keeps angles (Johnson and Lindenstrauss 1984).
	r := rand.New(rand.NewPCG(256, uint64(s.cols)))
	out := make([]float32, s.rows*s.cols)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out, nil
}

// LoadFile makes a model of a GGUF file on disk, without an adapter.
func LoadFile(path, cacheDir string) (*Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w; give the path of a GGUF file", err)
	}
	return Load(Source{Base: data, CacheDir: cacheDir})
}
