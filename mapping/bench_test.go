package mapping

import (
	"testing"
	"time"

	"weir"
	"weir/record"
)

// The general path: one record through a set of ten mappings, parsing included.
func BenchmarkTransform(b *testing.B) {
	target := schemaOf(b, []byte(`{"properties":{"_id":{"type":"string"},"n":{"type":"integer"},"d":{"type":"string","format":"date-time"},"b":{"type":"boolean"},"person":{"type":"object","properties":{"first":{"type":"string"},"last":{"type":"string"},"full":{"type":"string"}}},
	 "tags":{"type":"array","items":{"type":"string"}},"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"qty":{"type":"integer"}}}}},"required":["_id"]}`))
	set, err := ParseSet([]byte(`{"mappings":[{"source":"id","destination":"_id"},{"source":"age","destination":"n"},{"source":"when","destination":"d"},{"source":"flag","destination":"b"},
	 {"source":"first","destination":"person.first"},{"sourceType":"EXPRESSION","source":"upper(trim(last))","destination":"person.last"},{"sourceType":"EXPRESSION","source":"concat(first, \" \", last)","destination":"person.full"},
	 {"sourceType":"EXPRESSION","source":"explode(tags, \";\")","destination":"tags"},{"source":"rows[*].s","destination":"lines[*].sku"},{"source":"rows[*].q","destination":"lines[*].qty"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	t, err := NewTransformer(set, target, weir.Shape{})
	if err != nil {
		b.Fatal(err)
	}
	line := []byte(`{"id":"e-1","age":"41","when":"2020-12-31 10:11:12.000","flag":"yes","first":"Ada","last":" Byron ","tags":"a;b;c","rows":[{"s":"x","q":1},{"s":"y","q":2}]}`)
	env := NewEnv("run", time.Now())
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for i := range b.N {
		rec, err := record.Parse(line)
		if err != nil {
			b.Fatal(err)
		}
		env.Next(int64(i))
		if r := t.Transform(rec, env); len(r.Reject)+len(r.Warnings) > 0 {
			b.Fatal(r)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	for _, expr := range []string{"a", "concat(upper(a), '-', b)", "iif(n > 3 && a != null, n * 2, 0)", "date(d)", "matches_regex(a, '[a-z]+')"} {
		b.Run(expr, func(b *testing.B) {
			e, err := Compile(expr, Options{})
			if err != nil {
				b.Fatal(err)
			}
			rec, err := record.Parse([]byte(`{"a":"text","b":"x","n":7,"d":"2020-12-31T10:11:12Z"}`))
			if err != nil {
				b.Fatal(err)
			}
			env := NewEnv("run", time.Now())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(rec, env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
