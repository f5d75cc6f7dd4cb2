package record

import (
	"math/big"
	"strconv"
	"strings"
)

// Exact is a decimal fraction of any size: unscaled · 10^-scale, scale ≥ 0. It is immutable.
type Exact struct {
	unscaled *big.Int
	scale    int
}

// maxScale bounds the digits behind the point, and in front of it, of an exact decimal.
const maxScale = maxDigits

// NewExact is unscaled · 10^-scale; it takes unscaled over.
func NewExact(unscaled *big.Int, scale int) *Exact { return &Exact{unscaled, scale} }

// ParseExact reads a number of [ParseNumber]'s grammar exactly; false if it is none or has more than a thousand digits.
func ParseExact(text string) (*Exact, bool) {
	if _, ok := ParseNumber(text); !ok {
		return nil, false
	}
	mant, exp := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil || n > maxScale || n < -maxScale {
			return nil, false
		}
		mant, exp = text[:i], n
	}
	whole, frac, _ := strings.Cut(mant, ".")
	if len(whole)+len(frac) > maxDigits {
		return nil, false
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(whole, "+")+frac, 10)
	if !ok {
		return nil, false
	}
	scale := len(frac) - exp
	if scale < 0 {
		n.Mul(n, pow10(-scale))
		scale = 0
	}
	return &Exact{n, scale}, true
}

// ExactValue is an exact decimal as a value: an integer if it has no digits behind the point.
func ExactValue(e *Exact) Value {
	if e.scale == 0 {
		return BigOf(e.unscaled)
	}
	return ExactOf(e)
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// Unscaled and Scale are the parts of the number. The result must not be changed.
func (e *Exact) Unscaled() *big.Int { return e.unscaled }

// Scale is how many digits stand behind the point.
func (e *Exact) Scale() int { return e.scale }

// Rat is the number as a fraction.
func (e *Exact) Rat() *big.Rat { return new(big.Rat).SetFrac(e.unscaled, pow10(e.scale)) }

// Float is the nearest double.
func (e *Exact) Float() float64 { f, _ := e.Rat().Float64(); return f }

// Append appends the digits, with as many behind the point as the scale says.
func (e *Exact) Append(dst []byte) []byte {
	if e.scale == 0 {
		return e.unscaled.Append(dst, 10)
	}
	if e.unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	s := new(big.Int).Abs(e.unscaled).String()
	if n := e.scale + 1 - len(s); n > 0 {
		s = strings.Repeat("0", n) + s
	}
	dst = append(dst, s[:len(s)-e.scale]...)
	dst = append(dst, '.')
	return append(dst, s[len(s)-e.scale:]...)
}
