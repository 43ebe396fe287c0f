package seq2seq

import (
	"math"

	"github.com/personaweave/personaweave/engine/kernel"
)

// memory is the keys and values of some tokens in every layer: the dialogue, a persona, a reply so far. Its first len tokens
// count; a shorter len forgets.
type memory struct {
	kv  *kernel.Memory
	len int
}

// lane is a row of tokens that goes through the stack: n tokens that attend to the segments, to the lane's own memory, and
// causally to each other. Their keys and values are added to own.
type lane struct {
	n    int
	segs []kernel.Segment
	own  *memory
}

// segment is all of a memory with a bias per layer.
func segment(mem *memory, bias []float32) kernel.Segment {
	return kernel.Segment{Mem: mem.kv, N: mem.len, Bias: bias}
}

// runState is the scratch memory of a pass; it grows to the largest pass and stays.
type runState struct {
	x, y, q, k, v, att, gate, up []float32
	logits                       []float32
	pos                          []int32
	spare                        []*memory
	plan                         []kernel.Lane
	attn                         kernel.Attention
}

// floats returns s with length n, keeping its memory where it can.
func floats(s *[]float32, n int) []float32 {
	if cap(*s) < n {
		*s = make([]float32, n, n+n/2)
	}
	*s = (*s)[:n]
	return *s
}

// take returns an empty memory of all layers; give has it used again.
func (m *Model) take() *memory {
	r := &m.run
	if n := len(r.spare); n > 0 {
		mem := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return mem
	}
	return &memory{kv: kernel.NewMemory(m.w.Layers, m.w.KVHeads, m.w.HeadDim)}
}

func (m *Model) give(mems ...*memory) {
	const most, bytes = 64, 32 << 20 // memories kept, and the size of one worth keeping
	for _, mem := range mems {
		if len(m.run.spare) >= most || mem.kv.Bytes() > bytes {
			mem.kv.Free()
			continue
		}
		mem.len = 0
		m.run.spare = append(m.run.spare, mem)
	}
}

// giveOwn gives back the lanes' own memories.
func (m *Model) giveOwn(lanes []lane) {
	for _, ln := range lanes {
		m.give(ln.own)
	}
}

// pass runs the tokens of the lanes, one lane after the other in ids, through layers from ≤ l < to. Lane i's tokens stand at
// pos[i], pos[i]+1, …. It returns the residual stream [len(ids), Dim], valid until the next pass. A pass that begins at a later
// layer goes on where the last one, over the same tokens, stopped.
func (m *Model) pass(ids []int, lanes []lane, pos []int, from, to int) []float32 {
	c, w, r := m.w.Config, m.w, &m.run
	n, d, kvd, qd := len(ids), c.Dim, c.KVDim(), c.Heads*c.HeadDim
	x, y := floats(&r.x, n*d), floats(&r.y, n*max(d, qd))
	q, k, v := floats(&r.q, n*qd), floats(&r.k, n*kvd), floats(&r.v, n*kvd)
	att, gate, up := floats(&r.att, n*qd), floats(&r.gate, n*c.FF), floats(&r.up, n*c.FF)
	if cap(r.pos) < n {
		r.pos = make([]int32, n, 2*n)
	}
	r.pos = r.pos[:n]
	row := 0
	for i, ln := range lanes {
		for j := range ln.n {
			r.pos[row] = int32(pos[i] + j)
			row++
		}
	}
	if from == 0 {
		for i, id := range ids {
			w.Embed.Row(x[i*d:(i+1)*d], id)
		}
		for _, ln := range lanes {
			ln.own.len += ln.n
		}
	}
	r.plan = r.plan[:0]
	for _, ln := range lanes {
		segs := ln.segs
		if segs == nil {
			segs = m.sink
		}
		r.plan = append(r.plan, kernel.Lane{N: ln.n, Segments: segs, Own: ln.own.kv, Before: ln.own.len - ln.n})
	}
	r.attn.Plan(r.plan)
	defer r.attn.Done()
	for l := from; l < to; l++ {
		ly := &w.Stack[l]
		kernel.RMSNorm(y[:n*d], x, ly.AttnNorm, n, d, float32(c.Eps))
		kernel.MatMulMulti(y[:n*d], n, kernel.Out{Dst: q, W: ly.Q}, kernel.Out{Dst: k, W: ly.K}, kernel.Out{Dst: v, W: ly.V})
		kernel.Rope(q, n, c.Heads, c.HeadDim, r.pos, m.cos, m.sin)
		kernel.Rope(k, n, c.KVHeads, c.HeadDim, r.pos, m.cos, m.sin)
		r.attn.Attend(l, c.Heads, q, k, v, att)
		kernel.MatMul(x, ly.O, att, n, true)
		kernel.RMSNorm(y[:n*d], x, ly.FFNNorm, n, d, float32(c.Eps))
		kernel.MatMulMulti(y[:n*d], n, kernel.Out{Dst: gate, W: ly.Gate}, kernel.Out{Dst: up, W: ly.Up})
		kernel.SwiGLU(gate, gate, up)
		kernel.MatMul(x, ly.Down, gate, n, true)
	}
	return x
}

