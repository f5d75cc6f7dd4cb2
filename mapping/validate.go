package mapping

import (
	"fmt"
	"strings"

	"weir"
	"weir/record"
)

// Report is everything that is wrong or doubtful with a set (data-prep §4.1).
type Report struct {
	// Mappings holds the errors of each mapping, in the order of the set.
	Mappings [][]weir.Finding
	// Set holds errors that belong to no single mapping.
	Set []weir.Finding
	// Warnings do not keep a set from being used.
	Warnings []weir.Finding
}

// Errors are all errors, those of mappings first.
func (r *Report) Errors() []weir.Finding {
	var out []weir.Finding
	for _, m := range r.Mappings {
		out = append(out, m...)
	}
	return append(out, r.Set...)
}

// Validate checks the rules V2–V13 against the target schema (nil: it does not exist) and the shape of the records (nil: unknown) and returns
// every error with a pointer into the body.
func (s *Set) Validate(target, input *record.Schema) []weir.Finding {
	return s.Review(target, input).Errors()
}

// CheckForm checks only what a draft must fulfil: source types, sources and paths (D43).
func (s *Set) CheckForm() []weir.Finding {
	var out []weir.Finding
	for i := range s.Mappings {
		m := &s.Mappings[i]
		at := "/mappings/" + itoa(i)
		out = append(out, placedFaults(m.faults, at)...)
		if len(m.faults) > 0 {
			continue
		}
		if _, err := record.ParsePath(m.Destination); err != nil {
			out = append(out, weir.Finding{Code: CodeNoField, Pointer: at + "/destination", Message: err.Error()})
		}
	}
	return out
}

// Review is Validate with warnings and with the errors sorted by mapping.
func (s *Set) Review(target, input *record.Schema) *Report {
	v := &reviewer{set: s, target: target, input: input, report: &Report{Mappings: make([][]weir.Finding, len(s.Mappings))}}
	if target == nil {
		msg := "the mapping set names no target schema; set outputSchema.schemaRef.id"
		if s.SchemaID != "" {
			msg = "there is no schema " + show(s.SchemaID)
		}
		v.report.Set = append(v.report.Set, weir.Finding{Code: CodeNoTarget, Pointer: "/outputSchema/schemaRef/id", Message: msg})
	}
	for i := range s.Mappings {
		v.mapping(i)
	}
	v.duplicates()
	v.identities()
	if target != nil {
		v.required(target.Fields, nil)
	}
	return v.report
}

type reviewer struct {
	set           *Set
	target, input *record.Schema
	report        *Report
	// dests are the parsed destinations, nil for one that is wrong; never marks mappings that can only give null.
	dests []record.Path
	never []bool
}

func (v *reviewer) fail(i int, code, member, format string, args ...any) {
	e := weir.Errorf(code, format, args...)
	v.report.Mappings[i] = append(v.report.Mappings[i], weir.Finding{Code: code, Pointer: "/mappings/" + itoa(i) + member, Message: e.Message})
}

func (v *reviewer) warn(i int, code, member, format string, args ...any) {
	e := weir.Errorf(code, format, args...)
	v.report.Warnings = append(v.report.Warnings, weir.Finding{Code: code, Pointer: "/mappings/" + itoa(i) + member, Message: e.Message})
}

// mapping checks one mapping by itself.
func (v *reviewer) mapping(i int) {
	m := &v.set.Mappings[i]
	v.dests, v.never = append(v.dests, nil), append(v.never, false)
	if len(m.faults) > 0 {
		v.report.Mappings[i] = append(v.report.Mappings[i], placedFaults(m.faults, "/mappings/"+itoa(i))...)
		return
	}
	dest, err := record.ParsePath(m.Destination)
	var field *record.Field
	if err == nil && v.target != nil {
		field, err = targetField(v.target, dest)
	}
	if err != nil {
		v.fail(i, CodeNoField, "/destination", "%s", err)
		dest = nil
	}
	v.dests[i] = dest
	src := v.source(i, m)
	if dest == nil || src == nil {
		return
	}
	v.never[i] = src.kinds == kNull
	v.types(i, m, dest, field, src)
}

// sourceFacts is what is known about the value of a mapping without data.
type sourceFacts struct {
	static
	wildcards int
	value     record.Value // of a constant
	constant  bool
}

