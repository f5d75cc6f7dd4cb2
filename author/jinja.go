package author

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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

var jinjaToken = regexp.MustCompile(`^(?:\s+|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(==|!=|<=|>=|//|\*\*|[-+*/%<>()\[\]{}.,|~:=]))`)

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
			if e, err = p.subscript(e); err != nil {
				return nil, err
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

// subscript reads what follows an opening bracket: an index, a name, or a slice.
func (p *jinjaParser) subscript(e *expr) (*expr, error) {
	zero := &expr{op: "number", text: "0"}
	from, to := zero, (*expr)(nil)
	var err error
	if p.peek().text != ":" {
		if from, err = p.ternary(); err != nil {
			return nil, err
		}
	}
	if _, slice := p.take(":"); slice {
		if p.peek().text != "]" {
			if to, err = p.ternary(); err != nil {
				return nil, err
			}
		}
		if _, ok := p.take("]"); !ok {
			return nil, errors.New("a slice does not end")
		}
		out := &expr{op: "slice", args: []*expr{e, from}}
		if to != nil {
			out.args = append(out.args, to)
		}
		return out, nil
	}
	if _, ok := p.take("]"); !ok {
		return nil, errors.New("a bracket is not closed")
	}
	if from.op == "text" {
		return &expr{op: "member", text: from.text, args: []*expr{e}}, nil
	}
	return &expr{op: "index", args: []*expr{e, from}}, nil
}

func (p *jinjaParser) arguments() ([]*expr, error) {
	p.at++
	var out []*expr
	for {
		if _, ok := p.take(")"); ok {
			return out, nil
		}
		if p.peek().kind == "name" && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "=" {
			p.at += 2 // the name of an argument; its place says the same
		}
		a, err := p.ternary()
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		if _, ok := p.take(","); !ok && p.peek().text != ")" {
			return nil, errors.New("an argument list does not end")
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
		return &expr{op: "neg", args: []*expr{e}}, err
	case "{":
		return p.dict()
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

// dict reads what follows an opening brace: names and values in turn.
func (p *jinjaParser) dict() (*expr, error) {
	d := &expr{op: "dict"}
	for {
		if _, ok := p.take("}"); ok {
			return d, nil
		}
		for i, sep := range []string{":", ","} {
			e, err := p.ternary()
			if err != nil {
				return nil, err
			}
			d.args = append(d.args, e)
			if _, ok := p.take(sep); !ok && (i == 0 || p.peek().text != "}") {
				return nil, errors.New("a dictionary does not end")
			}
		}
	}
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

// falsy reports a value that means nothing.
func falsy(e *expr) bool {
	return e.op == "word" && e.text != "true" || e.op == "text" && e.text == "" || (e.op == "list" || e.op == "dict") && len(e.args) == 0
}

// template is a text with expressions, cut into parts.
type template struct {
	texts []string // one more than exprs
	exprs []*expr
}

// jinjaPart is a piece of a template: text, an expression in {{ }}, or a tag in {% %}.
type jinjaPart struct{ kind, text string }

// parseTemplate reads a text with {{ … }} and {% if %} blocks.
func parseTemplate(s string) (*template, error) {
	parts, err := cutTemplate(s)
	if err != nil {
		return nil, err
	}
	p := &templateParser{parts: parts}
	t, err := p.until()
	if err == nil && p.at < len(p.parts) {
		err = fmt.Errorf("{%% %s %%} has no beginning", p.parts[p.at].text)
	}
	return t, err
}

// cutTemplate cuts a template into its parts; a dash inside a brace takes the white space beside it away.
func cutTemplate(s string) ([]jinjaPart, error) {
	var out []jinjaPart
	trim := false
	text := func(t string) {
		if trim {
			t = strings.TrimLeft(t, " \t\r\n")
		}
		if t != "" {
			out = append(out, jinjaPart{"text", t})
		}
	}
	for {
		i := strings.Index(s, "{{")
		if j := strings.Index(s, "{%"); j >= 0 && (i < 0 || j < i) {
			i = j
		}
		if i < 0 {
			text(s)
			return out, nil
		}
		kind, end := "expr", byte('}')
		if s[i+1] == '%' {
			kind, end = "tag", '%'
		}
		before, rest := s[:i], s[i+2:]
		j := jinjaEnd(rest, end)
		if j < 0 {
			return nil, errors.New("an expression does not end")
		}
		inner := rest[:j]
		if strings.HasPrefix(inner, "-") && (kind == "tag" || strings.HasPrefix(inner, "- ")) {
			before, inner = strings.TrimRight(before, " \t\r\n"), inner[1:]
		}
		text(before)
		if trim = strings.HasSuffix(inner, "-"); trim {
			inner = strings.TrimSuffix(inner, "-")
		}
		out = append(out, jinjaPart{kind, strings.TrimSpace(inner)})
		s = rest[j+2:]
	}
}

// jinjaEnd is where the closing braces stand outside quotes.
func jinjaEnd(s string, end byte) int {
	quote := byte(0)
	for i := 0; i+1 < len(s); i++ {
		switch {
		case quote != 0 && s[i] == '\\':
			i++
		case quote != 0 && s[i] == quote:
			quote = 0
		case quote == 0 && (s[i] == '\'' || s[i] == '"'):
			quote = s[i]
		case quote == 0 && s[i] == end && s[i+1] == '}':
			for end == '}' && i+2 < len(s) && s[i+2] == '}' { // a dictionary ends right before
				i++
			}
			return i
		}
	}
	return -1
}

type templateParser struct {
	parts []jinjaPart
	at    int
	depth int
}

// until reads parts up to a tag that ends or divides a block.
func (p *templateParser) until() (*template, error) {
	if p.depth++; p.depth > 20 {
		return nil, errors.New("blocks are nested too deeply")
	}
	defer func() { p.depth-- }()
	t := &template{texts: []string{""}}
	for ; p.at < len(p.parts); p.at++ {
		part := p.parts[p.at]
		var e *expr
		var err error
		switch word, rest, _ := strings.Cut(part.text, " "); {
		case part.kind == "text":
			t.texts[len(t.texts)-1] += part.text
			continue
		case part.kind == "expr":
			e, err = parseJinja(part.text)
		case word == "if":
			e, err = p.choice(rest)
		case word == "elif" || word == "else" || word == "endif":
			return t, nil
		default:
			err = fmt.Errorf("{%% %s %%} blocks are not carried over", word)
		}
		if err != nil {
			return nil, err
		}
		t.exprs, t.texts = append(t.exprs, e), append(t.texts, "")
	}
	return t, nil
}

// choice reads an if block; at stands on its tag, and on its endif afterwards.
func (p *templateParser) choice(condition string) (*expr, error) {
	cond, err := parseJinja(condition)
	if err != nil {
		return nil, err
	}
	p.at++
	yes, err := p.until()
	if err != nil {
		return nil, err
	}
	no := &expr{op: "text"}
	if p.at < len(p.parts) {
		switch word, rest, _ := strings.Cut(p.parts[p.at].text, " "); word {
		case "elif":
			no, err = p.choice(rest)
		case "else":
			p.at++
			var t *template
			if t, err = p.until(); err == nil {
				no = t.whole()
			}
		}
	}
	if err == nil && (p.at >= len(p.parts) || p.parts[p.at].text != "endif") {
		err = errors.New("an {% if %} block does not end")
	}
	return &expr{op: "if", args: []*expr{cond, yes.whole(), no}}, err
}

// whole is the template as one expression: its parts one after the other.
func (t *template) whole() *expr {
	if e := t.only(); e != nil {
		return e
	}
	if len(t.exprs) == 0 {
		return &expr{op: "text", text: t.texts[0]}
	}
	out := &expr{op: "concat"}
	for i, text := range t.texts {
		if text != "" {
			out.args = append(out.args, &expr{op: "text", text: text})
		}
		if i < len(t.exprs) {
			out.args = append(out.args, t.exprs[i])
		}
	}
	return out
}

// only is the one expression that the whole text is, nil otherwise.
func (t *template) only() *expr {
	if len(t.exprs) == 1 && strings.TrimSpace(t.texts[0]+t.texts[1]) == "" {
		return t.exprs[0]
	}
	return nil
}
