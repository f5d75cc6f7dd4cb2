package mapping

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/setfamily"
	"weir/record"
)

// TestFormsHaveOperators checks which expressions run over columns and which row by row: results are the same, the speed is not.
func TestFormsHaveOperators(t *testing.T) {
	target := &record.Schema{Fields: []record.Field{{Name: "v", Type: record.String}}}
	for expr, byRow := range map[string]bool{
		"a.b.c": false, "l[0].x": false, `a["b"]`: false, "${a.b}": false, "${l[*].x}": false, "now()": false, "timestamp()": false, "uuid()": false,
		`contains_key("a.b")`: false, `join("/", transformArray(l, e -> e.x))`: false, "iif(a == 1, nullify(), b)": false, `date("2031-01-02")`: false,
		`upper(a.trim())`: false, `decode(a, "x", 1, 2)`: false, "size_of(l[*].x)": false,
		"transformArray(l, e -> e.x)": true, "l[*].x": true, "a.trim()": true, "[a, b]": true, `{"k": a}`: true, "l[n]": true, "contains_key(a)": true, "decode(a, b, 1, 2)": true,
	} {
		p, err := NewProgram(&Set{Mappings: []Mapping{{SourceType: Expression, Source: expr, Destination: "v"}}}, target, weir.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.NewLane("", time.Now()).Columns()[0].General != ""; got != byRow {
			t.Errorf("%s: row by row is %v, want %v", expr, got, byRow)
		}
	}
}

// TestCopiesHaveFastForms checks that copied objects and arrays are filled by columns in wrapped records and in sets with allowNullValues, too.
func TestCopiesHaveFastForms(t *testing.T) {
	item := record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "x", Type: record.String}, {Name: "y", Type: record.Long}}}
	target := &record.Schema{Fields: []record.Field{
		{Name: "o", Type: record.Struct, Fields: item.Fields},
		{Name: "l", Type: record.List, Elem: &item},
		{Name: "m", Type: record.List, Elem: &item},
		{Name: "s", Type: record.List, Elem: &record.Field{Name: "element", Type: record.String}},
	}}
	rule := func(from, to string) Mapping { return Mapping{SourceType: Attribute, Source: from, Destination: to} }
	rules := []Mapping{rule("d", "o"), rule("l", "l"), rule("l[*].x", "m[*].x"), rule("l[*].y", "m[*].y"), rule("l[*].x", "s")}
	lines := []string{
		`{"w":{"d":{"x":"a","y":1},"l":[{"x":"p","y":2},{},{"y":"3"},null]}}`, `{"w":{"d":{},"l":[]}}`, `{"w":{"d":null,"l":null}}`, `{"w":{}}`, `{}`,
		`{"d":{"x":"root"},"w":{"d":{"x":"in"},"l":[{"x":null}]}}`, `{"l":[{"x":"root"}],"w":{"l":[{"x":"in"}]}}`, `{"w":{"l":[{"x":[]}],"d":{"x":{},"y":"n"}}}`,
		`{"l[*].x":["k"],"w":{"l":[{"x":"in"}]}}`, `{"w":{"l[*].x":"k","l":"one","d":5}}`, `{"w":{"d":{"z":1},"l":[{"z":1}]}}`, `{"w":5,"d":{"y":7}}`,
	}
	for _, set := range []*Set{{Mappings: rules}, {Mappings: rules, AllowNulls: true}} {
		for _, shape := range []weir.Shape{{}, {Wrapper: "w"}} {
			p, err := NewProgram(set, target, shape)
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range p.tasks {
				if tree, ok := task.(*treeTask); !ok || tree.quick == nil {
					t.Errorf("allowNullValues %v, wrapper %q: %s has no fast form", set.AllowNulls, shape.Wrapper, p.parts[tree.id].path)
				}
			}
			agree(t, set, target, shape, lines)
		}
	}
}

// TestLaneMemoryIsConstant runs many records through one lane: what it keeps does not grow with them (data-prep §14, 85). WEIR_TEST_MILLION=1 runs a million.
func TestLaneMemoryIsConstant(t *testing.T) {
	rounds := 16
	if os.Getenv("WEIR_TEST_MILLION") != "" {
		rounds = 1000
	}
	var exprs []Mapping
	var target record.Schema
	for i, expr := range []string{
		"upper(trim(first))", "transformArray(lines, l -> concat(l.sku, l.qty))", "zone_date_to_zone(created, concat(zone, id))", "ua_os_name(concat(agent, id))", "sha256(id)",
		"matches_regex(code, concat(state, id))", "uuid()", "date(updated)", "n1.n2", `decode(state, "open", lines[*].sku, tags)`, "num / 0", "format(created, concat(\"yyyy\", num))",
	} {
		name := "v" + itoa(i)
		exprs = append(exprs, Mapping{SourceType: Expression, Source: expr, Destination: name})
		f := record.Field{Name: name, Type: record.String}
		if i%3 == 1 {
			f = record.Field{Name: name, Type: record.List, Elem: &record.Field{Name: "element", Type: record.String}}
		}
		target.Fields = append(target.Fields, f)
	}
	p, err := NewProgram(&Set{Mappings: exprs}, &target, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	lane := p.NewLane("run", time.Now())
	size := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var buf []byte
	var early int64
	for round := range rounds {
		text := ""
		for i := range 4 { // 1000 records, 250 of them different
			var b strings.Builder
			for k := range 250 {
				b.Write(setfamily.AppendRecord(nil, 1000*round+k+i, false))
				b.WriteByte('\n')
			}
			text += b.String()
		}
		buf = append(append(buf[:0], text...), make([]byte, record.Pad)...)
		for at := 0; at < len(text); {
			at = lane.Scan(buf, at, len(text), int64(round)<<30)
			buf = lane.Batch().Buf[:len(text)+record.Pad]
		}
		if round == rounds/4 {
			early = size()
		}
	}
	if grown := size() - early; grown > 2<<20 {
		t.Errorf("%d bytes more after %d thousand records than after a quarter of them", grown, rounds)
	} else {
		t.Logf("%d thousand records: %d bytes more than after a quarter of them", rounds, grown)
	}
	runtime.KeepAlive(lane)
}
