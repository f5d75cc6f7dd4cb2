package author

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/source/rest"
)

// TryOptions say how a spec is tried against its source.
type TryOptions struct {
	AuthSpec string // "" for the first
	Auth     map[string]json.RawMessage
	Params   map[string]json.RawMessage
	Host     string // overrides the spec's host
	Pages    int    // at most so many [3]
	Records  int    // records shown [3]
	Window   weir.Window
	Allow    []netip.Prefix // private networks that may be reached
	// Transport, if set, takes the place of the network.
	Transport http.RoundTripper
}

// Event is something that happened while a spec was tried.
type Event struct {
	Exchange *Exchange
	Page     *Page
	Wait     time.Duration
}

// Exchange is a request and its answer, without secrets. Status is 0 when there was none, and Err says why.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Body        string
	Status      int
	Answer      http.Header
	AnswerBody  string // its beginning
	Took        time.Duration
	Err         string
}

// Page is a page that was read, and what the paging made of it.
type Page struct {
	Number   int
	Records  int
	Decision string
	Warnings []string
}

// Trial is what came of it: the first records and the schema inferred from all that were read.
type Trial struct {
	Requests, Pages, Records int
	First                    []json.RawMessage
	Schema                   json.RawMessage
	More                     bool // there are further pages
}

// sampleRecords bounds the records a schema is inferred from.
const sampleRecords = 1000

// answerBound is how much of an answer is shown.
const answerBound = 64 << 10

// Try reads the first pages of a source and tells of everything that happens, without secrets.
func Try(ctx context.Context, spec json.RawMessage, opt TryOptions, tell func(Event)) (*Trial, error) {
	doc, err := parseDocument(spec)
	if err != nil {
		return nil, err
	}
	b := weir.Binding{Spec: doc.json(), AuthSpec: opt.AuthSpec, Params: mustJSON(opt.Params), Host: opt.Host, ConnectionID: "try"}
	if list := doc.get("authSpec").list(); b.AuthSpec == "" && len(list) > 0 {
		b.AuthSpec = list[0].str("name")
	}
	if opt.Params == nil {
		b.Params = json.RawMessage("{}")
	}
	if opt.Auth != nil {
		b.Auth = mustJSON(opt.Auth)
	}
	for _, f := range slices.Concat(rest.CheckAuth(b.Spec, b.AuthSpec, b.Auth), rest.CheckParams(b)) {
		return nil, weir.Errorf(f.Code, "%s: %s", f.Pointer, f.Message)
	}
	if opt.Window.End.IsZero() {
		opt.Window.End = time.Now().UTC()
	}
	w := &watcher{tell: tell}
	client := rest.NewClient(opt.Allow)
	client.Wrap(func(base http.RoundTripper) http.RoundTripper {
		if opt.Transport != nil {
			base = opt.Transport
		}
		w.base = base
		return w
	})
	src, err := rest.Open(ctx, b, rest.Options{Client: client, Limits: rest.Limits{Attempts: 3, Wait: time.Minute}, Sleep: w.sleep})
	if err != nil {
		return nil, err
	}
	w.src = src
	return readPages(ctx, src, opt, w)
}

// readPages reads up to opt.Pages pages.
func readPages(ctx context.Context, src *rest.Source, opt TryOptions, w *watcher) (*Trial, error) {
	if opt.Pages <= 0 {
		opt.Pages = 3
	}
	if opt.Records <= 0 {
		opt.Records = 3
	}
	out := &Trial{}
	var sample []json.RawMessage
	page := Page{Number: 1}
	var failed error
	for c, err := range src.Pages(ctx, opt.Window, nil) {
		if err != nil {
			failed = err
			break
		}
		for line := range bytes.Lines(c.Data) {
			if len(sample) < sampleRecords {
				sample = append(sample, bytes.Clone(bytes.TrimSpace(line)))
			}
		}
		out.Records += c.Records
		page.Records += c.Records
		if !c.PageEnd {
			continue
		}
		out.Pages++
		page.Warnings, page.Decision = c.Warnings, src.Mask(decision(c))
		w.emit(Event{Page: &page})
		page = Page{Number: page.Number + 1}
		if out.More = c.Next != nil; out.Pages >= opt.Pages {
			break
		}
	}
	w.mu.Lock()
	out.Requests = w.requests
	w.mu.Unlock()
	for _, r := range sample[:min(len(sample), opt.Records)] {
		out.First = append(out.First, json.RawMessage(src.Mask(string(r)))) // a source may echo what it was sent
	}
	if len(sample) > 0 {
		out.Schema = rest.InferSchema(sample)
	}
	return out, failed
}

