package author

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// authImport is an auth spec under construction.
type authImport struct {
	a     *airbyte
	props *object
	needs []string
	rules *object
}

func (a *airbyte) newAuth() *authImport { return &authImport{a: a, props: &object{}, rules: &object{}} }

// spec writes the auth spec.
func (u *authImport) spec(name, kind string) *object {
	schema := obj("type", "object", "properties", u.props)
	if len(u.needs) > 0 {
		schema.set("required", u.needs)
	}
	out := obj("name", name, "type", kind, "spec", schema)
	if !u.rules.empty() {
		out.set("attributes", obj("weir", u.rules))
	}
	return out
}

// param adds a parameter with the schema of a member of config.
func (u *authImport) param(name string, members []string, secret, required bool) {
	if u.props.get(name) == nil {
		p := u.a.property(members)
		s := u.a.paramSchema(p)
		if secret || p.str("airbyte_secret") == "true" {
			s.set("format", "password")
		}
		u.props.set(name, s)
		if required && s.get("default") == nil {
			u.needs = append(u.needs, name)
		}
	}
	for _, m := range members {
		u.a.secret[m] = true
	}
}

// take reads the text of a credential: a member of config becomes the parameter name, with the text before it. plain is
// false when it is more than that; full is then the whole text with a placeholder for each member.
func (u *authImport) take(n *node, name string, secret bool) (prefix string, plain bool, full string) {
	t, err := parseTemplate(n.text())
	if err != nil {
		u.a.l.add(n, name, "%s", err)
		return "", false, ""
	}
	if len(t.exprs) == 0 {
		text := t.texts[0]
		u.props.set(name, obj("type", "string", "default", text))
		return "", true, text
	}
	if members, d, ok := u.members(t.exprs[0]); ok && len(t.exprs) == 1 && t.texts[1] == "" {
		u.param(name, members, secret, d == "")
		if s, isObj := u.props.get(name).(*object); isObj && d != "" {
			s.set("default", d)
		}
		return t.texts[0], true, t.texts[0] + "${" + name + "}"
	}
	return "", false, u.text(n, name)
}

// members is the member of config that an expression is, with its default.
func (u *authImport) members(e *expr) (members []string, d string, ok bool) {
	if root, m, isPath := e.path(); isPath && root == "config" && len(m) > 0 {
		return m, "", true
	}
	if e.op == "filter" && len(e.args) == 1 && (e.text == "string" || e.text == "trim") {
		return u.members(e.args[0])
	}
	return u.a.fallback(e)
}

// text is a text with a placeholder for each member of config, which becomes a parameter of the auth spec.
func (u *authImport) text(n *node, what string) string {
	if n == nil {
		return ""
	}
	t, err := parseTemplate(n.text())
	if err != nil {
		u.a.l.add(n, what, "%s", err)
		return ""
	}
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i == len(t.exprs) {
			break
		}
		e := t.exprs[i]
		if e.op == "text" || e.op == "number" {
			b.WriteString(e.text)
			continue
		}
		members, d, ok := u.members(e)
		if !ok {
			u.a.l.add(n, what, "the expression in %q is not carried over: it is more than members of config", n.text())
			return ""
		}
		name := paramName(members[len(members)-1])
		u.param(name, members, false, d == "")
		if s, isObj := u.props.get(name).(*object); isObj && d != "" {
			s.set("default", d)
		}
		b.WriteString("${" + name + "}")
	}
	return b.String()
}

// authenticator reads the credentials; every stream of a spec shares them.
func (a *airbyte) authenticator(n *node) {
	if n == nil {
		return
	}
	key := string(mustJSON(withoutParameters(n)))
	if a.authKey == key || n.str("type") == "NoAuth" && a.authKey != "" {
		n.mark(true)
		return
	}
	if a.authKey != "" {
		if a.kind(n) != "Custom" {
			a.l.drop(n, "authenticator", "the spec has one set of auth specs; this one differs from that of the first stream")
		}
		return
	}
	if n.str("type") == "NoAuth" {
		return
	}
	a.authKey = key
	if n.str("type") != "SelectiveAuthenticator" {
		a.addAuth(a.oneAuth(n), "")
		return
	}
	a.l.note(n.get("authenticator_selection_path"), true, "authenticator_selection_path", "a connection chooses the auth spec by its name")
	if path := texts(member2(n, "authenticator_selection_path")); len(path) > 0 {
		a.secret[path[0]] = true
	}
	all := n.get("authenticators")
	for i, v := range all.childNodes() {
		v.mark(false)
		a.addAuth(a.oneAuth(v), all.names[i])
	}
}

