package mapping

import (
	"math/big"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"weir/record"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokWrapped // ${…}; text is what stands between the braces
	tokNumber
	tokText
	tokSign // operators and punctuation; text is the sign
)

type token struct {
	kind tokenKind
	text string // name, wrapped text, sign, or text value
	val  record.Value
	at   int // byte offset
	// plain is false for a name with escapes: such a name is never a word of the language.
	plain bool
}

// reserved names cannot be root fields unless they are wrapped (data-prep §7.2).
var reserved = map[string]bool{
	"new": true, "mod": true, "or": true, "break": true, "var": true, "lt": true, "for": true, "false": true, "while": true, "eq": true,
	"gt": true, "div": true, "not": true, "null": true, "continue": true, "else": true, "and": true, "ne": true, "true": true, "le": true,
	"if": true, "ge": true, "return": true, "_errors": true, "do": true, "function": true, "empty": true, "size": true, "NaN": true,
}

// signs are all operators and punctuation, longer ones first. Assignments are here so that they are refused with a good message.
var signs = []string{
	"==", "!=", "<=", ">=", "=~", "!~", "=^", "!^", "=$", "!$", "&&", "||", "??", "?:", "?.", "..", "->",
	"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "=>",
	"+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "<", ">", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}", "=", ";", "@", "#", "`",
}

// refused are signs of the engine's language that expressions do not have.
var refused = map[string]string{
	"=": "assignment is not part of the language; compare with ==", ";": "an expression is one value; ; is not part of the language",
	"+=": "", "-=": "", "*=": "", "/=": "", "%=": "", "&=": "", "|=": "", "^=": "", "=>": "write -> for a lambda",
	"@": "", "#": "a comment starts with ##", "`": "templates in backquotes are not part of the language; use + or concat",
}

type lexer struct {
	src  string
	at   int
	toks []token
}

func lex(src string) ([]token, error) {
	l := &lexer{src: src, toks: make([]token, 0, len(src)/3+2)}
	for {
		if err := l.space(); err != nil {
			return nil, err
		}
		if l.at >= len(src) {
			l.toks = append(l.toks, token{kind: tokEnd, at: len(src)})
			return l.toks, nil
		}
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		l.toks = append(l.toks, t)
	}
}

func (l *lexer) fail(at int, format string, args ...any) error {
	return errorAt(l.src, at, KindSyntax, format, args...)
}

// space skips white space and the three forms of comments.
func (l *lexer) space() error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail(l.at, "the comment is not closed; end it with */")
			}
			l.at += end + 4
		case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "##"):
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (token, error) {
	at := l.at
	rest := l.src[at:]
	if strings.HasPrefix(rest, "${") {
		return l.wrapped()
	}
	r, n := utf8.DecodeRuneInString(rest)
	switch {
	case nameStart(r) || r == '\\' && len(rest) > 1:
		return l.name()
	case r >= '0' && r <= '9':
		return l.number()
	case r == '"' || r == '\'':
		return l.quoted(byte(r))
	}
	for _, s := range signs {
		if strings.HasPrefix(rest, s) {
			if s[0] == '!' && !l.afterOperand() {
				s = "!" // !$x and !~x at the start of an operand negate
			}
			l.at += len(s)
			return token{kind: tokSign, text: s, at: at}, nil
		}
	}
	if r == utf8.RuneError && n == 1 {
		return token{}, l.fail(at, "the expression is not UTF-8")
	}
	return token{}, l.fail(at, "unexpected character %q; put names with special characters into ${…}", r)
}

// afterOperand reports whether the last token ends an operand, so that an operator must follow.
func (l *lexer) afterOperand() bool {
	if len(l.toks) == 0 {
		return false
	}
	t := l.toks[len(l.toks)-1]
	switch t.kind {
	case tokSign:
		return t.text == ")" || t.text == "]" || t.text == "}"
	case tokName:
		_, prefix := prefixes[t.text]
		_, infix := wordOperators[t.text]
		return !t.plain || !prefix && !infix
	default:
	}
	return true
}

// wordOperators are the binary operators that are words.
var wordOperators = map[string]bool{"or": true, "and": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true, "div": true, "mod": true}

func nameStart(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) && r != utf8.RuneError
}

func nameRune(r rune) bool { return nameStart(r) || unicode.IsDigit(r) }

func (l *lexer) name() (token, error) {
	t := token{kind: tokName, at: l.at, plain: true}
	var b strings.Builder
	for l.at < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.at:])
		if r == '\\' {
			t.plain = false
			if l.at++; l.at == len(l.src) {
				return t, l.fail(l.at-1, "a backslash must be followed by the character it stands for")
			}
			r, n = utf8.DecodeRuneInString(l.src[l.at:])
			if r == utf8.RuneError && n == 1 {
				return t, l.fail(l.at, "the expression is not UTF-8")
			}
		} else if !nameRune(r) {
			break
		}
		b.WriteRune(r)
		l.at += n
	}
	t.text = b.String()
	return t, nil
}

// wrapped reads ${…} up to the first brace that is not escaped.
func (l *lexer) wrapped() (token, error) {
	from := l.at + 2
	for i := from; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			i++
		case '}':
			t := token{kind: tokWrapped, text: l.src[from:i], at: l.at}
			if t.text == "" {
				return t, l.fail(l.at, "${} names no field")
			}
			if !utf8.ValidString(t.text) {
				return t, l.fail(l.at, "the expression is not UTF-8")
			}
			l.at = i + 1
			return t, nil
		}
	}
	return token{}, l.fail(l.at, "${ is not closed; end the field with }")
}

