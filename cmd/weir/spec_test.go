package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// weirSpec runs weir spec as it ships, in a process of its own, with its output in pipes.
func weirSpec(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"spec"}, args...)...)
	cmd.Env = append(os.Environ(), "WEIR_TEST_MAIN=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String()+log.String(), "\x1b[") {
		t.Errorf("colour in a pipe: %q %q", out.String(), log.String())
	}
	return out.String(), log.String(), code
}

func specFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "spec.json")
	writeTestFile(t, name, []byte(text))
	return name
}

// demands fails unless every part is in the text, in this order.
func demands(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			t.Errorf("%s lacks %q (in this order):\n%s", what, p, text)
			return
		}
		rest = after
	}
}

// pagedSpec reads pages of two records with a bearer token.
func pagedSpec(host, paging string) string {
	return `{
 "name": "paged", "type": "paged", "providerId": "0ed90a81-07f4-4586-8190-b40eccef1c5a",
 "authSpec": [{"name": "Bearer Token", "type": "BearerToken", "spec": {"type": "object", "properties": {"token": {"type": "string", "format": "password"}}, "required": ["token"]}}],
 "sourceSpec": {
  "spec": {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
  "attributes": {
   "urlParams": {"host": "` + host + `", "path": "/items", "method": "GET", "queryParams": {"kind": "${kind}"}},
   "contentPath": "$.items",
   "paginationParams": ` + paging + `
  }
 }
}`
}

const tokenPaging = `{"type": "CONTINUATION_TOKEN", "continuationTokenPath": "$.next", "parameterType": "QUERYPARAM", "parameterName": "after"}`

