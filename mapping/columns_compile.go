package mapping

import (
	"strconv"
	"strings"

	"weir/record"
)

// opCompiler turns checked expressions into operators over vectors. What has no operator makes the whole expression general.
type opCompiler struct {
	p        *planner
	expr     *Expr
	literals int
	shared   map[string]*sharedOp // by the text of the expression part
	uses     map[string]int
	commons  []*sharedOp
}

// count notes how often each part of an expression comes up, so that parts used twice are computed once.
func (c *opCompiler) count(n node) {
	if key := printNode(n); key != "" {
		c.uses[key]++
		if c.uses[key] > 1 {
			return // what is below is computed once, too
		}
	}
	for _, k := range children(n) {
		c.count(k)
	}
}

// compile is the operator of an expression, nil if it has none.
func (c *opCompiler) compile(e *Expr) vecOp {
	c.expr = e
	return c.node(e.root)
}

func (c *opCompiler) node(n node) vecOp {
	key := ""
	switch n.(type) {
	case *callNode, *binaryNode, *condNode, *methodNode:
		if key = printNode(n); key != "" && c.uses[key] > 1 {
			if s := c.shared[key]; s != nil {
				return s
			}
		} else {
			key = ""
		}
	}
	op := c.plain(n)
	if op == nil || key == "" {
		return op
	}
	s := &sharedOp{id: len(c.commons), op: op}
	c.commons = append(c.commons, s)
	c.shared[key] = s
	return s
}

func (c *opCompiler) plain(n node) vecOp {
	switch n := n.(type) {
	case *literalNode:
		return c.literal(n.v)
	case *fieldNode:
		if n.wrapped {
			if n.path != nil && n.path.Wildcards() > 0 {
				return nil
			}
			return &sourceOp{c.p.lookup("w:"+n.name, n.name, n.path)}
		}
		return &sourceOp{c.p.field([]string{n.name})}
	case *memberNode:
		if names := memberNames(n); names != nil {
			return &sourceOp{c.p.field(names)}
		}
	case *condNode:
		cond, a, b := c.node(n.c), c.node(n.a), c.node(n.b)
		if cond != nil && a != nil && b != nil {
			return &condVec{cond, a, b, false}
		}
	case *unaryNode:
		if x := c.node(n.x); x != nil {
			return &unaryVec{x, unaryOps[n.op], fastUnaries[n.op]}
		}
	case *binaryNode:
		return c.binary(n)
	case *callNode:
		return c.call(n)
	}
	return nil
}

// memberNames is a chain of names, nil if a step may be an index.
func memberNames(n node) []string {
	switch n := n.(type) {
	case *fieldNode:
		if !n.wrapped {
			return []string{n.name}
		}
	case *memberNode:
		if names := memberNames(n.x); names != nil && strings.Trim(n.name, "0123456789") != "" {
			return append(names, n.name)
		}
	}
	return nil
}

func (c *opCompiler) literal(v record.Value) vecOp {
	o := &literalOp{id: c.literals}
	switch v.Kind() {
	case record.KindNull:
		if v.IsNothing() {
			return nil
		}
		o.span = nullSpan
	case record.KindBool:
		o.span = boolSpan(v.Bool())
	case record.KindText:
		o.text, o.span = []byte(v.Text()), record.MakeSpan(record.SpanText, 0, 0)
	case record.KindInt, record.KindDecimal:
		if v.Exact() != nil {
			return nil
		}
		o.text, o.span = v.AppendNumber(nil), record.MakeSpan(record.SpanNumber, 0, 0)
	default:
		return nil
	}
	if o.text != nil {
		c.literals++
	}
	return o
}

func (c *opCompiler) binary(n *binaryNode) vecOp {
	l, r := c.node(n.l), c.node(n.r)
	if l == nil || r == nil {
		return nil
	}
	switch n.op {
	case "&&", "||":
		return &logicVec{l, r, n.op == "||"}
	case "??", "?:":
		return &otherwiseVec{l, r, n.op == "?:"}
	}
	op := binaryOps[n.op]
	if n.prep != nil {
		op = matchWith(n.prep, n.op == "!~")
	}
	return &binaryVec{n: n, l: l, r: r, fast: fastBinaries[n.op], op: op}
}

// call is a pure function of its arguments, or one of the lazy ones.
func (c *opCompiler) call(n *callNode) vecOp {
	if n.fn == nil || n.sig == nil || n.fn.impure {
		return nil
	}
	args := make([]vecOp, len(n.args))
	for i, a := range n.args {
		if _, lambda := a.(*lambdaNode); lambda {
			return nil
		}
		if args[i] = c.node(a); args[i] == nil {
			return nil
		}
	}
	switch {
	case n.name == "iif" && len(args) == 3:
		return &condVec{args[0], args[1], args[2], true}
	case n.name == "decode":
		return c.decode(n, args)
	case n.sig.lazy != nil:
		return nil
	}
	return &callOp{n: n, expr: c.expr, args: args, fast: fastCalls[n.name]}
}

// decode has an operator if all its keys are literal texts.
func (c *opCompiler) decode(n *callNode, args []vecOp) vecOp {
	o := &decodeVec{key: args[0]}
	rest := n.args[1:]
	for i := 0; i+1 < len(rest); i += 2 {
		lit, ok := rest[i].(*literalNode)
		if !ok || lit.v.Kind() != record.KindText {
			return nil
		}
		o.keys = append(o.keys, []byte(lit.v.Text()))
		o.vals = append(o.vals, args[2+i])
	}
	if len(rest)%2 == 1 {
		o.vals = append(o.vals, args[len(args)-1])
	} else {
		o.vals = append(o.vals, &literalOp{span: nullSpan})
	}
	return o
}

// printNode is a text that is equal for equal parts of expressions, "" for parts that are not shared.
func printNode(n node) string {
	var b strings.Builder
	if !printTo(&b, n) {
		return ""
	}
	return b.String()
}

func printTo(b *strings.Builder, n node) bool {
	list := func(head string, parts ...node) bool {
		b.WriteString(head)
		for i, p := range parts {
			if i > 0 {
				b.WriteByte(',')
			}
			if !printTo(b, p) {
				return false
			}
		}
		b.WriteByte(')')
		return true
	}
	switch n := n.(type) {
	case *literalNode:
		if n.v.Kind() > record.KindText || n.v.IsNothing() {
			return false
		}
		b.WriteString(strconv.Itoa(int(n.v.Kind())))
		b.WriteString(n.v.String())
		return n.v.Exact() == nil
	case *fieldNode:
		if n.wrapped {
			b.WriteByte('$')
		}
		b.WriteString(strconv.Quote(n.name))
		return true
	case *memberNode:
		return list("."+strconv.Quote(n.name)+"(", n.x)
	case *unaryNode:
		return list("u"+n.op+"(", n.x)
	case *binaryNode:
		return list("b"+n.op+"(", n.l, n.r)
	case *condNode:
		return list("if(", n.c, n.a, n.b)
	case *callNode:
		if n.fn == nil || n.fn.impure {
			return false
		}
		return list(n.name+"(", n.args...)
	}
	return false
}
