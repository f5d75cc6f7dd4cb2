package author

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ImportAirbyte makes a spec of a declarative manifest (manifest.yaml): one stream alone in the plain dialect where that
// can say it, several as streams of the extension. Everything that is not carried over is in the losses.
func ImportAirbyte(data []byte) (*Import, error) {
	doc, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	if doc.get("streams") == nil && doc.get("dynamic_streams") == nil {
		return nil, errors.New("the document is not a declarative manifest: it has no streams")
	}
	a := &airbyte{root: doc, l: &losses{}, d: &draft{name: "airbyte"}, config: map[string]bool{}, secret: map[string]bool{}}
	doc = a.resolve(doc, nil, nil, 0)
	if doc == nil || a.count > maxResolved {
		return nil, errors.New("the references of the manifest go round in circles, or unfold to far too much")
	}
	a.doc = doc
	a.known(doc, "version", "type", "definitions", "streams", "spec", "check", "metadata", "schemas", "api_budget", "concurrency_level", "description")
	a.props = doc.path("spec", "connection_specification", "properties")
	if t := doc.str("spec", "connection_specification", "title"); t != "" {
		a.d.name = t
	}
	for _, s := range doc.get("streams").list() {
		a.stream(s)
	}
	if len(a.list) == 0 {
		return nil, errors.New("no stream of the manifest can be carried over; the first reason: " + a.first())
	}
	a.budget(doc.get("api_budget"))
	a.rest(doc)
	a.d.source = joinStreams(a.names, a.list)
	if len(a.list) > 1 {
		a.d.param("stream", obj("type", "string", "description", "What to read.", "enum", a.names), true)
	}
	a.unused()
	return a.d.finish(a.l), nil
}

// rest reads what stands beside the streams.
func (a *airbyte) rest(doc *node) {
	if c := doc.get("check"); c.str("type") == "CheckStream" && len(a.list) == 1 {
		a.list[0].ext(obj("status", 200), "check") // the first page of the stream is read, as there
	} else if c != nil {
		a.l.add(c, "check", "connections are tested by authorizationTestUrl, or by weir.check of a stream")
	}
	if c := doc.get("concurrency_level"); c != nil {
		a.l.add(c, "concurrency_level", "how much runs at once is set by the server and by weir.partition.parallel")
	}
}

type airbyte struct {
	root, doc *node
	l         *losses
	d         *draft
	props     *node
	config    map[string]bool // members of config that are used
	secret    map[string]bool // by an authenticator
	authKey   string
	count     int
	names     []string
	list      []*request
}

func (a *airbyte) first() string {
	if len(a.l.list) == 0 {
		return "there is none"
	}
	return a.l.list[0].String()
}

// maxResolve bounds the nesting of references, maxResolved the values of the document with all of them in place.
const (
	maxResolve  = 60
	maxResolved = 200_000
)

// resolve follows $ref and hands $parameters down: those nearer to a component win over those further out.
func (a *airbyte) resolve(n, params *node, path []*node, depth int) *node { //nolint:gocyclo // follows references and parameters in one walk
	if n == nil || depth > maxResolve {
		return nil
	}
	if a.count++; a.count > maxResolved {
		return nil
	}
	if n.kind == scalarNode {
		text := n.text()
		if ref, ok := strings.CutPrefix(text, "*ref("); ok {
			return a.resolve(a.target(n, "#/"+strings.ReplaceAll(strings.TrimSuffix(ref, ")"), ".", "/")), params, path, depth+1)
		}
		if to := a.root.find(strings.TrimPrefix(text, "#")); strings.HasPrefix(text, "#/") && to != nil {
			return a.resolve(to, params, path, depth+1)
		}
		return withParameters(n, params)
	}
	if n.kind == listNode {
		out := &node{kind: listNode, line: n.line, at: n.at}
		for _, v := range n.values {
			if r := a.resolve(v, params, path, depth+1); r != nil {
				out.values = append(out.values, r)
			}
		}
		return out
	}
	out := &node{kind: objectNode, line: n.line, at: n.at}
	if own := n.get("$parameters"); own != nil {
		merged := &node{kind: objectNode, line: own.line, at: own.at}
		for _, from := range []*node{params, own} {
			if from != nil {
				for i, name := range from.names {
					merged.set(name, from.values[i])
				}
			}
		}
		params = merged
	}
	if ref := n.get("$ref"); ref != nil && ref.kind == scalarNode {
		if slices.Contains(path, n) {
			a.l.add(ref, "$ref "+ref.text(), "it refers to itself")
			return nil
		}
		if base := a.resolve(a.target(ref, ref.text()), params, append(slices.Clone(path), n), depth+1); base.isObject() {
			out.names, out.values = slices.Clone(base.names), slices.Clone(base.values)
		}
	}
	for i, name := range n.names {
		if name == "$ref" || name == "$parameters" {
			continue
		}
		if name == "definitions" && n == a.root {
			continue
		}
		if v := a.resolve(n.values[i], params, path, depth+1); v != nil {
			out.set(name, v)
		}
	}
	if params != nil {
		out.set("$parameters", params)
	}
	return out
}

