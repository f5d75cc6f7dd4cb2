package mapping

import (
	"slices"
	"strings"
	"unicode/utf8"

	"weir/record"
)

// method is one method of a kind of receiver (data-prep §10). Scalars other than text count as their text.
type method struct {
	name   string
	on     ptype // pText, pArr or pObj
	params []param
	// falseOnNull methods give false on a null receiver or argument, all others null.
	falseOnNull bool
	run         func(x record.Value, args []record.Value, prep []any) (record.Value, error)
	gives       kinds
}

// methods is the closed list.
var methods = []method{
	{name: "equals", on: pText, params: []param{text("other", "")}, falseOnNull: true, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(x.Text() == a[0].Text()), nil
	}},
	{name: "equalsIgnoreCase", on: pText, params: []param{text("other", "")}, falseOnNull: true, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(strings.EqualFold(x.Text(), a[0].Text())), nil
	}},
	{name: "length", on: pText, gives: kInt, run: sized},
	{name: "isEmpty", on: pText, gives: kBool, run: vacant},
	{name: "contains", on: pText, params: []param{text("part", "")}, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(strings.Contains(x.Text(), a[0].Text())), nil
	}},
	{name: "startsWith", on: pText, params: []param{text("part", "")}, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(strings.HasPrefix(x.Text(), a[0].Text())), nil
	}},
	{name: "endsWith", on: pText, params: []param{text("part", "")}, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(strings.HasSuffix(x.Text(), a[0].Text())), nil
	}},
	{name: "indexOf", on: pText, params: []param{text("part", "")}, gives: kInt, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.IntOf(runeIndex(x.Text(), strings.Index(x.Text(), a[0].Text()))), nil
	}},
	{name: "lastIndexOf", on: pText, params: []param{text("part", "")}, gives: kInt, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.IntOf(runeIndex(x.Text(), strings.LastIndex(x.Text(), a[0].Text()))), nil
	}},
	{name: "substring", on: pText, params: []param{whole("begin", ""), whole("end", "").opt()}, gives: kText, run: substring},
	{name: "toUpperCase", on: pText, gives: kText, run: func(x record.Value, _ []record.Value, _ []any) (record.Value, error) {
		return record.TextOf(upper(x.Text())), nil
	}},
	{name: "toLowerCase", on: pText, gives: kText, run: func(x record.Value, _ []record.Value, _ []any) (record.Value, error) {
		return record.TextOf(lower(x.Text())), nil
	}},
	{name: "trim", on: pText, gives: kText, run: func(x record.Value, _ []record.Value, _ []any) (record.Value, error) {
		return record.TextOf(strings.TrimSpace(x.Text())), nil
	}},
	{name: "concat", on: pText, params: []param{text("other", "")}, gives: kText, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.TextOf(x.Text() + a[0].Text()), nil
	}},
	{name: "replace", on: pText, params: []param{text("find", ""), text("by", "")}, gives: kText, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return replaced(x.Text(), a[0].Text(), a[1].Text())
	}},
	{name: "replaceAll", on: pText, params: []param{text("regex", "").prepared(prepareRegex), text("by", "")}, gives: kText, run: func(x record.Value, a []record.Value, prep []any) (record.Value, error) {
		return replaceBy(x, a, prep, -1)
	}},
	{name: "replaceFirst", on: pText, params: []param{text("regex", "").prepared(prepareRegex), text("by", "")}, gives: kText, run: func(x record.Value, a []record.Value, prep []any) (record.Value, error) {
		return replaceBy(x, a, prep, 1)
	}},
	{name: "matches", on: pText, params: []param{text("regex", "").prepared(prepareRegex)}, gives: kBool, run: func(x record.Value, a []record.Value, prep []any) (record.Value, error) {
		re, err := methodRegex(a, prep)
		if err != nil {
			return x, err
		}
		ok, err := re.matches(x.Text())
		return record.BoolOf(ok), err
	}},
	{name: "charAt", on: pText, params: []param{whole("index", "")}, gives: kText, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		i, _ := a[0].Int64()
		r := []rune(x.Text())
		if i < 0 || i >= int64(len(r)) {
			return x, faultf(KindArgument, "position %s is outside of the text of %d characters", a[0], len(r))
		}
		return record.TextOf(string(r[i])), nil
	}},
	{name: "size", on: pText, gives: kInt, run: sized},
	{name: "empty", on: pText, gives: kBool, run: vacant},

	{name: "get", on: pObj, params: []param{text("key", "")}, gives: kAny, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		v, _ := x.Get(a[0].Text())
		return v, nil
	}},
	{name: "containsKey", on: pObj, params: []param{text("key", "")}, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		_, ok := x.Get(a[0].Text())
		return record.BoolOf(ok), nil
	}},
	{name: "size", on: pObj, gives: kInt, run: sized},
	{name: "isEmpty", on: pObj, gives: kBool, run: vacant},
	{name: "empty", on: pObj, gives: kBool, run: vacant},
	{name: "keySet", on: pObj, gives: kArr, run: func(x record.Value, _ []record.Value, _ []any) (record.Value, error) { return keysOf(x), nil }},
	{name: "values", on: pObj, gives: kArr, run: func(x record.Value, _ []record.Value, _ []any) (record.Value, error) {
		o := x.Object()
		out := make([]record.Value, o.Len())
		for i := range out {
			_, out[i] = o.Member(i)
		}
		return record.ArrayOf(out), nil
	}},

	{name: "get", on: pArr, params: []param{whole("index", "")}, gives: kAny, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return indexed(x, a[0]), nil
	}},
	{name: "size", on: pArr, gives: kInt, run: sized},
	{name: "isEmpty", on: pArr, gives: kBool, run: vacant},
	{name: "empty", on: pArr, gives: kBool, run: vacant},
	{name: "contains", on: pArr, params: []param{anything("value", "")}, gives: kBool, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.BoolOf(indexIn(x.Items(), a[0]) >= 0), nil
	}},
	{name: "indexOf", on: pArr, params: []param{anything("value", "")}, gives: kInt, run: func(x record.Value, a []record.Value, _ []any) (record.Value, error) {
		return record.IntOf(int64(indexIn(x.Items(), a[0]))), nil
	}},
}

