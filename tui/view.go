package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/panel"
	"github.com/personaweave/personaweave/tui/theme"
)

const (
	leastWidth, leastHeight = 40, 12 // below this only a word about it is drawn
	sideFrom                = 80     // columns from which the panel stands beside the talk
	panelLeast, panelMost   = 27, 36 // cells of the panel
	history                 = 24     // replies whose voice and goal are drawn
)

// now is the time by which the library tells how long ago something was.
func (m *model) now() time.Time {
	if m.options.Clock != nil {
		return m.options.Clock()
	}
	return time.Now()
}

// side is how many cells the panel takes beside the talk, 0 where it does not stand there.
func (m *model) side() int {
	if !m.panel || m.width < sideFrom {
		return 0
	}
	return min(panelMost, max(panelLeast, m.width*3/10))
}

// inputMost is how many rows the player's line may take.
func (m *model) inputMost() int {
	if m.height < 16 {
		return 1
	}
	return inputRows
}

// placeholder stands in the empty input.
func (m *model) placeholder() string {
	switch {
	case m.browse:
		return ""
	case m.talk != nil && m.talk.State().Ended != "":
		return "the end"
	}
	return "say something, or / for commands"
}

// inputView is the player's line as drawn.
func (m *model) inputView() []string {
	return m.input.render(m.theme, m.width-1, m.inputMost(), !m.browse, m.placeholder())
}

// bodyHeight is how many lines the transcript has.
func (m *model) bodyHeight() int {
	h := m.height - 1 - 1 - len(m.inputView()) // title, status, input
	if m.height >= 16 {
		h -= 2 // a line of air above and below the talk
	}
	if m.strip() {
		h--
	}
	return max(1, h)
}

// strip reports whether the panel is one line under the title.
func (m *model) strip() bool { return m.side() == 0 && !m.paged }

// togglePanel shows the panel or hides it; where there is no room beside the talk it takes the talk's place.
func (m *model) togglePanel() {
	if m.width < sideFrom {
		m.paged = !m.paged
		return
	}
	m.panel, m.paged = !m.panel, false
}

// layout fits the parts to the window after a change.
func (m *model) layout() {
	if m.width == 0 || m.page != pageScene {
		return
	}
	if m.width >= sideFrom {
		m.paged = false
	}
	text := m.width
	if s := m.side(); s > 0 {
		text = m.width - s - 3
	}
	m.transcript.Resize(text, m.bodyHeight())
	m.transcript.SetTail(m.tail())
}

// tail is what stands below the talk: the line that is not stored yet, and who is thinking.
func (m *model) tail() []string {
	var out []string
	if m.pending != "" {
		out = append(out, m.transcript.Tail("you", m.theme.Dim, m.theme.Dim, theme.Clean(m.pending))...)
	}
	if m.doing != nil && m.doing.kind.slow() {
		dots := strings.Repeat("·", 1+m.beat%3)
		who := m.doing.thinking
		if m.ready && who == "" {
			who = m.speaker(m.state())
		}
		switch {
		case who != "":
			name, style := m.who(who)
			out = append(out, m.transcript.Tail(name, style.Bold(true), m.theme.Dim, dots)...)
		case !m.ready:
			out = append(out, m.transcript.Tail("", m.theme.Dim, m.theme.Dim, m.waking()+" "+dots)...)
		}
	}
	return out
}

// waking tells what a reply must wait for before the cast can speak.
func (m *model) waking() string {
	if m.options.Waking != nil {
		if s := m.options.Waking(); s != "" {
			return s
		}
	}
	return "waking the cast"
}

// View draws the screen.
func (m *model) View() string {
	if m.width == 0 {
		return ""
	}
	if m.width < leastWidth || m.height < leastHeight {
		text := fmt.Sprintf("weave needs a terminal of at least %d×%d; this one is %d×%d. Nothing is lost.", leastWidth, leastHeight, m.width, m.height)
		return strings.Join(fill(theme.Wrap(text, m.width), min(m.height, len(theme.Wrap(text, m.width)))), "\n")
	}
	var lines []string
	switch {
	case m.over != nil:
		lines = m.over.render(m, m.width, m.height-1)
	case m.page == pageLibrary:
		lines = m.libraryView(m.width, m.height-1)
	default:
		lines = m.sceneView()
	}
	lines = append(lines, m.status())
	for i, l := range lines {
		lines[i] = theme.Fit(l, m.width)
	}
	return strings.Join(lines, "\n")
}

