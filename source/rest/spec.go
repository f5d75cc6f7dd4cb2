package rest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
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
		Weir authRules `json:"weir"`
	} `json:"attributes"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside the lens.
func (a *authSpec) UnmarshalJSON(raw []byte) error {
	type plain authSpec
	if err := json.Unmarshal(raw, (*plain)(a)); err != nil {
		return err
	}
	a.raw = bytes.Clone(raw)
	return nil
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
	// Weir is our extension (see extension).
	Weir json.RawMessage `json:"weir"`

	raw json.RawMessage
	ext *extension
}

// UnmarshalJSON keeps the text beside the lens, for streams that change parts of it.
func (a *attributes) UnmarshalJSON(raw []byte) error {
	type plain attributes
	if err := json.Unmarshal(raw, (*plain)(a)); err != nil {
		return err
	}
	a.raw = bytes.Clone(raw)
	return nil
}

// with returns the attributes with the members of over in the place of their own; urlParams and weir are changed member
// by member. partition, and what drop names of weir, is not inherited.
func (a *attributes) with(over json.RawMessage, drop ...string) (*attributes, error) {
	fail := func(err error) (*attributes, error) {
		return nil, weir.Errorf("CONNECTOR-1312-400", "a stream or parent of attributes.weir cannot be read: %w", err)
	}
	var base, change map[string]json.RawMessage
	if err := json.Unmarshal(a.raw, &base); err != nil {
		return fail(err)
	}
	if err := json.Unmarshal(over, &change); err != nil {
		return fail(err)
	}
	merge := func(name string, drop ...string) error {
		var b, c map[string]json.RawMessage
		if err := json.Unmarshal(orEmpty(base[name]), &b); err != nil {
			return err
		}
		if err := json.Unmarshal(orEmpty(change[name]), &c); err != nil {
			return err
		}
		for _, d := range drop {
			delete(b, d)
		}
		maps.Copy(b, c)
		raw, err := json.Marshal(b)
		change[name] = raw
		return err
	}
	if err := merge("urlParams"); err != nil {
		return fail(err)
	}
	if err := merge("weir", append(drop, "partition")...); err != nil {
		return fail(err)
	}
	maps.Copy(base, change)
	raw, err := json.Marshal(base)
	if err != nil {
		return fail(err)
	}
	out := &attributes{}
	if err := json.Unmarshal(raw, out); err != nil {
		return fail(err)
	}
	return out, out.load()
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage("{}")
	}
	return raw
}

// load reads the extension.
func (a *attributes) load() (err error) {
	a.ext, err = parseExtension(a.Weir)
	return err
}

// stream picks one of the extension's streams by the source parameter stream or the object of an explore. Without
// streams it is the attributes themselves.
func (a *attributes) stream(name string) (*attributes, error) {
	if len(a.ext.Streams) == 0 {
		return a, nil
	}
	names := slices.Sorted(maps.Keys(a.ext.Streams))
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	raw, ok := a.ext.Streams[name]
	if !ok {
		return nil, weir.Errorf("CONNECTOR-1304-400", "the source has several streams; set the source parameter stream to one of %s", strings.Join(names, ", "))
	}
	out, err := a.with(raw)
	if err != nil {
		return nil, err
	}
	if out.ext.Streams = nil; len(out.ext.Partition) > 0 { // a partition may name its siblings
		out.ext.Streams = a.ext.Streams
	}
	return out, nil
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
	ext                *extension
	bodyKind, bodyType string
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
		a := s.SourceSpec.Attributes
		return &a, a.load()
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
			return &a, a.load()
		}
	}
	return nil, weir.Errorf("CONNECTOR-1304-400", "urlParams is missing: this source takes its request definition (urlParams, contentPath, paginationParams, scheduleParams) from the source parameters")
}

// define turns attributes into the model. Placeholders in paths, limits and schedule texts are resolved; those of the
// request itself are resolved per request.
func (a *attributes) define(e *expander) (*definition, error) {
	d := &definition{schema: object2(a.Schema), rawPreview: strings.EqualFold(a.Preview, "raw"), ext: a.ext}
	u := a.URLParams
	if u == nil {
		return nil, weir.Errorf("CONNECTOR-1304-400", "urlParams is missing")
	}
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
	if err := a.defineBody(d); err != nil {
		return nil, err
	}
	if a.ext.Conditional && d.method != "GET" {
		return nil, weir.Errorf("CONNECTOR-1312-400", "weir.conditional needs the method GET")
	}
	if err := a.defineContent(d, e); err != nil {
		return nil, err
	}
	if a.ext.Fields != nil && d.explode != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "weir.fields cannot be used together with explodeEntityPath")
	}
	if d.paging, err = parsePaging(a.PaginationParams, a.ext.Paging, e); err != nil {
		return nil, err
	}
	if len(a.ScheduleParams) > 0 {
		if err := json.Unmarshal(a.ScheduleParams, &d.schedule); err != nil {
			return nil, weir.Errorf("CONNECTOR-1312-400", "scheduleParams cannot be read: %w", err)
		}
	}
	return d, d.checkProbes()
}

// checkProbes refuses to look at a value that holds the record array: it would have to be kept in memory whole.
func (d *definition) checkProbes() error {
	for _, p := range d.probes() {
		if n := len(p); n <= len(d.content.path) && slices.Equal(p, d.content.path[:n]) && (n != len(d.content.path) || d.paging.endPath == nil || !slices.Equal(p, d.paging.endPath)) {
			return weir.Errorf("CONNECTOR-1312-400", "%s holds the records and cannot be read by paging or rules; expressions have elements, first and last", p)
		}
	}
	return nil
}

// probes lists the places of an answer that paging and rules read.
func (d *definition) probes() []path {
	return d.ext.rulePages(d.paging.rulePaths(pagers[d.paging.kind](&d.paging).paths()))
}

// defineBody reads bodyParams, which only a POST sends, or the extension's body, which any method may.
func (a *attributes) defineBody(d *definition) (err error) {
	if b := a.ext.Body; b != nil {
		d.bodyKind, d.bodyType = b.Kind, b.Type
		d.body, err = b.tree()
		return err
	}
	if d.method != "POST" || len(a.BodyParams) == 0 || string(a.BodyParams) == "null" {
		return nil
	}
	if d.body, err = parseTree(a.BodyParams); err != nil {
		return weir.Errorf("CONNECTOR-1312-400", "bodyParams cannot be read: %w", err)
	}
	return nil
}

// defineContent reads contentPath and explodeEntityPath.
func (a *attributes) defineContent(d *definition, e *expander) error {
	content, text, err := parseSelector("contentPath", a.ContentPath, e)
	if err != nil {
		return err
	}
	if content == nil {
		content = &selector{}
	}
	d.content = *content
	d.rawPreview = (d.rawPreview || text) && a.ext.Answer.format() == "json" && len(a.ext.Answer.Decode) == 0
	if d.explode, _, err = parseSelector("explodeEntityPath", a.ExplodeEntityPath, e); err != nil {
		return err
	}
	if d.explode != nil {
		for _, st := range d.explode.path {
			if st.kind != byName {
				return weir.Errorf("CONNECTOR-1314-400", "explodeEntityPath %s may hold only names", d.explode.path)
			}
		}
		if len(d.explode.path) == 0 {
			d.explode = nil
		}
	}
	if a.ext.Answer.format() != "xml" {
		return nil
	}
	if len(d.content.path) == 0 || slices.ContainsFunc(d.content.path, func(st step) bool { return st.kind != byName }) {
		return weir.Errorf("CONNECTOR-1314-400", "contentPath %s must name the record element from the root of the XML on", d.content.path)
	}
	return nil
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
		for item := range strings.SplitSeq(unquote(raw), ",") {
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
