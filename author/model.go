package author

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/source/rest"
)

// resource is what one request definition says of the answers that are expected to it: the other side of a spec.
type resource struct {
	method  string
	path    *regexp.Regexp // with one group per open name
	open    []string       // names of the groups
	literal int            // characters of the path that are not open: the most particular resource answers

	content  []rest.Step // of the array
	wrapper  string      // "" for unwrapped records
	explode  []rest.Step // of the inner array, from the element on
	decode   []string
	charset  string
	csv      *node
	records  string // array, single, keyed
	kind     string // of paging
	at       locus  // where the position is sent
	first    int    // of PAGE; of NEXT the first position, if it is a number
	firstRaw json.RawMessage
	size     int // of a page
	fixed    bool
	cap      int // pages that are read at most, 0 for any number

	token           []rest.Step
	next, stop      *rest.Expression
	nextText        string
	nextIs          string
	endName, endVal string
	hasMore, total  string
	counts          string
	endPages        string // header with the number of pages
	emptyEnds       bool
	keep            bool
	split           int

	window windowModel
	key    []rest.Step // what the level below wants of the records
	kept   [][]rest.Step
	values []json.RawMessage // of a level that is a list
	as     string
	asIn   map[string]locus // where parents' values show besides the path
	fields map[string]any
	posts  bool // a body is sent

	alts   []*resource // other kinds of parents, or the same records asked for in another way
	alt    int         // which of them this is
	group  int         // parents asked for at once
	lift   []rest.Step // where the record stands that takes the place of the whole
	newest bool        // the newest records come first
	link   bool        // the address of the result comes from a job
	share  locus       // where the fields of a share are named; its records have a key
	id     []rest.Step
}

// windowModel says where the bounds of a window show in a request.
type windowModel struct {
	start, end     locus
	startIs, endIs *timePattern
	advance        []*regexp.Regexp // incremental, backfill
	names          [][]string       // of the groups of each
	closed         bool
	step           string
	base           string
	align          string
	lookback       string
	delay          string
	lets           []letModel
	field          []rest.Step
	fieldFormat    string
	filter         bool
	coarse         bool
}

func (w *windowModel) asked() bool {
	return w.start.name != "" || w.end.name != "" || len(w.advance) > 0 || len(w.lets) > 0
}

// locus is a place in a request.
type locus struct {
	in   string // query, header, body, path, link
	name string
	path []rest.Step
}

// expander fills placeholders with the values that a proof uses.
type filler struct{ values map[string]string }

var openName = regexp.MustCompile(`\$\{([^{}]*)\}|\{\{\s*([^{}]*?)\s*\}\}`)

func (f *filler) text(s string) string {
	return openName.ReplaceAllStringFunc(s, func(m string) string {
		g := openName.FindStringSubmatch(m)
		if v, ok := f.values[g[1]+g[2]]; ok {
			return v
		}
		return m
	})
}

