package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/api"
	"weir/client"
)

// TestMain runs the real command when the test binary is started again as weir: crash tests kill exactly what ships.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_TEST_MAIN") == "1" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// server is a weir process.
type server struct {
	t    *testing.T
	dir  string
	args []string
	cmd  *exec.Cmd
	out  *lines
	api  client.Client
	done chan error
}

// lines keeps the last log lines of a process and announces its address.
type lines struct {
	mu      sync.Mutex
	all     []string
	address chan string
}

func (l *lines) read(r io.Reader) {
	for sc := bufio.NewScanner(r); sc.Scan(); {
		l.mu.Lock()
		l.all = append(l.all, sc.Text())
		l.mu.Unlock()
		if _, rest, ok := strings.Cut(sc.Text(), "msg=ready address="); ok {
			l.address <- strings.Fields(rest)[0]
		}
	}
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all[max(0, len(l.all)-40):], "\n")
}

// newServer prepares a data folder; start runs the process.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), args: args}
	t.Cleanup(func() {
		s.stop(syscall.SIGKILL)
		if t.Failed() && s.out != nil {
			t.Logf("last lines of the log:\n%s", s.out.tail())
		}
	})
	return s
}

// start runs weir serve and waits until it is ready. failpoint is WEIR_FAILPOINT, "" for none.
func (s *server) start(failpoint string) {
	s.t.Helper()
	s.launch(failpoint)
	select {
	case s.api.Base = <-s.out.address:
	case err := <-s.done:
		s.t.Fatalf("weir ended at once: %v\n%s", err, s.out.tail())
	case <-time.After(30 * time.Second):
		s.t.Fatalf("weir is not ready\n%s", s.out.tail())
	}
	s.login()
}

// launch runs weir serve; its address comes out of s.out.
func (s *server) launch(failpoint string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", s.dir, "--allow-private-sources", "127.0.0.0/8"}, s.args...)
	s.cmd = exec.Command(self, args...)
	s.cmd.Env = append(os.Environ(), "WEIR_TEST_MAIN=1", "WEIR_FAILPOINT="+failpoint)
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.out = &lines{address: make(chan string, 1)}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan error, 1)
	read := make(chan struct{})
	go func() { s.out.read(errs); close(read) }()
	cmd, done := s.cmd, s.done
	go func() { <-read; done <- cmd.Wait() }()
}

func (s *server) login() {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "credentials.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var c api.Credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		s.t.Fatal(err)
	}
	s.api.Org, s.api.Sandbox = c.OrgID, c.Sandbox
	if err := s.api.Login(s.t.Context(), c.ClientID, c.ClientSecret); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the process with a signal and waits for it; nothing happens if it is gone.
func (s *server) stop(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	<-s.done
	s.cmd = nil
}

// crashed waits until the process has killed itself at its failpoint.
func (s *server) crashed() {
	s.t.Helper()
	select {
	case <-s.done:
		s.cmd = nil
	case <-time.After(60 * time.Second):
		s.t.Fatalf("the failpoint was not reached\n%s", s.out.tail())
	}
}

// post creates a resource and returns its id.
func (s *server) post(path string, body any) string {
	s.t.Helper()
	var out map[string]any
	header := http.Header{}
	if strings.HasPrefix(path, registryPath) {
		header.Set("Accept", "application/vnd.adobe.xed+json")
	}
	var refs json.RawMessage
	if _, err := s.api.Do(s.t.Context(), http.MethodPost, path, header, body, &refs); err != nil {
		s.t.Fatal(err)
	}
	if strings.HasPrefix(string(refs), "[") {
		var list []string
		if err := json.Unmarshal(refs, &list); err != nil {
			s.t.Fatal(err)
		}
		return strings.TrimPrefix(list[0], "@/dataSets/")
	}
	if err := json.Unmarshal(refs, &out); err != nil {
		s.t.Fatal(err)
	}
	if id, ok := out["$id"].(string); ok {
		return id
	}
	id, _ := out["id"].(string)
	return id
}

// runs are the runs of a flow, newest first.
func (s *server) runs(ctx context.Context, flow string) ([]weir.Run, error) {
	var page struct {
		Items []weir.Run `json:"items"`
	}
	_, err := s.api.Do(ctx, http.MethodGet, flowServicePath+"/runs?property="+url.QueryEscape("flowId=="+flow), nil, nil, &page)
	return page.Items, err
}

// ended waits until the flow's newest run has ended.
func (s *server) ended(flow string, within time.Duration) weir.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	var last weir.Run
	for ctx.Err() == nil {
		runs, err := s.runs(ctx, flow)
		if err != nil && ctx.Err() == nil {
			s.t.Fatal(err)
		}
		if len(runs) > 0 {
			last = runs[0]
			if st := last.Metrics.Status.Status; st == weir.RunSuccess || st == weir.RunFailed {
				return last
			}
		}
		_ = pause(ctx, 20*time.Millisecond)
	}
	s.t.Fatalf("no run ended within %v; the newest is %+v\n%s", within, last.Metrics.Status, s.out.tail())
	return last
}

// upstream is a REST source of numbered members: id, e-mail, a number, nested and repeated fields, some bad rows.
type upstream struct {
	*httptest.Server
	n, page int
	mu      sync.Mutex
	served  map[int]int // offset → how often
}

func newUpstream(t *testing.T, n, page int) *upstream {
	t.Helper()
	u := &upstream{n: n, page: page, served: map[int]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(u.serve))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	u.mu.Lock()
	u.served[from]++
	u.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	buf := []byte(`{"members":[`)
	for i := from; i < min(from+u.page, u.n); i++ {
		if i > from {
			buf = append(buf, ',')
		}
		buf = appendMember(buf, i)
	}
	buf = append(buf, fmt.Sprintf(`],"total_items":%d}`, u.n)...)
	_, _ = w.Write(buf)
}

