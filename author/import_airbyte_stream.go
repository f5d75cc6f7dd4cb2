package author

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// stream reads one entry of streams.
func (a *airbyte) stream(s *node) {
	name := a.field(s, "name").text()
	switch t := a.kind(s); t {
	case "DeclarativeStream", "":
		a.add(s, name, nil)
	case "ConditionalStreams":
		a.l.note(s.get("condition"), true, "condition of streams", "a connection takes the streams it has; those of the condition are streams like the others")
		for _, inner := range s.get("streams").list() {
			a.stream(inner)
		}
	case "StateDelegatingStream":
		a.delegating(s, name)
	case "Custom":
	default:
		a.l.drop(s, "stream "+or(name, t), "streams of type %s are not carried over", t)
	}
}

// add reads a stream and puts it to the others. full, if not nil, is the definition of a run that reads everything.
func (a *airbyte) add(s *node, name string, full *object) {
	r, parts, ok := a.retrieve(s, 0, name)
	if !ok {
		return
	}
	if len(parts) > 0 {
		r.ext(parts, "partition")
	}
	if full != nil {
		r.ext(full, "retention")
	}
	if r.title = name; r.title == "" {
		r.title = "stream"
	}
	a.names, a.list = append(a.names, uniqueName(or(paramName(name), "stream"), a.names)), append(a.list, r)
}

// delegating reads a stream with a twin for runs that read everything.
func (a *airbyte) delegating(s *node, name string) {
	twin := s.get("full_refresh_stream")
	if twin == nil || s.get("incremental_stream") == nil {
		a.l.drop(s, "stream "+name, "it has not both of its streams")
		return
	}
	r, parts, ok := a.retrieve(twin, 0, or(name, a.field(twin, "name").text()))
	if !ok {
		return
	}
	if len(parts) > 0 {
		r.ext(parts, "partition")
	}
	full := obj("first", true, "full", parentAttributes(r))
	if p := s.get("api_retention_period"); p != nil {
		if d, err := isoDuration(p.text()); err == nil && d > 0 {
			full.set("keeps", p.text())
		} else {
			a.l.add(p, "api_retention_period", "%q is not a length of days and hours", p.text())
		}
	}
	a.add(s.get("incremental_stream"), or(name, a.field(s.get("incremental_stream"), "name").text()), full)
}

// dynamic reads streams that are made of a template: those whose values stand in the manifest.
func (a *airbyte) dynamic(s *node) {
	name := a.field(s, "name").text()
	resolver := s.get("components_resolver")
	if t := a.kind(resolver); t != "ParametrizedComponentsResolver" {
		a.l.drop(s, "dynamic stream "+name, "%s asks for the names of streams at run time; a spec has the streams it has", or(t, "its resolver"))
		return
	}
	s.str("type")
	template := s.get("stream_template")
	resolver.path("stream_parameters", "type").text()
	for i, values := range resolver.path("stream_parameters", "list_of_parameters_for_stream").list() {
		one := template.copy()
		for _, m := range resolver.get("components_mapping").list() {
			m.str("type")
			m.str("value_type")
			path := texts(m.get("field_path"))
			v, ok := componentValue(m.get("value"), values)
			if len(path) == 0 || !ok {
				a.l.drop(m, "components_mapping", "%q is more than a value of the list", m.str("value"))
				continue
			}
			one.put(path, v)
		}
		a.add(one, or(a.field(one, "name").text(), name+"_"+strconv.Itoa(i+1)), nil)
	}
}

// componentValue is the value of a mapping for one element of the list.
func componentValue(n, values *node) (*node, bool) {
	t, err := parseTemplate(n.text())
	if err != nil {
		return nil, false
	}
	out := *n
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i == len(t.exprs) {
			break
		}
		root, members, ok := t.exprs[i].path()
		if !ok || root != "components_values" {
			return nil, false
		}
		v := values.path(members...)
		if t.only() != nil && v != nil {
			return v, true
		}
		b.WriteString(v.text())
	}
	out.scalar = b.String()
	return &out, true
}

