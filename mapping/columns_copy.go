package mapping

import (
	"slices"

	"weir/record"
)

// copyTree is the fast form of a copied object or array, and of an array whose elements' members are mapped one by one.
type copyTree struct {
	root *copyNode
	keys []*source // sources that take precedence, such as a path read as one root key: a record that has one is for the general path
	rows int       // how many buffers of row numbers a lane needs
}

// copyNode fills one field from one place of the source.
type copyNode struct {
	field *record.Field
	// slot has the values on their level; -1 for an object of an assembled element, which has no place in the source.
	slot, level int
	kids        []*copyNode // by field of a struct, nil where nothing is copied
	elem        *copyNode   // of a list
	elemLevel   int
	buffer      int // of the row numbers of the elements
	leaf        *leafCheck
	// assembled objects are there when a member is; copied ones when the source's object has a member that counts.
	assembled bool
}

// copied is the fast form of one rule that copies an object or array.
func (b *programBuilder) copied(r *rule) quickTree {
	if r.path.Wildcards() > 0 || !copyable(r.field) {
		return nil
	}
	t := &copyTree{}
	n, guard := b.pl.inner(r.path[0].Name)
	t.root = t.node(walkPlan(n, r.path[1:]), r.field)
	t.precedence(b, r, guard)
	return t
}

// precedence notes what is read before the place of a rule: the source as one key, unless the path is that key, and the root before the wrapper.
func (t *copyTree) precedence(b *programBuilder, r *rule, guard *source) {
	if guard != nil && !slices.Contains(t.keys, guard) {
		t.keys = append(t.keys, guard)
	}
	if len(r.path) > 1 || r.path[0].Name != r.key {
		t.keys = append(t.keys, b.pl.lookup("k:"+r.key, r.key, nil))
	}
}

// copyable reports whether a field and all below have a fast form: maps have none.
func copyable(f *record.Field) bool {
	switch f.Type {
	case record.Map, record.Invalid:
		return false
	case record.List:
		return f.Elem != nil && copyable(f.Elem)
	case record.Struct:
		for i := range f.Fields {
			if !copyable(&f.Fields[i]) {
				return false
			}
		}
	default:
	}
	return true
}

func (t *copyTree) node(n *record.Node, f *record.Field) *copyNode {
	c := &copyNode{field: f, slot: n.Slot(), level: n.Level(), leaf: newLeafCheck(f)}
	switch f.Type {
	case record.Struct:
		for i := range f.Fields {
			c.kids = append(c.kids, t.node(n.Key(f.Fields[i].Name), &f.Fields[i]))
		}
	case record.List:
		t.list(c, n)
		c.elem = t.node(n.Each(), f.Elem)
	default:
	}
	return c
}

func (t *copyTree) list(c *copyNode, n *record.Node) {
	n.Each()
	c.elemLevel, c.buffer = n.ElemLevel(), t.rows
	t.rows++
}

// assembledList is the fast form of rules src[*].x → dst[*].a that share their arrays.
func (b *programBuilder) assembledList(n *targetNode, rules []*rule) quickTree { //nolint:gocyclo // one condition after the other
	if n.field.Type != record.List || n.field.Elem.Type != record.Struct {
		return nil
	}
	first := slices.IndexFunc(rules[0].path, func(s record.Step) bool { return s.Index == record.Every })
	if first < 0 || rules[0].kind != Attribute {
		return nil
	}
	head := rules[0].path[:first]
	for _, r := range rules {
		if b.p.whole.allowNull && len(r.dest) > n.depth+2 {
			return nil // a null makes the object inside the element be there
		}
		plain := r.kind == Attribute && r.path.Wildcards() == 1 && len(r.path) > first+1 && slices.Equal(r.path[:first], head) && r.path[first].Index == record.Every
		if !plain || len(r.dest) < n.depth+2 || r.dest[n.depth].Index != record.Every || r.dest.Wildcards() != 1 || !isScalarField(r.field) ||
			slices.ContainsFunc(r.dest[n.depth+1:], func(s record.Step) bool { return s.Index != record.ByName }) {
			return nil
		}
	}
	t := &copyTree{}
	array, guard := b.pl.inner(head[0].Name)
	array = walkPlan(array, head[1:])
	c := &copyNode{field: n.field, slot: array.Slot(), level: array.Level(), assembled: true}
	t.list(c, array)
	each := array.Each()
	c.elem = newAssembled(n.field.Elem, each.Level())
	for _, r := range rules {
		src := walkPlan(each, r.path[first+1:])
		if !c.elem.give(r.dest[n.depth+1:], src.Slot()) {
			return nil
		}
		t.precedence(b, r, guard)
	}
	t.root = c
	return t
}

