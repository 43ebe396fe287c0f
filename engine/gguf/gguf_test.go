package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const base = "../weights/SmolLM2-135M-Instruct.Q4_1.gguf"

// TestDequantize compares with the Python package gguf, bit for bit (testdata/make.py).
func TestDequantize(t *testing.T) {
	t.Parallel()
	f, err := Open("testdata/blocks.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, kind := range []Type{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K} {
		tensor, err := f.Tensor(kind.String())
		if err != nil {
			t.Fatal(err)
		}
		if tensor.Type != kind || !slices.Equal(tensor.Shape, []int{3, 512}) {
			t.Fatalf("%v: type %v, shape %v", kind, tensor.Type, tensor.Shape)
		}
		known, err := f.Tensor(kind.String() + ".want")
		if err != nil {
			t.Fatal(err)
		}
		got, want := make([]float32, tensor.Len()), make([]float32, known.Len())
		if err := errors.Join(tensor.Dequantize(got), known.Dequantize(want)); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%v: value %d is %v, want %v", kind, i, got[i], want[i])
				break
			}
		}
		if i := slices.IndexFunc(want, func(x float32) bool { return x != 0 && x == x }); i < 0 {
			t.Errorf("%v: the fixture is all zeros", kind)
		}
		row := make([]float32, 512)
		if err := tensor.DequantizeRows(row, 2, 3); err != nil || !slices.Equal(row, want[1024:]) {
			t.Errorf("%v: row 2 alone differs (%v)", kind, err)
		}
		if tensor.DequantizeRows(row, 2, 4) == nil || tensor.DequantizeRows(row, 0, 2) == nil || tensor.Dequantize(row) == nil {
			t.Errorf("%v: rows that are not there, or do not fit, are no error", kind)
		}
	}
}

