package flow

import (
	"context"
	"errors"

	"weir"
	"weir/lake"
	"weir/store"
)

// RevertBatch takes a successful batch's rows out of its dataset and makes it inactive (§4.4). It reports false if the batch is in another
// status.
func (e *Engine) RevertBatch(ctx context.Context, scope weir.Scope, id string, by weir.Actor) (done bool, err error) {
	for {
		done, err := e.tryRevert(ctx, scope, id, by)
		if !errors.Is(err, errTableMoved) {
			return done, err
		}
	}
}

func (e *Engine) tryRevert(ctx context.Context, scope weir.Scope, id string, by weir.Actor) (done bool, err error) {
	var b weir.Batch
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(weir.KindBatch, scope, id)
		if err != nil {
			return err
		}
		return d.Read(&b)
	})
	if err != nil || b.Status != weir.BatchSuccess {
		return false, err
	}
	t, location, rest, err := e.without(ctx, scope, b.Dataset(), id)
	if err != nil {
		return false, err
	}
	err = e.Store.Tx(ctx, func(tx *store.Tx) error {
		done = false
		d, err := tx.Get(weir.KindBatch, scope, id)
		if err != nil {
			return err
		}
		if d.State != weir.BatchSuccess {
			return nil
		}
		if t != nil && location != t.location {
			if err := tx.SwapTable(t.ident.Namespace, t.ident.Name, t.location, location); err != nil {
				if errors.Is(err, weir.ErrConflict) {
					return errTableMoved
				}
				return err
			}
		}
		done = true
		if err := setBatch(d, map[string]any{"status": weir.BatchInactive}); err != nil {
			return err
		}
		if err := tx.Update(d, by); err != nil || t == nil {
			return err
		}
		return t.table.Publish(rest)
	})
	if errors.Is(err, errTableMoved) || err == nil && !done { // nothing was committed
		t.discard(ctx, rest)
	}
	return done && err == nil, err
}

// discard removes files that Without wrote and no commit has made visible.
func (t *target) discard(ctx context.Context, files []lake.DataFile) {
	if t != nil && len(files) > 0 {
		_ = t.table.Discard(context.WithoutCancel(ctx), files[0].Batch()) // maintenance finds what stays
	}
}

// without writes a version of a dataset's table that lacks a batch's rows; rest are the new files in it. The target is nil if the dataset is gone.
func (e *Engine) without(ctx context.Context, scope weir.Scope, dataset, batch string) (t *target, location string, rest []lake.DataFile, err error) {
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Get(weir.KindDataset, scope, dataset)
		return err
	})
	if errors.Is(err, weir.ErrNotFound) {
		return nil, "", nil, nil
	}
	if err != nil {
		return nil, "", nil, err
	}
	if t, err = e.loadTarget(ctx, scope, dataset); err != nil {
		return nil, "", nil, err
	}
	gone, rest, err := t.table.Without(ctx, []string{batch})
	if err != nil {
		return nil, "", nil, err
	}
	if location, err = t.table.Replace(ctx, gone, rest, map[string]string{"weir.reverted-batch-id": batch}); err != nil {
		t.discard(ctx, rest)
	}
	return t, location, rest, err
}
