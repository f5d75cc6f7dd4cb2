package lake

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"weir/record"
)

// memObject is a file in memory.
type memObject struct {
	bytes.Buffer
	closed, aborted bool
}

func (m *memObject) Close() error { m.closed = true; return nil }
func (m *memObject) Abort()       { m.aborted = true }

// fill sets a column of a batch from plain values: string, bool, int64, float64, map[string]any, []any, nil.
func fill(b *record.Batch, c *record.Column, vals []any) {
	c.None = false
	n := len(vals)
	c.Valid = make([]uint8, n)
	for i, v := range vals {
		if v != nil {
			c.Valid[i] = 1
		}
	}
	switch c.Field.Type {
	case record.String:
		text := c.GrowText(n)
		for i, v := range vals {
			text[i] = 0
			if v != nil {
				at := len(b.Buf)
				b.Buf = append(b.Buf, v.(string)...)
				text[i] = record.MakeSpan(record.SpanText, at, len(b.Buf)-at)
			}
		}
	case record.Struct:
		for k := range c.Kids {
			kid := make([]any, n)
			any1 := false
			for i, v := range vals {
				if v != nil {
					kid[i] = v.(map[string]any)[c.Kids[k].Field.Name]
				}
				any1 = any1 || kid[i] != nil
			}
			if any1 {
				fill(b, &c.Kids[k], kid)
			} else {
				c.Kids[k].None = true
			}
		}
	case record.List:
		start := c.GrowStart(n)
		var kid []any
		for i, v := range vals {
			start[i] = uint32(len(kid))
			if v != nil {
				kid = append(kid, v.([]any)...)
			}
		}
		start[n] = uint32(len(kid))
		fill(b, &c.Kids[0], kid)
	case record.Map:
		start := c.GrowStart(n)
		var keys, kid []any
		for i, v := range vals {
			start[i] = uint32(len(kid))
			if v != nil {
				m := v.(map[string]any)
				for _, k := range sortedKeys(m) {
					keys, kid = append(keys, k), append(kid, m[k])
				}
			}
		}
		start[n] = uint32(len(kid))
		fill(b, &c.Kids[0], keys)
		fill(b, &c.Kids[1], kid)
	default:
		words := c.GrowWords(n)
		for i, v := range vals {
			switch v := v.(type) {
			case nil:
				words[i] = 0xdeadbeef
			case bool:
				words[i] = 0
				if v {
					words[i] = 1
				}
			case int64:
				words[i] = uint64(v)
			case float64:
				words[i] = math.Float64bits(v)
			}
		}
	}
}

