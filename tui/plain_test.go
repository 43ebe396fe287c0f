package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine"
)

// plainFake is a Game with a turn tree in memory. What happens in a turn is told by words in the player's line.
type plainFake struct {
	story    *engine.Story
	people   []*engine.Persona
	nodes    []engine.Node // nodes[i].ID == i+1
	sessions []engine.Session
	branches map[string]int64
	ready    error
	readied  int
	lines    []string // given to Turn
	jumped   bool
	wait     bool // a turn waits for its context's end
}

func plainFakeNew() *plainFake {
	return &plainFake{
		story: &engine.Story{ID: "tide", Title: "The Tide Room", Scenes: []engine.Scene{
			{ID: "room", Title: "The Reading Room", Setting: "A room.", Opening: "Water stands\n\nankle-deep.", Present: []string{"wren", "hale"},
				Goals: []engine.Goal{{ID: "open", Want: "the cabinet is open"}}},
			{ID: "cellar", Title: "The Cellar", Setting: "Dark,\nand dry.", Present: []string{"wren"}},
		}, Endings: map[string]engine.Ending{"calm": {Title: "A calm sea"}}},
		people: []*engine.Persona{{ID: "wren", Name: "Wren Aldous"}, {ID: "hale", Name: "Captain Hale"}},
	}
}

