package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/lake"
	"weir/source/rest"
	"weir/store"
)

// sweepLab is an engine with a flow whose source lists the numbers that are there, ten a page.
type sweepLab struct {
	t     *testing.T
	e     *Engine
	src   Source
	there func(i int) bool
	stop  func() // called when the second page is listed, if set
	runs  int
	state state
}

func newSweepLab(t *testing.T) *sweepLab {
	t.Helper()
	lab := &sweepLab{t: t, e: installed(t, t.TempDir())}
	lab.e.init()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.FormValue("page"))
		if page == 1 && lab.stop != nil {
			lab.stop()
		}
		var ids []string
		for i := page * 10; i < min(page*10+10, 100); i++ {
			if lab.there(i) {
				ids = append(ids, strconv.Itoa(i))
			}
		}
		_, _ = fmt.Fprintf(w, `{"ids":[%s],"more":%t}`, strings.Join(ids, ","), page < 9)
	}))
	t.Cleanup(srv.Close)
	var err error
	lab.src, err = rest.Open(t.Context(), weir.Binding{Spec: json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"` + srv.URL + `","path":"/x"},"contentPath":"$.rows","weir":{"key":["$.id"],
		"deletes":{"every":"PT1H","sweep":{"contentPath":"$.ids","paginationParams":{"type":"PAGE","pageParamName":"page"},"weir":{"key":["$.value"],"paging":{"hasMore":"$.more"}}}}}}}}`)},
		rest.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	return lab
}

// begin records a run that has read the numbers from … to.
func (lab *sweepLab) begin(from, to int, at time.Duration) (*running, *progress) {
	lab.t.Helper()
	lab.runs++
	r := &running{task: &store.Task{Kind: jobCopy}, runJob: runJob{Run: fmt.Sprintf("r%d", lab.runs)}, drain: lab.t.Context(), shown: time.Now().Add(time.Hour), log: lab.e.Log}
	pr := &progress{Plan: plan{Flow: "f", Started: at.Milliseconds()}, Known: lab.state.Keys, SweptAt: lab.state.Swept}
	pr.Copy.Done = true
	if to > from {
		w, err := lab.e.Lake.NewPart(lab.t.Context(), r.Run, 1)
		if err != nil {
			lab.t.Fatal(err)
		}
		for i := from; i < to; i++ {
			if err := w.Append(fmt.Appendf(nil, "{\"id\":\"%d\"}\n", i), 1); err != nil {
				lab.t.Fatal(err)
			}
		}
		part, err := w.Sync()
		if err != nil || w.Close() != nil {
			lab.t.Fatal(err)
		}
		pr.Copy.Parts, pr.Copy.Records = []lake.Part{part}, int64(to-from)
	}
	if err := lab.e.Store.Tx(lab.t.Context(), func(tx *store.Tx) error { return tx.PutStep(r.Run, stepPlanned, []byte("{}")) }); err != nil {
		lab.t.Fatal(err)
	}
	if err := lab.e.checkpoint(lab.t.Context(), r, pr); err != nil {
		lab.t.Fatal(err)
	}
	return r, pr
}

// end commits a run and returns the records that delete.
func (lab *sweepLab) end(r *running, pr *progress) (gone []string) {
	lab.t.Helper()
	if pr.Sweep == nil || !pr.Sweep.Done {
		lab.t.Fatalf("%+v", pr.Sweep)
	}
	lab.state.Keys, lab.state.Swept = pr.Sweep.Known, pr.Sweep.At
	err := lab.e.Store.Tx(lab.t.Context(), func(tx *store.Tx) error {
		return changeState(tx, r.Scope, "f", func(st *state) error { *st = lab.state; return nil })
	})
	if err != nil {
		lab.t.Fatal(err)
	}
	if err := lab.e.checkpoint(lab.t.Context(), r, pr); err != nil {
		lab.t.Fatal(err)
	}
	if err := lab.e.dropKeys(lab.t.Context(), r); err != nil {
		lab.t.Fatal(err)
	}
	n := int64(0)
	for _, p := range pr.Copy.Parts {
		in, err := lab.e.Lake.OpenPart(lab.t.Context(), p)
		if err != nil {
			lab.t.Fatal(err)
		}
		raw, err := io.ReadAll(in)
		if err != nil || in.Close() != nil {
			lab.t.Fatal(err)
		}
		n += p.Records
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, string(tombstone)) {
				gone = append(gone, strings.TrimSpace(line))
			}
		}
	}
	if n != pr.Copy.Records {
		lab.t.Errorf("%d records in the stage, %d counted", n, pr.Copy.Records)
	}
	files := 0
	for _, err := range lab.e.Lake.Bucket().List(lab.t.Context(), "keys/") {
		if err != nil {
			lab.t.Fatal(err)
		}
		files++
	}
	if files != len(lab.state.Keys) || files > maxKeyFiles {
		lab.t.Errorf("%d files of keys, %d are known", files, len(lab.state.Keys))
	}
	return gone
}

func (lab *sweepLab) find(r *running, pr *progress) {
	lab.t.Helper()
	if err := lab.e.findDeleted(lab.t.Context(), r, pr, lab.src); err != nil {
		lab.t.Fatal(err)
	}
}

// TestSweep: runs that read, runs that list, a listing that is taken over by another process in the middle, one that is not to be believed.
func TestSweep(t *testing.T) {
	lab := newSweepLab(t)
	lab.there = func(int) bool { return true }
	for i := range 12 { // the keys of many runs; only the first one lists
		r, pr := lab.begin(i*8, i*8+8, time.Hour+time.Duration(i)*time.Minute)
		lab.find(r, pr)
		if gone := lab.end(r, pr); len(gone) > 0 || (pr.Sweep.List.Pages > 0) != (i == 0) {
			t.Errorf("run %d: %d pages listed, gone %q", i, pr.Sweep.List.Pages, gone)
		}
	}

	lab.there = func(i int) bool { return i != 5 && i != 95 && i != 97 } // 97 was never read, but listed
	r, pr := lab.begin(0, 0, 3*time.Hour)
	drain, stop := context.WithCancel(t.Context())
	r.drain, lab.stop = drain, stop
	lab.find(r, pr)
	if pr.Sweep.Done || pr.Sweep.List.Pages != 2 {
		t.Fatalf("the listing went on: %+v", pr.Sweep)
	}
	lab.stop = nil
	again, err := lab.e.load(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.drain = t.Context()
	lab.find(r, &again)
	gone := lab.end(r, &again)
	if want := `{"id":"5","_change_request_type":"d"} {"id":"95","_change_request_type":"d"} {"id":97,"_change_request_type":"d"}`; strings.Join(gone, " ") != want || again.Sweep.List.Pages != 10 {
		t.Errorf("gone %q, %d pages", gone, again.Sweep.List.Pages)
	}

	lab.there = func(i int) bool { return i > 60 }
	r, pr = lab.begin(5, 6, 5*time.Hour)
	lab.find(r, pr)
	if gone := lab.end(r, pr); len(gone) > 0 || len(pr.Copy.Warnings) != 1 || pr.Sweep.At != again.Sweep.At {
		t.Errorf("gone %q, warnings %q", gone, pr.Copy.Warnings)
	}
	lab.there = func(i int) bool { return i != 5 } // 5 came back, was read, and went again
	r, pr = lab.begin(0, 0, 5*time.Hour)
	lab.find(r, pr)
	if gone := lab.end(r, pr); len(gone) != 1 || !strings.Contains(gone[0], `"5"`) {
		t.Errorf("gone %q", gone)
	}

	r, pr = lab.begin(200, 203, 9*time.Hour) // a run that fails leaves no keys behind
	lab.find(r, pr)
	if err := lab.e.checkpoint(t.Context(), r, pr); err != nil {
		t.Fatal(err)
	}
	if err := lab.e.dropKeys(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range lab.e.Lake.Bucket().List(t.Context(), "keys/") {
		n++
	}
	if n != len(lab.state.Keys) {
		t.Errorf("%d files of keys, %d are known", n, len(lab.state.Keys))
	}
	if err := lab.e.forgetKeys(t.Context(), time.Now().Add(time.Hour)); err != nil { // the flow has no document
		t.Fatal(err)
	}
	for range lab.e.Lake.Bucket().List(t.Context(), "keys/") {
		t.Error("keys of a flow that is gone")
	}
}
