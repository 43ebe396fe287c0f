package persona

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/personaweave/personaweave/engine"
)

// Vectors are the vectors of example lines under one model, by what was said and answered: response, voice and line, Width wide
// each, kept in int8.
type Vectors struct {
	Model string // hash of the weights
	of    map[uint64][3 * Width]int8
}

const vectorsMagic = "weave-vectors-1\n"

// keyOf names an exchange.
func keyOf(e engine.Example) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.You + "\x00" + e.Says))
	return h.Sum64()
}

// NewVectors keeps the vectors of examples.
func NewVectors(model string, examples []engine.StoredExample) *Vectors {
	v := &Vectors{Model: model, of: make(map[uint64][3 * Width]int8, len(examples))}
	for _, e := range examples {
		var q [3 * Width]int8
		for i, part := range [][]float32{e.Response, e.Voice, e.Line} {
			top := float32(1e-9)
			for _, x := range part {
				top = max(top, x, -x)
			}
			for j, x := range part {
				q[i*Width+j] = int8(math.Round(float64(x / top * 127)))
			}
		}
		v.of[keyOf(e.Example)] = q
	}
	return v
}

// Find returns an example with its vectors, of unit length, if they are there.
func (v *Vectors) Find(e engine.Example) (engine.StoredExample, bool) {
	q, ok := v.of[keyOf(e)]
	if !ok {
		return engine.StoredExample{}, false
	}
	part := func(i int) []float32 {
		out := make([]float32, Width)
		for j := range out {
			out[j] = float32(q[i*Width+j])
		}
		return normalise(out)
	}
	return engine.StoredExample{Example: e, Response: part(0), Voice: part(1), Line: part(2)}, true
}

// Write writes the vectors; ReadVectors reads them.
func (v *Vectors) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	if _, err := fmt.Fprintf(z, "%s%-16.16s", vectorsMagic, v.Model); err != nil {
		return err
	}
	if err := binary.Write(z, binary.LittleEndian, uint32(len(v.of))); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(v.of)) {
		if err := binary.Write(z, binary.LittleEndian, k); err != nil {
			return err
		}
		if err := binary.Write(z, binary.LittleEndian, v.of[k]); err != nil {
			return err
		}
	}
	return z.Close()
}

// ReadVectors reads what Write wrote.
func ReadVectors(data []byte) (*Vectors, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the shipped vectors are damaged: %w", err)
	}
	head := make([]byte, len(vectorsMagic)+16+4)
	if _, err := io.ReadFull(z, head); err != nil || string(head[:len(vectorsMagic)]) != vectorsMagic {
		return nil, fmt.Errorf("the shipped vectors are damaged: no header")
	}
	n := binary.LittleEndian.Uint32(head[len(vectorsMagic)+16:])
	v := &Vectors{Model: string(bytes.TrimRight(head[len(vectorsMagic):len(vectorsMagic)+16], " ")), of: map[uint64][3 * Width]int8{}}
	row := make([]byte, 8+3*Width)
	for range n {
		if _, err := io.ReadFull(z, row); err != nil {
			return nil, fmt.Errorf("the shipped vectors are cut short: %w", err)
		}
		var q [3 * Width]int8
		for j := range q {
			q[j] = int8(row[8+j])
		}
		v.of[binary.LittleEndian.Uint64(row)] = q
	}
	return v, nil
}

// Shelf is the examples of a library with their vectors, made ready while the library is on screen. It is an engine.Retriever
// that waits until they are.
type Shelf struct {
	ready chan struct{}
	index *Index
	err   error
}

// NewShelf fills a shelf with what fill returns, in the background.
func NewShelf(fill func() ([]engine.StoredExample, error)) *Shelf {
	s := &Shelf{ready: make(chan struct{}), index: NewIndex(nil)}
	go func() {
		defer close(s.ready)
		examples, err := fill()
		if err != nil {
			s.err = err
			return
		}
		s.index = NewIndex(examples)
	}()
	return s
}

// Index waits for the examples.
func (s *Shelf) Index(ctx context.Context) (*Index, error) {
	select {
	case <-s.ready:
		return s.index, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Ready waits until examples can be found.
func (s *Shelf) Ready(ctx context.Context) error {
	_, err := s.Index(ctx)
	return err
}

// Retrieve finds examples; see Index.Retrieve.
func (s *Shelf) Retrieve(ctx context.Context, q engine.Query, m int) ([]engine.Found, error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, err
	}
	return x.Retrieve(ctx, q, m)
}

// Demonstrate finds exchanges to show; see Index.Demonstrate.
func (s *Shelf) Demonstrate(ctx context.Context, q engine.Query, m int) ([]engine.Exchange, error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, err
	}
	return x.Demonstrate(ctx, q, m)
}

// Nearest finds the nearest example of some personas; see Index.Nearest.
func (s *Shelf) Nearest(response []float32, personas map[string]float64, not string) (engine.Found, bool) {
	<-s.ready
	return s.index.Nearest(response, personas, not)
}

// Voices returns the centre of a persona's lines; see Index.Voices.
func (s *Shelf) Voices(persona string) ([]float32, int) {
	<-s.ready
	return s.index.Voices(persona)
}

// Fill gives every example of the library its vectors under the mind's model: those that the store has, else the shipped ones,
// else read anew. What was new is stored where it can be, for the next start. progress, where not nil, is told how many of how
// many are still to be read.
func Fill(ctx context.Context, m *Mind, store engine.ExampleStore, shipped *Vectors, examples []engine.Example, progress func(done, of int)) ([]engine.StoredExample, error) {
	if err := m.Ready(ctx); err != nil {
		return nil, err
	}
	model := m.Model()
	stored, err := store.Examples(ctx, model)
	if err != nil {
		return nil, err
	}
	var kept []engine.StoredExample
	have := make(map[uint64]*engine.StoredExample, len(stored))
	same := 0
	for i := range stored {
		if stored[i].Origin == engine.FromPlayer {
			kept = append(kept, stored[i])
			continue
		}
		have[keyOf(stored[i].Example)] = &stored[i]
		same++
	}
	out := make([]engine.StoredExample, 0, len(examples)+len(kept))
	var missing []int
	for _, e := range examples {
		if s, ok := have[keyOf(e)]; ok {
			out = append(out, engine.StoredExample{ID: s.ID, Example: e, Response: s.Response, Voice: s.Voice, Line: s.Line})
			if s.Example != e {
				same = -1
			}
			continue
		}
		same = -1
		if shipped != nil && shipped.Model == model {
			if s, ok := shipped.Find(e); ok {
				out = append(out, s)
				continue
			}
		}
		missing = append(missing, len(out))
		out = append(out, engine.StoredExample{Example: e})
	}
	const batch = 32
	for at := 0; at < len(missing); at += batch {
		some := missing[at:min(at+batch, len(missing))]
		says, you := make([]string, len(some)), make([]string, len(some))
		for i, k := range some {
			says[i], you[i] = out[k].Says, out[k].You
		}
		r, err := m.Readings(ctx, says, false)
		if err != nil {
			return nil, err
		}
		l, err := m.Readings(ctx, you, true)
		if err != nil {
			return nil, err
		}
		for i, k := range some {
			out[k].Response, out[k].Voice, out[k].Line = r[i].Response, r[i].Voice, l[i].Line
		}
		if progress != nil {
			progress(at+len(some), len(missing))
		}
	}
	if same != len(examples) {
		_ = store.ReplaceExamples(ctx, model, out)
	}
	return append(out, kept...), nil
}
