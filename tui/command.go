package tui

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Command is what a player told the program with a line that begins with "/". Which fields count depends on Name. Speaker,
// Persona and the keys of Mix are as typed until Resolve has made persona ids of them.
type Command struct {
	Name    string       // without the slash: one of CommandList
	Text    string       // become: the description; branch, switch, save: the name; export: the file, or empty
	Speaker string       // become, blend, as: who is meant; empty is whoever would answer now
	Persona string       // blend: whose share is set to Number, unless Mix is given
	Mix     engine.Blend // blend: the whole blend, summing to 1; else nil
	Jump    bool         // blend: be there at once, not by bounded steps
	Number  float64      // blend: the share in [0, 1]; strength: the strength
	Choice  int          // swipe: the candidate, counted from 1; 0 when Step says it
	Step    int          // swipe: +1 next, −1 previous
}

// CommandUse is a command's right use and what it does, each on one line.
type CommandUse struct {
	Name string
	Use  string
	Help string
}

// CommandList lists the commands in the order of /help.
func CommandList() []CommandUse {
	return []CommandUse{
		{"become", `/become "DESCRIPTION" [SPEAKER]`, "make a character somebody else, in your own words"},
		{"blend", "/blend PERSONA WEIGHT [SPEAKER] [now]", "give a persona a share from 0 to 1, or all shares: /blend p=0.7,q=0.3"},
		{"as", "/as SPEAKER", "choose who answers next"},
		{"strength", "/strength N", "set how strongly personas show, from 0 to 3; 1 is plain"},
		{"why", "/why", "show how the last reply was chosen"},
		{"again", "/again", "ask for another reply"},
		{"swipe", "/swipe N, or /swipe next, or /swipe prev", "put another candidate in the reply's place"},
		{"undo", "/undo", "go back to before your last line"},
		{"redo", "/redo", "go forward again"},
		{"branch", "/branch NAME", "begin a branch here and play it"},
		{"branches", "/branches", "list the branches"},
		{"switch", "/switch NAME", "play another branch"},
		{"save", "/save NAME", "name this save; everything is kept without it"},
		{"export", "/export [FILE]", "write the talk into a file"},
		{"help", "/help", "list the commands"},
		{"quit", "/quit", "leave; the talk is kept"},
	}
}

// ParseCommand reads a player's line. It reports whether the line is a command: its first character is "/" and the second is
// not (a line that begins with "//" is said). A command that cannot be read is an engine.Error of one line with its right use.
func ParseCommand(line string) (Command, bool, error) {
	text, cut, err := engine.Clean(line)
	if err != nil || text[0] != '/' || strings.HasPrefix(text, "//") {
		return Command{}, false, nil
	}
	if cut {
		return Command{}, true, commandWrong("that command is too long",
			fmt.Sprintf("keep it below %d characters", engine.MaxLine))
	}
	name, rest, _ := strings.Cut(text[1:], " ")
	list := CommandList()
	i := slices.IndexFunc(list, func(u CommandUse) bool { return strings.EqualFold(u.Name, name) })
	if i < 0 {
		return Command{}, true, commandUnknown(name, list)
	}
	c := Command{Name: list[i].Name}
	if err := c.read(strings.TrimSpace(rest)); err != nil {
		return Command{}, true, commandWrong(err.Error(), "use "+list[i].Use)
	}
	return c, true, nil
}

// read fills the command from what follows its name.
func (c *Command) read(rest string) error {
	switch c.Name {
	case "become":
		return c.readBecome(rest)
	case "blend":
		return c.readBlend(rest)
	case "as":
		c.Speaker = commandUnquote(rest)
		return commandNeeds(c.Speaker, "/as needs to know who should answer")
	case "strength":
		n, ok := commandNumber(rest, engine.MaxStrength)
		if !ok {
			return fmt.Errorf("%s is not a strength from 0 to %.0f", commandQuote(rest), engine.MaxStrength)
		}
		c.Number = n
	case "swipe":
		switch strings.ToLower(rest) {
		case "next":
			c.Step = 1
		case "prev":
			c.Step = -1
		default:
			n, err := strconv.Atoi(rest)
			if err != nil || n < 1 {
				return fmt.Errorf("%s is not a candidate's number", commandQuote(rest))
			}
			c.Choice = n
		}
	case "branch", "switch", "save":
		c.Text = commandUnquote(rest)
		return commandNeeds(c.Text, "/"+c.Name+" needs a name")
	case "export":
		c.Text = commandUnquote(rest)
	default:
		if rest != "" {
			return fmt.Errorf("/%s takes nothing after it", c.Name)
		}
	}
	return nil
}

