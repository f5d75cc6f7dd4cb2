package author

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"weir"
)

// Docs writes the documentation page of a connection spec in Markdown: what a partner hands to those who use the source.
// Requests to the source and their answers are real: they are recorded while the spec reads an upstream made from it.
func Docs(ctx context.Context, spec json.RawMessage) (string, error) {
	names := streamNames(spec)
	stream := ""
	if len(names) > 0 {
		stream = names[0]
	}
	s, err := newSubject(spec, choice{stream: stream})
	if err != nil {
		return "", err
	}
	p := &page{s: s}
	p.overview()
	p.prerequisites()
	p.authentication()
	p.parameters(names)
	if err := p.source(ctx); err != nil {
		return "", err
	}
	p.journey()
	return p.b.String(), nil
}

// page is a documentation page under way.
type page struct {
	s       *subject
	b       strings.Builder
	preview []json.RawMessage
	schema  json.RawMessage
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *page) name() string { return or(p.s.doc.str("name"), "source") }

func (p *page) overview() {
	u := p.s.doc.path("sourceSpec", "attributes", "uiAttributes")
	p.line("# %s\n", or(u.str("label", "text"), p.name()))
	p.line("%s\n", or(or(u.str("description", "text"), p.s.doc.str("description")), "Reads records of "+p.s.host()+" on a schedule into datasets."))
	r := p.s.own()
	kinds := map[string]string{"NONE": "one request", "OFFSET": "offset and limit", "PAGE": "page numbers", "POINTER": "next-page links in the answer", "CONTINUATION_TOKEN": "continuation tokens", "LINK": "Link headers", "NEXT": "positions taken from the answer"}
	p.line("| | |\n|---|---|")
	p.line("| Host | `%s` |\n| Request | `%s %s` |\n| Paging | %s |\n| Format | %s |", p.s.host(), r.method, or(p.s.doc.str("sourceSpec", "attributes", "urlParams", "path"), "/"), kinds[r.kind], r.format())
	switch w := &r.window; {
	case r.keep:
		p.line("| Incremental | yes: a change feed, each run goes on where the last one ended |\n")
	case w.asked():
		p.line("| Incremental | yes: each run asks for what changed since the last one |\n")
	case w.filter:
		p.line("| Incremental | each run reads everything and keeps what changed |\n")
	default:
		p.line("| Incremental | no: each run reads everything |\n")
	}
}

func (p *page) prerequisites() {
	p.line("## Prerequisites\n")
	p.line("- An account of the source, with the credentials below.")
	p.line("- A token, an organisation id, an API key and a sandbox of Weir. The calls below take them from the environment:\n")
	p.line("```sh\nexport WEIR=http://127.0.0.1:8080 TOKEN=… ORG=… KEY=… SANDBOX=prod\n```\n")
	p.line("The spec must be listed on the flow spec for REST sources (`RestStorageToAEP`); its id is written `$SPEC`.\n")
}

func (p *page) authentication() {
	p.line("## Authentication\n")
	list := p.s.doc.get("authSpec").list()
	if len(list) == 0 {
		p.line("The source needs no credentials.\n")
	}
	for _, a := range list {
		p.line("### %s\n\nType `%s`. Name it as `auth.specName`.\n", a.str("name"), a.str("type"))
		p.table(a.get("spec"))
	}
}

// table lists the parameters of a schema.
func (p *page) table(schema *node) {
	props := schema.get("properties")
	if props == nil || len(props.names) == 0 {
		p.line("There are no parameters.\n")
		return
	}
	required := map[string]bool{}
	for _, r := range schema.get("required").list() {
		required[r.text()] = true
	}
	p.line("| Parameter | Type | Required | Description |\n|---|---|---|---|")
	for i, name := range props.names {
		v := props.values[i]
		text := v.str("description")
		if d := v.get("default"); d != nil {
			text += " Default: `" + plainText(d.plain()) + "`."
		}
		if e := texts(v.get("enum")); len(e) > 0 {
			text += " One of `" + strings.Join(e, "`, `") + "`."
		}
		kind := or(v.str("type"), "string")
		if v.str("format") == "password" {
			kind += ", secret"
		}
		p.line("| `%s` | %s | %s | %s |", name, kind, map[bool]string{true: "yes", false: ""}[required[name]], strings.ReplaceAll(strings.TrimSpace(text), "|", `\|`))
	}
	p.line("")
}

