package xdm

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"weir/record"
)

// Variant picks one of the answer forms of the Accept header (§1.3). The zero value is the plain form.
type Variant struct {
	NoText     bool // without title and description
	Desc       bool // with meta:descriptors
	Flat       bool // properties keyed by the slash path of each leaf
	Deprecated bool // with the fields that a descriptor deprecates
}

// JSON writes the full form with sorted members.
func (f *Full) JSON(v Variant) json.RawMessage {
	w := &fullWriter{v: v}
	w.root(f)
	return bytes.Clone(w.b.Bytes())
}

// fullWriter writes nodes; members come out sorted, so equal schemas are equal bytes.
type fullWriter struct {
	b bytes.Buffer
	v Variant
}

func (w *fullWriter) root(f *Full) {
	keys := maps.Clone(f.head)
	keys["type"] = f.root.typ
	if w.v.Desc {
		keys["meta:descriptors"] = anySlice(f.descriptors)
	}
	if !w.v.Flat {
		w.object(keys, f.root)
		return
	}
	flat := map[string]*node{}
	w.flatten(f.root, "", flat)
	w.object(keys, &node{typ: f.root.typ, props: flat})
}

// flatten collects leaves by path. As in descriptor paths, arrays of objects and maps of objects add no name of their own.
func (w *fullWriter) flatten(n *node, prefix string, into map[string]*node) {
	for name, p := range n.props {
		if w.hides(p) {
			continue
		}
		path := strings.TrimPrefix(prefix+"/"+name, "/")
		if in := p.inside(); len(in.props) > 0 {
			w.flatten(in, path, into)
			continue
		}
		into[path] = p
	}
}

func (w *fullWriter) hides(n *node) bool {
	return !w.v.Deprecated && n.keys[hiddenKey] == true
}

// object writes the merged members of keys and the structure of n.
func (w *fullWriter) object(keys map[string]any, n *node) {
	keys = maps.Clone(keys)
	if keys == nil {
		keys = map[string]any{}
	}
	if n.typ != "" {
		keys["type"] = n.typ
	}
	if t := n.xdm(); t != record.Invalid {
		keys["meta:xdmType"] = t.String()
	}
	delete(keys, hiddenKey)
	if w.v.NoText {
		delete(keys, "title")
		delete(keys, "description")
	}
	if len(n.required) > 0 {
		keys["required"] = n.required
	}
	nested := map[string]func(){}
	if len(n.props) > 0 || n.typ == "object" && n.values == nil {
		nested["properties"] = func() { w.properties(n.props) }
	}
	if n.items != nil {
		nested["items"] = func() { w.object(n.items.keys, n.items) }
	}
	if n.values != nil {
		nested["additionalProperties"] = func() { w.object(n.values.keys, n.values) }
	}
	for k := range nested {
		keys[k] = nil
	}
	w.members(slices.Sorted(maps.Keys(keys)), func(name string) {
		if fn := nested[name]; fn != nil {
			fn()
			return
		}
		w.value(keys[name])
	})
}

func (w *fullWriter) properties(props map[string]*node) {
	names := make([]string, 0, len(props))
	for name, p := range props {
		if !w.hides(p) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	w.members(names, func(name string) { w.object(props[name].keys, props[name]) })
}

func (w *fullWriter) members(names []string, value func(name string)) {
	w.b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			w.b.WriteByte(',')
		}
		w.value(name)
		w.b.WriteByte(':')
		value(name)
	}
	w.b.WriteByte('}')
}

func (w *fullWriter) value(v any) {
	enc := json.NewEncoder(&w.b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		w.b.WriteString("null") // only values decoded from JSON are written
		return
	}
	w.b.Truncate(w.b.Len() - 1) // the encoder's line break
}

func anySlice[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// Raw is the answer form that keeps allOf and $ref: names converted, meta:xdmType on every field that tells, texts left out if asked.
func Raw(raw json.RawMessage, v Variant) (json.RawMessage, error) {
	tree, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	convertNames(tree)
	annotate(tree)
	if v.NoText {
		delete(tree, "title")
		delete(tree, "description")
		walkSchemas(tree, func(f map[string]any) {
			delete(f, "title")
			delete(f, "description")
		})
	}
	return encode(tree), nil
}

// convertNames renames the properties of a raw tree in place.
func convertNames(tree map[string]any) {
	each := func(n map[string]any) {
		props, _ := n["properties"].(map[string]any)
		for name, v := range props {
			f, ok := v.(map[string]any)
			path := served(name)
			if !ok || path[0] == name {
				continue
			}
			delete(props, name)
			f["meta:xdmField"] = name
			into := props
			for _, group := range path[:len(path)-1] {
				g, ok := into[group].(map[string]any)
				if !ok {
					g = map[string]any{"type": "object", "meta:xedConverted": true, "properties": map[string]any{}}
					into[group] = g
				}
				if into, ok = g["properties"].(map[string]any); !ok {
					into = map[string]any{}
					g["properties"] = into
				}
			}
			into[path[len(path)-1]] = f
		}
		list, _ := n["required"].([]any)
		for i, v := range list {
			if name, ok := v.(string); ok {
				list[i] = served(name)[0]
			}
		}
	}
	each(tree)
	walkSchemas(tree, each)
}

// walkSchemas calls fn for every schema node below tree, fields or not.
func walkSchemas(tree map[string]any, fn func(n map[string]any)) {
	visit := func(v any) {
		if n, ok := v.(map[string]any); ok {
			fn(n)
			walkSchemas(n, fn)
		}
	}
	for _, key := range []string{"properties", "definitions"} {
		members, _ := tree[key].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			visit(members[name])
		}
	}
	visit(tree["items"])
	visit(tree["additionalProperties"])
	all, _ := tree["allOf"].([]any)
	for _, m := range all {
		visit(m)
	}
}
