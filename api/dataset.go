package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/flow"
	"weir/lake"
	"weir/record"
	"weir/store"
	"weir/xdm"
)

// tableTag names the tag that holds a dataset's table name (§2.5).
const tableTag = "adobe/pqs/table"

// datasetServerSet are members of a dataset that clients cannot set.
var datasetServerSet = []string{
	"id", "imsOrg", "sandboxId", "created", "updated", "createdClient", "createdUser", "updatedUser", "version", "state", "viewId", "basePath", "files",
	"lastBatchId", "lastBatchStatus", "lastSuccessfulBatch", "lastFailedBatch", "observableSchema",
}

// datasetTypes are the JSON types of a dataset's members; what is not named is free.
var datasetTypes = []struct {
	name string
	is   func(json.RawMessage) bool
	word string
}{
	{"name", isText, "text"},
	{"description", isText, "text"},
	{"namespace", isText, "text"},
	{"dataSourceId", isText, "text"},
	{"schemaRef", isObject, "an object"},
	{"fileDescription", isObject, "an object"},
	{"tags", isObject, "an object"},
	{"extensions", isObject, "an object"},
	{"classification", isObject, "an object"},
	{"statsCache", isObject, "an object"},
	{"dule", isObject, "an object"},
	{"unifiedTags", isTexts, "a list of texts"},
	{"systemLabels", isTexts, "a list of texts"},
	{"enableErrorDiagnostics", isBool, "true or false"},
}

func isText(v json.RawMessage) bool { var s string; return json.Unmarshal(v, &s) == nil }
func isBool(v json.RawMessage) bool { var b weir.Bool; return json.Unmarshal(v, &b) == nil }

func isTexts(v json.RawMessage) bool {
	var l []string
	return isArray(v) && json.Unmarshal(v, &l) == nil
}

// Values that a dataset's members may have.
var (
	fileFormats    = []string{"", "csv", "text", "parquet", "json", "sequencefile", "avro"}
	fileCharsets   = []string{"US-ASCII", "UTF-8", "ISO-8859-1"}
	dataBehaviors  = []string{"record", "time-series", "ad-hoc"}
	dataManagers   = []string{"CUSTOMER", "SYSTEM"}
	isoDuration    = regexp.MustCompile(`^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$`)
	defaultFiles   = object{}.set("persisted", true).set("containerFormat", "parquet").set("format", "parquet")
	blanksInTag    = regexp.MustCompile(`\s*:\s*`)
	contentVersion = "application/vnd.adobe.xed+json;version=1"
)

// createDataset checks and stores a new dataset (§2.4): defaults are written into it.
func (ch *catalogChange) createDataset(body object) (id string, err error) {
	c := ch.c
	id = weir.NewHex(12)
	o := body.without(datasetServerSet...)
	if err := c.checkDataset(o); err != nil {
		return "", err
	}
	if !o.has("name") {
		o = o.set("name", id)
	}
	if !o.has("fileDescription") {
		o = o.set("fileDescription", defaultFiles)
	}
	if o, err = ch.withSchema(o); err != nil {
		return "", err
	}
	tags, err := c.datasetTags(o)
	if err != nil {
		return "", err
	}
	table, err := ch.tableName(o.text("name"), tags)
	if err != nil {
		return "", err
	}
	tags = tags.set(tableTag, []string{table})
	if !tags.has("adobe/siphon/table/format") {
		tags = tags.set("adobe/siphon/table/format", []string{"iceberg"})
	}
	view := weir.NewHex(12)
	o = o.set("tags", tags).set("version", "1.0.0").set("state", "DRAFT").set("viewId", view).set("basePath", "/dataSets/"+id+"/views/"+view)
	d := &weir.Doc{Kind: weir.KindDataset, ID: id, Scope: c.Scope, State: "DRAFT", Body: o.raw()}
	return id, ch.tx.Insert(d, c.Actor)
}

