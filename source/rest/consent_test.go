package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir"
)

func TestConsent(t *testing.T) {
	var start Consent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if form.Get("code") != "the-code" || form.Get("code_verifier") != start.Verifier || form.Get("client_secret") != "hush-hush" || form.Get("redirect_uri") != "https://weir.example/back" {
			http.Error(w, `{"error":"invalid_grant","error_description":"wrong code the-code"}`, http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"at-12345","refresh_token":"rt-12345","expires_in":3600}`)
	}))
	defer srv.Close()
	b := weir.Binding{
		Spec: json.RawMessage(`{"authSpec":[{"name":"OAuth","type":"OAuth2RefreshCode","attributes":{"weir":{"consent":{"authorizeUrl":"https://${domain}/authorize?x=1","scope":"read offline","params":{"prompt":"consent"}}}}},
			{"name":"Plain","type":"OAuth2RefreshCode"}],"sourceSpec":{"attributes":{"urlParams":{"host":"h"}}}}`),
		AuthSpec: "OAuth", Auth: json.RawMessage(`{"domain":"login.example","clientId":"me","clientSecret":"hush-hush","accessTokenUrl":"` + srv.URL + `/token"}`),
	}
	opt := testOptions()
	opt.Now = func() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }
	start, err := StartConsent(b, "https://weir.example/back", opt)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(start.URL)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(start.Verifier))
	for name, want := range map[string]string{
		"x": "1", "response_type": "code", "client_id": "me", "redirect_uri": "https://weir.example/back", "scope": "read offline", "prompt": "consent",
		"state": start.State, "code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
	} {
		if got := u.Query().Get(name); got != want || want == "" {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if u.Host != "login.example" || strings.Contains(start.URL, "hush") {
		t.Error(start.URL)
	}
	params, err := FinishConsent(t.Context(), b, "the-code", start.Verifier, "https://weir.example/back", opt)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(params, &got); err != nil || got["accessToken"] != "at-12345" || got["refreshToken"] != "rt-12345" || got["clientSecret"] != "hush-hush" || got["expirationDate"] != "2031-01-01T00:59:30Z" {
		t.Errorf("%s %v", params, err)
	}
	if _, err := FinishConsent(t.Context(), b, "the-code", "another", "https://weir.example/back", opt); err == nil || strings.Contains(err.Error(), "the-code") {
		t.Error(err)
	}
	b.AuthSpec = "Plain"
	if _, err := StartConsent(b, "x", opt); weir.CodeOf(err) != "CONNECTOR-1302-400" {
		t.Error(err)
	}
}

func TestSchemaFrom(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fields/orders" {
			_, _ = io.WriteString(w, `{"f":[{"n":"id","t":"integer"},{"n":"at","t":"stamp"},{"n":"x","t":"odd"},{"t":"nameless"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"rows":[{"id":1}]}`)
	}))
	defer srv.Close()
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/${o}"},"contentPath":{"path":"$.rows","overrideWrapperAttribute":"row"},"weir":{"schemaFrom":{"request":{"urlParams":{"path":"/fields/${o}"}},"fields":"$.f[*]","name":"$.n","type":"$.t","types":{"stamp":"date-time"}}}}`)
	b.Params = json.RawMessage(`{"o":"orders"}`)
	p, err := open(t, b, nil).Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"})
	want := `{"type":"object","properties":{"row":{"type":"object","properties":{"id":{"type":"integer","minimum":-9007199254740992,"maximum":9007199254740991},"at":{"type":"string","format":"date-time"},"x":{"type":"string"}}}}}`
	if err != nil || string(p.Schema) != want || len(p.Data) != 1 {
		t.Errorf("%s %v", p.Schema, err)
	}
}
