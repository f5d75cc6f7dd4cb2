package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/mapping"
)

const diffRecords = `{"id":"a","n":"5","name":"ann"}

{"id":"b","n":"x","name":"BO"}
{"key":"c","n":"7"}
{no json}
`

// diffFiles writes an old set, a new one and their schema.
func diffFiles(t *testing.T) mapCmd {
	t.Helper()
	dir := t.TempDir()
	c := mapCmd{Set: filepath.Join(dir, "old.json"), Diff: filepath.Join(dir, "new.json"), Schema: filepath.Join(dir, "schema.json"), Examples: 5}
	writeTestFile(t, c.Set, []byte(`{"mappings":[{"source":"id","destination":"_id"},{"source":"name","destination":"name"}]}`))
	writeTestFile(t, c.Diff, []byte(`{"mappings":[{"source":"id","destination":"_id"},{"sourceType":"EXPRESSION","source":"upper(name)","destination":"name"},{"source":"n","destination":"n"}]}`))
	writeTestFile(t, c.Schema, []byte(`{"properties":{"_id":{"type":"string"},"name":{"type":"string"},"n":{"type":"integer","maximum":6}},"required":["_id"]}`))
	return c
}

func runDiff(t *testing.T, c mapCmd, in string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = c.Run(&app{ctx: context.Background(), stdin: strings.NewReader(in), stdout: &out, stderr: &log, environ: os.Getenv})
	return out.String(), log.String(), err
}

func TestMapDiffTable(t *testing.T) {
	out, _, err := runDiff(t, diffFiles(t), diffRecords)
	if err != nil {
		t.Fatal(err)
	}
	want := `4 records: 1 same, 1 changed, 0 only rejected by the old set, 0 only by the new one, 1 by both, 1 for other reasons, 1 with other warnings, 1 are no JSON

destination  changed  appeared  vanished  warnings  rejects  types
n            0        1         0         -0 +1     -0 +1
name         1        0         0

record  destination  before  after
1       name         "ann"   "ANN"
1       n                    5

record 3: rejected by the old set: INGEST-1555-400: the required field _id has no value
record 3: rejected by the new set: INGEST-1555-400: the required field _id has no value
record 3: rejected by the new set: INGEST-1554-400: the value of n 7 is greater than the maximum 6
`
	got := strings.Split(out, "\n")
	for i := range got {
		got[i] = strings.TrimRight(got[i], " ")
	}
	if d := cmp.Diff(strings.Split(want, "\n"), got); d != "" {
		t.Errorf("table (-want +got):\n%s", d)
	}
}

func TestMapDiffResults(t *testing.T) {
	c := diffFiles(t)
	c.Results, c.Examples, c.In = true, 0, filepath.Join(t.TempDir(), "in.jsonl")
	writeTestFile(t, c.In, []byte(strings.TrimSuffix(diffRecords, "\n"))) // the last line has no end
	out, _, err := runDiff(t, c, "")
	if err != nil {
		t.Fatal(err)
	}
	var r mapping.DiffReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("%q: %v", out, err)
	}
	if r.Records != 4 || r.Changed != 1 || r.RejectedByBoth != 1 || r.Unreadable != 1 || len(r.Destinations) != 2 || len(r.Examples)+len(r.Rejects) != 0 {
		t.Errorf("got %s", out)
	}
}

func TestMapDiffRefuses(t *testing.T) {
	c := diffFiles(t)
	writeTestFile(t, c.Diff, []byte(`{"mappings":[{"sourceType":"EXPRESSION","source":"uper(id)","destination":"_id"}]}`))
	out, log, err := runDiff(t, c, diffRecords)
	var exit exitError
	if !errors.As(err, &exit) || exit != 2 || out != "" || !strings.Contains(log, "new.json cannot run") || !strings.Contains(log, "did you mean upper?") {
		t.Errorf("got %v, %q, %q", err, out, log)
	}
	if _, _, err := runDiff(t, mapCmd{Expr: "a", Diff: c.Diff}, ""); err == nil || !strings.Contains(err.Error(), "--set") {
		t.Errorf("--diff without --set: %v", err)
	}
}
