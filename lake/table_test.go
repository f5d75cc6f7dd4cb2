package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/blob"
	"weir/record"
)

func open(t *testing.T) *Lake {
	t.Helper()
	return openAt(t, "file://"+filepath.Join(t.TempDir(), "a lake + é%20"))
}

func openAt(t *testing.T, url string) *Lake {
	t.Helper()
	b, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	l, err := Open(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// people is a schema with every type.
var people = &record.Schema{Fields: []record.Field{
	{Name: "_id", Type: record.String, Required: true},
	{Name: "age", Type: record.Short},
	{Name: "born", Type: record.Date},
	{Name: "empty", Type: record.Struct},
	{Name: "name", Type: record.Struct, Fields: []record.Field{
		{Name: "first", Type: record.String}, {Name: "rank", Type: record.Byte},
	}},
	{Name: "scores", Type: record.Map, Elem: &record.Field{Name: "value", Type: record.Number}},
	{Name: "seen", Type: record.Timestamp},
	{Name: "tags", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "label", Type: record.String}}}},
	{Name: "vip", Type: record.Boolean},
	{Name: "visits", Type: record.Int},
	{Name: "weight", Type: record.Number},
}}

const rowA = `{"_id":"a","age":7,"born":"1999-12-31","name":{"first":"Ida","rank":1},"scores":{"x":1.5,"y":-2},"seen":"2026-11-24T10:00:00.250Z",` +
	`"tags":[{"label":"t1"},{"label":"t2"}],"vip":true,"visits":9007199254740993,"weight":0.1}`

