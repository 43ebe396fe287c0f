package stories

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/personaweave/personaweave/engine"
)

// Whatever stands in a shipped file, told or said, is within the rating: else it would never be said.
func TestLibraryIsWithinTheRating(t *testing.T) {
	t.Parallel()
	n := 0
	var look func(file string, x any)
	look = func(file string, x any) {
		switch x := x.(type) {
		case string:
			if n++; engine.Unfit(x) != "" {
				t.Errorf("%s: %s: %s", file, engine.Unfit(x), x)
			}
		case []any:
			for _, y := range x {
				look(file, y)
			}
		case map[string]any:
			for _, y := range x {
				look(file, y)
			}
		}
	}
	files, _ := filepath.Glob("*/*.yaml")
	for _, f := range append(files, "common.yaml", "heldout.yaml") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var x any
		if err := yaml.Unmarshal(b, &x); err != nil {
			t.Fatal(err)
		}
		look(f, x)
	}
	if n < 20000 {
		t.Errorf("only %d texts", n)
	}
}
