// Package token turns text into tokens and back: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019) with
// the pre-tokenisers that GGUF calls "smollm" (every digit alone, then GPT-2's words) and "llama-bpe" (Llama 3's words). It knows
// text and ids, nothing of models.
package token

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine/gguf"
)

// Tokenizer is a vocabulary with its merges. It is safe for concurrent use.
type Tokenizer struct {
	bytes    []string       // what each token stands for; special tokens: their name
	ids      map[string]int // ordinary tokens by bytes
	special  map[string]int // special tokens by name
	isSpec   []bool
	byteID   [256]int // −1: the vocabulary lacks the byte
	escape   int      // the token that announces a byte that the vocabulary lacks; −1: none is lacking
	lacking  []byte   // those bytes; the i-th is written escape, letters[i]
	pairs    map[pair]merge
	mergeSeq []pair
	word     func(string) int // the length of a text's first word
	whole    bool             // a word that is a token is that token, whatever the merges make of it

	mu    sync.RWMutex
	cache map[string][]int
}

type pair struct{ left, right int32 }

type merge struct{ rank, id int32 }

const cacheWords, cacheWordLen = 1 << 15, 32

// FromGGUF reads the tokenizer of a model file.
func FromGGUF(f *gguf.File) (*Tokenizer, error) {
	if kind, err := f.Text("tokenizer.ggml.model"); err != nil {
		return nil, err
	} else if kind != "gpt2" {
		return nil, fmt.Errorf("model %s: its tokenizer is of the kind %q, not byte-level BPE; choose another model, such as SmolLM2 or Llama 3", f.Name(), kind)
	}
	pre, err := f.Text("tokenizer.ggml.pre")
	if err != nil {
		pre = "smollm"
	}
	llama3 := pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3"
	if pre != "smollm" && !llama3 {
		return nil, fmt.Errorf("model %s: its text is split by the rules %q, not smollm or llama-bpe; choose another model, such as SmolLM2 or Llama 3", f.Name(), pre)
	}
	words, err := f.Strings("tokenizer.ggml.tokens")
	if err != nil {
		return nil, err
	}
	merges, err := f.Strings("tokenizer.ggml.merges")
	if err != nil {
		return nil, err
	}
	types, err := f.Ints("tokenizer.ggml.token_type")
	if err != nil {
		return nil, err
	}
	if len(types) != len(words) {
		return nil, fmt.Errorf("model %s: %d tokens but %d token types; fetch the file again", f.Name(), len(words), len(types))
	}
	const normal = 1
	special := make([]bool, len(types))
	for i, t := range types {
		special[i] = t != normal
	}
	t, err := build(words, merges, special)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w; fetch the file again", f.Name(), err)
	}
	if llama3 {
		t.word, t.whole = wordLlama3, true
	}
	return t, nil
}

// build makes a tokenizer of tokens and merges written in GPT-2's printable alphabet.
func build(words, merges []string, special []bool) (*Tokenizer, error) {
	t := &Tokenizer{bytes: make([]string, len(words)), ids: make(map[string]int, len(words)), special: map[string]int{}, isSpec: special,
		pairs: make(map[pair]merge, len(merges)), cache: map[string][]int{}, escape: -1, word: word}
	for i, w := range words {
		if special[i] {
			t.bytes[i] = w
			t.special[w] = i
			continue
		}
		b, ok := fromPrintable(w)
		if !ok || b == "" {
			return nil, fmt.Errorf("token %d, %q, is not in the byte alphabet", i, w)
		}
		if _, twice := t.ids[b]; twice {
			return nil, fmt.Errorf("token %d, %q, is there twice", i, w)
		}
		t.bytes[i], t.ids[b] = b, i
	}
	for i := range t.byteID {
		id, ok := t.ids[string([]byte{byte(i)})]
		if !ok {
			id = -1
			t.lacking = append(t.lacking, byte(i))
		}
		t.byteID[i] = id
	}
	if len(t.lacking) > 0 {
		for id, s := range special {
			if s {
				t.escape = id
				break
			}
		}
		if t.escape < 0 || len(t.lacking) > 26*2 {
			return nil, fmt.Errorf("the vocabulary lacks %d bytes", len(t.lacking))
		}
		for i := range t.lacking {
			if t.byteID[letter(i)] < 0 {
				return nil, fmt.Errorf("the vocabulary lacks the letter %q", letter(i))
			}
		}
	}
	for rank, m := range merges {
		a, b, ok := strings.Cut(m, " ")
		left, ok1 := fromPrintable(a)
		right, ok2 := fromPrintable(b)
		l, ok3 := t.ids[left]
		r, ok4 := t.ids[right]
		id, ok5 := t.ids[left+right]
		if !ok || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
			return nil, fmt.Errorf("merge %d, %q, joins tokens that are not there", rank, m)
		}
		p := pair{int32(l), int32(r)}
		if _, twice := t.pairs[p]; !twice {
			t.pairs[p] = merge{int32(rank), int32(id)}
			t.mergeSeq = append(t.mergeSeq, p)
		}
	}
	return t, nil
}