// copy is the same value, made anew as far down as there are objects and lists.
func (n *node) copy() *node {
	if n == nil {
		return nil
	}
	out := *n
	out.from = n
	out.names = slices.Clone(n.names)
	out.values = make([]*node, len(n.values))
	for i, v := range n.values {
		out.values[i] = v.copy()
	}
	return &out
}

// put sets a value at a path of names; what is on the way is made.
func (n *node) put(path []string, v *node) {
	for len(path) > 1 {
		next := member2(n, path[0])
		if next == nil {
			next = &node{kind: objectNode, line: v.line, at: v.at}
			n.set(path[0], next)
		}
		n, path = next, path[1:]
	}
	if old := member2(n, path[0]); old != nil {
		old.mark(true)
	}
	n.set(path[0], v)
}

// retrieve reads what a stream requests, and its levels of parents.
func (a *airbyte) retrieve(s *node, depth int, name string) (r *request, parts []any, ok bool) {
	if depth > 5 {
		a.l.drop(s, "stream "+name, "its parents are nested too deeply")
		return nil, nil, false
	}
	if t := a.kind(s); t == "StateDelegatingStream" {
		return a.retrieve(s.get("full_refresh_stream"), depth, name)
	}
	v := s.get("retriever")
	t := a.kind(v)
	if t == "Custom" || v == nil || t != "SimpleRetriever" && t != "AsyncRetriever" && t != "" {
		a.l.drop(s, "stream "+name, "a retriever of type %s is not carried over", or(t, "none"))
		return nil, nil, false
	}
	outer := a.cur
	defer func() { a.cur = outer }()
	r = &request{query: &object{}, headers: &object{}}
	a.cur = a.newStream(name, r)
	a.cur.cursor = a.newCursor(s.get("incremental_sync"))
	a.field(s, "name").text()
	a.field(v, "name").text()
	a.selector(v.get("record_selector"), r, s.get("transformations"))
	parts = a.routers(v.get("partition_router"), r, depth)
	if t == "AsyncRetriever" {
		ok = a.async(v, r)
	} else {
		ok = a.simple(v, r)
	}
	if !ok {
		a.l.drop(s, "stream "+name, "its requester is not carried over")
		return nil, nil, false
	}
	a.cur.cursor.write(r)
	a.keys(or2(a.field(s, "primary_key"), v.get("primary_key")), r)
	a.transformations(s.get("transformations").list(), parts, r)
	if m := s.get("state_migrations"); m != nil {
		a.l.note(m, true, "state_migrations", "states of the other program are not read; a new flow begins with a backfill")
	}
	if f := s.get("file_uploader"); f != nil {
		a.l.drop(f, "file_uploader", "files beside the records are not downloaded")
	}
	a.schemas(s.get("schema_loader"), r)
	return r, parts, true
}

// simple reads a SimpleRetriever.
func (a *airbyte) simple(v *node, r *request) bool {
	if !a.requester(v.get("requester"), r) {
		return false
	}
	a.decoder(v.get("decoder"), r)
	a.paginator(v.get("paginator"), r)
	a.reset(v.get("pagination_reset"))
	if i := v.get("ignore_stream_slicer_parameters_on_paginated_requests"); i.text() == "true" && (r.paging.get("type") != "POINTER" && r.paging.get("type") != "NONE") {
		a.l.add(i, "ignore_stream_slicer_parameters_on_paginated_requests", "every page is asked for with the same parameters")
	}
	return true
}

// newStream prepares what the parts of a stream know of each other.
func (a *airbyte) newStream(name string, r *request) *streamImport {
	c := &streamImport{name: name, r: r}
	env := func(roots map[string]string) *celEnv { return &celEnv{roots: roots, param: a.celParam} }
	c.env, c.pages, c.records = env(requestRoots), env(pageRoots), env(recordRoots)
	c.env.windows = &c.windows
	return c
}

