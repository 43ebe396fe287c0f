package saves

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/personaweave/personaweave/engine"
)

const sessionColumns = `SELECT s.id, s.story, s.name, s.seed, s.branch, b.head, s.created, s.played, n.state,
  (WITH RECURSIVE up(id, parent, kind) AS (
     SELECT id, parent, kind FROM nodes WHERE id = b.head
     UNION ALL SELECT p.id, p.parent, p.kind FROM nodes p JOIN up ON p.id = up.parent)
   SELECT count(*) FROM up WHERE kind = 'player')
  FROM sessions s JOIN branches b ON b.session = s.id AND b.name = s.branch JOIN nodes n ON n.id = b.head `

type scanner interface{ Scan(...any) error }

// querier is the file, or a transaction.
type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func scanSession(r scanner) (engine.Session, error) {
	var x engine.Session
	var seed, state string
	var created, played int64
	if err := r.Scan(&x.ID, &x.Story, &x.Name, &seed, &x.Branch, &x.Head, &created, &played, &state, &x.Turns); err != nil {
		return x, err
	}
	x.Seed, _ = strconv.ParseUint(seed, 10, 64)
	x.Created, x.Played = time.UnixMicro(created), time.UnixMicro(played)
	var st engine.State
	if err := json.Unmarshal([]byte(state), &st); err != nil {
		return x, damagedNode(x.Head, err)
	}
	x.Scene, x.Ended = st.Scene, st.Ended
	return x, nil
}

func damagedNode(id int64, err error) error {
	return &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("turn %d of a save cannot be read: %v", id, err), Hint: "go back to an earlier turn, or restore a copy of the file"}
}

func noSave(id int64) error {
	return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there is no save %d", id), Hint: "weave saves list shows those there are"}
}

func session(ctx context.Context, in querier, id int64) (engine.Session, error) {
	x, err := scanSession(in.QueryRowContext(ctx, sessionColumns+`WHERE s.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return x, noSave(id)
	}
	return x, err
}

// remember notes a session's head as this program left it.
func (s *Saves) remember(x engine.Session, err error) (engine.Session, error) {
	if err == nil {
		s.mu.Lock()
		s.seen[x.ID] = x.Head
		s.mu.Unlock()
	}
	return x, err
}

// insert stores nodes as a chain below parent and fills their IDs.
func insert(ctx context.Context, tx *sql.Tx, session, parent int64, nodes []*engine.Node) (int64, error) {
	q, err := tx.PrepareContext(ctx, `INSERT INTO nodes(session, parent, kind, speaker, text, state, reply, created) VALUES(?,?,?,?,?,?,?,?)`)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	for _, n := range nodes {
		state, err := json.Marshal(n.State)
		if err != nil {
			return 0, err
		}
		var reply, above any
		if n.Reply != nil {
			b, err := json.Marshal(n.Reply)
			if err != nil {
				return 0, err
			}
			reply = string(b)
		}
		if parent != 0 {
			above = parent
		}
		r, err := q.ExecContext(ctx, session, above, string(n.Kind), n.Speaker, n.Text, string(state), reply, n.Created.UnixMicro())
		if err != nil {
			return 0, err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return 0, err
		}
		n.ID, n.Session, n.Parent, parent = id, session, parent, id
	}
	return parent, nil
}

// Create begins a session; see engine.Store.
func (s *Saves) Create(ctx context.Context, story string, seed uint64, nodes []*engine.Node) (x engine.Session, err error) {
	if len(nodes) == 0 {
		return x, &engine.Error{Code: engine.Internal, Message: "a session begins with a node"}
	}
	now := time.Now().UnixMicro()
	err = s.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO sessions(story, seed, branch, created, played) VALUES(?,?,'main',?,?)`, story, strconv.FormatUint(seed, 10), now, now)
		if err != nil {
			return err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return err
		}
		head, err := insert(ctx, tx, id, 0, nodes)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO branches(session, name, head) VALUES(?,'main',?)`, id, head); err != nil {
			return err
		}
		x, err = session(ctx, tx, id)
		return err
	})
	return s.remember(x, err)
}

// Sessions lists sessions, last played first; story "" means all.
func (s *Saves) Sessions(ctx context.Context, story string) ([]engine.Session, error) {
	rows, err := s.db.QueryContext(ctx, sessionColumns+`WHERE ?1 = '' OR s.story = ?1 ORDER BY s.played DESC, s.id DESC`, story)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var out []engine.Session
	for rows.Next() {
		x, err := scanSession(rows)
		if err != nil {
			return nil, explain(s.path, err)
		}
		out = append(out, x)
	}
	return out, explain(s.path, rows.Err())
}

// Session returns one session.
func (s *Saves) Session(ctx context.Context, id int64) (engine.Session, error) {
	return s.remember(s.look(ctx, id))
}

// look is Session for one who will not write after its head.
func (s *Saves) look(ctx context.Context, id int64) (engine.Session, error) {
	x, err := session(ctx, s.db, id)
	return x, explain(s.path, err)
}

// Rename gives a session a name.
func (s *Saves) Rename(ctx context.Context, id int64, name string) error {
	return s.one(ctx, id, `UPDATE sessions SET name = ? WHERE id = ?`, name, id)
}

// Delete removes a session with its nodes.
func (s *Saves) Delete(ctx context.Context, id int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM branches WHERE session = ?`, id); err != nil {
			return err
		}
		// SQLite cascades at most 1,000 nodes deep, so that the chain is taken apart first.
		if _, err := tx.ExecContext(ctx, `UPDATE nodes SET parent = NULL WHERE session = ?`, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM nodes WHERE session = ?`, id); err != nil {
			return err
		}
		return touched(tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = ?`, id))(id)
	})
}

