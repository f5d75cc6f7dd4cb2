package rest

import (
	"slices"

	"github.com/zeebo/xxh3"
)

// seen remembers positions to find loops with constant memory: the last ones exactly, and one mark that moves at each
// power of two, which any longer cycle meets again.
type seen struct {
	Recent []uint64 `json:"recent,omitempty"`
	Mark   uint64   `json:"mark,omitempty"`
	Count  uint64   `json:"count,omitempty"`
}

const seenRecent = 128

func (s *seen) has(text string) bool {
	h := xxh3.HashString(text)
	return s.Count > 0 && h == s.Mark || slices.Contains(s.Recent, h)
}

func (s *seen) add(text string) {
	h := xxh3.HashString(text)
	if slices.Contains(s.Recent, h) {
		return
	}
	if len(s.Recent) == seenRecent {
		s.Recent = slices.Delete(s.Recent, 0, 1)
	}
	s.Recent = append(s.Recent, h)
	if s.Count++; s.Count&(s.Count-1) == 0 {
		s.Mark = h
	}
}
