package gguf

import "fmt"

// Type is the storage type of a tensor, numbered as in ggml.
type Type uint32

// The types that can be dequantised.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// layout tells how a type stores a row: in blocks of so many values, each of so many bytes.
type layout struct {
	name   string
	values int
	bytes  int
	decode func(dst []float32, src []byte)
}

// layoutOf returns the layout of a type that can be dequantised.
func layoutOf(t Type) (layout, bool) {
	switch t {
	case F32:
		return layout{"F32", 1, 4, decodeF32}, true
	case F16:
		return layout{"F16", 1, 2, decodeF16}, true
	case BF16:
		return layout{"BF16", 1, 2, decodeBF16}, true
	case Q4_0:
		return layout{"Q4_0", 32, 18, decodeQ4_0}, true
	case Q4_1:
		return layout{"Q4_1", 32, 20, decodeQ4_1}, true
	case Q5_0:
		return layout{"Q5_0", 32, 22, decodeQ5_0}, true
	case Q5_1:
		return layout{"Q5_1", 32, 24, decodeQ5_1}, true
	case Q8_0:
		return layout{"Q8_0", 32, 34, decodeQ8_0}, true
	case Q4_K:
		return layout{"Q4_K", 256, 144, decodeQ4_K}, true
	case Q5_K:
		return layout{"Q5_K", 256, 176, decodeQ5_K}, true
	case Q6_K:
		return layout{"Q6_K", 256, 210, decodeQ6_K}, true
	}
	return layout{}, false
}

// String returns the type's name as ggml writes it.
func (t Type) String() string {
	if l, ok := layoutOf(t); ok {
		return l.name
	}
	// Types that other programs know; named so that a message can say what a file holds.
	names := map[Type]string{
		9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
		21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
		35: "TQ2_0", 39: "MXFP4",
	}
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block returns how many values a block of the type holds and in how many bytes; zeros for a type that cannot be dequantised.
func (t Type) Block() (values, bytes int) {
	l, _ := layoutOf(t)
	return l.values, l.bytes
}
