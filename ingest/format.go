package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"weir"
	"weir/lake"
	"weir/record"
)

// Sink takes records as NDJSON.
type Sink func(ndjson []byte, records int) error

// Formats turn an uploaded object into records (schema-catalog-data §4.3). A record that cannot be read goes to the sink as it is: the
// promotion counts and reports it. A nil schema asks for no check of columns. The error is a *[weir.Error] where the whole file is at fault.
var Formats = map[string]func(ctx context.Context, l *lake.Lake, object string, f weir.InputFormat, s *record.Schema, sink Sink) error{
	"json":    readJSON,
	"csv":     readCSV,
	"parquet": readParquet,
}

// maxLine bounds one record of a text file.
const maxLine = 64 << 20

func openText(ctx context.Context, l *lake.Lake, object string) (*bufio.Reader, io.Closer, error) {
	r, err := l.Bucket().NewReader(ctx, object, 0, -1)
	if err != nil {
		return nil, nil, err
	}
	b := bufio.NewReaderSize(r, 256<<10)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = b.Discard(3)
	}
	return b, r, nil
}

// readJSON reads JSON lines, or with isMultiLineJson one document: an array of objects, or objects one after another.
func readJSON(ctx context.Context, l *lake.Lake, object string, f weir.InputFormat, _ *record.Schema, sink Sink) error {
	r, c, err := openText(ctx, l, object)
	if err != nil {
		return err
	}
	defer c.Close()
	if f.IsMultiLineJSON {
		return readValues(r, sink)
	}
	var line []byte
	for {
		line, err = readLine(r, line[:0])
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := oneLine(text, sink); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// oneLine passes a line on; one that is an array holds many records.
func oneLine(text []byte, sink Sink) error {
	if text[0] == '[' && json.Valid(text) {
		return readValues(bytes.NewReader(text), sink)
	}
	return sink(append(text, '\n'), 1)
}

// readLine reads up to the next line break. It fails on lines longer than maxLine.
func readLine(r *bufio.Reader, line []byte) ([]byte, error) {
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > maxLine {
			return nil, weir.Errorf("INGEST-1002-400", "A line is longer than %d bytes. JSON lines hold one record each; send isMultiLineJson for other JSON files.", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// readValues reads the elements of an array, or values one after another. What follows a syntax error is one corrupt record.
func readValues(r io.Reader, sink Sink) error {
	dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	inside := false
	for {
		kind := dec.PeekKind()
		if kind == '[' && dec.StackDepth() == 0 {
			if _, err := dec.ReadToken(); err != nil {
				return corrupt(err, sink)
			}
			inside = true
			continue
		}
		if kind == ']' && inside {
			if _, err := dec.ReadToken(); err != nil {
				return corrupt(err, sink)
			}
			inside = false
			continue
		}
		v, err := dec.ReadValue()
		if errors.Is(err, io.EOF) && !inside {
			return nil
		}
		if err != nil {
			return corrupt(err, sink)
		}
		line := bytes.Clone(v)
		if out := jsontext.Value(line); out.Compact() == nil {
			line = out
		}
		if err := sink(append(line, '\n'), 1); err != nil {
			return err
		}
	}
}

// corrupt hands on a record that says where a file stopped being readable; other errors pass.
func corrupt(err error, sink Sink) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	text, merr := json.Marshal(err.Error())
	if merr != nil {
		return merr
	}
	return sink(append(text, '}', '\n'), 1) // no JSON value: the promotion reports it as corrupt
}

// readParquet reads rows as JSON. A column that the schema does not have is the file's fault.
func readParquet(ctx context.Context, l *lake.Lake, object string, _ weir.InputFormat, s *record.Schema, sink Sink) error {
	uri := l.Bucket().URI(object)
	columns, err := l.Columns(ctx, uri)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return &weir.Error{Code: "INGEST-1002-400", Message: "The file is not readable as Parquet.", Err: err}
	}
	for _, path := range columns {
		if s != nil && s.Lookup(path...) == nil {
			return weir.Errorf("INGEST-1002-400", "The Parquet column %s is not in the dataset's schema.", join(path))
		}
	}
	return l.ReadFiles(ctx, []lake.DataFile{{URI: uri}}, -1, func(row json.RawMessage) error { return sink(append(row, '\n'), 1) })
}

func join(path []string) string {
	var b bytes.Buffer
	for i, p := range path {
		if i > 0 && p != "[]" {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}
