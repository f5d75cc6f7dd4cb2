package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBudget: two processes share a rate; nobody gets more than there is, and a hold stops both.
func TestBudget(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		other := open(t, s.url, s.clock.now)
		spend := func(from *Store, want int) (int, time.Duration) {
			t.Helper()
			got, wait, err := from.Spend(t.Context(), "b", 10, time.Hour, want)
			if err != nil {
				t.Fatal(err)
			}
			return got, wait
		}
		var total atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 4 {
					got, _, err := []*Store{s.Store, other}[i%2].Spend(t.Context(), "b", 10, time.Hour, 3)
					if err != nil {
						t.Error(err)
					}
					total.Add(int64(got))
				}
			})
		}
		wg.Wait()
		if total.Load() != 10 {
			t.Errorf("%d calls of a budget of 10", total.Load())
		}
		if got, wait := spend(other, 1); got != 0 || wait < 5*time.Minute || wait > 6*time.Minute {
			t.Errorf("an empty budget of 10 an hour gives %d, wait %s", got, wait)
		}
		for _, requests := range []int{0, 5} { // without a rate, and with one
			name := map[int]string{0: "free", 5: "rated"}[requests]
			if got, wait, err := other.Spend(t.Context(), name, requests, time.Hour, 5); got != 5 || wait != 0 || err != nil {
				t.Error(name, got, wait, err)
			}
			for _, d := range []time.Duration{time.Hour, time.Minute} { // the longer one stays
				if err := s.Hold(t.Context(), name, d); err != nil {
					t.Fatal(err)
				}
			}
			if got, wait, err := other.Spend(t.Context(), name, requests, time.Hour, 1); got != 0 || wait < 55*time.Minute || wait > time.Hour || err != nil {
				t.Error(name, got, wait, err)
			}
		}
		if _, _, err := s.Spend(t.Context(), "b", 1, 0, 1); err == nil {
			t.Error("a budget without a time")
		}
	})
}

// TestBudgetRefills: what a rate gives comes back with time, and old budgets are forgotten.
func TestBudgetRefills(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		if got, _, err := s.Spend(t.Context(), "b", 4, 4*time.Hour, 4); got != 4 || err != nil {
			t.Fatal(got, err)
		}
		s.tx(t, func(tx *Tx) error {
			_, err := tx.exec("UPDATE budgets SET full_at = full_at - 7200000000") // two hours later
			return err
		})
		if got, _, err := s.Spend(t.Context(), "b", 4, 4*time.Hour, 9); got != 2 || err != nil {
			t.Error(got, err)
		}
		s.tx(t, func(tx *Tx) error {
			_, err := tx.exec("UPDATE budgets SET full_at = 0")
			return err
		})
		if _, _, err := s.Spend(t.Context(), "new", 4, time.Hour, 1); err != nil {
			t.Error(err)
		}
		n := 0
		if err := s.View(t.Context(), func(tx *Tx) error { return tx.row("SELECT count(*) FROM budgets", nil, &n) }); err != nil || n != 1 {
			t.Error(n, err)
		}
	})
}