func (n *node) childNodes() []*node {
	if n == nil {
		return nil
	}
	return n.values
}

// addAuth puts an auth spec to the others; one of a name that is there gets the name of the choice as well.
func (a *airbyte) addAuth(spec *object, choice string) {
	if spec == nil {
		return
	}
	for _, old := range a.d.auth {
		if old.get("name") == spec.get("name") && choice != "" {
			spec.set("name", fmt.Sprintf("%v (%s)", spec.get("name"), choice))
		}
	}
	a.d.auth = append(a.d.auth, spec)
}

// withoutParameters is a value without what was handed down to it; nobody is noted to have read it.
func withoutParameters(n *node) any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case listNode:
		out := make([]any, len(n.values))
		for i, v := range n.values {
			out[i] = withoutParameters(v)
		}
		return out
	case objectNode:
		o := &object{}
		for i, name := range n.names {
			if name != "$parameters" {
				o.set(name, withoutParameters(n.values[i]))
			}
		}
		return o
	}
	return n.scalar
}

func (a *airbyte) oneAuth(n *node) *object {
	u := a.newAuth()
	switch t := a.kind(n); t {
	case "NoAuth":
		return noAuthSpec()
	case "BearerAuthenticator":
		u.token(n.get("api_token"), obj("header", "Authorization"), "Bearer ")
		return u.spec("Bearer Token", "BearerToken")
	case "BasicHttpAuthenticator":
		u.basic(n)
		return u.spec("Basic Authentication", "BasicAuthentication")
	case "ApiKeyAuthenticator":
		return u.apiKey(n)
	case "OAuthAuthenticator":
		return u.oauth(n)
	case "SessionTokenAuthenticator":
		return u.session(n)
	case "LegacySessionTokenAuthenticator":
		return u.legacySession(n)
	case "JwtAuthenticator":
		u.jwt(n)
		return u.spec("Signed Token", "JWTBearer")
	case "Custom":
		return nil
	default:
		a.l.drop(n, or(t, "authenticator"), "this authenticator is not carried over")
		return nil
	}
}

// token reads a token that is sent as it is.
func (u *authImport) token(n *node, at *object, before string) {
	prefix, plain, full := u.take(n, "token", true)
	if !plain {
		u.rules.set("token", full)
	}
	if before+prefix != "Bearer " || at.str("header") != "Authorization" {
		at.set("prefix", before+prefix)
		u.rules.set("send", at)
	}
}

func (u *authImport) basic(n *node) {
	texts := &object{}
	special := false
	for _, part := range []string{"username", "password"} {
		v := u.a.field(n, part)
		if v == nil { // there is none: an empty text
			u.props.set(part, obj("type", "string", "default", ""))
			texts.set(part, "")
			special = true
			continue
		}
		prefix, plain, full := u.take(v, part, part == "password")
		special = special || !plain || prefix != ""
		if s, ok := u.props.get(part).(*object); ok && s.get("default") != nil && len(s.names) == 2 {
			special = special || s.get("default") == ""
			full = "${" + part + "}"
		}
		texts.set(part, full)
	}
	if special {
		u.rules.set("basic", texts)
	}
}

