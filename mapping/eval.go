package mapping

import (
	"errors"
	"math"

	"weir/record"
)

// evalFn computes a part of an expression.
type evalFn func(f *frame) (record.Value, error)

// frame is one evaluation: the record, and what lambdas and calls keep while they run.
type frame struct {
	rec    record.Value
	env    *Env
	expr   *Expr
	locals []record.Value
	stack  []record.Value // arguments of the calls in progress
	budget int            // bytes left to make

	// Of an expression that runs inside a column program: the lane, its row at hand, and the vectors of the parts that have operators.
	lane   *Lane
	row    int32
	inputs [][]record.Span
	calls  call // of the function at work
}

// Costs of one value inside an array or object, and of one call of a lambda.
const (
	valueCost  = 16
	lambdaCost = 64
)

// spend takes n bytes from the budget.
func (f *frame) spend(n int) error {
	if f.budget -= n; f.budget < 0 {
		return faultf(KindArgument, "the result is too large")
	}
	return nil
}

// Bounds of single values that expressions make (data-prep §13).
const (
	maxText  = 1 << 20
	maxItems = 100_000
)

// made checks the size of a value a function or operator made. Arrays and objects count with all that is in them, however often it is shared:
// that is what writing them costs.
func (f *frame) made(v record.Value) error {
	switch v.Kind() {
	case record.KindText:
		if len(v.Text()) > maxText {
			return faultf(KindArgument, "the text is longer than 1 MiB")
		}
		return f.spend(len(v.Text()))
	case record.KindArray, record.KindObject:
		if n := max(len(v.Items()), v.Object().Len()); n > maxItems {
			return faultf(KindArgument, "%s has more than %d elements", an(v.Kind()), maxItems)
		}
		left := f.budget
		if !weigh(v, &left, record.MaxDepth) {
			return faultf(KindArgument, "the result is too large or nested too deeply")
		}
		f.budget = left
	default:
	}
	return nil
}

// weigh takes the size of a value from left; false when that is not enough, or the value is nested deeper than depth.
func weigh(v record.Value, left *int, depth int) bool {
	*left -= valueCost
	switch v.Kind() {
	case record.KindText:
		*left -= len(v.Text())
	case record.KindArray:
		if depth == 0 {
			return false
		}
		for _, e := range v.Items() {
			if !weigh(e, left, depth-1) {
				return false
			}
		}
	case record.KindObject:
		if depth == 0 {
			return false
		}
		o := v.Object()
		for i := range o.Len() {
			name, e := o.Member(i)
			*left -= len(name)
			if !weigh(e, left, depth-1) {
				return false
			}
		}
	default:
	}
	return *left >= 0
}

// placed gives an error of a node its place.
func (f *frame) placed(n node, err error) error {
	if f.lane != nil {
		return errFailed // the transformer says more if somebody asks
	}
	if bad, ok := errors.AsType[*fault](err); ok {
		e := errorAt(f.expr.src, n.pos(), bad.kind, "%s", bad.msg)
		e.Code = CodeTransform
		return e
	}
	return err
}

func finite(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }

// compiler turns a checked tree into closures.
type compiler struct {
	expr *Expr
	// inputs are the parts that a column program computes as vectors, by their number.
	inputs map[node]int
}

func (c *compiler) nodes(ns []node) []evalFn {
	out := make([]evalFn, len(ns))
	for i, n := range ns {
		out[i] = c.node(n)
	}
	return out
}

func (c *compiler) node(n node) evalFn { //nolint:gocyclo // one case for each kind of node
	if i, ok := c.inputs[n]; ok {
		return inputAt(i)
	}
	switch n := n.(type) {
	case *literalNode:
		v := n.v
		return func(*frame) (record.Value, error) { return v, nil }
	case *fieldNode:
		return c.field(n)
	case *localNode:
		slot := n.slot
		return func(f *frame) (record.Value, error) { return f.locals[slot], nil }
	case *memberNode:
		x, name := c.node(n.x), n.name
		return func(f *frame) (record.Value, error) {
			v, err := x(f)
			if err != nil {
				return v, err
			}
			return step(v, name), nil
		}
	case *indexNode:
		return c.index(n)
	case *spreadNode:
		return c.spread(n)
	case *callNode:
		return c.call(n)
	case *methodNode:
		return c.method(n)
	case *unaryNode:
		x, op := c.node(n.x), unaryOps[n.op]
		return func(f *frame) (record.Value, error) {
			v, err := x(f)
			if err != nil {
				return v, err
			}
			if v, err = op(v); err != nil {
				return v, f.placed(n, err)
			}
			return v, nil
		}
	case *binaryNode:
		return c.binary(n)
	case *condNode:
		cond, a, b := c.node(n.c), c.node(n.a), c.node(n.b)
		return func(f *frame) (record.Value, error) {
			v, err := cond(f)
			if err != nil {
				return v, err
			}
			if truth(v) {
				return a(f)
			}
			return b(f)
		}
	case *arrayNode:
		return c.array(n)
	case *mapNode:
		return c.object(n)
	}
	return func(f *frame) (record.Value, error) {
		return record.Null(), f.placed(n, faultf(KindSyntax, "a lambda can only be an argument"))
	}
}

func (c *compiler) field(n *fieldNode) evalFn {
	name, wrapper, path := n.name, c.expr.opts.Wrapper, n.path
	if !n.wrapped {
		return func(f *frame) (record.Value, error) {
			v, _ := lookup(f.rec, wrapper, name)
			return v, nil
		}
	}
	return func(f *frame) (record.Value, error) {
		v, ok := lookup(f.rec, wrapper, name)
		if !ok && path != nil {
			v, _ = lookupPath(f.rec, wrapper, path)
			v = flatten(v, path.Wildcards())
		}
		return v, nil
	}
}

