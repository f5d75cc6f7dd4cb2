package author

import (
	"strconv"
	"strings"
)

// credential is a text of an authenticator: a prefix, and the member of config that follows it.
func (a *airbyte) credential(n *node, what string) (prefix, name string) {
	t, err := parseTemplate(n.text())
	if err != nil {
		a.l.add(n, what, "%s", err)
		return "", ""
	}
	if len(t.exprs) == 0 {
		return t.texts[0], ""
	}
	root, members, ok := t.exprs[0].path()
	if !ok {
		if m, _, found := a.fallback(t.exprs[0]); found {
			root, members, ok = "config", []string{m}, true
		}
	}
	if !ok || root != "config" || len(members) == 0 || len(t.exprs) > 1 || t.texts[1] != "" {
		a.l.add(n, what, "%q is more than a prefix and a member of config", n.text())
		return t.texts[0], ""
	}
	for _, m := range members {
		a.secret[m] = true
	}
	return t.texts[0], members[len(members)-1]
}

// authenticator reads the credentials; every stream of a spec shares them.
func (a *airbyte) authenticator(n *node) {
	if n == nil {
		return
	}
	key := string(withoutParameters(n).json())
	if a.authKey == key {
		return
	}
	if a.authKey != "" {
		a.kind(n)
		a.l.add(n, "authenticator", "the spec has one set of auth specs; this one differs from that of the first stream")
		return
	}
	a.authKey = key
	if n.str("type") == "SelectiveAuthenticator" {
		a.l.add(n, "SelectiveAuthenticator", "connections choose the auth spec by its name, not by a member of config")
		if all := n.get("authenticators"); all != nil {
			for _, v := range all.values {
				a.oneAuth(v)
			}
		}
		return
	}
	a.oneAuth(n)
}

// withoutParameters is a value without what was handed down to it.
func withoutParameters(n *node) *node {
	if n == nil || n.kind == scalarNode {
		return n
	}
	out := &node{kind: n.kind}
	for i, v := range n.values {
		if n.kind == listNode {
			out.values = append(out.values, withoutParameters(v))
		} else if n.names[i] != "$parameters" {
			out.set(n.names[i], withoutParameters(v))
		}
	}
	return out
}

func (a *airbyte) oneAuth(n *node) {
	var spec *object
	switch t := a.kind(n); t {
	case "NoAuth", "":
		spec = noAuthSpec()
	case "BearerAuthenticator":
		a.known(n, "api_token")
		a.credential(n.get("api_token"), "api_token")
		spec = bearerSpec()
	case "BasicHttpAuthenticator":
		a.known(n, "username", "password")
		spec = basicSpec()
		for _, part := range []string{"username", "password"} {
			prefix, name := a.credential(a.field(n, part), part)
			if name == "" {
				a.l.add(or2(n.get(part), n), part+" of "+t, "it is the fixed text %q; connections have to give it", prefix)
			}
		}
	case "ApiKeyAuthenticator":
		spec = a.apiKey(n)
	case "OAuthAuthenticator":
		spec = a.oauth(n)
	case "SessionTokenAuthenticator":
		spec = a.session(n)
	case "JwtAuthenticator":
		spec = a.jwt(n)
	case "Custom":
		return
	default:
		a.l.add(n, t, "this authenticator is not carried over")
		return
	}
	if spec == nil {
		return
	}
	for _, old := range a.d.auth {
		if old.get("name") == spec.get("name") {
			return
		}
	}
	a.d.auth = append(a.d.auth, spec)
}

func (a *airbyte) apiKey(n *node) *object {
	a.known(n, "api_token", "header", "inject_into")
	prefix, _ := a.credential(n.get("api_token"), "api_token")
	in, name := "header", a.template(a.field(n, "header"), "header")
	if o := n.get("inject_into"); o != nil {
		if in, name = a.option(o); in == "body" {
			name = strings.TrimPrefix(name, "$.")
		}
	}
	if in == "" || in == "url" {
		a.l.add(n, "ApiKeyAuthenticator", "where the key goes is not told")
		return nil
	}
	return keySpec(in, name, prefix)
}

func (a *airbyte) oauth(n *node) *object {
	a.known(n, "token_refresh_endpoint", "client_id", "client_secret", "refresh_token", "grant_type", "scopes", "expires_in_name", "access_token_name", "access_token_value", "token_expiry_date", "token_expiry_date_format")
	for _, m := range []string{"client_id", "client_secret", "refresh_token", "access_token_value", "token_expiry_date"} {
		if v := n.get(m); v != nil {
			a.credential(v, m)
		}
	}
	url := a.template(n.get("token_refresh_endpoint"), "token_refresh_endpoint")
	for _, m := range []string{"expires_in_name", "access_token_name", "token_expiry_date_format"} {
		if v := n.get(m); v != nil && v.text() != "expires_in" && v.text() != "access_token" {
			a.l.add(v, "OAuthAuthenticator."+m, "give it as requestParameterOverride of the connection")
		}
	}
	if s := n.get("scopes"); s != nil {
		a.l.add(s, "OAuthAuthenticator.scopes", "connections give the scopes they need")
	}
	if n.str("grant_type") == "client_credentials" {
		return clientCredentialSpec(url)
	}
	return refreshSpec(url)
}