func (u *authImport) apiKey(n *node) *object {
	in, name := "header", u.a.template(u.a.field(n, "header"), "header")
	if o := n.get("inject_into"); o != nil {
		in, name = u.a.option(o)
	}
	if in == "" || in == "url" || name == "" {
		u.a.l.drop(n, "ApiKeyAuthenticator", "where the key goes is not told")
		return nil
	}
	prefix, plain, full := u.take(n.get("api_token"), "authKey1", true)
	if !plain || in == "body" && strings.Count(name, ".") > 1 {
		u.rules.set("token", full)
		u.rules.set("send", obj(in, name, "prefix", ""))
		return u.spec("API Key Authentication", "BearerToken")
	}
	if in == "body" {
		name = strings.Trim(strings.TrimPrefix(name, "$"), ".['\"]")
	}
	if s, ok := u.props.get("authKey1").(*object); ok {
		s.set("restAttributes", obj(in+"ParamName", name, "prefix", orNil(prefix)))
	}
	return u.spec("API Key Authentication", "KeyBased")
}

// oauth reads a token that is fetched.
func (u *authImport) oauth(n *node) *object {
	a := u.a
	if n.str("use_profile_assertion") == "true" {
		u.jwt(n.get("profile_assertion"))
		u.props.set("accessTokenUrl", obj("type", "string", "default", orNil(u.text(n.get("token_refresh_endpoint"), "token_refresh_endpoint"))))
		for _, m := range []string{"grant_type", "grant_type_name", "client_id", "client_secret", "refresh_token"} {
			n.get(m).text()
		}
		return u.spec("Signed Token", "JWTBearer")
	}
	kind := or(n.str("grant_type"), "refresh_token")
	url := u.text(n.get("token_refresh_endpoint"), "token_refresh_endpoint")
	u.props.set("accessTokenUrl", obj("type", "string", "description", "Address that gives access tokens.", "default", orNil(url)))
	if url == "" {
		u.needs = append(u.needs, "accessTokenUrl")
	}
	for _, p := range []struct {
		from, to string
		secret   bool
	}{
		{"client_id", "clientId", false},
		{"client_secret", "clientSecret", true},
		{"refresh_token", "refreshToken", true},
		{"access_token_value", "accessToken", true},
		{"token_expiry_date", "expirationDate", false},
	} {
		v := n.get(p.from)
		if v == nil || v.text() == "" {
			continue
		}
		if prefix, plain, _ := u.take(v, p.to, p.secret); !plain || prefix != "" {
			a.l.add(v, "OAuthAuthenticator."+p.from, "%q is more than a member of config", v.text())
		}
	}
	u.grant(n, kind)
	if kind == "refresh_token" {
		for _, name := range []string{"accessToken", "expirationDate"} {
			if u.props.get(name) == nil {
				u.props.set(name, map[string]*object{"accessToken": secretText("Access token."), "expirationDate": plainTextSchema("When the access token expires; -1 if unknown.")}[name])
			}
			u.needs = slices.DeleteFunc(u.needs, func(x string) bool { return x == name })
		}
		u.consent()
		return u.spec("OAuth2 Refresh Code", "OAuth2RefreshCode")
	}
	return u.spec("OAuth2 Client Credential", "OAuth2ClientCredential")
}

