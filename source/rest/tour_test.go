package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/fakesource"
)

// family serves parents at /parents (pages of 7) and the children of parent p at /p/<p> (pages of 2): parent p has p%4
// children, every ninth is unknown (404).
func family(parents int, hits *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		page, _ := strconv.Atoi(r.FormValue("page"))
		if r.URL.Path == "/parents" {
			var list []string
			for i := page * 7; i < min((page+1)*7, parents); i++ {
				list = append(list, fmt.Sprintf(`{"id":"n/%d","name":"parent %d"}`, i, i))
			}
			fmt.Fprintf(w, `{"parents":[%s]}`, strings.Join(list, ","))
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.EscapedPath(), "/p/n%2F"))
		if err != nil || n%9 == 8 {
			http.Error(w, "unknown", http.StatusNotFound)
			return
		}
		var list []string
		for i := page * 2; i < min((page+1)*2, n%4); i++ {
			list = append(list, fmt.Sprintf(`{"c":%d}`, i))
		}
		fmt.Fprintf(w, `{"children":[%s]}`, strings.Join(list, ","))
	})
}

const familySource = `{"urlParams":{"host":"$HOST","path":"/p/${parent}"},"contentPath":"$.children","paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":2},
	"weir":{"onResponse":[{"status":404,"do":"ignore"}],"partition":[{"parallel":$PARALLEL,"key":"$.id","as":"parent","keep":{"name":"$.name"},
		"parent":{"urlParams":{"path":"/parents"},"contentPath":"$.parents","paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":7}}}]}}`

func familyWant(parents int) []string {
	var out []string
	for n := range parents {
		for c := 0; n%9 != 8 && c < n%4; c++ {
			out = append(out, fmt.Sprintf(`{"parent":"n/%d","name":"parent %d","c":%d}`, n, n, c))
		}
	}
	return out
}

// TestParentsKilledAnywhere: parents and children, one after the other and in parallel, killed after random pages.
func TestParentsKilledAnywhere(t *testing.T) {
	const parents = 40
	want := familyWant(parents)
	for _, parallel := range []int{1, 4} {
		rng := rand.New(rand.NewPCG(3, uint64(parallel)))
		for range 40 {
			var hits atomic.Int64
			srv := httptest.NewServer(family(parents, &hits))
			b := binding(srv.URL, strings.ReplaceAll(familySource, "$PARALLEL", strconv.Itoa(parallel)))
			var got []string
			var from weir.Checkpoint
			kills := 0
			for done := false; !done; {
				stop, read := rng.IntN(30), 0
				done = true
				for c, err := range open(t, b, func(o *Options) { o.Limits.Header = time.Minute }).Pages(t.Context(), weir.Window{End: time.Now()}, from) {
					if err != nil {
						t.Fatal(err)
					}
					if read++; read > stop {
						done = false
						kills++
						break
					}
					got = append(got, nonEmpty(string(c.Data))...)
					if len(c.Next) > 2000 {
						t.Fatalf("checkpoint of %d bytes: %s", len(c.Next), c.Next)
					}
					from = c.Next
				}
			}
			srv.Close()
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("parallel %d: %d records, want %d", parallel, len(got), len(want))
			}
			if most := int64(100 + kills*(2+parallel)); hits.Load() > most { // one page of each parent in work, the next of the first, the parents' page
				t.Errorf("parallel %d: %d requests with %d kills", parallel, hits.Load(), kills)
			}
		}
	}
}

// TestManyParents: 100,000 parents; the checkpoint does not grow.
func TestManyParents(t *testing.T) {
	const parents = 100_000
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/parents" {
			page, _ := strconv.Atoi(r.FormValue("page"))
			var b strings.Builder
			b.WriteByte('[')
			for i := page * 5000; i < min((page+1)*5000, parents); i++ {
				if i > page*5000 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `{"id":%d}`, i)
			}
			b.WriteByte(']')
			_, _ = w.Write([]byte(b.String()))
			return
		}
		served.Add(1)
		_, _ = w.Write([]byte(`[{"v":1}]`))
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/c/${p}"},"contentPath":"$","weir":{"partition":[{"parallel":8,"key":"$.id","as":"p",
		"parent":{"urlParams":{"path":"/parents"},"contentPath":"$","paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":5000}}}]}}`)
	s := open(t, b, func(o *Options) { o.Limits.Header, o.Limits.Idle = time.Minute, time.Minute })
	n, next := 0, 0
	for c, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Records > 0 && string(c.Data) != fmt.Sprintf(`{"p":%d,"v":1}`+"\n", n) {
			t.Fatalf("record %d is %s", n, c.Data)
		}
		n += c.Records
		next = max(next, len(c.Next))
	}
	if n != parents || served.Load() != parents || next > 1000 {
		t.Errorf("%d records of %d children, checkpoint up to %d bytes", n, served.Load(), next)
	}
}

// TestSlicesKilledAnywhere: a window in steps, halved where it holds too much, killed after random pages.
func TestSlicesKilledAnywhere(t *testing.T) {
	const n = 300 // one record a minute
	fake := fakesource.New(fakesource.Scenario{Path: "/items", Records: n, Content: "items", Since: "from", Until: "to", Paging: fakesource.Paging{Type: "offset", Total: "total", Cap: 25}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/items"},"contentPath":"$.items","paginationParams":{"type":"OFFSET","limitName":"limit","limitValue":10,"offSetName":"offset"},
		"scheduleParams":{"scheduleStartParamName":"from","scheduleEndParamName":"to"},"weir":{"paging":{"total":"$.total"},"split":{"above":20},"cursor":{"step":"PT2H","start":"2025-12-31T23:00:00Z"}}}`)
	w := weir.Window{End: time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC)}
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		var got []string
		var from weir.Checkpoint
		for done := false; !done; {
			stop, read := rng.IntN(12), 0
			done = true
			for c, err := range open(t, b, nil).Pages(t.Context(), w, from) {
				if err != nil {
					t.Fatal(err)
				}
				if read++; read > stop {
					done = false
					break
				}
				got = append(got, nonEmpty(string(c.Data))...)
				from = c.Next
			}
		}
		if len(got) != n {
			t.Fatalf("%d records", len(got))
		}
		for i, r := range got {
			if !strings.HasPrefix(r, fmt.Sprintf(`{"id":%d,`, i)) {
				t.Fatalf("record %d is %s", i, r)
			}
		}
	}
}

