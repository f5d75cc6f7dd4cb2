package lake

import "encoding/binary"

// compact writes Thrift's compact protocol, which Parquet's page headers and footer are in.
type compact struct {
	b     []byte
	last  int16 // id of the last field of the open struct
	outer []int16
}

// Types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

func (t *compact) field(id int16, kind byte) {
	if d := id - t.last; d > 0 && d <= 15 {
		t.b = append(t.b, byte(d)<<4|kind)
	} else {
		t.b = append(t.b, kind)
		t.b = binary.AppendVarint(t.b, int64(id))
	}
	t.last = id
}

func (t *compact) i16(id int16, v int16) {
	t.field(id, thriftI16)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *compact) i32(id int16, v int32) {
	t.field(id, thriftI32)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *compact) i64(id int16, v int64) {
	t.field(id, thriftI64)
	t.b = binary.AppendVarint(t.b, v)
}

func (t *compact) boolean(id int16, v bool) {
	if v {
		t.field(id, thriftTrue)
	} else {
		t.field(id, thriftFalse)
	}
}

func (t *compact) bytes(id int16, v []byte) {
	t.field(id, thriftBinary)
	t.text(v)
}

// text is a binary value without a field header: an element of a list.
func (t *compact) text(v []byte) {
	t.b = binary.AppendUvarint(t.b, uint64(len(v)))
	t.b = append(t.b, v...)
}

// begin opens a struct field, open a struct that is an element of a list; end closes either.
func (t *compact) begin(id int16) {
	t.field(id, thriftStruct)
	t.open()
}

func (t *compact) open() {
	t.outer = append(t.outer, t.last)
	t.last = 0
}

func (t *compact) end() {
	t.stop()
	t.last = t.outer[len(t.outer)-1]
	t.outer = t.outer[:len(t.outer)-1]
}

// empty is a field that is a struct without fields.
func (t *compact) empty(id int16) {
	t.begin(id)
	t.end()
}

func (t *compact) stop() { t.b = append(t.b, 0) }

func (t *compact) list(id int16, kind byte, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n)<<4|kind)
		return
	}
	t.b = append(t.b, 0xf0|kind)
	t.b = binary.AppendUvarint(t.b, uint64(n))
}
