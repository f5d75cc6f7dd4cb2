package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"weir"
)

// deleteRules find what was deleted in a source that does not tell: its keys are listed from time to time, and what was
// there before and is gone now becomes a record that deletes its row.
type deleteRules struct {
	Sweep  json.RawMessage `json:"sweep"` // attributes of the listing, in place of the spec's own
	Every  string          `json:"every"`
	AtMost *float64        `json:"atMost"` // the share of the keys that may be gone; more is taken for a fault of the listing

	every time.Duration
}

// defaultGone is deleteRules.AtMost where a spec says nothing.
const defaultGone = 0.5

// notSwept are the members of weir that a listing does not inherit: it takes everything.
var notSwept = []string{"deletes", "cursor", "split", "retention", "conditional", "fields", "deleted", "filter", "prepare", "job"}

func (x *extension) compileDeletes() (err error) {
	d := x.Deletes
	if d == nil {
		return nil
	}
	if len(d.Sweep) == 0 || len(x.Key) == 0 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.deletes needs sweep, the attributes of a request that lists the keys, and weir.key")
	}
	if d.every, err = parseDuration(d.Every); err != nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.deletes.every: %w", err)
	}
	return weirIf(d.AtMost != nil && (*d.AtMost <= 0 || *d.AtMost > 1), "weir.deletes.atMost must be above 0 and at most 1")
}

// swept are the attributes of the listing.
func (a *attributes) swept() (*attributes, error) {
	own, err := a.with(a.ext.Deletes.Sweep, notSwept...)
	if err != nil {
		return nil, err
	}
	var over struct{ ScheduleParams json.RawMessage }
	if err := json.Unmarshal(a.ext.Deletes.Sweep, &over); err == nil && over.ScheduleParams == nil {
		own.ScheduleParams = nil
	}
	return own, nil
}

// Sweep is how deletes are found; ok is false if they are not looked for.
func (s *Source) Sweep() (sweep weir.Sweep, ok bool) {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil || a.ext.Deletes == nil {
		return weir.Sweep{}, false
	}
	out := weir.Sweep{Every: a.ext.Deletes.every, AtMost: defaultGone}
	if m := a.ext.Deletes.AtMost; m != nil {
		out.AtMost = *m
	}
	return out, true
}

// Keys lists the records that are there now, page by page, as [Source.Pages] does with records.
func (s *Source) Keys(ctx context.Context, from weir.Checkpoint) iter.Seq2[weir.Chunk, error] {
	return func(yield func(weir.Chunk, error) bool) {
		err := s.keys(ctx, from, func(c weir.Chunk) error {
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

func (s *Source) keys(ctx context.Context, from weir.Checkpoint, emit func(weir.Chunk) error) error {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil {
		return err
	}
	if a, err = a.swept(); err != nil {
		return err
	}
	var at *position
	if len(from) > 0 {
		at = &position{}
		if err := json.Unmarshal(from, at); err != nil {
			return weir.Errorf("CONNECTOR-1014-400", "the checkpoint does not fit the listing of keys: %w", err)
		}
	}
	t := &tour{s: s, attributes: a, parts: a.ext.Partition, window: weir.Window{End: s.opt.Now()}, emit: emit, begin: at == nil}
	return t.level(ctx, where{params: s.params}, at, nil)
}

// Keyer makes the function that reads the key of a record: the values of weir.key, as texts to compare and as they are.
// A record without one of them has none. listed is for records of [Source.Keys].
func (s *Source) Keyer(listed bool) (func(record []byte) (key, values []byte), error) {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err == nil && listed {
		key := a.ext.key
		if a, err = a.swept(); err == nil && len(a.ext.key) != len(key) {
			err = weir.Errorf("CONNECTOR-1312-400", "weir.key of the listing in weir.deletes has %d members, the records' has %d", len(a.ext.key), len(key))
		}
	}
	if err != nil {
		return nil, err
	}
	wrapper := a.wrapper(s.params)
	return func(record []byte) (key, values []byte) {
		inner := record
		if wrapper != "" {
			inner = pluck(record, path{{name: wrapper}})
		}
		key, values = []byte{'['}, []byte{'['}
		for i, p := range a.ext.key {
			v := pluck(inner, p)
			if len(v) == 0 { // a member that a parent gave
				v = pluck(record, p)
			}
			if len(v) == 0 || string(v) == "null" {
				return nil, nil
			}
			if i > 0 {
				key, values = append(key, ','), append(values, ',')
			}
			key = append(key, quote(paramText(v))...)
			values = compact(values, v)
		}
		return append(key, ']'), append(values, ']')
	}, nil
}

// Gone is the record that deletes the row of a key, given by its values.
func (s *Source) Gone(values []byte) ([]byte, error) {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(values, &list); err != nil || len(list) != len(a.ext.key) {
		return nil, weir.Errorf("CONNECTOR-1014-400", "a key that was kept does not fit weir.key any more")
	}
	var tree any = &object{}
	wrapper := a.wrapper(s.params)
	for i, p := range a.ext.key {
		v, err := parseTree(list[i])
		if err != nil {
			return nil, err
		}
		if wrapper != "" {
			p = append(path{{name: wrapper}}, p...)
		}
		if tree, err = putAt(tree, p, v); err != nil {
			return nil, err
		}
	}
	raw, err := plainJSON(tree)
	if err != nil {
		return nil, err
	}
	return append(append(append(bytes.TrimSuffix(raw, []byte("}")), ','), deletedMark.text...), '}'), nil
}
