package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// section is one list of the library.
type section int

const (
	sectionStories section = iota
	sectionLessons
	sectionService
	sectionSaves
	sectionPersonas
	sections
)

var sectionTitles = [sections]string{"Stories", "Lessons", "Service talks", "Saves", "Personas"}

// library is what can be chosen before a talk.
type library struct {
	stories  []*engine.Story
	personas []*engine.Persona
	sessions []engine.Session

	section section
	at      [sections]int // what is chosen in each section
}

// card is an entry of the library as drawn: a title, something at its right end, and a line about it.
type card struct {
	title, right, about string
}

// kinds are the stories of one kind.
func (l *library) kinds(k engine.StoryKind) []*engine.Story {
	var out []*engine.Story
	for _, s := range l.stories {
		if s.Kind == k || k == engine.KindStory && s.Kind == "" {
			out = append(out, s)
		}
	}
	return out
}

// of are the stories of the section shown.
func (l *library) of(s section) []*engine.Story {
	return l.kinds([]engine.StoryKind{engine.KindStory, engine.KindLesson, engine.KindService}[s])
}

func (l *library) len(s section) int {
	switch s {
	case sectionSaves:
		return len(l.sessions)
	case sectionPersonas:
		return len(l.personas)
	}
	return len(l.of(s))
}

