package tui

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/personaweave/personaweave/engine"
)

// PlainOptions say what Plain plays.
type PlainOptions struct {
	Story   string // story id; empty: the first of the library
	Session int64  // the save to resume; 0: the newest of the story, unless New
	New     bool   // begin the story anew
	Seed    uint64 // of a talk that is begun
	Echo    bool   // print the player's lines too, for scripts
	Untuned string // the model that speaks, where nobody tuned it for this program: "untuned model NAME"
	// Export returns the talk as a transcript, for /export to write; nil: there is no /export.
	Export func(*engine.Talk) (string, error)
}

// Plain plays a talk line by line, for pipes and screen readers: one line for each utterance, never wrapped, without any
// escape sequence. Replies are "Name: text", the player's lines "You: text", commands "> text", notices "* text"; narration is
// bare. It ends at the end of in or at /quit, with a line that says how to resume. A turn that fails prints a notice and play
// goes on; a failure to begin, to load the model, to read or to write, and the end of ctx, are returned without a word. A Read
// of in that is under way when Plain returns stays under way until in gives something.
func Plain(ctx context.Context, g Game, in io.Reader, out io.Writer, o PlainOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &plainPlayer{game: g, out: out, options: o, targets: map[string]engine.Blend{}}
	if err := p.open(ctx); err != nil {
		return err
	}
	lines := plainLines(ctx, in)
	for p.err == nil && !p.quit {
		var l plainLine
		var more bool
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case l, more = <-lines:
		}
		if l.err != nil {
			return fmt.Errorf("read the player's lines: %w", l.err)
		}
		if !more {
			break
		}
		if err := p.line(ctx, l.text); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.close()
	return p.err
}

// plainPlayer is a talk in line mode.
type plainPlayer struct {
	game    Game
	out     io.Writer
	options PlainOptions
	talk    *engine.Talk
	turn    int64
	ready   bool
	quit    bool
	scene   string                  // scene of the last node printed
	ended   string                  // ending of the last node printed
	targets map[string]engine.Blend // blend targets told, by speaker
	err     error                   // of writing
}

// plainRecap is how many of the newest nodes are printed again after a move in the tree.
const plainRecap = 6

