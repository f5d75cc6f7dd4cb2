package mapping

import (
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"weir"
	"weir/record"
)

// seeds are the expressions of the vectors and of the functions' examples.
func seeds(f *testing.F) {
	f.Helper()
	for _, v := range readVectors(f) {
		if v.Expr != nil {
			f.Add(*v.Expr, string(v.Input))
		}
	}
	for _, family := range families {
		for i := range family {
			for _, x := range family[i].examples {
				f.Add(x.expr, x.in)
			}
		}
	}
}

// No expression makes the compiler or the evaluator panic, whatever the record holds; every error has a kind and a place.
func FuzzExpression(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, expr, in string) {
		rec, err := record.Parse([]byte(in))
		if err != nil {
			rec = record.ObjectOf(&record.Object{})
		}
		e, errs := compile(expr, Options{})
		for _, err := range errs {
			checkError(t, err, expr)
		}
		if len(errs) > 0 {
			return
		}
		v, err := e.Eval(rec, NewEnv("run", time.Unix(0, 0)))
		if err != nil {
			checkError(t, err, expr)
			return
		}
		if out := v.AppendJSON(nil); !utf8.Valid(out) {
			t.Fatalf("%q gives %q, which is no UTF-8", expr, out)
		}
		if e.result.kinds&kindOf(v) == 0 {
			t.Fatalf("%q gives %s, but its type is %s", expr, v, e.ReturnType())
		}
	})
}

func checkError(t *testing.T, err error, expr string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind == "" || e.Code == "" || e.Message == "" {
		t.Fatalf("%q fails with %#v", expr, err)
	}
	_ = e.Snippet()
}

// Every function takes any arguments: nulls, wrong types, extreme values.
func FuzzFunctions(f *testing.F) {
	f.Add(`null`, `"a"`, `[1]`)
	f.Add(`-9223372036854775808`, `{"a":null}`, `1e308`)
	f.Add(`"2020-01-01"`, `""`, `"\ud83d\ude00"`)
	names := functionNames()
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var args [3]record.Value
		for i, s := range []string{a, b, c} {
			v, err := record.Parse([]byte(s))
			if err != nil {
				v = record.TextOf(s)
			}
			args[i] = v
		}
		rec := record.NewObject(3)
		rec.Set("a", args[0])
		rec.Set("b", args[1])
		rec.Set("c", args[2])
		for _, name := range names {
			for _, call := range []string{name + "()", name + "(a)", name + "(a, b)", name + "(a, b, c)", name + "(a, b, c, a)", name + "(b, x -> x)"} {
				e, err := Compile(call, Options{})
				if err != nil {
					continue
				}
				if _, err := e.Eval(record.ObjectOf(rec), NewEnv("run", time.Unix(0, 0))); err != nil {
					checkError(t, err, call)
				}
			}
		}
	})
}

func FuzzDatePattern(f *testing.F) {
	for _, p := range []string{"yyyy-MM-dd'T'HH:mm:ss.SSSX", "d.M.yy[ h:mm a]", "EEE MMM dd HH:mm:ss zzzz yyyy", "YYYY-'W'ww-u", "QQQ D F W G", "VV O z Z XXX xxx"} {
		f.Add(p, "2021-03-04T05:06:07.000Z", int64(1614834367))
	}
	f.Fuzz(func(t *testing.T, pattern, text string, sec int64) {
		p, err := compilePattern(pattern)
		if err != nil {
			return
		}
		p.parse(text)
		if sec < 253402300800 && sec > -62135596800 {
			p.parse(p.format(time.Unix(sec, 0).UTC()))
		}
		parseDate(text)
	})
}

func FuzzRegex(f *testing.F) {
	for _, p := range []string{`(a|b)*c`, `[a-z&&[^x]]+`, `(?<n>\d)\k<n>`, `\p{L}\Q.\E`, `a{2,3}+`, `(?i)x(?=y)`} {
		f.Add(p, "abcxy.11")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := compileRegex(pattern)
		if err != nil {
			return
		}
		if _, err := re.matches(text); err != nil {
			return
		}
		if _, err := re.split(text); err != nil {
			return
		}
		_, _ = re.replace(text, "$0", -1) // only panics matter
	})
}

func FuzzSet(f *testing.F) {
	f.Add(`{"mappings":[{"sourceType":"ATTRIBUTE","source":"a[*].b","destination":"c[*].d"},{"source":"x","destination":"c[0].e"}]}`, `{"a":[{"b":1}],"x":[2]}`)
	f.Add(`{"xdmSchema":"s","mappings":[{"sourceAttribute":"Key","destinationXdmPath":"_id"}]}`, `{"Key":"1"}`)
	f.Add(`{"mappings":[{"source":"o","destination":"p"},{"sourceType":"EXPRESSION","source":"nullify()","destination":"p.q"}]}`, `{"o":{"q":1}}`)
	target := schemaOf(f, []byte(`{"properties":{"_id":{"type":"string"},"c":{"type":"array","items":{"type":"object","properties":{"d":{"type":"integer"}}}}},"required":["_id"]}`))
	f.Fuzz(func(t *testing.T, body, in string) {
		set, err := ParseSet([]byte(body))
		if err != nil {
			return
		}
		set.Validate(target, target)
		rec, err := record.Parse([]byte(in))
		if err != nil {
			return
		}
		for _, s := range []*record.Schema{nil, target} {
			tr, err := NewTransformer(set, s, weir.Shape{Wrapper: "a"})
			if err != nil {
				continue
			}
			r := tr.Transform(rec, NewEnv("run", time.Unix(0, 0)))
			if _, err := record.Parse(r.Data.AppendJSON(nil)); err != nil {
				t.Fatalf("%s gives %s: %v", body, r.Data, err)
			}
		}
	})
}
