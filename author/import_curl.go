package author

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// ImportCurl makes a spec of a curl command. Credentials in it become auth parameters; their values are not kept.
func ImportCurl(text []byte) (*Import, error) {
	words, err := shellWords(string(text))
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0].text != "curl" {
		return nil, errors.New("the text is not a curl command")
	}
	c := &curlImport{r: &request{query: &object{}, headers: &object{}}, l: &losses{}}
	if err := c.read(words[1:]); err != nil {
		return nil, err
	}
	if c.url == "" {
		return nil, errors.New("the curl command has no address")
	}
	return c.finish()
}

// word is one word of a command and its line.
type word struct {
	text string
	line int
}

// shellWords cuts a command into words as a shell does: quotes, backslashes, line continuations, $'…'.
func shellWords(s string) ([]word, error) { //nolint:gocyclo // a small state machine reads best in one piece
	var out []word
	var b strings.Builder
	line, open := 1, false
	end := func() {
		if open {
			out = append(out, word{b.String(), line})
		}
		b.Reset()
		open = false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			if i++; s[i] == '\n' {
				line++
				continue
			}
			if s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n' {
				i++
				line++
				continue
			}
			b.WriteByte(s[i])
			open = true
		case c == '\'' || c == '"' || c == '$' && i+1 < len(s) && s[i+1] == '\'':
			n, err := quotedWord(s[i:], &b)
			if err != nil {
				return nil, err
			}
			line += strings.Count(s[i:i+n], "\n")
			i += n - 1
			open = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			end()
			if c == '\n' {
				line++
			}
		case c == '#' && !open:
			for i+1 < len(s) && s[i+1] != '\n' {
				i++
			}
		default:
			b.WriteByte(c)
			open = true
		}
	}
	end()
	return out, nil
}

