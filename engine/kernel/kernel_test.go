package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/personaweave/personaweave/engine/checkpoint/half"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"
)

// The tests of this package change the path and so do not run in parallel with each other; each runs every path the machine has.
func everyPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := Name()
	defer func() {
		if err := SetPath(before); err != nil {
			t.Fatal(err)
		}
	}()
	for _, p := range Paths() {
		if err := SetPath(p); err != nil {
			t.Fatal(err)
		}
		t.Run(p, f)
	}
}

func random(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// halves are random numbers that binary16 holds exactly, as the memories keep them.
func halves(r *rand.Rand, n int) []float32 {
	out := random(r, n)
	for i, v := range out {
		out[i] = half.FromF16(half.ToF16(v))
	}
	return out
}

func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= tol*scale) {
			t.Fatalf("%s: [%d] = %g, want %g (off by %g of the largest, %g)", what, i, got[i], v, d/scale, scale)
		}
	}
}

// product is the reference in float32 by gonum: x [n, cols] · wᵀ.
func product(x, w []float32, n, rows, cols int) []float32 {
	out := make([]float32, n*rows)
	blas32.Implementation().Sgemm(blas.NoTrans, blas.Trans, n, rows, cols, 1, x, cols, w, cols, 0, out, rows)
	return out
}

func pack(w []float32, rows, cols int) *Matrix {
	m := NewMatrix(make([]byte, PackedSize(rows, cols)), rows, cols)
	m.Quantize(0, w)
	return m
}

func TestPathsEndWithGeneric(t *testing.T) {
	p := Paths()
	if len(p) == 0 || p[len(p)-1] != "generic" {
		t.Fatalf("paths %v", p)
	}
	if err := SetPath("abacus"); err == nil {
		t.Fatal("an unknown path was taken")
	}
}

// Against weights and inputs that int8 holds exactly, the product is exact but for float sums; the bound is 1e-6 of the largest.
func TestMatMulExact(t *testing.T) {
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, s := range [][3]int{{1, 16, 32}, {1, 5, 32}, {2, 48, 64}, {3, 33, 96}, {7, 64, 160}, {16, 16, 32}, {37, 40, 64}, {70, 16, 576}} {
			n, rows, cols := s[0], s[1], s[2]
			whole := func(k int) []float32 { // whole numbers with 127 in every group, so that the scale is 1
				v := make([]float32, k)
				for i := range v {
					v[i] = float32(r.IntN(255) - 127)
					if i%Group == 0 {
						v[i] = 127
					}
				}
				return v
			}
			x, w := whole(n*cols), whole(rows*cols)
			dst := make([]float32, n*rows)
			MatMul(dst, pack(w, rows, cols), x, n, false)
			near(t, fmt.Sprint(s), dst, product(x, w, n, rows, cols), 1e-6)
		}
	})
}

// Rounding both sides to int8 in groups of 32: normal values stay within 2.5 % of the largest result.
func TestMatMulRounded(t *testing.T) {
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range [][3]int{{1, 576, 576}, {8, 192, 576}, {16, 100, 1536}, {129, 96, 576}} {
			n, rows, cols := s[0], s[1], s[2]
			x, w := random(r, n*cols), random(r, rows*cols)
			dst := random(r, n*rows)
			want := product(x, w, n, rows, cols)
			for i := range want {
				want[i] += dst[i]
			}
			MatMul(dst, pack(w, rows, cols), x, n, true)
			near(t, fmt.Sprint(s), dst, want, 0.025)
		}
	})
}

func TestMatMulDoesNotDependOnBatchOrThreads(t *testing.T) {
	threads := Threads()
	defer SetThreads(threads)
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		n, rows, cols := 29, 80, 96
		x, m := random(r, n*cols), pack(random(r, rows*cols), rows, cols)
		all := make([]float32, n*rows)
		SetThreads(3)
		MatMul(all, m, x, n, false)
		SetThreads(1)
		one, two := make([]float32, rows), make([]float32, rows)
		for i := range n {
			MatMulMulti(x[i*cols:], 1, Out{one, m}, Out{two, m})
			for j := range one {
				if one[j] != all[i*rows+j] || two[j] != one[j] {
					t.Fatalf("row %d differs alone and in a batch: %g %g %g", i, one[j], two[j], all[i*rows+j])
				}
			}
		}
	})
}

