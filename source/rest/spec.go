package rest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"weir"
)

// spec is the lens on a connection spec document (contract flow-service §6.1), both dialects.
type spec struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	AuthSpec   []authSpec `json:"authSpec"`
	SourceSpec struct {
		Spec       json.RawMessage `json:"spec"`
		Attributes attributes      `json:"attributes"`
	} `json:"sourceSpec"`
}

// authSpec is one entry of authSpec (§6.2). AddTo is the 2021 form of a key's place.
type authSpec struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Spec       json.RawMessage `json:"spec"`
	Attributes struct {
		AuthParams struct {
			AddTo string `json:"addTo"`
		} `json:"authParams"`
	} `json:"attributes"`
}

// attributes is a request definition: sourceSpec.attributes of a spec, or the params of a generic source connection (§6.10).
type attributes struct {
	URLParams *struct {
		Host        string          `json:"host"`
		Hostname    string          `json:"hostname"` // 2021
		Path        string          `json:"path"`
		Method      string          `json:"method"`
		QueryParams json.RawMessage `json:"queryParams"`
	} `json:"urlParams"`
	HeaderParams      json.RawMessage `json:"headerParams"`
	BodyParams        json.RawMessage `json:"bodyParams"`
	ContentPath       json.RawMessage `json:"contentPath"`
	ExplodeEntityPath json.RawMessage `json:"explodeEntityPath"`
	PaginationParams  json.RawMessage `json:"paginationParams"`
	ScheduleParams    json.RawMessage `json:"scheduleParams"`
	Schema            json.RawMessage `json:"schema"`
	Preview           string          `json:"preview"`
	// Spec is the schema of a generic source's request definition.
	Spec json.RawMessage `json:"spec"`
}

// pair is a named text.
type pair struct{ name, value string }

// definition is the one model of what to request and how to read the answers.
type definition struct {
	host, path, method string
	query, headers     []pair
	body               any // a tree, nil for none
	content            selector
	explode            *selector
	paging             paging
	schedule           schedule
	schema             json.RawMessage
	rawPreview         bool
}

// schedule is scheduleParams of a source (§6.8).
type schedule struct {
	Type        string `json:"type"`
	StartName   string `json:"scheduleStartParamName"`
	EndName     string `json:"scheduleEndParamName"`
	StartFormat string `json:"scheduleStartParamFormat"`
	EndFormat   string `json:"scheduleEndParamFormat"`
	ParamFormat string `json:"paramFormat"`
	Incremental string `json:"incremental"`
	Backfill    string `json:"backfill"`
}

func (s *schedule) advance() bool { return strings.EqualFold(s.Type, "ADVANCE") }

// parseSpec reads a connection spec.
func parseSpec(raw json.RawMessage) (*spec, error) {
	var s spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, weir.Errorf("CONNECTOR-1014-400", "the connection spec cannot be read: %w", err)
	}
	return &s, nil
}

// generic reports whether the source connection brings the request definition itself.
func (s *spec) generic() bool { return s.SourceSpec.Attributes.URLParams == nil }

// source finds the request definition: in the spec, or for a generic spec in the first of params that has one.
func (s *spec) source(params ...json.RawMessage) (*attributes, error) {
	if !s.generic() {
		return &s.SourceSpec.Attributes, nil
	}
	for _, p := range params {
		if len(p) == 0 {
			continue
		}
		var a attributes
		if err := json.Unmarshal(p, &a); err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "the request definition in the source parameters cannot be read: %w", err)
		}
		if a.URLParams != nil {
			return &a, nil
		}
	}
	return nil, weir.Errorf("CONNECTOR-1304-400", "urlParams is missing: this source takes its request definition (urlParams, contentPath, paginationParams, scheduleParams) from the source parameters")
}

