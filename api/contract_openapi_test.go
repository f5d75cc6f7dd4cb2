package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// validator holds traffic to the OpenAPI documents: every answer, and every request that the server took.
type validator struct {
	routers map[string]routers.Router // by base path
}

func newValidator(t *testing.T) *validator {
	t.Helper()
	files, err := filepath.Glob("openapi/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{routers: map[string]routers.Router{}}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := openapi3.NewLoader().LoadFromData(raw)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if err := doc.Validate(context.Background()); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if len(doc.Servers) == 0 {
			continue
		}
		r, err := gorillamux.NewRouter(doc)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		v.routers[doc.Servers[0].URL] = r
	}
	return v
}

// check validates one exchange. Paths that no document has must have been refused.
func (v *validator) check(req *http.Request, body []byte, a *answer) error {
	path := strings.TrimPrefix(req.URL.Opaque, "//"+req.URL.Host)
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	path = strings.TrimRight(path, "/")
	var router routers.Router
	for base, r := range v.routers {
		if strings.HasPrefix(path+"/", base+"/") {
			router = r
		}
		if path == base {
			path += "/"
		}
	}
	if router == nil {
		return nil
	}
	if head, file, is := strings.Cut(path, "/files/"); is && strings.HasPrefix(path, "/data/foundation/import/") {
		path = head + "/files/" + strings.ReplaceAll(file, "/", "%2F") // one parameter, which no OpenAPI path can say
	}
	plain := req.Clone(context.Background())
	u, err := url.Parse(path)
	if err != nil {
		return err
	}
	u.RawQuery = req.URL.RawQuery
	plain.URL = u
	plain.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) > 0 {
		plain.Header.Set("Content-Type", "application/json") // any type is taken for JSON; the document names the usual one
		if strings.HasPrefix(path, "/ims/") {
			plain.Header.Set("Content-Type", req.Header.Get("Content-Type"))
		}
	}
	if t := plain.Header.Get("If-Match"); t == "" && u.Query().Get("if-match") != "" {
		plain.Header.Set("If-Match", u.Query().Get("if-match"))
	}
	route, params, err := router.FindRoute(plain)
	if err != nil {
		if a.status < 400 && plain.Method != http.MethodHead {
			return fmt.Errorf("openapi: %s %s is not in the document, but was answered with %d", req.Method, path, a.status)
		}
		return nil
	}
	in := &openapi3filter.RequestValidationInput{
		Request: plain, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true},
	}
	if a.status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Errorf("openapi, request: %w", err)
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Options: in.Options,
	})
	if _, is := errors.AsType[*openapi3filter.ResponseError](err); is {
		return fmt.Errorf("openapi, answer %d of %s %s: %w", a.status, req.Method, route.Path, err)
	}
	return err
}
