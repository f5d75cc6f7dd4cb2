package store

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestQueryCopy(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                               `{}`,
		`{"a":"\u0041\n\\u0000","b":1.50}`: `{"a":"\u0041\n\\u0000","b":1.50}`,
		`{"a":"x\u0000y"}`:                 `{"a":"x\ufffdy"}`,
		`{"\u0000":"\uD800"}`:              `{"\ufffd":"\ufffd"}`,
		`{"a":"\ud83d\ude00"}`:             `{"a":"\ud83d\ude00"}`,
		`{"a":"\ud83d\ud83d\ude00"}`:       `{"a":"\ufffd\ud83d\ude00"}`,
		`{"a":"\ud83d\\ude00"}`:            `{"a":"\ufffd\\ude00"}`,
		`{"a":"\ude00\ud83d"}`:             `{"a":"\ufffd\ufffd"}`,
		`{"a":[1e400,1E+401,-1e-9999,1]}`:  `{"a":[1e400,"1E+401","-1e-9999",1]}`,
		`{"a":"1e9999 -","b":-0}`:          `{"a":"1e9999 -","b":-0}`,
	} {
		if got := queryCopy([]byte(in)); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func TestIsNumber(t *testing.T) {
	for _, s := range []string{"0", "-1", "+1", "007", "1.5", "1e3", "1E-3", "-1.5e+10", "12345678901234567890"} {
		if !isNumber(s) {
			t.Errorf("%q is no number", s)
		}
	}
	for _, s := range []string{"", "-", ".", ".5", "1.", "1e", "1e+", "0x1", "1_0", " 1", "1 ", "NaN", "Inf", "1e999", "1,5", strings.Repeat("9", 300)} {
		if isNumber(s) {
			t.Errorf("%q is a number", s)
		}
	}
}

// FuzzObject holds that what is stored is valid, bounded and copied into something that jsonb takes.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, ` {"a":{"b":[1,2,{"c":"\u0000"}]}}`, `{"a":"\ud83d"}`, `{"a":1e999}`, "{\"a\":\"\xff\"}", `[`, `{"a":"\\"}`, `{"\"":"\u"}`,
		`{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		stored, err := object(in)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(stored, &members); err != nil {
			t.Fatalf("%q is stored as %q: %v", in, stored, err)
		}
		if depth(stored) > MaxDepth {
			t.Fatalf("%q is too deep", in)
		}
		copied := queryCopy(stored)
		if !json.Valid([]byte(copied)) {
			t.Fatalf("%q is copied as %q", stored, copied)
		}
		if again := queryCopy([]byte(copied)); again != copied {
			t.Fatalf("a copy of %q is %q", copied, again)
		}
	})
}

// FuzzParseOrderBy holds that every order that is parsed can be asked, with nothing of the client in the statement.
func FuzzParseOrderBy(f *testing.F) {
	for _, seed := range []string{"name", "-name,+createdAt", " a.b[].c", "auth.params.x", `x";`, "é", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		orders, err := ParseOrderBy(in, nil)
		if err != nil {
			if err.Status() != 400 {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		for _, d := range []*dialect{sqliteDialect(), postgresDialect()} {
			b := builder{d: d}
			keys, err := b.keys(Query{Kind: "flows", Order: orders})
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			if word := foreignWord(orderList(keys)); word != "" {
				t.Fatalf("%q puts %q into %s", in, word, orderList(keys))
			}
		}
	})
}
