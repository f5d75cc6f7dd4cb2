package xdm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/record"
)

// Resolver returns a tenant resource by $id or meta:altId. Components of the standard library are never asked for.
type Resolver func(id string) (json.RawMessage, bool)

// Full is a composed schema (or class, field group, data type): references resolved and merged, names converted, descriptors applied.
// It is immutable and safe for goroutines.
type Full struct {
	ID, Title, Version string
	// Refs are the $ids of every component that contributed, dependencies before dependents.
	Refs []string
	// Cycle is a $ref that leads back to itself outside arrays and maps, "" if there is none. Such a schema has no finite value and is refused on write.
	Cycle string

	head        map[string]any // members of the resource that are not JSON Schema
	root        *node
	descriptors []map[string]any
}

// Compose makes the full form of a raw resource (§1.6). descriptors are the stored descriptors whose xdm:sourceSchema is the resource;
// pass nil for none. The error is a *weir.Error that names the place: an unknown $ref, one path with two types.
func Compose(raw json.RawMessage, resolve Resolver, descriptors []json.RawMessage) (*Full, error) {
	tree, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	id, _ := tree["$id"].(string)
	c := newComposer(resolve)
	root, err := c.field(&document{id: id, tree: tree}, tree, nil)
	if err != nil {
		return nil, err
	}
	if err := c.check(root); err != nil {
		return nil, err
	}
	f := &Full{ID: id, Refs: c.refs, Cycle: c.cycle, head: map[string]any{}}
	f.Title, _ = tree["title"].(string)
	f.Version, _ = tree["version"].(string)
	root = root.clone()
	for k, v := range tree {
		if !structural[k] {
			f.head[k] = v
		}
	}
	root.keys = map[string]any{}
	if root.typ == "array" && root.items == nil || root.typ == "" && root.items == nil {
		root.typ = "object"
	}
	for _, d := range descriptors {
		t, err := decodeObject(d)
		if err != nil {
			return nil, err
		}
		f.descriptors = append(f.descriptors, t)
		root = applyDescriptor(root, t)
	}
	f.root = root
	return f, nil
}

// structural keywords are worked into the composed form and do not survive on their own.
var structural = map[string]bool{
	"allOf": true, "anyOf": true, "oneOf": true, "not": true, "if": true, "then": true, "else": true, "$ref": true, "$defs": true, "definitions": true,
	"properties": true, "patternProperties": true, "required": true, "items": true, "additionalProperties": true, "type": true,
}

// headerKeys of a referenced component say what the component is, not what the field is.
var headerKeys = map[string]bool{
	"$id": true, "$schema": true, "version": true, "refs": true, "imsOrg": true,
	"meta:altId": true, "meta:resourceType": true, "meta:extensible": true, "meta:abstract": true, "meta:extends": true, "meta:intendedToExtend": true,
	"meta:status": true, "meta:containerId": true, "meta:tenantNamespace": true, "meta:sandboxId": true, "meta:sandboxType": true, "meta:createdDate": true,
	"meta:registryMetadata": true, "meta:class": true, "meta:tags": true, "meta:license": true, "meta:xdmType": true, "meta:allFieldAccess": true,
	"meta:titleId": true, "meta:descriptionId": true, "meta:usereditable": true, "meta:immutableTags": true, "meta:descriptorStatus": true,
}

// composer holds the state of one composition.
type composer struct {
	resolve Resolver
	docs    map[string]*document
	done    map[string]*node // by $id#fragment
	open    []openRef
	refs    []string
	cycle   string
	cuts    int  // references cut so far
	steps   int  // fields composed and merged so far
	plain   bool // an ordinary JSON Schema: no name conversion, unions of types
}

// openRef is a reference on the way from the root; loops counts arrays and maps passed before it.
type openRef struct {
	key   string
	loops int
}

func newComposer(resolve Resolver) *composer {
	return &composer{resolve: resolve, docs: map[string]*document{}, done: map[string]*node{}}
}

// maxDepth bounds nesting, so that a hostile document cannot exhaust the stack.
const maxDepth = 64

// maxFields bounds the expansion of one schema, maxSteps the work to get there.
const (
	maxFields = 50_000
	maxSteps  = 10 * maxFields
)

