package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

func TestJudgeOfMarkedPairs(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	e := json.NewEncoder(&file)
	for i := range 60 { // a reader who looks at nothing but coherence
		p := pair{Persona: "wren", Kind: "drawn", Better: "a"}
		p.A.Rewards = engine.Rewards{Coherence: 0.8, Classifier: float64(i%5) / 5}
		p.B.Rewards = engine.Rewards{Coherence: 0.2, Classifier: float64((i+2)%5) / 5}
		if i%2 == 0 {
			p.A, p.B, p.Better = p.B, p.A, "b"
		}
		if i >= 50 {
			p.Kind, p.Chosen = "random", "a"
		}
		if err := e.Encode(p); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	a := &app{out: &out, errs: &errs}
	some, err := readPairs(path)
	if err == nil {
		err = a.judge(some, 0.01)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"60 pairs over 1 characters", "of 16 pairs kept apart", "fitted 1.00", "at random: preferred in 0.50 (0.24–0.76) of 10"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in:\n%s", want, out.String())
		}
	}
	if err := os.WriteFile(path, []byte(`{"persona": "wren"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPairs(path); engine.CodeOf(err) != engine.Invalid || !strings.Contains(err.Error(), ":1: the pair is not marked") {
		t.Error(err)
	}
}