func sortedKeys(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// randomSchema makes a schema of random nesting with ids.
func randomSchema(r *rand.Rand) *record.Schema {
	id := 0
	var field func(name string, depth int) record.Field
	field = func(name string, depth int) record.Field {
		id++
		f := record.Field{Name: name, ID: id}
		types := []record.Type{record.String, record.Boolean, record.Int, record.Long, record.Number, record.Date, record.Timestamp, record.Struct, record.List, record.Map}
		if depth == 0 {
			types = types[:7]
		}
		f.Type = types[r.IntN(len(types))]
		switch f.Type {
		case record.Struct:
			for i := range 1 + r.IntN(3) {
				f.Fields = append(f.Fields, field(fmt.Sprintf("m%d", i), depth-1))
			}
			if r.IntN(4) == 0 {
				f.Fields = append(f.Fields, record.Field{Name: "nothing", Type: record.Struct})
			}
		case record.List:
			e := field("element", depth-1)
			f.Elem = &e
		case record.Map:
			id++
			f.KeyID = id
			e := field("value", depth-1)
			f.Elem = &e
		default:
		}
		return f
	}
	s := &record.Schema{}
	for i := range 1 + r.IntN(5) {
		s.Fields = append(s.Fields, field(fmt.Sprintf("c%d", i), 3))
	}
	return s
}

// randomValue is a value of a field; card bounds how many distinct leaves there are.
func randomValue(r *rand.Rand, f *record.Field, card int) any {
	if r.IntN(5) == 0 {
		return nil
	}
	switch f.Type {
	case record.String:
		k := r.IntN(card)
		return []string{"", "ü", "x", "text of some length "}[k%4] + fmt.Sprint(k)
	case record.Boolean:
		return r.IntN(2) == 0
	case record.Number:
		return float64(r.IntN(card)) / 8 * float64(1-2*r.IntN(2))
	case record.Date, record.Int:
		return int64(r.IntN(card)) - 100
	case record.Struct:
		m := map[string]any{}
		for i := range f.Fields {
			if storable(&f.Fields[i]) {
				m[f.Fields[i].Name] = randomValue(r, &f.Fields[i], card)
			}
		}
		return m
	case record.List:
		l := []any{}
		for range r.IntN(4) {
			l = append(l, randomValue(r, f.Elem, card))
		}
		return l
	case record.Map:
		m := map[string]any{}
		for range r.IntN(4) {
			m[fmt.Sprint("k", r.IntN(9))] = randomValue(r, f.Elem, card)
		}
		return m
	default:
		return int64(r.IntN(card)) * 1e12
	}
}

// readBack reads a file with arrow.
func readBack(t *testing.T, data []byte) ([]map[string]any, *file.Reader) {
	t.Helper()
	pr, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pr, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Release()
	var out []map[string]any
	tr := array.NewTableReader(tab, 0)
	defer tr.Release()
	for tr.Next() {
		rec := tr.RecordBatch()
		for i := range int(rec.NumRows()) {
			row := map[string]any{}
			for c := range int(rec.NumCols()) {
				row[rec.ColumnName(c)] = arrowValue(t, rec.Column(c), i)
			}
			out = append(out, row)
		}
	}
	return out, pr
}

func arrowValue(t *testing.T, a arrow.Array, i int) any {
	t.Helper()
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return strings.Clone(a.Value(i))
	case *array.Boolean:
		return a.Value(i)
	case *array.Int64:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Date32:
		return int64(a.Value(i))
	case *array.Timestamp:
		if a.DataType().(*arrow.TimestampType).TimeZone != "UTC" || a.DataType().(*arrow.TimestampType).Unit != arrow.Microsecond {
			t.Fatalf("timestamp type %s", a.DataType())
		}
		return int64(a.Value(i))
	case *array.Struct:
		m := map[string]any{}
		for k, f := range a.DataType().(*arrow.StructType).Fields() {
			m[f.Name] = arrowValue(t, a.Field(k), i)
		}
		return m
	case *array.Map:
		m := map[string]any{}
		from, to := a.ValueOffsets(i)
		for k := from; k < to; k++ {
			m[arrowValue(t, a.Keys(), int(k)).(string)] = arrowValue(t, a.Items(), int(k))
		}
		return m
	case *array.List:
		l := []any{}
		from, to := a.ValueOffsets(i)
		for k := from; k < to; k++ {
			l = append(l, arrowValue(t, a.ListValues(), int(k)))
		}
		return l
	}
	t.Fatalf("unexpected %s", a.DataType())
	return nil
}

func TestParquetRoundTrip(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { roundTrip(t, seed) })
	}
}

// FuzzParquet: whatever rows of whatever schema are written, another reader gets them back. text takes the place of some values.
func FuzzParquet(f *testing.F) {
	f.Add(uint64(1), "")
	f.Add(uint64(99), strings.Repeat("weir \u00e9 \x00 ", 300))
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		roundTrip(t, seed)
		if !utf8.ValidString(text) {
			text = strings.ToValidUTF8(text, "?")
		}
		s := &record.Schema{Fields: []record.Field{{Name: "s", Type: record.String, ID: 1}}}
		r := rand.New(rand.NewPCG(seed, 3))
		var vals []any
		var want []map[string]any
		for range r.IntN(600) {
			var v any
			if r.IntN(8) > 0 && len(text) > 0 {
				a := r.IntN(len(text))
				v = strings.ToValidUTF8(text[a:min(len(text), a+r.IntN(200))], "")
			}
			vals = append(vals, v)
			want = append(want, map[string]any{"s": v})
		}
		obj := &memObject{}
		w := WriteParquet(obj, "mem://f", s)
		if len(vals) > 0 {
			b := record.NewBatch(s)
			b.Rows = len(vals)
			fill(b, &b.Cols[0], vals)
			if err := w.Append(b); err != nil {
				t.Fatal(err)
			}
		}
		d, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := readBack(t, obj.Bytes())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%.2000s", diff)
		}
		checkMetrics(t, s, d, want)
	})
}

