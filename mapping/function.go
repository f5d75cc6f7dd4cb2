package mapping

import (
	"slices"
	"strings"

	"weir/record"
)

// function is everything about one function of the language. The reference page, the language endpoints, the checker and the tests
// read these literals.
type function struct {
	name     string
	category string
	doc      string
	sigs     []signature
	examples []example
	// alias is the function whose other name this is, "" for none.
	alias string
	// impure functions depend on more than their arguments: they are not computed before there is a record.
	impure bool
}

// example is a runnable use: expr over the record in (JSON, "{}" if empty) gives want (JSON), or an error of kind fails.
type example struct {
	expr, in, want string
	fails          Kind
}

// signature is one way to call a function. The last rest parameters may be repeated as a group, from zero times.
type signature struct {
	params  []param
	rest    int
	returns kinds
	// run gets its arguments converted to their parameters' types; a null in a required argument has given null already.
	run func(c *call, args []record.Value) (record.Value, error)
	// fixed, of an impure function, gives the same for all records of a run.
	fixed bool
	// lazy, instead of run, evaluates its arguments itself.
	lazy func(c *call, args []lazyArg) (record.Value, error)
}

// ptype is the type of a parameter (data-prep §7.7).
type ptype uint8

const (
	pAny ptype = iota
	pText
	pInt
	pNum
	pBool
	pDate
	pArr
	pObj
	pLambda
)

type param struct {
	name string
	typ  ptype
	doc  string
	// optional parameters may be left out; null counts as left out.
	optional bool
	// nullable parameters take null as a value.
	nullable bool
	// prep makes of a text what the function needs, once if the argument is a literal.
	prep func(text string) (any, error)
}

// Short forms for the tables.
func text(name, doc string) param { return param{name: name, typ: pText, doc: doc} }

func whole(name, doc string) param {
	return param{name: name, typ: pInt, doc: doc}
}
func array(name, doc string) param  { return param{name: name, typ: pArr, doc: doc} }
func object(name, doc string) param { return param{name: name, typ: pObj, doc: doc} }
func date(name, doc string) param   { return param{name: name, typ: pDate, doc: doc} }
func boolean(name, doc string) param {
	return param{name: name, typ: pBool, doc: doc}
}

func anything(name, doc string) param {
	return param{name: name, typ: pAny, doc: doc, nullable: true}
}

func (p param) opt() param    { p.optional = true; return p }
func (p param) orNull() param { p.nullable = true; return p }
func (p param) prepared(f func(string) (any, error)) param {
	p.prep = f
	return p
}

// call is what an implementation may use beside its arguments.
type call struct {
	f  *frame
	n  *callNode
	at []any // prepared arguments
}

// env is the surroundings of the record.
func (c *call) env() *Env {
	if c.f.env == nil {
		c.f.env = &Env{}
	}
	return c.f.env
}

// site identifies the call among all calls of a mapping set.
func (c *call) site() uint64 { return uint64(c.f.expr.opts.Site)<<32 | uint64(c.n.pos()) }

// prepared is what parameter i's prep made of the argument: before the run for a literal, now for all else.
func prepared[T any](c *call, i int, arg record.Value) (T, error) {
	if i < len(c.at) && c.at[i] != nil {
		v, _ := c.at[i].(T)
		return v, nil
	}
	v, err := c.n.sig.param(i).prep(arg.Text())
	if err != nil {
		var none T
		return none, err
	}
	t, _ := v.(T)
	return t, nil
}

// lazyArg is an argument that has not been evaluated.
type lazyArg struct {
	run  evalFn
	f    *frame
	node node
}

func (a lazyArg) eval() (record.Value, error) { return a.run(a.f) }

// lambda calls a lambda argument with values for its parameters.
func (a lazyArg) lambda(vals ...record.Value) (record.Value, error) {
	l, _ := a.node.(*lambdaNode)
	for i, s := range l.slots {
		if i < len(vals) {
			a.f.locals[s] = vals[i]
		}
	}
	if err := a.f.spend(lambdaCost); err != nil {
		return record.Null(), err
	}
	return a.run(a.f)
}

// param is the parameter of argument i.
func (s *signature) param(i int) *param {
	if i >= len(s.params) && s.rest > 0 {
		i = len(s.params) - s.rest + (i-len(s.params))%s.rest
	}
	return &s.params[i]
}

// minArgs is how many arguments must be given.
func (s *signature) minArgs() int {
	n := len(s.params) - s.rest
	for n > 0 && s.params[n-1].optional {
		n--
	}
	return n
}

// accepts reports whether a call with n arguments has this signature.
func (s *signature) accepts(n int) bool {
	if n < s.minArgs() {
		return false
	}
	if n <= len(s.params)-s.rest {
		return true
	}
	return s.rest > 0 && (n-len(s.params))%s.rest == 0
}

// Types as the language endpoints print them.
var (
	paramNames = [...]string{"any", "text", "integer", "number", "boolean", "date", "array", "object", "lambda"}
	paramKinds = [...]kinds{kAny, kText | kNum | kBool | kDate, kInt | kText, kNum | kText, kBool, kDate | kText | kInt, kArr, kObj, kLambda}
)

// usage is a call pattern: name(a, b, c...).
func (s *signature) usage(name string) string {
	var b strings.Builder
	b.WriteString(name + "(")
	for i := range s.params {
		p := &s.params[i]
		if p.optional {
			b.WriteByte('[')
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name)
	}
	if s.rest > 0 {
		b.WriteString("...")
	}
	for i := range s.params {
		if s.params[i].optional {
			b.WriteByte(']')
		}
	}
	return b.String() + ")"
}

