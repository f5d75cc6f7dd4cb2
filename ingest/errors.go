package ingest

import (
	"bytes"
	"context"
	"strings"

	"weir/blob"
	"weir/record"
)

// Families of row errors: the stage a row failed in. A row is in the file of its first failing stage.
const (
	parsing = iota
	conversion
	validation
	families
)

var familyNames = [families]string{"parsing", "conversion", "validation"}

// Row error codes (contract schema-catalog-data §4.7, data-prep §4.2).
const (
	codeParse   = "INGEST-1401-400"
	codeConvert = "INGEST-1554-400"
	codeMissing = "INGEST-1555-400"
	codeMapper  = "MAPPER-3700-400"
)

// familyOf is the stage in which a row failed: that of its first error.
func familyOf(e *record.RowError) int {
	switch {
	case e.Code == codeParse:
		return parsing
	case e.Code == codeMapper || e.Conversion:
		return conversion
	}
	return validation
}

const (
	// errorBytes is how many bytes of error rows a unit holds before it waits for its turn to write them.
	errorBytes = 2 << 20
	// corruptBytes is how much of a record that cannot be read is kept.
	corruptBytes = 64 << 10
	jsonSpace    = " \t\r\n"
	// sampleRows is how many rows of each family the sample file has.
	sampleRows = 20
)

// errorBuffer holds error rows, one JSON line each, until their unit may write.
type errorBuffer struct {
	keep bool
	one  bool   // all families in one
	file []byte // `,"_filename":"…"}` and the line break
	rows [families][]byte
}

func (e *errorBuffer) name(file string) {
	e.file = append(e.file[:0], `,"_filename":`...)
	e.file = record.AppendQuoted(e.file, file)
	e.file = append(e.file, "}\n"...)
}

func (e *errorBuffer) size() int {
	n := 0
	for _, r := range e.rows {
		n += len(r)
	}
	return n
}

// add appends a rejected record: its own members, then _errors and _filename. One that cannot be read is the text of _corrupt_record.
func (e *errorBuffer) add(buf []byte, r *record.Reject) {
	dst := &e.rows[0]
	if !e.one {
		dst = &e.rows[familyOf(&r.Errors[0])]
	}
	raw := buf[r.Off:r.End]
	b := *dst
	if r.Malformed {
		b = append(b, `{"_corrupt_record":`...)
		b = record.AppendQuoted(b, string(raw[:min(len(raw), corruptBytes)]))
		b = append(b, ',')
	} else {
		b = appendOpen(b, raw)
	}
	b = appendErrors(b, r.Errors)
	*dst = append(b, e.file...)
}

// appendOpen appends a record, which is an object, without its closing brace: ready for another member.
func appendOpen(b, raw []byte) []byte {
	raw = bytes.TrimRight(raw, jsonSpace)
	b = append(b, bytes.TrimRight(bytes.TrimSuffix(raw, []byte("}")), jsonSpace)...)
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return b
}

// appendErrors appends the member _errors.
func appendErrors(b []byte, errs []record.RowError) []byte {
	b = append(b, `"_errors":[`...)
	for i, re := range errs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"code":`...)
		b = record.AppendQuoted(b, shortCode(re.Code))
		if re.Column != "" {
			b = append(b, `,"column":`...)
			b = record.AppendQuoted(b, re.Column)
		}
		b = append(b, `,"message":`...)
		b = record.AppendQuoted(b, re.Message)
		b = append(b, '}')
	}
	return append(b, ']')
}

// shortCode is the middle number of a code: 1555 of INGEST-1555-400.
func shortCode(code string) string {
	parts := strings.Split(code, "-")
	if len(parts) == 3 {
		return parts[1]
	}
	return code
}

// errorSink takes error rows; it is used by one goroutine at a time.
type errorSink interface {
	// write takes over the rows of a buffer.
	write(ctx context.Context, e *errorBuffer) error
	close(ctx context.Context) error
	abort()
}

// errorFiles are the files of a batch under meta/<batch>/: row_errors/<family>_errors_0.json and row_error_samples.json. A family
// without rows has none.
type errorFiles struct {
	bucket  *blob.Bucket
	batch   string
	files   [families]*blob.Writer
	samples []byte
	sampled [families]int
}

func (f *errorFiles) write(ctx context.Context, e *errorBuffer) error {
	for k, rows := range e.rows {
		if len(rows) == 0 {
			continue
		}
		if f.files[k] == nil {
			w, err := f.bucket.NewWriter(ctx, "meta/"+f.batch+"/row_errors/"+familyNames[k]+"_errors_0.json")
			if err != nil {
				return err
			}
			f.files[k] = w
		}
		if _, err := f.files[k].Write(rows); err != nil {
			return err
		}
		f.sample(k, rows)
		e.rows[k] = rows[:0]
	}
	return nil
}

func (f *errorFiles) sample(k int, rows []byte) {
	for f.sampled[k] < sampleRows {
		n := bytes.IndexByte(rows, '\n') + 1
		if n == 0 {
			return
		}
		f.samples = append(f.samples, rows[:n]...)
		f.sampled[k]++
		rows = rows[n:]
	}
}

func (f *errorFiles) close(ctx context.Context) error {
	for _, w := range f.files {
		if w != nil {
			if err := w.Close(); err != nil {
				return err
			}
		}
	}
	if len(f.samples) == 0 {
		return nil
	}
	return f.bucket.Write(ctx, "meta/"+f.batch+"/row_error_samples.json", f.samples)
}

func (f *errorFiles) abort() {
	for _, w := range f.files {
		if w != nil {
			w.Abort()
		}
	}
}
