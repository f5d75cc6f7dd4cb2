package author

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/source/rest"
)

// subject is a spec with parameters and credentials made for it: what a proof and a documentation page work with.
type subject struct {
	spec   json.RawMessage
	doc    *node
	gate   *gate
	fill   *filler
	params *object
	levels []*resource
	names  []string // of streams
	stream string

	base, mid, end time.Time
	step           time.Duration

	job, describe *node

	def  *rest.Definition
	open []string
}

// mirror makes an upstream of the subject.
func (s *subject) mirror() (*mirror, error) {
	m := newMirror(s.levels, s.gate, &clock{now: s.end.Add(time.Minute)})
	var err error
	if s.describe != nil {
		if m.fields, err = newFieldsMirror(s.describe, s.def.Describe, s.fill, s.open); err != nil {
			return nil, err
		}
	}
	if s.job == nil {
		return m, nil
	}
	m.jobs, err = newJobMirror(s.job, s.def, s.fill, s.open)
	return m, err
}

// choice says which of a spec's alternatives is meant.
type choice struct {
	auth   string // name of an auth spec, "" for the first
	stream string
	params map[string]json.RawMessage
}

// newSubject reads a spec.
func newSubject(spec json.RawMessage, c choice) (*subject, error) {
	doc, err := parseDocument(spec)
	if err != nil {
		return nil, err
	}
	s := &subject{spec: spec, doc: doc, params: &object{}, fill: &filler{values: map[string]string{}}, stream: c.stream}
	if doc.path("sourceSpec", "attributes", "urlParams") == nil && c.params["urlParams"] == nil {
		return nil, weir.Errorf("CONNECTOR-1304-400", "the spec has no request of its own (sourceSpec.attributes.urlParams is missing): this source takes it from each source connection")
	}
	auth := s.authSpec(c.auth)
	if c.auth != "" && auth == nil {
		return nil, weir.Errorf("FLOW-1415-400", "the auth spec %q is not one of this connection spec", c.auth)
	}
	s.values(auth, c)
	if s.gate, err = newGate(auth, s.fill); err != nil {
		return nil, err
	}
	def, err := rest.Define(s.binding())
	if err != nil {
		return nil, err
	}
	s.names = def.Streams
	if err := s.read(def); err != nil {
		return nil, err
	}
	return s, s.time()
}

func (s *subject) authSpec(name string) *node {
	for _, a := range s.doc.get("authSpec").list() {
		if name == "" || a.str("name") == name {
			return a
		}
	}
	return nil
}

// values gives the source parameters and the plain auth parameters values.
func (s *subject) values(auth *node, c choice) { //nolint:gocyclo // one case for each kind of parameter
	used := map[string]bool{}
	s.doc.path("sourceSpec", "attributes").each(func(n *node) {
		for _, m := range openName.FindAllStringSubmatch(n.text(), -1) {
			used[m[1]+m[2]] = true
		}
	})
	for _, m := range hostName.FindAllStringSubmatch(s.host(), -1) {
		used[m[1]] = true
	}
	schema := s.doc.path("sourceSpec", "spec")
	required := map[string]bool{}
	for _, r := range schema.get("required").list() {
		required[r.text()] = true
	}
	props := schema.get("properties")
	for name, raw := range c.params {
		if n, err := parseDocument(raw); err == nil {
			s.params.set(name, n.plain())
			s.fill.values[name] = n.text()
		}
	}
	if props != nil {
		for i, name := range props.names {
			if s.params.get(name) == nil && (required[name] || used[name] || name == "stream") {
				s.give(name, props.values[i])
			}
		}
	}
	if s.stream != "" {
		s.params.set("stream", s.stream)
	}
	plain := auth.path("spec", "properties")
	if plain != nil {
		for i, name := range plain.names {
			if used[name] && s.fill.values[name] == "" && plain.values[i].str("format") != "password" {
				s.fill.values[name] = s.sample(name)
			}
		}
	}
	if s.host() == "" && plain.get("host") != nil {
		s.fill.values["host"] = "https://proof.example"
	}
}

var hostName = regexp.MustCompile(`\$?\{([^{}]*)\}`)

func (s *subject) host() string {
	u := s.doc.path("sourceSpec", "attributes", "urlParams")
	return strings.TrimSpace(u.str("host") + u.str("hostname"))
}

