package api

import (
	"encoding/json"
	"slices"
	"time"

	"weir"
	"weir/flow"
	"weir/xdm"
)

// Unions and statistics of the registry (schema-catalog-data §1.11). Unions are computed when they are read.

// classOf reads meta:class.
func classOf(raw json.RawMessage) string {
	o, err := parseObject(raw)
	if err != nil {
		return ""
	}
	return o.text("meta:class")
}

// members are the Profile-enabled schemas of a class.
func (r *registry) members(class string) ([]*weir.Doc, error) {
	docs, err := r.all(weir.KindSchema)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(docs, func(d *weir.Doc) bool { return !profiled(d.Body) || classOf(d.Body) != class }), nil
}

// unionClasses are the classes that have a union, sorted.
func (r *registry) unionClasses() ([]string, error) {
	docs, err := r.all(weir.KindSchema)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range docs {
		if class := classOf(d.Body); profiled(d.Body) && class != "" && !slices.Contains(out, class) {
			out = append(out, class)
		}
	}
	slices.Sort(out)
	return out, nil
}

// union composes the union of a class; it is not found if no schema of the class is enabled for Profile.
func (r *registry) union(class string) (*xdm.Full, error) {
	docs, err := r.members(class)
	if err != nil {
		return nil, err
	}
	k := registryCollections[slices.IndexFunc(registryCollections, func(k registryKind) bool { return k.resource == xdm.Unions })]
	if len(docs) == 0 {
		return nil, k.missing(class + xdm.UnionSuffix)
	}
	return flow.FullSchema(r.tx, r.c.Scope, class+xdm.UnionSuffix)
}

// rawUnion is a union as lists and raw lookups show it: its head, and the schemas it is made of.
func (r *registry) rawUnion(u *xdm.Full, class string) (json.RawMessage, error) {
	docs, err := r.members(class)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(u.JSON(xdm.Variant{}))
	if err != nil {
		return nil, err
	}
	refs := []object{}
	var updated int64
	for _, d := range docs {
		refs = append(refs, object{}.set("$ref", d.ID).set("type", "object").set("meta:xdmType", "object"))
		updated = max(updated, d.UpdatedAt)
	}
	return o.without("properties", "required").set("allOf", refs).set("imsOrg", r.c.Scope.Org).
		set("meta:registryMetadata", object{}.set("repo:createdDate", docs[0].CreatedAt).set("repo:lastModifiedDate", updated)).raw(), nil
}

// recent is how many resources the two lists of the statistics show.
const recent = 10

// registryStats is GET /stats.
func registryStats(c *call) (reply, error) {
	var out object
	err := c.reading(func(r *registry) error {
		docs, err := r.all(registryKinds...)
		if err != nil {
			return err
		}
		unions, err := r.unionClasses()
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for _, d := range docs {
			counts[d.Kind]++
		}
		usage, err := r.classUsage(docs)
		if err != nil {
			return err
		}
		out = object{}.set("imsOrg", c.Scope.Org).set("tenantId", r.tenant).
			set("counts", object{}.set("schemas", counts[weir.KindSchema]).set("mixins", counts[weir.KindFieldGroup]).
				set("datatypes", counts[weir.KindDataType]).set("classes", counts[weir.KindClass]).set("unions", len(unions))).
			set("recentlyCreatedResources", r.recent(docs, false)).set("recentlyUpdatedResources", r.recent(docs, true)).
			set("classUsage", usage)
		return nil
	})
	return ok(out), err
}

// recent lists the newest resources.
func (r *registry) recent(docs []*weir.Doc, updates bool) []object {
	docs = slices.Clone(docs)
	at := func(d *weir.Doc) int64 {
		if updates {
			return d.UpdatedAt
		}
		return d.CreatedAt
	}
	slices.SortStableFunc(docs, func(a, b *weir.Doc) int { return int(min(max(at(b)-at(a), -1), 1)) })
	out := []object{}
	for _, d := range docs[:min(recent, len(docs))] {
		o, err := parseObject(d.Body)
		if err != nil {
			continue
		}
		item := object{}.set("title", o.text("title")).set("description", o.text("description")).set("$id", d.ID).
			set("meta:resourceType", o.text("meta:resourceType")).set("version", o.text("version"))
		when := time.UnixMilli(at(d)).UTC().Format("Mon Jan 02 2006 15:04:05") + " GMT+0000 (UTC)"
		if !updates {
			out = append(out, item.set("meta:created", when))
			continue
		}
		item = item.set("meta:updated", when)
		if class := o.text("meta:class"); class != "" {
			item = item.set("meta:class", class).set("meta:classTitle", r.title(class))
		}
		out = append(out, item)
	}
	return out
}

func (r *registry) title(id string) string {
	raw, err := r.anyResource(id)
	if err != nil {
		return ""
	}
	o, err := parseObject(raw)
	if err != nil {
		return ""
	}
	return o.text("title")
}

// classUsage lists the classes of the tenant's schemas.
func (r *registry) classUsage(docs []*weir.Doc) ([]object, error) {
	schemas := map[string][]object{}
	var order []string
	for _, d := range docs {
		o, err := parseObject(d.Body)
		if err != nil {
			return nil, err
		}
		class := o.text("meta:class")
		if d.Kind != weir.KindSchema || class == "" {
			continue
		}
		if schemas[class] == nil {
			order = append(order, class)
		}
		schemas[class] = append(schemas[class], object{}.set("$id", d.ID).set("title", o.text("title")))
	}
	slices.Sort(order)
	out := []object{}
	for _, class := range order {
		out = append(out, object{}.set("$id", class).set("title", r.title(class)).set("numberOfSchemas", len(schemas[class])).set("schemas", schemas[class]))
	}
	return out, nil
}
