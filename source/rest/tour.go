package rest

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"weir"
)

// position is the content of a checkpoint: where a tour over parents, time slices and pages stands. Its size does not
// depend on how much was read or is still to be read.
type position struct {
	Parents []parentAt    `json:"parents,omitempty"`
	Slices  []weir.Window `json:"slices,omitempty"` // still to be read, the open one first
	Rest    *weir.Window  `json:"rest,omitempty"`   // of the window, not cut into slices yet
	Walk    *walkAt       `json:"walk,omitempty"`
	Full    bool          `json:"full,omitempty"` // the run reads everything, see retentionRules

	// Of a position kept for the next run: the end of the window after which it was kept (epoch milliseconds), and what
	// the first page said about its version.
	At   int64     `json:"at,omitempty"`
	Mark *pageMark `json:"mark,omitempty"`
}

// walkAt is where a walk over pages stands.
type walkAt struct {
	Type     string          `json:"type"`
	Pager    json.RawMessage `json:"pager"`
	Last     uint64          `json:"last,omitempty"` // hash of the records of the last full page
	Same     int             `json:"same,omitempty"` // full pages in a row with that hash
	Elements int64           `json:"elements,omitempty"`
	Requests int             `json:"requests,omitempty"`
	Job      *jobAt          `json:"job,omitempty"`
	Mark     *pageMark       `json:"mark,omitempty"` // of the first page, with conditional
}

// samePages is how many equal full pages in a row show that the source ignores its paging parameters.
const samePages = 3

// errDone says that the consumer wants no more; errSplit that a window holds more than the source hands out.
var (
	errDone  = errors.New("the reader of the pages stopped")
	errSplit = errors.New("the window has to be split")
)

// maxResets is how often one call of Pages begins anew.
const maxResets = 3

// Pages reads the source page by page from a position; nil is the beginning. A page whose answer breaks off is fetched
// again. After an error nothing of the open page counts: continue from the last chunk with PageEnd. A rule may make it
// begin anew; a chunk with Restart says so.
func (s *Source) Pages(ctx context.Context, w weir.Window, from weir.Checkpoint) iter.Seq2[weir.Chunk, error] {
	return func(yield func(weir.Chunk, error) bool) {
		full, resets := false, 0
		for {
			moved := len(from) > 0
			err := s.pages(ctx, w, from, full, func(c weir.Chunk) error {
				moved = moved || c.PageEnd
				if !yield(c, nil) {
					return errDone
				}
				return nil
			})
			again, reset := errors.AsType[*resetFault](err)
			switch {
			case err == nil || errors.Is(err, errDone):
				return
			case !reset:
				yield(weir.Chunk{}, err)
				return
			case !moved && full, resets == maxResets:
				yield(weir.Chunk{}, weir.Errorf(weir.CodeOf(err), "%s; to begin anew did not help", again.err.Message))
				return
			}
			resets++
			full = full || !moved && !s.hasJob() // there was no position to drop but the window's start
			from = nil
			if !yield(weir.Chunk{Restart: true, Warnings: []string{again.err.Message + ": the run began anew"}}, nil) {
				return
			}
		}
	}
}

// hasJob reports whether the source prepares its answer: then a run that begins anew has a new job.
func (s *Source) hasJob() bool {
	a, err := s.attributes(s.params, "", s.b.Params)
	return err == nil && a.ext.Job != nil
}

// isReset reports whether a rule wants the run to begin anew.
func isReset(err error) bool {
	_, is := errors.AsType[*resetFault](err)
	return is
}

func (s *Source) pages(ctx context.Context, w weir.Window, from weir.Checkpoint, full bool, emit func(weir.Chunk) error) error {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil {
		return err
	}
	var at *position
	if len(from) > 0 {
		at = &position{}
		if err := json.Unmarshal(from, at); err != nil {
			return weir.Errorf("CONNECTOR-1014-400", "the checkpoint does not fit this source: %w", err)
		}
		full = full || at.Full
	}
	r := a.ext.Retention
	if !full && r.passed(&w, at) {
		full, at = true, nil
	}
	if full {
		w.Start = time.Time{}
		if r != nil && len(r.Full) > 0 {
			if a, err = a.with(r.Full, "retention"); err != nil {
				return err
			}
		}
	}
	t := &tour{s: s, attributes: a, parts: a.ext.Partition, window: w, emit: emit, full: full, begin: at == nil || at.At > 0 && at.Walk == nil}
	return t.level(ctx, where{params: s.params}, at, nil)
}

