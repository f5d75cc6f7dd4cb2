package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/mapping"
	"weir/record"
	"weir/store"
)

func listFunctions(*call) (reply, error) { return ok(mapping.Functions()), nil }

func listOperators(*call) (reply, error) { return ok(mapping.Operators()), nil }

// verdict is the answer of the expression check (D45).
type verdict struct {
	Status     string   `json:"validationStatus"`
	Error      string   `json:"error"`
	ReturnType string   `json:"returnType,omitempty"`
	Attributes []string `json:"attributes"`
	Warnings   []string `json:"warnings,omitempty"`
	// Line, Column and Snippet are the place of the error.
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Snippet string `json:"snippet,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Result  any    `json:"result,omitempty"`
}

// validateExpression is POST /languages/el/validate; the expression may be nested in a member of the same name.
func validateExpression(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	raw := body.get("expression")
	if isObject(raw) {
		inner, err := parseObject(raw)
		if err != nil {
			return reply{}, err
		}
		raw = inner.get("expression")
	}
	var expr string
	if raw == nil || json.Unmarshal(raw, &expr) != nil {
		return reply{}, fault(mapping.CodeBody, "/expression", "The member expression is missing. Send the expression as text.")
	}
	var sample record.Value
	hasSample := body.has("sampleData")
	if hasSample {
		list, err := readSample([]byte(body.text("sampleData")), body.text("sampleDataType"), body.get("sampleData"))
		if err != nil {
			return reply{}, fault(mapping.CodeBody, "/sampleData", "sampleData cannot be read: %s.", err)
		}
		if len(list) > 0 {
			sample = list[0]
		}
	}
	opts := mapping.Options{}
	err = c.view(func(tx *store.Tx) error {
		id := body.text("mappingSetId")
		if id == "" {
			return nil
		}
		d, err := tx.Get(weir.KindMappingSet, c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			return &weir.Error{Code: mapping.CodeNoSet, Message: "Mapping set " + shorten(id) + " was not found.", ID: id, Type: weir.KindMappingSet}
		}
		if err != nil {
			return err
		}
		o, err := parseObject(d.Body)
		if err == nil {
			opts.Input, err = c.input(tx, o.get("inputSchema"))
		}
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return ok(c.judge(expr, opts, sample, hasSample)), nil
}

func (c *call) judge(expr string, opts mapping.Options, sample record.Value, hasSample bool) verdict {
	e, err := mapping.Compile(expr, opts)
	v := verdict{Status: "succeeded", Error: "none", Attributes: []string{}}
	if err == nil {
		v.ReturnType, v.Attributes = e.ReturnType(), append(v.Attributes, e.Attributes()...)
		for _, w := range e.Warnings() {
			v.Warnings = append(v.Warnings, w.Error())
		}
		if hasSample {
			var out record.Value
			if out, err = e.Eval(sample, mapping.NewEnv("", c.server.Now())); err == nil {
				v.Result = json.RawMessage(out.AppendJSON(nil))
			}
		}
	}
	if bad, ok := errors.AsType[*mapping.Error](err); ok {
		v.Status, v.Error, v.Kind = "failed", bad.Error(), string(bad.Kind)
		v.Line, v.Column, v.Snippet = bad.Line, bad.Column, bad.Snippet()
	}
	return v
}

// validateMappingSet is POST /mappingSets/validate: one verdict per mapping, whatever is wrong with it.
func validateMappingSet(c *call) (reply, error) {
	set, _, err := c.setBody()
	if err != nil {
		return reply{}, err
	}
	var report *mapping.Report
	err = c.view(func(tx *store.Tx) (err error) {
		report, err = c.review(tx, set)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	verdicts := make([]object, len(set.Mappings))
	for i, found := range report.Mappings {
		m := &set.Mappings[i]
		if len(found) == 0 {
			verdicts[i] = object{}.set("status", "SUCCESS").set("errors", nil)
			continue
		}
		list := make([]object, len(found))
		for j, f := range found {
			list[j] = transformError(m, m.Destination, f.Code+": "+f.Message)
		}
		verdicts[i] = object{}.set("status", "FAILED").set("errors", list)
	}
	out := object{}.set("validationResponse", verdicts)
	if len(report.Set) > 0 {
		out = out.set("setErrors", report.Set)
	}
	if len(report.Warnings) > 0 {
		out = out.set("warnings", report.Warnings)
	}
	return ok(out), nil
}

// transformError is one fault of a mapping as the validation and the preview show it.
func transformError(m *mapping.Mapping, column, exception string) object {
	return object{}.set("sourceType", m.SourceType.String()).set("source", m.Source).set("destination", m.Destination).set("columnName", column).set("exception", exception)
}

// maxPreview is how many records a preview takes.
const maxPreview = 100

// previewMappingSet is POST /mappingSets/preview: the rows of some records, in the form the records came in (D44).
func previewMappingSet(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	raw := body.get("data")
	data, err := record.Parse(raw)
	if err != nil || data.Kind() != record.KindArray && data.Kind() != record.KindObject {
		return reply{}, fault(mapping.CodeBody, "/data", "data must be a record or an array of records.")
	}
	records := data.Items()
	if data.Kind() == record.KindObject {
		records = []record.Value{data}
	}
	if len(records) > maxPreview {
		return reply{}, fault(mapping.CodeBody, "/data", "data has %d records; a preview takes up to %d.", len(records), maxPreview)
	}
	if !isObject(body.get("mappingSet")) {
		return reply{}, fault(mapping.CodeBody, "/mappingSet", "mappingSet is missing. Send the mapping set to preview.")
	}
	set, err := mapping.ParseSet(body.get("mappingSet"))
	if err != nil {
		return reply{}, err
	}
	var target *record.Schema
	err = c.view(func(tx *store.Tx) (err error) {
		target, _, err = c.target(tx, set.SchemaID)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	shape := weir.Shape{}
	if w := body.text("wrapper"); w != "" {
		shape.Wrapper = w
	}
	t, broken := mapping.Partial(set, target, shape)
	env := mapping.NewEnv("", c.server.Now())
	rows := make([]object, len(records))
	for i, rec := range records {
		env.Next(int64(i))
		rows[i] = previewRow(set, t.Transform(rec, env), broken)
	}
	if data.Kind() == record.KindObject {
		return ok(rows[0]), nil
	}
	return ok(rows), nil
}

// previewRow shows what became of one record, whether it would be kept or not.
func previewRow(set *mapping.Set, r mapping.Result, broken []weir.Finding) object {
	var errs []object
	for _, f := range broken {
		parts := strings.Split(f.Pointer, "/") // /mappings/<i>/…
		if len(parts) < 3 {
			continue
		}
		if i, err := strconv.Atoi(parts[2]); err == nil && i < len(set.Mappings) {
			errs = append(errs, transformError(&set.Mappings[i], set.Mappings[i].Destination, f.Code+": "+f.Message))
		}
	}
	for i := range r.Warnings {
		w := &r.Warnings[i]
		errs = append(errs, transformError(&set.Mappings[w.Mapping], w.Destination, mapping.CodeTransform+": "+w.Description()))
	}
	for _, e := range r.Reject {
		m := &mapping.Mapping{Destination: e.Path}
		if i := slices.IndexFunc(set.Mappings, func(m mapping.Mapping) bool { return m.Destination == e.Path }); i >= 0 {
			m = &set.Mappings[i]
		}
		errs = append(errs, transformError(m, e.Path, "The row would be rejected: "+e.Code+": "+e.Message))
	}
	out := object{}.with("data", r.Data.AppendJSON(nil))
	if errs == nil {
		return out.set("errors", nil)
	}
	return out.set("errors", errs)
}

// suggestMappings is GET or POST /mappingSets/suggestion: a mapping set that is not stored (data-prep §11).
func suggestMappings(c *call) (reply, error) {
	only := true
	if v, known := c.flag("excludeUnmapped"); !known {
		return reply{}, badQuery("excludeUnmapped is %q; true or false is expected.", shorten(c.arg("excludeUnmapped")))
	} else if c.arg("excludeUnmapped") != "" {
		only = v
	}
	body := object{}
	if c.req.Method != "GET" {
		var err error
		if body, err = c.object(); err != nil {
			return reply{}, err
		}
	}
	var in mapping.SuggestInput
	var schemaID, location string
	err := c.view(func(tx *store.Tx) (err error) {
		if schemaID, location, err = c.suggestionTarget(tx, body); err != nil {
			return err
		}
		if in.Target, _, err = c.target(tx, schemaID); err != nil {
			return err
		}
		if in.Target == nil {
			return weir.Errorf(mapping.CodeNoTarget, "No target schema was found. Name a dataset (datasetId), a schema (schemaId) or outputSchema.")
		}
		if in.Records, in.Schema, err = c.suggestionSource(tx, body); err != nil {
			return err
		}
		in.History, err = c.mappedBefore(tx)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	if len(in.Records) == 0 && in.Schema == nil && location != "" {
		if in.Records, err = c.firstRows(location); err != nil {
			return reply{}, err
		}
	}
	mappings := []object{}
	for _, s := range mapping.Suggest(in) {
		if s.Destination == "" && only {
			continue
		}
		m := &mapping.Mapping{Source: s.Source, Destination: s.Destination}
		o := object{}.set("sourceType", m.SourceType.Stored()).set("source", s.Source).set("destination", s.Destination).set("identity", false).set("primaryIdentity", false).
			set("matchScore", s.Score).set("functionVersion", 1).set("sourceAttribute", s.Source).set("destinationXdmPath", s.Destination)
		if len(s.Candidates) > 0 {
			o = o.set("candidates", s.Candidates)
		}
		mappings = append(mappings, o)
	}
	ref := object{}.set("id", schemaID).set("contentType", setContentType)
	return ok(object{}.set("version", 0).set("outputSchema", object{}.set("schemaRef", ref)).set("schemaRef", ref).set("xdmSchema", schemaID).
		set("xdmVersion", setContentType).set("mappings", mappings)), nil
}

// suggestionTarget finds the target schema of a suggestion, and the table whose rows are the sample of a batch.
func (c *call) suggestionTarget(tx *store.Tx, body object) (schema, location string, err error) {
	schema = c.arg("schemaId")
	if schema == "" {
		schema = schemaOf(body)
	}
	if id := c.arg("batchId"); id != "" {
		d, err := tx.Get(weir.KindBatch, c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			return "", "", badQuery("batchId %s is not the id of a batch.", shorten(id))
		}
		if err != nil {
			return "", "", err
		}
		var b weir.Batch
		if err := d.Read(&b); err != nil {
			return "", "", err
		}
		for _, o := range b.RelatedObjects {
			if o.Type == "dataSet" {
				if _, location, err = c.datasetSchema(tx, o.ID); err != nil {
					return "", "", err
				}
				break
			}
		}
	}
	if id := c.arg("datasetId"); id != "" && schema == "" {
		if schema, _, err = c.datasetSchema(tx, id); err != nil {
			return "", "", err
		}
	}
	return schema, location, nil
}

// datasetSchema is the schema id of a dataset and where its table is, "" if nothing was written yet.
func (c *call) datasetSchema(tx *store.Tx, id string) (schema, location string, err error) {
	d, err := tx.Get(weir.KindDataset, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return "", "", badQuery("datasetId %s is not the id of a dataset.", shorten(id))
	}
	if err != nil {
		return "", "", err
	}
	o, err := parseObject(d.Body)
	if err != nil {
		return "", "", err
	}
	location, err = c.tableOf(tx, d)
	if errors.Is(err, weir.ErrNotFound) {
		err = nil
	}
	return schemaOf(o), location, err
}

// firstRows reads some rows of a table.
func (c *call) firstRows(location string) ([]record.Value, error) {
	t, err := c.server.Lake.Load(c.ctx(), location)
	if err != nil {
		return nil, err
	}
	var out []record.Value
	err = t.Read(c.ctx(), maxPreview, func(row json.RawMessage) error {
		v, err := record.Parse(row)
		out = append(out, v)
		return err
	})
	return out, err
}

// suggestionSource reads the sample or the input schema of a suggestion.
func (c *call) suggestionSource(tx *store.Tx, body object) (records []record.Value, schema json.RawMessage, err error) {
	if raw := body.get("sample"); raw != nil {
		v, err := record.Parse(raw)
		if err != nil {
			return nil, nil, err
		}
		if v.Kind() == record.KindArray {
			return v.Items(), nil, nil
		}
		return []record.Value{v}, nil, nil
	}
	if raw := body.get("inputSchema"); isObject(raw) {
		in, err := parseObject(raw)
		if err != nil {
			return nil, nil, err
		}
		if in.has("jsonSchema") {
			return nil, in.get("jsonSchema"), nil
		}
		if id := in.text("id"); id != "" {
			d, err := tx.Get(weir.KindInputSchema, c.Scope, id)
			if err == nil {
				o, err := parseObject(d.Body)
				return nil, o.get("jsonSchema"), err
			}
			if !errors.Is(err, weir.ErrNotFound) {
				return nil, nil, err
			}
		}
		body = in
	}
	id := c.arg("sampleId")
	if id == "" {
		id = body.text("sampleId")
	}
	if id == "" {
		return nil, nil, nil
	}
	records, err = c.sampleRecords(tx, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, nil, badQuery("sampleId %s is not the id of a sample.", shorten(id))
	}
	return records, nil, err
}

// historySets is how many of the newest mapping sets tell what was mapped before.
const historySets = 50

// mappedBefore collects the attributes that this sandbox has mapped, the newest first.
func (c *call) mappedBefore(tx *store.Tx) (map[string]string, error) {
	docs, _, err := tx.Find(store.Query{Kind: weir.KindMappingSet, Scopes: []weir.Scope{c.Scope}, Limit: historySets})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, d := range docs {
		set, err := mapping.ParseSet(d.Body)
		if err != nil {
			continue // a draft of another time
		}
		for i := range set.Mappings {
			m := &set.Mappings[i]
			if _, known := out[m.Source]; !known && m.SourceType == mapping.Attribute {
				out[m.Source] = m.Destination
			}
		}
	}
	return out, nil
}

// readSample reads records from text: JSON (a record, an array, or one record per line) or CSV. raw is the member the text came in, which may
// be an array or object itself.
func readSample(text []byte, kind string, raw json.RawMessage) ([]record.Value, error) {
	if isObject(raw) || isArray(raw) {
		text, kind = raw, "json"
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if kind == "" {
		kind = "csv"
		if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
			kind = "json"
		}
	}
	switch strings.ToLower(kind) {
	case "json":
		return readJSONSample(text)
	case "csv":
		return readCSVSample(text)
	}
	return nil, errors.New("the type is " + strconv.Quote(shorten(kind)) + "; json or csv is expected")
}

func readJSONSample(text []byte) ([]record.Value, error) {
	if v, err := record.Parse(text); err == nil {
		if v.Kind() == record.KindArray {
			return v.Items(), nil
		}
		return []record.Value{v}, nil
	}
	var out []record.Value
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		v, err := record.Parse(line)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// readCSVSample makes records of text: the header cells are the keys, an empty cell is null.
func readCSVSample(text []byte) ([]record.Value, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []record.Value
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		o := record.NewObject(len(head))
		for i, name := range head {
			v := record.Null()
			if i < len(row) && row[i] != "" {
				v = record.TextOf(row[i])
			}
			o.Set(name, v)
		}
		out = append(out, record.ObjectOf(o))
	}
}
