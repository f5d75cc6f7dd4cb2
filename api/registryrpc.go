package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/store"
	"weir/xdm"
)

// The RPC part of the registry (schema-catalog-data §1.10): export, import, sample data and the audit log.

// codeImport says that an import failed as a whole; nothing of it is stored.
const codeImport = "XDM-3005-400"

// exportResource is GET /rpc/export/{id}: the tenant's resources that make up the resource, each before those that need it, without
// anything that ties them to the organisation.
func exportResource(c *call) (reply, error) {
	out := []json.RawMessage{}
	err := c.reading(func(r *registry) error {
		raw, err := r.anyResource(c.param("id"))
		if err != nil {
			return err
		}
		full, err := r.compose(raw)
		if err != nil {
			return err
		}
		out = out[:0]
		for _, id := range append(full.Refs, full.ID) {
			if xdm.IsGlobal(id) && id != full.ID {
				continue
			}
			if raw, err = r.anyResource(id); err != nil {
				return err
			}
			o, err := parseObject(raw)
			if err != nil {
				return err
			}
			portable, err := xdm.Portable(o.without("imsOrg", "meta:sandboxId", "meta:sandboxType", "meta:registryMetadata").raw(), r.tenant)
			if err != nil {
				return err
			}
			out = append(out, portable)
		}
		return nil
	})
	return ok(out), err
}