// shown are the sections with a tab: lessons and service talks only where there are any.
func (l *library) shown() []section {
	var out []section
	for s := range sections {
		if s != sectionLessons && s != sectionService || l.len(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// clamp keeps the choices within their lists.
func (l *library) clamp() {
	for s := range sections {
		l.at[s] = max(0, min(l.at[s], l.len(s)-1))
	}
	if (l.section == sectionLessons || l.section == sectionService) && l.len(l.section) == 0 {
		l.section = sectionStories
	}
}

// turn goes to the next (+1) or previous (−1) section.
func (l *library) turn(step int) {
	tabs := l.shown()
	for i, s := range tabs {
		if s == l.section {
			l.section = tabs[(i+step+len(tabs))%len(tabs)]
			return
		}
	}
}

// story is the chosen story, or nil.
func (l *library) story() *engine.Story {
	if l.section > sectionService || l.len(l.section) == 0 {
		return nil
	}
	return l.of(l.section)[l.at[l.section]]
}

// save is the chosen save, or nil.
func (l *library) save() *engine.Session {
	if l.section != sectionSaves || len(l.sessions) == 0 {
		return nil
	}
	return &l.sessions[l.at[sectionSaves]]
}

// pressLibrary takes a key in the library.
func (m *model) pressLibrary(msg tea.KeyMsg) tea.Cmd {
	k, l := m.keys, &m.library
	at, rows := &l.at[l.section], l.len(l.section)
	switch {
	case key.Matches(msg, k.Leave):
		return m.quit()
	case key.Matches(msg, k.Help):
		m.over = newHelp(m)
	case m.doing != nil:
		m.tell(m.busyText())
	case key.Matches(msg, k.Next):
		l.turn(1)
	case key.Matches(msg, k.Prev):
		l.turn(-1)
	case key.Matches(msg, k.Up):
		*at = max(0, *at-1)
	case key.Matches(msg, k.Down):
		*at = max(0, min(rows-1, *at+1))
	case key.Matches(msg, k.PageUp), key.Matches(msg, k.Top):
		*at = 0
	case key.Matches(msg, k.PageDown), key.Matches(msg, k.Bottom):
		*at = max(0, rows-1)
	case key.Matches(msg, k.Delete):
		if s := l.save(); s != nil {
			m.over = &ask{question: fmt.Sprintf("Delete the save “%s” (%s)? It cannot be brought back.", m.saveTitle(s), turns(s.Turns)), yes: m.remove, session: s.ID}
		}
	case key.Matches(msg, k.New):
		if s := l.story(); s != nil {
			return m.open(s.ID, 0, true)
		}
	case key.Matches(msg, k.Open):
		return m.openChosen()
	}
	return nil
}

// openChosen opens what is chosen.
func (m *model) openChosen() tea.Cmd {
	l := &m.library
	switch {
	case l.story() != nil:
		return m.open(l.story().ID, 0, false)
	case l.save() != nil:
		return m.open("", l.save().ID, false)
	case l.section == sectionPersonas && len(l.personas) > 0:
		m.over = newPersonaCard(m, l.personas[l.at[sectionPersonas]])
	}
	return nil
}

// saveTitle is a save's name, else its story's title.
func (m *model) saveTitle(s *engine.Session) string {
	if s.Name != "" {
		return s.Name
	}
	for _, st := range m.library.stories {
		if st.ID == s.Story {
			return st.Title
		}
	}
	return s.Story
}

func turns(n int) string {
	if n == 1 {
		return "1 turn"
	}
	return fmt.Sprintf("%d turns", n)
}

// ago tells how long ago something was, in the words of a calendar.
func ago(now, then time.Time) string {
	switch d := now.Sub(then); {
	case then.IsZero():
		return ""
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case d < 48*time.Hour:
		return "yesterday"
	case d < 30*24*time.Hour:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
	return then.Format("2 Jan 2006")
}

// cards are the entries of the section shown.
func (m *model) cards() []card {
	var out []card
	l := &m.library
	switch l.section {
	case sectionSaves:
		for i := range l.sessions {
			s := &l.sessions[i]
			c := card{title: m.saveTitle(s), right: m.played(s)}
			for _, st := range l.stories {
				if st.ID == s.Story {
					c.about = m.standing(st, s)
				}
			}
			if c.about == "" {
				c.about = "its story “" + s.Story + "” is not in the library"
			}
			out = append(out, c)
		}
	case sectionPersonas:
		for _, p := range l.personas {
			out = append(out, card{title: p.Name, right: fmt.Sprintf("%d lines", len(p.Examples)), about: p.Tagline})
		}
	default:
		for _, s := range l.of(l.section) {
			c := card{title: s.Title, right: m.progress(s), about: s.Summary}
			out = append(out, c)
		}
	}
	return out
}

// played says how much was played, and when.
func (m *model) played(s *engine.Session) string {
	if when := ago(m.now(), s.Played); when != "" {
		return turns(s.Turns) + " · " + when
	}
	return turns(s.Turns)
}

// standing says where a save stands in its story.
func (m *model) standing(st *engine.Story, s *engine.Session) string {
	if e, ok := st.Endings[s.Ended]; ok {
		return "ended: " + e.Title
	}
	for i := range st.Scenes {
		if st.Scenes[i].ID == s.Scene {
			about := fmt.Sprintf("%s · %d of %d", st.Scenes[i].Title, i+1, len(st.Scenes))
			if s.Name != "" {
				about = st.Title + " · " + about
			}
			if s.Branch != "main" {
				about += " · branch " + s.Branch
			}
			return about
		}
	}
	return "a scene that is no longer in the story"
}

// progress says who is in a story and how far the player is in it.
func (m *model) progress(s *engine.Story) string {
	for i := range m.library.sessions {
		if p := &m.library.sessions[i]; p.Story == s.ID {
			return m.played(p)
		}
	}
	var names []string
	for _, id := range s.Cast {
		name, _ := m.who(id)
		names = append(names, name)
	}
	return fmt.Sprintf("%d scenes · %s", len(s.Scenes), strings.Join(names, ", "))
}

// empties say what to do where a section holds nothing.
var empties = [sections]string{
	"No stories. weave story new ID begins one of your own.", "", "",
	"No saves yet. Open a story: every line is kept from then on.",
	"No characters. weave persona new ID begins one of your own.",
}

// libraryView draws the library: exactly height lines.
func (m *model) libraryView(width, height int) []string {
	t := m.theme
	state := m.options.Info
	switch {
	case m.unready != nil:
		state = "the model cannot speak"
	case !m.ready:
		state = m.waking()
	}
	lines := []string{theme.Ends(" "+t.Title.Render("Personaweave"), m.untuned(t.Dim.Render(state)), width-1)}
	roomy := height >= 14
	if roomy {
		lines = append(lines, "")
	}
	var tabs strings.Builder
	for _, s := range m.library.shown() {
		label := fmt.Sprintf("%s %d", sectionTitles[s], m.library.len(s))
		if s == m.library.section {
			label = t.Accent.Bold(true).Render("[" + label + "]")
		} else {
			label = t.Dim.Render(" " + label + " ")
		}
		tabs.WriteString(" " + label)
	}
	lines = append(lines, theme.Fit(tabs.String(), width), "")
	cards := m.cards()
	if len(cards) == 0 {
		for _, l := range theme.Wrap(empties[m.library.section], width-4) {
			lines = append(lines, "   "+t.Dim.Render(l))
		}
		if m.library.stories == nil {
			lines[len(lines)-1] = "   " + t.Dim.Render("opening the library…")
		}
	}
	chosen := m.library.at[m.library.section]
	var blocks [][]string
	for i, c := range cards {
		blocks = append(blocks, m.card(c, i == chosen, width))
	}
	return fill(append(lines, window(blocks, chosen, height-len(lines))...), height)
}

// card draws one entry: its title and, where it is chosen, all of what it is about, else a line of it.
func (m *model) card(c card, chosen bool, width int) []string {
	t := m.theme
	mark, title := "   ", t.Text.Render(theme.Clean(c.title))
	if chosen {
		mark, title = " "+t.Accent.Render("›")+" ", t.Accent.Bold(true).Render(theme.Clean(c.title))
	}
	right := t.Dim.Render(theme.Clean(c.right))
	if theme.Width(mark+title)+theme.Width(right)+3 > width {
		right = ""
	}
	lines := []string{theme.Ends(mark+title, right, width-2)}
	if theme.Clean(c.about) == "" {
		return append(lines, "")
	}
	about := theme.Wrap(theme.Clean(c.about), min(88, width-6))
	if most := 1; !chosen && len(about) > most {
		about = []string{theme.Fit(about[0]+"…", width-6)}
	}
	for _, l := range about {
		lines = append(lines, "   "+t.Dim.Render(l))
	}
	return append(lines, "")
}

// window is as many of the blocks' lines as fit into height, the chosen block among them.
func window(blocks [][]string, chosen, height int) []string {
	var out []string
	from, to := 0, 0
	for i, b := range blocks {
		if i == chosen {
			from, to = len(out), len(out)+len(b)
		}
		out = append(out, b...)
	}
	if len(out) <= height {
		return out
	}
	top := max(0, min(from, to-height))
	if to <= height {
		top = 0
	}
	return out[top:min(len(out), top+max(0, height))]
}

// fill cuts or fills lines to exactly n.
func fill(lines []string, n int) []string {
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines[:max(0, n)]
}
