package author

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// requester reads an HttpRequester into a request.
func (a *airbyte) requester(q *node, r *request) bool {
	if t := a.kind(q); t != "HttpRequester" && t != "" || q == nil {
		return false
	}
	a.address(q, r)
	options := q
	if p := q.get("request_options_provider"); p != nil {
		if a.kind(p) == "Custom" {
			return false
		}
		options = p
	}
	for _, part := range []struct {
		name, in string
		to       *object
	}{{"request_parameters", "query", r.query}, {"request_headers", "header", r.headers}} {
		a.parameters(a.field(options, part.name), part.to, part.in)
	}
	a.body(options, r)
	if u := q.get("use_cache"); u.text() == "true" {
		a.l.note(u, true, "use_cache", "a run asks for each page once; other streams ask on their own")
	}
	for _, m := range []string{"query_properties", "fetch_properties_from_endpoint"} {
		if p := q.get(m); p != nil {
			a.properties(p, nil, r)
		}
	}
	a.field(q, "name").text()
	a.authenticator(q.get("authenticator"))
	a.errors(q.get("error_handler"), r)
	return true
}

// address reads where a request goes.
func (a *airbyte) address(q *node, r *request) {
	method := strings.ToUpper(or(a.field(q, "http_method").text(), a.field(q, "method").text()))
	r.method = or(method, "GET")
	base := a.pathText(or2(a.field(q, "url_base"), a.field(q, "url")), "url")
	if path := a.pathText(a.field(q, "path"), "path"); path != "" {
		base = strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
	}
	r.host, r.path = splitURL(base, r.query)
}

// parameters reads names and values into to. Bounds of the window go to the cursor, the next position to the paging.
func (a *airbyte) parameters(n *node, to *object, in string) {
	if n == nil {
		return
	}
	if !n.isObject() {
		if text, ok := a.fill(n, "request options"); ok && text != "" {
			if in != "query" {
				a.l.add(n, "request options", "a text of headers is not carried over")
				return
			}
			_, _ = splitURL("https://x/?"+text, to)
		}
		return
	}
	n.mark(false)
	for i, name := range n.names {
		v := n.values[i]
		if strings.HasPrefix(name, "$") {
			continue
		}
		v.mark(false)
		name = a.template(&node{scalar: name, line: v.line, at: v.at}, "name of a parameter")
		if memberText(v, "type") == "QueryProperties" {
			a.properties(v, obj(in, name), a.cur.r)
			continue
		}
		if a.cur.cursor.takes(a, v, obj(in, name)) || a.takesToken(v, in, name) {
			continue
		}
		if v.kind == listNode {
			for _, e := range v.values {
				to.add(name, a.template(e, name))
			}
			continue
		}
		if v.isObject() {
			v.mark(true)
			a.l.drop(v, name, "an object as a parameter is not carried over")
			continue
		}
		if text, ok := a.fill(v, name); ok && text != "" {
			to.set(name, text)
		}
	}
}

// takesToken uses a request value that is the next position.
func (a *airbyte) takesToken(v *node, in, name string) bool {
	if v.kind != scalarNode || !strings.Contains(v.text(), "next_page_token") {
		return false
	}
	root, members, ok := simplePath(v.text())
	if !ok || root != "next_page_token" || len(members) > 1 {
		return false
	}
	a.cur.tokenIn, a.cur.token = in, name
	return true
}

// body reads the kinds of bodies.
func (a *airbyte) body(q *node, r *request) {
	j, d := a.field(q, "request_body_json"), a.field(q, "request_body_data")
	if b := a.field(q, "request_body"); b != nil {
		switch t := b.str("type"); t {
		case "RequestBodyJsonObject":
			j = b.get("value")
		case "RequestBodyGraphQL":
			a.graphql(b.get("value"), r)
			return
		case "RequestBodyUrlEncodedForm", "RequestBodyPlainText":
			d = b.get("value")
		default:
			a.l.drop(b, or(t, "request_body"), "this body is not carried over")
		}
	}
	switch {
	case j.isObject():
		j.mark(false)
		tree := a.tree(j, "$")
		if r.method == "POST" {
			r.body = tree
		} else {
			r.ext(obj("kind", "json", "value", tree), "body")
		}
	case j != nil && j.text() != "":
		if text, ok := a.fill(j, "request_body_json"); ok {
			r.ext(obj("kind", "text", "text", text, "type", "application/json"), "body")
		}
	case d.isObject():
		form := &object{}
		a.parameters(d, form, "body")
		r.ext(obj("kind", "form", "form", form), "body")
	case d != nil && d.text() != "":
		if text, ok := a.fill(d, "request_body_data"); ok {
			r.ext(obj("kind", "text", "text", text), "body")
		}
	}
}