// grant reads what a request for a token has besides the usual.
func (u *authImport) grant(n *node, kind string) { //nolint:gocyclo // one case for each member of an authenticator
	a, g := u.a, &object{}
	if kind != "refresh_token" && kind != "client_credentials" {
		g.set("type", kind)
	}
	for from, to := range map[string]string{"refresh_request_body": "fields", "refresh_request_headers": "headers"} {
		o := &object{}
		m := n.get(from)
		for i, v := range m.childNodes() {
			if v.mark(false); !strings.HasPrefix(m.names[i], "$") {
				o.set(m.names[i], u.text(v, from))
			}
		}
		if !o.empty() {
			g.set(to, o)
		}
	}
	for _, p := range []struct{ from, to, usual string }{
		{"client_id_name", "clientId", "client_id"},
		{"client_secret_name", "clientSecret", "client_secret"},
		{"refresh_token_name", "refreshToken", "refresh_token"},
		{"access_token_name", "accessToken", "access_token"},
		{"expires_in_name", "expiresIn", "expires_in"},
	} {
		if t := n.str(p.from); t != "" && t != p.usual {
			g.set(p.to, t)
		}
	}
	if r := n.get("refresh_token_updater"); r != nil {
		if t := r.str("refresh_token_name"); t != "" && t != "refresh_token" {
			g.set("newRefreshToken", t)
		}
		for _, m := range []string{"access_token_config_path", "refresh_token_config_path", "token_expiry_date_config_path", "refresh_token_error_status_codes", "refresh_token_error_key", "refresh_token_error_values"} {
			r.get(m).mark(true) // new tokens are always stored, and what is refused is an error
		}
	}
	if t := n.str("grant_type_name"); t != "" && t != "grant_type" {
		a.l.add(n.get("grant_type_name"), "OAuthAuthenticator.grant_type_name", "the grant is sent as grant_type")
	}
	if f := n.get("token_expiry_date_format"); f != nil {
		a.l.note(f, false, "OAuthAuthenticator.token_expiry_date_format", "a lifetime that is no number of seconds is not known; the token is renewed when it is refused")
	}
	switch scopes := texts(n.get("scopes")); {
	case len(scopes) == 0:
	case kind == "refresh_token":
		a.l.note(n.get("scopes"), false, "OAuthAuthenticator.scopes", "a renewed token keeps the scopes that were granted")
	default:
		u.props.set("scope", obj("type", "string", "description", "Scopes, separated by blanks.", "default", strings.Join(scopes, " ")))
	}
	if g = g.ordered("type", "fields", "headers", "clientId", "clientSecret", "refreshToken", "accessToken", "newRefreshToken", "expiresIn"); !g.empty() {
		u.rules.set("grant", g)
	}
}

// consent reads where a person agrees to the access.
func (u *authImport) consent() {
	adv := u.a.doc.path("spec", "advanced_auth")
	if adv == nil {
		return
	}
	in := adv.path("oauth_config_specification", "oauth_connector_input_specification")
	url := in.str("consent_url")
	u.a.l.note(adv, true, "advanced_auth", "its consent address is that of the auth spec; the rest concerns the other program's pages")
	address, query, _ := strings.Cut(url, "?")
	if address == "" || strings.Contains(address, "{{") {
		return
	}
	c := obj("authorizeUrl", address, "scope", orNil(in.str("scope")))
	params := &object{}
	for part := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(part, "="); ok && !strings.Contains(part, "{{") && name != "response_type" {
			params.set(name, value)
		}
	}
	if !params.empty() {
		c.set("params", params)
	}
	u.rules.set("consent", c)
}

