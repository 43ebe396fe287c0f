// Package gguf reads GGUF files (versions 2 and 3, little-endian): metadata, and tensors by name, dequantised to float32 for
// F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K. It validates before it believes: a file that is cut
// short, padded, of another kind or hostile is an [Error] of one line, never a panic nor more memory than the file's own size
// warrants. It knows the shape of Llama-like models, but nothing of how they compute.
//
// Source: the GGUF specification, ggml/docs/gguf.md.
package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"
	"strings"
)

// Error tells why a file cannot be used.
type Error struct {
	File string // path, or a name for data in memory
	What string // what is wrong with it
	Do   string // what to do next
}

// Error returns one line.
func (e *Error) Error() string { return fmt.Sprintf("model %s: %s; %s", e.File, e.What, e.Do) }

// What a reader can do about a bad file.
const (
	doFetch = "it is cut short or damaged: fetch it again"
	doOther = "use a GGUF file (version 2 or 3) of a Llama-shaped model, for instance SmolLM2 as Q4_1, Q8_0 or Q4_K_M"
)

// Limits beyond which counts are not believed. The largest models have some two thousand tensors.
const (
	maxCount = 1 << 16 // metadata entries, tensors
	maxDims  = 4
	maxName  = 1 << 16 // bytes of a key or tensor name
	maxAlign = 1 << 20
)

// File is an open GGUF file. It is immutable and safe for concurrent use until Close.
type File struct {
	name    string
	version uint32
	align   int
	meta    map[string]value
	keys    []string
	tensors []Tensor
	byName  map[string]int
	unmap   func() error
}

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int  // outermost dimension first, as in row-major arrays: a linear layer is [out, in]
	Data  []byte // the stored bytes, a read-only view into the file, valid until Close
}

// Cols is the length of a row, the innermost dimension.
func (t *Tensor) Cols() int { return t.Shape[len(t.Shape)-1] }

// Rows is the number of rows: the product of all dimensions but the innermost.
func (t *Tensor) Rows() int { return t.Len() / t.Cols() }

// Len is the number of values.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Open maps a file read-only and parses it. The error names the file and what to do; it is an *Error or wraps that of the
// operating system. Close the file after the last use of its tensors.
func Open(path string) (*File, error) {
	data, unmap, err := open(path)
	if err != nil {
		return nil, err
	}
	file, err := parse(fmt.Sprintf("%q", path), data)
	if err != nil {
		return nil, errors.Join(err, unmap())
	}
	file.unmap = unmap
	return file, nil
}

// Map maps a file read-only for the life of the program. Errors are as Open's.
func Map(path string) ([]byte, error) {
	data, _, err := open(path)
	return data, err
}

// open maps a file and returns how to let go of it.
func open(path string) ([]byte, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("model %q: %w; check the path", path, bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("model %q: %w; check the path", path, bare(err))
	}
	name := fmt.Sprintf("%q", path)
	switch {
	case info.IsDir():
		return nil, nil, &Error{name, "is a folder", "name the GGUF file in it"}
	case !info.Mode().IsRegular():
		return nil, nil, &Error{name, "is not a regular file", doOther}
	case info.Size() == 0:
		return nil, nil, &Error{name, "is empty", doFetch}
	case info.Size() > math.MaxInt/2:
		return nil, nil, &Error{name, "is too large for this machine", "use a smaller model"}
	}
	data, unmap, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, nil, fmt.Errorf("model %q: %w; check that it can be read and that memory suffices", path, err)
	}
	return data, unmap, nil
}

// bare removes the path from an error of package os: our message names it already.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Parse parses a file that is in memory, without copying tensors. data must not change.
func Parse(data []byte) (*File, error) { return parse("in memory", data) }

// ParseAs is Parse for data of a file: messages call it by name.
func ParseAs(name string, data []byte) (*File, error) { return parse(fmt.Sprintf("%q", name), data) }

// Close lets go of the mapped file. Views of its tensors must not be used afterwards; metadata may.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	err := f.unmap()
	f.unmap = nil
	for i := range f.tensors {
		f.tensors[i].Data = nil
	}
	return err
}

// Name is the path in quotes, or a name for data in memory: for messages.
func (f *File) Name() string { return f.name }

// Version is the version of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Tensors returns all tensors in the file's order. They must not be changed.
func (f *File) Tensors() []Tensor { return f.tensors }

// Lookup returns a tensor by name.
func (f *File) Lookup(name string) (*Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return nil, false
	}
	return &f.tensors[i], true
}

// Tensor returns a tensor by name, or an *Error when there is none.
func (f *File) Tensor(name string) (*Tensor, error) {
	t, ok := f.Lookup(name)
	if !ok {
		return nil, &Error{f.name, fmt.Sprintf("has no tensor %q", name), doOther}
	}
	return t, nil
}

// cursor reads from data and remembers the first failure.
type cursor struct {
	data []byte
	off  int
	bad  bool // the data ended too soon
}

func (c *cursor) left() int { return len(c.data) - c.off }

// take returns the next n bytes, or nil when there are not as many.
func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(c.left()) {
		c.bad = true
		return nil
	}
	b := c.data[c.off : c.off+int(n) : c.off+int(n)]
	c.off += int(n)
	return b
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// str returns the next string's bytes.
func (c *cursor) str() []byte { return c.take(c.u64()) }

