package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"weir"
)

// position is the content of a checkpoint: where a tour over parents, time slices and pages stands. Its size does not
// depend on how much was read.
type position struct {
	Parents []parentAt    `json:"parents,omitempty"`
	Slices  []weir.Window `json:"slices,omitempty"` // still to be read, the open one first
	Walk    *walkAt       `json:"walk,omitempty"`
}

// walkAt is where a walk over pages stands.
type walkAt struct {
	Type     string          `json:"type"`
	Pager    json.RawMessage `json:"pager"`
	Last     uint64          `json:"last,omitempty"` // hash of the records of the last full page
	Same     int             `json:"same,omitempty"` // full pages in a row with that hash
	Elements int64           `json:"elements,omitempty"`
	Requests int             `json:"requests,omitempty"`
}

// samePages is how many equal full pages in a row show that the source ignores its paging parameters.
const samePages = 3

// errDone says that the consumer wants no more; errSplit that a window holds more than the source hands out.
var (
	errDone  = errors.New("the reader of the pages stopped")
	errSplit = errors.New("the window has to be split")
)

// Pages reads the source page by page from a position; nil is the beginning. A page whose answer breaks off is fetched
// again. After an error nothing of the open page counts: continue from the last chunk with PageEnd.
func (s *Source) Pages(ctx context.Context, w weir.Window, from weir.Checkpoint) iter.Seq2[weir.Chunk, error] {
	return func(yield func(weir.Chunk, error) bool) {
		err := s.pages(ctx, w, from, func(c weir.Chunk) error {
			if !yield(c, nil) {
				return errDone
			}
			return nil
		})
		if err != nil && !errors.Is(err, errDone) {
			yield(weir.Chunk{}, err)
		}
	}
}

