package lake

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"weir/blob"
)

// Rows reads back how many rows this version has: the sum of the footers of its files, not what the manifests claim.
func (t *Table) Rows(ctx context.Context) (int64, error) {
	files, err := t.Files(ctx)
	if err != nil {
		return 0, err
	}
	var n atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, f := range files {
		g.Go(func() error {
			r, err := t.l.open(ctx, f.URI)
			if err != nil {
				return err
			}
			n.Add(r.NumRows())
			return r.Close()
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	return n.Load(), nil
}

// Read calls fn for the rows of this version, oldest file first, at most limit of them (all if limit is negative). A row is one JSON
// object; members that are null are left out. Timestamps are RFC 3339 in UTC with milliseconds (microseconds where there are any). It holds
// one small batch of rows in memory.
func (t *Table) Read(ctx context.Context, limit int, fn func(json.RawMessage) error) error {
	if limit == 0 {
		return nil
	}
	files, err := t.Files(ctx)
	if err != nil {
		return err
	}
	return t.l.ReadFiles(ctx, files, limit, fn)
}

// ReadFiles is [Table.Read] for chosen data files.
func (l *Lake) ReadFiles(ctx context.Context, files []DataFile, limit int, fn func(json.RawMessage) error) error {
	for _, f := range files {
		if limit == 0 {
			return nil
		}
		n, err := l.readFile(ctx, f.URI, limit, fn)
		if err != nil {
			return err
		}
		if limit > 0 {
			limit -= n
		}
	}
	return nil
}

// Columns are the paths of a Parquet file's leaf columns, as [record.Schema.Lookup] takes them: "[]" steps into a list, and a map's value
// is what follows its name.
func (l *Lake) Columns(ctx context.Context, uri string) ([][]string, error) {
	r, err := l.open(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("lake: %s: %w", uri, err)
	}
	sc, err := fr.Schema()
	if err != nil {
		return nil, fmt.Errorf("lake: %s: %w", uri, err)
	}
	var out [][]string
	for _, f := range sc.Fields() {
		out = leaves(out, []string{f.Name}, f.Type)
	}
	return out, nil
}

func leaves(out [][]string, at []string, t arrow.DataType) [][]string {
	step := func(name string) []string { return append(slices.Clone(at), name) }
	switch t := t.(type) {
	case *arrow.StructType:
		for _, f := range t.Fields() {
			out = leaves(out, step(f.Name), f.Type)
		}
		return out
	case *arrow.MapType:
		return leaves(out, step("value"), t.ItemType())
	case arrow.ListLikeType:
		return leaves(out, step("[]"), t.Elem())
	}
	return append(out, at)
}

// open opens a Parquet file of the bucket.
func (l *Lake) open(ctx context.Context, uri string) (*file.Reader, error) {
	name, ok := l.bucket.Name(uri)
	if !ok {
		return nil, fmt.Errorf("lake: %s is not in the bucket", uri)
	}
	return l.openName(ctx, name)
}

func (l *Lake) openName(ctx context.Context, name string) (*file.Reader, error) {
	f, err := l.bucket.OpenFile(ctx, name)
	if err != nil {
		return nil, err
	}
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled = true // pages as they are needed, not whole column chunks
	props.BufferSize = 64 << 10
	r, err := file.NewParquetReader(f, file.WithReadProps(props))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lake: %s: %w", name, err), f.Close())
	}
	return r, nil
}

const readRows = 256

// errEnough ends a read before the end of the file.
var errEnough = errors.New("enough")

func (l *Lake) readFile(ctx context.Context, uri string, limit int, fn func(json.RawMessage) error) (n int, err error) {
	size := int64(readRows)
	if limit > 0 {
		size = min(size, int64(limit))
	}
	var buf []byte
	err = l.records(ctx, uri, size, func(rec arrow.RecordBatch) error {
		for i := range int(rec.NumRows()) {
			if n == limit && limit >= 0 {
				return errEnough
			}
			if buf, err = appendRow(buf[:0], rec, i); err != nil {
				return fmt.Errorf("lake: %s: %w", uri, err)
			}
			if err := fn(buf); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return n, nil
	}
	return n, err
}

// records reads a Parquet file in batches of size rows.
func (l *Lake) records(ctx context.Context, uri string, size int64, fn func(arrow.RecordBatch) error) error {
	r, err := l.open(ctx, uri)
	if err != nil {
		return err
	}
	defer r.Close()
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: size}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("lake: %s: %w", uri, err)
	}
	rr, err := fr.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("lake: %s: %w", uri, err)
	}
	defer rr.Release()
	for rr.Next() {
		if err := fn(rr.RecordBatch()); err != nil {
			return err
		}
	}
	if err := rr.Err(); err != nil {
		return fmt.Errorf("lake: %s: %w", uri, err)
	}
	return nil
}

func appendRow(b []byte, rec arrow.RecordBatch, row int) ([]byte, error) {
	b = append(b, '{')
	first := true
	var err error
	for c, col := range rec.Columns() {
		if b, first, err = appendMember(b, first, rec.ColumnName(c), col, row); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendMember(b []byte, first bool, name string, col arrow.Array, row int) ([]byte, bool, error) {
	if col.IsNull(row) {
		return b, first, nil
	}
	if !first {
		b = append(b, ',')
	}
	b, err := jsontext.AppendQuote(b, name)
	if err != nil {
		return nil, false, err
	}
	b = append(b, ':')
	b, err = appendValue(b, col, row)
	return b, false, err
}

// appendValue writes one value as JSON. A null inside a list or map stays a null.
func appendValue(b []byte, col arrow.Array, row int) ([]byte, error) {
	if col.IsNull(row) {
		return append(b, "null"...), nil
	}
	switch a := col.(type) {
	case *array.String:
		return jsontext.AppendQuote(b, a.Value(row))
	case *array.Boolean:
		return strconv.AppendBool(b, a.Value(row)), nil
	case *array.Int64:
		return strconv.AppendInt(b, a.Value(row), 10), nil
	case *array.Int32:
		return strconv.AppendInt(b, int64(a.Value(row)), 10), nil
	case *array.Float64:
		return appendFloat(b, a.Value(row)), nil
	case *array.Date32:
		return a.Value(row).ToTime().AppendFormat(b, `"2006-01-02"`), nil
	case *array.Timestamp:
		return appendTime(b, a.Value(row).ToTime(a.DataType().(*arrow.TimestampType).Unit)), nil
	case *array.Struct:
		return appendStruct(b, a, row)
	case *array.Map:
		return appendMap(b, a, row)
	case *array.List:
		from, to := a.ValueOffsets(row)
		return appendList(b, a.ListValues(), int(from), int(to))
	default:
		return appendForeign(b, col, row)
	}
}

// appendForeign writes values of types that tables do not have, from files that were uploaded.
func appendForeign(b []byte, col arrow.Array, row int) ([]byte, error) {
	switch a := col.(type) {
	case *array.Float32:
		return strconv.AppendFloat(b, float64(a.Value(row)), 'g', -1, 32), nil
	case *array.Int8, *array.Int16, *array.Uint8, *array.Uint16, *array.Uint32, *array.Uint64, *array.Decimal128, *array.Decimal256:
		return append(b, a.ValueStr(row)...), nil
	case *array.LargeString:
		return jsontext.AppendQuote(b, a.Value(row))
	case *array.Binary:
		return appendBytes(b, a.Value(row)), nil
	case *array.FixedSizeBinary:
		return appendBytes(b, a.Value(row)), nil
	case *array.Dictionary:
		return appendValue(b, a.Dictionary(), a.GetValueIndex(row))
	case *array.LargeList:
		from, to := a.ValueOffsets(row)
		return appendList(b, a.ListValues(), int(from), int(to))
	default:
		return nil, fmt.Errorf("column of type %s cannot be shown", col.DataType())
	}
}

// appendBytes writes bytes as base64 text.
func appendBytes(b, v []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, v)
	return append(b, '"')
}

func appendFloat(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...) // JSON has no word for it
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

func appendTime(b []byte, t time.Time) []byte {
	layout := `"2006-01-02T15:04:05.000Z"`
	if t.Nanosecond()%1_000_000 != 0 {
		layout = `"2006-01-02T15:04:05.000000Z"`
	}
	return t.UTC().AppendFormat(b, layout)
}

func appendStruct(b []byte, a *array.Struct, row int) ([]byte, error) {
	t := a.DataType().(*arrow.StructType)
	b = append(b, '{')
	first := true
	var err error
	for i := range a.NumField() {
		if b, first, err = appendMember(b, first, t.Field(i).Name, a.Field(i), row); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendList(b []byte, values arrow.Array, from, to int) ([]byte, error) {
	b = append(b, '[')
	var err error
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		if b, err = appendValue(b, values, i); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, a *array.Map, row int) ([]byte, error) {
	from, to := a.ValueOffsets(row)
	b = append(b, '{')
	var err error
	for i := int(from); i < int(to); i++ {
		if i > int(from) {
			b = append(b, ',')
		}
		if b, err = appendValue(b, a.Keys(), i); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = appendValue(b, a.Items(), i); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// The Parquet reader takes a file of the bucket.
var _ parquet.ReaderAtSeeker = (*blob.File)(nil)
