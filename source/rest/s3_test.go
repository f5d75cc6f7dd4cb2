package rest

import (
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

// TestSigV4OfS3: S3 signs a path that is encoded once, with the slashes of a key as slashes.
func TestSigV4OfS3(t *testing.T) {
	const key = "2031/ü a+b (c)&d='e'.json"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := signature(r, nil, "hush-hush"); !strings.HasSuffix(r.Header.Get("Authorization"), "Signature="+want) {
			t.Errorf("%s %s, want signature %s", r.URL, r.Header.Get("Authorization"), want)
		}
		if r.URL.Path == "/b" {
			_, _ = io.WriteString(w, `{"keys":[{"Key":"`+key+`"}]}`)
			return
		}
		if got, want := r.URL.EscapedPath(), "/b/2031/%C3%BC%20a%2Bb%20%28c%29%26d%3D%27e%27.json"; got != want {
			t.Errorf("path %s, want %s", got, want)
		}
		_, _ = io.WriteString(w, `[{"id":1}]`)
	}))
	defer srv.Close()
	b := weir.Binding{
		Spec: json.RawMessage(`{"authSpec":[{"name":"a","type":"AWSSigV4","attributes":{"weir":{"service":"s3"}}}],"sourceSpec":{"attributes":{
			"urlParams":{"host":"` + srv.URL + `","path":"/b/${key}"},"contentPath":"$","weir":{"partition":[{"parent":{"urlParams":{"path":"/b"},"contentPath":"$.keys"},"key":"$.Key","as":"key"}]}}}}`),
		AuthSpec: "a", Auth: json.RawMessage(`{"accessKeyId":"AKID","secretAccessKey":"hush-hush","region":"eu-central-1"}`),
	}
	records, _, err := collect(t, open(t, b, nil), weir.Window{End: time.Now()}, nil)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
}

// FuzzS3Path: whatever the key, the path decodes to it again and holds nothing that a server could read otherwise.
func FuzzS3Path(f *testing.F) {
	f.Add("/a b/ü+%2F?#\x00")
	f.Fuzz(func(t *testing.T, path string) {
		encoded := s3Path(path)
		if back, err := url.PathUnescape(encoded); err != nil || back != path {
			t.Errorf("%q became %q and %q (%v)", path, encoded, back, err)
		}
		if strings.ContainsAny(encoded, "?#+ ;&=") {
			t.Errorf("%q became %q", path, encoded)
		}
	})
}

// TestCheckOfStatus: a check that asks another address for its status alone does not read that answer as the source's.
func TestCheckOfStatus(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, "<p>well</p>")
	}))
	defer srv.Close()
	for path, code := range map[string]string{"/health": "", "/other": "CONNECTOR-1308-400"} {
		s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/items"},"contentPath":"$.items","weir":{"answer":{"decode":["gzip","csv"]},"check":{"path":"`+path+`","status":200}}}`), nil)
		if err := s.Test(t.Context()); weir.CodeOf(err) != code {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestExploreRules: a preview goes by the rules about answers, as a run does: a success that says it failed is no empty preview.
func TestExploreRules(t *testing.T) {
	body := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	defer srv.Close()
	s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":{"path":"$.data.items"},"weir":{"onResponse":[
		{"when":"size(page.errors) > 0","do":"fail","message":"the query failed"},{"when":"page.gone == true","do":"ignore"}]}}`), nil)
	for text, want := range map[string]string{
		`{"errors":[{"message":"no such field"}]}`: "the query failed", `{"gone":true}`: "", `{"data":{"items":[{"id":1}]}}`: "", `{"data":{"items":[{"id":1}]},"errors":[1]}`: "the query failed",
	} {
		body = text
		_, err := s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"})
		if got := err != nil && strings.Contains(err.Error(), "the query failed"); got != (want != "") || !got && err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
