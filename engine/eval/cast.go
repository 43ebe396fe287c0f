package eval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// Sayer makes replies as play does: engine.Engine.
type Sayer interface {
	Say(ctx context.Context, m engine.Moment) (*engine.Reply, error)
}

// Role is a character where it stands.
type Role struct {
	ID, Name, Description string
	Scene                 string // turn 0
	Place                 string // "STORY/SCENE", or empty
}

// Reply is a reply that was judged, and what it answers.
type Reply struct {
	Persona   string `json:"persona"`
	You       string `json:"you"`
	Source    Source `json:"source"`
	Text      string `json:"text"`
	Retrieved bool   `json:"retrieved,omitempty"` // of a shown one: its author wrote it
	Turn      int    `json:"turn,omitempty"`      // of a talk, from 1
}

// Source says where a reply comes from.
type Source string

// Where replies come from.
const (
	Shown       Source = "shown"       // what a player would read
	Generated   Source = "generated"   // the best of the candidates that the model made
	Authored    Source = "authored"    // a held-out answer of the character's author
	Unretrieved Source = "unretrieved" // shown when no written line takes part
	Found       Source = "found"       // the answer to the written line nearest by words, without a model
	ByUntuned   Source = "untuned"     // the base, told who it is
	Talked      Source = "talk"        // shown in a talk
	Fresh       Source = "fresh"       // shown at the first turn of a talk, to be compared with
	Late        Source = "late"        // shown to the same line after 19 turns
)

// Cast is what is measured of written characters at play.
type Cast struct {
	Sayer    Sayer
	Roles    []Role
	Lines    []string // player's lines that nothing was trained on
	Chat     []string // other player's lines, for talks
	Authored []Reply  // answers that nothing was trained on
	Learn    []Line   // the characters' other lines: what the judge learns from
	Texts    []string // what characters say in all that was written

	// Rivals, each where it is not nil.
	Finder  engine.Retriever // retrieval without the model; and the model without retrieval
	Untuned Speaker
}

// CastOptions bound a run.
type CastOptions struct {
	Seed     uint64
	Replies  int // moments, as many of each character; 0: every character and line
	Talks    int // long talks, spread over the characters
	Turns    int // of each
	Progress func(done, of int)
}

// CastReport is what was measured of a cast. The judge's values are shares of replies that it gives to their character among all; it
// learned from no text that it judges.
type CastReport struct {
	Seed      uint64 `json:"seed"`
	Personas  int    `json:"personas"` // that the judge tells apart
	Authored  *Value `json:"judge_authored,omitempty"`
	Shown     *Value `json:"judge_shown,omitempty"`
	Generated *Value `json:"judge_generated,omitempty"`

	ShownRatio     *Value `json:"shown_over_authored,omitempty"`
	GeneratedRatio *Value `json:"generated_over_authored,omitempty"`

	Retrieved     *Value `json:"retrieved,omitempty"`     // share of shown replies that their author wrote
	Copied        *Value `json:"copied,omitempty"`        // of generated replies of six words or more, those that stand in what was written
	CopiedDrafts  *Value `json:"copied_drafts,omitempty"` // the same of all candidates that the model made
	Distinct2     *Value `json:"distinct2,omitempty"`     // of shown replies
	Distinct2Made *Value `json:"distinct2_generated,omitempty"`
	Repeats       *Value `json:"repeat_rate,omitempty"` // generated replies that say three words twice

	TalkRepeats *Value `json:"talk_repeat_rate,omitempty"`    // replies of talks that say three words twice, or a line of the talk again
	TalkTriples *Value `json:"talk_repeat_triples,omitempty"` // their triples of words that the character said before in the talk
	TalkFresh   *Value `json:"judge_turn_1,omitempty"`
	TalkLate    *Value `json:"judge_turn_20,omitempty"` // the same lines, asked after 19 turns
	TalkDrift   *Value `json:"talk_drift,omitempty"`    // judge_turn_20 − judge_turn_1, by pairs

	Unretrieved *Value `json:"judge_unretrieved,omitempty"` // rivals
	Found       *Value `json:"judge_found,omitempty"`
	Untuned     *Value `json:"judge_untuned,omitempty"`
	Distinct2Un *Value `json:"distinct2_untuned,omitempty"`
}

