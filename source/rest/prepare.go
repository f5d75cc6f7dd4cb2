package rest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"golang.org/x/text/unicode/norm"

	"weir"
)

// prepareRule changes records before they are handed on. Exactly one of set, remove, keys, rename, flatten, lift and keep
// is there; when is a condition that any of them but keep may have.
type prepareRule struct {
	Set     string       `json:"set"` // path of the member that takes the value of To
	To      string       `json:"to"`  // expression over the record
	Remove  []string     `json:"remove"`
	Keys    string       `json:"keys"` // lower or snake: the names of the record's own members
	Rename  *renameRule  `json:"rename"`
	Flatten *flattenRule `json:"flatten"`
	Lift    *liftRule    `json:"lift"`
	Keep    string       `json:"keep"` // condition; a record without it is left out
	When    string       `json:"when"` // of remove also over value, the member that may go

	set            path
	removes        []path
	to, keep, when *expression
}

// renameRule replaces a text in the names of all members.
type renameRule struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// flattenRule makes one level of nested members. A value keeps its own name; where that is taken, and from the first list
// on, the names above it go before it with a dot. Later members of the record come first.
type flattenRule struct {
	Lists bool `json:"lists"` // elements of lists become members too
}

// liftRule makes the members of an object below the record members of the record itself.
type liftRule struct {
	Path   string `json:"path"`
	Drop   bool   `json:"drop"`  // the object itself goes
	Alone  bool   `json:"alone"` // nothing else of the record stays
	Prefix string `json:"prefix"`
	Suffix string `json:"suffix"`

	path path
}

