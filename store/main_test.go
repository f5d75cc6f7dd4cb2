package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/pgtest"
)

// postgres is the server that the tests share; noPostgres is why there is none.
var (
	postgres   *pgtest.Server
	noPostgres error
)

func TestMain(m *testing.M) {
	if child := os.Getenv("WEIR_STORE_CHILD"); child != "" {
		os.Exit(childMain(child))
	}
	os.Exit(pgtest.Main(m, func(s *pgtest.Server, err error) { postgres, noPostgres = s, err }))
}

var testKey = bytes.Repeat([]byte{7}, masterKeyLen)

// clock is a settable time source.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) forward(d time.Duration) { c.ms.Add(d.Milliseconds()) }

type testStore struct {
	*Store
	clock *clock
	url   string
}

// each runs a test on a fresh SQLite file and on a fresh PostgreSQL database.
func each(t *testing.T, test func(t *testing.T, s testStore)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			url := databaseURL(t, name)
			test(t, testStore{open(t, url, c.now), c, url})
		})
	}
}

func databaseURL(tb testing.TB, name string) string {
	tb.Helper()
	if name == "sqlite" {
		return "sqlite:" + filepath.Join(tb.TempDir(), "weir.db")
	}
	if postgres == nil {
		tb.Skip(noPostgres)
	}
	return postgres.Database(tb)
}

func open(tb testing.TB, url string, now func() time.Time) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Config{URL: url, MasterKey: testKey, Now: now, Log: testLog(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// testLog sends the store's warnings to the test's log until the test ends.
func testLog(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (s testStore) tx(tb testing.TB, fn func(*Tx) error) {
	tb.Helper()
	if err := s.Tx(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

var (
	prod = weir.Scope{Org: "0123456789ABCDEF01234567@AdobeOrg", Sandbox: "prod"}
	dev  = weir.Scope{Org: "0123456789ABCDEF01234567@AdobeOrg", Sandbox: "dev"}
	ann  = weir.Actor{User: "ann@x", Client: "key-a"}
	bob  = weir.Actor{User: "bob@x", Client: "key-b"}
)

func insert(tb testing.TB, s testStore, docs ...*weir.Doc) {
	tb.Helper()
	s.tx(tb, func(tx *Tx) error {
		for _, d := range docs {
			if err := tx.Insert(d, ann); err != nil {
				return err
			}
		}
		return nil
	})
}

// doc makes a document of prod from a body.
func doc(kind, id, body string) *weir.Doc {
	return &weir.Doc{Kind: kind, ID: id, Scope: prod, State: "enabled", Body: json.RawMessage(body)}
}

func (s testStore) get(tb testing.TB, kind string, scope weir.Scope, id string) *weir.Doc {
	tb.Helper()
	var d *weir.Doc
	err := s.View(tb.Context(), func(tx *Tx) (err error) {
		d, err = tx.Get(kind, scope, id)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (s testStore) find(tb testing.TB, q Query) ([]string, string) {
	tb.Helper()
	ids, next, err := s.tryFind(tb.Context(), q)
	if err != nil {
		tb.Fatalf("find %+v: %v", q, err)
	}
	return ids, next
}

func (s testStore) tryFind(ctx context.Context, q Query) (ids []string, next string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		docs, n, err := tx.Find(q)
		if err != nil {
			return err
		}
		next = n
		for _, d := range docs {
			ids = append(ids, d.ID)
		}
		if q.Limit > 0 {
			return nil
		}
		n2, err := tx.Count(q)
		if err == nil && q.Offset == 0 && q.After == "" && n2 != len(docs) {
			err = fmt.Errorf("count %d, found %d", n2, len(docs))
		}
		return err
	})
	return ids, next, err
}

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("error %v, want %v", err, want)
	}
}