// field composes one schema node.
func (c *composer) field(doc *document, src map[string]any, at []string) (*node, error) {
	if len(at) > maxDepth {
		return nil, &weir.Error{Code: codeField, Pointer: pointer(at...), Message: "the schema nests deeper than 64 levels"}
	}
	if err := c.spend(at); err != nil {
		return nil, err
	}
	n := &node{keys: map[string]any{}}
	for k, v := range src {
		if !structural[k] {
			n.keys[k] = v
		}
	}
	n.typ = jsonType(src)
	if err := c.members(n, doc, src, at); err != nil {
		return nil, err
	}
	if ref, ok := src["$ref"].(string); ok {
		base, id, err := c.follow(doc, ref, at)
		if err != nil {
			return nil, err
		}
		if err := c.merge(n, base, at); err != nil {
			return nil, err
		}
		if id != "" {
			n.keys["meta:referencedFrom"] = id
		}
	}
	all, _ := src["allOf"].([]any)
	if c.plain {
		all = append(slices.Clone(all), nullable(src)...)
	}
	for _, m := range all {
		part, ok := m.(map[string]any)
		if !ok {
			continue
		}
		p, err := c.field(doc, part, at)
		if err != nil {
			return nil, err
		}
		if len(at) == 0 && p.typ == "array" && n.typ != "array" {
			p = p.clone() // some clients decorate allOf members with an array type
			p.typ, p.items = "", nil
		}
		if err := c.merge(n, p, at); err != nil {
			return nil, err
		}
	}
	c.settle(n)
	return n, nil
}

// spend counts the work of a composition, which a few references can make huge.
func (c *composer) spend(at []string) error {
	if c.steps++; c.steps > maxSteps {
		return &weir.Error{Code: codeField, Pointer: pointer(at...), Message: "the schema expands to more than 50000 fields"}
	}
	return nil
}

// settle derives the type from the members if no type was given and drops bounds that do not belong to the type.
func (c *composer) settle(n *node) {
	if n.typ == "" {
		switch t := n.xdm(); t {
		case record.Struct, record.Map:
			n.typ = "object"
		case record.List:
			n.typ = "array"
		case record.Date, record.Timestamp, record.String:
			n.typ = "string"
			if t != record.String && n.text("format") == "" {
				n.keys["format"] = t.String()
			}
		case record.Byte, record.Short, record.Int, record.Long:
			n.typ = "integer"
		case record.Number:
			n.typ = "number"
		case record.Boolean:
			n.typ = "boolean"
		case record.Invalid:
			if values, ok := n.keys["enum"].([]any); ok && len(values) > 0 {
				n.typ = valueType(values[0])
			}
		}
	}
}

// jsonType reads type; of several the first that is not null, or string if the others differ.
func jsonType(src map[string]any) string {
	switch t := src["type"].(type) {
	case string:
		return t
	case []any:
		found := ""
		for _, v := range t {
			s, _ := v.(string)
			switch {
			case s == "null" || s == "" || s == found:
			case found == "":
				found = s
			case found == "integer" && s == "number" || found == "number" && s == "integer":
				found = "number"
			default:
				return "string"
			}
		}
		return found
	}
	return ""
}

func valueType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number, float64:
		return "number"
	}
	return ""
}

// nullable returns the one member of anyOf or oneOf that is not the null type: the way plain schemas say "or null".
func nullable(src map[string]any) []any {
	for _, key := range []string{"anyOf", "oneOf"} {
		var rest []any
		list, _ := src[key].([]any)
		for _, m := range list {
			if t, _ := m.(map[string]any); t == nil || t["type"] != "null" {
				rest = append(rest, m)
			}
		}
		if len(rest) == 1 {
			return rest
		}
	}
	return nil
}

