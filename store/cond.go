package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"weir"
)

// Op compares a member of a document with values.
type Op uint8

// Operators. A member that is an array, or is reached through arrays (of objects, at any place of the path), matches if any of its
// elements does. Null counts as missing.
const (
	// Eq holds if the member equals one of Values: numbers numerically, booleans (also those sent as text) in any case, otherwise text.
	// SQLite compares integers beyond 64 bits as doubles.
	Eq Op = iota + 1
	// Ne is the opposite of Eq, so it holds for missing members too.
	Ne
	// Lt, Le, Gt and Ge take one value. If it is a number, members that are numbers, or text that is one, compare numerically; other
	// text compares by code point.
	Lt
	Le
	Gt
	Ge
	// Exists holds if the member is there and not null; Missing is the opposite. Neither takes values.
	Exists
	Missing
	// Contains, Prefix and Like hold for text that has the value inside, at its beginning, or fits it as a pattern, in which * is any
	// text and ** a literal star. One of several values is enough.
	Contains
	Prefix
	Like
	// NotLike is the opposite of Like.
	NotLike
)

// Cond is one condition.
//
// Path names a member. Its first segment is a header field (id, createdAt, updatedAt, createdBy, createdClient, updatedBy,
// updatedClient, state, etag, sandboxName, imsOrgId; version on the five kinds that have it as their etag) or a member of Meta, else of
// Body. Segments are member names without brackets. The members name and flowId are read from Body only (they are indexed).
type Cond struct {
	Path   []string
	Op     Op
	Values []string
	// Fold compares text without case.
	Fold bool
}

// header is a document's column that a path may name.
type header struct {
	column string
	kind   keyKind
	fold   bool
	// deep says that the path goes on below the column: nothing is there.
	deep bool
}

var headers = map[string]header{
	"id":            {column: "id", kind: keyText},
	"createdAt":     {column: "created_at", kind: keyInt},
	"updatedAt":     {column: "updated_at", kind: keyInt},
	"createdBy":     {column: "created_by", kind: keyText},
	"createdClient": {column: "created_client", kind: keyText},
	"updatedBy":     {column: "updated_by", kind: keyText},
	"updatedClient": {column: "updated_client", kind: keyText},
	"state":         {column: "state", kind: keyText, fold: true},
	"etag":          {column: "etag", kind: keyText},
	"version":       {column: "etag", kind: keyText},
	"sandboxName":   {column: "sandbox", kind: keyText},
	"imsOrgId":      {column: "org", kind: keyText},
}

// versionIsETag lists the kinds whose version is their etag (flow-service §2.2); elsewhere it is a member of the body.
var versionIsETag = map[string]bool{
	weir.KindConnection: true, weir.KindSourceConnection: true, weir.KindTargetConnection: true, weir.KindFlow: true, weir.KindRun: true,
}

// indexed are the members of Body that have an index (migration/*): compared directly, as plain text.
var indexed = map[string]bool{"name": true, "flowId": true}

func headerOf(kind string, path []string) (header, bool) {
	h, ok := headers[path[0]]
	if !ok || path[0] == "version" && !versionIsETag[kind] {
		return header{}, false
	}
	h.deep = len(path) > 1
	return h, true
}

var (
	errNoPath  = errors.New("the field has no name")
	errSegment = errors.New("the field name holds a character that no field name has")
	errUnknown = errors.New("there is no such field")
	errSecret  = errors.New("credentials can be neither filtered, sorted nor selected")
)

// maxSegments and maxSegment bound a path.
const (
	maxSegments = 16
	maxSegment  = 128
)

// checkPath lets only names through that are safe inside of a JSON path expression, and no secrets (flow-service R29).
func checkPath(path []string) error {
	if len(path) == 0 || len(path) > maxSegments {
		return errNoPath
	}
	for _, seg := range path {
		if seg == "" {
			return errNoPath
		}
		if len(seg) > maxSegment || strings.IndexFunc(seg, func(r rune) bool { return !pathRune(r) }) >= 0 {
			return errSegment
		}
	}
	if secretPath(path) {
		return errSecret
	}
	return nil
}

