package mapping

import (
	"strings"

	"weir/record"
)

const categoryObject = "Hierarchies - Objects"

var objectFunctions = []function{
	{
		name: "is_empty", category: categoryObject,
		doc: "Whether a value is null, empty text, an empty array or an empty object. Numbers and booleans are not empty.",
		sigs: []signature{{params: []param{anything("value", "the value")}, returns: kBool, run: func(_ *call, a []record.Value) (record.Value, error) {
			return record.BoolOf(!a[0].IsNumber() && isEmpty(a[0])), nil
		}}},
		examples: []example{{expr: `is_empty("  ")`, want: "false"}, {expr: `is_empty([])`, want: "true"}, {expr: `is_empty(gone)`, want: "true"}, {expr: `is_empty(0)`, want: "false"}},
	},
	arraysToObjects("arrays_to_objects", ""),
	arraysToObjects("arrays_to_object", "arrays_to_objects"),
	{
		name: "to_object", category: categoryObject,
		doc:      "An object of keys and values in turn. The last value of a key wins.",
		sigs:     []signature{pairs(toObject)},
		examples: []example{{expr: `to_object("code", upper(c), "n", 1)`, in: `{"c":"x"}`, want: `{"code":"X","n":1}`}},
	},
	{
		name: "str_to_object", category: categoryObject,
		doc: "Reads text such as a:1,b:2 as an object. The text is cut at the field delimiter, then each part at its first value delimiter; both sides are trimmed, parts without a value delimiter are skipped.",
		sigs: []signature{{
			params: []param{text("text", "the text"), text("valueDelimiter", "between key and value, a colon if left out").opt(), text("fieldDelimiter", "between pairs, a comma if left out").opt()}, returns: kObj,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				return record.ObjectOf(delimited(a[0].Text(), argText(a, 1), argText(a, 2))), nil
			},
		}},
		examples: []example{{expr: `str_to_object("w=3 & h=4", "=", "&")`, want: `{"w":"3","h":"4"}`}, {expr: `str_to_object("t:10:30,u:x,v")`, want: `{"t":"10:30","u":"x"}`}},
	},
	containsKey("contains_key", "Whether a path exists in the record, with a null value too.", ""),
	containsKey("is_set", "Whether a path exists in the record, with a null value too. An older name.", "contains_key"),
	{
		name: "nullify", category: categoryObject,
		doc: "No value for this target: it is not written, and taken out of a copied object.",
		sigs: []signature{{returns: kNull, run: func(*call, []record.Value) (record.Value, error) {
			return record.Nothing(), nil
		}}},
		examples: []example{{expr: `nullify()`, want: "null"}, {expr: `iif(kind.equals("mail"), nullify(), kind)`, in: `{"kind":"mail"}`, want: "null"}},
	},
	{
		name: "get_keys", category: categoryObject,
		doc:      "The keys of an object in their order.",
		sigs:     []signature{{params: []param{object("object", "the object")}, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) { return keysOf(a[0]), nil }}},
		examples: []example{{expr: `get_keys({"b": 1, "a": 2})`, want: `["b","a"]`}},
	},
	{
		name: "get_values", category: categoryObject,
		doc: "Reads text such as a:1,b:2 like str_to_object and gives the value of one key, null if it is not there.",
		sigs: []signature{{
			params: []param{
				text("text", "the text"), text("key", "the key"), text("valueDelimiter", "between key and value; a colon if null or empty").orNull(),
				text("fieldDelimiter", "between pairs; a comma if left out, null or empty").opt(),
			}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				v, _ := delimited(a[0].Text(), argText(a, 2), argText(a, 3)).Get(a[1].Text())
				return v, nil
			},
		}},
		examples: []example{{expr: `get_values("w=3;h=4", "h", "=", ";")`, want: `"4"`}, {expr: `get_values("a:1,b:2", "b", null, null)`, want: `"2"`}},
	},
}

// argText is a text argument, "" if it was left out or null.
func argText(a []record.Value, i int) string {
	if i < len(a) {
		return a[i].Text()
	}
	return ""
}