// members composes properties, required, items and additionalProperties of src into n.
func (c *composer) members(n *node, doc *document, src map[string]any, at []string) error {
	if list, ok := src["required"].([]any); ok {
		for _, v := range list {
			if name, ok := v.(string); ok {
				c.requireNamed(n, name)
			}
		}
	}
	props, _ := src["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		m, ok := props[name].(map[string]any)
		if !ok {
			continue
		}
		path := c.path(name)
		f, err := c.field(doc, m, append(slices.Clip(at), path...))
		if err != nil {
			return err
		}
		if path[0] != name {
			f = f.clone()
			f.keys["meta:xdmField"] = name
		}
		if err := c.put(n, path, f, at); err != nil {
			return err
		}
	}
	if items, ok := src["items"].(map[string]any); ok {
		f, err := c.inLoop(doc, items, at)
		if err != nil {
			return err
		}
		n.items = f
	}
	if values, ok := src["additionalProperties"].(map[string]any); ok && len(values) > 0 {
		f, err := c.inLoop(doc, values, at)
		if err != nil {
			return err
		}
		n.values = f
	}
	return nil
}

// inLoop composes the element of an array or map: a cycle through it has finite values.
func (c *composer) inLoop(doc *document, src map[string]any, at []string) (*node, error) {
	for i := range c.open {
		c.open[i].loops++
	}
	f, err := c.field(doc, src, append(slices.Clip(at), "[]"))
	for i := range c.open {
		c.open[i].loops--
	}
	return f, err
}

func (c *composer) path(name string) []string {
	if c.plain {
		return []string{name}
	}
	return served(name)
}

func (c *composer) requireNamed(n *node, name string) {
	path := c.path(name)
	n.require(path[0])
	if len(path) > 1 {
		if n.props == nil {
			n.props = map[string]*node{}
		}
		g := n.props[path[0]]
		if g == nil {
			g = convertedGroup()
		} else {
			g = g.clone()
		}
		g.require(path[1])
		n.props[path[0]] = g
	}
}

func convertedGroup() *node {
	return &node{typ: "object", keys: map[string]any{"meta:xedConverted": true}, props: map[string]*node{}}
}

// put adds a field at a path below n, making groups for converted names.
func (c *composer) put(n *node, path []string, f *node, at []string) error {
	if n.props == nil {
		n.props = map[string]*node{}
	}
	for i := len(path) - 1; i > 0; i-- {
		g := convertedGroup()
		g.props[path[i]] = f
		f = g
	}
	have := n.props[path[0]]
	if have == nil || have == f {
		n.props[path[0]] = f
		return nil
	}
	have = have.clone()
	n.props[path[0]] = have
	return c.merge(have, f, append(slices.Clip(at), path[0]))
}

// follow composes the target of a reference. id is the target's $id, "" for a reference inside the same document.
func (c *composer) follow(doc *document, ref string, at []string) (*node, string, error) {
	ref = strings.TrimSpace(ref)
	base, frag, _ := strings.Cut(ref, "#")
	target, id := doc, ""
	if base != "" && base != doc.id {
		var err error
		if target, err = c.document(base, at); err != nil {
			return nil, "", err
		}
		id = target.id
	}
	src, ok := fragment(target.tree, frag)
	if !ok {
		return nil, "", &weir.Error{Code: codeRef, Pointer: pointer(at...), Message: "the reference " + ref + " points at nothing"}
	}
	if target.id == extensible {
		return &node{}, "", nil
	}
	key := target.id + "#" + frag
	if n := c.done[key]; n != nil {
		return n, id, nil
	}
	for _, o := range c.open {
		if o.key == key {
			if o.loops == 0 && c.cycle == "" {
				c.cycle = ref
			}
			c.cuts++
			return &node{typ: "object", cut: true}, id, nil
		}
	}
	c.open = append(c.open, openRef{key: key})
	cuts := c.cuts
	n, err := c.field(target, src, at)
	c.open = c.open[:len(c.open)-1]
	if err != nil {
		return nil, "", err
	}
	n = n.clone()
	if frag == "" {
		for k := range headerKeys {
			delete(n.keys, k)
		}
	}
	if id != "" && !slices.Contains(c.refs, id) {
		c.refs = append(c.refs, id)
	}
	if c.cuts == cuts || len(c.open) == 0 { // else it is right in this place only
		c.done[key] = n
	}
	return n, id, nil
}

