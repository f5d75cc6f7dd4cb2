package record

import (
	"encoding/binary"
)

// MaxDepth is how deep arrays and objects of one record may nest; a deeper record is malformed.
const MaxDepth = 128

// MaxRecord is how many bytes one record may have; Span addresses no more.
const MaxRecord = 64 << 20

// Pad is how many bytes must follow the scanned region in a buffer, so that the scan may look ahead eight bytes at a time.
const Pad = 64

// SpanKind says what JSON value a [Span] holds.
type SpanKind uint8

// Span kinds. SpanText is text without escapes: its bytes are the value; SpanEscaped has at least one escape.
const (
	SpanAbsent SpanKind = iota
	SpanNull
	SpanText
	SpanEscaped
	SpanNumber
	SpanTrue
	SpanFalse
	SpanObject
	SpanArray
)

// Span is one JSON value inside a buffer: offset (32 bits), length (28 bits) and kind. The zero Span is an absent value.
// Text spans cover the text without its quotes; all other spans cover the whole value.
type Span uint64

const (
	spanLenBits = 28
	spanLenMask = 1<<spanLenBits - 1
)

// MakeSpan builds a span. It is for text that was made (not scanned), such as the result of a function in the buffer's tail.
func MakeSpan(kind SpanKind, off, n int) Span {
	return Span(uint64(uint32(off)) | uint64(n&spanLenMask)<<32 | uint64(kind)<<60)
}

// Kind is what the span holds.
func (s Span) Kind() SpanKind { return SpanKind(s >> 60) }

// Off is where it starts in its buffer.
func (s Span) Off() int { return int(uint32(s)) }

// Len is how many bytes it covers.
func (s Span) Len() int { return int(s>>32) & spanLenMask }

// In is the bytes of the span in its buffer.
func (s Span) In(buf []byte) []byte { return buf[s.Off() : s.Off()+s.Len()] }

// Nullish reports whether the value is absent or null.
func (s Span) Nullish() bool { return s.Kind() <= SpanNull }

// IsText reports whether the value is text, escaped or not.
func (s Span) IsText() bool { k := s.Kind(); return k == SpanText || k == SpanEscaped }

// Plan is the set of wanted paths of a record as a trie. It is built once, then cloned for each scanner, which learns key order into its copy.
type Plan struct {
	root   *Node
	slots  []int // slot → level
	levels []planLevel
	// CountUnknown makes scanners count the members that no path asked for (see [Scanner.Unknown]).
	CountUnknown bool
}

// planLevel is a set of rows: level 0 is the records, each further level the elements of one array of its parent level.
type planLevel struct {
	parent   int
	slots    []int
	children []int
}

// NewPlan returns a plan that wants nothing yet.
func NewPlan() *Plan {
	p := &Plan{levels: []planLevel{{parent: -1}}}
	p.root = &Node{plan: p, slot: -1, elemLevel: -1}
	return p
}

// Root is the record.
func (p *Plan) Root() *Node { return p.root }

// Slots is how many columns the plan fills; LevelOf says on which level slot i lives.
func (p *Plan) Slots() int { return len(p.slots) }

// LevelOf is the level of a slot.
func (p *Plan) LevelOf(slot int) int { return p.slots[slot] }

// Levels is how many levels there are; level 0 is the records.
func (p *Plan) Levels() int { return len(p.levels) }

// Parent is the level that holds the arrays of a level.
func (p *Plan) Parent(level int) int { return p.levels[level].parent }

// Node is a place in a record that some path leads to.
type Node struct {
	plan  *Plan
	level int
	slot  int
	names []string
	kids  []*Node
	// elem takes all elements of an array and starts elemLevel; at takes single ones.
	elem      *Node
	elemLevel int
	at        map[int]*Node
	deep      bool // something below is wanted

	col []Span // the column of slot in the batch at hand, for level 0

	// Learned by the scanner: the key order seen, and the object instance that last visited this node (duplicate members).
	layout  []layoutKey
	byKey   map[string]int
	visited uint64
	unknown int64 // members that no path asked for and that are not in the layout
}

// layoutKey is one `"key":` literal in the order seen: its first sixteen bytes as masked words, and what goes beyond.
type layoutKey struct {
	word, mask   uint64
	word2, mask2 uint64
	n            int
	next         *Node
	rest         string
	lit          string
	count        int64 // how often it was skipped as unknown
}

// Key is the member of an object.
func (n *Node) Key(name string) *Node {
	n.deep = true
	for i, k := range n.names {
		if k == name {
			return n.kids[i]
		}
	}
	c := &Node{plan: n.plan, level: n.level, slot: -1, elemLevel: -1}
	n.names = append(n.names, name)
	n.kids = append(n.kids, c)
	return c
}

// Each is every element of an array; it opens a new level whose rows are the elements.
func (n *Node) Each() *Node {
	n.deep = true
	if n.elem == nil {
		id := len(n.plan.levels)
		n.plan.levels = append(n.plan.levels, planLevel{parent: n.level})
		up := &n.plan.levels[n.level]
		up.children = append(up.children, id)
		n.elem = &Node{plan: n.plan, level: id, slot: -1, elemLevel: -1}
		n.elemLevel = id
	}
	return n.elem
}

