package flow

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"weir"
	"weir/blob"
	"weir/lake"
	"weir/record"
	"weir/store"
)

// TestMaintain ages an installation by moving its clock and looks at what goes and what stays.
func TestMaintain(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Now()
	clock := func() time.Time { return now }
	s, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(dir, "weir.db"), MasterKey: make([]byte, 32), Now: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b, err := blob.Open(ctx, "file://"+filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Store: s, Lake: l, Now: clock, Log: slog.New(slog.DiscardHandler)}

	loc, err := l.Create(ctx, "ns", "t", &record.Schema{Fields: []record.Field{{Name: "n", Type: record.Long}}})
	if err != nil {
		t.Fatal(err)
	}
	table, ok := b.Name(loc)
	if !ok {
		t.Fatal(loc)
	}
	stray := filepath.ToSlash(filepath.Join(filepath.Dir(filepath.Dir(table)), "data", "B0", "part-00000-0badcafe.zstd.parquet.pending"))
	for _, name := range []string{stray, "meta/B0/row_errors/parsing_errors_0.json", "uploads/B0/files/x.json"} {
		if err := b.Write(ctx, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	scope := weir.Scope{Org: "O", Sandbox: "prod"}
	loading := weir.NewBatch("ds")
	body, err := json.Marshal(loading)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.SwapTable("ns", "t", "", loc); err != nil {
			return err
		}
		return tx.Insert(&weir.Doc{Kind: weir.KindBatch, ID: "B0", Scope: scope, State: loading.Status, Body: body}, weir.Actor{User: "u"})
	})
	if err != nil {
		t.Fatal(err)
	}
	status := func() string {
		t.Helper()
		var st string
		err := s.View(ctx, func(tx *store.Tx) error {
			d, err := tx.Get(weir.KindBatch, scope, "B0")
			if err == nil {
				st = d.State
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	left := func() int {
		t.Helper()
		n := 0
		for _, name := range []string{stray, "meta/B0/row_errors/parsing_errors_0.json", "uploads/B0/files/x.json"} {
			if _, err := b.Stat(ctx, name); err == nil {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		days   int
		status string
		left   int
	}{{1, weir.BatchLoading, 3}, {8, weir.BatchAbandoned, 2}, {15, weir.BatchAbandoned, 1}, {31, weir.BatchAbandoned, 0}} {
		now = time.Now().Add(time.Duration(step.days) * 24 * time.Hour)
		if err := e.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		if st, n := status(), left(); st != step.status || n != step.left {
			t.Errorf("after %d days: %s and %d files, want %s and %d", step.days, st, n, step.status, step.left)
		}
	}
	if _, err := l.Load(ctx, loc); err != nil {
		t.Errorf("the table is gone: %v", err)
	}
}
