package author

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// paginator reads a DefaultPaginator.
func (a *airbyte) paginator(p *node, r *request) {
	if p == nil || p.str("type") == "NoPagination" {
		r.paging = obj("type", "NONE")
		return
	}
	if a.kind(p) == "Custom" {
		r.paging = obj("type", "NONE")
		return
	}
	a.known(p, "pagination_strategy", "page_size_option", "page_token_option", "url_base", "decoder")
	s, token, size := p.get("pagination_strategy"), p.get("page_token_option"), p.get("page_size_option")
	pages := a.template(a.field(s, "page_size"), "page_size")
	limit := ""
	if in, name := a.option(size); in == "query" {
		limit = name
	} else if in != "" && pages != "" {
		if n, err := strconv.Atoi(pages); err == nil {
			r.ext(obj(in, name, "value", n), "paging", "limit")
		} else {
			a.l.add(size, "page_size_option", "a page size that is not fixed is sent in the query alone")
		}
	}
	in, name := a.option(token)
	switch t := a.kind(s); t {
	case "OffsetIncrement":
		a.known(s, "page_size", "inject_on_first_request")
		r.paging = obj("type", "OFFSET", "limitName", orNil(limit), "limitValue", orNil(pages), "offSetName", name)
		a.inject(r, in, name, "offSetName")
	case "PageIncrement":
		a.known(s, "page_size", "start_from_page", "inject_on_first_request")
		r.paging = obj("type", "PAGE", "limitName", orNil(limit), "limitValue", orNil(pages), "pageParamName", name, "initialPageIndex", orNil(a.field(s, "start_from_page").text()))
		a.inject(r, in, name, "pageParamName")
	case "CursorPagination":
		a.known(s, "cursor_value", "stop_condition", "page_size", "decoder")
		a.cursorPaging(s, r, in, name, limit, pages)
	case "Custom":
		r.paging = obj("type", "NONE")
	default:
		a.l.add(s, or(t, "pagination_strategy"), "this paging is not carried over; one request is made")
		r.paging = obj("type", "NONE")
	}
}

// inject puts the position somewhere else than the query.
func (a *airbyte) inject(r *request, in, name, member string) {
	if in == "query" || in == "" {
		return
	}
	r.paging.set(member, "")
	r.ext(obj(in, name), "paging", "inject")
}

// option reads a RequestOption: query, header, body or url, and its name there.
func (a *airbyte) option(n *node) (in, name string) {
	if n == nil {
		return "", ""
	}
	if n.str("type") == "RequestPath" {
		return "url", ""
	}
	a.known(n, "inject_into", "field_name", "field_path")
	name = a.template(a.field(n, "field_name"), "field_name")
	switch a.field(n, "inject_into").text() {
	case "request_parameter":
		return "query", name
	case "header":
		return "header", name
	case "body_json":
		if p := n.get("field_path"); p != nil {
			path := "$"
			var pathSb82 strings.Builder
			for _, s := range p.list() {
				pathSb82.WriteString(member(a.template(s, "field_path")))
			}
			path += pathSb82.String()
			return "body", path
		}
		return "body", "$" + member(name)
	case "body_data":
		return "body", "$" + member(name)
	case "path":
		return "url", ""
	}
	a.l.add(n, "request option", "inject_into %q is not known", a.field(n, "inject_into").text())
	return "", ""
}

var linkHeader = regexp.MustCompile(`headers(\.link|\[\s*['"][lL]ink['"]\s*\]|\.get\(['"][lL]ink['"].*?\))`)

