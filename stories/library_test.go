package stories

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/personaweave/personaweave/engine"
)

func library(t testing.TB) *Library {
	t.Helper()
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEmbeddedPersonasAreComplete(t *testing.T) {
	t.Parallel()
	l := library(t)
	if len(l.Personas()) != 34 || len(l.Common()) < 100 {
		t.Fatalf("%d personas, %d common lines", len(l.Personas()), len(l.Common()))
	}
	held := 0
	for _, c := range l.Common() {
		if c.HeldOut {
			held++
		}
	}
	if share := float64(held) / float64(len(l.Common())); share < 0.25 || share > 0.4 {
		t.Errorf("%.2f of the common lines are held out, want about a third", share)
	}
	for _, p := range l.Personas() {
		if len(p.Dialogues) < 16 || len(p.Descriptions) < 12 || len(p.Knows) < 12 {
			t.Errorf("%s: %d dialogues, %d paraphrases, %d facts", p.ID, len(p.Dialogues), len(p.Descriptions), len(p.Knows))
		}
		answered, own := map[string]bool{}, 0
		for _, e := range p.Examples {
			answered[e.Common] = true
			if e.Common == "" {
				own++
			}
		}
		if own < 40 {
			t.Errorf("%s: %d lines of its own", p.ID, own)
		}
		var silent []string
		for _, c := range l.Common() {
			if !answered[c.ID] {
				silent = append(silent, c.ID)
			}
		}
		if len(silent) > 0 {
			t.Errorf("%s does not answer the common lines %v", p.ID, silent)
		}
		held, shifts, reached := 0, 0, 0
		for _, d := range p.Dialogues {
			if d.HeldOut {
				held++
			}
			if d.Reached {
				reached++
			}
			if slices.ContainsFunc(d.Turns, func(t engine.DialogueTurn) bool { return len(t.Blend) > 1 }) {
				shifts++
			}
			if len(d.Turns) < 8 || len(d.Turns) > 16 || !slices.Contains([]string{"angry", "calm", "curious", "funny", "sad", "tense", "urgent", "warm"}, d.Mood) {
				t.Errorf("%s: %q has %d turns and the mood %q", p.ID, d.Scene, len(d.Turns), d.Mood)
			}
		}
		if held < 3 || shifts < 3 || reached*2 < len(p.Dialogues) || reached == len(p.Dialogues) {
			t.Errorf("%s: of %d dialogues %d are held out, %d shift, %d reach their goal", p.ID, len(p.Dialogues), held, shifts, reached)
		}
	}
}

func TestEmbeddedStories(t *testing.T) {
	t.Parallel()
	l := library(t)
	for _, s := range l.Stories() {
		if len(s.Endings) > 0 && len(l.Walkthroughs(s.ID)) == 0 {
			t.Errorf("%s has endings and no walkthrough", s.ID)
		}
		for i := range s.Scenes {
			sc := &s.Scenes[i]
			if len(sc.Present) == 0 {
				t.Errorf("%s/%s: nobody is present", s.ID, sc.ID)
			}
			for _, who := range sc.Present {
				if n := len(sc.Examples[who]); n < 50 {
					t.Errorf("%s/%s: %d exchanges with %s", s.ID, sc.ID, n, who)
				}
			}
		}
		if err := l.Check(filepath.Join(".", "library", filepath.Base(s.Source))); err != nil {
			t.Error(err)
		}
	}
}

// The library is on screen before the model is loaded.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		library(b)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	l := library(t)
	all, err := l.Examples(true)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := l.Examples(false)
	if err != nil {
		t.Fatal(err)
	}
	own, held, lent := map[string]int{}, 0, map[string]int{}
	cast := map[string]bool{}
	for _, p := range l.Personas() {
		cast[p.ID] = true
	}
	total := 0
	for _, e := range all {
		if e.HeldOut {
			held++
		}
		if e.You == "" || e.Says == "" || e.Persona == "" || e.Origin == "" {
			t.Errorf("an example lacks something: %+v", e)
		}
		if (e.Place != "") != (e.Origin == engine.FromScene) {
			t.Errorf("%q has origin %s and place %q", e.Says, e.Origin, e.Place)
		}
		if cast[e.Persona] {
			own[e.Persona]++
		} else if e.Borrow {
			lent[e.Persona]++
			total++
		} else {
			t.Errorf("%q is of nobody in the cast and cannot be borrowed", e.Says)
		}
		if n := len(strings.Fields(e.Says)); e.Borrow && (n < 3 || n > 14 || strings.ContainsAny(e.Says, "0123456789*\"")) {
			t.Errorf("%q must not be borrowed", e.Says)
		}
	}
	if held == 0 || len(trained) != len(all)-held {
		t.Errorf("%d of %d are held out, and %d remain without them", held, len(all), len(trained))
	}
	for id := range cast {
		if own[id] < 100 {
			t.Errorf("%s has %d lines to be found", id, own[id])
		}
	}
	if total > maxBorrowed || total < 1000 || len(lent) < 400 {
		t.Errorf("%d lines of %d characters can be borrowed", total, len(lent))
	}
	again, err := library(t).Examples(true)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(all, again); d != "" {
		t.Error("two libraries list other examples:\n", d)
	}
}

