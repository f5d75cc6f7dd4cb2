package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/pgtest"
)

// databases runs a test on the embedded default and on PostgreSQL; the second is skipped where its programs are not installed.
func databases(t *testing.T, test func(t *testing.T, args ...string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t) })
	t.Run("postgres", func(t *testing.T) {
		pg, err := pgtest.Start()
		if errors.Is(err, pgtest.ErrMissing) {
			t.Skipf("skipped: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop() })
		test(t, "--database", pg.Database(t))
	})
}

// mailchimp is an upstream in the shape of the seed's source: members under a list, two pages.
func mailchimp(t *testing.T) *httptest.Server {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer seed-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/3.0/lists/10c097ca71/members" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		from, to := 0, 100
		if r.URL.Query().Get("offset") == "100" {
			from, to = 100, 137
		}
		members := make([]string, 0, 100)
		for i := from; i < to; i++ {
			members = append(members, fmt.Sprintf(`{"id":"k%d","email_address":"p%d@example.org","merge_fields":{"FNAME":"Ida","LNAME":"Moe"}}`, i, i))
		}
		_, _ = fmt.Fprintf(w, `{"members":[%s],"list_id":"10c097ca71","total_items":137,"_links":[]}`, strings.Join(members, ","))
	}))
	t.Cleanup(up.Close)
	return up
}

// request sends one call of the walk-through exactly as written there: raw body, its own headers. want is the status.
func (s *server) request(method, path string, header map[string]string, body string, want int) (map[string]any, http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.api.Base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != want {
		s.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, res.StatusCode, want, raw)
	}
	out := map[string]any{}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 {
		if raw[0] == '[' {
			raw = []byte(`{"list":` + string(raw) + `}`)
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			s.t.Fatalf("%s %s: %v\n%s", method, path, err, raw)
		}
	}
	return out, res.Header
}

// TestSeedWalkThrough is the documented journey (flow-service §12.1), call by call.
func TestSeedWalkThrough(t *testing.T) {
	databases(t, func(t *testing.T, args ...string) {
		t.Helper()
		up := mailchimp(t)
		s := newServer(t, append(args, "--auth", "open", "--source-host", "6360f136-5980-4111-8bdf-15d29eab3b5a="+up.URL)...)
		s.start("")
		seedJourney(t, s)
	})
}

