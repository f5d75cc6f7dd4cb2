package mapping

import (
	"strconv"
	"strings"

	"weir/record"
)

const categoryArray = "Hierarchies - Arrays"

var arrayFunctions = []function{
	{
		name: "coalesce", category: categoryArray,
		doc: "The first value that is not null; of the elements, if there is one argument that is an array. Empty text, 0 and false are values.",
		sigs: []signature{manyOrArray(func(vals []record.Value) (record.Value, error) {
			for _, v := range vals {
				if !v.IsNull() {
					return v, nil
				}
			}
			return record.Null(), nil
		})},
		examples: []example{{expr: `coalesce(nick, given, "?")`, in: `{"given":"Ann"}`, want: `"Ann"`}, {expr: `coalesce([null, true])`, want: "true"}},
	},
	{
		name: "first", category: categoryArray,
		doc: "The first argument, or the first element of an array. Null if there is none.",
		sigs: []signature{manyOrArray(func(vals []record.Value) (record.Value, error) {
			if len(vals) == 0 {
				return record.Null(), nil
			}
			return vals[0], nil
		})},
		examples: []example{{expr: `first(["p", "q"])`, want: `"p"`}, {expr: `first("1", "2")`, want: `"1"`}, {expr: `first([null, 2])`, want: "null"}},
	},
	{
		name: "last", category: categoryArray,
		doc: "The last argument, or the last element of an array. Null if there is none.",
		sigs: []signature{manyOrArray(func(vals []record.Value) (record.Value, error) {
			if len(vals) == 0 {
				return record.Null(), nil
			}
			return vals[len(vals)-1], nil
		})},
		examples: []example{{expr: `last(["p", "q"])`, want: `"q"`}, {expr: `last([])`, want: "null"}},
	},
	{
		name: "add_to_array", category: categoryArray,
		doc: "An array with values appended. An array among the values becomes one element; a null array counts as empty.",
		sigs: []signature{{params: []param{array("array", "the array").orNull(), anything("value", "values to append")}, rest: 1, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			return record.ArrayOf(append(append([]record.Value{}, a[0].Items()...), a[1:]...)), nil
		}}},
		examples: []example{{expr: `add_to_array([1], [2, 3])`, want: `[1,[2,3]]`}, {expr: `add_to_array("a", "b")`, fails: KindType}},
	},
	{
		name: "join_arrays", category: categoryArray,
		doc: "The elements of several arrays one after the other. A null array counts as empty.",
		sigs: []signature{{params: []param{array("array", "an array").orNull(), array("array", "more arrays").orNull()}, rest: 1, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			out := []record.Value{}
			for _, v := range a {
				out = append(out, v.Items()...)
			}
			return record.ArrayOf(out), nil
		}}},
		examples: []example{{expr: `join_arrays([1], [2, 3])`, want: `[1,2,3]`}, {expr: `join_arrays(gone, [1])`, want: `[1]`}},
	},
	{
		name: "to_array", category: categoryArray,
		doc: "An array of the values; the first argument says whether nulls are kept.",
		sigs: []signature{{params: []param{boolean("includeNulls", "whether nulls are kept"), anything("value", "the elements")}, rest: 1, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			out := make([]record.Value, 0, len(a)-1)
			for _, v := range a[1:] {
				if !v.IsNull() || a[0].Bool() {
					out = append(out, v)
				}
			}
			return record.ArrayOf(out), nil
		}}},
		examples: []example{{expr: `to_array(false, 1, null, 2)`, want: `[1,2]`}, {expr: `to_array("yes", 1)`, fails: KindType}},
	},
	{
		name: "size_of", category: categoryArray,
		doc:      "How many elements, members or characters; 0 for null.",
		sigs:     []signature{{params: []param{anything("value", "an array, object or text")}, returns: kInt, run: func(_ *call, a []record.Value) (record.Value, error) { return sizeOf(a[0]) }}},
		examples: []example{{expr: `size_of([1, 2])`, want: "2"}, {expr: `size_of("abc")`, want: "3"}, {expr: `size_of(gone)`, want: "0"}, {expr: `size_of(5)`, fails: KindType}},
	},
	{
		name: "upsert_array_append", category: categoryArray,
		doc:      "The array; appending matters only for partial updates of profiles.",
		sigs:     []signature{{params: []param{array("array", "the array")}, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) { return a[0], nil }}},
		examples: []example{{expr: `upsert_array_append([1])`, want: `[1]`}},
	},
	{
		name: "upsert_array_replace", category: categoryArray,
		doc:      "The array; replacing matters only for partial updates of profiles.",
		sigs:     []signature{{params: []param{array("array", "the array"), whole("index", "the position").opt()}, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) { return a[0], nil }}},
		examples: []example{{expr: `upsert_array_replace(["x", "y"], 0)`, want: `["x","y"]`}},
	},
	{
		name: "array_to_string", category: categoryArray,
		doc:      "All elements on all levels joined with a separator. Objects are written with single quotes, dates as milliseconds since 1970.",
		sigs:     []signature{{params: []param{text("separator", "what to put between").orNull(), array("array", "the elements")}, returns: kText, run: arrayToString}},
		examples: []example{{expr: `array_to_string("+", [[1], [2]])`, want: `"1+2"`}, {expr: `array_to_string(";", [{"k": "v", "n": 1}])`, want: `"{'k':'v','n':1}"`}},
	},
	{
		name: "filterArray", category: categoryArray,
		doc: "The elements for which a lambda is true. The lambda sees the fields of the record; a second parameter is the position.",
		sigs: []signature{{params: []param{array("array", "the elements"), {name: "lambda", typ: pLambda, doc: "element -> whether to keep it"}}, returns: kArr, lazy: func(c *call, a []lazyArg) (record.Value, error) {
			return each(c, a, func(out []record.Value, e, r record.Value) []record.Value {
				if truth(r) {
					return append(out, e)
				}
				return out
			})
		}}},
		examples: []example{{expr: `filterArray(rows, r -> r.qty > 0)`, in: `{"rows":[{"qty":0},{"qty":2}]}`, want: `[{"qty":2}]`}, {expr: `filterArray([7, 8], (x, i) -> { i == 1 })`, want: `[8]`}},
	},
	{
		name: "transformArray", category: categoryArray,
		doc: "What a lambda makes of each element.",
		sigs: []signature{{params: []param{array("array", "the elements"), {name: "lambda", typ: pLambda, doc: "element -> new element"}}, returns: kArr, lazy: func(c *call, a []lazyArg) (record.Value, error) {
			return each(c, a, func(out []record.Value, _, r record.Value) []record.Value { return append(out, r) })
		}}},
		examples: []example{{expr: `transformArray(ids, i -> concat("p", i))`, in: `{"ids":[1,2]}`, want: `["p1","p2"]`}, {expr: `transformArray([1, 2], x -> x * factor)`, in: `{"factor":10}`, want: `[10,20]`}},
	},
	{
		name: "flattenArray", category: categoryArray,
		doc: "The elements of all levels of all arguments in one array.",
		sigs: []signature{{params: []param{array("array", "an array"), array("array", "more arrays").orNull()}, rest: 1, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			out := []record.Value{}
			for _, v := range a {
				out = leaves(out, v)
			}
			return record.ArrayOf(out), nil
		}}},
		examples: []example{{expr: `flattenArray([1, [2, [3]]], [4])`, want: `[1,2,3,4]`}},
	},
}

