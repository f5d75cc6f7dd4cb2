package mapping

import (
	"errors"
	"fmt"
	"strings"

	"weir/record"
)

// checker finds what is wrong with an expression without data, binds calls to signatures, and computes what is constant.
type checker struct {
	expr   *Expr
	locals []static
	errs   []*Error
	lint   []Error
}

func (c *checker) fail(n node, kind Kind, format string, args ...any) {
	c.errs = append(c.errs, errorAt(c.expr.src, n.pos(), kind, format, args...))
}

func (c *checker) warn(n node, format string, args ...any) {
	c.lint = append(c.lint, *errorAt(c.expr.src, n.pos(), "", format, args...))
}

var unknown = static{kinds: kAny}

// check returns the node that replaces n and what is known about its value. sure says that n is evaluated for every record: an error that a constant
// part must give is then an error of the expression, otherwise it is left to the records that get there.
func (c *checker) check(n node, sure bool) (node, static) {
	before := len(c.errs)
	out, s := c.inside(n, sure)
	if len(c.errs) > before {
		return out, unknown
	}
	return c.fold(out, s, sure)
}

func (c *checker) inside(n node, sure bool) (node, static) {
	switch n := n.(type) {
	case *literalNode:
		return n, static{kinds: kindOf(n.v)}
	case *fieldNode:
		return n, c.field(n)
	case *localNode:
		return n, c.locals[n.slot]
	case *memberNode:
		var x static
		n.x, x = c.check(n.x, sure)
		return n, c.member(n, x, n.name)
	case *indexNode:
		var x static
		n.x, x = c.check(n.x, sure)
		n.i, _ = c.check(n.i, sure)
		if x.field != nil && x.field.Type == record.List {
			return n, staticOf(x.field.Elem)
		}
		if lit, ok := n.i.(*literalNode); ok && lit.v.Kind() == record.KindText {
			return n, c.member(n, x, lit.v.Text())
		}
		return n, unknown
	case *spreadNode:
		return c.spread(n, sure)
	case *callNode:
		return c.call(n, sure)
	case *methodNode:
		return c.method(n, sure)
	case *lambdaNode:
		c.fail(n, KindSyntax, "a lambda can only be an argument of a function that takes one")
		return n, unknown
	case *unaryNode:
		var x static
		n.x, x = c.check(n.x, sure)
		return n, c.unary(n, x)
	case *binaryNode:
		return c.binary(n, sure)
	}
	return c.compound(n, sure)
}

// compound checks nodes that choose among or collect their parts.
func (c *checker) compound(n node, sure bool) (node, static) {
	switch n := n.(type) {
	case *condNode:
		n.c, _ = c.check(n.c, sure)
		var a, b static
		n.a, a = c.check(n.a, false)
		n.b, b = c.check(n.b, false)
		return n, static{kinds: a.kinds | b.kinds}
	case *arrayNode:
		for i := range n.items {
			n.items[i], _ = c.check(n.items[i], sure)
		}
		return n, static{kinds: kArr}
	case *mapNode:
		for i := range n.keys {
			c.bareKey(n.keys[i])
			n.keys[i], _ = c.check(n.keys[i], sure)
			n.vals[i], _ = c.check(n.vals[i], sure)
		}
		return n, static{kinds: kObj}
	}
	return n, unknown
}

func (c *checker) bareKey(n node) {
	if f, ok := n.(*fieldNode); ok && !f.wrapped {
		c.warn(n, "the key %s is the value of a field; write \"%s\" for a fixed key", f.name, f.name)
	}
}

func (c *checker) field(n *fieldNode) static {
	in := c.expr.opts.Input
	if in == nil {
		return unknown
	}
	path := record.Path{{Name: n.name, Index: record.ByName}}
	f := inputField(in, c.expr.opts.Wrapper, path)
	if f == nil && n.path != nil {
		path = n.path
		f = inputField(in, c.expr.opts.Wrapper, path)
		if f != nil && path.Wildcards() > 0 {
			return static{kinds: kArr | kNull}
		}
	}
	if f == nil {
		c.warn(n, "%s", noSource(in, c.expr.opts.Wrapper, path))
		return unknown
	}
	return staticOf(f)
}

func (c *checker) member(n node, x static, name string) static {
	if x.field == nil {
		return unknown
	}
	switch x.field.Type {
	case record.Struct:
		if f := fieldAt(x.field, name); f != nil {
			return staticOf(f)
		}
		c.warn(n, "the input schema has no member %s there", name)
	case record.Map:
		return staticOf(x.field.Elem)
	case record.List:
		c.warn(n, "%s is read from an array and gives null; write [*].%s or [0].%s", name, name, name)
	default:
	}
	return unknown
}

