package api

import (
	"weir"
	"weir/store"
)

// createBatch records a batch that files can be uploaded to (schema-catalog-data §4.2).
func (ch *catalogChange) createBatch(body object) (*weir.Doc, error) { return nil, ch.c.refuse("no") }

// revert takes a batch's rows out of its dataset.
func (c *call) revert(id string) error {
	return c.write(func(tx *store.Tx) error { return c.setBatch(tx, id, weir.BatchInactive) })
}
