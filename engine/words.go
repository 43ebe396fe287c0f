package engine

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// EditDistance is the number of letters to insert, delete or change to make b of a, and of neighbours to swap
// (the restricted Damerau–Levenshtein distance).
func EditDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	before, above, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range above {
		above[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			d := 1
			if x[i] == y[j] {
				d = 0
			}
			row[j+1] = min(row[j]+1, above[j+1]+1, above[j]+d)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(y)]
}

// number words: units, and what follows them to make a fraction.
var (
	units = map[string]int64{"zero": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
		"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19}
	tens = map[string]int64{"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
	nths = map[string]int64{"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
		"eleventh": 11, "twelfth": 12, "fifteenth": 15, "sixteenth": 16, "twentieth": 20, "hundredth": 100}
	figures = regexp.MustCompile(`(\d+)\s*/\s*(\d+)|\d*\.\d+|\d+`)
	wordy   = regexp.MustCompile(`[a-z]+|\d+(?:\s*/\s*\d+|\.\d+)?|\.\d+|%`)
)

// Numbers reads the numbers of a line, in order: figures, fractions, mixed numbers, percents, and number words ("three
// quarters", "two and a half", "twenty-five").
func Numbers(line string) []*big.Rat {
	tokens := wordy.FindAllString(strings.ToLower(line), -1)
	var out []*big.Rat
	for i := 0; i < len(tokens); {
		v, n := number(tokens[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		for i < len(tokens) { // 1 1/2, one and a half
			k := i
			if tokens[k] == "and" {
				k++
			}
			part, m := number(tokens[min(k, len(tokens)):])
			if m == 0 || !v.IsInt() || part.IsInt() || part.Sign() <= 0 || part.Cmp(big.NewRat(1, 1)) >= 0 {
				break
			}
			v.Add(v, part)
			i = k + m
		}
		if i < len(tokens) && (tokens[i] == "%" || tokens[i] == "percent") {
			v.Mul(v, big.NewRat(1, 100))
			i++
		}
		out = append(out, v)
	}
	return out
}

// number reads a number at the start of tokens and returns how many it took.
func number(tokens []string) (*big.Rat, int) {
	if len(tokens) == 0 {
		return nil, 0
	}
	if figures.MatchString(tokens[0]) {
		text := strings.Join(strings.Fields(tokens[0]), "")
		v, ok := new(big.Rat).SetString(text)
		if !ok || len(text) > 24 { // nobody answers with more
			return nil, 0
		}
		if v.IsInt() && len(tokens) > 1 {
			if d, ok := nth(tokens[1]); ok { // 3 quarters
				return v.Quo(v, new(big.Rat).SetInt64(d)), 2
			}
		}
		return v, 1
	}
	n, took := int64(-1), 0
	switch first := tokens[0]; {
	case first == "a" || first == "an":
		if len(tokens) > 1 {
			if d, ok := nth(tokens[1]); ok {
				return big.NewRat(1, d), 2
			}
		}
		return nil, 0
	case first == "half" || first == "quarter" || first == "third":
		return big.NewRat(1, nths[first]), 1
	default:
		if t, ok := tens[first]; ok {
			n, took = t, 1
			if len(tokens) > 1 {
				if u, ok := units[tokens[1]]; ok && u > 0 && u < 10 {
					n, took = t+u, 2
				}
			}
		} else if u, ok := units[first]; ok {
			n, took = u, 1
		}
	}
	if took == 0 {
		return nil, 0
	}
	if len(tokens) > took && tokens[took] == "hundred" {
		n, took = n*100, took+1
	}
	if len(tokens) > took {
		if tokens[took] == "over" && len(tokens) > took+1 { // three over four
			if d, m := number(tokens[took+1:]); m > 0 && d.Sign() > 0 {
				return d.Quo(new(big.Rat).SetInt64(n), d), took + 1 + m
			}
		}
		if d, ok := nth(tokens[took]); ok {
			return big.NewRat(n, d), took + 1
		}
	}
	return new(big.Rat).SetInt64(n), took
}

func nth(word string) (int64, bool) {
	d, ok := nths[strings.TrimSuffix(word, "s")]
	return d, ok
}

// numberIs reports whether a line answers with a number: it is the first or the last one said, and no other was offered.
func numberIs(line string, want *big.Rat) bool {
	all := Numbers(line)
	if len(all) == 0 || all[len(all)-1].Cmp(want) != 0 && all[0].Cmp(want) != 0 {
		return false
	}
	offered := slices.Contains(strings.Fields(strings.ToLower(line)), "or")
	return !offered || !slices.ContainsFunc(all, func(n *big.Rat) bool { return n.Cmp(want) != 0 })
}
