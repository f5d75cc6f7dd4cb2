package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// The tests of the files realservers_*_test.go read servers that other people wrote, through the whole chain from the connection spec to
// the rows of the committed table, and compare every row with the record that was put into the server. How the servers are started is in
// testdata/servers; what each shows is the table in docs/rest-extension.md.

// serversDir holds what starts the servers, and the connection specs for them.
const serversDir = "../../testdata/servers"

// outside is a process of a server that is not ours.
type outside struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  []string // the addresses it announced
	mu   sync.Mutex
	said []string
	done chan struct{}
}

// startOutside runs a server and waits until a line of its output holds announce; what follows in that line are its addresses.
func startOutside(t *testing.T, announce, program string, args ...string) *outside {
	t.Helper()
	o := &outside{t: t, cmd: exec.Command(program, args...), done: make(chan struct{})}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.cmd.Stdout, o.cmd.Stderr = out, out
	err = o.cmd.Start()
	_ = out.Close()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan []string, 1)
	go o.read(in, announce, ready)
	t.Cleanup(o.stop)
	select {
	case o.URL = <-ready:
	case <-o.done:
		t.Fatalf("%s ended at once:\n%s", program, strings.Join(o.lines(), "\n"))
	case <-time.After(60 * time.Second):
		t.Fatalf("%s is not ready:\n%s", program, strings.Join(o.lines(), "\n"))
	}
	return o
}

func (o *outside) read(in io.ReadCloser, announce string, ready chan<- []string) {
	defer close(o.done)
	defer in.Close()
	announced := false
	for sc := bufio.NewScanner(in); sc.Scan(); {
		o.mu.Lock()
		o.said = append(o.said, sc.Text())
		o.mu.Unlock()
		if _, rest, ok := strings.Cut(sc.Text(), announce); ok && !announced {
			announced = true
			ready <- strings.Fields(rest)
		}
	}
}

// stop ends the process.
func (o *outside) stop() {
	if o.cmd == nil {
		return
	}
	_ = o.cmd.Process.Signal(syscall.SIGKILL)
	<-o.done
	_ = o.cmd.Wait()
	o.cmd = nil
	if o.t.Failed() {
		lines := o.lines()
		o.t.Logf("last lines of the source:\n%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
}

func (o *outside) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.said...)
}

// count is how often the server said line.
func (o *outside) count(line string) (n int) {
	for _, l := range o.lines() {
		if l == line {
			n++
		}
	}
	return n
}

// nodeServer runs a script of testdata/servers.
func nodeServer(t *testing.T, script string, args ...string) *outside {
	t.Helper()
	if _, err := os.Stat(filepath.Join(serversDir, "node_modules")); err != nil {
		t.Skip("skipped: the servers from npm are not installed; npm ci --prefix testdata/servers")
	}
	return startOutside(t, "ready ", "node", append([]string{filepath.Join(serversDir, script)}, args...)...)
}

// ask sends a request to a source while it is being filled; anything but success ends the test.
func ask(t *testing.T, method, address string, header map[string]string, body any) []byte {
	t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, in)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %v\n%.2000s", method, address, res.Status, err, raw)
	}
	return raw
}

// thing is a record of every source: texts that look like numbers, text beyond ASCII, nulls, nested and repeated members.
type thing struct {
	ID      string   `json:"id"`
	Code    string   `json:"code"` // digits, with zeros in front, longer than any integer type
	Name    string   `json:"name"`
	Note    *string  `json:"note"` // null in every third record, empty in others
	Amount  float64  `json:"amount"`
	Count   int64    `json:"count"`
	Active  bool     `json:"active"`
	Address place    `json:"address"`
	Tags    []string `json:"tags"`
	Changed string   `json:"changed"`
}

type place struct {
	City string  `json:"city"`
	Zip  *string `json:"zip"` // five digits, null in every fifth record
}

