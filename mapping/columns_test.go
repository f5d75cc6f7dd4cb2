package mapping

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/record"
)

// agree runs records through the transformer and through the program and compares rows, warnings and rejects.
func agree(t *testing.T, set *Set, target *record.Schema, shape weir.Shape, lines []string) {
	t.Helper()
	tr, err := NewTransformer(set, target, shape)
	if err != nil {
		return // a set that cannot run has no program either
	}
	p, err := NewProgram(set, target, shape)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	var want, got []string
	warned, warnedRows := map[string]int64{}, int64(0)
	text := strings.Join(lines, "\n") + "\n"
	env := NewEnv("run", now)
	at := 0
	for _, line := range lines {
		rec, err := record.Parse([]byte(line))
		if err != nil || rec.Kind() != record.KindObject {
			want = append(want, "malformed")
			at += len(line) + 1
			continue
		}
		env.Next(int64(at))
		at += len(line) + 1
		r := tr.Transform(rec, env)
		if len(r.Reject) > 0 {
			want = append(want, fmt.Sprint("reject ", r.Reject))
			continue
		}
		want = append(want, plainJSON(t, plainObject(r.Data, target.Fields)))
		for _, w := range r.Warnings {
			warned[w.Destination]++
		}
		if len(r.Warnings) > 0 {
			warnedRows++
		}
	}
	lane := p.NewLane("run", now)
	buf := append([]byte(text), make([]byte, record.Pad)...)
	for at := 0; at < len(text); {
		at = lane.Scan(buf, at, len(text), 0)
		got = append(got, outcomes(t, lane, target)...)
		buf = lane.Batch().Buf[:len(text)+record.Pad]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("set %s, wrapper %q (-transformer +program):\n%s\nrecords:\n%.2000s", describeSet(set), shape.Wrapper, d, text)
	}
	gotWarned := map[string]int64{}
	lane.Warnings(func(_, column string, n int64) { gotWarned[column] = n })
	if d := cmp.Diff(warned, gotWarned); d != "" || lane.Warned() != warnedRows {
		t.Errorf("set %s: warnings in %d rows, want %d (-transformer +program):\n%s", describeSet(set), lane.Warned(), warnedRows, d)
	}
}

func describeSet(set *Set) string {
	var b strings.Builder
	for _, m := range set.Mappings {
		fmt.Fprintf(&b, "\n  %s %s -> %s", m.SourceType, m.Source, m.Destination)
	}
	return b.String()
}

// outcomes lists what became of the records of a batch, in order.
func outcomes(t *testing.T, lane *Lane, target *record.Schema) []string {
	t.Helper()
	type entry struct {
		off  int
		text string
	}
	var all []entry
	b := lane.Batch()
	for i := range b.Rows {
		if b.Sel != nil && !slices.Contains(b.Sel, int32(i)) {
			continue
		}
		row := map[string]any{}
		for c := range b.Cols {
			if v := columnValue(b, &b.Cols[c], i); v != nil {
				row[target.Fields[c].Name] = v
			}
		}
		all = append(all, entry{int(lane.sp.Off[i]), plainJSON(t, row)})
	}
	for _, r := range lane.Rejects() {
		if r.Malformed {
			all = append(all, entry{r.Off, "malformed"})
			continue
		}
		var errs []RowError
		for _, e := range r.Errors {
			errs = append(errs, RowError{Code: e.Code, Path: e.Column, Message: e.Message})
		}
		all = append(all, entry{r.Off, fmt.Sprint("reject ", errs)})
	}
	slices.SortFunc(all, func(a, b entry) int { return a.off - b.off })
	var out []string
	for _, e := range all {
		out = append(out, e.text)
	}
	return out
}

func plainJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// columnValue is row i of a column as plain values; nil for null.
func columnValue(b *record.Batch, c *record.Column, i int) any {
	if c.Null(i) {
		return nil
	}
	switch c.Field.Type {
	case record.String:
		return string(c.Text[i].In(b.Buf))
	case record.Struct:
		m := map[string]any{}
		for k := range c.Kids {
			if v := columnValue(b, &c.Kids[k], i); v != nil {
				m[c.Kids[k].Field.Name] = v
			}
		}
		return m
	case record.List:
		l := []any{}
		for k := c.Start[i]; k < c.Start[i+1]; k++ {
			l = append(l, columnValue(b, &c.Kids[0], int(k)))
		}
		return l
	case record.Map:
		m := map[string]any{}
		for k := c.Start[i]; k < c.Start[i+1]; k++ {
			m[columnValue(b, &c.Kids[0], int(k)).(string)] = columnValue(b, &c.Kids[1], int(k))
		}
		return m
	default:
	}
	return plainWord(c.Words[i], c.Field.Type)
}

