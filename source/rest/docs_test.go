package rest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/specs"
)

// TestExtensionPage checks every example of the page, and that every member of the schema has one.
func TestExtensionPage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/rest-extension.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	blocks := regexp.MustCompile("(?s)```json( auth)?\n(.*?)\n```").FindAllStringSubmatch(string(raw), -1)
	if len(blocks) < 30 {
		t.Fatalf("%d examples", len(blocks))
	}
	for i, b := range blocks {
		all.WriteString(b[2])
		spec := `{"sourceSpec":{"attributes":{"urlParams":{"host":"h","path":"/x"},"contentPath":"$.a.b","weir":` + b[2] + `}}}`
		if b[1] != "" {
			spec = `{"authSpec":[{"name":"a","type":"SessionToken","attributes":{"weir":` + b[2] + `}}],"sourceSpec":{"attributes":{"urlParams":{"host":"h"}}}}`
		}
		if !json.Valid([]byte(spec)) {
			t.Errorf("example %d is not JSON: %s", i+1, b[2])
			continue
		}
		if f := CheckSpec(json.RawMessage(spec)); len(f) > 0 {
			t.Errorf("example %d: %v\n%s", i+1, f, b[2])
		}
	}
	var schema any
	if err := json.Unmarshal(specs.Extension(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range propertyNames(schema) {
		if !strings.Contains(all.String(), fmt.Sprintf("%q:", name)) {
			t.Errorf("no example of %s on the page", name)
		}
	}
}

func propertyNames(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		if props, ok := v["properties"].(map[string]any); ok {
			for name := range props {
				out = append(out, name)
			}
		}
		for _, child := range v {
			out = append(out, propertyNames(child)...)
		}
	case []any:
		for _, child := range v {
			out = append(out, propertyNames(child)...)
		}
	}
	return out
}

// TestCoverageNames: every test that the page names exists.
func TestCoverageNames(t *testing.T) {
	raw, err := os.ReadFile("../../docs/rest-extension.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(raw), "## Where each construct is tested")
	var tests strings.Builder
	var files []string
	for _, dir := range []string{".", "../../flow", "../../store", "../../api", "../../cmd/weir"} {
		found, err := filepath.Glob(dir + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(src)
	}
	n := 0
	for _, m := range regexp.MustCompile("`(Test[A-Za-z0-9]+|[a-z]+/[a-z0-9_]+)`").FindAllStringSubmatch(tables, -1) {
		n++
		if name := m[1]; strings.HasPrefix(name, "Test") {
			if !strings.Contains(tests.String(), "func "+name+"(") {
				t.Errorf("there is no test %s", name)
			}
		} else if _, err := os.Stat("testdata/" + name + ".txt"); err != nil && name != "source/rest" {
			t.Errorf("there is no script %s", name)
		}
	}
	if n < 80 {
		t.Errorf("%d names", n)
	}
}
