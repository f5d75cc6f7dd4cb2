package record

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// SyntaxError says why bytes are no JSON value and where, counted in bytes from 0.
type SyntaxError struct {
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// maxDigits is how many digits an integer may have to be calculated with; a longer one is kept as source text.
const maxDigits = 1000

// Parse reads exactly one JSON value, with white space around it. It checks the whole grammar, UTF-8 and the nesting ([MaxDepth]).
// Of repeated members the last one wins, at the place of the first. A lone surrogate escape becomes U+FFFD.
func Parse(data []byte) (Value, error) {
	p := parser{data: data}
	p.blank()
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	p.blank()
	if p.at < len(data) {
		return Value{}, p.fail("text after the value")
	}
	return v, nil
}

// View is Parse of a value that was checked before, by a scan for example, without a copy of its bytes: the texts of the result are parts of data, which
// must not change as long as the result is used.
func View(data []byte) (Value, error) {
	p := parser{data: data, view: true}
	v, err := p.value(0)
	if err == nil && p.at < len(data) {
		return Value{}, p.fail("text after the value")
	}
	return v, err
}

// RawMember is one member of a JSON object as it was written.
type RawMember struct {
	Name string
	// Raw is the value's bytes: a part of the parsed text, to be left unchanged.
	Raw []byte
}

// ParseMembers splits a JSON object into its members without reading their values further than checking them.
// Repeated members are returned as they come.
func ParseMembers(data []byte) ([]RawMember, error) {
	p := parser{data: data}
	p.blank()
	if p.peek() != '{' {
		return nil, p.fail("not an object")
	}
	var out []RawMember
	err := p.members(0, func(name string) error {
		from := p.at
		if _, err := p.value(1); err != nil {
			return err
		}
		out = append(out, RawMember{Name: name, Raw: data[from:p.at]})
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.blank()
	if p.at < len(data) {
		return nil, p.fail("text after the object")
	}
	return out, nil
}

type parser struct {
	data []byte
	at   int
	view bool // texts are parts of data, and known to be UTF-8
}

// keep is bytes of data as a text of the value.
func (p *parser) keep(raw []byte) string {
	if p.view {
		return unsafe.String(unsafe.SliceData(raw), len(raw))
	}
	return string(raw)
}

func (p *parser) fail(reason string) error { return &SyntaxError{Offset: p.at, Reason: reason} }

func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

func (p *parser) blank() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (Value, error) {
	switch c := p.peek(); {
	case c == '"':
		s, err := p.text()
		return TextOf(s), err
	case c == '{' || c == '[':
		if depth >= MaxDepth {
			return Value{}, p.fail("nested too deeply")
		}
		if c == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return BoolOf(true), p.literal("true")
	case c == 'f':
		return BoolOf(false), p.literal("false")
	case c == 'n':
		return Value{}, p.literal("null")
	}
	if p.at >= len(p.data) {
		return Value{}, p.fail("a value is missing")
	}
	return Value{}, p.fail("not a JSON value")
}

func (p *parser) literal(word string) error {
	if len(p.data)-p.at < len(word) || string(p.data[p.at:p.at+len(word)]) != word {
		return p.fail("not a JSON value")
	}
	p.at += len(word)
	return nil
}

func (p *parser) object(depth int) (Value, error) {
	o := &Object{}
	if p.view {
		o = NewObject(4)
	}
	err := p.members(depth, func(name string) error {
		v, err := p.value(depth + 1)
		if err == nil {
			o.Set(name, v)
		}
		return err
	})
	if err != nil {
		return Value{}, err
	}
	return ObjectOf(o), nil
}

func (p *parser) members(_ int, each func(name string) error) error {
	p.at++
	if p.blank(); p.peek() == '}' {
		p.at++
		return nil
	}
	for {
		if p.peek() != '"' {
			return p.fail("a member name in quotes is missing")
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		if p.blank(); p.peek() != ':' {
			return p.fail("a colon is missing")
		}
		p.at++
		p.blank()
		if err := each(name); err != nil {
			return err
		}
		p.blank()
		switch p.peek() {
		case ',':
			p.at++
			p.blank()
		case '}':
			p.at++
			return nil
		default:
			return p.fail("a comma or } is missing")
		}
	}
}

func (p *parser) array(depth int) (Value, error) {
	p.at++
	items := []Value{}
	if p.blank(); p.peek() == ']' {
		p.at++
		return ArrayOf(items), nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
		p.blank()
		switch p.peek() {
		case ',':
			p.at++
			p.blank()
		case ']':
			p.at++
			return ArrayOf(items), nil
		default:
			return Value{}, p.fail("a comma or ] is missing")
		}
	}
}

func (p *parser) text() (string, error) {
	from, escaped := p.at+1, false
	for i := from; i < len(p.data); {
		switch c := p.data[i]; {
		case c == '"':
			raw := p.data[from:i]
			if !p.view && !utf8.Valid(raw) {
				return "", p.fail("text is not UTF-8")
			}
			p.at = i + 1
			if escaped {
				return string(AppendUnescaped(make([]byte, 0, len(raw)), raw)), nil
			}
			return p.keep(raw), nil
		case c == '\\':
			n := escapeLen(p.data[i+1:])
			if n == 0 {
				p.at = i
				return "", p.fail("not an escape")
			}
			escaped = true
			i += 1 + n
		case c < ' ':
			p.at = i
			return "", p.fail("a control character inside text")
		default:
			i++
		}
	}
	p.at = len(p.data)
	return "", p.fail("text without a closing quote")
}

func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.data) && p.data[p.at]-'0' <= 9 {
		p.at++
	}
	return p.at - from
}

func (p *parser) number() (Value, error) {
	from, whole := p.at, true
	if p.peek() == '-' {
		p.at++
	}
	first := p.peek()
	n := p.digits()
	if n == 0 || first == '0' && n > 1 {
		return Value{}, p.fail("not a number")
	}
	if p.peek() == '.' {
		whole = false
		p.at++
		if p.digits() == 0 {
			return Value{}, p.fail("not a number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		whole = false
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if p.digits() == 0 {
			return Value{}, p.fail("not a number")
		}
	}
	text := p.keep(p.data[from:p.at])
	if !whole {
		return DecimalOf(text), nil
	}
	return integerOf(text), nil
}

// integerOf reads decimal digits with an optional sign.
func integerOf(text string) Value {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return IntOf(n)
	}
	if len(text) <= maxDigits {
		if n, ok := new(big.Int).SetString(text, 10); ok {
			return BigOf(n)
		}
	}
	return DecimalOf(text)
}

// ParseNumber reads a number written as text: digits with an optional sign, fraction and exponent, nothing around them.
// It is wider than JSON: a plus sign, leading zeros, and a point without digits on one side are allowed.
func ParseNumber(text string) (Value, bool) {
	i, n := 0, len(text)
	if i < n && (text[i] == '+' || text[i] == '-') {
		i++
	}
	count := func() int {
		from := i
		for i < n && text[i]-'0' <= 9 {
			i++
		}
		return i - from
	}
	whole := count()
	frac, point := 0, false
	if i < n && text[i] == '.' {
		point = true
		i++
		frac = count()
	}
	if whole+frac == 0 {
		return Value{}, false
	}
	exp := i < n && (text[i] == 'e' || text[i] == 'E')
	if exp {
		if i++; i < n && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if count() == 0 {
			return Value{}, false
		}
	}
	if i < n {
		return Value{}, false
	}
	if !point && !exp {
		return integerOf(jsonNumber(text)), true
	}
	return DecimalOf(jsonNumber(text)), true
}

// jsonNumber writes a number of [ParseNumber]'s grammar as JSON wants it: "+.5" is "0.5".
func jsonNumber(text string) string {
	if jsonShaped(text) {
		return text
	}
	out := make([]byte, 0, len(text)+2)
	if text[0] == '-' {
		out = append(out, '-')
	}
	if text[0] == '-' || text[0] == '+' {
		text = text[1:]
	}
	i := 0
	for i < len(text)-1 && text[i] == '0' && text[i+1]-'0' <= 9 {
		i++
	}
	if text[i] == '.' {
		out = append(out, '0')
	}
	for ; i < len(text); i++ {
		if text[i] == '.' && (i+1 == len(text) || text[i+1]-'0' > 9) {
			out = append(out, '.', '0')
			continue
		}
		out = append(out, text[i])
	}
	return string(out)
}

func jsonShaped(text string) bool {
	p := parser{data: []byte(text)}
	_, err := p.number()
	return err == nil && p.at == len(text)
}

// parseFloat is the double nearest to a JSON number; beyond the range it is infinite.
func parseFloat(text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}
