package record

// Batch is rows of a schema as typed columns: what a program makes and a table file takes. Its memory is reused from batch to batch.
type Batch struct {
	// Buf holds the bytes of all text; text columns address it by offset.
	Buf []byte
	// Rows is the number of rows of the columns; Sel lists those to take, ascending (nil: all).
	Rows int
	Sel  []int32
	// Cols are the columns in the order of the schema's fields.
	Cols []Column
}

// Column is one field over the rows of its level: the records, or the elements of a list or map above it.
//
// A null is a zero in Valid, or a zero span in Text. None says that every value is null and that nothing else of the column (or below it) is set.
type Column struct {
	Field *Field
	None  bool
	// Valid has one byte per row, 0 for null; nil: no nulls. Not used by text.
	Valid []uint8
	// Text are the values of a String column: spans of kind SpanText in the batch's buffer, 0 for null.
	Text []Span
	// Words are the values of all other leaves: integers, Boolean 0 or 1, Number as IEEE bits, Date as days and Timestamp as microseconds since 1970.
	Words []uint64
	// Start of a List or Map: element i of the rows lies at Start[i] … Start[i+1] of the kids.
	Start []uint32
	// Kids are the members of a Struct, the element of a List, or key and value of a Map.
	Kids []Column
}

// keyField is the key of every map.
var keyField = Field{Name: "key", Type: String, Required: true}

// NewBatch returns an empty batch for a schema.
func NewBatch(s *Schema) *Batch {
	return &Batch{Cols: newColumns(s.Fields)}
}

func newColumns(fields []Field) []Column {
	cols := make([]Column, len(fields))
	for i := range fields {
		cols[i] = NewColumn(&fields[i])
	}
	return cols
}

// NewColumn returns an empty column for a field.
func NewColumn(f *Field) Column {
	c := Column{Field: f, None: true}
	switch f.Type {
	case Struct:
		c.Kids = newColumns(f.Fields)
	case List:
		c.Kids = []Column{NewColumn(f.Elem)}
	case Map:
		c.Kids = []Column{NewColumn(&keyField), NewColumn(f.Elem)}
	default: // a leaf
	}
	return c
}

// Taken is the number of rows to take.
func (b *Batch) Taken() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.Rows
}

// Null reports whether row i is null.
func (c *Column) Null(i int) bool {
	switch {
	case c.None:
		return true
	case c.Field.Type == String:
		return c.Text[i] == 0
	}
	return c.Valid != nil && c.Valid[i] == 0
}

// GrowText returns text values for n rows, reusing memory; their content is undefined.
func (c *Column) GrowText(n int) []Span {
	if cap(c.Text) < n {
		c.Text = make([]Span, n+n/2)
	}
	c.Text = c.Text[:n]
	return c.Text
}

// GrowWords returns words for n rows, reusing memory; their content is undefined.
func (c *Column) GrowWords(n int) []uint64 {
	if cap(c.Words) < n {
		c.Words = make([]uint64, n+n/2)
	}
	c.Words = c.Words[:n]
	return c.Words
}

// GrowStart returns list offsets for n rows (n + 1 entries), reusing memory; their content is undefined.
func (c *Column) GrowStart(n int) []uint32 {
	if cap(c.Start) < n+1 {
		c.Start = make([]uint32, n+1+n/2)
	}
	c.Start = c.Start[:n+1]
	return c.Start
}

// RowError is one reason why a record became no row (contract schema-catalog-data §3.4). Code is the full code, for example
// INGEST-1555-400; Column is the dotted path of the field, empty for a record that cannot be read.
type RowError struct {
	Code    string
	Column  string
	Message string
	// Conversion says that the value has the wrong type, in contrast to one that breaks a rule.
	Conversion bool
}

// Reject is a record that became no row: where it lies in the buffer, and why. Malformed ones are no JSON object.
type Reject struct {
	Off, End  int
	Malformed bool
	Errors    []RowError
}
