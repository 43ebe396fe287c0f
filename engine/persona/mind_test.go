package persona

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/seq2seq"
)

// The mind is tested over the tiny model of package seq2seq's fixtures: the same code as the shipped one.
func mind(t testing.TB) *Mind {
	t.Helper()
	return NewMind(func() (*seq2seq.Model, error) {
		dir := filepath.Join("..", "seq2seq", "testdata")
		base, err := os.ReadFile(filepath.Join(dir, "tiny.gguf"))
		if err != nil {
			return nil, err
		}
		adapter, err := os.ReadFile(filepath.Join(dir, "tiny-adapter.safetensors"))
		if err != nil {
			return nil, err
		}
		return seq2seq.Load(seq2seq.Source{Base: base, Adapter: adapter})
	})
}

func talk(turns int) engine.Prompt {
	p := engine.Prompt{Scene: "A quiet room.", Name: "Wren", Strength: 1, Blend: []engine.Weighted{{ID: "wren", Description: "A dry librarian.", Weight: 0.7}, {ID: "hale", Description: "A loud captain.", Weight: 0.3}}}
	for i := range turns {
		p.Turns = append(p.Turns, engine.Spoken{Player: i%2 == 0, Text: fmt.Sprintf("this is line %d of the talk", i), Name: "Wren"})
	}
	if turns%2 == 0 {
		p.Turns = append(p.Turns, engine.Spoken{Player: true, Text: "and now?"})
	}
	return p
}

// What the mind remembers of earlier turns changes nothing: the same prompt and seed give the same drafts, to the bit.
func TestMemoryChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fresh := func(p engine.Prompt) []engine.Draft {
		d, err := mind(t).Draft(ctx, p, 3, 7)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m := mind(t)
	shorter, longer, other := talk(5), talk(9), talk(9)
	other.Turns = slices.Clone(other.Turns)
	other.Turns[2].Text = "something else was said"
	showing := talk(5)
	showing.Shown = []engine.Exchange{{You: "and now?", Says: "Now we wait."}, {You: "where are we", Says: "In the dry end."}}
	for i, p := range []engine.Prompt{shorter, longer, showing, other, longer, showing, shorter} {
		if err := m.Tidy(ctx, p); err != nil {
			t.Fatal(err)
		}
		got, err := m.Draft(ctx, p, 3, 7)
		if err != nil || len(got) == 0 {
			t.Fatal(got, err)
		}
		if want := fresh(p); !slices.Equal(got, want) {
			t.Errorf("prompt %d: %v after other talk, %v anew", i, got, want)
		}
	}
	p := talk(5)
	p.Blend[0].Weight, p.Blend[1].Weight = 0.2, 0.8
	a, err := m.Read(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Read(ctx, talk(5))
	if err != nil || slices.Equal(a, b) {
		t.Error("the blend changes nothing", err)
	}
	if c, err := m.Read(ctx, showing); err != nil || slices.Equal(b, c) {
		t.Error("what is shown changes nothing", err)
	}
}

// However long the talk, what is read of it stays within the window, and a turn reads little that is new.
func TestWindow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := mind(t)
	if _, err := m.Read(ctx, talk(1)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{41, 401, 2001} {
		p := talk(n)
		if err := m.Tidy(ctx, p); err != nil {
			t.Fatal(err)
		}
		before := m.dialogue.Len()
		if before > Window+Chunk {
			t.Errorf("%d turns: %d tokens are read", n, before)
		}
		p.Turns = append(p.Turns, engine.Spoken{Player: true, Text: "one more line"})
		if _, err := m.Read(ctx, p); err != nil {
			t.Fatal(err)
		}
		if grown := m.dialogue.Len() - before; grown < 1 || grown > 40 {
			t.Errorf("%d turns: a line of the player's had %d tokens read", n, grown)
		}
		if m.read[0].turn.Role != seq2seq.Scene {
			t.Error("the scene left the window")
		}
	}
}

func TestScoreAndReadings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := mind(t)
	s, err := m.Score(ctx, talk(3), []string{"I knew.", "I knew.", "zzq vvx"})
	if err != nil || len(s) != 3 || s[0] != s[1] || s[0] <= s[2] {
		t.Errorf("scores %v %v", s, err)
	}
	r, err := m.Readings(ctx, []string{"I knew.", "Who is there?"}, false)
	if err != nil || len(r) != 2 || len(r[0].Response) != Width || len(r[0].Voice) != Width || slices.Equal(r[0].Voice, r[1].Voice) {
		t.Error("readings", err)
	}
	v, err := m.PersonaVector(ctx, "A dry librarian.")
	if err != nil || len(v) != Width {
		t.Error(err)
	}
}

func TestModelThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	m := NewMind(func() (*seq2seq.Model, error) { return nil, errors.New("no weights; build again") })
	if _, err := m.Draft(context.Background(), talk(1), 1, 1); err == nil || m.Model() != "" {
		t.Error(err)
	}
	slow := NewMind(func() (*seq2seq.Model, error) { time.Sleep(time.Minute); return nil, nil })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := slow.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A turn that is given up leaves the mind to the next.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	m := mind(t)
	if err := m.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() {
		for range 2 {
			if _, err := m.Draft(gone, talk(1), 1, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
			if _, err := m.Readings(gone, []string{"hello"}, true); !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		}
		_, err := m.Draft(t.Context(), talk(1), 1, 1)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the next turn waits for ever")
	}
}

// Of two models one speaks and the other reads.
func TestDuo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	untuned := func() *Mind {
		return NewMind(func() (*seq2seq.Model, error) {
			return seq2seq.LoadFile(filepath.Join("..", "seq2seq", "testdata", "tiny.gguf"), "")
		})
	}
	d, speaker, reader := Duo{untuned(), mind(t)}, untuned(), mind(t)
	if err := d.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := speaker.Draft(ctx, talk(1), 1, 1); err != nil {
		t.Fatal(err)
	}
	p, lines := talk(5), []string{"I knew.", "Who is there?"}
	if err := d.Tidy(ctx, p); err != nil {
		t.Fatal(err)
	}
	same := func(what string, got, want any, errs ...error) {
		t.Helper()
		if !reflect.DeepEqual(got, want) || errors.Join(errs...) != nil {
			t.Errorf("%s: %v, want %v; %v", what, got, want, errs)
		}
	}
	want, err1 := reader.Read(ctx, p)
	got, err2 := d.Read(ctx, p)
	same("what is wanted", got, want, err1, err2)
	drafts, err1 := speaker.Draft(ctx, p, 3, 7)
	made, err2 := d.Draft(ctx, p, 3, 7)
	same("drafts", made, drafts, err1, err2)
	scores, err1 := speaker.Score(ctx, p, lines)
	scored, err2 := d.Score(ctx, p, lines)
	same("scores", scored, scores, err1, err2)
	readings, err1 := reader.Readings(ctx, lines, false)
	read, err2 := d.Readings(ctx, lines, false)
	same("readings", read, readings, err1, err2)
	vector, err1 := reader.PersonaVector(ctx, "A dry librarian.")
	v, err2 := d.PersonaVector(ctx, "A dry librarian.")
	same("p", v, vector, err1, err2)

	mixing := Duo{untuned(), d.Reader}
	mixing.Speaker.Mixed = true
	if err := mixing.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if mixed, err := mixing.Score(ctx, p, lines); err != nil || slices.Equal(mixed, scores) {
		t.Errorf("mixed distributions score %v, attention %v; %v", mixed, scores, err)
	}
	names := []string{d.Model(), mixing.Model(), d.Speaker.Model(), d.Reader.Model(), Duo{d.Reader, d.Speaker}.Model()}
	slices.Sort(names)
	if len(slices.Compact(names)) != 5 {
		t.Errorf("what is made by different minds has the same name: %q", names)
	}
	broken := Duo{NewMind(func() (*seq2seq.Model, error) { return nil, errors.New("no weights; build again") }), d.Reader}
	if err := broken.Ready(ctx); err == nil || broken.Model() != "" {
		t.Errorf("%v, %q", err, broken.Model())
	}
}

