package lake

import (
	"encoding/binary"
	"math/bits"

	"weir/record"
)

// levels are definition or repetition levels of a page. As long as all are equal only their number is kept.
type levels struct {
	n   int
	one uint8
	all []uint8 // empty while every level is one
}

func (l *levels) reset() { l.n, l.all = 0, l.all[:0] }

// run adds n times level v.
func (l *levels) run(v uint8, n int) {
	if n == 0 {
		return
	}
	if len(l.all) == 0 {
		if l.n == 0 {
			l.one = v
		}
		if l.one == v {
			l.n += n
			return
		}
		l.spell()
	}
	for range n {
		l.all = append(l.all, v)
	}
	l.n += n
}

// add adds the levels v.
func (l *levels) add(v []uint8) {
	if len(l.all) == 0 {
		if same(v) {
			if len(v) > 0 {
				l.run(v[0], len(v))
			}
			return
		}
		l.spell()
	}
	l.all = append(l.all, v...)
	l.n += len(v)
}

func (l *levels) spell() {
	for range l.n {
		l.all = append(l.all, l.one)
	}
}

func same(v []uint8) bool {
	for _, x := range v {
		if x != v[0] {
			return false
		}
	}
	return true
}

// appendTo appends the levels as a version 1 page has them: length, then the RLE/bit-packing hybrid of width bits.Len8(limit).
func (l *levels) appendTo(dst []byte, limit uint8) []byte {
	if limit == 0 {
		return dst
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if len(l.all) == 0 {
		dst = binary.AppendUvarint(dst, uint64(l.n)<<1)
		dst = append(dst, l.one)
	} else {
		dst = hybridLevels(dst, l.all, bits.Len8(limit))
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// hybridLevels writes stretches of 32 and more equal levels as runs and what is between them bit-packed.
func hybridLevels(dst []byte, v []uint8, width int) []byte {
	const long = 32
	packed := 0 // v[packed:i] is not written yet; its length is a multiple of 8 whenever a run follows
	for i := 0; i < len(v); {
		if len(v)-i < long {
			break
		}
		n := 1
		for i+n < len(v) && v[i+n] == v[i] {
			n++
		}
		if n < long {
			i += (n + 7) &^ 7
			continue
		}
		dst = packLevels(dst, v[packed:i], width)
		dst = binary.AppendUvarint(dst, uint64(n)<<1)
		dst = append(dst, v[i])
		i += n
		packed = i
	}
	return packLevels(dst, v[packed:], width)
}

// packLevels bit-packs v, padded to whole groups of eight.
func packLevels(dst []byte, v []uint8, width int) []byte {
	if len(v) == 0 {
		return dst
	}
	groups := (len(v) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	for ; len(v) >= 8; v = v[8:] {
		x := binary.LittleEndian.Uint64(v)
		if width == 1 {
			dst = append(dst, byte(x*0x0102040810204080>>56))
			continue
		}
		dst = packGroup(dst, x, width)
	}
	if len(v) > 0 {
		var last [8]byte
		copy(last[:], v)
		dst = packGroup(dst, binary.LittleEndian.Uint64(last[:]), width)
	}
	return dst
}

// packGroup packs the eight bytes of x to width bits each.
func packGroup(dst []byte, x uint64, width int) []byte {
	var acc uint64
	for k := range 8 {
		acc |= (x >> (8 * k) & 0xff) << (k * width)
	}
	for k := range width {
		dst = append(dst, byte(acc>>(8*k)))
	}
	return dst
}

// packIndexes writes dictionary positions as one hybrid stream of the given width.
func packIndexes(dst []byte, v []uint32, width int) []byte {
	equal := true
	for _, x := range v {
		if x != v[0] {
			equal = false
			break
		}
	}
	if equal {
		dst = binary.AppendUvarint(dst, uint64(len(v))<<1)
		for i := 0; i < width && len(v) > 0; i += 8 {
			dst = append(dst, byte(v[0]>>i))
		}
		return dst
	}
	groups := (len(v) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	var acc uint64
	n, done := 0, 0
	for _, x := range v {
		acc |= uint64(x) << n
		if n += width; n >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc >>= 32
			n -= 32
			done += 32
		}
	}
	for ; done < groups*width*8; done += 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// frame is what a column sees of its ancestors in one batch: a slot for every place where it has a value or a null.
type frame struct {
	n    int
	rows []int32 // row of the column's level in each slot, nil: slot i is row i; not defined where an ancestor is missing
	full uint8   // definition level of a slot whose ancestors are all there
	def  []uint8 // nil: full everywhere
	rep  []uint8 // nil: 0 everywhere
}

func (f *frame) row(i int) int {
	if f.rows == nil {
		return i
	}
	return int(f.rows[i])
}

// inStruct is the frame of the members of a struct column.
func (f *frame) inStruct(c *record.Column, buf *frame) {
	buf.n, buf.rows, buf.rep, buf.full = f.n, f.rows, f.rep, f.full+1
	if f.def == nil && (c.Valid == nil || f.all(c.Valid)) {
		buf.def = nil
		return
	}
	def := grow(buf.def, f.n)
	for i := range def {
		switch {
		case f.def != nil && f.def[i] != f.full:
			def[i] = f.def[i]
		case c.Valid != nil && c.Valid[f.row(i)] == 0:
			def[i] = f.full
		default:
			def[i] = f.full + 1
		}
	}
	buf.def = def
}

func (f *frame) all(valid []uint8) bool {
	for i := range f.n {
		if valid[f.row(i)] == 0 {
			return false
		}
	}
	return true
}

// inList is the frame of the elements of a list or map column whose elements repeat at level rep.
func (f *frame) inList(c *record.Column, rep uint8, buf *frame) {
	rows, def, reps := buf.rows[:0], buf.def[:0], buf.rep[:0]
	for i := range f.n {
		first := uint8(0)
		if f.rep != nil {
			first = f.rep[i]
		}
		if f.def != nil && f.def[i] != f.full {
			rows, def, reps = append(rows, -1), append(def, f.def[i]), append(reps, first)
			continue
		}
		r := f.row(i)
		if c.Valid != nil && c.Valid[r] == 0 {
			rows, def, reps = append(rows, -1), append(def, f.full), append(reps, first)
			continue
		}
		a, b := c.Start[r], c.Start[r+1]
		if a == b {
			rows, def, reps = append(rows, -1), append(def, f.full+1), append(reps, first)
		}
		for k := a; k < b; k++ {
			rows, def, reps = append(rows, int32(k)), append(def, f.full+2), append(reps, first)
			first = rep
		}
	}
	*buf = frame{n: len(rows), rows: rows, full: f.full + 2, def: def, rep: reps}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}
