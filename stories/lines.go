package stories

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io/fs"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/personaweave/personaweave/engine"
)

// maxBorrowed is how many lines of the written dialogues can be borrowed.
const maxBorrowed = 3000

// ownShare is the least weight of a character in a dialogue turn for the turn to count as a line of its own.
const ownShare = 0.75

// Examples lists every line a character can be found saying, in a stable order: each persona's examples and its replies in
// dialogues, the examples of scenes, and at most 3,000 lines of the written dialogues, spread over their characters, for
// others to borrow. Without heldOut, the lines never trained on are left out: for measuring, not for play. The first call
// reads the dialogues.
func (l *Library) Examples(heldOut bool) ([]engine.Example, error) {
	all, err := l.lines()
	if err != nil {
		return nil, err
	}
	if heldOut {
		return slices.Clone(all), nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(e engine.Example) bool { return e.HeldOut }), nil
}

// Dialogues lists every written dialogue of one character with the player: the cast's, then those of the dialogue files.
func (l *Library) Dialogues() ([]engine.Dialogue, error) {
	var out []engine.Dialogue
	for _, p := range l.personas {
		out = append(out, p.Dialogues...)
	}
	talks, err := readTalks(embedded)
	if err != nil {
		return nil, err
	}
	for _, t := range talks {
		if len(t.Turns) == 0 {
			continue
		}
		d := engine.Dialogue{Scene: t.Context, Goal: t.Goal, Reached: t.Reached, Mood: t.Mood, HeldOut: t.HeldOut}
		for _, turn := range t.Turns {
			d.Turns = append(d.Turns, engine.DialogueTurn{Player: turn.Who == "a", Text: turn.Text})
		}
		out = append(out, d)
	}
	return out, nil
}

// gather makes the list of examples.
func (l *Library) gather(folder fs.FS) ([]engine.Example, error) {
	records, err := readTalks(folder)
	if err != nil {
		return nil, err
	}
	rare := rarity(records)
	var out []engine.Example
	for _, p := range l.personas {
		texts := append(append([]string{p.Name, p.Tagline, p.Description}, p.Descriptions...), p.Knows...)
		mine := append(slices.Clone(p.Examples), replies(p)...)
		for _, e := range mine {
			texts = append(texts, e.Says)
		}
		private := rare.private(strings.Join(texts[:3+len(p.Descriptions)+len(p.Knows)], " "), texts)
		for w := range words(p.Name) {
			private[w] = true
		}
		for _, e := range mine {
			e.Borrow = rare.lendable(e.Says, private) && !asksWho.MatchString(e.You)
			out = append(out, e)
		}
	}
	for _, s := range l.stories {
		for i := range s.Scenes {
			for _, who := range s.Cast {
				out = append(out, s.Scenes[i].Examples[who]...)
			}
		}
	}
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(e engine.Example) bool {
		key := strings.Join([]string{e.Persona, e.Place, engine.Fold(e.You), engine.Fold(e.Says)}, "\x00")
		twice := seen[key]
		seen[key] = true
		return twice
	})
	return append(out, rare.borrowed(records)...), nil
}

// replies are the answers in a persona's dialogues.
func replies(p *engine.Persona) []engine.Example {
	var out []engine.Example
	for _, d := range p.Dialogues {
		you := ""
		for _, t := range d.Turns {
			if t.Player {
				you = t.Text
			} else if you != "" && (t.Blend == nil || t.Blend[p.ID] >= ownShare) {
				out = append(out, engine.Example{Persona: p.ID, You: you, Says: t.Text, Origin: engine.FromDialogue, HeldOut: d.HeldOut})
			}
		}
	}
	return out
}

// talk is what lines can be borrowed from: a dialogue or a grid (README, "Dialogues").
type talk struct {
	Source   string
	Persona  string
	B        []string `json:"persona_b"`
	Context  string
	Goal     string
	Mood     string
	Reached  bool
	HeldOut  bool
	Personas map[string]any
	Lines    []any
	Turns    []struct {
		Who   string
		Text  string
		Blend map[string]float64
	}
	Replies []struct{ You, Says string }
}

