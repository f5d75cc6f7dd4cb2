package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/api"
	"weir/client"
)

const (
	flowServicePath = "/data/foundation/flowservice"
	registryPath    = "/data/foundation/schemaregistry"
	catalogPath     = "/data/foundation/catalog"
	conversionPath  = "/data/foundation/conversion"
	exportPath      = "/data/foundation/export"

	restFlowSpec   = "6499120c-0b15-42dc-936e-847ea3c24d72"
	dataLakeSpec   = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
	restProviderID = "0ed90a81-07f4-4586-8190-b40eccef1c5a"
)

// journey is the main job, done as a client does it: every step is a call of the HTTP API.
type journey struct {
	ctx    context.Context //nolint:containedctx // one journey, one context
	screen *screen
	dir    string
	api    client.Client

	source                       string
	tenant                       string
	spec, connection, sourceConn string
	schema, dataset, target      string
	mapping, flow                string
	run                          weir.Run
}

// travel performs the steps in order; the first failure ends it.
func (j *journey) travel() error {
	j.screen.title("Weir: from a REST API to an Iceberg table")
	for _, step := range []struct {
		what string
		do   func() (string, error)
	}{
		{"server ready, access token", j.login},
		{"connection spec registered", j.register},
		{"base connection", j.connect},
		{"explore and preview", j.explore},
		{"source connection", j.sourceConnection},
		{"XDM schema", j.makeSchema},
		{"dataset", j.makeDataset},
		{"target connection", j.targetConnection},
		{"mapping set", j.makeMapping},
		{"flow scheduled", j.makeFlow},
		{"flow run", j.await},
	} {
		j.screen.progress("%s", step.what)
		detail, err := step.do()
		if err != nil {
			j.screen.erase()
			return fmt.Errorf("%s: %w", step.what, err)
		}
		j.screen.step(step.what, detail)
	}
	j.metrics()
	return j.rows()
}

// post creates a resource and returns its id.
func (j *journey) post(path string, body any) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	_, err := j.api.Do(j.ctx, http.MethodPost, path, nil, body, &out)
	return out.ID, err
}

type object = map[string]any

func (j *journey) login() (string, error) {
	if err := ready(j.ctx, j.api.Base); err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(j.dir, "source.url"))
	if err != nil {
		return "", err
	}
	j.source = string(source)
	raw, err := os.ReadFile(filepath.Join(j.dir, "credentials.json"))
	if err != nil {
		return "", err
	}
	var cred api.Credentials
	if err := json.Unmarshal(raw, &cred); err != nil {
		return "", err
	}
	j.api.Org, j.api.Sandbox = cred.OrgID, cred.Sandbox
	if err := j.api.Login(j.ctx, cred.ClientID, cred.ClientSecret); err != nil {
		return "", err
	}
	var stats struct {
		TenantID string `json:"tenantId"`
	}
	_, err = j.api.Do(j.ctx, http.MethodGet, registryPath+"/stats", nil, nil, &stats)
	j.tenant = "_" + stats.TenantID
	return "organisation " + cred.OrgID, err
}

// register describes the REST API once, and lists the new source on the flow spec for REST sources.
func (j *journey) register() (detail string, err error) {
	secret := object{"type": "string", "format": "password"}
	j.spec, err = j.post(flowServicePath+"/connectionSpecs", object{
		"name": "films", "type": "generic-rest", "providerId": restProviderID,
		"authSpec": []any{object{
			"name": "OAuth2 Refresh Code", "type": "OAuth2RefreshCode",
			"spec": object{"type": "object", "properties": object{"accessToken": secret, "host": object{"type": "string"}}, "required": []string{"accessToken"}},
		}},
		"sourceSpec": object{
			"name": "films", "type": "generic-rest",
			"spec": object{"type": "object", "properties": object{"resource": object{"type": "string"}}, "required": []string{"resource"}},
			"attributes": object{
				"uiAttributes":     object{"isSource": true, "label": object{"text": "Films"}},
				"urlParams":        object{"host": j.source, "path": "/v1/${resource}", "method": "GET"},
				"contentPath":      object{"path": "$.films", "skipAttributes": []string{"total", "offset"}, "overrideWrapperAttribute": "film"},
				"paginationParams": object{"type": "OFFSET", "limitName": "limit", "limitValue": "500", "offSetName": "offset"},
			},
		},
		"attributes": object{"isSource": true, "category": "demo"},
	})
	if err != nil {
		return "", err
	}
	var page struct {
		Items []object `json:"items"`
	}
	path := flowServicePath + "/flowSpecs/" + restFlowSpec
	if _, err := j.api.Do(j.ctx, http.MethodGet, path, nil, nil, &page); err != nil {
		return "", err
	}
	spec := page.Items[0]
	ids, _ := spec["sourceConnectionSpecIds"].([]any)
	spec["sourceConnectionSpecIds"] = append(ids, j.spec)
	_, err = j.api.Do(j.ctx, http.MethodPut, path, nil, spec, nil)
	return j.source + ", bearer token, OFFSET paging", err
}

