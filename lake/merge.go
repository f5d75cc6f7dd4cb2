package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/blob"
	"weir/record"
)

const (
	// smallFile is the size below which a data file is worth merging, mergeFiles how many of them must follow each other, and mergedBytes
	// about how large a merged file becomes.
	smallFile   = 32 << 20
	mergeFiles  = 8
	mergedBytes = 128 << 20
	// mergedPrefix begins the folder of merged files, where others have the name of their batch.
	mergedPrefix = "merged-"
	originSuffix = ".batches.json"
)

// Origin is a stretch of rows of a data file: the batch that they came with.
type Origin struct {
	Batch string `json:"batch"`
	Rows  int64  `json:"rows"`
}

// Merged reports whether the file was made of the files of several batches; [Table.Origins] knows which.
func (f DataFile) Merged() bool { return strings.HasPrefix(f.Batch(), mergedPrefix) }

// Origins are the batches of a file's rows, in the order of the rows.
func (t *Table) Origins(ctx context.Context, f DataFile) ([]Origin, error) {
	if !f.Merged() {
		return []Origin{{f.Batch(), f.Rows}}, nil
	}
	raw, err := t.read(ctx, f.URI+originSuffix)
	if err != nil {
		return nil, fmt.Errorf("lake: batches of %s: %w", f.URI, err)
	}
	var out struct {
		Batches []Origin `json:"batches"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("lake: batches of %s: %w", f.URI, err)
	}
	var rows int64
	for _, o := range out.Batches {
		rows += o.Rows
	}
	if rows != f.Rows {
		return nil, fmt.Errorf("lake: the batches of %s have %d rows, the file %d", f.URI, rows, f.Rows)
	}
	return out.Batches, nil
}

// Small is the first stretch of small data files that are worth merging, in order; none if there is not enough to gain.
func (t *Table) Small(ctx context.Context) ([]DataFile, error) {
	files, err := t.Files(ctx)
	if err != nil {
		return nil, err
	}
	from, bytes := 0, int64(0)
	for i, f := range files {
		if f.Bytes < smallFile {
			bytes += f.Bytes
			if bytes < mergedBytes && i+1 < len(files) {
				continue
			}
			i++
		}
		if i-from >= mergeFiles {
			return files[from:i], nil
		}
		from, bytes = i, 0
		if f.Bytes >= smallFile {
			from = i + 1
		}
	}
	return nil, nil
}

// Merge writes the rows of some data files of this version into few larger ones, in the same order. They become part of the table with
// [Table.Rewrite] and [Table.Publish]; until then nobody sees them, and [Table.Discard] of their folder ([DataFile.Batch]) removes them. The rows
// are counted while they are read, and in the files that were written. Memory is bounded by a row group.
func (t *Table) Merge(ctx context.Context, files []DataFile) ([]DataFile, error) {
	return t.rewrite(ctx, files, func(string) bool { return true })
}

// Without is what takes the rows of some batches out of this version: the URIs of the files to remove, and files to add that hold what else was in
// those. The caller passes both to [Table.Replace] and publishes or discards the added ones, which lie in one folder.
func (t *Table) Without(ctx context.Context, batches []string) (remove []string, add []DataFile, err error) {
	if len(batches) == 0 {
		return nil, nil, nil
	}
	files, err := t.Files(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the table's files: %w", err)
	}
	var mixed []DataFile
	for _, f := range files {
		origins, err := t.Origins(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		gone := 0
		for _, o := range origins {
			if slices.Contains(batches, o.Batch) {
				gone++
			}
		}
		if gone == 0 {
			continue
		}
		remove = append(remove, f.URI)
		if gone < len(origins) {
			mixed = append(mixed, f)
		}
	}
	if len(mixed) > 0 {
		add, err = t.rewrite(ctx, mixed, func(batch string) bool { return !slices.Contains(batches, batch) })
	}
	return remove, add, err
}

// rewrite copies the rows of the batches that keep takes into new files of one folder.
func (t *Table) rewrite(ctx context.Context, files []DataFile, keep func(batch string) bool) (out []DataFile, err error) {
	folder, s := mergedPrefix+weir.NewHex(8), t.Schema()
	w := &rewriter{t: t, schema: s, keep: keep, open: func(n int) (*FileWriter, error) { return t.NewFile(ctx, s, folder, n) }}
	err = w.run(ctx, files)
	for i := 0; err == nil && i < len(w.out); i++ {
		if err = t.recount(ctx, w.out[i]); err == nil {
			err = t.saveOrigins(ctx, w.out[i], w.origins[i])
		}
	}
	if err != nil {
		_ = t.Discard(context.WithoutCancel(ctx), folder) // Clean finds what stays
		return nil, err
	}
	return w.out, nil
}

// saveOrigins writes the batches of a merged file beside it.
func (t *Table) saveOrigins(ctx context.Context, f DataFile, origins []Origin) error {
	raw, err := json.Marshal(map[string][]Origin{"batches": origins})
	if err != nil {
		return err
	}
	name, _ := t.l.bucket.Name(f.URI)
	return t.l.bucket.Write(ctx, name+originSuffix, raw)
}

// rewriter copies rows of data files into new ones.
type rewriter struct {
	t      *Table
	schema *record.Schema
	keep   func(batch string) bool
	open   func(n int) (*FileWriter, error)

	file    *FileWriter
	sel     []int32
	out     []DataFile
	origins [][]Origin // of the files of out, and of the one that is open
}

func (w *rewriter) run(ctx context.Context, files []DataFile) error {
	for _, f := range files {
		if err := w.copy(ctx, f); err != nil {
			if w.file != nil {
				w.file.Abort()
			}
			return err
		}
	}
	return w.end()
}

// copy appends the kept rows of a file.
func (w *rewriter) copy(ctx context.Context, f DataFile) error {
	origins, err := w.t.Origins(ctx, f)
	if err != nil {
		return err
	}
	var rows int64
	err = w.t.l.batches(ctx, f.URI, w.schema, func(b *record.Batch) error {
		rows += int64(b.Rows)
		if rows > f.Rows {
			return fmt.Errorf("lake: %s has more rows than the %d of its manifest", f.URI, f.Rows)
		}
		if w.file == nil {
			if w.file, err = w.open(len(w.out)); err != nil {
				return err
			}
			w.origins = append(w.origins, nil)
		}
		origins = w.choose(b, origins)
		if err := w.file.Append(b); err != nil {
			return err
		}
		if w.file.Size() < mergedBytes {
			return nil
		}
		return w.end()
	})
	if err == nil && rows != f.Rows {
		return fmt.Errorf("lake: %s has %d rows, its manifest says %d", f.URI, rows, f.Rows)
	}
	return err
}

// choose selects the rows to keep and notes where they are from. origins are those of the rows from the batch's first on; what is left of them
// comes back.
func (w *rewriter) choose(b *record.Batch, origins []Origin) []Origin {
	w.sel = w.sel[:0]
	for i := 0; i < b.Rows; {
		o := &origins[0]
		n := min(b.Rows-i, int(o.Rows))
		if w.keep(o.Batch) {
			for k := range n {
				w.sel = append(w.sel, int32(i+k))
			}
			w.note(o.Batch, int64(n))
		}
		i += n
		if o.Rows -= int64(n); o.Rows == 0 {
			origins = origins[1:]
		}
	}
	b.Sel = w.sel
	return origins
}

func (w *rewriter) note(batch string, rows int64) {
	of := &w.origins[len(w.origins)-1]
	if k := len(*of) - 1; k >= 0 && (*of)[k].Batch == batch {
		(*of)[k].Rows += rows
		return
	}
	if rows > 0 {
		*of = append(*of, Origin{batch, rows})
	}
}

// end completes the open file. One without rows is dropped.
func (w *rewriter) end() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	if len(w.origins[len(w.origins)-1]) == 0 {
		f.Abort()
		w.origins = w.origins[:len(w.origins)-1]
		return nil
	}
	d, err := f.Close()
	if err == nil {
		w.out = append(w.out, d)
	}
	return err
}

// recount reads the number of rows back from a file that is not published yet.
func (t *Table) recount(ctx context.Context, f DataFile) error {
	name, _ := t.l.bucket.Name(f.URI)
	r, err := t.l.openName(ctx, t.l.writeName(name))
	if err != nil {
		return err
	}
	n := r.NumRows()
	if err := r.Close(); err != nil {
		return err
	}
	if n != f.Rows {
		return fmt.Errorf("lake: %s has %d rows, %d were written", f.URI, n, f.Rows)
	}
	return nil
}

// BatchFiles lists the data files that a batch wrote into the table with this metadata, by name; files that are not published are left out. Those of
// a batch whose own files are gone since they were merged are made again, below exports/<batch>/.
func (l *Lake) BatchFiles(ctx context.Context, metadataLocation, batch string) ([]blob.Info, error) {
	t, err := l.Load(ctx, metadataLocation)
	if err != nil {
		return nil, err
	}
	if batch == "" || strings.Contains(batch, "/") {
		return nil, fmt.Errorf("lake: bad batch id %q: %w", batch, weir.ErrNotFound)
	}
	out, err := l.published(ctx, t.dir+"/data/"+batch+"/")
	if err != nil || len(out) > 0 {
		return out, err
	}
	dir := "exports/" + batch + "/"
	if out, err = l.published(ctx, dir); err != nil || len(out) > 0 {
		return out, err
	}
	if err := t.cutOut(ctx, batch, dir); err != nil {
		return nil, err
	}
	return l.published(ctx, dir)
}

// published are the Parquet files directly in a folder that are complete.
func (l *Lake) published(ctx context.Context, dir string) (out []blob.Info, err error) {
	for f, err := range l.bucket.ListDir(ctx, dir) {
		if err != nil {
			return nil, err
		}
		if !f.Dir && !strings.HasSuffix(f.Name, pendingSuffix) && !strings.HasSuffix(f.Name, originSuffix) {
			out = append(out, f)
		}
	}
	return out, nil
}

// cutOut writes the rows of one batch from the merged files into a file of its own.
func (t *Table) cutOut(ctx context.Context, batch, dir string) error {
	files, err := t.filesOf(ctx, batch)
	if err != nil {
		return err
	}
	w := &rewriter{t: t, schema: t.Schema(), keep: func(b string) bool { return b == batch }}
	w.open = func(n int) (*FileWriter, error) {
		name := fmt.Sprintf("%spart-%05d.zstd.parquet", dir, n)
		obj, err := t.l.bucket.NewWriter(ctx, name)
		if err != nil {
			return nil, err
		}
		return WriteParquet(obj, t.l.bucket.URI(name), w.schema), nil
	}
	return w.run(ctx, files)
}

// filesOf are the files that hold rows of a batch.
func (t *Table) filesOf(ctx context.Context, batch string) ([]DataFile, error) {
	files, err := t.Files(ctx)
	if err != nil {
		return nil, err
	}
	var out []DataFile
	for _, f := range files {
		origins, err := t.Origins(ctx, f)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(origins, func(o Origin) bool { return o.Batch == batch }) {
			out = append(out, f)
		}
	}
	return out, nil
}

// ReadBatch calls fn for the rows of a batch in this version, like [Table.Read].
func (t *Table) ReadBatch(ctx context.Context, batch string, fn func(json.RawMessage) error) error {
	files, err := t.filesOf(ctx, batch)
	if err != nil {
		return err
	}
	for _, f := range files {
		origins, err := t.Origins(ctx, f)
		if err != nil {
			return err
		}
		_, err = t.l.readFile(ctx, f.URI, -1, func(row json.RawMessage) error {
			for origins[0].Rows == 0 {
				origins = origins[1:]
			}
			origins[0].Rows--
			if origins[0].Batch != batch {
				return nil
			}
			return fn(row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
