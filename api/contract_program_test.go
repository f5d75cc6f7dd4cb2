package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/api"
	"weir/blob"
	"weir/flow"
	"weir/internal/pgtest"
	"weir/lake"
	"weir/source/rest"
	"weir/store"
)

// mailchimp is the built-in spec whose host the tests override.
const mailchimp = "6360f136-5980-4111-8bdf-15d29eab3b5a"

// harness is what all scripts share: one program, one scripted source, the OpenAPI documents.
type harness struct {
	shared    *running
	upstream  *upstream
	documents *validator
	postgres  *pgtest.Server // nil: SQLite
}

// newHarness starts the shared program. With WEIR_TEST_DATABASE=postgres everything runs on PostgreSQL instead of SQLite.
func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{upstream: newUpstream(t), documents: newValidator(t)}
	if os.Getenv("WEIR_TEST_DATABASE") == "postgres" {
		pg, err := pgtest.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop() })
		h.postgres = pg
	}
	h.shared = h.start(t)
	return h
}

// running is a program as cmd/weir makes it, with a clock that can be moved.
type running struct {
	h      *harness
	dir    string
	db     string
	key    []byte
	offset atomic.Int64

	store  *store.Store
	bucket *blob.Bucket
	engine *flow.Engine
	server *httptest.Server // token mode
	open   *httptest.Server // open mode
	cancel context.CancelFunc
	done   chan struct{}
	orgs   atomic.Int64
}

func (p *running) now() time.Time { return time.Now().Add(time.Duration(p.offset.Load())) }

// start makes a program with a database and a lake of its own.
func (h *harness) start(t *testing.T) *running {
	t.Helper()
	p := &running{h: h, dir: t.TempDir(), key: make([]byte, 32)}
	_, _ = rand.Read(p.key)
	p.db = "sqlite:" + filepath.Join(p.dir, "weir.db")
	if h.postgres != nil {
		p.db = h.postgres.Database(t)
	}
	p.up(t)
	t.Cleanup(p.down)
	return p
}

func (p *running) up(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("WEIR_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	p.store, err = store.Open(ctx, store.Config{URL: p.db, MasterKey: p.key, Now: p.now, Log: log})
	must(err)
	must(api.SeedSpecs(ctx, p.store))
	p.bucket, err = blob.Open(ctx, "file://"+filepath.ToSlash(filepath.Join(p.dir, "lake")))
	must(err)
	l, err := lake.Open(ctx, p.bucket, log)
	must(err)
	options := rest.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Log: log, Now: p.now}
	p.engine = &flow.Engine{
		Store: p.store, Lake: l, Hosts: map[string]string{mailchimp: p.h.upstream.url}, Workers: 4, PromoteThreads: 1, LeaseTTL: time.Second, Log: log, Now: p.now,
		Openers: map[string]flow.Opener{
			"rest": func(ctx context.Context, b weir.Binding) (flow.Source, error) { return rest.Open(ctx, b, options) },
		},
	}
	serve := func(mode api.AuthMode) *httptest.Server {
		return httptest.NewServer(api.New(api.Config{Store: p.store, Engine: p.engine, Lake: l, Auth: mode, Log: log, Now: p.now}))
	}
	p.server, p.open = serve(api.AuthToken), serve(api.AuthOpen)
	p.engine.PublicURL = p.server.URL
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		if err := p.engine.Run(ctx); err != nil {
			log.Error("engine", "error", err)
		}
	}()
}

func (p *running) down() {
	p.cancel()
	<-p.done
	p.server.Close()
	p.open.Close()
	_ = p.bucket.Close()
	_ = p.store.Close()
}

// restart takes the program away as a kill would, without letting its runs come to an end, and starts it again on the same data.
func (p *running) restart(t *testing.T) {
	t.Helper()
	p.server.Close()
	p.open.Close()
	_ = p.store.Close() // from here on the old process can write nothing
	p.cancel()
	done, bucket := p.done, p.bucket
	t.Cleanup(func() { <-done; _ = bucket.Close() })
	p.up(t)
}

// advance moves the clock forward.
func (p *running) advance(t *testing.T, by string) {
	t.Helper()
	d, err := time.ParseDuration(strings.TrimPrefix(by, "+"))
	if err != nil {
		t.Fatal(err)
	}
	p.offset.Add(int64(d))
}

func (p *running) url(mode string) string {
	if mode == "open" {
		return p.open.URL
	}
	return p.server.URL
}

