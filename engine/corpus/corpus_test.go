package corpus_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine/corpus"
)

const dialogues = "../../stories/dialogues"

func TestOurDialoguesReadAndTheSplitHoldsWhatItNames(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(dialogues, "split.json"))
	if err != nil {
		t.Fatal(err)
	}
	split, err := corpus.ParseSplit(data)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dialogues, "*.jsonl.gz"))
	if len(files) < 13 {
		t.Fatalf("only %d files", len(files))
	}
	kinds := map[corpus.Kind]int{}
	ladders, held, all := 0, 0, 0
	for _, f := range files {
		recs, err := corpus.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			r := &recs[i]
			kinds[r.Kind()]++
			all++
			if split.Holds(r) {
				held++
				if r.Kind() == corpus.Ladder {
					ladders++
				}
			}
		}
	}
	if kinds[corpus.Ladder] != 110 || ladders != 13 {
		t.Errorf("%d ladders, %d held out; want 110 and 13", kinds[corpus.Ladder], ladders)
	}
	if share := float64(held) / float64(all); share < 0.08 || share > 0.13 {
		t.Errorf("%d of %d held out, want about one in ten", held, all)
	}
}

func TestBadRecordsNameFileAndLine(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{"source":"x"}`, `{"source":"x","turns":[{"who":"c","text":"y"}]}`, `{"nope":1}`, `[`, `{"source":"x","lines":[{"you":"a","replies":[{"w":2,"text":"b"}]}]}`,
		`{"source":"x","turns":[{"who":"b","text":"y","blend":{"p":1}}]}`} {
		_, err := corpus.Read(strings.NewReader("\n"+bad+"\n"), "f.jsonl")
		if err == nil || !strings.Contains(err.Error(), "f.jsonl:2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"source":"x","persona_b":["a"],"turns":[{"who":"b","text":"y"}]}`))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		recs, err := corpus.Read(strings.NewReader(string(data)), "f")
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("an error of several lines: %q", err)
		}
		for i := range recs {
			_, _ = recs[i].Kind(), recs[i].Description()
		}
	})
}
