package rest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"weir"
)

// nonePager is one request.
type nonePager struct{ c *paging }

func (nonePager) paths() []path { return nil }

func (p nonePager) place(r *request) error { return p.c.placeLimit(r) }

func (nonePager) turn(a *answer) (bool, error) {
	if linkTo(a.header.Values("Link"), "next") != "" {
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

func (p *offsetPager) place(r *request) error {
	return p.c.placeAt(r, p.c.offsetName, json.Number(strconv.Itoa(p.Offset)))
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

func (p *pagePager) place(r *request) error {
	return p.c.placeAt(r, p.c.pageName, json.Number(strconv.Itoa(p.Page)))
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

func (p *pointerPager) place(r *request) error {
	if p.Link != "" {
		r.link = p.Link
		return nil
	}
	if err := p.c.placeLimit(r); err != nil || p.Token == "" {
		return err
	}
	r.setParam(p.c.pointer.last(), p.Token)
	return nil
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
		return true, p.Seen.step(a.url.String(), text)
	}
	if link == a.url.String() {
		return false, nil
	}
	p.Link, p.Token = link, ""
	return true, p.Seen.step(a.url.String(), link)
}

// step notes the way from one position to the next, which must be new.
func (s *seen) step(from, to string) error {
	if s.add(from); s.has(to) {
		return weir.Errorf("CONNECTOR-1308-400", "the source's paging goes round in circles: the next page %q was read before", shorten(to, 200))
	}
	s.add(to)
	return nil
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
	Token json.RawMessage `json:"token,omitempty"`
	Guard tokenGuard      `json:"guard"`
}

func (p *tokenPager) paths() []path { return p.c.endPaths(p.c.token) }

func (p *tokenPager) place(r *request) error {
	if len(p.Token) == 0 {
		return p.c.placeLimit(r)
	}
	return p.c.placeToken(r, p.Token)
}

// placeToken puts a token into the query, a header, or where the extension says; there it keeps its JSON type.
func (c *paging) placeToken(r *request, token json.RawMessage) error {
	if c.more.Inject != nil {
		v, err := parseTree(token)
		if err != nil {
			return err
		}
		return c.placeAt(r, "", v)
	}
	if err := c.placeLimit(r); err != nil {
		return err
	}
	if c.tokenIn == "HEADERPARAM" {
		r.setHeader(c.tokenName, tokenText(token))
	} else {
		r.setParam(c.tokenName, tokenText(token))
	}
	return nil
}

func (p *tokenPager) turn(a *answer) (bool, error) {
	raw := a.value(p.c.token)
	if tokenText(raw) == "" {
		return false, nil
	}
	if ended, set := p.c.ended(a); set && ended {
		if a.elements > 0 {
			a.warn("stopped at the end condition although the answer carried another token")
		}
		return false, nil
	}
	more, err := p.Guard.next(a, tokenText(p.Token), tokenText(raw))
	if more {
		p.Token = raw
	}
	return more, err
}

// tokenGuard tells the end of a token loop from a loop that never ends (ruling R33).
type tokenGuard struct {
	Empty int  `json:"empty,omitempty"`
	Seen  seen `json:"seen"`
}

// next judges the token offered after an answer to the token sent.
func (g *tokenGuard) next(a *answer, sent, offered string) (bool, error) {
	if a.elements == 0 {
		if offered == sent {
			return false, nil
		}
		if g.Empty++; g.Empty >= maxEmpty {
			return false, weir.Errorf("CONNECTOR-1308-400", "the source gave %d empty pages in a row, each with a new token", g.Empty)
		}
	} else {
		g.Empty = 0
		if offered == sent || g.Seen.has(offered) {
			return false, weir.Errorf("CONNECTOR-1308-400", "the source's paging goes round in circles: it gave the token %q again, with records", shorten(offered, 80))
		}
	}
	g.Seen.add(offered)
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

// linkPager follows the Link header (RFC 8288).
type linkPager struct {
	c    *paging
	Link string `json:"link,omitempty"`
	Seen seen   `json:"seen"`
}

func (p *linkPager) paths() []path { return nil }

func (p *linkPager) place(r *request) error {
	if p.Link != "" {
		r.link = p.Link
		return nil
	}
	return p.c.placeLimit(r)
}

func (p *linkPager) turn(a *answer) (bool, error) {
	rel := p.c.more.Rel
	if rel == "" {
		rel = "next"
	}
	text := linkTo(a.header.Values("Link"), rel)
	if text == "" {
		return false, nil
	}
	u, err := a.url.Parse(text)
	if err != nil {
		return false, weir.Errorf("CONNECTOR-1308-400", "the Link header holds %q, which is not an address", shorten(text, 200))
	}
	if u.String() == a.url.String() {
		return false, nil
	}
	p.Link = u.String()
	return true, p.Seen.step(a.url.String(), p.Link)
}

// linkTo finds the target of a relation in Link headers: several links a header, several relations a link, quoted or
// not, commas inside addresses and quotes.
func linkTo(headers []string, rel string) string {
	for _, h := range headers {
		for h != "" {
			start := strings.IndexByte(h, '<')
			if start < 0 {
				break
			}
			end := strings.IndexByte(h[start:], '>')
			if end < 0 {
				break
			}
			target := h[start+1 : start+end]
			rest := h[start+end+1:]
			stop := linkEnd(rest)
			if hasRel(rest[:stop], rel) {
				return strings.TrimSpace(target)
			}
			h = rest[stop:]
		}
	}
	return ""
}

// linkEnd is where the parameters of one link end: at a comma outside quotes.
func linkEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

func hasRel(parameters, rel string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for r := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(r, rel) {
				return true
			}
		}
	}
	return false
}

// nextPager asks an expression for the next position: a token to put somewhere, an address, or a path of the source.
type nextPager struct {
	c     *paging
	Value json.RawMessage `json:"value,omitempty"`
	Link  string          `json:"link,omitempty"`
	Guard tokenGuard      `json:"guard"`
}

func (p *nextPager) paths() []path { return nil }

func (p *nextPager) place(r *request) error {
	switch {
	case p.Link != "":
		r.link = p.Link
		return nil
	case len(p.Value) > 0:
		return p.c.placeToken(r, p.Value)
	case len(p.c.more.First) > 0:
		return p.c.placeToken(r, p.c.more.First)
	}
	return p.c.placeLimit(r)
}

func (p *nextPager) turn(a *answer) (bool, error) {
	vars := a.vars()
	if vars["position"] = toCEL(p.Value); len(p.Value) == 0 {
		vars["position"] = toCEL(p.c.more.First)
	}
	v, err := p.c.more.next.eval(vars)
	if err != nil || v == nil || v == "" || v == false {
		return false, err
	}
	raw, err := plainJSON(v)
	if err != nil {
		return false, err
	}
	text := tokenText(raw)
	switch p.c.more.Is {
	case "url":
		u, err := a.url.Parse(text)
		if err != nil || u.Host == "" {
			return false, weir.Errorf("CONNECTOR-1308-400", "paging.next gave %q, which is not an address", shorten(text, 200))
		}
		text = u.String()
	case "path":
		u := &url.URL{Scheme: a.url.Scheme, Host: a.url.Host}
		ref, err := url.Parse("/" + strings.TrimLeft(text, "/"))
		if err != nil {
			return false, weir.Errorf("CONNECTOR-1308-400", "paging.next gave %q, which is not a path", shorten(text, 200))
		}
		text = u.ResolveReference(ref).String()
	default:
		more, err := p.Guard.next(a, tokenText(p.Value), text)
		if more {
			p.Value = raw
		}
		return more, err
	}
	if text == a.url.String() {
		return false, nil
	}
	p.Link = text
	return true, p.Guard.Seen.step(a.url.String(), text)
}
