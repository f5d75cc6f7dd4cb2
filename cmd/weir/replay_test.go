package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/flow"
)

// TestReplayKilled kills the process at every point of a replay: the replay goes on by itself, every rejected row comes into the dataset once, and
// none can be replayed again.
func TestReplayKilled(t *testing.T) {
	for _, point := range []string{flow.FailReplayed, flow.FailPromoted + ":2", flow.FailPromoteStep + ":2", flow.FailAppended + ":2", flow.FailCommitted + ":2"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			replayKilled(t, point)
		})
	}
}

func replayKilled(t *testing.T, point string) {
	t.Helper()
	const n, bad = 900, 300
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		buf := []byte(`{"members":[`)
		for i := range n {
			if i > 0 {
				buf = append(buf, ',')
			}
			when := "2031-02-03T04:05:06Z"
			if i%3 == 0 {
				when = "soon"
			}
			buf = fmt.Appendf(buf, `{"id":"m%d","when":"%s","made":"2031-02-03T04:05:06Z"}`, i, when)
		}
		_, _ = w.Write(append(buf, `],"total_items":900}`...))
	}))
	t.Cleanup(up.Close)
	s := newServer(t)
	s.start(point)
	schema, mapping, id := s.eventFlow(up.URL)
	run := s.ended(id, 30*time.Second)
	if r := run.Metrics.Records; run.Metrics.Status.Status != weir.RunSuccess || r.Output != n-bad || r.Failed != bad {
		t.Fatalf("the first run: %+v %+v", run.Metrics.Status, r)
	}
	batch := flow.BatchOf(&run)
	s.remap(schema, mapping)
	replay := s.post("/data/foundation/import/batches/"+batch+"?action=REPLAY&mappingVersion=1", nil)
	s.crashed()
	s.start("")
	run = s.ended(id, 30*time.Second)
	if r := run.Metrics.Records; run.Metrics.Status.Status != weir.RunSuccess || r.Input != bad || r.Output != bad || r.Failed != 0 {
		t.Fatalf("the replay: %+v %+v", run.Metrics.Status, r)
	}
	if len(run.Predecessors) != 1 || replay == "" {
		t.Errorf("predecessors %+v of replay %q", run.Predecessors, replay)
	}
	if rows, distinct := s.countRows(); rows != n || distinct != n {
		t.Errorf("the files have %d rows, %d distinct; want %d", rows, distinct, n)
	}
	var out bytes.Buffer
	cmd := replayCmd{ID: batch, URL: s.api.Base, Data: s.dir, Wait: true}
	if err := cmd.Run(&app{ctx: t.Context(), stdout: &out}); err == nil || !strings.Contains(err.Error(), "were replayed by run "+replay) {
		t.Errorf("a second replay: %v, %s", err, out.String())
	}
	s.stop(syscall.SIGTERM)
}

// TestReplayCommand replays by the run's id from the command line: first in vain, then with a better mapping set.
func TestReplayCommand(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"members":[{"id":"a","when":"2031-02-03T04:05:06Z"},{"id":"b","when":"soon","made":"2031-02-03T04:05:06Z"},{"id":"c","when":"soon"}]}`))
	}))
	t.Cleanup(up.Close)
	s := newServer(t)
	s.start("")
	schema, mapping, id := s.eventFlow(up.URL)
	s.ended(id, 30*time.Second)
	var page struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if _, err := s.api.Do(t.Context(), http.MethodGet, flowServicePath+"/runs?property="+url.QueryEscape("flowId=="+id), nil, nil, &page); err != nil || len(page.Items) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	var out bytes.Buffer
	cmd := replayCmd{ID: page.Items[0].ID, URL: s.api.Base, Data: s.dir, Wait: true}
	if err := cmd.Run(&app{ctx: t.Context(), stdout: &out}); err == nil || !strings.Contains(err.Error(), "none of the 2 rows") {
		t.Fatalf("%v, %s", err, out.String())
	}
	s.remap(schema, mapping)
	cmd.MappingVersion = 1
	if err := cmd.Run(&app{ctx: t.Context(), stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, ": 2 rows replayed, 1 ingested as batch ") || !strings.HasSuffix(got, ", 1 rejected again\n") {
		t.Errorf("printed %q", got)
	}
	if rows, distinct := s.countRows(); rows != 2 || distinct != 2 {
		t.Errorf("the files have %d rows, %d distinct; want 2", rows, distinct)
	}
}

// eventFlow maps members to events, tolerates rows without a time and keeps them. It starts once, at once.
func (s *server) eventFlow(up string) (schema, mapping, id string) {
	s.t.Helper()
	_, model := s.testFlow(up, 1000, object{"startTime": time.Now().Add(24 * time.Hour).Unix(), "frequency": "once"})
	var page struct {
		Items []weir.Flow `json:"items"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodGet, flowServicePath+"/flows/"+model, nil, nil, &page); err != nil {
		s.t.Fatal(err)
	}
	name := "events " + weir.NewHex(4)
	schema = s.post(registryPath+"/tenant/schemas", object{
		"title": name, "type": "object", "allOf": []any{object{"$ref": "https://ns.adobe.com/xdm/context/experienceevent"}},
	})
	ref := object{"id": schema, "contentType": schemaType}
	dataset := s.post(catalogPath+"/dataSets", object{"name": name, "schemaRef": ref})
	target := s.post(flowServicePath+"/targetConnections", object{
		"name": name, "connectionSpec": object{"id": dataLakeSpec}, "data": object{"format": "parquet_xdm"}, "params": object{"dataSetId": dataset},
	})
	mapping = s.post(conversionPath+"/mappingSets", eventMapping(schema, "when"))
	id = s.post(flowServicePath+"/flows", object{
		"name": name, "flowSpec": object{"id": restFlowSpec}, "sourceConnectionIds": page.Items[0].SourceConnectionIDs, "targetConnectionIds": []string{target},
		"transformations": []any{object{"name": "Mapping", "params": object{"mappingId": mapping, "mappingVersion": 0}}},
		"options":         object{"errorDiagnosticsEnabled": true, "partialIngestionPercent": 90},
		"scheduleParams":  object{"startTime": time.Now().Unix(), "frequency": "once"},
	})
	return schema, mapping, id
}

func eventMapping(schema, when string) object {
	return object{
		"outputSchema": object{"schemaRef": object{"id": schema, "contentType": schemaType}},
		"mappings": []object{
			{"sourceType": "ATTRIBUTE", "source": "id", "destination": "_id"},
			{"sourceType": "ATTRIBUTE", "source": when, "destination": "timestamp"},
		},
	}
}

// remap makes version 1 of an event flow's mapping set, which takes the time from elsewhere.
func (s *server) remap(schema, mapping string) {
	s.t.Helper()
	if _, err := s.api.Do(s.t.Context(), http.MethodPut, conversionPath+"/mappingSets/"+mapping, nil, eventMapping(schema, "made"), nil); err != nil {
		s.t.Fatal(err)
	}
}