func TestWhatMayBeBorrowed(t *testing.T) {
	t.Parallel()
	spoken := map[string]int{}
	for w := range strings.FieldsSeq("i m glad you came sit down and rest now said nobody know that well tell me wait the brown field") {
		spoken[w] = 100
	}
	f := frequency{n: 100, told: map[string]int{}, spoken: spoken}
	private := f.private("a brown field", []string{"Then Nobody said it."})
	for line, want := range map[string]bool{
		"Sit down and rest.":         true,
		"Wait. I know that well.":    true,
		"I'm glad you came.":         true,
		"Sit down.":                  false, // too short
		"I'm the one you came, sit.": false, // who its owner is
		"Tell me Brown came.":        false, // a name
		"Nobody said that. Wait.":    false, // a name in front
		"Rest and tell me 3.":        false, // a digit
		"Rest and tell me two.":      false, // a number
		"Sit down and *rest* now.":   false, // marks
		"Rest in the field.":         false, // a word of its owner
		"Tell me zebra, tell me.":    false, // not an everyday word
		strings.Repeat("wait ", 15):  false,
		"Glad you came… tell me.":    true,
		"Said that? Tell me \x1b[0m": false,
	} {
		if got := f.lendable(line, private); got != want {
			t.Errorf("%q may be borrowed: %v, want %v", line, got, want)
		}
	}
}

func scaffolds(t testing.TB) (persona, story string) {
	t.Helper()
	persona, err := NewPersona("lamp-keeper")
	if err != nil {
		t.Fatal(err)
	}
	story, err = NewStory("the-landing")
	if err != nil {
		t.Fatal(err)
	}
	return persona, story
}

// A character that is present and has nothing to say is told, where its file has no lines either.
func TestCheckTellsWhoHasNoLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	persona, story := scaffolds(t)
	i := strings.Index(persona, "examples:")
	write(t, filepath.Join(dir, "personas", "a.yaml"), persona[:i])
	story = strings.Replace(strings.ReplaceAll(story, "mage", "lamp-keeper"), "    examples: # lines that belong to this place\n      lamp-keeper:\n", "", 1)
	story = regexp.MustCompile(`(?m)^        - \{you: "why is the door.*\n`).ReplaceAllString(story, "")
	write(t, filepath.Join(dir, "library", "b.yaml"), story)
	if err := library(t).Check(filepath.Join(dir, "library/b.yaml")); err == nil || !strings.Contains(err.Error(), `b.yaml:19: "lamp-keeper" is present in "landing" and has no line`) {
		t.Errorf("%v", err)
	}
}

