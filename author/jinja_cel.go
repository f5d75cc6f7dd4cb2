package author

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// celEnv says what the names of a manifest are in an expression of the extension.
type celEnv struct {
	roots   map[string]string // response: page
	content []string          // members that lead to the record array of an answer; nil if there is none
	root    bool              // the answer itself is the record array
	start   string            // CEL of the bounds of the window, as text in the manifest's format; "" for none
	end     string
	names   [2]string // the members of stream_interval that hold them
	windows *bool     // set when a bound is used
	// property: the expression is over one member of a record.
	property bool

	param func(members []string) (string, error) // the source parameter of a member of config
}

// pageRoots, recordRoots and requestRoots are the names in expressions over answers, over records and of requests.
var (
	pageRoots = map[string]string{
		"response": "page", "last_record": "last", "headers": "headers", "config": "params", "stream_partition": "params", "stream_slice": "params",
		"next_page_token": "position", "polling_response": "page", "creation_response": "page",
	}
	recordRoots  = map[string]string{"record": "record", "config": "params", "stream_partition": "params", "stream_slice": "params"}
	requestRoots = map[string]string{"config": "params", "stream_partition": "params", "stream_slice": "params"}
)

var plainIdent = regexp.MustCompile(`^[A-Za-z_]\w*$`)

var celReserved = map[string]bool{"in": true, "as": true, "break": true, "const": true, "continue": true, "else": true, "for": true, "function": true, "if": true, "import": true, "let": true, "loop": true, "package": true, "namespace": true, "return": true, "var": true, "void": true, "while": true, "null": true, "true": true, "false": true}

func celText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
}

// bound is the window's bound that a chain of members names.
func (v *celEnv) bound(root string, members []string) (string, bool) {
	if root != "stream_interval" && root != "stream_slice" && root != "stream_partition" || len(members) != 1 {
		return "", false
	}
	for i, text := range []string{v.start, v.end} {
		if members[0] == v.names[i] && text != "" {
			if v.windows != nil {
				*v.windows = true
			}
			return text, true
		}
	}
	return "", false
}

// place writes a chain of members. guard, if not "", tells whether it is there.
func (v *celEnv) place(root string, members []string) (text, guard string, err error) { //nolint:gocyclo // one case for each root
	name, ok := v.roots[root]
	if !ok {
		return "", "", fmt.Errorf("%s is not known here", root)
	}
	switch {
	case name == "headers":
		if len(members) != 1 {
			return "", "", fmt.Errorf("headers.%s is not a header", strings.Join(members, "."))
		}
		key := celText(strings.ToLower(members[0]))
		return "headers[" + key + "]", key + " in headers", nil
	case name == "position":
		return "position", "position != null", nil
	case root == "config" && v.param != nil && len(members) > 0:
		param, err := v.param(members)
		if err != nil {
			return "", "", err
		}
		members = []string{param}
	case name == "params" && len(members) > 0:
		if len(members) > 1 && (members[0] == "extra_fields" || members[0] == "parent_slice") {
			members = members[1:]
		}
		if len(members) > 0 {
			members = append([]string{paramName(members[0])}, members[1:]...)
		}
	case v.root && name == "page" && len(members) > 0 && strings.HasPrefix(members[0], "\x00"):
		name, members = element(members[0]), members[1:]
	case v.content != nil && name == "page" && len(members) > len(v.content) && slices.Equal(members[:len(v.content)], v.content) && strings.HasPrefix(members[len(v.content)], "\x00"):
		name, members = element(members[len(v.content)]), members[len(v.content)+1:]
	}
	if len(members) == 0 {
		if name == "last" || name == "first" {
			return name, "elements > 0", nil
		}
		return "", "", fmt.Errorf("%s as a whole is not known", root)
	}
	return v.members(name, members)
}

