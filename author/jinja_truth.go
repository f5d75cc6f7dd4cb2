package author

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// truth writes an expression as a CEL condition, with Jinja's idea of truth: what is not there, empty or false is false.
func (v *celEnv) truth(e *expr) (string, error) { //nolint:gocyclo // one case for each kind of expression
	switch e.op {
	case "not":
		return v.untruth(e.args[0])
	case "and", "or":
		a, err := v.truth(e.args[0])
		if err != nil {
			return "", err
		}
		b, err := v.truth(e.args[1])
		return "(" + a + map[string]string{"and": " && ", "or": " || "}[e.op] + b + ")", err
	case "==", "!=", "<", ">", "<=", ">=":
		return v.compare(e)
	case "in":
		return v.member(e)
	case "word":
		return strconv.FormatBool(e.text == "true"), nil
	case "is":
		return v.test(e)
	case "number":
		return strconv.FormatBool(e.text != "0"), nil
	case "text":
		return strconv.FormatBool(e.text != ""), nil
	case "list", "dict":
		return strconv.FormatBool(len(e.args) > 0), nil
	case "if":
		return v.choiceTruth(e)
	}
	if v.array(e) {
		return "elements > 0", nil
	}
	if root, members, ok := e.path(); ok && len(members) > 0 {
		if text, is := v.bound(root, members); is {
			return text + " != ''", nil
		}
		x, guard, err := v.place(root, members)
		if err != nil {
			return "", err
		}
		return "(" + guard + " && " + means(x) + ")", nil
	}
	x, err := v.cel(e)
	if err != nil {
		return "", err
	}
	if e.op == "filter" && (e.text == "length" || e.text == "count") {
		return x + " > 0", nil
	}
	if e.op == "call" && e.args[0].op == "member" && (e.args[0].text == "startswith" || e.args[0].text == "endswith") {
		return x, nil
	}
	return means(x), nil
}

// means says that a value is not one of those that mean nothing.
func means(x string) string {
	return "given(" + x + ")"
}

func (v *celEnv) choiceTruth(e *expr) (string, error) {
	parts := make([]string, 3)
	for i := range parts {
		var err error
		if parts[i], err = v.truth(e.args[i]); err != nil {
			return "", err
		}
	}
	return "(" + parts[0] + " ? " + parts[1] + " : " + parts[2] + ")", nil
}

// untruth is the opposite of truth, true also where something is not there.
func (v *celEnv) untruth(e *expr) (string, error) {
	if e.op == "not" {
		return v.truth(e.args[0])
	}
	if v.array(e) {
		return "elements == 0", nil
	}
	t, err := v.truth(e)
	return "!" + paren(t), err
}

func paren(t string) string {
	if strings.HasPrefix(t, "(") && strings.HasSuffix(t, ")") && balanced(t[1:len(t)-1]) {
		return t
	}
	return "(" + t + ")"
}

