package lake

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/record"
)

// python finds an interpreter that has pyiceberg, or skips. $WEIR_TEST_PYTHON names one explicitly.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("WEIR_TEST_PYTHON"), "python3"} {
		if p != "" && exec.CommandContext(t.Context(), p, "-c", "import pyiceberg, pyarrow").Run() == nil {
			return p
		}
	}
	t.Skip("no python3 with pyiceberg and pyarrow: pip install pyiceberg pyarrow, or set WEIR_TEST_PYTHON")
	return ""
}

const readAll = `
import sys, json
from pyiceberg.table import StaticTable
t = StaticTable.from_metadata(sys.argv[1])
for r in sorted(t.scan().to_arrow().to_pylist(), key=lambda r: r["_id"]):
    print(r["_id"], r["name"] and r["name"]["first"], r["visits"], r["seen"] and r["seen"].isoformat(), r["born"], r["scores"], r["tags"] or None, r.get("late"))
print("filtered", len(t.scan(row_filter="visits > 5").to_arrow()))
s = t.current_snapshot()
print("summary", s.summary["weir.batch-id"], s.summary["total-records"], len(t.metadata.snapshots), t.metadata.snapshot_log[-1].snapshot_id == s.snapshot_id)
print("files", len(t.inspect.files()), all(f.startswith("file:///") for f in t.inspect.files()["file_path"].to_pylist()))
`

// TestPyicebergReadsTheSame gives a table with evolution, merged manifests and a removed batch to another implementation.
func TestPyicebergReadsTheSame(t *testing.T) {
	py := python(t)
	l := open(t)
	tb := appendRows(t, create(t, l, people), "B0", rowA)
	for i := range maxSmall + 4 {
		tb = appendRows(t, tb, fmt.Sprintf("C%d", i), fmt.Sprintf(`{"_id":"c%02d","visits":%d}`, i, i))
	}
	loc, _, err := tb.Evolve(t.Context(), &record.Schema{Fields: []record.Field{{Name: "late", Type: record.String}}})
	if err != nil {
		t.Fatal(err)
	}
	tb = appendRows(t, load(t, l, loc), "B2", `{"_id":"d","late":"x","visits":6}`)
	files, err := tb.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, f := range files {
		if strings.HasPrefix(f.Batch(), "C") && f.Batch() != "C3" && f.Batch() != "C7" {
			gone = append(gone, f.URI)
		}
	}
	if loc, err = tb.Replace(t.Context(), gone, nil, map[string]string{"weir.batch-id": "R"}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), py, "-W", "ignore", "-c", readAll, loc).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `a Ida 9007199254740993 2026-11-24T10:00:00.250000+00:00 1999-12-31 [('x', 1.5), ('y', -2.0)] [{'label': 't1'}, {'label': 't2'}] None
c03 None 3 None None None None None
c07 None 7 None None None None None
d None 6 None None None None x
filtered 3
summary R 4 31 True
files 4 True
`
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Error(d)
	}
}
