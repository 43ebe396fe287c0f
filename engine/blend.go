package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Blend is a mixture: one non-negative weight per persona id, summing to 1.
type Blend map[string]float64

// Pure is the blend of one persona alone.
func Pure(id string) Blend { return Blend{id: 1} }

// Normal returns the blend scaled to sum 1, without zero weights. It fails on a negative, infinite or missing weight.
func (b Blend) Normal() (Blend, error) {
	sum := 0.0
	for id, w := range b {
		if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, &Error{Code: Invalid, Message: fmt.Sprintf("weight %v of %q is not a share", w, id), Hint: "give weights of 0 or more"}
		}
		sum += w
	}
	if sum <= 0 {
		return nil, &Error{Code: Invalid, Message: "a blend needs one weight above 0", Hint: `write for example "librarian=0.7,captain=0.3"`}
	}
	out := Blend{}
	for id, w := range b {
		if w > 0 {
			out[id] = w / sum
		}
	}
	return out, nil
}

// Toward moves b toward target so that no weight changes by more than step, and returns the new blend. Both must be normal.
func (b Blend) Toward(target Blend, step float64) Blend {
	most := 0.0
	for id := range union(b, target) {
		most = max(most, math.Abs(target[id]-b[id]))
	}
	if most <= step {
		return maps.Clone(target)
	}
	out := Blend{}
	for id := range union(b, target) {
		if w := b[id] + (target[id]-b[id])*step/most; w > 1e-9 {
			out[id] = w
		}
	}
	return out
}

// Set gives one persona the weight w in [0, 1] and scales the others to fill the rest.
func (b Blend) Set(id string, w float64) Blend {
	w = min(1, max(0, w))
	rest := 0.0
	for other, v := range b {
		if other != id {
			rest += v
		}
	}
	out := Blend{}
	if w > 0 || rest == 0 {
		out[id] = w
	}
	for other, v := range b {
		if other != id && w < 1 {
			out[other] = v * (1 - w) / rest
		}
	}
	if rest == 0 {
		out[id] = 1
	}
	return out
}

// Equal reports whether two blends agree to within 1e-6 in every weight.
func (b Blend) Equal(o Blend) bool {
	for id := range union(b, o) {
		if math.Abs(b[id]-o[id]) > 1e-6 {
			return false
		}
	}
	return true
}

// IDs lists the personas by weight, heaviest first, then by id.
func (b Blend) IDs() []string {
	ids := slices.Collect(maps.Keys(b))
	slices.SortFunc(ids, func(x, y string) int {
		switch {
		case b[x] > b[y]:
			return -1
		case b[x] < b[y]:
			return 1
		}
		return strings.Compare(x, y)
	})
	return ids
}

// String writes the blend as "librarian=0.70,captain=0.30".
func (b Blend) String() string {
	var parts []string
	for _, id := range b.IDs() {
		parts = append(parts, fmt.Sprintf("%s=%.2f", id, b[id]))
	}
	return strings.Join(parts, ",")
}

// ParseBlend reads "p=0.7,q=0.3" and normalises it.
func ParseBlend(s string) (Blend, error) {
	b := Blend{}
	for part := range strings.SplitSeq(s, ",") {
		id, weight, ok := strings.Cut(strings.TrimSpace(part), "=")
		id = strings.TrimSpace(id)
		w, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		if !ok || id == "" || err != nil {
			return nil, &Error{Code: Invalid, Message: fmt.Sprintf("cannot read the blend %q", s), Hint: `write for example "librarian=0.7,captain=0.3"`}
		}
		if _, twice := b[id]; twice {
			return nil, &Error{Code: Invalid, Message: fmt.Sprintf("the blend %q names %s twice", s, id), Hint: "name each persona once"}
		}
		b[id] = w
	}
	return b.Normal()
}

func union(a, b Blend) map[string]struct{} {
	out := make(map[string]struct{}, len(a)+len(b))
	for id := range a {
		out[id] = struct{}{}
	}
	for id := range b {
		out[id] = struct{}{}
	}
	return out
}
