package saves

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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

// Export writes a session as lines of JSON.
func (s *Saves) Export(ctx context.Context, w io.Writer, id int64) error {
	x, err := s.Session(ctx, id)
	if err != nil {
		return err
	}
	nodes, err := s.nodes(ctx, `SELECT `+nodeColumns+` FROM nodes WHERE session = ? ORDER BY id`, id)
	if err != nil {
		return err
	}
	branches, err := s.Branches(ctx, id)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err = e.Encode(exportHeader{exportFormat, x.Story, x.Name, strconv.FormatUint(x.Seed, 10), x.Branch, x.Created})
	for _, n := range nodes {
		err = errors.Join(err, e.Encode(exportNode{n.ID, n.Parent, n.Kind, n.Speaker, n.Text, n.State, n.Reply, n.Created}))
	}
	for _, b := range branches {
		err = errors.Join(err, e.Encode(exportBranch{b.Name, b.Head}))
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return &engine.Error{Code: engine.Unwritable, Message: "the save could not be written whole", Hint: "make room, or give another file", Err: err}
	}
	return nil
}

// Import adds a session that Export wrote. A file that is not whole adds nothing.
func (s *Saves) Import(ctx context.Context, r io.Reader) (x engine.Session, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		id, err := load(ctx, tx, r)
		if err != nil {
			return err
		}
		x, err = session(ctx, tx, id)
		return err
	})
	return s.remember(x, err)
}

func load(ctx context.Context, tx *sql.Tx, r io.Reader) (int64, error) {
	line := 0
	bad := func(what string, args ...any) (int64, error) {
		return 0, &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("line %d of the save: %s", line, fmt.Sprintf(what, args...)), Hint: "give a file that weave saves export wrote; nothing was added"}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	var head exportHeader
	line++
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Format == "" {
		return bad("this is no exported save")
	}
	if head.Format != exportFormat {
		return 0, &engine.Error{Code: engine.Incompatible, Message: fmt.Sprintf("the save has the format %q, not %q", head.Format, exportFormat), Hint: "export it again with this version"}
	}
	if _, err := strconv.ParseUint(head.Seed, 10, 64); err != nil || head.Story == "" || head.Branch == "" {
		return bad("its header is not whole")
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO sessions(story, name, seed, branch, created, played) VALUES(?,?,?,?,?,?)`, head.Story, head.Name, head.Seed, head.Branch, head.Created.UnixMicro(), time.Now().UnixMicro())
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	known, played := map[int64]int64{}, false // node ids there and here
	for lines.Scan() {
		line++
		var both struct {
			exportNode
			Branch string `json:"branch"`
			Head   int64  `json:"head"`
		}
		if err := json.Unmarshal(lines.Bytes(), &both); err != nil {
			return bad("%v", err)
		}
		if both.Branch != "" {
			at, ok := known[both.Head]
			if !ok {
				return bad("the branch %q leads to no turn", both.Branch)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO branches(session, name, head) VALUES(?,?,?)`, id, both.Branch, at); err != nil {
				return bad("the branch %q is there twice", both.Branch)
			}
			played = played || both.Branch == head.Branch
			continue
		}
		n := both.exportNode
		parent, ok := known[n.Parent]
		if _, twice := known[n.ID]; twice || n.ID <= 0 || n.Parent != 0 && !ok || len(known) >= mostNodes {
			return bad("turn %d does not fit in", n.ID)
		}
		switch n.Kind {
		case engine.Narration, engine.Player, engine.Character, engine.Command:
		default:
			return bad("a turn of the kind %q", n.Kind)
		}
		node := &engine.Node{Kind: n.Kind, Speaker: n.Speaker, Text: n.Text, State: n.State, Reply: n.Reply, Created: n.Created}
		if known[n.ID], err = insert(ctx, tx, id, parent, []*engine.Node{node}); err != nil {
			return 0, err
		}
	}
	if err := lines.Err(); err != nil {
		return bad("%v", err)
	}
	if !played {
		return bad("it is cut short: the branch %q is missing", head.Branch)
	}
	return id, nil
}
