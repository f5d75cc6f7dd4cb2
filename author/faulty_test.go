package author

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/fakesource"
)

// TestProveFinds: specs that are wrong in one way each fail the situation that shows it, and no other one hides it.
func TestProveFinds(t *testing.T) {
	const frame = `{"name":"x","providerId":"p","type":"generic-rest","authSpec":[{"name":"b","type":"BearerToken","spec":{"type":"object","properties":{"token":{"type":"string","format":"password"}}}}],
		"sourceSpec":{"spec":{},"attributes":{"urlParams":{"host":"https://a.example","path":"/items"},"contentPath":{"path":"$.items"},%s}}}`
	for _, c := range []struct{ name, attributes, situation string }{
		{"a filter on a member that records do not have at that place", `"paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":5},"weir":{"cursor":{"field":"$.updated","filter":true}}`, "windows meet"},
		{"unauthorized is taken for empty", `"paginationParams":{"type":"PAGE","pageParamName":"page","limitValue":5},"weir":{"onResponse":[{"status":401,"do":"ignore"}]}`, "wrong credentials"},
		{"a token that is never followed", `"weir":{"paging":{"type":"NEXT","next":"none","inject":{"query":"cursor"}}}`, "plain"},
		{"a short page ends a token loop", `"weir":{"paging":{"type":"NEXT","next":"page.next","inject":{"query":"cursor"},"hasMore":"$.more","empty":true,"stop":"elements < 100"}}`, "plain"},
	} {
		spec := strings.Replace(frame, "%s", c.attributes, 1)
		proofs, err := Prove(t.Context(), json.RawMessage(spec), ProveOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		failed := []string{}
		for _, r := range proofs[0].Results {
			if r.Outcome == Failed {
				failed = append(failed, r.Situation)
			}
		}
		if !slices.Contains(failed, c.situation) {
			t.Errorf("%s: failed %q, want %q among them", c.name, failed, c.situation)
		}
	}
}

// TestProveAuth: the credentials of every type reach the mirror, and wrong ones are refused.
func TestProveAuth(t *testing.T) {
	auth := map[string]string{
		"SessionToken":   `"spec":{"properties":{"username":{"type":"string"},"password":{"type":"string","format":"password"}}},"attributes":{"weir":{"login":{"url":"/login","body":{"u":"${username}","p":"${password}"},"token":"$.s.token","life":"$.s.ttl"},"send":{"header":"X-Session"}}}`,
		"JWTBearer":      `"spec":{"properties":{"privateKey":{"type":"string","format":"password"},"clientId":{"type":"string"}}},"attributes":{"weir":{"algorithm":"ES256","key":"privateKey","claims":{"iss":"${clientId}"}}}`,
		"HMACSignature":  `"spec":{"properties":{"secretKey":{"type":"string","format":"password"}}},"attributes":{"weir":{"algorithm":"sha256","key":"secretKey"}}`,
		"AWSSigV4":       `"spec":{"properties":{"accessKeyId":{"type":"string"},"secretAccessKey":{"type":"string","format":"password"}}},"attributes":{"weir":{"service":"x"}}`,
		"KeyBased":       `"spec":{"properties":{"a":{"type":"string","format":"password","restAttributes":{"queryParamName":"k"}},"b":{"type":"string","format":"password","restAttributes":{"cookieParamName":"c","prefix":"p-"}}}}`,
		"OAuth2Password": `"spec":{"properties":{"username":{"type":"string"},"password":{"type":"string"},"clientId":{"type":"string"},"clientSecret":{"type":"string"}}},"attributes":{"weir":{"clientAuth":"basic"}}`,
	}
	for kind, rest := range auth {
		spec := `{"name":"x","authSpec":[{"name":"a","type":"` + kind + `",` + rest + `}],"sourceSpec":{"attributes":{"urlParams":{"host":"https://a.example","path":"/items"},"contentPath":"$.items","paginationParams":{"type":"POINTER","pointerPath":"$.next"}}}}`
		proofs, err := Prove(t.Context(), json.RawMessage(spec), ProveOptions{Only: []string{"plain", "wrong credentials"}})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		for _, r := range proofs[0].Results {
			if r.Outcome == Failed {
				t.Errorf("%s: %+v", kind, r)
			}
		}
	}
}

// TestTry shows requests, decisions and records of a real server, and no secret.
func TestTry(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{
		Path: "/items", Records: 25, Content: "items", Paging: fakesource.Paging{Type: "offset", Limit: "limit", Size: 10},
		Auth: fakesource.Auth{Type: "query", Name: "key", Value: "very-secret-key"},
	})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	spec := `{"name":"x","authSpec":[{"name":"k","type":"KeyBased","spec":{"properties":{"authKey1":{"type":"string","restAttributes":{"queryParamName":"key"}}},"required":["authKey1"]}}],
		"sourceSpec":{"attributes":{"urlParams":{"host":"` + srv.URL + `","path":"/items"},"contentPath":"$.items","paginationParams":{"type":"OFFSET","limitName":"limit","limitValue":10,"offSetName":"offset"}}}}`
	var log strings.Builder
	var decisions []string
	opt := TryOptions{Auth: map[string]json.RawMessage{"authKey1": json.RawMessage(`"very-secret-key"`)}, Pages: 2, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	got, err := Try(t.Context(), json.RawMessage(spec), opt, func(e Event) {
		if e.Page != nil {
			decisions = append(decisions, e.Page.Decision)
		}
		if e.Exchange != nil {
			log.WriteString(string(mustJSON(e.Exchange)))
		}
	})
	if err != nil || got.Pages != 2 || got.Records != 20 || got.Requests != 2 || !got.More || len(got.First) != 3 || !strings.Contains(string(got.Schema), "updated_at") {
		t.Fatalf("%+v %v", got, err)
	}
	if strings.Contains(log.String(), "very-secret-key") || !strings.Contains(log.String(), "key=***") || !strings.Contains(log.String(), "record 3") {
		t.Error(log.String())
	}
	if want := []string{"next (OFFSET): offset 10", "next (OFFSET): offset 20"}; !slices.Equal(decisions, want) {
		t.Error(decisions)
	}
	opt.Auth = nil
	var known *weir.Error
	if _, err := Try(t.Context(), json.RawMessage(spec), opt, nil); !errors.As(err, &known) || known.Code != "CONNECTOR-1304-400" {
		t.Error(err)
	}
	if HeaderLines(http.Header{"B": {"2"}, "A": {"1"}})[0] != "A: 1" {
		t.Error("headers are not in order")
	}
}
