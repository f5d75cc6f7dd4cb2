package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// importRoutes is Batch Ingestion (schema-catalog-data §4.1).
var importRoutes = []route{
	{"POST", "/batches", createImportBatch, access{}},
	{"PATCH", "/batches", createImportBatch, access{}}, // one client replays this way (Q19)
	{"POST", "/batches/{id}", importAction, access{}},
	{"GET", "/batches/{id}", getImportBatch, access{}},
	{"PUT", "/batches/{id}/datasets/{dataset}/files/{path...}", putUpload, access{limit: maxUpload}},
	{"POST", "/batches/{id}/datasets/{dataset}/files/{path...}", actUpload, access{}},
	{"PATCH", "/batches/{id}/datasets/{dataset}/files/{path...}", patchUpload, access{limit: maxUpload}},
	{"HEAD", "/batches/{id}/datasets/{dataset}/files/{path...}", headUpload, access{}},
	{"GET", "/batches/{id}/datasets/{dataset}/preview", previewUpload, access{}},
	{"POST", "/collection/{inlet}", noInlet, access{open: true}},
	{"POST", "/collection/batch/{inlet}", noInlet, access{open: true}},
}

const importBase = "/data/foundation/import"

// inputFormats are the formats of uploaded files.
var inputFormats = []string{"csv", "json", "parquet"}

// noInlet is what streaming collection answers: there are no inlets here, so every one is unknown (§0.1).
func noInlet(c *call) (reply, error) { return reply{}, c.unknown("inlets", c.param("inlet")) }

// createImportBatch is POST /batches: the new batch itself is the answer.
func createImportBatch(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	var d *weir.Doc
	err = c.writeCatalog(func(ch *catalogChange) (err error) {
		d, err = ch.createBatch(body)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	o, err := importBatch(c, d)
	return created(c.baseURL()+catalogBase+"/batches/"+d.ID, o), err
}

// importBatch is a batch as this service shows it: with its id.
func importBatch(c *call, d *weir.Doc) (object, error) {
	o, err := showBatch(c, d)
	if err != nil {
		return nil, err
	}
	return append(object{}.set("id", d.ID), o...), nil
}

func getImportBatch(c *call) (reply, error) {
	var o object
	err := c.view(func(tx *store.Tx) error {
		d, err := c.get(tx, weir.KindBatch, c.param("id"))
		if err != nil {
			return err
		}
		o, err = importBatch(c, d)
		return err
	})
	return ok(o), err
}

// createBatch records a batch that files can be uploaded to (§4.2).
func (ch *catalogChange) createBatch(in object) (*weir.Doc, error) {
	c := ch.c
	dataset, err := c.batchDataset(in)
	if err != nil {
		return nil, err
	}
	ds, err := ch.tx.Get(weir.KindDataset, c.Scope, dataset)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, fault(c.service.codes.badJSON, "/datasetId", "datasetId %s is not the id of a dataset of this sandbox.", shorten(dataset))
	}
	if err != nil {
		return nil, err
	}
	of, err := parseObject(ds.Body)
	if err != nil {
		return nil, err
	}
	b := weir.NewBatch(dataset)
	if b.InputFormat, err = c.inputFormat(in, of); err != nil {
		return nil, err
	}
	if err := c.batchTags(b, in, of); err != nil {
		return nil, err
	}
	if b.Replay, err = c.replay(in); err != nil {
		return nil, err
	}
	if in.has("externalId") && !isText(in.get("externalId")) {
		return nil, fault(c.service.codes.badJSON, "/externalId", "externalId must be text.")
	}
	id := weir.NewBatchID()
	if b.ExternalID = in.text("externalId"); b.ExternalID == "" {
		b.ExternalID = id
	}
	d := &weir.Doc{Kind: weir.KindBatch, ID: id, Scope: c.Scope, State: b.Status, Body: encode(b)}
	return d, ch.tx.Insert(d, c.Actor)
}

// batchDataset is the dataset that a create body names, in any of the places that clients use.
func (c *call) batchDataset(in object) (string, error) {
	for _, name := range []string{"datasetId", "dataSetId"} {
		if !in.has(name) {
			continue
		}
		if !isText(in.get(name)) {
			return "", fault(c.service.codes.badJSON, "/"+name, "%s must be text.", name)
		}
		return in.text(name), nil
	}
	var b weir.Batch
	if json.Unmarshal(encode(in.only("relatedObjects")), &b) == nil && b.Dataset() != "" {
		return b.Dataset(), nil
	}
	return "", fault(c.service.codes.badJSON, "/datasetId", "datasetId is missing.")
}

// inputFormat is the format of a batch's files; what the client leaves open is the dataset's.
func (c *call) inputFormat(in, dataset object) (*weir.InputFormat, error) {
	raw := in.get("inputFormat")
	if !in.has("inputFormat") {
		raw = dataset.get("fileDescription")
	} else if !isObject(raw) {
		return nil, fault(c.service.codes.badJSON, "/inputFormat", "inputFormat must be an object.")
	}
	var f weir.InputFormat
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, fault(c.service.codes.badJSON, "/inputFormat", "inputFormat is not readable: %s.", err.Error())
		}
	}
	if f.Format == "" {
		f.Format = "parquet"
	}
	f.Format = strings.ToLower(f.Format)
	if !slices.Contains(inputFormats, f.Format) {
		if !in.has("inputFormat") { // a dataset of another kind of files
			f.Format = "parquet"
			return &f, nil
		}
		return nil, fault(c.service.codes.badJSON, "/inputFormat/format", "inputFormat.format is %q; possible are %s.", shorten(f.Format), strings.Join(inputFormats, ", "))
	}
	return &f, nil
}

