package author

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"weir"
)

// quiet drops what the server says of connections that were dropped on purpose.
var quiet = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)

func plainRun(ctx context.Context, t *trial) (string, error) {
	_, err := t.complete(ctx)
	return "", err
}

// shortPages hides records after paging, and where the paging bears it a whole page.
func shortPages(ctx context.Context, t *trial) (string, error) { //nolint:gocyclo // a situation reads from top to bottom
	r := t.s.own()
	size := r.pageSize()
	if r.kind == "NONE" || r.records == "single" {
		return "every answer is a page of its own", nil
	}
	if r.fixed && r.kind != "NEXT" && r.endName == "" && r.hasMore == "" && r.total == "" && r.endPages == "" {
		return "the first page that is not full is the end (" + r.kind + "); name paging.total or paging.hasMore if the source has one", nil
	}
	v := &view{to: size}
	if r.kind == "NEXT" && r.solve(v, []map[string]any{{serialName: "x"}}, true, "x") == nil && size > 1 {
		return "paging.next takes a page that is not full for the end", nil
	}
	for i := range t.m.rows {
		t.m.rows[i].hidden = i%5 == 2
	}
	empty := slices.Contains([]string{"CONTINUATION_TOKEN", "POINTER", "LINK"}, r.kind) && !r.emptyEnds ||
		r.kind == "NEXT" && !r.emptyEnds && len(lastFields(r, r.next)) == 0 && r.solve(v, nil, true, "x") != nil
	for i := size; empty && i < min(2*size, len(t.m.rows)); i++ {
		t.m.rows[i].hidden = true
	}
	_, err := t.complete(ctx)
	return "", err
}

func exactMultiple(ctx context.Context, t *trial) (string, error) {
	r := t.s.own()
	if r.kind == "NONE" {
		return "there is one page", nil
	}
	pages := 3
	if r.cap > 0 {
		pages = min(pages, r.cap)
	}
	t.m.rows = t.s.rows(pages * r.pageSize())
	for i := range t.m.rows { // all of them in the first slice
		t.m.rows[i].at = t.s.base.Add(t.s.step/4 + time.Duration(i)*time.Second)
		if lim := t.s.mid.Add(-time.Second); t.m.rows[i].at.After(lim) {
			t.m.rows[i].at = lim.Truncate(time.Second)
		}
	}
	t.m.spare = r.cap == 0
	_, err := t.complete(ctx)
	return "", err
}

func emptySource(ctx context.Context, t *trial) (string, error) {
	t.m.rows = nil
	_, err := t.complete(ctx)
	return "", err
}

// duplicateRows gives the last record of the first page again on the second: rows that move while they are read.
func duplicateRows(ctx context.Context, t *trial) (string, error) {
	rows := t.m.rows
	if at := t.s.own().pageSize(); at < len(rows)-4 {
		rows[at].serial, rows[at].at = rows[at-1].serial, rows[at-1].at
	} else if len(rows) > 2 {
		rows[1].serial, rows[1].at = rows[0].serial, rows[0].at
	} else {
		return "there is one record", nil
	}
	out, err := t.read(ctx, t.s.binding(), t.whole(), nil)
	if err != nil {
		return "", fmt.Errorf("the run failed: %w", err)
	}
	return "", same(out.serials, t.s.expected(rows, t.m.parents))
}

// maxCircles is how many requests may pass before a circle is noticed.
const maxCircles = 100

func repeating(ctx context.Context, t *trial) (string, error) {
	r := t.s.own()
	if r.kind == "NONE" {
		return "there is one request", nil
	}
	t.m.cycle = true
	out, err := t.read(ctx, t.s.binding(), t.whole(), nil)
	n := len(t.m.calls)
	var known *weir.Error
	switch {
	case err == nil && r.cap > 0 && len(out.warnings) > 0:
		return "", nil // the cap ended it, and said so
	case err == nil:
		return "", errors.New("the run ended as if nothing was wrong, although the source gave the same pages again and again")
	case errors.Is(err, errEndless), n > maxCircles*max(1, len(t.s.levels)*t.m.parents):
		return "", fmt.Errorf("the circle was not noticed within %d requests", n)
	case !errors.As(err, &known) || known.Message == "":
		return "", fmt.Errorf("the run failed without a clear message: %w", err)
	}
	return "", nil
}

// retryAfterPause is what the mirror asks to wait.
const retryAfterPause = 7 * time.Second

func tooMany(ctx context.Context, t *trial) (string, error) {
	if why := t.ruled(429); why != "" {
		return why, nil
	}
	times := 2
	if n := t.s.doc.path("sourceSpec", "attributes", "weir", "backoff", "retries"); n.text() == "1" {
		times = 1
	}
	t.m.fault = func(_ string, attempt int) fault {
		if attempt <= times {
			return fault{kind: "status", code: 429, after: retryAfterPause, date: attempt == 2}
		}
		return fault{}
	}
	if _, err := t.complete(ctx); err != nil {
		return "", err
	}
	return "", t.patient()
}

// patient demands that nobody came back before the time a Retry-After named.
func (t *trial) patient() error {
	until := map[string]time.Time{}
	for _, c := range t.m.calls {
		if at, ok := until[c.page]; ok && c.page != "" && c.at.Before(at.Add(-time.Second)) {
			return fmt.Errorf("a request came %s before the time that Retry-After named", at.Sub(c.at))
		}
		delete(until, c.page)
		if c.fault.after > 0 {
			until[c.page] = c.at.Add(c.fault.after)
		}
	}
	return nil
}

