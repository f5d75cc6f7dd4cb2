package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
)

// authRules are authSpec[].attributes.weir: how the auth types that the vendor does not have work. Texts may hold
// ${name} for any auth parameter, secrets included: they go to the source alone.
type authRules struct {
	Login     *loginRules                `json:"login"` // SessionToken
	Send      *sendRules                 `json:"send"`  // where a token goes; Authorization: Bearer by default, raw for a session
	Algorithm string                     `json:"algorithm"`
	Key       string                     `json:"key"`       // name of the parameter that holds the key
	KeyBase64 bool                       `json:"keyBase64"` // it is base64 of the key
	KeyID     string                     `json:"keyId"`     // kid of a JWT
	Claims    map[string]json.RawMessage `json:"claims"`
	Life      int                        `json:"lifeSeconds"`
	Sign      string                     `json:"sign"`     // HMACSignature: the text that is signed
	Encoding  string                     `json:"encoding"` // hex (default), base64, base64url
	Headers   map[string]string          `json:"headers"`  // HMACSignature: may hold ${signature}
	Timestamp string                     `json:"timestamp"`
	Service   string                     `json:"service"` // AWSSigV4
	Region    string                     `json:"region"`
	// ClientAuth is body (default) or basic: how the client shows itself at a token address.
	ClientAuth string        `json:"clientAuth"`
	Consent    *consentRules `json:"consent"`
	Grant      *grantRules   `json:"grant"`
	// Basic are the texts of a BasicAuthentication, Token that of a BearerToken, where they are more than a parameter.
	Basic *struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"basic"`
	Token string `json:"token"`
}

// grantRules say what a request for an OAuth token has besides what the type needs, and how the answer names things.
// requestParameterOverride of a connection goes before the names.
type grantRules struct {
	Type         string            `json:"type"` // grant_type
	Fields       map[string]string `json:"fields"`
	Headers      map[string]string `json:"headers"`
	ClientID     string            `json:"clientId"` // names of the fields
	ClientSecret string            `json:"clientSecret"`
	RefreshToken string            `json:"refreshToken"`
	Access       string            `json:"accessToken"` // names in the answer
	Refresh      string            `json:"newRefreshToken"`
	Expires      string            `json:"expiresIn"`
}

// loginRules ask for a session.
type loginRules struct {
	URL     string            `json:"url"` // absolute, or a path of the source
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Form    map[string]string `json:"form"`
	Token   string            `json:"token"` // $.path, headers.<name> or cookies.<name>
	Life    json.RawMessage   `json:"life"`  // seconds, or the $.path of them; an hour by default
	// User and Password, if set, go into a Basic Authorization header.
	User     string `json:"user"`
	Password string `json:"password"`
}

// sendRules say where a token goes.
type sendRules struct {
	Header string `json:"header"`
	Query  string `json:"query"`
	Cookie string `json:"cookie"`
	Body   string `json:"body"`
	Prefix string `json:"prefix"`
}

// put places a token.
func (s *sendRules) put(r *request, token string) error {
	token = s.Prefix + token
	switch {
	case s.Query != "":
		r.setParam(s.Query, token)
	case s.Cookie != "":
		r.addCookie(s.Cookie, token)
	case s.Body != "":
		p, err := parsePath(s.Body)
		if err != nil {
			return err
		}
		return r.setAt(p, token)
	default:
		r.setHeader(s.Header, token)
	}
	return nil
}

// addCookie adds a cookie to those the spec set.
func (r *request) addCookie(name, value string) {
	text := (&http.Cookie{Name: name, Value: value}).String()
	for _, h := range r.headers {
		if strings.EqualFold(h.name, "Cookie") && h.value != "" {
			text = h.value + "; " + text
		}
	}
	r.setHeader("Cookie", text)
}

// expand fills a text with auth parameters.
func (c *credentials) expand(text string) (string, error) {
	e := &expander{params: &params{layers: []map[string]json.RawMessage{c.params}}}
	out := e.text(text)
	return out, e.err()
}

// resolve makes an address absolute: a path belongs to the source itself.
func (c *credentials) resolve(address, home string) string {
	if strings.HasPrefix(address, "/") {
		return home + address
	}
	return address
}

// heldAuth fetches a token, sends it with every request, and fetches another one when it expired or was refused. The
// token is shared by all sources of the client that use the same credentials at the same origin.
type heldAuth struct {
	c     *credentials
	send  sendRules
	fetch func(ctx context.Context, home string) (token string, life time.Duration, err error)

	mu   sync.Mutex
	used string
	home string
}

func (a *heldAuth) apply(ctx context.Context, r *request) error {
	home := r.home()
	token, err := a.token(ctx, home, "")
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.used, a.home = token, home
	a.mu.Unlock()
	a.c.mask.add(token)
	return a.send.put(r, token)
}

func (a *heldAuth) token(ctx context.Context, home, refused string) (string, error) {
	return a.c.client.tokens.get(ctx, a.c.tokenKey()+"\x00"+home, refused, a.c.opt.Now, func(ctx context.Context) (string, time.Duration, error) {
		return a.fetch(ctx, home)
	})
}

func (a *heldAuth) renew(ctx context.Context, _ *http.Request) (bool, error) {
	a.mu.Lock()
	used, home := a.used, a.home
	a.mu.Unlock()
	_, err := a.token(ctx, home, used)
	return err == nil, err
}

// sendOr is the rule of the spec, or a default.
func (c *credentials) sendOr(d sendRules) sendRules {
	if s := c.spec.Attributes.Weir.Send; s != nil {
		out := *s
		if out.Header+out.Query+out.Cookie+out.Body == "" {
			out.Header = "Authorization"
		}
		return out
	}
	return d
}

var bearer = sendRules{Header: "Authorization", Prefix: "Bearer "}

// staticAuth sends a token that never changes: the parameter token, or one of the list tokens. A refused token of a list
// makes way for the next one; with a rule that refreshes on 429, several accounts share the work.
type staticAuth struct {
	c  *credentials
	mu sync.Mutex
	at int
}

func (a *staticAuth) list() []string {
	var many []string
	if json.Unmarshal(a.c.params["tokens"], &many) == nil && len(many) > 0 {
		return many
	}
	return []string{a.c.text("token", "accessToken", "authKey1")}
}

func (a *staticAuth) apply(_ context.Context, r *request) error {
	all := a.list()
	if t := a.c.spec.Attributes.Weir.Token; t != "" {
		text, err := a.c.expand(t)
		if err != nil {
			return err
		}
		all = []string{text}
	}
	a.c.mask.add(all...)
	a.mu.Lock()
	token := all[a.at%len(all)]
	if r.token > 0 {
		token = all[(r.token-1)%len(all)]
	}
	a.mu.Unlock()
	s := a.c.sendOr(bearer)
	return s.put(r, token)
}

// tokens is how many there are to choose from.
func (a *staticAuth) tokens() int { return len(a.list()) }

func (a *staticAuth) renew(context.Context, *http.Request) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at++
	return len(a.list()) > 1, nil
}

// newGrant is a token of an OAuth grant: client_credentials or password.
func newGrant(c *credentials, grant string) authenticator {
	a := &heldAuth{c: c, send: c.sendOr(bearer)}
	a.fetch = func(ctx context.Context, home string) (string, time.Duration, error) {
		form := url.Values{"grant_type": {grant}}
		if grant == "password" {
			form.Set("username", c.text("username", "userName"))
			form.Set("password", c.text("password"))
		}
		for _, extra := range []string{"scope", "audience", "resource"} {
			if v := c.text(extra); v != "" {
				form.Set(extra, v)
			}
		}
		return c.grant(ctx, home, form)
	}
	return a
}

// grant asks the token address with a form and reads the token.
func (c *credentials) grant(ctx context.Context, home string, form url.Values) (string, time.Duration, error) {
	address := c.text("accessTokenUrl", "tokenEndpoint", "tokenUrl", "tokenEndpointUrl", "authUrl")
	if address == "" {
		return "", 0, weir.Errorf("CONNECTOR-1304-400", "accessTokenUrl is missing in the auth parameters")
	}
	address, err := c.expand(address)
	if err != nil {
		return "", 0, err
	}
	names := c.override()
	var basic *url.Userinfo
	if id := c.text("clientId"); id != "" {
		if c.spec.Attributes.Weir.ClientAuth == "basic" {
			basic = url.UserPassword(id, c.text("clientSecret"))
		} else {
			form.Set(names.ClientID, id)
			if secret := c.text("clientSecret"); secret != "" {
				form.Set(names.ClientSecret, secret)
			}
		}
	}
	answer, err := c.token(ctx, c.resolve(address, home), names.Method, form, basic)
	if err != nil {
		return "", 0, err
	}
	t, _ := scalarText(answer[names.AccessToken])
	if t == "" {
		return "", 0, weir.Errorf("CONNECTOR-1308-400", "the token address answered without %s", names.AccessToken)
	}
	life, ok := lifetime(answer[names.ExpiresIn])
	if !ok {
		life = time.Hour
	}
	return t, life, nil
}

// newSession logs in with a request of its own and sends the token it got, raw in Authorization unless told otherwise.
func newSession(c *credentials) authenticator {
	a := &heldAuth{c: c, send: c.sendOr(sendRules{Header: "Authorization"})}
	a.fetch = c.login
	return a
}

func (c *credentials) login(ctx context.Context, home string) (string, time.Duration, error) {
	l := c.spec.Attributes.Weir.Login
	if l == nil || l.URL == "" || l.Token == "" {
		return "", 0, weir.Errorf("CONNECTOR-1302-400", "the auth spec %q needs attributes.weir.login with url and token", c.spec.Name)
	}
	req, err := c.loginRequest(ctx, l, home)
	if err != nil {
		return "", 0, err
	}
	resp, err := c.client.once.Do(req)
	if err != nil {
		return "", 0, weir.Errorf("CONNECTOR-1308-400", "the login address %s cannot be reached: %s", c.mask.url(req.URL), c.mask.text(cause(err)))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, tokenBound))
	if err != nil {
		return "", 0, weir.Errorf("CONNECTOR-1308-400", "the answer of the login address %s broke off", c.mask.url(req.URL))
	}
	if resp.StatusCode >= 400 {
		return "", 0, weir.Errorf("CONNECTOR-1308-400", "the login was refused: %s answered %s%s", c.mask.url(req.URL), resp.Status, c.mask.text(said(raw)))
	}
	token, err := l.find(resp, raw)
	if err != nil || token == "" {
		return "", 0, weir.Errorf("CONNECTOR-1308-400", "the login answer of %s has no token at %s", c.mask.url(req.URL), l.Token)
	}
	life := time.Hour
	text := string(l.Life)
	if strings.HasPrefix(text, `"`) {
		if p, err := parsePath(unquote(l.Life)); err == nil {
			text = paramText(pluck(raw, p))
		}
	}
	if d, ok := lifetime(json.RawMessage(text)); ok {
		life = d
	}
	return token, life, nil
}

