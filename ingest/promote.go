package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"weir"
	"weir/lake"
	"weir/record"
)

// Program makes rows of records: a compiled mapping set. It is safe for goroutines; its lanes are not.
type Program interface {
	// NewLane returns a worker of its own. run seeds what must come out the same when a promotion is repeated, now is the
	// instant of the run for expressions that ask for it.
	NewLane(run string, now time.Time) Lane
}

// Lane runs a program over records, one goroutine's worth.
type Lane interface {
	// Scan reads lines of buf[p:end] (as [record.Lines] hands them out) and makes a batch of them; it returns where the next batch starts.
	// position identifies buf[0] among all records of the run.
	Scan(buf []byte, p, end int, position int64) int
	// Batch is the batch made by the last Scan; its Sel leaves out the rejected rows. It is valid until the next Scan.
	Batch() *record.Batch
	// Rejects are the records of the last Scan that became no rows, in order.
	Rejects() []record.Reject
	// Warned is the number of rows so far that were kept although a column of theirs was nullified.
	Warned() int64
	// Nullified calls yield for the values of the last Scan that were nullified in rows that are kept, row by row: the number of the record
	// in the scan, where it lies in the batch's buffer, and the reason. It stops when yield returns false.
	Nullified(yield func(n, off, end int, why record.RowError) bool)
	// Warnings calls yield for every destination that lost values so far.
	Warnings(yield func(code, column string, rows int64))
}

// Job is one promotion.
type Job struct {
	Lake  *lake.Lake
	Table *lake.Table
	// Schema is what the program makes, with the table's field ids ([lake.Table.Bind]).
	Schema  *record.Schema
	Program Program
	// Parts are read in this order; rows keep it.
	Parts []lake.Part
	// Run seeds uuid(); Batch names the folder of the data and error files. Now is the instant of the run.
	Run, Batch string
	Now        time.Time
	// Diagnostics keeps the rejected rows in meta/<batch>/row_errors/, and the first warned ones in meta/<batch>/row_warnings/.
	Diagnostics bool
	// Filename is what _filename of a row error says for a part; nil: the part's name.
	Filename func(lake.Part) string
	// Workers is how many lanes run at once; memory is about 100 MiB and up to 64 MiB for every further one.
	Workers int
	Log     *slog.Logger
}

// Report is what a promotion did: In = Out + Failed.
type Report struct {
	In, Out, Failed int64
	// Warned rows are among Out: a column of theirs could not be mapped or converted and is empty.
	Warned int64
	// WarnedKept is how many of the warned rows are in the diagnostics: the first ones.
	WarnedKept int64
	// Mapper is how many of the failed rows a mapping failed on.
	Mapper            int64
	BytesIn, BytesOut int64
	// Files are the data files, not yet part of the table.
	Files []lake.DataFile
	// Errors has the failed rows by code (a row counts under its first one), Warnings the nullified columns.
	Errors   []weir.RunError
	Warnings []weir.RunError
	// Columns has the nullified values by destination, most first.
	Columns []ColumnCount
}

// ColumnCount is how many rows lost the value of a column.
type ColumnCount struct {
	Code   string `json:"code"`
	Column string `json:"column"`
	Rows   int64  `json:"rows"`
}

// fileBytes is the size at which a data file is ended and the next one begun.
const fileBytes = 512 << 20

// windowBytes is how much of the stage a lane holds at a time, apart from longer records.
const windowBytes = 256 << 10

// Promote runs a job. When it fails, its files are dropped and nothing counts; rows that do not fit are no failure.
// Whether too many rows failed is the caller's decision, from the report.
func Promote(ctx context.Context, job Job) (Report, error) {
	if job.Workers < 1 {
		job.Workers = 1
	}
	if job.Log == nil {
		job.Log = slog.New(slog.DiscardHandler)
	}
	bucket := job.Lake.Bucket()
	p := &promotion{
		job: &job,
		open: func(ctx context.Context, part lake.Part, from int64) (io.ReadCloser, error) {
			if from == 0 {
				return job.Lake.OpenPart(ctx, part)
			}
			return bucket.NewReader(ctx, part.Name, from, part.Bytes-from) // what follows is no part of it
		},
		create: func(ctx context.Context, n int) (*lake.FileWriter, error) {
			return job.Table.NewFile(ctx, job.Schema, job.Batch, n)
		},
		drop: func(ctx context.Context) {
			if err := job.Table.Discard(ctx, job.Batch); err != nil {
				job.Log.Warn("ingest: dropped files stay", "batch", job.Batch, "err", err)
			}
		},
	}
	if job.Diagnostics {
		p.errors = &errorFiles{bucket: bucket, batch: job.Batch}
		p.warned = &warnedFile{}
	}
	r, err := p.run(ctx)
	if err == nil && job.Diagnostics {
		err = writeInputFiles(ctx, &job)
	}
	if err != nil {
		return Report{}, fmt.Errorf("promote batch %s: %w", job.Batch, err)
	}
	return r, nil
}

