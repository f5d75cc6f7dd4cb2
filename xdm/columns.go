package xdm

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"weir"
	"weir/record"
)

// Columns turns a full schema into the columns of its table (§1.8): fields sorted by name, objects without members left out.
// Deprecated fields stay: they can still be ingested. The error is a *weir.Error that names the field.
func Columns(f *Full) (*record.Schema, error) {
	fields, err := columns(f.root, nil)
	if err != nil {
		return nil, err
	}
	return &record.Schema{ID: f.ID, Title: f.Title, Version: f.Version, Fields: fields}, nil
}

// FromJSONSchema reads an ordinary JSON Schema (draft-04 to 2020-12) or a full XDM schema as columns. Only what describes the shape
// and the constraints of values is read: type, properties, items, required, additionalProperties, $ref inside the document, allOf,
// format, pattern, enum, const and bounds. A type with null, or a choice between one schema and null, is the optional other type.
func FromJSONSchema(raw json.RawMessage) (*record.Schema, error) {
	tree, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	id, _ := tree["$id"].(string)
	c := newComposer(nil)
	c.plain = true
	root, err := c.field(&document{id: id, tree: tree}, tree, nil)
	if err != nil {
		return nil, err
	}
	if err := c.check(root); err != nil {
		return nil, err
	}
	if c.cycle != "" {
		return nil, &weir.Error{Code: codeRef, Message: "the reference " + c.cycle + " leads back to itself, so the schema has no columns"}
	}
	if root.xdm() == record.List && root.items != nil {
		root = root.items // a schema of a list of records describes its records
	}
	f := &Full{ID: id, root: root}
	f.Title, _ = tree["title"].(string)
	f.Version, _ = tree["version"].(string)
	return Columns(f)
}

func columns(n *node, at []string) ([]record.Field, error) {
	fields := make([]record.Field, 0, len(n.props))
	for _, name := range slices.Sorted(maps.Keys(n.props)) {
		f, err := column(n.props[name], name, append(slices.Clip(at), name))
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		_, f.Required = slices.BinarySearch(n.required, name)
		fields = append(fields, *f)
	}
	return fields, nil
}

// column makes one field; nil for an object, list or map without a leaf.
func column(n *node, name string, at []string) (*record.Field, error) {
	f := &record.Field{Name: name, Type: n.xdm(), Title: n.text("title")}
	var err error
	switch f.Type {
	case record.Struct:
		if f.Fields, err = columns(n, at); err != nil || len(f.Fields) == 0 {
			return nil, err
		}
		return f, nil
	case record.List:
		return element(f, n.items, "element", at)
	case record.Map:
		return element(f, n.values, "value", at)
	case record.Invalid:
		f.Type = record.String
	default:
	}
	f.Check, err = check(n, f.Type, at)
	return f, err
}

func element(f *record.Field, of *node, name string, at []string) (*record.Field, error) {
	if of == nil {
		return nil, nil
	}
	var err error
	if f.Elem, err = column(of, name, append(slices.Clip(at), "[]")); err != nil || f.Elem == nil {
		return nil, err
	}
	return f, nil
}

// check collects what constrains values of a leaf; nil for nothing. Keywords that do not fit the type are ignored.
func check(n *node, t record.Type, at []string) (*record.Check, error) {
	var c record.Check
	found := enumeration(&c, n)
	switch {
	case t == record.String:
		if p := n.text("pattern"); p != "" {
			re, err := regexp.Compile(p)
			if err != nil {
				return nil, &weir.Error{
					Code: codeField, Pointer: pointer(at...), Err: err,
					Message: "the pattern " + strconv.Quote(p) + " cannot be used (look-around and back references are not supported)",
				}
			}
			c.Pattern, found = re, true
		}
		c.MinLength, c.MaxLength = length(n.keys["minLength"]), length(n.keys["maxLength"])
		c.Format = n.text("format")
		found = found || c.MinLength != nil || c.MaxLength != nil || c.Format != ""
	case t == record.Number || t.Integer():
		numericBounds(&c, n)
		found = found || c.Minimum != nil || c.Maximum != nil || c.ExclMin != nil || c.ExclMax != nil
	}
	if !found {
		return nil, nil
	}
	return &c, nil
}

// enumeration reads the values that are allowed; false if any is.
func enumeration(c *record.Check, n *node) bool {
	if values, ok := n.keys["enum"].([]any); ok && len(values) > 0 {
		for _, v := range values {
			if v != nil {
				c.Enum = append(c.Enum, enumText(v))
			}
		}
		return true
	}
	if v, ok := n.keys["const"]; ok && v != nil {
		c.Enum = []string{enumText(v)}
		return true
	}
	return false
}

// numericBounds reads both spellings of exclusive bounds: a number, or a boolean that makes minimum exclusive (draft-04).
func numericBounds(c *record.Check, n *node) {
	c.Minimum, c.Maximum = number(n.keys["minimum"]), number(n.keys["maximum"])
	c.ExclMin, c.ExclMax = number(n.keys["exclusiveMinimum"]), number(n.keys["exclusiveMaximum"])
	if n.keys["exclusiveMinimum"] == true {
		c.Minimum, c.ExclMin = nil, c.Minimum
	}
	if n.keys["exclusiveMaximum"] == true {
		c.Maximum, c.ExclMax = nil, c.Maximum
	}
}

func enumText(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case json.Number:
		return t.String()
	}
	return string(encode(v))
}

func number(v any) *float64 {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil
	}
	return &f
}

func length(v any) *int {
	f := number(v)
	if f == nil || *f < 0 || *f > 1<<31 {
		return nil
	}
	i := int(*f)
	return &i
}