func TestQuantizeRow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	rows, cols := 37, 64
	w := random(r, rows*cols)
	clear(w[5*cols : 6*cols])
	m := pack(w, rows, cols)
	got := make([]float32, cols)
	for i := range rows {
		m.Row(got, i)
		for g := 0; g < cols; g += Group {
			top := 0.0
			for _, v := range w[i*cols+g:][:Group] {
				top = max(top, math.Abs(float64(v)))
			}
			for c := g; c < g+Group; c++ {
				if d := math.Abs(float64(got[c] - w[i*cols+c])); d > top/127*1.01/2+1e-12 {
					t.Fatalf("row %d column %d is off by %g, group's largest %g", i, c, d, top)
				}
			}
		}
	}
}

func TestSmallFunctions(t *testing.T) {
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		n, d := 3, 72
		x, w := random(r, n*d), random(r, d)
		got, want := make([]float32, n*d), make([]float32, n*d)
		RMSNorm(got, x, w, n, d, 1e-5)
		for i := range n {
			ss := 0.0
			for _, v := range x[i*d : (i+1)*d] {
				ss += float64(v) * float64(v)
			}
			for j := range d {
				want[i*d+j] = float32(float64(x[i*d+j]) / math.Sqrt(ss/float64(d)+1e-5) * float64(w[j]))
			}
		}
		near(t, "RMSNorm", got, want, 1e-6)

		up := random(r, n*d)
		x[0], x[1] = -100, 100
		SwiGLU(got, x, up)
		for i, g := range x {
			want[i] = float32(float64(g) / (1 + math.Exp(-float64(g))) * float64(up[i]))
		}
		near(t, "SwiGLU", got, want, 1e-6)

		dot := 0.0
		for i := range x {
			dot += float64(x[i]) * float64(up[i])
		}
		if d := math.Abs(float64(Dot(x, up)) - dot); d > 1e-3 {
			t.Fatalf("Dot is off by %g", d)
		}
		top, lse := make([]float32, n), make([]float64, n)
		LogSumExp(up, d, top, lse)
		for i := range n {
			s, m := 0.0, math.Inf(-1)
			for _, v := range up[i*d : (i+1)*d] {
				s += math.Exp(float64(v))
				m = max(m, float64(v))
			}
			if float64(top[i]) != m || math.Abs(lse[i]-math.Log(s)) > 1e-6 {
				t.Fatalf("LogSumExp: %g %g, want %g %g", top[i], lse[i], m, math.Log(s))
			}
		}
		rows := make([]float32, n)
		DotRows(rows, x, w)
		near(t, "DotRows", rows, product(w, x, 1, n, d), 1e-5)

		heads, dim := 2, 16
		cos, sin := make([]float32, 10*dim/2), make([]float32, 10*dim/2)
		for i := range cos {
			cos[i], sin[i] = float32(math.Cos(float64(i))), float32(math.Sin(float64(i)))
		}
		y := random(r, 2*heads*dim)
		before := append([]float32{}, y...)
		pos := []int32{9, 4}
		Rope(y, 2, heads, dim, pos, cos, sin)
		for i := range y {
			row, j := i/(heads*dim), i%dim
			k := int(pos[row])*dim/2 + j%(dim/2)
			partner := before[i-j+(j+dim/2)%dim]
			if j < dim/2 {
				partner = -partner
			}
			if w := before[i]*cos[k] + partner*sin[k]; math.Abs(float64(y[i]-w)) > 1e-5 {
				t.Fatalf("Rope: [%d] = %g, want %g", i, y[i], w)
			}
		}
	})
}

func TestSgemm(t *testing.T) {
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, s := range [][3]int{{1, 1, 1}, {5, 33, 7}, {6, 32, 256}, {97, 70, 300}, {200, 31, 5}} {
			m, n, k := s[0], s[1], s[2]
			for mask := range 4 {
				ta, tb := mask&1 != 0, mask&2 != 0
				lda, ldb, op := k+1, n+2, func(b bool) blas.Transpose {
					if b {
						return blas.Trans
					}
					return blas.NoTrans
				}
				ra, rb := m, k
				if ta {
					lda, ra = m+1, k
				}
				if tb {
					ldb, rb = k+2, n
				}
				a, b, c := random(r, ra*lda), random(r, rb*ldb), random(r, m*(n+3))
				want := append([]float32{}, c...)
				gonum.Implementation{}.Sgemm(op(ta), op(tb), m, n, k, 0.5, a, lda, b, ldb, -2, want, n+3)
				Sgemm(ta, tb, m, n, k, 0.5, a, lda, b, ldb, -2, c, n+3)
				near(t, fmt.Sprint(s, ta, tb), c, want, 1e-5)
			}
		}
	})
}

