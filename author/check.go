package author

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir"
	"weir/source/rest"
)

// Fault is something wrong, or doubtful, in a spec.
type Fault struct {
	Line    int // of the file; 0 if unknown
	Pointer string
	Code    string
	Message string
	// Warning marks what works but is likely a mistake.
	Warning bool
}

// Check validates a connection spec as deeply as can be without its source: its JSON, its members, the request
// definition with all paths and expressions (the engine's own checks), that every placeholder has a value to come from,
// the schemas of its parameters, and its credentials. Faults are in the order of the file.
func Check(spec []byte) []Fault {
	doc, err := parseJSON(bytes.TrimPrefix(spec, []byte("\xef\xbb\xbf")))
	if err != nil {
		return []Fault{{Code: "CONNECTOR-1014-400", Message: "not valid JSON: " + err.Error()}}
	}
	if !doc.isObject() {
		return []Fault{{Line: 1, Code: "CONNECTOR-1014-400", Message: "a connection spec is a JSON object"}}
	}
	c := &checker{doc: doc}
	for _, f := range rest.CheckSpec(spec) {
		c.add(f.Pointer, f.Code, false, "%s", f.Message)
	}
	c.members()
	c.auth()
	c.schemas()
	c.placeholders()
	c.request()
	slices.SortStableFunc(c.faults, func(a, b Fault) int { return a.Line - b.Line })
	return c.faults
}

type checker struct {
	doc    *node
	faults []Fault
}

func (c *checker) add(pointer, code string, warning bool, format string, args ...any) {
	f := Fault{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...), Warning: warning}
	for at := pointer; f.Line == 0; {
		if n := c.doc.find(at); n != nil {
			f.Line = n.line
			break
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			break
		}
		at = at[:i] // something is missing there: the line of what should hold it
	}
	for _, old := range c.faults {
		if old.Pointer == f.Pointer && old.Message == f.Message {
			return
		}
	}
	c.faults = append(c.faults, f)
}

// attributeNames are the members of sourceSpec.attributes that mean something.
var attributeNames = []string{
	"uiAttributes", "urlParams", "headerParams", "bodyParams", "contentPath", "explodeEntityPath", "paginationParams", "scheduleParams",
	"schema", "spec", "preview", "weir",
}

// urlNames are the members of urlParams.
var urlNames = []string{"host", "hostname", "path", "method", "queryParams"}

// members looks at what is there and what is not.
func (c *checker) members() {
	for _, name := range []string{"name", "type", "providerId"} {
		if c.doc.str(name) == "" {
			c.add("/"+name, "CONNECTOR-1304-400", name == "type", "%s is missing", name)
		}
	}
	source := c.doc.get("sourceSpec")
	if !source.isObject() {
		c.add("/sourceSpec", "CONNECTOR-1304-400", false, "sourceSpec is missing")
		return
	}
	a := source.get("attributes")
	c.known(a, attributeNames)
	c.known(a.get("urlParams"), urlNames)
	if u := a.get("urlParams"); u != nil && u.str("path") == "" {
		c.add(u.at+"/path", "CONNECTOR-1304-400", true, "urlParams.path is missing; the request goes to the root of the host")
	}
	if a.path("urlParams") != nil && a.get("contentPath") == nil && a.path("weir", "streams") == nil {
		c.add(a.at+"/contentPath", "CONNECTOR-1314-400", true, "contentPath is missing: the answer itself must be the array of records")
	}
}

// known warns about members nobody reads, with the name that may be meant.
func (c *checker) known(n *node, names []string) {
	if n == nil {
		return
	}
	for i, name := range n.names {
		if slices.Contains(names, name) {
			continue
		}
		hint := ""
		if near := nearest(name, names); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		c.add(n.values[i].at, "CONNECTOR-1312-400", true, "%s has no meaning here%s", name, hint)
	}
}

// nearest is the name that differs least, "" if none is near.
func nearest(name string, names []string) string {
	best, at := len(name)/3+1, ""
	for _, n := range names {
		if len(name) >= 4 && strings.HasPrefix(strings.ToLower(n), strings.ToLower(name)) {
			return n
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= best {
			best, at = d, n
		}
	}
	return at
}

// distance counts the edits between two words.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			old := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j+1]+1, row[j]+1, last+cost)
			last = old
		}
	}
	return row[len(b)]
}