// readBecome reads a description in quotes and a speaker, or a description alone without quotes.
func (c *Command) readBecome(rest string) error {
	first, n := commandRune(rest)
	if !commandIsQuote(first) {
		c.Text = rest
		return commandNeeds(rest, "/become needs a description")
	}
	var b strings.Builder
	closed := false
	for rest = rest[n:]; rest != "" && !closed; rest = rest[n:] {
		var r rune
		r, n = commandRune(rest)
		if next, m := commandRune(rest[n:]); r == '\\' && commandIsQuote(next) {
			b.WriteRune(next)
			n += m
			continue
		}
		if closed = commandIsQuote(r); !closed {
			b.WriteRune(r)
		}
	}
	if !closed {
		return fmt.Errorf("the closing quote is missing")
	}
	c.Text, c.Speaker = strings.TrimSpace(b.String()), commandUnquote(strings.TrimSpace(rest))
	return commandNeeds(c.Text, "/become needs a description")
}

// readBlend reads "PERSONA WEIGHT [SPEAKER] [now]" or "PERSONA=WEIGHT,… [SPEAKER] [now]"; names may be of several words.
func (c *Command) readBlend(rest string) error {
	words := strings.Fields(rest)
	if n := len(words); n > 1 && strings.EqualFold(words[n-1], "now") {
		c.Jump, words = true, words[:n-1]
	}
	if strings.Contains(rest, "=") {
		return c.readMix(strings.Join(words, " "))
	}
	at := -1
	for i, w := range words {
		if i > 0 && strings.ContainsAny(w[:1], "0123456789.+-") {
			at = i
			break
		}
	}
	switch {
	case len(words) == 0:
		return fmt.Errorf("/blend needs a persona and a weight")
	case at < 0:
		return fmt.Errorf("/blend needs a weight from 0 to 1 after %s", commandQuote(strings.Join(words, " ")))
	}
	w, ok := commandNumber(words[at], 1)
	if !ok {
		return fmt.Errorf("%s is not a weight from 0 to 1", commandQuote(words[at]))
	}
	c.Number, c.Persona = w, commandUnquote(strings.Join(words[:at], " "))
	c.Speaker = commandUnquote(strings.Join(words[at+1:], " "))
	return commandNeeds(c.Persona, "/blend needs a persona")
}

// readMix reads a whole blend and, after its last weight, a speaker.
func (c *Command) readMix(rest string) error {
	c.Mix = engine.Blend{}
	parts := strings.Split(rest, ",")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		name = commandUnquote(strings.TrimSpace(name))
		weight, after, _ := strings.Cut(strings.TrimSpace(value), " ")
		w, ok := commandNumber(weight, 1)
		if !ok || name == "" || after != "" && i < len(parts)-1 || strings.Contains(after, "=") {
			return fmt.Errorf("cannot read the share %s", commandQuote(strings.TrimSpace(part)))
		}
		if _, twice := c.Mix[name]; twice {
			return fmt.Errorf("%s is named twice", commandQuote(name))
		}
		c.Mix[name] = w
		c.Speaker = commandUnquote(strings.TrimSpace(after))
	}
	mix, err := c.Mix.Normal()
	if err != nil {
		return fmt.Errorf("a blend needs one weight above 0")
	}
	c.Mix = mix
	return nil
}

// CommandNames are the personas a command can name.
type CommandNames struct {
	Here    []*engine.Persona // who is present: who can be a speaker
	Cast    []*engine.Persona // who can be part of a blend
	Speaker string            // id of who is meant when none is named; empty when nobody is here
}

// CommandNamesOf gathers the names of a talk: who is present, the whole cast, and who would answer now.
func CommandNamesOf(content engine.Content, t *engine.Talk) CommandNames {
	n := CommandNames{Cast: content.Personas()}
	sc := t.Scene()
	if sc == nil || len(sc.Present) == 0 {
		return n
	}
	for _, id := range sc.Present {
		p, err := content.Persona(id)
		if err != nil {
			p = &engine.Persona{ID: id, Name: id}
		}
		n.Here = append(n.Here, p)
	}
	st := t.State()
	n.Speaker = sc.Present[0]
	for _, id := range []string{st.Speaker, st.Next} { // the last that is present counts
		if slices.Contains(sc.Present, id) {
			n.Speaker = id
		}
	}
	return n
}

