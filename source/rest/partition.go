package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"weir"
)

// partition reads a source once per value: of a list, or of a key that each record of a parent request has.
type partition struct {
	// Values, Parent (attributes of a request) or Stream (one of streams) say where the values come from.
	Values []json.RawMessage `json:"values"`
	Parent json.RawMessage   `json:"parent"`
	Stream string            `json:"stream"`
	Key    string            `json:"key"` // path of the value in a parent's record
	As     string            `json:"as"`  // the ${placeholder} that takes it, and the member that keeps it in the child records
	Keep   map[string]string `json:"keep"`
	Into   *bool             `json:"into"` // whether as and keep go into the records; true by default
	// Parallel is how many parents are read at once; order and counts stay the same.
	Parallel int `json:"parallel"`
	// Param is the name of a source parameter whose list, or text with commas, is the values.
	Param string `json:"param"`
	// Group reads the source once for so many values of a page; As is then the list of them.
	Group int `json:"group"`
	// Any are several levels in the place of this one, one after the other; they take its As.
	Any []partition `json:"any"`

	key  path
	keep []kept
}

// kept is a further value of the parent's record.
type kept struct {
	name string
	path path
}

// parseKept reads a map from names to paths, sorted by name.
func parseKept(m map[string]string) ([]kept, error) {
	var out []kept
	for _, name := range slices.Sorted(maps.Keys(m)) {
		p, err := parsePath(m[name])
		if err != nil {
			return nil, err
		}
		out = append(out, kept{name, p})
	}
	return out, nil
}

// maxParallel bounds partition.parallel.
const maxParallel = 16

func (x *extension) compileParts() error {
	for i := range x.Partition {
		if err := x.Partition[i].compile(x, fmt.Sprintf("partition[%d]", i), true); err != nil {
			return err
		}
	}
	if len(x.Partition) > 0 && x.Paging != nil && x.Paging.Keep {
		return weir.Errorf("CONNECTOR-1312-400", "weir.paging.keep cannot be used together with partition")
	}
	return nil
}

// compile checks one level; top is false for one of several in its place.
func (p *partition) compile(x *extension, where string, top bool) (err error) {
	n := 0
	for _, set := range []bool{len(p.Values) > 0, len(p.Parent) > 0, p.Stream != "", p.Param != "", len(p.Any) > 0} {
		if set {
			n++
		}
	}
	if n != 1 || p.As == "" || len(p.Any) > 0 && !top {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s needs as, and exactly one of values, parent, stream, param, any", where)
	}
	if p.requests() && p.Key == "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s needs key, the path of the value in the parent's records", where)
	}
	if p.Parallel < 0 || p.Parallel > maxParallel || p.Group < 0 || p.Group > maxGroup {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s: parallel must be 1 to %d, group 1 to %d", where, maxParallel, maxGroup)
	}
	if p.Stream != "" && x.Streams[p.Stream] == nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s.stream %q is not one of streams", where, p.Stream)
	}
	if p.key, err = parsePath(p.Key); err != nil {
		return err
	}
	if p.keep, err = parseKept(p.Keep); err != nil {
		return err
	}
	for i := range p.Any {
		one := &p.Any[i]
		one.As, one.Into, one.Group = p.As, p.Into, p.Group
		if err := one.compile(x, fmt.Sprintf("%s.any[%d]", where, i), false); err != nil {
			return err
		}
	}
	return nil
}

// requests reports whether the values come from a request of their own.
func (p *partition) requests() bool { return len(p.Parent) > 0 || p.Stream != "" }

// maxGroup bounds partition.group.
const maxGroup = 1000

// parentAt is where a walk over the parents of one level stands: the page, and the parent on it. The key finds the
// parent again when the page has changed since.
type parentAt struct {
	Walk  *walkAt `json:"walk,omitempty"`
	Index int     `json:"index"`
	Key   string  `json:"key,omitempty"`
	Of    int     `json:"of,omitempty"` // which of partition.any
}

// parent is one value with what it brings.
type parent struct {
	key    string
	values map[string]json.RawMessage
	extras []extra
}

// where is a place in the tour: the parents above it and what they bring.
type where struct {
	parents []parentAt
	params  *params
	extras  []extra
}

