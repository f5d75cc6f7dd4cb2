package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
)

// Bounds of a preview.
const (
	previewRows  = 100
	previewBytes = 32 << 20
	exploreJob   = 30 * time.Second // how long a job is waited for
)

// Explore answers an explore call (contract flow-service §5.5). root and folder list one entry, the answer itself; rest
// and file fetch the first page, without a schedule window, and infer its schema. A spec with a string contentPath
// previews the raw page, others the records (ruling R4).
func (s *Source) Explore(ctx context.Context, q weir.ExploreQuery) (weir.Preview, error) {
	switch strings.ToLower(q.ObjectType) {
	case "", "root", "folder":
		return weir.Preview{Items: s.items(q)}, nil
	case "rest", "file":
	case "table":
		return weir.Preview{}, weir.Errorf("CONNECTOR-1336-400", "objectType table is not supported by a REST source; use rest")
	default:
		return weir.Preview{}, weir.Errorf("CONNECTOR-1358-400", "objectType %q is not valid; use root, folder, file or rest", q.ObjectType)
	}
	if q.Determine {
		return weir.Preview{}, weir.Errorf("CONNECTOR-1371-400", "determineProperties is not supported by a REST source")
	}
	p, err := s.spec.layers(&s.b, q.Params)
	if err != nil {
		return weir.Preview{}, err
	}
	pl, in, err := s.first(ctx, p, q)
	if err != nil {
		return weir.Preview{}, err
	}
	data, err := s.preview(ctx, pl, in)
	if err != nil {
		return weir.Preview{}, err
	}
	out := weir.Preview{Format: "hierarchical", Schema: pl.def.schema, Data: data}
	if out.Schema == nil && pl.def.ext.SchemaFrom != nil {
		a, err := s.attributes(p, q.Object, s.b.Params, q.Params)
		if err != nil {
			return weir.Preview{}, err
		}
		if out.Schema, err = s.schemaOf(ctx, in.params, a); err != nil {
			return weir.Preview{}, err
		}
	}
	if out.Schema == nil {
		out.Schema = inferSchema(data)
	}
	wrapper := ""
	if pl.def.content.wrap {
		wrapper = pl.def.content.wrapper
	}
	out.Schema = pl.def.ext.keyMembers(out.Schema, wrapper)
	return out, nil
}

// items lists what can be explored: the streams of a spec that has several, else one entry.
func (s *Source) items(q weir.ExploreQuery) []weir.ExploreItem {
	names := []string{"json"}
	if a, err := s.spec.source(s.b.Params, q.Params); err == nil && len(a.ext.Streams) > 0 {
		names = slices.Sorted(maps.Keys(a.ext.Streams))
	}
	out := make([]weir.ExploreItem, len(names))
	for i, n := range names {
		out[i] = weir.ExploreItem{Type: "file", Name: n, Path: n, CanPreview: true, CanFetchSchema: true}
	}
	return out
}

// errFirst ends the look for the first parent.
var errFirst = errors.New("the first parent is enough")

// first plans the first request of an explore: of a source with parents, that of the first parent.
func (s *Source) first(ctx context.Context, p *params, q weir.ExploreQuery) (*plan, where, error) {
	a, err := s.attributes(p, q.Object, s.b.Params, q.Params)
	if err != nil {
		return nil, where{params: p}, err
	}
	return s.firstOf(ctx, p, a)
}

// firstOf is first for a request definition.
func (s *Source) firstOf(ctx context.Context, p *params, a *attributes) (*plan, where, error) {
	in := where{params: p}
	var err error
	t := &tour{s: s, attributes: a, parts: a.ext.Partition, window: weir.Window{End: s.opt.Now()}}
	for i := range t.parts {
		found := false
		err := t.parentPages(ctx, in, &t.parts[i], nil, func(page parentPage) error {
			if len(page.parents) == 0 {
				return nil
			}
			page.walk = nil
			in, found = in.child(&page, 0), true
			return errFirst
		})
		if err != nil && !errors.Is(err, errFirst) {
			return nil, in, err
		}
		if !found {
			return nil, in, weir.Errorf("CONNECTOR-1308-400", "the parent request %d of weir.partition gave no records, so there is nothing to preview", i+1)
		}
	}
	var job *jobAt
	if a.ext.Job != nil {
		short := *a.ext.Job
		short.Max = exploreJob.Seconds()
		own, ext := *a, *a.ext
		ext.Job, own.ext = &short, &ext
		t.attributes = &own
		if job, err = t.prepare(ctx, in.params, &t.window, nil, nil); err != nil {
			return nil, in, err
		}
		in.params = job.params(in.params)
	}
	pl, err := s.plan(ctx, in.params, nil, a)
	if err != nil {
		return nil, in, err
	}
	if pl.shares, err = s.shares(ctx, in.params, a); err != nil {
		return nil, in, err
	}
	if job != nil {
		pl.req.link = job.Link
	}
	return pl, in, pagers[pl.def.paging.kind](&pl.def.paging).place(pl.req)
}

