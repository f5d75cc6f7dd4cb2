package author

import (
	"regexp"
	"strings"
	"time"
)

// cursorImport is a DatetimeBasedCursor on its way into scheduleParams or the extension's cursor. Nil has none.
type cursorImport struct {
	a          *airbyte
	n          *node
	start, end *object // where the bounds go
	format     string
	closed     string
}

// newCursor reads incremental_sync.
func (a *airbyte) newCursor(n *node) *cursorImport {
	if n == nil {
		return nil
	}
	switch t := a.kind(n); t {
	case "DatetimeBasedCursor":
	case "Custom":
		return nil
	case "IncrementingCountCursor":
		a.countCursor(n)
		return nil
	default:
		a.l.drop(n, t, "this incremental sync is not carried over; every run reads everything")
		return nil
	}
	c := &cursorImport{a: a, n: n, format: strftime(a.field(n, "datetime_format").text())}
	if c.format == "" {
		a.l.add(or2(n.get("datetime_format"), n), "datetime_format", "%q has no counterpart; yyyy-MM-ddTHH:mm:ssZ is sent", a.field(n, "datetime_format").text())
		c.format = "yyyy-MM-ddTHH:mm:ssZ"
	}
	c.closed = c.granularity()
	env := a.cur.env
	env.names = [2]string{or(n.str("partition_field_start"), "start_time"), or(n.str("partition_field_end"), "end_time")}
	last := "window.end"
	if c.closed != "" && n.get("step") != nil && strings.HasPrefix(c.closed, "P") {
		last = "addTime(window.end, " + celText("-"+c.closed) + ")"
	}
	env.start = "(window.start == '' ? '' : formatTime(window.start, " + celText(c.format) + "))"
	env.end = "formatTime(" + last + ", " + celText(c.format) + ")"
	a.cur.records.names, a.cur.records.start, a.cur.records.end = env.names, env.start, env.end
	for _, o := range []struct {
		name string
		to   **object
	}{{"start_time_option", &c.start}, {"end_time_option", &c.end}} {
		in, name := a.option(n.get(o.name))
		switch in {
		case "query", "header", "body":
			*o.to = obj(in, name)
		case "url":
			a.l.drop(n.get(o.name), o.name, "a bound of the window as the whole path is not carried over")
		}
	}
	return c
}

// countCursor reads a cursor that counts: where it begins is sent, where it stood is not kept.
func (a *airbyte) countCursor(n *node) {
	a.field(n, "cursor_field").text()
	in, name := a.option(n.get("start_value_option"))
	if in == "" {
		a.l.note(n, true, "IncrementingCountCursor", "the source is not asked for what came since; every run reads everything, as there")
		return
	}
	text := a.template(n.get("start_value"), "start_value")
	a.l.drop(n, "IncrementingCountCursor", "the highest number is not kept between runs; every run reads everything from the first one on")
	switch in {
	case "query":
		a.cur.r.query.set(name, or(text, "0"))
	case "header":
		a.cur.r.headers.set(name, or(text, "0"))
	}
}

// takes uses a request value that is a bound of the window and nothing else.
func (c *cursorImport) takes(a *airbyte, v *node, at *object) bool {
	if c == nil || a.cur.job != nil || v == nil || v.kind != scalarNode {
		return false
	}
	text := v.scalarText()
	if !strings.Contains(text, "stream_interval") && !strings.Contains(text, "stream_slice") && !strings.Contains(text, "stream_partition") {
		return false
	}
	root, members, ok := simplePath(text)
	if !ok || len(members) != 1 || root != "stream_interval" && root != "stream_slice" && root != "stream_partition" {
		return false
	}
	switch members[0] {
	case a.cur.env.names[0]:
		if c.start != nil {
			return false
		}
		c.start = at
	case a.cur.env.names[1]:
		if c.end != nil {
			return false
		}
		c.end = at
	default:
		return false
	}
	v.mark(false)
	return true
}

// granularity is the least difference between two times, "" where bounds may meet.
func (c *cursorImport) granularity() string {
	g := c.n.str("cursor_granularity")
	switch {
	case g == "" || c.n.get("step") == nil:
		return ""
	case strings.Contains(g, "0.000001"):
		return time.Microsecond.String()
	case strings.Contains(g, "0.001"):
		return time.Millisecond.String()
	}
	if d, err := isoDuration(g); err != nil || d <= 0 {
		c.a.l.add(c.n.get("cursor_granularity"), "cursor_granularity", "%q is not a length of days and hours", g)
		return ""
	}
	return g
}

var spanText = regexp.MustCompile(`^P(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?$`)

