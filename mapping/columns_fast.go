package mapping

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"weir/record"
)

// fastCalls are the fast forms of functions, by name. A form may refuse any row; it must agree with the function on those it takes.
var fastCalls = map[string]fastCall{
	"lower": fastLower, "lcase": fastLower, "upper": fastUpper, "ucase": fastUpper,
	"trim": fastTrim(true, true), "ltrim": fastTrim(true, false), "rtrim": fastTrim(false, true),
	"concat": fastConcat, "coalesce": fastCoalesce, "is_empty": fastIsEmpty,
	"md5":    fastHash(func(dst, v []byte) []byte { h := md5.Sum(v); return appendHex(dst, h[:]) }),
	"sha1":   fastHash(func(dst, v []byte) []byte { h := sha1.Sum(v); return appendHex(dst, h[:]) }),
	"sha256": fastHash(func(dst, v []byte) []byte { h := sha256.Sum256(v); return appendHex(dst, h[:]) }),
	"sha512": fastHash(func(dst, v []byte) []byte { h := sha512.Sum512(v); return appendHex(dst, h[:]) }),
	"substr": fastSubstr, "left": fastLeft, "right": fastRight, "replacestr": fastReplace,
}

// asciiCase changes the case of ASCII letters in the buffer's tail; ok is false if there is anything else than ASCII. Text that stays the same is not copied.
func asciiCase(w *Lane, s record.Span, from, to byte) (record.Span, bool) {
	v := s.In(w.sp.Buf)
	change, other := false, byte(0)
	for _, c := range v {
		other |= c
		change = change || c-from <= to-from
	}
	if other >= utf8.RuneSelf {
		return 0, false
	}
	if !change {
		return s, true
	}
	at := len(w.sp.Buf)
	w.sp.Buf = append(w.sp.Buf, v...)
	for i, c := range w.sp.Buf[at:] {
		if c >= from && c <= to {
			w.sp.Buf[at+i] = c ^ 0x20
		}
	}
	return record.MakeSpan(record.SpanText, at, s.Len()), true
}

func fastLower(w *Lane, args []record.Span) (record.Span, bool) {
	if args[0].Nullish() {
		return nullSpan, true
	}
	if s, ok := w.text(args[0]); ok {
		return asciiCase(w, s, 'A', 'Z')
	}
	return 0, false
}

func fastUpper(w *Lane, args []record.Span) (record.Span, bool) {
	if args[0].Nullish() {
		return nullSpan, true
	}
	if s, ok := w.text(args[0]); ok {
		return asciiCase(w, s, 'a', 'z')
	}
	return 0, false
}

// fastTrim cuts ASCII white space; a text with another character at an end it cuts is refused.
func fastTrim(left, right bool) fastCall {
	return func(w *Lane, args []record.Span) (record.Span, bool) {
		if args[0].Nullish() {
			return nullSpan, true
		}
		s, ok := w.text(args[0])
		if !ok {
			return 0, false
		}
		v := s.In(w.sp.Buf)
		a, b := 0, len(v)
		for left && a < b && asciiSpace(v[a]) {
			a++
		}
		for right && a < b && asciiSpace(v[b-1]) {
			b--
		}
		if a < b && (left && v[a] >= utf8.RuneSelf || right && v[b-1] >= utf8.RuneSelf || oddSpace(v[a]) || oddSpace(v[b-1])) {
			return 0, false
		}
		return record.MakeSpan(record.SpanText, s.Off()+a, b-a), true
	}
}

func asciiSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// oddSpace is a control character that some notions of white space include.
func oddSpace(c byte) bool { return c < ' ' && !asciiSpace(c) }

func fastConcat(w *Lane, args []record.Span) (record.Span, bool) {
	at := len(w.sp.Buf)
	buf := w.sp.Buf
	for _, s := range args {
		var ok bool
		if buf, ok = w.appendScalar(buf, s); !ok {
			w.sp.Buf = buf[:at]
			return 0, false
		}
	}
	w.sp.Buf = buf
	return w.made(at), true
}

func fastCoalesce(w *Lane, args []record.Span) (record.Span, bool) {
	if len(args) == 1 && args[0].Kind() == record.SpanArray || len(args) == 1 && args[0].Kind() == spanAside {
		return 0, false
	}
	for _, s := range args {
		if !w.null(s) {
			return s, true
		}
	}
	return nullSpan, true
}

func fastIsEmpty(_ *Lane, args []record.Span) (record.Span, bool) {
	switch s := args[0]; s.Kind() {
	case record.SpanAbsent, record.SpanNull:
		return trueSpan, true
	case record.SpanText, record.SpanEscaped:
		return boolSpan(s.Len() == 0), true
	case record.SpanNumber, record.SpanTrue, record.SpanFalse:
		return falseSpan, true
	default:
	}
	return 0, false
}

func fastHash(hash func(dst, v []byte) []byte) fastCall {
	return func(w *Lane, args []record.Span) (record.Span, bool) {
		if len(args) != 1 {
			return 0, false
		}
		if args[0].Nullish() {
			return nullSpan, true
		}
		s, ok := w.text(args[0])
		if !ok {
			return 0, false
		}
		at := len(w.sp.Buf)
		w.sp.Buf = hash(w.sp.Buf, s.In(w.sp.Buf))
		return record.MakeSpan(record.SpanText, at, len(w.sp.Buf)-at), true
	}
}

