package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"weir"
	"weir/lake"
	"weir/store"
)

// finishStep makes a run's outcome current: table pointer, batch, run, watermark, flow and the job's completion change in one
// transaction. Before it nothing of the run can be read; after it everything can. If another batch moved the table meanwhile, the
// table is loaded again and the step repeated.
func (e *Engine) finishStep(ctx context.Context, r *running) error {
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if pr.Promoted == nil {
		return fmt.Errorf("run %s has nothing promoted: %w", r.Run, weir.ErrConflict)
	}
	for {
		err := e.publish(ctx, r, &pr)
		if !errors.Is(err, errTableMoved) {
			if err == nil {
				e.fail(FailCommitted)
			}
			return err
		}
		r.log.Info("another batch moved the table, appending again")
	}
}

var errTableMoved = errors.New("the table moved")

// publish appends the files to the table as it is now, and commits everything.
func (e *Engine) publish(ctx context.Context, r *running, pr *progress) error {
	var files []lake.DataFile
	if len(pr.Promoted.Files) > 0 {
		if err := json.Unmarshal(pr.Promoted.Files, &files); err != nil {
			return fmt.Errorf("read promoted files: %w", err)
		}
	}
	t, err := e.loadTarget(ctx, r.Scope, pr.Plan.Dataset)
	if err != nil {
		return err
	}
	location := t.location
	if len(files) > 0 {
		location, err = t.table.Append(ctx, files, map[string]string{
			"weir.batch-id": pr.Plan.Batch, "weir.run-id": r.Run, "weir.flow-id": pr.Plan.Flow,
		})
		if err != nil {
			return fmt.Errorf("append to table: %w", err)
		}
	}
	e.fail(FailAppended)
	return e.Store.Tx(ctx, func(tx *store.Tx) error {
		if location != t.location {
			if err := tx.SwapTable(t.ident.Namespace, t.ident.Name, t.location, location); err != nil {
				if errors.Is(err, weir.ErrConflict) {
					return errTableMoved
				}
				return err
			}
		}
		if err := e.commit(tx, r, pr); err != nil {
			return err
		}
		// The files appear under their names as the last act before the commit: a moment earlier nobody can find them.
		return t.table.Publish(files)
	})
}

// commit writes the successful outcome of a run into the documents.
func (e *Engine) commit(tx *store.Tx, r *running, pr *progress) error {
	if err := pr.save(tx, r.Run); err != nil {
		return err
	}
	if err := e.report(tx, r.runJob, pr, weir.RunSuccess, nil); err != nil {
		return err
	}
	if err := e.endBatch(tx, r.Scope, pr, weir.BatchSuccess, nil); err != nil {
		return err
	}
	if err := keepRejected(tx, r.runJob, pr); err != nil {
		return err
	}
	if err := e.endReplay(tx, r.runJob, &pr.Plan, true); err != nil {
		return err
	}
	if err := e.lastRun(tx, r.runJob, pr, weir.RunSuccess); err != nil {
		return err
	}
	w := pr.Plan.Window
	err := release(tx, r.runJob, pr.Plan.Flow, func(st *state) {
		if w.End > st.Watermark && w.Start <= st.Watermark {
			st.Watermark = w.End
		}
		if pr.Copy.Resume != nil {
			st.Cursor = pr.Copy.Resume
		}
		if pr.Sweep != nil {
			st.Keys, st.Swept = pr.Sweep.Known, pr.Sweep.At
		}
		if pr.counts() {
			st.Past = st.Past.after(pr.Copy.Records)
		}
	})
	if err != nil {
		return err
	}
	if err := enqueue(tx, jobSweep, r.runJob, pr.step+2); err != nil {
		return err
	}
	return r.task.Complete(tx)
}

// failRun ends a run that cannot succeed, from its last checkpoint.
func (e *Engine) failRun(ctx context.Context, r *running, fault error) error {
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	return e.endRun(ctx, r, &pr, fault)
}

// endRun records a failed run: the watermark stays, nothing becomes readable.
func (e *Engine) endRun(ctx context.Context, r *running, pr *progress, fault error) error {
	if pr.Plan.Started == 0 {
		pr.Plan.Started = e.Now().UnixMilli()
	}
	return e.checkpoint(ctx, r, pr, func(tx *store.Tx) error {
		if err := e.report(tx, r.runJob, pr, weir.RunFailed, fault); err != nil {
			return err
		}
		if err := e.endBatch(tx, r.Scope, pr, weir.BatchFailed, fault); err != nil {
			return err
		}
		if err := e.endReplay(tx, r.runJob, &pr.Plan, false); err != nil {
			return err
		}
		if err := e.lastRun(tx, r.runJob, pr, weir.RunFailed); err != nil {
			return err
		}
		if err := release(tx, r.runJob, pr.Plan.Flow, nil); err != nil {
			return err
		}
		if err := enqueue(tx, jobSweep, r.runJob, pr.step+2); err != nil {
			return err
		}
		return r.task.Complete(tx)
	})
}

// lastRun shows the run on its flow without changing the flow's etag (flow-service §8.8). A deleted flow is left alone.
func (e *Engine) lastRun(tx *store.Tx, job runJob, pr *progress, status string) error {
	flow, err := tx.Get(weir.KindFlow, job.Scope, pr.Plan.Flow)
	if errors.Is(err, weir.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	meta := map[string]json.RawMessage{}
	if len(flow.Meta) > 0 {
		if err := json.Unmarshal(flow.Meta, &meta); err != nil {
			return fmt.Errorf("read derived members of flow %s: %w", flow.ID, err)
		}
	}
	meta["lastRunDetails"], err = json.Marshal(map[string]any{
		"id": job.Run, "state": status, "startedAtUTC": pr.Plan.Started, "completedAtUTC": e.Now().UnixMilli(),
	})
	if err != nil {
		return err
	}
	if flow.Meta, err = json.Marshal(meta); err != nil {
		return err
	}
	return tx.Touch(flow)
}

// sweepStep removes what only the run needed: its stage and its checkpoints. It is a job of its own, enqueued with the run's end, so
// that it is not lost when the process dies in between.
func (e *Engine) sweepStep(ctx context.Context, r *running) error {
	if err := e.dropKeys(ctx, r); err != nil {
		return fmt.Errorf("remove keys of run %s: %w", r.Run, err)
	}
	if err := e.Lake.DropStage(ctx, r.Run); err != nil {
		return fmt.Errorf("remove stage of run %s: %w", r.Run, err)
	}
	return e.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.DropSteps(r.Run); err != nil {
			return err
		}
		return r.task.Complete(tx)
	})
}
