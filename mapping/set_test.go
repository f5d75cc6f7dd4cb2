package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/record"
)

const personSchema = `{"properties":{
 "_id":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},
 "person":{"type":"object","properties":{"first":{"type":"string"},"last":{"type":"string"}},"required":["last"]},
 "lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"qty":{"type":"integer"}},"required":["sku"]}},
 "more":{"type":"object","additionalProperties":{"type":"string"}}},"required":["_id"]}`

func parseSet(t *testing.T, body string) *Set {
	t.Helper()
	set, err := ParseSet([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Both forms of a set are the same set.
func TestParseSetForms(t *testing.T) {
	newer := parseSet(t, `{"outputSchema":{"schemaRef":{"id":"https://ns/x","contentType":"c;version=1"}},"mappings":[{"sourceType":"text/x.schema-path","source":"Key","destination":"_id","extra":{"a":1.50}}]}`)
	older := parseSet(t, `{"version":0,"xdmSchema":"https://ns/x","xdmVersion":"1.0","id":null,"mappings":[{"destinationXdmPath":"_id","sourceAttribute":"Key","identity":false,"version":0}]}`)
	for _, s := range []*Set{newer, older} {
		if m := s.Mappings[0]; s.SchemaID != "https://ns/x" || m.SourceType != Attribute || m.Source != "Key" || m.Destination != "_id" {
			t.Errorf("got %q, %+v", s.SchemaID, m)
		}
	}
	if got := string(newer.Mappings[0].Members[3].Raw); got != `{"a":1.50}` {
		t.Errorf("an unknown member is kept as %s", got)
	}
	if older.SchemaType != "1.0" || newer.SchemaType != "c;version=1" {
		t.Errorf("schema versions %q and %q", older.SchemaType, newer.SchemaType)
	}
	for _, body := range []string{``, `[]`, `{}`, `{"mappings":null}`, `{"mappings":{}}`, `{"mappings":[1]}`, `{"mappings":[null]}`, `null`, `{"mappings":[` + strings.Repeat("{},", 9999) + `{}]}`} {
		_, err := ParseSet([]byte(body))
		if weir.CodeOf(err) != CodeBody {
			t.Errorf("%.40s: got %v, want %s", body, err, CodeBody)
		}
	}
}

// Every rule of data-prep §4.1: the codes it gives and where they point.
func TestValidate(t *testing.T) {
	target := schemaOf(t, []byte(personSchema))
	input := schemaOf(t, []byte(`{"properties":{"id":{"type":"string"},"n":{"type":"number"},"flag":{"type":"boolean"},"obj":{"type":"object","properties":{"x":{"type":"string"}}},"rows":{"type":"array","items":{"type":"object","properties":{"s":{"type":"string"},"o":{"type":"object","properties":{"k":{"type":"string"}}}}}}}}`))
	id := `{"source":"id","destination":"_id"}`
	cases := []struct {
		name, mappings, set string
		want                string // code pointer, one per line
	}{
		{"fine", id + `,{"source":"rows[*].s","destination":"lines[*].sku"},{"sourceType":"STATIC","source":"5","destination":"age"},{"source":"obj","destination":"more"}`, "", ""},
		{"V3", id + `,{"sourceType":"MAGIC","source":"a","destination":"age"},{"source":"","destination":"age"},{"source":7,"destination":"tags"}`, "", "3015 /mappings/1/sourceType\n3015 /mappings/2/source\n3015 /mappings/3/source\n3015 /mappings/3/source"},
		{"V4", id + `,{"source":"n","destination":"nope"},{"source":"n","destination":"person[0]"},{"source":"n","destination":"tags.x"},{"source":"n","destination":"a["}`, "", "3012 /mappings/1/destination\n3012 /mappings/2/destination\n3012 /mappings/3/destination\n3012 /mappings/4/destination"},
		{"V4 map", id + `,{"source":"id","destination":"more.any\\.key"}`, "", ""},
		{"V5", id + `,{"source":"n","destination":"\\_id"},{"sourceType":"EXPRESSION","source":"explode(id)","destination":"tags[*]"},{"source":"id","destination":"tags[0]"}`, "", "3011 /mappings/1/destination\n3011 /mappings/3/destination"},
		{"V5 positions", id + `,{"source":"id","destination":"tags[0]"},{"source":"n","destination":"tags[1]"}`, "", ""},
		{"V6", `{"source":"n","destination":"person.first"},{"source":"rows[*].s","destination":"lines[*].qty"}`, "", "3014 /mappings\n3014 /mappings\n3014 /mappings"},
		{"V6 parent", id + `,{"source":"obj","destination":"person"},{"source":"rows","destination":"lines"}`, "", ""},
		{"V6 never", `{"sourceType":"EXPRESSION","source":"nullify()","destination":"_id"}`, "", "3014 /mappings"},
		{"V7", id + `,{"sourceType":"EXPRESSION","source":"uper(x)","destination":"age"},{"sourceType":"EXPRESSION","source":"1 +","destination":"tags"},{"sourceType":"EXPRESSION","source":"upper()","destination":"more"},{"sourceType":"EXPRESSION","source":"upper(obj)","destination":"person.last"}`, "", "3021 /mappings/1/source\n3020 /mappings/2/source\n3022 /mappings/3/source\n3023 /mappings/4/source"},
		{"V8", id + `,{"source":"flag","destination":"age"},{"sourceType":"STATIC","source":"ten","destination":"age"},{"sourceType":"EXPRESSION","source":"now()","destination":"lines"}`, "", "3013 /mappings/1\n3013 /mappings/2\n3011 /mappings/2/destination\n3013 /mappings/3"},
		{"V9", id + `,{"source":"obj","destination":"age"},{"source":"rows","destination":"person"},{"source":"n","destination":"tags"},{"source":"rows[*].o","destination":"lines[*].qty"}`, "", "3013 /mappings/1\n3013 /mappings/2\n3013 /mappings/4\n3014 /mappings"},
		{"V10", id + `,{"source":"idd","destination":"age"},{"sourceType":"EXPRESSION","source":"obj.y","destination":"person.last"}`, `,"strictMapping":true`, "3016 /mappings/1/source"},
		{"V11", id + `,{"source":"n","destination":"lines[*].sku"},{"sourceType":"STATIC","source":"x","destination":"tags[*]"}`, "", "3017 /mappings/1/destination\n3017 /mappings/2/destination"},
		{"V13", `{"source":"id","destination":"_id","primaryIdentity":true},{"source":"n","destination":"age","primaryIdentity":true}`, "", "3018 /mappings/1/primaryIdentity"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			set := parseSet(t, `{"mappings":[`+c.mappings+`]`+c.set+`}`)
			var got []string
			for _, f := range set.Validate(target, input) {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(f.Code, "MAPPER-"), "-400")+" "+f.Pointer)
			}
			if d := cmp.Diff(c.want, strings.Join(got, "\n")); d != "" {
				t.Errorf("findings (-want +got):\n%s\n%v", d, set.Validate(target, input))
			}
		})
	}
	set := parseSet(t, `{"xdmSchema":"https://ns/gone","mappings":[`+id+`]}`)
	if got := set.Validate(nil, nil); len(got) != 1 || got[0].Code != CodeNoTarget {
		t.Errorf("without a schema: %v", got)
	}
}

