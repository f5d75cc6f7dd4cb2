package mapping

import (
	"fmt"
	"slices"
	"strings"

	"weir/record"
)

// convertError says that a value cannot become the type of its target. Expected and actual are types in the platform's words (data-prep §6.3).
type convertError struct {
	expected, actual string
	format           string
	args             []any
}

func (e *convertError) Error() string { return fmt.Sprintf(e.format, e.args...) }

// typeWords are target types in messages.
var typeWords = [...]string{"ANY", "STRING", "BOOLEAN", "INTEGER", "INTEGER", "INTEGER", "INTEGER", "NUMBER", "DATE", "DATETIME", "OBJECT", "ARRAY", "OBJECT"}

// kindWords are values in messages.
var kindWords = [...]string{"NULL", "BOOLEAN", "INTEGER", "NUMBER", "STRING", "DATETIME", "ARRAY", "OBJECT"}

func cannot(v record.Value, f *record.Field, format string, args ...any) error {
	return &convertError{expected: typeWords[f.Type], actual: kindWords[v.Kind()], format: format, args: args}
}

// converter turns values into the types of target fields (data-prep §5.6). Members of copied objects that cannot be converted are left out and
// reported with their path, so that one bad member does not cost the others.
type converter struct {
	// strict takes a value only as the type it has (schema-catalog-data §1.8): no fraction is an integer, no boolean is text, no single
	// value is a list.
	strict bool
	zoned  bool // a date-time in text needs a zone (schema-catalog-data Q43)
	report func(path string, v record.Value, err error)
}

// convert is a value as field f wants it; null stays null. path is where the value goes, for reports about members of copied objects.
func (c *converter) convert(v record.Value, f *record.Field, path string) (record.Value, error) { //nolint:gocyclo // one case for each type
	if v.IsNull() || f == nil {
		return v, nil
	}
	if v.Kind() == record.KindText && f.Type != record.String && f.Type != record.List && strings.TrimSpace(v.Text()) == "" {
		return record.Null(), nil
	}
	switch f.Type {
	case record.String:
		return c.text(v, f)
	case record.Byte, record.Short, record.Int, record.Long:
		if c.strict && v.Kind() == record.KindDecimal {
			return v, cannot(v, f, "%s has a fraction", show(v.String()))
		}
		return toInteger(v, f)
	case record.Number:
		return toNumberTarget(v, f)
	case record.Boolean:
		return toBoolean(v, f)
	case record.Date, record.Timestamp:
		if c.zoned && f.Type == record.Timestamp && v.Kind() == record.KindText && zoneless(v.Text()) {
			return v, cannot(v, f, "'%s' has no time zone; write Z or an offset such as +02:00", show(v.Text()))
		}
		return toDate(v, f)
	case record.List:
		return c.list(v, f, path)
	case record.Struct, record.Map:
		return c.object(v, f, path)
	default:
	}
	return v, nil
}

// text is a scalar as text.
func (c *converter) text(v record.Value, f *record.Field) (record.Value, error) {
	if v.Kind() == record.KindText {
		return v, nil
	}
	s, ok := asText(v)
	if !ok || c.strict && v.Kind() == record.KindBool {
		return v, cannot(v, f, "%s is no text", an(v.Kind()))
	}
	return record.TextOf(s), nil
}

// integerBounds are the values each integer type can hold.
var integerBounds = map[record.Type][2]int64{
	record.Byte: {-128, 127}, record.Short: {-32768, 32767}, record.Int: {-2147483648, 2147483647},
}

func toInteger(v record.Value, f *record.Field) (record.Value, error) {
	n := v
	switch v.Kind() {
	case record.KindInt:
	case record.KindText:
		t, ok := record.ParseNumber(strings.TrimSpace(v.Text()))
		if !ok || t.Kind() != record.KindInt {
			return v, cannot(v, f, "'%s' is no integer", show(v.Text()))
		}
		n = t
	case record.KindDecimal:
		t, ok := integral(v)
		if !ok {
			return v, cannot(v, f, "%s has a fraction", show(v.String()))
		}
		n = t
	case record.KindDate:
		if f.Type != record.Long {
			return v, cannot(v, f, "a date fits a long only, as milliseconds since 1970")
		}
		n = record.IntOf(v.Time().UnixMilli())
	default:
		return v, cannot(v, f, "%s is no integer", an(v.Kind()))
	}
	i, ok := n.Int64()
	b, bounded := integerBounds[f.Type]
	if !ok || bounded && (i < b[0] || i > b[1]) {
		return v, cannot(v, f, "%s is too large for %s", show(n.String()), f.Type)
	}
	return n, nil
}

func toNumberTarget(v record.Value, f *record.Field) (record.Value, error) {
	n := v
	switch v.Kind() {
	case record.KindInt, record.KindDecimal:
	case record.KindText:
		t, ok := record.ParseNumber(strings.TrimSpace(v.Text()))
		if !ok {
			return v, cannot(v, f, "'%s' is no number", show(v.Text()))
		}
		n = t
	default:
		return v, cannot(v, f, "%s is no number", an(v.Kind()))
	}
	if !finite(n.Float()) {
		return v, cannot(v, f, "%s is beyond the range of numbers", show(n.String()))
	}
	return n, nil
}