// session reads a login and where its token goes.
func (a *airbyte) session(n *node) *object { //nolint:gocyclo // one case for each member of a login
	a.known(n, "login_requester", "session_token_path", "expiration_duration", "request_authentication", "decoder")
	q := n.get("login_requester")
	if a.kind(q) == "Custom" || q == nil {
		return nil
	}
	a.known(q, "url_base", "url", "path", "http_method", "request_body_json", "request_headers", "authenticator", "error_handler", "request_parameters", "request_body_data", "name")
	props := &object{}
	text := func(v *node) any {
		t, err := parseTemplate(v.text())
		if err != nil || len(t.exprs) == 0 {
			return v.plain()
		}
		prefix, name := a.credential(v, "login")
		if name == "" {
			return prefix
		}
		a.config[name] = true
		props.set(paramName(name), secretText(a.props.str(name, "title")))
		if a.props.str(name, "airbyte_secret") != "true" {
			props.set(paramName(name), plainTextSchema(a.props.str(name, "title")))
		}
		return prefix + "${" + paramName(name) + "}"
	}
	object := func(v *node) *object {
		o := &object{}
		for i, name := range v.memberNames() {
			if !strings.HasPrefix(name, "$") {
				o.set(name, text(v.values[i]))
			}
		}
		return o
	}
	url := strings.TrimRight(a.template(or2(a.field(q, "url_base"), a.field(q, "url")), "url_base"), "/")
	if p := a.template(a.field(q, "path"), "path"); p != "" {
		url += "/" + strings.TrimLeft(p, "/")
	}
	token := "$"
	var tokenSb197 strings.Builder
	for _, s := range n.get("session_token_path").list() {
		tokenSb197.WriteString(member(s.text()))
	}
	token += tokenSb197.String()
	login := obj("url", url, "method", or(a.field(q, "http_method").text(), "POST"), "token", token)
	if b := a.field(q, "request_body_json"); b.isObject() {
		login.set("body", object(b))
	}
	if b := a.field(q, "request_body_data"); b.isObject() {
		login.set("form", object(b))
	}
	if h := a.field(q, "request_headers"); h.isObject() {
		login.set("headers", object(h))
	}
	for _, m := range []string{"authenticator", "error_handler", "request_parameters"} {
		if v := q.get(m); v != nil && v.str("type") != "NoAuth" {
			a.l.add(v, "login_requester."+m, "it is not carried over")
		}
	}
	if d := n.str("expiration_duration"); d != "" {
		if life, err := isoDuration(d); err == nil {
			login.set("life", int(life.Seconds()))
		}
	}
	rules := obj("login", login)
	if s := n.get("request_authentication"); s.str("type") == "Bearer" {
		rules.set("send", obj("header", "Authorization", "prefix", "Bearer "))
	} else if in, name := a.option(s.get("inject_into")); in != "" && in != "url" {
		rules.set("send", obj(in, name))
	}
	return obj("name", "Session Token", "type", "SessionToken", "spec", obj("type", "object", "properties", props), "attributes", obj("weir", rules))
}

func (a *airbyte) jwt(n *node) *object {
	a.known(n, "secret_key", "algorithm", "token_duration", "header_prefix", "jwt_headers", "jwt_payload", "base64_encode_secret_key", "additional_jwt_payload")
	a.credential(n.get("secret_key"), "secret_key")
	props := obj("privateKey", secretText("Key."))
	claims := &object{}
	for _, group := range []string{"jwt_payload", "additional_jwt_payload"} {
		p := n.get(group)
		for i, c := range p.memberNames() {
			if strings.HasPrefix(c, "$") {
				continue
			}
			prefix, member := a.credential(p.values[i], group)
			if member == "" {
				claims.set(c, prefix)
				continue
			}
			a.config[member] = true
			props.set(paramName(member), plainTextSchema(a.props.str(member, "title")))
			claims.set(c, prefix+"${"+paramName(member)+"}")
		}
	}
	rules := obj("algorithm", orNil(n.str("algorithm")), "key", "privateKey", "claims", claims)
	if d, err := strconv.Atoi(n.str("token_duration")); err == nil {
		rules.set("lifeSeconds", d)
	}
	if h := n.get("jwt_headers"); h != nil {
		a.l.add(h, "JwtAuthenticator.jwt_headers", "of the headers only kid can be set (weir.keyId)")
	}
	if p := n.get("header_prefix"); p != nil && p.text() != "Bearer" {
		rules.set("send", obj("header", "Authorization", "prefix", strings.TrimSpace(p.text())+" "))
	}
	return obj("name", "Signed Token", "type", "JWTBearer", "spec", obj("type", "object", "properties", props, "required", []string{"privateKey"}), "attributes", obj("weir", rules))
}
