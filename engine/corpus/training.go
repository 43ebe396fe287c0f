package corpus

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Sources that are no dialogue file of ours.
const (
	Cast     = "cast" // the written characters and stories
	Chat     = "chat" // the public persona chat
	chatFile = "synthetic-persona-chat"
)

// Talk is a record as the trainer reads it (seq2seq/twin/data.py, record).
type Talk struct {
	Source  string
	Persona string // what the split names it by
	Told    []string
	Blocks  []Block
}

// Block is what is read together: a dialogue, or one line and its answer.
type Block struct {
	Scene string
	Turns []Said
}

// Said is a turn of a block. Learned is a reply that is trained on; other turns are only read.
type Said struct {
	Player  bool
	Text    string
	Learned bool
}

func answer(scene, you, says string) Block {
	return Block{scene, []Said{{Player: true, Text: you}, {Text: says, Learned: true}}}
}

// Talk returns the record as the trainer reads it; source names its file.
func (r *Record) Talk(source string) Talk {
	t := Talk{Source: source, Persona: r.Key(), Told: slices.Clone(r.B)}
	if r.Kind() == Dialogue {
		t.Told = []string{strings.Join(r.B, " ")}
	}
	if len(r.Personas) > 0 {
		t.Told = nil
		for _, id := range slices.Sorted(maps.Keys(r.Personas)) {
			t.Told = append(t.Told, r.Personas[id].Description)
		}
	}
	for _, l := range r.Lines {
		for _, m := range l.Replies {
			t.Blocks = append(t.Blocks, answer("", l.You, m.Text))
		}
	}
	for _, x := range r.Replies {
		t.Blocks = append(t.Blocks, answer("", x.You, x.Says))
	}
	if len(r.Turns) > 0 {
		scene := r.Context
		if source == Chat {
			scene = ""
		}
		b := Block{Scene: scene}
		for _, x := range r.Turns {
			b.Turns = append(b.Turns, Said{x.Who == "a", x.Text, x.Who == "b"})
		}
		t.Blocks = append(t.Blocks, b)
	}
	return t
}

// Sort puts records into those that are trained on and those that the split holds out, as the trainer reads them; source names
// their file, Chat the public persona chat.
func (s *Split) Sort(records []Record, source string) (talks, heldOut []Talk) {
	for i := range records {
		r := &records[i]
		if r.Source = source; source == Chat {
			r.Source = chatFile
			if len(r.B) == 0 {
				continue
			}
		}
		if s.Holds(r) {
			heldOut = append(heldOut, r.Talk(source))
		} else {
			talks = append(talks, r.Talk(source))
		}
	}
	return talks, heldOut
}

// Of the cast, so many examples stand in a record: of a character, of a scene.
const ownLines, placeLines = 14, 7

// Written returns what the cast and the stories are trained on, or what they hold out.
func Written(personas []*engine.Persona, stories []*engine.Story, heldOut bool) []Talk {
	var out []Talk
	known := map[string]*engine.Persona{}
	add := func(p *engine.Persona, blocks ...Block) {
		out = append(out, Talk{Cast, p.ID, []string{p.Description}, blocks})
	}
	examples := func(p *engine.Persona, scene string, lines []engine.Example, most int) {
		for some := range slices.Chunk(lines, most) {
			var blocks []Block
			for _, e := range some {
				blocks = append(blocks, answer(scene, e.You, e.Says))
			}
			add(p, blocks...)
		}
	}
	for _, p := range personas {
		known[p.ID] = p
		examples(p, "", slices.DeleteFunc(slices.Clone(p.Examples), func(e engine.Example) bool { return e.HeldOut != heldOut }), ownLines)
		for _, d := range p.Dialogues {
			if d.HeldOut != heldOut {
				continue
			}
			b := Block{Scene: d.Scene}
			for _, t := range d.Turns {
				b.Turns = append(b.Turns, Said{t.Player, t.Text, !t.Player})
			}
			add(p, b)
		}
	}
	for _, s := range stories {
		for _, sc := range s.Scenes {
			for _, id := range slices.Sorted(maps.Keys(sc.Examples)) {
				if p := known[id]; p != nil && !heldOut {
					examples(p, sc.Setting, sc.Examples[id], placeLines)
				}
			}
		}
	}
	return out
}

