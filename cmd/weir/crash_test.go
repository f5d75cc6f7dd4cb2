package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/flow"
	"weir/internal/pgtest"
)

// duckdb runs a query over Parquet files ($1) with DuckDB and returns one JSON text per row.
func duckdb(t *testing.T, sql string, files []string) []string {
	t.Helper()
	script, err := filepath.Abs("../../testdata/readers/duckdb.mjs")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", append([]string{script, sql}, files...)...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("DuckDB: %v\n%s\n(its packages come with: npm ci --prefix testdata/readers)", err, exit.Stderr)
		}
		t.Fatalf("DuckDB: %v", err)
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// countRows are rows and distinct ids in the Parquet files that can be seen in the lake.
func (s *server) countRows() (rows, distinct int) {
	s.t.Helper()
	files := s.parquetFiles()
	if len(files) == 0 {
		return 0, 0
	}
	line := duckdb(s.t, `SELECT count(*)::INTEGER AS n, count(DISTINCT _id)::INTEGER AS d FROM read_parquet($1)`, files)[0]
	if _, err := fmt.Sscanf(line, `{"n":%d,"d":%d}`, &rows, &distinct); err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return rows, distinct
}

// TestKill kills the process at every failpoint of a run and starts it again: the run goes on by itself and every row is there once.
// Before the commit no row can be seen, after it all can.
func TestKill(t *testing.T) {
	const n, page = 5000, 100
	for _, c := range []struct {
		point   string
		visible int // rows that may be seen after the crash
	}{
		{flow.FailCopyPage + ":1", 0},
		{flow.FailCopyPage + ":23", 0},
		{flow.FailCopyStep + ":17", 0},
		{flow.FailPromoted, 0},
		{flow.FailPromoteStep, 0},
		{flow.FailAppended, 0},
		{flow.FailCommitted, n},
	} {
		t.Run(c.point, func(t *testing.T) {
			t.Parallel()
			killAt(t, c.point, n, page, c.visible)
		})
	}
}

// TestTakeover does the same on PostgreSQL, where a second process goes on when the lease of the dead one has run out.
func TestTakeover(t *testing.T) {
	const n, page = 3000, 100
	pg, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pg.Stop() }()
	t.Run("points", func(t *testing.T) {
		for _, point := range []string{flow.FailCopyPage + ":13", flow.FailPromoted, flow.FailAppended} {
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				killAt(t, point, n, page, 0, "--database", pg.Database(t), "--lease-ttl", "2s")
			})
		}
	})
}