// batchTags sets the client's tags and how bad rows are treated (§4.2, Q13).
func (c *call) batchTags(b *weir.Batch, in, dataset object) error {
	if in.has("tags") && !isObject(in.get("tags")) {
		return fault(c.service.codes.badJSON, "/tags", "tags must be an object.")
	}
	tags, err := c.datasetTags(in)
	if err != nil {
		return err
	}
	for _, m := range tags {
		var values weir.TextList
		if err := json.Unmarshal(m.value, &values); err != nil {
			return err
		}
		b.Tag(m.name, values...)
	}
	var diagnostics weir.Bool
	for _, from := range []object{dataset, in} {
		if !from.has("enableErrorDiagnostics") {
			continue
		}
		if err := json.Unmarshal(from.get("enableErrorDiagnostics"), &diagnostics); err != nil {
			return fault(c.service.codes.badJSON, "/enableErrorDiagnostics", "enableErrorDiagnostics must be true or false.")
		}
	}
	percent := 0.0
	for _, name := range []string{"partialIngestionPercent", "partialIngestionPercentage"} {
		if !in.has(name) {
			continue
		}
		var text weir.Text
		err := json.Unmarshal(in.get(name), &text)
		if err == nil {
			percent, err = strconv.ParseFloat(string(text), 64)
		}
		if err != nil || percent < 0 || percent > 100 {
			return fault(c.service.codes.badJSON, "/"+name, "%s must be a number from 0 to 100.", name)
		}
	}
	b.Ingestion(diagnostics.Value || percent > 0, percent)
	return nil
}

// replay reads which batches this one replaces; one client sends the ids with a dollar sign (Q19).
func (c *call) replay(in object) (*weir.Replay, error) {
	if !in.has("replay") {
		return nil, nil
	}
	var r weir.Replay
	if !isObject(in.get("replay")) || json.Unmarshal(in.get("replay"), &r) != nil {
		return nil, fault(c.service.codes.badJSON, "/replay", "replay must be an object with lists of texts.")
	}
	for _, list := range [][]string{r.Predecessors, r.PredecessorsByExternal} {
		for i, id := range list {
			id = strings.TrimPrefix(id, "$")
			list[i] = strings.TrimSuffix(strings.TrimPrefix(id, "{"), "}")
		}
	}
	return &r, nil
}

// importAction is POST /batches/{id}?action=… in any case (§4.4).
func importAction(c *call) (reply, error) {
	action := c.arg("action")
	if action == "" {
		action = c.arg("actions")
	}
	id := c.param("id")
	switch strings.ToUpper(action) {
	case "COMPLETE":
		return reply{}, c.completeBatch(id)
	case "ABORT":
		return reply{}, c.endBatch(id, weir.BatchAborted, "", weir.BatchLoading, weir.BatchLoaded, weir.BatchQueued)
	case "FAIL":
		return reply{}, c.endBatch(id, weir.BatchFailed, "The client has failed the batch.", weir.BatchLoading)
	case "REVERT":
		return reply{}, c.revert(id)
	case "REPLAY": // of its rejected rows
		return c.startReplay(func(tx *store.Tx) (string, error) {
			_, _, err := c.readBatch(tx, id)
			return id, err
		})
	case "":
		return reply{}, c.refuse("The query parameter action is missing. COMPLETE, ABORT, FAIL, REVERT and REPLAY are possible.")
	}
	return reply{}, c.refuse("action=%s is not known. COMPLETE, ABORT, FAIL, REVERT and REPLAY are possible.", shorten(action))
}

// completeBatch starts the promotion. A second call has no effect, whatever came of the first.
func (c *call) completeBatch(id string) error {
	return c.write(func(tx *store.Tx) error {
		d, b, err := c.readBatch(tx, id)
		if err != nil {
			return err
		}
		switch b.Status {
		case weir.BatchLoading:
			return c.server.Engine.CompleteBatch(tx, d, c.Actor)
		case weir.BatchAborted, weir.BatchAbandoned, weir.BatchDeleted, weir.BatchInactive:
			return c.refuse("Batch %s is %s and cannot be completed.", id, b.Status)
		}
		return nil
	})
}

