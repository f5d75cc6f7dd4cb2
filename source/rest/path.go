package rest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"weir"
)

// step is one segment of a path: a member name, an array index, or every child.
type step struct {
	name  string
	index int
	kind  stepKind
}

type stepKind uint8

const (
	byName stepKind = iota
	byIndex
	every
)

// path is the subset of JSONPath that specs use: $, $.a.b, a.b, $['a'], $.a[0], $.a[*], $.a.*.
type path []step

// parsePath reads a path. Filters, slices, recursive descent and functions are refused with 1314.
func parsePath(text string) (path, error) {
	refuse := func(why string) (path, error) {
		return nil, weir.Errorf("CONNECTOR-1314-400", "path %q: %s; allowed are $, .name, ['name'], [0] and [*]", text, why)
	}
	s := strings.TrimSpace(text)
	s = strings.TrimPrefix(s, "$")
	var p path
	for first := true; s != ""; first = false {
		switch {
		case s[0] == '[':
			rest, st, why := bracket(s)
			if why != "" {
				return refuse(why)
			}
			p, s = append(p, st), rest
			continue
		case s[0] == '.':
			s = s[1:]
			if s == "" {
				return p, nil // "$." is the root
			}
			if s[0] == '.' {
				return refuse("recursive descent is not supported")
			}
			if s[0] == '[' {
				continue
			}
		case !first:
			return refuse("a dot or bracket is missing")
		}
		n := strings.IndexAny(s, ".[")
		if n < 0 {
			n = len(s)
		}
		name := s[:n]
		if name == "" || strings.ContainsAny(name, "()]?\"'") {
			return refuse("a name is malformed")
		}
		s = s[n:]
		if name == "*" {
			p = append(p, step{kind: every})
		} else {
			p = append(p, step{name: name})
		}
	}
	return p, nil
}

// bracket reads one [..] segment and returns what follows; why is set when it is not one of ours.
func bracket(s string) (rest string, st step, why string) {
	if len(s) > 1 && (s[1] == '\'' || s[1] == '"') {
		quote := s[1]
		var name strings.Builder
		for i := 2; i < len(s); i++ {
			switch s[i] {
			case '\\':
				if i+1 == len(s) {
					return "", st, "a quoted name does not end"
				}
				i++
				name.WriteByte(s[i])
			case quote:
				if i+1 == len(s) || s[i+1] != ']' {
					return "", st, "a bracket does not close after a quoted name"
				}
				return s[i+2:], step{name: name.String()}, ""
			default:
				name.WriteByte(s[i])
			}
		}
		return "", st, "a quoted name does not end"
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return "", st, "a bracket does not close"
	}
	in := strings.TrimSpace(s[1:end])
	switch n, err := strconv.Atoi(in); {
	case in == "*":
		return s[end+1:], step{kind: every}, ""
	case err == nil && n >= 0:
		return s[end+1:], step{kind: byIndex, index: n}, ""
	}
	return "", st, "filters, slices and expressions are not supported"
}