func newThing(i int) thing {
	r := thing{
		ID: fmt.Sprintf("r%05d", i), Code: fmt.Sprintf("%022d", i*7919), Name: fmt.Sprintf("Žofie \"Ünal\" 東京 🦊\t<%d> & Søn", i),
		Amount: float64(i) * 1.25, Count: int64(i)*1_000_003 - 500, Active: i%2 == 0,
		Address: place{City: []string{"Århus", "København", "São Paulo", "Kraków"}[i%4]},
		Tags:    []string{"a", fmt.Sprintf("t%d", i%7), "ß,;|"}[:i%4],
		Changed: time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC).Add(time.Duration(i) * time.Minute).Format(time.RFC3339),
	}
	if i%3 != 0 {
		note := strings.Repeat("line\nnext ", i%3-1)
		r.Note = &note
	}
	if i%5 != 0 {
		zip := fmt.Sprintf("%05d", i%100000)
		r.Address.Zip = &zip
	}
	return r
}

func newThings(n int) []thing {
	out := make([]thing, n)
	for i := range out {
		out[i] = newThing(i)
	}
	return out
}

// row is what the table must hold for the record, as [server.table] returns it.
func (r *thing) row() object {
	row := object{
		"_id": r.ID, "code": r.Code, "name": r.Name, "amount": r.Amount, "count": float64(r.Count), "active": r.Active,
		"changed": strings.Replace(strings.TrimSuffix(r.Changed, "Z"), "T", " ", 1) + "+00",
	}
	address := object{"city": r.Address.City}
	if r.Address.Zip != nil {
		address["zip"] = *r.Address.Zip
	}
	row["address"] = address
	if r.Note != nil {
		row["note"] = *r.Note
	}
	tags := make([]any, len(r.Tags))
	for i, t := range r.Tags {
		tags[i] = t
	}
	row["tags"] = tags
	return row
}

func rowsOf(things []thing) map[string]object {
	out := make(map[string]object, len(things))
	for i := range things {
		out[things[i].ID] = things[i].row()
	}
	return out
}

// thingFields are the fields of a thing in a schema.
func thingFields() object {
	text := object{"type": "string"}
	return object{
		"code": text, "name": text, "note": text, "amount": object{"type": "number"}, "count": object{"type": "integer", "minimum": -9007199254740992, "maximum": 9007199254740991}, "active": object{"type": "boolean"},
		"address": object{"type": "object", "properties": object{"city": text, "zip": text}},
		"tags":    object{"type": "array", "items": text}, "changed": object{"type": "string", "format": "date-time"},
	}
}

// thingRules map a thing at prefix ("doc." or ""); the rules given replace or add single ones.
func thingRules(prefix string, more map[string]string) map[string]string {
	rules := map[string]string{"_id": prefix + "id"}
	for _, f := range []string{"code", "name", "note", "amount", "count", "active", "address.city", "address.zip", "tags", "changed"} {
		rules[f] = prefix + f
	}
	maps.Copy(rules, more)
	return rules
}

// chain is a source and where it goes: everything a person enters between the connection spec and the flow.
type chain struct {
	spec   string            // file in testdata/servers/specs
	vars   map[string]string // $NAME in the spec
	auth   object            // of the base connection
	params object            // of the source connection
	fields object            // of the schema, below the tenant
	rules  map[string]string // destination below the tenant (or _id) → source
	option object            // of the flow
	later  time.Duration     // until the flow's own run

	tenant, specID, connection, dataset, flow string
	before                                    []string // files of other tables
}

// readSpec is the connection spec of the chain with its variables filled in.
func (c *chain) readSpec(t *testing.T) object {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(serversDir, "specs", c.spec))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, value := range c.vars {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	var spec object
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatalf("%s: %v", c.spec, err)
	}
	return spec
}

