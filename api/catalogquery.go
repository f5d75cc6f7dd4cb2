package api

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// Page sizes of catalog lists (schema-catalog-data §2.2).
const (
	catalogPage    = 20
	catalogMaxPage = 100
)

// collection is a kind of catalog objects: what its lists may ask for and how one is shown.
type collection struct {
	kind string
	// fields are the top-level members that filters and orderBy know, beside those of catalogPaths.
	fields []string
	// filters are query parameters that stand for another path.
	filters map[string][]string
	show    func(c *call, d *weir.Doc) (object, error)
}

// catalogPaths are members that are kept in a document's header.
var catalogPaths = map[string][]string{
	"id": {"id"}, "created": {"createdAt"}, "updated": {"updatedAt"}, "createdUser": {"createdBy"}, "createdClient": {"createdClient"},
	"updatedUser": {"updatedBy"}, "imsOrg": {"imsOrgId"},
}

// catalogTimes are the bounds of times, exclusive, epoch milliseconds.
var catalogTimes = []struct {
	name string
	op   store.Op
	path string
}{
	{"createdAfter", store.Gt, "created"},
	{"createdBefore", store.Lt, "created"},
	{"startAfter", store.Gt, "started"},
	{"startBefore", store.Lt, "started"},
	{"endAfter", store.Gt, "completed"},
	{"endBefore", store.Lt, "completed"},
}

// statusGroups are statuses that mean the same to a filter (Q18).
var statusGroups = map[string][]string{
	"success": {"success", "active"}, "active": {"success", "active"}, "failed": {"failed", "failure"}, "failure": {"failed", "failure"},
}

// refuse is a 400 of the service.
func (c *call) refuse(format string, args ...any) *weir.Error {
	return weir.Errorf(c.service.codes.badJSON, format, args...)
}

// filter is a list parameter; one that is not in the query may be a header (§2.2).
func (c *call) filter(names ...string) string {
	for _, n := range names {
		if v := strings.TrimSpace(c.arg(n)); v != "" {
			return v
		}
	}
	for _, n := range names {
		if v := strings.TrimSpace(c.req.Header.Get(n)); v != "" {
			return v
		}
	}
	return ""
}

// number is a whole-number list parameter with bounds.
func (c *call) number(absent, least, most int, names ...string) (int, error) {
	text := c.filter(names...)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, c.refuse("%s is %q; a whole number from %d to %d is expected.", names[0], shorten(text), least, most)
	}
	return n, nil
}

// path resolves a dotted field; known tells whether its first segment is a member that documents have.
func (s *collection) path(field string) (path []string, known bool) {
	segments := strings.Split(field, ".")
	if p := s.filters[field]; p != nil {
		return p, true
	}
	if p := catalogPaths[segments[0]]; p != nil {
		return append(slices.Clone(p), segments[1:]...), true
	}
	return segments, slices.Contains(s.fields, segments[0])
}

// question is a list's parameters.
type question struct {
	store.Query
	keep []string // members to show, nil for all
}

// question reads the parameters of a list (§2.2).
func (s *collection) question(c *call) (q question, err error) {
	q.Kind, q.Scopes = s.kind, []weir.Scope{c.Scope}
	for name := range strings.SplitSeq(c.filter("properties"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			q.keep = append(q.keep, name)
		}
	}
	most := catalogMaxPage
	if slices.Contains(q.keep, "observableSchema") {
		most = 20
	}
	if q.Limit, err = c.number(catalogPage, 1, most, "limit"); err != nil {
		return q, err
	}
	if q.Offset, err = c.number(0, 0, 1<<30, "start", "offset"); err != nil {
		return q, err
	}
	if q.Order, err = s.order(c, c.filter("orderBy", "sort")); err != nil {
		return q, err
	}
	if err := s.times(c, &q); err != nil {
		return q, err
	}
	s.plain(c, &q)
	s.tags(c, &q)
	return q, s.properties(c, &q)
}

// order reads orderBy: asc:f1,f2 · desc:f · name,desc:created.
func (s *collection) order(c *call, text string) (out []store.Order, err error) {
	for item := range strings.SplitSeq(text, ",") {
		field, desc := strings.TrimSpace(item), false
		if dir, rest, ok := strings.Cut(field, ":"); ok && (strings.EqualFold(dir, "asc") || strings.EqualFold(dir, "desc")) {
			field, desc = strings.TrimSpace(rest), strings.EqualFold(dir, "desc")
		}
		if field == "" {
			continue
		}
		path, known := s.path(field)
		if !known {
			return nil, c.refuse("orderBy names %q, which is no field of %s.", shorten(field), s.kind)
		}
		out = append(out, store.Order{Path: path, Desc: desc})
	}
	return out, nil
}

func (s *collection) times(c *call, q *question) error {
	for _, t := range catalogTimes {
		text := c.filter(t.name)
		if text == "" {
			continue
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return c.refuse("%s is %q; epoch milliseconds are expected.", t.name, shorten(text))
		}
		path, _ := s.path(t.path)
		q.Where = append(q.Where, store.Cond{Path: path, Op: t.op, Values: []string{text}})
	}
	return nil
}

