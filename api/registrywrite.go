package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"weir"
	"weir/store"
	"weir/xdm"
)

// Codes of registry writes that the contract leaves open.
const (
	codeRegistryPatch = "XDM-1004-400" // the patch cannot be applied
	codeRegistryUse   = "XDM-1532-400" // the resource is in use
	codeRegistryTitle = "XDM-1521-400" // the title is taken
	codeRegistryTag   = "XDM-1530-400" // Profile cannot be turned off, or has no identity
)

// stored is the collection of the path if its resources can be written.
func (c *call) writable() (registryKind, error) {
	k, err := c.registryKind()
	if err == nil && k.kind == "" {
		err = weir.Errorf("XDM-1001-403", "The %ss are made by the server and cannot be written.", k.word)
	}
	return k, err
}

// createResource is POST /tenant/{collection}.
func createResource(c *call) (reply, error) {
	k, err := c.writable()
	if err != nil {
		return reply{}, err
	}
	return c.written(201, func(r *registry, body json.RawMessage) (json.RawMessage, error) {
		d, err := r.insert(k, r.newID(k), body)
		if err != nil {
			return nil, err
		}
		return r.show(d)
	})
}

// written answers what do makes of the request's body in a transaction.
func (c *call) written(status int, do func(r *registry, body json.RawMessage) (json.RawMessage, error)) (reply, error) {
	body, err := c.jsonBody()
	if err != nil {
		return reply{}, err
	}
	var out json.RawMessage
	err = c.writing(func(r *registry) (err error) {
		out, err = do(r, body)
		return err
	})
	return reply{status: status, body: out}, err
}

// newID is a fresh $id.
func (r *registry) newID(k registryKind) string {
	return xdm.Namespace + r.tenant + "/" + k.kind + "/" + weir.NewHex(24)
}

// insert checks and stores a new resource.
func (r *registry) insert(k registryKind, id string, body json.RawMessage) (*weir.Doc, error) {
	raw, err := r.prepare(k, id, body)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	if err := r.checkTitle(o.text("title"), id); err != nil {
		return nil, err
	}
	raw = o.set("version", resourceVersion(1)).raw()
	d := &weir.Doc{Kind: k.kind, ID: id, Scope: r.c.Scope, Body: raw}
	if k.resource == xdm.Schemas && profiled(raw) {
		if err := r.checkProfile(raw); err != nil {
			return nil, err
		}
	}
	if err := r.tx.Insert(d, r.c.Actor); err != nil {
		return nil, err
	}
	r.found[id] = d.Body
	return d, r.logChange(d, json.RawMessage(`{}`))
}

func (r *registry) prepare(k registryKind, id string, body json.RawMessage) (json.RawMessage, error) {
	raw, err := xdm.Prepare(xdm.Write{Type: k.resource, ID: id, Tenant: r.tenant, Body: body, Resolve: r.resolve})
	if r.err != nil {
		return nil, r.err
	}
	return raw, err
}

// checkTitle refuses a title that another resource of the tenant has, of whatever type.
func (r *registry) checkTitle(title, id string) error {
	for _, kind := range registryKinds {
		docs, _, err := r.tx.Find(store.Query{
			Kind: kind, Scopes: []weir.Scope{r.c.Scope}, Where: []store.Cond{{Path: []string{"title"}, Op: store.Eq, Values: []string{title}}},
		})
		if err != nil {
			return err
		}
		for _, d := range docs {
			o, err := parseObject(d.Body)
			if err != nil {
				return err
			}
			if d.ID != id && o.text("title") == title {
				return fault(codeRegistryTitle, "/title", "The title %q belongs to %s already. Titles are unique over schemas, classes, field groups and data types.", shorten(title), d.ID)
			}
		}
	}
	return nil
}

// checkProfile refuses to enable a schema for Profile that does not name its subject.
func (r *registry) checkProfile(raw json.RawMessage) error {
	full, err := r.compose(raw)
	if err != nil {
		return err
	}
	descriptors, err := r.descriptorsOf(full.ID)
	if err != nil {
		return err
	}
	if !(xdm.DescriptorSchema{Full: full, Descriptors: descriptors}).HasIdentity() {
		return xdm.ProfileError()
	}
	return nil
}

// tenantDoc reads a resource that is to be written.
func (r *registry) tenantDoc(k registryKind, id string) (*weir.Doc, error) {
	id = r.canonical(id)
	d, err := r.doc(id, k.kind)
	if err != nil {
		return nil, err
	}
	if d == nil {
		if _, union := xdm.UnionClass(id); union || xdm.IsGlobal(id) {
			return nil, weir.Errorf("XDM-1001-403", "%s is made by the server and cannot be written.", shorten(id))
		}
		return nil, k.missing(id)
	}
	return d, nil
}

