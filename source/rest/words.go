package rest

import (
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// words are the functions that expressions have beyond CEL's own:
//
//	formatTime(time, pattern)   a time (timestamp, ISO 8601 text, epoch number) as text, by a date pattern of scheduleParams
//	addTime(time, span)         a time moved by P7D, -P1M, PT1H; an ISO 8601 text
//	given(value)                whether it is neither null, "", false, 0, [] nor {}
//	toJson(value)               JSON text
//	hash(text, algorithm)       hexadecimal: sha256, sha1, sha512, md5
//	hmac(text, key, algorithm)  hexadecimal
func words() cel.EnvOption {
	text := cel.StringType
	return cel.Lib(library{[]cel.EnvOption{
		cel.Function("formatTime", cel.Overload("formatTime_dyn_string", []*cel.Type{cel.DynType, text}, text, cel.BinaryBinding(func(a, b ref.Val) ref.Val {
			t, ok := celTime(a)
			pattern, isText := b.Value().(string)
			if !ok || !isText {
				return types.NewErr("formatTime: no such key: %v is not a time", a.Value())
			}
			return types.String(formatTime(t, pattern))
		}))),
		cel.Function("addTime", cel.Overload("addTime_dyn_string", []*cel.Type{cel.DynType, text}, text, cel.BinaryBinding(func(a, b ref.Val) ref.Val {
			t, ok := celTime(a)
			span, isText := b.Value().(string)
			if !ok || !isText {
				return types.NewErr("addTime: no such key: %v is not a time", a.Value())
			}
			minus := strings.HasPrefix(span, "-")
			s, err := parseSpan(strings.TrimPrefix(span, "-"))
			if err != nil {
				return types.NewErr("addTime: %v", err)
			}
			if minus {
				t = s.before(t)
			} else {
				t = s.after(t)
			}
			return types.String(t.UTC().Format(time.RFC3339Nano))
		}))),
		cel.Function("given", cel.Overload("given_dyn", []*cel.Type{cel.DynType}, cel.BoolType, cel.UnaryBinding(given))),
		cel.Function("toJson", cel.Overload("toJson_dyn", []*cel.Type{cel.DynType}, text, cel.UnaryBinding(func(a ref.Val) ref.Val {
			raw, err := plainJSON(fromCEL(a))
			if err != nil {
				return types.NewErr("toJson: %v", err)
			}
			return types.String(raw)
		}))),
		cel.Function("hash", cel.Overload("hash_string_string", []*cel.Type{text, text}, text, cel.BinaryBinding(func(a, b ref.Val) ref.Val {
			fn := hashes[fmt.Sprint(b.Value())]
			if fn == nil {
				return types.NewErr("hash: the algorithm %v is not known", b.Value())
			}
			h := fn()
			_, _ = fmt.Fprint(h, a.Value())
			return types.String(hex.EncodeToString(h.Sum(nil)))
		}))),
		cel.Function("hmac", cel.Overload("hmac_string_string_string", []*cel.Type{text, text, text}, text, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			fn := hashes[fmt.Sprint(args[2].Value())]
			if fn == nil {
				return types.NewErr("hmac: the algorithm %v is not known", args[2].Value())
			}
			h := hmac.New(fn, []byte(fmt.Sprint(args[1].Value())))
			_, _ = fmt.Fprint(h, args[0].Value())
			return types.String(hex.EncodeToString(h.Sum(nil)))
		}))),
	}})
}

// given reports whether a value is none of those that mean nothing.
func given(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.Null:
		return types.False
	case types.String:
		return types.Bool(v != "")
	case types.Bool:
		return v
	case types.Int:
		return types.Bool(v != 0)
	case types.Double:
		return types.Bool(v != 0)
	case traits.Sizer:
		return types.Bool(v.Size() != types.IntZero)
	}
	return types.True
}

// library is a set of functions.
type library struct{ options []cel.EnvOption }

// CompileOptions are the functions.
func (l library) CompileOptions() []cel.EnvOption { return l.options }

// ProgramOptions are none.
func (library) ProgramOptions() []cel.ProgramOption { return nil }

// celTime reads a time in one of the forms that sources and windows have.
func celTime(v ref.Val) (time.Time, bool) {
	switch v := v.(type) {
	case types.Timestamp:
		return v.UTC(), true
	case types.Int:
		return parseExpiry(strconv.FormatInt(int64(v), 10))
	case types.Double:
		return time.UnixMilli(int64(float64(v) * 1000)).UTC(), true
	case types.String:
		return parseExpiry(string(v))
	}
	return time.Time{}, false
}

// span is a length of time that may hold months and years.
type span struct {
	months int
	d      time.Duration
}

// parseSpan reads an ISO 8601 duration (P7D, P1M, P1Y2M, PT1H30M), or a Go one (90m).
func parseSpan(text string) (span, error) {
	var s span
	if text == "" || text[0] != 'P' {
		d, err := parseDuration(text)
		return span{d: d}, err
	}
	date, clock, has := strings.Cut(text[1:], "T")
	var rest strings.Builder // what parseDuration reads: without months and years
	rest.WriteByte('P')
	n, digits := 0, 0
	for i := range len(date) {
		c := date[i]
		switch {
		case c >= '0' && c <= '9' && digits < 6:
			n, digits = n*10+int(c-'0'), digits+1
			continue
		case c == 'Y' && digits > 0:
			s.months += 12 * n
		case c == 'M' && digits > 0:
			s.months += n
		default:
			fmt.Fprintf(&rest, "%d%c", n, c)
			if digits == 0 {
				return span{}, fmt.Errorf("%q is not a duration like P7D or PT1H30M", text)
			}
		}
		n, digits = 0, 0
	}
	if digits > 0 || text == "P" || has && clock == "" {
		return span{}, fmt.Errorf("%q is not a duration like P7D or PT1H30M", text)
	}
	if has {
		rest.WriteString("T" + clock)
	}
	var err error
	s.d, err = parseDuration(rest.String())
	return s, err
}

func (s span) zero() bool { return s.months == 0 && s.d == 0 }

func (s span) after(t time.Time) time.Time { return t.AddDate(0, s.months, 0).Add(s.d) }

func (s span) before(t time.Time) time.Time { return t.AddDate(0, -s.months, 0).Add(-s.d) }

// least is a lower bound of the length.
func (s span) least() time.Duration { return time.Duration(s.months)*28*24*time.Hour + s.d }
