package flow

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"weir"
	"weir/lake"
	"weir/store"
)

// compactTables merges the small data files that frequent batches leave behind.
func (e *Engine) compactTables(ctx context.Context) error {
	if e.KeepSmallFiles {
		return nil
	}
	return e.eachTable(ctx, func(id Ident) error {
		if err := e.compact(ctx, id); err != nil {
			return fmt.Errorf("merge small files of %s.%s: %w", id.Namespace, id.Name, err)
		}
		return nil
	})
}

// compact merges one table's small files, one stretch after the other. Each is a commit of its own that changes no row; whoever else commits
// meanwhile is not in the way.
func (e *Engine) compact(ctx context.Context, id Ident) error {
	for {
		t, err := e.tableNow(ctx, id)
		if t == nil {
			return err
		}
		small, err := t.Small(ctx)
		if err != nil || len(small) == 0 {
			return err
		}
		merged, err := t.Merge(ctx, small)
		if err != nil {
			return err
		}
		e.fail(FailMerged)
		err = e.publishMerged(ctx, id, t, small, merged)
		if errors.Is(err, weir.ErrConflict) { // one of the files is gone: its batch was reverted
			_ = t.Discard(context.WithoutCancel(ctx), merged[0].Batch()) // cleanTables finds what stays
			continue
		}
		if err != nil { // maybe committed all the same: the files are left to cleanTables
			return err
		}
		e.Log.Info("small files were merged", "namespace", id.Namespace, "table", id.Name, "files", len(small), "into", len(merged))
	}
}

// publishMerged makes merged files current in the place of the small ones. If another batch moves the table meanwhile, it is done again on the new
// version: the files stay good. [weir.ErrConflict] if one of the small files is no longer in the table.
func (e *Engine) publishMerged(ctx context.Context, id Ident, t *lake.Table, small, merged []lake.DataFile) error {
	for {
		location, err := t.Rewrite(ctx, small, merged, map[string]string{"weir.merged-files": strconv.Itoa(len(small))})
		if err != nil {
			return err
		}
		e.fail(FailMergeAppended)
		moved := false
		err = e.Store.Tx(ctx, func(tx *store.Tx) error {
			err := tx.SwapTable(id.Namespace, id.Name, t.MetadataLocation(), location)
			if moved = errors.Is(err, weir.ErrConflict); moved || err != nil {
				return err
			}
			return t.Publish(merged)
		})
		if !moved {
			if err == nil {
				e.fail(FailMergeCommitted)
			}
			return err
		}
		if t, err = e.tableNow(ctx, id); err != nil {
			return err
		}
		if t == nil {
			return fmt.Errorf("table %s.%s is gone: %w", id.Namespace, id.Name, weir.ErrConflict)
		}
	}
}