// booleanWords are text that is a boolean, in lower case (data-prep §5.6, D35).
var booleanWords = map[string]bool{"y": true, "yes": true, "on": true, "true": true, "n": false, "no": false, "off": false, "false": false}

func toBoolean(v record.Value, f *record.Field) (record.Value, error) {
	switch v.Kind() {
	case record.KindBool:
		return v, nil
	case record.KindText:
		if b, ok := booleanWords[strings.ToLower(v.Text())]; ok {
			return record.BoolOf(b), nil
		}
		return v, cannot(v, f, "'%s' is no boolean; write true or false, yes or no, on or off", show(v.Text()))
	default:
	}
	return v, cannot(v, f, "%s is no boolean", an(v.Kind()))
}

func toDate(v record.Value, f *record.Field) (record.Value, error) {
	d := v
	switch v.Kind() {
	case record.KindDate:
	case record.KindText:
		t, ok := parseDate(strings.TrimSpace(v.Text()))
		if !ok {
			return v, cannot(v, f, "'%s' is no date in one of the known forms", show(v.Text()))
		}
		d = record.DateOf(t)
	case record.KindInt:
		t, err := epochDate(v)
		if err != nil {
			return v, cannot(v, f, "%s", err)
		}
		d = t
	default:
		return v, cannot(v, f, "%s is no date", an(v.Kind()))
	}
	if f.Type == record.Date {
		return record.DayOf(d.Time()), nil
	}
	if d.IsDay() {
		return record.DateOf(d.Time()), nil
	}
	return d, nil
}

// list converts item by item; a value that is no array becomes the only item.
func (c *converter) list(v record.Value, f *record.Field, path string) (record.Value, error) {
	items := v.Items()
	if v.Kind() != record.KindArray {
		if c.strict {
			return v, cannot(v, f, "%s is no array", an(v.Kind()))
		}
		if isScalarField(f.Elem) && v.Kind() == record.KindText && f.Elem.Type != record.String && strings.TrimSpace(v.Text()) == "" {
			return record.Null(), nil
		}
		items = []record.Value{v}
	}
	if f.Elem != nil && f.Elem.Type == record.String && v.Kind() == record.KindArray && !slices.ContainsFunc(items, notText) {
		return v, nil
	}
	out := make([]record.Value, len(items))
	for i, e := range items {
		r, err := c.convert(e, f.Elem, path+"[*]")
		if err != nil {
			return v, err
		}
		out[i] = r
	}
	return record.ArrayOf(out), nil
}

func notText(v record.Value) bool { return v.Kind() != record.KindText && !v.IsNull() }

func isScalarField(f *record.Field) bool {
	return f != nil && f.Type != record.Struct && f.Type != record.Map && f.Type != record.List
}

// object copies the members the target knows; a map takes all.
func (c *converter) object(v record.Value, f *record.Field, path string) (record.Value, error) {
	if v.Kind() != record.KindObject {
		return v, cannot(v, f, "%s is no object", an(v.Kind()))
	}
	o := v.Object()
	out := record.NewObject(o.Len())
	for i := range o.Len() {
		name, e := o.Member(i)
		to := f.Elem
		if f.Type == record.Struct {
			if to = fieldAt(f, name); to == nil {
				continue
			}
		}
		at := path + "." + string(record.AppendName(nil, name))
		r, err := c.convert(e, to, at)
		if err != nil {
			c.report(at, e, err)
			continue
		}
		if r.IsNull() && !e.IsNull() || emptyObject(r) {
			continue
		}
		out.Set(name, r)
	}
	return record.ObjectOf(out), nil
}

func emptyObject(v record.Value) bool { return v.Kind() == record.KindObject && v.Object().Len() == 0 }

// Convert is a value as the target type wants it; the error is an [*Error] of kind convert.
func Convert(v record.Value, f *record.Field) (record.Value, error) {
	var bad error
	c := converter{report: func(path string, v record.Value, err error) {
		if bad == nil {
			bad = fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
		}
	}}
	r, err := c.convert(v, f, "")
	if err == nil {
		err = bad
	}
	if err != nil {
		return record.Null(), &Error{Kind: KindConvert, Code: CodeTransform, Message: err.Error()}
	}
	return r, nil
}

// targetTypes are the names of target types (meta:xdmType, and integer as JSON Schema has it).
var targetTypes = map[string]record.Type{
	"string": record.String, "boolean": record.Boolean, "byte": record.Byte, "short": record.Short, "int": record.Int, "integer": record.Long, "long": record.Long,
	"number": record.Number, "date": record.Date, "date-time": record.Timestamp, "object": record.Map, "map": record.Map,
}

// ParseTarget reads the name of a target type: string, integer, number, boolean, date, date-time, object, or array<…> of one of them.
func ParseTarget(name string) (*record.Field, error) {
	if item, ok := strings.CutPrefix(name, "array<"); ok && strings.HasSuffix(item, ">") {
		e, err := ParseTarget(strings.TrimSuffix(item, ">"))
		if err != nil {
			return nil, err
		}
		e.Name = "element"
		return &record.Field{Type: record.List, Elem: e}, nil
	}
	t, ok := targetTypes[name]
	if !ok {
		return nil, fmt.Errorf("unknown target type %q: use string, integer, number, boolean, date, date-time, object or array<string>", name)
	}
	return &record.Field{Type: t}, nil
}
