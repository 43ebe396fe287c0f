package tui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"
	"github.com/muesli/termenv"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// player drives the screen as a terminal would, and waits after each key until nothing is under way.
type player struct {
	t    *testing.T
	m    *model
	msgs chan tea.Msg
	left bool
}

// at is the time of every test.
var at = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func screenTheme(profile termenv.Profile, dark bool) *theme.Theme {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(profile)
	r.SetHasDarkBackground(dark)
	return theme.New(r)
}

func newPlayer(t *testing.T, g Game, o Options, width, height int, th *theme.Theme) *player {
	t.Helper()
	o.Clock = func() time.Time { return at }
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p := &player{t: t, m: newModel(ctx, g, o, th), msgs: make(chan tea.Msg, 64)}
	p.run(p.m.Init())
	p.send(tea.WindowSizeMsg{Width: width, Height: height})
	return p
}

func (p *player) run(cmd tea.Cmd) {
	if cmd != nil {
		go func() { p.msgs <- cmd() }()
	}
}

// take gives the model one message, its commands run beside.
func (p *player) take(msg tea.Msg) {
	switch msg := msg.(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			p.run(c)
		}
	case tea.QuitMsg:
		p.left = true
	default:
		_, cmd := p.m.Update(msg)
		p.run(cmd)
	}
}

func (p *player) idle() bool {
	m := p.m
	return p.left || m.doing == nil && m.library.stories != nil && (m.ready || m.unready != nil) && (m.page != pageScene || !m.moving())
}

// send takes a message and waits until the screen is idle.
func (p *player) send(msg tea.Msg) {
	p.t.Helper()
	p.take(msg)
	late := time.After(20 * time.Second)
	for quiet := false; ; {
		wait := time.Duration(0)
		if p.idle() {
			if quiet {
				return
			}
			wait, quiet = 3*time.Millisecond, true
		} else {
			wait, quiet = time.Second, false
		}
		select {
		case msg := <-p.msgs:
			quiet = false
			p.take(msg)
		case <-time.After(wait):
		case <-late:
			p.t.Fatalf("the screen does not come to rest:\n%s", p.screen())
		}
	}
}

var namedKeys = map[string]tea.KeyMsg{
	"enter": {Type: tea.KeyEnter}, "esc": {Type: tea.KeyEsc}, "tab": {Type: tea.KeyTab}, "left": {Type: tea.KeyLeft}, "right": {Type: tea.KeyRight},
	"up": {Type: tea.KeyUp}, "down": {Type: tea.KeyDown}, "pgup": {Type: tea.KeyPgUp}, "pgdown": {Type: tea.KeyPgDown}, "ctrl+u": {Type: tea.KeyCtrlU},
	"ctrl+w": {Type: tea.KeyCtrlW}, "ctrl+c": {Type: tea.KeyCtrlC}, "alt+up": {Type: tea.KeyUp, Alt: true}, "alt+down": {Type: tea.KeyDown, Alt: true},
	"backspace": {Type: tea.KeyBackspace},
}

// press presses keys: names, alt+x, or single characters.
func (p *player) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		msg, ok := namedKeys[k]
		if rest, alt := strings.CutPrefix(k, "alt+"); !ok && alt {
			msg, ok = tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(rest), Alt: true}, true
		}
		if !ok {
			msg = tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		}
		p.send(msg)
	}
}

// say types a line and presses enter.
func (p *player) say(line string) {
	p.t.Helper()
	for _, r := range line {
		p.take(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	p.press("enter")
}

// screen is what stands on the screen, without colours.
func (p *player) screen() string { return ansi.Strip(p.m.View()) }

func (p *player) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if s := p.screen(); !strings.Contains(s, text) {
			p.t.Errorf("%q is not on the screen:\n%s", text, s)
		}
	}
}

func (p *player) seesNot(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if s := p.screen(); strings.Contains(s, text) {
			p.t.Errorf("%q is on the screen:\n%s", text, s)
		}
	}
}

func atDesk(t *testing.T, f *plainFake) *player {
	return newPlayer(t, f, Options{}, 100, 30, screenTheme(termenv.Ascii, true))
}

