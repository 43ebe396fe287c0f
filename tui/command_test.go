package tui

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine"
)

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want Command
	}{
		{`/become "a sarcastic robot" wren`, Command{Name: "become", Text: "a sarcastic robot", Speaker: "wren"}},
		{`/become “a robot” "Captain Hale"`, Command{Name: "become", Text: "a robot", Speaker: "Captain Hale"}},
		{`/become "one who says \"no\""`, Command{Name: "become", Text: `one who says "no"`}},
		{`/become a robot who says "no" to all`, Command{Name: "become", Text: `a robot who says "no" to all`}},
		{`/BLEND wren .4`, Command{Name: "blend", Persona: "wren", Number: 0.4}},
		{`/blend Captain Hale 1 Wren Aldous`, Command{Name: "blend", Persona: "Captain Hale", Number: 1, Speaker: "Wren Aldous"}},
		{`/blend "Captain Hale" -0 wren NOW`, Command{Name: "blend", Persona: "Captain Hale", Speaker: "wren", Jump: true}},
		{`/blend Nan 0.5`, Command{Name: "blend", Persona: "Nan", Number: 0.5}},
		{`/blend p=0.6,q=0.2`, Command{Name: "blend", Mix: engine.Blend{"p": 0.75, "q": 0.25}}},
		{`/blend Captain Hale = 1 , "q"=1, r=0 Wren Aldous now`,
			Command{Name: "blend", Mix: engine.Blend{"Captain Hale": 0.5, "q": 0.5}, Speaker: "Wren Aldous", Jump: true}},
		{`/as Captain Hale`, Command{Name: "as", Speaker: "Captain Hale"}},
		{`/strength 2.5`, Command{Name: "strength", Number: 2.5}},
		{`/why`, Command{Name: "why"}},
		{"\ufeff  /again \r\n", Command{Name: "again"}},
		{"/\x00swipe\x1b[31m 3", Command{Name: "swipe", Choice: 3}},
		{`/swipe Next`, Command{Name: "swipe", Step: 1}},
		{`/swipe prev`, Command{Name: "swipe", Step: -1}},
		{`/undo`, Command{Name: "undo"}},
		{`/redo`, Command{Name: "redo"}},
		{`/branch the lie`, Command{Name: "branch", Text: "the lie"}},
		{`/branches`, Command{Name: "branches"}},
		{`/switch "main"`, Command{Name: "switch", Text: "main"}},
		{`/save before the flood`, Command{Name: "save", Text: "before the flood"}},
		{`/export`, Command{Name: "export"}},
		{`/export "my talk.md"`, Command{Name: "export", Text: "my talk.md"}},
		{`/help`, Command{Name: "help"}},
		{`/quit`, Command{Name: "quit"}},
	} {
		got, is, err := ParseCommand(c.line)
		if err != nil || !is {
			t.Errorf("%q: command %v, error %v", c.line, is, err)
			continue
		}
		for id, w := range c.want.Mix {
			if math.Abs(got.Mix[id]-w) > 1e-12 || len(got.Mix) != len(c.want.Mix) {
				t.Errorf("%q: mix %v, want %v", c.line, got.Mix, c.want.Mix)
			}
		}
		if got.Mix != nil {
			got.Mix = c.want.Mix
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.line, got, c.want)
		}
	}
}

func TestParseCommandSaid(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "   ", "hello", "and/or", "//shrug", "\x00", "\x1b[2J", "1/2", "“/quit”"} {
		if c, is, err := ParseCommand(line); is || err != nil {
			t.Errorf("%q is taken for the command %+v, %v", line, c, err)
		}
	}
}

