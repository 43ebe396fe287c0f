package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weave": main})
}

// The whole program, as players, writers and scripts use it. The packed weights are shared between the scripts.
func TestScripts(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(os.TempDir(), "personaweave-test-cache")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("WEAVE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("WEAVE_CACHE", cache)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}
