package mapping

import (
	"math"

	"weir/record"
)

// convert turns n values of a vector into a leaf column of field f. Rows that only the general path can settle are appended to slow and are null in
// the column.
func (w *Lane) convert(c *record.Column, v []record.Span, n int, f *record.Field, slow []int32) []int32 {
	c.None = false
	if f.Type == record.String {
		return w.toText(c.GrowText(n), v[:n], slow)
	}
	words, valid := c.GrowWords(n), growValid(c, n)
	nulls := 0
	for i, s := range v[:n] {
		valid[i] = 1
		switch s.Kind() {
		case record.SpanAbsent, record.SpanNull:
			valid[i] = 0
			nulls++
			continue
		case record.SpanText, record.SpanEscaped:
			if s.Len() == 0 { // blank text is no value for anything but text
				valid[i] = 0
				nulls++
				continue
			}
		default:
		}
		x, ok := w.toWord(s, f.Type)
		if !ok {
			valid[i] = 0
			nulls++
			slow = append(slow, int32(i))
		}
		words[i] = x
	}
	if nulls == 0 {
		c.Valid = nil
	}
	return slow
}

func growValid(c *record.Column, n int) []uint8 {
	if cap(c.Valid) < n {
		c.Valid = make([]uint8, n+n/2)
	}
	c.Valid = c.Valid[:n]
	return c.Valid
}

func (w *Lane) toText(text, v []record.Span, slow []int32) []int32 {
	for i, s := range v {
		switch s.Kind() {
		case record.SpanText:
			text[i] = s
			continue
		case record.SpanEscaped:
			text[i] = w.sp.Plain(s)
			continue
		case record.SpanAbsent, record.SpanNull:
		case record.SpanNumber, record.SpanTrue, record.SpanFalse:
			if t, ok := w.text(s); ok && (s.Kind() == record.SpanNumber || !w.p.whole.strict) {
				text[i] = t
				continue
			}
			slow = append(slow, int32(i))
		default:
			slow = append(slow, int32(i))
		}
		text[i] = 0
	}
	return slow
}

// toWord is a value that is not null as the word of a leaf column.
func (w *Lane) toWord(s record.Span, t record.Type) (uint64, bool) { //nolint:gocyclo // one case for each type and kind
	switch {
	case t.Integer():
		return w.toInteger(s, t)
	case t == record.Number:
		if v := s.In(w.sp.Buf); s.Kind() == record.SpanNumber || s.Kind() == record.SpanText && numberShaped(v) {
			f, ok := plainFloat(v)
			return math.Float64bits(f), ok
		}
	case t == record.Boolean:
		return w.toBool(s)
	case t == record.Timestamp:
		switch s.Kind() {
		case record.SpanText:
			v := s.In(w.sp.Buf)
			us, ok := isoMicros(v)
			return uint64(us), ok && (!w.p.whole.zoned || !zoneless(v))
		case record.SpanEscaped:
			v := w.sp.Plain(s).In(w.sp.Buf)
			us, ok := isoMicros(v)
			return uint64(us), ok && (!w.p.whole.zoned || !zoneless(v))
		case record.SpanNumber:
			ms, ok := plainInt(s.In(w.sp.Buf))
			return uint64(ms * 1000), ok && ms < maxMillis && ms > -maxMillis
		case spanAside:
			if v := w.aside[s.Off()]; v.Kind() == record.KindDate {
				return uint64(v.Time().UnixMicro()), true
			}
		default:
		}
	case t == record.Date:
		if s.Kind() == record.SpanText && s.Len() == 10 {
			us, ok := isoMicros(s.In(w.sp.Buf))
			return uint64(floorDay(us)), ok
		}
	}
	return 0, false
}

// maxMillis bounds the epoch milliseconds that the fast path takes: the years 1900 to 2100 are well inside.
const maxMillis = 10_000_000_000_000

const dayMicros = 86_400_000_000

func floorDay(us int64) int64 {
	d := us / dayMicros
	if us%dayMicros < 0 {
		d--
	}
	return d
}

