package lake

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"weir"
)

const (
	// smallManifest is the size below which a manifest is merged with others, maxSmall how many small ones a table keeps.
	smallManifest = 1 << 20
	maxSmall      = 24
)

// Append writes a snapshot that adds files to the rows of this version, and returns the location of the new metadata. The rows are current
// once the caller moved the table's pointer from [Table.MetadataLocation] to it; if somebody else moved it first, load the table
// again and append the same files to that. Summary members (weir.batch-id, …) go into the snapshot's summary. Without files there is nothing
// to commit and the present location comes back.
func (t *Table) Append(ctx context.Context, files []DataFile, summary map[string]string) (metadataLocation string, err error) {
	return t.Replace(ctx, nil, files, summary)
}

// Replace is Append that also takes files away: remove are URIs of data files of this version. A URI that is not in it is [weir.ErrConflict].
func (t *Table) Replace(ctx context.Context, remove []string, add []DataFile, summary map[string]string) (metadataLocation string, err error) {
	return t.commit(ctx, remove, add, summary, false)
}

// Rewrite is Replace for files that hold the rows of those they take the place of ([Table.Merge]): the snapshot says that no row has changed, and a
// difference in the number of rows is an error.
func (t *Table) Rewrite(ctx context.Context, remove, add []DataFile, summary map[string]string) (metadataLocation string, err error) {
	uris := make([]string, len(remove))
	for i, f := range remove {
		uris[i] = f.URI
	}
	return t.commit(ctx, uris, add, summary, true)
}

func (t *Table) commit(ctx context.Context, remove []string, add []DataFile, summary map[string]string, same bool) (metadataLocation string, err error) {
	if len(remove)+len(add) == 0 {
		return t.loc, nil
	}
	b, err := table.MetadataBuilderFromBase(t.meta, t.loc)
	if err != nil {
		return "", fmt.Errorf("lake: %s: %w", t.loc, err)
	}
	c := &commit{
		t:   t,
		ctx: ctx,
		id:  snapshotID(),
		seq: t.meta.LastSequenceNumber() + 1,
		tag: uuid.NewString(), same: same,
	}
	if err := c.run(remove, add); err != nil {
		c.drop()
		return "", fmt.Errorf("lake: commit to %s: %w", t.loc, err)
	}
	snap := c.snapshot(summary)
	if err := b.AddSnapshot(snap); err != nil {
		return "", fmt.Errorf("lake: commit to %s: %w", t.loc, err)
	}
	if err := b.SetSnapshotRef(table.MainBranch, c.id, table.BranchRef); err != nil {
		return "", fmt.Errorf("lake: commit to %s: %w", t.loc, err)
	}
	if err := trim(b, t.meta.Snapshots()); err != nil {
		return "", fmt.Errorf("lake: commit to %s: %w", t.loc, err)
	}
	return t.write(ctx, b)
}

// trim forgets the oldest snapshots of a table that has many: the metadata file is read and written at every commit. Their files
// stay until [Table.Clean].
func trim(b *table.MetadataBuilder, before []table.Snapshot) error {
	if len(before) < maxSnapshots {
		return nil
	}
	old := make([]int64, 0, len(before)-keepSnapshots)
	for _, s := range before[:len(before)+1-keepSnapshots] {
		old = append(old, s.SnapshotID)
	}
	return b.RemoveSnapshots(old, false)
}

// snapshotID is a random positive number, as the format asks for.
func snapshotID() int64 {
	u := uuid.New()
	return int64(binary.BigEndian.Uint64(u[:8])^binary.BigEndian.Uint64(u[8:])) & (1<<63 - 1)
}

// commit is one snapshot in the making.
type commit struct {
	t   *Table
	ctx context.Context //nolint:containedctx // a commit lives within one call
	id  int64
	seq int64
	tag string // unique part of the file names
	// same says that the added files hold the rows of the removed ones. hit is the manifest that had the first of those, as it is now.
	same bool
	hit  string

	names   []string // objects written
	list    string   // URI of the manifest list
	added   total
	removed total
}

type total struct{ files, rows, bytes int64 }

