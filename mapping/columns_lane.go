package mapping

import (
	"slices"
	"strings"
	"time"

	"weir/record"
)

// Lane runs a program over records, one goroutine's worth. Its buffers are reused from batch to batch.
type Lane struct {
	p     *Program
	scan  *record.Scanner
	sp    *record.Spans
	batch *record.Batch
	env   *Env

	n        int // records of the batch
	limit    int // records of the next one
	sources  [][]record.Span
	lent     [][]record.Span // vectors to take back after the batch
	live     []sourceAlt
	every    []int32
	spare    [][]record.Span
	spareSel [][]int32
	literals []record.Span
	common   [][]record.Span
	ready    []bool
	aside    []record.Value
	cache    []parsedValue
	frames   []*frame // by evalOp
	args     []record.Value
	call     frame // of a function that is called alone

	// General path: rows of a column that the fast path left, by task; values of the record at hand are read once.
	slow    []slowRow
	sorted  []slowRow
	next    []int32 // of w.slow by row
	bad     []uint8 // rows that must be judged by the transformer
	anyBad  bool
	rec     record.Value
	recRow  int
	rejects []record.Reject
	warned  []warning
	sel     []int32

	position int64
	trees    []treeState
	gone     [][]uint8 // by task, with allowNullValues: rows in which nothing was written, not even null
	copies   copyState

	countSpare [][]uint8
	counts     map[string]int64 // nullified values by destination
	rows       int64            // rows with at least one
	slowRows   []int64          // rows of the general path by task
}

// A batch whose mappings make more text than madeBytes is followed by one of half the records: a function can make a megabyte of a letter. The first
// batch is small for that reason.
const (
	madeBytes = 8 << 20
	firstRows = 32
)

// slowRow is one value to compute or convert by the general path.
type slowRow struct {
	row  int32
	task int32
	span record.Span // what to convert, or a punt: compute it, too
}

// warning is a value that was nullified in a row that may yet be rejected.
type warning struct {
	row, task int32
	dest      string
}

// NewLane returns a worker. run seeds uuid(), now is the instant of the run.
func (p *Program) NewLane(run string, now time.Time) *Lane {
	w := &Lane{
		p: p, scan: record.NewScanner(p.plan), sp: record.NewSpans(p.plan, p.rows), batch: record.NewBatch(p.target), env: NewEnv(run, now),
		limit: firstRows, sources: make([][]record.Span, len(p.sources)), literals: make([]record.Span, p.literals),
		common: make([][]record.Span, len(p.commons)), ready: make([]bool, len(p.commons)),
		bad: make([]uint8, p.rows), counts: map[string]int64{}, trees: make([]treeState, len(p.tasks)), slowRows: make([]int64, len(p.tasks)), sel: make([]int32, 0, p.rows),
	}
	w.frames = make([]*frame, p.evals)
	if p.whole.allowNull {
		w.gone = make([][]uint8, len(p.tasks))
		for i := range w.gone {
			w.gone[i] = make([]uint8, p.rows)
		}
	}
	w.call = frame{env: w.env, lane: w}
	return w
}

// Batch is the batch made by the last Scan. It is valid until the next one.
func (w *Lane) Batch() *record.Batch { return w.batch }

// Rejects are the records of the last Scan that became no rows, in order.
func (w *Lane) Rejects() []record.Reject { return w.rejects }

// Warned is the number of rows so far that were kept although a column of theirs was nullified.
func (w *Lane) Warned() int64 { return w.rows }

// Warnings calls yield for every destination that lost values so far.
func (w *Lane) Warnings(yield func(code, column string, rows int64)) {
	for dest, n := range w.counts {
		yield(CodeNullified, dest, n)
	}
	if !w.p.unknown {
		return
	}
	w.scan.Unknown(func(path []string, name string, n int64) {
		yield(CodeUnknownMember, strings.ReplaceAll(strings.Join(append(path, name), "."), ".[]", "[*]"), n)
	})
}

// Nullified calls yield for every value of the last Scan that was nullified in a row that is kept, row by row: the number of its record in the scan,
// where the record lies in the batch's buffer, and why the value is missing. It stops when yield returns false.
func (w *Lane) Nullified(yield func(n, off, end int, why record.RowError) bool) {
	bad := w.sp.Bad
	last := int32(-1)
	for _, x := range w.warned {
		if x.row == last || w.bad[x.row]&^badWarned != 0 {
			continue
		}
		last = x.row
		off := int(w.sp.Off[x.row])
		for len(bad) > 0 && bad[0].Off < off {
			bad = bad[1:]
		}
		all := w.reasons(int(x.row), nil) // they are not kept: few are asked for
		for i := range all {
			why := record.RowError{Code: CodeNullified, Column: all[i].Destination, Message: all[i].Description(), Conversion: all[i].Kind == KindConvert}
			if !yield(int(x.row)+len(w.sp.Bad)-len(bad), off, int(w.sp.End[x.row]), why) {
				return
			}
		}
	}
}