func TestParseCommandWrong(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"/":                                     "follows the slash",
		"/ help":                                "follows the slash",
		"/swop":                                 "did you mean /swipe or /switch?",
		"/zzz":                                  "no command “/zzz”; /help",
		"/become":                               "/become needs a description; use /become \"DESCRIPTION\" [SPEAKER]",
		`/become ""`:                            "needs a description",
		`/become "a robot`:                      "closing quote is missing",
		"/blend":                                "needs a persona and a weight",
		"/blend wren":                           "needs a weight from 0 to 1 after “wren”",
		"/blend 0.4":                            "needs a weight",
		"/blend wren 40":                        "“40” is not a weight from 0 to 1; use /blend",
		"/blend wren 0,4":                       "“0,4” is not a weight",
		"/blend wren -0.1":                      "not a weight",
		"/blend wren +Inf":                      "not a weight",
		"/blend wren 0.4 = 3":                   "cannot read the share",
		"/blend p=0.7,q":                        "cannot read the share “q”",
		"/blend p=0.7 wren,q=0.3":               "cannot read the share",
		"/blend p=0.7 q=0.3":                    "cannot read the share",
		"/blend p=NaN":                          "cannot read the share",
		"/blend p=0.7,p=0.3":                    "named twice",
		"/blend p=0,q=0":                        "above 0",
		"/as":                                   "use /as SPEAKER",
		"/strength":                             "from 0 to 3",
		"/strength 4":                           "“4” is not a strength from 0 to 3; use /strength N",
		"/strength NaN":                         "not a strength",
		"/swipe":                                "use /swipe N, or /swipe next",
		"/swipe 0":                              "not a candidate's number",
		"/swipe 99999999999999999999":           "not a candidate's number",
		"/branch":                               "needs a name",
		"/switch \"\"":                          "needs a name",
		"/save ":                                "needs a name",
		"/undo twice":                           "takes nothing after it",
		"/quit now":                             "takes nothing after it",
		"/save " + strings.Repeat("x", 1<<20):   "too long",
		"/as" + strings.Repeat("\u202e\x00", 9): "use /as",
	} {
		c, is, err := ParseCommand(line)
		if !is || err == nil {
			t.Errorf("%.40q: command %v, %+v, want an error", line, is, c)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 250 {
			t.Errorf("%.40q: error %q, want %q in one short line", line, err, want)
		}
		if engine.CodeOf(err) != engine.Invalid {
			t.Errorf("%.40q: code %s", line, engine.CodeOf(err))
		}
	}
}

// TestCommandListIsWhole checks that /help and the parser know the same commands.
func TestCommandListIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, u := range CommandList() {
		if seen[u.Name] || !strings.HasPrefix(u.Use, "/"+u.Name) || u.Help == "" || strings.Contains(u.Use+u.Help, "\n") {
			t.Errorf("bad entry %+v", u)
		}
		seen[u.Name] = true
		if _, is, err := ParseCommand("/" + u.Name); !is || err != nil && !strings.Contains(err.Error(), "use "+u.Use) {
			t.Errorf("/%s: command %v, error %v", u.Name, is, err)
		}
	}
}

func commandCast() CommandNames {
	wren := &engine.Persona{ID: "librarian", Name: "Wren Aldous"}
	hale := &engine.Persona{ID: "captain", Name: "Captain Ôrla Hale"}
	old := &engine.Persona{ID: "old-captain", Name: "Captain Hale the Elder"}
	return CommandNames{Here: []*engine.Persona{wren, hale}, Cast: []*engine.Persona{wren, hale, old}, Speaker: "captain"}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, speaker, persona, fails string
	}{
		{line: "/as WREN", speaker: "librarian"},
		{line: "/as Librarian", speaker: "librarian"},
		{line: "/as aldous", speaker: "librarian"},
		{line: "/as ÔRLA HALE", speaker: "captain"},
		{line: "/as o\u0302rla", speaker: "captain"}, // a combining mark is composed
		{line: "/as old-captain", fails: "“old-captain” is not here; here: librarian, captain"},
		{line: "/as ren", fails: "not here"},
		{line: "/as !!", fails: "not here"},
		{line: "/become a fish", speaker: "captain"},
		{line: "/blend wren 0.5", speaker: "captain", persona: "librarian"},
		{line: "/blend elder 0.5 wren", speaker: "librarian", persona: "old-captain"},
		{line: "/blend captain 0.5", speaker: "captain", persona: "captain"}, // an id comes before a word of two names
		{line: "/blend hale 0.5", fails: "“hale” can be several; name one of captain, old-captain"},
		{line: "/blend nobody 0.5", fails: "“nobody” is not known; known: librarian, captain, old-captain"},
		{line: "/blend wren=0.5,librarian=0.5", fails: "names librarian twice"},
		{line: "/blend wren=0.5,ghost=0.5", fails: "“ghost” is not known"},
	} {
		cmd, _, err := ParseCommand(c.line)
		if err != nil {
			t.Fatalf("%q: %v", c.line, err)
		}
		got, err := cmd.Resolve(commandCast())
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%q: error %v, want %q", c.line, err, c.fails)
			}
			continue
		}
		if err != nil || got.Speaker != c.speaker || got.Persona != c.persona {
			t.Errorf("%q: %+v, %v", c.line, got, err)
		}
	}
	cmd, _, _ := ParseCommand("/blend wren=0.5, elder=0.5 hale")
	got, err := cmd.Resolve(commandCast())
	if want := (engine.Blend{"librarian": 0.5, "old-captain": 0.5}); err != nil || !got.Mix.Equal(want) || got.Speaker != "captain" {
		t.Errorf("mix %v of %s, %v", got.Mix, got.Speaker, err)
	}
	if _, err := (Command{Name: "become", Text: "x"}).Resolve(CommandNames{}); engine.CodeOf(err) != engine.NotFound {
		t.Errorf("nobody here: %v", err)
	}
}

