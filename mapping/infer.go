package mapping

import (
	"encoding/json"
	"slices"

	"weir/record"
)

// sampleShape is what sample values at one place looked like.
type sampleShape struct {
	kinds   kinds
	names   []string // members in order of appearance
	members map[string]*sampleShape
	items   *sampleShape
	texts   []string // some of the values
}

// samplesKept is how many values of a place are kept to recognise patterns.
const samplesKept = 20

func (s *sampleShape) see(v record.Value, depth int) {
	if depth > record.MaxDepth/2 {
		return
	}
	s.kinds |= kindOf(v)
	if t, ok := asText(v); ok && len(s.texts) < samplesKept {
		s.texts = append(s.texts, t)
	}
	switch v.Kind() {
	case record.KindArray:
		if s.items == nil {
			s.items = &sampleShape{}
		}
		for _, e := range v.Items() {
			s.items.see(e, depth+1)
		}
	case record.KindObject:
		o := v.Object()
		for i := range o.Len() {
			name, e := o.Member(i)
			m := s.members[name]
			if m == nil {
				m = &sampleShape{}
				if s.members == nil {
					s.members = map[string]*sampleShape{}
				}
				s.members[name] = m
				s.names = append(s.names, name)
			}
			m.see(e, depth+1)
		}
	default:
	}
}

// InferSchema describes sample records as a JSON Schema: members in order of appearance, integers with the bounds of a safe integer, {} for what
// was only seen as null, merged elements of arrays.
func InferSchema(records []record.Value) json.RawMessage {
	s := &sampleShape{}
	for _, r := range records {
		s.see(r, 0)
	}
	if s.kinds&^kNull == 0 {
		s.kinds = kObj
	}
	return s.schema().AppendJSON(nil)
}

// jsonTypes are the JSON Schema types of kinds, in the order a list of types has.
var jsonTypes = []struct {
	k    kinds
	name string
}{{kObj, "object"}, {kArr, "array"}, {kText, "string"}, {kBool, "boolean"}, {kInt, "integer"}, {kDec, "number"}}

func (s *sampleShape) schema() record.Value {
	o := &record.Object{}
	k := s.kinds
	if k.can(kDec) {
		k &^= kInt
	}
	var types []record.Value
	for _, t := range jsonTypes {
		if k.can(t.k) {
			types = append(types, record.TextOf(t.name))
		}
	}
	switch len(types) {
	case 0:
		return record.ObjectOf(o)
	case 1:
		o.Set("type", types[0])
	default:
		o.Set("type", record.ArrayOf(types))
	}
	if k.can(kInt) {
		o.Set("minimum", record.IntOf(-1<<53))
		o.Set("maximum", record.IntOf(1<<53-1))
	}
	if k.can(kObj) {
		props := record.NewObject(len(s.names))
		for _, n := range s.names {
			props.Set(n, s.members[n].schema())
		}
		o.Set("properties", record.ObjectOf(props))
	}
	if k.can(kArr) {
		o.Set("items", s.items.schema())
	}
	return record.ObjectOf(o)
}

// sourceLeaf is a leaf of the source: a candidate for a mapping.
type sourceLeaf struct {
	path  string
	names []string // the names on the way, without [*]
	wild  int
	kinds kinds
	texts []string
}

// leavesOf lists the leaves of sample records in order of appearance.
func leavesOf(records []record.Value) []sourceLeaf {
	s := &sampleShape{}
	for _, r := range records {
		s.see(r, 0)
	}
	var out []sourceLeaf
	s.leaves(sourceLeaf{}, func(l sourceLeaf) { out = append(out, l) })
	return out
}

func (s *sampleShape) leaves(at sourceLeaf, yield func(sourceLeaf)) {
	if s.kinds.can(kObj) {
		for _, n := range s.names {
			s.members[n].leaves(at.member(n), yield)
		}
		return
	}
	if s.kinds.can(kArr) && s.items != nil && s.items.kinds.can(kObj|kArr) {
		at.path += "[*]"
		at.wild++
		s.items.leaves(at, yield)
		return
	}
	if at.path == "" {
		return
	}
	at.kinds, at.texts = s.kinds, s.texts
	if s.kinds.can(kArr) && s.items != nil {
		at.texts = s.items.texts
	}
	yield(at)
}

func (l sourceLeaf) member(name string) sourceLeaf {
	if l.path != "" {
		l.path += "."
	}
	l.path += string(record.AppendName(nil, name))
	l.names = append(slices.Clip(l.names), name)
	return l
}

// schemaLeaves lists the leaves of a JSON Schema in the order of its properties.
func schemaLeaves(schema record.Value, at sourceLeaf, depth int, yield func(sourceLeaf)) {
	if depth > record.MaxDepth/2 {
		return
	}
	if props, ok := schema.Get("properties"); ok && props.Object().Len() > 0 {
		o := props.Object()
		for i := range o.Len() {
			name, p := o.Member(i)
			schemaLeaves(p, at.member(name), depth+1, yield)
		}
		return
	}
	items, isArray := schema.Get("items")
	if inner, ok := items.Get("properties"); isArray && ok && inner.Object().Len() > 0 {
		at.path += "[*]"
		at.wild++
		schemaLeaves(items, at, depth+1, yield)
		return
	}
	if at.path == "" {
		return
	}
	t, _ := schema.Get("type")
	list := t.Items()
	if t.Kind() == record.KindText {
		list = []record.Value{t}
	}
	for _, j := range jsonTypes {
		if indexIn(list, record.TextOf(j.name)) >= 0 {
			at.kinds |= j.k
		}
	}
	if at.kinds == 0 {
		at.kinds = kScalar
	}
	yield(at)
}
