package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"weir/api"
	"weir/store"
)

// bench is a server with nothing but a store: the registry needs no engine.
type bench struct {
	t    *testing.T
	url  string
	cred api.Credentials
}

func newBench(t *testing.T) *bench {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "weir.db"), MasterKey: make([]byte, 32), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	cred, err := api.CreateOrg(t.Context(), st, "acmelab")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(api.New(api.Config{Store: st, Auth: api.AuthOpen, Log: log}))
	t.Cleanup(srv.Close)
	return &bench{t: t, url: srv.URL, cred: cred}
}

// do sends a request whose path goes out as it is written.
func (b *bench) do(method, path, accept, body string) (int, map[string]any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "http", Host: strings.TrimPrefix(b.url, "http://"), Opaque: "//" + strings.TrimPrefix(b.url, "http://") + "/data/foundation/schemaregistry" + path}
	for name, v := range map[string]string{"x-api-key": b.cred.ClientID, "x-gw-ims-org-id": b.cred.OrgID, "Content-Type": "application/json", "Accept": accept} {
		req.Header.Set(name, v)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 && json.Unmarshal(raw, &out) != nil && res.StatusCode >= 400 {
		b.t.Fatalf("%s %s: a failure that is not JSON: %s", method, path, raw)
	}
	return res.StatusCode, out
}

const rawForm = "application/vnd.adobe.xed+json; version=1"

// TestRegistryIDs is line 3 of the checklist: every spelling of an id finds the resource, also the unencoded one that a client sends in
// PUT and PATCH of data types (Q6), and nothing redirects.
func TestRegistryIDs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	status, created := b.do("POST", "/tenant/datatypes", "", `{"title":"Size","type":"object","properties":{"w":{"type":"integer"}}}`)
	if status != 201 {
		t.Fatal(status, created)
	}
	id, alt := created["$id"].(string), created["meta:altId"].(string)
	spellings := []string{
		url.QueryEscape(id), strings.ToLower(url.QueryEscape(id)), id, alt, alt + "/", url.QueryEscape(id) + "/", id + "/",
		strings.Replace(id, "://", ":/", 1), url.QueryEscape(url.QueryEscape(id)),
	}
	for _, s := range spellings {
		if status, got := b.do("GET", "/tenant/datatypes/"+s, rawForm, ""); status != 200 || got["$id"] != id {
			t.Errorf("GET %s: %d %v", s, status, got)
		}
	}
	for _, s := range spellings[:4] {
		if status, got := b.do("PATCH", "/tenant/datatypes/"+s, "", `[{"op":"replace","path":"/description","value":"x"}]`); status != 400 {
			t.Errorf("a patch of what is not there: %d %v", status, got)
		}
		if status, got := b.do("PATCH", "/tenant/datatypes/"+s, "", `[{"op":"add","path":"/meta:note","value":"x"}]`); status != 200 || got["$id"] != id {
			t.Errorf("PATCH %s: %d %v", s, status, got)
		}
		if status, got := b.do("PUT", "/tenant/datatypes/"+s, "", `{"title":"Size","type":"object","properties":{"w":{"type":"integer"}}}`); status != 200 {
			t.Errorf("PUT %s: %d %v", s, status, got)
		}
	}
	if status, got := b.do("GET", "/tenant/datatypes/"+url.QueryEscape(id+"x"), rawForm, ""); status != 404 {
		t.Error(status, got)
	}
}

// TestRegistryRefusals are requests that must be refused in the registry's own words.
func TestRegistryRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		method, path, accept, body string
		status                     int
		code                       string
	}{
		{"GET", "/elsewhere/schemas", rawForm, "", 404, "XDM-1000-404"},
		{"GET", "/tenant/things", rawForm, "", 404, "XDM-1000-404"},
		{"GET", "/tenant/schemas", "application/vnd.adobe.xed-more+json", "", 400, "XDM-1006-400"},
		{"GET", "/tenant/schemas?property===x", "application/vnd.adobe.xed-id+json", "", 400, "XDM-1003-400"},
		{"POST", "/tenant/schemas", "", `{"title":`, 400, "XDM-1000-400"},
		{"POST", "/tenant/schemas", "", ``, 400, "XDM-1000-400"},
		{"POST", "/tenant/schemas", "", `[]`, 400, "XDM-1500-400"},
		{"POST", "/tenant/behaviors", "", `{"title":"x"}`, 403, "XDM-1001-403"},
		{"PATCH", "/tenant/schemas/_acmelab.schemas.1", "", `[{"op":"remove","path":"/title"}]`, 404, "XDM-1012-404"},
		{"PATCH", "/tenant/schemas/_acmelab.schemas.1", "", `{"title":"x"}`, 404, "XDM-1012-404"},
		{"PATCH", "/tenant/schemas/_acmelab.schemas.1", "", `"x"`, 400, "XDM-1004-400"},
		{"POST", "/tenant/descriptors", "", `{"@type":"xdm:descriptorIdentity"}`, 400, "XDM-1529-400"},
		{"GET", "/tenant/descriptors/none", "", "", 404, "XDM-1014-404"},
		{"POST", "/rpc/import", "", `[]`, 400, "XDM-3005-400"},
		{"POST", "/rpc/import", "", `[{"meta:resourceType":"behaviors"}]`, 400, "XDM-3005-400"},
		{"POST", "/rpc/import", "", `[{"meta:resourceType":"schemas","$id":"https://ns.adobe.com/else/schemas/1"}]`, 400, "XDM-3005-400"},
		{"POST", "/rpc/csv2schema", "", `{}`, 400, "XDM-1002-400"},
		{"GET", "/rpc/export/_acmelab.schemas.1", "", "", 404, "XDM-1012-404"},
		{"DELETE", "/rpc/export/x", "", "", 405, "XDM-1000-405"},
	} {
		status, got := b.do(c.method, c.path, c.accept, c.body)
		kind, _ := got["type"].(string)
		if status != c.status || !strings.HasSuffix(kind, "/"+c.code) || got["report"] == nil {
			t.Errorf("%s %s %s: %d %v, want %d %s", c.method, c.path, c.body, status, got, c.status, c.code)
		}
	}
}
