package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/personaweave/personaweave/"

// layers says which of our packages each layer may import.
var layers = []struct {
	packages []string // prefixes below the module
	may      []string
}{
	{[]string{"engine/tensor", "engine/autograd", "engine/nn", "engine/optim", "engine/kernel", "engine/token", "engine/gguf", "engine/checkpoint"}, numerics},
	{[]string{"engine/seq2seq", "engine/weights"}, append([]string{"engine/seq2seq", "engine/weights"}, numerics...)},
	{[]string{"engine/corpus", "engine/persona"}, data},
	{[]string{"engine/reward", "engine/discover", "engine/eval"}, use},
	{[]string{"engine/train"}, []string{"engine"}},
	{[]string{"stories", "saves"}, []string{"engine$"}},
	{[]string{"tui"}, []string{"engine$", "tui"}},
	{[]string{"cmd"}, []string{"engine", "stories", "saves", "tui", "cmd"}},
	{[]string{"engine$"}, nil},
}

var (
	numerics = []string{"engine/tensor", "engine/autograd", "engine/nn", "engine/optim", "engine/kernel", "engine/token", "engine/gguf", "engine/checkpoint"}
	data     = append([]string{"engine$", "engine/corpus", "engine/persona", "engine/seq2seq", "engine/weights"}, numerics...)
	use      = append([]string{"engine/reward", "engine/discover", "engine/eval"}, data...)
)

// never lists what nothing below engine may reach, whoever imports it.
var never = []string{"github.com/charmbracelet/", "github.com/spf13/cobra", "database/sql", "github.com/mattn/go-sqlite3", module + "tui"}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Doc        string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,Doc", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func matches(path, prefix string) bool {
	if exact, ok := strings.CutSuffix(prefix, "$"); ok {
		return path == exact
	}
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func TestLayers(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		i := slices.IndexFunc(layers, func(l struct{ packages, may []string }) bool {
			return slices.ContainsFunc(l.packages, func(prefix string) bool { return matches(path, prefix) })
		})
		if i < 0 {
			t.Errorf("%s is in no layer: name it in this test and in the design", path)
			continue
		}
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !slices.ContainsFunc(layers[i].may, func(prefix string) bool { return matches(ours, prefix) }) {
				t.Errorf("%s imports %s, which its layer may not", path, ours)
			}
		}
		if strings.HasPrefix(path, "engine") {
			for _, dep := range p.Deps {
				if slices.ContainsFunc(never, func(bad string) bool { return strings.HasPrefix(dep, bad) }) {
					t.Errorf("%s reaches %s", path, dep)
				}
			}
		}
		if imports := "github.com/mattn/go-sqlite3"; slices.Contains(p.Imports, imports) && path != "saves" {
			t.Errorf("%s imports %s: only saves may", path, imports)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
