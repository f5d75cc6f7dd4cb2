package mapping

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"weir/record"
)

// MaxExpression is how many characters an expression may have.
const MaxExpression = 4096

// maxNesting bounds how deep parts of an expression may nest.
const maxNesting = 400

// parser is a descent over the grammar of data-prep §7.3; each level of precedence is a method.
type parser struct {
	src   string
	toks  []token
	i     int
	depth int
	slots int
	scope []local
}

type local struct {
	name string
	slot int
}

// parse reads an expression. slots is how many locals its evaluation needs.
func parse(src string) (n node, slots int, err error) {
	if utf8.RuneCountInString(src) > MaxExpression {
		return nil, 0, &Error{Kind: KindLength, Code: CodeLength, Message: "the expression has more than 4096 characters; split it into several mappings", Source: src}
	}
	toks, err := lex(src)
	if err != nil {
		return nil, 0, err
	}
	p := &parser{src: src, toks: toks}
	if p.peek().kind == tokEnd {
		return nil, 0, p.fail(p.peek(), "the expression is empty")
	}
	n, err = p.expression()
	if err != nil {
		return nil, 0, err
	}
	if t := p.peek(); t.kind != tokEnd {
		return nil, 0, p.unexpected(t)
	}
	return n, p.slots, nil
}

func errorAt(src string, at int, kind Kind, format string, args ...any) *Error {
	line, column := place(src, at)
	return &Error{Kind: kind, Code: compileCodes[kind], Message: fmt.Sprintf(format, args...), Line: line, Column: column, Source: src}
}

func (p *parser) fail(t token, format string, args ...any) error {
	return errorAt(p.src, t.at, KindSyntax, format, args...)
}

func (p *parser) unexpected(t token) error {
	switch t.kind {
	case tokEnd:
		return p.fail(t, "the expression ends too early")
	case tokSign:
		if why, ok := refused[t.text]; ok {
			if why == "" {
				why = t.text + " is not part of the language"
			}
			return p.fail(t, "%s", why)
		}
		return p.fail(t, "unexpected %s", t.text)
	case tokText:
		return p.fail(t, "unexpected text; an operator or comma is missing before it")
	default:
	}
	return p.fail(t, "unexpected %s; an operator or comma is missing before it", show(p.src[t.at:p.end(t)]))
}