// decision words what follows a page.
func decision(c weir.Chunk) string {
	if c.Next == nil {
		if c.Resume != nil {
			return "the end; the next run goes on from here"
		}
		return "the end"
	}
	n, err := parseDocument(c.Next)
	if err != nil {
		return "a next page"
	}
	var parts []string
	for _, p := range n.get("parents").list() {
		parts = append(parts, "parent "+p.str("key"))
	}
	if s := n.get("slices").list(); len(s) > 0 {
		parts = append(parts, fmt.Sprintf("slice from %s, %d to go", s[0].str("Start"), len(s)))
	}
	walk := n.get("walk")
	if walk == nil {
		return "next: " + strings.Join(append(parts, "first page"), ", ")
	}
	pager := walk.get("pager")
	if pager.isObject() {
		for i, name := range pager.names {
			if name == "guard" || name == "seen" || name == "requests" {
				continue
			}
			parts = append(parts, name+" "+string(pager.values[i].json()))
		}
	}
	return "next (" + walk.str("type") + "): " + strings.Join(parts, ", ")
}

// watcher is a transport that tells of every exchange.
type watcher struct {
	base http.RoundTripper
	tell func(Event)
	src  *rest.Source

	mu       sync.Mutex
	requests int
}

func (w *watcher) emit(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tell != nil {
		w.tell(e)
	}
}

func (w *watcher) sleep(ctx context.Context, d time.Duration) error {
	w.emit(Event{Wait: d})
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// RoundTrip sends the request and tells of it once the answer's body was read.
func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	e := &Exchange{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone()}
	if r.Body != nil && r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			raw, _ := io.ReadAll(io.LimitReader(body, answerBound))
			e.Body = string(raw)
		}
	}
	w.mu.Lock()
	w.requests++
	w.mu.Unlock()
	start := time.Now()
	resp, err := w.base.RoundTrip(r)
	e.Took = time.Since(start)
	if err != nil {
		e.Err = err.Error()
		w.clean(e, r)
		w.emit(Event{Exchange: e})
		return resp, err
	}
	e.Status, e.Answer = resp.StatusCode, resp.Header.Clone()
	resp.Body = &tapped{ReadCloser: resp.Body, done: func(seen []byte) {
		e.AnswerBody = w.readable(seen, resp.Header)
		w.clean(e, r)
		w.emit(Event{Exchange: e})
	}}
	return resp, nil
}

// readable is the beginning of an answer as text.
func (w *watcher) readable(seen []byte, h http.Header) string {
	if strings.EqualFold(h.Get("Content-Encoding"), "gzip") {
		if z, err := gzip.NewReader(bytes.NewReader(seen)); err == nil {
			seen, _ = io.ReadAll(io.LimitReader(z, answerBound)) // as far as it goes
		}
	}
	return strings.ToValidUTF8(string(seen), "\uFFFD")
}

// openHeaders never hold a secret.
var openHeaders = map[string]bool{"Accept": true, "Accept-Encoding": true, "Content-Type": true, "User-Agent": true, "Content-Length": true, "Date": true}

// clean removes secrets: all that the source knows, headers with a telling name, and tokens in answers.
func (w *watcher) clean(e *Exchange, r *http.Request) {
	e.URL = w.src.MaskURL(r.URL)
	e.Body, e.AnswerBody = maskMembers(w.src.Mask(e.Body)), maskMembers(w.src.Mask(e.AnswerBody))
	e.Err = w.src.Mask(e.Err)
	for _, h := range []http.Header{e.Header, e.Answer} {
		for name, list := range h {
			for i := range list {
				list[i] = w.src.Mask(list[i])
				if !openHeaders[name] && tellingHeader(name) {
					list[i] = maskHeader(list[i])
				}
			}
		}
	}
}

func tellingHeader(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"auth", "token", "secret", "cookie", "api-key", "apikey", "signature", "session"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// maskHeader keeps the scheme of an Authorization.
func maskHeader(v string) string {
	if scheme, _, ok := strings.Cut(v, " "); ok && len(scheme) < 20 && !strings.ContainsAny(scheme, "=;:") {
		return scheme + " ***"
	}
	return "***"
}

// tapped keeps the beginning of a body and tells of it at its end.
type tapped struct {
	io.ReadCloser
	seen []byte
	done func([]byte)
	once sync.Once
}

// Read reads on.
func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if room := answerBound - len(t.seen); room > 0 {
		t.seen = append(t.seen, p[:min(n, room)]...)
	}
	if err != nil {
		t.once.Do(func() { t.done(t.seen) })
	}
	return n, err
}

// Close ends the body.
func (t *tapped) Close() error {
	t.once.Do(func() { t.done(t.seen) })
	return t.ReadCloser.Close()
}

// sortedHeader lists the headers in order.
func sortedHeader(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }

// HeaderLines are the headers of an exchange, one line each, in order.
func HeaderLines(h http.Header) []string {
	var out []string
	for _, name := range sortedHeader(h) {
		out = append(out, name+": "+strings.Join(h[name], ", "))
	}
	return out
}

var secretMember = regexp.MustCompile(`("(?i:[a-z_]*(?:access_?token|refresh_?token|id_?token|client_?secret|password|assertion))"\s*:\s*)"[^"]*"`)

var secretField = regexp.MustCompile(`(?i)\b((?:access_?token|refresh_?token|client_?secret|password|assertion)=)[^&\s]*`)

// maskMembers hides tokens and secrets by the names of their members.
func maskMembers(s string) string {
	return secretField.ReplaceAllString(secretMember.ReplaceAllString(s, `${1}"***"`), "${1}***")
}