// letter is the i-th letter, of 52.
func letter(i int) byte {
	if i < 26 {
		return byte('a' + i)
	}
	return byte('A' + i - 26)
}

// Len is the number of tokens.
func (t *Tokenizer) Len() int { return len(t.bytes) }

// Special returns the id of a special token by its name.
func (t *Tokenizer) Special(name string) (int, bool) {
	id, ok := t.special[name]
	return id, ok
}

// IsSpecial tells whether an id is a special token, which no text encodes to by its name.
func (t *Tokenizer) IsSpecial(id int) bool { return id >= 0 && id < len(t.isSpec) && t.isSpec[id] }

// Encode returns the tokens of text. Names of special tokens in it are text like any other.
func (t *Tokenizer) Encode(text string) []int { return t.AppendEncode(nil, text) }

// AppendEncode appends the tokens of text to dst.
func (t *Tokenizer) AppendEncode(dst []int, text string) []int {
	for text != "" {
		n := t.word(text)
		dst = t.encodeWord(dst, text[:n])
		text = text[n:]
	}
	return dst
}

func (t *Tokenizer) encodeWord(dst []int, w string) []int {
	if id, ok := t.ids[w]; ok && (len(w) == 1 || t.whole) {
		return append(dst, id)
	}
	if len(w) <= cacheWordLen {
		t.mu.RLock()
		ids, ok := t.cache[w]
		t.mu.RUnlock()
		if ok {
			return append(dst, ids...)
		}
	}
	from := len(dst)
	dst = t.merge(dst, w)
	if len(w) <= cacheWordLen {
		t.mu.Lock()
		if len(t.cache) >= cacheWords {
			clear(t.cache)
		}
		t.cache[strings.Clone(w)] = append([]int(nil), dst[from:]...)
		t.mu.Unlock()
	}
	return dst
}

// Decode returns the text of tokens; special tokens are left out. Of tokens that Encode made it is the text exactly.
func (t *Tokenizer) Decode(ids []int) string {
	var b strings.Builder
	for i := 0; i < len(ids); i++ {
		id := ids[i]
		if id == t.escape && i+1 < len(ids) {
			if c, ok := t.lacked(ids[i+1]); ok {
				b.WriteByte(c)
				i++
				continue
			}
		}
		if id >= 0 && id < len(t.bytes) && !t.isSpec[id] {
			b.WriteString(t.bytes[id])
		}
	}
	return b.String()
}

// lacked returns the byte that a letter after escape stands for.
func (t *Tokenizer) lacked(id int) (byte, bool) {
	for i, c := range t.lacking {
		if t.byteID[letter(i)] == id {
			return c, true
		}
	}
	return 0, false
}

// DecodeToken returns the bytes of one token, which may be a part of a character; none for a special token.
func (t *Tokenizer) DecodeToken(id int) []byte {
	if id < 0 || id >= len(t.bytes) || t.isSpec[id] {
		return nil
	}
	return []byte(t.bytes[id])
}

// Words returns the vocabulary and the merges in GPT-2's printable alphabet, as a model file keeps them.
func (t *Tokenizer) Words() (words, merges []string) {
	for i, b := range t.bytes {
		if t.isSpec[i] {
			words = append(words, b)
		} else {
			words = append(words, printable(b))
		}
	}
	for _, p := range t.mergeSeq {
		merges = append(merges, printable(t.bytes[p.left])+" "+printable(t.bytes[p.right]))
	}
	return words, merges
}

// GPT-2's printable alphabet: a byte that is a visible Latin-1 character stands for itself, the others follow from U+0100 on.
var alphabet, fromAlphabet = func() (to [256]rune, from map[rune]byte) {
	from = map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = next
			next++
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()

func printable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(alphabet[s[i]])
	}
	return b.String()
}

func fromPrintable(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r < utf8.RuneSelf && r > ' ' && r != 0x7f {
			out = append(out, byte(r))
			continue
		}
		b, ok := fromAlphabet[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}