// families are all functions, in the order of the reference page.
var families = [][]function{
	stringFunctions, regexFunctions, hashFunctions, urlFunctions, dateFunctions, objectFunctions, arrayFunctions, mapFunctions,
	logicalFunctions, conversionFunctions, specialFunctions, agentFunctions, analyticsFunctions,
}

// library finds a function by name.
var library = func() map[string]*function {
	m := map[string]*function{}
	for _, family := range families {
		for i := range family {
			m[family[i].name] = &family[i]
		}
	}
	return m
}()

// nearest is the known name most like a wrong one, "" if none is near.
func nearest(name string, known []string) string {
	best, score := "", max(2, len(name)/3)+1
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d < score || d == score && best != "" && k < best {
			best, score = k, d
		}
	}
	return best
}

// distance is how many letters must be added, taken away or changed.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		left := row[0]
		row[0] = i + 1
		for j := range y {
			d := left
			if x[i] != y[j] {
				d++
			}
			left = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}

func functionNames() []string {
	names := make([]string, 0, len(library))
	for n := range library {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// convertArg makes of a value what a parameter takes.
func convertArg(p *param, v record.Value) (record.Value, error) {
	switch p.typ {
	case pText:
		if v.Kind() == record.KindText {
			return v, nil
		}
		if s, ok := asText(v); ok {
			return record.TextOf(s), nil
		}
	case pInt, pNum:
		if v.Kind() == record.KindText {
			n, ok := record.ParseNumber(v.Text())
			if !ok || p.typ == pInt && n.Kind() != record.KindInt {
				return v, faultf(KindType, "%s must be %s, not the text %q", p.name, noun(p.typ), show(v.Text()))
			}
			return n, nil
		}
		if v.Kind() == record.KindInt || p.typ == pNum && v.IsNumber() {
			return v, nil
		}
	case pDate:
		if v.Kind() == record.KindDate || v.Kind() == record.KindText || v.Kind() == record.KindInt {
			return dateArg(v)
		}
	case pAny, pLambda:
		return v, nil
	default:
		if v.Kind() == exactKinds[p.typ] {
			return v, nil
		}
	}
	return v, faultf(KindType, "%s must be %s, not %s", p.name, noun(p.typ), an(v.Kind()))
}

// exactKinds are the kinds of parameters that convert nothing.
var exactKinds = map[ptype]record.Kind{pBool: record.KindBool, pArr: record.KindArray, pObj: record.KindObject}

// dateArg is a date, text in one of the known forms, or milliseconds since 1970 as a date.
func dateArg(v record.Value) (record.Value, error) {
	switch v.Kind() {
	case record.KindText:
		t, ok := parseDate(v.Text())
		if !ok {
			return v, faultf(KindArgument, "%q is no date in one of the known forms; use date(text, pattern)", show(v.Text()))
		}
		return record.DateOf(t), nil
	case record.KindInt:
		return epochDate(v)
	default:
		return v, nil
	}
}

// noun names a parameter's type in a sentence.
func noun(t ptype) string {
	name := paramNames[t]
	switch t {
	case pText:
		return name
	case pInt, pArr, pObj:
		return "an " + name
	default:
		return "a " + name
	}
}

// call compiles a function call.
func (c *compiler) call(n *callNode) evalFn {
	name, sig := n.name, n.sig
	if sig.lazy != nil {
		runs := make([]evalFn, len(n.args))
		for i, a := range n.args {
			if l, ok := a.(*lambdaNode); ok {
				a = l.body
			}
			runs[i] = c.node(a)
		}
		return func(f *frame) (record.Value, error) {
			args := make([]lazyArg, len(runs))
			for i := range runs {
				args[i] = lazyArg{runs[i], f, n.args[i]}
			}
			v, err := sig.lazy(&call{f, n, n.prep}, args)
			if err != nil {
				return v, f.placed(n, named(name, err))
			}
			return v, nil
		}
	}
	args := c.nodes(n.args)
	return func(f *frame) (record.Value, error) {
		from := len(f.stack)
		for _, a := range args {
			v, err := a(f)
			if err != nil {
				f.stack = f.stack[:from]
				return v, err
			}
			f.stack = append(f.stack, v)
		}
		v, err := callWith(f, n, f.stack[from:])
		f.stack = f.stack[:from]
		return v, err
	}
}

// callWith converts the arguments and runs the signature. args may be changed.
func callWith(f *frame, n *callNode, args []record.Value) (record.Value, error) {
	missing := false
	for i := range args {
		if args[i].IsNull() {
			p := n.sig.param(i)
			missing = missing || !p.nullable && !p.optional
		}
	}
	if missing {
		return record.Null(), nil
	}
	for i := range args {
		if args[i].IsNull() {
			continue
		}
		v, err := convertArg(n.sig.param(i), args[i])
		if err != nil {
			return v, f.placed(n.args[i], named(n.name, err))
		}
		args[i] = v
	}
	f.calls = call{f, n, n.prep}
	v, err := n.sig.run(&f.calls, args)
	if err == nil {
		err = f.made(v)
	}
	if err != nil {
		return v, f.placed(n, named(n.name, err))
	}
	return v, nil
}

// named puts the function's name before a fault's message.
func named(name string, err error) error {
	if bad, ok := err.(*fault); ok { //nolint:errorlint // a fault is never wrapped
		return &fault{bad.kind, name + ": " + bad.msg}
	}
	return err
}
