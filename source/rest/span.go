package rest

import "math/bits"

// spanEnd returns the index after the object or array that starts at p: it follows brackets and strings and looks at
// nothing else, 64 bytes at a time. 0: it does not end in buf. What lies between the brackets may be anything; whether a
// record is JSON at all is for those who read it to say. ascii: no byte up to the end is beyond ASCII; false proves nothing.
//
// Each block becomes three bit masks (quotes, opening and closing brackets). Where strings are follows from the quotes by
// a prefix sum, and a block that closes fewer brackets than are open cannot hold the end: most blocks cost no branch.
func spanEnd(buf []byte, p int) (end int, ascii bool) {
	var (
		depth   int
		inside  uint64 // all ones while a string is open at the start of the block
		escaped uint64 // 1: the first byte of the block is escaped
		high    uint64
		tail    [64]byte
	)
	for at := p; at < len(buf); at += 64 {
		block := buf[at:]
		if len(block) < 64 {
			copy(tail[:], block)
			block = tail[:]
		}
		quotes, opens, closes, slashes, far := masks((*[64]byte)(block))
		high |= far
		if slashes|escaped != 0 {
			var skip uint64
			skip, escaped = escapes(slashes, escaped)
			quotes &^= skip
		}
		text := prefixXor(quotes) ^ inside
		inside = uint64(int64(text) >> 63)
		opens &^= text
		closes &^= text
		n := bits.OnesCount64(closes)
		if depth > n {
			depth += bits.OnesCount64(opens) - n
			continue
		}
		for marks := opens | closes; marks != 0; marks &= marks - 1 {
			if opens&(marks&-marks) != 0 {
				depth++
				continue
			}
			if depth--; depth <= 0 {
				return at + bits.TrailingZeros64(marks) + 1, high == 0
			}
		}
	}
	return 0, false
}

const (
	low7 = 0x7f7f7f7f7f7f7f7f
	pack = 0x0102040810204080 // gathers the lowest bits of eight bytes in the highest byte
)

// zeros has bit i set if byte i of x is zero.
func zeros(x uint64) uint64 {
	return (^(x&low7 + low7 | x | low7) >> 7) * pack >> 56
}

// masksPlain finds the bytes that matter in a block: bit i of a mask stands for byte i.
func masksPlain(b *[64]byte) (quotes, opens, closes, slashes, high uint64) {
	for i := 0; i < 64; i += 8 {
		x := load(b[:], i)
		y := x | lo8*0x20 // square brackets become curly ones
		quotes |= zeros(x^lo8*'"') << (i & 63)
		opens |= zeros(y^lo8*'{') << (i & 63)
		closes |= zeros(y^lo8*'}') << (i & 63)
		slashes |= zeros(x^lo8*'\\') << (i & 63)
		high |= x & hi8 >> 7 * pack >> 56 << (i & 63)
	}
	return quotes, opens, closes, slashes, high
}

// escapes returns the bytes that a backslash makes literal, and whether the first byte of the next block is one.
func escapes(slashes, escaped uint64) (skip, next uint64) {
	skip = escaped
	for slashes &^= escaped; slashes != 0; {
		i := bits.TrailingZeros64(slashes)
		if i == 63 {
			return skip, 1
		}
		skip |= 2 << i
		slashes &^= 3 << i
	}
	return skip, 0
}

// prefixXor has bit i set if an odd number of the bits 0 to i of x are: from each opening quote to before the closing one.
func prefixXor(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	return x ^ x<<32
}
