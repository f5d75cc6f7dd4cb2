package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir"
)

// refreshAuth is OAuth2RefreshCode: a bearer token that is renewed when it has expired or was refused, if there are a
// refresh token and a token address. New tokens are stored before they are used.
type refreshAuth struct {
	mu   sync.Mutex
	c    *credentials
	home string // the source's origin
	// pending are renewed parameters that could not be stored yet; the grant they came from may be spent.
	pending json.RawMessage
}

func (a *refreshAuth) apply(ctx context.Context, r *request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.home = r.home()
	if (a.expired(a.c.params) || a.c.text("accessToken") == "") && a.canRenew() {
		if err := a.swap(ctx, a.c.text("accessToken")); err != nil {
			return err
		}
	}
	r.setHeader("Authorization", "Bearer "+a.c.text("accessToken"))
	return nil
}

func (a *refreshAuth) renew(ctx context.Context, refused *http.Request) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	used := strings.TrimPrefix(refused.Header.Get("Authorization"), "Bearer ")
	if used != a.c.text("accessToken") {
		return true, nil // somebody renewed in the meantime
	}
	if !a.canRenew() {
		return false, nil
	}
	return true, a.swap(ctx, used)
}

func (a *refreshAuth) canRenew() bool {
	return a.c.text("refreshToken") != "" && a.c.text("accessTokenUrl") != ""
}

// expired reads expirationDate: "", "-1" and what cannot be read mean unknown.
func (a *refreshAuth) expired(p map[string]json.RawMessage) bool {
	text, _ := scalarText(p["expirationDate"])
	at, ok := parseExpiry(strings.TrimSpace(text))
	return ok && !a.c.opt.Now().Before(at)
}

func parseExpiry(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return weir.EpochTime(n), true
	}
	return time.Time{}, false
}

// swap renews the token used, unless the stored one is another already. One process at a time renews (Binding.Rotate).
func (a *refreshAuth) swap(ctx context.Context, used string) error {
	renew := func(ctx context.Context, current json.RawMessage) (json.RawMessage, error) {
		if a.pending != nil {
			return a.pending, nil
		}
		var now map[string]json.RawMessage
		if err := json.Unmarshal(current, &now); err != nil {
			return nil, weir.Errorf("CONNECTOR-1014-400", "the stored auth parameters are not an object")
		}
		if t, _ := scalarText(now["accessToken"]); t != used && t != "" && !a.expired(now) {
			return current, nil
		}
		fresh, err := a.request(ctx, now)
		if err != nil {
			return nil, err
		}
		a.pending, err = plainJSON(fresh)
		return a.pending, err
	}
	var stored json.RawMessage
	var err error
	if a.c.rotate == nil {
		current, merr := plainJSON(a.c.params)
		if merr != nil {
			return merr
		}
		stored, err = renew(ctx, current)
	} else {
		stored, err = a.c.rotate(ctx, renew)
	}
	if err != nil {
		return err
	}
	a.pending = nil
	var params map[string]json.RawMessage
	if err := json.Unmarshal(stored, &params); err != nil {
		return weir.Errorf("CONNECTOR-1014-400", "the stored auth parameters are not an object")
	}
	a.c.params = a.c.spec.filled(params)
	a.c.mask.add(secretsOf(params, a.c.spec.secret)...)
	return nil
}

// request asks the token address for new tokens and returns the parameters with them.
func (a *refreshAuth) request(ctx context.Context, p map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	p = a.c.spec.filled(p)
	text := func(name string) string { t, _ := scalarText(p[name]); return t }
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text("refreshToken")}}
	names := a.c.override()
	var basic *url.Userinfo
	if a.c.spec.Attributes.Weir.ClientAuth == "basic" {
		basic = url.UserPassword(text("clientId"), text("clientSecret"))
	} else {
		for param, field := range map[string]string{"clientId": names.ClientID, "clientSecret": names.ClientSecret} {
			if v := text(param); v != "" {
				form.Set(field, v)
			}
		}
	}
	address, err := a.c.expand(text("accessTokenUrl"))
	if err != nil {
		return nil, err
	}
	answer, err := a.c.token(ctx, a.c.resolve(address, a.home), names.Method, form, basic)
	if err != nil {
		return nil, err
	}
	return a.c.accept(p, answer, names)
}