// pathRune is the strict pattern of names: letters, digits and a few marks; no quotes, backslashes, brackets or control characters.
func pathRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_@$:/#.+- ", r)
}

// secretPath reports whether a path leads to credentials.
func secretPath(path []string) bool {
	return len(path) >= 2 && strings.EqualFold(path[0], "auth") && strings.EqualFold(path[1], "params")
}

// cond compiles one condition. Values and path expressions are arguments, never text of the statement.
func (b *builder) cond(kind string, c Cond) (string, error) {
	field := strings.Join(c.Path, ".")
	if err := checkPath(c.Path); err != nil {
		return "", weir.Errorf("FLOW-1449-400", "cannot filter by %q: %w", field, err)
	}
	if err := checkValues(c); err != nil {
		return "", err
	}
	if c.Fold {
		c.Values = foldAll(c.Values)
	}
	switch c.Op {
	case Ne, Missing, NotLike:
		c.Op = map[Op]Op{Ne: Eq, Missing: Exists, NotLike: Like}[c.Op]
		cond, err := b.positive(kind, c)
		return "NOT " + cond, err
	default:
		return b.positive(kind, c)
	}
}

// positive compiles the operators that are no negation. The result is in parentheses and never null.
func (b *builder) positive(kind string, c Cond) (string, error) {
	if h, ok := headerOf(kind, c.Path); ok {
		return b.header(h, c)
	}
	if len(c.Path) == 1 && indexed[c.Path[0]] && c.Op == Eq && !c.Fold {
		return "(" + b.d.json.direct(b, c.Path[0], c.Values) + ")", nil
	}
	return "(" + b.d.json.any(b, b.source(c.Path), c) + ")", nil
}

func checkValues(c Cond) error {
	field := strings.Join(c.Path, ".")
	want := len(c.Values) > 0
	switch c.Op {
	case Exists, Missing:
		want = len(c.Values) == 0
	case Lt, Le, Gt, Ge:
		want = len(c.Values) == 1
	case Eq, Ne, Contains, Prefix, Like, NotLike:
	default:
		return weir.Errorf("FLOW-1450-400", "the operator on %q does not exist", field)
	}
	if !want {
		return weir.Errorf("FLOW-1443-400", "the filter on %q has %d values, which its operator does not take", field, len(c.Values))
	}
	if len(c.Values) > maxValues {
		return weir.Errorf("FLOW-1443-400", "the filter on %q has more than %d values", field, maxValues)
	}
	return nil
}

// maxValues bounds a list of values: a statement takes only so many arguments.
const maxValues = 1000

func foldAll(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ToLower(v)
	}
	return out
}

// source is the column that has the first segment of the path: Meta lies over Body.
func (b *builder) source(path []string) string {
	if indexed[path[0]] {
		return b.d.bodyDoc
	}
	return "(CASE WHEN " + b.d.json.metaHas(b, path[0]) + " THEN " + b.d.metaDoc + " ELSE " + b.d.bodyDoc + " END)"
}

// header compiles a condition on a column. Columns are never null.
func (b *builder) header(h header, c Cond) (string, error) {
	if h.deep {
		return "(1 = 0)", nil
	}
	if h.kind == keyInt {
		return b.intHeader(h, c)
	}
	if c.Op == Exists {
		return "(" + h.column + " <> '')", nil
	}
	values := c.Values
	column := h.column
	if h.fold || c.Fold {
		values = foldAll(values)
		column = fmt.Sprintf(b.d.fold, column)
	}
	return "(" + b.text(column, c.Op, b.texts(c.Op, values)) + ")", nil
}

func (b *builder) intHeader(h header, c Cond) (string, error) {
	if c.Op == Exists {
		return "(1 = 1)", nil
	}
	numbers := make([]string, len(c.Values))
	for i, v := range c.Values {
		if v = strings.TrimSpace(v); !isNumber(v) {
			return "", weir.Errorf("FLOW-1452-400", "the value %q of %q is not a number of milliseconds", clip(v), strings.Join(c.Path, "."))
		}
		numbers[i] = v
	}
	op, ok := sqlOps[c.Op]
	if !ok {
		return "", weir.Errorf("FLOW-1450-400", "%q is a number: its operators are ==, !=, <, <=, > and >=", strings.Join(c.Path, "."))
	}
	terms := make([]string, len(numbers))
	for i, n := range numbers {
		terms[i] = h.column + op + b.d.json.numberArg(b, n)
	}
	return "(" + strings.Join(terms, " OR ") + ")", nil
}