// String is the path in canonical form.
func (p path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, st := range p {
		switch {
		case st.kind == every:
			b.WriteString("[*]")
		case st.kind == byIndex:
			b.WriteString("[" + strconv.Itoa(st.index) + "]")
		case plainName(st.name):
			b.WriteString("." + st.name)
		default:
			b.WriteString("['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(st.name) + "']")
		}
	}
	return b.String()
}

func plainName(s string) bool {
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	return s != "" && s != "*" && !strings.ContainsAny(s, ".[]()?\"'\\@") && s[0] != '$' && !strings.ContainsFunc(s, odd)
}

// array is the path without a trailing [*]: the array itself.
func (p path) array() path {
	if n := len(p); n > 0 && p[n-1].kind == every {
		return p[:n-1]
	}
	return p
}

// last is the name of the last member on the path, or "".
func (p path) last() string {
	for _, v := range slices.Backward(p) {
		if v.kind == byName {
			return v.name
		}
	}
	return ""
}

// pluck finds the first value at p inside raw, which must be valid JSON. The result is a part of raw; nil if there is none.
func pluck(raw []byte, p path) []byte {
	s := scanner{buf: raw, final: true}
	at := s.space(0)
	for i, st := range p {
		if at >= len(raw) {
			return nil
		}
		var ok bool
		switch {
		case st.kind == byName && raw[at] == '{':
			at, ok = s.member(at, st.name)
		case st.kind == byIndex && raw[at] == '[':
			at, ok = s.element(at, st.index)
		case st.kind == every && (raw[at] == '[' || raw[at] == '{'):
			var found []byte
			s.each(at, func(child []byte) bool {
				found = pluck(child, p[i+1:])
				return found == nil
			})
			return found
		}
		if !ok {
			return nil
		}
	}
	end, err := s.value(at)
	if err != nil {
		return nil
	}
	return raw[at:end]
}

// member returns where the value of the named member of the object at p starts.
func (s *scanner) member(p int, name string) (int, bool) {
	p = s.space(p + 1)
	for p < len(s.buf) && s.buf[p] == '"' {
		v, err := s.name(p)
		if err != nil {
			return p, false
		}
		if nameIs(s.buf[p:v], name) {
			return v, true
		}
		if p, err = s.value(v); err != nil {
			return p, false
		}
		if p = s.space(p); p < len(s.buf) && s.buf[p] == ',' {
			p = s.space(p + 1)
		}
	}
	return p, false
}

// element returns where element n of the array at p starts.
func (s *scanner) element(p, n int) (int, bool) {
	p = s.space(p + 1)
	for i := 0; p < len(s.buf) && s.buf[p] != ']'; i++ {
		if i == n {
			return p, true
		}
		var err error
		if p, err = s.value(p); err != nil {
			return p, false
		}
		if p = s.space(p); p < len(s.buf) && s.buf[p] == ',' {
			p = s.space(p + 1)
		}
	}
	return p, false
}

// each calls fn for every child value of the container at p until fn returns false.
func (s *scanner) each(p int, fn func(child []byte) bool) {
	object := s.buf[p] == '{'
	p = s.space(p + 1)
	for p < len(s.buf) && s.buf[p] != ']' && s.buf[p] != '}' {
		var err error
		if object {
			if p, err = s.name(p); err != nil {
				return
			}
		}
		end, err := s.value(p)
		if err != nil || !fn(s.buf[p:end]) {
			return
		}
		if p = s.space(end); p < len(s.buf) && s.buf[p] == ',' {
			p = s.space(p + 1)
		}
	}
}

// members calls fn for every member of the object in raw (name with its quotes) until fn returns false.
func members(raw []byte, fn func(name, value []byte) bool) {
	s := scanner{buf: raw, final: true}
	p := s.space(0)
	if p >= len(raw) || raw[p] != '{' {
		return
	}
	p = s.space(p + 1)
	for p < len(raw) && raw[p] == '"' {
		v, err := s.name(p)
		if err != nil {
			return
		}
		end, err := s.value(v)
		if err != nil || !fn(quoted(raw[p:v]), raw[v:end]) {
			return
		}
		if p = s.space(end); p < len(raw) && raw[p] == ',' {
			p = s.space(p + 1)
		}
	}
}

// quoted cuts the text of a member name up to its closing quote.
func quoted(b []byte) []byte {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i+1]
		}
	}
	return b
}

// nameIs reports whether b, a member name with quotes (more may follow), spells name.
func nameIs(b []byte, name string) bool {
	if len(b) >= len(name)+2 && string(b[1:len(name)+1]) == name && b[len(name)+1] == '"' {
		return true
	}
	q := quoted(b)
	escaped := false
	for _, c := range q {
		escaped = escaped || c == '\\'
	}
	return escaped && unquote(q) == name
}

// unquote decodes a JSON string; text that is not one comes back as it is.
func unquote(b []byte) string {
	if len(b) < 2 || b[0] != '"' {
		return string(b)
	}
	for _, c := range b {
		if c == '\\' {
			var s string
			if json.Unmarshal(b, &s) == nil {
				return s
			}
			break
		}
	}
	return string(b[1 : len(b)-1])
}

// scalarText is the text of a JSON scalar: strings decoded, numbers and booleans as written, null as "".
// ok is false for objects and arrays, and for no value.
func scalarText(raw []byte) (text string, ok bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '{', '[':
		return "", false
	case 'n':
		return "", true
	}
	return unquote(raw), true
}
