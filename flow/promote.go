package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"weir"
	"weir/ingest"
	"weir/mapping"
	"weir/record"
	"weir/store"
)

// promoteStep turns the stage into data files that nobody can find yet, and their row errors into diagnostics. A promotion that
// died is repeated from the stage: its files are discarded first.
func (e *Engine) promoteStep(ctx context.Context, r *running) error {
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if pr.Promoted == nil {
		if err := e.promote(ctx, r, &pr); err != nil {
			return err
		}
	}
	p := pr.Promoted
	if p.overThreshold(pr.Plan.Percent) || pr.Plan.Replay.Batch != "" && p.Out == 0 { // a replay that changes nothing may be repeated
		return e.rejectRun(ctx, r, &pr)
	}
	err = e.checkpoint(ctx, r, &pr,
		func(tx *store.Tx) error { return enqueue(tx, jobFinish, r.runJob, pr.step+2) },
		func(tx *store.Tx) error { return e.report(tx, r.runJob, &pr, weir.RunInProgress, nil) },
		r.task.Complete)
	if err == nil {
		e.fail(FailPromoteStep)
	}
	return err
}

// promote runs the promotion and notes what it did.
func (e *Engine) promote(ctx context.Context, r *running, pr *progress) error {
	started := e.Now().UnixMilli()
	t, err := e.loadTarget(ctx, r.Scope, pr.Plan.Dataset)
	if err != nil {
		return err
	}
	if err := t.table.Discard(ctx, pr.Plan.Batch); err != nil {
		return fmt.Errorf("discard an earlier promotion: %w", err)
	}
	var program ingest.Program
	err = e.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := e.beginBatch(tx, r, &pr.Plan); err != nil {
			return err
		}
		program, err = e.program(tx, r.Scope, pr, t.schema)
		return err
	})
	if err != nil {
		return err
	}
	rep, err := ingest.Promote(ctx, ingest.Job{
		Lake: e.Lake, Table: t.table, Schema: t.schema, Program: program, Parts: pr.Copy.Parts,
		Run: r.Run, Batch: pr.Plan.Batch, Now: fromMillis(pr.Plan.Started), Diagnostics: pr.Plan.Diagnostics, Workers: e.PromoteThreads, Log: r.log,
	})
	if err != nil {
		return err
	}
	e.fail(FailPromoted)
	if rep.In != pr.Copy.Records {
		return fmt.Errorf("the stage of run %s holds %d records, %d were copied", r.Run, rep.In, pr.Copy.Records)
	}
	p := &promoted{
		FileN: int64(len(rep.Files)), In: rep.In, Out: rep.Out, Failed: rep.Failed, Warned: rep.Warned, Kept: rep.WarnedKept, Mapper: rep.Mapper,
		BytesIn: rep.BytesIn, BytesOut: rep.BytesOut, Started: started, Ended: e.Now().UnixMilli(), Errors: rep.Errors, Warnings: rep.Warnings,
	}
	if p.Files, err = json.Marshal(rep.Files); err != nil {
		return err
	}
	pr.Promoted = p
	return nil
}

// rejectRun ends a run whose rows failed beyond the flow's threshold: its files are removed, nothing becomes readable.
func (e *Engine) rejectRun(ctx context.Context, r *running, pr *progress) error {
	t, err := e.loadTarget(ctx, r.Scope, pr.Plan.Dataset)
	if err != nil {
		return err
	}
	p := pr.Promoted
	fault := weir.Errorf("CONNECTOR-2001-500", "%d of %d rows failed, more than the %s %% that the flow tolerates; no row was ingested",
		p.Failed, p.In, strconv.FormatFloat(pr.Plan.Percent, 'g', -1, 64))
	if pr.Plan.Replay.Batch != "" {
		fault = weir.Errorf("CONNECTOR-2001-500", "none of the %d rows that batch %s rejected fits now; they can be replayed again", p.In, pr.Plan.Replay.Batch)
	}
	if err := e.endRun(ctx, r, pr, fault); err != nil {
		return err
	}
	if err := t.table.Discard(context.WithoutCancel(ctx), pr.Plan.Batch); err != nil {
		r.log.Warn("rejected data files could not be removed", "error", err)
	}
	return nil
}

// program compiles a run's mapping set, or the pass-through of records that have the schema's names already.
func (e *Engine) program(tx *store.Tx, scope weir.Scope, pr *progress, target *record.Schema) (ingest.Program, error) {
	if pr.Plan.Mapping == "" {
		p, err := mapping.NewPassThrough(target, pr.Copy.Shape)
		return compiled{p}, err
	}
	body, err := MappingSet(tx, scope, pr.Plan.Mapping, pr.Plan.MapVersion)
	if err != nil {
		if errors.Is(err, weir.ErrNotFound) {
			return nil, weir.Errorf("FLOW-1419-400", "mapping set %s version %d does not exist", pr.Plan.Mapping, pr.Plan.MapVersion)
		}
		return nil, err
	}
	set, err := mapping.ParseSet(body)
	if err != nil {
		return nil, err
	}
	p, err := mapping.NewProgram(set, target, pr.Copy.Shape)
	return compiled{p}, err
}
