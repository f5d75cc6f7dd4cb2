package mapping

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/record"
)

// vector is one line of data-prep-vectors.jsonl (data-prep §15).
type vector struct {
	ID         string          `json:"id"`
	Expr       *string         `json:"expr"`
	Input      json.RawMessage `json:"input"`
	Want       json.RawMessage `json:"want"`
	Target     string          `json:"target"`
	Mappings   json.RawMessage `json:"mappings"`
	Schema     json.RawMessage `json:"schema"`
	AllowNulls bool            `json:"allowNullValues"`
	Warn       []string        `json:"warn"`
}

func readVectors(tb testing.TB) []vector {
	tb.Helper()
	var out []vector
	// The vectors of the contract, and our own cases in the same form.
	for _, name := range []string{"testdata/data-prep-vectors.jsonl", "testdata/cases.jsonl"} {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var v vector
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				tb.Fatal(err)
			}
			out = append(out, v)
		}
	}
	return out
}

func TestVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.ID, func(t *testing.T) { v.run(t) })
	}
}

func (v *vector) run(t *testing.T) {
	t.Helper()
	rec, err := record.Parse(v.Input)
	if err != nil {
		t.Fatal(err)
	}
	var special struct {
		Error  Kind     `json:"$error"`
		Reject []string `json:"$reject"`
	}
	if bytes.HasPrefix(v.Want, []byte("{")) {
		if err := json.Unmarshal(v.Want, &special); err != nil {
			t.Fatal(err)
		}
	}
	env := NewEnv("run", time.Now())
	if v.Expr != nil {
		got, err := v.expression(rec, env)
		var e *Error
		switch {
		case errors.As(err, &e):
			if e.Kind != special.Error {
				t.Fatalf("error of kind %q: %v; want %s", e.Kind, e, v.Want)
			}
			return
		case special.Error != "":
			t.Fatalf("got %s; want an error of kind %s", got, special.Error)
		}
		same(t, got, v.Want)
		return
	}
	body := fmt.Sprintf(`{"mappings":%s,"allowNullValues":%v}`, v.Mappings, v.AllowNulls)
	set, err := ParseSet([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var target *record.Schema
	if v.Schema != nil {
		target = schemaOf(t, v.Schema)
	}
	tr, err := NewTransformer(set, target, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	r := tr.Transform(rec, env)
	var rejected, warned []string
	for _, e := range r.Reject {
		rejected = append(rejected, e.Path)
	}
	for _, w := range r.Warnings {
		warned = append(warned, w.Destination)
	}
	slices.Sort(warned)
	if d := cmp.Diff(special.Reject, rejected); d != "" {
		t.Fatalf("rejected (-want +got):\n%s", d)
	}
	if d := cmp.Diff(v.Warn, warned); d != "" {
		t.Fatalf("nullified (-want +got):\n%s", d)
	}
	if special.Reject == nil {
		same(t, r.Data, v.Want)
	}
}

func (v *vector) expression(rec record.Value, env *Env) (record.Value, error) {
	e, err := Compile(*v.Expr, Options{})
	if err != nil {
		return record.Null(), err
	}
	got, err := e.Eval(rec, env)
	if err != nil || v.Target == "" {
		return got, err
	}
	return Convert(got, typeField(v.Target))
}

// typeField is the field of a target type's name.
func typeField(name string) *record.Field {
	if item, ok := strings.CutPrefix(name, "array<"); ok {
		return &record.Field{Type: record.List, Elem: typeField(strings.TrimSuffix(item, ">"))}
	}
	types := map[string]record.Type{
		"string": record.String, "integer": record.Long, "number": record.Number, "boolean": record.Boolean, "date": record.Date, "date-time": record.Timestamp, "object": record.Map,
	}
	return &record.Field{Type: types[name]}
}

// schemaOf reads the small JSON Schemas of the tests.
func schemaOf(tb testing.TB, raw []byte) *record.Schema {
	tb.Helper()
	v, err := record.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	f := fieldOf("", v)
	return &record.Schema{Fields: f.Fields}
}

func fieldOf(name string, v record.Value) record.Field {
	f := record.Field{Name: name}
	kind, _ := v.Get("type")
	format, _ := v.Get("format")
	f.Type = typeField(kind.Text()).Type
	if k := format.Text(); k == "date" || k == "date-time" {
		f.Type = typeField(k).Type
	}
	if items, ok := v.Get("items"); ok {
		e := fieldOf("element", items)
		f.Type, f.Elem = record.List, &e
	}
	if extra, ok := v.Get("additionalProperties"); ok && extra.Kind() == record.KindObject {
		e := fieldOf("value", extra)
		f.Type, f.Elem = record.Map, &e
	}
	if enum, ok := v.Get("enum"); ok {
		f.Check = &record.Check{}
		for _, e := range enum.Items() {
			f.Check.Enum = append(f.Check.Enum, e.Text())
		}
	}
	props, ok := v.Get("properties")
	if !ok {
		return f
	}
	f.Type = record.Struct
	required, _ := v.Get("required")
	o := props.Object()
	for i := range o.Len() {
		name, p := o.Member(i)
		m := fieldOf(name, p)
		m.Required = indexIn(required.Items(), record.TextOf(name)) >= 0
		f.Fields = append(f.Fields, m)
	}
	return f
}

// same compares by mathematical value of numbers; objects in any order.
func same(t *testing.T, got record.Value, want []byte) {
	t.Helper()
	w, err := record.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	g, err := record.Parse(got.AppendJSON(nil))
	if err != nil {
		t.Fatalf("the result %s is no JSON: %v", got, err)
	}
	if !sameValue(g, w) {
		t.Fatalf("got  %s\nwant %s", g, w)
	}
}

func sameValue(a, b record.Value) bool {
	if a.IsNumber() && b.IsNumber() {
		x, ok := new(big.Rat).SetString(a.String())
		y, ok2 := new(big.Rat).SetString(b.String())
		return ok && ok2 && x.Cmp(y) == 0
	}
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case record.KindArray:
		return slices.EqualFunc(a.Items(), b.Items(), sameValue)
	case record.KindObject:
		x, y := a.Object(), b.Object()
		if x.Len() != y.Len() {
			return false
		}
		for i := range x.Len() {
			name, v := x.Member(i)
			w, ok := y.Get(name)
			if !ok || !sameValue(v, w) {
				return false
			}
		}
		return true
	default:
	}
	return a.String() == b.String()
}
