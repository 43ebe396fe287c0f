package token

import (
	"fmt"
	"iter"
	"sort"
)

// Train learns a vocabulary of size tokens from texts: the special tokens, the 256 bytes, then merges of the pair seen most often,
// the earlier pair on ties (Sennrich et al. 2016). It stops early when no pair is seen twice.
func Train(texts iter.Seq[string], size int, special []string) (*Tokenizer, error) {
	if least := len(special) + 256; size < least {
		return nil, fmt.Errorf("a vocabulary of %d tokens is too small: the specials and the bytes are %d", size, least)
	}
	counts := map[string]int{}
	for text := range texts {
		for text != "" {
			n := word(text)
			counts[text[:n]]++
			text = text[n:]
		}
	}
	words := make([]string, 0, len(counts))
	for w := range counts {
		words = append(words, w)
	}
	sort.Strings(words)
	vocab := make([]string, 256)
	for b := range vocab {
		vocab[b] = string([]byte{byte(b)})
	}
	known := map[string]bool{}
	split := make([][]int, len(words))
	seen, where := map[[2]int]int{}, map[[2]int]map[int]bool{}
	note := func(w, sign int) {
		for j := 0; j+1 < len(split[w]); j++ {
			p := [2]int{split[w][j], split[w][j+1]}
			seen[p] += sign * counts[words[w]]
			if sign > 0 {
				if where[p] == nil {
					where[p] = map[int]bool{}
				}
				where[p][w] = true
			}
		}
	}
	for i, w := range words {
		for j := range len(w) {
			split[i] = append(split[i], int(w[j]))
		}
		note(i, 1)
	}
	var merges []string
	for len(vocab)+len(special) < size {
		best, most := [2]int{}, 1
		for p, n := range seen {
			if n > most || n == most && n > 1 && (p[0] < best[0] || p[0] == best[0] && p[1] < best[1]) {
				best, most = p, n
			}
		}
		if most < 2 {
			break
		}
		joined := vocab[best[0]] + vocab[best[1]]
		if known[joined] { // another pair made the same token: this one may not
			delete(seen, best)
			continue
		}
		known[joined] = true
		id := len(vocab)
		vocab = append(vocab, joined)
		merges = append(merges, printable(vocab[best[0]])+" "+printable(vocab[best[1]]))
		for w := range where[best] {
			note(w, -1)
			old := split[w]
			kept := old[:0]
			for j := 0; j < len(old); j++ {
				if j+1 < len(old) && old[j] == best[0] && old[j+1] == best[1] {
					kept = append(kept, id)
					j++
				} else {
					kept = append(kept, old[j])
				}
			}
			split[w] = kept
			note(w, 1)
		}
		delete(seen, best)
		delete(where, best)
	}
	names := append([]string{}, special...)
	for _, v := range vocab {
		names = append(names, printable(v))
	}
	isSpecial := make([]bool, len(names))
	for i := range special {
		isSpecial[i] = true
	}
	return build(names, merges, isSpecial)
}
