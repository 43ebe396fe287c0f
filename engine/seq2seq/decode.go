package seq2seq

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/personaweave/personaweave/engine/kernel"
)

// Share is a persona's part in a mixture.
type Share struct {
	Persona *Persona
	Weight  float64
}

// Decoder is a reply about to be said: the dialogue so far and the blended personas, concatenated (the Persona Embedding
// Layer), with the opening of the reply read. It is valid until the dialogue is changed.
type Decoder struct {
	m        *Model
	dialogue *Dialogue
	at       int // position of the next token
	with     side
	null     *side // the same without persona, made when guidance asks for it
	header   []int
	shown    []*Demonstration
	mixed    bool   // it has a persona
	parts    []part // whose distributions are mixed, with among them; nil: with speaks alone
}

// part is one voice of a mixture of next-token distributions.
type part struct {
	*side
	log float64 // log of its weight
}

// side is what replies attend to besides themselves, and the normed state after the opening.
type side struct {
	segs  []kernel.Segment
	state []float32 // [Dim]
	own   []*memory // to be given back
}

// Begin concatenates dialogue memory, persona memories (weights sum to 1; none: the null persona), e and demonstrations, and reads
// the opening of a reply by name under them.
func (m *Model) Begin(d *Dialogue, mix []Share, name string, shown ...*Demonstration) *Decoder {
	dec := &Decoder{m: m, dialogue: d, header: m.header(Assistant, name), shown: shown}
	dec.at = Origin + d.Len() + len(dec.header)
	dec.with = dec.open(m.combine(d, mix, shown))
	dec.mixed = slices.ContainsFunc(mix, func(s Share) bool { return s.Weight > 0 })
	return dec
}

// BeginMixed is Begin where every persona is alone with the dialogue and the next token comes of the mixture of what each would
// say, p = Σ wᵢ·pᵢ, at the price of one reading for each. What needs one state, as the reply head does, takes the heaviest's.
func (m *Model) BeginMixed(d *Dialogue, mix []Share, name string, shown ...*Demonstration) *Decoder {
	mix = slices.DeleteFunc(slices.Clone(mix), func(s Share) bool { return s.Weight <= 0 })
	if len(mix) < 2 {
		return m.Begin(d, mix, name, shown...)
	}
	slices.SortStableFunc(mix, func(a, b Share) int { return cmp.Compare(b.Weight, a.Weight) })
	var dec *Decoder
	for i, s := range mix {
		alone := []Share{{s.Persona, 1}}
		if i == 0 {
			dec = m.Begin(d, alone, name, shown...)
			dec.parts = []part{{&dec.with, math.Log(s.Weight)}}
			continue
		}
		other := dec.open(m.combine(d, alone, shown))
		dec.parts = append(dec.parts, part{&other, math.Log(s.Weight)})
	}
	return dec
}

// Close gives back the decoder's memories; it must not be used again.
func (dec *Decoder) Close() {
	for _, p := range dec.voices() {
		dec.m.give(p.own...)
	}
	if dec.null != nil {
		dec.m.give(dec.null.own...)
	}
	dec.with, dec.null, dec.parts = side{}, nil, nil
}

// voices are the sides that speak for the personas.
func (dec *Decoder) voices() []part {
	if dec.parts != nil {
		return dec.parts
	}
	return []part{{side: &dec.with}}
}

// mix turns logits [len(parts)·n, v], part after part, into log Σ wᵢ·pᵢ in the first n rows.
func mix(logits []float32, parts []part, n, v int) {
	top, logSum := make([]float32, len(parts)*n), make([]float64, len(parts)*n)
	kernel.LogSumExp(logits, v, top, logSum)
	for i := range n {
		dst := logits[i*v : (i+1)*v]
		shift := float32(parts[0].log - logSum[i])
		for j := range dst {
			dst[j] += shift
		}
		for k := 1; k < len(parts); k++ {
			row := logits[(k*n+i)*v : (k*n+i+1)*v]
			shift := float32(parts[k].log - logSum[k*n+i])
			for j, l := range row {
				dst[j] = float32(logAdd(float64(dst[j]), float64(l+shift)))
			}
		}
	}
}

