package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is the nesting that a document may have: deeper ones are refused, because a database's JSON functions give up on them and one
// such document would break every filter over its collection.
const MaxDepth = 256

// ErrDocument says that a body or meta is no JSON object, or is nested deeper than [MaxDepth].
var ErrDocument = errors.New("not a storable JSON object")

// object checks a body or meta and returns what is stored: the same bytes, with invalid UTF-8 replaced; {} for nothing.
func object(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return json.RawMessage("{}"), nil
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%w: not valid JSON", ErrDocument)
	}
	if bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return nil, fmt.Errorf("%w: not an object", ErrDocument)
	}
	if depth(raw) > MaxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrDocument, MaxDepth)
	}
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	return raw, nil
}

// depth is the deepest nesting of valid JSON.
func depth(raw []byte) int {
	deepest, now := 0, 0
	text := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// queryCopy makes the JSON that PostgreSQL filters read out of what object returned. jsonb refuses two things that JSON allows: escapes of
// NUL and of half a surrogate pair (they become U+FFFD, as in Go's decoder), and numbers beyond its range (they become text). Nothing is
// read back from the copy.
func queryCopy(raw []byte) string {
	var out []byte // nil until something has to change
	from := 0
	replace := func(at, end int, with string) {
		out = append(append(out, raw[from:at]...), with...)
		from = end
	}
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			i = copyText(raw, i+1, replace)
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(raw) && bytes.IndexByte([]byte("0123456789+-.eE"), raw[end]) >= 0 {
				end++
			}
			if !sqlNumber(raw[i:end]) {
				replace(i, end, `"`+string(raw[i:end])+`"`)
			}
			i = end
		default:
			i++
		}
	}
	if out == nil {
		return string(raw)
	}
	return string(append(out, raw[from:]...))
}

// copyText walks a JSON text whose opening quote is before i, replaces what jsonb refuses, and returns the index after the closing quote.
func copyText(raw []byte, i int, replace func(at, end int, with string)) int {
	for i < len(raw) {
		switch {
		case raw[i] == '"':
			return i + 1
		case raw[i] == '\\' && raw[i+1] == 'u':
			unit := hex4(raw[i+2:])
			switch {
			case unit == 0 || unit >= 0xDC00 && unit <= 0xDFFF:
				replace(i, i+6, `\ufffd`)
			case unit >= 0xD800 && unit <= 0xDBFF:
				if low := raw[i+6:]; len(low) >= 6 && low[0] == '\\' && low[1] == 'u' && hex4(low[2:]) >= 0xDC00 && hex4(low[2:]) <= 0xDFFF {
					i += 6
				} else {
					replace(i, i+6, `\ufffd`)
				}
			}
			i += 6
		case raw[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return i
}

func hex4(b []byte) uint64 {
	if len(b) < 4 {
		return 0
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 32)
	if err != nil {
		return 0
	}
	return n
}

// sqlNumber reports whether numeric arithmetic can hold the number: at most 200 digits and an exponent of at most ±400.
func sqlNumber(b []byte) bool {
	if len(b) > 200 {
		return false
	}
	if i := bytes.IndexAny(b, "eE"); i >= 0 {
		n, err := strconv.Atoi(string(b[i+1:]))
		return err == nil && n >= -400 && n <= 400
	}
	return true
}

// isNumber reports whether a text is a plain JSON number that every database can compare (a leading + or zeros are let through).
func isNumber(s string) bool {
	digits, i := 0, 0
	run := func() {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
			digits++
		}
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	run()
	if digits == 0 {
		return false
	}
	if i < len(s) && s[i] == '.' {
		digits, i = 0, i+1
		if run(); digits == 0 {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		digits, i = 0, i+1
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		if run(); digits == 0 {
			return false
		}
	}
	return i == len(s) && sqlNumber([]byte(s))
}
