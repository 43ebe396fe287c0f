package stories

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	exprfile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
	"github.com/personaweave/personaweave/engine"
)

// names is what the conditions of one story may speak of.
type names struct {
	intents  []string
	goals    []string
	flags    map[string]any // zero value of each flag that some beat sets: false, 0.0 or ""
	cast     []string
	personas []string
	skills   []string
}

// condition is a compiled rule.
type condition struct {
	text    string
	program *vm.Program
	names   *names
}

// String returns the rule as it was written.
func (c *condition) String() string { return c.text }

// Holds evaluates the rule. What the facts do not say yet is false, 0 or empty; a goal not measured yet is at distance 1,
// and a speaker not met yet speaks in its own voice alone.
func (c *condition) Holds(f engine.Facts) (bool, error) {
	out, err := vm.Run(c.program, c.names.env(f, c.text))
	if err != nil {
		return false, &engine.Error{Code: engine.Internal, Message: fmt.Sprintf("the rule %q cannot be worked out", c.text),
			Hint: "weave story check reads its story again", Err: plain(err)}
	}
	b, ok := out.(bool)
	if !ok {
		return false, &engine.Error{Code: engine.Internal, Message: fmt.Sprintf("the rule %q is neither true nor false", c.text),
			Hint: "weave story check reads its story again"}
	}
	return b, nil
}

// env are the facts as the expression sees them, as far as its text can speak of them.
func (n *names) env(f engine.Facts, text string) map[string]any {
	said, flag, goal, mood, blend := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	speaks := func(root string) bool { return strings.Contains(text, root) }
	if speaks("said") {
		for _, id := range n.intents {
			said[id] = f.Said[id]
		}
	}
	if speaks("flag") {
		for id, zero := range n.flags {
			flag[id] = like(zero, f.Flag[id])
		}
	}
	for _, id := range n.goals {
		d, ok := f.Goal[id]
		if !ok {
			d = 1
		}
		goal[id] = d
	}
	mood["you"] = f.Mood["you"]
	for _, who := range n.cast {
		mood[who] = f.Mood[who]
		if !speaks("blend") {
			continue
		}
		b := f.Blend[who]
		if len(b) == 0 {
			b = engine.Pure(who)
		}
		weights := map[string]any{}
		for _, p := range n.personas {
			weights[p] = b[p]
		}
		blend[who] = weights
	}
	line := map[string]any{"words": f.Line.Words, "capitals": f.Line.Capitals, "questions": f.Line.Questions, "exclaims": f.Line.Exclaims}
	l := f.Lesson
	if l == nil {
		l = &engine.Lesson{}
	}
	missed := 0
	for _, m := range l.Marks {
		if m.Missed {
			missed++
		}
	}
	lesson := map[string]any{"done": l.Over, "streak": l.Streak(), "missed": missed, "asked": len(l.Marks), "pace": string(l.Pace)}
	mastery := map[string]any{}
	for _, id := range n.skills {
		mastery[id] = l.Mastery[id]
	}
	return map[string]any{"turn": f.Turn, "visits": f.Visits, "said": said, "flag": flag, "goal": goal, "mood": mood, "blend": blend,
		"line": line, "lesson": lesson, "mastery": mastery}
}

// like returns v when it is of zero's type, else zero.
func like(zero, v any) any {
	switch zero.(type) {
	case float64:
		switch x := v.(type) {
		case float64:
			return x
		case int:
			return float64(x)
		}
	case bool:
		if x, ok := v.(bool); ok {
			return x
		}
	case string:
		if x, ok := v.(string); ok {
			return x
		}
	}
	return zero
}

// env types for the checker.
func (n *names) types() types.Map {
	said, flag, goal, mood, blend := types.Map{}, types.Map{}, types.Map{}, types.Map{"you": types.String}, types.Map{}
	for _, id := range n.intents {
		said[id] = types.Bool
	}
	for id, zero := range n.flags {
		flag[id] = types.TypeOf(zero)
	}
	for _, id := range n.goals {
		goal[id] = types.Float64
	}
	weights := types.Map{}
	for _, p := range n.personas {
		weights[p] = types.Float64
	}
	for _, who := range n.cast {
		mood[who] = types.String
		blend[who] = weights
	}
	mastery := types.Map{}
	for _, id := range n.skills {
		mastery[id] = types.Float64
	}
	line := types.Map{"words": types.Int, "capitals": types.Float64, "questions": types.Int, "exclaims": types.Int}
	lesson := types.Map{"done": types.Bool, "streak": types.Int, "missed": types.Int, "asked": types.Int, "pace": types.String}
	return types.Map{"turn": types.Int, "visits": types.Int, "said": said, "flag": flag, "goal": goal, "mood": mood, "blend": blend,
		"line": line, "lesson": lesson, "mastery": mastery}
}

// maxRule bounds a rule, in bytes; maxNodes in parts.
const (
	maxRule  = 1000
	maxNodes = 200
)

