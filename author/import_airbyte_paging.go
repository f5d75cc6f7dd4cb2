package author

import (
	"regexp"
	"strings"
)

// paginator reads a DefaultPaginator.
func (a *airbyte) paginator(p *node, r *request) {
	r.paging = obj("type", "NONE")
	a.sendBody(r)
	switch t := a.kind(p); {
	case p == nil, t == "NoPagination":
		if a.cur.pages.root && r.weir.get("answer") == nil {
			r.ext("single", "answer", "records") // one object, or an array at the root
		}
		return
	case t == "Custom":
		return
	}
	s, token, size := p.get("pagination_strategy"), p.get("page_token_option"), p.get("page_size_option")
	pages := a.template(a.field(s, "page_size"), "page_size")
	limit := ""
	if in, name := a.option(size); in == "query" {
		limit = name
	} else if in != "" && pages != "" {
		if n := limitText(pages); n != nil {
			r.ext(obj(in, name, "value", n), "paging", "limit")
		} else {
			a.l.add(size, "page_size_option", "a page size that is not fixed is sent in the query alone")
		}
	}
	in, name := a.option(token)
	if in == "" {
		in, name = a.cur.tokenIn, a.cur.token
	}
	d := p.get("decoder")
	d.mark(true)
	for _, m := range []string{"url_base"} {
		p.get(m).mark(true)
	}
	switch t := a.kind(s); t {
	case "OffsetIncrement":
		a.first0(s)
		r.paging = obj("type", "OFFSET", "limitName", orNil(limit), "limitValue", orNil(pages), "offSetName", name)
		a.inject(r, in, name, "offSetName")
	case "PageIncrement":
		a.first0(s)
		r.paging = obj("type", "PAGE", "limitName", orNil(limit), "limitValue", orNil(pages), "pageParamName", name, "initialPageIndex", orNil(a.field(s, "start_from_page").text()))
		a.inject(r, in, name, "pageParamName")
	case "CursorPagination":
		s.get("decoder").mark(true)
		a.cursorPaging(s, r, in, name, limit, pages)
	case "Custom":
	default:
		a.l.drop(s, or(t, "pagination_strategy"), "this paging is not carried over; one request is made")
	}
}

// first0 reads whether the first request has a position: ours always has, which says the same.
func (a *airbyte) first0(s *node) {
	s.get("inject_on_first_request").text()
	s.get("decoder").mark(true)
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
	name = a.template(a.field(n, "field_name"), "field_name")
	switch a.field(n, "inject_into").text() {
	case "request_parameter":
		return "query", name
	case "header":
		return "header", name
	case "body_json":
		if p := n.get("field_path"); p != nil {
			var path strings.Builder
			for _, s := range p.list() {
				path.WriteString(member(a.template(s, "field_path")))
			}
			return "body", "$" + path.String()
		}
		return "body", "$" + member(name)
	case "body_data":
		return "body", "$" + member(name)
	case "path":
		return "url", ""
	}
	a.l.drop(n, "request option", "inject_into %q is not known", a.field(n, "inject_into").text())
	return "", ""
}

var linkHeader = regexp.MustCompile(`headers(\.link|\[\s*['"][lL]ink['"]\s*\]|\.get\(['"][lL]ink['"].*?\))`)

