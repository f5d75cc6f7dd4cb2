package author

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"

	"weir/source/rest"
)

// serialName marks the member that tells records apart.
const serialName = "weir_serial"

// render writes a page in the format of the spec, with what the spec's paging reads beside the records.
func (m *mirror) render(q *inquiry, v *view) (body []byte, h http.Header, kind string) {
	h = http.Header{}
	var rows []map[string]any
	for _, i := range v.selected[v.from:v.to] {
		if e := m.element(q, i); e != nil {
			rows = append(rows, e)
		}
	}
	tree := m.tellNext(q, v, rows, h)
	format := q.res.format()
	var out []byte
	switch format {
	case "csv":
		out = renderCSV(rows, q.res.csv)
	case "ndjson":
		for _, e := range rows {
			out = append(append(out, mustJSON(e)...), '\n')
		}
	case "lines":
		for _, e := range rows {
			out = append(append(out, plainText(e[serialName])...), '\n')
		}
	case "xml":
		list := make([]any, len(rows))
		for i := range rows {
			list[i] = rows[i]
		}
		out = renderXML(setIn(tree, q.res.content, list))
	default:
		out = mustJSON(setIn(tree, q.res.content, q.res.array(rows)))
	}
	kind = map[string]string{"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson", "lines": "text/plain", "xml": "application/xml"}[format]
	if q.res.charset != "" {
		if enc, err := htmlindex.Get(q.res.charset); err == nil {
			if b, err := enc.NewEncoder().Bytes(out); err == nil {
				out = b
			}
		}
	}
	for _, v := range slices.Backward(q.res.decode) {
		out = pack(v, out)
	}
	return out, h, kind
}

// array is what stands at the content path.
func (r *resource) array(rows []map[string]any) any {
	switch r.records {
	case "single":
		if len(rows) == 0 {
			return nil
		}
		return rows[0]
	case "keyed":
		o := &object{}
		for i, e := range rows {
			o.set("k"+strconv.Itoa(i), e)
		}
		return o
	}
	out := make([]any, len(rows))
	for i := range rows {
		out[i] = rows[i]
	}
	return out
}

// element is one record as it stands in the answer; nil if it is hidden.
func (m *mirror) element(q *inquiry, i int) map[string]any {
	res := q.res
	if q.level < len(m.levels)-1 {
		e := any(map[string]any{"name": fmt.Sprintf("parent %d", i)})
		e = setIn(e, res.key, res.parentKey(i))
		for _, p := range res.kept {
			if getIn(e, p) == nil {
				e = setIn(e, p, fmt.Sprintf("kept %d", i))
			}
		}
		for name, v := range res.fields {
			if getIn(e, steps(name)) == nil {
				e = setIn(e, steps(name), v)
			}
		}
		return e.(map[string]any) //nolint:forcetypeassert // setIn keeps the object
	}
	row := m.rows[i]
	if row.hidden {
		return nil
	}
	serial := m.family(q) + row.serial
	e := any(map[string]any{})
	if len(res.id) > 0 {
		e = setIn(e, res.id, serial)
	}
	for name, v := range res.fields {
		e = setIn(e, steps(name), v)
	}
	for _, x := range []*rest.Expression{res.next, res.stop} {
		for _, p := range lastFields(res, x) {
			if getIn(e, p) == nil {
				e = setIn(e, p, res.mark(i, row))
			}
		}
	}
	if len(res.window.field) > 0 {
		e = setIn(e, res.window.field, res.window.stamp(row))
	}
	if len(res.explode) > 0 {
		inner := []any{map[string]any{serialName: serial + ".0", "note": note(serial)}, map[string]any{serialName: serial + ".1", "note": note(serial)}}
		return setIn(e, res.explode, inner).(map[string]any) //nolint:forcetypeassert // as above
	}
	o := e.(map[string]any) //nolint:forcetypeassert // as above
	o[serialName], o["note"] = serial, note(serial)
	switch row.drift {
	case 1:
		o["field_that_came_later"] = "x"
	case 2:
		delete(o, "note")
	case 3:
		o["note"] = nil
	}
	if len(res.lift) > 0 {
		o, _ = setIn(nil, res.lift, o).(map[string]any)
	}
	return o
}

