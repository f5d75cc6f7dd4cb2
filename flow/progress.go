package flow

import (
	"context"
	"encoding/json"
	"fmt"

	"weir"
	"weir/lake"
	"weir/store"
)

// Steps of a run. Step n may only be written by whoever saw step n-1 last: that is the fence against a worker that was
// thought dead and comes back. Copying writes any number of steps from stepFrozen+1 on.
const (
	stepPlanned = 0
	stepFrozen  = 1
)

// window is a weir.Window as epoch milliseconds; Start 0 is no lower bound.
type window struct {
	Start int64 `json:"start,omitempty"`
	End   int64 `json:"end"`
}

func (w window) times() weir.Window {
	return weir.Window{Start: fromMillis(w.Start), End: fromMillis(w.End)}
}

// plan is what a run does. Flow, Window, Type and Replay are set when the run is recorded; the rest is frozen by the first step, so that
// changes of the flow's parts take effect from the next run on.
type plan struct {
	Flow   string `json:"flow"`
	Window window `json:"window"`
	Type   string `json:"type"`
	Replay Replay `json:"replay,omitzero"` // of which batch the run takes the rejected rows

	Started     int64           `json:"started,omitempty"`
	Source      string          `json:"source,omitempty"`
	Target      string          `json:"target,omitempty"`
	Connection  string          `json:"connection,omitempty"`
	Spec        string          `json:"spec,omitempty"`
	Params      json.RawMessage `json:"params,omitempty"`
	Dataset     string          `json:"dataset,omitempty"`
	Mapping     string          `json:"mapping,omitempty"`
	MapVersion  int64           `json:"mappingVersion,omitempty"`
	Diagnostics bool            `json:"diagnostics,omitempty"`
	Percent     float64         `json:"percent,omitempty"`
	Batch       string          `json:"batch,omitempty"`
	CopyRun     string          `json:"copyRun,omitempty"`
}

// copied is how far the copy is.
type copied struct {
	Next     weir.Checkpoint `json:"next,omitempty"`
	Done     bool            `json:"done,omitempty"`
	Resume   weir.Checkpoint `json:"resume,omitempty"`
	Parts    []lake.Part     `json:"parts,omitempty"`
	Pages    int64           `json:"pages"`
	Records  int64           `json:"records"`
	Bytes    int64           `json:"bytes"`
	Ended    int64           `json:"ended,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Shape    weir.Shape      `json:"shape"`
	// Restarts counts how often the source began anew; Unchanged says that it has nothing new because nothing has changed.
	Past      past `json:"past,omitzero"` // of the flow, when the run began
	Restarts  int  `json:"restarts,omitempty"`
	Unchanged bool `json:"unchanged,omitempty"`
}

// progress is the checkpoint of a run: each step stores all of it.
type progress struct {
	Plan     plan      `json:"plan"`
	Copy     copied    `json:"copy"`
	Promoted *promoted `json:"promoted,omitempty"`
	Deaths   deaths    `json:"deaths,omitzero"`
	Sweep    *swept    `json:"sweep,omitempty"`
	// Known and SweptAt are Keys and Swept of the flow when the run began.
	Known   []string `json:"known,omitempty"`
	SweptAt int64    `json:"sweptAt,omitempty"`

	step int // the last step that is durable
}

// deaths counts how often the process died at a job of a run, up to a checkpoint.
type deaths struct {
	Job string `json:"job"`
	N   int    `json:"n"`
}

// maxDeaths is how often the process may die at a step, without a checkpoint in between, before the run is taken for the cause.
const maxDeaths = 100

// deadly fails a run at which the process has died over and over: nothing else would stop it from doing so for ever.
func (e *Engine) deadly(ctx context.Context, r *running) error {
	n := r.task.Deaths
	if n < maxDeaths {
		return nil
	}
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if pr.Deaths.Job == r.task.Kind {
		n -= pr.Deaths.N
	}
	if n < maxDeaths {
		return nil
	}
	return weir.Errorf("CONNECTOR-1101-500", "the process ended %d times in a row during %s without a checkpoint in between, so this run is not tried again; look at the process's log and memory limit, then start another run", n, r.task.Kind)
}

// load reads a run's last checkpoint.
func (e *Engine) load(ctx context.Context, r *running) (pr progress, err error) {
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		pr, err = readProgress(tx, r.Run)
		return err
	})
	return pr, err
}

func readProgress(tx *store.Tx, run string) (pr progress, err error) {
	step, data, err := tx.LastStep(run)
	switch {
	case err != nil:
		return pr, fmt.Errorf("read checkpoint of run %s: %w", run, err)
	case step < 0:
		return pr, fmt.Errorf("run %s has no checkpoint: %w", run, weir.ErrNotFound)
	case step == stepPlanned:
		err = json.Unmarshal(data, &pr.Plan)
	default:
		err = json.Unmarshal(data, &pr)
	}
	pr.step = step
	return pr, err
}

// save writes the next checkpoint inside tx; [weir.ErrConflict] if another worker was there first.
func (pr *progress) save(tx *store.Tx, run string) error {
	last, _, err := tx.LastStep(run)
	if err != nil {
		return err
	}
	if last != pr.step {
		return fmt.Errorf("run %s is at step %d, not %d: %w", run, last, pr.step, weir.ErrConflict)
	}
	data, err := json.Marshal(pr)
	if err != nil {
		return err
	}
	if err := tx.PutStep(run, pr.step+1, data); err != nil || (pr.step+1)%keptSteps != 0 {
		return err
	}
	return tx.TrimSteps(run, pr.step+1) // only the last one is ever read: a long run does not pile them up
}

// keptSteps is how many checkpoints of a run there are at most.
const keptSteps = 16

// checkpoint saves and, in the same transaction, does whatever must happen with it.
func (e *Engine) checkpoint(ctx context.Context, r *running, pr *progress, also ...func(tx *store.Tx) error) error {
	pr.Deaths = deaths{}
	if r.task.Deaths > 0 {
		pr.Deaths = deaths{Job: r.task.Kind, N: r.task.Deaths}
	}
	err := e.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := pr.save(tx, r.Run); err != nil {
			return err
		}
		for _, do := range also {
			if err := do(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		pr.step++
	}
	return err
}