// readTalks reads the written dialogues that have one character each, in order of file and line.
func readTalks(folder fs.FS) ([]talk, error) {
	names, err := fs.Glob(folder, "dialogues/*.jsonl.gz")
	if err != nil {
		return nil, err
	}
	var split struct {
		HeldOut map[string][]string
	}
	if data, err := fs.ReadFile(folder, "dialogues/split.json"); err != nil {
		return nil, damaged("dialogues/split.json", 0, err)
	} else if err := json.Unmarshal(data, &split); err != nil {
		return nil, damaged("dialogues/split.json", 0, err)
	}
	lists, errs := make([][]talk, len(names)), make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { lists[i], errs[i] = readTalk[talk](folder, name) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	out := slices.DeleteFunc(slices.Concat(lists...), func(t talk) bool { return t.Persona == "" || len(t.Personas) > 0 || len(t.Lines) > 0 })
	held := map[string]bool{}
	for source, ids := range split.HeldOut {
		for _, id := range ids {
			held[source+"\x00"+id] = true
		}
	}
	for i := range out {
		out[i].HeldOut = out[i].HeldOut || held[out[i].Source+"\x00"+out[i].Persona]
	}
	return out, nil
}

// readTalk reads a dialogue file, a record a line.
func readTalk[T any](folder fs.FS, name string) ([]T, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, damaged(name, 0, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, damaged(name, 0, err)
	}
	defer z.Close()
	var out []T
	sc := bufio.NewScanner(z)
	sc.Buffer(make([]byte, 64<<10), 4<<20)
	line := 0
	for sc.Scan() {
		line++
		var t T
		if err := json.Unmarshal(sc.Bytes(), &t); err != nil {
			return nil, damaged(name, line, err)
		}
		out = append(out, t)
	}
	if err := sc.Err(); err != nil {
		return nil, damaged(name, line+1, err)
	}
	return out, nil
}

func damaged(name string, line int, err error) error {
	at := "stories/" + path.Clean(name)
	if line > 0 {
		at = fmt.Sprintf("%s:%d", at, line)
	}
	return &engine.Error{Code: engine.Damaged, Message: at + " cannot be read", Hint: "install weave again", Err: err}
}

// exchanges are what was said to the character and what it answered.
func (t *talk) exchanges() [][2]string {
	var out [][2]string
	for _, r := range t.Replies {
		out = append(out, [2]string{r.You, r.Says})
	}
	you := ""
	for _, turn := range t.Turns {
		if turn.Who == "a" {
			you = turn.Text
		} else if you != "" && len(turn.Blend) == 0 {
			out = append(out, [2]string{you, turn.Text})
		}
	}
	return out
}

// frequency counts in how many of n talks a word stands: in what is told of character and place, and in what it says.
type frequency struct {
	n            int
	told, spoken map[string]int
}

// rarity counts the words of every talk.
func rarity(talks []talk) frequency {
	f := frequency{len(talks), map[string]int{}, map[string]int{}}
	for i := range talks {
		count(f.told, talks[i].about())
		var all strings.Builder
		for _, x := range talks[i].exchanges() {
			all.WriteString(x[1] + " ")
		}
		count(f.spoken, all.String())
	}
	return f
}

// count adds 1 for each different word of a text.
func count(into map[string]int, text string) {
	seen := map[string]bool{}
	for w := range words(text) {
		if !seen[w] {
			seen[w] = true
			into[w]++
		}
	}
}

var marks = strings.NewReplacer("…", " ", "–", " ", "—", " ", "’", "'", "“", " ", "”", " ")

// words are the folded words of a text.
func words(text string) iter.Seq[string] { return strings.FieldsSeq(engine.Fold(marks.Replace(text))) }

// everyday is the share of talks in which a word must be said, one in so many, for a stranger to say it.
const everyday = 150

// numbers are facts even without digits.
var numbers = regexp.MustCompile(`^(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\pL+teen|(twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?)$`)

func (t *talk) about() string { return strings.Join(t.B, " ") + " " + t.Context + " " + t.Goal }

// private returns the words that belong to one character: the rare words of what is told about it (those in under a
// hundredth of all descriptions), and what is written with a capital inside a sentence anywhere in its texts.
func (f frequency) private(about string, texts []string) map[string]bool {
	out := map[string]bool{}
	for w := range words(about) {
		if len(w) >= 4 && f.told[w]*100 < f.n {
			out[w], out[strings.TrimSuffix(w, "s")], out[w+"s"] = true, true, true
		}
	}
	for _, text := range texts {
		capitals(text, func(w string) bool {
			for part := range words(w) {
				out[part] = true
			}
			return true
		})
	}
	return out
}

// capitals calls found with each word that begins with a capital inside a sentence, I aside, until it returns false.
func capitals(text string, found func(string) bool) {
	begins := true
	for w := range strings.FieldsSeq(text) {
		bare := strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })
		first, _, _ := strings.Cut(strings.ReplaceAll(bare, "’", "'"), "'")
		if r := []rune(bare); len(r) > 0 && unicode.IsUpper(r[0]) && !begins && first != "I" && !found(bare) {
			return
		}
		begins = strings.ContainsAny(w[len(w)-1:], `.!?":*`) || strings.HasSuffix(w, "…")
	}
}

