package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"weir"
)

// compileRules checks onResponse, backoff, budget and check.
func (x *extension) compileRules() error {
	for i := range x.OnResponse {
		if err := x.OnResponse[i].compile(fmt.Sprintf("onResponse[%d]", i)); err != nil {
			return err
		}
	}
	if b := x.Backoff; b != nil {
		if err := b.compile(); err != nil {
			return err
		}
	}
	if b := x.Budget; b != nil {
		if err := oneOf("budget.per", b.Per, "", "credentials", "host", "token"); err != nil {
			return err
		}
		if err := oneOf("budget.form", b.Form, "", "seconds", "millis", "epoch", "epochMillis", "date"); err != nil {
			return err
		}
		if b.Requests < 0 || b.Requests > 0 && b.Seconds <= 0 {
			return weir.Errorf("CONNECTOR-1312-400", "weir.budget needs requests and seconds above 0")
		}
	}
	if c := x.Check; c != nil {
		if c.Stream != "" && x.Streams[c.Stream] == nil {
			return weir.Errorf("CONNECTOR-1312-400", "weir.check.stream %q is not one of streams", c.Stream)
		}
		return compileAll([]exprAt{{"check.when", c.When, onPage, cel.BoolType, &c.when}})
	}
	return nil
}

func (r *responseRule) compile(where string) (err error) {
	if err := oneOf(where+".do", r.Do, "fail", "retry", "ignore", "refresh", "reset"); err != nil {
		return err
	}
	if r.statuses, err = parseStatuses(r.Status); err != nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s.status: %w", where, err)
	}
	if r.Wait != nil {
		if err := r.Wait.compile(); err != nil {
			return err
		}
	}
	if r.Text != "" {
		re, err := regexp.Compile(r.Text)
		if err != nil {
			return weir.Errorf("CONNECTOR-1312-400", "weir.%s.text: %w", where, err)
		}
		r.match = re
	}
	if len(r.statuses) == 0 && r.Text == "" && r.When == "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s needs status, text or when", where)
	}
	return compileAll([]exprAt{{where + ".when", r.When, onPage, cel.BoolType, &r.when}})
}

// parseStatuses reads 404, "404", "5xx", "400-403" or a list of them.
func parseStatuses(raw json.RawMessage) ([]statusRange, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []json.RawMessage
	if raw[0] != '[' {
		list = []json.RawMessage{raw}
	} else if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var out []statusRange
	for _, item := range list {
		text := strings.ToLower(unquote(item))
		from, to, isRange := strings.Cut(text, "-")
		if len(text) == 3 && strings.HasSuffix(text, "xx") {
			from, to, isRange = text[:1]+"00", text[:1]+"99", true
		}
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 100 || b > 599 || b < a {
			return nil, fmt.Errorf("%s is not a status like 404, \"5xx\" or \"400-403\"", item)
		}
		out = append(out, statusRange{a, b})
	}
	return out, nil
}

// matches evaluates a rule. Body is the start of a refusal's body; a success has none, its page is in vars.
func (r *responseRule) matches(status int, body []byte, success bool, vars map[string]any) (bool, error) {
	ok := len(r.statuses) == 0
	for _, s := range r.statuses {
		ok = ok || status >= s.from && status <= s.to
	}
	if !ok || r.match != nil && (success || !r.match.Match(body)) {
		return false, nil
	}
	if success && r.when == nil && len(r.statuses) == 0 {
		return false, nil
	}
	if r.when == nil {
		return true, nil
	}
	return r.when.truth(vars)
}

// ruleFault is a success that a rule turned into a failure.
type ruleFault struct {
	do      string
	message string
}

// Error is the message of the rule.
func (f *ruleFault) Error() string { return f.message }

// resetFault is an answer after which a rule wants the run to begin anew.
type resetFault struct{ err *weir.Error }

// Error is the message of the answer.
func (f *resetFault) Error() string { return f.err.Error() }

// Unwrap shows the coded error to whoever cannot begin anew.
func (f *resetFault) Unwrap() error { return f.err }

// errIgnored ends a walk: a rule said that this answer means nothing more is here.
var errIgnored = errors.New("ignored by a rule")

// refusal applies the rules to an answer that is not a success. handled is false when none matches.
func (s *Source) refusal(resp *http.Response, at string, body []byte, r *request) (f *fault, handled bool) {
	if r.rules == nil || len(r.rules.OnResponse) == 0 {
		return nil, false
	}
	a := &answer{url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, base: r.vars, text: string(body)}
	vars := a.vars()
	if v := toCEL(json.RawMessage(body)); v != nil {
		vars["page"] = v
	}
	for i := range r.rules.OnResponse {
		rule := &r.rules.OnResponse[i]
		ok, err := rule.matches(resp.StatusCode, body, false, vars)
		if err != nil {
			var known *weir.Error
			errors.As(err, &known)
			return &fault{err: known}, true
		}
		if !ok {
			continue
		}
		f := s.refused(resp, at, body)
		if rule.Message != "" {
			f.err.Message += " (" + rule.Message + ")"
		}
		switch rule.Do {
		case "ignore":
			return &fault{err: f.err, raw: errIgnored}, true
		case "reset":
			return &fault{err: f.err, raw: &resetFault{f.err}}, true
		case "retry":
			f.passing = true
			if f.after = retryAfter(resp.Header, s.opt.Now()); f.after <= 0 && rule.Wait != nil {
				f.after = rule.Wait.pause(resp.Header, s.opt.Now())
			}
		case "refresh":
			f.refresh = true
		default:
			f.passing = false
		}
		return f, true
	}
	return nil, false
}