// connect registers the spec, makes the base connection and tests it.
func (s *server) connect(c *chain) {
	s.t.Helper()
	var stats struct {
		TenantID string `json:"tenantId"`
	}
	s.get(registryPath+"/stats", &stats)
	c.tenant = "_" + stats.TenantID
	spec := c.readSpec(s.t)
	name, _ := spec["name"].(string)
	c.specID = s.post(flowServicePath+"/connectionSpecs", spec)
	var specs struct {
		Items []object `json:"items"`
	}
	s.get(flowServicePath+"/flowSpecs/"+restFlowSpec, &specs)
	flowSpec := specs.Items[0]
	ids, _ := flowSpec["sourceConnectionSpecIds"].([]any)
	flowSpec["sourceConnectionSpecIds"] = append(ids, c.specID)
	if _, err := s.api.Do(s.t.Context(), http.MethodPut, flowServicePath+"/flowSpecs/"+restFlowSpec, nil, flowSpec, nil); err != nil {
		s.t.Fatal(err)
	}
	body := object{"name": name, "connectionSpec": object{"id": c.specID, "version": "1.0"}}
	if c.auth != nil {
		body["auth"] = c.auth
	}
	c.connection = s.post(flowServicePath+"/connections", body)
}

// get reads a resource.
func (s *server) get(path string, out any) {
	s.t.Helper()
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, path, nil, nil, out); err != nil {
		s.t.Fatal(err)
	}
}

// preview is the answer of explore.
type preview struct {
	Schema json.RawMessage   `json:"schema"`
	Data   []json.RawMessage `json:"data"`
}

// explore tests the connection and previews the source.
func (s *server) explore(c *chain) preview {
	s.t.Helper()
	var test struct {
		Result bool `json:"result"`
	}
	s.get(flowServicePath+"/connections/"+c.connection+"/test", &test)
	if !test.Result {
		s.t.Error("the test of the connection does not answer true")
	}
	if c.params == nil {
		c.params = object{}
	}
	params, err := json.Marshal(c.params)
	if err != nil {
		s.t.Fatal(err)
	}
	var out preview
	s.get(flowServicePath+"/connections/"+c.connection+"/explore?objectType=rest&object=json&fileType=json&preview=true&sourceParams="+url.QueryEscape(base64Text(params)), &out)
	if len(out.Data) == 0 || !bytes.Contains(out.Schema, []byte(`"properties"`)) {
		s.t.Fatalf("the preview has %d records and the schema %s", len(out.Data), out.Schema)
	}
	return out
}

// build makes everything from the source connection to the flow, which has the frequency once.
func (s *server) build(c *chain) {
	s.t.Helper()
	name := "chain " + weir.NewHex(4)
	c.before = s.parquetFiles()
	source := s.post(flowServicePath+"/sourceConnections", object{
		"name": name, "baseConnectionId": c.connection, "connectionSpec": object{"id": c.specID, "version": "1.0"}, "data": object{"format": "json"}, "params": c.params,
	})
	const class = "https://ns.adobe.com/xdm/context/profile"
	group := s.post(registryPath+"/tenant/fieldgroups", object{
		"title": "group " + name, "type": "object", "meta:intendedToExtend": []string{class},
		"definitions": object{"x": object{"properties": object{c.tenant: object{"type": "object", "properties": c.fields}}}},
		"allOf":       []any{object{"$ref": "#/definitions/x"}},
	})
	schema := s.post(registryPath+"/tenant/schemas", object{"title": "schema " + name, "type": "object", "allOf": []any{object{"$ref": class}, object{"$ref": group}}})
	c.dataset = s.post(catalogPath+"/dataSets", object{"name": name, "schemaRef": object{"id": schema, "contentType": schemaType}})
	target := s.post(flowServicePath+"/targetConnections", object{
		"name": name, "connectionSpec": object{"id": dataLakeSpec}, "data": object{"format": "parquet_xdm"}, "params": object{"dataSetId": c.dataset},
	})
	var rules []object
	for to, from := range c.rules {
		if to != "_id" {
			to = c.tenant + "." + to
		}
		kind := "ATTRIBUTE"
		if strings.ContainsAny(from, "( =") {
			kind = "EXPRESSION"
		}
		rules = append(rules, object{"sourceType": kind, "source": from, "destination": to})
	}
	mapping := s.post(conversionPath+"/mappingSets", object{
		"outputSchema": object{"schemaRef": object{"id": schema, "contentType": schemaType}}, "mappings": rules,
	})
	flow := object{
		"name": name, "flowSpec": object{"id": restFlowSpec}, "sourceConnectionIds": []string{source}, "targetConnectionIds": []string{target},
		"transformations": []any{object{"name": "Mapping", "params": object{"mappingId": mapping, "mappingVersion": 0}}},
		"scheduleParams":  object{"startTime": time.Now().Add(c.later).Unix(), "frequency": "once"},
	}
	if c.option != nil {
		flow["options"] = c.option
	}
	c.flow = s.post(flowServicePath+"/flows", flow)
}

