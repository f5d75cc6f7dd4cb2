package mapping

import "weir/record"

const categoryMap = "Hierarchies - Map"

var mapFunctions = []function{
	{
		name: "map_get_values", category: categoryMap,
		doc: "The value of a key, null if it is not there; for an array of keys the values that are there. Keys that are no text become text.",
		sigs: []signature{{params: []param{object("map", "the map"), {name: "key", doc: "a key or an array of keys"}}, returns: kAny, run: func(_ *call, a []record.Value) (record.Value, error) {
			if a[1].Kind() != record.KindArray {
				key, err := keyText(a[1])
				if err != nil {
					return a[1], err
				}
				v, _ := a[0].Get(key)
				return v, nil
			}
			out, seen := []record.Value{}, map[string]bool{}
			err := eachKey(a[1], func(key string) {
				if v, ok := a[0].Get(key); ok && !seen[key] {
					out = append(out, v)
				}
				seen[key] = true
			})
			return record.ArrayOf(out), err
		}}},
		examples: []example{
			{expr: `map_get_values(m, "k")`, in: `{"m":{"k":"v"}}`, want: `"v"`},
			{expr: `map_get_values(m, ["b", "x", "b"])`, in: `{"m":{"a":1,"b":2}}`, want: `[2]`},
			{expr: `map_get_values(m, 7)`, in: `{"m":{"7":"seven"}}`, want: `"seven"`},
		},
	},
	{
		name: "map_has_keys", category: categoryMap,
		doc: "Whether a map has a key, or any key of an array of keys. A null map has none.",
		sigs: []signature{{params: []param{object("map", "the map").orNull(), {name: "key", doc: "a key or an array of keys"}}, returns: kBool, run: func(_ *call, a []record.Value) (record.Value, error) {
			has := false
			keys := a[1]
			if keys.Kind() != record.KindArray {
				keys = record.ArrayOf([]record.Value{keys})
			}
			err := eachKey(keys, func(key string) {
				_, ok := a[0].Get(key)
				has = has || ok
			})
			return record.BoolOf(has), err
		}}},
		examples: []example{{expr: `map_has_keys(to_map("de", 1), ["fr", "de"])`, want: "true"}, {expr: `map_has_keys(gone, "a")`, want: "false"}},
	},
	{
		name: "add_to_map", category: categoryMap,
		doc: "The members of several maps. The first map that has a key gives its value; null maps are skipped.",
		sigs: []signature{{
			params: []param{object("map", "a map").orNull(), object("map", "another map").orNull(), object("map", "more maps").orNull()}, rest: 1, returns: kObj,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				o := &record.Object{}
				some := false
				for _, m := range a {
					some = some || !m.IsNull()
					for i := range m.Object().Len() {
						k, v := m.Object().Member(i)
						if _, ok := o.Get(k); !ok {
							o.Set(k, v)
						}
					}
				}
				if !some {
					return record.Null(), nil
				}
				return record.ObjectOf(o), nil
			},
		}},
		examples: []example{{expr: `add_to_map({"a": 1}, {"a": 2, "b": 3})`, want: `{"a":1,"b":3}`}, {expr: `add_to_map({"a": 1}, "b")`, fails: KindType}},
	},
	{
		name: "object_to_map", category: categoryMap,
		doc: "A map of keys and values in turn; an object as a map; or an array of objects by one of their attributes, whose name may be written without quotes.",
		sigs: []signature{
			{params: []param{{name: "object", doc: "the object"}}, returns: kObj, run: func(_ *call, a []record.Value) (record.Value, error) {
				return convertArg(&param{name: "object", typ: pObj}, a[0])
			}},
			{params: []param{anything("key", "a key, or an array of objects"), anything("value", "its value, or the name of an attribute")}, returns: kObj, lazy: objectToMap},
			pairs(toObject),
		},
		examples: []example{
			{expr: `object_to_map("a", 1, "b", 2)`, want: `{"a":1,"b":2}`},
			{expr: `object_to_map({"a": 1})`, want: `{"a":1}`},
			{expr: `object_to_map(list, type)`, in: `{"list":[{"type":"home","n":1}]}`, want: `{"home":{"type":"home","n":1}}`},
			{expr: `object_to_map(1, "a")`, want: `{"1":"a"}`},
		},
	},
	{
		name: "array_to_map", category: categoryMap,
		doc: "A map from the value of an attribute to the element. Elements without the attribute are skipped, the first one of a value wins.",
		sigs: []signature{{params: []param{array("array", "the elements"), text("attribute", "the name of the attribute")}, returns: kObj, run: func(_ *call, a []record.Value) (record.Value, error) {
			return byAttribute(a[0], a[1].Text()), nil
		}}},
		examples: []example{{expr: `array_to_map(list, "id")`, in: `{"list":[{"id":1,"v":"x"},{"v":"y"}]}`, want: `{"1":{"id":1,"v":"x"}}`}},
	},
	{
		name: "to_map", category: categoryMap,
		doc:      "A map of keys and values in turn. The last value of a key wins.",
		sigs:     []signature{pairs(toObject)},
		examples: []example{{expr: `to_map("firstName", "John", "n", 1)`, want: `{"firstName":"John","n":1}`}},
	},
}

func keyText(v record.Value) (string, error) {
	s, ok := asText(v)
	if !ok {
		return "", faultf(KindType, "%s cannot be a key; keys are text", an(v.Kind()))
	}
	return s, nil
}

func eachKey(keys record.Value, f func(string)) error {
	for _, k := range keys.Items() {
		if k.IsNull() {
			continue
		}
		s, err := keyText(k)
		if err != nil {
			return err
		}
		f(s)
	}
	return nil
}

func byAttribute(list record.Value, attribute string) record.Value {
	o := &record.Object{}
	for _, e := range list.Items() {
		v, _ := e.Get(attribute)
		key, ok := asText(v)
		if !ok {
			continue
		}
		if _, taken := o.Get(key); !taken {
			o.Set(key, e)
		}
	}
	return record.ObjectOf(o)
}

// objectToMap is object_to_map with two arguments: a list with an attribute, or one pair.
func objectToMap(_ *call, a []lazyArg) (record.Value, error) {
	first, err := a[0].eval()
	if err != nil || first.IsNull() {
		return record.Null(), err
	}
	if first.Kind() == record.KindArray {
		switch n := a[1].node.(type) {
		case *fieldNode:
			return byAttribute(first, n.name), nil
		case *localNode:
			return byAttribute(first, n.name), nil
		}
	}
	second, err := a[1].eval()
	if err != nil {
		return second, err
	}
	if first.Kind() == record.KindArray {
		if second.IsNull() {
			return second, nil
		}
		attribute, err := keyText(second)
		return byAttribute(first, attribute), err
	}
	key, err := keyText(first)
	if err != nil {
		return first, err
	}
	o := record.NewObject(1)
	o.Set(key, second)
	return record.ObjectOf(o), nil
}
