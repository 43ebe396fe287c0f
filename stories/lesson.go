package stories

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/personaweave/personaweave/engine"
)

// skills reads what a lesson teaches: ids and titles.
func (r *storyReader) skills(v value) {
	ids, values := v.pairs(`"skills"`)
	for i, id := range ids {
		if values[i].goodID(id, ruleID) {
			r.s.Skills = append(r.s.Skills, engine.Skill{ID: id, Title: values[i].text("the title of a skill")})
			r.names.skills = append(r.names.skills, id)
		}
	}
}

// pace reads how the speakers speak to a learner who struggles, goes steadily or flies.
func (r *storyReader) pace(v value) {
	r.s.Pace = map[engine.Pace]engine.Manner{}
	all := []string{string(engine.Struggling), string(engine.Steady), string(engine.Flying)}
	m := v.mapping(`"pace"`, all...)
	for _, id := range all {
		p, ok := m.need(id)
		if !ok {
			continue
		}
		f := p.mapping("a pace", "cause", "blend")
		manner := engine.Manner{Cause: f.text("cause")}
		if b, ok := f.need("blend"); ok {
			manner.Blend = r.blends(b, r.s.Cast)
		}
		r.s.Pace[engine.Pace(id)] = manner
	}
}

// voices reads what each persona says around the questions.
func (r *storyReader) voices(v value) {
	r.s.Voices = map[string]engine.Voice{}
	ids, values := v.pairs(`"voices"`)
	for i, id := range ids {
		if !r.k.persona(values[i], id) {
			continue
		}
		m := values[i].mapping(fmt.Sprintf("the voice of %q", id), "right", "wrong", "again", "skip")
		for _, key := range []string{"right", "wrong", "again", "skip"} {
			m.need(key)
		}
		r.s.Voices[id] = engine.Voice{Right: m.texts("right"), Wrong: m.texts("wrong"), Again: m.texts("again"), Skip: m.texts("skip")}
	}
}

// wording reads one text, or one for each of several personas.
func (r *storyReader) wording(v value, what string) engine.Wording {
	switch v.n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		w := engine.Wording{}
		ids, values := v.pairs(what)
		for i, id := range ids {
			if r.k.persona(values[i], id) {
				w[id] = values[i].text(what)
			}
		}
		return w
	}
	return engine.Wording{"": v.text(what)}
}

func (r *storyReader) worded(m fields, key string, needed bool) engine.Wording {
	v, ok := m.keys[key]
	if !ok && needed {
		v, ok = m.need(key)
	}
	if !ok {
		return nil
	}
	return r.wording(v, fmt.Sprintf("%q", key))
}

// step reads one question of a lesson.
func (r *storyReader) step(v value, sc *engine.Scene, s *engine.Step) {
	m := v.mapping("a step", "id", "skill", "when", "ask", "accept", "misses", "right", "hints", "explain", "review")
	s.ID, s.Skill = m.id("id", ruleID), m.text("skill")
	if first, twice := r.steps[s.ID]; twice && s.ID != "" {
		v.fail("give each step an id of its own", "the step id %q was used on line %d", s.ID, first)
	}
	r.steps[s.ID] = v.line
	if s.Skill != "" && !slices.Contains(r.names.skills, s.Skill) {
		m.keys["skill"].fail(among(s.Skill, r.names.skills, "write it under skills at the top"), "there is no skill %q", s.Skill)
	}
	s.Ask, s.Explain, s.Right = r.worded(m, "ask", true), r.worded(m, "explain", true), r.worded(m, "right", false)
	s.Accept = r.answers(m, "accept")
	m.need("hints")
	for _, h := range m.list("hints") {
		s.Hints = append(s.Hints, r.wording(h, "a hint"))
	}
	for _, x := range m.list("misses") {
		f := x.mapping("a miss", "answers", "say")
		s.Misses = append(s.Misses, engine.Miss{Answers: r.answers(f, "answers"), Say: r.worded(f, "say", true)})
	}
	if x, ok := m.keys["review"]; ok {
		f := x.mapping("a review", "ask", "accept", "explain")
		s.Review = &engine.Question{Ask: r.worded(f, "ask", true), Accept: r.answers(f, "accept"), Explain: r.worded(f, "explain", true)}
	}
	r.when(m, "when", func(c engine.Condition) { s.When = c })
	r.later = append(r.later, func() { // the scene's examples come after its steps
		s.Chat = chat(sc, s)
		if s.Review != nil {
			s.Review.Chat = s.Chat
		}
	})
}

// chat is what is talk here and no try at an answer: what players say to the characters, against what is right and wrong.
func chat(sc *engine.Scene, s *engine.Step) *engine.Intent {
	in := &engine.Intent{}
	for _, who := range sc.Present {
		for _, e := range sc.Examples[who] {
			in.Like = append(in.Like, e.You)
		}
	}
	tries := slices.Clone(s.Accept)
	for _, m := range s.Misses {
		tries = append(tries, m.Answers...)
	}
	if s.Review != nil {
		tries = append(tries, s.Review.Accept...)
	}
	for _, a := range tries {
		if a.Meaning != nil {
			in.Unlike = append(append(in.Unlike, a.Meaning.Like...), a.Meaning.Unlike...)
		} else if a.Text != "" {
			in.Unlike = append(in.Unlike, a.Text)
		}
	}
	if len(in.Like) == 0 {
		return nil
	}
	return in
}

