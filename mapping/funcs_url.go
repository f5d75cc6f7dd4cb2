package mapping

import (
	"strconv"
	"strings"

	"weir/record"
)

const categoryURL = "URL"

var urlFunctions = []function{
	urlPart("get_url_protocol", "The scheme of a URL, as written.", kText, func(u *uri) record.Value { return record.TextOf(u.scheme) },
		example{expr: `get_url_protocol("https://shop.example/home")`, want: `"https"`}),
	urlPart("get_url_host", "The host of a URL, without user and port.", kText, func(u *uri) record.Value {
		if u.host == "" {
			return record.Null()
		}
		return record.TextOf(u.host)
	}, example{expr: `get_url_host("https://me:pw@shop.example:8443/x")`, want: `"shop.example"`}, example{expr: `get_url_host("not a url")`, want: "null"}),
	urlPart("get_url_port", "The port of a URL, or the usual one of its scheme.", kInt, func(u *uri) record.Value {
		if u.port >= 0 {
			return record.IntOf(int64(u.port))
		}
		if p, ok := schemePorts[strings.ToLower(u.scheme)]; ok {
			return record.IntOf(p)
		}
		return record.Null()
	}, example{expr: `get_url_port("sftp://files.acme.example/in")`, want: "22"}, example{expr: `get_url_port("foo://h.example")`, want: "null"}),
	{
		name: "get_url_path", category: categoryURL,
		doc: "The path of a URL with its slashes; with false as second argument only what follows the last slash.",
		sigs: []signature{{
			params: []param{text("url", "the URL"), boolean("full", "the whole path (true, if left out) or its last part").opt()}, returns: kText,
			run: func(_ *call, a []record.Value) (record.Value, error) {
				u := parseURI(a[0].Text())
				if u == nil {
					return record.Null(), nil
				}
				if len(a) > 1 && !a[1].IsNull() && !a[1].Bool() {
					return record.TextOf(u.path[strings.LastIndexByte(u.path, '/')+1:]), nil
				}
				return record.TextOf(u.path), nil
			},
		}},
		examples: []example{{expr: `get_url_path("https://h.example/a/b.html?q=1")`, want: `"/a/b.html"`}, {expr: `get_url_path("https://h.example/a/b.html", false)`, want: `"b.html"`}},
	},
	{
		name: "get_url_query_str", category: categoryURL,
		doc: "The parameters of a URL as an object, undecoded, the last one of a name wins. The anchor is kept at the last value (retain), left out (remove), or a member _anchor_ (append).",
		sigs: []signature{{
			params: []param{text("url", "the URL"), text("anchor", "retain, remove or append").prepared(prepareAnchor)}, returns: kObj, run: queryOf,
		}},
		examples: []example{
			{expr: `get_url_query_str("https://s.example/?q=tea&p=2#top", "append")`, want: `{"q":"tea","p":"2","_anchor_":"top"}`},
			{expr: `get_url_query_str("https://s.example/?q=tea#top", "retain")`, want: `{"q":"tea#top"}`},
			{expr: `get_url_query_str("https://s.example/", "remove")`, want: `{}`},
			{expr: `get_url_query_str("https://s.example/?a=1", "drop")`, fails: KindArgument},
		},
	},
	{
		name: "get_url_encoded", category: categoryURL,
		doc:      "Percent-encodes everything but letters, digits, - _ and the full stop.",
		sigs:     ofText(percentEncode),
		examples: []example{{expr: `get_url_encoded("50% off")`, want: `"50%25%20off"`}, {expr: `get_url_encoded("é*~")`, want: `"%C3%A9%2A%7E"`}},
	},
	{
		name: "get_url_decoded", category: categoryURL,
		doc: "Undoes percent-encoding; + becomes a space.",
		sigs: []signature{{params: []param{text("text", "the text")}, returns: kText, run: func(_ *call, a []record.Value) (record.Value, error) {
			return percentDecode(a[0].Text())
		}}},
		examples: []example{{expr: `get_url_decoded("a+b%2Bc")`, want: `"a b+c"`}, {expr: `get_url_decoded("100%")`, fails: KindArgument}},
	},
}

var schemePorts = map[string]int64{"http": 80, "https": 443, "ftp": 21, "sftp": 22, "ssh": 22, "ws": 80, "wss": 443}

func urlPart(name, doc string, returns kinds, get func(*uri) record.Value, examples ...example) function {
	return function{
		name: name, category: categoryURL, doc: doc + " Null if it is no valid URL.", examples: examples,
		sigs: []signature{{params: []param{text("url", "the URL")}, returns: returns, run: func(_ *call, a []record.Value) (record.Value, error) {
			u := parseURI(a[0].Text())
			if u == nil {
				return record.Null(), nil
			}
			return get(u), nil
		}}},
	}
}

// uri is a URI by RFC 3986, its parts as written. query and fragment are nil if there is none.
type uri struct {
	scheme, host, path string
	port               int // -1 for none
	query, fragment    *string
}

// parseURI is nil for text that is no URI with a scheme.
func parseURI(s string) *uri {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return nil
		}
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return nil
		}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !validScheme(scheme) {
		return nil
	}
	u := &uri{scheme: scheme, port: -1}
	if rest == "" {
		return nil
	}
	if r, f, ok := strings.Cut(rest, "#"); ok {
		rest, u.fragment = r, &f
		if strings.Contains(f, "#") {
			return nil
		}
	}
	if r, q, ok := strings.Cut(rest, "?"); ok {
		rest, u.query = r, &q
	}
	if auth, ok := strings.CutPrefix(rest, "//"); ok {
		rest = ""
		if i := strings.IndexByte(auth, '/'); i >= 0 {
			auth, rest = auth[:i], auth[i:]
		}
		if !u.authority(auth) {
			return nil
		}
	}
	u.path = rest
	return u
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || strings.IndexByte("0123456789+-.", c) < 0) {
			return false
		}
	}
	return s != ""
}

func (u *uri) authority(s string) bool {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
	}
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") || !strings.HasPrefix(host, "[") && strings.ContainsAny(host, ":[]") {
		return false
	}
	u.host = host
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 31)
	u.port = int(n)
	return err == nil
}

func isHex(c byte) bool { return c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'f' }

func prepareAnchor(mode string) (any, error) {
	if mode != "retain" && mode != "remove" && mode != "append" {
		return nil, faultf(KindArgument, "unknown anchor %q; write retain, remove or append", show(mode))
	}
	return mode, nil
}

func queryOf(c *call, a []record.Value) (record.Value, error) {
	mode, err := prepared[string](c, 1, a[1])
	if err != nil {
		return a[0], err
	}
	u := parseURI(a[0].Text())
	if u == nil {
		return record.Null(), nil
	}
	o := &record.Object{}
	if u.query != nil && *u.query != "" {
		q := *u.query
		if mode == "retain" && u.fragment != nil {
			q += "#" + *u.fragment
		}
		for part := range strings.SplitSeq(q, "&") {
			name, value, _ := strings.Cut(part, "=")
			if part != "" {
				o.Set(name, record.TextOf(value))
			}
		}
	}
	if mode == "append" && u.fragment != nil {
		o.Set("_anchor_", record.TextOf(*u.fragment))
	}
	return record.ObjectOf(o), nil
}

func percentEncode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

func percentDecode(s string) (record.Value, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b.WriteByte(' ')
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return record.Null(), faultf(KindArgument, "%% must be followed by two hexadecimal digits in %q", show(s))
			}
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return record.TextOf(strings.ToValidUTF8(b.String(), "\uFFFD")), nil
}
