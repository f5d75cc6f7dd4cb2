package record

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// Scanner reads records with a plan. It checks the whole of every record (JSON grammar, UTF-8, depth), also the parts nobody asked for;
// of members given twice the last one counts. It allocates nothing per good record. A scanner is for one goroutine.
type Scanner struct {
	plan   *Plan
	buf    []byte
	b      *Spans
	err    string // why the record at hand is malformed, "" if it is not
	object uint64 // counts objects, to find members given twice
	rows   []int  // current row of every level
	direct []*Node
	count  bool
	stack  [MaxDepth + 1]byte
}

// NewScanner returns a scanner with its own copy of the plan.
func NewScanner(p *Plan) *Scanner {
	c := &Plan{slots: p.slots, levels: p.levels, CountUnknown: p.CountUnknown}
	c.root = p.root.clone(c)
	s := &Scanner{plan: c, rows: make([]int, len(p.levels)), count: p.CountUnknown}
	s.collect(c.root)
	return s
}

// collect lists the nodes whose values go straight into a column of the batch.
func (s *Scanner) collect(n *Node) {
	if n == nil {
		return
	}
	if n.slot >= 0 && n.level == 0 {
		s.direct = append(s.direct, n)
	}
	for _, k := range n.kids {
		s.collect(k)
	}
	for _, k := range n.at {
		s.collect(k)
	}
	s.collect(n.elem)
}

// Reasons of a malformed record.
const (
	errSyntax = "the record is not valid JSON"
	errUTF8   = "the record is not valid UTF-8"
	errDepth  = "the record nests deeper than 128 levels"
	errObject = "the record is not a JSON object"
	errLong   = "the record is longer than 64 MiB"
)

// Scan reads whole lines of buf[p:end] into b, as many as b has room for, and returns where the next one starts. buf must go on for at
// least [Pad] bytes after end that are no JSON (zeros). Blank lines are skipped; a malformed line goes to b.Bad and the scan goes on.
func (s *Scanner) Scan(b *Spans, buf []byte, p, end int) int {
	s.buf, s.b = buf, b
	b.Buf = buf
	s.reset()
	for p < end && b.N < b.max {
		start := p
		p = s.blank(p)
		if p >= end || buf[p] == '\n' {
			p++
			continue
		}
		s.err = ""
		s.rows[0] = b.N
		s.openRow(0)
		q := p
		if buf[p] == '{' {
			if q = s.members(p, s.plan.root, 1); s.err == "" {
				if q = s.blank(q); q < end && buf[q] != '\n' || q > end {
					s.err = errSyntax
				}
			}
		} else {
			s.err = errObject
		}
		if s.err != "" || q-p > MaxRecord {
			p = s.bad(start, end)
			continue
		}
		b.Off[b.N], b.End[b.N] = uint32(p), uint32(q)
		b.N++
		p = q + 1
	}
	s.rows[0] = b.N
	s.openRow(0)
	for i := range b.Levels {
		l := &b.Levels[i]
		if parent := s.plan.levels[i].parent; parent > 0 {
			l.Start = append(l.Start, uint32(l.N))
		}
	}
	b.Levels[0].N = b.N
	return min(p, end)
}

// reset empties the batch: root columns are cleared only where they were written.
func (s *Scanner) reset() {
	b := s.b
	for slot, level := range s.plan.slots {
		if level > 0 {
			b.Cols[slot] = b.Cols[slot][:0]
		} else if b.touched[slot] {
			clear(b.Cols[slot])
			b.touched[slot] = false
		}
	}
	for _, n := range s.direct {
		n.col = b.Cols[n.slot]
	}
	for i := range b.Levels {
		b.Levels[i].N = 0
		b.Levels[i].Start = b.Levels[i].Start[:0]
	}
	b.Bad = b.Bad[:0]
	b.N = 0
}

// bad files the line at start and returns where the next one begins.
func (s *Scanner) bad(start, end int) int {
	b := s.b
	stop := end
	if k := bytes.IndexByte(s.buf[start:end], '\n'); k >= 0 {
		stop = start + k
	}
	if s.err == "" || stop-start > MaxRecord {
		s.err = errLong
	}
	b.Bad = append(b.Bad, BadRecord{Off: start, End: stop, Reason: s.err})
	s.forget(s.plan.root)
	for _, c := range s.plan.levels[0].children {
		b.Levels[c].Start = b.Levels[c].Start[:b.N]
	}
	return stop + 1
}