// source checks the source and says what it can give; nil if it is wrong.
func (v *reviewer) source(i int, m *Mapping) *sourceFacts {
	switch m.SourceType {
	case Static:
		return &sourceFacts{static: static{kinds: kText}, value: record.TextOf(m.Source), constant: true}
	case Expression:
		return v.expression(i, m)
	default:
	}
	key, path := attributeSource(m.Source)
	if strings.Contains(m.Source, "(") && (v.input == nil || v.input.Lookup(key) == nil) {
		v.warn(i, CodeMapping, "/sourceType", "the source %s looks like an expression; its source type is ATTRIBUTE", show(m.Source))
	}
	src := &sourceFacts{static: unknown, wildcards: path.Wildcards()}
	if v.input == nil {
		return src
	}
	if f := v.input.Lookup(key); f != nil {
		src.static, src.wildcards = staticOf(f), 0
		return src
	}
	if f := inputField(v.input, "", path); f != nil {
		src.static = staticOf(f)
		return src
	}
	if path == nil {
		path = record.Path{{Name: key, Index: record.ByName}}
	}
	if v.set.Strict {
		v.fail(i, CodeNoSource, "/source", "%s", noSource(v.input, "", path))
		return nil
	}
	v.warn(i, CodeNoSource, "/source", "%s", noSource(v.input, "", path))
	return src
}

func (v *reviewer) expression(i int, m *Mapping) *sourceFacts {
	e, errs := compile(m.Source, Options{Input: v.input, Site: i + 1})
	for _, err := range errs {
		v.fail(i, err.Code, "/source", "%s", err.Error())
	}
	if e == nil {
		return nil
	}
	for _, w := range e.lint {
		if v.set.Strict && strings.HasPrefix(w.Message, noSourcePrefix) {
			v.fail(i, CodeNoSource, "/source", "%s", w.Error())
		} else {
			v.warn(i, CodeSyntax, "/source", "%s", w.Error())
		}
	}
	walk(e.root, func(n node) {
		if f, ok := n.(*fieldNode); ok && !f.wrapped && library[f.name] != nil {
			v.warn(i, CodeSyntax, "/source", "%s is the name of a function and is read as a field here; write ${%s}, or %s(…) for a call", f.name, f.name, f.name)
		}
	})
	if len(errs) > 0 {
		return nil
	}
	src := &sourceFacts{static: e.result}
	if lit, ok := e.root.(*literalNode); ok {
		src.value, src.constant = lit.v, true
	}
	return src
}

func walk(n node, f func(node)) {
	f(n)
	for _, c := range children(n) {
		walk(c, f)
	}
}

// types checks whether the source can become the type of the target (V8, V9, V11).
func (v *reviewer) types(i int, m *Mapping, dest record.Path, field *record.Field, src *sourceFacts) {
	levels := dest.Wildcards()
	if levels > 0 && src.wildcards == 0 && !src.kinds.can(kArr) {
		v.fail(i, CodeWildcard, "/destination", "the destination %s has [*] but the source is never an array", m.Destination)
		return
	}
	if src.wildcards > levels+1 && levels > 0 {
		v.warn(i, CodeWildcard, "/source", "the source has more [*] than the destination; the inner arrays are merged into one")
	}
	if field == nil {
		return
	}
	if src.constant && levels == 0 {
		if _, err := Convert(src.value, field); err != nil {
			v.noConversion(i, m, field, kindWords[src.value.Kind()], err.Error())
		}
		return
	}
	k := src.kinds
	f := src.field
	switch {
	case src.wildcards > 0 && levels == 0:
		k, f = kArr, nil
	case src.wildcards == 0 && levels > 0:
		k = kAny
		if f != nil && f.Type == record.List {
			s := staticOf(f.Elem)
			k, f = s.kinds, s.field
		}
	}
	if k&^kNull == 0 || canConvert(k, f, field) {
		return
	}
	v.noConversion(i, m, field, strings.ToUpper((k &^ kNull).String()), fmt.Sprintf("%s cannot become %s", k&^kNull, field.Type))
}

func (v *reviewer) noConversion(i int, m *Mapping, field *record.Field, actual, why string) {
	e := ColumnError{Destination: m.Destination, Source: m.Source, Expected: typeWords[field.Type], Actual: actual, Message: why}
	v.fail(i, CodeConvert, "", "%s", e.Description())
}

// convertible are the kinds that can become a type of target (data-prep §5.6).
var convertible = map[record.Type]kinds{
	record.String: kScalar, record.Boolean: kText | kBool, record.Byte: kText | kNum, record.Short: kText | kNum, record.Int: kText | kNum,
	record.Long: kText | kNum | kDate, record.Number: kText | kNum, record.Date: kText | kInt | kDate, record.Timestamp: kText | kInt | kDate,
	record.Struct: kObj, record.Map: kObj,
}

