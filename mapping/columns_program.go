package mapping

import (
	"slices"

	"weir"
	"weir/record"
)

// programRows is how many records a batch of a program has: few enough that a batch stays in the processor's cache from the scan to the page.
const programRows = 256

// Program is a mapping set compiled against a target: it fills column batches straight from JSON bytes. Its rows, warnings and rejects are
// those of the transformer. It is immutable and safe for goroutines; each brings its own [Lane].
type Program struct {
	target  *record.Schema
	plan    *record.Plan
	rows    int
	tasks   []task
	root    *targetNode
	unknown bool // count members that the target does not have

	sources  []*source
	literals int
	commons  []*sharedOp
	evals    int
	parts    []*part // by task
	whole    *Transformer
}

// NewProgram compiles a set for a target schema and the shape of a source. Its errors are those of [NewTransformer].
func NewProgram(set *Set, target *record.Schema, shape weir.Shape) (*Program, error) {
	t, err := NewTransformer(set, target, shape)
	if err != nil {
		return nil, err
	}
	return newProgram(t), nil
}

// Program compiles the set; see [NewProgram].
func (s *Set) Program(target *record.Schema, shape weir.Shape) (*Program, error) {
	return NewProgram(s, target, shape)
}

// NewPassThrough is the program of a flow without a mapping set: every field of the target takes the member of its name. Members
// that the target does not have are dropped and counted as warnings.
func NewPassThrough(target *record.Schema, shape weir.Shape) (*Program, error) {
	return passThrough(target, shape, false, false)
}

// NewStrict is the program of uploaded rows (schema-catalog-data §4.7): a pass-through in which a value that cannot become its field's
// type rejects the row instead of being left out, and in which values are taken only as the types they have. Constraints that a row
// breaks have the codes of the DCVS family. With zoned, a text with a time of day and no zone is no date-time (Q43); else it is UTC.
func NewStrict(target *record.Schema, zoned bool) (*Program, error) {
	return passThrough(target, weir.Shape{}, true, zoned)
}

func passThrough(target *record.Schema, shape weir.Shape, strict, zoned bool) (*Program, error) {
	set := &Set{}
	for i := range target.Fields {
		name := string(record.AppendName(nil, target.Fields[i].Name))
		set.Mappings = append(set.Mappings, Mapping{SourceType: Attribute, Source: name, Destination: name})
	}
	t, err := NewTransformer(set, target, shape)
	if err != nil {
		return nil, err
	}
	t.strict, t.zoned = strict, zoned
	p := newProgram(t)
	p.unknown, p.plan.CountUnknown = true, true
	return p, nil
}

func newProgram(t *Transformer) *Program {
	b := programBuilder{
		p:  &Program{target: t.target, rows: programRows, whole: t},
		pl: newPlanner(t.wrapper),
	}
	b.ops = opCompiler{p: b.pl, shared: map[string]*sharedOp{}, uses: map[string]int{}}
	for i := range t.rules {
		if r := &t.rules[i]; r.kind == Expression {
			b.ops.count(r.expr.root)
		}
	}
	p := b.p
	p.root = &targetNode{kids: b.nodes(t.target.Fields, nil)}
	for i := range t.rules {
		b.place(&t.rules[i])
	}
	b.tasks(p.root)
	p.plan, p.sources, p.literals, p.commons, p.evals = b.pl.plan, b.pl.list, b.ops.literals, b.ops.commons, b.ops.evals
	return p
}

// programBuilder builds a program from the rules of a transformer.
type programBuilder struct {
	p   *Program
	pl  *planner
	ops opCompiler
}

// nodes is the tree of target fields.
func (b *programBuilder) nodes(fields []record.Field, at []int) []*targetNode {
	out := make([]*targetNode, len(fields))
	for i := range fields {
		n := &targetNode{field: &fields[i], col: append(append([]int(nil), at...), i)}
		if fields[i].Type == record.Struct {
			n.kids = b.nodes(fields[i].Fields, n.col)
		}
		out[i] = n
	}
	return out
}

// place gives a rule to the node it writes: the field itself, or the list or map on the way to it.
func (b *programBuilder) place(r *rule) {
	n := b.p.root
	for depth, s := range r.dest {
		if n.field != nil && n.field.Type != record.Struct || s.Index != record.ByName {
			break
		}
		var next *targetNode
		for _, k := range n.kids {
			if k.field.Name == s.Name {
				next = k
				break
			}
		}
		n = next
		n.used = true
		n.depth = depth + 1
	}
	n.rules = append(n.rules, r)
}

// tasks makes the tasks of a node's members.
func (b *programBuilder) tasks(n *targetNode) {
	for _, k := range n.kids {
		switch {
		case !k.used:
		case len(k.rules) == 0: // an object whose members are mapped one by one
			b.tasks(k)
		case len(k.rules) == 1 && len(k.kids) == 0 && isScalarField(k.field):
			b.leaf(k)
		default:
			b.tree(k)
		}
	}
}

func (b *programBuilder) leaf(n *targetNode) {
	r := n.rules[0]
	n.leaf = newLeafCheck(n.field)
	n.task = len(b.p.tasks)
	t := &leafTask{id: n.task, col: n.col, field: n.field, part: b.part(n.rules, n), op: b.op(r)}
	b.p.tasks, b.p.parts = append(b.p.tasks, t), append(b.p.parts, t.part)
}

// op is the operator of a rule.
func (b *programBuilder) op(r *rule) vecOp {
	switch r.kind {
	case Static:
		return b.ops.literal(r.static)
	case Expression:
		return b.ops.compile(r.expr)
	default:
	}
	return b.pl.attribute(r.key, r.path, r.dest.Wildcards())
}

