package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/blob"
	"weir/store"
)

// exportRoutes is Data Access (schema-catalog-data §3.1).
var exportRoutes = []route{
	{"GET", "/batches/{id}/files", exportBatchFiles, access{}},
	{"GET", "/batches/{id}/failed", exportFailed, access{}},
	{"GET", "/batches/{id}/meta", exportMeta, access{}},
	{"GET", "/files/{file}", exportFile, access{}},
	{"GET", "/datasets/{id}/preview", exportPreview, access{}},
	{"GET", "/dataSets/{id}/preview", exportPreview, access{}},
}

const (
	exportBase = "/data/foundation/export"
	// exportPage is the default and the largest page; previewRows the size of a preview.
	exportPage  = 100
	previewRows = 100
)

// Names below meta/<batch>/ (§3.4). The samples are also asked for under a second name (Q14).
const (
	metaInputs       = "input_files"
	metaErrors       = "row_errors"
	metaWarnings     = "row_warnings"
	metaSamples      = "row_error_samples.json"
	metaSamplesAlias = "row_errors_sample.json"
	failedSuccess    = "_SUCCESS"
)

// metaFolders exist, if need be without a file, wherever diagnostics were on.
var metaFolders = []string{metaInputs, metaErrors, metaWarnings}

// exported reads a document for Data Access. Without a sandbox header the id is looked up in all sandboxes of the organisation (Q31).
func (c *call) exported(tx *store.Tx, kind, id string) (*weir.Doc, error) {
	if c.req.Header.Get("x-sandbox-name") != "" {
		return c.get(tx, kind, id)
	}
	boxes, _, err := tx.Find(store.Query{Kind: weir.KindSandbox, Scopes: []weir.Scope{{Org: c.Scope.Org}}})
	if err != nil {
		return nil, err
	}
	scopes := []weir.Scope{c.Scope}
	for _, b := range boxes {
		scopes = append(scopes, weir.Scope{Org: c.Scope.Org, Sandbox: b.ID})
	}
	d, err := tx.GetAny(kind, scopes, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, c.unknown(kind, id)
	}
	return d, err
}

// exportedBatch reads a batch for Data Access.
func (c *call) exportedBatch(tx *store.Tx, id string) (d *weir.Doc, b weir.Batch, err error) {
	if d, err = c.exported(tx, weir.KindBatch, id); err != nil {
		return nil, b, err
	}
	return d, b, d.Read(&b)
}

// batchOfPath is the batch that the path names.
func (c *call) batchOfPath() (id string, b weir.Batch, err error) {
	id = c.param("id")
	err = c.view(func(tx *store.Tx) (err error) {
		_, b, err = c.exportedBatch(tx, id)
		return err
	})
	return id, b, err
}

// exportEntry is one line of a listing: its name for start=<name>, and what clients see.
type exportEntry struct {
	name string
	show object
}

// exportList answers a page of a listing (§3.2). start counts entries, or names the one to begin after; _page.count is the total.
func (c *call) exportList(entries []exportEntry) (reply, error) {
	limit := exportPage
	if text := strings.TrimSpace(c.arg("limit")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return reply{}, c.refuse("limit is %q; a whole number from 1 to %d is expected.", shorten(text), exportPage)
		}
		limit = min(n, exportPage)
	}
	start := 0
	if text := strings.TrimSpace(c.arg("start")); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil:
			start = 1 + slices.IndexFunc(entries, func(e exportEntry) bool { return e.name == text })
		case n < 0:
			return reply{}, c.refuse("start is %q; a whole number from 0 is expected.", shorten(text))
		default:
			start = n
		}
	}
	items := []object{}
	for i := start; i < len(entries) && len(items) < limit; i++ {
		items = append(items, entries[i].show)
	}
	at := func(start int) object { return object{}.set("href", c.here(start, limit)) }
	links := object{}
	if next := start + len(items); next < len(entries) {
		links = links.set("next", at(next))
	}
	links = links.set("page", at(start).set("templated", true))
	return ok(object{}.set("data", items).set("_page", object{}.set("limit", limit).set("count", len(entries))).set("_links", links)), nil
}

// here is the address of a page of the present listing; path stays the last parameter (Q38).
func (c *call) here(start, limit int) string {
	href := fmt.Sprintf("%s%s?start=%d&limit=%d", c.baseURL(), c.req.URL.EscapedPath(), start, limit)
	if p := c.arg("path"); p != "" {
		href += "&path=" + url.QueryEscape(p)
	}
	return href
}

// exportItem is a line of a listing of files. Numbers are texts (Q22).
func exportItem(name string, size int64, href string) exportEntry {
	return exportEntry{name, object{}.set("name", name).set("length", strconv.FormatInt(size, 10)).
		set("_links", object{}.set("self", object{}.set("href", href)))}
}

