package rest

import (
	"sync"

	"github.com/zeebo/xxh3"

	"weir"
)

const (
	segmentSize = 1 << 20 // about the size of a chunk
	holdCount   = 4       // segments of a page held back so that a broken answer can be fetched again unseen
)

// segment is a run of whole records as NDJSON.
type segment struct {
	data    []byte
	records int
	hash    uint64
}

// sink collects the records of one page in segments and hands them on. Nothing of a page up to holdCount segments is
// handed on before the page is whole. Of a larger page segments go out early; when such a page has to be fetched again,
// the segments that went out are compared by hash and left out, so that nothing comes twice.
type sink struct {
	open  segment
	held  []segment // closed, not handed on yet
	free  [][]byte
	pool  *bufferPool // where buffers come from; may be nil
	sent  []uint64    // hashes of the segments handed on
	at    int         // segments of this attempt handed on or left out
	sum   uint64      // of the records of this attempt, once closed
	total int         // records of this attempt
	emit  func(data []byte, records int) error
}

// reset starts another attempt at the same page; next starts a new page.
func (s *sink) reset() {
	for _, seg := range s.held {
		s.free = append(s.free, seg.data[:0])
	}
	s.held = s.held[:0]
	s.open.data, s.open.records = s.open.data[:0], 0
	s.at, s.sum, s.total = 0, 0, 0
}

func (s *sink) next() {
	s.reset()
	s.sent = s.sent[:0]
}

// put adds a record, given in parts without line breaks.
func (s *sink) put(pre, rec, post []byte) error {
	if s.open.data == nil {
		s.open.data = s.buffer()
	}
	b := s.open.data
	if len(pre) > 0 {
		b = append(b, pre...)
	}
	b = append(b, rec...)
	if len(post) > 0 {
		b = append(b, post...)
	}
	s.open.data = append(b, '\n')
	s.open.records++
	s.total++
	if len(s.open.data) < segmentSize {
		return nil
	}
	s.close()
	if len(s.held) < holdCount && len(s.sent) <= s.at { // what went out before is compared at once
		return nil
	}
	for len(s.held) > 0 {
		if err := s.pass(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the open segment.
func (s *sink) close() {
	if s.open.records == 0 {
		return
	}
	s.open.hash = xxh3.Hash(s.open.data)
	s.sum = s.sum*0x9E3779B97F4A7C15 + s.open.hash
	s.held = append(s.held, s.open)
	s.open = segment{}
}

// pass hands on the first closed segment.
func (s *sink) pass() error {
	seg := s.held[0]
	s.held = s.held[:copy(s.held, s.held[1:])]
	s.free = append(s.free, seg.data[:0])
	s.at++
	if s.at <= len(s.sent) {
		if s.sent[s.at-1] != seg.hash {
			return weir.Errorf("CONNECTOR-1308-400", "the answer broke off, and on another try the source gave different records for the same page")
		}
		return nil
	}
	s.sent = append(s.sent, seg.hash)
	return s.emit(seg.data, seg.records)
}

// finish hands on all but the last segment and returns that one, valid until the next page; the page is whole.
func (s *sink) finish() (data []byte, records int, err error) {
	s.close()
	for len(s.held) > 1 {
		if err := s.pass(); err != nil {
			return nil, 0, err
		}
	}
	if len(s.held) == 0 {
		return nil, 0, nil
	}
	if s.at < len(s.sent) {
		return nil, 0, s.pass()
	}
	return s.held[0].data, s.held[0].records, nil
}

func (s *sink) buffer() []byte {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return s.pool.get(0)
}

// release gives the buffers back.
func (s *sink) release() {
	s.reset()
	for _, b := range append(s.free, s.open.data) {
		s.pool.put(b)
	}
	s.free, s.open = nil, segment{}
}

// bufferPool lends buffers.
type bufferPool struct{ pool sync.Pool }

// get returns an empty buffer; a new one has the given capacity.
func (p *bufferPool) get(size int) []byte {
	if p != nil {
		if b, ok := p.pool.Get().(*[]byte); ok {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, size)
}

// put takes a buffer back. One that grew far beyond the usual is left to the collector.
func (p *bufferPool) put(b []byte) {
	if p != nil && cap(b) > 0 && cap(b) <= 2*segmentSize {
		p.pool.Put(&b)
	}
}
