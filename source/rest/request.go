package rest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"weir"
)

// request is one call before it becomes HTTP: it can be cloned per page and changed by schedule, pager and
// authenticator, in that order; the last writer of a name wins.
type request struct {
	method string
	// base is the address without a query; link, if set, replaces base and query (a next-page link).
	base, link string
	query      []queryParam
	headers    []pair
	body       any            // a tree, nil for none
	kind       string         // of body: a key of bodyTypes
	typ        string         // Content-Type, "" for the usual one of kind
	marks      []pair         // values for places in the path
	rules      *extension     // how to judge the answers; nil for the contract's way
	vars       map[string]any // params and window for the rules
	// token is which of several tokens the budget chose, counted from 1; 0 leaves it to the authenticator.
	token int
	// conditional: 304 is an answer.
	conditional bool
}

// queryParam is name and value as plain text, or as they stood in the path (raw).
type queryParam struct {
	name, value string
	raw         string
}

func (r *request) clone() *request {
	c := *r
	c.query = slices.Clone(r.query)
	c.headers = slices.Clone(r.headers)
	return &c
}

// setParam sets a query parameter, replacing every one of that name.
func (r *request) setParam(name, value string) {
	r.query = slices.DeleteFunc(r.query, func(q queryParam) bool { return q.name == name })
	r.query = append(r.query, queryParam{name: name, value: value})
}

// setHeader sets a header, replacing one of that name in any case.
func (r *request) setHeader(name, value string) {
	r.headers = slices.DeleteFunc(r.headers, func(h pair) bool { return strings.EqualFold(h.name, name) })
	r.headers = append(r.headers, pair{name, value})
}

// setMember sets a member of the body, which becomes an object if there is none.
func (r *request) setMember(name string, value any) error { return r.setAt(path{{name: name}}, value) }

// setAddress splits an expanded host and path into base and query.
func (r *request) setAddress(host, path string) error {
	host = strings.TrimRight(host, "/")
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	if path != "" && path[0] != '/' && path[0] != '?' {
		path = "/" + path
	}
	base, query, _ := strings.Cut(host+path, "?")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return weir.Errorf("CONNECTOR-1312-400", "host %q and path do not make a valid http or https address", host)
	}
	u.Fragment = ""
	r.base = u.String()
	r.query = nil
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		r.query = append(r.query, queryParam{name: name, raw: strings.ReplaceAll(part, " ", "%20")})
	}
	return nil
}

// address is the full URL.
func (r *request) address() string {
	if r.link != "" {
		return r.link
	}
	var b strings.Builder
	b.WriteString(r.base)
	for i, q := range r.query {
		b.WriteByte("?&"[min(i, 1)])
		if q.raw != "" {
			b.WriteString(q.raw)
			continue
		}
		b.WriteString(queryEscape(q.name) + "=" + queryEscape(q.value))
	}
	return r.fillMarks(b.String())
}

// origin is scheme, host and port: where credentials may go.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}

// home is the origin of the source itself.
func (r *request) home() string {
	u, err := url.Parse(r.base)
	if err != nil {
		return ""
	}
	return origin(u)
}

// plainHeaders may go to any host.
var plainHeaders = map[string]bool{"Accept": true, "Accept-Language": true, "Accept-Encoding": true, "Content-Type": true, "User-Agent": true}

// build makes the HTTP request. A link that left the source's origin gets no credentials: no headers of the spec but
// harmless ones, and auth, which adds the authentication, is not asked.
func (r *request) build(ctx context.Context, auth authenticator) (*http.Request, error) {
	c := r.clone()
	var address string
	if c.link != "" {
		u, err := url.Parse(c.link)
		if err != nil {
			return nil, weir.Errorf("CONNECTOR-1308-400", "the next page link is not a valid address")
		}
		if origin(u) != r.home() {
			c.headers = slices.DeleteFunc(c.headers, func(h pair) bool { return !plainHeaders[http.CanonicalHeaderKey(h.name)] })
			auth = noAuth{}
		}
		c.query = nil // the link has its own; what auth adds is merged
	}
	if err := auth.apply(ctx, c); err != nil {
		return nil, err
	}
	if address = c.address(); c.link != "" {
		address = mergeQuery(c.link, c.query)
	}
	var body io.Reader
	var raw []byte
	if c.body != nil {
		var err error
		if raw, err = c.encode(); err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, address, body)
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the request address or method is not valid: %s %s", c.method, c.base)
	}
	if err := c.writeHeaders(req); err != nil {
		return nil, err
	}
	if signs, ok := auth.(signer); ok {
		return req, signs.sign(ctx, req, raw)
	}
	return req, nil
}

// writeHeaders sets the headers of the request and what every request has.
func (r *request) writeHeaders(req *http.Request) error {
	for _, h := range r.headers {
		if strings.ContainsAny(h.value, "\r\n\x00") || h.name == "" || strings.ContainsAny(h.name, " \r\n:\x00") {
			return weir.Errorf("CONNECTOR-1007-400", "the header %q cannot be sent: its name or value holds characters that headers may not have", h.name)
		}
		if strings.EqualFold(h.name, "Host") {
			req.Host = h.value
			continue
		}
		req.Header.Set(h.name, h.value)
	}
	usual := func(name, value string) {
		if req.Header.Get(name) == "" {
			req.Header.Set(name, value)
		}
	}
	if r.body != nil {
		if r.typ != "" {
			usual("Content-Type", r.typ)
		}
		usual("Content-Type", bodyTypes[r.kind])
	}
	usual("Accept", "application/json")
	usual("Accept-Encoding", "gzip")
	usual("User-Agent", "weir")
	return nil
}

// mergeQuery adds the parameters that link does not have (keys that travel in the query).
func mergeQuery(link string, params []queryParam) string {
	u, err := url.Parse(link)
	if err != nil || len(params) == 0 {
		return link
	}
	has := u.Query()
	for _, q := range params {
		if has.Has(q.name) {
			continue
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += queryEscape(q.name) + "=" + queryEscape(q.value)
	}
	return u.String()
}
