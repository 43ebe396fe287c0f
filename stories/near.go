package stories

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/personaweave/personaweave/engine"
)

// near returns up to three of the names that look like word, nearest first.
func near(word string, names []string) []string {
	type match struct {
		name string
		far  int
	}
	var found []match
	word = strings.ToLower(word)
	for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
		low := strings.ToLower(n)
		far := engine.EditDistance(word, low)
		if len(word) >= 3 && strings.Contains(low, word) {
			far = min(far, 1)
		}
		if far <= max(1, min(len(word), len(low))/3) && word != "" {
			found = append(found, match{n, far})
		}
	}
	slices.SortFunc(found, func(a, b match) int { return cmp.Or(cmp.Compare(a.far, b.far), strings.Compare(a.name, b.name)) })
	var out []string
	for _, m := range found[:min(3, len(found))] {
		out = append(out, m.name)
	}
	return out
}

// among is the hint for a name that is not among names: the near matches, or all of them when they are few.
func among(word string, names []string, none string) string {
	if n := near(word, names); len(n) > 0 {
		return "did you mean " + either(n) + "?"
	}
	if len(names) == 0 {
		return none
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) > 12 {
		return fmt.Sprintf("there are %d, among them %s", len(names), strings.Join(names[:8], ", "))
	}
	return "there is " + strings.Join(names, ", ")
}

// either joins names as "a, b or c".
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// missing is the Error for a name that is not there.
func missing(what, id string, names []string, list string) error {
	hint := list + " names them all"
	if n := near(id, names); len(n) > 0 {
		hint = "did you mean " + either(n) + "? " + hint
	}
	return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there is no %s %q", what, engine.Printable(id)), Hint: hint}
}
