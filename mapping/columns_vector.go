package mapping

import (
	"encoding/binary"

	"weir/record"
)

// A column program works on vectors: one span per row. Beside the kinds of the scan there are two of its own. A punt is a row on which
// a fast operator gives no answer: an error, or a value it does not know; the general evaluator then decides about that row and column,
// so that both paths agree. A fail is a row on which the expression fails for sure. An aside is a value that has no JSON text of its own, a date for example; its offset is an index of lane.aside.
const (
	spanAside = record.SpanKind(9)
	spanFail  = record.SpanKind(14)
	spanPunt  = record.SpanKind(15)
)

var (
	puntSpan  = record.MakeSpan(spanPunt, 0, 0)
	failSpan  = record.MakeSpan(spanFail, 0, 0)
	nullSpan  = record.MakeSpan(record.SpanNull, 0, 0)
	trueSpan  = record.MakeSpan(record.SpanTrue, 0, 0)
	falseSpan = record.MakeSpan(record.SpanFalse, 0, 0)
)

func boolSpan(b bool) record.Span {
	if b {
		return trueSpan
	}
	return falseSpan
}

func isPunt(s record.Span) bool { return s.Kind() == spanPunt }

func isFail(s record.Span) bool { return s.Kind() == spanFail }

// lost reports whether a span is no value but a fail or a punt.
func lost(s record.Span) bool { return s.Kind() >= spanFail }

// worst is the result of an operator that evaluates two parts, one of which at least is lost: a fail is certain whatever the punt will be.
func worst(a, b record.Span) record.Span {
	if isFail(a) || isFail(b) {
		return failSpan
	}
	return puntSpan
}

// vecOp is an operator over vectors: it sets out[r] for every row r of sel and leaves the others alone.
type vecOp interface {
	eval(w *Lane, sel []int32, out []record.Span)
}

// take lends a vector of n rows, give returns it.
func (w *Lane) take(n int) []record.Span {
	if k := len(w.spare); k > 0 {
		v := w.spare[k-1]
		w.spare = w.spare[:k-1]
		if cap(v) >= n {
			return v[:n]
		}
	}
	return make([]record.Span, n, max(n, w.p.rows))
}

func (w *Lane) give(v []record.Span) { w.spare = append(w.spare, v) }

func (w *Lane) takeSel() []int32 {
	if k := len(w.spareSel); k > 0 {
		s := w.spareSel[k-1]
		w.spareSel = w.spareSel[:k-1]
		return s[:0]
	}
	return make([]int32, 0, w.p.rows)
}

func (w *Lane) giveSel(s []int32) { w.spareSel = append(w.spareSel, s) }

// vector is the result of an operator: the column itself if it is one, else a lent vector (lent true: give it back).
func (w *Lane) vector(op vecOp, n int, sel []int32) (v []record.Span, lent bool) {
	switch op := op.(type) {
	case *sourceOp:
		if v := w.resolved(op.src); len(v) >= n {
			return v, false
		}
	case *sharedOp:
		return w.shared(op, n), false
	}
	v = w.take(n)
	op.eval(w, sel, v)
	return v, true
}

// Constant is the span of literal bytes, put into the buffer once per batch.
func (w *Lane) constant(c *literalOp) record.Span {
	if c.text == nil {
		return c.span
	}
	if at := w.literals[c.id]; at != 0 {
		return at
	}
	at := len(w.sp.Buf)
	w.sp.Buf = append(w.sp.Buf, c.text...)
	s := record.MakeSpan(c.span.Kind(), at, len(c.text))
	w.literals[c.id] = s
	return s
}

// literalOp is a constant.
type literalOp struct {
	id   int
	span record.Span // complete if text is nil, else its kind
	text []byte
}

func (o *literalOp) eval(w *Lane, sel []int32, out []record.Span) {
	s := w.constant(o)
	for _, r := range sel {
		out[r] = s
	}
}