// keys reads the members that tell records apart.
func (a *airbyte) keys(k *node, r *request) {
	var paths []string
	for _, one := range k.list() {
		path := pathIn(texts(one))
		if path != "$" && path != "$['']" {
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		r.ext(paths, "key")
	}
}

// schemas reads how the schema of the records is known.
func (a *airbyte) schemas(n *node, r *request) {
	for _, l := range n.list() {
		switch t := a.kind(l); t {
		case "InlineSchemaLoader":
			s, _ := cleanSchema(l.get("schema").plain()).(*object)
			if s.get("properties") == nil {
				continue // it says nothing about the records
			}
			if r.schema == nil {
				r.schema = s
				continue
			}
			have, _ := r.schema.(*object)
			mergeSchema(have, s)
		case "DynamicSchemaLoader":
			a.schemaFrom(l, r)
		case "JsonFileSchemaLoader":
			a.l.drop(l, t, "the file is not part of the manifest; explore infers the schema from records")
		case "Custom":
		default:
			a.l.drop(l, or(t, "schema_loader"), "it is not carried over; explore infers the schema from records")
		}
	}
}

// cleanSchema is a schema without what says that values may be missing: all values may.
func cleanSchema(v any) any {
	switch v := v.(type) {
	case *object:
		out := &object{}
		for i, n := range v.names {
			if n == "$schema" || n == "$parameters" {
				continue
			}
			if list, ok := v.values[i].([]any); ok && n == "type" {
				list = slices.DeleteFunc(slices.Clone(list), func(t any) bool { return t == "null" })
				if len(list) == 1 {
					out.set(n, list[0])
					continue
				}
				out.set(n, list)
				continue
			}
			out.set(n, cleanSchema(v.values[i]))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cleanSchema(v[i])
		}
		return out
	}
	return v
}

// mergeSchema adds the properties of a schema that another one does not have.
func mergeSchema(to, from *object) {
	for i, n := range from.names {
		if to.get(n) == nil {
			to.set(n, from.values[i])
		}
	}
	have, _ := to.get("properties").(*object)
	more, _ := from.get("properties").(*object)
	for i, n := range more.names {
		if have.get(n) == nil {
			have.set(n, more.values[i])
		}
	}
}

// schemaFrom reads a schema that the source itself describes.
func (a *airbyte) schemaFrom(l *node, r *request) {
	id := l.get("schema_type_identifier")
	a.kind(id)
	own, _, ok := a.retrieve(&node{kind: objectNode, line: l.line, at: l.at, names: []string{"retriever"}, values: []*node{l.get("retriever")}}, 1, a.cur.name+" schema")
	if !ok {
		return
	}
	content, _ := own.content.(string)
	path := func(n *node) string {
		names := []string{}
		for _, m := range n.list() {
			names = append(names, a.template(m, "schema_type_identifier"))
		}
		return pathIn(names)
	}
	fields := content + strings.TrimPrefix(path(id.get("schema_pointer")), "$")
	rules := obj("request", parentAttributes(own), "fields", fields, "name", path(id.get("key_pointer")))
	if t := id.get("type_pointer"); t != nil {
		rules.set("type", path(t))
	}
	types := &object{}
	for _, m := range id.get("types_mapping").list() {
		a.kind(m)
		target, current := m.get("target_type"), m.get("current_type")
		if c := m.get("condition"); c != nil || target.kind != scalarNode || current.kind != scalarNode {
			a.l.drop(m, "types_mapping", "a type that is not one word for another is not carried over")
			continue
		}
		types.set(current.text(), or(map[string]string{"timestamp_with_timezone": "date-time", "timestamp_without_timezone": "date-time", "date": "date"}[target.text()], target.text()))
	}
	if !types.empty() {
		rules.set("types", types)
	}
	if f := l.get("schema_filter"); f != nil {
		a.l.drop(f, "schema_filter", "every field of the description is in the schema")
	}
	if t := l.get("schema_transformations"); t != nil {
		a.l.drop(t, "schema_transformations", "the schema has the names of the description")
	}
	r.ext(rules, "schemaFrom")
}

// emptyObject is {}.
var emptyObject = json.RawMessage("{}")