// end is where the text of token t ends.
func (p *parser) end(t token) int {
	for i := range p.toks {
		if p.toks[i].at > t.at {
			end := p.toks[i].at
			for end > t.at && p.src[end-1] <= ' ' {
				end--
			}
			return end
		}
	}
	return len(p.src)
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

// sign reports whether the next token is one of the signs, and takes it.
func (p *parser) sign(of ...string) (token, bool) {
	t := p.peek()
	if t.kind == tokSign && slices.Contains(of, t.text) {
		p.i++
		return t, true
	}
	return t, false
}

// word is like sign for operators that are words; it returns the sign the word stands for.
func (p *parser) word(of map[string]string) (string, token, bool) {
	t := p.peek()
	if t.kind == tokSign || t.kind == tokName && t.plain {
		if op, ok := of[t.text]; ok {
			p.i++
			return op, t, true
		}
	}
	return "", t, false
}

func (p *parser) expect(sign, why string) error {
	if t, ok := p.sign(sign); !ok {
		if t.kind == tokEnd {
			return p.fail(t, "%s is missing %s", sign, why)
		}
		if _, bad := refused[t.text]; bad && t.kind == tokSign {
			return p.unexpected(t)
		}
		return p.fail(t, "%s is missing %s before %s", sign, why, show(p.src[t.at:p.end(t)]))
	}
	return nil
}

func (p *parser) enter(t token) error {
	if p.depth++; p.depth > maxNesting {
		return p.fail(t, "the expression is nested too deeply")
	}
	return nil
}

func (p *parser) expression() (node, error) {
	if err := p.enter(p.peek()); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	c, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	t, ok := p.sign("?", "?:")
	if !ok {
		return c, nil
	}
	if t.text == "?:" {
		b, err := p.expression()
		if err != nil {
			return nil, err
		}
		return &binaryNode{at: at(t.at), op: "?:", l: c, r: b}, nil
	}
	a, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(":", "in the conditional"); err != nil {
		return nil, err
	}
	b, err := p.expression()
	if err != nil {
		return nil, err
	}
	return &condNode{at: at(t.at), c: c, a: a, b: b}, nil
}

// level is one level of binary operators, by the texts that stand for each.
type level struct {
	ops   map[string]string
	chain bool // may follow itself
}

// levels are the binary operators from loose to tight.
var levels = []level{
	{map[string]string{"??": "??"}, true},
	{map[string]string{"||": "||", "or": "||"}, true},
	{map[string]string{"&&": "&&", "and": "&&"}, true},
	{map[string]string{"|": "|"}, true},
	{map[string]string{"^": "^"}, true},
	{map[string]string{"&": "&"}, true},
	{map[string]string{"==": "==", "eq": "==", "!=": "!=", "ne": "!=", "..": ".."}, false},
	{map[string]string{
		"<": "<", "lt": "<", "<=": "<=", "le": "<=", ">": ">", "gt": ">", ">=": ">=", "ge": ">=",
		"=~": "=~", "!~": "!~", "=^": "=^", "!^": "!^", "=$": "=$", "!$": "!$",
	}, false},
	{map[string]string{"+": "+", "-": "-"}, true},
	{map[string]string{"*": "*", "/": "/", "div": "/", "%": "%", "mod": "%"}, true},
}

func (p *parser) binary(i int) (node, error) {
	if i == len(levels) {
		return p.unary()
	}
	l, err := p.binary(i + 1)
	if err != nil {
		return nil, err
	}
	for {
		op, t, ok := p.word(levels[i].ops)
		if !ok {
			return l, nil
		}
		r, err := p.binary(i + 1)
		if err != nil {
			return nil, err
		}
		l = &binaryNode{at: at(t.at), op: op, l: l, r: r}
		if !levels[i].chain {
			if _, t, ok := p.word(levels[i].ops); ok {
				return nil, p.fail(t, "%s cannot follow another comparison; use && between them", t.text)
			}
			return l, nil
		}
	}
}

// prefixes are the unary operators.
var prefixes = map[string]string{"-": "-", "+": "+", "!": "!", "not": "!", "~": "~", "empty": "empty", "size": "size"}

func (p *parser) unary() (node, error) {
	op, t, ok := p.word(prefixes)
	if !ok {
		return p.postfix()
	}
	if err := p.enter(t); err != nil {
		return nil, err
	}
	x, err := p.unary()
	p.depth--
	if err != nil {
		return nil, err
	}
	return &unaryNode{at: at(t.at), op: op, x: x}, nil
}

// postfix reads a primary and its steps. Steps after [*] go into the body of the spread until a method is called on the whole.
func (p *parser) postfix() (node, error) {
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	hole := &x // where the next step applies
	for {
		t, ok := p.sign(".", "?.", "[")
		if !ok {
			return x, nil
		}
		if t.text != "[" {
			if err := p.member(&x, &hole, t); err != nil {
				return nil, err
			}
			continue
		}
		if star, ok := p.sign("*"); ok {
			if err := p.expect("]", "after [*"); err != nil {
				return nil, err
			}
			s := &spreadNode{at: at(star.at), x: *hole, slot: p.slot()}
			s.body = &localNode{at: at(star.at), slot: s.slot, name: "[*]"}
			*hole = s
			hole = &s.body
			continue
		}
		i, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect("]", "after the index"); err != nil {
			return nil, err
		}
		*hole = &indexNode{at: at(t.at), x: *hole, i: i}
	}
}

func (p *parser) slot() int {
	p.slots++
	return p.slots - 1
}

// member reads what follows a dot: a name, which may be any word, number or text, or a method call.
func (p *parser) member(x *node, hole **node, dot token) error {
	t := p.next()
	name := t.text
	if t.kind != tokName && t.kind != tokText && t.kind != tokNumber || t.kind == tokNumber && name == "" {
		if t.kind == tokEnd {
			return p.fail(dot, "a name is missing after the dot")
		}
		return p.fail(t, "a name must follow the dot; write [\"…\"] for other keys")
	}
	if t.kind == tokName {
		if _, ok := p.sign("("); ok {
			args, err := p.arguments()
			if err != nil {
				return err
			}
			*x = &methodNode{at: at(t.at), x: *x, name: name, args: args}
			*hole = x
			return nil
		}
	}
	**hole = &memberNode{at: at(t.at), x: **hole, name: name}
	return nil
}

// arguments reads up to the closing parenthesis; the opening one is taken.
func (p *parser) arguments() ([]node, error) {
	if _, ok := p.sign(")"); ok {
		return nil, nil
	}
	var args []node
	for {
		a, err := p.argument()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if _, ok := p.sign(","); ok {
			continue
		}
		return args, p.expect(")", "after the arguments")
	}
}

// lambdaAhead reports whether a lambda starts here: name -> or (names) ->.
func (p *parser) lambdaAhead() bool {
	is := func(i int, sign string) bool {
		return i < len(p.toks) && p.toks[i].kind == tokSign && p.toks[i].text == sign
	}
	i := p.i
	if p.toks[i].kind == tokName {
		return is(i+1, "->")
	}
	if !is(i, "(") {
		return false
	}
	for i++; i < len(p.toks); i++ {
		if is(i, ")") {
			return is(i+1, "->")
		}
		if p.toks[i].kind != tokName && !is(i, ",") {
			return false
		}
	}
	return false
}

func (p *parser) argument() (node, error) {
	if !p.lambdaAhead() {
		return p.expression()
	}
	l := &lambdaNode{at: at(p.peek().at)}
	outer := len(p.scope)
	param := func() error {
		t := p.next()
		if t.kind != tokName || t.plain && reserved[t.text] {
			return p.fail(t, "%s cannot name a lambda parameter", show(t.text))
		}
		s := p.slot()
		l.slots = append(l.slots, s)
		l.params = append(l.params, t.text)
		p.scope = append(p.scope, local{t.text, s})
		return nil
	}
	if _, ok := p.sign("("); ok {
		if _, none := p.sign(")"); !none {
			for {
				if err := param(); err != nil {
					return nil, err
				}
				if _, ok := p.sign(","); !ok {
					break
				}
			}
			if err := p.expect(")", "after the lambda's parameters"); err != nil {
				return nil, err
			}
		}
	} else if err := param(); err != nil {
		return nil, err
	}
	if err := p.expect("->", "in the lambda"); err != nil {
		return nil, err
	}
	braced := p.peek().kind == tokSign && p.peek().text == "{"
	body, err := p.expression()
	if err != nil {
		return nil, err
	}
	if s, ok := body.(*arrayNode); ok && braced && s.set && len(s.items) == 1 {
		body = s.items[0] // x -> { body }: the braces are optional
	}
	l.body = body
	p.scope = p.scope[:outer]
	return l, nil
}

func (p *parser) primary() (node, error) {
	t := p.next()
	switch t.kind {
	case tokNumber:
		return &literalNode{at(t.at), t.val}, nil
	case tokText:
		return &literalNode{at(t.at), record.TextOf(t.text)}, nil
	case tokWrapped:
		return wrappedField(t), nil
	case tokName:
		return p.named(t)
	case tokSign:
		switch t.text {
		case "(":
			n, err := p.expression()
			if err != nil {
				return nil, err
			}
			if err := p.expect(")", "for the ("); err != nil {
				return nil, err
			}
			return n, nil
		case "[":
			items, err := p.list("]")
			return &arrayNode{at: at(t.at), items: items}, err
		case "{":
			return p.braces(t)
		}
	default:
	}
	return nil, p.unexpected(t)
}

// wrappedField makes the field of ${…}. Only \} needs undoing for the root key: all else is looked up as written.
func wrappedField(t token) node {
	f := &fieldNode{at: at(t.at), name: unescapeBrace(t.text), wrapped: true}
	if path, err := record.ParsePath(t.text); err == nil {
		f.path = path
	}
	return f
}

func unescapeBrace(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if s[i+1] != '}' {
				out = append(out, s[i])
			}
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

// constants are the words that are values.
var constants = map[string]record.Value{"true": record.BoolOf(true), "false": record.BoolOf(false), "null": record.Null()}

func (p *parser) named(t token) (node, error) {
	if t.plain {
		if v, ok := constants[t.text]; ok {
			return &literalNode{at(t.at), v}, nil
		}
		if reserved[t.text] {
			return nil, p.fail(t, "%s is a word of the language; write ${%s} for a field of that name", t.text, t.text)
		}
	}
	if _, ok := p.sign("("); ok {
		if err := p.enter(t); err != nil {
			return nil, err
		}
		args, err := p.arguments()
		p.depth--
		return &callNode{at: at(t.at), name: t.text, args: args}, err
	}
	for _, l := range slices.Backward(p.scope) {
		if l.name == t.text {
			return &localNode{at: at(t.at), slot: l.slot, name: t.text}, nil
		}
	}
	return &fieldNode{at: at(t.at), name: t.text}, nil
}

// list reads expressions up to the closing sign; the opening one is taken.
func (p *parser) list(end string) ([]node, error) {
	if _, ok := p.sign(end); ok {
		return nil, nil
	}
	var items []node
	for {
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, n)
		if _, ok := p.sign(","); ok {
			continue
		}
		return items, p.expect(end, "at the end of the list")
	}
}

// braces reads a map or a set; the opening brace is taken.
func (p *parser) braces(open token) (node, error) {
	if _, ok := p.sign("}"); ok {
		return &arrayNode{at: at(open.at), set: true}, nil
	}
	if _, ok := p.sign(":"); ok {
		return &mapNode{at: at(open.at)}, p.expect("}", "after {:")
	}
	first, err := p.expression()
	if err != nil {
		return nil, err
	}
	if _, ok := p.sign(":"); !ok {
		s := &arrayNode{at: at(open.at), items: []node{first}, set: true}
		if _, ok := p.sign(","); ok {
			more, err := p.list("}")
			if err != nil {
				return nil, err
			}
			if len(more) == 0 {
				return nil, p.fail(p.peek(), "a value is missing after the comma")
			}
			s.items = append(s.items, more...)
			return s, nil
		}
		return s, p.expect("}", "at the end of the set")
	}
	m := &mapNode{at: at(open.at)}
	for key := first; ; {
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		m.keys, m.vals = append(m.keys, key), append(m.vals, v)
		if _, ok := p.sign(","); !ok {
			return m, p.expect("}", "at the end of the map")
		}
		if key, err = p.expression(); err != nil {
			return nil, err
		}
		if err := p.expect(":", "after the key"); err != nil {
			return nil, err
		}
	}
}
