package xdm

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"weir"
)

// CSVSchema is a schema described by a table of fields (§1.10, csv2schema).
type CSVSchema struct {
	Class, Title, Description string
	Tenant                    string
	// NewID makes the $id of a new resource of a type.
	NewID   func(resourceType string) string
	Resolve Resolver
}

// csvColumns are the columns of the table. Only fieldPath is needed; unknown columns are an error.
var csvColumns = []string{
	"isIgnored", "isCustom", "fieldGroupId", "fieldGroupName", "fieldPath", "displayName", "fieldDescription", "dataType", "isRequired", "isArray",
	"isIdentity", "identityNamespace", "isPrimaryIdentity", "minimum", "maximum", "enum", "stringPattern", "format", "minLength", "maxLength",
	"properties", "$ref", "comment",
}

// maxCSVRows bounds a table: a schema may have 10,000 fields.
const maxCSVRows = 10_000

// FromCSV reads the table and returns what an import takes: custom field groups, then the schema, then its descriptors. The resources
// carry [TenantPlaceholder]. The error is a *weir.Error that names all faulty lines.
func (s CSVSchema) FromCSV(r io.Reader) ([]json.RawMessage, error) {
	b := &csvBuild{CSVSchema: s, root: "_" + TenantPlaceholder, custom: map[string]map[string]any{}}
	if strings.TrimSpace(s.Title) == "" {
		b.add(codeCSV, "", "schema-name is missing")
	}
	class := library().byID[s.Class]
	if class == nil && s.Resolve != nil {
		if raw, ok := s.Resolve(s.Class); ok {
			if tree, err := decodeObject(raw); err == nil {
				class = &document{id: s.Class, tree: tree}
			}
		}
	}
	if class == nil || kindOf(class.tree) != Classes {
		b.add(codeCSV, "", fmt.Sprintf("schema-class-id %q is not the id of a class", s.Class))
	} else {
		b.Class = class.id
	}
	b.read(r)
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.result()
}

type csvBuild struct {
	CSVSchema
	findings

	root        string
	groups      []string // standard field groups, in order
	order       []string // custom field groups, in order
	custom      map[string]map[string]any
	descriptors []map[string]any
}

func (b *csvBuild) read(r io.Reader) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	c.TrimLeadingSpace = true
	head, err := c.Read()
	if err != nil {
		b.add(codeCSV, "", "csv-file has no header line")
		return
	}
	for i, name := range head {
		head[i] = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		if head[i] != "" && !slices.Contains(csvColumns, head[i]) {
			b.add(codeCSV, "", fmt.Sprintf("the column %q is not known; columns are %s", head[i], strings.Join(csvColumns, ", ")))
		}
	}
	if !slices.Contains(head, "fieldPath") {
		b.add(codeCSV, "", "the column fieldPath is missing")
	}
	if len(b.list) > 0 {
		return
	}
	for rows := 0; ; rows++ {
		values, err := c.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			b.add(codeCSV, "", "csv-file is not readable: "+err.Error())
			return
		}
		line, _ := c.FieldPos(0)
		if rows == maxCSVRows {
			b.add(codeCSV, "", fmt.Sprintf("csv-file has more than %d rows", maxCSVRows))
			return
		}
		row := csvRow{line: line, values: map[string]string{}}
		for i, v := range values {
			if v = strings.TrimSpace(v); i < len(head) && v != "" {
				row.values[head[i]] = v
			}
		}
		if len(row.values) > 0 && !row.is("isIgnored") {
			b.row(row)
		}
	}
}

type csvRow struct {
	line   int
	values map[string]string
}

func (r csvRow) is(name string) bool { return strings.EqualFold(r.values[name], "true") }

func (b *csvBuild) fault(r csvRow, format string, args ...any) {
	b.add(codeCSV, fmt.Sprintf("/line/%d", r.line), fmt.Sprintf("line %d: ", r.line)+fmt.Sprintf(format, args...))
}