// preview fetches the first page.
func (s *Source) preview(ctx context.Context, pl *plan, in where) ([]json.RawMessage, error) {
	quick := *s
	quick.limits.Attempts = min(quick.limits.Attempts, 3)
	quick.limits.Wait = min(quick.limits.Wait, wait5)
	data := []json.RawMessage{}
	size := 0
	keep := func(pre, rec, post []byte) error {
		r := bytes.Join([][]byte{pre, rec, post}, nil)
		data = append(data, r)
		if size += len(r); size > previewBytes || len(data) >= previewRows {
			return errStop
		}
		return nil
	}
	refine := refiner{next: keep, rules: pl.def.ext, extras: in.extras, window: weir.Window{End: s.opt.Now()}, vars: pl.vars}
	read := func(r *request, put func(pre, rec, post []byte) error, begin func()) error {
		return quick.fetch(ctx, r, func(resp *response) error {
			begin()
			if resp.StatusCode == 204 {
				return nil
			}
			if pl.def.rawPreview && pl.shares == nil {
				raw, err := whole(resp.body, previewBytes)
				if err == nil {
					data = append(data, raw)
					err = checkJSON(raw)
				}
				return err
			}
			probe := pl.def.ext.rulePages(nil)
			cut := newCutter(&pl.def.content, pl.def.explode, probe, s.opt.TempDir, put)
			cut.shape(pl.def)
			cut.windows = &s.client.windows
			defer cut.release()
			cut.begin()
			if refine.idle() && pl.shares == nil {
				cut.limit = previewRows
			}
			d := decoder{rules: &pl.def.ext.Answer, content: pl.def.content.path, limits: &quick.limits, tempDir: s.opt.TempDir}
			if err := d.each(resp.body, cut.run); err != nil {
				return err
			}
			return pl.def.ext.success(answerOf(resp, cut, probe, pl.vars))
		})
	}
	var err error
	if pl.shares == nil {
		err = read(pl.req, refine.put, func() { data, size = data[:0], 0 })
	} else {
		m := &merger{rules: pl.def.ext.Fields}
		err = m.paged(pl.shares, func(share []string, first bool) error {
			own := pl.req.clone()
			if err := m.rules.ask(own, share); err != nil {
				return err
			}
			return read(own, m.put, func() { m.begin(first) })
		})
		if err == nil {
			if err = m.flush(refine.put); errors.Is(err, errStop) {
				err = nil
			}
		}
	}
	if errors.Is(err, errIgnored) {
		err = nil
	}
	return data, err
}

// answerOf is the only answer of a preview or a check as rules see it; of a preview that had enough records, what was read so far.
func answerOf(resp *response, cut *cutter, probe []path, base map[string]any) *answer {
	a := &answer{
		url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, elements: cut.elements, total: int64(cut.elements), requests: 1,
		values: map[string]json.RawMessage{}, first: cut.first, last: cut.last, base: base,
	}
	for i, p := range probe {
		a.values[p.String()] = cut.probes[i]
	}
	return a
}

// whole reads a body of at most limit bytes.
func whole(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = weir.Errorf("CONNECTOR-1308-400", "the answer is larger than the %d MiB a preview takes; ask for smaller pages", limit>>20)
	}
	return bytes.TrimPrefix(raw, byteOrderMark), err
}

// checkJSON checks that raw is exactly one JSON value.
func checkJSON(raw []byte) error {
	s := scanner{buf: raw, final: true}
	p := s.space(0)
	if p < len(raw) && raw[p] == '<' {
		return errMarkup
	}
	p, err := s.value(p)
	if err != nil {
		return err
	}
	if p = s.space(p); p < len(raw) {
		return &syntaxError{p, "more text follows the JSON value"}
	}
	return nil
}