// attention is the reference: one softmax over every key a query sees.
func attention(q []float32, ks, vs [][]float32, bias []float64) []float32 {
	dim := len(q)
	scores, top := make([]float64, len(ks)), math.Inf(-1)
	for i, k := range ks {
		for d := range dim {
			scores[i] += float64(q[d]) * float64(k[d])
		}
		scores[i] = scores[i]/math.Sqrt(float64(dim)) + bias[i]
		top = max(top, scores[i])
	}
	sum, out := 0.0, make([]float64, dim)
	for i, s := range scores {
		e := math.Exp(s - top)
		sum += e
		for d := range dim {
			out[d] += e * float64(vs[i][d])
		}
	}
	res := make([]float32, dim)
	for d := range dim {
		res[d] = float32(out[d] / sum)
	}
	return res
}

func TestAttend(t *testing.T) {
	threads := Threads()
	defer SetThreads(threads)
	SetThreads(2)
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, shape := range []struct{ heads, kvh, dim int }{{6, 2, 32}, {9, 3, 64}, {4, 4, 16}} {
			layers, layer := 2, 1
			w := shape.kvh * shape.dim
			type tokens struct{ k, v [][]float32 }
			book := map[*Memory]*tokens{}
			memory := func(n int) *Memory {
				m, b := NewMemory(layers, shape.kvh, shape.dim), &tokens{}
				for i := range n {
					k, v := halves(r, w), halves(r, w)
					for l := range layers {
						m.Append(l, k, v, i, 1)
					}
					b.k, b.v = append(b.k, k), append(b.v, v)
				}
				book[m] = b
				return m
			}
			a, b, c := memory(50), memory(7), memory(1)
			two := []Segment{{a, 50, []float32{0, 0}}, {b, 7, []float32{9, -0.7}}}
			other := []Segment{{a, 33, []float32{0, 0}}, {c, 1, []float32{0, 1}}}
			lanes := []Lane{{N: 1, Segments: two, Own: memory(3), Before: 3}, {N: 4, Segments: two, Own: memory(0)}, {N: 2, Segments: two, Own: memory(20), Before: 20},
				{N: 3, Segments: other, Own: memory(0)}, {N: 21, Own: memory(16), Before: 16}, {N: 1, Own: memory(0)}}
			rows := 0
			for _, l := range lanes {
				rows += l.N
			}
			q, k, v := random(r, rows*shape.heads*shape.dim), halves(r, rows*w), halves(r, rows*w)
			got := make([]float32, len(q))
			var plan Attention
			plan.Plan(lanes)
			plan.Attend(layer, shape.heads, q, k, v, got)
			plan.Done()
			row := 0
			for li, l := range lanes {
				own := book[l.Own]
				own.k, own.v = own.k[:l.Before], own.v[:l.Before]
				for j := range l.N {
					own.k, own.v = append(own.k, k[row*w:(row+1)*w]), append(own.v, v[row*w:(row+1)*w])
					for h := range shape.heads {
						at := h / (shape.heads / shape.kvh) * shape.dim
						var ks, vs [][]float32
						var bias []float64
						see := func(t *tokens, n int, b float32) {
							for i := range n {
								ks, vs, bias = append(ks, t.k[i][at:at+shape.dim]), append(vs, t.v[i][at:at+shape.dim]), append(bias, float64(b))
							}
						}
						for _, s := range l.Segments {
							see(book[s.Mem], s.N, s.Bias[layer])
						}
						see(own, l.Before+j+1, 0)
						o := (row*shape.heads + h) * shape.dim
						near(t, fmt.Sprint("lane ", li, " token ", j, " head ", h), got[o:o+shape.dim], attention(q[o:o+shape.dim], ks, vs, bias), 1e-5)
					}
					row++
				}
			}
		}
	})
}