// quoted reads text. Unknown escapes keep their backslash.
func (l *lexer) quoted(quote byte) (token, error) {
	t := token{kind: tokText, at: l.at}
	var b strings.Builder
	i := l.at + 1
	for i < len(l.src) {
		c := l.src[i]
		switch {
		case c == quote:
			l.at = i + 1
			t.text = b.String()
			if !utf8.ValidString(t.text) {
				return t, l.fail(t.at, "the expression is not UTF-8")
			}
			return t, nil
		case c == '\n' || c == '\r':
			return t, l.fail(t.at, "the text is not closed before the end of the line; write \\n for a line break")
		case c == '\\' && i+1 < len(l.src):
			i += l.escape(&b, l.src[i+1:], quote)
		default:
			b.WriteByte(c)
			i++
		}
	}
	return t, l.fail(t.at, "the text is not closed; end it with %c", quote)
}

// plainEscapes are the one-letter escapes of text (data-prep D40).
var plainEscapes = map[byte]byte{'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r', '\\': '\\'}

// escape writes the character of the escape whose text after the backslash is rest, and returns how long the escape is.
func (l *lexer) escape(b *strings.Builder, rest string, quote byte) int {
	c := rest[0]
	if c == 'u' {
		if r, ok := unit(rest[1:]); ok {
			n := 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if strings.HasPrefix(rest[5:], `\u`) {
					low, _ = unit(rest[7:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					n = 12
				}
			}
			b.WriteRune(r)
			return n
		}
	}
	if c == quote {
		b.WriteByte(c)
		return 2
	}
	if e, ok := plainEscapes[c]; ok {
		b.WriteByte(e)
		return 2
	}
	b.WriteByte('\\')
	return 1
}

// unit reads four hex digits.
func unit(s string) (rune, bool) {
	if len(s) < 4 {
		return -1, false
	}
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number. After a member dot only its digits are read, so that a.0.1 is two steps and 1..3 a range.
func (l *lexer) number() (token, error) {
	t := token{kind: tokNumber, at: l.at}
	digits := func() string {
		from := l.at
		for l.at < len(l.src) && l.src[l.at]-'0' <= 9 {
			l.at++
		}
		return l.src[from:l.at]
	}
	if n := len(l.toks); n > 0 && l.toks[n-1].kind == tokSign && (l.toks[n-1].text == "." || l.toks[n-1].text == "?.") {
		t.text = digits()
		v, _ := record.ParseNumber(t.text)
		t.val = v
		return t, l.numberEnd(t)
	}
	if rest := l.src[l.at:]; len(rest) > 2 && rest[0] == '0' && rest[1]|0x20 == 'x' {
		l.at += 2
		from := l.at
		for l.at < len(l.src) && strings.IndexByte("0123456789abcdefABCDEF", l.src[l.at]) >= 0 {
			l.at++
		}
		n, ok := new(big.Int).SetString(l.src[from:l.at], 16)
		if !ok {
			return t, l.fail(t.at, "0x must be followed by hexadecimal digits")
		}
		t.val = record.BigOf(n)
		l.suffix("lLhH")
		return t, l.numberEnd(t)
	}
	digits()
	fraction := false
	if rest := l.src[l.at:]; len(rest) > 1 && rest[0] == '.' && rest[1]-'0' <= 9 {
		fraction = true
		l.at++
		digits()
	}
	if l.exponent() {
		fraction = true
	}
	t.text = l.src[t.at:l.at]
	var err error
	t.val, err = l.numberValue(t, fraction)
	if err != nil {
		return t, err
	}
	return t, l.numberEnd(t)
}

// exponent reads e, an optional sign and digits.
func (l *lexer) exponent() bool {
	rest := l.src[l.at:]
	if rest == "" || rest[0]|0x20 != 'e' {
		return false
	}
	n := 1
	if len(rest) > n && (rest[n] == '+' || rest[n] == '-') {
		n++
	}
	from := n
	for n < len(rest) && rest[n]-'0' <= 9 {
		n++
	}
	if n == from {
		return false
	}
	l.at += n
	return true
}

func (l *lexer) suffix(of string) byte {
	if l.at < len(l.src) && strings.IndexByte(of, l.src[l.at]) >= 0 {
		l.at++
		return l.src[l.at-1] | 0x20
	}
	return 0
}

func (l *lexer) numberValue(t token, fraction bool) (record.Value, error) {
	suffix := l.suffix("fFdDbB")
	if suffix == 0 && !fraction {
		suffix = l.suffix("lLhH")
	}
	switch {
	case suffix == 'b':
		e, ok := record.ParseExact(t.text)
		if !ok {
			return record.Value{}, l.fail(t.at, "%s is too long for an exact number", show(t.text))
		}
		return record.ExactOf(e), nil
	case fraction || suffix == 'f' || suffix == 'd':
		v := record.FloatOf(record.DecimalOf(t.text).Float())
		if !finite(v.Float()) {
			return v, l.fail(t.at, "%s is beyond the range of numbers", show(t.text))
		}
		return v, nil
	case len(t.text) > 1 && t.text[0] == '0': // octal, as in the original
		n, ok := new(big.Int).SetString(t.text, 8)
		if !ok {
			return record.Value{}, l.fail(t.at, "%s: a leading zero makes a number octal, which has no digits 8 and 9", show(t.text))
		}
		return record.BigOf(n), nil
	}
	v, _ := record.ParseNumber(t.text)
	return v, nil
}

// numberEnd refuses a name that is glued to a number.
func (l *lexer) numberEnd(t token) error {
	if r, _ := utf8.DecodeRuneInString(l.src[l.at:]); l.at < len(l.src) && (nameRune(r) || r == '\\') {
		return l.fail(t.at, "a name cannot start with a digit; wrap the field: ${%s…}", l.src[t.at:l.at])
	}
	return nil
}
