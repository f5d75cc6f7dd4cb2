package mapping

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"weir/record"
)

const categoryString = "String"

var stringFunctions = []function{
	{
		name: "concat", category: categoryString,
		doc:      "Joins values to one text. Numbers, booleans and dates are written as text; null adds nothing.",
		sigs:     []signature{{params: []param{anything("value", "a value"), anything("value", "more values")}, rest: 1, returns: kText, run: concat}},
		examples: []example{{expr: `concat(no, "-", "b")`, in: `{"no":7}`, want: `"7-b"`}, {expr: `concat("a", null, "b")`, want: `"ab"`}, {expr: `concat("a", [1])`, fails: KindType}},
	},
	{
		name: "explode", category: categoryString,
		doc: "Splits text by a regular expression. Several characters are one delimiter, empty positions stay. The characters + ? ^ | . [ ( { ) * $ \\ need a backslash.",
		sigs: []signature{{
			params: []param{text("text", "the text to split"), text("regex", "what stands between the parts, a comma if left out").opt().prepared(prepareRegex)}, returns: kArr,
			run: func(c *call, a []record.Value) (record.Value, error) {
				if len(a) < 2 || a[1].IsNull() {
					return texts(strings.Split(a[0].Text(), ",")), nil
				}
				re, err := prepared[*regex](c, 1, a[1])
				if err != nil {
					return a[0], err
				}
				parts, err := re.split(a[0].Text())
				return texts(parts), err
			},
		}},
		examples: []example{
			{expr: `explode("k1;k2;;k4", ";")`, want: `["k1","k2","","k4"]`},
			{expr: `explode("a,b")`, want: `["a","b"]`},
			{expr: `explode("1.2", "\\.")`, want: `["1","2"]`},
			{expr: `explode("a", "*")`, fails: KindArgument},
		},
	},
	{
		name: "split", category: categoryString,
		doc: "Splits text at any of the given characters. Runs of them count once, there are no empty parts. Without characters (null) it splits at white space.",
		sigs: []signature{{
			params: []param{text("text", "the text to split"), text("characters", "each of these separates").orNull()}, returns: kArr,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				is := unicode.IsSpace
				if !a[1].IsNull() {
					is = func(r rune) bool { return strings.ContainsRune(a[1].Text(), r) }
				}
				return texts(strings.FieldsFunc(a[0].Text(), is)), nil
			},
		}},
		examples: []example{{expr: `split("p/q r", "/ ")`, want: `["p","q","r"]`}, {expr: `split(",a,,b,", ",")`, want: `["a","b"]`}, {expr: `split("a b", null)`, want: `["a","b"]`}},
	},
	{
		name: "instr", category: categoryString,
		doc: "Position of a part in a text, from 0; -1 if it is not there. Searches from start and can look for a later occurrence.",
		sigs: []signature{{
			params: []param{
				text("text", "the text to search"), text("part", "what to look for"), whole("start", "position to start at, 0 if left out").opt(),
				whole("nth", "which occurrence, 1 if left out").opt(),
			}, returns: kInt, run: instr,
		}},
		examples: []example{{expr: `instr("a.b.c", ".", 2)`, want: `3`}, {expr: `instr("banana", "an", 0, 2)`, want: `3`}, {expr: `instr("banana", "x")`, want: `-1`}, {expr: `instr("a", "a", 0, 0)`, fails: KindArgument}},
	},
	{
		name: "replacestr", category: categoryString,
		doc: "Replaces every occurrence of a part. Nothing in it has a special meaning.",
		sigs: []signature{{
			params: []param{text("text", "the text"), text("find", "the part to replace"), text("by", "what to put there")}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				return replaced(a[0].Text(), a[1].Text(), a[2].Text())
			},
		}},
		examples: []example{{expr: `replacestr("x_y_z", "_", "/")`, want: `"x/y/z"`}, {expr: `replacestr("a.b", ".", "")`, want: `"ab"`}},
	},
	{
		name: "substr", category: categoryString,
		doc: "A part of a text by position (from 0) and length. It is shorter where the text ends earlier.",
		sigs: []signature{{
			params: []param{text("text", "the text"), whole("start", "position of the first character, from 0"), whole("length", "how many characters at most")}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				start, length := clampInt(a[1]), clampInt(a[2])
				if start < 0 || length < 0 || negative(a[1]) || negative(a[2]) {
					return a[0], faultf(KindArgument, "start and length cannot be negative")
				}
				return record.TextOf(cut(a[0].Text(), start, length)), nil
			},
		}},
		examples: []example{{expr: `substr("warehouse", 4, 20)`, want: `"house"`}, {expr: `substr("abc", 9, 2)`, want: `""`}, {expr: `substr("abc", -1, 2)`, fails: KindArgument}},
	},
	casing("lower", "Lower case of all letters.", "", lower, `lower("HeLLo")`, `"hello"`),
	casing("lcase", "Lower case of all letters.", "lower", lower, `lcase("ÅB")`, `"åb"`),
	casing("upper", "Upper case of all letters; ß becomes SS.", "", upper, `upper("HeLLo")`, `"HELLO"`),
	casing("ucase", "Upper case of all letters; ß becomes SS.", "upper", upper, `ucase("maß")`, `"MASS"`),
	{
		name: "join", category: categoryString,
		doc:      "Joins the elements of an array with a separator. Null elements are empty.",
		sigs:     []signature{{params: []param{text("separator", "what to put between").orNull(), array("array", "the elements")}, returns: kText, run: join}},
		examples: []example{{expr: `join("/", ["a", 2])`, want: `"a/2"`}, {expr: `join(",", 5)`, fails: KindType}, {expr: `join(",", [["a"]])`, fails: KindType}},
	},
	padding("lpad", "Fills a text up at the start to a size; longer text stays. Without padding (null or empty) it uses spaces.", true,
		example{expr: `lpad("7", 3, "0")`, want: `"007"`}, example{expr: `lpad("bat", 5, null)`, want: `"  bat"`}),
	padding("rpad", "Fills a text up at the end to a size; longer text stays. Without padding (null or empty) it uses spaces.", false,
		example{expr: `rpad("ab", 5, "xy")`, want: `"abxyx"`}, example{expr: `rpad("abc", 1, ".")`, want: `"abc"`}),
	{
		name: "left", category: categoryString,
		doc: "The first characters of a text.",
		sigs: []signature{{
			params: []param{text("text", "the text"), whole("n", "how many characters")}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				return record.TextOf(cut(a[0].Text(), 0, atLeast0(a[1]))), nil
			},
		}},
		examples: []example{{expr: `left("abcde", 2)`, want: `"ab"`}, {expr: `left("ab", -1)`, want: `""`}},
	},
	{
		name: "right", category: categoryString,
		doc: "The last characters of a text.",
		sigs: []signature{{
			params: []param{text("text", "the text"), whole("n", "how many characters")}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				n := atLeast0(a[1])
				s := a[0].Text()
				return record.TextOf(cut(s, max(utf8.RuneCountInString(s)-n, 0), n)), nil
			},
		}},
		examples: []example{{expr: `right("inbound", 5)`, want: `"bound"`}},
	},
	trimming("ltrim", "Takes white space away at the start.", func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }, `ltrim("  a ")`, `"a "`),
	trimming("rtrim", "Takes white space away at the end.", func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }, `rtrim("a\t ")`, `"a"`),
	trimming("trim", "Takes white space away at both ends.", strings.TrimSpace, `trim(" hello ")`, `"hello"`),
}

