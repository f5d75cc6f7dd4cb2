package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/record"
)

// linesOf are records as a comparison takes them; a line that is no JSON is an error.
func linesOf(lines ...string) iter.Seq2[record.Value, error] {
	return func(yield func(record.Value, error) bool) {
		for _, l := range lines {
			if !yield(record.Parse([]byte(l))) {
				return
			}
		}
	}
}

func diffOf(t *testing.T, schema, from, to string, examples int, records iter.Seq2[record.Value, error]) *DiffReport {
	t.Helper()
	var target *record.Schema
	if schema != "" {
		target = schemaOf(t, []byte(schema))
	}
	var both [2]*Transformer
	for i, mappings := range []string{from, to} {
		if !strings.HasPrefix(mappings, "{\"mappings\"") {
			mappings = `{"mappings":[` + mappings + `]}`
		}
		tr, err := NewTransformer(parseSet(t, mappings), target, weir.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = tr
	}
	r, err := Diff(both[0], both[1], records, DiffOptions{Now: time.Unix(0, 0), Examples: examples})
	if err != nil {
		t.Fatal(err)
	}
	if sum := r.Same + r.Changed + r.OnlyRejectedByFrom + r.OnlyRejectedByTo + r.RejectedByBoth + r.Unreadable; sum != r.Records {
		t.Errorf("%d records, but the outcomes add up to %d", r.Records, sum)
	}
	return r
}

// brief is a report as lines: the counts that are not zero, and each destination with its figures.
func brief(r *DiffReport) string {
	var b strings.Builder
	for _, c := range []struct {
		name string
		n    int64
	}{
		{"records", r.Records},
		{"same", r.Same},
		{"changed", r.Changed},
		{"only from rejects", r.OnlyRejectedByFrom},
		{"only to rejects", r.OnlyRejectedByTo},
		{"both reject", r.RejectedByBoth},
		{"rejects differ", r.RejectsDiffer},
		{"warnings differ", r.WarningsDiffer},
		{"unreadable", r.Unreadable},
		{"others", r.OtherDestinations},
	} {
		if c.n > 0 {
			fmt.Fprintf(&b, "%s %d, ", c.name, c.n)
		}
	}
	for _, p := range r.Destinations {
		fmt.Fprintf(&b, "\n%s ~%d +%d -%d", p.Destination, p.Changed, p.Appeared, p.Vanished)
		for _, t := range p.TypeChanges {
			fmt.Fprintf(&b, " %s>%s %d", t.From, t.To, t.Count)
		}
		if p.WarningsFrom+p.WarningsTo > 0 {
			fmt.Fprintf(&b, " warn %d/%d", p.WarningsFrom, p.WarningsTo)
		}
		if p.RejectsFrom+p.RejectsTo > 0 {
			fmt.Fprintf(&b, " reject %d/%d", p.RejectsFrom, p.RejectsTo)
		}
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	const id = `{"source":"id","destination":"_id"}`
	expr := func(source, dest string) string {
		raw, _ := json.Marshal(map[string]string{"sourceType": "EXPRESSION", "source": source, "destination": dest})
		return string(raw)
	}
	cases := []struct {
		name, schema, from, to string
		records                []string
		want                   string
	}{
		{"the same set", personSchema, id, id, []string{`{"id":1}`, `{"id":2}`}, "records 2, same 2, "},
		{
			"order of mappings", "", `{"source":"a","destination":"x"},{"source":"b","destination":"y"}`, `{"source":"b","destination":"y"},{"source":"a","destination":"x"}`,
			[]string{`{"a":1,"b":2}`},
			"records 1, same 1, ",
		},
		{
			"changed value", personSchema, id + "," + expr("f", "person.last"), id + "," + expr("upper(f)", "person.last"),
			[]string{`{"id":1,"f":"a"}`, `{"id":2,"f":"B"}`, `{"id":3,"f":"c"}`},
			"records 3, same 1, changed 2, \nperson.last ~2 +0 -0",
		},
		{
			"appeared and vanished", personSchema, id + `,{"source":"a","destination":"age"}`, id + `,{"source":"l","destination":"person.last"}`,
			[]string{`{"id":1,"a":5,"l":"x"}`, `{"id":2,"a":5}`, `{"id":3}`},
			"records 3, same 1, changed 2, \nage ~0 +0 -2\nperson.last ~0 +1 -0",
		},
		{"types", "", expr("a", "x"), expr("to_integer(a)", "x"), []string{`{"a":"5"}`, `{"a":"6"}`, `{"a":7}`}, "records 3, same 1, changed 2, \nx ~2 +0 -0 text>integer 2"},
		{
			"kinds of numbers without a schema", "", `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`,
			[]string{`{"a":1,"b":1.0}`, `{"a":1.50,"b":1.5}`, `{"a":12345678901234567890.1,"b":12345678901234567890.2}`},
			"records 3, same 1, changed 2, \nx ~2 +0 -0 integer>number 1",
		},
		{
			"numbers of a schema", `{"properties":{"x":{"type":"number"}}}`, `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`,
			[]string{`{"a":1,"b":1.0}`, `{"a":1.50,"b":1.5}`, `{"a":1,"b":2.5}`},
			"records 3, same 2, changed 1, \nx ~1 +0 -0",
		},
		{
			"instants of a schema", `{"properties":{"x":{"type":"string","format":"date-time"}}}`, `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`,
			[]string{`{"a":"2024-01-01T12:00:00Z","b":"2024-01-01T13:00:00+01:00"}`, `{"a":"2024-01-01T12:00:00Z","b":"2024-01-01T12:00:00+01:00"}`},
			"records 2, same 1, changed 1, \nx ~1 +0 -0",
		},
		{
			"arrays of objects by element", personSchema, id + `,{"source":"r[*].s","destination":"lines[*].sku"}`, id + `,{"source":"r[*].s","destination":"lines[*].sku"},{"source":"r[*].q","destination":"lines[*].qty"}`,
			[]string{`{"id":1,"r":[{"s":"a","q":1},{"s":"b"},{"s":"c","q":3}]}`},
			"records 1, changed 1, \nlines[*].qty ~0 +2 -0",
		},
		{
			"shorter array", "", `{"source":"r","destination":"x"}`, `{"source":"s","destination":"x"}`,
			[]string{`{"r":[{"a":1},{"a":2,"b":3}],"s":[{"a":9}]}`},
			"records 1, changed 1, \nx[*].a ~1 +0 -1\nx[*].b ~0 +0 -1",
		},
		{
			"plain arrays and maps as a whole", personSchema, id + `,{"source":"t","destination":"tags"},{"source":"m","destination":"more"}`, id + `,{"source":"u","destination":"tags"},{"source":"n","destination":"more"}`,
			[]string{`{"id":1,"t":["a","b"],"u":["a","c"],"m":{"k":"1","l":"2"},"n":{"l":"2","k":"1"}}`, `{"id":1,"t":["a"],"u":["a"],"m":{"k":"1"},"n":{"k":"2","z":"3"}}`},
			"records 2, changed 2, \nmore ~1 +0 -0\ntags ~1 +0 -0",
		},
		{
			"null and absent", "", `{"source":"a","destination":"x"}`, `{"mappings":[{"source":"a","destination":"x"}],"allowNullValues":true}`,
			[]string{`{"a":null}`, `{"a":1}`},
			"records 2, same 1, changed 1, \nx ~0 +1 -0",
		},
		{
			"object and value", "", `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`,
			[]string{`{"a":{"k":1},"b":"t"}`, `{"a":{"k":{}},"b":{"k":[]}}`},
			"records 2, changed 2, \nx ~1 +0 -0 object>text 1\nx.k ~1 +0 -0 object>array 1",
		},
		{
			"rejects", personSchema, id, `{"source":"key","destination":"_id"}`,
			[]string{`{"id":"a","key":"a"}`, `{"id":"a"}`, `{"key":"a"}`, `{"key":"b"}`, `{}`},
			"records 5, same 1, only from rejects 2, only to rejects 1, both reject 1, \n_id ~0 +0 -0 reject 2/1",
		},
		{
			"rejects differ", personSchema, id + `,{"source":"l","destination":"person.first"}`, id + `,{"source":"l","destination":"person.last"}`,
			[]string{`{"l":"x"}`},
			"records 1, both reject 1, rejects differ 1, \nperson.last ~0 +0 -0 reject 1/0",
		},
		{
			"warnings", personSchema, id + `,{"source":"a","destination":"age"}`, id + `,` + expr("to_integer(trim(a))", "age"),
			[]string{`{"id":1,"a":"x"}`, `{"id":1,"a":"7"}`, `{"id":1,"a":{"k":1}}`},
			"records 3, same 3, warnings differ 2, \nage ~0 +0 -0 warn 2/2",
		},
		{
			"uuid and now", "", expr("uuid()", "x") + `,` + expr("now()", "y"), `{"source":"a","destination":"z"},` + expr("now()", "y") + `,` + expr("uuid()", "x") + `,` + expr("uuid()", "w"),
			[]string{`{}`, `{}`},
			"records 2, changed 2, \nw ~0 +2 -0",
		},
		{"uuid of a new mapping at the place of an old one", "", expr("uuid()", "x"), expr("uuid()", "w") + `,` + expr("uuid()", "x"), []string{`{}`}, "records 1, changed 1, \nw ~0 +1 -0"},
		{
			"rejects in arrays", personSchema, id + `,{"source":"r[*].s","destination":"lines[*].sku"},{"source":"r[*].q","destination":"lines[*].qty"}`, id,
			[]string{`{"id":1,"r":[{"q":1},{"s":"b","q":2}]}`, `{"id":1,"r":[{"s":"a","q":1},{"q":2}]}`},
			"records 2, only from rejects 2, \nlines[*].sku ~0 +0 -0 reject 2/0",
		},
		{"an empty object", "", `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`, []string{`{"a":{"n":1},"b":{"n":1,"k":{}}}`}, "records 1, changed 1, \nx.k ~0 +1 -0"},
		{"no JSON", "", id, `{"source":"id","destination":"_id"}`, []string{`{"id":1}`, `{`, `{"id":2}`}, "records 3, same 2, unreadable 1, "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := diffOf(t, c.schema, c.from, c.to, 2, linesOf(c.records...))
			if d := cmp.Diff(c.want, brief(r)); d != "" {
				t.Errorf("report (-want +got):\n%s", d)
			}
		})
	}
}

func TestDiffExamples(t *testing.T) {
	long := strings.Repeat("é", 600)
	r := diffOf(t, personSchema, `{"source":"id","destination":"_id"},{"source":"a","destination":"age"}`,
		`{"source":"id","destination":"_id"},{"source":"b","destination":"age"},{"source":"c","destination":"person.last"}`, 2,
		linesOf(`{"id":"k","a":1,"b":1}`, `{"id":"k","a":1,"b":2}`, `nonsense`, `{"id":"k","a":1,"c":"`+long+`"}`, `{"id":"k","a":3,"b":4}`, `{"id":"k","a":"one","b":1}`, `{"b":2}`))
	want := []DiffExample{
		{Record: 1, Destination: "age", Before: json.RawMessage("1"), After: json.RawMessage("2")},
		{Record: 3, Destination: "age", Before: json.RawMessage("1")},
		{Record: 3, Destination: "person.last", After: json.RawMessage(`"\"` + strings.Repeat("é", 249) + `…"`), Cut: true},
	}
	if d := cmp.Diff(want, r.Examples); d != "" {
		t.Errorf("examples (-want +got):\n%s", d)
	}
	if got := r.Destinations[0]; got.Destination != "age" || got.Changed != 2 || got.Vanished != 1 || got.Appeared != 1 || got.WarningsFrom != 1 {
		t.Errorf("figures count on when the examples are full: %+v", got)
	}
	if len(r.Rejects) != 0 {
		t.Errorf("a record that both reject for the same reason is an example: %+v", r.Rejects)
	}
	if raw, err := json.Marshal(r); err != nil || !json.Valid(raw) || strings.Contains(string(raw), "null") {
		t.Errorf("as JSON: %s, %v", raw, err)
	}
}

func TestDiffRejectExamples(t *testing.T) {
	r := diffOf(t, personSchema, `{"source":"id","destination":"_id"}`, `{"source":"key","destination":"_id"}`, 1,
		linesOf(`{"id":"a"}`, `{"id":"b"}`, `{"key":"a"}`, `{}`))
	want := []DiffReject{
		{Record: 0, To: []DiffReason{{Code: CodeRequired, Path: "_id"}}},
		{Record: 2, From: []DiffReason{{Code: CodeRequired, Path: "_id"}}},
	}
	if d := cmp.Diff(want, r.Rejects, cmpopts.IgnoreFields(DiffReason{}, "Message")); d != "" {
		t.Errorf("rejects (-want +got):\n%s", d)
	}
	if r.Rejects[0].To[0].Message != "the required field _id has no value" {
		t.Errorf("message %q", r.Rejects[0].To[0].Message)
	}
}

// An error that is no bad record ends the comparison.
func TestDiffEnds(t *testing.T) {
	tr, err := NewTransformer(parseSet(t, `{"mappings":[]}`), nil, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is gone")
	n := 0
	_, err = Diff(tr, tr, func(yield func(record.Value, error) bool) {
		for ; ; n++ {
			if !yield(record.Null(), broken) {
				return
			}
		}
	}, DiffOptions{})
	if !errors.Is(err, broken) || n != 0 {
		t.Errorf("got %v after %d more records", err, n)
	}
}

// The report stays small whatever comes: every record has a destination of its own, and large values.
func TestDiffBounds(t *testing.T) {
	const records = 30_000
	large := strings.Repeat("x", 2000)
	rows := func(yield func(record.Value, error) bool) {
		for i := range records {
			line := fmt.Sprintf(`{"a":{"k%d":"%s"},"b":{"k%d":"y"}}`, i, large, i)
			if i%100 == 0 {
				line = `{"a":{"` + large + `":1}}`
			}
			if !yield(record.Parse([]byte(line))) {
				return
			}
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := diffOf(t, "", `{"source":"a","destination":"x"}`, `{"source":"b","destination":"x"}`, 1_000_000, rows)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if r.Changed != records || len(r.Destinations) != maxDiffPaths || r.OtherDestinations != records-maxDiffPaths || len(r.Examples) != maxDiffExamples {
		t.Errorf("%d changed, %d destinations, %d others, %d examples", r.Changed, len(r.Destinations), r.OtherDestinations, len(r.Examples))
	}
	if slices.ContainsFunc(r.Destinations, func(p DestinationDiff) bool { return len(p.Destination) > maxDiffPath }) {
		t.Error("a destination is longer than its bound")
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 16<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	runtime.KeepAlive(r)
}
