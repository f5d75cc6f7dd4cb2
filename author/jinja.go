package author

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expr is a Jinja expression: the small part of the language that manifests use.
type expr struct {
	op   string // name, text, number, word (true, false, none), member, call, filter, if, not, list, or an operator
	text string
	args []*expr
}

// maxExpr bounds the length and nesting of an expression.
const maxExpr = 4096

var jinjaToken = regexp.MustCompile(`^(?:\s+|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(==|!=|<=|>=|//|\*\*|[-+*/%<>()\[\].,|~:]))`)

type jinjaParser struct {
	tokens []jinjaWord
	at     int
	depth  int
}

type jinjaWord struct {
	kind, text string // kind: text, number, name, op, end
}

// parseJinja reads an expression without its braces.
func parseJinja(s string) (*expr, error) {
	if len(s) > maxExpr {
		return nil, fmt.Errorf("the expression is longer than %d characters", maxExpr)
	}
	p := &jinjaParser{}
	for s != "" {
		g := jinjaToken.FindStringSubmatch(s)
		if g == nil {
			return nil, fmt.Errorf("%q is not understood", s)
		}
		w := jinjaWord{}
		switch {
		case strings.TrimSpace(g[0]) == "":
		case g[0][0] == '\'':
			w = jinjaWord{"text", unescape(g[1])}
		case g[0][0] == '"':
			w = jinjaWord{"text", unescape(g[2])}
		case g[3] != "":
			w = jinjaWord{"number", g[3]}
		case g[4] != "":
			w = jinjaWord{"name", g[4]}
		default:
			w = jinjaWord{"op", g[5]}
		}
		if w.kind != "" {
			p.tokens = append(p.tokens, w)
		}
		s = s[len(g[0]):]
	}
	p.tokens = append(p.tokens, jinjaWord{"end", ""})
	e, err := p.ternary()
	if err == nil && p.peek().kind != "end" {
		err = fmt.Errorf("%q is left over", p.peek().text)
	}
	return e, err
}

