package author

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// ImportAirbyte makes a spec of a declarative manifest (manifest.yaml): one stream alone in the plain dialect where that
// can say it, several as streams of the extension. Everything that is not carried over is in the losses.
func ImportAirbyte(data []byte) (*Import, error) {
	a, err := readAirbyte(data)
	if err != nil {
		return nil, err
	}
	return a.d.finish(a.l), nil
}

// readAirbyte makes the draft of a spec, and the report.
func readAirbyte(data []byte) (*airbyte, error) {
	doc, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	if doc.get("streams") == nil && doc.get("dynamic_streams") == nil {
		return nil, errors.New("the document is not a declarative manifest: it has no streams")
	}
	a := &airbyte{root: doc, l: &losses{}, d: &draft{name: "airbyte"}, config: map[string]bool{}, secret: map[string]bool{}, params: map[string]string{}}
	doc = a.resolve(doc, nil, nil, 0)
	if doc == nil || a.count > maxResolved {
		return nil, errors.New("the references of the manifest go round in circles, or unfold to far too much")
	}
	a.doc = doc
	a.describe(doc)
	a.concurrency(doc)
	for _, s := range doc.get("streams").list() {
		a.stream(s)
	}
	for _, s := range doc.get("dynamic_streams").list() {
		a.dynamic(s)
	}
	if len(a.list) == 0 {
		return nil, errors.New("no stream of the manifest can be carried over; the first reason: " + a.first())
	}
	a.budget(doc.get("api_budget"))
	a.check(doc.get("check"))
	a.d.source = joinStreams(a.names, a.list)
	if len(a.list) > 1 {
		if a.checked != "" {
			w, _ := a.d.source.get("weir").(*object)
			w.set("check", obj("stream", a.checked))
		}
		a.d.choice(a.names)
	}
	if g := doc.get("stream_groups"); g != nil {
		a.l.drop(g, "stream_groups", "flows of streams that must not be read at the same time may be; give them schedules that do not meet")
	}
	a.withoutOpen()
	a.unused()
	a.unread()
	return a, nil
}

type airbyte struct {
	root, doc *node
	l         *losses
	d         *draft
	props     *node
	config    map[string]bool   // members of config that are used
	secret    map[string]bool   // by an authenticator
	params    map[string]string // names of source parameters to the path of config they stand for
	authKey   string
	count     int
	names     []string
	list      []*request
	checked   string // the stream that a connection is tested with
	parallel  int    // partitions read at once

	cur *streamImport
}

// streamImport is what the parts of one stream have to know of each other.
type streamImport struct {
	name    string
	r       *request
	env     *celEnv // of requests
	cursor  *cursorImport
	windows bool // a bound of the window is used in a request
	tokenIn string
	token   string // where the next position goes, when a parameter names it
	job     *jobImport
	late    string  // a filter that sees the changed records
	prepare []any   // changes that come first
	sends   []sent  // values of parents in the body
	pages   *celEnv // of answers
	records *celEnv
}

func (a *airbyte) first() string {
	if len(a.l.list) == 0 {
		return "there is none"
	}
	return a.l.list[0].String()
}

// describe reads what stands around the streams.
func (a *airbyte) describe(doc *node) {
	for _, name := range []string{"version", "type"} {
		doc.get(name).text()
	}
	spec := doc.get("spec")
	spec.str("type")
	c := spec.get("connection_specification")
	a.props = c.get("properties")
	for _, name := range []string{"type", "$schema", "additionalProperties"} {
		c.get(name).text()
	}
	c.get("required").list()
	if t := c.str("title"); t != "" {
		a.d.name = t
	}
	ui := &object{}
	if text := or(doc.str("description"), c.str("description")); text != "" {
		ui.set("description", obj("text", text))
	}
	if url := spec.str("documentation_url"); url != "" {
		ui.set("documentationLink", url)
	}
	if !ui.empty() {
		a.d.ui = ui
	}
	if m := doc.get("metadata"); m != nil {
		a.l.note(m, true, "metadata", "it concerns the tools of the other program")
	}
	if n := spec.get("config_normalization_rules"); n != nil {
		n.str("type")
		if m := n.get("config_migrations"); m != nil {
			a.l.note(m, true, "config_migrations", "configurations of the other program are not read")
		}
		if m := n.get("transformations"); m != nil {
			a.l.drop(m, "config transformations", "parameters are taken as connections give them")
		}
		if m := n.get("validations"); m != nil {
			a.l.drop(m, "config validations", "parameters are checked by their JSON Schema alone")
		}
	}
}