// level visits the parents of one level, or at the last level reads the source itself. at is where to go on (nil: the
// beginning), after what follows when everything here is read (nil: nothing).
func (t *tour) level(ctx context.Context, in where, at, after *position) error {
	depth := len(in.parents)
	if depth == len(t.parts) {
		return t.leaf(ctx, in, at, after)
	}
	part := &t.parts[depth]
	var resume *parentAt
	if at != nil && depth < len(at.Parents) {
		resume = &at.Parents[depth]
	}
	err := t.parentPages(ctx, in, part, resume, func(page parentPage) error {
		start := 0
		if resume != nil {
			start = page.find(resume)
		}
		jobs := make([]job, 0, len(page.parents)-start)
		for i := start; i < len(page.parents); i++ {
			next := after
			switch {
			case i+1 < len(page.parents):
				next = &position{Parents: append(slices.Clone(in.parents), parentAt{page.walk, i + 1, page.parents[i+1].key, page.of})}
			case page.next != nil:
				next = &position{Parents: append(slices.Clone(in.parents), parentAt{page.next, 0, "", page.of})}
			case page.others:
				next = &position{Parents: append(slices.Clone(in.parents), parentAt{nil, 0, "", page.of + 1})}
			}
			child := in.child(&page, i)
			var childAt *position
			if resume != nil && i == start && page.parents[i].key == resume.Key {
				childAt = at
			}
			jobs = append(jobs, func(ctx context.Context, t *tour) error { return t.level(ctx, child, childAt, next) })
		}
		resume = nil
		return t.run(ctx, jobs, max(part.Parallel, 1))
	})
	if err != nil {
		return err
	}
	return t.settle(after)
}

// find is the index at which to go on.
func (p *parentPage) find(at *parentAt) int {
	if at.Index < len(p.parents) && p.parents[at.Index].key == at.Key {
		return at.Index
	}
	for i := range p.parents {
		if p.parents[i].key == at.Key {
			return i
		}
	}
	return min(at.Index, len(p.parents))
}

// child is the place of one parent's children.
func (in where) child(page *parentPage, i int) where {
	p := &page.parents[i]
	return where{
		parents: append(slices.Clone(in.parents), parentAt{page.walk, i, p.key, page.of}),
		params:  &params{layers: append([]map[string]json.RawMessage{p.values}, in.params.layers...)},
		extras:  append(slices.Clone(in.extras), p.extras...),
	}
}

// parentPage is a page of parents: where it is, and where the next one is.
type parentPage struct {
	walk    *walkAt
	parents []parent
	next    *walkAt
	of      int  // which of partition.any
	others  bool // and whether others follow
}

// parentPages calls fn with page after page of parents.
func (t *tour) parentPages(ctx context.Context, in where, part *partition, resume *parentAt, fn func(parentPage) error) error {
	if part.Group > 1 {
		one := fn
		fn = func(page parentPage) error {
			page.parents = part.grouped(page.parents)
			return one(page)
		}
	}
	if len(part.Any) == 0 {
		return t.parentsOf(ctx, in, part, resume, fn)
	}
	first := 0
	if resume != nil {
		first = min(resume.Of, len(part.Any))
	}
	for i := first; i < len(part.Any); i++ {
		err := t.parentsOf(ctx, in, &part.Any[i], resume, func(page parentPage) error {
			page.of, page.others = i, i+1 < len(part.Any)
			return fn(page)
		})
		if err != nil {
			return err
		}
		resume = nil
	}
	return nil
}

