package setfamily

import "slices"

// target is a part of a target schema. Without a type it is an object under construction.
type target struct {
	typ      string
	names    []string
	kids     []*target // members in the order of names
	elem     *target   // of an array or map
	required []string
	rule     string // a constraint and its value
	value    any
}

// member is the member of that name; add becomes it if there is none.
func (t *target) member(name string, add *target) *target {
	if i := slices.Index(t.names, name); i >= 0 {
		return t.kids[i]
	}
	t.names, t.kids = append(t.names, name), append(t.kids, add)
	return add
}

// leaves is how many leaf columns the target has.
func (t *target) leaves() int {
	switch {
	case t.elem != nil:
		return t.elem.leaves()
	case t.kids == nil:
		return 1
	}
	n := 0
	for _, k := range t.kids {
		n += k.leaves()
	}
	return n
}

// schema is the target as JSON Schema.
func (t *target) schema() map[string]any {
	switch t.typ {
	case "string", "integer", "number", "boolean":
		return t.leaf(map[string]any{"type": t.typ})
	case "date", "date-time":
		return t.leaf(map[string]any{"type": "string", "format": t.typ})
	case "long", "short":
		return t.leaf(map[string]any{"type": "integer", "meta:xdmType": t.typ})
	case "array":
		return map[string]any{"type": "array", "items": t.elem.schema()}
	case "map":
		return map[string]any{"type": "object", "additionalProperties": t.elem.schema()}
	}
	props := map[string]any{}
	for i, name := range t.names {
		props[name] = t.kids[i].schema()
	}
	s := map[string]any{"type": "object", "properties": props}
	if t.required != nil {
		s["required"] = t.required
	}
	return s
}

func (t *target) leaf(s map[string]any) map[string]any {
	if t.rule != "" {
		s[t.rule] = t.value
	}
	return s
}
