package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"weir"
)

// script is a request/answer script of testdata: sections in txtar form.
//
//	attributes   sourceSpec.attributes of the spec (or: spec, a whole connection spec)
//	schema       sourceSpec.spec
//	params       source parameters
//	auth         {"authSpec":{…},"params":{…}}
//	window       start and end, RFC 3339, - for no start
//	get          a request that must come next: METHOD path, headers that must be there (* is any value; !Name must not), blank line, JSON body
//	answer       its answer: status, headers, blank line, body
//	want         the records, one a line
//	warnings     parts of warnings, one a line
//	error        code and a part of the message
//	waits        the waits between attempts and pages, one a line
//	stored       auth parameters after the run
//
// $HOST is the server, $OTHER one on another port.
type script struct {
	spec, params, auth, authSpec json.RawMessage
	window                       weir.Window
	exchanges                    []exchange
	want                         []string
	warnings, waits              []string
	err, stored                  string
}

type exchange struct{ get, answer string }

func loadScript(t *testing.T, file string) *script {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sc := &script{window: weir.Window{End: time.Date(2031, 4, 5, 6, 7, 8, 123000000, time.UTC)}}
	attributes, schema := "{}", "{}"
	for _, f := range a.Files {
		text := strings.TrimSpace(string(f.Data))
		switch f.Name {
		case "attributes":
			attributes = text
		case "schema":
			schema = text
		case "spec":
			sc.spec = json.RawMessage(text)
		case "params":
			sc.params = json.RawMessage(text)
		case "auth":
			var in struct{ AuthSpec, Params json.RawMessage }
			if err := json.Unmarshal([]byte(text), &in); err != nil {
				t.Fatal(err)
			}
			sc.authSpec, sc.auth = in.AuthSpec, in.Params
		case "window":
			w := strings.Fields(text)
			if w[0] != "-" {
				if sc.window.Start, err = time.Parse(time.RFC3339Nano, w[0]); err != nil {
					t.Fatal(err)
				}
			}
			if sc.window.End, err = time.Parse(time.RFC3339Nano, w[1]); err != nil {
				t.Fatal(err)
			}
		case "get":
			sc.exchanges = append(sc.exchanges, exchange{get: text})
		case "answer":
			sc.exchanges[len(sc.exchanges)-1].answer = strings.TrimSuffix(string(f.Data), "\n")
		case "want":
			sc.want = nonEmpty(text)
		case "warnings":
			sc.warnings = nonEmpty(text)
		case "waits":
			sc.waits = nonEmpty(text)
		case "error":
			sc.err = text
		case "stored":
			sc.stored = text
		default:
			t.Fatalf("%s: unknown section %s", file, f.Name)
		}
	}
	if sc.spec == nil {
		list := "[]"
		if sc.authSpec != nil {
			list = "[" + string(sc.authSpec) + "]"
		}
		sc.spec = json.RawMessage(`{"name":"scripted","authSpec":` + list + `,"sourceSpec":{"attributes":` + attributes + `,"spec":` + schema + `}}`)
	}
	return sc
}

