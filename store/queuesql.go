package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

type sqliteQueue struct{}

func (sqliteQueue) migrateLock(context.Context, *sql.DB) (func(), error) { return func() {}, nil }

func (sqliteQueue) migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	return migrateQueue(ctx, riversqlite.New(db), log)
}

func (sqliteQueue) client(db *sql.DB, c *river.Config) (*river.Client[*sql.Tx], error) {
	return river.NewClient(riversqlite.New(db), c)
}

func (sqliteQueue) complete(ctx context.Context, tx *sql.Tx, job *river.Job[jobArgs]) (*rivertype.JobRow, error) {
	return completed(river.JobCompleteTx[*riversqlite.Driver](ctx, tx, job))
}

func (sqliteQueue) lost() string { return lostQuery("attempted_by ->> '$[#-1]'", sqliteNow) }

type postgresQueue struct {
	// listen gives the queue the connections on which it hears of new jobs.
	listen *pgxpool.Pool
}

// migrateKey is the advisory lock of processes that migrate.
const migrateKey = 0x77656972 // "weir"

func (postgresQueue) migrateLock(ctx context.Context, db *sql.DB) (func(), error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrateKey)); err != nil {
		_ = conn.Close() // the lock's failure is the one to report
		return nil, err
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrateKey)) // closing unlocks too
		_ = conn.Close()
	}, nil
}

func (postgresQueue) migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	return migrateQueue(ctx, riverdatabasesql.New(db), log)
}

func (q postgresQueue) client(db *sql.DB, c *river.Config) (*river.Client[*sql.Tx], error) {
	return river.NewClient(riverdatabasesql.NewWithPgxListener(db, q.listen), c)
}

func (postgresQueue) complete(ctx context.Context, tx *sql.Tx, job *river.Job[jobArgs]) (*rivertype.JobRow, error) {
	return completed(river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, job))
}

func (postgresQueue) lost() string {
	return lostQuery("attempted_by[array_upper(attempted_by, 1)]", postgresNow)
}

func completed(job *river.Job[jobArgs], err error) (*rivertype.JobRow, error) {
	if err != nil {
		return nil, err
	}
	return job.JobRow, nil
}

// lostQuery compares the worker of the last attempt with the live leases.
func lostQuery(owner, now string) string {
	return "SELECT id, attempt FROM river_job WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM worker_lease WHERE worker_lease.id = " +
		owner + " AND expires > " + now + ")"
}

func migrateQueue(ctx context.Context, driver riverdriver.Driver[*sql.Tx], log *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: queueLog(log)})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}
