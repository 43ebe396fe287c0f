package engine

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Wording is one thing said in several voices: by persona id, "" for any.
type Wording map[string]string

// In returns the wording of the heaviest persona of the blend that has one, else the one for any.
func (w Wording) In(b Blend) string {
	for _, id := range b.IDs() {
		if s, ok := w[id]; ok {
			return s
		}
	}
	if s, ok := w[""]; ok || len(w) == 0 {
		return s
	}
	return w[slices.Sorted(maps.Keys(w))[0]]
}

// Step is one question of a lesson.
type Step struct {
	Question
	ID     string
	Skill  string
	Misses []Miss // known mistakes and what to say to each
	Right  Wording
	Hints  []Wording // from a nudge to all but the answer
	Review *Question // how it is asked again after a miss; nil: as it was
	When   Condition // asked only then; nil: always
}

// Question is what a tutor asks and what answers it.
type Question struct {
	Ask     Wording
	Accept  []Answer // any of them is right
	Explain Wording
	Chat    *Intent // what is talk and no try at an answer: what players say here, against the answers
}

// Miss is a known mistake.
type Miss struct {
	Answers []Answer
	Say     Wording
}

// Answer is one form of an answer; one field is set.
type Answer struct {
	Number  *big.Rat       // equal in value, however it is written
	Text    string         // these words, whatever stands around them
	Pattern *regexp.Regexp // over the line in small letters
	Meaning *Intent
}

// Skill is what a lesson teaches.
type Skill struct {
	ID    string
	Title string
}

// Voice is what one persona says around the questions of a lesson.
type Voice struct {
	Right []string // after a right answer
	Wrong []string // before a hint
	Again []string // before what was missed is asked again
	Skip  []string // before what the learner passed over is explained
}

// Pace is how a learner is doing.
type Pace string

// The paces.
const (
	Struggling Pace = "struggling"
	Steady     Pace = "steady"
	Flying     Pace = "flying"
)

// Manner is how the speakers of a lesson speak at one pace.
type Manner struct {
	Blend map[string]Blend
	Cause string
}

// Learner is what is known of whoever learns here; it outlives lessons.
type Learner struct {
	Mastery map[string]float64 `json:"mastery,omitempty"` // by skill, [0, 1]
	Pace    Pace               `json:"pace,omitempty"`
	Lessons int                `json:"lessons"` // finished
}

// Lesson is how far a lesson has come.
type Lesson struct {
	Step    int                `json:"step"`            // index of the question asked in the scene's steps
	Review  bool               `json:"review"`          // it is being asked again
	Queue   []int              `json:"queue,omitempty"` // missed, to come back to
	Wrong   int                `json:"wrong"`           // answers to this asking that were not right
	Hints   int                `json:"hints"`           // given in this asking
	Talk    int                `json:"talk"`            // lines in a row that were no answers
	Over    bool               `json:"over"`            // every question of the scene has been asked
	Marks   []Mark             `json:"marks,omitempty"`
	Mastery map[string]float64 `json:"mastery,omitempty"`
	Pace    Pace               `json:"pace,omitempty"`
	Learned bool               `json:"learned,omitempty"` // the last line was judged as an answer
}

// Mark is how one step went.
type Mark struct {
	Step   string `json:"step"`
	Skill  string `json:"skill"`
	First  bool   `json:"first"` // right at once
	Hints  int    `json:"hints"`
	Missed bool   `json:"missed"`
	Later  bool   `json:"later"` // right when it came back
}

func (l *Lesson) clone() *Lesson {
	if l == nil {
		return nil
	}
	c := *l
	c.Queue, c.Marks, c.Mastery = slices.Clone(l.Queue), slices.Clone(l.Marks), maps.Clone(l.Mastery)
	return &c
}

// Streak is how many steps in a row were right at once, or, negative, missed.
func (l *Lesson) Streak() int {
	n := 0
	for _, m := range slices.Backward(l.Marks) {
		switch {
		case m.First && n >= 0:
			n++
		case m.Missed && n <= 0:
			n--
		default:
			return n
		}
	}
	return n
}

// pace judges the last three steps and the question that is open.
func (l *Lesson) pace() Pace {
	last := l.Marks[max(0, len(l.Marks)-3):]
	first, hard := 0, 0
	for _, m := range last {
		if m.First {
			first++
		}
		if m.Missed || m.Hints >= 2 {
			hard++
		}
	}
	switch {
	case l.Wrong >= 2 || hard >= 2 || hard == 1 && len(last) > 0 && last[len(last)-1].Missed:
		return Struggling
	case first == 3:
		return Flying
	case len(last) == 0 && l.Wrong == 0 && l.Pace != "":
		return l.Pace // as the learner came
	}
	return Steady
}

