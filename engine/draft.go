package engine

import (
	"regexp"
	"strings"
	"unicode"
)

// placeholder stands in card texts for a name; with what may follow it and must agree with another person.
var placeholder = regexp.MustCompile(`(?i)(?:\{\{?\s*(user|player|char|bot|character)\s*\}?\}|<(user|player|char|bot)>)(['’]s\b( (?:here|there|not|been|going|gone|right|wrong|late|back|an?|the|in|on|at|never|always|still)\b)?| (?:isn['’]t|wasn['’]t|hasn['’]t|doesn['’]t|is|was|has|does)\b)?`)

// greets tells that a name after this word is called out.
var greets = regexp.MustCompile(`(?i)(?:^|[\s"“*(])(?:hello|hi|hey|welcome|greetings|thanks|goodbye|bye|dear|morning|afternoon|evening|night|yes|no|well|oh|ah|sorry|please|come|sir)$`)

// Fill puts names where a text has {{user}}, {{char}}, <USER> and the like: the player's, and the character's own. Without a name
// the player is "you", or "friend" where somebody is called; a character without one is "I".
func Fill(text, player, name string) string {
	at := placeholder.FindAllStringSubmatchIndex(text, -1)
	if at == nil {
		return text
	}
	var b strings.Builder
	from := 0
	for _, m := range at {
		word := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		before, after := strings.TrimRight(text[:m[0]], " "), text[m[1]:]
		who := name
		mine := true
		if kind := strings.ToLower(word(1) + word(2)); kind == "user" || kind == "player" {
			who, mine = player, false
		}
		tail := word(3)
		says := who + tail
		if who == "" {
			says = pronoun(mine, before, tail, word(4), after)
		}
		if begins := before == "" || strings.ContainsRune(".!?…", rune(before[len(before)-1])); begins {
			r := []rune(says)
			r[0] = unicode.ToUpper(r[0])
			says = string(r)
		}
		b.WriteString(text[from:m[0]] + says)
		from = m[1]
	}
	return b.String() + text[from:]
}

// pronoun says "you" or "I" in place of a name: before it, the verb or the 's that follows, what stands after that 's, the rest.
func pronoun(mine bool, before, tail, is, rest string) string {
	i, am, was, have, do, me, my := "you", "are", "were", "have", "do", "you", "your"
	if mine {
		i, am, was, have, do, me, my = "I", "am", "was", "have", "do", "me", "my"
	}
	verb := strings.ReplaceAll(strings.TrimSpace(strings.ToLower(tail)), "’", "'")
	stem, negated := strings.CutSuffix(verb, "n't")
	not := ""
	if negated {
		not = " not"
	}
	switch {
	case is != "":
		return i + " " + am + is
	case verb == "'s":
		return my
	case stem == "is":
		return i + " " + am + not
	case stem == "was":
		return i + " " + was + not
	case stem == "has":
		return i + " " + have + not
	case stem == "does":
		return i + " " + do + not
	}
	if ends := rest == "" || strings.ContainsAny(rest[:1], ",.!?;:") || strings.HasPrefix(rest, "…") || strings.HasPrefix(rest, " —"); !mine && ends &&
		(before == "" || strings.ContainsAny(before[len(before)-1:], ",.!?;:") || greets.MatchString(before)) {
		return "friend"
	}
	if before == "" || strings.ContainsAny(before[len(before)-1:], ".!?;:,") {
		return i
	}
	return me
}

// wordsOf is the set of a text's words.
func wordsOf(text string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(Fold(text)) {
		out[w] = true
	}
	return out
}

// alike reports whether two texts say nearly the same: four in five of all their words are in both.
func alike(a, b map[string]bool) bool {
	both := 0
	for w := range a {
		if b[w] {
			both++
		}
	}
	return 5*both >= 4*(len(a)+len(b)-both)
}

// hollow matches, folded, what answers nothing: assent, thanks and noises.
var hollow = regexp.MustCompile(`^(?:(?:oh|ah|aha|eh|er|um|uh|hm+|mm+|mhm|well|yes|yeah|yep|no|nope|ok|okay|right|sure|fine|indeed|alright|all right|of course|i see|i know|` +
	`i understand|i agree|i do|i am|i m|it is|that s (?:right|true|good|nice|great|fine)|very well|very good|thanks|thank you|me too|you too|sounds good|good|great|nice|cool) ?)+$`)

// empty reports whether a text has no information in it.
func empty(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) || hollow.MatchString(Fold(text))
}
