package author

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// errors reads error handlers: what is done with an answer, and how long is waited.
func (a *airbyte) errors(n *node, r *request) {
	if n == nil {
		return
	}
	var rules []any
	var waits []*node
	tries := 0
	a.handler(n, &rules, &waits, &tries)
	if len(rules) > 0 {
		r.ext(rules, "onResponse")
	}
	backoff := a.strategies(waits)
	if tries > 0 {
		backoff.set("retries", min(tries, 100))
	}
	if !backoff.empty() {
		r.ext(backoff, "backoff")
	}
}

// handler collects the rules and the ways to wait of a handler and of those in it.
func (a *airbyte) handler(n *node, rules *[]any, waits *[]*node, tries *int) {
	switch t := a.kind(n); t {
	case "CompositeErrorHandler":
		for _, h := range n.get("error_handlers").list() {
			a.handler(h, rules, waits, tries)
		}
		return
	case "DefaultErrorHandler", "":
	case "Custom":
		return
	default:
		a.l.drop(n, t, "this error handler is not carried over")
		return
	}
	for _, f := range n.get("response_filters").list() {
		if rule := a.rule(f); rule != nil {
			*rules = append(*rules, rule)
		}
	}
	if m := n.get("max_retries"); m != nil {
		if k := atoi(m.text()); k > 0 {
			*tries = max(*tries, k)
		} else {
			a.l.add(m, "max_retries", "a passing fault is always tried again")
		}
	}
	n.get("max_time").text() // the server bounds the waits
	*waits = append(*waits, n.get("backoff_strategies").list()...)
}

// ruleActions are the actions of response filters in our words.
var ruleActions = map[string]string{"FAIL": "fail", "RETRY": "retry", "IGNORE": "ignore", "RATE_LIMITED": "retry", "REFRESH_TOKEN_THEN_RETRY": "refresh", "RESET_PAGINATION": "reset"}

func (a *airbyte) rule(f *node) *object {
	if a.kind(f) == "Custom" {
		return nil
	}
	action := a.field(f, "action").text()
	do := ruleActions[action]
	if action == "" {
		do = "fail"
	}
	if do == "" {
		a.l.drop(f, "HttpResponseFilter", "the action %s is not carried over", action)
		return nil
	}
	f.str("failure_type") // how the other program words a failure
	o := &object{}
	var list []any
	for _, c := range f.get("http_codes").list() {
		if n := atoi(c.text()); n >= 100 && n < 600 {
			list = append(list, n)
		}
	}
	if len(list) > 0 {
		o.set("status", list)
	}
	if t := f.str("error_message_contains"); t != "" {
		o.set("text", regexp.QuoteMeta(t))
	}
	if p := f.get("predicate"); p.text() != "" {
		when, err := a.condition(p, a.cur.pages)
		if err != nil {
			a.l.drop(f, "HttpResponseFilter", "its predicate: %s", err)
			return nil
		}
		o.set("when", when)
	}
	if o.empty() {
		a.l.drop(f, "HttpResponseFilter", "it has no condition")
		return nil
	}
	o.set("do", do)
	if m := f.get("error_message"); m.text() != "" {
		if t, err := parseTemplate(m.text()); err == nil && len(t.exprs) == 0 {
			o.set("message", m.text())
		} else {
			a.l.note(m, false, "error_message", "the error of a run quotes what the source said itself")
		}
	}
	return o
}

// strategies read how long is waited. A header and a length go together: the length counts when the header is missing.
func (a *airbyte) strategies(list []*node) *object {
	o := &object{}
	for _, b := range list {
		t := a.kind(b)
		number := func(name string) any { return rawNumber(a.template(a.field(b, name), name)) }
		set := func(name string, v any) {
			if v != nil {
				o.set(name, v)
			}
		}
		switch header := strings.HasPrefix(t, "Wait"); {
		case t != "Custom" && o.get("kind") != nil:
			a.l.note(b, true, t, "the one before it always tells a length")
			continue
		case header && o.get("header") != nil:
			a.l.drop(b, t, "one header that tells how long to wait is carried over")
			continue
		}
		switch t {
		case "ConstantBackoffStrategy":
			o.set("kind", "constant")
			if set("seconds", number("backoff_time_in_seconds")); o.get("seconds") == nil {
				a.l.add(b, t, "its length is not a number; the usual one is taken")
			}
		case "ExponentialBackoffStrategy":
			o.set("kind", "exponential")
			if f, ok := number("factor").(json.Number); ok { // there the first wait is twice the factor
				if x, err := f.Float64(); err == nil {
					o.set("seconds", json.Number(strconv.FormatFloat(2*x, 'f', -1, 64)))
				}
			} else {
				o.set("seconds", json.Number("10"))
			}
		case "WaitTimeFromHeader", "WaitUntilTimeFromHeader":
			set("header", orNil(a.template(b.get("header"), "header")))
			o.set("form", map[string]string{"WaitTimeFromHeader": "seconds", "WaitUntilTimeFromHeader": "epoch"}[t])
			a.waitMatch(b, t, o)
			set("minSeconds", number("min_wait"))
			if m := b.get("max_waiting_time_in_seconds"); m != nil {
				a.l.note(m, false, "max_waiting_time_in_seconds", "a run fails where the source asks to wait longer than the server allows")
			}
		case "Custom":
		default:
			a.l.drop(b, t, "this backoff is not carried over")
		}
	}
	return o
}

