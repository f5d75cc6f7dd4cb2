package mapping

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/setfamily"
	"weir/record"
	"weir/xdm"
)

// familyTarget is the target schema of a case.
func familyTarget(tb testing.TB, c *setfamily.Case) *record.Schema {
	tb.Helper()
	s, err := xdm.FromJSONSchema(c.Schema)
	if err != nil {
		tb.Fatalf("%s: %v\n%s", c.Name, err, c.Schema)
	}
	return s
}

func familySet(tb testing.TB, c *setfamily.Case) *Set {
	tb.Helper()
	s, err := ParseSet(c.Set)
	if err != nil {
		tb.Fatalf("%s: %v", c.Name, err)
	}
	return s
}

func familyShape(c *setfamily.Case) weir.Shape {
	if c.Wrapped {
		return weir.Shape{Wrapper: setfamily.Wrapper}
	}
	return weir.Shape{}
}

func familyLines(c *setfamily.Case, from, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = string(setfamily.AppendRecord(nil, from+i, c.Wrapped))
	}
	return lines
}

// TestFamilyAgrees holds the program to the general evaluator over 200 mapping sets: the same rows, warnings and rejects.
func TestFamilyAgrees(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 8
	}
	cases := setfamily.Cases()
	if len(cases) != setfamily.Size {
		t.Fatalf("%d sets", len(cases))
	}
	for i := range cases {
		c := &cases[i]
		target := familyTarget(t, c)
		if _, err := NewProgram(familySet(t, c), target, familyShape(c)); err != nil {
			t.Fatalf("%s does not compile: %v", c.Name, err)
		}
		lines := familyLines(c, i*n, n)
		if i%10 == 3 {
			lines[n/2] = `{"id":` // a malformed one in between
		}
		agree(t, familySet(t, c), target, familyShape(c), lines)
		if t.Failed() {
			t.Fatalf("%s:\n%s", c.Name, c.Schema)
		}
	}
}

// TestFamilyIsWhole checks what the family promises: sizes, depth, and that every function, method and operator of the language is in it.
func TestFamilyIsWhole(t *testing.T) {
	functions, others := map[string]int{}, map[string]int{}
	var note func(n node)
	note = func(n node) {
		switch n := n.(type) {
		case *callNode:
			functions[n.name]++
		case *methodNode:
			others["."+n.name]++
		case *binaryNode:
			others[n.op]++
		case *unaryNode:
			others["unary "+n.op]++
		case *spreadNode:
			others["[*]"]++
		case *indexNode:
			others["[]"]++
		case *condNode:
			others["? :"]++
		case *lambdaNode:
			others["->"]++
		case *arrayNode:
			others["array"]++
		case *mapNode:
			others["map"]++
		}
		for _, k := range children(n) {
			note(k)
		}
	}
	least, most, deepest := 1<<30, 0, 0
	cases := setfamily.Cases()
	for i := range cases {
		c := &cases[i]
		least, most, deepest = min(least, c.Leaves), max(most, c.Leaves), max(deepest, c.Depth)
		for _, m := range familySet(t, c).Mappings {
			if m.SourceType != Expression {
				continue
			}
			root, _, err := parse(m.Source) // before constants are folded
			if err != nil {
				t.Fatalf("%s: %s: %v", c.Name, m.Source, err)
			}
			note(root)
		}
	}
	if least != 1 || most < 300 || deepest != 8 {
		t.Errorf("%d to %d leaves, %d levels", least, most, deepest)
	}
	if d := cmp.Diff(functionNames(), slices.Sorted(maps.Keys(functions))); d != "" {
		t.Errorf("functions (-language +family):\n%s", d)
	}
	for _, m := range methods {
		if others["."+m.name] == 0 {
			t.Errorf("method %s never comes up", m.name)
		}
	}
	for _, op := range slices.Concat(slices.Collect(maps.Keys(binaryOps)), []string{"&&", "||", "?:", "??", "[*]", "[]", "? :", "->", "array", "map"}) {
		if others[op] == 0 {
			t.Errorf("%s never comes up", op)
		}
	}
	for op := range unaryOps {
		if others["unary "+op] == 0 {
			t.Errorf("unary %s never comes up", op)
		}
	}
}
