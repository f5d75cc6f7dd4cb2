package author

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir/source/rest"
)

// tokenPath is where the mirror hands out tokens.
const tokenPath = "/weir-proof/token"

// gate is what the mirror demands of credentials, made from an auth spec, with credentials that it accepts.
type gate struct {
	kind   string // the type, folded
	name   string
	rules  *node // attributes.weir
	props  *node
	params *object // good credentials
	login  string  // path of a login
	public any     // key of a JWT
	method jwt.SigningMethod

	mu     sync.Mutex
	issued map[string]bool
	logins int
	stale  bool // tokens that were given at first are refused
}

// foldName folds an auth type as the engine does.
func foldName(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '_', '\t':
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// newGate reads one entry of authSpec; nil is a source without credentials.
func newGate(a *node, f *filler) (*gate, error) {
	g := &gate{kind: "noauth", params: &object{}, issued: map[string]bool{}}
	if a == nil {
		return g, nil
	}
	g.kind, g.name = foldName(a.str("type")), a.str("name")
	g.rules, g.props = a.path("attributes", "weir"), a.path("spec", "properties")
	required := map[string]bool{}
	for _, r := range a.path("spec", "required").list() {
		required[r.text()] = true
	}
	if g.props != nil {
		for i, name := range g.props.names {
			g.fill(name, g.props.values[i], required[name], f)
		}
	}
	return g, g.credentials(f)
}

// fill gives a parameter of the auth spec a value, unless credentials does.
func (g *gate) fill(name string, p *node, required bool, f *filler) {
	if v, ok := f.values[name]; ok {
		g.params.set(name, v)
		return
	}
	if !required || p.str("format") == "password" {
		return
	}
	if d := p.get("default"); d != nil {
		g.params.set(name, d.plain())
	} else if e := p.get("enum").list(); len(e) > 0 {
		g.params.set(name, e[0].plain())
	} else if t := p.str("type"); t == "string" || t == "" {
		g.params.set(name, "proof")
	}
}

// credentials makes those that the type needs.
func (g *gate) credentials(f *filler) error {
	set := func(name, value string) { g.params.set(name, value) }
	switch g.kind {
	case "oauth2refreshcode":
		set("accessToken", "proof-access-token")
	case "basicauthentication", "basic":
		if f.values["username"] == "" {
			set("username", "proof-user")
		}
		set("password", "proof-password")
		g.others()
	case "keybased", "apikey", "apikeyauthentication":
		g.keys()
	case "oauth2clientcredential", "oauth2clientcredentials", "oauth2password":
		set("clientId", "proof-client")
		set("clientSecret", "proof-client-secret")
		g.others()
		if g.kind == "oauth2password" {
			set("username", "proof-user")
			set("password", "proof-password")
		}
		g.tokenAddress()
	case "bearertoken":
		set(g.first("token", "accessToken", "authKey1"), "proof-static-token")
		g.others()
	case "sessiontoken":
		return g.session()
	case "jwtbearer":
		return g.signed()
	case "hmacsignature":
		set(g.keyParam(), base64.StdEncoding.EncodeToString([]byte("proof-shared-secret")))
		g.others()
	case "awssigv4":
		set("accessKeyId", "PROOFACCESSKEY")
		set("secretAccessKey", "proof-secret-access-key")
		set("region", "eu-central-1")
	}
	return nil
}

// first is the first of names that the schema has, else the first.
func (g *gate) first(names ...string) string {
	for _, n := range names {
		if g.props.get(n) != nil {
			return n
		}
	}
	return names[0]
}

func (g *gate) tokenAddress() {
	name := g.first("accessTokenUrl", "tokenEndpoint", "tokenUrl", "tokenEndpointUrl", "authUrl")
	g.params.set(name, "https://login.proof.example"+tokenPath)
}

func (g *gate) keyParam() string {
	if k := g.rules.str("key"); k != "" {
		return k
	}
	return g.first("privateKey", "secretKey", "authKey1")
}

// others fills every text parameter that has no value.
func (g *gate) others() {
	if g.props == nil {
		return
	}
	for i, name := range g.props.names {
		t := g.props.values[i].str("type")
		if g.params.get(name) == nil && (t == "string" || t == "") && name != "accessTokenUrl" && name != "authorizationTestUrl" {
			g.params.set(name, "proof-"+name)
		}
	}
}

func (g *gate) keys() {
	if g.props.get("keyName") != nil {
		g.params.set("keyName", "X-Proof-Key")
		g.params.set("value", "proof-key-value")
		return
	}
	if g.props == nil {
		return
	}
	for i, name := range g.props.names {
		at := g.props.values[i].get("restAttributes")
		for _, place := range []string{"headerParamName", "queryParamName", "cookieParamName", "bodyParamName"} {
			if at.str(place) != "" {
				g.params.set(name, "proof-key-"+name)
			}
		}
	}
}

func (g *gate) session() error {
	g.others()
	address := g.rules.str("login", "url")
	f := &filler{values: map[string]string{}}
	for i, n := range g.params.names {
		f.values[n] = plainText(g.params.values[i])
	}
	u, err := url.Parse(f.text(address))
	if err != nil || u.Path == "" {
		return fmt.Errorf("the login address %q has no path", address)
	}
	g.login = u.Path
	return nil
}

// signed makes a key pair for JWTs.
func (g *gate) signed() error {
	name := g.rules.str("algorithm")
	if name == "" {
		name = "RS256"
	}
	if g.method = jwt.GetSigningMethod(name); g.method == nil {
		return fmt.Errorf("the JWT algorithm %q is not known", name)
	}
	g.others()
	var text string
	switch name[:2] {
	case "HS":
		text = "proof-shared-secret-of-some-length"
		g.public = []byte(text)
	case "ES":
		curve := map[string]elliptic.Curve{"ES384": elliptic.P384(), "ES512": elliptic.P521()}[name]
		if curve == nil {
			curve = elliptic.P256()
		}
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return err
		}
		raw, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return err
		}
		text, g.public = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})), &key.PublicKey
	default:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		text = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
		g.public = &key.PublicKey
	}
	if g.rules.str("keyBase64") == "true" {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	g.params.set(g.keyParam(), text)
	if g.props.get("accessTokenUrl") != nil {
		g.tokenAddress()
	}
	return nil
}

