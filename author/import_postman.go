package author

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// ImportPostman makes a spec of a Postman collection (v2.1): every request that reads becomes a stream.
func ImportPostman(data []byte) (*Import, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	if doc.get("item") == nil {
		return nil, errors.New("the document is not a Postman collection: it has no item")
	}
	p := &postman{l: &losses{}, d: &draft{name: doc.str("info", "name")}, vars: map[string]string{}}
	if p.d.name == "" {
		p.d.name = "postman"
	}
	for _, v := range doc.get("variable").list() {
		p.vars[v.str("key")] = v.str("value")
	}
	p.refuse(doc)
	p.auth(doc.get("auth"))
	p.items(doc, "", 0)
	if len(p.streams) == 0 {
		return nil, errors.New("the collection has no request that reads")
	}
	p.d.source = joinStreams(p.names, p.streams)
	p.d.choice(p.names)
	return p.d.finish(p.l), nil
}

type postman struct {
	l       *losses
	d       *draft
	vars    map[string]string
	names   []string
	streams []*request
}

// refuse notes what runs code.
func (p *postman) refuse(n *node) {
	for _, e := range n.get("event").list() {
		if code := strings.TrimSpace(strings.Join(texts(e.path("script", "exec")), "\n")); code != "" {
			p.l.add(e, e.str("listen")+" script", "scripts are not carried over")
		}
	}
}

func texts(n *node) []string {
	var out []string
	for _, v := range n.list() {
		out = append(out, v.text())
	}
	return out
}

// items walks folders and requests.
func (p *postman) items(n *node, folder string, depth int) {
	for _, it := range n.get("item").list() {
		p.refuse(it)
		if it.get("item") != nil && depth < 20 {
			p.items(it, folder+it.str("name")+" ", depth+1)
			continue
		}
		p.request(it, folder)
	}
}

func (p *postman) request(it *node, folder string) {
	q := it.get("request")
	if q == nil {
		return
	}
	r := &request{query: &object{}, headers: &object{}, method: strings.ToUpper(q.str("method"))}
	if r.method == "" {
		r.method = "GET"
	}
	if !slices.Contains([]string{"GET", "POST"}, r.method) {
		p.l.add(it, "request "+it.str("name"), "%s does not read records", r.method)
		return
	}
	p.address(q, r)
	for _, h := range q.get("header").list() {
		name := h.str("key")
		if h.str("disabled") == "true" || name == "" {
			continue
		}
		if strings.EqualFold(name, "authorization") && p.d.auth == nil {
			p.d.auth = []*object{authorizationSpec(h.str("value"))}
			continue
		}
		if tellingHeader(name) {
			if p.d.auth == nil {
				p.d.auth = []*object{keySpec("header", name, "")}
			} else if !addKey(p.d.auth[0], "header", name) {
				p.l.add(h, "header "+name, "it looks like a second credential and is not carried over")
			}
			continue
		}
		r.headers.set(name, p.text(h.str("value")))
	}
	if a := q.get("auth"); a != nil && !a.null() {
		if p.d.auth == nil {
			p.auth(a)
		} else if a.str("type") != "noauth" {
			p.l.add(a, "auth of "+it.str("name"), "the spec has one set of auth specs; the first of the collection counts")
		}
	}
	p.body(q.get("body"), r)
	local := &losses{}
	guessPaging(r, local)
	for _, l := range local.list {
		l.Line, l.Pointer = it.line, it.at
		p.l.list = append(p.l.list, l)
	}
	r.content = p.content(it)
	name := uniqueName(paramName(strings.ToLower(folder+it.str("name"))), p.names)
	p.names, p.streams = append(p.names, name), append(p.streams, r)
}

func (p *postman) address(q *node, r *request) {
	u := q.get("url")
	raw := u.text()
	if u.isObject() {
		raw = u.str("raw")
		for _, v := range u.get("variable").list() {
			p.vars[v.str("key")] = v.str("value")
		}
	}
	enabled, query, _ := strings.Cut(raw, "?")
	r.host, r.path = splitURL(p.text(enabled), r.query)
	if !u.isObject() || u.get("query") == nil {
		_, _ = splitURL("https://x/?"+p.text(query), r.query)
	}
	for _, v := range u.get("query").list() {
		if v.str("disabled") == "true" {
			p.l.add(v, "query parameter "+v.str("key"), "it is disabled in the collection and not sent")
			continue
		}
		r.query.add(v.str("key"), p.text(v.str("value")))
	}
	parts := strings.Split(r.path, "/")
	for i, s := range parts {
		if name, ok := strings.CutPrefix(s, ":"); ok && name != "" {
			parts[i] = p.variable(name)
		}
	}
	r.path = strings.Join(parts, "/")
}

// variable is a placeholder for a variable of the collection.
func (p *postman) variable(name string) string {
	clean := paramName(name)
	s := obj("type", "string")
	if v := p.vars[name]; v != "" && !strings.Contains(v, "{{") {
		s.set("default", v)
	}
	p.d.param(clean, s, p.vars[name] == "")
	return "${" + clean + "}"
}

