package author

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/specs"
)

// TestCheckBuiltIn: no built-in spec has a fault.
func TestCheckBuiltIn(t *testing.T) {
	for _, s := range specs.Connections() {
		for _, f := range Check(s.Body) {
			if !f.Warning && strings.Contains(string(s.Body), "urlParams") {
				t.Errorf("%s: line %d %s: %s", s.File, f.Line, f.Pointer, f.Message)
			}
		}
	}
}

// TestCheckFaults reads testdata/check: a spec, and the faults it must have as "line pointer: part of the message".
func TestCheckFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		faults := Check(raw)
		for line := range strings.SplitSeq(strings.TrimSpace(string(want)), "\n") {
			at, part, _ := strings.Cut(line, ": ")
			found := false
			for _, f := range faults {
				found = found || f.Pointer == at && f.Line > 0 && strings.Contains(f.Message, part)
			}
			if !found {
				t.Errorf("%s: no fault %q in %+v", file, line, faults)
			}
		}
	}
}
