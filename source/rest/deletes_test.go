package rest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir"
)

// TestKeysOfASource: the listing takes everything, keys are equal whatever their JSON type, and a deleted row looks like a record.
func TestKeysOfASource(t *testing.T) {
	srv := logged(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("t") == "" {
			_, _ = io.WriteString(w, `{"ids":["a/1",7],"next":"x"}`)
			return
		}
		_, _ = io.WriteString(w, `{"ids":[null,8]}`)
	})
	b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/x"},"contentPath":{"path":"$.rows","overrideWrapperAttribute":"row"},"scheduleParams":{"scheduleStartParamName":"since","scheduleEndParamName":"till"},
		"weir":{"key":["$.ref.id"],"filter":"record.row.ok","deletes":{"every":"P1D","atMost":0.1,"sweep":{"urlParams":{"path":"/ids"},"contentPath":"$.ids",
		"paginationParams":{"type":"CONTINUATION_TOKEN","continuationTokenPath":"next","parameterName":"t"},"weir":{"key":["$.value"]}}}}}`)
	s := open(t, b, nil)
	sweep, ok := s.Sweep()
	if !ok || sweep.Every.Hours() != 24 || sweep.AtMost != 0.1 {
		t.Error(sweep, ok)
	}
	keyer, err := s.Keyer(true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var from weir.Checkpoint
	for range 2 { // a page each, as if another process went on
		for c, err := range s.Keys(t.Context(), from) {
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range nonEmpty(string(c.Data)) {
				key, values := keyer([]byte(line))
				got = append(got, string(key)+string(values))
			}
			from = c.Next
			break
		}
	}
	if want := `["a/1"]["a/1"] ["7"][7]  ["8"][8]`; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	srv.want(t, "/ids", "/ids?t=x")
	if keyer, err = s.Keyer(false); err != nil {
		t.Fatal(err)
	}
	key, values := keyer([]byte(`{"next":"x","row":{"ref":{"id":"7"}}}`))
	if string(key) != `["7"]` {
		t.Errorf("%s", key)
	}
	if gone, err := s.Gone(values); err != nil || string(gone) != `{"row":{"ref":{"id":"7"}},"_change_request_type":"d"}` {
		t.Errorf("%s %v", gone, err)
	}
	if _, err := s.Gone([]byte(`["a","b"]`)); err == nil {
		t.Error("a key of another spec")
	}
	if _, ok := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST"},"contentPath":"$"}`), nil).Sweep(); ok {
		t.Error("deletes are looked for")
	}
	for rules, want := range map[string]string{
		`{"deletes":{"sweep":{"urlParams":{"path":"/i"}}}}`:                                         "weir.key",
		`{"key":["$.id"],"deletes":{}}`:                                                             "/weir/deletes/sweep",
		`{"key":["$.id"],"deletes":{"sweep":{"urlParams":{}},"every":"daily"}}`:                     "deletes.every",
		`{"key":["$.id"],"deletes":{"sweep":{"urlParams":{}},"atMost":1.5}}`:                        "/weir/deletes/atMost",
		`{"key":["$.id"],"deletes":{"sweep":{"paginationParams":{"type":"OFFSET"}},"every":"P1D"}}`: "/weir/deletes/sweep",
	} {
		f := CheckSpec(json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"contentPath":"$.a","weir":` + rules + `}}}`))
		if len(f) == 0 || !strings.Contains(f[0].Pointer+f[0].Message, want) {
			t.Errorf("%s: %v", rules, f)
		}
	}
}
