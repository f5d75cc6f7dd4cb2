package lake

import (
	"encoding/binary"
	"math/bits"

	"weir/record"
)

// physical is a Parquet physical type.
type physical int32

const (
	physBoolean physical = 0
	physInt32   physical = 1
	physInt64   physical = 2
	physDouble  physical = 5
	physBytes   physical = 6
)

// A page is cut after the batch that fills it, by values or by plain bytes. A dictionary that grows beyond dictBytes is given up for
// the rest of its row group.
const (
	pageValues = 64 << 10
	pageBytes  = 512 << 10
	dictBytes  = 1 << 20
)

// Parquet encodings.
const (
	encPlain   = 0
	encRLE     = 3
	encRLEDict = 8
)

// column encodes one leaf over one row group at a time: values are appended, pages are compressed as they fill. Whether a
// dictionary pays is decided on the first page and remembered for later row groups.
type column struct {
	field          *record.Field
	path           []string
	phys           physical
	maxDef, maxRep uint8

	def, rep levels
	texts    []record.Span // values of the batch at hand, nulls left out
	words    []uint64

	// Values of the page at hand: positions in the dictionary, or plain bytes (of booleans: one byte each).
	idx   []uint32
	plain []byte
	raw   int // how long idx would be if it were plain

	plan   dictPlan
	dict   dictionary
	noDict bool // from here on this row group is plain
	way    pressWay
	groups int // finished row groups
	chunk  chunk
}

type dictPlan uint8

const (
	dictUnknown dictPlan = iota
	dictPays
	dictNever
)

// chunk is what a row group has of a column.
type chunk struct {
	pages           [][]byte // data pages
	size            int      // of the data pages
	dict            []byte   // dictionary page
	values, nulls   int64
	raw             int64 // uncompressed size of all pages
	hasDict, hasRaw bool  // encodings of the data pages
	stats           bounds
}

func newColumn(f *record.Field, path []string, maxDef, maxRep uint8, seed uint64) *column {
	c := &column{field: f, path: path, maxDef: maxDef, maxRep: maxRep}
	switch f.Type {
	case record.Boolean:
		c.phys, c.plan = physBoolean, dictNever
	case record.Date:
		c.phys = physInt32
	case record.Number:
		c.phys = physDouble
	case record.String:
		c.phys = physBytes
	default:
		c.phys = physInt64
	}
	c.dict.seed = seed
	c.chunk.stats.phys = c.phys
	c.noDict = c.plan == dictNever
	return c
}

// nulls adds a null for every slot of the frame.
func (c *column) nulls(f *frame) {
	if f.def != nil {
		c.def.add(f.def[:f.n])
	} else {
		c.def.run(f.full, f.n)
	}
	c.chunk.nulls += int64(f.n)
	c.repeat(f)
}

func (c *column) repeat(f *frame) {
	switch {
	case c.maxRep == 0:
	case f.rep != nil:
		c.rep.add(f.rep[:f.n])
	default:
		c.rep.run(0, f.n)
	}
}

// append adds a column of a batch whose text lies in buf.
func (c *column) append(col *record.Column, f *frame, buf []byte) {
	switch {
	case col.None:
		c.nulls(f)
		return
	case c.phys == physBytes:
		c.gatherTexts(col.Text, f)
		if c.noDict {
			c.plainTexts(buf)
		} else {
			c.dictTexts(buf)
		}
	default:
		c.gatherWords(col.Words, col.Valid, f)
		switch {
		case c.phys == physBoolean:
			for _, v := range c.words {
				c.plain = append(c.plain, byte(v))
			}
			c.chunk.stats.words(c.words)
		case c.noDict:
			c.plainWords(c.words)
			c.chunk.stats.words(c.words)
		default:
			c.dictWords()
		}
	}
	c.repeat(f)
}

// gatherTexts takes the values of a frame out of a text column and notes the levels.
func (c *column) gatherTexts(text []record.Span, f *frame) {
	out := c.texts[:0]
	run := 0
	for i := range f.n {
		level := f.full
		if f.def != nil {
			level = f.def[i]
		}
		if level == f.full {
			if s := text[f.row(i)]; s != 0 {
				out = append(out, s)
				run++
				continue
			}
		}
		c.def.run(c.maxDef, run)
		c.def.run(level, 1)
		run = 0
	}
	c.def.run(c.maxDef, run)
	c.chunk.nulls += int64(f.n - len(out))
	c.texts = out
}

// gatherWords is gatherTexts for the other leaves.
func (c *column) gatherWords(words []uint64, valid []uint8, f *frame) {
	if f.def == nil && f.rows == nil && valid == nil {
		c.words = append(c.words[:0], words[:f.n]...)
		c.def.run(c.maxDef, f.n)
		return
	}
	out := c.words[:0]
	run := 0
	for i := range f.n {
		level := f.full
		if f.def != nil {
			level = f.def[i]
		}
		if level == f.full {
			if r := f.row(i); valid == nil || valid[r] != 0 {
				out = append(out, words[r])
				run++
				continue
			}
		}
		c.def.run(c.maxDef, run)
		c.def.run(level, 1)
		run = 0
	}
	c.def.run(c.maxDef, run)
	c.chunk.nulls += int64(f.n - len(out))
	c.words = out
}

// pageRoom is what a page's buffer is made for: a full one and the batch that fills it.
const pageRoom = pageBytes + 64<<10

func (c *column) plainTexts(buf []byte) {
	p := c.plain
	if p == nil {
		p = make([]byte, 0, pageRoom)
	}
	st := &c.chunk.stats
	for _, s := range c.texts {
		v := s.In(buf)
		p = binary.LittleEndian.AppendUint32(p, uint32(len(v)))
		p = append(p, v...)
		st.text(v)
	}
	c.plain = p
}