// members writes the members of a value. Of an answer only the last one is asked for: what holds it may hold the records.
func (v *celEnv) members(name string, members []string) (text, guard string, err error) { //nolint:gocyclo // one case for each kind of step
	var guards []string
	page := name == "page"
	for i, m := range members {
		last := i == len(members)-1
		if !page && i > 0 && guards != nil {
			guards = append(guards, name+" != null")
		}
		switch {
		case strings.HasPrefix(m, "\x00-"):
			guards = append(guards, "size("+name+") >= "+m[2:])
			name = name + "[size(" + name + ") - " + m[2:] + "]"
		case strings.HasPrefix(m, "\x00"):
			if !page {
				guards = append(guards, "size("+name+") > "+m[1:])
			}
			name = name + "[" + m[1:] + "]"
		case plainIdent.MatchString(m) && !celReserved[m]:
			name += "." + m
			if !page || last {
				guards = append(guards, "has("+name+")")
			}
		default:
			if page && last {
				guards = append(guards, name+"[?"+celText(m)+"].hasValue()")
			} else if !page {
				guards = append(guards, celText(m)+" in "+name)
			}
			name += "[" + celText(m) + "]"
		}
	}
	if strings.HasPrefix(name, "last.") || strings.HasPrefix(name, "first.") || strings.HasPrefix(name, "last[") || strings.HasPrefix(name, "first[") {
		guards = append([]string{"elements > 0"}, guards...)
	}
	if len(guards) == 0 {
		guards = []string{"true"}
	}
	return name, strings.Join(guards, " && "), nil
}

// element is the variable for the first or last record of a page.
func element(index string) string {
	return map[string]string{"\x00-1": "last", "\x000": "first"}[index]
}

// array reports whether a chain of members leads to the records of an answer.
func (v *celEnv) array(e *expr) bool {
	root, members, ok := e.path()
	if !ok || v.roots[root] != "page" {
		return false
	}
	return v.root && len(members) == 0 || v.content != nil && slices.Equal(members, v.content)
}

// cel writes an expression as CEL.
func (v *celEnv) cel(e *expr) (string, error) { //nolint:gocyclo // one case for each kind of expression
	if root, members, ok := e.path(); ok {
		if text, is := v.bound(root, members); is {
			return text, nil
		}
		switch {
		case v.array(e):
			return "", errors.New("the records of an answer as a value are not known")
		case len(members) == 0 && (root == "last_page_size"):
			return "elements", nil
		case len(members) == 0 && root == "last_page_token_value":
			return "position", nil
		case len(members) == 0 && root == "property" && v.property:
			return "value", nil
		}
		text, _, err := v.place(root, members)
		return text, err
	}
	switch e.op {
	case "text":
		return celText(e.text), nil
	case "number":
		return e.text, nil
	case "word":
		return e.text, nil
	case "if":
		return v.choice(e)
	case "not", "and", "is", "==", "!=", "<", ">", "<=", ">=", "in":
		return v.truth(e)
	case "or":
		return v.either(e)
	case "+", "-", "*", "%", "~", "/", "//":
		return v.arithmetic(e)
	case "concat":
		return v.concat(e)
	case "neg":
		x, err := v.cel(e.args[0])
		return "-(" + x + ")", err
	case "filter":
		return v.filter(e)
	case "slice":
		return v.slice(e)
	case "list", "dict":
		return v.literal(e)
	case "call":
		return v.call(e)
	}
	return "", fmt.Errorf("the operator %s is not known", e.op)
}

