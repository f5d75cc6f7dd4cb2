package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/fakesource"
)

// pagedSource is a way to page: what the source does and the spec that follows it.
type pagedSource struct {
	name    string
	paging  fakesource.Paging
	records int
	// attributes are sourceSpec.attributes without urlParams; $START is the first hour that has records. method is GET by default.
	attributes, method string
	requests           int // about how many a run makes
	// again is how many pages of a level one kill may have fetched again.
	again  map[string]int
	moment time.Duration // a kill after an answer comes within it
	pad    int           // bytes that make a record longer
	family bool          // the records are children of parents
}

// one page, the open one, is what a kill costs.
var one = map[string]int{"pages": 1}

const (
	limited = `"limitName":"limit","limitValue":5`
	soon    = 12 * time.Millisecond
)

var pagedSources = []pagedSource{
	{
		name: "NONE", records: 3000, pad: 2000, requests: 1, again: one, moment: 300 * time.Millisecond,
		attributes: `"paginationParams":{"type":"NONE"}`,
	},
	{
		name: "OFFSET", records: 300, requests: 61, again: one, moment: soon, paging: fakesource.Paging{Type: "offset"},
		attributes: `"paginationParams":{"type":"OFFSET","offSetName":"offset",` + limited + `}`,
	},
	{
		name: "OFFSET, large pages", records: 10_000, pad: 2000, requests: 5, again: one, moment: 100 * time.Millisecond, paging: fakesource.Paging{Type: "offset"},
		attributes: `"paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":2500}`,
	},
	{
		name: "OFFSET, parallel 4", records: 300, requests: 61, again: map[string]int{"pages": 4}, moment: soon, paging: fakesource.Paging{Type: "offset", Total: "total"},
		attributes: `"paginationParams":{"type":"OFFSET","offSetName":"offset",` + limited + `},"weir":{"paging":{"parallel":4,"total":"$.total"}}`,
	},
	{
		name: "PAGE", records: 300, requests: 61, again: one, moment: soon, paging: fakesource.Paging{Type: "page", First: 1},
		attributes: `"paginationParams":{"type":"PAGE","pageParamName":"page","initialPageIndex":1,` + limited + `}`,
	},
	{
		name: "PAGE, parallel 4", records: 300, requests: 61, again: map[string]int{"pages": 4}, moment: soon, paging: fakesource.Paging{Type: "page"},
		attributes: `"paginationParams":{"type":"PAGE","pageParamName":"page",` + limited + `},"weir":{"paging":{"parallel":4}}`,
	},
	{
		name: "CONTINUATION_TOKEN", records: 300, requests: 61, again: one, moment: soon, paging: fakesource.Paging{Type: "token", Repeat: true},
		attributes: `"paginationParams":{"type":"CONTINUATION_TOKEN","continuationTokenPath":"$.next","parameterName":"cursor",` + limited + `}`,
	},
	{
		name: "CONTINUATION_TOKEN, header", records: 300, requests: 60, again: one, moment: soon, paging: fakesource.Paging{Type: "token", Kind: "int", Token: "X-Cursor", TokenIn: "header"},
		attributes: `"paginationParams":{"type":"CONTINUATION_TOKEN","continuationTokenPath":"$.next","parameterName":"X-Cursor","parameterType":"HEADERPARAM",` + limited + `}`,
	},
	{
		name: "POINTER", records: 300, requests: 61, again: one, moment: soon, paging: fakesource.Paging{Type: "pointer", Relative: true, NextFirst: true, EmptyLast: true},
		attributes: `"paginationParams":{"type":"POINTER","pointerPath":"$.next",` + limited + `}`,
	},
	{
		name: "LINK", records: 300, requests: 60, again: one, moment: soon, paging: fakesource.Paging{Type: "link", Size: 5},
		attributes: `"weir":{"paging":{"type":"LINK"}}`,
	},
	{
		name: "NEXT, last record", records: 300, requests: 61, again: one, moment: soon, paging: fakesource.Paging{Type: "key"},
		attributes: `"weir":{"paging":{"type":"NEXT","next":"elements < 5 ? none : last.id","inject":{"query":"after"},"limit":{"query":"limit","value":5}}}`,
	},
	{
		name: "NEXT, token in the body", records: 300, requests: 60, again: one, moment: soon, method: http.MethodPost,
		paging:     fakesource.Paging{Type: "token", Kind: "object", TokenIn: "body", Size: 5, Next: "meta.next"},
		attributes: `"weir":{"body":{},"paging":{"type":"NEXT","next":"page.meta.next","inject":{"body":"$.cursor"}}}`,
	},
	{
		name: "NEXT, address in a header", records: 300, requests: 60, again: one, moment: soon, paging: fakesource.Paging{Type: "pointer", Size: 5, Next: "headers.X-Next-Page"},
		attributes: `"weir":{"paging":{"type":"NEXT","next":"headers['x-next-page']","is":"url"}}`,
	},
	{
		name: "NEXT, path", records: 300, requests: 60, again: one, moment: soon, paging: fakesource.Paging{Type: "pointer", Size: 5, Relative: true, Next: "nextPath"},
		attributes: `"weir":{"paging":{"type":"NEXT","next":"page.nextPath","is":"path"}}`,
	},
	{
		name: "window in steps", records: 300, requests: 70, again: one, moment: soon, paging: fakesource.Paging{Type: "offset"},
		attributes: `"paginationParams":{"type":"OFFSET","offSetName":"offset",` + limited + `},
			"scheduleParams":{"scheduleStartParamName":"from","scheduleEndParamName":"to"},"weir":{"cursor":{"start":"$START","step":"PT1H"}}`,
	},
	{
		name: "window split", records: 300, requests: 140, again: one, moment: soon, paging: fakesource.Paging{Type: "offset", Total: "total", Cap: 25},
		attributes: `"paginationParams":{"type":"OFFSET","offSetName":"offset",` + limited + `},
			"scheduleParams":{"scheduleStartParamName":"from","scheduleEndParamName":"to"},"weir":{"paging":{"total":"$.total"},"split":{"above":20},"cursor":{"start":"$START","step":"PT4H"}}`,
	},
	{
		name: "parents", records: familyRecords, requests: 140, again: map[string]int{"pages": 1, "parents": 1}, moment: soon, family: true,
		attributes: strings.Replace(familyAttributes, "$PARALLEL", "1", 1),
	},
	{
		name: "parents, parallel 4", records: familyRecords, requests: 140, again: map[string]int{"pages": 5, "parents": 1}, moment: soon, family: true,
		attributes: strings.Replace(familyAttributes, "$PARALLEL", "4", 1),
	},
}