func (j *journey) connect() (detail string, err error) {
	j.connection, err = j.post(flowServicePath+"/connections", object{
		"name": "Films account", "connectionSpec": object{"id": j.spec, "version": "1.0"},
		"auth": object{"specName": "OAuth2 Refresh Code", "params": object{"accessToken": demoToken}},
	})
	return j.connection, err
}

func (j *journey) explore() (string, error) {
	params := base64.StdEncoding.EncodeToString([]byte(`{"resource":"films"}`))
	var out struct {
		Data   []json.RawMessage `json:"data"`
		Schema json.RawMessage   `json:"schema"`
	}
	path := flowServicePath + "/connections/" + j.connection + "/explore?objectType=rest&object=json&fileType=json&preview=true&sourceParams=" + url.QueryEscape(params)
	if _, err := j.api.Do(j.ctx, http.MethodGet, path, nil, nil, &out); err != nil {
		return "", err
	}
	if len(out.Data) == 0 {
		return "", fmt.Errorf("the preview is empty: %s", out.Schema)
	}
	return fmt.Sprintf("%d rows, first: %s", len(out.Data), cut(string(out.Data[0]), 70)), nil
}

func (j *journey) sourceConnection() (detail string, err error) {
	j.sourceConn, err = j.post(flowServicePath+"/sourceConnections", object{
		"name": "All films", "baseConnectionId": j.connection, "connectionSpec": object{"id": j.spec, "version": "1.0"},
		"data": object{"format": "json"}, "params": object{"resource": "films"},
	})
	return j.sourceConn, err
}

// makeSchema makes a field group of this organisation and a schema of the standard product class with it.
func (j *journey) makeSchema() (string, error) {
	var group, schema struct {
		ID string `json:"$id"`
	}
	text := object{"type": "string"}
	texts := object{"type": "array", "items": text}
	header := http.Header{"Accept": {"application/vnd.adobe.xed+json"}}
	_, err := j.api.Do(j.ctx, http.MethodPost, registryPath+"/tenant/fieldgroups", header, object{
		"title": "Film details", "type": "object", "meta:intendedToExtend": []string{"https://ns.adobe.com/xdm/classes/product"},
		"definitions": object{"film": object{"properties": object{j.tenant: object{"type": "object", "properties": object{
			"year": object{"type": "integer", "minimum": 1800, "maximum": 2200}, "decade": text, "cast": texts, "genres": texts, "leadActor": text,
			"article": object{"type": "string", "format": "uri"},
		}}}}},
		"allOf": []any{object{"$ref": "#/definitions/film"}},
	}, &group)
	if err != nil {
		return "", err
	}
	_, err = j.api.Do(j.ctx, http.MethodPost, registryPath+"/tenant/schemas", header, object{
		"title": "Films", "type": "object",
		"allOf": []any{object{"$ref": "https://ns.adobe.com/xdm/classes/product"}, object{"$ref": group.ID}},
	}, &schema)
	j.schema = schema.ID
	return schema.ID, err
}

const schemaType = "application/vnd.adobe.xed-full+json;version=1"

func (j *journey) makeDataset() (string, error) {
	var refs []string
	_, err := j.api.Do(j.ctx, http.MethodPost, catalogPath+"/dataSets", nil, object{
		"name": "Films", "schemaRef": object{"id": j.schema, "contentType": schemaType},
	}, &refs)
	if err != nil {
		return "", err
	}
	if len(refs) != 1 {
		return "", fmt.Errorf("one reference is expected, the answer was %q", refs)
	}
	j.dataset = strings.TrimPrefix(refs[0], "@/dataSets/")
	return j.dataset, nil
}

func (j *journey) targetConnection() (detail string, err error) {
	j.target, err = j.post(flowServicePath+"/targetConnections", object{
		"name": "Films dataset", "connectionSpec": object{"id": dataLakeSpec, "version": "1.0"},
		"data":   object{"format": "parquet_xdm", "schema": object{"id": j.schema, "version": schemaType}},
		"params": object{"dataSetId": j.dataset},
	})
	return j.target, err
}

func (j *journey) makeMapping() (detail string, err error) {
	rules := [][3]string{
		{"EXPRESSION", `concat(film.title, " (", film.year, ")")`, "_id"},
		{"ATTRIBUTE", "film.title", "productName"},
		{"ATTRIBUTE", "film.href", "productID"},
		{"ATTRIBUTE", "film.year", j.tenant + ".year"},
		{"EXPRESSION", `concat(film.year - film.year % 10, "s")`, j.tenant + ".decade"},
		{"ATTRIBUTE", "film.cast", j.tenant + ".cast"},
		{"ATTRIBUTE", "film.genres", j.tenant + ".genres"},
		{"EXPRESSION", "first(film.cast)", j.tenant + ".leadActor"},
		{"EXPRESSION", `iif(is_empty(film.href), null, concat("https://en.wikipedia.org/wiki/", get_url_encoded(film.href)))`, j.tenant + ".article"},
	}
	mappings := make([]object, len(rules))
	for i, r := range rules {
		mappings[i] = object{"sourceType": r[0], "source": r[1], "destination": r[2]}
	}
	j.mapping, err = j.post(conversionPath+"/mappingSets", object{
		"outputSchema": object{"schemaRef": object{"id": j.schema, "contentType": schemaType}}, "mappings": mappings,
	})
	return fmt.Sprintf("%s, %d rules", j.mapping, len(rules)), err
}

