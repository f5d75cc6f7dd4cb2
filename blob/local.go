package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir"
)

// Appender grows one object of a folder bucket that may be read while it grows: the stage of a run. It is for one goroutine.
type Appender struct {
	f    *os.File
	b    *Bucket
	name string
}

// NewAppender starts the object name in a folder bucket. It must not be there yet ([weir.ErrConflict]).
func (b *Bucket) NewAppender(name string) (*Appender, error) {
	if b.dir == "" {
		return nil, errors.New("blob: only a folder bucket can append")
	}
	if err := ValidName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("blob: create %s: %w", b.URI(name), err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("blob: create %s: %w", b.URI(name), weir.ErrConflict)
	}
	if err != nil {
		return nil, fmt.Errorf("blob: create %s: %w", b.URI(name), err)
	}
	return &Appender{f: f, b: b, name: name}, nil
}

// Write appends.
func (a *Appender) Write(p []byte) (int, error) {
	n, err := a.f.Write(p)
	if err != nil {
		err = fmt.Errorf("blob: write %s: %w", a.b.URI(a.name), err)
	}
	return n, err
}

// Sync makes what was written so far outlive a power cut.
func (a *Appender) Sync() error {
	if err := a.f.Sync(); err != nil {
		return fmt.Errorf("blob: sync %s: %w", a.b.URI(a.name), err)
	}
	return nil
}

// Close ends the object; it stays.
func (a *Appender) Close() error { return a.f.Close() }

// Rename moves an object of a folder bucket and makes the move durable. Repeating a move that was made is no error;
// [weir.ErrNotFound] if neither name is there.
func (b *Bucket) Rename(from, to string) error {
	if b.dir == "" {
		return errors.New("blob: only a folder bucket can rename")
	}
	for _, name := range []string{from, to} {
		if err := ValidName(name); err != nil {
			return err
		}
	}
	source, target := filepath.Join(b.dir, filepath.FromSlash(from)), filepath.Join(b.dir, filepath.FromSlash(to))
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return fmt.Errorf("blob: rename %s: %w", b.URI(from), err)
	}
	err := os.Rename(source, target)
	if errors.Is(err, os.ErrNotExist) {
		if _, serr := os.Stat(target); serr == nil {
			return nil
		}
		return fmt.Errorf("blob: rename %s: %w", b.URI(from), weir.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("blob: rename %s: %w", b.URI(from), err)
	}
	return b.sync(to)
}
