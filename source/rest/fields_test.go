package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir"
)

// shared is a source with n records of the fields f0 to f9, that gives three fields at once.
func shared(t *testing.T, n int, broken *atomic.Int64) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names := strings.Split(r.FormValue("fields"), ",")
		if len(names) > 3 {
			http.Error(w, "too many fields", http.StatusBadRequest)
			return
		}
		if broken.Add(-1) == 0 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		var rows []string
		for i := offset; i < min(offset+7, n); i++ {
			row := fmt.Sprintf(`{"id":%d`, i)
			for _, f := range names {
				if f != "id" {
					row += fmt.Sprintf(`,%q:"%s of %d"`, f, f, i)
				}
			}
			rows = append(rows, row+"}")
		}
		_, _ = io.WriteString(w, `{"rows":[`+strings.Join(rows, ",")+`]}`)
	}))
	t.Cleanup(srv.Close)
	return srv
}

const sharedSource = `{"urlParams":{"host":"$HOST","path":"/x"},"contentPath":"$.rows","paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":7},
	"weir":{"paging":{"parallel":$P},"fields":{"names":["f0","f1","f2","f3","f4","f5","f6","f7","f8","f9"],"each":2,"always":["id"],"key":"$.id","inject":{"query":"fields"}}}}`

// TestFields: shares of fields, with answers that fail, several pages at once, and runs that are killed after random pages.
func TestFields(t *testing.T) {
	const n = 50
	var want []string
	for i := range n {
		row := fmt.Sprintf(`{"id":%d`, i)
		for f := range 10 {
			row += fmt.Sprintf(`,"f%d":"f%d of %d"`, f, f, i)
		}
		want = append(want, row+"}")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, parallel := range []string{"1", "3"} {
		for range 10 {
			var broken atomic.Int64
			broken.Store(rng.Int64N(40))
			srv := shared(t, n, &broken)
			b := binding(srv.URL, strings.ReplaceAll(sharedSource, "$P", parallel))
			var got []string
			var from weir.Checkpoint
			var bytes int64
			for done := false; !done; {
				stop, read := rng.IntN(6), 0
				done = true
				for c, err := range open(t, b, nil).Pages(t.Context(), weir.Window{End: time.Now()}, from) {
					if err != nil {
						t.Fatal(err)
					}
					if read++; read > stop {
						done = false
						break
					}
					got = append(got, nonEmpty(string(c.Data))...)
					from = c.Next
					bytes += c.Bytes
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("parallel %s: %d records, want %d: %s", parallel, len(got), len(want), got[0])
			}
			if bytes < 9000 {
				t.Errorf("%d bytes", bytes)
			}
		}
	}
}

// TestFieldsOfSchema: the names come from the source, and explore shows the records whole.
func TestFieldsOfSchema(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/describe" {
			asked.Add(1)
			_, _ = io.WriteString(w, `{"f":[{"n":"a"},{"n":"b"},{"n":"c"}]}`)
			return
		}
		if name := r.Header.Get("X-Field"); name != "" {
			_, _ = fmt.Fprintf(w, `[{"id":1,%q:"x"}]`, name)
		}
	}))
	defer srv.Close()
	s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/x"},"contentPath":"$","weir":{"check":{"records":1},"schemaFrom":{"request":{"urlParams":{"path":"/describe"}},"fields":"$.f","name":"$.n"},
		"fields":{"each":1,"key":"$.id","inject":{"header":"X-Field"}}}}`), nil)
	p, err := s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest"})
	if err != nil || len(p.Data) != 1 || string(p.Data[0]) != `{"id":1,"a":"x","b":"x","c":"x"}` {
		t.Fatal(p.Data, err)
	}
	records, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
	if err != nil || len(records) != 1 || records[0] != `{"id":1,"a":"x","b":"x","c":"x"}` {
		t.Error(records, err)
	}
	if err := s.Test(t.Context()); err != nil || asked.Load() != 2 { // by fields, and by the schema of the explore
		t.Error(err, asked.Load())
	}
}

func TestFieldFaults(t *testing.T) {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		_, _ = io.WriteString(w, strings.ReplaceAll(`{"uneven":[{"id":N}],"twice":[{"id":1},{"id":1}],"keyless":[{"a":1}]}`, "N", strconv.Itoa(n)))
	}))
	defer srv.Close()
	for path, want := range map[string]string{"uneven": "changed between the requests", "twice": "two records of one page", "keyless": "a record has no $.id"} {
		_, _, err := collect(t, open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/x"},"contentPath":"$.`+path+`","weir":{"fields":{"names":["a","b"],"each":1,"key":"$.id","inject":{"query":"f"}}}}`), nil), weir.Window{End: time.Now()}, nil)
		if weir.CodeOf(err) != "CONNECTOR-1308-400" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for rules, want := range map[string]string{
		`{"names":["a"],"each":0,"key":"$.id","inject":{"query":"f"}}`:              "/weir/fields/each",
		`{"each":1,"key":"$.id","inject":{"query":"f"}}`:                            "schemaFrom",
		`{"names":["a"],"each":1,"key":"$","inject":{"query":"f"}}`:                 "fields.key",
		`{"names":["a"],"each":1,"key":"$.id","inject":{"path":"f"}}`:               "query, header or body",
		`{"names":["a"],"param":"p","each":1,"key":"$.id","inject":{"query":"f"}}`:  "names, or param",
		`{"names":["a"],"each":1,"key":"$.id","inject":{"query":"f","header":"g"}}`: "/weir/fields/inject",
	} {
		f := CheckSpec(json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"contentPath":"$.a","weir":{"fields":` + rules + `}}}}`))
		if len(f) == 0 || !strings.Contains(f[0].Pointer+f[0].Message, want) {
			t.Errorf("%s: %v", rules, f)
		}
	}
	if f := CheckSpec(json.RawMessage(`{"sourceSpec":{"attributes":{"urlParams":{"host":"h"},"contentPath":"$.a","explodeEntityPath":"b","weir":{"fields":{"names":["a"],"each":1,"key":"$.id","inject":{"query":"f"}}}}}}`)); len(f) != 1 {
		t.Error(f)
	}
}
