package flow

import (
	"context"
	"fmt"

	"weir"
)

// past is what a flow's successful runs have read. It is kept so that a source that has fallen silent can be told from one that has nothing
// new: a wrong credential often answers with success and nothing in it.
type past struct {
	Last int64 `json:"last,omitempty"` // records of the last run that had any
	Full int   `json:"full,omitempty"` // runs that had some
	// Empty are the runs without records since then, Longest the most there were in a row before.
	Empty   int `json:"empty,omitempty"`
	Longest int `json:"longest,omitempty"`
}

// silentRuns is how many windows in a row must be empty before it is worth a word, and how many must have had records before that.
const silentRuns = 3

// after is the past once a run has read so many records.
func (p past) after(records int64) past {
	if records == 0 {
		p.Empty++
		return p
	}
	if p.Full++; p.Empty > p.Longest {
		p.Longest = p.Empty
	}
	p.Last, p.Empty = records, 0
	return p
}

// doubt is what to say about a run without records; "" for nothing. A run that reads everything is suspicious at once. A window may well be
// empty: only a stretch that is much longer than any before counts.
func (p past) doubt(whole bool) string {
	empty := p.Empty + 1
	switch {
	case p.Full == 0:
	case whole && p.Empty == 0:
		return fmt.Sprintf("the source gave no records; the run before had %d", p.Last)
	case whole:
		return fmt.Sprintf("the source gave no records, for the %s time in a row; before that a run had %d", ordinal(empty), p.Last)
	case p.Full >= silentRuns && empty >= max(silentRuns, 2*p.Longest+1):
		return fmt.Sprintf("the last %d windows had no records, and never before were so many in a row empty; the last one with records had %d", empty, p.Last)
	}
	return ""
}

func ordinal(n int) string {
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			return fmt.Sprintf("%dst", n)
		case 2:
			return fmt.Sprintf("%dnd", n)
		case 3:
			return fmt.Sprintf("%drd", n)
		}
	}
	return fmt.Sprintf("%dth", n)
}

// checker is a source whose spec says what tells good credentials from bad.
type checker interface {
	// Check reports what is wrong; checked is false if the spec says nothing about it.
	Check(ctx context.Context) (checked bool, err error)
}

// whole reports whether a run reads everything there is, and not what appeared in a window.
func (pr *progress) whole() bool { return pr.Plan.Window.Start == 0 || pr.Copy.Shape.Whole }

// counts reports whether a run says something about the source's silence: one that was told that nothing has changed does not, nor one over a
// window that somebody chose, nor one that reads no source.
func (pr *progress) counts() bool {
	return !pr.Copy.Unchanged && pr.Plan.Type != "replay" && (pr.Plan.Type != "on-demand" || pr.whole())
}

// silence adds a warning to a copy without records where runs before had some. The spec's own check is asked, if it has one.
func (e *Engine) silence(ctx context.Context, pr *progress, src Source) {
	if pr.Copy.Records > 0 || pr.Copy.Past.Full == 0 || pr.Copy.Unchanged {
		return
	}
	if c, is := src.(checker); is {
		switch checked, err := c.Check(ctx); {
		case ctx.Err() != nil:
			return
		case checked && err == nil && !pr.whole():
			return // the credentials are good: there is nothing new
		case err != nil && weir.CodeOf(err) != "":
			pr.Copy.Warnings = append(pr.Copy.Warnings, "the source gave no records, and its check fails: "+faultText(err))
			return
		}
	}
	if text := pr.Copy.Past.doubt(pr.whole()); text != "" && pr.counts() {
		pr.Copy.Warnings = append(pr.Copy.Warnings, text+". If that is not right, look at the credentials and filters of the source")
	}
}
