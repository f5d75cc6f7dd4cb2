package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestTicks(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		now := s.clock.now()
		set := func(key string, at time.Time) {
			t.Helper()
			s.tx(t, func(tx *Tx) error { return tx.SetTick(key, dev, at) })
		}
		set("late", now.Add(-time.Hour))
		set("due", now)
		set("gone", now.Add(-time.Minute))
		set("soon", now.Add(3*time.Second))
		set("due", now.Add(-time.Second)) // moved
		set("cleared", now)
		s.tx(t, func(tx *Tx) error { return tx.ClearTick("cleared") })
		s.tx(t, func(tx *Tx) error { return tx.ClearTick("never set") })
		var served []string
		n, wait, err := s.Ticks(t.Context(), now, func(tx *Tx, tick Tick) (time.Time, error) {
			if tick.Scope != dev {
				t.Errorf("tick %+v", tick)
			}
			if tick.Key == "late" && !tick.At.Equal(now.Add(-time.Hour)) {
				t.Errorf("late is of %s", tick.At)
			}
			if tick.Key == "gone" {
				return time.Time{}, nil
			}
			_, err := tx.Enqueue(Job{Kind: "run.copy", Key: tick.Key})
			return now.Add(time.Minute), err
		})
		if err != nil || n != 3 || wait != 3*time.Second {
			t.Fatalf("%d ticks, wait %s, %v", n, wait, err)
		}
		n, wait, err = s.Ticks(t.Context(), now.Add(time.Minute), func(_ *Tx, tick Tick) (time.Time, error) {
			served = append(served, tick.Key)
			return now.Add(time.Hour), nil
		})
		if diff := cmp.Diff([]string{"soon", "due", "late"}, served); diff != "" || n != 3 || wait != idleWait || err != nil {
			t.Errorf("oldest first, then by key: %s; %d ticks, wait %s, %v", diff, n, wait, err)
		}
		err = s.View(t.Context(), func(tx *Tx) error {
			tick, err := tx.Tick("late")
			if !tick.At.Equal(now.Add(time.Hour)) || tick.Scope != dev {
				t.Errorf("late is now %+v", tick)
			}
			_, gone := tx.Tick("gone")
			wantErr(t, gone, weir.ErrNotFound)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailingTickHoldsUpNobody(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		now := s.clock.now()
		s.tx(t, func(tx *Tx) error {
			return errors.Join(tx.SetTick("a", prod, now.Add(-2*time.Second)), tx.SetTick("b", prod, now.Add(-2*time.Second)), tx.SetTick("c", prod, now))
		})
		boom := errors.New("boom")
		run := func(tx *Tx, tick Tick) (time.Time, error) {
			switch tick.Key {
			case "a":
				return time.Time{}, errors.Join(boom, tx.Insert(doc(weir.KindRun, "r", `{}`), ann))
			case "b":
				return now.Add(-time.Second), nil // not after now
			}
			return now.Add(time.Hour), nil
		}
		n, wait, err := s.Ticks(t.Context(), now, run)
		if n != 1 || wait < time.Second || !errors.Is(err, boom) || !strings.Contains(err.Error(), "tick b") {
			t.Fatalf("%d ticks, wait %s, %v", n, wait, err)
		}
		if ids, _ := s.find(t, Query{Kind: weir.KindRun, Scopes: []weir.Scope{prod}}); len(ids) != 0 {
			t.Error("a failed tick left something behind")
		}
		n, _, err = s.Ticks(t.Context(), now, func(*Tx, Tick) (time.Time, error) { return time.Time{}, nil })
		if n != 2 || err != nil {
			t.Errorf("the failed ones are due no more: %d, %v", n, err)
		}
	})
}

// TestTicksOfManyProcesses has four schedulers serve the same ticks: each tick is served once per moment.
func TestTicksOfManyProcesses(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		const keys, rounds, schedulers = 20, 3, 4
		now := s.clock.now()
		s.tx(t, func(tx *Tx) error {
			for i := range keys {
				if err := tx.SetTick(fmt.Sprintf("k%02d", i), prod, now.Add(time.Second)); err != nil {
					return err
				}
			}
			return nil
		})
		for round := 1; round <= rounds; round++ {
			at := now.Add(time.Duration(round) * time.Second)
			var wg sync.WaitGroup
			for range schedulers {
				mine := testStore{open(t, s.url, s.clock.now), s.clock, s.url}
				wg.Go(func() {
					_, _, err := mine.Ticks(t.Context(), at, func(tx *Tx, tick Tick) (time.Time, error) {
						ok, err := tx.Enqueue(Job{Kind: "run.copy", Key: fmt.Sprintf("%s/%d", tick.Key, tick.At.UnixMilli())})
						if !ok && err == nil {
							err = errors.New("served before")
						}
						return at.Add(time.Second), err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		var jobs int
		if err := s.reads.QueryRowContext(t.Context(), "SELECT count(*) FROM river_job").Scan(&jobs); err != nil {
			t.Fatal(err)
		}
		if jobs != keys*rounds {
			t.Errorf("%d jobs, want %d", jobs, keys*rounds)
		}
	})
}

func TestSteps(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		err := s.Tx(t.Context(), func(tx *Tx) error {
			step, data, err := tx.LastStep("r")
			if step != -1 || data != nil || err != nil {
				t.Errorf("before the first: %d %s %v", step, data, err)
			}
			for i, data := range []string{`{"a":1.10}`, "", `[12345678901234567890]`} {
				if err := tx.PutStep("r", i, json.RawMessage(data)); err != nil {
					return err
				}
			}
			wantErr(t, tx.PutStep("r", 1, nil), weir.ErrConflict)
			return tx.PutStep("other", 7, nil)
		})
		if err != nil {
			t.Fatal(err)
		}
		s.tx(t, func(tx *Tx) error {
			step, data, err := tx.LastStep("r")
			if step != 2 || string(data) != `[12345678901234567890]` {
				t.Errorf("last step %d %s", step, data)
			}
			all, err2 := tx.Steps("r")
			want := []json.RawMessage{json.RawMessage(`{"a":1.10}`), json.RawMessage("null"), json.RawMessage(`[12345678901234567890]`)}
			if diff := cmp.Diff(want, all); diff != "" {
				t.Error(diff)
			}
			return errors.Join(err, err2, tx.DropSteps("r"), tx.DropSteps("r"))
		})
		s.tx(t, func(tx *Tx) error {
			if step, _, _ := tx.LastStep("r"); step != -1 {
				t.Errorf("dropped steps leave %d", step)
			}
			step, _, err := tx.LastStep("other")
			if step != 7 {
				t.Errorf("other run: %d", step)
			}
			return err
		})
	})
}

func TestTables(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		swap := func(ns, name, old, next string) error {
			return s.Tx(t.Context(), func(tx *Tx) error { return tx.SwapTable(ns, name, old, next) })
		}
		for _, err := range []error{swap("prod", "b", "", "v1"), swap("prod", "a", "", "v1"), swap("prod", "a", "v1", "v2"), swap("dev", "c", "", "v1")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		wantErr(t, swap("prod", "a", "", "v9"), weir.ErrConflict)
		wantErr(t, swap("prod", "a", "v1", "v9"), weir.ErrConflict)
		wantErr(t, swap("prod", "a", "v1", ""), weir.ErrConflict)
		wantErr(t, swap("prod", "z", "v1", "v2"), weir.ErrConflict)
		err := s.View(t.Context(), func(tx *Tx) error {
			at, err := tx.Table("prod", "a")
			if at != "v2" {
				t.Errorf("a is at %s", at)
			}
			_, none := tx.Table("prod", "c")
			wantErr(t, none, weir.ErrNotFound)
			names, err2 := tx.Tables("prod")
			spaces, err3 := tx.Namespaces()
			if !slices.Equal(names, []string{"a", "b"}) || !slices.Equal(spaces, []string{"dev", "prod"}) {
				t.Errorf("tables %v, namespaces %v", names, spaces)
			}
			return errors.Join(err, err2, err3)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := swap("prod", "a", "v2", ""); err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), func(tx *Tx) error {
			_, err := tx.Table("prod", "a")
			return err
		})
		wantErr(t, err, weir.ErrNotFound)
		// The columns that other catalogs read.
		var catalog, previous, kind string
		if err := swap("prod", "b", "v1", "v2"); err != nil {
			t.Fatal(err)
		}
		err = s.reads.QueryRowContext(t.Context(), `SELECT catalog_name, previous_metadata_location, iceberg_type FROM iceberg_tables
			WHERE table_namespace = 'prod' AND table_name = 'b'`).Scan(&catalog, &previous, &kind)
		if err != nil || catalog != "weir" || previous != "v1" || kind != "TABLE" {
			t.Errorf("catalog %q, previous %q, type %q, %v", catalog, previous, kind, err)
		}
	})
}

// TestExclusive has several processes count in a variable that only exclusion protects.
func TestExclusive(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		stores := []*Store{s.Store, open(t, s.url, s.clock.now), open(t, s.url, s.clock.now)}
		inside, most, done := 0, 0, 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				err := stores[i%3].Exclusive(t.Context(), "conn-1", func(context.Context) error {
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					err := s.Ping(t.Context())
					mu.Lock()
					inside--
					done++
					mu.Unlock()
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most != 1 || done != 12 {
			t.Errorf("%d at a time, %d in all", most, done)
		}
		boom := errors.New("boom")
		err := s.Exclusive(t.Context(), "conn-1", func(context.Context) error { return boom })
		wantErr(t, err, boom)
		// Another name is another turn; waiting ends with the context.
		err = s.Exclusive(t.Context(), "conn-1", func(ctx context.Context) error {
			if err := stores[1].Exclusive(ctx, "conn-2", func(context.Context) error { return nil }); err != nil {
				return err
			}
			for _, waiter := range stores[:2] {
				short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				err := waiter.Exclusive(short, "conn-1", func(context.Context) error { return boom })
				cancel()
				wantErr(t, err, context.DeadlineExceeded)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestExclusiveLosesItsLease takes the lease away, as happens to a process that was stopped for too long.
func TestExclusiveLosesItsLease(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		err := s.Exclusive(t.Context(), "n", func(ctx context.Context) error {
			if _, err := s.db.ExecContext(ctx, "UPDATE leases SET holder = 'other'"); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(patience):
				return errors.New("the context is not cancelled")
			}
		})
		wantErr(t, err, weir.ErrConflict)
	})
}

// TestExclusiveTakesOverFromTheDead finds an expired lease of a process that is gone.
func TestExclusiveTakesOverFromTheDead(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		if _, err := s.db.ExecContext(t.Context(), "INSERT INTO leases (name, holder, expires) VALUES ('n', 'dead', 1)"); err != nil {
			t.Fatal(err)
		}
		ran := false
		if err := s.Exclusive(t.Context(), "n", func(context.Context) error { ran = true; return nil }); err != nil || !ran {
			t.Fatalf("ran %t, %v", ran, err)
		}
	})
}
