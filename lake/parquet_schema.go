package lake

import (
	"encoding/binary"

	"weir/record"
)

// fileShape is a schema as a Parquet file has it: its nodes depth first and its leaves.
type fileShape struct {
	nodes  []schemaNode
	leaves []*column // patterns: they hold no values
}

// schemaNode is one SchemaElement of a footer.
type schemaNode struct {
	name     string
	repeat   int32 // 0 required, 1 optional, 2 repeated; -1 for the root
	children int
	id       int
	typ      record.Type // of a leaf, or List and Map of an annotated group; else Struct
}

func newFileShape(s *record.Schema) *fileShape {
	fs := &fileShape{}
	newEncNode(s.Fields, 0, &fs.leaves)
	n := 0
	for i := range s.Fields {
		if storable(&s.Fields[i]) {
			n++
		}
	}
	fs.nodes = append(fs.nodes, schemaNode{name: "schema", repeat: -1, children: n, typ: record.Struct})
	for i := range s.Fields {
		fs.add(&s.Fields[i], s.Fields[i].Name)
	}
	return fs
}

func (fs *fileShape) add(f *record.Field, name string) {
	if !storable(f) {
		return
	}
	at := len(fs.nodes)
	fs.nodes = append(fs.nodes, schemaNode{name: name, repeat: 1, id: f.ID, typ: f.Type})
	switch f.Type {
	case record.Struct:
		n := 0
		for i := range f.Fields {
			if storable(&f.Fields[i]) {
				n++
				fs.add(&f.Fields[i], f.Fields[i].Name)
			}
		}
		fs.nodes[at].children = n
	case record.List:
		fs.nodes[at].children = 1
		fs.nodes = append(fs.nodes, schemaNode{name: "list", repeat: 2, children: 1, typ: record.Struct})
		fs.add(f.Elem, "element")
	case record.Map:
		fs.nodes[at].children = 1
		fs.nodes = append(fs.nodes, schemaNode{name: "key_value", repeat: 2, children: 2, typ: record.Struct},
			schemaNode{name: "key", repeat: 0, id: f.KeyID, typ: record.String})
		fs.add(f.Elem, "value")
	default: // a leaf
	}
}

// encNode is a column of an encoder: a leaf, or a container whose frame its kids share.
type encNode struct {
	typ   record.Type
	leaf  *column
	kids  []*encNode // nil where a field has no column
	rep   uint8      // repetition level of the elements of a list or map
	frame frame
}

// newEncNode builds the nodes of a schema and collects the leaves.
func newEncNode(fields []record.Field, seed uint64, leaves *[]*column) *encNode {
	root := &encNode{typ: record.Struct}
	for i := range fields {
		root.kids = append(root.kids, encField(&fields[i], []string{fields[i].Name}, 0, 0, seed, leaves))
	}
	return root
}

// encField builds a node below a parent whose values have definition level def and repetition level rep.
func encField(f *record.Field, path []string, def, rep uint8, seed uint64, leaves *[]*column) *encNode {
	if !storable(f) {
		return nil
	}
	n := &encNode{typ: f.Type}
	sub := func(names ...string) []string { return append(append([]string(nil), path...), names...) }
	switch f.Type {
	case record.Struct:
		for i := range f.Fields {
			n.kids = append(n.kids, encField(&f.Fields[i], sub(f.Fields[i].Name), def+1, rep, seed, leaves))
		}
	case record.List:
		n.rep = rep + 1
		n.kids = []*encNode{encField(f.Elem, sub("list", "element"), def+2, rep+1, seed, leaves)}
	case record.Map:
		n.rep = rep + 1
		key := &record.Field{Name: "key", Type: record.String, ID: f.KeyID}
		k := &encNode{typ: record.String, leaf: newColumn(key, sub("key_value", "key"), def+2, rep+1, seed)}
		*leaves = append(*leaves, k.leaf)
		n.kids = []*encNode{k, encField(f.Elem, sub("key_value", "value"), def+2, rep+1, seed, leaves)}
	default:
		n.leaf = newColumn(f, path, def+1, rep, seed)
		*leaves = append(*leaves, n.leaf)
	}
	return n
}

// append adds a column of a batch.
func (n *encNode) append(c *record.Column, f *frame, buf []byte) {
	switch {
	case n == nil:
	case c.None:
		n.nulls(f)
	case n.leaf != nil:
		n.leaf.append(c, f, buf)
	default:
		if n.typ == record.Struct {
			f.inStruct(c, &n.frame)
		} else {
			f.inList(c, n.rep, &n.frame)
		}
		for i, k := range n.kids {
			k.append(&c.Kids[i], &n.frame, buf)
		}
	}
}

func (n *encNode) nulls(f *frame) {
	if n.leaf != nil {
		n.leaf.nulls(f)
		return
	}
	for _, k := range n.kids {
		if k != nil {
			k.nulls(f)
		}
	}
}

