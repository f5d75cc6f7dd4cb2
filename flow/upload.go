package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/ingest"
	"weir/lake"
	"weir/mapping"
	"weir/record"
	"weir/store"
)

// jobBatch promotes the uploaded files of a batch.
const jobBatch = "batch.promote"

// batchJob is its argument.
type batchJob struct {
	Scope weir.Scope `json:"scope"`
	Batch string     `json:"batch"`
}

// CompleteBatch hands a batch whose files are uploaded over to the workers, in the caller's transaction (schema-catalog-data §4.4).
func (e *Engine) CompleteBatch(tx *store.Tx, d *weir.Doc, by weir.Actor) error {
	if err := setBatch(d, map[string]any{"status": weir.BatchLoaded}); err != nil {
		return err
	}
	if err := tx.Update(d, by); err != nil {
		return err
	}
	_, err := tx.Enqueue(store.Job{Kind: jobBatch, Key: d.ID, Args: batchJob{d.Scope, d.ID}})
	return err
}

// setBatch changes members of a batch's body; its State follows its status.
func setBatch(d *weir.Doc, members any) error {
	raw, err := json.Marshal(members)
	if err != nil {
		return err
	}
	if d.Body, err = overlay(d.Body, raw); err != nil {
		return fmt.Errorf("batch %s: %w", d.ID, err)
	}
	var b weir.Batch
	if err := d.Read(&b); err != nil {
		return fmt.Errorf("batch %s: %w", d.ID, err)
	}
	d.State = b.Status
	return nil
}

// batchStep promotes one batch. Everything before its last transaction can be repeated.
func (e *Engine) batchStep(ctx context.Context, t *store.Task) error {
	var job batchJob
	if err := json.Unmarshal(t.Args, &job); err != nil {
		return fmt.Errorf("read job arguments: %w", err)
	}
	u := &upload{e: e, batchJob: job, task: t}
	live, err := u.begin(ctx)
	if err != nil || !live {
		return err
	}
	err = u.promote(ctx)
	if err == nil {
		err = u.finish(ctx)
	}
	var fault *weir.Error
	switch {
	case err == nil:
		u.sweep(ctx)
		return nil
	case errors.Is(err, weir.ErrConflict), ctx.Err() != nil:
		return err
	case errors.As(err, &fault) || t.Failures+1 >= maxAttempts:
		e.Log.Warn("batch failed", "batch", job.Batch, "error", err)
		return u.fail(ctx, err)
	}
	e.Log.Warn("batch will be tried again", "batch", job.Batch, "attempt", t.Attempt, "error", err)
	return err
}

// upload is a batch at work.
type upload struct {
	e *Engine
	batchJob
	task  *store.Task
	batch weir.Batch
	free  bool // the dataset asks for no checks (acp_validationContext)

	files  int64 // uploaded files
	bytes  int64
	names  map[string]string // part name → uploaded path
	report ingest.Report
}

// begin notes that the batch is processed; false if it no longer waits for that.
func (u *upload) begin(ctx context.Context) (live bool, err error) {
	err = u.e.Store.Tx(ctx, func(tx *store.Tx) error {
		live = false
		d, err := tx.Get(weir.KindBatch, u.Scope, u.Batch)
		if errors.Is(err, weir.ErrNotFound) {
			return u.task.Complete(tx)
		}
		if err != nil {
			return err
		}
		if err := d.Read(&u.batch); err != nil {
			return fmt.Errorf("read batch %s: %w", d.ID, err)
		}
		switch u.batch.Status {
		case weir.BatchLoaded, weir.BatchQueued, weir.BatchProcessing:
		default:
			return u.task.Complete(tx)
		}
		live = true
		if u.batch.Status == weir.BatchProcessing {
			return nil
		}
		u.batch.Status, u.batch.Started = weir.BatchProcessing, u.e.Now().UnixMilli()
		if err := setBatch(d, map[string]any{"status": u.batch.Status, "started": u.batch.Started}); err != nil {
			return err
		}
		return tx.Update(d, weir.Actor{User: d.UpdatedBy, Client: d.UpdatedClient})
	})
	return live, err
}