func TestReviewWarnings(t *testing.T) {
	input := schemaOf(t, []byte(`{"properties":{"total":{"type":"number"},"date":{"type":"string"}}}`))
	set := parseSet(t, `{"mappings":[{"source":"upper(x)","destination":"_id"},{"source":"totl","destination":"age"},{"sourceType":"EXPRESSION","source":"concat(date, 7 / x)","destination":"person.last"},{"sourceType":"EXPRESSION","source":"{k: 1}","destination":"more"}]}`)
	var got []string
	for _, w := range set.Review(schemaOf(t, []byte(personSchema)), input).Warnings {
		got = append(got, w.Message)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"looks like an expression", "no field totl in the input schema, did you mean total?", "date is the name of a function", "the key k is the value of a field"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in:\n%s", want, all)
		}
	}
}

// Messages of failed columns have the fragments that clients cut out with regular expressions (data-prep §6.3).
func TestDescriptions(t *testing.T) {
	set := parseSet(t, `{"mappings":[{"source":"Quantity","destination":"age"},{"sourceType":"EXPRESSION","source":"to_integer(x)","destination":"_id"}]}`)
	tr, err := NewTransformer(set, schemaOf(t, []byte(personSchema)), weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	rec, _ := record.Parse([]byte(`{"Quantity":"ten","x":"y"}`))
	r := tr.Transform(rec, NewEnv("", time.Now()))
	if len(r.Warnings) != 2 || len(r.Reject) != 1 || r.Reject[0].Code != CodeTransform || r.Reject[0].Path != "_id" {
		t.Fatalf("got %+v", r)
	}
	want := "Could not map the value at destination path age. expected data type was: INTEGER, actual data type was: STRING. 'ten' is no integer. sourceField: Quantity destinationField: age"
	if got := r.Warnings[0].Description(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, re := range []string{`destination path ([^ ]+)\. `, `expected data type was: ([A-Z]+), `, `actual data type was: ([A-Z]+)\. `, `sourceField: (.+) destinationField: (.+)$`} {
		for i := range r.Warnings {
			if !regexp.MustCompile(re).MatchString(r.Warnings[i].Description()) {
				t.Errorf("%s does not match %s", re, r.Warnings[i].Description())
			}
		}
	}
	if w := r.Warnings[1]; w.Kind != KindArgument || w.Line != 1 || w.Column != 1 {
		t.Errorf("the failed expression is reported as %+v", w)
	}
}

func TestConstraints(t *testing.T) {
	n, low := 3, 1.0
	target := &record.Schema{Fields: []record.Field{
		{Name: "c", Type: record.String, Check: &record.Check{Enum: []string{"a", "b"}}},
		{Name: "m", Type: record.String, Check: &record.Check{Format: "email"}},
		{Name: "l", Type: record.List, Elem: &record.Field{Type: record.String, Check: &record.Check{MaxLength: &n, Pattern: regexp.MustCompile("^x")}}},
		{Name: "n", Type: record.Long, Check: &record.Check{Minimum: &low}},
	}}
	set := parseSet(t, `{"mappings":[{"source":"c","destination":"c"},{"source":"m","destination":"m"},{"source":"l","destination":"l"},{"source":"n","destination":"n"}]}`)
	tr, err := NewTransformer(set, target, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"c":"a","m":"a@b.c","l":["x","xé1"],"n":1}`: "",
		`{"c":"z"}`: "c", `{"m":"no"}`: "m", `{"l":["x","xxxx","y"]}`: "l[1] l[2]", `{"n":0}`: "n",
	} {
		rec, _ := record.Parse([]byte(in))
		var got []string
		for _, e := range tr.Transform(rec, NewEnv("", time.Now())).Reject {
			if e.Code != CodeConstraint {
				t.Errorf("%s: %+v", in, e)
			}
			got = append(got, e.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: rejected for %v, want %s", in, got, want)
		}
	}
}

// A wrapped record answers to unwrapped paths (flow-service §6.6).
func TestWrapper(t *testing.T) {
	set := parseSet(t, `{"mappings":[{"source":"merge_fields.FNAME","destination":"a"},{"source":"member.id","destination":"b"},{"sourceType":"EXPRESSION","source":"upper(id)","destination":"c"},{"sourceType":"EXPRESSION","source":"contains_key('merge_fields.FNAME')","destination":"d"},{"source":"total","destination":"e"}]}`)
	tr, err := NewTransformer(set, nil, weir.Shape{Wrapper: "member"})
	if err != nil {
		t.Fatal(err)
	}
	rec, _ := record.Parse([]byte(`{"member":{"id":"x1","total":1,"merge_fields":{"FNAME":"Ann"}},"total":2}`))
	same(t, tr.Transform(rec, NewEnv("", time.Now())).Data, []byte(`{"a":"Ann","b":"x1","c":"X1","d":true,"e":2}`))
}

// Ids are the same when a record is replayed, and differ between records and call sites.
func TestUUIDs(t *testing.T) {
	set := parseSet(t, `{"mappings":[{"sourceType":"EXPRESSION","source":"uuid()","destination":"a"},{"sourceType":"EXPRESSION","source":"uuid()","destination":"b"},{"sourceType":"EXPRESSION","source":"transformArray(1..3, x -> guid())","destination":"c"}]}`)
	tr, err := NewTransformer(set, nil, weir.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(run string, position int64) string {
		env := NewEnv(run, time.Now())
		env.Next(position)
		return tr.Transform(record.Null(), env).Data.String()
	}
	if first, again := ids("run", 7), ids("run", 7); first != again {
		t.Error("a replay gives other ids")
	}
	seen := map[string]bool{}
	for _, s := range []string{ids("run", 7), ids("run", 8), ids("other", 7)} {
		for _, id := range regexp.MustCompile(`[0-9a-f-]{36}`).FindAllString(s, -1) {
			if seen[id] {
				t.Errorf("%s comes twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 15 {
		t.Errorf("%d ids, want 15", len(seen))
	}
}

func TestErrorPlace(t *testing.T) {
	_, err := Compile("concat(a,\n\tuper(b))", Options{})
	var e *Error
	if !errors.As(err, &e) || e.Error() != "unknown function uper, did you mean upper? (2:2)" || e.Snippet() != "\tuper(b))\n\t^" {
		t.Errorf("got %v, %q", err, e.Snippet())
	}
}

func TestAttributes(t *testing.T) {
	for _, c := range [][2]string{
		{"upper(trim(code))", "[code]"},
		{"a.b[0].c + ${x y}.z + a.b[0].c + items[*].id", "[a.b[0].c x y.z items[*].id]"},
		{"filterArray(rows, r -> r.q > limits.low)", "[rows limits.low]"},
		{"o[*].l[*].s", "[o[*].l[*].s]"},
		{"m[k].x + n['k']", "[m k n.k]"},
		{`address.street\.name`, `[address.street\.name]`},
		{"1 + 2", "[]"},
	} {
		expr, want := c[0], c[1]
		e, err := Compile(expr, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.Attributes()); got != want {
			t.Errorf("%s reads %s, want %s", expr, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	target := schemaOf(t, []byte(`{"properties":{"_id":{"type":"string"},"person":{"type":"object","properties":{"birthDate":{"type":"string","format":"date"},"name":{"type":"object","properties":{"firstName":{"type":"string"},"lastName":{"type":"string"}}}}},
	 "personalEmail":{"type":"object","properties":{"address":{"type":"string"}}},"homeAddress":{"type":"object","properties":{"postalCode":{"type":"string"},"countryCode":{"type":"string"},"city":{"type":"string"}}},
	 "orders":{"type":"array","items":{"type":"object","properties":{"quantity":{"type":"integer"},"sku":{"type":"string"}}}}},"required":["_id"]}`))
	rec, _ := record.Parse([]byte(`{"id":"7","fname":"Ann","LastName":"Byron","e-mail":"a@b.example","dob":"1990-02-03","zip":"02139","country":"US","orders":[{"sku":"x","qty":1}],"colour":"red"}`))
	got := map[string]string{}
	for _, s := range Suggest(SuggestInput{Records: []record.Value{rec}, Target: target, History: map[string]string{"colour": "homeAddress.city"}}) {
		got[s.Source] = s.Destination
		if (s.Score > 0) != (s.Destination != "") || s.Score > 1 {
			t.Errorf("%+v", s)
		}
	}
	want := map[string]string{
		"id": "_id", "fname": "person.name.firstName", "LastName": "person.name.lastName", "e-mail": "personalEmail.address", "dob": "person.birthDate",
		"zip": "homeAddress.postalCode", "country": "homeAddress.countryCode", "orders[*].sku": "orders[*].sku", "orders[*].qty": "orders[*].quantity", "colour": "homeAddress.city",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("suggestions (-want +got):\n%s", d)
	}
}

func TestInferSchema(t *testing.T) {
	a, _ := record.Parse([]byte(`{"b":1,"a":[{"x":null}],"n":null}`))
	b, _ := record.Parse([]byte(`{"b":1.5,"a":[{"x":"t"}],"c":true}`))
	want := `{"type":"object","properties":{"b":{"type":"number"},"a":{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}},"n":{},"c":{"type":"boolean"}}}`
	if got := string(InferSchema([]record.Value{a, b})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