const (
	lateTurn  = 20 // where persona is measured again
	probes    = 10 // lines asked at the first turn and then
	copyWords = 6  // a shorter reply is nobody's
)

// castRun gathers what is said.
type castRun struct {
	*Cast
	o       CastOptions
	step    func() error
	copies  *texts
	replies []Reply
	drafts  column
	repeats []float64
	triples column
}

// Run measures the cast and returns every reply that was judged.
func (c *Cast) Run(ctx context.Context, o CastOptions) (*CastReport, []Reply, error) {
	if len(c.Roles) == 0 || len(c.Lines) == 0 {
		return nil, nil, &engine.Error{Code: engine.Invalid, Message: "there is no character with lines of its own to measure", Hint: "weave persona list shows who is there"}
	}
	moments := c.moments(o)
	late := min(probes, len(c.Lines)/2)
	done, total := 0, len(moments)+o.Talks*(o.Turns+2*late)
	r := &castRun{Cast: c, o: o, copies: newTexts(c.Texts), replies: slices.Clone(c.Authored), step: func() error {
		done++
		if o.Progress != nil {
			o.Progress(done, total)
		}
		return ctx.Err()
	}}
	for _, m := range moments {
		if err := r.moment(ctx, m); err != nil {
			return nil, nil, err
		}
	}
	for i := range o.Talks {
		if err := r.talk(ctx, c.Roles[i*len(c.Roles)/o.Talks], late, i); err != nil {
			return nil, nil, err
		}
	}
	return r.report(), r.replies, nil
}

// castMoment is a line said to a character.
type castMoment struct {
	role Role
	line string
	seed uint64
}

// moments draws lines for each character, as many of each; those of one character stand together.
func (c *Cast) moments(o CastOptions) []castMoment {
	rng := rand.New(rand.NewPCG(o.Seed, 3))
	roles, lines := rng.Perm(len(c.Roles)), make([][]int, len(c.Roles))
	for i := range lines {
		lines[i] = rng.Perm(len(c.Lines))
	}
	n := len(c.Roles) * len(c.Lines)
	if o.Replies > 0 {
		n = min(n, o.Replies)
	}
	out := make([]castMoment, n)
	for i := range out {
		who := roles[i%len(roles)]
		out[i] = castMoment{c.Roles[who], c.Lines[lines[who][i/len(roles)]], rng.Uint64()}
	}
	slices.SortStableFunc(out, func(a, b castMoment) int { return cmp.Compare(a.role.ID, b.role.ID) })
	return out
}

// at is the moment as the engine meets it after some turns.
func (m castMoment) at(turns []engine.Spoken, used map[string]bool) engine.Moment {
	p := engine.Prompt{Scene: m.role.Scene, Turns: append(slices.Clone(turns), engine.Spoken{Player: true, Text: m.line}), Name: m.role.Name,
		Blend: []engine.Weighted{{ID: m.role.ID, Description: m.role.Description, Weight: 1}}, Strength: 1}
	return engine.Moment{Prompt: p, Said: m.line, Place: m.role.Place, Distance: -1, Used: used, Seed: m.seed}
}

func (r *castRun) keep(m castMoment, s Source, text string, turn int) *Reply {
	r.replies = append(r.replies, Reply{Persona: m.role.ID, You: m.line, Source: s, Text: text, Turn: turn})
	return &r.replies[len(r.replies)-1]
}