func roundTrip(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	s := randomSchema(r)
	card := []int{1, 2, 40, 1 << 20}[r.IntN(4)]
	obj := &memObject{}
	w := WriteParquet(obj, "mem://f", s)
	encoders := []*Encoder{NewEncoder(s), NewEncoder(s)}
	var want []map[string]any
	for range 1 + r.IntN(4) {
		e := encoders[r.IntN(2)]
		for range r.IntN(4) {
			want = append(want, appendRandom(r, s, card, e)...)
		}
		if err := w.Add(e.Finish()); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Close()
	if err != nil || !obj.closed {
		t.Fatal(err, obj.closed)
	}
	got, pr := readBack(t, obj.Bytes())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%.3000s", diff)
	}
	if d.Rows != int64(len(want)) || d.Bytes != int64(obj.Len()) || len(d.SplitOffsets) != pr.NumRowGroups() {
		t.Errorf("%+v for %d rows, %d bytes, %d row groups", d, len(want), obj.Len(), pr.NumRowGroups())
	}
	checkMetrics(t, s, d, want)
}

// appendRandom adds a batch of random rows and returns those that were to be taken.
func appendRandom(r *rand.Rand, s *record.Schema, card int, e *Encoder) []map[string]any {
	var rows []map[string]any
	for range r.IntN(300) {
		row := map[string]any{}
		for i := range s.Fields {
			if storable(&s.Fields[i]) {
				row[s.Fields[i].Name] = randomValue(r, &s.Fields[i], card)
			}
		}
		rows = append(rows, row)
	}
	b := record.NewBatch(s)
	b.Rows = len(rows)
	for i := range b.Cols {
		vals := make([]any, len(rows))
		for k := range rows {
			vals[k] = rows[k][s.Fields[i].Name]
		}
		if len(vals) > 0 && r.IntN(6) > 0 {
			fill(b, &b.Cols[i], vals)
			continue
		}
		for k := range rows {
			if storable(&s.Fields[i]) {
				rows[k][s.Fields[i].Name] = nil
			}
		}
	}
	if r.IntN(2) == 0 {
		b.Sel = []int32{}
		var taken []map[string]any
		for i := range rows {
			if r.IntN(3) > 0 {
				b.Sel = append(b.Sel, int32(i))
				taken = append(taken, rows[i])
			}
		}
		rows = taken
	}
	e.Append(b)
	return rows
}

// checkMetrics compares counts and bounds of the top-level leaves with the rows.
func checkMetrics(t *testing.T, s *record.Schema, d DataFile, rows []map[string]any) {
	t.Helper()
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Type >= record.Struct {
			continue
		}
		nulls := int64(0)
		for _, row := range rows {
			v := row[f.Name]
			if v == nil {
				nulls++
				continue
			}
			lo, hi := d.Lower[f.ID], d.Upper[f.ID]
			switch v := v.(type) {
			case string:
				if string(lo) > v || string(hi) < v || utf8.RuneCount(lo) > 16 || utf8.RuneCount(hi) > 16 {
					t.Errorf("%s: %q is not in %q…%q", f.Name, v, lo, hi)
				}
			case float64:
				if math.Float64frombits(binary.LittleEndian.Uint64(lo)) > v || math.Float64frombits(binary.LittleEndian.Uint64(hi)) < v {
					t.Errorf("%s: %v is out of bounds", f.Name, v)
				}
			case int64:
				if f.Type != record.Date && (int64(binary.LittleEndian.Uint64(lo)) > v || int64(binary.LittleEndian.Uint64(hi)) < v) {
					t.Errorf("%s: %v is out of bounds", f.Name, v)
				}
			}
		}
		if d.NullCounts[f.ID] != nulls || d.ValueCounts[f.ID] != int64(len(rows)) {
			t.Errorf("%s: %d nulls of %d, want %d of %d", f.Name, d.NullCounts[f.ID], d.ValueCounts[f.ID], nulls, len(rows))
		}
	}
}

