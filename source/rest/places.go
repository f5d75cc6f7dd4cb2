package rest

import "slices"

// selector says where an array of an answer (or of a record, for explode) is and how its elements become records
// (contract flow-service §6.6).
type selector struct {
	path path
	// wrap: a record is {siblings of the array} ∪ {wrapper: element}; otherwise it is the element itself.
	wrap    bool
	wrapper string
	// keep, if not empty, names the siblings that stay; skip those that go. none drops all.
	keep, skip []string
	none       bool
}

// wants reports whether the sibling with this quoted name belongs in the records.
func (s *selector) wants(name []byte) bool {
	is := func(n string) bool { return nameIs(name, n) }
	if s.none || is(s.wrapper) {
		return false
	}
	return (len(s.keep) == 0 || slices.ContainsFunc(s.keep, is)) && !slices.ContainsFunc(s.skip, is)
}

// Bounds of the cutter's memory.
const (
	windowSize   = 256 << 10
	siblingBound = 1 << 20 // all members beside the array together
	probeBound   = 1 << 20 // one value a pager wants
)

// node is one place of an answer on the way to something wanted.
type node struct {
	names  []edge
	spots  []spot
	all    *node
	array  bool  // the records are here
	probes []int // indexes of the values wanted here
}

type edge struct {
	name string
	to   *node
}

type spot struct {
	index int
	to    *node
}

func (n *node) add(p path) *node {
	for _, st := range p {
		var to *node
		switch st.kind {
		case every:
			if n.all == nil {
				n.all = &node{}
			}
			to = n.all
		case byIndex:
			for _, s := range n.spots {
				if s.index == st.index {
					to = s.to
				}
			}
			if to == nil {
				to = &node{}
				n.spots = append(n.spots, spot{st.index, to})
			}
		default:
			for _, e := range n.names {
				if e.name == st.name {
					to = e.to
				}
			}
			if to == nil {
				to = &node{}
				n.names = append(n.names, edge{st.name, to})
			}
		}
		n = to
	}
	return n
}

// named is the node of a member by its quoted name, nil if nothing is wanted there.
func (n *node) named(quoted []byte) *node {
	if n == nil {
		return nil
	}
	for i := range n.names {
		if nameIs(quoted, n.names[i].name) {
			return n.names[i].to
		}
	}
	return n.all
}

func (n *node) at(i int) *node {
	if n == nil {
		return nil
	}
	for _, s := range n.spots {
		if s.index == i {
			return s.to
		}
	}
	return n.all
}