func TestPlayFromTheLibrary(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	p.sees("Personaweave", "The Tide Room", "[Stories 1]", "Saves 0", "Personas 2", "enter open")
	p.press("enter")
	p.sees("The Tide Room · The Reading Room · 1 of 2", "Water stands", "branch main", "Wren Aldous", "the cabinet is open")
	p.say("hello")
	p.sees("you", "hello", "You said hello.", "‹ 1 of 2 ›", "in voice")
	if len(f.lines) != 1 || f.lines[0] != "hello" {
		t.Errorf("the game heard %q", f.lines)
	}
	before := p.screen()
	p.press("esc", "esc")
	p.sees("1 turn", "[Stories 1]", "Saves 1")
	p.press("tab", "enter")
	if after := p.screen(); after != before {
		t.Errorf("resumed:\n%s\nwas:\n%s", after, before)
	}
	p.press("ctrl+c")
	if !p.left {
		t.Error("ctrl+c does not leave")
	}
}

func TestSwipesUndoBranchesWhy(t *testing.T) {
	t.Parallel()
	p := atDesk(t, plainFakeNew())
	p.press("enter")
	p.say("one")
	p.say("two")
	p.press("right")
	p.sees("Mind the third rung.", "‹ 2 of 2 ›")
	p.seesNot("You said two.")
	p.press("right")
	p.sees("there is no candidate 3")
	p.press("left")
	p.sees("You said two.", "‹ 1 of 2 ›")
	p.press("alt+up", "alt+up", "right") // the older reply: what followed it stays on its branch
	p.sees("Mind the third rung.")
	p.seesNot("You said two.", "You said one.")
	p.press("left", "alt+u")
	p.sees("undone")
	p.seesNot("You said one.", "Mind")
	p.press("alt+y")
	p.seesNot("undone")
	p.say("three")
	p.press("alt+w")
	p.sees("Why this reply", "made", "found", "You said three.", "Mind the third rung.", "wren 0.75", "goal 0.00 ×")
	p.press("down", "enter")
	p.sees("Mind the third rung.", "‹ 2 of 2 ›")
	p.press("alt+b")
	p.sees("/branch", "name the branch")
	p.say("the other way")
	p.sees("branch the-other-way")
	p.say("/switch main")
	p.sees("branch main")
	p.say("/branches")
	p.sees("Branches", "the-other-way", "played now")
	p.press("esc")
	p.say("/branch main")
	p.press("alt+r")
	p.sees("Again")
}

func TestBlendBarsMove(t *testing.T) {
	t.Parallel()
	p := atDesk(t, plainFakeNew())
	p.press("enter")
	p.say("hello")
	p.say("/blend hale 0.4 now")
	p.sees("wren becomes")
	p.say("/become \"a sarcastic robot\"")
	p.sees("wren becomes: a sarcastic robot")
	p.say("/strength 1.5")
	p.sees("strength  1.5")
	p.say("/as hale")
	p.sees("next      Captain")
	// a bar goes to its share in steps that can be seen
	p.m.bars = bars{"wren", map[string]float64{"wren": 1}}
	st := p.m.state()
	if _, ok := st.Targets["wren"]; !ok {
		t.Fatal("the talk has no target")
	}
	p.m.moved, p.m.aims = map[string]engine.Blend{"wren": {"hale": 0.5, "wren": 0.5}}, map[string]engine.Blend{"wren": {"hale": 1}}
	seen := map[string]bool{}
	for range 40 {
		p.m.advance(frame)
		seen[fmt.Sprintf("%.2f", p.m.bars.shares["hale"])] = true
	}
	if p.m.moving() || len(seen) < 4 || p.m.bars.shares["hale"] != 0.5 {
		t.Errorf("the bar went through %v to %v", seen, p.m.bars.shares)
	}
}

func TestSceneChangesAndEnds(t *testing.T) {
	t.Parallel()
	p := atDesk(t, plainFakeNew())
	p.press("enter")
	p.say("open")
	p.sees("You said open.")
	p.say("go")
	p.sees("The Cellar · 2 of 2", "── The Cellar ──", "You leave.")
	p.say("end")
	p.sees("The water is still.", "the end: A calm sea")
	p.say("more")
	p.sees("this story has ended")
	p.press("ctrl+u", "alt+u")
	p.seesNot("the end: A calm sea")
}

func TestFailuresLoseNothing(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	p.press("enter")
	p.say("fail") // the line is stored, the reply is not
	p.sees("! the disk is full", "alt+r tries again")
	p.press("alt+r")
	p.sees("Again")
	p.say("/nonsense")
	p.sees("there is no command", "/help")
	p.press("ctrl+u")
	p.say("/blend nobody 0.5")
	p.sees("nobody", "known")

	broken := plainFakeNew()
	broken.ready = &engine.Error{Code: engine.Damaged, Message: "the adapter belongs to another base", Hint: "unset WEAVE_ADAPTER"}
	p = atDesk(t, broken)
	p.sees("the model cannot speak", "the adapter belongs to another base; unset WEAVE_ADAPTER")
	p.press("enter")
	p.say("hello")
	p.sees("the adapter belongs to another base", "hello") // the line is back in the input
	if p.m.input.value() != "hello" {
		t.Errorf("the line is lost: %q", p.m.input.value())
	}
}

