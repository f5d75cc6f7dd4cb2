package rest

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"

	"weir"
)

// extra is a member that is added to records, ready to be written.
type extra struct {
	name string
	text []byte // "name":value
}

// refiner stands between the cutter and the sink: it drops the records the spec does not want and adds the members it
// wants. Without rules it passes records on untouched.
type refiner struct {
	next    func(pre, rec, post []byte) error
	rules   *extension
	extras  []extra
	window  weir.Window
	vars    map[string]any
	prepare *preparer
	ready   bool // prepare was looked for
	scratch []byte
	dropped int64
}

// deletedMark makes a record delete its row in an upserting dataset (contract flow-service §2.4).
var deletedMark = extra{"_change_request_type", []byte(`"_change_request_type":"d"`)}

func (f *refiner) idle() bool {
	x := f.rules
	return len(f.extras) == 0 && x.filter == nil && x.deleted == nil && (x.Cursor == nil || !x.Cursor.Filter) && len(x.Prepare) == 0
}

func (f *refiner) put(pre, rec, post []byte) error {
	if f.idle() {
		return f.next(pre, rec, post)
	}
	f.scratch = append(append(append(f.scratch[:0], pre...), rec...), post...)
	whole, deleted, stays, err := f.judge(f.scratch)
	if err != nil || !stays {
		f.dropped++
		return err
	}
	if c := f.rules.Cursor; c != nil && c.Filter && !c.within(pluck(whole, c.field), f.window) {
		f.dropped++
		return nil
	}
	s := scanner{buf: whole, final: true}
	head := append(make([]byte, 0, 64), '{')
	add := func(e extra) {
		if _, has := s.member(0, e.name); !has {
			head = append(append(head, e.text...), ',')
		}
	}
	for _, e := range f.extras {
		add(e)
	}
	if deleted {
		add(deletedMark)
	}
	if len(whole) == 2 && len(head) > 1 {
		head = head[:len(head)-1]
	}
	return f.next(head, whole[1:], nil)
}

// judge applies filter and deleted to a record as the source gave it, and then what prepares it.
func (f *refiner) judge(whole []byte) (out []byte, deleted, stays bool, err error) {
	if f.rules.filter != nil || f.rules.deleted != nil {
		vars := map[string]any{"record": toCEL(whole)}
		maps.Copy(vars, f.vars)
		if f.rules.filter != nil {
			if keep, err := f.rules.filter.truth(vars); err != nil || !keep {
				return nil, false, false, err
			}
		}
		if f.rules.deleted != nil {
			if deleted, err = f.rules.deleted.truth(vars); err != nil {
				return nil, false, false, err
			}
		}
	}
	if !f.ready {
		f.prepare, f.ready = f.rules.prepared(f.vars), true
	}
	if f.prepare == nil {
		return whole, deleted, true, nil
	}
	out, stays, err = f.prepare.apply(whole)
	return out, deleted, stays, err
}

// within reports whether a record's cursor value lies in the window. A value that cannot be read keeps its record:
// nothing is dropped by mistake.
func (c *cursorRules) within(raw json.RawMessage, w weir.Window) bool {
	text, ok := scalarText(raw)
	if !ok || text == "" {
		return true
	}
	at, ok := c.read(text)
	if !ok {
		return true
	}
	return (w.Start.IsZero() || at.After(w.Start)) && !at.After(w.End)
}

// read reads a cursor value in its format.
func (c *cursorRules) read(text string) (time.Time, bool) {
	switch c.Format {
	case "epoch", "epochMillis":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return time.Time{}, false
		}
		if c.Format == "epoch" {
			n *= 1000
		}
		return time.UnixMilli(int64(n)).UTC(), true
	}
	return parseExpiry(text)
}
