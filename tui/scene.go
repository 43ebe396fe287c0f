package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// state is the game state as the screen shows it: that of the last node, and what moved since in the turn under way.
func (m *model) state() engine.State {
	nodes := m.transcript.Nodes()
	if len(nodes) == 0 {
		return engine.State{Strength: 1}
	}
	st := nodes[len(nodes)-1].State
	if len(m.moved) > 0 {
		st.Blends, st.Targets, st.Causes = maps.Clone(st.Blends), maps.Clone(st.Targets), maps.Clone(st.Causes)
		for who := range m.moved {
			st.Blends = put(st.Blends, who, m.moved[who])
			st.Targets = put(st.Targets, who, m.aims[who])
			st.Causes = put(st.Causes, who, m.causes[who])
		}
	}
	return st
}

func put[V any](in map[string]V, k string, v V) map[string]V {
	if in == nil {
		in = map[string]V{}
	}
	in[k] = v
	return in
}

// speaker is whom the panel is about: who answers next, else who spoke last, else who is here first.
func (m *model) speaker(st engine.State) string {
	sc, ok := m.talk.Story.Scene(st.Scene)
	if m.doing != nil && m.doing.thinking != "" {
		return m.doing.thinking
	}
	for _, id := range []string{st.Next, st.Speaker} {
		if id != "" && (!ok || slices.Contains(sc.Present, id)) {
			return id
		}
	}
	if ok && len(sc.Present) > 0 {
		return sc.Present[0]
	}
	return ""
}

// show puts a talk on the screen.
func (m *model) show(t *engine.Talk) {
	opened := m.talk == nil || m.talk.Session.ID != t.Session.ID
	m.talk = t
	m.moved, m.aims, m.causes = nil, nil, nil
	m.transcript.Set(t.Story, t.Path)
	if opened {
		m.page, m.over, m.browse, m.bars = pageScene, nil, false, bars{}
		m.transcript.Bottom()
		m.input.line.Reset()
		m.stash = ""
	}
	m.settleBars()
}

// settleBars turns the bars to whom the panel is about; a speaker new to it is drawn as things stand.
func (m *model) settleBars() {
	if m.talk == nil {
		return
	}
	st := m.state()
	if who := m.speaker(st); who != m.bars.speaker || m.bars.shares == nil {
		m.bars = bars{who, map[string]float64{}}
		for id, w := range st.Blends[who] {
			m.bars.shares[id] = w
		}
	}
}

// event shows what happens while a turn is made.
func (m *model) event(ev engine.Event) {
	switch ev := ev.(type) {
	case engine.Committed:
		if ev.Node.Kind == engine.Player {
			m.doing.said, m.pending = true, ""
		}
		m.extend(ev.Node)
	case engine.BlendMoved:
		m.moved, m.aims, m.causes = put(m.moved, ev.Speaker, ev.To), put(m.aims, ev.Speaker, ev.Target), put(m.causes, ev.Speaker, ev.Cause)
	case engine.Thinking:
		m.doing.thinking = ev.Speaker
	case engine.GoalMoved:
		if sc := m.talk.Scene(); ev.Done && sc != nil {
			if i := slices.IndexFunc(sc.Goals, func(g engine.Goal) bool { return g.ID == ev.Goal }); i >= 0 {
				m.tell("reached: " + sc.Goals[i].Want)
			}
		}
	case engine.Ended:
		m.tell("the story has ended; alt+u goes back, esc esc leads to the library")
	case engine.Noticed:
		m.tell(ev.Text)
	}
	m.settleBars()
}

// extend shows a node that was stored: below its parent, in place of what followed that.
func (m *model) extend(n engine.Node) {
	nodes := m.transcript.Nodes()
	at := len(nodes)
	for i, o := range slices.Backward(nodes) {
		if o.ID == n.Parent {
			at = i + 1
			break
		}
	}
	if n.State.Blends != nil {
		delete(m.moved, n.Speaker)
	}
	m.transcript.Set(m.talk.Story, append(slices.Clip(nodes[:at]), n))
	if n.Kind == engine.Player {
		m.transcript.Bottom()
	}
}

