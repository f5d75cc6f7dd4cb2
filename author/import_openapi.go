package author

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// OpenAPIOptions choose operations. Without any, every GET that answers with an array is taken.
type OpenAPIOptions struct {
	Paths      []string // as they stand in the document
	Operations []string // operationId
}

// ImportOpenAPI makes a spec of an OpenAPI 3 document (JSON or YAML): every operation chosen becomes a stream.
func ImportOpenAPI(data []byte, opt OpenAPIOptions) (*Import, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(doc.str("openapi"), "3.") {
		return nil, errors.New("the document is not OpenAPI 3: its member openapi does not start with 3")
	}
	o := &openapi{doc: doc, l: &losses{}, d: &draft{name: doc.str("info", "title")}, opt: opt}
	if o.d.name == "" {
		o.d.name = "openapi"
	}
	o.server()
	paths := doc.get("paths")
	if paths == nil {
		return nil, errors.New("the document has no paths")
	}
	for i, path := range paths.names {
		o.path(path, o.deref(paths.values[i]))
	}
	if o.count > maxResolved {
		return nil, errors.New("the references of the document unfold to far too much")
	}
	if len(o.list) == 0 {
		return nil, errors.New("no operation answers with an array of records; choose one with --path or --operation")
	}
	o.auth()
	o.d.source = joinStreams(o.names, o.list)
	o.d.choice(o.names)
	return o.d.finish(o.l), nil
}

type openapi struct {
	doc   *node
	l     *losses
	d     *draft
	opt   OpenAPIOptions
	host  string
	base  string
	names []string
	list  []*request
	count int
}

// deref follows references inside the document.
func (o *openapi) deref(n *node) *node {
	if o.count++; o.count > maxResolved {
		return nil
	}
	for range 32 {
		ref := n.str("$ref")
		if ref == "" {
			return n
		}
		to, ok := strings.CutPrefix(ref, "#")
		target := o.doc.find(to)
		if !ok || target == nil {
			o.l.add(n, "$ref "+ref, "references to other documents are not followed")
			return nil
		}
		n = target
	}
	return n
}

func (o *openapi) server() {
	servers := o.doc.get("servers").list()
	text := "https://api.example.com"
	if len(servers) == 0 {
		o.l.add(o.doc, "servers", "the document names no server; put the host into urlParams.host")
	} else {
		text = servers[0].str("url")
		for _, s := range servers[1:] {
			o.l.add(s, "server "+s.str("url"), "only the first server is carried over")
		}
		if v := servers[0].get("variables"); v != nil {
			for i, name := range v.names {
				text = strings.ReplaceAll(text, "{"+name+"}", "${"+paramName(name)+"}")
				s := obj("type", "string", "description", orNil(v.values[i].str("description")), "default", orNil(v.values[i].str("default")))
				if e := texts(v.values[i].get("enum")); len(e) > 0 {
					s.set("enum", e)
				}
				o.d.param(paramName(name), s, false)
			}
		}
	}
	if strings.HasPrefix(text, "/") {
		o.l.add(servers[0], "server "+text, "the address has no host; put it into urlParams.host")
		text = "https://api.example.com" + text
	}
	o.host, o.base = splitURL(text, &object{})
	o.base = strings.TrimRight(o.base, "/")
}

func (o *openapi) path(path string, item *node) {
	if item == nil {
		return
	}
	for i, method := range item.names {
		method = strings.ToUpper(method)
		op := item.values[i]
		if !slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"}, method) {
			continue
		}
		chosen := slices.Contains(o.opt.Paths, path) || slices.Contains(o.opt.Operations, op.str("operationId"))
		named := len(o.opt.Paths)+len(o.opt.Operations) > 0
		switch {
		case named && !chosen, chosen && len(o.opt.Operations) == 0 && method != "GET" && item.get("get") != nil:
			continue // not asked for
		case method != "GET" && !chosen:
			o.l.add(op, method+" "+path, "only GET is taken on its own; name others with --operation")
			continue
		}
		o.operation(path, method, item, op)
	}
}

func (o *openapi) operation(path, method string, item, op *node) {
	what := method + " " + path
	r := &request{host: o.host, method: method, query: &object{}, headers: &object{}}
	schema, header := o.answer(op)
	at, element, ok := o.array(schema, "$", 0)
	if !ok {
		o.l.add(op, what, "its answer is not described as an array of records")
		return
	}
	r.content = contentOf(at)
	_ = element
	r.path = o.base + path
	cursor := o.parameters(item, op, r, what)
	o.paging(r, op, schema, header, cursor, what)
	if b := o.deref(op.get("requestBody")); b != nil {
		o.body(b, r, what)
	}
	name := op.str("operationId")
	if name == "" {
		name = strings.Trim(path, "/")
	}
	o.names, o.list = append(o.names, uniqueName(paramName(name), o.names)), append(o.list, r)
}