// A family is 30 parents in pages of 4 at /parents; parent p has children(p) children in pages of 3 at /members/<p>.
const (
	familyParents    = 30
	familyRecords    = 265 // the sum of children
	familyAttributes = `"paginationParams":{"type":"PAGE","pageParamName":"page","limitName":"limit","limitValue":3},
		"weir":{"partition":[{"parallel":$PARALLEL,"key":"$.key","as":"zip","parent":{"urlParams":{"path":"/parents"},"contentPath":"$.parents",
			"paginationParams":{"type":"PAGE","pageParamName":"page","limitName":"limit","limitValue":4}}}]}`
)

func children(p int) int { return p * 7 % 20 }

// killMode is when the process dies: when a page is asked for, in the middle of the page's body, or a moment after it.
type killMode int

const (
	killBefore killMode = iota
	killInside
	killAfter
)

// hit says that the process has come to where it is to die; dead is closed when it has.
type hit struct {
	mode killMode
	dead chan struct{}
}

// fetch is one request of a page.
type fetch struct {
	page string
	at   time.Time
}

// pageServer is a paged source that counts what each process asks for, and says when to kill it.
type pageServer struct {
	*httptest.Server
	shape *pagedSource
	start time.Time
	inner http.Handler
	hit   chan hit

	mu    sync.Mutex
	life  int // of the process, counted on from run to run
	first int // life of this run
	log   map[int][]fetch
	left  int // requests until the hit, 0 for none
	mode  killMode
	part  float64 // of the body that is sent
}

type lifeKey struct{}

func newPageServer(t *testing.T, shape *pagedSource) *pageServer {
	t.Helper()
	p := &pageServer{shape: shape, start: time.Now().UTC().Truncate(time.Hour).Add(-12 * time.Hour), hit: make(chan hit, 1), log: map[int][]fetch{}}
	if shape.family {
		p.inner = http.HandlerFunc(p.serveFamily)
	} else {
		p.inner = fakesource.New(fakesource.Scenario{
			Path: "/members", Records: shape.records, Record: p.record, Content: "members", Since: "from", Until: "to", Paging: shape.paging,
		})
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	// A connection belongs to the process that made it, so what a dead one still had on its way does not count for the next.
	p.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		p.mu.Lock()
		defer p.mu.Unlock()
		return context.WithValue(ctx, lifeKey{}, p.life)
	}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

// attributes are sourceSpec.attributes.
func (p *pageServer) attributes() json.RawMessage {
	path, method := "/members", p.shape.method
	if p.shape.family {
		path = "/members/${zip}"
	}
	if method == "" {
		method = http.MethodGet
	}
	return json.RawMessage(fmt.Sprintf(`{"urlParams":{"host":%q,"path":%q,"method":%q},"contentPath":"$.members",%s}`, p.URL, path, method,
		strings.ReplaceAll(p.shape.attributes, "$START", p.start.Format(time.RFC3339))))
}

// begin starts the count of a run.
func (p *pageServer) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first, p.log = p.life, map[int][]fetch{}
}

