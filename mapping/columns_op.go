package mapping

import (
	"weir/record"
)

// callOp is a call of a pure function: a row that the fast form knows costs a few nanoseconds, any other row goes through the same
// implementation as the general path, with its arguments as values.
type callOp struct {
	n    *callNode
	expr *Expr
	args []vecOp
	fast fastCall
}

// fastCall is the fast form of a function over one row; ok is false if it does not know the arguments.
type fastCall func(w *Lane, args []record.Span) (s record.Span, ok bool)

func (o *callOp) eval(w *Lane, sel []int32, out []record.Span) {
	n := len(out)
	vecs, lent := make([][]record.Span, len(o.args)), make([]bool, len(o.args))
	for i, a := range o.args {
		vecs[i], lent[i] = w.vector(a, n, sel)
	}
	args := make([]record.Span, len(o.args))
	for _, r := range sel {
		bad := record.Span(0)
		for i := range vecs {
			args[i] = vecs[i][r]
			if lost(args[i]) {
				bad = worst(args[i], bad)
			}
		}
		if bad != 0 {
			out[r] = bad
			continue
		}
		if o.fast != nil {
			if s, ok := o.fast(w, args); ok {
				out[r] = s
				continue
			}
		}
		out[r] = o.general(w, args)
	}
	for i := range vecs {
		if lent[i] {
			w.give(vecs[i])
		}
	}
}

// general is one row by the function's own implementation.
func (o *callOp) general(w *Lane, args []record.Span) record.Span {
	vals := w.args[:0]
	for _, s := range args {
		v, ok := w.value(s)
		if !ok {
			return puntSpan
		}
		vals = append(vals, v)
	}
	w.args = vals
	w.call.expr, w.call.budget = o.expr, budgetPerRecord
	v, err := callWith(&w.call, o.n, vals)
	return w.outcome(v, err, w.call.budget)
}

// binaryVec is an operator that evaluates both sides.
type binaryVec struct {
	n    *binaryNode
	l, r vecOp
	fast fastBinary
	op   binaryOp
}

type fastBinary func(w *Lane, a, b record.Span) (s record.Span, ok bool)

func (o *binaryVec) eval(w *Lane, sel []int32, out []record.Span) {
	l, lentL := w.vector(o.l, len(out), sel)
	r, lentR := w.vector(o.r, len(out), sel)
	for _, i := range sel {
		a, b := l[i], r[i]
		if lost(a) || lost(b) {
			out[i] = worst(a, b)
			continue
		}
		s, ok := record.Span(0), false
		if o.fast != nil {
			s, ok = o.fast(w, a, b)
		}
		if !ok {
			s = o.general(w, a, b)
		}
		out[i] = s
	}
	if lentL {
		w.give(l)
	}
	if lentR {
		w.give(r)
	}
}

func (o *binaryVec) general(w *Lane, a, b record.Span) record.Span {
	x, ok := w.value(a)
	y, ok2 := w.value(b)
	if !ok || !ok2 {
		return puntSpan
	}
	v, err := o.op(x, y)
	if err == nil && (v.Kind() == record.KindText && len(v.Text()) > maxText || len(v.Items()) > maxItems) {
		return puntSpan
	}
	return w.outcome(v, err, budgetPerRecord)
}

// unaryVec is an operator of one operand.
type unaryVec struct {
	x    vecOp
	op   func(record.Value) (record.Value, error)
	fast func(w *Lane, s record.Span) (record.Span, bool)
}

func (o *unaryVec) eval(w *Lane, sel []int32, out []record.Span) {
	x, lent := w.vector(o.x, len(out), sel)
	for _, i := range sel {
		s := x[i]
		if lost(s) {
			out[i] = s
			continue
		}
		if o.fast != nil {
			if r, ok := o.fast(w, s); ok {
				out[i] = r
				continue
			}
		}
		out[i] = puntSpan
		if v, ok := w.value(s); ok {
			v, err := o.op(v)
			out[i] = w.outcome(v, err, budgetPerRecord)
		}
	}
	if lent {
		w.give(x)
	}
}

// condVec is c ? a : b, or iif(c, a, b) if strict: each side is evaluated on its own rows only.
type condVec struct {
	c, a, b vecOp
	strict  bool
}

