package rest

import (
	"strings"
	"time"

	"weir"
)

// compileTimes reads the lengths and bounds of a cursor; those with ${parameters} are read when they are used.
func (c *cursorRules) compileTimes() error {
	if err := c.lengths(func(text string) (string, bool) { return text, !strings.Contains(text, "${") }); err != nil {
		return err
	}
	if unit, _ := strings.CutPrefix(c.Align, "P"); unit == "1M" || unit == "1Y" {
		c.months = map[string]int{"1M": 1, "1Y": 12}[unit]
	} else if d, err := parseDuration(c.Align); err != nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.cursor.align: %w", err)
	} else {
		c.align = d
	}
	for _, d := range []struct{ name, text string }{{"start", c.Start}, {"floor", c.Floor}, {"end", c.End}} {
		if strings.Contains(d.text, "${") {
			continue
		}
		if _, err := (&params{}).instant("weir.cursor."+d.name, d.text, time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return nil
}

// lengths reads lookback, step and delay; text fills their parameters, or leaves one out.
func (c *cursorRules) lengths(text func(string) (string, bool)) error {
	for _, d := range []struct {
		name, text string
		to         *span
	}{{"lookback", c.Lookback, &c.back}, {"step", c.Step, &c.stride}, {"delay", c.Delay, &c.late}} {
		full, ok := text(d.text)
		if !ok {
			*d.to = span{}
			continue
		}
		s, err := parseSpan(full)
		if err != nil {
			return weir.Errorf("CONNECTOR-1312-400", "weir.cursor.%s: %w", d.name, err)
		}
		*d.to = s
	}
	c.step = c.stride.least()
	return nil
}

// with is the cursor with the lengths that parameters give; one that is not given is none.
func (c *cursorRules) with(p *params) (*cursorRules, error) {
	if c == nil || !strings.Contains(c.Lookback+c.Step+c.Delay, "${") {
		return c, nil
	}
	own := *c
	err := own.lengths(func(text string) (string, bool) {
		e := &expander{params: p}
		text = e.text(text)
		return text, len(e.missing) == 0
	})
	return &own, err
}

// unit moves a bound back to a whole unit of align.
func (c *cursorRules) unit(t time.Time) time.Time {
	if t = t.UTC(); t.IsZero() || c.months == 0 {
		return t.Truncate(max(c.align, 1))
	}
	month := t.Month()
	if c.months == 12 {
		month = time.January
	}
	return time.Date(t.Year(), month, 1, 0, 0, 0, 0, time.UTC)
}

// instant reads a time of a cursor: a time, one with ${parameters} (none of them given: no time), or a length before end.
func (p *params) instant(where, text string, end time.Time) (time.Time, error) {
	if strings.Contains(text, "${") {
		e := &expander{params: p}
		if text = e.text(text); len(e.missing) > 0 {
			return time.Time{}, nil
		}
	}
	if text == "" {
		return time.Time{}, nil
	}
	if rest, minus := strings.CutPrefix(text, "-P"); minus {
		s, err := parseSpan("P" + rest)
		if err != nil {
			return time.Time{}, weir.Errorf("CONNECTOR-1312-400", "%s: %w", where, err)
		}
		return s.before(end), nil
	}
	t, ok := parseExpiry(strings.TrimSpace(text))
	if !ok {
		return time.Time{}, weir.Errorf("CONNECTOR-1340-400", "%s %q is not a time", where, text)
	}
	return t.UTC(), nil
}

// window moves the bounds of a window as the cursor wants. There is nothing to read yet when it ends before it starts.
func (c *cursorRules) window(w weir.Window, p *params) (out weir.Window, empty bool, err error) {
	first, err := p.instant("weir.cursor.start", c.Start, w.End)
	if err != nil {
		return w, false, err
	}
	floor, err := p.instant("weir.cursor.floor", c.Floor, w.End)
	if err != nil {
		return w, false, err
	}
	if floor.After(first) {
		first = floor
	}
	last, err := p.instant("weir.cursor.end", c.End, w.End)
	if err != nil {
		return w, false, err
	}
	w.End = c.late.before(w.End)
	if w.Start.IsZero() {
		w.Start = first
	} else if w.Start = c.back.before(c.late.before(w.Start)); w.Start.Before(first) {
		w.Start = first
	}
	if !last.IsZero() && w.End.After(last) {
		w.End = last
	}
	if c.Align != "" {
		if w.End = c.unit(w.End); !w.Start.IsZero() {
			w.Start = c.unit(w.Start)
		}
	}
	bounded := c.Align != "" || !last.IsZero() || !c.late.zero() || c.Floor != ""
	return w, bounded && !w.Start.Before(w.End), nil
}
