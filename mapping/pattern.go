package mapping

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// datePattern is a compiled date pattern (data-prep §8.2). It is immutable.
type datePattern struct {
	text  string
	items []patternItem
}

// patternItem is a letter repeated n times, literal text (letter 0), or an optional section (letter '[').
type patternItem struct {
	letter byte
	n      int
	text   string
	inner  []patternItem
	// reserve is how many digits the fixed-width numbers right behind a number of open width need.
	reserve int
}

// maxLetters is how often a letter may be repeated; letters that are not here are unknown.
var maxLetters = map[byte]int{
	'G': 5, 'y': 9, 'Y': 9, 'M': 5, 'L': 5, 'w': 2, 'W': 1, 'D': 3, 'd': 2, 'F': 1, 'E': 5, 'u': 1, 'a': 1, 'H': 2, 'k': 2, 'K': 2, 'h': 2,
	'm': 2, 's': 2, 'S': 9, 'z': 4, 'Z': 5, 'X': 5, 'x': 5, 'V': 2, 'O': 4, 'Q': 5, 'q': 5,
}

// compilePattern reads a date pattern. The error is a fault of kind argument.
func compilePattern(text string) (*datePattern, error) {
	if len(text) > 256 {
		return nil, faultf(KindArgument, "the date pattern has more than 256 characters")
	}
	p := &patternParser{text: text}
	items, err := p.items(0)
	if err != nil {
		return nil, err
	}
	reserve(items)
	return &datePattern{text: text, items: items}, nil
}

// preparePattern is compilePattern as a parameter's prep.
func preparePattern(text string) (any, error) { return compilePattern(text) }

type patternParser struct {
	text string
	i    int
}

func (p *patternParser) bad(format string, args ...any) error {
	return faultf(KindArgument, "the date pattern %q is not valid: "+format, append([]any{show(p.text)}, args...)...)
}

func (p *patternParser) items(depth int) ([]patternItem, error) {
	var out []patternItem
	for p.i < len(p.text) {
		c := p.text[p.i]
		switch {
		case c == '\'':
			s, err := p.quoted()
			if err != nil {
				return nil, err
			}
			out = append(out, patternItem{text: s})
		case c == '[':
			p.i++
			inner, err := p.items(depth + 1)
			if err != nil {
				return nil, err
			}
			if p.i >= len(p.text) {
				return nil, p.bad("a [ is not closed; quote it: '['")
			}
			p.i++
			out = append(out, patternItem{letter: '[', inner: inner})
		case c == ']':
			if depth == 0 {
				return nil, p.bad("there is a ] without its [; quote it: ']'")
			}
			return out, nil
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			it, err := p.letters(c)
			if err != nil {
				return nil, err
			}
			out = append(out, it)
		case c == '{' || c == '}' || c == '#':
			return nil, p.bad("%c is reserved; quote it: '%c'", c, c)
		default:
			_, n := utf8.DecodeRuneInString(p.text[p.i:])
			out = append(out, patternItem{text: p.text[p.i : p.i+n]})
			p.i += n
		}
	}
	return out, nil
}

// letters reads a letter as often as it is repeated.
func (p *patternParser) letters(c byte) (patternItem, error) {
	n := 1
	for p.i+n < len(p.text) && p.text[p.i+n] == c {
		n++
	}
	limit, ok := maxLetters[c]
	if !ok {
		return patternItem{}, p.bad("the letter %c means nothing; quote it: '%c'", c, c)
	}
	if n > limit || c == 'V' && n != 2 || c == 'O' && n != 1 && n != 4 {
		return patternItem{}, p.bad("%s has the wrong number of letters", strings.Repeat(string(c), n))
	}
	p.i += n
	return patternItem{letter: c, n: n}, nil
}

