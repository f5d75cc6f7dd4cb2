package mapping

import (
	"errors"

	"weir/record"
)

// Options tell [Compile] about the records.
type Options struct {
	// Input is the shape of the records, nil if unknown; it finds impossible types and unknown fields without data.
	Input *record.Schema
	// Wrapper is the member that wraps a record: a field whose first step is absent is looked up inside it (flow-service §6.6).
	Wrapper string
	// Site numbers the expression among those of a mapping set; it seeds uuid().
	Site int
}

// Expr is a compiled expression. It is immutable and safe for goroutines.
type Expr struct {
	src    string
	root   node
	run    evalFn
	slots  int
	opts   Options
	result static
	attrs  []string
	lint   []Error
}

// Compile reads, checks and compiles an expression. Every error is an [*Error] with its place; when there are several, it is the first in
// the order of evaluation.
func Compile(src string, opts Options) (*Expr, error) {
	e, errs := compile(src, opts)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return e, nil
}

// compile is Compile with all errors. After a syntax error there is no expression and only that error.
func compile(src string, opts Options) (*Expr, []*Error) {
	root, slots, err := parse(src)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Kind: KindSyntax, Code: CodeSyntax, Message: err.Error(), Source: src}
		}
		return nil, []*Error{e}
	}
	e := &Expr{src: src, slots: slots, opts: opts}
	seen := map[string]bool{}
	attributes(root, func(path string) {
		if !seen[path] {
			seen[path] = true
			e.attrs = append(e.attrs, path)
		}
	})
	c := &checker{expr: e, locals: make([]static, slots)}
	e.root, e.result = c.check(root, true)
	e.lint = c.lint
	if len(c.errs) > 0 {
		return e, c.errs
	}
	e.run = (&compiler{expr: e}).node(e.root)
	return e, nil
}

// Source is the text of the expression.
func (e *Expr) Source() string { return e.src }

// Attributes are the source paths the expression reads, in order of first use, without duplicates.
func (e *Expr) Attributes() []string { return e.attrs }

// Warnings are doubtful but legal parts of the expression.
func (e *Expr) Warnings() []Error { return e.lint }

// ReturnType names the kinds of values the expression can give: boolean, integer, number, text, date, array, object, any, or several joined by " or ".
func (e *Expr) ReturnType() string { return e.result.kinds.String() }

// budgetPerRecord bounds what one evaluation may make, in bytes: a nested lambda cannot eat the memory or the time of a run.
const budgetPerRecord = 128 << 20

// Eval evaluates the expression over a record. An error is an [*Error] with kind and place; it is a matter of the one record.
func (e *Expr) Eval(rec record.Value, env *Env) (record.Value, error) {
	f := frame{rec: rec, env: env, expr: e, budget: budgetPerRecord}
	var locals [4]record.Value
	if e.slots <= len(locals) {
		f.locals = locals[:e.slots]
	} else {
		f.locals = make([]record.Value, e.slots)
	}
	return e.run(&f)
}

// lookup is a root field of a record, or of the object that wraps it.
func lookup(rec record.Value, wrapper, name string) (record.Value, bool) {
	v, ok := rec.Get(name)
	if !ok && wrapper != "" {
		if in, found := rec.Get(wrapper); found {
			return in.Get(name)
		}
	}
	return v, ok
}

// lookupPath follows a path from the record, or from inside the wrapper when its first step is absent.
func lookupPath(rec record.Value, wrapper string, p record.Path) (record.Value, bool) {
	v, ok := lookup(rec, wrapper, p[0].Name)
	if !ok || len(p) == 1 {
		return v, ok
	}
	return p[1:].Get(v)
}
