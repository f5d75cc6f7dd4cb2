package author

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/source/rest"
)

// originHeader carries scheme and host that a request was meant for: the mirror answers for every host.
const originHeader = "X-Weir-Proof-Origin"

// pageParam is the query parameter in the mirror's own next links.
const pageParam = "weir_at"

// row is one record that the mirror may give.
type row struct {
	serial string
	at     time.Time
	hidden bool // filtered after paging: it takes a place on its page but does not show
	drift  int  // which fields change: 0 none, 1 a new one, 2 one is missing, 3 one is null
}

// mirror is an upstream made from a spec: it answers what the spec says the source answers.
type mirror struct {
	levels  []*resource // parents, outermost first; the source itself is the last
	parents int
	rows    []row
	gate    *gate
	clock   *clock
	fault   func(page string, attempt int) fault
	cycle   bool          // paging goes round in circles, or ignores its parameters
	skew    time.Duration // of the source's clock
	spare   bool          // the last page names another one, which is empty

	mu       sync.Mutex
	tokens   map[string]int // position tokens that were handed out, by walk
	calls    []call
	attempts map[string]int
	given    map[string]int // pages that were given in full
	refused  int            // requests with wrong credentials
	unknown  int            // requests to no resource
	facts    map[string]map[string]any
	jobs     *jobMirror
	fields   *fieldsMirror
}

// call is one request as the mirror saw it.
type call struct {
	method, url string
	header      http.Header
	body        string
	at          time.Time // by the clock of the proof
	page        string
	status      int
	fault       fault
	answer      []byte
	answerType  string
}

// fault is a way to answer badly.
type fault struct {
	kind  string // status, drop, cut
	code  int
	after time.Duration // Retry-After
	date  bool          // in the form of a date
}

// inquiry is a request that was read.
type inquiry struct {
	r      *http.Request
	body   any
	raw    []byte
	res    *resource
	level  int
	groups map[string]string
	origin string
}

func newMirror(levels []*resource, g *gate, c *clock) *mirror {
	return &mirror{levels: levels, gate: g, clock: c, parents: 3, tokens: map[string]int{}, attempts: map[string]int{}, given: map[string]int{}, facts: map[string]map[string]any{}}
}

