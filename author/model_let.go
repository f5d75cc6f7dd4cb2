package author

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/source/rest"
)

// letModel reads the bounds of a window out of a value that is computed for each request.
type letModel struct {
	at    locus
	re    *regexp.Regexp
	parts []letPart // of the groups of re
}

// letPart is a bound as it shows in a text.
type letPart struct {
	start   bool
	pattern *timePattern
	shift   time.Duration // of the bound to what shows
}

// letBound finds the bounds that an expression prints.
var letBound = regexp.MustCompile(`formatTime\(((?:addTime\()?window\.(start|end)(?:, '[^']*'\))?), '([^']*)'\)`)

// readLets finds where computed values show the bounds of the window: each expression is evaluated for a window whose
// bounds cannot be mistaken for anything else.
func (r *resource) readLets(a, w *node) error { //nolint:gocyclo // a pattern is built from left to right
	let := w.get("let")
	names := let.memberNames()
	if len(names) == 0 {
		return nil
	}
	places := findNames(a, names)
	start, end := time.Date(2031, 7, 9, 13, 14, 15, 0, time.UTC), time.Date(2032, 11, 23, 17, 18, 19, 0, time.UTC)
	vars := map[string]json.RawMessage{"window": mustJSON(obj("start", start.Format(time.RFC3339), "end", end.Format(time.RFC3339)))}
	for i, name := range names {
		at, ok := places[name]
		if slices.Contains(r.open, name) {
			at, ok = locus{in: "path", name: name}, true
		}
		text := let.values[i].text()
		if !ok || !strings.Contains(text, "window.") {
			continue
		}
		whole, err := evalText(text, vars)
		if err != nil || whole == "" {
			continue
		}
		m := letModel{at: at}
		type hit struct {
			at, len int
			part    letPart
		}
		var hits []hit
		for _, g := range letBound.FindAllStringSubmatch(text, -1) {
			printed, err := evalText(g[0], vars)
			moved, merr := evalText("formatTime("+g[1]+", 'epoch')", vars)
			k := strings.Index(whole, printed)
			if err != nil || merr != nil || k < 0 || printed == "" || slices.ContainsFunc(hits, func(h hit) bool { return h.at == k }) {
				continue
			}
			base := start
			if g[2] == "end" {
				base = end
			}
			hits = append(hits, hit{k, len(printed), letPart{start: g[2] == "start", pattern: newTimePattern(g[3]), shift: time.Unix(int64(atoi(moved)), 0).Sub(base)}})
		}
		slices.SortFunc(hits, func(a, b hit) int { return a.at - b.at })
		pattern, from := "^", 0
		for _, h := range hits {
			pattern += looseText(whole[from:h.at]) + "(" + h.part.pattern.pattern() + ")"
			from = h.at + h.len
			m.parts = append(m.parts, h.part)
			r.window.coarse = r.window.coarse || h.part.pattern.coarse()
			r.window.closed = r.window.closed || h.part.shift < 0
		}
		if len(hits) > 0 {
			m.re = regexp.MustCompile(pattern)
			r.window.lets = append(r.window.lets, m)
		}
	}
	starts := func(l letModel) bool { return slices.ContainsFunc(l.parts, func(p letPart) bool { return p.start }) }
	if r.window.start.name == "" && !slices.ContainsFunc(r.window.lets, starts) {
		r.window.lets = nil // today, not the end of a window
	}
	return nil
}

// looseText matches a text whose parameters may be others.
func looseText(s string) string {
	if len(s) > 12 {
		return regexp.QuoteMeta(s[:2]) + ".*?" + regexp.QuoteMeta(s[len(s)-8:])
	}
	return regexp.QuoteMeta(s)
}

func evalText(text string, vars map[string]json.RawMessage) (string, error) {
	x, err := rest.ParseExpression(text, true)
	if err != nil {
		return "", err
	}
	raw, err := x.Eval(vars)
	if err != nil || raw == nil {
		return "", err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", err
	}
	return plainText(v), nil
}

// bounds reads a request.
func (m *letModel) bounds(q *inquiry) (start, end time.Time, text string) {
	s, ok := q.value(m.at)
	if !ok {
		return start, end, ""
	}
	g := m.re.FindStringSubmatch(s)
	if g == nil {
		return start, end, ""
	}
	for i, p := range m.parts {
		t, ok := p.pattern.parse(g[i+1])
		if !ok {
			continue
		}
		if p.start {
			start = t.Add(-p.shift)
		} else {
			end = t.Add(-p.shift)
		}
	}
	return start, end, g[0]
}

// readPrepare looks for shares of fields, and for changes that leave nothing of a record but what stands inside it.
func (r *resource) readPrepare(w *node) (err error) {
	if f := w.get("fields"); f != nil {
		if r.share, err = readLocus(f.get("inject")); err != nil {
			return err
		}
		if r.id, err = rest.ParsePath(f.str("key")); err != nil {
			return err
		}
		r.id = r.inner(r.id)
	}
	for _, p := range w.get("prepare").list() {
		l := p.get("lift")
		if l.str("alone") != "true" || len(r.explode) > 0 {
			continue
		}
		path, err := rest.ParsePath(l.str("path"))
		if err != nil {
			return err
		}
		r.lift = r.inner(path)
	}
	return nil
}