// promote stages the uploaded files as records and runs the promotion.
func (u *upload) promote(ctx context.Context) error {
	e := u.e
	t, err := e.loadTarget(ctx, u.Scope, u.batch.Dataset())
	if err != nil {
		return err
	}
	if err := t.table.Discard(ctx, u.Batch); err != nil {
		return fmt.Errorf("discard an earlier promotion: %w", err)
	}
	if err := e.Lake.DropStage(ctx, u.Batch); err != nil {
		return fmt.Errorf("discard an earlier stage: %w", err)
	}
	parts, err := u.stage(ctx, t.schema)
	if err != nil {
		return err
	}
	schema := t.schema
	if u.free, err = u.unchecked(ctx); err != nil {
		return err
	}
	if u.free {
		schema = withoutChecks(schema)
	}
	program, err := mapping.NewStrict(schema, u.format().Format == "json" && !u.free) // texts of CSV files without a zone are UTC (Q43)
	if err != nil {
		return err
	}
	u.report, err = ingest.Promote(ctx, ingest.Job{
		Lake: e.Lake, Table: t.table, Schema: schema, Program: compiled{program}, Parts: parts, Run: u.Batch, Batch: u.Batch, Now: fromMillis(u.batch.Started),
		Diagnostics: u.batch.Diagnostics(), Filename: func(p lake.Part) string { return u.names[p.Name] }, Workers: e.PromoteThreads, Log: e.Log.With("batch", u.Batch),
	})
	if err != nil {
		return err
	}
	if r := &u.report; r.Failed > 0 && float64(r.Failed)*100 > u.batch.Percent()*float64(r.In) {
		return weir.Errorf("INGEST-1212-400", "%d of %d rows have errors, more than the %s %% that the batch tolerates; no row was ingested.",
			r.Failed, r.In, strconv.FormatFloat(u.batch.Percent(), 'g', -1, 64))
	}
	return nil
}

// unchecked reports whether the dataset switches validation off.
func (u *upload) unchecked(ctx context.Context) (off bool, err error) {
	err = u.e.Store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(weir.KindDataset, u.Scope, u.batch.Dataset())
		if err != nil {
			return missing(err, "dataset", u.batch.Dataset())
		}
		var body struct {
			Tags map[string]weir.TextList `json:"tags"`
		}
		if err := d.Read(&body); err != nil {
			return err
		}
		off = slices.Contains(body.Tags["acp_validationContext"], "disabled")
		return nil
	})
	return off, err
}

// withoutChecks copies a schema and takes the constraints out of it; types stay.
func withoutChecks(s *record.Schema) *record.Schema {
	out := *s
	out.Fields = make([]record.Field, len(s.Fields))
	for i, f := range s.Fields {
		out.Fields[i] = freeField(f)
	}
	return &out
}

func freeField(f record.Field) record.Field {
	f.Check, f.Required = nil, false
	if f.Elem != nil {
		e := freeField(*f.Elem)
		f.Elem = &e
	}
	fields := make([]record.Field, len(f.Fields))
	for i := range f.Fields {
		fields[i] = freeField(f.Fields[i])
	}
	if f.Fields != nil {
		f.Fields = fields
	}
	return f
}

// finish makes the rows and the batch's success visible, and hides the batches that it replaces, in one transaction.
func (u *upload) finish(ctx context.Context) error {
	for {
		err := u.publish(ctx)
		if !errors.Is(err, errTableMoved) {
			return err
		}
	}
}

func (u *upload) publish(ctx context.Context) error {
	e := u.e
	t, err := e.loadTarget(ctx, u.Scope, u.batch.Dataset())
	if err != nil {
		return err
	}
	replaced, err := u.predecessors(ctx)
	if err != nil {
		return err
	}
	gone, rest, err := t.table.Without(ctx, replaced)
	if err != nil {
		return err
	}
	files := slices.Concat(rest, u.report.Files)
	location, err := t.table.Replace(ctx, gone, files, map[string]string{"weir.batch-id": u.Batch})
	if err != nil {
		t.discard(ctx, rest)
		return fmt.Errorf("append to table: %w", err)
	}
	err = u.commit(ctx, t, location, replaced, files)
	if errors.Is(err, errTableMoved) {
		t.discard(ctx, rest)
	}
	return err
}

// commit makes all of it current.
func (u *upload) commit(ctx context.Context, t *target, location string, replaced []string, files []lake.DataFile) error {
	return u.e.Store.Tx(ctx, func(tx *store.Tx) error {
		if location != t.location {
			if err := tx.SwapTable(t.ident.Namespace, t.ident.Name, t.location, location); err != nil {
				if errors.Is(err, weir.ErrConflict) {
					return errTableMoved
				}
				return err
			}
		}
		for _, id := range replaced {
			if err := u.hide(tx, id); err != nil {
				return err
			}
		}
		if err := u.end(tx, weir.BatchSuccess, u.errors(nil)); err != nil {
			return err
		}
		if err := u.task.Complete(tx); err != nil {
			return err
		}
		return t.table.Publish(files)
	})
}

