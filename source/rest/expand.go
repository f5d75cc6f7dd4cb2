package rest

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"weir"
)

// params resolves placeholder names: source parameters first, then auth parameters that are not secret, then the
// parameters of an explore call, then the defaults of the spec's schema (contract flow-service §6.4).
type params struct {
	layers []map[string]json.RawMessage
	none   map[string]bool // names that were computed to nothing (weir.let)
}

// lookup finds a value. ok is false for an unknown name, null and "".
func (p *params) lookup(name string) (json.RawMessage, bool) {
	for _, l := range p.layers {
		if v, ok := l[name]; ok && len(v) > 0 && string(v) != "null" && string(v) != `""` {
			return v, true
		}
	}
	return nil, false
}

// text finds a value as text. Arrays of scalars are joined with commas; other values stay JSON.
func (p *params) text(name string) (string, bool) {
	v, ok := p.lookup(name)
	if !ok {
		return "", false
	}
	return paramText(v), true
}

// has reports whether a name is known, even with "".
func (p *params) has(name string) bool {
	for _, l := range p.layers {
		if v, ok := l[name]; ok && string(v) != "null" {
			return true
		}
	}
	return false
}

func paramText(v json.RawMessage) string {
	if s, ok := scalarText(v); ok {
		return s
	}
	var list []json.RawMessage
	if json.Unmarshal(v, &list) == nil {
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = paramText(e)
		}
		return strings.Join(parts, ",")
	}
	return string(v)
}

// slice is the time part of an expansion: what {SCHEDULE_QUERY}, {START_TIME}, {END_TIME} and the pipeline condition
// stand for. hasStart is false for a backfill and an explore.
type slice struct {
	query, start, end string
	hasStart          bool
}

// placeholder finds ${name}, {{name}} and the reserved {NAME} words.
var placeholder = regexp.MustCompile(`\$\{([^{}]*)\}|\{\{\s*([^{}]*?)\s*\}\}|\{(SCHEDULE_QUERY|START_TIME|END_TIME)\}`)

// hostPlaceholder also finds {name} (ruling R18).
var hostPlaceholder = regexp.MustCompile(`\$\{([^{}]*)\}|\{\{\s*([^{}]*?)\s*\}\}|\{([^{}]*)\}`)

// expander replaces placeholders and collects the names nobody gave.
type expander struct {
	params  *params
	slice   slice
	missing []string
	bad     error
	blanks  bool // "" is a value
}

func (e *expander) lack(name string) {
	if !slices.Contains(e.missing, name) {
		e.missing = append(e.missing, name)
	}
}

// err is 1304 naming every unresolved placeholder, or what else was wrong.
func (e *expander) err() error {
	if e.bad != nil {
		return e.bad
	}
	if len(e.missing) == 0 {
		return nil
	}
	return weir.Errorf("CONNECTOR-1304-400", "no value for ${%s}; give it as a source parameter", strings.Join(e.missing, "}, ${"))
}

func (e *expander) reserved(name string) (string, bool) {
	switch name {
	case "SCHEDULE_QUERY":
		return e.slice.query, true
	case "START_TIME":
		return e.slice.start, true
	case "END_TIME":
		return e.slice.end, true
	}
	return "", false
}

// expand replaces the placeholders of s; enc encodes each value for its place.
func (e *expander) expand(re *regexp.Regexp, s string, enc func(string) string) string {
	return re.ReplaceAllStringFunc(s, func(m string) string {
		name := placeName(re, m)
		if v, ok := e.reserved(name); ok && !strings.HasPrefix(m, "$") {
			return enc(v)
		}
		v, ok := e.params.text(name)
		if !ok && (!e.blanks || !e.params.has(name)) {
			e.lack(name)
			return m
		}
		return enc(v)
	})
}

func placeName(re *regexp.Regexp, m string) string {
	g := re.FindStringSubmatch(m)
	return g[1] + g[2] + g[3]
}

// text expands a plain text (header, query value before encoding).
func (e *expander) text(s string) string {
	return e.expand(placeholder, s, func(v string) string { return v })
}

// host expands the host part. Inside a longer host a value may hold only host characters; a host that is one
// placeholder is taken whole, scheme and path included.
func (e *expander) host(s string) string {
	s = strings.TrimSpace(s)
	if m := hostPlaceholder.FindString(s); m == s && s != "" {
		return e.expand(hostPlaceholder, s, func(v string) string { return v })
	}
	return e.expand(hostPlaceholder, s, func(v string) string {
		if !hostText.MatchString(v) {
			e.refuse(v, "a host name")
		}
		return v
	})
}

var hostText = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]+$`)

func (e *expander) refuse(v, where string) {
	if e.bad == nil {
		e.bad = weir.Errorf("CONNECTOR-1312-400", "the value %q is not valid inside %s", v, where)
	}
}

// path expands a path template, which may carry a query; values are encoded for the side of the ? they land on.
func (e *expander) path(s string) string {
	s = e.condition(s)
	before, after, has := strings.Cut(s, "?")
	out := e.expand(placeholder, before, func(v string) string {
		if v == "." || v == ".." {
			e.refuse(v, "a path")
		}
		return url.PathEscape(v)
	})
	if has {
		out += "?" + e.expand(placeholder, after, queryEscape)
	}
	return out
}

// ingestionStart is the one pipeline expression the vendor's specs use.
var ingestionStart = regexp.MustCompile(`^@\{\s*if\(\s*empty\(\s*coalesce\(\s*pipeline\(\)\s*\??\.parameters\??\.ingestionStart\s*,\s*''\s*\)\s*\)\s*,\s*'((?:[^']|'')*)'\s*,\s*'((?:[^']|'')*)'\s*\)\s*\}`)

// condition resolves @{if(empty(coalesce(pipeline()?.parameters?.ingestionStart,”)),'A','B')}: A without a window
// start, else B. Any other @{…} is refused with 1314.
func (e *expander) condition(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "@{")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i:]
		m := ingestionStart.FindStringSubmatch(s)
		if m == nil {
			if e.bad == nil {
				e.bad = weir.Errorf("CONNECTOR-1314-400", "the expression %q in the path is not supported; only @{if(empty(coalesce(pipeline()?.parameters?.ingestionStart,'')),'A','B')} is", s)
			}
			return b.String()
		}
		pick := m[2]
		if !e.slice.hasStart {
			pick = m[1]
		}
		b.WriteString(strings.ReplaceAll(pick, "''", "'"))
		s = s[len(m[0]):]
	}
}

// value expands a string inside a JSON body: a string that is one placeholder takes the value with its JSON type.
func (e *expander) value(s string) (any, error) {
	if m := placeholder.FindString(s); m == s && s != "" {
		name := placeName(placeholder, s)
		if _, reserved := e.reserved(name); !reserved {
			v, ok := e.params.lookup(name)
			if !ok {
				e.lack(name)
				return s, nil
			}
			return parseTree(v)
		}
	}
	return e.text(s), nil
}

// queryEscape encodes for a query; blanks become %20, never + (ruling in §6.7).
func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
