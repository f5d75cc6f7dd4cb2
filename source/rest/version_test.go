package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
)

// log is a server that remembers the requests it got.
type requestLog struct {
	*httptest.Server
	lines []string
}

func logged(t *testing.T, handler http.HandlerFunc) *requestLog {
	t.Helper()
	l := &requestLog{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.lines = append(l.lines, strings.TrimSpace(r.URL.RequestURI()+" "+r.Header.Get("If-None-Match")+" "+r.Header.Get("If-Modified-Since")))
		handler(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *requestLog) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(l.lines, lines) {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(lines, "\n"))
	}
	l.lines = nil
}

// last is a run: its records and what it leaves for the next one.
func last(t *testing.T, b weir.Binding, w weir.Window, from weir.Checkpoint) (records []string, end weir.Chunk) {
	t.Helper()
	records, chunks, err := collect(t, open(t, b, nil), w, from)
	if err != nil {
		t.Fatal(err)
	}
	return records, chunks[len(chunks)-1]
}

func TestConditional(t *testing.T) {
	version := "v1"
	srv := logged(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("offset") == "0" {
			w.Header().Set("ETag", `"`+version+`"`)
			w.Header().Set("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
		}
		if r.Header.Get("If-None-Match") == `"`+version+`"` {
			w.Header().Set("X-Total-Count", "3") // must not keep the paging going
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if r.FormValue("offset") == "0" {
			_, _ = io.WriteString(w, `{"rows":[{"id":1},{"id":2}]}`)
			return
		}
		w.Header().Set("ETag", `"of another page"`)
		_, _ = io.WriteString(w, `{"rows":[{"id":3}]}`)
	})
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/x"},"contentPath":"$.rows","paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":2},
		"weir":{"conditional":true,"paging":{"total":"headers.X-Total-Count"}}}`)
	w := weir.Window{End: time.Now()}
	const said = ` "v1" Sun, 06 Nov 1994 08:49:37 GMT`
	records, end := last(t, b, w, nil)
	if len(records) != 3 || end.Unchanged || end.Resume == nil {
		t.Fatal(records, end)
	}
	srv.want(t, "/x?limit=2&offset=0", "/x?limit=2&offset=2")
	for range 2 { // what is kept survives a run without changes
		records, end = last(t, b, w, end.Resume)
		if len(records) != 0 || !end.Unchanged || len(end.Warnings) > 0 || end.Next != nil || end.Resume == nil {
			t.Fatal(records, end)
		}
		srv.want(t, "/x?limit=2&offset=0"+said)
	}
	version = "v2"
	records, end = last(t, b, w, end.Resume)
	if len(records) != 3 || end.Unchanged || !strings.Contains(string(end.Resume), "v2") || strings.Contains(string(end.Resume), "another page") {
		t.Fatal(records, string(end.Resume))
	}
	srv.want(t, "/x?limit=2&offset=0"+said, "/x?limit=2&offset=2")

	// Another request knows nothing, and what the first page said survives a run that is taken over in between.
	other := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/y"},"contentPath":"$.rows","paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":2},"weir":{"conditional":true}}`)
	var between weir.Checkpoint
	for c, err := range open(t, other, nil).Pages(t.Context(), w, end.Resume) {
		if err != nil {
			t.Fatal(err)
		}
		between = c.Next
		break
	}
	srv.want(t, "/y?limit=2&offset=0")
	if records, end = last(t, other, w, between); len(records) != 1 || !strings.Contains(string(end.Resume), "v2") {
		t.Error(records, string(end.Resume))
	}
	srv.want(t, "/y?limit=2&offset=2")
}

func TestRetention(t *testing.T) {
	seq := 0
	srv := logged(t, func(w http.ResponseWriter, _ *http.Request) {
		seq++
		_, _ = fmt.Fprintf(w, `{"rows":[{"id":1}],"seq":%d}`, seq)
	})
	end := time.Date(2031, 4, 30, 0, 0, 0, 0, time.UTC)
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/changes"},"contentPath":"$.rows","scheduleParams":{"scheduleStartParamName":"since","scheduleStartParamFormat":"yyyy-MM-dd"},
		"weir":{"retention":{"keeps":"P7D","full":{"urlParams":{"path":"/all"}}}}}`)
	for start, want := range map[string]string{"2031-04-23": "/changes?since=2031-04-23", "2031-04-22": "/all", "": "/changes"} {
		at, _ := time.Parse(time.DateOnly, start)
		last(t, b, weir.Window{Start: at, End: end}, nil)
		srv.want(t, want)
	}

	feed := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/changes"},"contentPath":"$.rows","weir":{"retention":{"keeps":"P7D","full":{"urlParams":{"queryParams":{"all":"1"}}}},
		"paging":{"type":"NEXT","next":"page.seq","inject":{"query":"seq"},"stop":"true","keep":true}}}`)
	seq = 6
	_, c := last(t, feed, weir.Window{End: end}, nil)
	srv.want(t, "/changes")
	_, c = last(t, feed, weir.Window{End: end.AddDate(0, 0, 7)}, c.Resume)
	srv.want(t, "/changes?seq=7")
	_, c = last(t, feed, weir.Window{End: end.AddDate(0, 0, 15)}, c.Resume)
	srv.want(t, "/changes?all=1")
	last(t, feed, weir.Window{End: end.AddDate(0, 0, 16)}, c.Resume)
	srv.want(t, "/changes?seq=9")
}

