package lake

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/record"
)

// manyBatches is a table of n small batches B00, B01, … with every type, nulls, and a column that came later.
func manyBatches(t *testing.T, l *Lake, n int) *Table {
	t.Helper()
	tb := create(t, l, people)
	for i := range n {
		if i == n/2 {
			loc, _, err := tb.Evolve(t.Context(), &record.Schema{Fields: []record.Field{
				{Name: "late", Type: record.String},
				{Name: "tags", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "weight", Type: record.Number}}}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			tb = load(t, l, loc)
		}
		late := ""
		if i > n/2 {
			late = `,"late":"ü` + strings.Repeat("x", i) + `","tags":[{"label":"a","weight":0.5},null,{}]`
		}
		tb = appendRows(t, tb, fmt.Sprintf("B%02d", i),
			strings.Replace(rowA, `"_id":"a"`, fmt.Sprintf(`"_id":"a%02d"`, i), 1),
			fmt.Sprintf(`{"_id":"b%02d","name":{"rank":%d},"tags":[],"scores":[],"vip":false,"weight":-0.0}`, i, i),
			fmt.Sprintf(`{"_id":"c%02d"%s}`, i, late))
	}
	return tb
}

// mergeAll merges the small files of a table and returns its new version and the merged files.
func mergeAll(t *testing.T, tb *Table) (*Table, []DataFile) {
	t.Helper()
	small, err := tb.Small(t.Context())
	if err != nil || len(small) == 0 {
		t.Fatalf("%d small files, %v", len(small), err)
	}
	merged, err := tb.Merge(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := tb.Rewrite(t.Context(), small, merged, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(merged); err != nil {
		t.Fatal(err)
	}
	return load(t, tb.l, loc), merged
}

// TestMerge merges the files of a dozen batches: the same rows in the same order, in one file, and history stays.
func TestMerge(t *testing.T) {
	for _, url := range []string{"", "mem://merge"} {
		t.Run(url, func(t *testing.T) {
			l := open(t)
			if url != "" {
				l = openAt(t, url)
			}
			old := manyBatches(t, l, 12)
			before := rows(t, old, -1)
			tb, merged := mergeAll(t, old)
			if d := cmp.Diff(before, rows(t, tb, -1)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(before, rows(t, load(t, l, old.loc), -1)); d != "" {
				t.Errorf("the version before: %s", d)
			}
			if len(merged) != 1 || !merged[0].Merged() || merged[0].Rows != 36 || merged[0].ValueCounts[1] != 36 || string(merged[0].Lower[1]) != "a00" || string(merged[0].Upper[1]) != "c11" {
				t.Errorf("merged into %+v", merged)
			}
			files, n, _ := tb.Totals()
			if s := tb.meta.CurrentSnapshot(); files != 1 || n != 36 || s.Summary.Operation != "replace" || s.Summary.Properties["added-records"] != "36" || s.Summary.Properties["deleted-records"] != "36" {
				t.Errorf("%d files, %d rows, %+v", files, n, s.Summary)
			}
			origins, err := tb.Origins(t.Context(), merged[0])
			if err != nil || len(origins) != 12 || origins[0] != (Origin{"B00", 3}) || origins[11] != (Origin{"B11", 3}) {
				t.Errorf("origins %v, %v", origins, err)
			}
			if again, err := tb.Small(t.Context()); err != nil || again != nil {
				t.Errorf("%d files are small again, %v", len(again), err)
			}
			for i := 12; i < 20; i++ { // it grows: the merged file is merged with what came after
				tb = appendRows(t, tb, fmt.Sprintf("B%02d", i), fmt.Sprintf(`{"_id":"d%02d"}`, i))
			}
			before = rows(t, tb, -1)
			tb, merged = mergeAll(t, tb)
			if d := cmp.Diff(before, rows(t, tb, -1)); d != "" {
				t.Error(d)
			}
			if origins, err := tb.Origins(t.Context(), merged[0]); err != nil || len(origins) != 20 || origins[19] != (Origin{"B19", 1}) {
				t.Errorf("origins %v, %v", origins, err)
			}
		})
	}
}

// TestMergeReadersAgree gives the files before and after to DuckDB.
func TestMergeReadersAgree(t *testing.T) {
	if _, err := os.Stat("../testdata/readers/node_modules"); err != nil {
		t.Skip("skipped: DuckDB is not there (npm ci --prefix testdata/readers)")
	}
	read := func(tb *Table) string {
		t.Helper()
		files, err := tb.Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"../testdata/readers/duckdb.mjs", `SELECT * FROM read_parquet($1, union_by_name=true) ORDER BY _id`}
		for _, f := range files {
			args = append(args, strings.TrimPrefix(f.URI, "file://"))
		}
		out, err := exec.CommandContext(t.Context(), "node", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	l := openAt(t, "file://"+t.TempDir())
	tb := manyBatches(t, l, 12)
	before := read(tb)
	tb, _ = mergeAll(t, tb)
	if after := read(tb); after != before || strings.Count(after, "\n") != 36 {
		t.Error(cmp.Diff(before, after))
	}
	py, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), py, "-c", "import pyiceberg, pyarrow").Run() != nil {
		return // DuckDB has agreed
	}
	script := `
import sys
from pyiceberg.table import StaticTable
t = StaticTable.from_metadata(sys.argv[1])
print(len(t.scan().to_arrow()), len(t.scan(row_filter="_id >= 'b05' and _id < 'b09'").to_arrow()), len(t.inspect.files()))`
	out, err := exec.CommandContext(t.Context(), py, "-W", "ignore", "-c", script, tb.loc).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "36 4 1" {
		t.Errorf("pyiceberg: %s %v", out, err)
	}
}

// TestMergedBatches takes batches out of a merged file, one by one, and finds the rows of each.
func TestMergedBatches(t *testing.T) {
	l := open(t)
	tb, _ := mergeAll(t, manyBatches(t, l, 9))
	all := rows(t, tb, -1)
	var of []string
	if err := tb.ReadBatch(t.Context(), "B04", func(r json.RawMessage) error { of = append(of, string(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(all[12:15], of); d != "" {
		t.Error(d)
	}
	remove, add, err := tb.Without(t.Context(), []string{"B00", "B04"})
	if err != nil || len(remove) != 1 || len(add) != 1 || add[0].Rows != 21 {
		t.Fatalf("without two: %v, %+v, %v", remove, add, err)
	}
	loc, err := tb.Replace(t.Context(), remove, add, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(add); err != nil {
		t.Fatal(err)
	}
	tb = load(t, l, loc)
	if d := cmp.Diff(slices.Concat(all[3:12], all[15:]), rows(t, tb, -1)); d != "" {
		t.Error(d)
	}
	if _, n, _ := tb.Totals(); n != 21 {
		t.Errorf("the summary counts %d rows", n)
	}
	rest := []string{"B01", "B02", "B03", "B05", "B06", "B07", "B08"}
	if remove, add, err = tb.Without(t.Context(), rest); err != nil || len(remove) != 1 || len(add) != 0 {
		t.Errorf("without the rest: %v, %+v, %v", remove, add, err)
	}
	if remove, add, err = tb.Without(t.Context(), []string{"B04", "other"}); err != nil || len(remove)+len(add) != 0 {
		t.Errorf("without what is not there: %v, %+v, %v", remove, add, err)
	}
}

// TestMergedFilesOutliveTheirParts cleans a table whose snapshots from before the merge are gone: the small files go, a batch's file is made again.
func TestMergedFilesOutliveTheirParts(t *testing.T) {
	l := openAt(t, "mem://outlive")
	tb := manyBatches(t, l, 8)
	want := rows(t, tb, -1)[9:12]
	files, err := l.BatchFiles(t.Context(), tb.loc, "B03")
	if err != nil || len(files) != 1 || !strings.Contains(files[0].Name, "/data/B03/") {
		t.Fatalf("%+v, %v", files, err)
	}
	tb, merged := mergeAll(t, tb)
	b, err := table.MetadataBuilderFromBase(tb.meta, tb.loc)
	if err != nil {
		t.Fatal(err)
	}
	var old []int64
	for _, s := range tb.meta.Snapshots() {
		if s.SnapshotID != tb.meta.CurrentSnapshot().SnapshotID {
			old = append(old, s.SnapshotID)
		}
	}
	if err := b.RemoveSnapshots(old, false); err != nil { // as many commits do
		t.Fatal(err)
	}
	loc, err := tb.write(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	tb = load(t, l, loc)
	if _, err := tb.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var left []string
	for o, err := range l.bucket.List(t.Context(), tb.dir+"/data/") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, path.Base(o.Name))
	}
	slices.Sort(left)
	if d := cmp.Diff([]string{merged[0].Name(), merged[0].Name() + originSuffix}, left); d != "" {
		t.Error(d)
	}
	var names []string
	for range 2 {
		if files, err = l.BatchFiles(t.Context(), tb.loc, "B03"); err != nil || len(files) != 1 {
			t.Fatalf("%+v, %v", files, err)
		}
		names = append(names, files[0].Name)
	}
	if names[0] != "exports/B03/part-00000.zstd.parquet" || names[1] != names[0] {
		t.Errorf("made %v", names)
	}
	var got []string
	err = l.ReadFiles(t.Context(), []DataFile{{URI: l.bucket.URI(names[0])}}, -1, func(r json.RawMessage) error { got = append(got, string(r)); return nil })
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if files, err = l.BatchFiles(t.Context(), tb.loc, "other"); err != nil || len(files) != 0 {
		t.Errorf("a batch of no rows: %+v, %v", files, err)
	}
}

// dirOf is the folder of a table on disk.
func (l *Lake) dirOf(t *testing.T, tb *Table) string {
	t.Helper()
	return strings.TrimPrefix(l.bucket.URI(tb.dir), "file://")
}

// TestSmall chooses files by size and place.
func TestSmall(t *testing.T) {
	const s, l = 1 << 20, smallFile
	for _, c := range []struct {
		name     string
		sizes    []int64
		from, to int
	}{
		{"too few", []int64{s, s, s, s, s, s, s}, 0, 0},
		{"enough", []int64{s, s, s, s, s, s, s, s}, 0, 8},
		{"behind a large one", []int64{s, s, l, s, s, s, s, s, s, s, s, s}, 3, 12},
		{"before a large one", []int64{s, s, s, s, s, s, s, s, s, l, s}, 0, 9},
		{"apart", []int64{s, s, s, s, l, s, s, s, s, l, s, s, s, s}, 0, 0},
		{"full", []int64{20 * s, 20 * s, 20 * s, 20 * s, 20 * s, 20 * s, 10 * s, 1, 1, 1}, 0, 0},
		{"full of many", []int64{l - 1, l - 1, l - 1, 1, 1, 1, 1, l - 1, l - 1, l - 1, 1}, 0, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			lake := openAt(t, "mem://small")
			tb := create(t, lake, people)
			var files []DataFile
			for i, n := range c.sizes {
				files = append(files, DataFile{URI: lake.bucket.URI(fmt.Sprintf("%s/data/B/%d.parquet", tb.dir, i)), Rows: 1, Bytes: n})
			}
			loc, err := tb.Append(t.Context(), files, nil)
			if err != nil {
				t.Fatal(err)
			}
			small, err := load(t, lake, loc).Small(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, f := range files[c.from:c.to] {
				want = append(want, f.URI)
			}
			for _, f := range small {
				got = append(got, f.URI)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestRewriteRefuses: no row may come or go, and what is merged must still be there.
func TestRewriteRefuses(t *testing.T) {
	l := open(t)
	tb := manyBatches(t, l, 8)
	small, err := tb.Small(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	merged, err := tb.Merge(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Rewrite(t.Context(), small[1:], merged, nil); err == nil || !strings.Contains(err.Error(), "24 rows would take the place of 21") {
		t.Errorf("with other rows: %v", err)
	}
	loc, err := tb.Replace(t.Context(), []string{small[2].URI}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, l, loc).Rewrite(t.Context(), small, merged, nil); !errors.Is(err, weir.ErrConflict) {
		t.Errorf("with a file that is gone: %v", err)
	}
	small[0].Rows++
	if _, err := tb.Merge(t.Context(), small); err == nil || !strings.Contains(err.Error(), "its manifest says 4") {
		t.Errorf("with a wrong manifest: %v", err)
	}
	small[0].Rows--
	strays, err := filepath.Glob(filepath.Join(l.dirOf(t, tb), "data", mergedPrefix+"*"))
	if err != nil || len(strays) != 1 {
		t.Errorf("%v, %v: a merge that fails leaves nothing", strays, err)
	}
}
