package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// single is a source whose refresh tokens work once and whose access tokens can be revoked.
type single struct {
	mu      sync.Mutex
	n       int // of the tokens that are good
	renewed int
	wasted  int // refresh tokens that were used twice
}

func (s *single) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		if !strings.Contains(string(body), fmt.Sprintf("refresh_token=refresh-%d", s.n)) {
			s.wasted++
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		s.n++
		s.renewed++
		_, _ = fmt.Fprintf(w, `{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":3600}`, s.n, s.n)
		return
	}
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer access-%d", s.n) || s.renewed == 0 {
		http.Error(w, "expired", http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, `[{"id":1}]`)
}

// revoke makes the access token that is out there worthless.
func (s *single) revoke() (renewed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	renewed, s.renewed = s.renewed, 0
	return renewed
}

// TestRenewalOfTwoProcesses: refresh tokens that work once, and many callers at two processes that find the access token
// refused at the same time: it is renewed once.
func TestRenewalOfTwoProcesses(t *testing.T) {
	h := newHarness(t)
	p := h.shared
	second := &running{h: h, dir: p.dir, db: p.db, key: p.key}
	second.up(t)
	t.Cleanup(second.down)
	source := &single{}
	srv := httptest.NewServer(source)
	t.Cleanup(srv.Close)
	cred, token := p.newOrg(t)
	c := &caller{t: t, base: p.server.URL, headers: http.Header{
		"Authorization": {"Bearer " + token}, "X-Api-Key": {cred.ClientID}, "X-Gw-Ims-Org-Id": {cred.OrgID}, "X-Sandbox-Name": {"prod"}, "Content-Type": {"application/json"},
	}}
	spec := in[string](t, c.do("POST", "/flowservice/connectionSpecs", fmt.Appendf(nil, `{"name":"single","providerId":"0ed90a81-07f4-4586-8190-b40eccef1c5a","version":"1.0","type":"test",
		"authSpec":[{"name":"OAuth","type":"OAuth2RefreshCode","spec":{"type":"object"}}],
		"sourceSpec":{"spec":{"type":"object"},"attributes":{"urlParams":{"host":%q,"path":"/items"},"contentPath":{"path":"$"}}}}`, srv.URL), 201), "id")
	id := in[string](t, c.do("POST", "/flowservice/connections", fmt.Appendf(nil, `{"name":"c","connectionSpec":{"id":%q,"version":"1.0"},"auth":{"specName":"OAuth","params":{"accessToken":"access-0","refreshToken":"refresh-0","accessTokenUrl":"%s/token"}}}`,
		spec, srv.URL), 201), "id")
	for round := range 3 {
		source.revoke()
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				at := &caller{t: t, base: []*running{p, second}[i%2].server.URL, headers: c.headers}
				if got := at.do("GET", "/flowservice/connections/"+id+"/explore?objectType=rest", nil, 200); !strings.Contains(string(got), `[{"id":1}]`) {
					t.Errorf("%s", got)
				}
			})
		}
		wg.Wait()
		if n := source.revoke(); n != 1 || source.wasted > 0 {
			t.Errorf("round %d: renewed %d times, %d refresh tokens used twice", round, n, source.wasted)
		}
	}
}
