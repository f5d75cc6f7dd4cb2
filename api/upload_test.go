package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
)

// caller makes requests of one organisation.
type caller struct {
	t       *testing.T
	base    string
	headers http.Header
}

func (c *caller) do(method, path string, body []byte, status int) []byte {
	c.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = c.base + "/data/foundation" + path
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.headers.Clone()
	res, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		c.t.Fatalf("%s %s: %d %s, %v", method, path, res.StatusCode, out, err)
	}
	return out
}

// in reads a path of a JSON answer.
func in[T any](t *testing.T, raw []byte, path ...any) T {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	for _, step := range path {
		switch s := step.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[s]
		case int:
			list, _ := v.([]any)
			if s >= len(list) {
				t.Fatalf("%s: nothing at %v", raw, path)
			}
			v = list[s]
		}
	}
	out, ok := v.(T)
	if !ok {
		t.Fatalf("%s: %v at %v", raw, v, path)
	}
	return out
}

// parquetFile writes rows, given as JSON, with plain Arrow types: also narrower ones than the table has.
func parquetFile(t *testing.T, rows string, more ...arrow.Field) []byte {
	t.Helper()
	schema := arrow.NewSchema(append([]arrow.Field{
		{Name: "_id", Type: arrow.BinaryTypes.String},
		{Name: "person", Nullable: true, Type: arrow.StructOf(
			arrow.Field{Name: "name", Nullable: true, Type: arrow.StructOf(arrow.Field{Name: "firstName", Type: arrow.BinaryTypes.String, Nullable: true})},
			arrow.Field{Name: "birthYear", Type: arrow.PrimitiveTypes.Int16, Nullable: true},
			arrow.Field{Name: "birthDate", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		)},
	}, more...), nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	var buf bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &buf, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestParquetUpload uploads a Parquet file and downloads what came of it (schema-catalog-data §8, lines 113 and 137).
func TestParquetUpload(t *testing.T) {
	p := newHarness(t).shared
	cred, token := p.newOrg(t)
	c := &caller{t: t, base: p.server.URL, headers: http.Header{
		"Authorization": {"Bearer " + token}, "X-Api-Key": {cred.ClientID}, "X-Gw-Ims-Org-Id": {cred.OrgID}, "X-Sandbox-Name": {"prod"}, "Content-Type": {"application/json"},
	}}
	schema := in[string](t, c.do("POST", "/schemaregistry/tenant/schemas", []byte(`{"title":"P","type":"object","allOf":[{"$ref":"https://ns.adobe.com/xdm/context/profile"},{"$ref":"https://ns.adobe.com/xdm/context/profile-person-details"}]}`), 201), "$id")
	ref := in[string](t, c.do("POST", "/catalog/dataSets", fmt.Appendf(nil, `{"name":"p","schemaRef":{"id":%q}}`, schema), 201), 0)
	dataset := strings.TrimPrefix(ref, "@/dataSets/")
	upload := func(status, rows string, more ...arrow.Field) string {
		t.Helper()
		batch := in[string](t, c.do("POST", "/import/batches", fmt.Appendf(nil, `{"datasetId":%q,"inputFormat":{"format":"parquet"}}`, dataset), 201), "id")
		c.do("PUT", "/import/batches/"+batch+"/datasets/"+dataset+"/files/x.parquet", parquetFile(t, rows, more...), 200)
		c.do("POST", "/import/batches/"+batch+"?action=COMPLETE", nil, 200)
		for deadline := time.Now().Add(time.Minute); ; {
			b := c.do("GET", "/catalog/batches/"+batch, nil, 200)
			switch got := in[string](t, b, batch, "status"); {
			case got == status:
				return batch
			case got == "success" || got == "failed" || time.Now().After(deadline):
				t.Fatalf("want %s: %s", status, b)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	batch := upload("success", `[{"_id":"1","person":{"name":{"firstName":"Ida"},"birthYear":1999,"birthDate":"1999-12-31"}},{"_id":"2"},{"_id":"3","person":{"birthYear":2001}}]`)
	rows := in[[]any](t, c.do("GET", "/export/datasets/"+dataset+"/preview", nil, 200), "data")
	want := []any{
		map[string]any{"_id": "1", "person": map[string]any{"name": map[string]any{"firstName": "Ida"}, "birthYear": 1999.0, "birthDate": "1999-12-31"}},
		map[string]any{"_id": "2"},
		map[string]any{"_id": "3", "person": map[string]any{"birthYear": 2001.0}},
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
	href := in[string](t, c.do("GET", "/export/batches/"+batch+"/files", nil, 200), "data", 0, "_links", "self", "href")
	href = in[string](t, c.do("GET", href, nil, 200), "data", 0, "_links", "self", "href")
	r, err := file.NewParquetReader(bytes.NewReader(c.do("GET", href, nil, 200)))
	if err != nil {
		t.Fatal(err)
	}
	if r.NumRows() != 3 {
		t.Errorf("%d rows", r.NumRows())
	}
	// A column outside of the schema fails the batch and changes nothing.
	upload("failed", `[{"_id":"4","strange":"x"}]`, arrow.Field{Name: "strange", Type: arrow.BinaryTypes.String, Nullable: true})
	if n := len(in[[]any](t, c.do("GET", "/export/datasets/"+dataset+"/preview", nil, 200), "data")); n != 3 {
		t.Errorf("%d rows", n)
	}
}
