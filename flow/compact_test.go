package flow

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/blob"
	"weir/lake"
	"weir/record"
	"weir/store"
)

// yard is an installation with one table of numbers, ns.t.
type yard struct {
	t      *testing.T
	store  *store.Store
	lake   *lake.Lake
	engine *Engine
}

func openYard(t *testing.T, dir string) *yard {
	t.Helper()
	e := installed(t, dir)
	return &yard{t, e.Store, e.Lake, e}
}

// installed is an engine over a database and a lake in a folder.
func installed(t *testing.T, dir string) *Engine {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(dir, "weir.db"), MasterKey: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b, err := blob.Open(t.Context(), "file://"+filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Store: s, Lake: l, Log: slog.New(slog.DiscardHandler)}
}

func (y *yard) swap(old, location string) {
	y.t.Helper()
	if err := y.engine.swap(y.t.Context(), Ident{"ns", "t"}, old, location); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) table() *lake.Table {
	y.t.Helper()
	t, err := y.engine.tableNow(y.t.Context(), Ident{"ns", "t"})
	if err != nil || t == nil {
		y.t.Fatal(t, err)
	}
	return t
}

// fill makes the table with n batches of two rows each: 10·i and 10·i+1.
func (y *yard) fill(n int) {
	y.t.Helper()
	loc, err := y.lake.Create(y.t.Context(), "ns", "t", &record.Schema{Fields: []record.Field{{Name: "n", Type: record.Long}}})
	if err != nil {
		y.t.Fatal(err)
	}
	y.swap("", loc)
	for i := range n {
		y.append(i)
	}
}

func (y *yard) append(i int) {
	y.t.Helper()
	t := y.table()
	s := t.Schema()
	w, err := t.NewFile(y.t.Context(), s, fmt.Sprintf("B%02d", i), 0)
	if err != nil {
		y.t.Fatal(err)
	}
	b := record.NewBatch(s)
	b.Rows, b.Cols[0].None = 2, false
	copy(b.Cols[0].GrowWords(2), []uint64{uint64(10 * i), uint64(10*i + 1)})
	if err := w.Append(b); err != nil {
		y.t.Fatal(err)
	}
	f, err := w.Close()
	if err != nil {
		y.t.Fatal(err)
	}
	loc, err := t.Append(y.t.Context(), []lake.DataFile{f}, nil)
	if err != nil {
		y.t.Fatal(err)
	}
	if err := t.Publish([]lake.DataFile{f}); err != nil {
		y.t.Fatal(err)
	}
	y.swap(t.MetadataLocation(), loc)
}

// rows are the numbers of the table, in order, and the number of its files.
func (y *yard) rows() (out []int, files int64) {
	y.t.Helper()
	t := y.table()
	err := t.Read(y.t.Context(), -1, func(raw json.RawMessage) error {
		var r struct{ N int }
		defer func() { out = append(out, r.N) }()
		return json.Unmarshal(raw, &r)
	})
	if err != nil {
		y.t.Fatal(err)
	}
	if n, err := t.Rows(y.t.Context()); err != nil || n != int64(len(out)) {
		y.t.Errorf("the footers count %d rows of %d, %v", n, len(out), err)
	}
	files, _, _ = t.Totals()
	return out, files
}

func numbers(batches ...int) (out []int) {
	for _, i := range batches {
		out = append(out, 10*i, 10*i+1)
	}
	return out
}

func (y *yard) expect(files int64, batches ...int) {
	y.t.Helper()
	got, n := y.rows()
	if !slices.Equal(got, numbers(batches...)) || n != files {
		y.t.Errorf("rows %v in %d files, want batches %v in %d", got, n, batches, files)
	}
}