// list are the values of a level that needs no request.
func (p *partition) list(params *params) ([]json.RawMessage, error) {
	if p.Param == "" {
		return p.Values, nil
	}
	raw, ok := params.lookup(p.Param)
	if !ok {
		return nil, weir.Errorf("CONNECTOR-1304-400", "no value for the source parameter %s, which weir.partition reads the values of", p.Param)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	for text := range strings.SplitSeq(paramText(raw), ",") {
		list = append(list, quote(strings.TrimSpace(text)))
	}
	return list, nil
}

// grouped joins parents: the values of a group are lists.
func (p *partition) grouped(all []parent) []parent {
	var out []parent
	for group := range slices.Chunk(all, p.Group) {
		names := slices.Sorted(maps.Keys(group[0].values))
		g := parent{values: map[string]json.RawMessage{}}
		for _, n := range names {
			list := []byte{'['}
			for i := range group {
				if i > 0 {
					list = append(list, ',')
				}
				list = append(list, group[i].values[n]...)
			}
			g.values[n] = append(list, ']')
			if len(group[0].extras) > 0 {
				g.extras = append(g.extras, extra{n, append(append(quote(n), ':'), compact(nil, g.values[n])...)})
			}
		}
		g.key = paramText(g.values[p.As])
		out = append(out, g)
	}
	return out
}

// parentsOf calls fn with page after page of one level's parents.
func (t *tour) parentsOf(ctx context.Context, in where, part *partition, resume *parentAt, fn func(parentPage) error) error {
	if !part.requests() {
		page := parentPage{}
		list, err := part.list(in.params)
		if err != nil {
			return err
		}
		for _, v := range list {
			page.parents = append(page.parents, part.parent(v, nil))
		}
		return fn(page)
	}
	a, err := t.s.parentAttributes(t.attributes, part)
	if err != nil {
		return err
	}
	pl, err := t.s.plan(ctx, in.params, &t.window, a)
	if err != nil {
		return err
	}
	var from *walkAt
	if resume != nil {
		from = resume.Walk
	}
	rd, err := t.s.reader(pl, from)
	if err != nil {
		return err
	}
	defer rd.release()
	for more := true; more; {
		page := parentPage{}
		if page.walk, err = rd.at(); err != nil {
			return err
		}
		more, err = rd.page(ctx, func(c weir.Chunk) error {
			for line := range strings.Lines(string(c.Data)) {
				record := json.RawMessage(strings.TrimSuffix(line, "\n"))
				if key := pluck(record, part.key); len(key) > 0 && string(key) != "null" {
					page.parents = append(page.parents, part.parent(slices.Clone(key), record))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if more {
			if page.next, err = rd.at(); err != nil {
				return err
			}
		}
		if err := fn(page); err != nil {
			return err
		}
	}
	return nil
}

// parent makes the values of one parent.
func (p *partition) parent(key, record json.RawMessage) parent {
	out := parent{key: paramText(key), values: map[string]json.RawMessage{p.As: key}}
	names := []string{p.As}
	for _, k := range p.keep {
		v := slices.Clone(pluck(record, k.path))
		if len(v) == 0 {
			v = json.RawMessage("null")
		}
		out.values[k.name] = v
		names = append(names, k.name)
	}
	if p.Into == nil || *p.Into {
		for _, n := range names {
			out.extras = append(out.extras, extra{n, append(append(quote(n), ':'), compact(nil, out.values[n])...)})
		}
	}
	return out
}

// parentAttributes is the request definition of the parents.
func (s *Source) parentAttributes(base *attributes, part *partition) (*attributes, error) {
	raw := part.Parent
	if part.Stream != "" {
		raw = base.ext.Streams[part.Stream]
	}
	a, err := base.with(raw, "prepare", "key", "fields")
	if err != nil {
		return nil, err
	}
	a.ext.Partition = nil
	return a, nil
}

// job reads one parent's children.
type job func(ctx context.Context, t *tour) error

// run does jobs in order, up to parallel at once: what a later one reads waits until its turn, so order and counts are
// those of one after the other.
func (t *tour) run(ctx context.Context, jobs []job, parallel int) error {
	if parallel <= 1 || len(jobs) <= 1 {
		for _, job := range jobs {
			if err := job(ctx, t); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type result struct {
		chunks chan weir.Chunk
		err    error // valid once chunks is closed
	}
	plain := tour{s: t.s, attributes: t.attributes, parts: t.parts, window: t.window, full: t.full}
	results := make(chan *result, parallel-1) // the one being read is out of the channel: parallel at once
	wg.Go(func() {
		defer close(results)
		for _, job := range jobs {
			r := &result{chunks: make(chan weir.Chunk)} // no page waits in it: a crash costs one page of each parent in work
			select {
			case results <- r:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer close(r.chunks)
				sub := plain
				sub.emit = func(c weir.Chunk) error {
					c.Data = slices.Clone(c.Data)
					select {
					case r.chunks <- c:
						return nil
					case <-ctx.Done():
						return errors.Join(errDone, ctx.Err())
					}
				}
				r.err = job(ctx, &sub)
			})
		}
	})
	for r := range results {
		for c := range r.chunks {
			if err := t.send(c); err != nil {
				return err
			}
		}
		if r.err != nil {
			return r.err
		}
	}
	return ctx.Err()
}
