package engine

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLine is the longest player's line that is kept, in characters; what is beyond is cut with a notice.
const MaxLine = 2000

// Clean makes a player's line safe to store, draw and read: escape sequences, control and direction-override characters go,
// white space is squeezed, Unicode is composed (NFC), and the length is capped at MaxLine. It reports whether it cut the
// line, and fails with code Invalid when nothing is left.
func Clean(line string) (text string, cut bool, err error) {
	if len(line) > 8*utf8.UTFMax*MaxLine { // a paste of megabytes is cut before it costs anything
		line, cut = line[:8*utf8.UTFMax*MaxLine], true
	}
	line = norm.NFC.String(strings.ToValidUTF8(Printable(line), ""))
	line = strings.Join(strings.Fields(line), " ")
	if utf8.RuneCountInString(line) > MaxLine {
		line, cut = strings.TrimSpace(string([]rune(line)[:MaxLine])), true
	}
	if line == "" {
		return "", cut, &Error{Code: Invalid, Message: "there is nothing to say in that line", Hint: "type a few words, or /help"}
	}
	return line, cut, nil
}

// Printable removes escape sequences, control characters (line breaks and tabs become spaces) and the marks that turn or
// embed text direction, so that a text can be drawn in a terminal.
func Printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 0x1b || r == 0x9b || r == 0x9d || r == 0x90:
			i += escape(s[i:], n)
			continue
		case r == '\n' || r == '\r' || r == '\t' || r == 0x2028 || r == 0x2029:
			b.WriteByte(' ')
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff, r == utf8.RuneError && n == 1:
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// escape returns the length of the escape sequence at the start of s, whose introducer is n bytes long (ECMA-48: CSI ends at
// 0x40–0x7e; OSC, DCS, SOS, PM and APC end at BEL or ST; others are two bytes).
func escape(s string, n int) int {
	kind, i := byte(0), n
	switch r, _ := utf8.DecodeRuneInString(s); r {
	case 0x9b:
		kind = '['
	case 0x9d, 0x90:
		kind = ']'
	default:
		if i >= len(s) {
			return i
		}
		kind = s[i]
		i++
	}
	switch kind {
	case '[':
		for i < len(s) {
			c := s[i]
			i++
			if c >= 0x40 && c <= 0x7e || c < 0x20 {
				break
			}
		}
	case ']', 'P', 'X', '^', '_':
		for i < len(s) {
			c := s[i]
			i++
			if c == 0x07 {
				break
			}
			if c == 0x1b {
				if i < len(s) && s[i] == '\\' {
					i++
				}
				break
			}
		}
	}
	return i
}
