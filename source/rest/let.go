package rest

import (
	"encoding/json"
	"maps"
	"slices"

	"weir"
)

// letRule is a placeholder whose value is computed for each request. One whose value is null is not there: a query
// parameter, a header or a member of a JSON body or form that is nothing but this placeholder is left out.
type letRule struct {
	name string
	x    *expression
}

func (x *extension) compileLet() error {
	for _, name := range slices.Sorted(maps.Keys(x.Let)) {
		r := letRule{name: name}
		if x.Let[name] == "" {
			return weir.Errorf("CONNECTOR-1312-400", "weir.let.%s is empty", name)
		}
		if err := compileAll([]exprAt{{"let." + name, x.Let[name], onRequest, nil, &r.x}}); err != nil {
			return err
		}
		x.let = append(x.let, r)
	}
	return nil
}

// computed puts the values of let before the other parameters.
func (x *extension) computed(p *params, w weir.Window) (*params, error) {
	if len(x.let) == 0 {
		return p, nil
	}
	vars := map[string]any{"params": p.vars(), "window": windowVars(w), "none": nil}
	layer := map[string]json.RawMessage{}
	none := map[string]bool{}
	for _, l := range x.let {
		v, err := l.x.eval(vars)
		if err != nil {
			return nil, err
		}
		if v == nil || v == "" {
			none[l.name] = true
			continue
		}
		raw, err := plainJSON(v)
		if err != nil {
			return nil, err
		}
		layer[l.name] = raw
	}
	return &params{layers: append([]map[string]json.RawMessage{layer}, p.layers...), none: none}, nil
}

// nothing reports whether a text is one placeholder that was computed to nothing.
func (p *params) nothing(text string) bool {
	if len(p.none) == 0 {
		return false
	}
	m := placeholder.FindString(text)
	return m != "" && m == text && p.none[placeName(placeholder, text)]
}

// without leaves out the members of a body that are nothing.
func (p *params) without(v any) any {
	if len(p.none) == 0 {
		return v
	}
	switch v := v.(type) {
	case *object:
		out := &object{}
		for i, n := range v.names {
			if text, ok := v.values[i].(string); !ok || !p.nothing(text) {
				out.set(n, p.without(v.values[i]))
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if text, ok := e.(string); !ok || !p.nothing(text) {
				out = append(out, p.without(e))
			}
		}
		return out
	}
	return v
}
