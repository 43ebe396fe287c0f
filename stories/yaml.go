package stories

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/personaweave/personaweave/engine"
)

// Bounds of a file we are willing to read.
const (
	maxFile = 1 << 20 // bytes
	maxDeep = 64      // nesting of brackets, and of entries on one line
)

// file is a YAML file being read. It collects what is wrong with it.
type file struct {
	name     string
	problems []problem
}

type problem struct {
	line int
	err  *engine.Error
}

// value is a node of a file.
type value struct {
	f    *file
	n    ast.Node
	line int
}

// fields are the entries of a mapping whose keys have been checked.
type fields struct {
	value
	what string
	keys map[string]value
}

// fail notes a problem at a line.
func (f *file) fail(line int, hint, format string, args ...any) {
	f.problems = append(f.problems, problem{line, &engine.Error{Code: engine.Invalid, Hint: hint,
		Message: fmt.Sprintf("%s:%d: %s", f.name, line, engine.Printable(fmt.Sprintf(format, args...)))}})
}

func (v value) fail(hint, format string, args ...any) { v.f.fail(v.line, hint, format, args...) }

// err returns the first problem by line, or nil.
func (f *file) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	return f.sorted()[0].err
}

// errs joins every problem, by line; one alone stays itself.
func (f *file) errs() error {
	if len(f.problems) < 2 {
		return f.err()
	}
	var all []error
	for _, p := range f.sorted() {
		all = append(all, p.err)
	}
	return errors.Join(all...)
}

func (f *file) sorted() []problem {
	slices.SortStableFunc(f.problems, func(a, b problem) int { return a.line - b.line })
	return f.problems
}

// open reads and parses the file at path of a folder.
func (f *file) open(folder fs.FS, path string) value {
	if info, err := fs.Stat(folder, path); err == nil && info.Size() > maxFile {
		f.fail(1, "split the file", "the file has %d bytes; at most %d can be read", info.Size(), maxFile)
		return value{f: f, line: 1}
	}
	data, err := fs.ReadFile(folder, path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		f.fail(1, "look at its permissions", "the file cannot be read: %v", err)
		return value{f: f, line: 1}
	}
	return f.parse(data)
}

// peek returns the plain text under a top-level key, without judging anything.
func (v value) peek(key string) string {
	c, _ := v.entry(key)
	if s, ok := c.n.(*ast.StringNode); ok {
		return strings.TrimSpace(s.Value)
	}
	return ""
}

func (v value) peekLine(key string) int {
	c, _ := v.entry(key)
	return c.line
}

// entry returns the value under a key of a mapping.
func (v value) entry(key string) (value, bool) {
	if m, ok := v.n.(*ast.MappingNode); ok {
		for _, p := range m.Values {
			if k, _ := v.child(p.Key).key(); k == key {
				return v.child(p.Value), true
			}
		}
	}
	return value{f: v.f, line: v.line}, false
}