// Knowledge tracing (Corbett and Anderson 1995): what is known at first, is learned by one question, slips and is guessed.
const (
	knownAtFirst = 0.3
	learnedByOne = 0.15
	slip         = 0.1
	guess        = 0.2
)

// learn updates the mastery of a skill after an answer; after hints an answer tells nothing but is practice all the same.
func (l *Lesson) learn(skill string, right, hinted bool) {
	p, ok := l.Mastery[skill]
	if !ok {
		p = knownAtFirst
	}
	switch {
	case hinted && right:
	case right:
		p = p * (1 - slip) / (p*(1-slip) + (1-p)*guess)
	default:
		p = p * slip / (p*slip + (1-p)*(1-guess))
	}
	l.Mastery = put(l.Mastery, skill, p+(1-p)*learnedByOne)
}

// verdict is what a learner's line is to the open question.
type verdict int

const (
	talked verdict = iota
	right
	wrong
	asksHelp
	skips
)

var (
	helpLine  = regexp.MustCompile(`^(help|hint|a hint|clue|idk|dunno|huh|what|um+|no idea|no clue|stuck|dont get it)$|\b(hint|clue|help me|i (dont|do not|didnt) (know|get|understand)|no idea|im (stuck|lost|confused)|i am (stuck|lost|confused)|not sure|too hard|explain (that|this|it) again)\b`)
	skipLine  = regexp.MustCompile(`^(skip|pass|next|skip it|next one|next question|i give up|give up|tell me|just tell me|whats the answer|what is the answer)( please)?$|\b(skip|give me the answer|tell me the answer|i give up)\b`)
	askLine   = regexp.MustCompile(`^(who|what|when|where|why|how|which|can (you|we|i)|could (you|we|i)|do (you|we|i)|does|are (you|we)|will (you|we)|is (this|that|there))\b`)
	idleWords = regexp.MustCompile(`^((ok|okay|k|lol|haha|hm+|yes|yeah|yep|no|nah|nope|sure|fine|cool|wow|thanks|thank|you|thx|please|hi|hey|hello|bye|oh|ah|well|really|great|nice|maybe|and|so|good|whatever|later|brb|im|back|ready|go|lets|got|it|i|see) ?)+$`)
)

// judge tells what a line is to a question.
func (e *Engine) judge(ctx context.Context, s *Step, q *Question, line string) (verdict, *Miss, error) {
	if ok, err := e.Right(ctx, q, line); err != nil {
		return talked, nil, err
	} else if ok {
		return right, nil, nil
	}
	for i := range s.Misses {
		for k := range s.Misses[i].Answers {
			if ok, err := e.accepts(ctx, &s.Misses[i].Answers[k], line); err != nil {
				return talked, nil, err
			} else if ok {
				return wrong, &s.Misses[i], nil
			}
		}
	}
	bare := strings.ReplaceAll(Fold(strings.NewReplacer("'", "", "’", "").Replace(line)), "  ", " ")
	switch {
	case skipLine.MatchString(bare):
		return skips, nil, nil
	case helpLine.MatchString(bare):
		return asksHelp, nil, nil
	case slices.ContainsFunc(q.Accept, func(a Answer) bool { return a.Number != nil }) && len(Numbers(line)) > 0:
		return wrong, nil, nil
	case idleWords.MatchString(bare), askLine.MatchString(bare), bare == "":
		return talked, nil, nil
	case strings.HasSuffix(strings.TrimSpace(line), "?") && len(strings.Fields(bare)) > 4:
		return talked, nil, nil
	}
	if q.Chat != nil {
		if ok, err := e.Tracker.Means(ctx, q.Chat, line); err != nil || ok {
			return talked, nil, err
		}
	}
	return wrong, nil, nil
}