// cursorPaging reads a CursorPagination.
func (a *airbyte) cursorPaging(s *node, r *request, in, name, limit, size string) {
	cv, stop := s.get("cursor_value"), s.get("stop_condition")
	if linkHeader.MatchString(cv.text()) {
		r.ext("LINK", "paging", "type")
		a.limitInPath(r, limit, size)
		return
	}
	lose := func(n *node, what string, err error) {
		a.l.add(n, what, "%s; one request is made", err)
		r.paging = obj("type", "NONE")
	}
	t, err := parseTemplate(cv.text())
	if err != nil {
		lose(cv, "cursor_value", err)
		return
	}
	place := ""
	if e := t.only(); e != nil {
		if root, members, ok := e.path(); ok && root == "response" && len(members) > 0 {
			place = pathOf(members)
		}
	}
	if place != "" && a.plainStop(stop, place) && (in == "url" || in == "query" || in == "header") {
		switch in {
		case "url":
			r.paging = obj("type", "POINTER", "pointerPath", place, "limitName", orNil(limit), "limitValue", orNil(size))
		default:
			kind := map[string]string{"query": "QUERYPARAM", "header": "HEADERPARAM"}[in]
			r.paging = obj("type", "CONTINUATION_TOKEN", "continuationTokenPath", place, "parameterType", kind, "parameterName", name, "limitName", orNil(limit), "limitValue", orNil(size))
		}
		return
	}
	next, err := a.value(cv)
	if err != nil {
		lose(cv, "cursor_value", err)
		return
	}
	if stop.text() != "" {
		cond, err := a.condition(stop)
		if err != nil {
			a.l.add(stop, "stop_condition", "%s; the paging ends where cursor_value is null", err)
		} else {
			next = "(" + cond + ") ? none : (" + next + ")"
		}
	}
	r.ext("NEXT", "paging", "type")
	r.ext(next, "paging", "next")
	switch in {
	case "url":
		r.ext("url", "paging", "is")
	case "":
		a.l.add(s, "page_token_option", "it is not told where the cursor goes; the query parameter cursor is taken")
		r.ext(obj("query", "cursor"), "paging", "inject")
	default:
		r.ext(obj(in, name), "paging", "inject")
	}
	a.limitInPath(r, limit, size)
}

// limitInPath sends a page size with paging of the extension.
func (a *airbyte) limitInPath(r *request, limit, size string) {
	if limit == "" || size == "" {
		return
	}
	if n, err := strconv.Atoi(size); err == nil && n > 0 {
		r.ext(obj("query", limit, "value", n), "paging", "limit")
		return
	}
	r.query.set(limit, size)
}

func pathOf(members []string) string {
	p := "$"
	var pSb173 strings.Builder
	for _, m := range members {
		if i, ok := strings.CutPrefix(m, "\x00"); ok {
			pSb173.WriteString("[" + i + "]")
		} else {
			pSb173.WriteString(member(m))
		}
	}
	p += pSb173.String()
	return p
}

// plainStop reports whether a stop condition says no more than that there is no next position.
func (a *airbyte) plainStop(n *node, place string) bool {
	if n == nil || n.text() == "" {
		return true
	}
	t, err := parseTemplate(n.text())
	if err != nil || t.only() == nil {
		return false
	}
	e := t.only()
	if e.op == "==" && falsy(e.args[1]) {
		e = &expr{op: "not", args: []*expr{e.args[0]}}
	}
	if e.op == "is" && e.args[1].text == "none" {
		e = &expr{op: "not", args: []*expr{e.args[0]}}
	}
	if e.op != "not" {
		return false
	}
	root, members, ok := e.args[0].path()
	return ok && root == "response" && (pathOf(members) == place || strings.HasPrefix(place, pathOf(members)+"."))
}

// decoder reads how answers are decoded.
func (a *airbyte) decoder(n *node, r *request) {
	var layers []string
	for n != nil {
		t := a.kind(n)
		inner := n.get("decoder")
		switch t {
		case "JsonDecoder", "":
		case "JsonlDecoder", "JsonLineParser":
			layers = append(layers, "ndjson")
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
			if d := n.str("delimiter"); d != "" && d != "," {
				r.ext(obj("delimiter", d), "answer", "csv")
			}
		case "JsonParser":
		default:
			a.l.add(n, t, "this decoder is not carried over")
		}
		if e := n.str("encoding"); e != "" && !strings.EqualFold(e, "utf-8") {
			r.ext(strings.Replace(strings.ToLower(e), "latin-1", "latin1", 1), "answer", "encoding")
		}
		n = inner
	}
	if len(layers) > 0 {
		r.ext(layers, "answer", "decode")
	}
}