// moment makes the replies of all who answer.
func (r *castRun) moment(ctx context.Context, m castMoment) error {
	said, err := r.Sayer.Say(ctx, m.at(nil, nil))
	if err != nil {
		return err
	}
	shown, best, copied, long := said.Candidates[said.Chosen], -1, 0.0, 0.0
	r.keep(m, Shown, shown.Text, 0).Retrieved = shown.Source == engine.Retrieved
	for i, k := range said.Candidates {
		if k.Source != engine.Generated {
			continue
		}
		if best < 0 || k.Total > said.Candidates[best].Total {
			best = i
		}
		if len(strings.Fields(k.Text)) >= copyWords {
			long++
			copied += one(r.copies.hold(k.Text))
		}
	}
	if long > 0 {
		r.drafts.x, r.drafts.n = append(r.drafts.x, copied), append(r.drafts.n, long)
	}
	if best >= 0 {
		r.keep(m, Generated, said.Candidates[best].Text, 0)
	}
	if r.Finder != nil {
		alone := m.at(nil, nil)
		alone.Found = -1
		if said, err = r.Sayer.Say(ctx, alone); err != nil {
			return err
		}
		r.keep(m, Unretrieved, said.Candidates[said.Chosen].Text, 0)
		found, err := r.Finder.Retrieve(ctx, engine.Query{Text: m.line, Personas: map[string]float64{m.role.ID: 1}, Place: m.role.Place}, 1)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			r.keep(m, Found, found[0].Says, 0)
		}
	}
	if r.Untuned != nil {
		text, err := r.Untuned.Say(ctx, Moment{m.role.Scene, []engine.Spoken{{Player: true, Text: m.line}}, []Share{{m.role.Description, 1}}}, rand.New(rand.NewPCG(m.seed, 0)))
		if err != nil {
			return err
		}
		r.keep(m, ByUntuned, text, 0)
	}
	return r.step()
}

