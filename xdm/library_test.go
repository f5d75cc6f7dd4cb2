package xdm

import (
	"slices"
	"strings"
	"testing"
)

// TestLibrary composes every component of the library and checks what holds for all of them.
func TestLibrary(t *testing.T) {
	counts := map[string]int{}
	for _, d := range library().order {
		kind := d.tree["meta:resourceType"].(string)
		counts[kind]++
		f, err := Compose(encode(d.tree), nil, nil)
		if err != nil {
			t.Errorf("%s: %v", d.id, err)
			continue
		}
		if f.Cycle != "" {
			t.Errorf("%s: cycle through %s", d.id, f.Cycle)
		}
		if _, err := Columns(f); err != nil {
			t.Errorf("%s: %v", d.id, err)
		}
		text := string(f.JSON(Variant{}))
		if strings.Contains(text, `"$ref"`) || strings.Contains(text, `"allOf"`) {
			t.Errorf("%s: the full form keeps references", d.id)
		}
		if !d.hidden && (f.Title == "" || d.tree["description"] == "") {
			t.Errorf("%s: no title or description", d.id)
		}
		for _, name := range names(f.root) {
			if strings.ContainsAny(name, ":@ ") {
				t.Errorf("%s: field %q", d.id, name)
			}
		}
		if kind == FieldGroups {
			fits, _ := d.tree["meta:intendedToExtend"].([]any)
			for _, c := range fits {
				class := library().byID[c.(string)]
				if class == nil || class.tree["meta:resourceType"] != Classes {
					t.Errorf("%s fits %v, which is no class", d.id, c)
				}
			}
		}
	}
	if counts[Behaviors] != 3 {
		t.Errorf("%d behaviours, want 3", counts[Behaviors])
	}
	for kind, n := range map[string]int{Classes: 13, FieldGroups: 40, DataTypes: 15} {
		if counts[kind] < n {
			t.Errorf("%d %s, want %d at least", counts[kind], kind, n)
		}
	}
}

func names(n *node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for name, p := range n.props {
		out = append(append(out, name), names(p)...)
	}
	return append(append(out, names(n.items)...), names(n.values)...)
}

func TestNotationFaults(t *testing.T) {
	for text, want := range map[string]string{
		"widget a/b \"B\"":                    "x:1: expected a component",
		"type a/b \"B\"\n  f nope":            "x:2: unknown word \"nope\"",
		"type a/b \"B\"\n  @what":             "x:2: unknown directive @what",
		"type a/b \"B\"\n  f\n      too deep": "x:3: indented too far",
	} {
		if _, err := parseNotation("x", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"xdm:foo": "foo", "@id": "_id", "@type": "_type", "repo:createDate": "_repo/createDate", "schema:latitude": "_schema/latitude", "dc:language": "_dc/language",
		"https://ns.adobe.com/experience/mcid":             "_experience/mcid",
		"https://ns.adobe.com/experience/analytics/event1": "_experience/analytics/event1",
		"https://ns.adobe.com/xdm/channels/direct-mail":    "_channels/directMail",
		"plain": "plain", "_acmelab": "_acmelab",
	} {
		if got := strings.Join(served(name), "/"); got != want {
			t.Errorf("served(%q) = %s, want %s", name, got, want)
		}
	}
	// the library's own names agree with the rule
	for _, d := range library().order {
		var walk func(n *node, path []string)
		walk = func(n *node, path []string) {
			if n == nil {
				return
			}
			if orig := n.text("meta:xdmField"); orig != "" {
				got := strings.Join(served(orig), "/")
				if want := strings.Join(path[len(path)-len(served(orig)):], "/"); got != want {
					t.Errorf("%s: %s is served as %s, found at %s", d.id, orig, got, want)
				}
			}
			for name, p := range n.props {
				walk(p, append(slices.Clip(path), name))
			}
			walk(n.items, path)
			walk(n.values, path)
		}
		f, err := Compose(encode(d.tree), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		walk(f.root, nil)
	}
	for name, want := range map[string]string{"firstName": "First name", "accountURL": "Account URL", "SKU": "SKU", "URLPath": "URL path", "_id": "Id", "dmaID": "Dma ID", "direct-mail": "Direct mail"} {
		if got := words(name); got != want {
			t.Errorf("words(%q) = %q, want %q", name, got, want)
		}
	}
	if got := AltID("http://schema.org/GeoShape"); got != "_schema.org.GeoShape" {
		t.Error(got)
	}
}
