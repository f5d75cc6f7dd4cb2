package flow

import (
	"encoding/json"
	"errors"
	"fmt"

	"weir"
	"weir/store"
)

// promoted is what a promotion wrote, and what it says about the rows.
type promoted struct {
	Files    json.RawMessage `json:"files,omitempty"` // []lake.DataFile
	FileN    int64           `json:"fileCount"`
	In       int64           `json:"in"`
	Out      int64           `json:"out"`
	Failed   int64           `json:"failed"`
	Warned   int64           `json:"warned"`
	Kept     int64           `json:"warnedKept,omitempty"` // warned rows that the diagnostics hold
	BytesIn  int64           `json:"bytesIn"`
	BytesOut int64           `json:"bytesOut"`
	Started  int64           `json:"started"`
	Ended    int64           `json:"ended,omitempty"`
	Mapper   int64           `json:"mapper,omitempty"` // rows rejected because a mapping failed
	// Errors are by code with their row counts; Warnings likewise (nullified columns).
	Errors   []weir.RunError `json:"errors,omitempty"`
	Warnings []weir.RunError `json:"warnings,omitempty"`
}

// overThreshold reports whether more rows failed than the flow tolerates (flow-service §8.4).
func (p *promoted) overThreshold(percent float64) bool {
	return p.Failed > 0 && float64(p.Failed)*100 > percent*float64(p.In)
}

// batchErrors are the errors of the promotion as runs and batches list them: one summary and one entry per code with
// diagnostics, a single entry without (schema-catalog-data §4.7).
func (p *promoted) batchErrors(diagnostics bool) []weir.RunError {
	if p.Failed == 0 {
		return nil
	}
	if !diagnostics {
		return []weir.RunError{{
			Code:    "INGEST-1211-400",
			Message: fmt.Sprintf("%d of %d rows had errors. Enable error diagnostics on the flow to keep and see them.", p.Failed, p.In),
		}}
	}
	out := []weir.RunError{{
		Code:    "INGEST-1212-400",
		Message: fmt.Sprintf("Encountered %d errors; ingested %d rows. The rows with errors are in the diagnostics files.", p.Failed, p.Out),
	}}
	return append(out, p.Errors...)
}

// report writes the run document from its progress. fault, if not nil, is what ended the run.
func (e *Engine) report(tx *store.Tx, job runJob, pr *progress, status string, fault error) error {
	run, err := tx.Get(weir.KindRun, job.Scope, job.Run)
	if err != nil {
		return missing(err, "run", job.Run)
	}
	var body weir.Run
	if err := run.Read(&body); err != nil {
		return fmt.Errorf("read run %s: %w", job.Run, err)
	}
	e.fillRun(&body, pr, status, fault)
	if run.Body, err = json.Marshal(body); err != nil {
		return err
	}
	return tx.Update(run, weir.Actor{User: run.CreatedBy, Client: run.CreatedClient})
}

// fillRun computes a run's metrics and activities from its progress (flow-service §8.6).
func (e *Engine) fillRun(body *weir.Run, pr *progress, status string, fault error) {
	now := e.Now().UnixMilli()
	m := &body.Metrics
	if pr.Plan.Started > 0 {
		m.Duration.Started = pr.Plan.Started
	}
	ended := status == weir.RunSuccess || status == weir.RunFailed
	if ended {
		m.Duration.Completed = now
	}
	m.Status.Status, m.Status.Errors = status, runErrors(pr, fault)
	copying := e.copyActivity(pr, status, fault, now)
	body.Activities = []weir.Activity{copying}
	m.Size.Input, m.Files.Input = copying.Size.Input, copying.Files.Input
	if pr.Copy.Done {
		promotion := e.promotionActivity(pr, status, fault, now)
		body.Activities = append(body.Activities, promotion)
		m.Size.Output = promotion.Size.Output
		m.Files.Output = promotion.Files.Output
		m.Files.ActivityRefs = []string{weir.PromotionActivity}
		m.Status.ActivityRefs = []string{weir.PromotionActivity}
	} else {
		m.Status.ActivityRefs = []string{weir.CopyActivity}
	}
	r := &m.Records
	r.SkippedInfo, r.FailedInfo = []any{}, []any{}
	switch p := pr.Promoted; {
	case p != nil:
		r.Input, r.Output, r.Created, r.Failed, r.Warning = p.In, p.Out, p.Out, p.Failed, p.Warned
		if status == weir.RunFailed { // nothing of it is readable
			r.Output, r.Created, r.Failed = 0, 0, p.In
		}
	default:
		r.Input = pr.Copy.Records
		if status == weir.RunFailed {
			r.Failed = r.Input
		}
	}
}

// runErrors is statusSummary.errors of the whole run (flow-service §8.7).
func runErrors(pr *progress, fault error) []weir.RunError {
	switch {
	case fault != nil && !pr.Copy.Done:
		return []weir.RunError{{Code: "CONNECTOR-1001-500", Message: "Failed to copy data from the source: " + faultText(fault)}}
	case fault != nil:
		return []weir.RunError{{Code: "CONNECTOR-2001-500", Message: "Failed to promote the data: " + faultText(fault)}}
	case pr.Promoted != nil && pr.Promoted.Failed > 0:
		return []weir.RunError{{Code: "CONNECTOR-2001-500", Message: "Errors occurred while the data was processed; see the promotion activity."}}
	}
	return []weir.RunError{}
}

