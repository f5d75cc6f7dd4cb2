package mapping

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// javaRegex rewrites a pattern of the Java dialect for the two engines: fast for the automaton, slow for the backtracking one.
type javaRegex struct {
	in         string
	i          int
	fast, slow strings.Builder
	needSlow   bool
	dollar     bool
	names      map[string]int
	groups     int
	flags      regexFlags
	depth      int
}

type regexFlags struct{ dotAll, multi, comments, unixLines, unicode bool }

const lineEnds = "\\n\\r\u0085\u2028\u2029"

func translate(pattern string) (*javaRegex, error) {
	j := &javaRegex{in: pattern, names: map[string]int{}}
	if !utf8.ValidString(pattern) {
		return nil, j.bad("it is not UTF-8")
	}
	if err := j.alternatives(); err != nil {
		return nil, err
	}
	if j.i < len(j.in) {
		return nil, j.bad("there is a ) without its (")
	}
	return j, nil
}

func (j *javaRegex) bad(why string) error {
	return faultf(KindArgument, "the regular expression %s is not valid: %s (at character %d)",
		show(j.in), why, utf8.RuneCountInString(j.in[:min(j.i, len(j.in))])+1)
}

func (j *javaRegex) both(s string) { j.fast.WriteString(s); j.slow.WriteString(s) }

func (j *javaRegex) literal(r rune) {
	quoteRune(&j.fast, r)
	quoteRune(&j.slow, r)
}

func (j *javaRegex) rest() string { return j.in[j.i:] }

func (j *javaRegex) take() rune {
	r, n := utf8.DecodeRuneInString(j.rest())
	j.i += n
	return r
}

