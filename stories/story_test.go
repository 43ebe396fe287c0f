package stories

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/personaweave/personaweave/engine"
)

func readText(t *testing.T, text string) *engine.Story {
	t.Helper()
	l := library(t)
	f := &file{name: "s.yaml"}
	s := readStory(f.parse([]byte(text)), &l.known)
	if err := f.errs(); err != nil {
		t.Fatal(err)
	}
	return s.Story
}

func TestAStoryIsReadWhole(t *testing.T) {
	t.Parallel()
	s := readText(t, `
id: small
title: "Small"
kind: service
summary: "One room."
cast: [mage, robot]
intents:
  ask: {like: ["may i"], unlike: ["may day"]}
endings:
  out: {title: "Out", narrate: "You leave."}
  lost: {title: "Lost", when: flag.n < -2, narrate: "You stay."}
scenes:
  - id: room
    title: "Room"
    setting: "A room."
    opening: >
      Dust, and
      a lamp.
    present: [mage]
    goals: [{id: go, want: "Leave.", reached_like: ["Off you go."], done: flag.open}]
    blend: {mage: {mage: 0.75, robot: 0.25}}
    beats:
      - {when: said.ask, set: {n: +1, open: true, mood_word: "warm"}}
      - {when: said.ask, set: {n: -1}, repeat: true}
      - {when: turn > 3, set: {n: "-2.5"}, cause: "it grew late", blend: {robot: {robot: 1}}}
      - {id: last, when: flag.open, set: {n: 4}, narrate: "Click.", goto: end:out}
      - {narrate: "Welcome."}
    examples: {mage: [{you: "hi", says: "In here."}]}
`)
	sc := s.Scenes[0]
	rules := map[string]string{}
	for _, b := range sc.Beats {
		rules[b.ID] = ""
		if b.When != nil {
			rules[b.ID] = b.When.String()
		}
	}
	if d := cmp.Diff(map[string]string{"room/said.ask": "said.ask", "room/said.ask (2)": "said.ask", "room/turn > 3": "turn > 3", "last": "flag.open", "room/always": ""}, rules); d != "" {
		t.Error("beats and their rules:\n", d)
	}
	if sc.Goals[0].Done == nil || s.Endings["lost"].When == nil || s.Endings["out"].When != nil {
		t.Error("a goal's or an ending's rule is lost")
	}
	for i := range sc.Beats {
		sc.Beats[i].When, sc.Beats[i].ID = nil, ""
	}
	sc.Goals[0].Done = nil
	want := engine.Scene{
		ID: "room", Title: "Room", Setting: "A room.", Opening: "Dust, and a lamp.", Present: []string{"mage"},
		Goals: []engine.Goal{{ID: "go", Want: "Leave.", ReachedLike: []string{"Off you go."}}},
		Blend: map[string]engine.Blend{"mage": {"mage": 0.75, "robot": 0.25}},
		Beats: []engine.Beat{
			{Set: map[string]any{"n": "+1", "open": true, "mood_word": "warm"}},
			{Set: map[string]any{"n": "-1"}, Repeat: true},
			{Set: map[string]any{"n": "-2.5"}, Cause: "it grew late", Blend: map[string]engine.Blend{"robot": {"robot": 1}}},
			{Set: map[string]any{"n": 4.0}, Narrate: "Click.", Goto: "end:out"},
			{Narrate: "Welcome."},
		},
		Examples: map[string][]engine.Example{"mage": {{Persona: "mage", You: "hi", Says: "In here.", Place: "small/room", Origin: engine.FromScene}}},
	}
	if d := cmp.Diff(want, sc, cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Error(d)
	}
	if s.Kind != engine.KindService || s.Intents["ask"].Unlike[0] != "may day" || s.Source != "s.yaml" {
		t.Errorf("%+v", s)
	}
}

// A save names beats by id: an author who adds, moves or rewords beats must not make old ones fire again.
func TestBeatIDsSurviveEditing(t *testing.T) {
	t.Parallel()
	_, text := scaffolds(t)
	ids := func(s *engine.Story) map[string]bool {
		out := map[string]bool{}
		for _, sc := range s.Scenes {
			for _, b := range sc.Beats {
				out[b.ID] = true
			}
		}
		return out
	}
	before := ids(readText(t, text))
	after := ids(readText(t, strings.NewReplacer("    beats:\n      - when: said.be_kind", "    beats:\n      - {when: turn == 9, narrate: \"New.\"}\n      - when:  said.be_kind",
		"The lamp flickers.", "The lamp sputters.").Replace(text)))
	if len(after) != len(before)+1 {
		t.Fatalf("%d beats, then %d", len(before), len(after))
	}
	for id := range before {
		if !after[id] {
			t.Errorf("the beat %q is called something else after the edit", id)
		}
	}
}
