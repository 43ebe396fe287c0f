package eval

import (
	"fmt"
	"testing"
)

// Three speakers who share most words: told apart by what they say of their own.
func speakers(n int) (out []Line) {
	own := map[string][]string{"sailor": {"the tide turns", "aye to the deck", "salt on the rope"}, "baker": {"the dough rises", "flour on the board", "warm from the oven"},
		"judge": {"the court rises", "order in the room", "so says the law"}}
	for i := range n {
		for _, who := range []string{"baker", "judge", "sailor"} {
			out = append(out, Line{who, fmt.Sprintf("Well, number %d, %s, you see.", i, own[who][i%3])})
		}
	}
	return out
}

func TestJudge(t *testing.T) {
	t.Parallel()
	lines := speakers(30)
	j := NewJudge(lines, []string{"nothing of these"})
	for text, who := range map[string]string{"There is salt on my rope!": "sailor", "Flour, and more dough…": "baker", "The law says so.": "judge"} {
		if got := j.Likeliest(text); got != who {
			t.Errorf("%q is the %s's, they say; want %s", text, got, who)
		}
	}
	again := NewJudge(lines, nil)
	for i := range j.weights {
		if j.weights[i] != again.weights[i] {
			t.Fatal("the same lines made another judge")
		}
	}
}

// What is judged is not learned from, however it is punctuated: here that is all that there is to know.
func TestJudgeForgetsWhatItJudges(t *testing.T) {
	t.Parallel()
	lines := append(speakers(3), Line{"baker", "Zanzibar — that’s it!"})
	if got := NewJudge(lines, nil).Likeliest("Zanzibar"); got != "baker" {
		t.Fatalf("the judge did not learn: %q", got)
	}
	j, f := NewJudge(lines, []string{"zanzibar, that's it"}), int(features("zanzibar")[0])
	if w := j.weights[3*f : 3*f+3]; w[0] != 0 || w[1] != 0 || w[2] != 0 {
		t.Errorf("the judge learned from what it judges: %v", w)
	}
	if got := NewJudge(nil, nil).Likeliest("anything"); got != "" {
		t.Errorf("a judge that learned nothing names %q", got)
	}
}
