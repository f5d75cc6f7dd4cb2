package mapping

import (
	"slices"
	"strings"
	"unicode"
)

// charSet is a set of characters as ranges (pairs of first and last, sorted), or all others if neg.
type charSet struct {
	neg bool
	r   []rune
}

func setOf(pairs ...rune) *charSet { return (&charSet{r: pairs}).tidy() }

// tidy sorts and joins the ranges.
func (s *charSet) tidy() *charSet {
	type pair struct{ lo, hi rune }
	ps := make([]pair, 0, len(s.r)/2)
	for i := 0; i+1 < len(s.r); i += 2 {
		if s.r[i] <= s.r[i+1] {
			ps = append(ps, pair{s.r[i], s.r[i+1]})
		}
	}
	slices.SortFunc(ps, func(a, b pair) int { return int(a.lo - b.lo) })
	out := s.r[:0:0]
	for _, p := range ps {
		if n := len(out); n > 0 && p.lo <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p.hi)
			continue
		}
		out = append(out, p.lo, p.hi)
	}
	s.r = out
	return s
}

func (s *charSet) inverse() *charSet { return &charSet{!s.neg, s.r} }

// plain is the set without neg.
func (s *charSet) plain() *charSet {
	if !s.neg {
		return s
	}
	out, from := []rune{}, rune(0)
	for i := 0; i < len(s.r); i += 2 {
		if s.r[i] > from {
			out = append(out, from, s.r[i]-1)
		}
		from = s.r[i+1] + 1
	}
	if from <= unicode.MaxRune {
		out = append(out, from, unicode.MaxRune)
	}
	return &charSet{r: out}
}

func (s *charSet) union(t *charSet) *charSet {
	a, b := s.plain(), t.plain()
	return setOf(append(slices.Clone(a.r), b.r...)...)
}

func (s *charSet) intersect(t *charSet) *charSet {
	return s.inverse().union(t.inverse()).inverse().plain()
}

// write writes the set as a class both engines read.
func (s *charSet) write(b *strings.Builder) {
	if len(s.r) == 0 {
		if s.neg {
			b.WriteString("(?s:.)")
		} else {
			b.WriteString(`[^\x00-` + string(unicode.MaxRune) + `]`)
		}
		return
	}
	b.WriteByte('[')
	if s.neg {
		b.WriteByte('^')
	}
	for i := 0; i < len(s.r); i += 2 {
		lo, hi := s.r[i], s.r[i+1]
		if lo >= 0xD800 && hi <= 0xDFFF {
			continue
		}
		if lo >= 0xD800 && lo <= 0xDFFF {
			lo = 0xE000
		}
		if hi >= 0xD800 && hi <= 0xDFFF {
			hi = 0xD7FF
		}
		quoteRune(b, lo)
		if hi > lo {
			b.WriteByte('-')
			quoteRune(b, hi)
		}
	}
	b.WriteByte(']')
}

// class reads a character class after its [: ranges, escapes, nested classes (union) and && (intersection).
func (j *javaRegex) class() (*charSet, error) {
	if j.depth++; j.depth > 200 {
		return nil, j.bad("it is nested too deeply")
	}
	defer func() { j.depth-- }()
	neg := strings.HasPrefix(j.rest(), "^")
	if neg {
		j.i++
	}
	var all *charSet // of the operands of && so far
	set := &charSet{}
	for first := true; ; first = false {
		if j.i >= len(j.in) {
			return nil, j.bad("a [ is not closed; write \\[ for the character")
		}
		s := j.rest()
		if s[0] == ']' && !first {
			j.i++
			break
		}
		if strings.HasPrefix(s, "&&") {
			j.i += 2
			if all == nil {
				all = set
			} else {
				all = all.intersect(set)
			}
			set = &charSet{}
			continue
		}
		part, err := j.classItem()
		if err != nil {
			return nil, err
		}
		if len(set.r) == 0 && !set.neg && part != nil {
			set = part
		} else if part != nil {
			set = set.union(part)
		}
	}
	if all != nil {
		set = all.intersect(set)
	}
	if neg {
		set = set.inverse()
	}
	return set, nil
}

// classItem reads a nested class, an escape, a character or a range; nil for white space between comments.
func (j *javaRegex) classItem() (*charSet, error) {
	if j.rest()[0] == '[' {
		j.i++
		return j.class()
	}
	if j.flags.comments && j.skipComment() {
		return nil, nil //nolint:nilnil // nothing there is no error
	}
	set, lo, err := j.classChar()
	if err != nil || set != nil {
		return set, err
	}
	s := j.rest()
	if len(s) < 2 || s[0] != '-' || s[1] == ']' || s[1] == '[' {
		return setOf(lo, lo), nil
	}
	j.i++
	set, hi, err := j.classChar()
	if err != nil {
		return nil, err
	}
	if set != nil {
		return set.union(setOf(lo, lo, '-', '-')), nil
	}
	if hi < lo {
		return nil, j.bad("a range in […] ends before it starts")
	}
	return setOf(lo, hi), nil
}

func (j *javaRegex) classChar() (*charSet, rune, error) {
	if j.rest()[0] != '\\' {
		return nil, j.take(), nil
	}
	if j.i++; j.i >= len(j.in) {
		return nil, 0, j.bad("it ends in a backslash")
	}
	if strings.HasPrefix(j.rest(), "Q") {
		j.i++
		text, rest, _ := strings.Cut(j.rest(), `\E`)
		set := &charSet{}
		for _, r := range text {
			set = set.union(setOf(r, r))
		}
		j.i = len(j.in) - len(rest)
		return set, 0, nil
	}
	return j.classEscape()
}