// What Pick leaves out: replies beyond so many that begin with the same three words, and that are the same; and how many words
// nobody says twice by chance.
const (
	openings = 40
	whole    = 6
	long     = 6
)

// Left counts the replies of a source that are not trained on.
type Left struct {
	Same       int // as one that is held out: to the same line, or of six words and more
	Duplicates int // said before to the same line
	Stock      int // more than enough begin alike, or are alike
}

// pair is a line and its reply, folded.
type pair struct{ you, says string }

// spoken is a reply among talks.
type spoken struct {
	talk, block, turn int
	line              string
	key               [sha256.Size]byte
}

// replies lists the learned replies of talks.
func replies(talks []Talk) []spoken {
	var out []spoken
	for n, t := range talks {
		for b, block := range t.Blocks {
			line := ""
			for i, s := range block.Turns {
				switch text := strings.TrimSpace(s.Text); {
				case s.Player:
					line = text
				case s.Learned:
					key := sha256.Sum256([]byte(strings.Join([]string{t.Source, t.Persona, strings.TrimSpace(block.Scene), line, text}, "\x00")))
					out = append(out, spoken{n, b, i, line, key})
				}
			}
		}
	}
	return out
}

func (s spoken) text(talks []Talk) string { return talks[s.talk].Blocks[s.block].Turns[s.turn].Text }

// secrets are the folded replies that are held out: to a line, and those that are long on their own, with the source of each.
func secrets(heldOut []Talk) (pairs map[pair]string, texts map[string]string) {
	pairs, texts = map[pair]string{}, map[string]string{}
	for _, s := range replies(heldOut) {
		says, source := engine.Fold(s.text(heldOut)), heldOut[s.talk].Source
		pairs[pair{engine.Fold(s.line), says}] = source
		if len(strings.Fields(says)) >= long {
			texts[says] = source
		}
	}
	return pairs, texts
}

// Pick returns the talks without what is not to be learned, and by source how much that is. The cast's lines come first and
// public chat last; otherwise chance draws, by hash, the same as pick in seq2seq/twin/data.py. Within a dialogue, what was left
// out is still read.
func Pick(talks, heldOut []Talk) ([]Talk, map[string]Left) {
	pairs, texts := secrets(heldOut)
	rank := func(s spoken) int {
		switch talks[s.talk].Source {
		case Cast:
			return 0
		case Chat:
			return 2
		}
		return 1
	}
	all := replies(talks)
	slices.SortStableFunc(all, func(a, b spoken) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return bytes.Compare(a.key[:], b.key[:])
	})
	type place struct{ talk, block, turn int }
	out, left := map[place]bool{}, map[string]Left{}
	seen, begin, same := map[pair]bool{}, map[string]int{}, map[string]int{}
	for _, s := range all {
		says := engine.Fold(s.text(talks))
		words := strings.Fields(says)
		first, p := strings.Join(words[:min(3, len(words))], " "), pair{engine.Fold(s.line), says}
		_, told := pairs[p]
		_, secret := texts[says]
		l := left[talks[s.talk].Source]
		switch {
		case told || secret:
			l.Same++
		case seen[p]:
			l.Duplicates++
		case begin[first] >= openings || same[says] >= whole:
			l.Stock++
		default:
			seen[p] = true
			begin[first]++
			same[says]++
			continue
		}
		left[talks[s.talk].Source] = l
		out[place{s.talk, s.block, s.turn}] = true
	}
	var kept []Talk
	for n, t := range talks {
		var blocks []Block
		for b, block := range t.Blocks {
			turns := slices.Clone(block.Turns)
			last := -1
			for i := range turns {
				turns[i].Learned = turns[i].Learned && !out[place{n, b, i}]
				if turns[i].Learned {
					last = i
				}
			}
			if last >= 0 {
				blocks = append(blocks, Block{block.Scene, turns[:last+1]})
			}
		}
		if len(blocks) > 0 {
			t.Blocks = blocks
			kept = append(kept, t)
		}
	}
	return kept, left
}