// concurrency reads how many partitions are read at once.
func (a *airbyte) concurrency(doc *node) {
	if m := doc.get("max_concurrent_async_job_count"); m != nil {
		a.l.note(m, true, "max_concurrent_async_job_count", "a run has one job at a time")
	}
	c := doc.get("concurrency_level")
	if c == nil {
		return
	}
	n := c.get("default_concurrency")
	level := atoi(n.text())
	if level == 0 {
		level = atoi(c.str("max_concurrency"))
	} else if most := atoi(c.str("max_concurrency")); most > 0 {
		level = min(level, most)
	}
	if a.parallel = min(level, 16); a.parallel > 1 {
		a.l.note(c, true, "concurrency_level", "up to %d parents are read at once; how many streams are is up to the server", a.parallel)
	} else {
		a.l.note(c, true, "concurrency_level", "how much is read at once is up to the server")
	}
}

// check reads which streams show that a connection works.
func (a *airbyte) check(c *node) {
	if c == nil {
		return
	}
	if a.kind(c) != "CheckStream" {
		a.l.drop(c, or(c.str("type"), "check"), "a connection is tested by asking its host; name a request in weir.check")
		return
	}
	if d := c.get("dynamic_streams_check_configs"); d != nil {
		a.l.drop(d, "dynamic_streams_check_configs", "dynamic streams are not part of the check")
	}
	for i, n := range c.get("stream_names").list() {
		at := slices.IndexFunc(a.list, func(r *request) bool { return r.title == n.text() })
		switch {
		case at < 0:
			a.l.add(n, "check of "+n.text(), "the stream is not carried over")
		case i > 0 && a.checked != "":
			a.l.note(n, false, "check of "+n.text(), "one stream is read in the test of a connection")
		default:
			a.checked = a.names[at]
			a.list[at].ext(obj("status", 200), "check") // the first page of the stream is read, as there
		}
	}
}

// maxResolve bounds the nesting of references, maxResolved the values of the document with all of them in place.
const (
	maxResolve  = 60
	maxResolved = 200_000
)

// resolve follows $ref and hands $parameters down: those nearer to a component win over those further out.
func (a *airbyte) resolve(n, params *node, path []*node, depth int) *node { //nolint:gocyclo // follows references and parameters in one walk
	if n == nil || depth > maxResolve {
		return nil
	}
	if a.count++; a.count > maxResolved {
		return nil
	}
	n.used = true
	if n.kind == scalarNode {
		text, _ := n.scalar.(string)
		if ref, ok := strings.CutPrefix(text, "*ref("); ok {
			return a.resolve(a.target(n, "#/"+strings.ReplaceAll(strings.TrimSuffix(ref, ")"), ".", "/")), params, path, depth+1)
		}
		if strings.HasPrefix(text, "#/") {
			if to := a.root.find(strings.TrimPrefix(text, "#")); to != nil {
				return a.resolve(to, params, path, depth+1)
			}
		}
		return withParameters(n, params)
	}
	out := &node{kind: n.kind, line: n.line, at: n.at, from: n}
	if n.kind == listNode {
		for _, v := range n.values {
			if r := a.resolve(v, params, path, depth+1); r != nil {
				out.values = append(out.values, r)
			}
		}
		return out
	}
	if own := member2(n, "$parameters"); own != nil {
		own.used = true
		merged := &node{kind: objectNode, line: own.line, at: own.at}
		for _, from := range []*node{params, own} {
			if from != nil {
				for i, name := range from.names {
					merged.set(name, from.values[i])
				}
			}
		}
		params = merged
	}
	if ref := member2(n, "$ref"); ref != nil && ref.kind == scalarNode {
		ref.used = true
		text, _ := ref.scalar.(string)
		if slices.Contains(path, n) {
			a.l.drop(ref, "$ref "+text, "it refers to itself")
			return nil
		}
		if base := a.resolve(a.target(ref, text), params, append(slices.Clone(path), n), depth+1); base.isObject() {
			out.names, out.values = slices.Clone(base.names), slices.Clone(base.values)
		}
	}
	for i, name := range n.names {
		if name == "$ref" || name == "$parameters" || n == a.root && (name == "definitions" || name == "schemas") {
			continue
		}
		if v := a.resolve(n.values[i], params, path, depth+1); v != nil {
			out.set(name, v)
		}
	}
	if params != nil {
		out.set("$parameters", params)
	}
	return out
}

