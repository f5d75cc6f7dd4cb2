package mapping

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/record"
)

// verify checks a finished row: required fields and constraints (data-prep §6.1). A missing field whose mapping failed is a mapping error.
func (t *Transformer) verify(data record.Value, warnings []ColumnError) []RowError {
	if t.target == nil {
		return nil
	}
	v := verifier{warnings: warnings, strict: t.strict}
	if t.strict {
		v.types()
	}
	v.members(t.target.Fields, data, "")
	return v.out
}

type verifier struct {
	warnings []ColumnError
	strict   bool
	out      []RowError

	// names says that the warnings are known by their destinations only; lost are those that explain why a field is missing.
	names bool
	lost  []string
}

func (v *verifier) members(fields []record.Field, o record.Value, path string) {
	for i := range fields {
		f := &fields[i]
		x, ok := o.Get(f.Name)
		if (!ok || x.IsNull()) && !f.Required {
			continue
		}
		at := string(record.AppendName(nil, f.Name))
		if path != "" {
			at = path + "." + at
		}
		if !ok || x.IsNull() {
			v.missing(at)
			continue
		}
		v.field(f, x, at)
	}
}

func (v *verifier) field(f *record.Field, x record.Value, at string) {
	switch {
	case x.IsNull():
	case f.Type == record.Struct:
		v.members(f.Fields, x, at)
	case f.Type == record.List && f.Elem != nil:
		for i, e := range x.Items() {
			v.field(f.Elem, e, at+"["+itoa(i)+"]")
		}
	case f.Type == record.Map && f.Elem != nil:
		for i := range x.Object().Len() {
			name, e := x.Object().Member(i)
			v.field(f.Elem, e, at+"."+string(record.AppendName(nil, name)))
		}
	case f.Check != nil:
		if why := checkValue(f.Check, x); why != "" {
			v.broken(f.Check, x, at, why)
		}
	}
}

func (v *verifier) missing(at string) {
	if v.strict {
		v.absent(at)
		return
	}
	for i := range v.warnings {
		w := &v.warnings[i]
		if covers(w.Destination, at) {
			if v.names {
				v.lost = append(v.lost, w.Destination)
				continue
			}
			v.out = append(v.out, RowError{Code: CodeTransform, Path: at, Message: w.Description()})
			return
		}
	}
	v.out = append(v.out, RowError{Code: CodeRequired, Path: at, Message: fmt.Sprintf("the required field %s has no value", at)})
}

// broken notes a value that breaks a constraint.
func (v *verifier) broken(c *record.Check, x record.Value, at, why string) {
	if v.strict {
		v.out = append(v.out, strictConstraint(c, x, at, why))
		return
	}
	v.out = append(v.out, RowError{Code: CodeConstraint, Path: at, Message: fmt.Sprintf("the value of %s %s", at, why)})
}

// covers reports whether one of two paths leads to or through the other; [n] and [*] are the same place.
func covers(a, b string) bool {
	p, err := record.ParsePath(a)
	q, err2 := record.ParsePath(b)
	if err != nil || err2 != nil {
		return a == b
	}
	for i := range min(len(p), len(q)) {
		if p[i].Index == record.ByName || q[i].Index == record.ByName {
			if p[i] != q[i] {
				return false
			}
		} else if p[i].Index != q[i].Index && p[i].Index >= 0 && q[i].Index >= 0 {
			return false
		}
	}
	return true
}

// checkValue says how a value breaks its constraints, "" if it does not.
func checkValue(c *record.Check, v record.Value) string {
	if v.IsNumber() {
		if why := checkNumber(c, v); why != "" {
			return why
		}
		if len(c.Enum) == 0 {
			return ""
		}
	}
	s, ok := asText(v)
	if !ok {
		return ""
	}
	if len(c.Enum) > 0 && !slices.Contains(c.Enum, s) {
		return fmt.Sprintf("'%s' is not one of the allowed values %s", show(s), show(strings.Join(c.Enum, ", ")))
	}
	if v.Kind() != record.KindText {
		return ""
	}
	n := utf8.RuneCountInString(s)
	switch {
	case c.MinLength != nil && n < *c.MinLength:
		return fmt.Sprintf("has %s; at least %d are required", count(n, "character"), *c.MinLength)
	case c.MaxLength != nil && n > *c.MaxLength:
		return fmt.Sprintf("has %s; at most %d are allowed", count(n, "character"), *c.MaxLength)
	case c.Pattern != nil && !c.Pattern.MatchString(s):
		return fmt.Sprintf("'%s' does not match the pattern %s", show(s), show(c.Pattern.String()))
	case c.Format != "" && !validFormat(c.Format, s):
		return fmt.Sprintf("'%s' is no valid %s", show(s), c.Format)
	}
	return ""
}

func checkNumber(c *record.Check, v record.Value) string {
	f := v.Float()
	switch {
	case c.Minimum != nil && f < *c.Minimum:
		return fmt.Sprintf("%s is less than the minimum %v", show(v.String()), *c.Minimum)
	case c.Maximum != nil && f > *c.Maximum:
		return fmt.Sprintf("%s is greater than the maximum %v", show(v.String()), *c.Maximum)
	case c.ExclMin != nil && f <= *c.ExclMin:
		return fmt.Sprintf("%s is not greater than %v", show(v.String()), *c.ExclMin)
	case c.ExclMax != nil && f >= *c.ExclMax:
		return fmt.Sprintf("%s is not less than %v", show(v.String()), *c.ExclMax)
	}
	return ""
}

// validFormat checks the formats of the standard components (schema-catalog-data §1.8); unknown formats pass.
func validFormat(format, s string) bool {
	switch format {
	case "email":
		a, err := mail.ParseAddress(s)
		return err == nil && a.Address == s
	case "uri", "url":
		u, err := url.Parse(s)
		return err == nil && u.Scheme != ""
	case "uri-reference":
		_, err := url.Parse(s)
		return err == nil
	case "ipv4":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	case "ipv6":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is6() && a.Zone() == ""
	}
	return true
}
