package rest

import (
	"context"
	"encoding/json"

	"weir"
)

// schemaRules take the schema of an explore from an answer of the source.
type schemaRules struct {
	Request json.RawMessage   `json:"request"` // attributes, in place of the spec's own
	Fields  string            `json:"fields"`  // path of the array of field descriptions
	Name    string            `json:"name"`    // paths in a description
	Type    string            `json:"type"`
	Types   map[string]string `json:"types"` // from the source's types to JSON Schema's, date and date-time

	fields, name, kind path
}

func (x *extension) compileSchema() (err error) {
	r := x.SchemaFrom
	if r == nil {
		return nil
	}
	if len(r.Request) == 0 || r.Fields == "" || r.Name == "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.schemaFrom needs request, fields and name")
	}
	for _, p := range []struct {
		text string
		to   *path
	}{{r.Fields, &r.fields}, {r.Name, &r.name}, {or(r.Type, "$.type"), &r.kind}} {
		if *p.to, err = parsePath(p.text); err != nil {
			return err
		}
	}
	r.fields = r.fields.array()
	return nil
}

// schemaOf asks the source for the fields of its records.
func (s *Source) schemaOf(ctx context.Context, p *params, a *attributes) (json.RawMessage, error) {
	r := a.ext.SchemaFrom
	list, err := s.descriptions(ctx, p, a)
	if err != nil {
		return nil, err
	}
	props := &object{}
	sc := scanner{buf: list, final: true}
	sc.each(0, func(field []byte) bool {
		name, _ := scalarText(pluck(field, r.name))
		kind, _ := scalarText(pluck(field, r.kind))
		if name != "" {
			props.set(name, r.property(kind))
		}
		return true
	})
	schema := record(props)
	sel, _, err := parseSelector("contentPath", a.ContentPath, &expander{params: p})
	if err != nil {
		return nil, err
	}
	if sel != nil && sel.wrap {
		outer := &object{}
		outer.set(sel.wrapper, schema)
		schema = record(outer)
	}
	return plainJSON(schema)
}

// descriptions is the array of field descriptions.
func (s *Source) descriptions(ctx context.Context, p *params, a *attributes) (json.RawMessage, error) {
	r := a.ext.SchemaFrom
	t := &tour{s: s, attributes: a}
	got, err := t.call(ctx, p, nil, r.Request)
	if err != nil {
		return nil, err
	}
	list := pluck(got.values[""], r.fields)
	if len(list) == 0 || list[0] != '[' {
		return nil, weir.Errorf("CONNECTOR-1315-400", "weir.schemaFrom.fields %s does not lead to an array", r.fields)
	}
	return list, nil
}

// record is the schema of an object with properties.
func record(props *object) *object {
	return &object{names: []string{"type", "properties"}, values: []any{"object", props}}
}

// property is the schema of a field by the source's type.
func (r *schemaRules) property(kind string) *object {
	to, ok := r.Types[kind]
	if !ok {
		to = map[string]string{"integer": "integer", "number": "number", "boolean": "boolean", "object": "object", "array": "array"}[kind]
	}
	o := &object{}
	switch to {
	case "date", "date-time":
		o.set("type", "string")
		o.set("format", to)
	case "integer":
		o.set("type", to)
		o.set("minimum", json.Number("-9007199254740992"))
		o.set("maximum", json.Number("9007199254740991"))
	default:
		o.set("type", or(to, "string"))
	}
	return o
}
