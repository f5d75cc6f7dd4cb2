package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// wide is a plan with every feature: keys, nested keys, single elements, levels in levels, and whole containers.
func wide() (*Plan, map[string]int) {
	p := NewPlan()
	slots := map[string]int{}
	want := func(name string, n *Node) *Node { slots[name] = n.Slot(); return n }
	want("a", p.Root().Key("a"))
	want("a.b", p.Root().Key("a").Key("b"))
	want("a.b.c", p.Root().Key("a").Key("b").Key("c"))
	want("e[1]", p.Root().Key("e").At(1))
	want("e[*]", p.Root().Key("e").Each())
	want("l[*].x", p.Root().Key("l").Each().Key("x"))
	want("l[*].m[*]", p.Root().Key("l").Each().Key("m").Each())
	want("l[*].m[*].y", p.Root().Key("l").Each().Key("m").Each().Key("y"))
	want("ключ", p.Root().Key("ключ"))
	want("", p.Root().Key(""))
	return p, slots
}

type scanned map[string]any

// rowsOf turns a scanned batch into plain values: per record, slot name to value (nested slices for levels).
func rowsOf(t *testing.T, p *Plan, slots map[string]int, b *Spans) []scanned {
	t.Helper()
	out := make([]scanned, b.N)
	for i := range out {
		out[i] = scanned{}
		for name, slot := range slots {
			out[i][name] = valueOf(t, p, b, p.LevelOf(slot), slot, i)
		}
	}
	return out
}

func valueOf(t *testing.T, p *Plan, b *Spans, level, slot, row int) any {
	t.Helper()
	var chain []int
	for l := level; l != 0; l = p.Parent(l) {
		chain = append([]int{l}, chain...)
	}
	var walk func(chain []int, row int) any
	walk = func(chain []int, row int) any {
		if len(chain) == 0 {
			return spanValue(t, b, b.Cols[slot][row])
		}
		l := b.Levels[chain[0]]
		list := []any{}
		for k := l.Start[row]; k < l.Start[row+1]; k++ {
			list = append(list, walk(chain[1:], int(k)))
		}
		return list
	}
	return walk(chain, row)
}

type missing struct{}

func spanValue(t *testing.T, b *Spans, s Span) any {
	t.Helper()
	switch s.Kind() {
	case SpanAbsent:
		return missing{}
	case SpanText, SpanEscaped:
		return string(b.Text(s))
	default:
	}
	var v any
	if err := unmarshal(s.In(b.Buf), &v); err != nil {
		t.Fatalf("span %q is no value: %v", s.In(b.Buf), err)
	}
	return v
}

