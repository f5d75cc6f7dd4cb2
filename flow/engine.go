package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weir"
	"weir/lake"
	"weir/store"
)

// Engine plans and runs flows. Set the fields before the first call; all methods are then safe for concurrent use.
// Several processes may run engines over one PostgreSQL database and one bucket.
type Engine struct {
	Store *store.Store
	Lake  *lake.Lake
	// Openers make sources, by connector kind ("rest", …); see [Kind].
	Openers map[string]Opener
	// Hosts overrides the host of a connection spec, by spec id (--source-host).
	Hosts map[string]string
	// PublicURL is the base of absolute links in runs, without a trailing slash.
	PublicURL string
	// Workers is the number of run steps worked at once; PromoteThreads the parallelism inside one promotion.
	Workers, PromoteThreads int
	// LeaseTTL is how long a silent process keeps its jobs (0: 5 s).
	LeaseTTL time.Duration
	// Embedded says that no other process works on this database: what was running when it ended goes on at once at the next start.
	Embedded bool
	// ChunkBytes and ChunkTime bound the work of one copy step, and so what a crash costs (0: 64 MiB, 2 s).
	ChunkBytes int64
	ChunkTime  time.Duration
	// KeepSmallFiles switches the merging of small data files off: for whoever reads the Parquet files of a table without its metadata.
	KeepSmallFiles bool
	Now            func() time.Time
	Log            *slog.Logger
	// Fail is called at named points of a run's life; tests kill the process there. Nil in production.
	Fail func(point string)

	once     sync.Once
	wakeTick chan struct{}
}

// Failpoints, in the order a run and the maintenance meet them.
const (
	FailCopyPage    = "copy.page"       // a page was written to the stage, no checkpoint yet
	FailCopyStep    = "copy.step"       // a copy checkpoint is durable
	FailReplayed    = "replay.staged"   // rejected rows are staged again, no checkpoint yet
	FailPromoted    = "promote.written" // data files are written, no checkpoint yet
	FailPromoteStep = "promote.step"    // the promotion's checkpoint is durable
	FailAppended    = "finish.appended" // table metadata is written, the pointer has not moved
	FailCommitted   = "finish.committed"

	FailMerged         = "merge.written"  // merged files are written, nothing refers to them
	FailMergeAppended  = "merge.appended" // table metadata is written, the pointer has not moved
	FailMergeCommitted = "merge.committed"
)

func (e *Engine) fail(point string) {
	if e.Fail != nil {
		e.Fail(point)
	}
}

func (e *Engine) init() {
	e.once.Do(func() {
		e.wakeTick = make(chan struct{}, 1)
		if e.Now == nil {
			e.Now = time.Now
		}
		if e.Log == nil {
			e.Log = slog.Default()
		}
		e.Workers = max(e.Workers, 1)
		e.PromoteThreads = max(e.PromoteThreads, 1)
		if e.ChunkBytes <= 0 {
			e.ChunkBytes = 64 << 20
		}
		if e.ChunkTime <= 0 {
			e.ChunkTime = 2 * time.Second
		}
	})
}

// Run schedules and works until ctx is done, then lets running steps reach their next checkpoint.
func (e *Engine) Run(ctx context.Context) error {
	e.init()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { e.schedule(ctx) })
	loops.Go(func() { e.maintain(ctx) })
	err := e.Store.Work(ctx, store.WorkConfig{
		Workers:  e.Workers,
		LeaseTTL: e.LeaseTTL,
		Embedded: e.Embedded,
		Handlers: map[string]store.Handler{
			jobCopy:    e.step(ctx, e.sourceStep),
			jobPromote: e.step(ctx, e.promoteStep),
			jobFinish:  e.step(ctx, e.finishStep),
			jobSweep:   e.sweep,
			jobBatch:   e.batchStep,
		},
	})
	cancel()
	loops.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Job kinds, one per step of a run.
const (
	jobCopy    = "run.copy"
	jobPromote = "run.promote"
	jobFinish  = "run.finish"
	jobSweep   = "run.sweep"
)

// maxAttempts is how often a step is tried when the fault is ours (a full disk, a lost database), not the source's.
const maxAttempts = 5

// runJob is the argument of every step.
type runJob struct {
	Scope weir.Scope `json:"scope"`
	Run   string     `json:"run"`
}

// step wraps a step of a run: it decodes the arguments, and turns a final error into the run's failure.
func (e *Engine) step(drain context.Context, do func(ctx context.Context, r *running) error) store.Handler {
	return func(ctx context.Context, t *store.Task) error {
		var job runJob
		if err := json.Unmarshal(t.Args, &job); err != nil {
			return fmt.Errorf("read job arguments: %w", err)
		}
		r := &running{runJob: job, task: t, drain: drain, log: e.Log.With("run", job.Run, "step", t.Kind)}
		err := e.deadly(ctx, r)
		if err == nil {
			err = do(ctx, r)
		}
		_, coded := errors.AsType[*weir.Error](err)
		switch {
		case err == nil, errors.Is(err, weir.ErrConflict), ctx.Err() != nil:
			return err
		case coded || t.Failures+1 >= maxAttempts:
			r.log.Warn("run failed", "error", err)
			return e.failRun(ctx, r, err)
		}
		r.log.Warn("step will be tried again", "attempt", t.Attempt, "error", err)
		return err
	}
}

// sweep wraps the step after a run's end: it has no run to fail, it is tried until it comes through.
func (e *Engine) sweep(ctx context.Context, t *store.Task) error {
	var job runJob
	if err := json.Unmarshal(t.Args, &job); err != nil {
		return fmt.Errorf("read job arguments: %w", err)
	}
	return e.sweepStep(ctx, &running{runJob: job, task: t, log: e.Log})
}

// running is one step at work.
type running struct {
	runJob
	task  *store.Task
	drain context.Context //nolint:containedctx // tells a long copy to stop at its next checkpoint
	log   *slog.Logger
	shown time.Time // when the run's document last showed its progress
}