func (c *credentials) loginRequest(ctx context.Context, l *loginRules, home string) (*http.Request, error) {
	address, err := c.expand(l.URL)
	if err != nil {
		return nil, err
	}
	r := &request{method: strings.ToUpper(l.Method), kind: "json"}
	if r.method == "" {
		r.method = http.MethodPost
	}
	e := &expander{params: &params{layers: []map[string]json.RawMessage{c.params}}}
	switch {
	case len(l.Form) > 0:
		form := &object{}
		for _, n := range slices.Sorted(maps.Keys(l.Form)) {
			form.set(n, e.text(l.Form[n]))
		}
		r.kind, r.body = "form", form
	case len(l.Body) > 0:
		tree, err := parseTree(l.Body)
		if err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "attributes.weir.login.body cannot be read: %w", err)
		}
		if r.body, err = mapStrings(tree, e.value); err != nil {
			return nil, err
		}
	}
	for _, n := range slices.Sorted(maps.Keys(l.Headers)) {
		r.headers = append(r.headers, pair{n, e.text(l.Headers[n])})
	}
	if l.User != "" {
		code := base64.StdEncoding.EncodeToString([]byte(e.text(l.User) + ":" + e.text(l.Password)))
		c.mask.add(code)
		r.setHeader("Authorization", "Basic "+code)
	}
	if err := e.err(); err != nil {
		return nil, err
	}
	if err := r.setAddress(c.resolve(address, home), ""); err != nil {
		return nil, err
	}
	r.headers = append(r.headers, pair{"Accept-Encoding", "identity"})
	return r.build(ctx, noAuth{})
}

// find reads the token of a login answer.
func (l *loginRules) find(resp *http.Response, raw []byte) (string, error) {
	if name, ok := strings.CutPrefix(l.Token, "cookies."); ok {
		for _, c := range resp.Cookies() {
			if c.Name == name {
				return c.Value, nil
			}
		}
		return "", nil
	}
	if isHeader(l.Token) {
		return resp.Header.Get(l.Token[8:]), nil
	}
	p, err := parsePath(l.Token)
	if err != nil {
		return "", err
	}
	if len(p) == 0 && !json.Valid(raw) {
		return strings.TrimSpace(string(raw)), nil // the body is the token
	}
	text, _ := scalarText(pluck(raw, p))
	return text, nil
}