func note(serial string) string { return "note of " + serial + ", äöü" }

// parentKey is the key of parent i.
func (r *resource) parentKey(i int) string {
	if r.alt > 0 {
		return "a" + strconv.Itoa(r.alt) + "p" + strconv.Itoa(i)
	}
	return "p" + strconv.Itoa(i)
}

var lastMember = regexp.MustCompile(`\b(?:last|first)((?:\.[A-Za-z_]\w*|\['[^']+'\])+)`)

// lastFields are the members of the last or first record that an expression names.
func lastFields(r *resource, x *rest.Expression) [][]rest.Step {
	if x == nil || x != r.next {
		return nil
	}
	var out [][]rest.Step
	for _, m := range lastMember.FindAllStringSubmatch(r.nextText, -1) {
		if p, err := rest.ParsePath("$" + m[1]); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// mark is a value that is unique in the walk: a number where the expression calculates with it.
func (r *resource) mark(i int, row row) any {
	if arithmetic.MatchString(r.nextText) {
		return i + 1
	}
	return "id-" + row.serial
}

var arithmetic = regexp.MustCompile(`(?:last|first)[\w.]*\s*[-+*]`)

// stamp is the time of a row as the cursor field shows it.
func (w *windowModel) stamp(r row) any {
	switch w.fieldFormat {
	case "epoch":
		return r.at.Unix()
	case "epochMillis":
		return r.at.UnixMilli()
	}
	return r.at.UTC().Format("2006-01-02T15:04:05.000Z")
}

// tellNext puts what the paging reads into the answer and its headers. It returns the answer without its records.
func (m *mirror) tellNext(q *inquiry, v *view, rows []map[string]any, h http.Header) any { //nolint:gocyclo // one case for each way to tell of a next page
	res := q.res
	tree := any(map[string]any{})
	next := v.to
	more := v.more
	if m.cycle && q.level == len(m.levels)-1 && len(v.selected) > 0 {
		if more = true; v.from > 0 {
			next = 0
		}
	}
	put := func(place string, value any) {
		if len(place) > 8 && strings.EqualFold(place[:8], "headers.") {
			h.Set(place[8:], fmt.Sprint(value))
			return
		}
		if p, err := rest.ParsePath(place); err == nil && len(p) > 0 {
			tree = setIn(tree, p, value)
		}
	}
	switch res.kind {
	case "CONTINUATION_TOKEN":
		if more {
			tree = setIn(tree, res.token, "c~/=,"+strconv.Itoa(next))
		}
	case "POINTER":
		if more {
			tree = setIn(tree, res.token, q.link(next))
		}
	case "LINK":
		if more {
			h.Set("Link", `<https://other.example/?a=1,2>; rel="prev", <`+q.link(next)+`>; rel="next"`)
		}
	case "NEXT":
		tree = m.tellExpression(q, v, rows, next, more, tree, h)
	}
	if res.kind != "NEXT" && res.stop != nil {
		tree = m.tellExpression(q, v, rows, next, more, tree, h)
	}
	pages := (len(v.selected) + res.pageSize() - 1) / res.pageSize()
	if res.endName != "" {
		m.tellEnd(res, more, put)
	}
	if res.hasMore != "" {
		put(res.hasMore, more)
	}
	if res.total != "" && res.counts == "pages" {
		put(res.total, pages)
	} else if res.total != "" {
		put(res.total, len(v.selected))
	}
	if res.endPages != "" {
		h.Set(res.endPages, strconv.Itoa(pages))
	}
	return tree
}

// tellEnd meets the end condition on the last page alone.
func (m *mirror) tellEnd(res *resource, more bool, put func(string, any)) {
	word, constant, isConst := strings.Cut(res.endVal, ":")
	value := res.endVal
	if isConst && strings.EqualFold(word, "Const") {
		value = strings.TrimSpace(constant)
	}
	switch {
	case strings.EqualFold(res.endVal, "Empty"), strings.EqualFold(res.endVal, "NonExist"):
		if more {
			put(res.endName, "more")
		}
	case strings.EqualFold(res.endVal, "Exist"):
		if !more {
			put(res.endName, "end")
		}
	case more:
		other := any("other")
		switch value {
		case "true":
			other = false
		case "false":
			other = true
		default:
			if n, err := strconv.Atoi(value); err == nil {
				other = n + 7
			}
		}
		put(res.endName, other)
	default:
		var typed any
		if json.Unmarshal([]byte(value), &typed) != nil {
			typed = value
		}
		put(res.endName, typed)
	}
}

var headerName = regexp.MustCompile(`headers(?:\.([A-Za-z_]\w*)|\['([^']+)'\])`)

// tokenMark stands for the position in found values.
const tokenMark = "\x00token"

// tellExpression finds values for the places that next and stop read, so that the engine goes on, or ends.
func (m *mirror) tellExpression(q *inquiry, v *view, rows []map[string]any, next int, more bool, tree any, h http.Header) any {
	res := q.res
	token := any("n" + strconv.Itoa(next))
	switch res.nextIs {
	case "url":
		token = q.link(next)
	case "path":
		token = strings.TrimPrefix(q.link(next), q.origin)
	}
	key := fmt.Sprint(q.level, more, len(rows) == 0, len(rows) >= res.pageSize(), res.nextIs)
	found, ok := m.facts[key]
	if !ok {
		found = res.solve(v, rows, more, token)
		m.facts[key] = found
	}
	for _, p := range slices.Sorted(maps.Keys(found)) {
		value := found[p]
		if value == tokenMark {
			value = token
		}
		st, err := rest.ParsePath(p)
		if err != nil || value == nil {
			continue
		}
		if st[0].Name == "headers" {
			h.Set(st[1].Name, fmt.Sprint(value))
			continue
		}
		tree = setIn(tree, st[1:], value)
	}
	if res.next != nil && res.nextIs != "url" && res.nextIs != "path" {
		full := map[string]any{"page": tree, "headers": lowerHeaders(h)}
		if raw, _ := res.next.Eval(res.vars(v, rows, full)); raw != nil {
			var text any
			_ = json.Unmarshal(raw, &text)
			if s, isText := text.(string); isText {
				m.tokens[v.walk+"\x00"+s] = next
			} else {
				m.tokens[v.walk+"\x00"+string(raw)] = next
			}
		}
	}
	return tree
}

func lowerHeaders(h http.Header) map[string]any {
	out := map[string]any{}
	for n, v := range h {
		out[strings.ToLower(n)] = strings.Join(v, ", ")
	}
	return out
}

// vars are the names of an answer for an expression.
func (r *resource) vars(v *view, rows []map[string]any, tree map[string]any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{
		"elements": mustJSON(len(rows)), "status": mustJSON(200), "url": mustJSON("https://proof.example/"),
		"records": mustJSON(v.from + len(rows)), "requests": mustJSON(v.from/r.pageSize() + 1), "text": mustJSON(""),
	}
	for n, x := range tree {
		out[n] = mustJSON(x)
	}
	if len(rows) > 0 {
		out["first"], out["last"] = mustJSON(rows[0]), mustJSON(rows[len(rows)-1])
	}
	switch {
	case v.position == "":
		out["position"] = r.firstRaw
	case json.Valid([]byte(v.position)):
		out["position"] = json.RawMessage(v.position)
	default:
		out["position"] = mustJSON(v.position)
	}
	return out
}

// solve tries values for the places of next and stop. The first round wants next to be the token itself, and the end
// to be said by stop where there is one.
func (r *resource) solve(v *view, rows []map[string]any, more bool, token any) map[string]any {
	var paths []string
	values := []any{tokenMark, true, false, nil, 0, 1}
	for _, x := range []*rest.Expression{r.next, r.stop} {
		if x == nil {
			continue
		}
		for _, p := range x.Pages() {
			if p = "$.page" + strings.TrimPrefix(p, "$"); !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	for _, g := range headerName.FindAllStringSubmatch(r.nextText, -1) {
		if p := "$.headers['" + g[1] + g[2] + "']"; !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	values = append(values, literals(r.nextText)...)
	for round := range 2 {
		found, err := search(paths, values, func(tree map[string]any) bool {
			return r.fits(v, rows, replaceToken(tree, token), more, round == 0, token)
		})
		if err == nil && found != nil {
			return found
		}
	}
	return nil
}

// fits judges one choice of values.
func (r *resource) fits(v *view, rows []map[string]any, tree any, more, strict bool, token any) bool {
	full, _ := tree.(map[string]any)
	vars := r.vars(v, rows, full)
	var next json.RawMessage
	var err error
	if r.next != nil {
		if next, err = r.next.Eval(vars); err != nil {
			return false
		}
		if s := string(next); s == `""` || s == "false" {
			next = nil
		}
	}
	stopped := false
	if r.stop != nil {
		raw, err := r.stop.Eval(vars)
		if stopped = string(raw) == "true"; err != nil {
			return false
		}
	}
	if more {
		return !stopped && (r.next == nil || next != nil && (!strict || string(next) == string(mustJSON(token))))
	}
	if strict && r.stop != nil {
		return stopped
	}
	return stopped || r.next != nil && next == nil || r.next == nil
}

// replaceToken puts the token where its mark stands.
func replaceToken(v, token any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for n, e := range v {
			out[n] = replaceToken(e, token)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = replaceToken(e, token)
		}
		return out
	case string:
		if v == tokenMark {
			return token
		}
	}
	return v
}

func renderCSV(rows []map[string]any, rules *node) []byte {
	var names []string
	for _, c := range rules.get("columns").list() {
		names = append(names, c.text())
	}
	header := len(names) == 0
	if header {
		seen := map[string]bool{serialName: true, "note": true}
		for _, r := range rows {
			for n := range r {
				seen[n] = true
			}
		}
		names = slices.Sorted(maps.Keys(seen))
	}
	var b bytes.Buffer
	if skip, _ := strconv.Atoi(rules.str("skipLines")); skip > 0 {
		b.WriteString(strings.Repeat("# a line before the header\n", skip))
	}
	w := csv.NewWriter(&b)
	if d := rules.str("delimiter"); d != "" {
		w.Comma = []rune(d)[0]
	}
	if header {
		_ = w.Write(names)
	}
	for _, r := range rows {
		line := make([]string, len(names))
		for i, n := range names {
			if v := r[n]; v != nil {
				line[i] = plainText(v)
			} else if !header && i == 0 {
				line[i] = plainText(r[serialName])
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.Bytes()
}

// renderXML writes a tree: members are elements, lists repeat them.
func renderXML(tree any) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	var write func(name string, v any)
	write = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if name != "" {
				b.WriteString("<" + name + ">")
			}
			for _, n := range slices.Sorted(maps.Keys(v)) {
				write(strings.TrimPrefix(n, "@"), v[n])
			}
			if name != "" {
				b.WriteString("</" + name + ">")
			}
		case []any:
			for _, e := range v {
				write(name, e)
			}
		case nil:
		default:
			b.WriteString("<" + name + ">")
			_ = xml.EscapeText(&b, []byte(plainText(v)))
			b.WriteString("</" + name + ">")
		}
	}
	write("", tree)
	return b.Bytes()
}

// pack applies one layer of answer.decode.
func pack(layer string, in []byte) []byte {
	var b bytes.Buffer
	switch layer {
	case "gzip":
		z := gzip.NewWriter(&b)
		_, _ = z.Write(in)
		_ = z.Close()
	case "deflate":
		z := zlib.NewWriter(&b)
		_, _ = z.Write(in)
		_ = z.Close()
	case "zip":
		z := zip.NewWriter(&b)
		if f, err := z.Create("part-0"); err == nil {
			_, _ = f.Write(in)
		}
		_ = z.Close()
	default:
		return in
	}
	return b.Bytes()
}
