package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/record"
)

// ColumnError says why a mapping did not write its destination for one record. The row is kept unless the destination is required.
type ColumnError struct {
	// Mapping is the position of the mapping in the set.
	Mapping int
	// Destination is the path that was nullified: the mapping's, or a member below it for a copied object.
	Destination string
	Source      string
	Kind        Kind
	// Expected and Actual are types in capitals (data-prep §6.3).
	Expected, Actual string
	// Message says what was wrong, without the paths.
	Message string
	// Line and Column are the place in an expression, 0 for none.
	Line, Column int
}

// Description is the text of a batch error: the fragments and their order are a contract with clients (data-prep §6.3).
func (e *ColumnError) Description() string {
	detail := e.Message
	if e.Line > 0 {
		detail = fmt.Sprintf("%s (%d:%d)", detail, e.Line, e.Column)
	}
	return fmt.Sprintf("Could not map the value at destination path %s. expected data type was: %s, actual data type was: %s. %s. sourceField: %s destinationField: %s",
		e.Destination, e.Expected, e.Actual, strings.TrimSuffix(detail, "."), e.Source, e.Destination)
}

// RowError is a reason to reject a row.
type RowError struct {
	// Code is MAPPER-3700-400 when a failed mapping is the cause, INGEST-1555-400 for a missing required field, INGEST-1554-400 for a value that breaks a constraint.
	Code string
	// Path is the field.
	Path    string
	Message string
	// Conversion says that the value has the wrong type.
	Conversion bool
}

// Result is what became of one record.
type Result struct {
	// Data is the row as an object, also when it is rejected.
	Data     record.Value
	Warnings []ColumnError
	// Reject is empty for a good row.
	Reject []RowError
}

// Transformer turns records into rows: the general path, and the ground truth for the compiled program. It is immutable and safe for goroutines.
type Transformer struct {
	target    *record.Schema // nil: nothing is converted or checked, objects are copied whole
	wrapper   string
	allowNull bool
	strict    bool   // see NewStrict
	zoned     bool   // see NewStrict
	rules     []rule // in the order of mappings
	order     []int  // rules in the order they are written: shallow destinations first
}

// rule is one mapping, ready to run.
type rule struct {
	mapping int
	kind    SourceType
	source  string
	// static is the value of a STATIC mapping. key and path are the two readings of an ATTRIBUTE; path is nil if the text is no path.
	static record.Value
	key    string
	path   record.Path
	expr   *Expr

	dest     record.Path
	destText string
	// field is the target of the value, nil if unknown.
	field *record.Field
}

// NewTransformer compiles a set for a target schema (nil: none) and the shape of a source. The error is a *weir.Error that holds every mapping that
// cannot run: expressions that do not compile (it wraps the first one's [*Error]) and destinations that are not in the schema.
func NewTransformer(set *Set, target *record.Schema, shape weir.Shape) (*Transformer, error) {
	t := &Transformer{target: target, wrapper: shape.Wrapper, allowNull: set.AllowNulls}
	var bad []weir.Finding
	var first *Error
	for i := range set.Mappings {
		r, findings, fault := newRule(&set.Mappings[i], i, target, shape)
		if first == nil {
			first = fault
		}
		if len(findings) > 0 {
			bad = append(bad, findings...)
			continue
		}
		t.rules = append(t.rules, r)
	}
	if len(bad) > 0 {
		e := &weir.Error{Code: bad[0].Code, Message: bad[0].Message, Pointer: bad[0].Pointer, Details: bad}
		if first != nil {
			e.Err = first
		}
		return nil, e
	}
	t.order = make([]int, len(t.rules))
	for i := range t.order {
		t.order[i] = i
	}
	slices.SortStableFunc(t.order, func(a, b int) int { return len(t.rules[a].dest) - len(t.rules[b].dest) })
	return t, nil
}

// newRule reads one mapping. fault is the first error of its expression.
func newRule(m *Mapping, i int, target *record.Schema, shape weir.Shape) (r rule, bad []weir.Finding, fault *Error) {
	at := "/mappings/" + itoa(i)
	if len(m.faults) > 0 {
		return r, placedFaults(m.faults, at), nil
	}
	r = rule{mapping: i, kind: m.SourceType, source: m.Source, destText: m.Destination}
	switch m.SourceType {
	case Static:
		r.static = record.TextOf(m.Source)
	case Attribute:
		r.key, r.path = attributeSource(m.Source)
	case Expression:
		e, errs := compile(m.Source, Options{Wrapper: shape.Wrapper, Site: i + 1})
		for _, err := range errs {
			bad = append(bad, weir.Finding{Code: err.Code, Pointer: at + "/source", Message: err.Error()})
			fault = errs[0]
		}
		r.expr = e
	}
	dest, err := record.ParsePath(m.Destination)
	if err != nil {
		return r, append(bad, weir.Finding{Code: CodeNoField, Pointer: at + "/destination", Message: err.Error()}), fault
	}
	r.dest = dest
	if target != nil {
		f, err := targetField(target, dest)
		if err != nil {
			bad = append(bad, weir.Finding{Code: CodeNoField, Pointer: at + "/destination", Message: err.Error()})
		}
		r.field = f
	}
	return r, bad, fault
}

func placedFaults(faults []weir.Finding, at string) []weir.Finding {
	out := slices.Clone(faults)
	for i := range out {
		out[i].Pointer = at + out[i].Pointer
	}
	return out
}

