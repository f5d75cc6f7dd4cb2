package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir"
)

// exclusiveTTL is how long a process that died holds up the others.
const exclusiveTTL = 5 * time.Second

// Exclusive runs fn while this caller alone, over all processes on the database, holds the name. It waits for its turn (in no particular
// order) until ctx is done. The hold is a lease that is renewed while fn runs; if it is lost all the same (the process was stopped for
// longer than the lease, the database was away), the context of fn is cancelled with the cause [weir.ErrConflict], and fn must stop
// writing. Not re-entrant.
func (s *Store) Exclusive(ctx context.Context, name string, fn func(ctx context.Context) error) error {
	// The callers of one process take turns in memory; only one of them looks at the database.
	v, _ := s.local.LoadOrStore(name, make(chan struct{}, 1))
	turn, ok := v.(chan struct{})
	if !ok {
		return fmt.Errorf("exclusive %s: turn is a %T", name, v)
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("exclusive %s: %w", name, ctx.Err())
	}
	defer func() { <-turn }()

	holder := weir.NewUUID()
	if err := s.acquire(ctx, name, holder); err != nil {
		return fmt.Errorf("exclusive %s: %w", name, err)
	}
	held, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.renew(held, cancel, name, holder)
	}()
	defer func() {
		cancel(context.Canceled)
		<-renewed
		s.release(ctx, name, holder)
	}()
	return fn(held)
}

func (s *Store) acquire(ctx context.Context, name, holder string) error {
	for wait := 10 * time.Millisecond; ; wait = min(wait*2, 200*time.Millisecond) {
		got, err := s.lease(ctx, name, holder)
		if err != nil || got {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// lease takes the name if it is free or expired.
func (s *Store) lease(ctx context.Context, name, holder string) (got bool, err error) {
	now := s.dialect.nowMS
	res, err := s.db.ExecContext(ctx, `INSERT INTO leases (name, holder, expires) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
		WHERE leases.expires <= `+now, name, holder, exclusiveTTL.Milliseconds())
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// extend renews the lease that holder has; false if it has it no more.
func (s *Store) extend(ctx context.Context, name, holder string) (held bool, err error) {
	res, err := s.db.ExecContext(ctx, "UPDATE leases SET expires = "+s.dialect.nowMS+" + $3 WHERE name = $1 AND holder = $2",
		name, holder, exclusiveTTL.Milliseconds())
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// renew keeps the lease until ctx is done. The lease counts as lost when it could not be renewed in time, or when somebody else has it.
func (s *Store) renew(ctx context.Context, cancel context.CancelCauseFunc, name, holder string) {
	tick := time.NewTicker(exclusiveTTL / 5)
	defer tick.Stop()
	good := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		attempt, done := context.WithDeadline(ctx, good.Add(exclusiveTTL))
		got, err := s.extend(attempt, name, holder)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && got:
			good = asked
		case err == nil || time.Since(good) >= exclusiveTTL:
			cancel(fmt.Errorf("exclusive %s: the lease is lost: %w", name, errors.Join(weir.ErrConflict, err)))
			return
		}
	}
}

// release gives the name back at once, also when the caller's context is done.
func (s *Store) release(ctx context.Context, name, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exclusiveTTL)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, "DELETE FROM leases WHERE name = $1 AND holder = $2", name, holder); err != nil {
		s.log.Warn("a lease was not given back; it expires by itself", "name", name, "error", err)
	}
}
