package mapping

import (
	"cmp"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"

	"weir/record"
)

// unaryOps and binaryOps are the operators that evaluate all their operands (data-prep §7.4).
var unaryOps = map[string]func(record.Value) (record.Value, error){
	"-": negate,
	"+": func(v record.Value) (record.Value, error) { return numeric(v) },
	"!": func(v record.Value) (record.Value, error) { return record.BoolOf(!truth(v)), nil },
	"~": func(v record.Value) (record.Value, error) {
		n, err := bits64(v)
		return record.IntOf(^n), err
	},
	"empty": func(v record.Value) (record.Value, error) { return record.BoolOf(isEmpty(v)), nil },
	"size":  sizeOf,
}

type binaryOp = func(a, b record.Value) (record.Value, error)

var binaryOps = map[string]binaryOp{
	"+": add,
	"-": arithmetic('-'), "*": arithmetic('*'), "/": arithmetic('/'), "%": arithmetic('%'),
	"&": bitwise(func(a, b int64) int64 { return a & b }),
	"|": bitwise(func(a, b int64) int64 { return a | b }),
	"^": bitwise(func(a, b int64) int64 { return a ^ b }),
	"==": func(a, b record.Value) (record.Value, error) {
		same, err := equal(a, b)
		return record.BoolOf(same), err
	},
	"!=": func(a, b record.Value) (record.Value, error) {
		same, err := equal(a, b)
		return record.BoolOf(!same), err
	},
	"<":  ordered(func(c int) bool { return c < 0 }),
	"<=": ordered(func(c int) bool { return c <= 0 }),
	">":  ordered(func(c int) bool { return c > 0 }),
	">=": ordered(func(c int) bool { return c >= 0 }),
	"=~": matchWith(nil, false), "!~": matchWith(nil, true),
	"=^": affix(strings.HasPrefix, false), "!^": affix(strings.HasPrefix, true),
	"=$": affix(strings.HasSuffix, false), "!$": affix(strings.HasSuffix, true),
	"..": span,
}

// an names a kind with its article.
func an(k record.Kind) string {
	switch k {
	case record.KindNull:
		return "null"
	case record.KindInt, record.KindArray, record.KindObject:
		return "an " + k.String()
	default:
	}
	return "a " + k.String()
}

// truth is a value in a boolean position: null is false, numbers are true unless 0, text unless empty or "false".
func truth(v record.Value) bool {
	switch v.Kind() {
	case record.KindNull:
		return false
	case record.KindBool:
		return v.Bool()
	case record.KindInt, record.KindDecimal:
		return !isZero(v)
	case record.KindText:
		return v.Text() != "" && v.Text() != "false"
	default:
	}
	return true
}

func isZero(v record.Value) bool {
	if n, ok := v.Int64(); ok {
		return n == 0
	}
	if v.Kind() == record.KindInt {
		return false
	}
	if e := v.Exact(); e != nil {
		return e.Unscaled().Sign() == 0
	}
	return v.Float() == 0
}

// isEmpty is the operator empty: null, "", [], {} and 0.
func isEmpty(v record.Value) bool {
	switch v.Kind() {
	case record.KindNull:
		return true
	case record.KindText:
		return v.Text() == ""
	case record.KindArray:
		return len(v.Items()) == 0
	case record.KindObject:
		return v.Object().Len() == 0
	case record.KindInt, record.KindDecimal:
		return isZero(v)
	default:
	}
	return false
}

// sizeOf is the length of text in characters, of an array, of an object; of null 0.
func sizeOf(v record.Value) (record.Value, error) {
	switch v.Kind() {
	case record.KindNull:
		return record.IntOf(0), nil
	case record.KindText:
		return record.IntOf(int64(utf8.RuneCountInString(v.Text()))), nil
	case record.KindArray:
		return record.IntOf(int64(len(v.Items()))), nil
	case record.KindObject:
		return record.IntOf(int64(v.Object().Len())), nil
	default:
	}
	return v, faultf(KindType, "%s has no size; arrays, objects and text have one", an(v.Kind()))
}

