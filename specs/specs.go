// Package specs holds the built-in connection and flow specs as JSON files: data, not code. Their ids are the ones
// clients hard-code (contract flow-service §7.2); the bodies are written here from public API facts.
package specs

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
)

//go:embed connection/*.json flow/*.json
var files embed.FS

//go:embed weir-extension.schema.json
var extension []byte

// Extension is the JSON Schema of sourceSpec.attributes.weir, what specs may say beyond the vendor's attributes
// (docs/rest-extension.md).
func Extension() json.RawMessage { return append(json.RawMessage(nil), extension...) }

// Spec is one built-in spec document: its id and the body as stored (id included).
type Spec struct {
	ID   string
	Name string
	// File is the base name of its file without .json.
	File string
	Body json.RawMessage
}

// Connections lists the built-in connection specs, sorted by file name.
func Connections() []Spec { return read("connection") }

// Flows lists the built-in flow specs, sorted by file name.
func Flows() []Spec { return read("flow") }

// read panics on a broken file: it is part of the program, and a test reads them all.
func read(dir string) []Spec {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic(err)
	}
	out := make([]Spec, 0, len(entries))
	for _, e := range entries {
		raw, err := files.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			panic(err)
		}
		id, name, err := head(raw)
		if err != nil {
			panic(dir + "/" + e.Name() + ": " + err.Error())
		}
		out = append(out, Spec{ID: id, Name: name, File: e.Name()[:len(e.Name())-len(".json")], Body: raw})
	}
	return out
}

// head reads id and name, the first two members of a spec. It reads no further: every start lists every spec.
func head(raw []byte) (id, name string, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return "", "", err
	}
	for _, m := range []struct {
		name string
		to   *string
	}{{"id", &id}, {"name", &name}} {
		tok, err := d.Token()
		if err == nil && tok != m.name {
			err = fmt.Errorf("a spec starts with id and name, not %v", tok)
		}
		if err != nil {
			return "", "", err
		}
		if err := d.Decode(m.to); err != nil {
			return "", "", err
		}
	}
	return id, name, nil
}
