package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"weir"
	"weir/store"
)

// beginBatch records the run's batch as processing. It can be repeated.
func (e *Engine) beginBatch(tx *store.Tx, r *running, p *plan) error {
	_, err := tx.Get(weir.KindBatch, r.Scope, p.Batch)
	if !errors.Is(err, weir.ErrNotFound) {
		return err
	}
	run, err := tx.Get(weir.KindRun, r.Scope, r.Run)
	if err != nil {
		return missing(err, "run", r.Run)
	}
	b := weir.NewBatch(p.Dataset)
	b.ExternalID, b.Status, b.Started = p.Batch, weir.BatchProcessing, e.Now().UnixMilli()
	b.Tag("flowId", p.Flow)
	if p.Mapping != "" {
		b.Tag("aep_sip_mapper", "mapping-set-id:"+p.Mapping, "mapping-set-version:"+strconv.FormatInt(p.MapVersion, 10))
	}
	if p.Replay.Batch != "" {
		b.Tag("weir/replayOf", p.Replay.Batch)
	}
	b.Ingestion(p.Diagnostics, p.Percent)
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return tx.Insert(&weir.Doc{Kind: weir.KindBatch, ID: p.Batch, Scope: r.Scope, State: b.Status, Body: body},
		weir.Actor{User: run.CreatedBy, Client: run.CreatedClient})
}

// endBatch writes a batch's final status and figures, and what the dataset says about its last batch. A run that failed before its
// promotion has no batch.
func (e *Engine) endBatch(tx *store.Tx, scope weir.Scope, pr *progress, status string, fault error) error {
	d, err := tx.Get(weir.KindBatch, scope, pr.Plan.Batch)
	if errors.Is(err, weir.ErrNotFound) || pr.Plan.Batch == "" {
		return nil
	}
	if err != nil {
		return err
	}
	var b weir.Batch
	if err := d.Read(&b); err != nil {
		return fmt.Errorf("read batch %s: %w", d.ID, err)
	}
	out := weir.BatchOutcome{FilesIn: int64(len(pr.Copy.Parts)), BytesIn: pr.Copy.Bytes, In: pr.Copy.Records}
	if p := pr.Promoted; p != nil {
		out = weir.BatchOutcome{
			In: p.In, Out: p.Out, Failed: p.Failed, Mapper: p.Mapper, BytesIn: p.BytesIn, BytesOut: p.BytesOut,
			FilesIn: int64(len(pr.Copy.Parts)), FilesOut: p.FileN, Errors: p.batchErrors(pr.Plan.Diagnostics),
		}
		if status == weir.BatchFailed && p.Mapper > 0 { // clients look for this code before they read the mapper's entries
			out.Errors = append(out.Errors, weir.RunError{Code: "DPMAP-3700-400", Message: "Mapper Transform Error", RecordCount: p.Mapper})
		}
	}
	if fault != nil && (pr.Promoted == nil || pr.Promoted.Failed == 0) {
		out.Errors = append(out.Errors, weir.RunError{Code: codeOf(fault), Message: faultText(fault)})
	}
	b.Finish(status, out, e.Now().UnixMilli())
	if d.Body, err = json.Marshal(b); err != nil {
		return err
	}
	d.State = status
	if err := tx.Update(d, weir.Actor{User: d.CreatedBy, Client: d.CreatedClient}); err != nil {
		return err
	}
	return e.datasetBatch(tx, scope, &pr.Plan, status)
}

// datasetBatch shows a batch as the last one of its dataset, without a new version of the dataset.
func (e *Engine) datasetBatch(tx *store.Tx, scope weir.Scope, p *plan, status string) error {
	d, err := tx.Get(weir.KindDataset, scope, p.Dataset)
	if errors.Is(err, weir.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	last := map[string]string{"lastBatchId": p.Batch, "lastBatchStatus": status, "lastFailedBatch": p.Batch}
	if status == weir.BatchSuccess {
		delete(last, "lastFailedBatch")
		last["lastSuccessfulBatch"] = p.Batch
	}
	raw, err := json.Marshal(last)
	if err != nil {
		return err
	}
	if d.Meta, err = overlay(d.Meta, raw); err != nil {
		return fmt.Errorf("derived members of dataset %s: %w", d.ID, err)
	}
	return tx.Touch(d)
}