func (p *page) parameters(streams []string) {
	p.line("## Source parameters\n")
	p.table(p.s.doc.path("sourceSpec", "spec"))
	if len(streams) > 0 {
		p.line("The parameter `stream` says what to read: `%s`.\n", strings.Join(streams, "`, `"))
	}
}

// source records what is sent to the source and what it answers.
func (p *page) source(ctx context.Context) error {
	s := p.s
	m, err := s.mirror()
	if err != nil {
		return err
	}
	m.parents = 1
	m.rows = s.rows(min(s.usual(), 2*s.own().pageSize()))
	srv := httptest.NewUnstartedServer(m)
	srv.Config.ErrorLog = quiet
	srv.Start()
	defer srv.Close()
	var seen []Exchange
	b := s.binding()
	opt := TryOptions{AuthSpec: b.AuthSpec, Auth: s.gate.params.texts(), Params: s.params.texts(), Pages: 2, Records: 2, Window: weir.Window{Start: s.base, End: s.end}}
	if b.AuthSpec == "" {
		opt.Auth = nil
	}
	opt.Transport = divert{base: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, host: srv.Listener.Addr().String()}
	got, err := Try(ctx, s.spec, opt, func(e Event) {
		if e.Exchange != nil {
			seen = append(seen, *e.Exchange)
		}
	})
	if err != nil {
		return fmt.Errorf("the requests of the page could not be recorded: %w", err)
	}
	p.preview, p.schema = got.First, got.Schema
	p.line("## What is asked of the source\n\nThese requests were recorded against an upstream made from the spec; its records are made up.\n")
	for i, e := range seen {
		if i == 4 {
			p.line("… and so on, until the source has no further page.\n")
			break
		}
		p.line("```http\n%s %s", e.Method, e.URL)
		for _, h := range HeaderLines(e.Header) {
			p.line("%s", h)
		}
		if e.Body != "" {
			p.line("\n%s", clipText(e.Body, 800))
		}
		p.line("```\n\n```http\nHTTP/1.1 %d %s\nContent-Type: %s", e.Status, http.StatusText(e.Status), e.Answer.Get("Content-Type"))
		if l := e.Answer.Get("Link"); l != "" {
			p.line("Link: %s", l)
		}
		p.line("\n%s\n```\n", clipText(e.AnswerBody, 800))
	}
	return nil
}

func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " …"
}

// call writes one call of the platform as curl.
func (p *page) call(method, path string, body any, answer string) {
	p.line("```sh\ncurl -X %s \"$WEIR/data/foundation%s\" \\\n  -H \"Authorization: Bearer $TOKEN\" -H \"x-api-key: $KEY\" -H \"x-gw-ims-org-id: $ORG\" -H \"x-sandbox-name: $SANDBOX\"%s", method, path, map[bool]string{true: " \\", false: ""}[body != nil])
	if body != nil {
		text := strings.TrimSpace(string(indent(body)))
		p.line("  -H \"Content-Type: application/json\" -d @- <<JSON\n%s\nJSON", text)
	}
	p.line("```\n")
	if answer != "" {
		p.line("```json\n%s\n```\n", answer)
	}
}

// ref is a reference to a spec in a body.
func ref(id string) *object { return obj("id", id, "version", "1.0") }

const idAnswer = `{
  "id": "…",
  "etag": "\"…\""
}`