// balanced reports whether every parenthesis of a text is closed in it.
func balanced(t string) bool {
	depth := 0
	for _, c := range t {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}

// compare writes a comparison. One with something that is not there is false, and true for !=.
func (v *celEnv) compare(e *expr) (string, error) { //nolint:gocyclo // one case for each kind of operand
	a, b := e.args[0], e.args[1]
	if falsy(b) && (b.op == "list" || b.op == "dict") && v.array(a) {
		return map[string]string{"==": "elements == 0", "!=": "elements > 0"}[e.op], nil
	}
	if b.op == "word" && b.text == "none" || falsy(b) && b.op == "text" {
		if root, members, ok := a.path(); ok && len(members) > 0 && !v.array(a) {
			if text, is := v.bound(root, members); is {
				return text + " " + e.op + " ''", nil
			}
			x, guard, err := v.place(root, members)
			if err != nil {
				return "", err
			}
			there := "(" + guard + " && " + x + " != null && " + x + " != '')"
			if e.op == "==" {
				there = "!" + there
			}
			return there, nil
		}
	}
	var guards []string
	parts := make([]string, 2)
	for i, side := range []*expr{a, b} {
		var err error
		if parts[i], err = v.cel(side); err != nil {
			return "", err
		}
		if root, members, ok := side.path(); ok && len(members) > 0 {
			if _, is := v.bound(root, members); !is {
				if _, guard, err := v.place(root, members); err == nil && guard != "" {
					guards = append(guards, guard)
				}
			}
		}
		if side.op == "+" || side.op == "-" || side.op == "~" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	if len(guards) == 0 {
		return parts[0] + " " + e.op + " " + parts[1], nil
	}
	guard := strings.Join(guards, " && ")
	if e.op == "!=" {
		return "!(" + guard + " && " + parts[0] + " == " + parts[1] + ")", nil
	}
	return "(" + guard + " && " + parts[0] + " " + e.op + " " + parts[1] + ")", nil
}

// member writes x in y.
func (v *celEnv) member(e *expr) (string, error) {
	x, err := v.cel(e.args[0])
	if err != nil {
		return "", err
	}
	y := e.args[1]
	if root, members, ok := e.args[0].path(); ok && len(members) > 0 {
		if _, is := v.bound(root, members); !is {
			_, guard, err := v.place(root, members)
			if err != nil {
				return "", err
			}
			inner, err := v.memberOf(x, y, e.args[0])
			return "(" + guard + " && " + inner + ")", err
		}
	}
	return v.memberOf(x, y, e.args[0])
}

// memberOf writes x in y; left is x in the manifest.
func (v *celEnv) memberOf(x string, y, left *expr) (string, error) {
	root, members, ok := y.path()
	if !ok {
		list, err := v.cel(y)
		if y.op == "text" {
			return list + ".contains(" + x + ")", err
		}
		if y.op == "list" {
			return x + " in " + list, err
		}
		return "(type(dyn(" + list + ")) == string ? string(" + list + ").contains(string(" + x + ")) : " + x + " in dyn(" + list + "))", err
	}
	if len(members) == 0 {
		switch {
		case left.op == "text" && root == "headers":
			return celText(strings.ToLower(left.text)) + " in headers", nil
		case left.op == "text" && plainIdent.MatchString(left.text) && v.roots[root] != "":
			_, guard, err := v.place(root, []string{left.text})
			return "(" + guard + ")", err
		case left.op == "text" && root == "response":
			return "(text != null && string(text).contains(" + x + "))", nil
		}
		return "", fmt.Errorf("what is in %s is not known", root)
	}
	text, guard, err := v.place(root, members)
	if err != nil {
		return "", err
	}
	if v.roots[root] == "headers" {
		return "(" + guard + " && " + text + ".contains(" + x + "))", nil
	}
	return "(" + guard + " && " + text + " != null && (type(" + text + ") == string ? string(" + text + ").contains(string(" + x + ")) : " + x + " in " + text + "))", nil
}

// typeTests are tests of the type of a value.
var typeTests = map[string]string{
	"string": "type(%s) == string", "integer": "type(%s) == int", "float": "type(%s) == double", "number": "(type(%s) == int || type(%s) == double)",
	"boolean": "type(%s) == bool", "mapping": "type(%s) == map", "iterable": "(type(%s) == list || type(%s) == map || type(%s) == string)",
}

// test writes x is y.
func (v *celEnv) test(e *expr) (string, error) {
	name := e.args[1].text
	if form, ok := typeTests[name]; ok {
		x, err := v.cel(e.args[0])
		return strings.ReplaceAll(form, "%s", "dyn("+x+")"), err
	}
	switch name {
	case "true", "false":
		return v.compare(&expr{op: "==", args: []*expr{e.args[0], e.args[1]}})
	case "defined", "none", "undefined":
	default:
		return "", fmt.Errorf("the test %s is not known", name)
	}
	if v.array(e.args[0]) {
		return map[bool]string{true: "true", false: "false"}[name == "defined"], nil
	}
	root, members, ok := e.args[0].path()
	if !ok || len(members) == 0 {
		if e.args[0].op == "name" && e.args[0].text == "property" && name == "none" {
			return "value == null", nil
		}
		return "", errors.New("a test of this is not known")
	}
	if text, is := v.bound(root, members); is {
		return text + map[bool]string{true: " != ''", false: " == ''"}[name == "defined"], nil
	}
	x, guard, err := v.place(root, members)
	there := "(" + guard + " && " + x + " != null)"
	if name != "defined" {
		there = "!" + there
	}
	return there, err
}
