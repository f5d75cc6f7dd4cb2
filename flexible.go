package weir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Int is an integer that clients send as a number or as numeric text (flow-service R15). The zero value is "absent".
type Int struct {
	Set   bool
	Value int64
}

// UnmarshalJSON accepts 15, 15.0, "15" and null.
func (i *Int) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if string(b) == "null" {
		*i = Int{}
		return nil
	}
	s := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		s = strings.TrimSpace(s)
		if s == "" {
			*i = Int{}
			return nil
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != float64(int64(f)) {
			return fmt.Errorf("%q is not a whole number", s)
		}
		n = int64(f)
	}
	*i = Int{Set: true, Value: n}
	return nil
}

// Bool is a boolean that clients send as true, "true" or "True". The zero value is "absent".
type Bool struct {
	Set   bool
	Value bool
}

// UnmarshalJSON accepts booleans, their text in any case, and null.
func (v *Bool) UnmarshalJSON(b []byte) error {
	s := strings.ToLower(strings.Trim(string(bytes.TrimSpace(b)), `"`))
	switch s {
	case "null", "":
		*v = Bool{}
	case "true":
		*v = Bool{Set: true, Value: true}
	case "false":
		*v = Bool{Set: true}
	default:
		return fmt.Errorf("%q is not a boolean", s)
	}
	return nil
}

// Text is text that clients also send as a number or boolean (mappingVersion, interval …); it keeps the source text.
type Text string

// UnmarshalJSON accepts text, numbers, booleans and null (as empty).
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if string(b) == "null" {
		*t = ""
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = Text(s)
		return nil
	}
	if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		return fmt.Errorf("expected text, found %s", map[byte]string{'{': "an object", '[': "an array"}[b[0]])
	}
	*t = Text(b)
	return nil
}
