package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weir"
)

// Options configure [Open]. The zero value reads public addresses with the default limits.
type Options struct {
	// Client is shared by the sources of a process; nil makes one for this source that may also reach AllowPrivate.
	Client       *Client
	AllowPrivate []netip.Prefix
	Limits       Limits
	// TempDir takes what a very large page has to set aside; "" is the system's.
	TempDir string
	Log     *slog.Logger
	Now     func() time.Time
	// Sleep waits between attempts and pages; nil really waits.
	Sleep func(ctx context.Context, d time.Duration) error

	// Ledger shares rate budgets with other processes; nil keeps them in this one.
	Ledger Ledger

	// Trace, if set, sees every request to the source before it is sent, credentials included.
	Trace func(*http.Request)
}

// Source reads one REST source. Its methods may be called from several goroutines.
type Source struct {
	b      weir.Binding
	opt    Options
	limits Limits
	spec   *spec
	auth   authenticator
	params *params
	mask   *masker
	client *Client
	log    *slog.Logger
	told   *told
}

// told is the address that authorizationTestUrl told, asked for once.
type told struct {
	mu   sync.Mutex
	done bool
	host string
	// fields are the names of schemaFrom.
	fields []string
}

// Open makes a source of a binding. It reads the spec and the credentials and sends nothing; what is wrong with the
// source parameters shows when they are used.
func Open(_ context.Context, b weir.Binding, opt Options) (*Source, error) {
	if opt.Client == nil {
		opt.Client = NewClient(opt.AllowPrivate)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = wait
	}
	opt.Limits = opt.Limits.filled()
	sp, err := parseSpec(b.Spec)
	if err != nil {
		return nil, err
	}
	s := &Source{b: b, opt: opt, limits: opt.Limits, spec: sp, mask: &masker{}, client: opt.Client, log: opt.Log, told: &told{}}
	if s.auth, err = openAuth(sp, &b, opt.Client, &s.opt, s.mask); err != nil {
		return nil, err
	}
	s.params, err = sp.layers(&b, nil)
	return s, err
}

// layers are the parameters of a binding in the order in which placeholders look them up.
func (s *spec) layers(b *weir.Binding, explore json.RawMessage) (*params, error) {
	p := &params{}
	add := func(what string, raw json.RawMessage, keep func(string) bool) error {
		if len(bytes.TrimSpace(raw)) == 0 {
			return nil
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return weir.Errorf("CONNECTOR-1312-400", "%s must be an object", what)
		}
		for name := range m {
			if keep != nil && !keep(name) {
				delete(m, name)
			}
		}
		p.layers = append(p.layers, m)
		return nil
	}
	a := s.matchAuth(b.AuthSpec)
	open := func(name string) bool {
		return a == nil && !secretName.MatchString(name) || a != nil && !a.secret(name)
	}
	if err := add("the source parameters", b.Params, nil); err != nil {
		return nil, err
	}
	if err := add("auth.params", b.Auth, open); err != nil {
		return nil, err
	}
	if err := add("the source parameters", explore, nil); err != nil {
		return nil, err
	}
	defaults := map[string]json.RawMessage{}
	members(pluck(s.SourceSpec.Spec, path{{name: "properties"}}), func(name, value []byte) bool {
		if v := pluck(value, path{{name: "default"}}); v != nil {
			defaults[unquote(name)] = v
		}
		return true
	})
	p.layers = append(p.layers, defaults)
	return p, nil
}

// plan is a source ready to be read: the definition and the request of its first page without paging.
type plan struct {
	def    *definition
	req    *request
	window weir.Window
	vars   map[string]any // params and window for expressions
	shares [][]string     // the fields to ask for, one request each; nil without fieldRules
}

// attributes finds the request definition of the binding; object names a stream for an explore.
func (s *Source) attributes(p *params, object string, raw ...json.RawMessage) (*attributes, error) {
	a, err := s.spec.source(raw...)
	if err != nil {
		return nil, err
	}
	name, _ := p.text("stream")
	if len(a.ext.Streams) > 0 && a.ext.Streams[object] != nil {
		name = object
	}
	return a.stream(name)
}

// plan resolves a request definition for a window; nil is an explore, which has none.
func (s *Source) plan(ctx context.Context, p *params, w *weir.Window, a *attributes) (*plan, error) {
	seen := weir.Window{End: s.opt.Now()}
	if w != nil {
		seen = *w
	}
	p, err := a.ext.computed(p, seen)
	if err != nil {
		return nil, err
	}
	e := &expander{params: p}
	if pg := a.ext.Paging; pg != nil && pg.Inject != nil && pg.Inject.Path != "" {
		mark := map[string]json.RawMessage{pg.Inject.Path: quote(pathMark(pg.Inject.Path))}
		e.params = &params{layers: append([]map[string]json.RawMessage{mark}, p.layers...), none: p.none}
	}
	def, err := a.define(e)
	if err == nil {
		err = e.err()
	}
	if err != nil {
		return nil, err
	}
	e.slice = def.schedule.slice(w, s.opt.Now(), e)
	r, err := s.request(ctx, def, e)
	if err != nil {
		return nil, err
	}
	pl := &plan{def: def, req: r}
	if w != nil {
		pl.window = *w
	}
	pl.vars = map[string]any{"params": p.vars(), "window": windowVars(pl.window), "none": nil}
	r.rules, r.vars = def.ext, pl.vars
	if err := def.schedule.place(r, w); err != nil {
		return nil, err
	}
	return pl, def.ext.Cursor.place(r, w)
}

// vars are the parameters for expressions.
func (p *params) vars() map[string]any {
	out := map[string]any{}
	for _, v := range slices.Backward(p.layers) {
		for name, raw := range v {
			out[name] = toCEL(raw)
		}
	}
	return out
}