// answers reads the forms of an answer.
func (r *storyReader) answers(m fields, key string) []engine.Answer {
	m.need(key)
	var out []engine.Answer
	for _, v := range m.list(key) {
		f := v.mapping("an answer", "number", "text", "regex", "meaning")
		if len(f.keys) != 1 {
			v.fail("write one of number, text, regex and meaning", "an answer has one form")
			continue
		}
		switch {
		case f.has("number"):
			n, ok := new(big.Rat).SetString(scalar(f.keys["number"]))
			if !ok {
				f.keys["number"].fail(`write for example 12, 0.75 or "3/4"`, "this is no number")
				continue
			}
			out = append(out, engine.Answer{Number: n})
		case f.has("text"):
			if t := f.text("text"); t != "" {
				if engine.Fold(t) == "" {
					f.keys["text"].fail("write a regex instead", "%q has no word in it", t)
					continue
				}
				out = append(out, engine.Answer{Text: t})
			}
		case f.has("regex"):
			t := f.text("regex")
			if t == "" {
				continue
			}
			x, err := regexp.Compile(t)
			if err != nil {
				f.keys["regex"].fail("Go's regular expressions are read (RE2)", "the regex does not work: %v", err)
				continue
			}
			out = append(out, engine.Answer{Pattern: x})
		default:
			if in, ok := readMeaning(f.keys["meaning"]); ok {
				out = append(out, engine.Answer{Meaning: in})
			}
		}
	}
	if v, ok := m.keys[key]; ok && len(out) == 0 && len(v.f.problems) == 0 {
		v.fail("write one answer at least", "nothing would be right here")
	}
	return out
}

func scalar(v value) string {
	switch n := v.n.(type) {
	case *ast.StringNode:
		return strings.TrimSpace(n.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		return strings.TrimSpace(n.GetToken().Value)
	}
	return ""
}

// readMeaning reads lines that mean something and lines that only look so; needs and never name words by their beginnings.
func readMeaning(v value) (*engine.Intent, bool) {
	m := v.mapping("a meaning", "like", "unlike", "needs", "never")
	m.need("like")
	in := &engine.Intent{Like: m.texts("like"), Unlike: m.texts("unlike"), Needs: m.texts("needs"), Never: m.texts("never")}
	if like, ok := m.keys["like"]; ok && len(in.Like) == 0 {
		like.fail("write a few lines a player might type", "this meaning is like no line")
	}
	return in, len(in.Like) > 0
}

// report reads what a talk is scored by.
func (r *storyReader) report(v value) {
	for _, x := range v.list(`"report"`) {
		m := x.mapping("a measure", "id", "title", "start", "rules")
		i := len(r.s.Report)
		r.s.Report = append(r.s.Report, engine.Measure{ID: m.id("id", ruleID), Title: m.text("title")})
		if s, ok := m.need("start"); ok {
			r.s.Report[i].Start, _ = s.number("the start of a measure")
		}
		m.need("rules")
		for _, y := range m.list("rules") {
			f := y.mapping("a rule", "when", "add", "because", "repeat")
			f.need("when")
			k := len(r.s.Report[i].Rules)
			r.s.Report[i].Rules = append(r.s.Report[i].Rules, engine.Rule{Because: f.text("because"), Repeat: f.yes("repeat")})
			if a, ok := f.need("add"); ok {
				r.s.Report[i].Rules[k].Add, _ = a.number("what a rule adds")
			}
			r.when(f, "when", func(c engine.Condition) { r.s.Report[i].Rules[k].When = c })
		}
	}
}

// lesson tells what a lesson misses.
func (r *storyReader) lesson(m fields) {
	steps := 0
	for i := range r.s.Scenes {
		steps += len(r.s.Scenes[i].Steps)
	}
	if r.s.Kind != engine.KindLesson {
		if kind, ok := m.keys["kind"]; ok && steps > 0 {
			kind.fail("write `kind: lesson`", "only a lesson has steps")
		}
		return
	}
	for _, key := range []string{"skills", "pace", "voices"} {
		m.need(key)
	}
	if _, ok := m.keys["scenes"]; ok && steps == 0 {
		m.keys["scenes"].fail("give a scene `steps:`", "the lesson asks nothing")
	}
	for pace, manner := range r.s.Pace {
		for who, b := range manner.Blend {
			for id := range b {
				if _, ok := r.s.Voices[id]; !ok && len(r.s.Voices) > 0 {
					m.keys["voices"].fail("write what it says there", "at pace %s %s speaks as %q, which has no voice", strconv.Quote(string(pace)), who, id)
				}
			}
		}
	}
}
