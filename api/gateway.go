package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"weir"
	"weir/store"
)

// ServeHTTP answers one request: route, identity, handler, answer, log line. It never redirects (flow-service R31): clients repeat a
// redirected call without its body or headers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	c := &call{server: s, req: r, w: w, RequestID: requestID(r.Header.Get("x-request-id"))}
	defer func() { s.done(c, rec, time.Since(start)) }()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the documented sentinel is compared by identity
				panic(p)
			}
			s.fail(rec, c, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	w.Header().Set("X-Request-Id", c.RequestID)
	rep, err := s.answer(c)
	if err == nil {
		err = rep.write(rec, r)
	}
	if err != nil {
		s.fail(rec, c, err)
	}
}

// answer finds the route, checks who is calling and runs the handler.
func (s *Server) answer(c *call) (reply, error) {
	methods, params := s.routes.find(c.req.URL.EscapedPath(), nil)
	b := methods[c.req.Method]
	if b == nil && c.req.Method == http.MethodHead {
		b = methods[http.MethodGet]
	}
	for _, other := range methods {
		c.service = other.service
		break
	}
	if methods == nil {
		c.service = s.serviceOf(c.req.URL.Path)
	}
	private := strings.HasPrefix(strings.TrimLeft(c.req.URL.Path, "/"), "data/")
	if b != nil {
		c.bound, c.params, private = b, params, !b.open
	}
	if private {
		if err := s.identify(c); err != nil {
			return reply{}, err
		}
	}
	switch {
	case c.service == nil:
		return reply{}, weir.Errorf("404000", "There is nothing at %s.", c.req.URL.Path)
	case methods == nil:
		return reply{}, weir.Errorf(c.service.codes.notFound, "There is nothing at %s.", c.req.URL.Path)
	case b == nil:
		return reply{}, weir.Errorf(c.service.codes.method, "%s is not possible at %s.", c.req.Method, c.req.URL.Path)
	}
	return b.do(c)
}

// identify checks token, API key, organisation and sandbox in the order of the contract (flow-service §1.2, §1.5, R28) and fills
// the call's actor and scope.
func (s *Server) identify(c *call) error {
	h := c.req.Header
	var who claims
	token, present := bearer(h.Get("Authorization"))
	switch {
	case s.Auth == AuthOpen:
		who, _ = s.verify(c.ctx(), token) // a stranger's token is no worse than none
	case !present:
		return weir.Errorf("403010", "Oauth token is missing. Send the header Authorization: Bearer <token>; POST /ims/token/v3 issues tokens.")
	default:
		var err error
		if who, err = s.verify(c.ctx(), token); err != nil {
			return &weir.Error{Code: "401013", Message: "Oauth token is not valid. Ask POST /ims/token/v3 for a new one.", Err: err}
		}
	}
	key := strings.TrimSpace(h.Get("x-api-key"))
	if key == "" {
		return weir.Errorf("403000", "Api Key is required. Send the header x-api-key with the client id.")
	}
	org := strings.TrimSpace(h.Get("x-gw-ims-org-id"))
	return s.Store.View(c.ctx(), func(tx *store.Tx) error {
		client, err := tx.Get(weir.KindClient, weir.Scope{}, key)
		if err != nil && !errors.Is(err, weir.ErrNotFound) {
			return err
		}
		if s.Auth != AuthOpen && client == nil {
			return weir.Errorf("403003", "Api Key is invalid. Use the client id that the token was issued for.")
		}
		if s.Auth != AuthOpen && who.Client != key { // a token ends with its client
			if _, err := tx.Get(weir.KindClient, weir.Scope{}, who.Client); errors.Is(err, weir.ErrNotFound) {
				return weir.Errorf("401013", "Oauth token is not valid: its client is gone.")
			} else if err != nil {
				return err
			}
		}
		if org == "" {
			return weir.Errorf("400003", "The header x-gw-ims-org-id is missing.")
		}
		if err := s.checkOrg(tx, org, who, client); err != nil {
			return err
		}
		c.Actor = weir.Actor{User: who.Subject, Client: key}
		if c.Actor.User == "" {
			c.Actor.User = key
		}
		c.Scope = weir.Scope{Org: org}
		if c.bound != nil && c.bound.orgOnly {
			return nil
		}
		return c.findSandbox(tx, strings.TrimSpace(h.Get("x-sandbox-name")), strings.TrimSpace(h.Get("x-sandbox-id")))
	})
}

