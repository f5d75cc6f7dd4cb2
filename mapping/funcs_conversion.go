package mapping

import (
	"errors"
	"strconv"
	"strings"

	"weir/record"
)

const (
	categoryConversion = "Type Conversions"
	categoryJSON       = "JSON"
)

var conversionFunctions = []function{
	{
		name: "to_bigint", category: categoryConversion,
		doc: "Text as an exact integer of any size; with a fraction an exact decimal. Numbers stay as they are.",
		sigs: toNumber(kNum, func(v record.Value) (record.Value, error) {
			e, ok := record.ParseExact(v.Source())
			if !ok {
				return v, faultf(KindArgument, "%s has too many digits", show(v.String()))
			}
			return record.ExactValue(e), nil
		}, func(v record.Value) (record.Value, error) { return v, nil }),
		examples: []example{{expr: `to_bigint("1000000.34")`, want: "1000000.34"}, {expr: `to_bigint("123456789012345678901234567890") + 1`, want: "123456789012345678901234567891"}, {expr: `to_bigint("x1")`, fails: KindArgument}},
	},
	{
		name: "to_decimal", category: categoryConversion,
		doc:      "Text as a number of double precision. Numbers stay as they are.",
		sigs:     toNumber(kNum, toDouble, func(v record.Value) (record.Value, error) { return v, nil }),
		examples: []example{{expr: `to_decimal("20.5")`, want: "20.5"}, {expr: `to_decimal("1e3")`, want: "1000.0"}, {expr: `to_decimal("abc")`, fails: KindArgument}},
	},
	{
		name: "to_float", category: categoryConversion,
		doc: "Text as a number of single precision, in its shortest form. Numbers stay as they are.",
		sigs: toNumber(kNum, func(v record.Value) (record.Value, error) {
			f, err := strconv.ParseFloat(v.Source(), 32)
			if err != nil || !finite(f) {
				return v, faultf(KindArgument, "%s is beyond the range of single precision", show(v.String()))
			}
			short := strconv.FormatFloat(f, 'g', -1, 32)
			d, err := strconv.ParseFloat(short, 64)
			return record.FloatOf(d), err
		}, func(v record.Value) (record.Value, error) { return v, nil }),
		examples: []example{{expr: `to_float("0.25")`, want: "0.25"}, {expr: `to_float("0.123456789")`, want: "0.12345679"}},
	},
	{
		name: "to_integer", category: categoryConversion,
		doc: "Text as an integer of 64 bits. A fraction or a larger number is an error.",
		sigs: toNumber(kInt, func(v record.Value) (record.Value, error) {
			return v, faultf(KindArgument, "%s is no integer", show(v.String()))
		}, func(v record.Value) (record.Value, error) {
			if n, ok := integral(v); ok {
				v = n
			}
			if _, ok := v.Int64(); !ok {
				return v, faultf(KindArgument, "%s is no integer of 64 bits", show(v.String()))
			}
			return v, nil
		}),
		examples: []example{{expr: `to_integer("2147483647")`, want: "2147483647"}, {expr: `to_integer(" 12 ")`, want: "12"}, {expr: `to_integer("12.5")`, fails: KindArgument}, {expr: `to_integer("")`, fails: KindArgument}},
	},
	{
		name: "json_to_object", category: categoryJSON,
		doc: "Reads JSON. Integers keep all their digits; the last of repeated names wins. An object, array or number stays as it is.",
		sigs: []signature{{params: []param{{name: "json", doc: "the JSON text"}}, returns: kAny, run: func(_ *call, a []record.Value) (record.Value, error) {
			if a[0].Kind() != record.KindText {
				return a[0], nil
			}
			v, err := record.Parse([]byte(a[0].Text()))
			if bad, ok := errors.AsType[*record.SyntaxError](err); ok {
				return v, faultf(KindArgument, "the text is no JSON: %s", bad)
			}
			return v, nil
		}}},
		examples: []example{{expr: `json_to_object("{\"n\": 12345678901234567890}").n`, want: "12345678901234567890"}, {expr: `json_to_object("[1,2]")[1]`, want: "2"}, {expr: `json_to_object("1 2")`, fails: KindArgument}},
	},
}

// toNumber makes the signature of a conversion. fraction gets what was written with a point or exponent, keep all other numbers and integers.
func toNumber(returns kinds, fraction, keep func(record.Value) (record.Value, error)) []signature {
	return []signature{{params: []param{{name: "value", doc: "text or a number"}}, returns: returns, run: func(_ *call, a []record.Value) (record.Value, error) {
		if a[0].IsNumber() {
			return keep(a[0])
		}
		s, ok := asText(a[0])
		if !ok {
			return a[0], faultf(KindType, "%s is no number", an(a[0].Kind()))
		}
		n, ok := record.ParseNumber(strings.TrimSpace(s))
		if !ok {
			return a[0], faultf(KindArgument, "%q is no number", show(s))
		}
		if n.Kind() == record.KindInt {
			return keep(n)
		}
		return fraction(n)
	}}}
}

func toDouble(v record.Value) (record.Value, error) {
	f := v.Float()
	if !finite(f) {
		return v, faultf(KindArgument, "%s is beyond the range of numbers", show(v.String()))
	}
	return record.FloatOf(f), nil
}

// integral is a decimal without a fraction as an integer.
func integral(v record.Value) (record.Value, bool) {
	if v.Kind() == record.KindInt {
		return v, true
	}
	e, err := exactOf(v)
	if err != nil {
		return v, false
	}
	r := e.Rat()
	if !r.IsInt() {
		return v, false
	}
	return record.BigOf(r.Num()), true
}