func TestSpecCheck(t *testing.T) {
	good := specFile(t, pagedSpec("https://a.example", tokenPaging))
	out, log, code := weirSpec(t, "", "check", good)
	if code != 0 || log != "" || out != good+": no faults, no warnings\n" {
		t.Errorf("%d %q %q", code, out, log)
	}
	bad := specFile(t, strings.Replace(pagedSpec("https://a.example", `{"type": "CURSOR"}`), `"${kind}"`, `"${kin}"`, 1))
	out, log, code = weirSpec(t, "", "check", bad)
	if code != 2 || !strings.HasSuffix(log, "2 faults, 1 warning\n") {
		t.Errorf("%d %q", code, log)
	}
	demands(t, "check", out, bad+":5  ", "warning", "/sourceSpec/spec/properties/kind", "used nowhere")
	demands(t, "check", out, bad+":6  ", "fault", "CONNECTOR-1312-400", "/sourceSpec/attributes", "CURSOR")
	demands(t, "check", out, bad+":7  ", "fault", "CONNECTOR-1304-400", "/sourceSpec/attributes/urlParams/queryParams/kind", "${kin} has no value")
	out, _, code = weirSpec(t, "", "check", "--json", bad)
	var faults []struct {
		Line    int
		Pointer string
		Warning bool
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil || len(faults) != 3 || code != 2 {
		t.Errorf("%v %d %s", err, code, out)
	}
	broken := specFile(t, "{\n\"name\": }")
	if out, _, code = weirSpec(t, "", "check", broken); code != 2 || !strings.Contains(out, "not valid JSON") {
		t.Errorf("%d %q", code, out)
	}
	if _, log, code = weirSpec(t, "", "check", filepath.Join(t.TempDir(), "none.json")); code != 2 || !strings.Contains(log, "none.json") {
		t.Errorf("%d %q", code, log)
	}
	if out, _, _ = weirSpec(t, "", "check", "--help"); !strings.Contains(strings.Join(strings.Fields(out), " "), "exit code 2") {
		t.Error(out)
	}
}

// tokenSource gives three pages, the token echoed on the first, and asks to come again once.
func tokenSource(t *testing.T, secret string) *httptest.Server {
	t.Helper()
	busy := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer "+secret {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message":"the token ` + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + ` is not known"}`))
			return
		}
		switch r.URL.Query().Get("after") {
		case "":
			_, _ = w.Write([]byte(`{"items":[{"id":1,"at":"2026-01-05","note":"seen ` + secret + `"},{"id":2,"n":1.5}],"next":"two"}`))
		case "two":
			if busy {
				busy = false
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = w.Write([]byte(`{"items":[{"id":3},{"id":4}],"next":"three"}`))
		default:
			_, _ = w.Write([]byte(`{"items":[{"id":5}],"next":null}`))
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestSpecTry(t *testing.T) {
	const secret = "tok-very-secret-4711"
	srv := tokenSource(t, secret)
	file := specFile(t, pagedSpec(srv.URL, tokenPaging))
	held := filepath.Join(t.TempDir(), "token")
	writeTestFile(t, held, []byte(secret+"\n"))
	common := []string{"try", file, "--allow-private-sources", "127.0.0.0/8", "--param", "kind=a"}
	out, log, code := weirSpec(t, "", append(common, "--auth", "token=@"+held, "--pages", "9", "--records", "2", "--bodies")...)
	if code != 0 || log != "" {
		t.Fatalf("%d %s", code, log)
	}
	demands(t, "try", out,
		"GET "+srv.URL+"/items?kind=a\n", "  Authorization: Bearer ***\n", "  200 after ", "application/json", "seen ***",
		"page 1: 2 records; next (CONTINUATION_TOKEN): ", `"two"`,
		"/items?kind=a&after=two\n", "  429 after ", "/items?kind=a&after=two\n", "page 2: 2 records; next (CONTINUATION_TOKEN): ",
		"page 3: 1 record; the end\n", "first records (2 of 5)\n", `  {"id":1,`, `  {"id":2,`, "schema\n", `"at": {`, "5 records on 3 pages with 4 requests; all of them\n")
	for _, text := range []string{out, log} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is shown:\n%s", text)
		}
	}
	out, _, _ = weirSpec(t, "", append(common, "--auth", "token="+secret, "--pages", "1")...)
	demands(t, "try", out, "2 records on 1 page with 1 request; there are more\n")
	if strings.Contains(out, "200\n{") || strings.Contains(out, secret) {
		t.Error(out)
	}
	const wrong = "wrong-secret-0815"
	out, log, code = weirSpec(t, "", append(common, "--auth", "token="+wrong)...)
	if code != 1 || strings.Contains(out+log, wrong) {
		t.Errorf("%d\n%s\n%s", code, out, log)
	}
	demands(t, "try", out, "  401 after ", "the token *** is not known")
	demands(t, "try", log, "weir: ", "401 Unauthorized", "the token *** is not known")
	if _, log, code = weirSpec(t, "", "try", file, "--auth", "token=x"); code != 1 || !strings.Contains(log, "/params/kind") {
		t.Errorf("%d %q", code, log)
	}
	if _, log, code = weirSpec(t, "", "try", file, "--param", "kind=a", "--auth", "token="+secret); code != 1 || strings.Contains(log, secret) || !strings.Contains(log, "weir: ") {
		t.Errorf("a private address is read without leave: %d %q", code, log)
	}
}

func TestSpecProve(t *testing.T) {
	out, log, code := weirSpec(t, "", "prove", specFile(t, pagedSpec("https://a.example", tokenPaging)))
	if code != 0 || log != "" {
		t.Errorf("%d %s", code, log)
	}
	demands(t, "prove", out, "✓ plain ", " records ", " requests", "✓ 429 with Retry-After", "✓ truncated bodies", "– windows meet", "every run reads everything", "✓ wrong credentials", "✓ resume from every page", " passed, 0 failed, 1 do not apply\n")
	faulty := strings.Replace(pagedSpec("https://a.example", tokenPaging), `"paginationParams"`, `"weir": {"onResponse": [{"status": 401, "do": "ignore"}]}, "paginationParams"`, 1)
	out, _, code = weirSpec(t, "", "prove", specFile(t, faulty))
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	demands(t, "prove", out, "✓ plain ", "✗ wrong credentials ", "the run succeeded with wrong credentials", " passed, 1 failed, ")
	out, _, code = weirSpec(t, "", "prove", "--json", specFile(t, faulty))
	var proofs []struct {
		Results []struct{ Situation, Outcome string }
	}
	if err := json.Unmarshal([]byte(out), &proofs); err != nil || code != 1 || len(proofs) != 1 || len(proofs[0].Results) < 14 {
		t.Errorf("%v %d %s", err, code, out)
	}
	if _, log, code = weirSpec(t, "", "prove", specFile(t, `{"sourceSpec":{"attributes":{}}}`)); code != 1 || !strings.Contains(log, "no upstream can be made") {
		t.Errorf("%d %q", code, log)
	}
}

func TestSpecDocs(t *testing.T) {
	file := specFile(t, pagedSpec("https://a.example", tokenPaging))
	out, log, code := weirSpec(t, "", "docs", file)
	if code != 0 || log != "" {
		t.Fatalf("%d %s", code, log)
	}
	demands(t, "docs", out, "# paged\n", "| Paging | continuation tokens |", "## Prerequisites", "## Authentication", "### Bearer Token", "| `token` | string, secret | yes |", "## Source parameters", "| `kind` |",
		"## What is asked of the source", "GET https://a.example/items?kind=", "Authorization: Bearer ***", "HTTP/1.1 200 OK", "/flowservice/connections\"", "/explore?", "/sourceConnections", "/tenant/schemas", "/dataSets", "/targetConnections", "/mappingSets", "/flowservice/flows\"", "/runs?")
	page := filepath.Join(t.TempDir(), "page.md")
	if out, _, code = weirSpec(t, "", "docs", file, "-o", page); code != 0 || out != "" {
		t.Errorf("%d %q", code, out)
	}
	if raw, err := os.ReadFile(page); err != nil || !bytes.HasPrefix(raw, []byte("# paged\n")) {
		t.Error(err)
	}
}

func TestSpecImport(t *testing.T) {
	const secret = "s3cret-in-curl"
	out, log, code := weirSpec(t, `curl -H 'Authorization: Bearer `+secret+`' 'https://a.example/items?page=1&per_page=10'`, "import", "curl", "-")
	if code != 0 || strings.Contains(out+log, secret) || !json.Valid([]byte(out)) {
		t.Errorf("%d %s %s", code, out, log)
	}
	demands(t, "import", log, "-:1: loss: -  paginationParams: taken for PAGE", "-:1: loss: -  contentPath: ", "-: 2 not carried over as it was; no notes\n")

	manifest := "../../author/testdata/airbyte/"
	file := filepath.Join(t.TempDir(), "out.json")
	out, log, code = weirSpec(t, "", "import", "airbyte", manifest+"01_offset.yaml", "-o", file)
	if code != 0 || out != "" || log != manifest+"01_offset.yaml: everything was carried over; no notes\n" {
		t.Errorf("%d %q %q", code, out, log)
	}
	if out, log, code = weirSpec(t, "", "check", file); code != 0 {
		t.Errorf("%d %s %s", code, out, log)
	}
	_, log, code = weirSpec(t, "", "import", "airbyte", manifest+"50_losses.yaml")
	demands(t, "import", log, "50_losses.yaml:12: loss: /streams/0/retriever/requester/error_handler/", "50_losses.yaml:25: loss: /stream_groups", "note: /metadata", "13 not carried over as it was; ")
	if code != 0 {
		t.Error(code)
	}
	if _, log, code = weirSpec(t, "a: 1", "import", "airbyte", "-"); code != 1 || !strings.Contains(log, "not a declarative manifest") {
		t.Errorf("%d %q", code, log)
	}
	if _, _, code = weirSpec(t, "", "import", "wsdl", "-"); code != 2 {
		t.Error(code)
	}
}
