package mapping

import (
	"strings"
	"time"
)

// absent marks a part of a date that was not read.
const absent = -1 << 31

// dateParts is what a pattern read so far.
type dateParts struct {
	era, year, month, day, yearDay  int
	weekYear, week, weekday, fracNS int
	hour, minute, second            int
	half                            int // 0 AM, 1 PM
	hour12                          bool
	zone                            *time.Location
	quarter                         int
}

// parse reads the whole text by the pattern. ok is false when the text has another form or the date does not exist.
func (p *datePattern) parse(s string) (t time.Time, ok bool) {
	d := dateParts{
		era: absent, year: absent, month: absent, day: absent, yearDay: absent, weekYear: absent, week: absent, weekday: absent,
		fracNS: absent, hour: absent, minute: absent, second: absent, half: absent, quarter: absent,
	}
	rest, ok := parseItems(p.items, s, &d)
	if !ok || rest != "" {
		return time.Time{}, false
	}
	return d.resolve()
}

func parseItems(items []patternItem, s string, d *dateParts) (rest string, ok bool) {
	for i := range items {
		it := &items[i]
		switch it.letter {
		case 0:
			if s, ok = strings.CutPrefix(s, it.text); !ok {
				return s, false
			}
		case '[':
			try := *d
			if r, ok := parseItems(it.inner, s, &try); ok {
				s, *d = r, try
			}
		default:
			if s, ok = parseLetter(it, s, d); !ok {
				return s, false
			}
		}
	}
	return s, true
}

// number reads the digits of an item.
func (it *patternItem) number(s string) (v int, rest string, ok bool) {
	have := 0
	for have < len(s) && s[have]-'0' <= 9 {
		have++
	}
	n := it.fixed()
	if n == 0 {
		n = min(have-it.reserve, 9)
	}
	if n < 1 || n > have {
		return 0, s, false
	}
	for i := range n {
		v = v*10 + int(s[i]-'0')
	}
	return v, s[n:], true
}

func parseLetter(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	switch it.letter {
	case 'y', 'Y':
		return parseYear(it, s, d)
	case 'E':
		return parseName(s, dayNames[:], it.n, &d.weekday)
	case 'G':
		return parseEra(s, d)
	case 'a':
		if len(s) < 2 || s[1]|0x20 != 'm' || s[0]|0x20 != 'a' && s[0]|0x20 != 'p' {
			return s, false
		}
		d.half = 0
		if s[0]|0x20 == 'p' {
			d.half = 1
		}
		return s[2:], true
	case 'S':
		v, rest, ok := it.number(s)
		for range 9 - it.n {
			v *= 10
		}
		d.fracNS = v
		return rest, ok
	case 'H', 'k', 'K', 'h':
		return parseHour(it, s, d)
	case 'z', 'Z', 'X', 'x', 'V', 'O':
		return parseZone(it, s, d)
	}
	return parseNumber(it, s, d)
}

// parseNumber reads the letters that are plain numbers, and months and quarters also by name.
func parseNumber(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	var ignored int
	into := &ignored // W and F say nothing that other letters do not
	switch it.letter {
	case 'M', 'L':
		into = &d.month
	case 'Q', 'q':
		into = &d.quarter
	case 'd':
		into = &d.day
	case 'D':
		into = &d.yearDay
	case 'w':
		into = &d.week
	case 'u':
		into = &d.weekday
	case 'm':
		into = &d.minute
	case 's':
		into = &d.second
	}
	switch {
	case it.n > 2 && into == &d.month:
		return parseName(s, monthNames[:], it.n, into)
	case it.n > 2 && into == &d.quarter:
		return parseQuarter(it, s, d)
	}
	v, rest, ok := it.number(s)
	if ok {
		*into = v
	}
	return rest, ok
}

func parseHour(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	v, rest, ok := it.number(s)
	if !ok {
		return rest, false
	}
	low, high := 0, 23
	switch it.letter {
	case 'k':
		low, high = 1, 24
	case 'K':
		high = 11
	case 'h':
		low, high = 1, 12
	}
	if v < low || v > high {
		return s, false
	}
	if v == high && low == 1 {
		v = 0
	}
	d.hour = v
	d.hour12 = it.letter == 'h' || it.letter == 'K'
	return rest, true
}

// parseYear reads yy as 2000–2099, yyyy as four digits or more after a sign.
func parseYear(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	into := &d.year
	if it.letter == 'Y' {
		into = &d.weekYear
	}
	if it.n != 2 && s != "" && (s[0] == '+' || s[0] == '-') {
		open := patternItem{letter: 'y', n: 1, reserve: it.reserve}
		v, rest, ok := open.number(s[1:])
		if !ok || len(s)-1-len(rest) < it.n {
			return s, false
		}
		if s[0] == '-' {
			v = -v
		}
		*into = v
		return rest, true
	}
	v, rest, ok := it.number(s)
	if ok && it.n == 2 {
		v += 2000
	}
	*into = v
	return rest, ok
}

// parseName reads a name, short or in full, in any case.
func parseName(s string, names []string, n int, into *int) (rest string, ok bool) {
	for i, name := range names {
		if n < 4 {
			name = name[:3]
		}
		if n == 5 {
			name = name[:1]
		}
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			*into = i + 1
			return s[len(name):], true
		}
	}
	return s, false
}

