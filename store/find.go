package store

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// Query asks for documents of one kind.
type Query struct {
	Kind string
	// Scopes are the tenants to look in. None finds nothing, unless AllScopes asks for everybody's (for the engine, never for a client).
	Scopes    []weir.Scope
	AllScopes bool
	// Where must all hold.
	Where []Cond
	// Order sorts; none is newest first. Documents that compare equal come by id, so an order is always total.
	Order []Order
	// Limit is the size of a page, 0 for all.
	Limit int
	// After is the next of the page before (a keyset: pages are stable while documents come and go). Order must be the same.
	After string
	// Offset skips documents, for interfaces that page by number.
	Offset int
	// Keep, if not nil, is a last condition that SQL cannot say. Documents it refuses count neither for Limit nor for Offset.
	Keep func(*weir.Doc) bool
}

// Order sorts by a header field or a member of the document, see [Cond] for paths. Missing values come first, then numbers, then text by
// code point; Desc turns the whole around.
type Order struct {
	Path []string
	Desc bool
}

// ErrToken says that [Query].After is not a token of this store for this order. The flow service answers it with FLOW-1452-400.
var ErrToken = errors.New("not a valid continuation token")

// key is one SQL expression to sort by; its value is never null.
type key struct {
	expr string
	kind keyKind
	desc bool
}

type keyKind byte

const (
	keyInt     keyKind = 'i'
	keyText    keyKind = 't'
	keyNumeric keyKind = 'n' // travels as text: a double would not bring a decimal back
)

