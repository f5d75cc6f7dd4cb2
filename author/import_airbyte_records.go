package author

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// selector reads where the records are.
func (a *airbyte) selector(s *node, r *request, transforms *node) {
	r.content = "$"
	a.cur.pages.root = true
	if s == nil || a.kind(s) == "Custom" {
		return
	}
	a.extractor(s.get("extractor"), r)
	if n := s.get("schema_normalization"); n != nil {
		if a.kind(n); n.isObject() {
			a.l.drop(n, "schema_normalization", "custom normalization is not carried over")
		} else if n.text() != "None" {
			a.l.note(n, true, "schema_normalization", "values are converted to the types of the dataset's schema by the mapping")
		}
	}
	late := s.get("transform_before_filtering").text() == "true" && len(transforms.list()) > 0
	f := s.get("record_filter")
	if f == nil || a.kind(f) == "Custom" {
		return
	}
	text, err := a.condition(f.get("condition"), a.cur.records)
	if err != nil {
		a.l.drop(f, "record_filter", "%s", err)
		return
	}
	if text == "" {
		return
	}
	if late {
		a.cur.late = text
		return
	}
	r.ext(text, "filter")
}

// extractor reads the path of the records.
func (a *airbyte) extractor(x *node, r *request) {
	switch t := a.kind(x); t {
	case "DpathExtractor", "":
	case "ResponseToFileExtractor":
		return // rows of a file
	case "Custom":
		return
	default:
		a.l.drop(x, t, "this extractor is not carried over; the whole answer is taken for the array")
		return
	}
	var path strings.Builder
	path.WriteString("$")
	list := a.field(x, "field_path").list()
	names := []string{}
	for i, f := range list {
		text := a.template(f, "field_path")
		switch {
		case text == "*" && i == len(list)-1:
			r.ext("keyed", "answer", "records") // the elements of an array, or the members of an object
		case text == "*":
			path.WriteString("[*]")
			names = nil
		case text == "**":
			path.WriteString("[*]")
			names = nil
			a.l.add(f, "field_path **", "any depth is not carried over; one level is read")
		case text != "":
			path.WriteString(member(text))
			if names != nil {
				names = append(names, text)
			}
		}
	}
	r.content = path.String()
	if a.cur.pages.root = len(names) == 0 && path.Len() == 1; len(names) > 0 {
		a.cur.pages.content = names
	}
	a.expander(x.get("record_expander"), r)
}

// expander reads records that stand inside records.
func (a *airbyte) expander(x *node, r *request) {
	if x == nil || a.kind(x) == "Custom" {
		return
	}
	var steps strings.Builder
	for _, f := range x.get("expand_records_from_field").list() {
		steps.WriteString(member(a.template(f, "expand_records_from_field")))
	}
	path := "$" + steps.String()
	r.explode = path
	if x.get("remain_original_record").text() == "true" {
		a.l.note(x.get("remain_original_record"), false, "remain_original_record", "the members of the outer record stand beside those of the inner one, which is below %s", path)
	} else {
		a.cur.prepare = append(a.cur.prepare, obj("lift", obj("path", path, "alone", true)))
	}
	if x.get("on_no_records").text() == "emit_parent" {
		r.ext("keep", "explodeEmpty")
	}
}

// decoder reads how answers are decoded.
func (a *airbyte) decoder(n *node, r *request) {
	var layers []string
	for n != nil {
		t := a.kind(n)
		inner := n.get("decoder")
		switch t {
		case "JsonDecoder", "JsonParser", "":
		case "JsonlDecoder", "JsonLineParser":
			layers = append(layers, "ndjson")
		case "IterableDecoder":
			layers = append(layers, "lines")
		case "XmlDecoder":
			layers = append(layers, "xml")
		case "GzipDecoder", "GzipParser":
			layers = append(layers, "gzip")
			inner = or2(n.get("inner_parser"), inner)
		case "ZipfileDecoder":
			layers = append(layers, "zip")
			inner = or2(n.get("parser"), inner)
		case "CompositeRawDecoder":
			inner = n.get("parser")
		case "CsvDecoder", "CsvParser":
			layers = append(layers, "csv")
			a.csv(n, r)
		case "Custom":
			return
		default:
			a.l.drop(n, t, "this decoder is not carried over")
		}
		if e := n.str("encoding"); e != "" && !strings.EqualFold(e, "utf-8") && !strings.EqualFold(e, "utf-8-sig") {
			r.ext(strings.Replace(strings.ToLower(e), "latin-1", "latin1", 1), "answer", "encoding")
		}
		n = inner
	}
	if len(layers) > 0 {
		r.ext(layers, "answer", "decode")
	}
}

