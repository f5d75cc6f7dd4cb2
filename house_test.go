package weir_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// floors is the house: a package imports lower floors only, never its own (docs/ARCHITECTURE.md §2). A new package is a new line here.
var floors = map[string]int{
	"weir":                     0,
	"weir/record":              0,
	"weir/blob":                0,
	"weir/specs":               0,
	"weir/internal/fakesource": 0,
	"weir/internal/pgtest":     0,
	"weir/internal/setfamily":  0,
	"weir/mapping":             1,
	"weir/xdm":                 1,
	"weir/lake":                1,
	"weir/store":               1,
	"weir/source/rest":         1,
	"weir/client":              1,
	"weir/ingest":              2,
	"weir/author":              2,
	"weir/flow":                3,
	"weir/api":                 4,
	"weir/cmd/weir":            5,
	"weir/bench":               5,
}

// cellar lists imports allowed inside floor 0: the root package and record are below the rest of it.
var cellar = map[string]bool{"weir": true, "weir/record": true}

func TestFloors(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".cache", "testdata", "node_modules", "bin", "docs", "third_party":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := "weir"
		if dir := filepath.ToSlash(filepath.Dir(path)); dir != "." {
			pkg += "/" + dir
		}
		floor, ok := floors[pkg]
		if !ok {
			t.Errorf("%s: package %s has no floor; a new package is a decision, add it to floors", path, pkg)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			to := strings.Trim(im.Path.Value, `"`)
			below, ours := floors[to]
			if !ours {
				if strings.HasPrefix(to, "weir/") {
					t.Errorf("%s imports %s, which has no floor", path, to)
				}
				continue
			}
			if below >= floor && (floor != 0 || !cellar[to]) {
				t.Errorf("%s (floor %d) imports %s (floor %d): only lower floors", path, floor, to, below)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
