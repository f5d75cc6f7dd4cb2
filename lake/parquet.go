package lake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"unicode/utf8"

	"weir"
	"weir/record"
)

// GroupBytes is the encoded size at which a row group should be ended; [FileWriter.Append] does.
const GroupBytes = 32 << 20

// Object is where a file goes: a [blob.Writer], or anything else that appears whole or not at all.
type Object interface {
	io.Writer
	Close() error
	Abort()
}

// FileWriter writes one Parquet file of a table: zstd pages, dictionaries where they pay, statistics, the table's field ids. Every column is
// optional, as the format of tables says (FORMAT.md). Memory is bounded by one row group. Rows come through Append, or row group by row group
// through [Encoder]s that fill at the same time and are added in the order the rows shall have. Exactly one of Close and Abort ends it.
type FileWriter struct {
	obj    Object
	uri    string
	schema *record.Schema
	shape  *fileShape
	off    int64
	groups []groupMeta
	rows   int64
	own    *Encoder
	err    error
}

// groupMeta is what the footer says about a row group.
type groupMeta struct {
	rows   int64
	start  int64
	chunks []chunk // without their pages
	sizes  []int64
	dicts  []int64 // length of the dictionary page
}

// NewFile starts data file number n of a batch, for batches of the schema s, whose fields must carry the table's field ids (see [Table.Bind]).
// The file is not part of the table before [Table.Append] was told about it, and has its final name from [Table.Publish] on.
func (t *Table) NewFile(ctx context.Context, s *record.Schema, batch string, n int) (*FileWriter, error) {
	name := fmt.Sprintf("%s/data/%s/part-%05d-%s.zstd.parquet", t.dir, batch, n, weir.NewHex(4))
	obj, err := t.l.bucket.NewWriter(ctx, t.l.writeName(name))
	if err != nil {
		return nil, err
	}
	return WriteParquet(obj, t.l.bucket.URI(name), s), nil
}

// WriteParquet writes a file of a schema outside of any table. The fields need no ids.
func WriteParquet(obj Object, uri string, s *record.Schema) *FileWriter {
	f := &FileWriter{obj: obj, uri: uri, schema: s, shape: newFileShape(s)}
	f.write([]byte("PAR1"))
	return f
}

func (f *FileWriter) write(b []byte) {
	if f.err == nil {
		_, f.err = f.obj.Write(b)
	}
	f.off += int64(len(b))
}

// Append adds the rows of a batch of the file's schema.
func (f *FileWriter) Append(b *record.Batch) error {
	if f.own == nil {
		f.own = NewEncoder(f.schema)
	}
	f.own.Append(b)
	if f.own.Size() >= GroupBytes {
		return f.Add(f.own.Finish())
	}
	return f.err
}

// Encoder turns batches into a row group. It is for one goroutine; encoders of one file may run at the same time.
type Encoder struct {
	root  *encNode
	cols  []*column
	press *press
	rows  int64
}

// RowGroup is a finished row group, compressed.
type RowGroup struct {
	Rows   int64
	chunks []chunk
}

// NewEncoder returns an empty encoder for batches of a schema; its row groups go into any file of that schema.
func NewEncoder(s *record.Schema) *Encoder {
	e := &Encoder{press: newPress()}
	e.root = newEncNode(s.Fields, rand.Uint64(), &e.cols)
	return e
}

// Append adds the rows of a batch.
func (e *Encoder) Append(b *record.Batch) {
	f := frame{n: b.Rows}
	if b.Sel != nil {
		f.n, f.rows = len(b.Sel), b.Sel
	}
	if f.n == 0 {
		return
	}
	for i, k := range e.root.kids {
		k.append(&b.Cols[i], &f, b.Buf)
	}
	e.rows += int64(f.n)
	for _, c := range e.cols {
		if c.full() {
			c.cut(e.press)
		}
	}
}

// Size is about how many bytes the row group has so far.
func (e *Encoder) Size() int {
	n := 0
	for _, c := range e.cols {
		n += c.size()
	}
	return n
}

// Rows is the number of rows so far.
func (e *Encoder) Rows() int64 { return e.rows }

// Finish ends the row group; the encoder starts the next one.
func (e *Encoder) Finish() *RowGroup {
	g := &RowGroup{Rows: e.rows, chunks: make([]chunk, len(e.cols))}
	for i, c := range e.cols {
		g.chunks[i] = c.finish(e.press)
	}
	e.rows = 0
	return g
}

