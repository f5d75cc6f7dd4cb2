package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir"
	"weir/client"
)

// flowBench measures a whole flow run, HTTP pages to committed table, beside DuckDB reading the same URLs, in the same rounds. CPU
// counts the process tree of the measured side; this process serves the pages and is not counted.
type flowBench struct {
	records, page, rounds, threads int
	weir, python, dir              string
	pages                          *pages
}

// measure is one side of one round.
type measure struct {
	wall, cpu float64 // seconds
	rss       int64   // peak bytes
	rows      int64
	promotion float64 // share of the run's wall spent in the promotion
}

// flowMain is the subcommand: bench flow -records 1000000.
func flowMain(args []string) error {
	b := flowBench{}
	fs := flag.NewFlagSet("flow", flag.ContinueOnError)
	fs.IntVar(&b.records, "records", 1_000_000, "records of the source")
	fs.IntVar(&b.page, "page", 1000, "records per page")
	fs.IntVar(&b.rounds, "rounds", 3, "interleaved rounds")
	fs.IntVar(&b.threads, "threads", 2, "threads of one promotion, and of DuckDB")
	fs.StringVar(&b.weir, "weir", "../bin/weir", "the binary")
	fs.StringVar(&b.python, "python", "", "a Python with duckdb and duckdb-extension-httpfs; empty: Weir alone")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "weir-flow-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.pages, err = newPages(filepath.Join(b.dir, "members.ndjson"), b.records, b.page); err != nil {
		return err
	}
	defer b.pages.close()
	var ours, theirs []measure
	for round := range b.rounds {
		m, err := b.runWeir()
		if err != nil {
			return err
		}
		ours = append(ours, m)
		say("round %d  weir    %s", round+1, b.text(m))
		if b.python == "" {
			continue
		}
		if m, err = b.runDuckDB(); err != nil {
			return err
		}
		theirs = append(theirs, m)
		say("round %d  duckdb  %s", round+1, b.text(m))
	}
	say("median   weir    %s", b.text(median(ours)))
	if len(theirs) > 0 {
		o, d := median(ours), median(theirs)
		say("median   duckdb  %s", b.text(d))
		say("ratio    CPU %.2f  wall %.2f", o.cpu/d.cpu, o.wall/d.wall)
	}
	return nil
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

func (b *flowBench) text(m measure) string {
	gb := float64(b.pages.bytes) / 1e9
	s := fmt.Sprintf("%6.2f s wall  %6.2f CPU-s  %5.2f CPU-s/GB  %8.0f records/s  peak RSS %4d MiB  %d rows",
		m.wall, m.cpu, m.cpu/gb, float64(b.records)/m.wall, m.rss>>20, m.rows)
	if m.promotion > 0 {
		s += fmt.Sprintf("  promotion %2.0f %% of wall", m.promotion*100)
	}
	return s
}

