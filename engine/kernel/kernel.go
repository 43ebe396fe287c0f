// Package kernel is the arithmetic that playing needs: int8 matrix products over packed weights, attention over several
// memories at once, the small functions between them, and a float32 matrix product. It is C called through cgo, with paths
// for AVX-512 VNNI, AVX2 and any CPU, chosen at run time, and a pool of threads. It knows arrays and shapes, nothing of models.
//
// Calls are serialised by one lock: two callers wait for each other. Results do not depend on the number of threads, nor on
// how many rows a call batches. The same path gives the same bits.
package kernel

/*
#cgo CFLAGS: -O3 -std=gnu11 -Wno-psabi
#cgo LDFLAGS: -lm -lpthread
#include "kernel.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Group is how many columns of a matrix share a scale; columns are a multiple of it.
const Group = C.GROUP

var state struct {
	sync.Mutex
	paths   []*C.wk_path
	path    *C.wk_path
	threads int
	q       []int16
	scale   []float32
	base    []int32
	scratch []float32
}

// start chooses the path and the threads once: WEAVE_KERNEL names a path, WEAVE_THREADS a number; else the best path and every
// physical CPU up to 8.
var start = sync.OnceFunc(func() {
	found := make([]*C.wk_path, 8)
	n := C.wk_paths((**C.wk_path)(unsafe.Pointer(&found[0])))
	state.paths = found[:n]
	setPath(0)
	if name := os.Getenv("WEAVE_KERNEL"); name != "" {
		for i, p := range state.paths {
			if C.GoString(p.name) == name {
				setPath(i)
			}
		}
	}
	threads := min(runtime.NumCPU(), 8)
	if _, err := fmt.Sscanf(os.Getenv("WEAVE_THREADS"), "%d", &threads); err == nil && threads < 1 {
		threads = 1
	}
	setThreads(threads)
})

func setPath(i int) {
	state.path = state.paths[i]
	C.wk_use(state.path)
}

func setThreads(n int) {
	state.threads = min(max(n, 1), 64)
	C.wk_threads(C.int(state.threads))
}

func lock() {
	start()
	state.Lock()
}

// Name is the path in use.
func Name() string {
	lock()
	defer state.Unlock()
	return C.GoString(state.path.name)
}

// Paths lists what this machine can run, best first; the last is "generic".
func Paths() []string {
	lock()
	defer state.Unlock()
	var out []string
	for _, p := range state.paths {
		out = append(out, C.GoString(p.name))
	}
	return out
}

// SetPath uses a path by name, for every caller; an unknown name is an error.
func SetPath(name string) error {
	known := Paths()
	lock()
	defer state.Unlock()
	for i, n := range known {
		if n == name {
			setPath(i)
			return nil
		}
	}
	return fmt.Errorf("no kernel path %q on this machine: it has %s", name, strings.Join(known, ", "))
}

// Threads is how many threads work; SetThreads sets it.
func Threads() int {
	lock()
	defer state.Unlock()
	return state.threads
}

// SetThreads sets how many threads work, 1 to 64.
func SetThreads(n int) {
	lock()
	defer state.Unlock()
	setThreads(n)
}

func ptr[T any](s []T) *T { return unsafe.SliceData(s) }

func f32(s []float32) *C.float { return (*C.float)(ptr(s)) }

func need(ok bool, what string) {
	if !ok {
		panic("kernel: " + what)
	}
}

// grow returns s with length n, keeping its memory where it can.
func grow[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n+n/2)
	}
	return (*s)[:n]
}

// RMSNorm sets dst[i] = x[i] / sqrt(mean(x[i]²) + eps) · weight for n rows of d; dst may be x.
func RMSNorm(dst, x, weight []float32, n, d int, eps float32) {
	need(len(dst) >= n*d && len(x) >= n*d && len(weight) >= d, "RMSNorm: short slice")
	lock()
	defer state.Unlock()
	C.wk_rmsnorm(f32(dst), f32(x), f32(weight), C.int(n), C.int(d), C.float(eps))
}

// SwiGLU sets dst = silu(gate) · up, element by element (Shazeer 2020).
func SwiGLU(dst, gate, up []float32) {
	need(len(dst) == len(gate) && len(gate) == len(up), "SwiGLU: lengths differ")
	lock()
	defer state.Unlock()
	C.wk_swiglu(f32(dst), f32(gate), f32(up), C.int(len(dst)))
}

// Rope rotates x [n, heads, dim] by rotary positions, each pair (j, j+dim/2) by the angle whose cosine and sine stand in row
// pos[i] of the tables [positions, dim/2] (Su et al. 2021).
func Rope(x []float32, n, heads, dim int, pos []int32, cos, sin []float32) {
	need(len(x) >= n*heads*dim && len(pos) >= n && len(cos) == len(sin), "Rope: short slice")
	for _, p := range pos[:n] {
		need(p >= 0 && (int(p)+1)*dim/2 <= len(cos), "Rope: position outside the tables")
	}
	lock()
	defer state.Unlock()
	C.wk_rope(f32(x), C.int(n), C.int(heads), C.int(dim), (*C.int32_t)(ptr(pos)), f32(cos), f32(sin))
}

// Dot is the inner product of two vectors.
func Dot(a, b []float32) float32 {
	need(len(a) == len(b), "Dot: lengths differ")
	lock()
	defer state.Unlock()
	return float32(C.wk_dot(f32(a), f32(b), C.int(len(a))))
}

// LogSumExp sets top[i] to the largest value and log[i] to log Σ eˣ of row i of x [len(top), n].
func LogSumExp(x []float32, n int, top []float32, log []float64) {
	need(n > 0 && len(x) >= len(top)*n && len(log) >= len(top) && len(top) < 60000, "LogSumExp: shapes differ")
	if len(top) == 0 {
		return
	}
	lock()
	defer state.Unlock()
	C.wk_sumexp(f32(x), C.int(len(top)), C.int(n), f32(top), (*C.double)(ptr(log)))
}

// DotRows sets dst[i] to the inner product of q with row i of mat [len(dst), len(q)].
func DotRows(dst, mat, q []float32) {
	need(len(mat) == len(dst)*len(q), "DotRows: shapes differ")
	if len(dst) == 0 {
		return
	}
	lock()
	defer state.Unlock()
	C.wk_dotrows(f32(dst), f32(mat), f32(q), C.int(len(dst)), C.int(len(q)))
}

// Sgemm sets C = alpha·op(A)·op(B) + beta·C, all row-major: op(A) [m, k], op(B) [k, n], C [m, n]; a transposed operand is
// stored as its transpose. lda, ldb and ldc are the lengths of the stored rows.
func Sgemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if m == 0 || n == 0 {
		return
	}
	rows := func(t bool, r, c, ld, have int) bool {
		if t {
			r, c = c, r
		}
		return ld >= c && (r == 0 || have >= (r-1)*ld+c)
	}
	need(rows(transA, m, k, lda, len(a)) && rows(transB, k, n, ldb, len(b)) && rows(false, m, n, ldc, len(c)), "Sgemm: shapes differ")
	lock()
	defer state.Unlock()
	C.wk_gemm(C.int(m), C.int(n), C.int(k), f32(a), flag(transA), C.int(lda), f32(b), flag(transB), C.int(ldb), C.float(alpha), C.float(beta), f32(c), C.int(ldc))
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
