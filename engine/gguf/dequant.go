package gguf

import (
	"encoding/binary"
	"fmt"

	"github.com/personaweave/personaweave/engine/checkpoint/half"
)

// Dequantize fills dst, [Rows·Cols], with the tensor's values in row-major order. dst must be exactly that long.
func (t *Tensor) Dequantize(dst []float32) error { return t.DequantizeRows(dst, 0, t.Rows()) }

// DequantizeRows fills dst, [(to−from)·Cols], with the rows from ≤ row < to. Calls for different rows may run at once.
func (t *Tensor) DequantizeRows(dst []float32, from, to int) error {
	cols := t.Cols()
	if from < 0 || to < from || to > t.Rows() {
		return fmt.Errorf("dequantise %q: rows %d to %d of %d", t.Name, from, to, t.Rows())
	}
	if len(dst) != (to-from)*cols {
		return fmt.Errorf("dequantise %q: %d values into a slice of %d", t.Name, (to-from)*cols, len(dst))
	}
	l, _ := layoutOf(t.Type)
	row := cols / l.values * l.bytes
	l.decode(dst, t.Data[from*row:to*row])
	return nil
}

// The decoders follow ggml's dequantize_row_* (ggml-quants.c). dst and src hold whole blocks, as many of the one as of the
// other. Products are rounded to float32 before they are added, on every machine, so that values are equal everywhere.

func decodeF32(dst []float32, src []byte)  { half.DecodeF32(dst, src) }
func decodeF16(dst []float32, src []byte)  { half.DecodeF16(dst, src) }
func decodeBF16(dst []float32, src []byte) { half.DecodeBF16(dst, src) }

func f16(b []byte) float32 { return half.FromF16(binary.LittleEndian.Uint16(b)) }

// Q4_0: d, 32 × 4 bits; x = d·(q − 8).
func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= 32 && len(src) >= 18; dst, src = dst[32:], src[18:] {
		d := f16(src)
		q := (*[16]byte)(src[2:18])
		lo, hi := (*[16]float32)(dst[:16]), (*[16]float32)(dst[16:32])
		for j, b := range q {
			lo[j] = d * float32(int32(b&15)-8)
			hi[j] = d * float32(int32(b>>4)-8)
		}
	}
}

// Q4_1: d, m, 32 × 4 bits; x = d·q + m.
func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= 32 && len(src) >= 20; dst, src = dst[32:], src[20:] {
		d, m := f16(src), f16(src[2:])
		q := (*[16]byte)(src[4:20])
		lo, hi := (*[16]float32)(dst[:16]), (*[16]float32)(dst[16:32])
		for j, b := range q {
			lo[j] = float32(d*float32(int32(b&15))) + m
			hi[j] = float32(d*float32(int32(b>>4))) + m
		}
	}
}

// Q5_0: d, 32 × the fifth bit, 32 × 4 bits; x = d·(q − 16).
func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= 32 && len(src) >= 22; dst, src = dst[32:], src[22:] {
		d := f16(src)
		fifth := binary.LittleEndian.Uint32(src[2:])
		q := (*[16]byte)(src[6:22])
		lo, hi := (*[16]float32)(dst[:16]), (*[16]float32)(dst[16:32])
		for j, b := range q {
			lo[j] = d * float32(int32(uint32(b&15)|fifth>>j&1<<4)-16)
			hi[j] = d * float32(int32(uint32(b>>4)|fifth>>(j+16)&1<<4)-16)
		}
	}
}

// Q5_1: d, m, 32 × the fifth bit, 32 × 4 bits; x = d·q + m.
func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= 32 && len(src) >= 24; dst, src = dst[32:], src[24:] {
		d, m := f16(src), f16(src[2:])
		fifth := binary.LittleEndian.Uint32(src[4:])
		q := (*[16]byte)(src[8:24])
		lo, hi := (*[16]float32)(dst[:16]), (*[16]float32)(dst[16:32])
		for j, b := range q {
			lo[j] = float32(d*float32(int32(uint32(b&15)|fifth>>j&1<<4))) + m
			hi[j] = float32(d*float32(int32(uint32(b>>4)|fifth>>(j+16)&1<<4))) + m
		}
	}
}