// Right reports whether a line answers a question.
func (e *Engine) Right(ctx context.Context, q *Question, line string) (bool, error) {
	for i := range q.Accept {
		if ok, err := e.accepts(ctx, &q.Accept[i], line); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// accepts reports whether a line is this answer.
func (e *Engine) accepts(ctx context.Context, a *Answer, line string) (bool, error) {
	switch {
	case a.Number != nil:
		return numberIs(line, a.Number), nil
	case a.Pattern != nil:
		return a.Pattern.MatchString(strings.ToLower(strings.ReplaceAll(line, "’", "'"))), nil
	case a.Meaning != nil:
		return e.Tracker.Means(ctx, a.Meaning, line)
	}
	return says(line, a.Text), nil
}

var denied = map[string]bool{"not": true, "no": true, "never": true, "isnt": true, "arent": true, "dont": true, "doesnt": true, "isn": true, "without": true}

// says reports whether a line says a text: the same words in a row, slips of the finger allowed, and not denied.
func says(line, text string) bool {
	have, want := strings.Fields(Fold(strings.ReplaceAll(line, "'", ""))), strings.Fields(Fold(strings.ReplaceAll(text, "'", "")))
	if len(want) == 0 {
		return false
	}
	for i := 0; i+len(want) <= len(have); i++ {
		same := true
		for k, w := range want {
			same = same && sameWord(have[i+k], w)
		}
		if same && !(i > 0 && denied[have[i-1]]) && !(i > 1 && denied[have[i-2]]) {
			return true
		}
	}
	return false
}

// sameWord allows one slip (a letter more, less, other or swapped) in words of five letters, two in words of nine.
func sameWord(a, b string) bool {
	if a == b {
		return true
	}
	slips := 0
	switch n := len([]rune(b)); {
	case n >= 9:
		slips = 2
	case n >= 5:
		slips = 1
	}
	return slips > 0 && a != "" && a[0] == b[0] && EditDistance(a, b) <= slips
}

// class is one turn of a lesson: who teaches what, in which state.
type class struct {
	e       *Engine
	t       *Talk
	sc      *Scene
	st      *State
	speaker string
}

// lesson returns the class at a scene with questions; nil elsewhere.
func (e *Engine) lesson(t *Talk, sc *Scene, st *State) *class {
	if len(sc.Steps) == 0 || len(sc.Present) == 0 {
		return nil
	}
	return &class{e, t, sc, st, sc.Present[0]}
}

// teach takes a learner's line to what the tutor says to it, and to the next question. answered is false when the line was
// talk, which the model answers. moved is called when the blends may have moved, before anything is worded.
func (c *class) teach(ctx context.Context, line string, moved func()) (reaction, next string, answered bool, err error) {
	l := c.st.Lesson
	s := &c.sc.Steps[l.Step]
	q := s.asked(l.Review)
	kind, miss, err := c.e.judge(ctx, s, q, line)
	if err != nil {
		return "", "", false, err
	}
	if kind == wrong && miss == nil && len(c.st.Said) > 0 { // it means something else
		kind = talked
	}
	l.Learned = kind == right || kind == wrong
	if kind == talked {
		l.Talk++
		if l.Talk%2 == 0 {
			next = q.Ask.In(c.blend())
		}
		return "", next, false, nil
	}
	l.Talk = 0
	var parts []string
	ended := true
	switch {
	case kind == right:
		l.learn(s.Skill, true, l.Hints > 0)
		c.finish(false)
	case kind == skips:
		l.learn(s.Skill, false, false)
		c.finish(true)
	default: // wrong, or asks for help
		if kind == wrong {
			if l.Wrong == 0 {
				l.learn(s.Skill, false, false)
			}
			l.Wrong++
		}
		ended = miss == nil && l.Hints >= len(s.Hints) || l.Wrong > len(s.Hints)+1
		if ended {
			c.finish(true)
		}
	}
	l.Pace = l.pace()
	c.manner()
	moved()
	blend := c.blend()
	switch {
	case kind == right:
		if r := s.Right.In(blend); r != "" && !l.Review {
			parts = append(parts, r)
		} else {
			parts = append(parts, c.phrase(func(v Voice) []string { return v.Right }))
		}
	case kind == skips:
		parts = append(parts, c.phrase(func(v Voice) []string { return v.Skip }), q.Explain.In(blend))
	case ended:
		if kind == wrong {
			parts = append(parts, c.phrase(func(v Voice) []string { return v.Wrong }))
		}
		parts = append(parts, q.Explain.In(blend))
	case miss != nil:
		parts = append(parts, miss.Say.In(blend))
	default:
		if kind == wrong {
			parts = append(parts, c.phrase(func(v Voice) []string { return v.Wrong }))
		}
		parts = append(parts, s.Hints[l.Hints].In(blend))
		l.Hints++
	}
	if ended {
		next = c.ask()
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " "), next, true, nil
}

// finish notes how the open question went.
func (c *class) finish(missed bool) {
	l, s := c.st.Lesson, &c.sc.Steps[c.st.Lesson.Step]
	if l.Review {
		for i := range l.Marks {
			if l.Marks[i].Step == s.ID {
				l.Marks[i].Later = !missed
			}
		}
		return
	}
	l.Marks = append(l.Marks, Mark{Step: s.ID, Skill: s.Skill, First: !missed && l.Wrong == 0 && l.Hints == 0, Hints: l.Hints, Missed: missed})
	if missed {
		l.Queue = append(l.Queue, l.Step)
	}
}

// asked is the question of a step, or of its review.
func (s *Step) asked(review bool) *Question {
	if review && s.Review != nil {
		return s.Review
	}
	return &s.Question
}

// ask moves to the next question of the scene, what was missed last, and returns it in the speaker's manner; "" when there is none.
func (c *class) ask() string {
	l, steps := c.st.Lesson, c.sc.Steps
	l.Wrong, l.Hints, l.Talk = 0, 0, 0
	if !l.Review {
		for l.Step++; l.Step < len(steps); l.Step++ {
			if when := steps[l.Step].When; when != nil {
				if ok, err := when.Holds(c.st.Facts()); err == nil && !ok {
					continue
				}
			}
			return steps[l.Step].Ask.In(c.blend())
		}
		l.Review = true
	}
	if len(l.Queue) == 0 {
		l.Over, l.Step = true, len(steps)-1
		return ""
	}
	l.Step, l.Queue = l.Queue[0], l.Queue[1:]
	again := c.phrase(func(v Voice) []string { return v.Again })
	return strings.TrimSpace(again + " " + steps[l.Step].asked(true).Ask.In(c.blend()))
}

func (c *class) blend() Blend { return c.st.Blends[c.speaker] }

// phrase chooses one of a voice's phrases, another as the talk grows.
func (c *class) phrase(list func(Voice) []string) string {
	for _, id := range c.blend().IDs() {
		if some := list(c.t.Story.Voices[id]); len(some) > 0 {
			return some[(int(c.t.Session.Seed%97)+len(c.st.Lesson.Marks)+c.st.Turn)%len(some)]
		}
	}
	return ""
}

// manner sets the speakers' targets by the learner's pace.
func (c *class) manner() {
	m := c.t.Story.Pace[c.st.Lesson.Pace]
	for who, b := range m.Blend {
		c.st.Targets, c.st.Causes = put(c.st.Targets, who, b), put(c.st.Causes, who, m.Cause)
	}
}

// begin readies the scene's lesson and returns its first question.
func (c *class) begin() string {
	l := c.st.Lesson.clone()
	if l == nil {
		l = &Lesson{}
	}
	l.Step, l.Review, l.Queue, l.Over = -1, false, nil, false
	c.st.Lesson = l
	return c.ask()
}

// summary is the report at the end of a lesson.
func summary(s *Story, st State) string {
	l := st.Lesson
	first, hinted := 0, 0
	var later, open []string
	titles := map[string]string{}
	for _, k := range s.Skills {
		titles[k.ID] = k.Title
	}
	for _, m := range l.Marks {
		switch {
		case m.First:
			first++
		case !m.Missed:
			hinted++
		case m.Later:
			later = append(later, titles[m.Skill])
		default:
			open = append(open, titles[m.Skill])
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "How it went: %d of %d right at once", first, len(l.Marks))
	if hinted > 0 {
		fmt.Fprintf(&b, ", %d after a second look", hinted)
	}
	b.WriteString(".")
	if len(later) > 0 {
		fmt.Fprintf(&b, " Missed at first and right when it came back: %s.", strings.Join(distinct(later), ", "))
	}
	if len(open) > 0 {
		fmt.Fprintf(&b, " Still open: %s.", strings.Join(distinct(open), ", "))
	}
	var known []string
	for _, k := range s.Skills {
		if p, ok := l.Mastery[k.ID]; ok {
			known = append(known, fmt.Sprintf("%s %d%%", k.Title, int(100*p+0.5)))
		}
	}
	if len(known) > 0 {
		fmt.Fprintf(&b, " How sure you are by now: %s.", strings.Join(known, ", "))
	}
	return b.String()
}

func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