// ServeHTTP answers one request.
func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	q := &inquiry{r: r, raw: raw, body: readBody(r.Header.Get("Content-Type"), raw), origin: r.Header.Get(originHeader)}
	r.Header.Del(originHeader)
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Date", m.clock.read().Add(m.skew).UTC().Format(http.TimeFormat))
	c := call{method: r.Method, url: q.origin + r.URL.RequestURI(), header: r.Header.Clone(), body: string(raw), at: m.clock.read()}
	if m.gate.serve(w, q) {
		return
	}
	if m.jobs.serve(m, w, q, &c) || m.fields.serve(m, w, q, &c) {
		return
	}
	if m.find(q); q.res == nil {
		m.unknown++
		c.status = http.StatusNotFound
		m.calls = append(m.calls, c)
		refuse(w, http.StatusNotFound, "no such resource")
		return
	}
	if !m.gate.allows(q) {
		m.deny(w, &c)
		return
	}
	m.page(w, q, &c)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"message":%q}`, message)
}

// readBody reads JSON or a form.
func readBody(kind string, raw []byte) any {
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(raw))
		out := map[string]any{}
		for n, v := range form {
			out[n] = v[0]
		}
		return out
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// find tells which resource a request is for: of those whose path fits, the most particular.
func (m *mirror) find(q *inquiry) {
	path := q.r.URL.EscapedPath()
	if strings.HasPrefix(path, resultPath) && m.jobs != nil {
		q.res, q.level, q.groups = m.levels[len(m.levels)-1], len(m.levels)-1, map[string]string{}
		return
	}
	for i, level := range m.levels {
		if level == nil {
			continue
		}
		for _, res := range append([]*resource{level}, level.alts...) {
			m.fit(q, i, res, path)
		}
	}
}

// fit takes a resource for a request that its path fits.
func (m *mirror) fit(q *inquiry, i int, res *resource, path string) {
	if res.path == nil || res.method != q.r.Method {
		return
	}
	{
		g := res.path.FindStringSubmatch(path)
		if g == nil || q.res != nil && res.literal < q.res.literal {
			return
		}
		q.res, q.level, q.groups = res, i, map[string]string{}
		for j, name := range res.open {
			text, err := url.PathUnescape(g[j+1])
			if err != nil {
				text = g[j+1]
			}
			q.groups[name] = text
		}
	}
}

// value is the text at a place of the request; ok is false for none.
func (q *inquiry) value(l locus) (string, bool) {
	switch l.in {
	case "query":
		v, ok := q.r.URL.Query()[l.name]
		if !ok {
			return "", false
		}
		return v[0], true
	case "header":
		return q.r.Header.Get(l.name), q.r.Header.Get(l.name) != ""
	case "path":
		return q.groups[l.name], q.groups[l.name] != ""
	case "body":
		v := getIn(q.body, l.path)
		if v == nil {
			return "", false
		}
		return plainText(v), true
	}
	return "", false
}

func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return string(mustJSON(v))
}

// texts are all values of a request that a schedule may show in.
func (q *inquiry) texts() []string {
	out := []string{}
	for _, list := range q.r.URL.Query() {
		out = append(out, list...)
	}
	for _, list := range q.r.Header {
		out = append(out, list...)
	}
	if path, err := url.PathUnescape(q.r.URL.EscapedPath()); err == nil {
		out = append(out, path)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(q.body)
	if q.body == nil {
		out = append(out, string(q.raw))
	}
	return out
}

// bounds reads the window of a request.
func (q *inquiry) bounds() (start, end time.Time, text string) { //nolint:gocyclo // one case for each place of a window
	w := &q.res.window
	read := func(l locus, p *timePattern) time.Time {
		if s, ok := q.value(l); ok && p != nil {
			text += "|" + s
			if t, ok := p.parse(s); ok {
				return t
			}
		}
		return time.Time{}
	}
	if len(w.lets) > 0 {
		var seen []string
		for i := range w.lets {
			s, e, t := w.lets[i].bounds(q)
			if !s.IsZero() {
				start = s
			}
			if !e.IsZero() {
				end = e
			}
			seen = append(seen, t)
		}
		text += strings.Join(seen, "|")
		if w.start.name == "" && w.end.name == "" && len(w.advance) == 0 {
			if slices.ContainsFunc(w.lets, func(l letModel) bool { return len(l.parts) == 1 && l.parts[0].start }) && end.IsZero() && w.unitOf() > 0 && !start.IsZero() {
				end = start.Add(w.unitOf()) // the time itself names the unit that is asked for
			}
			return start, end, text
		}
	}
	if len(w.advance) == 0 {
		return read(w.start, w.startIs), read(w.end, w.endIs), text
	}
	for _, s := range q.texts() {
		for i, re := range w.advance {
			g := re.FindStringSubmatch(s)
			if g == nil {
				continue
			}
			for j, name := range w.names[i] {
				t, _ := w.startIs.parse(g[j+1])
				if name == "START_TIME" {
					start = t
				} else {
					end = t
				}
			}
			return start, end, g[0]
		}
	}
	return start, end, text
}

// within reports whether a row is in the window, as sources with half-open windows see it.
func (w *windowModel) within(at, start, end time.Time) bool {
	if w.coarse {
		unit := time.Second
		for _, p := range []*timePattern{w.startIs, w.endIs} {
			if p != nil {
				unit = max(unit, p.unit())
			}
		}
		at = at.Truncate(unit)
		return (start.IsZero() || !at.Before(start)) && (end.IsZero() || at.Before(end) || w.closed && at.Equal(end))
	}
	if w.closed {
		return (start.IsZero() || !at.Before(start)) && (end.IsZero() || !at.After(end))
	}
	return (start.IsZero() || at.After(start)) && (end.IsZero() || !at.After(end))
}

// family is the prefix of serials: the keys of the parents as the request shows them.
func (m *mirror) family(q *inquiry) string {
	out := ""
	var outSb290 strings.Builder
	for i := range q.level {
		if text, ok := m.parentOf(q, i); ok {
			outSb290.WriteString(text + "-")
		}
	}
	out += outSb290.String()
	return out
}

func (m *mirror) parentOf(q *inquiry, i int) (string, bool) {
	name := m.levels[i].as
	if text, ok := q.groups[name]; ok {
		return text, true
	}
	if l, ok := q.res.asIn[name]; ok {
		return q.value(l)
	}
	return "", false
}

// page answers the resource.
func (m *mirror) page(w http.ResponseWriter, q *inquiry, c *call) {
	v := m.view(q)
	c.page = v.id
	m.attempts[v.id]++
	f := fault{}
	if m.fault != nil && q.level == len(m.levels)-1 {
		f = m.fault(v.id, m.attempts[v.id])
	}
	c.fault = f
	body, header, kind := m.render(q, v)
	switch f.kind {
	case "status":
		c.status = f.code
		m.calls = append(m.calls, *c)
		if f.after > 0 && f.date {
			w.Header().Set("Retry-After", m.clock.read().Add(m.skew+f.after).UTC().Format(http.TimeFormat))
		} else if f.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.after/time.Second)))
		}
		refuse(w, f.code, http.StatusText(f.code))
		return
	case "drop":
		m.calls = append(m.calls, *c)
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), header)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.status = http.StatusOK
	if f.kind == "cut" {
		m.calls = append(m.calls, *c)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	c.answer, c.answerType = body, kind
	m.calls = append(m.calls, *c)
	m.given[v.id]++
	_, _ = w.Write(body)
}

// view is one page.
type view struct {
	id       string // walk and position
	walk     string
	selected []int // of rows, or of parents
	from, to int
	position string
	more     bool
}

func (m *mirror) view(q *inquiry) *view {
	v := &view{}
	start, end, text := q.bounds()
	if job := m.jobs.find(q); job != nil {
		start, end, text = job.start, job.end, job.id
	}
	v.walk = strconv.Itoa(q.level) + strings.Repeat("'", q.res.alt) + "|" + m.family(q) + "|" + text
	if q.level < len(m.levels)-1 {
		for i := range m.parents {
			v.selected = append(v.selected, i)
		}
	} else {
		for i := range m.rows {
			if !q.res.window.asked() && m.jobs == nil || q.res.window.within(m.rows[i].at, start, end) {
				v.selected = append(v.selected, i)
			}
		}
	}
	size := q.res.pageSize()
	if q.res.kind == "NONE" {
		size = len(v.selected)
	}
	v.from = min(max(m.position(q, v), 0), len(v.selected))
	if m.cycle && q.level == len(m.levels)-1 && q.res.counting() {
		v.from = 0
	}
	v.to = min(v.from+size, len(v.selected))
	v.id = v.walk + "|" + strconv.Itoa(v.from)
	if text, ok := q.value(q.res.share); ok {
		v.id += "|" + text
	}
	v.more = v.to < len(v.selected)
	if v.from < len(v.selected) && m.spare && q.res.canSpare() {
		v.more = true
	}
	return v
}

// counting reports whether the engine counts positions itself: such a source repeats itself by ignoring them.
func (r *resource) counting() bool {
	return r.kind == "OFFSET" || r.kind == "PAGE" || strings.Contains(r.nextText, "position")
}

// canSpare reports whether the last page may name another one that is empty.
func (r *resource) canSpare() bool {
	switch r.kind {
	case "CONTINUATION_TOKEN", "POINTER", "LINK":
		return true
	}
	return false
}

// pageSize is how many elements a page holds.
func (r *resource) pageSize() int {
	if r.records == "single" {
		return 1
	}
	return r.size
}

// position is the index a request asks to start at.
func (m *mirror) position(q *inquiry, v *view) int {
	if text := q.r.URL.Query().Get(pageParam); text != "" {
		n, _ := strconv.Atoi(text)
		v.position = text
		return n
	}
	text, ok := q.value(q.res.at)
	if !ok {
		return 0
	}
	v.position = text
	n, _ := strconv.Atoi(text)
	switch q.res.kind {
	case "OFFSET":
		return n
	case "PAGE":
		return (n - q.res.first) * q.res.pageSize()
	case "CONTINUATION_TOKEN", "NEXT":
		if at, ok := m.tokens[v.walk+"\x00"+text]; ok {
			return at
		}
		if g := trailingDigits.FindString(text); q.res.kind == "CONTINUATION_TOKEN" && g != "" {
			n, _ := strconv.Atoi(g)
			return n
		}
	}
	return 0
}

var trailingDigits = regexp.MustCompile(`\d+$`)

// link is the address of the page that starts at a position.
func (q *inquiry) link(at int) string {
	u := *q.r.URL
	query := u.Query()
	query.Set(pageParam, strconv.Itoa(at))
	u.RawQuery = query.Encode()
	return q.origin + u.RequestURI()
}

// steps names members from the root on.
func steps(names ...string) []rest.Step {
	out := make([]rest.Step, len(names))
	for i, n := range names {
		out[i] = rest.Step{Name: n, Kind: "name"}
	}
	return out
}
