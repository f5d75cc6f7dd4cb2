package ingest

import (
	"weir/lake"
)

// piece is a stretch of a part: the records that start in it. to < 0 means to the end of the part.
type piece struct {
	part     int
	from, to int64
}

// unit is what a worker takes at a time: pieces that follow each other. Units are written in order.
type unit struct {
	pieces []piece
	bytes  int64
}

// Sizes of a unit. Large ones make few row groups; towards the end of the work they shrink, so that the workers finish together.
const (
	maxUnit = 128 << 20
	minUnit = 24 << 20
)

// split cuts the parts into units for a number of workers. Parts that can only be read from their start stay whole.
func split(parts []lake.Part, workers int) []unit {
	var left int64
	for _, p := range parts {
		left += p.Bytes
	}
	var units []unit
	cur := unit{}
	want := unitSize(left, workers)
	flush := func() {
		if len(cur.pieces) > 0 {
			units = append(units, cur)
			left -= cur.bytes
			cur = unit{}
			want = unitSize(left, workers)
		}
	}
	for i, p := range parts {
		if p.Compressed() {
			cur.pieces = append(cur.pieces, piece{part: i, to: -1})
			if cur.bytes += p.Bytes; cur.bytes >= want {
				flush()
			}
			continue
		}
		for at := int64(0); at < p.Bytes; {
			n := min(want-cur.bytes, p.Bytes-at)
			if p.Bytes-at-n < minUnit/4 { // no crumbs
				n = p.Bytes - at
			}
			to := at + n
			if to == p.Bytes {
				to = -1
			}
			cur.pieces = append(cur.pieces, piece{part: i, from: at, to: to})
			cur.bytes += n
			at += n
			if cur.bytes >= want {
				flush()
			}
		}
	}
	flush()
	return units
}

func unitSize(left int64, workers int) int64 {
	if workers < 2 {
		return maxUnit
	}
	return min(max(left/int64(2*workers), minUnit), maxUnit)
}
