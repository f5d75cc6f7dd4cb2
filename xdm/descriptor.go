package xdm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/record"
)

// Descriptor types (§1.7).
const (
	DescriptorIdentity          = "xdm:descriptorIdentity"
	DescriptorReferenceIdentity = "xdm:descriptorReferenceIdentity"
	DescriptorOneToOne          = "xdm:descriptorOneToOne"
	DescriptorRelationship      = "xdm:descriptorRelationship"
	DescriptorDisplayInfo       = "xdm:alternateDisplayInfo"
	DescriptorPrimaryKey        = "xdm:descriptorPrimaryKey"
	DescriptorVersion           = "xdm:descriptorVersion"
	DescriptorTimestamp         = "xdm:descriptorTimestamp"
	DescriptorDeprecated        = "xdm:descriptorDeprecated"
	DescriptorGranularity       = "xdm:descriptorTimeSeriesGranularity"
	DescriptorLabel             = "xdm:descriptorLabel"
)

// DescriptorSchema is a schema as descriptors see it.
type DescriptorSchema struct {
	Full *Full
	// Descriptors are the stored descriptors of the schema, without the one that is being replaced.
	Descriptors []json.RawMessage
	// Union says that the schema is enabled for Profile.
	Union bool
}

// descriptorRules say what each type needs besides xdm:sourceSchema.
var descriptorRules = map[string]func(d *descriptorCheck){
	DescriptorIdentity:          (*descriptorCheck).identity,
	DescriptorReferenceIdentity: func(d *descriptorCheck) { d.needProperty(); d.needText("xdm:identityNamespace") },
	DescriptorOneToOne:          (*descriptorCheck).oneToOne,
	DescriptorRelationship:      (*descriptorCheck).relationship,
	DescriptorDisplayInfo:       (*descriptorCheck).displayInfo,
	DescriptorPrimaryKey:        (*descriptorCheck).needProperty,
	DescriptorVersion:           (*descriptorCheck).needProperty,
	DescriptorTimestamp:         (*descriptorCheck).needProperty,
	DescriptorDeprecated:        (*descriptorCheck).needProperty,
	DescriptorGranularity:       func(d *descriptorCheck) { d.needText("xdm:granularity"); d.needText("xdm:ianaTimezone") },
	DescriptorLabel:             (*descriptorCheck).label,
}

type descriptorCheck struct {
	findings

	body   map[string]any
	source DescriptorSchema
	// find returns another schema.
	find func(id string) (DescriptorSchema, bool)
}

// SourceSchema reads xdm:sourceSchema of a descriptor body. The error is a *weir.Error.
func SourceSchema(body json.RawMessage) (string, error) {
	tree, err := decodeObject(body)
	if err != nil {
		return "", err
	}
	id, ok := tree["xdm:sourceSchema"].(string)
	if !ok || id == "" {
		return "", &weir.Error{Code: codeDescriptor, Pointer: "/xdm:sourceSchema", Message: "xdm:sourceSchema is missing; name the $id of the schema"}
	}
	return id, nil
}

// PrepareDescriptor checks a descriptor (§1.7) and returns it as it is stored: without members the server sets, xdm:sourceSchema as $id.
// find looks up the schemas that relationships point at. The error is a *weir.Error that lists all faults.
func PrepareDescriptor(body json.RawMessage, source DescriptorSchema, find func(id string) (DescriptorSchema, bool)) (json.RawMessage, error) {
	tree, err := decodeObject(body)
	if err != nil {
		return nil, err
	}
	for _, k := range []string{"@id", "imsOrg", "version", "meta:containerId", "meta:sandboxId", "meta:sandboxType", "meta:registryMetadata"} {
		delete(tree, k)
	}
	d := &descriptorCheck{body: tree, source: source, find: find}
	kind, _ := tree["@type"].(string)
	rule, known := descriptorRules[kind]
	if !known {
		return nil, &weir.Error{
			Code: codeDescriptor, Pointer: "/@type",
			Message: "@type must be one of " + strings.Join(slices.Sorted(maps.Keys(descriptorRules)), ", "),
		}
	}
	if v, has := tree["xdm:sourceVersion"]; has {
		if n := number(v); (n == nil || *n != 1) && v != "1" {
			d.add(codeDescriptor, "/xdm:sourceVersion", "the version of the source schema must be 1")
		}
	} else {
		tree["xdm:sourceVersion"] = json.Number("1")
	}
	if source.Full.ID != "" {
		tree["xdm:sourceSchema"] = source.Full.ID
	}
	d.paths()
	rule(d)
	if err := d.err(); err != nil {
		return nil, err
	}
	return encode(tree), nil
}