func unescape(s string) string {
	return strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`, `\n`, "\n").Replace(s)
}

func (p *jinjaParser) peek() jinjaWord { return p.tokens[p.at] }

func (p *jinjaParser) take(texts ...string) (string, bool) {
	w := p.peek()
	if (w.kind == "op" || w.kind == "name") && slices.Contains(texts, w.text) {
		p.at++
		return w.text, true
	}
	return "", false
}

func (p *jinjaParser) ternary() (*expr, error) {
	if p.depth++; p.depth > 60 {
		return nil, errors.New("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	e, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if _, ok := p.take("if"); !ok {
		return e, nil
	}
	cond, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	other := &expr{op: "word", text: "none"}
	if _, ok := p.take("else"); ok {
		if other, err = p.ternary(); err != nil {
			return nil, err
		}
	}
	return &expr{op: "if", args: []*expr{cond, e, other}}, nil
}

// jinjaLevels are the binary operators, the loosest first.
var jinjaLevels = [][]string{{"or"}, {"and"}, {"not"}, {"==", "!=", "<", ">", "<=", ">=", "in", "is"}, {"+", "-", "~"}, {"*", "/", "//", "%"}}

func (p *jinjaParser) binary(level int) (*expr, error) {
	if level == len(jinjaLevels) {
		return p.postfix()
	}
	if jinjaLevels[level][0] == "not" {
		if _, ok := p.take("not"); ok {
			if p.depth++; p.depth > 60 {
				return nil, errors.New("it is nested too deeply")
			}
			defer func() { p.depth-- }()
			e, err := p.binary(level)
			return &expr{op: "not", args: []*expr{e}}, err
		}
		return p.binary(level + 1)
	}
	left, err := p.binary(level + 1)
	for err == nil {
		negated := false
		if level == 3 && p.peek().text == "not" && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "in" {
			p.at++
			negated = true
		}
		op, ok := p.take(jinjaLevels[level]...)
		if !ok {
			return left, nil
		}
		if op == "is" {
			if _, not := p.take("not"); not {
				negated = true
			}
		}
		var right *expr
		if right, err = p.binary(level + 1); err != nil {
			break
		}
		left = &expr{op: op, args: []*expr{left, right}}
		if negated {
			left = &expr{op: "not", args: []*expr{left}}
		}
	}
	return nil, err
}

func (p *jinjaParser) postfix() (*expr, error) {
	e, err := p.primary()
	for err == nil {
		switch {
		case p.peek().text == "." && p.peek().kind == "op":
			p.at++
			w := p.peek()
			p.at++
			if w.kind != "name" && w.kind != "number" {
				return nil, errors.New("a name is missing after the dot")
			}
			e = &expr{op: "member", text: w.text, args: []*expr{e}}
		case p.peek().text == "[" && p.peek().kind == "op":
			p.at++
			index, ierr := p.ternary()
			if ierr != nil {
				return nil, ierr
			}
			if _, ok := p.take("]"); !ok {
				return nil, errors.New("slices are not understood")
			}
			if index.op == "text" {
				e = &expr{op: "member", text: index.text, args: []*expr{e}}
			} else {
				e = &expr{op: "index", args: []*expr{e, index}}
			}
		case p.peek().text == "(" && p.peek().kind == "op":
			args, aerr := p.arguments()
			if aerr != nil {
				return nil, aerr
			}
			e = &expr{op: "call", args: append([]*expr{e}, args...)}
		case p.peek().text == "|" && p.peek().kind == "op":
			p.at++
			f := &expr{op: "filter", text: p.peek().text, args: []*expr{e}}
			p.at = min(p.at+1, len(p.tokens)-1)
			if p.peek().text == "(" && p.peek().kind == "op" {
				args, aerr := p.arguments()
				if aerr != nil {
					return nil, aerr
				}
				f.args = append(f.args, args...)
			}
			e = f
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *jinjaParser) arguments() ([]*expr, error) {
	p.at++
	var out []*expr
	for {
		if _, ok := p.take(")"); ok {
			return out, nil
		}
		a, err := p.ternary()
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		if _, ok := p.take(","); !ok && p.peek().text != ")" {
			return nil, errors.New("an argument list does not end, or has named arguments")
		}
	}
}

func (p *jinjaParser) primary() (*expr, error) {
	w := p.peek()
	if w.kind == "end" {
		return nil, errors.New("the expression is cut off")
	}
	p.at++
	switch w.kind {
	case "text", "number":
		return &expr{op: w.kind, text: w.text}, nil
	case "name":
		switch lower := strings.ToLower(w.text); lower {
		case "true", "false", "none":
			return &expr{op: "word", text: lower}, nil
		case "null":
			return &expr{op: "word", text: "none"}, nil
		}
		return &expr{op: "name", text: w.text}, nil
	}
	switch w.text {
	case "(":
		e, err := p.ternary()
		if _, ok := p.take(")"); err == nil && !ok {
			err = errors.New("a parenthesis is not closed")
		}
		return e, err
	case "-":
		e, err := p.postfix()
		if err == nil && e.op == "number" {
			return &expr{op: "number", text: "-" + e.text}, nil
		}
		return nil, errors.New("a minus sign is not understood here")
	case "[":
		l := &expr{op: "list"}
		for {
			if _, ok := p.take("]"); ok {
				return l, nil
			}
			e, err := p.ternary()
			if err != nil {
				return nil, err
			}
			l.args = append(l.args, e)
			if _, ok := p.take(","); !ok && p.peek().text != "]" {
				return nil, errors.New("a list does not end")
			}
		}
	}
	return nil, fmt.Errorf("%q is not understood", w.text)
}

// path is the root and the members of a chain of members, get calls included.
func (e *expr) path() (root string, members []string, ok bool) {
	switch e.op {
	case "name":
		return e.text, nil, true
	case "member":
		root, members, ok = e.args[0].path()
		return root, append(members, e.text), ok
	case "index":
		if e.args[1].op == "number" {
			root, members, ok = e.args[0].path()
			return root, append(members, "\x00"+e.args[1].text), ok
		}
	case "call":
		f := e.args[0]
		if f.op == "member" && f.text == "get" && len(e.args) >= 2 && e.args[1].op == "text" {
			root, members, ok = f.args[0].path()
			return root, append(members, e.args[1].text), ok && (len(e.args) == 2 || falsy(e.args[2]))
		}
	}
	return "", nil, false
}

// falsy reports a default that means nothing.
func falsy(e *expr) bool {
	return e.op == "word" && e.text != "true" || e.op == "text" && e.text == "" || e.op == "list" && len(e.args) == 0
}

// celRoots are the names of manifests in our expressions.
var celRoots = map[string]string{"response": "page", "last_record": "last", "record": "record", "config": "params", "headers": "headers", "stream_partition": "params", "stream_slice": "params"}

var plainIdent = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// celPath writes a chain of members as CEL; has says whether has() can ask for it.
func celPath(root string, members []string) (text string, has bool, err error) {
	name, ok := celRoots[root]
	if !ok {
		return "", false, fmt.Errorf("%s is not known", root)
	}
	if root == "headers" {
		if len(members) != 1 {
			return "", false, fmt.Errorf("headers.%s is not a header", strings.Join(members, "."))
		}
		return "headers[" + celText(strings.ToLower(members[0])) + "]", false, nil
	}
	if len(members) == 0 {
		return "", false, fmt.Errorf("%s as a whole is not known", root)
	}
	for _, m := range members {
		switch {
		case strings.HasPrefix(m, "\x00"):
			if strings.HasPrefix(m, "\x00-") {
				return "", false, errors.New("an index from the end is not known")
			}
			name, has = name+"["+m[1:]+"]", false
		case plainIdent.MatchString(m) && !celReserved[m]:
			name, has = name+"."+m, true
		default:
			name, has = name+"["+celText(m)+"]", false
		}
	}
	return name, has, nil
}

var celReserved = map[string]bool{"in": true, "as": true, "break": true, "const": true, "continue": true, "else": true, "for": true, "function": true, "if": true, "import": true, "let": true, "loop": true, "package": true, "namespace": true, "return": true, "var": true, "void": true, "while": true, "null": true, "true": true, "false": true}

func celText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
}

// cel writes an expression as CEL.
func (e *expr) cel() (string, error) {
	if root, members, ok := e.path(); ok {
		switch {
		case root == "last_page_size" && len(members) == 0:
			return "elements", nil
		case e.op == "name":
			return "", fmt.Errorf("%s is not known", root)
		}
		text, _, err := celPath(root, members)
		return text, err
	}
	switch e.op {
	case "text":
		return celText(e.text), nil
	case "number":
		return e.text, nil
	case "word":
		if e.text == "none" {
			return "none", nil
		}
		return e.text, nil
	case "if":
		return e.celIf()
	case "not", "and", "or":
		return e.truth()
	case "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "%", "in", "~", "/":
		return e.celBinary()
	case "filter":
		return e.celFilter()
	case "list":
		parts := make([]string, len(e.args))
		for i, a := range e.args {
			var err error
			if parts[i], err = a.cel(); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case "call":
		if f := e.args[0]; f.op == "name" {
			return "", fmt.Errorf("the macro %s is not known", f.text)
		} else if f.op == "member" {
			return "", fmt.Errorf("the method %s is not known", f.text)
		}
	}
	return "", fmt.Errorf("the operator %s is not known", e.op)
}

func (e *expr) celIf() (string, error) {
	cond, err := e.args[0].truth()
	if err != nil {
		return "", err
	}
	yes, err := e.args[1].cel()
	if err != nil {
		return "", err
	}
	no := "none"
	if !falsy(e.args[2]) {
		if no, err = e.args[2].cel(); err != nil {
			return "", err
		}
	}
	return "(" + cond + ") ? " + yes + " : " + no, nil
}

func (e *expr) celBinary() (string, error) {
	a, err := e.args[0].cel()
	if err != nil {
		return "", err
	}
	b, err := e.args[1].cel()
	if err != nil {
		return "", err
	}
	switch e.op {
	case "~":
		return "string(" + a + ") + string(" + b + ")", nil
	case "/":
		return "double(" + a + ") / double(" + b + ")", nil
	}
	return a + " " + e.op + " " + b, nil
}

func (e *expr) celFilter() (string, error) {
	x, err := e.args[0].cel()
	if err != nil {
		return "", err
	}
	switch e.text {
	case "length", "count":
		if x == "page" {
			return "", errors.New("the length of the whole answer is not known")
		}
		return "size(" + x + ")", nil
	case "int":
		return "int(" + x + ")", nil
	case "float":
		return "double(" + x + ")", nil
	case "string":
		return "string(" + x + ")", nil
	case "lower":
		return "string(" + x + ").lowerAscii()", nil
	case "upper":
		return "string(" + x + ").upperAscii()", nil
	case "trim":
		return "string(" + x + ").trim()", nil
	case "default":
		root, members, ok := e.args[0].path()
		if !ok || len(e.args) < 2 {
			break
		}
		text, has, err := celPath(root, members)
		if err != nil || !has {
			break
		}
		d, err := e.args[1].cel()
		return "(has(" + text + ") ? " + text + " : " + d + ")", err
	}
	return "", fmt.Errorf("the filter %s is not known", e.text)
}

// truth writes an expression as a CEL condition, with Jinja's idea of truth: what is not there, empty or false is false.
func (e *expr) truth() (string, error) {
	switch e.op {
	case "not":
		return e.args[0].untruth()
	case "and", "or":
		a, err := e.args[0].truth()
		if err != nil {
			return "", err
		}
		b, err := e.args[1].truth()
		return "(" + a + map[string]string{"and": " && ", "or": " || "}[e.op] + b + ")", err
	case "==", "!=", "<", ">", "<=", ">=", "in":
		return e.celBinary()
	case "word":
		return strconv.FormatBool(e.text == "true"), nil
	case "is":
		return e.is(true)
	}
	x, err := e.cel()
	if err != nil {
		return "", err
	}
	if root, members, ok := e.path(); ok && len(members) > 0 {
		if root == "headers" {
			return "(" + celText(strings.ToLower(members[0])) + " in headers && " + x + " != '')", nil
		}
		if text, has, err := celPath(root, members); err == nil && has {
			return "(has(" + text + ") && " + text + " != null && " + text + " != '' && " + text + " != false && " + text + " != 0)", nil
		}
		return "(" + x + " != null && " + x + " != '')", nil
	}
	if e.op == "filter" && (e.text == "length" || e.text == "count") {
		return x + " > 0", nil
	}
	return "", fmt.Errorf("the truth of %q is not known", x)
}

// untruth is the opposite of truth, true also where something is not there.
func (e *expr) untruth() (string, error) {
	if root, members, ok := e.path(); ok && len(members) > 0 && root != "headers" {
		text, has, err := celPath(root, members)
		if err != nil {
			return "", err
		}
		if has {
			return "(!has(" + text + ") || " + text + " == null || " + text + " == '' || " + text + " == false || " + text + " == 0)", nil
		}
	}
	if e.op == "is" {
		return e.is(false)
	}
	t, err := e.truth()
	return "!(" + t + ")", err
}

// is writes the tests defined and none.
func (e *expr) is(want bool) (string, error) {
	root, members, ok := e.args[0].path()
	if !ok || len(members) == 0 {
		return "", errors.New("a test of this is not known")
	}
	text, has, err := celPath(root, members)
	if err != nil || !has {
		return "", fmt.Errorf("a test of %s is not known", strings.Join(members, "."))
	}
	test := e.args[1].text
	switch {
	case test == "defined" == want && (test == "defined" || test == "none"):
		return "(has(" + text + ") && " + text + " != null)", nil
	case test == "defined", test == "none":
		return "(!has(" + text + ") || " + text + " == null)", nil
	}
	return "", fmt.Errorf("the test %s is not known", test)
}

// template is a text with expressions, cut into parts.
type template struct {
	texts []string // one more than exprs
	exprs []*expr
}

// parseTemplate reads a text with {{ … }}.
func parseTemplate(s string) (*template, error) {
	t := &template{}
	if strings.Contains(s, "{%") {
		return nil, errors.New("{% … %} blocks are not carried over")
	}
	for {
		i := strings.Index(s, "{{")
		if i < 0 {
			t.texts = append(t.texts, s)
			return t, nil
		}
		j := jinjaEnd(s[i+2:])
		if j < 0 {
			return nil, errors.New("an expression does not end")
		}
		e, err := parseJinja(strings.TrimSpace(s[i+2 : i+2+j]))
		if err != nil {
			return nil, err
		}
		t.texts, t.exprs = append(t.texts, s[:i]), append(t.exprs, e)
		s = s[i+2+j+2:]
	}
}

// jinjaEnd is where }} stands outside quotes.
func jinjaEnd(s string) int {
	quote := byte(0)
	for i := 0; i+1 < len(s); i++ {
		switch {
		case quote != 0 && s[i] == '\\':
			i++
		case quote != 0 && s[i] == quote:
			quote = 0
		case quote == 0 && (s[i] == '\'' || s[i] == '"'):
			quote = s[i]
		case quote == 0 && s[i] == '}' && s[i+1] == '}':
			return i
		}
	}
	return -1
}

// only is the one expression that the whole text is, nil otherwise.
func (t *template) only() *expr {
	if len(t.exprs) == 1 && strings.TrimSpace(t.texts[0]+t.texts[1]) == "" {
		return t.exprs[0]
	}
	return nil
}