// store keeps examples in memory.
// full is a store that keeps nothing.
type full struct{ *store }

func (full) ReplaceExamples(context.Context, string, []engine.StoredExample) error {
	return errors.New("no room")
}

// Vectors that cannot be stored serve this run all the same.
func TestFillWithoutRoom(t *testing.T) {
	t.Parallel()
	lines := []engine.Example{{Persona: "wren", You: "hi", Says: "Hello.", Origin: engine.FromPersona}}
	got, err := Fill(context.Background(), mind(t), full{&store{map[string][]engine.StoredExample{}}}, nil, lines, nil)
	if err != nil || len(got) != 1 || len(got[0].Voice) != Width {
		t.Error(got, err)
	}
}

// Waiting for examples ends with the context.
func TestShelfIsGivenUp(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := NewShelf(func() ([]engine.StoredExample, error) { <-never; return nil, nil })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	broken := NewShelf(func() ([]engine.StoredExample, error) { return nil, errors.New("no lines") })
	if err := broken.Ready(context.Background()); err == nil || err.Error() != "no lines" {
		t.Error(err)
	}
}

type store struct {
	kept map[string][]engine.StoredExample
}

func (s *store) Examples(_ context.Context, model string) ([]engine.StoredExample, error) {
	return s.kept[model], nil
}
func (s *store) ReplaceExamples(_ context.Context, model string, e []engine.StoredExample) error {
	s.kept[model] = e
	return nil
}
func (s *store) KeepExample(context.Context, string, engine.StoredExample) error { return nil }