// canConvert reports whether one of the kinds can become the target's type; from is the field of the input schema, nil if unknown.
func canConvert(k kinds, from, to *record.Field) bool {
	if to.Type != record.List {
		ok, known := convertible[to.Type]
		return !known || k.can(ok)
	}
	if from != nil && from.Type == record.List && from.Elem != nil && to.Elem != nil {
		s := staticOf(from.Elem)
		return canConvert(s.kinds, s.field, to.Elem)
	}
	if k.can(kArr) || to.Elem == nil {
		return true
	}
	return canConvert(k, from, to.Elem) // a single value becomes the only item
}

// duplicates finds mappings with the same destination (V5).
func (v *reviewer) duplicates() {
	type earlier struct {
		i    int
		path record.Path
	}
	groups := map[string][]earlier{}
	for i, p := range v.dests {
		if p == nil {
			continue
		}
		general := make(record.Path, len(p))
		wild := false
		for j, s := range p {
			if s.Index >= 0 {
				s.Index = record.Every
			} else {
				wild = wild || s.Index == record.Every
			}
			general[j] = s
		}
		key := general.String()
		for _, e := range groups[key] {
			if clash(e.path, p) {
				v.fail(i, CodeDuplicate, "/destination", "the destination %s is already written by mapping %d (%s)", p, e.i, v.set.Mappings[e.i].Destination)
				break
			}
		}
		groups[key] = append(groups[key], earlier{i, p})
	}
}

// clash reports whether two paths of the same shape can write the same place.
func clash(a, b record.Path) bool {
	for i := range a {
		if a[i].Index != b[i].Index && a[i].Index != record.Every && b[i].Index != record.Every {
			return false
		}
	}
	return true
}

func (v *reviewer) identities() {
	first := -1
	for i := range v.set.Mappings {
		if !v.set.Mappings[i].Primary {
			continue
		}
		if first >= 0 {
			v.fail(i, CodeIdentity, "/primaryIdentity", "mapping %d is the primary identity already; a set has one at most", first)
			continue
		}
		first = i
	}
}

// required finds required fields that no mapping can fill, below parents that are mapped or required themselves (V6).
func (v *reviewer) required(fields []record.Field, parent record.Path) {
	for i := range fields {
		f := &fields[i]
		at := append(append(record.Path{}, parent...), record.Step{Name: f.Name, Index: record.ByName})
		through, whole := v.mapped(at)
		if f.Required && !through && !whole {
			v.report.Set = append(v.report.Set, weir.Finding{Code: CodeNotMapped, Pointer: "/mappings", Message: fmt.Sprintf("the required field %s has no mapping", at)})
			continue
		}
		if whole || !through && !f.Required {
			continue // a mapped object brings its members along; what is not mapped needs none
		}
		for f.Type == record.List && f.Elem != nil {
			at = append(at, record.Step{Index: record.Every})
			f = f.Elem
		}
		if f.Type == record.Struct {
			v.required(f.Fields, at)
		}
	}
}

// mapped says whether mappings write into the field at a path (through), or the field or an object around it as a whole.
func (v *reviewer) mapped(at record.Path) (through, whole bool) {
	for i, p := range v.dests {
		if p == nil || v.never[i] {
			continue
		}
		n := 0
		for n < len(p) && n < len(at) && (p[n] == at[n] || p[n].Index != record.ByName && at[n].Index != record.ByName) {
			n++
		}
		switch {
		case n == len(p):
			whole = true
		case n == len(at):
			through = true
		}
	}
	return through, whole
}

// inputField resolves a source path in the input schema, nil if it is not there. As with records, a path whose first step is absent is tried inside the wrapper.
func inputField(in *record.Schema, wrapper string, p record.Path) *record.Field {
	if len(p) == 0 {
		return nil
	}
	names := make([]string, 0, len(p)+1)
	if wrapper != "" && in.Lookup(p[0].Name) == nil {
		names = append(names, wrapper)
	}
	for _, s := range p {
		if s.Index == record.ByName {
			names = append(names, s.Name)
		} else {
			names = append(names, "[]")
		}
	}
	return in.Lookup(names...)
}

const noSourcePrefix = "no field "

// noSource says that a source path is not in the input schema.
func noSource(in *record.Schema, wrapper string, p record.Path) string {
	hint := ""
	var names []string
	for i := range in.Fields {
		names = append(names, in.Fields[i].Name)
		if in.Fields[i].Name == wrapper {
			names = append(names, fieldNames(&in.Fields[i])...)
		}
	}
	if near := nearest(p[0].Name, names); near != "" && near != p[0].Name {
		hint = ", did you mean " + near + "?"
	}
	return fmt.Sprintf("%s%s in the input schema%s", noSourcePrefix, p, hint)
}