func (p *running) newOrg(t *testing.T) (api.Credentials, string) {
	t.Helper()
	cred, err := api.CreateOrg(t.Context(), p.store, fmt.Sprintf("lab%d", p.orgs.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	token, err := api.IssueToken(t.Context(), p.store, cred.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	return cred, token
}

// newSandbox adds a sandbox to the script's organisation.
func (s *script) newSandbox(name string) {
	s.t.Helper()
	s.run(block{line: s.line, head: "POST /data/foundation/sandbox-management/sandboxes", tail: []string{`{"name":"` + name + `","title":"x","type":"development"}`, "=> 202"}})
}

// rows reads a dataset's table as its readers see it now: a JSON list.
func (s *script) rows(dataset string) []byte {
	s.t.Helper()
	ctx := s.t.Context()
	var location string
	err := s.p.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(weir.KindDataset, weir.Scope{Org: s.text("org"), Sandbox: "prod"}, dataset)
		if err != nil {
			return err
		}
		id, err := flow.TableOf(tx, d)
		if err != nil {
			return err
		}
		location, err = tx.Table(id.Namespace, id.Name)
		return err
	})
	if errors.Is(err, weir.ErrNotFound) {
		return []byte("[]")
	}
	if err != nil {
		s.fatal("%v", err)
	}
	table, err := s.p.engine.Lake.Load(ctx, location)
	if err != nil {
		s.fatal("%v", err)
	}
	rows := []json.RawMessage{}
	if err := table.Read(ctx, 1000, func(row json.RawMessage) error { rows = append(rows, bytes.Clone(row)); return nil }); err != nil {
		s.fatal("%v", err)
	}
	b, err := json.Marshal(rows)
	if err != nil {
		s.fatal("%v", err)
	}
	return b
}

// putDoc inserts a document: doc KIND ID JSON.
func (s *script) putDoc(text string) {
	s.t.Helper()
	kind, rest, _ := strings.Cut(text, " ")
	id, body, _ := strings.Cut(rest, " ")
	d := &weir.Doc{Kind: kind, ID: id, Scope: weir.Scope{Org: s.text("org"), Sandbox: "prod"}, Body: json.RawMessage(body)}
	if err := s.p.store.Tx(s.t.Context(), func(tx *store.Tx) error { return tx.Insert(d, weir.Actor{User: "script"}) }); err != nil {
		s.fatal("%v", err)
	}
}

// upstream is a source that answers what scripts tell it to, and remembers what it was asked.
type upstream struct {
	url string
	mu  sync.Mutex
	// lines are the answers by method and path, in the order in which scripts gave them.
	lines map[string][]*line
	log   map[string][]call // by path
}

// line is one upstream block.
type line struct {
	query  url.Values
	status int
	header http.Header
	body   []byte
	used   bool
	hang   bool
	delay  time.Duration
}

// call is one request the source got.
type call struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Raw    string            `json:"raw"`
	Query  map[string]string `json:"query"`
	Header map[string]string `json:"header"`
	Body   any               `json:"body"`
	// Gap is milliseconds since the call before on the same path.
	Gap int64 `json:"gap"`

	at time.Time
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{lines: map[string][]*line{}, log: map[string][]call{}}
	srv := &httptest.Server{Listener: listen(t), Config: &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}}
	srv.Start()
	t.Cleanup(srv.Close)
	u.url = srv.URL
	return u
}

// listen prefers an address that is not the program's, so that "another host" is one.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// add adds an answer: "200 hang" never answers, "200 delay 1s" late.
func (u *upstream) add(method, target, status string, tail []string) error {
	path, query, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	code, word, _ := strings.Cut(status, " ")
	l := &line{query: q, header: http.Header{}, hang: word == "hang"}
	if l.status, err = strconv.Atoi(code); err != nil {
		return err
	}
	if wait, is := strings.CutPrefix(word, "delay "); is {
		if l.delay, err = time.ParseDuration(wait); err != nil {
			return err
		}
	}
	for len(tail) > 0 {
		m := headerLine.FindStringSubmatch(tail[0])
		if m == nil || !strings.Contains(tail[0], ":") {
			break
		}
		l.header.Add(m[2], m[3])
		tail = tail[1:]
	}
	l.body = []byte(strings.TrimSpace(strings.Join(tail, "\n")))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lines[method+" "+path] = append(u.lines[method+" "+path], l)
	return nil
}

// seen is the log of a path as JSON.
func (u *upstream) seen(path string) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := u.log[path]
	if calls == nil {
		calls = []call{}
	}
	b, _ := json.Marshal(calls)
	return b
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	c := call{Method: r.Method, Path: r.URL.EscapedPath(), Raw: r.URL.RawQuery, Query: map[string]string{}, Header: map[string]string{}, at: time.Now()}
	for k, v := range r.URL.Query() {
		c.Query[k] = strings.Join(v, ",")
	}
	for k, v := range r.Header {
		c.Header[k] = strings.Join(v, ",")
	}
	if json.Unmarshal(raw, &c.Body) != nil {
		c.Body = string(raw)
	}
	u.mu.Lock()
	if n := len(u.log[c.Path]); n > 0 {
		c.Gap = c.at.Sub(u.log[c.Path][n-1].at).Milliseconds()
	}
	u.log[c.Path] = append(u.log[c.Path], c)
	l := u.pick(r)
	u.mu.Unlock()
	if l == nil {
		http.Error(w, `{"error":"no script for `+r.Method+" "+r.URL.String()+`"}`, http.StatusNotFound)
		return
	}
	if l.hang {
		<-r.Context().Done()
		return
	}
	if l.delay > 0 {
		select {
		case <-time.After(l.delay):
		case <-r.Context().Done():
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	maps.Copy(h, l.header)
	w.WriteHeader(l.status)
	_, _ = w.Write(l.body)
}

// pick finds the answer: of the lines whose query fits, those that ask for most; of these the first unused one, else the last.
func (u *upstream) pick(r *http.Request) *line {
	var best []*line
	for _, l := range u.lines[r.Method+" "+r.URL.EscapedPath()] {
		if !fits(l.query, r.URL.Query()) {
			continue
		}
		switch {
		case len(best) == 0 || len(l.query) > len(best[0].query):
			best = []*line{l}
		case len(l.query) == len(best[0].query):
			best = append(best, l)
		}
	}
	for _, l := range best {
		if !l.used {
			l.used = true
			return l
		}
	}
	if len(best) == 0 {
		return nil
	}
	return best[len(best)-1]
}

// fits reports whether a request has the parameters of a line; the value - means that the parameter is absent.
func fits(want, got url.Values) bool {
	for k, v := range want {
		if v[0] == "-" {
			if got.Has(k) {
				return false
			}
			continue
		}
		if got.Get(k) != v[0] {
			return false
		}
	}
	return true
}
