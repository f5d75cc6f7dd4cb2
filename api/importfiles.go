package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/blob"
	"weir/ingest"
	"weir/lake"
	"weir/store"
)

// maxUpload is the largest file or piece of one upload request (§4.5).
const maxUpload = 512 << 20

// uploadTarget checks that the batch of the path takes files for the dataset of the path.
func (c *call) uploadTarget(loading bool) error {
	if err := c.checkURL(); err != nil {
		return err
	}
	return c.view(func(tx *store.Tx) error {
		_, b, err := c.readBatch(tx, c.param("id"))
		if err != nil {
			return err
		}
		if b.Dataset() != c.param("dataset") {
			return c.unknown("batches/"+c.param("id")+"/datasets", c.param("dataset"))
		}
		if loading && b.Status != weir.BatchLoading {
			return c.refuse("Batch %s is %s; files can be uploaded to loading batches only.", c.param("id"), b.Status)
		}
		return nil
	})
}

// uploadName is the object of the uploaded path. Pieces of it lie in a folder beside.
func (c *call) uploadName() (file, pieces string, err error) {
	path := strings.Trim(c.param("path"), "/")
	dir := lake.UploadDir(c.param("id"))
	file = dir + "files/" + path
	if path == "" || blob.ValidName(file) != nil || blob.ValidName(path) != nil {
		return "", "", c.refuse("The path %q cannot name a file.", shorten(path))
	}
	return file, dir + "chunks/" + url.PathEscape(path) + "/", nil
}

// putUpload stores one file whole; a second upload replaces it.
func putUpload(c *call) (reply, error) {
	if err := c.uploadTarget(true); err != nil {
		return reply{}, err
	}
	file, _, err := c.uploadName()
	if err != nil {
		return reply{}, err
	}
	body, err := c.payload()
	if err != nil {
		return reply{}, err
	}
	if _, err := c.store(file, body, maxUpload); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK}, nil
}

// payload is the body as bytes; of a form it is the part named file.
func (c *call) payload() (io.Reader, error) {
	body := c.stream()
	kind, params, err := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return body, nil //nolint:nilerr // an unreadable content type is no form
	}
	form := multipart.NewReader(body, params["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, c.refuse("The form has no part named file.")
		}
		if part.FormName() == "file" || part.FileName() != "" {
			return part, nil
		}
	}
}

// store writes an object and returns its size.
func (c *call) store(name string, body io.Reader, limit int64) (int64, error) {
	w, err := c.server.Lake.Bucket().NewWriter(c.ctx(), name)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	n, err := io.Copy(w, io.LimitReader(body, limit+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large) || n > limit:
		return 0, weir.Errorf(c.service.codes.tooLarge, "The upload is larger than %d bytes. Upload large files in pieces: action=INITIALIZE, PATCH, action=COMPLETE.", limit)
	case err != nil:
		return 0, &weir.Error{Code: c.service.codes.badJSON, Message: "The upload broke off.", Err: err}
	}
	return n, w.Close()
}

// dropUploads removes what was uploaded for a batch.
func (c *call) dropUploads(id string) {
	if err := c.server.Lake.Bucket().DeleteAll(context.WithoutCancel(c.ctx()), lake.UploadDir(id)); err != nil {
		c.server.Log.WarnContext(c.ctx(), "uploaded files stay", "batch", id, "error", err)
	}
}

// actUpload begins or ends the upload of a file in pieces.
func actUpload(c *call) (reply, error) {
	if err := c.uploadTarget(true); err != nil {
		return reply{}, err
	}
	file, pieces, err := c.uploadName()
	if err != nil {
		return reply{}, err
	}
	switch action := strings.ToUpper(c.arg("action")); action {
	case "INITIALIZE":
		if err := c.server.Lake.Bucket().DeleteAll(c.ctx(), pieces); err != nil {
			return reply{}, err
		}
		return reply{status: http.StatusCreated}, c.server.Lake.Bucket().Write(c.ctx(), pieces+"begun", nil)
	case "COMPLETE":
		size, err := c.assemble(file, pieces)
		return fileAnswer(c.param("path"), size), err
	default:
		return reply{}, c.refuse("action is %q; INITIALIZE and COMPLETE are possible.", shorten(c.arg("action")))
	}
}

// piece is one stored piece: bytes from…to of total.
type piece struct {
	name            string
	from, to, total int64
}

var (
	contentRange = regexp.MustCompile(`^(?:bytes[ =]*)?(\d{1,15})-(\d{1,15})(?:/(\d{1,15}|\*))?$`)
	pieceName    = regexp.MustCompile(`/(\d{15})-(\d{15})-(\d{15})$`)
)