// Leak reports the first thing in talks that is held out: a record or a character that the split names, a reply that is held
// out, to the same line or of six words and more. It reports too what the split names in vain, in a source that is there.
func (s *Split) Leak(talks, heldOut []Talk) error {
	leak := func(t Talk, hint, format string, args ...any) error {
		return &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%s, %s: ", t.Source, t.Persona) + fmt.Sprintf(format, args...), Hint: hint}
	}
	file := func(source string) string {
		if source == Chat {
			return chatFile
		}
		return source
	}
	cast, told, there, sources := map[string]bool{}, map[string]Talk{}, map[string]bool{}, map[string]bool{}
	for _, t := range slices.Concat(talks, heldOut) {
		there[file(t.Source)+"\x00"+t.Persona], sources[file(t.Source)] = true, true
		if t.Source == Cast { // known to all, whoever they are blended with
			for _, d := range t.Told {
				cast[engine.Fold(d)] = true
			}
		}
	}
	for _, source := range slices.Sorted(maps.Keys(s.HeldOut)) {
		for _, key := range s.HeldOut[source] {
			if sources[source] && !there[source+"\x00"+key] {
				return leak(Talk{Source: source, Persona: key}, "a record that was renamed is trained on: mend its name in the split", "the split holds this out, but nothing is called so")
			}
		}
	}
	for _, t := range heldOut {
		for _, d := range t.Told {
			if t.Source != Chat && !cast[engine.Fold(d)] {
				told[engine.Fold(d)] = t
			}
		}
	}
	pairs, texts := secrets(heldOut)
	for _, t := range talks {
		if s.sets[file(t.Source)][t.Persona] {
			return leak(t, "leave it out of training", "the split holds this out, and it would be trained on")
		}
		for _, d := range t.Told {
			if other, ok := told[engine.Fold(d)]; ok && t.Source != Chat {
				return leak(t, "hold out both, or neither", "this is the character that %s holds out as %s", other.Source, other.Persona)
			}
		}
	}
	for _, r := range replies(talks) {
		says := engine.Fold(r.text(talks))
		source, ok := pairs[pair{engine.Fold(r.line), says}]
		if !ok {
			source, ok = texts[says]
		}
		if ok {
			return leak(talks[r.talk], "leave it out of training", "%q answers %q, which is held out of %s", r.text(talks), r.line, source)
		}
	}
	return nil
}

// sourceTimes is how often a source is read in a pass, shortSources those of the length that play wants, which are read once;
// others are read otherTimes. Public chat is read up to chatShare of all. The same stands in seq2seq/twin/data.py.
var (
	sourceTimes  = map[string]float64{"chat": 1, "cast": 0.6, "walkons": 0.3, "walkons2": 0.3}
	shortSources = []string{"walkons3", "plain3", "grid3", "ladder3", "grounded3", "scenes3"}
)

const otherTimes, chatShare = 0.6, 0.08

// Shares turns how much there is of each source into its share of what is read in a pass.
func Shares(size map[string]float64) map[string]float64 {
	out, sum := map[string]float64{}, 0.0
	for _, source := range slices.Sorted(maps.Keys(size)) {
		n, ok := sourceTimes[source]
		switch {
		case ok:
		case slices.Contains(shortSources, source):
			n = 1
		default:
			n = otherTimes
		}
		if out[source] = size[source] * n; source != Chat {
			sum += out[source]
		}
	}
	if chat, ok := out[Chat]; ok {
		out[Chat] = min(chat, chatShare/(1-chatShare)*sum)
		sum += out[Chat]
	}
	for source := range out {
		out[source] /= max(sum, 1e-9)
	}
	return out
}
