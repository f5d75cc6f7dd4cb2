package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"weir"
	"weir/store"
	"weir/xdm"
)

// The Schema Registry API (schema-catalog-data §1). A container is global (the standard library, read-only) or tenant (the organisation's
// own resources in a sandbox). Ids are URLs, so {id...} takes the raw rest of the path.
var registryRoutes = []route{
	{"GET", "/stats", registryStats, access{}},
	{"GET", "/rpc/export/{id...}", exportResource, access{}},
	{"POST", "/rpc/export", importResources, access{limit: maxImport}}, // one client imports here (Q12)
	{"POST", "/rpc/import", importResources, access{limit: maxImport}},
	{"GET", "/rpc/sampledata/{id...}", sampleData, access{}},
	{"GET", "/rpc/auditlog/{id...}", auditLog, access{}},
	{"POST", "/rpc/csv2schema", csvToSchema, access{}},
	{"GET", "/{container}/descriptors", listDescriptors, access{}},
	{"POST", "/{container}/descriptors", createDescriptor, access{}},
	{"GET", "/{container}/descriptors/{id}", getDescriptor, access{}},
	{"PUT", "/{container}/descriptors/{id}", putDescriptor, access{}},
	{"DELETE", "/{container}/descriptors/{id}", deleteDescriptor, access{}},
	{"GET", "/{container}/{collection}", listResources, access{}},
	{"POST", "/{container}/{collection}", createResource, access{}},
	{"GET", "/{container}/{collection}/{id...}", getResource, access{}},
	{"PUT", "/{container}/{collection}/{id...}", putResource, access{}},
	{"PATCH", "/{container}/{collection}/{id...}", patchResource, access{}},
	{"DELETE", "/{container}/{collection}/{id...}", deleteResource, access{}},
}

const (
	registryBase = "/data/foundation/schemaregistry"
	// maxImport is the largest import in bytes.
	maxImport = 64 << 20
)

// Containers.
const (
	containerGlobal = "global"
	containerTenant = "tenant"
)

// registryKind is a kind of resource: its name in paths, where it is stored, and the code of its not-found answer.
type registryKind struct {
	name, word string
	resource   string // meta:resourceType
	kind       string // of documents, "" if nothing is stored
	notFound   string
}

// registryCollections are the resource collections. Field groups have two names in paths and keep the older one in data (Q4).
var registryCollections = []registryKind{
	{"schemas", "schema", xdm.Schemas, weir.KindSchema, "XDM-1012-404"},
	{"classes", "class", xdm.Classes, weir.KindClass, "XDM-1010-404"},
	{"fieldgroups", "field group", xdm.FieldGroups, weir.KindFieldGroup, "XDM-1011-404"},
	{"mixins", "field group", xdm.FieldGroups, weir.KindFieldGroup, "XDM-1011-404"},
	{"datatypes", "data type", xdm.DataTypes, weir.KindDataType, "XDM-1013-404"},
	{"unions", "union", xdm.Unions, "", "XDM-1015-404"},
	{"behaviors", "behaviour", xdm.Behaviors, "", "XDM-1016-404"},
}

// registryKinds are the documents of the registry whose titles must differ and which may refer to each other.
var registryKinds = []string{weir.KindSchema, weir.KindClass, weir.KindFieldGroup, weir.KindDataType}

// registryKind finds the collection a path names.
func (c *call) registryKind() (registryKind, error) {
	for _, k := range registryCollections {
		if k.name == c.param("collection") {
			return k, c.container()
		}
	}
	return registryKind{}, weir.Errorf(c.service.codes.notFound, "There is no collection %q. schemas, classes, fieldgroups, datatypes, behaviors, unions and descriptors are.", shorten(c.param("collection")))
}

// container refuses other containers than global and tenant, and every write to global.
func (c *call) container() error {
	read := c.req.Method == http.MethodGet || c.req.Method == http.MethodHead
	switch name := c.param("container"); {
	case name != containerGlobal && name != containerTenant:
		return weir.Errorf(c.service.codes.notFound, "There is no container %q. global and tenant are.", shorten(name))
	case name == containerGlobal && !read:
		return weir.Errorf("XDM-1001-403", "The container global holds the standard library and is read-only. Use /tenant.")
	}
	return nil
}

// jsonBody reads the body of a registry write, which must say that it is JSON (§0.2).
func (c *call) jsonBody() (json.RawMessage, error) {
	if t := c.req.Header.Get("Content-Type"); !strings.Contains(strings.ToLower(t), "json") {
		return nil, weir.Errorf("XDM-1002-400", "The Content-Type is %q. Send the body as application/json.", shorten(t))
	}
	return c.body()
}

// registry is the library that a tenant sees, inside one transaction.
type registry struct {
	c           *call
	tx          *store.Tx
	tenant      string
	sandboxType string
	// found caches resources by $id; nil for what does not exist.
	found map[string]json.RawMessage
	// err is the first failure of the store while a resolver could not report one.
	err error
}

