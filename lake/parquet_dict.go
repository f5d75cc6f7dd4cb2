package lake

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// dictionary numbers the distinct values of a column in the order of their first appearance.
type dictionary struct {
	seed  uint64 // of the hash, so that nobody can choose values that collide
	table []dictSlot
	n     int
	bytes []byte // text values as they go into the dictionary page: length and bytes
	offs  []uint32
	words []uint64
}

// dictSlot is one place of the hash table. meta is the upper hash half, the length of a short text and the number + 1; 0 is free. Texts of up to 16 bytes
// are told apart by x and y, their first and last eight bytes, without a look at the values; words by x.
type dictSlot struct{ meta, x, y uint64 }

const (
	dictShort = 16
	dictIDs   = 1<<24 - 1 // numbers fit 24 bits: dictBytes bounds them far below
)

func (d *dictionary) size() int { return len(d.bytes) + 8*len(d.words) }

func (d *dictionary) reset() {
	if d.n > 0 {
		clear(d.table)
	}
	d.n, d.bytes, d.offs, d.words = 0, d.bytes[:0], d.offs[:0], d.words[:0]
}

const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xc2b2ae3d27d4eb4f
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// ends are the first and last bytes of a text of up to 16 bytes; together with the length they are the text.
func ends(b []byte) (x, y uint64) {
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		return uint64(b[0]) | uint64(b[n>>1])<<8 | uint64(b[n-1])<<16, 0
	}
	return 0, 0
}

// hashLong is the hash of a text of more than 16 bytes.
func hashLong(b []byte, seed uint64) uint64 {
	n := len(b)
	h := seed ^ uint64(n)*mixA
	for len(b) > 16 {
		h = mix(binary.LittleEndian.Uint64(b)^h, binary.LittleEndian.Uint64(b[8:])^mixB)
		b = b[16:]
	}
	x, y := ends(b)
	return mix(mix(x^h, y^mixB), seed^mixA)
}

// text is the number of a text value.
func (d *dictionary) text(v []byte) uint32 {
	if len(d.table) == 0 {
		d.table = make([]dictSlot, 512)
	}
	if len(v) > dictShort {
		return d.long(v)
	}
	x, y := ends(v)
	length := uint64(len(v)+1) << 24
	h := mix(x^d.seed^length, y^mixB)
	table := d.table
	want := h&^0xffffffff | length
	for i := h; ; i++ {
		s := &table[i&uint64(len(table)-1)]
		if s.x == x && s.y == y && (s.meta^want)&^dictIDs == 0 {
			return uint32(s.meta&dictIDs) - 1
		}
		if s.meta == 0 {
			*s = dictSlot{want | uint64(d.n+1), x, y}
			return d.addText(v)
		}
	}
}

// long is text for values that a slot cannot hold.
func (d *dictionary) long(v []byte) uint32 {
	h := hashLong(v, d.seed)
	want := h &^ 0xffffffff
	for i := h; ; i++ {
		s := &d.table[i&uint64(len(d.table)-1)]
		if s.meta == 0 {
			*s = dictSlot{meta: want | uint64(d.n+1)}
			return d.addText(v)
		}
		if (s.meta^want)&^dictIDs == 0 {
			if id := uint32(s.meta&dictIDs) - 1; string(d.at(id)) == string(v) {
				return id
			}
		}
	}
}

func (d *dictionary) addText(v []byte) uint32 {
	d.offs = append(d.offs, uint32(len(d.bytes)))
	d.bytes = binary.LittleEndian.AppendUint32(d.bytes, uint32(len(v)))
	d.bytes = append(d.bytes, v...)
	return d.added()
}

// at is text value id.
func (d *dictionary) at(id uint32) []byte {
	o := d.offs[id]
	return d.bytes[o+4 : o+4+binary.LittleEndian.Uint32(d.bytes[o:])]
}

// word is the number of a 64-bit value.
func (d *dictionary) word(v uint64) uint32 {
	if len(d.table) == 0 {
		d.table = make([]dictSlot, 512)
	}
	h := mix(v^d.seed, mixA)
	table := d.table
	for i := h; ; i++ {
		s := &table[i&uint64(len(table)-1)]
		if s.x == v && s.meta != 0 {
			return uint32(s.meta&dictIDs) - 1
		}
		if s.meta == 0 {
			*s = dictSlot{h&^0xffffffff | uint64(d.n+1), v, 0}
			d.words = append(d.words, v)
			return d.added()
		}
	}
}