// logAdd is log(eᵃ + eᵇ).
func logAdd(a, b float64) float64 { return max(a, b) + math.Log1p(math.Exp(-math.Abs(a-b))) }

// combine is the Persona Embedding Layer: combined = concat(dialogue memory, M₁ … Mₙ, e, demonstrations), with log wᵢ on the
// scores of Mᵢ.
func (m *Model) combine(d *Dialogue, mix []Share, shown []*Demonstration) side {
	s := side{segs: []kernel.Segment{segment(d.mem, m.zero)}}
	mean := make([]float32, SpaceDim)
	for _, share := range mix {
		if share.Weight <= 0 {
			continue
		}
		bias := make([]float32, m.w.Layers)
		for l := range bias {
			bias[l] = float32(math.Log(share.Weight))
		}
		s.segs = append(s.segs, segment(share.Persona.mem, bias))
		for j, v := range share.Persona.P {
			mean[j] += float32(share.Weight) * v
		}
	}
	if len(s.segs) > 1 && m.w.E != nil {
		e := m.virtual(mean)
		s.own = append(s.own, e)
		s.segs = append(s.segs, segment(e, m.w.E.Bias))
	}
	for _, x := range shown {
		s.segs = append(s.segs, segment(x.mem, m.zero))
	}
	s.segs = append(s.segs, m.sink...)
	return s
}

// virtual returns the memory of the virtual token e for p̄ [SpaceDim]: h = D·p̄; K = Ek[l]·h, not rotated; V = Ev[l]·h.
func (m *Model) virtual(mean []float32) *memory {
	e, kvd := m.w.E, m.w.KVDim()
	h := make([]float32, eDim)
	kernel.DotRows(h, e.D, mean)
	k, v := make([]float32, kvd), make([]float32, kvd)
	mem := m.take()
	for l := range m.w.Layers {
		kernel.DotRows(k, e.K[l], h)
		kernel.DotRows(v, e.V[l], h)
		mem.kv.Append(l, k, v, 0, 1)
	}
	mem.len = 1
	return mem
}

// open reads the opening of the reply under the segments of s.
func (dec *Decoder) open(s side) side {
	m := dec.m
	own := m.take()
	n := len(dec.header)
	x := m.pass(dec.header, []lane{{n: n, segs: s.segs, own: own}}, []int{dec.at - n}, 0, m.w.Layers)
	return side{segs: append(slices.Clone(s.segs), segment(own, m.zero)), state: m.normed(x, n-1), own: append(s.own, own)}
}

// State is the decoder's first hidden state, normed [Dim]: what the reply head reads.
func (dec *Decoder) State() []float32 { return dec.with.state }

// Logits are the logits [Vocab] of the reply's first token; of mixed distributions, log-probabilities.
func (dec *Decoder) Logits() []float32 {
	parts := dec.voices()
	var states []float32
	for _, p := range parts {
		states = append(states, p.state...)
	}
	logits := dec.m.logits(states, len(parts))
	if len(parts) > 1 {
		mix(logits, parts, 1, dec.m.w.Vocab)
	}
	return slices.Clone(logits[:dec.m.w.Vocab])
}

// Draft is a sampled reply.
type Draft struct {
	Text    string
	IDs     []int
	LogProb float64 // mean per token, at temperature 1
	Tokens  int
	Ended   bool // it ended by itself, not at the cap
}

// row is a reply in the making.
type row struct {
	ids   []int
	sum   float64
	n     int
	ended bool
	own   []*memory // one for each voice, and for the null persona
	rng   *rand.Rand
}