// run does the work and makes the report.
func (p *promotion) run(ctx context.Context) (Report, error) {
	job := p.job
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.ctx, p.cancel = ctx, cancel
	p.units = split(job.Parts, job.Workers)
	p.counts, p.columns = map[string]int64{}, map[ColumnCount]int64{}
	p.turn = sync.NewCond(&p.mu)
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.turn.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for range min(job.Workers, max(len(p.units), 1)) {
		wg.Go(func() {
			if err := p.work(); err != nil {
				p.cancel(err)
			}
		})
	}
	wg.Wait()
	err := context.Cause(ctx)
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		p.abort()
		return Report{}, err
	}
	return p.report(), nil
}

// promotion is a job at work. The fields below mu are shared; what must keep the order of the units is done by the unit whose turn it is.
type promotion struct {
	job *Job
	// Where things are: open reads a part from an offset, create starts data file n, drop removes finished ones.
	open   func(ctx context.Context, part lake.Part, from int64) (io.ReadCloser, error)
	create func(ctx context.Context, n int) (*lake.FileWriter, error)
	drop   func(ctx context.Context)
	one    bool // all into one data file, all errors into one family

	ctx    context.Context //nolint:containedctx // lives as long as Promote
	cancel context.CancelCauseFunc
	units  []unit

	mu      sync.Mutex
	turn    *sync.Cond
	next    int // unit nobody took yet
	head    int // unit whose turn it is
	counts  map[string]int64
	columns map[ColumnCount]int64
	out     Report

	// Used only by the unit whose turn it is.
	file   *lake.FileWriter
	files  int
	errors errorSink   // nil: rejected rows are not kept
	warned *warnedFile // nil: warned rows are not kept
	before int64       // records of the units before
}

// worker is one goroutine's share.
type worker struct {
	p     *promotion
	lane  Lane
	enc   *lake.Encoder
	lines *record.Lines
	errs  errorBuffer
	warn  warnedBuffer
	in    int64
	begun int64 // in at the start of the unit
	fail  map[string]int64
}

func (p *promotion) work() error {
	w := &worker{p: p, lines: record.NewLines(nil, windowBytes), fail: map[string]int64{}}
	w.errs.keep, w.errs.one = p.errors != nil, p.one
	w.warn.on = p.warned != nil
	defer w.done()
	for {
		i, ok := p.take()
		if !ok {
			return nil
		}
		if w.lane == nil {
			w.lane = p.job.Program.NewLane(p.job.Run, p.job.Now)
			w.enc = lake.NewEncoder(p.job.Schema)
		}
		if err := w.unit(i); err != nil {
			return err
		}
	}
}

func (p *promotion) take() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next >= len(p.units) || p.ctx.Err() != nil {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

// await blocks until it is the turn of unit i.
func (p *promotion) await(i int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head != i {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		p.turn.Wait()
	}
	return context.Cause(p.ctx)
}

func (p *promotion) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.head++
	p.turn.Broadcast()
}

// unit promotes one unit: evaluates and encodes it at once with the others, then hands its row groups over when its turn comes.
func (w *worker) unit(i int) error {
	w.begun = w.in
	for _, pc := range w.p.units[i].pieces {
		if err := w.piece(i, pc); err != nil {
			return err
		}
	}
	group := w.enc.Finish()
	if err := w.p.await(i); err != nil {
		return err
	}
	if err := w.p.add(group); err != nil {
		return err
	}
	if err := w.flushErrors(); err != nil {
		return err
	}
	if w.warn.on {
		w.p.warned.take(&w.warn, w.p.before)
	}
	w.p.before += w.in - w.begun
	w.p.pass()
	return nil
}

// partBits is how many bits of a record's position are its offset in its part.
const partBits = 40