func (f *plainFake) Stories() []*engine.Story { return []*engine.Story{f.story} }
func (f *plainFake) Story(id string) (*engine.Story, error) {
	if id == f.story.ID {
		return f.story, nil
	}
	return nil, &engine.Error{Code: engine.NotFound, Message: "there is no story " + id}
}
func (f *plainFake) Personas() []*engine.Persona { return f.people }
func (f *plainFake) Persona(id string) (*engine.Persona, error) {
	for _, p := range f.people {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, &engine.Error{Code: engine.NotFound, Message: "there is no persona " + id}
}
func (f *plainFake) Ready(context.Context) error { f.readied++; return f.ready }
func (f *plainFake) Sessions(context.Context) ([]engine.Session, error) {
	out := slices.Clone(f.sessions)
	slices.Reverse(out)
	return out, nil
}

// add stores nodes below the head and returns the longer talk.
func (f *plainFake) add(t *engine.Talk, nodes ...engine.Node) *engine.Talk {
	out := &engine.Talk{Story: t.Story, Session: t.Session, Path: slices.Clone(t.Path)}
	for _, n := range nodes {
		if len(out.Path) > 0 {
			n.Parent = out.Path[len(out.Path)-1].ID
		}
		n.ID = int64(len(f.nodes) + 1)
		f.nodes = append(f.nodes, n)
		out.Path = append(out.Path, n)
	}
	return f.keep(out)
}

func (f *plainFake) keep(t *engine.Talk) *engine.Talk {
	t.Session.Head = t.Path[len(t.Path)-1].ID
	f.branches[t.Session.Branch] = t.Session.Head
	t.Session.Turns, t.Session.Scene = 0, t.State().Scene
	for _, n := range t.Path {
		if n.Kind == engine.Player {
			t.Session.Turns++
		}
	}
	f.sessions[t.Session.ID-1] = t.Session
	return t
}

// at moves to a node.
func (f *plainFake) at(t *engine.Talk, id int64) *engine.Talk {
	out := &engine.Talk{Story: t.Story, Session: t.Session}
	for ; id != 0; id = f.nodes[id-1].Parent {
		out.Path = append(out.Path, f.nodes[id-1])
	}
	slices.Reverse(out.Path)
	return f.keep(out)
}

func (f *plainFake) Start(_ context.Context, story string, seed uint64) (*engine.Talk, error) {
	s, err := f.Story(story)
	if err != nil {
		return nil, err
	}
	f.branches = map[string]int64{}
	f.sessions = append(f.sessions, engine.Session{ID: int64(len(f.sessions) + 1), Story: story, Seed: seed, Branch: "main"})
	st := engine.State{Scene: "room", Strength: 1, Targets: map[string]engine.Blend{"wren": engine.Pure("wren")}, Blends: map[string]engine.Blend{"wren": engine.Pure("wren")}}
	t := &engine.Talk{Story: s, Session: f.sessions[len(f.sessions)-1]}
	return f.add(t, engine.Node{Kind: engine.Narration, Text: s.Scenes[0].Opening, State: st}), nil
}

func (f *plainFake) Resume(_ context.Context, id int64) (*engine.Talk, error) {
	if id < 1 || id > int64(len(f.sessions)) {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there is no save %d", id)}
	}
	s := f.sessions[id-1]
	return f.at(&engine.Talk{Story: f.story, Session: s}, s.Head), nil
}

func (f *plainFake) Delete(context.Context, int64) error { return nil }

func plainFakeReply(st engine.State, text string) engine.Node {
	return engine.Node{Kind: engine.Character, Speaker: "wren", Text: text, State: st, Reply: &engine.Reply{
		Candidates: []engine.Candidate{{Text: text, Source: engine.Generated, Total: 0.5},
			{Text: "Mind the third rung.", Source: engine.Retrieved, Of: "hale", Total: 0.25}},
		Blend: engine.Blend{"wren": 0.75, "hale": 0.25}, Strength: 1, Goal: -1, Consistency: 0.5}}
}

func (f *plainFake) Turn(ctx context.Context, t *engine.Talk, line string, turn int64, emit func(engine.Event)) (*engine.Talk, error) {
	if f.wait {
		<-ctx.Done()
		return t, ctx.Err()
	}
	f.lines = append(f.lines, line)
	said, cut, err := engine.Clean(line)
	if err != nil {
		return t, err
	}
	if cut {
		emit(engine.Noticed{TurnOf: engine.TurnOf{Turn: turn}, Text: "that was long"})
	}
	st := t.State().Clone()
	commit := func(n engine.Node) {
		t = f.add(t, n)
		emit(engine.Committed{TurnOf: engine.TurnOf{Turn: turn}, Node: t.Path[len(t.Path)-1]})
	}
	commit(engine.Node{Kind: engine.Player, Text: said, State: st})
	switch said {
	case "fail":
		return t, &engine.Error{Code: engine.Unwritable, Message: "the disk is full", Hint: "make\nroom"}
	case "go":
		emit(engine.SceneChanged{Scene: "cellar"})
		commit(engine.Node{Kind: engine.Narration, Text: "You leave.", State: st.Clone()})
		st.Scene = "cellar"
		commit(engine.Node{Kind: engine.Narration, State: st})
		return t, nil
	case "end":
		st.Ended = "calm"
		emit(engine.Ended{Ending: "calm", Title: "A calm sea"})
		commit(engine.Node{Kind: engine.Narration, Text: "The water is still.", State: st})
		return t, nil
	case "open":
		emit(engine.GoalMoved{Goal: "open", Distance: 0, Done: true})
	case "stern":
		st.Targets = map[string]engine.Blend{"wren": {"hale": 1}}
		emit(engine.BlendMoved{Speaker: "wren", Target: engine.Pure("hale"), Cause: "you broke the seal"})
	case "unsafe":
		said = "\x1b]0;title\x07\x1b[31mred\x1b[0m\nand \u202eback\u0000\u009b2J"
	}
	commit(plainFakeReply(st, "You said "+said+"."))
	return t, nil
}

func (f *plainFake) Again(_ context.Context, t *engine.Talk, at int, turn int64, emit func(engine.Event)) (*engine.Talk, error) {
	before := at
	if t.Path[at].Kind != engine.Character {
		before++
	}
	t = f.add(f.at(t, t.Path[before-1].ID), plainFakeReply(t.Path[at].State, fmt.Sprintf("Again %d.", len(f.nodes))))
	emit(engine.Committed{Node: t.Path[len(t.Path)-1]})
	return t, nil
}

func (f *plainFake) Swipe(_ context.Context, t *engine.Talk, at, candidate int) (*engine.Talk, error) {
	n := t.Path[at]
	r := *n.Reply
	r.Chosen, n.Reply, n.Text = candidate, &r, r.Candidates[candidate].Text
	return f.add(f.at(t, n.Parent), n), nil
}

func (f *plainFake) Undo(_ context.Context, t *engine.Talk) (*engine.Talk, error) {
	for i, n := range slices.Backward(t.Path) {
		if n.Kind == engine.Player || n.Kind == engine.Command {
			return f.at(t, t.Path[i-1].ID), nil
		}
	}
	return nil, &engine.Error{Code: engine.Invalid, Message: "there is nothing to undo"} // nil: Play must not pass it on
}

func (f *plainFake) Redo(_ context.Context, t *engine.Talk) (*engine.Talk, error) {
	last := int64(len(f.nodes))
	if t.Session.Head == last {
		return t, &engine.Error{Code: engine.Invalid, Message: "there is nothing to redo"}
	}
	return f.at(t, last), nil
}

func (f *plainFake) Fork(_ context.Context, t *engine.Talk, at int, name string) (*engine.Talk, error) {
	out := &engine.Talk{Story: t.Story, Session: t.Session, Path: t.Path[:at+1]}
	out.Session.Branch = strings.ReplaceAll(name, " ", "-")
	return f.keep(out), nil
}

func (f *plainFake) Switch(_ context.Context, t *engine.Talk, name string) (*engine.Talk, error) {
	out := &engine.Talk{Story: t.Story, Session: t.Session}
	out.Session.Branch = name
	return f.at(out, f.branches[name]), nil
}

func (f *plainFake) Branches(context.Context, *engine.Talk) ([]engine.Branch, error) {
	var out []engine.Branch
	for _, name := range slices.Sorted(maps.Keys(f.branches)) {
		out = append(out, engine.Branch{Name: name, Head: f.branches[name]})
	}
	return out, nil
}

func (f *plainFake) Rename(_ context.Context, t *engine.Talk, name string) (*engine.Talk, error) {
	out := *t
	out.Session.Name = name
	return f.keep(&out), nil
}

func (f *plainFake) note(t *engine.Talk, text string, change func(*engine.State)) (*engine.Talk, error) {
	st := t.State().Clone()
	change(&st)
	return f.add(t, engine.Node{Kind: engine.Command, Text: text, State: st}), nil
}

func (f *plainFake) SetBlend(_ context.Context, t *engine.Talk, who string, b engine.Blend, jump bool) (*engine.Talk, error) {
	f.jumped = jump
	return f.note(t, who+" becomes "+b.String(), func(st *engine.State) { st.Targets = map[string]engine.Blend{who: b} })
}
func (f *plainFake) Become(_ context.Context, t *engine.Talk, who, text string) (*engine.Talk, error) {
	return f.note(t, who+" becomes: "+text, func(*engine.State) {})
}
func (f *plainFake) SetStrength(_ context.Context, t *engine.Talk, n float64) (*engine.Talk, error) {
	return f.note(t, fmt.Sprintf("strength %g", n), func(st *engine.State) { st.Strength = n })
}
func (f *plainFake) SetNext(_ context.Context, t *engine.Talk, who string) (*engine.Talk, error) {
	return f.note(t, who+" answers next", func(st *engine.State) { st.Next = who })
}

// plainRun plays lines and returns what was printed, checking what holds of every output.
func plainRun(t *testing.T, f *plainFake, o PlainOptions, lines ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Plain(t.Context(), f, strings.NewReader(strings.Join(lines, "\n")), &out, o); err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(out.Bytes()) || strings.ContainsFunc(out.String(), func(r rune) bool {
		return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e
	}) {
		t.Errorf("not plain: %q", out.String())
	}
	return out.String()
}

const (
	plainHead      = "The Tide Room\n* scene: The Reading Room\nWater stands ankle-deep.\n"
	plainNoRewards = "goal 0.00, classifier 0.00, similarity 0.00, relevance 0.00, coherence 0.00, repetition 0.00, length 0.00\n"
	plainFoot      = "* saved; weave play tide --plain resumes here\n"
)

// TestPlain plays scripts; each begins the story anew.
func TestPlain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		echo  bool
		want  string // between the head and the foot
	}{
		"nothing":     {nil, false, ""},
		"blank lines": {[]string{"", "   ", "\t\r", "hi", ""}, false, "Wren Aldous: You said hi.\n"},
		"echo":        {[]string{"hi\r", "/strength 2"}, true, "You: hi\nWren Aldous: You said hi.\n> /strength 2\n* strength 2\n"},
		"quit":        {[]string{"/quit", "hi"}, false, ""},
		"a failed turn": {[]string{"fail", "/again", "hi"}, false,
			"* the disk is full; make room\nWren Aldous: Again 2.\nWren Aldous: You said hi.\n"},
		"a wrong command": {[]string{"/swipe", "/foo"}, false,
			"* “” is not a candidate's number; use /swipe N, or /swipe next, or /swipe prev\n* there is no command “/foo”; /help lists the commands\n"},
		"said with a slash": {[]string{"//shrug"}, false, "Wren Aldous: You said //shrug.\n"},
		"another scene": {[]string{"go", "/again", "hi", "/undo", "/undo"}, false,
			"You leave.\n* scene: The Cellar\nDark, and dry.\n* nobody has spoken here yet; say something first\nWren Aldous: You said hi.\n" +
				"* undone; back to:\n* undone; back to:\n* scene: The Reading Room\nWater stands ankle-deep.\n"},
		"an ending": {[]string{"end", "/again", "/undo", "/redo"}, false,
			"The water is still.\n* the end: A calm sea\n* this story has ended; /undo goes back\n" +
				"* undone; back to:\nWater stands ankle-deep.\nYou: end\nThe water is still.\n* the end: A calm sea\n"},
		"a goal": {[]string{"open"}, false, "* reached: the cabinet is open\nWren Aldous: You said open.\n"},
		"a blend": {[]string{"stern", "stern"}, false,
			"* Wren Aldous turns toward Captain Hale 1.00: you broke the seal\n" +
				"Wren Aldous: You said stern.\nWren Aldous: You said stern.\n"},
		"again": {[]string{"/again", "hi", "/again"}, false,
			"* there is no reply to make again; say something first\n" +
				"Wren Aldous: You said hi.\nWren Aldous: Again 3.\n"},
		"swipe": {[]string{"/swipe 1", "hi", "/swipe prev", "/swipe next", "/swipe 3", "/swipe 1"}, false,
			"* there is no reply to swipe yet; say something first\nWren Aldous: You said hi.\n* there is no candidate 0; this is 1 of 2; /again makes others\n" +
				"* candidate 2 of 2\nWren Aldous: Mind the third rung.\n* there is no candidate 3; this is 2 of 2; /again makes others\n" +
				"* candidate 1 of 2\nWren Aldous: You said hi.\n"},
		"undo": {[]string{"/undo", "hi", "you", "/undo", "/redo", "/redo"}, false,
			"* there is nothing to undo\nWren Aldous: You said hi.\nWren Aldous: You said you.\n* undone; back to:\nWren Aldous: You said hi.\n" +
				"You: you\nWren Aldous: You said you.\n* there is nothing to redo\n"},
		"branches": {[]string{"/branch the lie", "hi", "/switch main", "/branches", "/switch nowhere", "/switch The LIE"}, false,
			"* now on branch the-lie\nWren Aldous: You said hi.\n* now on branch main\n* branches: main (here), the-lie\n" +
				"* there is no branch “nowhere”; there are: main, the-lie\n* now on branch the-lie\nYou: hi\nWren Aldous: You said hi.\n"},
		"personas": {[]string{`/become "a robot"`, "/blend hale 0.25", "/blend hale=1 WREN now", "/as captain", "/as nobody"}, false,
			"* wren becomes: a robot\n* wren becomes wren=0.75,hale=0.25\n* wren becomes hale=1.00\n* hale answers next\n" +
				"* “nobody” is not here; here: wren, hale\n"},
		"no export": {[]string{"/export"}, false, "* this talk cannot be exported from here\n"},
		"unsafe":    {[]string{"unsafe"}, false, "Wren Aldous: You said red and back.\n"},
		"why": {[]string{"/why", "hi", "/why"}, false, "* nobody has answered yet; say something first\nWren Aldous: You said hi.\n" +
			"* Wren Aldous spoke as Wren Aldous 0.75, Captain Hale 0.25, strength 1, in voice 0.50; turning toward Wren Aldous 1.00\n" +
			"* 1 (chosen): You said hi.; generated, total 0.50: " + plainNoRewards +
			"* 2: Mind the third rung.; retrieved from Captain Hale, total 0.25: " + plainNoRewards},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plainRun(t, plainFakeNew(), PlainOptions{Story: "tide", New: true, Echo: c.echo}, c.lines...)
			if want := plainHead + c.want + plainFoot; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestPlainStrange gives lines that no player types; play goes on after each.
func TestPlainStrange(t *testing.T) {
	t.Parallel()
	nothing := "* there is nothing to say in that line; type a few words, or /help\n"
	for name, c := range map[string]struct{ line, want string }{
		"nul":                  {"\x00\x00", nothing},
		"nul within":           {"a\x00b", "Wren Aldous: You said ab.\n"},
		"escape":               {"\x1b[2J\x1b]0;x\x07", nothing},
		"escape within":        {"a\x1b[31mb\u009b0mc", "Wren Aldous: You said abc.\n"},
		"right to left":        {"\u202eשלום عليكم\u202c", "Wren Aldous: You said שלום عليكم.\n"},
		"emoji":                {"👩‍🚀🏴‍☠️", "Wren Aldous: You said 👩‍🚀🏴‍☠️.\n"},
		"bad bytes":            {"a\xff\xfeb", "Wren Aldous: You said ab.\n"},
		"spaces":               {strings.Repeat(" ", 1<<20), ""},
		"wide spaces":          {"\u3000\u00a0", ""},
		"mark":                 {"\ufeff/branches", "* branches: main (here)\n"},
		"a megabyte":           {strings.Repeat("x", 1<<20), "* that was long\nWren Aldous: You said " + strings.Repeat("x", engine.MaxLine) + ".\n"},
		"a wide megabyte":      {strings.Repeat("é", 1<<19), "* that was long\nWren Aldous: You said " + strings.Repeat("é", engine.MaxLine) + ".\n"},
		"after spaces":         {strings.Repeat(" ", 1<<20) + "x", "Wren Aldous: You said x.\n"},
		"a megabyte's command": {"/save " + strings.Repeat("x", 1<<20), fmt.Sprintf("* that command is too long; keep it below %d characters\n", engine.MaxLine)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := plainFakeNew()
			got := plainRun(t, f, PlainOptions{New: true}, c.line, "still here")
			if want := plainHead + c.want + "Wren Aldous: You said still here.\n" + plainFoot; got != want {
				t.Errorf("got %.300q\nwant %.300q", got, want)
			}
			for _, line := range f.lines {
				if len(line) > 8*utf8.UTFMax*engine.MaxLine+1 {
					t.Errorf("a line of %d bytes was kept", len(line))
				}
			}
		})
	}
}