// Sample makes one reply per source of chance, in one batch. strength is the guidance γ: at 1 the persona stands as it is; else
// logits are null + γ (persona − null).
func (dec *Decoder) Sample(ctx context.Context, set Sampling, strength float64, rngs []*rand.Rand) ([]Draft, error) {
	m := dec.m
	guided := strength != 1 && dec.mixed
	if guided && dec.null == nil {
		s := dec.open(m.combine(dec.dialogue, nil, dec.shown))
		dec.null = &s
	}
	parts := dec.voices()
	sides := len(parts)
	if guided {
		sides++
	}
	rows := make([]*row, len(rngs))
	for i := range rows {
		rows[i] = &row{rng: rngs[i]}
		for range sides {
			rows[i].own = append(rows[i].own, m.take())
		}
	}
	defer func() {
		for _, r := range rows {
			m.give(r.own...)
		}
	}()
	past := dec.dialogue.tokens
	past = past[max(0, len(past)-400):]
	smp := &m.sampler
	smp.Sampling = set
	history := make([]int, 0, len(past)+set.MaxTokens)
	step := func(r *row, logits []float32, logSum float64) {
		history = append(append(history[:0], past...), r.ids...)
		id, lp := smp.pick(logits, logSum, history, r.rng, m.allow(len(r.ids) == 0))
		r.sum += lp
		r.n++
		if id == m.end {
			r.ended = true
			return
		}
		r.ids = append(r.ids, id)
	}
	first := dec.Logits()
	if guided {
		guide(first, m.logits(dec.null.state, 1), strength)
	}
	top, logSum := make([]float32, len(rows)), make([]float64, len(rows))
	kernel.LogSumExp(first, m.w.Vocab, top[:1], logSum)
	for _, r := range rows {
		step(r, first, logSum[0])
	}
	active := make([]*row, 0, len(rows))
	var ids, pos []int
	var lanes []lane
	for t := 1; t < set.MaxTokens; t++ {
		active = active[:0]
		for _, r := range rows {
			if !r.ended {
				active = append(active, r)
			}
		}
		if len(active) == 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ids, pos, lanes = ids[:0], pos[:0], lanes[:0]
		add := func(s *side, which int) {
			for _, r := range active {
				ids = append(ids, r.ids[len(r.ids)-1])
				pos = append(pos, dec.at+len(r.ids)-1)
				lanes = append(lanes, lane{n: 1, segs: s.segs, own: r.own[which]})
			}
		}
		for k, p := range parts {
			add(p.side, k)
		}
		if guided {
			add(dec.null, len(parts))
		}
		x := m.pass(ids, lanes, pos, 0, m.w.Layers)
		n := len(lanes)
		h := floats(&m.run.y, n*m.w.Dim)
		kernel.RMSNorm(h, x, m.w.Norm, n, m.w.Dim, float32(m.w.Eps))
		logits := m.logits(h, n)
		v := m.w.Vocab
		if len(parts) > 1 {
			mix(logits[:len(parts)*len(active)*v], parts, len(active), v)
		}
		if guided {
			null := logits[len(parts)*len(active)*v:]
			for i := range active {
				guide(logits[i*v:(i+1)*v], null[i*v:(i+1)*v], strength)
			}
		}
		kernel.LogSumExp(logits, v, top[:len(active)], logSum)
		for i, r := range active {
			step(r, logits[i*v:(i+1)*v], logSum[i])
		}
	}
	out := make([]Draft, len(rows))
	for i, r := range rows {
		out[i] = Draft{Text: m.tok.Decode(r.ids), IDs: r.ids, LogProb: r.sum / float64(max(1, r.n)), Tokens: r.n, Ended: r.ended}
	}
	return out, nil
}

// DecodeSteps decodes batch rows for steps tokens each, the likeliest token every time, whatever it is: a measure of speed.
func (m *Model) DecodeSteps(d *Dialogue, batch, steps int) {
	dec := m.Begin(d, nil, "")
	defer dec.Close()
	ids, pos, lanes := make([]int, batch), make([]int, batch), make([]lane, batch)
	for i := range lanes {
		ids[i], lanes[i] = m.newline[0], lane{n: 1, segs: dec.with.segs, own: m.take()}
	}
	defer m.giveOwn(lanes)
	for t := range steps {
		for i := range pos {
			pos[i] = dec.at + t
		}
		x := m.pass(ids, lanes, pos, 0, m.w.Layers)
		h := floats(&m.run.y, batch*m.w.Dim)
		kernel.RMSNorm(h, x, m.w.Norm, batch, m.w.Dim, float32(m.w.Eps))
		logits := m.logits(h, batch)
		for i := range ids {
			row := logits[i*m.w.Vocab : (i+1)*m.w.Vocab]
			best := 0
			for j, l := range row {
				if l > row[best] {
					best = j
				}
			}
			ids[i] = best
		}
	}
}