// write puts the cursor into a request definition.
func (c *cursorImport) write(r *request) { //nolint:gocyclo // one case for each member of a cursor
	if c == nil {
		return
	}
	a, n := c.a, c.n
	r.windowed = a.cur.windows
	ext := &object{}
	for from, to := range map[string]string{"step": "step", "lookback_window": "lookback"} {
		text := a.template(n.get(from), from)
		switch {
		case text == "":
		case spanText.MatchString(text) && len(text) > 2, strings.Contains(text, "${"):
			ext.set(to, text)
		default:
			a.l.add(n.get(from), from, "%q is not a length of time", text)
		}
	}
	c.bounds(ext)
	c.clamping(ext)
	side, feed := n.str("is_client_side_incremental") == "true", n.str("is_data_feed") == "true"
	if side || feed {
		c.filter(ext, r, feed)
	} else {
		a.field(n, "cursor_field").text()
		n.get("cursor_datetime_formats").mark(true)
	}
	for _, m := range []string{"is_compare_strictly", "global_substream_cursor"} {
		n.str(m) // windows of a flow never are empty, and it has one for all parents
	}
	switch {
	case c.start == nil && c.end == nil:
		if !side && !feed && !a.cur.windows {
			a.l.note(n, false, "DatetimeBasedCursor", "the source is not asked for a window; every run reads everything, as there")
		}
	case ext.get("step") == nil && c.query(c.start) != "" && (c.end == nil || c.query(c.end) != "") && r.method == "GET":
		r.schedule = obj("scheduleStartParamName", c.query(c.start), "scheduleStartParamFormat", c.format)
		if c.end != nil {
			r.schedule.set("scheduleEndParamName", c.query(c.end))
			r.schedule.set("scheduleEndParamFormat", c.format)
		}
	default:
		in := obj("format", c.format)
		if c.start != nil {
			in.set("start", c.start)
		}
		if c.end != nil {
			in.set("end", c.end)
		}
		if c.closed != "" && ext.get("step") != nil {
			in.set("closed", c.closed)
		}
		ext.set("inject", in)
	}
	if ext = ext.ordered("field", "format", "filter", "start", "floor", "end", "delay", "step", "lookback", "align", "inject"); !ext.empty() {
		r.ext(ext, "cursor")
	}
}

// filter leaves out records outside the window. A data feed, which gives the newest records first, ends at the first one that
// is older.
func (c *cursorImport) filter(ext *object, r *request, feed bool) {
	a := c.a
	field := a.template(a.field(c.n, "cursor_field"), "cursor_field")
	ext.set("field", "$"+member(field))
	ext.set("filter", true)
	formats := texts(c.n.get("cursor_datetime_formats"))
	if len(formats) == 0 {
		formats = []string{a.field(c.n, "datetime_format").text()}
	}
	for _, f := range formats {
		switch {
		case f == "%s" || f == "%s_as_float":
			ext.set("format", "epoch")
		case f == "%ms":
			ext.set("format", "epochMillis")
		case !isoFormat.MatchString(f):
			a.l.add(c.n.get("cursor_datetime_formats"), "cursor_datetime_formats", "records whose time has the form %q are not filtered", f)
		}
	}
	if !feed {
		return
	}
	stop := "window.start != '' && elements > 0 && has(last." + field + ") && formatTime(last." + field + ", 'yyyy-MM-ddTHH:mm:ss') < formatTime(window.start, 'yyyy-MM-ddTHH:mm:ss')"
	if plainIdent.MatchString(field) && r.paging.get("type") != "NONE" || r.weir.get("paging") != nil && plainIdent.MatchString(field) {
		r.ext(stop, "paging", "stop")
	}
}

// isoFormat are the formats of times that the engine reads in records.
var isoFormat = regexp.MustCompile(`^%Y-%m-%d([T ]%H:%M:%S(\.%f|\.%_ms|\.\d+)?(Z|%z|[+-]\d\d:?\d\d)?)?$`)

// clamping reads whole days, weeks or months.
func (c *cursorImport) clamping(ext *object) {
	k := c.n.get("clamping")
	if k == nil {
		return
	}
	unit := map[string]string{"DAY": "P1D", "WEEK": "P7D", "MONTH": "P1M", "YEAR": "P1Y"}[strings.ToUpper(k.str("target"))]
	if unit == "" {
		c.a.l.drop(k, "clamping", "the unit %q is not carried over", k.str("target"))
		return
	}
	if d := k.get("target_details"); d != nil {
		c.a.l.drop(d, "clamping.target_details", "weeks begin on Monday")
	}
	ext.set("align", unit)
}

func (c *cursorImport) query(o *object) string { return o.str("query") }