// sample is a text for a parameter: an address where the parameter is the whole host.
func (s *subject) sample(name string) string {
	switch s.host() {
	case "${" + name + "}", "{{" + name + "}}", "{" + name + "}":
		return "https://proof.example"
	}
	return "proof"
}

// give sets a source parameter to its default, its first allowed value, or something of its type.
func (s *subject) give(name string, p *node) {
	var v any
	switch d, e := p.get("default"), p.get("enum").list(); {
	case d != nil && !d.null():
		v = d.plain()
	case len(e) > 0:
		v = e[0].plain()
	default:
		switch p.str("type") {
		case "integer", "number":
			v = json.Number("1")
		case "boolean":
			v = true
		case "array":
			v = []any{"proof"}
		case "object":
			return
		default:
			v = s.sample(name)
			if f := p.str("format"); f == "date" || f == "date-time" {
				v = map[string]string{"date": "2026-01-05", "date-time": "2026-01-05T00:00:00Z"}[f]
			}
		}
	}
	s.params.set(name, v)
	s.fill.values[name] = plainText(v)
}

// binding is the subject ready to be opened.
func (s *subject) binding() weir.Binding {
	b := weir.Binding{Spec: s.spec, Params: mustJSON(s.params), ConnectionID: "proof"}
	if s.gate.name != "" {
		b.AuthSpec, b.Auth = s.gate.name, mustJSON(s.gate.params)
	}
	return b
}

// read makes the resources of the definition and its parents.
func (s *subject) read(def *rest.Definition) error {
	own, err := parseDocument(def.Own)
	if err != nil {
		return err
	}
	parts := own.path("weir", "partition").list()
	var open, names []string
	for _, p := range parts {
		open = append(open, p.str("as"))
		if k := p.get("keep"); k != nil {
			open = append(open, k.names...)
		}
		names = append(names, p.str("as"))
	}
	job := own.path("weir", "job")
	if job != nil {
		open = append(open, or(job.str("as"), "job"))
		open = append(open, job.get("keep").memberNames()...)
	}
	all := append(slices.Clone(def.Parents), def.Own)
	for i, raw := range all {
		if raw == nil {
			s.levels = append(s.levels, &resource{as: names[i], values: s.listed(parts[i]), group: atoi(parts[i].str("group"))})
			continue
		}
		var part *node
		if i < len(parts) {
			part = parts[i]
		}
		r, err := s.resource(raw, part, open, names)
		if err != nil {
			return err
		}
		for j, other := range def.Others[i] {
			if other == nil || part == nil {
				continue
			}
			alt, err := s.resource(other, part.get("any").list()[j+1], open, names)
			if err != nil {
				return err
			}
			alt.alt, alt.as = j+1, names[i]
			r.alts = append(r.alts, alt)
		}
		if part != nil {
			r.as, r.group = names[i], atoi(part.str("group"))
		}
		s.levels = append(s.levels, r)
	}
	if def.Full != nil {
		full, err := s.resource(def.Full, nil, open, names)
		if err != nil {
			return err
		}
		s.own().alts = append(s.own().alts, full)
	}
	s.def, s.open, s.job, s.describe = def, open, job, own.path("weir", "schemaFrom")
	if job != nil {
		s.own().link = job.str("link") != ""
	}
	return nil
}

// listed are the values of a level that is a list.
func (s *subject) listed(part *node) []json.RawMessage {
	var out []json.RawMessage
	for _, v := range part.get("values").list() {
		out = append(out, v.json())
	}
	if name := part.str("param"); name != "" {
		switch v := s.params.get(name).(type) {
		case []any:
			for _, e := range v {
				out = append(out, mustJSON(e))
			}
		default:
			for t := range strings.SplitSeq(plainText(v), ",") {
				out = append(out, mustJSON(strings.TrimSpace(t)))
			}
		}
	}
	return out
}

// resource reads one definition; part, if not nil, is the level whose parents it gives.
func (s *subject) resource(raw json.RawMessage, part *node, open, names []string) (*resource, error) {
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	here := append(slices.Clone(open), doc.path("weir", "let").memberNames()...)
	if in := doc.path("weir", "paging", "inject").str("path"); in != "" {
		here = append(here, in)
	}
	r, err := readResource(raw, s.fill, here)
	if err != nil {
		return nil, err
	}
	r.asIn = findNames(doc, names)
	if part != nil {
		if kinds := part.get("any").list(); len(kinds) > 0 {
			part = kinds[0]
		}
		err = r.readKeys(part)
	}
	return r, err
}

