package flow

import (
	"errors"
	"testing"

	"weir"
	"weir/store"
)

// planned is an engine with a run that was recorded and not begun.
func planned(t *testing.T) (*Engine, *running) {
	t.Helper()
	e := installed(t, t.TempDir())
	if err := e.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.PutStep("r", stepPlanned, []byte("{}")) }); err != nil {
		t.Fatal(err)
	}
	return e, &running{runJob: runJob{Run: "r"}, task: &store.Task{Kind: jobCopy}}
}

// TestDeadlyRun: a run at which the process dies over and over is given up, one that gets on between the deaths is not.
func TestDeadlyRun(t *testing.T) {
	e, r := planned(t)
	var pr progress
	for range 5 { // 5 times 60 deaths with a checkpoint after each 60
		r.task.Deaths += 60
		if err := e.deadly(t.Context(), r); err != nil {
			t.Fatalf("after %d deaths: %v", r.task.Deaths, err)
		}
		if err := e.checkpoint(t.Context(), r, &pr); err != nil {
			t.Fatal(err)
		}
	}
	r.task.Deaths += maxDeaths - 1
	if err := e.deadly(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.task.Deaths++
	if err := e.deadly(t.Context(), r); weir.CodeOf(err) != "CONNECTOR-1101-500" {
		t.Errorf("after %d deaths in a row: %v", maxDeaths, err)
	}
	r.task = &store.Task{Kind: jobPromote, Deaths: maxDeaths - 1} // the next step counts for itself
	if err := e.deadly(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// TestLongRun: checkpoints of a run of very many pages do not pile up, and the fence holds against a worker that comes back late.
func TestLongRun(t *testing.T) {
	e, r := planned(t)
	s := e.Store
	var pr, late progress
	for i := range 500 {
		if i == 100 {
			late = pr
		}
		pr.Copy.Pages++
		if err := e.checkpoint(t.Context(), r, &pr); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.checkpoint(t.Context(), r, &late); !errors.Is(err, weir.ErrConflict) {
		t.Errorf("a late worker wrote a step: %v", err)
	}
	got, err := e.load(t.Context(), r)
	if err != nil || got.Copy.Pages != 500 || got.step != 500 {
		t.Errorf("%+v %v", got, err)
	}
	err = s.View(t.Context(), func(tx *store.Tx) error {
		steps, err := tx.Steps("r")
		if len(steps) > keptSteps {
			t.Errorf("%d steps are kept", len(steps))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
