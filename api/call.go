package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// call is one request on its way through a handler.
type call struct {
	server  *Server
	req     *http.Request
	w       http.ResponseWriter
	service *service
	bound   *bound
	params  []string
	query   url.Values

	// Scope and SandboxID are the tenant, Actor who asks; checked by the gateway.
	Scope     weir.Scope
	SandboxID string
	Actor     weir.Actor
	RequestID string
}

func (c *call) ctx() context.Context { return c.req.Context() }

// param is a path parameter, decoded once; "" for a name the route does not have.
func (c *call) param(name string) string {
	for i, n := range c.bound.names {
		if n == name && i < len(c.params) {
			return c.params[i]
		}
	}
	return ""
}

// values are the query parameters. Pairs are split at & only (a ; belongs to its value) and at their first =.
func (c *call) values() url.Values {
	if c.query == nil {
		c.query = url.Values{}
		for pair := range strings.SplitSeq(c.req.URL.RawQuery, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if pair == "" {
				continue
			}
			c.query[unescape(name)] = append(c.query[unescape(name)], unescape(value))
		}
	}
	return c.query
}

// unescape decodes a query text; one that does not decode is taken as it is.
func unescape(s string) string {
	if v, err := url.QueryUnescape(s); err == nil {
		return v
	}
	return s
}

// arg is the first value of a query parameter, "" if it is absent or empty.
func (c *call) arg(name string) string { return c.values().Get(name) }

// flag is a boolean query parameter in any case ("True", "false"); ok is false if the text is no boolean.
func (c *call) flag(name string) (value, ok bool) {
	switch strings.ToLower(c.arg(name)) {
	case "":
		return false, true
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// stream is the request body, bounded by the route's limit (none for -1). Reading past the limit fails with *http.MaxBytesError.
func (c *call) stream() io.ReadCloser {
	limit := c.bound.limit
	switch {
	case limit < 0:
		return c.req.Body
	case limit == 0:
		limit = maxBody
	}
	return http.MaxBytesReader(c.w, c.req.Body, limit)
}

// body reads the request body as one JSON value, whatever its content type says (flow-service §1.2). The text is kept as sent.
func (c *call) body() (json.RawMessage, error) {
	raw, err := io.ReadAll(c.stream())
	if err != nil {
		if large, is := errors.AsType[*http.MaxBytesError](err); is {
			return nil, weir.Errorf(c.service.codes.tooLarge, "The body is larger than %d bytes.", large.Limit)
		}
		return nil, &weir.Error{Code: c.service.codes.badJSON, Message: "The body could not be read to its end.", Err: err}
	}
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	if len(raw) == 0 || string(raw) == "null" {
		return nil, weir.Errorf(c.service.codes.emptyBody, "The body is empty. Send a JSON document.")
	}
	if err := checkJSON(raw); err != nil {
		if c.foreignFormat() {
			return nil, &weir.Error{Code: codeMediaType, Message: "The body is not JSON. Send application/json.", Err: err}
		}
		return nil, weir.Errorf(c.service.codes.badJSON, "The body is not valid JSON: %w.", err)
	}
	return raw, nil
}

// foreignFormat reports a content type that promises neither JSON nor a form.
func (c *call) foreignFormat() bool {
	t, _, err := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	return err == nil && t != "" && !strings.Contains(t, "json") && !strings.Contains(t, "form") && t != "text/plain"
}

// object is body for requests that must send a JSON object.
func (c *call) object() (object, error) {
	raw, err := c.body()
	if err != nil {
		return nil, err
	}
	if !isObject(raw) {
		return nil, weir.Errorf(c.service.codes.badJSON, "The body must be a JSON object.")
	}
	return parseObject(raw)
}

// view runs fn in a read transaction, write in a write transaction. Write may run fn again after a serialization failure.
func (c *call) view(fn func(tx *store.Tx) error) error  { return c.server.Store.View(c.ctx(), fn) }
func (c *call) write(fn func(tx *store.Tx) error) error { return c.server.Store.Tx(c.ctx(), fn) }

// baseURL is the address clients see, for absolute links: the configured one, else what the request says.
func (c *call) baseURL() string {
	if c.server.PublicURL != "" {
		return c.server.PublicURL
	}
	h := c.req.Header
	first := func(name string) string { v, _, _ := strings.Cut(h.Get(name), ","); return strings.TrimSpace(v) }
	scheme, host := first("X-Forwarded-Proto"), first("X-Forwarded-Host")
	if scheme != "http" && scheme != "https" {
		scheme = "http"
		if c.req.TLS != nil {
			scheme = "https"
		}
	}
	if host == "" || strings.ContainsAny(host, "/\\@ ") {
		host = c.req.Host
	}
	return scheme + "://" + host
}

// reply is a success. Body is encoded as JSON unless it is []byte or json.RawMessage; nil is an empty body. Stream writes everything itself,
// status and headers of the reply having been set before.
type reply struct {
	status int // 0: 200
	header http.Header
	body   any
	stream func(w http.ResponseWriter) error
}

// ok is 200 with a JSON body.
func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// created is 201 with Location.
func created(location string, body any) reply {
	return reply{status: http.StatusCreated, body: body, header: http.Header{"Location": {location}}}
}

// noContent is 204.
func noContent() reply { return reply{status: http.StatusNoContent} }

// with sets a response header.
func (r reply) with(name, value string) reply {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}

// tagged adds the ETag header: the quoted form of a document's etag.
func (r reply) tagged(d *weir.Doc) reply { return r.with("ETag", quoted(d.ETag)) }

// quoted is an etag as the JSON members etag and version hold it, with its quotes (flow-service §2.2).
func quoted(etag string) string { return `"` + etag + `"` }

func (r reply) write(w http.ResponseWriter, req *http.Request) error {
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	maps.Copy(w.Header(), r.header)
	if r.stream != nil {
		if r.status != 0 {
			w.WriteHeader(status)
		}
		return r.stream(w)
	}
	var out []byte
	switch b := r.body.(type) {
	case nil:
	case []byte:
		out = b
	case json.RawMessage:
		out = b
	default:
		out = encode(b)
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	if w.Header().Get("Content-Type") == "" && r.body != nil {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	if req.Method == http.MethodHead {
		return nil
	}
	_, _ = w.Write(out) // the client is gone; there is nobody to tell
	return nil
}
