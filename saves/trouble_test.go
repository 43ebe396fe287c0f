package saves

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/personaweave/personaweave/engine"
)

// A long talk is deleted as a short one is.
func TestDeleteLong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	nodes := make([]*engine.Node, 5000)
	for i := range nodes {
		nodes[i] = node(fmt.Sprint("line ", i))
	}
	gone := must(s.Create(ctx, "library", 1, nodes))(t)
	stays := must(s.Create(ctx, "library", 1, []*engine.Node{node("root"), node("line")}))(t)
	if err := s.Delete(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	if all := must(s.Sessions(ctx, ""))(t); len(all) != 1 || all[0].ID != stays.ID || all[0].Turns != 2 {
		t.Fatalf("%+v", all)
	}
}

// A save that another program deleted meanwhile is told, and nothing is written.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	one, two := open(t, path), open(t, path)
	x := must(one.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	if err := two.Delete(ctx, x.ID); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func() error{
		"append": func() error { _, err := one.Append(ctx, x.ID, x.Head, []*engine.Node{node("line")}); return err },
		"head":   func() error { _, err := one.SetHead(ctx, x.ID, x.Head); return err },
		"fork":   func() error { _, err := one.Fork(ctx, x.ID, "b", x.Head); return err },
		"switch": func() error { _, err := one.Switch(ctx, x.ID, "main"); return err },
		"rename": func() error { return one.Rename(ctx, x.ID, "n") },
		"delete": func() error { return one.Delete(ctx, x.ID) },
	} {
		if err := f(); engine.CodeOf(err) != engine.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if y := must(one.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t); y.ID == x.ID || y.Head == x.Head {
		t.Errorf("%+v has the number of the one that is gone", y)
	}
}

// Two programs on one save that branch and switch: what either wrote can be reached from a branch.
func TestTwoProgramsBranch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	one, two := open(t, path), open(t, path)
	root := node("root")
	x := must(one.Create(ctx, "library", 1, []*engine.Node{root}))(t)
	must(two.Session(ctx, x.ID))(t)
	var said []*engine.Node
	line := func(s *Saves, after int64) int64 {
		n := node(fmt.Sprint("line ", len(said)))
		must(s.Append(ctx, x.ID, after, []*engine.Node{n}))(t)
		said = append(said, n)
		return n.ID
	}
	a := line(one, root.ID)
	must(two.Fork(ctx, x.ID, "lie", root.ID))(t)
	b := line(two, root.ID)
	a = line(one, a) // while the save plays the other's branch
	b = line(two, b)
	must(two.Switch(ctx, x.ID, "main"))(t)
	line(one, a)
	line(two, b)
	reached := map[int64]bool{}
	for _, branch := range must(one.Branches(ctx, x.ID))(t) {
		for _, n := range must(one.Path(ctx, x.ID, branch.Head))(t) {
			reached[n.ID] = true
		}
	}
	for _, n := range said {
		if !reached[n.ID] {
			t.Errorf("%q is out of reach", n.Text)
		}
	}
}

