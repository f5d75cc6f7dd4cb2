package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir"
	"weir/store"
)

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// object is a JSON object whose members keep their order and source text.
type object []member

// parseObject reads one JSON object; null counts as empty.
func parseObject(raw json.RawMessage) (object, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if tok.Kind() != '{' {
		return nil, errors.New("expected a JSON object")
	}
	var o object
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		o = append(o, member{text, bytes.Clone(value)}) // no look-up: bodies are checked for doubled names
	}
	return o, nil
}

// get is the value of a member, nil if there is none.
func (o object) get(name string) json.RawMessage {
	for i := range o {
		if o[i].name == name {
			return o[i].value
		}
	}
	return nil
}

// has reports whether a member is there and is not null.
func (o object) has(name string) bool {
	v := o.get(name)
	return v != nil && string(bytes.TrimSpace(v)) != "null"
}

// text is a member's string value, "" if it is absent or not a string.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// with sets a member to raw JSON: in place if it is there, else at the end.
func (o object) with(name string, value json.RawMessage) object {
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, member{name, value})
}

// set is with for a Go value.
func (o object) set(name string, value any) object { return o.with(name, encode(value)) }

// without drops members.
func (o object) without(names ...string) object {
	out := o[:0:0]
	for _, m := range o {
		if !slices.Contains(names, m.name) {
			out = append(out, m)
		}
	}
	return out
}

// only keeps the named members.
func (o object) only(names ...string) object {
	var out object
	for _, m := range o {
		if slices.Contains(names, m.name) {
			out = append(out, m)
		}
	}
	return out
}

// over lays the members of p on top.
func (o object) over(p object) object {
	if len(o) == 0 {
		return p
	}
	for _, m := range p {
		o = o.with(m.name, m.value)
	}
	return o
}

// raw is the object's text.
func (o object) raw() json.RawMessage {
	b := make([]byte, 0, 64*len(o)+2)
	b = append(b, '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, m.name) // replaces invalid UTF-8, which a checked body cannot hold
		b = append(b, ':')
		if len(m.value) == 0 {
			b = append(b, "null"...)
		}
		b = append(b, m.value...)
	}
	return append(b, '}')
}

// MarshalJSON makes an object fit into any answer.
func (o object) MarshalJSON() ([]byte, error) { return o.raw(), nil }

// encode is v as JSON without HTML escapes. It is for values of our own types, which always encode.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// isObject and isArray look at the first byte of a JSON value.
func isObject(v json.RawMessage) bool { v = bytes.TrimSpace(v); return len(v) > 0 && v[0] == '{' }
func isArray(v json.RawMessage) bool  { v = bytes.TrimSpace(v); return len(v) > 0 && v[0] == '[' }

// maxDepth bounds the nesting of a JSON body; what a document adds around it still fits into the store.
const maxDepth = store.MaxDepth - 16

var errDepth = fmt.Errorf("more than %d levels of nesting", maxDepth)

// checkJSON accepts exactly one JSON value: valid UTF-8, no member name twice in one object (stored documents are read by several
// readers, which must not disagree about which of two values counts), nesting up to maxDepth.
func checkJSON(raw []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := dec.ReadToken(); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return errors.New("the text ends in the middle of a value")
			}
			return err
		}
		if depth := dec.StackDepth(); depth > maxDepth {
			return errDepth
		} else if depth == 0 {
			break
		}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON value")
	}
	return nil
}

// merge lays the members of several documents over each other, later ones on top.
func merge(docs ...json.RawMessage) (object, error) {
	var o object
	for _, d := range docs {
		p, err := parseObject(d)
		if err != nil {
			return nil, err
		}
		o = o.over(p)
	}
	return o, nil
}

// view is a document as its readers see it before the header: its body with the derived members on top.
func view(d *weir.Doc) (object, error) { return merge(d.Body, d.Meta) }