func (v *celEnv) all(list []*expr) ([]string, error) {
	out := make([]string, len(list))
	for i, e := range list {
		var err error
		if out[i], err = v.cel(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *celEnv) literal(e *expr) (string, error) {
	parts, err := v.all(e.args)
	if err != nil || e.op == "list" {
		return "[" + strings.Join(parts, ", ") + "]", err
	}
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(parts[i] + ": " + parts[i+1])
	}
	return "{" + b.String() + "}", nil
}

// text is a value as text: nothing is "", and times have their usual form.
func (v *celEnv) text(e *expr) (string, error) {
	if e.op == "if" {
		cond, err := v.truth(e.args[0])
		if err != nil {
			return "", err
		}
		yes, err := v.text(e.args[1])
		if err != nil {
			return "", err
		}
		no := "''"
		if !falsy(e.args[2]) {
			if no, err = v.text(e.args[2]); err != nil {
				return "", err
			}
		}
		return "(" + cond + " ? " + yes + " : " + no + ")", nil
	}
	x, err := v.cel(e)
	if err != nil {
		return "", err
	}
	if e.op == "text" || e.op == "concat" {
		return x, nil
	}
	if timeCall(e) {
		return "formatTime(" + x + ", \"yyyy-MM-dd HH:mm:ss.ffffff'+00:00'\")", nil
	}
	if root, members, ok := e.path(); ok {
		if _, is := v.bound(root, members); is {
			return x, nil
		}
		if _, guard, err := v.place(root, members); err == nil && guard != "" {
			return "(" + guard + " && " + x + " != null ? string(" + x + ") : '')", nil
		}
	}
	return "string(" + x + ")", nil
}

func (v *celEnv) concat(e *expr) (string, error) {
	parts := make([]string, len(e.args))
	for i, a := range e.args {
		var err error
		if parts[i], err = v.text(a); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, " + "), nil
}

// choice writes a if c else b. Branches may have different types.
func (v *celEnv) choice(e *expr) (string, error) {
	cond, err := v.truth(e.args[0])
	if err != nil {
		return "", err
	}
	yes, err := v.branch(e.args[1])
	if err != nil {
		return "", err
	}
	no, err := v.branch(e.args[2])
	return "(" + cond + " ? " + yes + " : " + no + ")", err
}

func (v *celEnv) branch(e *expr) (string, error) {
	if falsy(e) && (e.op == "word" && e.text == "none" || e.op == "text") {
		return "none", nil
	}
	x, err := v.cel(e)
	return "dyn(" + x + ")", err
}

// either writes a or b: the first that means something.
func (v *celEnv) either(e *expr) (string, error) {
	cond, err := v.truth(e.args[0])
	if err != nil {
		return "", err
	}
	if boolean(e.args[0]) && boolean(e.args[1]) {
		return v.truth(e)
	}
	a, err := v.branch(e.args[0])
	if err != nil {
		return "", err
	}
	b, err := v.branch(e.args[1])
	return "(" + cond + " ? " + a + " : " + b + ")", err
}

// boolean reports whether an expression is a condition rather than a value.
func boolean(e *expr) bool {
	switch e.op {
	case "not", "is", "==", "!=", "<", ">", "<=", ">=", "in":
		return true
	case "and", "or":
		return boolean(e.args[0]) && boolean(e.args[1])
	case "word":
		return e.text != "none"
	}
	return false
}

func (v *celEnv) arithmetic(e *expr) (string, error) {
	if d := e.args[1]; (e.op == "+" || e.op == "-") && d.op == "call" && d.args[0].op == "name" && d.args[0].text == "duration" && len(d.args) == 2 && d.args[1].op == "text" {
		t, err := v.cel(e.args[0])
		sign := map[string]string{"+": "", "-": "-"}[e.op]
		return "addTime(" + t + ", " + celText(sign+d.args[1].text) + ")", err
	}
	if e.op == "~" {
		return v.concat(e)
	}
	parts, err := v.all(e.args)
	if err != nil {
		return "", err
	}
	for i, a := range e.args {
		if strings.Contains("+-~", a.op) && e.op != "+" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	switch e.op {
	case "/":
		return "double(" + parts[0] + ") / double(" + parts[1] + ")", nil
	case "//":
		return "int(" + parts[0] + ") / int(" + parts[1] + ")", nil
	}
	return parts[0] + " " + e.op + " " + parts[1], nil
}

func (v *celEnv) slice(e *expr) (string, error) {
	x, err := v.cel(e.args[0])
	if err != nil {
		return "", err
	}
	var bounds []string
	for _, b := range e.args[1:] {
		if n, err := strconv.Atoi(b.text); b.op != "number" || err != nil || n < 0 {
			return "", errors.New("a slice from the end is not known")
		}
		bounds = append(bounds, b.text)
	}
	if len(bounds) == 2 {
		return "(size(" + x + ") > " + bounds[1] + " ? string(" + x + ").substring(" + bounds[0] + ", " + bounds[1] + ") : string(" + x + ").substring(" + bounds[0] + "))", nil
	}
	return "string(" + x + ").substring(" + bounds[0] + ")", nil
}

// filters are those that are one function or method of CEL; %s is the value, %1 the first argument.
var filters = map[string]string{
	"int": "int(%s)", "float": "double(%s)", "string": "string(%s)", "lower": "string(%s).lowerAscii()", "upper": "string(%s).upperAscii()",
	"trim": "string(%s).trim()", "strip": "string(%s).trim()", "join": "%s.map(x, string(x)).join(%1)", "replace": "string(%s).replace(%1, %2)", "tojson": "toJson(%s)",
	"hash": "hash(string(%s), %1)", "base64encode": "base64.encode(bytes(string(%s)))", "base64decode": "string(base64.decode(string(%s)))",
	"abs": "math.abs(%s)", "first": "%s[0]", "last": "%s[size(%s) - 1]", "unique": "%s.distinct()", "sort": "%s.sort()", "safe": "%s", "list": "%s",
	"length": "size(%s)", "count": "size(%s)", "regex_search": "regex.extract(string(%s), %1).orValue('')", "hmac": "hmac(string(%s), %1, %2)",
}

func (v *celEnv) filter(e *expr) (string, error) {
	if (e.text == "length" || e.text == "count") && v.array(e.args[0]) {
		return "elements", nil
	}
	args, err := v.all(e.args[1:])
	if err != nil {
		return "", err
	}
	if e.text == "default" || e.text == "d" {
		return v.orDefault(e.args[0], args)
	}
	x, err := v.cel(e.args[0])
	if err != nil {
		return "", err
	}
	if e.text == "join" && len(args) == 0 {
		args = []string{"''"}
	}
	if e.text == "hmac" && len(args) == 1 {
		args = append(args, "'sha256'")
	}
	form, ok := filters[e.text]
	if e.text == "hash" && len(args) != 1 {
		ok = false // with a salt
	}
	if !ok {
		return "", fmt.Errorf("the filter %s is not known", e.text)
	}
	return fillForm(form, x, args)
}

func fillForm(form, x string, args []string) (string, error) {
	form = strings.ReplaceAll(form, "%s", x)
	for i, a := range args {
		form = strings.ReplaceAll(form, "%"+strconv.Itoa(i+1), a)
	}
	if strings.Contains(form, "%1") || strings.Contains(form, "%2") {
		return "", errors.New("an argument is missing")
	}
	return form, nil
}

// orDefault is a value, or what takes its place when it is not there.
func (v *celEnv) orDefault(e *expr, args []string) (string, error) {
	root, members, ok := e.path()
	if !ok || len(args) == 0 {
		return "", errors.New("a default of this is not known")
	}
	x, guard, err := v.place(root, members)
	if err != nil || guard == "" {
		return x, err
	}
	return "(" + guard + " ? dyn(" + x + ") : dyn(" + args[0] + "))", nil
}

// methods are those of Python's values that CEL has too; the form is that of filters.
var methods = map[string]string{
	"lower": "string(%s).lowerAscii()", "upper": "string(%s).upperAscii()", "strip": "string(%s).trim()", "split": "string(%s).split(%1)",
	"replace": "string(%s).replace(%1, %2)", "startswith": "string(%s).startsWith(%1)", "endswith": "string(%s).endsWith(%1)", "isoformat": "formatTime(%s, \"yyyy-MM-ddTHH:mm:ss'+00:00'\")",
	"find": "string(%s).indexOf(%1)", "rstrip": "string(%s).trim()", "lstrip": "string(%s).trim()",
}

// timeCall reports whether an expression gives a time.
func timeCall(e *expr) bool {
	switch e.op {
	case "call":
		f := e.args[0]
		return f.op == "name" && slices.Contains([]string{"now_utc", "str_to_datetime"}, f.text)
	case "+", "-":
		return timeCall(e.args[0])
	}
	return false
}

func (v *celEnv) call(e *expr) (string, error) {
	f := e.args[0]
	if f.op == "name" {
		return v.macro(f.text, e.args[1:])
	}
	if f.op != "member" {
		return "", errors.New("a call of this is not known")
	}
	if f.text == "join" && len(e.args) == 2 {
		parts, err := v.all([]*expr{e.args[1], f.args[0]})
		if err != nil {
			return "", err
		}
		return parts[0] + ".map(x, string(x)).join(" + parts[1] + ")", nil
	}
	args, err := v.all(e.args[1:])
	if err != nil {
		return "", err
	}
	if f.text == "get" && len(args) == 2 {
		return v.orDefault(&expr{op: "call", args: []*expr{f, e.args[1]}}, args[1:])
	}
	if f.text == "strftime" && len(args) == 1 {
		t, err := v.time(f.args[0])
		if err != nil {
			return "", err
		}
		return v.format(t, e.args[1])
	}
	x, err := v.cel(f.args[0])
	if err != nil {
		return "", err
	}
	form, ok := methods[f.text]
	if !ok || strings.HasSuffix(f.text, "strip") && len(args) > 0 {
		return "", fmt.Errorf("the method %s is not known", f.text)
	}
	return fillForm(form, x, args)
}

// time is a value that is to be a time: of a bound of the window not its text, but the bound itself.
func (v *celEnv) time(e *expr) (string, error) {
	x, err := v.cel(e)
	if err != nil {
		return "", err
	}
	if e.op == "call" && e.args[0].text == "str_to_datetime" && len(e.args) == 2 {
		return v.time(e.args[1])
	}
	if root, members, ok := e.path(); ok {
		if _, is := v.bound(root, members); is {
			if g := boundCall.FindStringSubmatch(x); g != nil {
				return g[1], nil
			}
		}
	}
	return x, nil
}

var boundCall = regexp.MustCompile(`formatTime\(((?:addTime\()?window\.\w+(?:, '[^']*'\))?), '`)

// format prints a time in a format of the manifest.
func (v *celEnv) format(x string, f *expr) (string, error) {
	pattern := strftime(f.text)
	if f.op != "text" || pattern == "" {
		return "", fmt.Errorf("the format %q has no counterpart", f.text)
	}
	return "formatTime(" + x + ", " + celText(pattern) + ")", nil
}

// macro writes a function of the manifest's language.
func (v *celEnv) macro(name string, args []*expr) (string, error) { //nolint:gocyclo // one case for each macro
	parts, err := v.all(args)
	if err != nil {
		return "", err
	}
	n := len(args)
	switch {
	case name == "now_utc" && n == 0:
		return "window.end", nil
	case name == "today_utc" && n == 0, name == "today_with_timezone" && n == 1 && args[0].text == "UTC":
		return "formatTime(window.end, 'yyyy-MM-dd')", nil
	case name == "str_to_datetime" && n == 1:
		return parts[0], nil
	case name == "timestamp" && n == 1:
		t, err := v.time(args[0])
		return "int(formatTime(" + t + ", 'epoch'))", err
	case name == "format_datetime" && n >= 2:
		t, err := v.time(args[0])
		if err != nil {
			return "", err
		}
		return v.format(t, args[1])
	case name == "day_delta" && n >= 1 && args[0].op == "number":
		days, err := strconv.Atoi(args[0].text)
		if err != nil {
			return "", err
		}
		f := &expr{op: "text", text: "%Y-%m-%dT%H:%M:%S.%f%z"}
		if n > 1 {
			f = args[1]
		}
		return v.format("addTime(window.end, "+celText(daySpan(days))+")", f)
	case (name == "max" || name == "min") && n == 2:
		return "(" + parts[0] + map[string]string{"max": " > ", "min": " < "}[name] + parts[1] + " ? " + parts[0] + " : " + parts[1] + ")", nil
	}
	return "", fmt.Errorf("the macro %s is not known", name)
}

func daySpan(days int) string {
	if days < 0 {
		return "-P" + strconv.Itoa(-days) + "D"
	}
	return "P" + strconv.Itoa(days) + "D"
}