// flatten merges the nested arrays that several [*] of a path give into one; elements that are missing arrays vanish.
func flatten(v record.Value, wildcards int) record.Value {
	if wildcards < 2 || v.Kind() != record.KindArray {
		return v
	}
	var out []record.Value
	for _, e := range v.Items() {
		out = append(out, flatten(e, wildcards-1).Items()...)
	}
	return record.ArrayOf(out)
}

// step is a member of an object, or an element of an array named by digits; null if there is none.
func step(v record.Value, name string) record.Value {
	if v.Kind() == record.KindArray && name != "" && len(name) <= 9 {
		i := 0
		for j := range len(name) {
			if name[j]-'0' > 9 {
				return record.Null()
			}
			i = i*10 + int(name[j]-'0')
		}
		v, _ = v.At(i)
		return v
	}
	v, _ = v.Get(name)
	return v
}

func (c *compiler) index(n *indexNode) evalFn {
	x, i := c.node(n.x), c.node(n.i)
	return func(f *frame) (record.Value, error) {
		v, err := x(f)
		if err != nil {
			return v, err
		}
		k, err := i(f)
		if err != nil {
			return k, err
		}
		return indexed(v, k), nil
	}
}

// indexed is v[k]; null if there is no such element or member.
func indexed(v, k record.Value) record.Value {
	switch v.Kind() {
	case record.KindArray:
		if i, ok := k.Int64(); ok && i >= 0 && i < int64(len(v.Items())) {
			return v.Items()[i]
		}
	case record.KindObject:
		if s, ok := asText(k); ok {
			v, _ = v.Get(s)
			return v
		}
	default:
	}
	return record.Null()
}

func (c *compiler) spread(n *spreadNode) evalFn {
	x, body, slot := c.node(n.x), c.node(n.body), n.slot
	_, nested := n.body.(*spreadNode)
	if l, ok := n.body.(*localNode); ok && l.slot == slot {
		return func(f *frame) (record.Value, error) { // x[*] alone
			v, err := x(f)
			if err != nil || v.Kind() != record.KindArray {
				return record.Null(), err
			}
			return v, nil
		}
	}
	return func(f *frame) (record.Value, error) {
		v, err := x(f)
		if err != nil || v.Kind() != record.KindArray {
			return record.Null(), err
		}
		out := make([]record.Value, 0, len(v.Items()))
		for _, e := range v.Items() {
			f.locals[slot] = e
			r, err := body(f)
			if err != nil {
				return r, err
			}
			if nested {
				out = append(out, r.Items()...)
			} else {
				out = append(out, r)
			}
		}
		r := record.ArrayOf(out)
		if err := f.made(r); err != nil {
			return r, f.placed(n, err)
		}
		return r, nil
	}
}

func (c *compiler) array(n *arrayNode) evalFn {
	items, set := c.nodes(n.items), n.set
	return func(f *frame) (record.Value, error) {
		out := make([]record.Value, 0, len(items))
		for _, item := range items {
			v, err := item(f)
			if err != nil {
				return v, err
			}
			if !set || indexIn(out, v) < 0 {
				out = append(out, v)
			}
		}
		v := record.ArrayOf(out)
		if err := f.made(v); err != nil {
			return v, f.placed(n, err)
		}
		return v, nil
	}
}

func (c *compiler) object(n *mapNode) evalFn {
	keys, vals := c.nodes(n.keys), c.nodes(n.vals)
	return func(f *frame) (record.Value, error) {
		o := record.NewObject(len(keys))
		for i := range keys {
			k, err := keys[i](f)
			if err != nil {
				return k, err
			}
			name, ok := asText(k)
			if !ok {
				return k, f.placed(n.keys[i], faultf(KindType, "%s cannot be a key; keys are text", an(k.Kind())))
			}
			v, err := vals[i](f)
			if err != nil {
				return v, err
			}
			o.Set(name, v)
		}
		v := record.ObjectOf(o)
		if err := f.made(v); err != nil {
			return v, f.placed(n, err)
		}
		return v, nil
	}
}

func (c *compiler) binary(n *binaryNode) evalFn {
	l, r := c.node(n.l), c.node(n.r)
	switch n.op {
	case "&&", "||":
		stop := n.op == "||"
		return func(f *frame) (record.Value, error) {
			v, err := l(f)
			if err != nil {
				return v, err
			}
			if truth(v) == stop {
				return record.BoolOf(stop), nil
			}
			if v, err = r(f); err != nil {
				return v, err
			}
			return record.BoolOf(truth(v)), nil
		}
	case "??", "?:":
		elvis := n.op == "?:"
		return func(f *frame) (record.Value, error) {
			v, err := l(f)
			if err != nil {
				return v, err
			}
			if !v.IsNull() && (!elvis || truth(v)) {
				return v, nil
			}
			return r(f)
		}
	}
	op := binaryOps[n.op]
	if n.prep != nil {
		op = matchWith(n.prep, n.op == "!~")
	}
	return func(f *frame) (record.Value, error) {
		a, err := l(f)
		if err != nil {
			return a, err
		}
		b, err := r(f)
		if err != nil {
			return b, err
		}
		v, err := op(a, b)
		if err == nil {
			err = f.made(v)
		}
		if err != nil {
			return v, f.placed(n, err)
		}
		return v, nil
	}
}
