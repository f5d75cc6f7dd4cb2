package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"weir"
)

// PutStep records that step number step of a run is done, with its data (a JSON value, nil is null). It is the fence of exactly-once
// work: a worker that lost its job fails here with [weir.ErrConflict], since the step of that number exists, and all that its
// transaction did goes with it.
func (tx *Tx) PutStep(run string, step int, data json.RawMessage) error {
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	n, err := tx.exec("INSERT INTO steps (run, step, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", run, step, string(data))
	if err != nil {
		return fmt.Errorf("step %d of run %s: %w", step, run, err)
	}
	if n == 0 {
		return fmt.Errorf("step %d of run %s: %w", step, run, weir.ErrConflict)
	}
	return nil
}

// LastStep returns the highest step of a run and its data; -1 and nil if there is none.
func (tx *Tx) LastStep(run string) (step int, data json.RawMessage, err error) {
	err = tx.row("SELECT step, data FROM steps WHERE run = $1 ORDER BY step DESC LIMIT 1", []any{run}, &step, (*rawText)(&data))
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil, nil
	}
	if err != nil {
		return -1, nil, fmt.Errorf("last step of run %s: %w", run, err)
	}
	return step, data, nil
}

// Steps returns the data of all steps of a run in order.
func (tx *Tx) Steps(run string) (data []json.RawMessage, err error) {
	err = tx.each("SELECT data FROM steps WHERE run = $1 ORDER BY step", []any{run}, func(rows *sql.Rows) error {
		var one json.RawMessage
		err := rows.Scan((*rawText)(&one))
		data = append(data, one)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("steps of run %s: %w", run, err)
	}
	return data, nil
}

// DropSteps forgets all steps of a run; none is no error.
func (tx *Tx) DropSteps(run string) error {
	if _, err := tx.exec("DELETE FROM steps WHERE run = $1", run); err != nil {
		return fmt.Errorf("drop steps of run %s: %w", run, err)
	}
	return nil
}

// TrimSteps forgets the steps of a run below step: the last one is all that goes on. Whoever trims must look at [Tx.LastStep] before
// [Tx.PutStep] in the same transaction, since a step that is gone is no fence any more.
func (tx *Tx) TrimSteps(run string, step int) error {
	if _, err := tx.exec("DELETE FROM steps WHERE run = $1 AND step < $2", run, step); err != nil {
		return fmt.Errorf("trim steps of run %s: %w", run, err)
	}
	return nil
}