// auth looks at the ways to sign in.
func (c *checker) auth() {
	list := c.doc.get("authSpec").list()
	seen := map[string]bool{}
	for _, a := range list {
		name := a.str("name")
		if name == "" {
			c.add(a.at+"/name", "CONNECTOR-1304-400", false, "the auth spec has no name; connections choose it by auth.specName")
		}
		if fold := foldName(name); seen[fold] && name != "" {
			c.add(a.at+"/name", "CONNECTOR-1312-400", false, "two auth specs are named %q", name)
		} else {
			seen[fold] = true
		}
		c.credentials(a)
	}
	if len(list) == 0 && c.doc.path("sourceSpec", "attributes", "urlParams") != nil {
		c.add("/authSpec", "CONNECTOR-1304-400", true, "there is no authSpec: connections take no credentials")
	}
}

// needs are the parameters without which an auth type cannot work.
var needs = map[string][]string{
	"oauth2refreshcode": {"accessToken"}, "basicauthentication": {"username", "password"},
	"oauth2clientcredential": {"clientId", "clientSecret"}, "oauth2password": {"username", "password"},
	"awssigv4": {"accessKeyId", "secretAccessKey"},
}

func (c *checker) credentials(a *node) {
	kind, props := foldName(a.str("type")), a.path("spec", "properties")
	for _, name := range needs[kind] {
		if props.get(name) == nil && (name != "username" || props.get("userName") == nil) {
			c.add(a.at+"/spec/properties/"+name, "CONNECTOR-1304-400", true, "auth type %s needs the parameter %s, which the schema does not list", a.str("type"), name)
		}
	}
	if props != nil {
		for i, name := range props.names {
			p := props.values[i]
			if telling(name) && p.str("format") != "password" && p.get("restAttributes") == nil && p.str("type") == "string" {
				c.add(p.at, "CONNECTOR-1312-400", true, "%s looks like a secret; give it \"format\": \"password\"", name)
			}
		}
	}
	if kind != "keybased" || props.get("keyName") != nil {
		return
	}
	placed := false
	if props != nil {
		for _, p := range props.values {
			placed = placed || p.get("restAttributes") != nil
		}
	}
	if !placed {
		c.add(a.at+"/spec/properties", "CONNECTOR-1302-400", false, "no key has a place; give its property restAttributes.headerParamName, queryParamName, bodyParamName or cookieParamName")
	}
}

func telling(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "secret") || strings.Contains(name, "password") || strings.HasSuffix(name, "token")
}

// schemas compiles every schema a client's parameters are checked against.
func (c *checker) schemas() {
	try := func(n *node) {
		if n == nil || !n.isObject() {
			return
		}
		raw := bytes.ReplaceAll(n.json(), []byte(`"$schema"`), []byte(`"x-schema"`))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			k := jsonschema.NewCompiler()
			k.DefaultDraft(jsonschema.Draft7)
			k.UseLoader(closed{})
			if err = k.AddResource("spec:schema", v); err == nil {
				_, err = k.Compile("spec:schema")
			}
		}
		if err != nil {
			text, _, _ := strings.Cut(strings.ReplaceAll(err.Error(), "spec:schema", ""), "\n")
			c.add(n.at, "CONNECTOR-1312-400", true, "not a valid JSON Schema, so only its required members are checked: %s", text)
		}
	}
	for _, a := range c.doc.get("authSpec").list() {
		try(a.get("spec"))
	}
	try(c.doc.path("sourceSpec", "spec"))
	try(c.doc.path("sourceSpec", "attributes", "schema"))
}

// closed keeps a schema from reading anything else.
type closed struct{}

// Load refuses.
func (closed) Load(url string) (any, error) {
	return nil, fmt.Errorf("the reference to %s is not followed", url)
}