// tour reads everything of a source: each parent's children, each slice of the window, each page.
type tour struct {
	s          *Source
	attributes *attributes
	parts      []partition
	window     weir.Window
	emit       func(weir.Chunk) error
	begin      bool // nothing was read yet
	full       bool // everything is read, whatever the flow's watermark
	sent       bool
	next       string // Next of the last page sent
	warned     int
}

// maxWarnings bounds the sentences of one run.
const maxWarnings = 100

// send passes a chunk on.
func (t *tour) send(c weir.Chunk) error {
	if c.PageEnd {
		t.sent, t.next = true, string(c.Next)
		if t.warned += len(c.Warnings); t.warned > maxWarnings {
			c.Warnings = nil
		}
	}
	return t.emit(c)
}

// reach sends an empty page that says where to go on.
func (t *tour) reach(p *position) error {
	next, err := t.checkpoint(p)
	if err != nil {
		return err
	}
	return t.send(weir.Chunk{PageEnd: true, Next: next})
}

// settle makes sure that the last page sent says what follows: an empty page does where parents had none.
func (t *tour) settle(after *position) error {
	next, err := t.checkpoint(after)
	if err != nil || t.sent && t.next == string(next) {
		return err
	}
	return t.send(weir.Chunk{PageEnd: true, Next: next})
}

// checkpoint writes a position of this tour.
func (t *tour) checkpoint(p *position) (weir.Checkpoint, error) {
	if p == nil {
		return nil, nil
	}
	at := *p
	at.Full = t.full
	return json.Marshal(at)
}

// resume writes what the next run goes on from: the position of a change feed, what the first page said about itself.
// Nil is the beginning.
func (t *tour) resume(rd *reader) (weir.Checkpoint, error) {
	walk, err := rd.kept()
	if err != nil || walk == nil && !rd.plan.def.ext.Conditional {
		return nil, err
	}
	return json.Marshal(position{Walk: walk, At: t.window.End.UnixMilli(), Mark: rd.pos.Mark})
}

// leaf reads the source itself at one place: slice after slice of the window.
func (t *tour) leaf(ctx context.Context, in where, at, after *position) error {
	open, rest, err := t.slices()
	if err != nil {
		return err
	}
	kept := rest != nil || t.attributes.ext.Split != nil // the slices are part of the checkpoint
	var from *walkAt
	var mark *pageMark
	if at != nil {
		from, mark = at.Walk, at.Mark
		if len(at.Slices) > 0 {
			open, rest = at.Slices, at.Rest
		}
	}
	for len(open) > 0 {
		here := position{Parents: in.parents}
		if kept {
			here.Slices, here.Rest = open, rest
		}
		following, left := open[1:], rest
		if len(following) == 0 && rest != nil {
			following, left = t.cut(*rest)
		}
		next := after
		if len(following) > 0 {
			next = &position{Parents: in.parents, Slices: following, Rest: left}
		}
		switch err := t.walk(ctx, in, open[0], from, mark, here, next); {
		case errors.Is(err, errSplit):
			w := open[0]
			half := w.Start.Add(w.End.Sub(w.Start) / 2)
			open = append([]weir.Window{{Start: w.Start, End: half}, {Start: half, End: w.End}}, open[1:]...)
			// An empty page makes the halves part of the checkpoint, so that the page that told it is not asked for again.
			if err := t.reach(&position{Parents: in.parents, Slices: open, Rest: rest}); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			open, rest = following, left
		}
		from = nil
	}
	return t.settle(after)
}

// maxSlices bounds cursor.step against the window.
const maxSlices = 100_000