var parameterRef = regexp.MustCompile(`\b(?:parameters|options)(?:\.([A-Za-z_]\w*)|\[\s*['"]([^'"]+)['"]\s*\]|\.get\(\s*['"]([^'"]+)['"]\s*(?:,[^)]*)?\))`)

// withParameters puts the values of parameters into a text: they belong to the component it stands in.
func withParameters(n, params *node) *node {
	text, ok := n.scalar.(string)
	if !ok || params == nil || !strings.Contains(text, "{{") {
		return n
	}
	whole := false
	out := parameterRef.ReplaceAllStringFunc(text, func(m string) string {
		g := parameterRef.FindStringSubmatch(m)
		p := params.get(g[1] + g[2] + g[3])
		if p == nil || p.kind != scalarNode {
			return m
		}
		value := p.text()
		if strings.Contains(value, "{{") {
			if strings.Trim(strings.Replace(text, m, "", 1), "{} ") == "" {
				whole, text = true, value
			}
			return m
		}
		if _, isText := p.scalar.(string); isText {
			return celText(value)
		}
		return value
	})
	c := *n
	if c.scalar = out; whole {
		c.scalar = text
	}
	return &c
}

func (a *airbyte) target(n *node, ref string) *node {
	to := a.root.find(strings.TrimPrefix(ref, "#"))
	if to == nil {
		a.l.add(n, "$ref "+ref, "there is nothing at that place")
	}
	return to
}

// field is a member of a component, or what $parameters hand down for it.
func (a *airbyte) field(n *node, name string) *node {
	if v := n.get(name); v != nil {
		return v
	}
	return n.path("$parameters", name)
}

