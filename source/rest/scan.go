package rest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// maxDepth bounds the nesting of an answer.
const maxDepth = 512

// maxValue bounds one buffered value (a record, a member kept beside the array): 32 MiB.
const maxValue = 32 << 20

var (
	// errShort says that the buffer ends before the value does; more bytes may follow.
	errShort = errors.New("buffer ends inside a value")
	// errTruncated says that the body ends before the value does.
	errTruncated = errors.New("the JSON is cut off")
)

// syntaxError is a fault in the JSON text at a byte offset of the scanned buffer.
type syntaxError struct {
	at  int
	msg string
}

// Error says what and where.
func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.msg, e.at) }

// scanner finds the end of JSON values in a buffer and checks their whole syntax: strings with escapes and UTF-8,
// number grammar, nesting. It looks at eight bytes at a time inside strings and allocates nothing.
type scanner struct {
	buf []byte
	// final: no byte follows buf.
	final bool
	// broke is set when a raw line break was met between tokens.
	broke bool
	// names are the member names of a record in order, as learned from earlier ones; nil: not learning.
	names *names
}

// names remembers the member names of the records of a page in the order in which they come. Records mostly look alike,
// so comparing with the expected name is much cheaper than scanning it; a name that was learned was checked.
type names struct {
	list   []literal
	at     int // the name expected next
	learn  bool
	missed int // names of the open record that were not as expected
}

// literal is a name with its quotes and colon, its first 16 bytes as words under masks.
type literal struct {
	text   string
	w0, m0 uint64
	w1, m1 uint64
}

const (
	maxNames = 1024
	lookPast = 4 // expected names that may be missing in a record
)

// begin starts a record. Records that are not as expected make it learn anew.
func (n *names) begin() {
	if n.learn = len(n.list) == 0; !n.learn && n.missed > len(n.list)/2+lookPast {
		n.list, n.learn = n.list[:0], true
	}
	n.at, n.missed = 0, 0
}

// match returns the index after the name and colon at p if they are expected about here, else 0.
func (n *names) match(buf []byte, p int) int {
	if p+16 > len(buf) {
		return 0
	}
	x, y := load(buf, p), load(buf, p+8)
	for i := n.at; i < len(n.list) && i < n.at+lookPast; i++ {
		l := &n.list[i]
		if x&l.m0 != l.w0 || y&l.m1 != l.w1 {
			continue
		}
		end := p + len(l.text)
		if len(l.text) > 16 && (end > len(buf) || string(buf[p+16:end]) != l.text[16:]) {
			continue
		}
		n.at = i + 1
		return end
	}
	return 0
}

// met notes a name that was scanned: text is the name with quotes and colon.
func (n *names) met(text []byte) {
	if !n.learn {
		n.missed++
		return
	}
	if len(n.list) >= maxNames || text[len(text)-1] != ':' {
		return
	}
	var word [16]byte
	copy(word[:], text)
	l := literal{text: string(text), w0: load(word[:], 0), w1: load(word[:], 8), m0: ^uint64(0), m1: ^uint64(0)}
	if k := len(text); k < 8 {
		l.m0, l.m1 = 1<<(uint(k)*8)-1, 0
	} else if k < 16 {
		l.m1 = 1<<(uint(k-8)*8) - 1
	}
	n.list = append(n.list, l)
	n.at = len(n.list)
}

const (
	lo8 = 0x0101010101010101
	hi8 = 0x8080808080808080
)

// special has the top bit of each byte of x set that ends plain text in a string: a quote, a backslash or a control
// character. Only the lowest set bit is exact, bits above it may be false. Flipping bit 1 puts the quote right after the
// control characters, so that one comparison finds both.
func special(x uint64) uint64 {
	return ((x ^ lo8*0x02 - lo8*0x21) | (x ^ lo8*'\\' - lo8)) &^ x & hi8
}

func load(buf []byte, p int) uint64 { return binary.LittleEndian.Uint64(buf[p : p+8 : p+8]) }

func (s *scanner) short() error {
	if s.final {
		return errTruncated
	}
	return errShort
}

// space skips white space from p.
func (s *scanner) space(p int) int {
	buf := s.buf
	for p < len(buf) {
		switch buf[p] {
		case ' ', '\t':
		case '\n', '\r':
			s.broke = true
		default:
			return p
		}
		p++
	}
	return p
}

