package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weir"
)

// File reads an object at any place: an [io.ReaderAt] and [io.ReadSeekCloser] as Parquet and Avro readers want it. ReadAt is safe for
// concurrent use. On a remote bucket every call is one ranged request, so callers read in large pieces.
type File struct {
	ctx  context.Context //nolint:containedctx // io.ReaderAt has no place for one; it bounds the file's requests
	b    *Bucket
	f    *os.File // of a folder bucket, else nil
	info Info
	at   int64
}

// OpenFile opens the object for random access until ctx is done. [weir.ErrNotFound] if there is none.
func (b *Bucket) OpenFile(ctx context.Context, name string) (*File, error) {
	if b.dir == "" {
		info, err := b.Stat(ctx, name)
		if err != nil {
			return nil, err
		}
		return &File{ctx: ctx, b: b, info: info}, nil
	}
	if err := ValidName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", weir.ErrNotFound, err)
	}
	f, err := os.Open(filepath.Join(b.dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, b.fail("open", name, err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = os.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, b.fail("open", name, err)
	}
	return &File{ctx: ctx, b: b, f: f, info: Info{Name: name, Size: st.Size(), ModTime: st.ModTime()}}, nil
}

// Info describes the object.
func (f *File) Info() Info { return f.info }

// Size is the object's length in bytes.
func (f *File) Size() int64 { return f.info.Size }

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.f != nil {
		return f.f.ReadAt(p, off)
	}
	if off < 0 {
		return 0, errors.New("blob: negative offset")
	}
	if off >= f.info.Size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), f.info.Size-off)
	r, err := f.b.NewReader(f.ctx, f.info.Name, off, want)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.ReadFull(r, p[:want])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Read implements [io.Reader].
func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek implements [io.Seeker].
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.info.Size
	}
	if offset < 0 {
		return 0, errors.New("blob: seek before the start")
	}
	f.at = offset
	return offset, nil
}

// Close releases the file.
func (f *File) Close() error {
	if f.f != nil {
		return f.f.Close()
	}
	return nil
}
