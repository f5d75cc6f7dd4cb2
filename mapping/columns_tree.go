package mapping

import (
	"slices"

	"weir/record"
)

// quick is the fast form of a tree, nil if it has none.
func (b *programBuilder) quick(n *targetNode, rules []*rule) quickTree {
	if slices.ContainsFunc(rules, func(r *rule) bool { return r.kind != Attribute || r.path == nil }) {
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
	// array is the array of the first wildcard, values the elements; keys take precedence, such as the text of the source as one root key.
	array, values *source
	keys          []*source
	levels        []int // from the first wildcard's elements to the values
}

func (b *programBuilder) scalarList(r *rule) quickTree {
	first := 0
	for first < len(r.path) && r.path[first].Index != record.Every {
		first++
	}
	l := &scalarList{elem: r.field.Elem}
	n, guard := b.pl.inner(r.path[0].Name)
	n = walkPlan(n, r.path[1:first])
	l.array = b.pl.at("a:"+r.path[:first].String(), n)
	l.values = b.pl.at("v:"+r.path.String(), walkPlan(n, r.path[first:]))
	l.keys = append(l.keys, b.pl.lookup("k:"+r.key, r.key, nil))
	if guard != nil {
		l.keys = append(l.keys, guard)
	}
	for lv := l.values.level; lv != l.array.level; lv = b.pl.plan.Parent(lv) {
		l.levels = append([]int{lv}, l.levels...)
	}
	return l
}

// gone does nothing: a list that is not there is written as null.
func (l *scalarList) gone(*Lane, *record.Column, []uint8) {}

func (l *scalarList) fill(w *Lane, c *record.Column, slow []int32) []int32 {
	n := w.n
	c.None = false
	array := w.resolved(l.array)
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
	return l.before(w, slow)
}

// before adds the records with a value that takes precedence.
func (l *scalarList) before(w *Lane, slow []int32) []int32 {
	some := len(slow)
	for _, k := range l.keys {
		for i, v := range w.resolved(k)[:w.n] {
			if v.Kind() != record.SpanAbsent {
				slow = append(slow, int32(i))
			}
		}
	}
	if len(slow) > some {
		slices.Sort(slow)
		slow = slices.Compact(slow)
	}
	return slow
}