// patchUpload stores one piece. Pieces come in any order; the same range again replaces it.
func patchUpload(c *call) (reply, error) {
	if err := c.uploadTarget(true); err != nil {
		return reply{}, err
	}
	_, pieces, err := c.uploadName()
	if err != nil {
		return reply{}, err
	}
	m := contentRange.FindStringSubmatch(strings.TrimSpace(c.req.Header.Get("Content-Range")))
	if m == nil {
		return reply{}, c.refuse("The header Content-Range is missing or not readable; write it as bytes 0-99/500.")
	}
	var p piece
	p.from, _ = strconv.ParseInt(m[1], 10, 64) // at most 15 digits, see the pattern
	p.to, _ = strconv.ParseInt(m[2], 10, 64)
	if m[3] != "" && m[3] != "*" {
		p.total, _ = strconv.ParseInt(m[3], 10, 64)
	}
	if p.to < p.from || p.total > 0 && p.to >= p.total {
		return reply{}, c.refuse("Content-Range %s is no range of a file.", m[0])
	}
	if _, err := c.server.Lake.Bucket().Stat(c.ctx(), pieces+"begun"); errors.Is(err, weir.ErrNotFound) {
		return reply{}, c.refuse("The upload of %s in pieces has not begun: POST it with action=INITIALIZE first.", shorten(c.param("path")))
	} else if err != nil {
		return reply{}, err
	}
	body, err := c.payload()
	if err != nil {
		return reply{}, err
	}
	name := fmt.Sprintf("%s%015d-%015d-%015d", pieces, p.from, p.to, p.total)
	n, err := c.store(name, body, maxUpload)
	if err != nil {
		return reply{}, err
	}
	if n != p.to-p.from+1 {
		return reply{}, errors.Join(c.refuse("Content-Range names %d bytes, the body has %d.", p.to-p.from+1, n), c.server.Lake.Bucket().Delete(c.ctx(), name))
	}
	return fileAnswer(c.param("path"), n), nil
}

// stored lists the pieces of a file in order.
func (c *call) stored(pieces string) (list []piece, begun bool, err error) {
	for o, err := range c.server.Lake.Bucket().List(c.ctx(), pieces) {
		if err != nil {
			return nil, false, err
		}
		m := pieceName.FindStringSubmatch(o.Name)
		if m == nil {
			begun = true
			continue
		}
		p := piece{name: o.Name}
		p.from, _ = strconv.ParseInt(m[1], 10, 64) // written by patchUpload
		p.to, _ = strconv.ParseInt(m[2], 10, 64)
		p.total, _ = strconv.ParseInt(m[3], 10, 64)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b piece) int { return int(a.from - b.from) })
	return list, begun, nil
}

// assemble joins the pieces of a file: gaps and overlaps are refused.
func (c *call) assemble(file, pieces string) (int64, error) {
	list, begun, err := c.stored(pieces)
	if err != nil {
		return 0, err
	}
	if !begun {
		if info, err := c.server.Lake.Bucket().Stat(c.ctx(), file); err == nil {
			return info.Size, nil // a repeated COMPLETE
		}
		return 0, c.refuse("The upload of %s in pieces has not begun: POST it with action=INITIALIZE first.", shorten(c.param("path")))
	}
	var at, total int64
	for _, p := range list {
		if p.from != at {
			return 0, c.refuse("Bytes %d to %d are missing or were sent twice.", min(at, p.from), max(at, p.from)-1)
		}
		at, total = p.to+1, max(total, p.total)
	}
	if at == 0 || total > 0 && at != total {
		return 0, c.refuse("Bytes from %d on are missing.", at)
	}
	w, err := c.server.Lake.Bucket().NewWriter(c.ctx(), file)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	for _, p := range list {
		r, err := c.server.Lake.Bucket().NewReader(c.ctx(), p.name, 0, -1)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(w, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return 0, err
		}
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return at, c.server.Lake.Bucket().DeleteAll(c.ctx(), pieces)
}

// headUpload tells how much of a file is there.
func headUpload(c *call) (reply, error) {
	if err := c.uploadTarget(false); err != nil {
		return reply{}, err
	}
	file, pieces, err := c.uploadName()
	if err != nil {
		return reply{}, err
	}
	var got int64
	if info, err := c.server.Lake.Bucket().Stat(c.ctx(), file); err == nil {
		got = info.Size
	} else if !errors.Is(err, weir.ErrNotFound) {
		return reply{}, err
	} else {
		list, begun, err := c.stored(pieces)
		if err != nil {
			return reply{}, err
		}
		if !begun {
			return reply{}, c.unknown("files", c.param("path"))
		}
		for _, p := range list {
			got += p.to - p.from + 1
		}
	}
	return reply{status: http.StatusOK}.with("Range", "0-"+strconv.FormatInt(got, 10)), nil
}

// previewRows reads the first rows of a batch's uploaded files.
func (c *call) previewRows(f weir.InputFormat, n int) (rows []object, columns []string, err error) {
	rows = []object{}
	bucket := c.server.Lake.Bucket()
	add := func(line []byte, _ int) error {
		row := object{}
		flatten(line, "", func(name string, value any) {
			at := slices.Index(columns, name)
			if at < 0 {
				at = len(columns)
				columns = append(columns, name)
			}
			row = row.set(strconv.Itoa(at), value)
		})
		rows = append(rows, row)
		if len(rows) == n {
			return errEnough
		}
		return nil
	}
	for o, err := range bucket.List(c.ctx(), lake.UploadDir(c.param("id"))+"files/") {
		if err != nil {
			return nil, nil, err
		}
		if o.Size == 0 {
			continue
		}
		err = ingest.Formats[f.Format](c.ctx(), c.server.Lake, o.Name, f, nil, func(ndjson []byte, records int) error {
			if !json.Valid(ndjson) {
				return nil
			}
			return add(ndjson, records)
		})
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return rows, columns, nil
}