// bounds reads where a backfill begins, and where every window ends.
func (c *cursorImport) bounds(ext *object) {
	a := c.a
	s := c.n.get("start_datetime")
	if s.isObject() {
		a.kind(s)
		if f := strftime(s.str("datetime_format")); f != "" && strings.HasPrefix(f, "epoch") {
			a.l.note(s.get("datetime_format"), false, "start_datetime.datetime_format", "numbers of seconds or milliseconds are read as times")
		}
		if v := c.instant(s.get("min_datetime"), "start_datetime.min_datetime"); v != "" {
			ext.set("floor", v)
		}
		if m := s.get("max_datetime"); m != nil && c.instant(m, "start_datetime.max_datetime") != "-PT0S" {
			a.l.add(m, "start_datetime.max_datetime", "a backfill that would begin after it begins where it begins")
		}
		s = s.get("datetime")
	}
	if v := c.instant(s, "start_datetime"); v != "" && v != "-PT0S" {
		ext.set("start", v)
	}
	e := c.n.get("end_datetime")
	if e.isObject() {
		a.kind(e)
		e.str("datetime_format")
		for _, m := range []string{"min_datetime", "max_datetime"} {
			if v := e.get(m); v != nil {
				a.l.drop(v, "end_datetime."+m, "it is not carried over")
			}
		}
		e = e.get("datetime")
	}
	switch v := c.instant(e, "end_datetime"); {
	case v == "" || v == "-PT0S":
	case strings.HasPrefix(v, "-P"):
		ext.set("delay", v[1:])
	default:
		ext.set("end", v)
	}
}

// instant reads a time: a fixed one, a member of config, or one that counts from now on: -P30D. Now is -PT0S.
func (c *cursorImport) instant(n *node, what string) string {
	text := n.text()
	if text == "" {
		return ""
	}
	t, err := parseTemplate(text)
	if err == nil && len(t.exprs) == 0 {
		if at, ok := readStart(text); ok {
			return at.Format(time.RFC3339)
		}
		c.a.l.add(n, what, "%q is not understood", text)
		return ""
	}
	if err == nil {
		if v, ok := c.relative(t.whole()); ok {
			return v
		}
		if v, _, err := c.a.constant(t.whole()); err == nil {
			name := strings.Trim(v, "${}")
			if s, ok := c.a.d.params.get(name).(*object); ok && s.get("format") == nil && s.get("type") == "string" {
				s.set("format", "date-time")
				if p := s.str("pattern"); p != "" && !strings.Contains(p, "T") {
					s.set("format", "date")
				}
			}
			return v
		}
	}
	c.a.l.add(n, what, "%q is more than a time, a member of config, or a length before now", text)
	return ""
}

// relative reads now_utc(), today_utc(), day_delta(-n), and a length taken off them.
func (c *cursorImport) relative(e *expr) (string, bool) { //nolint:gocyclo // one case for each form of a time
	switch {
	case e.op == "call" && e.args[0].op == "member" && (e.args[0].text == "strftime" || e.args[0].text == "isoformat"):
		return c.relative(e.args[0].args[0])
	case e.op == "call" && e.args[0].text == "format_datetime" && len(e.args) >= 3:
		return c.relative(e.args[1])
	case e.op == "call" && e.args[0].op == "name" && (e.args[0].text == "now_utc" || e.args[0].text == "today_utc"):
		return "-PT0S", true
	case e.op == "call" && e.args[0].op == "name" && e.args[0].text == "day_delta" && len(e.args) >= 2 && e.args[1].op == "number":
		if days := atoi(e.args[1].text); days < 0 {
			return daySpan(days), true
		}
	case e.op == "-" && e.args[1].op == "call" && e.args[1].args[0].text == "duration" && len(e.args[1].args) == 2 && spanText.MatchString(e.args[1].args[1].text):
		if v, ok := c.relative(e.args[0]); ok && v == "-PT0S" {
			return "-" + e.args[1].args[1].text, true
		}
	}
	return "", false
}

func readStart(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.000000Z0700", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// strftime turns a format of manifests into one of specs; "" is the default, or not known.
func strftime(f string) string {
	switch f {
	case "%s", "%s_as_float":
		return "epoch"
	case "%ms":
		return "epochMillis"
	case "":
		return ""
	}
	words := map[byte]string{'Y': "yyyy", 'm': "MM", 'd': "dd", 'H': "HH", 'M': "mm", 'S': "ss", 'y': "yy", 'f': "ffffff", 'z': "'+0000'", 'Z': "'UTC'", 'I': "hh", 'p': "tt", 'b': "MMM", 'B': "MMMM", 'a': "ddd", 'A': "dddd"}
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		c := f[i]
		if c != '%' {
			if strings.IndexByte("yMdHhmsfFtKz", c) >= 0 {
				b.WriteString("'" + string(c) + "'")
			} else {
				b.WriteByte(c)
			}
			continue
		}
		if i++; i == len(f) {
			return ""
		}
		if strings.HasPrefix(f[i:], "_ms") {
			b.WriteString("fff")
			i += 2
			continue
		}
		w, ok := words[f[i]]
		if !ok {
			return ""
		}
		b.WriteString(w)
	}
	return b.String()
}