// success applies the rules to a page that was read.
func (x *extension) success(a *answer) error {
	if x == nil || len(x.OnResponse) == 0 {
		return nil
	}
	vars := a.vars()
	for i := range x.OnResponse {
		rule := &x.OnResponse[i]
		ok, err := rule.matches(a.status, nil, true, vars)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if rule.Do == "ignore" {
			return errIgnored
		}
		message := rule.Message
		if message == "" {
			message = fmt.Sprintf("the rule onResponse[%d] matches", i)
		}
		if rule.Do == "reset" {
			return &resetFault{weir.Errorf("CONNECTOR-1308-400", "%s", message)}
		}
		return &ruleFault{rule.Do, message}
	}
	return nil
}

// rulePages lists the places of a page that rules read.
func (x *extension) rulePages(out []path) []path {
	for i := range x.OnResponse {
		if w := x.OnResponse[i].when; w != nil {
			out = append(out, w.pages...)
		}
	}
	return out
}

func (b *backoffRules) compile() error {
	if err := oneOf("backoff.kind", b.Kind, "", "exponential", "constant"); err != nil {
		return err
	}
	if err := oneOf("backoff.form", b.Form, "", "seconds", "millis", "epoch", "epochMillis", "date"); err != nil {
		return err
	}
	if b.Match != "" {
		re, err := regexp.Compile(b.Match)
		if err != nil || re.NumSubexp() < 1 {
			return weir.Errorf("CONNECTOR-1312-400", "weir.backoff.match %q is not a regular expression with a group", b.Match)
		}
		b.match = re
	}
	return weirIf(b.Retries < 0 || b.Retries > 100 || b.Seconds < 0 || b.Max < 0 || b.Min < 0, "weir.backoff: retries must be 0 to 100 and seconds not negative")
}

// attempts is how often a request is sent.
func (r *request) attempts(limits *Limits) int {
	if r.rules != nil && r.rules.Backoff != nil && r.rules.Backoff.Retries > 0 {
		return r.rules.Backoff.Retries + 1
	}
	return limits.Attempts
}

// pause is how long to wait before the next attempt.
func (s *Source) pause(r *request, f *fault, attempt int) time.Duration {
	if f.after > 0 {
		return f.after
	}
	if r.rules == nil || r.rules.Backoff == nil {
		return s.backoff(attempt)
	}
	b := r.rules.Backoff
	if b.Header != "" && f.header != nil {
		if d, ok := b.told(f.header, s.opt.Now()); ok {
			return d
		}
	}
	quick := *s
	if b.Seconds > 0 {
		quick.limits.Backoff = time.Duration(b.Seconds * float64(time.Second))
	}
	d := quick.limits.Backoff
	if b.Kind != "constant" {
		d = quick.backoff(attempt)
	}
	if b.Max > 0 {
		d = min(d, time.Duration(b.Max*float64(time.Second)))
	}
	return d
}

// told is the wait that the header of the rules names.
func (b *backoffRules) told(h http.Header, now time.Time) (time.Duration, bool) {
	text := h.Get(b.Header)
	if b.match != nil {
		if g := b.match.FindStringSubmatch(text); g != nil {
			text = g[1]
		}
	}
	d, ok := readWait(text, b.Form, now)
	return max(d, time.Duration(b.Min*float64(time.Second))), ok
}

// pause is the wait of a rule: what its header tells, else its seconds.
func (b *backoffRules) pause(h http.Header, now time.Time) time.Duration {
	if b.Header != "" {
		if d, ok := b.told(h, now); ok {
			return max(d, time.Millisecond)
		}
	}
	return time.Duration(b.Seconds * float64(time.Second))
}

// readWait reads a header that says when to come again.
func readWait(text, form string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if form == "date" {
		at, err := http.ParseTime(text)
		if err != nil {
			var ok bool
			if at, ok = parseExpiry(text); !ok {
				return 0, false
			}
		}
		return max(at.Sub(now), 0), true
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	switch form {
	case "millis":
		return time.Duration(n * float64(time.Millisecond)), true
	case "epoch":
		return max(time.Unix(int64(n), 0).Sub(now), 0), true
	case "epochMillis":
		return max(time.UnixMilli(int64(n)).Sub(now), 0), true
	}
	return time.Duration(n * float64(time.Second)), true
}
