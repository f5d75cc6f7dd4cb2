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

// PartWriter writes one part. It is for one goroutine and is ended by Close or Abort.
//
// On a folder bucket a part grows in place: after each Sync what was written is durable and [Lake.OpenPart] reads exactly that much,
// so a checkpoint can follow every page. On other buckets a part appears whole, at the Sync that ends it.
type PartWriter struct {
	obj  *blob.Writer   // of a remote bucket
	grow *blob.Appender // of a folder bucket
	buf  *bufio.Writer
	enc  *zstd.Encoder // nil on a folder bucket
	part Part
	done bool
}

// NewPart starts a part of a run's step. Parts of one step never collide, whoever writes them: a name has a random tail.
func (l *Lake) NewPart(ctx context.Context, run string, step int) (*PartWriter, error) {
	if run == "" || strings.Contains(run, "/") {
		return nil, fmt.Errorf("lake: bad run id %q", run)
	}
	w := &PartWriter{part: Part{Name: fmt.Sprintf("stage/%s/%06d-%s%s", run, step, weir.NewHex(4), partSuffix)}}
	var err error
	if l.bucket.Local() {
		if w.grow, err = l.bucket.NewAppender(w.part.Name); err != nil {
			return nil, err
		}
		w.buf = bufio.NewWriterSize(w.grow, 256<<10)
		return w, nil
	}
	w.part.Name += zstdSuffix
	if w.obj, err = l.bucket.NewWriter(ctx, w.part.Name); err != nil {
		return nil, err
	}
	w.buf = bufio.NewWriterSize(w.obj, 256<<10)
	w.enc, err = zstd.NewWriter(w.buf, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		w.obj.Abort()
		return nil, err
	}
	return w, nil
}

// Append writes whole records as NDJSON.
func (w *PartWriter) Append(ndjson []byte, records int) error {
	var to io.Writer = w.buf
	if w.enc != nil {
		to = w.enc
	}
	n, err := to.Write(ndjson)
	w.part.Bytes += int64(n)
	w.part.Records += int64(records)
	return err
}

// Size is the number of NDJSON bytes written so far.
func (w *PartWriter) Size() int64 { return w.part.Bytes }

// CanSync reports whether Sync leaves the part open for more.
func (w *PartWriter) CanSync() bool { return w.grow != nil }

// Sync makes what was written so far durable and returns the part as it is now. Where the bucket cannot grow an object
// (CanSync is false) it ends the part.
func (w *PartWriter) Sync() (Part, error) {
	if w.grow == nil {
		return w.part, w.Close()
	}
	if err := w.buf.Flush(); err != nil {
		return Part{}, err
	}
	return w.part, w.grow.Sync()
}

// Close makes the part durable and ends it. It does nothing after Close or Abort.
func (w *PartWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	var err error
	if w.enc != nil {
		err = w.enc.Close()
	}
	if err == nil {
		err = w.buf.Flush()
	}
	if w.grow != nil {
		return errors.Join(err, w.grow.Sync(), w.grow.Close())
	}
	if err != nil {
		w.obj.Abort()
		return err
	}
	return w.obj.Close()
}

// Abort drops what no Sync has made durable. It does nothing after Close.
func (w *PartWriter) Abort() {
	if w.done {
		return
	}
	w.done = true
	if w.grow != nil {
		_ = w.grow.Close() // a part is read only as far as its last Sync
		return
	}
	w.obj.Abort()
}

// OpenPart reads a part's NDJSON from the start. [weir.ErrNotFound] if the stage was dropped.
func (l *Lake) OpenPart(ctx context.Context, p Part) (io.ReadCloser, error) {
	if !p.Compressed() {
		return l.bucket.NewReader(ctx, p.Name, 0, p.Bytes)
	}
	r, err := l.bucket.NewReader(ctx, p.Name, 0, -1)
	if err != nil {
		return nil, err
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