func sized(x record.Value, _ []record.Value, _ []any) (record.Value, error) { return sizeOf(x) }

func vacant(x record.Value, _ []record.Value, _ []any) (record.Value, error) {
	n, err := sizeOf(x)
	return record.BoolOf(isZero(n)), err
}

// runeIndex turns a byte position into a character position; -1 stays.
func runeIndex(s string, i int) int64 {
	if i < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

func substring(x record.Value, a []record.Value, _ []any) (record.Value, error) {
	r := []rune(x.Text())
	from, ok := a[0].Int64()
	to, ok2 := int64(len(r)), true
	if len(a) > 1 {
		to, ok2 = a[1].Int64()
	}
	if !ok || !ok2 || from < 0 || to > int64(len(r)) || from > to {
		return x, faultf(KindArgument, "%d to %d is outside of the text of %d characters", from, to, len(r))
	}
	return record.TextOf(string(r[from:to])), nil
}

func methodRegex(a []record.Value, prep []any) (*regex, error) {
	if re, ok := prep[0].(*regex); ok {
		return re, nil
	}
	return compileRegex(a[0].Text())
}

func replaceBy(x record.Value, a []record.Value, prep []any, limit int) (record.Value, error) {
	re, err := methodRegex(a, prep)
	if err != nil {
		return x, err
	}
	s, err := re.replace(x.Text(), a[1].Text(), limit)
	return record.TextOf(s), err
}

// methodsNamed are the methods of that name on receivers of the kinds.
func methodsNamed(name string, on kinds) []*method {
	var out []*method
	for i := range methods {
		if m := &methods[i]; m.name == name && on.can(receiverKinds(m)) {
			out = append(out, m)
		}
	}
	return out
}

func receiverKinds(m *method) kinds {
	switch m.on {
	case pArr:
		return kArr
	case pObj:
		return kObj
	default:
	}
	return kScalar
}

func methodNames() []string {
	var names []string
	for i := range methods {
		names = append(names, methods[i].name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *method) minArgs() int {
	n := len(m.params)
	for n > 0 && m.params[n-1].optional {
		n--
	}
	return n
}

// method checks a method call.
func (c *checker) method(n *methodNode, sure bool) (node, static) {
	var x static
	n.x, x = c.check(n.x, sure)
	for i := range n.args {
		if _, ok := n.args[i].(*lambdaNode); ok {
			c.fail(n.args[i], KindType, "%s takes no lambda", n.name)
			return n, unknown
		}
		n.args[i], _ = c.check(n.args[i], sure)
	}
	found := methodsNamed(n.name, kAny)
	n.named = found
	if len(found) == 0 {
		hint := ""
		if near := nearest(n.name, methodNames()); near != "" {
			hint = ", did you mean " + near + "?"
		}
		c.fail(n, KindUnknownMethod, "unknown method %s%s", n.name, hint)
		return n, unknown
	}
	if x.kinds&^kNull != 0 {
		if found = methodsNamed(n.name, x.kinds); len(found) == 0 {
			c.fail(n, KindUnknownMethod, "%s has no method %s", x.kinds, n.name)
			return n, unknown
		}
	}
	var gives kinds
	fits := false
	for _, m := range found {
		gives |= m.gives
		fits = fits || len(n.args) >= m.minArgs() && len(n.args) <= len(m.params)
	}
	if !fits {
		c.fail(n, KindArity, "the method %s cannot take %s", n.name, count(len(n.args), "argument"))
		return n, unknown
	}
	n.prep = make([]any, max(1, len(n.args)))
	if len(n.args) > 0 {
		if lit, ok := n.args[0].(*literalNode); ok && found[0].params[0].prep != nil && lit.v.Kind() == record.KindText {
			made, err := compileRegex(lit.v.Text())
			if err == nil {
				n.prep[0] = made
			} else if sure && x.kinds&kNull == 0 {
				c.fail(n.args[0], KindArgument, "%s: %s", n.name, err)
			}
		}
	}
	return n, static{kinds: gives | kNull}
}

// method compiles a method call: the receiver's kind chooses among the methods of the name.
func (c *compiler) method(n *methodNode) evalFn {
	x, args := c.node(n.x), c.nodes(n.args)
	return func(f *frame) (record.Value, error) {
		recv, err := x(f)
		if err != nil {
			return recv, err
		}
		vals := make([]record.Value, len(args))
		for i, a := range args {
			if vals[i], err = a(f); err != nil {
				return vals[i], err
			}
		}
		v, err := invoke(n, recv, vals)
		if err == nil {
			err = f.made(v)
		}
		if err != nil {
			return v, f.placed(n, named(n.name, err))
		}
		return v, nil
	}
}

func invoke(n *methodNode, x record.Value, args []record.Value) (record.Value, error) {
	on := kindOf(x)
	if x.IsNull() {
		on = kAny
	}
	var m *method
	for _, c := range n.named {
		if on.can(receiverKinds(c)) && len(args) >= c.minArgs() && len(args) <= len(c.params) {
			m = c
			break
		}
	}
	if m == nil {
		return x, faultf(KindUnknownMethod, "%s has no such method", an(x.Kind()))
	}
	if x.IsNull() {
		return m.null(), nil
	}
	if m.on == pText {
		s, _ := asText(x)
		x = record.TextOf(s)
	}
	for i := range args {
		p := &m.params[i]
		if args[i].IsNull() {
			if p.nullable {
				continue
			}
			return m.null(), nil
		}
		v, err := convertArg(p, args[i])
		if err != nil {
			return v, err
		}
		args[i] = v
	}
	return m.run(x, args, n.prep)
}

func (m *method) null() record.Value {
	if m.falseOnNull {
		return record.BoolOf(false)
	}
	return record.Null()
}
