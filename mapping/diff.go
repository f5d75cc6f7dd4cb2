package mapping

import (
	"cmp"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"weir/record"
)

// Bounds of a [DiffReport], whatever the input's size.
const (
	maxDiffPaths    = 10_000 // destinations with figures of their own
	maxDiffPath     = 1000   // bytes of such a destination
	maxDiffExamples = 1000   // examples of all destinations together
	maxDiffReasons  = 10     // reasons shown of one rejected record
	maxDiffValue    = 500    // bytes of a value in an example
)

// DefaultDiffExamples is how many examples of one destination a report has if the caller does not care.
const DefaultDiffExamples = 5

// DiffOptions say how two versions are compared.
type DiffOptions struct {
	// Now is the instant of every record: now() is the same in both versions.
	Now time.Time
	// Examples is how many examples there may be of each destination, and of each way to reject; 0 is none.
	Examples int
}

// DiffReport is how the rows of two versions of a mapping set differ. Records = Same + Changed + OnlyRejectedByFrom + OnlyRejectedByTo +
// RejectedByBoth + Unreadable.
type DiffReport struct {
	Records int64 `json:"records"`
	// Same and Changed are records that are rows in both versions.
	Same    int64 `json:"same"`
	Changed int64 `json:"changed"`
	// Rejected records have no row to compare. RejectsDiffer of those that both reject are
	// rejected at other places or with other codes.
	OnlyRejectedByFrom int64 `json:"onlyRejectedByFrom"`
	OnlyRejectedByTo   int64 `json:"onlyRejectedByTo"`
	RejectedByBoth     int64 `json:"rejectedByBoth"`
	RejectsDiffer      int64 `json:"rejectsDiffer"`
	// WarningsDiffer are records with other warnings, whatever became of their rows.
	WarningsDiffer int64 `json:"warningsDiffer"`
	// Unreadable are records that are no JSON.
	Unreadable int64 `json:"unreadable"`
	// Destinations have a difference each, the most changed first. OtherDestinations counts the differences at further ones: beyond the
	// ten thousandth, or with a path of more than 1000 bytes.
	Destinations      []DestinationDiff `json:"destinations"`
	OtherDestinations int64             `json:"otherDestinations"`
	// Examples are in the order of the records, at most 1000; Rejects are examples of records that only one version rejects, or both for
	// different reasons.
	Examples []DiffExample `json:"examples"`
	Rejects  []DiffReject  `json:"rejects"`
}

// DestinationDiff is what differs at one place of the row: a path with [*] for every element of an array. Values inside arrays of objects
// count one by one; a map and an array of plain values are one value.
type DestinationDiff struct {
	Destination string `json:"destination"`
	// Changed values are in both rows, Appeared only in the later one, Vanished only in the earlier one.
	Changed  int64 `json:"changed"`
	Appeared int64 `json:"appeared"`
	Vanished int64 `json:"vanished"`
	// TypeChanges are the changed values that became another kind.
	TypeChanges []TypeChange `json:"typeChanges"`
	// Warnings and rejects that name this place and that only one version has.
	WarningsFrom int64 `json:"warningsFrom"`
	WarningsTo   int64 `json:"warningsTo"`
	RejectsFrom  int64 `json:"rejectsFrom"`
	RejectsTo    int64 `json:"rejectsTo"`

	examples int
}

// TypeChange counts values that were of one kind and are of another: null, boolean, integer, number, text, date, array, object.
type TypeChange struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int64  `json:"count"`
}

// DiffExample is one difference. Before is absent for a value that appeared, After for one that vanished. A long value is cut: then it is
// the beginning of its JSON as a text, and Cut says so.
type DiffExample struct {
	// Record is the position of the record, from 0.
	Record      int64           `json:"record"`
	Destination string          `json:"destination"`
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Cut         bool            `json:"cut,omitempty"`
}

// DiffReject is a record with the reasons of the versions that reject it, at most ten of each; a version without reasons keeps it.
type DiffReject struct {
	Record int64        `json:"record"`
	From   []DiffReason `json:"from,omitempty"`
	To     []DiffReason `json:"to,omitempty"`
}

