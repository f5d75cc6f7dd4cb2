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
	op    vecOp // nil: every row is general
	part  *part // the general path of its mapping
}

func (t *leafTask) fast(w *Lane) {
	c := w.column(t.col)
	c.None = false
	var v []record.Span
	lent := true
	if t.op == nil {
		v = w.take(w.n)
		for i := range v {
			v[i] = puntSpan
		}
	} else {
		v, lent = w.vector(t.op, w.n, w.all(w.n))
	}
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

func (t *leafTask) general(w *Lane, s slowRow) {
	row := int(s.row)
	v := w.run(t.part, row)
	if !v.IsNull() {
		w.setValue(w.column(t.col), row, v)
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
	quick quickTree // nil: every row is general
}

// quickTree is the fast form of a tree: it fills the column and returns the rows it could not settle, ascending.
type quickTree interface {
	fill(w *Lane, c *record.Column, slow []int32) []int32
}

func (t *treeTask) fast(w *Lane) {
	rows := w.takeSel()
	if t.quick == nil {
		rows = append(rows, w.all(w.n)...)
	} else {
		rows = t.quick.fill(w, w.column(t.col), rows)
	}
	for _, r := range rows {
		w.slow = append(w.slow, slowRow{row: r, task: int32(t.id), span: puntSpan})
	}
	w.giveSel(rows)
	w.trees[t.id].values = w.trees[t.id].values[:0]
}

// treeState is what a lane keeps of a tree task: the general values of the batch, and the column it is put together in.
type treeState struct {
	values  []treeValue
	scratch record.Column
}

type treeValue struct {
	row int32
	v   record.Value
}

func (t *treeTask) general(w *Lane, s slowRow) {
	w.trees[t.id].values = append(w.trees[t.id].values, treeValue{s.row, w.run(t.part, int(s.row))})
}

// settle puts the column together from the rows of the fast form and the general values.
func (t *treeTask) settle(w *Lane) {
	st := &w.trees[t.id]
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
}
