package saves

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/personaweave/personaweave/engine"
)

// Learner is what is known of whoever learns here; see engine.Store.
func (s *Saves) Learner(ctx context.Context) (engine.Learner, error) {
	var l engine.Learner
	var state string
	err := s.db.QueryRowContext(ctx, `SELECT state FROM learner`).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return l, nil
	}
	if err != nil {
		return l, explain(s.path, err)
	}
	if err := json.Unmarshal([]byte(state), &l); err != nil {
		return engine.Learner{}, &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("what was kept of your lessons cannot be read: %v", err), Hint: "restore a copy of the file"}
	}
	return l, nil
}

// KeepLearner stores it; see engine.Store.
func (s *Saves) KeepLearner(ctx context.Context, l engine.Learner) error {
	state, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO learner(id, state) VALUES(1, ?) ON CONFLICT(id) DO UPDATE SET state = excluded.state`, string(state))
		return err
	})
}