// TestCompactBesideCommits merges while other batches come, and while one goes.
func TestCompactBesideCommits(t *testing.T) {
	y := openYard(t, t.TempDir())
	y.fill(9)
	y.engine.KeepSmallFiles = true
	if err := y.engine.compactTables(t.Context()); err != nil {
		t.Fatal(err)
	}
	y.expect(9, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	y.engine.KeepSmallFiles = false
	next := 9
	y.engine.Fail = func(point string) {
		if point == FailMergeAppended && next < 12 { // three times a batch commits first
			y.append(next)
			next++
		}
	}
	if err := y.engine.compactTables(t.Context()); err != nil {
		t.Fatal(err)
	}
	y.expect(4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	for i := 12; i < 18; i++ {
		y.append(i)
	}
	gone := false
	y.engine.Fail = func(point string) {
		if point != FailMerged || gone {
			return
		}
		gone = true
		now := y.table()
		remove, add, err := now.Without(t.Context(), []string{"B04", "B13"})
		if err != nil {
			t.Fatal(err)
		}
		loc, err := now.Replace(t.Context(), remove, add, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := now.Publish(add); err != nil {
			t.Fatal(err)
		}
		y.swap(now.MetadataLocation(), loc)
	}
	if err := y.engine.compactTables(t.Context()); err != nil {
		t.Fatal(err)
	}
	y.engine.Fail = nil
	got, files := y.rows()
	slices.Sort(got)
	if want := numbers(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17); !slices.Equal(got, want) || files != 1 || !gone {
		t.Errorf("rows %v in %d files, want %v", got, files, want)
	}
}

// TestCompactKilled kills the process at every point of a merge. Readers see the same rows before and after, the next maintenance does the work, and
// what the dead one left goes after its time.
func TestCompactKilled(t *testing.T) {
	for _, point := range []string{FailMerged, FailMergeAppended, FailMergeCommitted} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			y := openYard(t, dir)
			y.fill(8)
			if err := y.store.Close(); err != nil {
				t.Fatal(err)
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(t.Context(), self, "-test.run=^TestCompactChild$")
			child.Env = append(os.Environ(), "WEIR_TEST_COMPACT="+dir, "WEIR_TEST_POINT="+point)
			out, err := child.CombinedOutput()
			if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			y = openYard(t, dir)
			files := int64(8)
			if point == FailMergeCommitted {
				files = 1
			}
			y.expect(files, 0, 1, 2, 3, 4, 5, 6, 7)
			y.engine.Now = func() time.Time { return time.Now().Add(strayAge + time.Hour) }
			if err := y.engine.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			y.expect(1, 0, 1, 2, 3, 4, 5, 6, 7)
			var merged int
			for o, err := range y.lake.Bucket().List(t.Context(), "tables/") {
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(o.Name, "/merged-") {
					merged++
				}
			}
			if merged != 2 {
				t.Errorf("%d merged files and notes about them, want one of each", merged)
			}
		})
	}
}

// TestCompactChild is the process that dies.
func TestCompactChild(t *testing.T) {
	dir := os.Getenv("WEIR_TEST_COMPACT")
	if dir == "" {
		t.Skip("run by TestCompactKilled")
	}
	y := openYard(t, dir)
	y.engine.Fail = func(point string) {
		if point == os.Getenv("WEIR_TEST_POINT") {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	if err := y.engine.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestForgetRejected: notes about rejected rows go with the rows.
func TestForgetRejected(t *testing.T) {
	y := openYard(t, t.TempDir())
	scope := weir.Scope{Org: "O", Sandbox: "prod"}
	err := y.store.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.Insert(&weir.Doc{Kind: kindRejected, ID: "B", Scope: scope, Body: json.RawMessage(`{"rows":1}`)}, weir.Actor{})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		days int
		left bool
	}{{29, true}, {31, false}} {
		y.engine.Now = func() time.Time { return time.Now().Add(time.Duration(step.days) * 24 * time.Hour) }
		if err := y.engine.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := y.store.View(t.Context(), func(tx *store.Tx) error {
			d, _, err := readRejected(tx, scope, "B")
			if (d != nil) != step.left {
				t.Errorf("after %d days: %v", step.days, d)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
