package stories

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/personaweave/personaweave/engine"
)

// Walkthrough is a way through a story that its author wrote down: a player's lines, in order, and the ending they reach.
type Walkthrough struct {
	Name     string
	Lines    []string
	Ending   string
	Stranger bool // written by somebody who had read only the summary and the opening
}

// story is a story with what only its tests and its checks need.
type story struct {
	*engine.Story
	walkthroughs []Walkthrough
}

// storyReader reads one story file.
type storyReader struct {
	k     *known
	s     *engine.Story
	names names
	flags map[string]int  // line where each flag is first set
	beats map[string]int  // line of each beat id
	goals map[string]int  // line of each goal id
	steps map[string]int  // line of each step id
	led   map[string]bool // scenes and "end:ENDING" that some beat goes to
	later []func()        // what can be checked only when every name is known: conditions and gotos
}

// readStory reads a story file.
func readStory(root value, k *known) story {
	m := root.mapping("a story", "id", "title", "kind", "summary", "cast", "scenes", "intents", "endings", "walkthroughs",
		"skills", "pace", "voices", "report")
	s := &engine.Story{ID: m.id("id", fileID), Title: m.text("title"), Summary: m.text("summary"), Source: root.f.name,
		Intents: map[string]engine.Intent{}, Endings: map[string]engine.Ending{}}
	r := &storyReader{k: k, s: s, flags: map[string]int{}, beats: map[string]int{}, goals: map[string]int{}, led: map[string]bool{}, steps: map[string]int{},
		names: names{flags: map[string]any{}, personas: k.personas}}
	switch s.Kind = engine.StoryKind(m.text("kind")); s.Kind {
	case engine.KindStory, engine.KindLesson, engine.KindService, "":
	default:
		m.keys["kind"].fail("write story, lesson or service", "there is no kind %q", s.Kind)
	}
	m.need("cast")
	for _, v := range m.list("cast") {
		if id := v.text("an entry of the cast"); k.persona(v, id) {
			if slices.Contains(s.Cast, id) {
				v.fail("name each persona once", "%q is in the cast already", id)
				continue
			}
			s.Cast = append(s.Cast, id)
		}
	}
	r.names.cast = s.Cast
	if v, ok := m.keys["intents"]; ok {
		r.intents(v)
	}
	if v, ok := m.keys["skills"]; ok {
		r.skills(v)
	}
	if v, ok := m.keys["pace"]; ok {
		r.pace(v)
	}
	if v, ok := m.keys["voices"]; ok {
		r.voices(v)
	}
	if v, ok := m.keys["report"]; ok {
		r.report(v)
	}
	if v, ok := m.keys["endings"]; ok {
		r.endings(v)
	}
	if v, ok := m.need("scenes"); ok {
		scenes := v.list(`"scenes"`)
		if len(scenes) == 0 {
			v.fail("write one scene to begin in", "the story has no scene")
		}
		s.Scenes = make([]engine.Scene, len(scenes)) // in place at once: what is read later points into it
		at := map[string]int{}
		for i, v := range scenes {
			r.scene(v, &s.Scenes[i])
			if first, twice := at[s.Scenes[i].ID]; twice && s.Scenes[i].ID != "" {
				v.fail("give each scene an id of its own", "the scene id %q was used on line %d", s.Scenes[i].ID, first)
			}
			at[s.Scenes[i].ID] = v.line
		}
	}
	for _, check := range r.later {
		check()
	}
	r.lesson(m)
	r.reached(m)
	if k.deep {
		r.voiced(m)
		r.explore(m)
	}
	return story{s, r.walkthroughs(m)}
}

func (r *storyReader) intents(v value) {
	ids, values := v.pairs(`"intents"`)
	for i, id := range ids {
		if !values[i].goodID(id, ruleID) {
			continue
		}
		m := values[i].mapping(fmt.Sprintf("the intent %q", id), "like", "unlike", "needs", "never")
		m.need("like")
		in := engine.Intent{Like: m.texts("like"), Unlike: m.texts("unlike"), Needs: m.texts("needs"), Never: m.texts("never")}
		if like, ok := m.keys["like"]; ok && len(in.Like) == 0 {
			like.fail("write a few lines a player might type", "the intent %q is like no line", id)
		}
		if _, isList := asList(m.keys["like"].n); isList {
			for _, line := range m.list("like") {
				if text, ok := line.n.(*ast.StringNode); ok && slices.ContainsFunc(in.Unlike, func(u string) bool { return engine.Fold(u) == engine.Fold(text.Value) }) {
					line.fail("keep it in one of the lists", "%q is both like and unlike the intent %q", text.Value, id)
				}
			}
		}
		r.s.Intents[id] = in
		r.names.intents = append(r.names.intents, id)
	}
}

