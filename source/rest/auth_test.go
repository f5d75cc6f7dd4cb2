package rest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/fakesource"
)

// TestSigV4 checks the signature with the steps of the public description, written again here.
func TestSigV4(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		want := signature(r, body, "hush-hush")
		if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
			t.Errorf("%s, want signature %s", got, want)
		}
		_, _ = io.WriteString(w, `{"Items":[{"id":{"S":"1"}}]}`)
	}))
	defer srv.Close()
	b := weir.Binding{
		Spec: json.RawMessage(`{"authSpec":[{"name":"a","type":"AWSSigV4","attributes":{"weir":{"service":"dynamodb"}}}],"sourceSpec":{"attributes":{
			"urlParams":{"host":"` + srv.URL + `","path":"/a b/x","method":"POST","queryParams":{"z":"1","a":"b c"}},"headerParams":{"X-Amz-Target":"T.Scan"},"bodyParams":{"TableName":"t"},"contentPath":"$.Items"}}}`),
		AuthSpec: "a", Auth: json.RawMessage(`{"accessKeyId":"AKID","secretAccessKey":"hush-hush","region":"eu-central-1"}`),
	}
	records, _, err := collect(t, open(t, b, nil), weir.Window{End: time.Now()}, nil)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
}

func signature(r *http.Request, body []byte, secret string) string {
	auth := r.Header.Get("Authorization")
	part := func(name string) string {
		_, rest, _ := strings.Cut(auth, name+"=")
		v, _, _ := strings.Cut(rest, ",")
		return v
	}
	credential := strings.Split(part("Credential"), "/")
	names := strings.Split(part("SignedHeaders"), ";")
	var head strings.Builder
	for _, n := range names {
		v := r.Header.Get(n)
		switch n {
		case "host":
			v = r.Host
		case "content-length":
			v = r.Header.Get("Content-Length")
			if v == "" {
				v = itoa(len(body))
			}
		}
		head.WriteString(n + ":" + strings.TrimSpace(v) + "\n")
	}
	query := strings.Split(r.URL.RawQuery, "&")
	sort.Strings(query)
	sum := sha256.Sum256(body)
	path := r.URL.EscapedPath()
	if credential[3] != "s3" {
		path = strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
	}
	canonical := strings.Join([]string{r.Method, path, strings.Join(query, "&"), head.String(), strings.Join(names, ";"), hex.EncodeToString(sum[:])}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	scope := strings.Join(credential[1:], "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), scope, hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, p := range append(credential[1:], text) {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(p))
		key = m.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func itoa(n int) string { return string(number(n)) }

// TestShortTokens: §4.7: tokens that live two seconds are renewed in time, and once for all who use them.
func TestShortTokens(t *testing.T) {
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	fake := fakesource.New(fakesource.Scenario{
		Path: "/items", Records: 60, Content: "items", Paging: fakesource.Paging{Type: "offset"}, Now: now,
		Auth: fakesource.Auth{Type: "oauth", User: "app", Password: "app-secret", Life: 2},
	})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	b := binding(srv.URL, offsetSource)
	b.Spec = json.RawMessage(strings.Replace(string(b.Spec), `"sourceSpec"`, `"authSpec":[{"name":"c","type":"OAuth2ClientCredential"}],"sourceSpec"`, 1))
	b.AuthSpec, b.Auth = "c", json.RawMessage(`{"clientId":"app","clientSecret":"app-secret","accessTokenUrl":"/token"}`)
	client := NewClient(local)
	source := func() *Source {
		return open(t, b, func(o *Options) { o.Client, o.Now, o.Limits.Header = client, now, time.Minute })
	}
	var wg sync.WaitGroup
	for range 8 {
		s := source()
		wg.Go(func() {
			if _, err := s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tokens := func() (n int) {
		for _, c := range fake.Calls() {
			if strings.HasPrefix(c.URL, "/token") {
				n++
			}
		}
		return n
	}
	if n := tokens(); n != 1 {
		t.Errorf("%d tokens for explores at one time", n)
	}
	n := 0
	for c, err := range source().Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		n += c.Records
		clock.Add(1)
	}
	if n != 60 || tokens() < 4 || tokens() > 8 {
		t.Errorf("%d records, %d tokens", n, tokens())
	}
}

// TestTokensBelongToTheirHost: §4.7: a token asked for under one host name is not used under another.
func TestTokensBelongToTheirHost(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{Path: "/items", Records: 1, Content: "items", Auth: fakesource.Auth{Type: "oauth"}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	client := NewClient(local)
	for _, host := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), srv.URL} {
		b := binding(host, offsetSource)
		b.Spec = json.RawMessage(strings.Replace(string(b.Spec), `"sourceSpec"`, `"authSpec":[{"name":"c","type":"OAuth2ClientCredential"}],"sourceSpec"`, 1))
		b.AuthSpec, b.Auth = "c", json.RawMessage(`{"clientId":"app","clientSecret":"app-secret","accessTokenUrl":"/token"}`)
		if _, _, err := collect(t, open(t, b, func(o *Options) { o.Client = client }), weir.Window{End: time.Now()}, nil); err != nil {
			t.Fatal(err)
		}
	}
	tokens := 0
	for _, c := range fake.Calls() {
		if c.URL == "/token" {
			tokens++
		}
	}
	if tokens != 2 {
		t.Errorf("%d tokens for two host names", tokens)
	}
}
