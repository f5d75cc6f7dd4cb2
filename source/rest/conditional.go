package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"weir"
)

// pageMark is what a first page said about its version (RFC 9110 §8.8), and which request it answered.
type pageMark struct {
	Of       uint64 `json:"of"` // hash of the request
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// maxMark bounds what a source may make us remember.
const maxMark = 1 << 10

// bodiless reports whether an answer of that status has no body to read.
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// ask makes the request for the first page conditional on what the run before was told about the same request.
func (rd *reader) ask(r *request) {
	if !rd.plan.def.ext.Conditional || rd.pos.Requests > 0 {
		return
	}
	r.conditional = true
	if k := rd.known; k != nil && k.Of == r.hash() {
		if k.ETag != "" {
			r.setHeader("If-None-Match", k.ETag)
		}
		if k.Modified != "" {
			r.setHeader("If-Modified-Since", k.Modified)
		}
	}
	rd.pos.Mark = &pageMark{Of: r.hash()}
}

// hash tells requests apart, without the credentials and the condition itself.
func (r *request) hash() uint64 {
	var b strings.Builder
	b.WriteString(r.method + " " + r.address())
	for _, h := range r.headers {
		if name := strings.ToLower(h.name); name != "if-none-match" && name != "if-modified-since" {
			b.WriteString("\n" + name + ": " + h.value)
		}
	}
	return xxh3.HashString(b.String())
}

// keepMark remembers what the first page says about its version.
func (rd *reader) keepMark(resp *response) {
	m := rd.pos.Mark
	if m == nil || rd.pos.Requests > 0 {
		return
	}
	if resp.StatusCode == http.StatusNotModified {
		rd.pos.Mark = rd.known
		return
	}
	bounded := func(name string) string {
		if v := resp.Header.Get(name); len(v) <= maxMark {
			return v
		}
		return ""
	}
	m.ETag, m.Modified = bounded("ETag"), bounded("Last-Modified")
}

// retentionRules say what happens when the place to go on lies further back than the source remembers: the run reads
// everything, with attributes of its own if there are any.
type retentionRules struct {
	Keeps string          `json:"keeps"`
	Full  json.RawMessage `json:"full"`  // attributes in place of the spec's own
	First bool            `json:"first"` // a backfill reads with them too

	keeps time.Duration
}

// passed reports whether a run has to read everything.
func (r *retentionRules) passed(w *weir.Window, at *position) bool {
	switch {
	case r != nil && r.First && at == nil && w.Start.IsZero():
		return true
	case r == nil || r.keeps <= 0:
		return false
	case at != nil && at.At == 0:
		return false // in the middle of a run, which has decided already
	case at != nil && at.Walk != nil:
		return w.End.Sub(time.UnixMilli(at.At)) > r.keeps
	}
	return !w.Start.IsZero() && w.End.Sub(w.Start) > r.keeps
}

// compileVersions checks conditional and retention.
func (x *extension) compileVersions() (err error) {
	if x.Conditional && (len(x.Partition) > 0 || x.Job != nil || x.Split != nil || x.Cursor != nil && x.Cursor.step > 0) {
		return weir.Errorf("CONNECTOR-1312-400", "weir.conditional cannot be used together with partition, job, split or cursor.step: it looks at the first page of all")
	}
	if r := x.Retention; r != nil {
		if r.keeps, err = parseDuration(r.Keeps); err != nil {
			return weir.Errorf("CONNECTOR-1312-400", "weir.retention.keeps: %w", err)
		}
		if r.keeps <= 0 && (!r.First || r.Keeps != "") {
			return weir.Errorf("CONNECTOR-1312-400", "weir.retention needs keeps, a duration such as P30D")
		}
	}
	return nil
}
