package tui

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
	"github.com/personaweave/personaweave/tui/transcript"
)

// page is what fills the screen.
type page int

const (
	pageLibrary page = iota
	pageScene
)

// model is the screen's one tea.Model. It is changed by Update alone; what takes long happens in commands (work.go).
type model struct {
	ctx     context.Context
	game    Game
	options Options
	theme   *theme.Theme
	keys    keys
	crew    *crew
	events  chan tea.Msg

	width, height int
	page          page
	over          overlay // what lies over the page; nil: nothing
	notice        string  // one message to the player, until the next thing the player does
	bad           bool    // the notice tells a failure

	ready   bool  // the model can speak
	unready error // why it never will
	begun   uint64
	turn    int64
	doing   *work // what the game is doing; nil: nothing

	library library
	people  map[string]*engine.Persona
	looks   map[string]look

	talk       *engine.Talk
	pending    string // the player's line until it is stored
	input      input
	stash      string // a line put aside while a command is written
	browse     bool   // the transcript has the focus
	panel      bool   // the side panel is shown, where there is room for it
	paged      bool   // the panel takes the transcript's place
	transcript *transcript.View
	moved      map[string]engine.Blend // blends as they moved in the turn under way, by speaker
	aims       map[string]engine.Blend
	causes     map[string]string
	bars       bars
	beat       int // counts slow ticks while something is being made
	ticking    bool
}

// look is how a persona is drawn.
type look struct {
	name  string
	style lipgloss.Style
}

// bars are the shares as drawn, on their way to what they are.
type bars struct {
	speaker string
	shares  map[string]float64
}

func newModel(ctx context.Context, g Game, o Options, t *theme.Theme) *model {
	m := &model{
		ctx: ctx, game: g, options: o, theme: t, keys: newKeys(), crew: &crew{}, events: make(chan tea.Msg, 64),
		people: map[string]*engine.Persona{}, looks: map[string]look{}, input: newInput(), panel: true,
	}
	m.transcript = transcript.New(t, m.who)
	return m
}

// seed is the seed of the next talk that is begun.
func (m *model) seed() uint64 {
	m.begun++
	return m.options.Seed + m.begun - 1
}

// who is how a persona is drawn in a margin.
func (m *model) who(id string) (string, lipgloss.Style) {
	if l, ok := m.looks[id]; ok {
		return l.name, l.style
	}
	l := look{name: theme.Clean(id)}
	colour := ""
	if p := m.people[id]; p != nil {
		colour = p.Colour
		if short := theme.Clean(p.ShortName()); short != "" {
			l.name = short
		}
	}
	l.style = m.theme.Persona(id, colour)
	m.looks[id] = l
	return l.name, l.style
}

// Init loads the library, wakes the cast and goes where the options say.
func (m *model) Init() tea.Cmd {
	return tea.Batch(m.load(), m.wake(), m.listen())
}

// Update takes one message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		cmd = m.press(msg)
	case heard:
		cmd = tea.Batch(m.hear(msg.msg), m.listen())
	case libraryLoaded:
		cmd = m.loaded(msg)
	case castReady:
		m.ready, m.unready = msg.err == nil, msg.err
		if msg.err != nil && m.ctx.Err() == nil {
			m.fail(msg.err)
		}
	case tickMsg:
		m.ticking = false
		m.advance(time.Duration(msg))
	}
	m.layout()
	return m, tea.Batch(cmd, m.tick())
}

// hear takes what work sent; what belongs to work that was left is dropped.
func (m *model) hear(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case engine.Event:
		if m.doing != nil && msg.TurnID() == m.doing.turn {
			m.event(msg)
		}
	case workDone:
		if m.doing != nil && msg.turn == m.doing.turn {
			w := m.doing
			w.cancel()
			m.doing, m.pending = nil, ""
			return m.done(*w, msg)
		}
	}
	return nil
}