// plain reads filters named like a field: name=x, name=!x, status=success,failed.
func (s *collection) plain(c *call, q *question) {
	names := slices.Concat(s.fields, slices.Sorted(keys(s.filters)), slices.Sorted(keys(catalogPaths)))
	for name := range c.values() {
		if first, _, dotted := strings.Cut(name, "."); dotted && slices.Contains(names, first) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		text := c.arg(name)
		if _, alias := s.filters[name]; text == "" && (alias || name == "status") {
			text = c.filter(name)
		}
		if text == "" || name == "tags" {
			continue
		}
		path, _ := s.path(name)
		var is, not []string
		for v := range strings.SplitSeq(text, ",") {
			v = strings.TrimSpace(v)
			list := &is
			if rest, negative := strings.CutPrefix(v, "!"); negative {
				v, list = rest, &not
			}
			if group := statusGroups[v]; group != nil && name == "status" {
				*list = append(*list, group...)
				continue
			}
			*list = append(*list, v)
		}
		if len(is) > 0 {
			q.Where = append(q.Where, store.Cond{Path: path, Op: store.Eq, Values: is})
		}
		if len(not) > 0 {
			q.Where = append(q.Where, store.Cond{Path: path, Op: store.Ne, Values: not})
		}
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// tags reads tags=key:value,key2:value2; * is any text, and a value of * alone any value.
func (s *collection) tags(c *call, q *question) {
	for item := range strings.SplitSeq(c.filter("tags"), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(item), ":")
		if key == "" {
			continue
		}
		cond := store.Cond{Path: []string{"tags", key}, Op: store.Exists}
		if value != "" && value != "*" {
			cond.Op, cond.Values = store.Like, []string{value}
		}
		q.Where = append(q.Where, cond)
	}
}

// propertyOps are the operators of property, longest first.
var propertyOps = []struct {
	text string
	op   store.Op
}{
	{"==", store.Eq}, {"!=", store.Ne}, {"<=", store.Le}, {">=", store.Ge}, {"<", store.Lt}, {">", store.Gt}, {"~", 0},
}

const maxPattern = 512

// properties reads property=…, which may repeat: all must hold.
func (s *collection) properties(c *call, q *question) error {
	for _, text := range c.values()["property"] {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		field, op, value := cutProperty(text)
		cond := store.Cond{Op: op, Values: []string{value}}
		switch {
		case op == store.Exists:
			cond.Values = nil
			if rest, missing := strings.CutPrefix(field, "!"); missing {
				field, cond.Op = rest, store.Missing
			}
		case op == 0:
			if err := s.pattern(c, q, field, value); err != nil {
				return err
			}
			continue
		case (op == store.Eq || op == store.Ne) && strings.Contains(value, "*"):
			cond.Op = map[store.Op]store.Op{store.Eq: store.Like, store.Ne: store.NotLike}[op]
		}
		cond.Path, _ = s.path(field)
		q.Where = append(q.Where, cond)
	}
	return nil
}

// cutProperty splits a condition at its first operator; without one it asks for existence.
func cutProperty(text string) (field string, op store.Op, value string) {
	at := strings.IndexAny(text[1:], "=!<>~") + 1
	if at == 0 {
		return text, store.Exists, ""
	}
	for _, o := range propertyOps {
		if rest, ok := strings.CutPrefix(text[at:], o.text); ok {
			return strings.TrimSpace(text[:at]), o.op, strings.TrimSpace(rest)
		}
	}
	return text, store.Exists, ""
}

// pattern adds a regular expression, which no database of ours speaks in the same way: it is matched here.
func (s *collection) pattern(c *call, q *question, field, expr string) error {
	re, err := regexp.Compile(expr)
	if err != nil || len(expr) > maxPattern {
		return c.refuse("property=%s~… has a pattern that is not readable (RE2 syntax, %d characters at most).", shorten(field), maxPattern)
	}
	before := q.Keep
	q.Keep = func(d *weir.Doc) bool {
		if before != nil && !before(d) {
			return false
		}
		o, err := s.show(c, d)
		return err == nil && matches(o.raw(), strings.Split(field, "."), re)
	}
	return nil
}

// matches looks for a text or number at a path of a JSON value; arrays match if an element does.
func matches(raw json.RawMessage, path []string, re *regexp.Regexp) bool {
	if isArray(raw) {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return false
		}
		return slices.ContainsFunc(list, func(e json.RawMessage) bool { return matches(e, path, re) })
	}
	if len(path) > 0 {
		o, err := parseObject(raw)
		return err == nil && o.has(path[0]) && matches(o.get(path[0]), path[1:], re)
	}
	var text weir.Text
	return json.Unmarshal(raw, &text) == nil && re.MatchString(string(text))
}

// find runs a list. Faults of the store's filters become the service's.
func (s *collection) find(c *call, tx *store.Tx, q question) (object, error) {
	docs, _, err := tx.Find(q.Query)
	if err != nil {
		return nil, c.foreign(err)
	}
	out := object{}
	for _, d := range docs {
		o, err := s.show(c, d)
		if err != nil {
			return nil, err
		}
		if q.keep != nil {
			o = o.only(q.keep...)
		}
		out = append(out, member{d.ID, o.raw()})
	}
	return out, nil
}

// foreign gives a fault of another family, as the store has them, the service's code.
func (c *call) foreign(err error) error {
	var e *weir.Error
	if errors.As(err, &e) && e.Status() < 500 {
		return &weir.Error{Code: c.service.codes.badJSON, Message: e.Message, Err: err}
	}
	return err
}

// list is GET of a collection: {"<id>": {…}, …} without any wrapper (§2.1).
func (s *collection) list(c *call) (reply, error) {
	q, err := s.question(c)
	if err != nil {
		return reply{}, err
	}
	var out object
	err = c.view(func(tx *store.Tx) (err error) {
		out, err = s.find(c, tx, q)
		return err
	})
	return ok(out), err
}