// paths checks every xdm:sourceProperty: its form, and that the schema has the field.
func (d *descriptorCheck) paths() {
	v, has := d.body["xdm:sourceProperty"]
	if !has {
		return
	}
	list := sourceProperties(d.body)
	if len(list) == 0 {
		d.add(codeDescriptor, "/xdm:sourceProperty", "must be a path, or a list of paths, it is "+jsonKind(v))
	}
	for _, p := range list {
		d.path(p)
	}
}

func (d *descriptorCheck) path(p string) {
	at := "/xdm:sourceProperty"
	switch {
	case !strings.HasPrefix(p, "/") || p == "/":
		d.add(codeDescriptor, at, fmt.Sprintf("the path %q must begin with / and name a field", p))
	case strings.HasSuffix(p, "/"):
		d.add(codeDescriptor, at, fmt.Sprintf("the path %q must not end with /", p))
	case strings.Contains(p, "//"):
		d.add(codeDescriptor, at, fmt.Sprintf("the path %q holds an empty name", p))
	default:
		path := descriptorPath(p)
		if d.source.Full.root.lookup(path) != nil {
			return
		}
		hint := ""
		if slices.Contains(path, "properties") || slices.Contains(path, "items") {
			hint = "; leave out the words properties and items"
		}
		d.add(codeDescriptor, at, fmt.Sprintf("the schema has no field %s%s", p, hint))
	}
}

func (d *descriptorCheck) needProperty() {
	if _, has := d.body["xdm:sourceProperty"]; !has {
		d.add(codeDescriptor, "/xdm:sourceProperty", "xdm:sourceProperty is missing; name the path of the field, such as /personalEmail/address")
	}
}

func (d *descriptorCheck) needText(key string) string {
	s, ok := d.body[key].(string)
	if !ok || s == "" {
		if n, isNumber := d.body[key].(json.Number); isNumber && key == "xdm:namespace" {
			return n.String() // a namespace may be given by its number
		}
		d.add(codeDescriptor, pointer(key), key+" is missing")
	}
	return s
}

func (d *descriptorCheck) identity() {
	d.needProperty()
	d.needText("xdm:namespace")
	switch d.body["xdm:property"] {
	case nil:
		d.body["xdm:property"] = "xdm:code"
	case "xdm:code", "xdm:id":
	default:
		d.add(codeDescriptor, "/xdm:property", "must be xdm:code or xdm:id")
	}
	if v, has := d.body["xdm:isPrimary"]; has {
		if _, ok := v.(bool); !ok {
			if s, text := v.(string); !text || !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
				d.add(codeDescriptor, "/xdm:isPrimary", "must be true or false")
			}
		}
	}
	for _, p := range sourceProperties(d.body) {
		if f := d.source.Full.root.lookup(descriptorPath(p)); f != nil && f.inside().xdm() != record.String {
			d.add(codeDescriptor, "/xdm:sourceProperty", fmt.Sprintf("an identity must be a text field, %s is %s", p, f.xdm()))
		}
	}
	if !isPrimary(d.body) {
		return
	}
	for _, other := range d.source.Descriptors {
		t, err := decodeObject(other)
		if err == nil && t["@type"] == DescriptorIdentity && isPrimary(t) {
			d.add(codeDescriptor, "/xdm:isPrimary", fmt.Sprintf("the schema already has the primary identity %v", t["xdm:sourceProperty"]))
		}
	}
}

// reference is the identity namespace of a reference identity on one of the descriptor's paths, "" if there is none.
func (d *descriptorCheck) reference() (string, bool) {
	for _, other := range d.source.Descriptors {
		t, err := decodeObject(other)
		if err != nil || t["@type"] != DescriptorReferenceIdentity {
			continue
		}
		for _, p := range sourceProperties(t) {
			if slices.Contains(sourceProperties(d.body), p) {
				ns, _ := t["xdm:identityNamespace"].(string)
				return ns, true
			}
		}
	}
	return "", false
}

