package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"weir"
	"weir/lake"
	"weir/store"
)

// copyStep reads the source from the last checkpoint to its end, page by page, into the stage. After each page (local stage) or
// chunk of pages (remote stage) the data is durable first, then the checkpoint.
func (e *Engine) copyStep(ctx context.Context, r *running) error {
	pr, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if pr.step == stepPlanned {
		if err := e.freeze(ctx, r, &pr); err != nil {
			return err
		}
	}
	src, err := e.openSource(ctx, r, &pr.Plan)
	if err != nil && !pr.Copy.Done {
		return sourceFault(err)
	}
	if !pr.Copy.Done {
		pr.Copy.Shape = src.Shape()
		if err := e.copyInto(ctx, r, &pr, &pr.Copy, src.Pages(ctx, pr.Plan.Window.times(), pr.Copy.Next)); err != nil {
			return err
		}
		if pr.Copy.Done {
			e.silence(ctx, &pr, src)
		}
	}
	if pr.Copy.Done && src != nil {
		if err := e.findDeleted(ctx, r, &pr, src); err != nil {
			return err
		}
	}
	if !pr.Copy.Done || pr.Sweep != nil && !pr.Sweep.Done { // asked to stop at a checkpoint
		return store.Snooze(time.Second)
	}
	return e.checkpoint(ctx, r, &pr,
		func(tx *store.Tx) error { return enqueue(tx, jobPromote, r.runJob, pr.step+2) },
		func(tx *store.Tx) error { return e.report(tx, r.runJob, &pr, weir.RunInProgress, nil) },
		r.task.Complete)
}

// freeze reads what the run needs from the flow's parts as they are now, and shows the run as in progress.
func (e *Engine) freeze(ctx context.Context, r *running, pr *progress) error {
	planned := *pr
	err := e.Store.Tx(ctx, func(tx *store.Tx) error {
		*pr = planned
		if err := e.freezePlan(tx, r, &pr.Plan); err != nil {
			return err
		}
		st, err := readState(tx, r.Scope, pr.Plan.Flow)
		if err != nil {
			return err
		}
		pr.Copy.Next, pr.Copy.Past = st.Cursor, st.Past
		pr.Known, pr.SweptAt = st.Keys, st.Swept
		if err := pr.save(tx, r.Run); err != nil {
			return err
		}
		return e.report(tx, r.runJob, pr, weir.RunInProgress, nil)
	})
	if err == nil {
		pr.step++
	}
	return err
}

func (e *Engine) freezePlan(tx *store.Tx, r *running, p *plan) error {
	flow, err := tx.Get(weir.KindFlow, r.Scope, p.Flow)
	if err != nil {
		return missing(err, "flow", p.Flow)
	}
	var f weir.Flow
	if err := flow.Read(&f); err != nil {
		return weir.Errorf("FLOW-1400-500", "flow %s cannot be read: %v", p.Flow, err)
	}
	if len(f.SourceConnectionIDs) != 1 || len(f.TargetConnectionIDs) != 1 {
		return weir.Errorf("CONNECTOR-1321-400", "flow %s needs exactly one source and one target connection", p.Flow)
	}
	p.Source, p.Target = f.SourceConnectionIDs[0], f.TargetConnectionIDs[0]
	source, err := tx.Get(weir.KindSourceConnection, r.Scope, p.Source)
	if err != nil {
		return missing(err, "source connection", p.Source)
	}
	var sc weir.SourceConnection
	if err := source.Read(&sc); err != nil {
		return weir.Errorf("CONNECTOR-1014-400", "source connection %s cannot be read: %v", p.Source, err)
	}
	p.Connection, p.Spec, p.Params = sc.BaseConnectionID, sc.ConnectionSpec.ID, sc.Params
	target, err := tx.Get(weir.KindTargetConnection, r.Scope, p.Target)
	if err != nil {
		return missing(err, "target connection", p.Target)
	}
	var tc weir.TargetConnection
	if err := target.Read(&tc); err != nil {
		return weir.Errorf("CONNECTOR-1014-400", "target connection %s cannot be read: %v", p.Target, err)
	}
	if p.Dataset = tc.DatasetID(); p.Dataset == "" {
		return weir.Errorf("CONNECTOR-1325-400", "target connection %s names no params.dataSetId", p.Target)
	}
	for _, t := range f.Transformations {
		var m weir.MappingRef
		if t.Name == "Mapping" && json.Unmarshal(t.Params, &m) == nil {
			p.Mapping, p.MapVersion = m.MappingID, m.MappingVersion.Value
		}
	}
	p.Diagnostics, p.Percent = f.Options.Diagnostics(), f.Options.Percent()
	p.Started, p.Batch, p.CopyRun = e.Now().UnixMilli(), weir.NewBatchID(), weir.NewUUID()
	return nil
}

// missing says which part of a run is gone.
func missing(err error, what, id string) error {
	if errors.Is(err, weir.ErrNotFound) {
		return weir.Errorf("CONNECTOR-1003-404", "%s %s no longer exists", what, id)
	}
	return fmt.Errorf("read %s %s: %w", what, id, err)
}

