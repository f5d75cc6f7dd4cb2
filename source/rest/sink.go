package rest

import (
	"github.com/zeebo/xxh3"

	"weir"
)

const (
	segmentSize = 1 << 20 // about the size of a chunk
	holdSize    = 4 << 20 // what of a page is held back so that a broken answer can be fetched again unseen
)

// segment is a run of whole records.
type segment struct {
	end     int // in sink.buf
	records int
	hash    uint64
}

// sink collects the records of one page as NDJSON and hands them on in segments. Nothing of a page up to holdSize is
// handed on before the page is whole. Of a larger page segments go out early; when such a page has to be fetched again,
// the segments that went out are compared by hash and left out, so that nothing comes twice.
type sink struct {
	buf     []byte
	segs    []segment
	start   int // of the open segment
	records int // in the open segment
	total   int // records of this attempt
	sent    []uint64
	at      int // segments of this attempt handed on or left out
	sum     uint64
	emit    func(data []byte, records int) error
}

// reset starts another attempt at the same page; next starts a new page.
func (s *sink) reset() {
	s.buf, s.segs = s.buf[:0], s.segs[:0]
	s.start, s.records, s.total, s.at, s.sum = 0, 0, 0, 0, 0
}

func (s *sink) next() {
	s.reset()
	s.sent = s.sent[:0]
}

// put adds a record, given in parts without line breaks.
func (s *sink) put(pre, rec, post []byte) error {
	s.buf = append(append(append(append(s.buf, pre...), rec...), post...), '\n')
	s.records++
	s.total++
	if len(s.buf)-s.start < segmentSize {
		return nil
	}
	s.close()
	if len(s.buf) < holdSize {
		return nil
	}
	for len(s.segs) > 0 {
		if err := s.pass(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the open segment.
func (s *sink) close() {
	if s.records == 0 {
		return
	}
	h := xxh3.Hash(s.buf[s.start:])
	s.sum = s.sum*0x9E3779B97F4A7C15 + h
	s.segs = append(s.segs, segment{len(s.buf), s.records, h})
	s.start, s.records = len(s.buf), 0
}

// pass hands on the first closed segment.
func (s *sink) pass() error {
	seg := s.segs[0]
	var err error
	if s.at < len(s.sent) {
		if s.sent[s.at] != seg.hash {
			return weir.Errorf("CONNECTOR-1308-400", "the answer broke off, and on another try the source gave different records for the same page")
		}
	} else {
		s.sent = append(s.sent, seg.hash)
		err = s.emit(s.buf[:seg.end], seg.records)
	}
	s.at++
	s.drop(seg.end)
	return err
}

// drop forgets the first n bytes and their segment.
func (s *sink) drop(n int) {
	rest := copy(s.buf, s.buf[n:])
	s.buf = s.buf[:rest]
	s.segs = s.segs[:copy(s.segs, s.segs[1:])]
	for i := range s.segs {
		s.segs[i].end -= n
	}
	s.start -= n
}

// finish hands on all but the last segment and returns that one; the page is whole.
func (s *sink) finish() (data []byte, records int, err error) {
	s.close()
	for len(s.segs) > 1 {
		if err := s.pass(); err != nil {
			return nil, 0, err
		}
	}
	if len(s.segs) == 0 || s.at < len(s.sent) {
		return nil, 0, nil
	}
	return s.buf[:s.segs[0].end], s.segs[0].records, nil
}