// measure bounds what a schema may expand to: shared components make a small graph whose tree is huge.
func (c *composer) measure(n *node, sizes map[*node][2]int) (fields, depth int) {
	if n == nil {
		return 0, 0
	}
	if s, ok := sizes[n]; ok {
		return s[0], s[1]
	}
	fields = 1
	grow := func(m *node) {
		f, d := c.measure(m, sizes)
		fields = min(fields+f, maxFields+1)
		depth = max(depth, d+1)
	}
	for _, p := range n.props {
		grow(p)
	}
	grow(n.items)
	grow(n.values)
	sizes[n] = [2]int{fields, depth}
	return fields, depth
}

// check refuses a composition that nests too deep or expands to too many fields.
func (c *composer) check(root *node) error {
	fields, depth := c.measure(root, map[*node][2]int{})
	if fields > maxFields {
		return &weir.Error{Code: codeField, Message: "the schema expands to more than 50000 fields"}
	}
	if depth > maxDepth+1 {
		return &weir.Error{Code: codeField, Message: "the schema nests deeper than 64 levels"}
	}
	return nil
}

func (c *composer) document(id string, at []string) (*document, error) {
	if d := library().byID[id]; d != nil {
		return d, nil
	}
	if d := c.docs[id]; d != nil {
		return d, nil
	}
	if c.resolve != nil {
		if raw, ok := c.resolve(id); ok {
			tree, err := decodeObject(raw)
			if err != nil {
				return nil, err
			}
			own, _ := tree["$id"].(string)
			if own == "" {
				own = id
			}
			d := &document{id: own, tree: tree}
			c.docs[id] = d
			return d, nil
		}
	}
	return nil, &weir.Error{Code: codeRef, Pointer: pointer(at...), Message: "the referenced component " + id + " does not exist"}
}

// fragment walks a JSON pointer.
func fragment(tree map[string]any, frag string) (map[string]any, bool) {
	at := tree
	for part := range strings.SplitSeq(strings.Trim(frag, "/"), "/") {
		if part == "" {
			continue
		}
		next, ok := at[unescapePointer.Replace(part)].(map[string]any)
		if !ok {
			return nil, false
		}
		at = next
	}
	return at, true
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~", "%40", "@")

// merge adds what b says to a, which the caller owns. Objects become the union of their members; what a says already wins.
func (c *composer) merge(a, b *node, at []string) error {
	if a == b {
		return nil
	}
	if err := c.spend(at); err != nil {
		return err
	}
	if err := a.takeType(b, at); err != nil {
		return err
	}
	a.cut = a.cut || b.cut
	a.require(b.required...)
	for k, v := range b.keys {
		if _, has := a.keys[k]; !has && (len(at) > 0 || !headerKeys[k]) {
			a.keys[k] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.props)) {
		if err := c.put(a, []string{name}, b.props[name], at); err != nil {
			return err
		}
	}
	var err error
	if a.items, err = c.join(a.items, b.items, at); err != nil {
		return err
	}
	a.values, err = c.join(a.values, b.values, at)
	return err
}

// takeType gives a the type of b if it has none yet, and refuses two different ones below the root.
func (n *node) takeType(b *node, at []string) error {
	have, also := n.xdm(), b.xdm()
	open := emptyObject(n, have)
	if have != record.Invalid && also != record.Invalid && have != also && !open && !emptyObject(b, also) && len(at) > 0 {
		return &weir.Error{
			Code: codeConflict, Pointer: pointer(at...),
			Message: "the field " + strings.Join(at, ".") + " is " + have.String() + " in one component and " + also.String() + " in another",
		}
	}
	if n.typ == "" || open && b.typ != "" {
		n.typ = b.typ
	}
	return nil
}

// emptyObject is an object without members yet, which may still turn out to be a map.
func emptyObject(n *node, t record.Type) bool {
	return t == record.Struct && len(n.props) == 0 && n.text("meta:xdmType") != "object"
}

func (c *composer) join(a, b *node, at []string) (*node, error) {
	if a == nil || b == nil || a == b {
		if a == nil {
			return b, nil
		}
		return a, nil
	}
	a = a.clone()
	return a, c.merge(a, b, append(slices.Clip(at), "[]"))
}