func TestPlainUntuned(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	for _, o := range []PlainOptions{{New: true, Untuned: "untuned model tiny\x1b[2J"}, {Untuned: "untuned model tiny"}} {
		if got := plainRun(t, f, o, "hello"); !strings.HasPrefix(got, "The Tide Room\n* untuned model tiny speaks here\n") {
			t.Errorf("printed\n%s", got)
		}
	}
}

func TestPlainResume(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	plainRun(t, f, PlainOptions{Story: "tide", Seed: 7}, "one", "two", "/save the flood")
	if len(f.sessions) != 1 || f.sessions[0].Seed != 7 {
		t.Fatalf("begun: %+v", f.sessions)
	}
	got := plainRun(t, f, PlainOptions{Story: "tide"}, "three")
	if want := "The Tide Room\n* resumed “the flood” on branch main\n* scene: The Reading Room\nWater stands ankle-deep.\n" +
		"You: one\nWren Aldous: You said one.\nYou: two\nWren Aldous: You said two.\nWren Aldous: You said three.\n" +
		"* saved “the flood”; weave play tide --plain resumes here\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := plainRun(t, f, PlainOptions{New: true}, "end"); len(f.sessions) != 2 || !strings.Contains(got, "* the end: A calm sea") {
		t.Errorf("%d saves, printed\n%s", len(f.sessions), got)
	}
	if got := plainRun(t, f, PlainOptions{}); !strings.Contains(got, "* this story has ended; /undo goes back, weave play tide --new begins it anew\n") {
		t.Errorf("the newest save has ended, printed\n%s", got)
	}
	got = plainRun(t, f, PlainOptions{Session: 1})
	if !strings.Contains(got, "* … 1 earlier\n* scene: The Reading Room\nYou: one\n") || !strings.Contains(got, "You said three.") {
		t.Errorf("the first save, printed\n%s", got)
	}
}

