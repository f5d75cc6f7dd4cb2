package rest

import (
	"context"
	"slices"
	"sync"

	"weir"
)

// ahead fetches the pages that come next while one is read, where their positions are known beforehand (OFFSET, PAGE
// with paging.parallel). Pages are still handed on and judged in order, so records, counts and checkpoints are those of
// one page after the other; what was fetched beyond the end is dropped.
type ahead struct {
	flights []*flight       // in order; the first one is the next page
	ctx     context.Context //nolint:containedctx // of the flights, which outlive the call that starts them
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// flight is a page on its way, with a reader of its own.
type flight struct {
	rd     *reader
	chunks chan weir.Chunk // early segments of a large page
	page   loaded          // valid, like err, once chunks is closed
	err    error
}

// jumper is a pager whose later positions are known.
type jumper interface {
	// jump returns the pager n pages on.
	jump(n int) pager
}

func (p *offsetPager) jump(n int) pager { return &offsetPager{c: p.c, Offset: p.Offset + n*p.c.limit} }

func (p *pagePager) jump(n int) pager { return &pagePager{c: p.c, Page: p.Page + n, Done: p.Done + n} }

// take gives the page the pager stands at: the first flight, or one fetched now. It sees to it that enough flights are
// in the air once the first page is there.
func (rd *reader) take(ctx context.Context, emit func(weir.Chunk) error) (loaded, *reader, error) {
	if len(rd.ahead.flights) == 0 {
		l, err := rd.load(ctx, emit)
		if err == nil && rd.pos.Requests > 0 { // a source of one page gets one request
			rd.fly(ctx)
		}
		return l, rd, err
	}
	f := rd.ahead.flights[0]
	rd.ahead.flights = rd.ahead.flights[1:]
	rd.fly(ctx)
	for c := range f.chunks {
		if err := emit(c); err != nil {
			return loaded{}, nil, err
		}
	}
	return f.page, f.rd, f.err
}

// fly starts flights for the pages after the one in hand.
func (rd *reader) fly(ctx context.Context) {
	n := rd.plan.def.paging.more.Parallel
	p, ok := rd.pager.(jumper)
	if n <= 1 || !ok || rd.plan.def.paging.limit <= 0 {
		return
	}
	if rd.ahead.cancel == nil {
		ctx, rd.ahead.cancel = context.WithCancel(ctx)
		rd.ahead.ctx = ctx //nolint:fatcontext // made once, for all flights
	}
	for len(rd.ahead.flights) < n-1 {
		f := &flight{chunks: make(chan weir.Chunk, 1)}
		var err error
		if f.rd, err = rd.s.reader(rd.plan, nil); err != nil {
			return // the page itself will say so
		}
		f.rd.pager = p.jump(len(rd.ahead.flights) + 1)
		f.rd.refine.extras = rd.refine.extras
		rd.ahead.flights = append(rd.ahead.flights, f)
		rd.ahead.wg.Go(func() { f.run(rd.ahead.ctx) })
	}
}

func (f *flight) run(ctx context.Context) {
	defer close(f.chunks)
	f.page, f.err = f.rd.load(ctx, func(c weir.Chunk) error {
		c.Data = slices.Clone(c.Data)
		select {
		case f.chunks <- c:
			return nil
		case <-ctx.Done():
			return errDone
		}
	})
}

// land ends the flights that are still in the air.
func (a *ahead) land() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	a.wg.Wait()
	for _, f := range a.flights {
		f.rd.release()
	}
	a.flights, a.cancel = nil, nil
}
