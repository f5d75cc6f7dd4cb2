package mapping

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/record"
)

// TestStrictRejects holds what uploads refuse that flows would leave out or convert (schema-catalog-data §4.7).
func TestStrictRejects(t *testing.T) {
	short := 3
	target := &record.Schema{Fields: []record.Field{
		{Name: "id", Type: record.String, Required: true},
		{Name: "n", Type: record.Int},
		{Name: "b", Type: record.Boolean},
		{Name: "s", Type: record.String, Check: &record.Check{Enum: []string{"x", "y"}}},
		{Name: "f", Type: record.String, Check: &record.Check{MaxLength: &short}},
		{Name: "o", Type: record.Struct, Fields: []record.Field{
			{Name: "l", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Struct, Fields: []record.Field{{Name: "k", Type: record.String, Required: true}, {Name: "q", Type: record.Int}}}},
			{Name: "t", Type: record.List, Elem: &record.Field{Name: "element", Type: record.String}},
			{Name: "z", Type: record.String},
		}},
		{Name: "w", Type: record.Timestamp},
		{Name: "ws", Type: record.List, Elem: &record.Field{Name: "element", Type: record.Timestamp}},
	}}
	p, err := NewStrict(target, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		{`{"id":"1","n":"42","b":"true","s":"x","o":{"l":[{"k":"a","q":1}],"t":["u"]}}`, ""},
		{`{"id":"1","n":null,"o":{"t":null}}`, ""},
		{`{"id":7}`, ""}, // numbers are text
		{`{"n":1}`, "INGEST-1555-400 id #: required key [id] not found"},
		{`{"id":null}`, "INGEST-1555-400 id #: required key [id] not found"},
		{`{"id":true}`, "INGEST-1554-400! id #/id: expected type: String, found: Boolean (a boolean is no text)"},
		{`{"id":"1","n":2.0}`, "INGEST-1554-400! n #/n: expected type: Integer, found: Double (2.0 has a fraction)"},
		{`{"id":"1","n":"many"}`, "INGEST-1554-400! n #/n: expected type: Integer, found: String ('many' is no integer)"},
		{`{"id":"1","b":"maybe"}`, "INGEST-1554-400! b #/b: expected type: Boolean, found: String"},
		{`{"id":"1","s":"w"}`, "DCVS-1111-400 s #/s: w is not a valid enum value"},
		{`{"id":"1","f":"long"}`, "INGEST-1554-400 f #/f: has 4 characters; at most 3 are allowed"},
		{`{"id":"1","o":{"t":"single"}}`, "INGEST-1554-400! o.t #/o/t: expected type: JSONArray, found: String"},
		{`{"id":"1","o":{"l":{"k":"a"}}}`, "INGEST-1554-400! o.l #/o/l: expected type: JSONArray, found: JSONObject"},
		{`{"id":"1","o":{"l":[{"k":"a"},{"q":1}]}}`, "INGEST-1555-400 o.l[1].k #/o/l/1: required key [k] not found"},
		{`{"id":"1","o":{"z":["a"]}}`, "INGEST-1554-400! o.z #/o/z: expected type: String, found: JSONArray"},
		{`{"id":"1","w":"2031-03-04T10:11:12Z","ws":["2031-03-04T10:11:12.5+02:00","2031-03-04","2031-03-04T10:11Z",1930385472000]}`, ""},
		{`{"id":"1","w":"2031-03-04T10:11:12"}`, "INGEST-1554-400! w #/w: expected type: String, found: String ('2031-03-04T10:11:12' has no time zone; write Z or an offset such as +02:00)"},
		{`{"id":"1","w":"2031-03-04\u005410:11:12.5"}`, "INGEST-1554-400! w #/w: expected type: String, found: String ('2031-03-04T10:11:12.5' has no time zone; write Z or an offset such as +02:00)"},
		{`{"id":"1","ws":["2031-03-04T10:11:12Z","2031-03-04 10:11:12"]}`, "INGEST-1554-400! ws #/ws: expected type: String, found: String ('2031-03-04 10:11:12' has no time zone; write Z or an offset such as +02:00)"},
		{`{"id":"1","o":"text"}`, "INGEST-1554-400! o #/o: expected type: JSONObject, found: String"},
	} {
		w := p.NewLane("run", time.Time{})
		buf := append([]byte(c.in+"\n"), make([]byte, record.Pad)...)
		w.Scan(buf, 0, len(c.in)+1, 0)
		var got string
		for _, r := range w.Rejects() {
			e := r.Errors[0]
			mark := ""
			if e.Conversion {
				mark = "!"
			}
			got += fmt.Sprintf("%s%s %s %s", e.Code, mark, e.Column, strings.TrimPrefix(e.Message, strictPrefix))
		}
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s\n%s", c.in, cmp.Diff(c.want, got))
		}
	}
}
