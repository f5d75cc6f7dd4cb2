package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMapParquet maps a file with the benchmark's set: the rows go to a Parquet file, the others with their reasons to the error file.
func TestMapParquet(t *testing.T) {
	dir := t.TempDir()
	in, out, errs := filepath.Join(dir, "in.ndjson"), filepath.Join(dir, "out.parquet"), filepath.Join(dir, "errors.ndjson")
	records := `{"id":"a","email_address":" Ann@Example.com ","status":"cleaned","tags":[{"name":"x"}],"timestamp_opt":"2031-02-03T04:05:06+00:00"}
{"id":"b","email_address":"nobody"}
{"id":"c"
`
	if err := os.WriteFile(in, []byte(records), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &mapCmd{Set: "../../bench/testdata/mapping.json", Schema: "../../bench/testdata/schema.json", In: in, Parquet: out, Errors: errs, Threads: 2}
	_, log, err := runMap(t, c, "")
	if err != nil || !strings.Contains(log, "3 records: 1 rows, 2 rejected, 0 with columns left empty") {
		t.Fatalf("%v, %s", err, log)
	}
	if data, err := os.ReadFile(out); err != nil || !bytes.HasPrefix(data, []byte("PAR1")) || !bytes.HasSuffix(data, []byte("PAR1")) {
		t.Errorf("no Parquet file of %d bytes: %v", len(data), err)
	}
	got, err := os.ReadFile(errs)
	if err != nil || strings.Count(string(got), "\n") != 2 || !strings.Contains(string(got), `"column":"personalEmail.address"`) || !strings.Contains(string(got), `"_corrupt_record"`) {
		t.Errorf("errors %s: %v", got, err)
	}
	c.Schema = ""
	if _, _, err := runMap(t, c, ""); err == nil || !strings.Contains(err.Error(), "--schema") {
		t.Errorf("without a schema: %v", err)
	}
}
