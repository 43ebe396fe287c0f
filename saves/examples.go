package saves

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/personaweave/personaweave/engine"
)

// pack puts three vectors of the same width into one blob.
func pack(e engine.StoredExample) ([]byte, error) {
	if len(e.Response) != len(e.Voice) || len(e.Voice) != len(e.Line) {
		return nil, &engine.Error{Code: engine.Internal, Message: fmt.Sprintf("vectors of %d, %d and %d numbers", len(e.Response), len(e.Voice), len(e.Line))}
	}
	b := make([]byte, 0, 12*len(e.Line))
	for _, v := range [][]float32{e.Response, e.Voice, e.Line} {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b, nil
}

func unpack(b []byte, e *engine.StoredExample) error {
	if len(b)%12 != 0 {
		return &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("the vectors of example %d cannot be read", e.ID), Hint: "move the file away: examples are made again, saves can be exported before"}
	}
	all := make([]float32, len(b)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	n := len(all) / 3
	e.Response, e.Voice, e.Line = all[:n:n], all[n:2*n:2*n], all[2*n:]
	return nil
}

// Examples returns every example with vectors made by this model, oldest first.
func (s *Saves) Examples(ctx context.Context, model string) ([]engine.StoredExample, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, persona, you, says, common, place, origin, heldout, borrow, vectors FROM examples WHERE model = ? ORDER BY id`, model)
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var out []engine.StoredExample
	var raw sql.RawBytes
	for rows.Next() {
		var e engine.StoredExample
		if err := rows.Scan(&e.ID, &e.Persona, &e.You, &e.Says, &e.Common, &e.Place, &e.Origin, &e.HeldOut, &e.Borrow, &raw); err != nil {
			return nil, explain(s.path, err)
		}
		if err := unpack(raw, &e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, explain(s.path, rows.Err())
}

func keep(ctx context.Context, tx *sql.Tx, model string, examples []engine.StoredExample) error {
	q, err := tx.PrepareContext(ctx, `INSERT INTO examples(model, persona, you, says, common, place, origin, heldout, borrow, vectors) VALUES(?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer q.Close()
	for _, e := range examples {
		b, err := pack(e)
		if err != nil {
			return err
		}
		if _, err := q.ExecContext(ctx, model, e.Persona, e.You, e.Says, e.Common, e.Place, string(e.Origin), e.HeldOut, e.Borrow, b); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceExamples stores the examples in place of all others but the kept ones; see engine.ExampleStore.
func (s *Saves) ReplaceExamples(ctx context.Context, model string, examples []engine.StoredExample) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM examples WHERE origin <> ?`, string(engine.FromPlayer)); err != nil {
			return err
		}
		return keep(ctx, tx, model, examples)
	})
}

// KeepExample adds a line that the player kept.
func (s *Saves) KeepExample(ctx context.Context, model string, example engine.StoredExample) error {
	example.Origin = engine.FromPlayer
	return s.write(ctx, func(tx *sql.Tx) error { return keep(ctx, tx, model, []engine.StoredExample{example}) })
}