// A token's attention is the same bits alone, with the other tokens of its lane, and beside other lanes.
func TestAttendDoesNotDependOnBatch(t *testing.T) {
	everyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, per := range []int{1, 2, 3} {
			kvh, dim := 2, 48
			heads, w := per*kvh, kvh*dim
			shared := NewMemory(1, kvh, dim)
			shared.Append(0, random(r, 40*w), random(r, 40*w), 0, 40)
			segs := []Segment{{shared, 37, []float32{-0.5}}}
			lanes := []Lane{{N: 1, Segments: segs, Own: NewMemory(1, kvh, dim)}, {N: 5, Segments: segs, Own: NewMemory(1, kvh, dim)}, {N: 18, Segments: segs, Own: NewMemory(1, kvh, dim)}}
			rows := 24
			q, k, v, all := random(r, rows*heads*dim), random(r, rows*w), random(r, rows*w), make([]float32, rows*heads*dim)
			var plan Attention
			plan.Plan(lanes)
			plan.Attend(0, heads, q, k, v, all)
			row, one := 0, make([]float32, heads*dim)
			for _, l := range lanes {
				for j := range l.N {
					at := row * heads * dim
					plan.Plan([]Lane{{N: 1, Segments: segs, Own: l.Own, Before: j}})
					plan.Attend(0, heads, q[at:], k[row*w:], v[row*w:], one)
					for i := range one {
						if one[i] != all[at+i] {
							t.Fatalf("%d heads, row %d: %g alone, %g in a batch", heads, row, one[i], all[at+i])
						}
					}
					row++
				}
			}
			plan.Done()
		}
	})
}

func BenchmarkMatMul(b *testing.B) {
	rows, cols := 1536, 576
	r := rand.New(rand.NewPCG(15, 16))
	var ms []*Matrix // more than the caches hold
	for range 40 {
		ms = append(ms, pack(random(r, rows*cols), rows, cols))
	}
	before := Name()
	for _, p := range Paths() {
		for _, n := range []int{1, 8, 16, 256} {
			if p == "generic" && n > 1 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", p, n), func(b *testing.B) {
				if err := SetPath(p); err != nil {
					b.Fatal(err)
				}
				x, dst := random(r, n*cols), make([]float32, n*rows)
				i := 0
				for b.Loop() {
					MatMul(dst, ms[i%len(ms)], x, n, false)
					i++
				}
				b.ReportMetric(float64(b.N)*float64(n*rows*cols)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
	if err := SetPath(before); err != nil {
		b.Fatal(err)
	}
}

// The rival of our float32 product is gonum's own.
func BenchmarkSgemm(b *testing.B) {
	m, n, k := 256, 576, 576
	r := rand.New(rand.NewPCG(17, 18))
	x, w, c := random(r, m*k), random(r, n*k), make([]float32, m*n)
	metric := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*float64(m*n*k)/b.Elapsed().Seconds()/1e9, "GMAC/s")
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			Sgemm(false, true, m, n, k, 1, x, k, w, k, 0, c, n)
		}
		metric(b)
	})
	b.Run("gonum", func(b *testing.B) {
		for b.Loop() {
			gonum.Implementation{}.Sgemm(blas.NoTrans, blas.Trans, m, n, k, 1, x, k, w, k, 0, c, n)
		}
		metric(b)
	})
}

// Many short jobs one after the other, with threads that wake late: none may touch another's arrays.
func TestPoolUnderPressure(t *testing.T) {
	threads := Threads()
	defer SetThreads(threads)
	SetThreads(4)
	r := rand.New(rand.NewPCG(19, 20))
	mats, want := [][]float32{}, [][]float32{}
	q := random(r, 16)
	for _, n := range []int{257, 1500, 300, 5000, 513} {
		m := random(r, n*16)
		mats, want = append(mats, m), append(want, make([]float32, n))
		for i := range n {
			want[len(want)-1][i] = Dot(m[i*16:(i+1)*16], q)
		}
	}
	got := make([]float32, 5000)
	for i := range 20000 {
		k := i % len(mats)
		dst := got[:len(want[k])]
		DotRows(dst, mats[k], q)
		if dst[i%len(dst)] != want[k][i%len(dst)] || dst[len(dst)-1] != want[k][len(dst)-1] {
			t.Fatalf("round %d: wrong", i)
		}
	}
}