// status is the last line: a notice, else the keys that matter most here.
func (m *model) status() string {
	t := m.theme
	if m.notice != "" {
		style, mark := t.Accent, " · "
		if m.bad {
			style, mark = t.Warn, " ! "
		}
		return style.Render(theme.Fit(mark+m.notice, m.width))
	}
	k := m.keys
	switch {
	case m.over != nil:
		return shortHelp(t, m.width, m.over.bindings(k)...)
	case m.page == pageLibrary:
		b := []key.Binding{k.Open}
		if m.library.section <= sectionService {
			b = append(b, k.New)
		}
		if m.library.section == sectionSaves {
			b = append(b, k.Delete)
		}
		return shortHelp(t, m.width, append(b, k.Next, k.Up, k.Down, k.Help, k.Leave)...)
	case m.browse:
		return shortHelp(t, m.width, k.Input, k.PlainOlder, k.SwipeLeft, k.SwipeRight, k.PlainAgain, k.PlainUndo, k.PlainWhy, k.PlainBranch, k.Help, k.Library)
	}
	if typed, is := strings.CutPrefix(m.input.value(), "/"); is && !strings.Contains(typed, " ") {
		if hint := commandHint(typed); hint != "" {
			return t.Dim.Render(theme.Fit(" "+hint, m.width))
		}
	}
	if m.input.empty() && m.transcript.Chosen() >= 0 {
		return shortHelp(t, m.width, k.SwipeLeft, k.SwipeRight, k.Why, k.Branch, k.Older, k.Newer, k.Again)
	}
	return shortHelp(t, m.width, k.Send, k.SwipeRight, k.Again, k.Why, k.Undo, k.Branch, k.Panel, k.Browse)
}

// commandHint lists the commands that begin with what was typed.
func commandHint(typed string) string {
	uses := commandsLike(typed)
	if len(uses) == 1 {
		return uses[0].Use + "  " + uses[0].Help
	}
	var names []string
	for _, u := range uses {
		names = append(names, "/"+u.Name)
	}
	return strings.Join(names, "  ")
}

// sceneView draws a scene without the status line.
func (m *model) sceneView() []string {
	t := m.theme
	lines := []string{m.titleLine()}
	roomy := m.height >= 16
	if m.strip() {
		lines = append(lines, " "+m.panelData().Strip(t, m.width-2))
	}
	if roomy {
		lines = append(lines, "")
	}
	height := m.bodyHeight()
	switch side := m.side(); {
	case m.paged:
		for _, l := range fill(m.panelData().Side(t, m.width-4, height), height) {
			lines = append(lines, "  "+l)
		}
	case side > 0:
		beside := fill(m.panelData().Side(t, side, height), height)
		for i, l := range m.transcript.Render() {
			lines = append(lines, theme.Pad(l, m.width-side-3)+t.Dim.Render(" │ ")+beside[i])
		}
	default:
		lines = append(lines, m.transcript.Render()...)
	}
	if roomy {
		more := ""
		if m.transcript.Away() {
			more = t.Dim.Render(" ↓ more below")
		}
		lines = append(lines, more)
	}
	return append(lines, m.inputView()...)
}

// untunedLeast is how many cells “untuned model…” takes.
const untunedLeast = 14

// untuned puts the name of a model that nobody tuned before the right end of a title line: the first of the ends that there is
// room for beside it, and where there is no such model the first.
func (m *model) untuned(ends ...string) string {
	name := theme.Fit(theme.Clean(m.options.Untuned), max(untunedLeast, m.width/4))
	if name == "" {
		return ends[0]
	}
	name = m.theme.Warn.Render(name)
	for _, end := range ends {
		if both := name + m.theme.Dim.Render(" · ") + end; theme.Width(both) <= m.width*2/3-2 {
			return both
		}
	}
	return name
}