func (e *Engine) copyActivity(pr *progress, status string, fault error, now int64) weir.Activity {
	p, c := &pr.Plan, &pr.Copy
	a := weir.Activity{
		ID: weir.CopyActivity, Name: "Copy Activity", UpdatedAt: now, Latency: map[string]any{},
		Duration: weir.DurationSummary{Started: p.Started, Completed: c.Ended},
		Size:     weir.SizeSummary{Input: c.Bytes, Output: c.Bytes},
		Records:  map[string]any{},
		Files:    weir.FileSummary{Input: c.Pages, Output: int64(len(c.Parts))},
		Status:   weir.StatusSummary{Status: weir.RunSuccess, Errors: []weir.RunError{}, Extensions: map[string]any{"type": p.Type}},
	}
	span := map[string]any{"windowEnd": p.Window.End}
	if p.Window.Start > 0 {
		span["windowStart"] = p.Window.Start
	}
	a.Duration.Extensions = span
	if c.Records > 0 {
		a.Records = map[string]any{"inputRecordCount": c.Records, "outputRecordCount": c.Records}
	}
	if p.Replay.Batch != "" {
		a.Status.Extensions["replayOf"] = p.Replay.Batch
	}
	if len(c.Warnings) > 0 {
		a.Status.Extensions["warnings"] = c.Warnings
	}
	if p.Source != "" {
		a.SourceInfo = []weir.ActivityEnd{{ID: p.Source, Type: "SourceConnection", Reference: weir.Reference{Type: "AdfRunId", IDs: []string{p.CopyRun}}}}
	}
	switch {
	case c.Done:
	case fault != nil:
		a.Status.Status = weir.RunFailed
		a.Status.Errors = runErrors(pr, fault)
		a.Status.Extensions["errors"] = []weir.RunError{{Code: codeOf(fault), Message: faultText(fault)}}
		a.Size = weir.SizeSummary{Input: -1, Output: -1}
		if c.Bytes > 0 {
			a.Size.Input = c.Bytes
		}
		a.Duration.Completed = now
	default:
		a.Status.Status = status
	}
	return a
}

func (e *Engine) promotionActivity(pr *progress, status string, fault error, now int64) weir.Activity {
	p := pr.Promoted
	if p == nil {
		p = &promoted{Started: pr.Copy.Ended}
	}
	a := weir.Activity{
		ID: weir.PromotionActivity, Name: "Promotion Activity", UpdatedAt: now, Latency: map[string]any{},
		Duration: weir.DurationSummary{Started: p.Started},
		Size:     weir.SizeSummary{Input: p.BytesIn, Output: p.BytesOut},
		Records: map[string]any{
			"inputRecordCount": p.In, "outputRecordCount": p.Out, "failedRecordCount": p.Failed, "warningRecordCount": p.Warned,
		},
		Files:  weir.FileSummary{Input: int64(len(pr.Copy.Parts)), Output: p.FileN},
		Status: weir.StatusSummary{Status: status, Errors: []weir.RunError{}, Extensions: map[string]any{}},
	}
	a.Files.Extensions = map[string]any{"manifest": map[string]any{"fileInfo": e.metaURL(pr.Plan.Batch, "input_files")}}
	if pr.Plan.Batch != "" {
		a.TargetInfo = []weir.ActivityEnd{{ID: pr.Plan.Target, Type: "TargetConnection", Reference: weir.Reference{Type: "Batch", IDs: []string{pr.Plan.Batch}}}}
	}
	if status == weir.RunSuccess || status == weir.RunFailed {
		a.Duration.Completed = now
	}
	ext := a.Status.Extensions
	manifest := map[string]any{}
	if errs := p.batchErrors(pr.Plan.Diagnostics); len(errs) > 0 {
		ext["errors"] = errs
		if pr.Plan.Diagnostics {
			manifest["failedRecords"] = e.metaURL(pr.Plan.Batch, "row_errors")
			manifest["sampleErrors"] = e.metaURL(pr.Plan.Batch, "row_error_samples.json")
		}
	} else if fault != nil {
		ext["errors"] = []weir.RunError{{Code: codeOf(fault), Message: faultText(fault)}}
	}
	if len(p.Warnings) > 0 {
		ext["warnings"] = p.Warnings
	}
	if p.Kept > 0 {
		manifest["warnedRecords"] = e.metaURL(pr.Plan.Batch, "row_warnings")
		ext["warnedRecords"] = map[string]any{"keptRecordCount": p.Kept, "leftOutRecordCount": p.Warned - p.Kept}
	}
	if len(manifest) > 0 {
		ext["manifest"] = manifest
	}
	if status == weir.RunFailed {
		a.Size.Output, a.Files.Output = 0, 0
		a.Records = map[string]any{"inputRecordCount": p.In, "outputRecordCount": int64(0), "failedRecordCount": p.In}
	}
	a.Status.Errors = runErrors(pr, fault)
	return a
}

// metaURL is the absolute address of a batch's diagnostics; path is the last parameter (scripts split there).
func (e *Engine) metaURL(batch, path string) string {
	return e.PublicURL + "/data/foundation/export/batches/" + batch + "/meta?path=" + path
}

func codeOf(err error) string {
	if c := weir.CodeOf(err); c != "" {
		return c
	}
	return "CONNECTOR-1402-500"
}

// faultText is what a user may read of a fault: coded errors in full, others without their inside.
func faultText(err error) string {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return e.Message
	}
	return "an internal fault; the server's log has the details"
}