// exportBatchFiles lists the dataset file of a successful batch.
func exportBatchFiles(c *call) (reply, error) {
	var entries []exportEntry
	err := c.view(func(tx *store.Tx) error {
		entries = nil
		d, b, err := c.exportedBatch(tx, c.param("id"))
		if err != nil || b.Status != weir.BatchSuccess || b.Metrics.OutputFileCount == 0 {
			return err
		}
		ds, err := tx.Get(weir.KindDataset, d.Scope, b.Dataset())
		if errors.Is(err, weir.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		view, err := parseObject(ds.Body)
		if err != nil {
			return err
		}
		n := func(v int64) string { return strconv.FormatInt(v, 10) }
		file := fileOfBatch(d.ID)
		o := object{}.set("dataSetFileId", file).set("dataSetViewId", view.text("viewId")).set("version", "1.0.0").
			set("created", n(d.CreatedAt)).set("updated", n(d.UpdatedAt)).set("records", n(b.RecordCount)).set("size", n(b.Size)).set("isValid", true).
			set("_links", object{}.set("self", object{}.set("href", c.baseURL()+exportBase+"/files/"+file)))
		entries = []exportEntry{{file, o}}
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	return c.exportList(entries)
}

// exportFile lists what is inside of a dataset file, or with path sends one of its files.
func exportFile(c *call) (reply, error) {
	id := c.param("file")
	batch, isFile := batchOfFile(id)
	if !isFile {
		return reply{}, c.unknown("files", id)
	}
	var location string
	err := c.view(func(tx *store.Tx) error {
		d, b, err := c.exportedBatch(tx, batch)
		if err != nil {
			return err
		}
		if b.Status != weir.BatchSuccess {
			return c.unknown("files", id)
		}
		ds, err := tx.Get(weir.KindDataset, d.Scope, b.Dataset())
		if err == nil {
			location, err = c.tableOf(tx, ds)
		}
		if errors.Is(err, weir.ErrNotFound) {
			return c.unknown("files", id)
		}
		return err
	})
	if err != nil {
		return reply{}, err
	}
	files, err := c.server.Lake.BatchFiles(c.ctx(), location, batch)
	if err != nil {
		return reply{}, err
	}
	href := c.baseURL() + exportBase + "/files/" + id + "?path="
	var entries []exportEntry
	for _, f := range files {
		name := path.Base(f.Name)
		if name == c.arg("path") {
			return c.send(f)
		}
		entries = append(entries, exportItem(name, f.Size, href+url.QueryEscape(name)))
	}
	if p := c.arg("path"); p != "" {
		return reply{}, c.unknown("files/"+id, p)
	}
	return c.exportList(entries)
}

// exportFailed lists the rows of a failed batch that were rejected, as part files, or sends one of them.
func exportFailed(c *call) (reply, error) {
	id, b, err := c.batchOfPath()
	if err != nil {
		return reply{}, err
	}
	var entries []exportEntry
	want := c.arg("path")
	if b.Status == weir.BatchFailed {
		if want == failedSuccess {
			return c.sendBytes(failedSuccess, nil)
		}
		href := c.baseURL() + exportBase + "/batches/" + url.PathEscape(id) + "/failed?path="
		entries = append(entries, exportItem(failedSuccess, 0, href+failedSuccess))
		rows, err := c.metaFiles(id, metaErrors)
		if err != nil {
			return reply{}, err
		}
		for i, f := range rows {
			name := fmt.Sprintf("part-%05d.json", i)
			if name == want {
				return c.send(f)
			}
			entries = append(entries, exportItem(name, f.Size, href+name))
		}
	}
	if want != "" {
		return reply{}, c.unknown("batches/"+id+"/failed", want)
	}
	return c.exportList(entries)
}

// metaFiles are the diagnostics files of a batch below a folder.
func (c *call) metaFiles(batch, below string) ([]blob.Info, error) {
	prefix := "meta/" + batch + "/"
	if blob.ValidName(prefix+"x") != nil || strings.Contains(batch, "/") {
		return nil, nil
	}
	if below != "" {
		prefix += strings.Trim(below, "/") + "/"
	}
	var out []blob.Info
	for f, err := range c.server.Lake.Bucket().List(c.ctx(), prefix) {
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// exportMeta lists a folder of a batch's diagnostics, or sends a file of them (§3.4). There is none unless diagnostics were on.
func exportMeta(c *call) (reply, error) {
	id, b, err := c.batchOfPath()
	if err != nil {
		return reply{}, err
	}
	want := strings.Trim(c.arg("path"), "/")
	if want == metaSamplesAlias {
		want = metaSamples
	}
	var files []blob.Info
	if b.Diagnostics() {
		if files, err = c.metaFiles(id, ""); err != nil {
			return reply{}, err
		}
	}
	entries, file := c.metaFolder(id, want, files)
	switch {
	case file != nil:
		return c.send(*file)
	case len(entries) == 0 && want != "" && (!b.Diagnostics() || !slices.Contains(metaFolders, want)):
		return reply{}, c.unknown("batches/"+id+"/meta", want)
	}
	return c.exportList(entries)
}

// metaFolder is what lies directly in the folder want, or the file of that name.
func (c *call) metaFolder(batch, want string, files []blob.Info) (entries []exportEntry, file *blob.Info) {
	href := c.baseURL() + exportBase + "/batches/" + url.PathEscape(batch) + "/meta?path="
	var folder string
	var size int64
	flush := func() {
		if folder != "" {
			full := strings.Trim(want+"/"+folder, "/")
			entries = append(entries, exportItem(folder, size, href+url.QueryEscape(full)))
		}
		folder, size = "", 0
	}
	for _, f := range files {
		rel := strings.TrimPrefix(f.Name, "meta/"+batch+"/")
		if rel == want {
			return nil, &f
		}
		if want != "" {
			var below bool
			if rel, below = strings.CutPrefix(rel, want+"/"); !below {
				continue
			}
		}
		head, _, deep := strings.Cut(rel, "/")
		if folder != head {
			flush()
		}
		if deep {
			folder, size = head, size+f.Size
			continue
		}
		entries = append(entries, exportItem(head, f.Size, href+url.QueryEscape(strings.Trim(want+"/"+head, "/"))))
	}
	flush()
	return entries, nil
}

// exportPreview shows the first rows of a dataset.
func exportPreview(c *call) (reply, error) {
	var location string
	err := c.view(func(tx *store.Tx) error {
		d, err := c.exported(tx, weir.KindDataset, c.param("id"))
		if err != nil {
			return err
		}
		location, err = c.tableOf(tx, d)
		if errors.Is(err, weir.ErrNotFound) { // no batch yet
			location, err = "", nil
		}
		return err
	})
	if err != nil {
		return reply{}, err
	}
	rows := []json.RawMessage{}
	if location != "" {
		t, err := c.server.Lake.Load(c.ctx(), location)
		if err != nil {
			return reply{}, err
		}
		err = t.Read(c.ctx(), previewRows, func(row json.RawMessage) error {
			rows = append(rows, slices.Clone(row))
			return nil
		})
		if err != nil {
			return reply{}, err
		}
	}
	return ok(object{}.set("data", rows)), nil
}

// exportTypes are the content types of files (§3.3).
var exportTypes = map[string]string{".parquet": "application/parquet", ".json": "application/json", ".ndjson": "application/json", ".csv": "text/csv"}

// send answers a stored object, or the range of it that was asked for.
func (c *call) send(f blob.Info) (reply, error) {
	return c.sendFrom(path.Base(f.Name), f.Size, func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		return c.server.Lake.Bucket().NewReader(ctx, f.Name, off, n)
	})
}

func (c *call) sendBytes(name string, data []byte) (reply, error) {
	return c.sendFrom(name, int64(len(data)), func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(data[off : off+n]))), nil
	})
}

func (c *call) sendFrom(name string, size int64, open func(ctx context.Context, off, n int64) (io.ReadCloser, error)) (reply, error) {
	off, n, status, err := parseRange(c.req.Header.Get("Range"), size)
	if err != nil {
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return reply{}, weir.Errorf("EXPORT-1000-416", "The range is not inside of the file's %d bytes.", size)
	}
	kind := exportTypes[path.Ext(name)]
	if kind == "" {
		kind = "application/octet-stream"
	}
	rep := reply{status: status, header: http.Header{
		"Accept-Ranges": {"bytes"}, "Content-Type": {kind}, "Content-Length": {strconv.FormatInt(n, 10)},
	}}
	if status == http.StatusPartialContent {
		rep = rep.with("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, size))
	}
	if c.req.Method == http.MethodHead || n == 0 {
		rep.stream = func(http.ResponseWriter) error { return nil }
		return rep, nil
	}
	r, err := open(c.ctx(), off, n)
	if err != nil {
		return reply{}, err
	}
	rep.stream = func(w http.ResponseWriter) error {
		defer r.Close()
		if _, err := io.CopyN(w, r, n); err != nil {
			return fmt.Errorf("send %s: %w", name, err)
		}
		return nil
	}
	return rep, nil
}

// parseRange reads a Range header of one range; other forms, and several ranges, mean the whole file.
func parseRange(header string, size int64) (off, n int64, status int, err error) {
	spec, is := strings.CutPrefix(strings.ReplaceAll(header, " ", ""), "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !is || !dash || strings.Contains(spec, ",") {
		return 0, size, http.StatusOK, nil
	}
	outside := errors.New("outside of the file")
	if first == "" { // the last bytes
		n, err := strconv.ParseInt(last, 10, 64)
		switch {
		case err != nil:
			return 0, size, http.StatusOK, nil //nolint:nilerr // a header that is not readable is ignored (RFC 9110)
		case n == 0 || size == 0:
			return 0, 0, 0, outside
		}
		n = min(n, size)
		return size - n, n, http.StatusPartialContent, nil
	}
	off, err = strconv.ParseInt(first, 10, 64)
	end := size - 1
	if err == nil && last != "" {
		end, err = strconv.ParseInt(last, 10, 64)
		end = min(end, size-1)
	}
	switch {
	case err != nil || last != "" && end < off && off < size:
		return 0, size, http.StatusOK, nil //nolint:nilerr // not readable, see above
	case off >= size:
		return 0, 0, 0, outside
	}
	return off, end - off + 1, http.StatusPartialContent, nil
}
