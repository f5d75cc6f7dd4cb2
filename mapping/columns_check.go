package mapping

import (
	"math"
	"unicode/utf8"

	"weir/record"
)

// targetNode is a field of the target as the program sees it: what makes an object be there, and what its values must satisfy.
type targetNode struct {
	field *record.Field
	col   []int
	kids  []*targetNode // of a struct that single mappings fill; nil for leaves and for columns with a general task
	used  bool          // some mapping writes here or below
	depth int           // how many names lead here
	rules []*rule       // that write here, or into the list or map that this is
	leaf  *leafCheck
	task  int // that fills the column, if it has no kids
}

// check marks the rows that may have to be rejected and settles which objects are there: those with a member. A row is marked too often rather
// than too seldom; the transformer has the last word.
func (n *targetNode) check(w *Lane) {
	for _, k := range n.kids {
		if !k.used {
			continue
		}
		if k.kids != nil {
			k.check(w)
		} else if k.leaf != nil {
			k.leaf.mark(w, w.column(k.col))
		}
	}
	if n.field != nil {
		n.presence(w)
	}
	n.required(w)
}

// presence sets which rows of a struct column are there.
func (n *targetNode) presence(w *Lane) {
	c := w.column(n.col)
	c.None = false
	valid := growValid(c, w.n)
	clear(valid)
	missing := w.n
	for _, k := range n.kids {
		if !k.used || missing == 0 {
			continue
		}
		if w.gone != nil && k.kids == nil { // whatever was written counts, null too
			for i, g := range w.gone[k.task][:w.n] {
				if g == 0 && valid[i] == 0 {
					valid[i] = 1
					missing--
				}
			}
			continue
		}
		kc := w.column(k.col)
		if kc.None {
			continue
		}
		if kc.Valid == nil && kc.Field.Type != record.String {
			missing = 0
			break
		}
		for i := range valid {
			if valid[i] == 0 && !kc.Null(i) {
				valid[i] = 1
				missing--
			}
		}
	}
	if missing == 0 {
		c.Valid = nil
	}
}

// required marks rows in which the object is there and a required member is not.
func (n *targetNode) required(w *Lane) {
	for _, k := range n.kids {
		if !k.field.Required {
			continue
		}
		kc := w.column(k.col)
		for i := range w.n {
			if kc.Null(i) && (n.field == nil || !w.column(n.col).Null(i)) {
				w.reject(i, badPlain)
			}
		}
	}
}

// leafCheck is the constraints of a leaf, ready to run.
type leafCheck struct {
	typ     record.Type
	check   *record.Check
	pattern *matcher
	enum    map[string]bool
}

func newLeafCheck(f *record.Field) *leafCheck {
	if f.Check == nil {
		return nil
	}
	c := &leafCheck{typ: f.Type, check: f.Check}
	if f.Check.Pattern != nil {
		c.pattern = newMatcher(f.Check.Pattern)
	}
	if len(f.Check.Enum) > 0 {
		c.enum = make(map[string]bool, len(f.Check.Enum))
		for _, e := range f.Check.Enum {
			c.enum[e] = true
		}
	}
	return c
}

func (c *leafCheck) mark(w *Lane, col *record.Column) {
	if col.None {
		return
	}
	if c.typ == record.String {
		for i, s := range col.Text[:w.n] {
			if s != 0 && !c.text(s.In(w.sp.Buf)) {
				w.reject(i, badPlain)
			}
		}
		return
	}
	why := badGeneral // the message shows the number as it was written
	if c.typ.Integer() {
		why = badPlain
	}
	for i, x := range col.Words[:w.n] {
		if !col.Null(i) && !c.word(x) {
			w.reject(i, why)
		}
	}
}

// text reports whether a text is certainly fine.
func (c *leafCheck) text(v []byte) bool {
	k := c.check
	if c.enum != nil && !c.enum[string(v)] || c.pattern != nil && !c.pattern.match(v) || k.Format != "" && !validFormat(k.Format, view(v)) {
		return false
	}
	if k.MinLength != nil || k.MaxLength != nil {
		n := utf8.RuneCount(v)
		if k.MinLength != nil && n < *k.MinLength || k.MaxLength != nil && n > *k.MaxLength {
			return false
		}
	}
	return true
}

// word reports whether another leaf is certainly fine.
func (c *leafCheck) word(x uint64) bool { //nolint:gocyclo // a list of bounds
	k := c.check
	if c.enum != nil || c.pattern != nil || k.MinLength != nil || k.MaxLength != nil {
		return false
	}
	if k.Minimum == nil && k.Maximum == nil && k.ExclMin == nil && k.ExclMax == nil {
		return true
	}
	f := float64(int64(x))
	switch {
	case c.typ == record.Number:
		f = math.Float64frombits(x)
	case !c.typ.Integer() || int64(x) > 1<<53 || int64(x) < -1<<53:
		return false
	}
	return (k.Minimum == nil || f >= *k.Minimum) && (k.Maximum == nil || f <= *k.Maximum) && (k.ExclMin == nil || f > *k.ExclMin) && (k.ExclMax == nil || f < *k.ExclMax)
}

// explain adds to v what is wrong with row i, as the transformer would say it. What the columns do not tell is computed again.
func (n *targetNode) explain(w *Lane, i int, path string, v *verifier) {
	for _, k := range n.kids {
		there := k.used && !w.column(k.col).Null(i)
		if !there && !k.field.Required {
			continue
		}
		at := string(record.AppendName(nil, k.field.Name))
		if path != "" {
			at = path + "." + at
		}
		switch {
		case !there:
			v.missing(at)
		case k.kids != nil:
			k.explain(w, i, at, v)
		case w.p.parts[k.task].free:
		case k.field.Type == record.String:
			v.field(k.field, record.TextOf(string(w.column(k.col).Text[i].In(w.sp.Buf))), at)
		case k.field.Type.Integer():
			v.field(k.field, record.IntOf(int64(w.column(k.col).Words[i])), at)
		default:
			x := w.again(k.task, i).Data
			for _, s := range w.p.parts[k.task].path {
				x, _ = x.Get(s.Name)
			}
			v.field(k.field, x, at)
		}
	}
}