func delimited(s, valueDelim, fieldDelim string) *record.Object {
	if valueDelim == "" {
		valueDelim = ":"
	}
	if fieldDelim == "" {
		fieldDelim = ","
	}
	o := &record.Object{}
	for part := range strings.SplitSeq(s, fieldDelim) {
		if k, v, ok := strings.Cut(part, valueDelim); ok {
			o.Set(strings.TrimSpace(k), record.TextOf(strings.TrimSpace(v)))
		}
	}
	return o
}

func keysOf(x record.Value) record.Value {
	o := x.Object()
	out := make([]record.Value, o.Len())
	for i := range out {
		k, _ := o.Member(i)
		out[i] = record.TextOf(k)
	}
	return record.ArrayOf(out)
}

// pairs is the signature of keys and values in turn.
func pairs(run func(*call, []record.Value) (record.Value, error)) signature {
	return signature{
		params: []param{text("key", "a key"), anything("value", "its value"), text("key", "more keys"), anything("value", "and values")}, rest: 2,
		returns: kObj, run: run,
	}
}

func toObject(_ *call, a []record.Value) (record.Value, error) {
	o := record.NewObject(len(a) / 2)
	for i := 0; i+1 < len(a); i += 2 {
		o.Set(a[i].Text(), a[i+1])
	}
	return record.ObjectOf(o), nil
}

func arraysToObjects(name, alias string) function {
	return function{
		name: name, category: categoryObject, alias: alias,
		doc: "An array of objects from arrays of member values, by position. Shorter arrays give null members.",
		sigs: []signature{{
			params:  []param{text("key", "a key"), array("values", "its values"), text("key", "more keys"), array("values", "and values").orNull()},
			rest:    2,
			returns: kArr,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				n := 0
				for i := 1; i < len(a); i += 2 {
					n = max(n, len(a[i].Items()))
				}
				out := make([]record.Value, n)
				for j := range out {
					o := record.NewObject(len(a) / 2)
					for i := 0; i+1 < len(a); i += 2 {
						v, _ := a[i+1].At(j)
						o.Set(a[i].Text(), v)
					}
					out[j] = record.ObjectOf(o)
				}
				return record.ArrayOf(out), nil
			},
		}},
		examples: []example{
			{expr: name + `("n", ["x", "y"], "v", [1, 2])`, want: `[{"n":"x","v":1},{"n":"y","v":2}]`},
			{expr: name + `("a", [1, 2], "b", ["x"])`, want: `[{"a":1,"b":"x"},{"a":2,"b":null}]`},
			{expr: name + `("a")`, fails: KindArity},
		},
	}
}

func containsKey(name, doc, alias string) function {
	return function{
		name: name, category: categoryObject, doc: doc, alias: alias, impure: true,
		sigs: []signature{{params: []param{text("path", "a path such as lines[0].sku").prepared(preparePath)}, returns: kBool, run: func(c *call, a []record.Value) (record.Value, error) {
			wrapper := c.f.expr.opts.Wrapper
			if _, ok := lookup(c.f.rec, wrapper, a[0].Text()); ok {
				return record.BoolOf(true), nil
			}
			p, err := prepared[record.Path](c, 0, a[0])
			if err != nil || p == nil {
				return record.BoolOf(false), err
			}
			v, ok := lookup(c.f.rec, wrapper, p[0].Name)
			return record.BoolOf(ok && p[1:].Has(v)), nil
		}}},
		examples: []example{
			{expr: name + `("lines[0].sku")`, in: `{"lines":[{"sku":null}]}`, want: "true"}, {expr: name + `("a.b")`, in: `{"a":5}`, want: "false"},
		},
	}
}

func preparePath(text string) (any, error) {
	if text == "" {
		return record.Path(nil), nil
	}
	p, err := record.ParsePath(text)
	if err != nil {
		return nil, faultf(KindArgument, "%s", err)
	}
	return p, nil
}
