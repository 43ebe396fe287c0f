package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// kind is the type of a metadata value, numbered as in the format.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// size returns the bytes of a value of fixed size, 0 for others.
func (k kind) size() uint64 {
	switch k {
	case kindU8, kindI8, kindBool:
		return 1
	case kindU16, kindI16:
		return 2
	case kindU32, kindI32, kindF32:
		return 4
	case kindU64, kindI64, kindF64:
		return 8
	}
	return 0
}

// value is one metadata value, still in the file's bytes (copied, so that it outlives Close).
type value struct {
	kind kind
	elem kind   // of an array
	n    int    // elements of an array
	raw  string // without length prefix for a string; with them for the elements of an array of strings
}

// readMeta reads n metadata entries; it returns what is wrong, or "".
func (f *File) readMeta(c *cursor, n int) string {
	const least = 8 + 4 + 1
	if n > c.left()/least {
		return "ends inside its metadata"
	}
	f.meta = make(map[string]value, n)
	f.keys = make([]string, 0, n)
	for range n {
		label := c.str()
		if len(label) > maxName {
			return fmt.Sprintf("has a metadata key of %d bytes", len(label))
		}
		key := string(label)
		v := value{kind: kind(c.u32())}
		switch {
		case c.bad:
			return "ends inside its metadata"
		case v.kind == kindString:
			v.raw = string(c.str())
		case v.kind == kindArray:
			if what := v.readArray(c); what != "" {
				return fmt.Sprintf("metadata %q %s", key, what)
			}
		case v.kind.size() == 0:
			return fmt.Sprintf("metadata %q has the unknown type %d", key, uint32(v.kind))
		default:
			v.raw = string(c.take(v.kind.size()))
		}
		if c.bad {
			return fmt.Sprintf("ends inside its metadata, at %q", key)
		}
		if _, twice := f.meta[key]; twice {
			return fmt.Sprintf("metadata %q is there twice", key)
		}
		f.meta[key] = v
		f.keys = append(f.keys, key)
	}
	return ""
}

// readArray reads an array's elements; it returns what is wrong, or "". The cursor tells when the data ended too soon.
func (v *value) readArray(c *cursor) string {
	v.elem = kind(c.u32())
	count := c.u64()
	if c.bad {
		return ""
	}
	size := v.elem.size()
	switch {
	case v.elem == kindArray:
		return "is an array of arrays"
	case v.elem == kindString:
		if count > uint64(c.left()/8) {
			c.bad = true
			return ""
		}
		from := c.off
		for range count {
			if c.str(); c.bad {
				return ""
			}
		}
		v.raw = string(c.data[from:c.off])
	case size == 0:
		return fmt.Sprintf("is an array of the unknown type %d", uint32(v.elem))
	default:
		if count > uint64(c.left())/size {
			c.bad = true
			return ""
		}
		v.raw = string(c.take(count * size))
	}
	v.n = int(count)
	return ""
}

// Keys returns the metadata's keys in the file's order. They must not be changed.
func (f *File) Keys() []string { return f.keys }

// Has tells whether there is a metadata entry.
func (f *File) Has(key string) bool {
	_, ok := f.meta[key]
	return ok
}

func (f *File) missing(key string) error {
	return &Error{f.name, fmt.Sprintf("has no metadata %q", key), doOther}
}

func (f *File) mistyped(key, want string) error {
	return &Error{f.name, fmt.Sprintf("metadata %q is not %s", key, want), doOther}
}

// Text returns a string, or an *Error where there is none by this key.
func (f *File) Text(key string) (string, error) {
	v, ok := f.meta[key]
	switch {
	case !ok:
		return "", f.missing(key)
	case v.kind != kindString:
		return "", f.mistyped(key, "a string")
	}
	return v.raw, nil
}

// Bool returns a truth value, or an *Error where there is none by this key.
func (f *File) Bool(key string) (bool, error) {
	v, ok := f.meta[key]
	switch {
	case !ok:
		return false, f.missing(key)
	case v.kind != kindBool:
		return false, f.mistyped(key, "a truth value")
	}
	return v.raw[0] != 0, nil
}

// Uint returns a non-negative integer of any width, or an *Error where there is none by this key.
func (f *File) Uint(key string) (uint64, error) {
	v, ok := f.meta[key]
	if !ok {
		return 0, f.missing(key)
	}
	i, ok := integer(v.kind, v.raw)
	if !ok || i < 0 && v.kind != kindU64 {
		return 0, f.mistyped(key, "a non-negative integer")
	}
	return uint64(i), nil
}

// Float returns a number, or an *Error where there is none by this key.
func (f *File) Float(key string) (float64, error) {
	v, ok := f.meta[key]
	if !ok {
		return 0, f.missing(key)
	}
	switch v.kind {
	case kindF32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32([]byte(v.raw)))), nil
	case kindF64:
		return math.Float64frombits(binary.LittleEndian.Uint64([]byte(v.raw))), nil
	case kindU64:
		return float64(binary.LittleEndian.Uint64([]byte(v.raw))), nil
	}
	i, ok := integer(v.kind, v.raw)
	if !ok {
		return 0, f.mistyped(key, "a number")
	}
	return float64(i), nil
}

// Strings returns an array of strings, or an *Error where there is none by this key. The strings share one allocation.
func (f *File) Strings(key string) ([]string, error) {
	v, ok := f.meta[key]
	switch {
	case !ok:
		return nil, f.missing(key)
	case v.kind != kindArray || v.elem != kindString:
		return nil, f.mistyped(key, "a list of strings")
	}
	list := make([]string, v.n)
	rest := v.raw
	for i := range list {
		n := 8 + int(binary.LittleEndian.Uint64([]byte(rest[:8])))
		list[i], rest = rest[8:n], rest[n:]
	}
	return list, nil
}

// Ints returns an array of integers of any width, or an *Error where there is none by this key.
func (f *File) Ints(key string) ([]int, error) {
	v, ok := f.meta[key]
	if !ok {
		return nil, f.missing(key)
	}
	if _, ok := integer(v.elem, v.raw+"\x00\x00\x00\x00\x00\x00\x00\x00"); v.kind != kindArray || !ok {
		return nil, f.mistyped(key, "a list of integers")
	}
	list := make([]int, v.n)
	size := int(v.elem.size())
	for i := range list {
		n, _ := integer(v.elem, v.raw[i*size:])
		list[i] = int(n)
	}
	return list, nil
}

// integer reads one integer from the start of raw; false when the kind is none.
func integer(k kind, raw string) (int64, bool) {
	var b [8]byte
	copy(b[:], raw)
	switch k {
	case kindU8:
		return int64(b[0]), true
	case kindI8:
		return int64(int8(b[0])), true
	case kindU16:
		return int64(binary.LittleEndian.Uint16(b[:])), true
	case kindI16:
		return int64(int16(binary.LittleEndian.Uint16(b[:]))), true
	case kindU32:
		return int64(binary.LittleEndian.Uint32(b[:])), true
	case kindI32:
		return int64(int32(binary.LittleEndian.Uint32(b[:]))), true
	case kindU64, kindI64:
		return int64(binary.LittleEndian.Uint64(b[:])), true
	}
	return 0, false
}