// answer is the schema of the first success in JSON, and its headers.
func (o *openapi) answer(op *node) (schema, header *node) {
	rs := op.get("responses")
	for _, code := range []string{"200", "2XX", "2xx", "206", "default"} {
		r := o.deref(rs.get(code))
		if r == nil {
			continue
		}
		c := r.get("content")
		if c == nil {
			return nil, r.get("headers")
		}
		for i, kind := range c.names {
			if strings.Contains(kind, "json") {
				return o.deref(c.values[i].get("schema")), r.get("headers")
			}
		}
		if len(c.names) > 0 {
			o.l.add(c, "content "+strings.Join(c.names, ", "), "only JSON answers are carried over")
		}
	}
	return nil, nil
}

// properties are the members of an object schema, those of allOf included.
func (o *openapi) properties(s *node, depth int) (names []string, values []*node) {
	if s = o.deref(s); s == nil || depth > 8 {
		return nil, nil
	}
	if p := s.get("properties"); p != nil {
		names, values = append(names, p.names...), append(values, p.values...)
	}
	for _, part := range s.get("allOf").list() {
		n, v := o.properties(part, depth+1)
		names, values = append(names, n...), append(values, v...)
	}
	return names, values
}

// array finds the array of records in a schema, from the outside in.
func (o *openapi) array(s *node, at string, depth int) (path string, element *node, ok bool) {
	if s = o.deref(s); s == nil || depth > 3 {
		return "", nil, false
	}
	if s.str("type") == "array" || s.get("items") != nil {
		return at, o.deref(s.get("items")), true
	}
	names, values := o.properties(s, 0)
	for i, v := range values {
		if v = o.deref(v); v.str("type") == "array" && !slices.Contains([]string{"errors", "warnings", "links"}, names[i]) {
			return at + member(names[i]), o.deref(v.get("items")), true
		}
	}
	for i, v := range values {
		if p, e, ok := o.array(v, at+member(names[i]), depth+1); ok {
			return p, e, true
		}
	}
	return "", nil, false
}

// parameters reads the parameters of an operation. It returns the cursor parameter, if there is one.
func (o *openapi) parameters(item, op *node, r *request, what string) (cursor string) {
	for _, p := range append(item.get("parameters").list(), op.get("parameters").list()...) {
		if p = o.deref(p); p == nil {
			continue
		}
		name, in := p.str("name"), p.str("in")
		schema := o.deref(p.get("schema"))
		switch {
		case in == "path":
			clean := paramName(name)
			r.path = strings.ReplaceAll(r.path, "{"+name+"}", "${"+clean+"}")
			o.d.param(clean, o.parameter(p, schema), true)
		case in == "query" && (oneOf(offsetWords, name) || oneOf(pageWords, name)):
			r.query.set(name, schema.str("default"))
		case in == "query" && oneOf(limitWords, name):
			size := schema.str("maximum")
			if size == "" {
				size = schema.str("default")
			}
			if size == "" {
				size = "100"
				o.l.add(p, "parameter "+name, "its largest value is not told; 100 is taken")
			}
			r.query.set(name, size)
		case in == "query" && oneOf(cursorWords, name):
			cursor = name
		case p.str("required") == "true" && (in == "query" || in == "header"):
			clean := paramName(name)
			o.d.param(clean, o.parameter(p, schema), true)
			if in == "query" {
				r.query.set(name, "${"+clean+"}")
			} else {
				r.headers.set(name, "${"+clean+"}")
			}
		default:
			o.l.add(p, "parameter "+name+" of "+what, "it is optional (in %s) and not sent", in)
		}
	}
	return cursor
}

func (o *openapi) parameter(p, schema *node) *object {
	kind := schema.str("type")
	if !slices.Contains([]string{"string", "integer", "number", "boolean"}, kind) {
		kind = "string"
	}
	s := obj("type", kind, "description", orNil(strings.TrimSpace(p.str("description"))))
	if e := schema.get("enum"); e != nil {
		s.set("enum", e.plain())
	}
	if d := schema.get("default"); d != nil {
		s.set("default", d.plain())
	}
	return s
}

