package rest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// bodyRules describe a body that is not just JSON of a POST: any method may carry one.
type bodyRules struct {
	Kind      string          `json:"kind"`      // json (default), form, text, graphql
	Value     json.RawMessage `json:"value"`     // of json
	Form      json.RawMessage `json:"form"`      // of form: names and values
	Text      string          `json:"text"`      // of text
	Type      string          `json:"type"`      // Content-Type; "" is the usual one
	Query     string          `json:"query"`     // of graphql
	Variables json.RawMessage `json:"variables"` // of graphql
}

// bodyTypes are the usual content types of the kinds.
var bodyTypes = map[string]string{
	"": "application/json", "json": "application/json", "graphql": "application/json",
	"form": "application/x-www-form-urlencoded", "text": "text/plain; charset=utf-8",
}

// tree is the body as a template.
func (b *bodyRules) tree() (any, error) {
	if err := oneOf("body.kind", b.Kind, "", "json", "form", "text", "graphql"); err != nil {
		return nil, err
	}
	parse := func(name string, raw json.RawMessage) (any, error) {
		if len(raw) == 0 {
			return &object{}, nil
		}
		v, err := parseTree(raw)
		if err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "weir.body.%s cannot be read: %w", name, err)
		}
		return v, nil
	}
	switch b.Kind {
	case "text":
		return b.Text, nil
	case "form":
		v, err := parse("form", b.Form)
		if _, ok := v.(*object); err == nil && !ok {
			err = weir.Errorf("CONNECTOR-1312-400", "weir.body.form must be an object")
		}
		return v, err
	case "graphql":
		if b.Query == "" {
			return nil, weir.Errorf("CONNECTOR-1304-400", "weir.body of kind graphql needs query")
		}
		variables, err := parse("variables", b.Variables)
		return &object{names: []string{"query", "variables"}, values: []any{verbatim(b.Query), variables}}, err
	}
	return parse("value", b.Value)
}

// verbatim is text in which nothing is a placeholder: GraphQL has braces and dollars of its own.
type verbatim string

// encode writes the body.
func (r *request) encode() ([]byte, error) {
	switch r.kind {
	case "text":
		text, _ := r.body.(string)
		return []byte(text), nil
	case "form":
		o, ok := r.body.(*object)
		if !ok {
			return nil, weir.Errorf("CONNECTOR-1312-400", "the form is not an object")
		}
		var parts []string
		for i, n := range o.names {
			list, many := o.values[i].([]any)
			if !many {
				list = []any{o.values[i]}
			}
			for _, v := range list {
				text, ok := treeText(v)
				if !ok {
					raw, err := plainJSON(v)
					if err != nil {
						return nil, err
					}
					text = string(raw)
				}
				parts = append(parts, url.QueryEscape(n)+"="+url.QueryEscape(text))
			}
		}
		return []byte(strings.Join(parts, "&")), nil
	}
	return plainJSON(r.body)
}

// inject puts a value where the extension says.
func (r *request) inject(in *inject, v any) error {
	text, plain := treeText(v)
	if !plain {
		raw, err := plainJSON(v)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	switch {
	case in.Query != "":
		r.setParam(in.Query, text)
	case in.Header != "":
		r.setHeader(in.Header, text)
	case in.Path != "":
		r.marks = append(slices.Clip(r.marks), pair{in.Path, text})
	default:
		return r.setAt(in.body, v)
	}
	return nil
}

// setAt sets a value inside the body; what is on the way is made. The template's own tree stays as it is.
func (r *request) setAt(p path, v any) error {
	if r.body == nil {
		r.body = &object{}
	}
	tree, err := putAt(r.body, p, v)
	if err != nil {
		return err
	}
	r.body = tree
	return nil
}

func putAt(tree any, p path, v any) (any, error) {
	if len(p) == 0 {
		return v, nil
	}
	if p[0].kind == byIndex {
		list, ok := tree.([]any)
		if !ok || p[0].index >= len(list) {
			return nil, weir.Errorf("CONNECTOR-1312-400", "the body has no element [%d] to put a value into", p[0].index)
		}
		child, err := putAt(list[p[0].index], p[1:], v)
		list = slices.Clone(list)
		list[p[0].index] = child
		return list, err
	}
	o, ok := tree.(*object)
	if tree == nil {
		o, ok = &object{}, true
	}
	if !ok {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the body has no object to put %s into", p[0].name)
	}
	old, _ := o.get(p[0].name)
	child, err := putAt(old, p[1:], v)
	o = &object{names: slices.Clone(o.names), values: slices.Clone(o.values)}
	o.set(p[0].name, child)
	return o, err
}

// pathMark stands in an expanded path for a value that is only known per page.
func pathMark(name string) string { return "\uE000" + name + "\uE001" }

// fillMarks puts the values of the page into the address; what was not set is empty.
func (r *request) fillMarks(address string) string {
	for _, m := range r.marks {
		mark := url.PathEscape(pathMark(m.name))
		i := strings.Index(address, mark)
		for ; i >= 0; i = strings.Index(address, mark) {
			value := url.PathEscape(m.value)
			if q := strings.IndexByte(address, '?'); q >= 0 && q < i {
				value = queryEscape(m.value)
			}
			address = address[:i] + value + address[i+len(mark):]
		}
	}
	for {
		i := strings.Index(address, "%EE%80%80")
		j := strings.Index(address, "%EE%80%81")
		if i < 0 || j < i {
			return address
		}
		address = address[:i] + address[j+len("%EE%80%81"):]
	}
}

// number is a JSON number.
func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }
