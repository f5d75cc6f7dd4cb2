package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"weir"
	"weir/lake"
	"weir/record"
	"weir/store"
	"weir/xdm"
)

// Ident names a table in the lake.
type Ident struct{ Namespace, Name string }

// TableOf is the table of a dataset: the organisation's tenant and sandbox are the namespace, the dataset's adobe/pqs/table tag is
// the name (schema-catalog-data §2.5).
func TableOf(tx *store.Tx, dataset *weir.Doc) (Ident, error) {
	var d struct {
		Name string              `json:"name"`
		Tags map[string][]string `json:"tags"`
	}
	if err := dataset.Read(&d); err != nil {
		return Ident{}, fmt.Errorf("read dataset %s: %w", dataset.ID, err)
	}
	org, err := tx.Get(weir.KindOrg, weir.Scope{}, dataset.Scope.Org)
	if err != nil {
		return Ident{}, fmt.Errorf("organisation %s: %w", dataset.Scope.Org, err)
	}
	var o struct {
		Tenant string `json:"tenantId"`
	}
	if err := org.Read(&o); err != nil {
		return Ident{}, fmt.Errorf("read organisation %s: %w", org.ID, err)
	}
	name := lake.Name(d.Name + "_" + dataset.ID)
	if tag := d.Tags["adobe/pqs/table"]; len(tag) > 0 && lake.ValidName(tag[0]) {
		name = tag[0]
	}
	return Ident{Namespace: lake.Name(o.Tenant + "_" + dataset.Scope.Sandbox), Name: name}, nil
}

// registryKinds are where a component of a schema may be stored, in order of likelihood.
var registryKinds = []string{weir.KindFieldGroup, weir.KindDataType, weir.KindSchema, weir.KindClass}

// Resource finds a tenant's registry resource by $id or meta:altId.
func Resource(tx *store.Tx, scope weir.Scope, id string) (*weir.Doc, error) {
	id = idOf(id)
	for _, kind := range registryKinds {
		d, err := tx.Get(kind, scope, id)
		if !errors.Is(err, weir.ErrNotFound) {
			return d, err
		}
	}
	return nil, fmt.Errorf("schema component %s: %w", id, weir.ErrNotFound)
}

// idOf turns _tenant.schemas.hex into the $id it stands for; other texts stay.
func idOf(id string) string {
	parts := strings.Split(id, ".")
	if len(parts) != 3 || !strings.HasPrefix(id, "_") || strings.Contains(id, "/") {
		return id
	}
	return "https://ns.adobe.com/" + parts[0][1:] + "/" + parts[1] + "/" + parts[2]
}

// FullSchema composes a schema of a tenant with its descriptors.
func FullSchema(tx *store.Tx, scope weir.Scope, id string) (*xdm.Full, error) {
	if class, ok := xdm.UnionClass(id); ok {
		return unionSchema(tx, scope, idOf(class))
	}
	id = idOf(id)
	raw, ok := xdm.Global(id)
	if !ok {
		d, err := Resource(tx, scope, id)
		if err != nil {
			return nil, err
		}
		raw = d.Body
	}
	descriptors, _, err := tx.Find(store.Query{
		Kind: weir.KindDescriptor, Scopes: []weir.Scope{scope},
		Where: []store.Cond{{Path: []string{"xdm:sourceSchema"}, Op: store.Eq, Values: []string{id}}},
	})
	if err != nil {
		return nil, fmt.Errorf("descriptors of %s: %w", id, err)
	}
	bodies := make([]json.RawMessage, len(descriptors))
	for i, d := range descriptors {
		bodies[i] = d.Body
	}
	return xdm.Compose(raw, resolver(tx, scope), bodies)
}

// resolver finds a tenant's components for package xdm.
func resolver(tx *store.Tx, scope weir.Scope) xdm.Resolver {
	return func(id string) (json.RawMessage, bool) {
		d, err := Resource(tx, scope, id)
		if err != nil {
			return nil, false
		}
		return d.Body, true
	}
}

// Columns are the columns of a dataset's schema.
func Columns(tx *store.Tx, dataset *weir.Doc) (*record.Schema, error) {
	var d struct {
		SchemaRef struct {
			ID string `json:"id"`
		} `json:"schemaRef"`
	}
	if err := dataset.Read(&d); err != nil || d.SchemaRef.ID == "" {
		return nil, weir.Errorf("CATALOG-1000-400", "dataset %s names no schema (schemaRef.id)", dataset.ID)
	}
	full, err := FullSchema(tx, dataset.Scope, d.SchemaRef.ID)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, weir.Errorf("XDM-1012-404", "schema %s of dataset %s does not exist", d.SchemaRef.ID, dataset.ID)
	}
	if err != nil {
		return nil, err
	}
	return xdm.Columns(full)
}

// target is a run's table with the schema that rows are checked against.
type target struct {
	table  *lake.Table
	ident  Ident
	schema *record.Schema
	// location is the table's current metadata.
	location string
}

// loadTarget loads the table of a run's dataset; it makes the table, or adds columns to it, if the schema asks for that.
func (e *Engine) loadTarget(ctx context.Context, scope weir.Scope, datasetID string) (*target, error) {
	for {
		t, err := e.tryTarget(ctx, scope, datasetID)
		if !errors.Is(err, weir.ErrConflict) {
			return t, err
		}
	}
}

func (e *Engine) tryTarget(ctx context.Context, scope weir.Scope, datasetID string) (*target, error) {
	t := &target{}
	err := e.Store.View(ctx, func(tx *store.Tx) error {
		dataset, err := tx.Get(weir.KindDataset, scope, datasetID)
		if err != nil {
			return missing(err, "dataset", datasetID)
		}
		if t.ident, err = TableOf(tx, dataset); err != nil {
			return err
		}
		if t.schema, err = Columns(tx, dataset); err != nil {
			return err
		}
		t.location, err = tx.Table(t.ident.Namespace, t.ident.Name)
		if errors.Is(err, weir.ErrNotFound) {
			t.location, err = "", nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.location == "" {
		if t.location, err = e.Lake.Create(ctx, t.ident.Namespace, t.ident.Name, t.schema); err != nil {
			return nil, fmt.Errorf("create table: %w", err)
		}
		if err := e.swap(ctx, t.ident, "", t.location); err != nil {
			return nil, err
		}
	}
	if t.table, err = e.Lake.Load(ctx, t.location); err != nil {
		return nil, fmt.Errorf("load table: %w", err)
	}
	evolved, changed, err := t.table.Evolve(ctx, t.schema)
	if err != nil {
		return nil, fmt.Errorf("add columns to table: %w", err)
	}
	if changed {
		if err := e.swap(ctx, t.ident, t.location, evolved); err != nil {
			return nil, err
		}
		t.location = evolved
		if t.table, err = e.Lake.Load(ctx, t.location); err != nil {
			return nil, fmt.Errorf("load table: %w", err)
		}
	}
	if t.schema, err = t.table.Bind(t.schema); err != nil {
		return nil, fmt.Errorf("bind schema to table: %w", err)
	}
	return t, nil
}

func (e *Engine) swap(ctx context.Context, id Ident, old, location string) error {
	return e.Store.Tx(ctx, func(tx *store.Tx) error { return tx.SwapTable(id.Namespace, id.Name, old, location) })
}