func TestBase(t *testing.T) {
	t.Parallel()
	f, err := Open(base)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Llama()
	if err != nil {
		t.Fatal(err)
	}
	want := Llama{
		Name: "Smollm2 135M 8k Lc100K Mix1 Ep2", Vocab: 49152, Context: 8192, Layers: 30, Dim: 576, Heads: 9, KVHeads: 3, HeadDim: 64,
		FF: 1536, RopeTheta: 100000, RopeScale: 1, Eps: float64(float32(1e-5)), Tied: true,
	}
	if m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	norm, err := f.Tensor("output_norm.weight")
	if err != nil {
		t.Fatal(err)
	}
	if norm.Rows() != 1 || norm.Cols() != 576 {
		t.Errorf("output_norm.weight has %d rows of %d", norm.Rows(), norm.Cols())
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if norm.Data != nil {
		t.Error("a closed file still shows its bytes")
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	b := &builder{}
	b.kv("u8", kindU8, 200).kv("i8", kindI8, 200).kv("i16", kindI16, 0xfe, 0xff).kv("yes", kindBool, 1)
	b.kv("u64", kindU64, 255, 255, 255, 255, 255, 255, 255, 255).text("name", "Wren").f32("half", 0.5)
	b.kv("double", kindF64, le.AppendUint64(nil, math.Float64bits(0.25))...)
	b.array("words", kindString, 2, str(str(nil, "a"), "")...).array("ints", kindI16, 2, 1, 0, 0xff, 0xff).array("none", kindF32, 0)
	f, err := Parse(b.bytes())
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s = %v, %v; want %v", what, got, err, want)
		}
	}
	u, err := f.Uint("u8")
	check("u8", u, err, 200)
	u, err = f.Uint("u64")
	check("u64", u, err, uint64(math.MaxUint64))
	x, err := f.Float("i8")
	check("i8", x, err, -56)
	x, err = f.Float("half")
	check("half", x, err, 0.5)
	x, err = f.Float("double")
	check("double", x, err, 0.25)
	x, err = f.Float("u64")
	check("u64 as float", x, err, float64(math.MaxUint64))
	s, err := f.Text("name")
	check("name", s, err, "Wren")
	y, err := f.Bool("yes")
	check("yes", y, err, true)
	list, err := f.Strings("words")
	check("words", fmt.Sprintf("%q", list), err, `["a" ""]`)
	ints, err := f.Ints("ints")
	check("ints", ints, err, []int{1, -1})
	check("keys", f.Keys()[:2], nil, []string{"u8", "i8"})

	for what, err := range map[string]error{
		"Uint of a negative": second(f.Uint("i16")), "Uint of a text": second(f.Uint("name")), "Uint of nothing": second(f.Uint("?")),
		"Float of a text": second(f.Float("name")), "Text of a number": second(f.Text("u8")), "Bool of a number": second(f.Bool("u8")),
		"Strings of integers": second(f.Strings("ints")), "Ints of strings": second(f.Ints("words")), "Ints of floats": second(f.Ints("none")),
		"Strings of a text": second(f.Strings("name")), "Ints of an integer": second(f.Ints("u8")),
	} {
		if e := new(Error); !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *Error", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// oneLine checks an error as a player sees it.
func oneLine(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	if s := err.Error(); !strings.Contains(s, want) || strings.ContainsAny(s, "\n\r\x00") || !strings.Contains(s, "; ") {
		t.Errorf("error %q: want one line with %q and what to do", s, want)
	}
}

// TestHostile feeds Parse with files whose counts, sizes and names lie.
func TestHostile(t *testing.T) {
	t.Parallel()
	header := func(version uint32, tensors, entries uint64, rest ...byte) []byte {
		return append(le.AppendUint64(le.AppendUint64(le.AppendUint32([]byte("GGUF"), version), tensors), entries), rest...)
	}
	many := make([]byte, 4096)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "only 0 bytes"},
		{"foreign", []byte("PK\x03\x04 and so on"), "not a GGUF file"},
		{"pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"), "Git LFS"},
		{"header", []byte("GGUF\x03\x00\x00\x00\x01"), "ends inside its header"},
		{"version 1", header(1, 0, 0), "version 1"},
		{"big-endian", header(3<<24, 0, 0), "big-endian"},
		{"entries", header(3, 0, 1<<60, many...), "metadata entries"},
		{"entries that fit no file", header(3, 0, 60000, many...), "ends inside its metadata"},
		{"tensors", header(3, math.MaxUint64, 0, many...), "tensors"},
		{"tensors that fit no file", header(3, 60000, 0, many...), "list of tensors"},
		{"key", header(3, 0, 1, le.AppendUint64(nil, 1<<63+1)...), "metadata"},
		{"long key", (&builder{}).u32(strings.Repeat("k", maxName+1), 1).bytes(), "key of 65537 bytes"},
		{"text", (&builder{}).kv("name", kindString, le.AppendUint64(nil, 1<<40)...).bytes(), `at "name"`},
		{"kind", (&builder{}).kv("x", 77).bytes(), "unknown type 77"},
		{"array", (&builder{}).array("x", kindF64, 1<<61).bytes(), `at "x"`},
		{"array of texts", (&builder{}).array("x", kindString, 1<<61).bytes(), `at "x"`},
		{"array of long texts", (&builder{}).array("x", kindString, 1, le.AppendUint64(nil, math.MaxUint64)...).bytes(), `at "x"`},
		{"array of arrays", (&builder{}).array("x", kindArray, 1).bytes(), "array of arrays"},
		{"array of nothing", (&builder{}).array("x", 99, 1).bytes(), "unknown type 99"},
		{"key twice", (&builder{}).u32("x", 1).u32("x", 1).bytes(), "twice"},
		{"alignment", (&builder{}).u32("general.alignment", 24).bytes(), "power of two"},
		{"alignment 0", (&builder{}).u32("general.alignment", 0).bytes(), "power of two"},
		{"alignment text", (&builder{}).text("general.alignment", "8").bytes(), "power of two"},
		{"no dimension", (&builder{}).raw("t", F32, 0).bytes(), "0 dimensions"},
		{"dimensions", (&builder{}).raw("t", F32, 0, 1, 1, 1, 1, 1).bytes(), "5 dimensions"},
		{"dimension 0", (&builder{}).raw("t", F32, 0, 4, 0).bytes(), "a dimension of 0"},
		{"overflow", (&builder{}).raw("t", F32, 0, 1<<32, 1<<32).bytes(), "a dimension of"},
		{"overflow to small", (&builder{}).raw("t", F32, 0, 1<<62+1, 4).bytes(), "a dimension of"},
		{"large", (&builder{}).raw("t", F32, 0, 1<<40).bytes(), "past the end"},
		{"type", (&builder{}).raw("t", 20, 0, 32).bytes(), "IQ4_NL"},
		{"unknown type", (&builder{}).raw("t", 200, 0, 32).bytes(), "type 200"},
		{"partial block", (&builder{}).raw("t", Q4_1, 0, 33).bytes(), "whole blocks of 32"},
		{"tensor twice", (&builder{}).tensor("t", 8).tensor("t", 8).bytes(), "twice"},
		{"unaligned", (&builder{}).tensor("t", 64).raw("u", F32, 4, 1).bytes(), "not aligned"},
		{"offset", (&builder{}).raw("t", F32, 1<<63, 8).bytes(), "past the end"},
		{"overlap", (&builder{}).tensor("t", 64).raw("u", F32, 32, 8).bytes(), `overlaps tensor "t"`},
		{"name with a line feed", (&builder{}).raw("t\n\x1b[2J", 200, 0, 32).bytes(), "type 200"},
		{"longer", append(llama().bytes(), make([]byte, 32)...), "after its last tensor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(c.data)
			oneLine(t, err, c.want)
			if e := new(Error); !errors.As(err, &e) {
				t.Errorf("%v is no *Error", err)
			}
		})
	}
}