// session reads a login and where its token goes.
func (u *authImport) session(n *node) *object { //nolint:gocyclo // one case for each member of a login
	a, q := u.a, n.get("login_requester")
	if a.kind(q) == "Custom" || q == nil {
		return nil
	}
	url := strings.TrimRight(u.text(or2(a.field(q, "url_base"), a.field(q, "url")), "url_base"), "/")
	if p := u.text(a.field(q, "path"), "path"); p != "" {
		url += "/" + strings.TrimLeft(p, "/")
	}
	if ps := a.field(q, "request_parameters"); ps.isObject() {
		ps.mark(false)
		var query []string
		for i, v := range ps.values {
			if strings.HasPrefix(ps.names[i], "$") {
				continue
			}
			v.mark(false)
			query = append(query, ps.names[i]+"="+u.text(v, "request_parameters"))
		}
		if len(query) > 0 {
			url += map[bool]string{true: "&", false: "?"}[strings.Contains(url, "?")] + strings.Join(query, "&")
		}
	}
	login := obj("url", url, "method", or(a.field(q, "http_method").text(), "POST"), "token", pathIn(texts(n.get("session_token_path"))))
	for from, to := range map[string]string{"request_body_json": "body", "request_body_data": "form", "request_headers": "headers"} {
		if b := a.field(q, from); b.isObject() {
			login.set(to, u.object(b))
		} else if b != nil {
			a.l.drop(b, "login_requester."+from, "a text is not carried over")
		}
	}
	if b := q.get("request_body"); b != nil {
		b.str("type")
		to := map[string]string{"RequestBodyJsonObject": "body", "RequestBodyUrlEncodedForm": "form"}[b.str("type")]
		if v := b.get("value"); to != "" && v.isObject() {
			login.set(to, u.object(v))
		} else {
			a.l.drop(b, "login_requester.request_body", "this body is not carried over")
		}
	}
	u.loginAuth(q.get("authenticator"), login)
	if e := q.get("error_handler"); e != nil {
		a.l.drop(e, "login_requester.error_handler", "a login that is refused fails the run")
	}
	q.get("name").text()
	if d := n.str("expiration_duration"); d != "" {
		if life, err := isoDuration(d); err == nil && life > 0 {
			login.set("life", int(life.Seconds()))
		} else {
			a.l.add(n.get("expiration_duration"), "expiration_duration", "%q is not a length of days and hours", d)
		}
	}
	if d := n.get("decoder"); d.str("type") != "" && d.str("type") != "JsonDecoder" {
		a.l.drop(d, "SessionTokenAuthenticator.decoder", "the answer to a login is read as JSON")
	}
	u.rules.set("login", login.ordered("url", "method", "headers", "user", "password", "body", "form", "token", "life"))
	s := n.get("request_authentication")
	if s.str("type") == "Bearer" {
		u.rules.set("send", obj("header", "Authorization", "prefix", "Bearer "))
	} else if in, name := a.option(s.get("inject_into")); in != "" && in != "url" {
		u.rules.set("send", obj(in, name))
	}
	return u.spec("Session Token", "SessionToken")
}

// object fills the texts of a body or of headers.
func (u *authImport) object(n *node) *object {
	n.mark(false)
	o := &object{}
	for i, name := range n.names {
		v := n.values[i]
		switch v.mark(false); {
		case strings.HasPrefix(name, "$"):
		case v.isObject():
			o.set(name, u.object(v))
		case v.kind == scalarNode && strings.Contains(v.text(), "{{"):
			o.set(name, u.text(v, name))
		default:
			o.set(name, v.plain())
		}
	}
	return o
}

// loginAuth reads the credentials of the login itself.
func (u *authImport) loginAuth(n *node, login *object) {
	switch t := u.a.kind(n); t {
	case "", "NoAuth", "Custom":
	case "BasicHttpAuthenticator":
		login.set("user", u.text(n.get("username"), "username"))
		login.set("password", u.text(n.get("password"), "password"))
	case "BearerAuthenticator":
		h, _ := login.get("headers").(*object)
		if h == nil {
			h = &object{}
			login.set("headers", h)
		}
		h.set("Authorization", "Bearer "+u.text(n.get("api_token"), "api_token"))
	case "ApiKeyAuthenticator":
		in, name := "header", u.a.template(n.get("header"), "header")
		if o := n.get("inject_into"); o != nil {
			in, name = u.a.option(o)
		}
		if in != "header" {
			u.a.l.drop(n, "login_requester.authenticator", "a key that goes elsewhere than a header is not carried over")
			return
		}
		h, _ := login.get("headers").(*object)
		if h == nil {
			h = &object{}
			login.set("headers", h)
		}
		h.set(name, u.text(n.get("api_token"), "api_token"))
	default:
		u.a.l.drop(n, "login_requester.authenticator", "%s is not carried over", t)
	}
}

// legacySession reads the older form of a login: paths of the source, user name and password.
func (u *authImport) legacySession(n *node) *object {
	a := u.a
	body := &object{}
	for _, m := range []string{"username", "password"} {
		if v := a.field(n, m); v != nil {
			body.set(m, u.text(v, m))
		}
	}
	url := strings.TrimRight(u.text(a.field(n, "api_url"), "api_url"), "/") + "/" + strings.TrimLeft(u.text(a.field(n, "login_url"), "login_url"), "/")
	if v := n.get("session_token"); v.text() != "" {
		a.l.note(v, false, "session_token", "a session is always asked for with the user name and the password")
	}
	if v := n.get("validate_session_url"); v != nil {
		a.l.note(v, false, "validate_session_url", "a session that is refused is asked for anew")
	}
	u.rules.set("login", obj("url", url, "method", "POST", "body", body, "token", pathIn([]string{a.field(n, "session_token_response_key").text()})))
	u.rules.set("send", obj("header", a.template(a.field(n, "header"), "header")))
	return u.spec("Session Token", "SessionToken")
}

