package xdm

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// Write is a resource on its way into the registry.
type Write struct {
	// Type is the resource type: Schemas, Classes, FieldGroups or DataTypes.
	Type string
	// ID is the resource's $id; Tenant the organisation's short name (acmelab).
	ID, Tenant string
	// Body is what the client sent.
	Body json.RawMessage
	// Resolve finds other resources of the tenant.
	Resolve Resolver
}

// readOnly members are set by the server and never taken from a client (§1.5).
var readOnly = map[string]bool{
	"$id": true, "meta:altId": true, "meta:resourceType": true, "version": true, "imsOrg": true, "meta:containerId": true,
	"meta:tenantNamespace": true, "meta:sandboxId": true, "meta:sandboxType": true, "meta:extensible": true, "meta:abstract": true,
	"meta:extends": true, "meta:class": true, "meta:xdmType": true, "refs": true, "meta:registryMetadata": true, "meta:allFieldAccess": true,
	"meta:descriptorStatus": true, "meta:descriptors": true, "meta:datasetNamespace": true, "meta:createdDate": true,
}

// Prepare checks a create or replace body by every rule of §1.5 and returns the resource to store: the client's members with the
// read-only ones replaced by what the server derives ($id, meta:altId, meta:resourceType, meta:extends, meta:class, refs, …). Version,
// organisation, sandbox and times are the caller's. The error is a *weir.Error that lists all faults.
func Prepare(w Write) (json.RawMessage, error) {
	tree, err := decodeObject(w.Body)
	if err != nil {
		return nil, err
	}
	extends, _ := tree["meta:extends"].([]any)
	maps.DeleteFunc(tree, func(k string, _ any) bool { return readOnly[k] })
	p := &preparation{Write: w, tree: tree, root: "_" + w.Tenant}
	p.model = w.Type == Schemas && (slices.Contains(extends, any(AdHocV2)) || tree["meta:behaviorType"] != nil)
	p.shape()
	if err := p.err(); err != nil {
		return nil, err
	}
	switch w.Type {
	case Schemas:
		p.schema()
	case Classes:
		p.class()
	case FieldGroups:
		p.fieldGroup()
	}
	p.fields(tree, nil, true)
	if w.Type != DataTypes {
		p.namespace()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	p.derive()
	raw := encode(tree)
	full, err := Compose(raw, p.resolveSelf(raw), nil)
	if err != nil {
		return nil, err
	}
	if full.Cycle != "" {
		return nil, &weir.Error{Code: codeRef, Message: "the reference " + full.Cycle + " leads back to itself outside arrays and maps"}
	}
	if _, err := Columns(full); err != nil {
		return nil, err
	}
	return raw, nil
}

// preparation is the state of one check.
type preparation struct {
	Write
	findings

	tree  map[string]any
	root  string // the tenant's root field
	model bool   // a model-based schema, which has no class and free names

	classID string // of a schema
	inherit []any  // what the class extends
	groups  []any  // field groups of a schema, in order
	others  []any  // other absolute references of allOf
	adHoc   bool   // an ad hoc class
}

// resolveSelf lets a resource refer to itself by $id.
func (p *preparation) resolveSelf(raw json.RawMessage) Resolver {
	return func(id string) (json.RawMessage, bool) {
		if id == p.ID || id == AltID(p.ID) {
			return raw, true
		}
		if p.Resolve == nil {
			return nil, false
		}
		return p.Resolve(id)
	}
}

// shape checks the JSON types of the members that rules look at.
func (p *preparation) shape() {
	t := p.tree
	if s, ok := t["title"].(string); !ok || strings.TrimSpace(s) == "" {
		p.add(codeTitle, "/title", "the title is missing; every resource needs a non-empty text")
	}
	for _, key := range []string{"description", "type", "$schema", "meta:status", "meta:behaviorType"} {
		if v, has := t[key]; has {
			if _, ok := v.(string); !ok {
				p.add(codeBody, pointer(key), "must be text, it is "+jsonKind(v))
			}
		}
	}
	for _, key := range []string{"properties", "definitions", "items"} {
		if v, has := t[key]; has {
			if _, ok := v.(map[string]any); !ok {
				p.add(codeBody, pointer(key), "must be an object, it is "+jsonKind(v))
			}
		}
	}
	for _, key := range []string{"meta:intendedToExtend", "meta:immutableTags", "required", "meta:tags"} {
		p.texts(key)
	}
	p.allOf(t["allOf"])
	if _, has := t["type"]; !has {
		if p.Type != Schemas {
			p.add(codeBody, "/type", "the type is missing; a "+singular[p.Type]+" needs one, usually \"object\"")
		}
		t["type"] = "object"
	}
	if t["type"] != "object" && p.Type != DataTypes {
		p.add(codeBody, "/type", "must be \"object\"")
	}
}

var singular = map[string]string{Schemas: "schema", Classes: "class", FieldGroups: "field group", DataTypes: "data type"}

func (p *preparation) texts(key string) {
	v, has := p.tree[key]
	if !has {
		return
	}
	list, ok := v.([]any)
	if !ok {
		p.add(codeBody, pointer(key), "must be a list of texts, it is "+jsonKind(v))
	}
	for i, e := range list {
		if _, ok := e.(string); !ok {
			p.add(codeBody, pointer(key, strconv.Itoa(i)), "must be text, it is "+jsonKind(e))
		}
	}
}

func (p *preparation) allOf(v any) {
	if v == nil {
		return
	}
	list, ok := v.([]any)
	if !ok {
		p.add(codeBody, "/allOf", "must be a list, it is "+jsonKind(v))
	}
	for i, m := range list {
		o, ok := m.(map[string]any)
		if !ok {
			p.add(codeBody, pointer("allOf", strconv.Itoa(i)), "must be an object, it is "+jsonKind(m))
			continue
		}
		if ref, has := o["$ref"]; has {
			if s, ok := ref.(string); !ok || s == "" {
				p.add(codeBody, pointer("allOf", strconv.Itoa(i), "$ref"), "must be text, it is "+jsonKind(ref))
			}
		}
	}
}

// components calls fn for every allOf member that refers to another resource as a whole.
func (p *preparation) components(fn func(at, id string, target map[string]any)) {
	list, _ := p.tree["allOf"].([]any)
	for i, m := range list {
		o, _ := m.(map[string]any)
		ref, _ := o["$ref"].(string)
		ref = strings.TrimSpace(ref)
		if ref == "" || strings.HasPrefix(ref, "#") {
			continue
		}
		at := pointer("allOf", strconv.Itoa(i), "$ref")
		id, frag, _ := strings.Cut(ref, "#")
		target, ok := p.target(id)
		switch {
		case !ok:
			p.add(codeRef, at, "the referenced component "+id+" does not exist")
		case frag == "":
			if own, _ := target["$id"].(string); own != "" && own != id {
				o["$ref"], id = own, own // references by meta:altId are kept as $id
			}
			fn(at, id, target)
		}
	}
}

func (p *preparation) target(id string) (map[string]any, bool) {
	if d := library().byID[id]; d != nil {
		return d.tree, true
	}
	if p.Resolve == nil {
		return nil, false
	}
	raw, ok := p.Resolve(id)
	if !ok {
		return nil, false
	}
	tree, err := decodeObject(raw)
	return tree, err == nil
}

// KindOf tells the resource type of a document (§6.1): meta:resourceType if it says, else by what it extends.
func KindOf(raw json.RawMessage) string {
	tree, err := decodeObject(raw)
	if err != nil {
		return ""
	}
	return kindOf(tree)
}

func kindOf(tree map[string]any) string {
	if t, ok := tree["meta:resourceType"].(string); ok {
		return t
	}
	id, _ := tree["$id"].(string)
	extends, _ := tree["meta:extends"].([]any)
	behaves := slices.ContainsFunc(extends, func(e any) bool { return e == Record || e == TimeSeries || e == AdHoc })
	_, fits := tree["meta:intendedToExtend"]
	_, class := tree["meta:class"]
	switch {
	case id == Record || id == TimeSeries || id == AdHoc:
		return Behaviors
	case class:
		return Schemas
	case behaves:
		return Classes
	case fits:
		return FieldGroups
	}
	return DataTypes
}

func (p *preparation) schema() {
	classes := 0
	var pending []func()
	p.components(func(at, id string, target map[string]any) {
		switch kindOf(target) {
		case Classes:
			classes++
			p.classID = id
			p.inherit, _ = target["meta:extends"].([]any)
		case FieldGroups:
			p.groups = append(p.groups, id)
			pending = append(pending, func() { p.fits(at, id, target) })
		case Schemas, Unions:
			p.add(codeComposition, at, "a schema cannot contain the schema "+id+"; refer to a class and to field groups")
		case DataTypes:
			p.others = append(p.others, id)
			if !IsGlobal(id) {
				p.add(codeComposition, at, "the data type "+id+" cannot stand in allOf of a schema; use it for a field")
			}
		default:
			p.others = append(p.others, id)
		}
	})
	if len(p.list) > 0 {
		return
	}
	switch {
	case p.model && classes > 0:
		p.add(codeComposition, "/allOf", "a model-based schema has no class")
	case p.model:
		if b, has := p.tree["meta:behaviorType"]; has && b != "record" && b != "time-series" {
			p.add(codeComposition, "/meta:behaviorType", `must be "record" or "time-series"`)
		}
	case classes != 1:
		p.add(codeComposition, "/allOf", fmt.Sprintf("a schema needs exactly one class in allOf, found %d", classes))
	}
	for _, check := range pending {
		check()
	}
}

// fits checks that a field group may extend the schema's class.
func (p *preparation) fits(at, id string, group map[string]any) {
	intended, _ := group["meta:intendedToExtend"].([]any)
	if len(intended) == 0 || p.model || slices.Contains(intended, any(p.classID)) {
		return
	}
	for _, base := range p.inherit {
		if slices.Contains(intended, base) {
			return
		}
	}
	p.add(codeComposition, at, "the field group "+id+" is not intended for the class "+p.classID)
}

func (p *preparation) class() {
	behaviours := 0
	p.components(func(at, id string, target map[string]any) {
		switch kindOf(target) {
		case Behaviors:
			behaviours++
			p.inherit = append([]any{id}, p.inherit...)
			p.adHoc = p.adHoc || id == AdHoc
		case Classes, Schemas, Unions:
			p.add(codeComposition, at, "a class cannot extend the "+strings.TrimSuffix(kindOf(target), "s")+" "+id+"; refer to a behaviour")
		default:
			p.inherit = append(p.inherit, id)
		}
	})
	if behaviours != 1 && len(p.list) == 0 {
		p.add(codeComposition, "/allOf", fmt.Sprintf("a class needs exactly one behaviour in allOf (%s, %s or %s), found %d", Record, TimeSeries, AdHoc, behaviours))
	}
	if props, ok := p.tree["properties"].(map[string]any); ok && p.adHoc {
		if own, has := props["_adhoc"]; has {
			delete(props, "_adhoc")
			props[p.dataset()] = own
		}
		p.root = p.dataset()
		p.tree["meta:datasetNamespace"] = p.root
	}
}

// dataset is the root field of an ad hoc class.
func (p *preparation) dataset() string { return "_" + p.ID[strings.LastIndexByte(p.ID, '/')+1:] }

func (p *preparation) fieldGroup() {
	if _, has := p.tree["meta:intendedToExtend"]; !has {
		p.add(codeComposition, "/meta:intendedToExtend", "the list of classes that the field group extends is missing; an empty list means every class")
	}
	p.components(func(at, id string, target map[string]any) {
		switch k := kindOf(target); k {
		case Classes, Schemas, Unions, Behaviors:
			p.add(codeComposition, at, "a field group cannot contain the "+strings.TrimSuffix(k, "s")+" "+id)
		default:
			p.others = append(p.others, id)
		}
	})
}

// namespace checks that fields of the resource's own are under the tenant's root.
func (p *preparation) namespace() {
	if p.model {
		return
	}
	seen := map[string]bool{}
	for _, f := range p.ownRoots(p.tree, nil, 0) {
		if f.name == p.root || seen[f.name] || f.converted {
			continue
		}
		seen[f.name] = true
		p.add(namespaceCodes[p.Type], f.at, "the field "+f.name+" must be under "+p.root+", the root of the organisation's own fields")
	}
}

type rootField struct {
	name, at  string
	converted bool
}

// ownRoots lists the root fields that the document itself defines: properties, and local definitions that allOf pulls in.
func (p *preparation) ownRoots(node map[string]any, at []string, depth int) (out []rootField) {
	if depth > 8 {
		return nil
	}
	props, _ := node["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		out = append(out, rootField{name: name, at: pointer(append(slices.Clip(at), "properties", name)...)})
	}
	all, _ := node["allOf"].([]any)
	for i, m := range all {
		o, ok := m.(map[string]any)
		if !ok {
			continue
		}
		here := append(slices.Clip(at), "allOf", strconv.Itoa(i))
		ref, _ := o["$ref"].(string)
		if frag, local := strings.CutPrefix(strings.TrimSpace(ref), "#"); local {
			if target, ok := fragment(p.tree, frag); ok {
				out = append(out, p.ownRoots(target, strings.Split(strings.Trim(frag, "/"), "/"), depth+1)...)
			} else {
				p.add(codeRef, pointer(append(here, "$ref")...), "the reference "+ref+" points at nothing")
			}
		}
		out = append(out, p.ownRoots(o, here, depth+1)...)
	}
	return out
}

// customName is what a custom field may be called.
var customName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// fields checks names, types and constraints of every field that the document defines. root is false below a field.
func (p *preparation) fields(node map[string]any, at []string, root bool) {
	if len(at) > 4*maxDepth {
		return
	}
	props, _ := node["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		here := append(slices.Clip(at), "properties", name)
		f, ok := props[name].(map[string]any)
		if !ok {
			p.add(codeField, pointer(here...), "the field "+name+" must be an object, it is "+jsonKind(props[name]))
			continue
		}
		p.name(name, f, here, root)
		p.field(f, here)
	}
	defs, _ := node["definitions"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(defs)) {
		here := append(slices.Clip(at), "definitions", name)
		if d, ok := defs[name].(map[string]any); ok {
			p.fields(d, here, root)
		} else {
			p.add(codeField, pointer(here...), "the definition "+name+" must be an object, it is "+jsonKind(defs[name]))
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if f, ok := node[key].(map[string]any); ok {
			p.field(f, append(slices.Clip(at), key))
		}
	}
	all, _ := node["allOf"].([]any)
	for i, m := range all {
		if f, ok := m.(map[string]any); ok {
			p.fields(f, append(slices.Clip(at), "allOf", strconv.Itoa(i)), root)
		}
	}
}

func (p *preparation) name(name string, f map[string]any, at []string, root bool) {
	if len(served(name)) > 1 || strings.HasPrefix(name, "xdm:") || strings.HasPrefix(name, "@") || f["meta:xedConverted"] == true || f["meta:xdmField"] != nil {
		return // a name of the library, as exports and raw answers have them
	}
	switch {
	case !customName.MatchString(name):
		p.add(codeField, pointer(at...), fmt.Sprintf("the field name %q may only hold letters, digits, - and _", name))
	case name[0] == '_' && name != p.root && !p.model:
		if root && p.Type != DataTypes {
			return // the namespace rule speaks there
		}
		p.add(codeField, pointer(at...), fmt.Sprintf("the field name %q must not begin with _", name))
	}
}

var jsonTypes = map[string]bool{"string": true, "number": true, "integer": true, "boolean": true, "object": true, "array": true}

// field checks the keywords of one field and what is below it.
func (p *preparation) field(f map[string]any, at []string) {
	bad := func(key, format string, args ...any) {
		p.add(codeField, pointer(append(slices.Clip(at), key)...), fmt.Sprintf(format, args...))
	}
	if v, has := f["type"]; has {
		if s, ok := v.(string); !ok || !jsonTypes[s] {
			bad("type", "must be one of string, number, integer, boolean, object and array")
		}
	}
	if v, has := f["$ref"]; has {
		p.reference(v, bad)
	}
	p.texture(f, bad)
	p.limits(f, bad)
	if f["type"] == "array" {
		if _, ok := f["items"].(map[string]any); !ok && f["$ref"] == nil {
			bad("items", "an array needs items")
		}
	}
	p.fields(f, at, false)
}

// reference checks the $ref of a field.
func (p *preparation) reference(v any, bad complain) {
	s, ok := v.(string)
	if !ok || s == "" {
		bad("$ref", "must be text, it is %s", jsonKind(v))
		return
	}
	id, _, _ := strings.Cut(strings.TrimSpace(s), "#")
	if id == "" || id == p.ID {
		return
	}
	target, ok := p.target(id)
	if !ok {
		bad("$ref", "the referenced component %s does not exist", id)
	} else if k := kindOf(target); k != DataTypes && k != FieldGroups {
		bad("$ref", "%s is no data type", id)
	}
}

// complain notes a fault of one keyword of a field.
type complain func(key, format string, args ...any)

// texture checks keywords that are texts or lists.
func (p *preparation) texture(f map[string]any, bad complain) {
	if v, has := f["pattern"]; has {
		if s, ok := v.(string); !ok {
			bad("pattern", "must be text, it is %s", jsonKind(v))
		} else if _, err := regexp.Compile(s); err != nil {
			bad("pattern", "%q cannot be used: look-around and back references are not supported", s)
		}
	}
	if v, has := f["enum"]; has {
		if list, ok := v.([]any); !ok || len(list) == 0 {
			bad("enum", "must be a list of at least one value")
		}
	}
	for _, key := range []string{"title", "description", "format", "meta:xdmType"} {
		if v, has := f[key]; has {
			if _, ok := v.(string); !ok {
				bad(key, "must be text, it is %s", jsonKind(v))
			}
		}
	}
}

// limits checks bounds and lengths.
func (p *preparation) limits(f map[string]any, bad complain) {
	for _, pair := range [][2]string{{"minimum", "maximum"}, {"minLength", "maxLength"}, {"minItems", "maxItems"}} {
		for _, key := range pair {
			v, has := f[key]
			if _, ok := v.(json.Number); has && !ok {
				bad(key, "must be a number, it is %s", jsonKind(v))
			} else if n := number(v); key != "minimum" && key != "maximum" && has && (n == nil || *n < 0 || *n != float64(int64(*n))) {
				bad(key, "must be a whole number from 0")
			}
		}
		if lo, hi := number(f[pair[0]]), number(f[pair[1]]); lo != nil && hi != nil && *lo > *hi {
			bad(pair[1], "is below %s", pair[0])
		}
	}
}

// derive adds the members the server sets.
func (p *preparation) derive() {
	t := p.tree
	t["$id"], t["meta:altId"], t["meta:resourceType"] = p.ID, AltID(p.ID), p.Type
	t["meta:tenantNamespace"] = "_" + p.Tenant
	t["meta:containerId"] = "tenant"
	t["meta:extensible"], t["meta:abstract"] = p.Type != Schemas, p.Type != Schemas
	if typ, _ := t["type"].(string); typ != "" {
		t["meta:xdmType"] = typ
	}
	list, _ := t["allOf"].([]any)
	for _, m := range list {
		if o, ok := m.(map[string]any); ok {
			o["type"], o["meta:xdmType"] = "object", "object"
			delete(o, "items")
		}
	}
	annotate(t)
	t["refs"] = references(t)
	switch {
	case p.model:
		t["meta:extends"] = []any{AdHocV2}
		if t["meta:behaviorType"] == nil {
			t["meta:behaviorType"] = "record"
		}
	case p.Type == Schemas:
		t["meta:class"] = p.classID
		t["meta:extends"] = distinct([]any{p.classID}, p.inherit, p.others, p.groups)
	case p.Type == Classes:
		t["meta:extends"] = distinct(p.inherit)
	case p.Type == FieldGroups && len(p.others) > 0:
		t["meta:extends"] = distinct(p.others)
	}
}

func distinct(lists ...[]any) []any {
	out := []any{}
	for _, l := range lists {
		for _, v := range l {
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// references lists the absolute $refs of a document, sorted.
func references(tree map[string]any) []any {
	found := map[string]bool{}
	note := func(n map[string]any) {
		if ref, ok := n["$ref"].(string); ok {
			if ref = strings.TrimSpace(ref); ref != "" && ref[0] != '#' {
				found[ref] = true
			}
		}
	}
	walkSchemas(tree, note)
	return anySlice(slices.Sorted(maps.Keys(found)))
}

// References are the $ids that a raw resource refers to, without fragments, sorted.
func References(raw json.RawMessage) []string {
	tree, err := decodeObject(raw)
	if err != nil {
		return nil
	}
	var out []string
	for _, ref := range references(tree) {
		id, _, _ := strings.Cut(ref.(string), "#")
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