func TestStrangeText(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	p.press("enter")
	paste := func(s string) {
		t.Helper()
		p.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(s), Paste: true})
	}
	paste(strings.Repeat("x ", 512<<10)) // 1 MB
	p.sees("the rest was cut")
	if n := len([]rune(p.m.input.value())); n != engine.MaxLine {
		t.Errorf("the line holds %d characters, want %d", n, engine.MaxLine)
	}
	p.press("ctrl+u")
	paste("   \t ")
	p.press("enter")
	p.press("ctrl+u")
	if len(f.lines) != 0 {
		t.Errorf("spaces were said: %q", f.lines)
	}
	for _, line := range []string{"\x1b[31mred\x1b[0m", "nul\x00l", "👩‍👩‍👧😀", "שלום, מי את?", "日本語の本は?", "a\x1b]0;title\x07b"} {
		paste(line)
		p.press("enter")
	}
	if len(f.lines) != 6 {
		t.Fatalf("the game heard %q", f.lines)
	}
	p.say("unsafe")
	if s := p.m.View(); strings.ContainsAny(s, "\x00\x07\x1b") || strings.ContainsRune(s, '\u202e') {
		t.Errorf("something unsafe is drawn: %q", s)
	}
	p.sees("😀", "שלום", "日本語")
	// the cursor does not stop inside an emoji, and one backspace takes all of it
	paste("a👩‍👩‍👧")
	p.press("backspace")
	if v := p.m.input.value(); v != "a" {
		t.Errorf("after one backspace %q", v)
	}
}