// TestParquetLarge goes over page, dictionary and row group borders.
func TestParquetLarge(t *testing.T) {
	s := &record.Schema{Fields: []record.Field{
		{Name: "few", Type: record.String, ID: 1},
		{Name: "many", Type: record.String, ID: 2},
		{Name: "grows", Type: record.String, ID: 3},
		{Name: "n", Type: record.Long, ID: 4},
		{Name: "none", Type: record.Number, ID: 5},
	}}
	obj := &memObject{}
	w := WriteParquet(obj, "mem://f", s)
	var want []map[string]any
	for k := 0; k < 200_000; k += 1000 {
		b := record.NewBatch(s)
		b.Rows = 1000
		vals := make([][]any, 4)
		for i := k; i < k+1000; i++ {
			grows := fmt.Sprint("value ", i%7)
			if i > 90_000 {
				grows = fmt.Sprintf("a longer value that never comes again: %d", i)
			}
			row := map[string]any{"few": fmt.Sprint(i % 5), "many": fmt.Sprintf("%08x", uint32(i)*2654435761), "grows": grows, "n": int64(i % 3), "none": nil}
			for c, name := range []string{"few", "many", "grows", "n"} {
				vals[c] = append(vals[c], row[name])
			}
			want = append(want, row)
		}
		for c := range vals {
			fill(b, &b.Cols[c], vals[c])
		}
		if err := w.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := readBack(t, obj.Bytes())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%.2000s", diff)
	}
}

func TestParquetSchema(t *testing.T) {
	elem, val := record.Field{Name: "element", Type: record.String, ID: 4}, record.Field{Name: "value", Type: record.Number, ID: 7}
	s := &record.Schema{Fields: []record.Field{
		{Name: "id", Type: record.Short, ID: 1},
		{Name: "day", Type: record.Date, ID: 2},
		{Name: "tags", Type: record.List, ID: 3, Elem: &elem},
		{Name: "m", Type: record.Map, ID: 5, KeyID: 6, Elem: &val},
		{Name: "empty", Type: record.Struct},
	}}
	obj := &memObject{}
	if _, err := WriteParquet(obj, "mem://f", s).Close(); err != nil {
		t.Fatal(err)
	}
	_, pr := readBack(t, obj.Bytes())
	want := `required group field_id=-1 schema {
  optional int64 field_id=1 id;
  optional int32 field_id=2 day (Date);
  optional group field_id=3 tags (List) {
    repeated group field_id=-1 list {
      optional byte_array field_id=4 element (String);
    }
  }
  optional group field_id=5 m (Map) {
    repeated group field_id=-1 key_value {
      required byte_array field_id=6 key (String);
      optional double field_id=7 value;
    }
  }
}
`
	if diff := cmp.Diff(want, pr.MetaData().Schema.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTextBounds(t *testing.T) {
	for _, tt := range []struct {
		in, lower, upper string
		n                int
		none             bool
	}{
		{in: "abc", n: 3, lower: "abc", upper: "abc"},
		{in: "abcd", n: 3, lower: "abc", upper: "abd"},
		{in: "ab\U0010ffffd", n: 3, lower: "ab\U0010ffff", upper: "ac"},
		{in: "\U0010ffff\U0010ffff", n: 1, lower: "\U0010ffff", none: true},
		{in: "\ud7ffx", n: 1, lower: "\ud7ff", upper: "\ue000"},
		{in: "éé", n: 1, lower: "é", upper: "ê"},
	} {
		up, ok := ceiling([]byte(tt.in), tt.n)
		if lo := string(head([]byte(tt.in), tt.n)); lo != tt.lower || string(up) != tt.upper || ok == tt.none {
			t.Errorf("%q: %q…%q %v", tt.in, lo, up, ok)
		}
	}
}