func windowVars(w weir.Window) map[string]any {
	out := map[string]any{"start": "", "end": w.End.UTC().Format(time.RFC3339Nano)}
	if !w.Start.IsZero() {
		out["start"] = w.Start.UTC().Format(time.RFC3339Nano)
	}
	return out
}

// slice renders the times of a window. An explore takes the backfill form up to now.
func (c *schedule) slice(w *weir.Window, now time.Time, e *expander) slice {
	var out slice
	if w == nil {
		w = &weir.Window{End: now}
	}
	out.hasStart = !w.Start.IsZero()
	out.end = formatTime(w.End, c.ParamFormat)
	text := c.Backfill
	start := time.Unix(0, 0)
	if out.hasStart {
		text, start = c.Incremental, w.Start
	}
	out.start = formatTime(start, c.ParamFormat)
	if c.advance() {
		e.slice = out
		out.query = e.text(text)
	}
	return out
}

// place puts the simple schedule parameters into the request: the query, or the body of a POST.
func (c *schedule) place(r *request, w *weir.Window) error {
	if w == nil || c.advance() {
		return nil
	}
	set := func(name, value string) error {
		if r.method == http.MethodPost {
			return r.setMember(name, value)
		}
		r.setParam(name, value)
		return nil
	}
	if c.StartName != "" && !w.Start.IsZero() {
		if err := set(c.StartName, formatTime(w.Start, c.StartFormat)); err != nil {
			return err
		}
	}
	if c.EndName != "" {
		return set(c.EndName, formatTime(w.End, c.EndFormat))
	}
	return nil
}

// request expands the parts of the definition into a request.
func (s *Source) request(ctx context.Context, def *definition, e *expander) (*request, error) {
	host, err := s.host(ctx, def, e)
	if err != nil {
		return nil, err
	}
	r := &request{method: def.method, kind: def.bodyKind, typ: def.bodyType}
	p := e.path(def.path)
	query := make([]pair, 0, len(def.query))
	for _, q := range def.query {
		if !e.params.nothing(q.value) {
			query = append(query, pair{e.text(q.name), e.text(q.value)})
		}
	}
	for _, h := range def.headers {
		if !e.params.nothing(h.value) {
			r.headers = append(r.headers, pair{e.text(h.name), e.text(h.value)})
		}
	}
	if def.body != nil {
		if r.body, err = mapStrings(e.params.without(def.body), e.value); err != nil {
			return nil, err
		}
	}
	if err := e.err(); err != nil {
		return nil, err
	}
	if err := r.setAddress(host, p); err != nil {
		return nil, err
	}
	for _, q := range query { // a name in the path's own query gives way; a repeated name stays repeated
		r.query = deleteRaw(r.query, q.name)
		r.query = append(r.query, queryParam{name: q.name, value: q.value})
	}
	return r, nil
}

func deleteRaw(query []queryParam, name string) []queryParam {
	out := query[:0]
	for _, q := range query {
		if q.raw == "" || q.name != name {
			out = append(out, q)
		}
	}
	return out
}

// host is the address of the source: an override, the spec's, the one in the auth parameters, or what the test address
// tells (ruling R25).
func (s *Source) host(ctx context.Context, def *definition, e *expander) (string, error) {
	if s.b.Host != "" {
		return s.b.Host, nil
	}
	if def.host == "" {
		if h, ok := e.params.text("host"); ok {
			return h, nil
		}
		return "", weir.Errorf("CONNECTOR-1304-400", "urlParams.host is missing and the auth parameters have no host")
	}
	probe := &expander{params: e.params, slice: e.slice}
	host := probe.host(def.host)
	if len(probe.missing) > 0 && probe.bad == nil {
		if h, err := s.endpoint(ctx); err != nil || h != "" {
			return h, err
		}
	}
	return host, probe.err()
}

// endpoint asks authorizationTestUrl for api_endpoint; "" if there is no such address or member.
func (s *Source) endpoint(ctx context.Context) (string, error) {
	address, ok := s.params.text("authorizationTestUrl")
	if !ok {
		return "", nil
	}
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if s.told.done {
		return s.told.host, nil
	}
	raw, err := s.read(ctx, address, 1<<20)
	if err != nil {
		return "", err
	}
	text, _ := scalarText(pluck(raw, path{{name: "api_endpoint"}}))
	if text == "" {
		s.told.done = true
		return "", nil
	}
	if _, err := parseAddress(text); err != nil {
		return "", weir.Errorf("CONNECTOR-1308-400", "api_endpoint of the authorization test address: %w", err)
	}
	s.told.done, s.told.host = true, text
	return text, nil
}

// Shape tells the mapping how the records are wrapped.
func (s *Source) Shape() weir.Shape {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil {
		return weir.Shape{}
	}
	return weir.Shape{Whole: a.whole(), Wrapper: a.wrapper(s.params)}
}

// wrapper is the member that wraps the records, "" for none.
func (a *attributes) wrapper(p *params) string {
	sel, _, err := parseSelector("contentPath", a.ContentPath, &expander{params: p})
	if err != nil || sel == nil || !sel.wrap {
		return ""
	}
	return sel.wrapper
}

// whole reports whether a source gives everything in every run: nothing in its definition looks at the window or at a
// position kept between runs.
func (a *attributes) whole() bool {
	var sched schedule
	if len(a.ScheduleParams) > 0 && json.Unmarshal(a.ScheduleParams, &sched) != nil {
		return false
	}
	x := a.ext
	return sched.StartName+sched.EndName == "" && !sched.advance() && x.Cursor == nil && (x.Paging == nil || !x.Paging.Keep) && !bytes.Contains(a.raw, []byte("window."))
}