// At is the element of an array at a position from 0.
func (n *Node) At(i int) *Node {
	n.deep = true
	if c := n.at[i]; c != nil {
		return c
	}
	if n.at == nil {
		n.at = map[int]*Node{}
	}
	c := &Node{plan: n.plan, level: n.level, slot: -1, elemLevel: -1}
	n.at[i] = c
	return c
}

// Slot asks for the value at this place and returns its column.
func (n *Node) Slot() int {
	if n.slot < 0 {
		n.slot = len(n.plan.slots)
		n.plan.slots = append(n.plan.slots, n.level)
		l := &n.plan.levels[n.level]
		l.slots = append(l.slots, n.slot)
	}
	return n.slot
}

// Level is the level this place's values live on.
func (n *Node) Level() int { return n.level }

// ElemLevel is the level of the elements, -1 if [Node.Each] was never asked for.
func (n *Node) ElemLevel() int { return n.elemLevel }

// clone copies the trie without what was learned.
func (n *Node) clone(p *Plan) *Node {
	if n == nil {
		return nil
	}
	c := &Node{plan: p, level: n.level, slot: n.slot, names: n.names, elemLevel: n.elemLevel, deep: n.deep}
	for _, k := range n.kids {
		c.kids = append(c.kids, k.clone(p))
	}
	c.elem = n.elem.clone(p)
	if n.at != nil {
		c.at = make(map[int]*Node, len(n.at))
		for i, k := range n.at {
			c.at[i] = k.clone(p)
		}
	}
	return c
}

func (n *Node) lookup(key []byte) *Node {
	for i, k := range n.names {
		if string(key) == k {
			return n.kids[i]
		}
	}
	return nil
}

// maxLayout bounds what a node learns, so that objects with made-up keys cannot grow memory.
const maxLayout = 256

// learn notes that key literal lit (quotes and colon included) was seen after position li. It returns the literal's position, or -1 if
// the layout is full.
func (n *Node) learn(lit []byte, next *Node, li int) int {
	if i, ok := n.byKey[string(lit)]; ok {
		return i
	}
	if len(n.layout) >= maxLayout || len(lit) > 64 {
		return -1
	}
	e := layoutKey{lit: string(lit), n: len(lit), next: next}
	var w [16]byte
	k := copy(w[:], lit)
	e.rest = e.lit[k:]
	e.word, e.mask = binary.LittleEndian.Uint64(w[:]), lowBytes(k)
	e.word2, e.mask2 = binary.LittleEndian.Uint64(w[8:]), lowBytes(k-8)
	n.layout = append(n.layout, layoutKey{})
	copy(n.layout[li+1:], n.layout[li:])
	n.layout[li] = e
	if n.byKey == nil {
		n.byKey = map[string]int{}
	}
	for i := li; i < len(n.layout); i++ {
		n.byKey[n.layout[i].lit] = i
	}
	return li
}

// lowBytes masks the lowest n bytes of a word.
func lowBytes(n int) uint64 {
	switch {
	case n <= 0:
		return 0
	case n >= 8:
		return ^uint64(0)
	}
	return 1<<(8*n) - 1
}

// BadRecord is a line that is no JSON object.
type BadRecord struct {
	Off, End int // in the buffer, without the line break
	Reason   string
}

// Level is one level of a scanned batch: N rows, and for every row of the parent level where its elements start (one entry more than the parent has rows).
type Level struct {
	N     int
	Start []uint32
}

// Spans is a scanned batch: for every slot of the plan the values of the rows of its level.
type Spans struct {
	// Buf holds the records; functions may append to it (text they make), spans address it by offset.
	Buf []byte
	// N is the number of good records; Off and End are where they lie in Buf.
	N        int
	Off, End []uint32
	Cols     [][]Span
	Levels   []Level
	Bad      []BadRecord
	touched  []bool // root columns written since the last reset
	max      int
}

// NewSpans returns an empty batch of up to rows records for a plan.
func NewSpans(p *Plan, rows int) *Spans {
	b := &Spans{max: rows, Cols: make([][]Span, p.Slots()), Levels: make([]Level, p.Levels()), touched: make([]bool, p.Slots())}
	b.Off, b.End = make([]uint32, rows), make([]uint32, rows)
	for i, l := range p.slots {
		if l == 0 {
			b.Cols[i] = make([]Span, rows)
		}
	}
	return b
}

// Limit makes the next scans take at most n records, or as many as the batch was made for.
func (b *Spans) Limit(n int) { b.max = min(max(n, 1), len(b.Off)) }

// Untouched reports whether a column of level 0 is absent in every record of the batch.
func (b *Spans) Untouched(slot int) bool { return !b.touched[slot] }

// Text is a text value: as it lies in the buffer, or unescaped into the buffer's tail.
func (b *Spans) Text(s Span) []byte {
	if s.Kind() != SpanEscaped {
		return s.In(b.Buf)
	}
	return b.Plain(s).In(b.Buf)
}

// Plain is the span of a text value without escapes: s itself, or one in the buffer's tail.
func (b *Spans) Plain(s Span) Span {
	if s.Kind() != SpanEscaped {
		return s
	}
	at := len(b.Buf)
	b.Buf = AppendUnescaped(b.Buf, s.In(b.Buf))
	return MakeSpan(SpanText, at, len(b.Buf)-at)
}