// ofText makes the signature of a function from text to text.
func ofText(f func(string) string) []signature {
	return []signature{{params: []param{text("text", "the text")}, returns: kText, run: func(_ *call, a []record.Value) (record.Value, error) {
		return record.TextOf(f(a[0].Text())), nil
	}}}
}

func casing(name, doc, alias string, f func(string) string, expr, want string) function {
	return function{name: name, category: categoryString, doc: doc, alias: alias, sigs: ofText(f), examples: []example{{expr: expr, want: want}}}
}

func trimming(name, doc string, f func(string) string, expr, want string) function {
	return function{name: name, category: categoryString, doc: doc, sigs: ofText(f), examples: []example{{expr: expr, want: want}}}
}

// ascii reports whether text has no characters beyond ASCII.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower and upper are full Unicode case mappings, free of a locale.
func lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

func upper(s string) string {
	if ascii(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func texts(parts []string) record.Value {
	out := make([]record.Value, len(parts))
	for i, p := range parts {
		out[i] = record.TextOf(p)
	}
	return record.ArrayOf(out)
}

func concat(_ *call, a []record.Value) (record.Value, error) {
	parts := make([]string, 0, len(a))
	for _, v := range a {
		if v.IsNull() {
			continue
		}
		s, ok := asText(v)
		if !ok {
			return v, faultf(KindType, "%s is no text", an(v.Kind()))
		}
		parts = append(parts, s)
	}
	return record.TextOf(strings.Join(parts, "")), nil
}

func instr(_ *call, a []record.Value) (record.Value, error) {
	s, part := a[0].Text(), a[1].Text()
	start, nth := 0, 1
	if len(a) > 2 && !a[2].IsNull() {
		start = max(clampInt(a[2]), 0)
		if negative(a[2]) {
			start = 0
		}
	}
	if len(a) > 3 && !a[3].IsNull() {
		if nth = clampInt(a[3]); nth < 1 || negative(a[3]) {
			return a[0], faultf(KindArgument, "the occurrence is counted from 1")
		}
	}
	at := byteOffset(s, start)
	for at <= len(s) {
		i := strings.Index(s[at:], part)
		if i < 0 {
			break
		}
		if at += i; nth == 1 {
			return record.IntOf(runeIndex(s, at)), nil
		}
		nth--
		at += max(len(part), 1)
	}
	return record.IntOf(-1), nil
}

// byteOffset is where character n starts; beyond the end it is one more than the length.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	if n == 0 {
		return len(s)
	}
	return len(s) + 1
}

