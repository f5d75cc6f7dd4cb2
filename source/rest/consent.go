package rest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"weir"
)

// consentRules describe where a person agrees to the access (OAuth 2.0 authorization code, RFC 6749 §4.1).
type consentRules struct {
	AuthorizeURL string            `json:"authorizeUrl"` // may hold ${name} of the auth parameters
	Scope        string            `json:"scope"`
	Params       map[string]string `json:"params"` // further query parameters
	NoPKCE       bool              `json:"noPkce"` // for servers that refuse what they do not know
}

// Consent is the start of an authorization-code flow: the address to send the person to, and what has to be remembered
// until the person comes back.
type Consent struct {
	URL string `json:"url"`
	// State comes back with the code; another one must be refused. Verifier proves that who starts the flow ends it (RFC 7636).
	State    string `json:"state"`
	Verifier string `json:"verifier"`
}

// consentOf finds the rules and the credentials of a binding.
func consentOf(b *weir.Binding, opt *Options) (*consentRules, *credentials, error) {
	s, err := Open(context.Background(), weir.Binding{Spec: b.Spec, Auth: b.Auth}, *opt)
	if err != nil {
		return nil, nil, err
	}
	a := s.spec.matchAuth(b.AuthSpec)
	if a == nil {
		return nil, nil, weir.Errorf("FLOW-1415-400", "the auth spec %q is not one of this connection spec", b.AuthSpec)
	}
	rules := a.Attributes.Weir.Consent
	if rules == nil || rules.AuthorizeURL == "" {
		return nil, nil, weir.Errorf("CONNECTOR-1302-400", "the auth spec %q has no attributes.weir.consent with authorizeUrl", a.Name)
	}
	c := &credentials{spec: a, client: s.client, opt: &s.opt, mask: s.mask}
	if len(b.Auth) > 0 {
		if err := json.Unmarshal(b.Auth, &c.params); err != nil {
			return nil, nil, weir.Errorf("CONNECTOR-1312-400", "auth.params must be an object")
		}
	}
	c.mask.add(secretsOf(c.params, a.secret)...)
	return rules, c, nil
}

// StartConsent begins an authorization-code flow for the auth spec of a binding, which needs Spec, AuthSpec and Auth with
// clientId. redirect is the address the person comes back to with a code.
func StartConsent(b weir.Binding, redirect string, opt Options) (Consent, error) {
	rules, c, err := consentOf(&b, &opt)
	if err != nil {
		return Consent{}, err
	}
	address, err := c.expand(rules.AuthorizeURL)
	if err != nil {
		return Consent{}, err
	}
	u, err := parseAddress(address)
	if err != nil {
		return Consent{}, weir.Errorf("CONNECTOR-1312-400", "authorizeUrl: %w", err)
	}
	id := c.text("clientId")
	if id == "" {
		return Consent{}, weir.Errorf("CONNECTOR-1304-400", "clientId is missing in the auth parameters")
	}
	out := Consent{State: randomText(), Verifier: randomText()}
	q := u.Query()
	for _, name := range slices.Sorted(maps.Keys(rules.Params)) {
		q.Set(name, rules.Params[name])
	}
	q.Set("response_type", "code")
	q.Set("client_id", id)
	q.Set("redirect_uri", redirect)
	q.Set("state", out.State)
	if rules.Scope != "" {
		q.Set("scope", rules.Scope)
	}
	if !rules.NoPKCE {
		sum := sha256.Sum256([]byte(out.Verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = q.Encode()
	out.URL = u.String()
	return out, nil
}

// FinishConsent trades the code that came back for tokens and returns the auth parameters with them, ready to be stored
// for an auth spec of type OAuth2RefreshCode.
func FinishConsent(ctx context.Context, b weir.Binding, code, verifier, redirect string, opt Options) (json.RawMessage, error) {
	rules, c, err := consentOf(&b, &opt)
	if err != nil {
		return nil, err
	}
	names := c.override()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}}
	c.mask.add(code, verifier)
	if !rules.NoPKCE {
		form.Set("code_verifier", verifier)
	}
	var basic *url.Userinfo
	if c.spec.Attributes.Weir.ClientAuth == "basic" {
		basic = url.UserPassword(c.text("clientId"), c.text("clientSecret"))
	} else {
		form.Set(names.ClientID, c.text("clientId"))
		if secret := c.text("clientSecret"); secret != "" {
			form.Set(names.ClientSecret, secret)
		}
	}
	address, err := c.expand(c.text("accessTokenUrl"))
	if err != nil {
		return nil, err
	}
	answer, err := c.token(ctx, address, names.Method, form, basic)
	if err != nil {
		return nil, err
	}
	fresh, err := c.accept(c.params, answer, names)
	if err != nil {
		return nil, err
	}
	return plainJSON(fresh)
}

// StartConsent begins a consent for the credentials of the source's binding; see the function of that name.
func (s *Source) StartConsent(redirect string) (Consent, error) {
	return StartConsent(s.b, redirect, s.opt)
}

// FinishConsent trades a code for tokens. current are the auth parameters as they are stored now.
func (s *Source) FinishConsent(ctx context.Context, current json.RawMessage, code, verifier, redirect string) (json.RawMessage, error) {
	b := s.b
	b.Auth = current
	return FinishConsent(ctx, b, code, verifier, redirect, s.opt)
}

func randomText() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}