// endBatch ends a batch from one of some statuses. Where it is already, nothing happens.
func (c *call) endBatch(id, status, why string, from ...string) error {
	err := c.write(func(tx *store.Tx) error {
		d, b, err := c.readBatch(tx, id)
		if err != nil || b.Status == status {
			return err
		}
		if !slices.Contains(from, b.Status) {
			return c.refuse("Batch %s is %s; only %s batches can become %s.", id, b.Status, strings.Join(from, ", "), status)
		}
		b.Status, b.Completed = status, c.server.Now().UnixMilli()
		if why != "" {
			b.Errors = []weir.BatchError{{Code: "INGEST-1000-400", Description: why}}
		}
		o, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		o = o.set("status", b.Status).set("completed", b.Completed).set("errors", b.Errors)
		d.Body, d.State = o.raw(), status
		return tx.Update(d, c.Actor)
	})
	if err == nil {
		c.dropUploads(id)
	}
	return err
}

// revert takes a batch's rows out of its dataset. A batch that is inactive already stays.
func (c *call) revert(id string) error {
	var b weir.Batch
	err := c.view(func(tx *store.Tx) (err error) {
		_, b, err = c.readBatch(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	switch b.Status {
	case weir.BatchInactive, weir.BatchDeleted:
		return nil
	case weir.BatchSuccess:
	default:
		return c.refuse("Batch %s is %s; only successful batches can be reverted.", id, b.Status)
	}
	_, err = c.server.Engine.RevertBatch(c.ctx(), c.Scope, id, c.Actor)
	return err
}

// previewUpload shows the first rows of a batch's uploaded files as a table (§4.6).
func previewUpload(c *call) (reply, error) {
	f, n, err := c.previewFormat()
	if err != nil {
		return reply{}, err
	}
	if err := c.uploadTarget(false); err != nil {
		return reply{}, err
	}
	rows, columns, err := c.previewRows(f, n)
	if err != nil {
		return reply{}, err
	}
	cols := make([]object, len(columns))
	for i, name := range columns {
		cols[i] = object{}.set("cid", strconv.Itoa(i)).set("name", name)
	}
	header := f.Header == nil || *f.Header
	params := object{}.set("delimiter", f.Delimiter).set("quote", f.Quote).set("escape", f.Escape).set("charset", f.Charset).set("header", header).
		set("format", f.Format).set("isMultiLineJson", f.IsMultiLineJSON)
	return ok(object{}.set("formatParams", params).set("preview", object{}.set("columns", cols).set("rows", rows))), nil
}

// previewFormat reads the parameters of a preview.
func (c *call) previewFormat() (f weir.InputFormat, n int, err error) {
	or := func(name, absent string) string {
		if v := c.values().Get(name); v != "" {
			return v
		}
		return absent
	}
	f = weir.InputFormat{
		Format: strings.ToLower(or("format", "json")), Delimiter: or("delimiter", ","), Quote: or("quote", `"`), Escape: or("escape", `\`), Charset: or("charset", "UTF-8"),
	}
	if !slices.Contains(inputFormats, f.Format) {
		return f, 0, c.refuse("format is %q; possible are %s.", shorten(f.Format), strings.Join(inputFormats, ", "))
	}
	var valid bool
	if f.IsMultiLineJSON, valid = c.flag("isMultiLineJson"); !valid {
		return f, 0, c.refuse("isMultiLineJson must be true or false.")
	}
	header, valid := c.flag("header")
	if !valid {
		return f, 0, c.refuse("header must be true or false.")
	}
	if c.arg("header") != "" {
		f.Header = &header
	}
	n, err = c.whole("nrow", 0, 0, 9)
	if n == 0 {
		n = 5
	}
	return f, n, err
}

// errEnough ends the reading of a file early.
var errEnough = errors.New("enough rows")

// urlLimit is the longest request target of this service.
const urlLimit = 2000

// checkURL refuses long addresses with 414.
func (c *call) checkURL() error {
	if len(c.req.URL.RequestURI()) > urlLimit || len(c.baseURL())+len(c.req.URL.RequestURI()) > urlLimit {
		return weir.Errorf("INGEST-1000-414", "The URL is longer than %d characters.", urlLimit)
	}
	return nil
}

// fileAnswer is what large uploads answer: clients parse it without looking.
func fileAnswer(name string, size int64) reply {
	return reply{status: http.StatusOK, body: object{}.set("name", name).set("sizeInBytes", size)}
}

// flatten makes the cells of a preview row: slash paths of the leaves.
func flatten(raw json.RawMessage, at string, cell func(name string, value any)) {
	if isObject(raw) {
		o, err := parseObject(raw)
		if err != nil {
			return
		}
		for _, m := range o {
			name := m.name
			if at != "" {
				name = at + "/" + m.name
			}
			flatten(m.value, name, cell)
		}
		return
	}
	var text weir.Text
	if json.Unmarshal(raw, &text) == nil && at != "" {
		cell(at, string(text))
		return
	}
	if at == "" {
		at = "value"
	}
	cell(at, string(raw))
}