// one runs a statement that must touch the session.
func (s *Saves) one(ctx context.Context, id int64, query string, args ...any) error {
	return s.write(ctx, func(tx *sql.Tx) error { return touched(tx.ExecContext(ctx, query, args...))(id) })
}

func touched(r sql.Result, err error) func(int64) error {
	return func(id int64) error {
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, noSave(id))
		}
		return nil
	}
}

const nodeColumns = `id, session, coalesce(parent, 0), kind, speaker, text, state, reply, created`

func scanNode(r scanner) (engine.Node, error) {
	var n engine.Node
	var kind, state string
	var reply sql.NullString
	var created int64
	if err := r.Scan(&n.ID, &n.Session, &n.Parent, &kind, &n.Speaker, &n.Text, &state, &reply, &created); err != nil {
		return n, err
	}
	n.Kind, n.Created = engine.NodeKind(kind), time.UnixMicro(created)
	if err := json.Unmarshal([]byte(state), &n.State); err != nil {
		return n, damagedNode(n.ID, err)
	}
	if reply.Valid {
		n.Reply = &engine.Reply{}
		if err := json.Unmarshal([]byte(reply.String), n.Reply); err != nil {
			return n, damagedNode(n.ID, err)
		}
	}
	return n, nil
}

func (s *Saves) nodes(ctx context.Context, query string, args ...any) ([]engine.Node, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var out []engine.Node
	for rows.Next() {
		n, err := scanNode(rows)
		if err != nil {
			return nil, explain(s.path, err)
		}
		out = append(out, n)
	}
	return out, explain(s.path, rows.Err())
}

// Path returns the nodes from the root to head, in order.
func (s *Saves) Path(ctx context.Context, session, head int64) ([]engine.Node, error) {
	out, err := s.nodes(ctx, `WITH RECURSIVE up(node, above, depth) AS (
  SELECT id, parent, 0 FROM nodes WHERE id = ?1 AND session = ?2
  UNION ALL SELECT n.id, n.parent, depth + 1 FROM nodes n JOIN up ON n.id = up.above)
  SELECT `+nodeColumns+` FROM up JOIN nodes ON id = node ORDER BY depth DESC`, head, session)
	if err == nil && len(out) == 0 {
		return nil, &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("save %d has no turn %d", session, head), Hint: "weave saves check looks for damage"}
	}
	return out, err
}

// Children returns the nodes below parent (0: roots), oldest first.
func (s *Saves) Children(ctx context.Context, session, parent int64) ([]engine.Node, error) {
	if parent == 0 {
		return s.nodes(ctx, `SELECT `+nodeColumns+` FROM nodes WHERE session = ? AND parent IS NULL ORDER BY id`, session)
	}
	return s.nodes(ctx, `SELECT `+nodeColumns+` FROM nodes WHERE session = ? AND parent = ? ORDER BY id`, session, parent)
}

