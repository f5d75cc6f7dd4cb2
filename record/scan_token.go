package record

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Eight bytes at a time: every byte 1, every high bit.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// Four-byte literals, little endian: true, false without its first letter, null.
const (
	wordTrue  = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordFalse = 'a' | 'l'<<8 | 's'<<16 | 'e'<<24
	wordNull  = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

// stops marks the bytes of x that end a run of plain text: quote, backslash, control character. The lowest mark is exact.
func stops(x uint64) uint64 {
	q, b := x^ones*'"', x^ones*'\\'
	return ((q-ones)&^q | (b-ones)&^b | (x-ones*0x20)&^x) & high
}

// text finds the closing quote of the text whose contents start at p.
func (s *Scanner) text(p int) (end int, escaped bool) {
	buf := s.buf
	start := p
	var hi uint64
	for p+8 <= len(buf) {
		x := binary.LittleEndian.Uint64(buf[p:])
		m := stops(x)
		switch {
		case m != 0:
			hi |= x & (m&-m - 1) // the bytes before the mark
			p += bits.TrailingZeros64(m) >> 3
		case longText && p+8+Pad <= len(buf): // the padding ends every text
			n, far := stopAVX2(&buf[p+8])
			if far {
				hi = high
			} else {
				hi |= x
			}
			p += 8 + n
		default:
			hi |= x
			p += 8
			continue
		}
		switch buf[p] {
		case '"':
			if hi&high != 0 {
				s.checkUTF8(start, p)
			}
			return p, escaped
		case '\\':
			escaped = true
			n := escapeLen(buf[p+1:])
			if n == 0 {
				return s.fail(errSyntax, p), escaped
			}
			p += 1 + n
		default:
			return s.fail(errSyntax, p), escaped
		}
	}
	return s.fail(errSyntax, p), escaped
}

// escapeLen is the length of the escape after its backslash, 0 if there is no such escape.
func escapeLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		if len(b) >= 5 && hex4(b[1:5]) >= 0 {
			return 5
		}
	}
	return 0
}

// hex4 is the value of four hex digits, -1 if they are none.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// scalar checks the number or literal at p and returns the position after it.
func (s *Scanner) scalar(p int) int {
	switch s.buf[p] {
	case 't':
		return s.literal(p, wordTrue)
	case 'f':
		return s.literal(p+1, wordFalse)
	case 'n':
		return s.literal(p, wordNull)
	}
	q := numberEnd(s.buf, p)
	if q < 0 {
		return s.fail(errSyntax, p)
	}
	return q
}

func (s *Scanner) literal(p int, word uint32) int {
	if binary.LittleEndian.Uint32(s.buf[p:]) != word {
		return s.fail(errSyntax, p)
	}
	return p + 4
}

// number checks the grammar of a number and returns the position after it.
func (s *Scanner) number(p int) int {
	q := numberEnd(s.buf, p)
	if q < 0 {
		return s.fail(errSyntax, p)
	}
	return q
}

// numberEnd is the position after the JSON number at p, -1 if there is none. buf must have a byte after the number.
func numberEnd(buf []byte, p int) int {
	if buf[p] == '-' {
		p++
	}
	switch c := buf[p]; {
	case c == '0':
		p++
	case c >= '1' && c <= '9':
		for p++; buf[p]-'0' <= 9; p++ {
		}
	default:
		return -1
	}
	if buf[p] == '.' {
		p++
		if buf[p]-'0' > 9 {
			return -1
		}
		for p++; buf[p]-'0' <= 9; p++ {
		}
	}
	if buf[p]|0x20 == 'e' {
		p++
		if buf[p] == '+' || buf[p] == '-' {
			p++
		}
		if buf[p]-'0' > 9 {
			return -1
		}
		for p++; buf[p]-'0' <= 9; p++ {
		}
	}
	return p
}

// skip checks the value at p, which nobody asked for, and returns the position after it.
func (s *Scanner) skip(p, depth int) int {
	base := depth
	for s.err == "" {
		switch s.buf[p] {
		case '"':
			e, _ := s.text(p + 1)
			p = e + 1
		case '{', '[':
			if depth == MaxDepth {
				return s.fail(errDepth, p)
			}
			depth++
			shut := s.buf[p] + 2 // '{' + 2 = '}', '[' + 2 = ']'
			s.stack[depth] = shut
			if p = s.blank(p + 1); s.buf[p] != shut {
				if shut == '}' {
					p = s.skipKey(p)
				}
				continue
			}
			depth--
			p++
		default:
			p = s.scalar(p)
		}
		if depth == base {
			return p
		}
		p, depth = s.skipRest(p, depth, base)
		if depth == base {
			return p
		}
	}
	return p
}

// skipRest reads what follows a value inside a skipped container: closing brackets, then a comma and the next key.
func (s *Scanner) skipRest(p, depth, base int) (int, int) {
	for {
		c := s.buf[p]
		if c <= ' ' {
			p = s.blank(p)
			c = s.buf[p]
		}
		switch c {
		case ',':
			if p++; s.buf[p] <= ' ' {
				p = s.blank(p)
			}
			if s.stack[depth] == '}' {
				p = s.skipKey(p)
			}
			return p, depth
		case s.stack[depth]:
			p++
			if depth--; depth == base {
				return p, depth
			}
		default:
			return s.fail(errSyntax, p), base
		}
	}
}

// skipKey checks a member's name and colon and returns where its value starts.
func (s *Scanner) skipKey(p int) int {
	if s.buf[p] != '"' {
		return s.fail(errSyntax, p)
	}
	e, _ := s.text(p + 1)
	p = e + 1
	if s.err != "" {
		return p
	}
	if s.buf[p] != ':' {
		if p = s.blank(p); s.buf[p] != ':' {
			return s.fail(errSyntax, p)
		}
	}
	if p++; s.buf[p] <= ' ' {
		p = s.blank(p)
	}
	return p
}

// AppendUnescaped appends the value of valid JSON text (without quotes) to dst. A lone surrogate becomes U+FFFD.
// raw may lie in the same array as dst, before its end.
func AppendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		if i+1 >= len(raw) {
			break
		}
		switch raw[i+1] {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			if i+6 > len(raw) {
				return dst
			}
			r := hex4(raw[i+2 : i+6])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low = hex4(raw[i+2 : i+6])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default:
			dst = append(dst, raw[i+1])
		}
		i += 2
	}
	return dst
}
