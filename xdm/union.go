package xdm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// UnionSuffix ends the id of a union: {class $id}__union or {class meta:altId}__union (§1.11).
const UnionSuffix = "__union"

// UnionClass is the class id of a union id, false if the id is none.
func UnionClass(id string) (class string, ok bool) { return strings.CutSuffix(id, UnionSuffix) }

// Union is the union of a class: the fields of all given schemas of the class (those tagged union) and always identityMap,
// segmentMembership and timeSeriesEvents. class is the raw class. Where two schemas disagree about a field, the first one counts.
func Union(class json.RawMessage, members []*Full, resolve Resolver) (*Full, error) {
	base, err := Compose(class, resolve, nil)
	if err != nil {
		return nil, err
	}
	c := newComposer(resolve)
	root := base.root.clone()
	unionInto(root, base.root)
	for _, m := range members {
		unionInto(root, m.root)
	}
	for name, id := range map[string]string{"identityMap": IdentityMap, "segmentMembership": libraryBase + "context/profile-segmentation"} {
		n, _, err := c.follow(&document{}, id, nil)
		if err != nil {
			return nil, err
		}
		if root.props[name] == nil {
			root.props[name] = n.props[name]
		}
	}
	events, _, err := c.follow(&document{}, ExperienceEvent, nil)
	if err != nil {
		return nil, err
	}
	if root.props["timeSeriesEvents"] == nil {
		item := events.clone()
		item.keys["meta:referencedFrom"] = ExperienceEvent
		root.props["timeSeriesEvents"] = &node{typ: "array", items: item, keys: map[string]any{"title": "Time series events"}}
	}
	head := maps.Clone(base.head)
	id := base.ID + UnionSuffix
	maps.Copy(head, map[string]any{
		"$id": id, "meta:altId": AltID(base.ID) + UnionSuffix, "meta:resourceType": Unions, "version": "1.0", "meta:class": base.ID,
		"meta:extends": []any{base.ID}, "meta:extensible": false, "meta:abstract": false, "meta:containerId": "tenant", "meta:xdmType": "object",
		"meta:immutableTags": []any{"union"},
	})
	for _, k := range []string{"refs", "meta:intendedToExtend", "meta:createdDate", "meta:status"} {
		delete(head, k)
	}
	return &Full{ID: id, Title: base.Title, Version: "1.0", Refs: base.Refs, head: head, root: root}, nil
}

// unionInto merges b into a, which the caller owns; where the two differ in type a stays. Nothing is required in a union but what all require.
func unionInto(a, b *node) {
	if a.props == nil {
		a.props = map[string]*node{}
	}
	for _, name := range slices.Sorted(maps.Keys(b.props)) {
		have := a.props[name]
		if have == nil {
			a.props[name] = b.props[name]
			continue
		}
		if have == b.props[name] || have.xdm() != b.props[name].xdm() {
			continue
		}
		have = have.clone()
		a.props[name] = have
		unionInto(have, b.props[name])
		if have.items != nil && b.props[name].items != nil && have.items.xdm() == b.props[name].items.xdm() {
			have.items = have.items.clone()
			unionInto(have.items, b.props[name].items)
		}
		if have.values != nil && b.props[name].values != nil && have.values.xdm() == b.props[name].values.xdm() {
			have.values = have.values.clone()
			unionInto(have.values, b.props[name].values)
		}
		have.required = slices.DeleteFunc(have.required, func(r string) bool { return !slices.Contains(b.props[name].required, r) })
	}
}