func fieldAt(f *record.Field, name string) *record.Field {
	s := record.Schema{Fields: f.Fields}
	return s.Lookup(name)
}

func (c *checker) spread(n *spreadNode, sure bool) (node, static) {
	var x static
	n.x, x = c.check(n.x, sure)
	c.locals[n.slot] = unknown
	if x.field != nil && x.field.Type == record.List {
		c.locals[n.slot] = staticOf(x.field.Elem)
	}
	n.body, _ = c.check(n.body, false)
	return n, static{kinds: kArr | kNull}
}

func (c *checker) call(n *callNode, sure bool) (node, static) {
	n.fn = library[n.name]
	if n.fn == nil {
		hint := ""
		if near := nearest(n.name, functionNames()); near != "" {
			hint = ", did you mean " + near + "?"
		}
		c.fail(n, KindUnknownFunction, "unknown function %s%s", n.name, hint)
		for i := range n.args {
			c.argument(n.args[i], false)
		}
		return n, unknown
	}
	for i := range n.fn.sigs {
		if n.fn.sigs[i].accepts(len(n.args)) {
			n.sig = &n.fn.sigs[i]
			break
		}
	}
	if n.sig == nil {
		var uses []string
		for i := range n.fn.sigs {
			uses = append(uses, n.fn.sigs[i].usage(n.name))
		}
		c.fail(n, KindArity, "%s cannot take %s; write %s", n.name, count(len(n.args), "argument"), strings.Join(uses, " or "))
		return n, unknown
	}
	returns := static{kinds: n.sig.returns | kNull}
	n.prep = make([]any, len(n.args))
	for i := range n.args {
		p := n.sig.param(i)
		if p.typ == pLambda {
			c.lambda(n, i)
			continue
		}
		var s static
		// Arguments of lazy signatures may never be evaluated, except the first.
		n.args[i], s = c.check(n.args[i], sure && (n.sig.lazy == nil || i == 0))
		if !s.fits(paramKinds[p.typ]) {
			c.fail(n.args[i], KindType, "%s: %s must be %s, not %s", n.name, p.name, noun(p.typ), s.kinds)
		}
		c.prepare(n, i, p, sure)
	}
	return n, returns
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// prepare makes what a literal argument stands for: a regex, a date pattern, a zone.
func (c *checker) prepare(n *callNode, i int, p *param, sure bool) {
	lit, ok := n.args[i].(*literalNode)
	if !ok || p.prep == nil || lit.v.Kind() != record.KindText {
		return
	}
	made, err := p.prep(lit.v.Text())
	if err == nil {
		n.prep[i] = made
		return
	}
	if bad, ok := errors.AsType[*fault](err); ok && sure {
		c.fail(n.args[i], bad.kind, "%s: %s", n.name, bad.msg)
	}
}

func (c *checker) lambda(n *callNode, i int) {
	l, ok := n.args[i].(*lambdaNode)
	if !ok {
		n.args[i], _ = c.check(n.args[i], false)
		c.fail(n.args[i], KindType, "%s: %s must be a lambda such as x -> x > 1", n.name, n.sig.param(i).name)
		return
	}
	if len(l.slots) == 0 || len(l.slots) > 2 {
		c.fail(l, KindArity, "%s: the lambda must have one parameter, or two: the element and its position", n.name)
		return
	}
	c.locals[l.slots[0]] = unknown
	if len(l.slots) == 2 {
		c.locals[l.slots[1]] = static{kinds: kInt}
	}
	l.body, _ = c.check(l.body, false)
}

// argument checks an argument of a call that is wrong anyway.
func (c *checker) argument(n node, sure bool) {
	if l, ok := n.(*lambdaNode); ok {
		for _, s := range l.slots {
			c.locals[s] = unknown
		}
		n = l.body
	}
	c.check(n, sure)
}

func (c *checker) unary(n *unaryNode, x static) static {
	switch n.op {
	case "!", "empty":
		return static{kinds: kBool}
	case "size":
		if !x.kinds.can(kNull | kText | kArr | kObj) {
			c.fail(n, KindType, "%s has no size; arrays, objects and text have one", x.kinds)
		}
		return static{kinds: kInt}
	case "~":
		c.operand(n, x, kInt|kText)
		return static{kinds: kInt}
	}
	c.operand(n, x, kNum|kText)
	if x.kinds&(kText|kDec) == 0 {
		return static{kinds: kInt}
	}
	return static{kinds: kNum}
}

// operand refuses an operand that can be none of the kinds; null is left to the record.
func (c *checker) operand(n node, s static, of kinds) bool {
	if s.fits(of) {
		return true
	}
	c.fail(n, KindType, "the operator cannot use %s", s.kinds)
	return false
}

// Operand kinds and result of the binary operators that check both sides alike.
var operandKinds = map[string]struct{ takes, gives kinds }{
	"-": {kNum | kText, kNum}, "*": {kNum | kText, kNum}, "/": {kNum | kText, kNum}, "%": {kNum | kText, kNum},
	"&": {kInt | kText, kInt}, "|": {kInt | kText, kInt}, "^": {kInt | kText, kInt}, "..": {kInt | kText, kArr},
	"=^": {kScalar, kBool}, "!^": {kScalar, kBool}, "=$": {kScalar, kBool}, "!$": {kScalar, kBool},
	"<": {kScalar, kBool}, "<=": {kScalar, kBool}, ">": {kScalar, kBool}, ">=": {kScalar, kBool},
}

func (c *checker) binary(n *binaryNode, sure bool) (node, static) {
	var l, r static
	n.l, l = c.check(n.l, sure)
	switch n.op {
	case "&&", "||":
		n.r, _ = c.check(n.r, false)
		return n, static{kinds: kBool}
	case "??", "?:":
		n.r, r = c.check(n.r, false)
		return n, static{kinds: l.kinds | r.kinds}
	}
	n.r, r = c.check(n.r, sure)
	switch n.op {
	case "==", "!=":
		return n, static{kinds: kBool}
	case "=~", "!~":
		c.pattern(n, sure && !l.kinds.can(kNull))
		return n, static{kinds: kBool}
	case "+":
		return n, c.plus(n, l, r)
	}
	o := operandKinds[n.op]
	if c.operand(n, l, o.takes) {
		c.operand(n, r, o.takes)
	}
	if n.op == "/" && l.kinds == kInt && r.kinds == kInt {
		c.warn(n, "two integers divide without a fraction: 7 / 2 is 3; write 2.0 for 3.5")
	}
	gives := o.gives
	if gives == kNum && (l.kinds|r.kinds)&^kInt == 0 {
		gives = kInt
	}
	return n, static{kinds: gives}
}

// pattern compiles the literal regular expression of =~ and !~.
func (c *checker) pattern(n *binaryNode, sure bool) {
	lit, ok := n.r.(*literalNode)
	if !ok || lit.v.Kind() != record.KindText {
		return
	}
	re, err := compileRegex(lit.v.Text())
	if err == nil {
		n.prep = re
		return
	}
	if bad, ok := errors.AsType[*fault](err); ok && sure {
		c.fail(n.r, bad.kind, "%s", bad.msg)
	}
}

func (c *checker) plus(n node, l, r static) static {
	if !c.operand(n, l, kScalar) || !c.operand(n, r, kScalar) {
		return unknown
	}
	both := l.kinds | r.kinds
	if !both.can(kText|kNull) && (!l.kinds.can(kNum) || !r.kinds.can(kNum)) {
		c.fail(n, KindType, "+ cannot add %s and %s", l.kinds, r.kinds)
	}
	switch {
	case l.kinds == kText || r.kinds == kText:
		return static{kinds: kText}
	case both&^kInt == 0:
		return static{kinds: kInt}
	}
	return static{kinds: kNum | both&kText}
}

// fold computes a node whose parts are all literals.
func (c *checker) fold(n node, s static, sure bool) (node, static) {
	switch n := n.(type) {
	case *unaryNode, *binaryNode, *memberNode, *indexNode, *arrayNode, *mapNode, *condNode, *methodNode:
	case *callNode:
		if n.fn.impure || n.sig.lazy != nil {
			return n, s
		}
	default:
		return n, s
	}
	for _, k := range children(n) {
		if _, ok := k.(*literalNode); !ok {
			return n, s
		}
	}
	f := frame{env: &Env{}, expr: c.expr, budget: budgetPerRecord}
	v, err := (&compiler{expr: c.expr}).node(n)(&f)
	if err == nil {
		return &literalNode{at(n.pos()), v}, static{kinds: kindOf(v)}
	}
	if e, ok := errors.AsType[*Error](err); ok && sure {
		e.Code = compileCodes[e.Kind]
		c.errs = append(c.errs, e)
	}
	return n, s
}