// done shows what became of work.
func (m *model) done(w work, d workDone) tea.Cmd {
	if d.talk != nil {
		chosen := m.transcript.Chosen()
		m.show(d.talk)
		if w.command.Name == "swipe" {
			m.swiped(w, chosen)
		}
	}
	if d.err != nil {
		if m.ctx.Err() == nil {
			m.fail(d.err)
		}
		if w.kind == workTurn && !w.said && m.input.empty() {
			m.input.set(w.line)
		}
		if w.kind == workTurn && w.said && m.talk != nil {
			m.notice += " (alt+r tries again)"
		}
		return nil
	}
	switch w.kind {
	case workDelete:
		m.tell("deleted")
		return m.load()
	case workBranches:
		m.over = newBranchList(m, d.branches)
	case workExport:
		m.tell("written to " + d.path)
	case workCommand:
		m.commanded(w.command)
	}
	return nil
}

// swiped keeps the choice on the reply that was swiped.
func (m *model) swiped(w work, chosen int) {
	if chosen >= 0 {
		m.transcript.Choose(chosen)
		if m.transcript.Chosen() >= 0 && chosen < len(m.talk.Path)-1 && w.at >= 0 {
			return
		}
	}
}

// commanded says what a command did, where the screen does not show it.
func (m *model) commanded(c Command) {
	switch c.Name {
	case "undo":
		m.tell("undone; alt+y redoes it")
	case "branch", "switch":
		m.tell("now on branch " + m.talk.Session.Branch)
	case "save":
		m.tell("this save is named “" + m.talk.Session.Name + "”")
	}
}

// busyText says what is being waited for.
func (m *model) busyText() string {
	if m.doing != nil && m.doing.kind.slow() {
		if m.doing.thinking != "" {
			name, _ := m.who(m.doing.thinking)
			return name + " is still thinking; what you wrote stays here"
		}
		if !m.ready {
			return "the cast is still waking; what you wrote stays here"
		}
	}
	return "one moment; what you wrote stays here"
}

// pressScene takes a key in a scene.
func (m *model) pressScene(msg tea.KeyMsg) tea.Cmd {
	k := m.keys
	empty := m.input.empty()
	if m.browse {
		return m.pressBrowse(msg)
	}
	if msg.Paste {
		m.type_(msg)
		return nil
	}
	switch {
	case key.Matches(msg, k.Send):
		return m.enter()
	case key.Matches(msg, k.Browse):
		m.browse = true
		return nil
	case key.Matches(msg, k.Panel):
		if m.complete() {
			return nil
		}
	case key.Matches(msg, k.Earlier):
		m.input.recall(-1)
		return nil
	case key.Matches(msg, k.Later):
		m.input.recall(1)
		return nil
	case msg.Type == tea.KeyF1:
		m.over = newHelp(m)
		return nil
	case (key.Matches(msg, k.SwipeLeft) || key.Matches(msg, k.SwipeRight)) && !empty:
		m.type_(msg)
		return nil
	}
	if cmd, did := m.pressTalk(msg); did {
		return cmd
	}
	m.type_(msg)
	return nil
}

// pressTalk takes the keys that act on the talk whatever has the focus.
func (m *model) pressTalk(msg tea.KeyMsg) (tea.Cmd, bool) {
	k := m.keys
	switch {
	case key.Matches(msg, k.Panel):
		m.togglePanel()
	case key.Matches(msg, k.SwipeLeft):
		return m.act(Command{Name: "swipe", Step: -1}), true
	case key.Matches(msg, k.SwipeRight):
		return m.act(Command{Name: "swipe", Step: 1}), true
	case key.Matches(msg, k.Again):
		return m.act(Command{Name: "again"}), true
	case key.Matches(msg, k.Undo):
		return m.act(Command{Name: "undo"}), true
	case key.Matches(msg, k.Redo):
		return m.act(Command{Name: "redo"}), true
	case key.Matches(msg, k.Branch):
		m.askBranch()
	case key.Matches(msg, k.Why):
		m.why()
	case key.Matches(msg, k.Older):
		m.choose(-1)
	case key.Matches(msg, k.Newer):
		m.choose(1)
	case key.Matches(msg, k.PageUp):
		m.transcript.Scroll(max(1, m.bodyHeight()-2))
	case key.Matches(msg, k.PageDown):
		m.transcript.Scroll(-max(1, m.bodyHeight()-2))
	default:
		return nil, false
	}
	return nil, true
}