func (n *total) add(rows, bytes int64) {
	n.files++
	n.rows += rows
	n.bytes += bytes
}

// run writes manifests and the manifest list.
func (c *commit) run(remove []string, add []DataFile) error {
	manifests, err := c.t.manifests(c.ctx)
	if err != nil {
		return err
	}
	if len(remove) > 0 {
		if manifests, err = c.without(manifests, remove); err != nil {
			return err
		}
	}
	manifests = slices.DeleteFunc(manifests, func(m iceberg.ManifestFile) bool {
		return !m.HasAddedFiles() && !m.HasExistingFiles() && m.SnapshotID() != c.id // all its files are gone since an earlier snapshot
	})
	if !c.same { // the order of the manifests is that of the rows; the next commit merges them
		if manifests, err = c.merge(manifests); err != nil {
			return err
		}
	}
	if len(add) > 0 {
		m, err := c.write(func(w *iceberg.ManifestWriter) error {
			for _, f := range add {
				entry, err := c.entry(f)
				if err != nil {
					return err
				}
				if err := w.Add(entry); err != nil {
					return err
				}
				c.added.add(f.Rows, f.Bytes)
			}
			return nil
		})
		if err != nil {
			return err
		}
		at := len(manifests) // readers look at them in this order, so a preview sees the oldest rows first
		if i := slices.IndexFunc(manifests, func(m iceberg.ManifestFile) bool { return m.FilePath() == c.hit }); c.same && i >= 0 {
			at = i
		}
		manifests = slices.Insert(manifests, at, m)
	}
	if c.same && c.added.rows != c.removed.rows {
		return fmt.Errorf("%d rows would take the place of %d", c.added.rows, c.removed.rows)
	}
	var buf bytes.Buffer
	parent := c.parent()
	if err := iceberg.WriteManifestList(2, &buf, c.id, parent, &c.seq, 0, manifests); err != nil {
		return fmt.Errorf("write manifest list: %w", err)
	}
	c.list, err = c.put(fmt.Sprintf("snap-%d-0-%s.avro", c.id, c.tag), buf.Bytes())
	return err
}

func (c *commit) parent() *int64 {
	if s := c.t.meta.CurrentSnapshot(); s != nil {
		return &s.SnapshotID
	}
	return nil
}

// put stores a file in the table's metadata folder and returns its URI.
func (c *commit) put(name string, data []byte) (string, error) {
	name = c.t.dir + "/metadata/" + name
	if err := c.t.l.bucket.Write(c.ctx, name, data); err != nil {
		return "", err
	}
	c.names = append(c.names, name)
	return c.t.l.bucket.URI(name), nil
}

// drop removes what a failed commit wrote. What cannot be removed is found by Clean.
func (c *commit) drop() {
	for _, name := range c.names {
		_ = c.t.l.bucket.Delete(context.WithoutCancel(c.ctx), name)
	}
}

// write makes one manifest.
func (c *commit) write(fill func(w *iceberg.ManifestWriter) error) (iceberg.ManifestFile, error) {
	var buf bytes.Buffer
	w, err := iceberg.NewManifestWriter(2, &buf, c.t.meta.PartitionSpec(), c.t.meta.CurrentSchema(), c.id)
	if err != nil {
		return nil, err
	}
	if err := fill(w); err != nil {
		_ = w.Close()
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	uri, err := c.put(fmt.Sprintf("%s-m%d.avro", c.tag, len(c.names)), buf.Bytes())
	if err != nil {
		return nil, err
	}
	return w.ToManifestFile(uri, int64(buf.Len()))
}

// entry is the manifest entry of an added file.
func (c *commit) entry(f DataFile) (iceberg.ManifestEntry, error) {
	if _, ok := c.t.l.bucket.Name(f.URI); !ok {
		return nil, fmt.Errorf("data file %s is not in the bucket", f.URI)
	}
	b, err := iceberg.NewDataFileBuilder(c.t.meta.PartitionSpec(), iceberg.EntryContentData, f.URI, iceberg.ParquetFile, nil, nil, nil, f.Rows, f.Bytes)
	if err != nil {
		return nil, err
	}
	b.SortOrderID(table.UnsortedSortOrderID)
	if len(f.ColumnSizes) > 0 {
		b.ColumnSizes(f.ColumnSizes)
	}
	if len(f.ValueCounts) > 0 {
		b.ValueCounts(f.ValueCounts)
	}
	if len(f.NullCounts) > 0 {
		b.NullValueCounts(f.NullCounts)
	}
	if len(f.Lower) > 0 {
		b.LowerBoundValues(f.Lower)
	}
	if len(f.Upper) > 0 {
		b.UpperBoundValues(f.Upper)
	}
	if len(f.SplitOffsets) > 0 {
		b.SplitOffsets(f.SplitOffsets)
	}
	return iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &c.id, nil, nil, b.Build()), nil
}

