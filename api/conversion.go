package api

import (
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"

	"weir"
	"weir/flow"
	"weir/mapping"
	"weir/record"
	"weir/store"
	"weir/xdm"
)

// The Conversion API (data-prep §3): mapping sets and their versions, validation and preview, the language, samples and input schemas.
var conversionRoutes = []route{
	{"POST", "/languages/el/validate", validateExpression, access{}},
	{"GET", "/languages/el/functions", listFunctions, access{}},
	{"GET", "/languages/el/operators", listOperators, access{}},
	{"GET", "/samples", listSamples, access{}},
	{"POST", "/samples", createSample, access{limit: maxSample}},
	{"POST", "/samples/upload", uploadSample, access{limit: maxSample}},
	{"GET", "/samples/{id}", getSample, access{}},
	{"PUT", "/samples/{id}", putSample, access{limit: maxSample}},
	{"GET", "/schemas", listInputSchemas, access{}},
	{"POST", "/schemas", createInputSchema, access{}},
	{"POST", "/schemas/upload", uploadInputSchema, access{limit: maxSample}},
	{"GET", "/schemas/{id}", getInputSchema, access{}},
	{"GET", "/xdmBatchConversions", listConversions, access{}},
	{"GET", "/xdmBatchConversions/{id}", getConversion, access{}},
	{"GET", "/xdmBatchConversions/{id}/activities", listConversionActivities, access{}},
	{"GET", "/xdmBatchConversions/{id}/activities/{activity}", getConversionActivity, access{}},
}

// mappingSetRoutes are also reached without the segment conversion, which some tutorials drop.
var mappingSetRoutes = []route{
	{"GET", "", listMappingSets, access{}},
	{"POST", "", createMappingSet, access{}},
	{"POST", "/validate", validateMappingSet, access{}},
	{"POST", "/preview", previewMappingSet, access{}},
	{"GET", "/suggestion", suggestMappings, access{}},
	{"POST", "/suggestion", suggestMappings, access{}},
	{"GET", "/{id}", getMappingSet, access{}},
	{"PUT", "/{id}", putMappingSet, access{}},
	{"DELETE", "/{id}", deleteMappingSet, access{}},
	{"POST", "/{id}/diff", diffMappingSet, access{limit: maxSample}},
	{"GET", "/{id}/mappings", listMappings, access{}},
	{"POST", "/{id}/mappings", createMapping, access{}},
	{"GET", "/{id}/mappings/{mapping}", getMapping, access{}},
	{"PUT", "/{id}/mappings/{mapping}", putMapping, access{}},
	{"DELETE", "/{id}/mappings/{mapping}", deleteMapping, access{}},
}

const (
	conversionBase = "/data/foundation/conversion"
	// maxSample is the largest sample in bytes.
	maxSample = 16 << 20
)

// conversionCodes are the failures that are the same for the whole service.
var conversionCodes = serviceCodes{
	internal: "MAPPER-3000-500", notFound: mapping.CodeNoSet, conflict: "MAPPER-3000-412", method: "MAPPER-3000-405",
	badJSON: mapping.CodeBody, emptyBody: mapping.CodeBody, tooLarge: "MAPPER-3000-413", sandbox: "MAPPER-2100-404",
}

// States of a mapping set (D48): published once a flow refers to it.
const (
	setDraft     = "DRAFT"
	setPublished = "PUBLISHED"
)

// Paging of lists (§3.1).
const (
	conversionPage    = 10
	maxConversionPage = 1000
)

// orderFields are what lists may be sorted by.
var orderFields = map[string]string{"createdDate": "createdAt", "updatedDate": "updatedAt", "modifiedDate": "updatedAt", "lastUpdateDate": "updatedAt", "name": "name"}

// setFields are members that mapping sets may be filtered by.
var setFields = map[string]string{
	"id": "id", "name": "name", "version": "version", "status": "state", "xdmSchema": "xdmSchema", "xdmVersion": "xdmVersion", "createdBy": "createdBy", "modifiedBy": "updatedBy",
	"createdDate": "createdAt", "modifiedDate": "updatedAt", "updatedAt": "updatedAt", "outputSchema": "outputSchema", "schemaRef": "schemaRef", "tags": "tags",
}

func badQuery(format string, args ...any) *weir.Error {
	return weir.Errorf(mapping.CodeQuery, format, args...)
}

// conversionQuery reads limit, start, name, orderBy and property of a list.
func (c *call) conversionQuery(kind string) (q store.Query, err error) {
	q = store.Query{Kind: kind, Scopes: []weir.Scope{c.Scope}, Limit: conversionPage}
	number := func(name string, low, high int, into *int) error {
		text := c.arg(name)
		if text == "" {
			return nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return badQuery("%s is %q; a whole number from %d to %d is expected.", name, shorten(text), low, high)
		}
		*into = n
		return nil
	}
	if err := errors.Join(number("limit", 1, maxConversionPage, &q.Limit), number("start", 0, 1<<31-1, &q.Offset)); err != nil {
		return q, err
	}
	order := strings.TrimSpace(c.arg("orderBy")) // a plus sign that was not encoded arrives as a space
	descending := !strings.HasPrefix(c.arg("orderBy"), " ") && !strings.HasPrefix(order, "+")
	order = strings.TrimLeft(order, "+-")
	if order == "" {
		order = "lastUpdateDate"
	}
	field := orderFields[order]
	if field == "" {
		return q, badQuery("orderBy is %q; createdDate, updatedDate, lastUpdateDate and name are possible, with + or - before it.", shorten(order))
	}
	q.Order = []store.Order{{Path: []string{field}, Desc: descending}}
	if name := c.arg("name"); name != "" {
		q.Where = append(q.Where, store.Cond{Path: []string{"name"}, Op: store.Contains, Values: []string{name}, Fold: true})
	}
	where, _, fail := store.ParseProperty(nonEmpty(c.values()["property"]), func(first string) bool { return setFields[first] != "" })
	if fail != nil {
		return q, badQuery("%s", fail.Message)
	}
	for i := range where {
		where[i].Path = append([]string{setFields[where[i].Path[0]]}, where[i].Path[1:]...)
		where[i].Fold = where[i].Fold || where[i].Path[0] == "state"
	}
	q.Where = append(q.Where, where...)
	return q, nil
}