func (s *Source) pages(ctx context.Context, w weir.Window, from weir.Checkpoint, emit func(weir.Chunk) error) error {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil {
		return err
	}
	t := &tour{s: s, attributes: a, parts: a.ext.Partition, window: w, emit: emit, begin: len(from) == 0}
	var at *position
	if len(from) > 0 {
		at = &position{}
		if err := json.Unmarshal(from, at); err != nil {
			return weir.Errorf("CONNECTOR-1014-400", "the checkpoint does not fit this source: %w", err)
		}
	}
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

// settle makes sure that the last page sent says what follows: an empty page does where parents had none.
func (t *tour) settle(after *position) error {
	next, err := after.checkpoint()
	if err != nil || t.sent && t.next == string(next) {
		return err
	}
	return t.send(weir.Chunk{PageEnd: true, Next: next})
}

func (p *position) checkpoint() (weir.Checkpoint, error) {
	if p == nil {
		return nil, nil
	}
	raw, err := json.Marshal(p)
	return raw, err
}

// leaf reads the source itself at one place: slice after slice of the window.
func (t *tour) leaf(ctx context.Context, in where, at, after *position) error {
	open, err := t.slices()
	if err != nil {
		return err
	}
	kept := len(open) > 1 || t.attributes.ext.Split != nil // the slices are part of the checkpoint
	var from *walkAt
	if at != nil {
		from = at.Walk
		if len(at.Slices) > 0 {
			open = at.Slices
		}
	}
	for len(open) > 0 {
		here := position{Parents: in.parents}
		if kept {
			here.Slices = open
		}
		next := after
		if len(open) > 1 {
			next = &position{Parents: in.parents, Slices: open[1:]}
		}
		switch err := t.walk(ctx, in, open[0], from, here, next); {
		case errors.Is(err, errSplit):
			w := open[0]
			half := w.Start.Add(w.End.Sub(w.Start) / 2)
			open = append([]weir.Window{{Start: w.Start, End: half}, {Start: half, End: w.End}}, open[1:]...)
		case err != nil:
			return err
		default:
			open = open[1:]
		}
		from = nil
	}
	return t.settle(after)
}

// maxSlices bounds cursor.step against the window.
const maxSlices = 100_000

// slices cuts the window as the extension wants; without it the window is one slice.
func (t *tour) slices() ([]weir.Window, error) {
	w := t.window
	c := t.attributes.ext.Cursor
	if c == nil {
		return []weir.Window{w}, nil
	}
	if w.Start.IsZero() {
		w.Start = c.start
	} else if w.Start = w.Start.Add(-c.lookback); w.Start.Before(c.start) {
		w.Start = c.start
	}
	if c.align > 0 {
		if w.End = w.End.UTC().Truncate(c.align); !w.Start.IsZero() {
			w.Start = w.Start.UTC().Truncate(c.align)
		}
		if !w.Start.Before(w.End) {
			return nil, nil // the unit is not over yet
		}
	}
	if c.step <= 0 || w.Start.IsZero() || !w.Start.Before(w.End) {
		return []weir.Window{w}, nil
	}
	if w.End.Sub(w.Start)/c.step > maxSlices {
		return nil, weir.Errorf("CONNECTOR-1312-400", "weir.cursor.step %s cuts the window from %s into more than %d slices", c.Step, w.Start.Format(time.RFC3339), maxSlices)
	}
	var out []weir.Window
	for w.Start.Before(w.End) {
		end := w.Start.Add(c.step)
		if end.After(w.End) {
			end = w.End
		}
		out = append(out, weir.Window{Start: w.Start, End: end})
		w.Start = end
	}
	return out, nil
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

// walk reads the pages of one slice.
func (t *tour) walk(ctx context.Context, in where, w weir.Window, from *walkAt, here position, after *position) error {
	pl, err := t.s.plan(ctx, in.params, &w, t.attributes)
	if err != nil {
		return err
	}
	rd, err := t.s.reader(pl, from)
	if err != nil {
		return err
	}
	rd.refine.extras = in.extras
	rd.lead = t.begin && from == nil
	t.begin = false
	rd.splittable = w.End.Sub(w.Start) >= 2*time.Second && !w.Start.IsZero()
	rd.after = func(more bool) (next, resume weir.Checkpoint, err error) {
		if more {
			if here.Walk, err = rd.at(); err != nil {
				return nil, nil, err
			}
			next, err = here.checkpoint()
			return next, nil, err
		}
		if next, err = after.checkpoint(); err == nil && after == nil {
			resume, err = rd.kept()
		}
		return next, resume, err
	}
	defer rd.release()
	for more := true; more && err == nil; {
		more, err = rd.page(ctx, t.send)
	}
	return err
}

// reader is one walk over the pages.
type reader struct {
	s      *Source
	plan   *plan
	pager  pager
	pos    walkAt
	cut    *cutter
	decode decoder
	refine refiner
	sink   sink
	probe  []path
	after  func(more bool) (next, resume weir.Checkpoint, err error)
	lead   bool // the next page is the first of the run
	// splittable: the window of this walk can be halved.
	splittable bool
	bytes      int64 // of the open page, already told in chunks
}

func (s *Source) reader(pl *plan, from *walkAt) (*reader, error) {
	def := pl.def
	rd := &reader{s: s, plan: pl, pager: pagers[def.paging.kind](&def.paging)}
	if from != nil {
		var err error
		if rd.pos = *from; rd.pos.Type != def.paging.kind {
			err = fmt.Errorf("it belongs to paging of type %s", rd.pos.Type)
		} else if def.paging.kind != "NONE" && len(rd.pos.Pager) > 0 {
			err = json.Unmarshal(rd.pos.Pager, rd.pager)
		}
		if err != nil {
			return nil, weir.Errorf("CONNECTOR-1014-400", "the checkpoint does not fit this source: %w", err)
		}
	}
	rd.pos.Type = def.paging.kind
	rd.probe = def.probes()
	rd.refine = refiner{next: rd.sink.put, rules: def.ext, window: pl.window, vars: pl.vars}
	rd.cut = newCutter(&def.content, def.explode, rd.probe, s.opt.TempDir, rd.refine.put)
	rd.cut.shape(def)
	rd.cut.windows, rd.sink.pool = &s.client.windows, &s.client.buffers
	rd.decode = decoder{rules: &def.ext.Answer, content: def.content.path, limits: &s.limits, tempDir: s.opt.TempDir}
	return rd, nil
}

// release gives back what the walk borrowed.
func (rd *reader) release() {
	rd.cut.release()
	rd.sink.release()
}

// shape sets what the extension says about the records of an answer.
func (c *cutter) shape(def *definition) {
	c.mode, c.keyAs = def.ext.Answer.Records, def.ext.Answer.KeyAs
	c.stream = def.ext.Answer.format() == "ndjson"
	c.keepBare = def.ext.Explode == "keep"
	for _, x := range []*expression{def.paging.more.next, def.paging.more.stop} {
		c.ends = c.ends || x != nil && (x.first || x.last)
	}
	for i := range def.ext.OnResponse {
		if x := def.ext.OnResponse[i].when; x != nil {
			c.ends = c.ends || x.first || x.last
		}
	}
}

// at is where the walk stands now.
func (rd *reader) at() (*walkAt, error) {
	raw, err := json.Marshal(rd.pager)
	if err != nil {
		return nil, err
	}
	at := rd.pos
	at.Pager = raw
	return &at, nil
}

// kept is where the next run of a change feed starts; nil without paging.keep.
func (rd *reader) kept() (weir.Checkpoint, error) {
	if !rd.plan.def.paging.more.Keep {
		return nil, nil
	}
	var pager any
	switch p := rd.pager.(type) {
	case *tokenPager:
		pager = &tokenPager{Token: p.Token}
	case *nextPager:
		pager = &nextPager{Value: p.Value, Link: p.Link}
	default:
		return nil, nil
	}
	raw, err := json.Marshal(pager)
	if err != nil {
		return nil, err
	}
	return (&position{Walk: &walkAt{Type: rd.pos.Type, Pager: raw}}).checkpoint()
}

// page reads one page. more tells whether another one follows.
func (rd *reader) page(ctx context.Context, emit func(weir.Chunk) error) (more bool, err error) {
	s := rd.s
	r := rd.plan.req.clone()
	if err := rd.pager.place(r); err != nil {
		return false, err
	}
	rd.sink.next()
	rd.bytes = 0
	var a *answer
	c := weir.Chunk{PageEnd: true}
	err = s.fetch(ctx, r, func(resp *response) error {
		c.URL = s.mask.url(resp.Request.URL)
		rd.sink.reset()
		rd.sink.emit = func(data []byte, records int) error {
			return emit(weir.Chunk{Data: data, Records: records, Bytes: rd.fresh(), URL: c.URL})
		}
		var err error
		a, err = rd.read(resp)
		return err
	})
	ignored := errors.Is(err, errIgnored)
	if ignored && len(rd.sink.sent) == 0 {
		err = nil
		rd.sink.reset()
	}
	if err != nil {
		return false, err
	}
	if !ignored {
		a.warn = func(format string, args ...any) {
			c.Warnings = append(c.Warnings, s.mask.text(fmt.Sprintf(format, args...)))
		}
		if more, err = rd.turn(a); err != nil {
			return false, err
		}
		if rd.lead && !rd.cut.found && a.status != http.StatusNoContent {
			a.warn("%s", rd.cut.absent())
		}
	}
	rd.lead = false
	if rd.after != nil {
		if c.Next, c.Resume, err = rd.after(more); err != nil {
			return false, err
		}
	}
	if c.Data, c.Records, err = rd.sink.finish(); err != nil {
		return false, err
	}
	c.Bytes = rd.fresh()
	if err := emit(c); err != nil {
		return false, err
	}
	if more && rd.plan.def.paging.delay > 0 {
		err = s.opt.Sleep(ctx, rd.plan.def.paging.delay)
	}
	return more, err
}

// fresh is how many bytes of the open page were not told yet.
func (rd *reader) fresh() int64 {
	n := max(rd.cut.read-rd.bytes, 0)
	rd.bytes += n
	return n
}

// read cuts one answer.
func (rd *reader) read(resp *response) (*answer, error) {
	a := &answer{
		url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, values: map[string]json.RawMessage{},
		base: rd.plan.vars, total: rd.pos.Elements, requests: rd.pos.Requests + 1,
	}
	rd.cut.begin()
	if resp.StatusCode == http.StatusNoContent {
		return a, nil
	}
	if err := rd.decode.each(resp.body, rd.cut.run); err != nil {
		return nil, err
	}
	a.elements = rd.cut.elements
	a.total += int64(a.elements)
	a.first, a.last = rd.cut.first, rd.cut.last
	for i, p := range rd.probe {
		a.values[p.String()] = rd.cut.probes[i]
	}
	return a, rd.plan.def.ext.success(a)
}

// turn lets the pager and the extension's rules decide, and stops a source that gives the same full page for ever.
func (rd *reader) turn(a *answer) (bool, error) {
	paging := &rd.plan.def.paging
	rd.sink.close()
	if err := rd.split(a); err != nil {
		return false, err
	}
	if a.elements > 0 && paging.full(a.elements) && rd.pos.Last == rd.sink.sum {
		rd.pos.Same++
	} else {
		rd.pos.Last, rd.pos.Same = rd.sink.sum, 1
	}
	rd.pos.Elements, rd.pos.Requests = a.total, a.requests
	more, err := rd.pager.turn(a)
	if err == nil {
		more, err = paging.decide(a, more)
	}
	if err == nil && more && rd.pos.Same >= samePages && rd.refine.dropped == 0 {
		err = weir.Errorf("CONNECTOR-1308-400", "%d pages in a row held the same %d records: the source ignores its paging parameters", rd.pos.Same, a.elements)
	}
	return more && a.status != http.StatusNoContent, err
}

// split asks for a smaller window when the first page tells that there is more than the source hands out.
func (rd *reader) split(a *answer) error {
	rules := rd.plan.def.ext.Split
	if rules == nil || rd.pos.Requests > 0 {
		return nil
	}
	text, _ := rd.plan.def.paging.more.total.text(a)
	var n int64
	if _, err := fmt.Sscan(text, &n); err != nil || n <= rules.Above {
		return nil //nolint:nilerr // without a total there is nothing to compare
	}
	if !rd.splittable || len(rd.sink.sent) > 0 {
		return weir.Errorf("CONNECTOR-1308-400", "%d records fall into one window of the source, more than the %d it hands out (weir.split.above); give cursor.start, or a shorter cursor.step", n, rules.Above)
	}
	return errSplit
}