// sourceOp is a value of the record.
type sourceOp struct{ src *source }

func (o *sourceOp) eval(w *Lane, sel []int32, out []record.Span) {
	v := w.resolved(o.src)
	for _, r := range sel {
		out[r] = v[r]
	}
}

// sharedOp is an operator whose result several columns use: it is evaluated once per batch, over all records.
type sharedOp struct {
	id int
	op vecOp
}

func (o *sharedOp) eval(w *Lane, sel []int32, out []record.Span) {
	v := w.shared(o, w.n)
	for _, r := range sel {
		out[r] = v[r]
	}
}

func (w *Lane) shared(o *sharedOp, n int) []record.Span {
	if !w.ready[o.id] {
		v := w.common[o.id]
		if cap(v) < n {
			v = make([]record.Span, max(n, w.p.rows))
		}
		v = v[:n]
		o.op.eval(w, w.all(n), v)
		w.common[o.id], w.ready[o.id] = v, true
	}
	return w.common[o.id]
}

// all is the selection of rows 0 … n-1.
func (w *Lane) all(n int) []int32 {
	for len(w.every) < n {
		w.every = append(w.every, int32(len(w.every)))
	}
	return w.every[:n]
}

// appendScalar appends the text of a scalar as expressions print it; null appends nothing. ok is false for all else.
func (w *Lane) appendScalar(dst []byte, s record.Span) (_ []byte, ok bool) {
	switch s.Kind() {
	case record.SpanAbsent, record.SpanNull:
		return dst, true
	case record.SpanText:
		return append(dst, dst[s.Off():s.Off()+s.Len()]...), true
	case record.SpanEscaped:
		return record.AppendUnescaped(dst, dst[s.Off():s.Off()+s.Len()]), true
	case record.SpanNumber:
		if t := dst[s.Off() : s.Off()+s.Len()]; !negativeZero(t) {
			return append(dst, t...), true
		}
	case record.SpanTrue:
		return append(dst, "true"...), true
	case record.SpanFalse:
		return append(dst, "false"...), true
	case spanAside:
		if v := w.aside[s.Off()]; v.Kind() == record.KindDate {
			return v.AppendDate(dst), true
		}
	default:
	}
	return dst, false
}

// negativeZero is the one integer whose text is not the text of its value.
func negativeZero(t []byte) bool { return len(t) == 2 && t[0] == '-' && t[1] == '0' }

// text is a value as a text parameter takes it, as a span without escapes; ok is false if it is no text, number or boolean.
func (w *Lane) text(s record.Span) (record.Span, bool) {
	switch s.Kind() {
	case record.SpanText:
		return s, true
	case record.SpanEscaped:
		return w.sp.Plain(s), true
	case record.SpanNumber, record.SpanTrue, record.SpanFalse, spanAside:
		at := len(w.sp.Buf)
		buf, ok := w.appendScalar(w.sp.Buf, s)
		w.sp.Buf = buf
		return record.MakeSpan(record.SpanText, at, len(buf)-at), ok
	default:
	}
	return 0, false
}

// made is the span of text appended to the buffer from at on, a punt if it is longer than a text may be.
func (w *Lane) made(at int) record.Span {
	n := len(w.sp.Buf) - at
	if n > maxText {
		w.sp.Buf = w.sp.Buf[:at]
		return puntSpan
	}
	return record.MakeSpan(record.SpanText, at, n)
}

// parsedCache is how many arrays and objects of a batch are kept as values, for the other mappings that read them.
const parsedCache = 1 << 10

type parsedValue struct {
	span record.Span
	v    record.Value
}

// parsed is an array or object as a value.
func (w *Lane) parsed(s record.Span) (record.Value, bool) {
	if w.cache == nil {
		w.cache = make([]parsedValue, parsedCache)
	}
	slot := &w.cache[uint32(s.Off())*2654435761>>22]
	if slot.span == s {
		return slot.v, true
	}
	v, err := record.View(s.In(w.sp.Buf))
	if err != nil {
		return v, false
	}
	slot.span, slot.v = s, v
	return v, true
}

