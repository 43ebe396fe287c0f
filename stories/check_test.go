package stories

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// mistake is a change of a scaffold and what the check must say of it. The line is that on which the needle stands.
type mistake struct {
	name, old, new string
	needle         string // stands on the line that is told; empty: line 1
	says, hint     string
}

var personaMistakes = []mistake{
	{"unknown key", "tagline:", "tagLine:", "tagLine:", `a persona has no key "tagLine"`, "did you mean tagline?"},
	{"missing field", "colour: \"#7a9e7e\"\n", "", "id: lamp", "a persona has no colour", "add a line"},
	{"empty field", `"A keeper of small lost things"`, "", "tagline:", `"tagline" is empty`, "leave the key out"},
	{"blank text", `"A keeper of small lost things"`, `"  "`, "tagline:", `"tagline" is empty`, "a few words"},
	{"bad colour", `"#7a9e7e"`, `"sea green"`, "sea green", `"sea green" is not a colour`, "six hexadecimal"},
	{"number for text", `says: "Hello. Did you lose something, or are you only passing?"`, "says: 42", "says: 42", "must be text", "double quotes"},
	{"list for text", `"Lamp Keeper"`, `["Lamp", "Keeper"]`, `name: [`, "must be text", "one text"},
	{"text for list", "descriptions:\n  - \"gentle keeper of lost things\"\n  - \"Somebody who listens closely and speaks little.\"", "descriptions: gentle", "descriptions: gentle", "must be a list", "- "},
	{"unknown key below", "says: \"A room for", "sais: \"A room for", "sais:", `an example has no key "sais"`, "did you mean says?"},
	{"no such common line", "common: greet-hi,", "common: greet-high,", "greet-high", `no common line "greet-high"`, "greet-hi"},
	{"common line reads otherwise", "common: greet-hi,", `common: greet-hi, you: "yo",`, "greet-hi", "reads otherwise", `"hi"`},
	{"twice the same", "  - {you: \"can i have", "  - {you: \"what is this place?\", says: \"A room for what nobody came back for. Mind the gloves.\"}\n  - {you: \"can i have", "place?", "stands on line", "delete"},
	{"yes or no", "reached: true", "reached: yes", "reached: yes", "must be true or false", "true or false"},
	{"no reached", "    reached: true\n", "", "- scene:", "a dialogue has no reached", "add"},
	{"unknown speaker", `{who: b, text: "What does`, `{who: c, text: "What does`, "who: c", `nobody is called "c"`, "a (the player)"},
	{"unknown persona in a blend", `text: "What does it open?"}`, `text: "What does it open?", blend: {magpie: 1}}`, "magpie", `no persona "magpie"`, ""},
	{"near persona in a blend", `text: "What does it open?"}`, `text: "What does it open?", blend: {maeg: 1}}`, "maeg", `no persona "maeg"`, "mage"},
	{"negative weight", `text: "What does it open?"}`, `text: "What does it open?", blend: {mage: -1}}`, "mage: -1", "is no mixture", "0 or more"},
	{"weight is no number", `text: "What does it open?"}`, `text: "What does it open?", blend: {mage: most}}`, "mage: most", "must be a number", "0.5"},
	{"weight without end", `text: "What does it open?"}`, `text: "What does it open?", blend: {mage: .inf}}`, "mage: .inf", "must be a number", "0.5"},
	{"blend of the player", `{who: a, text: "its here!!"}`, `{who: a, text: "its here!!", blend: {mage: 1}}`, "its here", "the player has no blend", "turns of b"},
	{"bad id", "id: lamp-keeper", "id: Lamp Keeper", "id: Lamp", "cannot be an id", "small letters"},
	{"escape sequence", `"A keeper of small lost things"`, `"A \e[31mkeeper"`, "tagline:", "cannot be drawn", "retype"},
	{"direction marks", `"A keeper of small lost things"`, `"A \u202ekeeper"`, "tagline:", "cannot be drawn", "retype"},
	{"key twice", `name: "Lamp Keeper"`, "name: \"Lamp Keeper\"\nname: \"Lump\"", "Lump", "already defined", ""},
	{"not YAML", `name: "Lamp Keeper"`, `name: "Lamp Keeper`, "", "not YAML", "quotes"},
	{"tab", "  - scene:", "\t- scene:", "\t- scene", "not YAML", ""},
	{"anchor", `"A keeper of small lost things"`, `&x "A keeper"`, "&x", "an anchor", ""},
	{"two documents", "# Facts that", "---\nknow: 1\n# Facts that", "know: 1", "a second document", "own"},
	{"too deep", "# Facts that", "x: " + strings.Repeat("[", 80) + "\n# Facts that", "x: [", "too deeply", ""},
	{"too deep in entries", "# Facts that", strings.Repeat("- ", 80) + "\n# Facts that", "- - -", "too deeply", ""},
}

