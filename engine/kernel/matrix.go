package kernel

/*
#include "kernel.h"
*/
import "C"

import (
	"encoding/binary"
	"math"
	"runtime"
	"unsafe"
)

// Matrix is a matrix of weights in int8 with a scale for each group of 32 columns of a row. It is packed in blocks of 16 rows:
// for each group of columns, 8 × 64 bytes (16 rows × 4 columns, weight + 128) and then 16 scales in bfloat16.
type Matrix struct {
	Rows, Cols int
	data       []byte
}

// PackedSize is the size in bytes of a packed matrix.
func PackedSize(rows, cols int) int {
	return (rows + C.ROWS - 1) / C.ROWS * (cols / C.GROUP) * C.PACKED
}

// NewMatrix views packed memory of PackedSize(rows, cols) bytes, which must outlive the matrix and not move.
func NewMatrix(buf []byte, rows, cols int) *Matrix {
	need(rows > 0 && cols > 0 && cols%C.GROUP == 0 && len(buf) == PackedSize(rows, cols), "NewMatrix: wrong size")
	return &Matrix{Rows: rows, Cols: cols, data: buf}
}

// Quantize packs rows [from, from+len(w)/Cols) of float weights w into the matrix. from is a multiple of 16, and so is the
// number of rows unless they are the last. Each weight becomes round(w/scale) in −127 … 127, scale the group's largest absolute
// value / 127 rounded up to bfloat16: an error of at most half a scale.
func (m *Matrix) Quantize(from int, w []float32) {
	n := len(w) / m.Cols
	need(len(w)%m.Cols == 0 && from%C.ROWS == 0 && from+n <= m.Rows && (n%C.ROWS == 0 || from+n == m.Rows), "Quantize: rows do not fit")
	groups := m.Cols / C.GROUP
	for b := 0; b < n; b += C.ROWS {
		block := m.data[(from+b)/C.ROWS*groups*C.PACKED:]
		for g := range groups {
			out := block[g*C.PACKED : (g+1)*C.PACKED]
			for r := range C.ROWS {
				if b+r >= n {
					for c := range C.GROUP {
						out[64*(c/4)+4*r+c%4] = 128
					}
					binary.LittleEndian.PutUint16(out[C.ROWS*C.GROUP+2*r:], 0)
					continue
				}
				row := w[(b+r)*m.Cols+g*C.GROUP:][:C.GROUP]
				top := float32(0)
				for _, v := range row {
					top = max(top, v, -v)
				}
				half := bfloatUp(top / 127)
				binary.LittleEndian.PutUint16(out[C.ROWS*C.GROUP+2*r:], half)
				f := float32(0)
				if half != 0 {
					f = 1 / math.Float32frombits(uint32(half)<<16)
				}
				for c, v := range row {
					x := v*f + 12582912 // rounds to nearest even
					out[64*(c/4)+4*r+c%4] = byte(int32(math.Float32bits(x)&0x7fffff) - 0x400000 + 128)
				}
			}
		}
	}
}

// bfloatUp rounds a non-negative number up to bfloat16.
func bfloatUp(x float32) uint16 {
	b := math.Float32bits(x)
	return uint16((b + 0xffff) >> 16)
}

// Row sets dst [Cols] to row i.
func (m *Matrix) Row(dst []float32, i int) {
	need(i >= 0 && i < m.Rows && len(dst) >= m.Cols, "Row: out of range")
	groups := m.Cols / C.GROUP
	block := m.data[i/C.ROWS*groups*C.PACKED:]
	r := i % C.ROWS
	for g := range groups {
		in := block[g*C.PACKED : (g+1)*C.PACKED]
		s := math.Float32frombits(uint32(binary.LittleEndian.Uint16(in[C.ROWS*C.GROUP+2*r:])) << 16)
		for c := range C.GROUP {
			dst[g*C.GROUP+c] = float32(int(in[64*(c/4)+4*r+c%4])-128) * s
		}
	}
}

// Out is one product of MatMulMulti: Dst [n, W.Rows].
type Out struct {
	Dst []float32
	W   *Matrix
}

// MatMul sets dst [n, w.Rows] to x [n, w.Cols] · wᵀ, or adds that to it. The rows of x are rounded to int8 in groups of 32, each
// with its own scale.
func MatMul(dst []float32, w *Matrix, x []float32, n int, add bool) {
	matmul(x, n, add, Out{dst, w})
}

// MatMulMulti makes several products of the same x, rounded once.
func MatMulMulti(x []float32, n int, outs ...Out) { matmul(x, n, false, outs...) }

func matmul(x []float32, n int, add bool, outs ...Out) {
	if n == 0 {
		return
	}
	cols := outs[0].W.Cols
	need(len(x) >= n*cols && len(outs) <= 3, "MatMul: short input")
	lock()
	defer state.Unlock()
	var pin runtime.Pinner
	defer pin.Unpin()
	var co [3]C.wk_out
	for i, o := range outs {
		need(o.W.Cols == cols && len(o.Dst) >= n*o.W.Rows, "MatMul: shapes differ")
		pin.Pin(ptr(o.Dst))
		pin.Pin(ptr(o.W.data))
		co[i] = C.wk_out{dst: f32(o.Dst), w: (*C.uint8_t)(ptr(o.W.data)), rows: C.int(o.W.Rows)}
	}
	q, scale, base := grow(&state.q, n*cols), grow(&state.scale, n*cols/C.GROUP), grow(&state.base, n*cols/C.GROUP)
	pin.Pin(ptr(q))
	pin.Pin(ptr(scale))
	pin.Pin(ptr(base))
	a := C.wk_act{q: unsafe.Pointer(ptr(q)), scale: f32(scale), base: (*C.int32_t)(ptr(base)), n: C.int(n), cols: C.int(cols)}
	C.wk_matmul(&co[0], C.int(len(outs)), f32(x), &a, flag(add))
}
