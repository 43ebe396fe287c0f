package kernel

/*
#include <stdlib.h>
#include "kernel.h"
*/
import "C"

import (
	"math"
	"runtime"
	"unsafe"
)

// Memory is the keys and values of some tokens in every layer, in binary16, outside the Go heap. Free gives its memory back; a memory that is
// lost is freed by the collector.
type Memory struct {
	c     *C.wk_memory
	clean runtime.Cleanup
}

// NewMemory returns an empty memory: heads key heads of width dim, a multiple of 16, in each layer.
func NewMemory(layers, heads, dim int) *Memory {
	need(dim%16 == 0 && layers > 0 && heads > 0, "NewMemory: a head's width must be a multiple of 16")
	m := &Memory{c: C.wk_memory_new(C.int(layers), C.int(heads), C.int(dim))}
	need(m.c != nil, "out of memory")
	m.clean = runtime.AddCleanup(m, func(c *C.wk_memory) { C.wk_memory_free(c) }, m.c)
	return m
}

// Free gives the memory back at once; m must not be used again.
func (m *Memory) Free() {
	m.clean.Stop()
	C.wk_memory_free(m.c)
	m.c = nil
}

// Append writes keys and values [n, heads·dim] of one layer as tokens at, at+1, ….
func (m *Memory) Append(layer int, k, v []float32, at, n int) {
	w := int(m.c.heads * m.c.dim)
	need(layer >= 0 && layer < int(m.c.layers) && len(k) >= n*w && len(v) >= n*w && at >= 0, "Append: shapes differ")
	need(C.wk_memory_append(m.c, C.int(layer), f32(k), f32(v), C.int(at), C.int(n)) != 0, "out of memory")
}

// Bytes is the size of the memory's buffers.
func (m *Memory) Bytes() int {
	return int(m.c.cap*m.c.heads*m.c.dim) * 4 * int(m.c.layers)
}

// Segment is a memory as queries attend to it: its first N tokens, with Bias[layer] added to their scaled scores.
type Segment struct {
	Mem  *Memory
	N    int
	Bias []float32
}

// Lane is N tokens in a row that attend to the segments and, causally, to Own, of which Before tokens came before them. Lanes
// beside each other whose Segments are the same slice are read together.
type Lane struct {
	N        int
	Segments []Segment
	Own      *Memory
	Before   int
}

// Attention is a plan of which rows attend to what, made once for all layers of a pass.
type Attention struct {
	lanes []C.wk_lane
	segs  []C.wk_segment
	from  []Lane
	pin   runtime.Pinner
}

// Plan sets the lanes.
func (a *Attention) Plan(lanes []Lane) {
	a.Done()
	a.lanes, a.segs, a.from = a.lanes[:0], a.segs[:0], append(a.from[:0], lanes...)
	row, first, group := 0, 0, 0
	for i, l := range lanes {
		need(l.N > 0 && l.Own != nil, "Plan: an empty lane")
		if i == 0 || len(l.Segments) != len(lanes[i-1].Segments) || ptr(l.Segments) != ptr(lanes[i-1].Segments) || len(l.Segments) == 0 {
			first = len(a.segs)
			if len(l.Segments) == 0 {
				group--
			}
			for _, s := range l.Segments {
				a.pin.Pin(ptr(s.Bias))
				a.segs = append(a.segs, C.wk_segment{mem: s.Mem.c, n: C.int(s.N), bias: f32(s.Bias)})
			}
		}
		f := first
		if len(l.Segments) == 0 {
			f = group
		}
		a.lanes = append(a.lanes, C.wk_lane{own: l.Own.c, before: C.int(l.Before), n: C.int(l.N), row: C.int(row), first: C.int(f), count: C.int(len(l.Segments))})
		row += l.N
	}
}

// Done lets go of what the plan holds.
func (a *Attention) Done() {
	a.pin.Unpin()
	clear(a.from)
	clear(a.segs[:cap(a.segs)]) // no stale pointer may be seen from C
}

// Attend adds k and v [rows, key heads·dim] of a layer to the lanes' own memories and sets out [rows, heads·dim] to the
// attention of q [rows, heads·dim]: one softmax over all that a row sees, scores scaled by 1/√dim (Vaswani et al. 2017). Query
// heads share key heads evenly.
func (a *Attention) Attend(layer, heads int, q, k, v, out []float32) {
	if len(a.lanes) == 0 {
		return
	}
	lock()
	defer state.Unlock()
	kvh, dim := int(a.lanes[0].own.heads), int(a.lanes[0].own.dim)
	w, row, longest := kvh*dim, 0, 0
	for _, l := range a.from {
		l.Own.Append(layer, k[row*w:(row+l.N)*w], v[row*w:(row+l.N)*w], l.Before, l.N)
		row += l.N
		n := (l.Before + l.N + 15) &^ 15
		for _, s := range l.Segments {
			need(s.N <= int(s.Mem.c.n), "Attend: a segment longer than its memory")
			n += (s.N + 15) &^ 15
		}
		longest = max(longest, n)
	}
	need(len(q) >= row*heads*dim && len(out) >= row*heads*dim && heads%kvh == 0, "Attend: shapes differ")
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, p := range []unsafe.Pointer{unsafe.Pointer(ptr(q)), unsafe.Pointer(ptr(out)), unsafe.Pointer(ptr(a.lanes))} {
		pin.Pin(p)
	}
	c := C.wk_attention{lanes: ptr(a.lanes), n: C.int(len(a.lanes)), heads: C.int(heads), dim: C.int(dim), layer: C.int(layer),
		q: f32(q), out: f32(out), scale: C.float(1 / math.Sqrt(float64(dim))), scratch: C.int(longest)}
	if len(a.segs) > 0 {
		pin.Pin(ptr(a.segs))
		c.segs, c.nsegs = ptr(a.segs), C.int(len(a.segs))
	}
	scratch := grow(&state.scratch, state.threads*8*longest)
	C.wk_attend(&c, f32(scratch))
	runtime.KeepAlive(a)
}