// Find returns the documents of one page, without secrets, and the token of the page after it ("" if this is the last one). A condition
// that cannot be asked is a *[weir.Error] (FLOW-1449, 1450, 1452); a bad After is [ErrToken].
func (tx *Tx) Find(q Query) (docs []*weir.Doc, next string, err error) {
	b := builder{d: tx.s.dialect}
	query, keys, err := b.find(q)
	if err != nil {
		return nil, "", err
	}
	skip := q.Offset
	var last []string
	err = tx.each(query, b.args, func(rows *sql.Rows) error {
		d, values, err := scanPage(rows, keys)
		if err != nil {
			return err
		}
		if q.Keep != nil {
			if !q.Keep(d) {
				return nil
			}
			if skip > 0 {
				skip--
				return nil
			}
		}
		if q.Limit > 0 && len(docs) == q.Limit {
			next = encodeToken(q, last)
			return errStop
		}
		docs, last = append(docs, d), values
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, "", fmt.Errorf("find %s: %w", q.Kind, err)
	}
	return docs, next, nil
}

// errStop ends the reading of rows early.
var errStop = errors.New("enough")

// Count returns how many documents match; Order, Limit, After and Offset do not matter.
func (tx *Tx) Count(q Query) (int, error) {
	b := builder{d: tx.s.dialect}
	where, err := b.where(q)
	if err != nil {
		return 0, err
	}
	n := 0
	if q.Keep == nil {
		err = tx.row("SELECT count(*) FROM documents WHERE "+where, b.args, &n)
	} else {
		err = tx.each("SELECT "+columns+" FROM documents WHERE "+where, b.args, func(rows *sql.Rows) error {
			var d weir.Doc
			err := rows.Scan(docFields(&d)...)
			if err == nil && q.Keep(&d) {
				n++
			}
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", q.Kind, err)
	}
	return n, nil
}

func scanPage(rows *sql.Rows, keys []key) (*weir.Doc, []string, error) {
	d := &weir.Doc{}
	values := make([]string, len(keys))
	targets := docFields(d)
	for i := range values {
		targets = append(targets, &values[i])
	}
	return d, values, rows.Scan(targets...)
}

// builder collects the arguments of one statement.
type builder struct {
	d    *dialect
	args []any
}

// arg adds an argument and returns its placeholder.
func (b *builder) arg(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

// find is the statement of Find: the documents of one page and one more, each with its sort keys. With Keep it has no limit.
func (b *builder) find(q Query) (query string, keys []key, err error) {
	where, err := b.where(q)
	if err != nil {
		return "", nil, err
	}
	if keys, err = b.keys(q); err != nil {
		return "", nil, err
	}
	if q.After != "" {
		values, err := decodeToken(q, keys)
		if err != nil {
			return "", nil, err
		}
		where += " AND " + b.after(keys, values)
	}
	selected := make([]string, len(keys))
	for i, k := range keys {
		selected[i] = k.selected(b.d)
	}
	query = "SELECT " + columns + ", " + strings.Join(selected, ", ") + " FROM documents WHERE " + where + " ORDER BY " + orderList(keys)
	if q.Keep == nil {
		query += b.page(q)
	}
	return query, keys, nil
}

func (b *builder) where(q Query) (string, error) {
	terms := []string{"kind = " + b.arg(q.Kind)}
	switch {
	case q.AllScopes:
	case len(q.Scopes) == 0:
		terms = append(terms, "1 = 0")
	default:
		var scopes []string
		for _, s := range q.Scopes {
			if plainText(s.Org) && plainText(s.Sandbox) {
				scopes = append(scopes, "org = "+b.arg(s.Org)+" AND sandbox = "+b.arg(s.Sandbox))
			}
		}
		switch len(scopes) {
		case 0:
			terms = append(terms, "1 = 0")
		case 1:
			terms = append(terms, scopes[0])
		default:
			terms = append(terms, "("+strings.Join(scopes, " OR ")+")")
		}
	}
	for _, c := range q.Where {
		term, err := b.cond(q.Kind, c)
		if err != nil {
			return "", err
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, " AND "), nil
}

// keys turns the order into sort keys that never tie.
func (b *builder) keys(q Query) ([]key, error) {
	var keys []key
	order := q.Order
	if len(order) == 0 {
		order = []Order{{Path: []string{"createdAt"}, Desc: true}}
	}
	for _, o := range order {
		if err := checkPath(o.Path); err != nil {
			return nil, weir.Errorf("FLOW-1433-400", "cannot order by %q: %w", strings.Join(o.Path, "."), err)
		}
		if h, ok := headerOf(q.Kind, o.Path); ok {
			if h.deep {
				continue // nothing is below a header field: all are equal
			}
			keys = append(keys, key{expr: h.column, kind: h.kind, desc: o.Desc})
			continue
		}
		rank, num, text := b.d.json.sortKeys(b, b.source(o.Path), o.Path)
		keys = append(keys, key{rank, keyInt, o.Desc}, key{num, keyNumeric, o.Desc}, key{text, keyText, o.Desc})
	}
	keys = append(keys, key{"id", keyText, false})
	if q.AllScopes || len(q.Scopes) > 1 {
		keys = append(keys, key{"org", keyText, false}, key{"sandbox", keyText, false})
	}
	return keys, nil
}

func (k key) selected(d *dialect) string {
	if k.kind == keyNumeric {
		return d.json.numberText(k.expr)
	}
	return k.expr
}

func orderList(keys []key) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k.expr
		if k.desc {
			parts[i] += " DESC"
		}
	}
	return strings.Join(parts, ", ")
}

// after is the condition "comes later than values in the order of keys". Its first term alone bounds an index scan.
func (b *builder) after(keys []key, values []any) string {
	cond := ""
	for i, k := range slices.Backward(keys) {
		mark := b.mark(k, values[i])
		op := " > "
		if k.desc {
			op = " < "
		}
		if cond == "" {
			cond = k.expr + op + mark
			continue
		}
		cond = k.expr + strings.TrimRight(op, " ") + "= " + mark + " AND (" + k.expr + op + mark + " OR " + cond + ")"
	}
	return "(" + cond + ")"
}

func (b *builder) mark(k key, v any) string {
	if k.kind == keyNumeric {
		return b.d.json.numberArg(b, fmt.Sprint(v))
	}
	return b.arg(v)
}

func (b *builder) page(q Query) string {
	text := ""
	if q.Limit > 0 {
		text = " LIMIT " + b.arg(q.Limit+1)
	}
	if q.Offset > 0 {
		if q.Limit <= 0 {
			text = b.d.json.noLimit()
		}
		text += " OFFSET " + b.arg(q.Offset)
	}
	return text
}

// token is the content of a continuation token.
type token struct {
	Order  string   `json:"o"`
	Values []string `json:"v"`
}

// orderMark tells one order from another: a token belongs to one.
func orderMark(q Query) string {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s %t %v", q.Kind, q.AllScopes || len(q.Scopes) > 1, q.Order) // never fails
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}

func encodeToken(q Query, values []string) string {
	raw, _ := json.Marshal(token{orderMark(q), values}) // strings only
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeToken(q Query, keys []key) ([]any, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(q.After)
	if err != nil {
		return nil, ErrToken
	}
	var t token
	if json.Unmarshal(raw, &t) != nil || t.Order != orderMark(q) || len(t.Values) != len(keys) {
		return nil, ErrToken
	}
	values := make([]any, len(keys))
	for i, k := range keys {
		switch v := t.Values[i]; {
		case k.kind == keyInt:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return nil, ErrToken
			}
			values[i] = n
		case k.kind == keyNumeric && !isNumber(v), !plainText(v):
			return nil, ErrToken
		default:
			values[i] = v
		}
	}
	return values, nil
}