func TestFillAndShippedVectors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, s := mind(t), &store{map[string][]engine.StoredExample{}}
	lines := []engine.Example{{Persona: "wren", You: "hi", Says: "Hello.", Origin: engine.FromPersona}, {Persona: "hale", You: "hi", Says: "Well?", Origin: engine.FromPersona}}
	read := 0
	got, err := Fill(ctx, m, s, nil, lines, func(done, of int) { read = of })
	if err != nil || len(got) != 2 || read != 2 || len(s.kept[m.Model()]) != 2 {
		t.Fatal(got, err, read)
	}
	read = 0
	if again, err := Fill(ctx, m, s, nil, lines, func(_, of int) { read = of }); err != nil || read != 0 || !slices.Equal(again[0].Voice, got[0].Voice) {
		t.Error("stored vectors were read anew", err)
	}
	var file bytes.Buffer
	if err := NewVectors(m.Model(), got).Write(&file); err != nil {
		t.Fatal(err)
	}
	v, err := ReadVectors(file.Bytes())
	if err != nil || v.Model != m.Model() {
		t.Fatal(v, err)
	}
	e, ok := v.Find(lines[1])
	if !ok {
		t.Fatal("a shipped vector is missing")
	}
	for i, x := range e.Response {
		if d := x - got[1].Response[i]; d > 0.01 || d < -0.01 {
			t.Fatalf("the shipped vector is %g off", d)
		}
	}
	if _, ok := v.Find(engine.Example{You: "x", Says: "y"}); ok {
		t.Error("found what is not there")
	}
	empty := &store{map[string][]engine.StoredExample{}}
	if _, err := Fill(ctx, m, empty, v, lines, func(_, of int) { read = of }); err != nil || read != 0 {
		t.Error("shipped vectors were not used", err)
	}
	for _, bad := range [][]byte{nil, []byte("junk"), file.Bytes()[:file.Len()/2]} {
		if _, err := ReadVectors(bad); err == nil || !strings.Contains(err.Error(), "shipped vectors") {
			t.Error(err)
		}
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	vec := func(i int) []float32 {
		v := make([]float32, Width)
		v[i] = 1
		return v
	}
	mk := func(p, you, says, place string, i int, borrow bool) engine.StoredExample {
		return engine.StoredExample{Example: engine.Example{Persona: p, You: you, Says: says, Place: place, Borrow: borrow}, Response: vec(i), Voice: vec(100 + len(p)), Line: vec(i)}
	}
	x := NewIndex([]engine.StoredExample{
		mk("wren", "who are you", "I keep the room.", "", 1, true), mk("wren", "what is in the cabinet", "Maps.", "story/room", 2, false),
		mk("wren", "where are we", "In the dry end.", "story/boat", 3, false), mk("hale", "who are you", "Hale!", "", 1, true),
	})
	ask := func(q engine.Query) (out []string) {
		f, err := x.Retrieve(context.Background(), q, 8)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range f {
			out = append(out, e.Says)
		}
		return out
	}
	wren := map[string]float64{"wren": 1}
	if got := ask(engine.Query{Want: vec(2), Text: "whats in the cabinet", Personas: wren, Place: "story/room"}); !slices.Equal(got, []string{"Maps.", "I keep the room."}) {
		t.Errorf("in the room: %q", got)
	}
	if got := ask(engine.Query{Want: vec(1), Text: "who are you", Personas: wren, Used: map[string]bool{engine.Fold("I keep the room."): true}}); len(got) != 0 {
		t.Errorf("a line was said twice, or out of its place: %q", got)
	}
	if got := ask(engine.Query{Want: vec(1), Personas: map[string]float64{"new": 1}, Borrow: true, Voice: vec(104)}); len(got) != 2 {
		t.Errorf("borrowed %q", got)
	}
	show := func(q engine.Query, m int) (out []string) {
		some, err := x.Demonstrate(context.Background(), q, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range some {
			out = append(out, e.Says)
		}
		return out
	}
	if got := show(engine.Query{Text: "who are you", Line: vec(1), Voice: vec(104)}, 2); !slices.Equal(got, []string{"I keep the room."}) {
		t.Errorf("shown %q, want no line of a word and none of a scene", got)
	}
	if got := show(engine.Query{Text: "where are we", Line: vec(3), Voice: vec(104), Place: "story/boat"}, 1); !slices.Equal(got, []string{"I keep the room."}) {
		t.Errorf("shown to another %q, want no line with facts in it", got)
	}
	if got := show(engine.Query{Text: "where are we", Line: vec(3), Voice: vec(104), Place: "story/boat", Personas: wren}, 1); !slices.Equal(got, []string{"In the dry end."}) {
		t.Errorf("shown in the boat %q", got)
	}
	if got := show(engine.Query{Text: "who are you", Line: vec(1), Used: map[string]bool{engine.Fold("I keep the room."): true}}, 2); len(got) != 0 {
		t.Errorf("shown though it was said: %q", got)
	}
	if n, ok := x.Nearest(vec(1), wren, "i keep the room."); !ok || n.Says == "I keep the room." {
		t.Errorf("nearest %v %v", n, ok)
	}
	if c, n := x.Voices("wren"); n != 3 || c[104] < 0.99 {
		t.Errorf("centre of %d", n)
	}
}

func BenchmarkRetrieve(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			examples := make([]engine.StoredExample, n)
			for i := range examples {
				v := make([]float32, Width)
				v[i%Width], v[(i*7)%Width] = 1, 0.5
				examples[i] = engine.StoredExample{Example: engine.Example{Persona: "p", You: fmt.Sprint("what about ", i%977), Says: fmt.Sprint("line ", i)}, Response: v, Voice: v, Line: v}
			}
			x := NewIndex(examples)
			q := engine.Query{Want: examples[5].Response, Line: examples[6].Line, Text: "what about 12", Personas: map[string]float64{"p": 1}}
			for b.Loop() {
				if _, err := x.Retrieve(context.Background(), q, 8); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