// primary is the namespace of the schema's primary identity.
func (s DescriptorSchema) primary() (namespace string, ok bool) {
	for _, d := range s.Descriptors {
		t, err := decodeObject(d)
		if err == nil && t["@type"] == DescriptorIdentity && isPrimary(t) {
			namespace, _ = t["xdm:namespace"].(string)
			return namespace, true
		}
	}
	return "", false
}

// HasIdentity reports whether the schema names its subject: a primary identity, or an identity map among its fields. Profile needs that.
func (s DescriptorSchema) HasIdentity() bool {
	_, ok := s.primary()
	return ok || s.Full.root.props["identityMap"] != nil
}

// ProfileError says that a schema cannot be enabled for Profile (§1.11).
func ProfileError() error {
	return &weir.Error{
		Code: codeUnion, Pointer: "/meta:immutableTags",
		Message: "the schema has neither a primary identity nor an identityMap, so it cannot be enabled for Profile",
	}
}

func (d *descriptorCheck) destination() (DescriptorSchema, bool) {
	id := d.needText("xdm:destinationSchema")
	if id == "" {
		return DescriptorSchema{}, false
	}
	dest, ok := d.find(id)
	if !ok {
		d.add(codeDescriptor, "/xdm:destinationSchema", "the schema "+id+" does not exist")
		return dest, false
	}
	if v, has := d.body["xdm:destinationVersion"]; has {
		if n := number(v); (n == nil || *n != 1) && v != "1" {
			d.add(codeDescriptor, "/xdm:destinationVersion", "the version of the destination schema must be 1")
		}
	}
	if p, _ := d.body["xdm:destinationProperty"].(string); p != "" && dest.Full.root.lookup(descriptorPath(p)) == nil {
		d.add(codeDescriptor, "/xdm:destinationProperty", "the destination schema has no field "+p)
	}
	return dest, true
}

func (d *descriptorCheck) oneToOne() {
	d.needProperty()
	if _, has := d.body["xdm:destinationVersion"]; !has {
		d.add(codeDescriptor, "/xdm:destinationVersion", "xdm:destinationVersion is missing")
	}
	dest, ok := d.destination()
	if !ok || !d.source.Union || !dest.Union || len(d.list) > 0 {
		return
	}
	ns, found := d.reference()
	if !found {
		d.add(codeRefIdentity, "/xdm:sourceProperty",
			"both schemas are enabled for Profile, so the source field needs a "+DescriptorReferenceIdentity+" first")
		return
	}
	if want, has := dest.primary(); has && !strings.EqualFold(ns, want) {
		d.add(codeRefSpace, "/xdm:sourceProperty",
			fmt.Sprintf("the reference identity is in the namespace %s, the destination's primary identity in %s", ns, want))
	}
}

func (d *descriptorCheck) relationship() {
	d.needProperty()
	d.destination()
	switch d.body["xdm:cardinality"] {
	case "M:1", "1:1", "1:0", "M:0":
	default:
		d.add(codeDescriptor, "/xdm:cardinality", "must be one of M:1, 1:1, 1:0 and M:0")
	}
}

func (d *descriptorCheck) displayInfo() {
	d.needProperty()
	some := false
	for _, key := range []string{"xdm:title", "xdm:description", "xdm:note"} {
		v, has := d.body[key]
		if !has {
			continue
		}
		some = true
		if _, ok := v.(map[string]any); !ok {
			d.add(codeDescriptor, pointer(key), `must hold the text by language, such as {"en_us":"…"}`)
		}
	}
	for _, key := range []string{"meta:enum", "xdm:excludeMetaEnum", "meta:excludeMetaEnum"} {
		if _, has := d.body[key]; has {
			some = true
		}
	}
	if !some {
		d.add(codeDescriptor, "/xdm:title", "one of xdm:title, xdm:description, xdm:note and meta:enum is needed")
	}
}

func (d *descriptorCheck) label() {
	d.needProperty()
	list, _ := d.body["xdm:label"].([]any)
	if len(list) == 0 {
		list, _ = d.body["xdm:labels"].([]any)
	}
	if len(list) == 0 {
		d.add(codeDescriptor, "/xdm:label", "xdm:label must be a list of at least one label")
	}
}
