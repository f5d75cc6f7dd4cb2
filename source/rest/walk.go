package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"weir"
)

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
	ahead      ahead
	known      *pageMark // of the first page, from the run before
	merge      *merger   // of pages whose fields are asked for in shares
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
	put := rd.refine.put
	if pl.shares != nil {
		rd.merge = &merger{rules: def.ext.Fields}
		put = rd.merge.put
	}
	rd.cut = newCutter(&def.content, def.explode, rd.probe, s.opt.TempDir, put)
	rd.cut.shape(def)
	rd.cut.unseen = func() bool { return rd.merge == nil && rd.refine.idle() }
	rd.cut.windows, rd.sink.pool = &s.client.windows, &s.client.buffers
	rd.decode = decoder{rules: &def.ext.Answer, content: def.content.path, limits: &s.limits, tempDir: s.opt.TempDir}
	return rd, nil
}

// release gives back what the walk borrowed.
func (rd *reader) release() {
	rd.ahead.land()
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
func (rd *reader) kept() (*walkAt, error) {
	if !rd.plan.def.paging.more.Keep {
		return nil, nil //nolint:nilnil // nothing is kept
	}
	var pager any
	switch p := rd.pager.(type) {
	case *tokenPager:
		pager = &tokenPager{Token: p.Token}
	case *nextPager:
		pager = &nextPager{Value: p.Value, Link: p.Link}
	default:
		return nil, nil //nolint:nilnil // these have no position that outlives the run
	}
	raw, err := json.Marshal(pager)
	if err != nil {
		return nil, err
	}
	return &walkAt{Type: rd.pos.Type, Pager: raw}, nil
}

// loaded is a page that was fetched and cut, before the pager saw it.
type loaded struct {
	answer  *answer // nil when a rule said that nothing is here
	url     string
	found   bool   // the record array was there
	absent  string // else what there was
	sum     uint64 // of the records
	started bool   // records went out already
}

// load fetches and cuts the page that the pager stands at. Early segments of a large page go to emit.
func (rd *reader) load(ctx context.Context, emit func(weir.Chunk) error) (l loaded, err error) {
	s := rd.s
	r := rd.plan.req.clone()
	if err := rd.pager.place(r); err != nil {
		return l, err
	}
	if rd.merge != nil {
		return rd.loadShares(ctx, r, emit)
	}
	rd.ask(r)
	rd.sink.next()
	rd.bytes = 0
	err = s.fetch(ctx, r, func(resp *response) (err error) {
		l.url = s.mask.url(resp.Request.URL)
		rd.sink.reset()
		rd.sink.emit = func(data []byte, records int) error {
			return emit(weir.Chunk{Data: data, Records: records, Bytes: rd.fresh(), URL: l.url})
		}
		l.answer, err = rd.read(resp)
		return err
	})
	if errors.Is(err, errIgnored) && len(rd.sink.sent) == 0 {
		rd.sink.reset()
		l.answer, err = nil, nil
	}
	rd.sink.close()
	l.found, l.sum, l.started = rd.cut.found, rd.sink.sum, len(rd.sink.sent) > 0
	if rd.lead && !l.found {
		l.absent = rd.cut.absent()
	}
	return l, err
}

// page reads one page. more tells whether another one follows.
func (rd *reader) page(ctx context.Context, emit func(weir.Chunk) error) (more bool, err error) {
	l, from, err := rd.take(ctx, emit)
	if err != nil {
		return false, err
	}
	c := weir.Chunk{PageEnd: true, URL: l.url}
	if a := l.answer; a != nil {
		a.warn = func(format string, args ...any) {
			c.Warnings = append(c.Warnings, rd.s.mask.text(fmt.Sprintf(format, args...)))
		}
		if more, err = rd.turn(l); err != nil {
			return false, err
		}
		if c.Unchanged = a.status == http.StatusNotModified; l.absent != "" && !bodiless(a.status) {
			a.warn("%s", l.absent)
		}
	}
	rd.lead = false
	if rd.after != nil {
		if c.Next, c.Resume, err = rd.after(more); err != nil {
			return false, err
		}
	}
	from.sink.emit = func(data []byte, records int) error {
		return emit(weir.Chunk{Data: data, Records: records, Bytes: from.fresh(), URL: l.url})
	}
	if c.Data, c.Records, err = from.sink.finish(); err != nil {
		return false, err
	}
	c.Bytes = from.fresh()
	if err := emit(c); err != nil {
		return false, err
	}
	if from != rd {
		from.release()
	}
	if more && rd.plan.def.paging.delay > 0 {
		err = rd.s.opt.Sleep(ctx, rd.plan.def.paging.delay)
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
	if rd.keepMark(resp); bodiless(resp.StatusCode) {
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
func (rd *reader) turn(l loaded) (bool, error) {
	a, paging := l.answer, &rd.plan.def.paging
	a.total, a.requests = rd.pos.Elements+int64(a.elements), rd.pos.Requests+1
	if err := rd.split(a, l.started); err != nil {
		return false, err
	}
	if a.elements > 0 && paging.full(a.elements) && rd.pos.Last == l.sum {
		rd.pos.Same++
	} else {
		rd.pos.Last, rd.pos.Same = l.sum, 1
	}
	rd.pos.Elements, rd.pos.Requests = a.total, a.requests
	more, err := rd.pager.turn(a)
	if err == nil {
		more, err = paging.decide(a, more)
	}
	if err == nil && more && rd.pos.Same >= samePages && rd.refine.dropped == 0 {
		err = weir.Errorf("CONNECTOR-1308-400", "%d pages in a row held the same %d records: the source ignores its paging parameters", rd.pos.Same, a.elements)
	}
	return more && !bodiless(a.status), err
}

// split asks for a smaller window when the first page tells that there is more than the source hands out.
func (rd *reader) split(a *answer, started bool) error {
	rules := rd.plan.def.ext.Split
	if rules == nil || rd.pos.Requests > 0 {
		return nil
	}
	text, _ := rd.plan.def.paging.more.total.text(a)
	var n int64
	if _, err := fmt.Sscan(text, &n); err != nil || n <= rules.Above {
		return nil //nolint:nilerr // without a total there is nothing to compare
	}
	if !rd.splittable || started {
		return weir.Errorf("CONNECTOR-1308-400", "%d records fall into one window of the source, more than the %d it hands out (weir.split.above); give cursor.start, or a shorter cursor.step", n, rules.Above)
	}
	return errSplit
}