// Converted types and members of the LogicalType union.
const (
	convertedUTF8 = 0
	convertedMap  = 1
	convertedList = 3
	convertedDate = 6
	convertedTime = 10 // TIMESTAMP_MICROS

	logicalString    = 1
	logicalMap       = 2
	logicalList      = 3
	logicalDate      = 6
	logicalTimestamp = 8
)

func (s *schemaNode) encode(t *compact, leaf *column) {
	t.open()
	if leaf != nil {
		t.i32(1, int32(leaf.phys))
	}
	if s.repeat >= 0 {
		t.i32(3, s.repeat)
	}
	t.bytes(4, []byte(s.name))
	if leaf == nil {
		t.i32(5, int32(s.children))
	}
	converted, logical := int32(-1), int16(0)
	switch s.typ {
	case record.String:
		converted, logical = convertedUTF8, logicalString
	case record.Date:
		converted, logical = convertedDate, logicalDate
	case record.Timestamp:
		converted, logical = convertedTime, logicalTimestamp
	case record.List:
		converted, logical = convertedList, logicalList
	case record.Map:
		converted, logical = convertedMap, logicalMap
	default: // the physical type says it all
	}
	if converted >= 0 {
		t.i32(6, converted)
	}
	if s.id > 0 {
		t.i32(9, int32(s.id))
	}
	if logical > 0 {
		t.begin(10)
		if logical == logicalTimestamp {
			t.begin(logical)
			t.boolean(1, true) // UTC
			t.begin(2)
			t.empty(2) // microseconds
			t.end()
			t.end()
		} else {
			t.empty(logical)
		}
		t.end()
	}
	t.end()
}

// footer is the file's metadata.
func (f *FileWriter) footer() []byte {
	var t compact
	t.i32(1, 2)
	t.list(2, thriftStruct, len(f.shape.nodes))
	leaf := 0
	for i := range f.shape.nodes {
		var c *column
		if f.shape.nodes[i].children == 0 {
			c = f.shape.leaves[leaf]
			leaf++
		}
		f.shape.nodes[i].encode(&t, c)
	}
	t.i64(3, f.rows)
	t.list(4, thriftStruct, len(f.groups))
	for i := range f.groups {
		f.encodeGroup(&t, i)
	}
	t.bytes(6, []byte("weir"))
	t.list(7, thriftStruct, len(f.shape.leaves))
	for range f.shape.leaves {
		t.open()
		t.empty(1) // the order of the column's type
		t.end()
	}
	t.stop()
	return t.b
}

func (f *FileWriter) encodeGroup(t *compact, i int) {
	g := &f.groups[i]
	t.open()
	t.list(1, thriftStruct, len(g.chunks))
	off := g.start
	var raw, packed int64
	for k := range g.chunks {
		encodeChunk(t, f.shape.leaves[k], &g.chunks[k], off, g.sizes[k], g.dicts[k])
		off += g.sizes[k]
		raw += g.chunks[k].raw
		packed += g.sizes[k]
	}
	t.i64(2, raw)
	t.i64(3, g.rows)
	t.i64(5, g.start)
	t.i64(6, packed)
	t.i16(7, int16(i))
	t.end()
}

func encodeChunk(t *compact, c *column, ch *chunk, off, size, dict int64) {
	t.open()
	t.i64(2, off)
	t.begin(3)
	t.i32(1, int32(c.phys))
	encodings := []int64{encRLE}
	if ch.hasRaw || ch.hasDict {
		encodings = append(encodings, encPlain)
	}
	if ch.hasDict {
		encodings = append(encodings, encRLEDict)
	}
	t.list(2, thriftI32, len(encodings))
	for _, e := range encodings {
		t.b = binary.AppendVarint(t.b, e)
	}
	t.list(3, thriftBinary, len(c.path))
	for _, p := range c.path {
		t.text([]byte(p))
	}
	t.i32(4, 6) // zstd
	t.i64(5, ch.values)
	t.i64(6, ch.raw)
	t.i64(7, size)
	t.i64(9, off+dict)
	if dict > 0 {
		t.i64(11, off)
	}
	t.begin(12)
	t.i64(3, ch.nulls)
	if st := &ch.stats; st.has {
		lo, hi := st.encode(st.lo, head(st.min, statRunes)), st.encode(st.hi, st.max)
		exactLo, exactHi := true, true
		if c.phys == physBytes {
			up, ok := ceiling(st.max, statRunes)
			exactLo, exactHi = len(lo) == len(st.min), ok && len(head(st.max, statRunes)) == len(st.max)
			if hi = up; !ok {
				hi = nil
			}
		}
		if hi != nil {
			t.bytes(5, hi)
		}
		t.bytes(6, lo)
		if hi != nil {
			t.boolean(7, exactHi)
		}
		t.boolean(8, exactLo)
	}
	t.end()
	t.end()
	t.end()
}
