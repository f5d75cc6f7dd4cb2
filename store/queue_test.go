package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
)

// patience bounds every wait of a test; nothing takes nearly as long.
const patience = 30 * time.Second

// receive waits for one value.
func receive[T any](tb testing.TB, ch <-chan T, what string) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		tb.Fatalf("%s did not happen", what)
	}
	panic("unreachable")
}

// work runs Work until the returned function is called (or the test ends), which waits for it to end.
func work(tb testing.TB, s *Store, c WorkConfig) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- s.Work(ctx, c) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := receive(tb, done, "the end of Work"); err != nil {
				tb.Errorf("work: %v", err)
			}
		})
	}
	tb.Cleanup(stop)
	return stop
}

func (s testStore) enqueue(tb testing.TB, j Job) (inserted bool) {
	tb.Helper()
	s.tx(tb, func(tx *Tx) (err error) {
		inserted, err = tx.Enqueue(j)
		return err
	})
	return inserted
}

func TestEnqueueIsPartOfTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		boom := errors.New("boom")
		err := s.Tx(t.Context(), func(tx *Tx) error {
			if ok, err := tx.Enqueue(Job{Kind: "run.copy", Key: "lost"}); err != nil || !ok {
				t.Errorf("enqueue: %t %v", ok, err)
			}
			return boom
		})
		wantErr(t, err, boom)
		ran := make(chan string, 10)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			ran <- task.Key
			return nil
		}}})
		if !s.enqueue(t, Job{Kind: "run.copy", Key: "kept"}) {
			t.Error("a new job was not inserted")
		}
		if key := receive(t, ran, "a job"); key != "kept" {
			t.Errorf("job %s ran", key)
		}
		// Unique while its row exists, also when done; of another kind it is another job.
		if s.enqueue(t, Job{Kind: "run.copy", Key: "kept"}) {
			t.Error("a job of the same key was inserted")
		}
		if !s.enqueue(t, Job{Kind: "run.finish", Key: "kept"}) {
			t.Error("a job of another kind was not inserted")
		}
		err = s.View(t.Context(), func(tx *Tx) error {
			_, err := tx.Enqueue(Job{Kind: "run.copy", Key: "view"})
			return err
		})
		if err == nil {
			t.Error("a View enqueued")
		}
	})
}

func TestJobsAreTakenQuickly(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		type took struct {
			key string
			at  time.Time
		}
		ran := make(chan took, 1)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			ran <- took{task.Key, time.Now()}
			return nil
		}}})
		var waits []time.Duration
		for i := range 12 {
			before := time.Now()
			s.enqueue(t, Job{Kind: "run.copy", Key: fmt.Sprint(i)})
			waits = append(waits, receive(t, ran, "a job").at.Sub(before))
		}
		slices.Sort(waits)
		t.Logf("enqueue to start: median %s, slowest %s", waits[len(waits)/2], waits[len(waits)-1])
		if waits[len(waits)/2] > 400*time.Millisecond { // 100 ms on a machine that is not busy
			t.Errorf("a job starts %s after it was enqueued", waits[len(waits)/2])
		}
	})
}

func TestTaskCarriesItsJob(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		got := make(chan *Task, 1)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			got <- task
			return nil
		}}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "k", Args: map[string]any{"run": "r1"}})
		task := receive(t, got, "the job")
		var args struct{ Run string }
		if err := json.Unmarshal(task.Args, &args); err != nil || args.Run != "r1" || task.Kind != "run.copy" || task.Key != "k" || task.Attempt != 1 {
			t.Errorf("task %+v, args %s", task, task.Args)
		}
	})
}

func TestRetrySnoozeGiveUp(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		attempts := make(chan int, 10)
		var snoozed, failed bool
		work(t, s.Store, WorkConfig{Workers: 1, Handlers: map[string]Handler{
			"run.copy": func(_ context.Context, task *Task) error {
				attempts <- 10*task.Failures + task.Attempt
				switch {
				case !snoozed:
					snoozed = true
					return fmt.Errorf("not yet: %w", Snooze(10*time.Millisecond))
				case !failed:
					failed = true
					return errors.New("try again")
				}
				return nil
			},
			"run.finish": func(_ context.Context, task *Task) error {
				attempts <- 100 + task.Attempt
				return GiveUp(errors.New("never"))
			},
		}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "a"})
		for i, want := range []int{1, 1, 12} { // a snooze does not count, a failure does
			if got := receive(t, attempts, "an attempt"); got != want {
				t.Errorf("run %d is attempt %d, want %d", i, got, want)
			}
		}
		s.enqueue(t, Job{Kind: "run.finish", Key: "b"})
		if got := receive(t, attempts, "the attempt to give up"); got != 101 {
			t.Errorf("attempt %d", got)
		}
		waitState(t, s, "run.finish", "b", "cancelled")
		s.tx(t, func(tx *Tx) error { return tx.DropJob("run.finish", "b") })
		s.tx(t, func(tx *Tx) error { return tx.DropJob("run.finish", "never was") })
		if !s.enqueue(t, Job{Kind: "run.finish", Key: "b"}) {
			t.Error("a dropped job is still in the way")
		}
		if got := receive(t, attempts, "the attempt after the drop"); got != 101 {
			t.Errorf("attempt %d", got)
		}
	})
}

// waitState polls the queue's own table: the state follows the end of the handler.
func waitState(t *testing.T, s testStore, kind, key, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for state := ""; ; {
		err := s.reads.QueryRowContext(t.Context(), "SELECT state FROM river_job WHERE kind = $1 AND args ->> 'key' = $2", kind, key).Scan(&state)
		if err != nil {
			t.Fatal(err)
		}
		if state == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s %s is %s, want %s", kind, key, state, want)
		}
	}
}