// predecessors are the ids of the successful batches of the dataset that this one replaces.
func (u *upload) predecessors(ctx context.Context) (ids []string, err error) {
	r := u.batch.Replay
	if r == nil {
		return nil, nil
	}
	err = u.e.Store.View(ctx, func(tx *store.Tx) error {
		ids = nil
		for _, q := range []struct {
			path   []string
			values []string
		}{{[]string{"id"}, r.Predecessors}, {[]string{"externalId"}, r.PredecessorsByExternal}} {
			if len(q.values) == 0 {
				continue
			}
			docs, _, err := tx.Find(store.Query{Kind: weir.KindBatch, Scopes: []weir.Scope{u.Scope}, Where: []store.Cond{
				{Path: q.path, Op: store.Eq, Values: q.values}, {Path: []string{"status"}, Op: store.Eq, Values: []string{weir.BatchSuccess}},
			}})
			if err != nil {
				return err
			}
			for _, d := range docs {
				var b weir.Batch
				if err := d.Read(&b); err != nil {
					return err
				}
				if b.Dataset() == u.batch.Dataset() && !slices.Contains(ids, d.ID) {
					ids = append(ids, d.ID)
				}
			}
		}
		return nil
	})
	return ids, err
}

// hide marks a replaced batch.
func (u *upload) hide(tx *store.Tx, id string) error {
	d, err := tx.Get(weir.KindBatch, u.Scope, id)
	if err != nil {
		return err
	}
	var b weir.Batch
	if err := d.Read(&b); err != nil {
		return err
	}
	b.Tag("acp_successor", u.Batch)
	if err := setBatch(d, map[string]any{"status": weir.BatchInactive, "tags": b.Tags}); err != nil {
		return err
	}
	return tx.Update(d, weir.Actor{User: d.UpdatedBy, Client: d.UpdatedClient})
}

// errors are the batch's errors (§4.7): one summary and one entry per code with diagnostics, a single entry without. A fault that is not
// about rows comes alone.
func (u *upload) errors(fault error) []weir.RunError {
	r := &u.report
	switch {
	case r.Failed == 0 && fault == nil:
		return nil
	case r.Failed == 0:
		return []weir.RunError{{Code: batchCode(fault), Message: faultText(fault)}}
	case !u.batch.Diagnostics():
		return []weir.RunError{{
			Code:    "INGEST-1211-400",
			Message: fmt.Sprintf("%d of %d rows had errors. Send enableErrorDiagnostics with the batch to keep and see them.", r.Failed, r.In),
		}}
	}
	ingested := r.Out
	if fault != nil {
		ingested = 0
	}
	out := []weir.RunError{{
		Code:    "INGEST-1212-400",
		Message: fmt.Sprintf("Encountered %d errors in the data; ingested %d rows. The rows with errors are in the diagnostics files.", r.Failed, ingested),
	}}
	return append(out, r.Errors...)
}

// batchCode is a fault's code as batches list it: 106 and 118 stand alone.
func batchCode(err error) string {
	code := weir.CodeOf(err)
	switch {
	case code == "":
		return "unknown"
	case strings.HasPrefix(code, "INGEST-106-"), strings.HasPrefix(code, "INGEST-118-"):
		return strings.Split(code, "-")[1]
	}
	return code
}

// fail ends the batch without any row.
func (u *upload) fail(ctx context.Context, fault error) error {
	err := u.e.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := u.end(tx, weir.BatchFailed, u.errors(fault)); err != nil {
			return err
		}
		return u.task.Complete(tx)
	})
	if err != nil {
		return err
	}
	for _, f := range u.report.Files {
		if name, ok := u.e.Lake.Bucket().Name(f.URI); ok {
			_ = u.e.Lake.Bucket().Delete(context.WithoutCancel(ctx), name)
		}
	}
	u.sweep(ctx)
	return nil
}

// end writes the final status and figures.
func (u *upload) end(tx *store.Tx, status string, errs []weir.RunError) error {
	d, err := tx.Get(weir.KindBatch, u.Scope, u.Batch)
	if err != nil {
		return err
	}
	var b weir.Batch
	if err := d.Read(&b); err != nil {
		return fmt.Errorf("read batch %s: %w", d.ID, err)
	}
	r := &u.report
	b.Finish(status, weir.BatchOutcome{
		In: r.In, Out: r.Out, Failed: r.Failed, Mapper: r.Mapper, BytesIn: u.bytes, BytesOut: r.BytesOut, FilesIn: u.files, FilesOut: int64(len(r.Files)), Errors: errs,
	}, u.e.Now().UnixMilli())
	if err := setBatch(d, b); err != nil {
		return err
	}
	if err := tx.Update(d, weir.Actor{User: d.UpdatedBy, Client: d.UpdatedClient}); err != nil {
		return err
	}
	return u.e.datasetBatch(tx, u.Scope, &plan{Batch: u.Batch, Dataset: u.batch.Dataset()}, status)
}

// sweep removes what only the promotion needed.
func (u *upload) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := errors.Join(u.e.Lake.DropStage(ctx, u.Batch), u.e.Lake.Bucket().DeleteAll(ctx, lake.UploadDir(u.Batch))); err != nil {
		u.e.Log.Warn("uploaded files could not be removed", "batch", u.Batch, "error", err)
	}
}
