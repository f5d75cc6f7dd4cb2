package fakesource

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestShapes(t *testing.T) {
	for _, c := range []struct{ scenario, path, want string }{
		{`{"data":[1,2,3]}`, "/", `[1,2,3]`},
		{`{"data":[1,2,3],"content":"items","before":"\"a\":1","after":"\"z\":2"}`, "/", `{"a":1,"items":[1,2,3],"z":2}`},
		{`{"data":[1,2,3],"content":"data.items","paging":{"type":"token","size":2,"kind":"int","next":"meta.next"}}`, "/", `{"data":{"items":[1,2]},"meta":{"next":2}}`},
		{`{"data":[1,2,3],"content":"data.items","paging":{"type":"token","size":2,"kind":"int","next":"data.next","nextFirst":true}}`, "/?cursor=2", `{"data":{"items":[3]}}`},
		{`{"data":[1,2,3],"content":"items","paging":{"type":"offset","size":2,"hasMore":"more","total":"total"}}`, "/?offset=2", `{"items":[3],"more":false,"total":3}`},
		{`{"data":[1,2,3],"format":"ndjson"}`, "/", "1\n2\n3\n"},
		{`{"data":[{"a":1,"b":"x"}],"format":"csv"}`, "/", "a,b\n1,x\n"},
	} {
		s, err := Parse([]byte(c.scenario))
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(New(s))
		_, body, _ := get(t, srv.URL+c.path)
		if body != c.want {
			t.Errorf("%s %s: %s, want %s", c.scenario, c.path, body, c.want)
		}
		srv.Close()
	}
}

func TestRefreshTokensWorkOnce(t *testing.T) {
	fake := New(Scenario{Auth: Auth{Type: "oauth", Value: "first", Refresh: "r0"}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	post := func() string {
		resp, err := http.Post(srv.URL+"/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type=refresh_token&refresh_token=r0"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var m map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			t.Fatal(err)
		}
		s, _ := m["access_token"].(string)
		return s
	}
	if first, second := post(), post(); first == "" || second != "" {
		t.Errorf("first %q, second %q", first, second)
	}
}

func TestFaults(t *testing.T) {
	fake := New(Scenario{Data: []json.RawMessage{[]byte("1")}, Faults: []Fault{{Request: 2, Kind: "status", Status: 503, RetryAfter: "1"}, {Request: 3, Kind: "cut"}}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	if code, body, _ := get(t, srv.URL); code != 200 || body != "[1]" {
		t.Errorf("%d %s", code, body)
	}
	if code, _, h := get(t, srv.URL); code != 503 || h.Get("Retry-After") != "1" {
		t.Errorf("%d %v", code, h)
	}
	resp, err := http.Get(srv.URL)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a cut answer read without error")
	}
}
