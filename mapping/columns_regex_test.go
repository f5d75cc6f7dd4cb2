package mapping

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

func TestMatcherMatchesRegexp(t *testing.T) {
	patterns := []string{
		``, `a`, `^a`, `a$`, `^a$`, `^$`, `^[^@\s]+@[^@\s]+\.[^@\s]+$`, `(?i)abc`, `a|b$`, `^(a|bc)*$`, `a{2,3}b`, `.`, `^.+$`, `(?s)^.+$`, `\d+-\d`, `^[A-Z]{3}$`,
		`x*`, `(^a|b)c`, `(a$|b)`, `a\b`, `(?m)^a$`, `^a{0,200}b{0,200}$`, `[[:alpha:]]+\z`, `\Aab?`, `a(b$)?`, `ü|a`,
	}
	r := rand.New(rand.NewPCG(3, 4))
	const letters = "aabbc@.xA1- \nü"
	for _, p := range patterns {
		re := regexp.MustCompile(p)
		m := newMatcher(re)
		if p == `^[^@\s]+@[^@\s]+\.[^@\s]+$` && m.table == nil {
			t.Errorf("%s has no table", p)
		}
		for range 3000 {
			var text []rune
			for range r.IntN(9) {
				text = append(text, []rune(letters)[r.IntN(14)])
			}
			if got, want := m.match([]byte(string(text))), re.MatchString(string(text)); got != want {
				t.Fatalf("%s on %q: %v, regexp says %v", p, string(text), got, want)
			}
		}
	}
}