// updateDataset replaces the client's part of a dataset by what edit makes of it.
func (ch *catalogChange) updateDataset(id, tag string, edit func(old object) (object, error)) error {
	c := ch.c
	d, err := c.get(ch.tx, weir.KindDataset, id)
	if err != nil {
		return err
	}
	old, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	if err := c.matchVersion(d, old.text("version"), tag); err != nil {
		return err
	}
	o, err := edit(slices.Clone(old))
	if err != nil {
		return err
	}
	o = o.without(datasetServerSet...).over(old.only(datasetServerSet...))
	if !o.has("name") {
		o = o.set("name", id)
	}
	if err := c.checkDataset(o); err != nil {
		return err
	}
	if !o.has("fileDescription") {
		o = o.set("fileDescription", defaultFiles)
	}
	if o, err = ch.withSchema(o); err != nil {
		return err
	}
	tags, err := c.datasetTags(o)
	if err != nil {
		return err
	}
	was, err := c.datasetTags(old)
	if err != nil {
		return err
	}
	if tags.has(tableTag) && string(tags.get(tableTag)) != string(was.get(tableTag)) {
		return fault(c.service.codes.badJSON, "/tags/"+strings.ReplaceAll(tableTag, "/", "~1"), "The tag %s names the dataset's table and cannot change.", tableTag)
	}
	if was.has(tableTag) {
		tags = tags.with(tableTag, was.get(tableTag))
	}
	o = o.set("tags", tags).set("version", nextVersion(old.text("version")))
	d.Body = o.raw()
	return ch.tx.Update(d, c.Actor)
}

// matchVersion judges If-Match against the version and the etag of a catalog object.
func (c *call) matchVersion(d *weir.Doc, version, tag string) error {
	tag = normalTag(tag)
	if tag == "" || tag == "*" || tag == version || tag == d.ETag {
		return nil
	}
	return weir.Errorf(c.service.codes.conflict, "If-Match has version %s, but the current version of %s is %s. Read it again and repeat the change.", shorten(tag), d.ID, version)
}

// nextVersion adds one to the patch part of 1.0.0.
func nextVersion(v string) string {
	at := strings.LastIndexByte(v, '.')
	n, err := strconv.Atoi(v[at+1:])
	if err != nil || at < 0 {
		return "1.0.1"
	}
	return v[:at+1] + strconv.Itoa(n+1)
}