// conversionPages answers a list: data, _page, and _links when there is more.
func (c *call) conversionPages(q store.Query, show func(tx *store.Tx, d *weir.Doc) (object, error)) (reply, error) {
	items := []object{}
	more := ""
	err := c.view(func(tx *store.Tx) error {
		docs, next, err := tx.Find(q)
		if err != nil {
			return err
		}
		more, items = next, make([]object, 0, len(docs))
		for _, d := range docs {
			o, err := show(tx, d)
			if err != nil {
				return err
			}
			items = append(items, o)
		}
		return nil
	})
	if err != nil {
		if e, ok := errors.AsType[*weir.Error](err); ok && e.Family() == "FLOW" { // a filter the store cannot ask
			return reply{}, badQuery("%s", e.Message)
		}
		return reply{}, err
	}
	out := object{}.set("data", items).set("_page", object{}.set("count", len(items)).set("limit", q.Limit))
	if more != "" {
		v := maps.Clone(c.values())
		v.Set("start", strconv.Itoa(q.Offset+q.Limit))
		v.Set("limit", strconv.Itoa(q.Limit))
		out = out.set("_links", object{}.set("next", object{}.set("href", strings.TrimRight(c.req.URL.Path, "/")+"?"+v.Encode())))
	}
	return ok(out), nil
}

// expand reads expandSchema.
func (c *call) expand() (bool, error) {
	v, ok := c.flag("expandSchema")
	if !ok {
		return false, badQuery("expandSchema is %q; true or false is expected.", shorten(c.arg("expandSchema")))
	}
	return v, nil
}

func listMappingSets(c *call) (reply, error) {
	q, err := c.conversionQuery(weir.KindMappingSet)
	if err != nil {
		return reply{}, err
	}
	expand, err := c.expand()
	if err != nil {
		return reply{}, err
	}
	return c.conversionPages(q, func(tx *store.Tx, d *weir.Doc) (object, error) { return c.showSet(tx, d, expand) })
}

// target is the target schema of a set as columns and in full; nil for one that is not named or does not exist.
func (c *call) target(tx *store.Tx, id string) (*record.Schema, *xdm.Full, error) {
	if id == "" {
		return nil, nil, nil
	}
	full, err := flow.FullSchema(tx, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	columns, err := xdm.Columns(full)
	return columns, full, err
}

// input is the shape of a set's records: inputSchema holds it, or names an input schema, a sample, or a schema of the registry; nil if unknown.
func (c *call) input(tx *store.Tx, raw json.RawMessage) (*record.Schema, error) {
	var in struct {
		ID         string          `json:"id"`
		SampleID   string          `json:"sampleId"`
		JSONSchema json.RawMessage `json:"jsonSchema"`
		SchemaRef  weir.Ref        `json:"schemaRef"`
	}
	_ = json.Unmarshal(raw, &in) // what is no object of this form names no shape
	schema := in.JSONSchema
	if len(schema) == 0 && in.ID != "" {
		d, err := tx.Get(weir.KindInputSchema, c.Scope, in.ID)
		if err != nil && !errors.Is(err, weir.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			o, err := parseObject(d.Body)
			if err != nil {
				return nil, err
			}
			schema = o.get("jsonSchema")
		}
	}
	if len(schema) == 0 && in.SampleID != "" {
		records, err := c.sampleRecords(tx, in.SampleID)
		if err != nil && !errors.Is(err, weir.ErrNotFound) {
			return nil, err
		}
		if len(records) > 0 {
			schema = mapping.InferSchema(records)
		}
	}
	if len(schema) == 0 {
		columns, _, err := c.target(tx, in.SchemaRef.ID)
		return columns, err
	}
	columns, _ := xdm.FromJSONSchema(schema) // a schema without columns (values of several types) tells nothing about the input
	return columns, nil
}

// review parses and checks a mapping set in a transaction.
func (c *call) review(tx *store.Tx, set *mapping.Set) (*mapping.Report, error) {
	target, _, err := c.target(tx, set.SchemaID)
	if err != nil {
		return nil, err
	}
	input, err := c.input(tx, set.InputSchema)
	if err != nil {
		return nil, err
	}
	return set.Review(target, input), nil
}

// notValid is the failure for a set with findings; nil without.
func notValid(found []weir.Finding) error {
	if len(found) == 0 {
		return nil
	}
	wrong := map[string]bool{}
	for _, f := range found {
		m, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/mappings/"), "/")
		wrong[m] = true
	}
	msg := strconv.Itoa(len(wrong)) + " mappings are not valid"
	if len(wrong) == 1 {
		msg = found[0].Message
	}
	details := make([]weir.Finding, len(found))
	for i, f := range found {
		details[i] = f
		if at, ok := strings.CutPrefix(f.Pointer, "/mappings/"); ok {
			n, _, _ := strings.Cut(at, "/")
			details[i].Message = "mappings[" + n + "]: " + f.Message
		}
	}
	return &weir.Error{Code: found[0].Code, Message: msg, Details: details}
}