func plainWord(x uint64, t record.Type) any {
	switch t {
	case record.Boolean:
		return x == 1
	case record.Number:
		return fmt.Sprint(math.Float64frombits(x))
	case record.Date:
		return time.Unix(int64(x)*86400, 0).UTC().Format("day 2006-01-02")
	case record.Timestamp:
		return time.UnixMicro(int64(x)).UTC().Format("time 2006-01-02T15:04:05.999999")
	default:
	}
	return int64(x)
}

// plainObject is a transformed object as columns can hold it.
func plainObject(v record.Value, fields []record.Field) map[string]any {
	m := map[string]any{}
	for i := range fields {
		if x, _ := v.Get(fields[i].Name); !x.IsNull() {
			m[fields[i].Name] = plainValue(x, &fields[i])
		}
	}
	return m
}

func plainValue(v record.Value, f *record.Field) any {
	if v.IsNull() {
		return nil
	}
	switch f.Type {
	case record.String:
		return v.Text()
	case record.Struct:
		return plainObject(v, f.Fields)
	case record.List:
		l := []any{}
		for _, e := range v.Items() {
			l = append(l, plainValue(e, f.Elem))
		}
		return l
	case record.Map:
		m := map[string]any{}
		for i := range v.Object().Len() {
			name, e := v.Object().Member(i)
			m[name] = plainValue(e, f.Elem)
		}
		return m
	default:
	}
	return plainWord(wordOf(v, f.Type), f.Type)
}

// oneField is a target with a single field of every type a vector may be converted to.
func vectorTargets() []*record.Field {
	var out []*record.Field
	for _, name := range []string{"string", "integer", "number", "boolean", "date", "date-time", "array<string>", "array<integer>", "object"} {
		f := typeField(name)
		f.Name = "v"
		if f.Type == record.Map {
			f.Elem = &record.Field{Name: "value", Type: record.String}
		}
		if f.Type == record.List {
			f.Elem.Name = "element"
		}
		out = append(out, f)
	}
	return out
}

// TestProgramAgreesOnVectors holds the program to the transformer over every expression of the contract's vectors, converted to text and one other type,
// also inside an object with a required member.
func TestProgramAgreesOnVectors(t *testing.T) {
	targets := vectorTargets()
	for i, v := range readVectors(t) {
		if v.Expr == nil {
			continue
		}
		lines := []string{compact(t, v.Input), `{}`, compact(t, v.Input)}
		for _, f := range []*record.Field{targets[0], targets[1+i%(len(targets)-1)]} {
			target := &record.Schema{Fields: []record.Field{*f, {Name: "o", Type: record.Struct, Fields: []record.Field{*f, {Name: "k", Type: record.String}}}}}
			target.Fields[1].Fields[0].Required = true
			set := &Set{Mappings: []Mapping{
				{SourceType: Expression, Source: *v.Expr, Destination: "v"},
				{SourceType: Expression, Source: *v.Expr, Destination: "o.v"},
				{SourceType: Static, Source: "x", Destination: "o.k"},
			}}
			agree(t, set, target, weir.Shape{}, lines)
		}
		if t.Failed() {
			t.Fatal("stopped at ", v.ID)
		}
	}
}

func TestProgramAgreesOnMappingVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		if v.Mappings == nil || v.Schema == nil {
			continue
		}
		set, err := ParseSet(fmt.Appendf(nil, `{"mappings":%s,"allowNullValues":%v}`, v.Mappings, v.AllowNulls))
		if err != nil {
			t.Fatal(err)
		}
		line := compact(t, v.Input)
		agree(t, set, schemaOf(t, v.Schema), weir.Shape{}, []string{line, `{}`, line, `{"a":`, line})
	}
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	v, err := record.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(v.AppendJSON(nil))
}

// generator makes random targets, sets and records that have much to do with each other.
type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

var leafTypes = []record.Type{record.String, record.String, record.Boolean, record.Byte, record.Int, record.Long, record.Number, record.Date, record.Timestamp}

