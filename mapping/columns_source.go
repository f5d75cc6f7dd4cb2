package mapping

import (
	"slices"

	"weir/record"
)

// source is a value of the record that a program reads: one place, or the first of several that is there (a name with dots may be one
// root key or a path, and either may lie inside the wrapper of the record).
type source struct {
	id    int
	level int // level of the values; all alternatives but those that never come up are on it
	alts  []sourceAlt
}

// sourceAlt is taken if the value in slot gate is there (-1: always).
type sourceAlt struct{ gate, slot, level int }

// planner builds the scan plan of a program.
type planner struct {
	plan    *record.Plan
	wrapper string
	sources map[string]*source
	list    []*source
}

func newPlanner(wrapper string) *planner {
	return &planner{plan: record.NewPlan(), wrapper: wrapper, sources: map[string]*source{}}
}

// roots are where a first step may be looked up: the record, then its wrapper.
func (p *planner) roots() []*record.Node {
	roots := []*record.Node{p.plan.Root()}
	if p.wrapper != "" {
		roots = append(roots, p.plan.Root().Key(p.wrapper))
	}
	return roots
}

// lookup is the source that finds name as one key first and then, unless path is nil, follows path.
func (p *planner) lookup(key, name string, path record.Path) *source {
	if s := p.sources[key]; s != nil {
		return s
	}
	s := &source{id: len(p.list)}
	if name != "" && (len(path) != 1 || path[0].Name != name) {
		for _, r := range p.roots() {
			slot := r.Key(name).Slot()
			s.alts = append(s.alts, sourceAlt{slot, slot, 0})
		}
	}
	if path != nil {
		for _, r := range p.roots() {
			n := r.Key(path[0].Name)
			gate := n.Slot()
			n = walkPlan(n, path[1:])
			s.alts = append(s.alts, sourceAlt{gate, n.Slot(), n.Level()})
		}
	}
	last := &s.alts[len(s.alts)-1]
	last.gate = -1
	s.level = last.level
	p.sources[key] = s
	p.list = append(p.list, s)
	return s
}

func walkPlan(n *record.Node, path record.Path) *record.Node {
	for _, st := range path {
		switch {
		case st.Index >= 0:
			n = n.At(st.Index)
		case st.Index == record.Every:
			n = n.Each()
		default:
			n = n.Key(st.Name)
		}
	}
	return n
}

// field is the source of a path in an expression.
func (p *planner) field(path record.Path) *source {
	return p.lookup("f:"+path.String(), "", path)
}

// attribute is the operator of a text that is one root key or else a path (nil if it is none). Of the levels that wildcards give, want are kept; one at least.
func (p *planner) attribute(key string, path record.Path, want int) vecOp {
	if first := slices.IndexFunc(path, func(s record.Step) bool { return s.Index == record.Every }); first >= 0 {
		return &attributeOp{key: p.lookup("k:"+key, key, nil), head: p.field(path[:first]), rest: path[first:], have: path.Wildcards(), want: want}
	}
	return &sourceOp{p.lookup("w:"+key+"\x00"+path.String(), key, path)}
}

// inner is the place of a root field: inside the wrapper, if the source has one. A record that has the field at its root, too, is not read there: guard
// is that field, nil without a wrapper.
func (p *planner) inner(name string) (n *record.Node, guard *source) {
	root := p.plan.Root()
	if p.wrapper == "" {
		return root.Key(name), nil
	}
	return root.Key(p.wrapper).Key(name), p.at("r:"+name, root.Key(name))
}

// at is the source of one place.
func (p *planner) at(key string, n *record.Node) *source {
	if s := p.sources[key]; s != nil {
		return s
	}
	s := &source{id: len(p.list), level: n.Level(), alts: []sourceAlt{{-1, n.Slot(), n.Level()}}}
	p.sources[key] = s
	p.list = append(p.list, s)
	return s
}

// resolved is the values of a source in the batch at hand: a column, or what several columns give together.
func (w *Lane) resolved(s *source) []record.Span {
	if v := w.sources[s.id]; v != nil {
		return v
	}
	live := w.live[:0]
	for _, a := range s.alts {
		if a.gate < 0 || !w.sp.Untouched(a.gate) {
			live = append(live, a)
		}
	}
	w.live = live
	// An alternative that never comes up but the last: the values are those of the others.
	for len(live) > 1 && live[len(live)-1].level == 0 && w.sp.Untouched(live[len(live)-1].slot) {
		live = live[:len(live)-1]
	}
	v := w.sp.Cols[live[0].slot]
	if len(live) > 1 || live[0].level != s.level {
		v = w.merge(s, live)
	}
	w.sources[s.id] = v
	return v
}

// merge takes for each record the first alternative that is there. Alternatives on different levels are for the general path.
func (w *Lane) merge(s *source, live []sourceAlt) []record.Span {
	n := w.sp.Levels[s.level].N
	v := w.take(max(n, w.n))
	w.lent = append(w.lent, v)
	for _, a := range live {
		if a.level != 0 || s.level != 0 {
			for i := range v {
				v[i] = puntSpan
			}
			return v
		}
	}
	for i := range n {
		v[i] = 0
		for _, a := range live {
			if a.gate < 0 || w.sp.Cols[a.gate][i].Kind() != record.SpanAbsent {
				v[i] = w.sp.Cols[a.slot][i]
				break
			}
		}
	}
	return v
}
