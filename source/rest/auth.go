package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"weir"
)

// authenticator adds credentials to requests that go to the source's own origin.
type authenticator interface {
	// apply puts the credentials into the request; it overwrites what the spec put at the same place.
	apply(ctx context.Context, r *request) error
	// renew is called once when a request was refused with 401. It reports whether a new try makes sense.
	renew(ctx context.Context, refused *http.Request) (bool, error)
}

// signer is an authenticator that also signs the finished request.
type signer interface {
	sign(ctx context.Context, req *http.Request, body []byte) error
}

// authenticators makes the authenticator of each auth type, named as looseName folds it.
var authenticators = map[string]func(*credentials) authenticator{
	"":                        func(*credentials) authenticator { return noAuth{} },
	"noauth":                  func(*credentials) authenticator { return noAuth{} },
	"oauth2refreshcode":       func(c *credentials) authenticator { return &refreshAuth{c: c} },
	"basicauthentication":     func(c *credentials) authenticator { return basicAuth{c} },
	"basic":                   func(c *credentials) authenticator { return basicAuth{c} },
	"keybased":                func(c *credentials) authenticator { return keyAuth{c} },
	"apikey":                  func(c *credentials) authenticator { return keyAuth{c} },
	"apikeyauthentication":    func(c *credentials) authenticator { return keyAuth{c} },
	"oauth2clientcredential":  func(c *credentials) authenticator { return newGrant(c, "client_credentials") },
	"oauth2clientcredentials": func(c *credentials) authenticator { return newGrant(c, "client_credentials") },
	// Ours (authSpec[].attributes.weir).
	"oauth2password": func(c *credentials) authenticator { return newGrant(c, "password") },
	"bearertoken":    func(c *credentials) authenticator { return &staticAuth{c: c} },
	"sessiontoken":   newSession,
	"jwtbearer":      newJWT,
	"hmacsignature":  func(c *credentials) authenticator { return hmacAuth{c} },
	"awssigv4":       func(c *credentials) authenticator { return sigv4Auth{c} },
}

// credentials is what an authenticator works with.
type credentials struct {
	spec   *authSpec
	params map[string]json.RawMessage
	rotate func(ctx context.Context, renew func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error)
	client *Client
	opt    *Options
	mask   *masker
	key    string // names these credentials in the token cache
}

func (c *credentials) text(names ...string) string {
	for _, n := range names {
		if t, ok := scalarText(c.params[n]); ok && t != "" {
			return t
		}
	}
	return ""
}

// looseName folds a name for loose matching: case, blanks, dashes and underscores do not count (ruling R19).
func looseName(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '_', '\t':
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// matchAuth finds the auth spec a client named: by exact name, else loosely by name or type.
func (s *spec) matchAuth(name string) *authSpec {
	for i := range s.AuthSpec {
		if s.AuthSpec[i].Name == name {
			return &s.AuthSpec[i]
		}
	}
	for i := range s.AuthSpec {
		if a := &s.AuthSpec[i]; looseName(a.Name) == looseName(name) || looseName(a.Type) == looseName(name) {
			return a
		}
	}
	return nil
}

// openAuth makes the authenticator of a binding.
func openAuth(s *spec, b *weir.Binding, client *Client, opt *Options, mask *masker) (authenticator, error) {
	if b.AuthSpec == "" {
		return noAuth{}, nil
	}
	a := s.matchAuth(b.AuthSpec)
	if a == nil {
		return nil, weir.Errorf("FLOW-1415-400", "the auth spec %q is not one of this connection spec", b.AuthSpec)
	}
	open := authenticators[looseName(a.Type)]
	if open == nil {
		return nil, weir.Errorf("CONNECTOR-1302-400", "the auth type %q is not supported for REST sources", a.Type)
	}
	c := &credentials{spec: a, rotate: b.Rotate, client: client, opt: opt, mask: mask, key: b.ConnectionID}
	if len(b.Auth) > 0 {
		if err := json.Unmarshal(b.Auth, &c.params); err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "auth.params must be an object")
		}
	}
	c.params = a.filled(c.params)
	mask.add(secretsOf(c.params, a.secret)...)
	return open(c), nil
}