// journey writes the calls from the base connection to the run.
func (p *page) journey() {
	s := p.s
	p.line("## Ingest, call by call\n\n### 1. Create a base connection\n\nIts id is written `$CONNECTION`.\n")
	body := obj("name", p.name()+" account", "connectionSpec", ref("$SPEC"))
	if s.gate.name != "" {
		params := &object{}
		props := s.authSpec(s.gate.name).path("spec", "properties")
		for i, n := range s.gate.params.names {
			v := s.gate.params.values[i]
			if props.str(n, "format") == "password" || telling(n) {
				v = "<" + n + ">"
			}
			params.set(n, v)
		}
		body.set("auth", obj("specName", s.gate.name, "params", params))
	}
	p.call("POST", "/flowservice/connections", body, idAnswer)
	p.line("### 2. Explore\n\nThe first page of records, and the schema inferred from them.\n")
	query := "objectType=rest&object=json&fileType=json&preview=true"
	var querySb225 strings.Builder
	for i, n := range s.params.names {
		querySb225.WriteString("&" + n + "=" + strings.ReplaceAll(plainText(s.params.values[i]), " ", "%20"))
	}
	query += querySb225.String()
	data := make([]any, len(p.preview))
	for i, r := range p.preview {
		data[i] = r
	}
	p.call("GET", "/flowservice/connections/$CONNECTION/explore?"+query, nil, strings.TrimSpace(string(indent(obj("format", "hierarchical", "schema", p.schema, "data", data)))))
	p.line("### 3. Create a source connection\n\nIts id is written `$SOURCE`.\n")
	p.call("POST", "/flowservice/sourceConnections", obj("name", p.name(), "baseConnectionId", "$CONNECTION", "connectionSpec", ref("$SPEC"), "data", obj("format", "json"), "params", s.params), idAnswer)
	p.line("### 4. Create a schema and a dataset\n\nTheir ids are written `$SCHEMA` and `$DATASET`. Add field groups for the members that are to be kept.\n")
	p.call("POST", "/schemaregistry/tenant/schemas", obj("title", p.name(), "type", "object", "allOf", []any{obj("$ref", "https://ns.adobe.com/xdm/classes/product")}), "")
	schemaRef := obj("id", "$SCHEMA", "contentType", "application/vnd.adobe.xed-full+json;version=1")
	p.call("POST", "/catalog/dataSets", obj("name", p.name(), "schemaRef", schemaRef), "[\n  \"@/dataSets/…\"\n]")
	p.line("### 5. Create a target connection\n\nIts id is written `$TARGET`.\n")
	p.call("POST", "/flowservice/targetConnections", obj("name", p.name()+" dataset", "connectionSpec", ref("c604ff05-7f1a-43c0-8e18-33bf874cb11c"), "data", obj("format", "parquet_xdm"), "params", obj("dataSetId", "$DATASET")), idAnswer)
	p.line("### 6. Create a mapping\n\nIts id is written `$MAPPING`. Source paths start at the record%s.\n", map[bool]string{true: "", false: ", whose own members are below `" + s.own().wrapper + "`"}[s.own().wrapper == ""])
	source := "id"
	if w := s.own().wrapper; w != "" {
		source = w + ".id"
	}
	p.call("POST", "/conversion/mappingSets", obj("outputSchema", obj("schemaRef", schemaRef), "mappings", []any{obj("sourceType", "ATTRIBUTE", "source", source, "destination", "_id")}), "")
	p.line("### 7. Create a flow\n\n`startTime` is in epoch seconds; the first run is due then. The flow's id is written `$FLOW`.\n")
	p.call("POST", "/flowservice/flows", obj("name", p.name(), "flowSpec", ref("6499120c-0b15-42dc-936e-847ea3c24d72"), "sourceConnectionIds", []string{"$SOURCE"}, "targetConnectionIds", []string{"$TARGET"},
		"transformations", []any{obj("name", "Mapping", "params", obj("mappingId", "$MAPPING", "mappingVersion", 0))},
		"scheduleParams", obj("startTime", "$(date +%s)", "frequency", "minute", "interval", 15)), idAnswer)
	p.line("### 8. Monitor\n\nEach run tells its status, the records read and written, and what was rejected.\n")
	p.call("GET", "/flowservice/runs?property=flowId==$FLOW", nil, "")
	p.line("Change a flow with PATCH and its etag in If-Match; delete it with DELETE.\n")
	p.call("DELETE", "/flowservice/flows/$FLOW", nil, "")
}
