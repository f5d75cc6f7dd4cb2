package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"weir"
	"weir/store"
)

// Start says how a run begins.
type Start struct {
	Window weir.Window
	// Type is scheduled, one-time, on-demand or replay; it shows in the copy activity.
	Type string
	// Tick is the planned moment of a scheduled run, zero for on-demand runs (they do not move the schedule).
	Tick time.Time
	// Params are shown as the run's params (on-demand runs).
	Params json.RawMessage
	// Predecessor is the run that this one repeats, "" for none.
	Predecessor string
	// Replay makes a run take the rejected rows of a batch in the place of its source ([Engine.Replay]).
	Replay Replay
	By     weir.Actor
}

// StartRun records a run in status scheduled and enqueues its first step, in the caller's transaction. If another run of the flow
// is going on, this one waits for it: runs of one flow never overlap.
func (e *Engine) StartRun(tx *store.Tx, flow *weir.Doc, s Start) (*weir.Doc, error) {
	e.init()
	var f weir.Flow
	if err := flow.Read(&f); err != nil {
		return nil, fmt.Errorf("read flow %s: %w", flow.ID, err)
	}
	run := &weir.Doc{Kind: weir.KindRun, ID: weir.NewUUID(), Scope: flow.Scope}
	body := weir.Run{FlowID: flow.ID, FlowSpec: f.FlowSpec, Params: s.Params, Activities: []weir.Activity{}}
	body.Metrics.Status = weir.StatusSummary{Status: weir.RunScheduled, Errors: []weir.RunError{}}
	body.Metrics.Duration.Started = e.Now().UnixMilli()
	body.Metrics.Records.SkippedInfo, body.Metrics.Records.FailedInfo = []any{}, []any{}
	if s.Predecessor != "" {
		body.ParentFlowRunID = s.Predecessor
		body.Predecessors = []weir.Predecessor{{FlowID: flow.ID, FlowRunID: s.Predecessor}}
	}
	var err error
	if run.Body, err = json.Marshal(body); err != nil {
		return nil, err
	}
	by := s.By
	if by == (weir.Actor{}) {
		by = weir.Actor{User: flow.CreatedBy, Client: flow.CreatedClient}
	}
	if err := tx.Insert(run, by); err != nil {
		return nil, fmt.Errorf("record run: %w", err)
	}
	first, err := json.Marshal(plan{Flow: flow.ID, Window: window{millis(s.Window.Start), millis(s.Window.End)}, Type: s.Type, Replay: s.Replay})
	if err != nil {
		return nil, err
	}
	if err := tx.PutStep(run.ID, stepPlanned, first); err != nil {
		return nil, err
	}
	return run, changeState(tx, flow.Scope, flow.ID, func(st *state) error {
		if !s.Tick.IsZero() {
			st.LastTick = s.Tick.UnixMilli()
		}
		if st.Active != "" {
			st.Queue = append(st.Queue, run.ID)
			return nil
		}
		st.Active = run.ID
		return enqueue(tx, jobCopy, runJob{Scope: flow.Scope, Run: run.ID}, stepFrozen)
	})
}

// enqueue adds the job that writes step n of a run.
func enqueue(tx *store.Tx, kind string, job runJob, n int) error {
	_, err := tx.Enqueue(store.Job{Kind: kind, Key: fmt.Sprintf("%s/%d", job.Run, n), Args: job})
	if err != nil {
		return fmt.Errorf("enqueue %s: %w", kind, err)
	}
	return nil
}

// release ends a run's hold on its flow, and starts the run that waits next.
func release(tx *store.Tx, job runJob, flowID string, change func(*state)) error {
	return changeState(tx, job.Scope, flowID, func(st *state) error {
		if change != nil {
			change(st)
		}
		if st.Active != job.Run {
			return nil
		}
		st.Active = ""
		if len(st.Queue) == 0 {
			return nil
		}
		st.Active, st.Queue = st.Queue[0], st.Queue[1:]
		return enqueue(tx, jobCopy, runJob{Scope: job.Scope, Run: st.Active}, stepFrozen)
	})
}