func unavailable(ctx context.Context, t *trial) (string, error) {
	if why := t.ruled(503); why != "" {
		return why, nil
	}
	seen := map[string]int{}
	t.m.fault = func(page string, attempt int) fault {
		if _, ok := seen[page]; !ok {
			seen[page] = len(seen)
		}
		switch {
		case attempt == 1 && seen[page]%2 == 0:
			return fault{kind: "status", code: 503}
		case attempt == 1:
			return fault{kind: "drop"}
		}
		return fault{}
	}
	_, err := t.complete(ctx)
	return "", err
}

func truncated(ctx context.Context, t *trial) (string, error) {
	t.m.fault = func(_ string, attempt int) fault {
		if attempt == 1 {
			return fault{kind: "cut"}
		}
		return fault{}
	}
	_, err := t.complete(ctx)
	return "", err
}

func drift(ctx context.Context, t *trial) (string, error) {
	for i := range t.m.rows {
		t.m.rows[i].drift = i % 4
	}
	_, err := t.complete(ctx)
	return "", err
}

// windows reads two windows that meet, or two runs of a change feed.
func windows(ctx context.Context, t *trial) (string, error) {
	r := t.s.own()
	w := &r.window
	if r.keep {
		return "", t.feed(ctx)
	}
	if !w.asked() && !w.filter {
		return "every run reads everything: the spec has no window", nil
	}
	if w.start.name == "" && len(w.advance)+len(w.lets) == 0 && !w.filter {
		return "the spec sends no start of a window", nil
	}
	early, err := t.read(ctx, t.s.binding(), weir.Window{End: t.s.mid}, nil)
	if err != nil {
		return "", fmt.Errorf("the first window failed: %w", err)
	}
	late, err := t.read(ctx, t.s.binding(), weir.Window{Start: t.s.mid, End: t.s.end}, nil)
	if err != nil {
		return "", fmt.Errorf("the second window failed: %w", err)
	}
	got := append(slices.Clone(early.serials), late.serials...)
	want := t.s.expected(t.m.rows, t.m.parents)
	slices.Sort(got)
	open := w.end.name == "" && len(w.advance) == 0 && len(w.lets) == 0 || len(w.advance) == 1 ||
		t.s.doc.path("sourceSpec", "attributes", "weir", "retention", "first").text() == "true" // a run without a window, or a backfill, has no end
	if w.lookback != "" || open && !w.filter {
		got = slices.Compact(got) // windows that overlap on purpose, or without an end
	}
	slices.Sort(want)
	return "", same(got, want)
}

// feed reads a change feed, and what came since from where it stood.
func (t *trial) feed(ctx context.Context) error {
	all := t.m.rows
	t.m.rows = all[:len(all)-3]
	first, err := t.read(ctx, t.s.binding(), t.whole(), nil)
	if err != nil {
		return fmt.Errorf("the first run failed: %w", err)
	}
	if first.resume == nil {
		return errors.New("the first run ended without a position to go on from (paging.keep)")
	}
	t.m.rows = all
	second, err := t.read(ctx, t.s.binding(), t.whole(), first.resume)
	if err != nil {
		return fmt.Errorf("the second run failed: %w", err)
	}
	return same(append(first.serials, second.serials...), t.s.expected(all, t.m.parents))
}

// skewed: the clock of the source is an hour slow. Its Retry-After dates count by its own clock.
func skewed(ctx context.Context, t *trial) (string, error) {
	if why := t.ruled(429); why != "" {
		return why, nil
	}
	t.m.skew = -time.Hour
	hit := false
	t.m.fault = func(string, int) fault {
		if hit {
			return fault{}
		}
		hit = true
		return fault{kind: "status", code: 429, after: 9 * time.Second, date: true}
	}
	if _, err := t.complete(ctx); err != nil {
		return "", err
	}
	for _, d := range t.m.clock.slept {
		if d >= 8*time.Second && d <= time.Minute {
			return "", t.patient()
		}
	}
	return "", errors.New("the Retry-After date was not read by the clock of the source")
}

func wrongCredentials(ctx context.Context, t *trial) (string, error) {
	params, secret, ok := t.s.gate.wrong()
	if !ok {
		return "there is no credential that the mirror can refuse", nil
	}
	b := t.s.binding()
	b.Auth = mustJSON(params)
	_, err := t.read(ctx, b, t.whole(), nil)
	switch {
	case err == nil:
		return "", errors.New("the run succeeded with wrong credentials; name a check, or a rule in onResponse")
	case strings.Contains(err.Error(), secret):
		return "", errors.New("the message shows the credential")
	case t.m.refused > 8*len(t.s.levels):
		return "", fmt.Errorf("the source was asked %d times with wrong credentials", t.m.refused)
	}
	return "", nil
}

// maxResumes bounds the checkpoints that are tried.
const maxResumes = 12

func resume(ctx context.Context, t *trial) (string, error) {
	out, err := t.complete(ctx)
	if err != nil {
		return "", err
	}
	list := out.checkpoints
	if len(list) == 0 {
		return "there is one page", nil
	}
	stride := (len(list) + maxResumes - 1) / maxResumes
	for i := 0; i < len(list); i += stride {
		rest, err := t.read(ctx, t.s.binding(), t.whole(), list[i].next)
		if err != nil {
			return "", fmt.Errorf("going on after page %d failed: %w", i+1, err)
		}
		if err := same(append(slices.Clone(out.serials[:list[i].records]), rest.serials...), t.s.expected(t.m.rows, t.m.parents)); err != nil {
			return "", fmt.Errorf("going on after page %d: %w", i+1, err)
		}
	}
	return "", nil
}
