package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
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

	trace func(*http.Request)
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
	s := &Source{b: b, opt: opt, limits: opt.Limits, spec: sp, mask: &masker{}, client: opt.Client, log: opt.Log}
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
	def *definition
	req *request
}

// plan resolves the definition for a window; nil is an explore, which has none.
func (s *Source) plan(ctx context.Context, p *params, w *weir.Window, raw ...json.RawMessage) (*plan, error) {
	a, err := s.spec.source(raw...)
	if err != nil {
		return nil, err
	}
	e := &expander{params: p}
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
	return &plan{def, r}, def.schedule.place(r, w)
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
	r := &request{method: def.method}
	p := e.path(def.path)
	query := make([]pair, len(def.query))
	for i, q := range def.query {
		query[i] = pair{e.text(q.name), e.text(q.value)}
	}
	for _, h := range def.headers {
		r.headers = append(r.headers, pair{e.text(h.name), e.text(h.value)})
	}
	if def.body != nil && def.method != http.MethodGet {
		if r.body, err = mapStrings(def.body, e.value); err != nil {
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
	raw, err := s.read(ctx, address, 1<<20)
	if err != nil {
		return "", err
	}
	text, _ := scalarText(pluck(raw, path{{name: "api_endpoint"}}))
	if text == "" {
		return "", nil
	}
	if _, err := parseAddress(text); err != nil {
		return "", weir.Errorf("CONNECTOR-1308-400", "api_endpoint of the authorization test address: %w", err)
	}
	return text, nil
}

// Shape tells the mapping how the records are wrapped.
func (s *Source) Shape() weir.Shape {
	a, err := s.spec.source(s.b.Params)
	if err != nil {
		return weir.Shape{}
	}
	sel, _, err := parseSelector("contentPath", a.ContentPath, &expander{params: s.params})
	if err != nil || sel == nil || !sel.wrap {
		return weir.Shape{}
	}
	return weir.Shape{Wrapper: sel.wrapper}
}

// position is the content of a checkpoint.
type position struct {
	Type  string          `json:"type"`
	Pager json.RawMessage `json:"pager"`
	Last  uint64          `json:"last,omitempty"` // hash of the records of the last full page
	Same  int             `json:"same,omitempty"` // full pages in a row with that hash
}

// samePages is how many equal full pages in a row show that the source ignores its paging parameters.
const samePages = 3

// Pages reads the source page by page from a position; nil is the beginning. A page whose answer breaks off is fetched
// again. After an error nothing of the open page counts: continue from the last chunk with PageEnd.
func (s *Source) Pages(ctx context.Context, w weir.Window, from weir.Checkpoint) iter.Seq2[weir.Chunk, error] {
	return func(yield func(weir.Chunk, error) bool) {
		rd, err := s.reader(ctx, w, from)
		for err == nil {
			var more bool
			if more, err = rd.page(ctx, yield); err == nil && !more {
				return
			}
		}
		if !errors.Is(err, errDone) {
			yield(weir.Chunk{}, err)
		}
	}
}

// errDone says that the consumer wants no more.
var errDone = errors.New("the reader of the pages stopped")

// reader is one walk over the pages.
type reader struct {
	s     *Source
	plan  *plan
	pager pager
	pos   position
	cut   *cutter
	sink  sink
	probe []path
	first bool
	bytes int64 // of the open page, already told in chunks
}

func (s *Source) reader(ctx context.Context, w weir.Window, from weir.Checkpoint) (*reader, error) {
	p, err := s.plan(ctx, s.params, &w, s.b.Params)
	if err != nil {
		return nil, err
	}
	rd := &reader{s: s, plan: p, pager: pagers[p.def.paging.kind](&p.def.paging), first: len(from) == 0}
	if len(from) > 0 {
		err := json.Unmarshal(from, &rd.pos)
		if err == nil && rd.pos.Type != p.def.paging.kind {
			err = fmt.Errorf("it belongs to paging of type %s", rd.pos.Type)
		}
		if err == nil && len(rd.pos.Pager) > 0 && p.def.paging.kind != "NONE" {
			err = json.Unmarshal(rd.pos.Pager, rd.pager)
		}
		if err != nil {
			return nil, weir.Errorf("CONNECTOR-1014-400", "the checkpoint does not fit this source: %w", err)
		}
	}
	rd.pos.Type = p.def.paging.kind
	rd.probe = rd.pager.paths()
	rd.cut = newCutter(&p.def.content, p.def.explode, rd.probe, s.opt.TempDir, rd.sink.put)
	return rd, nil
}

// page reads one page. more tells whether another one follows.
func (rd *reader) page(ctx context.Context, yield func(weir.Chunk, error) bool) (more bool, err error) {
	s := rd.s
	r := rd.plan.req.clone()
	rd.pager.place(r)
	rd.sink.next()
	rd.bytes = 0
	var a *answer
	var url string
	err = s.fetch(ctx, r, func(resp *response) error {
		url = s.mask.url(resp.Request.URL)
		rd.sink.reset()
		rd.sink.emit = func(data []byte, records int) error {
			c := weir.Chunk{Data: data, Records: records, Bytes: rd.fresh(), URL: url}
			if !yield(c, nil) {
				return errDone
			}
			return nil
		}
		var err error
		a, err = rd.read(resp)
		return err
	})
	if err != nil {
		return false, err
	}
	c := weir.Chunk{PageEnd: true, URL: url}
	a.warn = func(format string, args ...any) {
		c.Warnings = append(c.Warnings, s.mask.text(fmt.Sprintf(format, args...)))
	}
	if more, err = rd.turn(a); err != nil {
		return false, err
	}
	if rd.first && !rd.cut.found && a.status != http.StatusNoContent {
		a.warn("%s", rd.cut.absent())
	}
	rd.first = false
	if more {
		if c.Next, err = rd.checkpoint(); err != nil {
			return false, err
		}
	}
	if c.Data, c.Records, err = rd.sink.finish(); err != nil {
		return false, err
	}
	c.Bytes = rd.fresh()
	if !yield(c, nil) {
		return false, errDone
	}
	if more && rd.plan.def.paging.delay > 0 {
		err = s.opt.Sleep(ctx, rd.plan.def.paging.delay)
	}
	return more, err
}

// fresh is how many bytes of the open page were not told yet.
func (rd *reader) fresh() int64 {
	n := max(rd.cut.read-rd.bytes, 0)
	rd.bytes += n
	return n
}

// read cuts one answer.
func (rd *reader) read(resp *response) (*answer, error) {
	a := &answer{url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, values: map[string]json.RawMessage{}}
	rd.cut.begin()
	if resp.StatusCode == http.StatusNoContent {
		return a, nil
	}
	if err := rd.cut.run(resp.body); err != nil {
		return nil, err
	}
	a.elements = rd.cut.elements
	for i, p := range rd.probe {
		a.values[p.String()] = rd.cut.probes[i]
	}
	return a, nil
}

// turn lets the pager decide, and stops a source that gives the same full page for ever.
func (rd *reader) turn(a *answer) (bool, error) {
	rd.sink.close()
	if a.elements > 0 && rd.plan.def.paging.full(a.elements) && rd.pos.Last == rd.sink.sum {
		rd.pos.Same++
	} else {
		rd.pos.Last, rd.pos.Same = rd.sink.sum, 1
	}
	more, err := rd.pager.turn(a)
	if err == nil && more && rd.pos.Same >= samePages {
		err = weir.Errorf("CONNECTOR-1308-400", "%d pages in a row held the same %d records: the source ignores its paging parameters", rd.pos.Same, a.elements)
	}
	if a.status == http.StatusNoContent {
		more = false
	}
	return more, err
}

func (rd *reader) checkpoint() (weir.Checkpoint, error) {
	var err error
	if rd.pos.Pager, err = json.Marshal(rd.pager); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(rd.pos)
	return weir.Checkpoint(raw), err
}
