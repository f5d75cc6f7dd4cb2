package store

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestInsertSetsTheHeader(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		d := &weir.Doc{Kind: weir.KindFlow, Scope: prod, State: "draft", Body: json.RawMessage(`{"z":1.10, "a":12345678901234567890,"n":null}`)}
		insert(t, s, d)
		got := s.get(t, weir.KindFlow, prod, d.ID)
		want := &weir.Doc{
			Kind: weir.KindFlow, ID: d.ID, Scope: prod, ETag: d.ETag, Rev: 1, State: "draft",
			CreatedAt: 1_700_000_000_000, UpdatedAt: 1_700_000_000_000,
			CreatedBy: "ann@x", UpdatedBy: "ann@x", CreatedClient: "key-a", UpdatedClient: "key-a",
			Body: json.RawMessage(`{"z":1.10, "a":12345678901234567890,"n":null}`), Meta: json.RawMessage(`{}`),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if len(d.ID) != 36 || d.ETag == "" {
			t.Fatalf("id %q, etag %q", d.ID, d.ETag)
		}
		err := s.Tx(t.Context(), func(tx *Tx) error {
			if err := tx.Insert(&weir.Doc{Kind: weir.KindFlow, Scope: prod, ID: d.ID}, ann); !errors.Is(err, weir.ErrConflict) {
				t.Errorf("second insert: %v", err)
			}
			// The transaction goes on after a conflict.
			return tx.Insert(&weir.Doc{Kind: weir.KindFlow, Scope: dev, ID: d.ID}, ann)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestScopesAreSeparate(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		org := weir.Scope{Org: prod.Org}
		insert(t, s,
			&weir.Doc{Kind: weir.KindConnectionSpec, ID: "both", Scope: weir.Scope{}, Body: json.RawMessage(`{"name":"global"}`)},
			&weir.Doc{Kind: weir.KindConnectionSpec, ID: "both", Scope: org, Body: json.RawMessage(`{"name":"own"}`)},
			&weir.Doc{Kind: weir.KindConnectionSpec, ID: "one", Scope: weir.Scope{}})
		err := s.View(t.Context(), func(tx *Tx) error {
			if _, err := tx.Get(weir.KindConnectionSpec, prod, "both"); !errors.Is(err, weir.ErrNotFound) {
				t.Errorf("other scope: %v", err)
			}
			d, err := tx.GetAny(weir.KindConnectionSpec, []weir.Scope{org, {}}, "both")
			if err != nil || string(d.Body) != `{"name":"own"}` {
				t.Errorf("first scope: %v %v", d, err)
			}
			if d, err = tx.GetAny(weir.KindConnectionSpec, []weir.Scope{org, {}}, "one"); err != nil || d.Scope.Org != "" {
				t.Errorf("second scope: %v %v", d, err)
			}
			_, err = tx.GetAny(weir.KindConnectionSpec, []weir.Scope{org, {}}, "none")
			wantErr(t, err, weir.ErrNotFound)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ids, _ := s.find(t, Query{Kind: weir.KindConnectionSpec, Scopes: []weir.Scope{org, {}}})
		if len(ids) != 3 {
			t.Errorf("two scopes: %v", ids)
		}
		if ids, _ = s.find(t, Query{Kind: weir.KindConnectionSpec}); len(ids) != 0 {
			t.Errorf("no scope finds %v", ids)
		}
		if ids, _ = s.find(t, Query{Kind: weir.KindConnectionSpec, AllScopes: true}); len(ids) != 3 {
			t.Errorf("all scopes: %v", ids)
		}
	})
}

func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		d := doc(weir.KindFlow, "f", `{"name":"a"}`)
		insert(t, s, d)
		first := *d
		d.Body, d.Meta, d.State = json.RawMessage(`{"name":"b"}`), json.RawMessage(`{"m":1}`), "disabled"
		s.tx(t, func(tx *Tx) error { return tx.Update(d, bob) }) // in the same millisecond
		got := s.get(t, weir.KindFlow, prod, "f")
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatal(diff)
		}
		if got.ETag == first.ETag || got.Rev != 2 || got.UpdatedAt <= got.CreatedAt || got.UpdatedBy != "bob@x" || got.UpdatedClient != "key-b" ||
			got.CreatedBy != "ann@x" || got.State != "disabled" {
			t.Fatalf("header after update: %+v", got)
		}
		err := s.Tx(t.Context(), func(tx *Tx) error { return tx.Update(&first, bob) })
		wantErr(t, err, weir.ErrConflict)
		s.tx(t, func(tx *Tx) error { return tx.Delete(weir.KindFlow, prod, "f") })
		err = s.Tx(t.Context(), func(tx *Tx) error { return tx.Update(d, bob) })
		wantErr(t, err, weir.ErrNotFound)
		err = s.Tx(t.Context(), func(tx *Tx) error { return tx.Delete(weir.KindFlow, prod, "f") })
		wantErr(t, err, weir.ErrNotFound)
	})
}