// known notes every member of a component that nobody reads.
func (a *airbyte) known(n *node, names ...string) {
	if n == nil {
		return
	}
	for i, name := range n.names {
		if name != "type" && !strings.HasPrefix(name, "$") && !slices.Contains(names, name) {
			a.l.add(n.values[i], or(n.str("type"), "manifest")+"."+name, "the member is not carried over")
		}
	}
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// kind is the type of a component; custom ones are a loss.
func (a *airbyte) kind(n *node) string {
	t := n.str("type")
	if strings.HasPrefix(t, "Custom") || n.get("class_name") != nil {
		a.l.add(n, t, "custom code (%s) is not carried over", or(n.str("class_name"), "no class name"))
		return "Custom"
	}
	return t
}

// stream reads one stream.
func (a *airbyte) stream(s *node) {
	name := a.field(s, "name").text()
	if t := a.kind(s); t != "DeclarativeStream" && t != "" {
		a.l.add(s, "stream "+or(name, t), "streams of type %s are not carried over", t)
		return
	}
	r, parts, ok := a.retrieve(s, 0)
	if !ok {
		return
	}
	if len(parts) > 0 {
		r.ext(parts, "partition")
	}
	if k := a.field(s, "primary_key"); k != nil {
		a.l.add(k, "primary_key of "+name, "the spec has no keys; mark %s as the identity of the schema, or the dataset's upsert key", strings.TrimSpace(string(k.json())))
	}
	a.names, a.list = append(a.names, uniqueName(or(paramName(name), "stream"), a.names)), append(a.list, r)
}

// retrieve reads what a stream requests, and its levels of parents.
func (a *airbyte) retrieve(s *node, depth int) (r *request, parts []any, ok bool) {
	name := a.field(s, "name").text()
	if depth > 5 {
		a.l.add(s, "stream "+name, "its parents are nested too deeply")
		return nil, nil, false
	}
	a.known(s, "name", "primary_key", "retriever", "incremental_sync", "schema_loader", "transformations", "state_migrations")
	v := s.get("retriever")
	if t := a.kind(v); t != "SimpleRetriever" && t != "" || v == nil {
		a.l.add(s, "stream "+name, "a retriever of type %s is not carried over", or(t, "none"))
		return nil, nil, false
	}
	a.known(v, "requester", "record_selector", "paginator", "partition_router", "decoder", "name", "primary_key", "ignore_stream_slicer_parameters_on_paginated_requests")
	r = &request{query: &object{}, headers: &object{}}
	c := a.cursor(s.get("incremental_sync"))
	parts = a.routers(v.get("partition_router"), r, depth)
	if !a.requester(v.get("requester"), r, c) {
		a.l.add(s, "stream "+name, "its requester is not carried over")
		return nil, nil, false
	}
	a.selector(v.get("record_selector"), r)
	a.decoder(v.get("decoder"), r)
	a.paginator(v.get("paginator"), r)
	c.write(r)
	for _, t := range s.get("transformations").list() {
		a.transformation(t, parts)
	}
	for _, m := range s.get("state_migrations").list() {
		a.l.add(m, "state_migrations", "states of other programs are not carried over")
	}
	a.schema(s.get("schema_loader"), name)
	return r, parts, true
}

func (a *airbyte) schema(n *node, name string) {
	for _, l := range n.list() {
		switch t := a.kind(l); t {
		case "InlineSchemaLoader":
			a.l.add(l, "schema_loader of "+name, "explore infers the schema from the records; make the XDM schema with the types of this one")
		case "Custom":
		default:
			a.l.add(l, "schema_loader of "+name, "%s is not carried over; explore infers the schema", or(t, "it"))
		}
	}
}

// requester reads an HttpRequester.
func (a *airbyte) requester(q *node, r *request, c *cursorImport) bool {
	if t := a.kind(q); t != "HttpRequester" && t != "" || q == nil {
		return false
	}
	a.known(q, "url_base", "url", "path", "http_method", "method", "request_parameters", "request_headers", "request_body_json", "request_body_data", "request_body",
		"authenticator", "error_handler", "use_cache", "name", "request_options_provider")
	method := strings.ToUpper(or(a.field(q, "http_method").text(), a.field(q, "method").text()))
	r.method = or(method, "GET")
	base := a.template(or2(a.field(q, "url_base"), a.field(q, "url")), "url")
	path := a.template(a.field(q, "path"), "path")
	if path != "" {
		base = strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
	}
	r.host, r.path = splitURL(base, r.query)
	options := q
	if p := q.get("request_options_provider"); p != nil {
		a.kind(p)
		a.known(p, "request_parameters", "request_headers", "request_body_json", "request_body_data")
		options = p
	}
	a.parameters(a.field(options, "request_parameters"), r.query, c, "query")
	a.parameters(a.field(options, "request_headers"), r.headers, c, "header")
	a.body(options, r, c)
	if u := q.get("use_cache"); u.text() == "true" {
		a.l.add(u, "use_cache", "answers are not kept; each reader asks on its own")
	}
	a.authenticator(q.get("authenticator"))
	a.errors(q.get("error_handler"), r)
	return true
}

func or2(n, d *node) *node {
	if n != nil {
		return n
	}
	return d
}

// parameters reads names and values into to. Bounds of the window go to the cursor.
func (a *airbyte) parameters(n *node, to *object, c *cursorImport, in string) {
	if n == nil {
		return
	}
	if !n.isObject() {
		if n.text() != "" {
			a.l.add(n, "request options", "a text of parameters is not carried over")
		}
		return
	}
	for i, name := range n.names {
		v := n.values[i]
		if strings.HasPrefix(name, "$") {
			continue
		}
		if c.takes(a, v, obj(in, name)) {
			continue
		}
		if v.kind == listNode {
			for _, e := range v.values {
				to.add(name, a.template(e, name))
			}
			continue
		}
		if text, ok := a.fill(v, name); ok && text != "" {
			to.set(name, text)
		}
	}
}

// body reads the kinds of bodies.
func (a *airbyte) body(q *node, r *request, c *cursorImport) {
	j, d := a.field(q, "request_body_json"), a.field(q, "request_body_data")
	if b := a.field(q, "request_body"); b != nil {
		switch t := b.str("type"); t {
		case "RequestBodyJsonObject", "RequestBodyGraphQL":
			j = b.get("value")
			if t == "RequestBodyGraphQL" {
				if text, ok := a.fill(j.get("query"), "query"); ok {
					r.ext(obj("kind", "graphql", "query", text, "variables", json.RawMessage("{}")), "body")
				}
				return
			}
		case "RequestBodyUrlEncodedForm", "RequestBodyPlainText":
			d = b.get("value")
		default:
			a.l.add(b, t, "this body is not carried over")
		}
	}
	switch {
	case j.isObject():
		tree := a.tree(j, c, "$")
		if r.method == "POST" {
			r.body = tree
		} else {
			r.ext(obj("kind", "json", "value", tree), "body")
		}
	case j != nil && j.text() != "":
		a.l.add(j, "request_body_json", "a body that is one expression is not carried over")
	case d.isObject():
		form := &object{}
		a.parameters(d, form, c, "body")
		r.ext(obj("kind", "form", "form", form), "body")
	case d != nil && d.text() != "":
		if text, ok := a.fill(d, "request_body_data"); ok {
			r.ext(obj("kind", "text", "text", text), "body")
		}
	}
}

// tree fills the texts of a body.
func (a *airbyte) tree(n *node, c *cursorImport, at string) any {
	switch n.kind {
	case objectNode:
		o := &object{}
		for i, name := range n.names {
			if strings.HasPrefix(name, "$") {
				continue
			}
			here := at + member(name)
			if c.takes(a, n.values[i], obj("body", here)) {
				continue
			}
			o.set(name, a.tree(n.values[i], c, here))
		}
		return o
	case listNode:
		out := []any{}
		for i, v := range n.values {
			out = append(out, a.tree(v, c, at+"["+strconv.Itoa(i)+"]"))
		}
		return out
	}
	if s, ok := n.scalar.(string); ok && strings.Contains(s, "{{") {
		text, _ := a.fill(n, n.at)
		return text
	}
	return n.scalar
}

// template is a text with our placeholders; what cannot be written is a loss.
func (a *airbyte) template(n *node, what string) string {
	text, _ := a.fill(n, what)
	return text
}

// fill writes a text with our placeholders. ok is false when an expression could not be carried over.
func (a *airbyte) fill(n *node, what string) (text string, ok bool) {
	if n == nil {
		return "", true
	}
	t, err := parseTemplate(n.text())
	if err != nil {
		a.l.add(n, what, "%s", err)
		return "", false
	}
	var b strings.Builder
	ok = true
	for i, e := range t.exprs {
		b.WriteString(t.texts[i])
		part, err := a.constant(e)
		if err != nil {
			a.l.add(n, what, "the expression in %q is not carried over: %s", n.text(), err)
			ok = false
		}
		b.WriteString(part)
	}
	b.WriteString(t.texts[len(t.texts)-1])
	if !ok {
		return "", false
	}
	return b.String(), true
}

// constant writes an expression of a request: a constant, or a placeholder.
func (a *airbyte) constant(e *expr) (string, error) {
	if root, members, ok := e.path(); ok && len(members) == 1 {
		return a.reference(root, members[0])
	}
	switch e.op {
	case "text", "number":
		return e.text, nil
	case "word":
		if e.text == "none" {
			return "", nil
		}
		return e.text, nil
	case "filter":
		switch e.text {
		case "string", "int", "trim", "urlencode", "safe":
			return a.constant(e.args[0])
		}
	case "or", "if", "call":
		if name, d, ok := a.fallback(e); ok {
			text, err := a.reference("config", name)
			if s, isObj := a.d.params.get(paramName(name)).(*object); err == nil && isObj && d != "" && s.get("default") == nil {
				s.set("default", d)
				a.d.needs = slices.DeleteFunc(a.d.needs, func(x string) bool { return x == paramName(name) })
			}
			return text, err
		}
	}
	return "", errors.New("it is more than a member of config or parameters")
}

// fallback reads config['x'] or 'd', config.get('x', 'd') and config['x'] if … else 'd'.
func (a *airbyte) fallback(e *expr) (name, d string, ok bool) {
	read := func(x, y *expr) (string, string, bool) {
		root, members, ok := x.path()
		if !ok || root != "config" || len(members) != 1 || y.op != "text" && y.op != "number" && y.op != "word" {
			return "", "", false
		}
		if y.op == "word" {
			return members[0], "", true
		}
		return members[0], y.text, true
	}
	switch {
	case e.op == "or":
		return read(e.args[0], e.args[1])
	case e.op == "if":
		return read(e.args[1], e.args[2])
	case len(e.args) == 3 && e.args[0].op == "member" && e.args[0].text == "get" && e.args[1].op == "text":
		return read(&expr{op: "member", text: e.args[1].text, args: []*expr{e.args[0].args[0]}}, e.args[2])
	}
	return "", "", false
}

// reference writes root.name as a constant or a placeholder.
func (a *airbyte) reference(root, name string) (string, error) {
	switch root {
	case "parameters":
		return "", fmt.Errorf("parameters.%s is not set", name)
	case "config":
		a.config[name] = true
		p := a.props.get(name)
		if p.str("airbyte_secret") == "true" {
			return "", fmt.Errorf("config.%s is a secret, and secrets go into requests by an authenticator alone", name)
		}
		a.configParam(name, p)
		return "${" + paramName(name) + "}", nil
	case "stream_partition", "stream_slice":
		return "${" + paramName(name) + "}", nil
	}
	return "", fmt.Errorf("%s.%s is not known when a request is made", root, name)
}

func (a *airbyte) configParam(name string, p *node) {
	kind := p.str("type")
	if !slices.Contains([]string{"string", "integer", "number", "boolean", "array"}, kind) {
		kind = "string"
	}
	s := obj("type", kind, "description", orNil(or(p.str("description"), p.str("title"))))
	for _, m := range []string{"default", "enum", "pattern", "items"} {
		if v := p.get(m); v != nil && !v.null() {
			s.set(m, v.plain())
		}
	}
	required := false
	for _, r := range a.doc.path("spec", "connection_specification", "required").list() {
		required = required || r.text() == name
	}
	a.d.param(paramName(name), s, required && s.get("default") == nil)
}

// unused notes members of config that nothing reads.
func (a *airbyte) unused() {
	if a.props == nil {
		return
	}
	for i, name := range a.props.names {
		if !a.config[name] && !a.secret[name] {
			a.l.add(a.props.values[i], "config."+name, "nothing that was carried over reads it")
		}
	}
}

// selector reads where the records are.
func (a *airbyte) selector(s *node, r *request) {
	r.content = "$"
	if s == nil {
		return
	}
	if a.kind(s) == "Custom" {
		return
	}
	a.known(s, "extractor", "record_filter", "schema_normalization", "transform_before_filtering")
	x := s.get("extractor")
	switch t := a.kind(x); t {
	case "DpathExtractor", "":
		a.known(x, "field_path")
		var path strings.Builder
		path.WriteString("$")
		for _, f := range a.field(x, "field_path").list() {
			text := a.template(f, "field_path")
			switch {
			case text == "*" || text == "**":
				path.WriteString("[*]")
				if text == "**" {
					a.l.add(f, "field_path **", "any depth is not carried over; one level is read")
				}
			case text != "":
				path.WriteString(member(text))
			}
		}
		r.content = path.String()
	case "Custom":
	default:
		a.l.add(x, t, "this extractor is not carried over; the whole answer is taken for the array")
	}
	if n := s.get("schema_normalization"); n != nil && n.text() != "None" {
		a.l.add(n, "schema_normalization", "values are converted by the mapping set and the schema")
	}
	f := s.get("record_filter")
	if f == nil || a.kind(f) == "Custom" {
		return
	}
	a.known(f, "condition")
	text, err := a.condition(f.get("condition"))
	if err != nil {
		a.l.add(f, "record_filter", "%s", err)
		return
	}
	if text != "" {
		r.ext(text, "filter")
	}
}

// condition writes a condition as CEL.
func (a *airbyte) condition(n *node) (string, error) {
	t, err := parseTemplate(n.text())
	if err != nil {
		return "", err
	}
	e := t.only()
	if e == nil {
		if n.text() == "" {
			return "", nil
		}
		return "", fmt.Errorf("%q is not one expression", n.text())
	}
	a.noteConfig(e)
	return e.truth()
}

// value writes an expression as CEL.
func (a *airbyte) value(n *node) (string, error) {
	t, err := parseTemplate(n.text())
	if err != nil {
		return "", err
	}
	e := t.only()
	if e == nil {
		parts := []string{}
		for i, text := range t.texts {
			if text != "" {
				parts = append(parts, celText(text))
			}
			if i < len(t.exprs) {
				x, err := t.exprs[i].cel()
				if err != nil {
					return "", err
				}
				parts = append(parts, "string("+x+")")
			}
		}
		return strings.Join(parts, " + "), nil
	}
	a.noteConfig(e)
	return e.cel()
}

// noteConfig makes source parameters of the config that an expression reads.
func (a *airbyte) noteConfig(e *expr) {
	if root, members, ok := e.path(); ok && root == "config" && len(members) > 0 {
		a.config[members[0]] = true
		if a.props.str(members[0], "airbyte_secret") != "true" {
			a.configParam(members[0], a.props.get(members[0]))
		}
	}
	for _, x := range e.args {
		a.noteConfig(x)
	}
}