// row takes one field: of a standard field group, which must have it, or of a custom one, which gets it.
func (b *csvBuild) row(r csvRow) {
	var path []string
	for name := range strings.SplitSeq(r.values["fieldPath"], ".") {
		path = append(path, strings.TrimSpace(name))
	}
	if r.values["fieldPath"] == "" || slices.Contains(path, "") {
		b.fault(r, "fieldPath %q must be a path such as person.name.firstName", r.values["fieldPath"])
		return
	}
	if r.is("isCustom") || r.values["fieldGroupId"] == "" {
		if path[0] == b.root || path[0] == "_"+b.Tenant || path[0] == "_{TENANT_ID}" {
			path = path[1:]
		}
		if path = append([]string{b.root}, path...); !b.customField(r, path) {
			return
		}
	} else if !b.standardField(r, path) {
		return
	}
	b.identity(r, path)
}

func (b *csvBuild) standardField(r csvRow, path []string) bool {
	id := r.values["fieldGroupId"]
	raw, ok := Global(id)
	if !ok && b.Resolve != nil {
		raw, ok = b.Resolve(id)
	}
	if !ok || KindOf(raw) != FieldGroups {
		b.fault(r, "fieldGroupId %q is not the id of a field group", id)
		return false
	}
	full, err := Compose(raw, b.Resolve, nil)
	if err != nil {
		b.fault(r, "the field group %s cannot be read: %v", id, err)
		return false
	}
	if !slices.Contains(b.groups, full.ID) {
		b.groups = append(b.groups, full.ID)
	}
	if len(path) == 1 && path[0] == "ALL" {
		return true
	}
	if full.root.lookup(path) == nil {
		b.fault(r, "the field group %s has no field %s", full.ID, strings.Join(path, "."))
		return false
	}
	return true
}

// customField adds the field to its group, with the objects on the way.
func (b *csvBuild) customField(r csvRow, path []string) bool {
	node, ok := b.field(r)
	if !ok {
		return false
	}
	name := r.values["fieldGroupName"]
	if name == "" {
		name = b.Title + " fields"
	}
	props := b.custom[name]
	if props == nil {
		props = map[string]any{}
		b.custom[name] = props
		b.order = append(b.order, name)
	}
	parent := map[string]any{}
	for i, part := range path {
		if part != b.root && !customName.MatchString(part) || i > 0 && part[0] == '_' {
			b.fault(r, "the field name %q may hold letters, digits, - and _, and must not begin with _", part)
			return false
		}
		if i == len(path)-1 {
			if _, twice := props[part]; twice {
				b.fault(r, "the field %s is there twice", strings.Join(path[1:], "."))
				return false
			}
			props[part] = node
			if r.is("isRequired") && i > 0 {
				list, _ := parent["required"].([]any)
				parent["required"] = append(list, part)
			}
			return true
		}
		next, ok := props[part].(map[string]any)
		if !ok {
			next = map[string]any{"type": "object", "properties": map[string]any{}}
			props[part] = next
		}
		parent = next
		if items, list := next["items"].(map[string]any); list {
			parent = items
		}
		inner, ok := parent["properties"].(map[string]any)
		if !ok {
			if parent["type"] != "object" {
				b.fault(r, "%s is no object, it cannot hold %s", strings.Join(path[1:i+1], "."), path[i+1])
				return false
			}
			inner = map[string]any{}
			parent["properties"] = inner
		}
		props = inner
	}
	return true
}

// csvTypes are the values of dataType.
var csvTypes = map[string]map[string]any{
	"string": {"type": "string"}, "number": {"type": "number"}, "double": {"type": "number"}, "boolean": {"type": "boolean"}, "object": {"type": "object"},
	"integer": {"type": "integer"}, "int": {"type": "integer"}, "date": {"type": "string", "format": "date"},
	"date-time": {"type": "string", "format": "date-time"}, "datetime": {"type": "string", "format": "date-time"},
	"byte":  {"type": "integer", "minimum": json.Number("-128"), "maximum": json.Number("127")},
	"short": {"type": "integer", "minimum": json.Number("-32768"), "maximum": json.Number("32767")},
	"long":  {"type": "integer", "minimum": json.Number("-9007199254740991"), "maximum": json.Number("9007199254740991")},
	"map":   {"type": "object", "additionalProperties": map[string]any{"type": "string"}},
}