func asList(n ast.Node) (*ast.SequenceNode, bool) {
	s, ok := n.(*ast.SequenceNode)
	return s, ok
}

func (r *storyReader) endings(v value) {
	ids, values := v.pairs(`"endings"`)
	for i, id := range ids {
		if !values[i].goodID(id, fileID) {
			continue
		}
		m := values[i].mapping(fmt.Sprintf("the ending %q", id), "title", "when", "narrate")
		r.s.Endings[id] = engine.Ending{Title: m.text("title"), Narrate: m.text("narrate")}
		r.when(m, "when", func(c engine.Condition) {
			e := r.s.Endings[id]
			e.When = c
			r.s.Endings[id] = e
			r.led["end:"+id] = true
		})
	}
}

// when compiles the rule under a key, once every name is known.
func (r *storyReader) when(m fields, key string, set func(engine.Condition)) {
	v, ok := m.keys[key]
	if !ok {
		return
	}
	var rule string
	if b, isBool := v.n.(*ast.BoolNode); isBool {
		rule = strconv.FormatBool(b.Value)
	} else {
		rule = v.text(fmt.Sprintf("%q", key))
	}
	r.later = append(r.later, func() {
		if c := r.names.compile(v, rule); c != nil {
			set(c)
		}
	})
}

func (r *storyReader) scene(v value, sc *engine.Scene) {
	m := v.mapping("a scene", "id", "title", "setting", "opening", "present", "goals", "steps", "beats", "blend", "examples")
	sc.ID, sc.Title, sc.Setting, sc.Opening = m.id("id", fileID), m.text("title"), m.text("setting"), m.text("opening")
	m.need("present")
	for _, p := range m.list("present") {
		if id := p.text("an entry of present"); id != "" && r.inCast(p, id) {
			sc.Present = append(sc.Present, id)
		}
	}
	if goals := m.list("goals"); len(goals) > 0 {
		sc.Goals = make([]engine.Goal, len(goals))
		for i, g := range goals {
			r.goal(g, &sc.Goals[i])
		}
	}
	if steps := m.list("steps"); len(steps) > 0 {
		sc.Steps = make([]engine.Step, len(steps))
		for i, s := range steps {
			r.step(s, sc, &sc.Steps[i])
		}
	}
	if beats := m.list("beats"); len(beats) > 0 {
		sc.Beats = make([]engine.Beat, len(beats))
		for i, b := range beats {
			r.beat(b, sc.ID, &sc.Beats[i])
		}
	}
	if b, ok := m.keys["blend"]; ok {
		sc.Blend = r.blends(b, sc.Present)
	}
	if ex, ok := m.keys["examples"]; ok {
		sc.Examples = map[string][]engine.Example{}
		ids, values := ex.pairs(`"examples"`)
		for i, id := range ids {
			if !r.inCast(values[i], id) {
				continue
			}
			for _, line := range values[i].list(fmt.Sprintf("the examples of %q", id)) {
				e := readExample(line, id, r.k, "you", "says", "heldout")
				e.Origin, e.Place = engine.FromScene, r.s.ID+"/"+sc.ID
				sc.Examples[id] = append(sc.Examples[id], e)
			}
		}
	}
}

func (r *storyReader) inCast(v value, id string) bool {
	if slices.Contains(r.s.Cast, id) {
		return true
	}
	if r.k.persona(v, id) {
		v.fail("add it to the cast at the top", "%q is not in the story's cast", id)
	}
	return false
}

func (r *storyReader) goal(v value, g *engine.Goal) {
	m := v.mapping("a goal", "id", "want", "reached_like", "done")
	g.ID, g.Want, g.ReachedLike = m.id("id", ruleID), m.text("want"), m.texts("reached_like")
	if first, twice := r.goals[g.ID]; twice && g.ID != "" {
		v.fail("give each goal an id of its own", "the goal id %q was used on line %d", g.ID, first)
	}
	if r.goals[g.ID] = v.line; g.ID != "" {
		r.names.goals = append(r.names.goals, g.ID)
	}
	r.when(m, "done", func(c engine.Condition) { g.Done = c })
}