// importResources is POST /rpc/import: what export made, or csv2schema. All of it is created or nothing; resources that are there
// already and are the same stay as they are.
func importResources(c *call) (reply, error) {
	body, err := c.jsonBody()
	if err != nil {
		return reply{}, err
	}
	if isObject(body) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	var out []json.RawMessage
	err = c.writing(func(r *registry) error {
		local, err := xdm.Local(body, r.tenant)
		if err != nil {
			return importError(err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(local, &list); err != nil || len(list) == 0 {
			return weir.Errorf(codeImport, "The body must be a list of resources, as GET /rpc/export answers it.")
		}
		out = make([]json.RawMessage, 0, len(list))
		for _, item := range importOrder(list) {
			shown, err := r.importOne(item)
			if err != nil {
				return importError(err)
			}
			out = append(out, shown)
		}
		return nil
	})
	return ok(out), err
}

// importError gives failures of single resources the code of the import.
func importError(err error) error {
	var e *weir.Error
	if !errors.As(err, &e) || e.Status() >= 500 || e.Code == codeImport {
		return err
	}
	return &weir.Error{Code: codeImport, Message: "Nothing was imported: " + e.Message, Pointer: e.Pointer, Details: e.Details, Err: err}
}

// importOrder puts resources after those they refer to, and descriptors at the end.
func importOrder(list []json.RawMessage) []json.RawMessage {
	pending := map[string]bool{}
	for _, item := range list {
		if id := xdm.ID(item); id != "" {
			pending[id] = true
		}
	}
	var out, descriptors []json.RawMessage
	for len(list) > 0 {
		var later []json.RawMessage
		for _, item := range list {
			id := xdm.ID(item)
			waits := slices.ContainsFunc(xdm.References(item), func(ref string) bool { return ref != id && pending[ref] })
			switch {
			case isDescriptor(item):
				descriptors = append(descriptors, item)
			case waits:
				later = append(later, item)
			default:
				out = append(out, item)
				delete(pending, id)
			}
		}
		if len(later) == len(list) { // a circle; the check of the first one says so
			return append(append(out, later...), descriptors...)
		}
		list = later
	}
	return append(out, descriptors...)
}

func isDescriptor(raw json.RawMessage) bool {
	o, err := parseObject(raw)
	return err == nil && o.get("@type") != nil
}

// importOne stores one resource of an import.
func (r *registry) importOne(item json.RawMessage) (json.RawMessage, error) {
	o, err := parseObject(item)
	if err != nil {
		return nil, weir.Errorf(codeImport, "Every element of the import must be an object.")
	}
	if isDescriptor(item) {
		return r.importDescriptor(o)
	}
	k, err := registryKindFor(xdm.KindOf(item))
	if err != nil {
		return nil, err
	}
	id := o.text("$id")
	if id == "" {
		id = r.newID(k)
	} else if !strings.HasPrefix(id, xdm.Namespace+r.tenant+"/"+k.kind+"/") {
		return nil, fault(codeImport, "/$id", "%s is not the $id of a %s of this organisation. Exported ids hold %s in the tenant's place.", shorten(id), k.word, xdm.TenantPlaceholder)
	}
	d, err := r.doc(id, k.kind)
	if err != nil {
		return nil, err
	}
	if d != nil {
		raw, err := r.prepare(k, id, item)
		if err != nil {
			return nil, err
		}
		same, err := sameResource(raw, d.Body)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, fault(codeImport, "/$id", "There is a different resource with the $id %s already.", id)
		}
		return r.show(d)
	}
	if d, err = r.insert(k, id, item); err != nil {
		return nil, err
	}
	return r.show(d)
}

// registryKindFor is the writable kind of a resource type.
func registryKindFor(resourceType string) (registryKind, error) {
	for _, k := range registryCollections {
		if k.resource == resourceType && k.kind != "" {
			return k, nil
		}
	}
	return registryKind{}, weir.Errorf(codeImport, "Resources of the type %q cannot be imported.", shorten(resourceType))
}

// sameResource compares two resources but for their versions.
func sameResource(a, b json.RawMessage) (bool, error) {
	var texts [2]json.RawMessage
	for i, raw := range []json.RawMessage{a, b} {
		o, err := parseObject(raw)
		if err != nil {
			return false, err
		}
		e, err := newEntry(o.without("version").raw())
		if err != nil {
			return false, err
		}
		texts[i] = encode(e.tree)
	}
	return bytes.Equal(texts[0], texts[1]), nil
}

// importDescriptor stores a descriptor, unless the schema has the same one.
func (r *registry) importDescriptor(o object) (json.RawMessage, error) {
	body := o.without("@id", "meta:resourceType").raw()
	schema, err := xdm.SourceSchema(body)
	if err != nil {
		return nil, err
	}
	docs, err := r.descriptorDocs(r.canonical(schema))
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		raw, err := r.prepareDescriptor(body, d.ID)
		if err != nil {
			continue // compared with what is there; its own fault comes out below
		}
		if same, err := sameResource(raw, d.Body); err != nil {
			return nil, err
		} else if same {
			return r.showDescriptor(d, false)
		}
	}
	d, err := r.insertDescriptor(body)
	if err != nil {
		return nil, err
	}
	return r.showDescriptor(d, false)
}

// sampleData is GET /rpc/sampledata/{id}.
func sampleData(c *call) (reply, error) {
	var out json.RawMessage
	err := c.reading(func(r *registry) error {
		full, err := r.full(c.param("id"))
		if err != nil {
			return err
		}
		out = xdm.Sample(full)
		return nil
	})
	return ok(out), err
}

// changeBody is the body of a registry change: what one write did to a resource.
type changeBody struct {
	Resource  string   `json:"resource"`
	Version   string   `json:"version"`
	RequestID string   `json:"requestId"`
	Updates   []update `json:"updates"`
}

