package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"weir"
	"weir/flow"
	"weir/store"
)

// catalogRoutes is the Catalog (schema-catalog-data §2.1).
var catalogRoutes = []route{
	{"GET", "/", listCatalog, access{}},
	{"POST", "/", batchedCatalog, access{}},

	{"GET", "/dataSets", datasets.list, access{}},
	{"POST", "/dataSets", createDataset, access{}},
	{"GET", "/dataSets/{id}", getDatasets, access{}},
	{"PUT", "/dataSets/{id}", putDataset, access{}},
	{"PATCH", "/dataSets/{id}", patchDataset, access{}},
	{"DELETE", "/dataSets/{id}", deleteDataset, access{}},
	{"PATCH", "/v2/dataSets/{id}", mergeDataset, access{}},
	{"GET", "/dataSets/{id}/views", listViews, access{}},
	{"GET", "/dataSets/{id}/views/{view}", listViews, access{}},
	{"GET", "/dataSets/{id}/views/{view}/files", listViewFiles, access{}},
	{"GET", "/dataSets/{id}/credentials", noCredentials, access{}},
	{"GET", "/dataSetViews", listAllViews, access{}},
	{"GET", "/dataSetViews/{view}", listAllViews, access{}},
	{"GET", "/dataSetFiles", listDatasetFiles, access{}},
	{"GET", "/dataSetFiles/{file}", listDatasetFiles, access{}},

	{"GET", "/batches", batches.list, access{}},
	{"POST", "/batches", createCatalogBatch, access{}},
	{"GET", "/batches/uniques/{field}", uniqueValues, access{}},
	{"GET", "/batches/{id}", getBatches, access{}},
	{"GET", "/batch/{id}", getBatches, access{}},
	{"PUT", "/batches/{id}", patchBatch, access{}},
	{"POST", "/batches/{id}", patchBatch, access{}},
	{"PATCH", "/batches/{id}", patchBatch, access{}},
	{"DELETE", "/batches/{id}", deleteBatch, access{}},
	{"GET", "/lastBatches", lastBatches, access{}},
	{"GET", "/ttl/{id}", getExpiration, access{}},

	{"GET", "/accounts", emptyCollection, access{}},
	{"GET", "/accounts/{id}", noLegacyObject, access{}},
	{"GET", "/connections", emptyCollection, access{}},
	{"GET", "/connections/{id}", noLegacyObject, access{}},
	{"GET", "/connectors", emptyCollection, access{}},
	{"GET", "/connectors/{id}", noLegacyObject, access{}},
}

const catalogBase = "/data/foundation/catalog"

// datasets are the datasets (§2.4).
var datasets = &collection{
	kind: weir.KindDataset,
	fields: []string{
		"name", "description", "version", "schemaRef", "schema", "fileDescription", "enableErrorDiagnostics", "state", "tags", "unifiedTags",
		"systemLabels", "classification", "extensions", "viewId", "namespace", "basePath", "dataSourceId", "lastBatchId", "lastBatchStatus",
		"lastSuccessfulBatch", "lastFailedBatch", "observableSchema", "size",
	},
	filters: map[string][]string{"dataSet": {"id"}, "dataSetId": {"id"}, "batch": {"lastBatchId"}},
	show:    showDataset,
}

func listCatalog(*call) (reply, error) {
	return ok([]string{"/accounts", "/batches", "/connections", "/connectors", "/dataSetFiles", "/dataSetViews", "/dataSets", "/lastBatches"}), nil
}

func emptyCollection(*call) (reply, error) { return ok(object{}), nil }

func noLegacyObject(c *call) (reply, error) {
	return reply{}, c.unknown(strings.Split(strings.Trim(c.bound.path, "/"), "/")[0], c.param("id"))
}

func noCredentials(c *call) (reply, error) {
	return reply{}, weir.Errorf("CATALOG-1000-404", "Dataset %s has no credentials of its own: its files are read through %s.", c.param("id"), exportBase)
}

// unknown is a 404 for an id.
func (c *call) unknown(kind, id string) *weir.Error {
	e := weir.Errorf(c.service.codes.notFound, "There is no object %s in %s.", shorten(id), kind)
	e.ID, e.Type = id, kind
	return e
}

// get reads a document of the call's sandbox, or is a 404.
func (c *call) get(tx *store.Tx, kind, id string) (*weir.Doc, error) {
	d, err := tx.Get(kind, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, c.unknown(kind, id)
	}
	return d, err
}

// showDataset is a dataset as clients read it.
func showDataset(c *call, d *weir.Doc) (object, error) {
	o, err := view(d)
	if err != nil {
		return nil, err
	}
	o = catalogHeader(c, d, o).set("files", "@/dataSets/"+d.ID+"/views/"+o.text("viewId")+"/files")
	return o, nil
}

// catalogHeader lays the server's members over a body.
func catalogHeader(c *call, d *weir.Doc, o object) object {
	return o.without("id").set("imsOrg", d.Scope.Org).set("sandboxId", c.SandboxID).set("created", d.CreatedAt).set("updated", d.UpdatedAt).
		set("createdClient", d.CreatedClient).set("createdUser", d.CreatedBy).set("updatedUser", d.UpdatedBy)
}