// member2 is a member that nobody is noted to have asked for.
func member2(n *node, name string) *node {
	if i := slices.Index(n.names, name); i >= 0 {
		return n.values[i]
	}
	return nil
}

var parameterRef = regexp.MustCompile(`\b(?:parameters|options)(?:\.([A-Za-z_]\w*)|\[\s*['"]([^'"]+)['"]\s*\]|\.get\(\s*['"]([^'"]+)['"]\s*(?:,[^)]*)?\))`)

// withParameters puts the values of parameters into a text: they belong to the component it stands in.
func withParameters(n, params *node) *node {
	c := *n
	c.from = n
	text, ok := n.scalar.(string)
	if !ok || params == nil || !strings.Contains(text, "{{") && !strings.Contains(text, "{%") {
		return &c
	}
	whole := false
	out := parameterRef.ReplaceAllStringFunc(text, func(m string) string {
		g := parameterRef.FindStringSubmatch(m)
		p := params.get(g[1] + g[2] + g[3])
		if p == nil || p.kind != scalarNode {
			return m
		}
		value := p.text()
		if strings.Contains(value, "{{") {
			if strings.Trim(strings.Replace(text, m, "", 1), "{} ") == "" {
				whole, text = true, value
			}
			return m
		}
		if _, isText := p.scalar.(string); isText {
			return celText(value)
		}
		return value
	})
	if c.scalar = out; whole {
		c.scalar = text
	}
	return &c
}

func (a *airbyte) target(n *node, ref string) *node {
	to := a.root.find(strings.TrimPrefix(ref, "#"))
	if to == nil {
		a.l.drop(n, "$ref "+ref, "there is nothing at that place")
	}
	return to
}

// field is a member of a component, or what $parameters hand down for it.
func (a *airbyte) field(n *node, name string) *node {
	if v := n.get(name); v != nil {
		return v
	}
	return member2OrNil(n, "$parameters").get(name)
}

func member2OrNil(n *node, name string) *node {
	if n == nil {
		return nil
	}
	return member2(n, name)
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func or2(n, d *node) *node {
	if n != nil {
		return n
	}
	return d
}

// kind is the type of a component; custom ones are a loss with everything in them.
func (a *airbyte) kind(n *node) string {
	t := n.str("type")
	if strings.HasPrefix(t, "Custom") || n.get("class_name") != nil {
		a.l.drop(n, t, "custom code (%s) is not carried over", or(n.str("class_name"), "no class name"))
		return "Custom"
	}
	return t
}

// unread reports everything that nobody asked for: what a component has and the importer does not know.
func (a *airbyte) unread() { //nolint:gocyclo // two walks over one document
	gone := map[string]bool{}
	told := map[string]bool{}
	for _, list := range [][]Loss{a.l.list, a.l.notes} {
		for _, l := range list {
			told[l.Pointer] = true
			if l.Whole {
				gone[l.Pointer] = true
			}
		}
	}
	var walk func(n *node, owner string)
	walk = func(n *node, owner string) {
		for i, v := range n.values {
			name := ""
			if n.kind == objectNode {
				if name = n.names[i]; name == "$parameters" {
					continue
				}
			}
			switch {
			case gone[v.at] || v.deep:
			case !v.read && !told[v.at]:
				a.l.drop(v, or(owner, "manifest")+"."+or(name, "element"), "the member is not carried over")
				told[v.at] = true
			default:
				walk(v, or(memberText(v, "type"), or(name, owner)))
			}
		}
	}
	walk(a.doc, "")
	var definitions func(n *node)
	definitions = func(n *node) {
		for i, v := range n.values {
			switch {
			case v.at == "":
			case n.kind == objectNode && n.names[i] == "$parameters":
				for j, p := range v.values {
					if !p.read && v.kind == objectNode && v.used {
						a.l.note(p, true, "$parameters."+v.names[j], "no component reads it")
					}
				}
			case n == a.root && (n.names[i] == "definitions" || n.names[i] == "schemas"):
				definitions(v)
			case !v.used && n.kind == objectNode:
				a.l.note(v, true, "definition "+n.names[i], "nothing refers to it")
			default:
				definitions(v)
			}
		}
	}
	definitions(a.root)
}

// memberText is a text member that is not noted as read.
func memberText(n *node, name string) string {
	if n.kind != objectNode {
		return ""
	}
	return member2OrNil(n, name).scalarText()
}

// scalarText is the text of a value that is not noted as read.
func (n *node) scalarText() string {
	if n == nil || n.kind != scalarNode {
		return ""
	}
	s, _ := n.scalar.(string)
	return s
}