// again starts a run of the chain's flow and waits for its end. params may hold a window.
func (s *server) again(c *chain, params object, within time.Duration) weir.Run {
	s.t.Helper()
	body := object{"flowId": c.flow}
	if params != nil {
		body["params"] = params
	}
	id := s.post(flowServicePath+"/runs", body)
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	for ctx.Err() == nil {
		var page struct {
			Items []weir.Run `json:"items"`
		}
		if _, err := s.api.Do(ctx, http.MethodGet, flowServicePath+"/runs/"+id, nil, nil, &page); err != nil && ctx.Err() == nil {
			s.t.Fatal(err)
		}
		for _, r := range page.Items {
			if st := r.Metrics.Status.Status; st == weir.RunSuccess || st == weir.RunFailed {
				return r
			}
		}
		_ = pause(ctx, 20*time.Millisecond)
	}
	s.t.Fatalf("run %s did not end within %v\n%s", id, within, s.out.tail())
	return weir.Run{}
}

// succeeded checks that every one of n records became a row.
func (s *server) succeeded(run weir.Run, n int) {
	s.t.Helper()
	r := run.Metrics.Records
	if run.Metrics.Status.Status != weir.RunSuccess || r.Input != int64(n) || r.Output != int64(n) || r.Failed != 0 {
		s.t.Fatalf("the run ended %s with %d records in, %d out, %d failed, want %d; errors %+v", run.Metrics.Status.Status, r.Input, r.Output, r.Failed, n, run.Metrics.Status.Errors)
	}
}

// travel takes a chain from the spec to the end of its first run, which must bring n rows.
func (s *server) travel(c *chain, n int) {
	s.t.Helper()
	s.connect(c)
	s.explore(c)
	s.build(c)
	s.succeeded(s.ended(c.flow, 60*time.Second), n)
}

// table reads the chain's table back with DuckDB: the members below the tenant and _id, by _id. Members that are null are left out. No
// other table may have been written since the chain was built.
func (s *server) table(c *chain) map[string]object {
	s.t.Helper()
	files := slices.DeleteFunc(s.parquetFiles(), func(f string) bool { return slices.Contains(c.before, f) })
	return readTable(s.t, c.tenant, files)
}

// readTable reads Parquet files.
func readTable(t *testing.T, tenant string, files []string) map[string]object {
	t.Helper()
	if len(files) == 0 {
		t.Fatal("the table has no files")
	}
	out := map[string]object{}
	for _, line := range duckdb(t, `SELECT _id, unnest("`+tenant+`") FROM read_parquet($1)`, files) {
		var row object
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		id, _ := row["_id"].(string)
		if out[id] != nil {
			t.Errorf("the row %s is there twice", id)
		}
		out[id], _ = bare(row).(object)
	}
	return out
}

// bare leaves out members that are null.
func bare(v any) any {
	o, is := v.(object)
	if !is {
		return v
	}
	for name, m := range o {
		if o[name] = bare(m); m == nil {
			delete(o, name)
		}
	}
	return o
}

// same compares tables row by row.
func same(t *testing.T, want, got map[string]object) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("the table has %d rows, want %d", len(got), len(want))
	}
	shown := 0
	for id, w := range want {
		if d := cmp.Diff(w, got[id]); d != "" {
			if shown++; shown > 3 {
				t.Fatal("further rows differ")
			}
			t.Errorf("row %s (-put into the source, +in the table):\n%s", id, d)
		}
	}
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