// openRow notes where the elements of the new row of a level begin on its child levels.
func (s *Scanner) openRow(level int) {
	for _, c := range s.plan.levels[level].children {
		l := &s.b.Levels[c]
		l.Start = append(l.Start, uint32(l.N))
	}
}

// forget drops what was stored below n for the current row: a member given twice, or a malformed record.
func (s *Scanner) forget(n *Node) {
	if n.slot >= 0 {
		if c := s.b.Cols[n.slot]; s.rows[n.level] < len(c) {
			c[s.rows[n.level]] = 0
		}
	}
	for _, k := range n.kids {
		s.forget(k)
	}
	for _, k := range n.at {
		s.forget(k)
	}
	if n.elemLevel >= 0 {
		l := &s.b.Levels[n.elemLevel]
		if row := s.rows[n.level]; row < len(l.Start) {
			s.cut(n.elemLevel, int(l.Start[row]))
		}
	}
}

// cut shortens a level to n rows, and the levels below it.
func (s *Scanner) cut(level, n int) {
	l := &s.b.Levels[level]
	if n >= l.N {
		return
	}
	for _, slot := range s.plan.levels[level].slots {
		s.b.Cols[slot] = s.b.Cols[slot][:n]
	}
	for _, c := range s.plan.levels[level].children {
		cl := &s.b.Levels[c]
		s.cut(c, int(cl.Start[n]))
		cl.Start = cl.Start[:n]
	}
	l.N = n
}

func (s *Scanner) put(n *Node, v Span) {
	if n.level == 0 {
		s.b.touched[n.slot] = true
		n.col[s.b.N] = v
		return
	}
	s.b.Cols[n.slot][s.rows[n.level]] = v
}

func (s *Scanner) fail(reason string, p int) int {
	if s.err == "" {
		s.err = reason
	}
	return p
}

// blank skips white space inside a line.
func (s *Scanner) blank(p int) int {
	for s.buf[p] == ' ' || s.buf[p] == '\t' || s.buf[p] == '\r' {
		p++
	}
	return p
}

// value reads the value at p for a wanted place and returns the position after it.
func (s *Scanner) value(p int, n *Node, depth int) int {
	buf := s.buf
	var q int
	kind := SpanNumber
	switch buf[p] {
	case '"':
		e, esc := s.text(p + 1)
		if n.slot >= 0 {
			k := SpanText
			if esc {
				k = SpanEscaped
			}
			s.put(n, MakeSpan(k, p+1, e-p-1))
		}
		return e + 1
	case '{':
		kind = SpanObject
		if len(n.kids) > 0 {
			q = s.members(p, n, depth+1)
		} else {
			q = s.skip(p, depth)
		}
	case '[':
		kind = SpanArray
		if n.elem != nil || n.at != nil {
			q = s.elements(p, n, depth+1)
		} else {
			q = s.skip(p, depth)
		}
	case 't':
		kind, q = SpanTrue, s.literal(p, wordTrue)
	case 'f':
		kind, q = SpanFalse, s.literal(p+1, wordFalse)
	case 'n':
		kind, q = SpanNull, s.literal(p, wordNull)
	default:
		q = s.number(p)
	}
	if n.slot >= 0 {
		s.put(n, MakeSpan(kind, p, q-p))
	}
	return q
}

func (s *Scanner) elements(p int, n *Node, depth int) int {
	if depth > MaxDepth {
		return s.fail(errDepth, p)
	}
	p = s.blank(p + 1)
	if s.buf[p] == ']' {
		return p + 1
	}
	for i := 0; s.err == ""; i++ {
		p = s.element(p, n, i, depth)
		if c := s.buf[p]; c != ',' && c != ']' {
			p = s.blank(p)
		}
		switch s.buf[p] {
		case ',':
			p = s.blank(p + 1)
		case ']':
			return p + 1
		default:
			return s.fail(errSyntax, p)
		}
	}
	return p
}

// element reads element i: as a row of the level that takes all, as a single wanted one, as both, or not at all.
func (s *Scanner) element(p int, n *Node, i, depth int) int {
	q := p
	if n.elem != nil {
		level := n.elemLevel
		l := &s.b.Levels[level]
		s.rows[level] = l.N
		l.N++
		for _, slot := range s.plan.levels[level].slots {
			s.b.Cols[slot] = append(s.b.Cols[slot], 0)
		}
		s.openRow(level)
		q = s.value(p, n.elem, depth)
	}
	if one := n.at[i]; one != nil {
		return s.value(p, one, depth)
	}
	if n.elem == nil {
		return s.skip(p, depth)
	}
	return q
}