// graphql reads a GraphQL body. The document is taken as it is, so nothing in it may be computed.
func (a *airbyte) graphql(v *node, r *request) {
	q := v.get("query")
	if strings.Contains(q.text(), "{{") || strings.Contains(q.text(), "{%") {
		a.l.add(q, "query", "a GraphQL document with expressions is not carried over as GraphQL; put what changes into its variables")
	}
	vars := any(emptyObject)
	if n := v.get("variables"); n.isObject() {
		n.mark(false)
		vars = a.tree(n, "$.variables")
	}
	r.ext(obj("kind", "graphql", "query", q.text(), "variables", vars), "body")
}

// tree fills the texts of a body.
func (a *airbyte) tree(n *node, at string) any {
	n.mark(false)
	switch n.kind {
	case objectNode:
		o := &object{}
		for i, name := range n.names {
			if strings.HasPrefix(name, "$") {
				continue
			}
			here, v := at+member(name), n.values[i]
			v.mark(false)
			if a.cur.cursor.takes(a, v, obj("body", here)) || a.takesToken(v, "body", here) {
				continue
			}
			o.set(name, a.tree(v, here))
		}
		return o
	case listNode:
		out := []any{}
		for i, v := range n.values {
			out = append(out, a.tree(v, at+"["+strconv.Itoa(i)+"]"))
		}
		return out
	}
	if s, ok := n.scalar.(string); ok && (strings.Contains(s, "{{") || strings.Contains(s, "{%")) {
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

// pathText is template for an address: each expression has a placeholder of its own.
func (a *airbyte) pathText(n *node, what string) string {
	if n == nil {
		return ""
	}
	t, err := parseTemplate(n.text())
	if err != nil {
		a.l.add(n, what, "%s", err)
		return ""
	}
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i == len(t.exprs) {
			break
		}
		part, _, err := a.constant(t.exprs[i])
		if err != nil {
			part, err = a.computed(n, what, t.exprs[i])
		}
		if err != nil {
			a.l.add(n, what, "the expression in %q is not carried over: %s", n.text(), err)
			return ""
		}
		b.WriteString(part)
	}
	return b.String()
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
	for i, e := range t.exprs {
		b.WriteString(t.texts[i])
		part, sure, err := a.constant(e)
		if err != nil || !sure && a.cur != nil {
			if part, err = a.computed(n, what, t.whole()); err == nil {
				return part, true
			}
			a.l.add(n, what, "the expression in %q is not carried over: %s", n.text(), err)
			return "", false
		}
		b.WriteString(part)
	}
	b.WriteString(t.texts[len(t.texts)-1])
	return b.String(), true
}

// computed makes a placeholder whose value is computed for each request.
func (a *airbyte) computed(n *node, what string, e *expr) (string, error) {
	if a.cur == nil {
		return "", errors.New("it is more than a member of config or parameters")
	}
	var x string
	var err error
	if e.op == "concat" || timeCall(e) {
		x, err = a.cur.env.text(e)
	} else {
		x, err = a.cur.env.cel(e)
	}
	if err != nil {
		return "", err
	}
	all, ok := a.cur.r.weir.get("let").(*object)
	if !ok {
		all = &object{}
		a.cur.r.ext(all, "let")
	}
	for i, v := range all.values {
		if v == x {
			return "${" + all.names[i] + "}", nil
		}
	}
	name := what
	if i := strings.LastIndexByte(n.at, '/'); i >= 0 && strings.HasPrefix(what, "/") {
		name = n.at[i+1:]
	}
	name = paramName(name)
	if _, taken := a.params[name]; taken || a.props.get(name) != nil || name[0] >= '0' && name[0] <= '9' {
		name = "value_" + name
	}
	name = uniqueName(name, all.names)
	all.set(name, x)
	return "${" + name + "}", nil
}

// constant writes an expression of a request: a constant, or a placeholder. sure tells that there is always a value.
func (a *airbyte) constant(e *expr) (text string, sure bool, err error) {
	if root, members, ok := e.path(); ok && (len(members) > 0 || root == "download_target") {
		return a.reference(root, members)
	}
	switch e.op {
	case "text", "number":
		return e.text, true, nil
	case "word":
		if e.text == "none" {
			return "", true, nil
		}
		return e.text, true, nil
	case "filter":
		if len(e.args) == 1 && slices.Contains([]string{"string", "int", "safe"}, e.text) || e.text == "join" && len(e.args) == 2 && e.args[1].text == "," {
			return a.constant(e.args[0])
		}
	case "or", "if", "call":
		if members, d, ok := a.fallback(e); ok {
			text, _, err := a.reference("config", members)
			if s, isObj := a.d.params.get(strings.Trim(text, "${}")).(*object); err == nil && isObj && d != "" {
				if s.get("default") == nil {
					s.set("default", d)
				}
				a.d.needs = slices.DeleteFunc(a.d.needs, func(x string) bool { return "${"+x+"}" == text })
				return text, true, nil
			}
			return text, false, err
		}
	}
	return "", false, errors.New("it is more than a member of config or parameters")
}

// fallback reads config['x'] or 'd', config.get('x', 'd') and config['x'] if … else 'd'.
func (a *airbyte) fallback(e *expr) (members []string, d string, ok bool) {
	read := func(x, y *expr) ([]string, string, bool) {
		root, members, ok := x.path()
		if !ok || root != "config" || len(members) == 0 || y.op != "text" && y.op != "number" && y.op != "word" {
			return nil, "", false
		}
		if y.op == "word" {
			return members, "", y.text == "none"
		}
		return members, y.text, true
	}
	switch {
	case e.op == "or":
		return read(e.args[0], e.args[1])
	case e.op == "if":
		tested, _, _ := e.args[0].path()
		if tested != "config" && e.args[0].op != "in" {
			return nil, "", false
		}
		return read(e.args[1], e.args[2])
	case len(e.args) == 3 && e.args[0].op == "member" && e.args[0].text == "get" && e.args[1].op == "text":
		return read(&expr{op: "member", text: e.args[1].text, args: []*expr{e.args[0].args[0]}}, e.args[2])
	}
	return nil, "", false
}

// reference writes a member of config, or a parent's value, as a placeholder.
func (a *airbyte) reference(root string, members []string) (text string, sure bool, err error) {
	if a.cur != nil {
		if text, ok := a.cur.job.reference(root, members); ok {
			return text, true, nil
		}
	}
	switch root {
	case "parameters":
		return "", false, fmt.Errorf("parameters.%s is not set", members[0])
	case "config":
		name, err := a.celParam(members)
		if err != nil {
			return "", false, err
		}
		s, _ := a.d.params.get(name).(*object)
		return "${" + name + "}", slices.Contains(a.d.needs, name) || s.get("default") != nil, nil
	case "stream_partition", "stream_slice":
		if a.cur != nil {
			if _, is := a.cur.env.bound(root, members); is {
				return "", false, errors.New("a bound of the window")
			}
		}
		if len(members) > 1 && (members[0] == "extra_fields" || members[0] == "parent_slice") {
			members = members[1:]
		}
		if len(members) == 1 {
			return "${" + paramName(members[0]) + "}", true, nil
		}
	}
	return "", false, fmt.Errorf("%s.%s is not known when a request is made", root, strings.Join(members, "."))
}

// property is the schema of a member of config, looked for in alternatives too.
func (a *airbyte) property(members []string) *node {
	at := &node{kind: objectNode, names: []string{"properties"}, values: []*node{a.props}}
	if a.props == nil {
		return nil
	}
	for _, m := range members {
		next := at.path("properties", m)
		for _, word := range []string{"oneOf", "anyOf", "allOf"} {
			for _, alternative := range at.get(word).list() {
				if next == nil {
					next = alternative.path("properties", m)
				}
			}
		}
		if at = next; at == nil {
			return nil
		}
	}
	return at
}

// celParam is the source parameter of a member of config; it is made when there is none.
func (a *airbyte) celParam(members []string) (string, error) {
	members = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return strings.HasPrefix(m, "\x00") })
	if len(members) == 0 {
		return "", errors.New("config as a whole is not known")
	}
	a.config[members[0]] = true
	p := a.property(members)
	if p.str("airbyte_secret") == "true" {
		return "", fmt.Errorf("config.%s is a secret, and secrets go into requests by an authenticator alone", strings.Join(members, "."))
	}
	path := strings.Join(members, ".")
	name := paramName(members[len(members)-1])
	if old, taken := a.params[name]; taken && old != path {
		name = paramName(strings.Join(members, "_"))
	}
	a.params[name] = path
	required := false
	for _, r := range a.doc.path("spec", "connection_specification", "required").list() {
		required = required || len(members) == 1 && r.text() == members[0]
	}
	s := a.paramSchema(p)
	a.d.param(name, s, required && s.get("default") == nil)
	return name, nil
}