func (r *storyReader) beat(v value, scene string, b *engine.Beat) {
	m := v.mapping("a beat", "id", "when", "narrate", "set", "blend", "cause", "goto", "repeat")
	b.Narrate, b.Cause, b.Goto, b.Repeat = m.maybe("narrate"), m.maybe("cause"), m.maybe("goto"), m.yes("repeat")
	if !m.has("narrate") && !m.has("set") && !m.has("blend") && !m.has("goto") && len(v.f.problems) == 0 {
		v.fail("give it narrate, set, blend or goto", "this beat does nothing")
	}
	if m.has("id") {
		b.ID = m.id("id", fileID)
		if first, twice := r.beats[b.ID]; twice && b.ID != "" {
			v.fail("give each beat an id of its own", "the beat id %q was used on line %d", b.ID, first)
		}
	} else {
		// An id by scene and rule stays what it is when beats are added, moved or reworded, so that saves stay good.
		rule := m.maybe("when")
		if rule == "" {
			rule = "always"
		}
		b.ID = scene + "/" + strings.Join(strings.Fields(rule), " ")
		for base, n := b.ID, 2; r.beats[b.ID] > 0; n++ {
			b.ID = fmt.Sprintf("%s (%d)", base, n)
		}
	}
	r.beats[b.ID] = v.line
	r.when(m, "when", func(c engine.Condition) { b.When = c })
	if set, ok := m.keys["set"]; ok {
		b.Set = map[string]any{}
		ids, values := set.pairs(`"set"`)
		for i, id := range ids {
			if values[i].goodID(id, ruleID) {
				r.set(values[i], id, b)
			}
		}
	}
	if bl, ok := m.keys["blend"]; ok {
		b.Blend = r.blends(bl, r.s.Cast)
		if b.Cause == "" && !m.has("cause") {
			bl.fail("add `cause: …`, a few words that stand beside the bars", "this beat moves a blend and gives no cause")
		}
	}
	if to, ok := m.keys["goto"]; ok && b.Goto != "" {
		r.later = append(r.later, func() { r.leads(to, b.Goto) })
	}
}

// set reads what a beat does to a flag. A number with a sign, in quotes or not, adds; without one it replaces.
func (r *storyReader) set(v value, id string, b *engine.Beat) {
	var zero any
	switch n := v.n.(type) {
	case *ast.BoolNode:
		b.Set[id], zero = n.Value, false
	case *ast.IntegerNode, *ast.FloatNode:
		x, ok := v.number("the flag " + id)
		if !ok {
			return
		}
		b.Set[id], zero = x, 0.0
		if raw := strings.TrimSpace(n.GetToken().Value); strings.HasPrefix(raw, "+") || strings.HasPrefix(raw, "-") {
			b.Set[id] = fmt.Sprintf("%+g", x)
		}
	default:
		s := v.text("the flag " + id)
		if s == "" {
			return
		}
		b.Set[id], zero = s, ""
		if s[0] == '+' || s[0] == '-' {
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				zero = 0.0
			}
		}
	}
	had, ok := r.names.flags[id]
	if ok && fmt.Sprintf("%T", had) != fmt.Sprintf("%T", zero) {
		what := map[string]string{"bool": "true or false", "float64": "a number", "string": "a text"}
		v.fail("keep a flag of one kind, or use two flags", "the flag %q is %s here, and %s on line %d", id,
			what[fmt.Sprintf("%T", zero)], what[fmt.Sprintf("%T", had)], r.flags[id])
		return
	}
	if !ok {
		r.names.flags[id], r.flags[id] = zero, v.line
	}
}

// blends reads targets by speaker; speakers says who may have one.
func (r *storyReader) blends(v value, speakers []string) map[string]engine.Blend {
	out := map[string]engine.Blend{}
	ids, values := v.pairs(`"blend"`)
	for i, who := range ids {
		if !slices.Contains(speakers, who) {
			values[i].fail(among(who, speakers, "name who is present first"), "%q cannot be blended here", who)
			continue
		}
		if b := r.k.blend(values[i], "the blend of "+who); b != nil {
			out[who] = b
		}
	}
	return out
}

