package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"weir"
	"weir/lake"
	"weir/store"
)

// sweeper is a source whose deletes are found by listing its keys from time to time.
type sweeper interface {
	// Sweep is how; ok is false if deletes are not looked for.
	Sweep() (sweep weir.Sweep, ok bool)
	// Keys lists the records that are there now, as Pages does.
	Keys(ctx context.Context, from weir.Checkpoint) iter.Seq2[weir.Chunk, error]
	// Keyer reads keys of records: a text to compare (without a tab) and what the key is made of; nil for a record without one.
	Keyer(listed bool) (func(record []byte) (key, values []byte), error)
	// Gone is the record that deletes the row of a key.
	Gone(values []byte) ([]byte, error)
}

// swept is the search for deleted records in a run.
type swept struct {
	List copied `json:"list"` // of the keys
	// Known are the files with the keys of everything the flow has read and not deleted, once the run has succeeded; At is when the keys were
	// listed last (epoch milliseconds).
	Known []string `json:"known,omitempty"`
	At    int64    `json:"at,omitempty"`
	Gone  int64    `json:"gone,omitempty"`
	Done  bool     `json:"done,omitempty"`
}

// maxKeyFiles is how many files of keys may lie side by side before they become one.
const maxKeyFiles = 8

// keysFolder holds the files of keys of a flow.
func keysFolder(flow string) string { return "keys/" + flow + "/" }

// findDeleted keeps the keys of what a run has read, and if it is time lists those of the source: what is gone becomes records that delete their
// rows. It is done when pr.Sweep says so, or there is none.
func (e *Engine) findDeleted(ctx context.Context, r *running, pr *progress, src Source) error {
	sw, is := src.(sweeper)
	if !is {
		return nil
	}
	rules, on := sw.Sweep()
	if !on || pr.Sweep != nil && pr.Sweep.Done {
		return nil
	}
	if pr.Sweep == nil {
		pr.Sweep = &swept{}
	}
	due := pr.Plan.Started-pr.SweptAt >= rules.Every.Milliseconds()
	if due && !pr.Sweep.List.Done {
		if err := e.copyInto(ctx, r, pr, &pr.Sweep.List, sw.Keys(ctx, pr.Sweep.List.Next)); err != nil {
			return err
		}
		if !pr.Sweep.List.Done { // asked to stop at a checkpoint
			return nil
		}
	}
	s := &keySweep{e: e, r: r, pr: pr, sw: sw, read: &keySort{bound: keyBound}, listed: &keySort{bound: keyBound}}
	defer s.close()
	if err := s.settle(ctx, rules, due); err != nil {
		return fmt.Errorf("keys of flow %s: %w", pr.Plan.Flow, err)
	}
	pr.Sweep.Done = true
	return nil
}

// keySweep compares keys.
type keySweep struct {
	e            *Engine
	r            *running
	pr           *progress
	sw           sweeper
	read, listed *keySort
	open         []io.Closer
}

func (s *keySweep) close() {
	s.read.close()
	s.listed.close()
	for _, c := range s.open {
		_ = c.Close() // only read from
	}
}

