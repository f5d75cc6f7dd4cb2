package author

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// node is one value of a JSON or YAML document that remembers its line. A nil node is a value that is not there; all
// methods work on it.
type node struct {
	names  []string // of an object, in order
	values []*node  // of an object or a list
	kind   nodeKind
	scalar any // string, bool, json.Number or nil
	line   int
	at     string // JSON pointer

	read bool  // somebody asked for it
	deep bool  // and took everything in it
	used bool  // a reference led to it, or through it
	from *node // what it is a copy of
}

// mark notes that somebody asked for the value.
func (n *node) mark(deep bool) {
	for ; n != nil; n = n.from {
		n.read, n.deep = true, n.deep || deep
	}
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	objectNode
	listNode
)

// Bounds of a document.
const (
	maxDepth = 200
	maxNodes = 2_000_000
)

var errDeep = errors.New("the document is nested too deeply or too large")

// parseDocument reads JSON or YAML.
func parseDocument(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if text := bytes.TrimSpace(data); len(text) == 0 {
		return nil, errors.New("the document is empty")
	} else if text[0] == '{' || text[0] == '[' {
		n, err := parseJSON(data)
		if err == nil {
			return n, nil
		}
		if y, yerr := parseYAML(data); yerr == nil && y.kind != scalarNode { // YAML's flow form looks like JSON
			return y, nil
		}
		return nil, err
	}
	return parseYAML(data)
}

// parseJSON reads one JSON value with its lines.
func parseJSON(data []byte) (*node, error) {
	p := &jsonParser{data: data, d: json.NewDecoder(bytes.NewReader(data))}
	p.d.UseNumber()
	n, err := p.value("", 0)
	if err == nil {
		if _, err = p.d.Token(); errors.Is(err, io.EOF) {
			return n, nil
		}
		err = errors.New("more text follows the JSON value")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the JSON is cut off")
	}
	p.advance()
	return nil, fmt.Errorf("line %d: %w", p.line+1, err)
}

type jsonParser struct {
	data  []byte
	d     *json.Decoder
	seen  int // bytes counted
	line  int // line breaks among them
	count int
}

// advance counts the lines up to the last token.
func (p *jsonParser) advance() {
	to := min(int(p.d.InputOffset()), len(p.data))
	if to > p.seen {
		p.line += bytes.Count(p.data[p.seen:to], []byte{'\n'})
		p.seen = to
	}
}

func (p *jsonParser) value(at string, depth int) (*node, error) {
	t, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	p.advance()
	n := &node{line: p.line + 1, at: at}
	if p.count++; depth > maxDepth || p.count > maxNodes {
		return nil, errDeep
	}
	d, ok := t.(json.Delim)
	if !ok {
		n.scalar = t
		return n, nil
	}
	n.kind = listNode
	if d == '{' {
		n.kind = objectNode
	}
	for p.d.More() {
		name := strconv.Itoa(len(n.values))
		if n.kind == objectNode {
			t, err := p.d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = t.(string)
			n.names = append(n.names, name)
		}
		v, err := p.value(at+"/"+escapePointer(name), depth+1)
		if err != nil {
			return nil, err
		}
		n.values = append(n.values, v)
	}
	_, err = p.d.Token()
	return n, err
}

// parseYAML reads the first YAML document.
func parseYAML(data []byte) (*node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("the document is empty")
	}
	count := 0
	return fromYAML(doc.Content[0], "", 0, &count)
}

func fromYAML(y *yaml.Node, at string, depth int, count *int) (*node, error) {
	n := &node{line: y.Line, at: at}
	if *count++; depth > maxDepth || *count > maxNodes {
		return nil, errDeep
	}
	switch y.Kind {
	case yaml.AliasNode:
		return fromYAML(y.Alias, at, depth+1, count)
	case yaml.SequenceNode:
		n.kind = listNode
		for i, c := range y.Content {
			v, err := fromYAML(c, at+"/"+strconv.Itoa(i), depth+1, count)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
	case yaml.MappingNode:
		n.kind = objectNode
		return n, n.fillYAML(y, depth, count)
	default:
		n.scalar = yamlScalar(y)
	}
	return n, nil
}

// fillYAML reads the members of a mapping; << brings in those of others.
func (n *node) fillYAML(y *yaml.Node, depth int, count *int) error {
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		name := y.Content[i].Value
		v, err := fromYAML(y.Content[i+1], n.at+"/"+escapePointer(name), depth+1, count)
		if err != nil {
			return err
		}
		if y.Content[i].Tag == "!!merge" {
			if v.kind == listNode {
				merged = append(merged, v.values...)
			} else {
				merged = append(merged, v)
			}
			continue
		}
		n.set(name, v)
	}
	for _, m := range merged {
		for i, name := range m.names {
			if n.get(name) == nil {
				n.set(name, m.values[i])
			}
		}
	}
	return nil
}