// accept puts the tokens of an answer into a copy of the parameters, with the time they expire.
func (c *credentials) accept(p, answer map[string]json.RawMessage, names override) (map[string]json.RawMessage, error) {
	access := answer[names.AccessToken]
	if t, ok := scalarText(access); !ok || t == "" {
		return nil, weir.Errorf("CONNECTOR-1308-400", "the token address answered without %s", names.AccessToken)
	}
	out := maps.Clone(p)
	out["accessToken"] = access
	if t, ok := scalarText(answer[names.RefreshToken]); ok && t != "" {
		out["refreshToken"] = answer[names.RefreshToken]
	}
	out["expirationDate"] = json.RawMessage(`"-1"`)
	if life, ok := lifetime(answer[names.ExpiresIn]); ok {
		out["expirationDate"] = quote(c.opt.Now().Add(life).UTC().Format(time.RFC3339Nano))
	}
	return out, nil
}

// lifetime reads expires_in (seconds) and takes off a margin for the way.
func lifetime(raw json.RawMessage) (time.Duration, bool) {
	text, _ := scalarText(raw)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		return 0, false
	}
	life := time.Duration(n * float64(time.Second))
	return life - min(30*time.Second, life/10), true
}

// override is requestParameterOverride with its defaults (§6.2).
type override struct {
	AccessToken  string `json:"accessTokenField"`
	RefreshToken string `json:"refreshTokenField"`
	ExpiresIn    string `json:"expireInField"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	Method       string `json:"authenticationMethod"`
}

func (c *credentials) override() override {
	var o override
	raw := c.params["requestParameterOverride"]
	if text, ok := scalarText(raw); ok && text != "" {
		raw = json.RawMessage(text) // sent as JSON in text
	}
	_ = json.Unmarshal(raw, &o) // optional: anything else means the defaults
	for _, d := range []struct {
		to   *string
		text string
	}{
		{&o.AccessToken, "access_token"},
		{&o.RefreshToken, "refresh_token"},
		{&o.ExpiresIn, "expires_in"},
		{&o.ClientID, "client_id"},
		{&o.ClientSecret, "client_secret"},
		{&o.Method, http.MethodPost},
	} {
		if *d.to == "" {
			*d.to = d.text
		}
	}
	if g := c.spec.Attributes.Weir.Grant; g != nil {
		given := func(to *string, usual, name string) {
			if *to == usual && name != "" {
				*to = name
			}
		}
		given(&o.AccessToken, "access_token", g.Access)
		given(&o.RefreshToken, "refresh_token", g.Refresh)
		given(&o.ExpiresIn, "expires_in", g.Expires)
		given(&o.ClientID, "client_id", g.ClientID)
		given(&o.ClientSecret, "client_secret", g.ClientSecret)
	}
	o.Method = strings.ToUpper(o.Method)
	return o
}

// tokenBound is the largest answer of a token address.
const tokenBound = 1 << 20

// token calls a token address. Redirects are not followed: the request carries secrets. A passing failure is tried again.
func (c *credentials) token(ctx context.Context, address, method string, form url.Values, basic *url.Userinfo) (map[string]json.RawMessage, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the token address is not a valid URL")
	}
	if err := c.fields(form); err != nil {
		return nil, err
	}
	for name, v := range form {
		if secretName.MatchString(name) {
			c.mask.add(v...)
		}
	}
	for attempt := 1; ; attempt++ {
		answer, passing, err := c.tokenOnce(ctx, u, method, form, basic)
		if err == nil || !passing || attempt >= min(c.opt.Limits.Attempts, tokenAttempts) || ctx.Err() != nil {
			return answer, err
		}
		if err := c.opt.Sleep(ctx, c.opt.Limits.Backoff<<(attempt-1)); err != nil {
			return nil, err
		}
	}
}

// fields adds what the rules of the auth spec want in the request for a token.
func (c *credentials) fields(form url.Values) error {
	g := c.spec.Attributes.Weir.Grant
	if g == nil {
		return nil
	}
	if g.Type != "" {
		form.Set("grant_type", g.Type)
	}
	if v := form.Get("refresh_token"); v != "" && g.RefreshToken != "" && g.RefreshToken != "refresh_token" {
		form.Del("refresh_token")
		form.Set(g.RefreshToken, v)
	}
	for name, text := range g.Fields {
		v, err := c.expand(text)
		if err != nil {
			return err
		}
		form.Set(name, v)
	}
	return nil
}

// tokenAttempts bounds the calls for one token.
const tokenAttempts = 4

// tokenRequest writes the form into the query of a GET or the body of a POST.
func (c *credentials) tokenRequest(ctx context.Context, u *url.URL, method string, form url.Values, basic *url.Userinfo) (*http.Request, error) {
	at := *u
	var body io.Reader
	if method == http.MethodGet {
		q := at.Query()
		maps.Copy(q, form)
		at.RawQuery = q.Encode()
	} else {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the token address is not a valid URL")
	}
	req.Header.Set("Accept", "application/json")
	if g := c.spec.Attributes.Weir.Grant; g != nil {
		for name, text := range g.Headers {
			v, err := c.expand(text)
			if err != nil {
				return nil, err
			}
			req.Header.Set(name, v)
		}
	}
	if basic != nil {
		secret, _ := basic.Password()
		c.mask.add(secret)
		req.SetBasicAuth(url.QueryEscape(basic.Username()), url.QueryEscape(secret)) // RFC 6749 §2.3.1
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, nil
}

// tokenOnce calls the token address once. passing tells that another try may succeed.
func (c *credentials) tokenOnce(ctx context.Context, u *url.URL, method string, form url.Values, basic *url.Userinfo) (answer map[string]json.RawMessage, passing bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Limits.Header)
	defer cancel()
	req, err := c.tokenRequest(ctx, u, method, form, basic)
	if err != nil {
		return nil, false, err
	}
	resp, err := c.client.once.Do(req)
	if err != nil {
		return nil, !prohibited(err), weir.Errorf("CONNECTOR-1308-400", "the token address %s cannot be reached: %s", c.mask.url(u), c.mask.text(cause(err)))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, tokenBound))
	if err != nil {
		return nil, true, weir.Errorf("CONNECTOR-1308-400", "the answer of the token address %s broke off", c.mask.url(u))
	}
	jerr := json.Unmarshal(raw, &answer)
	for name, v := range answer {
		if t, ok := scalarText(v); ok && (strings.Contains(strings.ToLower(name), "token") && !strings.Contains(name, "type")) {
			c.mask.add(t)
		}
	}
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, true, weir.Errorf("CONNECTOR-1308-400", "the token address %s answered %s%s", c.mask.url(u), resp.Status, c.mask.text(said(raw)))
	case resp.StatusCode/100 != 2:
		return nil, false, weir.Errorf("CONNECTOR-1308-400", "the credentials were refused: the token address %s answered %s%s; sign in again and store new tokens",
			c.mask.url(u), resp.Status, c.mask.text(said(raw)))
	case jerr != nil:
		return nil, false, weir.Errorf("CONNECTOR-1308-400", "the token address %s did not answer with a JSON object", c.mask.url(u))
	}
	return answer, false, nil
}

// tokenKey names the credentials in the token cache: the same secrets share a token, whoever uses them.
func (c *credentials) tokenKey() string {
	raw, err := json.Marshal(c.params) // members sorted
	if err != nil {
		return c.key
	}
	return c.key + "\x00" + c.spec.Type + "\x00" + string(raw)
}

// tokenCache shares short-lived tokens between all sources opened with one Client.
type tokenCache struct {
	mu   sync.Mutex
	held map[string]*heldToken
}

type heldToken struct {
	mu    sync.Mutex // held while the token is fetched, so that one fetch serves all who wait
	token string
	until time.Time
}

const tokenCacheSize = 10000

// get returns the token of key, fetching it when there is none, when it expired, or when it is the refused one.
func (t *tokenCache) get(ctx context.Context, key, refused string, now func() time.Time, fetch func(context.Context) (string, time.Duration, error)) (string, error) {
	t.mu.Lock()
	h := t.held[key]
	if h == nil {
		if t.held == nil || len(t.held) >= tokenCacheSize {
			t.held = map[string]*heldToken{}
		}
		h = &heldToken{}
		t.held[key] = h
	}
	t.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.token != "" && h.token != refused && now().Before(h.until) {
		return h.token, nil
	}
	token, life, err := fetch(ctx)
	if err != nil {
		return "", err
	}
	h.token, h.until = token, now().Add(life)
	return token, nil
}

// cause words a transport error without the address, which may hold secrets.
func cause(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return err.Error()
}