func TestPlainHelp(t *testing.T) {
	t.Parallel()
	got := plainRun(t, plainFakeNew(), PlainOptions{}, "/help")
	for _, u := range CommandList() {
		if !strings.Contains(got, "\n* "+u.Use+": "+u.Help+"\n") {
			t.Errorf("/help does not tell of %s:\n%s", u.Name, got)
		}
	}
}

func TestPlainJump(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	plainRun(t, f, PlainOptions{}, "/blend hale 1 now")
	if !f.jumped {
		t.Error("“now” does not jump")
	}
	plainRun(t, f, PlainOptions{}, "/blend hale 1")
	if f.jumped {
		t.Error("a blend jumps unasked")
	}
}

func TestPlainExport(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my talk.md")
	o := PlainOptions{New: true, Export: func(t *engine.Talk) (string, error) { return fmt.Sprintf("%d nodes\n", len(t.Path)), nil }}
	got := plainRun(t, plainFakeNew(), o, "hi", "/export "+file, "/export "+file)
	if b, err := os.ReadFile(file); err != nil || string(b) != "3 nodes\n" {
		t.Errorf("wrote %q, %v", b, err)
	}
	if !strings.Contains(got, "* written to "+file+"\n* cannot write the transcript: open "+file) || !strings.Contains(got, "name another file") {
		t.Errorf("a file is written over:\n%s", got)
	}
	o.Export = func(*engine.Talk) (string, error) { return "", errors.New("no ink") }
	if got := plainRun(t, plainFakeNew(), o, "/export"); !strings.Contains(got, "* no ink\n") {
		t.Errorf("a failed export:\n%s", got)
	}
}

