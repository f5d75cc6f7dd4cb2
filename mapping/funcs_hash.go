package mapping

import (
	"crypto/md5"  //nolint:gosec // a function of the language, not a protection
	"crypto/sha1" //nolint:gosec // a function of the language, not a protection
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode/utf16"

	"weir/record"
)

const categoryHash = "Hashing"

var hashFunctions = []function{
	hashing("sha1", "SHA-1", func(b []byte) []byte { h := sha1.Sum(b); return h[:] }, "c3599c11e47719df18a2448690840c5dfcce3c80"), //nolint:gosec // see the import
	hashing("sha256", "SHA-256", func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }, "7330d2b39ca35eaf4cb95fc846c21ee6a39af698154a83a586ee270a0d372104"),
	hashing("sha512", "SHA-512", func(b []byte) []byte { h := sha512.Sum512(b); return h[:] },
		"a3d7e45a0d9be5fd4e4b9a3b8c9c2163c21ef708bf11b4232bb21d2a8704ada2cdcd7b367dd0788a89a5c908cfe377aceb1072a7b386b7d4fd2ff68a8fd24d16"),
	hashing("md5", "MD5", func(b []byte) []byte { h := md5.Sum(b); return h[:] }, "d3b96ce8c9fb4e9bd0198d03ba6852c7"), //nolint:gosec // see the import
	hashing("crc32", "CRC-32, its least significant byte first,", func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	}, "8df92e80"),
}

func hashing(name, title string, sum func([]byte) []byte, want string) function {
	return function{
		name: name, category: categoryHash,
		doc: "The " + title + " of a text in a character set, UTF-8 if left out, as lower-case hexadecimal digits.",
		sigs: []signature{{
			params: []param{text("text", "the text"), text("charset", "UTF-8, UTF-16, UTF-16BE, UTF-16LE, ISO-8859-1 or US-ASCII").opt().prepared(prepareCharset)}, returns: kText,
			run: func(c *call, a []record.Value) (record.Value, error) {
				b := []byte(a[0].Text())
				if len(a) > 1 && !a[1].IsNull() {
					encode, err := prepared[charset](c, 1, a[1])
					if err != nil {
						return a[0], err
					}
					b = encode(a[0].Text())
				}
				return record.TextOf(hex.EncodeToString(sum(b))), nil
			},
		}},
		examples: []example{{expr: name + `("my text")`, want: `"` + want + `"`}, {expr: name + `("my text", "utf-8") == ` + name + `("my text")`, want: "true"}, {expr: name + `("a", "none")`, fails: KindArgument}},
	}
}

// charset turns text into bytes; characters it lacks become ?.
type charset = func(string) []byte

var charsets = map[string]charset{
	"UTF-8": func(s string) []byte { return []byte(s) },
	"UTF-16": func(s string) []byte {
		return utf16Bytes([]byte{0xFE, 0xFF}, s, binary.BigEndian)
	},
	"UTF-16BE":   func(s string) []byte { return utf16Bytes(nil, s, binary.BigEndian) },
	"UTF-16LE":   func(s string) []byte { return utf16Bytes(nil, s, binary.LittleEndian) },
	"ISO-8859-1": func(s string) []byte { return narrow(s, 0xff) },
	"US-ASCII":   func(s string) []byte { return narrow(s, 0x7f) },
}

// charsetNames are other names of the character sets.
var charsetNames = map[string]string{
	"UTF8": "UTF-8", "UTF16": "UTF-16", "UTF_16": "UTF-16", "LATIN1": "ISO-8859-1", "ISO8859_1": "ISO-8859-1", "ISO_8859_1": "ISO-8859-1", "ISO8859-1": "ISO-8859-1", "ASCII": "US-ASCII",
}

func prepareCharset(name string) (any, error) {
	key := strings.ToUpper(name)
	if other, ok := charsetNames[key]; ok {
		key = other
	}
	c, ok := charsets[key]
	if !ok {
		return nil, faultf(KindArgument, "unknown character set %q; write UTF-8, UTF-16, UTF-16BE, UTF-16LE, ISO-8859-1 or US-ASCII", show(name))
	}
	return c, nil
}

func utf16Bytes(dst []byte, s string, order binary.AppendByteOrder) []byte {
	if s == "" {
		return nil
	}
	for _, u := range utf16.Encode([]rune(s)) {
		dst = order.AppendUint16(dst, u)
	}
	return dst
}

func narrow(s string, last rune) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > last {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