// value is a span as a general value. Its texts are parts of the buffer: it must not outlive the batch.
func (w *Lane) value(s record.Span) (record.Value, bool) {
	switch s.Kind() {
	case record.SpanAbsent, record.SpanNull:
		return record.Null(), true
	case record.SpanText:
		return record.TextOf(view(s.In(w.sp.Buf))), true
	case record.SpanEscaped:
		return record.TextOf(view(w.sp.Plain(s).In(w.sp.Buf))), true
	case record.SpanTrue:
		return record.BoolOf(true), true
	case record.SpanFalse:
		return record.BoolOf(false), true
	case record.SpanNumber:
		if n, ok := plainInt(s.In(w.sp.Buf)); ok {
			return record.IntOf(n), true
		}
		v, err := record.View(s.In(w.sp.Buf))
		return v, err == nil
	case record.SpanObject, record.SpanArray:
		return w.parsed(s)
	case spanAside:
		return w.aside[s.Off()], true
	}
	return record.Null(), false
}

// span is a general value as a span.
func (w *Lane) span(v record.Value) record.Span {
	switch v.Kind() {
	case record.KindNull:
		if !v.IsNothing() {
			return nullSpan
		}
	case record.KindBool:
		return boolSpan(v.Bool())
	case record.KindText:
		at := len(w.sp.Buf)
		w.sp.Buf = append(w.sp.Buf, v.Text()...)
		return record.MakeSpan(record.SpanText, at, len(w.sp.Buf)-at)
	case record.KindInt, record.KindDecimal:
		if v.Exact() == nil {
			at := len(w.sp.Buf)
			w.sp.Buf = v.AppendNumber(w.sp.Buf)
			return record.MakeSpan(record.SpanNumber, at, len(w.sp.Buf)-at)
		}
	default:
	}
	w.aside = append(w.aside, v)
	return record.MakeSpan(spanAside, len(w.aside)-1, 0)
}

// null reports whether a value is null.
func (w *Lane) null(s record.Span) bool {
	return s.Nullish() || s.Kind() == spanAside && w.aside[s.Off()].IsNull()
}

// truth is a value in a boolean position; ok is false if it is no value.
func (w *Lane) truth(s record.Span) (yes, ok bool) {
	switch s.Kind() {
	case record.SpanAbsent, record.SpanNull, record.SpanFalse:
		return false, true
	case record.SpanTrue, record.SpanObject, record.SpanArray:
		return true, true
	case record.SpanText:
		return s.Len() != 0 && (s.Len() != 5 || string(s.In(w.sp.Buf)) != "false"), true
	case record.SpanEscaped:
		t := w.sp.Plain(s)
		return w.truth(t)
	case record.SpanNumber:
		if zero, ok := zeroNumber(s.In(w.sp.Buf)); ok {
			return !zero, true
		}
		v, ok := w.value(s)
		return truth(v), ok
	case spanAside:
		return truth(w.aside[s.Off()]), true
	}
	return false, false
}

// zeroNumber reports whether a number is 0; ok is false if that takes arithmetic.
func zeroNumber(t []byte) (zero, ok bool) {
	zero = true
	for _, c := range t {
		switch {
		case c >= '1' && c <= '9':
			zero = false
		case c|0x20 == 'e':
			return false, false
		}
	}
	return zero, len(t) < 40
}

// hexPairs are the two digits of every byte.
var hexPairs = func() (t [256]uint16) {
	const digits = "0123456789abcdef"
	for i := range t {
		t[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return t
}()

// appendHex appends bytes as lower-case hex digits.
func appendHex(dst, v []byte) []byte {
	for _, b := range v {
		dst = binary.LittleEndian.AppendUint16(dst, hexPairs[b])
	}
	return dst
}