func (o *condVec) eval(w *Lane, sel []int32, out []record.Span) {
	c, lent := w.vector(o.c, len(out), sel)
	yes, no := w.takeSel(), w.takeSel()
	for _, i := range sel {
		t, ok := w.truth(c[i])
		k := c[i].Kind()
		switch {
		case !ok:
			out[i] = worst(c[i], 0)
		case o.strict && k != record.SpanTrue && k != record.SpanFalse && !w.null(c[i]):
			out[i] = failSpan // the condition of iif is a boolean
		case t:
			yes = append(yes, i)
		default:
			no = append(no, i)
		}
	}
	if lent {
		w.give(c)
	}
	if len(yes) > 0 {
		o.a.eval(w, yes, out)
	}
	if len(no) > 0 {
		o.b.eval(w, no, out)
	}
	w.giveSel(yes)
	w.giveSel(no)
}

// otherwiseVec is a ?? b, and a ?: b if elvis.
type otherwiseVec struct {
	a, b  vecOp
	elvis bool
}

func (o *otherwiseVec) eval(w *Lane, sel []int32, out []record.Span) {
	a, lent := w.vector(o.a, len(out), sel)
	rest := w.takeSel()
	for _, i := range sel {
		s := a[i]
		keep := !w.null(s)
		if keep && o.elvis {
			t, ok := w.truth(s)
			if keep = t; !ok {
				s, keep = worst(s, 0), true
			}
		}
		if keep {
			out[i] = s
		} else {
			rest = append(rest, i)
		}
	}
	if lent {
		w.give(a)
	}
	if len(rest) > 0 {
		o.b.eval(w, rest, out)
	}
	w.giveSel(rest)
}

// logicVec is a && b, and a || b if or.
type logicVec struct {
	a, b vecOp
	or   bool
}

func (o *logicVec) eval(w *Lane, sel []int32, out []record.Span) {
	a, lent := w.vector(o.a, len(out), sel)
	rest := w.takeSel()
	for _, i := range sel {
		switch t, ok := w.truth(a[i]); {
		case !ok:
			out[i] = worst(a[i], 0)
		case t == o.or:
			out[i] = boolSpan(o.or)
		default:
			rest = append(rest, i)
		}
	}
	if lent {
		w.give(a)
	}
	if len(rest) > 0 {
		b, lent := w.vector(o.b, len(out), rest)
		for _, i := range rest {
			if t, ok := w.truth(b[i]); ok {
				out[i] = boolSpan(t)
			} else {
				out[i] = worst(b[i], 0)
			}
		}
		if lent {
			w.give(b)
		}
	}
	w.giveSel(rest)
}

// decodeVec is decode(key, k1, v1, …, default) with literal text keys.
type decodeVec struct {
	key  vecOp
	keys [][]byte
	vals []vecOp // one per key, and the default
}

func (o *decodeVec) eval(w *Lane, sel []int32, out []record.Span) {
	key, lent := w.vector(o.key, len(out), sel)
	sels := make([][]int32, len(o.vals))
	for k := range sels {
		sels[k] = w.takeSel()
	}
	for _, i := range sel {
		s := key[i]
		k := len(o.keys)
		switch s.Kind() {
		case record.SpanAbsent, record.SpanNull:
		case record.SpanText, record.SpanEscaped:
			k = o.find(w.sp.Plain(s).In(w.sp.Buf))
		default:
			v, ok := w.value(s)
			if !ok {
				out[i] = worst(s, 0)
				continue
			}
			k = o.alike(v)
		}
		sels[k] = append(sels[k], i)
	}
	if lent {
		w.give(key)
	}
	for k, v := range o.vals {
		if len(sels[k]) > 0 {
			v.eval(w, sels[k], out)
		}
		w.giveSel(sels[k])
	}
}

// alike is the position of the first key that a value which is no text equals.
func (o *decodeVec) alike(v record.Value) int {
	if v.IsNull() {
		return len(o.keys)
	}
	for k, key := range o.keys {
		if alike(v, record.TextOf(view(key))) {
			return k
		}
	}
	return len(o.keys)
}

func (o *decodeVec) find(t []byte) int {
	for k, key := range o.keys {
		if string(key) == string(t) {
			return k
		}
	}
	return len(o.keys)
}
