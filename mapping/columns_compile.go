package mapping

import (
	"fmt"
	"strconv"
	"strings"

	"weir/record"
)

// opCompiler turns checked expressions into operators over vectors. What has no operator is evaluated row by row (evalOp).
type opCompiler struct {
	p        *planner
	expr     *Expr
	literals int
	shared   map[string]*sharedOp // by the text of the expression part
	uses     map[string]int
	commons  []*sharedOp
	evals    int
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

// compile is the operator of an expression.
func (c *opCompiler) compile(e *Expr) vecOp {
	c.expr = e
	return c.node(e.root)
}

func (c *opCompiler) node(n node) vecOp {
	key := ""
	switch n.(type) {
	case *callNode, *binaryNode, *condNode, *methodNode, *spreadNode, *arrayNode:
		if key = printNode(n); key != "" && c.uses[key] > 1 {
			if s := c.shared[key]; s != nil {
				return s
			}
		} else {
			key = ""
		}
	}
	op := c.plain(n)
	if op == nil {
		op = c.evaluated(n)
	}
	if key == "" {
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
			return c.p.attribute(n.name, n.path, 1)
		}
		return &sourceOp{c.p.field(record.Path{{Name: n.name, Index: record.ByName}})}
	case *memberNode, *indexNode:
		return c.reading(n)
	case *condNode:
		return &condVec{c.node(n.c), c.node(n.a), c.node(n.b), false}
	case *unaryNode:
		return &unaryVec{c.node(n.x), unaryOps[n.op], fastUnaries[n.op]}
	case *binaryNode:
		return c.binary(n)
	case *callNode:
		return c.call(n)
	}
	return nil
}

// reading is the operator of a chain of names and constant positions, nil if n is none.
func (c *opCompiler) reading(n node) vecOp {
	r := readingOf(n)
	if r == nil {
		return nil
	}
	src := c.p.field(r.path)
	if len(r.guards) == 0 {
		return &sourceOp{src}
	}
	o := &guardedOp{src: src}
	for _, k := range r.guards {
		o.guards = append(o.guards, c.p.field(r.path[:k]))
	}
	return o
}

func (c *opCompiler) literal(v record.Value) vecOp {
	o := &literalOp{id: c.literals}
	switch v.Kind() {
	case record.KindNull:
		if v.IsNothing() {
			return &constantOp{v}
		}
		o.span = nullSpan
	case record.KindBool:
		o.span = boolSpan(v.Bool())
	case record.KindText:
		o.text, o.span = []byte(v.Text()), record.MakeSpan(record.SpanText, 0, 0)
	case record.KindInt, record.KindDecimal:
		if v.Exact() != nil {
			return &constantOp{v}
		}
		o.text, o.span = v.AppendNumber(nil), record.MakeSpan(record.SpanNumber, 0, 0)
	default:
		return &constantOp{v}
	}
	if o.text != nil {
		c.literals++
	}
	return o
}

func (c *opCompiler) binary(n *binaryNode) vecOp {
	l, r := c.node(n.l), c.node(n.r)
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

// call is a function of its arguments, or one of the lazy ones with an operator.
func (c *opCompiler) call(n *callNode) vecOp {
	if n.fn.impure {
		return c.impure(n)
	}
	if n.sig.lazy != nil && n.name != "iif" && !plainDecode(n) {
		return nil
	}
	args := make([]vecOp, len(n.args))
	for i, a := range n.args {
		args[i] = c.node(a)
	}
	switch n.name {
	case "iif":
		return &condVec{args[0], args[1], args[2], true}
	case "decode":
		return c.decode(n, args)
	}
	return &callOp{n: n, expr: c.expr, args: args, fast: fastCalls[n.name]}
}

// impure is the operator of a function that depends on more than its arguments, nil if it has none.
func (c *opCompiler) impure(n *callNode) vecOp {
	switch {
	case n.sig.fixed:
		return &nowOp{n}
	case len(n.args) == 0:
		return &idOp{c.expr, n}
	}
	lit, ok := n.args[0].(*literalNode)
	if !ok || lit.v.Kind() != record.KindText {
		return nil
	}
	text := lit.v.Text()
	path, ok := n.prep[0].(record.Path)
	if !ok || path == nil || path.Wildcards() > 0 {
		return nil
	}
	o := &hasOp{key: c.p.lookup("k:"+text, text, nil), path: c.p.field(path)}
	return o
}

// plainDecode reports whether a call is a decode whose keys are literal texts.
func plainDecode(n *callNode) bool {
	if n.name != "decode" {
		return false
	}
	for i := 1; i+1 < len(n.args); i += 2 {
		if lit, ok := n.args[i].(*literalNode); !ok || lit.v.Kind() != record.KindText {
			return false
		}
	}
	return true
}

// decode is the operator of a decode whose keys are literal texts.
func (c *opCompiler) decode(n *callNode, args []vecOp) vecOp {
	o := &decodeVec{key: args[0]}
	rest := n.args[1:]
	for i := 0; i+1 < len(rest); i += 2 {
		lit, _ := rest[i].(*literalNode)
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

func printTo(b *strings.Builder, n node) bool { //nolint:gocyclo // one case for each kind of node
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
	case *localNode:
		b.WriteString("l" + strconv.Itoa(n.slot))
		return true
	case *indexNode:
		return list("at(", n.x, n.i)
	case *spreadNode:
		return list("each"+strconv.Itoa(n.slot)+"(", n.x, n.body)
	case *lambdaNode:
		fmt.Fprint(b, "->", n.slots)
		return list("(", n.body)
	case *methodNode:
		return list("m"+n.name+"(", append([]node{n.x}, n.args...)...)
	case *arrayNode:
		return list("array"+strconv.FormatBool(n.set)+"(", n.items...)
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