// getSome is GET /{kind}/{id}[,{id2}…]: an unknown single id is a 404, of several the unknown are left out.
func (s *collection) getSome(c *call, more func(tx *store.Tx, d *weir.Doc, o object) object) (reply, error) {
	out, etag := object{}, ""
	keep := strings.FieldsFunc(c.filter("properties"), func(r rune) bool { return r == ',' || r == ' ' })
	ids := slices.DeleteFunc(strings.Split(c.param("id"), ","), func(id string) bool { return strings.TrimSpace(id) == "" })
	if len(ids) > catalogMaxPage {
		return reply{}, c.refuse("%d ids are more than %d.", len(ids), catalogMaxPage)
	}
	err := c.view(func(tx *store.Tx) error {
		out = out[:0]
		for _, id := range ids {
			d, err := c.get(tx, s.kind, strings.TrimSpace(id))
			if len(ids) > 1 && err != nil && errorStatus(err) == http.StatusNotFound {
				continue
			}
			if err != nil {
				return err
			}
			o, err := s.show(c, d)
			if err != nil {
				return err
			}
			if len(ids) == 1 && more != nil {
				o = more(tx, d, o)
			}
			etag = o.text("version")
			if len(keep) > 0 {
				o = o.only(keep...)
			}
			out = append(out, member{d.ID, o.raw()})
		}
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	if len(ids) == 1 {
		return ok(out).with("ETag", etag), nil
	}
	return ok(out), nil
}

func errorStatus(err error) int {
	if e, ok := errors.AsType[*weir.Error](err); ok {
		return e.Status()
	}
	return http.StatusInternalServerError
}

func getDatasets(c *call) (reply, error) {
	return datasets.getSome(c, func(tx *store.Tx, d *weir.Doc, o object) object { return c.withFigures(tx, d, o) })
}

// withFigures adds what the dataset's table says: its size and the columns that were written.
func (c *call) withFigures(tx *store.Tx, d *weir.Doc, o object) object {
	if !o.has("observableSchema") {
		o = o.set("observableSchema", object{})
	}
	loc, err := c.tableOf(tx, d)
	if err != nil {
		return o
	}
	t, err := c.server.Lake.Load(c.ctx(), loc)
	if err != nil {
		c.server.Log.WarnContext(c.ctx(), "dataset without readable table", "dataset", d.ID, "error", err)
		return o
	}
	files, rows, bytes := t.Totals()
	ext, err := parseObject(o.get("extensions"))
	if err != nil {
		return o
	}
	house, err := parseObject(ext.get("adobe_lakeHouse"))
	if err != nil {
		return o
	}
	house = house.set("metrics", object{}.set("rowCount", rows).set("storageSize", bytes)).
		set("tableHealthMetrics", object{}.set("noOfFilesTotal", files).set("noOfPartitionsTotal", min(files, 1)))
	o = o.set("extensions", ext.set("adobe_lakeHouse", house))
	if rows > 0 {
		o = o.with("observableSchema", observed(t.Schema().Fields))
	}
	return o
}

// tableOf is the location of a dataset's table; [weir.ErrNotFound] while it has none.
func (c *call) tableOf(tx *store.Tx, d *weir.Doc) (location string, err error) {
	id, err := flow.TableOf(tx, d)
	if err != nil {
		return "", err
	}
	return tx.Table(id.Namespace, id.Name)
}

// catalogChange is one write of the catalog, alone or as part of a batched call. What must follow the transaction is collected in dropped.
type catalogChange struct {
	c       *call
	tx      *store.Tx
	dropped []string // metadata locations of tables to remove
}

// writeCatalog runs fn in one write transaction; with the header Pragma: validate-only nothing stays.
func (c *call) writeCatalog(fn func(*catalogChange) error) error {
	var ch *catalogChange
	validate := strings.EqualFold(strings.TrimSpace(c.req.Header.Get("Pragma")), "validate-only")
	err := c.write(func(tx *store.Tx) error {
		ch = &catalogChange{c: c, tx: tx}
		if err := fn(ch); err != nil {
			return err
		}
		if validate {
			return errValidated
		}
		return nil
	})
	if errors.Is(err, errValidated) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, loc := range ch.dropped {
		if err := c.server.Lake.Drop(context.WithoutCancel(c.ctx()), loc); err != nil {
			c.server.Log.WarnContext(c.ctx(), "files of a deleted dataset stay", "table", loc, "error", err)
		}
	}
	return nil
}

var errValidated = errors.New("validated only")

// ref is how the catalog names an object in the answer to a write.
func ref(kind, id string) []string { return []string{"@/" + kind + "/" + id} }

func createDataset(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	var id string
	err = c.writeCatalog(func(ch *catalogChange) (err error) {
		id, err = ch.createDataset(body)
		return err
	})
	return created(c.baseURL()+catalogBase+"/dataSets/"+id, ref(weir.KindDataset, id)), err
}

// updated answers a write to an existing dataset.
func (c *call) updated(fn func(*catalogChange) error) (reply, error) {
	err := c.writeCatalog(fn)
	return ok(ref(weir.KindDataset, c.param("id"))), err
}

func putDataset(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	return c.updated(func(ch *catalogChange) error {
		return ch.updateDataset(c.param("id"), c.req.Header.Get("If-Match"), func(object) (object, error) { return slices.Clone(body), nil })
	})
}

// patchDataset takes an object, whose members replace those of the dataset, or a JSON Patch; which one it is says the JSON, not the
// content type (Q21).
func patchDataset(c *call) (reply, error) {
	raw, err := c.body()
	if err != nil {
		return reply{}, err
	}
	return c.updated(func(ch *catalogChange) error {
		return ch.updateDataset(c.param("id"), c.req.Header.Get("If-Match"), func(old object) (object, error) { return c.patched(old, raw) })
	})
}

// patched applies a PATCH body to an object.
func (c *call) patched(old object, raw json.RawMessage) (object, error) {
	switch {
	case isArray(raw):
		return c.jsonPatch(old, raw)
	case !isObject(raw):
		return nil, c.refuse("The body must be a JSON object or a JSON Patch array.")
	}
	in, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(old)
	for _, m := range in {
		if string(m.value) == "null" {
			out = out.without(m.name)
			continue
		}
		out = out.with(m.name, m.value)
	}
	return out, nil
}

// jsonPatch applies RFC 6902 as the catalog does: add makes the objects on the way, replace of what is not there adds (§2.3).
func (c *call) jsonPatch(old object, raw json.RawMessage) (object, error) {
	var list []object
	var in []json.RawMessage
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, c.refuse("The JSON Patch is not readable.")
	}
	if len(in) > maxOperations {
		return nil, c.refuse("The patch has more than %d operations.", maxOperations)
	}
	for i, item := range in {
		op, err := parseObject(item)
		if err != nil || op.text("op") == "" || !strings.HasPrefix(op.text("path"), "/") {
			return nil, fault(c.service.codes.badJSON, "/"+strconv.Itoa(i), "Element %d of the patch must be an object {op, path, value}.", i)
		}
		word := strings.ToLower(op.text("op"))
		if word == "replace" && !present(old.raw(), op.text("path")) {
			word = "add"
		}
		list = append(list, op.set("op", word))
	}
	patch, err := jsonpatch.DecodePatch(encode(list))
	if err != nil {
		return nil, c.refuse("The JSON Patch is not readable.")
	}
	opts := jsonpatch.NewApplyOptions()
	opts.EnsurePathExistsOnAdd, opts.SupportNegativeIndices, opts.EscapeHTML = true, false, false
	out, err := patch.ApplyWithOptions(old.raw(), opts)
	if err != nil {
		e := c.refuse("The JSON Patch does not apply: %s.", shorten(err.Error()))
		e.Err = err
		return nil, e
	}
	if !isObject(out) {
		return nil, c.refuse("The patch leaves no object.")
	}
	return parseObject(out)
}

// present reports whether a JSON pointer leads to something.
func present(doc json.RawMessage, pointer string) bool {
	for seg := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		seg = strings.ReplaceAll(strings.ReplaceAll(seg, "~1", "/"), "~0", "~")
		if isArray(doc) {
			var list []json.RawMessage
			n, err := strconv.Atoi(seg)
			if json.Unmarshal(doc, &list) != nil || err != nil || n < 0 || n >= len(list) {
				return false
			}
			doc = list[n]
			continue
		}
		o, err := parseObject(doc)
		if err != nil || o.get(seg) == nil {
			return false
		}
		doc = o.get(seg)
	}
	return true
}

