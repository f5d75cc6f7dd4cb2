// Package blob keeps immutable objects in a bucket that is opened by URL: a folder (file:///abs/dir), an S3 bucket
// (s3://bucket/prefix?region=…&endpoint=…) or memory (mem://name, for tests). An object appears whole or not at all, and is
// never changed once it is there; a second write of the same name replaces it whole.
//
// A name is a relative slash path of safe characters (see [ValidName]). A URI is the bucket's URI, a slash and the name: it is what
// metadata files hold, it is written once and never rewritten, and it is raw text: nothing in it is percent-encoded.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"weir"
)

// tempSuffix ends the names of objects that are being written in a folder bucket; they are not listed.
const tempSuffix = ".tmp"

// Bucket is an open bucket. It is safe for concurrent use.
type Bucket struct {
	b      *blob.Bucket
	scheme string
	base   string // URI without the trailing slash
	dir    string // the folder of a file bucket, else ""
}

// Info describes one object, or one folder of [Bucket.ListDir].
type Info struct {
	// Name is the object's name in the bucket. The name of a folder ends in a slash.
	Name    string
	Size    int64
	ModTime time.Time
	Dir     bool
}

// Open opens the bucket at url. The folder of a file bucket is made if it is not there.
func Open(ctx context.Context, url string) (*Bucket, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	open := openers[scheme]
	if !ok || open == nil {
		return nil, fmt.Errorf("blob: %q is no bucket URL: expected file:///folder, s3://bucket/prefix or mem://name", scheme)
	}
	b, err := open(ctx, rest)
	if err != nil {
		return nil, fmt.Errorf("blob: open %s bucket: %w", scheme, err)
	}
	b.scheme = scheme
	return b, nil
}

// Close releases the bucket.
func (b *Bucket) Close() error { return b.b.Close() }

// Local reports whether the bucket is a folder of this machine.
func (b *Bucket) Local() bool { return b.scheme == "file" }

// URI is the address of the object: file:///abs/…, s3://bucket/…. It is the same for the lifetime of the object.
func (b *Bucket) URI(name string) string { return b.base + "/" + name }

// Name is the name of the object at uri; false if it is not in this bucket.
func (b *Bucket) Name(uri string) (string, bool) {
	name, ok := strings.CutPrefix(uri, b.base+"/")
	return name, ok && ValidName(name) == nil
}

// ValidName reports whether name can name an object: slash-separated segments that are not empty, "." or "..", without backslashes and
// control characters, 900 bytes at most, and not ending like a temporary file.
func ValidName(name string) error {
	if name == "" || len(name) > 900 {
		return fmt.Errorf("blob: name of %d bytes: 1 to 900 are allowed", len(name))
	}
	for seg := range strings.SplitSeq(name, "/") {
		if seg == "" || seg == "." || seg == ".." || len(seg) > 240 {
			return fmt.Errorf("blob: bad segment %.40q in name %.200q", seg, name)
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' || r == '\uFFFD' }) {
		return fmt.Errorf("blob: name %.200q has a control character or backslash", name)
	}
	if strings.HasSuffix(name, tempSuffix) {
		return fmt.Errorf("blob: name %.200q ends in %s", name, tempSuffix)
	}
	return nil
}

// Writer writes one object. Exactly one of Close and Abort ends it.
type Writer struct {
	w      *blob.Writer
	b      *Bucket
	name   string
	cancel context.CancelFunc
	n      int64
	failed error
	done   bool
}

// NewWriter starts the object name. Nothing is visible before Close returned nil.
func (b *Bucket) NewWriter(ctx context.Context, name string) (*Writer, error) {
	if err := ValidName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w, err := b.b.NewWriter(ctx, name, &blob.WriterOptions{
		ContentType:                 contentType(name),
		DisableContentTypeDetection: true,
		BufferSize:                  8 << 20, // part size of an S3 upload: 10,000 parts = 80 GB
		MaxConcurrency:              2,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("blob: create %s: %w", b.URI(name), err)
	}
	return &Writer{w: w, b: b, name: name, cancel: cancel}, nil
}

// Write appends to the object.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.n += int64(n)
	if err != nil {
		w.failed = fmt.Errorf("blob: write %s: %w", w.b.URI(w.name), err)
		return n, w.failed
	}
	return n, nil
}

// Name is the object's name.
func (w *Writer) Name() string { return w.name }

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.n }

// Close makes the object visible and durable. After a failed Write it aborts and returns that failure.
func (w *Writer) Close() error {
	if w.done {
		return nil
	}
	if w.failed != nil {
		w.Abort()
		return w.failed
	}
	w.done = true
	defer w.cancel()
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("blob: close %s: %w", w.b.URI(w.name), err)
	}
	if w.b.dir != "" {
		return w.b.sync(w.name)
	}
	return nil
}