// asciiText is a text argument whose characters are its bytes.
func (w *Lane) asciiText(s record.Span) (record.Span, bool) {
	s, ok := w.text(s)
	if !ok {
		return 0, false
	}
	for _, c := range s.In(w.sp.Buf) {
		if c >= utf8.RuneSelf {
			return 0, false
		}
	}
	return s, true
}

// smallInt is an integer argument written as such.
func (w *Lane) smallInt(s record.Span) (int, bool) {
	if s.Kind() != record.SpanNumber {
		return 0, false
	}
	n, ok := plainInt(s.In(w.sp.Buf))
	return int(n), ok
}

func fastSubstr(w *Lane, args []record.Span) (record.Span, bool) {
	s, ok := w.asciiText(args[0])
	from, ok2 := w.smallInt(args[1])
	n, ok3 := w.smallInt(args[2])
	if !ok || !ok2 || !ok3 || from < 0 || n < 0 {
		return 0, false
	}
	from = min(from, s.Len())
	return record.MakeSpan(record.SpanText, s.Off()+from, min(n, s.Len()-from)), true
}

func fastLeft(w *Lane, args []record.Span) (record.Span, bool) {
	s, ok := w.asciiText(args[0])
	n, ok2 := w.smallInt(args[1])
	if !ok || !ok2 || n < 0 {
		return 0, false
	}
	return record.MakeSpan(record.SpanText, s.Off(), min(n, s.Len())), true
}

func fastRight(w *Lane, args []record.Span) (record.Span, bool) {
	s, ok := w.asciiText(args[0])
	n, ok2 := w.smallInt(args[1])
	if !ok || !ok2 || n < 0 {
		return 0, false
	}
	n = min(n, s.Len())
	return record.MakeSpan(record.SpanText, s.Off()+s.Len()-n, n), true
}

func fastReplace(w *Lane, args []record.Span) (record.Span, bool) {
	var parts [3]record.Span
	for i := range parts {
		s, ok := w.text(args[i])
		if !ok {
			return 0, false
		}
		parts[i] = s
	}
	v, find := parts[0].In(w.sp.Buf), parts[1].In(w.sp.Buf)
	if len(find) == 0 || !bytes.Contains(v, find) {
		return parts[0], true
	}
	by := parts[2].In(w.sp.Buf)
	at := len(w.sp.Buf)
	for {
		k := bytes.Index(v, find)
		if k < 0 {
			break
		}
		w.sp.Buf = append(append(w.sp.Buf, v[:k]...), by...)
		v = v[k+len(find):]
		if len(w.sp.Buf)-at > maxText {
			break
		}
	}
	w.sp.Buf = append(w.sp.Buf, v...)
	return w.made(at), true
}

// fastBinaries are the fast forms of operators.
var fastBinaries = map[string]fastBinary{
	"==": func(w *Lane, a, b record.Span) (record.Span, bool) {
		same, ok := w.equal(a, b)
		return boolSpan(same), ok
	},
	"!=": func(w *Lane, a, b record.Span) (record.Span, bool) {
		same, ok := w.equal(a, b)
		return boolSpan(!same), ok
	},
	"<":  fastOrder(func(c int) bool { return c < 0 }),
	"<=": fastOrder(func(c int) bool { return c <= 0 }),
	">":  fastOrder(func(c int) bool { return c > 0 }),
	">=": fastOrder(func(c int) bool { return c >= 0 }),
	"+":  fastAdd, "-": fastArith('-'), "*": fastArith('*'), "/": fastArith('/'), "%": fastArith('%'),
	"=^": fastAffix(bytes.HasPrefix), "=$": fastAffix(bytes.HasSuffix),
}

func (w *Lane) equal(a, b record.Span) (same, ok bool) {
	if a.Nullish() || b.Nullish() {
		return a.Nullish() && b.Nullish(), true
	}
	ka, kb := a.Kind(), b.Kind()
	switch {
	case ka == record.SpanTrue || ka == record.SpanFalse || kb == record.SpanTrue || kb == record.SpanFalse:
		x, ok := w.truth(a)
		y, ok2 := w.truth(b)
		return x == y, ok && ok2
	case a.IsText() && b.IsText():
		a, b = w.sp.Plain(a), w.sp.Plain(b)
		return string(a.In(w.sp.Buf)) == string(b.In(w.sp.Buf)), true
	case ka == record.SpanNumber && kb == record.SpanNumber:
		c, ok := compareSpans(a.In(w.sp.Buf), b.In(w.sp.Buf))
		return c == 0, ok
	}
	return false, false
}