// asText is a scalar as text; false for null, arrays and objects.
func asText(v record.Value) (string, bool) {
	switch v.Kind() {
	case record.KindText:
		return v.Text(), true
	case record.KindBool:
		if v.Bool() {
			return "true", true
		}
		return "false", true
	case record.KindInt, record.KindDecimal:
		return string(v.AppendNumber(nil)), true
	case record.KindDate:
		return string(v.AppendDate(nil)), true
	default:
	}
	return "", false
}

// numeric is a number, or numeric text as a number.
func numeric(v record.Value) (record.Value, error) {
	switch v.Kind() {
	case record.KindInt, record.KindDecimal:
		return v, nil
	case record.KindNull:
		return v, faultf(KindNull, "a number is missing: the value is null")
	case record.KindText:
		if n, ok := record.ParseNumber(v.Text()); ok {
			return n, nil
		}
		return v, faultf(KindType, "the text %q is no number", show(v.Text()))
	default:
	}
	return v, faultf(KindType, "%s is no number", an(v.Kind()))
}

func negate(v record.Value) (record.Value, error) {
	v, err := numeric(v)
	if err != nil {
		return v, err
	}
	if v.Kind() == record.KindDecimal && v.Exact() == nil {
		return record.FloatOf(-v.Float()), nil
	}
	return arith('-', record.IntOf(0), v)
}

func add(a, b record.Value) (record.Value, error) {
	if a.IsNull() || b.IsNull() {
		return a, faultf(KindNull, "+ has a null operand")
	}
	if a.Kind() == record.KindText || b.Kind() == record.KindText {
		s, ok := asText(a)
		t, ok2 := asText(b)
		if !ok || !ok2 {
			bad := a
			if ok {
				bad = b
			}
			return a, faultf(KindType, "+ cannot append %s to text", an(bad.Kind()))
		}
		return record.TextOf(s + t), nil
	}
	return numbers('+', a, b)
}

func arithmetic(op byte) binaryOp {
	return func(a, b record.Value) (record.Value, error) { return numbers(op, a, b) }
}

func numbers(op byte, a, b record.Value) (record.Value, error) {
	if a.IsNull() || b.IsNull() {
		return a, faultf(KindNull, "%c has a null operand", op)
	}
	x, err := numeric(a)
	if err != nil {
		return x, err
	}
	y, err := numeric(b)
	if err != nil {
		return y, err
	}
	return arith(op, x, y)
}

// arith calculates with two numbers: integers stay integers of any size, an exact operand makes the result exact, all else is double.
func arith(op byte, a, b record.Value) (record.Value, error) {
	if (op == '/' || op == '%') && isZero(b) {
		return a, faultf(KindArithmetic, "division by zero")
	}
	if a.Kind() == record.KindInt && b.Kind() == record.KindInt {
		x, small := a.Int64()
		y, small2 := b.Int64()
		if small && small2 {
			if n, ok := arith64(op, x, y); ok {
				return record.IntOf(n), nil
			}
		}
		return arithBig(op, a.Big(), b.Big())
	}
	if a.Exact() != nil || b.Exact() != nil {
		return arithExact(op, a, b)
	}
	x, y := a.Float(), b.Float()
	var r float64
	switch op {
	case '+':
		r = x + y
	case '-':
		r = x - y
	case '*':
		r = x * y
	case '/':
		r = x / y
	default:
		r = math.Mod(x, y)
	}
	if !finite(r) {
		return a, faultf(KindArithmetic, "the result is beyond the range of numbers")
	}
	return record.FloatOf(r), nil
}

// arith64 calculates in 64 bits; ok is false when the result needs more, or a big integer must say what is wrong.
func arith64(op byte, x, y int64) (n int64, ok bool) {
	switch op {
	case '+':
		n = x + y
		return n, (n > x) == (y > 0)
	case '-':
		n = x - y
		return n, (n < x) == (y > 0)
	case '*':
		if x == 0 || y == 0 {
			return 0, true
		}
		n = x * y
		return n, n/y == x && (x != -1 || y != math.MinInt64) && (y != -1 || x != math.MinInt64)
	case '/':
		return x / y, x != math.MinInt64 || y != -1
	}
	if y < 0 {
		return 0, false
	}
	if n = x % y; n < 0 {
		n += y
	}
	return n, true
}

