package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// batches are the batches (§2.7).
var batches = &collection{
	kind: weir.KindBatch,
	fields: []string{
		"externalId", "status", "started", "completed", "recordCount", "failedRecordCount", "size", "errors", "relatedObjects", "metrics", "tags",
		"inputFormat", "replay", "state", "name", "version", "namespace",
	},
	filters: map[string][]string{
		"dataSet": {"relatedObjects", "id"}, "dataSetId": {"relatedObjects", "id"}, "datasetId": {"relatedObjects", "id"}, "batch": {"id"}, "flowId": {"tags", "flowId"},
	},
	show: showBatch,
}

// showBatch is a batch as clients read it.
func showBatch(c *call, d *weir.Doc) (object, error) {
	o, err := view(d)
	if err != nil {
		return nil, err
	}
	if !o.has("externalId") {
		o = o.set("externalId", d.ID)
	}
	if !isArray(o.get("errors")) {
		o = o.set("errors", []string{})
	}
	return catalogHeader(c, d, o).set("version", "1.0."+strconv.FormatInt(d.Rev-1, 10)), nil
}

func getBatches(c *call) (reply, error) { return batches.getSome(c, nil) }

// readBatch reads a batch of the call's sandbox.
func (c *call) readBatch(tx *store.Tx, id string) (d *weir.Doc, b weir.Batch, err error) {
	if d, err = c.get(tx, weir.KindBatch, id); err != nil {
		return nil, b, err
	}
	return d, b, d.Read(&b)
}

// createCatalogBatch makes a batch as POST /import/batches does; the catalog answers with its reference.
func createCatalogBatch(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	var id string
	err = c.writeCatalog(func(ch *catalogChange) error {
		d, err := ch.createBatch(body)
		if err == nil {
			id = d.ID
		}
		return err
	})
	return created(c.baseURL()+catalogBase+"/batches/"+id, ref(weir.KindBatch, id)), err
}

// batchPatchable are the members of a batch that clients may change in the catalog; the rest follows from its life.
var batchPatchable = []string{"externalId", "tags", "name", "description"}

func patchBatch(c *call) (reply, error) {
	raw, err := c.body()
	if err != nil {
		return reply{}, err
	}
	err = c.writeCatalog(func(ch *catalogChange) error { return ch.updateBatch(c.param("id"), c.req.Header.Get("If-Match"), raw) })
	return ok(ref(weir.KindBatch, c.param("id"))), err
}

func (ch *catalogChange) updateBatch(id, tag string, raw json.RawMessage) error {
	c := ch.c
	d, err := c.get(ch.tx, weir.KindBatch, id)
	if err != nil {
		return err
	}
	if err := c.matchVersion(d, "1.0."+strconv.FormatInt(d.Rev-1, 10), tag); err != nil {
		return err
	}
	old, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	o, err := c.patched(slices.Clone(old), raw)
	if err != nil {
		return err
	}
	o = old.without(batchPatchable...).over(o.only(batchPatchable...))
	for _, name := range []string{"externalId", "name", "description"} {
		if o.has(name) && !isText(o.get(name)) {
			return fault(c.service.codes.badJSON, "/"+name, "%s must be text.", name)
		}
	}
	if o.has("tags") && !isObject(o.get("tags")) {
		return fault(c.service.codes.badJSON, "/tags", "tags must be an object.")
	}
	d.Body = o.raw()
	return ch.tx.Update(d, c.Actor)
}

// deleteBatch takes a batch's rows out of its dataset, if it has any, and hides the batch's data for good.
func deleteBatch(c *call) (reply, error) {
	id := c.param("id")
	err := c.revert(id)
	if errorStatus(err) == 404 {
		return ok([]string{}), nil
	}
	if err != nil {
		return reply{}, err
	}
	err = c.write(func(tx *store.Tx) error { return c.setBatch(tx, id, weir.BatchDeleted) })
	return ok(ref(weir.KindBatch, id)), err
}

// setBatch gives a batch another status.
func (c *call) setBatch(tx *store.Tx, id, status string) error {
	d, _, err := c.readBatch(tx, id)
	if err != nil {
		return err
	}
	o, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	if status != weir.BatchInactive && status != weir.BatchDeleted && !o.has("completed") {
		o = o.set("completed", c.server.Now().UnixMilli())
	}
	d.Body, d.State = o.set("status", status).raw(), status
	return tx.Update(d, c.Actor)
}

