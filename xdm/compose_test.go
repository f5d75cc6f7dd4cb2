package xdm

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir"
	"weir/record"
)

// archive is one test case file: resources by name.
type archive map[string]string

func readArchive(t *testing.T, file string) archive {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := archive{}
	for _, f := range a.Files {
		if _, twice := out[f.Name]; twice {
			t.Fatalf("%s: two sections named %s", file, f.Name)
		}
		out[f.Name] = string(f.Data)
	}
	return out
}

// resolver serves the sections tenant/*.json by their $id.
func (a archive) resolver(t *testing.T) Resolver {
	t.Helper()
	byID := map[string]json.RawMessage{}
	for name, text := range a {
		if strings.HasPrefix(name, "tenant/") {
			tree, err := decodeObject([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			byID[tree["$id"].(string)] = json.RawMessage(text)
		}
	}
	return func(id string) (json.RawMessage, bool) {
		raw, ok := byID[id]
		return raw, ok
	}
}

func (a archive) descriptors(t *testing.T) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	if text, ok := a["descriptors.json"]; ok {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func variantOf(words string) Variant {
	return Variant{
		NoText: strings.Contains(words, "notext"), Desc: strings.Contains(words, "desc"), Flat: strings.Contains(words, "flat"),
		Deprecated: strings.Contains(words, "deprecate"),
	}
}

// TestCompose runs testdata/compose/*.txtar. Sections: schema.json; tenant/*.json; descriptors.json; full (pointer = JSON, one per line, "-" for
// absent), the same for full:<variant> and raw[:<variant>]; columns (the dump of the columns, or "path …" lines that must be among them); error (text
// the failure must contain).
func TestCompose(t *testing.T) {
	files, err := filepath.Glob("testdata/compose/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a := readArchive(t, file)
			f, err := Compose(json.RawMessage(a["schema.json"]), a.resolver(t), a.descriptors(t))
			if want, failing := a["error"]; failing {
				if err == nil && f.Cycle != "" {
					err = fmt.Errorf("cycle %s", f.Cycle)
				}
				expectError(t, err, want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range a {
				kind, variant, _ := strings.Cut(name, ":")
				switch kind {
				case "full":
					expectPointers(t, f.JSON(variantOf(variant)), want)
				case "raw":
					raw, err := Raw(json.RawMessage(a["schema.json"]), variantOf(variant))
					if err != nil {
						t.Fatal(err)
					}
					expectPointers(t, raw, want)
				case "columns":
					s, err := Columns(f)
					if err != nil {
						t.Fatal(err)
					}
					expectColumns(t, s, want)
				}
			}
		})
	}
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("error %q does not contain %q", err, line)
		}
	}
}

// expectPointers checks lines of the form: /pointer = JSON. The root is "/".
func expectPointers(t *testing.T, doc json.RawMessage, lines string) {
	t.Helper()
	tree, err := decodeObject(doc)
	if err != nil {
		t.Fatalf("the answer is not JSON: %v\n%s", err, doc)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		path, want, ok := strings.Cut(line, " = ")
		if !ok {
			t.Fatalf("bad line %q", line)
		}
		got, found := valueAt(tree, path)
		switch {
		case want == "-":
			if found {
				t.Errorf("%s is there: %s", path, encode(got))
			}
		case !found:
			t.Errorf("%s is missing", path)
		case want != "*" && string(encode(got)) != want:
			t.Errorf("%s = %s, want %s", path, encode(got), want)
		}
	}
}

func valueAt(v any, path string) (any, bool) {
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		if part == "#keys" {
			m, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			keys := []any{}
			for k := range m {
				keys = append(keys, k)
			}
			slices.SortFunc(keys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			return keys, true
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[unescapePointer.Replace(part)]; !ok {
			return nil, false
		}
	}
	return v, true
}

// expectColumns compares the dump; a want starting with "…" needs its lines among the dump only.
func expectColumns(t *testing.T, s *record.Schema, want string) {
	t.Helper()
	got := dumpColumns(s.Fields, "")
	want = strings.TrimSpace(want)
	if rest, some := strings.CutPrefix(want, "…\n"); some {
		have := strings.Split(got, "\n")
		for line := range strings.SplitSeq(rest, "\n") {
			if !slices.Contains(have, line) {
				t.Errorf("no column %q", line)
			}
		}
		return
	}
	if diff := cmp.Diff(want, strings.TrimSpace(got)); diff != "" {
		t.Error(diff)
	}
}

func dumpColumns(fields []record.Field, prefix string) string {
	var b strings.Builder
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(&b, "%s%s %s", prefix, f.Name, f.Type)
		if f.Required {
			b.WriteString(" required")
		}
		if f.Check != nil {
			b.WriteString(dumpCheck(f.Check))
		}
		b.WriteByte('\n')
		b.WriteString(dumpColumns(f.Fields, prefix+f.Name+"."))
		if f.Elem != nil {
			b.WriteString(dumpColumns([]record.Field{*f.Elem}, prefix+f.Name+"."))
		}
	}
	return b.String()
}

func dumpCheck(c *record.Check) string {
	var b strings.Builder
	if c.Enum != nil {
		fmt.Fprintf(&b, " enum:%s", strings.Join(c.Enum, ","))
	}
	if c.Pattern != nil {
		fmt.Fprintf(&b, " /%s/", c.Pattern)
	}
	if c.Format != "" {
		b.WriteString(" format:" + c.Format)
	}
	if c.MinLength != nil {
		fmt.Fprintf(&b, " minLength:%d", *c.MinLength)
	}
	if c.MaxLength != nil {
		fmt.Fprintf(&b, " maxLength:%d", *c.MaxLength)
	}
	for _, p := range []struct {
		name string
		v    *float64
	}{{"min", c.Minimum}, {"max", c.Maximum}, {"xmin", c.ExclMin}, {"xmax", c.ExclMax}} {
		if p.v != nil {
			fmt.Fprintf(&b, " %s:%v", p.name, *p.v)
		}
	}
	return b.String()
}

// TestPlain runs testdata/plain/*.txtar: schema.json is an ordinary JSON Schema, then columns or error.
func TestPlain(t *testing.T) {
	files, err := filepath.Glob("testdata/plain/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a := readArchive(t, file)
			s, err := FromJSONSchema(json.RawMessage(a["schema.json"]))
			if want, failing := a["error"]; failing {
				expectError(t, err, want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expectColumns(t, s, a["columns"])
		})
	}
}

// TestFullIsPlain proves that the columns of a full schema do not depend on the way: composed, or read back from its own JSON.
func TestFullIsPlain(t *testing.T) {
	for _, raw := range append(Globals(Classes), append(Globals(FieldGroups), Globals(DataTypes)...)...) {
		f, err := Compose(raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Columns(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromJSONSchema(f.JSON(Variant{}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(dumpColumns(a.Fields, ""), dumpColumns(b.Fields, "")); diff != "" {
			t.Errorf("%s: %s", f.ID, diff)
		}
	}
}

// TestExpansionIsBounded composes a small graph whose tree is exponential, and a long chain.
func TestExpansionIsBounded(t *testing.T) {
	chain := func(n int, fields ...string) Resolver {
		return func(id string) (json.RawMessage, bool) {
			var i int
			if _, err := fmt.Sscanf(id, "https://ns.adobe.com/t/datatypes/%d", &i); err != nil || i > n {
				return nil, false
			}
			if i == n {
				return json.RawMessage(`{"type":"object","properties":{"end":{"type":"string"}}}`), true
			}
			props := map[string]any{}
			for _, f := range fields {
				props[f] = map[string]any{"$ref": fmt.Sprintf("https://ns.adobe.com/t/datatypes/%d", i+1)}
			}
			return encode(map[string]any{"type": "object", "properties": props}), true
		}
	}
	schema := json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"https://ns.adobe.com/t/datatypes/0"}}}`)
	for name, r := range map[string]Resolver{"wide": chain(40, "a", "b", "c"), "long": chain(5000, "a")} {
		if _, err := Compose(schema, r, nil); weir.CodeOf(err) != codeField {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Compose(schema, chain(40, "a"), nil); err != nil {
		t.Error(err)
	}
	// two graphs of the same shape, merged field by field
	wide := chain(40, "a", "b", "c")
	both := json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"https://ns.adobe.com/t/datatypes/0"}},"allOf":[{"$ref":"https://ns.adobe.com/t/mixins/0"}]}`)
	r := func(id string) (json.RawMessage, bool) {
		if strings.Contains(id, "mixins") {
			return json.RawMessage(`{"$id":"x","properties":{"a":{"$ref":"https://ns.adobe.com/t/datatypes/0","properties":{"a":{"properties":{"z":{"type":"string"}}}}}}}`), true
		}
		return wide(id)
	}
	if _, err := Compose(both, r, nil); weir.CodeOf(err) != codeField {
		t.Errorf("merged: %v", err)
	}
}

func BenchmarkComposeBig(b *testing.B) {
	raw := bigSchema()
	b.ReportAllocs()
	for b.Loop() {
		f, err := Compose(raw, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Columns(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFullJSON(b *testing.B) {
	f, err := Compose(bigSchema(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.JSON(Variant{})
	}
}

// bigSchema joins every field group that suits events.
func bigSchema() json.RawMessage {
	all := []any{map[string]any{"$ref": ExperienceEvent}}
	for _, d := range library().order {
		fits, _ := d.tree["meta:intendedToExtend"].([]any)
		if slices.Contains(fits, any(ExperienceEvent)) {
			all = append(all, map[string]any{"$ref": d.id})
		}
	}
	return encode(map[string]any{"$id": "https://ns.adobe.com/acmelab/schemas/big", "title": "Big", "type": "object", "allOf": all})
}

func FuzzCompose(f *testing.F) {
	f.Add(`{"title":"t","type":"object","allOf":[{"$ref":"https://ns.adobe.com/xdm/context/profile"}]}`, `{"type":"object","properties":{"a":{"$ref":"x"}}}`)
	f.Add(`{"properties":{"xdm:a":{"type":"string"},"repo:b":{"type":["integer","null"]}},"required":["repo:b","@id"]}`, `{}`)
	f.Add(`{"properties":{"a":{"$ref":"x"},"b":{"items":{"$ref":"#/properties/a"}}}}`, `{"properties":{"a":{"$ref":"x#/properties/a"}}}`)
	f.Add(`{"type":"array","items":{"anyOf":[{"type":"null"},{"$ref":"#"}]}}`, `[]`)
	f.Fuzz(func(t *testing.T, schema, other string) {
		resolve := func(id string) (json.RawMessage, bool) { return json.RawMessage(other), id == "x" }
		full, err := Compose(json.RawMessage(schema), resolve, nil)
		if err != nil {
			if weir.CodeOf(err) == "" {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if out := full.JSON(Variant{}); !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
		full.JSON(Variant{Flat: true, NoText: true, Desc: true})
		_, _ = Columns(full)
		_, _ = FromJSONSchema(json.RawMessage(schema))
		_, _ = Raw(json.RawMessage(schema), Variant{})
	})
}