func arithBig(op byte, x, y *big.Int) (record.Value, error) {
	r := new(big.Int)
	switch op {
	case '+':
		r.Add(x, y)
	case '-':
		r.Sub(x, y)
	case '*':
		r.Mul(x, y)
	case '/':
		r.Quo(x, y)
	default:
		if y.Sign() < 0 {
			return record.Null(), faultf(KindArithmetic, "the divisor of %% is negative")
		}
		r.Mod(x, y)
	}
	return record.BigOf(r), nil
}

// exactOf is a number as an exact decimal: a double as the digits it prints.
func exactOf(v record.Value) (*record.Exact, error) {
	if e := v.Exact(); e != nil {
		return e, nil
	}
	if v.Kind() == record.KindInt {
		return record.NewExact(v.Big(), 0), nil
	}
	e, ok := record.ParseExact(string(v.AppendNumber(nil)))
	if !ok {
		return nil, faultf(KindArithmetic, "%s has too many digits for an exact number", show(v.String()))
	}
	return e, nil
}

// exactDigits is how many significant digits an exact quotient keeps.
const exactDigits = 34

func arithExact(op byte, a, b record.Value) (record.Value, error) {
	x, err := exactOf(a)
	if err != nil {
		return a, err
	}
	y, err := exactOf(b)
	if err != nil {
		return b, err
	}
	if op == '*' {
		return record.ExactOf(record.NewExact(new(big.Int).Mul(x.Unscaled(), y.Unscaled()), x.Scale()+y.Scale())), nil
	}
	if op == '/' {
		return record.ExactOf(quotient(x, y)), nil
	}
	scale := max(x.Scale(), y.Scale())
	p, q := scaled(x, scale), scaled(y, scale)
	r := new(big.Int)
	switch op {
	case '+':
		r.Add(p, q)
	case '-':
		r.Sub(p, q)
	default:
		r.Rem(p, q)
	}
	return record.ExactOf(record.NewExact(r, scale)), nil
}

func scaled(e *record.Exact, scale int) *big.Int {
	f := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-e.Scale())), nil)
	return f.Mul(f, e.Unscaled())
}

// quotient divides to 34 significant digits, half up, without trailing zeros.
func quotient(x, y *record.Exact) *record.Exact {
	r := new(big.Rat).Quo(x.Rat(), y.Rat())
	ten, rem := big.NewInt(10), new(big.Int)
	scale := max(exactDigits-len(r.Num().String())+len(r.Denom().String()), 0)
	n := new(big.Int).Exp(ten, big.NewInt(int64(scale)), nil)
	n.Mul(n, r.Num()).Mul(n, big.NewInt(2)).Add(n, new(big.Int).Mul(r.Denom(), big.NewInt(int64(r.Sign()))))
	n.Quo(n, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	for scale > 0 {
		q, _ := new(big.Int).QuoRem(n, ten, rem)
		if rem.Sign() != 0 {
			break
		}
		n, scale = q, scale-1
	}
	return record.NewExact(n, scale)
}

// bits64 is an operand of & | ^ ~.
func bits64(v record.Value) (int64, error) {
	n, err := numeric(v)
	if err != nil {
		return 0, err
	}
	i, ok := n.Int64()
	if !ok {
		return 0, faultf(KindType, "%s is no 64-bit integer", show(v.String()))
	}
	return i, nil
}

func bitwise(op func(a, b int64) int64) binaryOp {
	return func(a, b record.Value) (record.Value, error) {
		x, err := bits64(a)
		if err != nil {
			return a, err
		}
		y, err := bits64(b)
		if err != nil {
			return b, err
		}
		return record.IntOf(op(x, y)), nil
	}
}

// equal is the operator ==.
func equal(a, b record.Value) (bool, error) {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull(), nil
	}
	if a.Kind() == record.KindBool || b.Kind() == record.KindBool {
		return truth(a) == truth(b), nil
	}
	if a.Kind() == record.KindText && b.Kind() == record.KindText {
		return a.Text() == b.Text(), nil
	}
	switch {
	case a.Kind() == record.KindArray || b.Kind() == record.KindArray:
		return sameItems(a, b), nil
	case a.Kind() == record.KindObject || b.Kind() == record.KindObject:
		return sameMembers(a, b), nil
	case a.Kind() == record.KindDate || b.Kind() == record.KindDate:
		x, ok := instantOf(a)
		y, ok2 := instantOf(b)
		return ok && ok2 && x.Equal(y), nil
	}
	x, err := numeric(a)
	if err != nil {
		return false, err
	}
	y, err := numeric(b)
	if err != nil {
		return false, err
	}
	return compareNumbers(x, y) == 0, nil
}