// uniqueValues is GET /batches/uniques/{field}: the different values of a field, in order.
func uniqueValues(c *call) (reply, error) {
	q, err := batches.question(c)
	if err != nil {
		return reply{}, err
	}
	field := c.param("field")
	if _, known := batches.path(field); !known {
		return reply{}, c.refuse("%s is no field of batches.", shorten(field))
	}
	q.Limit, q.Offset = 0, 0
	seen := map[string]bool{}
	err = c.view(func(tx *store.Tx) error {
		clear(seen)
		docs, _, err := tx.Find(q.Query)
		if err != nil {
			return c.foreign(err)
		}
		for _, d := range docs {
			o, err := batches.show(c, d)
			if err != nil {
				return err
			}
			if o.has(field) {
				seen[string(o.get(field))] = true
			}
		}
		return nil
	})
	values := []json.RawMessage{}
	for _, v := range slices.Sorted(keys(seen)) {
		values = append(values, json.RawMessage(v))
	}
	return ok(values), err
}

// lastBatches is keyed by dataset (§2.7).
func lastBatches(c *call) (reply, error) {
	q, err := datasets.question(c)
	if err != nil {
		return reply{}, err
	}
	q.Where = append(q.Where, store.Cond{Path: []string{"lastBatchId"}, Op: store.Exists})
	out := object{}
	err = c.view(func(tx *store.Tx) error {
		out = out[:0]
		docs, _, err := tx.Find(q.Query)
		if err != nil {
			return c.foreign(err)
		}
		for _, d := range docs {
			o, err := view(d)
			if err != nil {
				return err
			}
			last := object{}.set("lastBatchId", o.text("lastBatchId")).set("lastBatchStatus", o.text("lastBatchStatus"))
			if o.has("lastSuccessfulBatch") {
				last = last.set("lastSuccessfulBatchId", o.text("lastSuccessfulBatch"))
			}
			if o.has("lastFailedBatch") {
				last = last.set("lastFailedBatchId", o.text("lastFailedBatch"))
			}
			last = last.set("imsOrg", c.Scope.Org).set("sandboxId", c.SandboxID).set("created", d.CreatedAt).set("updated", d.UpdatedAt)
			if q.keep != nil {
				last = last.only(q.keep...)
			}
			out = append(out, member{d.ID, last.raw()})
		}
		return nil
	})
	return ok(out), err
}

// listViews is the one view of a dataset.
func listViews(c *call) (reply, error) {
	out := object{}
	err := c.view(func(tx *store.Tx) error {
		d, err := c.get(tx, weir.KindDataset, c.param("id"))
		if err != nil {
			return err
		}
		id, o, err := viewOf(c, d)
		if err != nil {
			return err
		}
		if want := c.param("view"); want != "" && want != id {
			return c.unknown("dataSetViews", want)
		}
		out = object{member{id, o.raw()}}
		return nil
	})
	return ok(out), err
}

// viewOf makes a dataset's view.
func viewOf(c *call, d *weir.Doc) (id string, o object, err error) {
	ds, err := showDataset(c, d)
	if err != nil {
		return "", nil, err
	}
	o = object{}.set("dataSetId", d.ID).set("isPartial", false)
	return ds.text("viewId"), o.over(ds.only("imsOrg", "sandboxId", "created", "updated", "createdClient", "createdUser", "updatedUser", "version", "basePath", "files")), nil
}

// listAllViews is GET /dataSetViews[/{view}].
func listAllViews(c *call) (reply, error) {
	q, err := datasets.question(c)
	if err != nil {
		return reply{}, err
	}
	want := c.param("view")
	if want != "" {
		q.Where = append(q.Where, store.Cond{Path: []string{"viewId"}, Op: store.Eq, Values: []string{want}})
	}
	out := object{}
	err = c.view(func(tx *store.Tx) error {
		out = out[:0]
		docs, _, err := tx.Find(q.Query)
		if err != nil {
			return c.foreign(err)
		}
		for _, d := range docs {
			id, o, err := viewOf(c, d)
			if err != nil {
				return err
			}
			out = append(out, member{id, o.raw()})
		}
		if want != "" && len(out) == 0 {
			return c.unknown("dataSetViews", want)
		}
		return nil
	})
	return ok(out), err
}

