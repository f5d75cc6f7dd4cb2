package rest

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"weir"
)

const checkSpec = `{
 "authSpec":[{"name":"OAuth2 Refresh Code","type":"OAuth2RefreshCode","spec":{"$schema":"http://json-schema.org/draft-07/schema #","required":["accessToken"],
   "properties":{"accessToken":{"type":"string","format":"password"},"domain":{"type":"string"},"note":{"type":"string","format":"password"},"level":{"type":"integer","maximum":3}}}}],
 "sourceSpec":{"attributes":{"urlParams":{"host":"https://${domain}.api.example","path":"/lists/${listId}","queryParams":{"o":"${opt}"}},"contentPath":"$",
   "scheduleParams":{"type":"ADVANCE","incremental":"since ${field} {START_TIME}","backfill":"x"},"headerParams":{"Q":"{SCHEDULE_QUERY}"}},
  "spec":{"required":["listId"],"properties":{"listId":{"type":"string"},"opt":{"type":"integer","default":5},"n":{"type":"integer","minimum":2},"field":{"type":"string"}}}}}`

func codes(f []weir.Finding) string {
	var out []string
	for _, x := range f {
		out = append(out, strings.TrimPrefix(x.Code, "CONNECTOR-")+" "+x.Pointer)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestCheckAuth(t *testing.T) {
	for _, c := range []struct{ spec, name, params, want string }{
		{checkSpec, "oAuth2RefreshCode", `{"accessToken":"a","extra":1}`, ""}, // 36
		{checkSpec, "OAUTH2-refresh_code", `{"accessToken":"a","level":"2"}`, ""},
		{checkSpec, "Basic", `{}`, "FLOW-1415-400 /auth/specName"},                    // 35
		{checkSpec, "OAuth2 Refresh Code", `{}`, "1304-400 /auth/params/accessToken"}, // 37
		{checkSpec, "OAuth2 Refresh Code", ``, "1304-400 /auth/params/accessToken"},
		{checkSpec, "OAuth2 Refresh Code", `{"accessToken":["x"],"level":9}`, "1312-400 /auth/params/accessToken, 1312-400 /auth/params/level"},
		{`{}`, "", ``, ""}, // 38
		{`{}`, "x", ``, "FLOW-1415-400 /auth/specName"},
		{`{"authSpec":[{"name":"n","spec":{"required":["a"],"properties":{"a":{"type":"nonsense","pattern":"("}}}}]}`, "n", `{}`, "1304-400 /auth/params/a"},
		{`{"authSpec":[{"name":"n","spec":{"$ref":"file:///etc/passwd"}}]}`, "n", `{}`, ""},
		{`{"authSpec":[{"name":"n","spec":{"properties":{"a":{"type":"string","required":true}}}}]}`, "n", `{"a":5}`, ""},
	} {
		if got := codes(CheckAuth(json.RawMessage(c.spec), c.name, json.RawMessage(c.params))); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, c.params, got, c.want)
		}
	}
	bad := CheckAuth(json.RawMessage(`{"authSpec":[{"name":"n","spec":{"properties":{"password":{"pattern":"^[0-9]+$"}}}}]}`), "n", json.RawMessage(`{"password":"my-secret-word"}`))
	if len(bad) != 1 || strings.Contains(bad[0].Message, "my-secret") {
		t.Errorf("%v", bad)
	}
}

func TestMatchAndSecrets(t *testing.T) {
	if name, ok := MatchAuthSpec(json.RawMessage(checkSpec), "oauth2refreshcode"); !ok || name != "OAuth2 Refresh Code" {
		t.Error(name, ok)
	}
	params := json.RawMessage(`{"accessToken":"1","domain":"d","note":"n","refreshToken":"","clientId":"c","clientSecret":"s","accessTokenUrl":"u","authorizationTestUrl":"t","securityToken":"x","authKey2":"k","expirationDate":"-1"}`)
	want := []string{"accessToken", "authKey2", "clientSecret", "note", "refreshToken", "securityToken"}
	if got := SecretParams(json.RawMessage(checkSpec), "oauth2refreshcode", params); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCheckParams(t *testing.T) {
	generic := `{"sourceSpec":{"attributes":{"spec":{"type":"object","required":["urlParams","contentPath","paginationParams","scheduleParams"]}}}}`
	for _, c := range []struct{ spec, auth, params, want string }{
		{checkSpec, `{"domain":"d"}`, `{"listId":5,"n":"3","field":"f"}`, ""},
		{checkSpec, `{"domain":"d"}`, `{"field":"f"}`, "1304-400 /params/listId"},
		{checkSpec, `{"domain":"d"}`, `{"listId":"x","n":1,"field":"f"}`, "1312-400 /params/n"},
		{checkSpec, `{}`, `{"listId":"x","field":"f"}`, "1304-400 /params"},
		{checkSpec, `{"authorizationTestUrl":"https://x"}`, `{"listId":"x","field":"f"}`, ""}, // R25: the host may follow
		{checkSpec, `{"domain":"d"}`, `{"listId":"x"}`, "1304-400 /params"},
		{checkSpec, `{"domain":"a/b"}`, `{"listId":"x","field":"f"}`, "1312-400 /params"},
		{`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"scheduleParams":{"type":"advance","incremental":"x"}}}}`, `{}`, `{}`, "1317-400 /params"},
		{`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"paginationParams":{}}}}`, `{}`, `{}`, "1316-400 /params"},
		{`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"paginationParams":{"type":"OFFSET"}}}}`, `{}`, `{}`, "1316-400 /params"},
		{`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"paginationParams":{"type":"SPIRAL"}}}}`, `{}`, `{}`, "1312-400 /params"},
		{`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"contentPath":"$.a[?(@.x)]"}}}`, `{}`, `{}`, "1314-400 /params"},
		{generic, `{"host":"h"}`, `{}`, "1304-400 /params/contentPath, 1304-400 /params/urlParams, 1316-400 /params/paginationParams, 1317-400 /params/scheduleParams"},
		{generic, `{"host":"h"}`, `{"urlParams":{"path":"/x"},"contentPath":{"path":"$"},"paginationParams":{"type":"NONE"},"scheduleParams":{}}`, ""},
		{generic, `{}`, `{"urlParams":{"path":"/x"},"contentPath":{"path":"$"},"paginationParams":{"type":"NONE"},"scheduleParams":{}}`, "1304-400 /params"},
	} {
		b := weir.Binding{Spec: json.RawMessage(c.spec), Auth: json.RawMessage(c.auth), Params: json.RawMessage(c.params), AuthSpec: "OAuth2 Refresh Code"}
		if got := CheckParams(b); codes(got) != c.want {
			t.Errorf("%s %s: %v, want %q", c.auth, c.params, got, c.want)
		}
	}
}

// FuzzSpec loads anything as a spec and as parameters: it may be refused but nothing may break.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(checkSpec), []byte(`{"listId":"x"}`), []byte(`{"domain":"d"}`))
	for _, id := range []string{"mailchimp-generic", "generic-rest"} {
		raw, err := os.ReadFile("../../specs/connection/" + id + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte(`{"urlParams":{"host":"h"},"contentPath":"$"}`), []byte(`{}`))
	}
	f.Fuzz(func(t *testing.T, spec, params, auth []byte) {
		b := weir.Binding{Spec: spec, Params: params, Auth: auth, AuthSpec: "OAuth2 Refresh Code"}
		CheckParams(b)
		CheckAuth(spec, "x", auth)
		if s, err := Open(t.Context(), b, testOptions()); err == nil {
			s.Shape()
		}
	})
}