// parse reads YAML into its one document. Without a document the returned value is empty and a problem is noted.
func (f *file) parse(data []byte) (root value) {
	defer func() { // the parser reads bytes that anybody wrote
		if r := recover(); r != nil {
			f.fail(1, "look for odd punctuation, or begin again from a fresh file", "this is not YAML that can be read")
			root = value{f: f, line: 1}
		}
	}()
	root = value{f: f, line: 1}
	if len(data) > maxFile {
		f.fail(1, "split the file", "the file has %d bytes; at most %d can be read", len(data), maxFile)
		return root
	}
	if line := tooDeep(data); line > 0 {
		f.fail(line, "close what is open before going deeper", "this is nested too deeply")
		return root
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		line, what := 1, err.Error()
		var ye yaml.Error
		if errors.As(err, &ye) {
			what = ye.GetMessage()
			if t := ye.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		what, _, _ = strings.Cut(what, "\n")
		f.fail(line, "texts with a colon, a hash or quotes are safest in double quotes", "not YAML: %s", what)
		return root
	}
	docs := slices.DeleteFunc(tree.Docs, func(d *ast.DocumentNode) bool {
		return d.Body == nil || d.Body.Type() == ast.CommentType || d.Body.Type() == ast.DirectiveType
	})
	switch len(docs) {
	case 0:
		f.fail(1, "weave persona new and weave story new write one to begin with", "the file is empty")
	case 1:
		root = root.child(docs[0].Body)
	default:
		f.fail(lineOf(docs[1].Body, 1), "put each document into a file of its own", "a second document begins here")
	}
	return root
}

// tooDeep returns the first line nested beyond maxDeep, or 0. It counts brackets wherever they stand.
func tooDeep(data []byte) int {
	deep, line := 0, 0
	for text := range bytes.Lines(data) {
		line++
		entries := 0
		for i, c := range text {
			switch {
			case c == '[' || c == '{':
				deep++
			case (c == ']' || c == '}') && deep > 0:
				deep--
			case (c == '-' || c == '?' || c == ':') && i+1 < len(text) && text[i+1] == ' ' && entries >= 0:
				entries++
			case c != ' ':
				entries = -1 << 30
			}
			if deep > maxDeep || entries > maxDeep {
				return line
			}
		}
	}
	return 0
}

func lineOf(n ast.Node, or int) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return lineOf(n.Values[0], or)
		}
	case *ast.MappingValueNode:
		return lineOf(n.Key, or)
	}
	if n == nil {
		return or
	}
	if t := n.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
		return t.Position.Line
	}
	return or
}

func (v value) child(n ast.Node) value { return value{v.f, n, lineOf(n, v.line)} }

// pairs returns the entries of a mapping, in order; what names it in problems.
func (v value) pairs(what string) (keys []string, values []value) {
	var list []*ast.MappingValueNode
	switch n := v.n.(type) {
	case *ast.MappingNode:
		list = n.Values
	case *ast.MappingValueNode:
		list = []*ast.MappingValueNode{n}
	default:
		v.fail("write `key: value` lines, indented alike", "%s is %s, and must be a list of keys and values", what, kind(v.n))
		return nil, nil
	}
	for _, p := range list {
		k := value{v.f, p.Key, lineOf(p.Key, v.line)}
		name, ok := k.key()
		if !ok {
			k.fail("keys are plain words", "%s has a key that is %s", what, kind(p.Key))
			continue
		}
		if slices.Contains(keys, name) {
			k.fail("keep one of the two", "%s has %q twice", what, name)
			continue
		}
		keys = append(keys, name)
		c := value{v.f, p.Value, k.line}
		if l := lineOf(p.Value, k.line); l > k.line {
			if _, null := p.Value.(*ast.NullNode); !null {
				c.line = l
			}
		}
		values = append(values, c)
	}
	return keys, values
}