// hasFile is the condition on batches that have a dataset file: successful ones with output.
var hasFile = []store.Cond{
	{Path: []string{"status"}, Op: store.Eq, Values: []string{weir.BatchSuccess}},
	{Path: []string{"metrics", "outputFileCount"}, Op: store.Gt, Values: []string{"0"}},
}

// listViewFiles is GET /dataSets/{id}/views/{view}/files.
func listViewFiles(c *call) (reply, error) {
	q, err := batches.question(c)
	if err != nil {
		return reply{}, err
	}
	q.Where = append(q.Where, store.Cond{Path: []string{"relatedObjects", "id"}, Op: store.Eq, Values: []string{c.param("id")}})
	return c.datasetFiles(q, func(tx *store.Tx) error {
		d, err := c.get(tx, weir.KindDataset, c.param("id"))
		if err != nil {
			return err
		}
		id, _, err := viewOf(c, d)
		if err == nil && id != c.param("view") {
			err = c.unknown("dataSetViews", c.param("view"))
		}
		return err
	})
}

// listDatasetFiles is GET /dataSetFiles[/{file}].
func listDatasetFiles(c *call) (reply, error) {
	q, err := batches.question(c)
	if err != nil {
		return reply{}, err
	}
	if id := c.filter("batchId"); id != "" {
		q.Where = append(q.Where, store.Cond{Path: []string{"id"}, Op: store.Eq, Values: []string{id}})
	}
	if file := c.param("file"); file != "" {
		batch, ok := batchOfFile(file)
		if !ok {
			return reply{}, c.unknown("dataSetFiles", file)
		}
		q.Where = append(q.Where, store.Cond{Path: []string{"id"}, Op: store.Eq, Values: []string{batch}})
	}
	return c.datasetFiles(q, func(*store.Tx) error { return nil })
}

// fileOfBatch and batchOfFile turn a batch's id into the id of its dataset file and back.
func fileOfBatch(batch string) string { return batch + "-1" }

func batchOfFile(file string) (batch string, ok bool) { return strings.CutSuffix(file, "-1") }

// datasetFiles answers the dataset files of the batches that fit.
func (c *call) datasetFiles(q question, check func(tx *store.Tx) error) (reply, error) {
	q.Where = append(q.Where, hasFile...)
	out := object{}
	err := c.view(func(tx *store.Tx) error {
		out = out[:0]
		if err := check(tx); err != nil {
			return err
		}
		docs, _, err := tx.Find(q.Query)
		if err != nil {
			return c.foreign(err)
		}
		views := map[string]string{}
		for _, d := range docs {
			var b weir.Batch
			if err := d.Read(&b); err != nil {
				return err
			}
			view, err := c.viewID(tx, views, b.Dataset())
			if err != nil {
				return err
			}
			o := object{}.set("batchId", d.ID).set("dataSetViewId", view).set("imsOrg", d.Scope.Org).set("sandboxId", c.SandboxID).
				set("createdUser", d.CreatedBy).set("createdClient", d.CreatedClient).set("updatedUser", d.UpdatedBy).set("version", "1.0.0").
				set("created", d.CreatedAt).set("updated", d.UpdatedAt).set("records", b.RecordCount).set("sizeInBytes", b.Size)
			if q.keep != nil {
				o = o.only(q.keep...)
			}
			out = append(out, member{fileOfBatch(d.ID), o.raw()})
		}
		if file := c.param("file"); file != "" && len(out) == 0 {
			return c.unknown("dataSetFiles", file)
		}
		return nil
	})
	return ok(out), err
}

// viewID is the view of a dataset, "" if the dataset is gone. Found ones are kept in known.
func (c *call) viewID(tx *store.Tx, known map[string]string, dataset string) (string, error) {
	if v, ok := known[dataset]; ok {
		return v, nil
	}
	d, err := tx.Get(weir.KindDataset, c.Scope, dataset)
	if err != nil && !errors.Is(err, weir.ErrNotFound) {
		return "", err
	}
	if d != nil {
		o, err := parseObject(d.Body)
		if err != nil {
			return "", err
		}
		known[dataset] = o.text("viewId")
	} else {
		known[dataset] = ""
	}
	return known[dataset], nil
}