func TestTouchKeepsTheVersion(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		d := doc(weir.KindFlow, "f", `{"name":"a"}`)
		insert(t, s, d)
		s.clock.forward(time.Minute)
		d.Meta = json.RawMessage(`{"lastRunDetails":{"id":"r1"}}`)
		d.State = "disabled"
		before := *d
		s.tx(t, func(tx *Tx) error { return tx.Touch(d) })
		got := s.get(t, weir.KindFlow, prod, "f")
		if diff := cmp.Diff(&before, got); diff != "" {
			t.Fatal(diff)
		}
		byRun := Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Where: []Cond{{Path: path("lastRunDetails.id"), Op: Eq, Values: []string{"r1"}}}}
		if ids, _ := s.find(t, byRun); len(ids) != 1 {
			t.Errorf("filtered by what was touched: %v", ids)
		}
		s.tx(t, func(tx *Tx) error { return tx.Update(got, bob) })
		err := s.Tx(t.Context(), func(tx *Tx) error { return tx.Touch(&weir.Doc{Kind: weir.KindFlow, Scope: prod, ID: "none"}) })
		wantErr(t, err, weir.ErrNotFound)
	})
}

func TestConcurrentUpdatesOneWins(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		d := doc(weir.KindFlow, "f", `{"name":"a"}`)
		insert(t, s, d)
		const writers = 8
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			mine := *d
			wg.Go(func() {
				errs[i] = s.Tx(t.Context(), func(tx *Tx) error {
					copied := mine
					return tx.Update(&copied, bob)
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, weir.ErrConflict) {
				t.Errorf("a loser sees %v", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d writers won", won)
		}
	})
}

// TestTransactionsAreSerializable is the write skew that weaker isolation lets through: each of two transactions sees room for one more.
func TestTransactionsAreSerializable(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		const limit, writers = 5, 12
		full := errors.New("full")
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for i := range writers {
			wg.Go(func() {
				errs[i] = s.Tx(t.Context(), func(tx *Tx) error {
					n, err := tx.Count(Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}})
					if err != nil {
						return err
					}
					if n >= limit {
						return full
					}
					return tx.Insert(&weir.Doc{Kind: weir.KindFlow, Scope: prod}, ann)
				})
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil && !errors.Is(err, full) {
				t.Errorf("a writer sees %v", err)
			}
		}
		if ids, _ := s.find(t, Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}}); len(ids) != limit {
			t.Fatalf("%d documents, the limit was %d", len(ids), limit)
		}
	})
}

func TestTransactionsRollBack(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		boom := errors.New("boom")
		called := false
		err := s.Tx(t.Context(), func(tx *Tx) error {
			tx.AfterCommit(func() { called = true })
			if err := tx.Insert(doc(weir.KindFlow, "f", `{}`), ann); err != nil {
				return err
			}
			return boom
		})
		wantErr(t, err, boom)
		if ids, _ := s.find(t, Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}}); len(ids) != 0 || called {
			t.Fatalf("after a rollback: %v, AfterCommit called: %t", ids, called)
		}
		err = s.View(t.Context(), func(tx *Tx) error { return tx.Insert(doc(weir.KindFlow, "f", `{}`), ann) })
		if err == nil {
			t.Fatal("a View wrote")
		}
	})
}