func TestScaffoldsPassAndPlay(t *testing.T) {
	t.Parallel()
	persona, story := scaffolds(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "personas", "a.yaml"), persona)
	write(t, filepath.Join(dir, "library", "b.yaml"), strings.ReplaceAll(story, "mage", "lamp-keeper"))
	l := library(t)
	for _, path := range []string{"personas/a.yaml", "library/b.yaml"} { // b's cast is only in the folder beside it
		if err := l.Check(filepath.Join(dir, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	own, err := Open(dir, filepath.Join(dir, "nowhere"))
	if err != nil {
		t.Fatal(err)
	}
	if p := own.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	p, err := own.Persona("lamp-keeper")
	if err != nil || p.Name != "Lamp Keeper" || p.Examples[0].You != "hi" || p.Source != filepath.Join(dir, "personas/a.yaml") {
		t.Errorf("%v %+v", err, p)
	}
	s, err := own.Story("the-landing")
	if err != nil || len(s.Scenes) != 2 || s.Scenes[0].Examples["lamp-keeper"][0].Place != "the-landing/landing" {
		t.Errorf("%v %+v", err, s)
	}
	for _, bad := range []string{"", "Big", "9lives", "a b", "../x", strings.Repeat("a", 65)} {
		if _, err := NewPersona(bad); engine.CodeOf(err) != engine.Invalid {
			t.Errorf("the id %q is accepted: %v", bad, err)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOwnFoldersOverrideAndMistakesAreLeftOut(t *testing.T) {
	t.Parallel()
	persona, _ := scaffolds(t)
	mine := strings.Replace(persona, "id: lamp-keeper", "id: mage", 1)
	l, err := OpenFS(
		fstest.MapFS{
			"personas/mage.yaml":  {Data: []byte(mine)},
			"personas/robot.yaml": {Data: []byte(strings.Replace(persona, "id: lamp-keeper", "id: robot\ncolor: red", 1))},
			"personas/wreck.yaml": {Data: []byte(strings.Replace(persona, "id: lamp-keeper", "id: wreck\nx: y", 1))},
			"personas/notes.txt":  {Data: []byte("not read")},
		},
		fstest.MapFS{
			"personas/a.yaml": {Data: []byte(strings.Replace(mine, "Lamp Keeper", "Second Mage", 1))},
			"personas/b.yaml": {Data: []byte(persona)},
			"personas/c.yaml": {Data: []byte(persona)},
		})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := l.Persona("mage"); err != nil || p.Name != "Second Mage" {
		t.Errorf("the later folder does not win: %v %v", p, err)
	}
	if p, err := l.Persona("robot"); err != nil || p.Source != "stories/personas/robot.yaml" {
		t.Errorf("a mistake in an own file takes the embedded persona away: %v %v", p, err)
	}
	if _, err := l.Persona("wreck"); engine.CodeOf(err) != engine.NotFound || !strings.Contains(err.Error(), "personas/wreck.yaml:3: a persona has no key") {
		t.Errorf("a persona left out does not say why: %v", err)
	}
	var got []string
	for _, p := range l.Problems() {
		got = append(got, p.(*engine.Error).Message)
	}
	want := []string{
		`personas/robot.yaml:3: a persona has no key "color"`,
		`personas/wreck.yaml:3: a persona has no key "x"`,
		`personas/c.yaml:2: the persona id "lamp-keeper" is that of personas/b.yaml too`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNotFoundNamesNearMatches(t *testing.T) {
	t.Parallel()
	l := library(t)
	for id, hint := range map[string]string{"maeg": "did you mean mage?", "robt": "did you mean robot?", "zzzzz": "weave persona list", "\x1b[31m": "weave persona list"} {
		_, err := l.Persona(id)
		if engine.CodeOf(err) != engine.NotFound || !strings.Contains(err.Error(), hint) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := l.Story("nothing-like-it"); engine.CodeOf(err) != engine.NotFound || !strings.Contains(err.Error(), "weave story list") {
		t.Error(err)
	}
	for _, c := range []struct {
		a, b string
		far  int
	}{{"", "abc", 3}, {"kitten", "sitting", 3}, {"flag", "flag", 0}, {"ab", "ba", 1}, {"é", "e", 1}} {
		if got := engine.EditDistance(c.a, c.b); got != c.far {
			t.Errorf("%q to %q is %d, want %d", c.a, c.b, got, c.far)
		}
	}
}

func TestDamagedDialoguesAreTold(t *testing.T) {
	t.Parallel()
	split := &fstest.MapFile{Data: []byte(`{"heldout": {}}`)}
	for name, files := range map[string]fstest.MapFS{
		"dialogues/split.json":   {},
		"dialogues/a.jsonl.gz":   {"dialogues/split.json": split, "dialogues/a.jsonl.gz": {Data: []byte("not gzip")}},
		"dialogues/b.jsonl.gz:2": {"dialogues/split.json": split, "dialogues/b.jsonl.gz": {Data: gzipped(t, "{}\n{")}},
	} {
		if _, err := library(t).gather(files); engine.CodeOf(err) != engine.Damaged || !strings.HasPrefix(err.Error(), "stories/"+name+" cannot be read") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
