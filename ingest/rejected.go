package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"weir/blob"
)

// Rejected hands the records that a batch rejected to a sink, as they came, from the batch's row-error files. Those that could not be read as JSON
// are not among them: only their number is told. It holds one record in memory.
func Rejected(ctx context.Context, bucket *blob.Bucket, batch string, sink Sink) (records, corrupt int64, err error) {
	for f, err := range bucket.List(ctx, "meta/"+batch+"/row_errors/") {
		if err != nil {
			return records, corrupt, err
		}
		count := &records
		if strings.HasPrefix(path.Base(f.Name), familyNames[parsing]) {
			count = &corrupt
		}
		err := eachLine(ctx, bucket, f.Name, func(line []byte) error {
			*count++
			if count == &corrupt {
				return nil
			}
			return sink(append(original(line), '\n'), 1)
		})
		if err != nil {
			return records, corrupt, err
		}
	}
	return records, corrupt, nil
}

func eachLine(ctx context.Context, bucket *blob.Bucket, name string, fn func([]byte) error) error {
	f, err := bucket.NewReader(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	var line []byte
	for err == nil {
		line, err = readLine(r, line[:0])
		if err != nil && !errors.Is(err, io.EOF) || len(line) == 0 {
			break
		}
		if err := fn(line); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// original cuts what the promotion added to a record out of its error row. The last "_errors" of a line is the promotion's, whatever the record
// has: behind it are names and texts of ours only, and quotes inside of texts are escaped.
func original(line []byte) []byte {
	at := max(bytes.LastIndex(line, []byte(`"_errors":[`)), 1)
	return append(bytes.TrimSuffix(line[:at], []byte(",")), '}')
}