func (p *patternParser) quoted() (string, error) {
	if strings.HasPrefix(p.text[p.i:], "''") {
		p.i += 2
		return "'", nil
	}
	var b strings.Builder
	for p.i++; p.i < len(p.text); p.i++ {
		if p.text[p.i] != '\'' {
			b.WriteByte(p.text[p.i])
			continue
		}
		p.i++
		if p.i >= len(p.text) || p.text[p.i] != '\'' {
			return b.String(), nil
		}
		b.WriteByte('\'')
	}
	return "", p.bad("a quote is not closed; write '' for a quote")
}

// fixed is how many digits an item takes when parsing; 0 for items of open width or no number.
func (it patternItem) fixed() int {
	switch it.letter {
	case 'y', 'Y':
		if it.n == 2 || it.n == 4 {
			return it.n
		}
	case 'M', 'L', 'Q', 'q', 'd', 'H', 'k', 'K', 'h', 'm', 's', 'w':
		if it.n == 2 {
			return 2
		}
	case 'D':
		if it.n == 3 {
			return 3
		}
	case 'S':
		return it.n
	}
	return 0
}

// open reports whether an item is a number that takes as many digits as there are.
func (it patternItem) open() bool {
	switch it.letter {
	case 'd', 'H', 'k', 'K', 'h', 'm', 's', 'w', 'W', 'D', 'F', 'u':
		return it.fixed() == 0
	case 'M', 'L', 'Q', 'q':
		return it.n == 1
	case 'y', 'Y':
		return it.fixed() == 0
	}
	return false
}

func reserve(items []patternItem) {
	for i := range items {
		reserve(items[i].inner)
		if !items[i].open() {
			continue
		}
		for j := i + 1; j < len(items) && items[j].fixed() > 0; j++ {
			items[i].reserve += items[j].fixed()
		}
	}
}

// Names in English.
var (
	monthNames = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	dayNames   = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	quarters   = [...]string{"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"}
)

func weekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

func (p *datePattern) format(t time.Time) string {
	return string(appendItems(nil, p.items, t))
}

func appendItems(dst []byte, items []patternItem, t time.Time) []byte {
	for i := range items {
		it := &items[i]
		switch it.letter {
		case 0:
			dst = append(dst, it.text...)
		case '[':
			dst = appendItems(dst, it.inner, t)
		default:
			dst = appendLetter(dst, it, t)
		}
	}
	return dst
}

func padded(dst []byte, v, width int) []byte {
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	s := strconv.Itoa(v)
	for i := len(s); i < width; i++ {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}

// name3 is a name in full or in its short forms: 1–3 letters abbreviated, 4 in full, 5 its first letter.
func name3(dst []byte, name string, n int) []byte {
	switch n {
	case 5:
		return append(dst, name[:1]...)
	case 4:
		return append(dst, name...)
	}
	return append(dst, name[:3]...)
}

func appendLetter(dst []byte, it *patternItem, t time.Time) []byte {
	n := it.n
	switch it.letter {
	case 'G':
		return appendEra(dst, t.Year(), n)
	case 'y':
		y := t.Year()
		if y <= 0 {
			y = 1 - y
		}
		return appendYears(dst, y, n)
	case 'Y':
		y, _ := t.ISOWeek()
		return appendYears(dst, y, n)
	case 'M', 'L':
		if n > 2 {
			return name3(dst, monthNames[t.Month()-1], n)
		}
		return padded(dst, int(t.Month()), n)
	case 'w':
		_, w := t.ISOWeek()
		return padded(dst, w, n)
	case 'W':
		return padded(dst, weekOfMonth(t), n)
	case 'D':
		return padded(dst, t.YearDay(), n)
	case 'd':
		return padded(dst, t.Day(), n)
	case 'F':
		return padded(dst, (t.Day()-1)/7+1, n)
	case 'E':
		return name3(dst, dayNames[weekday(t)-1], n)
	case 'u':
		return padded(dst, weekday(t), n)
	case 'Q', 'q':
		return appendQuarter(dst, (int(t.Month())-1)/3, n)
	case 'a', 'H', 'k', 'K', 'h', 'm', 's', 'S':
		return appendClock(dst, it, t)
	}
	return appendZone(dst, it, t)
}

func appendEra(dst []byte, year, n int) []byte {
	short, long := "AD", "Anno Domini"
	if year <= 0 {
		short, long = "BC", "Before Christ"
	}
	switch n {
	case 4:
		return append(dst, long...)
	case 5:
		return append(dst, short[0])
	}
	return append(dst, short...)
}

func appendYears(dst []byte, y, n int) []byte {
	if n == 2 {
		return padded(dst, ((y%100)+100)%100, 2)
	}
	if n >= 4 && y >= 10000 && n < 5 {
		dst = append(dst, '+')
	}
	return padded(dst, y, n)
}

func appendQuarter(dst []byte, q, n int) []byte {
	switch n {
	case 1, 2:
		return padded(dst, q+1, n)
	case 3:
		return append(dst, 'Q', byte('1'+q))
	case 4:
		return append(dst, quarters[q]...)
	}
	return append(dst, byte('1'+q))
}

// weekOfMonth counts weeks from Monday; the first has at least four days of the month, days before it are week 0.
func weekOfMonth(t time.Time) int {
	first := weekday(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC))
	w := (t.Day() + first - 2) / 7
	if first <= 4 {
		w++
	}
	return w
}