// sqlOps are the operators that are one in SQL.
var sqlOps = map[Op]string{Eq: " = ", Lt: " < ", Le: " <= ", Gt: " > ", Ge: " >= "}

// operands are the placeholders of a condition's values, in each type that a member may be compared as. Only what the operator uses is
// bound: PostgreSQL refuses a parameter that nothing gives a type.
type operands struct {
	texts, numbers, bools []string
}

// operands binds the values of a condition on a member of the document.
func (b *builder) operands(c Cond) (o operands) {
	o.texts = b.texts(c.Op, c.Values)
	if sqlOps[c.Op] == "" {
		return o
	}
	for _, v := range c.Values {
		v = strings.TrimSpace(v)
		if isNumber(v) {
			o.numbers = append(o.numbers, b.d.json.numberArg(b, v))
		}
		if v = strings.ToLower(v); c.Op == Eq && (v == "true" || v == "false") {
			o.bools = append(o.bools, b.arg(v))
		}
	}
	return o
}

// texts binds values to be compared with text.
func (b *builder) texts(op Op, values []string) []string {
	marks := make([]string, len(values))
	for i, v := range values {
		// NUL and broken UTF-8 cannot be sent; documents hold the same character in their place.
		v = strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")
		if op == Like {
			v = b.d.json.pattern(v)
		}
		marks[i] = b.arg(v)
	}
	return marks
}

// text compares a text expression with bound texts.
func (b *builder) text(expr string, op Op, marks []string) string {
	switch op {
	case Eq:
		return expr + " IN (" + strings.Join(marks, ", ") + ")"
	case Lt, Le, Gt, Ge:
		return expr + sqlOps[op] + marks[0]
	default:
		terms := make([]string, len(marks))
		for i, mark := range marks {
			terms[i] = b.d.json.textMatch(expr, op, mark)
		}
		return strings.Join(terms, " OR ")
	}
}

// scalar compares one JSON value, given by its type and value fragments, with the bound values.
func (b *builder) scalar(e element, c Cond, o operands) string {
	text := e.text
	if c.Fold {
		text = fmt.Sprintf(b.d.fold, text)
	}
	var terms []string
	switch op := sqlOps[c.Op]; {
	case c.Op == Eq:
		terms = append(terms, e.isText+" AND "+b.text(text, c.Op, o.texts))
		if len(o.numbers) > 0 {
			terms = append(terms, e.isNumber+" AND "+e.number+" IN ("+strings.Join(o.numbers, ", ")+")")
		}
		if len(o.bools) > 0 {
			in := " IN (" + strings.Join(o.bools, ", ") + ")"
			terms = append(terms, e.isBool+" AND "+e.bool+in, e.isText+" AND "+fmt.Sprintf(b.d.fold, e.text)+in)
		}
	case len(o.numbers) > 0:
		terms = []string{
			e.isNumber + " AND " + e.number + op + o.numbers[0],
			e.isText + " AND " + e.textNumber + " IS NOT NULL AND " + e.textNumber + op + o.numbers[0],
			e.isText + " AND " + e.textNumber + " IS NULL AND " + b.text(text, c.Op, o.texts),
		}
	default:
		terms = append(terms, e.isText+" AND ("+b.text(text, c.Op, o.texts)+")")
	}
	return "(" + strings.Join(terms, ") OR (") + ")"
}

// element is how a dialect names the parts of one JSON value.
type element struct {
	isText, text string
	isBool, bool string
	isNumber     string
	number       string // evaluated only where isNumber holds, for dialects that would fail otherwise
	textNumber   string // the number that the text is, else null
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

func quotePath(path []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, seg := range path {
		b.WriteString("." + strconv.Quote(seg)) // checkPath has refused what Quote would change
	}
	return b.String()
}