// merge replaces the small manifests by one when there are many, so that planning a query reads few files. Each entry is rewritten about
// once per maxSmall commits until its manifest has grown to smallManifest.
func (c *commit) merge(in []iceberg.ManifestFile) ([]iceberg.ManifestFile, error) {
	var out, small []iceberg.ManifestFile
	for _, m := range in {
		if m.Length() < smallManifest {
			small = append(small, m)
		} else {
			out = append(out, m)
		}
	}
	if len(small) < maxSmall {
		return in, nil
	}
	merged, err := c.write(func(w *iceberg.ManifestWriter) error {
		for _, m := range small {
			if err := c.carry(w, m, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, merged), nil
}

// without rewrites the manifests that hold one of the files to be removed.
func (c *commit) without(in []iceberg.ManifestFile, remove []string) ([]iceberg.ManifestFile, error) {
	gone := make(map[string]bool, len(remove))
	for _, uri := range remove {
		gone[uri] = true
	}
	var out []iceberg.ManifestFile
	for _, m := range in {
		hit := false
		err := c.t.entries(c.ctx, m, func(e iceberg.ManifestEntry) error {
			hit = hit || gone[e.DataFile().FilePath()]
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !hit {
			out = append(out, m)
			continue
		}
		n, err := c.write(func(w *iceberg.ManifestWriter) error { return c.carry(w, m, gone) })
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if c.hit == "" {
			c.hit = n.FilePath()
		}
	}
	for uri, left := range gone {
		if left {
			return nil, fmt.Errorf("data file %s is not in the table: %w", uri, weir.ErrConflict)
		}
	}
	return out, nil
}

// carry copies the live entries of a manifest. Those in gone become deletions, and are marked false there.
func (c *commit) carry(w *iceberg.ManifestWriter, m iceberg.ManifestFile, gone map[string]bool) error {
	return c.t.entries(c.ctx, m, func(e iceberg.ManifestEntry) error {
		df := e.DataFile()
		if _, ok := gone[df.FilePath()]; !ok {
			return w.Existing(e)
		}
		gone[df.FilePath()] = false
		c.removed.add(df.Count(), df.FileSizeBytes())
		return w.Delete(e)
	})
}

// snapshot is the finished snapshot with its summary.
func (c *commit) snapshot(extra map[string]string) *table.Snapshot {
	op := table.OpAppend
	switch {
	case c.same:
		op = table.OpReplace
	case c.removed.files > 0 && c.added.files > 0:
		op = table.OpOverwrite
	case c.removed.files > 0:
		op = table.OpDelete
	}
	props := iceberg.Properties{}
	maps.Copy(props, extra)
	cur := c.t.meta.CurrentSnapshot()
	for _, f := range []struct {
		name           string
		added, removed int64
	}{
		{"data-files", c.added.files, c.removed.files},
		{"records", c.added.rows, c.removed.rows},
		{"files-size", c.added.bytes, c.removed.bytes},
	} {
		var before int64
		if cur != nil && cur.Summary != nil {
			before, _ = strconv.ParseInt(cur.Summary.Properties["total-"+f.name], 10, 64)
		}
		props["total-"+f.name] = strconv.FormatInt(before+f.added-f.removed, 10)
		if f.added > 0 {
			props["added-"+f.name] = strconv.FormatInt(f.added, 10)
		}
		if f.removed > 0 {
			name := map[string]string{"data-files": "deleted-data-files", "records": "deleted-records", "files-size": "removed-files-size"}[f.name]
			props[name] = strconv.FormatInt(f.removed, 10)
		}
	}
	for _, name := range []string{"total-delete-files", "total-position-deletes", "total-equality-deletes"} {
		props[name] = "0"
	}
	ts := c.t.l.Now().UnixMilli()
	ts = max(ts, c.t.meta.LastUpdatedMillis()+1) // clocks of several processes differ; history must not
	schema := c.t.meta.CurrentSchema().ID
	return &table.Snapshot{
		SnapshotID:       c.id,
		ParentSnapshotID: c.parent(),
		SequenceNumber:   c.seq,
		TimestampMs:      ts,
		ManifestList:     c.list,
		Summary:          &table.Summary{Operation: op, Properties: props},
		SchemaID:         &schema,
	}
}

// manifests are those of the current snapshot, in order; none for an empty table.
func (t *Table) manifests(ctx context.Context) ([]iceberg.ManifestFile, error) {
	s := t.meta.CurrentSnapshot()
	if s == nil {
		return nil, nil
	}
	return t.manifestList(ctx, s.ManifestList)
}

func (t *Table) manifestList(ctx context.Context, uri string) ([]iceberg.ManifestFile, error) {
	raw, err := t.read(ctx, uri)
	if err != nil {
		return nil, err
	}
	list, err := iceberg.ReadManifestList(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("lake: manifest list %s: %w", uri, err)
	}
	return list, nil
}

// read returns a whole object by its URI.
func (t *Table) read(ctx context.Context, uri string) ([]byte, error) {
	name, ok := t.l.bucket.Name(uri)
	if !ok {
		return nil, fmt.Errorf("lake: %s is not in the bucket", uri)
	}
	return t.l.bucket.Read(ctx, name)
}

// entries calls fn for each live entry of a manifest.
func (t *Table) entries(ctx context.Context, m iceberg.ManifestFile, fn func(iceberg.ManifestEntry) error) error {
	raw, err := t.read(ctx, m.FilePath())
	if err != nil {
		return err
	}
	r, err := iceberg.NewManifestReader(m, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("lake: manifest %s: %w", m.FilePath(), err)
	}
	defer r.Close()
	for {
		e, err := r.ReadEntry()
		if err == io.EOF { //nolint:errorlint // the reader returns it bare
			return nil
		}
		if err != nil {
			return fmt.Errorf("lake: manifest %s: %w", m.FilePath(), err)
		}
		if e.Status() == iceberg.EntryStatusDELETED {
			continue
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// Files are the data files of this version, oldest first.
func (t *Table) Files(ctx context.Context) ([]DataFile, error) {
	list, err := t.manifests(ctx)
	if err != nil {
		return nil, err
	}
	var out []DataFile
	for _, m := range list {
		err := t.entries(ctx, m, func(e iceberg.ManifestEntry) error {
			if e.DataFile().ContentType() == iceberg.EntryContentData {
				out = append(out, dataFile(e.DataFile()))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Clip(out), nil
}

func dataFile(d iceberg.DataFile) DataFile {
	return DataFile{
		URI: d.FilePath(), Rows: d.Count(), Bytes: d.FileSizeBytes(),
		ColumnSizes: d.ColumnSizes(), ValueCounts: d.ValueCounts(), NullCounts: d.NullValueCounts(),
		Lower: d.LowerBoundValues(), Upper: d.UpperBoundValues(), SplitOffsets: d.SplitOffsets(),
	}
}

// Totals are the figures of this version as its snapshot's summary has them: data files, rows and bytes.
func (t *Table) Totals() (files, rows, bytes int64) {
	s := t.meta.CurrentSnapshot()
	if s == nil || s.Summary == nil {
		return 0, 0, 0
	}
	n := func(name string) int64 {
		v, _ := strconv.ParseInt(s.Summary.Properties["total-"+name], 10, 64) // a foreign snapshot may lack it
		return v
	}
	return n("data-files"), n("records"), n("files-size")
}
