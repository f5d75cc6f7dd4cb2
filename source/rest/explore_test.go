package rest

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fakesource"
)

func TestExplore(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{
		Path: "/items", Records: 240, Content: "items", After: `"total":3,"skip":1`, Paging: fakesource.Paging{Type: "offset"},
		Auth: fakesource.Auth{Type: "basic", User: "u", Password: "password-1"},
	})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	const auth = `"authSpec":[{"name":"b","type":"BasicAuthentication"}],"sourceSpec"`
	newSource := func(attributes string, password string) *Source {
		b := binding(srv.URL, attributes)
		b.Spec = json.RawMessage(strings.Replace(string(b.Spec), `"sourceSpec"`, auth, 1))
		b.AuthSpec, b.Auth = "b", json.RawMessage(`{"username":"u","password":"`+password+`"}`)
		return open(t, b, nil)
	}
	attributes := func(content, more string) string {
		return `{"urlParams":{"host":"$HOST","path":"/${what}","method":"GET"},"contentPath":` + content + `,"paginationParams":{"type":"OFFSET","limitName":"limit","limitValue":200,"offSetName":"offset"},"scheduleParams":{"scheduleStartParamName":"s","scheduleEndParamName":"e"}` + more + `}`
	}
	q := weir.ExploreQuery{ObjectType: "REST", Params: json.RawMessage(`{"what":"items"}`)}

	// 82: object form: records, wrapped, at most 100, one request, no window (and R4).
	s := newSource(attributes(`{"path":"$.items","skipAttributes":["skip"],"overrideWrapperAttribute":"item"}`, ""), "password-1")
	p, err := s.Explore(t.Context(), q)
	if err != nil || len(p.Data) != 100 || !strings.HasPrefix(string(p.Data[0]), `{"total":3,"item":{"id":0,`) || p.Format != "hierarchical" {
		t.Fatalf("%v %d %.60s", err, len(p.Data), p.Data)
	}
	if calls := fake.Calls(); len(calls) != 1 || calls[0].URL != "/items?limit=200&offset=0" || calls[0].Header.Get("Authorization") == "" {
		t.Errorf("calls %v", calls)
	}
	want := `{"type":"object","properties":{"total":{"type":"integer","minimum":-9007199254740992,"maximum":9007199254740991},"item":{"type":"object","properties":{"id":{"type":"integer","minimum":-9007199254740992,"maximum":9007199254740991},"name":{"type":"string"},"updated_at":{"type":"string"}}}}}`
	if string(p.Schema) != want {
		t.Errorf("schema %s", p.Schema)
	}
	// 79: string form: the raw page.
	s = newSource(attributes(`"$.items"`, ""), "password-1")
	if p, err = s.Explore(t.Context(), q); err != nil || len(p.Data) != 1 || !strings.HasSuffix(string(p.Data[0]), `"total":3,"skip":1}`) {
		t.Errorf("%v %d", err, len(p.Data))
	}
	// The spec may ask for it, and may bring the schema.
	s = newSource(attributes(`{"path":"$.items"}`, `,"preview":"raw","schema":{"type":"object","title":"fixed"}`), "password-1")
	if p, err = s.Explore(t.Context(), q); err != nil || len(p.Data) != 1 || string(p.Schema) != `{"type":"object","title":"fixed"}` {
		t.Errorf("%v %d %s", err, len(p.Data), p.Schema)
	}
	// 83: a refusal is a 4xx with the source's message.
	s = newSource(attributes(`"$.items"`, ""), "wrong-password")
	_, err = s.Explore(t.Context(), q)
	var e *weir.Error
	if !errors.As(err, &e) || e.Status() != 400 || !strings.Contains(e.Message, "the credentials are not valid") {
		t.Errorf("%v", err)
	}
	// 87: what is unresolved is named.
	if _, err = s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"}); weir.CodeOf(err) != "CONNECTOR-1304-400" || !strings.Contains(err.Error(), "what") {
		t.Errorf("%v", err)
	}
	// 88: root and folder list the one entry.
	for _, kind := range []string{"", "root", "Folder"} {
		if p, err = s.Explore(t.Context(), weir.ExploreQuery{ObjectType: kind}); err != nil || !cmp.Equal(p.Items, []weir.ExploreItem{{Type: "file", Name: "json", Path: "json", CanPreview: true, CanFetchSchema: true}}) {
			t.Errorf("%v %v", p.Items, err)
		}
	}
	for query, code := range map[*weir.ExploreQuery]string{
		{ObjectType: "shelf"}: "CONNECTOR-1358-400", {ObjectType: "table"}: "CONNECTOR-1336-400", {ObjectType: "rest", Determine: true}: "CONNECTOR-1371-400",
	} {
		if _, err := s.Explore(t.Context(), *query); weir.CodeOf(err) != code {
			t.Errorf("%s: %v", query.ObjectType, err)
		}
	}
}

