package corpus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
)

// sorted reads records as a source's, by a split.
func sorted(t *testing.T, split, source string, lines ...string) (s *corpus.Split, talks, held []corpus.Talk) {
	t.Helper()
	s, err := corpus.ParseSplit([]byte(split))
	if err != nil {
		t.Fatal(err)
	}
	records, err := corpus.Read(strings.NewReader(strings.Join(lines, "\n")), source)
	if err != nil {
		t.Fatal(err)
	}
	talks, held = s.Sort(records, source)
	return s, talks, held
}

// learned are the replies that are trained on.
func learned(talks []corpus.Talk) (out []string) {
	for _, t := range talks {
		for _, b := range t.Blocks {
			for _, s := range b.Turns {
				if s.Learned {
					out = append(out, s.Text)
				}
			}
		}
	}
	return out
}

func TestPickLeavesOutDuplicatesStockAndWhatIsHeldOut(t *testing.T) {
	t.Parallel()
	_, talks, held := sorted(t, `{"heldout":{"x":["out"]}}`, "x",
		`{"source":"x","persona":"out","persona_b":["a spy"],"turns":[{"who":"a","text":"hi"},{"who":"b","text":"Ahem."},{"who":"a","text":"bye"},{"who":"b","text":"The heron flies at noon, friend, and so do I."}]}`,
		`{"source":"x","persona":"in","persona_b":["a clerk"],"context":"A desk.","turns":[{"who":"a","text":"Hi!"},{"who":"b","text":"ahem"},{"who":"a","text":"what"},{"who":"b","text":"Ahem."},{"who":"a","text":"so?"},{"who":"b","text":"The heron flies at noon friend and so do I"}]}`,
		`{"source":"x","persona":"twice","persona_b":["a twin"],"replies":[{"you":"What?","says":"ahem!"},{"you":"who","says":"Two."}]}`)
	if len(talks) != 2 || len(held) != 1 {
		t.Fatalf("%d trained on, %d held out", len(talks), len(held))
	}
	kept, left := corpus.Pick(talks, held)
	if want := (corpus.Left{Same: 2, Duplicates: 1}); left["x"] != want {
		t.Errorf("left out %+v, want %+v", left["x"], want)
	}
	got := strings.Join(learned(kept), "|")
	if got != "Ahem.|Two." && got != "ahem!|Two." {
		t.Errorf("learned %q", got)
	}
	for _, k := range kept {
		if b := k.Blocks[0]; k.Persona == "in" && (len(b.Turns) != 4 || b.Turns[1].Learned || b.Scene != "A desk.") {
			t.Errorf("what was left out is still read, up to the last reply that is learned: %+v", b)
		}
	}

	var replies []string
	for i := range 60 {
		replies = append(replies, fmt.Sprintf(`{"you":"line %d","says":"Well I never number %d"},{"you":"and %d","says":"Right."}`, i, i, i))
	}
	_, talks, _ = sorted(t, `{}`, "x", `{"source":"x","persona":"p","persona_b":["p"],"replies":[`+strings.Join(replies, ",")+`]}`)
	cast := []corpus.Talk{{Source: corpus.Cast, Persona: "wren", Blocks: []corpus.Block{{Turns: []corpus.Said{{Player: true, Text: "oh"}, {Text: "Well, I never said so.", Learned: true}}}}}}
	kept, left = corpus.Pick(append(talks, cast...), nil)
	count := map[string]int{}
	for _, s := range learned(kept) {
		count[strings.Fields(s)[0]]++
	}
	if count["Well"]+count["Well,"] != 40 || count["Right."] != 6 || left["x"].Stock != 120-39-6 {
		t.Errorf("%v are learned, %+v left out", count, left)
	}
	if count["Well,"] != 1 {
		t.Error("the cast's line does not come first")
	}
	again, _ := corpus.Pick(append(talks, cast...), nil)
	if d := cmp.Diff(kept, again); d != "" {
		t.Error("chance draws otherwise each time", d)
	}
}

func TestLeaksAreNamed(t *testing.T) {
	t.Parallel()
	const out = `{"source":"x","persona":"out","persona_b":["A spy."],"turns":[{"who":"a","text":"hi"},{"who":"b","text":"Ahem."},{"who":"a","text":"bye"},{"who":"b","text":"The heron flies at noon, friend, and so do I."}]}`
	s, fine, held := sorted(t, `{"heldout":{"x":["out"]}}`, "x", out, `{"source":"x","persona":"in","persona_b":["A clerk."],"turns":[{"who":"a","text":"yo"},{"who":"b","text":"Ahem."}]}`)
	if err := s.Leak(fine, held); err != nil {
		t.Error("a short reply to another line is no leak:", err)
	}
	other := func(line string) []corpus.Talk {
		_, talks, _ := sorted(t, `{}`, "y", line)
		return append(talks, fine...)
	}
	for name, c := range map[string]struct {
		talks []corpus.Talk
		says  string
	}{
		"record":    {append(held[:1:1], fine...), "x, out: the split holds this out"},
		"pair":      {other(`{"source":"y","persona":"p","persona_b":["b"],"replies":[{"you":"HI","says":"ahem"}]}`), `"ahem" answers "HI", which is held out of x`},
		"text":      {other(`{"source":"y","persona":"p","persona_b":["b"],"replies":[{"you":"?","says":"The heron flies, at noon, friend and so do I"}]}`), `y, p: "The heron`},
		"character": {other(`{"source":"y","persona":"p","persona_b":["a spy"],"replies":[{"you":"?","says":"No."}]}`), "the character that x holds out as out"},
		"ladder":    {other(`{"source":"y","personas":{"p":{"id":"p","description":"a spy"},"q":{"id":"q","description":"b"}},"lines":[{"you":"?","replies":[{"w":1,"text":"No."}]}]}`), "y, p|q: this is the character"},
	} {
		if err := s.Leak(c.talks, held); engine.CodeOf(err) != engine.Invalid || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "pair" || name == "text" {
			if kept, _ := corpus.Pick(c.talks, held); s.Leak(kept, held) != nil {
				t.Errorf("%s: it leaks still", name)
			}
		}
	}
	renamed, talks, none := sorted(t, `{"heldout":{"x":["ouch"],"elsewhere":["z"]}}`, "x", out)
	if err := renamed.Leak(talks, none); err == nil || !strings.Contains(err.Error(), "x, ouch") {
		t.Error("a name in vain:", err)
	}
}