func (x *extension) compilePrepare() error {
	for i := range x.Prepare {
		if err := x.Prepare[i].compile(fmt.Sprintf("prepare[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *prepareRule) compile(where string) (err error) {
	n := 0
	for _, set := range []bool{r.Set != "", len(r.Remove) > 0, r.Keys != "", r.Rename != nil, r.Flatten != nil, r.Lift != nil, r.Keep != ""} {
		if set {
			n++
		}
	}
	if n != 1 || (r.Set != "") != (r.To != "") {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s needs exactly one of set (with to), remove, keys, rename, flatten, lift, keep", where)
	}
	if err := oneOf(where+".keys", r.Keys, "", "lower", "snake"); err != nil {
		return err
	}
	if r.Rename != nil && r.Rename.Old == "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s.rename needs old", where)
	}
	named := func(text string) (path, error) {
		p, err := parsePath(text)
		if err == nil && len(p) == 0 {
			err = weir.Errorf("CONNECTOR-1312-400", "weir.%s: %q must name a member", where, text)
		}
		return p, err
	}
	if r.Set != "" {
		if r.set, err = named(r.Set); err != nil {
			return err
		}
		if slices.ContainsFunc(r.set, func(st step) bool { return st.kind == every }) {
			return weir.Errorf("CONNECTOR-1314-400", "weir.%s.set %s may not hold [*]", where, r.Set)
		}
	}
	for _, text := range r.Remove {
		p, err := named(text)
		if err != nil {
			return err
		}
		r.removes = append(r.removes, p)
	}
	if r.Lift != nil {
		if r.Lift.path, err = named(r.Lift.Path); err != nil {
			return err
		}
	}
	in := onRecord
	if len(r.removes) > 0 {
		in = onValue
	}
	return compileAll([]exprAt{
		{where + ".to", r.To, onRecord, nil, &r.to},
		{where + ".keep", r.Keep, onRecord, cel.BoolType, &r.keep},
		{where + ".when", r.When, in, cel.BoolType, &r.when},
	})
}

// preparer applies the rules of prepare to one record after the other.
type preparer struct {
	rules []prepareRule
	vars  map[string]any
}

// apply returns the changed record, and whether it stays.
func (p *preparer) apply(record []byte) (out []byte, stays bool, err error) {
	tree, err := parseTree(record)
	if err != nil {
		return nil, false, err
	}
	o, ok := tree.(*object)
	if !ok {
		return record, true, nil
	}
	for i := range p.rules {
		if o, stays, err = p.rules[i].apply(o, p.vars); err != nil || !stays {
			return nil, false, err
		}
	}
	out, err = plainJSON(o)
	return out, true, err
}

func (r *prepareRule) apply(o *object, base map[string]any) (*object, bool, error) { //nolint:gocyclo // one case for each kind of change
	vars := func(value any) map[string]any {
		out := map[string]any{"record": treeCEL(o), "value": value}
		for n, v := range base {
			if _, has := out[n]; !has {
				out[n] = v
			}
		}
		return out
	}
	if len(r.removes) == 0 && r.when != nil {
		if ok, err := r.when.truth(vars(nil)); err != nil || !ok {
			return o, true, err
		}
	}
	switch {
	case r.keep != nil:
		ok, err := r.keep.truth(vars(nil))
		return o, ok, err
	case r.to != nil:
		v, err := r.value(o, vars)
		if err != nil {
			return nil, false, err
		}
		tree, err := setTree(o, r.set, v)
		if err != nil {
			return nil, false, err
		}
		o, _ = tree.(*object)
	case len(r.removes) > 0:
		for _, p := range r.removes {
			err := removeTree(o, p, func(v any) (bool, error) {
				if r.when == nil {
					return true, nil
				}
				return r.when.truth(vars(treeCEL(v)))
			})
			if err != nil {
				return nil, false, err
			}
		}
	case r.Keys == "lower":
		o = o.renamed(strings.ToLower)
	case r.Keys == "snake":
		o = o.renamed(snake)
	case r.Rename != nil:
		o, _ = renameAll(o, func(n string) string { return strings.ReplaceAll(n, r.Rename.Old, r.Rename.New) }).(*object)
	case r.Flatten != nil:
		o = r.Flatten.apply(o)
	case r.Lift != nil:
		o = r.Lift.apply(o)
	}
	return o, true, nil
}

// value is what set takes. A member of the record is taken as it stands, so that no digit of a number is lost.
func (r *prepareRule) value(o *object, vars func(any) map[string]any) (any, error) {
	if r.to.copies != nil {
		v, _ := pickTree(o, r.to.copies)
		return v, nil
	}
	v, err := r.to.eval(vars(nil))
	if err != nil {
		return nil, err
	}
	raw, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	return parseTree(raw)
}

// pickTree is the value at a path; of [*] the first one.
func pickTree(v any, p path) (any, bool) {
	for i, st := range p {
		switch t := v.(type) {
		case *object:
			if st.kind == every {
				for _, m := range t.values {
					if found, ok := pickTree(m, p[i+1:]); ok {
						return found, true
					}
				}
				return nil, false
			}
			m, ok := t.get(st.name)
			if !ok {
				return nil, false
			}
			v = m
		case []any:
			if st.kind == every {
				for _, m := range t {
					if found, ok := pickTree(m, p[i+1:]); ok {
						return found, true
					}
				}
				return nil, false
			}
			if st.kind != byIndex || st.index >= len(t) {
				return nil, false
			}
			v = t[st.index]
		default:
			return nil, false
		}
	}
	return v, true
}

// setTree puts a value at a path. What is on the way and no object, or no element of a list, becomes an object.
func setTree(tree any, p path, v any) (any, error) {
	if len(p) == 0 {
		return v, nil
	}
	if list, ok := tree.([]any); ok && p[0].kind == byIndex {
		if p[0].index >= len(list) {
			return nil, weir.Errorf("CONNECTOR-1308-400", "weir.prepare: a record has no element %d to set", p[0].index)
		}
		child, err := setTree(list[p[0].index], p[1:], v)
		list[p[0].index] = child
		return list, err
	}
	o, ok := tree.(*object)
	if !ok {
		o = &object{}
	}
	name := p[0].name
	if p[0].kind == byIndex {
		name = strconv.Itoa(p[0].index)
	}
	old, _ := o.get(name)
	child, err := setTree(old, p[1:], v)
	o.set(name, child)
	return o, err
}

// removeTree takes away every value at a path that goes.
func removeTree(tree any, p path, goes func(any) (bool, error)) error {
	last := len(p) == 1
	switch t := tree.(type) {
	case *object:
		for i := 0; i < len(t.names); i++ {
			if p[0].kind != every && t.names[i] != p[0].name {
				continue
			}
			if !last {
				if err := removeTree(t.values[i], p[1:], goes); err != nil {
					return err
				}
				continue
			}
			ok, err := goes(t.values[i])
			if err != nil {
				return err
			}
			if ok {
				t.names, t.values = slices.Delete(t.names, i, i+1), slices.Delete(t.values, i, i+1)
				i--
			}
		}
	case []any:
		for i := range t {
			if last || p[0].kind == byName || p[0].kind == byIndex && p[0].index != i {
				continue // elements themselves stay: their number may mean something
			}
			if err := removeTree(t[i], p[1:], goes); err != nil {
				return err
			}
		}
	}
	return nil
}

// renamed changes the names of the members; of two that become equal the later one stays.
func (o *object) renamed(fn func(string) string) *object {
	out := &object{}
	for i, n := range o.names {
		out.set(fn(n), o.values[i])
	}
	return out
}

func renameAll(v any, fn func(string) string) any {
	switch v := v.(type) {
	case *object:
		out := &object{}
		for i, n := range v.names {
			out.set(fn(n), renameAll(v.values[i], fn))
		}
		return out
	case []any:
		for i := range v {
			v[i] = renameAll(v[i], fn)
		}
	}
	return v
}

// snakeWord is a part of a name: capitals with the small letters behind them, small letters, digits, or what separates.
var snakeWord = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+|[0-9]+|[^a-zA-Z0-9]+`)

// snake writes a name in lower case with underscores: orderId2 is order_id_2. Accents go; a separator stays at either end,
// and a digit never comes first.
func snake(name string) string {
	plain := strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Mn, c) {
			return -1
		}
		return c
	}, norm.NFKD.String(name))
	var parts []string
	words := snakeWord.FindAllString(plain, -1)
	for i, w := range words {
		separates := !strings.ContainsAny(w[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
		switch {
		case separates && i > 0 && i < len(words)-1:
			continue
		case separates:
			w = ""
		case i == 0 && w[0] <= '9':
			parts = append(parts, "")
		}
		parts = append(parts, strings.ToLower(w))
	}
	return strings.Join(parts, "_")
}

func (r *flattenRule) apply(o *object) *object {
	type place struct {
		v    any
		name string
	}
	out := &object{}
	long := false // from the first list on every name is long
	for stack := []place{{o, "_"}}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch v := at.v.(type) {
		case *object:
			for i, n := range v.names {
				if _, taken := out.get(n); taken || long {
					n = at.name + "." + n
				}
				stack = append(stack, place{v.values[i], n})
			}
			continue
		case []any:
			if r.Lists {
				long = long || len(v) > 0
				for i, e := range v {
					stack = append(stack, place{e, at.name + "." + strconv.Itoa(i)})
				}
				continue
			}
		}
		out.set(at.name, at.v)
	}
	return out
}

func (r *liftRule) apply(o *object) *object {
	v, _ := pickTree(o, r.path)
	inner, ok := v.(*object)
	if !ok {
		return o
	}
	if r.Alone {
		o = &object{}
	} else if r.Drop {
		_ = removeTree(o, r.path, func(any) (bool, error) { return true, nil })
	}
	for i, n := range inner.names {
		o.set(r.Prefix+n+r.Suffix, inner.values[i])
	}
	return o
}

// prepared is the preparer of a walk, nil when the spec has no rules.
func (x *extension) prepared(vars map[string]any) *preparer {
	if len(x.Prepare) == 0 {
		return nil
	}
	return &preparer{x.Prepare, vars}
}

// keyMembers marks the fields that tell the records apart in the schema of an explore: dotted names from the record on.
func (x *extension) keyMembers(schema json.RawMessage, wrapper string) json.RawMessage {
	if len(x.key) == 0 {
		return schema
	}
	tree, err := parseTree(schema)
	o, ok := tree.(*object)
	if err != nil || !ok {
		return schema
	}
	list := make([]any, len(x.key))
	for i, p := range x.key {
		names := []string{}
		if wrapper != "" {
			names = append(names, wrapper)
		}
		for _, st := range p {
			names = append(names, st.name)
		}
		list[i] = strings.Join(names, ".")
	}
	o.set("meta:primaryKey", list)
	raw, err := plainJSON(o)
	if err != nil {
		return schema
	}
	return raw
}

func (x *extension) compileKey() error {
	for _, text := range x.Key {
		p, err := parsePath(text)
		if err != nil {
			return err
		}
		if len(p) == 0 || slices.ContainsFunc(p, func(st step) bool { return st.kind != byName }) {
			return weir.Errorf("CONNECTOR-1314-400", "weir.key %s must name a member of the records", text)
		}
		x.key = append(x.key, p)
	}
	return nil
}
