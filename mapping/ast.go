package mapping

import (
	"math"
	"strings"

	"weir/record"
)

// node is a part of an expression. pos is its byte offset in the source.
type node interface{ pos() int }

type at int

func (a at) pos() int { return int(a) }

type (
	// literalNode is a constant, written or folded.
	literalNode struct {
		at
		v record.Value
	}
	// fieldNode is a field of the record: a bare name, or the text of ${…}.
	fieldNode struct {
		at
		name string
		// wrapped fields are looked up as one root key first, then by path (nil if the text is no path).
		wrapped bool
		path    record.Path
	}
	// localNode is a lambda parameter, or the element under a [*].
	localNode struct {
		at
		slot int
		name string
	}
	// memberNode is x.name.
	memberNode struct {
		at
		x    node
		name string
	}
	// indexNode is x[i].
	indexNode struct {
		at
		x, i node
	}
	// spreadNode is x[*] followed by steps: body over each element of x, which is the local in slot. A body that is a spread itself is flattened.
	spreadNode struct {
		at
		x    node
		slot int
		body node
	}
	// callNode is a function call; check fills the rest in.
	callNode struct {
		at
		name string
		args []node
		fn   *function
		sig  *signature
		prep []any // what a signature prepared from literal arguments, by position
	}
	// methodNode is x.name(args).
	methodNode struct {
		at
		x     node
		name  string
		args  []node
		prep  []any
		named []*method // that have the name; check fills it in
	}
	// lambdaNode is (params) -> body; only as an argument.
	lambdaNode struct {
		at
		slots  []int
		params []string
		body   node
	}
	unaryNode struct {
		at
		op string
		x  node
	}
	binaryNode struct {
		at
		op   string
		l, r node
		prep any // compiled regex of =~ and !~
	}
	// condNode is c ? a : b.
	condNode struct {
		at
		c, a, b node
	}
	// arrayNode is […], or {…} without repeats if set.
	arrayNode struct {
		at
		items []node
		set   bool
	}
	mapNode struct {
		at
		keys, vals []node
	}
)

// children are the direct parts of a node in the order they are evaluated.
func children(n node) []node {
	switch n := n.(type) {
	case *memberNode:
		return []node{n.x}
	case *indexNode:
		return []node{n.x, n.i}
	case *spreadNode:
		return []node{n.x, n.body}
	case *callNode:
		return n.args
	case *methodNode:
		return append([]node{n.x}, n.args...)
	case *lambdaNode:
		return []node{n.body}
	case *unaryNode:
		return []node{n.x}
	case *binaryNode:
		return []node{n.l, n.r}
	case *condNode:
		return []node{n.c, n.a, n.b}
	case *arrayNode:
		return n.items
	case *mapNode:
		out := make([]node, 0, 2*len(n.keys))
		for i := range n.keys {
			out = append(out, n.keys[i], n.vals[i])
		}
		return out
	}
	return nil
}

// attributes collects the source paths an expression reads, in order of first use.
func attributes(n node, add func(path string)) {
	c := chain(n, -1)
	if c.path == "" {
		for _, k := range children(n) {
			attributes(k, add)
		}
		return
	}
	add(c.path)
	for _, k := range c.inside {
		attributes(k, add)
	}
}

// reading is a path an expression reads: a field with constant steps behind it. A calculated step ends it.
type reading struct {
	path   string
	ended  bool
	inside []node // calculated steps
}

// chain is the path of a field, or of the element in slot, with the steps behind it; the path is empty if n is none. The element itself is ".".
func chain(n node, slot int) reading {
	switch n := n.(type) {
	case *fieldNode:
		if n.wrapped && n.path != nil {
			return reading{path: n.path.String()}
		}
		return reading{path: string(record.AppendName(nil, n.name))}
	case *localNode:
		if n.slot == slot {
			return reading{path: element}
		}
	case *memberNode:
		return chain(n.x, slot).step("." + string(record.AppendName(nil, n.name)))
	case *indexNode:
		c := chain(n.x, slot)
		lit, ok := n.i.(*literalNode)
		if !ok {
			c.ended, c.inside = true, append(c.inside, n.i)
			return c
		}
		if i, ok := lit.v.Int64(); ok && i >= 0 {
			return c.step(record.Path{{Index: int(min(i, math.MaxInt32))}}.String())
		}
		if lit.v.Kind() == record.KindText {
			return c.step("." + string(record.AppendName(nil, lit.v.Text())))
		}
		c.ended = true
		return c
	case *spreadNode:
		c := chain(n.x, slot)
		body := chain(n.body, n.slot)
		c = c.step("[*]" + strings.TrimPrefix(body.path, element))
		c.ended, c.inside = c.ended || body.ended, append(c.inside, body.inside...)
		return c
	}
	return reading{}
}

// element stands for the element under a [*]; no field has this name, because a dot in a name is escaped.
const element = "."

func (r reading) step(s string) reading {
	if r.path != "" && !r.ended {
		r.path += s
	}
	return r
}