// members reads the object at p. Keys are expected in the order seen before; any other order only costs a look-up.
func (s *Scanner) members(p int, n *Node, depth int) int { //nolint:gocyclo // the inner loop of the scan: taken apart it costs a tenth of its speed
	if depth > MaxDepth {
		return s.fail(errDepth, p)
	}
	buf := s.buf
	s.object++
	object := s.object
	p++
	if buf[p] != '"' {
		if p = s.blank(p); buf[p] == '}' {
			return p + 1
		}
	}
	li := 0
	for s.err == "" {
		var next *Node
		hit := false
		layout := n.layout
		for k := li; k < len(layout) && k < li+3; k++ {
			e := &layout[k]
			if binary.LittleEndian.Uint64(buf[p:])&e.mask != e.word || binary.LittleEndian.Uint64(buf[p+8:])&e.mask2 != e.word2 ||
				e.rest != "" && string(buf[p+16:p+e.n]) != e.rest {
				continue
			}
			p += e.n
			if next = e.next; next == nil && s.count {
				e.count++
			}
			li, hit = k+1, true
			break
		}
		if !hit {
			p, next, li = s.key(p, n, li)
			if s.err != "" {
				return p
			}
		}
		if c := buf[p]; c == ' ' || c == '\t' || c == '\r' {
			p = s.blank(p)
		}
		if next == nil {
			switch buf[p] {
			case '"':
				p, _ = s.text(p + 1)
				p++
			case '{', '[':
				p = s.skip(p, depth)
			default:
				p = s.scalar(p)
			}
		} else {
			if next.visited == object {
				s.forget(next)
			}
			next.visited = object
			p = s.value(p, next, depth)
		}
		c := buf[p]
		if c != ',' && c != '}' {
			p = s.blank(p)
			c = buf[p]
		}
		if c == '}' {
			return p + 1
		}
		if c != ',' {
			return s.fail(errSyntax, p)
		}
		if p++; buf[p] != '"' {
			p = s.blank(p)
		}
	}
	return p
}

// key reads a member's name and colon the slow way and teaches the layout; it returns the position after the colon.
func (s *Scanner) key(p int, n *Node, li int) (int, *Node, int) {
	buf := s.buf
	if buf[p] != '"' {
		return s.fail(errSyntax, p), nil, li
	}
	e, esc := s.text(p + 1)
	if s.err != "" {
		return p, nil, li
	}
	var next *Node
	if esc {
		next = n.lookup(AppendUnescaped(nil, buf[p+1:e]))
	} else {
		next = n.lookup(buf[p+1 : e])
	}
	q := s.blank(e + 1)
	if buf[q] != ':' {
		return s.fail(errSyntax, q), nil, li
	}
	q++
	if !esc && q == e+2 {
		if i := n.learn(buf[p:q], next, li); i >= 0 {
			if next == nil && s.count {
				n.layout[i].count++
			}
			return q, next, i + 1
		}
	}
	if next == nil && s.count {
		n.unknown++
	}
	return q, next, li
}

// Unknown calls yield for every member that no path asked for (if the plan has CountUnknown set), with the path of the object, the name and how often it was seen.
// The name is "" for members beyond those a scanner keeps apart.
func (s *Scanner) Unknown(yield func(path []string, name string, count int64)) {
	var walk func(n *Node, path []string)
	walk = func(n *Node, path []string) {
		if len(n.kids) > 0 {
			for i := range n.layout {
				if e := &n.layout[i]; e.next == nil && e.count > 0 {
					yield(path, e.lit[1:len(e.lit)-2], e.count)
				}
			}
			if n.unknown > 0 {
				yield(path, "", n.unknown)
			}
		}
		for i, k := range n.kids {
			walk(k, append(slices.Clip(path), n.names[i]))
		}
		if n.elem != nil {
			walk(n.elem, append(slices.Clip(path), "[]"))
		}
	}
	walk(s.plan.root, nil)
}

// checkUTF8 is called for text that has bytes above 0x7f.
func (s *Scanner) checkUTF8(p, e int) {
	if !utf8.Valid(s.buf[p:e]) {
		s.fail(errUTF8, p)
	}
}
