// Package half converts between float32 and the 16-bit floats that weights are stored in: IEEE 754 binary16 (F16) and
// bfloat16 (BF16). Files hold both little-endian. It knows bits, not files or tensors.
package half

import (
	"encoding/binary"
	"math"
)

// FromF16 returns the value of a binary16. The conversion is exact; subnormals, infinities and NaNs included.
func FromF16(h uint16) float32 {
	bits := uint32(h&0x7fff) << 13
	if h&0x7c00 == 0x7c00 {
		return math.Float32frombits(uint32(h&0x8000)<<16 | 0x7f800000 | bits)
	}
	// The exponent is 112 too small; a multiplication puts it right, also for subnormals.
	f := math.Float32frombits(bits) * 0x1p112
	return math.Float32frombits(math.Float32bits(f) | uint32(h&0x8000)<<16)
}

// ToF16 returns the nearest binary16, ties to even. What is too large becomes an infinity; a NaN stays a NaN.
func ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000:
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= 0x477ff000: // 65520, halfway between the largest and what would come next
		return sign | 0x7c00
	case bits < 0x38800000: // below 2^-14: adding 0.5 leaves the multiple of 2^-24, rounded, in the low bits
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-112<<23)>>13)
}

// FromBF16 returns the value of a bfloat16. The conversion is exact.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 returns the nearest bfloat16, ties to even; a NaN stays a NaN.
func ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// DecodeF16 fills dst with the little-endian binary16 values of src; src holds 2·len(dst) bytes or more.
func DecodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = FromF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// DecodeBF16 fills dst with the little-endian bfloat16 values of src; src holds 2·len(dst) bytes or more.
func DecodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// DecodeF32 fills dst with the little-endian float32 values of src; src holds 4·len(dst) bytes or more.
func DecodeF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}
