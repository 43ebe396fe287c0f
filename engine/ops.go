package engine

import (
	"context"
	"fmt"
	"strings"
)

// Readier is a Mind or a Retriever that gets ready in the background.
type Readier interface {
	// Ready waits until it can be used, or says why it cannot be.
	Ready(ctx context.Context) error
}

// Ready waits until the model can speak.
func (e *Engine) Ready(ctx context.Context) error {
	for _, part := range []any{e.Mind, e.Retriever} {
		if r, ok := part.(Readier); ok {
			if err := r.Ready(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stories lists the library's stories.
func (e *Engine) Stories() []*Story { return e.Content.Stories() }

// Story returns one story.
func (e *Engine) Story(id string) (*Story, error) { return e.Content.Story(id) }

// Personas lists the cast.
func (e *Engine) Personas() []*Persona { return e.Content.Personas() }

// Persona returns one persona.
func (e *Engine) Persona(id string) (*Persona, error) { return e.Content.Persona(id) }

// Sessions lists saves, last played first.
func (e *Engine) Sessions(ctx context.Context) ([]Session, error) { return e.Store.Sessions(ctx, "") }

// Delete removes a save.
func (e *Engine) Delete(ctx context.Context, session int64) error {
	return e.Store.Delete(ctx, session)
}

// Again makes another reply in place of the character's node at index at; what followed it stays where it is in the tree.
// At a player's line that was never answered (the program stopped meanwhile) it makes the missing reply.
func (e *Engine) Again(ctx context.Context, t *Talk, at int, turn int64, emit func(Event)) (*Talk, error) {
	e.turns.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if at < 0 || at >= len(t.Path) {
		return t, &Error{Code: Invalid, Message: "there is no reply to make again", Hint: "say something first"}
	}
	if t.Path[at].Kind != Character {
		if at != len(t.Path)-1 || lastLine(t) == "" || t.State().Ended != "" {
			return t, &Error{Code: Invalid, Message: "only a character's reply can be made again", Hint: "choose one with alt+up"}
		}
		return e.answer(ctx, t, turn, 0, emit)
	}
	node := t.Path[at]
	if node.Reply == nil {
		return t, &Error{Code: Invalid, Message: "this line is the author's and stays as it is", Hint: "choose another with alt+up"}
	}
	siblings, err := e.Store.Children(ctx, t.Session.ID, node.Parent)
	if err != nil {
		return t, err
	}
	before := &Talk{Story: t.Story, Session: t.Session, Path: t.Path[:at]}
	st := node.State.Clone()
	if next := before.State().Next; next != "" {
		st.Next = next
	}
	emit(Thinking{TurnOf{turn}, node.Speaker})
	fresh, err := e.reply(ctx, before, st, node.Speaker, lastLine(before), seed(t.Session.Seed, at, len(siblings)))
	if err != nil {
		return t, err
	}
	longer, err := e.append(ctx, before, fresh)
	if err != nil {
		return t, err
	}
	emit(Committed{TurnOf{turn}, *fresh})
	return longer, nil
}

// Swipe shows another candidate of the character's node at index at in its place. Coming back to one that was continued
// returns to the newest of what followed it.
func (e *Engine) Swipe(ctx context.Context, t *Talk, at, candidate int) (*Talk, error) {
	if at < 0 || at >= len(t.Path) || t.Path[at].Reply == nil {
		return t, &Error{Code: Invalid, Message: "that line has no other candidates", Hint: "choose a reply with alt+up"}
	}
	node := t.Path[at]
	if candidate < 0 || candidate >= len(node.Reply.Candidates) {
		return t, &Error{Code: Invalid, Message: fmt.Sprintf("there is no candidate %d", candidate+1), Hint: fmt.Sprintf("there are %d", len(node.Reply.Candidates))}
	}
	if candidate == node.Reply.Chosen {
		return t, nil
	}
	siblings, err := e.Store.Children(ctx, t.Session.ID, node.Parent)
	if err != nil {
		return t, err
	}
	for _, s := range siblings {
		if s.Reply != nil && s.Reply.Seed == node.Reply.Seed && s.Reply.Chosen == candidate {
			return e.leaf(ctx, t, s.ID)
		}
	}
	reply := *node.Reply
	c := reply.Candidates[candidate]
	reply.Chosen, reply.Consistency = candidate, consistency(c)
	if was := node.Reply.Candidates[node.Reply.Chosen]; reply.Goal >= 0 {
		reply.Goal = min(1, max(0, reply.Goal+was.ClosesGoal-c.ClosesGoal))
	}
	other := &Node{Kind: Character, Speaker: node.Speaker, Text: c.Text, State: node.State.Clone(), Reply: &reply, Created: e.Clock()}
	longer, err := e.append(ctx, &Talk{Story: t.Story, Session: t.Session, Path: t.Path[:at]}, other)
	if err != nil {
		return t, err
	}
	return longer, nil
}

// leaf moves to the newest leaf below a node.
func (e *Engine) leaf(ctx context.Context, t *Talk, node int64) (*Talk, error) {
	for {
		below, err := e.Store.Children(ctx, t.Session.ID, node)
		if err != nil {
			return t, err
		}
		if len(below) == 0 {
			break
		}
		node = below[len(below)-1].ID
	}
	return e.head(ctx, t, node)
}

func (e *Engine) head(ctx context.Context, t *Talk, node int64) (*Talk, error) {
	session, err := e.Store.SetHead(ctx, t.Session.ID, node)
	if err != nil {
		return t, err
	}
	moved, err := e.load(ctx, session)
	if err != nil {
		return t, err
	}
	return moved, nil
}

// Undo goes back to before the player's last line, or before the last command.
func (e *Engine) Undo(ctx context.Context, t *Talk) (*Talk, error) {
	for i := len(t.Path) - 1; i > 0; i-- {
		if k := t.Path[i].Kind; k == Player || k == Command {
			return e.head(ctx, t, t.Path[i-1].ID)
		}
	}
	return t, &Error{Code: Invalid, Message: "there is nothing to undo"}
}

// Redo goes forward again, along the newest branch, to after the next reply.
func (e *Engine) Redo(ctx context.Context, t *Talk) (*Talk, error) {
	node := t.Path[len(t.Path)-1].ID
	moved := false
	for {
		below, err := e.Store.Children(ctx, t.Session.ID, node)
		if err != nil {
			return t, err
		}
		if len(below) == 0 {
			break
		}
		next := below[len(below)-1]
		if moved && (next.Kind == Player || next.Kind == Command) {
			break
		}
		node, moved = next.ID, true
	}
	if !moved {
		return t, &Error{Code: Invalid, Message: "there is nothing to redo"}
	}
	return e.head(ctx, t, node)
}

// Fork names a branch that begins after the node at index at and plays it.
func (e *Engine) Fork(ctx context.Context, t *Talk, at int, name string) (*Talk, error) {
	name = strings.Join(strings.Fields(Printable(name)), "-")
	if name == "" || len(name) > 40 {
		return t, &Error{Code: Invalid, Message: "a branch needs a short name", Hint: "for example /branch the-lie"}
	}
	if at < 0 || at >= len(t.Path) {
		at = len(t.Path) - 1
	}
	session, err := e.Store.Fork(ctx, t.Session.ID, name, t.Path[at].ID)
	if err != nil {
		return t, err
	}
	return e.load(ctx, session)
}

// Switch plays another branch.
func (e *Engine) Switch(ctx context.Context, t *Talk, name string) (*Talk, error) {
	session, err := e.Store.Switch(ctx, t.Session.ID, name)
	if err != nil {
		return t, err
	}
	return e.load(ctx, session)
}

// Branches lists the session's branches.
func (e *Engine) Branches(ctx context.Context, t *Talk) ([]Branch, error) {
	return e.Store.Branches(ctx, t.Session.ID)
}

// Rename names the save.
func (e *Engine) Rename(ctx context.Context, t *Talk, name string) (*Talk, error) {
	name = strings.Join(strings.Fields(Printable(name)), " ")
	if err := e.Store.Rename(ctx, t.Session.ID, name); err != nil {
		return t, err
	}
	named := *t
	named.Session.Name = name
	return &named, nil
}

// SetBlend sets a speaker's target blend; the speaker moves toward it by bounded steps, or is there at once with jump.
func (e *Engine) SetBlend(ctx context.Context, t *Talk, speaker string, b Blend, jump bool) (*Talk, error) {
	b, err := b.Normal()
	if err != nil {
		return t, err
	}
	for id := range b {
		if _, err := e.Content.Persona(id); err != nil {
			return t, err
		}
	}
	return e.command(ctx, t, speaker, func(st *State, who string) string {
		st.Targets = put(st.Targets, who, b)
		st.Causes = put(st.Causes, who, "your wish")
		if jump {
			st.Blends = put(st.Blends, who, b)
		}
		return fmt.Sprintf("%s becomes %s", who, b)
	})
}

// Become replaces a speaker's persona, name and manner, by a description.
func (e *Engine) Become(ctx context.Context, t *Talk, speaker, description string) (*Talk, error) {
	text, _, err := Clean(description)
	if err != nil {
		return t, &Error{Code: Invalid, Message: "say what the character should become", Hint: `for example /become "a sarcastic robot who misses the sea"`}
	}
	return e.command(ctx, t, speaker, func(st *State, who string) string {
		st.Become = put(st.Become, who, text)
		st.Targets = put(st.Targets, who, Pure(who))
		st.Blends = put(st.Blends, who, Pure(who))
		st.Causes = put(st.Causes, who, "your wish")
		return fmt.Sprintf("%s becomes: %s", who, text)
	})
}

// MaxStrength is the strongest persona guidance a player can ask for.
const MaxStrength = 3.0

// SetStrength sets the persona strength: 0 no persona at all, 1 plain, more is stronger.
func (e *Engine) SetStrength(ctx context.Context, t *Talk, strength float64) (*Talk, error) {
	if !(strength >= 0 && strength <= MaxStrength) {
		return t, &Error{Code: Invalid, Message: fmt.Sprintf("persona strength %.3g is out of range", strength), Hint: fmt.Sprintf("give 0 to %.0f; 1 is plain", MaxStrength)}
	}
	return e.command(ctx, t, "", func(st *State, _ string) string {
		st.Strength = strength
		return fmt.Sprintf("persona strength %.2g", strength)
	})
}

// SetNext says who answers next.
func (e *Engine) SetNext(ctx context.Context, t *Talk, speaker string) (*Talk, error) {
	if speaker == "" {
		return t, &Error{Code: Invalid, Message: "say who should answer next", Hint: "for example /as captain"}
	}
	return e.command(ctx, t, speaker, func(st *State, who string) string {
		st.Next = who
		return who + " answers next"
	})
}

// command changes the state by a player's command and stores it as a node of its own, so that it can be undone.
func (e *Engine) command(ctx context.Context, t *Talk, speaker string, change func(*State, string) string) (*Talk, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sc := t.Scene()
	if sc == nil {
		return t, &Error{Code: Invalid, Message: "there is no scene to change"}
	}
	st := t.State().Clone()
	who, err := e.present(sc, &st, speaker)
	if err != nil {
		return t, err
	}
	text := change(&st, who)
	longer, err := e.append(ctx, t, &Node{Kind: Command, Text: text, State: st, Created: e.Clock()})
	if err != nil {
		return t, err
	}
	return longer, nil
}

// present finds who of the scene is meant: by id, by name, or "" for the last who spoke.
func (e *Engine) present(sc *Scene, st *State, speaker string) (string, error) {
	if speaker == "" {
		if who := e.answerer(sc, st, ""); who != "" {
			return who, nil
		}
	}
	var names []string
	for _, id := range sc.Present {
		names = append(names, id)
		if strings.EqualFold(id, speaker) {
			return id, nil
		}
		if p, err := e.Content.Persona(id); err == nil && speaker != "" {
			if strings.Contains(" "+Fold(p.Name)+" ", " "+Fold(speaker)+" ") {
				return id, nil
			}
		}
	}
	return "", &Error{Code: NotFound, Message: fmt.Sprintf("%q is not here", speaker), Hint: "here: " + strings.Join(names, ", ")}
}

// Replay makes the reply stored at index at again from what is stored and returns it beside whether it is the same, line for
// line. It needs the same weights and kernel path.
func (e *Engine) Replay(ctx context.Context, t *Talk, at int) (*Reply, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at < 0 || at >= len(t.Path) || t.Path[at].Reply == nil {
		return nil, false, &Error{Code: Invalid, Message: "there is no stored reply there"}
	}
	node := t.Path[at]
	if node.Reply.Model != e.Mind.Model() || node.Reply.Kernel != e.Mind.Kernel() {
		return nil, false, &Error{Code: Incompatible, Message: "this reply was made by other weights or kernels", Hint: "replay it where it was made"}
	}
	before := &Talk{Story: t.Story, Session: t.Session, Path: t.Path[:at]}
	fresh, err := e.reply(ctx, before, node.State.Clone(), node.Speaker, lastLine(before), node.Reply.Seed)
	if err != nil {
		return nil, false, err
	}
	if len(fresh.Reply.Candidates) != len(node.Reply.Candidates) {
		return fresh.Reply, false, nil
	}
	for i, c := range fresh.Reply.Candidates {
		if c.Text != node.Reply.Candidates[i].Text {
			return fresh.Reply, false, nil
		}
	}
	return fresh.Reply, true, nil
}

// Markdown writes the talk as a transcript.
func (e *Engine) Markdown(t *Talk) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", t.Story.Title)
	scene := ""
	for _, n := range t.Path {
		if n.State.Scene != scene {
			scene = n.State.Scene
			if sc, ok := t.Story.Scene(scene); ok {
				fmt.Fprintf(&b, "\n## %s\n", sc.Title)
			}
		}
		switch n.Kind {
		case Narration:
			fmt.Fprintf(&b, "\n*%s*\n", strings.TrimSpace(n.Text))
		case Player:
			fmt.Fprintf(&b, "\n**You:** %s\n", n.Text)
		case Character:
			name := n.Speaker
			if p, err := e.Content.Persona(n.Speaker); err == nil {
				name = p.Name
			}
			fmt.Fprintf(&b, "\n**%s:** %s\n", name, n.Text)
		case Command:
			fmt.Fprintf(&b, "\n> %s\n", n.Text)
		}
	}
	return b.String()
}
