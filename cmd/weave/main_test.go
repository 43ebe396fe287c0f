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
	if filepath.Base(os.Args[0]) != "weave" { // the program that a test starts is told its own
		reader, err := filepath.Abs(tinyFile)
		if err != nil {
			panic(err)
		}
		for name, value := range map[string]string{"WEAVE_CACHE": cache, "WEAVE_DATA": filepath.Join(cache, "nobody"), "WEAVE_READER": reader} {
			if err := os.Setenv(name, value); err != nil {
				panic(err)
			}
		}
	}
	testscript.Main(m, map[string]func(){"weave": main})
}

var cache string

var tinyFile = filepath.Join("..", "..", "engine", "seq2seq", "testdata", "tiny.gguf")

// tiny is the path of a model that answers at once, though nothing sensible.
func tiny(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(tinyFile)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The whole program, as players, writers and scripts use it.
func TestScripts(t *testing.T) {
	t.Parallel()
	small := tiny(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("WEAVE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("WEAVE_CACHE", cache)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TINY", small)
			e.Setenv("WEAVE_READER", small)
			e.Setenv("TINY_ADAPTER", filepath.Join(filepath.Dir(small), "tiny-adapter.safetensors"))
			return nil
		},
	})
}