func TestCommandExportNumbers(t *testing.T) {
	t.Chdir(t.TempDir())
	talk := &engine.Talk{Story: &engine.Story{ID: "tide"}, Session: engine.Session{ID: 4}}
	for i, want := range []string{"tide-4.md", "tide-4-2.md", "tide-4-3.md"} {
		got, err := CommandExport(talk, want, "")
		if err != nil || got != want {
			t.Fatalf("export %d: %q, %v", i, got, err)
		}
	}
	if b, err := os.ReadFile("tide-4.md"); err != nil || string(b) != "tide-4.md" {
		t.Errorf("the first holds %q, %v", b, err)
	}
	t.Setenv("HOME", t.TempDir())
	if got, err := CommandExport(talk, "x", "~/talk.md"); err != nil || got != filepath.Join(os.Getenv("HOME"), "talk.md") {
		t.Errorf("home: %q, %v", got, err)
	}
}

// plainBroken fails to write after some writes.
type plainBroken struct{ left int }

func (w *plainBroken) Write(b []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// TestPlainEnds covers what ends the play: it is returned, and nothing is printed of it.
func TestPlainEnds(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	begin := func(f *plainFake, in io.Reader, out io.Writer, o PlainOptions) error {
		return Plain(t.Context(), f, in, out, o)
	}
	for name, c := range map[string]struct {
		change func(*plainFake)
		in     io.Reader
		o      PlainOptions
		is     func(error) bool
		want   string
	}{
		"no such story": {nil, strings.NewReader("hi"), PlainOptions{Story: "x"},
			func(err error) bool { return engine.CodeOf(err) == engine.NotFound }, ""},
		"no such save": {nil, strings.NewReader("hi"), PlainOptions{Session: 9},
			func(err error) bool { return engine.CodeOf(err) == engine.NotFound }, ""},
		"no model": {func(f *plainFake) { f.ready = boom }, strings.NewReader("/branches\nhi\nyou"), PlainOptions{},
			func(err error) bool { return errors.Is(err, boom) }, plainHead + "* branches: main (here)\n"},
		"broken input": {nil, io.MultiReader(strings.NewReader("hi\nhal"), iotest.ErrReader(boom)), PlainOptions{},
			func(err error) bool { return errors.Is(err, boom) }, plainHead + "Wren Aldous: You said hi.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := plainFakeNew()
			if c.change != nil {
				c.change(f)
			}
			var out bytes.Buffer
			if err := begin(f, c.in, &out, c.o); err == nil || !c.is(err) {
				t.Errorf("error %v", err)
			}
			if out.String() != c.want {
				t.Errorf("printed %q, want %q", out.String(), c.want)
			}
		})
	}
	for left := range 5 {
		f := plainFakeNew()
		if err := begin(f, strings.NewReader("hi\nyou\nall"), &plainBroken{left}, PlainOptions{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("output broken after %d lines: %v", left, err)
		}
		if most := max(0, left-2); len(f.lines) > most {
			t.Errorf("output broken after %d lines, yet %d were played", left, len(f.lines))
		}
	}
}

// TestPlainModelWaits checks that the model is asked for once, and only when somebody must speak.
func TestPlainModelWaits(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	if plainRun(t, f, PlainOptions{}, "/help", "\x00"); f.readied != 0 {
		t.Error("waited for the model without a turn")
	}
	if plainRun(t, f, PlainOptions{}, "hi", "you", "/again"); f.readied != 1 {
		t.Errorf("waited %d times", f.readied)
	}
}

// TestPlainCancel ends the context while a line is awaited and while a turn is made.
func TestPlainCancel(t *testing.T) {
	t.Parallel()
	for _, turn := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		r, w := io.Pipe()
		defer w.Close()
		f := plainFakeNew()
		f.wait = true
		if turn {
			go func() { _, _ = io.WriteString(w, "hi\n") }()
		}
		var out bytes.Buffer
		if err := Plain(ctx, f, r, &out, PlainOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("turn %v: %v", turn, err)
		}
		if out.String() != plainHead {
			t.Errorf("turn %v: printed %q", turn, out.String())
		}
	}
}