// The cast is read as the trainer reads it: examples in records of 14, a scene's of 7, dialogues whole.
func TestWritten(t *testing.T) {
	t.Parallel()
	p := &engine.Persona{ID: "wren", Description: "A librarian.", Dialogues: []engine.Dialogue{
		{Scene: "A desk.", Turns: []engine.DialogueTurn{{Player: true, Text: "hi"}, {Text: "Hush."}}},
		{Scene: "A boat.", HeldOut: true, Turns: []engine.DialogueTurn{{Player: true, Text: "hi"}, {Text: "Row."}}}}}
	for i := range 16 {
		p.Examples = append(p.Examples, engine.Example{You: "you", Says: fmt.Sprint("line ", i), HeldOut: i == 3})
	}
	place := make([]engine.Example, 8)
	s := &engine.Story{Scenes: []engine.Scene{{Setting: "A room.", Examples: map[string][]engine.Example{"wren": place, "stranger": place}}}}
	got := corpus.Written([]*engine.Persona{p}, []*engine.Story{s}, false)
	var sizes []int
	for _, g := range got {
		sizes = append(sizes, len(g.Blocks))
	}
	if d := cmp.Diff([]int{14, 1, 1, 7, 1}, sizes); d != "" || got[2].Blocks[0].Scene != "A desk." || got[3].Blocks[0].Scene != "A room." {
		t.Error(d, got)
	}
	if held := learned(corpus.Written([]*engine.Persona{p}, []*engine.Story{s}, true)); len(held) != 2 || held[0] != "line 3" || held[1] != "Row." {
		t.Errorf("held out: %q", held)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	got := corpus.Shares(map[string]float64{"walkons": 100, "plain3": 30, "grid2": 50, corpus.Chat: 1000})
	for source, want := range map[string]float64{"walkons": 0.92 / 3, "plain3": 0.92 / 3, "grid2": 0.92 / 3, corpus.Chat: 0.08} {
		if d := got[source] - want; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: %g, want %g", source, got[source], want)
		}
	}
	if got := corpus.Shares(map[string]float64{"grid2": 50, corpus.Chat: 1}); got[corpus.Chat] > 1.0/31+1e-9 {
		t.Error("more chat than there is", got)
	}
}

// What the trainer does stands in Python, and is the same.
func TestRulesAreTheTrainers(t *testing.T) {
	t.Parallel()
	python, err := os.ReadFile("../seq2seq/twin/data.py")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("training.go")
	if err != nil {
		t.Fatal(err)
	}
	find := func(text []byte, pattern string) string {
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("nothing is like %s", pattern)
		}
		return regexp.MustCompile(`[\s]+`).ReplaceAllString(string(m[1]), "")
	}
	for _, c := range [][2]string{
		{`\nTIMES = \{(.*?)\}`, `sourceTimes\s+= map\[string\]float64\{(.*?)\}`},
		{`\nSHORT = \{(.*?)\}`, `shortSources = \[\]string\{(.*?)\}`},
		{`\nOPENINGS, WHOLE, LONG = (\d+),`, `openings = (\d+)`},
		{`\nOPENINGS, WHOLE, LONG = \d+, (\d+),`, `whole    = (\d+)`},
		{`\nOPENINGS, WHOLE, LONG = \d+, \d+, (\d+)`, `long     = (\d+)`},
		{`in SHORT else ([0-9.]+)`, `otherTimes, chatShare = ([0-9.]+),`},
		{`share=([0-9.]+), near`, `otherTimes, chatShare = [0-9.]+, ([0-9.]+)`},
	} {
		if a, b := find(python, c[0]), find(ours, c[1]); a != b {
			t.Errorf("%s in Python, %s here", a, b)
		}
	}
}

// Nothing that we wrote for training, or that others borrow, is beyond the rating.
func TestOurDialoguesAreWithinTheRating(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join(dialogues, "*.jsonl.gz"))
	n := 0
	for _, f := range files {
		records, err := corpus.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			for _, b := range records[i].Talk("x").Blocks {
				for _, s := range b.Turns {
					if n++; engine.Unfit(s.Text) != "" {
						t.Errorf("%s: %s: %s", f, engine.Unfit(s.Text), s.Text)
					}
				}
			}
		}
	}
	if n < 20000 {
		t.Errorf("only %d turns", n)
	}
}
