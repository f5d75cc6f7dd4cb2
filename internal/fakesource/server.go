package fakesource

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is one request as it came in.
type Call struct {
	Method string
	// URL is path and query as sent.
	URL    string
	Header http.Header
	Body   string
	// Resource: it asked for the resource, not for a token or a test.
	Resource bool
}

// Server serves a scenario. Besides the resource it has /token and /login (credentials), /me (a test address that
// answers {"api_endpoint": …}) and /redirect?to=URL. It is safe for concurrent use.
type Server struct {
	s Scenario

	mu       sync.Mutex
	calls    []Call
	requests int // to the resource, allowed in
	answers  int // pages given
	access   map[string]time.Time
	refresh  string
	issued   int
}

// New makes a server.
func New(s Scenario) *Server {
	if s.Now == nil {
		s.Now = time.Now
	}
	srv := &Server{s: s, access: map[string]time.Time{}, refresh: s.Auth.Refresh}
	if v := s.Auth.Value; v != "" {
		srv.grant(v)
	}
	return srv
}

// Calls returns the requests so far.
func (srv *Server) Calls() []Call {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return append([]Call(nil), srv.calls...)
}

// ServeHTTP answers one request.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	resource := srv.s.Path == "" || r.URL.Path == srv.s.Path
	switch r.URL.Path {
	case "/token", "/login", "/me", "/redirect":
		resource = false
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.calls = append(srv.calls, Call{r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body), resource})
	switch {
	case r.URL.Path == "/token":
		srv.token(w, r, body)
	case r.URL.Path == "/login":
		srv.login(w, body)
	case r.URL.Path == "/me":
		if srv.allowed(w, r, body) {
			writeJSON(w, http.StatusOK, map[string]string{"api_endpoint": "http://" + r.Host})
		}
	case r.URL.Path == "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	case !resource:
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "no such resource " + r.URL.Path})
	default:
		if srv.allowed(w, r, body) {
			srv.requests++
			srv.page(w, r, body)
		}
	}
}

// page answers the resource, or fails as the scenario wants.
func (srv *Server) page(w http.ResponseWriter, r *http.Request, body []byte) {
	for i := range srv.s.Faults {
		if f := &srv.s.Faults[i]; f.hits(srv.requests) {
			srv.fail(w, r, f, body)
			return
		}
	}
	h, out, status := srv.answer(r, body)
	srv.send(w, r, h, out, status)
}