// compile makes a condition of a rule; problems are noted at v.
func (n *names) compile(v value, rule string) engine.Condition {
	if rule == "" {
		return nil // noted already
	}
	if len(rule) > maxRule {
		v.fail("split it over two beats with a flag between them", "this rule is longer than %d letters", maxRule)
		return nil
	}
	options := []expr.Option{expr.Env(n.types()), expr.AsBool(), expr.DisableAllBuiltins(), expr.MaxNodes(maxNodes)}
	tree, err := parser.Parse(rule)
	if err == nil {
		w := walker{n: n, v: v}
		ast.Walk(&tree.Node, &w)
		if w.failed {
			return nil
		}
		var program *vm.Program
		if program, err = expr.Compile(rule, options...); err == nil {
			return &condition{rule, program, n}
		}
	}
	hint := `write for example: said.greeting && flag.trust > 1 and not flag.door`
	if strings.Contains(plain(err).Error(), "mismatched types bool and") || strings.Contains(plain(err).Error(), "and bool)") {
		hint = "a flag set to true is asked for as flag.door, a number as flag.trust > 0"
	}
	v.fail(hint, "the rule %q does not work: %v", rule, plain(err))
	return nil
}

// plain is an expression's error without its picture of the source.
func plain(err error) error {
	var fe *exprfile.Error
	if errors.As(err, &fe) {
		return errors.New(fe.Message)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}

// walker checks the names in a rule, so that a mistake is told in the author's words.
type walker struct {
	n      *names
	v      value
	failed bool
}

func (w *walker) fail(hint, format string, args ...any) {
	w.failed = true
	w.v.fail(hint, format, args...)
}

// roots are what a rule may begin a name with.
var roots = []string{"turn", "visits", "said", "flag", "goal", "mood", "blend", "line", "lesson", "mastery"}

// Visit checks one part of a rule.
func (w *walker) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if !slices.Contains(roots, n.Value) {
			hint := "a rule speaks of turn, visits, said.INTENT, flag.ID, goal.ID, mood.WHO, blend.WHO.PERSONA, line.COUNT, lesson.FACT and mastery.SKILL"
			for _, c := range []struct {
				root string
				ids  []string
			}{{"said", w.n.intents}, {"flag", slices.Collect(maps.Keys(w.n.flags))}, {"goal", w.n.goals}} {
				if slices.Contains(c.ids, n.Value) {
					hint = fmt.Sprintf("did you mean %s.%s?", c.root, n.Value)
				}
			}
			w.fail(hint, "a rule knows no %q", n.Value)
		}
	case *ast.MemberNode:
		w.member(n)
	}
}

func (w *walker) member(n *ast.MemberNode) {
	key, constant := n.Property.(*ast.StringNode)
	path := []string{}
	for at := n.Node; ; {
		switch up := at.(type) {
		case *ast.IdentifierNode:
			path = append(path, up.Value)
		case *ast.ChainNode:
			at = up.Node
			continue
		case *ast.MemberNode:
			if s, ok := up.Property.(*ast.StringNode); ok {
				path = append(path, s.Value)
			}
			at = up.Node
			continue
		default:
			w.fail("write for example flag.door", "a rule can only look into %s", strings.Join(roots[2:], ", "))
			return
		}
		break
	}
	slices.Reverse(path)
	if !constant {
		w.fail(fmt.Sprintf("write for example %s.name", strings.Join(path, ".")), "%s needs a name after its dot", strings.Join(path, "."))
		return
	}
	id, all, what := key.Value, []string(nil), ""
	switch {
	case len(path) == 2 && path[0] == "blend":
		all, what = w.n.personas, "persona"
	case len(path) > 1:
		w.fail("name one thing, as in flag.door", "%s holds nothing more", strings.Join(path, "."))
		return
	case path[0] == "said":
		all, what = w.n.intents, "intent"
	case path[0] == "flag":
		all, what = slices.Collect(maps.Keys(w.n.flags)), "flag"
	case path[0] == "goal":
		all, what = w.n.goals, "goal"
	case path[0] == "mood":
		all, what = append([]string{"you"}, w.n.cast...), "speaker"
	case path[0] == "blend":
		all, what = w.n.cast, "speaker"
	case path[0] == "line":
		all, what = []string{"words", "capitals", "questions", "exclaims"}, "count"
	case path[0] == "lesson":
		all, what = []string{"done", "streak", "missed", "asked", "pace"}, "fact"
	case path[0] == "mastery":
		all, what = w.n.skills, "skill"
	default:
		return // an unknown root is told by itself
	}
	if slices.Contains(all, id) {
		return
	}
	none := map[string]string{"intent": "write it under intents, with lines it is like", "flag": "some beat has to set it",
		"goal": "write it under the goals of a scene", "skill": "write it under skills"}[what]
	if what == "flag" {
		w.fail(among(id, all, none), "no beat of the story sets the flag %q", id)
		return
	}
	w.fail(among(id, all, none), "there is no %s %q in this story", what, id)
}