func (a *airbyte) waitMatch(b *node, t string, o *object) {
	re := b.str("regex")
	if re == "" {
		return
	}
	c, err := regexp.Compile(re)
	switch {
	case err != nil:
		a.l.add(b.get("regex"), t+".regex", "%q is not understood", re)
	case c.NumSubexp() > 0:
		o.set("match", re)
	default:
		o.set("match", "("+re+")")
	}
}

// budget reads the rates of a budget; each stream takes the policy that its requests match.
func (a *airbyte) budget(n *node) {
	if n == nil || a.kind(n) == "Custom" {
		return
	}
	remaining, reset := n.str("ratelimit_remaining_header"), n.str("ratelimit_reset_header")
	codes := []any{}
	for _, c := range n.get("status_codes_for_ratelimit_hit").list() {
		if code := atoi(c.text()); code >= 400 && code != 429 {
			codes = append(codes, code)
		}
	}
	policies := n.get("policies").list()
	for _, r := range a.list {
		o := a.policy(policies, r)
		if remaining != "" && reset != "" {
			o.set("remaining", remaining)
			o.set("reset", reset)
			o.set("form", "epoch")
		}
		if !o.empty() {
			r.ext(o, "budget")
		}
		if len(codes) > 0 {
			rules, _ := r.weir.get("onResponse").([]any)
			r.ext(append(rules, obj("status", codes, "do", "retry")), "onResponse")
		}
	}
}

// policy is the first policy whose matchers fit a request.
func (a *airbyte) policy(policies []*node, r *request) *object {
	for _, p := range policies {
		t := a.kind(p)
		fits := len(p.get("matchers").list()) == 0
		for _, m := range p.get("matchers").list() {
			fits = a.matches(m, r) || fits
		}
		if t == "UnlimitedCallRatePolicy" {
			if fits {
				return &object{}
			}
			continue
		}
		requests, interval := p.str("call_limit"), p.str("period")
		if rates := p.get("rates").list(); len(rates) > 0 {
			for i, rate := range rates {
				if rate.str("type"); i > 0 {
					a.l.drop(rate, "rate", "one rate is carried over")
				}
			}
			requests, interval = rates[0].str("limit"), rates[0].str("interval")
		}
		d, err := isoDuration(interval)
		limit, nerr := strconv.Atoi(requests)
		if err != nil || nerr != nil || d <= 0 || limit <= 0 {
			a.l.drop(p, or(t, "policy"), "its rate is not a number of calls in a length of days and hours")
			continue
		}
		if fits {
			return obj("requests", limit, "seconds", d.Seconds())
		}
	}
	return &object{}
}

// matches reports whether a matcher fits the requests of a stream.
func (a *airbyte) matches(m *node, r *request) bool {
	m.str("type")
	ok := true
	if method := m.str("method"); method != "" {
		ok = strings.EqualFold(method, r.method)
	}
	if base := m.str("url_base"); base != "" {
		ok = ok && strings.HasPrefix(r.host+r.path, strings.TrimRight(base, "/"))
	}
	if pattern := m.str("url_path_pattern"); pattern != "" {
		re, err := regexp.Compile(pattern)
		if err != nil {
			a.l.drop(m, "HttpRequestRegexMatcher", "%q is not understood", pattern)
			return false
		}
		ok = ok && re.MatchString(openName.ReplaceAllString(r.path, "x"))
	}
	for _, name := range []string{"params", "headers"} {
		if v := m.get(name); v != nil {
			a.l.drop(v, "HttpRequestRegexMatcher."+name, "a budget counts for every request of a stream")
		}
	}
	return ok
}