// open begins or resumes the talk and prints where it stands.
func (p *plainPlayer) open(ctx context.Context) error {
	o := p.options
	if o.Session == 0 && o.Story == "" {
		stories := p.game.Stories()
		if len(stories) == 0 {
			return &engine.Error{Code: engine.NotFound, Message: "there are no stories to play", Hint: "write one with weave story new"}
		}
		o.Story = stories[0].ID
	}
	if o.Session == 0 && !o.New {
		sessions, err := p.game.Sessions(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(sessions, func(s engine.Session) bool { return s.Story == o.Story }); i >= 0 {
			o.Session = sessions[i].ID
		}
	}
	var err error
	if o.Session == 0 {
		p.talk, err = p.game.Start(ctx, o.Story, o.Seed)
	} else {
		p.talk, err = p.game.Resume(ctx, o.Session)
	}
	if err != nil {
		return err
	}
	p.say("%s", p.talk.Story.Title)
	if o.Untuned != "" {
		p.say("* %s speaks here", o.Untuned)
	}
	if o.Session != 0 {
		p.say("* resumed%s on branch %s", plainNamed(p.talk.Session), p.talk.Session.Branch)
	}
	for who, target := range p.talk.State().Targets {
		p.targets[who] = target
	}
	p.tell(p.talk.Path)
	if p.talk.State().Ended != "" {
		p.say("* this story has ended; /undo goes back, weave play %s --new begins it anew", p.talk.Story.ID)
	}
	return p.err
}

// close says how to resume.
func (p *plainPlayer) close() {
	p.say("* saved%s; weave play %s --plain resumes here", plainNamed(p.talk.Session), p.talk.Story.ID)
}

func plainNamed(s engine.Session) string {
	if s.Name == "" {
		return ""
	}
	return " “" + s.Name + "”"
}

// line plays one line of the player. The error is one that ends the play.
func (p *plainPlayer) line(ctx context.Context, line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	text, _, err := engine.Clean(line)
	if err != nil {
		p.notice(err)
		return nil
	}
	c, is, err := ParseCommand(line)
	if is && p.options.Echo {
		p.say("> %s", text)
	}
	switch {
	case err != nil:
		p.notice(err)
		return nil
	case !is:
		return p.play(ctx, true, func(emit func(engine.Event)) (*engine.Talk, error) {
			return p.game.Turn(ctx, p.talk, line, p.turn, emit)
		})
	}
	switch c.Name {
	case "help":
		for _, u := range CommandList() {
			p.say("* %s: %s", u.Use, u.Help)
		}
	case "quit":
		p.quit = true
	case "why":
		p.why()
	case "branches":
		p.branches(ctx)
	case "export":
		p.export(c.Text)
	default:
		return p.command(ctx, c)
	}
	return nil
}

// play makes a turn, told by its events; a model that cannot be loaded ends the play.
func (p *plainPlayer) play(ctx context.Context, model bool, turn func(func(engine.Event)) (*engine.Talk, error)) error {
	if model && !p.ready {
		if err := p.game.Ready(ctx); err != nil {
			return err
		}
		p.ready = true
	}
	p.turn++
	next, err := turn(p.event)
	if next != nil {
		p.talk = next
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.notice(err)
	}
	return nil
}

// command carries out a command that changes the talk and prints what is new on the path.
func (p *plainPlayer) command(ctx context.Context, c Command) error {
	before := p.talk
	failed := false
	err := p.play(ctx, c.Name == "again", func(emit func(engine.Event)) (*engine.Talk, error) {
		next, err := c.Play(ctx, p.game, before, -1, p.turn, emit)
		failed = err != nil
		return next, err
	})
	if err != nil || failed || c.Name == "again" {
		return err
	}
	shared := 0
	for shared < min(len(before.Path), len(p.talk.Path)) && before.Path[shared].ID == p.talk.Path[shared].ID {
		shared++
	}
	for who, target := range p.talk.State().Targets {
		p.targets[who] = target // the command said so
	}
	switch c.Name {
	case "save":
		p.say("* this save is named%s", plainNamed(p.talk.Session))
	case "branch", "switch":
		p.say("* now on branch %s", p.talk.Session.Branch)
	case "undo":
		p.say("* undone; back to:")
		shared = max(0, len(p.talk.Path)-1)
	case "swipe":
		at := shared
		if at == len(p.talk.Path) {
			at = p.talk.LastReply()
		}
		if r := p.talk.Path[at].Reply; r != nil {
			p.say("* candidate %d of %d", r.Chosen+1, len(r.Candidates))
		}
	}
	p.tell(p.talk.Path[shared:])
	return nil
}

// event prints what a turn brings.
func (p *plainPlayer) event(ev engine.Event) {
	switch ev := ev.(type) {
	case engine.Committed:
		if ev.Node.Kind != engine.Player || p.options.Echo {
			p.node(ev.Node)
		}
	case engine.BlendMoved:
		if ev.Cause != "" && !ev.Target.Equal(p.targets[ev.Speaker]) {
			p.say("* %s turns toward %s: %s", p.name(ev.Speaker), p.shares(ev.Target), ev.Cause)
		}
		p.targets[ev.Speaker] = ev.Target
	case engine.GoalMoved:
		if want := p.want(ev.Goal); ev.Done && want != "" {
			p.say("* reached: %s", want)
		}
	case engine.Noticed:
		p.say("* %s", ev.Text)
	}
}

// tell prints nodes, of many the newest.
func (p *plainPlayer) tell(nodes []engine.Node) {
	if before := len(nodes) - plainRecap; before > 0 {
		p.say("* … %d earlier", before)
		nodes = nodes[before:]
	}
	for _, n := range nodes {
		p.node(n)
	}
}

// node prints one node, before it the scene where that is another, after it the ending that it reaches.
func (p *plainPlayer) node(n engine.Node) {
	text := n.Text
	if n.State.Scene != p.scene {
		p.scene = n.State.Scene
		if sc, ok := p.talk.Story.Scene(p.scene); ok {
			p.say("* scene: %s", sc.Title)
			if n.Kind == engine.Narration && strings.TrimSpace(text) == "" {
				text = sc.Setting
			}
		}
	}
	switch n.Kind {
	case engine.Player:
		p.say("You: %s", text)
	case engine.Character:
		p.say("%s: %s", p.name(n.Speaker), text)
	case engine.Command:
		p.say("* %s", text)
	default:
		if strings.TrimSpace(text) != "" {
			p.say("%s", text)
		}
	}
	if n.State.Ended != p.ended {
		p.ended = n.State.Ended
		if end, ok := p.talk.Story.Endings[p.ended]; ok {
			p.say("* the end: %s", end.Title)
		}
	}
}

// why prints how the last reply was made and chosen.
func (p *plainPlayer) why() {
	at := p.talk.LastReply()
	if at < 0 || p.talk.Path[at].Reply == nil {
		p.say("* nobody has answered yet; say something first")
		return
	}
	n := p.talk.Path[at]
	r := n.Reply
	line := fmt.Sprintf("* %s spoke as %s, strength %.2g, in voice %.2f",
		p.name(n.Speaker), p.shares(r.Blend), r.Strength, r.Consistency)
	if r.Goal >= 0 {
		line += fmt.Sprintf(", goal distance %.2f", r.Goal)
	}
	if target := n.State.Targets[n.Speaker]; len(target) > 0 && !target.Equal(r.Blend) {
		line += fmt.Sprintf("; turning toward %s", p.shares(target))
		if cause := n.State.Causes[n.Speaker]; cause != "" {
			line += ": " + cause
		}
	}
	p.say("%s", line)
	for i, c := range r.Candidates {
		chosen := ""
		if i == r.Chosen {
			chosen = " (chosen)"
		}
		var parts []string
		for j, v := range c.Rewards.Values() {
			parts = append(parts, fmt.Sprintf("%s %.2f", c.Rewards.Names()[j], v))
		}
		from := string(c.Source)
		if c.Of != "" {
			from += " from " + p.name(c.Of)
		}
		p.say("* %d%s: %s; %s, total %.2f: %s", i+1, chosen, c.Text, from, c.Total, strings.Join(parts, ", "))
	}
}

func (p *plainPlayer) branches(ctx context.Context) {
	branches, err := p.game.Branches(ctx, p.talk)
	if err != nil {
		p.notice(err)
		return
	}
	var names []string
	for _, b := range branches {
		name := b.Name
		if name == p.talk.Session.Branch {
			name += " (here)"
		}
		names = append(names, name)
	}
	p.say("* branches: %s", strings.Join(names, ", "))
}

func (p *plainPlayer) export(file string) {
	if p.options.Export == nil {
		p.say("* this talk cannot be exported from here")
		return
	}
	text, err := p.options.Export(p.talk)
	if err == nil {
		file, err = CommandExport(p.talk, text, file)
	}
	if err != nil {
		p.notice(err)
		return
	}
	p.say("* written to %s", file)
}

// CommandExport writes a talk's transcript for /export and returns the file's name. Without a name it is STORY-SESSION.md in
// the working folder, numbered where that is taken. A file that exists is never written over.
func CommandExport(t *engine.Talk, text, file string) (string, error) {
	name, tries := file, 1
	if file == "" {
		name, tries = fmt.Sprintf("%s-%d.md", t.Story.ID, t.Session.ID), 1000
	} else if rest, ok := strings.CutPrefix(file, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			name = filepath.Join(home, rest)
		}
	}
	at := name
	for i := 2; ; i++ {
		f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) && i <= tries {
			at = fmt.Sprintf("%s-%d.md", strings.TrimSuffix(name, ".md"), i)
			continue
		}
		if err == nil {
			_, err = f.WriteString(text)
			if err = errors.Join(err, f.Close()); err == nil {
				return at, nil
			}
			err = errors.Join(err, os.Remove(at)) // half a transcript is none
		}
		return "", &engine.Error{Code: engine.Unwritable, Message: "cannot write the transcript", Err: err,
			Hint: "name another file: /export FILE"}
	}
}

