package mapping

import (
	"encoding/json"
	"errors"
	"strings"

	"weir"
	"weir/record"
)

// SourceType says what a mapping's source is.
type SourceType uint8

// Source types.
const (
	Attribute SourceType = iota
	Expression
	Static
)

var sourceNames = [...]string{"ATTRIBUTE", "EXPRESSION", "STATIC"}

// storedNames are the spellings of stored sets (data-prep §2.2).
var storedNames = [...]string{"text/x.schema-path", "text/x.aep-xl", "text/plain"}

// String is ATTRIBUTE, EXPRESSION or STATIC.
func (t SourceType) String() string { return sourceNames[t] }

// Stored is the spelling that a stored set has.
func (t SourceType) Stored() string { return storedNames[t] }

// ParseSourceType reads both spellings; "" is ATTRIBUTE.
func ParseSourceType(s string) (SourceType, bool) {
	for i := range sourceNames {
		if s == sourceNames[i] || s == storedNames[i] || s == "" {
			return SourceType(i), true
		}
	}
	return Attribute, false
}

// Mapping is one rule.
type Mapping struct {
	SourceType  SourceType
	Source      string
	Destination string
	// ID is the id of a stored mapping, "" if the document has none.
	ID string
	// Primary is primaryIdentity.
	Primary bool
	// Members are all members as sent, in order.
	Members []record.RawMember
	// faults are what is wrong with the members themselves.
	faults []weir.Finding
}

// Set is a mapping set: pure document logic, without a store.
type Set struct {
	Mappings []Mapping
	// SchemaID and SchemaType name the target: outputSchema.schemaRef, schemaRef, or xdmSchema and xdmVersion of the older form.
	SchemaID, SchemaType string
	// AllowNulls writes null results as null; Strict makes unknown source attributes errors.
	AllowNulls, Strict bool
	// InputSchema is inputSchema as sent, nil if absent.
	InputSchema json.RawMessage
	// Members are all members as sent, in order.
	Members []record.RawMember
}

// MaxMappings is how many mappings a set may have.
const MaxMappings = 5000

// ParseSet reads a mapping set in either form: outputSchema with source and destination, or the older xdmSchema with sourceAttribute and
// destinationXdmPath. The error is a *weir.Error 3000 when it is no mapping set; what is wrong with single mappings is left to [Set.Validate].
func ParseSet(body []byte) (*Set, error) {
	members, err := record.ParseMembers(body)
	if err != nil {
		return nil, &weir.Error{Code: CodeBody, Message: "the body is no mapping set: " + err.Error(), Err: err}
	}
	s := &Set{Members: members}
	var raw json.RawMessage
	for _, m := range members {
		switch m.Name {
		case "mappings":
			raw = m.Raw
		case "allowNullValues":
			s.AllowNulls = isTrue(m.Raw)
		case "strictMapping":
			s.Strict = isTrue(m.Raw)
		case "inputSchema":
			if string(m.Raw) != "null" {
				s.InputSchema = m.Raw
			}
		}
	}
	s.target()
	items, err := record.Parse(raw)
	if raw == nil || err != nil || items.Kind() != record.KindArray {
		return nil, &weir.Error{Code: CodeBody, Message: "the body is no mapping set: mappings must be an array of mappings", Pointer: "/mappings"}
	}
	if n := len(items.Items()); n > MaxMappings {
		return nil, weir.Errorf(CodeBody, "the set has %d mappings; at most %d are allowed", n, MaxMappings)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, &weir.Error{Code: CodeBody, Message: "mappings cannot be read: " + err.Error(), Pointer: "/mappings", Err: err}
	}
	s.Mappings = make([]Mapping, 0, len(elements))
	for i, e := range elements {
		m, err := ParseMapping(e)
		if err != nil {
			if bad, ok := errors.AsType[*weir.Error](err); ok {
				bad.Pointer = "/mappings/" + itoa(i)
			}
			return nil, err
		}
		s.Mappings = append(s.Mappings, *m)
	}
	return s, nil
}

// target finds the name of the target schema.
func (s *Set) target() {
	type ref struct {
		ID   string `json:"id"`
		Type string `json:"contentType"`
	}
	var newer struct {
		SchemaRef *ref `json:"schemaRef"`
	}
	var top ref
	var xdm, xdmVersion string
	for _, m := range s.Members {
		switch m.Name {
		case "outputSchema":
			_ = json.Unmarshal(m.Raw, &newer) // a member of another type names no schema
		case "schemaRef":
			_ = json.Unmarshal(m.Raw, &top)
		case "xdmSchema":
			_ = json.Unmarshal(m.Raw, &xdm)
		case "xdmVersion":
			_ = json.Unmarshal(m.Raw, &xdmVersion)
		}
	}
	switch {
	case newer.SchemaRef != nil && newer.SchemaRef.ID != "":
		s.SchemaID, s.SchemaType = newer.SchemaRef.ID, newer.SchemaRef.Type
	case top.ID != "":
		s.SchemaID, s.SchemaType = top.ID, top.Type
	default:
		s.SchemaID, s.SchemaType = xdm, xdmVersion
	}
}

// isTrue reads a boolean, also as text.
func isTrue(raw []byte) bool {
	var b weir.Bool
	return b.UnmarshalJSON(raw) == nil && b.Value
}

// ParseMapping reads one mapping with either spelling of its members.
func ParseMapping(body []byte) (*Mapping, error) {
	members, err := record.ParseMembers(body)
	if err != nil {
		return nil, &weir.Error{Code: CodeBody, Message: "a mapping must be an object: " + err.Error(), Err: err}
	}
	m := &Mapping{Members: members}
	var kind, source, older, dest, olderDest *string
	into := map[string]**string{
		"sourceType": &kind, "source": &source, "sourceAttribute": &older, "destination": &dest, "destinationXdmPath": &olderDest,
	}
	for _, f := range members {
		switch f.Name {
		case "id":
			_ = json.Unmarshal(f.Raw, &m.ID) // an id of another type is no id
		case "primaryIdentity":
			m.Primary = isTrue(f.Raw)
		}
		p, known := into[f.Name]
		if !known || string(f.Raw) == "null" {
			continue
		}
		var s string
		if err := json.Unmarshal(f.Raw, &s); err != nil {
			m.fault("/"+f.Name, "%s must be text", f.Name)
			continue
		}
		*p = &s
	}
	m.Source, m.Destination = either(source, older), either(dest, olderDest)
	if kind != nil {
		t, ok := ParseSourceType(*kind)
		m.SourceType = t
		if !ok {
			m.fault("/sourceType", "unknown source type %q; write ATTRIBUTE, EXPRESSION or STATIC", show(*kind))
		}
	}
	if m.Source == "" {
		m.fault("/source", "the source is empty")
	}
	if strings.TrimSpace(m.Destination) == "" {
		m.fault("/destination", "the destination is empty")
	}
	return m, nil
}

func (m *Mapping) fault(pointer, format string, args ...any) {
	e := weir.Errorf(CodeMapping, format, args...)
	m.faults = append(m.faults, weir.Finding{Code: CodeMapping, Pointer: pointer, Message: e.Message})
}

func either(a, b *string) string {
	if a != nil && *a != "" || b == nil {
		if a == nil {
			return ""
		}
		return *a
	}
	return *b
}