// putResource is PUT /tenant/{collection}/{id}: the body replaces the resource. Tags that cannot be taken away stay if they are left out.
func putResource(c *call) (reply, error) {
	k, err := c.writable()
	if err != nil {
		return reply{}, err
	}
	body, err := c.jsonBody()
	if err != nil {
		return reply{}, err
	}
	return c.change(k, func(d *weir.Doc, _ json.RawMessage) (json.RawMessage, error) {
		o, err := parseObject(body)
		if err != nil {
			return body, nil //nolint:nilerr // the check of the body says what is wrong with it
		}
		if old := tags(d.Body); len(old) > 0 && o.get("meta:immutableTags") == nil {
			return o.set("meta:immutableTags", old).raw(), nil
		}
		return body, nil
	})
}

// patchResource is PATCH /tenant/{collection}/{id}: a JSON Patch on the resource as it is read. All operations apply or none.
func patchResource(c *call) (reply, error) {
	k, err := c.writable()
	if err != nil {
		return reply{}, err
	}
	body, err := c.jsonBody()
	if err != nil {
		return reply{}, err
	}
	ops, err := registryOps(body)
	if err != nil {
		return reply{}, err
	}
	rep, err := c.change(k, func(_ *weir.Doc, shown json.RawMessage) (json.RawMessage, error) {
		for i, op := range ops {
			if shown, err = applyRegistryOp(shown, op, i); err != nil {
				return nil, err
			}
		}
		return shown, nil
	})
	if err != nil {
		return reply{}, err
	}
	o, err := parseObject(rep.body.(json.RawMessage))
	if err != nil {
		return reply{}, err
	}
	rep.body = o.set("meta:descriptorStatus", object{}.set("result", []any{}))
	return rep, nil
}

// change replaces a resource by what edit makes of it and answers the new one.
func (c *call) change(k registryKind, edit func(d *weir.Doc, shown json.RawMessage) (json.RawMessage, error)) (reply, error) {
	var out json.RawMessage
	err := c.writing(func(r *registry) error {
		d, err := r.tenantDoc(k, c.param("id"))
		if err != nil {
			return err
		}
		shown, err := r.show(d)
		if err != nil {
			return err
		}
		body, err := edit(d, shown)
		if err != nil {
			return err
		}
		if err := r.replace(k, d, body); err != nil {
			return err
		}
		out, err = r.show(d)
		return err
	})
	return ok(out), err
}

// replace checks a new body of a stored resource, with everything that depends on it, and writes it.
func (r *registry) replace(k registryKind, d *weir.Doc, body json.RawMessage) error {
	raw, err := r.prepare(k, d.ID, body)
	if err != nil {
		return err
	}
	o, err := parseObject(raw)
	if err != nil {
		return err
	}
	if err := r.checkTitle(o.text("title"), d.ID); err != nil {
		return err
	}
	was, is := profiled(d.Body), profiled(raw)
	if was && !is {
		return fault(codeRegistryTag, "/meta:immutableTags", "The schema is enabled for Profile, which cannot be undone.")
	}
	if !was && is && k.resource == xdm.Schemas {
		if err := r.checkProfile(raw); err != nil {
			return err
		}
	}
	if err := r.checkDependents(d, raw); err != nil {
		return err
	}
	old := d.Body
	d.Body = o.set("version", resourceVersion(d.Rev+1)).raw()
	if err := r.tx.Update(d, r.c.Actor); err != nil {
		return err
	}
	r.found[d.ID] = d.Body
	return r.logChange(d, old)
}

// checkDependents composes every schema that the resource is part of, as it would be: none may become impossible, and those in use may
// not lose anything (§1.9).
func (r *registry) checkDependents(d *weir.Doc, raw json.RawMessage) error {
	schemas, err := r.dependents(d)
	if err != nil {
		return err
	}
	for _, s := range schemas {
		descriptors, err := r.descriptorsOf(s.ID)
		if err != nil {
			return err
		}
		after := s.Body
		if s.ID == d.ID {
			after = raw
		}
		next, err := xdm.Compose(after, r.whatIf(d.ID, raw), descriptors)
		if err != nil {
			return err
		}
		if next.Cycle != "" {
			return weir.Errorf("XDM-1523-400", "In the schema %s the reference %s would lead back to itself.", s.ID, next.Cycle)
		}
		use, err := r.use(s)
		if err != nil {
			return err
		}
		if use == "" {
			continue
		}
		old, err := r.compose(s.Body)
		if err != nil {
			continue // what cannot be composed holds no data
		}
		if err := xdm.EvolutionError(xdm.Breaking(old, next), use); err != nil {
			return err
		}
	}
	return nil
}

// dependents are the schemas a resource is part of, itself included.
func (r *registry) dependents(d *weir.Doc) ([]*weir.Doc, error) {
	docs, err := r.all(registryKinds...)
	if err != nil {
		return nil, err
	}
	reached := map[string]bool{d.ID: true}
	for grown := true; grown; {
		grown = false
		for _, other := range docs {
			if !reached[other.ID] && slices.ContainsFunc(xdm.References(other.Body), func(id string) bool { return reached[id] }) {
				reached[other.ID], grown = true, true
			}
		}
	}
	return slices.DeleteFunc(docs, func(o *weir.Doc) bool { return o.Kind != weir.KindSchema || !reached[o.ID] }), nil
}

