package xdm

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"weir/record"
)

// Sample is one record that is valid for the schema: every field once, one element per list and map, served names. Equal schemas have
// equal samples. A pattern that nothing of moderate length satisfies leaves its field out.
func Sample(f *Full) json.RawMessage {
	v, _ := sample(f.root, "", 0)
	if v == nil {
		v = map[string]any{}
	}
	return encode(v)
}

func sample(n *node, name string, depth int) (any, bool) {
	if depth > maxDepth || n.cut {
		return nil, false
	}
	if values, ok := n.keys["enum"].([]any); ok && len(values) > 0 {
		return values[0], true
	}
	if v, ok := n.keys["const"]; ok {
		return v, true
	}
	switch n.xdm() {
	case record.Struct:
		out := map[string]any{}
		for _, p := range slices.Sorted(maps.Keys(n.props)) {
			if v, ok := sample(n.props[p], p, depth+1); ok {
				out[p] = v
			}
		}
		return out, len(out) > 0
	case record.List:
		if n.items == nil {
			return []any{}, false
		}
		v, ok := sample(n.items, name, depth+1)
		return []any{v}, ok
	case record.Map:
		key := "key"
		if name == "identityMap" {
			key = "Email"
		}
		v, ok := sample(n.values, "", depth+1)
		return map[string]any{key: v}, ok
	case record.Boolean:
		return true, true
	case record.Date:
		return "2031-03-04", true
	case record.Timestamp:
		return "2031-03-04T10:11:12Z", true
	case record.Byte, record.Short, record.Int, record.Long, record.Number:
		return sampleNumber(n)
	default:
		return sampleText(n, name)
	}
}

// sampleNumber prefers 1, else the value inside the bounds that is nearest to it.
func sampleNumber(n *node) (any, bool) {
	step := 1.0
	if n.xdm() == record.Number {
		step = 0.5
	}
	var c record.Check
	numericBounds(&c, n)
	v := 1.0
	if c.Minimum != nil {
		v = max(v, math.Ceil(*c.Minimum/step)*step)
	}
	if c.ExclMin != nil && v <= *c.ExclMin {
		v = math.Floor(*c.ExclMin/step)*step + step
	}
	if c.Maximum != nil {
		v = min(v, math.Floor(*c.Maximum/step)*step)
	}
	if c.ExclMax != nil && v >= *c.ExclMax {
		v = math.Ceil(*c.ExclMax/step)*step - step
	}
	outside := c.Minimum != nil && v < *c.Minimum || c.ExclMin != nil && v <= *c.ExclMin || c.Maximum != nil && v > *c.Maximum || c.ExclMax != nil && v >= *c.ExclMax
	return json.Number(strconv.FormatFloat(v, 'f', -1, 64)), !outside
}

var sampleFormats = map[string]string{
	"email": "ida@example.org", "uri": "https://example.org/page", "uri-reference": "/page", "url": "https://example.org/page",
	"ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "hostname": "example.org", "uuid": "5f0c6ab0-6d7a-4a57-9d3e-0c1f7a6d9a11", "time": "10:11:12Z",
}

// likelyText is a text for a field by its format, default, suggestions or name.
func likelyText(n *node, name string) string {
	if text := sampleFormats[n.text("format")]; text != "" {
		return text
	}
	if d := n.text("default"); d != "" {
		return d
	}
	if labels, ok := n.keys["meta:enum"].(map[string]any); ok && len(labels) > 0 {
		return slices.Sorted(maps.Keys(labels))[0]
	}
	return "Sample " + strings.ToLower(words(name))
}

func sampleText(n *node, name string) (any, bool) {
	text := likelyText(n, name)
	lo, hi := length(n.keys["minLength"]), length(n.keys["maxLength"])
	if p := n.text("pattern"); p != "" {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, false
		}
		if !re.MatchString(text) {
			if text = matching(p); !re.MatchString(text) {
				return nil, false
			}
		}
	}
	if hi != nil && len(text) > *hi && n.text("pattern") == "" {
		text = text[:*hi]
	}
	if lo != nil && len(text) < *lo && n.text("pattern") == "" {
		if *lo > 10_000 {
			return nil, false
		}
		text += strings.Repeat("x", *lo-len(text))
	}
	fits := (lo == nil || len(text) >= *lo) && (hi == nil || len(text) <= *hi)
	return text, fits
}

// matching builds a text that the pattern accepts: the first alternative, the fewest repetitions, the first letter of each class.
func matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	build(&b, re.Simplify(), 0)
	return b.String()
}

func build(b *strings.Builder, re *syntax.Regexp, depth int) {
	if depth > 100 || b.Len() > 10_000 {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(readable(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpPlus:
		build(b, re.Sub[0], depth+1)
	case syntax.OpRepeat:
		for range max(re.Min, 0) {
			build(b, re.Sub[0], depth+1)
		}
	case syntax.OpConcat:
		for _, s := range re.Sub {
			build(b, s, depth+1)
		}
	case syntax.OpAlternate:
		build(b, re.Sub[0], depth+1)
	default: // anchors, empty matches, and what may be left out
	}
}

// readable is a letter or digit of the class if it has one, else its first rune.
func readable(ranges []rune) rune {
	for _, want := range "aA0" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}