// str returns the index after the closing quote of the string whose first character is at p.
func (s *scanner) str(p int) (int, error) {
	buf := s.buf
	start := p
	var high uint64
	for p+8 <= len(buf) {
		x := load(buf, p)
		m := special(x)
		for m == 0 {
			high |= x
			if p += 8; p+8 > len(buf) {
				break
			}
			x = load(buf, p)
			m = special(x)
		}
		if m == 0 {
			break
		}
		k := bits.TrailingZeros64(m) >> 3
		high |= x & (1<<(uint(k)*8) - 1)
		p += k
		switch buf[p] {
		case '"':
			if high&hi8 != 0 && !utf8.Valid(buf[start:p]) {
				return p, &syntaxError{start, "a string is not valid UTF-8"}
			}
			return p + 1, nil
		case '\\':
			n, err := s.escape(p)
			if err != nil {
				return p, err
			}
			p = n
		default:
			return p, &syntaxError{p, "a control character inside a string"}
		}
	}
	for p < len(buf) {
		switch c := buf[p]; {
		case c == '"':
			if !utf8.Valid(buf[start:p]) {
				return p, &syntaxError{start, "a string is not valid UTF-8"}
			}
			return p + 1, nil
		case c == '\\':
			n, err := s.escape(p)
			if err != nil {
				return p, err
			}
			p = n
		case c < 0x20:
			return p, &syntaxError{p, "a control character inside a string"}
		default:
			p++
		}
	}
	return p, s.short()
}

// escape checks the escape that starts with the backslash at p and returns the index after it.
func (s *scanner) escape(p int) (int, error) {
	buf := s.buf
	if p+1 >= len(buf) {
		return p, s.short()
	}
	switch buf[p+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return p + 2, nil
	case 'u':
		for i := p + 2; i < p+6; i++ {
			if i >= len(buf) {
				return p, s.short()
			}
			c := buf[i] | 0x20
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') || buf[i] < '0' {
				return p, &syntaxError{i, "a \\u escape without four hex digits"}
			}
		}
		return p + 6, nil
	}
	return p, &syntaxError{p, "an unknown escape in a string"}
}

func digits(buf []byte, p int) int {
	for p < len(buf) && buf[p]-'0' < 10 {
		p++
	}
	return p
}

// number returns the index after the number at p.
func (s *scanner) number(p int) (int, error) {
	buf := s.buf
	start := p
	if buf[p] == '-' {
		p++
	}
	if p < len(buf) && buf[p] == '0' {
		p++
	} else {
		q := digits(buf, p)
		if q == p {
			return s.badNumber(start, p)
		}
		p = q
	}
	if p < len(buf) && buf[p] == '.' {
		q := digits(buf, p+1)
		if q == p+1 {
			return s.badNumber(start, q)
		}
		p = q
	}
	if p < len(buf) && buf[p]|0x20 == 'e' {
		p++
		if p < len(buf) && (buf[p] == '+' || buf[p] == '-') {
			p++
		}
		q := digits(buf, p)
		if q == p {
			return s.badNumber(start, p)
		}
		p = q
	}
	if p == len(buf) && !s.final {
		return start, errShort
	}
	return p, nil
}

func (s *scanner) badNumber(start, p int) (int, error) {
	if p >= len(s.buf) {
		return start, s.short()
	}
	return start, &syntaxError{start, "a malformed number or unknown word"}
}

// word checks the literal at p.
func (s *scanner) word(p int, w string) (int, error) {
	buf := s.buf
	for i := 0; i < len(w); i++ {
		if p+i >= len(buf) {
			return p, s.short()
		}
		if buf[p+i] != w[i] {
			return p, &syntaxError{p, "an unknown word"}
		}
	}
	return p + len(w), nil
}

// scalar returns the index after the string, number or word at p.
func (s *scanner) scalar(p int) (int, error) {
	switch s.buf[p] {
	case '"':
		return s.str(p + 1)
	case 't':
		return s.word(p, "true")
	case 'f':
		return s.word(p, "false")
	case 'n':
		return s.word(p, "null")
	}
	return s.number(p)
}

// quick returns the index after the string whose opening quote is at p if it is short and plain, else 0.
func quick(buf []byte, p int) int {
	if p+17 > len(buf) {
		return 0
	}
	x := load(buf, p+1)
	m := special(x)
	p++
	if m == 0 {
		if x&hi8 != 0 {
			return 0
		}
		p += 8
		if x = load(buf, p); special(x) == 0 {
			return 0
		}
		m = special(x)
	}
	k := bits.TrailingZeros64(m) >> 3
	if buf[p+k] != '"' || x&hi8&(1<<(uint(k)*8)-1) != 0 {
		return 0
	}
	return p + k + 1
}

