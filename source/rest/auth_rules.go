package rest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // some sources sign with it
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // some sources sign with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sigv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/golang-jwt/jwt/v5"

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
	ClientAuth string `json:"clientAuth"`
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

// expand fills a text with auth parameters and further values.
func (c *credentials) expand(text string, more map[string]json.RawMessage) (string, error) {
	e := &expander{params: &params{layers: []map[string]json.RawMessage{more, c.params}}}
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

// staticAuth sends a token that never changes.
type staticAuth struct{ c *credentials }

func (a staticAuth) apply(_ context.Context, r *request) error {
	s := a.c.sendOr(bearer)
	return s.put(r, a.c.text("token", "accessToken", "authKey1"))
}

func (staticAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

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
	address, err := c.expand(l.URL, nil)
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

// newJWT signs a token with a key: sent as it is, or handed in at accessTokenUrl for an access token (RFC 7523).
func newJWT(c *credentials) authenticator {
	a := &heldAuth{c: c, send: c.sendOr(bearer)}
	a.fetch = func(ctx context.Context, home string) (string, time.Duration, error) {
		assertion, life, err := c.assertion(home)
		if err != nil || c.text("accessTokenUrl", "tokenEndpoint") == "" {
			return assertion, life, err
		}
		c.mask.add(assertion)
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
		return c.grant(ctx, home, form)
	}
	return a
}

// assertion makes a signed JWT. iat and exp are set unless the claims have them.
func (c *credentials) assertion(home string) (string, time.Duration, error) {
	rules := &c.spec.Attributes.Weir
	name := rules.Algorithm
	if name == "" {
		name = "RS256"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil || name == "none" {
		return "", 0, weir.Errorf("CONNECTOR-1302-400", "the JWT algorithm %q is not known", rules.Algorithm)
	}
	life := time.Duration(rules.Life) * time.Second
	if life <= 0 {
		life = 5 * time.Minute
	}
	now := c.opt.Now()
	claims := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(life).Unix()}
	e := &expander{params: &params{layers: []map[string]json.RawMessage{{"origin": quote(home)}, c.params}}}
	for n, raw := range rules.Claims {
		tree, err := parseTree(raw)
		if err != nil {
			return "", 0, weir.Errorf("CONNECTOR-1312-400", "the claim %s cannot be read: %w", n, err)
		}
		if claims[n], err = mapStrings(tree, e.value); err != nil {
			return "", 0, err
		}
	}
	kid := e.text(rules.KeyID)
	if err := e.err(); err != nil {
		return "", 0, err
	}
	key, err := c.signingKey(method)
	if err != nil {
		return "", 0, err
	}
	t := jwt.NewWithClaims(method, claims)
	if kid != "" {
		t.Header["kid"] = kid
	}
	signed, err := t.SignedString(key)
	if err != nil {
		return "", 0, weir.Errorf("CONNECTOR-1312-400", "the JWT cannot be signed: the key does not fit %s", name)
	}
	return signed, life - min(30*time.Second, life/10), nil
}

// secretKey is the key parameter as bytes.
func (c *credentials) secretKey() ([]byte, error) {
	rules := &c.spec.Attributes.Weir
	text := c.text(rules.Key, "privateKey", "secretKey", "authKey1")
	if text == "" {
		return nil, weir.Errorf("CONNECTOR-1304-400", "the auth parameters have no key")
	}
	if !rules.KeyBase64 {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the key is not base64")
	}
	return key, nil
}

func (c *credentials) signingKey(method jwt.SigningMethod) (key any, err error) {
	raw, err := c.secretKey()
	if err != nil {
		return nil, err
	}
	raw = bytes.ReplaceAll(raw, []byte(`\n`), []byte("\n")) // a PEM that went through JSON twice
	switch method.Alg()[:2] {
	case "HS":
		return raw, nil
	case "ES":
		key, err = jwt.ParseECPrivateKeyFromPEM(raw)
	case "Ed":
		key, err = jwt.ParseEdPrivateKeyFromPEM(raw)
	default:
		key, err = jwt.ParseRSAPrivateKeyFromPEM(raw)
	}
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the key is not a PEM private key for %s", method.Alg())
	}
	return key, nil
}

// hmacAuth signs each request with a shared secret.
type hmacAuth struct{ c *credentials }

func (hmacAuth) apply(context.Context, *request) error { return nil }

func (hmacAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

// hashes are the algorithms of HMACSignature.
var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New}

func (a hmacAuth) sign(_ context.Context, req *http.Request, body []byte) error {
	rules := &a.c.spec.Attributes.Weir
	key, err := a.c.secretKey()
	if err != nil {
		return err
	}
	newHash := hashes[strings.ToLower(strings.TrimPrefix(strings.ToLower(rules.Algorithm), "hmac-"))]
	if newHash == nil {
		return weir.Errorf("CONNECTOR-1302-400", "the HMAC algorithm %q is not known", rules.Algorithm)
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	sum256, sum5 := sha256.Sum256(body), md5.Sum(body)
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	facts := map[string]json.RawMessage{}
	for name, text := range map[string]string{
		"method": req.Method, "path": path, "query": req.URL.RawQuery, "host": req.URL.Host, "url": req.URL.String(),
		"timestamp": formatTime(a.c.opt.Now(), or(rules.Timestamp, "epoch")), "nonce": hex.EncodeToString(nonce), "body": string(body),
		"bodySha256": hex.EncodeToString(sum256[:]), "bodyMd5": base64.StdEncoding.EncodeToString(sum5[:]),
	} {
		facts[name] = quote(text)
		if text == "" {
			facts[name] = json.RawMessage(`""`)
		}
	}
	e := &expander{params: &params{layers: []map[string]json.RawMessage{facts, a.c.params}}, blanks: true}
	text := e.text(or(rules.Sign, "${method}\n${path}\n${query}\n${timestamp}\n${body}"))
	mac := hmac.New(newHash, key)
	mac.Write([]byte(text))
	facts["signature"] = quote(encodeSum(mac.Sum(nil), rules.Encoding))
	headers := rules.Headers
	if len(headers) == 0 {
		headers = map[string]string{"X-Signature": "${signature}", "X-Timestamp": "${timestamp}"}
	}
	for name, value := range headers {
		req.Header.Set(name, e.text(value))
	}
	return e.err()
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func encodeSum(sum []byte, encoding string) string {
	switch encoding {
	case "base64":
		return base64.StdEncoding.EncodeToString(sum)
	case "base64url":
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

// sigv4Auth signs each request for AWS and what speaks like it.
type sigv4Auth struct{ c *credentials }

func (sigv4Auth) apply(context.Context, *request) error { return nil }

func (sigv4Auth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

func (a sigv4Auth) sign(ctx context.Context, req *http.Request, body []byte) error {
	rules := &a.c.spec.Attributes.Weir
	region := or(a.c.text("region"), or(rules.Region, "us-east-1"))
	service := or(a.c.text("service"), rules.Service)
	creds := aws.Credentials{AccessKeyID: a.c.text("accessKeyId", "accessKey"), SecretAccessKey: a.c.text("secretAccessKey", "secretKey"), SessionToken: a.c.text("sessionToken")}
	if service == "" || creds.AccessKeyID == "" || creds.SecretAccessKey == "" {
		return weir.Errorf("CONNECTOR-1304-400", "the signature needs service, accessKeyId and secretAccessKey")
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if err := sigv4.NewSigner().SignHTTP(ctx, creds, req, hash, service, region, a.c.opt.Now()); err != nil {
		return weir.Errorf("CONNECTOR-1308-400", "the request cannot be signed: %w", err)
	}
	return nil
}