// pressBrowse takes a key while the transcript has the focus.
func (m *model) pressBrowse(msg tea.KeyMsg) tea.Cmd {
	k := m.keys
	if msg.Paste {
		m.browse = false
		m.type_(msg)
		return nil
	}
	switch {
	case key.Matches(msg, k.Library):
		return m.leave()
	case key.Matches(msg, k.Input):
		m.browse = false
	case key.Matches(msg, k.PlainQuit):
		return m.quit()
	case key.Matches(msg, k.Help):
		m.over = newHelp(m)
	case key.Matches(msg, k.Up):
		m.transcript.Scroll(1)
	case key.Matches(msg, k.Down):
		m.transcript.Scroll(-1)
	case key.Matches(msg, k.Top):
		m.transcript.Top()
	case key.Matches(msg, k.Bottom):
		m.transcript.Bottom()
	case key.Matches(msg, k.PlainOlder):
		m.choose(-1)
	case key.Matches(msg, k.PlainNewer):
		m.choose(1)
	case key.Matches(msg, k.PlainAgain):
		return m.act(Command{Name: "again"})
	case key.Matches(msg, k.PlainUndo):
		return m.act(Command{Name: "undo"})
	case key.Matches(msg, k.PlainRedo):
		return m.act(Command{Name: "redo"})
	case key.Matches(msg, k.PlainWhy):
		m.why()
	case key.Matches(msg, k.PlainBranch):
		m.askBranch()
	case msg.String() == "/":
		m.browse = false
		m.type_(msg)
	default:
		cmd, _ := m.pressTalk(msg)
		return cmd
	}
	return nil
}

// type_ edits the player's line.
func (m *model) type_(msg tea.KeyMsg) {
	if m.input.press(msg) {
		m.tell(fmt.Sprintf("a line holds %d characters: the rest was cut", engine.MaxLine))
	}
}

// act carries out a command that a key stands for; the line being written stays.
func (m *model) act(c Command) tea.Cmd {
	if m.doing != nil {
		m.tell(m.busyText())
		return nil
	}
	at := -1
	if c.Name != "undo" && c.Name != "redo" {
		at = m.transcript.Chosen()
	}
	return m.play(c, at)
}

func (m *model) choose(step int) {
	if !m.transcript.ChooseNext(step) {
		m.tell("there is no reply to choose yet")
	}
}

// askBranch begins a /branch command for the player to name, and puts aside the line being written.
func (m *model) askBranch() {
	m.stash, m.browse = m.input.value(), false
	m.input.set("/branch ")
	m.tell("name the branch; it begins here")
	if m.transcript.Chosen() >= 0 {
		m.tell("name the branch; it begins after the chosen reply")
	}
}

// leave returns to the library; a reply being made is abandoned.
func (m *model) leave() tea.Cmd {
	m.stop()
	m.page, m.over, m.browse = pageLibrary, nil, false
	m.talk = nil
	return m.load()
}

// complete completes a command's name, and reports whether the line is one being named.
func (m *model) complete() bool {
	typed, is := strings.CutPrefix(m.input.value(), "/")
	if !is || strings.Contains(typed, " ") {
		return false
	}
	if uses := commandsLike(typed); len(uses) > 0 {
		whole := uses[0].Name
		for _, u := range uses[1:] {
			n := 0
			for n < min(len(whole), len(u.Name)) && whole[n] == u.Name[n] {
				n++
			}
			whole = whole[:n]
		}
		if len(uses) == 1 {
			whole += " "
		}
		m.input.set("/" + whole)
	}
	return true
}

// commandsLike are the commands whose names begin with what was typed.
func commandsLike(typed string) []CommandUse {
	var out []CommandUse
	for _, u := range CommandList() {
		if strings.HasPrefix(u.Name, strings.ToLower(typed)) {
			out = append(out, u)
		}
	}
	return out
}

// enter says the line, or carries it out where it is a command.
func (m *model) enter() tea.Cmd {
	line := m.input.value()
	c, is, err := ParseCommand(line)
	switch {
	case err != nil:
		m.fail(err)
		return nil
	case is:
		return m.command(c)
	case theme.Clean(line) == "":
		m.transcript.Choose(-1)
		m.transcript.Bottom()
		return nil
	case m.doing != nil:
		m.tell(m.busyText())
		return nil
	case m.talk.State().Ended != "":
		m.tell("this story has ended; alt+u goes back, esc esc leads to the library")
		return nil
	}
	m.input.sent()
	m.transcript.Choose(-1)
	m.transcript.Bottom()
	return m.say(line)
}