func (g generator) field(name string, depth int) record.Field {
	f := record.Field{Name: name, Type: leafTypes[g.IntN(len(leafTypes))], Required: g.IntN(12) == 0}
	if depth > 0 {
		switch g.IntN(6) {
		case 0, 1:
			f.Type = record.Struct
			for i := range 1 + g.IntN(3) {
				f.Fields = append(f.Fields, g.field(fmt.Sprint("f", i), depth-1))
			}
		case 2:
			f.Type = record.List
			e := g.field("element", depth-1)
			e.Required = false
			f.Elem = &e
		case 3:
			f.Type = record.Map
			e := g.field("value", depth-1)
			e.Required = false
			f.Elem = &e
		}
	}
	if f.Type == record.String && g.IntN(8) == 0 {
		n := g.IntN(4)
		f.Check = &record.Check{MaxLength: &n}
	}
	if f.Type == record.Number && g.IntN(4) == 0 {
		x := 3.0
		f.Check = &record.Check{Minimum: &x}
	}
	return f
}

// destinations are paths into a target.
func destinations(fields []record.Field, at string) []string {
	var out []string
	for i := range fields {
		out = append(out, fieldDestinations(&fields[i], at+fields[i].Name)...)
	}
	return out
}

func fieldDestinations(f *record.Field, at string) []string {
	out := []string{at}
	switch f.Type {
	case record.Struct:
		out = append(out, destinations(f.Fields, at+".")...)
	case record.List:
		out = append(out, fieldDestinations(f.Elem, at+"[*]")...)
		out = append(out, fieldDestinations(f.Elem, at+"[1]")...)
	case record.Map:
		out = append(out, fieldDestinations(f.Elem, at+".key")...)
	default:
	}
	return out
}

func (g generator) attribute() string {
	return g.pick("a", "b", "c", "d.x", "d.y", "d", "l", "l[*]", "l[*].x", "l[*].y", "l[*].m[*].z", "l[0].x", "l[1]", "d.f0", "f0", "f1", "missing", "a.b", "w", `a\.b`, "d.l[*].x", "${a.b}", "l[*].m[*]", "l[*].m")
}

func (g generator) expression(depth int) string {
	if depth == 0 {
		return g.pick("a", "b", "c", "d.x", "d.y", "d", "l", `"Text ü "`, `"x"`, `""`, "3", "2.50", "null", "true", "missing", "l[*].x", "f0", "d.f0", "${a.b}", `"2031-01-02"`, `"2"`, "l[0].x", "-7", "d.l")
	}
	x := func() string { return g.expression(g.IntN(depth)) }
	switch g.IntN(20) {
	case 0:
		return fmt.Sprintf("%s(%s)", g.pick("lower", "upper", "trim", "ltrim", "rtrim", "sha256", "md5", "is_empty", "size_of", "to_integer", "to_decimal", "date", "sha1"), x())
	case 1:
		return fmt.Sprintf("concat(%s, %s, %s)", x(), x(), x())
	case 2:
		return fmt.Sprintf("(%s ? %s : %s)", x(), x(), x())
	case 3:
		return fmt.Sprintf("iif(%s, %s, %s)", x(), x(), x())
	case 4:
		return fmt.Sprintf("(%s %s %s)", x(), g.pick("?:", "??", "&&", "||"), x())
	case 5:
		return fmt.Sprintf("(%s %s %s)", x(), g.pick("==", "!=", "<", "<=", ">", ">="), x())
	case 6:
		return fmt.Sprintf("(%s %s %s)", x(), g.pick("+", "-", "*", "/", "%", "+", "+"), x())
	case 7:
		return fmt.Sprintf("(%s %s %s)", x(), g.pick("=~", "=^", "=$", "!^", "!$", "&", "|"), x())
	case 8:
		return fmt.Sprintf("%s(%s)", g.pick("!", "empty", "size", "-", "~"), x())
	case 9:
		return fmt.Sprintf(`decode(%s, "x", %s, "true", %s, %s)`, x(), x(), x(), x())
	case 10:
		return fmt.Sprintf(`decode(%s, "2", %s)`, x(), x())
	case 11:
		return fmt.Sprintf("coalesce(%s, %s)", x(), x())
	case 12:
		return fmt.Sprintf("substr(%s, %d, %d)", x(), g.IntN(4), g.IntN(4))
	case 13:
		return fmt.Sprintf("%s(%s, %d)", g.pick("left", "right"), x(), g.IntN(5)-1)
	case 14:
		return fmt.Sprintf("replacestr(%s, %s, %s)", x(), x(), x())
	case 15:
		return fmt.Sprintf(`to_object("f0", %s, "f1", %s)`, x(), x())
	case 16:
		return g.pick("uuid()", "nullify()", `contains_key("d.x")`, "timestamp()", "now()", `split(a, " ")`, "transformArray(l, e -> e.x)", "first(l)", `date("2031-03-04T05:06:07+02:00")`)
	case 17:
		return fmt.Sprintf("%s.%s(%s)", x(), g.pick("equals", "equalsIgnoreCase"), x())
	case 18:
		return fmt.Sprintf("[%s, %s]", x(), x())
	}
	return fmt.Sprintf(`explode(%s, ",")`, x())
}

