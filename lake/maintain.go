package lake

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/iceberg-go"
)

// Clean removes the table's files that no snapshot of this version reaches: those of expired snapshots, of commits that lost a race and of
// promotions that died, and what foreign programs left there. Only files last written before olderThan go, which must be longer ago than any
// promotion takes: a running one's files are not in any snapshot yet. Call it on the current version only. It returns how many it removed.
func (t *Table) Clean(ctx context.Context, olderThan time.Time) (removed int, err error) {
	live, err := t.reachable(ctx)
	if err != nil {
		return 0, err
	}
	for o, err := range t.l.bucket.List(ctx, t.dir+"/") {
		if err != nil {
			return removed, err
		}
		if live[o.Name] || !o.ModTime.Before(olderThan) {
			continue
		}
		if err := t.l.bucket.Delete(ctx, o.Name); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// reachable is the names of all files that this version needs, history included.
func (t *Table) reachable(ctx context.Context) (map[string]bool, error) {
	live := map[string]bool{}
	mark := func(uri string) (fresh bool, err error) {
		name, ok := t.l.bucket.Name(uri)
		if !ok {
			return false, fmt.Errorf("lake: %s refers to %s, which is not in the bucket", t.loc, uri)
		}
		fresh = !live[name]
		live[name] = true
		return fresh, nil
	}
	if _, err := mark(t.loc); err != nil {
		return nil, err
	}
	for f := range t.meta.PreviousFiles() {
		if _, err := mark(f.MetadataFile); err != nil {
			return nil, err
		}
	}
	for _, s := range t.meta.Snapshots() {
		if _, err := mark(s.ManifestList); err != nil {
			return nil, err
		}
		list, err := t.manifestList(ctx, s.ManifestList)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			fresh, err := mark(m.FilePath())
			if err != nil {
				return nil, err
			}
			if !fresh {
				continue
			}
			err = t.entries(ctx, m, func(e iceberg.ManifestEntry) error {
				f := DataFile{URI: e.DataFile().FilePath()}
				if f.Merged() {
					if _, err := mark(f.URI + originSuffix); err != nil {
						return err
					}
				}
				_, err := mark(f.URI)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return live, nil
}
