package mapping

import (
	"fmt"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // the zones are part of the binary

	"weir/record"
)

// implicitPatterns are the forms of a date that are tried in order when no pattern is given (data-prep §8.1).
var implicitPatterns = compilePatterns(
	"yyyy-MM-dd HH:mm:ssZ", "yyyy-MM-dd HH:mm:ss.SSSZ", "yyyy-MM-dd HH:mm:ss.SSS", "yyyy-MM-dd'T'HH:mm:ss.SSSX", "yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd",
	"yyyy/MM/dd", "yyyy.MM.dd", "yyyy-MMM-dd", "yyyyMMdd", "MM-dd-yyyy", "MMddyyyy",
	"M/dd/yyyy", "dd.M.yyyy", "M/dd/yyyy hh:mm:ss a", "dd.M.yyyy hh:mm:ss a", "dd.MMM.yyyy", "dd-MMM-yyyy",
)

func compilePatterns(texts ...string) []*datePattern {
	out := make([]*datePattern, len(texts))
	for i, t := range texts {
		p, err := compilePattern(t)
		if err != nil {
			panic(err) // the table above is wrong
		}
		out[i] = p
	}
	return out
}

// isoForms is the number parseDateForm gives for the forms after the listed ones.
const isoForms = 18

// parseDate reads a date by the implicit forms.
func parseDate(s string) (time.Time, bool) {
	t, _, ok := parseDateForm(s)
	return t, ok
}

// parseDateForm is parseDate with the position of the form that matched first.
func parseDateForm(s string) (t time.Time, form int, ok bool) {
	if len(s) < 8 || len(s) > 100 {
		return t, 0, false
	}
	if s[4] == '-' && s[5]-'0' <= 9 { // forms 1–6 are special cases of the ISO form with the same meaning
		t, ok = parseISO(s)
		return t, isoForms, ok
	}
	for i, p := range implicitPatterns {
		if t, ok = p.parse(s); ok {
			return t, i, true
		}
	}
	return t, 0, false
}

// digits2 reads two digits at i, -1 if there are none.
func digits2(s string, i int) int {
	if i+2 > len(s) || s[i]-'0' > 9 || s[i+1]-'0' > 9 {
		return -1
	}
	return int(s[i]-'0')*10 + int(s[i+1]-'0')
}

// parseISO reads yyyy-MM-dd, T or space, HH:mm[:ss[.f…]], an optional offset and an optional [Region/City].
func parseISO(s string) (time.Time, bool) {
	none := time.Time{}
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return none, false
	}
	c, y := digits2(s, 0), digits2(s, 2)
	mo, d := digits2(s, 5), digits2(s, 8)
	if c < 0 || y < 0 || mo < 0 || d < 0 {
		return none, false
	}
	year := c*100 + y
	if len(s) == 10 {
		return civil(year, mo, d, 0, 0, 0, 0, time.UTC)
	}
	if len(s) < 16 || s[10] != 'T' && s[10] != ' ' || s[13] != ':' {
		return none, false
	}
	h, mi := digits2(s, 11), digits2(s, 14)
	sec, ns, rest, ok := isoSeconds(s[16:])
	if h < 0 || mi < 0 || !ok {
		return none, false
	}
	loc, fixed, ok := isoZone(rest)
	if !ok {
		return none, false
	}
	if fixed == nil {
		return civil(year, mo, d, h, mi, sec, ns, loc)
	}
	t, ok := civil(year, mo, d, h, mi, sec, ns, fixed)
	return t.In(loc), ok
}

// isoSeconds reads :ss and a fraction of up to nine digits, both optional.
func isoSeconds(s string) (sec, ns int, rest string, ok bool) {
	if s == "" || s[0] != ':' {
		return 0, 0, s, true
	}
	if sec = digits2(s, 1); sec < 0 {
		return 0, 0, s, false
	}
	if s = s[3:]; s == "" || s[0] != '.' {
		return sec, 0, s, true
	}
	n, unit := 1, 100_000_000
	for ; n < len(s) && n <= 9 && s[n]-'0' <= 9; n++ {
		ns += int(s[n]-'0') * unit
		unit /= 10
	}
	return sec, ns, s[n:], n > 1
}