func TestTypingWhileTheReplyIsMade(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	p.press("enter")
	f.wait = true
	for _, r := range "hello" {
		p.take(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	p.take(namedKeys["enter"])
	if p.m.doing == nil {
		t.Fatal("no reply is being made")
	}
	for _, r := range "next" {
		p.take(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	p.take(namedKeys["enter"])
	p.sees("hello", "› next", "one moment")
	p.take(namedKeys["esc"])
	p.press("esc") // abandons it
	p.sees("[Stories 1]")
}

func TestDeleteAsks(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	p.press("enter")
	p.say("hello")
	p.press("esc", "esc", "tab", "d")
	p.sees("Delete the save", "1 turn", "y yes")
	p.press("n")
	p.seesNot("deleted")
	p.press("d", "y")
	p.sees("deleted")
}

// Every size draws lines that fit, as many as there are rows.
func TestEverySizeFits(t *testing.T) {
	t.Parallel()
	f := plainFakeNew()
	p := atDesk(t, f)
	check := func(what string) {
		t.Helper()
		for width := 20; width <= 200; width += 13 {
			for height := 5; height <= 60; height += 5 {
				p.m.Update(tea.WindowSizeMsg{Width: width, Height: height})
				lines := strings.Split(p.m.View(), "\n")
				if len(lines) > height || len(lines) < height && width >= leastWidth && height >= leastHeight {
					t.Fatalf("%s at %d×%d has %d lines", what, width, height, len(lines))
				}
				for _, l := range lines {
					if theme.Width(l) > width {
						t.Fatalf("%s at %d×%d: a line of %d cells: %q", what, width, height, theme.Width(l), l)
					}
				}
			}
		}
		p.m.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	}
	check("library")
	p.press("?")
	check("help of the library")
	p.press("esc", "tab", "tab", "enter")
	check("a character")
	p.press("esc", "tab", "enter")
	p.say("日本語の本はどこですか? 👩‍👩‍👧 " + strings.Repeat("long ", 60))
	p.say("stern")
	check("scene")
	p.press("alt+w")
	check("why")
	p.press("esc", "tab")
	check("scene without its panel")
	p.m.Update(tea.WindowSizeMsg{Width: 60, Height: 20})
	p.press("tab")
	p.sees("Wren Aldous")
	p.say("/help")
	p.sees("Writing")
	check("help")
	p.press("esc", "esc")
	check("browsing")
}

func TestTinyTerminal(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, plainFakeNew(), Options{}, 20, 5, screenTheme(termenv.Ascii, true))
	p.sees("weave needs a")
	p.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	p.sees("The Tide Room")
}

// The screens themselves; `make golden` draws them anew.
func TestGolden(t *testing.T) {
	t.Parallel()
	sizes := []struct{ width, height int }{{40, 12}, {80, 24}, {160, 48}}
	looks := []struct {
		name    string
		profile termenv.Profile
		dark    bool
	}{{"dark", termenv.TrueColor, true}, {"light", termenv.ANSI256, false}, {"plain", termenv.Ascii, true}}
	for _, size := range sizes {
		for _, look := range looks {
			t.Run(fmt.Sprintf("%dx%d-%s", size.width, size.height, look.name), func(t *testing.T) {
				t.Parallel()
				f := plainFakeNew()
				f.people[0].Colour, f.people[1].Colour = "#4F8A8B", "#B5532A"
				f.people[0].Tagline, f.people[0].Description = "The keeper of a drowned reading room", "Wren keeps the reading room."
				f.people[0].Examples = []engine.Example{{You: "hi", Says: "Hello. Wipe your feet."}}
				f.story.Summary, f.story.Cast = "A keeper who will not leave, a captain who will not go near the water, and one load that can be saved.", []string{"wren", "hale"}
				p := newPlayer(t, f, Options{Info: "avx2 · 2 threads"}, size.width, size.height, screenTheme(look.profile, look.dark))
				var out strings.Builder
				show := func(title string) { fmt.Fprintf(&out, "=== %s\n%s\n", title, p.m.View()) }
				show("library")
				p.press("enter")
				p.say("hello, is there 日本語の本 or a book on 😀?")
				p.say("stern")
				show("scene")
				p.press("alt+w")
				show("why")
				golden.RequireEqual(t, []byte(out.String()))
			})
		}
	}
}

// A model that nobody tuned is told as such wherever something is drawn, whatever its name.
func TestUntuned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width, height int
		name          string
		want          string
	}{
		{40, 12, "untuned model SmolLM2-1.7B-Instruct.Q8_0", "untuned model…"},
		{60, 16, "untuned model SmolLM2-1.7B-Instruct.Q8_0", "untuned model …"},
		{80, 24, "untuned model SmolLM2-1.7B-Instruct.Q8_0", "untuned model SmolL… · "},
		{80, 24, "untuned model tiny\x1b[2J", "untuned model tiny · "},
		{160, 48, "untuned model SmolLM2-1.7B-Instruct.Q8_0", "untuned model SmolLM2-1.7B-Instruct.Q8_0 · "},
	} {
		p := newPlayer(t, plainFakeNew(), Options{Untuned: c.name, Info: "avx2 · 2 threads"}, c.width, c.height, screenTheme(termenv.Ascii, true))
		p.sees(c.want, "Personaweave")
		p.press("enter")
		p.sees(c.want, "The Tide Room")
		p.say("hello")
		p.say("/save a very long name for a save, such as nobody gives")
		p.sees(c.want, "The Tide")
		if c.width >= 80 {
			p.sees("branch main ●")
		}
	}
	p := atDesk(t, plainFakeNew())
	p.seesNot("untuned")
	p.press("enter")
	p.seesNot("untuned")
}

// A paste of any size is capped where it is read; everything else passes as it is.
func TestPasteReader(t *testing.T) {
	t.Parallel()
	read := func(in string, chunk int) string {
		r := &pasteReader{File: &fakeTerminal{Reader: strings.NewReader(in)}}
		var out strings.Builder
		buf := make([]byte, chunk)
		for {
			n, err := r.Read(buf)
			out.Write(buf[:n])
			if err != nil {
				return out.String()
			}
		}
	}
	for _, chunk := range []int{7, 64, 4096} {
		if in := "abc\x1b[A\x1b[200~short\x1b[201~d\x1b["; read(in, chunk) != in {
			t.Errorf("chunks of %d: %q", chunk, read(in, chunk))
		}
		got := read(pasteBegin+strings.Repeat("y", 1<<20)+pasteEnd+"after", chunk)
		if len(got) > pasteMost+64 || !strings.HasPrefix(got, pasteBegin+"y") || !strings.HasSuffix(got, pasteEnd+"after") {
			t.Errorf("chunks of %d: %d bytes, ends %q", chunk, len(got), got[max(0, len(got)-20):])
		}
	}
}

type fakeTerminal struct{ io.Reader }

func (f *fakeTerminal) Write(p []byte) (int, error) { return len(p), nil }
func (f *fakeTerminal) Close() error                { return nil }
func (f *fakeTerminal) Fd() uintptr                 { return 0 }

func BenchmarkFrame10kTurns(b *testing.B) {
	m := longTalk(10_000)
	for i := range b.N {
		m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'a' + rune(i%26)}})
		_ = m.View()
		m.input.line.Reset()
	}
}
