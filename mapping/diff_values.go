package mapping

import (
	"encoding/json"

	"weir/record"
)

// values compares the values of one place: objects member by member, arrays of objects element by element, all else as a whole. hasX and
// hasY say whether the rows have the place at all.
func (d *differ) values(f fieldPair, x, y record.Value, hasX, hasY bool) {
	switch {
	case !hasX && !hasY:
	case splits(x, hasX, record.KindObject) && splits(y, hasY, record.KindObject) && !f.is(record.Map):
		d.members(f, x, y, hasX, hasY)
	case splits(x, hasX, record.KindArray) && splits(y, hasY, record.KindArray) && (structured(x) || structured(y)):
		d.elements(f.element(), x, y)
	case !hasX || !hasY || !sameInRow(f, x, y):
		d.differs(f, x, y, hasX, hasY)
	}
}

// splits reports whether a value can be taken apart as an object or array; one that is not there can.
func splits(v record.Value, has bool, kind record.Kind) bool { return !has || v.Kind() == kind }

// structured reports whether an array has objects or arrays of objects.
func structured(v record.Value) bool {
	for _, e := range v.Items() {
		if e.Kind() == record.KindObject || structured(e) {
			return true
		}
	}
	return false
}

func (d *differ) members(f fieldPair, x, y record.Value, hasX, hasY bool) {
	p, q := x.Object(), y.Object()
	if p.Len() == 0 && q.Len() == 0 { // an empty object has no members that could tell
		if hasX != hasY {
			d.differs(f, x, y, hasX, hasY)
		}
		return
	}
	at := len(d.path)
	one := func(name string, v, w record.Value, hasV, hasW bool) {
		if at > 0 {
			d.path = append(d.path, '.')
		}
		d.path = record.AppendName(d.path, name)
		d.values(f.member(name), v, w, hasV, hasW)
		d.path = d.path[:at]
	}
	for i := range p.Len() {
		name, v := p.Member(i)
		w, ok := q.Get(name)
		one(name, v, w, true, ok)
	}
	for i := range q.Len() {
		name, w := q.Member(i)
		if _, ok := p.Get(name); !ok {
			one(name, record.Null(), w, false, true)
		}
	}
}

func (d *differ) elements(f fieldPair, x, y record.Value) {
	at := len(d.path)
	d.path = append(d.path, "[*]"...)
	for i := range max(len(x.Items()), len(y.Items())) {
		v, hasV := x.At(i)
		w, hasW := y.At(i)
		d.values(f, v, w, hasV, hasW)
	}
	d.path = d.path[:at]
}

// differs notes a difference at the current place.
func (d *differ) differs(f fieldPair, x, y record.Value, hasX, hasY bool) {
	d.found = true
	p := d.place(d.path)
	if p == nil {
		return
	}
	switch {
	case !hasX:
		p.Appeared++
	case !hasY:
		p.Vanished++
	default:
		p.Changed++
		if x.Kind() != y.Kind() && (!x.IsNumber() || !y.IsNumber() || !f.agreed()) {
			p.changedType(x.Kind().String(), y.Kind().String())
		}
	}
	if p.examples >= d.most || len(d.report.Examples) >= maxDiffExamples {
		return
	}
	p.examples++
	e := DiffExample{Record: d.record, Destination: p.Destination}
	if hasX {
		e.Before = e.value(x)
	}
	if hasY {
		e.After = e.value(y)
	}
	d.report.Examples = append(d.report.Examples, e)
}

func (p *DestinationDiff) changedType(from, to string) {
	for i := range p.TypeChanges { // at most 56 pairs
		if t := &p.TypeChanges[i]; t.From == from && t.To == to {
			t.Count++
			return
		}
	}
	p.TypeChanges = append(p.TypeChanges, TypeChange{from, to, 1})
}

// value is a value of the example as JSON, of bounded length.
func (e *DiffExample) value(v record.Value) json.RawMessage {
	raw := v.AppendJSON(nil)
	if len(raw) <= maxDiffValue {
		return raw
	}
	e.Cut = true
	return record.AppendQuoted(nil, cutText(string(raw), maxDiffValue))
}

// sameInRow reports whether two values are the same in a row: by value where both targets have the same type for it, by kind and value otherwise.
func sameInRow(f fieldPair, x, y record.Value) bool {
	if x.IsNumber() && y.IsNumber() {
		if f.agreed() {
			return compareNumbers(x, y) == 0
		}
		return x.Kind() == y.Kind() && sameNumber(x, y)
	}
	if x.Kind() != y.Kind() {
		return false
	}
	switch x.Kind() {
	case record.KindBool:
		return x.Bool() == y.Bool()
	case record.KindText:
		return x.Text() == y.Text()
	case record.KindDate:
		if f.agreed() && x.IsDay() == y.IsDay() && x.Time().Equal(y.Time()) {
			return true
		}
		return string(x.AppendDate(nil)) == string(y.AppendDate(nil))
	case record.KindArray:
		return sameElements(f.element(), x.Items(), y.Items())
	case record.KindObject:
		return sameFields(f, x.Object(), y.Object())
	default:
		return true // both null
	}
}

// sameNumber compares two numbers exactly, without regard to how they are written.
func sameNumber(x, y record.Value) bool {
	a, b := string(x.AppendNumber(nil)), string(y.AppendNumber(nil))
	if a == b {
		return true
	}
	p, ok := record.ParseExact(a)
	q, ok2 := record.ParseExact(b)
	return ok && ok2 && p.Rat().Cmp(q.Rat()) == 0
}

func sameElements(f fieldPair, x, y []record.Value) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !sameInRow(f, x[i], y[i]) {
			return false
		}
	}
	return true
}

func sameFields(f fieldPair, x, y *record.Object) bool {
	if x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		name, v := x.Member(i)
		w, ok := y.Get(name)
		if !ok || !sameInRow(f.member(name), v, w) {
			return false
		}
	}
	return true
}