// errors reads error handlers.
func (a *airbyte) errors(n *node, r *request) {
	var rules []any
	backoff := &object{}
	var read func(n *node)
	read = func(n *node) {
		switch t := a.kind(n); t {
		case "CompositeErrorHandler":
			for _, h := range n.get("error_handlers").list() {
				read(h)
			}
		case "DefaultErrorHandler", "":
			a.known(n, "response_filters", "backoff_strategies", "max_retries", "max_time")
			for _, f := range n.get("response_filters").list() {
				if rule := a.rule(f); rule != nil {
					rules = append(rules, rule)
				}
			}
			a.backoff(n, backoff)
		case "Custom":
		default:
			a.l.add(n, t, "this error handler is not carried over")
		}
	}
	if n == nil {
		return
	}
	read(n)
	if len(rules) > 0 {
		r.ext(rules, "onResponse")
	}
	if !backoff.empty() {
		r.ext(backoff, "backoff")
	}
}

// ruleActions are the actions of response filters in our words.
var ruleActions = map[string]string{"FAIL": "fail", "RETRY": "retry", "IGNORE": "ignore", "RATE_LIMITED": "retry", "REFRESH_TOKEN_THEN_RETRY": "refresh"}

func (a *airbyte) rule(f *node) any {
	if a.kind(f) == "Custom" {
		return nil
	}
	a.known(f, "action", "http_codes", "predicate", "error_message_contains", "error_message", "failure_type")
	action := a.field(f, "action").text()
	do := ruleActions[action]
	if action == "" {
		do = "fail"
	}
	if do == "" {
		a.l.add(f, "HttpResponseFilter", "the action %s is not carried over", action)
		return nil
	}
	o := &object{}
	if codes := f.get("http_codes").list(); len(codes) > 0 {
		var list []any
		for _, c := range codes {
			if n, err := strconv.Atoi(c.text()); err == nil {
				list = append(list, n)
			}
		}
		o.set("status", list)
	}
	if t := f.str("error_message_contains"); t != "" {
		o.set("text", regexp.QuoteMeta(t))
	}
	if p := f.get("predicate"); p.text() != "" {
		when, err := a.condition(p)
		if err != nil {
			a.l.add(p, "predicate", "%s", err)
			return nil
		}
		o.set("when", when)
	}
	if o.empty() {
		a.l.add(f, "HttpResponseFilter", "it has no condition")
		return nil
	}
	o.set("do", do)
	if m := f.get("error_message"); m.text() != "" {
		if text, ok := a.fill(m, "error_message"); ok && text != "" && do == "fail" {
			o.set("message", text)
		}
	}
	return o
}

func (a *airbyte) backoff(n *node, o *object) {
	if m, err := strconv.Atoi(n.str("max_retries")); err == nil && m > 0 {
		o.set("retries", min(m, 100))
	}
	for i, b := range n.get("backoff_strategies").list() {
		t := a.kind(b)
		if i > 0 && t != "Custom" && !strings.HasPrefix(t, "Wait") {
			a.l.add(b, t, "one backoff is carried over")
			continue
		}
		number := func(name string) any {
			text := a.template(a.field(b, name), name)
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
			}
			return nil
		}
		set := func(name string, v any) {
			if v != nil {
				o.set(name, v)
			}
		}
		switch t {
		case "ConstantBackoffStrategy":
			o.set("kind", "constant")
			set("seconds", number("backoff_time_in_seconds"))
		case "ExponentialBackoffStrategy":
			o.set("kind", "exponential")
			set("seconds", number("factor"))
		case "WaitTimeFromHeader", "WaitUntilTimeFromHeader":
			set("header", orNil(a.template(b.get("header"), "header")))
			o.set("form", map[string]string{"WaitTimeFromHeader": "seconds", "WaitUntilTimeFromHeader": "epoch"}[t])
			if re := b.str("regex"); re != "" {
				if c, err := regexp.Compile(re); err == nil && c.NumSubexp() > 0 {
					o.set("match", re)
				} else if err == nil {
					o.set("match", "("+re+")")
				} else {
					a.l.add(b, t+".regex", "%q is not understood", re)
				}
			}
			set("maxSeconds", number("max_waiting_time_in_seconds"))
			if m := b.get("min_wait"); m != nil {
				a.l.add(m, t+".min_wait", "it is not carried over")
			}
		case "Custom":
		default:
			a.l.add(b, t, "this backoff is not carried over")
		}
	}
}

