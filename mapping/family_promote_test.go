package mapping_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/ingest"
	"weir/internal/setfamily"
	"weir/mapping"
	"weir/record"
	"weir/xdm"
)

// counts is what became of some records.
type counts struct {
	Rows, Rejected, Warned int64
	Columns                map[string]int64 // nullified values by destination
	Reasons                []string         // of the rejected rows, in order
}

// TestFamilyPromotes runs the family through the promotion itself, file to file, and holds its report and its error file to the general evaluator.
func TestFamilyPromotes(t *testing.T) {
	n := 12
	if testing.Short() {
		n = 5
	}
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	dir := t.TempDir()
	cases := setfamily.Cases()
	for i := range cases {
		c := &cases[i]
		set, err := mapping.ParseSet(c.Set)
		if err != nil {
			t.Fatal(err)
		}
		target, err := xdm.FromJSONSchema(c.Schema)
		if err != nil {
			t.Fatal(err)
		}
		shape := weir.Shape{}
		if c.Wrapped {
			shape.Wrapper = setfamily.Wrapper
		}
		p, err := mapping.NewProgram(set, target, shape)
		if err != nil {
			t.Fatal(err)
		}
		var in []byte
		for k := range n {
			in = append(setfamily.AppendRecord(in, 1000*i+k, c.Wrapped), '\n')
		}
		job := ingest.FileJob{
			In: filepath.Join(dir, "in.ndjson"), Out: filepath.Join(dir, "out.parquet"), Errors: filepath.Join(dir, "errors.ndjson"),
			Schema: target, Program: ingest.Compiled(p), Now: now, Workers: 1 + i%2,
		}
		if err := os.WriteFile(job.In, in, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ingest.PromoteFile(context.Background(), job)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		got := counts{Rows: r.Out, Rejected: r.Failed, Warned: r.Warned, Columns: map[string]int64{}, Reasons: reasons(t, job.Errors)}
		for _, x := range r.Columns {
			got.Columns[x.Column] = x.Rows
		}
		if d := cmp.Diff(evaluated(t, set, target, shape, in, now), got); d != "" {
			t.Fatalf("%s (-evaluator +promotion):\n%s", c.Name, d)
		}
	}
}

// evaluated runs the records through the general evaluator.
func evaluated(t *testing.T, set *mapping.Set, target *record.Schema, shape weir.Shape, in []byte, now time.Time) counts {
	t.Helper()
	tr, err := mapping.NewTransformer(set, target, shape)
	if err != nil {
		t.Fatal(err)
	}
	want := counts{Columns: map[string]int64{}}
	env := mapping.NewEnv("", now)
	for line := range bytes.Lines(in) {
		rec, err := record.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		env.Next(0)
		res := tr.Transform(rec, env)
		if len(res.Reject) > 0 {
			want.Rejected++
			for _, e := range res.Reject {
				want.Reasons = append(want.Reasons, e.Path+": "+e.Message)
			}
			continue
		}
		want.Rows++
		for i := range res.Warnings {
			want.Columns[res.Warnings[i].Destination]++
		}
		if len(res.Warnings) > 0 {
			want.Warned++
		}
	}
	return want
}

// reasons reads an error file.
func reasons(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range bytes.Lines(raw) {
		var row struct {
			Errors []struct{ Column, Message string } `json:"_errors"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		for _, e := range row.Errors {
			out = append(out, e.Column+": "+e.Message)
		}
	}
	return out
}