// define turns attributes into the model. Placeholders in paths, limits and schedule texts are resolved through p
// (nil leaves them); those of the request itself are resolved per request.
func (a *attributes) define(e *expander) (*definition, error) {
	d := &definition{schema: object2(a.Schema), rawPreview: strings.EqualFold(a.Preview, "raw")}
	u := a.URLParams
	d.host, d.path, d.method = u.Host, u.Path, strings.ToUpper(strings.TrimSpace(u.Method))
	if d.host == "" {
		d.host = u.Hostname
	}
	if d.method == "" {
		d.method = "GET"
	}
	var err error
	if d.query, err = pairs("urlParams.queryParams", u.QueryParams); err != nil {
		return nil, err
	}
	if d.headers, err = pairs("headerParams", a.HeaderParams); err != nil {
		return nil, err
	}
	if len(a.BodyParams) > 0 && string(a.BodyParams) != "null" {
		if d.body, err = parseTree(a.BodyParams); err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "bodyParams cannot be read: %w", err)
		}
	}
	content, text, err := parseSelector("contentPath", a.ContentPath, e)
	if err != nil {
		return nil, err
	}
	if content == nil {
		content = &selector{}
	}
	d.content = *content
	d.rawPreview = d.rawPreview || text
	if d.explode, _, err = parseSelector("explodeEntityPath", a.ExplodeEntityPath, e); err != nil {
		return nil, err
	}
	if d.explode != nil {
		for _, st := range d.explode.path {
			if st.kind != byName {
				return nil, weir.Errorf("CONNECTOR-1314-400", "explodeEntityPath %s may hold only names", d.explode.path)
			}
		}
		if len(d.explode.path) == 0 {
			d.explode = nil
		}
	}
	if d.paging, err = parsePaging(a.PaginationParams, e); err != nil {
		return nil, err
	}
	if len(a.ScheduleParams) > 0 {
		if err := json.Unmarshal(a.ScheduleParams, &d.schedule); err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "scheduleParams cannot be read: %w", err)
		}
	}
	return d, nil
}

// object2 keeps a non-empty JSON object and drops everything else.
func object2(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 2 || raw[0] != '{' || len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0 {
		return nil
	}
	return raw
}

// pairs reads queryParams or headerParams: an object, or the legacy comma list k=v,k2=v2. An array repeats its name.
func pairs(where string, raw json.RawMessage) ([]pair, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] == '"' {
		var out []pair
		for _, item := range strings.Split(unquote(raw), ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			name, value, ok := strings.Cut(item, "=")
			if !ok {
				return nil, weir.Errorf("CONNECTOR-1312-400", "%s: %q is not name=value", where, item)
			}
			out = append(out, pair{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
		return out, nil
	}
	tree, err := parseTree(raw)
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "%s cannot be read: %w", where, err)
	}
	o, ok := tree.(*object)
	if !ok {
		return nil, weir.Errorf("CONNECTOR-1312-400", "%s must be an object", where)
	}
	var out []pair
	for i, name := range o.names {
		list, isList := o.values[i].([]any)
		if !isList {
			list = []any{o.values[i]}
		}
		for _, v := range list {
			text, ok := treeText(v)
			if !ok {
				return nil, weir.Errorf("CONNECTOR-1312-400", "%s: the value of %s must be text, a number or a boolean", where, name)
			}
			out = append(out, pair{name, text})
		}
	}
	return out, nil
}

func treeText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// parseSelector reads contentPath or explodeEntityPath; text reports the legacy string form (unwrapped records).
func parseSelector(where string, raw json.RawMessage, e *expander) (sel *selector, text bool, err error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, false, nil
	}
	var form struct {
		Path    string          `json:"path"`
		Skip    []string        `json:"skipAttributes"`
		Keep    json.RawMessage `json:"keepAttributes"`
		Wrapper string          `json:"overrideWrapperAttribute"`
	}
	if raw[0] == '"' {
		form.Path, text = unquote(raw), true
	} else if err := json.Unmarshal(raw, &form); err != nil {
		return nil, false, weir.Errorf("CONNECTOR-1312-400", "%s cannot be read: %w", where, err)
	}
	if form.Path == "" {
		return nil, text, nil
	}
	p, err := parsePath(e.text(form.Path))
	if err != nil {
		return nil, false, err
	}
	sel = &selector{path: p.array(), skip: form.Skip, wrapper: form.Wrapper, none: string(form.Keep) == "null"}
	if len(form.Keep) > 0 && !sel.none {
		if err := json.Unmarshal(form.Keep, &sel.keep); err != nil {
			return nil, false, weir.Errorf("CONNECTOR-1312-400", "%s.keepAttributes must be a list of names: %w", where, err)
		}
	}
	n := len(sel.path)
	if n == 0 || sel.path[n-1].kind != byName {
		return sel, text, nil // no named array: nothing to wrap with
	}
	sel.wrap = !text
	if sel.wrapper == "" {
		sel.wrapper = sel.path.last()
	}
	return sel, text, nil
}
