package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weir"
)

// staleBudget is how long a budget that is full again is remembered, in microseconds.
const staleBudget = int64(24 * time.Hour / time.Microsecond)

// Spend takes calls out of a rate budget that all processes on the database share: up to want of them may be made now. If got is 0, wait is
// how long until it is worth asking again. The budget allows requests calls in any every on average and as many at once; requests 0 is no
// limit but what [Store.Hold] sets. The database's clock decides, so the processes' own need not agree.
//
// Each call writes one row: take several calls at once where there are many.
func (s *Store) Spend(ctx context.Context, name string, requests int, every time.Duration, want int) (got int, wait time.Duration, err error) {
	if requests < 0 || requests > 0 && every <= 0 || want < 1 {
		return 0, 0, fmt.Errorf("spend of budget %s: %d of %d calls in %s make no sense", name, want, requests, every)
	}
	if requests == 0 {
		err = s.View(ctx, func(tx *Tx) error {
			now, _, held, err := tx.budget(name)
			got, wait = want, 0
			if held > now {
				got, wait = 0, micros(held-now)
			}
			return err
		})
		return got, wait, err
	}
	// The row holds the time at which the budget is full again: it moves on by one step for each call (a virtual schedule, ITU-T I.371).
	step := max((every.Microseconds()+int64(requests)-1)/int64(requests), 1)
	err = s.Tx(ctx, func(tx *Tx) error {
		now, full, held, err := tx.budget(name)
		if err != nil {
			return err
		}
		full = max(full, now)
		room := (now + step*int64(requests) - full) / step
		got, wait = int(max(min(int64(want), room), 0)), 0
		switch {
		case held > now:
			got, wait = 0, micros(held-now)
			return nil
		case got == 0:
			wait = micros(full - step*int64(requests-1) - now)
			return nil
		}
		return tx.setBudget(name, full+step*int64(got), held, now)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("spend of budget %s: %w", name, err)
	}
	return got, wait, nil
}

// Hold keeps every process from spending of a budget for d. A hold that lasts longer stays.
func (s *Store) Hold(ctx context.Context, name string, d time.Duration) error {
	err := s.Tx(ctx, func(tx *Tx) error {
		now, full, held, err := tx.budget(name)
		if err != nil {
			return err
		}
		if until := now + d.Microseconds(); until > held {
			return tx.setBudget(name, full, until, now)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("hold budget %s: %w", name, err)
	}
	return nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// budget reads a budget with the database's clock, all in epoch microseconds; zeros for one that is not there.
func (tx *Tx) budget(name string) (now, full, held int64, err error) {
	if err := tx.row("SELECT "+tx.s.dialect.nowMS, nil, &now); err != nil {
		return 0, 0, 0, err
	}
	now *= 1000
	err = tx.row("SELECT full_at, held_until FROM budgets WHERE name = $1", []any{name}, &full, &held)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return now, full, held, err
}

// setBudget writes a budget. A new one takes those away that say nothing any more.
func (tx *Tx) setBudget(name string, full, held, now int64) error {
	n, err := tx.exec("UPDATE budgets SET full_at = $2, held_until = $3 WHERE name = $1", name, full, held)
	if err != nil || n > 0 {
		return err
	}
	if _, err := tx.exec("DELETE FROM budgets WHERE full_at < $1 AND held_until < $1", now-staleBudget); err != nil {
		return err
	}
	n, err = tx.exec("INSERT INTO budgets (name, full_at, held_until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", name, full, held)
	if err == nil && n == 0 {
		return weir.ErrConflict
	}
	return err
}
