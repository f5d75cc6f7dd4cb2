package xdm

import (
	"maps"
	"slices"

	"weir/record"
)

// node is one composed field. Nodes are shared between parents and between schemas once built: whoever changes one changes a clone.
type node struct {
	typ      string         // JSON type, "" if nothing says
	keys     map[string]any // every other keyword, as found
	props    map[string]*node
	required []string // sorted, without duplicates
	items    *node
	values   *node // of a map
	cut      bool  // a $ref that was already open: the members are left out
}

func (n *node) clone() *node {
	c := *n
	c.keys = maps.Clone(n.keys)
	c.props = maps.Clone(n.props)
	c.required = slices.Clone(n.required)
	if c.keys == nil {
		c.keys = map[string]any{}
	}
	return &c
}

func (n *node) text(key string) string {
	s, _ := n.keys[key].(string)
	return s
}

// xdm is the XDM type; record.Invalid if nothing says.
func (n *node) xdm() record.Type {
	return typeOf(n.typ, n.text("format"), n.keys, len(n.props) > 0, n.items != nil, n.values != nil)
}

// require adds names to the required list.
func (n *node) require(names ...string) {
	for _, name := range names {
		if i, found := slices.BinarySearch(n.required, name); !found {
			n.required = slices.Insert(n.required, i, name)
		}
	}
}

// child steps into a member by name, through arrays and maps of objects as descriptor paths do. A map takes any name as a key.
func (n *node) child(name string) *node {
	for n.items != nil {
		n = n.items
	}
	if c := n.props[name]; c != nil {
		return c
	}
	if n.values != nil {
		if c := n.inside().props[name]; c != nil {
			return c
		}
		if name != "properties" && name != "items" { // keywords, which paths must not hold
			return n.values
		}
	}
	return nil
}

// inside is the innermost element of arrays and maps.
func (n *node) inside() *node {
	for {
		switch {
		case n.items != nil:
			n = n.items
		case n.values != nil && len(n.props) == 0:
			n = n.values
		default:
			return n
		}
	}
}

// lookup finds a field by its descriptor path; nil if there is none.
func (n *node) lookup(path []string) *node {
	for _, name := range path {
		if n = n.child(name); n == nil {
			return nil
		}
	}
	return n
}

// edit returns a copy of n in which the field at path is replaced by fn's result; nodes beside the path stay shared. step is called for each
// copied object on the way with the name that is followed. If the path leads nowhere n comes back unchanged.
func (n *node) edit(path []string, step func(parent *node, name string), fn func(field *node)) *node {
	if len(path) == 0 {
		c := n.clone()
		fn(c)
		return c
	}
	c := n.clone()
	switch {
	case c.items != nil:
		c.items = c.items.edit(path, nil, fn) // nothing is required through an array
		return c
	case c.props[path[0]] != nil:
		c.props[path[0]] = c.props[path[0]].edit(path[1:], step, fn)
		if step != nil {
			step(c, path[0])
		}
		return c
	case c.values != nil:
		if c.values.inside().props[path[0]] != nil {
			c.values = c.values.edit(path, nil, fn)
		} else {
			c.values = c.values.edit(path[1:], nil, fn)
		}
		return c
	}
	return n
}