// Scan reads lines of buf[p:end], which must be followed by [record.Pad] zero bytes, and makes a batch of them. It returns where the
// next batch starts. position identifies buf[0] among all records of the run.
func (w *Lane) Scan(buf []byte, p, end int, position int64) int {
	w.sp.Limit(w.limit)
	p = w.scan.Scan(w.sp, buf, p, end)
	w.position = position
	w.n = w.sp.N
	w.begin()
	for _, t := range w.p.tasks {
		t.fast(w)
	}
	w.general()
	for _, t := range w.p.tasks {
		t.settle(w)
	}
	w.p.root.check(w)
	w.judge()
	w.batch.Buf, w.batch.Rows = w.sp.Buf, w.n
	if len(w.sp.Buf)-len(buf) > madeBytes {
		w.limit = max(w.n/2, 1)
	} else {
		w.limit = min(2*w.limit, w.p.rows)
	}
	for _, v := range w.lent {
		w.give(v)
	}
	w.lent = w.lent[:0]
	return p
}

func (w *Lane) begin() {
	clear(w.sources)
	clear(w.literals)
	clear(w.ready)
	clear(w.bad[:w.n])
	clear(w.aside)
	clear(w.cache)
	w.anyBad = false
	for _, g := range w.gone {
		clear(g)
	}
	w.aside = w.aside[:0]
	w.slow = w.slow[:0]
	w.warned = w.warned[:0]
	w.rejects = w.rejects[:0]
	w.recRow = -1
}

// Marks of rows that may have to be rejected: the columns tell why, or only the transformer can.
const (
	badPlain uint8 = 1 << iota
	badGeneral
	badWarned // lost a value: a missing field may have lost it
)

// reject marks a row.
func (w *Lane) reject(row int, why uint8) {
	w.bad[row] |= why
	w.anyBad = true
}

// record is the general value of record row.
func (w *Lane) record(row int) record.Value {
	if w.recRow != row {
		v, err := record.Parse(w.sp.Buf[w.sp.Off[row]:w.sp.End[row]])
		if err != nil { // the scan has accepted it: both read the same grammar
			v = record.Null()
		}
		w.rec, w.recRow = v, row
		w.env.Next(w.position + int64(w.sp.Off[row]))
	}
	return w.rec
}

// general computes what the fast path left, record by record and in the order of the mappings.
func (w *Lane) general() {
	if len(w.slow) == 0 {
		return
	}
	w.sortSlow()
	w.recRow = -1 // ids are counted from the start
	for _, s := range w.slow {
		w.slowRows[s.task]++
		w.p.tasks[s.task].general(w, s)
	}
}

// sortSlow orders w.slow by row; the tasks come in their order.
func (w *Lane) sortSlow() {
	next := append(w.next[:0], make([]int32, w.n+1)...)
	for _, s := range w.slow {
		next[s.row+1]++
	}
	for i := range w.n {
		next[i+1] += next[i]
	}
	sorted := slices.Grow(w.sorted[:0], len(w.slow))[:len(w.slow)]
	for _, s := range w.slow {
		sorted[next[s.row]] = s
		next[s.row]++
	}
	w.slow, w.sorted, w.next = sorted, w.slow, next
}

// judge lets the transformer decide about the rows that failed a check, and selects the others.
func (w *Lane) judge() {
	bad := w.sp.Bad
	malformed := func(before int) {
		for len(bad) > 0 && bad[0].Off < before {
			w.rejects = append(w.rejects, record.Reject{
				Off: bad[0].Off, End: bad[0].End, Malformed: true, Errors: []record.RowError{{Code: codeCorrupt, Message: bad[0].Reason}},
			})
			bad = bad[1:]
		}
	}
	w.batch.Sel = nil
	if w.anyBad {
		w.sel = w.sel[:0]
		for i := range w.n {
			if w.bad[i]&^badWarned == 0 {
				w.bad[i] = 0
				w.sel = append(w.sel, int32(i))
				continue
			}
			errs := w.p.verdict(w, i, w.bad[i])
			if len(errs) == 0 {
				w.bad[i] = 0
				w.sel = append(w.sel, int32(i))
				continue
			}
			malformed(int(w.sp.Off[i]))
			w.rejects = append(w.rejects, record.Reject{Off: int(w.sp.Off[i]), End: int(w.sp.End[i]), Errors: errs})
		}
		w.batch.Sel = w.sel
	}
	malformed(len(w.sp.Buf))
	last := int32(-1)
	for _, x := range w.warned {
		if w.bad[x.row]&^badWarned != 0 {
			continue
		}
		w.counts[x.dest]++
		if x.row != last { // warnings come record by record
			w.rows++
			last = x.row
		}
	}
}

// codeCorrupt is the code of a record that cannot be read.
const codeCorrupt = "INGEST-1401-400"

// CodeUnknownMember counts members that a flow without a mapping set dropped, because the target has no field of that name.
const CodeUnknownMember = "INGEST-1420-199"
