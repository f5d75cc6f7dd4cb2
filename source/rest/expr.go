package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"weir"
)

// Bounds of an expression: its text, and the work of one evaluation in CEL's cost units.
const (
	exprSize = 4 << 10
	exprCost = 1_000_000
)

// expression is a compiled CEL expression over an answer or a record.
type expression struct {
	text    string
	program cel.Program
	// pages are the places of the answer it reads, first and last whether it reads those records.
	pages       []path
	first, last bool
	copies      path // of an expression that is one member of the record
}

// maxIndex bounds the elements an expression may name by index.
const maxIndex = 1000

// scope says what an expression may name.
type scope uint8

const (
	onPage    scope = iota // page, headers, status, url, elements, records, requests, first, last, position, text, none, params, window
	onRecord               // record, params, window
	onValue                // those of a record, and value: one of its members
	onRequest              // params, window
)

// scopeNames are the variables of each scope.
var scopeNames = map[scope][]string{
	onPage:   {"page", "headers", "status", "url", "elements", "records", "requests", "first", "last", "position", "text", "none", "params", "window"},
	onRecord: {"record", "none", "params", "window"},
	onValue:  {"record", "value", "none", "params", "window"},

	onRequest: {"none", "params", "window"},
}

// compileExpr checks an expression: its syntax, its names, and where want is not nil its type.
func compileExpr(where, text string, in scope, want *cel.Type) (*expression, error) {
	fail := func(err error) (*expression, error) {
		return nil, weir.Errorf("CONNECTOR-1312-400", "%s: the expression is not valid: %w", where, err)
	}
	if len(text) > exprSize {
		return fail(fmt.Errorf("it is longer than %d bytes", exprSize))
	}
	opts := []cel.EnvOption{
		ext.Strings(), ext.Math(), ext.Encoders(), ext.Lists(), cel.OptionalTypes(), ext.Regex(), cel.CrossTypeNumericComparisons(true), words(),
		cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(exprSize),
	}
	for _, name := range scopeNames[in] {
		opts = append(opts, cel.Variable(name, cel.DynType))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return fail(err)
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return fail(issues.Err())
	}
	if got := checked.OutputType(); want != nil && !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return fail(fmt.Errorf("it gives %s where %s is needed", got, want))
	}
	program, err := env.Program(checked, cel.CostLimit(exprCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return fail(err)
	}
	x := &expression{text: text, program: program}
	top := checked.NativeRep().Expr()
	if err := x.read(top); err != nil {
		return fail(err)
	}
	if p, root, ok := chain(top); ok && root == "record" && len(p) > 0 {
		x.copies = p
	}
	return x, nil
}

// read finds the places of the answer that an expression needs.
func (x *expression) read(e ast.Expr) error {
	if p, root, ok := chain(e); ok {
		switch root {
		case "page":
			if len(p) == 0 || p[0].kind != byName {
				return errors.New("page cannot be used as a whole; name the member, as in page.next")
			}
			for _, st := range p {
				if st.kind == byIndex && st.index > maxIndex {
					return fmt.Errorf("an index above %d", maxIndex)
				}
			}
			x.pages = append(x.pages, p)
		case "first":
			x.first = true
		case "last":
			x.last = true
		}
		return nil
	}
	for _, child := range children(e) {
		if err := x.read(child); err != nil {
			return err
		}
	}
	return nil
}

// chain reads a.b['c'][0] down to its variable.
func chain(e ast.Expr) (p path, root string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return nil, e.AsIdent(), true
	case ast.SelectKind:
		p, root, ok = chain(e.AsSelect().Operand())
		return append(p, step{name: e.AsSelect().FieldName()}), root, ok
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index && c.FunctionName() != operators.OptIndex || len(c.Args()) != 2 || c.Args()[1].Kind() != ast.LiteralKind {
			return nil, "", false
		}
		p, root, ok = chain(c.Args()[0])
		switch key := c.Args()[1].AsLiteral().Value().(type) {
		case string:
			return append(p, step{name: key}), root, ok
		case int64:
			return append(p, step{kind: byIndex, index: int(key)}), root, ok && key >= 0
		}
	}
	return nil, "", false
}

func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			return append([]ast.Expr{c.Target()}, c.Args()...)
		}
		return c.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var out []ast.Expr
		for _, en := range e.AsMap().Entries() {
			out = append(out, en.AsMapEntry().Key(), en.AsMapEntry().Value())
		}
		return out
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

// eval runs the expression. A member that is not there gives nil.
func (x *expression) eval(vars map[string]any) (any, error) {
	out, _, err := x.program.Eval(vars)
	if err != nil {
		if strings.Contains(err.Error(), "no such key") || strings.Contains(err.Error(), "index out of bounds") {
			return nil, nil //nolint:nilnil // a value that is not there
		}
		return nil, weir.Errorf("CONNECTOR-1308-400", "the expression %q failed: %w", shorten(x.text, 200), err)
	}
	return fromCEL(out), nil
}

// truth runs the expression as a condition; what is not there is false.
func (x *expression) truth(vars map[string]any) (bool, error) {
	v, err := x.eval(vars)
	if err != nil {
		return false, err
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	}
	return false, weir.Errorf("CONNECTOR-1308-400", "the expression %q gave %T, not true or false", shorten(x.text, 200), v)
}

// fromCEL turns a result into nil, bool, string, json.Number, []any or map[string]any.
func fromCEL(v ref.Val) any {
	switch v := v.(type) {
	case types.Bool:
		return bool(v)
	case types.String:
		return string(v)
	case types.Int:
		return json.Number(strconv.FormatInt(int64(v), 10))
	case types.Uint:
		return json.Number(strconv.FormatUint(uint64(v), 10))
	case types.Double:
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
		return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339Nano)
	case types.Null:
		return nil
	}
	return plain(v.Value())
}

// plain unwraps what CEL holds of lists and maps.
func plain(v any) any {
	switch v := v.(type) {
	case ref.Val:
		return fromCEL(v)
	case []ref.Val:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fromCEL(v[i])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[ref.Val]ref.Val:
		out := map[string]any{}
		for k, e := range v {
			out[fmt.Sprint(k.Value())] = fromCEL(e)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case float64:
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	}
	return v
}

// toCEL reads JSON into the values expressions work on: numbers without fraction are integers.
func toCEL(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	tree, err := parseTree(raw)
	if err != nil {
		return nil
	}
	return treeCEL(tree)
}

func treeCEL(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.names))
		for i, n := range v.names {
			m[n] = treeCEL(v.values[i])
		}
		return m
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = treeCEL(v[i])
		}
		return out
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}

// nest puts a value at a path of maps and lists and returns the whole.
func nest(whole any, p path, v any) any {
	if len(p) == 0 {
		return v
	}
	if p[0].kind == byIndex {
		list, _ := whole.([]any)
		for len(list) <= p[0].index {
			list = append(list, nil)
		}
		list[p[0].index] = nest(list[p[0].index], p[1:], v)
		return list
	}
	m, ok := whole.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	m[p[0].name] = nest(m[p[0].name], p[1:], v)
	return m
}
