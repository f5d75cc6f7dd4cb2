package mapping

import "weir/record"

const categoryRegex = "Regular Expression"

var regexFunctions = []function{
	{
		name: "extract_regex", category: categoryRegex,
		doc: "The first match of a regular expression anywhere in a text: the whole match, then its groups. A group that took no part is null; without a match the array is empty.",
		sigs: []signature{{
			params: []param{text("text", "the text to search"), text("regex", "the regular expression").prepared(prepareRegex)}, returns: kArr,
			run: func(c *call, a []record.Value) (record.Value, error) {
				re, err := prepared[*regex](c, 1, a[1])
				if err != nil {
					return a[0], err
				}
				loc, err := re.first(a[0].Text())
				out := make([]record.Value, len(loc)/2)
				for i := range out {
					if loc[2*i] >= 0 {
						out[i] = record.TextOf(a[0].Text()[loc[2*i]:loc[2*i+1]])
					}
				}
				return record.ArrayOf(out), err
			},
		}},
		examples: []example{
			{expr: `extract_regex("v12.7", "v(\\d+)\\.(\\d+)")`, want: `["v12.7","12","7"]`},
			{expr: `extract_regex("abc", "x")`, want: `[]`},
			{expr: `extract_regex("ab", "(a)|(b)")`, want: `["a","a",null]`},
			{expr: `extract_regex("aa bb", "(\\w)\\1 ")`, want: `["aa ","a"]`},
		},
	},
	{
		name: "matches_regex", category: categoryRegex,
		doc: "Whether the whole text matches a regular expression. Null text does not.",
		sigs: []signature{{
			params: []param{text("text", "the text").orNull(), text("regex", "the regular expression").prepared(prepareRegex)}, returns: kBool,
			run: func(c *call, a []record.Value) (record.Value, error) {
				re, err := prepared[*regex](c, 1, a[1])
				if err != nil || a[0].IsNull() {
					return record.BoolOf(false), err
				}
				ok, err := re.matches(a[0].Text())
				return record.BoolOf(ok), err
			},
		}},
		examples: []example{
			{expr: `matches_regex("AB9", "[A-Z]{2}")`, want: `false`},
			{expr: `matches_regex("ab9", "(?i)[A-Z]{2}\\d")`, want: `true`},
			{expr: `matches_regex(gone, ".*")`, want: `false`},
			{expr: `matches_regex("pass1word", "(?=.*[0-9]).{8,}")`, want: `true`},
			{expr: `matches_regex("a", "(")`, fails: KindArgument},
		},
	},
}
