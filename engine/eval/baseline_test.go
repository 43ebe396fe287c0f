package eval

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/corpus"
)

func exchanges() (out []corpus.Exchange) {
	for i := range 40 {
		out = append(out, corpus.Exchange{You: "how are you", Says: fmt.Sprintf("I'm well, thanks. And you? That is number%d.", i)},
			corpus.Exchange{You: "where is the key", Says: "The key is under the mat."})
	}
	return append(out, corpus.Exchange{You: "do you like cats", Says: "Cats are fine."})
}

func at(line string) Moment { return Moment{Said: []engine.Spoken{{Player: true, Text: line}}} }

// The probabilities of all that can come sum to 1, in words and in letters, after histories met and not met.
func TestNGramIsProper(t *testing.T) {
	t.Parallel()
	g := NewNGram(exchanges())
	for _, h := range [][]int{g.history("how are you"), g.history("never said"), g.history(""), append(g.history("where is the key")[2:], g.id(" The"), g.id(" key"))} {
		sum := 0.0
		for id := end; id < firstWord+len(g.ids); id++ {
			sum += g.words.prob(append(h[:gramOrder-1:gramOrder-1], id))
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("after %v all words sum to %v", h, sum)
		}
	}
	for _, word := range []string{"", "num", " number1"} {
		s := spelled(word)
		h := s[len(s)-gramOrder : len(s)-1]
		sum := 0.0
		for b := range letterEnd + 1 {
			sum += g.letters.prob(append(h[:gramOrder-1:gramOrder-1], b))
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("after %q all letters sum to %v", word, sum)
		}
	}
}

func TestNGram(t *testing.T) {
	t.Parallel()
	g := NewNGram(exchanges())
	l := g.Score(at("where is the key"), []string{"The key is under the mat.", "I'm well, thanks.", "The key is under the zither."})
	if l[0].Sum < -1 || l[0].Sum < l[1].Sum || l[0].Sum < l[2].Sum {
		t.Errorf("what always follows is not the likeliest: %v", l)
	}
	if l[0].Tokens != 8 { // six words, a mark, an end
		t.Errorf("%d pieces", l[0].Tokens)
	}
	if o := g.Score(at("how are you"), []string{"The key is under the mat."}); o[0].Sum >= l[0].Sum {
		t.Error("the player's line makes no difference")
	}
	if got := g.Score(Moment{}, []string{"Zwölf Boxkämpfer…"})[0].Sum; math.IsInf(got, 0) || math.IsNaN(got) || got > -20 {
		t.Errorf("unknown words cost %v", got)
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"I'm  well, thanks.": " I'm| well|,| thanks|.", "…no—yes": " …|no|—|yes", "": "", `"Hi!" he said`: ` "|Hi|!|"| he| said`} {
		if got := strings.Join(pieces(text), "|"); got != want {
			t.Errorf("pieces of %q: %q, want %q", text, got, want)
		}
	}
}

// By hand: "a" comes three times after pads, "b" once. The bigram history holds 4 with one word met once and one met more; with the
// discounts 0.5, 1, 1.5 of too little text, p(a | h) = (3 − 1.5 + 2·p(a)) / 4, and p(a) = (1 − 0.5 + 1·1/3) / 2 by continuation.
func TestGramsByHand(t *testing.T) {
	t.Parallel()
	g := newGrams(3)
	for _, last := range []int{7, 7, 7, 8} {
		g.count([]int{0, 0, 0, 0, last})
	}
	lower := (1 - 0.5 + 1.0/3) / 2
	for range 3 { // each longer history met each word once
		lower = (1 - 0.5 + 1*lower) / 2
	}
	want := (3 - 1.5 + 2*lower) / 4
	if got := g.prob([]int{0, 0, 0, 0, 7}); math.Abs(got-want) > 1e-12 {
		t.Errorf("p = %v, want %v", got, want)
	}
}

func TestTFIDF(t *testing.T) {
	t.Parallel()
	x := NewTFIDF(exchanges())
	if got, err := x.Say(context.Background(), at("And where's the key?"), nil); err != nil || got != "The key is under the mat." {
		t.Errorf("%q, %v", got, err)
	}
	m := at("do you like cats")
	m.Blend = []Share{{"a keeper of dogs", 1}}
	scores := x.Rank(m, []string{"Cats are fine.", "My dogs are fine.", "Nothing at all"})
	if !(scores[0] > scores[1] && scores[1] > scores[2] && scores[2] == 0) {
		t.Errorf("ranks %v", scores)
	}
	// Of itself a text has cosine 1.
	if got := cosine(x.bag("the key"), x.bag("Key, the")); math.Abs(got-1) > 1e-12 {
		t.Errorf("cosine %v", got)
	}
	if got, _ := NewTFIDF(nil).Say(context.Background(), Moment{}, nil); got != "" {
		t.Errorf("nothing learned, yet %q", got)
	}
}

func TestExchangesLeaveOutWhatIsMeasured(t *testing.T) {
	t.Parallel()
	all := grids(3, 4)
	got := Exchanges(all, all[1:2])
	if len(got) != 8 {
		t.Fatalf("%d exchanges", len(got))
	}
	for _, x := range got {
		if strings.HasPrefix(x.Says, "who1 ") {
			t.Errorf("learned %q", x.Says)
		}
	}
	talk := corpus.Record{B: []string{"x"}, Turns: []corpus.Turn{{Who: "b", Text: "First."}, {Who: "a", Text: "line"}, {Who: "b", Text: "Second."}}}
	if got := Exchanges([]corpus.Record{talk}, nil); len(got) != 2 || got[0].You != "" || got[1] != (corpus.Exchange{You: "line", Says: "Second."}) {
		t.Errorf("%+v", got)
	}
}

// Rivals are measured on the same replies with what they can do; the null persona knows nobody.
func TestBaselines(t *testing.T) {
	t.Parallel()
	m := oracle{perWord: 0.01}
	records := grids(12, 4)
	learn := Exchanges(records, nil)
	r, err := Run(context.Background(), m, records, Options{Seed: 1, Ranked: 48, Baselines: []Baseline{{"null", Null{m}}, {"ngram", NewNGram(learn)}, {"tfidf", NewTFIDF(learn)}}})
	if err != nil {
		t.Fatal(err)
	}
	null, ngram, tfidf := r.Baselines["null"], r.Baselines["ngram"], r.Baselines["tfidf"]
	if math.Abs(null.NLL.Value-r.NLLNull.Value) > 1e-12 || null.Hits.Value != r.Hits.Value || null.F1 == nil || null.PersonaLM != nil || null.Persona != nil {
		t.Errorf("null: %+v", null)
	}
	if ngram.PPL.N != 48 || ngram.PPL.Value > 20 || ngram.HitsLM == nil || ngram.F1 != nil || ngram.Hits != nil {
		t.Errorf("ngram: %+v", ngram)
	}
	if tfidf.F1.Value < 0.95 || /* "line 1 of 2" has the words of "line 2 of 1" */ tfidf.Hits.Value != 1 || tfidf.PPL != nil {
		t.Errorf("tfidf: %+v", tfidf)
	}
	var out strings.Builder
	if err := r.Text(&out); err != nil || !strings.Contains(out.String(), "\nngram\nperplexity per word") {
		t.Error(out.String(), err)
	}
}