// attributeSource reads the source of an ATTRIBUTE: the text as one key, and as a path. ${…} may wrap the whole or the first part.
func attributeSource(s string) (key string, path record.Path) {
	if in, ok := strings.CutPrefix(s, "${"); ok {
		if toks, err := lex(s); err == nil && len(toks) > 0 && toks[0].kind == tokWrapped {
			rest := in[len(toks[0].text)+1:]
			path, err = record.ParsePath(toks[0].text + rest)
			if err != nil {
				path, err = record.ParsePath(string(record.AppendName(nil, unescapeBrace(toks[0].text))) + rest)
			}
			if err != nil {
				path = nil
			}
			if rest == "" {
				return unescapeBrace(toks[0].text), path
			}
			return s, path
		}
	}
	path, err := record.ParsePath(s)
	if err != nil {
		return s, nil
	}
	return s, path
}

// targetField resolves a destination in the target schema.
func targetField(target *record.Schema, dest record.Path) (*record.Field, error) {
	at := &record.Field{Type: record.Struct, Fields: target.Fields}
	for i, s := range dest {
		where := "the target schema"
		if i > 0 {
			where = dest[:i].String()
		}
		var next *record.Field
		switch {
		case s.Index != record.ByName:
			if at.Type != record.List {
				return nil, fmt.Errorf("%s is no array; [n] and [*] can only follow an array", where)
			}
			next = at.Elem
		case at.Type == record.Struct:
			if next = fieldAt(at, s.Name); next == nil {
				hint := ""
				if near := nearest(s.Name, fieldNames(at)); near != "" {
					hint = ", did you mean " + near + "?"
				}
				return nil, fmt.Errorf("no field %s in the target schema%s", dest, hint)
			}
		case at.Type == record.Map:
			next = at.Elem
		case at.Type == record.List:
			return nil, fmt.Errorf("%s is an array; write %s[*].%s or %s[0].%s", where, where, s.Name, where, s.Name)
		default:
			return nil, fmt.Errorf("no field %s in the target schema: %s has no members", dest, where)
		}
		at = next
	}
	return at, nil
}

func fieldNames(f *record.Field) []string {
	names := make([]string, len(f.Fields))
	for i := range f.Fields {
		names[i] = f.Fields[i].Name
	}
	return names
}

// Transform makes the row of a record. It never fails: what is wrong is in the result.
func (t *Transformer) Transform(rec record.Value, env *Env) Result {
	w := &writer{t: t, root: &cell{kind: cellObject}}
	for _, i := range t.order {
		r := &t.rules[i]
		v, err := t.value(r, rec, env)
		if err == nil {
			v, err = w.convert(r, v)
		}
		if err != nil {
			w.failed(r, err)
			w.root.remove(r.dest)
			continue
		}
		w.write(r, v)
	}
	slices.SortStableFunc(w.warnings, func(a, b ColumnError) int { return a.Mapping - b.Mapping })
	data, ok := w.root.value(t.allowNull)
	if !ok {
		data = record.ObjectOf(&record.Object{})
	}
	return Result{Data: data, Warnings: w.warnings, Reject: t.verify(data, w.warnings)}
}

// value is what a mapping reads or calculates.
func (t *Transformer) value(r *rule, rec record.Value, env *Env) (record.Value, error) {
	switch r.kind {
	case Static:
		return r.static, nil
	case Expression:
		return r.expr.Eval(rec, env)
	default:
	}
	v, ok := lookup(rec, t.wrapper, r.key)
	if !ok && r.path != nil {
		v, _ = lookupPath(rec, t.wrapper, r.path)
		v = flattenTo(v, r.path.Wildcards(), r.dest.Wildcards())
	}
	return v, nil
}

// flattenTo merges surplus levels of nested arrays that the wildcards of a source gave, so that as many are left as the destination has; one at least.
func flattenTo(v record.Value, have, want int) record.Value {
	if have <= max(want, 1) || v.Kind() != record.KindArray {
		return v
	}
	if want > 1 {
		items := make([]record.Value, len(v.Items()))
		for i, e := range v.Items() {
			items[i] = flattenTo(e, have-1, want-1)
		}
		return record.ArrayOf(items)
	}
	return flatten(v, have)
}

// failed notes a nullified column.
func (w *writer) failed(r *rule, err error) {
	w.warn(r, r.destText, err)
}

func (w *writer) warn(r *rule, dest string, err error) {
	e := ColumnError{Mapping: r.mapping, Destination: dest, Source: r.source, Kind: KindConvert, Expected: "ANY", Actual: "NULL", Message: err.Error()}
	if r.field != nil {
		e.Expected = typeWords[r.field.Type]
	}
	var bad *convertError
	var failed *Error
	switch {
	case errors.As(err, &bad):
		e.Expected, e.Actual = bad.expected, bad.actual
	case errors.As(err, &failed):
		e.Kind, e.Message, e.Line, e.Column = failed.Kind, failed.Message, failed.Line, failed.Column
	}
	for i := range w.warnings {
		if w.warnings[i].Destination == dest && w.warnings[i].Mapping == r.mapping {
			return
		}
	}
	w.warnings = append(w.warnings, e)
}

// Partial is NewTransformer for a preview: mappings that cannot run are left out and reported, all others run.
func Partial(set *Set, target *record.Schema, shape weir.Shape) (*Transformer, []weir.Finding) {
	good := *set
	good.Mappings = nil
	var kept []int
	var bad []weir.Finding
	for i := range set.Mappings {
		if _, findings, _ := newRule(&set.Mappings[i], i, target, shape); len(findings) > 0 {
			bad = append(bad, findings...)
			continue
		}
		good.Mappings = append(good.Mappings, set.Mappings[i])
		kept = append(kept, i)
	}
	t, err := NewTransformer(&good, target, shape)
	if err != nil {
		return &Transformer{target: target, wrapper: shape.Wrapper, allowNull: set.AllowNulls}, bad
	}
	for i := range t.rules {
		t.rules[i].mapping = kept[i]
	}
	return t, bad
}
