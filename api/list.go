package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// Page sizes (flow-service §3.1).
const (
	pageSize    = 100
	maxPageSize = 1000
)

// listing is what a list is asked for. It is also what a continuation token holds, so that the token alone repeats the question (§3.5).
type listing struct {
	Kind     string   `json:"k"`
	Property []string `json:"p,omitempty"`
	OrderBy  string   `json:"o,omitempty"`
	Limit    int      `json:"l,omitempty"` // 0: everything
	After    string   `json:"a,omitempty"`
	Project  []string `json:"f,omitempty"`
	count    bool
}

// list is GET /{kind}.
func (r *resource) list(c *call) (reply, error) {
	q, err := r.listing(c)
	if err != nil {
		return reply{}, err
	}
	return r.answer(c, q)
}

// listing reads the parameters of a list (§3.1). Empty values count as absent. With a continuation token the rest is what the client sent
// before, and the token decides.
func (r *resource) listing(c *call) (listing, error) {
	if token := c.arg("continuationToken"); token != "" {
		return r.resume(token)
	}
	q := listing{Kind: r.kind, OrderBy: c.arg("orderby"), Property: nonEmpty(c.values()["property"])}
	if !r.shared {
		q.Limit = pageSize
	}
	count, known := c.flag("count")
	if !known {
		return q, weir.Errorf("FLOW-1452-400", "count is %q; true or false is expected.", shorten(c.arg("count")))
	}
	q.count = count
	if text := c.arg("limit"); text != "" {
		if count && !c.server.LenientCount {
			return q, weir.Errorf("FLOW-1401-400", "limit and count=true exclude each other.")
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return q, weir.Errorf("FLOW-1452-400", "limit is %q; a whole number from 1 is expected.", shorten(text))
		}
		q.Limit = min(n, maxPageSize)
	}
	if c.server.StrictQuery {
		for name := range c.values() {
			if !slices.Contains([]string{"property", "limit", "orderby", "continuationToken", "count"}, name) {
				return q, weir.Errorf("FLOW-1451-400", "The query parameter %s is not known.", shorten(name))
			}
		}
	}
	return q, nil
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// resume reads a continuation token.
func (r *resource) resume(token string) (listing, error) {
	var q listing
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(token))
	if err == nil {
		err = json.Unmarshal(b, &q)
	}
	if err != nil || q.Kind != r.kind || q.After == "" || q.Limit < 1 {
		return q, errToken()
	}
	q.Limit = min(q.Limit, maxPageSize)
	return q, nil
}

func errToken() *weir.Error {
	return weir.Errorf("FLOW-1452-400", "The continuationToken is not one of this list. Begin again without it.")
}

// token is the continuation token of a listing: letters, digits, - and _ only.
func (q listing) token(after string) string {
	q.After = after
	return base64.RawURLEncoding.EncodeToString(encode(q))
}

