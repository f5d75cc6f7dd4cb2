package author

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of the importers")

func importers() map[string]func([]byte) (*Import, error) {
	return map[string]func([]byte) (*Import, error){
		".yaml": ImportAirbyte, ".curl": ImportCurl, ".postman": ImportPostman,
		".openapi": func(b []byte) (*Import, error) { return ImportOpenAPI(b, OpenAPIOptions{}) },
	}
}

// TestImports compares every import with its golden spec and loss report, and proves each spec that it can.
func TestImports(t *testing.T) {
	for ext, read := range importers() {
		files, err := filepath.Glob("testdata/*/*" + ext)
		if err != nil || len(files) == 0 {
			t.Fatal("no test data for", ext, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(raw)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			var b strings.Builder
			b.Write(got.Spec)
			for _, l := range got.Losses {
				b.WriteString("// " + l.String() + "\n")
			}
			for _, l := range got.Notes {
				b.WriteString("// note: " + l.String() + "\n")
			}
			golden(t, file+".golden", b.String())
			for _, f := range Check(got.Spec) {
				if !f.Warning {
					t.Errorf("%s: %s: %s", file, f.Pointer, f.Message)
				}
			}
			proofs, err := Prove(t.Context(), got.Spec, ProveOptions{Only: []string{"plain", "windows meet", "wrong credentials", "truncated bodies"}})
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, p := range proofs {
				for _, r := range p.Results {
					if r.Outcome == Failed {
						t.Errorf("%s: %s %s: %s", file, p.Stream, r.Situation, r.Note)
					}
				}
			}
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // test data
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: (-want +got)\n%s", file, d)
	}
}

func FuzzImports(f *testing.F) {
	for ext := range importers() {
		files, _ := filepath.Glob("testdata/*/*" + ext)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for ext, read := range importers() {
			got, err := read(raw)
			if err == nil && len(got.Spec) == 0 {
				t.Errorf("%s: neither a spec nor an error", ext)
			}
		}
	})
}

func FuzzJinja(f *testing.F) {
	for _, s := range []string{"{{ config['a'] }}", "{{ a.b if not c else 'x' | default(1) }}", "{{ x.get('y', 1) }} {{", "{{ 'a}}b' }}"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		if tpl, err := parseTemplate(s); err == nil {
			for _, e := range tpl.exprs {
				env := &celEnv{roots: pageRoots, content: []string{"data"}}
				_, _ = env.cel(e)
				_, _ = env.truth(e)
			}
		}
	})
}