// nextLife counts for the next process. Connections of the dead one that wait to be accepted come first.
func (p *pageServer) nextLife() {
	alone := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if res, err := alone.Get(p.URL + "/barrier"); err == nil {
		_ = res.Body.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life++
}

// arm has the process killed at the nth request from now on; 0 lets it live.
func (p *pageServer) arm(n int, mode killMode, part float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.mode, p.part = n, mode, part
	select {
	case <-p.hit: // the run ended before the kill
	default:
	}
}

// fetches are the requests of the run, by process.
func (p *pageServer) fetches(lives int) [][]fetch {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([][]fetch, lives)
	for i := range out {
		out[i] = p.log[p.first+i]
	}
	return out
}

// note counts a request and says whether it is the one to die at.
func (p *pageServer) note(r *http.Request, body []byte) *hit {
	life, _ := r.Context().Value(lifeKey{}).(int)
	page := strings.TrimRight(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Cursor"), body), " ")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log[life] = append(p.log[life], fetch{page, time.Now()})
	if life != p.life || p.left == 0 {
		return nil
	}
	if p.left--; p.left > 0 {
		return nil
	}
	return &hit{p.mode, make(chan struct{})}
}

func (p *pageServer) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/barrier" {
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	h := p.note(r, body)
	rec := httptest.NewRecorder()
	p.inner.ServeHTTP(rec, r)
	maps.Copy(w.Header(), rec.Header())
	out := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	switch {
	case h == nil:
	case h.mode == killBefore:
		p.die(r, h)
	case h.mode == killInside:
		_, _ = w.Write(out[:int(p.part*float64(len(out)))])
		_ = http.NewResponseController(w).Flush()
		p.die(r, h)
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(out)
	if h != nil {
		_ = http.NewResponseController(w).Flush()
		p.hit <- *h
	}
}

// die has the process killed and gives the request up.
func (p *pageServer) die(r *http.Request, h *hit) {
	p.hit <- *h
	select {
	case <-h.dead:
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// record is member i, a minute after the one before.
func (p *pageServer) record(i int) []byte { return p.member(i, fmt.Sprintf(`"zip":"%05d",`, i)) }

func (p *pageServer) member(i int, zip string) []byte {
	at := p.start.Add(time.Duration(i+1) * time.Minute).Format(time.RFC3339)
	return fmt.Appendf(nil, `{"id":"m%07d","email":"Member%d@Example.ORG ","visits":%d,%s"name":{"first":"Ada %d","last":"Ünal"},"tags":["a","t%d"],"changed":%q,"updated_at":%q,"pad":"%0*d"}`,
		i, i, i, zip, i, i%7, at, at, p.shape.pad, i)
}

// row is what becomes of record i.
func (p *pageServer) row(i int) string {
	zip := i
	if p.shape.family {
		zip, _ = parentOf(i)
	}
	at := p.start.Add(time.Duration(i+1) * time.Minute).Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"_id":"m%07d","person":{"name":{"firstName":"Ada %d","lastName":"Ünal"}},"personalEmail":{"address":"member%d@example.org"},`+
		`"tenant":{"changed":%q,"tags":["a","t%d"],"visits":%d,"zip":"%05d"}}`, i, i, i, at, i%7, i, zip)
}

// parentOf tells the parent of record i and the number of its first child.
func parentOf(i int) (parent, first int) {
	for p := range familyParents {
		if i < first+children(p) {
			return p, first
		}
		first += children(p)
	}
	return familyParents, first
}

func (p *pageServer) serveFamily(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("limit"))
	w.Header().Set("Content-Type", "application/json")
	var list []string
	if r.URL.Path == "/parents" {
		for i := page * size; i < min((page+1)*size, familyParents); i++ {
			list = append(list, fmt.Sprintf(`{"key":"%05d"}`, i))
		}
		_, _ = fmt.Fprintf(w, `{"parents":[%s]}`, strings.Join(list, ","))
		return
	}
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/members/"))
	if err != nil {
		http.Error(w, "unknown", http.StatusNotFound)
		return
	}
	first := 0
	for q := range n {
		first += children(q)
	}
	for c := page * size; c < min((page+1)*size, children(n)); c++ {
		list = append(list, string(p.member(first+c, "")))
	}
	_, _ = fmt.Fprintf(w, `{"members":[%s]}`, strings.Join(list, ","))
}