// answer runs a listing.
func (r *resource) answer(c *call, q listing) (reply, error) {
	query, project, err := r.query(c, q)
	if err != nil {
		return reply{}, err
	}
	if q.count {
		var n int
		err := c.view(func(tx *store.Tx) (err error) {
			if query.Keep, err = r.replaced(tx, query.Scopes); err == nil {
				n, err = tx.Count(query)
			}
			return err
		})
		return ok(object{}.set("count", n)), err
	}
	var items []object
	var next string
	err = c.view(func(tx *store.Tx) error {
		var err error
		if query.Keep, err = r.replaced(tx, query.Scopes); err != nil {
			return err
		}
		docs, after, err := tx.Find(query)
		if errors.Is(err, store.ErrToken) {
			return errToken()
		}
		if err != nil {
			return err
		}
		next, items = after, make([]object, 0, len(docs))
		for _, d := range docs {
			o, err := r.show(c, d)
			if err != nil {
				return err
			}
			if len(project) > 0 {
				o = o.only(append([]string{"id"}, project...)...)
			}
			items = append(items, o)
		}
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	links := object{}
	if next != "" {
		links = links.set("next", object{}.set("href", "/"+r.kind+"?continuationToken="+q.token(next)))
	}
	return ok(object{}.set("items", items).set("_links", links)), nil
}

// query turns a listing into one of the store.
func (r *resource) query(c *call, q listing) (out store.Query, project []string, err error) {
	out = store.Query{Kind: r.kind, Scopes: c.scopes(r), Limit: q.Limit, After: q.After}
	where, project, fail := store.ParseProperty(q.Property, r.known)
	if fail != nil {
		if fail.Code == "FLOW-1449-400" {
			fail.Code = r.unknownField
		}
		return out, nil, fail
	}
	for i := range where {
		if err := r.guard(where[i].Path, r.unknownField); err != nil {
			return out, nil, err
		}
		if long := r.aliases[strings.Join(where[i].Path, ".")]; long != nil {
			where[i].Path = long
		}
	}
	out.Where = where
	for _, p := range slices.Concat(project, q.Project) {
		path := strings.Split(p, ".")
		if !r.known(path[0]) {
			return out, nil, weir.Errorf(r.unknownField, "The field %s is not known.", shorten(p))
		}
		if err := r.guard(path, r.unknownField); err != nil {
			return out, nil, err
		}
	}
	project = slices.Concat(project, q.Project)
	for i, p := range project {
		project[i], _, _ = strings.Cut(p, ".")
	}
	if out.Order, err = r.order(q.OrderBy); err != nil {
		return out, nil, err
	}
	return out, project, nil
}

// order reads orderby; without one the newest come first (§3.4).
func (r *resource) order(text string) ([]store.Order, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	order, err := store.ParseOrderBy(text, r.known)
	if err != nil {
		return nil, err
	}
	for i := range order {
		if err := r.guard(order[i].Path, "FLOW-1433-400"); err != nil {
			return nil, err
		}
		if long := r.aliases[strings.Join(order[i].Path, ".")]; long != nil {
			order[i].Path = long
		}
	}
	return order, nil
}

// headerFields are the members every document has.
var headerFields = []string{
	"id", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient", "updatedClient", "sandboxId", "sandboxName", "imsOrgId",
	"version", "etag", "state", "name", "description",
}

func (r *resource) known(field string) bool {
	return slices.Contains(headerFields, field) || slices.Contains(r.fields, field)
}

// guard refuses a path at, above or below one that holds secrets, with the same answer whatever is stored (R29).
func (r *resource) guard(path []string, code string) error {
	dotted := strings.Join(path, ".")
	for _, s := range r.secret {
		if dotted == s || strings.HasPrefix(dotted, s+".") || strings.HasPrefix(dotted, s+"[") {
			return weir.Errorf(code, "%s may hold secrets and cannot be filtered, sorted or projected.", s)
		}
	}
	return nil
}

// replaced makes a condition that leaves out the built-in documents of a shared collection which the organisation has replaced by its
// own of the same id; nil if there are none.
func (r *resource) replaced(tx *store.Tx, scopes []weir.Scope) (func(*weir.Doc) bool, error) {
	if !r.shared {
		return nil, nil
	}
	own, _, err := tx.Find(store.Query{Kind: r.kind, Scopes: scopes[:1]})
	if err != nil || len(own) == 0 {
		return nil, err
	}
	ids := make(map[string]bool, len(own))
	for _, d := range own {
		ids[d.ID] = true
	}
	return func(d *weir.Doc) bool { return d.Scope.Org != "" || !ids[d.ID] }, nil
}

// where is the condition that a member equals one of the values. The path is dotted; [] marks in it are for the reader.
func where(path string, values ...string) store.Cond {
	return store.Cond{Path: strings.Split(strings.ReplaceAll(path, "[]", ""), "."), Op: store.Eq, Values: values}
}

// search is POST /{kind}/search (§3.7): a list whose question is in the body.
func (r *resource) search(c *call) (reply, error) {
	if token := c.arg("continuationToken"); token != "" {
		q, err := r.resume(token)
		if err != nil {
			return reply{}, err
		}
		return r.answer(c, q)
	}
	raw, err := c.body()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		QueryString string          `json:"queryString"`
		Limit       weir.Int        `json:"limit"`
		OrderBy     string          `json:"orderby"`
		Count       weir.Bool       `json:"count"`
		Projection  json.RawMessage `json:"projectionFields"`
		GroupBy     string          `json:"groupByProperty"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return reply{}, weir.Errorf("FLOW-1452-400", "The search is not readable: %w.", err)
	}
	q := listing{Kind: r.kind, OrderBy: in.OrderBy, Property: clauses(in.QueryString), Limit: pageSize, count: in.Count.Value}
	if in.Limit.Set {
		if in.Limit.Value < 1 || in.Limit.Value > maxPageSize {
			return reply{}, fault("FLOW-1452-400", "/limit", "limit is %d; 1 to %d is possible.", in.Limit.Value, maxPageSize)
		}
		q.Limit = int(in.Limit.Value)
	}
	if in.GroupBy != "" { // items of a group stand together
		q.OrderBy = strings.Trim(in.GroupBy+","+in.OrderBy, ",")
	}
	if q.Project, err = projection(in.Projection); err != nil {
		return reply{}, err
	}
	return r.answer(c, q)
}

// projection reads projectionFields: a list or a comma-separated text.
func projection(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []string
	var text string
	if json.Unmarshal(raw, &text) == nil {
		list = strings.Split(text, ",")
	} else if json.Unmarshal(raw, &list) != nil {
		return nil, fault("FLOW-1452-400", "/projectionFields", "projectionFields must be a list of field names.")
	}
	return nonEmpty(list), nil
}

// clauses reads a queryString: what stands after the ? of a list, or bare clauses.
func clauses(text string) []string {
	text = strings.TrimPrefix(strings.TrimSpace(text), "?")
	if !strings.Contains(text, "property=") {
		return nonEmpty([]string{text})
	}
	var out []string
	for pair := range strings.SplitSeq(text, "&") {
		if v, is := strings.CutPrefix(pair, "property="); is {
			if d, err := url.QueryUnescape(v); err == nil {
				v = d
			}
			out = append(out, v)
		}
	}
	return nonEmpty(out)
}