// filled adds the defaults of the auth spec's schema to the parameters that were not given.
func (a *authSpec) filled(given map[string]json.RawMessage) map[string]json.RawMessage {
	out := given
	members(pluck(a.Spec, path{{name: "properties"}}), func(name, value []byte) bool {
		n := unquote(name)
		if d := pluck(value, path{{name: "default"}}); len(d) > 0 && string(d) != "null" && len(given[n]) == 0 {
			if len(out) == len(given) {
				out = maps.Clone(given)
			}
			if out == nil {
				out = map[string]json.RawMessage{}
			}
			out[n] = slices.Clone(d)
		}
		return true
	})
	return out
}

type noAuth struct{}

func (noAuth) apply(context.Context, *request) error { return nil }

func (noAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

type basicAuth struct{ c *credentials }

func (a basicAuth) apply(_ context.Context, r *request) error {
	plain := a.c.text("username", "userName") + ":" + a.c.text("password")
	if b := a.c.spec.Attributes.Weir.Basic; b != nil {
		e := &expander{params: &params{layers: []map[string]json.RawMessage{a.c.params}}, blanks: true}
		if plain = e.text(b.Username) + ":" + e.text(b.Password); e.err() != nil {
			return e.err()
		}
	}
	code := base64.StdEncoding.EncodeToString([]byte(plain))
	a.c.mask.add(code)
	r.setHeader("Authorization", "Basic "+code)
	return nil
}

func (basicAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

// keyAuth puts each key where its property says: restAttributes.headerParamName, queryParamName or bodyParamName. The
// 2021 form has one key with its name in the parameters.
type keyAuth struct{ c *credentials }

func (a keyAuth) apply(_ context.Context, r *request) error {
	if name := a.c.text("keyName"); name != "" {
		if strings.EqualFold(a.c.spec.Attributes.AuthParams.AddTo, "query") {
			r.setParam(name, a.c.text("value"))
		} else {
			r.setHeader(name, a.c.text("value"))
		}
		return nil
	}
	placed := false
	for _, p := range a.c.spec.properties() {
		value := a.c.text(p.name)
		if value == "" {
			continue
		}
		at := p.Rest
		placed = placed || at.Header+at.Query+at.Body+at.Cookie != ""
		value = at.Prefix + value
		if at.Header != "" {
			r.setHeader(at.Header, value)
		}
		if at.Cookie != "" {
			r.addCookie(at.Cookie, value)
		}
		if at.Query != "" {
			r.setParam(at.Query, value)
		}
		if at.Body != "" {
			if err := r.setMember(at.Body, value); err != nil {
				return err
			}
		}
	}
	if !placed {
		return weir.Errorf("CONNECTOR-1302-400", "no key of the auth spec %q has a place; give its property restAttributes.headerParamName, queryParamName, bodyParamName or cookieParamName", a.c.spec.Name)
	}
	return nil
}

func (keyAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

// property is one auth parameter of a spec's schema.
type property struct {
	name   string
	Format string `json:"format"`
	Rest   struct {
		Header string `json:"headerParamName"`
		Query  string `json:"queryParamName"`
		Body   string `json:"bodyParamName"`
		Cookie string `json:"cookieParamName"`
		Prefix string `json:"prefix"`
	} `json:"restAttributes"`
}

// properties lists the parameters of an auth spec in the order of its schema.
func (a *authSpec) properties() []property {
	var out []property
	members(pluck(a.Spec, path{{name: "properties"}}), func(name, value []byte) bool {
		p := property{name: unquote(name)}
		if json.Unmarshal(value, &p) == nil {
			out = append(out, p)
		}
		return true
	})
	return out
}

// secret reports whether the value of an auth parameter must never be shown: format password in its schema, or a
// telling name.
func (a *authSpec) secret(name string) bool {
	if secretName.MatchString(name) || looseName(a.Type) == "apikey" && name == "value" {
		return true
	}
	for _, p := range a.properties() {
		if p.name == name {
			return p.Format == "password"
		}
	}
	return false
}
