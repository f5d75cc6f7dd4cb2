package rest

import (
	"encoding/json"
	"testing"
)

// FuzzExpr: any text that compiles as an expression runs over any record and any answer without a crash, within its cost, and
// gives something that is JSON.
func FuzzExpr(f *testing.F) {
	for _, x := range []string{
		`record.id > 0`, `page.meta.cursor`, `elements < 100 ? none : last.id`, `headers['x-next'] != '' ? headers['x-next'] : none`, `position + 1`,
		`record.?a.b.orValue('x') + params.p`, `record.tags.exists(t, t.startsWith('a'))`, `record.tags.map(t, t + t)`, `window.start < window.end`, `[1, 2.5, 'x', null, {'a': b'x'}]`,
		`timestamp(window.end) - duration('1h')`, `record.a.b[0].c == 1u`, `base64.encode(b'hello')`, `'%s'.format([record])`, `math.greatest(records, requests)`,
	} {
		f.Add(x, `{"id":1,"a":{"b":[{"c":1}]},"tags":["a","b"],"meta":{"cursor":"x"}}`, byte(0))
		f.Add(x, `{"id":1e999,"tags":[null,{"x":-0.0}]}`, byte(1))
	}
	f.Fuzz(func(t *testing.T, text, raw string, in byte) {
		if !json.Valid([]byte(raw)) {
			raw = `{}`
		}
		x, err := compileExpr("fuzz", text, scope(in%4), nil)
		if err != nil {
			return
		}
		rec := toCEL([]byte(raw))
		vars := map[string]any{
			"record": rec, "value": rec, "page": rec, "first": rec, "last": rec, "none": nil, "position": "p", "text": raw, "status": 200, "url": "http://h/",
			"elements": 3, "records": int64(7), "requests": int64(2), "headers": map[string]any{"x-next": "y"},
			"params": map[string]any{"p": "v"}, "window": map[string]any{"start": "", "end": "2026-01-01T00:00:00Z"},
		}
		v, err := x.eval(vars)
		if err != nil {
			return
		}
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%s over %s gives %#v: %v", text, raw, v, err)
		}
		_, _ = x.truth(vars)
	})
}