// zoneless reports whether a text has a time of day without a zone. A day alone has no time of day.
func zoneless[T string | []byte](text T) bool {
	at := 0
	for at < len(text) && text[at] != ':' {
		at++
	}
	if at == len(text) || text[len(text)-1] == 'Z' {
		return false
	}
	for ; at < len(text); at++ {
		switch c := text[at] | 0x20; {
		case text[at] == '+', text[at] == '-', text[at] == '[':
			return false
		case (c == 'a' || c == 'p') && at+1 < len(text) && text[at+1]|0x20 == 'm': // AM and PM are no zone
			at++
		case c >= 'a' && c <= 'z':
			return false
		}
	}
	return true
}

// isoZone reads the zone of an ISO form. fixed is the offset when one is written; loc is the zone of the value.
func isoZone(s string) (loc, fixed *time.Location, ok bool) {
	region := ""
	if i := strings.IndexByte(s, '['); i >= 0 {
		if !strings.HasSuffix(s, "]") {
			return nil, nil, false
		}
		s, region = s[:i], s[i+1:len(s)-1]
	}
	switch s {
	case "":
		loc = time.UTC
	case "Z":
		loc, fixed = time.UTC, time.UTC
	default:
		off, rest, good := readOffset(s, 3, false)
		if !good || rest != "" {
			if off, rest, good = readOffset(s, 1, false); !good || rest != "" {
				return nil, nil, false
			}
		}
		fixed = fixedZone(off)
		loc = fixed
	}
	if region != "" {
		r, err := zoneOf(region)
		if err != nil {
			return nil, nil, false
		}
		loc = r
	}
	return loc, fixed, true
}

// civil is the instant of a local time in a zone; ok is false when the calendar has no such day or time. A time that a zone skips moves forward by the
// gap, one that comes twice is the earlier one (data-prep D16).
func civil(year, month, day, hour, minute, second, ns int, loc *time.Location) (t time.Time, ok bool) {
	if month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return t, false
	}
	u := time.Date(year, time.Month(month), day, hour, minute, second, ns, time.UTC)
	if u.Day() != day {
		return t, false
	}
	return wallClock(u, loc), true
}

// wallClock is the instant at which the clock in loc shows what u shows in UTC.
func wallClock(u time.Time, loc *time.Location) time.Time {
	if loc == time.UTC {
		return u
	}
	_, before := u.Add(-24 * time.Hour).In(loc).Zone()
	t := u.Add(-time.Duration(before) * time.Second).In(loc)
	if _, off := t.Zone(); off == before {
		return t
	}
	_, after := u.Add(24 * time.Hour).In(loc).Zone()
	late := u.Add(-time.Duration(after) * time.Second).In(loc)
	if _, off := late.Zone(); off == after {
		return late
	}
	return t
}

func fixedZone(off int) *time.Location {
	if off == 0 {
		return time.UTC
	}
	return time.FixedZone("", off)
}

// shortZones are the three-letter US names and what else is no IANA id (data-prep D16).
var shortZones = map[string]string{
	"Z": "UTC", "UTC": "UTC", "GMT": "UTC", "UT": "UTC",
	"EST": "America/New_York", "EDT": "America/New_York", "CST": "America/Chicago", "CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver",
	"PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "AKST": "America/Anchorage", "AKDT": "America/Anchorage", "AST": "America/Anchorage",
	"HST": "Pacific/Honolulu",
}