// jwt reads a token that is signed here.
func (u *authImport) jwt(n *node) {
	a := u.a
	if n.get("type") != nil {
		a.kind(n)
	}
	if _, plain, _ := u.take(n.get("secret_key"), "privateKey", true); !plain {
		a.l.add(n.get("secret_key"), "secret_key", "it is more than a member of config")
	}
	if n.str("base64_encode_secret_key") == "true" {
		a.l.add(n.get("base64_encode_secret_key"), "base64_encode_secret_key", "the key is used as it is; give it in Base64")
	}
	if p := n.get("passphrase"); p != nil {
		a.l.drop(p, "passphrase", "the key must not be encrypted")
	}
	claims := &object{}
	for _, group := range []string{"jwt_payload", "additional_jwt_payload"} {
		p := n.get(group)
		for i, v := range p.childNodes() {
			if v.mark(false); strings.HasPrefix(p.names[i], "$") {
				continue
			}
			if v.kind == scalarNode && strings.Contains(v.text(), "{{") {
				claims.set(p.names[i], u.text(v, p.names[i]))
			} else {
				claims.set(p.names[i], v.plain())
			}
		}
	}
	u.rules.set("algorithm", n.str("algorithm"))
	if strings.Contains(n.str("algorithm"), "{{") {
		a.l.add(n.get("algorithm"), "algorithm", "the algorithm is fixed; RS256 is taken")
		u.rules.set("algorithm", "RS256")
	}
	u.rules.set("key", "privateKey")
	if !claims.empty() {
		u.rules.set("claims", claims)
	}
	u.jwtHeader(n)
	u.rules.set("lifeSeconds", 1200)
	if d, err := strconv.Atoi(n.str("token_duration")); err == nil && d > 0 {
		u.rules.set("lifeSeconds", d)
	}
	in, name := "header", "Authorization"
	if o := n.get("request_option"); o != nil {
		in, name = a.option(o)
	}
	prefix := ""
	if p := strings.TrimSpace(u.text(n.get("header_prefix"), "header_prefix")); p != "" {
		prefix = p + " "
	}
	if in+name+prefix != "headerAuthorizationBearer " && in != "" {
		u.rules.set("send", obj(in, name, "prefix", prefix))
	}
}

func (u *authImport) jwtHeader(n *node) {
	header := &object{}
	for _, group := range []string{"jwt_headers", "additional_jwt_headers"} {
		p := n.get(group)
		for i, v := range p.childNodes() {
			v.mark(false)
			switch name := p.names[i]; {
			case strings.HasPrefix(name, "$") || name == "typ" && v.text() == "JWT":
			case name == "kid":
				u.rules.set("keyId", u.text(v, name))
			default:
				header.set(name, u.text(v, name))
			}
		}
	}
	if !header.empty() {
		u.rules.set("headers", header)
	}
}

// withoutOpen takes away source parameters that every auth spec has as well: they come with the connection.
func (a *airbyte) withoutOpen() {
	if a.d.params == nil {
		return
	}
	out := &object{}
	for i, name := range a.d.params.names {
		everywhere := len(a.d.auth) > 0
		for _, spec := range a.d.auth {
			schema, _ := spec.get("spec").(*object)
			props, _ := schema.get("properties").(*object)
			p, has := props.get(name).(*object)
			everywhere = everywhere && has && p.get("format") != "password"
		}
		if everywhere {
			a.d.needs = slices.DeleteFunc(a.d.needs, func(x string) bool { return x == name })
			continue
		}
		out.set(name, a.d.params.values[i])
	}
	a.d.params = out
}