// update is one difference, as the audit log shows it.
type update struct {
	ID     string          `json:"id"`
	Type   string          `json:"xdmType"`
	Action string          `json:"action"` // add, remove, replace
	Path   string          `json:"path"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// unlogged members follow from others.
var unlogged = []string{"version", "refs", "meta:registryMetadata"}

// logChange keeps what a write did to a resource, whose old body is given.
func (r *registry) logChange(d *weir.Doc, old json.RawMessage) error {
	o, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	before, err := parseObject(old)
	if err != nil {
		return err
	}
	l := &changeLog{id: d.ID, kind: o.text("meta:resourceType")}
	if err := l.compare(before.without(unlogged...).raw(), o.without(unlogged...).raw(), ""); err != nil {
		return err
	}
	body := changeBody{Resource: d.ID, Version: o.text("version"), RequestID: r.c.RequestID, Updates: l.updates}
	// The etag makes the id new even if the resource was deleted before and made again by an import.
	change := &weir.Doc{Kind: weir.KindRegistryChange, ID: d.ID + "#" + strconv.FormatInt(d.Rev, 10) + "-" + d.ETag, Scope: d.Scope, Body: encode(body)}
	return r.tx.Insert(change, r.c.Actor)
}

// changeLog collects differences.
type changeLog struct {
	id, kind string
	updates  []update
}

func (l *changeLog) add(action, path string, value json.RawMessage) {
	l.updates = append(l.updates, update{l.id, l.kind, action, path, value})
}

// compare walks two values; objects by member, lists by place.
func (l *changeLog) compare(a, b json.RawMessage, path string) error {
	switch {
	case isObject(a) && isObject(b):
		x, err := parseObject(a)
		if err != nil {
			return err
		}
		y, err := parseObject(b)
		if err != nil {
			return err
		}
		return l.members(x, y, path)
	case isArray(a) && isArray(b):
		var x, y []json.RawMessage
		if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
			return err
		}
		for i := range max(len(x), len(y)) {
			at := path + "/" + strconv.Itoa(i)
			switch {
			case i >= len(x):
				l.add("add", at, y[i])
			case i >= len(y):
				l.add("remove", at, nil)
			default:
				if err := l.compare(x[i], y[i], at); err != nil {
					return err
				}
			}
		}
		return nil
	case !bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b)):
		l.add("replace", path, b)
	}
	return nil
}

func (l *changeLog) members(x, y object, path string) error {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, m := range x {
		if y.get(m.name) == nil {
			l.add("remove", path+"/"+escape.Replace(m.name), nil)
		}
	}
	for _, m := range y {
		at := path + "/" + escape.Replace(m.name)
		if old := x.get(m.name); old == nil {
			l.add("add", at, m.value)
		} else if err := l.compare(old, m.value, at); err != nil {
			return err
		}
	}
	return nil
}

// auditLog is GET /rpc/auditlog/{id}: the writes of a resource, newest first, in both spellings of the format (Q10).
func auditLog(c *call) (reply, error) {
	out := []object{}
	err := c.reading(func(r *registry) error {
		id := r.canonical(c.param("id"))
		docs, _, err := r.tx.Find(store.Query{
			Kind: weir.KindRegistryChange, Scopes: []weir.Scope{c.Scope}, Order: []store.Order{{Path: []string{"createdAt"}, Desc: true}},
			Where: []store.Cond{{Path: []string{"resource"}, Op: store.Eq, Values: []string{id}}},
		})
		if err != nil {
			return err
		}
		if len(docs) == 0 {
			if _, err := r.anyResource(id); err != nil {
				return err
			}
		}
		out = out[:0]
		for _, d := range docs {
			var body changeBody
			if err := d.Read(&body); err != nil {
				return fmt.Errorf("read change %s: %w", d.ID, err)
			}
			out = append(out, object{}.set("id", id).set("version", body.Version).set("updatedUser", d.CreatedBy).set("imsOrg", d.Scope.Org).
				set("sandBoxId", c.SandboxID).set("requestId", body.RequestID).set("clientId", d.CreatedClient).
				set("updatedTime", time.UnixMilli(d.CreatedAt).UTC().Format("01-02-2006 15:04:05")).set("updated", d.CreatedAt).
				set("updates", body.Updates).set("auditTrails", body.Updates))
		}
		slices.SortStableFunc(out, func(a, b object) int { return compareVersions(b.text("version"), a.text("version")) })
		return nil
	})
	return ok(out), err
}