// use says what holds a schema in place, "" for nothing: a dataset, or Profile.
func (r *registry) use(schema *weir.Doc) (string, error) {
	dataset, err := r.datasetOf(schema.ID)
	switch {
	case err != nil:
		return "", err
	case dataset != "":
		return "the dataset " + dataset + " of the schema " + schema.ID, nil
	case profiled(schema.Body):
		return "the schema " + schema.ID + ", which is enabled for Profile", nil
	}
	return "", nil
}

// datasetOf is the id of a dataset with the schema, "" if there is none.
func (r *registry) datasetOf(schema string) (string, error) {
	docs, _, err := r.tx.Find(store.Query{
		Kind: weir.KindDataset, Scopes: []weir.Scope{r.c.Scope}, Limit: 1,
		Where: []store.Cond{{Path: []string{"schemaRef", "id"}, Op: store.Eq, Values: []string{schema, xdm.AltID(schema)}}},
	})
	if err != nil || len(docs) == 0 {
		return "", err
	}
	return docs[0].ID, nil
}

// deleteResource is DELETE /tenant/{collection}/{id}. What something else needs stays.
func deleteResource(c *call) (reply, error) {
	k, err := c.writable()
	if err != nil {
		return reply{}, err
	}
	err = c.writing(func(r *registry) error {
		d, err := r.tenantDoc(k, c.param("id"))
		if err != nil {
			return err
		}
		if err := r.checkUnused(d); err != nil {
			return err
		}
		descriptors, err := r.descriptorDocs(d.ID)
		if err != nil {
			return err
		}
		for _, desc := range descriptors {
			if err := r.tx.Delete(weir.KindDescriptor, desc.Scope, desc.ID); err != nil {
				return err
			}
		}
		return r.tx.Delete(d.Kind, d.Scope, d.ID)
	})
	return noContent(), err
}

// checkUnused refuses to delete a resource that another one refers to, that has a dataset, or that is enabled for Profile.
func (r *registry) checkUnused(d *weir.Doc) error {
	docs, err := r.all(registryKinds...)
	if err != nil {
		return err
	}
	for _, other := range docs {
		if other.ID != d.ID && slices.Contains(xdm.References(other.Body), d.ID) {
			return weir.Errorf(codeRegistryUse, "%s refers to %s, so it cannot be deleted.", other.ID, d.ID)
		}
	}
	if d.Kind != weir.KindSchema {
		return nil
	}
	use, err := r.use(d)
	if err == nil && use != "" {
		err = weir.Errorf(codeRegistryUse, "The schema cannot be deleted because of %s.", use)
	}
	return err
}

// registryOp is one operation of a patch, with its text.
type registryOp struct {
	op, path string
	line     object
}

// registryOps reads a JSON Patch: an array of operations, or one.
func registryOps(body json.RawMessage) ([]registryOp, error) {
	if isObject(body) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || len(list) == 0 {
		return nil, weir.Errorf(codeRegistryPatch, "The body must be a JSON Patch: an array of {op, path, value}.")
	}
	if len(list) > maxOperations {
		return nil, weir.Errorf(codeRegistryPatch, "The patch has more than %d operations.", maxOperations)
	}
	ops := make([]registryOp, 0, len(list))
	for i, item := range list {
		o, err := parseObject(item)
		if err != nil || len(o) == 0 {
			return nil, fault(codeRegistryPatch, fmt.Sprintf("/%d", i), "Operation %d of the patch must be an object {op, path, value}.", i)
		}
		op := registryOp{op: strings.ToLower(o.text("op")), path: o.text("path")}
		if op.path == "/meta:immutableTags-" { // as some guides write it
			op.path = "/meta:immutableTags/-"
		}
		op.line = o.set("op", op.op).set("path", op.path)
		ops = append(ops, op)
	}
	return ops, nil
}

// applyRegistryOp runs one operation. Appending to a list that is not there begins it.
func applyRegistryOp(doc json.RawMessage, op registryOp, i int) (json.RawMessage, error) {
	if list, appends := strings.CutSuffix(op.path, "/-"); appends && op.op == "add" && strings.Count(list, "/") == 1 {
		o, err := parseObject(doc)
		if err != nil {
			return nil, err
		}
		if name := strings.NewReplacer("~1", "/", "~0", "~").Replace(list[1:]); o.get(name) == nil {
			doc = o.with(name, json.RawMessage("[]")).raw()
		}
	}
	refuse := func(err error) error {
		e := fault(codeRegistryPatch, fmt.Sprintf("/%d", i), "Operation %d of the patch (%s %s) cannot be applied.", i, shorten(op.op), shorten(op.path))
		if errors.Is(err, jsonpatch.ErrTestFailed) {
			e.Message = fmt.Sprintf("The test of %s in operation %d of the patch failed.", shorten(op.path), i)
		}
		e.Err = err
		return e
	}
	patch, err := jsonpatch.DecodePatch(slices.Concat([]byte("["), op.line.raw(), []byte("]")))
	if err != nil {
		return nil, refuse(err)
	}
	opts := jsonpatch.NewApplyOptions()
	opts.SupportNegativeIndices, opts.EscapeHTML = false, false
	out, err := patch.ApplyWithOptions(doc, opts)
	if err != nil {
		return nil, refuse(err)
	}
	return out, nil
}