// Add writes a finished row group. One of no rows is left out.
func (f *FileWriter) Add(g *RowGroup) error {
	if g.Rows == 0 || f.err != nil {
		return f.err
	}
	m := groupMeta{rows: g.Rows, start: f.off, chunks: g.chunks}
	for i := range g.chunks {
		c := &g.chunks[i]
		f.write(c.dict)
		for _, page := range c.pages {
			f.write(page)
		}
		m.sizes = append(m.sizes, int64(len(c.dict)+c.size))
		m.dicts = append(m.dicts, int64(len(c.dict)))
		c.dict, c.pages = nil, nil
	}
	f.rows += g.Rows
	f.groups = append(f.groups, m)
	return f.err
}

// Rows is the number of rows in the row groups written so far.
func (f *FileWriter) Rows() int64 { return f.rows }

// Size is how long the file is so far.
func (f *FileWriter) Size() int64 { return f.off }

// Abort drops the file. It does nothing after Close.
func (f *FileWriter) Abort() { f.obj.Abort() }

// Close writes the footer, makes the file durable and describes it.
func (f *FileWriter) Close() (DataFile, error) {
	if f.own != nil && f.own.rows > 0 {
		_ = f.Add(f.own.Finish()) // f.err is looked at below
	}
	foot := f.footer()
	f.write(foot)
	f.write(binary.LittleEndian.AppendUint32(nil, uint32(len(foot))))
	f.write([]byte("PAR1"))
	if f.err != nil {
		f.obj.Abort()
		return DataFile{}, fmt.Errorf("lake: %s: %w", f.uri, f.err)
	}
	if len(foot) > 1<<31-1 {
		f.obj.Abort()
		return DataFile{}, errors.New("lake: the footer is too long")
	}
	if err := f.obj.Close(); err != nil {
		return DataFile{}, err
	}
	return f.describe(), nil
}

// describe is the file's entry in a manifest.
func (f *FileWriter) describe() DataFile {
	d := DataFile{
		URI: f.uri, Rows: f.rows, Bytes: f.off,
		ColumnSizes: map[int]int64{}, ValueCounts: map[int]int64{}, NullCounts: map[int]int64{}, Lower: map[int][]byte{}, Upper: map[int][]byte{},
	}
	for _, g := range f.groups {
		d.SplitOffsets = append(d.SplitOffsets, g.start)
	}
	for i, c := range f.shape.leaves {
		all := bounds{phys: c.phys}
		for g := range f.groups {
			ch := &f.groups[g].chunks[i]
			d.ColumnSizes[c.field.ID] += f.groups[g].sizes[i]
			d.ValueCounts[c.field.ID] += ch.values
			d.NullCounts[c.field.ID] += ch.nulls
			all.merge(&ch.stats)
		}
		if !all.has || c.maxRep > 0 {
			continue
		}
		if c.phys != physBytes {
			d.Lower[c.field.ID], d.Upper[c.field.ID] = all.encode(all.lo, nil), all.encode(all.hi, nil)
			continue
		}
		d.Lower[c.field.ID] = append([]byte(nil), head(all.min, boundRunes)...)
		if up, ok := ceiling(all.max, boundRunes); ok {
			d.Upper[c.field.ID] = up
		}
	}
	return d
}

// boundRunes is how long a text bound is in a manifest, statRunes in a footer.
const (
	boundRunes = 16
	statRunes  = 64
)

// head is the first n runes of a text.
func head(v []byte, n int) []byte {
	at := 0
	for ; n > 0 && at < len(v); n-- {
		_, w := utf8.DecodeRune(v[at:])
		at += w
	}
	return v[:at]
}

// ceiling is a text of at most n runes that is not below v; false if there is none.
func ceiling(v []byte, n int) ([]byte, bool) {
	h := head(v, n)
	if len(h) == len(v) {
		return append([]byte(nil), v...), true
	}
	for len(h) > 0 {
		r, w := utf8.DecodeLastRune(h)
		h = h[:len(h)-w]
		if r++; r == 0xd800 {
			r = 0xe000
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune(append([]byte(nil), h...), r), true
		}
	}
	return nil, false
}
