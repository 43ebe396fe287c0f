package stories

import (
	"slices"
	"testing"
)

// Every reply that can be found, and those of ladders and shifts, which nobody can find, are texts.
func TestTexts(t *testing.T) {
	t.Parallel()
	texts, err := (&Library{}).Texts()
	if err != nil {
		t.Fatal(err)
	}
	talks, err := readTalks(embedded)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, s := range texts {
		all[s] = true
	}
	n := 0
	for i := range talks {
		for _, x := range talks[i].exchanges() {
			if n++; !all[x[1]] {
				t.Fatalf("%q is missing", x[1])
			}
		}
	}
	if len(texts) < n+2000 {
		t.Errorf("%d texts, though %d can be found", len(texts), n)
	}
	if got := said(nil, map[string]any{"lines": []any{map[string]any{"you": "a", "replies": []any{map[string]any{"w": 0.5, "text": "b"}}}}, "context": "c"}); !slices.Equal(got, []string{"b"}) {
		t.Errorf("of a ladder: %q", got)
	}
}
