package lake

import (
	"context"
	"fmt"
	"strings"
)

// pendingSuffix ends the name of a data file that no commit has made visible yet, in a folder bucket: whoever reads the folder's
// *.parquet files sees committed rows only. Metadata always holds the final name. Object storage cannot rename, and nobody globs it.
const pendingSuffix = ".pending"

// writeName is the name under which a data file is written.
func (l *Lake) writeName(name string) string {
	if l.bucket.Local() {
		return name + pendingSuffix
	}
	return name
}

// Publish gives data files their final names: the last act before the pointer moves to metadata that holds them. It can be
// repeated, and does nothing on object storage.
func (t *Table) Publish(files []DataFile) error {
	if !t.l.bucket.Local() {
		return nil
	}
	for _, f := range files {
		name, ok := t.l.bucket.Name(f.URI)
		if !ok {
			return fmt.Errorf("lake: %s is not in the bucket", f.URI)
		}
		if err := t.l.bucket.Rename(name+pendingSuffix, name); err != nil {
			return err
		}
	}
	return nil
}

// Discard removes the data files of a batch that no commit has made visible: what a promotion that died left behind. The caller knows
// that the batch is not committed.
func (t *Table) Discard(ctx context.Context, batch string) error {
	if batch == "" || strings.Contains(batch, "/") {
		return fmt.Errorf("lake: bad batch id %q", batch)
	}
	return t.l.bucket.DeleteAll(ctx, t.dir+"/data/"+batch+"/")
}
