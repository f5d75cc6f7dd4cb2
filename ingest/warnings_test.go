package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/lake"
	"weir/record"
)

const warnings = "row_warnings/conversion_warnings_0.json"

// TestPromoteKeepsWarnedRows looks at the lines of rows whose columns were nullified: the record as it came, what is missing and why, and its number.
func TestPromoteKeepsWarnedRows(t *testing.T) {
	s := &record.Schema{Fields: []record.Field{
		{Name: "_id", Type: record.String, Required: true},
		{Name: "age", Type: record.Int},
		{Name: "o", Type: record.Struct, Fields: []record.Field{{Name: "n", Type: record.Long}}},
	}}
	const set = `{"mappings":[
 {"sourceType":"ATTRIBUTE","source":"id","destination":"_id"},
 {"sourceType":"ATTRIBUTE","source":"years","destination":"age"},
 {"sourceType":"ATTRIBUTE","source":"o.n","destination":"o.n"}]}`
	job := func(b *bench) Job {
		return Job{Diagnostics: true, Filename: func(p lake.Part) string { return "in-" + p.Name[len("stage/run/"):len("stage/run/")+6] }, Parts: b.stage(t,
			`{"id":"a","years":1}
not json
{"id":"b","years":"many","o":{"n":"x"}}
{"years":"lost with its row"}
`, `{"id":"c","o":{"n":{"deep":{}}} }`+"\n")}
	}
	b := newBench(t, s)
	r, err := b.promote(t, set, job(b))
	if err != nil {
		t.Fatal(err)
	}
	if r.Warned != 2 || r.WarnedKept != 2 || r.Failed != 2 {
		t.Errorf("%d warned, %d kept, %d failed", r.Warned, r.WarnedKept, r.Failed)
	}
	why := func(column, expected, actual, text, source string) string {
		return fmt.Sprintf(`{"code":"3700","column":"%s","message":"Could not map the value at destination path %s. expected data type was: %s, actual data type was: %s. %s. sourceField: %s destinationField: %s"}`,
			column, column, expected, actual, text, source, column)
	}
	want := `{"id":"b","years":"many","o":{"n":"x"},"_errors":[` + why("age", "INTEGER", "STRING", "'many' is no integer", "years") + `,` +
		why("o.n", "INTEGER", "STRING", "'x' is no integer", "o.n") + `],"_row":3,"_filename":"in-000000"}` + "\n" +
		`{"id":"c","o":{"n":{"deep":{}}},"_errors":[` + why("o.n", "INTEGER", "OBJECT", "an object is no integer", "o.n") + `],"_row":5,"_filename":"in-000001"}` + "\n"
	if d := cmp.Diff(want, b.diagnostics(t, warnings)); d != "" {
		t.Error(d)
	}
	b = newBench(t, s)
	off := job(b)
	off.Diagnostics = false
	if r, err = b.promote(t, set, off); err != nil || r.Warned != 2 || r.WarnedKept != 0 {
		t.Errorf("without diagnostics: %d warned, %d kept, %v", r.Warned, r.WarnedKept, err)
	}
	if _, err := b.lake.Bucket().Stat(t.Context(), "meta/01BATCH/"+warnings); err == nil {
		t.Error("without diagnostics there is a file")
	}
}

// TestPromoteBoundsWarnedRows: the first rows are kept, the same for any number of workers, and the longest without their members.
func TestPromoteBoundsWarnedRows(t *testing.T) {
	var texts []string
	n := 0
	for range 2 {
		var text strings.Builder
		for text.Len() < 16<<20 {
			years, pad := `"no"`, 500
			if n%3 == 0 {
				years = "3"
			}
			if n == 4 {
				pad = warnedRecord
			}
			fmt.Fprintf(&text, `{"id":"%d","years":%s,"pad":"%s"}`+"\n", n, years, strings.Repeat("x", pad))
			n++
		}
		texts = append(texts, text.String())
	}
	var want string
	for _, workers := range []int{1, 3} {
		b := newBench(t, peopleSchema())
		r, err := b.promote(t, peopleSet, Job{Parts: b.stage(t, texts...), Workers: workers, Diagnostics: true, Filename: func(lake.Part) string { return "f" }})
		if err != nil {
			t.Fatal(err)
		}
		if r.Warned != int64(n-(n+2)/3) || r.WarnedKept != warnedRows {
			t.Errorf("%d workers: %d of %d warned, %d kept", workers, r.Warned, n, r.WarnedKept)
		}
		got := b.diagnostics(t, warnings)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%d workers: other warned rows", workers)
		}
	}
	lines := strings.Split(strings.TrimSpace(want), "\n")
	if len(lines) != warnedRows {
		t.Fatalf("%d lines", len(lines))
	}
	number := 0
	for i, line := range lines {
		for number++; (number-1)%3 == 0; number++ {
		}
		var row struct {
			ID  string
			Pad string
			Row int `json:"_row"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Row != number {
			t.Fatalf("line %d: %v, row %d, want %d", i, err, row.Row, number)
		}
		if long := number == 5; long != (row.Pad == "") || long != (row.ID == "") {
			t.Errorf("line %d has id %q and %d characters", i, row.ID, len(row.Pad))
		}
	}
}

// TestRejectedRowsKeepTheirBraces: what a rejected record ends with is part of it.
func TestRejectedRowsKeepTheirBraces(t *testing.T) {
	b := newBench(t, peopleSchema())
	_, err := b.promote(t, peopleSet, Job{Diagnostics: true, Filename: func(lake.Part) string { return "f" }, Parts: b.stage(t, `{"o":{"p":{"q":1}}}
{ "o":{} } `+`
{}
{ }
{"t":"}"}
`)})
	if err != nil {
		t.Fatal(err)
	}
	const end = `"_errors":[{"code":"1555","column":"_id","message":"the required field _id has no value"}],"_filename":"f"}` + "\n"
	want := `{"o":{"p":{"q":1}},` + end + `{ "o":{},` + end + `{` + end + `{` + end + `{"t":"}",` + end
	if d := cmp.Diff(want, b.diagnostics(t, "row_errors/validation_errors_0.json")); d != "" {
		t.Error(d)
	}
}
