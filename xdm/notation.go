package xdm

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// A notation file is a list of components, each a header line followed by indented lines (library/README.md). parseNotation expands
// it into full JSON Schema documents.
func parseNotation(file, text string) ([]*document, error) {
	p := &notation{file: file}
	for i, line := range strings.Split(text, "\n") {
		body := strings.TrimLeft(line, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		p.lines = append(p.lines, notationLine{no: i + 1, depth: (len(line) - len(body)) / 2, text: body})
	}
	var docs []*document
	for p.at < len(p.lines) {
		d, err := p.component()
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

type notation struct {
	file  string
	lines []notationLine
	at    int
}

type notationLine struct {
	no, depth int
	text      string
}

func (p *notation) fault(l notationLine, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, l.no, fmt.Sprintf(format, args...))
}

// resourceTypes are the kinds of the notation as meta:resourceType.
var resourceTypes = map[string]string{
	"behavior": Behaviors, "class": Classes, "group": FieldGroups, "type": DataTypes, "common": DataTypes,
}

func (p *notation) component() (*document, error) {
	l := p.lines[p.at]
	p.at++
	kind, rest, _ := strings.Cut(l.text, " ")
	resourceType, ok := resourceTypes[kind]
	if !ok || l.depth != 0 {
		return nil, p.fault(l, "expected a component, found %q", l.text)
	}
	rest, about := cutAbout(rest)
	id, title, _ := strings.Cut(rest, " ")
	id = libraryID(id)
	d := &document{id: id, hidden: kind == "common", tree: map[string]any{
		"$id": id, "$schema": "http://json-schema.org/draft-06/schema#", "meta:altId": AltID(id), "meta:resourceType": resourceType,
		"title": strings.Trim(title, ` "`), "description": about, "type": "object", "version": "1.0", "meta:xdmType": "object",
		"meta:extensible": true, "meta:abstract": true, "meta:status": "stable", "meta:containerId": "global",
	}}
	b := &componentBuilder{p: p, d: d, name: id[strings.LastIndexByte(id, '/')+1:], defs: map[string]any{}, fields: newFields(), fits: []any{}}
	for p.at < len(p.lines) && p.lines[p.at].depth > 0 {
		if err := b.line(); err != nil {
			return nil, err
		}
	}
	b.finish(resourceType)
	return d, nil
}

type componentBuilder struct {
	p              *notation
	d              *document
	name           string
	defs           map[string]any
	fields         *fieldSet
	extends, with  []any
	fits, required []any
}

func (b *componentBuilder) line() error {
	l := b.p.lines[b.p.at]
	if l.depth != 1 || l.text[0] != '@' {
		return b.p.members(b.fields, 1)
	}
	b.p.at++
	words := strings.Fields(l.text)
	ids := func() (out []any) {
		for _, w := range words[1:] {
			out = append(out, libraryID(w))
		}
		return out
	}
	switch words[0] {
	case "@extends":
		b.extends = ids()
	case "@with":
		b.with = ids()
	case "@fits":
		b.fits = ids()
	case "@required":
		for _, w := range words[1:] {
			b.required = append(b.required, w)
		}
	case "@status":
		b.d.tree["meta:status"] = words[1]
	case "@closed":
		b.d.tree["meta:extensible"] = false
	case "@def":
		fs := newFields()
		if err := b.p.members(fs, 2); err != nil {
			return err
		}
		b.defs[words[1]] = fs.object(map[string]any{"type": "object"})
	default:
		return b.p.fault(l, "unknown directive %s", words[0])
	}
	return nil
}

func (b *componentBuilder) finish(resourceType string) {
	all := []any{}
	for _, id := range append(b.extends, b.with...) {
		all = append(all, map[string]any{"$ref": id})
	}
	if len(b.fields.props) > 0 {
		b.defs[b.name] = b.fields.object(map[string]any{})
		all = append(all, map[string]any{"$ref": "#/definitions/" + b.name})
	}
	t := b.d.tree
	if b.d.hidden {
		b.defs["@context"] = map[string]any{"oneOf": []any{map[string]any{"patternProperties": map[string]any{".*": map[string]any{}}}}}
	}
	if len(b.defs) > 0 {
		t["definitions"] = b.defs
	}
	if len(all) > 0 {
		t["allOf"] = all
	}
	if len(b.required) > 0 {
		t["required"] = b.required
	}
	switch resourceType {
	case Classes:
		t["meta:extends"] = b.extends
	case FieldGroups:
		t["meta:intendedToExtend"] = b.fits
	case Behaviors:
		t["meta:extends"] = []any{}
	}
}

// fieldSet collects the members of one object.
type fieldSet struct {
	props    map[string]any
	required []any
}

func newFields() *fieldSet { return &fieldSet{props: map[string]any{}} }

func (f *fieldSet) object(into map[string]any) map[string]any {
	into["properties"] = f.props
	if len(f.required) > 0 {
		into["required"] = f.required
	}
	return into
}

// put adds a field under a served path; a dotted path makes the converted group.
func (f *fieldSet) put(path []string, required bool, node map[string]any) {
	node["meta:xdmField"] = original(path)
	if len(path) == 1 {
		f.props[path[0]] = node
		if required {
			f.required = append(f.required, path[0])
		}
		return
	}
	group, ok := f.props[path[0]].(map[string]any)
	if !ok {
		group = map[string]any{"type": "object", "meta:xedConverted": true, "properties": map[string]any{}}
		f.props[path[0]] = group
	}
	group["properties"].(map[string]any)[path[1]] = node
}

// members reads the lines of one depth into fs.
func (p *notation) members(fs *fieldSet, depth int) error {
	for p.at < len(p.lines) && p.lines[p.at].depth == depth && p.lines[p.at].text[0] != '@' {
		l := p.lines[p.at]
		p.at++
		spec, err := p.spec(l)
		if err != nil {
			return err
		}
		var inner *fieldSet
		if p.at < len(p.lines) && p.lines[p.at].depth > depth {
			inner = newFields()
			if err := p.members(inner, depth+1); err != nil {
				return err
			}
		}
		for _, n := range spec.names {
			fs.put(n.path, n.required, spec.build(n, inner))
		}
	}
	if p.at < len(p.lines) && p.lines[p.at].depth > depth {
		return p.fault(p.lines[p.at], "indented too far")
	}
	return nil
}

type fieldName struct {
	path     []string
	wraps    string // suffixes from the outside in: 'm' map, 'l' list
	required bool
}

type fieldSpec struct {
	names        []fieldName
	core         map[string]any
	title, about string
	deprecated   bool
}

// build makes the JSON Schema of one named field. Constant parts are shared, they are never changed afterwards.
func (s *fieldSpec) build(n fieldName, inner *fieldSet) map[string]any {
	node := maps.Clone(s.core)
	if inner != nil {
		node = inner.object(map[string]any{"type": "object"})
	} else if _, ref := node["$ref"]; !ref && node["type"] == nil {
		node["type"] = "string"
	}
	for i := len(n.wraps) - 1; i >= 0; i-- {
		if n.wraps[i] == 'l' {
			node = map[string]any{"type": "array", "items": node}
		} else {
			node = map[string]any{"type": "object", "meta:xdmType": "map", "additionalProperties": node}
		}
	}
	node["title"] = s.title
	if s.title == "" {
		node["title"] = words(n.path[len(n.path)-1])
	}
	if s.about != "" {
		node["description"] = s.about
	}
	if s.deprecated {
		node["meta:status"] = "deprecated"
	}
	return node
}

func parseFieldName(s string) fieldName {
	var n fieldName
	for {
		switch {
		case strings.HasSuffix(s, "*"):
			n.required, s = true, s[:len(s)-1]
		case strings.HasSuffix(s, "[]"):
			n.wraps, s = "l"+n.wraps, s[:len(s)-2]
		case strings.HasSuffix(s, "{}"):
			n.wraps, s = "m"+n.wraps, s[:len(s)-2]
		default:
			n.path = strings.SplitN(s, ".", 2)
			return n
		}
	}
}

// coreTypes are the type words of the notation.
var coreTypes = map[string]map[string]any{
	"str": {"type": "string"}, "num": {"type": "number"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
	"date": {"type": "string", "format": "date"}, "dt": {"type": "string", "format": "date-time"},
	"uri": {"type": "string", "format": "uri"}, "uriref": {"type": "string", "format": "uri-reference"},
	"email": {"type": "string", "format": "email"}, "ipv4": {"type": "string", "format": "ipv4"}, "ipv6": {"type": "string", "format": "ipv6"},
	"short": {"type": "integer", "minimum": json.Number("-32768"), "maximum": json.Number("32767")},
	"long":  {"type": "integer", "minimum": json.Number("-9007199254740991"), "maximum": json.Number("9007199254740991")},
}

func (p *notation) spec(l notationLine) (*fieldSpec, error) {
	text, about := cutAbout(l.text)
	s := &fieldSpec{core: map[string]any{}, about: about}
	if i := strings.IndexByte(text, '"'); i >= 0 {
		s.title, text = strings.Trim(text[i:], ` "`), text[:i]
	}
	tokens := strings.Fields(text)
	for n := range strings.SplitSeq(tokens[0], ",") {
		s.names = append(s.names, parseFieldName(n))
	}
	for _, tok := range tokens[1:] {
		if core, ok := coreTypes[tok]; ok {
			maps.Copy(s.core, core)
			continue
		}
		if err := s.constraint(tok); err != nil {
			return nil, p.fault(l, "%v", err)
		}
	}
	return s, nil
}

func (s *fieldSpec) constraint(tok string) error {
	switch {
	case strings.HasPrefix(tok, "->#"):
		s.core["$ref"] = "#/definitions/" + tok[3:]
	case strings.HasPrefix(tok, "->"):
		s.core["$ref"] = libraryID(tok[2:])
	case strings.HasPrefix(tok, "E{"), strings.HasPrefix(tok, "S{"):
		s.values(strings.Split(strings.TrimSuffix(tok[2:], "}"), ","), tok[0] == 'E')
	case tok[0] == '/':
		s.core["pattern"] = strings.TrimSuffix(tok[1:], "/")
	case tok[0] == '=':
		s.core["default"] = tok[1:]
		if s.core["type"] == "boolean" {
			s.core["default"] = tok[1:] == "true"
		}
	case strings.HasPrefix(tok, "min:"):
		s.core["minimum"] = json.Number(tok[4:])
	case strings.HasPrefix(tok, "max:"):
		s.core["maximum"] = json.Number(tok[4:])
	case strings.HasPrefix(tok, "xmin:"):
		s.core["exclusiveMinimum"] = json.Number(tok[5:])
	case strings.HasPrefix(tok, "len:"):
		lo, hi, _ := strings.Cut(tok[4:], "-")
		if lo != "" {
			s.core["minLength"] = json.Number(lo)
		}
		if hi != "" {
			s.core["maxLength"] = json.Number(hi)
		}
	case tok == "!deprecated":
		s.deprecated = true
	default:
		return fmt.Errorf("unknown word %q", tok)
	}
	return nil
}

// values sets the suggestions, and the enumeration if it is a hard one.
func (s *fieldSpec) values(values []string, hard bool) {
	labels := map[string]any{}
	enum := make([]any, len(values))
	for i, v := range values {
		enum[i] = v
		labels[v] = words(v[strings.LastIndexByte(v, '/')+1:])
	}
	s.core["meta:enum"] = labels
	if hard {
		s.core["enum"] = enum
	}
}

func cutAbout(s string) (text, about string) {
	text, about, _ = strings.Cut(s, " ~ ")
	return strings.TrimSpace(text), strings.TrimSpace(about)
}

func libraryID(id string) string {
	if strings.Contains(id, "://") {
		return id
	}
	return libraryBase + id
}