func TestCheckSpec(t *testing.T) {
	attributes := func(more string) string {
		return `{"sourceSpec":{"attributes":{"urlParams":{"host":"h","path":"/${open}"},"contentPath":"$"` + more + `}}}`
	}
	for _, c := range []struct{ spec, want, part string }{
		{attributes(""), "", ""},
		{attributes(`,"weir":{"paging":{"type":"NEXT","next":"page.next","inject":{"query":"c"}}}`), "", ""},
		{attributes(`,"weir":{"paging":{"type":"NEXT","next":"page.next +","inject":{"query":"c"}}}`), "1312-400 /sourceSpec/attributes/weir", "Syntax error"},
		{attributes(`,"weir":{"paging":{"stop":"elements + 1"}}`), "1312-400 /sourceSpec/attributes/weir", "bool is needed"},
		{attributes(`,"weir":{"filter":"rekord.x == 1"}`), "1312-400 /sourceSpec/attributes/weir", "undeclared reference to 'rekord'"},
		{attributes(`,"weir":{"paging":{"stop":"page == 1"}}`), "1312-400 /sourceSpec/attributes/weir", "page cannot be used as a whole"},
		{attributes(`,"weir":{"paging":{"type":"SPIRAL"}}`), "1312-400 /sourceSpec/attributes/weir/paging/type", ""},
		{attributes(`,"weir":{"pagging":{}}`), "1312-400 /sourceSpec/attributes/weir", "pagging"},
		{attributes(`,"weir":{"partition":[{"as":"x","parent":{"contentPath":"$..a"},"key":"$"}]}`), "1314-400 /sourceSpec/attributes/weir/partition/0/parent", ""},
		{attributes(`,"weir":{"streams":{"a/b":{"contentPath":"$.a[?(@.b)]"},"c":{}}}`), "1314-400 /sourceSpec/attributes/weir/streams/a~1b", ""},
		{attributes(`,"weir":{"onResponse":[{"status":"6xx","do":"fail"}]}`), "1312-400 /sourceSpec/attributes/weir", "6xx"},
		{attributes(`,"weir":{"cursor":{"step":"1 day"}}`), "1312-400 /sourceSpec/attributes/weir", "step"},
		{attributes(`,"weir":{"answer":{"decode":["csv","gzip"]}}`), "1312-400 /sourceSpec/attributes/weir", "place 1"},
		{attributes(`,"weir":{"split":{"above":5}}`), "1312-400 /sourceSpec/attributes/weir", "paging.total"},
		{attributes(`,"paginationParams":{}`), "1316-400 /sourceSpec/attributes", ""},
		{`{"authSpec":[{"name":"x","type":"Telepathy","attributes":{"weir":{"sine":1}}}],"sourceSpec":{"attributes":{"urlParams":{"host":"h"}}}}`, "1302-400 /authSpec/0/type, 1312-400 /authSpec/0/attributes/weir", ""},
		{`{"sourceSpec":{"spec":{}},"targetSpec":{}}`, "", ""},
		{`{"sourceSpec":{"attributes":{"weir":{"filter":"("}}}}`, "1312-400 /sourceSpec/attributes/weir", ""},
	} {
		got := CheckSpec(json.RawMessage(c.spec))
		if codes(got) != c.want || len(got) > 0 && !strings.Contains(got[0].Message, c.part) {
			t.Errorf("%s: %v, want %q %s", c.spec, got, c.want, c.part)
		}
	}
}