// cursorPaging reads a CursorPagination.
func (a *airbyte) cursorPaging(s *node, r *request, in, name, limit, size string) {
	cv, stop := s.get("cursor_value"), s.get("stop_condition")
	if linkHeader.MatchString(cv.text()) {
		stop.text() // it says that there is no further link
		r.ext("LINK", "paging", "type")
		a.limitInPath(r, limit, size)
		return
	}
	if place := a.plainPlace(cv); place != "" && a.plainStop(stop, place) && (in == "url" || in == "query" || in == "header") {
		switch in {
		case "url":
			r.paging = obj("type", "POINTER", "pointerPath", place, "limitName", orNil(limit), "limitValue", orNil(size))
		default:
			kind := map[string]string{"query": "QUERYPARAM", "header": "HEADERPARAM"}[in]
			r.paging = obj("type", "CONTINUATION_TOKEN", "continuationTokenPath", place, "parameterType", kind, "parameterName", name, "limitName", orNil(limit), "limitValue", orNil(size))
		}
		return
	}
	next, err := a.value(cv, a.cur.pages)
	if err != nil {
		a.l.drop(s, "CursorPagination", "%s; one request is made", err)
		return
	}
	if stop.text() != "" {
		cond, err := a.condition(stop, a.cur.pages)
		if err != nil {
			a.l.add(stop, "stop_condition", "%s; the paging ends where cursor_value is null", err)
		} else {
			next = "(" + cond + ") ? none : dyn(" + next + ")"
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

// plainPlace is the path of a cursor that stands in the answer as it is, "" for anything else.
func (a *airbyte) plainPlace(n *node) string {
	root, members, ok := simplePath(n.text())
	if !ok || root != "response" || len(members) == 0 {
		return ""
	}
	for _, m := range members {
		if strings.HasPrefix(m, "\x00-") {
			return ""
		}
	}
	if c := a.cur.pages.content; a.cur.pages.root || c != nil && len(members) >= len(c) && strings.Join(members[:len(c)], "\x01") == strings.Join(c, "\x01") {
		return ""
	}
	return pathOf(members)
}

// limitInPath sends a page size with paging of the extension.
func (a *airbyte) limitInPath(r *request, limit, size string) {
	if limit == "" || size == "" {
		return
	}
	if n := limitText(size); n != nil {
		r.ext(obj("query", limit, "value", n), "paging", "limit")
		return
	}
	r.query.set(limit, size)
}

func pathOf(members []string) string {
	var p strings.Builder
	p.WriteByte('$')
	for _, m := range members {
		if i, ok := strings.CutPrefix(m, "\x00"); ok {
			p.WriteString("[" + i + "]")
		} else {
			p.WriteString(member(m))
		}
	}
	return p.String()
}

// plainStop reports whether a stop condition says no more than that there is no next position.
func (a *airbyte) plainStop(n *node, place string) bool { //nolint:gocyclo // one case for each way to say it
	if n == nil || n.text() == "" {
		return true
	}
	t, err := parseTemplate(n.text())
	if err != nil || t.only() == nil {
		return false
	}
	e := t.only()
	if e.op == "==" && falsy(e.args[1]) || e.op == "is" && (e.args[1].text == "none" || e.args[1].text == "undefined") {
		e = &expr{op: "not", args: []*expr{e.args[0]}}
	}
	if e.op == "not" && e.args[0].op == "is" && e.args[0].args[1].text == "defined" {
		e = &expr{op: "not", args: []*expr{e.args[0].args[0]}}
	}
	if e.op == "not" && e.args[0].op == "in" && e.args[0].args[0].op == "text" {
		e = &expr{op: "not", args: []*expr{{op: "member", text: e.args[0].args[0].text, args: []*expr{e.args[0].args[1]}}}}
	}
	if e.op != "not" {
		return false
	}
	root, members, ok := e.args[0].path()
	return ok && root == "response" && (pathOf(members) == place || strings.HasPrefix(place, pathOf(members)+"."))
}

// reset reads what is done when a source hands out no further pages.
func (a *airbyte) reset(n *node) {
	if n == nil {
		return
	}
	a.kind(n)
	switch action := n.str("action"); {
	case action == "RESET" && n.get("limits") == nil:
		// the rule with RESET_PAGINATION says when
	case action == "RESET":
		a.l.drop(n, "pagination_reset", "the run begins anew when a rule says so, not after a number of records")
	default:
		a.l.drop(n, "pagination_reset", "a walk does not go on with the cursor of the last record; give cursor.step, or weir.split if the answers tell a total")
	}
}
