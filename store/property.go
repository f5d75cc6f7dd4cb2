package store

import (
	"slices"
	"strings"

	"weir"
)

// ParseProperty reads the property parameters of a list call (flow-service §3.2): conditions that must all hold, and the fields that bare
// paths ask for (in order, without duplicates). known decides about the first segment of a path; nil knows everything. Empty parameters
// count as absent.
//
// The codes are FLOW-1449-400 (unknown or forbidden field; for credentials always, R29), 1443 (several values for another operator than
// ==), 1450 (no such operator), 1452 (a value that cannot be read, or is no number where one is needed) and 1453 (no value).
func ParseProperty(params []string, known func(firstSegment string) bool) (where []Cond, project []string, err *weir.Error) {
	for _, param := range params {
		if strings.TrimSpace(param) == "" {
			continue
		}
		p := propertyParser{rest: param, known: known}
		if err := p.parse(); err != nil {
			return nil, nil, err
		}
		where = append(where, p.where...)
		for _, field := range p.project {
			if !slices.Contains(project, field) {
				project = append(project, field)
			}
		}
	}
	return where, project, nil
}

type propertyParser struct {
	rest    string
	known   func(string) bool
	where   []Cond
	project []string
}

// operators in the order in which they are tried.
var operators = []struct {
	text string
	op   Op
}{{"==", Eq}, {"!=", Ne}, {">=", Ge}, {"<=", Le}, {">", Gt}, {"<", Lt}, {"=", Eq}}

func (p *propertyParser) parse() *weir.Error {
	for more := true; more; {
		var err *weir.Error
		if more, err = p.piece(); err != nil {
			return err
		}
	}
	for _, c := range p.where {
		if err := checkClause(c); err != nil {
			return err
		}
	}
	return nil
}

// piece reads up to the next comma: a clause, a further value of the clause before, or a bare path.
func (p *propertyParser) piece() (more bool, err *weir.Error) {
	p.rest = strings.TrimLeft(p.rest, " \t")
	end := strings.IndexAny(p.rest, `,=!<>"`)
	if end < 0 {
		end = len(p.rest)
	}
	if isOperator(p.rest[end:]) {
		return p.clause(end)
	}
	if len(p.where) > 0 {
		value, more, err := p.value()
		if err != nil {
			return false, err
		}
		last := &p.where[len(p.where)-1]
		last.Values = append(last.Values, value)
		return more, nil
	}
	if end < len(p.rest) && p.rest[end] != ',' {
		return false, weir.Errorf("FLOW-1450-400", "%q in property is no operator: use ==, !=, <, <=, > or >=", p.rest[end:end+1])
	}
	field := strings.TrimSpace(p.rest[:end])
	more = end < len(p.rest)
	p.rest = p.rest[min(end+1, len(p.rest)):]
	if field == "" {
		return more, nil // a stray comma between fields
	}
	path, err := p.path(field)
	if err == nil {
		p.project = append(p.project, strings.Join(path, "."))
	}
	return more, err
}

func isOperator(s string) bool {
	return s != "" && (strings.IndexByte("=<>", s[0]) >= 0 || strings.HasPrefix(s, "!="))
}

// clause reads "path op value", the operator being at at.
func (p *propertyParser) clause(at int) (more bool, err *weir.Error) {
	field := strings.TrimSpace(p.rest[:at])
	rest := p.rest[at:]
	c := Cond{}
	for _, o := range operators {
		if strings.HasPrefix(rest, o.text) {
			c.Op, rest = o.op, rest[len(o.text):]
			break
		}
	}
	if rest != "" && strings.IndexByte("=<>!", rest[0]) >= 0 {
		return false, weir.Errorf("FLOW-1450-400", "the operator after %q in property does not exist: use ==, !=, <, <=, > or >=", clip(field))
	}
	if c.Path, err = p.path(field); err != nil {
		return false, err
	}
	c.Fold = slices.Contains([]string{"state", "status"}, c.Path[len(c.Path)-1])
	p.rest = rest
	value, more, err := p.value()
	if err != nil {
		if err.Code == "FLOW-1453-400" {
			err.Message = "the filter on " + clip(field) + " has no value"
		}
		return false, err
	}
	c.Values = []string{value}
	p.where = append(p.where, c)
	return more, nil
}

