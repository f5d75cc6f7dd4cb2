package flow

import (
	"fmt"
	"slices"

	"weir"
	"weir/store"
	"weir/xdm"
)

// unionSchema composes the union of a class: the fields of all its schemas that are enabled for Profile (schema-catalog-data §1.11).
func unionSchema(tx *store.Tx, scope weir.Scope, class string) (*xdm.Full, error) {
	if d, ok := xdm.Global(class); ok {
		class = xdm.ID(d)
	}
	docs, _, err := tx.Find(store.Query{
		Kind: weir.KindSchema, Scopes: []weir.Scope{scope}, Order: []store.Order{{Path: []string{"createdAt"}}},
		Where: []store.Cond{{Path: []string{"meta:class"}, Op: store.Eq, Values: []string{class}}},
	})
	if err != nil {
		return nil, fmt.Errorf("schemas of %s: %w", class, err)
	}
	var members []*xdm.Full
	for _, d := range docs {
		var body struct {
			Tags []string `json:"meta:immutableTags"`
		}
		if err := d.Read(&body); err != nil {
			return nil, fmt.Errorf("read schema %s: %w", d.ID, err)
		}
		if !slices.Contains(body.Tags, "union") {
			continue
		}
		full, err := FullSchema(tx, scope, d.ID)
		if err != nil {
			return nil, err
		}
		members = append(members, full)
	}
	raw, ok := xdm.Global(class)
	if !ok {
		d, err := Resource(tx, scope, class)
		if err != nil {
			return nil, err
		}
		raw = d.Body
	}
	return xdm.Union(raw, members, resolver(tx, scope))
}
