package lake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"weir"
	"weir/blob"
)

// Part is one object of the stage: whole records as NDJSON. It is plain data and lives in checkpoints.
type Part struct {
	// Name is the object's name in the bucket; a name that ends in .zst is compressed.
	Name string `json:"name"`
	// Records and Bytes count what was written, before compression.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

const (
	partSuffix = ".ndjson"
	zstdSuffix = ".zst"
)

// Compressed reports whether the object is a zstd stream. Parts of a folder bucket are not, so their bytes can be read at any offset.
func (p Part) Compressed() bool { return strings.HasSuffix(p.Name, zstdSuffix) }

// PartWriter writes one part. Exactly one of Close and Abort ends it; it is for one goroutine.
type PartWriter struct {
	obj  *blob.Writer
	buf  *bufio.Writer
	enc  *zstd.Encoder // nil on a folder bucket
	part Part
	err  error
}

// NewPart starts a part of a run's step. Parts of one step never collide, whoever writes them: a name has a random tail.
func (l *Lake) NewPart(ctx context.Context, run string, step int) (*PartWriter, error) {
	if run == "" || strings.Contains(run, "/") {
		return nil, fmt.Errorf("lake: bad run id %q", run)
	}
	name := fmt.Sprintf("stage/%s/%06d-%s%s", run, step, weir.NewHex(4), partSuffix)
	if !l.bucket.Local() {
		name += zstdSuffix
	}
	obj, err := l.bucket.NewWriter(ctx, name)
	if err != nil {
		return nil, err
	}
	w := &PartWriter{obj: obj, buf: bufio.NewWriterSize(obj, 256<<10), part: Part{Name: name}}
	if w.part.Compressed() {
		w.enc, err = zstd.NewWriter(w.buf, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			obj.Abort()
			return nil, err
		}
	}
	return w, nil
}

// Write appends NDJSON. The caller tells with Add how many records it was.
func (w *PartWriter) Write(p []byte) (int, error) {
	var n int
	var err error
	if w.enc != nil {
		n, err = w.enc.Write(p)
	} else {
		n, err = w.buf.Write(p)
	}
	w.part.Bytes += int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Add counts records written.
func (w *PartWriter) Add(records int) { w.part.Records += int64(records) }

// Part is what was written so far; its object is not there before Close.
func (w *PartWriter) Part() Part { return w.part }

// Close makes the part durable and visible.
func (w *PartWriter) Close() (Part, error) {
	err := w.err
	if err == nil && w.enc != nil {
		err = w.enc.Close()
	}
	if err == nil {
		err = w.buf.Flush()
	}
	if err != nil {
		w.obj.Abort()
		return Part{}, err
	}
	if err := w.obj.Close(); err != nil {
		return Part{}, err
	}
	return w.part, nil
}

// Abort drops the part. It does nothing after Close.
func (w *PartWriter) Abort() { w.obj.Abort() }

// OpenPart reads a part's NDJSON from the start. [weir.ErrNotFound] if the stage was dropped.
func (l *Lake) OpenPart(ctx context.Context, p Part) (io.ReadCloser, error) {
	r, err := l.bucket.NewReader(ctx, p.Name, 0, -1)
	if err != nil || !p.Compressed() {
		return r, err
	}
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &partReader{dec: dec, r: r}, nil
}

type partReader struct {
	dec *zstd.Decoder
	r   io.Closer
}

func (p *partReader) Read(b []byte) (int, error) { return p.dec.Read(b) }

func (p *partReader) Close() error {
	p.dec.Close()
	return p.r.Close()
}

// DropStage removes every part of a run. It can be repeated.
func (l *Lake) DropStage(ctx context.Context, run string) error {
	if run == "" || strings.Contains(run, "/") {
		return fmt.Errorf("lake: bad run id %q", run)
	}
	return l.bucket.DeleteAll(ctx, "stage/"+run+"/")
}
