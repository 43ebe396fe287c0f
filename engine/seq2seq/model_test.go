package seq2seq

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/gguf"
)

// The fixtures were made by twin/fixtures.py, in float32. What separates the two is int8: weights and activations are rounded in
// groups of 32.

type fixtureTurn struct{ Who, Text string }

type fixtureCase struct {
	Scene string
	Turns []fixtureTurn
	Blend []struct {
		Description string
		Weight      float64
	}
	Name        string
	Shown       [][2]string
	Reply       string
	IDs         []int
	Top         []int
	State       []float32
	Logits      []float32
	NullLogits  []float32 `json:"null_logits"`
	Logprob     float64
	P           [][]float32
	ReplyVector []float32 `json:"reply_vector"`
}

type tinyFixture struct {
	Cases   []fixtureCase
	Reading struct {
		Text                  string
		Response, Voice, Line []float32
	}
}

func readFixture(t testing.TB, name string, into any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func tinySource(t testing.TB) Source {
	t.Helper()
	base, err := os.ReadFile("testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	adapter, err := os.ReadFile("testdata/tiny-adapter.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return Source{Base: base, Adapter: adapter}
}

func tiny(t testing.TB) *Model {
	t.Helper()
	m, err := Load(tinySource(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// prepare reads a case's dialogue and personas.
func prepare(m *Model, c fixtureCase) (*Dialogue, []Share) {
	d := m.NewDialogue()
	if c.Scene != "" {
		m.Append(d, m.Tokens(Turn{Role: Scene, Text: c.Scene}))
	}
	for _, turn := range c.Turns {
		if turn.Who == "a" {
			m.Append(d, m.Tokens(Turn{Role: User, Text: turn.Text}))
		} else {
			m.Append(d, m.Tokens(Turn{Role: Assistant, Name: c.Name, Text: turn.Text}))
		}
	}
	var mix []Share
	for _, b := range c.Blend {
		mix = append(mix, Share{m.EncodePersona(b.Description), b.Weight})
	}
	return d, mix
}

func greedy() Sampling { return Sampling{TopP: 1, MaxTokens: 40} }

func oneSource() []*rand.Rand { return []*rand.Rand{rand.New(rand.NewPCG(1, 2))} }

// apart is the root mean square of the difference over that of want.
func apart(got, want []float32) float64 {
	d, n := 0.0, 0.0
	for i := range want {
		d += float64(got[i]-want[i]) * float64(got[i]-want[i])
		n += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(d / n)
}

// Every value of the forward pass is within 4 % (root mean square) of the twin's, and greedy text is the same.
func TestTinyEqualsTwin(t *testing.T) {
	t.Parallel()
	var f tinyFixture
	readFixture(t, "tiny.json.gz", &f)
	m := tiny(t)
	const tolerance = 0.04
	check := func(what string, got, want []float32) {
		t.Helper()
		if d := apart(got, want); !(d <= tolerance) {
			t.Errorf("%s is %.3f from the twin's", what, d)
		}
	}
	for _, c := range f.Cases {
		d, mix := prepare(m, c)
		shown := m.Demonstrate(c.Shown)
		dec := m.Begin(d, mix, c.Name, shown...)
		check("state", dec.State(), c.State)
		check("logits", dec.Logits(), c.Logits)
		check("reply vector", m.ReplyVector(dec.State()), c.ReplyVector)
		check("null logits", m.Begin(d, nil, c.Name, shown...).Logits(), c.NullLogits)
		if len(shown) > 0 {
			if without := m.Begin(d, mix, c.Name).Logits(); apart(without, c.Logits) < 0.04 {
				t.Error("demonstrations change nothing")
			}
		}
		for i, s := range mix {
			check("p", s.Persona.P, c.P[i])
		}
		if s := dec.Score([]string{c.Reply})[0]; s.Tokens != len(c.IDs)+1 || math.Abs(s.Sum-c.Logprob) > 0.03*float64(s.Tokens) {
			t.Errorf("log-likelihood %.3f of %d tokens, the twin's %.3f of %d", s.Sum, s.Tokens, c.Logprob, len(c.IDs)+1)
		}
		out, err := dec.Sample(context.Background(), greedy(), 1, oneSource())
		if err != nil || out[0].Text != c.Reply {
			t.Errorf("greedy %q %v, the twin's %q", out[0].Text, err, c.Reply)
		}
	}
	if long := m.Demonstrate([][2]string{{strings.Repeat("a long line ", 40), "Yes."}}); long[0] != nil {
		t.Error("an exchange longer than DemoMax was shown")
	}
	asst, user := m.Read([]string{f.Reading.Text}, Assistant)[0], m.Read([]string{f.Reading.Text}, User)[0]
	check("response", m.ResponseVector(asst), f.Reading.Response)
	check("voice", m.VoiceVector(asst), f.Reading.Voice)
	check("line", m.LineVector(user), f.Reading.Line)
}

// What is cached, batched or read in pieces is what is read at once, to the last bit.
func TestCachedEqualsUncached(t *testing.T) {
	t.Parallel()
	var f tinyFixture
	readFixture(t, "tiny.json.gz", &f)
	m := tiny(t)
	c := f.Cases[1]
	d, mix := prepare(m, c)
	dec := m.Begin(d, mix, c.Name)
	want := slices.Clone(dec.State())

	var all []int
	for _, turn := range append([]Turn{{Role: Scene, Text: c.Scene}}, turns(c)...) {
		all = append(all, m.Tokens(turn)...)
	}
	once := m.NewDialogue()
	m.Append(once, all)
	if got := m.Begin(once, mix, c.Name).State(); !slices.Equal(got, want) {
		t.Errorf("read at once: %.2g apart", apart(got, want))
	}
	m.Append(once, m.Tokens(Turn{Role: User, Text: "something else"}))
	once.Truncate(len(all))
	if got := m.Begin(once, mix, c.Name).State(); !slices.Equal(got, want) {
		t.Errorf("after truncation: %.2g apart", apart(got, want))
	}
	texts := []string{"Yes.", "I would not say so, no.", "", "Yes."}
	together := dec.Score(texts)
	for i, text := range texts {
		if alone := dec.Score([]string{text})[0]; alone != together[i] {
			t.Errorf("%q scores %v alone and %v in a batch", text, alone, together[i])
		}
	}
	set := DefaultSampling()
	var many []*rand.Rand
	for i := range 5 {
		many = append(many, rand.New(rand.NewPCG(9, uint64(i))))
	}
	batch, err := dec.Sample(context.Background(), set, 1, many)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		alone, err := dec.Sample(context.Background(), set, 1, []*rand.Rand{rand.New(rand.NewPCG(9, uint64(i)))})
		if err != nil || alone[0].Text != batch[i].Text || alone[0].LogProb != batch[i].LogProb {
			t.Errorf("sample %d: %q in a batch, %q alone", i, batch[i].Text, alone[0].Text)
		}
	}
}

func turns(c fixtureCase) (out []Turn) {
	for _, x := range c.Turns {
		if x.Who == "a" {
			out = append(out, Turn{Role: User, Text: x.Text})
		} else {
			out = append(out, Turn{Role: Assistant, Name: c.Name, Text: x.Text})
		}
	}
	return out
}

// A weight of 0 is the absence of a persona; the order of a blend does not matter; between the ends, the blend moves steadily.
func TestBlendIsContinuous(t *testing.T) {
	t.Parallel()
	var f tinyFixture
	readFixture(t, "tiny.json.gz", &f)
	m := tiny(t)
	d, mix := prepare(m, f.Cases[1])
	a, b := mix[0].Persona, mix[1].Persona
	at := func(w float64) []float32 { return m.Begin(d, []Share{{a, w}, {b, 1 - w}}, "").Logits() }
	if alone := m.Begin(d, []Share{{b, 1}}, "").Logits(); !slices.Equal(at(0), alone) {
		t.Error("a weight of 0 leaves a trace")
	}
	if near := apart(at(1e-6), at(0)); near > 0.01 {
		t.Errorf("a weight of 1e-6 changes the logits by %.3f", near)
	}
	whole := apart(at(1), at(0))
	if whole < 0.02 {
		t.Fatalf("the personas are hardly told apart: %.4f", whole)
	}
	if d := apart(m.Begin(d, []Share{{b, 0.5}, {a, 0.5}}, "").Logits(), at(0.5)); d > 0.2*whole {
		t.Errorf("the order of the blend changes the logits by %.3f", d)
	}
	for w := 0.0; w < 1; w += 0.1 {
		if step := apart(at(min(1, w+0.1)), at(w)); step > 0.8*whole {
			t.Errorf("from %.1f the blend jumps by %.3f of %.3f", w, step, whole)
		}
	}
}

func TestGuidance(t *testing.T) {
	t.Parallel()
	var f tinyFixture
	readFixture(t, "tiny.json.gz", &f)
	m := tiny(t)
	c := f.Cases[0]
	d, mix := prepare(m, c)
	text := func(strength float64, mix []Share) string {
		out, err := m.Begin(d, mix, c.Name).Sample(context.Background(), greedy(), strength, oneSource())
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Text
	}
	if got, want := text(0, mix), text(1, nil); got != want {
		t.Errorf("strength 0 says %q, the null persona %q", got, want)
	}
	if text(0, mix) == text(1, mix) && text(1, mix) == text(3, mix) {
		t.Error("strength changes nothing")
	}
}

func TestSampleStops(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Begin(m.NewDialogue(), nil, "").Sample(ctx, DefaultSampling(), 1, oneSource()); err == nil {
		t.Error("a cancelled context gave a reply")
	}
	out, err := m.Begin(m.NewDialogue(), nil, "").Sample(context.Background(), Sampling{TopP: 1, MaxTokens: 3}, 1, oneSource())
	if err != nil || out[0].Tokens > 3 {
		t.Errorf("%v %v", out, err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	src := tinySource(t)
	other := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		change func(*Source)
		want   string
	}{
		"no base":         {func(s *Source) { s.Base = nil }, "cut short"},
		"base cut short":  {func(s *Source) { s.Base = s.Base[:len(s.Base)/2] }, "fetch"},
		"named base":      {func(s *Source) { s.Base, s.Name = s.Base[:len(s.Base)/2], "some/where.gguf" }, `model "some/where.gguf": tensor`},
		"base changed":    {func(s *Source) { s.Base = slices.Clone(s.Base); s.Base[len(s.Base)-1] ^= 1 }, "another base"},
		"adapter damaged": {func(s *Source) { s.Adapter = s.Adapter[:100] }, "damaged"},
		"adapter no file": {func(s *Source) { s.Adapter = []byte("hello there, adapter") }, "damaged"},
		"other base":      {func(s *Source) { s.BaseHash = other }, "another base"},
	} {
		s := src
		c.change(&s)
		if _, err := Load(s); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The cache gives the same model; a damaged cache is made again.
func TestCache(t *testing.T) {
	t.Parallel()
	src := tinySource(t)
	src.CacheDir = t.TempDir()
	want := tiny(t)
	file, err := cachedFile(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b },
		func(b []byte) []byte { b[len(b)-9] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-4] },
		func(b []byte) []byte { return nil },
	} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, damage(slices.Clone(raw)), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Load(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Begin(m.NewDialogue(), nil, "x").Logits(); !slices.Equal(got, want.Begin(want.NewDialogue(), nil, "x").Logits()) {
			t.Error("the cached model differs")
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// cachedFile fills the cache and waits for it.
func cachedFile(src Source) (string, error) {
	m, err := Load(src)
	if err != nil {
		return "", err
	}
	path := filepath.Join(src.CacheDir, "weights-"+m.Hash()+".bin")
	buf, err := anonymous(packedSize(m))
	if err != nil {
		return "", err
	}
	file, err := gguf.Parse(src.Base)
	if err != nil {
		return "", err
	}
	c := m.Config()
	ad, err := readAdapter(src.Adapter, &c, sum(src.Base))
	if err != nil {
		return "", err
	}
	if err := packAll(buf, c, true, true, file, ad); err != nil {
		return "", err
	}
	writeCache(src.CacheDir, path, buf)
	return path, nil
}

func packedSize(m *Model) int {
	_, n := layout(m.Config(), true, true)
	return n
}

func BenchmarkTinyReply(b *testing.B) {
	m := tiny(b)
	d := m.NewDialogue()
	m.Append(d, m.Tokens(Turn{Role: User, Text: "hello, who are you?"}))
	p := m.EncodePersona("a quiet gardener")
	for b.Loop() {
		if _, err := m.Begin(d, []Share{{p, 1}}, "").Sample(context.Background(), DefaultSampling(), 1, oneSource()); err != nil {
			b.Fatal(err)
		}
	}
}
