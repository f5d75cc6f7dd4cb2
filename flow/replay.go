package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/ingest"
	"weir/store"
)

// kindRejected holds one document per batch of a flow that rejected rows and kept them: its id is the batch's. It says what a replay needs and
// who did it, so that no row is replayed twice.
const kindRejected = "rejectedRows"

// rejected is such a document.
type rejected struct {
	Run     string `json:"run"`
	Flow    string `json:"flow"`
	Dataset string `json:"dataset"`
	Wrapper string `json:"wrapper,omitempty"` // of the records, see [weir.Shape]
	Rows    int64  `json:"rows"`              // rejected rows; Corrupt of them were no JSON and cannot be replayed
	Corrupt int64  `json:"corrupt,omitempty"`
	Replay  string `json:"replay,omitempty"` // the run that replays the rows, or has done so
	Batch   string `json:"batch,omitempty"`  // what that run made of them, once it has succeeded
}

// Replay is the parameter of a run that replays rejected rows, as its params show it.
type Replay struct {
	// Batch is whose rows are replayed.
	Batch string `json:"batchId"`
	// MappingVersion is the version of the flow's mapping set to use, 0 for the one that the flow names.
	MappingVersion int64 `json:"mappingVersion,omitempty"`
}

// BatchOf is the batch that a run wrote, "" for none.
func BatchOf(run *weir.Run) string {
	for _, a := range run.Activities {
		for _, end := range a.TargetInfo {
			if end.Reference.Type == "Batch" && len(end.Reference.IDs) > 0 {
				return end.Reference.IDs[0]
			}
		}
	}
	return ""
}

// noReplay is a replay that is refused.
func noReplay(format string, args ...any) error {
	return weir.Errorf("CONNECTOR-1387-400", format, args...)
}

// Replay starts a run that takes the rejected rows of a successful batch of a flow through the flow's mapping set again, in the caller's transaction.
// The rows that fit now come into the dataset as the run's own batch, exactly once: a batch is replayed by one run, unless that fails. Rows that do
// not fit again are rejected rows of the new batch.
func (e *Engine) Replay(tx *store.Tx, scope weir.Scope, s Replay, by weir.Actor) (*weir.Doc, error) {
	batch, err := tx.Get(weir.KindBatch, scope, s.Batch)
	if err != nil {
		return nil, err
	}
	d, rej, err := readRejected(tx, scope, s.Batch)
	if err != nil {
		return nil, err
	}
	if rej, err = again(tx, scope, rej); err != nil {
		return nil, err
	}
	switch {
	case d == nil:
		return nil, noReplay("Batch %s has no rejected rows of a flow that were kept. Rows are kept where error diagnostics are on; corrected rows of uploads go into a batch of their own.", s.Batch)
	case batch.State != weir.BatchSuccess:
		return nil, noReplay("Batch %s is %s; only rejected rows of successful batches can be replayed.", s.Batch, batch.State)
	case rej.Batch != "":
		return nil, noReplay("The rejected rows of batch %s were replayed by run %s into batch %s. Replay that batch to go on with the rows that it rejected.", s.Batch, rej.Replay, rej.Batch)
	case rej.Replay != "":
		return nil, noReplay("The rejected rows of batch %s are being replayed by run %s.", s.Batch, rej.Replay)
	case rej.Rows == rej.Corrupt:
		return nil, noReplay("None of the %d rejected rows of batch %s can be replayed: they are no JSON.", rej.Rows, s.Batch)
	}
	flow, err := tx.Get(weir.KindFlow, scope, rej.Flow)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, noReplay("Flow %s of batch %s no longer exists.", rej.Flow, s.Batch)
	}
	if err != nil {
		return nil, err
	}
	if flow.State != "enabled" {
		return nil, weir.Errorf("CONNECTOR-1388-400", "Flow %s is %s. Enable it first.", flow.ID, flow.State)
	}
	params, err := json.Marshal(map[string]Replay{"replay": s})
	if err != nil {
		return nil, err
	}
	run, err := e.StartRun(tx, flow, Start{Type: "replay", Params: params, Predecessor: rej.Run, Replay: s, By: by})
	if err != nil {
		return nil, err
	}
	rej.Replay = run.ID
	return run, writeRejected(tx, d, rej)
}

// again frees the rows of a replay whose batch was reverted, unless rows that it rejected in turn went elsewhere.
func again(tx *store.Tx, scope weir.Scope, rej rejected) (rejected, error) {
	if rej.Batch == "" {
		return rej, nil
	}
	b, err := tx.Get(weir.KindBatch, scope, rej.Batch)
	if errors.Is(err, weir.ErrNotFound) {
		return rej, nil
	}
	if err != nil || b.State != weir.BatchInactive {
		return rej, err
	}
	if _, next, err := readRejected(tx, scope, rej.Batch); err != nil || next.Replay != "" {
		return rej, err
	}
	rej.Replay, rej.Batch = "", ""
	return rej, nil
}

func readRejected(tx *store.Tx, scope weir.Scope, batch string) (d *weir.Doc, rej rejected, err error) {
	d, err = tx.Get(kindRejected, scope, batch)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, rej, nil
	}
	if err != nil {
		return nil, rej, fmt.Errorf("read what batch %s rejected: %w", batch, err)
	}
	return d, rej, d.Read(&rej)
}

func writeRejected(tx *store.Tx, d *weir.Doc, rej rejected) (err error) {
	if d.Body, err = json.Marshal(rej); err != nil {
		return err
	}
	return tx.Update(d, weir.Actor{})
}