// TestChangeFeed: §4.10: the position is kept between runs; nothing comes twice and nothing is missed.
func TestChangeFeed(t *testing.T) {
	var mu sync.Mutex
	total := 5
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		since, _ := strconv.Atoi(r.FormValue("since"))
		var rows []string
		for i := since; i < min(since+2, total); i++ {
			rows = append(rows, fmt.Sprintf(`{"seq":%d}`, i+1))
		}
		last := since + len(rows)
		fmt.Fprintf(w, `{"results":[%s],"last_seq":%d,"pending":%d}`, strings.Join(rows, ","), last, total-last)
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/_changes"},"contentPath":"$.results","weir":{"paging":{"type":"NEXT","next":"page.last_seq","inject":{"query":"since"},"stop":"page.pending == 0","keep":true}}}`)
	var from weir.Checkpoint
	seen := 0
	for _, want := range []int{5, 0, 4, 1} {
		n := 0
		var resume weir.Checkpoint
		for c, err := range open(t, b, nil).Pages(t.Context(), weir.Window{End: time.Now()}, from) {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range nonEmpty(string(c.Data)) {
				if seen++; r != fmt.Sprintf(`{"seq":%d}`, seen) {
					t.Fatalf("record %d is %s", seen, r)
				}
			}
			n += c.Records
			resume = c.Resume
		}
		if n != want || resume == nil {
			t.Fatalf("%d records, want %d; resume %s", n, want, resume)
		}
		from = resume
		mu.Lock()
		total += map[int]int{5: 0, 0: 4, 4: 1, 1: 0}[want]
		mu.Unlock()
	}
}

func TestExploreOfStreamsAndParents(t *testing.T) {
	var hits atomic.Int64
	srv := httptest.NewServer(family(20, &hits))
	defer srv.Close()
	s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/p/${parent}"},"contentPath":{"path":"$.children"},"weir":{"streams":{
		"children":{"weir":{"partition":[{"stream":"parents","key":"$.parents.id","as":"parent"}]}},"parents":{"urlParams":{"path":"/parents"},"contentPath":{"path":"$.parents"}}}}}`), nil)
	p, err := s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "root"})
	if err != nil || len(p.Items) != 2 || p.Items[1].Name != "parents" {
		t.Fatal(p, err)
	}
	p, err = s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "file", Object: "parents"})
	if err != nil || len(p.Data) != 7 || string(p.Data[0]) != `{"parents":{"id":"n/0","name":"parent 0"}}` {
		t.Errorf("%s %v", p.Data, err)
	}
	p, err = s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest", Object: "children"})
	if err != nil || len(p.Data) != 0 { // the first parent has none
		t.Errorf("%s %v", p.Data, err)
	}
	if _, err = s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"}); err == nil || !strings.Contains(err.Error(), "children, parents") {
		t.Error(err)
	}
}

// TestSilentAuth: §4.8: a wrong credential that answers 200 with nothing is found by the check.
func TestSilentAuth(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{Path: "/items", Records: 3, Content: "items", Auth: fakesource.Auth{Type: "header", Name: "X-Key", Value: "right-key", Quiet: true}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	for _, check := range []string{`{"records":1}`, `{"path":"/items","when":"elements > 0 && last.id == 2"}`, `{"status":200,"records":3}`} {
		b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/items"},"contentPath":"$.items","weir":{"check":`+check+`}}`)
		b.Spec = json.RawMessage(strings.Replace(string(b.Spec), `"sourceSpec"`, `"authSpec":[{"name":"k","type":"KeyBased","spec":{"properties":{"authKey1":{"restAttributes":{"headerParamName":"X-Key"}}}}}],"sourceSpec"`, 1))
		b.AuthSpec = "k"
		for key, code := range map[string]string{"right-key": "", "wrong-key": "CONNECTOR-1308-400"} {
			b.Auth = json.RawMessage(`{"authKey1":"` + key + `"}`)
			if err := open(t, b, nil).Test(t.Context()); weir.CodeOf(err) != code {
				t.Errorf("%s with %s: %v", check, key, err)
			}
		}
	}
}

