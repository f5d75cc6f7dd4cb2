package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"weir"
)

// Job is work to be done once, by whichever process comes first.
type Job struct {
	// Kind selects the handler: two or more of [A-Za-z0-9_-].
	Kind string
	// Key makes the job unique within its kind, for as long as its row exists (a day after it was completed).
	Key string
	// Args is handed to the handler as JSON; nil is null.
	Args any
	// At is not before when it runs, by the store's clock; zero is at once. The queue looks for jobs that became due every few seconds.
	At time.Time
}

// Handler does a job. It should end with [Task.Complete] in the transaction that publishes its result. Returning nil completes the job
// as well; any other error has it tried again later (see [Snooze] and [GiveUp]), for ever: a handler that wants to stop looks at
// Task.Failures. The context is cancelled when the process is told to stop and the drain time is over.
type Handler func(ctx context.Context, t *Task) error

// Task is one attempt at a job.
type Task struct {
	Kind string
	Key  string
	Args json.RawMessage
	// Attempt counts from 1. Snoozes do not count, attempts that ended with the death of their process do.
	Attempt int
	// Failures counts the earlier attempts that ended with an error, Deaths those that ended with the death of their process, which is
	// nobody's error.
	Failures, Deaths int

	ctx  context.Context //nolint:containedctx // a Task lives inside one call of its handler
	job  *river.Job[jobArgs]
	done atomic.Bool // completed by a transaction that was committed
}

// WorkConfig says how a process works.
type WorkConfig struct {
	// Handlers are the kinds that this process works on. Jobs of other kinds are left to other processes.
	Handlers map[string]Handler
	// Workers is the number of jobs at a time; 0 is 4.
	Workers int
	// LeaseTTL is how long a process that died keeps its jobs before others take them over; 0 is 5 s.
	LeaseTTL time.Duration
	// Drain is how long running jobs may go on after ctx is done, before their context is cancelled too; 0 is 10 s.
	Drain time.Duration
	// Embedded says that this is the only process on the database: jobs left running by its predecessor start again at once.
	Embedded bool
}

// maxAttempts is what the queue itself allows; handlers decide earlier.
const maxAttempts = 10_000

// Snooze is what a handler returns to have the job run again after d without counting an attempt.
func Snooze(d time.Duration) error { return river.JobSnooze(max(d, 0)) }

// GiveUp is what a handler returns to end the job for good as failed.
func GiveUp(err error) error { return river.JobCancel(err) }

// jobArgs carries every kind of job. The kind is not in the JSON: the queue's row has it.
type jobArgs struct {
	kind string
	Key  string          `json:"key" river:"unique"`
	Args json.RawMessage `json:"args"`
}

func (a jobArgs) Kind() string { return a.kind }

// queueDriver is what the queue needs to know about the database.
type queueDriver interface {
	migrateLock(ctx context.Context, db *sql.DB) (unlock func(), err error)
	migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error
	client(db *sql.DB, c *river.Config) (*river.Client[*sql.Tx], error)
	// complete completes the job if it is running, and returns it as it is then.
	complete(ctx context.Context, tx *sql.Tx, job *river.Job[jobArgs]) (*rivertype.JobRow, error)
	// lost lists the running jobs whose worker is not alive.
	lost() string
}

// Enqueue adds a job that becomes visible when tx commits. inserted is false, without an error, if a job of that kind and key exists.
func (tx *Tx) Enqueue(j Job) (inserted bool, err error) {
	if !tx.write {
		return false, errReadOnly
	}
	args, err := json.Marshal(j.Args)
	if err != nil {
		return false, fmt.Errorf("enqueue %s %s: %w", j.Kind, j.Key, err)
	}
	opts := &river.InsertOpts{
		MaxAttempts: maxAttempts,
		UniqueOpts:  river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()},
	}
	if wait := j.At.Sub(tx.s.now()); !j.At.IsZero() && wait > 0 {
		opts.ScheduledAt = time.Now().Add(wait) // the queue knows the real clock only
	}
	res, err := tx.s.inserter.InsertTx(tx.ctx, tx.sql, jobArgs{kind: j.Kind, Key: j.Key, Args: args}, opts)
	if err != nil {
		return false, fmt.Errorf("enqueue %s %s: %w", j.Kind, j.Key, tx.note(err))
	}
	return !res.UniqueSkippedAsDuplicate, nil
}

// Complete completes the job inside tx: with the commit, the job is done. It fails with [weir.ErrConflict] if this attempt no longer owns
// the job, because another process took it over; everything else in tx must then be given up, so return the error.
func (t *Task) Complete(tx *Tx) error {
	if !tx.write {
		return errReadOnly
	}
	// Completing first and looking at what was completed then: a read of the job before it would collide, for a serializable database,
	// with every job that others enqueue meanwhile. What was not ours to complete is undone with tx.
	begun := time.Now().Truncate(time.Millisecond)
	row, err := tx.s.queue.complete(t.ctx, tx.sql, t.job)
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return fmt.Errorf("complete %s %s: the job is gone: %w", t.Kind, t.Key, weir.ErrConflict)
	case err != nil:
		return fmt.Errorf("complete %s %s: %w", t.Kind, t.Key, tx.note(err))
	case row.State != rivertype.JobStateCompleted || row.Attempt != t.job.Attempt || !slices.Equal(row.AttemptedBy, t.job.AttemptedBy):
		return fmt.Errorf("complete %s %s: another worker has the job: %w", t.Kind, t.Key, weir.ErrConflict)
	case t.done.Load() || row.FinalizedAt == nil || row.FinalizedAt.Before(begun):
		return fmt.Errorf("complete %s %s: the job was completed before: %w", t.Kind, t.Key, weir.ErrConflict)
	}
	tx.AfterCommit(func() { t.done.Store(true) })
	return nil
}

