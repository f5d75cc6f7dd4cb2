package mapping

import (
	"errors"
	"testing"
	"time"

	"weir/record"
)

// Every example of every function is run: the examples are the reference page, the help in the UI and the answer of the language endpoint.
func TestFunctionExamples(t *testing.T) {
	for _, family := range families {
		for i := range family {
			f := &family[i]
			if f.doc == "" || f.category == "" || len(f.sigs) == 0 || len(f.examples) == 0 {
				t.Errorf("%s: documentation, category, signatures and examples are required", f.name)
			}
			if f.alias != "" && library[f.alias] == nil {
				t.Errorf("%s is an alias of %s, which does not exist", f.name, f.alias)
			}
			for _, x := range f.examples {
				t.Run(x.expr, func(t *testing.T) { runExample(t, x) })
			}
		}
	}
}

func runExample(t *testing.T, x example) {
	t.Helper()
	in := x.in
	if in == "" {
		in = "{}"
	}
	rec, err := record.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	var got record.Value
	e, err := Compile(x.expr, Options{})
	if err == nil {
		got, err = e.Eval(rec, NewEnv("run", time.Now()))
	}
	var bad *Error
	if errors.As(err, &bad) != (x.fails != "") || bad != nil && bad.Kind != x.fails {
		t.Fatalf("got %s, %v; want %s%s", got, err, x.want, x.fails)
	}
	if x.fails == "" && got.String() != x.want {
		t.Fatalf("got %s; want %s", got, x.want)
	}
}
