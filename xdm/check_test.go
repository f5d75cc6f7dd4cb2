package xdm

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir"
)

// eachCase runs fn for every archive of a testdata folder. A file holds several cases: sections named "<case>/<section>"; sections
// of the case "all" belong to every case.
func eachCase(t *testing.T, folder string, fn func(t *testing.T, a archive)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		whole := readArchive(t, file)
		cases := map[string]archive{}
		shared := archive{}
		for name, text := range whole {
			c, section, ok := strings.Cut(name, "/")
			switch {
			case !ok:
				t.Fatalf("%s: section %s belongs to no case", file, name)
			case c == "all":
				shared[section] = text
			default:
				if cases[c] == nil {
					cases[c] = archive{}
				}
				cases[c][section] = text
			}
		}
		for c, a := range cases {
			for name, text := range shared {
				if _, own := a[name]; !own {
					a[name] = text
				}
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+c, func(t *testing.T) { fn(t, a) })
		}
	}
}

// want checks an error against the section "error" (absent: there must be none). Each line must be in the message, a code or a pointer.
func (a archive) want(t *testing.T, err error) bool {
	t.Helper()
	lines, failing := a["error"]
	if !failing {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return err == nil
	}
	if err == nil {
		t.Errorf("no error, want %s", lines)
		return false
	}
	var e *weir.Error
	if !errors.As(err, &e) {
		t.Fatalf("an error without a code: %v", err)
	}
	text := e.Error()
	for _, d := range e.Details {
		text += "\n" + d.Code + " " + d.Pointer + " " + d.Message
	}
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		if !strings.Contains(text, line) {
			t.Errorf("the error does not hold %q:\n%s", line, text)
		}
	}
	return false
}

// TestPrepare runs testdata/check: body.json of the resource type in the section "type"; then the stored resource (section "stored") or the error.
func TestPrepare(t *testing.T) {
	eachCase(t, "check", func(t *testing.T, a archive) {
		t.Helper()
		kind := strings.TrimSpace(a["type"])
		raw, err := Prepare(Write{
			Type: kind, Tenant: "acmelab", Body: json.RawMessage(a["body.json"]), Resolve: a.resolver(t),
			ID: "https://ns.adobe.com/acmelab/" + kind + "/abc1",
		})
		if a.want(t, err) {
			if want, ok := a["stored"]; ok {
				expectPointers(t, raw, want)
			}
			again, err := Prepare(Write{Type: kind, Tenant: "acmelab", Body: raw, Resolve: a.resolver(t), ID: "https://ns.adobe.com/acmelab/" + kind + "/abc1"})
			if err != nil || string(again) != string(raw) {
				t.Errorf("a resource that was read cannot be put back: %v\n%s\n%s", err, raw, again)
			}
		}
	})
}