// registry opens the library for a transaction.
func (c *call) registry(tx *store.Tx) (*registry, error) {
	r := &registry{c: c, tx: tx, sandboxType: "production", found: map[string]json.RawMessage{}}
	var err error
	if r.tenant, err = tenantOf(tx, c.Scope.Org); err != nil {
		return nil, err
	}
	d, err := tx.Get(weir.KindSandbox, weir.Scope{Org: c.Scope.Org}, c.Scope.Sandbox)
	if err != nil {
		return nil, err
	}
	var body sandboxBody
	if err := d.Read(&body); err != nil {
		return nil, err
	}
	r.sandboxType = body.Type
	return r, nil
}

// reading runs fn on the library in a read transaction, writing in a write transaction.
func (c *call) reading(fn func(r *registry) error) error {
	return c.view(func(tx *store.Tx) error { return c.onRegistry(tx, fn) })
}

func (c *call) writing(fn func(r *registry) error) error {
	return c.write(func(tx *store.Tx) error { return c.onRegistry(tx, fn) })
}

func (c *call) onRegistry(tx *store.Tx, fn func(r *registry) error) error {
	r, err := c.registry(tx)
	if err != nil {
		return err
	}
	if err := fn(r); err != nil {
		return err
	}
	return r.err
}

// canonical makes a $id of what a client sends: a $id, percent-encoded once more or with a lost slash, or a meta:altId.
func (r *registry) canonical(id string) string {
	if strings.Contains(id, "%") {
		id = unescapePath(id)
	}
	for _, scheme := range []string{"https:/", "http:/"} {
		if rest, ok := strings.CutPrefix(id, scheme); ok && !strings.HasPrefix(rest, "/") {
			id = scheme + "/" + rest
		}
	}
	id = strings.TrimRight(id, "/")
	if class, ok := xdm.UnionClass(id); ok {
		return r.canonical(class) + xdm.UnionSuffix
	}
	if !strings.HasPrefix(id, "_") {
		return id
	}
	if raw, ok := xdm.Global(id); ok {
		return xdm.ID(raw)
	}
	return xdm.Namespace + strings.ReplaceAll(id[1:], ".", "/")
}

// doc finds a tenant's document by $id in any of the kinds; nil if there is none.
func (r *registry) doc(id string, kinds ...string) (*weir.Doc, error) {
	for _, kind := range kinds {
		d, err := r.tx.Get(kind, r.c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			continue
		}
		return d, err
	}
	return nil, nil
}

// kindsOf are the kinds a tenant $id may have; the id says which.
func kindsOf(id string) []string {
	for _, kind := range registryKinds {
		if strings.Contains(id, "/"+kind+"/") {
			return []string{kind}
		}
	}
	return nil
}

// resolve is the tenant's part of the library for package xdm.
func (r *registry) resolve(id string) (json.RawMessage, bool) {
	id = r.canonical(id)
	if raw, known := r.found[id]; known {
		return raw, raw != nil
	}
	d, err := r.doc(id, kindsOf(id)...)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return nil, false
	}
	if d == nil {
		r.found[id] = nil
		return nil, false
	}
	r.found[id] = d.Body
	return d.Body, true
}

// whatIf is the library as it would be with a resource replaced.
func (r *registry) whatIf(id string, raw json.RawMessage) xdm.Resolver {
	return func(asked string) (json.RawMessage, bool) {
		if r.canonical(asked) == id {
			return raw, true
		}
		return r.resolve(asked)
	}
}

// show is a stored resource as clients read it (§1.5).
func (r *registry) show(d *weir.Doc) (json.RawMessage, error) {
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	if o.get("version") == nil {
		o = o.set("version", resourceVersion(d.Rev))
	}
	return o.set("imsOrg", d.Scope.Org).set("meta:sandboxId", r.c.SandboxID).set("meta:sandboxType", r.sandboxType).
		with("meta:registryMetadata", registryMetadata(d).raw()).raw(), nil
}

// resourceVersion counts the writes: 1.0, then 1.1 and so on.
func resourceVersion(rev int64) string { return fmt.Sprintf("1.%d", rev-1) }

func registryMetadata(d *weir.Doc) object {
	return object{}.set("repo:createdDate", d.CreatedAt).set("repo:lastModifiedDate", d.UpdatedAt).
		set("xdm:createdClientId", d.CreatedClient).set("xdm:lastModifiedClientId", d.UpdatedClient).
		set("xdm:createdUserId", d.CreatedBy).set("xdm:lastModifiedUserId", d.UpdatedBy).
		set("eTag", d.ETag).set("meta:globalLibVersion", "1.0.0").set("meta:usageCount", 0)
}