// Abort drops the object. It does nothing after Close.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.cancel()
	_ = w.w.Close() // the canceled context is its error
}

// sync flushes a file and the folder that names it: what a transaction is about to point at must outlive a power cut.
func (b *Bucket) sync(name string) error {
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	for _, p := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(p)
		if err != nil {
			return fmt.Errorf("blob: sync %s: %w", b.URI(name), err)
		}
		err = f.Sync()
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("blob: sync %s: %w", b.URI(name), err)
		}
	}
	return nil
}

// Write stores data under name.
func (b *Bucket) Write(ctx context.Context, name string, data []byte) error {
	w, err := b.NewWriter(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// NewReader reads length bytes from offset on, to the end if length is negative. [weir.ErrNotFound] if there is no such object.
func (b *Bucket) NewReader(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := ValidName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", weir.ErrNotFound, err)
	}
	r, err := b.b.NewRangeReader(ctx, name, offset, length, nil)
	if err != nil {
		return nil, b.fail("read", name, err)
	}
	return r, nil
}

// Read returns the whole object. [weir.ErrNotFound] if there is none.
func (b *Bucket) Read(ctx context.Context, name string) ([]byte, error) {
	r, err := b.NewReader(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, b.fail("read", name, err)
	}
	return data, nil
}

// Stat describes the object. [weir.ErrNotFound] if there is none.
func (b *Bucket) Stat(ctx context.Context, name string) (Info, error) {
	if err := ValidName(name); err != nil {
		return Info{}, fmt.Errorf("%w: %w", weir.ErrNotFound, err)
	}
	a, err := b.b.Attributes(ctx, name)
	if err != nil {
		return Info{}, b.fail("stat", name, err)
	}
	return Info{Name: name, Size: a.Size, ModTime: a.ModTime}, nil
}

// Delete removes the object. Removing what is not there is no error.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := ValidName(name); err != nil {
		return err
	}
	if err := b.b.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return b.fail("delete", name, err)
	}
	return nil
}

// List yields the objects whose names start with prefix (all for ""), in name order. It stops at the first error.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return b.list(ctx, &blob.ListOptions{Prefix: prefix})
}

// ListDir yields the objects and folders directly below the folder dir ("a/b/", or "" for the root), in name order.
func (b *Bucket) ListDir(ctx context.Context, dir string) iter.Seq2[Info, error] {
	if dir != "" && !strings.HasSuffix(dir, "/") {
		dir += "/"
	}
	return b.list(ctx, &blob.ListOptions{Prefix: dir, Delimiter: "/"})
}

func (b *Bucket) list(ctx context.Context, o *blob.ListOptions) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		it := b.b.List(o)
		for {
			obj, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Info{}, b.fail("list", o.Prefix, err))
				return
			}
			if !obj.IsDir && strings.HasSuffix(obj.Key, tempSuffix) {
				continue
			}
			if !yield(Info{Name: obj.Key, Size: obj.Size, ModTime: obj.ModTime, Dir: obj.IsDir}, nil) {
				return
			}
		}
	}
}

// DeleteAll removes every object whose name starts with prefix, which must not be empty. It can be repeated after a failure.
func (b *Bucket) DeleteAll(ctx context.Context, prefix string) error {
	if strings.Trim(prefix, "/") == "" {
		return errors.New("blob: refusing to delete a whole bucket")
	}
	for o, err := range b.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if err := b.Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	if b.dir != "" && strings.HasSuffix(prefix, "/") {
		b.removeDirs(filepath.Join(b.dir, filepath.FromSlash(prefix)))
	}
	return nil
}

// removeDirs removes the folders at and below dir that are empty; others stay (os.Remove refuses them).
func (b *Bucket) removeDirs(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, d := range slices.Backward(dirs) {
		_ = os.Remove(d)
	}
}

// Sweep removes what crashed writers left behind in a folder bucket: temporary files older than age. Other buckets have none.
func (b *Bucket) Sweep(ctx context.Context, now time.Time, age time.Duration) (removed int, err error) {
	if b.dir == "" {
		return 0, nil
	}
	err = filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, tempSuffix) {
			return ctx.Err()
		}
		if info, err := d.Info(); err == nil && now.Sub(info.ModTime()) > age {
			if os.Remove(path) == nil {
				removed++
			}
		}
		return ctx.Err()
	})
	return removed, err
}

func (b *Bucket) fail(op, name string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("blob: %s %s: %w", op, b.URI(name), weir.ErrNotFound)
	}
	return fmt.Errorf("blob: %s %s: %w", op, b.URI(name), err)
}