// value reads one value up to the comma after it. Quotes keep commas and operators; inside of them \" is a quote and \\ a backslash.
func (p *propertyParser) value() (value string, more bool, err *weir.Error) {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if !strings.HasPrefix(p.rest, `"`) {
		value, p.rest, more = strings.Cut(p.rest, ",")
		if value = strings.TrimRight(value, " \t"); value == "" {
			return "", false, weir.Errorf("FLOW-1453-400", "a value in property is empty")
		}
		return value, more, nil
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest) && (p.rest[i+1] == '"' || p.rest[i+1] == '\\'):
			i++
			b.WriteByte(p.rest[i])
		case c == '"':
			p.rest = strings.TrimLeft(p.rest[i+1:], " \t")
			if p.rest == "" {
				return b.String(), false, nil
			}
			if p.rest[0] != ',' {
				return "", false, weir.Errorf("FLOW-1452-400", "a quoted value in property is followed by %q: separate values with a comma", clip(p.rest))
			}
			p.rest = p.rest[1:]
			return b.String(), true, nil
		default:
			b.WriteByte(c)
		}
	}
	return "", false, weir.Errorf("FLOW-1452-400", "a quoted value in property has no closing quote")
}

// path splits a field into segments, without the brackets that step into arrays.
func (p *propertyParser) path(field string) ([]string, *weir.Error) {
	path, err := splitPath(field)
	if err == nil && (p.known == nil || p.known(path[0])) {
		return path, nil
	}
	if err == nil {
		err = errUnknown
	}
	return nil, weir.Errorf("FLOW-1449-400", "cannot filter by %q: %w", clip(field), err)
}

func splitPath(field string) ([]string, error) {
	path := strings.Split(field, ".")
	for i, seg := range path {
		path[i] = strings.TrimSuffix(seg, "[]")
	}
	return path, checkPath(path)
}

// checkClause refuses what can be known without the kind of documents: several values, and text where a header field is a number.
func checkClause(c Cond) *weir.Error {
	field := strings.Join(c.Path, ".")
	if c.Op != Eq && len(c.Values) > 1 {
		return weir.Errorf("FLOW-1443-400", "the filter on %q has several values: only == takes a list", field)
	}
	if len(c.Values) > maxValues {
		return weir.Errorf("FLOW-1443-400", "the filter on %q has more than %d values", field, maxValues)
	}
	if len(c.Path) > 1 || headers[field].kind != keyInt {
		return nil
	}
	for _, v := range c.Values {
		if !isNumber(strings.TrimSpace(v)) {
			return weir.Errorf("FLOW-1452-400", "the value %q of %q is not a number of milliseconds", clip(v), field)
		}
	}
	return nil
}

// maxOrders bounds the fields of one order.
const maxOrders = 8

// ParseOrderBy reads the orderby parameter (flow-service §3.4): a comma list of fields, each with + (or a space, which is what + becomes on
// its way) or - before it. Empty text is no order, which means newest first. known decides about the first segment of a path; nil knows
// everything. The codes are FLOW-1432-400 (another sign) and FLOW-1433-400 (no such field).
func ParseOrderBy(text string, known func(firstSegment string) bool) ([]Order, *weir.Error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var orders []Order
	for field := range strings.SplitSeq(text, ",") {
		field = strings.TrimSpace(field)
		var o Order
		switch {
		case strings.HasPrefix(field, "-"):
			o.Desc, field = true, field[1:]
		case strings.HasPrefix(field, "+"):
			field = field[1:]
		}
		if field != "" && strings.IndexByte("+-*!~<>=^", field[0]) >= 0 {
			return nil, weir.Errorf("FLOW-1432-400", "%q is no direction of orderby: use + or -", field[:1])
		}
		var err error
		if o.Path, err = splitPath(strings.TrimSpace(field)); err == nil && known != nil && !known(o.Path[0]) {
			err = errUnknown
		}
		if err != nil {
			return nil, weir.Errorf("FLOW-1433-400", "cannot order by %q: %w", clip(field), err)
		}
		orders = append(orders, o)
	}
	if len(orders) > maxOrders {
		return nil, weir.Errorf("FLOW-1433-400", "orderby has more than %d fields", maxOrders)
	}
	return orders, nil
}
