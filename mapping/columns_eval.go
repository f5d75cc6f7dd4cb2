package mapping

import (
	"errors"

	"weir/record"
)

// Errors of an expression that runs inside a column program: the operator of a part failed for sure, or gave no answer.
var (
	errFailed = errors.New("a part of the expression failed")
	errPunt   = errors.New("a part of the expression is for the general path")
)

// evalOp is the operator of an expression, or part of one, that has no operator over vectors: the general evaluator over one row after the other. It
// gets nothing but the values it reads; parts that have operators were computed as vectors before.
type evalOp struct {
	id     int
	expr   *Expr
	run    evalFn
	inputs []vecOp
	whole  bool // reads the record as a whole
	ids    bool // makes ids, which depend on the position of the record
}

// inputAt reads part i from its vector.
func inputAt(i int) evalFn {
	return func(f *frame) (record.Value, error) {
		v, ok := f.lane.value(f.inputs[i][f.row])
		switch {
		case ok:
			return v, nil
		case isFail(f.inputs[i][f.row]):
			return v, errFailed
		}
		return v, errPunt
	}
}

// evaluated is the operator of a node that has none of its own.
func (c *opCompiler) evaluated(n node) vecOp {
	o := &evalOp{id: c.evals, expr: c.expr}
	c.evals++
	inner := &compiler{expr: c.expr, inputs: map[node]int{}}
	for _, k := range children(n) {
		c.inputsOf(o, inner, k, false)
	}
	o.note(n)
	o.run = inner.node(n)
	return o
}

// note finds out what else than its inputs a node needs.
func (o *evalOp) note(n node) {
	if _, ok := n.(*fieldNode); ok {
		o.whole = true
	}
	if call, ok := n.(*callNode); ok && call.fn != nil && call.fn.impure {
		switch {
		case call.sig.fixed:
		case len(call.args) > 0:
			o.whole = true
		default:
			o.ids = true
		}
	}
}

// inputsOf takes the largest parts of n that can be computed as vectors as inputs. Inside a lambda or a [*] (again) a part must not depend on the element,
// and ids are made one by one.
func (c *opCompiler) inputsOf(o *evalOp, inner *compiler, n node, again bool) {
	switch l := n.(type) {
	case *lambdaNode:
		c.inputsOf(o, inner, l.body, true)
		return
	case *literalNode, *localNode:
		return
	}
	if _, done := inner.inputs[n]; done {
		return
	}
	if c.separate(n, again) {
		inner.inputs[n] = len(o.inputs)
		o.inputs = append(o.inputs, c.node(n))
		return
	}
	o.note(n)
	if s, ok := n.(*spreadNode); ok {
		c.inputsOf(o, inner, s.x, again)
		c.inputsOf(o, inner, s.body, true)
		return
	}
	for _, k := range children(n) {
		c.inputsOf(o, inner, k, again)
	}
}

// separate reports whether a part has an operator of its own that may run before the rest.
func (c *opCompiler) separate(n node, again bool) bool {
	free := true
	var walk func(n node)
	walk = func(n node) {
		switch n := n.(type) {
		case *localNode:
			free = false
		case *callNode:
			if again && n.fn != nil && n.fn.impure && !n.sig.fixed && len(n.args) == 0 {
				free = false
			}
		}
		for _, k := range children(n) {
			walk(k)
		}
	}
	walk(n)
	return free && c.vectored(n)
}

// vectored reports whether a node itself has an operator over vectors. Others are better computed inside the evaluation they are part of.
func (c *opCompiler) vectored(n node) bool {
	switch n := n.(type) {
	case *fieldNode:
		return true
	case *memberNode, *indexNode:
		return readingOf(n) != nil
	case *unaryNode, *binaryNode, *condNode:
		return true
	case *callNode:
		return n.sig != nil && (n.sig.lazy == nil || n.name == "iif" || plainDecode(n))
	}
	return false
}

func (o *evalOp) eval(w *Lane, sel []int32, out []record.Span) {
	f := w.frame(o)
	lent := make([]bool, len(o.inputs))
	for i, in := range o.inputs {
		f.inputs[i], lent[i] = w.vector(in, len(out), sel)
	}
	for _, r := range sel {
		f.row, f.budget = r, budgetPerRecord
		switch {
		case o.whole:
			f.rec = w.record(int(r))
		case o.ids:
			w.env.Next(w.position + int64(w.sp.Off[r]))
		}
		v, err := o.run(f)
		out[r] = w.outcome(v, err, f.budget)
	}
	for i := range o.inputs {
		if lent[i] {
			w.give(f.inputs[i])
		}
		f.inputs[i] = nil
	}
}

// frame is the frame of an operator, made once.
func (w *Lane) frame(o *evalOp) *frame {
	f := w.frames[o.id]
	if f == nil {
		f = &frame{env: w.env, expr: o.expr, lane: w, locals: make([]record.Value, o.expr.slots), inputs: make([][]record.Span, len(o.inputs))}
		w.frames[o.id] = f
	}
	return f
}