// normed applies the final norm to rows of the residual stream, in memory of its own.
func (m *Model) normed(x []float32, rows ...int) []float32 {
	d := m.w.Dim
	out := make([]float32, len(rows)*d)
	for i, row := range rows {
		copy(out[i*d:], x[row*d:(row+1)*d])
	}
	kernel.RMSNorm(out, out, m.w.Norm, len(rows), d, float32(m.w.Eps))
	return out
}

// logits returns the logits [n, Vocab] of n normed states, valid until the next call.
func (m *Model) logits(h []float32, n int) []float32 {
	out := floats(&m.run.logits, n*m.w.Vocab)
	kernel.MatMul(out, m.w.Out, h, n, false)
	return out
}

// Append reads tokens into the dialogue memory, causally and without a persona: the dialogue encoder.
func (m *Model) Append(d *Dialogue, ids []int) {
	const most = 512 // tokens a pass: what fits the caches
	for len(ids) > 0 {
		n := min(most, len(ids))
		m.pass(ids[:n], []lane{{n: n, own: d.mem}}, []int{Origin + d.mem.len}, 0, m.w.Layers)
		d.tokens = append(d.tokens, ids[:n]...)
		ids = ids[n:]
	}
}

// Dialogue is the memory of the dialogue encoder.
type Dialogue struct {
	mem    *memory
	tokens []int
}

// NewDialogue returns an empty dialogue memory.
func (m *Model) NewDialogue() *Dialogue { return &Dialogue{mem: m.take()} }

// Forget gives back the dialogue's memory; it must not be used again.
func (m *Model) Forget(d *Dialogue) {
	m.give(d.mem)
	d.mem, d.tokens = nil, nil
}

// Len is the number of tokens read.
func (d *Dialogue) Len() int { return d.mem.len }

// Truncate forgets all tokens from n on.
func (d *Dialogue) Truncate(n int) {
	d.mem.len = min(d.mem.len, n)
	d.tokens = d.tokens[:n]
}

// Persona is a persona as the Persona Encoder read it: its memory and its unit vector in persona space.
type Persona struct {
	P   []float32 // [SpaceDim]
	mem *memory
}

// EncodePersona reads a description as the system turn, right-aligned before Origin.
func (m *Model) EncodePersona(description string) *Persona {
	ids := m.Tokens(Turn{Role: System, Text: description})
	if len(ids) > PersonaMax {
		ids = ids[:PersonaMax]
	}
	return m.EncodePersonaTokens(ids)
}

// EncodePersonaTokens reads a persona from tokens already cut to PersonaMax.
func (m *Model) EncodePersonaTokens(ids []int) *Persona {
	p := &Persona{mem: m.take()}
	c := m.w.Config
	lanes, pos := []lane{{n: len(ids), own: p.mem}}, []int{Origin - len(ids)}
	reading := m.pool(m.pass(ids, lanes, pos, 0, c.HeadLayer), lanes)[0]
	m.pass(ids, lanes, pos, c.HeadLayer, c.Layers)
	p.P = m.head(m.w.Heads.Persona, reading)
	return p
}

// PersonaVector is the P of a description alone: it needs no memory and reads half the layers.
func (m *Model) PersonaVector(description string) []float32 {
	ids := m.Tokens(Turn{Role: System, Text: description})
	ids = ids[:min(len(ids), PersonaMax)]
	lanes := []lane{{n: len(ids), own: m.take()}}
	reading := m.pool(m.pass(ids, lanes, []int{Origin - len(ids)}, 0, m.w.HeadLayer), lanes)[0]
	m.giveOwn(lanes)
	return m.head(m.w.Heads.Persona, reading)
}

