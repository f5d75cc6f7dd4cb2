package mapping

// Column is how a program fills a column of its target, and how often it could not do so by vectors.
type Column struct {
	// Destination is the path of the column; Mappings are the positions of the mappings that write it, in the set.
	Destination string
	Mappings    []int
	// General names what of the mappings has no operator over vectors, so that every row takes the general path; "" for none.
	General string
	// Rows is how many rows the lane settled by the general path.
	Rows int64
}

// Columns tells for every column of the target that some mapping fills how the lane has done so.
func (w *Lane) Columns() []Column {
	out := make([]Column, len(w.p.tasks))
	for i, t := range w.p.tasks {
		var p *part
		switch t := t.(type) {
		case *leafTask:
			p = t.part
			out[i].General = evaluatedForm(t.op, p)
		case *treeTask:
			p = t.part
			if t.quick == nil {
				out[i].General = p.form()
			}
		}
		out[i].Destination, out[i].Rows = p.path.String(), w.slowRows[i]
		for _, k := range p.t.order {
			out[i].Mappings = append(out[i].Mappings, p.t.rules[k].mapping)
		}
	}
	return out
}

// form describes mappings in a few words.
func (p *part) form() string {
	r := &p.t.rules[p.t.order[0]]
	switch {
	case p.t.allowNull:
		return "allowNullValues"
	case len(p.t.order) > 1:
		return "several mappings of one " + p.field.Type.String()
	case r.kind == Expression:
		return formOf(r.expr.root) + " → " + p.field.Type.String()
	case p.t.wrapper != "":
		return p.field.Type.String() + " from a wrapped record"
	}
	return r.source + " → " + p.field.Type.String()
}

// formOf is the outermost part of an expression that is no plain operator.
func formOf(n node) string {
	switch n := n.(type) {
	case *callNode:
		return n.name + "()"
	case *methodNode:
		return "." + n.name + "()"
	case *spreadNode:
		return "[*]"
	case *indexNode:
		return "[n]"
	case *arrayNode:
		return "[…]"
	case *mapNode:
		return "{…}"
	case *memberNode, *fieldNode:
		return "field"
	}
	for _, k := range children(n) {
		if f := formOf(k); f != "field" {
			return f
		}
	}
	return "field"
}

// evaluatedForm names the form of a mapping that is evaluated row by row.
func evaluatedForm(op vecOp, p *part) string {
	if _, ok := op.(*evalOp); ok {
		return p.form()
	}
	return ""
}