func (a *airbyte) csv(n *node, r *request) {
	if d := n.str("delimiter"); d != "" && d != "," {
		r.ext(strings.ReplaceAll(d, `\t`, "\t"), "answer", "csv", "delimiter")
	}
	if none := texts(n.get("set_values_to_none")); len(none) > 0 {
		r.ext(none, "answer", "csv", "nulls")
	}
}

// transformations read how records are changed.
func (a *airbyte) transformations(list []*node, parts []any, r *request) {
	out := a.cur.prepare
	for _, t := range list {
		when, err := a.condition(t.get("condition"), a.cur.records)
		k := a.kind(t)
		if k == "RemoveFields" {
			env := *a.cur.records
			env.property = true
			when, err = a.condition(t.get("condition"), &env)
		}
		if err != nil {
			a.l.drop(t, k, "its condition: %s", err)
			continue
		}
		add := func(o *object) {
			if when != "" {
				o.set("when", when)
			}
			out = append(out, o)
		}
		switch k {
		case "AddFields":
			a.addFields(t, parts, when, add)
		case "RemoveFields":
			a.removeFields(t, add)
		case "KeysToLower":
			add(obj("keys", "lower"))
		case "KeysToSnakeCase":
			add(obj("keys", "snake"))
		case "FlattenFields":
			add(obj("flatten", obj("lists", t.get("flatten_lists").text() != "false")))
		case "KeysReplace":
			if from, to := a.template(t.get("old"), "old"), a.template(t.get("new"), "new"); from != "" && !strings.Contains(from+to, "${") {
				add(obj("rename", obj("old", from, "new", to)))
			} else {
				a.l.drop(t, k, "names that depend on values are not carried over")
			}
		case "DpathFlattenFields":
			a.lift(t, add)
		case "Custom":
		default:
			a.l.drop(t, k, "this transformation is not carried over")
		}
	}
	if a.cur.late != "" {
		out = append(out, obj("keep", a.cur.late))
	}
	if len(out) > 0 {
		r.ext(out, "prepare")
	}
}

func pathIn(names []string) string {
	var p strings.Builder
	p.WriteByte('$')
	for _, n := range names {
		if n == "*" {
			p.WriteString("[*]")
			continue
		}
		p.WriteString(member(n))
	}
	return p.String()
}

func (a *airbyte) addFields(t *node, parts []any, when string, add func(*object)) {
	for _, f := range t.get("fields").list() {
		f.str("type")
		path := []string{}
		for _, p := range f.get("path").list() {
			path = append(path, a.template(p, "path"))
		}
		v, kind := f.get("value"), f.get("value_type").text()
		if root, members, ok := simplePath(v.text()); ok && when == "" && kind == "" && len(path) == 1 && (root == "stream_partition" || root == "stream_slice") && len(members) == 1 {
			if addsAs(parts, members[0], path[0]) {
				continue // parents' values are in the records on their own
			}
		}
		x, err := a.added(v, kind)
		if err != nil {
			a.l.drop(f, "AddFields "+strings.Join(path, "."), "%s", err)
			continue
		}
		add(obj("set", pathIn(path), "to", x))
	}
}

var numberText = regexp.MustCompile(`^-?(0|[1-9]\d{0,15})(\.\d+)?$`)