// openSource binds and opens the run's source.
func (e *Engine) openSource(ctx context.Context, r *running, p *plan) (src Source, err error) {
	var b weir.Binding
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		var conn *weir.Doc
		if p.Connection != "" {
			if conn, err = tx.Get(weir.KindConnection, r.Scope, p.Connection); err != nil {
				return missing(err, "base connection", p.Connection)
			}
		}
		b, err = e.Bind(tx, r.Scope, p.Spec, conn, p.Params)
		b.SourceConnectionID = p.Source
		return err
	})
	if err != nil {
		return nil, err
	}
	return e.Open(ctx, b)
}

// copyInto pulls pages into stage parts until the source is exhausted or the process is asked to stop.
func (e *Engine) copyInto(ctx context.Context, r *running, pr *progress, into *copied, pages iter.Seq2[weir.Chunk, error]) error {
	c := &copier{e: e, r: r, pr: pr, into: into, at: *into}
	defer c.abort()
	for chunk, err := range pages {
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return sourceFault(err)
		}
		if err := c.add(ctx, chunk); err != nil {
			return err
		}
		if !chunk.PageEnd {
			continue
		}
		if err := c.endPage(ctx, chunk); err != nil {
			return err
		}
		if into.Done || r.drain.Err() != nil {
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return weir.Errorf("CONNECTOR-1101-500", "the source ended in the middle of a page")
}

// copier writes pages to the stage. at counts what was read; into, a part of pr, what is durable.
type copier struct {
	e     *Engine
	r     *running
	pr    *progress
	into  *copied
	at    copied
	part  *lake.PartWriter
	begun time.Time
}

func (c *copier) abort() {
	if c.part != nil {
		c.part.Abort()
	}
}

func (c *copier) add(ctx context.Context, chunk weir.Chunk) (err error) {
	if chunk.Restart {
		return c.restart(chunk)
	}
	if c.part == nil {
		if c.part, err = c.e.Lake.NewPart(ctx, c.r.Run, c.pr.step+1); err != nil {
			return fmt.Errorf("open stage: %w", err)
		}
		c.begun = c.e.Now()
	}
	if err := c.part.Append(chunk.Data, chunk.Records); err != nil {
		return fmt.Errorf("write stage: %w", err)
	}
	c.at.Records += int64(chunk.Records)
	c.at.Bytes += chunk.Bytes
	c.at.Warnings = append(c.at.Warnings, chunk.Warnings...)
	c.at.Unchanged = c.at.Unchanged || chunk.Unchanged
	return nil
}

// maxRestarts is how often a run begins anew, over all processes that work on it.
const maxRestarts = 10

// restart forgets what the run has read. It becomes durable with the next page; until then a crash goes on from the old
// checkpoint, and the source begins anew once more. The parts left behind go with the stage.
func (c *copier) restart(chunk weir.Chunk) error {
	c.abort()
	c.part = nil
	c.at = copied{Restarts: c.at.Restarts + 1, Shape: c.at.Shape, Past: c.at.Past, Warnings: append(c.at.Warnings, chunk.Warnings...)}
	if c.at.Restarts > maxRestarts {
		return weir.Errorf("CONNECTOR-1101-500", "the source began anew more than %d times", maxRestarts)
	}
	return nil
}

// endPage makes a finished page durable and then its checkpoint. A stage that can only close its parts (object storage) does so
// when a part is full, when the source is exhausted, or when the process is asked to stop.
func (c *copier) endPage(ctx context.Context, end weir.Chunk) error {
	c.e.fail(FailCopyPage)
	c.at.Pages++
	c.at.Next, c.at.Resume, c.at.Done = end.Next, end.Resume, end.Next == nil
	last := c.at.Done || c.r.drain.Err() != nil
	full := last || c.part.Size() >= c.e.ChunkBytes || !c.part.CanSync() && c.e.Now().Sub(c.begun) >= c.e.ChunkTime
	if !full && !c.part.CanSync() {
		return nil
	}
	part, err := c.part.Sync()
	if err != nil {
		return fmt.Errorf("write stage: %w", err)
	}
	if n := len(c.at.Parts); n > 0 && c.at.Parts[n-1].Name == part.Name {
		c.at.Parts[n-1] = part
	} else {
		c.at.Parts = append(c.at.Parts, part)
	}
	if c.at.Done {
		c.at.Ended = c.e.Now().UnixMilli()
	}
	if full {
		if err := c.part.Close(); err != nil {
			return fmt.Errorf("close stage: %w", err)
		}
		c.part = nil
	}
	*c.into = c.at
	if err := c.e.checkpoint(ctx, c.r, c.pr, c.progressReport); err != nil {
		return err
	}
	c.e.fail(FailCopyStep)
	return nil
}

// progressReport shows the counts of a copy under way, at most once a second.
func (c *copier) progressReport(tx *store.Tx) error {
	if now := c.e.Now(); now.Sub(c.r.shown) >= time.Second {
		c.r.shown = now
		return c.e.report(tx, c.r.runJob, c.pr, weir.RunInProgress, nil)
	}
	return nil
}

// sourceFault gives an error of the source its code, unless it has one.
func sourceFault(err error) error {
	if weir.CodeOf(err) != "" {
		return err
	}
	return weir.Errorf("CONNECTOR-1101-500", "the source could not be read: %w", err)
}