// median takes the median of each figure.
func median(all []measure) measure {
	pick := func(f func(measure) float64) float64 {
		v := make([]float64, len(all))
		for i := range all {
			v[i] = f(all[i])
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return measure{
		wall: pick(func(m measure) float64 { return m.wall }), cpu: pick(func(m measure) float64 { return m.cpu }),
		rss:       int64(pick(func(m measure) float64 { return float64(m.rss) })),
		promotion: pick(func(m measure) float64 { return m.promotion }), rows: all[0].rows,
	}
}

// pages serves a file of members as pages of JSON: {"members":[…],"total_items":n}.
type pages struct {
	f       *os.File
	url     string
	srv     *http.Server
	offsets []int64 // start of each page's lines
	page, n int
	bytes   int64 // of record JSON
}

func newPages(path string, n, page int) (*pages, error) {
	if err := writeMembers(path, n); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &pages{f: f, page: page, n: n}
	r := bufio.NewReaderSize(f, 1<<20)
	for i := 0; ; i++ {
		if i%page == 0 {
			p.offsets = append(p.offsets, p.bytes)
		}
		line, err := r.ReadSlice('\n')
		p.bytes += int64(len(line))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if p.offsets[len(p.offsets)-1] != p.bytes {
		p.offsets = append(p.offsets, p.bytes)
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.url = "http://" + ln.Addr().String() + "/members"
	p.srv = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.srv.Serve(ln) }() // ends with close
	return p, nil
}

func (p *pages) close() {
	_ = p.srv.Close()
	_ = p.f.Close()
}

// ServeHTTP answers one page: ?offset=, or /members/<page>.json for readers that list URLs.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	i := offset / p.page
	if name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/members/"), ".json"); name != r.URL.Path {
		i, _ = strconv.Atoi(name)
	}
	w.Header().Set("Content-Type", "application/json")
	tail := fmt.Sprintf(`],"total_items":%d}`, p.n)
	if i < 0 || i+1 >= len(p.offsets) {
		_, _ = io.WriteString(w, `{"members":[`+tail)
		return
	}
	body := make([]byte, p.offsets[i+1]-p.offsets[i], p.offsets[i+1]-p.offsets[i]+64)
	if _, err := p.f.ReadAt(body, p.offsets[i]); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	for at := 0; ; at++ { // line ends between members become commas
		n := bytes.IndexByte(body[at:], '\n')
		if n < 0 || at+n == len(body)-1 {
			break
		}
		at += n
		body[at] = ','
	}
	body = append([]byte(`{"members":[`), append(body, tail...)...)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// runDuckDB lets DuckDB fetch all pages, do the same work and write one Parquet file.
func (b *flowBench) runDuckDB() (measure, error) {
	out := filepath.Join(b.dir, "duckdb.parquet")
	defer os.Remove(out)
	cmd := exec.Command(b.python, "duckdb_urls.py", b.pages.url, strconv.Itoa(len(b.pages.offsets)-1), out, strconv.Itoa(b.threads)) //nolint:noctx,gosec // a benchmark ends with its process
	cmd.Stderr = os.Stderr
	begun := time.Now()
	text, err := cmd.Output()
	if err != nil {
		return measure{}, fmt.Errorf("duckdb: %w", err)
	}
	m := measure{wall: time.Since(begun).Seconds()}
	m.usage(cmd.ProcessState)
	m.rows, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return m, err
}

// usage reads what an ended process used.
func (m *measure) usage(s *os.ProcessState) {
	m.cpu = (s.UserTime() + s.SystemTime()).Seconds()
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		m.rss = r.Maxrss << 10
	}
}

// runWeir starts a fresh server, sets the chain up over the API, lets one flow run and stops the server. Set-up is not in the wall time,
// but start-up and set-up are in the CPU.
func (b *flowBench) runWeir() (m measure, err error) {
	dir, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(b.weir, "serve", "--listen", "127.0.0.1:0", "--data", dir, "--allow-private-sources", "127.0.0.0/8", "--threads", strconv.Itoa(b.threads), "--log-level", "info") //nolint:noctx,gosec // stopped below
	log, err := cmd.StderrPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, fmt.Errorf("start %s (make build): %w", b.weir, err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if werr := cmd.Wait(); werr != nil && err == nil {
			err = werr
		}
		m.usage(cmd.ProcessState)
	}()
	base := make(chan string, 1)
	go func() {
		for sc := bufio.NewScanner(log); sc.Scan(); {
			if _, rest, ok := strings.Cut(sc.Text(), "msg=ready address="); ok {
				base <- strings.Fields(rest)[0]
			}
		}
	}()
	select {
	case address := <-base:
		return b.journey(address, dir)
	case <-time.After(30 * time.Second):
		return m, errors.New("weir is not ready after 30 s")
	}
}

type doc = map[string]any

// journey makes spec, schema, dataset, mapping and flow, and waits for the run.
func (b *flowBench) journey(address, dir string) (m measure, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	raw, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	if err != nil {
		return m, err
	}
	var cred struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Org    string `json:"org_id"`
	}
	if err := json.Unmarshal(raw, &cred); err != nil {
		return m, err
	}
	c := &client.Client{Base: address, Org: cred.Org, Sandbox: "prod"}
	if err := c.Login(ctx, cred.ID, cred.Secret); err != nil {
		return m, err
	}
	flow, err := b.chain(ctx, c)
	if err != nil {
		return m, err
	}
	begun := time.Now()
	id, err := create(ctx, c, "/flowservice/flows", flow)
	if err != nil {
		return m, err
	}
	for {
		var page struct {
			Items []weir.Run `json:"items"`
		}
		if _, err := c.Do(ctx, http.MethodGet, "/data/foundation/flowservice/runs?property="+url.QueryEscape("flowId=="+id), nil, nil, &page); err != nil {
			return m, err
		}
		if len(page.Items) > 0 {
			run := page.Items[0].Metrics
			switch run.Status.Status {
			case weir.RunSuccess:
				m.wall, m.rows = time.Since(begun).Seconds(), run.Records.Output
				whole := float64(run.Duration.Completed - run.Duration.Started)
				for _, a := range page.Items[0].Activities {
					if a.ID == weir.PromotionActivity {
						m.promotion = float64(a.Duration.Completed-a.Duration.Started) / whole
					}
				}
				return m, nil
			case weir.RunFailed:
				return m, fmt.Errorf("the run failed: %+v", run.Status.Errors)
			}
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-t.C:
		}
	}
}

