package mapping

import (
	"weir/record"
)

// task fills one column of the target: a leaf, or a list, map or copied object with all below it.
type task interface {
	// fast computes the whole batch and leaves rows it cannot settle in w.slow.
	fast(w *Lane)
	// general settles one such row.
	general(w *Lane, s slowRow)
	// settle completes the column after all rows are known.
	settle(w *Lane)
}

// leafTask fills a leaf from one mapping.
type leafTask struct {
	id    int
	col   []int // where the column is in a batch: position among the fields of each struct above
	field *record.Field
	op    vecOp
	part  *part // the general path of its mapping
}

func (t *leafTask) fast(w *Lane) {
	c := w.column(t.col)
	c.None = false
	v, lent := w.vector(t.op, w.n, w.all(w.n))
	rows := w.takeSel()
	rows = w.convert(c, v, w.n, t.field, rows)
	for _, r := range rows {
		w.slow = append(w.slow, slowRow{row: r, task: int32(t.id), span: v[r]})
	}
	w.giveSel(rows)
	if lent {
		w.give(v)
	}
}

// general converts a value that the columns do not know, or computes it, too.
func (t *leafTask) general(w *Lane, s slowRow) {
	row := int(s.row)
	v, known := record.Null(), isFail(s.span)
	if !known {
		v, known = w.value(s.span)
	}
	var gone bool
	switch {
	case !known || w.p.whole.strict:
		v, gone = w.run(t.part, row)
	case isFail(s.span):
		w.warn(row, t.id, t.part.dest())
		gone = true
	default:
		gone = v.IsNothing()
		var c converter // a leaf has no members to report
		var err error
		if v, err = c.convert(v, t.field, ""); err != nil {
			w.warn(row, t.id, t.part.dest())
			v, gone = record.Null(), true
		}
	}
	if !v.IsNull() {
		w.setValue(w.column(t.col), row, v)
	}
	if gone && w.gone != nil {
		w.gone[t.id][row] = 1
	}
}

func (t *leafTask) settle(*Lane) {}

// column is a column of the batch by the positions of its field.
func (w *Lane) column(at []int) *record.Column {
	c := &w.batch.Cols[at[0]]
	for _, i := range at[1:] {
		c = &c.Kids[i]
	}
	return c
}

// treeTask fills a column that is not a leaf, or that several mappings write.
type treeTask struct {
	id    int
	col   []int
	field *record.Field
	part  *part
	quick quickTree // nil: every row is put together from values
	ops   []vecOp   // of the mappings, in the order they are written
}

// quickTree is the fast form of a tree: it fills the column and returns the rows it could not settle, ascending.
type quickTree interface {
	fill(w *Lane, c *record.Column, slow []int32) []int32
	// gone notes the rows in which nothing was written, not even null; for sets with allowNullValues.
	gone(w *Lane, c *record.Column, gone []uint8)
}

func (t *treeTask) fast(w *Lane) {
	rows := w.takeSel()
	c := w.column(t.col)
	if t.quick == nil {
		rows = append(rows, w.all(w.n)...)
	} else {
		rows = t.quick.fill(w, c, rows)
		if w.gone != nil {
			t.quick.gone(w, c, w.gone[t.id])
		}
	}
	st := &w.trees[t.id]
	st.values = st.values[:0]
	if len(rows) > 0 {
		st.read(w, t.ops, rows)
	}
	for _, r := range rows {
		w.slow = append(w.slow, slowRow{row: r, task: int32(t.id), span: puntSpan})
	}
	w.giveSel(rows)
}

// treeState is what a lane keeps of a tree task: the values of the mappings, the general values of the batch, and the column it is put together in.
type treeState struct {
	vecs    [][]record.Span
	lent    []bool
	values  []treeValue
	scratch record.Column
}

type treeValue struct {
	row int32
	v   record.Value
}

// read computes the mappings' values of some rows.
func (st *treeState) read(w *Lane, ops []vecOp, rows []int32) {
	if st.vecs == nil {
		st.vecs, st.lent = make([][]record.Span, len(ops)), make([]bool, len(ops))
	}
	for i, op := range ops {
		st.vecs[i], st.lent[i] = w.vector(op, w.n, rows)
	}
}

// giveBack returns the vectors of the values.
func (st *treeState) giveBack(w *Lane) {
	for i, lent := range st.lent {
		if lent {
			w.give(st.vecs[i])
		}
		st.vecs[i], st.lent[i] = nil, false
	}
}

func (t *treeTask) general(w *Lane, s slowRow) {
	row := int(s.row)
	v, gone := t.made(w, row)
	w.trees[t.id].values = append(w.trees[t.id].values, treeValue{s.row, v})
	if w.gone != nil {
		w.gone[t.id][row] = boolByte(gone)
	}
}

// made puts the value of a row together.
func (t *treeTask) made(w *Lane, row int) (v record.Value, gone bool) {
	vecs := w.trees[t.id].vecs
	if w.p.whole.strict {
		return w.run(t.part, row)
	}
	for _, vec := range vecs {
		if isPunt(vec[row]) {
			return w.run(t.part, row)
		}
	}
	if t.part.single() {
		return t.one(w, row, vecs[0][row])
	}
	wr := writer{t: t.part.t, root: &cell{kind: cellObject}}
	for k, i := range t.part.t.order {
		r := &t.part.t.rules[i]
		s := vecs[k][row]
		v, ok := w.value(s)
		var err error
		switch {
		case isFail(s):
			err = errFailed
		case !ok:
			return w.run(t.part, row)
		default:
			v, err = wr.convert(r, v)
		}
		if err != nil {
			wr.failed(r, err)
			wr.root.remove(r.dest)
			continue
		}
		wr.write(r, v)
	}
	data, _ := wr.root.value(t.part.t.allowNull)
	return w.settled(t.part, row, data, wr.warnings)
}

// one is the value of a tree that one mapping writes as a whole.
func (t *treeTask) one(w *Lane, row int, s record.Span) (v record.Value, gone bool) {
	dest := t.part.dest()
	if isFail(s) {
		w.warn(row, t.id, dest)
		return record.Null(), true
	}
	v, ok := w.value(s)
	if !ok {
		return w.run(t.part, row)
	}
	if v.IsNothing() {
		return record.Null(), true
	}
	from := len(w.warned)
	c := converter{report: func(path string, _ record.Value, _ error) {
		for _, x := range w.warned[from:] { // once for each path
			if x.dest == path {
				return
			}
		}
		w.warn(row, t.id, path)
	}}
	v, err := c.convert(v, t.field, dest)
	if err != nil {
		w.warn(row, t.id, dest)
		return record.Null(), true
	}
	if emptyObject(v) {
		return record.Null(), true
	}
	w.verify(t.part, row, v)
	return v, false
}

// settle puts the column together from the rows of the fast form and the general values.
func (t *treeTask) settle(w *Lane) {
	st := &w.trees[t.id]
	st.giveBack(w)
	c := w.column(t.col)
	if len(st.values) == 0 {
		if w.n == 0 {
			c.None = true
		}
		return
	}
	if st.scratch.Field == nil {
		st.scratch = record.NewColumn(t.field)
	}
	b := builder{w}
	b.clear(&st.scratch)
	next := 0
	for _, v := range st.values {
		if int(v.row) > next {
			b.rows(&st.scratch, c, next, int(v.row))
		}
		b.value(&st.scratch, v.v)
		next = int(v.row) + 1
	}
	if next < w.n {
		b.rows(&st.scratch, c, next, w.n)
	}
	*c, st.scratch = st.scratch, *c
	clear(st.values) // they are parts of the buffer
}