// gone notes the rows in which nothing was written, not even null: those with an empty object, or without elements.
func (t *copyTree) gone(w *Lane, c *record.Column, gone []uint8) {
	for i := range w.n {
		empty := t.root.assembled
		if !empty && c.Field.Type == record.Struct {
			empty = w.sp.Cols[t.root.slot][i].Kind() == record.SpanObject
		}
		gone[i] = boolByte(empty && c.Null(i))
	}
}

// newAssembled is an object whose members are given one by one.
func newAssembled(f *record.Field, level int) *copyNode {
	return &copyNode{field: f, slot: -1, level: level, kids: make([]*copyNode, len(f.Fields)), assembled: true}
}

// give sets the source of a leaf below; false if it has one already.
func (c *copyNode) give(path record.Path, slot int) bool {
	i := slices.IndexFunc(c.field.Fields, func(f record.Field) bool { return f.Name == path[0].Name })
	f := &c.field.Fields[i]
	if len(path) == 1 {
		if c.kids[i] != nil || f.Type == record.Struct {
			return false
		}
		c.kids[i] = &copyNode{field: f, slot: slot, level: c.level, leaf: newLeafCheck(f)}
		return true
	}
	if c.kids[i] == nil {
		c.kids[i] = newAssembled(f, c.level)
	}
	return c.kids[i].kids != nil && c.kids[i].give(path[1:], slot)
}

// copyState is what a lane keeps of a copy tree while it fills.
type copyState struct {
	marks []uint8   // records with a value for the general path
	rows  [][]int32 // of list elements, by buffer: the record each belongs to
}

func (t *copyTree) fill(w *Lane, c *record.Column, slow []int32) []int32 {
	st := &w.copies
	if cap(st.marks) < w.n {
		st.marks = make([]uint8, w.p.rows)
	}
	st.marks = st.marks[:w.n]
	clear(st.marks)
	for _, k := range t.keys {
		for i, v := range w.resolved(k)[:w.n] {
			st.marks[i] |= boolByte(v.Kind() != record.SpanAbsent)
		}
	}
	for len(st.rows) < t.rows {
		st.rows = append(st.rows, nil)
	}
	counts := w.counted(w.n)
	t.root.fill(w, c, w.n, nil, counts, false)
	w.countSpare = append(w.countSpare, counts)
	for i, m := range st.marks {
		if m != 0 {
			slow = append(slow, int32(i))
		}
	}
	return slow
}

// counted lends n zero bytes.
func (w *Lane) counted(n int) []uint8 {
	if k := len(w.countSpare); k > 0 {
		b := w.countSpare[k-1]
		w.countSpare = w.countSpare[:k-1]
		if cap(b) >= n {
			b = b[:n]
			clear(b)
			return b
		}
	}
	return make([]uint8, n, max(n, w.p.rows))
}

// fill sets the n rows of a column. rows says which record each belongs to (nil: itself). counts is set for rows that count as a member of the
// object above. An element of a list is there even if it is an empty object.
func (c *copyNode) fill(w *Lane, col *record.Column, n int, rows []int32, counts []uint8, element bool) {
	var v []record.Span
	if c.slot >= 0 {
		v = w.sp.Cols[c.slot][:n]
	}
	switch {
	case c.kids != nil || c.field.Type == record.Struct:
		c.object(w, col, v, n, rows, counts, element)
	case c.elem != nil:
		c.array(w, col, v, n, rows, counts)
	default:
		c.value(w, col, v, n, rows, counts)
	}
}

