package flow

import (
	"context"
	"errors"

	"weir"
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
	t, location, err := e.without(ctx, scope, b.Dataset(), id)
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
		return tx.Update(d, by)
	})
	return done, err
}

// without writes a version of a dataset's table that lacks a batch's rows. The target is nil if the dataset is gone.
func (e *Engine) without(ctx context.Context, scope weir.Scope, dataset, batch string) (*target, string, error) {
	err := e.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Get(weir.KindDataset, scope, dataset)
		return err
	})
	if errors.Is(err, weir.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	t, err := e.loadTarget(ctx, scope, dataset)
	if err != nil {
		return nil, "", err
	}
	gone, err := filesOf(ctx, t.table, []string{batch})
	if err != nil {
		return nil, "", err
	}
	location, err := t.table.Replace(ctx, gone, nil, map[string]string{"weir.reverted-batch-id": batch})
	return t, location, err
}