var storyMistakes = []mistake{
	{"unknown key", "summary:", "sumary:", "sumary:", `a story has no key "sumary"`, "did you mean summary?"},
	{"missing field", "title: \"The Landing\"\n", "", "id: the-landing", "a story has no title", "title: …"},
	{"unknown kind", "kind: story", "kind: poem", "kind: poem", `no kind "poem"`, "story, lesson or service"},
	{"unknown persona", "cast: [mage]", "cast: [mage, maeg]", "cast:", `no persona "maeg"`, "did you mean mage?"},
	{"cast twice", "cast: [mage]", "cast: [mage, mage]", "cast:", "in the cast already", "once"},
	{"present but not cast", "    present: [mage]\n    goals", "    present: [robot]\n    goals", "present: [robot]", `"robot" is not in the story's cast`, "add it to the cast"},
	{"bad expression", "when: said.be_kind", "when: said.be_kind &&", "said.be_kind &&", "does not work", "for example"},
	{"not yes or no", "when: said.be_kind", "when: turn + 1", "turn + 1", "does not work", "for example"},
	{"flag of another kind", "when: said.be_kind", "when: flag.key > 2", "flag.key > 2", "does not work", ""},
	{"unknown intent", "when: said.be_kind", "when: said.bee_kind", "said.bee_kind", `no intent "bee_kind"`, "did you mean be_kind?"},
	{"intent without said", "when: said.be_kind", "when: be_kind", "when: be_kind", `knows no "be_kind"`, "said.be_kind"},
	{"flag never set", "flag.trust > 0", "flag.trsut > 0", "flag.trsut", `no beat of the story sets the flag "trsut"`, "did you mean trust?"},
	{"unknown goal", "when: said.be_kind", "when: goal.opne < 0.5", "goal.opne", `no goal "opne"`, "open"},
	{"unknown speaker in mood", "when: said.be_kind", `when: mood.yuo == "sad"`, "mood.yuo", `no speaker "yuo"`, "you"},
	{"unknown persona in blend", "when: said.be_kind", `when: blend.mage.maeg > 0.5`, "blend.mage.maeg", `no persona "maeg"`, "mage"},
	{"said alone", "when: said.be_kind", `when: said["be" + "kind"]`, `said["be"`, "needs a name after its dot", ""},
	{"deeper than there is", "when: said.be_kind", `when: flag.key.more`, `flag.key.more`, "holds nothing more", ""},
	{"built-in function", "when: said.be_kind", `when: now() == 1`, "now()", "does not work", ""},
	{"duplicate scene id", "  - id: room", "  - id: landing", "@  - id: landing\n    title: \"Behind", `the scene id "landing" was used`, "own"},
	{"duplicate beat id", "      - when: said.be_kind", "      - id: gives_key\n        when: said.be_kind", "@      - id: gives_key\n        when: said.ask_key", `the beat id "gives_key" was used`, "own"},
	{"goto to nowhere", "goto: room", "goto: rooom", "goto: rooom", `the scene "rooom", which is not there`, "did you mean room?"},
	{"goto to no ending", "goto: end:fed", "goto: end:fad", "goto: end:fad", `the ending "fad", which is not there`, "did you mean fed?"},
	{"goto forgets end", "goto: end:fed", "goto: fed", "goto: fed", `the scene "fed", which is not there`, "end:fed"},
	{"ending nobody reaches", "    when: said.leave && !flag.key\n", "", "@    title: \"Gone\"", `nothing leads to the ending "gone"`, "goto: end:gone"},
	{"scene nobody reaches", "goto: room", "goto: end:fed", "  - id: room", `nothing leads to the scene "room"`, "goto: room"},
	{"beat without effect", "        set: {trust: \"+1\"} # a number with a sign adds to the flag\n", "", "- when: said.be_kind", "does nothing", "narrate"},
	{"flag of two kinds", `set: {key: true}`, `set: {key: true, trust: "lots"}`, "lots", `the flag "trust" is a text here`, "one kind"},
	{"blend without cause", "set: {key: true}", "blend: {mage: {mage: 0.6, robot: 0.4}}\n        set: {key: true}", "blend: {mage", "gives no cause", "cause"},
	{"blend of a stranger", "set: {key: true}", "cause: x\n        blend: {robot: {mage: 1}}\n        set: {key: true}", "blend: {robot", `"robot" cannot be blended here`, ""},
	{"intent with a dash", "  leave:", "  leave-now:", `like: ["goodbye"`, `"leave-now" cannot be an id`, "digits and _"},
	{"intent like nothing", `like: ["goodbye", "i'm leaving", "i have to go now"]`, `like: []`, "like: []", "is like no line", ""},
	{"like and unlike", `unlike: ["what key is this song in"]`, `unlike: ["Where is the key?"]`, `like: ["where is the key", "do`, "both like and unlike", ""},
	{"no scenes", "scenes:", "scenes: []\nsummary2:", "scenes: []", "no scene", ""},
	{"walkthrough to nowhere", "    ending: gone", "    ending: gnoe", "ending: gnoe", `no ending "gnoe"`, "gone"},
	{"example of a stranger", "      mage:\n", "      robot:\n", "why is the door locked", "not in the story's cast", ""},
	{"condition too long", "when: said.be_kind", "when: said.be_kind" + strings.Repeat(" && turn > 1", 100), "when: said.be_kind &&", "longer than", "two beats"},
}

