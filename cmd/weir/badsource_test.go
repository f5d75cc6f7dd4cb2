package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestBadSources runs flows against upstreams that misbehave: every run ends failed with a reason a person can act on, no row can be
// seen, and the process goes on to serve a good source.
func TestBadSources(t *testing.T) {
	s := newServer(t)
	s.start("")
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		}
	}
	t.Run("failures", func(t *testing.T) { badSources(t, s, text) })
	if files := s.parquetFiles(); len(files) > 0 {
		t.Errorf("files can be seen: %q", files)
	}
	up := newUpstream(t, 10, 5)
	_, flow := s.testFlow(up.URL, 5, nil)
	if run := s.ended(flow, 30*time.Second); run.Metrics.Records.Output != 10 {
		t.Errorf("afterwards a good source gave %+v", run.Metrics.Records)
	}
}

func badSources(t *testing.T, s *server, text func(kind, body string) http.HandlerFunc) {
	t.Helper()
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		says  []string // parts of the message, in any case
	}{
		{"html", text("text/html", "<!doctype html><title>Log in</title>"), []string{"html"}},
		{"cut off", text("application/json", `{"members":[{"id":"m1"},{"id":`), []string{"/members"}},
		{"invalid UTF-8", text("application/json", "{\"members\":[{\"id\":\"m\xff1\"}]}"), []string{"utf-8"}},
		{"not an array", text("application/json", `{"members":{"id":"m1"}}`), []string{"array"}},
		{"refused", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"detail":"the key was revoked"}`)
		}, []string{"403", "the key was revoked"}},
		{"redirect to a metadata address", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		}, []string{"private address"}},
		{"second page wrong", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("offset") == "0" {
				_, _ = io.WriteString(w, `{"members":[{"id":"m1"},{"id":"m2"}]}`)
				return
			}
			_, _ = io.WriteString(w, `{"members":[{"id":"m3"}}`)
		}, []string{"offset=2", "comma or closing bracket"}},
		{"a record that is no JSON", text("application/json", `{"members":[{"id":}]}`), []string{"connector-2001-500", "of 1 row"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := httptest.NewServer(c.serve)
			defer up.Close()
			s := &server{t: t, dir: s.dir, api: s.api, out: s.out}
			dataset, flow := s.testFlow(up.URL, 2, nil)
			run := s.ended(flow, 60*time.Second)
			if run.Metrics.Status.Status != weir.RunFailed {
				t.Fatalf("run ended %s", run.Metrics.Status.Status)
			}
			errs := fmt.Sprintf("%+v %+v", run.Metrics.Status.Errors, run.Activities[0].Status.Extensions["errors"])
			code := "CONNECTOR-1001-500"
			if strings.HasPrefix(c.says[0], "connector-") {
				code = strings.ToUpper(c.says[0]) // the copy went well
			}
			if !strings.Contains(errs, code) {
				t.Errorf("errors %s lack %s", errs, code)
			}
			for _, part := range c.says {
				if !strings.Contains(strings.ToLower(errs), strings.ToLower(part)) {
					t.Errorf("errors %s do not say %q", errs, part)
				}
			}
			var page struct {
				Data []any `json:"data"`
			}
			if _, err := s.api.Do(t.Context(), http.MethodGet, exportPath+"/datasets/"+dataset+"/preview", nil, nil, &page); err != nil || len(page.Data) > 0 {
				t.Errorf("the dataset shows %d rows (%v)", len(page.Data), err)
			}
		})
	}
}