// unmarshal keeps numbers as they are written: 1e700 is JSON, though no float64.
func unmarshal(text []byte, v any) error {
	if !json.Valid(text) {
		return errors.New("no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// oracle reads the same places from a tree.
func oracle(rec map[string]any) scanned {
	get := func(v any, path ...string) any {
		for _, k := range path {
			m, ok := v.(map[string]any)
			if !ok {
				return missing{}
			}
			if v, ok = m[k]; !ok {
				return missing{}
			}
		}
		return v
	}
	each := func(v any, f func(any) any) any {
		list := []any{}
		l, _ := v.([]any)
		for _, e := range l {
			list = append(list, f(e))
		}
		return list
	}
	same := func(v any) any { return v }
	out := scanned{
		"a": get(rec, "a"), "a.b": get(rec, "a", "b"), "a.b.c": get(rec, "a", "b", "c"), "ключ": get(rec, "ключ"), "": get(rec, ""),
		"e[1]": missing{}, "e[*]": each(get(rec, "e"), same),
		"l[*].x":      each(get(rec, "l"), func(e any) any { return get(e, "x") }),
		"l[*].m[*]":   each(get(rec, "l"), func(e any) any { return each(get(e, "m"), same) }),
		"l[*].m[*].y": each(get(rec, "l"), func(e any) any { return each(get(e, "m"), func(e any) any { return get(e, "y") }) }),
	}
	if l, ok := get(rec, "e").([]any); ok && len(l) > 1 {
		out["e[1]"] = l[1]
	}
	return out
}

func padded(s string) []byte { return append([]byte(s), make([]byte, Pad)...) }

// judge scans lines and compares with encoding/json line by line. Lines must not nest deeper than the limit.
func judge(t *testing.T, sc *Scanner, p *Plan, slots map[string]int, text string) {
	t.Helper()
	var want []scanned
	bad := 0
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Trim(line, " \t\r") == "" {
			continue
		}
		var rec map[string]any
		err := unmarshal([]byte(line), &rec)
		if err != nil || rec == nil || !utf8.ValidString(line) {
			bad++
			continue
		}
		want = append(want, oracle(rec))
	}
	var got []scanned
	gotBad := 0
	b := NewSpans(p, 3)
	buf := padded(text)
	for at := 0; at < len(text); {
		at = sc.Scan(b, buf, at, len(text))
		got = append(got, rowsOf(t, p, slots, b)...)
		gotBad += len(b.Bad)
		for _, r := range b.Bad {
			if r.Reason == "" || bytes.IndexByte(buf[r.Off:r.End], '\n') >= 0 {
				t.Errorf("bad record %+v", r)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-json +scan):\n%s", text, diff)
	}
	if bad != gotBad {
		t.Errorf("%q: %d malformed, want %d", text, gotBad, bad)
	}
}

func TestScanMatchesJSON(t *testing.T) {
	p, slots := wide()
	for _, text := range scanCases() {
		judge(t, NewScanner(p), p, slots, text)
	}
	// One scanner for all: what it learned from one record must not change how it reads another.
	sc := NewScanner(p)
	for range 3 {
		for _, text := range scanCases() {
			judge(t, sc, p, slots, text)
		}
	}
}

func scanCases() []string {
	return []string{
		`{}`, ` { } `, "{}\r\n{\"a\":1}\r\n", "\n\n{}\n \n", `{"a":1}`, `{"a": 1 , "b" :2}`,
		`{"a":{"b":1}}`, `{"a":{"b":{"c":"x"}}}`, `{"a":{"b":{"c":"x","c":null}}}`, `{"a":{"b":{"c":1}},"a":{"d":2}}`, `{"a":{"b":1},"a":7}`,
		`{"a":{"b":{"c":1}},"\u0061":{"b":2}}`, `{"x":{"a":{"a":[{}]}},"a":true,"a":false}`,
		`{"e":[1,2,3]}`, `{"e":[1]}`, `{"e":[]}`, `{"e":[ ]}`, `{"e":[[1],{"z":[2]}]}`, `{"e":[1,2],"e":[3]}`, `{"e":"no"}`,
		`{"l":[{"x":1,"m":[{"y":1},{"y":2},3]},{"m":[]},7,{"x":null}]}`, `{"l":[{"x":1,"x":2,"m":[1,2],"m":[{"y":9}]}],"l":[{"m":[5]}]}`,
		"{\"l\":[{\"m\":[1,2]}]}\n{\"l\":[{\"m\":[3,{\"y\":4}]}, {\"m\":[bad]}]}\n{\"l\":[{\"m\":[{\"y\":5}]}]}",
		"{\"a\":1\n{\"a\":2}\n", "{\"a\":\"x\ny\"}", "{\"a\":1}}\n{\"a\":2}", "[1]\n\"x\"\n1\nnull\n{\"a\":3}",
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12"}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041x"}`, `{"a":"\`, `{"a":"`,
		`{"z":"\u12g4"}`, `{"z":"\q"}`, "{\"z\":\"\x01\"}", "{\"z\":\"\xff\"}", "{\"z\":\"\xc3\xa9\"}", "{\"\xff\":1}", "{\"a\":\"\xed\xa0\x80\"}", "{\"z\":[\"\x80\"]}",
		`{"a":-0}`, `{"a":-}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1E-7}`, `{"a":+1}`, `{"a":0x1}`, `{"a":12345678901234567890}`, `{"a":1.5e300}`,
		`{"z":-0}`, `{"z":-}`, `{"z":01}`, `{"z":1.}`, `{"z":.5}`, `{"z":1e}`, `{"z":[1,02]}`, `{"z":NaN}`, `{"z":1 2}`,
		`{"a":tru}`, `{"a":falsy}`, `{"a":nul}`, `{"a":truex}`, `{"z":tru}`, `{"z":[null,true,false]}`, `{"z":[nul]}`,
		`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"z":[1,]}`, `{"z":[,1]}`, `{"z":{"y":1,}}`, `{"z":{"y"}}`, `{"z":[1}}`, `{"z":{"y":1]}`, `{"z":[[[[]]],{}]}`, `{"z":{ "y" : [ 1 , { } ] } }`,
		`{"e":[1,]}`, `{"e":[,]}`, `{"l":[{"x":1},]}`, `{"ключ":1,"":2}`, `{"кл\u044eч":"x"}`,
		`{"z":"12345678901234567890","a":"1234567\"","b":"12345678\\"}`,
	}
}

func TestScanDepth(t *testing.T) {
	p, _ := wide()
	for _, tt := range []struct {
		text string
		bad  bool
	}{
		{`{"z":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`, false},
		{`{"z":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`, true},
		{`{"z":` + strings.Repeat(`{"k":`, 127) + "1" + strings.Repeat("}", 127) + `}`, false},
		{`{"z":` + strings.Repeat(`{"k":`, 128) + "1" + strings.Repeat("}", 128) + `}`, true},
		{`{"a":{"b":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}}`, true},
	} {
		b := NewSpans(p, 2)
		NewScanner(p).Scan(b, padded(tt.text), 0, len(tt.text))
		if got := len(b.Bad) == 1; got != tt.bad {
			t.Errorf("%.20s… of %d bytes: malformed %v, want %v", tt.text, len(tt.text), got, tt.bad)
		}
		if tt.bad && len(b.Bad) == 1 && b.Bad[0].Reason != errDepth {
			t.Errorf("reason %q", b.Bad[0].Reason)
		}
	}
}

func TestScanUnknown(t *testing.T) {
	p, _ := wide()
	p.CountUnknown = true
	sc := NewScanner(p)
	text := "{\"a\":{\"q\":1,\"b\":2},\"z\":1}\n{\"z\":2,\"\\u007a\":3}\n{\"l\":[{\"w\":1},{\"w\":2}]}\n"
	sc.Scan(NewSpans(p, 10), padded(text), 0, len(text))
	got := map[string]int64{}
	sc.Unknown(func(path []string, name string, n int64) { got[strings.Join(append(path, name), ".")] += n })
	if diff := cmp.Diff(map[string]int64{"a.q": 1, "z": 2, "": 1, "l.[].w": 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	p, _ := wide()
	sc, b := NewScanner(p), NewSpans(p, 64)
	text := strings.Repeat(`{"a":{"b":{"c":"x"}},"e":[1,2],"z":{"q":[1,2,"ü"]},"l":[{"x":1,"m":[{"y":2}]}]}`+"\n", 64)
	buf := padded(text)
	sc.Scan(b, buf, 0, len(text))
	if n := testing.AllocsPerRun(10, func() { sc.Scan(b, buf, 0, len(text)) }); n != 0 {
		t.Errorf("%v allocations per batch of good records", n)
	}
}

// TestTextBorders: texts of every length, with a mark, an escape, a wide character or a fault at every place, are read alike
// however many bytes are looked at together.
func TestTextBorders(t *testing.T) {
	p, slots := wide()
	sc := NewScanner(p)
	for n := range 140 {
		for _, odd := range []string{"x", `\"`, `\\`, "\x1f", "\xff", "\u00e9", "\x7f", `\u00e9`} {
			for _, at := range []int{0, n / 3, n / 2, n - 1, n} {
				text := strings.Repeat("a", max(at, 0)) + odd + strings.Repeat("b", n-max(at, 0))
				judge(t, sc, p, slots, `{"a":"`+text+`","zz":"`+text+`","e":[1,"`+text+`"]}`)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range scanCases() {
		f.Add(text)
	}
	p, slots := wide()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "[")+strings.Count(text, "{") > MaxDepth {
			t.Skip("the oracle has another depth limit")
		}
		sc := NewScanner(p)
		judge(t, sc, p, slots, text)
		judge(t, sc, p, slots, text)
	})
}

// TestLines reads a source as ranges of every size: each line must come up once, whatever the window.
func TestLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var text []byte
	var want []string
	for i := range 300 {
		line := fmt.Sprintf("%d-%s", i, strings.Repeat("x", r.IntN(1+r.IntN(9000))))
		want = append(want, line)
		text = append(append(text, line...), '\n')
	}
	text = text[:len(text)-1]
	for _, step := range []int64{1 << 40, 100_000, 9973, 500} {
		var got []string
		for a := int64(0); a < int64(len(text)); a += step {
			from := max(a-1, 0)
			l := NewLines(nil, 4096)
			l.Reset(bytes.NewReader(text[from:]), from, a > 0, a+step)
			for {
				buf, p, end, err := l.Next()
				if err != nil {
					break
				}
				if string(buf[p:end]) != string(text[l.Base()+int64(p):l.Base()+int64(end)]) {
					t.Fatal("the base offset is wrong")
				}
				if !bytes.Equal(buf[len(buf)-Pad:], make([]byte, Pad)) {
					t.Fatal("the padding is not zero")
				}
				got = append(got, strings.Split(strings.TrimSuffix(string(buf[p:end]), "\n"), "\n")...)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("step %d: %.400s", step, diff)
		}
	}
}
