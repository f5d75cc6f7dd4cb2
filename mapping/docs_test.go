package mapping

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/mapping-functions.md anew")

// The reference page is what the literals say. go test ./mapping -run Reference -update writes it.
func TestReference(t *testing.T) {
	const page = "../docs/mapping-functions.md"
	if *update {
		if err := os.WriteFile(page, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Reference() {
		t.Errorf("%s is out of date; run go test ./mapping -run Reference -update", page)
	}
}

func TestFunctionDocs(t *testing.T) {
	docs := Functions()
	count := map[string]int{}
	for _, d := range docs {
		count[d.Function]++
		if d.Category == "" || d.Description == "" || d.Returns == "" || d.Example == "" || d.Result == "" || d.Since != 1 || !strings.Contains(d.ReturnType, "java.") {
			t.Errorf("%s is not documented: %+v", d.Function, d)
		}
		for i, p := range d.Params {
			if p.Name == "" || p.Description == "" || p.DataType == "" || p.Position != i {
				t.Errorf("%s: parameter %d is not documented: %+v", d.Function, i, p)
			}
		}
	}
	for name, n := range map[string]int{"date": 3, "instr": 3, "explode": 2, "upper": 1, "object_to_map": 3, "get_url_path": 2, "now": 1, "concat": 1} {
		if count[name] != n {
			t.Errorf("%s has %d overloads, want %d", name, count[name], n)
		}
	}
	if len(Operators()) != 21 {
		t.Errorf("%d operators, want 21", len(Operators()))
	}
	for _, o := range Operators() {
		if _, err := Compile(o.Example, Options{}); err != nil {
			t.Errorf("the example of %s does not compile: %v", o.Symbol, err)
		}
	}
}