// budget reads the first rate of a budget.
func (a *airbyte) budget(n *node) {
	if n == nil || a.kind(n) == "Custom" {
		return
	}
	a.known(n, "policies", "ratelimit_reset_header", "ratelimit_remaining_header", "status_codes_for_ratelimit_hit")
	o := &object{}
	for _, p := range n.get("policies").list() {
		requests, interval := p.str("call_limit"), p.str("period")
		if rates := p.get("rates").list(); len(rates) > 0 {
			requests, interval = rates[0].str("limit"), rates[0].str("interval")
			for _, more := range rates[1:] {
				a.l.add(more, "rate", "one rate is carried over")
			}
		}
		d, err := isoDuration(interval)
		limit, nerr := strconv.Atoi(requests)
		if m := p.get("matchers"); len(m.list()) > 0 {
			a.l.add(m, "matchers", "the budget counts for every request")
		}
		switch {
		case err != nil || nerr != nil || d <= 0 || limit <= 0:
			a.l.add(p, or(p.str("type"), "policy"), "it is not carried over")
		case o.get("requests") != nil:
			a.l.add(p, or(p.str("type"), "policy"), "one rate is carried over")
		default:
			o.set("requests", limit)
			o.set("seconds", d.Seconds())
		}
	}
	if h := n.str("ratelimit_remaining_header"); h != "" && n.str("ratelimit_reset_header") != "" {
		o.set("remaining", h)
		o.set("reset", n.str("ratelimit_reset_header"))
		o.set("form", "epoch")
	}
	if o.empty() {
		return
	}
	for _, r := range a.list {
		r.ext(o, "budget")
	}
}

func (a *airbyte) transformation(t *node, parts []any) {
	switch k := a.kind(t); k {
	case "AddFields":
		for _, f := range t.get("fields").list() {
			path := texts(f.get("path"))
			if root, members, ok := simplePath(f.str("value")); ok && len(path) == 1 && (root == "stream_partition" || root == "stream_slice") && len(members) == 1 {
				if addsAs(parts, members[0], path[0]) {
					continue // parents' values are in the records on their own
				}
			}
			a.l.add(f, "AddFields "+strings.Join(path, "."), "write it as a mapping: %s", f.str("value"))
		}
	case "RemoveFields":
		for _, p := range t.get("field_pointers").list() {
			a.l.add(p, "RemoveFields "+strings.Join(texts(p), "."), "leave it out of the mapping set")
		}
	case "Custom":
	default:
		a.l.add(t, k, "records are shaped by the mapping set")
	}
}

func addsAs(parts []any, from, to string) bool {
	return paramName(from) == to && slices.ContainsFunc(parts, func(p any) bool { o, ok := p.(*object); return ok && o.get("as") == to })
}

func simplePath(text string) (root string, members []string, ok bool) {
	t, err := parseTemplate(text)
	if err != nil || t.only() == nil {
		return "", nil, false
	}
	return t.only().path()
}

// routers reads partition routers as levels.
func (a *airbyte) routers(n *node, r *request, depth int) []any {
	var out []any
	for _, p := range n.list() {
		switch t := a.kind(p); t {
		case "ListPartitionRouter":
			a.known(p, "values", "cursor_field", "request_option")
			out = append(out, a.values(p, r)...)
		case "SubstreamPartitionRouter":
			out = append(out, a.parents(p, r, depth)...)
		case "GroupingPartitionRouter":
			a.l.add(p, t, "parents are read one by one, not in groups")
			out = append(out, a.routers(p.get("underlying_partition_router"), r, depth)...)
		case "Custom":
		default:
			a.l.add(p, t, "this router is not carried over")
		}
	}
	return out
}