func TestCommandBlend(t *testing.T) {
	t.Parallel()
	st := engine.State{
		Targets: map[string]engine.Blend{"a": {"a": 0.6, "b": 0.4}},
		Blends:  map[string]engine.Blend{"a": {"a": 1}, "b": {"b": 0.5, "c": 0.5}},
	}
	for _, c := range []struct {
		cmd  Command
		want engine.Blend
	}{
		{Command{Speaker: "a", Persona: "c", Number: 0.5}, engine.Blend{"a": 0.3, "b": 0.2, "c": 0.5}}, // of the target, not of where it is
		{Command{Speaker: "a", Persona: "b", Number: 0}, engine.Blend{"a": 1}},
		{Command{Speaker: "a", Persona: "c", Number: 1}, engine.Blend{"c": 1}},
		{Command{Speaker: "b", Persona: "a", Number: 0.2}, engine.Blend{"a": 0.2, "b": 0.4, "c": 0.4}},
		{Command{Speaker: "c", Persona: "c", Number: 1}, engine.Blend{"c": 1}},
		{Command{Speaker: "c", Persona: "a", Number: 0.25}, engine.Blend{"a": 0.25, "c": 0.75}},
		{Command{Speaker: "a", Mix: engine.Blend{"z": 1}}, engine.Blend{"z": 1}},
	} {
		if got, err := c.cmd.blend(st); err != nil || !got.Equal(c.want) {
			t.Errorf("%+v: %v, %v, want %v", c.cmd, got, err, c.want)
		}
	}
	_, err := Command{Speaker: "c", Persona: "c", Number: 0.4}.blend(st)
	if err == nil || !strings.Contains(err.Error(), "nobody shares the rest") {
		t.Errorf("a share of a blend of one: %v", err)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, u := range CommandList() {
		f.Add("/" + u.Name)
		f.Add(u.Use)
	}
	for _, s := range []string{`/become "a \" b" c`, "/blend a=.5,b=.5 c now", "/blend a b 0.4 c d", "/as \xff\x00",
		"/swipe -1", "/strength 1e-400", "/\u202e"} {
		f.Add(s)
	}
	names := commandCast()
	f.Fuzz(func(t *testing.T, line string) {
		c, is, err := ParseCommand(line)
		if !is {
			if err != nil || !reflect.DeepEqual(c, Command{}) {
				t.Fatalf("not a command, yet %+v, %v", c, err)
			}
			return
		}
		if err != nil {
			var e *engine.Error
			if !errors.As(err, &e) || e.Hint == "" || strings.ContainsAny(err.Error(), "\n\x1b\x00") || !utf8.ValidString(err.Error()) {
				t.Fatalf("bad error %q", err)
			}
			return
		}
		if !(c.Number >= 0 && c.Number <= engine.MaxStrength) || c.Choice < 0 {
			t.Fatalf("out of range: %+v", c)
		}
		if s := c.Text + c.Speaker + c.Persona; strings.ContainsAny(s, "\n\x1b\x00") || !utf8.ValidString(s) {
			t.Fatalf("unclean: %+v", c)
		}
		sum := 0.0
		for _, w := range c.Mix {
			sum += w
		}
		if c.Mix != nil && math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the blend %v sums to %v", c.Mix, sum)
		}
		if c.Name == "blend" && c.Mix == nil && (c.Persona == "" || c.Number > 1) {
			t.Fatalf("no share: %+v", c)
		}
		if r, err := c.Resolve(names); err == nil && r.Speaker == "" && (c.Name == "as" || c.Name == "blend" || c.Name == "become") {
			t.Fatalf("nobody is meant: %+v", r)
		}
	})
}