// added counts a new value and keeps the table at most half full.
func (d *dictionary) added() uint32 {
	d.n++
	if 2*d.n > len(d.table) {
		old := d.table
		d.table = make([]dictSlot, 2*len(old))
		mask := uint64(len(d.table) - 1)
		for k := range old {
			s := &old[k]
			if s.meta == 0 {
				continue
			}
			i := d.hash(s) & mask
			for d.table[i].meta != 0 {
				i = (i + 1) & mask
			}
			d.table[i] = *s
		}
	}
	return uint32(d.n - 1)
}

// hash is the hash of the value in a slot.
func (d *dictionary) hash(s *dictSlot) uint64 {
	length := s.meta & (0xff << 24)
	switch {
	case len(d.words) > 0:
		return mix(s.x^d.seed, mixA)
	case length != 0:
		return mix(s.x^d.seed^length, s.y^mixB)
	}
	return hashLong(d.at(uint32(s.meta&dictIDs)-1), d.seed)
}

// plain hands out the values behind positions: texts with their length in front, or words.
func (d *dictionary) plain(idx []uint32, text func([]byte), words func([]uint64)) {
	for _, id := range idx {
		if len(d.words) > 0 {
			words(d.words[id : id+1])
			continue
		}
		o := d.offs[id]
		text(d.bytes[o : o+4+binary.LittleEndian.Uint32(d.bytes[o:])])
	}
}

// bound adds all values to the bounds.
func (d *dictionary) bound(b *bounds) {
	for id := range d.offs {
		b.text(d.at(uint32(id)))
	}
	b.words(d.words)
}

// bounds are the smallest and largest value of a chunk. Text compares by bytes, which is the order of Unicode.
type bounds struct {
	phys     physical
	has      bool
	lo, hi   uint64 // words, or the first eight bytes of a text
	min, max []byte
}

func (b *bounds) text(v []byte) {
	x := prefix(v)
	if b.has && x > b.lo && x < b.hi {
		return
	}
	if !b.has {
		b.has, b.lo, b.hi = true, x, x
		b.min, b.max = append(b.min[:0], v...), append(b.max[:0], v...)
		return
	}
	if bytes.Compare(v, b.min) < 0 {
		b.min, b.lo = append(b.min[:0], v...), x
	} else if bytes.Compare(v, b.max) > 0 {
		b.max, b.hi = append(b.max[:0], v...), x
	}
}

func prefix(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var x uint64
	for i, c := range v {
		x |= uint64(c) << (56 - 8*i)
	}
	return x
}

func (b *bounds) words(v []uint64) {
	if len(v) == 0 {
		return
	}
	if b.phys == physDouble {
		b.doubles(v)
		return
	}
	if !b.has {
		b.has, b.lo, b.hi = true, v[0], v[0]
	}
	lo, hi := int64(b.lo), int64(b.hi)
	for _, x := range v {
		lo, hi = min(lo, int64(x)), max(hi, int64(x))
	}
	b.lo, b.hi = uint64(lo), uint64(hi)
}

// doubles leaves out NaN, and makes a zero bound -0 below and +0 above, as the format asks for.
func (b *bounds) doubles(v []uint64) {
	lo, hi := math.Float64frombits(b.lo), math.Float64frombits(b.hi)
	if !b.has {
		lo, hi = math.Inf(1), math.Inf(-1)
	}
	for _, w := range v {
		if x := math.Float64frombits(w); x == x {
			b.has = true
			if x < lo {
				lo = x
			}
			if x > hi {
				hi = x
			}
		}
	}
	if lo == 0 {
		lo = math.Copysign(0, -1)
	}
	if hi == 0 {
		hi = 0
	}
	b.lo, b.hi = math.Float64bits(lo), math.Float64bits(hi)
}

// merge widens the bounds by those of another row group.
func (b *bounds) merge(o *bounds) {
	switch {
	case !o.has:
	case b.phys == physBytes:
		b.text(o.min)
		b.text(o.max)
	default:
		b.words([]uint64{o.lo, o.hi})
	}
}

// encode is a bound in Parquet's plain form, which is Iceberg's single-value form too.
func (b *bounds) encode(word uint64, text []byte) []byte {
	switch b.phys {
	case physBytes:
		return text
	case physBoolean:
		return []byte{byte(word)}
	case physInt32:
		return binary.LittleEndian.AppendUint32(nil, uint32(word))
	default:
		return binary.LittleEndian.AppendUint64(nil, word)
	}
}