// Demonstration is a written exchange that a reply may follow, as the encoder read it.
type Demonstration struct{ mem *memory }

// Demonstrate reads exchanges (what was said, what was answered), each alone, without a persona and right-aligned before where
// personas begin; one of more than DemoMax tokens is nil.
func (m *Model) Demonstrate(exchanges [][2]string) []*Demonstration {
	out := make([]*Demonstration, len(exchanges))
	var ids, pos []int
	var lanes []lane
	for i, x := range exchanges {
		t := append(m.Tokens(Turn{Role: User, Text: x[0]}), m.Tokens(Turn{Role: Assistant, Text: x[1]})...)
		if len(t) > DemoMax {
			continue
		}
		out[i] = &Demonstration{mem: m.take()}
		ids, pos, lanes = append(ids, t...), append(pos, DemoMax-len(t)), append(lanes, lane{n: len(t), own: out[i].mem})
	}
	if len(lanes) > 0 {
		m.pass(ids, lanes, pos, 0, m.w.Layers)
	}
	return out
}

// Dismiss gives back the memory of demonstrations; a Decoder that sees them must not be used again.
func (m *Model) Dismiss(shown []*Demonstration) {
	for _, x := range shown {
		m.give(x.mem)
		x.mem = nil
	}
}

// Release gives back the persona's memory; the persona must not be used again, nor a Decoder that blends it.
func (m *Model) Release(p *Persona) {
	m.give(p.mem)
	p.mem = nil
}

// Read returns the reading of each text alone, as a turn of the role: the states after HeadLayer layers, each divided by its
// root mean square, averaged over the turn's tokens; [Dim] each.
func (m *Model) Read(texts []string, role Role) [][]float32 {
	out := make([][]float32, 0, len(texts))
	const most = 384 // tokens a pass
	for first := 0; first < len(texts); {
		var ids []int
		var lanes []lane
		var pos []int
		for first < len(texts) {
			t := m.Tokens(Turn{Role: role, Text: texts[first]})
			if len(t) > 256 {
				t = t[:256]
			}
			if len(ids) > 0 && len(ids)+len(t) > most {
				break
			}
			ids = append(ids, t...)
			lanes = append(lanes, lane{n: len(t), own: m.take()})
			pos = append(pos, Origin)
			first++
		}
		x := m.pass(ids, lanes, pos, 0, m.w.HeadLayer)
		out = append(out, m.pool(x, lanes)...)
		m.giveOwn(lanes)
	}
	return out
}

// pool averages the states of each lane after dividing each by its root mean square.
func (m *Model) pool(x []float32, lanes []lane) [][]float32 {
	d := m.w.Dim
	out := make([][]float32, len(lanes))
	row := 0
	for i, ln := range lanes {
		sum := make([]float32, d)
		for range ln.n {
			h := x[row*d : (row+1)*d]
			ss := 0.0
			for _, v := range h {
				ss += float64(v) * float64(v)
			}
			f := float32(1 / math.Sqrt(ss/float64(d)+m.w.Eps) / float64(ln.n))
			for j, v := range h {
				sum[j] += v * f
			}
			row++
		}
		out[i] = sum
	}
	return out
}

// head applies a head's matrix [SpaceDim, Dim] to a state and scales the result to length 1.
func (m *Model) head(w, state []float32) []float32 {
	out := make([]float32, SpaceDim)
	kernel.DotRows(out, w, state)
	s := 0.0
	for _, v := range out {
		s += float64(v) * float64(v)
	}
	if s > 0 {
		f := float32(1 / math.Sqrt(s))
		for i := range out {
			out[i] *= f
		}
	}
	return out
}

// ReplyVector, ResponseVector, VoiceVector and LineVector apply the heads: the first to a decoder's State, the others to
// readings. Unit vectors [SpaceDim].
func (m *Model) ReplyVector(state []float32) []float32 { return m.head(m.w.Heads.Reply, state) }
func (m *Model) ResponseVector(reading []float32) []float32 {
	return m.head(m.w.Heads.Response, reading)
}
func (m *Model) VoiceVector(reading []float32) []float32 { return m.head(m.w.Heads.Voice, reading) }
func (m *Model) LineVector(reading []float32) []float32  { return m.head(m.w.Heads.Line, reading) }
