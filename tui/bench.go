package tui

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/tui/theme"
)

// FrameBench is the median time in which the screen of a talk of that many turns takes a key and is drawn, 120×40 in full
// colour. It plays nothing.
func FrameBench(turns int) time.Duration {
	m := longTalk(turns)
	var times []time.Duration
	for i := range 60 {
		k := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'a' + rune(i%26)}}
		if i%2 == 1 {
			k = tea.KeyMsg{Type: tea.KeyPgUp}
		}
		begin := time.Now()
		m.Update(k)
		_ = m.View()
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// longTalk is a screen that shows a talk of that many turns.
func longTalk(turns int) *model {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.TrueColor)
	r.SetHasDarkBackground(true)
	m := newModel(context.Background(), nil, Options{}, theme.New(r))
	m.ready = true
	m.people["keeper"] = &engine.Persona{ID: "keeper", Name: "Keeper", Colour: "#4F8A8B", Tagline: "keeps"}
	story := &engine.Story{ID: "long", Title: "A long talk", Cast: []string{"keeper"}, Scenes: []engine.Scene{{ID: "room", Title: "Room", Present: []string{"keeper"},
		Goals: []engine.Goal{{ID: "rest", Want: "you may rest"}}}}}
	st := engine.State{Scene: "room", Strength: 1, Speaker: "keeper", Blends: map[string]engine.Blend{"keeper": engine.Pure("keeper")}}
	path := []engine.Node{{ID: 1, Kind: engine.Narration, Text: "A room without an end.", State: st}}
	for i := range turns {
		reply := &engine.Reply{Candidates: make([]engine.Candidate, 11), Blend: engine.Pure("keeper"), Consistency: 0.8, Goal: 0.5}
		path = append(path,
			engine.Node{ID: int64(2*i + 2), Kind: engine.Player, Text: fmt.Sprintf("and what happened on day %d?", i), State: st},
			engine.Node{ID: int64(2*i + 3), Kind: engine.Character, Speaker: "keeper", Text: "Nothing that I wrote down, and I write down everything that I can spell.", State: st, Reply: reply})
	}
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	m.show(&engine.Talk{Story: story, Session: engine.Session{ID: 1, Branch: "main"}, Path: path})
	m.layout()
	return m
}