// checkOrg refuses an organisation that is not the token's and the key's.
func (s *Server) checkOrg(tx *store.Tx, org string, who claims, client *weir.Doc) error {
	foreign := weir.Errorf("403025", "The organisation of the header x-gw-ims-org-id is not open to this token.")
	if s.Auth == AuthOpen {
		if _, err := tx.Get(weir.KindOrg, weir.Scope{}, org); errors.Is(err, weir.ErrNotFound) {
			return foreign
		} else if err != nil {
			return err
		}
		return nil
	}
	var body clientBody
	if err := client.Read(&body); err != nil {
		return err
	}
	if who.Org != org || body.Org != org {
		return foreign
	}
	return nil
}

// defaultSandbox is the one an absent header means (flow-service R3).
const defaultSandbox = "prod"

// findSandbox resolves the sandbox headers into the call's scope. Codes are those of flow-service §1.7; other services use their own
// family for an unknown sandbox.
func (c *call) findSandbox(tx *store.Tx, name, id string) error {
	unknown := "FLOW-2100-404"
	if c.service != nil {
		unknown = c.service.codes.sandbox
	}
	if name == "*" {
		return weir.Errorf("FLOW-2111-403", "x-sandbox-name: * is for service tokens. Name one sandbox.")
	}
	asked := name
	if name == "" {
		name = defaultSandbox
	}
	d, err := tx.Get(weir.KindSandbox, weir.Scope{Org: c.Scope.Org}, name)
	if errors.Is(err, weir.ErrNotFound) {
		if asked == "" {
			return weir.Errorf("FLOW-2106-404", "The organisation has no default sandbox %q. Send x-sandbox-name.", name)
		}
		return weir.Errorf(unknown, "Sandbox %q was not found. GET /data/foundation/sandbox-management/sandboxes lists them.", name)
	}
	if err != nil {
		return err
	}
	var body sandboxBody
	if err := d.Read(&body); err != nil {
		return err
	}
	if id != "" && !strings.EqualFold(id, body.ID) {
		return weir.Errorf("FLOW-2103-404", "x-sandbox-id is not the id of sandbox %q.", name)
	}
	if body.State != sandboxActive {
		return weir.Errorf(unknown, "Sandbox %q is %s, not active.", name, body.State)
	}
	c.Scope.Sandbox, c.SandboxID = name, body.ID
	return nil
}

// bearer reads the Authorization header; the scheme's case does not matter.
func bearer(header string) (token string, present bool) {
	header = strings.TrimSpace(header)
	scheme, rest, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(rest), true
	}
	return header, header != ""
}

var requestIDText = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

// requestID is the client's id if it is safe to echo, else a fresh one.
func requestID(given string) string {
	if requestIDText.MatchString(given) {
		return given
	}
	return weir.NewUUID()
}

// done writes the log line and the figures of a request. The query stays out of the log: it can hold secrets (token/v2, sourceParams).
func (s *Server) done(c *call, rec *recorder, took time.Duration) {
	name, path := "none", "none"
	if c.service != nil {
		name = c.service.name
	}
	if c.bound != nil {
		path = c.bound.path
	}
	s.metrics.observe(name, path, c.req.Method, rec.status, took)
	s.Log.InfoContext(context.WithoutCancel(c.ctx()), "request", "method", c.req.Method, "path", c.req.URL.EscapedPath(), "status", rec.status,
		"bytes", rec.bytes, "took", took.Round(time.Microsecond), "request", c.RequestID, "org", c.Scope.Org, "sandbox", c.Scope.Sandbox, "client", c.Actor.Client)
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection (deadlines of long uploads, flushing).
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