func TestWhatIsNoDocument(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for name, d := range map[string]*weir.Doc{
			"array":     doc(weir.KindFlow, "x", `[]`),
			"broken":    doc(weir.KindFlow, "x", `{"a":`),
			"text":      doc(weir.KindFlow, "x", `"a"`),
			"deep":      doc(weir.KindFlow, "x", strings.Repeat(`{"a":`, 300)+"1"+strings.Repeat("}", 300)),
			"deep meta": {Kind: weir.KindFlow, ID: "x", Scope: prod, Meta: json.RawMessage(`{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}")},
			"NUL id":    doc(weir.KindFlow, "a\x00b", `{}`),
			"long id":   doc(weir.KindFlow, strings.Repeat("x", 600), `{}`),
			"bytes id":  doc(weir.KindFlow, "\xff", `{}`),
		} {
			if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.Insert(d, ann) }); err == nil {
				t.Errorf("%s was stored", name)
			}
		}
		err := s.View(t.Context(), func(tx *Tx) error {
			for _, id := range []string{"a\x00b", "\xff", strings.Repeat("y", 100_000)} {
				if _, err := tx.Get(weir.KindFlow, prod, id); !errors.Is(err, weir.ErrNotFound) {
					t.Errorf("get %.10q: %v", id, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestHostileDocuments stores what JSON allows and databases dislike, and then filters over it.
func TestHostileDocuments(t *testing.T) {
	bodies := map[string]string{
		"nul":       `{"name":"a\u0000b","x":{"\u0000":1}}`,
		"half":      `{"name":"\ud800","y":"\udc00\ud800x"}`,
		"pair":      `{"name":"\ud83d\ude00"}`,
		"huge":      `{"name":1e999999,"n":-1E+99999,"d":` + strings.Repeat("9", 5000) + `}`,
		"long":      `{"name":"` + strings.Repeat("long ", 20_000) + `"}`,
		"bytes":     "{\"name\":\"\xff\xfe\"}",
		"twice":     `{"name":"a","name":"b"}`,
		"deep":      `{"a":` + strings.Repeat("[", 250) + strings.Repeat("]", 250) + `}`,
		"empty key": `{"":{"":1},"a.b":{"c":2},"a\"b":3}`,
		"object":    `{"name":{"x":1}}`,
		"list":      `{"name":["a","b"]}`,
	}
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for id, body := range bodies {
			insert(t, s, doc(weir.KindFlow, id, body))
			if got := s.get(t, weir.KindFlow, prod, id); id != "bytes" && string(got.Body) != body {
				t.Errorf("%s came back as %.80s", id, got.Body)
			}
		}
		for _, c := range []Cond{
			{Path: []string{"name"}, Op: Eq, Values: []string{"x", "a\x00b", "\xff"}},
			{Path: []string{"name"}, Op: Gt, Values: []string{"1"}},
			{Path: []string{"n"}, Op: Gt, Values: []string{"-1e300"}},
			{Path: []string{"x", "y"}, Op: Eq, Values: []string{"1"}},
			{Path: []string{"a"}, Op: Ne, Values: []string{"1"}},
			{Path: []string{"name"}, Op: Contains, Values: []string{"long"}, Fold: true},
			{Path: []string{"name"}, Op: Exists},
		} {
			s.find(t, Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Where: []Cond{c}})
		}
		for _, field := range []string{"name", "n", "a"} {
			q := Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Order: []Order{{Path: []string{field}}}, Limit: 2}
			if ids := walk(t, s, q); len(ids) != len(bodies) {
				t.Errorf("pages by %s have %d documents", field, len(ids))
			}
		}
	})
}

// walk follows the tokens of a query and returns all ids in order.
func walk(t *testing.T, s testStore, q Query) (ids []string) {
	t.Helper()
	for range 1000 {
		page, next := s.find(t, q)
		ids = append(ids, page...)
		if next == "" {
			return ids
		}
		q.After = next
	}
	t.Fatal("the pages do not end")
	return nil
}
