package eval

import (
	"bytes"
	"strings"
	"testing"
)

func TestReading(t *testing.T) {
	t.Parallel()
	good, bad := Mark{Fluent: true, Topic: true, Voice: true}, Mark{Contradicts: true}
	var all []Read
	for i := range 40 {
		marks := []Mark{good, good}
		if i%4 == 0 {
			marks = []Mark{bad, bad}
		}
		if i%8 == 1 {
			marks = []Mark{good, {Fluent: true, Voice: true}}
		}
		all = append(all, Read{Source: "shown", Text: "x", Marks: marks}, Read{Source: "untuned", Text: "y", Marks: []Mark{bad}})
	}
	got, err := ReadingOf(all, 1)
	if err != nil || len(got) != 2 || got[0].Source != "shown" {
		t.Fatal(got, err)
	}
	s := got[0]
	if s.Fluent.Value != 0.75 || s.Topic.Value != (60.0-5)/80 || s.Contradicts.Value != 0.25 || s.Fluent.N != 40 || s.Fluent.Low >= 0.75 || s.Fluent.High <= 0.75 {
		t.Errorf("%+v %+v", s.Fluent, s.Topic)
	}
	if s.Kappa == nil || *s.Kappa < 0.85 || *s.Kappa >= 1 {
		t.Errorf("kappa %v of readers who differ in 5 of 160 marks", s.Kappa)
	}
	if got[1].Kappa != nil || got[1].Fluent.Value != 0 {
		t.Errorf("%+v", got[1])
	}
	var out bytes.Buffer
	if err := WriteReading(&out, got); err != nil || !strings.Contains(out.String(), "0.75 (0.") {
		t.Error(out.String(), err)
	}
	if _, err := ReadingOf([]Read{{Source: "shown"}}, 1); err == nil {
		t.Error("a reply without marks was counted")
	}
}