func yamlScalar(y *yaml.Node) any {
	switch y.Tag {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if y.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if y.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
	case "!!float":
		var f float64
		if y.Decode(&f) == nil && f == f && f < 1e300 && f > -1e300 {
			return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
		}
	}
	return y.Value
}

func escapePointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// get is a member of an object.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	if i := slices.Index(n.names, name); i >= 0 {
		n.values[i].mark(false)
		return n.values[i]
	}
	return nil
}

// path walks members.
func (n *node) path(names ...string) *node {
	for _, name := range names {
		n = n.get(name)
	}
	return n
}

func (n *node) set(name string, v *node) {
	n.kind = objectNode
	if i := slices.Index(n.names, name); i >= 0 {
		n.values[i] = v
		return
	}
	n.names, n.values = append(n.names, name), append(n.values, v)
}

// list are the elements of a list, or the one value that stands for it.
func (n *node) list() []*node {
	switch {
	case n == nil || n.null():
		return nil
	case n.kind == listNode:
		n.mark(false)
		for _, v := range n.values {
			v.mark(false)
		}
		return n.values
	}
	n.mark(false)
	return []*node{n}
}

func (n *node) null() bool { return n != nil && n.kind == scalarNode && n.scalar == nil }

func (n *node) isObject() bool { return n != nil && n.kind == objectNode }

// text is a scalar as text, "" for everything else.
func (n *node) text() string {
	if n == nil || n.kind != scalarNode {
		return ""
	}
	n.mark(false)
	switch v := n.scalar.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// str is the text of a member.
func (n *node) str(names ...string) string { return n.path(names...).text() }

// plain is the value in the form of encoding/json, objects in their order.
func (n *node) plain() any {
	if n == nil {
		return nil
	}
	n.mark(true)
	switch n.kind {
	case listNode:
		out := make([]any, len(n.values))
		for i, v := range n.values {
			out[i] = v.plain()
		}
		return out
	case objectNode:
		o := &object{}
		for i, name := range n.names {
			o.set(name, n.values[i].plain())
		}
		return o
	}
	return n.scalar
}

// json is the value as JSON text.
func (n *node) json() json.RawMessage {
	raw, err := json.Marshal(n.plain())
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// each calls fn with every value below and at n.
func (n *node) each(fn func(*node)) {
	if n == nil {
		return
	}
	fn(n)
	for _, v := range n.values {
		v.each(fn)
	}
}

// find follows a JSON pointer.
func (n *node) find(pointer string) *node {
	if pointer == "" {
		return n
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if n != nil && n.kind == listNode {
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n.values) {
				return nil
			}
			n = n.values[i]
			continue
		}
		n = n.get(part)
	}
	return n
}

// object is a JSON object that keeps the order of its members.
type object struct {
	names  []string
	values []any
}

// obj makes an object of names and values in turn; nil values are left out.
func obj(pairs ...any) *object {
	o := &object{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if pairs[i+1] != nil {
			o.set(name, pairs[i+1])
		}
	}
	return o
}

func (o *object) set(name string, v any) {
	if i := slices.Index(o.names, name); i >= 0 {
		o.values[i] = v
		return
	}
	o.names, o.values = append(o.names, name), append(o.values, v)
}

func (o *object) get(name string) any {
	if o == nil {
		return nil
	}
	if i := slices.Index(o.names, name); i >= 0 {
		return o.values[i]
	}
	return nil
}

func (o *object) empty() bool { return o == nil || len(o.names) == 0 }

// MarshalJSON writes the members in order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		raw, err := marshal(name)
		if err != nil {
			return nil, err
		}
		b.Write(raw)
		b.WriteByte(':')
		if raw, err = marshal(o.values[i]); err != nil {
			return nil, err
		}
		b.Write(raw)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal writes JSON without escaping < > and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// indent writes JSON for people.
func indent(v any) []byte {
	raw, err := marshal(v)
	if err != nil {
		return nil
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return raw
	}
	b.WriteByte('\n')
	return b.Bytes()
}
