package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"weir"
	"weir/source/rest"
	"weir/specs"
	"weir/store"
)

// connectionSpecs describe kinds of sources and targets (flow-service §6). They are open documents: whatever a client sends is kept.
// An organisation's own specs are visible in all its sandboxes; the built-in ones lie below them.
var connectionSpecs = &resource{
	kind:   weir.KindConnectionSpec,
	shared: true,
	fields: []string{
		"providerId", "type", "authSpec", "sourceSpec", "targetSpec", "exploreSpec", "encryptionSpecs", "entitlementInfo", "policy",
		"settings", "attributes", "permissionsInfo",
	},
	unknownField: "FLOW-1423-400",
	check:        checkSpec,
}

// checkSpec asks for name and providerId (§4.6) and for objects and lists where they belong; schemas inside are not read (§6.1).
func checkSpec(c *call, _ *store.Tx, ch *change) error {
	body, err := parseObject(ch.doc.Body)
	if err != nil {
		return err
	}
	for _, name := range []string{"name", "providerId"} {
		if body.has(name) && body.text(name) == "" {
			return fault("CONNECTOR-1312-400", "/"+name, "%s must be text.", name)
		}
		if !body.has(name) {
			return fault("CONNECTOR-1304-400", "/"+name, "%s is missing.", name)
		}
	}
	if err := wantText(body, "description", "type", "version"); err != nil {
		return err
	}
	if err := wantObject(body, "sourceSpec", "targetSpec", "exploreSpec", "attributes", "optionSpec", "scheduleSpec", "runSpec"); err != nil {
		return err
	}
	for _, name := range []string{"authSpec", "transformationSpecs", "sourceConnectionSpecIds", "targetConnectionSpecIds"} {
		if body.has(name) && !isArray(body.get(name)) {
			return fault("CONNECTOR-1312-400", "/"+name, "%s must be a list.", name)
		}
	}
	for _, name := range []string{"sourceConnectionSpecIds", "targetConnectionSpecIds"} {
		var ids []string
		if body.has(name) && json.Unmarshal(body.get(name), &ids) != nil {
			return fault("CONNECTOR-1312-400", "/"+name, "%s must be a list of ids.", name)
		}
	}
	return checkExtension(ch.doc)
}

// checkExtension reads a connection spec deeply when it says more than the vendor's attributes can: expressions, pagers and
// places are checked now, not in a run. Specs without the extension are open documents and are kept as they are (§6.1).
func checkExtension(d *weir.Doc) error {
	var s struct {
		SourceSpec struct {
			Attributes struct {
				Weir json.RawMessage `json:"weir"`
			} `json:"attributes"`
		} `json:"sourceSpec"`
	}
	if d.Kind != weir.KindConnectionSpec || json.Unmarshal(d.Body, &s) != nil || len(s.SourceSpec.Attributes.Weir) == 0 {
		return nil //nolint:nilerr // what is not even an object here has no extension
	}
	return faults(rest.CheckSpec(d.Body))
}

// showSpec finishes the view of a spec: its version is the document's own, and only specs of an organisation say whose they are (§1.3).
func showSpec(o object, d *weir.Doc) object {
	if !o.has("version") {
		o = o.set("version", "1.0")
	}
	if d.Scope.Org != "" {
		o = o.set("imsOrgId", d.Scope.Org)
	}
	return o.set("etag", quoted(d.ETag))
}

// specServerSet are members of a spec body that the server sets.
var specServerSet = []string{
	"id", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient", "updatedClient", "imsOrgId", "sandboxId", "sandboxName", "etag", "state",
}

// transformationNames are what requests call transformationSpecs (§7.1).
var transformationNames = []string{"transformationSpec", "transformationSpecDTOS"}

// specBody is the body of a spec as it is stored.
func (r *resource) specBody(c *call) (object, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	body = body.without(specServerSet...)
	if r.kind != weir.KindFlowSpec {
		return body, nil
	}
	for _, alias := range transformationNames {
		if v := body.get(alias); v != nil {
			body = body.without(alias)
			if !body.has("transformationSpecs") {
				body = body.with("transformationSpecs", v)
			}
		}
	}
	return body, nil
}

