package xdm

import (
	"fmt"
	"maps"
	"slices"

	"weir"
	"weir/record"
)

// Breaking lists what a change of a full schema would break (§1.9), each with a JSON pointer into the old schema: fields that go away or
// change their type, values that are no longer accepted, another class. Empty means that the change is allowed: new fields, other texts,
// wider bounds, more values, and fields becoming required or optional.
func Breaking(old, next *Full) []weir.Finding {
	e := &evolution{}
	if a, b := old.head["meta:class"], next.head["meta:class"]; a != nil && b != nil && a != b {
		e.add(codeEvolution, "/meta:class", fmt.Sprintf("the class changes from %v to %v", a, b))
	}
	was, _ := old.head["meta:extends"].([]any)
	is, _ := next.head["meta:extends"].([]any)
	for _, id := range was {
		if !slices.Contains(is, id) && len(e.list) == 0 {
			e.add(codeEvolution, "/meta:extends", fmt.Sprintf("the component %v is removed", id))
		}
	}
	e.members(old.root, next.root, nil, 0)
	return e.list
}

// EvolutionError turns findings of [Breaking] into the error a client sees; nil for none. used says what holds the schema, for example "the dataset …".
func EvolutionError(found []weir.Finding, used string) error {
	if len(found) == 0 {
		return nil
	}
	f := findings{list: found}
	err := f.err().(*weir.Error) //nolint:errorlint // made one line above
	err.Message = "the change would break " + used + ": " + err.Message
	return err
}

type evolution struct {
	findings
}

func (e *evolution) members(old, next *node, at []string, depth int) {
	if depth > maxDepth || len(e.list) >= 100 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(old.props)) {
		here := append(slices.Clip(at), "properties", name)
		to := next.props[name]
		if to == nil {
			e.add(codeEvolution, pointer(here...), "the field "+name+" is removed")
			continue
		}
		e.field(old.props[name], to, here, depth)
	}
}

func (e *evolution) field(old, next *node, at []string, depth int) {
	if old == next {
		return
	}
	from, to := old.xdm(), next.xdm()
	if from != to && !widens(from, to) && from != record.Invalid {
		e.add(codeEvolution, pointer(at...), fmt.Sprintf("the type changes from %s to %s", from, to))
		return
	}
	e.values(old, next, at)
	e.members(old, next, at, depth+1)
	if old.items != nil && next.items != nil {
		e.field(old.items, next.items, append(slices.Clip(at), "items"), depth+1)
	}
	if old.values != nil && next.values != nil {
		e.field(old.values, next.values, append(slices.Clip(at), "additionalProperties"), depth+1)
	}
}

// widens reports integers whose bounds were loosened: all are stored alike.
func widens(from, to record.Type) bool { return from.Integer() && to.Integer() && to > from }

// limitKeys are the bounding keywords: lower and upper limits in turn.
var limitKeys = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}

// values compares what a leaf accepts.
func (e *evolution) values(old, next *node, at []string) {
	narrow := func(key, format string, args ...any) {
		e.add(codeEvolution, pointer(append(slices.Clip(at), key)...), fmt.Sprintf(format, args...))
	}
	was, _ := old.keys["enum"].([]any)
	is, _ := next.keys["enum"].([]any)
	switch {
	case len(was) == 0 && len(is) > 0:
		narrow("enum", "a list of allowed values is added")
	case len(is) > 0:
		for _, v := range was {
			if !slices.ContainsFunc(is, func(w any) bool { return enumText(v) == enumText(w) }) {
				narrow("enum", "the value %s is no longer allowed", enumText(v))
			}
		}
	}
	for _, key := range []string{"pattern", "format"} {
		if a, b := old.text(key), next.text(key); b != "" && a != b {
			narrow(key, "the %s %q is set, it was %q", key, b, a)
		}
	}
	for i, key := range limitKeys {
		lower := i%2 == 0
		a, b := number(old.keys[key]), number(next.keys[key])
		if b != nil && (a == nil || lower && *b > *a || !lower && *b < *a) {
			narrow(key, "%s becomes %v", key, *b)
		}
	}
}