// manyOrArray is the signature of functions over their arguments, or over the elements of one array (data-prep §9.7).
func manyOrArray(f func([]record.Value) (record.Value, error)) signature {
	return signature{
		params: []param{anything("value", "a value, or an array of values"), anything("value", "more values")}, rest: 1, returns: kAny,
		run: func(_ *call, a []record.Value) (record.Value, error) {
			if len(a) == 1 && a[0].Kind() == record.KindArray {
				return f(a[0].Items())
			}
			return f(a)
		},
	}
}

// each runs a lambda over the elements of the first argument.
func each(c *call, a []lazyArg, collect func(out []record.Value, e, r record.Value) []record.Value) (record.Value, error) {
	v, err := a[0].eval()
	if err != nil || v.IsNull() {
		return v, err
	}
	if v, err = convertArg(c.n.sig.param(0), v); err != nil {
		return v, err
	}
	out := make([]record.Value, 0, len(v.Items()))
	for i, e := range v.Items() {
		r, err := a[1].lambda(e, record.IntOf(int64(i)))
		if err != nil {
			return r, err
		}
		out = collect(out, e, r)
	}
	r := record.ArrayOf(out)
	return r, c.f.made(r)
}

// leaves appends what is no array, on all levels.
func leaves(out []record.Value, v record.Value) []record.Value {
	for _, e := range v.Items() {
		if e.Kind() == record.KindArray {
			out = leaves(out, e)
		} else {
			out = append(out, e)
		}
	}
	return out
}

func arrayToString(_ *call, a []record.Value) (record.Value, error) {
	var b []byte
	for i, e := range leaves(nil, a[1]) {
		if i > 0 {
			b = append(b, a[0].Text()...)
		}
		if e.Kind() == record.KindText {
			b = append(b, e.Text()...)
		} else if !e.IsNull() {
			b = appendQuotedOnce(b, e)
		}
		if len(b) > maxText {
			return e, faultf(KindArgument, "the text is longer than 1 MiB")
		}
	}
	return record.TextOf(string(b)), nil
}

// appendQuotedOnce writes a value like JSON with single quotes.
func appendQuotedOnce(dst []byte, v record.Value) []byte {
	switch v.Kind() {
	case record.KindText:
		return append(append(append(dst, '\''), strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.Text())...), '\'')
	case record.KindDate:
		return strconv.AppendInt(dst, v.Time().UnixMilli(), 10)
	case record.KindArray:
		dst = append(dst, '[')
		for i, e := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuotedOnce(dst, e)
		}
		return append(dst, ']')
	case record.KindObject:
		dst = append(dst, '{')
		o := v.Object()
		for i := range o.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			k, e := o.Member(i)
			dst = appendQuotedOnce(dst, record.TextOf(k))
			dst = append(dst, ':')
			dst = appendQuotedOnce(dst, e)
		}
		return append(dst, '}')
	default:
	}
	return v.AppendJSON(dst)
}
