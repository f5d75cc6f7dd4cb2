package xdm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"weir"
)

func csvCase(title, class string) CSVSchema {
	n := 0
	return CSVSchema{Class: class, Title: title, Tenant: "acmelab", NewID: func(kind string) string {
		n++
		return fmt.Sprintf("https://ns.adobe.com/acmelab/%s/%d", kind, n)
	}}
}

// TestFromCSV runs testdata/csv: table.csv, then the resources in order (sections 0, 1, …: pointer lines) or the error. A table that is
// taken must also be importable: every resource passes its check.
func TestFromCSV(t *testing.T) {
	eachCase(t, "csv", func(t *testing.T, a archive) {
		t.Helper()
		title := "From a table"
		if _, has := a["title"]; has {
			title = strings.TrimSpace(a["title"])
		}
		class := Profile
		if c := strings.TrimSpace(a["class"]); c != "" {
			class = c
		}
		list, err := csvCase(title, class).FromCSV(strings.NewReader(a["table.csv"]))
		if !a.want(t, err) {
			return
		}
		known := map[string]json.RawMessage{}
		for i, raw := range list {
			if strings.Contains(string(raw), "acmelab") {
				t.Errorf("resource %d names the tenant: %s", i, raw)
			}
			if want, ok := a[fmt.Sprint(i)]; ok {
				expectPointers(t, raw, want)
			}
			local, err := Local(raw, "other")
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && strings.Contains(string(raw), `"@type"`) {
				continue
			}
			id := ID(local)
			stored, err := Prepare(Write{Type: KindOf(local), ID: id, Tenant: "other", Body: local, Resolve: func(id string) (json.RawMessage, bool) {
				raw, ok := known[id]
				return raw, ok
			}})
			if err != nil {
				t.Errorf("resource %d: %v\n%s", i, err, local)
			}
			known[id] = stored
		}
	})
}

func TestPortable(t *testing.T) {
	raw := `{"$id":"https://ns.adobe.com/acmelab/schemas/1","meta:altId":"_acmelab.schemas.1","meta:tenantNamespace":"_acmelab","n":1.50,
		"allOf":[{"$ref":"https://ns.adobe.com/acmelab/mixins/2#/definitions/a"},{"$ref":"https://ns.adobe.com/xdm/context/profile"}],
		"properties":{"_acmelab":{"title":"the acmelab fields"},"_acmelabor":{}},"xdm:sourceProperty":"/_acmelab/code"}`
	out, err := Portable(json.RawMessage(raw), "acmelab")
	if err != nil {
		t.Fatal(err)
	}
	expectPointers(t, out, `/$id = "https://ns.adobe.com/<XDM_TENANTID_PLACEHOLDER>/schemas/1"
/meta:altId = "_<XDM_TENANTID_PLACEHOLDER>.schemas.1"
/meta:tenantNamespace = "_<XDM_TENANTID_PLACEHOLDER>"
/n = 1.50
/properties/#keys = ["_<XDM_TENANTID_PLACEHOLDER>","_acmelabor"]
/properties/_<XDM_TENANTID_PLACEHOLDER>/title = "the acmelab fields"
/xdm:sourceProperty = "/_<XDM_TENANTID_PLACEHOLDER>/code"
/allOf = [{"$ref":"https://ns.adobe.com/<XDM_TENANTID_PLACEHOLDER>/mixins/2#/definitions/a"},{"$ref":"https://ns.adobe.com/xdm/context/profile"}]`)
	escaped := strings.ReplaceAll(string(out), "<", `\u003c`)
	back, err := Local(json.RawMessage(escaped), "acmelab")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := decodeObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if string(back) != string(encode(tree)) {
		t.Errorf("there and back: %s", back)
	}
}

func FuzzFromCSV(f *testing.F) {
	f.Add("fieldPath,dataType,isCustom\na.b,string,true\na,object,true")
	f.Add("fieldPath,fieldGroupId,properties,enum\nperson.name,https://ns.adobe.com/xdm/context/profile-person-details,,\n_x,,{},[1")
	f.Add("fieldPath,dataType,isCustom\n\"open")
	f.Fuzz(func(t *testing.T, table string) {
		list, err := csvCase("T", Profile).FromCSV(strings.NewReader(table))
		if err != nil && weir.CodeOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		for _, raw := range list {
			if !json.Valid(raw) {
				t.Fatalf("not JSON: %s", raw)
			}
		}
	})
}
