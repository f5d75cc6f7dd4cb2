package api

import (
	"encoding/json"
	"errors"

	"weir"
	"weir/store"
	"weir/xdm"
)

// Descriptors add meaning to fields of a schema (schema-catalog-data §1.7).

// maxDescriptors is how many a sandbox may have.
const maxDescriptors = 4000

const (
	codeDescriptorSource = "XDM-1529-400" // the source schema does not exist, or there are too many descriptors
	codeNoDescriptor     = "XDM-1014-404"
)

// descriptorDocs are the stored descriptors of a schema.
func (r *registry) descriptorDocs(schema string) ([]*weir.Doc, error) {
	docs, _, err := r.tx.Find(store.Query{
		Kind: weir.KindDescriptor, Scopes: []weir.Scope{r.c.Scope}, Order: []store.Order{{Path: []string{"createdAt"}}},
		Where: []store.Cond{{Path: []string{"xdm:sourceSchema"}, Op: store.Eq, Values: []string{schema}}},
	})
	return docs, err
}

// descriptorsOf are the bodies of a schema's descriptors, as clients read them.
func (r *registry) descriptorsOf(schema string) ([]json.RawMessage, error) {
	if schema == "" {
		return nil, nil
	}
	docs, err := r.descriptorDocs(schema)
	if err != nil {
		return nil, err
	}
	out := make([]json.RawMessage, len(docs))
	for i, d := range docs {
		if out[i], err = r.showDescriptor(d, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// showDescriptor is a descriptor as clients read it; lists also carry its history.
func (r *registry) showDescriptor(d *weir.Doc, listed bool) (json.RawMessage, error) {
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	o = object{}.set("@id", d.ID).over(o).set("imsOrg", d.Scope.Org).set("version", "1").set("meta:containerId", containerTenant).
		set("meta:sandboxId", r.c.SandboxID).set("meta:sandboxType", r.sandboxType)
	if listed {
		o = o.with("meta:registryMetadata", registryMetadata(d).without("meta:usageCount").raw())
	}
	return o.raw(), nil
}

// listDescriptors is GET /{container}/descriptors: by type, or a page with -v2.
func listDescriptors(c *call) (reply, error) {
	if err := c.container(); err != nil {
		return reply{}, err
	}
	a, err := c.acceptDescriptors()
	if err != nil {
		return reply{}, err
	}
	var entries []entry
	err = c.reading(func(r *registry) (err error) {
		entries, err = r.descriptorEntries()
		return err
	})
	if err != nil {
		return reply{}, err
	}
	show := func(e entry) (json.RawMessage, error) {
		id, _ := e.tree["@id"].(string)
		switch {
		case a.summary:
			return encode(id), nil
		case a.link:
			return encode("/tenant/descriptors/" + id), nil
		}
		return e.raw, nil
	}
	if a.paged {
		return c.page(entries, true, show)
	}
	conds, err := c.conditions()
	if err != nil {
		return reply{}, err
	}
	groups := map[string][]json.RawMessage{}
	out := object{}
	for _, e := range entries {
		if !e.holds(conds) {
			continue
		}
		kind, _ := e.tree["@type"].(string)
		item, err := show(e)
		if err != nil {
			return reply{}, err
		}
		groups[kind] = append(groups[kind], item)
		out = out.set(kind, groups[kind])
	}
	return ok(out.raw()), nil
}

func (r *registry) descriptorEntries() ([]entry, error) {
	if r.c.param("container") == containerGlobal {
		return nil, nil
	}
	docs, err := r.all(weir.KindDescriptor)
	if err != nil {
		return nil, err
	}
	out := make([]entry, 0, len(docs))
	for _, d := range docs {
		raw, err := r.showDescriptor(d, true)
		if err != nil {
			return nil, err
		}
		e, err := newEntry(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// descriptor reads the one the path names.
func (r *registry) descriptor() (*weir.Doc, error) {
	d, err := r.tx.Get(weir.KindDescriptor, r.c.Scope, r.c.param("id"))
	if errors.Is(err, weir.ErrNotFound) {
		return nil, &weir.Error{Code: codeNoDescriptor, Message: "The descriptor " + shorten(r.c.param("id")) + " was not found.", ID: r.c.param("id"), Type: weir.KindDescriptor}
	}
	return d, err
}

func getDescriptor(c *call) (reply, error) {
	if err := c.container(); err != nil {
		return reply{}, err
	}
	if err := c.acceptDescriptor(); err != nil {
		return reply{}, err
	}
	var out json.RawMessage
	err := c.reading(func(r *registry) error {
		d, err := r.descriptor()
		if err != nil {
			return err
		}
		out, err = r.showDescriptor(d, true)
		return err
	})
	return ok(out), err
}

// described is a schema as package xdm's descriptor rules see it; except leaves a stored descriptor out.
func (r *registry) described(id, except string) (xdm.DescriptorSchema, error) {
	id = r.canonical(id)
	raw, err := r.anyResource(id)
	if err != nil {
		return xdm.DescriptorSchema{}, err
	}
	s := xdm.DescriptorSchema{Union: profiled(raw)}
	docs, err := r.descriptorDocs(id)
	if err != nil {
		return s, err
	}
	for _, d := range docs {
		if d.ID != except {
			s.Descriptors = append(s.Descriptors, d.Body)
		}
	}
	s.Full, err = xdm.Compose(raw, r.resolve, s.Descriptors)
	if r.err != nil {
		return s, r.err
	}
	return s, err
}

// prepareDescriptor checks a descriptor body against the schemas it names.
func (r *registry) prepareDescriptor(body json.RawMessage, except string) (json.RawMessage, error) {
	id, err := xdm.SourceSchema(body)
	if err != nil {
		return nil, err
	}
	source, err := r.described(id, except)
	var e *weir.Error
	if errors.As(err, &e) && e.Status() == 404 {
		return nil, fault(codeDescriptorSource, "/xdm:sourceSchema", "The schema %s does not exist.", shorten(id))
	}
	if err != nil {
		return nil, err
	}
	raw, err := xdm.PrepareDescriptor(body, source, func(id string) (xdm.DescriptorSchema, bool) {
		s, err := r.described(id, "")
		return s, err == nil
	})
	if r.err != nil {
		err = r.err
	}
	return raw, err
}

// insertDescriptor checks and stores a new descriptor.
func (r *registry) insertDescriptor(body json.RawMessage) (*weir.Doc, error) {
	n, err := r.tx.Count(store.Query{Kind: weir.KindDescriptor, Scopes: []weir.Scope{r.c.Scope}})
	if err != nil {
		return nil, err
	}
	if n >= maxDescriptors {
		return nil, weir.Errorf(codeDescriptorSource, "The sandbox has %d descriptors, which is the most it may have.", n)
	}
	raw, err := r.prepareDescriptor(body, "")
	if err != nil {
		return nil, err
	}
	d := &weir.Doc{Kind: weir.KindDescriptor, ID: weir.NewHex(20), Scope: r.c.Scope, Body: raw}
	return d, r.tx.Insert(d, r.c.Actor)
}

func createDescriptor(c *call) (reply, error) {
	if err := c.container(); err != nil {
		return reply{}, err
	}
	return c.written(201, func(r *registry, body json.RawMessage) (json.RawMessage, error) {
		d, err := r.insertDescriptor(body)
		if err != nil {
			return nil, err
		}
		return r.showDescriptor(d, false)
	})
}

// putDescriptor is PUT /tenant/descriptors/{id}: the body replaces the descriptor, the answer is the whole new one (Q11).
func putDescriptor(c *call) (reply, error) {
	if err := c.container(); err != nil {
		return reply{}, err
	}
	return c.written(200, func(r *registry, body json.RawMessage) (json.RawMessage, error) {
		d, err := r.descriptor()
		if err != nil {
			return nil, err
		}
		raw, err := r.prepareDescriptor(body, d.ID)
		if err != nil {
			return nil, err
		}
		if identityOf(d.Body) != identityOf(raw) {
			if err := r.keepsIdentity(d, "XDM-1528-400"); err != nil {
				return nil, err
			}
		}
		d.Body = raw
		if err := r.tx.Update(d, c.Actor); err != nil {
			return nil, err
		}
		return r.showDescriptor(d, false)
	})
}

// identityOf is what a primary identity descriptor says, empty for other descriptors.
func identityOf(body json.RawMessage) (id struct{ Schema, Property, Namespace string }) {
	var d struct {
		Type      string    `json:"@type"`
		Schema    string    `json:"xdm:sourceSchema"`
		Property  string    `json:"xdm:sourceProperty"`
		Namespace weir.Text `json:"xdm:namespace"`
		Primary   weir.Bool `json:"xdm:isPrimary"`
	}
	if json.Unmarshal(body, &d) == nil && d.Type == xdm.DescriptorIdentity && d.Primary.Value {
		id.Schema, id.Property, id.Namespace = d.Schema, d.Property, string(d.Namespace)
	}
	return id
}

// keepsIdentity refuses to take away the primary identity of a Profile-enabled schema with a dataset.
func (r *registry) keepsIdentity(d *weir.Doc, code string) error {
	id := identityOf(d.Body)
	if id.Schema == "" {
		return nil
	}
	raw, err := r.anyResource(id.Schema)
	if err != nil || !profiled(raw) {
		return nil //nolint:nilerr // a schema that is gone needs no identity
	}
	dataset, err := r.datasetOf(id.Schema)
	if err != nil || dataset == "" {
		return err
	}
	return weir.Errorf(code, "The primary identity of %s cannot change: the schema is enabled for Profile and has the dataset %s.", id.Schema, dataset)
}

func deleteDescriptor(c *call) (reply, error) {
	if err := c.container(); err != nil {
		return reply{}, err
	}
	err := c.writing(func(r *registry) error {
		d, err := r.descriptor()
		if err != nil {
			return err
		}
		if err := r.keepsIdentity(d, "XDM-1528-403"); err != nil {
			return err
		}
		return r.tx.Delete(weir.KindDescriptor, d.Scope, d.ID)
	})
	return noContent(), err
}
