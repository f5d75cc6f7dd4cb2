// Package store keeps the control plane: documents, steps, ticks, table pointers, secrets and the job queue, in SQLite or PostgreSQL
// through one code path.
//
// Everything that belongs together is written in one [Store.Tx]: a run document and its job, a table pointer and its batch. Both databases
// give the same guarantees there (serializable transactions, retried), so callers never ask which one they run on. The differing SQL
// fragments are in the dialect value; see dialect.go.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/riverqueue/river"
)

// Config opens a [Store].
type Config struct {
	// URL is "sqlite:/abs/weir.db" (the file and its folder are created) or "postgres://user@host:port/db?…".
	URL string
	// MasterKey is 32 bytes: it opens the keyset that seals the secrets. The same key is needed at every later Open. See [LoadOrCreateKey].
	MasterKey []byte
	// Now is the clock of documents and ticks; nil is the real one.
	Now func() time.Time
	// Log receives warnings; nil discards them.
	Log *slog.Logger
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect *dialect
	// db runs write transactions and the queue. On SQLite it has one connection, because there is one writer: waiting in the pool is
	// fair and cheap, waiting for a lock in the file is neither.
	db *sql.DB
	// reads runs View; on PostgreSQL it is db.
	reads *sql.DB
	now   func() time.Time
	log   *slog.Logger
	keys  *keyring
	queue queueDriver
	// inserter is a queue client that only enqueues.
	inserter *river.Client[*sql.Tx]

	local sync.Map // name of an Exclusive -> chan struct{} with one token
}

// Open connects, migrates the schema to this version and unseals the keyset. Several processes may open the same database at once.
// A wrong master key fails here, with an error that says so.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{now: c.Now, log: c.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if len(c.MasterKey) != masterKeyLen {
		return nil, fmt.Errorf("open store: the master key has %d bytes, it must have %d", len(c.MasterKey), masterKeyLen)
	}
	if err := s.connect(ctx, c.URL); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.prepare(ctx, c.MasterKey); err != nil {
		_ = s.Close() // the reason for not opening is the one to report
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, masterKey []byte) error {
	if err := s.reads.PingContext(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.dialect.probe(ctx, s.db); err != nil {
		return err
	}
	// The cooldown here limits how often workers are told of new jobs; one that they are not told of waits for their next poll.
	inserter, err := s.queue.client(s.db, &river.Config{FetchCooldown: river.FetchCooldownMin, Logger: queueLog(s.log)})
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	s.inserter = inserter
	return s.openKeys(ctx, masterKey)
}

// closeTimeout bounds the tidying up of Close.
const closeTimeout = 5 * time.Second

// Close releases the connections. Transactions still running fail.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s.dialect.close(ctx, s.db)
	err := s.db.Close()
	if s.reads != s.db {
		err = errors.Join(err, s.reads.Close())
	}
	return err
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.reads.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Tx is one transaction. It is bound to the context it was begun with, belongs to one goroutine, and is of no use once the function it was
// handed to has returned.
type Tx struct {
	ctx   context.Context //nolint:containedctx // a Tx lives inside one call of Tx or View
	sql   *sql.Tx
	s     *Store
	write bool
	// transient is the first failure that says "try the whole transaction again", kept even if the caller drops it.
	transient error
	after     []func()
}

// Context is the context that the transaction is bound to.
func (tx *Tx) Context() context.Context { return tx.ctx }

// AfterCommit calls f once, after the transaction has been committed; not at all if it fails.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

var errReadOnly = errors.New("write in a read transaction (View): use Tx")

// retryFor bounds how long Tx tries again.
const retryFor = 30 * time.Second

// Tx runs fn in a write transaction and commits it if fn returns nil. Transactions are serializable: what fn reads cannot have changed
// when it commits. When the database asks for it (busy, serialization failure) the transaction is rolled back and fn runs again from the
// start, so fn must be re-runnable: no effects outside of tx, and results assigned, not appended. fn must not begin another transaction.
func (s *Store) Tx(ctx context.Context, fn func(*Tx) error) error {
	deadline := time.Now().Add(retryFor)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		again, err := s.once(ctx, s.db, s.dialect.writeOptions, true, fn)
		if err == nil || !again || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // jitter
		}
	}
}

// View runs fn in a read transaction: one consistent snapshot, never blocked by writers. Writing in it is an error.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	_, err := s.once(ctx, s.reads, s.dialect.readOptions, false, fn)
	return err
}

func (s *Store) once(ctx context.Context, db *sql.DB, opts *sql.TxOptions, write bool, fn func(*Tx) error) (again bool, err error) {
	t, err := db.BeginTx(ctx, opts)
	if err != nil {
		return s.dialect.transient(err), fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	tx := &Tx{ctx: ctx, sql: t, s: s, write: write}
	if err := fn(tx); err != nil {
		return tx.transient != nil, err
	}
	if tx.transient != nil {
		return true, tx.transient
	}
	if err := t.Commit(); err != nil {
		return s.dialect.transient(err), fmt.Errorf("commit: %w", err)
	}
	for _, f := range tx.after {
		f()
	}
	return false, nil
}

// note remembers that a failure asks for another try of the whole transaction.
func (tx *Tx) note(err error) error {
	if err != nil && tx.transient == nil && tx.s.dialect.transient(err) {
		tx.transient = err
	}
	return err
}

// exec runs one writing statement and returns the number of rows it changed.
func (tx *Tx) exec(query string, args ...any) (int64, error) {
	if !tx.write {
		return 0, errReadOnly
	}
	res, err := tx.sql.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, tx.note(err)
	}
	return res.RowsAffected()
}

// row reads one row into dest; sql.ErrNoRows if there is none.
func (tx *Tx) row(query string, args []any, dest ...any) error {
	return tx.note(tx.sql.QueryRowContext(tx.ctx, query, args...).Scan(dest...))
}

// each reads rows, one call of scan for each.
func (tx *Tx) each(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := tx.sql.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return tx.note(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below has the failure
	for rows.Next() {
		if err := scan(rows); err != nil {
			return tx.note(err)
		}
	}
	return tx.note(rows.Err())
}