func seedJourney(t *testing.T, s *server) {
	t.Helper()
	const fs = flowServicePath
	token := map[string]string{"authorization": "Bearer " + s.api.Token}
	gateway := func(more ...string) map[string]string {
		h := map[string]string{"x-api-key": s.api.APIKey, "x-gw-ims-org-id": s.api.Org, "x-sandbox-name": "prod"}
		for i := 0; i+1 < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	full := gateway("Authorization", token["authorization"], "Content-Type", "application/json")
	id := func(m map[string]any) string { v, _ := m["id"].(string); return v }

	// 1 base connection, no host in auth
	base, head := s.request("POST", fs+"/connections", full, `{"name":"Mailchimp base","description":"seed","connectionSpec":{"id":"6360f136-5980-4111-8bdf-15d29eab3b5a","version":"1.0"},
		"auth":{"specName":"OAuth generic-rest-connector","params":{"accessToken":"seed-token","refreshToken":"","expirationDate":"-1"}}}`, 201)
	if len(base) != 2 || head.Get("Location") == "" {
		t.Errorf("create answered %v with Location %q", base, head.Get("Location"))
	}
	// 2 explore: root, folder, file with plain parameters
	s.request("GET", fs+"/connections/"+id(base)+"/explore?objectType=root", full, "", 200)
	s.request("GET", fs+"/connections/"+id(base)+"/explore?objectType=folder&object=json", full, "", 200)
	page, _ := s.request("GET", fs+"/connections/"+id(base)+"/explore?objectType=file&object=json&fileType=json&preview=true&server=us6&listId=10c097ca71", full, "", 200)
	data, _ := page["data"].([]any)
	if len(data) != 1 {
		t.Fatalf("explore: data has %d elements, want the raw page", len(data))
	}
	raw, _ := data[0].(map[string]any)
	if members, _ := raw["members"].([]any); len(members) != 100 || raw["list_id"] != "10c097ca71" || raw["total_items"] != 137.0 {
		t.Errorf("explore: data[0] is not the upstream's page: %d members, list_id %v", len(members), raw["list_id"])
	}
	// 3 source connection
	source, _ := s.request("POST", fs+"/sourceConnections", full, fmt.Sprintf(`{"name":"Mailchimp source","baseConnectionId":"%s","description":"seed",
		"connectionSpec":{"id":"6360f136-5980-4111-8bdf-15d29eab3b5a","version":"1.0"},"data":{"format":"json"},"params":{"server":"us6","listId":"10c097ca71"}}`, id(base)), 201)
	// 4 schema, dataset, target connection
	schema, _ := s.request("POST", registryPath+"/tenant/schemas", full, `{"type":"object","title":"Seed members","description":"","allOf":[
		{"$ref":"https://ns.adobe.com/xdm/context/profile"},{"$ref":"https://ns.adobe.com/xdm/context/profile-person-details"},{"$ref":"https://ns.adobe.com/xdm/context/profile-personal-details"}]}`, 201)
	schemaID, _ := schema["$id"].(string)
	refs, _ := s.request("POST", catalogPath+"/dataSets", full, fmt.Sprintf(`{"name":"Seed members","schemaRef":{"id":"%s","contentType":"application/vnd.adobe.xed-full-notext+json; version=1"}}`, schemaID), 201)
	ref, _ := refs["list"].([]any)
	dataset := strings.TrimPrefix(fmt.Sprint(ref[0]), "@/dataSets/")
	target, _ := s.request("POST", fs+"/targetConnections", full, fmt.Sprintf(`{"name":"Seed target","description":"","data":{"format":"parquet_xdm"},
		"params":{"dataSetId":"%s"},"connectionSpec":{"id":"b3ba5556-48be-44b7-8b85-ff2b69b46dc4","version":"1.0"}}`, dataset), 201)
	// 5 mapping set in the older form; the flow does not name it
	mapping, _ := s.request("POST", conversionPath+"/mappingSets", full, fmt.Sprintf(`{"version":0,"xdmSchema":"%s","xdmVersion":"1.0","id":null,"mappings":[
		{"destinationXdmPath":"person.name.firstName","sourceAttribute":"merge_fields.FNAME","identity":false,"identityGroup":null,"namespaceCode":null,"version":0},
		{"destinationXdmPath":"_id","sourceAttribute":"id","identity":false,"identityGroup":null,"namespaceCode":null,"version":0}]}`, schemaID), 200)
	if len(id(mapping)) != 32 {
		t.Errorf("mapping set id %q has not 32 hex digits", id(mapping))
	}
	// 6 flow without transformations and without Authorization, start in the past
	flow, _ := s.request("POST", fs+"/flows", gateway("Content-Type", "application/json"), fmt.Sprintf(`{"name":"Seed flow","description":"","flowSpec":{"id":"9753525b-82c7-4dce-8a9b-5ccfce2b9876","version":"1.0"},
		"sourceConnectionIds":["%s"],"targetConnectionIds":["%s"],"transformations":[],"scheduleParams":{"startTime":"1625040887","frequency":"minute","interval":15}}`, id(source), id(target)), 201)
	// 7 the runs of the flow, unescaped filter
	run := s.ended(id(flow), 30*time.Second)
	if run.Metrics.Status.Status != weir.RunSuccess || run.Metrics.Records.Input != 137 {
		t.Errorf("run: %+v, %d records in", run.Metrics.Status, run.Metrics.Records.Input)
	}
	runs, _ := s.request("GET", fs+"/runs?property=flowId=="+id(flow), full, "", 200)
	if links, ok := runs["_links"].(map[string]any); !ok || len(links) != 0 {
		t.Errorf("_links of the only page: %v", runs["_links"])
	}
	// 8 patch the flow, etag quoted; the curl as printed loses its header and body
	s.request("PATCH", fs+"/flows/"+id(flow), full, "", 400)
	got, _ := s.request("GET", fs+"/flows/"+id(flow), full, "", 200)
	items, _ := got["items"].([]any)
	item, _ := items[0].(map[string]any)
	etag, _ := item["etag"].(string)
	patched, _ := s.request("PATCH", fs+"/flows/"+id(flow), gateway("Authorization", token["authorization"], "If-Match", etag, "Content-Type", "application/x-www-form-urlencoded"),
		`[{"op":"replace","path":"/scheduleParams/frequency","value":"day"},{"op":"replace","path":"/name","value":"Seed flow, daily"},{"op":"replace","path":"/description","value":"new"}]`, 200)
	if patched["etag"] == etag || id(patched) != id(flow) {
		t.Errorf("patch answered %v, etag was %s", patched, etag)
	}
	// 9 delete the flow
	s.request("DELETE", fs+"/flows/"+id(flow), full, "", 204)
	s.request("GET", fs+"/flows/"+id(flow), full, "", 404)
	// 10 patch the connection, etag bare, with another source's params
	etag, _ = base["etag"].(string)
	s.request("PATCH", fs+"/connections/"+id(base), gateway("Authorization", token["authorization"], "If-Match", strings.Trim(etag, `"`)),
		`[{"op":"replace","path":"/auth/params","value":{"username":"u","password":"p","securityToken":"t"}},{"op":"replace","path":"/name","value":"renamed"},{"op":"add","path":"/description","value":"text"}]`, 200)
	// 11 delete the connection
	s.request("DELETE", fs+"/connections/"+url.PathEscape(id(base)), full, "", 204)
	if s.countSeed(dataset) != 0 {
		t.Error("the seed's records have none of the schema's members; only empty rows can be there")
	}
}

// countSeed reads the dataset back: rows that have any value.
func (s *server) countSeed(dataset string) int {
	s.t.Helper()
	var page struct {
		Data []map[string]any `json:"data"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, exportPath+"/datasets/"+dataset+"/preview", nil, nil, &page); err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, r := range page.Data {
		if len(r) > 0 {
			n++
		}
	}
	return n
}