// field makes the JSON Schema of a custom field.
func (b *csvBuild) field(r csvRow) (map[string]any, bool) {
	kind := strings.ToLower(r.values["dataType"])
	if kind == "" {
		kind = "string"
	}
	core, known := csvTypes[kind]
	node := maps.Clone(core)
	switch ref := r.values["$ref"]; {
	case ref != "":
		node = map[string]any{"$ref": ref, "type": "object"}
	case !known:
		b.fault(r, "dataType %q is not known; it is one of %s", r.values["dataType"], strings.Join(slices.Sorted(maps.Keys(csvTypes)), ", "))
		return nil, false
	}
	faults := len(b.list)
	for column, key := range map[string]string{"minimum": "minimum", "maximum": "maximum", "minLength": "minLength", "maxLength": "maxLength"} {
		if text := r.values[column]; text != "" {
			n := json.Number(text)
			if _, err := n.Float64(); err != nil {
				b.fault(r, "%s %q is not a number", column, text)
			}
			node[key] = n
		}
	}
	for column, key := range map[string]string{"stringPattern": "pattern", "format": "format"} {
		if text := r.values[column]; text != "" {
			node[key] = text
		}
	}
	if text := r.values["enum"]; text != "" {
		node["enum"] = csvList(text)
	}
	if text := r.values["properties"]; text != "" {
		props, err := decodeObject([]byte(text))
		if err != nil {
			b.fault(r, "properties must be a JSON object of fields: %v", err)
		}
		node["properties"] = props
	}
	title, about := r.values["displayName"], r.values["fieldDescription"]
	if r.is("isArray") {
		node = map[string]any{"type": "array", "items": node}
	}
	if title != "" {
		node["title"] = title
	}
	if about != "" {
		node["description"] = about
	}
	return node, len(b.list) == faults
}

// csvList reads a JSON list, or values between commas or semicolons.
func csvList(text string) []any {
	var list []any
	if json.Unmarshal([]byte(text), &list) == nil {
		return list
	}
	for v := range strings.FieldsFuncSeq(strings.Trim(text, "[]"), func(r rune) bool { return r == ',' || r == ';' }) {
		if v = strings.Trim(strings.TrimSpace(v), `"'`); v != "" {
			list = append(list, v)
		}
	}
	return list
}

func (b *csvBuild) identity(r csvRow, path []string) {
	if !r.is("isIdentity") && !r.is("isPrimaryIdentity") {
		return
	}
	if r.values["identityNamespace"] == "" {
		b.fault(r, "an identity needs an identityNamespace")
	}
	b.descriptors = append(b.descriptors, map[string]any{
		"@type": DescriptorIdentity, "meta:resourceType": "descriptors", "xdm:sourceVersion": json.Number("1"), "xdm:sourceProperty": "/" + strings.Join(path, "/"),
		"xdm:namespace": r.values["identityNamespace"], "xdm:property": "xdm:code", "xdm:isPrimary": r.is("isPrimaryIdentity"),
	})
}

// result puts the resources together.
func (b *csvBuild) result() ([]json.RawMessage, error) {
	all := []any{map[string]any{"$ref": b.Class}}
	for _, id := range b.groups {
		all = append(all, map[string]any{"$ref": id})
	}
	var out []json.RawMessage
	for _, name := range b.order {
		id := b.NewID(FieldGroups)
		out = append(out, encode(portable(map[string]any{
			"$id": id, "meta:altId": AltID(id), "meta:resourceType": FieldGroups, "title": name, "type": "object", "meta:intendedToExtend": []any{b.Class},
			"definitions": map[string]any{"customFields": map[string]any{"type": "object", "properties": b.custom[name]}},
			"allOf":       []any{map[string]any{"$ref": "#/definitions/customFields"}},
		}, b.Tenant)))
		all = append(all, map[string]any{"$ref": id})
	}
	id := b.NewID(Schemas)
	schema := map[string]any{"$id": id, "meta:altId": AltID(id), "meta:resourceType": Schemas, "title": b.Title, "type": "object", "allOf": all}
	if b.Description != "" {
		schema["description"] = b.Description
	}
	out = append(out, encode(portable(schema, b.Tenant)))
	for _, d := range b.descriptors {
		d["xdm:sourceSchema"] = id
		out = append(out, encode(portable(d, b.Tenant)))
	}
	if len(out) == 0 {
		return nil, &weir.Error{Code: codeCSV, Message: "csv-file describes no field"}
	}
	return out, nil
}