// placeholders demands that every ${name} has somewhere to come from, and warns of parameters nobody uses.
func (c *checker) placeholders() { //nolint:gocyclo // one case for each construct that gives a placeholder
	a := c.doc.path("sourceSpec", "attributes")
	if a.get("urlParams") == nil {
		return
	}
	source := c.doc.path("sourceSpec", "spec", "properties")
	known := map[string]bool{"SCHEDULE_QUERY": true, "START_TIME": true, "END_TIME": true}
	a.each(func(n *node) {
		if as := n.get("as"); as != nil && n.get("key") != nil || n.get("values") != nil {
			known[n.str("as")] = true
			if k := n.get("keep"); k != nil {
				for _, name := range k.names {
					known[name] = true
				}
			}
		}
		if n.get("create") != nil && n.get("id") != nil {
			known[or(n.str("as"), "job")] = true
			for _, name := range n.get("keep").memberNames() {
				known[name] = true
			}
		}
		for _, name := range n.get("let").memberNames() {
			known[name] = true
		}
		if n.get("param") != nil && n.get("as") != nil || n.get("any") != nil {
			known[n.str("as")] = true
			for _, other := range n.get("any").list() {
				for _, name := range other.get("keep").memberNames() {
					known[name] = true
				}
			}
		}
		if in := n.get("inject"); in.str("path") != "" {
			known[in.str("path")] = true
		}
	})
	used := map[string]bool{}
	auths := c.doc.get("authSpec").list()
	a.each(func(n *node) {
		for _, m := range openName.FindAllStringSubmatch(n.text(), -1) {
			name := m[1] + m[2]
			used[name] = true
			if known[name] || source.get(name) != nil || strings.HasSuffix(n.at, "/weir/body/query") {
				continue
			}
			c.placeholder(n, name, auths)
		}
	})
	if source == nil {
		return
	}
	text := string(a.json())
	for i, name := range source.names {
		if !used[name] && name != "stream" && !strings.Contains(text, "params."+name) && !strings.Contains(text, `"param":"`+name+`"`) && !strings.Contains(text, "{"+name+"}") {
			c.add(source.values[i].at, "CONNECTOR-1312-400", true, "the source parameter %s is used nowhere in the request", name)
		}
	}
}

// placeholder judges a name that only the credentials can give.
func (c *checker) placeholder(n *node, name string, auths []*node) {
	has := 0
	for _, a := range auths {
		p := a.path("spec", "properties", name)
		if p.str("format") == "password" {
			c.add(n.at, "CONNECTOR-1304-400", false, "${%s} is a secret of the auth spec %q and is never put into a request; use its type, or restAttributes", name, a.str("name"))
			return
		}
		if p != nil {
			has++
		}
	}
	switch {
	case has == 0:
		c.add(n.at, "CONNECTOR-1304-400", false, "${%s} has no value to come from: it is neither in sourceSpec.spec.properties nor in an auth spec", name)
	case has < len(auths):
		c.add(n.at, "CONNECTOR-1304-400", true, "${%s} is a parameter of some auth specs only; with the others it must come with the source parameters", name)
	}
}

// request looks for combinations that the engine accepts and that still do not do what they look like.
func (c *checker) request() {
	a := c.doc.path("sourceSpec", "attributes")
	if a.get("urlParams") == nil {
		return
	}
	if b := a.get("bodyParams"); b != nil && strings.ToUpper(a.str("urlParams", "method")) != "POST" {
		c.add(b.at, "CONNECTOR-1312-400", true, "bodyParams is sent by a POST only; weir.body goes with any method")
	}
	s := a.get("scheduleParams")
	if s.str("scheduleEndParamName") != "" && s.str("scheduleStartParamName") == "" {
		c.add(s.at, "CONNECTOR-1317-400", true, "scheduleParams has an end but no start: every run reads everything up to now")
	}
	p := a.get("paginationParams")
	kind := strings.ToUpper(p.str("type") + p.str("paginationType"))
	if (kind == "OFFSET" || kind == "PAGE") && p.str("limitValue") == "" && p.str("endConditionName") == "" && a.path("weir", "paging") == nil {
		c.add(p.at, "CONNECTOR-1316-400", true, "without limitValue any page with records may be followed by another one; the last one is found by an empty page")
	}
	if len(c.faults) == 0 || !slices.ContainsFunc(c.faults, func(f Fault) bool { return !f.Warning }) {
		c.define()
	}
}

// define makes the request with values of the right kinds, which finds what only shows then.
func (c *checker) define() {
	raw := c.doc.json()
	for _, name := range append([]string{""}, streamNames(raw)...) {
		if name == "" && len(streamNames(raw)) > 0 {
			continue
		}
		s, err := newSubject(raw, choice{stream: name})
		if err != nil {
			c.add("/sourceSpec/attributes", codeOr(err, "CONNECTOR-1312-400"), false, "%s", plainError(err))
			continue
		}
		for _, f := range rest.CheckParams(s.binding()) {
			c.add("/sourceSpec/attributes", f.Code, false, "with parameters of the right kinds: %s", f.Message)
		}
	}
}

func codeOr(err error, d string) string {
	if code := weir.CodeOf(err); code != "" {
		return code
	}
	return d
}

// plainError is the message without its code.
func plainError(err error) string {
	_, text, ok := strings.Cut(err.Error(), ": ")
	if code := weir.CodeOf(err); ok && code != "" && strings.HasPrefix(err.Error(), code) {
		return text
	}
	return err.Error()
}
