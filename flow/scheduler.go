package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/store"
)

// Schedule puts a flow's next tick into the schedule, in the caller's transaction: after create, publish, enable and every change of
// scheduleParams. A flow that is not enabled, or has no tick left, is taken out.
func (e *Engine) Schedule(tx *store.Tx, flow *weir.Doc) error {
	e.init()
	var f weir.Flow
	if err := flow.Read(&f); err != nil {
		return fmt.Errorf("read flow %s: %w", flow.ID, err)
	}
	if flow.State != "enabled" || f.ScheduleParams == nil {
		return tx.ClearTick(flow.ID)
	}
	st, err := readState(tx, flow.Scope, flow.ID)
	if err != nil {
		return err
	}
	next, ok := nextTick(f.ScheduleParams, fromMillis(st.LastTick), e.Now())
	if !ok {
		return tx.ClearTick(flow.ID)
	}
	select {
	case e.wakeTick <- struct{}{}:
	default:
	}
	return tx.SetTick(flow.ID, flow.Scope, next)
}

// Unschedule takes a flow out of the schedule. A run that is going on finishes.
func (e *Engine) Unschedule(tx *store.Tx, flow *weir.Doc) error { return tx.ClearTick(flow.ID) }

// tickPoll is how often the schedule is looked at when nothing announces itself: flows of other processes wait at most this long.
const tickPoll = time.Second

// schedule turns due ticks into runs until ctx is done.
func (e *Engine) schedule(ctx context.Context) {
	for ctx.Err() == nil {
		_, wait, err := e.Store.Ticks(ctx, e.Now(), e.tick)
		if err != nil && ctx.Err() == nil {
			e.Log.Error("the schedule could not be read", "error", err)
			wait = tickPoll
		}
		if wait <= 0 || wait > tickPoll {
			wait = tickPoll
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-e.wakeTick:
		case <-t.C:
		}
		t.Stop()
	}
}

// tick starts the run of one due flow and plans its next tick, all in tx.
func (e *Engine) tick(tx *store.Tx, t store.Tick) (next time.Time, err error) {
	flow, err := tx.Get(weir.KindFlow, t.Scope, t.Key)
	if errors.Is(err, weir.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var f weir.Flow
	if err := flow.Read(&f); err != nil || flow.State != "enabled" || f.ScheduleParams == nil {
		return time.Time{}, nil //nolint:nilerr // an unreadable flow has no ticks
	}
	st, err := readState(tx, flow.Scope, flow.ID)
	if err != nil {
		return time.Time{}, err
	}
	now := e.Now()
	if st.Active != "" {
		e.Log.Info("tick skipped, the flow's previous run is still going", "flow", flow.ID, "run", st.Active)
		if f.ScheduleParams.Frequency == "once" { // its only tick waits for the on-demand run
			return now.Add(tickPoll), nil
		}
	} else {
		kind := "scheduled"
		if f.ScheduleParams.Frequency == "once" {
			kind = "one-time"
		}
		if _, err := e.StartRun(tx, flow, Start{Window: nextWindow(f.ScheduleParams, fromMillis(st.Watermark), now), Type: kind, Tick: now}); err != nil {
			return time.Time{}, fmt.Errorf("start run of flow %s: %w", flow.ID, err)
		}
	}
	next, ok := nextTick(f.ScheduleParams, now, now)
	if !ok {
		return time.Time{}, nil
	}
	return next, nil
}