// parse reads everything but the tensors' bytes.
func parse(name string, data []byte) (*File, error) {
	fail := func(do, format string, args ...any) (*File, error) {
		return nil, &Error{name, fmt.Sprintf(format, args...), do}
	}
	c := &cursor{data: data}
	magic := c.take(4)
	switch {
	case c.bad:
		return fail(doFetch, "has only %d bytes", len(data))
	case strings.HasPrefix(string(data[:min(len(data), 64)]), "version https://git-lfs"):
		return fail("fetch the file itself (git lfs pull)", "is a Git LFS pointer, not the model")
	case string(magic) != "GGUF":
		return fail(doOther, "is not a GGUF file: it begins with %q", magic)
	}
	f := &File{name: name, version: c.u32(), align: 32}
	tensors, entries := c.u64(), c.u64()
	switch {
	case c.bad:
		return fail(doFetch, "ends inside its header")
	case f.version&0xffff == 0 && f.version != 0:
		return fail(doOther, "is a big-endian GGUF file, which cannot be read")
	case f.version != 2 && f.version != 3:
		return fail(doOther, "is GGUF version %d, which cannot be read", f.version)
	case entries > maxCount:
		return fail(doFetch, "claims %d metadata entries", entries)
	case tensors > maxCount:
		return fail(doFetch, "claims %d tensors", tensors)
	}
	if what := f.readMeta(c, int(entries)); what != "" {
		return fail(doFetch, "%s", what)
	}
	if f.Has("general.alignment") {
		a, err := f.Uint("general.alignment")
		if err != nil || a == 0 || a > maxAlign || bits.OnesCount64(a) != 1 {
			return fail(doFetch, "has an alignment that is not a power of two up to %d", maxAlign)
		}
		f.align = int(a)
	}
	offsets, err := f.readTensors(c, int(tensors))
	if err != nil {
		return nil, err
	}
	start := (c.off + f.align - 1) / f.align * f.align
	return f.place(data, start, offsets)
}

// readTensors reads the descriptions of tensors; it returns their offsets from the start of the tensor data.
func (f *File) readTensors(c *cursor, n int) ([]uint64, error) {
	cut := &Error{f.name, "ends inside its list of tensors", doFetch}
	const least = 8 + 4 + 8 + 4 + 8 // bytes of a description with an empty name and one dimension
	if n > c.left()/least {
		return nil, cut
	}
	f.tensors = make([]Tensor, 0, n)
	f.byName = make(map[string]int, n)
	offsets := make([]uint64, 0, n)
	for range n {
		label := c.str()
		dims := c.u32()
		if c.bad {
			return nil, cut
		}
		if len(label) > maxName {
			return nil, &Error{f.name, fmt.Sprintf("has a tensor whose name is %d bytes long", len(label)), doFetch}
		}
		t := Tensor{Name: string(label)}
		fail := func(do, format string, args ...any) error {
			return &Error{f.name, fmt.Sprintf("tensor %q ", t.Name) + fmt.Sprintf(format, args...), do}
		}
		if dims == 0 || dims > maxDims {
			return nil, fail(doFetch, "has %d dimensions", dims)
		}
		t.Shape = make([]int, dims)
		count := uint64(1)
		for i := range t.Shape {
			d := c.u64()
			over, product := bits.Mul64(count, d)
			if !c.bad && (d == 0 || over != 0 || product > math.MaxInt/8) {
				return nil, fail(doFetch, "has a dimension of %d", d)
			}
			count = product
			t.Shape[len(t.Shape)-1-i] = int(d)
		}
		t.Type = Type(c.u32())
		offsets = append(offsets, c.u64())
		if c.bad {
			return nil, cut
		}
		l, ok := layoutOf(t.Type)
		if !ok {
			return nil, fail(doOther, "is stored as %v, which cannot be read", t.Type)
		}
		if t.Cols()%l.values != 0 {
			return nil, fail(doFetch, "has rows of %d values, not whole blocks of %d (%v)", t.Cols(), l.values, t.Type)
		}
		if _, twice := f.byName[t.Name]; twice {
			return nil, fail(doFetch, "is there twice")
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return offsets, nil
}

// place gives the tensors their bytes: within the file, aligned, none overlapping another, nothing after the last.
func (f *File) place(data []byte, start int, offsets []uint64) (*File, error) {
	fail := func(t *Tensor, format string, args ...any) (*File, error) {
		return nil, &Error{f.name, fmt.Sprintf("tensor %q ", t.Name) + fmt.Sprintf(format, args...), doFetch}
	}
	room := uint64(max(len(data)-start, 0))
	order := make([]int, len(f.tensors))
	for i := range f.tensors {
		order[i] = i
		t := &f.tensors[i]
		l, _ := layoutOf(t.Type)
		over, size := bits.Mul64(uint64(t.Len()/l.values), uint64(l.bytes))
		switch off := offsets[i]; {
		case off%uint64(f.align) != 0:
			return fail(t, "is not aligned to %d bytes", f.align)
		case over != 0 || size > room || off > room-size:
			return fail(t, "reaches past the end of the file (%d bytes)", len(data))
		default:
			at := start + int(off)
			t.Data = data[at : at+int(size) : at+int(size)]
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(offsets[a], offsets[b]) })
	end, last := uint64(0), (*Tensor)(nil)
	for _, i := range order {
		t := &f.tensors[i]
		if offsets[i] < end {
			return fail(t, "overlaps tensor %q", last.Name)
		}
		end, last = offsets[i]+uint64(len(t.Data)), t
	}
	if room > end && room-end >= uint64(f.align) {
		return nil, &Error{f.name, fmt.Sprintf("has %d bytes after its last tensor", room-end), doFetch}
	}
	return f, nil
}