func (j *journey) makeFlow() (detail string, err error) {
	j.flow, err = j.post(flowServicePath+"/flows", object{
		"name": "Films every 15 minutes", "flowSpec": object{"id": restFlowSpec, "version": "1.0"},
		"sourceConnectionIds": []string{j.sourceConn}, "targetConnectionIds": []string{j.target},
		"transformations": []any{object{"name": "Mapping", "params": object{"mappingId": j.mapping, "mappingVersion": 0}}},
		"scheduleParams":  object{"startTime": strconv.FormatInt(time.Now().Unix(), 10), "frequency": "minute", "interval": 15},
		"options":         object{"errorDiagnosticsEnabled": true, "partialIngestionPercent": 5},
	})
	return j.flow, err
}

// await follows the first run to its end.
func (j *journey) await() (string, error) {
	path := flowServicePath + "/runs?property=" + url.QueryEscape("flowId=="+j.flow)
	for deadline := time.Now().Add(50 * time.Second); time.Now().Before(deadline); {
		var page struct {
			Items []weir.Run `json:"items"`
		}
		if _, err := j.api.Do(j.ctx, http.MethodGet, path, nil, nil, &page); err != nil {
			return "", err
		}
		if len(page.Items) > 0 {
			j.run = page.Items[0]
			m := &j.run.Metrics
			j.screen.progress("flow run %s, %d records read, %d written", m.Status.Status, m.Records.Input, m.Records.Output)
			switch m.Status.Status {
			case weir.RunSuccess:
				return fmt.Sprintf("success in %d ms", m.Duration.Completed-m.Duration.Started), nil
			case weir.RunFailed:
				errs, _ := json.Marshal(m.Status.Errors)
				return "", fmt.Errorf("the run failed: %s", errs)
			}
		}
		if err := pause(j.ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("the run did not end in time (%s)", j.run.Metrics.Status.Status)
}

// metrics prints the run's figures.
func (j *journey) metrics() {
	j.screen.title("The run, as GET " + flowServicePath + "/runs reports it")
	rows := [][]string{{"activity", "status", "records in", "records out", "failed", "bytes in", "bytes out", "files", "ms"}}
	for _, a := range j.run.Activities {
		records, _ := a.Records.(object)
		n := func(name string) string {
			if v, ok := records[name].(float64); ok {
				return strconv.FormatInt(int64(v), 10)
			}
			return "-"
		}
		rows = append(rows, []string{
			a.Name, a.Status.Status, n("inputRecordCount"), n("outputRecordCount"), n("failedRecordCount"),
			strconv.FormatInt(a.Size.Input, 10), strconv.FormatInt(a.Size.Output, 10), strconv.FormatInt(a.Files.Output, 10),
			strconv.FormatInt(a.Duration.Completed-a.Duration.Started, 10),
		})
	}
	j.screen.table(rows)
}

// rows prints ten rows read back from the dataset's Parquet files, and where these are.
func (j *journey) rows() error {
	var page struct {
		Data []object `json:"data"`
	}
	if _, err := j.api.Do(j.ctx, http.MethodGet, exportPath+"/datasets/"+j.dataset+"/preview", nil, nil, &page); err != nil {
		return fmt.Errorf("read rows back: %w", err)
	}
	j.screen.title("Ten rows, read back from the Parquet files")
	table := [][]string{{"_id", "decade", "lead actor", "genres", "article"}}
	for _, r := range page.Data[:min(10, len(page.Data))] {
		own, _ := r[j.tenant].(object)
		genres, _ := json.Marshal(own["genres"])
		table = append(table, []string{
			cut(fmt.Sprint(r["_id"]), 34), cut(text(own["decade"]), 8), cut(text(own["leadActor"]), 20), cut(string(genres), 24), cut(text(own["article"]), 46),
		})
	}
	j.screen.table(table)
	j.screen.title("Where it is")
	for _, pattern := range []string{"data/*/*.parquet", "metadata/*.metadata.json"} {
		files, _ := filepath.Glob(filepath.Join(j.dir, "lake", "tables", "*", "*", pattern))
		for _, f := range files[:min(3, len(files))] {
			j.screen.line("  %s", rel(f))
		}
	}
	return nil
}

func text(v any) string {
	if v == nil {
		return "-"
	}
	return string(bytes.TrimSpace([]byte(fmt.Sprint(v))))
}