// name checks the member name at p and the colon after it, and returns where the value starts.
func (s *scanner) name(p int) (int, error) {
	if p >= len(s.buf) {
		return p, s.short()
	}
	if s.buf[p] != '"' {
		return p, &syntaxError{p, "a member name is missing its quotes"}
	}
	if q := quick(s.buf, p); q > 0 {
		p = q
	} else {
		var err error
		if p, err = s.str(p + 1); err != nil {
			return p, err
		}
	}
	if p < len(s.buf) && s.buf[p] != ':' {
		p = s.space(p)
	}
	if p >= len(s.buf) {
		return p, s.short()
	}
	if s.buf[p] != ':' {
		return p, &syntaxError{p, "a colon is missing after a member name"}
	}
	p++
	if p < len(s.buf) && s.buf[p] <= ' ' {
		p = s.space(p)
	}
	return p, nil
}

// value returns the index after the value that starts at p (no white space before it).
//
//nolint:funlen,gocyclo // one state machine over the grammar: as separate functions the calls cost a third of the scan
func (s *scanner) value(p int) (int, error) {
	var (
		buf   = s.buf
		stack [maxDepth / 64]uint64 // a bit per open container: 1 is an object
		depth int
		named bool // the string at p is a member name
		isObj bool // the innermost container is an object
		err   error
		c     byte
		m, x  uint64
		k     int
		start int // of the member name
	)
value:
	if p >= len(buf) {
		return p, s.short()
	}
	switch c = buf[p]; c {
	case '"':
		named = false
		goto text
	case '{', '[':
		if depth == maxDepth {
			return p, &syntaxError{p, fmt.Sprintf("values are nested deeper than %d", maxDepth)}
		}
		if p++; p < len(buf) && buf[p] <= ' ' {
			p = s.space(p)
		}
		if p >= len(buf) {
			return p, s.short()
		}
		if buf[p] == c+2 {
			p++
			goto after
		}
		isObj = c == '{'
		if isObj {
			stack[depth>>6] |= 1 << (depth & 63)
			depth++
			goto name
		}
		stack[depth>>6] &^= 1 << (depth & 63)
		depth++
		goto value
	default:
		if p, err = s.scalar(p); err != nil {
			return p, err
		}
		goto after
	}

name:
	if p >= len(buf) {
		return p, s.short()
	}
	if s.names != nil {
		if k = s.names.match(buf, p); k > 0 {
			if p = k; p < len(buf) && buf[p] <= ' ' {
				p = s.space(p)
			}
			goto value
		}
	}
	if buf[p] != '"' {
		return p, &syntaxError{p, "a member name is missing its quotes"}
	}
	named, start = true, p

text: // most strings are short and plain: they end here
	if p+17 > len(buf) {
		goto slow
	}
	x = load(buf, p+1)
	if m = special(x); m == 0 {
		if x&hi8 != 0 {
			goto slow
		}
		x = load(buf, p+9)
		if m = special(x); m == 0 {
			goto slow
		}
		k = 8
	} else {
		k = 0
	}
	if x&hi8&(m-1) != 0 { // a byte beyond ASCII before the mark
		goto slow
	}
	k += p + 1 + bits.TrailingZeros64(m)>>3
	if buf[k] != '"' {
		goto slow
	}
	p = k + 1
	if named {
		goto colon
	}
	goto after

slow:
	if p, err = s.str(p + 1); err != nil {
		return p, err
	}
	if !named {
		goto after
	}

colon:
	if p < len(buf) && buf[p] != ':' {
		p = s.space(p)
	}
	if p >= len(buf) {
		return p, s.short()
	}
	if buf[p] != ':' {
		return p, &syntaxError{p, "a colon is missing after a member name"}
	}
	p++
	if s.names != nil {
		s.names.met(buf[start:p])
	}
	if p < len(buf) && buf[p] <= ' ' {
		p = s.space(p)
	}
	goto value

after:
	if depth == 0 {
		return p, nil
	}
	if p < len(buf) && buf[p] <= ' ' {
		p = s.space(p)
	}
	if p >= len(buf) {
		return p, s.short()
	}
	c = buf[p]
	if c == ',' {
		if p++; p < len(buf) && buf[p] <= ' ' {
			p = s.space(p)
		}
		if isObj {
			goto name
		}
		goto value
	}
	if isObj && c == '}' || !isObj && c == ']' {
		p++
		if depth--; depth > 0 {
			isObj = stack[(depth-1)>>6]>>((depth-1)&63)&1 == 1
		}
		goto after
	}
	return p, &syntaxError{p, "a comma or closing bracket is missing"}
}

// compact appends src, which must be valid JSON, to dst without white space between tokens.
func compact(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case '"':
			for i++; src[i] != '"'; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		case ' ', '\t', '\n', '\r':
			dst = append(dst, src[start:i]...)
			start = i + 1
		}
	}
	return append(dst, src[start:]...)
}