// added writes the value of a new member. Text that looks like a number or a truth value is one, unless a type is told.
func (a *airbyte) added(n *node, kind string) (string, error) {
	t, err := parseTemplate(n.text())
	if err != nil {
		return "", err
	}
	e := t.whole()
	x, err := a.cur.records.cel(e)
	if err != nil {
		return "", err
	}
	switch {
	case e.op == "text" && kind == "":
		if numberText.MatchString(e.text) {
			return e.text, nil
		}
		if word, ok := map[string]string{"True": "true", "False": "false", "None": "none"}[e.text]; ok {
			return word, nil
		}
		return x, nil
	case kind == "" || e.op == "text" && kind == "string":
		return x, nil
	}
	fn, ok := map[string]string{"string": "string", "integer": "int", "number": "double", "boolean": "bool"}[kind]
	if !ok {
		return "", errors.New("the type " + kind + " is not known")
	}
	if e.op == "text" || e.op == "number" {
		return fn + "(" + x + ")", nil
	}
	return "(dyn(" + x + ") != null ? dyn(" + fn + "(" + x + ")) : none)", nil
}

func (a *airbyte) removeFields(t *node, add func(*object)) {
	var paths []string
	for _, p := range t.get("field_pointers").list() {
		names := []string{}
		for _, n := range p.list() {
			names = append(names, a.template(n, "field_pointers"))
		}
		if slices.Contains(names, "**") {
			a.l.drop(p, "RemoveFields "+strings.Join(names, "."), "members at any depth are not removed")
			continue
		}
		if path := pathIn(names); path != "$" {
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		add(obj("remove", paths))
	}
}

func (a *airbyte) lift(t *node, add func(*object)) {
	names := []string{}
	for _, n := range t.get("field_path").list() {
		names = append(names, a.template(n, "field_path"))
	}
	if len(names) == 0 || slices.Contains(names, "**") {
		a.l.drop(t, "DpathFlattenFields", "its path is not carried over")
		return
	}
	o := obj("path", pathIn(names))
	if t.get("delete_origin_value").text() == "true" {
		o.set("drop", true)
	}
	if t.get("replace_record").text() == "true" {
		o.set("alone", true)
	}
	k := t.get("key_transformation")
	k.str("type")
	for _, m := range []string{"prefix", "suffix"} {
		if text := a.template(k.get(m), m); text != "" && !strings.Contains(text, "${") {
			o.set(m, text)
		} else if text != "" {
			a.l.add(k.get(m), "key_transformation."+m, "names that depend on values are not carried over")
		}
	}
	add(obj("lift", o))
}

func addsAs(parts []any, from, to string) bool {
	return paramName(from) == to && slices.ContainsFunc(parts, func(p any) bool { o, ok := p.(*object); return ok && o.get("as") == to && o.get("into") == nil })
}

// routers reads partition routers as levels.
func (a *airbyte) routers(n *node, r *request, depth int) []any {
	var out []any
	for _, p := range n.list() {
		switch t := a.kind(p); t {
		case "ListPartitionRouter":
			out = append(out, a.values(p, r)...)
		case "SubstreamPartitionRouter":
			out = append(out, a.parents(p, r, depth)...)
		case "GroupingPartitionRouter":
			inner := a.routers(p.get("underlying_partition_router"), r, depth)
			if size := atoi(p.str("group_size")); size > 1 && len(inner) == 1 {
				level, _ := inner[0].(*object)
				level.set("group", min(size, 1000))
				level.set("into", false)
			} else if size > 1 {
				a.l.add(p, t, "parents of several levels are read one by one, not in groups")
			}
			if d := p.get("deduplicate"); d.text() == "true" {
				a.l.note(d, false, "deduplicate", "a value that comes twice is asked for twice")
			}
			out = append(out, inner...)
		case "Custom":
		default:
			a.l.drop(p, t, "this router is not carried over")
		}
	}
	if a.parallel > 1 && depth == 0 && len(out) > 0 {
		if level, ok := out[0].(*object); ok {
			level.set("parallel", a.parallel)
		}
	}
	return out
}

func (a *airbyte) values(p *node, r *request) []any {
	as := paramName(a.template(a.field(p, "cursor_field"), "cursor_field"))
	v := a.field(p, "values")
	level := obj("as", as)
	switch {
	case v != nil && v.kind == listNode:
		values := []any{}
		for _, e := range v.list() {
			if s, ok := e.scalar.(string); ok && strings.Contains(s, "{{") {
				values = append(values, a.template(e, "values"))
			} else {
				values = append(values, e.plain())
			}
		}
		if slices.ContainsFunc(values, func(x any) bool { s, ok := x.(string); return ok && strings.Contains(s, "${") }) {
			a.l.drop(v, "ListPartitionRouter.values", "a value that comes from config is not carried over; give the whole list as one member of config")
			return nil
		}
		level.set("values", values)
	default:
		root, members, ok := simplePath(v.text())
		if !ok {
			if t, err := parseTemplate(v.text()); err == nil && t.only() != nil {
				if m, d, found := a.fallback(t.only()); found && d == "" {
					root, members, ok = "config", m, true
				}
			}
		}
		name := ""
		if ok && root == "config" {
			name, _ = a.celParam(members)
		}
		if name == "" {
			a.l.drop(or2(v, p), "ListPartitionRouter.values", "a list that is more than a member of config is not carried over")
			return nil
		}
		if !slices.Contains(a.d.needs, name) {
			a.d.needs = append(a.d.needs, name)
		}
		level.set("param", name)
	}
	a.send(a.field(p, "request_option"), as, r)
	return []any{level}
}

// send puts the value of a parent into the request.
func (a *airbyte) send(option *node, as string, r *request) {
	in, name := a.option(option)
	text := "${" + as + "}"
	switch in {
	case "query":
		r.query.set(name, text)
	case "header":
		r.headers.set(name, text)
	case "body":
		a.cur.sends = append(a.cur.sends, sent{name, text, option.str("inject_into") == "body_data"})
	case "url":
		a.l.add(option, "request_option of "+as, "a parent's value as the whole path is not carried over")
	}
}

// sent is a value that goes into the body once that is known.
type sent struct {
	path, text string
	form       bool
}

// sendBody puts the values of parents into the body.
func (a *airbyte) sendBody(r *request) {
	for _, s := range a.cur.sends {
		b, _ := r.weir.get("body").(*object)
		form, isForm := b.get("form").(*object)
		value, isValue := b.get("value").(*object)
		plain, isPlain := r.body.(*object)
		switch {
		case isForm:
			form.set(strings.Trim(strings.TrimPrefix(s.path, "$"), ".['\"]"), s.text)
		case isValue:
			value.put(s.path, s.text)
		case isPlain:
			plain.put(s.path, s.text)
		case s.form:
			r.ext(obj("kind", "form", "form", obj(strings.Trim(strings.TrimPrefix(s.path, "$"), ".['\"]"), s.text)), "body")
		case r.method == "POST":
			o := &object{}
			o.put(s.path, s.text)
			r.body = o
		default:
			o := &object{}
			o.put(s.path, s.text)
			r.ext(obj("kind", "json", "value", o), "body")
		}
	}
}

// put sets a value at a path of names.
func (o *object) put(path string, v any) {
	steps := pathNames(path)
	for len(steps) > 1 {
		next, ok := o.get(steps[0]).(*object)
		if !ok {
			next = &object{}
			o.set(steps[0], next)
		}
		o, steps = next, steps[1:]
	}
	if len(steps) == 1 {
		o.set(steps[0], v)
	}
}

var pathStep = regexp.MustCompile(`\.([A-Za-z0-9_]+)|\['((?:[^'\\]|\\.)*)'\]`)

func pathNames(path string) []string {
	var out []string
	for _, m := range pathStep.FindAllStringSubmatch(path, -1) {
		out = append(out, m[1]+strings.NewReplacer(`\'`, `'`, `\\`, `\`).Replace(m[2]))
	}
	return out
}

// parents reads a substream: the parent's request becomes a level, after those of its own parents.
func (a *airbyte) parents(p *node, r *request, depth int) []any {
	list := p.get("parent_stream_configs").list()
	var levels []*object
	var above []any
	for i, c := range list {
		a.kind(c)
		level, outer, ok := a.parent(c, depth)
		if !ok {
			a.l.add(c, "parent stream", "it is not carried over, so the stream is read without it")
			continue
		}
		if len(levels) > 0 && level.get("as") != levels[0].get("as") || len(outer) > 0 && len(list) > 1 {
			a.l.drop(c, "parent_stream_configs", "of several parents those with the same partition_field, and without parents of their own, are carried over")
			continue
		}
		if above = append(above, outer...); i == 0 || len(levels) == 0 {
			a.send(a.field(c, "request_option"), level.str("as"), r)
		} else {
			a.field(c, "request_option").mark(true)
		}
		levels = append(levels, level)
	}
	switch len(levels) {
	case 0:
		return nil
	case 1:
		return append(above, levels[0])
	}
	all := []any{}
	as := levels[0].get("as")
	for _, l := range levels {
		all = append(all, l.ordered("parent", "key", "keep"))
	}
	return append(above, obj("as", as, "any", all))
}

func (o *object) str(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// parent reads one kind of parents.
func (a *airbyte) parent(c *node, depth int) (level *object, above []any, ok bool) {
	stream := c.get("stream")
	own, above, ok := a.retrieve(stream, depth+1, a.field(stream, "name").text())
	if !ok {
		return nil, nil, false
	}
	if m := c.get("lazy_read_pointer"); len(m.list()) > 0 {
		a.l.note(m, true, "lazy_read_pointer", "children are always asked for; the records are the same")
	}
	if m := c.get("incremental_dependency"); m.text() != "true" {
		own.schedule = nil
		own.weir = own.weir.without("cursor")
		if own.windowed {
			a.l.add(stream, "parent stream", "its request holds the bounds of a window, so only parents that changed are read")
		}
	}
	as := paramName(a.template(a.field(c, "partition_field"), "partition_field"))
	key := pathIn(strings.Split(a.template(a.field(c, "parent_key"), "parent_key"), "."))
	level = obj("parent", parentAttributes(own), "key", key, "as", as)
	keep := &object{}
	for _, f := range c.get("extra_fields").list() {
		if names := texts(f); len(names) > 0 {
			keep.set(paramName(names[len(names)-1]), pathIn(names))
		}
	}
	if !keep.empty() {
		level.set("keep", keep)
	}
	return level, above, true
}

// without is the object without some members, nil if nothing is left.
func (o *object) without(names ...string) *object {
	if o == nil {
		return nil
	}
	out := &object{}
	for i, n := range o.names {
		if !slices.Contains(names, n) {
			out.set(n, o.values[i])
		}
	}
	if out.empty() {
		return nil
	}
	return out
}

// parentAttributes writes a request so that nothing of the one it belongs to is inherited.
func parentAttributes(r *request) *object {
	o := r.attributes()
	if u, _ := o.get("urlParams").(*object); u != nil && u.get("queryParams") == nil {
		u.set("queryParams", &object{})
	}
	for _, name := range []string{"headerParams", "scheduleParams"} {
		if o.get(name) == nil {
			o.set(name, &object{})
		}
	}
	if o.get("paginationParams") == nil {
		o.set("paginationParams", obj("type", "NONE"))
	}
	if o.get("bodyParams") == nil && r.method == "POST" {
		o.set("bodyParams", json.RawMessage("null"))
	}
	w, ok := o.get("weir").(*object)
	if !ok {
		w = &object{}
	}
	w = w.without("key", "check", "schemaFrom", "retention", "fields")
	if w == nil {
		w = &object{}
	}
	o.set("weir", w)
	for _, name := range []string{"paging", "filter", "cursor", "onResponse", "body", "answer", "let", "job"} {
		if w.get(name) == nil {
			w.set(name, nil)
		}
	}
	return o.ordered("urlParams", "headerParams", "bodyParams", "contentPath", "explodeEntityPath", "paginationParams", "scheduleParams", "weir")
}

// limitText is a page size as a number, nil if it is none.
func limitText(text string) any {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return nil
}