// paramSchema is the schema of a member of config as that of a parameter.
func (a *airbyte) paramSchema(p *node) *object {
	out := obj("type", "string")
	all, _ := cleanSchema(p.plain()).(*object)
	if all == nil {
		return out
	}
	for i, n := range all.names {
		switch v := all.values[i]; {
		case n == "airbyte_secret":
		case n == "title" && all.get("description") != nil && v != all.get("description"):
			out.set(n, v)
		case n == "title":
			out.set("description", v)
		case v != nil:
			out.set(n, v)
		}
	}
	return out
}

// unused notes members of config that nothing reads.
func (a *airbyte) unused() {
	if a.props == nil {
		return
	}
	for i, name := range a.props.names {
		switch p := a.props.values[i]; {
		case !a.config[name] && !a.secret[name]:
			a.l.note(p, true, "config."+name, "nothing that was carried over reads it")
		case !p.deep:
			a.l.note(p, true, "config."+name, "its members became parameters")
		}
	}
}

// properties reads a list of fields that has to be asked for, at a place of the request.
func (a *airbyte) properties(p *node, at *object, r *request) {
	lose := func(why string) {
		a.l.drop(p, or(memberText(p, "type"), "query_properties"), "%s", why)
	}
	chunks := p.get("property_chunking")
	merge := chunks.get("record_merge_strategy")
	keys := texts(merge.get("key"))
	each := atoi(chunks.str("property_limit"))
	list := or2(p.get("property_list"), p)
	switch {
	case at == nil:
		lose("where the fields go is not told; name them in a parameter")
		return
	case chunks == nil:
		each = 500
	case chunks.str("property_limit_type") != "property_count" || each <= 0:
		lose("fields are counted, not their characters")
		return
	case len(keys) > 1:
		lose("answers are put together by one member of the records")
		return
	}
	p.str("type")
	chunks.str("type")
	merge.str("type")
	if s := p.get("property_selector"); s != nil {
		a.l.note(s, true, "property_selector", "all fields are asked for")
	}
	always := texts(p.get("always_include_properties"))
	names := []string{}
	if list.kind == listNode {
		for _, n := range list.list() {
			names = append(names, a.template(n, "property_list"))
		}
	}
	if chunks == nil && len(names) > 0 && at.str("query") != "" {
		r.query.set(at.str("query"), strings.Join(append(always, names...), ","))
		return
	}
	rules := obj("each", each, "key", "$"+member(or(strings.Join(keys, ""), "id")), "inject", at)
	if len(names) > 0 {
		rules.set("names", names)
	} else if !a.propertiesFrom(list, r) {
		lose("the list of fields is not carried over")
		return
	}
	if len(always) > 0 {
		rules.set("always", always)
	}
	r.ext(rules.ordered("names", "each", "always", "key", "inject"), "fields")
}