// create posts a resource and returns its id.
func create(ctx context.Context, c *client.Client, path string, body any) (string, error) {
	header := http.Header{}
	if strings.HasPrefix(path, "/schemaregistry") {
		header.Set("Accept", "application/vnd.adobe.xed+json")
	}
	var raw json.RawMessage
	if _, err := c.Do(ctx, http.MethodPost, "/data/foundation"+path, header, body, &raw); err != nil {
		return "", err
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 {
		return strings.TrimPrefix(list[0], "@/dataSets/"), nil
	}
	var one struct {
		ID  string `json:"id"`
		URL string `json:"$id"`
	}
	err := json.Unmarshal(raw, &one)
	return one.ID + one.URL, err
}

// chain makes everything up to the flow, whose body it returns. The target leaves are those of the promotion benchmark, below the
// tenant's root, where custom fields live.
func (b *flowBench) chain(ctx context.Context, c *client.Client) (doc, error) {
	var stats struct {
		Tenant string `json:"tenantId"`
	}
	if _, err := c.Do(ctx, http.MethodGet, "/data/foundation/schemaregistry/stats", nil, nil, &stats); err != nil {
		return nil, err
	}
	root := "_" + stats.Tenant
	fields, rules, err := tenantWork(root)
	if err != nil {
		return nil, err
	}
	var ids [7]string
	const restSpec = "6499120c-0b15-42dc-936e-847ea3c24d72"
	steps := []struct {
		path string
		body func() doc
	}{
		{"/flowservice/connectionSpecs", func() doc {
			return doc{"name": "members", "type": "generic-rest", "providerId": "0ed90a81-07f4-4586-8190-b40eccef1c5a", "sourceSpec": doc{"attributes": doc{
				"urlParams": doc{"host": strings.TrimSuffix(b.pages.url, "/members"), "path": "/members", "method": "GET"}, "contentPath": "$.members",
				"paginationParams": doc{"type": "OFFSET", "limitName": "limit", "limitValue": b.page, "offSetName": "offset"},
			}}}
		}},
		{"/flowservice/connections", func() doc { return doc{"name": "members", "connectionSpec": doc{"id": ids[0]}} }},
		{"/flowservice/sourceConnections", func() doc {
			return doc{"name": "members", "baseConnectionId": ids[1], "connectionSpec": doc{"id": ids[0]}, "data": doc{"format": "json"}, "params": doc{}}
		}},
		{"/schemaregistry/tenant/fieldgroups", func() doc {
			return doc{
				"title": "members fields", "type": "object", "meta:intendedToExtend": []string{"https://ns.adobe.com/xdm/context/profile"},
				"definitions": doc{"m": doc{"properties": doc{root: fields}}}, "allOf": []any{doc{"$ref": "#/definitions/m"}},
			}
		}},
		{"/schemaregistry/tenant/schemas", func() doc {
			return doc{"title": "members", "type": "object", "allOf": []any{doc{"$ref": "https://ns.adobe.com/xdm/context/profile"}, doc{"$ref": ids[3]}}}
		}},
		{"/catalog/dataSets", func() doc {
			return doc{"name": "members", "schemaRef": doc{"id": ids[4], "contentType": "application/vnd.adobe.xed+json;version=1"}}
		}},
		{"/conversion/mappingSets", func() doc {
			return doc{"outputSchema": doc{"schemaRef": doc{"id": ids[4], "contentType": "application/vnd.adobe.xed+json;version=1"}}, "mappings": rules}
		}},
	}
	for i, s := range steps {
		if ids[i], err = create(ctx, c, s.path, s.body()); err != nil {
			return nil, err
		}
	}
	if err := listSpec(ctx, c, restSpec, ids[0]); err != nil {
		return nil, err
	}
	target, err := create(ctx, c, "/flowservice/targetConnections", doc{
		"name": "members", "connectionSpec": doc{"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}, "data": doc{"format": "parquet_xdm"}, "params": doc{"dataSetId": ids[5]},
	})
	return doc{
		"name": "members", "flowSpec": doc{"id": restSpec}, "sourceConnectionIds": []string{ids[2]}, "targetConnectionIds": []string{target},
		"transformations": []any{doc{"name": "Mapping", "params": doc{"mappingId": ids[6], "mappingVersion": 0}}},
		"scheduleParams":  doc{"startTime": time.Now().Unix(), "frequency": "once"},
		"options":         doc{"errorDiagnosticsEnabled": true, "partialIngestionPercent": 5},
	}, err
}

// listSpec puts a connection spec onto a flow spec.
func listSpec(ctx context.Context, c *client.Client, flowSpec, spec string) error {
	path := "/data/foundation/flowservice/flowSpecs/" + flowSpec
	var page struct {
		Items []doc `json:"items"`
	}
	if _, err := c.Do(ctx, http.MethodGet, path, nil, nil, &page); err != nil {
		return err
	}
	ids, _ := page.Items[0]["sourceConnectionSpecIds"].([]any)
	page.Items[0]["sourceConnectionSpecIds"] = append(ids, spec)
	_, err := c.Do(ctx, http.MethodPut, path, nil, page.Items[0], nil)
	return err
}

// tenantWork moves the targets of the promotion benchmark below the tenant's root.
func tenantWork(root string) (fields doc, rules []doc, err error) {
	var schema struct {
		Properties map[string]doc `json:"properties"`
		Required   []string       `json:"required"`
	}
	var set struct {
		Mappings []doc `json:"mappings"`
	}
	for _, f := range []struct {
		name string
		into any
	}{{"testdata/schema.json", &schema}, {"testdata/mapping.json", &set}} {
		raw, err := os.ReadFile(f.name)
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(raw, f.into); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	props := doc{}
	for name, p := range schema.Properties {
		switch name {
		case "_id":
		case "_weir":
			own, _ := p["properties"].(map[string]any)
			maps.Copy(props, own)
		default:
			props[name] = p
		}
	}
	for _, m := range set.Mappings {
		dest, _ := m["destination"].(string)
		if dest != "_id" {
			m["destination"] = root + "." + strings.TrimPrefix(dest, "_weir.")
		}
		rules = append(rules, m)
	}
	return doc{"type": "object", "properties": props, "required": schema.Required}, rules, nil
}
