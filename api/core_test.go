package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/store"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "weir.db"), MasterKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func TestFindRoute(t *testing.T) {
	root := &node{}
	for _, p := range []string{"/a", "/a/{id}", "/a/search", "/a/{id}/b", "/t/x/{id...}", "/t/x", "/"} {
		root.add(p, &bound{route: route{method: "GET", path: p}})
	}
	for _, c := range []struct {
		path, want string
		params     []string
	}{
		{"/", "/", nil},
		{"/a", "/a", nil},
		{"/a/", "/a", nil},
		{"//a//", "/a", nil},
		{"/a/7", "/a/{id}", []string{"7"}},
		{"/a/search", "/a/search", nil},
		{"/a/search/b", "/a/{id}/b", []string{"search"}},
		{"/a/7/b/", "/a/{id}/b", []string{"7"}},
		{"/a/https%3A%2F%2Fx%2Fy", "/a/{id}", []string{"https://x/y"}},
		{"/t/x", "/t/x", nil},
		{"/t/x/", "/t/x", nil},
		{"/t/x/https%3a%2f%2fns.adobe.com%2Fx", "/t/x/{id...}", []string{"https://ns.adobe.com/x"}},
		{"/t/x/https://ns.adobe.com/x%20y/", "/t/x/{id...}", []string{"https://ns.adobe.com/x y"}},
		{"/t//x//https://ns.adobe.com//x", "/t/x/{id...}", []string{"https://ns.adobe.com//x"}},
		{"/b", "", nil},
		{"/a/7/c", "", nil},
		{"/%61", "/a", nil},
	} {
		methods, params := root.find(c.path, nil)
		got := ""
		if b := methods["GET"]; b != nil {
			got = b.path
		}
		if got != c.want || !slices.Equal(params, c.params) {
			t.Errorf("%s: got %s %q, want %s %q", c.path, got, params, c.want, c.params)
		}
	}
}

// TestDocuments holds the route tables and the OpenAPI documents together: what is served is described, and what is described is served.
func TestDocuments(t *testing.T) {
	for _, sv := range services() {
		if sv.document == "" {
			continue
		}
		raw, err := documents.ReadFile("openapi/" + sv.document)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := openapi3.NewLoader().LoadFromData(raw)
		if err != nil {
			t.Fatalf("%s: %v", sv.document, err)
		}
		described := map[string]bool{}
		for path, item := range doc.Paths.Map() {
			for method := range item.Operations() {
				described[method+" "+shape(path)] = true
			}
		}
		for _, r := range sv.routes {
			line := r.method + " " + shape(r.path)
			if !described[line] {
				t.Errorf("%s lacks %s %s", sv.document, r.method, r.path)
			}
			delete(described, line)
		}
		if sv.name == "flow-service" || sv.name == "sandboxes" || sv.name == "ims" {
			for line := range described {
				t.Errorf("%s describes %s, which is not served", sv.document, line)
			}
		}
	}
}

// shape is a path without the names of its parameters.
func shape(path string) string {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}