func parseQuarter(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	for i, full := range quarters {
		name := full
		switch it.n {
		case 3:
			name = "Q" + full[:1]
		case 5:
			name = full[:1]
		}
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			d.quarter = i + 1
			return s[len(name):], true
		}
	}
	return s, false
}

func parseEra(s string, d *dateParts) (rest string, ok bool) {
	for i, name := range []string{"Before Christ", "Anno Domini", "BC", "AD", "BCE", "CE", "B", "A"} {
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			d.era = i % 2
			return s[len(name):], true
		}
	}
	return s, false
}

// parseZone reads X, x, Z, z, V and O.
func parseZone(it *patternItem, s string, d *dateParts) (rest string, ok bool) {
	switch it.letter {
	case 'X', 'x', 'Z':
		n, z := it.n, it.letter == 'X'
		if it.letter == 'Z' {
			switch it.n {
			case 4:
				return parseGMT(s, d)
			case 5:
				n, z = 3, true
			default:
				n = 2
			}
		}
		off, rest, ok := readOffset(s, n, z)
		if ok {
			d.zone = fixedZone(off)
		}
		return rest, ok
	case 'O':
		return parseGMT(s, d)
	}
	return parseZoneName(s, it.letter == 'z' && it.n == 4, d)
}

// parseZoneName reads the longest zone name or id at the start of s; long names have spaces.
func parseZoneName(s string, long bool, d *dateParts) (rest string, ok bool) {
	end := 0
	for end < len(s) && end < 64 && (s[end]|0x20 >= 'a' && s[end]|0x20 <= 'z' || strings.IndexByte("0123456789/_+-:", s[end]) >= 0 || long && s[end] == ' ') {
		end++
	}
	for ; end > 0; end-- {
		if loc, err := zoneOf(s[:end]); err == nil {
			d.zone = loc
			return s[end:], true
		}
		if !long {
			continue
		}
		if loc := zoneLongName(s[:end]); loc != nil {
			d.zone = loc
			return s[end:], true
		}
	}
	return s, false
}

func parseGMT(s string, d *dateParts) (rest string, ok bool) {
	if s, ok = strings.CutPrefix(s, "GMT"); !ok {
		return s, false
	}
	end := 0
	for end < len(s) && (s[end]-'0' <= 9 || s[end] == ':' || end == 0 && (s[end] == '+' || s[end] == '-')) {
		end++
	}
	if end == 0 {
		d.zone = time.UTC
		return s, true
	}
	off, ok := looseOffset(s[:end])
	if ok {
		d.zone = fixedZone(off)
	}
	return s[end:], ok
}

// readOffset reads an offset in the form appendOffset writes.
func readOffset(s string, n int, z bool) (off int, rest string, ok bool) {
	if z && s != "" && s[0] == 'Z' {
		return 0, s[1:], true
	}
	h := digits2(s, 1)
	if h < 0 || s[0] != '+' && s[0] != '-' {
		return 0, s, false
	}
	rest = s[3:]
	if n == 3 || n == 5 {
		if rest, ok = strings.CutPrefix(rest, ":"); !ok {
			return 0, s, false
		}
	}
	m := digits2(rest, 0)
	switch {
	case m >= 0:
		rest = rest[2:]
	case n == 1:
		m = 0
	}
	if m < 0 || m > 59 || h*60+m > 18*60 {
		return 0, s, false
	}
	off = h*3600 + m*60
	if s[0] == '-' {
		off = -off
	}
	return off, rest, true
}

// resolve makes a date of the parts. A date needs year, month and day, or year and day of the year, or week-year, week and weekday.
func (d *dateParts) resolve() (time.Time, bool) {
	if d.hour12 {
		if d.half < 0 {
			return time.Time{}, false
		}
		d.hour += 12 * d.half
	}
	loc := d.zone
	if loc == nil {
		loc = time.UTC
	}
	year, month, day := d.year, d.month, d.day
	if d.era == 0 && year > 0 {
		year = 1 - year
	}
	switch {
	case d.year != absent && d.month != absent && d.day != absent:
	case d.year != absent && d.yearDay != absent && d.month == absent:
		t := time.Date(year, 1, d.yearDay, 0, 0, 0, 0, time.UTC)
		if t.Year() != year {
			return time.Time{}, false
		}
		month, day = int(t.Month()), t.Day()
	case d.weekYear != absent && d.week != absent && d.weekday >= 1 && d.weekday <= 7:
		jan4 := time.Date(d.weekYear, 1, 4, 0, 0, 0, 0, time.UTC)
		t := jan4.AddDate(0, 0, (d.week-1)*7+d.weekday-weekday(jan4))
		if y, w := t.ISOWeek(); y != d.weekYear || w != d.week {
			return time.Time{}, false
		}
		year, month, day = t.Year(), int(t.Month()), t.Day()
	default:
		return time.Time{}, false
	}
	return civil(year, month, day, max(d.hour, 0), max(d.minute, 0), max(d.second, 0), max(d.fracNS, 0), loc)
}