// mergeDataset is the PATCH of version 2: a deep merge that makes missing objects.
func mergeDataset(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	return c.updated(func(ch *catalogChange) error {
		return ch.updateDataset(c.param("id"), c.req.Header.Get("If-Match"), func(old object) (object, error) { return deepMerge(old, body) })
	})
}

func deepMerge(old, in object) (object, error) {
	out := slices.Clone(old)
	for _, m := range in {
		switch {
		case string(m.value) == "null":
			out = out.without(m.name)
		case isObject(m.value) && isObject(out.get(m.name)):
			a, err := parseObject(out.get(m.name))
			if err != nil {
				return nil, err
			}
			b, err := parseObject(m.value)
			if err != nil {
				return nil, err
			}
			if a, err = deepMerge(a, b); err != nil {
				return nil, err
			}
			out = out.set(m.name, a)
		default:
			out = out.with(m.name, m.value)
		}
	}
	return out, nil
}

// deleteDataset removes a dataset and its table; of an unknown id there is nothing to remove.
func deleteDataset(c *call) (reply, error) {
	var out []string
	err := c.writeCatalog(func(ch *catalogChange) (err error) {
		out, err = ch.deleteDataset(c.param("id"), c.req.Header.Get("If-Match"))
		return err
	})
	return ok(out), err
}
