package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestPrepare: each kind of change, over records of every shape.
func TestPrepare(t *testing.T) {
	for _, c := range []struct{ name, rules, in, want string }{
		{"lower: own names only", `[{"keys":"lower"}]`, `{"ID":1,"Sub":{"X":2}}`, `{"id":1,"sub":{"X":2}}`},
		{"lower: the later of two", `[{"keys":"lower"}]`, `{"Id":1,"ID":2}`, `{"id":2}`},
		{"snake", `[{"keys":"snake"}]`, `{"orderId":1,"HTTPCode":2,"a b":3,"_x":4,"2nd":5,"é":6,"A--C":7}`, `{"order_id":1,"httpcode":2,"a_b":3,"_x":4,"_2_nd":5,"e":6,"a_c":7}`},
		{"flatten", `[{"flatten":{"lists":true}}]`, `{"a":{"b":1},"c":[1,{"d":2}]}`, `{"c.1.d":2,"c.0":1,"a.b":1}`},
		{"flatten without lists", `[{"flatten":{}}]`, `{"a":{"b":1,"c":[1]},"b":2}`, `{"b":2,"c":[1],"a.b":1}`},
		{"lift alone", `[{"lift":{"path":"$.a.b","alone":true,"suffix":"_x"}}]`, `{"a":{"b":{"c":1}},"d":2}`, `{"c_x":1}`},
		{"lift of nothing", `[{"lift":{"path":"$.a","alone":true}}]`, `{"a":5}`, `{"a":5}`},
		{"lift of the first of a list", `[{"lift":{"path":"$.a[*]"}}]`, `{"a":[1,{"c":1}]}`, `{"a":[1,{"c":1}]}`},
		{"set in a list", `[{"set":"$.a[0].b","to":"'x'"}]`, `{"a":[{"b":1}]}`, `{"a":[{"b":"x"}]}`},
		{"set null", `[{"set":"$.a","to":"record.none"}]`, `{}`, `{"a":null}`},
		{"set an object", `[{"set":"$.a","to":"{'x': [1, 2.5]}"}]`, `{}`, `{"a":{"x":[1,2.5]}}`},
		{"remove by condition", `[{"remove":["$[*]"],"when":"value == null"}]`, `{"a":null,"b":0,"c":null}`, `{"b":0}`},
		{"keep", `[{"keep":"record.a > 1"}]`, `{"a":1}`, ``},
	} {
		x, err := parseExtension(json.RawMessage(`{"prepare":` + c.rules + `}`))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, stays, err := x.prepared(map[string]any{}).apply([]byte(c.in))
		if err != nil || stays != (c.want != "") || string(got) != c.want {
			t.Errorf("%s: %s %v %v, want %s", c.name, got, stays, err, c.want)
		}
	}
	for _, bad := range []string{`[{}]`, `[{"set":"$.a"}]`, `[{"set":"$","to":"1"}]`, `[{"set":"$.a[*]","to":"1"}]`, `[{"keys":"x"}]`, `[{"remove":["$"]}]`, `[{"rename":{"new":"x"}}]`, `[{"lift":{}}]`, `[{"keep":"1"}]`, `[{"keys":"lower","keep":"true"}]`} {
		if _, err := parseExtension(json.RawMessage(`{"prepare":` + bad + `}`)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// TestWords: the functions of expressions beyond CEL's own.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		`formatTime('2024-02-29T10:11:12Z', 'yyyy-MM-dd')`:                                   `"2024-02-29"`,
		`formatTime(1709201472, 'HH:mm')`:                                                    `"10:11"`,
		`formatTime(timestamp('2024-02-29T10:11:12Z'), 'epochMillis')`:                       `"1709201472000"`,
		`formatTime(1.5, 'fff')`:                                                             `"500"`,
		`addTime('2024-03-31', '-P1M')`:                                                      `"2024-03-02T00:00:00Z"`,
		`addTime('2024-01-01', 'P1Y2M3DT4H')`:                                                `"2025-03-04T04:00:00Z"`,
		`addTime(params.none, 'P1D')`:                                                        ``,
		`formatTime('soon', 'yyyy')`:                                                         ``,
		`[given(''), given([]), given({}), given(none), given(0), given(0.0), given(false)]`: `[false,false,false,false,false,false,false]`,
		`[given('a'), given([1]), given({'a': 1}), given(-1), given(0.5), given(true)]`:      `[true,true,true,true,true,true]`,
		`toJson({'a': [1, null]})`:                                                           `"{\"a\":[1,null]}"`,
		`hash('a', 'sha256')`:                                                                `"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`,
		`hash('a', 'md5')`:                                                                   `"0cc175b9c0f1b6a831c399e269772661"`,
		`hmac('a', 'k', 'sha1')`:                                                             `"40e7d441cadb17b07f050341aa23a6820ed81c8b"`,
		`regex.extract('at=12;', 'at=(\\d+)')`:                                               ``,
		`base64.encode(b'ab')`:                                                               `"YWI="`,
		`['a', 'b'].join(',')`:                                                               `"a,b"`,
	} {
		x, err := ParseExpression(text, true)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := x.Eval(nil)
		if err != nil || string(got) != want && want != "" {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"P", "P1", "PT", "PD", "P1X", "P1MT1X", "-P1M", "1M2"} {
		if s, err := parseSpan(bad); err == nil {
			t.Errorf("%s is a length: %v", bad, s)
		}
	}
}

// TestExploreKey: the schema of an explore names the members that tell records apart.
func TestExploreKey(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":[{"id":1}]}`)) }))
	defer srv.Close()
	for content, want := range map[string]string{`"$.items"`: `"meta:primaryKey":["id","line.no"]`, `{"path":"$.items"}`: `"meta:primaryKey":["items.id","items.line.no"]`} {
		s := openTest(t, `{"urlParams":{"host":"`+srv.URL+`","path":"/"},"contentPath":`+content+`,"weir":{"key":["$.id","$.line.no"]}}`)
		got, err := s.Explore(context.Background(), weir.ExploreQuery{ObjectType: "rest"})
		if err != nil || !strings.Contains(string(got.Schema), want) {
			t.Errorf("%s: %s %v", content, got.Schema, err)
		}
	}
}

func openTest(t *testing.T, attributes string) *Source {
	t.Helper()
	s, err := Open(context.Background(), weir.Binding{Spec: json.RawMessage(`{"sourceSpec":{"attributes":` + attributes + `}}`), Params: json.RawMessage("{}")},
		Options{AllowPrivate: local, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCheckStream: a connection has no stream; the check of the spec names one, and its parents are asked first.
func TestCheckStream(t *testing.T) {
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path)
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = w.Write([]byte(`[{"id":1}]`))
	}))
	defer srv.Close()
	frame := `{"urlParams":{"host":"` + srv.URL + `","path":"/"},"contentPath":"$","weir":{"check":{"stream":"b","status":200},"streams":{"a":{"urlParams":{"path":"/bad"}},"b":%s}}}`
	for stream, want := range map[string]string{
		`{"urlParams":{"path":"/b"}}`:   "/b",
		`{"urlParams":{"path":"/bad"}}`: "error",
		`{"urlParams":{"path":"/p/${p}"},"weir":{"partition":[{"stream":"a2","key":"$.id","as":"p"}]}}`: "",
		`{"urlParams":{"path":"/${needed}"}}`: "/",
	} {
		seen = nil
		attributes := frame[:len(frame)-len("%s}}}")] + stream + `,"a2":{"urlParams":{"path":"/parents"}}}}}`
		err := openTest(t, attributes).Test(context.Background())
		switch {
		case want == "error":
			if err == nil {
				t.Error("a refused check passes")
			}
		case err != nil:
			t.Errorf("%s: %v", stream, err)
		case want == "" && (len(seen) != 2 || seen[0] != "/parents" || seen[1] != "/p/1"), want != "" && (len(seen) != 1 || seen[0] != want):
			t.Errorf("%s: %q", stream, seen)
		}
	}
}