// keepRejected notes what a successful batch rejected, if the rows are kept.
func keepRejected(tx *store.Tx, job runJob, pr *progress) error {
	p := pr.Promoted
	if p == nil || p.Failed == 0 || !pr.Plan.Diagnostics {
		return nil
	}
	rej := rejected{Run: job.Run, Flow: pr.Plan.Flow, Dataset: pr.Plan.Dataset, Wrapper: pr.Copy.Shape.Wrapper, Rows: p.Failed}
	for _, e := range p.Errors {
		if e.Code == "INGEST-1401-400" {
			rej.Corrupt = e.RecordCount
		}
	}
	body, err := json.Marshal(rej)
	if err != nil {
		return err
	}
	return tx.Insert(&weir.Doc{Kind: kindRejected, ID: pr.Plan.Batch, Scope: job.Scope, Body: body}, weir.Actor{})
}

// endReplay settles a replay with the end of its run: the rows are used up, or free to be replayed again.
func (e *Engine) endReplay(tx *store.Tx, job runJob, p *plan, done bool) error {
	if p.Replay.Batch == "" {
		return nil
	}
	d, rej, err := readRejected(tx, job.Scope, p.Replay.Batch)
	if err != nil || d == nil || rej.Replay != job.Run {
		return err
	}
	if !done {
		rej.Replay = ""
		return writeRejected(tx, d, rej)
	}
	rej.Batch = p.Batch
	if err := writeRejected(tx, d, rej); err != nil {
		return err
	}
	b, err := tx.Get(weir.KindBatch, job.Scope, p.Replay.Batch)
	if errors.Is(err, weir.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var body weir.Batch
	if err := b.Read(&body); err != nil {
		return fmt.Errorf("read batch %s: %w", b.ID, err)
	}
	body.Tag("weir/replayedBy", p.Batch)
	if err := setBatch(b, map[string]any{"tags": body.Tags}); err != nil {
		return err
	}
	return tx.Update(b, weir.Actor{User: b.UpdatedBy, Client: b.UpdatedClient})
}

// sourceStep is the first step of a run: the copy from its source, or from the rows that a batch rejected.
func (e *Engine) sourceStep(ctx context.Context, r *running) error {
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if pr.Plan.Replay.Batch == "" {
		return e.copyStep(ctx, r)
	}
	return e.replayStep(ctx, r, &pr)
}

// replayStep stages the rejected rows of a batch in the place of a source's records. All of it can be repeated up to its checkpoint.
func (e *Engine) replayStep(ctx context.Context, r *running, pr *progress) error {
	var rej rejected
	planned := *pr
	err := e.Store.Tx(ctx, func(tx *store.Tx) error {
		*pr = planned
		d, found, err := readRejected(tx, r.Scope, pr.Plan.Replay.Batch)
		if err != nil {
			return err
		}
		if d == nil || found.Replay != r.Run {
			return noReplay("The rejected rows of batch %s are not there for this run.", pr.Plan.Replay.Batch)
		}
		rej = found
		if pr.step > stepPlanned {
			return nil
		}
		if err := e.freezePlan(tx, r, &pr.Plan); err != nil {
			return err
		}
		p := &pr.Plan
		if p.Diagnostics, p.Percent = true, 100; p.Replay.MappingVersion > 0 { // what does not fit again must not be lost
			p.MapVersion = p.Replay.MappingVersion
		}
		if p.Dataset != rej.Dataset {
			return noReplay("Batch %s is of dataset %s; its flow now writes into dataset %s.", p.Replay.Batch, rej.Dataset, p.Dataset)
		}
		if err := pr.save(tx, r.Run); err != nil {
			return err
		}
		return e.report(tx, r.runJob, pr, weir.RunInProgress, nil)
	})
	if err != nil {
		return err
	}
	if pr.step == stepPlanned {
		pr.step++
	}
	if err := e.stageRejected(ctx, r, pr, &rej); err != nil {
		return err
	}
	e.fail(FailReplayed)
	return e.checkpoint(ctx, r, pr,
		func(tx *store.Tx) error { return enqueue(tx, jobPromote, r.runJob, pr.step+2) },
		func(tx *store.Tx) error { return e.report(tx, r.runJob, pr, weir.RunInProgress, nil) },
		r.task.Complete)
}

// stageRejected writes the rows as one part of the stage.
func (e *Engine) stageRejected(ctx context.Context, r *running, pr *progress, rej *rejected) error {
	if err := e.Lake.DropStage(ctx, r.Run); err != nil {
		return fmt.Errorf("discard an earlier stage: %w", err)
	}
	w, err := e.Lake.NewPart(ctx, r.Run, pr.step+1)
	if err != nil {
		return fmt.Errorf("open stage: %w", err)
	}
	defer w.Abort()
	records, corrupt, err := ingest.Rejected(ctx, e.Lake.Bucket(), pr.Plan.Replay.Batch, w.Append)
	if err != nil {
		return fmt.Errorf("stage the rejected rows of batch %s: %w", pr.Plan.Replay.Batch, err)
	}
	if records+corrupt != rej.Rows || corrupt != rej.Corrupt {
		return noReplay("Batch %s rejected %d rows, %d of them are still there. Diagnostics are kept for %d days.", pr.Plan.Replay.Batch, rej.Rows, records+corrupt, diagnosticsAge/(24*time.Hour))
	}
	part, err := w.Sync()
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("write stage: %w", err)
	}
	c := &pr.Copy
	*c = copied{Done: true, Pages: 1, Records: part.Records, Bytes: part.Bytes, Ended: e.Now().UnixMilli(), Shape: weir.Shape{Wrapper: rej.Wrapper}}
	c.Parts = append(c.Parts, part)
	if corrupt > 0 {
		c.Warnings = []string{fmt.Sprintf("%d rejected rows of batch %s are no JSON and cannot be replayed", corrupt, pr.Plan.Replay.Batch)}
	}
	return nil
}
