package rest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// shape is an inferred JSON Schema: what values at one place looked like.
type shape struct {
	kinds   map[string]bool // object, array, string, boolean, integer, number
	names   []string        // members in order of appearance
	members map[string]*shape
	items   *shape
}

// inferSchema describes sample values (contract flow-service §5.5): integers carry the bounds of a safe integer, a
// value seen only as null is {}, the elements of arrays are merged, integers and numbers together are numbers.
func inferSchema(data []json.RawMessage) json.RawMessage {
	top := &shape{}
	for _, raw := range data {
		top.see(raw, 0)
	}
	if len(top.kinds) == 0 {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return top.write(nil)
}

// inferDepth bounds how deep an inferred schema goes.
const inferDepth = 64

func (sh *shape) see(raw []byte, depth int) {
	if len(raw) == 0 || depth > inferDepth {
		return
	}
	if sh.kinds == nil {
		sh.kinds = map[string]bool{}
	}
	switch raw[0] {
	case '{':
		sh.kinds["object"] = true
		if sh.members == nil {
			sh.members = map[string]*shape{}
		}
		members(raw, func(name, value []byte) bool {
			n := unquote(name)
			m := sh.members[n]
			if m == nil {
				m = &shape{}
				sh.members[n] = m
				sh.names = append(sh.names, n)
			}
			m.see(value, depth+1)
			return true
		})
	case '[':
		sh.kinds["array"] = true
		if sh.items == nil {
			sh.items = &shape{}
		}
		s := scanner{buf: raw, final: true}
		s.each(0, func(v []byte) bool { sh.items.see(v, depth+1); return true })
	case '"':
		sh.kinds["string"] = true
	case 't', 'f':
		sh.kinds["boolean"] = true
	case 'n':
	default:
		if bytes.ContainsAny(raw, ".eE") {
			sh.kinds["number"] = true
		} else {
			sh.kinds["integer"] = true
		}
	}
}

// write appends the schema.
func (sh *shape) write(b []byte) []byte {
	kinds := sh.kinds
	if kinds["number"] {
		delete(kinds, "integer")
	}
	if len(kinds) == 0 {
		return append(b, "{}"...)
	}
	var list []string
	for _, k := range []string{"object", "array", "string", "boolean", "integer", "number"} {
		if kinds[k] {
			list = append(list, `"`+k+`"`)
		}
	}
	if len(list) == 1 {
		b = append(b, `{"type":`+list[0]...)
	} else {
		b = append(b, `{"type":[`+strings.Join(list, ",")+`]`...)
	}
	if kinds["integer"] {
		b = append(b, `,"minimum":-9007199254740992,"maximum":9007199254740991`...)
	}
	if kinds["object"] {
		b = append(b, `,"properties":{`...)
		for i, n := range sh.names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quote(n)...), ':')
			b = sh.members[n].write(b)
		}
		b = append(b, '}')
	}
	if kinds["array"] {
		b = append(b, `,"items":`...)
		b = sh.items.write(b)
	}
	return append(b, '}')
}