// talk holds a long talk with a character. Some lines are asked at its first turn and again after 19 turns, with the same seeds, and
// the answers are no part of it.
func (r *castRun) talk(ctx context.Context, role Role, late, number int) error {
	rng := rand.New(rand.NewPCG(r.o.Seed, uint64(number)+1<<32))
	lines := slices.Clone(r.Lines)
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	asked := lines[:late]
	lines = append(lines[late:], r.Chat...)
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	seeds := make([]uint64, late)
	for i := range seeds {
		seeds[i] = rng.Uint64()
	}
	var turns []engine.Spoken
	used, triples := map[string]bool{}, map[[3]string]bool{}
	ask := func(s Source, turn int) error {
		for i, line := range asked {
			m := castMoment{role, line, seeds[i]}
			said, err := r.Sayer.Say(ctx, m.at(turns, used))
			if err != nil {
				return err
			}
			r.keep(m, s, said.Candidates[said.Chosen].Text, turn)
			if err := r.step(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := ask(Fresh, 1); err != nil {
		return err
	}
	for turn := 1; turn <= r.o.Turns; turn++ {
		if turn == min(lateTurn, r.o.Turns) {
			if err := ask(Late, turn); err != nil {
				return err
			}
		}
		m := castMoment{role, lines[(turn-1)%len(lines)], rng.Uint64()}
		said, err := r.Sayer.Say(ctx, m.at(turns, used))
		if err != nil {
			return err
		}
		text := said.Candidates[said.Chosen].Text
		r.keep(m, Talked, text, turn)
		r.repeats = append(r.repeats, one(repeats(text, turns)))
		before, n := 0.0, 0.0
		for t := range triplesOf(text) {
			n++
			before += one(triples[t])
			triples[t] = true
		}
		r.triples.x, r.triples.n = append(r.triples.x, before), append(r.triples.n, n)
		used[engine.Fold(text)] = true
		turns = append(turns, engine.Spoken{Player: true, Text: m.line}, engine.Spoken{Name: role.Name, Text: text})
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

func triplesOf(text string) map[[3]string]bool {
	w, out := strings.Fields(engine.Fold(text)), map[[3]string]bool{}
	for i := 0; i+2 < len(w); i++ {
		out[[3]string{w[i], w[i+1], w[i+2]}] = true
	}
	return out
}

// report lets the judge learn and judge.
func (r *castRun) report() *CastReport {
	judged := make([]string, len(r.replies))
	for i, x := range r.replies {
		judged[i] = x.Text
	}
	j := NewJudge(r.Learn, judged)
	right, said := map[Source][]float64{}, map[Source][]string{}
	var shown, copied, loops []float64
	for _, x := range r.replies {
		right[x.Source], said[x.Source] = append(right[x.Source], one(j.Likeliest(x.Text) == x.Persona)), append(said[x.Source], x.Text)
		switch x.Source {
		case Shown:
			shown = append(shown, one(x.Retrieved))
		case Generated:
			loops = append(loops, one(repeats(x.Text, nil)))
			if len(strings.Fields(x.Text)) >= copyWords {
				copied = append(copied, one(r.copies.hold(x.Text)))
			}
		}
	}
	seed := r.o.Seed
	drift := slices.Clone(right[Late])
	for i := range drift {
		drift[i] -= right[Fresh][i]
	}
	return &CastReport{Seed: seed, Personas: len(j.personas),
		Authored: mean(seed, right[Authored]), Shown: mean(seed, right[Shown]), Generated: mean(seed, right[Generated]),
		ShownRatio: over(seed, right[Shown], right[Authored]), GeneratedRatio: over(seed, right[Generated], right[Authored]),
		Retrieved: mean(seed, shown), Copied: mean(seed, copied), CopiedDrafts: r.drafts.ratio(seed),
		Distinct2: distinct2(said[Shown]), Distinct2Made: distinct2(said[Generated]), Repeats: mean(seed, loops),
		TalkRepeats: mean(seed, r.repeats), TalkTriples: r.triples.ratio(seed),
		TalkFresh: mean(seed, right[Fresh]), TalkLate: mean(seed, right[Late]), TalkDrift: mean(seed, drift),
		Unretrieved: mean(seed, right[Unretrieved]), Found: mean(seed, right[Found]), Untuned: mean(seed, right[ByUntuned]), Distinct2Un: distinct2(said[ByUntuned])}
}

// mean is the mean of observations.
func mean(seed uint64, x []float64) *Value {
	return measure(seed, len(x), func(pick []int) float64 {
		sum := 0.0
		for _, i := range pick {
			sum += x[i]
		}
		return sum / float64(len(pick))
	})
}

// over is the mean of x over that of y, both drawn anew for the interval.
func over(seed uint64, x, y []float64) *Value {
	if len(y) == 0 {
		return nil
	}
	part := func(z []float64, pick func(i int) int) float64 {
		sum := 0.0
		for i := range z {
			sum += z[pick(i)]
		}
		return sum / float64(len(z))
	}
	rng := rand.New(rand.NewPCG(seed, 4))
	all := func(i int) int { return i }
	v := measure(seed, len(x), func(pick []int) float64 {
		return part(x, func(i int) int { return pick[i] }) / part(y, func(int) int { return rng.IntN(len(y)) })
	})
	if v == nil {
		return nil
	}
	if v.Value = part(x, all) / part(y, all); math.IsNaN(v.Value) || math.IsInf(v.High, 0) {
		return nil
	}
	return v
}

// texts is what was written, folded, to find copies in.
type texts struct{ all string }

func newTexts(lines []string) *texts {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n " + fold(l) + " ")
	}
	return &texts{b.String()}
}

// hold reports whether a reply stands in one line that was written, as a whole run of words.
func (t *texts) hold(reply string) bool { return strings.Contains(t.all, " "+fold(reply)+" ") }

// Text writes the report for people.
func (r *CastReport) Text(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "whose line it is, of %d, by the judge:\n", r.Personas); err != nil {
		return err
	}
	err := writeRows(w, []row{{"  authored, held out", r.Authored}, {"  shown", r.Shown}, {"  the best generated", r.Generated}, {"  shown / authored", r.ShownRatio}, {"  generated / authored", r.GeneratedRatio},
		{"  without retrieval", r.Unretrieved}, {"  retrieval by words, without the model", r.Found}, {"  the untuned base", r.Untuned},
		{"shown replies that were written", r.Retrieved}, {"generated replies that are copies", r.Copied}, {"  of all candidates", r.CopiedDrafts},
		{"distinct pairs of words, shown", r.Distinct2}, {"  generated", r.Distinct2Made}, {"  the untuned base", r.Distinct2Un}, {"generated replies that repeat themselves", r.Repeats},
		{"talks: replies that repeat", r.TalkRepeats}, {"  triples of words said before", r.TalkTriples}, {"  judge, turn 1", r.TalkFresh}, {"  judge, turn 20", r.TalkLate}, {"  drift", r.TalkDrift}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "seed %d\n", r.Seed)
	return err
}