func appendClock(dst []byte, it *patternItem, t time.Time) []byte {
	h := t.Hour()
	switch it.letter {
	case 'a':
		if h < 12 {
			return append(dst, "AM"...)
		}
		return append(dst, "PM"...)
	case 'H':
	case 'k':
		h = (h+23)%24 + 1
	case 'K':
		h %= 12
	case 'h':
		h = (h+11)%12 + 1
	case 'm':
		h = t.Minute()
	case 's':
		h = t.Second()
	case 'S':
		f := padded(nil, t.Nanosecond(), 9)
		return append(dst, f[:it.n]...)
	}
	return padded(dst, h, it.n)
}

func appendZone(dst []byte, it *patternItem, t time.Time) []byte {
	_, off := t.Zone()
	switch it.letter {
	case 'z':
		return append(dst, zoneName(t, it.n == 4)...)
	case 'V':
		return append(dst, zoneID(t)...)
	case 'O':
		return appendGMT(dst, off, it.n == 4)
	case 'Z':
		switch it.n {
		case 4:
			return appendGMT(dst, off, true)
		case 5:
			return appendOffset(dst, off, 3, true)
		}
		return appendOffset(dst, off, 2, false)
	}
	return appendOffset(dst, off, it.n, it.letter == 'X')
}

// appendGMT is GMT, GMT+8 or GMT+5:30; GMT+08:00 if long.
func appendGMT(dst []byte, off int, long bool) []byte {
	dst = append(dst, "GMT"...)
	if off == 0 {
		return dst
	}
	if long {
		return appendOffset(dst, off, 3, false)
	}
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	dst = append(dst, sign)
	dst = padded(dst, off/3600, 1)
	if m := off / 60 % 60; m != 0 {
		dst = append(dst, ':')
		dst = padded(dst, m, 2)
	}
	return dst
}

// appendOffset is -08 (with minutes if there are any), -0800 or -08:00 for n = 1, 2, 3; 4 and 5 add seconds to 2 and 3. Zero is Z if z.
func appendOffset(dst []byte, off, n int, z bool) []byte {
	if z && off == 0 {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	dst = append(dst, sign)
	dst = padded(dst, off/3600, 2)
	m, s := off/60%60, off%60
	if n == 1 && m == 0 {
		return dst
	}
	colon := n == 3 || n == 5
	if colon {
		dst = append(dst, ':')
	}
	dst = padded(dst, m, 2)
	if n >= 4 && s != 0 {
		if colon {
			dst = append(dst, ':')
		}
		dst = padded(dst, s, 2)
	}
	return dst
}