// zoneOf is the zone of a text: an IANA id, an offset, UTC, Z, GMT±h, or a US abbreviation. The error is a fault of kind argument.
func zoneOf(name string) (*time.Location, error) {
	if id, ok := shortZones[name]; ok {
		name = id
	}
	if name == "UTC" {
		return time.UTC, nil
	}
	for _, prefix := range []string{"GMT", "UTC", "UT", ""} {
		if s, ok := strings.CutPrefix(name, prefix); ok && s != "" && (s[0] == '+' || s[0] == '-') {
			if off, ok := looseOffset(s); ok {
				return fixedZone(off), nil
			}
		}
	}
	if name != "" && name != "Local" && !strings.HasPrefix(name, "/") {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, faultf(KindArgument, "unknown time zone %q; write an id such as Europe/Paris or an offset such as +02:00", show(name))
}

func prepareZone(name string) (any, error) { return zoneOf(name) }

// looseOffset reads ±h, ±hh, ±hhmm, ±h:mm, ±hh:mm.
func looseOffset(s string) (off int, ok bool) {
	var h, m int
	digits := s[1:]
	switch {
	case strings.Contains(digits, ":"):
		hs, ms, _ := strings.Cut(digits, ":")
		if len(hs) < 1 || len(hs) > 2 || len(ms) != 2 {
			return 0, false
		}
		digits = strings.Repeat("0", 2-len(hs)) + hs + ms
	case len(digits) == 1:
		digits = "0" + digits + "00"
	case len(digits) == 2:
		digits += "00"
	}
	if len(digits) != 4 {
		return 0, false
	}
	if h, m = digits2(digits, 0), digits2(digits, 2); h < 0 || m < 0 || m > 59 || h > 18 || h == 18 && m > 0 {
		return 0, false
	}
	off = h*3600 + m*60
	if s[0] == '-' {
		off = -off
	}
	return off, true
}

// longZones are the full names of zones by their abbreviations, for the pattern letters zzzz.
var longZones = map[string]string{
	"UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time", "BST": "British Summer Time", "WET": "Western European Standard Time",
	"WEST": "Western European Summer Time", "CET": "Central European Standard Time", "CEST": "Central European Summer Time",
	"EET": "Eastern European Standard Time", "EEST": "Eastern European Summer Time", "MSK": "Moscow Standard Time",
	"EST": "Eastern Standard Time", "EDT": "Eastern Daylight Time", "CST": "Central Standard Time", "CDT": "Central Daylight Time",
	"MST": "Mountain Standard Time", "MDT": "Mountain Daylight Time", "PST": "Pacific Standard Time", "PDT": "Pacific Daylight Time",
	"AKST": "Alaska Standard Time", "AKDT": "Alaska Daylight Time", "HST": "Hawaii-Aleutian Standard Time", "IST": "India Standard Time",
	"JST": "Japan Standard Time", "KST": "Korean Standard Time", "SAST": "South Africa Standard Time", "AEST": "Australian Eastern Standard Time",
	"AEDT": "Australian Eastern Daylight Time", "ACST": "Australian Central Standard Time", "ACDT": "Australian Central Daylight Time",
	"AWST": "Australian Western Standard Time", "NZST": "New Zealand Standard Time", "NZDT": "New Zealand Daylight Time",
}

// zoneName is the name of a date's zone; a zone that is only an offset is GMT-08:00.
func zoneName(t time.Time, long bool) string {
	name, off := t.Zone()
	if t.Location().String() == "Asia/Shanghai" && name == "CST" && long {
		return "China Standard Time"
	}
	if name == "" || name[0] == '+' || name[0] == '-' {
		return string(appendGMT(nil, off, true))
	}
	if full, ok := longZones[name]; ok && long {
		return full
	}
	return name
}

// zoneLongName is the zone of a full name, nil if there is none.
func zoneLongName(name string) *time.Location {
	for short, full := range longZones {
		if strings.EqualFold(full, name) {
			for _, try := range []string{short, map[string]string{
				"CEST": "CET", "EEST": "EET", "WEST": "WET", "BST": "Europe/London", "MSK": "Europe/Moscow", "IST": "Asia/Kolkata",
				"JST": "Asia/Tokyo", "KST": "Asia/Seoul", "SAST": "Africa/Johannesburg", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
				"ACST": "Australia/Adelaide", "ACDT": "Australia/Adelaide", "AWST": "Australia/Perth", "NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland",
			}[short]} {
				if loc, err := zoneOf(try); err == nil {
					return loc
				}
			}
		}
	}
	return nil
}

// zoneID is the id of a date's zone: a region, Z, or the offset.
func zoneID(t time.Time) string {
	if name := t.Location().String(); name != "" && name != "UTC" {
		return name
	}
	_, off := t.Zone()
	if off == 0 {
		return "UTC"
	}
	return string(appendOffset(nil, off, 3, true))
}

// epochDate is the date of an integer of epoch milliseconds, in UTC.
func epochDate(v record.Value) (record.Value, error) {
	ms, ok := v.Int64()
	const limit = 31_556_889_864_403_199 // the last instant of the original's calendar, in seconds
	if !ok || ms/1000 > limit || ms/1000 < -limit {
		return v, faultf(KindArgument, "%s is no epoch time in milliseconds", show(v.String()))
	}
	return record.DateOf(time.UnixMilli(ms).UTC()), nil
}

// instantOf is the instant of a date, of text in one of the implicit forms, or of epoch milliseconds.
func instantOf(v record.Value) (time.Time, bool) {
	switch v.Kind() {
	case record.KindDate:
		return v.Time(), true
	case record.KindText:
		return parseDate(v.Text())
	case record.KindInt:
		d, err := epochDate(v)
		return d.Time(), err == nil
	default:
	}
	return time.Time{}, false
}

// component is a part of a date that date_part reads and set_date_part writes (data-prep §9.5).
type component uint8

const (
	partYear component = iota
	partQuarter
	partMonth
	partYearDay
	partDay
	partWeek
	partWeekday
	partHour
	partHour12
	partMinute
	partSecond
	partMilli
	partHour24
)

// components are the names of parts in lower case.
var components = map[string]component{
	"year": partYear, "yyyy": partYear, "yy": partYear, "quarter": partQuarter, "qq": partQuarter, "q": partQuarter,
	"month": partMonth, "mm": partMonth, "m": partMonth, "dayofyear": partYearDay, "dy": partYearDay, "y": partYearDay,
	"day": partDay, "dd": partDay, "d": partDay, "week": partWeek, "ww": partWeek, "w": partWeek, "weekday": partWeekday, "dw": partWeekday,
	"hour": partHour, "hh": partHour, "hh24": partHour24, "hh12": partHour12, "minute": partMinute, "mi": partMinute, "n": partMinute,
	"second": partSecond, "ss": partSecond, "s": partSecond, "millisecond": partMilli, "sss": partMilli, "ms": partMilli,
}

func prepareComponent(name string) (any, error) {
	c, ok := components[strings.ToLower(name)]
	if !ok {
		return nil, faultf(KindArgument, "unknown part of a date %q; write year, quarter, month, week, dayofyear, day, weekday, hour, minute, second or millisecond", show(name))
	}
	return c, nil
}

func (c component) of(t time.Time) int {
	switch c {
	case partYear:
		return t.Year()
	case partQuarter:
		return (int(t.Month())-1)/3 + 1
	case partMonth:
		return int(t.Month())
	case partYearDay:
		return t.YearDay()
	case partDay:
		return t.Day()
	case partWeek:
		_, w := t.ISOWeek()
		return w
	case partWeekday:
		return weekday(t)
	case partHour, partHour24:
		return t.Hour()
	case partHour12:
		return (t.Hour()+11)%12 + 1
	case partMinute:
		return t.Minute()
	case partSecond:
		return t.Second()
	default:
	}
	return t.Nanosecond() / 1e6
}

// set is t with another value of the component. A new year or month clamps the day to the month's end.
func (c component) set(t time.Time, v int) (time.Time, error) {
	y, mo, d := t.Year(), int(t.Month()), t.Day()
	h, mi, s := t.Hour(), t.Minute(), t.Second()
	switch c {
	case partYear:
		y = v
	case partMonth:
		mo = v
	case partDay:
		d = v
	case partHour:
		h = v
	case partMinute:
		mi = v
	case partSecond:
		s = v
	default:
		return t, faultf(KindArgument, "this part of a date can be read but not set; set year, month, day, hour, minute or second")
	}
	if (c == partYear || c == partMonth) && mo >= 1 && mo <= 12 {
		d = min(d, time.Date(y, time.Month(mo)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	if y < -999_999_999 || y > 999_999_999 {
		return t, faultf(KindArgument, "there is no year %d", y)
	}
	r, ok := civil(y, mo, d, h, mi, s, t.Nanosecond(), t.Location())
	if !ok {
		return t, faultf(KindArgument, "%d is out of range; there is no %s", v, fmt.Sprintf("%d-%02d-%02d %02d:%02d:%02d", y, mo, d, h, mi, s))
	}
	return r, nil
}

// clampInt turns an integer of any size into an int that no calendar field takes if it is too large.
func clampInt(v record.Value) int {
	n, ok := v.Int64()
	if !ok || n > math.MaxInt32 || n < math.MinInt32 {
		return math.MaxInt32
	}
	return int(n)
}