// titleLine says where the talk is: story, scene, branch; and which model speaks, where it is untuned.
func (m *model) titleLine() string {
	t := m.theme
	st := m.state()
	where := t.Title.Render(theme.Clean(m.talk.Story.Title))
	for i := range m.talk.Story.Scenes {
		if sc := &m.talk.Story.Scenes[i]; sc.ID == st.Scene {
			where += t.Dim.Render(fmt.Sprintf(" · %s · %d of %d", theme.Clean(sc.Title), i+1, len(m.talk.Story.Scenes)))
		}
	}
	mark := t.Dim.Render("●")
	if m.doing != nil {
		mark = t.Accent.Render("○")
	}
	branch := t.Dim.Render("branch "+theme.Fit(theme.Clean(m.talk.Session.Branch), 16)+" ") + mark
	end := branch
	if name := theme.Clean(m.talk.Session.Name); name != "" {
		end = t.Dim.Render(theme.Fit(name, 20)+" · ") + branch
	}
	return theme.Ends(" "+where, m.untuned(end, branch, mark), m.width-1)
}

// panelData gathers what the panel shows.
func (m *model) panelData() panel.Data {
	st := m.state()
	who := m.speaker(st)
	d := panel.Data{Strength: st.Strength, Cause: theme.Clean(st.Causes[who]), Mood: theme.Clean(st.Moods[who]), You: theme.Clean(st.Moods["you"])}
	if p := m.people[who]; p != nil {
		d.Name, d.Tagline = theme.Clean(p.Name), theme.Clean(p.Tagline)
	} else {
		d.Name = theme.Clean(who)
	}
	_, d.Style = m.who(who)
	d.Become = theme.Clean(st.Become[who])
	target := st.Targets[who]
	if len(target) == 0 {
		target = st.Blends[who]
	}
	ids := map[string]bool{}
	for id := range target {
		ids[id] = true
	}
	for id := range m.bars.shares {
		ids[id] = true
	}
	for id := range ids {
		_, style := m.who(id)
		d.Bars = append(d.Bars, panel.Bar{ID: theme.Clean(id), Share: m.bars.shares[id], Target: target[id], Style: style})
	}
	slices.SortFunc(d.Bars, func(a, b panel.Bar) int {
		return cmp.Or(cmp.Compare(max(b.Share, b.Target), max(a.Share, a.Target)), cmp.Compare(a.ID, b.ID))
	})
	m.measures(&d)
	sc, ok := m.talk.Story.Scene(st.Scene)
	if !ok {
		return d
	}
	for _, id := range sc.Present {
		name, style := m.who(id)
		d.Here = append(d.Here, style.Render(name))
	}
	if st.Next != "" {
		d.Next, _ = m.who(st.Next)
	}
	if l := st.Lesson; l != nil && len(sc.Steps) > 0 {
		switch {
		case l.Over:
			d.Asked = "all asked"
		case l.Review:
			d.Asked = "one that was missed"
		default:
			d.Asked = fmt.Sprintf("%d of %d", l.Step+1, len(sc.Steps))
		}
		for _, k := range m.talk.Story.Skills {
			if share, ok := l.Mastery[k.ID]; ok {
				d.Known = append(d.Known, panel.Known{Title: theme.Clean(k.Title), Share: share})
			}
		}
	}
	d.Reached = len(sc.Goals) > 0
	nearest := 2.0
	for _, g := range sc.Goals {
		d.Reached = d.Reached && st.Done[g.ID]
		if far := st.Goals[g.ID]; !st.Done[g.ID] && far < nearest {
			nearest, d.Want = far, theme.Clean(g.Want)
		}
	}
	return d
}

// measures gathers the voice and the goal distance of the last replies of the scene.
func (m *model) measures(d *panel.Data) {
	nodes := m.transcript.Nodes()
	for _, n := range slices.Backward(nodes) {
		if n.State.Scene != nodes[len(nodes)-1].State.Scene || len(d.Voice) == history {
			break
		}
		if n.Kind == engine.Character && n.Reply != nil {
			d.Voice = append(d.Voice, n.Reply.Consistency)
			if n.Reply.Goal >= 0 {
				d.Goal = append(d.Goal, n.Reply.Goal)
			}
		}
	}
	slices.Reverse(d.Voice)
	slices.Reverse(d.Goal)
}