// TestResetOfAFeed: the position kept for a change feed has expired.
func TestResetOfAFeed(t *testing.T) {
	srv := logged(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("seq") == "old" {
			w.WriteHeader(http.StatusGone)
			return
		}
		_, _ = io.WriteString(w, `{"rows":[{"id":1}],"seq":"`+map[string]string{"": "old", "new": "new"}[r.FormValue("seq")]+`"}`)
	})
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/c"},"contentPath":"$.rows","weir":{"onResponse":[{"status":410,"do":"reset"}],
		"paging":{"type":"NEXT","next":"page.seq","inject":{"query":"seq"},"stop":"true","keep":true}}}`)
	w := weir.Window{Start: time.Now().Add(-time.Hour), End: time.Now()}
	_, c := last(t, b, w, nil)
	records, c := last(t, b, w, c.Resume)
	srv.want(t, "/c", "/c?seq=old", "/c")
	if len(records) != 1 || c.Resume == nil {
		t.Error(records, c)
	}
}

// TestFullGoesOn: a run that reads everything is taken over by another process in the middle and still reads everything.
func TestFullGoesOn(t *testing.T) {
	srv := logged(t, func(w http.ResponseWriter, r *http.Request) {
		next := `"b"`
		if r.FormValue("t") == "b" {
			next = "null"
		}
		_, _ = io.WriteString(w, `{"rows":[{"id":1}],"next":`+next+`}`)
	})
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/c"},"contentPath":"$.rows","paginationParams":{"type":"CONTINUATION_TOKEN","continuationTokenPath":"next","parameterName":"t"},
		"scheduleParams":{"scheduleStartParamName":"since"},"weir":{"retention":{"keeps":"P1D","full":{"urlParams":{"path":"/all"}}}}}`)
	w := weir.Window{Start: time.Now().AddDate(0, 0, -2), End: time.Now()}
	var from weir.Checkpoint
	for c, err := range open(t, b, nil).Pages(t.Context(), w, nil) {
		if err != nil {
			t.Fatal(err)
		}
		from = c.Next
		break
	}
	last(t, b, w, from)
	srv.want(t, "/all", "/all?t=b")
}

// TestManySlices: the checkpoint of a window in 36,500 steps is as small as that of two.
func TestManySlices(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `[{"id":1}]`)
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/c"},"contentPath":"$","weir":{"cursor":{"start":"1926-01-01","step":"P1D","inject":{"start":{"query":"from"},"end":{"query":"to"}}}}}`)
	w := weir.Window{End: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	n, next := 0, 0
	var from weir.Checkpoint
	for c, err := range open(t, b, nil).Pages(t.Context(), w, nil) {
		if err != nil {
			t.Fatal(err)
		}
		next = max(next, len(c.Next))
		if n++; n == 1000 {
			from = c.Next
			break
		}
	}
	for c, err := range open(t, b, nil).Pages(t.Context(), weir.Window{End: time.Date(1929, 1, 1, 12, 0, 0, 0, time.UTC)}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Next == nil {
			n++
		}
	}
	var at position
	if err := json.Unmarshal(from, &at); err != nil || len(at.Slices) != 1 || at.Rest == nil || next > 400 || n != 1001 {
		t.Errorf("%s %v, up to %d bytes, %d", from, err, next, n)
	}
}

func TestVersionChecks(t *testing.T) {
	for rules, want := range map[string]string{
		`{"conditional":true,"partition":[{"values":[1],"as":"p"}]}`:                  "partition",
		`{"conditional":true,"cursor":{"start":"2020","step":"P1D"}}`:                 "cursor",
		`{"retention":{"keeps":"one month"}}`:                                         "retention.keeps",
		`{"retention":{}}`:                                                            "retention",
		`{"retention":{"keeps":"P1D","full":{"paginationParams":{"type":"OFFSET"}}}}`: "/weir/retention/full",
		`{"onResponse":[{"status":410,"do":"restart"}]}`:                              "/weir/onResponse/0/do",
	} {
		f := CheckSpec(json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"contentPath":"$.a","weir":` + rules + `}}}`))
		if len(f) == 0 || !strings.Contains(f[0].Pointer+f[0].Message, want) {
			t.Errorf("%s: %v", rules, f)
		}
	}
	if f := CheckSpec(json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"h","method":"POST"},"contentPath":"$.a","weir":{"conditional":true}}}}`)); len(f) != 1 {
		t.Error(f)
	}
}