// Q8_0: d, 32 × int8; x = d·q.
func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= 32 && len(src) >= 34; dst, src = dst[32:], src[34:] {
		d := f16(src)
		q := (*[32]byte)(src[2:34])
		o := (*[32]float32)(dst[:32])
		for j, b := range q {
			o[j] = d * float32(int32(int8(b)))
		}
	}
}

// scaleMin unpacks the j-th of the eight 6-bit scales and minima of a Q4_K or Q5_K block.
func scaleMin(s *[12]byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(s[j] & 63), float32(s[j+4] & 63)
	}
	return float32(s[j+4]&15 | s[j-4]>>6<<4), float32(s[j+4]>>4 | s[j]>>6<<4)
}

// Q4_K: d, dmin, 8 scales and minima of 6 bits, 256 × 4 bits in 8 sub-blocks; x = d·scale·q − dmin·minimum.
func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) >= 256 && len(src) >= 144; dst, src = dst[256:], src[144:] {
		d, dmin := f16(src), f16(src[2:])
		scales := (*[12]byte)(src[4:16])
		for j := range 4 {
			s1, m1 := scaleMin(scales, 2*j)
			s2, m2 := scaleMin(scales, 2*j+1)
			d1, d2, m1, m2 := d*s1, d*s2, dmin*m1, dmin*m2
			q := (*[32]byte)(src[16+32*j:])
			lo, hi := (*[32]float32)(dst[64*j:]), (*[32]float32)(dst[64*j+32:])
			for i, b := range q {
				lo[i] = float32(d1*float32(int32(b&15))) - m1
				hi[i] = float32(d2*float32(int32(b>>4))) - m2
			}
		}
	}
}

// Q5_K: as Q4_K, with 256 × the fifth bit before the 4 bits.
func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) >= 256 && len(src) >= 176; dst, src = dst[256:], src[176:] {
		d, dmin := f16(src), f16(src[2:])
		scales := (*[12]byte)(src[4:16])
		fifth := (*[32]byte)(src[16:48])
		for j := range 4 {
			s1, m1 := scaleMin(scales, 2*j)
			s2, m2 := scaleMin(scales, 2*j+1)
			d1, d2, m1, m2 := d*s1, d*s2, dmin*m1, dmin*m2
			q := (*[32]byte)(src[48+32*j:])
			lo, hi := (*[32]float32)(dst[64*j:]), (*[32]float32)(dst[64*j+32:])
			for i, b := range q {
				bits := fifth[i] >> (2 * j)
				lo[i] = float32(d1*float32(int32(b&15|bits&1<<4))) - m1
				hi[i] = float32(d2*float32(int32(b>>4|bits>>1&1<<4))) - m2
			}
		}
	}
}

// Q6_K: 256 × the low 4 bits, 256 × the high 2 bits, 16 scales of int8, d; x = d·scale·(q − 32).
func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) >= 256 && len(src) >= 210; dst, src = dst[256:], src[210:] {
		d := f16(src[208:])
		for n := range 2 {
			low1, low2 := (*[32]byte)(src[64*n:]), (*[32]byte)(src[64*n+32:])
			high := (*[32]byte)(src[128+32*n:])
			scales := (*[8]byte)(src[192+8*n:])
			o := (*[128]float32)(dst[128*n:])
			var s [8]float32
			for i, b := range scales {
				s[i] = d * float32(int32(int8(b)))
			}
			for i, h := range high {
				k := i / 16
				a, b := low1[i], low2[i]
				o[i] = s[k] * float32(int32(a&15|h&3<<4)-32)
				o[i+32] = s[k+2] * float32(int32(b&15|h>>2&3<<4)-32)
				o[i+64] = s[k+4] * float32(int32(a>>4|h>>4&3<<4)-32)
				o[i+96] = s[k+6] * float32(int32(b>>4|h>>6<<4)-32)
			}
		}
	}
}
