package flow

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"weir"
	"weir/lake"
	"weir/store"
)

// When a process looks after what is left over, and how old things must be to go.
const (
	maintainFirst = 10 * time.Minute
	maintainEvery = 6 * time.Hour
	// strayAge is longer than any promotion takes: younger files may belong to one.
	strayAge = 7 * 24 * time.Hour
	// abandonAge is how long a batch may take uploads.
	abandonAge = 7 * 24 * time.Hour
	// exportAge is how long the files that were made for a download are kept (schema-catalog-data §3.1).
	exportAge = 7 * 24 * time.Hour
	// diagnosticsAge is how long row errors and input lists of batches are kept (schema-catalog-data §3.4).
	diagnosticsAge = 30 * 24 * time.Hour
)

// maintain runs [Engine.Maintain] every few hours until ctx is done, in one process at a time.
func (e *Engine) maintain(ctx context.Context) {
	wait := time.NewTimer(maintainFirst)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		if err := e.Store.Exclusive(ctx, "maintain", e.Maintain); err != nil && ctx.Err() == nil {
			e.Log.Warn("maintenance did not come to its end", "error", err)
		}
		wait.Reset(maintainEvery)
	}
}

// Maintain looks after what is left over once: small data files are merged, batches that never were completed become abandoned, files that no table needs are removed,
// diagnostics end after 30 days. It stops at nothing but ctx; the first failures come back joined.
func (e *Engine) Maintain(ctx context.Context) error {
	e.init()
	now := e.Now()
	return errors.Join(
		e.abandon(ctx, now.Add(-abandonAge)),
		e.compactTables(ctx),
		e.cleanTables(ctx, now.Add(-strayAge)),
		e.dropOld(ctx, "exports/", now.Add(-exportAge)),
		e.dropOld(ctx, "meta/", now.Add(-diagnosticsAge)),
		e.forgetRejected(ctx, now.Add(-diagnosticsAge)),
		e.forgetKeys(ctx, now.Add(-strayAge)),
		e.dropOld(ctx, "uploads/", now.Add(-2*abandonAge)),
		e.dropTemporary(ctx, now),
	)
}

// abandon ends batches that have been loading since before a time.
func (e *Engine) abandon(ctx context.Context, before time.Time) error {
	return e.Store.Tx(ctx, func(tx *store.Tx) error {
		docs, _, err := tx.Find(store.Query{Kind: weir.KindBatch, AllScopes: true, Limit: 1000, Where: []store.Cond{
			{Path: []string{"status"}, Op: store.Eq, Values: []string{weir.BatchLoading}},
			{Path: []string{"createdAt"}, Op: store.Lt, Values: []string{strconv.FormatInt(before.UnixMilli(), 10)}},
		}})
		if err != nil {
			return fmt.Errorf("find forgotten batches: %w", err)
		}
		for _, d := range docs {
			if err := setBatch(d, map[string]any{"status": weir.BatchAbandoned, "completed": e.Now().UnixMilli()}); err != nil {
				return err
			}
			if err := tx.Update(d, weir.Actor{User: d.UpdatedBy, Client: d.UpdatedClient}); err != nil {
				return err
			}
		}
		return nil
	})
}

// cleanTables removes files that no snapshot of a table reaches.
func (e *Engine) cleanTables(ctx context.Context, olderThan time.Time) error {
	return e.eachTable(ctx, func(id Ident) error {
		t, err := e.tableNow(ctx, id)
		if t == nil {
			return err
		}
		n, err := t.Clean(ctx, olderThan)
		if err != nil {
			return fmt.Errorf("clean %s.%s: %w", id.Namespace, id.Name, err)
		}
		if n > 0 {
			e.Log.Info("files that no table needs were removed", "namespace", id.Namespace, "table", id.Name, "files", n)
		}
		return nil
	})
}

// eachTable calls do for all tables. An error of one does not keep the others from their turn.
func (e *Engine) eachTable(ctx context.Context, do func(Ident) error) error {
	var tables []Ident
	err := e.Store.View(ctx, func(tx *store.Tx) error {
		tables = nil
		namespaces, err := tx.Namespaces()
		if err != nil {
			return err
		}
		for _, ns := range namespaces {
			names, err := tx.Tables(ns)
			if err != nil {
				return err
			}
			for _, name := range names {
				tables = append(tables, Ident{ns, name})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	var failed []error
	for _, id := range tables {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(id); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// tableNow is the current version of a table, nil if it is gone.
func (e *Engine) tableNow(ctx context.Context, id Ident) (*lake.Table, error) {
	var location string
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		location, err = tx.Table(id.Namespace, id.Name)
		return err
	})
	if errors.Is(err, weir.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find table %s.%s: %w", id.Namespace, id.Name, err)
	}
	t, err := e.Lake.Load(ctx, location)
	if errors.Is(err, weir.ErrNotFound) { // it was dropped, or has moved far in this moment
		return nil, nil
	}
	return t, err
}

// forgetRejected removes the notes about rejected rows that are no longer kept.
func (e *Engine) forgetRejected(ctx context.Context, before time.Time) error {
	return e.Store.Tx(ctx, func(tx *store.Tx) error {
		docs, _, err := tx.Find(store.Query{Kind: kindRejected, AllScopes: true, Limit: 1000, Where: []store.Cond{
			{Path: []string{"createdAt"}, Op: store.Lt, Values: []string{strconv.FormatInt(before.UnixMilli(), 10)}},
		}})
		if err != nil {
			return fmt.Errorf("find old notes about rejected rows: %w", err)
		}
		for _, d := range docs {
			if err := tx.Delete(kindRejected, d.Scope, d.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropOld removes objects below a folder that were written before a time.
func (e *Engine) dropOld(ctx context.Context, folder string, before time.Time) error {
	for o, err := range e.Lake.Bucket().List(ctx, folder) {
		if err != nil {
			return err
		}
		if !o.ModTime.Before(before) {
			continue
		}
		if err := e.Lake.Bucket().Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) dropTemporary(ctx context.Context, now time.Time) error {
	_, err := e.Lake.Bucket().Sweep(ctx, now, strayAge)
	return err
}
