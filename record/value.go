package record

import (
	"math"
	"math/big"
	"time"
)

// Kind is what a [Value] holds.
type Kind uint8

// Kinds of values. A decimal is any number that was not written as an integer.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindDecimal
	KindText
	KindDate
	KindArray
	KindObject
)

var kindNames = [...]string{"null", "boolean", "integer", "number", "text", "date", "array", "object"}

// String is the kind's name in messages.
func (k Kind) String() string { return kindNames[k] }

// Value is one JSON value of any kind, or a date. The zero Value is null. Values are immutable once built and may be shared by goroutines.
//
// Integers have any size. A decimal read from JSON keeps its source text until it is calculated with; one marked exact is a
// decimal fraction of any size; any other is a double.
type Value struct {
	kind Kind
	mark bool // null: nullify; date: a day without time
	num  int64
	text string // text, or a decimal's source text
	ref  any    // *big.Int, *Exact, time.Time, []Value, *Object
}

// Null is the null value.
func Null() Value { return Value{} }

// Nothing is the null that asks for no value at its target, even where a copied object has one (data-prep §5.5).
func Nothing() Value { return Value{mark: true} }

// BoolOf is a boolean.
func BoolOf(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// IntOf is an integer.
func IntOf(n int64) Value { return Value{kind: KindInt, num: n} }

// BigOf is an integer of any size. It takes n over: the caller must not change it afterwards.
func BigOf(n *big.Int) Value {
	if n.IsInt64() {
		return IntOf(n.Int64())
	}
	return Value{kind: KindInt, ref: n}
}

// FloatOf is a calculated decimal. f must be finite.
func FloatOf(f float64) Value {
	return Value{kind: KindDecimal, num: int64(math.Float64bits(f))}
}

// DecimalOf is a decimal that keeps its source text, which must be a JSON number.
func DecimalOf(text string) Value { return Value{kind: KindDecimal, text: text} }

// ExactOf is an exact decimal.
func ExactOf(e *Exact) Value { return Value{kind: KindDecimal, ref: e} }

// TextOf is a text.
func TextOf(s string) Value { return Value{kind: KindText, text: s} }

// DateOf is an instant with its zone.
func DateOf(t time.Time) Value { return Value{kind: KindDate, ref: t} }

// DayOf is a calendar day: the day of t in t's zone. It prints without a time.
func DayOf(t time.Time) Value { return Value{kind: KindDate, mark: true, ref: t} }

// ArrayOf is an array. It takes items over: the caller must not change them afterwards.
func ArrayOf(items []Value) Value { return Value{kind: KindArray, ref: items} }

// ObjectOf is an object. It takes o over: the caller must not change it afterwards.
func ObjectOf(o *Object) Value { return Value{kind: KindObject, ref: o} }

// Kind is what the value holds.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is null, [Nothing] included.
func (v Value) IsNull() bool { return v.kind == KindNull }

// IsNothing reports whether the value is [Nothing].
func (v Value) IsNothing() bool { return v.kind == KindNull && v.mark }

// IsNumber reports whether the value is an integer or a decimal.
func (v Value) IsNumber() bool { return v.kind == KindInt || v.kind == KindDecimal }

// IsDay reports whether the value is a date without a time.
func (v Value) IsDay() bool { return v.kind == KindDate && v.mark }

// Bool is the value of a boolean.
func (v Value) Bool() bool { return v.num != 0 }

// Int64 is the value of an integer that fits 64 bits; ok is false for all others.
func (v Value) Int64() (n int64, ok bool) { return v.num, v.kind == KindInt && v.ref == nil }

// Big is the value of an integer of any size. The result must not be changed.
func (v Value) Big() *big.Int {
	if n, ok := v.ref.(*big.Int); ok {
		return n
	}
	return big.NewInt(v.num)
}

// Exact is the value of an exact decimal, nil for all others. The result must not be changed.
func (v Value) Exact() *Exact {
	e, _ := v.ref.(*Exact)
	return e
}

// Source is the source text of a decimal that was read and not calculated, "" for all others.
func (v Value) Source() string {
	if v.kind == KindDecimal {
		return v.text
	}
	return ""
}

// Float is the nearest double of a number; it is infinite for a number beyond the range of doubles.
func (v Value) Float() float64 {
	switch {
	case v.kind == KindInt && v.ref == nil:
		return float64(v.num)
	case v.kind == KindInt:
		f, _ := new(big.Float).SetInt(v.Big()).Float64()
		return f
	case v.Exact() != nil:
		return v.Exact().Float()
	case v.text != "":
		return parseFloat(v.text)
	}
	return math.Float64frombits(uint64(v.num))
}

// Text is the value of a text.
func (v Value) Text() string { return v.text }

// Time is the instant of a date in its zone.
func (v Value) Time() time.Time {
	t, _ := v.ref.(time.Time)
	return t
}

// Items are the elements of an array, nil for all other kinds. They must not be changed.
func (v Value) Items() []Value {
	a, _ := v.ref.([]Value)
	return a
}

// Object is the members of an object, nil for all other kinds. It must not be changed.
func (v Value) Object() *Object {
	o, _ := v.ref.(*Object)
	return o
}

// Get is the member of an object; ok is false when there is none or v is no object.
func (v Value) Get(name string) (Value, bool) {
	if o := v.Object(); o != nil {
		return o.Get(name)
	}
	return Value{}, false
}

// At is the element of an array; ok is false when there is none or v is no array.
func (v Value) At(i int) (Value, bool) {
	a := v.Items()
	if i < 0 || i >= len(a) {
		return Value{}, false
	}
	return a[i], true
}

// Object is an object under construction or inside a value: members in the order they were first set.
// A nil *Object is an object without members.
type Object struct {
	names []string
	vals  []Value
	index map[string]int // only for objects with more than indexAt members
}

// indexAt is how many members are looked up by a plain scan.
const indexAt = 12

// NewObject returns an object with room for n members.
func NewObject(n int) *Object {
	return &Object{names: make([]string, 0, n), vals: make([]Value, 0, n)}
}

// Len is how many members there are.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.names)
}

// Member is the name and value of member i in order.
func (o *Object) Member(i int) (string, Value) { return o.names[i], o.vals[i] }

// Get is the member of that name.
func (o *Object) Get(name string) (Value, bool) {
	if i := o.find(name); i >= 0 {
		return o.vals[i], true
	}
	return Value{}, false
}

// Set adds the member or replaces its value, keeping its place.
func (o *Object) Set(name string, v Value) {
	if i := o.find(name); i >= 0 {
		o.vals[i] = v
		return
	}
	o.names = append(o.names, name)
	o.vals = append(o.vals, v)
	switch {
	case o.index != nil:
		o.index[name] = len(o.names) - 1
	case len(o.names) > indexAt:
		o.index = make(map[string]int, 2*len(o.names))
		for i, n := range o.names {
			o.index[n] = i
		}
	}
}

// Delete removes the member of that name.
func (o *Object) Delete(name string) {
	i := o.find(name)
	if i < 0 {
		return
	}
	o.names = append(o.names[:i], o.names[i+1:]...)
	o.vals = append(o.vals[:i], o.vals[i+1:]...)
	if o.index != nil {
		clear(o.index)
		for j, n := range o.names {
			o.index[n] = j
		}
	}
}

func (o *Object) find(name string) int {
	if o == nil {
		return -1
	}
	if o.index != nil {
		if i, ok := o.index[name]; ok {
			return i
		}
		return -1
	}
	for i, n := range o.names {
		if n == name {
			return i
		}
	}
	return -1
}