// TestTruncated cuts a right file at every byte: each is an error, none a panic.
func TestTruncated(t *testing.T) {
	t.Parallel()
	b := llama().tensor("blk.1.ffn_down.weight", 12, 8)
	whole := b.bytes()
	if f, err := Parse(whole); err != nil {
		t.Fatal(err)
	} else if m, err := f.Llama(); err != nil || m.RopeTheta != 5000 || m.HeadDim != 2 || !m.Tied {
		t.Fatalf("%+v, %v", m, err)
	}
	for n := range len(whole) - 31 { // the last padding may be missing
		if _, err := Parse(whole[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestAlignment(t *testing.T) {
	t.Parallel()
	b := &builder{align: 128}
	b.u32("general.alignment", 128).tensor("t", 3).tensor("u", 5)
	f, err := Parse(b.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if u, err := f.Tensor("u"); err != nil || len(u.Data) != 20 || f.Version() != 3 {
		t.Errorf("u: %v, %v", u, err)
	}
}

func TestLlamaMisfits(t *testing.T) {
	t.Parallel()
	down := func(b *builder) *builder { return b.tensor("blk.1.ffn_down.weight", 12, 8) }
	without := func(key string) []byte { // renames the entry, so that it is missed
		return bytes.Replace(down(llama()).bytes(), []byte(key), []byte(strings.Repeat("?", len(key))), 1)
	}
	with := func(key string, old, now uint32) []byte {
		data := down(llama()).bytes()
		at := bytes.Index(data, []byte(key)) + len(key) + 4
		if le.Uint32(data[at:]) != old {
			t.Fatalf("%s is not %d", key, old)
		}
		le.PutUint32(data[at:], now)
		return data
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"tensor missing", llama().bytes(), `no tensor "blk.1.ffn_down.weight"`},
		{"tensor of another shape", llama().tensor("blk.1.ffn_down.weight", 8, 12).bytes(), "shape [12 8], not [8 12]"},
		{"tensor too many", down(llama()).tensor("blk.0.attn_q.bias", 8).bytes(), "attn_q.bias"},
		{"rotary factors", down(llama()).tensor("rope_freqs.weight", 2).bytes(), "rope_freqs"},
		{"architecture", bytes.Replace(down(llama()).bytes(), []byte("\x05\x00\x00\x00\x00\x00\x00\x00llama"), []byte("\x05\x00\x00\x00\x00\x00\x00\x00qwen3"), 1), "qwen3"},
		{"no architecture", without("general.architecture"), "general.architecture"},
		{"no layers", without("llama.block_count"), "llama.block_count"},
		{"no epsilon", without("llama.attention.layer_norm_rms_epsilon"), "epsilon"},
		{"layers", with("llama.block_count", 2, 1<<31), "not within 1 and 1024"},
		{"more layers than tensors", with("llama.block_count", 2, 1000), "1000 layers"},
		{"heads", with("llama.attention.head_count", 4, 3), "3 heads for 2"},
		{"head width", with("llama.attention.head_count", 4, 16), "width of 8 for 16 heads"},
		{"odd heads", with("llama.attention.head_count", 4, 8), "odd width 1"},
		{"width", with("llama.embedding_length", 8, 16), "shape"},
		{"rotary base", with("llama.rope.freq_base", math.Float32bits(5000), math.Float32bits(float32(math.NaN()))), "rotary base of NaN"},
		{"partial rotary", down(llama().u32("llama.rope.dimension_count", 1)).bytes(), "dimension_count"},
		{"rotary scaling", down(llama().text("llama.rope.scaling.type", "yarn")).bytes(), "yarn"},
		{"rotary scale", down(llama().text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 0)).bytes(), "by 0"},
		{"experts", down(llama().u32("llama.expert_count", 8)).bytes(), "8 experts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse(c.data)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Llama()
			oneLine(t, err, c.want)
		})
	}
}

// What models of the shape differ in.
func TestLlamaVariants(t *testing.T) {
	t.Parallel()
	down := func(b *builder) *builder { return b.tensor("blk.1.ffn_down.weight", 12, 8) }
	for _, c := range []struct {
		name string
		b    *builder
		want func(*Llama)
	}{
		{"as it is", down(llama()), func(*Llama) {}},
		{"an output layer of its own", down(llama()).tensor("output.weight", 8, 16), func(m *Llama) { m.Tied = false }},
		{"rotary factors", down(llama()).tensor("rope_freqs.weight", 1), func(m *Llama) { m.RopeFactors = true }},
		{"linear scaling", down(llama().text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 4)), func(m *Llama) { m.RopeScale = 4 }},
		{"linear scaling as it was written", down(llama().f32("llama.rope.scale_linear", 2)), func(m *Llama) { m.RopeScale = 2 }},
		{"no scaling", down(llama().text("llama.rope.scaling.type", "none").f32("llama.rope.scaling.factor", 4)), func(*Llama) {}},
		{"a vocabulary that was padded", down(llama().u32("llama.vocab_size", 11)), func(*Llama) {}},
	} {
		f, err := Parse(c.b.bytes())
		if err != nil {
			t.Fatal(err)
		}
		want := Llama{Name: "toy", Vocab: 16, Context: 64, Layers: 2, Dim: 8, Heads: 4, KVHeads: 2, HeadDim: 2, FF: 12, RopeTheta: 5000, RopeScale: 1,
			Eps: float64(float32(1e-5)), Tied: true}
		c.want(&want)
		if m, err := f.Llama(); err != nil || m != want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, m, err, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		dir:                               "is a folder",
		filepath.Join(dir, "none.gguf"):   "no such file",
		write("empty.gguf", ""):           "is empty",
		write("short.gguf", "GGUF\x03"):   "header",
		write("other.gguf", "hello, you"): "not a GGUF file",
	} {
		_, err := Open(path)
		oneLine(t, err, want)
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not os.ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(llama().bytes())
	f.Add((&builder{}).text("a", "b").array("words", kindString, 1, str(nil, "a")...).raw("t", Q6_K, 0, 256).bytes())
	if data, err := os.ReadFile("testdata/blocks.gguf"); err == nil {
		f.Add(data[:2048])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q is more than a line", err)
			}
			return
		}
		for _, key := range file.Keys() {
			_, _ = file.Text(key)
			_, _ = file.Bool(key)
			_, _ = file.Uint(key)
			_, _ = file.Float(key)
			_, _ = file.Strings(key)
			_, _ = file.Ints(key)
		}
		stored := 0
		for i := range file.Tensors() {
			tensor := &file.Tensors()[i]
			stored += len(tensor.Data)
			if tensor.Rows() > 0 {
				if err := tensor.DequantizeRows(make([]float32, tensor.Cols()), tensor.Rows()-1, tensor.Rows()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if stored > len(data) {
			t.Fatalf("%d bytes of tensors in a file of %d", stored, len(data))
		}
		_, _ = file.Llama()
	})
}

// BenchmarkBase dequantises all 135 M weights in two goroutines, by tiles of rows into one reused buffer each.
func BenchmarkBase(b *testing.B) {
	f, err := Open(base)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for b.Loop() {
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Go(func() {
				buf := make([]float32, 64*1536)
				for i := range f.Tensors() {
					t := &f.Tensors()[i]
					for row := g * 64; row < t.Rows(); row += 128 {
						end := min(row+64, t.Rows())
						if err := t.DequantizeRows(buf[:(end-row)*t.Cols()], row, end); err != nil {
							b.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		f, err := Open(base)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkDequantize(b *testing.B) {
	f, err := Open("testdata/blocks.gguf")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, kind := range []Type{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K} {
		t, _ := f.Tensor(kind.String())
		dst := make([]float32, t.Len())
		b.Run(kind.String(), func(b *testing.B) {
			b.SetBytes(int64(t.Len())) // so that MB/s reads as million values a second
			for b.Loop() {
				if err := t.Dequantize(dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
