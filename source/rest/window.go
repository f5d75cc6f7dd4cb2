package rest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// defaultTimeFormat is used where a spec names none (contract flow-service §6.8).
const defaultTimeFormat = "yyyy-MM-ddTHH:mm:ssZ"

// standardFormats are the one-letter .NET patterns that make sense here.
var standardFormats = map[string]string{
	"o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
	"O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
	"s": "yyyy-MM-ddTHH:mm:ss",
	"u": "yyyy-MM-dd HH:mm:ssZ",
	"r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
	"R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
}

// formatTime prints t in UTC with a .NET date pattern, or as epoch seconds (epoch, unix) or milliseconds (epochMillis).
// Letters that are no pattern stand for themselves.
func formatTime(t time.Time, pattern string) string {
	t = t.UTC()
	switch strings.ToLower(pattern) {
	case "":
		pattern = defaultTimeFormat
	case "epoch", "unix", "epochseconds":
		return strconv.FormatInt(t.Unix(), 10)
	case "epochmillis", "unixmillis":
		return strconv.FormatInt(t.UnixMilli(), 10)
	}
	if p, ok := standardFormats[pattern]; ok {
		pattern = p
	}
	var b strings.Builder
	for i := 0; i < len(pattern); {
		c := pattern[i]
		n := 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		switch c {
		case '\'', '"':
			end := strings.IndexByte(pattern[i+1:], c)
			if end < 0 {
				end = len(pattern) - i - 1
			}
			b.WriteString(pattern[i+1 : i+1+end])
			i += min(end+2, len(pattern)-i)
			continue
		case '\\':
			if i+1 < len(pattern) {
				b.WriteByte(pattern[i+1])
			}
			i += 2
			continue
		case 'f', 'F':
			for rest := n; rest > 0; rest -= 7 {
				b.WriteString(fraction(t, min(rest, 7), c == 'F'))
			}
		default:
			b.WriteString(timePart(t, c, n))
		}
		i += n
	}
	return b.String()
}

// fraction is n digits of the second; trim drops zeros at the end.
func fraction(t time.Time, n int, trim bool) string {
	s := fmt.Sprintf("%09d", t.Nanosecond())[:n]
	if trim {
		s = strings.TrimRight(s, "0")
	}
	return s
}

// timePart renders a run of n equal pattern letters.
func timePart(t time.Time, c byte, n int) string {
	switch c {
	case 'y':
		if n <= 2 {
			return padded(t.Year()%100, n)
		}
		return padded(t.Year(), n)
	case 'M':
		switch {
		case n >= 4:
			return t.Month().String()
		case n == 3:
			return t.Month().String()[:3]
		}
		return padded(int(t.Month()), n)
	case 'd':
		switch {
		case n >= 4:
			return t.Weekday().String()
		case n == 3:
			return t.Weekday().String()[:3]
		}
		return padded(t.Day(), n)
	case 'H':
		return padded(t.Hour(), min(n, 2))
	case 'h':
		return padded((t.Hour()+11)%12+1, min(n, 2))
	case 'm':
		return padded(t.Minute(), min(n, 2))
	case 's':
		return padded(t.Second(), min(n, 2))
	case 't':
		return t.Format("PM")[:min(n, 2)]
	case 'K':
		return strings.Repeat("Z", n)
	case 'z':
		return [...]string{"", "+0", "+00", "+00:00"}[min(n, 3)]
	}
	return strings.Repeat(string(c), n)
}

func padded(v, n int) string { return fmt.Sprintf("%0*d", n, v) }
