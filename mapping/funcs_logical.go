package mapping

import "weir/record"

const (
	categoryLogical   = "Logical"
	categoryAggregate = "Aggregation"
)

var logicalFunctions = []function{
	{
		name: "decode", category: categoryLogical,
		doc:      "The value behind the first key that equals the first argument, else the default (a last argument without a partner) or null. Only the chosen value is computed.",
		sigs:     []signature{{params: []param{anything("key", "what to look for"), anything("key1", "a key"), anything("value1", "its value"), anything("more", "more keys and values, then the default")}, rest: 1, returns: kAny, lazy: decode}},
		examples: []example{{expr: `decode(s, "o", "open", "c", "closed", "other")`, in: `{"s":"c"}`, want: `"closed"`}, {expr: `decode(s, "o", "open", "other")`, want: `"other"`}, {expr: `decode("A", "a", 1)`, want: "null"}},
	},
	{
		name: "iif", category: categoryLogical,
		doc: "The second argument if the condition is true, else the third. Only that one is computed.",
		sigs: []signature{{params: []param{boolean("condition", "the condition; null counts as false").orNull(), anything("then", "the value if it is true"), anything("else", "the value if it is not")}, returns: kAny, lazy: func(c *call, a []lazyArg) (record.Value, error) {
			v, err := a[0].eval()
			if err != nil {
				return v, err
			}
			if v.IsNull() {
				return a[2].eval()
			}
			if v, err = convertArg(c.n.sig.param(0), v); err != nil {
				return v, err
			}
			if v.Bool() {
				return a[1].eval()
			}
			return a[2].eval()
		}}},
		examples: []example{{expr: `iif(qty == 0, 0, total / qty)`, in: `{"qty":0,"total":10}`, want: "0"}, {expr: `iif(gone, 1, 2)`, want: "2"}},
	},
	{
		name: "min", category: categoryAggregate,
		doc:      "The least of numbers, texts or dates; of the elements, if there is one argument that is an array. Nulls are ignored.",
		sigs:     []signature{manyOrArray(func(vals []record.Value) (record.Value, error) { return extreme(vals, -1) })},
		examples: []example{{expr: `min(3, 1, 4)`, want: "1"}, {expr: `min(null, [2, 1][0])`, want: "2"}, {expr: `min(1, "a")`, fails: KindType}},
	},
	{
		name: "max", category: categoryAggregate,
		doc:      "The greatest of numbers, texts or dates; of the elements, if there is one argument that is an array. Nulls are ignored.",
		sigs:     []signature{manyOrArray(func(vals []record.Value) (record.Value, error) { return extreme(vals, 1) })},
		examples: []example{{expr: `max("ab", "b")`, want: `"b"`}, {expr: `max([1, 2.5])`, want: "2.5"}},
	},
}

func decode(_ *call, a []lazyArg) (record.Value, error) {
	key, err := a[0].eval()
	if err != nil {
		return key, err
	}
	i := 1
	for ; i+1 < len(a); i += 2 {
		if key.IsNull() {
			continue
		}
		k, err := a[i].eval()
		if err != nil {
			return k, err
		}
		if alike(key, k) {
			return a[i+1].eval()
		}
	}
	if i < len(a) {
		return a[i].eval()
	}
	return record.Null(), nil
}

// extreme is the value that compares to all others as sign says.
func extreme(vals []record.Value, sign int) (record.Value, error) {
	best := record.Null()
	for _, v := range vals {
		if v.IsNull() {
			continue
		}
		if best.IsNull() {
			if !kindOf(v).can(kNum | kText | kDate) {
				return v, faultf(KindType, "%s has no order; numbers, text and dates have one", an(v.Kind()))
			}
			best = v
			continue
		}
		if best.IsNumber() != v.IsNumber() || !v.IsNumber() && best.Kind() != v.Kind() {
			return v, faultf(KindType, "%s and %s cannot be compared; all values must be numbers, all text or all dates", an(best.Kind()), an(v.Kind()))
		}
		c, err := compare(v, best)
		if err != nil {
			return v, err
		}
		if c*sign > 0 {
			best = v
		}
	}
	return best, nil
}