func (a *airbyte) values(p *node, r *request) []any {
	as := paramName(a.template(a.field(p, "cursor_field"), "cursor_field"))
	v := p.get("values")
	var values []any
	if v != nil && v.kind == listNode {
		for _, e := range v.values {
			if s, ok := e.scalar.(string); ok {
				values = append(values, a.constantText(e, s))
			} else {
				values = append(values, e.plain())
			}
		}
	} else {
		a.l.add(or2(v, p), "ListPartitionRouter.values", "a list that comes from config is not carried over; read the stream once per value, or write the values here")
		return nil
	}
	a.send(p.get("request_option"), as, r)
	return []any{obj("values", values, "as", as)}
}

// send puts the value of a parent into the request.
func (a *airbyte) send(option *node, as string, r *request) {
	in, name := a.option(option)
	switch in {
	case "query":
		r.query.set(name, "${"+as+"}")
	case "header":
		r.headers.set(name, "${"+as+"}")
	case "body", "url":
		a.l.add(option, "request_option of "+as, "a parent's value goes into path, query or header; write ${%s} where it belongs in the body", as)
	}
}

// parents reads a substream: the parent's request becomes a level, after those of its own parents.
func (a *airbyte) parents(p *node, r *request, depth int) []any {
	a.known(p, "parent_stream_configs")
	list := p.get("parent_stream_configs").list()
	if len(list) == 0 {
		return nil
	}
	for _, more := range list[1:] {
		a.l.add(more, "parent_stream_configs", "one parent is carried over")
	}
	c := list[0]
	a.known(c, "stream", "parent_key", "partition_field", "request_option", "extra_fields", "incremental_dependency", "lazy_read_pointer")
	for _, m := range []string{"incremental_dependency", "lazy_read_pointer"} {
		if v := c.get(m); v != nil && v.text() != "false" {
			a.l.add(v, m, "parents are read whole in each run")
		}
	}
	parent, above, ok := a.retrieve(c.get("stream"), depth+1)
	if !ok {
		a.l.add(c, "parent stream", "it is not carried over, so the stream is read without its parent")
		return nil
	}
	as := paramName(a.template(a.field(c, "partition_field"), "partition_field"))
	key := "$"
	var keySb539 strings.Builder
	for part := range strings.SplitSeq(a.template(a.field(c, "parent_key"), "parent_key"), ".") {
		keySb539.WriteString(member(part))
	}
	key += keySb539.String()
	level := obj("parent", parentAttributes(parent), "key", key, "as", as)
	keep := &object{}
	for _, f := range c.get("extra_fields").list() {
		path := "$"
		names := texts(f)
		var pathSb547 strings.Builder
		for _, s := range names {
			pathSb547.WriteString(member(s))
		}
		path += pathSb547.String()
		if len(names) > 0 {
			keep.set(paramName(names[len(names)-1]), path)
		}
	}
	if !keep.empty() {
		level.set("keep", keep)
	}
	a.send(c.get("request_option"), as, r)
	return append(above, level)
}

// parentAttributes writes a parent's request so that nothing of the child is inherited.
func parentAttributes(r *request) *object {
	o := r.attributes()
	u, _ := o.get("urlParams").(*object)
	if u != nil && u.get("queryParams") == nil {
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
	w, ok := o.get("weir").(*object)
	if !ok {
		w = &object{}
		o.set("weir", w)
	}
	for _, name := range []string{"paging", "filter", "cursor", "onResponse", "body", "answer"} {
		if w.get(name) == nil {
			w.set(name, nil)
		}
	}
	return o
}

// constantText is a text without expressions, or one with our placeholders.
func (a *airbyte) constantText(n *node, s string) any {
	if !strings.Contains(s, "{{") {
		return s
	}
	return a.template(n, "values")
}
