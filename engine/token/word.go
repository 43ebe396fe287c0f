package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind of a character, as the splitting rules see it. Bytes that are not UTF-8 are symbols.
type kind int

const (
	symbol kind = iota
	letters
	number
	space
)

func kindOf(s string) (kind, int) {
	if c := s[0]; c < utf8.RuneSelf {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return letters, 1
		case c >= '0' && c <= '9':
			return number, 1
		case c == ' ' || c >= '\t' && c <= '\r':
			return space, 1
		}
		return symbol, 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n <= 1:
		return symbol, 1
	case unicode.IsLetter(r):
		return letters, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return symbol, n
}

// word is the length of the first word of a text that is not empty: a number character alone; else, up to the next number
// character, GPT-2's
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func word(s string) int {
	k, n := kindOf(s)
	if k == number {
		return n
	}
	if s[0] == '\'' {
		for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if strings.HasPrefix(s, c) {
				return len(c)
			}
		}
	}
	at := 0
	if s[0] == ' ' && len(s) > 1 {
		if next, m := kindOf(s[1:]); next == letters || next == symbol {
			k, n, at = next, m, 1
		}
	}
	if k != space {
		for at += n; at < len(s); at += n {
			var next kind
			if next, n = kindOf(s[at:]); next != k {
				break
			}
		}
		return at
	}
	last := 0 // where the last space of the run begins
	for at = n; at < len(s); at += n {
		var next kind
		if next, n = kindOf(s[at:]); next != space {
			if next == number || last == 0 {
				return at
			}
			return last
		}
		last = at
	}
	return at
}

// wordLlama3 is word by the rules of Llama 3 ("llama-bpe"), contractions in capitals too:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func wordLlama3(s string) int {
	if s[0] == '\'' {
		for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if len(s) >= len(c) && strings.EqualFold(s[:len(c)], c) {
				return len(c)
			}
		}
	}
	// run is where characters of a kind end that begin at i, at most so many.
	run := func(i int, of kind, most int) int {
		for ; i < len(s) && most > 0; most-- {
			k, n := kindOf(s[i:])
			if k != of {
				break
			}
			i += n
		}
		return i
	}
	k, n := kindOf(s)
	first := 0 // where the letters or symbols begin
	switch {
	case k == number:
		return run(0, number, 3)
	case k == letters:
		return run(0, letters, len(s))
	case s[0] != '\r' && s[0] != '\n' && run(n, letters, 1) > n:
		return run(n, letters, len(s))
	case s[0] == ' ' && run(1, symbol, 1) > 1:
		first = 1
		fallthrough
	case k == symbol:
		end := run(first, symbol, len(s))
		return end + len(s[end:]) - len(strings.TrimLeft(s[end:], "\r\n"))
	}
	end := run(0, space, len(s))
	if i := strings.LastIndexAny(s[:end], "\r\n"); i >= 0 {
		return i + 1
	}
	_, last := utf8.DecodeLastRuneInString(s[:end])
	if end == len(s) || end == last {
		return end
	}
	return end - last
}
