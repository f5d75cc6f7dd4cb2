package rest

import (
	"encoding/json"
	"fmt"
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
}

// pager walks the pages of one source. Its exported fields are its position: they are all that a checkpoint stores.
type pager interface {
	// paths lists the places of an answer that turn reads.
	paths() []path
	// place puts the position into the request.
	place(r *request)
	// turn reads the answer to the request last placed and moves on; more is false when that was the last page.
	turn(a *answer) (more bool, err error)
}

// answer is what a pager sees of a page.
type answer struct {
	url      *url.URL
	status   int
	header   http.Header
	elements int // at contentPath, before explode
	values   map[string]json.RawMessage
	// warn adds a sentence to the warnings of the run.
	warn func(format string, args ...any)
}

// value is the JSON at a place a pager asked for; nil if there is none.
func (a *answer) value(p path) json.RawMessage { return a.values[p.String()] }

// pagers makes the pager of each type.
var pagers = map[string]func(*paging) pager{
	"NONE":               func(*paging) pager { return nonePager{} },
	"OFFSET":             func(c *paging) pager { return &offsetPager{c: c} },
	"POINTER":            func(c *paging) pager { return &pointerPager{c: c} },
	"CONTINUATION_TOKEN": func(c *paging) pager { return &tokenPager{c: c} },
	"PAGE":               func(c *paging) pager { return &pagePager{c: c, Page: c.first} },
}

// maxEmpty is how many empty pages in a row a token loop bears.
const maxEmpty = 1000

// parsePaging reads paginationParams. A missing object is one request; an empty one is refused with 1316.
func parsePaging(raw json.RawMessage, e *expander) (paging, error) {
	c := paging{kind: "NONE"}
	if len(raw) == 0 || string(raw) == "null" {
		return c, nil
	}
	tree, err := parseTree(raw)
	if err == nil {
		tree, err = mapStrings(tree, func(s string) (any, error) { return e.text(s), nil })
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
		endName: f.EndName, endValue: string(f.EndValue),
	}
	if c.maximum <= 0 {
		c.maximum = 10000
	}
	if f.PointerPath == "" {
		f.PointerPath = f.PointerName
	}
	return c, c.check(f.PointerPath, f.TokenPath)
}

