package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object is a small JSON object with its member order (bodies, parameters). Values are object pointers, []any,
// string, json.Number, bool and nil.
type object struct {
	names  []string
	values []any
}

// parseTree reads one JSON value.
func parseTree(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := treeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text follows the JSON value")
	}
	return v, nil
}

func treeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("values are nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := treeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.set(k.(string), v)
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := treeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

func (o *object) get(name string) (any, bool) {
	for i, n := range o.names {
		if n == name {
			return o.values[i], true
		}
	}
	return nil, false
}

func (o *object) set(name string, v any) {
	for i, n := range o.names {
		if n == name {
			o.values[i] = v
			return
		}
	}
	o.names = append(o.names, name)
	o.values = append(o.values, v)
}

// MarshalJSON writes the members in order.
func (o *object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, n := range o.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, quote(n)...), ':')
		v, err := plainJSON(o.values[i])
		if err != nil {
			return nil, err
		}
		b = append(b, v...)
	}
	return append(b, '}'), nil
}

// plainJSON marshals without HTML escapes.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// quote is s as a JSON string.
func quote(s string) []byte {
	b, err := plainJSON(s)
	if err != nil { // a string always marshals
		return []byte(`""`)
	}
	return b
}

// mapStrings returns v with every string value (names stay) replaced by fn.
func mapStrings(v any, fn func(string) (any, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return fn(v)
	case verbatim:
		return string(v), nil
	case *object:
		out := &object{}
		for i, n := range v.names {
			m, err := mapStrings(v.values[i], fn)
			if err != nil {
				return nil, err
			}
			out.set(n, m)
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			m, err := mapStrings(v[i], fn)
			if err != nil {
				return nil, err
			}
			out[i] = m
		}
		return out, nil
	}
	return v, nil
}
