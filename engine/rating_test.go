package engine_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// lines reads a file of testdata, but its notes.
func lines(t testing.TB, name string) (out []string) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			out = append(out, l)
		}
	}
	return out
}

func TestRatingLetsStoriesPass(t *testing.T) {
	t.Parallel()
	fine := lines(t, "rating-fine.txt")
	if len(fine) < 80 {
		t.Errorf("only %d lines", len(fine))
	}
	for _, l := range append(fine, strings.Join(fine, " "), "", "…", "日本語でおk", strings.Repeat("a", 1<<12)) {
		if what := engine.Unfit(l); what != "" {
			t.Errorf("refused as %s: %.200s", what, l)
		}
	}
}

func TestRatingRefuses(t *testing.T) {
	t.Parallel()
	unfit := lines(t, "rating-unfit.txt")
	if len(unfit) < 80 {
		t.Errorf("only %d lines", len(unfit))
	}
	for _, l := range unfit {
		want, text, _ := strings.Cut(l, ": ")
		for _, s := range []string{text, strings.ToUpper(text), "Well, friend. " + text + " That is all."} {
			if got := engine.Unfit(s); got != want {
				t.Errorf("%q is %q, not %s", s, got, want)
			}
		}
	}
}

func BenchmarkUnfit(b *testing.B) {
	text := strings.Join(lines(b, "rating-fine.txt")[:4], " ")
	for b.Loop() {
		engine.Unfit(text)
	}
}

// coarse is a mind that thinks of what cannot be said, until it has thought often enough.
type coarse struct {
	*mind
	seeds  []uint64
	better int
}

func (m *coarse) Draft(ctx context.Context, p engine.Prompt, n int, seed uint64) ([]engine.Draft, error) {
	if m.seeds = append(m.seeds, seed); len(m.seeds) > m.better {
		return m.mind.Draft(ctx, p, n, seed)
	}
	return slices.Repeat([]engine.Draft{{Text: "Fuck off.", Finished: true}}, n), nil
}

// A reply that cannot be said is thought of anew, once; it is never a candidate.
func TestRatedRepliesAreDrawnAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		better int
		shelf  shelf
		drawn  int
		code   engine.Code
	}{{0, nil, 1, ""}, {1, nil, 2, ""}, {9, nil, 2, engine.Internal}, {9, shelf{"Mind the third rung."}, 1, ""}, {9, shelf{"Bullshit."}, 2, engine.Internal}} {
		m := &coarse{mind: &mind{}, better: c.better}
		e := engine.New(engine.Deps{Content: content{}, Mind: m, Retriever: c.shelf, Judge: first{}})
		r, err := e.Say(t.Context(), engine.Moment{Prompt: engine.Prompt{Name: "Wren"}, Said: "hi", Distance: -1, Seed: 5})
		if len(m.seeds) != c.drawn || c.drawn == 2 && m.seeds[0] == m.seeds[1] {
			t.Errorf("%+v: drawn with %v", c, m.seeds)
		}
		if (err != nil) != (c.code != "") || err != nil && engine.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c, err)
		}
		for i := 0; err == nil && i < len(r.Candidates); i++ {
			if engine.Unfit(r.Candidates[i].Text) != "" {
				t.Errorf("%+v: a candidate is %q", c, r.Candidates[i].Text)
			}
		}
	}
}
