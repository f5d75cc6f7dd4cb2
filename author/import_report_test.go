package author

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Manifests that are converted fully, and with losses.
const (
	wantFull  = 49
	wantLossy = 2
)

// TestManifestTable compares which manifests are converted fully, and every loss of the others, with a table.
func TestManifestTable(t *testing.T) {
	files, err := filepath.Glob("testdata/airbyte/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	full, lossy := 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ImportAirbyte(raw)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(got.Losses) == 0 {
			full++
			fmt.Fprintf(&b, "%s: full\n", filepath.Base(file))
			continue
		}
		lossy++
		fmt.Fprintf(&b, "%s: %d losses\n", filepath.Base(file), len(got.Losses))
		for _, l := range got.Losses {
			if l.Line <= 0 || l.Pointer == "" {
				t.Errorf("%s: a loss without its place: %s", file, l)
			}
			fmt.Fprintf(&b, "  %d %s %s\n", l.Line, l.Pointer, l.Construct)
		}
	}
	golden(t, "testdata/airbyte/table.golden", b.String())
	if full != wantFull || lossy != wantLossy {
		t.Errorf("%d manifests are converted fully and %d with losses, want %d and %d", full, lossy, wantFull, wantLossy)
	}
}

const (
	strangeName  = "zz_unknown"
	strangeValue = "zz-value"
)

// TestEveryMemberIsReported: a member that nobody knows, put into any object of any manifest, is in the spec, or is
// reported at its place or with something around it.
func TestEveryMemberIsReported(t *testing.T) {
	files, err := filepath.Glob("testdata/airbyte/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		eachObject(doc.Content[0], "", func(o *yaml.Node, at string) {
			old := o.Content
			o.Content = append(append([]*yaml.Node{}, old...), &yaml.Node{Kind: yaml.ScalarNode, Value: strangeName}, &yaml.Node{Kind: yaml.ScalarNode, Value: strangeValue})
			changed, err := yaml.Marshal(&doc)
			o.Content = old
			if err != nil {
				t.Fatal(err)
			}
			tried++
			a, err := readAirbyte(changed)
			if err != nil {
				t.Errorf("%s %s: %v", file, at, err)
				return
			}
			if !reported(a, at+"/"+strangeName) {
				t.Errorf("%s: an unknown member in %q is not reported", file, at)
			}
		})
	}
	if tried < 1000 {
		t.Errorf("%d objects", tried)
	}
}

func eachObject(n *yaml.Node, at string, fn func(*yaml.Node, string)) {
	switch n.Kind {
	case yaml.MappingNode:
		fn(n, at)
		for i := 0; i+1 < len(n.Content); i += 2 {
			eachObject(n.Content[i+1], at+"/"+escapePointer(n.Content[i].Value), fn)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			eachObject(c, fmt.Sprintf("%s/%d", at, i), fn)
		}
	}
}

func reported(a *airbyte, pointer string) bool {
	if spec := string(indent(a.d.spec())); strings.Contains(spec, strangeName) || strings.Contains(spec, strangeValue) {
		return true
	}
	for _, list := range [][]Loss{a.l.list, a.l.notes} {
		for _, l := range list {
			if l.Pointer == pointer || l.Whole && strings.HasPrefix(pointer, l.Pointer+"/") {
				return true
			}
		}
	}
	return false
}
