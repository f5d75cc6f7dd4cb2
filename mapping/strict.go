package mapping

import (
	"slices"
	"strings"

	"weir/record"
)

// Codes of constraints that uploaded rows break (schema-catalog-data §4.7). The family is documented nowhere: this is its one place.
const (
	strictPattern = "DCVS-1103-400"
	strictFormat  = "DCVS-1105-400"
	strictEnum    = "DCVS-1111-400"
)

// strictPrefix begins the message of every violation.
const strictPrefix = "The message cannot be validated: "

// strictTypes and strictKinds are the types of targets and of values in messages.
var (
	strictTypes = map[string]string{
		"STRING": "String", "INTEGER": "Integer", "NUMBER": "Number", "BOOLEAN": "Boolean", "DATE": "String", "DATETIME": "String", "OBJECT": "JSONObject", "ARRAY": "JSONArray",
	}
	strictKinds = map[string]string{
		"STRING": "String", "INTEGER": "Integer", "NUMBER": "Double", "BOOLEAN": "Boolean", "DATETIME": "String", "OBJECT": "JSONObject", "ARRAY": "JSONArray", "NULL": "Null",
	}
)

// types notes every value that could not become its field's type.
func (v *verifier) types() {
	for i := range v.warnings {
		w := &v.warnings[i]
		message := strictPrefix + pointerOf(w.Destination) + ": expected type: " + strictTypes[w.Expected] + ", found: " + strictKinds[w.Actual]
		if w.Message != "" {
			message += " (" + w.Message + ")"
		}
		v.out = append(v.out, RowError{Code: CodeConstraint, Path: w.Destination, Message: message, Conversion: true})
	}
}

// absent notes a required field without a value, unless the value is there and has the wrong type.
func (v *verifier) absent(at string) {
	if slices.ContainsFunc(v.warnings, func(w ColumnError) bool { return covers(w.Destination, at) }) {
		return
	}
	parent, name := "#", at
	if i := strings.LastIndexByte(at, '.'); i >= 0 {
		parent, name = pointerOf(at[:i]), at[i+1:]
	}
	v.out = append(v.out, RowError{Code: CodeRequired, Path: at, Message: strictPrefix + parent + ": required key [" + name + "] not found"})
}

// strictConstraint is the error of a broken constraint.
func strictConstraint(c *record.Check, x record.Value, at, why string) RowError {
	code, text := CodeConstraint, why
	s, _ := asText(x)
	switch {
	case len(c.Enum) > 0 && !slices.Contains(c.Enum, s):
		code, text = strictEnum, show(s)+" is not a valid enum value"
	case c.Pattern != nil && !c.Pattern.MatchString(s):
		code, text = strictPattern, "string ["+show(s)+"] does not match pattern "+c.Pattern.String()
	case c.Format != "" && !validFormat(c.Format, s):
		code, text = strictFormat, "["+show(s)+"] is not a valid "+c.Format
	}
	return RowError{Code: code, Path: at, Message: strictPrefix + pointerOf(at) + ": " + text}
}

// pointerOf is a dotted path as a pointer into the row: a.b[0].c is #/a/b/0/c.
func pointerOf(path string) string {
	p, err := record.ParsePath(path)
	if err != nil {
		return "#/" + path
	}
	var b strings.Builder
	b.WriteByte('#')
	for _, s := range p {
		b.WriteByte('/')
		switch {
		case s.Index == record.ByName:
			b.WriteString(s.Name)
		case s.Index >= 0:
			b.WriteString(itoa(s.Index))
		default:
			b.WriteByte('*')
		}
	}
	return b.String()
}
