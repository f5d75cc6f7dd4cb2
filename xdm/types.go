package xdm

import (
	"encoding/json"
	"math/big"

	"weir/record"
)

// narrowing are the integer types by their documented bounds, which overflow each type by one and are read as type markers (§1.8).
var narrowing = []struct {
	limit int64
	typ   record.Type
}{
	{128, record.Byte}, {32768, record.Short}, {2147483648, record.Int},
}

// integerType is the smallest integer type that holds all values between the bounds; int if a bound is missing.
// An upper bound alone or a lower bound alone never narrows below int, it only widens.
func integerType(minimum, maximum any) record.Type {
	lo, hasLo := bound(minimum)
	hi, hasHi := bound(maximum)
	for _, n := range narrowing {
		fits := (!hasLo || within(lo, n.limit)) && (!hasHi || within(hi, n.limit))
		if fits && (hasLo && hasHi || n.typ == record.Int) {
			return n.typ
		}
	}
	return record.Long
}

func within(v *big.Float, limit int64) bool {
	l := new(big.Float).SetInt64(limit)
	return v.Cmp(l) <= 0 && v.Cmp(new(big.Float).Neg(l)) >= 0
}

func bound(v any) (*big.Float, bool) {
	var text string
	switch n := v.(type) {
	case json.Number:
		text = n.String()
	case float64:
		return big.NewFloat(n), true
	default:
		return nil, false
	}
	f, _, err := big.ParseFloat(text, 10, 200, big.ToNearestEven)
	if err != nil {
		return nil, false
	}
	return f, true
}

// xdmTypes are the names of record types in meta:xdmType.
var xdmTypes = map[string]record.Type{
	"string": record.String, "boolean": record.Boolean, "byte": record.Byte, "short": record.Short, "int": record.Int, "long": record.Long,
	"integer": record.Int, "number": record.Number, "double": record.Number, "date": record.Date, "date-time": record.Timestamp,
	"object": record.Struct, "array": record.List, "map": record.Map,
}

// typeOf derives the XDM type of a JSON Schema node from type, format, bounds and members; meta:xdmType decides only between object and map
// and where there is no type at all. record.Invalid if nothing says what it is.
func typeOf(typ, format string, keys map[string]any, hasProps, hasItems, hasValues bool) record.Type {
	switch typ {
	case "string":
		switch format {
		case "date":
			return record.Date
		case "date-time":
			return record.Timestamp
		}
		return record.String
	case "boolean":
		return record.Boolean
	case "number":
		return record.Number
	case "integer":
		return integerType(keys["minimum"], keys["maximum"])
	case "array":
		return record.List
	case "object":
		if hasValues && !hasProps {
			return record.Map
		}
		return record.Struct
	}
	switch {
	case hasProps:
		return record.Struct
	case hasItems:
		return record.List
	case hasValues:
		return record.Map
	}
	if name, ok := keys["meta:xdmType"].(string); ok {
		return xdmTypes[name]
	}
	return record.Invalid
}

// annotate adds meta:xdmType to every field of a raw tree that can tell its type without following references.
// It must only be called on a tree nobody else reads yet.
func annotate(tree map[string]any) {
	walkFields(tree, func(node map[string]any) {
		if _, has := node["meta:xdmType"]; has {
			return
		}
		_, props := node["properties"].(map[string]any)
		_, items := node["items"].(map[string]any)
		_, values := node["additionalProperties"].(map[string]any)
		typ, _ := node["type"].(string)
		format, _ := node["format"].(string)
		if t := typeOf(typ, format, node, props, items, values); t != record.Invalid {
			node["meta:xdmType"] = t.String()
		}
	})
}

// walkFields calls fn for every field below a raw schema node: members of properties, items, additionalProperties, allOf and definitions.
func walkFields(node map[string]any, fn func(field map[string]any)) {
	for _, key := range []string{"properties", "definitions"} {
		members, _ := node[key].(map[string]any)
		for _, m := range members {
			if f, ok := m.(map[string]any); ok {
				if key == "properties" {
					fn(f)
				}
				walkFields(f, fn)
			}
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if f, ok := node[key].(map[string]any); ok {
			fn(f)
			walkFields(f, fn)
		}
	}
	all, _ := node["allOf"].([]any)
	for _, m := range all {
		if f, ok := m.(map[string]any); ok {
			walkFields(f, fn)
		}
	}
}
