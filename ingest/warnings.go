package ingest

import (
	"context"
	"strconv"

	"weir/record"
)

// Bounds of the warned rows that a promotion keeps: the first ones, in the order of the records.
const (
	warnedRows  = 1000
	warnedBytes = 4 << 20
	// warnedRecord is the longest record that is kept with its members; of a longer one only the warnings are.
	warnedRecord = 64 << 10
)

// warnedBuffer holds the warned rows of a unit, one JSON line each (data-prep §6.4), until it is the unit's turn: only then are the numbers of its
// records among those of the promotion known.
type warnedBuffer struct {
	on    bool
	text  []byte // the lines, each without its end
	lines []warnedLine
	file  []byte // `,"_filename":"…"}` and the line break
	full  bool   // no further row of this unit has room

	seen int64 // warned rows of the lane before its last scan
	why  []record.RowError
}

// warnedLine is where a line ends in the text, and the number of its record in the unit.
type warnedLine struct {
	end    int
	number int64
	file   []byte
}

// add appends the warned rows of the lane's last scan, whose first record has the given number in the unit.
func (b *warnedBuffer) add(lane Lane, buf []byte, first int64) {
	number, from, to := int64(0), -1, 0
	b.why = b.why[:0]
	lane.Nullified(func(n, off, end int, why record.RowError) bool {
		if off != from {
			b.row(buf, from, to, number)
			number, from, to = first+int64(n), off, end
		}
		b.why = append(b.why, why)
		return !b.full
	})
	b.row(buf, from, to, number)
}

// row appends the line of a row from the warnings collected for it.
func (b *warnedBuffer) row(buf []byte, from, to int, number int64) {
	if len(b.why) == 0 || b.full {
		return
	}
	at := len(b.text)
	if to-from > warnedRecord {
		b.text = append(b.text, '{')
	} else {
		b.text = appendOpen(b.text, buf[from:to])
	}
	b.text = appendErrors(b.text, b.why)
	b.why = b.why[:0]
	if len(b.text) > warnedBytes || len(b.lines) == warnedRows {
		b.text, b.full = b.text[:at], true
		return
	}
	b.lines = append(b.lines, warnedLine{end: len(b.text), number: number, file: b.file})
}

// name is the file of the rows to come.
func (b *warnedBuffer) name(file string) {
	b.file = append([]byte(`,"_filename":`), record.AppendQuoted(nil, file)...)
	b.file = append(b.file, "}\n"...)
}

// warnedFile is meta/<batch>/row_warnings/conversion_warnings_0.json in the making: it is small enough to wait in memory. It is used by one unit
// at a time, the one whose turn it is.
type warnedFile struct {
	text []byte
	rows int64
	full bool
}

// take moves the lines of a unit over. before is the number of records before the unit; the first record of a promotion has number 1.
func (f *warnedFile) take(b *warnedBuffer, before int64) {
	at := 0
	for _, l := range b.lines {
		line := b.text[at:l.end]
		at = l.end
		if f.rows == warnedRows || len(f.text)+len(line) > warnedBytes {
			f.full = true
			break
		}
		f.text = append(f.text, line...)
		f.text = append(f.text, `,"_row":`...)
		f.text = strconv.AppendInt(f.text, before+l.number+1, 10)
		f.text = append(f.text, l.file...)
		f.rows++
	}
	f.full = f.full || b.full
	b.text, b.lines, b.full = b.text[:0], b.lines[:0], false
}

// save writes the file, if there is a row in it.
func (f *warnedFile) save(ctx context.Context, job *Job) error {
	if f.rows == 0 {
		return nil
	}
	return job.Lake.Bucket().Write(ctx, "meta/"+job.Batch+"/row_warnings/conversion_warnings_0.json", f.text)
}
