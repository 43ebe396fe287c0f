package saves

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/personaweave/personaweave/engine"
)

// An export is lines of JSON: a header, the nodes, parents before children, then the branches.
type exportHeader struct {
	Format  string    `json:"format"`
	Story   string    `json:"story"`
	Name    string    `json:"name"`
	Seed    string    `json:"seed"`
	Branch  string    `json:"branch"`
	Created time.Time `json:"created"`
}

type exportNode struct {
	ID      int64           `json:"id"`
	Parent  int64           `json:"parent,omitempty"`
	Kind    engine.NodeKind `json:"kind"`
	Speaker string          `json:"speaker,omitempty"`
	Text    string          `json:"text"`
	State   engine.State    `json:"state"`
	Reply   *engine.Reply   `json:"reply,omitempty"`
	Created time.Time       `json:"created"`
}

type exportBranch struct {
	Name string `json:"branch"`
	Head int64  `json:"head"`
}

const (
	exportFormat = "weave-save-1"
	longestLine  = 4 << 20
	mostNodes    = 1 << 20
)

// Export writes a session as lines of JSON. What another program adds meanwhile may be left out.
func (s *Saves) Export(ctx context.Context, w io.Writer, id int64) error {
	x, err := s.look(ctx, id)
	if err != nil {
		return err
	}
	branches, err := s.Branches(ctx, id) // before the nodes, so that every head is among them
	if err != nil {
		return err
	}
	nodes, err := s.nodes(ctx, `SELECT `+nodeColumns+` FROM nodes WHERE session = ? ORDER BY id`, id)
	if err == nil && len(nodes) == 0 {
		err = noSave(id)
	}
	if err != nil {
		return err
	}
	if err := write(w, x, nodes, branches); err != nil {
		return &engine.Error{Code: engine.Unwritable, Message: "the save could not be written whole", Hint: "make room, or give another file", Err: err}
	}
	return nil
}

func write(w io.Writer, x engine.Session, nodes []engine.Node, branches []engine.Branch) error {
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(exportHeader{exportFormat, x.Story, x.Name, strconv.FormatUint(x.Seed, 10), x.Branch, x.Created}); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := e.Encode(exportNode{n.ID, n.Parent, n.Kind, n.Speaker, n.Text, n.State, n.Reply, n.Created}); err != nil {
			return err
		}
	}
	for _, b := range branches {
		if err := e.Encode(exportBranch{b.Name, b.Head}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Import adds a session that Export wrote. A file that is not whole adds nothing. Texts are made fit to be drawn in a terminal.
func (s *Saves) Import(ctx context.Context, r io.Reader) (x engine.Session, err error) {
	f, err := read(r) // whole, before the write lock is taken: r may be slow
	if err != nil {
		return x, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		id, err := f.store(ctx, tx)
		if err != nil {
			return err
		}
		x, err = session(ctx, tx, id)
		return err
	})
	return s.remember(x, err)
}

// exported is a save as Export wrote it.
type exported struct {
	head     exportHeader
	nodes    []exportNode
	branches []exportBranch
}

// read reads an exported save and checks that it is whole.
func read(r io.Reader) (*exported, error) {
	line := 0
	bad := func(what string, args ...any) (*exported, error) {
		return nil, &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("line %d of the save: %s", line, fmt.Sprintf(what, args...)), Hint: "give a file that weave saves export wrote; nothing was added"}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	f := &exported{}
	line++
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &f.head) != nil || f.head.Format == "" {
		return bad("this is no exported save")
	}
	if f.head.Format != exportFormat {
		return nil, &engine.Error{Code: engine.Incompatible, Message: fmt.Sprintf("the save has the format %q, not %q", f.head.Format, exportFormat), Hint: "export it again with this version"}
	}
	if _, err := strconv.ParseUint(f.head.Seed, 10, 64); err != nil || !label(f.head.Story) || !label(f.head.Branch) {
		return bad("its header is not whole")
	}
	f.head.Name = engine.Printable(f.head.Name)
	known, named := map[int64]bool{}, map[string]bool{}
	for lines.Scan() {
		line++
		var both struct {
			exportNode
			exportBranch
		}
		if err := json.Unmarshal(lines.Bytes(), &both); err != nil {
			return bad("%v", err)
		}
		if b := both.exportBranch; b.Name != "" {
			switch {
			case !known[b.Head]:
				return bad("the branch %q leads to no turn", b.Name)
			case named[b.Name]:
				return bad("the branch %q is there twice", b.Name)
			case !label(b.Name):
				return bad("a branch named %q", b.Name)
			}
			named[b.Name] = true
			f.branches = append(f.branches, b)
			continue
		}
		n := both.exportNode
		if n.ID <= 0 || known[n.ID] || n.Parent != 0 && !known[n.Parent] || len(known) >= mostNodes {
			return bad("turn %d does not fit in", n.ID)
		}
		switch n.Kind {
		case engine.Narration, engine.Player, engine.Character, engine.Command:
		default:
			return bad("a turn of the kind %q", n.Kind)
		}
		if n.Reply != nil && (n.Reply.Chosen < 0 || n.Reply.Chosen >= len(n.Reply.Candidates)) {
			return bad("turn %d chose candidate %d of %d", n.ID, n.Reply.Chosen+1, len(n.Reply.Candidates))
		}
		n.tidy()
		known[n.ID] = true
		f.nodes = append(f.nodes, n)
	}
	if err := lines.Err(); err != nil {
		return bad("%v", err)
	}
	if !named[f.head.Branch] {
		return bad("it is cut short: the branch %q is missing", f.head.Branch)
	}
	return f, nil
}

// label tells whether a name can be shown as it is.
func label(s string) bool { return s != "" && engine.Printable(s) == s }

// tidy makes every text of a node fit to be drawn in a terminal.
func (n *exportNode) tidy() {
	texts := []*string{&n.Speaker, &n.Text, &n.State.Scene, &n.State.Speaker, &n.State.Next, &n.State.Ended}
	if n.Reply != nil {
		for i := range n.Reply.Candidates {
			texts = append(texts, &n.Reply.Candidates[i].Text, &n.Reply.Candidates[i].Of)
		}
	}
	for _, t := range texts {
		*t = engine.Printable(*t)
	}
	for _, m := range []map[string]string{n.State.Moods, n.State.Causes, n.State.Become} {
		for k, v := range m {
			m[k] = engine.Printable(v)
		}
	}
}

// store adds the save as a session of its own.
func (f *exported) store(ctx context.Context, tx *sql.Tx) (int64, error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO sessions(story, name, seed, branch, created, played) VALUES(?,?,?,?,?,?)`, f.head.Story, f.head.Name, f.head.Seed, f.head.Branch, f.head.Created.UnixMicro(), time.Now().UnixMicro())
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	here := make(map[int64]int64, len(f.nodes)) // node ids there and here
	for _, n := range f.nodes {
		node := &engine.Node{Kind: n.Kind, Speaker: n.Speaker, Text: n.Text, State: n.State, Reply: n.Reply, Created: n.Created}
		if here[n.ID], err = insert(ctx, tx, id, here[n.Parent], []*engine.Node{node}); err != nil {
			return 0, err
		}
	}
	for _, b := range f.branches {
		if _, err := tx.ExecContext(ctx, `INSERT INTO branches(session, name, head) VALUES(?,?,?)`, id, b.Name, here[b.Head]); err != nil {
			return 0, err
		}
	}
	return id, nil
}