// Programs that start at the same moment on no file all open it.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	for range 3 {
		path := filepath.Join(t.TempDir(), "weave.db")
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range 4 {
			all.Go(func() {
				<-begin
				s, err := Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if _, err := s.Create(context.Background(), "library", uint64(i), []*engine.Node{node("root")}); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if n := len(must(open(t, path).Sessions(context.Background(), ""))(t)); n != 4 {
			t.Errorf("%d saves of 4", n)
		}
	}
}

// While another program writes, saves open and can be read.
func TestReadWhileAnotherWrites(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	x := must(s.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	tx := must(s.db.BeginTx(ctx, nil))(t)
	defer func() { _ = tx.Rollback() }()
	other, err := Open(s.File())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	must(other.Sessions(ctx, ""))(t)
	must(other.Path(ctx, x.ID, x.Head))(t)
	if err := other.Export(ctx, io.Discard, x.ID); err != nil {
		t.Fatal(err)
	}
}

// An import that waits for its text holds nobody up: weave saves export 1 | weave saves import -.
func TestImportWaitsUnlocked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	one, two := open(t, path), open(t, path)
	x := must(one.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	var text bytes.Buffer
	if err := one.Export(ctx, &text, x.ID); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	done := make(chan error, 1)
	go func() {
		_, err := two.Import(ctx, r)
		done <- err
	}()
	half := text.Len() / 2
	_, _ = w.Write(text.Bytes()[:half])
	must(one.Append(ctx, x.ID, x.Head, []*engine.Node{node("meanwhile")}))(t)
	_, _ = w.Write(text.Bytes()[half:])
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// What is exported while another program plays is whole.
func TestExportWhileAnotherPlays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	one, two, other := open(t, path), open(t, path), fresh(t)
	x := must(one.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for i, at := 0, x.Head; err == nil; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			var y engine.Session
			if y, err = one.Append(ctx, x.ID, at, []*engine.Node{node("line"), reply("answer")}); err == nil {
				at = y.Head
				_, err = one.Fork(ctx, x.ID, fmt.Sprint("branch ", i), at)
			}
		}
		stopped <- err
	}()
	for range 30 {
		var text bytes.Buffer
		if err := two.Export(ctx, &text, x.ID); err != nil {
			t.Error(err)
			break
		}
		if _, err := other.Import(ctx, &text); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// full takes some bytes and then no more.
type full int

func (f *full) Write(p []byte) (int, error) {
	if *f -= full(len(p)); *f < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestExportToFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	var nodes []*engine.Node
	for i := range 200 {
		nodes = append(nodes, reply(fmt.Sprint("line ", i)))
	}
	x := must(s.Create(ctx, "library", 1, nodes))(t)
	room := full(5000)
	err := s.Export(ctx, &room, x.ID)
	if engine.CodeOf(err) != engine.Unwritable || strings.Count(err.Error(), "no space") != 1 || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%.300v", err)
	}
}

// An exported save from a stranger cannot make the program fail or steer the terminal later.
func TestHostileImport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	text := func(name, reply string) string {
		return `{"format":"weave-save-1","story":"s","name":"` + name + `","seed":"1","branch":"main"}` + "\n" +
			`{"id":1,"kind":"narration","text":"x","state":{}}` + "\n" + `{"id":2,"parent":1,"kind":"character","speaker":"wren","text":"a\u001b[2Jb","state":{},"reply":` + reply + "}\n" + `{"branch":"main","head":2}` + "\n"
	}
	for name, reply := range map[string]string{
		"no candidate": `{}`, "chosen beyond": `{"candidates":[{"text":"a"}],"chosen":1}`, "chosen before": `{"candidates":[{"text":"a"}],"chosen":-1}`,
	} {
		if _, err := s.Import(ctx, strings.NewReader(text("n", reply))); engine.CodeOf(err) != engine.Damaged || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{"story": strings.Replace(text("n", "null"), `"s"`, `"\u001b]0;s\u0007"`, 1), "branch": strings.ReplaceAll(text("n", "null"), "main", `\u0000`)} {
		if _, err := s.Import(ctx, strings.NewReader(bad)); engine.CodeOf(err) != engine.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := must(s.Import(ctx, strings.NewReader(text(`\u001b]0;owned\u0007mine`, `{"candidates":[{"text":"a\u001b[2J"}],"chosen":0}`))))(t)
	if x.Name != "mine" {
		t.Errorf("named %q", x.Name)
	}
	if n := must(s.Path(ctx, x.ID, x.Head))(t)[1]; n.Text != "ab" || n.Reply.Candidates[0].Text != "a" {
		t.Errorf("kept %q and %q", n.Text, n.Reply.Candidates[0].Text)
	}
}

// What SQLite keeps beside a file that came from elsewhere is the owner's alone too.
func TestCopiedFilesBecomeTheOwners(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fresh(t)
	must(s.Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	to := filepath.Join(t.TempDir(), "weave.db")
	for _, end := range []string{"", "-wal"} {
		if err := os.WriteFile(to+end, must(os.ReadFile(s.File()+end))(t), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(to+end, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	copied := open(t, to)
	if n := len(must(copied.Sessions(ctx, ""))(t)); n != 1 {
		t.Errorf("%d saves", n)
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if st, err := os.Stat(to + end); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("weave.db%s: %v %v", end, st.Mode(), err)
		}
	}
}

// Damage that opening does not meet is found by Check, and told in one line.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "weave.db")
	s := must(Open(path))(t)
	var nodes []*engine.Node
	for i := range 400 {
		nodes = append(nodes, reply(fmt.Sprint("line ", i)))
	}
	must(s.Create(ctx, "library", 1, nodes))(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data := must(os.ReadFile(path))(t)
	const page = 4096
	at := len(data)/page - 30 // a leaf of the turns
	copy(data[at*page:(at+1)*page], bytes.Repeat([]byte{0xa5}, page))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = must(Open(path))(t)
	defer s.Close()
	err := s.Check(ctx)
	if engine.CodeOf(err) != engine.Damaged || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// Folders may have any name.
func TestStrangeFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a b?c=d&e#f%41 漢 '\"", "weave.db")
	x := must(open(t, path).Create(ctx, "library", 1, []*engine.Node{node("root")}))(t)
	if all := must(open(t, path).Sessions(ctx, ""))(t); len(all) != 1 || all[0].ID != x.ID {
		t.Errorf("%v", all)
	}
	if files := must(filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "*")))(t); !slices.Equal(files, []string{filepath.Dir(path)}) {
		t.Errorf("%q", files)
	}
}