// itself matches what a character says of who it is, and asksWho what asks for that: nobody else can say so.
var (
	itself  = regexp.MustCompile(`(?i)\bi(['’]m| am),? (a|an|the|um|just|only|your|his|her|that)\b|\bmy name\b|\bcall me\b`)
	asksWho = regexp.MustCompile(`(?i)\b(who|what) (are|r) (you|u)\b|\bwho('s| is) (that|there)\b|\byour name\b|\babout yourself\b`)
)

// lendable reports whether another character may say a line: 3 to 14 words, no number, no capital inside a sentence, nothing
// but letters and plain marks, everyday words only, and none of its owner's.
func (f frequency) lendable(says string, private map[string]bool) bool {
	if n := len(strings.Fields(says)); n < 3 || n > 14 {
		return false
	}
	for _, r := range says {
		if !unicode.IsLetter(r) && !strings.ContainsRune(" .,!?'’-…;:", r) {
			return false
		}
	}
	plain := true
	capitals(says, func(string) bool { plain = false; return false })
	if !plain {
		return false
	}
	if itself.MatchString(says) {
		return false
	}
	for w := range words(says) {
		if private[w] || f.spoken[w]*everyday < f.n || numbers.MatchString(w) {
			return false
		}
	}
	return true
}

// borrowed chooses the lines to borrow: one of each character in turn, until there are enough.
func (f frequency) borrowed(talks []talk) []engine.Example {
	type lender struct {
		lines []engine.Example
		talks []*talk
	}
	lenders, order := map[string]*lender{}, []*lender{}
	for i := range talks {
		t := &talks[i]
		l := lenders[t.Persona]
		if l == nil {
			l = &lender{}
			lenders[t.Persona], order = l, append(order, l)
		}
		l.talks = append(l.talks, t)
	}
	seen := map[string]bool{}
	for _, l := range order {
		var about strings.Builder
		var texts []string
		for _, t := range l.talks {
			about.WriteString(t.about() + " " + strings.ReplaceAll(t.Persona, "-", " ") + " ")
			texts = append(append(texts, t.B...), t.Context)
			for _, x := range t.exchanges() {
				texts = append(texts, x[1])
			}
		}
		private := f.private(about.String(), texts)
		for _, t := range l.talks {
			for _, x := range t.exchanges() {
				if key := engine.Fold(x[1]); !seen[key] && !asksWho.MatchString(x[0]) && f.lendable(x[1], private) {
					seen[key] = true
					l.lines = append(l.lines, engine.Example{Persona: t.Persona, You: x[0], Says: x[1], Origin: engine.FromDialogue,
						HeldOut: t.HeldOut, Borrow: true})
				}
			}
		}
		slices.SortStableFunc(l.lines, func(a, b engine.Example) int { // any order that is not the talk's own
			x, y := hash(a.Says), hash(b.Says)
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
	}
	var out []engine.Example
	for round := 0; ; round++ {
		before := len(out)
		for _, l := range order {
			if round < len(l.lines) && len(out) < maxBorrowed {
				out = append(out, l.lines[round])
			}
		}
		if len(out) == before {
			return out
		}
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