// text replaces {{name}} by placeholders; a variable with a fixed address is put in.
func (p *postman) text(s string) string {
	for range 50 {
		i := strings.Index(s, "{{")
		j := strings.Index(s, "}}")
		if i < 0 || j < i {
			return s
		}
		name := strings.TrimSpace(s[i+2 : j])
		value := p.vars[name]
		if strings.HasPrefix(name, "$") {
			p.l.list = append(p.l.list, Loss{Construct: "{{" + name + "}}", Reason: "dynamic variables are not carried over; it became a source parameter"})
		}
		if !strings.Contains(value, "://") {
			value = p.variable(name)
		}
		s = s[:i] + value + s[j+2:]
	}
	return s
}

// auth reads an auth of a collection or request.
func (p *postman) auth(a *node) {
	if a == nil || a.null() {
		return
	}
	kind := a.str("type")
	value := func(key string) string {
		for _, m := range a.get(kind).list() {
			if m.str("key") == key {
				return m.str("value")
			}
		}
		return a.get(kind).str(key)
	}
	var spec *object
	switch kind {
	case "bearer":
		spec = bearerSpec()
	case "basic":
		spec = basicSpec()
	case "apikey":
		in := "header"
		if value("in") == "query" {
			in = "queryParam"
		}
		spec = keySpec(strings.TrimSuffix(in, "Param"), value("key"), "")
	case "oauth2":
		if g := value("grant_type"); g == "client_credentials" {
			spec = clientCredentialSpec(value("accessTokenUrl"))
		} else {
			spec = refreshSpec(value("accessTokenUrl"))
			p.l.add(a, "oauth2 consent", "the browser part of the grant is not carried over; a connection is given its tokens")
		}
	case "noauth", "":
		return
	default:
		p.l.add(a, "auth "+kind, "this kind of credentials is not carried over")
		return
	}
	p.d.auth = []*object{spec}
}

func (p *postman) body(b *node, r *request) {
	switch mode := b.str("mode"); {
	case b == nil || b.null() || mode == "" || b.str("disabled") == "true":
	case r.method == "GET" && mode != "":
		p.l.add(b, "body of a GET", "it is not sent")
	case mode == "raw":
		text := p.text(b.str("raw"))
		if n, err := parseJSON([]byte(text)); err == nil && n.isObject() {
			r.body = n.plain()
		} else if strings.TrimSpace(text) != "" {
			r.ext(obj("kind", "text", "text", text), "body")
		}
	case mode == "urlencoded":
		form := &object{}
		for _, v := range b.get("urlencoded").list() {
			if v.str("disabled") != "true" {
				form.add(v.str("key"), p.text(v.str("value")))
			}
		}
		r.ext(obj("kind", "form", "form", form), "body")
	case mode == "graphql":
		vars := json.RawMessage("{}")
		if n, err := parseJSON([]byte(b.str("graphql", "variables"))); err == nil && n.isObject() {
			vars = n.json()
		}
		r.ext(obj("kind", "graphql", "query", b.str("graphql", "query"), "variables", vars), "body")
	default:
		p.l.add(b, "body "+mode, "this kind of body is not carried over")
	}
}

// content finds the array of records in a saved example of the answer.
func (p *postman) content(it *node) any {
	for _, ex := range it.get("response").list() {
		if n, err := parseJSON([]byte(ex.str("body"))); err == nil {
			if path, ok := arrayIn(n, "$", 0); ok {
				return contentOf(path)
			}
		}
	}
	p.l.add(it, "contentPath", "there is no saved example of the answer; \"$\" (a bare array) is assumed")
	return "$"
}

// contentOf is the content path of records that stay as they are.
func contentOf(path string) any { return path }

// arrayIn is the path of the first array of objects, looked for from the outside in.
func arrayIn(n *node, at string, depth int) (string, bool) {
	if n == nil || depth > 4 {
		return "", false
	}
	if n.kind == listNode {
		return at, len(n.values) == 0 || n.values[0].isObject()
	}
	for i, v := range n.values {
		if v.kind == listNode && (len(v.values) == 0 || v.values[0].isObject()) {
			return at + member(n.names[i]), true
		}
	}
	for i, v := range n.values {
		if p, ok := arrayIn(v, at+member(n.names[i]), depth+1); ok && v.isObject() {
			return p, true
		}
	}
	return "", false
}

// member is one step of a path.
func member(name string) string {
	if name != "" && notName.FindString(name) == "" {
		return "." + name
	}
	return "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "']"
}

func uniqueName(name string, taken []string) string {
	out := name
	for i := 2; slices.Contains(taken, out); i++ {
		out = name + "_" + strconv.Itoa(i)
	}
	return out
}

// joinStreams makes attributes of several requests: one alone is the spec itself, more become streams. What all have in
// common stands at the top.
func joinStreams(names []string, list []*request) *object {
	if len(list) == 1 {
		return list[0].attributes()
	}
	top := &object{}
	u := obj("host", list[0].host, "path", "/", "method", list[0].method)
	top.set("urlParams", u)
	streams := &object{}
	for i, r := range list {
		own := *r
		if own.host == list[0].host {
			own.host = ""
		}
		if own.method == list[0].method {
			own.method = ""
		}
		streams.set(names[i], own.attributes())
	}
	top.set("weir", obj("streams", streams))
	return top
}