func nonEmpty(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// stage plays the answers of a script in order and checks the requests.
type stage struct {
	t           *testing.T
	mu          sync.Mutex
	exchanges   []exchange
	at          int
	host, other string
}

func (st *stage) fill(text string) string {
	return strings.NewReplacer("$HOST", st.host, "$OTHER", st.other).Replace(text)
}

func (st *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st.mu.Lock()
	defer st.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if st.at >= len(st.exchanges) {
		st.t.Errorf("request %d is one too many: %s %s", st.at+1, r.Method, r.URL.RequestURI())
		http.Error(w, "no more answers", http.StatusNotFound)
		return
	}
	x := st.exchanges[st.at]
	st.at++
	st.check(r, body, x.get)
	head, text, _ := strings.Cut(st.fill(x.answer), "\n\n")
	lines := nonEmpty(head)
	status, err := strconv.Atoi(strings.Fields(lines[0])[0])
	if err != nil {
		st.t.Errorf("answer %d: %v", st.at, err)
	}
	for _, h := range lines[1:] {
		name, value, _ := strings.Cut(h, ": ")
		w.Header().Add(name, value)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// check compares a request with what the script says.
func (st *stage) check(r *http.Request, body []byte, want string) {
	head, wantBody, hasBody := strings.Cut(st.fill(want), "\n\n")
	lines := nonEmpty(head)
	got := r.Method + " " + r.URL.RequestURI()
	if "http://"+r.Host == st.other {
		got = r.Method + " " + st.other + r.URL.RequestURI()
	}
	if got != lines[0] {
		st.t.Errorf("request %d: %s\n     want: %s", st.at, got, lines[0])
	}
	for _, h := range lines[1:] {
		if name, ok := strings.CutPrefix(h, "!"); ok {
			if r.Header.Get(name) != "" {
				st.t.Errorf("request %d: header %s: %s should not be there", st.at, name, r.Header.Get(name))
			}
			continue
		}
		name, value, _ := strings.Cut(h, ": ")
		if got := r.Header.Get(name); got != value && (value != "*" || got == "") {
			st.t.Errorf("request %d: header %s: %q, want %q", st.at, name, r.Header.Get(name), value)
		}
	}
	if hasBody && string(body) != strings.TrimSpace(wantBody) {
		st.t.Errorf("request %d: body %s\n     want: %s", st.at, body, wantBody)
	}
	if !hasBody && len(body) > 0 {
		st.t.Errorf("request %d: unexpected body %s", st.at, body)
	}
}

// play runs a script from an exchange and a checkpoint.
func (sc *script) play(t *testing.T, file string, st *stage, skip int, from weir.Checkpoint, records []string) {
	t.Helper()
	st.t, st.at = t, skip
	fill := func(raw json.RawMessage) json.RawMessage { return json.RawMessage(st.fill(string(raw))) }
	b := weir.Binding{Spec: fill(sc.spec), Params: fill(sc.params), Auth: fill(sc.auth)}
	if sc.authSpec != nil {
		var a struct{ Name string }
		if err := json.Unmarshal(sc.authSpec, &a); err != nil {
			t.Fatal(err)
		}
		b.AuthSpec = a.Name
		stored := b.Auth
		b.Rotate = func(ctx context.Context, renew func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
			fresh, err := renew(ctx, stored)
			if err == nil {
				stored = fresh
			}
			return stored, err
		}
		if sc.stored != "" {
			defer func() {
				if diff := cmp.Diff(compactText(t, st.fill(sc.stored)), compactText(t, string(stored))); diff != "" && from == nil {
					t.Errorf("stored auth parameters (-want +got):\n%s", diff)
				}
			}()
		}
	}
	var waits []string
	opt := testOptions()
	opt.Now = func() time.Time { return time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC) }
	opt.Limits = Limits{Attempts: 4}
	opt.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d.String()); return nil }
	s, err := Open(t.Context(), b, opt)
	if err != nil {
		sc.checkError(t, err)
		return
	}
	got, chunks, err := collect(t, s, sc.window, from)
	sc.checkError(t, err)
	if err == nil && st.at != len(sc.exchanges) {
		t.Errorf("%d of %d requests came", st.at, len(sc.exchanges))
	}
	if diff := cmp.Diff(records, got, cmpopts.EquateEmpty()); diff != "" && err == nil {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if from != nil {
		return
	}
	sc.checkSays(t, chunks, waits)
	sc.resume(t, file, st, chunks, got)
}

func compactText(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

func (sc *script) checkError(t *testing.T, err error) {
	t.Helper()
	if sc.err == "" {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return
	}
	code, part, _ := strings.Cut(sc.err, " ")
	var e *weir.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, part) {
		t.Errorf("error %v, want %s", err, sc.err)
	}
}

func (sc *script) checkSays(t *testing.T, chunks []weir.Chunk, waits []string) {
	t.Helper()
	var warnings []string
	for _, c := range chunks {
		warnings = append(warnings, c.Warnings...)
	}
	if len(warnings) != len(sc.warnings) {
		t.Errorf("warnings %q, want %q", warnings, sc.warnings)
	} else {
		for i, w := range sc.warnings {
			if !strings.Contains(warnings[i], w) {
				t.Errorf("warning %q, want %q in it", warnings[i], w)
			}
		}
	}
	if sc.waits != nil && !slices.Equal(sc.waits, waits) {
		t.Errorf("waits %q, want %q", waits, sc.waits)
	}
}

// resume starts again from every checkpoint: the rest of the requests and records must be the same.
func (sc *script) resume(t *testing.T, file string, st *stage, chunks []weir.Chunk, got []string) {
	t.Helper()
	if !strings.Contains(file, "/page/") || sc.err != "" || len(chunks) != len(sc.exchanges) {
		return // with retries, pages and exchanges are not one to one
	}
	at := 0
	for i, c := range chunks {
		at += c.Records
		if c.Next != nil {
			t.Run(fmt.Sprintf("from page %d", i+2), func(t *testing.T) { sc.play(t, file, st, i+1, c.Next, got[at:]) })
		}
	}
}

func TestScripts(t *testing.T) {
	pagersSeen, authSeen := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if kind := filepath.Base(filepath.Dir(file)); kind == "content" || kind == "fuzz" {
			continue
		}
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txt"), func(t *testing.T) {
			sc := loadScript(t, file)
			if sp, err := parseSpec(sc.spec); err == nil {
				for i := range sp.AuthSpec {
					authSeen[looseName(sp.AuthSpec[i].Type)] = true
				}
				if a, err := sp.source(sc.params); err == nil {
					if pg, err := parsePaging(a.PaginationParams, a.ext.Paging, &expander{params: &params{}}); err == nil {
						pagersSeen[pg.kind] = true
					}
				}
			}
			st := &stage{exchanges: sc.exchanges}
			host, other := httptest.NewServer(st), httptest.NewServer(st)
			defer host.Close()
			defer other.Close()
			st.host, st.other = host.URL, other.URL
			sc.play(t, file, st, 0, nil, sc.want)
		})
	}
	for name := range pagers {
		if !pagersSeen[name] {
			t.Errorf("no script in testdata/page for pagination type %s", name)
		}
	}
	for name := range authenticators {
		if name != "" && !authSeen[name] {
			t.Errorf("no script in testdata/auth for auth type %s", name)
		}
	}
}

// TestScriptsFormatted keeps the JSON in the scripts readable by a machine.
func TestScriptsFormatted(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txt")
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("\r")) {
			t.Errorf("%s has carriage returns", f)
		}
	}
}
