package engine

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Unfit names what in a text goes beyond a teen rating, or is empty: "slur", "sex", "gore", "drugs", "self-harm" or "profanity".
// Fights, fear, a death and a mild oath are within it. It knows words and phrases, not meaning: it compares whole words, in small
// letters, also where they are masked (f*ck), spelt with signs (sh1t), stretched or spaced out; what only sounds like them, such
// as a cocked rifle, passes.
func Unfit(text string) string {
	views, masked := readings(text)
	for _, m := range masked {
		if slices.ContainsFunc(maskable, func(w string) bool { return behind(m, w) }) {
			return "profanity"
		}
	}
	innocent, rules := rating()
	for _, v := range views {
		for _, u := range rules {
			if u.may(v) && u.words.MatchString(v) && u.words.MatchString(innocent.ReplaceAllString(v, stop)) {
				return u.what
			}
		}
	}
	return ""
}

// signs are what letters are written with, and lookalikes from another alphabet.
var signs = strings.NewReplacer("@", "a", "$", "s", "0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "!", "i", "|", "i",
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "у", "y", "х", "x", "к", "k", "і", "i", "ѕ", "s")

// spelled undoes what an apostrophe would join to another word.
var spelled = strings.NewReplacer("'re ", " are ", "’re ", " are ")

// stop stands in a reading for the end of a sentence.
const stop = "/"

// readings are the ways to read a text: its words in small letters without marks, one space between them; and, where that differs,
// with signs read as letters, stretched letters cut to two and to one, spelt words joined. masked are words with signs for letters.
func readings(text string) (views, masked []string) {
	var b strings.Builder
	for _, r := range norm.NFKD.String(spelled.Replace(text)) {
		if r != '\'' && r != '’' && !unicode.In(r, unicode.Mn, unicode.Cf) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	parts := func(w string) []string {
		return strings.FieldsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	var plain, read []string
	for w := range strings.FieldsSeq(b.String()) {
		plain = append(plain, parts(w)...)
		bare := strings.TrimFunc(w, func(r rune) bool { return strings.ContainsRune(".,;:?!…\"“”()[]", r) })
		if strings.HasPrefix(bare, "*") {
			bare = strings.Trim(bare, "*") // an action, not a mask
		}
		if strings.ContainsAny(bare, masks) {
			masked = append(masked, bare)
		}
		if strings.ContainsFunc(bare, unicode.IsLetter) {
			bare = signs.Replace(bare)
		}
		read = append(read, parts(bare)...)
		if end, _ := utf8.DecodeLastRuneInString(strings.TrimRight(w, `"”*)]`)); strings.ContainsRune(".!?;:…", end) {
			plain, read = append(plain, stop), append(read, stop) // no phrase goes on behind it
		}
	}
	add := func(words []string) {
		if v := strings.Join(words, " "); !slices.Contains(views, v) {
			views = append(views, v)
		}
	}
	add(plain)
	add(read)
	for n := 1; n <= 2; n++ {
		short := slices.Clone(read)
		for i, w := range short {
			short[i] = shorten(w, n)
		}
		add(short)
	}
	add(joined(read))
	return views, masked
}

// shorten cuts letters that stand three times or more in a row to n, 1 or 2.
func shorten(w string, n int) string {
	var out []rune
	run, last := 0, rune(0)
	for _, c := range w {
		if c != last {
			run, last = 0, c
		}
		out = append(out, c)
		switch run++; {
		case run == 3:
			out = out[:len(out)-3+n]
		case run > 3:
			out = out[:len(out)-1]
		}
	}
	return string(out)
}

// joined joins three or more letters that stand alone.
func joined(words []string) []string {
	var out []string
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && len(words[j]) == 1 && words[j] != stop {
			j++
		}
		if j-i >= 3 {
			out, i = append(out, strings.Join(words[i:j], "")), j
		} else {
			out, i = append(out, words[i]), i+1
		}
	}
	return out
}

// masks stand for letters inside a word; at its end, only two or more stars do.
const masks = "*#_-.•@%&^"

var maskable = strings.Fields("fuck fucks fucked fucker fuckers fucking motherfucker motherfucking shit shits shitty shithead bullshit cunt cunts bitch " +
	"bitches ass asshole assholes nigger niggers nigga niggas faggot faggots whore whores slut sluts pussy dick cock twat wank wanker tits penis vagina rape")

// behind reports whether a masked word may be this one.
func behind(masked, word string) bool {
	m, w := []rune(masked), []rune(word)
	stars := len(m) - len([]rune(strings.TrimRight(masked, "*")))
	if len(m) != len(w) || m[0] != w[0] || stars == 1 || stars == 2 && len(m) == 3 {
		return false
	}
	for i := range m {
		if m[i] != w[i] && (!strings.ContainsRune(masks, m[i]) || i == len(m)-1 && stars == 0) {
			return false
		}
	}
	return masked != word
}

// ratings is the list: under a heading in brackets, lines "stems: pattern". A pattern is a regular expression over whole words, and
// looked for only in a text that holds one of the stems. What "innocent" matches is taken out first.
//
//go:embed rating.txt
var ratings string

// rule is a line of the list.
type rule struct {
	what  string
	stems []string
	words *regexp.Regexp
}

func (r *rule) may(view string) bool {
	return slices.ContainsFunc(r.stems, func(s string) bool { return strings.Contains(view, s) })
}

// rating reads the list when a text is first rated.
var rating = sync.OnceValues(func() (innocent *regexp.Regexp, rules []rule) {
	var fine []string
	what := ""
	for line := range strings.Lines(ratings) {
		line = strings.TrimSpace(line)
		stems, pattern, found := strings.Cut(line, ": ")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			what = strings.Trim(line, "[]")
		case what == "innocent":
			fine = append(fine, line)
		case found:
			rules = append(rules, rule{what, strings.Split(stems, ","), whole(pattern)})
		}
	}
	return whole(strings.Join(fine, "|")), rules
})

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`\b(?:` + pattern + `)\b`) }