// what only playing the rules can tell, and what beats cannot reach.
var reachMistakes = []mistake{
	{"ending that cannot be", "when: said.leave && !flag.key", "when: said.leave && flag.trust < -100", "@    title: \"Gone\"", `no play of 20000 turns reaches the ending "gone"`, "can it hold"},
	{"goal that cannot be met", "done: flag.key", "done: flag.trust < 0", "      - id: open", `the goal "open" cannot be met`, "done"},
	{"scene behind a rule that never holds", "when: flag.key && turn > 2", "when: flag.key && turn > 200", "  - id: room", `reaches the scene "room"`, "beats"},
	{"blend that does not sum", "set: {key: true}", "cause: x\n        blend: {mage: {mage: 0.6, robot: 0.3}}\n        set: {key: true}", "blend: {mage", "sum to 0.9", "sum to 1"},
}

var lessonMistakes = []mistake{
	{"unknown skill", "skill: halves", "skill: halfs", "skill: halfs", `no skill "halfs"`, "halves"},
	{"no answer", "          - number: 4 # however", "          # however", "@        accept:", `"accept"`, ""},
	{"two forms", "- number: 4 #", "- {number: 4, text: \"four\"} #", "number: 4, text", "an answer has one form", "one of"},
	{"no number", "number: 16", "number: \"lots\"", "lots", "this is no number", "3/4"},
	{"bad regex", "number: 16", "regex: \"(\"", "regex:", "the regex does not work", "RE2"},
	{"no hints", "hints: [\"Two pieces, one big and one small: is the small one a half?\"]\n        ", "", "@      - id: what_is_half", "a step has no hints", "hints"},
	{"no explanation", "explain: \"A half is one of two pieces that are the same size.\"", "", "@      - id: what_is_half", "a step has no explain", "explain"},
	{"wording of a stranger", "ask: {tutor: \"Eight", "ask: {tuter: \"Eight", "tuter", `no persona "tuter"`, "tutor"},
	{"pace forgotten", "  flying: {cause: \"playful: you are flying\", blend: {tutor: {tutor: 0.3, coach: 0.7}}}\n", "", "@  struggling:", `"pace" has no flying`, "flying"},
	{"blended without a voice", "coach: {right", "robot: {right", "@  tutor: {right", `speaks as "coach", which has no voice`, "there"},
	{"step twice", "id: what_is_half", "id: half_of_eight", "@      - id: half_of_eight\n        skill: halves\n        ask: \"In your", `the step id "half_of_eight" was used`, "own"},
	{"unknown fact", "when: lesson.done", "when: lesson.over", "lesson.over", `no fact "over"`, ""},
	{"unknown mastery", "done: mastery.halves", "done: mastery.wholes", "mastery.wholes", `no skill "wholes"`, ""},
	{"steps and no kind", "kind: lesson\n", "", "id: bread", "a story has no kind", "add a line"},
	{"steps in a story", "kind: lesson", "kind: story", "kind: story", "only a lesson has steps", "kind: lesson"},
	{"meaning like nothing", "unlike: [\"when there are two", "likes: [\"when there are two", "likes", `no key "likes"`, "like"},
}