// createSpec is POST /connectionSpecs and /flowSpecs: 201 with the bare item.
func (r *resource) createSpec(c *call) (reply, error) {
	body, err := r.specBody(c)
	if err != nil {
		return reply{}, err
	}
	var o object
	var d *weir.Doc
	err = c.write(func(tx *store.Tx) error {
		d = &weir.Doc{Kind: r.kind, ID: weir.NewUUID(), Scope: weir.Scope{Org: c.Scope.Org}, State: stateEnabled, Body: body.raw()}
		if err := r.check(c, tx, &change{op: "create", doc: d}); err != nil {
			return err
		}
		if err := tx.Insert(d, c.Actor); err != nil {
			return err
		}
		o, err = r.show(c, d)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return created(flowServiceBase+"/"+r.kind+"/"+d.ID, o).tagged(d), nil
}

// putSpec is PUT /connectionSpecs/{id} and /flowSpecs/{id}: full replacement without If-Match, answered with the bare item (§4.6). Built-in
// connection specs are read-only; of a built-in flow spec only the list of source connection specs may differ, and the organisation
// then has its own copy.
func (r *resource) putSpec(c *call) (reply, error) {
	body, bodyErr := r.specBody(c)
	var o object
	var d *weir.Doc
	err := c.write(func(tx *store.Tx) (err error) {
		if d, err = r.read(c, tx, c.param("id")); err != nil {
			return err
		}
		if bodyErr != nil {
			return bodyErr
		}
		if !body.has("version") {
			if old, err := parseObject(d.Body); err == nil && old.has("version") {
				body = body.with("version", old.get("version"))
			}
		}
		old := *d
		d.Body = body.raw()
		if err := r.check(c, tx, &change{op: "update", doc: d, old: &old}); err != nil {
			return err
		}
		if err := r.writeSpec(c, tx, d, &old); err != nil {
			return err
		}
		o, err = r.show(c, d)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return ok(o).tagged(d), nil
}

// writeSpec stores a replaced spec: in place if it is the organisation's, as the organisation's copy if it is a built-in flow spec.
func (r *resource) writeSpec(c *call, tx *store.Tx, d, old *weir.Doc) error {
	builtIn := old
	if old.Scope.Org != "" {
		var err error
		builtIn, err = tx.Get(r.kind, weir.Scope{}, d.ID)
		if errors.Is(err, weir.ErrNotFound) {
			return tx.Update(d, c.Actor)
		}
		if err != nil {
			return err
		}
	}
	if r.kind != weir.KindFlowSpec {
		return weir.Errorf("FLOW-1426-400", "%s %s is built in and cannot be replaced. POST a spec of your own.", r.kind, d.ID)
	}
	if same, err := sameButSources(builtIn.Body, d.Body); err != nil {
		return err
	} else if !same {
		return weir.Errorf("FLOW-1426-400", "%s %s is built in: only its sourceConnectionSpecIds can change.", r.kind, d.ID)
	}
	if old.Scope.Org != "" {
		return tx.Update(d, c.Actor)
	}
	d.Scope = weir.Scope{Org: c.Scope.Org}
	d.Meta = object{}.set("createdAt", old.CreatedAt).raw()
	return tx.Insert(d, c.Actor)
}

// sameButSources compares two flow specs without their sourceConnectionSpecIds and version, as JSON values.
func sameButSources(a, b json.RawMessage) (bool, error) {
	var sides [2]map[string]any
	for i, raw := range []json.RawMessage{a, b} {
		if err := json.Unmarshal(raw, &sides[i]); err != nil {
			return false, err
		}
		delete(sides[i], "sourceConnectionSpecIds")
		delete(sides[i], "version")
	}
	return string(encode(sides[0])) == string(encode(sides[1])), nil
}

// seed writes the built-in specs of a kind into the store. A start that finds them all as they should be costs one query and no write.
func seed(ctx context.Context, st *store.Store, kind string, built []specs.Spec) error {
	want := make([]weir.Doc, len(built))
	for i, s := range built {
		o, err := parseObject(s.Body)
		if err != nil {
			return fmt.Errorf("built-in %s %s: %w", kind, s.File, err)
		}
		// encode drops the file's line breaks
		want[i] = weir.Doc{Kind: kind, ID: s.ID, State: stateEnabled, Body: encode(o.without(specServerSet...))}
	}
	var stale []*weir.Doc
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		stale, err = unseeded(tx, kind, want)
		return err
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	by := weir.Actor{User: "weir", Client: "weir"}
	return st.Tx(ctx, func(tx *store.Tx) error {
		stale, err := unseeded(tx, kind, want) // another process may have been faster
		for _, d := range stale {
			write := tx.Update
			if d.Rev == 0 {
				write = tx.Insert
			}
			if err := write(d, by); err != nil {
				return fmt.Errorf("built-in %s %s: %w", kind, d.ID, err)
			}
		}
		return err
	})
}

// unseeded lists the documents of want that the store lacks (their Rev is 0) or holds with another body.
func unseeded(tx *store.Tx, kind string, want []weir.Doc) ([]*weir.Doc, error) {
	stored, _, err := tx.Find(store.Query{Kind: kind, Scopes: []weir.Scope{{}}})
	if err != nil {
		return nil, err
	}
	have := make(map[string]*weir.Doc, len(stored))
	for _, d := range stored {
		have[d.ID] = d
	}
	var out []*weir.Doc
	for i := range want {
		d := have[want[i].ID]
		if d == nil {
			fresh := want[i]
			out = append(out, &fresh)
		} else if string(d.Body) != string(want[i].Body) {
			d.Body = want[i].Body
			out = append(out, d)
		}
	}
	return out, nil
}
