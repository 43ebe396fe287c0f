package token

import "container/heap"

// merge appends the tokens of one word: its bytes, joined pair by pair, the pair of the lowest rank first, the leftmost on ties.
func (t *Tokenizer) merge(dst []int, w string) []int {
	from := len(dst)
	for i := range len(w) {
		if id := t.byteID[w[i]]; id >= 0 {
			dst = append(dst, id)
			continue
		}
		for j, c := range t.lacking {
			if c == w[i] {
				dst = append(dst, t.escape, t.byteID[letter(j)])
			}
		}
	}
	const short = 48
	if len(dst)-from > short {
		return append(dst[:from], t.mergeLong(dst[from:])...)
	}
	for {
		best, at := merge{rank: 1 << 30}, -1
		for i := from; i+1 < len(dst); i++ {
			if i > from && dst[i-1] == t.escape {
				continue // the letter of an escaped byte
			}
			if m, ok := t.pairs[pair{int32(dst[i]), int32(dst[i+1])}]; ok && m.rank < best.rank {
				best, at = m, i
			}
		}
		if at < 0 {
			return dst
		}
		dst[at] = int(best.id)
		dst = append(dst[:at+1], dst[at+2:]...)
	}
}

// part is a token of a long word in a doubly linked list.
type part struct{ id, prev, next int32 }

// candidate is a pair that could be joined; it is stale when the ids at left and right changed since.
type candidate struct {
	merge
	left        int32
	leftID, rID int32
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].left < c[j].left
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// mergeLong is merge with a heap: n log n, for words of any length.
func (t *Tokenizer) mergeLong(ids []int) []int {
	parts := make([]part, len(ids))
	for i, id := range ids {
		parts[i] = part{int32(id), int32(i - 1), int32(i + 1)}
	}
	parts[len(parts)-1].next = -1
	var queue candidates
	offer := func(i int32) {
		if i < 0 || parts[i].next < 0 || parts[i].prev >= 0 && int(parts[parts[i].prev].id) == t.escape {
			return
		}
		r := parts[parts[i].next].id
		if m, ok := t.pairs[pair{parts[i].id, r}]; ok {
			heap.Push(&queue, candidate{m, i, parts[i].id, r})
		}
	}
	for i := range parts {
		offer(int32(i))
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		p := &parts[c.left]
		if p.id != c.leftID || p.next < 0 || parts[p.next].id != c.rID {
			continue
		}
		gone := p.next
		p.id, p.next = c.id, parts[gone].next
		parts[gone].id = -1
		if p.next >= 0 {
			parts[p.next].prev = c.left
		}
		offer(p.prev)
		offer(c.left)
	}
	var out []int
	for i := int32(0); i >= 0; i = parts[i].next {
		out = append(out, int(parts[i].id))
	}
	return out
}
