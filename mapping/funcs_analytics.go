package mapping

import (
	"strings"

	"weir/record"
)

const categoryAnalytics = "Analytics"

// Fields of one product: category;name;quantity;price;events;eVars.
const (
	productCategory = iota
	productName
	productQuantity
	productPrice
	productEvents
	productEvars
)

var analyticsFunctions = []function{
	{
		name: "aa_get_event_id", category: categoryAnalytics,
		doc: "The id of an event in a list such as event5=2:ab9,event6; null if it has none.",
		sigs: eventSignature(func(e *aaEvent) record.Value {
			if e == nil || !e.hasID {
				return record.Null()
			}
			return record.TextOf(e.id)
		}),
		examples: []example{{expr: `aa_get_event_id("prodView,event5=2:ab9,event6", "event5")`, want: `"ab9"`}},
	},
	{
		name: "aa_get_event_value", category: categoryAnalytics,
		doc: "The value of an event in a list such as event5=2:ab9,event6; 1 if it is there without a value, null if it is not there.",
		sigs: eventSignature(func(e *aaEvent) record.Value {
			switch {
			case e == nil:
				return record.Null()
			case !e.hasValue:
				return record.TextOf("1")
			}
			return record.TextOf(e.value)
		}),
		examples: []example{{expr: `aa_get_event_value("event101=5:123456,scOpen", "scOpen")`, want: `"1"`}, {expr: `aa_get_event_value("event1", "event2")`, want: "null"}},
	},
	productField("aa_get_product_categories", "", "The category of each product; null where it is empty.", productCategory, `[null,"b"]`),
	productField("aa_get_product_names", "", "The name of each product; null where it is empty.", productName, `["One","Two"]`),
	productField("aa_get_product_quantity", "", "The quantity of each product; null where it is empty.", productQuantity, `["1","2"]`),
	productField("aa_get_product_quantities", "aa_get_product_quantity", "The quantity of each product; null where it is empty.", productQuantity, `["1","2"]`),
	productField("aa_get_product_price", "", "The price of each product; null where it is empty.", productPrice, `["3.50",null]`),
	productField("aa_get_product_prices", "aa_get_product_price", "The price of each product; null where it is empty.", productPrice, `["3.50",null]`),
	productEntry("aa_get_product_event_values", "The value of an event of each product; null where it is absent.", productEvents, `["2",null]`, func(e *aaEvent) record.Value {
		switch {
		case e == nil:
			return record.Null()
		case !e.hasValue:
			return record.TextOf("1")
		}
		return record.TextOf(e.value)
	}),
	productEntry("aa_get_product_event_ids", "The id of an event of each product; null where it is absent.", productEvents, `["x",null]`, func(e *aaEvent) record.Value {
		if e == nil || !e.hasID {
			return record.Null()
		}
		return record.TextOf(e.id)
	}),
	productEntry("aa_get_product_events", "Id and value of an event of each product; null where it is absent.", productEvents, `[{"id":"x","value":"2"},null]`, func(e *aaEvent) record.Value {
		if e == nil {
			return record.Null()
		}
		o := record.NewObject(2)
		o.Set("id", record.Null())
		if e.hasID {
			o.Set("id", record.TextOf(e.id))
		}
		o.Set("value", record.TextOf("1"))
		if e.hasValue {
			o.Set("value", record.TextOf(e.value))
		}
		return record.ObjectOf(o)
	}),
	productEntry("aa_get_product_evars", "The value of an eVar of each product; null where it is absent.", productEvars, `[null,"z"]`, func(e *aaEvent) record.Value {
		if e == nil || !e.hasValue {
			return record.Null()
		}
		return record.TextOf(e.value)
	}),
}

const productSample = `;One;1;3.50;event1=2:x,b;Two;2;;;event1=z`

// aaEvent is one entry name[=value][:id].
type aaEvent struct {
	name, value, id string
	hasValue, hasID bool
}

func findEvent(list, sep, name string) *aaEvent {
	for entry := range strings.SplitSeq(list, sep) {
		var e aaEvent
		entry = strings.TrimSpace(entry)
		e.name, e.value, e.hasValue = strings.Cut(entry, "=")
		if e.hasValue {
			e.value, e.id, e.hasID = strings.Cut(e.value, ":")
			e.hasValue = e.value != ""
		} else {
			e.name, e.id, e.hasID = strings.Cut(e.name, ":")
		}
		if e.name == name {
			return &e
		}
	}
	return nil
}

func eventSignature(get func(*aaEvent) record.Value) []signature {
	return []signature{{params: []param{text("events", "the list of events"), text("name", "the event")}, returns: kText, run: func(_ *call, a []record.Value) (record.Value, error) {
		return get(findEvent(a[0].Text(), ",", a[1].Text())), nil
	}}}
}

// products calls get with field i of each product.
func products(list string, i int, get func(field string) record.Value) record.Value {
	var out []record.Value
	for product := range strings.SplitSeq(list, ",") {
		fields := strings.Split(product, ";")
		field := ""
		if i < len(fields) {
			field = strings.TrimSpace(fields[i])
		}
		out = append(out, get(field))
	}
	return record.ArrayOf(out)
}

func productField(name, alias, doc string, field int, want string) function {
	return function{
		name: name, category: categoryAnalytics, doc: doc, alias: alias,
		sigs: []signature{{params: []param{text("products", "the list of products")}, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			return products(a[0].Text(), field, func(f string) record.Value {
				if f == "" {
					return record.Null()
				}
				return record.TextOf(f)
			}), nil
		}}},
		examples: []example{{expr: name + `(p)`, in: `{"p":"` + productSample + `"}`, want: want}},
	}
}

func productEntry(name, doc string, field int, want string, get func(*aaEvent) record.Value) function {
	return function{
		name: name, category: categoryAnalytics, doc: doc,
		sigs: []signature{{params: []param{text("products", "the list of products"), text("name", "the event or eVar")}, returns: kArr, run: func(_ *call, a []record.Value) (record.Value, error) {
			return products(a[0].Text(), field, func(f string) record.Value { return get(findEvent(f, "|", a[1].Text())) }), nil
		}}},
		examples: []example{{expr: name + `(p, "event1")`, in: `{"p":"` + productSample + `"}`, want: want}},
	}
}