// perlSet is the set of \d \w \s \h \v and their capitals, nil for other letters.
func (j *javaRegex) perlSet(c byte) *charSet {
	var set *charSet
	switch c | 0x20 {
	case 'd':
		set = setOf('0', '9')
		if j.flags.unicode {
			set = tableSet(unicode.Nd)
		}
	case 'w':
		set = setOf('0', '9', 'A', 'Z', 'a', 'z', '_', '_')
		if j.flags.unicode {
			set = tableSet(unicode.L, unicode.M, unicode.Nd, unicode.Pc)
		}
	case 's':
		set = setOf('\t', '\r', ' ', ' ')
		if j.flags.unicode {
			set = tableSet(unicode.White_Space)
		}
	case 'h':
		set = setOf(' ', ' ', '\t', '\t', 0xa0, 0xa0, 0x1680, 0x1680, 0x180e, 0x180e, 0x2000, 0x200a, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000)
	case 'v':
		set = setOf('\n', '\r', 0x85, 0x85, 0x2028, 0x2029)
	default:
		return nil
	}
	if c&0x20 == 0 {
		return set.inverse()
	}
	return set
}

func tableSet(tables ...*unicode.RangeTable) *charSet {
	s := &charSet{}
	for _, t := range tables {
		for _, r := range t.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				if r.Stride == 1 {
					s.r = append(s.r, c, rune(r.Hi))
					break
				}
				s.r = append(s.r, c, c)
			}
		}
		for _, r := range t.R32 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				if r.Stride == 1 {
					s.r = append(s.r, c, rune(r.Hi))
					break
				}
				s.r = append(s.r, c, c)
			}
		}
	}
	return s.tidy()
}

// posix are the ASCII classes of \p{…}.
var posix = map[string][]rune{
	"Lower": {'a', 'z'}, "Upper": {'A', 'Z'}, "ASCII": {0, 127}, "Alpha": {'A', 'Z', 'a', 'z'}, "Digit": {'0', '9'},
	"Alnum": {'0', '9', 'A', 'Z', 'a', 'z'}, "Punct": {'!', '/', ':', '@', '[', '`', '{', '~'}, "Graph": {'!', '~'}, "Print": {' ', '~'},
	"Blank": {' ', ' ', '\t', '\t'}, "Cntrl": {0, 31, 127, 127}, "XDigit": {'0', '9', 'A', 'F', 'a', 'f'}, "Space": {'\t', '\r', ' ', ' '},
}

// properties are the binary properties and methods of \p{…}.
var properties = map[string][]*unicode.RangeTable{
	"IsAlphabetic": {unicode.L, unicode.Nl, unicode.Other_Alphabetic}, "IsIdeographic": {unicode.Ideographic}, "IsLetter": {unicode.L},
	"IsLowercase": {unicode.Ll, unicode.Other_Lowercase}, "IsUppercase": {unicode.Lu, unicode.Other_Uppercase}, "IsTitlecase": {unicode.Lt},
	"IsPunctuation": {unicode.P}, "IsControl": {unicode.Cc}, "IsWhite_Space": {unicode.White_Space}, "IsDigit": {unicode.Nd},
	"javaLowerCase": {unicode.Ll, unicode.Other_Lowercase}, "javaUpperCase": {unicode.Lu, unicode.Other_Uppercase}, "javaWhitespace": {unicode.White_Space},
	"javaLetter": {unicode.L}, "javaDigit": {unicode.Nd}, "javaAlphabetic": {unicode.L, unicode.Nl, unicode.Other_Alphabetic},
	"javaLetterOrDigit": {unicode.L, unicode.Nd}, "javaTitleCase": {unicode.Lt},
}

// property reads the name after \p: one letter, or {…}.
func (j *javaRegex) property() (*charSet, error) {
	if j.i >= len(j.in) {
		return nil, j.bad("\\p must be followed by {…}")
	}
	name := j.rest()[:1]
	if name != "{" {
		j.i++
	} else {
		end := strings.IndexByte(j.rest(), '}')
		if end < 0 {
			return nil, j.bad("\\p{ is not closed")
		}
		name = j.rest()[1:end]
		j.i += end + 1
	}
	if r, ok := posix[name]; ok {
		if !j.flags.unicode {
			return setOf(slices.Clone(r)...), nil
		}
		name = map[string]string{"Lower": "Ll", "Upper": "Lu", "Alpha": "L", "Digit": "Nd", "Punct": "P", "Space": "Z", "Cntrl": "Cc"}[name]
		if name == "" {
			return setOf(slices.Clone(r)...), nil
		}
	}
	if t, ok := properties[name]; ok {
		return tableSet(t...), nil
	}
	if name == "LC" {
		return tableSet(unicode.Lu, unicode.Ll, unicode.Lt), nil
	}
	for _, prefix := range []string{"Is", "In", "script=", "sc=", "general_category=", "gc=", "block=", "blk=", ""} {
		if key, ok := strings.CutPrefix(name, prefix); ok {
			if t := unicodeTable(key); t != nil {
				return tableSet(t), nil
			}
		}
	}
	return nil, j.bad("unknown character property " + name)
}

func unicodeTable(name string) *unicode.RangeTable {
	if t := unicode.Categories[name]; t != nil {
		return t
	}
	for script, t := range unicode.Scripts {
		if strings.EqualFold(script, name) {
			return t
		}
	}
	return nil
}