func appendMember(buf []byte, i int) []byte {
	return fmt.Appendf(buf, `{"id":"m%07d","email":"Member%d@Example.ORG ","visits":%d,"zip":"%05d","name":{"first":"Ada %d","last":"Ünal"},"tags":["a","t%d"],"changed":"2031-02-03T04:05:06Z"}`,
		i, i, i, i%100000, i, i%7)
}

// testFlow sets the whole chain up against an upstream and returns the ids of dataset and flow. schedule nil is every 15 minutes.
func (s *server) testFlow(up string, page int, schedule map[string]any) (dataset, flow string) {
	s.t.Helper()
	return s.flowOf(object{
		"urlParams":        object{"host": up, "path": "/members", "method": "GET"},
		"contentPath":      "$.members",
		"paginationParams": object{"type": "OFFSET", "limitName": "limit", "limitValue": page, "offSetName": "offset"},
	}, schedule)
}

// flowOf is testFlow for a source of members with the given sourceSpec.attributes.
func (s *server) flowOf(attributes any, schedule map[string]any) (dataset, flow string) {
	s.t.Helper()
	var stats struct {
		TenantID string `json:"tenantId"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, registryPath+"/stats", nil, nil, &stats); err != nil {
		s.t.Fatal(err)
	}
	tenant := "_" + stats.TenantID
	name := "members " + weir.NewHex(4)
	spec := s.post(flowServicePath+"/connectionSpecs", object{
		"name": name, "type": "generic-rest", "providerId": restProviderID,
		"sourceSpec": object{"attributes": attributes},
	})
	var specs struct {
		Items []object `json:"items"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, flowServicePath+"/flowSpecs/"+restFlowSpec, nil, nil, &specs); err != nil {
		s.t.Fatal(err)
	}
	flowSpec := specs.Items[0]
	ids, _ := flowSpec["sourceConnectionSpecIds"].([]any)
	flowSpec["sourceConnectionSpecIds"] = append(ids, spec)
	if _, err := s.api.Do(s.t.Context(), http.MethodPut, flowServicePath+"/flowSpecs/"+restFlowSpec, nil, flowSpec, nil); err != nil {
		s.t.Fatal(err)
	}
	connection := s.post(flowServicePath+"/connections", object{"name": name, "connectionSpec": object{"id": spec}})
	source := s.post(flowServicePath+"/sourceConnections", object{
		"name": name, "baseConnectionId": connection, "connectionSpec": object{"id": spec}, "data": object{"format": "json"}, "params": object{},
	})
	text := object{"type": "string"}
	group := s.post(registryPath+"/tenant/fieldgroups", object{
		"title": "group " + name, "type": "object", "meta:intendedToExtend": []string{"https://ns.adobe.com/xdm/context/profile"},
		"definitions": object{"x": object{"properties": object{tenant: object{"type": "object", "properties": object{
			"visits": object{"type": "integer"}, "zip": text, "tags": object{"type": "array", "items": text},
			"changed": object{"type": "string", "format": "date-time"},
		}}}}},
		"allOf": []any{object{"$ref": "#/definitions/x"}},
	})
	schema := s.post(registryPath+"/tenant/schemas", object{"title": "schema " + name, "type": "object", "allOf": []any{
		object{"$ref": "https://ns.adobe.com/xdm/context/profile"},
		object{"$ref": "https://ns.adobe.com/xdm/context/profile-person-details"},
		object{"$ref": "https://ns.adobe.com/xdm/context/profile-personal-details"},
		object{"$ref": group},
	}})
	dataset = s.post(catalogPath+"/dataSets", object{"name": name, "schemaRef": object{"id": schema, "contentType": schemaType}})
	target := s.post(flowServicePath+"/targetConnections", object{
		"name": name, "connectionSpec": object{"id": dataLakeSpec}, "data": object{"format": "parquet_xdm"}, "params": object{"dataSetId": dataset},
	})
	mapping := s.post(conversionPath+"/mappingSets", object{
		"outputSchema": object{"schemaRef": object{"id": schema, "contentType": schemaType}},
		"mappings": []object{
			{"sourceType": "ATTRIBUTE", "source": "id", "destination": "_id"},
			{"sourceType": "EXPRESSION", "source": "lower(trim(email))", "destination": "personalEmail.address"},
			{"sourceType": "ATTRIBUTE", "source": "name.first", "destination": "person.name.firstName"},
			{"sourceType": "ATTRIBUTE", "source": "name.last", "destination": "person.name.lastName"},
			{"sourceType": "ATTRIBUTE", "source": "visits", "destination": tenant + ".visits"},
			{"sourceType": "ATTRIBUTE", "source": "zip", "destination": tenant + ".zip"},
			{"sourceType": "ATTRIBUTE", "source": "tags", "destination": tenant + ".tags"},
			{"sourceType": "ATTRIBUTE", "source": "changed", "destination": tenant + ".changed"},
		},
	})
	if schedule == nil {
		schedule = object{"startTime": time.Now().Unix(), "frequency": "minute", "interval": 15}
	}
	flow = s.post(flowServicePath+"/flows", object{
		"name": name, "flowSpec": object{"id": restFlowSpec}, "sourceConnectionIds": []string{source}, "targetConnectionIds": []string{target},
		"transformations": []any{object{"name": "Mapping", "params": object{"mappingId": mapping, "mappingVersion": 0}}},
		"scheduleParams":  schedule,
	})
	return dataset, flow
}

// parquetFiles are the data files that can be seen in the lake's folder.
func (s *server) parquetFiles() []string {
	s.t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(s.dir, "lake"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".parquet") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}
