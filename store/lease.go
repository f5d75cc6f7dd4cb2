package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// Every worker keeps a row in worker_lease and renews it. A job that is running, but whose worker has no live lease, was left behind by a
// process that died: any other worker makes it available again. A worker that was merely slow finds that out by [Task.Complete] and
// [Tx.PutStep], which then fail.

// beat renews the lease.
func (w *worker) beat(ctx context.Context) error {
	now := w.s.dialect.nowMS
	_, err := w.s.db.ExecContext(ctx, `INSERT INTO worker_lease (id, expires) VALUES ($1, `+now+` + $2)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires`, w.id, w.config.LeaseTTL.Milliseconds())
	if err != nil {
		return fmt.Errorf("worker lease: %w", err)
	}
	return nil
}

// leave gives the lease up, so that nobody waits for it to expire.
func (w *worker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.config.LeaseTTL)
	defer cancel()
	if _, err := w.s.db.ExecContext(ctx, "DELETE FROM worker_lease WHERE id = $1", w.id); err != nil {
		w.s.log.Warn("a worker lease was not given up; it expires by itself", "error", err)
	}
}

// keep renews the lease and looks after the jobs of others until ctx is done.
func (w *worker) keep(ctx context.Context) {
	tick := time.NewTicker(w.config.LeaseTTL / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := w.beat(ctx)
		if err == nil {
			err = w.reap(ctx, false)
		}
		if err != nil && ctx.Err() == nil {
			w.s.log.Warn("worker upkeep failed; trying again", "error", err)
		}
	}
}

// reap makes the running jobs of dead workers available; all of them, whoever runs them, if everybody else is known to be dead.
func (w *worker) reap(ctx context.Context, all bool) error {
	query := w.s.queue.lost()
	args := []any{}
	if all {
		query = "SELECT id, attempt FROM river_job WHERE state = 'running'"
	}
	// Most of the time there is nothing to do, and looking disturbs nobody.
	if lost, err := w.lost(ctx, query, args); err != nil || len(lost) == 0 {
		return err
	}
	var taken []lostJob
	err := w.s.Tx(ctx, func(tx *Tx) error {
		taken = nil
		err := tx.each(query, args, func(rows *sql.Rows) error {
			var j lostJob
			err := rows.Scan(&j.id, &j.attempt)
			taken = append(taken, j)
			return err
		})
		if err != nil || len(taken) == 0 {
			return err
		}
		if all {
			if _, err := tx.exec("DELETE FROM worker_lease WHERE id <> $1", w.id); err != nil {
				return err
			}
		}
		return tx.rescue(taken)
	})
	if err != nil {
		return fmt.Errorf("take over jobs: %w", err)
	}
	if len(taken) > 0 {
		w.s.log.Warn("jobs of a worker that is gone start again", "jobs", len(taken))
	}
	return nil
}

// deathNote is what the errors of a job say of an attempt that ended with its process.
const deathNote = "the worker is gone"

type lostJob struct {
	id      int64
	attempt int
}

func (w *worker) lost(ctx context.Context, query string, args []any) (jobs []lostJob, err error) {
	err = w.s.View(ctx, func(tx *Tx) error {
		return tx.each(query, args, func(rows *sql.Rows) error {
			var j lostJob
			err := rows.Scan(&j.id, &j.attempt)
			jobs = append(jobs, j)
			return err
		})
	})
	return jobs, err
}

// rescue makes jobs available the way the queue's own rescuer does.
func (tx *Tx) rescue(jobs []lostJob) error {
	now := time.Now().UTC()
	p := &riverdriver.JobRescueManyParams{StuckHorizon: now.Add(time.Hour)}
	for _, j := range jobs {
		note, err := json.Marshal(rivertype.AttemptError{At: now, Attempt: j.attempt, Error: deathNote})
		if err != nil {
			return err
		}
		p.ID = append(p.ID, j.id)
		p.Error = append(p.Error, note)
		p.FinalizedAt = append(p.FinalizedAt, nil)
		p.ScheduledAt = append(p.ScheduledAt, now)
		p.State = append(p.State, string(rivertype.JobStateAvailable))
	}
	if _, err := tx.s.inserter.Driver().UnwrapExecutor(tx.sql).JobRescueMany(tx.ctx, p); err != nil {
		return tx.note(err)
	}
	return nil
}