// TestBreaking runs testdata/evolve: the sections old.json and new.json are field definitions under /properties of the tenant root.
func TestBreaking(t *testing.T) {
	eachCase(t, "evolve", func(t *testing.T, a archive) {
		t.Helper()
		full := func(name string) *Full {
			f, err := Compose(json.RawMessage(a[name]), a.resolver(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		a.want(t, EvolutionError(Breaking(full("old.json"), full("new.json")), "the dataset X"))
	})
}

// TestDescriptor runs testdata/descriptor: schema.json, others.json (stored descriptors), dest.json and destOthers.json, union (which of "source
// dest" are enabled for Profile), body.json.
func TestDescriptor(t *testing.T) {
	eachCase(t, "descriptor", func(t *testing.T, a archive) {
		t.Helper()
		load := func(schema, others, word string) DescriptorSchema {
			f, err := Compose(json.RawMessage(a[schema]), a.resolver(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			s := DescriptorSchema{Full: f, Union: strings.Contains(a["union"], word)}
			if text, ok := a[others]; ok {
				if err := json.Unmarshal([]byte(text), &s.Descriptors); err != nil {
					t.Fatal(err)
				}
			}
			return s
		}
		raw, err := PrepareDescriptor(json.RawMessage(a["body.json"]), load("schema.json", "others.json", "source"), func(id string) (DescriptorSchema, bool) {
			if id != "https://ns.adobe.com/acmelab/schemas/dest" {
				return DescriptorSchema{}, false
			}
			return load("dest.json", "destOthers.json", "dest"), true
		})
		if a.want(t, err) && a["stored"] != "" {
			expectPointers(t, raw, a["stored"])
		}
	})
}

// TestSample proves that samples validate against the full schema they were made from, for the whole library.
func TestSample(t *testing.T) {
	all := append(Globals(Classes), append(Globals(FieldGroups), Globals(DataTypes)...)...)
	all = append(all, bigSchema(), json.RawMessage(`{"$id":"https://ns.adobe.com/t/schemas/p","title":"t","properties":{
		"code":{"type":"string","pattern":"^[A-Z]{2}[0-9]{3}$"},"long":{"type":"string","minLength":40},"short":{"type":"string","maxLength":3},
		"n":{"type":"integer","minimum":7,"maximum":9},"x":{"type":"number","exclusiveMaximum":1,"exclusiveMinimum":0},"alt":{"type":"string","pattern":"^(a|b)c+d?[^x]$"},
		"neg":{"type":"integer","maximum":-5},"none":{"type":"integer","minimum":2,"exclusiveMaximum":2}}}`))
	for _, raw := range all {
		f, err := Compose(raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		full, err := jsonschema.UnmarshalJSON(strings.NewReader(string(f.JSON(Variant{}))))
		if err != nil {
			t.Fatal(err)
		}
		if o := full.(map[string]any); o["$schema"] == nil {
			o["$schema"] = "http://json-schema.org/draft-06/schema#"
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(f.ID, full); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile(f.ID)
		if err != nil {
			t.Fatalf("%s: %v", f.ID, err)
		}
		text := Sample(f)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", f.ID, err, text)
		}
		if strings.Contains(string(text), `"xdm:`) {
			t.Errorf("%s: library names in %s", f.ID, text)
		}
		if string(text) != string(Sample(f)) {
			t.Errorf("%s: samples differ", f.ID)
		}
	}
}

// TestUnion checks item 75 of the contract on two schemas of one class.
func TestUnion(t *testing.T) {
	class, _ := Global(Profile)
	var members []*Full
	for _, props := range []string{
		`"_acmelab":{"type":"object","required":["a"],"properties":{"a":{"type":"string"},"same":{"type":"string"},"list":{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}}}}`,
		`"_acmelab":{"type":"object","properties":{"b":{"type":"integer"},"same":{"type":"boolean"},"list":{"type":"array","items":{"type":"object","properties":{"y":{"type":"string"}}}}}}`,
	} {
		f, err := Compose(json.RawMessage(`{"title":"t","allOf":[{"$ref":"`+Profile+`"}],"properties":{`+props+`}}`), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, f)
	}
	before := string(members[0].JSON(Variant{}))
	u, err := Union(class, members, nil)
	if err != nil {
		t.Fatal(err)
	}
	expectPointers(t, u.JSON(Variant{}), `/$id = "https://ns.adobe.com/xdm/context/profile__union"
/meta:altId = "_xdm.context.profile__union"
/meta:resourceType = "unions"
/title = "XDM Individual Profile"
/properties/_acmelab/properties/#keys = ["a","b","list","same"]
/properties/_acmelab/properties/same/type = "string"
/properties/_acmelab/properties/list/items/properties/#keys = ["x","y"]
/properties/_acmelab/required = -
/properties/identityMap/meta:xdmType = "map"
/properties/segmentMembership/meta:xdmType = "map"
/properties/timeSeriesEvents/items/properties/timestamp/meta:xdmType = "date-time"
/properties/personID/type = "string"`)
	if before != string(members[0].JSON(Variant{})) {
		t.Error("the union changed a schema")
	}
	if _, err := Columns(u); err != nil {
		t.Error(err)
	}
	if c, ok := UnionClass(u.ID); !ok || c != Profile {
		t.Error(c, ok)
	}
}

func FuzzPrepare(f *testing.F) {
	f.Add(Schemas, `{"title":"t","allOf":[{"$ref":"https://ns.adobe.com/xdm/context/profile"},{"$ref":"#/definitions/a"}],"definitions":{"a":{"properties":{"_acmelab":{}}}}}`)
	f.Add(Classes, `{"title":"t","type":"object","allOf":[{"$ref":"https://ns.adobe.com/xdm/data/adhoc"}],"properties":{"_adhoc":{"type":"object","properties":{"a":{"type":"string"}}}}}`)
	f.Add(FieldGroups, `{"title":"t","type":"object","meta:intendedToExtend":[],"properties":{"_acmelab":{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"https://ns.adobe.com/t/x"}}}}}}`)
	f.Add(DataTypes, `{"title":"t","type":"array","items":{"minimum":1,"enum":[1]}}`)
	f.Fuzz(func(t *testing.T, kind, body string) {
		if singular[kind] == "" {
			t.Skip("no resource type")
		}
		_, err := Prepare(Write{Type: kind, ID: "https://ns.adobe.com/t/x", Tenant: "acmelab", Body: json.RawMessage(body)})
		if err != nil && weir.CodeOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}