// alike is == without its type error: what cannot be compared is unequal.
func alike(a, b record.Value) bool {
	same, err := equal(a, b)
	return err == nil && same
}

func sameItems(a, b record.Value) bool {
	x, y := a.Items(), b.Items()
	if a.Kind() != b.Kind() || len(x) != len(y) {
		return false
	}
	for i := range x {
		if !alike(x[i], y[i]) {
			return false
		}
	}
	return true
}

func sameMembers(a, b record.Value) bool {
	x, y := a.Object(), b.Object()
	if a.Kind() != b.Kind() || x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		name, v := x.Member(i)
		w, ok := y.Get(name)
		if !ok || !alike(v, w) {
			return false
		}
	}
	return true
}

// indexIn is the position of v among items by ==, -1 if it is not there.
func indexIn(items []record.Value, v record.Value) int {
	for i, e := range items {
		if alike(e, v) {
			return i
		}
	}
	return -1
}

// compareNumbers orders two numbers by their mathematical value; decimals that are not exact count as doubles.
func compareNumbers(a, b record.Value) int {
	x, small := a.Int64()
	y, small2 := b.Int64()
	const safe = 1 << 53
	switch {
	case small && small2:
		return cmp.Compare(x, y)
	case a.Kind() == record.KindInt && b.Kind() == record.KindInt:
		return a.Big().Cmp(b.Big())
	case a.Exact() != nil || b.Exact() != nil:
		if p, err := exactOf(a); err == nil {
			if q, err := exactOf(b); err == nil {
				return p.Rat().Cmp(q.Rat())
			}
		}
	case a.Kind() == record.KindInt && (!small || x > safe || x < -safe) || b.Kind() == record.KindInt && (!small2 || y > safe || y < -safe):
		return bigFloat(a).Cmp(bigFloat(b))
	}
	return cmp.Compare(a.Float(), b.Float())
}

func bigFloat(v record.Value) *big.Float {
	if v.Kind() == record.KindInt {
		return new(big.Float).SetInt(v.Big())
	}
	f := v.Float()
	if math.IsNaN(f) {
		f = 0
	}
	return new(big.Float).SetFloat64(f)
}

// compare orders two values that are not null: numbers, numeric text against a number, text by UTF-16 unit, dates, booleans.
func compare(a, b record.Value) (int, error) {
	ka, kb := kindOf(a), kindOf(b)
	switch {
	case ka == kText && kb == kText:
		return compareText(a.Text(), b.Text()), nil
	case ka == kBool && kb == kBool:
		return compareNumbers(boolInt(a), boolInt(b)), nil
	case (ka == kDate || kb == kDate) && (ka|kb)&^(kDate|kText|kInt) == 0:
		x, ok := instantOf(a)
		y, ok2 := instantOf(b)
		if ok && ok2 {
			return x.Compare(y), nil
		}
	case (ka|kb)&^(kNum|kText) == 0:
		x, err := numeric(a)
		if err != nil {
			return 0, err
		}
		y, err := numeric(b)
		if err != nil {
			return 0, err
		}
		return compareNumbers(x, y), nil
	}
	return 0, faultf(KindType, "%s cannot be compared with %s", an(a.Kind()), an(b.Kind()))
}