// DropJob forgets a job that is not running, so that its kind and key may be used again; none is no error. The error is
// [weir.ErrConflict] if the job is running.
func (tx *Tx) DropJob(kind, key string) error {
	var id int64
	var state string
	err := tx.row("SELECT id, state FROM river_job WHERE kind = $1 AND args ->> 'key' = $2", []any{kind, key}, &id, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil && state == string(rivertype.JobStateRunning) {
		err = weir.ErrConflict
	}
	if err == nil {
		_, err = tx.exec("DELETE FROM river_job WHERE id = $1", id)
	}
	if err != nil {
		return fmt.Errorf("drop job %s %s: %w", kind, key, err)
	}
	return nil
}

// Work takes jobs and runs their handlers until ctx is done, then waits for the running ones (see WorkConfig.Drain) and returns nil.
// Several processes, and several calls in one process, may work on one database: a job is run by one of them.
func (s *Store) Work(ctx context.Context, c WorkConfig) error {
	if len(c.Handlers) == 0 {
		return errors.New("work: no handlers")
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = 5 * time.Second
	}
	if c.Drain <= 0 {
		c.Drain = 10 * time.Second
	}
	w := &worker{s: s, id: weir.NewUUID(), config: c}
	// The lease comes first: a job of a worker without one is anybody's.
	if err := w.beat(ctx); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	defer w.leave(ctx)
	if err := w.reap(ctx, c.Embedded); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	client, err := s.queue.client(s.db, w.riverConfig())
	if err != nil {
		return fmt.Errorf("work: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	// The lease outlives ctx: jobs are running until the client has stopped.
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		w.keep(keeping)
	}()
	<-client.Stopped()
	stop()
	<-kept
	return nil
}

// worker is one call of Work.
type worker struct {
	s      *Store
	id     string
	config WorkConfig
}

func (w *worker) riverConfig() *river.Config {
	workers := river.NewWorkers()
	for kind, handler := range w.config.Handlers {
		river.AddWorkerArgs(workers, jobArgs{kind: kind}, &runner{w: w, kind: kind, handler: handler})
	}
	return &river.Config{
		ID:                  w.id,
		Queues:              map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: w.config.Workers}},
		Workers:             workers,
		FetchOnlyKnownKinds: true,
		FetchCooldown:       20 * time.Millisecond,
		FetchPollInterval:   500 * time.Millisecond,
		// A job takes as long as it takes. What became of its process is the business of the leases (lease.go), not of a timer: the
		// queue's own rescuer would run a long job twice, and needs a bound all the same.
		JobTimeout:           -1,
		RescueStuckJobsAfter: 10 * 365 * 24 * time.Hour,
		SoftStopTimeout:      w.config.Drain,
		MaxAttempts:          maxAttempts,
		RetryPolicy:          retryPolicy{},
		ReindexerIndexNames:  []string{},
		Logger:               queueLog(w.s.log),
	}
}

// runner hands the jobs of one kind to its handler.
type runner struct {
	river.WorkerDefaults[jobArgs]
	w       *worker
	kind    string
	handler Handler
}

func (r *runner) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	failed := failures(job.JobRow)
	err := r.handler(ctx, &Task{
		Kind: r.kind, Key: job.Args.Key, Args: job.Args.Args, Attempt: job.Attempt, Failures: failed, Deaths: len(job.Errors) - failed,
		ctx: ctx, job: job,
	})
	var snooze *rivertype.JobSnoozeError
	if err != nil && !errors.As(err, &snooze) && ctx.Err() == nil {
		r.w.s.log.Debug("a job failed", "kind", r.kind, "key", job.Args.Key, "attempt", job.Attempt, "error", err)
	}
	return err
}

// retryPolicy waits one second after the first failure, twice as long after each further one, at most five minutes.
type retryPolicy struct{}

func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	wait := min(time.Second<<min(failures(job), 10), 5*time.Minute)
	return time.Now().Add(wait + rand.N(wait/5)) //nolint:gosec // jitter
}

// failures counts the errors of a job's earlier attempts.
func failures(job *rivertype.JobRow) int {
	n := 0
	for i := range job.Errors {
		if job.Errors[i].Error != deathNote {
			n++
		}
	}
	return n
}

// quiet keeps the queue's own chatter out of the log: what happens to jobs is reported by runner.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

func queueLog(log *slog.Logger) *slog.Logger { return slog.New(quiet{log.Handler()}) }
