package record_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"weir/record"
)

func TestParse(t *testing.T) {
	// What is read is written back: numbers keep every digit, members their order, the last of repeated members wins at the place of the first.
	for in, want := range map[string]string{
		` {"b" : 1.50, "a":[true ,null,"x"]} `: `{"b":1.50,"a":[true,null,"x"]}`,
		`123456789012345678901234567890`:       `123456789012345678901234567890`,
		`-9223372036854775808`:                 `-9223372036854775808`,
		`1e400`:                                `1e400`,
		`-0`:                                   `0`,
		`{"a":1,"b":2,"a":3}`:                  `{"a":3,"b":2}`,
		`"\u00e9\ud83d\ude00\ud800\/\n\u0001"`: `"é😀` + "\uFFFD" + `/\n\u0001"`,
		`[]`:                                   `[]`,
		`{}`:                                   `{}`,
		strings.Repeat("[", 128) + strings.Repeat("]", 128): strings.Repeat("[", 128) + strings.Repeat("]", 128),
	} {
		v, err := record.Parse([]byte(in))
		if err != nil || v.String() != want {
			t.Errorf("%s: got %s, %v; want %s", in, v, err, want)
		}
	}
	for _, in := range []string{
		``, ` `, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `[1,]`, `[1 2]`, `01`, `1.`, `.5`, `+1`, `1e`, `-`, `tru`, `nul`, `"a`, "\"a\nb\"", `"\x"`, `"\u12"`,
		"\"\xff\"", `1 2`, `{}x`, `NaN`, strings.Repeat("[", 129) + strings.Repeat("]", 129),
	} {
		_, err := record.Parse([]byte(in))
		var bad *record.SyntaxError
		if !errors.As(err, &bad) || bad.Offset > len(in) {
			t.Errorf("%q: got %v; want a syntax error with a place", in, err)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]string{"+5": "5", ".5": "0.5", "5.": "5.0", "-.5e3": "-0.5e3", "007": "7", "00.10": "0.10", "1e3": "1e3", "12345678901234567890": "12345678901234567890"} {
		v, ok := record.ParseNumber(in)
		if !ok || v.String() != want {
			t.Errorf("%s: got %s, %v; want %s", in, v, ok, want)
		}
	}
	for _, in := range []string{"", "+", ".", "e5", "1e", "0x1", "1 ", " 1", "NaN", "1.2.3", "1f"} {
		if v, ok := record.ParseNumber(in); ok {
			t.Errorf("%q is read as %s", in, v)
		}
	}
}

func TestDates(t *testing.T) {
	at := func(off int, ns int) record.Value {
		return record.DateOf(time.Date(2021, 3, 4, 5, 6, 7, ns, time.FixedZone("", off)))
	}
	for want, v := range map[string]record.Value{
		`"2021-03-04T05:06:07Z"`:             at(0, 0),
		`"2021-03-04T05:06:07.120+05:30"`:    at(19800, 120_000_000),
		`"2021-03-04T05:06:07.000001-08:00"`: at(-28800, 1000),
		`"2021-03-04T05:06:07.000000001Z"`:   at(0, 1),
		`"2021-03-04"`:                       record.DayOf(time.Date(2021, 3, 4, 0, 0, 0, 0, time.UTC)),
		`"2021-03-04T05:05:46+00:09"`:        at(561, 0), // an offset with seconds: the same instant
		`"+12021-01-01T00:00:00Z"`:           record.DateOf(time.Date(12021, 1, 1, 0, 0, 0, 0, time.UTC)),
	} {
		if v.String() != want {
			t.Errorf("got %s, want %s", v, want)
		}
	}
}

func TestPaths(t *testing.T) {
	rec, err := record.Parse([]byte(`{"a.b":{"c":[{"x":1},{"y":null},{"x":3}]},"n":[[1,2],[3]],"t":"text"}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		`a\.b.c[0].x`: "1", `a\.b.c[*].x`: "[1,null,3]", `n[*][*]`: "[[1,2],[3]]", `n[1][0]`: "3", `n[*]`: "[[1,2],[3]]", `a\.b.c[1].y`: "null",
	} {
		p, err := record.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := p.Get(rec); !ok || v.String() != want || p.String() != path || !p.Has(rec) {
			t.Errorf("%s: got %s, %v, printed %s; want %s", path, v, ok, p, want)
		}
	}
	for _, path := range []string{"a.b", `a\.b.c[9]`, "n.x", "t.x", "t[0]", "t[*]", "zz[*].x"} {
		p, err := record.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := p.Get(rec); ok || p.Has(rec) {
			t.Errorf("%s: got %s; want nothing", path, v)
		}
	}
	for _, path := range []string{"", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", "a[0", "a[0]b", `a\`, "[0]", "a[]", "a[999999]"} {
		if p, err := record.ParsePath(path); err == nil {
			t.Errorf("%q is read as %s", path, p)
		}
	}
}

func TestParseMembers(t *testing.T) {
	got, err := record.ParseMembers([]byte(` {"n":1.50, "o":{"x" : [ ]} ,"n":2} `))
	if err != nil || len(got) != 3 || string(got[0].Raw) != "1.50" || string(got[1].Raw) != `{"x" : [ ]}` || got[2].Name != "n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := record.ParseMembers([]byte(`[1]`)); err == nil {
		t.Error("an array has members")
	}
}

func TestObject(t *testing.T) {
	o := record.NewObject(0)
	for i := range 40 {
		o.Set(string(rune('a'+i)), record.IntOf(int64(i)))
	}
	o.Set("c", record.TextOf("again"))
	o.Delete("b")
	if v, _ := o.Get("c"); v.Text() != "again" || o.Len() != 39 {
		t.Errorf("got %s of %d members", v, o.Len())
	}
	if name, _ := o.Member(1); name != "c" {
		t.Errorf("a replaced member moved: %s is the second", name)
	}
	if _, ok := o.Get("b"); ok {
		t.Error("a deleted member is there")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.50,"x\u0000"],"b":null}`, `1e5`, `"\ud800"`, `[[[`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := record.Parse(in)
		if ok := json.Valid(in); err == nil && !ok {
			t.Fatalf("%q is taken, but is no JSON", in)
		}
		if err != nil {
			return
		}
		out := v.AppendJSON(nil)
		w, err := record.Parse(out)
		if err != nil || w.String() != string(out) {
			t.Fatalf("%q is written as %q and read back as %s, %v", in, out, w, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a.b[0].c[*]", `a\.b`, "a[", "é.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := record.ParsePath(text)
		if err != nil {
			return
		}
		q, err := record.ParsePath(p.String())
		if err != nil || q.String() != p.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, p, q, err)
		}
	})
}
