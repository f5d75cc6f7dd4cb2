package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir"
)

// paging is paginationParams (contract flow-service §6.7), both dialects.
type paging struct {
	kind       string // key of pagers
	limitName  string
	limit      int // 0: unknown
	offsetName string
	pointer    path
	token      path
	tokenName  string
	tokenIn    string // QUERYPARAM, HEADERPARAM
	delay      time.Duration
	pageName   string
	first      int
	end        string // a number or headers.<name>; "" for none
	maximum    int
	endName    string // path or headers.<name>
	endPath    path
	endValue   string
	more       *pagingRules // the extension's rules; never nil
}

// pager walks the pages of one source. Its exported fields are its position: they are all that a checkpoint stores.
type pager interface {
	// paths lists the places of an answer that turn reads.
	paths() []path
	// place puts the position into the request.
	place(r *request) error
	// turn reads the answer to the request last placed and moves on; more is false when that was the last page.
	turn(a *answer) (more bool, err error)
}

// answer is what a pager sees of a page.
type answer struct {
	url      *url.URL
	status   int
	header   http.Header
	elements int   // at contentPath, before explode
	total    int64 // elements of this walk so far, this page's included
	requests int   // pages of this walk so far, this one included
	values   map[string]json.RawMessage
	first    json.RawMessage // of the elements, when an expression asks
	last     json.RawMessage
	text     string         // of a refusal
	base     map[string]any // params and window for expressions
	// warn adds a sentence to the warnings of the run.
	warn func(format string, args ...any)
}

// value is the JSON at a place a pager asked for; nil if there is none.
func (a *answer) value(p path) json.RawMessage { return a.values[p.String()] }

// pagers makes the pager of each type.
var pagers = map[string]func(*paging) pager{
	"NONE":               func(c *paging) pager { return nonePager{c} },
	"OFFSET":             func(c *paging) pager { return &offsetPager{c: c} },
	"POINTER":            func(c *paging) pager { return &pointerPager{c: c} },
	"CONTINUATION_TOKEN": func(c *paging) pager { return &tokenPager{c: c} },
	"PAGE":               func(c *paging) pager { return &pagePager{c: c, Page: c.first} },
	"LINK":               func(c *paging) pager { return &linkPager{c: c} },
	"NEXT":               func(c *paging) pager { return &nextPager{c: c} },
}

// maxEmpty is how many empty pages in a row a token loop bears.
const maxEmpty = 1000

// pagingNumbers are the members of paginationParams that are numbers.
var pagingNumbers = map[string]bool{"limitValue": true, "delayRequestMillis": true, "initialPageIndex": true, "maximumRequest": true}

