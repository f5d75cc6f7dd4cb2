package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/source/rest"
	"weir/store"
)

// counted is a ledger that counts how often it is asked.
type counted struct {
	*store.Store
	spends *atomic.Int64
}

func (c counted) Spend(ctx context.Context, name string, requests int, every time.Duration, want int) (int, time.Duration, error) {
	c.spends.Add(1)
	return c.Store.Spend(ctx, name, requests, every, want)
}

var errWaits = errors.New("it would wait")

// TestBudgetOfTwoProcesses: two processes with one database keep to one budget, and one of them learns for both.
func TestBudgetOfTwoProcesses(t *testing.T) {
	h := newHarness(t)
	second := &running{h: h, dir: h.shared.dir, db: h.shared.db, key: h.shared.key}
	second.up(t)
	t.Cleanup(second.down)
	var served atomic.Int64
	var left atomic.Int64
	left.Store(1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Header().Set("X-Left", fmt.Sprint(left.Load()))
		w.Header().Set("X-Reset", "600")
		_, _ = fmt.Fprintf(w, `[%d]`, served.Load())
	}))
	t.Cleanup(srv.Close)
	var spends atomic.Int64
	// read reads pages until there are enough or the budget makes it wait; it returns the wait.
	read := func(p *running, connection, budget string, pages int) (wait time.Duration) {
		t.Helper()
		b := weir.Binding{ConnectionID: connection, Spec: json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"` + srv.URL + `","path":"/x"},"contentPath":"$",
			"paginationParams":{"type":"PAGE","pageParamName":"p","limitValue":1},"weir":{"budget":` + budget + `}}}}`)}
		s, err := rest.Open(t.Context(), b, rest.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ledger: counted{p.store, &spends}, Sleep: func(_ context.Context, d time.Duration) error {
			wait = d
			return errWaits
		}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
			if err != nil && !errors.Is(err, errWaits) {
				t.Error(err)
			}
			if n++; err != nil || n == pages {
				break
			}
		}
		return wait
	}

	const tight = `{"requests":10,"seconds":3600,"remaining":"X-Left","reset":"X-Reset"}`
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if wait := read([]*running{h.shared, second}[i%2], "c1", tight, 20); wait <= 0 || wait > time.Hour {
				t.Errorf("wait %s", wait)
			}
		})
	}
	wg.Wait()
	if served.Load() != 10 {
		t.Errorf("%d requests of a budget of 10", served.Load())
	}
	if read(second, "c2", tight, 2) != 0 {
		t.Error("another connection has a budget of its own")
	}

	spends.Store(0)
	served.Store(0)
	if wait := read(second, "c3", `{"requests":100000,"seconds":3600}`, 2000); wait != 0 || served.Load() != 2000 || spends.Load() > 200 {
		t.Errorf("wait %s, %d requests, the ledger was asked %d times", wait, served.Load(), spends.Load())
	}

	left.Store(0)
	read(h.shared, "c4", `{"remaining":"X-Left","reset":"X-Reset"}`, 1)
	if wait := read(second, "c4", `{"remaining":"X-Left","reset":"X-Reset"}`, 1); wait < 9*time.Minute || wait > 10*time.Minute {
		t.Errorf("the other process waits %s", wait)
	}
}