func fastOrder(is func(c int) bool) fastBinary {
	return func(w *Lane, a, b record.Span) (record.Span, bool) {
		switch {
		case a.Nullish() || b.Nullish():
			return falseSpan, true
		case a.Kind() == record.SpanNumber && b.Kind() == record.SpanNumber:
			c, ok := compareSpans(a.In(w.sp.Buf), b.In(w.sp.Buf))
			return boolSpan(is(c)), ok
		case a.IsText() && b.IsText():
			a, b = w.sp.Plain(a), w.sp.Plain(b)
			return boolSpan(is(compareText(view(a.In(w.sp.Buf)), view(b.In(w.sp.Buf))))), true
		}
		return 0, false
	}
}

// view is b as a text for the length of a call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// plainInt reads an integer of up to 18 digits.
func plainInt(t []byte) (int64, bool) {
	i, neg := 0, false
	if len(t) > 0 && t[0] == '-' {
		neg, i = true, 1
	}
	if i == len(t) || len(t)-i > 18 {
		return 0, false
	}
	var n int64
	for ; i < len(t); i++ {
		if t[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(t[i]-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// plainFloat reads a JSON number as a double; ok is false if it is out of range.
func plainFloat(t []byte) (float64, bool) {
	if len(t) < 16 {
		i, neg := 0, false
		if len(t) > 0 && t[0] == '-' {
			neg, i = true, 1
		}
		var m uint64
		point := -1
		for ; i < len(t); i++ {
			c := t[i] - '0'
			if c > 9 {
				if t[i] != '.' || point >= 0 {
					break
				}
				point = i
				continue
			}
			m = m*10 + uint64(c)
		}
		if i == len(t) {
			f := float64(m) // exact: fewer than 2^53
			if point >= 0 {
				f /= tens[len(t)-1-point]
			}
			if neg && !negativeZero(t) { // an integer has no negative zero
				f = -f
			}
			return f, true
		}
	}
	f, err := strconv.ParseFloat(view(t), 64)
	return f, err == nil
}

// compareSpans orders two JSON numbers; ok is false if that takes more than 64-bit integers and doubles.
func compareSpans(a, b []byte) (int, bool) {
	x, ok := plainInt(a)
	y, ok2 := plainInt(b)
	if ok && ok2 {
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	}
	const safe = 1 << 53
	if ok && (x > safe || x < -safe) || ok2 && (y > safe || y < -safe) || !ok && whole64(a) || !ok2 && whole64(b) {
		return 0, false
	}
	p, ok := plainFloat(a)
	q, ok2 := plainFloat(b)
	switch {
	case !ok || !ok2:
		return 0, false
	case p < q:
		return -1, true
	case p > q:
		return 1, true
	}
	return 0, true
}

// whole64 reports whether a number is written as an integer.
func whole64(t []byte) bool { return !bytes.ContainsAny(t, ".eE") }

// fastAdd is + of texts and of small integers.
func fastAdd(w *Lane, a, b record.Span) (record.Span, bool) {
	if a.Nullish() || b.Nullish() {
		return failSpan, true // null has no sum
	}
	if a.IsText() || b.IsText() {
		return fastConcat(w, []record.Span{a, b})
	}
	return fastArith('+')(w, a, b)
}

func fastArith(op byte) fastBinary {
	return func(w *Lane, a, b record.Span) (record.Span, bool) {
		if a.Nullish() || b.Nullish() {
			return failSpan, true
		}
		if a.Kind() != record.SpanNumber || b.Kind() != record.SpanNumber {
			return 0, false
		}
		x, ok := plainInt(a.In(w.sp.Buf))
		y, ok2 := plainInt(b.In(w.sp.Buf))
		if !ok || !ok2 || y == 0 && (op == '/' || op == '%') {
			return 0, false
		}
		n, ok := arith64(op, x, y)
		if !ok {
			return 0, false
		}
		at := len(w.sp.Buf)
		w.sp.Buf = strconv.AppendInt(w.sp.Buf, n, 10)
		return record.MakeSpan(record.SpanNumber, at, len(w.sp.Buf)-at), true
	}
}

func fastAffix(has func(s, part []byte) bool) fastBinary {
	return func(w *Lane, a, b record.Span) (record.Span, bool) {
		if a.Nullish() || b.Nullish() {
			return boolSpan(a.Nullish() && b.Nullish()), true
		}
		if !a.IsText() || !b.IsText() {
			return 0, false
		}
		a, b = w.sp.Plain(a), w.sp.Plain(b)
		return boolSpan(has(a.In(w.sp.Buf), b.In(w.sp.Buf))), true
	}
}

// fastUnaries are the fast forms of operators with one operand.
var fastUnaries = map[string]func(w *Lane, s record.Span) (record.Span, bool){
	"!": func(w *Lane, s record.Span) (record.Span, bool) { t, ok := w.truth(s); return boolSpan(!t), ok },
	"empty": func(w *Lane, s record.Span) (record.Span, bool) {
		switch s.Kind() {
		case record.SpanAbsent, record.SpanNull:
			return trueSpan, true
		case record.SpanText, record.SpanEscaped:
			return boolSpan(s.Len() == 0), true
		case record.SpanNumber:
			zero, ok := zeroNumber(s.In(w.sp.Buf))
			return boolSpan(zero), ok
		case record.SpanTrue, record.SpanFalse:
			return falseSpan, true
		default:
		}
		return 0, false
	},
}