// paging tells the paging from parameters, answer and headers.
func (o *openapi) paging(r *request, op, schema, header *node, cursor, what string) {
	limit, size := "", any(nil)
	for i, n := range r.query.names {
		if oneOf(limitWords, n) {
			limit, size = n, r.query.values[i]
		}
	}
	local := &losses{}
	before := *r.query
	guessPaging(r, local)
	if r.paging != nil {
		return
	}
	r.query = &before
	token, link := o.nextPlace(schema, "$", 0)
	page := func(kind string, more ...any) {
		r.paging = obj(append([]any{"type", kind}, append(more, "limitName", orNil(limit), "limitValue", size)...)...)
		q := &object{}
		for i, n := range r.query.names {
			if n != limit {
				q.set(n, r.query.values[i])
			}
		}
		r.query = q
	}
	switch {
	case cursor != "" && token != "":
		page("CONTINUATION_TOKEN", "continuationTokenPath", token, "parameterType", "QUERYPARAM", "parameterName", cursor)
	case link != "":
		page("POINTER", "pointerPath", link)
	case header.get("Link") != nil || header.get("link") != nil:
		r.ext("LINK", "paging", "type")
	case cursor != "":
		o.l.add(op, "paging of "+what, "the parameter %s looks like a cursor, but no member of the answer is known to hold the next one; the first page alone is read", cursor)
	default:
		o.l.add(op, "paging of "+what, "no paging was found; one request is made")
	}
}

// nextPlace finds the members of an answer that hold the next token or link.
func (o *openapi) nextPlace(s *node, at string, depth int) (token, link string) {
	if depth > 2 {
		return "", ""
	}
	names, values := o.properties(s, 0)
	for i, n := range names {
		v := o.deref(values[i])
		lower := strings.ToLower(n)
		switch {
		case strings.Contains(lower, "next") && v.str("format") == "uri", strings.Contains(lower, "next") && (strings.Contains(lower, "url") || strings.Contains(lower, "link") || strings.Contains(lower, "uri")):
			link = at + member(n)
		case lower == "next" && v.str("type") == "string" && strings.HasSuffix(at, "links"):
			link = at + member(n)
		case (strings.Contains(lower, "next") || oneOf(cursorWords, n)) && v.str("type") != "boolean" && len(v.get("properties").memberNames()) == 0:
			token = at + member(n)
		}
	}
	for i, n := range names {
		if token != "" || link != "" {
			break
		}
		if v := o.deref(values[i]); v.get("properties") != nil {
			token, link = o.nextPlace(v, at+member(n), depth+1)
		}
	}
	return token, link
}

// memberNames are the names of members, none for what is no object.
func (n *node) memberNames() []string {
	if n == nil {
		return nil
	}
	return n.names
}

func (o *openapi) body(b *node, r *request, what string) {
	c := b.get("content")
	for i, kind := range c.memberNames() {
		v := c.values[i]
		if strings.Contains(kind, "json") {
			if ex := v.get("example"); ex.isObject() {
				r.body = ex.plain()
				o.l.add(b, "requestBody of "+what, "its example was taken as the body; check it")
				return
			}
		}
	}
	o.l.add(b, "requestBody of "+what, "there is no example to take as the body")
}

// auth makes an auth spec of every security scheme that can be.
func (o *openapi) auth() {
	all := o.doc.path("components", "securitySchemes")
	if all == nil {
		return
	}
	for i, name := range all.names {
		s := o.deref(all.values[i])
		var spec *object
		switch kind := s.str("type"); {
		case kind == "apiKey":
			spec = keySpec(s.str("in"), s.str("name"), "")
		case kind == "http" && strings.EqualFold(s.str("scheme"), "bearer"):
			spec = bearerSpec()
		case kind == "http" && strings.EqualFold(s.str("scheme"), "basic"):
			spec = basicSpec()
		case kind == "oauth2" && s.path("flows", "clientCredentials") != nil:
			spec = clientCredentialSpec(s.str("flows", "clientCredentials", "tokenUrl"))
		case kind == "oauth2" && s.path("flows", "authorizationCode") != nil:
			flow := s.path("flows", "authorizationCode")
			spec = refreshSpec(flow.str("tokenUrl"))
			spec.set("attributes", obj("weir", obj("consent", obj("authorizeUrl", flow.str("authorizationUrl"), "scope", orNil(strings.Join(flow.get("scopes").memberNames(), " "))))))
		default:
			o.l.add(s, "security scheme "+name, "%s is not carried over", strings.TrimSpace(kind+" "+s.str("scheme")))
			continue
		}
		for _, old := range o.d.auth {
			if old.get("name") == spec.get("name") {
				spec.set("name", fmt.Sprintf("%v (%s)", spec.get("name"), name))
			}
		}
		o.d.auth = append(o.d.auth, spec)
	}
}