// resource is a raw resource of a collection by any form of its id, from either container (Q5). Unions come composed.
func (r *registry) resource(k registryKind, id string) (json.RawMessage, error) {
	id = r.canonical(id)
	if raw, ok := xdm.Global(id); ok && xdm.KindOf(raw) == k.resource {
		return raw, nil
	}
	if k.kind != "" {
		d, err := r.doc(id, k.kind)
		if err != nil {
			return nil, err
		}
		if d != nil {
			return r.show(d)
		}
	}
	return nil, k.missing(id)
}

func (k registryKind) missing(id string) error {
	return &weir.Error{Code: k.notFound, Message: fmt.Sprintf("The %s %s was not found.", k.word, shorten(id)), ID: id, Type: k.resource}
}

// anyResource is a raw resource of any collection.
func (r *registry) anyResource(id string) (json.RawMessage, error) {
	id = r.canonical(id)
	if raw, ok := xdm.Global(id); ok {
		return raw, nil
	}
	d, err := r.doc(id, kindsOf(id)...)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, registryCollections[0].missing(id)
	}
	return r.show(d)
}

// compose makes the full form of a resource with its descriptors.
func (r *registry) compose(raw json.RawMessage) (*xdm.Full, error) {
	descriptors, err := r.descriptorsOf(xdm.ID(raw))
	if err != nil {
		return nil, err
	}
	full, err := xdm.Compose(raw, r.resolve, descriptors)
	if r.err != nil {
		return nil, r.err
	}
	return full, err
}

// full is a schema, union or other component by id, composed.
func (r *registry) full(id string) (*xdm.Full, error) {
	id = r.canonical(id)
	if class, ok := xdm.UnionClass(id); ok {
		return r.union(class)
	}
	raw, err := r.anyResource(id)
	if err != nil {
		return nil, err
	}
	return r.compose(raw)
}

// all lists the tenant's documents of the given kinds, oldest change first.
func (r *registry) all(kinds ...string) ([]*weir.Doc, error) {
	var out []*weir.Doc
	for _, kind := range kinds {
		docs, _, err := r.tx.Find(store.Query{Kind: kind, Scopes: []weir.Scope{r.c.Scope}, Order: []store.Order{{Path: []string{"updatedAt"}}}})
		if err != nil {
			return nil, err
		}
		out = append(out, docs...)
	}
	return out, nil
}

// tags reads meta:immutableTags.
func tags(raw json.RawMessage) []string {
	var t struct {
		Tags []string `json:"meta:immutableTags"`
	}
	_ = json.Unmarshal(raw, &t) // stored resources are checked on write
	return t.Tags
}

func profiled(raw json.RawMessage) bool { return slices.Contains(tags(raw), "union") }

// getResource is GET /{container}/{collection}/{id}.
func getResource(c *call) (reply, error) {
	k, err := c.registryKind()
	if err != nil {
		return reply{}, err
	}
	a, err := c.acceptLookup()
	if err != nil {
		return reply{}, err
	}
	var out json.RawMessage
	err = c.reading(func(r *registry) (err error) {
		out, err = r.lookup(k, c.param("id"), a)
		return err
	})
	return ok(out), err
}

// lookup is a resource in the form that was asked for.
func (r *registry) lookup(k registryKind, id string, a accept) (json.RawMessage, error) {
	if class, is := xdm.UnionClass(r.canonical(id)); is && (k.resource == xdm.Unions || k.resource == xdm.Schemas) {
		u, err := r.union(class)
		if err != nil {
			return nil, err
		}
		if a.summary {
			return summary(u.JSON(xdm.Variant{})), nil
		}
		if a.full {
			return readable(u.JSON(a.variant)), nil
		}
		raw, err := r.rawUnion(u, class)
		if err != nil {
			return nil, err
		}
		return xdm.Raw(readable(raw), a.variant)
	}
	raw, err := r.resource(k, id)
	if err != nil {
		return nil, err
	}
	if a.summary {
		return summary(raw), nil
	}
	raw = readable(raw)
	if a.full {
		full, err := r.compose(raw)
		if err != nil {
			return nil, err
		}
		return full.JSON(a.variant), nil
	}
	if a.variant.Desc {
		descriptors, err := r.descriptorsOf(xdm.ID(raw))
		if err != nil {
			return nil, err
		}
		o, err := parseObject(raw)
		if err != nil {
			return nil, err
		}
		raw = o.set("meta:descriptors", append([]json.RawMessage{}, descriptors...)).raw()
	}
	return xdm.Raw(raw, a.variant)
}

// readable marks a lookup's answer: everything in it may be read.
func readable(raw json.RawMessage) json.RawMessage {
	o, err := parseObject(raw)
	if err != nil {
		return raw
	}
	return o.set("meta:allFieldAccess", true).raw()
}

// summary is the short form of a resource.
func summary(raw json.RawMessage) json.RawMessage {
	o, err := parseObject(raw)
	if err != nil {
		return raw
	}
	return o.only("$id", "meta:altId", "version", "title").raw()
}