func TestMistakesAreToldWithFileAndLine(t *testing.T) {
	t.Parallel()
	l := library(t)
	persona, story := scaffolds(t)
	lesson, err := NewLesson("bread")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for what, c := range map[string]struct {
		text string
		list []mistake
	}{"persona": {persona, personaMistakes}, "story": {story, storyMistakes}, "reach": {story, reachMistakes}, "lesson": {lesson, lessonMistakes}} {
		for i, m := range c.list {
			t.Run(what+" "+m.name, func(t *testing.T) {
				t.Parallel()
				if !strings.Contains(c.text, m.old) {
					t.Fatalf("the scaffold holds no %q", m.old)
				}
				text := strings.Replace(c.text, m.old, m.new, 1)
				at := 0
				if m.needle != "" {
					if at = strings.Index(text, strings.TrimPrefix(m.needle, "@")); at < 0 {
						t.Fatalf("the changed file holds no %q", m.needle)
					}
				}
				path := filepath.Join(dir, fmt.Sprintf("%s%d.yaml", what, i))
				write(t, path, text)
				err := l.Check(path)
				want := fmt.Sprintf("%s:%d: ", path, 1+strings.Count(text[:at], "\n"))
				if m.needle == "" {
					want = path + ":"
				}
				var found *engine.Error
				for _, e := range all(err) {
					if ee := (*engine.Error)(nil); errors.As(e, &ee) && strings.HasPrefix(ee.Message, want) && strings.Contains(ee.Message, m.says) {
						found = ee
						break
					}
				}
				if found == nil {
					t.Fatalf("want %s…%s…, got:\n%v", want, m.says, err)
				}
				if found.Code != engine.Invalid || found.Hint == "" || !strings.Contains(found.Hint, m.hint) || strings.Contains(found.Message, "\n") {
					t.Errorf("code %s, hint %q, want one with %q; message %q", found.Code, found.Hint, m.hint, found.Message)
				}
			})
		}
	}
}

// all takes a joined error apart.
func all(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func TestCheckTellsEveryMistakeInOrder(t *testing.T) {
	t.Parallel()
	_, story := scaffolds(t)
	path := filepath.Join(t.TempDir(), "s.yaml")
	write(t, path, strings.NewReplacer("kind: story", "kind: poem", "goto: room", "goto: rome", "said.be_kind", "said.nothing").Replace(story))
	err := library(t).Check(path)
	if got := all(err); len(got) != 3 || !strings.Contains(got[0].Error(), "poem") || !strings.Contains(got[1].Error(), "nothing") || !strings.Contains(got[2].Error(), "rome") {
		t.Errorf("%v", err)
	}
}

func TestCheckOfWhatIsNoFile(t *testing.T) {
	t.Parallel()
	l, dir := library(t), t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none.yaml")} {
		if err := l.Check(path); engine.CodeOf(err) != engine.NotFound {
			t.Errorf("%s: %v", path, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n", "list": "- a\n- b\n", "word": "hello", "nul": "\x00", "big": strings.Repeat("# long\n", 200_000)} {
		path := filepath.Join(dir, name+".yaml")
		write(t, path, text)
		if err := l.Check(path); engine.CodeOf(err) != engine.Invalid || !strings.HasPrefix(all(err)[0].Error(), path+":1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPersona(f *testing.F) {
	persona, _ := scaffolds(f)
	fuzz(f, persona, personaMistakes)
}

func FuzzStory(f *testing.F) {
	_, story := scaffolds(f)
	fuzz(f, story, slices.Concat(storyMistakes, reachMistakes))
}

func FuzzLesson(f *testing.F) {
	lesson, err := NewLesson("bread")
	if err != nil {
		f.Fatal(err)
	}
	fuzz(f, lesson, lessonMistakes)
}

// fuzz reads whatever bytes as both kinds of file: it must not panic, and what is wrong must name the file.
func fuzz(f *testing.F, text string, list []mistake) {
	l := library(f)
	f.Add([]byte(text))
	for _, m := range list {
		f.Add([]byte(strings.Replace(text, m.old, m.new, 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func(value){
			func(v value) { readPersona(v, &l.known) },
			func(v value) {
				s := readStory(v, &l.known)
				if len(v.f.problems) > 0 {
					return
				}
				for i := range s.Scenes {
					for _, b := range s.Scenes[i].Beats {
						if b.When == nil {
							continue
						}
						if _, err := b.When.Holds(engine.Facts{}); err != nil && engine.CodeOf(err) != engine.Internal {
							t.Errorf("%s: %v", b.When, err)
						}
					}
				}
			},
		} {
			y := &file{name: "f.yaml"}
			if root := y.parse(data); root.n != nil {
				read(root)
			} else if len(y.problems) == 0 {
				t.Error("nothing was read and nothing is wrong")
			}
			if err := y.errs(); err != nil && !strings.HasPrefix(all(err)[0].Error(), "f.yaml:") {
				t.Errorf("%v names no file", err)
			}
		}
	})
}