func (w *worker) piece(i int, pc piece) error {
	job := w.p.job
	part := job.Parts[pc.part]
	from := max(pc.from-1, 0) // one byte early, so that a line break just before the piece is seen
	r, err := w.p.open(w.p.ctx, part, from)
	if err != nil {
		return fmt.Errorf("open part %s: %w", part.Name, err)
	}
	defer r.Close()
	w.lines.Reset(r, from, pc.from > 0, pc.to)
	if w.errs.keep {
		w.errs.name(filename(job, part))
	}
	if w.warn.on {
		w.warn.name(filename(job, part))
	}
	for {
		if w.p.ctx.Err() != nil {
			return context.Cause(w.p.ctx)
		}
		buf, p, end, err := w.lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read part %s: %w", part.Name, err)
		}
		position := int64(pc.part)<<partBits + w.lines.Base()
		for p < end {
			p = w.lane.Scan(buf, p, end, position)
			b := w.lane.Batch()
			w.enc.Append(b)
			if n := w.lane.Warned(); n != w.warn.seen {
				w.warn.seen = n
				if w.warn.on && !w.warn.full {
					w.warn.add(w.lane, b.Buf, w.in-w.begun)
				}
			}
			w.in += int64(b.Taken())
			if rejects := w.lane.Rejects(); len(rejects) > 0 {
				w.reject(b.Buf, rejects)
			}
			w.lines.Adopt(b.Buf)
			buf = b.Buf[:len(buf)]
		}
		if err := w.bound(i); err != nil {
			return err
		}
	}
}

// bound keeps memory bounded inside a unit: what has grown too large waits for its turn and is written.
func (w *worker) bound(i int) error {
	if w.enc.Size() >= lake.GroupBytes {
		group := w.enc.Finish()
		if err := w.p.await(i); err != nil {
			return err
		}
		if err := w.p.add(group); err != nil {
			return err
		}
	}
	if w.errs.size() >= errorBytes {
		if err := w.p.await(i); err != nil {
			return err
		}
		return w.flushErrors()
	}
	return nil
}

func (w *worker) reject(buf []byte, rejects []record.Reject) {
	w.in += int64(len(rejects))
	for i := range rejects {
		r := &rejects[i]
		w.fail[r.Errors[0].Code]++
		if w.errs.keep {
			w.errs.add(buf, r)
		}
	}
}

func (w *worker) flushErrors() error {
	if !w.errs.keep {
		return nil
	}
	return w.p.errors.write(w.p.ctx, &w.errs)
}

// done adds the worker's figures to the report.
func (w *worker) done() {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.In += w.in
	for code, n := range w.fail {
		p.counts[code] += n
		p.out.Failed += n
	}
	if w.lane != nil {
		p.out.Warned += w.lane.Warned()
		w.lane.Warnings(func(code, column string, rows int64) { p.columns[ColumnCount{Code: code, Column: column}] += rows })
	}
}

// add writes a row group; the caller has the turn.
func (p *promotion) add(g *lake.RowGroup) error {
	if g.Rows == 0 {
		return nil
	}
	if p.file != nil && p.file.Size() >= fileBytes && !p.one {
		if err := p.endFile(); err != nil {
			return err
		}
	}
	if p.file == nil {
		f, err := p.create(p.ctx, p.files)
		if err != nil {
			return err
		}
		p.file = f
		p.files++
	}
	p.out.Out += g.Rows
	return p.file.Add(g)
}

func (p *promotion) endFile() error {
	d, err := p.file.Close()
	p.file = nil
	if err != nil {
		return err
	}
	p.out.Files = append(p.out.Files, d)
	p.out.BytesOut += d.Bytes
	return nil
}

func (p *promotion) finish() error {
	if p.file != nil {
		if err := p.endFile(); err != nil {
			return err
		}
	}
	if p.errors != nil {
		if err := p.errors.close(p.ctx); err != nil {
			return err
		}
	}
	if p.warned != nil {
		if err := p.warned.save(p.ctx, p.job); err != nil {
			return err
		}
		p.out.WarnedKept = p.warned.rows
	}
	for _, part := range p.job.Parts {
		p.out.BytesIn += part.Bytes
	}
	if p.out.In != p.out.Out+p.out.Failed {
		return fmt.Errorf("counts do not add up: %d in, %d out, %d failed", p.out.In, p.out.Out, p.out.Failed)
	}
	return nil
}

// abort drops what was written.
func (p *promotion) abort() {
	if p.file != nil {
		p.file.Abort()
	}
	if p.errors != nil {
		p.errors.abort()
	}
	if len(p.out.Files) > 0 {
		p.drop(context.WithoutCancel(p.ctx))
	}
}

func filename(job *Job, part lake.Part) string {
	if job.Filename != nil {
		return job.Filename(part)
	}
	return part.Name
}

// writeInputFiles lists what was read.
func writeInputFiles(ctx context.Context, job *Job) error {
	var list []byte
	for _, part := range job.Parts {
		list = append(list, `{"path":`...)
		list = record.AppendQuoted(list, filename(job, part))
		list = append(list, "}\n"...)
	}
	return job.Lake.Bucket().Write(ctx, "meta/"+job.Batch+"/input_files/fileMetaData1.json", list)
}
