package flow

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// keySort sorts lines with bounded memory: what does not fit is sorted and set aside in temporary files, which are merged when they are read.
// A line is a key, a tab, and what belongs to the key; of several lines with one key the first in the order of the text comes out.
type keySort struct {
	bound int // bytes in memory
	buf   []byte
	lines [][2]int
	runs  []*os.File
}

// keyBound is the memory of one sort.
const keyBound = 32 << 20

// add takes a line without its line break.
func (k *keySort) add(line ...[]byte) error {
	start := len(k.buf)
	for _, part := range line {
		k.buf = append(k.buf, part...)
	}
	k.lines = append(k.lines, [2]int{start, len(k.buf)})
	if len(k.buf)+16*len(k.lines) < k.bound {
		return nil
	}
	return k.spill()
}

func (k *keySort) line(i int) []byte { return k.buf[k.lines[i][0]:k.lines[i][1]] }

// sorted brings the lines in memory into order.
func (k *keySort) sorted() {
	slices.SortFunc(k.lines, func(a, b [2]int) int { return bytes.Compare(k.buf[a[0]:a[1]], k.buf[b[0]:b[1]]) })
}

// spill sets aside what is in memory.
func (k *keySort) spill() error {
	f, err := os.CreateTemp("", "weir-keys-*")
	if err != nil {
		return fmt.Errorf("sort keys: %w", err)
	}
	k.runs = append(k.runs, f)
	_ = os.Remove(f.Name()) // it goes with its last handle; where that is not possible, close removes it
	k.sorted()
	w := bufio.NewWriterSize(f, 256<<10)
	for i := range k.lines {
		_, _ = w.Write(k.line(i)) // Flush has the error
		_ = w.WriteByte('\n')
	}
	k.buf, k.lines = k.buf[:0], k.lines[:0]
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort keys: %w", err)
	}
	return nil
}

// close gives the temporary files back.
func (k *keySort) close() {
	for _, f := range k.runs {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	k.runs = nil
}

// streams are the sorted runs, to be merged.
func (k *keySort) streams() ([]*keyStream, error) {
	k.sorted()
	i := 0
	out := []*keyStream{{next: func() ([]byte, error) {
		if i == len(k.lines) {
			return nil, io.EOF
		}
		i++
		return k.line(i - 1), nil
	}}}
	for _, f := range k.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("sort keys: %w", err)
		}
		out = append(out, lineStream(f))
	}
	return out, nil
}

// bufferedLines gives the lines of a stage part, whatever their length; a line is valid until the next one.
func bufferedLines(r io.Reader) func() ([]byte, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	var long []byte
	return func() ([]byte, error) {
		long = long[:0]
		for {
			line, err := in.ReadSlice('\n')
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				long = append(long, line...)
				continue
			case err != nil && (len(line)+len(long) == 0 || !errors.Is(err, io.EOF)):
				return nil, err
			case len(long) > 0:
				line = append(long, line...)
				long = line
			}
			return bytes.TrimSuffix(line, []byte{'\n'}), nil
		}
	}
}

// keyStream gives sorted lines; they are valid until the next one.
type keyStream struct {
	next func() ([]byte, error) // io.EOF at the end
	line []byte
}

// maxKeyLine bounds one line.
const maxKeyLine = 1 << 20

func lineStream(r io.Reader) *keyStream {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxKeyLine)
	return &keyStream{next: func() ([]byte, error) {
		if in.Scan() {
			return in.Bytes(), nil
		}
		if err := in.Err(); err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		return nil, io.EOF
	}}
}

// merged is a heap of streams by their line.
type mergedKeys []*keyStream

func (m mergedKeys) Len() int           { return len(m) }
func (m mergedKeys) Less(i, j int) bool { return bytes.Compare(m[i].line, m[j].line) < 0 }
func (m mergedKeys) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Push is for package heap.
func (m *mergedKeys) Push(x any) {
	if s, ok := x.(*keyStream); ok {
		*m = append(*m, s)
	}
}

// Pop is for package heap.
func (m *mergedKeys) Pop() any {
	old := *m
	s := old[len(old)-1]
	*m = old[:len(old)-1]
	return s
}

// mergeKeys makes one stream of many, one line for each key.
func mergeKeys(streams []*keyStream) (*keyStream, error) {
	m := mergedKeys{}
	for _, s := range streams {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.line = line
		m = append(m, s)
	}
	heap.Init(&m)
	var last, out []byte
	begun := false
	return &keyStream{next: func() ([]byte, error) {
		for len(m) > 0 {
			out = append(out[:0], m[0].line...)
			line, err := m[0].next()
			switch {
			case errors.Is(err, io.EOF):
				heap.Pop(&m)
			case err != nil:
				return nil, err
			default:
				m[0].line = line
				heap.Fix(&m, 0)
			}
			if key := keyOf(out); !begun || !bytes.Equal(key, last) {
				begun, last = true, append(last[:0], key...)
				return out, nil
			}
		}
		return nil, io.EOF
	}}, nil
}

// keyOf is the key of a line.
func keyOf(line []byte) []byte {
	key, _, _ := bytes.Cut(line, []byte{'\t'})
	return key
}

// commonKeys gives the lines of all whose key is in now.
func commonKeys(all, now *keyStream) *keyStream {
	b, berr := now.next()
	return &keyStream{next: func() ([]byte, error) {
		for {
			a, err := all.next()
			if err != nil {
				return nil, err
			}
			for berr == nil && bytes.Compare(keyOf(b), keyOf(a)) < 0 {
				b, berr = now.next()
			}
			switch {
			case berr != nil:
				return nil, berr
			case bytes.Equal(keyOf(b), keyOf(a)):
				return a, nil
			}
		}
	}}
}

// missingKeys calls gone with each line of known whose key is not in now.
func missingKeys(known, now *keyStream, gone func(line []byte) error) error {
	b, berr := now.next()
	for {
		a, err := known.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for berr == nil && bytes.Compare(keyOf(b), keyOf(a)) < 0 {
			b, berr = now.next()
		}
		switch {
		case berr != nil && !errors.Is(berr, io.EOF):
			return berr
		case berr == nil && bytes.Equal(keyOf(b), keyOf(a)):
			continue
		}
		if err := gone(a); err != nil {
			return err
		}
	}
}