// wrong are credentials that the gate refuses. ok is false for a source without any, or whose signature is not checked.
func (g *gate) wrong() (params *object, secret string, ok bool) {
	out := &object{}
	for i, n := range g.params.names {
		out.set(n, g.params.values[i])
	}
	const bad = "wrong-secret-value-4711"
	var names []string
	switch g.kind {
	case "oauth2refreshcode":
		names = []string{"accessToken"}
	case "basicauthentication", "basic", "oauth2password":
		names = []string{"password"}
		if b := g.rules.get("basic"); b != nil {
			names = nil
			for _, m := range openName.FindAllStringSubmatch(b.str("username")+b.str("password"), -1) {
				names = append(names, m[1])
			}
		}
	case "keybased", "apikey", "apikeyauthentication":
		for _, n := range g.params.names {
			if n == "value" || g.props.path(n, "restAttributes") != nil {
				names = append(names, n)
			}
		}
	case "oauth2clientcredential", "oauth2clientcredentials":
		names = []string{"clientSecret"}
	case "bearertoken":
		names = []string{g.first("token", "accessToken", "authKey1")}
		for _, m := range openName.FindAllStringSubmatch(g.rules.str("token"), -1) {
			names = append(names, m[1])
		}
	case "sessiontoken":
		if names = g.loginSecrets(); len(names) == 0 {
			return nil, "", false
		}
	case "awssigv4":
		names = []string{"accessKeyId"}
	default:
		return nil, "", false
	}
	for _, n := range names {
		out.set(n, bad)
	}
	return out, bad, true
}

// loginSecrets are the parameters that a login sends.
func (g *gate) loginSecrets() []string {
	var out []string
	for _, n := range g.params.names {
		used := false
		g.rules.get("login").each(func(v *node) {
			used = used || strings.Contains(v.text(), "${"+n+"}") && !strings.HasSuffix(v.at, "/url")
		})
		if used {
			out = append(out, n)
		}
	}
	return out
}