func TestNormalTag(t *testing.T) {
	for in, want := range map[string]string{
		`"a-1"`: "a-1", `a-1`: "a-1", `\"a-1\"`: "a-1", `W/"a-1"`: "a-1", ` "a-1" `: "a-1", `w/a-1`: "a-1", `*`: "*", ``: "", `"`: `"`, `""a""`: `"a"`,
	} {
		if got := normalTag(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, good := range []string{`{}`, `[]`, `"x"`, `1`, `{"a":{"a":[1,1.50,null]}}`, deep} {
		if err := checkJSON([]byte(good)); err != nil {
			t.Errorf("%.40s: %v", good, err)
		}
	}
	for _, bad := range []string{`{"a":1,"a":2}`, `{"a":{"b":1,"b":1}}`, `{"a":1,}`, `{"a"`, `{} {}`, `{}x`, "{\"a\":\"\xff\"}", `[` + deep + `]`, ``, `nul`} {
		if err := checkJSON([]byte(bad)); err == nil {
			t.Errorf("%.40s: taken", bad)
		}
	}
}

// routeTo serves one handler behind the real gateway.
func routeTo(t *testing.T, s *Server, r route) *httptest.Server {
	t.Helper()
	sv := services()[0]
	s.routes.add(sv.base+r.path, &bound{route: r, service: &sv})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv
}

func ask(t *testing.T, method, url, body string, header http.Header) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(raw)
}

// TestFaults drives what a handler may do wrong through the gateway: every failure becomes a family body with the request id, and the
// log has what the client does not.
func TestFaults(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Store: openStore(t), Auth: AuthOpen, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	for name, c := range map[string]struct {
		do     handler
		status int
		body   []string
		log    string
	}{
		"panic":     {func(*call) (reply, error) { panic("the inside") }, 500, []string{"FLOW-1400-500", "rq-1"}, "the inside"},
		"plain":     {func(*call) (reply, error) { return reply{}, errors.New("disk gone") }, 500, []string{"FLOW-1400-500", "rq-1"}, "disk gone"},
		"not found": {func(*call) (reply, error) { return reply{}, weir.ErrNotFound }, 404, []string{"FLOW-1439-404"}, "not found"},
		"conflict":  {func(*call) (reply, error) { return reply{}, weir.ErrConflict }, 412, []string{"FLOW-1404-412"}, "conflict"},
		"deep":      {func(*call) (reply, error) { return reply{}, store.ErrDocument }, 400, []string{"FLOW-1000-400"}, ""},
		"registry":  {func(*call) (reply, error) { return reply{}, fault("XDM-1012-404", "/a", "no schema") }, 404, []string{`"registryRequestId":"rq-1"`, `"detail":"no schema"`, `"path":"/a"`, `"title":"Resource not found"`}, ""},
		"mapper": {func(*call) (reply, error) {
			return reply{}, &weir.Error{Code: "MAPPER-3012-400", Message: "two", Details: []weir.Finding{{Code: "c", Pointer: "/m/0", Message: "first"}}}
		}, 400, []string{`"errorDetails":"first"`, `"errorMessage":"two"`, `"pointer":"/m/0"`}, ""},
		"catalog": {func(*call) (reply, error) { return reply{}, weir.Errorf("CATALOG-1000-400", "bad limit") }, 400, []string{`"detail":"bad limit"`, `"status":400`}, ""},
		"ingest":  {func(*call) (reply, error) { return reply{}, weir.Errorf("INGEST-1100-404", "no batch") }, 404, []string{`"detail":"no batch"`}, ""},
		"iceberg": {func(*call) (reply, error) {
			return reply{}, weir.Errorf("ICEBERG-NoSuchTableException-404", "no table")
		}, 404, []string{`{"error":{"message":"no table","type":"NoSuchTableException","code":404}}`}, ""},
		"labels":    {func(*call) (reply, error) { return reply{}, weir.Errorf("PES-404", "no labels") }, 404, []string{`"code":"PES-404"`, `"message":"no labels"`}, ""},
		"gateway":   {func(*call) (reply, error) { return reply{}, weir.Errorf("403025", "foreign") }, 403, []string{`{"error_code":"403025","message":"foreign"}`}, ""},
		"connector": {func(*call) (reply, error) { return reply{}, fault("CONNECTOR-1304-400", "/x", "x is missing.") }, 400, []string{"CONNECTOR-1304-400", `"title":"Mandatory field missing"`, `"pointer":"/x"`}, ""},
		"after half": {func(*call) (reply, error) {
			return reply{stream: func(w http.ResponseWriter) error { _, _ = w.Write([]byte("half")); return errors.New("source gone") }}, nil
		}, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/test/" + strings.ReplaceAll(name, " ", "-")
			srv := routeTo(t, s, route{"GET", path, c.do, access{open: true}})
			if c.status == 0 { // half an answer must look like one: the connection breaks
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+flowServiceBase+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := http.DefaultClient.Do(req)
				if err == nil {
					_, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				if err == nil {
					t.Error("a broken answer looks whole")
				}
				return
			}
			log.Reset()
			status, header, body := ask(t, "GET", srv.URL+flowServiceBase+path, "", http.Header{"X-Request-Id": {"rq-1"}})
			if status != c.status || !json.Valid([]byte(body)) || header.Get("X-Request-Id") != "rq-1" {
				t.Errorf("got %d %v %s", status, header, body)
			}
			for _, part := range c.body {
				if !strings.Contains(body, part) {
					t.Errorf("%s is not in %s", part, body)
				}
			}
			if c.log != "" && (strings.Contains(body, c.log) && c.status == 500 || !strings.Contains(log.String(), c.log)) {
				t.Errorf("%q belongs into the log, not into %s", c.log, body)
			}
			srv.Close() // the log line is written when the handler has returned
			if !strings.Contains(log.String(), "request=rq-1") {
				t.Errorf("the log has no request id: %s", log.String())
			}
		})
	}
}

func TestBodyLimits(t *testing.T) {
	s := New(Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)})
	srv := routeTo(t, s, route{"POST", "/test/echo", func(c *call) (reply, error) {
		raw, err := c.body()
		return ok(raw), err
	}, access{open: true, limit: 100}})
	url := srv.URL + flowServiceBase + "/test/echo"
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"kept as sent", "", "\ufeff {\"n\": 1.50,\n\"b\":12345678901234567890} ", 200, "{\"n\": 1.50,\n\"b\":12345678901234567890}"},
		{"too large", "", `{"a":"` + strings.Repeat("x", 100) + `"}`, 413, "FLOW-1000-413"},
		{"empty", "application/json", "  ", 400, "FLOW-1405-400"},
		{"form", "application/x-www-form-urlencoded", `{"a":1}`, 200, `{"a":1}`},
		{"form that is none", "application/x-www-form-urlencoded", `a=1`, 400, "FLOW-1000-400"},
		{"xml", "application/xml", `<a/>`, 415, "CONNECTOR-1004-415"},
		{"json under xml", "application/xml", `{"a":1}`, 200, `{"a":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, body := ask(t, "POST", url, c.body, http.Header{"Content-Type": {c.contentType}})
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("got %d %s, want %d %s", status, body, c.status, c.want)
			}
		})
	}
}

func TestHeaderLimit(t *testing.T) {
	s := New(Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewUnstartedServer(s)
	srv.Config.MaxHeaderBytes, srv.Config.ReadHeaderTimeout = MaxHeaderBytes, ReadHeaderTimeout
	srv.Start()
	t.Cleanup(srv.Close)
	status, _, _ := ask(t, "GET", srv.URL+"/healthz", "", http.Header{"X-Big": {strings.Repeat("x", 500<<10)}})
	if status != 200 {
		t.Errorf("half a MiB of headers: %d", status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Big", strings.Repeat("x", 2<<20))
	if res, err := http.DefaultClient.Do(req); err == nil { // refused by closing is as good
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("two MiB of headers: %d", res.StatusCode)
		}
	}
}

func TestSystemRoutes(t *testing.T) {
	s := New(Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	if status, _, body := ask(t, "GET", srv.URL+"/healthz", "", nil); status != 200 || body != `{"status":"ok"}` {
		t.Errorf("healthz: %d %s", status, body)
	}
	if status, _, body := ask(t, "HEAD", srv.URL+"/healthz", "", nil); status != 200 || body != "" {
		t.Errorf("HEAD healthz: %d %s", status, body)
	}
	if _, _, body := ask(t, "GET", srv.URL+"/metrics", "", nil); !strings.Contains(body, `weir_http_requests_total{method="GET",route="/healthz",service="system",status="200"} 1`) {
		t.Errorf("metrics: %s", body)
	}
	if status, _, body := ask(t, "GET", srv.URL+"/nothing", "", nil); status != 404 || !strings.Contains(body, "404000") {
		t.Errorf("nothing: %d %s", status, body)
	}
	_, _, body := ask(t, "GET", srv.URL+"/openapi", "", nil)
	var list []struct{ Name, URL string }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) < 3 {
		t.Fatalf("openapi: %v %s", err, body)
	}
	for _, d := range list {
		status, _, body := ask(t, "GET", d.URL, "", nil)
		if status != 200 || !strings.HasPrefix(body, "openapi: 3.0.3") {
			t.Errorf("%s: %d %.60s", d.URL, status, body)
		}
	}
}

func TestBootstrap(t *testing.T) {
	st := openStore(t)
	ctx := t.Context()
	first, created, err := Bootstrap(ctx, st, BootstrapConfig{ClientID: "me", ClientSecret: "s1", OrgID: "0123456789ABCDEF01234567@AdobeOrg"})
	if err != nil || !created {
		t.Fatal(first, created, err)
	}
	want := Credentials{ClientID: "me", ClientSecret: "s1", OrgID: "0123456789ABCDEF01234567@AdobeOrg", Sandbox: "prod"}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	again, created, err := Bootstrap(ctx, st, BootstrapConfig{})
	if err != nil || created || again.ClientID != "me" || again.ClientSecret != "" {
		t.Errorf("second start: %+v %v %v", again, created, err)
	}
	if _, created, err := Bootstrap(ctx, st, BootstrapConfig{ClientID: "me", ClientSecret: "s2"}); err != nil || created {
		t.Errorf("changed secret: %v %v", created, err)
	}
	err = st.View(ctx, func(tx *store.Tx) error {
		_, secret, err := findClient(tx, "me")
		if !secret.matches("s2") || secret.matches("s1") {
			t.Error("the configured secret does not count")
		}
		tenant, terr := tenantOf(tx, first.OrgID)
		if tenant != "weir" {
			t.Errorf("tenant %q", tenant)
		}
		return errors.Join(err, terr)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Bootstrap(ctx, st, BootstrapConfig{OrgID: "weir"}); err == nil {
		t.Error("a malformed organisation id was taken")
	}
	other, err := CreateOrg(ctx, st, "Weir")
	if err != nil || other.OrgID == first.OrgID {
		t.Fatal(other, err)
	}
	if _, err := IssueToken(ctx, st, "nobody"); err == nil {
		t.Error("a token for nobody")
	}
	if _, err := IssueToken(ctx, st, other.ClientID); err != nil {
		t.Error(err)
	}
	if (clientSecret{}).matches("") {
		t.Error("the empty secret matches")
	}
}

// TestSeedSpecs: a later start brings changed built-ins up to date, and leaves an organisation's own copy alone.
func TestSeedSpecs(t *testing.T) {
	st := openStore(t)
	ctx := context.WithoutCancel(t.Context())
	const id = "6499120c-0b15-42dc-936e-847ea3c24d72"
	if err := SeedSpecs(ctx, st); err != nil {
		t.Fatal(err)
	}
	own := &weir.Doc{Kind: weir.KindFlowSpec, ID: id, Scope: weir.Scope{Org: "o"}, Body: json.RawMessage(`{"name":"mine"}`)}
	var before *weir.Doc
	err := st.Tx(ctx, func(tx *store.Tx) (err error) {
		if before, err = tx.Get(weir.KindFlowSpec, weir.Scope{}, id); err != nil {
			return err
		}
		old := *before
		old.Body = json.RawMessage(`{"name":"of an older version"}`)
		return errors.Join(tx.Update(&old, weir.Actor{}), tx.Insert(own, weir.Actor{}))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := SeedSpecs(ctx, st); err != nil {
			t.Fatal(err)
		}
	}
	err = st.View(ctx, func(tx *store.Tx) error {
		after, err := tx.Get(weir.KindFlowSpec, weir.Scope{}, id)
		if err == nil && (string(after.Body) != string(before.Body) || after.Rev != 3) {
			t.Errorf("rev %d, body %s", after.Rev, after.Body)
		}
		mine, err2 := tx.Get(weir.KindFlowSpec, own.Scope, id)
		if err2 == nil && string(mine.Body) != `{"name":"mine"}` {
			t.Errorf("own copy: %s", mine.Body)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	st := openStore(t)
	cred, err := CreateOrg(t.Context(), st, "lab")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"X-Api-Key": {cred.ClientID}, "X-Gw-Ims-Org-Id": {cred.OrgID}}
	srv := httptest.NewServer(New(Config{Store: st, Auth: AuthOpen, LenientCount: true, StrictQuery: true, PublicURL: "https://weir.example/", Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(srv.Close)
	if status, _, body := ask(t, "GET", srv.URL+flowServiceBase+"/flows?count=true&limit=5", "", h); status != 200 || body != `{"count":0}` {
		t.Errorf("lenient count: %d %s", status, body)
	}
	if status, _, body := ask(t, "GET", srv.URL+flowServiceBase+"/flows?colour=red", "", h); status != 400 || !strings.Contains(body, "FLOW-1451-400") {
		t.Errorf("strict query: %d %s", status, body)
	}
	if _, _, body := ask(t, "GET", srv.URL+"/openapi", "", nil); !strings.Contains(body, `"https://weir.example/openapi/flow-service.yaml"`) {
		t.Errorf("public address: %s", body)
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `[[[`, `"\ud800"`, `1e999`, `{"a":1} `, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if checkJSON(raw) != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%q was taken", raw)
		}
		o, err := parseObject(raw)
		if err != nil || o == nil {
			return
		}
		var want, got any
		if json.Unmarshal(raw, &want) == nil && (json.Unmarshal(o.raw(), &got) != nil || !cmp.Equal(want, got)) {
			t.Fatalf("%q became %q", raw, o.raw())
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add(`{"a":{"b":[1,2]}}`, "replace", "/a/b/1", `3`)
	f.Add(`{"a":{"b":[1,2]}}`, "remove", "/a/b/-1", ``)
	f.Add(`{"a":"x"}`, "add", "/a/~1", `{}`)
	f.Add(`[]`, "add", "/-", `null`)
	f.Fuzz(func(t *testing.T, doc, op, path, value string) {
		if checkJSON([]byte(doc)) != nil || value != "" && checkJSON([]byte(value)) != nil || !strings.HasPrefix(path, "/") {
			return
		}
		o := operation{op: op, path: path}
		switch op {
		case "add", "replace":
			if value == "" {
				return
			}
			o.value = json.RawMessage(value)
		case "remove":
		default:
			return
		}
		out, err := o.apply(json.RawMessage(doc))
		if err == nil && !json.Valid(out) {
			t.Fatalf("%s %s on %s gave %q", op, path, doc, out)
		}
		if err != nil && weir.CodeOf(err) == "" {
			t.Fatalf("%s %s on %s: %v", op, path, doc, err)
		}
	})
}

func FuzzFindRoute(f *testing.F) {
	s := New(Config{Log: slog.New(slog.DiscardHandler)})
	for _, p := range []string{"/data/foundation/flowservice/flows/1", "/data//x", "/data/foundation/schemaregistry/tenant/schemas/https://a/%2f", "/%"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		methods, params := s.routes.find(path, nil)
		for _, b := range methods {
			if len(params) != len(b.names) {
				t.Fatalf("%q: %d parameters for %v", path, len(params), b.names)
			}
		}
	})
}

func FuzzSourceParams(f *testing.F) {
	for _, s := range []string{"e30", "e30=", "eyJhIjoxfQ==", "W10", "***", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := sourceParams(text)
		if err == nil && !json.Valid(o.raw()) {
			t.Fatalf("%q gave %q", text, o.raw())
		}
	})
}

// TestExtensionSchemaIsServed: authors point their editors at it.
func TestExtensionSchemaIsServed(t *testing.T) {
	s := New(Config{})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi/"+extensionSchema, nil))
	if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/schema+json" {
		t.Errorf("%d %s %.80s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}
