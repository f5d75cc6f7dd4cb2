package record

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Step is one step of a path: into a member, one element, or every element.
type Step struct {
	Name  string // member, when Index is ByName
	Index int    // element from 0, ByName or Every
}

// Special values of Step.Index.
const (
	ByName = -1 // the step is into a member
	Every  = -2 // the step is [*]
)

// Path leads to a value inside a record: segment ( "." segment | "[" index "]" | "[*]" )* (data-prep §5.2).
type Path []Step

// maxIndex is the largest index a path may name; it equals the longest array the mapping makes.
const maxIndex = 100_000

// ParsePath reads a path. A backslash takes the next character literally. Names compare exactly.
func ParsePath(text string) (Path, error) {
	var p Path
	var name strings.Builder
	for i, want := 0, true; ; {
		if want { // a segment
			name.Reset()
			from := i
			for i < len(text) && text[i] != '.' && text[i] != '[' {
				if text[i] == '\\' {
					if i++; i == len(text) {
						return nil, fmt.Errorf("path %s ends in a backslash; write \\\\ for a backslash in a name", quoteShort(text))
					}
				}
				name.WriteByte(text[i])
				i++
			}
			if i == from {
				return nil, fmt.Errorf("path %s has an empty name at position %d", quoteShort(text), i+1)
			}
			p = append(p, Step{Name: name.String(), Index: ByName})
			want = false
		}
		if i == len(text) {
			return p, nil
		}
		switch text[i] {
		case '.':
			i++
			want = true
		case '[':
			end := strings.IndexByte(text[i:], ']')
			if end < 0 {
				return nil, fmt.Errorf("path %s has no ] for the [ at position %d", quoteShort(text), i+1)
			}
			in := text[i+1 : i+end]
			step := Step{Index: Every}
			if in != "*" {
				n, err := strconv.Atoi(in)
				if err != nil || in[0] == '-' || in[0] == '+' || n >= maxIndex {
					return nil, fmt.Errorf("path %s: [%s] is no index; write a number below %d or *", quoteShort(text), in, maxIndex)
				}
				step.Index = n
			}
			p = append(p, step)
			i += end + 1
		default:
			return nil, fmt.Errorf("path %s: a dot or [ must follow the ] before position %d", quoteShort(text), i+1)
		}
	}
}

func quoteShort(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return strconv.Quote(s)
}

// AppendName appends a member name as a path segment, with backslashes where the grammar needs them.
func AppendName(dst []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c == '.' || c == '[' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, name[i])
	}
	return dst
}

// String is the path's normal form; ParsePath reads it back.
func (p Path) String() string {
	var b []byte
	for i, s := range p {
		switch {
		case s.Index >= 0:
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.Index), 10)
			b = append(b, ']')
		case s.Index == Every:
			b = append(b, "[*]"...)
		default:
			if i > 0 {
				b = append(b, '.')
			}
			b = AppendName(b, s.Name)
		}
	}
	return string(b)
}

// Wildcards is how many [*] the path has.
func (p Path) Wildcards() int {
	n := 0
	for _, s := range p {
		if s.Index == Every {
			n++
		}
	}
	return n
}

// Get follows the path. Each [*] gives an array of what the rest of the path finds in the elements, null where it finds nothing.
// ok is false when a name, index or array on the way is missing (before the first [*]).
func (p Path) Get(v Value) (found Value, ok bool) {
	for i, s := range p {
		switch {
		case s.Index >= 0:
			v, ok = v.At(s.Index)
		case s.Index == ByName:
			v, ok = v.Get(s.Name)
		default:
			if v.Kind() != KindArray {
				return Value{}, false
			}
			if rest := p[i+1:]; len(rest) > 0 {
				items := make([]Value, len(v.Items()))
				for j, e := range v.Items() {
					items[j], _ = rest.Get(e)
				}
				v = ArrayOf(items)
			}
			return v, true
		}
		if !ok {
			return Value{}, false
		}
	}
	return v, true
}

// Has reports whether the path leads to a value, null included; for [*] whether it does in one of the elements.
func (p Path) Has(v Value) bool {
	for i, s := range p {
		var ok bool
		switch {
		case s.Index >= 0:
			v, ok = v.At(s.Index)
		case s.Index == ByName:
			v, ok = v.Get(s.Name)
		default:
			return slices.ContainsFunc(v.Items(), p[i+1:].Has)
		}
		if !ok {
			return false
		}
	}
	return true
}
