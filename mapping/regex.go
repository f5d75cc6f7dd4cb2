package mapping

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// regex is a pattern of the Java dialect (data-prep §9.2). Patterns that a finite automaton can match run in linear time; look-around, back
// references, atomic groups and possessive quantifiers run with backtracking under a time limit.
type regex struct {
	pattern string
	// fast is nil when the pattern needs backtracking; full matches only the whole text.
	fast, full *regexp.Regexp
	// slow and whole are the same with backtracking; nil when fast does for everything.
	slow, whole *regexp2.Regexp
	names       map[string]int
	// dollar: the pattern tests the end of the text, which the dialect also sees before a last line break.
	dollar bool
}

// backtrackLimit is how long one match with backtracking may take.
const backtrackLimit = 250 * time.Millisecond

// maxPattern bounds the length of a pattern in bytes.
const maxPattern = 4096

// compileRegex reads a pattern. The error is a fault of kind argument.
func compileRegex(pattern string) (*regex, error) {
	if len(pattern) > maxPattern {
		return nil, faultf(KindArgument, "the regular expression has more than %d characters", maxPattern)
	}
	j, err := translate(pattern)
	if err != nil {
		return nil, err
	}
	re := &regex{pattern: pattern, names: j.names, dollar: j.dollar}
	if !j.needSlow {
		re.fast, err = regexp.Compile(j.fast.String())
		if err == nil {
			re.full, err = regexp.Compile(`\A(?:` + j.fast.String() + `)\z`)
		}
		if err == nil && !j.dollar && !re.fast.MatchString("") {
			return re, nil
		}
		if err != nil {
			re.fast, re.full = nil, nil
		}
	}
	// Also for patterns that match empty text: the two engines step on differently after an empty match.
	if re.slow, err = compileSlow(j.slow.String()); err != nil {
		return nil, badRegex(pattern, err)
	}
	if re.whole, err = compileSlow(`\A(?:` + j.slow.String() + `)\z`); err != nil {
		return nil, badRegex(pattern, err)
	}
	return re, nil
}

func compileSlow(pattern string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(pattern, regexp2.None)
	if err == nil {
		re.MatchTimeout = backtrackLimit
	}
	return re, err
}

func badRegex(pattern string, err error) error {
	return faultf(KindArgument, "the regular expression %s is not valid: %s", show(pattern), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// prepareRegex is compileRegex as a parameter's prep.
func prepareRegex(pattern string) (any, error) { return compileRegex(pattern) }

func (re *regex) tooSlow() error {
	return faultf(KindArgument, "the regular expression %s takes too long on this text; avoid nested repetition", show(re.pattern))
}

// matches reports whether the whole text matches.
func (re *regex) matches(s string) (bool, error) {
	if re.full != nil {
		return re.full.MatchString(s), nil
	}
	ok, err := re.whole.MatchString(s)
	if err != nil {
		return false, re.tooSlow()
	}
	return ok, nil
}

// first is the first match anywhere: byte offsets of the whole and of each group, -1 for groups that took no part; nil for no match.
func (re *regex) first(s string) ([]int, error) {
	all, err := re.all(s, 1)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// all is every match in order, at most limit (-1 for no limit).
func (re *regex) all(s string, limit int) ([][]int, error) {
	if re.slow == nil || re.fast != nil && !re.dollar && limit == 1 {
		return re.fast.FindAllStringSubmatchIndex(s, limit), nil
	}
	var out [][]int
	runes := runeOffsets{s: s}
	m, err := re.slow.FindStringMatch(s)
	for m != nil && err == nil {
		loc := make([]int, 0, 2*m.GroupCount())
		for _, g := range m.Groups() {
			if len(g.Captures) == 0 {
				loc = append(loc, -1, -1)
				continue
			}
			loc = append(loc, runes.at(g.Index), runes.at(g.Index+g.Length))
		}
		if out = append(out, loc); len(out) == limit {
			return out, nil
		}
		if len(out) > maxItems {
			return nil, faultf(KindArgument, "the regular expression matches more than %d times", maxItems)
		}
		m, err = re.slow.FindNextMatch(m)
	}
	if err != nil {
		return nil, re.tooSlow()
	}
	return out, nil
}

// runeOffsets turns character positions into byte offsets.
type runeOffsets struct {
	s   string
	off []int
}

func (r *runeOffsets) at(i int) int {
	if len(r.off) == 0 {
		r.off = make([]int, 0, len(r.s)+1)
		for b := range r.s {
			r.off = append(r.off, b)
		}
		r.off = append(r.off, len(r.s))
	}
	return r.off[i]
}

// split cuts at every match. Empty pieces stay, also at the end; an empty match at the very beginning or end cuts nothing.
func (re *regex) split(s string) ([]string, error) {
	all, err := re.all(s, -1)
	if err != nil {
		return nil, err
	}
	out, from := make([]string, 0, len(all)+1), 0
	for _, m := range all {
		if m[0] == m[1] && (m[0] == 0 || m[0] == len(s)) {
			continue
		}
		out = append(out, s[from:m[0]])
		from = m[1]
	}
	return append(out, s[from:]), nil
}

// replace puts by in the place of the first limit matches (-1 for all); $1, ${name} stand for groups, a backslash takes the next character literally.
func (re *regex) replace(s, by string, limit int) (string, error) {
	all, err := re.all(s, limit)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	from := 0
	for _, m := range all {
		b.WriteString(s[from:m[0]])
		if err := re.expand(&b, s, by, m); err != nil {
			return "", err
		}
		if b.Len() > maxText {
			return "", faultf(KindArgument, "the text is longer than 1 MiB")
		}
		from = m[1]
	}
	b.WriteString(s[from:])
	return b.String(), nil
}

func (re *regex) expand(b *strings.Builder, s, by string, m []int) error {
	for i := 0; i < len(by); i++ {
		switch c := by[i]; {
		case c == '\\' && i+1 < len(by):
			i++
			b.WriteByte(by[i])
		case c == '$':
			g, n, err := re.groupRef(by[i+1:], len(m)/2)
			if err != nil {
				return err
			}
			if m[2*g] >= 0 {
				b.WriteString(s[m[2*g]:m[2*g+1]])
			}
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return nil
}

// groupRef reads the group after a $: digits as long as such a group exists, or {name}.
func (re *regex) groupRef(s string, groups int) (group, length int, err error) {
	if strings.HasPrefix(s, "{") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			if g, ok := re.names[s[1:end]]; ok {
				return g, end + 1, nil
			}
		}
		return 0, 0, faultf(KindArgument, "the replacement names a group that the regular expression does not have")
	}
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		g, _ := strconv.Atoi(s[:n+1])
		if g >= groups {
			break
		}
		group, n = g, n+1
	}
	if n == 0 {
		return 0, 0, faultf(KindArgument, "$ in the replacement must be followed by the number of a group; write \\$ for a dollar sign")
	}
	return group, n, nil
}

// quoteRune writes a character so that both engines take it literally.
func quoteRune(b *strings.Builder, r rune) {
	switch {
	case r > ' ' && r < 0x7f && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~", r):
		b.WriteByte('\\')
		b.WriteRune(r)
	case r <= ' ' || r == 0x7f:
		b.WriteString(`\x`)
		b.WriteByte("0123456789abcdef"[r>>4])
		b.WriteByte("0123456789abcdef"[r&15])
	default:
		b.WriteRune(r)
	}
}
