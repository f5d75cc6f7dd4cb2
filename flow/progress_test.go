package flow

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"weir"
	"weir/store"
)

// TestLongRun: checkpoints of a run of very many pages do not pile up, and the fence holds against a worker that comes back late.
func TestLongRun(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "weir.db"), MasterKey: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e := &Engine{Store: s}
	r := &running{runJob: runJob{Run: "r"}}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.PutStep("r", stepPlanned, []byte("{}")) }); err != nil {
		t.Fatal(err)
	}
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