func (r *resource) readKeys(part *node) error {
	p, err := rest.ParsePath(part.str("key"))
	if err != nil {
		return err
	}
	r.key = r.inner(p)
	keep := part.get("keep")
	if keep == nil {
		return nil
	}
	for _, v := range keep.values {
		if p, err = rest.ParsePath(v.text()); err != nil {
			return err
		}
		r.kept = append(r.kept, r.inner(p))
	}
	return nil
}

// findNames finds where a parent's value is sent besides the path: as a whole query parameter, header or body member.
func findNames(doc *node, names []string) map[string]locus {
	out := map[string]locus{}
	note := func(text string, l locus) {
		for _, n := range names {
			if text == "${"+n+"}" {
				out[n] = l
			}
		}
	}
	if q := doc.path("urlParams", "queryParams"); q.isObject() {
		for i, n := range q.names {
			note(q.values[i].text(), locus{in: "query", name: n})
		}
	}
	if h := doc.get("headerParams"); h.isObject() {
		for i, n := range h.names {
			note(h.values[i].text(), locus{in: "header", name: n})
		}
	}
	body := doc.path("weir", "body")
	for prefix, n := range map[string]*node{"": doc.get("bodyParams"), "value": body.get("value"), "variables": body.get("variables"), "form": body.get("form")} {
		var walk func(v *node, at []rest.Step)
		walk = func(v *node, at []rest.Step) {
			if v == nil {
				return
			}
			note(v.text(), locus{in: "body", path: slices.Clone(at)})
			for i, e := range v.values {
				st := rest.Step{Index: i, Kind: "index"}
				if v.kind == objectNode {
					st = rest.Step{Name: v.names[i], Kind: "name"}
				}
				walk(e, append(slices.Clone(at), st))
			}
		}
		start := []rest.Step{}
		if prefix == "variables" {
			start = steps("variables")
		}
		walk(n, start)
	}
	return out
}

// own is the source itself.
func (s *subject) own() *resource { return s.levels[len(s.levels)-1] }

// time lays out the windows of the proof: two slices of the spec's step.
func (s *subject) time() error {
	w := &s.own().window
	s.base = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	if w.base != "" {
		w.base = s.fill.text(w.base)
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
			if t, err := time.Parse(layout, w.base); err == nil {
				s.base = t.UTC()
				break
			}
		}
	}
	s.step = 24 * time.Hour
	for _, text := range []string{w.step, w.align} {
		d, err := roughDuration(s.fill.text(text))
		if err != nil {
			return err
		}
		if text == w.step && d > 0 || d > s.step {
			s.step = d
		}
	}
	if d, err := roughDuration(s.fill.text(w.delay)); err == nil && 8*d > s.step { // late records come in the second window too
		s.step = 8 * d
	}
	switch d, err := isoDuration(w.align); {
	case w.align == "":
	case err == nil && d > 0:
		s.base, s.step = s.base.Truncate(d), max(d, s.step.Truncate(d))
	default: // months or years
		s.base = time.Date(s.base.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		s.mid, s.end = time.Date(s.base.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(s.base.Year()+2, 1, 1, 0, 0, 0, 0, time.UTC)
		s.step = s.mid.Sub(s.base)
		return nil
	}
	s.mid, s.end = s.base.Add(s.step), s.base.Add(2*s.step)
	return nil
}

var isoPart = regexp.MustCompile(`(\d+)([WDHMS])`)

// isoDuration reads P7D, PT1H30M and 90m.
func isoDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if text[0] != 'P' {
		return time.ParseDuration(text)
	}
	date, clock, _ := strings.Cut(text[1:], "T")
	var total time.Duration
	for part, units := range map[string]map[string]time.Duration{
		date:        {"W": 7 * 24 * time.Hour, "D": 24 * time.Hour},
		" " + clock: {"H": time.Hour, "M": time.Minute, "S": time.Second},
	} {
		for _, m := range isoPart.FindAllStringSubmatch(part, -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil || units[m[2]] == 0 {
				return 0, fmt.Errorf("%q is not a duration like P7D or PT1H30M", text)
			}
			total += time.Duration(n) * units[m[2]]
		}
	}
	return total, nil
}