func (w *Lane) mark(rows []int32, i int) {
	if rows != nil {
		i = int(rows[i])
	}
	w.copies.marks[i] = 1
}

// refuse lets the transformer judge the record of row i.
func (w *Lane) refuse(rows []int32, i int) {
	if rows != nil {
		i = int(rows[i])
	}
	w.reject(i, badGeneral)
}

func (c *copyNode) value(w *Lane, col *record.Column, v []record.Span, n int, rows []int32, counts []uint8) {
	bad := w.takeSel()
	bad = w.convert(col, v, n, c.field, bad)
	for _, i := range bad {
		w.mark(rows, int(i))
	}
	w.giveSel(bad)
	for i, s := range v {
		there := !col.Null(i)
		if there || s.Kind() == record.SpanNull {
			counts[i] = 1
		}
		if there && c.leaf != nil && !c.leaf.fine(w, col, i) {
			w.refuse(rows, i)
		}
	}
}

func (c *copyNode) object(w *Lane, col *record.Column, v []record.Span, n int, rows []int32, counts []uint8, element bool) {
	col.None = false
	members := w.counted(n)
	for i, k := range c.kids {
		if k == nil {
			col.Kids[i].None = true
			continue
		}
		k.fill(w, &col.Kids[i], n, rows, members, false)
	}
	valid := growValid(col, n)
	for i := range valid {
		valid[i] = members[i]
		if c.assembled {
			valid[i] = boolByte(element || c.anyKid(col, i))
			counts[i] |= valid[i]
			continue
		}
		switch s := v[i]; {
		case s.Kind() == record.SpanObject:
			if element {
				valid[i] = 1
			}
			counts[i] |= valid[i]
		case s.Kind() == record.SpanNull:
			valid[i], counts[i] = 0, 1
		case s.Kind() == record.SpanAbsent || s.IsText() && s.Len() == 0:
			valid[i] = 0
		default:
			valid[i] = 0
			w.mark(rows, i)
		}
	}
	w.countSpare = append(w.countSpare, members)
	c.required(w, col, rows)
}

func (c *copyNode) anyKid(col *record.Column, i int) bool {
	for k := range col.Kids {
		if c.kids[k] != nil && !col.Kids[k].Null(i) {
			return true
		}
	}
	return false
}

// required marks the records of objects without a member they must have.
func (c *copyNode) required(w *Lane, col *record.Column, rows []int32) {
	for k := range c.field.Fields {
		if !c.field.Fields[k].Required {
			continue
		}
		for i, there := range col.Valid {
			if there != 0 && col.Kids[k].Null(i) {
				w.refuse(rows, i)
			}
		}
	}
}

func (c *copyNode) array(w *Lane, col *record.Column, v []record.Span, n int, rows []int32, counts []uint8) {
	col.None = false
	from := w.sp.Levels[c.elemLevel].Start
	start, valid := col.GrowStart(n), growValid(col, n)
	copy(start, from[:n+1])
	elems := int(start[n])
	of := w.copies.rows[c.buffer][:0]
	for i, s := range v {
		record0 := int32(i)
		if rows != nil {
			record0 = rows[i]
		}
		for range start[i+1] - start[i] {
			of = append(of, record0)
		}
		switch s.Kind() {
		case record.SpanArray:
			valid[i] = boolByte(!c.assembled || start[i+1] > start[i])
			counts[i] |= valid[i]
		case record.SpanNull:
			valid[i], counts[i] = 0, 1
		case record.SpanAbsent:
			valid[i] = 0
		default:
			valid[i] = 0
			if !c.assembled { // one value becomes a list
				w.mark(rows, i)
			}
		}
	}
	w.copies.rows[c.buffer] = of
	inner := w.counted(elems)
	c.elem.fill(w, &col.Kids[0], elems, of, inner, true)
	w.countSpare = append(w.countSpare, inner)
}

// fine reports whether row i of a leaf column certainly satisfies its constraints.
func (c *leafCheck) fine(w *Lane, col *record.Column, i int) bool {
	if c.typ == record.String {
		return c.text(col.Text[i].In(w.sp.Buf))
	}
	return c.word(col.Words[i])
}