// own checks that a node belongs to a session.
func own(ctx context.Context, tx *sql.Tx, session, node int64) error {
	var found int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM nodes WHERE id = ? AND session = ?`, node, session).Scan(&found)
	if err == nil && found == 0 {
		return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("save %d has no turn %d", session, node), Hint: "open the save again: another program may have changed it"}
	}
	return err
}

// move sets the head of the session's branch. Where another program moved it since this one looked, what that one wrote gets a
// branch of its own, so that nothing is out of reach.
func (s *Saves) move(ctx context.Context, tx *sql.Tx, id, head int64) (engine.Session, error) {
	x, err := session(ctx, tx, id)
	if err != nil {
		return x, err
	}
	s.mu.Lock()
	seen, known := s.seen[id]
	s.mu.Unlock()
	if known && seen != x.Head {
		name := ""
		for i := 2; name == ""; i++ {
			try, taken := fmt.Sprintf("%s-%d", x.Branch, i), 0
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM branches WHERE session = ? AND name = ?`, id, try).Scan(&taken); err != nil {
				return x, err
			}
			if taken == 0 {
				name = try
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO branches(session, name, head) VALUES(?,?,?)`, id, name, x.Head); err != nil {
			return x, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE branches SET head = ? WHERE session = ? AND name = ?`, head, id, x.Branch); err != nil {
		return x, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE sessions SET played = max(played + 1, ?) WHERE id = ?`, time.Now().UnixMicro(), id); err != nil {
		return x, err
	}
	return session(ctx, tx, id)
}

// Append stores nodes as a chain below parent and moves the branch to the last.
func (s *Saves) Append(ctx context.Context, id, parent int64, nodes []*engine.Node) (x engine.Session, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := own(ctx, tx, id, parent); err != nil {
			return err
		}
		head, err := insert(ctx, tx, id, parent, nodes)
		if err != nil {
			return err
		}
		x, err = s.move(ctx, tx, id, head)
		return err
	})
	return s.remember(x, err)
}

// SetHead moves the branch to a node already stored.
func (s *Saves) SetHead(ctx context.Context, id, head int64) (x engine.Session, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := own(ctx, tx, id, head); err != nil {
			return err
		}
		x, err = s.move(ctx, tx, id, head)
		return err
	})
	return s.remember(x, err)
}

// Branches lists a session's branches by name.
func (s *Saves) Branches(ctx context.Context, id int64) ([]engine.Branch, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, head FROM branches WHERE session = ? ORDER BY name`, id)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var out []engine.Branch
	for rows.Next() {
		var b engine.Branch
		if err := rows.Scan(&b.Name, &b.Head); err != nil {
			return nil, explain(s.path, err)
		}
		out = append(out, b)
	}
	return out, explain(s.path, rows.Err())
}

// Fork makes a branch at head and plays it.
func (s *Saves) Fork(ctx context.Context, id int64, name string, head int64) (x engine.Session, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := own(ctx, tx, id, head); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO branches(session, name, head) VALUES(?,?,?) ON CONFLICT DO NOTHING`, id, name, head)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("there is a branch %q already", name), Hint: "give it another name, or switch to it"})
		}
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET branch = ? WHERE id = ?`, name, id); err != nil {
			return err
		}
		x, err = session(ctx, tx, id)
		return err
	})
	return s.remember(x, err)
}

// Switch plays another branch.
func (s *Saves) Switch(ctx context.Context, id int64, name string) (x engine.Session, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		var found int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM branches WHERE session = ? AND name = ?`, id, name).Scan(&found); err != nil {
			return err
		}
		if found == 0 {
			return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("there is no branch %q", name), Hint: "/branches lists them"}
		}
		if err := touched(tx.ExecContext(ctx, `UPDATE sessions SET branch = ?, played = max(played + 1, ?) WHERE id = ?`, name, time.Now().UnixMicro(), id))(id); err != nil {
			return err
		}
		x, err = session(ctx, tx, id)
		return err
	})
	return s.remember(x, err)
}
