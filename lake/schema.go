package lake

import (
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"

	"weir/record"
)

// primitives are the columns of the leaf types. Every integer is a long and every number a double from the start, so that no column
// ever has to be widened: readers stumble over bounds that were written narrower.
var primitives = map[record.Type]iceberg.PrimitiveType{
	record.String:    iceberg.PrimitiveTypes.String,
	record.Boolean:   iceberg.PrimitiveTypes.Bool,
	record.Byte:      iceberg.PrimitiveTypes.Int64,
	record.Short:     iceberg.PrimitiveTypes.Int64,
	record.Int:       iceberg.PrimitiveTypes.Int64,
	record.Long:      iceberg.PrimitiveTypes.Int64,
	record.Number:    iceberg.PrimitiveTypes.Float64,
	record.Date:      iceberg.PrimitiveTypes.Date,
	record.Timestamp: iceberg.PrimitiveTypes.TimestampTz,
}

// plan gives every column of want its field id: the id of the column of that path in have, or the next free one. Columns of have that
// want lacks stay as they are. It is how both Create (have nil) and Evolve see a schema.
type plan struct {
	last    int // highest id given so far
	changed bool
}

// merge is the fields of one struct after evolution.
func (p *plan) merge(have []iceberg.NestedField, want []record.Field, at string) ([]iceberg.NestedField, error) {
	out := make([]iceberg.NestedField, len(have), len(have)+len(want))
	copy(out, have)
	index := make(map[string]int, len(have)+len(want))
	for i, f := range have {
		index[f.Name] = i
	}
	fresh := len(out)
	for i := range want {
		w := &want[i]
		if !storable(w) {
			continue
		}
		path := at + "." + w.Name
		if at == "" {
			path = w.Name
		}
		if j, ok := index[w.Name]; ok {
			if j >= fresh {
				return nil, fmt.Errorf("lake: column %s is there twice", path)
			}
			t, err := p.evolve(have[j].Type, w, path)
			if err != nil {
				return nil, err
			}
			out[j].Type = t
			continue
		}
		index[w.Name] = len(out)
		p.changed = true
		p.last++
		f := iceberg.NestedField{ID: p.last, Name: w.Name}
		out = append(out, f)
	}
	// Ids go breadth first, as other writers number them: the fields of a struct before what is inside them.
	for i := range want {
		w := &want[i]
		j, ok := index[w.Name]
		if !ok || j < fresh || !storable(w) {
			continue
		}
		t, err := p.build(w, at+"."+w.Name)
		if err != nil {
			return nil, err
		}
		out[j].Type = t
	}
	return out, nil
}

// build is the type of a new column.
func (p *plan) build(w *record.Field, path string) (iceberg.Type, error) {
	switch w.Type {
	case record.Struct:
		fields, err := p.merge(nil, w.Fields, path)
		if err != nil {
			return nil, err
		}
		return &iceberg.StructType{FieldList: fields}, nil
	case record.List:
		p.last++
		l := &iceberg.ListType{ElementID: p.last}
		t, err := p.build(w.Elem, path+"[]")
		l.Element = t
		return l, err
	case record.Map:
		p.last += 2
		m := &iceberg.MapType{KeyID: p.last - 1, KeyType: iceberg.PrimitiveTypes.String, ValueID: p.last}
		t, err := p.build(w.Elem, path+"{}")
		m.ValueType = t
		return m, err
	default:
		t, ok := primitives[w.Type]
		if !ok {
			return nil, fmt.Errorf("lake: column %s has type %s", path, w.Type)
		}
		return t, nil
	}
}

// evolve is the type of a column that is there already.
func (p *plan) evolve(have iceberg.Type, w *record.Field, path string) (iceberg.Type, error) {
	switch h := have.(type) {
	case *iceberg.StructType:
		if w.Type == record.Struct {
			fields, err := p.merge(h.FieldList, w.Fields, path)
			return &iceberg.StructType{FieldList: fields}, err
		}
	case *iceberg.ListType:
		if w.Type == record.List {
			t, err := p.evolve(h.Element, w.Elem, path+"[]")
			return &iceberg.ListType{ElementID: h.ElementID, Element: t, ElementRequired: h.ElementRequired}, err
		}
	case *iceberg.MapType:
		if w.Type == record.Map {
			t, err := p.evolve(h.ValueType, w.Elem, path+"{}")
			return &iceberg.MapType{KeyID: h.KeyID, KeyType: h.KeyType, ValueID: h.ValueID, ValueType: t, ValueRequired: h.ValueRequired}, err
		}
	default:
		if t, ok := primitives[w.Type]; ok && t.Equals(have) {
			return have, nil
		}
	}
	return nil, fmt.Errorf("lake: column %s is %s in the table and cannot become %s", path, have, w.Type)
}