// killAt lets a run die at a failpoint and checks what can be seen before and after the restart.
func killAt(t *testing.T, point string, n, page, visible int, args ...string) {
	t.Helper()
	up := newUpstream(t, n, page)
	s := newServer(t, args...)
	s.start(point)
	_, id := s.testFlow(up.URL, page, nil)
	s.crashed()
	if rows, _ := s.countRows(); rows != visible {
		t.Errorf("after the crash %d rows can be seen, want %d", rows, visible)
	}
	begun := time.Now()
	s.start("")
	run := s.ended(id, 15*time.Second)
	t.Logf("ended %v after the restart began", time.Since(begun).Round(time.Millisecond))
	if got := run.Metrics.Status.Status; got != weir.RunSuccess {
		t.Fatalf("run ended %s: %+v", got, run.Metrics.Status.Errors)
	}
	r := run.Metrics.Records
	if r.Input != int64(n) || r.Output != int64(n) || r.Failed != 0 {
		t.Errorf("run reports in %d, out %d, failed %d; want %d, %d, 0", r.Input, r.Output, r.Failed, n, n)
	}
	if rows, distinct := s.countRows(); rows != n || distinct != n {
		t.Errorf("the files have %d rows, %d distinct; want %d", rows, distinct, n)
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	twice := 0
	for offset, times := range up.served {
		if times > 1 {
			twice++
		}
		if times > 2 {
			t.Errorf("page at %d was read %d times", offset, times)
		}
	}
	if twice > 1 {
		t.Errorf("%d pages were read twice, at most one may be", twice)
	}
	s.stageEmpty()
	s.stop(syscall.SIGTERM)
}

// ranOnce is a server on which a flow of n records has run.
func ranOnce(t *testing.T, n int) (*server, weir.Run) {
	t.Helper()
	const page = 300
	up := newUpstream(t, n, page)
	s := newServer(t)
	s.start("")
	_, id := s.testFlow(up.URL, page, nil)
	run := s.ended(id, 30*time.Second)
	if run.Metrics.Status.Status != weir.RunSuccess {
		t.Fatalf("run: %+v", run.Metrics.Status)
	}
	return s, run
}

// TestReadersAgree checks the values that a run wrote with a reader that is not ours.
func TestReadersAgree(t *testing.T) {
	const n = 1000
	s, run := ranOnce(t, n)
	rows := duckdb(t, `SELECT _id, personalEmail.address AS email, person.name.firstName AS first, person.name.lastName AS last,
		columns(c -> c LIKE '\_%' ESCAPE '\' AND c NOT IN ('_id', '_repo')) AS own FROM read_parquet($1) ORDER BY _id`, s.parquetFiles())
	if len(rows) != n {
		t.Fatalf("DuckDB reads %d rows, the run reports %d", len(rows), run.Metrics.Records.Output)
	}
	for _, i := range []int{0, 1, 299, 300, 999} {
		for _, want := range []string{
			fmt.Sprintf(`"_id":"m%07d"`, i), fmt.Sprintf(`"email":"member%d@example.org"`, i), fmt.Sprintf(`"first":"Ada %d"`, i), `"last":"Ünal"`,
			`"visits":` + strconv.Itoa(i), fmt.Sprintf(`"zip":"%05d"`, i), fmt.Sprintf(`"tags":["a","t%d"]`, i%7), `"changed":"2031-02-03 04:05:06+00"`,
		} {
			if !strings.Contains(rows[i], want) {
				t.Errorf("row %d lacks %s:\n%s", i, want, rows[i])
			}
		}
	}
}

// python is an interpreter with pyiceberg, or the test is skipped.
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

// TestIcebergReaderAgrees reads the table of a run with pyiceberg, from the metadata file alone.
func TestIcebergReaderAgrees(t *testing.T) {
	interpreter := python(t)
	const n = 1000
	s, run := ranOnce(t, n)
	metadata, err := filepath.Glob(filepath.Join(s.dir, "lake", "tables", "*", "*", "metadata", "*.metadata.json"))
	if err != nil || len(metadata) == 0 {
		t.Fatalf("no metadata: %v", err)
	}
	slices.Sort(metadata) // names begin with the version
	out, err := exec.CommandContext(t.Context(), interpreter, "../../testdata/readers/iceberg.py", "file://"+metadata[len(metadata)-1]).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("pyiceberg: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(rows) != n || int64(len(rows)) != run.Metrics.Records.Output {
		t.Fatalf("pyiceberg reads %d rows, the run reports %d", len(rows), run.Metrics.Records.Output)
	}
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(idOf(a), idOf(b)) })
	for _, i := range []int{0, 299, 300, 999} {
		for _, want := range []string{
			fmt.Sprintf(`"_id": "m%07d"`, i), fmt.Sprintf(`"address": "member%d@example.org"`, i), fmt.Sprintf(`"firstName": "Ada %d"`, i), `"lastName": "Ünal"`,
			`"visits": ` + strconv.Itoa(i), fmt.Sprintf(`"zip": "%05d"`, i), fmt.Sprintf(`"tags": ["a", "t%d"]`, i%7), `"changed": "2031-02-03T04:05:06+00:00"`,
		} {
			if !strings.Contains(rows[i], want) {
				t.Errorf("row %d lacks %s:\n%s", i, want, rows[i])
			}
		}
	}
}

// idOf cuts the _id out of a printed row.
func idOf(row string) string {
	_, rest, _ := strings.Cut(row, `"_id": "`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