func (c *column) dictTexts(buf []byte) {
	idx := c.idx
	for _, s := range c.texts {
		v := s.In(buf)
		c.raw += 4 + len(v)
		idx = append(idx, c.dict.text(v))
	}
	c.idx = idx
}

func (c *column) plainWords(words []uint64) {
	p := c.plain
	if p == nil {
		p = make([]byte, 0, pageRoom)
	}
	if c.phys == physInt32 {
		for _, v := range words {
			p = binary.LittleEndian.AppendUint32(p, uint32(v))
		}
	} else {
		for _, v := range words {
			p = binary.LittleEndian.AppendUint64(p, v)
		}
	}
	c.plain = p
}

func (c *column) dictWords() {
	c.raw += 8 * len(c.words)
	for _, v := range c.words {
		c.idx = append(c.idx, c.dict.word(v))
	}
}

// full reports whether the page at hand is large enough.
func (c *column) full() bool {
	return c.def.n >= pageValues || len(c.plain) >= pageBytes || len(c.dict.bytes) > dictBytes || c.plan == dictUnknown && c.raw >= pageBytes
}

// cut ends the page at hand.
func (c *column) cut(p *press) {
	if c.def.n == 0 {
		return
	}
	c.decide()
	s := c.rep.appendTo(p.body[:0], c.maxRep)
	s = c.def.appendTo(s, c.maxDef)
	enc := int32(encPlain)
	switch {
	case c.phys == physBoolean:
		s = packBits(s, c.plain)
		c.chunk.hasRaw = true
	case c.noDict:
		s = append(s, c.plain...)
		c.chunk.hasRaw = true
	default:
		enc = encRLEDict
		c.chunk.hasDict = true
		width := bits.Len(uint(max(c.dict.n-1, 0)))
		s = packIndexes(append(s, byte(width)), c.idx, width)
	}
	p.body = s
	h := pageHeader{values: int32(c.def.n), encoding: enc}
	page := c.page(p, s, h)
	c.chunk.pages = append(c.chunk.pages, page)
	c.chunk.size += len(page)
	c.chunk.values += int64(c.def.n)
	c.def.reset()
	c.rep.reset()
	c.idx, c.plain, c.raw = c.idx[:0], c.plain[:0], 0
}

// decide settles after the first page of a column whether a dictionary pays, and gives up one that grew too large.
func (c *column) decide() {
	if c.noDict {
		return
	}
	size := c.dict.size()
	if c.plan == dictUnknown && len(c.idx) > 256 {
		c.plan = dictPays
		if size*10 > c.raw*6 {
			c.plan = dictNever
		}
	}
	if c.plan != dictNever && size <= dictBytes {
		return
	}
	c.noDict = true
	c.dict.plain(c.idx, func(text []byte) { c.plain = append(c.plain, text...) }, func(words []uint64) { c.plainWords(words) })
	c.idx = c.idx[:0]
	if !c.chunk.hasDict {
		c.dict.bound(&c.chunk.stats)
		c.dict = dictionary{seed: c.dict.seed}
	}
}

// finish ends the chunk and returns it; the column is ready for the next row group.
func (c *column) finish(p *press) chunk {
	c.cut(p)
	if c.chunk.hasDict {
		c.dict.bound(&c.chunk.stats)
		body := c.dict.bytes
		if c.phys != physBytes {
			keep := c.plain
			c.plain = c.plain[:0]
			c.plainWords(c.dict.words)
			body, c.plain = c.plain, keep[:0]
		}
		c.chunk.dict = c.page(p, body, pageHeader{dict: true, values: int32(c.dict.n)})
	}
	done := c.chunk
	c.chunk = chunk{stats: bounds{phys: c.phys}}
	c.dict.reset()
	c.noDict = c.plan == dictNever
	if c.groups++; c.groups%tryGroups == 0 {
		c.way = pressTry
	}
	return done
}

// size is about how much memory the chunk holds.
func (c *column) size() int { return c.chunk.size + len(c.plain) + 4*len(c.idx) + c.dict.size() }

type pageHeader struct {
	dict     bool
	values   int32
	encoding int32
}

// page is a compressed page behind its header.
func (c *column) page(p *press, body []byte, h pageHeader) []byte {
	way := pressSearch // a dictionary is mostly text
	if !h.dict {
		way = c.way
	}
	out := p.compress(body, &way)
	if !h.dict {
		c.way = way
	}
	t := compact{b: make([]byte, 0, len(out)+64)}
	kind, member := int32(0), int16(5)
	if h.dict {
		kind, member = 2, 7
	}
	t.i32(1, kind)
	t.i32(2, int32(len(body)))
	t.i32(3, int32(len(out)))
	t.begin(member)
	t.i32(1, h.values)
	t.i32(2, h.encoding)
	if !h.dict {
		t.i32(3, encRLE)
		t.i32(4, encRLE)
	}
	t.end()
	t.stop()
	c.chunk.raw += int64(len(t.b)) + int64(len(body))
	return append(t.b, out...)
}

// packBits packs bytes 0 and 1 to bits.
func packBits(dst, v []byte) []byte {
	for ; len(v) >= 8; v = v[8:] {
		dst = append(dst, byte(binary.LittleEndian.Uint64(v)*0x0102040810204080>>56))
	}
	if len(v) > 0 {
		var last [8]byte
		copy(last[:], v)
		dst = append(dst, byte(binary.LittleEndian.Uint64(last[:])*0x0102040810204080>>56))
	}
	return dst
}