func (w *Lane) toInteger(s record.Span, t record.Type) (uint64, bool) {
	var n int64
	ok := false
	switch s.Kind() {
	case record.SpanNumber, record.SpanText:
		n, ok = plainInt(s.In(w.sp.Buf))
	case record.SpanEscaped:
		n, ok = plainInt(w.sp.Plain(s).In(w.sp.Buf))
	default:
	}
	if !ok {
		return 0, false
	}
	switch t {
	case record.Byte:
		ok = n == int64(int8(n))
	case record.Short:
		ok = n == int64(int16(n))
	case record.Int:
		ok = n == int64(int32(n))
	default:
	}
	return uint64(n), ok
}

func (w *Lane) toBool(s record.Span) (uint64, bool) {
	switch s.Kind() {
	case record.SpanTrue:
		return 1, true
	case record.SpanFalse:
		return 0, true
	case record.SpanText:
		switch string(s.In(w.sp.Buf)) {
		case "true":
			return 1, true
		case "false":
			return 0, true
		}
	default:
	}
	return 0, false
}

// isoMicros reads yyyy-MM-dd, or yyyy-MM-ddTHH:mm:ss with up to six digits of a fraction and Z, ±hh:mm or no zone, as microseconds
// since 1970. What it refuses may still be a date.
func isoMicros(b []byte) (int64, bool) { //nolint:gocyclo // one check after the other, in the order of the text
	if len(b) != 10 && len(b) < 19 || b[4] != '-' || b[7] != '-' {
		return 0, false
	}
	y1, y2, mo, d := two(b), two(b[2:]), two(b[5:]), two(b[8:])
	if y1|y2|mo|d < 0 || mo < 1 || mo > 12 || d < 1 || d > monthDays(y1*100+y2, mo) {
		return 0, false
	}
	day := civilDays(y1*100+y2, mo, d)
	if len(b) == 10 {
		return day * dayMicros, true
	}
	h, mi, s := two(b[11:]), two(b[14:]), two(b[17:])
	if b[10] != 'T' || b[13] != ':' || b[16] != ':' || h|mi|s < 0 || h > 23 || mi > 59 || s > 59 {
		return 0, false
	}
	b = b[19:]
	var frac int64
	if len(b) > 0 && b[0] == '.' {
		n, unit := 1, int64(100_000)
		for ; n < len(b) && n <= 6 && b[n]-'0' <= 9; n++ {
			frac += int64(b[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return 0, false
		}
		b = b[n:]
	}
	off, ok := zoneSeconds(b)
	return day*dayMicros + int64(h*3600+mi*60+s-off)*1_000_000 + frac, ok
}

// zoneSeconds reads Z, ±hh:mm or nothing.
func zoneSeconds(b []byte) (int, bool) {
	switch {
	case len(b) == 0 || len(b) == 1 && b[0] == 'Z':
		return 0, true
	case len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-':
		return 0, false
	}
	h, m := two(b[1:]), two(b[4:])
	if h|m < 0 || h > 17 || m > 59 {
		return 0, false
	}
	if b[0] == '-' {
		return -(h*3600 + m*60), true
	}
	return h*3600 + m*60, true
}

// two is the value of two digits, negative if they are none.
func two(b []byte) int {
	x, y := b[0]-'0', b[1]-'0'
	if x > 9 || y > 9 {
		return -1 << 40
	}
	return int(x)*10 + int(y)
}

func monthDays(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// civilDays is the number of days from 1970-01-01 to a day of the proleptic Gregorian calendar, y ≥ 0.
func civilDays(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	return int64(365*y+floorDiv(y, 4)-floorDiv(y, 100)+floorDiv(y, 400)+(153*(m-3)+2)/5+d-1) - 719468
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// numberShaped reports whether a text has only characters of decimal numbers.
func numberShaped(t []byte) bool {
	for _, c := range t {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return false
		}
	}
	return len(t) > 0
}