// cut is at most length characters from start.
func cut(s string, start, length int) string {
	from := byteOffset(s, start)
	if from >= len(s) || length == 0 {
		return ""
	}
	s = s[from:]
	return s[:min(byteOffset(s, length), len(s))]
}

// negative reports whether an integer of any size is below 0.
func negative(v record.Value) bool {
	n, ok := v.Int64()
	return ok && n < 0 || !ok && v.Big().Sign() < 0
}

func atLeast0(v record.Value) int {
	if negative(v) {
		return 0
	}
	return clampInt(v)
}

func replaced(s, find, by string) (record.Value, error) {
	if find == "" {
		return record.TextOf(s), nil
	}
	if n := strings.Count(s, find); len(s)+n*(len(by)-len(find)) > maxText {
		return record.Null(), faultf(KindArgument, "the text is longer than 1 MiB")
	}
	return record.TextOf(strings.ReplaceAll(s, find, by)), nil
}

func join(_ *call, a []record.Value) (record.Value, error) {
	var b strings.Builder
	for i, e := range a[1].Items() {
		if i > 0 {
			b.WriteString(a[0].Text())
		}
		s, ok := asText(e)
		if !ok && !e.IsNull() {
			return e, faultf(KindType, "the element %d is %s, not text", i, an(e.Kind()))
		}
		if b.WriteString(s); b.Len() > maxText {
			return e, faultf(KindArgument, "the text is longer than 1 MiB")
		}
	}
	return record.TextOf(b.String()), nil
}

func padding(name, doc string, left bool, examples ...example) function {
	return function{
		name: name, category: categoryString, doc: doc, examples: examples,
		sigs: []signature{{
			params:  []param{text("text", "the text"), whole("size", "how many characters the result has at least"), text("padding", "what to fill with").orNull()},
			returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				s, pad := a[0].Text(), a[2].Text()
				if pad == "" {
					pad = " "
				}
				missing := atLeast0(a[1]) - utf8.RuneCountInString(s)
				if missing <= 0 {
					return record.TextOf(s), nil
				}
				if missing > maxText {
					return a[0], faultf(KindArgument, "the text is longer than 1 MiB")
				}
				p := []rune(pad)
				fill := slices.Repeat(p, missing/len(p)+1)[:missing]
				if left {
					return record.TextOf(string(fill) + s), nil
				}
				return record.TextOf(s + string(fill)), nil
			},
		}},
	}
}