// propertiesFrom reads fields that the source itself lists.
func (a *airbyte) propertiesFrom(n *node, r *request) bool {
	if n.str("type") != "PropertiesFromEndpoint" {
		return false
	}
	own, _, ok := a.retrieve(&node{kind: objectNode, line: n.line, at: n.at, names: []string{"retriever"}, values: []*node{n.get("retriever")}}, 1, a.cur.name+" fields")
	if !ok {
		return false
	}
	content, _ := own.content.(string)
	names := []string{}
	for _, m := range n.get("property_field_path").list() {
		names = append(names, a.template(m, "property_field_path"))
	}
	r.ext(obj("request", parentAttributes(own), "fields", content, "name", pathIn(names)), "schemaFrom")
	return true
}

// value writes a template over answers or records as CEL.
func (a *airbyte) value(n *node, env *celEnv) (string, error) {
	t, err := parseTemplate(n.text())
	if err != nil {
		return "", err
	}
	return env.cel(t.whole())
}

// condition writes a condition as CEL; "" for none.
func (a *airbyte) condition(n *node, env *celEnv) (string, error) {
	t, err := parseTemplate(n.text())
	if err != nil || n.text() == "" {
		return "", err
	}
	return env.truth(t.whole())
}

// simplePath is the chain of members that a text is, and nothing else.
func simplePath(text string) (root string, members []string, ok bool) {
	t, err := parseTemplate(text)
	if err != nil || t.only() == nil {
		return "", nil, false
	}
	return t.only().path()
}

// rawNumber is a number for JSON.
func rawNumber(text string) any {
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return nil
	}
	return json.Number(text)
}
