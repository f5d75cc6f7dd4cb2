package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/store"
)

// kindState holds one document per flow with what must change in the same transaction as its runs.
const kindState = "flowStates"

// state is a flow's place in time.
type state struct {
	// Active is the run that is going on; Queue are on-demand runs waiting for it. Runs of one flow never overlap.
	Active string   `json:"active,omitempty"`
	Queue  []string `json:"queue,omitempty"`
	// Watermark is the end of the last successful window, LastTick when the last run was planned; epoch milliseconds.
	Watermark int64 `json:"watermark,omitempty"`
	LastTick  int64 `json:"lastTick,omitempty"`
	// Cursor is where the next run goes on in a source that is a change feed ([weir.Chunk.Resume]); it moves with the watermark.
	Cursor weir.Checkpoint `json:"cursor,omitempty"`
	Past   past            `json:"past,omitzero"`
	// Keys are the files with the keys of what was read, Swept is when those of the source were listed last; see keySweep.
	Keys  []string `json:"keys,omitempty"`
	Swept int64    `json:"swept,omitempty"`
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// changeState reads a flow's state, lets change edit it and writes it back, in the caller's transaction.
func changeState(tx *store.Tx, scope weir.Scope, flowID string, change func(*state) error) error {
	d, err := tx.Get(kindState, scope, flowID)
	fresh := errors.Is(err, weir.ErrNotFound)
	if fresh {
		d = &weir.Doc{Kind: kindState, ID: flowID, Scope: scope, Body: json.RawMessage("{}")}
	} else if err != nil {
		return fmt.Errorf("read state of flow %s: %w", flowID, err)
	}
	var st state
	if err := d.Read(&st); err != nil {
		return fmt.Errorf("read state of flow %s: %w", flowID, err)
	}
	if err := change(&st); err != nil {
		return err
	}
	if d.Body, err = json.Marshal(st); err != nil {
		return err
	}
	if fresh {
		return tx.Insert(d, weir.Actor{})
	}
	return tx.Update(d, weir.Actor{})
}

func readState(tx *store.Tx, scope weir.Scope, flowID string) (st state, err error) {
	d, err := tx.Get(kindState, scope, flowID)
	if errors.Is(err, weir.ErrNotFound) {
		return st, nil
	}
	if err != nil {
		return st, fmt.Errorf("read state of flow %s: %w", flowID, err)
	}
	return st, d.Read(&st)
}