// leads checks where a goto leads.
func (r *storyReader) leads(v value, to string) {
	r.led[to] = true
	if end, ok := strings.CutPrefix(to, "end:"); ok {
		if _, ok := r.s.Endings[end]; !ok {
			v.fail(among(end, slices.Collect(maps.Keys(r.s.Endings)), "write it under endings"), "goto leads to the ending %q, which is not there", end)
		}
		return
	}
	if _, ok := r.s.Scene(to); ok {
		return
	}
	ids := make([]string, len(r.s.Scenes))
	for i := range r.s.Scenes {
		ids[i] = r.s.Scenes[i].ID
	}
	hint := among(to, ids, "write the scene first")
	if _, ok := r.s.Endings[to]; ok {
		hint = fmt.Sprintf("did you mean end:%s?", to)
	}
	v.fail(hint, "goto leads to the scene %q, which is not there", to)
}

// reached tells of scenes and endings that nothing leads to.
func (r *storyReader) reached(m fields) {
	if len(m.f.problems) > 0 {
		return // the missing way may be among what is wrong already
	}
	if v, ok := m.keys["scenes"]; ok {
		for i, sc := range v.list(`"scenes"`) {
			if id := r.s.Scenes[i].ID; i > 0 && !r.led[id] {
				sc.fail("let a beat of another scene say `goto: "+id+"`", "nothing leads to the scene %q", id)
			}
		}
	}
	if v, ok := m.keys["endings"]; ok {
		ids, values := v.pairs(`"endings"`)
		for i, id := range ids {
			if !r.led["end:"+id] {
				values[i].fail("give it `when: …`, or let a beat say `goto: end:"+id+"`", "nothing leads to the ending %q", id)
			}
		}
	}
}

// exploreTurns is how many turns are played to find what cannot be reached.
const exploreTurns = 20000

// explore tells of scenes, goals and endings that no play reaches: slower than reading, so only where a file is checked.
func (r *storyReader) explore(m fields) {
	if len(m.f.problems) > 0 {
		return
	}
	c, err := engine.Explore(r.s, exploreTurns, 1)
	if err != nil {
		m.fail("read the rule aloud and mend it", "a rule cannot be worked out: %v", err)
		return
	}
	lines := func(key string) ([]string, []value) {
		if v, ok := m.keys[key]; ok {
			return v.pairs(fmt.Sprintf("%q", key))
		}
		return nil, nil
	}
	if v, ok := m.keys["scenes"]; ok {
		for i, sc := range v.list(`"scenes"`) {
			id := r.s.Scenes[i].ID
			if !c.Scenes[id] {
				sc.fail("look at the beats that lead here: can their conditions hold?", "no play of %d turns reaches the scene %q", c.Turns, id)
			}
			for _, g := range r.s.Scenes[i].Goals {
				if c.Scenes[id] && !c.Goals[g.ID] {
					m.f.fail(r.goals[g.ID], "look at its done: can it hold while the scene lasts?", "the goal %q cannot be met: no play of %d turns does", g.ID, c.Turns)
				}
			}
		}
	}
	ids, values := lines("endings")
	for i, id := range ids {
		if !c.Endings[id] {
			values[i].fail("look at what leads there: can it hold?", "no play of %d turns reaches the ending %q", c.Turns, id)
		}
	}
}

// voiced tells of characters who are present and have nothing to say.
func (r *storyReader) voiced(m fields) {
	v, ok := m.keys["scenes"]
	if !ok || len(m.f.problems) > 0 {
		return
	}
	for i, sc := range v.list(`"scenes"`) {
		for _, who := range r.s.Scenes[i].Present {
			if len(r.s.Scenes[i].Examples[who]) == 0 && !r.k.speaks[who] {
				sc.fail("write examples for it, in the scene or in its file", "%q is present in %q and has no line", who, r.s.Scenes[i].ID)
			}
		}
	}
}

func (r *storyReader) walkthroughs(m fields) []Walkthrough {
	var out []Walkthrough
	for _, v := range m.list("walkthroughs") {
		f := v.mapping("a walkthrough", "name", "lines", "ending", "stranger")
		f.need("lines")
		w := Walkthrough{Name: f.text("name"), Lines: f.texts("lines"), Ending: f.text("ending"), Stranger: f.yes("stranger")}
		if _, ok := r.s.Endings[w.Ending]; !ok && w.Ending != "" {
			f.keys["ending"].fail(among(w.Ending, slices.Collect(maps.Keys(r.s.Endings)), "write it under endings"), "there is no ending %q", w.Ending)
		}
		out = append(out, w)
	}
	return out
}
