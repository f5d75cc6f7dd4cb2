package mapping

import (
	"math"
	"time"

	"weir/record"
)

// setValue puts a converted value into row i of a leaf column that has room for it.
func (w *Lane) setValue(c *record.Column, i int, v record.Value) {
	if v.IsNull() {
		return
	}
	if c.Field.Type == record.String {
		at := len(w.sp.Buf)
		w.sp.Buf = append(w.sp.Buf, v.Text()...)
		c.Text[i] = record.MakeSpan(record.SpanText, at, len(w.sp.Buf)-at)
		return
	}
	c.Words[i] = wordOf(v, c.Field.Type)
	if c.Valid != nil {
		c.Valid[i] = 1
	}
}

// wordOf is a converted value as the word of a leaf.
func wordOf(v record.Value, t record.Type) uint64 {
	switch t {
	case record.Boolean:
		if v.Bool() {
			return 1
		}
		return 0
	case record.Number:
		return math.Float64bits(v.Float())
	case record.Date:
		y, m, d := v.Time().Date()
		return uint64(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	case record.Timestamp:
		return uint64(v.Time().UnixMicro())
	default:
		n, _ := v.Int64()
		return uint64(n)
	}
}

// builder appends rows to a column, from values or from rows of another column of the same field.
type builder struct {
	w *Lane
}

// clear makes a column an empty one that rows are appended to.
func (b builder) clear(c *record.Column) {
	c.None = false
	c.Valid, c.Text, c.Words = c.Valid[:0], c.Text[:0], c.Words[:0]
	if c.Field.Type == record.List || c.Field.Type == record.Map {
		c.Start = append(c.Start[:0], 0)
	}
	for i := range c.Kids {
		b.clear(&c.Kids[i])
	}
}

// value appends a converted value, null for a missing one.
func (b builder) value(c *record.Column, v record.Value) {
	there := !v.IsNull()
	switch c.Field.Type {
	case record.String:
		c.Text = append(c.Text, 0)
		b.w.setValue(c, len(c.Text)-1, v)
		return
	case record.Struct:
		for i := range c.Kids {
			m, _ := v.Get(c.Kids[i].Field.Name)
			b.value(&c.Kids[i], m)
		}
	case record.List:
		for _, e := range v.Items() {
			b.value(&c.Kids[0], e)
		}
		c.Start = append(c.Start, uint32(rowsOf(&c.Kids[0])))
	case record.Map:
		o := v.Object()
		for i := range o.Len() {
			name, e := o.Member(i)
			b.value(&c.Kids[0], record.TextOf(name))
			b.value(&c.Kids[1], e)
		}
		c.Start = append(c.Start, uint32(rowsOf(&c.Kids[0])))
	default:
		word := uint64(0)
		if there {
			word = wordOf(v, c.Field.Type)
		}
		c.Words = append(c.Words, word)
	}
	c.Valid = append(c.Valid, boolByte(there))
}

// rows appends rows from … to-1 of another column.
func (b builder) rows(c, from *record.Column, a, z int) {
	if from.None {
		for range z - a {
			b.value(c, record.Null())
		}
		return
	}
	switch c.Field.Type {
	case record.String:
		c.Text = append(c.Text, from.Text[a:z]...)
		return
	case record.Struct:
		for i := range c.Kids {
			b.rows(&c.Kids[i], &from.Kids[i], a, z)
		}
	case record.List, record.Map:
		base := c.Start[len(c.Start)-1] - from.Start[a]
		for i := range c.Kids {
			b.rows(&c.Kids[i], &from.Kids[i], int(from.Start[a]), int(from.Start[z]))
		}
		for _, s := range from.Start[a+1 : z+1] {
			c.Start = append(c.Start, s+base)
		}
	default:
		c.Words = append(c.Words, from.Words[a:z]...)
	}
	for i := a; i < z; i++ {
		c.Valid = append(c.Valid, boolByte(from.Valid == nil || from.Valid[i] != 0))
	}
}

func boolByte(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// rowsOf is how many rows a column under construction has.
func rowsOf(c *record.Column) int {
	if c.Field.Type == record.String {
		return len(c.Text)
	}
	return len(c.Valid)
}