// Resolve returns the command with persona ids in place of the names as typed. A name is matched by id, by full name, or by
// whole words of it, whatever the case; one that fits nobody or several is an engine.Error that lists who there is.
func (c Command) Resolve(n CommandNames) (Command, error) {
	var err error
	switch c.Name {
	case "become", "blend", "as":
		if c.Speaker == "" {
			c.Speaker = n.Speaker
		}
		if len(n.Here) == 0 {
			return c, &engine.Error{Code: engine.NotFound, Message: "nobody is here", Hint: "go on with the story first"}
		}
		if c.Speaker, err = commandFind(c.Speaker, n.Here, "here"); err != nil {
			return c, err
		}
	}
	if c.Name != "blend" {
		return c, nil
	}
	if c.Mix == nil {
		c.Persona, err = commandFind(c.Persona, n.Cast, "known")
		return c, err
	}
	mix := engine.Blend{}
	for _, name := range c.Mix.IDs() {
		id, err := commandFind(name, n.Cast, "known")
		if err != nil {
			return c, err
		}
		if _, twice := mix[id]; twice {
			return c, commandWrong(fmt.Sprintf("the blend names %s twice", id), "name each persona once")
		}
		mix[id] = c.Mix[name]
	}
	c.Mix = mix
	return c, nil
}

// blend is the whole blend that a resolved /blend asks for: the named share, and the speaker's target scaled into the rest.
func (c Command) blend(st engine.State) (engine.Blend, error) {
	if c.Mix != nil {
		return c.Mix, nil
	}
	now := st.Targets[c.Speaker]
	if len(now) == 0 {
		now = st.Blends[c.Speaker]
	}
	if len(now) == 0 {
		now = engine.Pure(c.Speaker)
	}
	if c.Number < 1 && now[c.Persona] > 0 && len(now) == 1 {
		return nil, commandWrong(fmt.Sprintf("%s is the whole blend, nobody shares the rest", c.Persona),
			fmt.Sprintf("name both, for example /blend %s=0.7,OTHER=0.3", c.Persona))
	}
	return now.Set(c.Persona, c.Number).Normal()
}

// Play carries out a command that changes the talk, names resolved first: become, blend, as, strength, again, swipe, undo,
// redo, branch, switch and save. at is the index in t.Path of the node the player chose, or −1: the last reply, for branch the
// head. The talk returned is never nil; after an error it holds what was done before it. Other commands (why, branches,
// export, help, quit) are the caller's to show, and an error here.
func (c Command) Play(ctx context.Context, g Game, t *engine.Talk, at int, turn int64,
	emit func(engine.Event)) (*engine.Talk, error) {
	c, err := c.Resolve(CommandNamesOf(g, t))
	if err != nil {
		return t, err
	}
	next, err := c.play(ctx, g, t, at, turn, emit)
	if next == nil {
		next = t
	}
	return next, err
}

func (c Command) play(ctx context.Context, g Game, t *engine.Talk, at int, turn int64,
	emit func(engine.Event)) (*engine.Talk, error) {
	switch c.Name {
	case "become":
		return g.Become(ctx, t, c.Speaker, c.Text)
	case "blend":
		b, err := c.blend(t.State())
		if err != nil {
			return t, err
		}
		return g.SetBlend(ctx, t, c.Speaker, b, c.Jump)
	case "as":
		return g.SetNext(ctx, t, c.Speaker)
	case "strength":
		return g.SetStrength(ctx, t, c.Number)
	case "again":
		if at < 0 {
			var err error
			if at, err = commandUnanswered(t); err != nil {
				return t, err
			}
		}
		return g.Again(ctx, t, at, turn, emit)
	case "swipe":
		return c.swipe(ctx, g, t, at)
	case "undo":
		return g.Undo(ctx, t)
	case "redo":
		return g.Redo(ctx, t)
	case "branch":
		if at < 0 {
			at = len(t.Path) - 1
		}
		return g.Fork(ctx, t, at, c.Text)
	case "switch":
		return c.switchTo(ctx, g, t)
	case "save":
		return g.Rename(ctx, t, c.Text)
	}
	return t, &engine.Error{Code: engine.Internal, Message: fmt.Sprintf("/%s does not change the talk", c.Name)}
}