func TestScheduledJobWaits(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		ran := make(chan string, 2)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			ran <- task.Key
			return nil
		}}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "later", At: s.clock.now().Add(time.Hour)})
		s.enqueue(t, Job{Kind: "run.copy", Key: "past", At: s.clock.now().Add(-time.Hour)})
		if key := receive(t, ran, "the job of the past"); key != "past" {
			t.Errorf("%s ran first", key)
		}
		waitState(t, s, "run.copy", "later", "scheduled")
	})
}

func TestJobsOfUnknownKindsAreLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		ran := make(chan string, 2)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			ran <- task.Key
			return nil
		}}})
		s.enqueue(t, Job{Kind: "other.kind", Key: "x"})
		s.enqueue(t, Job{Kind: "run.copy", Key: "y"})
		receive(t, ran, "the job")
		waitState(t, s, "other.kind", "x", "available")
	})
}

func TestDrainLetsJobsEnd(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		started, release := make(chan bool), make(chan bool)
		stop := work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(ctx context.Context, task *Task) error {
			started <- true
			<-release
			return s.Tx(ctx, task.Complete)
		}}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "k"})
		receive(t, started, "the start")
		stopped := make(chan bool)
		go func() {
			stop()
			close(stopped)
		}()
		release <- true
		receive(t, stopped, "the end of Work")
		waitState(t, s, "run.copy", "k", "completed")
	})
}

func TestDrainEndsAndTheJobIsTakenUpAgain(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		attempts := make(chan int, 2)
		stop := work(t, s.Store, WorkConfig{
			Drain: 50 * time.Millisecond,
			Handlers: map[string]Handler{"run.copy": func(ctx context.Context, task *Task) error {
				attempts <- 10*task.Failures + task.Attempt
				<-ctx.Done()
				return ctx.Err()
			}},
		})
		s.enqueue(t, Job{Kind: "run.copy", Key: "k"})
		receive(t, attempts, "the first attempt")
		stop()
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(_ context.Context, task *Task) error {
			attempts <- 10*task.Failures + task.Attempt
			return nil
		}}})
		if n := receive(t, attempts, "the second attempt"); n != 1 {
			t.Errorf("being told to stop counts as attempt: %d", n)
		}
		waitState(t, s, "run.copy", "k", "completed")
	})
}

// TestZombie has a worker lose its lease in the middle of a job. Another one does the job; the first must not publish.
func TestZombie(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		publish := func(ctx context.Context, task *Task) error {
			return s.Tx(ctx, func(tx *Tx) error {
				if err := tx.PutStep("r", 0, json.RawMessage(fmt.Sprint(task.Attempt))); err != nil {
					return err
				}
				return task.Complete(tx)
			})
		}
		started, release, zombie := make(chan bool), make(chan bool), make(chan error, 3)
		work(t, s.Store, WorkConfig{LeaseTTL: time.Hour, Handlers: map[string]Handler{"run.copy": func(ctx context.Context, task *Task) error {
			started <- true
			<-release
			// Each of the two fences holds alone.
			zombie <- s.Tx(ctx, task.Complete)
			zombie <- s.Tx(ctx, func(tx *Tx) error { return tx.PutStep("r", 0, nil) })
			err := publish(ctx, task)
			zombie <- err
			return err
		}}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "k"})
		receive(t, started, "the first attempt")
		if _, err := s.db.ExecContext(t.Context(), "UPDATE worker_lease SET expires = 0"); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		work(t, s.Store, WorkConfig{LeaseTTL: 100 * time.Millisecond, Handlers: map[string]Handler{"run.copy": func(ctx context.Context, task *Task) error {
			err := publish(ctx, task)
			done <- err
			return err
		}}})
		if err := receive(t, done, "the second attempt"); err != nil {
			t.Fatalf("the worker that took over: %v", err)
		}
		waitState(t, s, "run.copy", "k", "completed")
		release <- true
		for range 3 {
			wantErr(t, receive(t, zombie, "the end of the first attempt"), weir.ErrConflict)
		}
		var step int
		var data json.RawMessage
		s.tx(t, func(tx *Tx) (err error) {
			step, data, err = tx.LastStep("r")
			return err
		})
		if step != 0 || string(data) != "2" {
			t.Errorf("step %d was published by attempt %s", step, data)
		}
		waitState(t, s, "run.copy", "k", "completed")
	})
}

func TestCompleteIsPartOfTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		boom := errors.New("boom")
		result := make(chan error, 3)
		work(t, s.Store, WorkConfig{Handlers: map[string]Handler{"run.copy": func(ctx context.Context, task *Task) error {
			err := s.Tx(ctx, func(tx *Tx) error {
				if err := task.Complete(tx); err != nil {
					return err
				}
				return boom
			})
			result <- err
			result <- s.Tx(ctx, func(tx *Tx) error {
				_, err := tx.Enqueue(Job{Kind: "run.finish", Key: "next"})
				return errors.Join(err, tx.Insert(doc(weir.KindRun, "r", `{}`), ann), task.Complete(tx))
			})
			result <- s.Tx(ctx, task.Complete)
			return errors.New("after the commit an error changes nothing")
		}}})
		s.enqueue(t, Job{Kind: "run.copy", Key: "k"})
		wantErr(t, receive(t, result, "the first transaction"), boom)
		if err := receive(t, result, "the second transaction"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, receive(t, result, "the third transaction"), weir.ErrConflict)
		waitState(t, s, "run.copy", "k", "completed")
		waitState(t, s, "run.finish", "next", "available")
		s.get(t, weir.KindRun, prod, "r")
	})
}
