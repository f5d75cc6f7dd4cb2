package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"weir"
)

// Tick is a moment at which something is due, once for each key.
type Tick struct {
	Key   string
	Scope weir.Scope
	// At is the moment that was set, in UTC; it may be long past.
	At time.Time
}

// idleWait is what Ticks answers when nothing is scheduled: another process may set a tick.
const idleWait = time.Minute

// SetTick makes next (to the millisecond) the moment of key, whatever it was before.
func (tx *Tx) SetTick(key string, scope weir.Scope, next time.Time) error {
	_, err := tx.exec(`INSERT INTO ticks (key, org, sandbox, next_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET org = excluded.org, sandbox = excluded.sandbox, next_at = excluded.next_at`,
		key, scope.Org, scope.Sandbox, next.UnixMilli())
	if err != nil {
		return fmt.Errorf("set tick %s: %w", key, err)
	}
	return nil
}

// ClearTick forgets the moment of key; none is no error.
func (tx *Tx) ClearTick(key string) error {
	if _, err := tx.exec("DELETE FROM ticks WHERE key = $1", key); err != nil {
		return fmt.Errorf("clear tick %s: %w", key, err)
	}
	return nil
}

// Tick returns the moment of key; [weir.ErrNotFound] if it has none.
func (tx *Tx) Tick(key string) (Tick, error) {
	var at int64
	t := Tick{Key: key}
	err := tx.row("SELECT org, sandbox, next_at FROM ticks WHERE key = $1", []any{key}, &t.Scope.Org, &t.Scope.Sandbox, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Tick{}, fmt.Errorf("tick %s: %w", key, weir.ErrNotFound)
	}
	if err != nil {
		return Tick{}, fmt.Errorf("tick %s: %w", key, err)
	}
	t.At = time.UnixMilli(at).UTC()
	return t, nil
}

// Ticks calls fn for every tick that is due at now, oldest first, each in a write transaction of its own that also moves the tick to the
// moment that fn returns (later than now; zero clears it). Any number of processes may call Ticks: a tick is claimed by one of them. If
// fn fails its transaction is rolled back, the tick stays due, and the others are still served; the failures come back joined. fn may
// run again if the database asks for it, see [Store.Tx].
//
// n is the number of ticks that were served, wait the time from now to the next tick: at most a minute, since others may set one, and at
// least a second after a failure.
func (s *Store) Ticks(ctx context.Context, now time.Time, fn func(*Tx, Tick) (next time.Time, err error)) (n int, wait time.Duration, err error) {
	var failed []error
	var last Tick // claims go past it, so that a failing tick does not hold up the others
	for ctx.Err() == nil {
		var t Tick
		err := s.Tx(ctx, func(tx *Tx) error {
			var err error
			if t, err = tx.claimTick(now, last); err != nil || t.Key == "" {
				return err
			}
			next, err := fn(tx, t)
			if err != nil {
				return err
			}
			return tx.moveTick(t, next, now)
		})
		if err != nil && t.Key == "" {
			return n, 0, fmt.Errorf("ticks: %w", err)
		}
		if t.Key == "" {
			break
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("tick %s: %w", t.Key, err))
		} else {
			n++
		}
		last = t
	}
	if err := ctx.Err(); err != nil {
		return n, 0, err
	}
	wait, err = s.untilTick(ctx, now)
	if len(failed) > 0 {
		wait = max(wait, time.Second)
	}
	return n, wait, errors.Join(append(failed, err)...)
}

// claimTick locks the oldest due tick after last; an empty key if there is none.
func (tx *Tx) claimTick(now time.Time, last Tick) (Tick, error) {
	var t Tick
	var at int64
	after := int64(math.MinInt64)
	if last.Key != "" {
		after = last.At.UnixMilli()
	}
	err := tx.row(`SELECT key, org, sandbox, next_at FROM ticks
		WHERE next_at <= $1 AND next_at >= $2 AND (next_at > $2 OR key > $3)
		ORDER BY next_at, key LIMIT 1`+tx.s.dialect.skipLocked,
		[]any{now.UnixMilli(), after, last.Key}, &t.Key, &t.Scope.Org, &t.Scope.Sandbox, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Tick{}, nil
	}
	t.At = time.UnixMilli(at).UTC()
	return t, err
}

func (tx *Tx) moveTick(t Tick, next, now time.Time) error {
	if next.IsZero() {
		return tx.ClearTick(t.Key)
	}
	if !next.After(now) {
		return fmt.Errorf("the next moment %s is not after now (%s)", next.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano))
	}
	return tx.SetTick(t.Key, t.Scope, next)
}

func (s *Store) untilTick(ctx context.Context, now time.Time) (time.Duration, error) {
	wait := idleWait
	err := s.View(ctx, func(tx *Tx) error {
		var at sql.NullInt64
		if err := tx.row("SELECT min(next_at) FROM ticks", nil, &at); err != nil || !at.Valid {
			return err
		}
		wait = min(wait, max(0, time.UnixMilli(at.Int64).Sub(now)))
		return nil
	})
	return wait, err
}