// readResource reads a request definition.
func readResource(raw json.RawMessage, f *filler, open []string) (*resource, error) {
	a, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	r := &resource{method: strings.ToUpper(strings.TrimSpace(a.str("urlParams", "method"))), fields: map[string]any{}}
	if r.method == "" {
		r.method = "GET"
	}
	w := a.get("weir")
	r.readPath(f.text(a.str("urlParams", "path")), open)
	steps := []func() error{
		func() error { return r.readContent(a, w, f) },
		func() error { return r.readPaging(a, w, f) },
		func() error { return r.readWindow(a, w, f) },
		func() error { return r.readRecords(w) },
		func() error { return r.readPrepare(w) },
		func() error { return r.readLets(a, w) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	r.posts = w.get("body") != nil || r.method == "POST"
	return r, nil
}

// readPath makes the pattern of the path: what a parent or the pager fills is open.
func (r *resource) readPath(path string, open []string) {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "@{")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	var b strings.Builder
	b.WriteString("^")
	for path != "" {
		m := openName.FindStringSubmatchIndex(path)
		if m == nil {
			break
		}
		g := openName.FindStringSubmatch(path)
		b.WriteString(regexp.QuoteMeta(path[:m[0]]))
		r.literal += m[0]
		if name := g[1] + g[2]; slices.Contains(open, name) {
			r.open = append(r.open, name)
			b.WriteString("([^/]*)")
		} else {
			b.WriteString("[^/]*")
		}
		path = path[m[1]:]
	}
	r.literal += len(path)
	b.WriteString(regexp.QuoteMeta(path) + "/?$")
	r.path = regexp.MustCompile(b.String())
}

func (r *resource) readContent(a, w *node, f *filler) (err error) {
	c := a.get("contentPath")
	text := c.text()
	if c.isObject() {
		text = c.str("path")
	}
	if r.content, err = rest.ParsePath(f.text(text)); err != nil {
		return err
	}
	for n := len(r.content); n > 0 && r.content[n-1].Kind == "each"; n-- {
		r.content = r.content[:n-1]
	}
	if n := len(r.content); c.isObject() && n > 0 && r.content[n-1].Kind == "name" {
		if r.wrapper = c.str("overrideWrapperAttribute"); r.wrapper == "" {
			r.wrapper = r.content[n-1].Name
		}
	}
	x := a.get("explodeEntityPath")
	text = x.text()
	if x.isObject() {
		text = x.str("path")
	}
	if r.explode, err = rest.ParsePath(f.text(text)); err != nil {
		return err
	}
	r.explode = r.inner(r.explode)
	answer := w.get("answer")
	for _, d := range answer.get("decode").list() {
		r.decode = append(r.decode, d.text())
	}
	r.charset, r.csv, r.records = answer.str("encoding"), answer.get("csv"), answer.str("records")
	return nil
}

// inner is a path of the record as a path of the element.
func (r *resource) inner(p []rest.Step) []rest.Step {
	if r.wrapper != "" && len(p) > 0 && p[0].Kind == "name" && p[0].Name == r.wrapper {
		return p[1:]
	}
	return p
}

// format is the last layer of the answer.
func (r *resource) format() string {
	if n := len(r.decode); n > 0 && slices.Contains([]string{"ndjson", "csv", "xml", "lines"}, r.decode[n-1]) {
		return r.decode[n-1]
	}
	return "json"
}

func (r *resource) readPaging(a, w *node, f *filler) error {
	p, x := a.get("paginationParams"), w.get("paging")
	r.kind = "NONE"
	if t := p.str("type") + p.str("paginationType"); t != "" {
		r.kind = strings.ToUpper(t)
	}
	if t := x.str("type"); t != "" {
		r.kind = t
	}
	value := func(name string) string { return f.text(p.str(name)) }
	var err error
	switch r.kind {
	case "OFFSET":
		name := value("offSetName")
		if name == "" {
			name = value("offsetName")
		}
		r.at = locus{in: "query", name: name}
	case "PAGE":
		r.at = locus{in: "query", name: value("pageParamName")}
		r.first, _ = strconv.Atoi(value("initialPageIndex"))
		r.pageEnd(value("endPageIndex"))
		if n, _ := strconv.Atoi(value("maximumRequest")); n > 0 {
			r.capAt(n)
		}
	case "CONTINUATION_TOKEN":
		r.at = locus{in: "query", name: value("parameterName")}
		if strings.EqualFold(value("parameterType"), "HEADERPARAM") {
			r.at.in = "header"
		}
		r.token, err = rest.ParsePath(value("continuationTokenPath"))
	case "POINTER":
		path := value("pointerPath")
		if path == "" {
			path = value("pointerName")
		}
		r.token, err = rest.ParsePath(path)
	}
	if err != nil {
		return err
	}
	r.size, _ = strconv.Atoi(value("limitValue"))
	r.endName, r.endVal = value("endConditionName"), value("endConditionValue")
	if r.endName == "" || x.str("type") != "" {
		r.endName = ""
	}
	return r.readRules(x)
}

func (r *resource) capAt(n int) {
	if r.cap == 0 || n < r.cap {
		r.cap = n
	}
}

// pageEnd reads endPageIndex: the last index, or the header with the number of pages.
func (r *resource) pageEnd(end string) {
	if n, err := strconv.Atoi(end); err == nil {
		r.capAt(n - r.first + 1)
	} else if len(end) > 8 && strings.EqualFold(end[:8], "headers.") {
		r.endPages = end[8:]
	}
}

// readRules reads the extension's paging.
func (r *resource) readRules(x *node) (err error) {
	if l := x.get("limit"); l != nil {
		r.size, _ = strconv.Atoi(l.str("value"))
	}
	if in := x.get("inject"); in != nil {
		if r.at, err = readLocus(in); err != nil {
			return err
		}
	}
	r.hasMore, r.total, r.counts = x.str("hasMore"), x.str("total"), x.str("counts")
	r.emptyEnds, r.keep = x.str("empty") == "true", x.str("keep") == "true"
	if n, _ := strconv.Atoi(x.str("maximum")); n > 0 {
		r.capAt(n)
	}
	if s := x.str("stop"); s != "" {
		r.newest = strings.Contains(s, "window.start")
		if r.stop, err = rest.ParseExpression(s, false); err != nil {
			return err
		}
	}
	if r.kind == "NEXT" {
		r.nextText, r.nextIs = x.str("next"), x.str("is")
		if r.next, err = rest.ParseExpression(r.nextText, false); err != nil {
			return err
		}
		if v := x.get("first"); v != nil {
			r.firstRaw = v.json()
		}
	}
	r.fixed = r.kind == "OFFSET" || r.kind == "PAGE" || strings.Contains(r.nextText, "elements") || strings.Contains(r.nextText, "position")
	if r.size <= 0 {
		r.size = 20
	}
	if n, _ := strconv.Atoi(constantNear(r.nextText)); n > 0 && r.fixed {
		r.size = n
	}
	return nil
}

// constantNear is the number that an expression compares elements with, "" for none.
func constantNear(text string) string {
	if m := elementsNear.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

var elementsNear = regexp.MustCompile(`elements\s*(?:<|<=|==|!=|>=|>)\s*(\d{2,})`)

func readLocus(in *node) (locus, error) {
	for _, place := range []string{"query", "header", "path"} {
		if s := in.str(place); s != "" {
			return locus{in: place, name: s}, nil
		}
	}
	p, err := rest.ParsePath(in.str("body"))
	return locus{in: "body", name: in.str("body"), path: p}, err
}

// readWindow finds where the bounds of a window show.
func (r *resource) readWindow(a, w *node, f *filler) (err error) {
	s, c, m := a.get("scheduleParams"), w.get("cursor"), &r.window
	place := "query"
	if r.method == "POST" {
		place = "body"
	}
	named := func(name string) locus {
		l := locus{in: place, name: name}
		if place == "body" {
			l.path = []rest.Step{{Name: name, Kind: "name"}}
		}
		return l
	}
	if strings.EqualFold(s.str("type"), "ADVANCE") {
		m.readAdvance(s)
	} else if n := s.str("scheduleStartParamName"); n != "" {
		m.start, m.startIs = named(n), newTimePattern(s.str("scheduleStartParamFormat"))
	}
	if n := s.str("scheduleEndParamName"); n != "" && len(m.advance) == 0 {
		m.end, m.endIs = named(n), newTimePattern(s.str("scheduleEndParamFormat"))
	}
	m.step, m.base, m.align, m.lookback, m.delay = c.str("step"), c.str("start"), c.str("align"), c.str("lookback"), c.str("delay")
	m.filter, m.fieldFormat = c.str("filter") == "true", c.str("format")
	if m.field, err = rest.ParsePath(c.str("field")); err != nil {
		return err
	}
	m.field = r.inner(m.field)
	if in := c.get("inject"); in != nil {
		format := newTimePattern(in.str("format"))
		if l := in.get("start"); l != nil {
			if m.start, err = readLocus(l); err != nil {
				return err
			}
			m.startIs = format
		}
		if l := in.get("end"); l != nil {
			if m.end, err = readLocus(l); err != nil {
				return err
			}
			m.endIs = format
		}
		m.closed = in.str("closed") != ""
	}
	for _, p := range []*timePattern{m.startIs, m.endIs} {
		m.coarse = m.coarse || p != nil && p.coarse()
	}
	r.split, _ = strconv.Atoi(w.str("split", "above"))
	_ = f
	return nil
}

// readAdvance turns the texts of an ADVANCE schedule into patterns.
func (w *windowModel) readAdvance(s *node) {
	p := newTimePattern(s.str("paramFormat"))
	w.startIs, w.endIs = p, p
	for _, text := range []string{s.str("incremental"), s.str("backfill")} {
		if !strings.Contains(text, "{START_TIME}") && !strings.Contains(text, "{END_TIME}") {
			continue
		}
		var names []string
		var b strings.Builder
		for {
			i := strings.Index(text, "{START_TIME}")
			j := strings.Index(text, "{END_TIME}")
			if i < 0 && j < 0 {
				break
			}
			name, at := "{START_TIME}", i
			if i < 0 || j >= 0 && j < i {
				name, at = "{END_TIME}", j
			}
			names = append(names, strings.Trim(name, "{}"))
			b.WriteString(regexp.QuoteMeta(text[:at]) + "(" + p.pattern() + ")")
			text = text[at+len(name):]
		}
		w.advance = append(w.advance, regexp.MustCompile(b.String()+regexp.QuoteMeta(text)))
		w.names = append(w.names, names)
	}
}

var recordField = regexp.MustCompile(`\brecord((?:\.[A-Za-z_]\w*|\['[^']+'\])+)`)

// readRecords finds values of the fields that filter and deleted ask for, so that every record stays and none is deleted.
func (r *resource) readRecords(w *node) error {
	for _, c := range []struct {
		text string
		want bool
	}{{w.str("filter"), true}, {w.str("deleted"), false}} {
		if c.text == "" {
			continue
		}
		x, err := rest.ParseExpression(c.text, true)
		if err != nil {
			return err
		}
		var paths []string
		for _, m := range recordField.FindAllStringSubmatch(c.text, -1) {
			if p := "$" + m[1]; !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
		found, err := search(paths, literals(c.text), func(tree map[string]any) bool {
			v, err := x.Eval(map[string]json.RawMessage{"record": mustJSON(tree)})
			return err == nil && (string(v) == "true") == c.want
		})
		if err != nil {
			return err
		}
		if found == nil && c.want {
			return weir.Errorf("CONNECTOR-1312-400", "no record could be made that meets the filter %q", c.text)
		}
		for p, v := range found {
			steps, err := rest.ParsePath(p)
			if err != nil {
				return err
			}
			if steps = r.inner(steps); len(steps) == 1 && v != nil {
				r.fields[steps[0].Name] = v
			} else if len(steps) > 1 && v != nil {
				r.fields = setIn(r.fields, steps, v).(map[string]any) //nolint:forcetypeassert // a path of names
			}
		}
	}
	return nil
}

var literal = regexp.MustCompile(`'([^']*)'|"([^"]*)"|\b(\d+)\b`)

// literals are the constants of an expression: what its fields may have to be.
func literals(text string) []any {
	out := []any{nil, true, false, "other"}
	for _, m := range literal.FindAllStringSubmatch(text, 12) {
		if m[3] != "" {
			n, err := strconv.ParseInt(m[3], 10, 64)
			if err == nil {
				out = append(out, n, n-1, n+1)
			}
			continue
		}
		out = append(out, m[1]+m[2])
	}
	return out
}

// search tries values for paths until ok; nil if there are none.
func search(paths []string, values []any, ok func(tree map[string]any) bool) (map[string]any, error) {
	if len(paths) > 4 {
		return nil, fmt.Errorf("an expression over %d members is too much to find values for", len(paths))
	}
	steps := make([][]rest.Step, len(paths))
	for i, p := range paths {
		var err error
		if steps[i], err = rest.ParsePath(p); err != nil {
			return nil, err
		}
	}
	pick := make([]int, len(paths))
	for {
		tree := any(map[string]any{})
		found := map[string]any{}
		for i := range paths {
			if v := values[pick[i]]; v != nil {
				tree = setIn(tree, steps[i], v)
				found[paths[i]] = v
			}
		}
		if m, isMap := tree.(map[string]any); isMap && ok(m) {
			return found, nil
		}
		i := 0
		for ; i < len(pick); i++ {
			if pick[i]++; pick[i] < len(values) {
				break
			}
			pick[i] = 0
		}
		if i == len(pick) {
			return nil, nil //nolint:nilnil // none
		}
	}
}

func mustJSON(v any) json.RawMessage {
	raw, err := marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// setIn puts a value at a path of a tree and returns the tree.
func setIn(tree any, p []rest.Step, v any) any {
	if len(p) == 0 {
		return v
	}
	if p[0].Kind != "name" {
		list, _ := tree.([]any)
		for len(list) <= p[0].Index {
			list = append(list, map[string]any{})
		}
		list[p[0].Index] = setIn(list[p[0].Index], p[1:], v)
		return list
	}
	m, ok := tree.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	m[p[0].Name] = setIn(m[p[0].Name], p[1:], v)
	return m
}

// getIn is the value at a path of a tree, nil for none.
func getIn(tree any, p []rest.Step) any {
	for _, st := range p {
		switch t := tree.(type) {
		case map[string]any:
			tree = t[st.Name]
		case []any:
			if st.Index >= len(t) {
				return nil
			}
			tree = t[st.Index]
		default:
			return nil
		}
	}
	return tree
}
