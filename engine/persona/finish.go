package persona

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine"
)

// finish makes what the decoder wrote a line that can be said: the label before it and the turns after it go, an unfinished
// sentence goes where the cap cut it, marks left open are closed or dropped, names are filled in. whole tells that what is left is
// complete.
func finish(text string, ended bool, p engine.Prompt) (_ string, whole bool) {
	text, cut := turn(text, p)
	text = strings.Join(strings.Fields(engine.Printable(text)), " ")
	if whole = ended || cut; !whole {
		text, whole = sentences(text)
	}
	return engine.Fill(closed(text), "", p.Name), whole
}

// turn returns the character's own turn of a text, without its label, and whether another turn was cut off behind it.
func turn(text string, p engine.Prompt) (_ string, cut bool) {
	for _, mark := range []string{"<|im_", "<|end", "</s>", "###"} {
		if i := strings.Index(text, mark); i >= 0 {
			text, cut = text[:i], true
		}
	}
	text = strings.TrimSpace(text)
	for i := 0; i < len(text); i++ {
		if text[i] != ':' || i+1 < len(text) && !strings.ContainsRune(" \n*", rune(text[i+1])) {
			continue
		}
		start, line := begins(text[:i])
		switch who := speaker(text[start:i], p); {
		case who == own && start == 0:
			text, i = strings.TrimLeft(text[i+1:], "* \n"), -1
		case who == own, who == player, who == other && line && start > 0:
			return strings.TrimSpace(text[:start]), true
		}
	}
	return text, cut
}

// begins returns where the last sentence of a text begins, and whether that is where a line begins.
func begins(text string) (start int, line bool) {
	line = true
	ended := false
	for i, r := range text {
		switch {
		case r == '\n':
			start, line, ended = i+1, true, false
		case r == ' ' && ended:
			start, line = i+1, false
		case !strings.ContainsRune(`"”’*) `, r):
			ended = ender(r)
		}
	}
	return start, line
}

func ender(r rune) bool { return strings.ContainsRune(".!?…", r) }

// Whose turn a label begins.
type whose int

const (
	nobody whose = iota
	own
	player
	other // "You:", "Hale:", which a character may say too
)

// speaker tells whose turn a label begins.
func speaker(label string, p engine.Prompt) whose {
	says := engine.Fold(label)
	if says == "" || len(strings.Fields(says)) > 3 || strings.ContainsAny(label, ",;") || !capital(label) {
		return nobody
	}
	is := func(name string) bool {
		name = engine.Fold(name)
		return name != "" && strings.Contains(" "+says+" ", " "+name+" ")
	}
	switch {
	case is(p.Name), says == "assistant", says == "char", says == "bot":
		return own
	case says == "user", says == "human", says == "player":
		return player
	case says == "you", slices.ContainsFunc(p.Turns, func(s engine.Spoken) bool { return !s.Player && is(s.Name) }):
		return other
	}
	return nobody
}

// capital reports whether every word begins like a name, or is a placeholder for one.
func capital(label string) bool {
	for w := range strings.FieldsSeq(label) {
		if r, _ := utf8.DecodeRuneInString(strings.TrimLeft(w, "*[(\"“{<")); unicode.IsLower(r) && !strings.ContainsAny(w, "{<") {
			return false
		}
	}
	return true
}

// titles end in a full stop that ends no sentence.
var titles = []string{"Mr", "Mrs", "Ms", "Dr", "St", "Mt", "No"}

// sentences returns the finished sentences at the beginning of a text; where there is none, all of it, and false.
func sentences(text string) (string, bool) {
	last, ended := 0, false
	word := ""
	for i, r := range text {
		switch {
		case r == ' ':
			if ended {
				last = i
			}
			word, ended = "", false
		case ender(r):
			ended = r != '.' || !slices.Contains(titles, word)
		case !strings.ContainsRune(`"”’*)]`, r):
			word, ended = word+string(r), false
		}
	}
	switch {
	case ended:
		return text, true
	case last > 0:
		return text[:last], true
	}
	return text, false
}

// opening and closing marks, in the same order.
const opening, closing = "([“", ")]”"

// partner returns the mark at the same place of the other list, or what it was given.
func partner(mark, among, of string) string {
	at := slices.Index([]rune(among), []rune(mark)[0])
	if at < 0 {
		return mark
	}
	return string([]rune(of)[at])
}

// closed closes what was opened and not closed, where one sentence stands behind it, and else drops the mark; and it drops marks
// that close nothing.
func closed(text string) string {
	type mark struct {
		at   int
		text string
	}
	r := []rune(text)
	var open []mark
	drop := map[int]int{} // from where, how many
	for i := 0; i < len(r); i++ {
		before, after := ' ', ' '
		if i > 0 {
			before = r[i-1]
		}
		n := 1
		for r[i] == '*' && i+n < len(r) && r[i+n] == '*' {
			n++
		}
		if i+n < len(r) {
			after = r[i+n]
		}
		m := mark{i, string(r[i : i+n])}
		same := slices.IndexFunc(open, func(o mark) bool { return o.text == m.text })
		switch c := r[i]; {
		case strings.ContainsRune(opening, c):
			open = append(open, m)
		case strings.ContainsRune(closing, c):
			if o := slices.IndexFunc(open, func(o mark) bool { return o.text == partner(m.text, closing, opening) }); o >= 0 {
				open = slices.Delete(open, o, o+1)
			} else if !stands(r[:i], c) {
				drop[i] = 1
			}
		case c != '"' && c != '*':
		case same >= 0:
			open = slices.Delete(open, same, same+1)
		case before == ' ' && after == ' ' && i > 0 && i+n < len(r): // 3 * 4
		case c == '"' && unicode.IsDigit(before): // inches
		case (unicode.IsSpace(before) || strings.ContainsRune("([“\"*—–-", before)) && !unicode.IsSpace(after):
			open = append(open, m)
		default:
			drop[i] = n
		}
		i += n - 1
	}
	end := ""
	for _, m := range slices.Backward(open) {
		n := utf8.RuneCountInString(m.text)
		rest := string(r[m.at+n:])
		start, _ := begins(rest)
		if start > 0 || strings.TrimSpace(rest) == "" {
			drop[m.at] = n
		} else {
			end += partner(m.text, opening, closing)
		}
	}
	if len(drop) == 0 {
		return text + end
	}
	var out []rune
	for i := 0; i < len(r); i++ {
		if n := drop[i]; n > 0 {
			i += n - 1
			continue
		}
		out = append(out, r[i])
	}
	return strings.Join(strings.Fields(string(out)), " ") + end
}

// upright matches what a closing bracket follows without an opening one: a face :) or an item, a) or 12).
var upright = regexp.MustCompile(`(?:^| )(?:[:;=]-?|\d{1,2}|[a-z])$`)

func stands(text []rune, bracket rune) bool {
	return bracket == ')' && upright.MatchString(string(text))
}