func (srv *Server) send(w http.ResponseWriter, r *http.Request, h http.Header, out []byte, status int) {
	maps.Copy(w.Header(), h)
	if srv.s.Gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(out)
		_ = z.Close()
		out = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

// view is one page: records from..to of those selected, and what the answer says of paging.
type view struct {
	selected  []int
	from, to  int
	size      int
	next      any // token or link, nil for none
	nextKnown bool
	empty     bool
}

// answer makes the next page.
func (srv *Server) answer(r *http.Request, body []byte) (http.Header, []byte, int) {
	p := &srv.s.Paging
	v := &view{selected: srv.selected(r)}
	q := r.URL.Query()
	v.size = or(p.Size, 100)
	if n, err := strconv.Atoi(q.Get(or(p.Limit, "limit"))); err == nil && n > 0 {
		v.size = n
	}
	if p.Max > 0 {
		v.size = min(v.size, p.Max)
	}
	if p.Type == "" || p.Type == "none" {
		v.size = len(v.selected)
	}
	v.from = srv.position(r, body, v)
	if p.Cap > 0 && v.from >= p.Cap {
		return nil, []byte(`{"message":"offset beyond the record cap"}`), http.StatusBadRequest
	}
	srv.answers++
	v.from = min(max(v.from, 0), len(v.selected))
	v.to = min(v.from+v.size, len(v.selected))
	if p.EmptyEvery > 0 && srv.answers%p.EmptyEvery == 0 && p.Type != "offset" && p.Type != "page" {
		v.to, v.empty = v.from, true
	}
	h := http.Header{}
	srv.follow(r, v)
	return h, srv.render(r, v, h), http.StatusOK
}

// selected lists the records a window parameter leaves.
func (srv *Server) selected(r *http.Request) []int {
	s := &srv.s
	since, until := time.Time{}, time.Time{}
	if s.Since != "" {
		since = readTime(r.URL.Query().Get(s.Since))
	}
	if s.Until != "" {
		until = readTime(r.URL.Query().Get(s.Until))
	}
	out := make([]int, 0, s.count())
	for i := range s.count() {
		if !since.IsZero() || !until.IsZero() {
			at := s.updated(i)
			if !since.IsZero() && !at.After(since) || !until.IsZero() && at.After(until) {
				continue
			}
		}
		out = append(out, i)
	}
	return out
}

// position reads where the page starts.
func (srv *Server) position(r *http.Request, body []byte, v *view) int {
	p := &srv.s.Paging
	q := r.URL.Query()
	if p.Same {
		return 0
	}
	switch p.Type {
	case "offset":
		text := q.Get(or(p.Offset, "offset"))
		if p.TokenIn == "body" {
			text = srv.sentToken(r, q, body)
		}
		n, _ := strconv.Atoi(text)
		return n - p.First
	case "page":
		n, err := strconv.Atoi(q.Get(or(p.Page, "page")))
		if err != nil {
			return 0
		}
		return (n - p.First) * v.size
	case "key":
		last := srv.sentToken(r, q, body)
		if last == "" {
			return 0
		}
		for i, n := range v.selected {
			var rec map[string]json.RawMessage
			if json.Unmarshal(srv.s.record(n), &rec) == nil && strings.Trim(string(rec["id"]), `"`) == last {
				return i + 1
			}
		}
		return len(v.selected)
	case "token", "pointer", "link":
		return readToken(srv.sentToken(r, q, body))
	}
	return 0
}

func (srv *Server) sentToken(r *http.Request, q url.Values, body []byte) string {
	p := &srv.s.Paging
	name := or(p.Token, map[bool]string{true: "after", false: "cursor"}[p.Type == "key"])
	switch p.TokenIn {
	case "header":
		return r.Header.Get(name)
	case "body":
		for part := range strings.SplitSeq(name, ".") {
			var m map[string]json.RawMessage
			if json.Unmarshal(body, &m) != nil {
				return ""
			}
			body = m[part]
		}
		return string(body)
	}
	return q.Get(name)
}

// makeToken wraps a position in the kind of token the scenario uses; text tokens hold characters that need care.
func (srv *Server) makeToken(at int) any {
	switch srv.s.Paging.Kind {
	case "int":
		return at
	case "object":
		return map[string]any{"at": at, "salt": "/~=,"}
	}
	return fmt.Sprintf("p/~=, +%d", at)
}

// readToken finds the position in any kind of token: its last run of digits.
func readToken(token string) int {
	end := strings.LastIndexAny(token, "0123456789") + 1
	start := end
	for start > 0 && token[start-1] >= '0' && token[start-1] <= '9' {
		start--
	}
	n, _ := strconv.Atoi(token[start:end])
	return n
}

// follow decides what the answer says about the next page.
func (srv *Server) follow(r *http.Request, v *view) {
	p := &srv.s.Paging
	switch p.Type {
	case "token", "pointer", "link":
	default:
		return
	}
	v.nextKnown = true
	at := v.to
	switch {
	case p.Cycle > 0 && srv.answers%p.Cycle == 0:
		at = 0
	case v.to >= len(v.selected) && !v.empty:
		lastWithRecords := v.to > v.from
		switch {
		case p.EmptyLast && lastWithRecords:
		case p.Repeat && lastWithRecords, p.Repeat:
		default:
			return
		}
	}
	token := srv.makeToken(at)
	if v.empty {
		token = fmt.Sprintf("e%d-%d", srv.answers, at) // a live cursor that was never sent
	}
	if p.Type == "token" {
		v.next = token
		return
	}
	u := *r.URL
	q := u.Query()
	q.Set(or(p.Token, "cursor"), fmt.Sprint(token))
	u.RawQuery = q.Encode()
	if p.Relative {
		v.next = u.RequestURI()
		return
	}
	u.Scheme, u.Host = "http", r.Host
	v.next = u.String()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