// writeFile writes rows as one data file of the table, through arrow-go.
func writeFile(t *testing.T, tb *Table, batch string, n int, rows ...string) DataFile {
	t.Helper()
	sc, err := table.SchemaToArrowSchema(tb.meta.CurrentSchema(), nil, true, false)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, sc)
	defer b.Release()
	for _, r := range rows {
		if err := b.UnmarshalJSON([]byte(strings.ReplaceAll(r, `"scores":{"x":1.5,"y":-2}`, `"scores":[{"key":"x","value":1.5},{"key":"y","value":-2}]`))); err != nil {
			t.Fatal(err)
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var buf bytes.Buffer
	w, err := pqarrow.NewFileWriter(sc, &buf, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s/data/%s/part-%05d-%s.zstd.parquet", tb.dir, batch, n, weir.NewHex(4))
	if err := tb.l.bucket.Write(t.Context(), name, buf.Bytes()); err != nil {
		t.Fatal(err)
	}
	return DataFile{
		URI: tb.l.bucket.URI(name), Rows: int64(len(rows)), Bytes: int64(buf.Len()),
		ValueCounts: map[int]int64{1: int64(len(rows))}, NullCounts: map[int]int64{1: 0},
		Lower: map[int][]byte{1: []byte("a")}, Upper: map[int][]byte{1: []byte("z")},
	}
}

func create(t *testing.T, l *Lake, s *record.Schema) *Table {
	t.Helper()
	loc, err := l.Create(t.Context(), "acmelab_prod", "people", s)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, l, loc)
}

func load(t *testing.T, l *Lake, loc string) *Table {
	t.Helper()
	tb, err := l.Load(t.Context(), loc)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func appendRows(t *testing.T, tb *Table, batch string, rows ...string) *Table {
	t.Helper()
	loc, err := tb.Append(t.Context(), []DataFile{writeFile(t, tb, batch, 0, rows...)}, map[string]string{"weir.batch-id": batch})
	if err != nil {
		t.Fatal(err)
	}
	return load(t, tb.l, loc)
}

func rows(t *testing.T, tb *Table, limit int) []string {
	t.Helper()
	var out []string
	err := tb.Read(t.Context(), limit, func(r json.RawMessage) error {
		out = append(out, string(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryTypeRoundTrips(t *testing.T) {
	for _, url := range []string{"", "mem://x"} {
		t.Run(url, func(t *testing.T) {
			l := open(t)
			if url != "" {
				l = openAt(t, url)
			}
			tb := appendRows(t, create(t, l, people), "B1", rowA, `{"_id":"b"}`)
			want := []string{rowA, `{"_id":"b"}`}
			if d := cmp.Diff(want, rows(t, tb, -1)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want[:1], rows(t, tb, 1)); d != "" {
				t.Error(d)
			}
			if n, err := tb.Rows(t.Context()); n != 2 || err != nil {
				t.Errorf("%d rows, %v", n, err)
			}
			files, err := tb.Files(t.Context())
			if err != nil || len(files) != 1 || files[0].Batch() != "B1" || files[0].Rows != 2 {
				t.Fatalf("%+v, %v", files, err)
			}
			if files[0].Lower[1] == nil || files[0].ValueCounts[1] != 2 {
				t.Errorf("figures are lost: %+v", files[0])
			}
		})
	}
}

func TestNothingIsVisibleBeforeTheSwap(t *testing.T) {
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B1", `{"_id":"a"}`)
	f := writeFile(t, tb, "B2", 0, `{"_id":"b"}`)
	if _, err := tb.Append(t.Context(), []DataFile{f}, nil); err != nil {
		t.Fatal(err)
	}
	// The writer dies here: the pointer still says tb.
	tb = load(t, l, tb.loc)
	if n, err := tb.Rows(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	// The rerun appends the same file to the same version.
	loc, err := tb.Append(t.Context(), []DataFile{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`{"_id":"a"}`, `{"_id":"b"}`}, rows(t, load(t, l, loc), -1)); d != "" {
		t.Error(d)
	}
}

// TestFailedWritesLeaveNothing lets the context end at every write of a commit.
func TestFailedWritesLeaveNothing(t *testing.T) {
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B1", `{"_id":"a"}`)
	before := objects(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if loc, err := tb.Append(ctx, []DataFile{{URI: tb.Location() + "/data/B2/x.parquet", Rows: 1, Bytes: 1}}, nil); err == nil {
		t.Fatalf("committed %s", loc)
	}
	if _, err := tb.Append(t.Context(), []DataFile{{URI: "file:///elsewhere/x.parquet", Rows: 1, Bytes: 1}}, nil); err == nil {
		t.Fatal("took a file of another bucket")
	}
	if d := cmp.Diff(before, objects(t, l)); d != "" {
		t.Errorf("left behind: %s", d)
	}
}

func objects(t *testing.T, l *Lake) []string {
	t.Helper()
	var out []string
	for o, err := range l.bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Name)
	}
	return out
}

// TestMetadataMeetsReaders holds every member that some reader breaks without, and the rules for paths and logs.
func TestMetadataMeetsReaders(t *testing.T) {
	l := open(t)
	empty := create(t, l, people)
	tb := empty
	for i := range 3 {
		tb = appendRows(t, tb, fmt.Sprintf("B%d", i), `{"_id":"a"}`)
	}
	for name, tb := range map[string]*Table{"empty": empty, "filled": tb} {
		raw, err := l.Metadata(t.Context(), tb.loc)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{
			"format-version", "table-uuid", "location", "last-sequence-number", "last-updated-ms", "last-column-id", "default-spec-id",
			"last-partition-id", "sort-orders", "default-sort-order-id", "schemas", "current-schema-id", "partition-specs", "current-snapshot-id", "snapshots", "snapshot-log", "refs", "properties", "metadata-log",
		} {
			if v, ok := m[member]; !ok || string(v) == "null" {
				t.Errorf("%s: member %s is %s", name, member, v)
			}
		}
		if string(m["format-version"]) != "2" {
			t.Errorf("format-version %s", m["format-version"])
		}
		var schemas []struct {
			ID     *int `json:"schema-id"`
			Fields []map[string]json.RawMessage
		}
		_ = json.Unmarshal(m["schemas"], &schemas)
		for _, s := range schemas {
			if s.ID == nil || len(s.Fields) == 0 {
				t.Errorf("schema %+v", s)
			}
			for _, f := range s.Fields {
				if f["required"] == nil || f["id"] == nil {
					t.Errorf("field %v", f)
				}
			}
		}
		if !strings.Contains(string(m["location"]), l.bucket.URI("")) {
			t.Errorf("location %s", m["location"])
		}
	}
	var m struct {
		Current   int64 `json:"current-snapshot-id"`
		Snapshots []map[string]json.RawMessage
		Log       []struct {
			ID int64 `json:"snapshot-id"`
		} `json:"snapshot-log"`
		Refs map[string]struct {
			ID int64 `json:"snapshot-id"`
		}
	}
	raw, _ := l.Metadata(t.Context(), tb.loc)
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Log) != 3 || m.Log[2].ID != m.Current || m.Refs["main"].ID != m.Current {
		t.Errorf("log %v, refs %v, current %d", m.Log, m.Refs, m.Current)
	}
	var last map[string]string
	_ = json.Unmarshal(m.Snapshots[2]["summary"], &last)
	want := map[string]string{"operation": "append", "weir.batch-id": "B2", "added-data-files": "1", "added-records": "1", "total-data-files": "3", "total-records": "3"}
	for k, v := range want {
		if last[k] != v {
			t.Errorf("summary %s = %q, want %q", k, last[k], v)
		}
	}
}

func TestEvolveOnlyAdds(t *testing.T) {
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B1", rowA)
	if loc, changed, err := tb.Evolve(t.Context(), people); changed || err != nil || loc != tb.loc {
		t.Fatalf("the same schema changed it: %s, %v, %v", loc, changed, err)
	}
	wider := &record.Schema{Fields: []record.Field{
		{Name: "_id", Type: record.String},
		{Name: "name", Type: record.Struct, Fields: []record.Field{{Name: "last", Type: record.String}}},
		{Name: "tags", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "at", Type: record.Timestamp}}}},
		{Name: "zip", Type: record.Struct, Fields: []record.Field{{Name: "code", Type: record.String}}},
	}}
	before := tb.Schema()
	loc, changed, err := tb.Evolve(t.Context(), wider)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	tb = load(t, l, loc)
	after := tb.Schema()
	ids := map[int]string{}
	collect(t, ids, after.Fields, "")
	was := map[int]string{}
	collect(t, was, before.Fields, "")
	for id, path := range was {
		if ids[id] != path {
			t.Errorf("id %d was %s and is %s", id, path, ids[id])
		}
	}
	for _, p := range [][]string{{"name", "last"}, {"name", "first"}, {"tags", "[]", "at"}, {"zip", "code"}, {"vip"}} {
		if f := after.Lookup(p...); f == nil || f.ID == 0 {
			t.Errorf("%v: %+v", p, f)
		}
	}
	tb = appendRows(t, tb, "B2", `{"_id":"c","name":{"first":"F","last":"L"},"zip":{"code":"1"}}`)
	if d := cmp.Diff([]string{rowA, `{"_id":"c","name":{"first":"F","last":"L"},"zip":{"code":"1"}}`}, rows(t, tb, -1)); d != "" {
		t.Error(d)
	}
	for _, bad := range []record.Field{{Name: "age", Type: record.String}, {Name: "name", Type: record.String}, {Name: "tags", Type: record.Map, Elem: &record.Field{Name: "value", Type: record.String}}} {
		if _, _, err := tb.Evolve(t.Context(), &record.Schema{Fields: []record.Field{bad}}); err == nil || !strings.Contains(err.Error(), bad.Name) {
			t.Errorf("%s became %s: %v", bad.Name, bad.Type, err)
		}
	}
}

// collect gathers ids and fails on a repeated one.
func collect(t *testing.T, ids map[int]string, fields []record.Field, at string) {
	t.Helper()
	put := func(id int, path string) {
		if id <= 0 || ids[id] != "" {
			t.Errorf("%s has id %d, as %q", path, id, ids[id])
		}
		ids[id] = path
	}
	for i := range fields {
		f := &fields[i]
		p := at + "." + f.Name
		put(f.ID, p)
		if f.Type == record.Map {
			put(f.KeyID, p+".key")
		}
		if f.Elem != nil {
			collect(t, ids, []record.Field{*f.Elem}, p)
		}
		collect(t, ids, f.Fields, p)
	}
}

func TestBindKeepsChecks(t *testing.T) {
	tb := create(t, open(t), people)
	s, err := tb.Bind(people)
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Lookup("age"); f.Type != record.Short || f.ID == 0 {
		t.Errorf("%+v", f)
	}
	if f := s.Lookup("_id"); !f.Required || f.ID != 1 {
		t.Errorf("%+v", f)
	}
	if f := s.Lookup("tags", "[]", "label"); f == nil || f.ID == 0 {
		t.Errorf("%+v", f)
	}
	if people.Lookup("tags", "[]", "label").ID != 0 || people.Fields[0].ID != 0 {
		t.Error("the schema it was given changed")
	}
	if _, err := tb.Bind(&record.Schema{Fields: []record.Field{{Name: "more", Type: record.String}}}); err == nil {
		t.Error("bound a column the table lacks")
	}
}

// TestManyCommits holds that neither metadata nor manifests grow without bound, and that no row is lost on the way.
func TestManyCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("300 commits")
	}
	l := openAt(t, "mem://x")
	now := time.UnixMilli(1_790_000_000_000)
	l.Now = func() time.Time { return now } // a clock that stands still
	tb := create(t, l, &record.Schema{Fields: []record.Field{{Name: "n", Type: record.Long}}})
	const commits = 300
	for i := range commits {
		tb = appendRows(t, tb, fmt.Sprintf("B%d", i), fmt.Sprintf(`{"n":%d}`, i))
	}
	got := rows(t, tb, -1)
	if len(got) != commits || got[0] != `{"n":0}` || got[commits-1] != fmt.Sprintf(`{"n":%d}`, commits-1) {
		t.Errorf("%d rows, %s … %s", len(got), got[0], got[len(got)-1])
	}
	if n := len(tb.meta.Snapshots()); n > maxSnapshots || n < keepSnapshots {
		t.Errorf("%d snapshots", n)
	}
	logs := slices.Collect(tb.meta.SnapshotLogs())
	if logs[len(logs)-1].SnapshotID != tb.meta.CurrentSnapshot().SnapshotID {
		t.Error("the last log entry is not the current snapshot")
	}
	if !slices.IsSortedFunc(logs, func(a, b table.SnapshotLogEntry) int { return int(a.TimestampMs - b.TimestampMs) }) {
		t.Error("history goes backwards")
	}
	list, err := tb.manifests(t.Context())
	if err != nil || len(list) > maxSmall+1 {
		t.Errorf("%d manifests, %v", len(list), err)
	}
	metas := 0
	for _, o := range objects(t, l) {
		if metadataName.MatchString(path.Base(o)) {
			metas++
		}
	}
	if metas > keepMetadata+2 {
		t.Errorf("%d metadata files", metas)
	}
	for f := range tb.meta.PreviousFiles() {
		if _, err := l.Load(t.Context(), f.MetadataFile); err != nil {
			t.Errorf("in the log but gone: %v", err)
		}
	}
	before := len(objects(t, l))
	n, err := tb.Clean(t.Context(), time.Now().Add(time.Minute))
	if err != nil || n == 0 {
		t.Fatalf("cleaned %d, %v", n, err)
	}
	t.Logf("clean: %d of %d objects", n, before)
	if got := rows(t, load(t, l, tb.loc), -1); len(got) != commits {
		t.Errorf("%d rows after Clean", len(got))
	}
	for _, s := range tb.meta.Snapshots() {
		if _, err := tb.manifestList(t.Context(), s.ManifestList); err != nil {
			t.Errorf("snapshot %d lost its files: %v", s.SnapshotID, err)
		}
	}
}

func TestReplaceTakesABatchAway(t *testing.T) {
	l := open(t)
	tb := create(t, l, people)
	for _, b := range []string{"B1", "B2", "B3"} {
		tb = appendRows(t, tb, b, fmt.Sprintf(`{"_id":%q}`, b))
	}
	files, err := tb.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, f := range files {
		if f.Batch() == "B2" {
			gone = append(gone, f.URI)
		}
	}
	loc, err := tb.Replace(t.Context(), gone, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := load(t, l, loc)
	if d := cmp.Diff([]string{`{"_id":"B1"}`, `{"_id":"B3"}`}, rows(t, next, -1)); d != "" {
		t.Error(d)
	}
	if s := next.meta.CurrentSnapshot().Summary; s.Operation != table.OpDelete || s.Properties["total-records"] != "2" || s.Properties["deleted-records"] != "1" {
		t.Errorf("summary %+v", s)
	}
	if len(rows(t, load(t, l, tb.loc), -1)) != 3 {
		t.Error("the version before changed")
	}
	if _, err := next.Replace(t.Context(), gone, nil, nil); !errors.Is(err, weir.ErrConflict) {
		t.Errorf("removed twice: %v", err)
	}
	loc, err = next.Replace(t.Context(), []string{files[0].URI}, []DataFile{writeFile(t, next, "B4", 0, `{"_id":"B4"}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	next = load(t, l, loc)
	if d := cmp.Diff([]string{`{"_id":"B3"}`, `{"_id":"B4"}`}, rows(t, next, -1)); d != "" {
		t.Error(d)
	}
}

func TestCleanSparesTheYoung(t *testing.T) {
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B1", `{"_id":"a"}`)
	f := writeFile(t, tb, "B2", 0, `{"_id":"b"}`) // of a promotion that runs
	if n, err := tb.Clean(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	loc, err := tb.Append(t.Context(), []DataFile{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := load(t, l, loc).Clean(t.Context(), time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Fatalf("removed %d live files, %v", n, err)
	}
}

func TestDrop(t *testing.T) {
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B1", `{"_id":"a"}`)
	other := create(t, l, people)
	if err := l.Drop(t.Context(), tb.loc); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), tb.loc); !errors.Is(err, weir.ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
	load(t, l, other.loc)
}

func TestCreateRefuses(t *testing.T) {
	l := open(t)
	for _, c := range []struct{ ns, name string }{{"Acme", "x"}, {"a.b", "x"}, {"", "x"}, {"a", "X"}, {"a", "../x"}, {"a", strings.Repeat("x", 200)}} {
		if _, err := l.Create(t.Context(), c.ns, c.name, people); err == nil {
			t.Errorf("%q.%q was created", c.ns, c.name)
		}
	}
	for _, s := range []*record.Schema{{}, {Fields: []record.Field{{Name: "o", Type: record.Struct}}}, {Fields: []record.Field{{Name: "a", Type: record.Long}, {Name: "a", Type: record.Long}}}} {
		if _, err := l.Create(t.Context(), "a", "b", s); err == nil {
			t.Errorf("%+v was created", s)
		}
	}
}

// FuzzNames holds that any text becomes a name that a table can have, and that a good name stays.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "Loyalty Members (EU)", "日本", "a_b", "ÄÖ", strings.Repeat("é", 500), "x\x00y", "..", "a/b", "İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := Name(s)
		if !ValidName(n) || Name(n) != n {
			t.Fatalf("%q became %q", s, n)
		}
		if ValidName(s) && n != s {
			t.Fatalf("%q is valid but became %q", s, n)
		}
		if blob.ValidName("tables/"+n+"/"+n+"-12345678/metadata/x") != nil {
			t.Fatalf("%q makes no object name", n)
		}
	})
}