// name is how a transcript calls a persona.
func (p *plainPlayer) name(id string) string {
	if who, err := p.game.Persona(id); err == nil && who.Name != "" {
		return who.Name
	}
	return id
}

// shares writes a blend by names, heaviest first.
func (p *plainPlayer) shares(b engine.Blend) string {
	var parts []string
	for _, id := range b.IDs() {
		parts = append(parts, fmt.Sprintf("%s %.2f", p.name(id), b[id]))
	}
	return strings.Join(parts, ", ")
}

// want is what a goal of the scene at the head asks for.
func (p *plainPlayer) want(goal string) string {
	if sc := p.talk.Scene(); sc != nil {
		for _, g := range sc.Goals {
			if g.ID == goal {
				return g.Want
			}
		}
	}
	return ""
}

func (p *plainPlayer) notice(err error) { p.say("* %s", err.Error()) }

// say prints one line, with one write.
func (p *plainPlayer) say(format string, args ...any) {
	if p.err != nil {
		return
	}
	text := strings.ToValidUTF8(engine.Printable(fmt.Sprintf(format, args...)), "")
	_, p.err = io.WriteString(p.out, strings.Join(strings.Fields(text), " ")+"\n")
}

// plainLine is a line read, or the error that ended reading.
type plainLine struct {
	text string
	err  error
}

// plainLines reads lines until the end of in or of ctx and closes the channel.
func plainLines(ctx context.Context, in io.Reader) <-chan plainLine {
	lines := make(chan plainLine)
	go func() {
		defer close(lines)
		r := bufio.NewReader(in)
		for {
			text, err := plainRead(r)
			if err != nil && !errors.Is(err, io.EOF) {
				text = ""
			} else if text == "" && err != nil {
				return
			}
			l := plainLine{text: text}
			if !errors.Is(err, io.EOF) {
				l.err = err
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// plainRead reads one line without its break. Of a long one it keeps as much as engine.Clean looks at, and one byte more, so
// that the cut is told.
func plainRead(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) == 0 {
			part = bytes.TrimLeft(part, " \t")
		}
		line = append(line, part[:min(len(part), 8*utf8.UTFMax*engine.MaxLine+1-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimRight(string(line), "\r\n"), err
		}
	}
}
