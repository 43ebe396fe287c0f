package stories

import (
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/personaweave/personaweave/engine"
)

// CommonLine is what players say to every character.
type CommonLine struct {
	ID      string
	Text    string
	HeldOut bool // answers to it are never trained on
}

var hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// readCommon reads the common lines.
func readCommon(root value) []CommonLine {
	var out []CommonLine
	at := map[string]int{}
	for _, v := range root.list("the file") {
		m := v.mapping("a common line", "id", "text", "heldout")
		c := CommonLine{ID: m.id("id", fileID), Text: m.text("text"), HeldOut: m.yes("heldout")}
		if first, twice := at[c.ID]; twice && c.ID != "" {
			v.fail("give each line an id of its own", "the id %q was used on line %d", c.ID, first)
			continue
		}
		at[c.ID] = v.line
		out = append(out, c)
	}
	return out
}

// known is what a file may refer to in other files.
type known struct {
	common   map[string]CommonLine
	personas []string          // ids, sorted
	broken   map[string]string // ids of personas whose file has a mistake, and the mistake
	speaks   map[string]bool   // ids of personas with example lines
	deep     bool              // a story is played as well as read
}

// persona checks that a persona exists.
func (k *known) persona(v value, id string) bool {
	if id == "" || slices.Contains(k.personas, id) {
		return id != ""
	}
	if why, ok := k.broken[id]; ok {
		v.fail("mend that first: "+why, "the file of the persona %q has a mistake", id)
		return false
	}
	v.fail(among(id, k.personas, "write its file under personas first"), "there is no persona %q", id)
	return false
}

// blend reads a mixture of known personas; nil after a problem.
func (k *known) blend(v value, what string) engine.Blend {
	b, ok := engine.Blend{}, true
	ids, values := v.pairs(what)
	for i, id := range ids {
		w, isNumber := values[i].number("a weight of " + what)
		ok = k.persona(values[i], id) && isNumber && ok
		b[id] = w
	}
	if !ok || v.n == nil {
		return nil
	}
	n, err := b.Normal()
	if err != nil {
		v.fail("give shares of 0 or more, one of them above 0", "%s is no mixture", what)
		return nil
	}
	sum := 0.0
	for _, w := range b {
		sum += w
	}
	if math.Abs(sum-1) > 0.005 {
		v.fail("make the shares sum to 1", "the shares of %s sum to %.3g", what, sum)
		return nil
	}
	return n
}

// readPersona reads a persona file.
func readPersona(root value, k *known) *engine.Persona {
	m := root.mapping("a persona", "id", "name", "tagline", "colour", "description", "descriptions", "knows", "examples", "dialogues")
	p := &engine.Persona{
		ID: m.id("id", fileID), Name: m.text("name"), Tagline: m.text("tagline"), Colour: m.text("colour"),
		Description: m.text("description"), Descriptions: m.texts("descriptions"), Knows: m.texts("knows"), Source: root.f.name,
	}
	if p.Colour != "" && !hexColour.MatchString(p.Colour) {
		m.keys["colour"].fail(`write six hexadecimal digits in quotes: "#a8703a"`, "%q is not a colour", p.Colour)
	}
	seen := map[string]int{}
	for _, v := range m.list("examples") {
		e := readExample(v, p.ID, k, "you", "says", "common", "heldout")
		key := e.Common + "\x00" + engine.Fold(e.You) + "\x00" + engine.Fold(e.Says)
		if first, twice := seen[key]; twice && e.Says != "" {
			v.fail("delete one of them", "this example stands on line %d already", first)
		}
		seen[key] = v.line
		e.Origin = engine.FromPersona
		p.Examples = append(p.Examples, e)
	}
	for _, v := range m.list("dialogues") {
		p.Dialogues = append(p.Dialogues, readDialogue(v, p.ID, k))
	}
	return p
}

// readExample reads an example line with these keys allowed.
func readExample(v value, persona string, k *known, allowed ...string) engine.Example {
	m := v.mapping("an example", allowed...)
	e := engine.Example{Persona: persona, Says: m.text("says"), Common: m.maybe("common"), HeldOut: m.yes("heldout")}
	line, ok := k.common[e.Common]
	switch {
	case e.Common == "":
		e.You = m.text("you")
	case !ok:
		ids := make([]string, 0, len(k.common))
		for id := range k.common {
			ids = append(ids, id)
		}
		m.keys["common"].fail(among(e.Common, ids, "leave `common` out"), "there is no common line %q", e.Common)
	case m.has("you") && m.maybe("you") != line.Text:
		m.keys["you"].fail(fmt.Sprintf("leave `you` out, or write %q", line.Text), "the common line %q reads otherwise", e.Common)
	default:
		e.You, e.HeldOut = line.Text, e.HeldOut || line.HeldOut
	}
	return e
}

// readDialogue reads a written talk with the character of this id.
func readDialogue(v value, persona string, k *known) engine.Dialogue {
	m := v.mapping("a dialogue", "scene", "goal", "reached", "mood", "heldout", "turns")
	m.need("reached")
	d := engine.Dialogue{Scene: m.text("scene"), Goal: m.text("goal"), Reached: m.yes("reached"), Mood: m.text("mood"), HeldOut: m.yes("heldout")}
	m.need("turns")
	answers := 0
	for _, t := range m.list("turns") {
		f := t.mapping("a turn", "who", "text", "blend")
		turn := engine.DialogueTurn{Text: f.text("text")}
		switch who := f.text("who"); who {
		case "a":
			turn.Player = true
		case "b":
			answers++
		case "":
		default:
			f.keys["who"].fail("write a (the player) or b (the character)", "nobody is called %q in a dialogue", who)
		}
		if b, ok := f.keys["blend"]; ok {
			turn.Blend = k.blend(b, "a turn's blend")
			if turn.Player {
				b.fail("blend only turns of b", "the player has no blend")
			}
		}
		d.Turns = append(d.Turns, turn)
	}
	if m.has("turns") && answers == 0 {
		v.fail("add turns `{who: b, text: …}`", "the character says nothing in this dialogue")
	}
	return d
}
