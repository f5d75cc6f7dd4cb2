package mapping

import (
	"strconv"

	"weir/record"
)

func itoa(n int) string { return strconv.Itoa(n) }

// writer builds one row from the values of the mappings.
type writer struct {
	t        *Transformer
	root     *cell
	warnings []ColumnError
}

type cellKind uint8

const (
	cellEmpty  cellKind = iota // nothing was written
	cellValue                  // a finished value
	cellObject                 // members are written one by one
	cellArray                  // elements are written one by one
)

// cell is a place in the row under construction.
type cell struct {
	kind  cellKind
	v     record.Value
	names []string
	kids  []*cell // members in the order of names, or elements
}

// convert converts a value to the mapping's target: as a whole, or element by element where the destination has wildcards. One bad element fails the column.
func (w *writer) convert(r *rule, v record.Value) (record.Value, error) {
	c := converter{strict: w.t.strict, zoned: w.t.zoned, report: func(path string, _ record.Value, err error) { w.warn(r, path, err) }}
	return w.convertLevel(&c, r, v, r.dest.Wildcards())
}

func (w *writer) convertLevel(c *converter, r *rule, v record.Value, levels int) (record.Value, error) {
	if levels == 0 {
		return c.convert(v, r.field, r.destText)
	}
	if v.Kind() != record.KindArray {
		return w.convertLevel(c, r, v, levels-1)
	}
	out := make([]record.Value, len(v.Items()))
	for i, e := range v.Items() {
		x, err := w.convertLevel(c, r, e, levels-1)
		if err != nil {
			return x, err
		}
		out[i] = x
	}
	return record.ArrayOf(out), nil
}

// write puts a value at a mapping's destination.
func (w *writer) write(r *rule, v record.Value) {
	if v.IsNothing() {
		w.root.remove(r.dest)
		return
	}
	if v.IsNull() && !w.t.allowNull {
		return
	}
	w.root.put(r.dest, v, w.t.allowNull)
}

// put writes v below c. Each [*] takes one level of arrays apart; a value that is no array goes to the first element.
func (c *cell) put(p record.Path, v record.Value, allowNull bool) {
	if len(p) == 0 {
		switch {
		case v.IsNothing():
			*c = cell{}
		case !v.IsNull() || allowNull && c.kind == cellEmpty:
			*c = cell{kind: cellValue, v: v}
		}
		return
	}
	s, rest := p[0], p[1:]
	switch {
	case s.Index == record.ByName:
		c.member(s.Name).put(rest, v, allowNull)
	case s.Index >= 0:
		c.element(s.Index).put(rest, v, allowNull)
	case v.Kind() != record.KindArray:
		if !v.IsNull() {
			c.element(0).put(rest, v, allowNull)
		}
	default:
		for i, e := range v.Items() {
			at := c.element(i)
			if e.IsNull() && len(rest) > 0 && rest[0].Index == record.ByName {
				at.open(cellObject) // the element stays, without the member
				if !allowNull {
					continue
				}
			}
			at.put(rest, e, allowNull)
		}
	}
}

// open makes c an object or array whose parts can be written. A finished value of that kind is taken apart, any other is dropped.
func (c *cell) open(kind cellKind) {
	if c.kind == kind {
		return
	}
	old := *c
	*c = cell{kind: kind}
	if old.kind != cellValue {
		return
	}
	if kind == cellArray {
		for _, e := range old.v.Items() {
			c.kids = append(c.kids, &cell{kind: cellValue, v: e})
		}
		return
	}
	o := old.v.Object()
	for i := range o.Len() {
		name, e := o.Member(i)
		c.names = append(c.names, name)
		c.kids = append(c.kids, &cell{kind: cellValue, v: e})
	}
}

func (c *cell) member(name string) *cell {
	c.open(cellObject)
	for i, n := range c.names {
		if n == name {
			return c.kids[i]
		}
	}
	kid := &cell{}
	c.names = append(c.names, name)
	c.kids = append(c.kids, kid)
	return kid
}

func (c *cell) element(i int) *cell {
	c.open(cellArray)
	for len(c.kids) <= i {
		c.kids = append(c.kids, &cell{})
	}
	return c.kids[i]
}

// remove takes away what a copied object wrote at a path.
func (c *cell) remove(p record.Path) {
	if len(p) == 0 {
		*c = cell{}
		return
	}
	s, rest := p[0], p[1:]
	if s.Index == record.ByName {
		if c.kind == cellEmpty || c.kind == cellValue && c.v.Kind() != record.KindObject {
			return
		}
		c.open(cellObject)
		for i, n := range c.names {
			if n == s.Name {
				c.kids[i].remove(rest)
			}
		}
		return
	}
	if c.kind == cellEmpty || c.kind == cellValue && c.v.Kind() != record.KindArray {
		return
	}
	c.open(cellArray)
	for i, k := range c.kids {
		if s.Index == record.Every || s.Index == i {
			k.remove(rest)
		}
	}
}

// value is the finished row, or part of it; ok is false when there is nothing to write: nothing was written, or an object is empty.
func (c *cell) value(allowNull bool) (v record.Value, ok bool) {
	switch c.kind {
	case cellValue:
		return c.v, !emptyObject(c.v) && (allowNull || !c.v.IsNull())
	case cellObject:
		o := record.NewObject(len(c.names))
		for i, k := range c.kids {
			if v, ok := k.value(allowNull); ok {
				o.Set(c.names[i], v)
			}
		}
		return record.ObjectOf(o), o.Len() > 0
	case cellArray:
		items := make([]record.Value, len(c.kids))
		for i, k := range c.kids {
			if items[i], ok = k.value(allowNull); !ok && k.kind == cellEmpty {
				items[i] = record.Null()
			}
		}
		n := len(items)
		for n > 0 && items[n-1].IsNull() && c.kids[n-1].kind == cellEmpty {
			n--
		}
		return record.ArrayOf(items[:n]), n > 0
	default:
	}
	return record.Null(), false
}