// press takes a key to what has the focus.
func (m *model) press(msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, m.keys.Quit):
		return m.quit()
	case key.Matches(msg, m.keys.Suspend):
		return tea.Suspend
	}
	if msg.Type != tea.KeyRunes && msg.Type != tea.KeySpace || msg.Alt {
		m.notice = ""
	}
	switch {
	case m.over != nil:
		return m.over.press(m, msg)
	case m.page == pageLibrary:
		return m.pressLibrary(msg)
	}
	return m.pressScene(msg)
}

func (m *model) quit() tea.Cmd {
	m.stop()
	return tea.Quit
}

// tell shows a notice; fail shows what went wrong.
func (m *model) tell(s string)  { m.notice, m.bad = theme.Clean(s), false }
func (m *model) fail(err error) { m.notice, m.bad = theme.Clean(err.Error()), true }

// tickMsg is the time a tick stands for.
type tickMsg time.Duration

const (
	frame = 33 * time.Millisecond  // while bars move
	pulse = 300 * time.Millisecond // while something is being made
)

// tick asks for the next tick, where anything moves and none is on its way.
func (m *model) tick() tea.Cmd {
	every := time.Duration(0)
	switch {
	case m.page == pageScene && m.moving():
		every = frame
	case m.doing != nil && m.doing.kind.slow(), !m.ready && m.unready == nil:
		every = pulse
	}
	if m.ticking || every == 0 {
		return nil
	}
	m.ticking = true
	return tea.Tick(every, func(time.Time) tea.Msg { return tickMsg(every) })
}

// advance moves what moves by one tick.
func (m *model) advance(by time.Duration) {
	if by == pulse {
		m.beat++
	}
	aim := m.state().Blends[m.bars.speaker]
	for id := range m.union(aim) {
		d := aim[id] - m.bars.shares[id]
		if math.Abs(d) < 0.004 {
			m.bars.shares[id] = aim[id]
		} else {
			m.bars.shares[id] += 0.4 * d
		}
		if m.bars.shares[id] == 0 {
			delete(m.bars.shares, id)
		}
	}
}

// moving reports whether a bar is not where it should be.
func (m *model) moving() bool {
	aim := m.state().Blends[m.bars.speaker]
	for id := range m.union(aim) {
		if m.bars.shares[id] != aim[id] {
			return true
		}
	}
	return false
}

// union is the personas of a blend and of the bars as drawn.
func (m *model) union(b engine.Blend) map[string]bool {
	ids := map[string]bool{}
	for id := range b {
		ids[id] = true
	}
	for id := range m.bars.shares {
		ids[id] = true
	}
	return ids
}

// loaded shows the library, and goes on to what the options ask for the first time.
func (m *model) loaded(l libraryLoaded) tea.Cmd {
	first := m.library.stories == nil
	m.library.stories, m.library.personas, m.library.sessions = l.stories, l.personas, l.sessions
	m.library.clamp()
	for _, p := range l.personas {
		m.people[p.ID] = p
	}
	clear(m.looks)
	if l.err != nil {
		m.fail(l.err)
	}
	if first && (m.options.Story != "" || m.options.Session != 0) {
		return m.open(m.options.Story, m.options.Session, m.options.New)
	}
	return nil
}

// lookOnly are the commands that only look at the talk, and so need no talk that stands still.
var lookOnly = []string{"why", "help", "quit"}

// command carries out what the player typed after a slash.
func (m *model) command(c Command) tea.Cmd {
	if m.doing != nil && !slices.Contains(lookOnly, c.Name) {
		m.tell(m.busyText())
		return nil
	}
	m.input.sent()
	if m.stash != "" {
		m.input.set(m.stash)
		m.stash = ""
	}
	switch c.Name {
	case "help":
		m.over = newHelp(m)
	case "quit":
		return m.quit()
	case "why":
		m.why()
	case "branches":
		return m.listBranches()
	case "export":
		if m.options.Export == nil {
			m.tell("this talk cannot be exported from here")
			return nil
		}
		return m.export(c.Text)
	case "again", "swipe", "branch":
		return m.play(c, m.transcript.Chosen())
	default:
		return m.play(c, -1)
	}
	return nil
}
