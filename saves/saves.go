// Package saves keeps players' data in one SQLite file: sessions, their turn trees, and example lines with vectors. Every method
// is one transaction, and what a method has committed survives the program being killed. It knows the engine's types and SQL,
// nothing of models, screens or the meaning of a story. It alone imports go-sqlite3.
package saves

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/adrg/xdg"
	"github.com/mattn/go-sqlite3"

	"github.com/personaweave/personaweave/engine"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Saves is an open file of saves. It is safe for concurrent use, and by several programs at once.
type Saves struct {
	db   *sql.DB
	path string

	mu   sync.Mutex
	seen map[int64]int64 // the head of each session as this program last left it
}

var (
	_ engine.Store        = (*Saves)(nil)
	_ engine.ExampleStore = (*Saves)(nil)
)

// DefaultPath is weave.db in the folder that WEAVE_DATA names, else in the XDG data folder.
func DefaultPath() (string, error) {
	dir := os.Getenv("WEAVE_DATA")
	if dir == "" {
		dir = filepath.Join(xdg.DataHome, "personaweave")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("the data folder %q cannot be found", dir), Hint: "set WEAVE_DATA to a folder", Err: err}
	}
	return filepath.Join(dir, "weave.db"), nil
}

// Open opens a file of saves, made with its folder where there is none, and brings it to this version's tables. The folder is
// for its owner alone, and so is the file. Errors are engine.Errors: Damaged, Incompatible, Unwritable or Busy.
func Open(path string) (*Saves, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	st, err := f.Stat()
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, unwritable(path, err)
	}
	protect(path)
	if st.Size() > 0 {
		if err := ours(path); err != nil {
			return nil, err
		}
	}
	db, err := sql.Open("sqlite3", source(path, "_foreign_keys=on&_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate&_synchronous=FULL"))
	if err != nil {
		return nil, explain(path, err)
	}
	db.SetMaxOpenConns(1) // one writer; reads are short
	s := &Saves{db: db, path: path, seen: map[int64]int64{}}
	if err := s.migrate(context.Background()); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// protect takes the file, and what SQLite keeps beside it, from everybody but its owner: a copy made elsewhere may be open to all.
// SQLite gives what it makes itself the file's mode.
func protect(path string) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if st, err := os.Lstat(path + end); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
			_ = os.Chmod(path+end, 0o600)
		}
	}
}

// Close lets go of the file.
func (s *Saves) Close() error { return s.db.Close() }

// File is the path of the file.
func (s *Saves) File() string { return s.path }

func source(path, query string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query}).String()
}

// versions is how many migrations there are: the version of the tables that this program writes.
func versions() ([]string, error) { return fs.Glob(migrations, "migrations/*.sql") }

// ours looks at a file, without changing it, for tables that this program can use.
func ours(path string) error {
	db, err := sql.Open("sqlite3", source(path, "mode=ro&_busy_timeout=5000"))
	if err != nil {
		return explain(path, err)
	}
	defer db.Close()
	var version, tables, known int
	if err := db.QueryRow(`SELECT (SELECT user_version FROM pragma_user_version), count(*), coalesce(sum(name IN ('sessions', 'nodes', 'branches', 'examples')), 0) FROM sqlite_master`).Scan(&version, &tables, &known); err != nil {
		return explain(path, err)
	}
	files, err := versions()
	switch {
	case err != nil:
		return err
	case tables > 0 && (version == 0 || known < 4 && version <= len(files)):
		return &engine.Error{Code: engine.Incompatible, Message: path + " is a database of another program", Hint: "set WEAVE_DATA to another folder; the file was left as it is"}
	case version > len(files):
		return &engine.Error{Code: engine.Incompatible, Message: fmt.Sprintf("%s was written by a newer weave (version %d, this one knows %d)", path, version, len(files)),
			Hint: "use that one, or set WEAVE_DATA to another folder; the file was left as it is"}
	}
	return nil
}

// migrate runs the migrations that the file has not seen, all in one transaction.
func (s *Saves) migrate(ctx context.Context) error {
	files, err := versions()
	if err != nil {
		return err
	}
	var version int // looked at first without the write lock, which another program may hold
	if err := s.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil || version >= len(files) {
		return explain(s.path, err)
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil || version >= len(files) {
			return err
		}
		for _, file := range files[version:] {
			text, err := migrations.ReadFile(file)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(string(text)); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		_, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, len(files)))
		return err
	})
}

// Check reads the whole file and reports damage.
func (s *Saves) Check(ctx context.Context) error {
	var found string
	if err := s.db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return explain(s.path, err)
	}
	if found != "ok" {
		return &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("%s is damaged: %s", s.path, strings.Join(strings.Fields(found), " ")), Hint: "export what can be read with weave saves export, then move the file away"}
	}
	rows, err := s.db.QueryContext(ctx, `PRAGMA foreign_key_check`)
	if err != nil {
		return explain(s.path, err)
	}
	defer rows.Close()
	if rows.Next() {
		return &engine.Error{Code: engine.Damaged, Message: s.path + " holds turns of a talk that is gone", Hint: "export what can be read with weave saves export, then move the file away"}
	}
	return explain(s.path, rows.Err())
}

// write runs f in a transaction that takes the write lock at once.
func (s *Saves) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(s.path, err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return explain(s.path, err)
	}
	return explain(s.path, tx.Commit())
}

func unwritable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &engine.Error{Code: engine.Unwritable, Message: fmt.Sprintf("cannot keep saves in %s: %v", path, err), Hint: "make room, give the folder back its rights, or set WEAVE_DATA to another folder"}
}

// explain turns SQLite's errors into the engine's.
func explain(path string, err error) error {
	var known *engine.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt, sqlite3.ErrFormat, sqlite3.ErrSchema:
		return &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("%s is damaged: %v", path, e), Hint: "move it away and start anew, or restore a copy; it was left as it is"}
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return &engine.Error{Code: engine.Busy, Message: fmt.Sprintf("another program holds %s", path), Hint: "wait for it, or close it, and try again"}
	case sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrIoErr, sqlite3.ErrAuth:
		return unwritable(path, e)
	}
	return fmt.Errorf("saves in %s: %w", path, err)
}