// check demands what the type needs (1316) and reads its paths.
func (c *paging) check(pointer, token string) (err error) {
	need := func(name, value string) {
		if value == "" && err == nil {
			err = weir.Errorf("CONNECTOR-1316-400", "paginationParams of type %s needs %s", c.kind, name)
		}
	}
	switch c.kind {
	case "NONE":
	case "OFFSET":
		need("offSetName", c.offsetName)
	case "POINTER":
		need("pointerPath", pointer)
		if err == nil {
			c.pointer, err = parsePath(pointer)
		}
	case "CONTINUATION_TOKEN":
		need("continuationTokenPath", token)
		need("parameterName", c.tokenName)
		if c.tokenIn == "" {
			c.tokenIn = "QUERYPARAM"
		}
		if err == nil && c.tokenIn != "QUERYPARAM" && c.tokenIn != "HEADERPARAM" {
			err = weir.Errorf("CONNECTOR-1312-400", "parameterType %q is not QUERYPARAM or HEADERPARAM", c.tokenIn)
		}
		if err == nil {
			c.token, err = parsePath(token)
		}
	case "PAGE":
		need("pageParamName", c.pageName)
		if _, numeric := strconv.Atoi(c.end); err == nil && c.end != "" && numeric != nil && !isHeader(c.end) {
			err = weir.Errorf("CONNECTOR-1312-400", "endPageIndex %q is neither a number nor headers.<name>", c.end)
		}
	default:
		return weir.Errorf("CONNECTOR-1312-400", "pagination type %q is unknown; use one of NONE, OFFSET, POINTER, CONTINUATION_TOKEN, PAGE", c.kind)
	}
	if err == nil && c.endName != "" && !isHeader(c.endName) {
		c.endPath, err = parsePath(c.endName)
	}
	return err
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

func (c *paging) placeLimit(r *request) {
	if c.limitName != "" && c.limit > 0 {
		r.setParam(c.limitName, strconv.Itoa(c.limit))
	}
}

// nonePager is one request.
type nonePager struct{}

func (nonePager) paths() []path { return nil }

func (nonePager) place(*request) {}

func (nonePager) turn(a *answer) (bool, error) {
	if strings.Contains(strings.ReplaceAll(strings.Join(a.header.Values("Link"), ","), `"`, ""), "rel=next") {
		a.warn("pagination is NONE but the answer offers a next page in its Link header")
	}
	return false, nil
}

// offsetPager counts elements.
type offsetPager struct {
	c      *paging
	Offset int `json:"offset"`
}

func (p *offsetPager) paths() []path { return p.c.endPaths() }

func (p *offsetPager) place(r *request) {
	p.c.placeLimit(r)
	r.setParam(p.c.offsetName, strconv.Itoa(p.Offset))
}

func (p *offsetPager) turn(a *answer) (bool, error) {
	step := p.c.limit
	if step <= 0 {
		step = a.elements
	}
	p.Offset += step
	if ended, set := p.c.ended(a); set {
		return !ended && a.elements > 0, nil
	}
	return p.c.full(a.elements), nil
}

// pagePager counts pages.
type pagePager struct {
	c    *paging
	Page int `json:"page"`
	Done int `json:"requests"`
}

func (p *pagePager) paths() []path { return p.c.endPaths() }

func (p *pagePager) place(r *request) {
	p.c.placeLimit(r)
	r.setParam(p.c.pageName, strconv.Itoa(p.Page))
}

func (p *pagePager) turn(a *answer) (bool, error) {
	at := p.Page
	p.Page++
	p.Done++
	ended, set := p.c.ended(a)
	last, counted, err := p.last(a)
	switch {
	case ended || set && a.elements == 0:
		return false, nil
	case err != nil:
		return false, err
	case counted && at >= last:
		if !isHeader(p.c.end) && p.c.full(a.elements) {
			a.warn("stopped at endPageIndex %d after a full page; the source may have more", last)
		}
		return false, nil
	case !set && !p.c.full(a.elements) && (!counted || !isHeader(p.c.end) || a.elements == 0):
		return false, nil
	case p.Done >= p.c.maximum:
		a.warn("stopped after %d requests (maximumRequest) although a next page was offered; records are missing", p.Done)
		return false, nil
	}
	return true, nil
}

// last is the index of the last page, if endPageIndex tells it: a number is that index, a header holds the page count.
func (p *pagePager) last(a *answer) (last int, ok bool, err error) {
	if p.c.end == "" {
		return 0, false, nil
	}
	if !isHeader(p.c.end) {
		last, err = strconv.Atoi(p.c.end)
		return last, err == nil, err
	}
	text := strings.TrimSpace(a.header.Get(p.c.end[8:]))
	if text == "" {
		return 0, false, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, false, weir.Errorf("CONNECTOR-1308-400", "the header %s should hold the number of pages but is %q", p.c.end[8:], text)
	}
	return p.c.first + n - 1, true, nil
}

// pointerPager follows links.
type pointerPager struct {
	c    *paging
	Link string `json:"link,omitempty"`
	// Token is a value that is no link; it goes into the query under the last name of the path.
	Token string `json:"token,omitempty"`
	Seen  seen   `json:"seen"`
}

func (p *pointerPager) paths() []path { return p.c.endPaths(p.c.pointer) }

func (p *pointerPager) place(r *request) {
	if p.Link != "" {
		r.link = p.Link
		return
	}
	p.c.placeLimit(r)
	if p.Token != "" {
		r.setParam(p.c.pointer.last(), p.Token)
	}
}

func (p *pointerPager) turn(a *answer) (bool, error) {
	text, ok := scalarText(a.value(p.c.pointer))
	if !ok || text == "" || text == "false" {
		return false, nil
	}
	if ended, set := p.c.ended(a); set && ended {
		a.warn("stopped at the end condition although the answer offered a next page")
		return false, nil
	}
	link, isLink := resolve(a.url, text)
	if !isLink {
		if text == p.Token {
			return false, nil
		}
		p.Link, p.Token = "", text
	} else {
		if link == a.url.String() {
			return false, nil
		}
		p.Link, p.Token = link, ""
		text = link
	}
	if p.Seen.add(a.url.String()); p.Seen.has(text) {
		return false, weir.Errorf("CONNECTOR-1308-400", "the source's paging goes round in circles: the next page %q was read before", text)
	}
	p.Seen.add(text)
	return true, nil
}

// resolve reads a next-page value as a link: absolute, or relative to the current address. ok is false for a bare token.
func resolve(current *url.URL, text string) (link string, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return u.String(), u.Host != ""
	}
	pathLike := strings.HasPrefix(text, "/") || strings.HasPrefix(text, "?") || strings.HasPrefix(text, ".")
	if u.Scheme != "" || !pathLike && (u.RawQuery == "" || !strings.Contains(u.RawQuery, "=")) {
		return "", false
	}
	return current.ResolveReference(u).String(), true
}

// tokenPager passes a token on.
type tokenPager struct {
	c     *paging
	Token string `json:"token,omitempty"`
	Empty int    `json:"empty,omitempty"`
	Seen  seen   `json:"seen"`
}

func (p *tokenPager) paths() []path { return p.c.endPaths(p.c.token) }

func (p *tokenPager) place(r *request) {
	p.c.placeLimit(r)
	if p.Token == "" {
		return
	}
	if p.c.tokenIn == "HEADERPARAM" {
		r.setHeader(p.c.tokenName, p.Token)
	} else {
		r.setParam(p.c.tokenName, p.Token)
	}
}

func (p *tokenPager) turn(a *answer) (bool, error) {
	token := tokenText(a.value(p.c.token))
	if token == "" {
		return false, nil
	}
	if ended, set := p.c.ended(a); set && ended {
		if a.elements > 0 {
			a.warn("stopped at the end condition although the answer carried another token")
		}
		return false, nil
	}
	if a.elements == 0 {
		if token == p.Token {
			return false, nil
		}
		if p.Empty++; p.Empty >= maxEmpty {
			return false, weir.Errorf("CONNECTOR-1308-400", "the source gave %d empty pages in a row, each with a new token", p.Empty)
		}
	} else {
		p.Empty = 0
		if token == p.Token || p.Seen.has(token) {
			return false, weir.Errorf("CONNECTOR-1308-400", "the source's paging goes round in circles: it gave the token %q again, with records", shorten(token, 80))
		}
	}
	p.Token = token
	p.Seen.add(token)
	return true, nil
}

// tokenText is a token as text; objects and arrays as their JSON.
func tokenText(raw json.RawMessage) string {
	if text, ok := scalarText(raw); ok {
		return text
	}
	return string(compact(nil, raw))
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:n], ""), len(s))
}
