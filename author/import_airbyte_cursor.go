package author

import (
	"strings"
	"time"
)

// cursorImport is a DatetimeBasedCursor on its way into scheduleParams or the extension's cursor. Nil has none.
type cursorImport struct {
	a           *airbyte
	n           *node
	start, end  *object // where the bounds go
	startFormat string
	endFormat   string
	format      string
}

// cursor reads incremental_sync.
func (a *airbyte) cursor(n *node) *cursorImport {
	if n == nil {
		return nil
	}
	switch t := a.kind(n); t {
	case "DatetimeBasedCursor":
	case "Custom":
		return nil
	default:
		a.l.add(n, t, "this incremental sync is not carried over; every run reads everything")
		return nil
	}
	a.known(n, "cursor_field", "start_datetime", "end_datetime", "datetime_format", "cursor_datetime_formats", "step", "cursor_granularity", "lookback_window",
		"start_time_option", "end_time_option", "partition_field_start", "partition_field_end", "is_client_side_incremental", "is_data_feed")
	c := &cursorImport{a: a, n: n, format: strftime(a.field(n, "datetime_format").text())}
	if c.format == "" {
		a.l.add(or2(n.get("datetime_format"), n), "datetime_format", "%q has no counterpart; yyyy-MM-ddTHH:mm:ssZ is sent", a.field(n, "datetime_format").text())
		c.format = "yyyy-MM-ddTHH:mm:ssZ"
	}
	c.startFormat, c.endFormat = c.format, c.format
	for _, o := range []struct {
		name string
		to   **object
	}{{"start_time_option", &c.start}, {"end_time_option", &c.end}} {
		in, name := a.option(n.get(o.name))
		switch in {
		case "query", "header", "body":
			*o.to = obj(in, name)
		case "url":
			a.l.add(n.get(o.name), o.name, "a bound of the window in the path is not carried over")
		}
	}
	return c
}

// takes uses a request value that is a bound of the window.
func (c *cursorImport) takes(a *airbyte, v *node, at *object) bool {
	if v == nil || v.kind != scalarNode || !strings.Contains(v.text(), "stream_interval") && !strings.Contains(v.text(), "stream_slice") {
		return false
	}
	root, members, ok := simplePath(v.text())
	if !ok || len(members) != 1 || root != "stream_interval" && root != "stream_slice" {
		return false
	}
	start, end := "start_time", "end_time"
	if c != nil {
		start, end = or(c.n.str("partition_field_start"), start), or(c.n.str("partition_field_end"), end)
	}
	switch {
	case members[0] != start && members[0] != end:
		return false
	case c == nil:
		a.l.add(v, "stream_interval", "there is no cursor that gives it")
	case members[0] == start:
		c.start = at
	default:
		c.end = at
	}
	return true
}

// write puts the cursor into a request definition.
func (c *cursorImport) write(r *request) { //nolint:gocyclo // one case for each member of a cursor
	if c == nil {
		return
	}
	a, n := c.a, c.n
	step, back := n.str("step"), a.template(n.get("lookback_window"), "lookback_window")
	ext := &object{}
	set := func(name string, node *node, text string) {
		if text == "" {
			return
		}
		if d, err := isoDuration(text); err != nil || d <= 0 {
			a.l.add(node, name, "%q is not a length of days and hours", text)
			return
		}
		if strings.ContainsAny(strings.Split(text, "T")[0], "Y") || strings.Contains(strings.Split(text, "T")[0], "M") {
			a.l.add(node, name, "months and years are not carried over (%s)", text)
			return
		}
		ext.set(map[string]string{"step": "step", "lookback_window": "lookback"}[name], text)
	}
	set("step", n.get("step"), step)
	set("lookback_window", n.get("lookback_window"), back)
	c.first(ext)
	side := n.str("is_client_side_incremental") == "true"
	if side || n.str("is_data_feed") == "true" {
		ext.set("field", "$"+member(a.template(a.field(n, "cursor_field"), "cursor_field")))
		ext.set("filter", true)
		switch first := n.get("cursor_datetime_formats").list(); {
		case len(first) > 0 && first[0].text() == "%s", c.format == "epoch":
			ext.set("format", "epoch")
		case len(first) > 0 && first[0].text() == "%ms", c.format == "epochMillis":
			ext.set("format", "epochMillis")
		}
	}
	switch {
	case c.start == nil && c.end == nil:
		if !side {
			a.l.add(n, "DatetimeBasedCursor", "the source is not asked for a window; every run reads everything")
		}
	case ext.get("step") == nil && c.query(c.start) != "" && (c.end == nil || c.query(c.end) != "") && r.method == "GET":
		r.schedule = obj("scheduleStartParamName", c.query(c.start), "scheduleStartParamFormat", c.startFormat)
		if c.end != nil {
			r.schedule.set("scheduleEndParamName", c.query(c.end))
			r.schedule.set("scheduleEndParamFormat", c.endFormat)
		}
	default:
		in := obj("format", c.format)
		if c.start != nil {
			in.set("start", c.start)
		}
		if c.end != nil {
			in.set("end", c.end)
		}
		if g := n.str("cursor_granularity"); g != "" && ext.get("step") != nil {
			if d, err := isoDuration(strings.Replace(g, "0.001", "1", 1)); err == nil && d > 0 && !strings.Contains(g, ".") {
				in.set("closed", g)
			} else if strings.Contains(g, "0.001") {
				in.set("closed", time.Millisecond.String())
			} else if strings.Contains(g, "0.000001") {
				in.set("closed", time.Microsecond.String())
			}
		}
		ext.set("inject", in)
	}
	if !ext.empty() {
		r.ext(ext, "cursor")
	}
}

func (c *cursorImport) query(o *object) string {
	s, _ := o.get("query").(string)
	return s
}

// first reads where a backfill begins.
func (c *cursorImport) first(ext *object) {
	s := c.n.get("start_datetime")
	if s.isObject() {
		for _, m := range []string{"min_datetime", "max_datetime"} {
			if v := s.get(m); v != nil {
				c.a.l.add(v, "start_datetime."+m, "it is not carried over")
			}
		}
		s = s.get("datetime")
	}
	text := s.text()
	if strings.Contains(text, "{{") {
		c.a.l.add(s, "start_datetime", "a first day from config is not carried over: a backfill begins where the flow's schedule says")
		if root, members, ok := simplePath(text); ok && root == "config" && len(members) > 0 {
			c.a.config[members[0]] = true
		}
	} else if text != "" {
		if t, ok := readStart(text); ok {
			ext.set("start", t.Format(time.RFC3339))
		} else {
			c.a.l.add(s, "start_datetime", "%q is not understood", text)
		}
	}
	if e := c.n.get("end_datetime"); e != nil {
		value := e.text()
		if e.isObject() {
			value = e.str("datetime")
		}
		if !strings.Contains(value, "now_utc()") && !strings.Contains(value, "today_utc()") {
			c.a.l.add(e, "end_datetime", "windows end at the time of the run")
		}
	}
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
	case "%s":
		return "epoch"
	case "%ms":
		return "epochMillis"
	case "":
		return ""
	}
	words := map[byte]string{'Y': "yyyy", 'm': "MM", 'd': "dd", 'H': "HH", 'M': "mm", 'S': "ss", 'y': "yy", 'f': "ffffff", 'z': "zzz", 'I': "hh", 'p': "tt"}
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
		if f[i] == '_' && strings.HasPrefix(f[i:], "_ms") {
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