// slices cuts the window as the extension wants: the first slice, and the rest (nil for none). Without a step the window
// is one slice.
func (t *tour) slices() ([]weir.Window, *weir.Window, error) {
	w := t.window
	c := t.attributes.ext.Cursor
	if c == nil {
		return []weir.Window{w}, nil, nil
	}
	c, err := c.with(t.s.params)
	if err != nil {
		return nil, nil, err
	}
	w, empty, err := c.window(w, t.s.params)
	if err != nil || empty {
		return nil, nil, err // the unit is not over yet
	}
	if c.step <= 0 || w.Start.IsZero() || !w.Start.Before(w.End) {
		return []weir.Window{w}, nil, nil
	}
	if w.End.Sub(w.Start)/c.step > maxSlices {
		return nil, nil, weir.Errorf("CONNECTOR-1312-400", "weir.cursor.step %s cuts the window from %s into more than %d slices", c.Step, w.Start.Format(time.RFC3339), maxSlices)
	}
	open, rest := t.cut(w)
	return open, rest, nil
}

// cut takes the first slice off a window.
func (t *tour) cut(w weir.Window) (open []weir.Window, rest *weir.Window) {
	end := t.stride().after(w.Start)
	if !end.Before(w.End) {
		return []weir.Window{w}, nil
	}
	return []weir.Window{{Start: w.Start, End: end}}, &weir.Window{Start: end, End: w.End}
}

// stride is the length of a slice.
func (t *tour) stride() span {
	c, err := t.attributes.ext.Cursor.with(t.s.params)
	if err != nil { // slices has read it before
		return span{}
	}
	return c.stride
}

// place puts the window where the extension says.
func (c *cursorRules) place(r *request, w *weir.Window) error {
	if c == nil || c.Inject == nil || w == nil {
		return nil
	}
	set := func(in *inject, at time.Time) error {
		if in == nil || at.IsZero() {
			return nil
		}
		text := formatTime(at, c.Inject.Format)
		switch c.Inject.Format {
		case "epoch", "epochMillis":
			return r.inject(in, json.Number(text))
		}
		return r.inject(in, text)
	}
	if err := set(c.Inject.Start, w.Start); err != nil {
		return err
	}
	return set(c.Inject.End, w.End.Add(-c.Inject.closed))
}

// jobOf is the finished job of a walk, and where the walk over its result goes on. A new job is part of the checkpoint
// at once, so that a run that goes on waits for the same one.
func (t *tour) jobOf(ctx context.Context, in where, w weir.Window, from *walkAt, mark *pageMark, here position) (*jobAt, *walkAt, error) {
	var job *jobAt
	if from != nil {
		if job = from.Job; from.Type == "" {
			from = nil // nothing of the result was read
		}
	}
	job, err := t.prepare(ctx, in.params, &w, job, func(job *jobAt) error {
		here.Walk, here.Mark = &walkAt{Job: job}, mark
		return t.reach(&here)
	})
	return job, from, err
}

// walk reads the pages of one slice.
func (t *tour) walk(ctx context.Context, in where, w weir.Window, from *walkAt, mark *pageMark, here position, after *position) error {
	p := in.params
	var job *jobAt
	var err error
	if t.attributes.ext.Job != nil {
		if job, from, err = t.jobOf(ctx, in, w, from, mark, here); err != nil {
			return err
		}
		p = job.params(p)
	}
	pl, err := t.s.plan(ctx, p, &w, t.attributes)
	if err != nil {
		return err
	}
	if pl.shares, err = t.s.shares(ctx, p, t.attributes); err != nil {
		return err
	}
	if job != nil {
		pl.req.link = job.Link
	}
	rd, err := t.s.reader(pl, from)
	if err != nil {
		return err
	}
	rd.pos.Job, rd.known = job, mark
	rd.refine.extras = in.extras
	rd.lead = t.begin && from == nil
	t.begin = false
	rd.splittable = w.End.Sub(w.Start) >= 2*time.Second && !w.Start.IsZero()
	rd.after = func(more bool) (next, resume weir.Checkpoint, err error) {
		if more {
			if here.Walk, err = rd.at(); err != nil {
				return nil, nil, err
			}
			next, err = t.checkpoint(&here)
			return next, nil, err
		}
		if next, err = t.checkpoint(after); err == nil && after == nil {
			resume, err = t.resume(rd)
		}
		return next, resume, err
	}
	defer rd.release()
	for more := true; more && err == nil; {
		more, err = rd.page(ctx, t.send)
	}
	if err == nil && job != nil {
		t.finish(ctx, p, &w)
	}
	return err
}
