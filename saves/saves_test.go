package saves

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/personaweave/personaweave/engine"
)

// TestMain makes of this binary, when told to, the program that TestKilled kills.
func TestMain(m *testing.M) {
	if path := os.Getenv("WEAVE_TEST_CHILD"); path != "" {
		child(path)
		return
	}
	os.Exit(m.Run())
}

// child appends turns for ever and prints what is committed.
func child(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	ctx := context.Background()
	x, err := s.Create(ctx, "story", 1, []*engine.Node{node("opening")})
	for i := 0; err == nil; i++ {
		fmt.Println(x.ID, x.Head)
		x, err = s.Append(ctx, x.ID, x.Head, []*engine.Node{node(fmt.Sprint("line ", i)), node("reply")})
	}
	fmt.Println("error", err)
}

func open(t testing.TB, path string) *Saves {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(context.Background()); err != nil {
			t.Errorf("after the test: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func fresh(t testing.TB) *Saves {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "data", "weave.db"))
}

func node(text string) *engine.Node {
	return &engine.Node{Kind: engine.Player, Text: text, State: engine.State{Scene: "room", Strength: 1, Flags: map[string]any{"n": 2.0, "open": true}}, Created: time.UnixMicro(1700000000000001)}
}

func reply(text string) *engine.Node {
	n := node(text)
	n.Kind, n.Speaker = engine.Character, "wren"
	n.Reply = &engine.Reply{Candidates: []engine.Candidate{{Text: text, Source: engine.Generated, Rewards: engine.Rewards{Goal: 0.25, Length: -1}, Total: 1.5}, {Text: "other", Source: engine.Retrieved, Of: "wren"}},
		Blend: engine.Blend{"wren": 0.7, "hale": 0.3}, Strength: 1.5, Seed: 1<<64 - 1, Model: "m", Kernel: "k", Goal: -1}
	return n
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "data", "weave.db")
	s := open(t, path)
	opening, line, answer := node("opening"), node("who are you? 漢字 👋"), reply("Wren.")
	opening.Kind = engine.Narration
	x := must(s.Create(ctx, "library", 1<<63+5, []*engine.Node{opening}))(t)
	x = must(s.Append(ctx, x.ID, opening.ID, []*engine.Node{line, answer}))(t)
	if err := s.Rename(ctx, x.ID, "first"); err != nil {
		t.Fatal(err)
	}
	again := open(t, path) // another program
	y := must(again.Session(ctx, x.ID))(t)
	if y.Seed != 1<<63+5 || y.Head != answer.ID || y.Turns != 1 || y.Scene != "room" || y.Name != "first" || y.Branch != "main" {
		t.Fatalf("session %+v", y)
	}
	got := must(again.Path(ctx, x.ID, y.Head))(t)
	if d := cmp.Diff([]engine.Node{*opening, *line, *answer}, got); d != "" {
		t.Fatal(d)
	}
	if all := must(again.Sessions(ctx, ""))(t); len(all) != 1 || all[0].ID != x.ID {
		t.Fatalf("%+v", all)
	}
	if none := must(again.Sessions(ctx, "other"))(t); len(none) != 0 {
		t.Fatalf("%+v", none)
	}
	if err := again.Delete(ctx, x.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Session(ctx, x.ID); engine.CodeOf(err) != engine.NotFound {
		t.Fatal(err)
	}
	if _, err := again.Path(ctx, x.ID, y.Head); engine.CodeOf(err) != engine.NotFound {
		t.Fatal(err)
	}
}

func TestBranchesAndSwipes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	root, a, b := node("root"), reply("a"), reply("b")
	x := must(s.Create(ctx, "library", 1, []*engine.Node{root}))(t)
	must(s.Append(ctx, x.ID, root.ID, []*engine.Node{a}))(t)
	must(s.Append(ctx, x.ID, root.ID, []*engine.Node{b}))(t)
	kids := must(s.Children(ctx, x.ID, root.ID))(t)
	if len(kids) != 2 || kids[0].ID != a.ID || kids[1].ID != b.ID {
		t.Fatalf("%+v", kids)
	}
	if roots := must(s.Children(ctx, x.ID, 0))(t); len(roots) != 1 {
		t.Fatalf("%+v", roots)
	}
	if x = must(s.SetHead(ctx, x.ID, a.ID))(t); x.Head != a.ID {
		t.Fatal(x.Head)
	}
	x = must(s.Fork(ctx, x.ID, "lie", a.ID))(t)
	c := node("c")
	x = must(s.Append(ctx, x.ID, a.ID, []*engine.Node{c}))(t)
	if _, err := s.Fork(ctx, x.ID, "lie", a.ID); engine.CodeOf(err) != engine.Invalid {
		t.Fatal(err)
	}
	if x = must(s.Switch(ctx, x.ID, "main"))(t); x.Head != a.ID || x.Branch != "main" {
		t.Fatalf("%+v", x)
	}
	if _, err := s.Switch(ctx, x.ID, "truth"); engine.CodeOf(err) != engine.NotFound {
		t.Fatal(err)
	}
	if got, want := must(s.Branches(ctx, x.ID))(t), []engine.Branch{{Name: "lie", Head: c.ID}, {Name: "main", Head: a.ID}}; !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	if _, err := s.Append(ctx, x.ID, 999, []*engine.Node{node("lost")}); engine.CodeOf(err) != engine.NotFound {
		t.Fatal(err)
	}
	if _, err := s.Append(ctx, 999, a.ID, []*engine.Node{node("lost")}); engine.CodeOf(err) != engine.NotFound {
		t.Fatal(err)
	}
}

// Two programs play one save: both go on, and what each wrote stays within reach of a branch.
func TestTwoProgramsOnOneSave(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	one, two := open(t, path), open(t, path)
	root := node("root")
	x := must(one.Create(ctx, "library", 1, []*engine.Node{root}))(t)
	must(two.Session(ctx, x.ID))(t)
	a, b := node("from one"), node("from two")
	must(one.Append(ctx, x.ID, root.ID, []*engine.Node{a}))(t)
	y := must(two.Append(ctx, x.ID, root.ID, []*engine.Node{b}))(t)
	if y.Head != b.ID {
		t.Fatalf("%+v", y)
	}
	if got, want := must(two.Branches(ctx, x.ID))(t), []engine.Branch{{Name: "main", Head: b.ID}, {Name: "main-2", Head: a.ID}}; !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	vector := func(x float32) []float32 { return []float32{x, -x, 0.5} }
	lines := []engine.StoredExample{
		{Example: engine.Example{Persona: "wren", You: "hi", Says: "Hello.", Common: "c1", Origin: engine.FromPersona, HeldOut: true}, Response: vector(1), Voice: vector(2), Line: vector(3)},
		{Example: engine.Example{Persona: "hale", You: "hi", Says: "Well?", Place: "library/room", Origin: engine.FromScene, Borrow: true}, Response: vector(4), Voice: vector(5), Line: vector(6)},
	}
	kept := engine.StoredExample{Example: engine.Example{Persona: "wren", You: "a", Says: "Mine."}, Response: vector(7), Voice: vector(8), Line: vector(9)}
	if err := s.KeepExample(ctx, "m1", kept); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.ReplaceExamples(ctx, "m1", lines); err != nil {
			t.Fatal(err)
		}
	}
	kept.Origin = engine.FromPlayer
	got := must(s.Examples(ctx, "m1"))(t)
	for i := range got {
		got[i].ID = 0
	}
	if d := cmp.Diff(append([]engine.StoredExample{kept}, lines...), got); d != "" {
		t.Fatal(d)
	}
	if other := must(s.Examples(ctx, "m2"))(t); len(other) != 0 {
		t.Fatal(other)
	}
	lines[0].Voice = nil
	if err := s.ReplaceExamples(ctx, "m1", lines); err == nil {
		t.Fatal("an example without a vector was stored")
	}
	if left := must(s.Examples(ctx, "m1"))(t); len(left) != 3 {
		t.Fatalf("a failed replacement left %d examples", len(left))
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	must(s.Create(context.Background(), "library", 1, []*engine.Node{node("root")}))(t)
	for path, want := range map[string]os.FileMode{s.File(): 0o600, s.File() + "-wal": 0o600, filepath.Dir(s.File()): 0o700} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", filepath.Base(path), st.Mode().Perm(), err, want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	write := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(t.TempDir(), "newer.db")
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	numbered := filepath.Join(t.TempDir(), "numbered.db")
	for path, text := range map[string]string{newer: `CREATE TABLE x(y); PRAGMA user_version = 99`, foreign: `CREATE TABLE songs(name)`, numbered: `CREATE TABLE sessions(id); PRAGMA user_version = 1`} {
		db := must(sql.Open("sqlite3", path))(t)
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	good := fresh(t)
	must(good.Create(context.Background(), "library", 1, []*engine.Node{node("root")}))(t)
	if _, err := good.db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	data := must(os.ReadFile(good.File()))(t)
	broken := slices.Clone(data)
	for i := 100; i < 4096; i++ {
		broken[i] ^= 0x5a
	}
	for name, c := range map[string]struct {
		path string
		code engine.Code
	}{
		"a word":      {write("c.db", []byte("hello")), engine.Damaged},
		"numbered":    {numbered, engine.Incompatible},
		"no database": {write("a.db", []byte(strings.Repeat("not a database ", 400))), engine.Damaged},
		"damaged":     {write("b.db", broken), engine.Damaged},
		"newer":       {newer, engine.Incompatible},
		"foreign":     {foreign, engine.Incompatible},
		"no folder":   {filepath.Join(write("file", nil), "weave.db"), engine.Unwritable},
		"a folder":    {t.TempDir(), engine.Unwritable},
	} {
		before, _ := os.ReadFile(c.path)
		_, err := Open(c.path)
		if engine.CodeOf(err) != c.code || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// A full disk, as SQLite reports it: what was committed stays, and there is one clear line.
func TestFull(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	x := must(s.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	if _, err := s.db.Exec(`PRAGMA max_page_count = 40`); err != nil {
		t.Fatal(err)
	}
	_, err := s.Append(ctx, x.ID, x.Head, []*engine.Node{node(strings.Repeat("long ", 100_000))})
	if engine.CodeOf(err) != engine.Unwritable {
		t.Fatal(err)
	}
	if y := must(s.Session(ctx, x.ID))(t); y.Head != x.Head {
		t.Fatal("half a turn was kept")
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the lock")
	}
	s := fresh(t)
	lock := must(sql.Open("sqlite3", "file:"+s.File()+"?_txlock=immediate"))(t)
	defer lock.Close()
	tx := must(lock.Begin())(t)
	defer func() { _ = tx.Rollback() }()
	if _, err := s.db.Exec(`PRAGMA busy_timeout = 50`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(context.Background(), "library", 1, []*engine.Node{node("root")}); engine.CodeOf(err) != engine.Busy {
		t.Fatal(err)
	}
}

func TestExportImport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	root, a, b := node("root"), reply("a"), reply("b")
	x := must(s.Create(ctx, "library", 7, []*engine.Node{root, a}))(t)
	x = must(s.Fork(ctx, x.ID, "other", root.ID))(t)
	x = must(s.Append(ctx, x.ID, root.ID, []*engine.Node{b}))(t)
	var file bytes.Buffer
	if err := s.Export(ctx, &file, x.ID); err != nil {
		t.Fatal(err)
	}
	other := fresh(t)
	must(other.Create(ctx, "another", 1, []*engine.Node{node("x"), node("y")}))(t)
	y := must(other.Import(ctx, bytes.NewReader(file.Bytes())))(t)
	texts := func(s *Saves, x engine.Session) (out []string) {
		for _, n := range must(s.Path(ctx, x.ID, x.Head))(t) {
			out = append(out, n.Text)
		}
		return out
	}
	if got := texts(other, y); !slices.Equal(got, []string{"root", "b"}) || y.Seed != 7 || y.Branch != "other" {
		t.Fatalf("%v %+v", got, y)
	}
	y = must(other.Switch(ctx, y.ID, "main"))(t)
	if got := texts(other, y); !slices.Equal(got, []string{"root", "a"}) {
		t.Fatal(got)
	}
	lines := strings.SplitAfter(file.String(), "\n")
	for name, text := range map[string]string{
		"empty": "", "no save": "hello\n", "other format": `{"format":"weave-save-9"}` + "\n", "cut short": strings.Join(lines[:2], ""), "twice": lines[0] + lines[1] + lines[1],
		"orphan": lines[0] + lines[2], "half a line": file.String()[:file.Len()/2],
	} {
		before := len(must(other.Sessions(ctx, ""))(t))
		if _, err := other.Import(ctx, strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if after := len(must(other.Sessions(ctx, ""))(t)); after != before {
			t.Errorf("%s: something was added", name)
		}
	}
}

// Killed while it writes, a program loses nothing that it had committed.
func TestKilled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	for round := range 5 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "WEAVE_TEST_CHILD="+path)
		out := must(c.StdoutPipe())(t)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var session, head int64
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, err := fmt.Sscan(lines.Text(), &session, &head); n != 2 {
				t.Fatalf("the child said %q: %v", lines.Text(), err)
			}
			if head > int64(20*(round+1)) {
				_ = c.Process.Kill()
			}
		}
		_ = c.Wait()
		s := must(Open(path))(t)
		if err := s.Check(ctx); err != nil {
			t.Fatal(err)
		}
		if nodes := must(s.Path(ctx, session, head))(t); nodes[len(nodes)-1].ID != head {
			t.Fatal("a committed turn is gone")
		}
		if x := must(s.Session(ctx, session))(t); x.Head < head {
			t.Fatal("the branch went back")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A file of each schema there ever was opens. Version 1 is the first; its fixture is made by its own migration.
func TestOldSchemas(t *testing.T) {
	t.Parallel()
	entries := must(migrations.ReadDir("migrations"))(t)
	for version := range entries {
		path := filepath.Join(t.TempDir(), strconv.Itoa(version)+".db")
		db := must(sql.Open("sqlite3", path))(t)
		for _, e := range entries[:version] {
			if _, err := db.Exec(string(must(migrations.ReadFile("migrations/" + e.Name()))(t))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
			t.Fatal(err)
		}
		db.Close()
		s := open(t, path)
		must(s.Create(context.Background(), "library", 1, []*engine.Node{node("root")}))(t)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(`{"format":"weave-save-1","story":"s","seed":"1","branch":"main"}` + "\n" + `{"id":1,"kind":"player","text":"x","state":{}}` + "\n" + `{"branch":"main","head":1}` + "\n")
	f.Add("")
	s, err := Open(filepath.Join(f.TempDir(), "weave.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := s.Import(context.Background(), strings.NewReader(text))
		if err == nil {
			if _, err := s.Path(context.Background(), x.ID, x.Head); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendAndPath(b *testing.B) {
	ctx := context.Background()
	s, err := Open(filepath.Join(b.TempDir(), "weave.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	x, err := s.Create(ctx, "library", 1, []*engine.Node{node("root")})
	if err != nil {
		b.Fatal(err)
	}
	var nodes []*engine.Node
	for i := range 10_000 {
		nodes = append(nodes, reply(fmt.Sprint("line ", i)))
	}
	if x, err = s.Append(ctx, x.ID, x.Head, nodes); err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			if x, err = s.Append(ctx, x.ID, x.Head, []*engine.Node{node("line")}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("path10k", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Path(ctx, x.ID, x.Head); err != nil {
				b.Fatal(err)
			}
		}
	})
}
