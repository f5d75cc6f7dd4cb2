package record

import (
	"bytes"
	"errors"
	"io"
)

// Lines reads NDJSON as windows of whole lines in one reused buffer. Memory is bounded by the window size or by the longest line, whichever is
// larger; a line longer than [MaxRecord] is cut (the scan then finds it malformed) and its rest is dropped.
type Lines struct {
	r     io.Reader
	buf   []byte
	size  int
	from  int   // first byte not handed out yet
	have  int   // bytes in buf
	base  int64 // offset of buf[0] in the source
	limit int64 // lines that start at or after it belong to somebody else; < 0: none
	eof   bool
	drop  bool // drop up to the next line break first
	err   error
}

// NewLines reads all lines of r in windows of about size bytes.
func NewLines(r io.Reader, size int) *Lines {
	return &Lines{r: r, size: max(size, 4096), limit: -1}
}

// Reset makes l read another source with the buffer it has. r starts at offset base of the source; if partial is set, the first line is somebody
// else's and is dropped; limit ends the range: lines that start at or after that offset are not read (-1: no limit). To split a source into ranges
// that share nothing and miss nothing, read range [a, b) of it with r at a-1, base a-1, partial set (for a > 0) and limit b.
func (l *Lines) Reset(r io.Reader, base int64, partial bool, limit int64) {
	l.r, l.base, l.limit, l.drop = r, base, limit, partial
	l.from, l.have, l.eof, l.err = 0, 0, false, nil
}

// Base is the offset in the source of the first byte of the buffer that Next returned.
func (l *Lines) Base() int64 { return l.base }

// Adopt takes the buffer a batch grew, so that the next window has room for as much made text.
func (l *Lines) Adopt(buf []byte) {
	if cap(buf) > cap(l.buf) {
		l.buf = buf[:cap(buf)]
	}
}

// Next returns the next window: lines lie in buf[p:end], and buf ends [Pad] zero bytes after all that was read. It returns io.EOF after the last.
// The buffer is valid until the next call.
func (l *Lines) Next() (buf []byte, p, end int, err error) {
	for {
		if l.err != nil {
			return nil, 0, 0, l.err
		}
		l.fill()
		if l.drop {
			k := bytes.IndexByte(l.buf[l.from:l.have], '\n')
			if k < 0 {
				l.from = l.have
				if l.eof {
					return nil, 0, 0, l.finish()
				}
				continue
			}
			l.from += k + 1
			l.drop = false
		}
		p, end = l.from, l.lineEnd()
		if l.limit >= 0 && l.base+int64(p) >= l.limit {
			return nil, 0, 0, l.finish()
		}
		if end > p {
			l.from = end
			clear(l.buf[l.have : l.have+Pad])
			return l.buf[:l.have+Pad], p, end, nil
		}
		if l.eof {
			return nil, 0, 0, l.finish()
		}
	}
}

func (l *Lines) finish() error {
	if l.err == nil {
		l.err = io.EOF
	}
	return l.err
}

// lineEnd is the end of the last whole line that may be handed out.
func (l *Lines) lineEnd() int {
	part := l.buf[l.from:l.have]
	end := len(part)
	if !l.eof {
		end = bytes.LastIndexByte(part, '\n') + 1
		if end == 0 && len(part) > MaxRecord {
			l.drop = true
			end = len(part)
		}
	}
	if l.limit >= 0 {
		// The last line of the range is the one that holds the byte before the limit.
		if last := l.limit - 1 - l.base - int64(l.from); last >= 0 && last < int64(end) {
			if k := bytes.IndexByte(part[last:end], '\n'); k >= 0 {
				end = int(last) + k + 1
			}
		}
	}
	return l.from + end
}

// fill moves the rest to the front and reads until the window is full, growing the buffer if one line fills it.
func (l *Lines) fill() {
	rest := l.have - l.from
	want := l.size
	if rest > want/2 {
		want = min(2*rest+l.size, MaxRecord+l.size)
	}
	if len(l.buf) < want+2*Pad {
		grown := make([]byte, want+want/2+2*Pad)
		copy(grown, l.buf[l.from:l.have])
		l.buf = grown
	} else {
		copy(l.buf, l.buf[l.from:l.have])
	}
	l.base += int64(l.from)
	l.from, l.have = 0, rest
	for l.have < want && !l.eof {
		n, err := l.r.Read(l.buf[l.have:want])
		l.have += n
		if err != nil {
			l.eof = true
			if !errors.Is(err, io.EOF) {
				l.err = err
			}
		}
	}
}
