package rest

import (
	"bytes"

	"weir"
)

// records cuts the array at p into records.
func (c *cutter) records(b byte, n *node) error {
	if c.found && c.spool.used() {
		return &syntaxError{c.p, "the record array appears twice"}
	}
	c.found = true
	probe := []byte("[]") // whether it is empty is all that a probe of the array may ask
	defer func() {
		for _, i := range n.probes {
			c.probes[i] = probe
		}
	}()
	if b == 'n' {
		return c.skip(b)
	}
	c.wait = c.content.wrap && !c.complete()
	if c.content.wrap && !c.wait {
		c.wrapping()
	}
	before := c.elements
	var err error
	switch {
	case b == '[':
		err = c.list(c.element)
	case b == '{' && c.mode == "single":
		err = c.element()
	case b == '{' && c.mode == "keyed":
		err = c.list(c.keyed)
	default:
		return weir.Errorf("CONNECTOR-1315-400", "contentPath %s leads to %s, not to an array", c.content.path, kindOf(b))
	}
	if c.elements > before {
		probe = []byte("[0]")
	}
	return err
}

// list calls item at each element or member of the container at p.
func (c *cutter) list(item func() error) error {
	closing := c.scan.buf[c.p] + 2
	c.p++
	b, err := c.token()
	if err != nil {
		return err
	}
	if b == closing {
		c.p++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if b, err = c.token(); err != nil {
			return err
		}
		c.p++
		switch b {
		case closing:
			return nil
		case ',':
			if _, err = c.token(); err != nil {
				return err
			}
			continue
		}
		return &syntaxError{c.p - 1, "a comma or closing bracket is missing"}
	}
}

// element takes one record.
func (c *cutter) element() error {
	take := c.value
	if c.quick {
		take = c.span
	}
	c.scan.names = &c.names
	raw, broke, err := take()
	c.scan.names = nil
	if err != nil {
		return err
	}
	if broke {
		c.line = compact(c.line[:0], raw)
		raw = c.line
	}
	return c.take(raw)
}

// keyed takes one member of an object of records; the key goes into the record.
func (c *cutter) keyed() error {
	name, err := c.name()
	if err != nil {
		return err
	}
	c.line = append(c.line[:0], '{')
	if c.keyAs != "" {
		c.line = append(append(append(append(c.line, quote(c.keyAs)...), ':'), quoted(name)...), ',')
	}
	raw, broke, err := c.value()
	if err != nil {
		return err
	}
	if broke {
		raw = compact(nil, raw)
	}
	switch {
	case raw[0] != '{':
		c.line = append(append(append(c.line, valuePre[1:]...), raw...), '}')
	case len(raw) == 2 && len(c.line) > 1:
		c.line[len(c.line)-1] = '}'
	default:
		c.line = append(c.line, raw[1:]...)
	}
	return c.take(c.line)
}

// take counts a record of the array and passes it on, or sets it aside until its siblings are known.
func (c *cutter) take(raw []byte) (err error) {
	if len(c.wantEach) > 0 {
		c.pick(c.elements, raw)
	}
	if c.ends {
		if c.elements == 0 {
			c.first = bytes.Clone(raw)
		}
		c.last = append(c.last[:0], raw...)
	}
	c.elements++
	if c.wait {
		return c.spool.add(raw)
	}
	if err = c.record(c.pre, raw, c.post); err == nil && c.limit > 0 && c.elements >= c.limit {
		err = errStop
	}
	return err
}

// pick serves the probes inside array elements.
func (c *cutter) pick(i int, raw []byte) {
	for _, w := range c.wantEach {
		if w.index == i || w.index < 0 {
			c.probes[w.slot] = bytes.Clone(pluck(raw, w.path))
		}
	}
}

// wrapping makes the text before and after each element of the open parent.
func (c *cutter) wrapping() {
	c.pre = append(append(c.pre[:0], '{'), c.beside...)
	c.pre = append(append(c.pre, quote(c.content.wrapper)...), ':')
	c.post = valuePost
}

// replay finishes the records that had to wait for the members after their array.
func (c *cutter) replay() error {
	if !c.spool.used() {
		return nil
	}
	c.wrapping()
	n := 0
	err := c.spool.each(func(raw []byte) error {
		if n++; c.limit > 0 && n > c.limit {
			return errStop
		}
		return c.record(c.pre, raw, c.post)
	})
	c.spool.drop()
	return err
}

var valuePre, valuePost = []byte(`{"value":`), []byte{'}'}

// record passes on one element, wrapped and exploded. A bare scalar or array becomes {"value": …}: a record is an object.
func (c *cutter) record(pre, raw, post []byte) error {
	if !c.content.wrap && raw[0] != '{' {
		pre, post = valuePre, valuePost
	}
	if c.explode == nil {
		return c.put(pre, raw, post)
	}
	c.scratch = append(append(append(c.scratch[:0], pre...), raw...), post...)
	return c.explodeRecord(c.scratch)
}

// explodeRecord yields one record per element of the inner array; an empty or missing one yields none.
func (c *cutter) explodeRecord(rec []byte) error {
	x := c.explode
	n := len(x.path) - 1
	parent := pluck(rec, x.path[:n])
	var array []byte
	if len(parent) > 0 && parent[0] == '{' {
		array = pluck(parent, x.path[n:])
	}
	if len(array) > 0 && array[0] != '[' && array[0] != 'n' {
		return weir.Errorf("CONNECTOR-1315-400", "explodeEntityPath %s leads to %s, not to an array", x.path, kindOf(array[0]))
	}
	if len(array) == 0 || array[0] == 'n' || array[1] == ']' {
		if c.keepBare {
			return c.put(nil, rec, nil)
		}
		return nil
	}
	from := cap(rec) - cap(parent) // parent is a part of rec
	pre := append(c.scratch2[:0], rec[:from]...)
	pre = append(pre, '{')
	members(parent, func(name, value []byte) bool {
		if !nameIs(name, x.path[n].name) && x.wants(name) {
			pre = append(append(append(append(pre, name...), ':'), value...), ',')
		}
		return true
	})
	pre = append(append(pre, quote(x.wrapper)...), ':')
	cut := len(pre)
	pre = append(append(pre, '}'), rec[from+len(parent):]...)
	c.scratch2 = pre
	var err error
	s := scanner{buf: array, final: true}
	s.each(0, func(el []byte) bool {
		err = c.put(pre[:cut], el, pre[cut:])
		return err == nil
	})
	return err
}