func boolInt(v record.Value) record.Value {
	if v.Bool() {
		return record.IntOf(1)
	}
	return record.IntOf(0)
}

// compareText orders by UTF-16 code unit.
func compareText(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return len(a) - len(b)
	}
	for i > 0 && !utf8.RuneStart(a[i]) {
		i--
	}
	for i > 0 && !utf8.RuneStart(b[i]) {
		i--
	}
	x, _ := utf8.DecodeRuneInString(a[i:])
	y, _ := utf8.DecodeRuneInString(b[i:])
	return int(unitOrder(x)) - int(unitOrder(y))
}

// unitOrder maps a character so that characters beyond U+FFFF sort as surrogates do: before U+E000.
func unitOrder(r rune) rune {
	switch {
	case r >= 0x10000:
		return r - 0x10000 + 0xD800
	case r >= 0xE000:
		return r + 0x110000
	}
	return r
}

func ordered(is func(c int) bool) binaryOp {
	return func(a, b record.Value) (record.Value, error) {
		if a.IsNull() || b.IsNull() {
			return record.BoolOf(false), nil
		}
		c, err := compare(a, b)
		return record.BoolOf(is(c)), err
	}
}

// matchWith is =~ and !~: regex match of the whole text, membership in an array, key of an object. prep is the regex of a literal right side.
func matchWith(prep any, negated bool) binaryOp {
	ready, _ := prep.(*regex)
	return func(a, b record.Value) (record.Value, error) {
		yes, err := contains(a, b, ready)
		return record.BoolOf(yes != negated), err
	}
}

func contains(a, b record.Value, re *regex) (bool, error) {
	switch b.Kind() {
	case record.KindArray:
		return indexIn(b.Items(), a) >= 0, nil
	case record.KindObject:
		key, ok := asText(a)
		if !ok {
			return false, nil
		}
		_, ok = b.Get(key)
		return ok, nil
	default:
	}
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull(), nil
	}
	text, ok := asText(a)
	pattern, _ := asText(b)
	if !ok {
		return false, faultf(KindType, "%s cannot be matched with a regular expression", an(a.Kind()))
	}
	if re == nil {
		var err error
		if re, err = compileRegex(pattern); err != nil {
			return false, err
		}
	}
	return re.matches(text)
}

// affix is =^ !^ =$ !$: null on both sides is true, on one false.
func affix(has func(s, part string) bool, negated bool) binaryOp {
	return func(a, b record.Value) (record.Value, error) {
		if a.IsNull() || b.IsNull() {
			return record.BoolOf((a.IsNull() && b.IsNull()) != negated), nil
		}
		s, ok := asText(a)
		part, ok2 := asText(b)
		if !ok || !ok2 {
			bad := a
			if ok {
				bad = b
			}
			return a, faultf(KindType, "%s has no beginning and end; text has", an(bad.Kind()))
		}
		return record.BoolOf(has(s, part) != negated), nil
	}
}

// maxSpan is how many integers a range may have.
const maxSpan = 10_000

// span is a .. b, downwards if b is less.
func span(a, b record.Value) (record.Value, error) {
	from, err := bits64(a)
	if err != nil {
		return a, err
	}
	to, err := bits64(b)
	if err != nil {
		return b, err
	}
	step := int64(1)
	if to < from {
		step = -1
	}
	if d := new(big.Int).Sub(big.NewInt(to), big.NewInt(from)); d.Abs(d).Cmp(big.NewInt(maxSpan)) >= 0 {
		return a, faultf(KindArgument, "the range %d..%d has more than %d numbers", from, to, maxSpan)
	}
	items := make([]record.Value, 0, (to-from)*step+1)
	for n := from; ; n += step {
		items = append(items, record.IntOf(n))
		if n == to {
			return record.ArrayOf(items), nil
		}
	}
}
