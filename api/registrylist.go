package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/xdm"
)

// Page sizes of registry lists (§1.4).
const (
	registryPage    = 300
	registryMaxPage = 500
	// registryWhole is up to how many entries collections come in one page that clients cannot page through (Q8).
	registryWhole = 1000
)

// entry is one resource of a list, with its members decoded for filters and order.
type entry struct {
	raw  json.RawMessage
	tree map[string]any
}

func newEntry(raw json.RawMessage) (entry, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	e := entry{raw: raw}
	err := dec.Decode(&e.tree)
	return e, err
}

// shortNames are the names that orderby and property use for members of meta:registryMetadata.
var shortNames = map[string]string{
	"updated": "repo:lastModifiedDate", "created": "repo:createdDate", "createdDate": "repo:createdDate", "lastModifiedDate": "repo:lastModifiedDate",
}

// at is the value of a field: a member, a short name, or a dotted or slashed path. Nil if there is none.
func (e entry) at(field string) any {
	if v, has := e.tree[field]; has {
		return v
	}
	if long, ok := shortNames[field]; ok {
		m, _ := e.tree["meta:registryMetadata"].(map[string]any)
		return m[long]
	}
	var v any = e.tree
	for part := range strings.FieldsFuncSeq(field, func(r rune) bool { return r == '.' || r == '/' }) {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	return v
}

// listResources is GET /{container}/{collection}.
func listResources(c *call) (reply, error) {
	k, err := c.registryKind()
	if err != nil {
		return reply{}, err
	}
	a, err := c.acceptList()
	if err != nil {
		return reply{}, err
	}
	var entries []entry
	err = c.reading(func(r *registry) (err error) {
		entries, err = r.entries(k)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return c.page(entries, k.resource == xdm.DataTypes, func(e entry) (json.RawMessage, error) {
		if a.summary {
			return summary(e.raw), nil
		}
		return xdm.Raw(e.raw, a.variant)
	})
}

// entries are the resources of a collection in the container of the path.
func (r *registry) entries(k registryKind) ([]entry, error) {
	var raws []json.RawMessage
	switch {
	case r.c.param("container") == containerGlobal:
		raws = xdm.Globals(k.resource)
	case k.resource == xdm.Unions:
		classes, err := r.unionClasses()
		if err != nil {
			return nil, err
		}
		for _, class := range classes {
			u, err := r.union(class)
			if err != nil {
				return nil, err
			}
			raw, err := r.rawUnion(u, class)
			if err != nil {
				return nil, err
			}
			raws = append(raws, raw)
		}
	case k.kind != "":
		docs, err := r.all(k.kind)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			raw, err := r.show(d)
			if err != nil {
				return nil, err
			}
			raws = append(raws, raw)
		}
	}
	out := make([]entry, 0, len(raws))
	for _, raw := range raws {
		e, err := newEntry(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// page filters, sorts and cuts a list by the query (§1.4). start is the value of the first sort field after which the page begins, so a
// page never ends between entries that share it. whole lists come in one page unless a small limit is asked for.
func (c *call) page(entries []entry, whole bool, show func(entry) (json.RawMessage, error)) (reply, error) {
	conds, err := c.conditions()
	if err != nil {
		return reply{}, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return !e.holds(conds) })
	orderText, order := c.order()
	slices.SortStableFunc(entries, func(a, b entry) int {
		for _, o := range order {
			if d := o.compare(a, b); d != 0 {
				return d
			}
		}
		return 0
	})
	limit, err := c.registryLimit()
	if err != nil {
		return reply{}, err
	}
	if whole && limit >= registryPage && len(entries) <= registryWhole {
		limit = registryWhole
	}
	if start := c.arg("start"); start != "" {
		first := order[0]
		entries = slices.DeleteFunc(entries, func(e entry) bool { return first.sign()*compareValues(e.at(first.field), start, first.field) <= 0 })
	}
	var next any
	if len(entries) > limit {
		end := limit
		for end < len(entries) && order[0].compare(entries[end-1], entries[end]) == 0 {
			end++
		}
		if end < len(entries) {
			next = entries[end-1].at(order[0].field)
		}
		entries = entries[:end]
	}
	results := make([]json.RawMessage, 0, len(entries))
	for _, e := range entries {
		raw, err := show(e)
		if err != nil {
			return reply{}, err
		}
		results = append(results, raw)
	}
	page := object{}.set("orderby", orderText).set("next", next).set("count", len(results))
	return ok(object{}.set("results", results).set("_page", page).set("_links", c.pageLinks(next))), nil
}

// pageLinks point at the next page and, from a tenant's list, at the same list of the standard library.
func (c *call) pageLinks(next any) object {
	links := object{}.set("next", nil)
	path := c.baseURL() + registryBase
	if next != nil {
		q := url.Values{}
		maps.Copy(q, c.values())
		q.Set("start", valueText(next))
		links = links.set("next", object{}.set("href", path+"/"+c.param("container")+"/"+c.listName()+"?"+q.Encode()))
	}
	if c.param("container") == containerTenant {
		href := path + "/" + containerGlobal + "/" + c.listName()
		if c.req.URL.RawQuery != "" {
			href += "?" + c.req.URL.RawQuery
		}
		links = links.set("global_schemas", object{}.set("href", href))
	}
	return links
}

func (c *call) listName() string {
	if name := c.param("collection"); name != "" {
		return name
	}
	return "descriptors"
}

func (c *call) registryLimit() (int, error) {
	text := strings.TrimSpace(c.arg("limit"))
	if text == "" {
		return registryPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, weir.Errorf("XDM-1003-400", "limit is %q; a whole number from 0 to %d is expected.", shorten(text), registryMaxPage)
	}
	if n == 0 {
		return registryPage, nil
	}
	return min(n, registryMaxPage), nil
}

// sortKey is one field of orderby.
type sortKey struct {
	field string
	desc  bool
}

// order reads orderby: a comma list, a dash before a name turns it around. The default is updated.
func (c *call) order() (string, []sortKey) {
	text := strings.TrimSpace(c.arg("orderby"))
	var keys []sortKey
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		field, desc := strings.CutPrefix(name, "-")
		field = strings.TrimPrefix(field, "+")
		if field != "" {
			keys = append(keys, sortKey{field, desc})
		}
	}
	if len(keys) == 0 {
		return "updated", []sortKey{{field: "updated"}}
	}
	return text, keys
}

func (k sortKey) sign() int {
	if k.desc {
		return -1
	}
	return 1
}

func (k sortKey) compare(a, b entry) int {
	return k.sign() * compareValues(a.at(k.field), b.at(k.field), k.field)
}

// compareValues orders values of a field: nothing first, numbers by value, versions part by part, everything else as text.
func compareValues(a, b any, field string) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	x, y := valueText(a), valueText(b)
	if field == "version" {
		return compareVersions(x, y)
	}
	_, isNumber := a.(json.Number)
	if !isNumber {
		_, isNumber = b.(json.Number)
	}
	if isNumber {
		m, errM := strconv.ParseFloat(x, 64)
		n, errN := strconv.ParseFloat(y, 64)
		if errM == nil && errN == nil {
			return cmp.Compare(m, n)
		}
	}
	return strings.Compare(x, y)
}

func rank(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

func compareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if d := cmp.Compare(versionPart(x, i), versionPart(y, i)); d != 0 {
			return d
		}
	}
	return 0
}

// versionPart is one number of a version, 0 for a part that is missing or is none.
func versionPart(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}

func valueText(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case json.Number:
		return t.String()
	}
	return string(encode(v))
}