// roughDuration is isoDuration that takes months and years too, a month for 31 days.
func roughDuration(text string) (time.Duration, error) {
	date, clock, has := strings.Cut(strings.TrimPrefix(text, "-"), "T")
	days := 0
	for _, u := range []struct {
		unit byte
		days int
	}{{'Y', 366}, {'M', 31}} {
		if i := strings.IndexByte(date, u.unit); i > 0 && date[0] == 'P' {
			days += u.days * atoi(date[1:i])
			date = "P" + date[i+1:]
		}
	}
	if has {
		date += "T" + clock
	}
	if date == "P" {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := isoDuration(date)
	return d + time.Duration(days)*24*time.Hour, err
}

// rows makes n records: all but the last few in the first slice.
func (s *subject) rows(n int) []row {
	out := make([]row, n)
	late := 0
	if n > 6 && (s.job != nil || s.own().window.asked() || s.own().window.step != "" || s.own().window.filter) {
		late = 3
	}
	delta := (s.step / 2 / time.Duration(max(n, 1))).Truncate(time.Second)
	for i := range out {
		at := s.base.Add(s.step/4 + time.Duration(i)*delta)
		if i >= n-late {
			at = s.mid.Add(s.step/4 + time.Duration(i-n+late)*time.Second)
		}
		out[i] = row{serial: "r" + strconv.Itoa(i), at: at.Truncate(time.Second)}
	}
	if s.own().newest {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i].at, out[j].at = out[j].at, out[i].at
		}
	}
	return out
}

// usual is how many records make several pages, the last one not full.
func (s *subject) usual() int {
	r := s.own()
	size := r.pageSize()
	switch {
	case r.kind == "NONE":
		if r.records == "single" {
			return 1
		}
		return 10
	case r.cap > 0 && r.cap <= 4:
		return (r.cap-1)*size + 1
	case r.records == "single":
		return 4
	}
	return 3*size + max(1, size/3) + 3
}

// expected are the serials that a complete run gives, in order.
func (s *subject) expected(rows []row, parents int) []string {
	prefixes := []string{""}
	own := s.own()
	for _, l := range s.levels[:len(s.levels)-1] {
		var next []string
		for _, p := range prefixes {
			for _, text := range l.asked(parents) {
				_, elsewhere := own.asIn[l.as]
				if slices.Contains(own.open, l.as) || elsewhere {
					next = append(next, p+text+"-")
				} else {
					next = append(next, p)
				}
			}
		}
		prefixes = next
	}
	out := make([]string, 0, len(prefixes)*len(rows))
	for _, p := range prefixes {
		for _, r := range rows {
			switch {
			case r.hidden:
			case len(own.explode) > 0:
				out = append(out, p+r.serial+".0", p+r.serial+".1")
			default:
				out = append(out, p+r.serial)
			}
		}
	}
	return out
}

// asked are the values of a level as requests show them, groups joined.
func (r *resource) asked(parents int) []string {
	n := parents
	if r.values != nil {
		n = len(r.values)
	}
	var out []string
	for _, one := range append([]*resource{r}, r.alts...) {
		page := n
		if r.values == nil && one.kind != "NONE" {
			page = one.pageSize()
		}
		for from := 0; from < n; from += page {
			var list []string
			for i := from; i < min(from+page, n); i++ {
				list = append(list, one.parentText(i))
			}
			for group := range slices.Chunk(list, max(r.group, 1)) {
				out = append(out, strings.Join(group, ","))
			}
		}
	}
	return out
}

func (r *resource) parentText(i int) string {
	if r.values == nil {
		return r.parentKey(i)
	}
	var v any
	if json.Unmarshal(r.values[i], &v) != nil {
		return ""
	}
	return plainText(v)
}

// serialKey is the member that holds the serial.
func (r *resource) serialKey() string {
	if r.format() == "lines" {
		return "record"
	}
	if c := r.csv.get("columns").list(); len(c) > 0 && r.format() == "csv" {
		for _, n := range c {
			if n.text() == serialName {
				return serialName
			}
		}
		return c[0].text()
	}
	return serialName
}
