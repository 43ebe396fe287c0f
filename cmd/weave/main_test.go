package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The packed weights are shared between the tests; what a player of this machine keeps is not looked at.
func TestMain(m *testing.M) {
	cache = filepath.Join(os.TempDir(), "personaweave-test-cache")
	for name, value := range map[string]string{"WEAVE_CACHE": cache, "WEAVE_DATA": filepath.Join(cache, "nobody")} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"weave": main})
}

var cache string

// The whole program, as players, writers and scripts use it.
func TestScripts(t *testing.T) {
	t.Parallel()
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