// TestPacked: §1.20: gzip, deflate with and without its frame, and zip with several files, inside the body; a bomb is refused.
func TestPacked(t *testing.T) {
	plain := []byte(`{"id":1}` + "\n" + `{"id":2}` + "\n")
	bodies := packed(t, plain)
	for name, c := range map[string]struct {
		decode string
		want   int
	}{
		"gzip": {`["gzip","ndjson"]`, 2}, "zlib": {`["deflate","ndjson"]`, 2}, "raw": {`["deflate","ndjson"]`, 2}, "zip": {`["zip","ndjson"]`, 4}, "zipgzip": {`["zip","gzip","ndjson"]`, 2},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bodies[name]) }))
		s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$","weir":{"answer":{"decode":`+c.decode+`}}}`), nil)
		records, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
		if err != nil || len(records) != c.want {
			t.Errorf("%s: %v %v", name, records, err)
		}
		srv.Close()
	}
	for name, decode := range map[string]string{"bomb": `["gzip"]`, "zipbomb": `["zip"]`, "broken": `["zip"]`, "short": `["gzip"]`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bodies[name]) }))
		s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$","weir":{"answer":{"decode":`+decode+`}}}`), func(o *Options) { o.Limits.Attempts, o.Limits.Header = 1, time.Minute })
		_, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
		if err == nil || weir.CodeOf(err) != "CONNECTOR-1308-400" {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}

// TestJobResumed: a run that goes on reads the result of the job it has, and an explore waits for a job too.
func TestJobResumed(t *testing.T) {
	var created atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.FormValue("page"))
		switch {
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, `{"id":"j%d"}`, created.Add(1))
		case page < 3:
			fmt.Fprintf(w, `[{"job":%q,"page":%d}]`, r.URL.Path[1:], page)
		default:
			fmt.Fprint(w, `[]`)
		}
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/${job}"},"contentPath":{"path":"$"},"paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":1},
		"weir":{"job":{"create":{"urlParams":{"method":"POST","path":"/jobs"}},"id":"$.id"}}}`)
	_, chunks, err := collect(t, open(t, b, nil), weir.Window{End: time.Now()}, nil)
	if err != nil || len(chunks) != 5 { // the first one is the job itself
		t.Fatal(len(chunks), err)
	}
	for i, want := range []string{`{"job":"j1","page":0}{"job":"j1","page":1}{"job":"j1","page":2}`, `{"job":"j1","page":1}{"job":"j1","page":2}`} {
		records, _, err := collect(t, open(t, b, nil), weir.Window{End: time.Now()}, chunks[i].Next)
		if err != nil || strings.Join(records, "") != want || created.Load() != 1 {
			t.Errorf("from %s: %s with %d jobs: %v", chunks[i].Next, records, created.Load(), err)
		}
	}
	p, err := open(t, b, nil).Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"})
	if err != nil || len(p.Data) != 1 || string(p.Data[0]) != `{"job":"j2","page":0}` {
		t.Errorf("%s %v", p.Data, err)
	}
}

// TestJobAwaitedAgain: a run that ends while it waits for a job goes on with that job.
func TestJobAwaitedAgain(t *testing.T) {
	var created, asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, `{"id":"j%d"}`, created.Add(1))
		case strings.HasPrefix(r.URL.Path, "/status/"):
			fmt.Fprintf(w, `{"state":%q,"file":"f-%s"}`, []string{"waiting", "done"}[min(asked.Add(1)-1, 1)], strings.TrimPrefix(r.URL.Path, "/status/"))
		default:
			fmt.Fprintf(w, `[{"file":%q}]`, r.URL.Path[1:])
		}
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/${file}"},"contentPath":{"path":"$"},
		"weir":{"job":{"create":{"urlParams":{"method":"POST","path":"/jobs"}},"id":"$.id","status":{"urlParams":{"path":"/status/${job}"}},"done":"page.state == 'done'","keep":{"file":"$.file"}}}}`)
	var from weir.Checkpoint
	stopped := errors.New("stopped while waiting")
	s := open(t, b, func(o *Options) { o.Sleep = func(context.Context, time.Duration) error { return stopped } })
	for c, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
		if err != nil {
			if !errors.Is(err, stopped) {
				t.Fatal(err)
			}
			break
		}
		from = c.Next
	}
	records, _, err := collect(t, open(t, b, nil), weir.Window{End: time.Now()}, from)
	if err != nil || strings.Join(records, "") != `{"file":"f-j1"}` || created.Load() != 1 || asked.Load() != 2 {
		t.Errorf("from %s: %s with %d jobs, asked %d times: %v", from, records, created.Load(), asked.Load(), err)
	}
}
