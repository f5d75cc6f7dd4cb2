package mapping

import (
	"slices"

	"weir/record"
)

// quick is the fast form of a tree, nil if it has none.
func (b *programBuilder) quick(n *targetNode, rules []*rule) quickTree {
	whole := b.p.whole
	if whole.allowNull || slices.ContainsFunc(rules, func(r *rule) bool { return r.kind != Attribute || r.path == nil }) {
		return nil
	}
	if len(rules) > 1 || len(rules[0].dest) != n.depth {
		return b.assembledList(n, rules)
	}
	r := rules[0]
	if r.path.Wildcards() == 0 {
		return b.copied(r)
	}
	if n.field.Type != record.List || !isScalarField(n.field.Elem) || n.field.Elem.Check != nil {
		return nil
	}
	return b.scalarList(r)
}

// scalarList is a list of leaves read through one or more wildcards: src[*].x, or src[*].l[*].x merged to one list.
type scalarList struct {
	elem *record.Field
	// array is the array of the first wildcard, values the elements; key is the text of the source as one root key, which takes precedence.
	array, values *source
	key           *source
	levels        []int // from the first wildcard's elements to the values
}

func (b *programBuilder) scalarList(r *rule) quickTree {
	first := 0
	for first < len(r.path) && r.path[first].Index != record.Every {
		first++
	}
	l := &scalarList{elem: r.field.Elem}
	head := r.path[:first]
	l.array = b.pl.lookup("a:"+head.String(), "", head)
	l.values = b.pl.lookup("v:"+r.path.String(), "", r.path)
	l.key = b.pl.lookup("k:"+r.key, r.key, nil)
	for lv := l.values.level; lv != l.array.level; lv = b.pl.plan.Parent(lv) {
		l.levels = append([]int{lv}, l.levels...)
	}
	if len(l.array.alts) > 1 { // a wrapped source: the levels of the alternatives differ
		return nil
	}
	return l
}

func (l *scalarList) fill(w *Lane, c *record.Column, slow []int32) []int32 {
	n := w.n
	c.None = false
	array := w.resolved(l.array)
	for _, v := range w.resolved(l.key)[:n] {
		if v.Kind() != record.SpanAbsent {
			return append(slow, w.all(n)...)
		}
	}
	start, valid := c.GrowStart(n), growValid(c, n)
	top := w.sp.Levels[l.levels[0]].Start
	for i := range n + 1 {
		at := top[i]
		for _, lv := range l.levels[1:] {
			at = w.sp.Levels[lv].Start[at]
		}
		start[i] = at
	}
	for i, s := range array[:n] {
		valid[i] = boolByte(s.Kind() == record.SpanArray)
	}
	elems := int(start[n])
	bad := w.takeSel()
	bad = w.convert(&c.Kids[0], w.resolved(l.values), elems, l.elem, bad)
	row := 0
	for _, e := range bad { // one bad element fails the list
		for int(start[row+1]) <= int(e) {
			row++
		}
		if len(slow) == 0 || slow[len(slow)-1] != int32(row) {
			slow = append(slow, int32(row))
		}
	}
	w.giveSel(bad)
	return slow
}