// bigResult is how many bytes an operator may make before its row is left to the general path, which counts over the whole expression.
const bigResult = 1 << 20

// outcome is the result of an evaluation as a span.
func (w *Lane) outcome(v record.Value, err error, budget int) record.Span {
	switch {
	case err == nil && budget >= budgetPerRecord-bigResult:
		return w.span(v)
	case err == nil || errors.Is(err, errPunt):
		return puntSpan
	}
	return failSpan
}

// attributeOp reads an ATTRIBUTE whose path has wildcards: the array of the first one is read, the rest of the path is followed in it.
type attributeOp struct {
	key, head *source
	rest      record.Path
	have      int // wildcards
	want      int // wildcards of the destination
}

func (o *attributeOp) eval(w *Lane, sel []int32, out []record.Span) {
	key, head := w.resolved(o.key), w.resolved(o.head)
	for _, r := range sel {
		if key[r].Kind() != record.SpanAbsent {
			out[r] = key[r]
			continue
		}
		out[r] = nullSpan
		if head[r].Nullish() {
			continue
		}
		v, ok := w.value(head[r])
		if !ok {
			out[r] = puntSpan
			continue
		}
		if v, ok = o.rest.Get(v); ok {
			out[r] = w.span(flattenTo(v, o.have, o.want))
		}
	}
}

// hasOp is contains_key with a path that is known and has no wildcards.
type hasOp struct{ key, path *source }

func (o *hasOp) eval(w *Lane, sel []int32, out []record.Span) {
	key := w.resolved(o.key)
	path := w.resolved(o.path)
	for _, r := range sel {
		if isPunt(key[r]) || isPunt(path[r]) {
			out[r] = puntSpan
			continue
		}
		out[r] = boolSpan(key[r].Kind() != record.SpanAbsent || path[r].Kind() != record.SpanAbsent)
	}
}

// idOp is uuid().
type idOp struct {
	expr *Expr
	n    *callNode
}

func (o *idOp) eval(w *Lane, sel []int32, out []record.Span) {
	c := call{f: &frame{expr: o.expr}, n: o.n}
	site := c.site()
	for _, r := range sel {
		w.env.Next(w.position + int64(w.sp.Off[r]))
		at := len(w.sp.Buf)
		w.sp.Buf = append(w.sp.Buf, w.env.uuid(site)...)
		out[r] = record.MakeSpan(record.SpanText, at, len(w.sp.Buf)-at)
	}
}

// nowOp is now() and timestamp(): the instant of the run.
type nowOp struct{ n *callNode }

func (o *nowOp) eval(w *Lane, sel []int32, out []record.Span) {
	c := call{f: &frame{env: w.env}, n: o.n}
	v, err := o.n.sig.run(&c, nil)
	s := failSpan
	if err == nil {
		s = w.span(v)
	}
	for _, r := range sel {
		out[r] = s
	}
}

// constantOp is a constant that is no scalar of JSON: a date, an array, nothing.
type constantOp struct{ v record.Value }

func (o *constantOp) eval(w *Lane, sel []int32, out []record.Span) {
	s := w.span(o.v)
	for _, r := range sel {
		out[r] = s
	}
}

// readingOf is a chain of names and constant positions from a field, nil if n is none. Its guards are the places that must be no objects, because a
// position may be the name of a member, too.
func readingOf(n node) *reads {
	switch n := n.(type) {
	case *fieldNode:
		if !n.wrapped {
			return &reads{path: record.Path{{Name: n.name, Index: record.ByName}}}
		}
	case *memberNode:
		if r := readingOf(n.x); r != nil && !allDigits(n.name) {
			r.path = append(r.path, record.Step{Name: n.name, Index: record.ByName})
			return r
		}
	case *indexNode:
		r := readingOf(n.x)
		lit, ok := n.i.(*literalNode)
		if r == nil || !ok {
			return nil
		}
		if lit.v.Kind() == record.KindText {
			r.path = append(r.path, record.Step{Name: lit.v.Text(), Index: record.ByName})
			return r
		}
		if i, ok := lit.v.Int64(); ok && i >= 0 && i < maxPosition {
			r.guards = append(r.guards, len(r.path))
			r.path = append(r.path, record.Step{Index: int(i)})
			return r
		}
	}
	return nil
}

// maxPosition bounds the constant positions that are read without the whole array.
const maxPosition = 10_000

type reads struct {
	path   record.Path
	guards []int // lengths of the beginnings of path that must lead to no object
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return true
}

// guardedOp is a value of the record behind a position in an array.
type guardedOp struct {
	src    *source
	guards []*source
}

func (o *guardedOp) eval(w *Lane, sel []int32, out []record.Span) {
	v := w.resolved(o.src)
	for _, r := range sel {
		out[r] = v[r]
	}
	for _, g := range o.guards {
		v := w.resolved(g)
		for _, r := range sel {
			if v[r].Kind() == record.SpanObject {
				out[r] = puntSpan
			}
		}
	}
}