// parsePaging reads paginationParams and the extension's paging. Without both it is one request; an empty
// paginationParams is refused with 1316.
func parsePaging(raw json.RawMessage, more *pagingRules, e *expander) (paging, error) { //nolint:gocyclo // one case for each member of paging
	if more == nil {
		more = &pagingRules{}
	}
	c := paging{kind: "NONE", more: more, maximum: more.Maximum, delay: time.Duration(more.Delay) * time.Millisecond}
	if more.Type != "" {
		c.kind = more.Type
	}
	if len(raw) == 0 || string(raw) == "null" || more.Type != "" {
		return c, nil
	}
	tree, err := parseTree(raw)
	if err == nil {
		tree, err = mapStrings(tree, func(s string) (any, error) { return e.text(s), nil })
	}
	if o, ok := tree.(*object); ok && len(e.missing) > 0 { // a number that a parameter will give
		for i, v := range o.values {
			if text, ok := v.(string); ok && strings.HasPrefix(text, "${") && pagingNumbers[o.names[i]] {
				o.values[i] = json.Number("1")
			}
		}
	}
	if err == nil {
		raw, err = plainJSON(tree)
	}
	var f struct {
		Type           string    `json:"type"`
		PaginationType string    `json:"paginationType"`
		LimitName      string    `json:"limitName"`
		LimitValue     weir.Int  `json:"limitValue"`
		OffsetName     string    `json:"offSetName"`
		PointerPath    string    `json:"pointerPath"`
		PointerName    string    `json:"pointerName"`
		TokenPath      string    `json:"continuationTokenPath"`
		ParameterType  string    `json:"parameterType"`
		ParameterName  string    `json:"parameterName"`
		Delay          weir.Int  `json:"delayRequestMillis"`
		PageName       string    `json:"pageParamName"`
		First          weir.Int  `json:"initialPageIndex"`
		End            weir.Text `json:"endPageIndex"`
		Maximum        weir.Int  `json:"maximumRequest"`
		EndName        string    `json:"endConditionName"`
		EndValue       weir.Text `json:"endConditionValue"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return c, weir.Errorf("CONNECTOR-1312-400", "paginationParams cannot be read: %w", err)
	}
	kind := strings.ToUpper(strings.TrimSpace(f.Type + f.PaginationType))
	if f.Type != "" {
		kind = strings.ToUpper(strings.TrimSpace(f.Type))
	}
	if kind == "" {
		return c, weir.Errorf("CONNECTOR-1316-400", "paginationParams has no type; use one of NONE, OFFSET, POINTER, CONTINUATION_TOKEN, PAGE")
	}
	c = paging{
		kind: kind, limitName: f.LimitName, limit: int(f.LimitValue.Value), offsetName: f.OffsetName,
		tokenName: f.ParameterName, tokenIn: strings.ToUpper(f.ParameterType), delay: time.Duration(f.Delay.Value) * time.Millisecond,
		pageName: f.PageName, first: int(f.First.Value), end: string(f.End), maximum: int(f.Maximum.Value),
		endName: f.EndName, endValue: string(f.EndValue), more: more,
	}
	switch {
	case more.Maximum > 0:
		c.maximum = more.Maximum
	case c.kind == "PAGE" && c.maximum <= 0:
		c.maximum = 10000
	case c.kind != "PAGE":
		c.maximum = 0 // only PAGE has a cap in the contract
	}
	if more.Delay > 0 {
		c.delay = time.Duration(more.Delay) * time.Millisecond
	}
	if f.PointerPath == "" {
		f.PointerPath = f.PointerName
	}
	return c, c.check(f.PointerPath, f.TokenPath)
}

// check demands what the type needs (1316) and reads its paths.
func (c *paging) check(pointer, token string) (err error) {
	type field struct{ name, value string }
	position := c.more.Inject == nil // else the extension says where the position goes
	var needs []field
	switch c.kind {
	case "NONE":
	case "OFFSET":
		needs = []field{{"offSetName", c.offsetName}}
	case "POINTER":
		needs, position = []field{{"pointerPath", pointer}}, true
		c.pointer, err = parsePath(pointer)
	case "CONTINUATION_TOKEN":
		needs = []field{{"continuationTokenPath", token}, {"parameterName", c.tokenName}}
		if c.token, err = parsePath(token); err == nil {
			err = c.checkToken()
		}
	case "PAGE":
		needs = []field{{"pageParamName", c.pageName}}
		err = c.checkEnd()
	default:
		return weir.Errorf("CONNECTOR-1312-400", "pagination type %q is unknown; use one of NONE, OFFSET, POINTER, CONTINUATION_TOKEN, PAGE", c.kind)
	}
	for i, f := range needs {
		if last := i == len(needs)-1; f.value == "" && (position || !last) {
			return weir.Errorf("CONNECTOR-1316-400", "paginationParams of type %s needs %s", c.kind, f.name)
		}
	}
	if err == nil && c.endName != "" && !isHeader(c.endName) {
		c.endPath, err = parsePath(c.endName)
	}
	return err
}

func (c *paging) checkToken() error {
	if c.tokenIn == "" {
		c.tokenIn = "QUERYPARAM"
	}
	return weirIf(c.tokenIn != "QUERYPARAM" && c.tokenIn != "HEADERPARAM", "parameterType %q is not QUERYPARAM or HEADERPARAM", c.tokenIn)
}

func (c *paging) checkEnd() error {
	_, err := strconv.Atoi(c.end)
	return weirIf(c.end != "" && err != nil && !isHeader(c.end), "endPageIndex %q is neither a number nor headers.<name>", c.end)
}

// weirIf is 1312 if something is wrong.
func weirIf(wrong bool, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return weir.Errorf("CONNECTOR-1312-400", format, args...)
}

func isHeader(s string) bool { return len(s) > 8 && strings.EqualFold(s[:8], "headers.") }

// full reports whether a page of n elements may be followed by another one.
func (c *paging) full(n int) bool { return n > 0 && n >= c.limit }

// endPaths is the place of the end condition, if the body holds it.
func (c *paging) endPaths(more ...path) []path {
	if c.endPath != nil {
		return append(more, c.endPath)
	}
	return more
}

// ended evaluates the end condition; set is false when there is none. Values are Const:v, Empty, NonExist, Exist or the bare constant.
func (c *paging) ended(a *answer) (ended, set bool) {
	if c.endName == "" {
		return false, false
	}
	var text string
	var there bool
	if isHeader(c.endName) {
		values := a.header.Values(c.endName[8:])
		there = len(values) > 0
		if there {
			text = values[0]
		}
	} else {
		raw := a.value(c.endPath)
		there = len(raw) > 0 && string(raw) != "null"
		text = paramText(raw)
	}
	word, constant, isConst := strings.Cut(c.endValue, ":")
	switch {
	case isConst && strings.EqualFold(word, "Const"):
		return there && text == strings.TrimSpace(constant), true
	case strings.EqualFold(c.endValue, "Empty"):
		return !there || text == "" || text == "[]" || text == "{}", true
	case strings.EqualFold(c.endValue, "NonExist"):
		return !there, true
	case strings.EqualFold(c.endValue, "Exist"):
		return there, true
	}
	return there && text == c.endValue, true
}

// placeLimit asks for the page size.
func (c *paging) placeLimit(r *request) error {
	if l := c.more.Limit; l != nil {
		return r.inject(&l.inject, json.Number(strconv.Itoa(l.Value)))
	}
	if c.limitName != "" && c.limit > 0 {
		r.setParam(c.limitName, strconv.Itoa(c.limit))
	}
	return nil
}

// placeAt puts the position where the extension says, else into the named query parameter.
func (c *paging) placeAt(r *request, name string, v any) error {
	if err := c.placeLimit(r); err != nil {
		return err
	}
	if c.more.Inject != nil {
		return r.inject(c.more.Inject, v)
	}
	text, _ := treeText(v)
	r.setParam(name, text)
	return nil
}

// paths lists what the extension's rules read.
func (c *paging) rulePaths(more []path) []path {
	for _, p := range []*place{c.more.hasMore, c.more.total} {
		if p != nil && p.path != nil {
			more = append(more, p.path)
		}
	}
	for _, x := range []*expression{c.more.next, c.more.stop} {
		if x != nil {
			more = append(more, x.pages...)
		}
	}
	return more
}

// decide applies the extension's stop rules to what the pager says: a stop expression, has-more, a total and an empty
// page. has-more and total overrule a short page; missing ones leave it to the pager.
func (c *paging) decide(a *answer, more bool) (bool, error) {
	m := c.more
	if m.stop != nil {
		stop, err := m.stop.truth(a.vars())
		if err != nil || stop {
			return false, err
		}
	}
	counted := c.kind == "OFFSET" || c.kind == "PAGE" // these can always go on; the others need an offer
	if goes, ok := m.flag(a); ok {
		more = goes && (more || counted && a.elements > 0)
	}
	if goes, ok := m.below(a); ok {
		more = goes && (more || counted && (a.elements > 0 || m.Counts == "pages"))
	}
	return more && (!m.Empty || a.elements > 0) && !c.capped(a), nil
}

// capped reports whether the extension's maximum is reached; PAGE looks after its own.
func (c *paging) capped(a *answer) bool {
	if c.kind == "PAGE" || c.maximum <= 0 || a.requests < c.maximum {
		return false
	}
	a.warn("stopped after %d requests (maximum) although a next page was offered; records are missing", a.requests)
	return true
}

// flag reads hasMore; ok is false when the answer does not have it.
func (m *pagingRules) flag(a *answer) (goes, ok bool) {
	if m.hasMore == nil {
		return false, false
	}
	text, ok := m.hasMore.text(a)
	return truthy(text), ok
}

// below reports whether less than the total was read; ok is false when the answer does not tell one.
func (m *pagingRules) below(a *answer) (goes, ok bool) {
	if m.total == nil {
		return false, false
	}
	text, ok := m.total.text(a)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return false, false
	}
	if m.Counts == "pages" {
		return int64(a.requests) < n, true
	}
	return a.total < n, true
}

func truthy(text string) bool {
	switch strings.ToLower(text) {
	case "", "false", "0", "null", "no", "[]", "{}":
		return false
	}
	return true
}

// vars are the names of an answer for expressions.
func (a *answer) vars() map[string]any {
	headers := map[string]any{}
	for name, v := range a.header {
		headers[strings.ToLower(name)] = strings.Join(v, ", ")
	}
	var page any = map[string]any{}
	for text, raw := range a.values {
		if p, err := parsePath(text); err == nil && len(raw) > 0 {
			page = nest(page, p, toCEL(raw))
		}
	}
	out := map[string]any{
		"page": page, "headers": headers, "status": int64(a.status), "url": "", "elements": int64(a.elements), "records": a.total,
		"requests": int64(a.requests), "first": toCEL(a.first), "last": toCEL(a.last), "position": nil, "none": nil, "text": a.text,
	}
	if a.url != nil {
		out["url"] = a.url.String()
	}
	maps.Copy(out, a.base)
	return out
}