// serve answers token and login addresses; false for everything else.
func (g *gate) serve(w http.ResponseWriter, q *inquiry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch path := q.r.URL.Path; {
	case path == tokenPath:
		g.grant(w, q)
	case g.login != "" && path == g.login:
		g.signIn(w, q)
	default:
		return false
	}
	return true
}

func (g *gate) issue() string {
	g.logins++
	token := fmt.Sprintf("proof-issued-token-%d", g.logins)
	g.issued[token] = true
	return token
}

// grant is the token address.
func (g *gate) grant(w http.ResponseWriter, q *inquiry) {
	form, _ := q.body.(map[string]any)
	names := g.rules.get("grant")
	text := func(name string) string {
		own := map[string]string{"client_id": names.str("clientId"), "client_secret": names.str("clientSecret"), "refresh_token": names.str("refreshToken")}[name]
		s, _ := form[or(own, name)].(string)
		return s
	}
	var ok bool
	switch g.kind {
	case "jwtbearer":
		_, err := jwt.Parse(text("assertion"), func(*jwt.Token) (any, error) { return g.public, nil }, jwt.WithoutClaimsValidation())
		ok = err == nil
	case "oauth2refreshcode":
		ok = text("refresh_token") == "proof-refresh-token"
	default:
		id, secret, basic := q.r.BasicAuth()
		if !basic {
			id, secret = text("client_id"), text("client_secret")
		}
		ok = id == g.params.get("clientId") && secret == g.params.get("clientSecret")
		if g.kind == "oauth2password" {
			ok = ok && text("password") == g.params.get("password")
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"the credentials are not valid"}`))
		return
	}
	_, _ = w.Write(mustJSON(obj(or(names.str("accessToken"), "access_token"), g.issue(), "token_type", "bearer", or(names.str("expiresIn"), "expires_in"), 3600)))
}

// signIn is the login address: every parameter that the login names must be there.
func (g *gate) signIn(w http.ResponseWriter, q *inquiry) {
	all := q.r.URL.RawQuery + " " + string(q.raw)
	if user, password, ok := q.r.BasicAuth(); ok {
		all += " " + user + " " + password
	}
	var allSb357 strings.Builder
	for _, list := range q.r.Header {
		allSb357.WriteString(" " + strings.Join(list, " "))
	}
	all += allSb357.String()
	if plain, err := url.QueryUnescape(all); err == nil {
		all += " " + plain
	}
	for _, n := range g.loginSecrets() {
		if !strings.Contains(all, plainText(g.params.get(n))) {
			refuse(w, http.StatusForbidden, "the login failed")
			return
		}
	}
	token := g.issue()
	place := g.rules.str("login", "token")
	if name, ok := strings.CutPrefix(place, "cookies."); ok {
		http.SetCookie(w, &http.Cookie{Name: name, Value: token})
		_, _ = w.Write([]byte("{}"))
		return
	}
	if len(place) > 8 && strings.EqualFold(place[:8], "headers.") {
		w.Header().Set(place[8:], token)
		_, _ = w.Write([]byte("{}"))
		return
	}
	p, err := rest.ParsePath(place)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if len(p) == 0 {
		_, _ = w.Write([]byte(token))
		return
	}
	tree := setIn(nil, p, token)
	if l, err := rest.ParsePath(g.rules.str("login", "life")); err == nil && len(l) > 0 && strings.HasPrefix(g.rules.str("login", "life"), "$") {
		tree = setIn(tree, l, 3600)
	}
	_, _ = w.Write(mustJSON(tree))
}

// allows checks the credentials of a request.
func (g *gate) allows(q *inquiry) bool { //nolint:gocyclo // one case for each kind of credentials
	g.mu.Lock()
	defer g.mu.Unlock()
	auth := q.r.Header.Get("Authorization")
	switch g.kind {
	case "oauth2refreshcode":
		return auth == "Bearer proof-access-token" && !g.stale || g.issued[strings.TrimPrefix(auth, "Bearer ")]
	case "basicauthentication", "basic":
		user, password, ok := q.r.BasicAuth()
		if b := g.rules.get("basic"); b != nil {
			return ok && user == g.text(b.str("username")) && password == g.text(b.str("password"))
		}
		return ok && user == plainText(g.params.get("username")) && password == plainText(g.params.get("password"))
	case "keybased", "apikey", "apikeyauthentication":
		return g.keysFit(q)
	case "oauth2clientcredential", "oauth2clientcredentials", "oauth2password":
		token, ok := g.sent(q, "Bearer ")
		return ok && g.issued[token]
	case "bearertoken":
		token, ok := g.sent(q, "Bearer ")
		if t := g.rules.str("token"); t != "" {
			return ok && token == g.text(t)
		}
		return ok && token == plainText(g.params.get(g.first("token", "accessToken", "authKey1")))
	case "sessiontoken":
		token, ok := g.sent(q, "")
		return ok && g.issued[token]
	case "jwtbearer":
		return g.jwtFits(q)
	case "hmacsignature":
		if h := g.rules.get("headers"); h != nil {
			return !slices.ContainsFunc(h.names, func(n string) bool { return q.r.Header.Get(n) == "" })
		}
		return q.r.Header.Get("X-Signature") != ""
	case "awssigv4":
		return strings.Contains(auth, "Credential="+plainText(g.params.get("accessKeyId"))+"/")
	}
	return true
}

// text fills a text with the good credentials.
func (g *gate) text(s string) string {
	return openName.ReplaceAllStringFunc(s, func(m string) string {
		f := openName.FindStringSubmatch(m)
		return plainText(g.params.get(f[1] + f[2]))
	})
}

func (g *gate) jwtFits(q *inquiry) bool {
	token, ok := g.sent(q, "Bearer ")
	if !ok || g.issued[token] {
		return ok
	}
	_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return g.public, nil }, jwt.WithoutClaimsValidation())
	return err == nil
}

// sent is the token of a request, from where the send rule puts it.
func (g *gate) sent(q *inquiry, prefix string) (string, bool) {
	send := g.rules.get("send")
	l := locus{in: "header", name: "Authorization"}
	if send != nil {
		prefix = send.str("prefix")
		for _, place := range []string{"query", "header", "cookie", "body"} {
			if n := send.str(place); n != "" {
				l = locus{in: place, name: n}
			}
		}
	}
	var text string
	switch l.in {
	case "cookie":
		if c, err := q.r.Cookie(l.name); err == nil {
			text = c.Value
		}
	case "body":
		l.path, _ = rest.ParsePath(l.name)
		text, _ = q.value(l)
	default:
		text, _ = q.value(l)
	}
	token, ok := strings.CutPrefix(text, prefix)
	return token, ok && token != ""
}

func (g *gate) keysFit(q *inquiry) bool {
	if name, ok := g.params.get("keyName").(string); ok && name != "" {
		h := q.r.Header.Get(name)
		return h == g.params.get("value") || q.r.URL.Query().Get(name) == g.params.get("value")
	}
	found := false
	for _, n := range g.params.names {
		at := g.props.path(n, "restAttributes")
		want := at.str("prefix") + plainText(g.params.get(n))
		for place, in := range map[string]string{"headerParamName": "header", "queryParamName": "query", "bodyParamName": "body", "cookieParamName": "cookie"} {
			name := at.str(place)
			if name == "" {
				continue
			}
			found = true
			var got string
			switch in {
			case "cookie":
				if c, err := q.r.Cookie(name); err == nil {
					got = c.Value
				}
			case "body":
				got, _ = q.value(locus{in: "body", path: steps(name)})
			default:
				got, _ = q.value(locus{in: in, name: name})
			}
			if got != want {
				return false
			}
		}
	}
	return found
}

// clock is the time of a proof: nothing waits, waiting moves it.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
	c.slept = append(c.slept, d)
	return ctx.Err()
}

// divert is a transport that brings every request to one server, whatever its address.
type divert struct {
	base http.RoundTripper
	host string
}

// RoundTrip sends the request to the server and gives the answer as that of the address asked for.
func (d divert) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Clone(r.Context())
	if r.Host == "" {
		c.Host = r.URL.Host
	}
	c.Header.Set(originHeader, r.URL.Scheme+"://"+r.URL.Host)
	c.URL.Scheme, c.URL.Host = "http", d.host
	resp, err := d.base.RoundTrip(c)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// texts lists the values of an object by name.
func (o *object) texts() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i, n := range o.names {
		out[n] = mustJSON(o.values[i])
	}
	return out
}