// deleteDataset removes the dataset and its table's pointer; the files go after the transaction.
func (ch *catalogChange) deleteDataset(id, tag string) ([]string, error) {
	d, err := ch.tx.Get(weir.KindDataset, ch.c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	if err := ch.c.matchVersion(d, o.text("version"), tag); err != nil {
		return nil, err
	}
	t, err := flow.TableOf(ch.tx, d)
	if err != nil {
		return nil, err
	}
	switch loc, err := ch.tx.Table(t.Namespace, t.Name); {
	case errors.Is(err, weir.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if err := ch.tx.SwapTable(t.Namespace, t.Name, loc, ""); err != nil {
			return nil, err
		}
		ch.dropped = append(ch.dropped, loc)
	}
	return ref(weir.KindDataset, id), ch.tx.Delete(weir.KindDataset, ch.c.Scope, id)
}

// checkDataset refuses wrong JSON types and values that do not exist, all at once (Q-H).
func (c *call) checkDataset(o object) error {
	var list []weir.Finding
	add := func(pointer, format string, args ...any) {
		list = append(list, weir.Finding{Code: c.service.codes.badJSON, Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	for _, t := range datasetTypes {
		if o.has(t.name) && !t.is(o.get(t.name)) {
			add("/"+t.name, "%s must be %s.", t.name, t.word)
		}
	}
	if len(list) == 0 {
		checkFiles(o, add)
		checkClass(o, add)
	}
	if len(list) == 0 {
		return nil
	}
	return &weir.Error{Code: list[0].Code, Message: list[0].Message, Pointer: list[0].Pointer, Details: list}
}

func checkFiles(o object, add func(pointer, format string, args ...any)) {
	f, err := parseObject(o.get("fileDescription"))
	if err != nil {
		return
	}
	for _, m := range []struct {
		name   string
		values []string
	}{{"format", fileFormats}, {"containerFormat", fileFormats}, {"charset", fileCharsets}} {
		if v := f.get(m.name); f.has(m.name) && (!isText(v) || !slices.Contains(m.values, f.text(m.name))) {
			add("/fileDescription/"+m.name, "fileDescription.%s is %s; possible are %s.", m.name, shorten(string(v)), strings.Join(m.values, ", "))
		}
	}
	if f.has("persisted") && !isBool(f.get("persisted")) {
		add("/fileDescription/persisted", "fileDescription.persisted must be true or false.")
	}
}

func checkClass(o object, add func(pointer, format string, args ...any)) {
	cl, err := parseObject(o.get("classification"))
	if err != nil {
		return
	}
	for _, m := range []struct {
		name   string
		values []string
	}{{"dataBehavior", dataBehaviors}, {"managedBy", dataManagers}} {
		if v := cl.get(m.name); cl.has(m.name) && (!isText(v) || !slices.Contains(m.values, cl.text(m.name))) {
			add("/classification/"+m.name, "classification.%s is %s; possible are %s.", m.name, shorten(string(v)), strings.Join(m.values, ", "))
		}
	}
	ext, err := parseObject(o.get("extensions"))
	if err != nil {
		return
	}
	house, err := parseObject(ext.get("adobe_lakeHouse"))
	if err != nil {
		add("/extensions/adobe_lakeHouse", "extensions.adobe_lakeHouse must be an object.")
		return
	}
	expiry, err := parseObject(house.get("rowExpiration"))
	if err != nil {
		add("/extensions/adobe_lakeHouse/rowExpiration", "rowExpiration must be an object.")
		return
	}
	if ttl := expiry.text("ttlValue"); expiry.has("ttlValue") && (!isoDuration.MatchString(ttl) || len(ttl) < 3 || strings.HasSuffix(ttl, "T")) {
		add("/extensions/adobe_lakeHouse/rowExpiration/ttlValue", "ttlValue must be an ISO 8601 duration such as P3M.")
	}
}

// withSchema checks that schemaRef leads to a schema (Q-F) and fills what follows from it: the content type and the classification.
func (ch *catalogChange) withSchema(o object) (object, error) {
	c := ch.c
	r, err := parseObject(o.get("schemaRef"))
	if err != nil {
		return nil, err
	}
	id := r.text("id")
	if id == "" {
		return nil, fault(c.service.codes.badJSON, "/schemaRef/id", "schemaRef.id is missing: name the schema of the dataset by its $id.")
	}
	if !r.has("contentType") {
		o = o.set("schemaRef", r.set("contentType", contentVersion))
	}
	behavior, err := ch.behavior(id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, fault(c.service.codes.badJSON, "/schemaRef/id", "schemaRef.id %s is not the id of a schema of this sandbox.", shorten(id))
	}
	if err != nil {
		return nil, err
	}
	cl, err := parseObject(o.get("classification"))
	if err != nil {
		return nil, err
	}
	if !cl.has("dataBehavior") {
		cl = cl.set("dataBehavior", behavior)
	}
	if !cl.has("managedBy") {
		cl = cl.set("managedBy", "CUSTOMER")
	}
	return o.set("classification", cl), nil
}

// behavior is the data behaviour of a schema or union.
func (ch *catalogChange) behavior(id string) (string, error) {
	target := id
	if class, ok := xdm.UnionClass(id); ok {
		target = class
	}
	full, err := flow.FullSchema(ch.tx, ch.c.Scope, target)
	if err != nil {
		return "", err
	}
	switch {
	case slices.Contains(full.Refs, xdm.TimeSeries):
		return "time-series", nil
	case slices.Contains(full.Refs, xdm.AdHoc):
		return "ad-hoc", nil
	}
	return "record", nil
}

// datasetTags are the tags in the form that is stored: lists of texts, without blanks around the colon of a value (Q20).
func (c *call) datasetTags(o object) (object, error) {
	in, err := parseObject(o.get("tags"))
	if err != nil {
		return nil, err
	}
	out := make(object, 0, len(in)+2)
	for _, m := range in {
		var values weir.TextList
		if json.Unmarshal(m.value, &values) != nil {
			return nil, fault(c.service.codes.badJSON, "/tags/"+strings.ReplaceAll(m.name, "/", "~1"), "The tag %s must be a list of texts.", shorten(m.name))
		}
		for i, v := range values {
			values[i] = blanksInTag.ReplaceAllString(v, ":")
		}
		out = append(out, member{m.name, encode(append([]string{}, values...))})
	}
	return out, nil
}

// tableName is a free table name: the one the client wished for, or one made of the dataset's name.
func (ch *catalogChange) tableName(name string, tags object) (string, error) {
	var wish weir.TextList
	if raw := tags.get(tableTag); raw != nil {
		if err := json.Unmarshal(raw, &wish); err != nil {
			return "", err
		}
	}
	if wish.First() != "" {
		name = wish.First()
	}
	base := lake.Name(name)
	if base[0] >= '0' && base[0] <= '9' {
		base = "_" + base // SQL names do not begin with a digit
	}
	base = base[:min(len(base), 110)]
	for n, try := 1, base; ; n++ {
		taken, err := ch.tx.Count(store.Query{Kind: weir.KindDataset, Scopes: []weir.Scope{ch.c.Scope}, Where: []store.Cond{
			{Path: []string{"tags", tableTag}, Op: store.Eq, Values: []string{try}},
		}})
		if err != nil {
			return "", err
		}
		if taken == 0 {
			return try, nil
		}
		try = fmt.Sprintf("%s_%d", base, n+1)
		if n > 50 {
			try = base + "_" + weir.NewHex(4)
		}
	}
}

// observed is the columns of a table as a schema of observed data.
func observed(fields []record.Field) json.RawMessage {
	return object{}.set("type", "object").set("properties", observedFields(fields)).raw()
}

func observedFields(fields []record.Field) object {
	out := make(object, 0, len(fields))
	for i := range fields {
		out = append(out, member{fields[i].Name, observedField(&fields[i]).raw()})
	}
	return out
}

func observedField(f *record.Field) object {
	o := object{}.set("type", map[record.Type]string{
		record.Boolean: "boolean", record.Long: "integer", record.Number: "number", record.Struct: "object", record.List: "array", record.Map: "object",
	}[f.Type])
	switch f.Type {
	case record.Struct:
		return o.set("properties", observedFields(f.Fields))
	case record.List:
		return o.set("items", observedField(f.Elem))
	case record.Map:
		return o.set("additionalProperties", observedField(f.Elem))
	case record.Date:
		return o.set("type", "string").set("format", "date")
	case record.Timestamp:
		return o.set("type", "string").set("format", "date-time")
	case record.String:
		return o.set("type", "string")
	default:
		return o
	}
}

// The bounds of a dataset's rowExpiration.ttlValue that clients are told before they set it. Weir stores the value and removes no rows by it.
const (
	leastExpiration = "P30D"
	mostExpiration  = "P10Y"
)

// getExpiration is GET /ttl/{id}: what may be set as a dataset's row expiration, and what is set. Nothing expires by default.
func getExpiration(c *call) (reply, error) {
	expiry := object{}.set("minValue", leastExpiration).set("maxValue", mostExpiration)
	err := c.view(func(tx *store.Tx) error {
		d, err := c.get(tx, weir.KindDataset, c.param("id"))
		if err != nil {
			return err
		}
		var body struct {
			Extensions struct {
				Lake struct {
					Expiration struct {
						TTL string `json:"ttlValue"`
					} `json:"rowExpiration"`
				} `json:"adobe_lakeHouse"`
			} `json:"extensions"`
		}
		if err := d.Read(&body); err != nil {
			return err
		}
		if ttl := body.Extensions.Lake.Expiration.TTL; ttl != "" {
			expiry = expiry.set("ttlValue", ttl)
		}
		return nil
	})
	return ok(object{}.set("extensions", object{}.set("adobe_lakeHouse", object{}.set("rowExpiration", expiry)))), err
}