func (c Command) swipe(ctx context.Context, g Game, t *engine.Talk, at int) (*engine.Talk, error) {
	if at < 0 {
		at = t.LastReply()
	}
	if at < 0 || at >= len(t.Path) || t.Path[at].Reply == nil {
		return t, commandWrong("there is no reply to swipe yet", "say something first")
	}
	r := t.Path[at].Reply
	to := c.Choice - 1
	if c.Step != 0 {
		to = r.Chosen + c.Step
	}
	if to < 0 || to >= len(r.Candidates) {
		return t, commandWrong(fmt.Sprintf("there is no candidate %d", to+1),
			fmt.Sprintf("this is %d of %d; /again makes others", r.Chosen+1, len(r.Candidates)))
	}
	return g.Swipe(ctx, t, at, to)
}

func (c Command) switchTo(ctx context.Context, g Game, t *engine.Talk) (*engine.Talk, error) {
	branches, err := g.Branches(ctx, t)
	if err != nil {
		return t, err
	}
	var names []string
	typed := strings.ReplaceAll(c.Text, " ", "-") // as a branch is named when it is made
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, b := range branches {
			if same(b.Name, c.Text) || same(b.Name, typed) {
				return g.Switch(ctx, t, b.Name)
			}
		}
	}
	for _, b := range branches {
		names = append(names, b.Name)
	}
	return t, &engine.Error{Code: engine.NotFound, Message: "there is no branch " + commandQuote(c.Text),
		Hint: "there are: " + strings.Join(names, ", ")}
}

// commandUnanswered is the index that /again means: the head where the player's line waits for a reply, else the last reply.
func commandUnanswered(t *engine.Talk) (int, error) {
	if t.State().Ended != "" {
		return -1, commandWrong("this story has ended", "/undo goes back")
	}
	for i, n := range slices.Backward(t.Path) {
		switch n.Kind {
		case engine.Character:
			return i, nil
		case engine.Player:
			if n.State.Scene == t.State().Scene {
				return len(t.Path) - 1, nil
			}
			return -1, commandWrong("nobody has spoken here yet", "say something first")
		}
	}
	return -1, commandWrong("there is no reply to make again", "say something first")
}

// commandFind returns the id of the one persona among some that is meant.
func commandFind(typed string, among []*engine.Persona, where string) (string, error) {
	folded := engine.Fold(typed)
	fits := []func(p *engine.Persona) bool{
		func(p *engine.Persona) bool { return p.ID == typed },
		func(p *engine.Persona) bool { return strings.EqualFold(p.ID, typed) },
		func(p *engine.Persona) bool { return strings.EqualFold(p.Name, typed) },
		func(p *engine.Persona) bool {
			return folded != "" && strings.Contains(" "+engine.Fold(p.Name)+" ", " "+folded+" ")
		},
	}
	for _, fit := range fits {
		var found []string
		for _, p := range among {
			if fit(p) {
				found = append(found, p.ID)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return "", commandWrong(fmt.Sprintf("%s can be several", commandQuote(typed)),
				"name one of "+strings.Join(found, ", "))
		}
	}
	var ids []string
	for _, p := range among {
		ids = append(ids, p.ID)
	}
	return "", &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("%s is not %s", commandQuote(typed), where),
		Hint: where + ": " + strings.Join(ids, ", ")}
}

// commandUnknown says that there is no such command, and which begin most like it.
func commandUnknown(name string, list []CommandUse) error {
	hint, most := "/help lists the commands", 0
	var near []string
	for _, u := range list {
		n := 0
		for n < min(len(u.Name), len(name)) && u.Name[n] == name[n]|0x20 {
			n++
		}
		if n > most {
			near, most = nil, n
		}
		if n == most && n > 0 {
			near = append(near, "/"+u.Name)
		}
	}
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
	}
	what := "there is no command " + commandQuote("/"+name)
	if name == "" {
		what = "a command's name follows the slash at once"
	}
	return commandWrong(what, hint)
}

func commandWrong(message, hint string) error {
	return &engine.Error{Code: engine.Invalid, Message: message, Hint: hint}
}

func commandNeeds(text, message string) error {
	if text == "" {
		return fmt.Errorf("%s", message)
	}
	return nil
}

// commandNumber reads a number from 0 to most.
func commandNumber(s string, most float64) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n <= most) {
		return 0, false
	}
	return n + 0, true // −0 becomes 0
}

func commandRune(s string) (rune, int) {
	for _, r := range s {
		return r, len(string(r))
	}
	return 0, 0
}

func commandIsQuote(r rune) bool { return r == '"' || r == '“' || r == '”' }

// commandUnquote takes the quotes off a name.
func commandUnquote(s string) string { return strings.TrimSpace(strings.Trim(s, `"“”`)) }

// commandQuote quotes what was typed, shortened for one line.
func commandQuote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:39]) + "…"
	}
	return "“" + s + "”"
}