// condition is one filter of property.
type condition struct {
	field, op, value string
}

var conditionOp = regexp.MustCompile(`==|!=|<=|>=|<|>`)

// conditions reads the property parameters: several are joined with AND, and so are conditions with commas between them. A part after a
// comma without an operator belongs to the value before it.
func (c *call) conditions() ([]condition, error) {
	var out []condition
	for _, text := range c.values()["property"] {
		if strings.TrimSpace(text) == "" {
			continue
		}
		first := len(out)
		for part := range strings.SplitSeq(text, ",") {
			at := conditionOp.FindStringIndex(part)
			switch {
			case at == nil && len(out) > first && out[len(out)-1].op != "":
				out[len(out)-1].value += "," + part
			case at == nil:
				out = append(out, condition{field: strings.TrimSpace(part)})
			case strings.TrimSpace(part[:at[0]]) == "":
				return nil, weir.Errorf("XDM-1003-400", "The filter property=%s has no field name before the operator.", shorten(text))
			default:
				out = append(out, condition{strings.TrimSpace(part[:at[0]]), part[at[0]:at[1]], part[at[1]:]})
			}
		}
	}
	return out, nil
}

func (e entry) holds(conds []condition) bool {
	for _, c := range conds {
		if !c.holds(e.at(c.field)) {
			return false
		}
	}
	return true
}

// holds compares a value; against a list == means that it contains the value and != that it does not.
func (c condition) holds(v any) bool {
	if c.op == "" {
		return v != nil
	}
	if list, is := v.([]any); is {
		has := slices.ContainsFunc(list, func(e any) bool { return condition{c.field, "==", c.value}.holds(e) })
		switch c.op {
		case "==":
			return has
		case "!=":
			return !has
		}
		return slices.ContainsFunc(list, func(e any) bool { return c.holds(e) })
	}
	if v == nil {
		return c.op == "!="
	}
	d := compareValues(v, c.value, c.field)
	switch c.op {
	case "==":
		return d == 0 && (c.field != "version" || valueText(v) == c.value)
	case "!=":
		return d != 0
	case "<":
		return d < 0
	case "<=":
		return d <= 0
	case ">":
		return d > 0
	}
	return d >= 0
}