// tree is a column that is filled as a whole: all rules below it belong to its task.
func (b *programBuilder) tree(n *targetNode) {
	var rules []*rule
	var collect func(n *targetNode)
	collect = func(n *targetNode) {
		rules = append(rules, n.rules...)
		for _, k := range n.kids {
			collect(k)
		}
	}
	collect(n)
	n.kids = nil
	n.task = len(b.p.tasks)
	t := &treeTask{id: n.task, col: n.col, field: n.field, part: b.part(rules, n)}
	t.quick = b.quick(n, rules)
	for _, i := range t.part.t.order {
		t.ops = append(t.ops, b.op(&t.part.t.rules[i]))
	}
	b.p.tasks, b.p.parts = append(b.p.tasks, t), append(b.p.parts, t.part)
}

// part is the general path for some rules that write at or below a node.
func (b *programBuilder) part(rules []*rule, n *targetNode) *part {
	whole := b.p.whole
	sub := &Transformer{wrapper: whole.wrapper, allowNull: whole.allowNull, strict: whole.strict, zoned: whole.zoned, rules: whole.rules}
	mine := map[int]bool{}
	for _, r := range rules {
		mine[r.mapping] = true
	}
	for _, i := range whole.order {
		if mine[whole.rules[i].mapping] {
			sub.order = append(sub.order, i)
		}
	}
	return &part{t: sub, path: rules[0].dest[:n.depth], field: n.field, task: n.task, free: unruled(n.field)}
}

// part computes the value of one column by the general path.
type part struct {
	t     *Transformer
	path  record.Path // names only
	field *record.Field
	task  int
	free  bool // no value of the field breaks a rule
}

// unruled reports whether a field and all below have neither constraints nor required members.
func unruled(f *record.Field) bool {
	if f.Check != nil || f.Elem != nil && !unruled(f.Elem) {
		return false
	}
	for i := range f.Fields {
		if f.Fields[i].Required || !unruled(&f.Fields[i]) {
			return false
		}
	}
	return true
}

// dest is the destination of the first mapping.
func (t *part) dest() string { return t.t.rules[t.t.order[0]].destText }

// single reports whether one mapping writes the column as a whole.
func (t *part) single() bool {
	return len(t.t.order) == 1 && len(t.t.rules[t.t.order[0]].dest) == len(t.path)
}

// run computes a part of record row; gone says that nothing was written, not even null.
func (w *Lane) run(t *part, row int) (v record.Value, gone bool) {
	res := t.t.Transform(w.record(row), w.env)
	return w.settled(t, row, res.Data, res.Warnings)
}

// settled takes a part out of the data that its rules made, and notes what became of them.
func (w *Lane) settled(t *part, row int, v record.Value, warnings []ColumnError) (_ record.Value, gone bool) {
	for i := range warnings {
		w.warn(row, t.task, warnings[i].Destination)
	}
	ok := true
	for _, s := range t.path {
		v, ok = v.Get(s.Name)
	}
	w.verify(t, row, v)
	return v, !ok
}

// verify lets the transformer judge a row with a value that breaks a rule of its field.
func (w *Lane) verify(t *part, row int, v record.Value) {
	if t.free || v.IsNull() {
		return
	}
	var check verifier
	if check.field(t.field, v, ""); len(check.out) > 0 {
		w.reject(row, badGeneral)
	}
}

// warn notes a lost value.
func (w *Lane) warn(row, task int, dest string) {
	w.warned = append(w.warned, warning{int32(row), int32(task), dest})
	if w.p.whole.strict { // every lost value rejects its row
		w.reject(row, badGeneral)
		return
	}
	w.bad[row] |= badWarned
}

// lost is the destinations of the values that record row has lost.
func (w *Lane) lost(row int) []ColumnError {
	var out []ColumnError
	for _, x := range w.warned {
		if int(x.row) == row {
			out = append(out, ColumnError{Destination: x.dest})
		}
	}
	return out
}

// reasons are the values that record row has lost and what was wrong, for some destinations (nil: all) and those computed with them.
func (w *Lane) reasons(row int, of []string) []ColumnError {
	var out []ColumnError
	done := map[int32]bool{}
	for _, x := range w.warned {
		if int(x.row) == row && !done[x.task] && (of == nil || slices.Contains(of, x.dest)) {
			done[x.task] = true
			out = append(out, w.again(int(x.task), row).Warnings...)
		}
	}
	slices.SortStableFunc(out, func(a, b ColumnError) int { return a.Mapping - b.Mapping })
	return out
}

// again computes a task of record row by the general path, for what columns do not tell.
func (w *Lane) again(task, row int) Result {
	rec := w.record(row)
	w.env.Next(w.env.Record)
	return w.p.parts[task].t.Transform(rec, w.env)
}

// verdict is why a marked row is rejected, nil if it is not.
func (p *Program) verdict(w *Lane, row int, mark uint8) []record.RowError {
	var found []RowError
	if p.whole.strict && mark&badGeneral != 0 {
		rec := w.record(row)
		w.env.Next(w.env.Record)
		found = p.whole.Transform(rec, w.env).Reject
	} else {
		v := verifier{strict: p.whole.strict, warnings: w.lost(row), names: true}
		p.root.explain(w, row, "", &v)
		if len(v.lost) > 0 {
			v = verifier{warnings: w.reasons(row, v.lost)}
			p.root.explain(w, row, "", &v)
		}
		found = v.out
	}
	out := make([]record.RowError, len(found))
	for i, e := range found {
		out[i] = record.RowError{Code: e.Code, Column: e.Path, Message: e.Message, Conversion: e.Conversion}
	}
	return out
}
