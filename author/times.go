package author

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timePattern reads times written with a .NET pattern, as specs name them.
type timePattern struct {
	epoch   string // seconds or millis; "" for a pattern
	re      *regexp.Regexp
	text    string
	letters []byte
}

// newTimePattern compiles a pattern; "" is the usual one.
func newTimePattern(pattern string) *timePattern { //nolint:gocyclo // one case for each letter of a pattern
	switch strings.ToLower(pattern) {
	case "epoch", "unix", "epochseconds":
		return &timePattern{epoch: "seconds", text: `\d+`}
	case "epochmillis", "unixmillis":
		return &timePattern{epoch: "millis", text: `\d+`}
	case "", "u", "s", "o", "r":
		pattern = map[string]string{"u": "yyyy-MM-dd HH:mm:ssZ", "s": "yyyy-MM-ddTHH:mm:ss", "o": "yyyy-MM-ddTHH:mm:ss.fffffffK", "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'"}[strings.ToLower(pattern)]
		if pattern == "" {
			pattern = "yyyy-MM-ddTHH:mm:ssZ"
		}
	}
	p := &timePattern{}
	var b, plain strings.Builder
	add := func(c byte, re string) {
		p.letters = append(p.letters, c)
		b.WriteString("(" + re + ")")
		plain.WriteString("(?:" + re + ")")
	}
	lit := func(s string) {
		b.WriteString(regexp.QuoteMeta(s))
		plain.WriteString(regexp.QuoteMeta(s))
	}
	for i := 0; i < len(pattern); {
		c, n := pattern[i], 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		digits := `\d{` + strconv.Itoa(max(n, 2)) + `}`
		switch c {
		case '\'', '"':
			end := strings.IndexByte(pattern[i+1:], c)
			if end < 0 {
				end = len(pattern) - i - 1
			}
			lit(pattern[i+1 : i+1+end])
			i += min(end+2, len(pattern)-i)
			continue
		case '\\':
			if i+1 < len(pattern) {
				lit(pattern[i+1 : i+2])
			}
			i += 2
			continue
		case 'y', 'H', 'h', 'm', 's':
			if n == 1 {
				digits = `\d{1,2}`
			}
			add(c, digits)
		case 'M', 'd':
			switch {
			case n >= 3:
				add(c-32, `[A-Za-z]+`)
			case n == 1:
				add(c, `\d{1,2}`)
			default:
				add(c, digits)
			}
		case 'f', 'F':
			add('f', `\d{0,`+strconv.Itoa(n)+`}`)
		case 't':
			add('t', `[AP]M?`)
		case 'K':
			lit(strings.Repeat("Z", n))
		case 'z':
			lit([...]string{"", "+0", "+00", "+00:00"}[min(n, 3)])
		default:
			lit(strings.Repeat(string(c), n))
		}
		i += n
	}
	p.re, p.text = regexp.MustCompile("^"+b.String()+"$"), plain.String()
	return p
}

// pattern is a regular expression without groups.
func (p *timePattern) pattern() string { return p.text }

// coarse reports whether the times are whole hours or days.
func (p *timePattern) coarse() bool {
	return p.epoch == "" && !strings.ContainsRune(string(p.letters), 's')
}

// unit is the least difference the pattern shows.
func (p *timePattern) unit() time.Duration {
	s := string(p.letters)
	switch {
	case p.epoch == "millis" || strings.Contains(s, "f"):
		return time.Millisecond
	case p.epoch != "" || strings.Contains(s, "s"):
		return time.Second
	case strings.Contains(s, "m"):
		return time.Minute
	case strings.ContainsAny(s, "Hh"):
		return time.Hour
	}
	return 24 * time.Hour
}

// parse reads a time.
func (p *timePattern) parse(text string) (time.Time, bool) {
	if p.epoch != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if p.epoch == "millis" {
			return time.UnixMilli(n).UTC(), err == nil
		}
		return time.Unix(n, 0).UTC(), err == nil
	}
	g := p.re.FindStringSubmatch(text)
	if g == nil {
		return time.Time{}, false
	}
	part := map[byte]int{'M': 1, 'd': 1}
	nanos := 0
	for i, c := range p.letters {
		v := g[i+1]
		n, _ := strconv.Atoi(v)
		switch c {
		case 'f':
			nanos, _ = strconv.Atoi((v + "000000000")[:9])
		case 'y':
			if len(v) == 2 {
				n += 2000
			}
			part[c] = n
		case 't':
			if v[0] == 'P' && part['h'] < 12 {
				part['h'] += 12
			}
		default:
			if v != "" && v[0] >= '0' && v[0] <= '9' {
				part[c] = n
			} else if len(v) >= 3 {
				if t, err := time.Parse("Jan", v[:3]); err == nil {
					part['M'] = int(t.Month())
				}
			}
		}
	}
	return time.Date(part['y'], time.Month(part['M']), part['d'], part['H']+part['h'], part['m'], part['s'], nanos, time.UTC), true
}

// unitOf is the unit that a computed time names, 0 if it names a moment.
func (w *windowModel) unitOf() time.Duration {
	for _, l := range w.lets {
		for _, p := range l.parts {
			if p.pattern.coarse() {
				return p.pattern.unit()
			}
		}
	}
	return 0
}
