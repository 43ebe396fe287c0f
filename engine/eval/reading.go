package eval

import (
	"fmt"
	"io"
	"slices"
)

// Mark is what one reader, who was not told where a reply came from, says of it.
type Mark struct {
	Fluent      bool `json:"fluent"`      // well-formed, and it makes sense
	Topic       bool `json:"topic"`       // it answers what was said
	Voice       bool `json:"voice"`       // so the described character might speak
	Contradicts bool `json:"contradicts"` // it goes against the description, the talk or itself
}

// Read is a reply with the marks of its readers.
type Read struct {
	Persona string `json:"persona"`
	You     string `json:"you"`
	Text    string `json:"text"`
	Source  string `json:"source"` // shown, generated, untuned, authored
	Marks   []Mark `json:"marks"`
}

// Reading is what readers made of the replies of one source: shares of marks, with intervals over replies (bootstrap), and how far
// two readers agree beyond chance (Cohen's κ over the four marks together).
type Reading struct {
	Source      string   `json:"source"`
	Fluent      *Value   `json:"fluent"`
	Topic       *Value   `json:"topic"`
	Voice       *Value   `json:"voice"`
	Contradicts *Value   `json:"contradicts"`
	Kappa       *float64 `json:"kappa,omitempty"` // nil without two readers
}

// ReadingOf sums marks up by source, in order of name. Every reply needs at least one mark.
func ReadingOf(all []Read, seed uint64) ([]Reading, error) {
	by := map[string][]Read{}
	for i, r := range all {
		if len(r.Marks) == 0 || r.Source == "" {
			return nil, fmt.Errorf("reply %d has no source or no marks", i+1)
		}
		by[r.Source] = append(by[r.Source], r)
	}
	var names []string
	for s := range by {
		names = append(names, s)
	}
	slices.Sort(names)
	out := make([]Reading, 0, len(names))
	for _, s := range names {
		some := by[s]
		share := func(of func(Mark) bool) *Value {
			mean := func(pick []int) float64 {
				sum, n := 0.0, 0
				for _, i := range pick {
					for _, m := range some[i].Marks {
						if n++; of(m) {
							sum++
						}
					}
				}
				return sum / float64(n)
			}
			v := Value{Value: mean(whole(len(some))), N: len(some)}
			v.Low, v.High = interval(seed, len(some), mean)
			return &v
		}
		out = append(out, Reading{s, share(Mark.fluent), share(Mark.topic), share(Mark.voice), share(Mark.contradicts), kappa(some)})
	}
	return out, nil
}

func (m Mark) fluent() bool      { return m.Fluent }
func (m Mark) topic() bool       { return m.Topic }
func (m Mark) voice() bool       { return m.Voice }
func (m Mark) contradicts() bool { return m.Contradicts }

// kappa is Cohen's κ (1960) of the first two readers, over the four questions together; nil without two.
func kappa(some []Read) *float64 {
	var table [2][2]float64
	n := 0.0
	for _, r := range some {
		if len(r.Marks) < 2 {
			continue
		}
		for _, of := range []func(Mark) bool{Mark.fluent, Mark.topic, Mark.voice, Mark.contradicts} {
			a, b := 0, 0
			if of(r.Marks[0]) {
				a = 1
			}
			if of(r.Marks[1]) {
				b = 1
			}
			table[a][b]++
			n++
		}
	}
	if n == 0 {
		return nil
	}
	same := (table[0][0] + table[1][1]) / n
	first, second := (table[1][0]+table[1][1])/n, (table[0][1]+table[1][1])/n
	chance := first*second + (1-first)*(1-second)
	k := 1.0
	if chance < 1 {
		k = (same - chance) / (1 - chance)
	}
	return &k
}

// WriteReading prints readings as a table.
func WriteReading(w io.Writer, all []Reading) error {
	if _, err := fmt.Fprintf(w, "%-10s %8s  %-18s %-18s %-18s %-18s %s\n", "source", "replies", "fluent", "on topic", "in voice", "contradicts", "kappa"); err != nil {
		return err
	}
	for _, r := range all {
		cell := func(v *Value) string { return fmt.Sprintf("%.2f (%.2f–%.2f)", v.Value, v.Low, v.High) }
		k := "–"
		if r.Kappa != nil {
			k = fmt.Sprintf("%.2f", *r.Kappa)
		}
		if _, err := fmt.Fprintf(w, "%-10s %8d  %-18s %-18s %-18s %-18s %s\n", r.Source, r.Fluent.N, cell(r.Fluent), cell(r.Topic), cell(r.Voice), cell(r.Contradicts), k); err != nil {
			return err
		}
	}
	return nil
}