func (v value) key() (string, bool) {
	switch n := v.n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// mapping returns the entries of a mapping that may have these keys and no others.
func (v value) mapping(what string, allowed ...string) fields {
	m := fields{v, what, map[string]value{}}
	keys, values := v.pairs(what)
	for i, k := range keys {
		if !slices.Contains(allowed, k) {
			hint := "it may have: " + strings.Join(allowed, ", ")
			if n := near(k, allowed); len(n) > 0 {
				hint = fmt.Sprintf("did you mean %s?", n[0])
			}
			values[i].f.fail(lineOfKey(v, i), hint, "%s has no key %q", what, k)
			continue
		}
		if _, null := values[i].n.(*ast.NullNode); null {
			values[i].fail("write its value, or leave the key out", "%q is empty", k)
			continue
		}
		m.keys[k] = values[i]
	}
	return m
}

// lineOfKey is the line of a mapping's i-th key.
func lineOfKey(v value, i int) int {
	switch n := v.n.(type) {
	case *ast.MappingNode:
		return lineOf(n.Values[i].Key, v.line)
	case *ast.MappingValueNode:
		return lineOf(n.Key, v.line)
	}
	return v.line
}

func (m fields) has(key string) bool { _, ok := m.keys[key]; return ok }

// need returns the value of a key that must be there.
func (m fields) need(key string) (value, bool) {
	v, ok := m.keys[key]
	if _, noted := m.entry(key); !ok && !noted {
		m.fail(fmt.Sprintf("add a line `%s: …`", key), "%s has no %s", m.what, key)
	}
	return v, ok
}

// text is the value of a key that must hold words.
func (m fields) text(key string) string {
	v, ok := m.need(key)
	if !ok {
		return ""
	}
	return v.text(fmt.Sprintf("%q", key))
}

// maybe is the text of a key that may be missing.
func (m fields) maybe(key string) string {
	if !m.has(key) {
		return ""
	}
	return m.text(key)
}

// yes is the value of a yes-or-no key that may be missing.
func (m fields) yes(key string) bool {
	v, ok := m.keys[key]
	if !ok {
		return false
	}
	b, isBool := v.n.(*ast.BoolNode)
	if !isBool {
		v.fail("write true or false", "%q is %s, and must be true or false", key, kind(v.n))
		return false
	}
	return b.Value
}

// list returns the entries of a key's list; none when the key is missing.
func (m fields) list(key string) []value {
	v, ok := m.keys[key]
	if !ok {
		return nil
	}
	return v.list(fmt.Sprintf("%q", key))
}

// texts is a list of texts.
func (m fields) texts(key string) []string {
	var out []string
	for _, v := range m.list(key) {
		out = append(out, v.text(fmt.Sprintf("an entry of %q", key)))
	}
	return out
}

// id is the identifier under a key that must be there; pattern says what it may look like.
func (m fields) id(key string, pattern *regexp.Regexp) string {
	v, ok := m.need(key)
	if !ok {
		return ""
	}
	id := v.text(fmt.Sprintf("%q", key))
	if id != "" && !v.goodID(id, pattern) {
		return ""
	}
	return id
}

var (
	fileID = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`) // of personas, stories, scenes, endings
	ruleID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)  // of what conditions name: intents, flags, goals
)

func (v value) goodID(id string, pattern *regexp.Regexp) bool {
	if pattern.MatchString(id) {
		return true
	}
	marks := "digits, - and _"
	if pattern == ruleID {
		marks = "digits and _"
	}
	v.fail(fmt.Sprintf("use small letters a to z, %s, a letter first, at most 64", marks), "%q cannot be an id", id)
	return false
}

func (v value) list(what string) []value {
	n, ok := v.n.(*ast.SequenceNode)
	if !ok {
		v.fail("begin each entry with `- `", "%s is %s, and must be a list", what, kind(v.n))
		return nil
	}
	var out []value
	for _, c := range n.Values {
		out = append(out, v.child(c))
	}
	return out
}

// text returns a text that is not empty and can be drawn; the empty text after a problem.
func (v value) text(what string) string {
	var s string
	switch n := v.n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		s = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		v.fail("put it in double quotes", "%s is %s, and must be text", what, kind(v.n))
		return ""
	default:
		v.fail("write one text here", "%s is %s, and must be text", what, kind(v.n))
		return ""
	}
	s = strings.TrimSpace(s)
	if s == "" {
		v.fail("write a few words, or leave the line out", "%s is empty", what)
		return ""
	}
	if plain := strings.ReplaceAll(s, "\n", " "); engine.Printable(plain) != plain {
		v.fail("delete and retype the line", "%s holds characters that cannot be drawn", what)
		return ""
	}
	return s
}

// number returns a number.
func (v value) number(what string) (float64, bool) {
	var x float64
	switch n := v.n.(type) {
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			x = float64(i)
		case uint64:
			x = float64(i)
		}
	case *ast.FloatNode:
		x = n.Value
	default:
		v.fail("write a number such as 0.5", "%s is %s, and must be a number", what, kind(v.n))
		return 0, false
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		v.fail("write a number such as 0.5", "%s is not a finite number", what)
		return 0, false
	}
	return x, true
}

// kind says in words what a node is.
func kind(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a list of keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or an alias (which are not used here)"
	case *ast.TagNode:
		return "a tag (which is not used here)"
	}
	return "something else"
}
