package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
)

// TestOpenTogether has processes that start at the same time migrate an empty database.
func TestOpenTogether(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			url := databaseURL(t, name)
			stores := make([]*Store, 6)
			var wg sync.WaitGroup
			for i := range stores {
				wg.Go(func() {
					s, err := Open(t.Context(), Config{URL: url, MasterKey: testKey})
					if err != nil {
						t.Error(err)
						return
					}
					stores[i] = s
				})
			}
			wg.Wait()
			for i, s := range stores {
				if s == nil {
					continue
				}
				err := s.Tx(t.Context(), func(tx *Tx) error { return tx.Insert(doc(weir.KindFlow, fmt.Sprint(i), `{}`), ann) })
				if err := errors.Join(err, s.Ping(t.Context()), s.Close()); err != nil {
					t.Error(err)
				}
			}
			// Open again: nothing to migrate, everything there.
			s := testStore{open(t, url, nil), nil, url}
			if ids, _ := s.find(t, Query{Kind: weir.KindFlow, AllScopes: true}); len(ids) != len(stores) {
				t.Errorf("%d documents", len(ids))
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "no-database")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"", "weir.db", "mysql://x", "sqlite:", "sqlite:" + file, "postgres://weir:hunter2@127.0.0.1:1/x?connect_timeout=1", "postgres://a b"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := Open(ctx, Config{URL: url, MasterKey: testKey})
		cancel()
		if err == nil {
			_ = s.Close()
			t.Errorf("%q opens", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the password is in %v", url, err)
		}
	}
}

func TestSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "we%20ir? #ü.db")
	s := open(t, "sqlite:"+path, nil)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "1", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := s.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", pragma, got, err, want)
		}
	}
}

// TestReadersDoNotWait reads while a write transaction is open, and sees what was committed before.
func TestReadersDoNotWait(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		insert(t, s, doc(weir.KindFlow, "a", `{}`))
		s.tx(t, func(tx *Tx) error {
			if err := tx.Insert(doc(weir.KindFlow, "b", `{}`), ann); err != nil {
				return err
			}
			if ids, _ := s.find(t, Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}}); len(ids) != 1 {
				t.Errorf("a reader sees %v", ids)
			}
			return nil
		})
		// A View is one moment: it does not see what is committed while it runs.
		err := s.View(t.Context(), func(tx *Tx) error {
			before, err := tx.Count(Query{Kind: weir.KindFlow, AllScopes: true})
			if err != nil {
				return err
			}
			insert(t, s, doc(weir.KindFlow, "c", `{}`))
			after, err := tx.Count(Query{Kind: weir.KindFlow, AllScopes: true})
			if before != after {
				t.Errorf("a View saw %d, then %d", before, after)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTxEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Tx(ctx, func(tx *Tx) error {
			if err := tx.Insert(doc(weir.KindFlow, "a", `{}`), ann); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if err == nil {
			t.Fatal("committed after its context")
		}
		err = s.View(t.Context(), func(tx *Tx) error {
			_, err := tx.Get(weir.KindFlow, prod, "a")
			return err
		})
		wantErr(t, err, weir.ErrNotFound)
	})
}

// TestManyWriters has transactions over one counter and over documents of their own, all at once.
func TestManyWriters(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		insert(t, s, doc(weir.KindRun, "r", `{"count":0}`))
		second := open(t, s.url, s.clock.now)
		const writers, each = 8, 6
		start := time.Now()
		var wg sync.WaitGroup
		for w := range writers {
			mine := s.Store
			if w%2 == 1 {
				mine = second
			}
			wg.Go(func() {
				for i := range each {
					err := mine.Tx(t.Context(), func(tx *Tx) error {
						if err := tx.PutStep(fmt.Sprint(w), i, nil); err != nil {
							return err
						}
						return count(tx)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		t.Logf("%d transactions on one document in %s", writers*each, time.Since(start).Round(time.Millisecond))
		if got := string(s.get(t, weir.KindRun, prod, "r").Body); got != fmt.Sprintf(`{"count":%d}`, writers*each) {
			t.Errorf("counted %s", got)
		}
	})
}