// quotedWord reads a quoted part and returns its length.
func quotedWord(s string, b *strings.Builder) (int, error) {
	start := 1
	ansi := s[0] == '$'
	if ansi {
		start = 2
	}
	quote := s[start-1]
	for i := start; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i + 1, nil
		case s[i] == '\\' && i+1 < len(s) && (ansi || quote == '"' && strings.IndexByte("\\\"$`\n", s[i+1]) >= 0):
			if i++; ansi {
				b.WriteString(map[byte]string{'n': "\n", 't': "\t", 'r': "\r"}[s[i]])
				if strings.IndexByte("ntr", s[i]) >= 0 {
					continue
				}
			} else if s[i] == '\n' {
				continue
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return 0, errors.New("a quote does not end")
}

type curlImport struct {
	r      *request
	l      *losses
	url    string
	data   []string
	json   bool
	get    bool
	auth   *object
	params draft
}

// curlFlags are the options that take a value. Those with "" do not change what is asked for.
var curlFlags = map[string]string{
	"-X": "method", "--request": "method", "-H": "header", "--header": "header", "-d": "data", "--data": "data", "--data-raw": "data",
	"--data-ascii": "data", "--data-binary": "data", "--data-urlencode": "encode", "--json": "json", "-u": "user", "--user": "user",
	"--url": "url", "-A": "agent", "--user-agent": "agent", "-e": "referer", "--referer": "referer", "-b": "cookie", "--cookie": "cookie",
	"-F": "upload", "--form": "upload", "--oauth2-bearer": "bearer", "-o": "", "--output": "", "-m": "", "--max-time": "",
	"--connect-timeout": "", "--retry": "", "-w": "", "--write-out": "",
}

// curlSwitches are the options without a value that mean nothing to a spec.
var curlSwitches = map[string]bool{
	"-s": true, "--silent": true, "-S": true, "--show-error": true, "-L": true, "--location": true, "-v": true, "--verbose": true, "-i": true,
	"--include": true, "--compressed": true, "-f": true, "--fail": true, "-g": true, "--globoff": true, "-#": true, "--fail-with-body": true, "-sS": true, "-sL": true, "-sSL": true,
}

func (c *curlImport) read(words []word) error {
	for i := 0; i < len(words); i++ {
		w := words[i]
		name, value, joined := w.text, "", false
		if strings.HasPrefix(name, "--") {
			name, value, joined = strings.Cut(name, "=")
		} else if len(name) > 2 && name[0] == '-' && curlFlags[name[:2]] != "" {
			name, value, joined = name[:2], name[2:], true
		}
		what, takes := curlFlags[name]
		switch {
		case takes && !joined:
			if i++; i == len(words) {
				return errors.New(name + " has no value")
			}
			value = words[i].text
		case takes:
		case name == "-G" || name == "--get":
			c.get = true
			continue
		case name == "-I" || name == "--head":
			c.r.method = "HEAD"
			continue
		case curlSwitches[name]:
			continue
		case strings.HasPrefix(name, "-"):
			c.l.list = append(c.l.list, Loss{Line: w.line, Construct: name, Reason: "the option is not carried over"})
			continue
		default:
			what, value = "url", w.text
		}
		c.take(w, what, value)
	}
	return nil
}

// take uses one option.
func (c *curlImport) take(w word, what, value string) { //nolint:gocyclo // one case for each option
	lose := func(reason string) {
		c.l.list = append(c.l.list, Loss{Line: w.line, Construct: w.text, Reason: reason})
	}
	switch what {
	case "method":
		c.r.method = strings.ToUpper(value)
	case "url":
		if c.url != "" {
			lose("only the first address is carried over")
			return
		}
		c.url = value
	case "header":
		name, text, ok := strings.Cut(value, ":")
		if !ok {
			lose("a header without a value is not carried over")
			return
		}
		c.header(strings.TrimSpace(name), strings.TrimSpace(text))
	case "encode":
		name, text, ok := strings.Cut(value, "=")
		if !ok {
			name, text = "", value
		}
		if strings.Contains(name, "@") {
			lose("the body is in a file, which is not read; put it into bodyParams")
			return
		}
		if text = url.QueryEscape(text); name != "" {
			text = name + "=" + text
		}
		c.data = append(c.data, text)
	case "data", "json":
		if strings.HasPrefix(value, "@") {
			lose("the body is in a file, which is not read; put it into bodyParams")
			return
		}
		c.data = append(c.data, value)
		c.json = c.json || what == "json"
	case "user":
		c.auth = basicSpec()
	case "bearer":
		c.auth = bearerSpec()
	case "agent":
		c.r.headers.set("User-Agent", value)
	case "referer":
		c.r.headers.set("Referer", value)
	case "cookie":
		name, _, _ := strings.Cut(value, "=")
		if c.auth == nil && name != "" && !strings.Contains(value, ";") {
			c.auth = keySpec("cookie", name, "")
			return
		}
		lose("several cookies or a cookie file are not carried over")
	case "upload":
		lose("file uploads are not carried over")
	}
}

// header takes a header; one with credentials becomes an auth spec.
func (c *curlImport) header(name, value string) {
	lower := strings.ToLower(name)
	switch {
	case lower == "authorization":
		c.auth = authorizationSpec(value)
	case lower == "accept-encoding", lower == "host", lower == "content-length":
	case tellingHeader(name) || strings.HasSuffix(lower, "-key"):
		if c.auth == nil {
			c.auth = keySpec("header", name, "")
		} else if !addKey(c.auth, "header", name) {
			c.l.list = append(c.l.list, Loss{Line: 1, Construct: name, Reason: "a second credential beside one that is no key is not carried over"})
		}
	default:
		c.r.headers.set(name, value)
	}
}

// authorizationSpec is the auth spec of an Authorization header.
func authorizationSpec(value string) *object {
	scheme, rest, ok := strings.Cut(value, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return bearerSpec()
	case strings.EqualFold(scheme, "Basic"):
		if _, err := base64.StdEncoding.DecodeString(rest); err == nil || strings.Contains(rest, "$") || strings.Contains(rest, "{") {
			return basicSpec()
		}
	}
	if ok {
		return keySpec("header", "Authorization", scheme+" ")
	}
	return keySpec("header", "Authorization", "")
}

func (c *curlImport) finish() (*Import, error) {
	r := c.r
	r.host, r.path = splitURL(c.url, r.query)
	c.queryKeys()
	switch {
	case c.get:
		for _, d := range c.data {
			_, _ = splitURL("https://x/?"+d, r.query)
		}
	case len(c.data) > 0:
		if r.method == "" {
			r.method = "POST"
		}
		c.body(strings.Join(c.data, "&"))
	}
	if r.method == "" {
		r.method = "GET"
	}
	guessPaging(r, c.l)
	r.content = "$"
	c.l.list = append(c.l.list, Loss{Line: 1, Construct: "contentPath", Reason: "a command does not tell where the records are in the answer; \"$\" (a bare array) is assumed"})
	name := strings.TrimPrefix(strings.TrimPrefix(r.host, "https://"), "http://")
	d := &draft{name: name, params: c.params.params, source: r.attributes()}
	if c.auth != nil {
		d.auth = []*object{c.auth}
	}
	return d.finish(c.l), nil
}

// queryKeys makes an auth spec of a key in the query.
func (c *curlImport) queryKeys() {
	q := &object{}
	for i, name := range c.r.query.names {
		if lower := strings.ToLower(name); c.auth == nil && (strings.Contains(lower, "key") && strings.Contains(lower, "api") || strings.HasSuffix(lower, "token") && !strings.Contains(lower, "page")) {
			c.auth = keySpec("query", name, "")
			continue
		}
		q.set(name, c.r.query.values[i])
	}
	c.r.query = q
}

func (c *curlImport) body(text string) {
	n, err := parseJSON([]byte(text))
	kind, _ := c.r.headers.get("Content-Type").(string)
	switch {
	case err == nil && n.isObject() && c.r.method == "POST":
		c.r.body = n.plain()
	case err == nil && n.isObject():
		c.r.ext(obj("kind", "json", "value", n.json()), "body")
	case kind == "" || strings.Contains(kind, "form-urlencoded"):
		form := &object{}
		_, _ = splitURL("https://x/?"+text, form)
		c.r.ext(obj("kind", "form", "form", form), "body")
	default:
		c.r.ext(obj("kind", "text", "text", text, "type", orNil(kind)), "body")
	}
}

// pageWords are names of query parameters that page.
var (
	offsetWords = []string{"offset", "skip", "start", "startat", "start_index", "$skip"}
	pageWords   = []string{"page", "page_number", "pagenumber", "pageno", "p", "page[number]"}
	limitWords  = []string{"limit", "per_page", "perpage", "page_size", "pagesize", "size", "count", "maxresults", "max_results", "$top", "top", "first", "page[size]", "pagelimit"}
	cursorWords = []string{"cursor", "page_token", "pagetoken", "next_token", "nexttoken", "continuation", "after", "starting_after", "page[after]", "page[cursor]", "next_cursor"}
)

func oneOf(words []string, name string) bool {
	for _, w := range words {
		if strings.EqualFold(w, name) {
			return true
		}
	}
	return false
}

// guessPaging reads the paging of a request from the names of its query parameters, and says so.
func guessPaging(r *request, l *losses) {
	find := func(words []string) (string, string) {
		for i, n := range r.query.names {
			if oneOf(words, n) {
				return n, plainText(r.query.values[i])
			}
		}
		return "", ""
	}
	limit, size := find(limitWords)
	offset, _ := find(offsetWords)
	page, first := find(pageWords)
	cursor, _ := find(cursorWords)
	note := func(what string) {
		l.list = append(l.list, Loss{Line: 1, Construct: "paginationParams", Reason: what})
	}
	switch {
	case offset != "":
		r.paging = obj("type", "OFFSET", "limitName", orNil(limit), "limitValue", orNil(size), "offSetName", offset)
		note("taken for OFFSET from the parameter " + offset + "; check it with weir spec try")
	case page != "":
		r.paging = obj("type", "PAGE", "limitName", orNil(limit), "limitValue", orNil(size), "pageParamName", page, "initialPageIndex", orNil(first))
		note("taken for PAGE from the parameter " + page + "; check it with weir spec try")
	case cursor != "":
		note("the parameter " + cursor + " looks like a cursor, but where the next one is in the answer is not told; the first page alone is read")
	default:
		note("no paging was found; one request is made")
	}
	drop := []string{offset, page, cursor}
	if r.paging != nil {
		drop = append(drop, limit)
	}
	q := &object{}
	for i, n := range r.query.names {
		kept := true
		for _, d := range drop {
			kept = kept && (d == "" || d != n)
		}
		if kept {
			q.set(n, r.query.values[i])
		}
	}
	r.query = q
}