// alternatives reads up to the end or to an unmatched closing parenthesis, which it leaves. Flags set inside end there.
func (j *javaRegex) alternatives() error {
	if j.depth++; j.depth > 200 {
		return j.bad("it is nested too deeply")
	}
	outer := j.flags
	defer func() { j.flags = outer; j.depth-- }()
	for j.i < len(j.in) && j.rest()[0] != ')' {
		if j.rest()[0] == '|' {
			j.i++
			j.both("|")
			continue
		}
		if j.flags.comments && j.skipComment() {
			continue
		}
		fastAt, slowAt := j.fast.Len(), j.slow.Len()
		quantifiable, err := j.atom()
		if err != nil {
			return err
		}
		if quantifiable {
			if err := j.quantifiers(fastAt, slowAt); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *javaRegex) skipComment() bool {
	switch c := j.rest()[0]; {
	case c == ' ' || c >= '\t' && c <= '\r':
		j.i++
	case c == '#':
		if end := strings.IndexByte(j.rest(), '\n'); end >= 0 {
			j.i += end + 1
		} else {
			j.i = len(j.in)
		}
	default:
		return false
	}
	return true
}

// quantifiers reads what may follow an atom that starts at the given places of the outputs.
func (j *javaRegex) quantifiers(fastAt, slowAt int) error {
	for n := 0; j.i < len(j.in); n++ {
		if j.flags.comments && j.skipComment() {
			continue
		}
		q, err := j.quantifier()
		if err != nil || q == "" {
			return err
		}
		if n > 0 && q[0] != '{' {
			return j.bad("a repetition sign follows another one")
		}
		if n > 0 { // {2}{3}: repeat the repetition
			j.regroup(&j.fast, fastAt, "(?:")
			j.regroup(&j.slow, slowAt, "(?:")
		}
		j.both(q)
		switch {
		case strings.HasPrefix(j.rest(), "?"):
			j.i++
			j.both("?")
		case strings.HasPrefix(j.rest(), "+"):
			j.i++
			j.needSlow = true
			j.regroup(&j.slow, slowAt, "(?>")
		}
	}
	return nil
}

// regroup puts what was written since at into a group.
func (j *javaRegex) regroup(b *strings.Builder, at int, open string) {
	s := b.String()
	b.Reset()
	b.WriteString(s[:at] + open + s[at:] + ")")
}

func (j *javaRegex) quantifier() (string, error) {
	s := j.rest()
	switch s[0] {
	case '*', '+', '?':
		j.i++
		return s[:1], nil
	case '{':
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return "", j.bad("the { of a repetition is not closed; write \\{ for a brace")
		}
		low, high, two := strings.Cut(s[1:end], ",")
		a, err := strconv.Atoi(low)
		b := a
		if err == nil && two && high != "" {
			b, err = strconv.Atoi(high)
		}
		if err != nil || a < 0 || b < a || strings.ContainsAny(s[1:end], "+- ") {
			return "", j.bad("{…} must hold one or two counts, as in {2,5}; write \\{ for a brace")
		}
		j.i += end + 1
		return s[:end+1], nil
	}
	return "", nil
}

// atom reads one item; the result says whether a repetition may follow.
func (j *javaRegex) atom() (bool, error) {
	switch c := j.rest()[0]; c {
	case '(':
		return j.group()
	case '[':
		j.i++
		set, err := j.class()
		if err != nil {
			return false, err
		}
		set.write(&j.fast)
		set.write(&j.slow)
		return true, nil
	case '.':
		j.i++
		switch {
		case j.flags.dotAll:
			j.fast.WriteString("(?s:.)")
			j.slow.WriteString("(?s:.)")
		case j.flags.unixLines:
			j.both(`[^\n]`)
		default:
			j.both("[^" + lineEnds + "]")
		}
		return true, nil
	case '^':
		j.i++
		if j.flags.multi {
			j.both("(?m:^)")
		} else {
			j.both(`\A`)
		}
		return true, nil
	case '$':
		j.i++
		j.end()
		return true, nil
	case '*', '+', '?':
		return false, j.bad("there is nothing to repeat before " + string(c) + "; write \\" + string(c) + " for the character")
	case '{':
		return false, j.bad("there is nothing to repeat before {; write \\{ for the character")
	case '\\':
		j.i++
		return j.escape()
	}
	j.literal(j.take())
	return true, nil
}

// end is $ and \Z: the end of the text, or before its last line break; of every line if multi.
func (j *javaRegex) end() {
	if j.flags.multi {
		j.both("(?m:$)")
		return
	}
	j.dollar = true
	j.fast.WriteString(`\z`)
	j.slow.WriteString(`(?=(?:\r\n|[` + lineEnds + `])?\z)`)
}

func (j *javaRegex) group() (bool, error) {
	j.i++
	open := "("
	outer := j.flags
	defer func() { j.flags = outer }()
	if strings.HasPrefix(j.rest(), "?") {
		j.i++
		var done bool
		var err error
		if open, done, err = j.special(); err != nil {
			return false, err
		}
		if done { // (?i) holds to the end of the enclosing group
			outer = j.flags
			return false, nil
		}
	} else {
		j.groups++
	}
	j.both(open)
	if err := j.alternatives(); err != nil {
		return false, err
	}
	if j.i >= len(j.in) {
		return false, j.bad("a ( is not closed; write \\( for the character")
	}
	j.i++
	j.both(")")
	return true, nil
}

// special reads what follows (? and returns how the group opens; done if it was flags without a group.
func (j *javaRegex) special() (open string, done bool, err error) {
	for _, look := range []string{"=", "!", "<=", "<!", ">"} {
		if strings.HasPrefix(j.rest(), look) {
			j.i += len(look)
			j.needSlow = true
			return "(?" + look, false, nil
		}
	}
	if strings.HasPrefix(j.rest(), ":") {
		j.i++
		return "(?:", false, nil
	}
	if strings.HasPrefix(j.rest(), "<") {
		end := strings.IndexByte(j.rest(), '>')
		if end < 2 || !groupName(j.rest()[1:end]) {
			return "", false, j.bad("the name of a group must be letters and digits")
		}
		j.groups++
		name := j.rest()[1:end]
		if _, twice := j.names[name]; twice {
			return "", false, j.bad("two groups have the name " + name)
		}
		j.names[name] = j.groups
		j.i += end + 1
		return "(", false, nil
	}
	return j.inlineFlags()
}

func groupName(s string) bool {
	for i, r := range s {
		letter := r|0x20 >= 'a' && r|0x20 <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func (j *javaRegex) inlineFlags() (open string, done bool, err error) {
	on, icase := true, 0
	for j.i < len(j.in) {
		switch r := j.take(); r {
		case '-':
			on = false
		case 'i':
			icase = 1
			if !on {
				icase = -1
			}
		case 's':
			j.flags.dotAll = on
		case 'm':
			j.flags.multi = on
		case 'x':
			j.flags.comments = on
		case 'd':
			j.flags.unixLines = on
		case 'U':
			j.flags.unicode = on
		case 'u':
		case ':', ')':
			flag := map[int]string{1: "i", -1: "-i", 0: ""}[icase]
			if r == ':' {
				return "(?" + flag + ":", false, nil
			}
			if flag != "" {
				j.both("(?" + flag + ")")
			}
			return "", true, nil
		default:
			j.i--
			return "", false, j.bad("unknown group (?" + string(r))
		}
	}
	return "", false, j.bad("a ( is not closed; write \\( for the character")
}

// escape reads what follows a backslash outside of a class.
func (j *javaRegex) escape() (bool, error) {
	if j.i >= len(j.in) {
		return false, j.bad("it ends in a backslash")
	}
	c := j.rest()[0]
	switch {
	case c >= '1' && c <= '9':
		j.backReference()
		return true, nil
	case c == 'k':
		return true, j.namedReference()
	case c == 'Q':
		j.i++
		text, rest, _ := strings.Cut(j.rest(), `\E`)
		for _, r := range text {
			j.literal(r)
		}
		j.i = len(j.in) - len(rest)
		return len(text) > 0, nil
	}
	anchors := map[byte]string{'b': `\b`, 'B': `\B`, 'A': `\A`, 'z': `\z`, 'G': `\G`}
	if a, ok := anchors[c]; ok {
		j.i++
		j.needSlow = j.needSlow || c == 'G'
		j.both(a)
		return true, nil
	}
	switch c {
	case 'Z':
		j.i++
		multi := j.flags.multi
		j.flags.multi = false
		j.end()
		j.flags.multi = multi
		return true, nil
	case 'R':
		j.i++
		j.both(`(?:\r\n|[\n\x0b\f` + lineEnds[2:] + `])`)
		return true, nil
	case 'X':
		j.i++
		j.both(`(?:(?s:.)\p{M}*)`)
		return true, nil
	}
	set, single, err := j.classEscape()
	if err != nil {
		return false, err
	}
	if set == nil {
		j.literal(single)
		return true, nil
	}
	set.write(&j.fast)
	set.write(&j.slow)
	return true, nil
}

// backReference reads the number of a group: more digits as long as there is such a group.
func (j *javaRegex) backReference() {
	n := int(j.rest()[0] - '0')
	j.i++
	for j.i < len(j.in) && j.rest()[0]-'0' <= 9 && n*10+int(j.rest()[0]-'0') <= j.groups {
		n = n*10 + int(j.rest()[0]-'0')
		j.i++
	}
	j.needSlow = true
	j.slow.WriteString(`(?:\` + strconv.Itoa(n) + `)`)
}

func (j *javaRegex) namedReference() error {
	s := j.rest()
	end := strings.IndexByte(s, '>')
	if len(s) < 3 || s[1] != '<' || end < 0 {
		return j.bad("\\k must be followed by <name>")
	}
	g, ok := j.names[s[2:end]]
	if !ok {
		return j.bad("there is no group " + s[2:end])
	}
	j.i += end + 1
	j.needSlow = true
	j.slow.WriteString(`(?:\` + strconv.Itoa(g) + `)`)
	return nil
}

// controls are the one-letter escapes of single characters.
var controls = map[byte]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'a': 7, 'e': 27}

// classEscape reads an escape that stands for a set of characters or, with a nil set, for one character.
func (j *javaRegex) classEscape() (*charSet, rune, error) {
	c := j.rest()[0]
	if set := j.perlSet(c); set != nil {
		j.i++
		return set, 0, nil
	}
	if r, ok := controls[c]; ok {
		j.i++
		return nil, r, nil
	}
	switch c {
	case 'p', 'P':
		j.i++
		set, err := j.property()
		if err == nil && c == 'P' {
			set = set.inverse()
		}
		return set, 0, err
	case '0':
		return j.code(1, 3, 8)
	case 'u':
		return j.code(1, 4, 16)
	case 'x':
		if strings.HasPrefix(j.rest(), "x{") {
			end := strings.IndexByte(j.rest(), '}')
			if end < 0 {
				return nil, 0, j.bad("\\x{ is not closed")
			}
			n, err := strconv.ParseUint(j.rest()[2:end], 16, 32)
			if err != nil || n > unicode.MaxRune {
				return nil, 0, j.bad("\\x{…} must hold a character number in hexadecimal")
			}
			j.i += end + 1
			return nil, rune(n), nil
		}
		return j.code(1, 2, 16)
	case 'c':
		if len(j.rest()) < 2 {
			return nil, 0, j.bad("\\c must be followed by a letter")
		}
		j.i += 2
		return nil, rune(j.in[j.i-1]) ^ 64, nil
	}
	if c|0x20 >= 'a' && c|0x20 <= 'z' {
		return nil, 0, j.bad("unknown escape \\" + string(c))
	}
	return nil, j.take(), nil
}

// code reads a character number of up to n digits after skip bytes; \u and \x want exactly n.
func (j *javaRegex) code(skip, n, base int) (*charSet, rune, error) {
	s := j.rest()[skip:]
	k := 0
	for k < n && k < len(s) {
		if _, err := strconv.ParseUint(s[k:k+1], base, 8); err != nil {
			break
		}
		k++
	}
	if k == 0 || base == 16 && k < n {
		return nil, 0, j.bad("the escape needs " + strconv.Itoa(n) + " digits")
	}
	v, _ := strconv.ParseUint(s[:k], base, 32)
	j.i += skip + k
	return nil, rune(v), nil
}
