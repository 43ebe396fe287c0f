package eval

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/personaweave/personaweave/engine/corpus"
)

// NGram is an interpolated 5-gram of modified Kneser–Ney smoothing (Chen and Goodman 1998) over words and marks, whose history begins
// with the last words of the player's line. Its vocabulary is open: a word that it did not meet twice is spelled, by a 5-gram of
// the same kind over bytes, so that the probabilities of all replies sum to 1.
type NGram struct {
	words   *grams
	letters *grams
	ids     map[string]int
}

// gramOrder is the length of the longest n-gram, in words and in bytes.
const gramOrder = 5

// Symbols of the word model; words come after them. pad and turn stand only in histories.
const (
	pad = iota
	turn
	end
	unknown
	firstWord
)

// Symbols of the letter model: bytes, an end, and what stands before a word.
const (
	letterEnd = 256
	letterPad = 257
)

// NewNGram counts the replies of exchanges.
func NewNGram(learn []corpus.Exchange) *NGram {
	g := &NGram{ids: map[string]int{}}
	count := map[string]int{}
	replies := make([][]string, len(learn))
	var order []string
	for i, x := range learn {
		replies[i] = pieces(x.Says)
		for _, w := range replies[i] {
			if count[w]++; count[w] == 1 {
				order = append(order, w)
			}
		}
	}
	g.letters = newGrams(257)
	for _, w := range order {
		if count[w] > 1 {
			g.ids[w] = firstWord + len(g.ids)
			continue
		}
		s := spelled(w)
		for i := gramOrder - 1; i < len(s); i++ {
			g.letters.count(s[i-gramOrder+1 : i+1])
		}
	}
	g.words = newGrams(len(g.ids) + 2) // and end, unknown
	for i, x := range learn {
		s := g.history(x.You)
		for _, w := range replies[i] {
			s = append(s, g.id(w))
		}
		s = append(s, end)
		for j := gramOrder - 1; j < len(s); j++ {
			g.words.count(s[j-gramOrder+1 : j+1])
		}
	}
	return g
}

// history is what stands before a reply: gramOrder−1 symbols.
func (g *NGram) history(line string) []int {
	s := make([]int, gramOrder-1) // pad
	for _, w := range pieces(line) {
		s = append(s, g.id(w))
	}
	s = append(s, turn)
	return slices.Clone(s[len(s)-gramOrder+1:])
}

func (g *NGram) id(word string) int {
	if id, ok := g.ids[word]; ok {
		return id
	}
	return unknown
}

// Score implements Scorer. White space counts as one space.
func (g *NGram) Score(m Moment, texts []string) []Likelihood {
	out := make([]Likelihood, len(texts))
	for i, text := range texts {
		s := g.history(m.asked())
		sum := 0.0
		add := func(id int) {
			s = append(s, id)
			sum += math.Log(g.words.prob(s[len(s)-gramOrder:]))
		}
		words := pieces(text)
		for _, w := range words {
			if add(g.id(w)); s[len(s)-1] == unknown {
				sum += g.spell(w)
			}
		}
		add(end)
		out[i] = Likelihood{sum, len(words) + 1}
	}
	return out
}

// spell is the log-probability of a word's letters.
func (g *NGram) spell(word string) float64 {
	sum := 0.0
	s := spelled(word)
	for i := gramOrder - 1; i < len(s); i++ {
		sum += math.Log(g.letters.prob(s[i-gramOrder+1 : i+1]))
	}
	return sum
}

func spelled(word string) []int {
	s := make([]int, 0, gramOrder+len(word))
	for range gramOrder - 1 {
		s = append(s, letterPad)
	}
	for _, b := range []byte(word) {
		s = append(s, int(b))
	}
	return append(s, letterEnd)
}

// pieces cuts a text into words and marks, each with the space before it; the first one counts as having one. Joined, they are the
// text again.
func pieces(text string) (out []string) {
	for field := range strings.FieldsSeq(text) {
		start, inWord := 0, false
		cut := func(to int) {
			if to > start {
				p := field[start:to]
				if start == 0 {
					p = " " + p
				}
				out = append(out, p)
			}
			start = to
		}
		for i, r := range field {
			word := unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'' || r == '’'
			if !word || !inWord {
				cut(i)
			}
			inWord = word
		}
		cut(len(field))
	}
	return out
}

// grams counts n-grams of up to gramOrder symbols: the longest as often as they stand, the shorter by how many different symbols
// stand before them.
type grams struct {
	size    int                   // how many symbols can come
	counts  map[uint64]int32      // by n-gram
	after   map[uint64]*follow    // by history
	ofCount [gramOrder + 1][5]int // n-grams by length and count, up to 4
}

// follow is what is known of a history: the counts that follow it, and how many are 1, 2 and more.
type follow struct {
	total int32
	n     [4]int32
}

func newGrams(size int) *grams {
	return &grams{size: size, counts: map[uint64]int32{}, after: map[uint64]*follow{}}
}

// key names a row of symbols: 64 bits, so that among millions no two meet.
func key(s []int) uint64 {
	h := uint64(len(s)) << 48
	for _, x := range s { // splitmix64 (Steele et al. 2014)
		h += uint64(x) + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// count counts an n-gram of gramOrder symbols, and the shorter ones in it where it is new.
func (g *grams) count(s []int) {
	for ; len(s) > 0; s = s[1:] {
		k, h := key(s), key(s[:len(s)-1])
		c := g.counts[k]
		g.counts[k] = c + 1
		f := g.after[h]
		if f == nil {
			f = &follow{}
			g.after[h] = f
		}
		f.total++
		if c > 0 {
			f.n[min(c, 3)]--
		}
		f.n[min(c+1, 3)]++
		if c > 0 && c < 5 {
			g.ofCount[len(s)][c]--
		}
		if c+1 < 5 {
			g.ofCount[len(s)][c+1]++
		}
		if c > 0 {
			break
		}
	}
}

// discounts are those of Chen and Goodman (1998), equation 17, or 0.5, 1 and 1.5 where there is too little to tell.
func (g *grams) discounts(n int) [4]float64 {
	c, d := g.ofCount[n], [4]float64{0, 0.5, 1, 1.5}
	if c[1] > 0 && c[2] > 0 && c[3] > 0 && c[4] > 0 {
		y := float64(c[1]) / float64(c[1]+2*c[2])
		for k := 1; k <= 3; k++ {
			if x := float64(k) - float64(k+1)*y*float64(c[k+1])/float64(c[k]); x > 0 && x < float64(k) {
				d[k] = x
			}
		}
	}
	return d
}

// prob is the probability of the last symbol after the others.
func (g *grams) prob(s []int) float64 {
	p := 1 / float64(g.size)
	for n := 1; n <= len(s); n++ {
		t := s[len(s)-n:]
		f := g.after[key(t[:n-1])]
		if f == nil {
			break
		}
		d := g.discounts(n)
		c := g.counts[key(t)]
		left := d[1]*float64(f.n[1]) + d[2]*float64(f.n[2]) + d[3]*float64(f.n[3])
		p = (max(0, float64(c)-d[min(c, 3)]) + left*p) / float64(f.total)
	}
	return p
}
