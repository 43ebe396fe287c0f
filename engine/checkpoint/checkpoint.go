// Package checkpoint reads and writes safetensors files: named float tensors with a header of JSON. It knows shapes and bytes,
// nothing of what the tensors are for, and trusts no file. Format: https://github.com/huggingface/safetensors.
package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/personaweave/personaweave/engine/checkpoint/half"
)

const mostHeader = 16 << 20

// File is a safetensors file in memory.
type File struct {
	Meta    map[string]string
	tensors map[string]Tensor
}

// Tensor is an array of floats as a file keeps it.
type Tensor struct {
	DType string // F32, F16 or BF16
	Shape []int
	data  []byte
}

// Len is the number of values.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Floats returns the values, row-major.
func (t Tensor) Floats() []float32 {
	out := make([]float32, t.Len())
	switch t.DType {
	case "F32":
		half.DecodeF32(out, t.data)
	case "F16":
		half.DecodeF16(out, t.data)
	case "BF16":
		half.DecodeBF16(out, t.data)
	}
	return out
}

var widths = map[string]int{"F32": 4, "F16": 2, "BF16": 2}

// Open reads a file.
func Open(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Parse reads a file in memory, which must not change while it is in use.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, errors.New("not a safetensors file: too short")
	}
	n := binary.LittleEndian.Uint64(data)
	if n > mostHeader || n > uint64(len(data)-8) {
		return nil, errors.New("not a safetensors file, or cut short: its header does not fit")
	}
	header, body := data[8:8+n], data[8+n:]
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(header, &raw); err != nil {
		return nil, fmt.Errorf("not a safetensors file: its header is no JSON (%v)", err)
	}
	f := &File{Meta: map[string]string{}, tensors: map[string]Tensor{}}
	for name, r := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(r, &f.Meta); err != nil {
				return nil, fmt.Errorf("damaged metadata: %v", err)
			}
			continue
		}
		var t struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets []uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(r, &t); err != nil {
			return nil, fmt.Errorf("damaged tensor %q: %v", name, err)
		}
		width, ok := widths[t.DType]
		if !ok {
			return nil, fmt.Errorf("tensor %q is of the type %q; F32, F16 and BF16 are known", name, t.DType)
		}
		size := uint64(width)
		for _, d := range t.Shape {
			if d < 1 || uint64(d) > uint64(len(body)) || size > uint64(len(body)) {
				return nil, fmt.Errorf("tensor %q has the shape %v, more than the file holds", name, t.Shape)
			}
			size *= uint64(d)
		}
		if len(t.Offsets) != 2 || t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(len(body)) || t.Offsets[1]-t.Offsets[0] != size {
			return nil, fmt.Errorf("tensor %q lies outside the file, or the file is cut short", name)
		}
		f.tensors[name] = Tensor{t.DType, t.Shape, body[t.Offsets[0]:t.Offsets[1]]}
	}
	return f, nil
}

// Names lists the tensors in order.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.tensors))
	for n := range f.tensors {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Has tells whether a tensor is there.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Floats returns a tensor's values if it has this shape.
func (f *File) Floats(name string, shape ...int) ([]float32, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fmt.Errorf("there is no tensor %q", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return nil, fmt.Errorf("tensor %q has the shape %v, not %v", name, t.Shape, shape)
	}
	return t.Floats(), nil
}

// Named is a tensor to be written.
type Named struct {
	Name  string
	Shape []int
	Data  []float32
}

// Write writes tensors in float32, in order.
func Write(w io.Writer, meta map[string]string, tensors []Named) error {
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, at := map[string]any{"__metadata__": meta}, 0
	for _, t := range tensors {
		if n := (Tensor{Shape: t.Shape}).Len(); n != len(t.Data) {
			return fmt.Errorf("tensor %q: %d values of the shape %v", t.Name, len(t.Data), t.Shape)
		}
		if _, twice := header[t.Name]; twice {
			return fmt.Errorf("tensor %q is there twice", t.Name)
		}
		header[t.Name] = entry{"F32", t.Shape, [2]int{at, at + 4*len(t.Data)}}
		at += 4 * len(t.Data)
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	head = append(head, bytes.Repeat([]byte(" "), (8-len(head)%8)%8)...)
	if err := binary.Write(w, binary.LittleEndian, uint64(len(head))); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<16)
	for _, t := range tensors {
		for i := 0; i < len(t.Data); {
			buf = buf[:0]
			for ; i < len(t.Data) && len(buf) < 1<<16-4; i++ {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(t.Data[i]))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// Save writes a file so that it is either whole or, after any failure, as it was before.
func Save(path string, meta map[string]string, tensors []Named) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if err = Write(tmp, meta, tensors); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
