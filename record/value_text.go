package record

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendNumber appends the text of a number: an integer's digits, a decimal's source text, or the shortest digits that read back
// to the same double, with ".0" if it is integral and an exponent only outside 1e-6…1e21 (data-prep §7.5).
func (v Value) AppendNumber(dst []byte) []byte {
	switch {
	case v.kind == KindInt && v.ref == nil:
		return strconv.AppendInt(dst, v.num, 10)
	case v.kind == KindInt:
		return v.Big().Append(dst, 10)
	case v.Exact() != nil:
		return v.Exact().Append(dst)
	case v.text != "":
		return append(dst, v.text...)
	}
	f := math.Float64frombits(uint64(v.num))
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		dst = append(dst, ".0"...)
	}
	return dst
}

// AppendDate appends the text of a date: yyyy-MM-ddTHH:mm:ss, a fraction of 3, 6 or 9 digits if it is not zero, and Z or ±hh:mm;
// a day is yyyy-MM-dd only (data-prep D1).
func (v Value) AppendDate(dst []byte) []byte {
	t := v.Time()
	_, off := t.Zone()
	if off%60 != 0 { // old local mean times; the text has no seconds in its offset
		off -= off % 60
		t = t.In(time.FixedZone("", off))
	}
	y, m, d := t.Date()
	dst = appendYear(dst, y)
	dst = append(dst, '-')
	dst = append2(dst, int(m))
	dst = append(dst, '-')
	dst = append2(dst, d)
	if v.mark {
		return dst
	}
	dst = append(dst, 'T')
	dst = append2(dst, t.Hour())
	dst = append(dst, ':')
	dst = append2(dst, t.Minute())
	dst = append(dst, ':')
	dst = append2(dst, t.Second())
	if ns := t.Nanosecond(); ns != 0 {
		digits := 9
		for digits > 3 && ns%1000 == 0 {
			ns /= 1000
			digits -= 3
		}
		s := strconv.Itoa(ns)
		dst = append(dst, '.')
		for i := len(s); i < digits; i++ {
			dst = append(dst, '0')
		}
		dst = append(dst, s...)
	}
	if off == 0 {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	dst = append(dst, sign)
	dst = append2(dst, off/3600)
	dst = append(dst, ':')
	return append2(dst, off/60%60)
}

func append2(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendYear(dst []byte, y int) []byte {
	switch {
	case y < 0:
		dst, y = append(dst, '-'), -y
	case y > 9999:
		dst = append(dst, '+')
	}
	s := strconv.Itoa(y)
	for i := len(s); i < 4; i++ {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}

// AppendJSON appends the value as JSON without white space. Numbers keep all their digits, dates are text as of [Value.AppendDate].
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindBool:
		return strconv.AppendBool(dst, v.num != 0)
	case KindInt, KindDecimal:
		return v.AppendNumber(dst)
	case KindText:
		return AppendQuoted(dst, v.text)
	case KindDate:
		dst = append(dst, '"')
		dst = v.AppendDate(dst)
		return append(dst, '"')
	case KindArray:
		dst = append(dst, '[')
		for i, e := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.AppendJSON(dst)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		o := v.Object()
		for i := range o.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			name, e := o.Member(i)
			dst = AppendQuoted(dst, name)
			dst = append(dst, ':')
			dst = e.AppendJSON(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// MarshalJSON is [Value.AppendJSON].
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// String is the value as JSON.
func (v Value) String() string { return string(v.AppendJSON(nil)) }

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as JSON text with quotes. Bytes that are no UTF-8 become U+FFFD.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
