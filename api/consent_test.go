package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// authorizer is an authorization server with a resource: each code works once, with the verifier of its challenge.
type authorizer struct {
	*httptest.Server
	mu         sync.Mutex
	challenges map[string]string // by code
	codes      atomic.Int64
	granted    atomic.Int64
}

func newAuthorizer(t *testing.T) *authorizer {
	t.Helper()
	a := &authorizer{challenges: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		back, err := url.Parse(q.Get("redirect_uri"))
		if err != nil || q.Get("response_type") != "code" || q.Get("client_id") != "me" || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "read offline" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		out := url.Values{"state": {q.Get("state")}}
		if q.Get("prompt") == "none" {
			out.Set("error", "access_denied")
			out.Set("error_description", "<script>no</script>")
		} else {
			code := fmt.Sprintf("code-%d", a.codes.Add(1))
			a.mu.Lock()
			a.challenges[code] = q.Get("code_challenge")
			a.mu.Unlock()
			out.Set("code", code)
		}
		back.RawQuery = out.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		a.mu.Lock()
		want, there := a.challenges[r.PostFormValue("code")]
		delete(a.challenges, r.PostFormValue("code"))
		a.mu.Unlock()
		if !there || want != base64.RawURLEncoding.EncodeToString(sum[:]) || r.PostFormValue("client_secret") != "hush-hush" ||
			!strings.HasSuffix(r.PostFormValue("redirect_uri"), "/data/foundation/flowservice/consent") {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"granted-%d","refresh_token":"again-%d","expires_in":3600}`, a.granted.Add(1), a.granted.Load())
	})
	mux.HandleFunc("GET /items", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer granted-%d", a.granted.Load()) {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `[{"id":1}]`)
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// open follows the person's way through the authorization server; it returns where that sends them.
func (a *authorizer) open(t *testing.T, address string) *url.URL {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	u, err := res.Location()
	if err != nil {
		t.Fatalf("%s: %s %v", address, res.Status, err)
	}
	return u
}

// comeBack is the person's browser at a program.
func comeBack(t *testing.T, p *running, method, query, accept string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.server.URL+"/data/foundation/flowservice/consent?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func consentSpec(a *authorizer) string {
	return fmt.Sprintf(`{"name":"consenting","providerId":"0ed90a81-07f4-4586-8190-b40eccef1c5a","version":"1.0","type":"test",
		"authSpec":[{"name":"OAuth","type":"OAuth2RefreshCode","spec":{"type":"object","properties":{"clientId":{"type":"string"},"clientSecret":{"type":"string","format":"password"},"accessTokenUrl":{"type":"string"}},"required":["clientId"]},
			"attributes":{"weir":{"consent":{"authorizeUrl":"%s/authorize?prompt=${prompt}","scope":"read offline"}}}},
			{"name":"Plain","type":"BasicAuthentication","spec":{"type":"object"}}],
		"sourceSpec":{"spec":{"type":"object"},"attributes":{"uiAttributes":{},"urlParams":{"host":%q,"path":"/items"},"contentPath":{"path":"$"}}}}`, a.URL, a.URL)
}

// TestConsentRoutes walks through a consent that one process begins and another one ends.
func TestConsentRoutes(t *testing.T) {
	h := newHarness(t)
	p := h.shared
	second := &running{h: h, dir: p.dir, db: p.db, key: p.key}
	second.up(t)
	t.Cleanup(second.down)
	auth := newAuthorizer(t)
	cred, token := p.newOrg(t)
	c := &caller{t: t, base: p.server.URL, headers: http.Header{
		"Authorization": {"Bearer " + token}, "X-Api-Key": {cred.ClientID}, "X-Gw-Ims-Org-Id": {cred.OrgID}, "X-Sandbox-Name": {"prod"}, "Content-Type": {"application/json"},
	}}
	spec := in[string](t, c.do("POST", "/flowservice/connectionSpecs", []byte(consentSpec(auth)), 201), "id")
	account := func(authSpec, prompt string) string {
		t.Helper()
		return in[string](t, c.do("POST", "/flowservice/connections", fmt.Appendf(nil, `{"name":"c","connectionSpec":{"id":%q,"version":"1.0"},"auth":{"specName":%q,"params":{"prompt":%q,"clientId":"me","clientSecret":"hush-hush","accessTokenUrl":"%s/token"}}}`,
			spec, authSpec, prompt, auth.URL), 201), "id")
	}
	id := account("OAuth", "login")
	begin := func(id string) *url.URL {
		t.Helper()
		return auth.open(t, in[string](t, c.do("POST", "/flowservice/connections/"+id+"/consent", nil, 200), "url"))
	}
	c.do("GET", "/flowservice/connections/"+id+"/explore?objectType=rest", nil, 400)

	back := begin(id)
	if status, _, _ := comeBack(t, second, http.MethodHead, back.RawQuery, "text/html"); status != 204 {
		t.Errorf("HEAD is %d", status)
	}
	status, body, _ := comeBack(t, second, http.MethodGet, back.RawQuery, "application/json")
	if status != 200 || body != `{"result":true,"connection":"`+id+`"}` {
		t.Fatalf("%d %s", status, body)
	}
	if got := string(c.do("GET", "/flowservice/connections/"+id+"/explore?objectType=rest", nil, 200)); !strings.Contains(got, `[{"id":1}]`) {
		t.Error(got)
	}
	if got := string(c.do("GET", "/flowservice/connections/"+id, nil, 200)); strings.Contains(got, "granted-") || strings.Contains(got, "again-") || !strings.Contains(got, `"clientId":"me"`) {
		t.Error(got)
	}
	if status, body, _ := comeBack(t, p, http.MethodGet, back.RawQuery, "application/json"); status != 400 || !strings.Contains(body, "FLOW-1100-400") {
		t.Errorf("the second use: %d %s", status, body)
	}

	// Of several that come back at once with the same state, one gets through.
	back = begin(id)
	var good atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if status, _, _ := comeBack(t, []*running{p, second}[i%2], http.MethodGet, back.RawQuery, "application/json"); status == 200 {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 || auth.granted.Load() != 2 {
		t.Errorf("%d came through, %d tokens", good.Load(), auth.granted.Load())
	}
	consentRefusals(t, c, p, begin, id, account)
}

func consentRefusals(t *testing.T, c *caller, p *running, begin func(string) *url.URL, id string, account func(string, string) string) {
	t.Helper()
	denied := begin(account("OAuth", "none"))
	status, body, header := comeBack(t, p, http.MethodGet, denied.RawQuery, "text/html,*/*")
	if status != 400 || strings.Contains(body, "<script>") || !strings.Contains(body, "access_denied: &lt;script&gt;") || header.Get("Content-Type") != "text/html;charset=utf-8" {
		t.Errorf("denied: %d %s", status, body)
	}
	if status, _, _ := comeBack(t, p, http.MethodGet, denied.RawQuery+"&code=x", "text/html"); status != 400 {
		t.Errorf("a denied state is still good: %d", status)
	}
	late := begin(id)
	p.advance(t, "+11m")
	if status, body, _ := comeBack(t, p, http.MethodGet, late.RawQuery, "application/json"); status != 400 || !strings.Contains(body, "FLOW-1100-400") {
		t.Errorf("late: %d %s", status, body)
	}
	wrong := begin(id).Query()
	wrong.Set("code", "made-up")
	status, body, _ = comeBack(t, p, http.MethodGet, wrong.Encode(), "application/json")
	if status != 400 || !strings.Contains(body, "CONNECTOR-1308-400") || strings.Contains(body, "made-up") {
		t.Errorf("a wrong code: %d %s", status, body)
	}
	if status, body, _ := comeBack(t, p, http.MethodGet, "code=x", ""); status != 400 || !json.Valid([]byte(body)) {
		t.Errorf("no state: %d %s", status, body)
	}
	for path, want := range map[string]int{"/flowservice/connections/" + account("Plain", "") + "/consent": 400, "/flowservice/connections/none/consent": 404} {
		c.do("POST", path, nil, want)
	}
	stranger := &caller{t: t, base: c.base, headers: c.headers.Clone()}
	stranger.headers.Del("Authorization")
	stranger.do("POST", "/flowservice/connections/"+id+"/consent", nil, 403)
	cred, token := p.newOrg(t)
	stranger.headers.Set("Authorization", "Bearer "+token)
	stranger.headers.Set("X-Api-Key", cred.ClientID)
	stranger.headers.Set("X-Gw-Ims-Org-Id", cred.OrgID)
	stranger.do("POST", "/flowservice/connections/"+id+"/consent", nil, 404)
	gone := begin(id)
	c.do("DELETE", "/flowservice/connections/"+id, nil, 204)
	if status, body, _ := comeBack(t, p, http.MethodGet, gone.RawQuery, "application/json"); status != 404 {
		t.Errorf("a deleted connection: %d %s", status, body)
	}
}