func TestInferSchema(t *testing.T) {
	data := []json.RawMessage{
		json.RawMessage(`{"i":1,"n":1,"f":null,"s":"x","b":true,"o":{"a":null},"l":[{"x":1},{"y":"t"}],"e":[],"m":1}`),
		json.RawMessage(`{"i":2,"n":1.5,"f":null,"o":{"a":2},"m":"text","z":[1,"a"]}`),
	}
	const integer = `"type":"integer","minimum":-9007199254740992,"maximum":9007199254740991`
	want := `{"type":"object","properties":{"i":{` + integer + `},"n":{"type":"number"},"f":{},"s":{"type":"string"},"b":{"type":"boolean"},"o":{"type":"object","properties":{"a":{` + integer +
		`}}},"l":{"type":"array","items":{"type":"object","properties":{"x":{` + integer + `},"y":{"type":"string"}}}},"e":{"type":"array","items":{}},"m":{"type":["string","integer"],"minimum":-9007199254740992,"maximum":9007199254740991},"z":{"type":"array","items":{"type":["string","integer"],"minimum":-9007199254740992,"maximum":9007199254740991}}}}`
	if got := string(inferSchema(data)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := string(inferSchema(nil)); got != `{"type":"object","properties":{}}` {
		t.Error(got)
	}
}

func TestTestCall(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{Path: "/items", Auth: fakesource.Auth{Type: "bearer", Value: "good-token"}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	b := binding(srv.URL, offsetSource)
	b.Spec = json.RawMessage(strings.Replace(string(b.Spec), `"sourceSpec"`, `"authSpec":[{"name":"o","type":"OAuth2RefreshCode"}],"sourceSpec"`, 1))
	b.AuthSpec = "o"
	for token, code := range map[string]string{"good-token": "", "bad-token": "CONNECTOR-1308-400"} {
		b.Auth = json.RawMessage(`{"accessToken":"` + token + `","authorizationTestUrl":"` + srv.URL + `/me"}`)
		err := open(t, b, nil).Test(t.Context())
		if weir.CodeOf(err) != code {
			t.Errorf("%s: %v", token, err)
		}
		if err != nil && !strings.Contains(err.Error(), "401") {
			t.Errorf("the status is not told: %v", err)
		}
	}
	// Without a test address the host only has to answer; 54: nothing is sent when it is not known yet.
	b.Auth = json.RawMessage(`{"accessToken":"bad-token"}`)
	if err := open(t, b, nil).Test(t.Context()); err != nil {
		t.Error(err)
	}
	b.Spec = builtin(t, "6360f136-5980-4111-8bdf-15d29eab3b5a")
	b.AuthSpec = "OAuth generic-rest-connector"
	if err := open(t, b, nil).Test(t.Context()); err != nil {
		t.Error(err)
	}
	b.Host = "http://127.0.0.1:1"
	if err := open(t, b, nil).Test(t.Context()); weir.CodeOf(err) != "CONNECTOR-1308-400" {
		t.Error(err)
	}
}

func TestTimeFormats(t *testing.T) {
	at := time.Date(2031, 4, 5, 8, 7, 8, 123000000, time.FixedZone("", 7200))
	for pattern, want := range map[string]string{
		"":                             "2031-04-05T06:07:08Z",
		"yyyy-MM-ddTHH:mm:ssZ":         "2031-04-05T06:07:08Z",
		"yyyy-MM-ddTHH:mm:ssK":         "2031-04-05T06:07:08Z",
		"yyyy-MM-ddTHH:mm:ss:fffffffK": "2031-04-05T06:07:08:1230000Z",
		"yyyy-MM-ddTHH:mm:ss.fffK":     "2031-04-05T06:07:08.123Z",
		"yyyy-MM-ddTHH:mm:ss.FFFFFF":   "2031-04-05T06:07:08.123",
		"yyyy-MM-ddTHH:mm:sszzz":       "2031-04-05T06:07:08+00:00",
		"yyyy-MM-dd'T'HH:mm":           "2031-04-05T06:07",
		"d/M/yy h:mm tt":               "5/4/31 6:07 AM",
		"ddd, dd MMM yyyy HH:mm:ss":    "Sat, 05 Apr 2031 06:07:08",
		`yyyy\y`:                       "2031y",
		"yyyyMMddHHmmss":               "20310405060708",
		"o":                            "2031-04-05T06:07:08.1230000Z",
		"epoch":                        "1933135628",
		"unix":                         "1933135628",
		"epochMillis":                  "1933135628123",
		"'unclosed":                    "unclosed",
	} {
		if got := formatTime(at, pattern); got != want {
			t.Errorf("%q: %s, want %s", pattern, got, want)
		}
	}
}

func FuzzTimeFormat(f *testing.F) {
	for _, s := range []string{"yyyy-MM-ddTHH:mm:ss:fffffffK", `\`, "'a", "ffffffffffffffff", "zzzz", "dddd MMMM"} {
		f.Add(s, int64(1933135628))
	}
	f.Fuzz(func(_ *testing.T, pattern string, unix int64) {
		formatTime(time.Unix(unix%1e11, 0), pattern)
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"${a}", "{{ a }}", "x${b}y{START_TIME}", "@{if(empty(coalesce(pipeline()?.parameters?.ingestionStart,'')),'A','B')}", "${", "{{", "{a}"} {
		f.Add(s, "v/ &?{}$")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		raw := quote(value)
		for _, fn := range []func(*expander) string{
			func(e *expander) string { return e.text(text) }, func(e *expander) string { return e.host(text) }, func(e *expander) string { return e.path(text) },
		} {
			e := &expander{params: &params{layers: []map[string]json.RawMessage{{"a": raw}}}}
			out := fn(e)
			if len(e.missing) == 0 && e.bad == nil && strings.Contains(text, "${b}") && out == text {
				t.Errorf("%q left as it is without a word", text)
			}
		}
	})
}