// DiffReason is a reason to reject a row; see [RowError].
type DiffReason struct {
	Code    string `json:"code"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Diff maps every record with two versions and compares the rows. An error of records that is a [*record.SyntaxError] stands for a record
// that is no JSON; any other ends the comparison. Numbers are compared by value and times by instant where both targets have the field's
// type; without a target, another kind of number is a difference. What is random (uuid()) is the same in both versions for a mapping
// that both have. It holds one record and a report of bounded size in memory.
func Diff(from, to *Transformer, records iter.Seq2[record.Value, error], o DiffOptions) (*DiffReport, error) {
	d := differ{
		report: &DiffReport{Destinations: []DestinationDiff{}, Examples: []DiffExample{}, Rejects: []DiffReject{}},
		places: map[string]int{}, most: max(o.Examples, 0),
	}
	d.root = fieldPair{rowField(from.target), rowField(to.target)}
	to = aligned(from, to)
	env := NewEnv("diff", o.Now)
	for rec, err := range records {
		d.record = d.report.Records
		d.report.Records++
		if err != nil {
			if _, bad := errors.AsType[*record.SyntaxError](err); bad {
				d.report.Unreadable++
				continue
			}
			return nil, err
		}
		env.Next(d.record)
		before := from.Transform(rec, env)
		env.Next(d.record)
		after := to.Transform(rec, env)
		d.results(&before, &after)
	}
	d.sort()
	return d.report, nil
}

// aligned is the later version with the call sites of the earlier one for mappings that both have, wherever they stand: uuid() then
// gives them the same ids.
func aligned(from, to *Transformer) *Transformer {
	type same struct{ source, dest string }
	sites := map[same][]int{}
	for i := range from.rules {
		if r := &from.rules[i]; r.expr != nil {
			k := same{r.source, r.destText}
			sites[k] = append(sites[k], r.expr.opts.Site)
		}
	}
	out := *to
	out.rules = slices.Clone(to.rules)
	for i := range out.rules {
		r := &out.rules[i]
		if r.expr == nil {
			continue
		}
		e := *r.expr
		e.opts.Site += MaxMappings + 1 // no site of the earlier version
		k := same{r.source, r.destText}
		if s := sites[k]; len(s) > 0 {
			e.opts.Site, sites[k] = s[0], s[1:]
		}
		r.expr = &e
	}
	return &out
}

// rowField is a schema as the field of a whole row, nil for none.
func rowField(s *record.Schema) *record.Field {
	if s == nil {
		return nil
	}
	return &record.Field{Type: record.Struct, Fields: s.Fields}
}

// fieldPair is the target field of a place in both versions, nil where it is unknown.
type fieldPair struct{ from, to *record.Field }

func (p fieldPair) both(do func(f *record.Field) *record.Field) fieldPair {
	var out fieldPair
	if p.from != nil {
		out.from = do(p.from)
	}
	if p.to != nil {
		out.to = do(p.to)
	}
	return out
}

func (p fieldPair) member(name string) fieldPair {
	return p.both(func(f *record.Field) *record.Field {
		if f.Type == record.Map {
			return f.Elem
		}
		return fieldAt(f, name)
	})
}

func (p fieldPair) element() fieldPair {
	return p.both(func(f *record.Field) *record.Field { return f.Elem })
}

// is reports whether a version's field has that type.
func (p fieldPair) is(t record.Type) bool {
	return p.from != nil && p.from.Type == t || p.to != nil && p.to.Type == t
}

// agreed reports whether both versions know the field and give it the same type.
func (p fieldPair) agreed() bool { return p.from != nil && p.to != nil && p.from.Type == p.to.Type }

// differ is one comparison.
type differ struct {
	report *DiffReport
	places map[string]int // destination → its position in the report
	most   int
	root   fieldPair
	record int64
	path   []byte
	found  bool // the row in hand has a difference
	// examples of rejected records: only by the earlier version, only by the later one, by both.
	rejects [3]int
}

// results compares what became of one record.
func (d *differ) results(before, after *Result) {
	r := d.report
	a, b := apart(warningTexts(before.Warnings), warningTexts(after.Warnings))
	if len(a)+len(b) > 0 {
		r.WarningsDiffer++
		d.count(a, func(p *DestinationDiff) { p.WarningsFrom++ })
		d.count(b, func(p *DestinationDiff) { p.WarningsTo++ })
	}
	if len(before.Reject)+len(after.Reject) > 0 {
		d.rejected(before.Reject, after.Reject)
		return
	}
	d.found, d.path = false, d.path[:0]
	d.values(d.root, before.Data, after.Data, true, true)
	if d.found {
		r.Changed++
	} else {
		r.Same++
	}
}

// rejected notes a record that a version rejects.
func (d *differ) rejected(from, to []RowError) {
	r := d.report
	class := 2
	switch {
	case len(to) == 0:
		class = 0
		r.OnlyRejectedByFrom++
	case len(from) == 0:
		class = 1
		r.OnlyRejectedByTo++
	default:
		r.RejectedByBoth++
	}
	a, b := apart(rejectTexts(from), rejectTexts(to))
	if len(a)+len(b) == 0 {
		return
	}
	if class == 2 {
		r.RejectsDiffer++
	}
	d.count(a, func(p *DestinationDiff) { p.RejectsFrom++ })
	d.count(b, func(p *DestinationDiff) { p.RejectsTo++ })
	if d.rejects[class] < min(d.most, maxDiffExamples) {
		d.rejects[class]++
		r.Rejects = append(r.Rejects, DiffReject{Record: d.record, From: reasonsOf(from), To: reasonsOf(to)})
	}
}

func reasonsOf(errs []RowError) []DiffReason {
	var out []DiffReason
	for _, e := range errs[:min(len(errs), maxDiffReasons)] {
		out = append(out, DiffReason{e.Code, cutText(e.Path, maxDiffPath), cutText(e.Message, maxDiffPath)})
	}
	return out
}

// textEnd parts the destination and the rest in the texts of warnings and rejects. Destinations come first, so that they sort by it.
const textEnd = "\x00"

func warningTexts(list []ColumnError) []string {
	out := make([]string, len(list))
	for i := range list {
		w := &list[i]
		out[i] = everyElement(w.Destination) + textEnd + w.Expected + textEnd + w.Actual + textEnd + w.Message
	}
	return out
}

func rejectTexts(list []RowError) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = everyElement(e.Path) + textEnd + e.Code
	}
	return out
}

// everyElement is a path with [*] for every index.
func everyElement(path string) string {
	if !strings.Contains(path, "[") {
		return path
	}
	p, err := record.ParsePath(path)
	if err != nil {
		return path
	}
	for i := range p {
		if p[i].Index >= 0 {
			p[i].Index = record.Every
		}
	}
	return p.String()
}

// apart is what only one of two lists has. It sorts both.
func apart(a, b []string) (onlyA, onlyB []string) {
	slices.Sort(a)
	slices.Sort(b)
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0], b[0]); {
		case c == 0:
			a, b = a[1:], b[1:]
		case c < 0:
			onlyA, a = append(onlyA, a[0]), a[1:]
		default:
			onlyB, b = append(onlyB, b[0]), b[1:]
		}
	}
	return append(onlyA, a...), append(onlyB, b...)
}

func (d *differ) count(texts []string, add func(p *DestinationDiff)) {
	for _, t := range texts {
		dest, _, _ := strings.Cut(t, textEnd)
		if p := d.place([]byte(dest)); p != nil {
			add(p)
		}
	}
}

// place is the entry of a destination. It is nil, and the difference is counted with the others, when the report is full.
func (d *differ) place(path []byte) *DestinationDiff {
	if i, ok := d.places[string(path)]; ok {
		return &d.report.Destinations[i]
	}
	n := len(d.report.Destinations)
	if n >= maxDiffPaths || len(path) > maxDiffPath {
		d.report.OtherDestinations++
		return nil
	}
	d.places[string(path)] = n
	d.report.Destinations = append(d.report.Destinations, DestinationDiff{Destination: string(path), TypeChanges: []TypeChange{}})
	return &d.report.Destinations[n]
}

// sort puts the most changed destinations first.
func (d *differ) sort() {
	weight := func(p *DestinationDiff) int64 {
		return p.Changed + p.Appeared + p.Vanished + p.RejectsFrom + p.RejectsTo + p.WarningsFrom + p.WarningsTo
	}
	slices.SortFunc(d.report.Destinations, func(a, b DestinationDiff) int {
		if c := cmp.Compare(weight(&b), weight(&a)); c != 0 {
			return c
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	for i := range d.report.Destinations {
		slices.SortStableFunc(d.report.Destinations[i].TypeChanges, func(a, b TypeChange) int { return cmp.Compare(b.Count, a.Count) })
	}
}

// cutText shortens a text to about n bytes.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