func (g generator) json(depth int) string {
	if depth == 0 {
		return g.pick(`"x"`, `"X Y"`, `"ü Ü"`, `""`, `" "`, `"true"`, `"false"`, `"2"`, `"-3.50"`, `"007"`, `"2031-02-03"`, `"2031-02-03T04:05:06Z"`, `"2031-02-03T04:05:06.789+02:00"`, `"2031-02-30"`,
			`"03/04/2031"`, `"20310405"`, `"a\tb"`, `"\u00e9"`, `"\ud800"`, "1", "0", "-0", "2", "2.0", "2.50", "1e3", "1e400", "123456789012345678", "12345678901234567890", "9007199254740993", "-7", "127", "128",
			"true", "false", "null", "null", `"Yes"`, `"1,2"`, "1700000000000", `"ẞ"`, `" 4 "`, `"+5"`, "0.1", "100000000000000000000")
	}
	switch g.IntN(4) {
	case 0:
		return g.json(0)
	case 1:
		n := g.IntN(4)
		parts := make([]string, n)
		for i := range parts {
			parts[i] = g.json(depth - 1)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return g.object(depth-1, "x", "y", "f0", "f1", "m", "z", "l", "key", "k2")
}

func (g generator) object(depth int, names ...string) string {
	var parts []string
	for range g.IntN(len(names) + 2) {
		parts = append(parts, fmt.Sprintf("%q:%s", names[g.IntN(len(names))], g.json(g.IntN(depth+1))))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (g generator) record() string {
	if g.IntN(40) == 0 {
		return g.pick(`{"a":1`, `[]`, `"x"`, `{"a":01}`)
	}
	names := []string{"a", "b", "c", "d", "l", "f0", "f1", "f2", "w", "a.b", "d", "l"}
	var parts []string
	for range g.IntN(16) {
		name := names[g.IntN(len(names))]
		v := g.json(g.IntN(4))
		if name == "w" {
			v = g.object(2, "a", "b", "d", "f0", "l", "a.b")
		}
		parts = append(parts, fmt.Sprintf("%q:%s", name, v))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// scenario runs one random set over random records.
func scenario(t *testing.T, seed uint64) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 11))}
	target := &record.Schema{}
	for i := range 1 + g.IntN(5) {
		target.Fields = append(target.Fields, g.field(fmt.Sprint("f", i), g.IntN(4)))
	}
	dests := destinations(target.Fields, "")
	set := &Set{AllowNulls: g.IntN(10) == 0}
	copies := g.IntN(3) == 0
	for range 1 + g.IntN(7) {
		m := Mapping{Destination: dests[g.IntN(len(dests))]}
		switch k := g.IntN(8); {
		case copies:
			m.SourceType, m.Source = Attribute, g.pick("l[*].x", "l[*].y", "l[*].f0", "l[*].d.x", "l", "d", "f0", "f1", "d.l", "w", "a")
		case k == 0:
			m.SourceType, m.Source = Static, g.pick("x", "7", "2031-01-01", "true", "")
			if m.Source == "" {
				m.Source = " "
			}
		case k < 4:
			m.SourceType, m.Source = Attribute, g.attribute()
		default:
			m.SourceType, m.Source = Expression, g.expression(g.IntN(4))
		}
		set.Mappings = append(set.Mappings, m)
	}
	shape := weir.Shape{}
	if g.IntN(3) == 0 {
		shape.Wrapper = "w"
	}
	lines := make([]string, 1+g.IntN(40))
	for i := range lines {
		lines[i] = g.record()
	}
	agree(t, set, target, shape, lines)
}

// TestProgramAgreesWithTransformer is the property behind the program: whatever the set, the target and the records, both paths make the same of them.
func TestProgramAgreesWithTransformer(t *testing.T) {
	n := uint64(600)
	if testing.Short() {
		n = 150
	}
	for seed := range n {
		scenario(t, seed)
		if t.Failed() {
			t.Fatal("seed ", seed)
		}
	}
}

func FuzzProgram(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { scenario(t, seed) })
}

// TestProgramArrays checks the fast forms of arrays of objects: they must be taken, and agree.
func TestProgramArrays(t *testing.T) {
	three := 3
	price := record.Field{Name: "price", Type: record.Struct, Fields: []record.Field{{Name: "amount", Type: record.Number}, {Name: "currency", Type: record.String, Check: &record.Check{MaxLength: &three}}}}
	tags := record.Field{Name: "tags", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Int}}
	item := record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "sku", Type: record.String, Required: true}, price, tags}}
	target := &record.Schema{Fields: []record.Field{{Name: "items", Type: record.List, Elem: &item}, {Name: "one", Type: record.Struct, Fields: item.Fields}}}
	rule := func(from, to string) Mapping { return Mapping{SourceType: Attribute, Source: from, Destination: to} }
	sets := [][]Mapping{
		{rule("l[*].x", "items[*].sku"), rule("l[*].p", "items[*].price.amount"), rule("l[*].q.c", "items[*].price.currency")},
		{rule("l", "items")},
		{rule("d.l", "items"), rule("l[0]", "one")},
		{rule("a[*].sku", "items[*].sku")},
	}
	g := generator{rand.New(rand.NewPCG(5, 6))}
	value := func() string { return g.json(0) }
	element := func() string {
		switch g.IntN(8) {
		case 0:
			return value()
		case 1:
			return "{}"
		}
		var parts []string
		for _, name := range []string{"x", "p", "sku"} {
			if g.IntN(4) > 0 {
				parts = append(parts, fmt.Sprintf("%q:%s", name, value()))
			}
		}
		if g.IntN(2) == 0 {
			parts = append(parts, fmt.Sprintf(`"q":{"c":%s}`, value()), fmt.Sprintf(`"price":{"amount":%s,"currency":%s}`, value(), value()))
		}
		if g.IntN(3) == 0 {
			parts = append(parts, fmt.Sprintf(`"tags":[%s,%d]`, value(), g.IntN(99)), `"price":`+value())
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	for i, rules := range sets {
		set := &Set{Mappings: rules}
		p, err := NewProgram(set, target, weir.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range p.tasks {
			if tree, ok := task.(*treeTask); !ok || tree.quick == nil {
				t.Errorf("set %d: a task has no fast form", i)
			}
		}
		for range 60 {
			lines := make([]string, 40)
			for k := range lines {
				var list []string
				for range g.IntN(4) {
					list = append(list, element())
				}
				l := "[" + strings.Join(list, ",") + "]"
				lines[k] = fmt.Sprintf(`{"l":%s,"d":{"l":%s},"a":%s}`, l, l, g.pick(l, "null", `"x"`, "{}"))
				if g.IntN(30) == 0 {
					lines[k] = `{"l[*].x":["k"],"l":[{"x":1}],"d.l":[{"sku":1}],"l[0]":{"sku":2},"a[*].sku":1}`
				}
			}
			agree(t, set, target, weir.Shape{}, lines)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestLaneBoundsMadeText maps letters to long texts: the buffer must not grow with the batch.
func TestLaneBoundsMadeText(t *testing.T) {
	target := &record.Schema{Fields: []record.Field{{Name: "a", Type: record.String}, {Name: "b", Type: record.String}}}
	set := &Set{Mappings: []Mapping{
		{SourceType: Expression, Source: `lpad(x, 400000, "-")`, Destination: "a"}, {SourceType: Expression, Source: `rpad(x, 400000, "-")`, Destination: "b"},
	}}
	p, err := NewProgram(set, target, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	lane := p.NewLane("", time.Now())
	text := strings.Repeat(`{"x":"y"}`+"\n", 600)
	buf := append([]byte(text), make([]byte, record.Pad)...)
	rows, most := 0, 0
	for at := 0; at < len(text); {
		at = lane.Scan(buf, at, len(text), 0)
		rows += lane.Batch().Rows
		most = max(most, len(lane.Batch().Buf))
		buf = lane.Batch().Buf[:len(buf)]
	}
	if rows != 600 || most > 48<<20 {
		t.Errorf("%d rows, a buffer of %d bytes", rows, most)
	}
}
