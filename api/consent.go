package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/source/rest"
	"weir/store"
)

// kindConsent holds the consents that are under way. They belong to no tenant, because a person who comes back from the authorization
// server brings nothing but the state: the id is its hash, the body names the connection, the secret is the verifier.
const kindConsent = "consents"

// consentLife is how long a person has to agree.
const consentLife = 10 * time.Minute

// maxConsents bounds the expired consents that one start removes.
const maxConsents = 100

// pendingConsent is the body of a consent under way.
type pendingConsent struct {
	Scope      weir.Scope `json:"scope"`
	Connection string     `json:"connection"`
	Redirect   string     `json:"redirect"`
	Expires    int64      `json:"expires"` // epoch milliseconds
}

// consentSecret is what proves that who ends a consent began it (RFC 7636).
type consentSecret struct {
	Verifier string `json:"verifier"`
}

// consenter is a source whose first tokens come from a person's consent.
type consenter interface {
	StartConsent(redirect string) (rest.Consent, error)
	FinishConsent(ctx context.Context, current json.RawMessage, code, verifier, redirect string) (json.RawMessage, error)
}

// consentID is the id of a consent: whoever reads the database cannot use it.
func consentID(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// startConsent is POST /connections/{id}/consent: the address at which a person agrees to the access. Any process on the database can
// take the answer.
func startConsent(c *call) (reply, error) {
	_, src, err := c.consenting(c.Scope, c.param("id"))
	if err != nil {
		return reply{}, err
	}
	p := pendingConsent{
		Scope: c.Scope, Connection: c.param("id"), Redirect: c.baseURL() + flowServiceBase + "/consent",
		Expires: c.server.Now().Add(consentLife).UnixMilli(),
	}
	begun, err := src.StartConsent(p.Redirect)
	if err != nil {
		return reply{}, err
	}
	d := weir.Doc{Kind: kindConsent, ID: consentID(begun.State), Secret: encode(consentSecret{begun.Verifier}), Body: encode(p)}
	err = c.write(func(tx *store.Tx) error {
		if err := c.sweepConsents(tx); err != nil {
			return err
		}
		fresh := d
		return tx.Insert(&fresh, c.Actor)
	})
	if err != nil {
		return reply{}, err
	}
	return ok(object{}.set("url", begun.URL).set("expiresAt", p.Expires)).with("Cache-Control", "no-store"), nil
}

// sweepConsents removes consents that nobody can end any more.
func (c *call) sweepConsents(tx *store.Tx) error {
	old, _, err := tx.Find(store.Query{Kind: kindConsent, Scopes: []weir.Scope{{}}, Limit: maxConsents, Where: []store.Cond{{
		Path: []string{"createdAt"}, Op: store.Lt, Values: []string{strconv.FormatInt(c.server.Now().Add(-2*consentLife).UnixMilli(), 10)},
	}}})
	if err != nil {
		return err
	}
	for _, d := range old {
		if err := tx.Delete(kindConsent, weir.Scope{}, d.ID); err != nil && !errors.Is(err, weir.ErrNotFound) {
			return err
		}
	}
	return nil
}

// consenting opens the source of a connection that takes consents. The credentials may be incomplete: that is why somebody is asked.
func (c *call) consenting(scope weir.Scope, id string) (b weir.Binding, src consenter, err error) {
	err = c.view(func(tx *store.Tx) error {
		conn, err := tx.Get(weir.KindConnection, scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			return &weir.Error{Code: c.service.codes.notFound, ID: id, Type: weir.KindConnection, Message: "Base connection " + id + " was not found.", Err: err}
		}
		if err != nil {
			return err
		}
		b, err = c.server.Engine.Bind(tx, scope, "", conn, nil)
		return err
	})
	if err != nil {
		return b, nil, err
	}
	opened, err := c.server.Engine.Open(c.ctx(), b)
	if err != nil {
		return b, nil, err
	}
	src, is := opened.(consenter)
	if !is {
		return b, nil, weir.Errorf("CONNECTOR-1302-400", "The sources of connection spec %s take no consent.", b.SpecID)
	}
	return b, src, nil
}

// endConsent is GET /consent, where the authorization server sends the person: it trades the code for tokens and stores them with the
// connection. Browsers get a page, everybody else JSON.
func endConsent(c *call) (reply, error) {
	if c.req.Method == http.MethodHead { // a browser that looks ahead must not use up the consent
		return noContent(), nil
	}
	name, err := c.consent()
	if !strings.Contains(c.req.Header.Get("Accept"), "text/html") {
		if err != nil {
			return reply{}, err
		}
		return ok(object{}.set("result", true).set("connection", name)).with("Cache-Control", "no-store"), nil
	}
	page := consentPage{Title: "Access granted", Text: "The access is stored with the connection " + name + ". You can close this window."}
	status := http.StatusOK
	if err != nil {
		e := c.server.coded(c, err)
		status, page = e.Status(), consentPage{Title: "No access", Text: e.Message, Request: c.RequestID}
	}
	r := reply{status: status, stream: func(w http.ResponseWriter) error { return consentHTML.Execute(w, page) }}
	return r.with("Content-Type", "text/html;charset=utf-8").with("Cache-Control", "no-store").with("Referrer-Policy", "no-referrer").
		with("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"), nil
}

type consentPage struct{ Title, Text, Request string }

var consentHTML = template.Must(template.New("consent").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body style="font-family:sans-serif;max-width:40em;margin:4em auto;padding:0 1em"><h1>{{.Title}}</h1><p>{{.Text}}</p>{{if .Request}}<p><small>{{.Request}}</small></p>{{end}}</body></html>
`))

// consent ends a consent and returns the id of its connection. Its state is used up whatever comes of it.
func (c *call) consent() (string, error) {
	p, secret, err := c.takeConsent(c.arg("state"))
	if err != nil {
		return "", err
	}
	if why := c.arg("error"); why != "" {
		if text := c.arg("error_description"); text != "" {
			why += ": " + text
		}
		return "", weir.Errorf("CONNECTOR-1308-400", "The authorization server gave no access: %s. Begin again with POST %s/connections/%s/consent.", shorten(why), flowServiceBase, p.Connection)
	}
	code := c.arg("code")
	if code == "" {
		return "", weir.Errorf("FLOW-1100-400", "The parameter code is missing.")
	}
	b, src, err := c.consenting(p.Scope, p.Connection)
	if err != nil {
		return "", err
	}
	// The code works once: what comes for it is stored even if the browser has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), time.Minute)
	defer cancel()
	_, err = b.Rotate(ctx, func(ctx context.Context, current json.RawMessage) (json.RawMessage, error) {
		return src.FinishConsent(ctx, current, code, secret.Verifier, p.Redirect)
	})
	if err != nil {
		return "", refused(err)
	}
	c.server.Log.InfoContext(ctx, "consent given", "connection", p.Connection, "org", p.Scope.Org, "request", c.RequestID)
	return p.Connection, nil
}

// takeConsent takes a consent out of the store: one caller gets it, over all processes.
func (c *call) takeConsent(state string) (p pendingConsent, secret consentSecret, err error) {
	gone := weir.Errorf("FLOW-1100-400", "The state belongs to no consent under way: it was used before, or more than %d minutes have passed. Begin again with POST %s/connections/{id}/consent.",
		int(consentLife.Minutes()), flowServiceBase)
	if state == "" {
		return p, secret, weir.Errorf("FLOW-1100-400", "The parameter state is missing.")
	}
	err = c.write(func(tx *store.Tx) error {
		d, err := tx.Get(kindConsent, weir.Scope{}, consentID(state))
		if errors.Is(err, weir.ErrNotFound) {
			return gone
		}
		if err != nil {
			return err
		}
		raw, err := tx.Reveal(d)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Read(&p), json.Unmarshal(raw, &secret)); err != nil {
			return err
		}
		return tx.Delete(kindConsent, weir.Scope{}, d.ID)
	})
	if errors.Is(err, weir.ErrNotFound) { // somebody else was first
		err = gone
	}
	if err == nil && c.server.Now().UnixMilli() > p.Expires {
		err = gone
	}
	return p, secret, err
}