// storable reports whether a field has a column: an object without properties has none.
func storable(f *record.Field) bool {
	switch f.Type {
	case record.Struct:
		for i := range f.Fields {
			if storable(&f.Fields[i]) {
				return true
			}
		}
		return false
	case record.List, record.Map:
		return f.Elem != nil && storable(f.Elem)
	default:
		return true
	}
}

// newSchema is the schema of a table that is created.
func newSchema(s *record.Schema) (*iceberg.Schema, error) {
	var p plan
	fields, err := p.merge(nil, s.Fields, "")
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, errors.New("lake: the schema has no columns")
	}
	return iceberg.NewSchema(0, fields...), nil
}

// fromIceberg is a table's schema as columns with their ids. Integers are Long; the checks of the XDM schema are not known here.
func fromIceberg(s *iceberg.Schema) (*record.Schema, error) {
	fields, err := recordFields(s.Fields())
	if err != nil {
		return nil, err
	}
	return &record.Schema{Fields: fields}, nil
}

func recordFields(in []iceberg.NestedField) ([]record.Field, error) {
	out := make([]record.Field, len(in))
	for i, f := range in {
		r, err := recordField(f.Name, f.ID, f.Type)
		if err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

func recordField(name string, id int, t iceberg.Type) (record.Field, error) {
	f := record.Field{Name: name, ID: id}
	var err error
	switch t := t.(type) {
	case *iceberg.StructType:
		f.Type = record.Struct
		f.Fields, err = recordFields(t.FieldList)
	case *iceberg.ListType:
		f.Type = record.List
		var e record.Field
		e, err = recordField("element", t.ElementID, t.Element)
		f.Elem = &e
	case *iceberg.MapType:
		f.Type, f.KeyID = record.Map, t.KeyID
		var e record.Field
		e, err = recordField("value", t.ValueID, t.ValueType)
		f.Elem = &e
	case iceberg.StringType:
		f.Type = record.String
	case iceberg.BooleanType:
		f.Type = record.Boolean
	case iceberg.Int64Type:
		f.Type = record.Long
	case iceberg.Float64Type:
		f.Type = record.Number
	case iceberg.DateType:
		f.Type = record.Date
	case iceberg.TimestampTzType:
		f.Type = record.Timestamp
	default:
		err = fmt.Errorf("lake: column %s has the foreign type %s", name, t)
	}
	return f, err
}

// bind copies want and gives its columns the ids they have in the table. A column the table lacks is an error (Evolve first); a field that
// has no column (an object without properties) keeps id 0.
func bind(want, have []record.Field, at string) ([]record.Field, error) {
	out := make([]record.Field, len(want))
	for i := range want {
		out[i] = want[i]
		if !storable(&want[i]) {
			continue
		}
		var h *record.Field
		for j := range have {
			if have[j].Name == want[i].Name {
				h = &have[j]
			}
		}
		if h == nil {
			return nil, fmt.Errorf("lake: the table has no column %s%s", at, want[i].Name)
		}
		if err := bindField(&out[i], h, at); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func bindField(f *record.Field, h *record.Field, at string) error {
	f.ID, f.KeyID = h.ID, h.KeyID
	at += f.Name
	if f.Type != h.Type && (!f.Type.Integer() || !h.Type.Integer()) {
		return fmt.Errorf("lake: column %s is %s in the table, not %s", at, h.Type, f.Type)
	}
	var err error
	switch f.Type {
	case record.Struct:
		f.Fields, err = bind(f.Fields, h.Fields, at+".")
	case record.List, record.Map:
		e := *f.Elem
		err = bindField(&e, h.Elem, at+".")
		f.Elem = &e
	default:
	}
	return err
}
