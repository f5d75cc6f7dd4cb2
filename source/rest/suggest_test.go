package rest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir"
)

func TestSuggest(t *testing.T) {
	for _, c := range []struct{ link, body, content, paging string }{
		{"", `{"members":[{"a":1}],"tags":["x","y","z"],"total_items":250}`, `"$.members"`, `"OFFSET"`},
		{`<https://x.example/?page=2>; rel="next"`, `[{"a":1}]`, `"$"`, `"LINK"`},
		{"", `{"value":[{"a":1}],"@odata.nextLink":"https://x.example/y"}`, `"$.value"`, `$['@odata.nextLink']`},
		{"", `{"results":[{"a":1}],"paging":{"next":{"after":"MTAw","link":"https://x.example/y"}}}`, `"$.results"`, `"continuationTokenPath":"$.paging.next.after"`},
		{"", `{"data":{"list":[{"a":1}],"total_pages":3,"page":1}}`, `"$.data.list"`, `"counts":"pages"`},
		{"", `{"data":[{"a":1}],"has_more":true,"url":"/v1/x"}`, `"$.data"`, `"hasMore":"$.has_more"`},
		{"", `{"issues":[{"a":1}],"nextPageToken":"abc"}`, `"$.issues"`, `"$.nextPageToken"`},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.link != "" {
				w.Header().Set("Link", c.link)
			}
			_, _ = w.Write([]byte(c.body))
		}))
		got, err := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"}}`), nil).Suggest(t.Context(), weir.ExploreQuery{})
		srv.Close()
		if err != nil || len(got) < 2 {
			t.Errorf("%s: %v %v", c.body, got, err)
			continue
		}
		var all strings.Builder
		for _, s := range got {
			if !json.Valid(s.Attributes) || s.Why == "" {
				t.Errorf("%s: %s %s", c.body, s.Attributes, s.Why)
			}
			all.Write(s.Attributes)
			spec := json.RawMessage(`{"sourceSpec":{"attributes":` + strings.Replace(string(s.Attributes), "{", `{"urlParams":{"host":"h"},`, 1) + `}}`)
			if f := CheckSpec(spec); len(f) > 0 {
				t.Errorf("%s: %v", s.Attributes, f)
			}
		}
		if !strings.Contains(string(got[0].Attributes), c.content) || !strings.Contains(all.String(), c.paging) {
			t.Errorf("%s: %s, want %s and %s", c.body, all.String(), c.content, c.paging)
		}
	}
}
