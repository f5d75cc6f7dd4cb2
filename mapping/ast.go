package mapping

import "weir/record"

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
		x    node
		name string
		args []node
		prep []any
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
	if p, rest := chain(n); p != "" {
		add(p)
		for _, c := range rest {
			attributes(c, add)
		}
		return
	}
	for _, c := range children(n) {
		attributes(c, add)
	}
}

// chain is the path text of a field with constant steps behind it, "" if n is none; rest are calculated steps inside it.
func chain(n node) (path string, rest []node) {
	switch n := n.(type) {
	case *fieldNode:
		if n.wrapped && n.path != nil {
			return n.path.String(), nil
		}
		return string(record.AppendName(nil, n.name)), nil
	case *memberNode:
		if p, rest := chain(n.x); p != "" {
			return p + "." + string(record.AppendName(nil, n.name)), rest
		}
	case *indexNode:
		p, rest := chain(n.x)
		if p == "" {
			return "", nil
		}
		lit, ok := n.i.(*literalNode)
		if !ok {
			return p, append(rest, n.i)
		}
		if i, ok := lit.v.Int64(); ok && i >= 0 {
			return p + record.Path{{Index: int(i)}}.String(), rest
		}
		if lit.v.Kind() == record.KindText {
			return p + "." + string(record.AppendName(nil, lit.v.Text())), rest
		}
		return p, rest
	case *spreadNode:
		p, rest := chain(n.x)
		if p == "" {
			return "", nil
		}
		tail, more := spreadChain(n.body)
		return p + "[*]" + tail, append(rest, more...)
	}
	return "", nil
}

// spreadChain is the path text of the steps over an element.
func spreadChain(n node) (tail string, rest []node) {
	switch n := n.(type) {
	case *memberNode:
		tail, rest = spreadChain(n.x)
		return tail + "." + string(record.AppendName(nil, n.name)), rest
	case *indexNode:
		tail, rest = spreadChain(n.x)
		if lit, ok := n.i.(*literalNode); ok {
			if i, ok := lit.v.Int64(); ok && i >= 0 {
				return tail + record.Path{{Index: int(i)}}.String(), rest
			}
			return tail, rest
		}
		return tail, append(rest, n.i)
	case *spreadNode:
		tail, rest = spreadChain(n.x)
		more, moreRest := spreadChain(n.body)
		return tail + "[*]" + more, append(rest, moreRest...)
	}
	return "", nil
}
