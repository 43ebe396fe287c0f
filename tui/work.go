package tui

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/personaweave/personaweave/engine"
)

// workKind says what the game is asked to do.
type workKind int

const (
	workTurn workKind = iota + 1
	workAgain
	workCommand
	workOpen
	workDelete
	workBranches
	workExport
)

// slow reports whether the work makes a reply.
func (k workKind) slow() bool { return k == workTurn || k == workAgain }

// work is what the game is doing for the screen; there is at most one at a time.
type work struct {
	kind     workKind
	turn     int64
	cancel   context.CancelFunc
	line     string // workTurn: what the player said
	said     bool   // workTurn: the player's line is stored
	command  Command
	at       int    // index of the reply that is made again or swiped, or −1
	thinking string // the speaker whose candidates are being made
}

// workDone is what became of work. Its talk may be nil.
type workDone struct {
	turn     int64
	talk     *engine.Talk
	branches []engine.Branch
	path     string // of an export
	err      error
}

// libraryLoaded is what the library shows.
type libraryLoaded struct {
	stories  []*engine.Story
	personas []*engine.Persona
	sessions []engine.Session
	err      error // of the sessions
}

// castReady says that the model can speak, or why not.
type castReady struct{ err error }

// crew counts the goroutines that play, so that the program can wait for them at its end.
type crew struct {
	mu   sync.Mutex
	wg   sync.WaitGroup
	over bool
}

// start reports whether another may begin; it must then be done.
func (c *crew) start() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.wg.Add(1)
	}
	return !c.over
}

// end lets no more begin and waits for those under way, at most this long.
func (c *crew) end(most time.Duration) {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(most):
	}
}

// begin starts work in a goroutine. Its events and its end come over the model's channel, in order.
func (m *model) begin(w work, f func(ctx context.Context, w work, emit func(engine.Event)) workDone) tea.Cmd {
	m.turn++
	ctx, cancel := context.WithCancel(m.ctx)
	w.turn, w.cancel = m.turn, cancel
	m.doing = &w
	out, c := m.events, m.crew
	send := func(msg tea.Msg) {
		select {
		case out <- msg:
		case <-ctx.Done():
		}
	}
	begun := w
	return tea.Batch(m.tick(), func() tea.Msg {
		if !c.start() {
			return nil
		}
		defer c.wg.Done()
		done := f(ctx, begun, func(ev engine.Event) { send(ev) })
		done.turn = begun.turn
		send(done)
		return nil
	})
}

// listen waits for the next message of work under way.
func (m *model) listen() tea.Cmd {
	in, ctx := m.events, m.ctx
	return func() tea.Msg {
		select {
		case msg := <-in:
			return heard{msg}
		case <-ctx.Done():
			return nil
		}
	}
}

// heard wraps what came over the channel, so that listening goes on after it.
type heard struct{ msg tea.Msg }

// stop abandons the work under way: what it still sends is stale.
func (m *model) stop() {
	if m.doing != nil {
		m.doing.cancel()
		m.doing = nil
	}
	m.pending = ""
}

func (m *model) load() tea.Cmd {
	g, ctx := m.game, m.ctx
	return func() tea.Msg {
		l := libraryLoaded{stories: g.Stories(), personas: g.Personas()}
		l.sessions, l.err = g.Sessions(ctx)
		return l
	}
}

func (m *model) wake() tea.Cmd {
	g, ctx := m.game, m.ctx
	return func() tea.Msg { return castReady{g.Ready(ctx)} }
}

// open begins or resumes a talk: the save, else the newest of the story unless it is to be new.
func (m *model) open(story string, session int64, fresh bool) tea.Cmd {
	g, seed := m.game, m.seed()
	return m.begin(work{kind: workOpen, at: -1}, func(ctx context.Context, _ work, _ func(engine.Event)) (d workDone) {
		if session == 0 && !fresh {
			sessions, err := g.Sessions(ctx)
			if err != nil {
				return workDone{err: err}
			}
			if i := slices.IndexFunc(sessions, func(s engine.Session) bool { return s.Story == story }); i >= 0 {
				session = sessions[i].ID
			}
		}
		if session != 0 {
			d.talk, d.err = g.Resume(ctx, session)
		} else {
			d.talk, d.err = g.Start(ctx, story, seed)
		}
		return d
	})
}

// say takes a player's line to the reply.
func (m *model) say(line string) tea.Cmd {
	g, t, ready := m.game, m.talk, m.ready
	m.pending = line
	return m.begin(work{kind: workTurn, line: line, at: -1}, func(ctx context.Context, w work, emit func(engine.Event)) (d workDone) {
		if !ready {
			if d.err = g.Ready(ctx); d.err != nil {
				return d
			}
		}
		d.talk, d.err = g.Turn(ctx, t, w.line, w.turn, emit)
		return d
	})
}

// play carries out a command that changes the talk, at the chosen reply or where it means by itself.
func (m *model) play(c Command, at int) tea.Cmd {
	g, t, ready := m.game, m.talk, m.ready
	kind := workCommand
	if c.Name == "again" {
		kind = workAgain
	}
	return m.begin(work{kind: kind, command: c, at: at}, func(ctx context.Context, w work, emit func(engine.Event)) (d workDone) {
		if kind == workAgain && !ready {
			if d.err = g.Ready(ctx); d.err != nil {
				return d
			}
		}
		d.talk, d.err = c.Play(ctx, g, t, at, w.turn, emit)
		return d
	})
}

func (m *model) listBranches() tea.Cmd {
	g, t := m.game, m.talk
	return m.begin(work{kind: workBranches, at: -1}, func(ctx context.Context, _ work, _ func(engine.Event)) (d workDone) {
		d.branches, d.err = g.Branches(ctx, t)
		return d
	})
}

func (m *model) remove(session int64) tea.Cmd {
	g := m.game
	return m.begin(work{kind: workDelete, at: -1}, func(ctx context.Context, _ work, _ func(engine.Event)) workDone {
		return workDone{err: g.Delete(ctx, session)}
	})
}

// export writes the talk's transcript, into file where one is named.
func (m *model) export(file string) tea.Cmd {
	f, t := m.options.Export, m.talk
	return m.begin(work{kind: workExport, at: -1}, func(context.Context, work, func(engine.Event)) (d workDone) {
		if d.path, d.err = f(t); d.err != nil || file == "" {
			return d
		}
		text, err := os.ReadFile(d.path)
		if err == nil {
			var to string
			if to, err = CommandExport(t, string(text), file); err == nil {
				err = os.Remove(d.path)
				d.path = to
			}
		}
		d.err = err
		return d
	})
}
