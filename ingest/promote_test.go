package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/blob"
	"weir/lake"
	"weir/mapping"
	"weir/record"
)

// bench is a lake in a temporary folder with one table.
type bench struct {
	lake   *lake.Lake
	table  *lake.Table
	schema *record.Schema
}

func newBench(t *testing.T, s *record.Schema) *bench {
	t.Helper()
	bucket, err := blob.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	l, err := lake.Open(t.Context(), bucket, nil)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := l.Create(t.Context(), "prod", "people", s)
	if err != nil {
		t.Fatal(err)
	}
	table, err := l.Load(t.Context(), loc)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := table.Bind(s)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{l, table, bound}
}

// stage writes parts of the given texts.
func (b *bench) stage(t *testing.T, texts ...string) []lake.Part {
	t.Helper()
	var parts []lake.Part
	for i, text := range texts {
		w, err := b.lake.NewPart(t.Context(), "run", i)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append([]byte(text), strings.Count(text, "\n")); err != nil {
			t.Fatal(err)
		}
		p, err := w.Sync()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append([]byte(`{"id":"not part of what was synced"}`+"\n"), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	return parts
}

func (b *bench) promote(t *testing.T, set string, job Job) (Report, error) {
	t.Helper()
	job.Lake, job.Table, job.Schema, job.Run, job.Batch = b.lake, b.table, b.schema, "run", "01BATCH"
	job.Now = time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	var p *mapping.Program
	var err error
	if set == "" {
		p, err = mapping.NewPassThrough(b.schema, weir.Shape{})
	} else {
		var s *mapping.Set
		if s, err = mapping.ParseSet([]byte(set)); err == nil {
			p, err = mapping.NewProgram(s, b.schema, weir.Shape{})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	job.Program = Compiled(p)
	return Promote(t.Context(), job)
}

// rows reads the rows of the data files as JSON, in order.
func (b *bench) rows(t *testing.T, files []lake.DataFile) []string {
	t.Helper()
	if err := b.table.Publish(files); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		name, _ := b.lake.Bucket().Name(f.URI)
		data, err := b.lake.Bucket().Read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(data)) != f.Bytes {
			t.Errorf("%s has %d bytes, not %d", name, len(data), f.Bytes)
		}
		out = append(out, parquetRows(t, data)...)
	}
	return out
}

func parquetRows(t *testing.T, data []byte) []string {
	t.Helper()
	pr, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pr, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Release()
	tr := array.NewTableReader(tab, 0)
	defer tr.Release()
	var out []string
	for tr.Next() {
		raw, err := tr.RecordBatch().MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var rows []json.RawMessage
		if err := json.Unmarshal(raw, &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			out = append(out, string(r))
		}
	}
	return out
}

// diagnostics reads a file of the batch's meta folder, "" if there is none.
func (b *bench) diagnostics(t *testing.T, name string) string {
	t.Helper()
	data, err := b.lake.Bucket().Read(t.Context(), "meta/01BATCH/"+name)
	if err != nil {
		return ""
	}
	return string(data)
}

func peopleSchema() *record.Schema {
	n := 3
	return &record.Schema{Fields: []record.Field{
		{Name: "_id", Type: record.String, Required: true},
		{Name: "age", Type: record.Int},
		{Name: "code", Type: record.String, Check: &record.Check{MaxLength: &n}},
		{Name: "uid", Type: record.String},
	}}
}

const peopleSet = `{"mappings":[
 {"sourceType":"ATTRIBUTE","source":"id","destination":"_id"},
 {"sourceType":"ATTRIBUTE","source":"years","destination":"age"},
 {"sourceType":"EXPRESSION","source":"upper(code)","destination":"code"},
 {"sourceType":"EXPRESSION","source":"uuid()","destination":"uid"}]}`

func TestPromoteAccountsForEveryRecord(t *testing.T) {
	b := newBench(t, peopleSchema())
	parts := b.stage(t, `{"id":"a","years":3,"code":"x"}
{"years":4}

not json
{"id":"b","years":"many","code":"y"}
`, `{"id":"c","code":"toolong"}
{"id":["no text"]}
{"id":"d"}
`)
	r, err := b.promote(t, peopleSet, Job{Parts: parts, Diagnostics: true, Filename: func(p lake.Part) string { return "in-" + p.Name[len("stage/run/"):len("stage/run/")+6] }})
	if err != nil {
		t.Fatal(err)
	}
	if r.In != 7 || r.Out != 3 || r.Failed != 4 || r.Warned != 1 || r.Mapper != 1 {
		t.Errorf("in %d out %d failed %d warned %d mapper %d", r.In, r.Out, r.Failed, r.Warned, r.Mapper)
	}
	want := []weir.RunError{
		{Code: "INGEST-1401-400", RecordCount: 1}, {Code: "INGEST-1554-400", RecordCount: 1}, {Code: "INGEST-1555-400", RecordCount: 1}, {Code: "MAPPER-3700-400", RecordCount: 1},
	}
	for i := range r.Errors {
		r.Errors[i].Message = ""
	}
	if d := cmp.Diff(want, r.Errors); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]ColumnCount{{Code: "MAPPER-3700-199", Column: "age", Rows: 1}}, r.Columns); d != "" {
		t.Error(d)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Code != "MAPPER-3700-199" || r.Warnings[0].RecordCount != 1 || !strings.Contains(r.Warnings[0].Message, "age (1)") {
		t.Errorf("warnings %+v", r.Warnings)
	}
	rows := b.rows(t, r.Files)
	for i, prefix := range []string{`{"_id":"a","age":3,"code":"X"`, `{"_id":"b","age":null,"code":"Y"`, `{"_id":"d","age":null,"code":null`} {
		if i >= len(rows) || !strings.HasPrefix(rows[i], prefix) {
			t.Errorf("row %d of %q: want %s…", i, rows, prefix)
		}
	}
	checkErrorFiles(t, b)
}

func checkErrorFiles(t *testing.T, b *bench) {
	t.Helper()
	parsing := `{"_corrupt_record":"not json","_errors":[{"code":"1401","message":"the record is not a JSON object"}],"_filename":"in-000000"}` + "\n"
	if got := b.diagnostics(t, "row_errors/parsing_errors_0.json"); got != parsing {
		t.Errorf("parsing errors %s", got)
	}
	conversion := `{"id":["no text"],"_errors":[{"code":"3700","column":"_id","message":"Could not map the value at destination path _id. expected data type was: STRING, ` +
		`actual data type was: ARRAY. an array is no text. sourceField: id destinationField: _id"}],"_filename":"in-000001"}` + "\n"
	if got := b.diagnostics(t, "row_errors/conversion_errors_0.json"); got != conversion {
		t.Errorf("conversion errors %s", got)
	}
	validation := `{"years":4,"_errors":[{"code":"1555","column":"_id","message":"the required field _id has no value"}],"_filename":"in-000000"}` + "\n" +
		`{"id":"c","code":"toolong","_errors":[{"code":"1554","column":"code","message":"the value of code has 7 characters; at most 3 are allowed"}],"_filename":"in-000001"}` + "\n"
	if got := b.diagnostics(t, "row_errors/validation_errors_0.json"); got != validation {
		t.Errorf("validation errors %s", got)
	}
	if got := b.diagnostics(t, "row_error_samples.json"); strings.Count(got, "\n") != 4 {
		t.Errorf("samples %s", got)
	}
	if got := b.diagnostics(t, "input_files/fileMetaData1.json"); got != "{\"path\":\"in-000000\"}\n{\"path\":\"in-000001\"}\n" {
		t.Errorf("input files %s", got)
	}
}

// TestPromoteIsTheSameForAnyWorkers promotes the same stage with different numbers of workers and twice: rows (uuids too), order, errors and counts are equal.
func TestPromoteIsTheSameForAnyWorkers(t *testing.T) {
	var texts []string
	n := 0
	for part := range 3 {
		var text strings.Builder
		for text.Len() < (9<<20)*(part+1) {
			id := fmt.Sprintf(`"id":"%d",`, n)
			if n%1000 == 7 {
				id = ""
			}
			fmt.Fprintf(&text, `{%s"years":%d,"code":"c%d","pad":"%s"}`+"\n", id, n%90, n%10, strings.Repeat("x", 500+n%700))
			n++
		}
		texts = append(texts, text.String())
	}
	var want []string
	var wantErrors string
	for _, workers := range []int{1, 2, 3, 1} {
		b := newBench(t, peopleSchema())
		r, err := b.promote(t, peopleSet, Job{Parts: b.stage(t, texts...), Workers: workers, Diagnostics: true, Filename: func(lake.Part) string { return "f" }})
		if err != nil {
			t.Fatal(err)
		}
		if r.In != int64(n) || r.Failed != int64((n+992)/1000) || r.Out != r.In-r.Failed || r.Warned != 0 {
			t.Fatalf("%d workers: in %d out %d failed %d warned %d of %d", workers, r.In, r.Out, r.Failed, r.Warned, n)
		}
		got, errs := b.rows(t, r.Files), b.diagnostics(t, "row_errors/validation_errors_0.json")
		if want == nil {
			want, wantErrors = got, errs
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%d workers: %.1000s", workers, d)
		}
		if errs != wantErrors {
			t.Fatalf("%d workers: other row errors", workers)
		}
	}
	seen := map[string]bool{}
	for _, row := range want {
		var r struct{ UID string }
		if err := json.Unmarshal([]byte(row), &r); err != nil || seen[r.UID] || len(r.UID) != 36 {
			t.Fatalf("uid %q comes twice or is none (%v)", r.UID, err)
		}
		seen[r.UID] = true
	}
}

func TestPromotePassThrough(t *testing.T) {
	elem := record.Field{Name: "element", Type: record.String}
	val := record.Field{Name: "value", Type: record.Long}
	b := newBench(t, &record.Schema{Fields: []record.Field{
		{Name: "id", Type: record.String},
		{Name: "o", Type: record.Struct, Fields: []record.Field{{Name: "n", Type: record.Number}, {Name: "tags", Type: record.List, Elem: &elem}}},
		{Name: "m", Type: record.Map, Elem: &val},
	}})
	parts := b.stage(t, `{"id":1,"o":{"n":1.5,"tags":["a",null],"x":1},"m":{"k":2},"y":true}
{"o":{"tags":[]},"y":1}
{"o":"none","m":{"k":"no"}}
`)
	r, err := b.promote(t, "", Job{Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"id":"1","m":[{"key":"k","value":2}],"o":{"n":1.5,"tags":["a",null]}}`, `{"id":null,"m":null,"o":{"n":null,"tags":[]}}`, `{"id":null,"m":null,"o":null}`,
	}
	if d := cmp.Diff(want, b.rows(t, r.Files)); d != "" {
		t.Error(d)
	}
	counts := map[string]int64{}
	for _, c := range r.Columns {
		counts[c.Code+" "+c.Column] = c.Rows
	}
	if counts["INGEST-1420-199 y"] != 2 || counts["MAPPER-3700-199 o"] != 1 || counts["MAPPER-3700-199 m.k"] != 1 || r.Warned != 1 || r.Out != 3 {
		t.Errorf("counts %v, %d rows with warnings", counts, r.Warned)
	}
	if len(r.Warnings) != 2 || r.Warnings[1].Code != "INGEST-1420-199" || r.Warnings[1].RecordCount != 2 || !strings.Contains(r.Warnings[1].Message, "y (2)") {
		t.Errorf("warnings %+v", r.Warnings)
	}
}

func TestPromoteEmptyStage(t *testing.T) {
	b := newBench(t, peopleSchema())
	r, err := b.promote(t, peopleSet, Job{Parts: b.stage(t, "", "\n\n"), Workers: 2, Diagnostics: true})
	if err != nil || r.In != 0 || len(r.Files) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestPromoteFailsWhole takes a part away: nothing is left behind.
func TestPromoteFailsWhole(t *testing.T) {
	b := newBench(t, peopleSchema())
	parts := b.stage(t, `{"id":"a"}`+"\n", `{"id":"b"}`+"\n")
	if err := b.lake.Bucket().Delete(t.Context(), parts[1].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := b.promote(t, peopleSet, Job{Parts: parts, Diagnostics: true}); err == nil {
		t.Fatal("a missing part is no error")
	}
	for o, err := range b.lake.Bucket().List(t.Context(), "") {
		if err != nil || strings.Contains(o.Name, ".parquet") || strings.HasPrefix(o.Name, "meta/") {
			t.Errorf("%s is left behind (%v)", o.Name, err)
		}
	}
}

func TestPromoteCanceled(t *testing.T) {
	b := newBench(t, peopleSchema())
	parts := b.stage(t, strings.Repeat(`{"id":"a"}`+"\n", 1000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := mapping.NewPassThrough(b.schema, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Promote(ctx, Job{Lake: b.lake, Table: b.table, Schema: b.schema, Program: Compiled(p), Parts: parts, Batch: "x", Workers: 2}); err == nil {
		t.Fatal("a canceled promotion succeeded")
	}
}

func TestPromoteFile(t *testing.T) {
	dir := t.TempDir()
	in, out, errs := filepath.Join(dir, "in.ndjson"), filepath.Join(dir, "out.parquet"), filepath.Join(dir, "err.ndjson")
	if err := os.WriteFile(in, []byte("{\"_id\":\"a\",\"age\":1}\nbad\n{\"age\":2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := peopleSchema()
	p, err := mapping.NewPassThrough(s, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := PromoteFile(t.Context(), FileJob{In: in, Out: out, Errors: errs, Schema: s, Program: Compiled(p), Workers: 2})
	if err != nil || r.In != 3 || r.Out != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`{"_id":"a","age":1,"code":null,"uid":null}`}, parquetRows(t, data)); d != "" {
		t.Error(d)
	}
	f, err := os.Open(errs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
		if !json.Valid(sc.Bytes()) {
			t.Errorf("%s is not JSON", sc.Text())
		}
	}
	if lines != 2 {
		t.Errorf("%d error rows", lines)
	}
}

func TestSplitCoversEveryByteOnce(t *testing.T) {
	parts := []lake.Part{{Name: "a.ndjson", Bytes: 700 << 20}, {Name: "b.ndjson", Bytes: 0}, {Name: "c.ndjson.zst", Bytes: 300 << 20}, {Name: "d.ndjson", Bytes: 10}, {Name: "e.ndjson", Bytes: 30 << 20}}
	for _, workers := range []int{1, 2, 8} {
		at := map[int]int64{}
		for _, u := range split(parts, workers) {
			for _, p := range u.pieces {
				if p.from != at[p.part] {
					t.Fatalf("%d workers: part %d continues at %d, not %d", workers, p.part, p.from, at[p.part])
				}
				if at[p.part] = p.to; p.to < 0 {
					at[p.part] = parts[p.part].Bytes
				}
			}
			if u.bytes > maxUnit+minUnit && len(u.pieces) == 1 && !parts[u.pieces[0].part].Compressed() {
				t.Errorf("%d workers: a unit of %d bytes", workers, u.bytes)
			}
		}
		for i, p := range parts {
			if at[i] != p.Bytes {
				t.Errorf("%d workers: part %d ends at %d of %d", workers, i, at[i], p.Bytes)
			}
		}
	}
}