// allow rules out special tokens, line breaks, and, for a reply's first token, its end.
func (m *Model) allow(first bool) func(int) bool {
	if first {
		return m.allowFirst
	}
	return m.allowNext
}

func (m *Model) allowNext(id int) bool  { return id == m.end || !m.banned[id] }
func (m *Model) allowFirst(id int) bool { return !m.banned[id] }

// Likelihood is the log-likelihood of a reply.
type Likelihood struct {
	Sum    float64 // over its tokens and its end
	Tokens int
}

// Score returns the log-likelihood of each text as the reply, all read in one go.
func (dec *Decoder) Score(texts []string) []Likelihood {
	var mixed [][]float64
	for k, p := range dec.voices() {
		some := dec.logProbs(p.side, texts)
		for i, text := range some {
			for j := range text {
				text[j] += p.log
				if k > 0 {
					text[j] = logAdd(mixed[i][j], text[j])
				}
			}
		}
		mixed = some
	}
	out := make([]Likelihood, len(texts))
	for i, text := range mixed {
		out[i].Tokens = len(text)
		for _, l := range text {
			out[i].Sum += l
		}
	}
	return out
}

// logProbs returns the log-probability of each token of each text under a side, and of its end.
func (dec *Decoder) logProbs(s *side, texts []string) [][]float64 {
	m := dec.m
	out := make([][]float64, 0, len(texts))
	first := slices.Clone(m.logits(s.state, 1))
	top, logSum := make([]float32, 1), make([]float64, 1)
	kernel.LogSumExp(first, m.w.Vocab, top, logSum)
	const most = 256 // tokens a pass
	for next := 0; next < len(texts); {
		var ids, pos []int
		var lanes []lane
		var rows [][]int
		for next < len(texts) {
			t := m.tok.AppendEncode(nil, texts[next])
			if len(t) > 200 {
				t = t[:200]
			}
			if len(ids) > 0 && len(ids)+len(t) > most {
				break
			}
			rows = append(rows, t)
			if len(t) > 0 {
				ids = append(ids, t...)
				lanes = append(lanes, lane{n: len(t), segs: s.segs, own: m.take()})
				pos = append(pos, dec.at)
			}
			next++
		}
		var h []float32
		if len(ids) > 0 {
			x := m.pass(ids, lanes, pos, 0, m.w.Layers)
			h = floats(&m.run.y, len(ids)*m.w.Dim)
			kernel.RMSNorm(h, x, m.w.Norm, len(ids), m.w.Dim, float32(m.w.Eps))
		}
		logp := m.nextLogProbs(h, ids, rows)
		at := 0
		for _, t := range rows {
			begins := m.end
			if len(t) > 0 {
				begins = t[0]
			}
			out = append(out, append([]float64{float64(first[begins]) - logSum[0]}, logp[at:at+len(t)]...))
			at += len(t)
		}
		m.giveOwn(lanes)
	}
	return out
}

// nextLogProbs returns, for each token of the rows (their normed states h in order), the log-probability of what follows it in
// its row, which is the end for the last.
func (m *Model) nextLogProbs(h []float32, ids []int, rows [][]int) []float64 {
	out := make([]float64, 0, len(ids))
	var next []int
	for _, t := range rows {
		for j := range t {
			if j+1 < len(t) {
				next = append(next, t[j+1])
			} else {
				next = append(next, m.end)
			}
		}
	}
	const chunk = 16 // rows of logits held at once
	top, logSum := make([]float32, chunk), make([]float64, chunk)
	d, v := m.w.Dim, m.w.Vocab
	for at := 0; at < len(next); at += chunk {
		n := min(chunk, len(next)-at)
		logits := m.logits(h[at*d:(at+n)*d], n)
		kernel.LogSumExp(logits, v, top[:n], logSum)
		for i := range n {
			out = append(out, float64(logits[i*v+next[at+i]])-logSum[i])
		}
	}
	return out
}