// settle finds the files of keys for the next run, and what is gone.
func (s *keySweep) settle(ctx context.Context, rules weir.Sweep, due bool) error {
	out := s.pr.Sweep
	out.Known, out.At, out.Gone = s.pr.Known, s.pr.SweptAt, 0
	n, err := s.collect(ctx, s.pr.Copy.Parts, s.read, false)
	if err != nil {
		return err
	}
	if due {
		sure, err := s.compare(ctx, rules)
		if err != nil || sure {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	streams, err := s.read.streams()
	if err != nil {
		return err
	}
	if len(out.Known) >= maxKeyFiles {
		old, err := s.files(ctx, out.Known)
		if err != nil {
			return err
		}
		streams, out.Known = append(streams, old...), nil
	}
	name, err := s.write(ctx, streams)
	if err != nil {
		return err
	}
	out.Known = append(slices.Clone(out.Known), name)
	return nil
}

// tombstone marks a record that deletes its row.
var tombstone = []byte(`"_change_request_type":"d"`)

// collect sorts the keys of stage parts.
func (s *keySweep) collect(ctx context.Context, parts []lake.Part, into *keySort, listed bool) (n int64, err error) {
	keyer, err := s.sw.Keyer(listed)
	if err != nil {
		return 0, err
	}
	rank := []byte("\t0") // what was read comes before what was listed: a row is deleted by its key as it was read
	if listed {
		rank = []byte("\t1")
	}
	for _, p := range parts {
		in, err := s.e.Lake.OpenPart(ctx, p)
		if err != nil {
			return 0, err
		}
		lines := bufferedLines(in)
		for line, err := lines(); ; line, err = lines() {
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				return 0, errors.Join(err, in.Close())
			}
			key, values := keyer(line)
			if key == nil || !listed && bytes.Contains(line, tombstone) {
				continue
			}
			n++
			if err := into.add(key, rank, values); err != nil {
				return 0, errors.Join(err, in.Close())
			}
		}
		if err := in.Close(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// compare turns the keys that are known and not listed into records that delete their rows. sure is false if so many are gone that the listing
// is not to be trusted: then nothing is deleted.
func (s *keySweep) compare(ctx context.Context, rules weir.Sweep) (sure bool, err error) {
	out := s.pr.Sweep
	listed, err := s.collect(ctx, out.List.Parts, s.listed, true)
	if err != nil {
		return false, err
	}
	all, err := s.known(ctx)
	if err != nil {
		return false, err
	}
	now, err := s.now()
	if err != nil {
		return false, err
	}
	known := int64(0)
	counted := &keyStream{next: func() ([]byte, error) {
		line, err := all.next()
		if err == nil {
			known++
		}
		return line, err
	}}
	part, err := s.e.Lake.NewPart(ctx, s.r.Run, s.pr.step+1)
	if err != nil {
		return false, err
	}
	defer part.Abort()
	err = missingKeys(counted, now, func(line []byte) error {
		_, values, _ := bytes.Cut(line, []byte{'\t'})
		if len(values) == 0 {
			return fmt.Errorf("the line %q of a file of keys has no values", line)
		}
		record, err := s.sw.Gone(values[1:])
		if err != nil {
			return err
		}
		out.Gone++
		return part.Append(append(record, '\n'), 1)
	})
	if err != nil {
		return false, err
	}
	if out.Gone > 0 && (listed == 0 || float64(out.Gone) > rules.AtMost*float64(known)) {
		s.pr.Copy.Warnings = append(s.pr.Copy.Warnings, fmt.Sprintf(
			"of %d keys that are known, %d are not in the listing of the source, more than the share that deletes.atMost allows; nothing was deleted", known, out.Gone))
		out.Gone = 0
		return false, nil
	}
	name, err := s.rest(ctx)
	if err != nil {
		return false, err
	}
	out.Known, out.At = []string{name}, s.pr.Plan.Started
	if out.Gone == 0 {
		return true, nil
	}
	done, err := part.Sync()
	if err == nil {
		err = part.Close()
	}
	if err != nil {
		return false, err
	}
	s.pr.Copy.Parts = append(slices.Clone(s.pr.Copy.Parts), done)
	s.pr.Copy.Records += out.Gone
	return true, nil
}

// rest writes what stays: the keys that are listed, as they were read if they were.
func (s *keySweep) rest(ctx context.Context) (string, error) {
	known, err := s.known(ctx)
	if err != nil {
		return "", err
	}
	listed, err := s.now()
	if err != nil {
		return "", err
	}
	all, err := mergeKeys([]*keyStream{known, listed})
	if err != nil {
		return "", err
	}
	now, err := s.now()
	if err != nil {
		return "", err
	}
	return s.write(ctx, []*keyStream{commonKeys(all, now)})
}

// known are the keys of what this run and those before have read, in order.
func (s *keySweep) known(ctx context.Context) (*keyStream, error) {
	old, err := s.files(ctx, s.pr.Known)
	if err != nil {
		return nil, err
	}
	own, err := s.read.streams()
	if err != nil {
		return nil, err
	}
	return mergeKeys(append(old, own...))
}

// now are the keys of the listing in order.
func (s *keySweep) now() (*keyStream, error) {
	streams, err := s.listed.streams()
	if err != nil {
		return nil, err
	}
	return mergeKeys(streams)
}

// files opens files of keys.
func (s *keySweep) files(ctx context.Context, names []string) ([]*keyStream, error) {
	var out []*keyStream
	for _, name := range names {
		in, err := s.e.Lake.Bucket().NewReader(ctx, name, 0, -1)
		if err != nil {
			return nil, err
		}
		s.open = append(s.open, in)
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, err
		}
		s.open = append(s.open, z.IOReadCloser())
		out = append(out, lineStream(z))
	}
	return out, nil
}

// write merges streams into a new file of keys.
func (s *keySweep) write(ctx context.Context, streams []*keyStream) (name string, err error) {
	all, err := mergeKeys(streams)
	if err != nil {
		return "", err
	}
	name = keysFolder(s.pr.Plan.Flow) + s.r.Run + "-" + weir.NewHex(4) + ".keys.zst"
	w, err := s.e.Lake.Bucket().NewWriter(ctx, name)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return "", err
	}
	for {
		line, err := all.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = z.Write(append(line, '\n'))
		}
		if err != nil {
			return "", err
		}
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return name, w.Close()
}

// dropKeys removes the files of keys that a run has left behind: those it took the place of, or its own if it failed.
func (e *Engine) dropKeys(ctx context.Context, r *running) error {
	pr, err := e.load(ctx, r)
	if errors.Is(err, weir.ErrNotFound) || err == nil && pr.Sweep == nil {
		return nil
	}
	if err != nil {
		return err
	}
	var st state
	err = e.Store.View(ctx, func(tx *store.Tx) (err error) {
		st, err = readState(tx, r.Scope, pr.Plan.Flow)
		return err
	})
	if err != nil {
		return err
	}
	old := pr.Known
	for info, err := range e.Lake.Bucket().List(ctx, keysFolder(pr.Plan.Flow)+r.Run+"-") {
		if err != nil {
			return err
		}
		old = append(old, info.Name)
	}
	for _, name := range old {
		if slices.Contains(st.Keys, name) {
			continue
		}
		if err := e.Lake.Bucket().Delete(ctx, name); err != nil && !errors.Is(err, weir.ErrNotFound) {
			return err
		}
	}
	return nil
}

// forgetKeys removes the keys of flows that are gone.
func (e *Engine) forgetKeys(ctx context.Context, before time.Time) error {
	gone := map[string]bool{}
	var drop []string
	for info, err := range e.Lake.Bucket().List(ctx, "keys/") {
		if err != nil {
			return err
		}
		flow, _, _ := strings.Cut(strings.TrimPrefix(info.Name, "keys/"), "/")
		if _, known := gone[flow]; !known {
			n := 0
			err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
				n, err = tx.Count(store.Query{Kind: weir.KindFlow, AllScopes: true, Where: []store.Cond{{Path: []string{"id"}, Op: store.Eq, Values: []string{flow}}}})
				return err
			})
			if err != nil {
				return err
			}
			gone[flow] = n == 0
		}
		if gone[flow] && info.ModTime.Before(before) {
			drop = append(drop, info.Name)
		}
	}
	for _, name := range drop {
		if err := e.Lake.Bucket().Delete(ctx, name); err != nil && !errors.Is(err, weir.ErrNotFound) {
			return err
		}
	}
	return nil
}
