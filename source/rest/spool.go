package rest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolBound is how much of a page waits in memory; beyond it a temporary file takes over.
const spoolBound = 8 << 20

// spool holds records, one a line, that wait for the members behind their array: in memory up to a bound, then in an
// unlinked temporary file.
type spool struct {
	dir   string
	bound int // of mem
	mem   []byte
	file  *os.File
}

func (s *spool) used() bool { return len(s.mem) > 0 || s.file != nil }

// add takes a record without line breaks.
func (s *spool) add(raw []byte) error {
	s.mem = append(append(s.mem, raw...), '\n')
	if len(s.mem) < s.bound {
		return nil
	}
	return s.flush()
}

func (s *spool) flush() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "weir-page-*")
		if err != nil {
			return fmt.Errorf("a large page needs a temporary file: %w", err)
		}
		_ = os.Remove(f.Name()) // the open handle keeps it; where that fails, drop removes it
		s.file = f
	}
	if _, err := s.file.Write(s.mem); err != nil {
		return fmt.Errorf("a large page needs temporary space: %w", err)
	}
	s.mem = s.mem[:0]
	return nil
}

// each calls fn with every record in order.
func (s *spool) each(fn func(raw []byte) error) error {
	if s.file == nil {
		return lines(s.mem, fn)
	}
	if err := s.flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.file, windowSize)
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			if len(long) > 0 {
				part = append(long, part...)
				long = part[:0]
			}
			if err := fn(part[:len(part)-1]); err != nil {
				return err
			}
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

func lines(b []byte, fn func([]byte) error) error {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n')
		if err := fn(b[:n]); err != nil {
			return err
		}
		b = b[n+1:]
	}
	return nil
}

// drop forgets everything and gives the file back.
func (s *spool) drop() {
	s.mem = s.mem[:0]
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // already gone where open files can be unlinked
		s.file = nil
	}
}
