package mapping

import (
	"strings"

	"weir/record"
)

// kinds is a set of kinds a value may have: what is known about a part of an expression without data.
type kinds uint16

const (
	kNull kinds = 1 << iota
	kBool
	kInt
	kDec
	kText
	kDate
	kArr
	kObj
	kLambda

	kNum    = kInt | kDec
	kScalar = kBool | kNum | kText | kDate
	kAny    = kNull | kScalar | kArr | kObj
)

// kindOf is the set with the kind of one value.
func kindOf(v record.Value) kinds {
	switch v.Kind() {
	case record.KindBool:
		return kBool
	case record.KindInt:
		return kInt
	case record.KindDecimal:
		return kDec
	case record.KindText:
		return kText
	case record.KindDate:
		return kDate
	case record.KindArray:
		return kArr
	case record.KindObject:
		return kObj
	default:
	}
	return kNull
}

// can reports whether the value may be of one of the kinds.
func (k kinds) can(of kinds) bool { return k&of != 0 }

// String names the kinds for a message.
func (k kinds) String() string {
	names := [...]string{"null", "boolean", "integer", "number", "text", "date", "array", "object", "lambda"}
	if k&kAny == kAny {
		return "any"
	}
	var out []string
	for i, n := range names {
		if k&(1<<i) == 0 || i == 0 && k != kNull || n == "integer" && k&kDec != 0 {
			continue
		}
		out = append(out, n)
	}
	return strings.Join(out, " or ")
}

// static is what is known about a part of an expression: its kinds, and the field of the input schema it comes from, nil if unknown.
type static struct {
	kinds kinds
	field *record.Field
}

// fits reports whether the value may be of one of the kinds, as far as is known. What only a function may return as null is left to the record;
// a field of the input schema must fit when it is there.
func (s static) fits(of kinds) bool {
	k := s.kinds &^ kNull
	return k == 0 || k.can(of) || s.kinds.can(kNull) && s.field == nil
}

// staticOf is what a field of the input schema says about its values. Text may hold anything, and anything may be missing.
func staticOf(f *record.Field) static {
	s := static{kinds: kAny, field: f}
	switch f.Type {
	case record.String, record.Date, record.Timestamp:
		s.kinds = kText | kDate | kNull
	case record.Boolean:
		s.kinds = kBool | kNull
	case record.Byte, record.Short, record.Int, record.Long:
		s.kinds = kInt | kNull
	case record.Number:
		s.kinds = kNum | kNull
	case record.Struct, record.Map:
		s.kinds = kObj | kNull
	case record.List:
		s.kinds = kArr | kNull
	default:
	}
	return s
}
