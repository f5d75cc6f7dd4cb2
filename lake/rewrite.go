package lake

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"weir/record"
)

// batches reads a data file as batches of the schema s, in the order of its rows. Columns that the file lacks are null. A batch is valid until fn
// returns. It holds one small batch in memory. A column that s lacks, or that has another type there, is an error: such a file is not ours.
func (l *Lake) batches(ctx context.Context, uri string, s *record.Schema, fn func(*record.Batch) error) error {
	b := record.NewBatch(s)
	return l.records(ctx, uri, readRows, func(rec arrow.RecordBatch) error {
		b.Buf, b.Rows, b.Sel = b.Buf[:0], int(rec.NumRows()), nil
		c := converter{buf: b.Buf}
		if err := c.members(b.Cols, s.Fields, rec.Columns(), rec.ColumnName); err != nil {
			return fmt.Errorf("lake: %s: %w", uri, err)
		}
		b.Buf = c.buf
		return fn(b)
	})
}

// converter turns arrow arrays into columns of a batch whose text lies in buf.
type converter struct{ buf []byte }

// members converts the columns of a struct, or of the rows, by their names.
func (c *converter) members(cols []record.Column, fields []record.Field, arrays []arrow.Array, name func(int) string) error {
	for i := range cols {
		cols[i].None = true
	}
	for k, a := range arrays {
		i := 0
		for i < len(fields) && fields[i].Name != name(k) {
			i++
		}
		if i == len(fields) {
			return fmt.Errorf("the table has no column %s", name(k))
		}
		if err := c.column(&cols[i], a); err != nil {
			return fmt.Errorf("column %s: %w", name(k), err)
		}
	}
	return nil
}

func (c *converter) column(col *record.Column, a arrow.Array) error {
	col.None = false
	if col.Field.Type == record.String {
		t, ok := a.(*array.String)
		if !ok {
			return foreign(a)
		}
		c.text(col, t)
		return nil
	}
	n := a.Len()
	col.Valid = nil
	if a.NullN() > 0 {
		col.Valid = make([]uint8, n)
		for i := range n {
			if a.IsValid(i) {
				col.Valid[i] = 1
			}
		}
	}
	switch a := a.(type) {
	case *array.Struct:
		if col.Field.Type != record.Struct {
			return foreign(a)
		}
		t, kids := a.DataType().(*arrow.StructType), make([]arrow.Array, a.NumField())
		for i := range kids {
			kids[i] = a.Field(i)
		}
		return c.members(col.Kids, col.Field.Fields, kids, func(i int) string { return t.Field(i).Name })
	case *array.Map:
		if col.Field.Type != record.Map {
			return foreign(a)
		}
		return c.repeated(col, a, a.Keys(), a.Items())
	case *array.List:
		if col.Field.Type != record.List {
			return foreign(a)
		}
		return c.repeated(col, a, a.ListValues())
	}
	return words(col, a)
}

func foreign(a arrow.Array) error { return fmt.Errorf("the type %s is not the table's", a.DataType()) }

func (c *converter) text(col *record.Column, a *array.String) {
	text := col.GrowText(a.Len())
	for i := range text {
		if a.IsNull(i) {
			text[i] = 0
			continue
		}
		v := a.Value(i)
		text[i] = record.MakeSpan(record.SpanText, len(c.buf), len(v))
		c.buf = append(c.buf, v...)
	}
}

// repeated converts a list or a map: its kids are the elements, or the keys and the values.
func (c *converter) repeated(col *record.Column, a interface {
	Len() int
	ValueOffsets(int) (int64, int64)
}, kids ...arrow.Array,
) error {
	n := a.Len()
	start := col.GrowStart(n)
	var from, to int64
	start[0] = 0
	for i := range n {
		b, e := a.ValueOffsets(i)
		if i == 0 {
			from = b
		}
		to = e
		start[i+1] = uint32(e - from)
	}
	for i, kid := range kids {
		part := array.NewSlice(kid, from, to)
		err := c.column(&col.Kids[i], part)
		part.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// words converts a leaf that is no text.
func words(col *record.Column, a arrow.Array) error {
	out := col.GrowWords(a.Len())
	fits := false
	switch a := a.(type) {
	case *array.Int64:
		if fits = col.Field.Type.Integer(); fits {
			for i, v := range a.Int64Values() {
				out[i] = uint64(v)
			}
		}
	case *array.Float64:
		if fits = col.Field.Type == record.Number; fits {
			for i, v := range a.Float64Values() {
				out[i] = math.Float64bits(v)
			}
		}
	case *array.Date32:
		if fits = col.Field.Type == record.Date; fits {
			for i, v := range a.Date32Values() {
				out[i] = uint64(int64(v))
			}
		}
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		if fits = col.Field.Type == record.Timestamp && t.Unit == arrow.Microsecond; fits {
			for i, v := range a.TimestampValues() {
				out[i] = uint64(int64(v))
			}
		}
	case *array.Boolean:
		if fits = col.Field.Type == record.Boolean; fits {
			for i := range out {
				out[i] = 0
				if a.Value(i) {
					out[i] = 1
				}
			}
		}
	default:
	}
	if !fits {
		return foreign(a)
	}
	return nil
}
