package api

import (
	"encoding/json"
	"errors"
	"iter"
	"strconv"

	"weir"
	"weir/mapping"
	"weir/record"
	"weir/store"
)

const (
	// maxDiff is how many records a comparison takes.
	maxDiff = 10_000
	// maxDiffExamples is how many examples of each destination a client may ask for.
	maxDiffExamples = 100
)

// diffSide is one of the two versions of a comparison.
type diffSide struct {
	name    string
	version int64 // -1 for a set that is not stored
	set     *mapping.Set
	target  *record.Schema
}

// diffRequest is what a comparison is about.
type diffRequest struct {
	body     object
	examples int
	from, to diffSide
	// The records: those of the request, or the rows of a table, only those of one batch if it is named.
	data            []json.RawMessage
	values          []record.Value
	location, batch string
}

// diffMappingSet is POST /mappingSets/{id}/diff: how the rows of two versions of a set differ over the same records. Nothing is stored.
func diffMappingSet(c *call) (reply, error) {
	q, err := c.diffRequest()
	if err != nil {
		return reply{}, err
	}
	err = c.view(func(tx *store.Tx) error {
		if err := c.diffSides(tx, q); err != nil {
			return err
		}
		return c.diffSource(tx, q)
	})
	if err != nil {
		return reply{}, err
	}
	shape := weir.Shape{Wrapper: q.body.text("wrapper")}
	from, err := q.from.compile(shape)
	if err != nil {
		return reply{}, err
	}
	to, err := q.to.compile(shape)
	if err != nil {
		return reply{}, err
	}
	more := false
	report, err := mapping.Diff(from, to, c.diffRecords(q, &more), mapping.DiffOptions{Now: c.server.Now(), Examples: q.examples})
	if err != nil {
		return reply{}, err
	}
	members, err := parseObject(encode(report))
	if err != nil {
		return reply{}, err
	}
	out := object{}.set("mappingSetId", c.param("id")).set("from", q.from.version)
	if q.to.version < 0 {
		out = out.set("to", nil)
	} else {
		out = out.set("to", q.to.version)
	}
	return ok(append(out.set("moreRecords", more), members...)), nil
}

// diffRequest reads the request without its versions.
func (c *call) diffRequest() (*diffRequest, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	q := &diffRequest{body: body, examples: mapping.DefaultDiffExamples, from: diffSide{name: "from"}, to: diffSide{name: "to"}}
	if text := c.diffArg(body, "examples"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxDiffExamples {
			return nil, badQuery("examples is %q; a whole number from 0 to %d is expected.", shorten(text), maxDiffExamples)
		}
		q.examples = n
	}
	if !body.has("data") {
		return q, nil
	}
	if !isArray(body.get("data")) || json.Unmarshal(body.get("data"), &q.data) != nil {
		return nil, fault(mapping.CodeBody, "/data", "data must be an array of records.")
	}
	if len(q.data) > maxDiff {
		return nil, fault(mapping.CodeBody, "/data", "data has %d records; a comparison takes up to %d.", len(q.data), maxDiff)
	}
	return q, nil
}

// diffArg is a parameter of the query, or else a text or number member of the body.
func (c *call) diffArg(body object, name string) string {
	if text := c.arg(name); text != "" {
		return text
	}
	raw := body.get(name)
	if raw == nil || string(raw) == "null" {
		return ""
	}
	if text := body.text(name); text != "" {
		return text
	}
	return string(raw)
}

// diffSides reads both versions. The later one is mappingSet in the body, the version to, or the newest; the earlier one is the version
// from, or else the one before a stored later one, and the newest for a set that is not stored.
func (c *call) diffSides(tx *store.Tx, q *diffRequest) error {
	d, err := c.readSet(tx)
	if err != nil {
		return err
	}
	newest := setVersion(d)
	unsaved := q.body.has("mappingSet")
	from, to := newest, newest
	if text := c.diffArg(q.body, "to"); text != "" {
		if unsaved {
			return fault(mapping.CodeBody, "/to", "Both to and mappingSet say what to compare with. Send one of them.")
		}
		if to, err = versionNumber("to", text); err != nil {
			return err
		}
	}
	if !unsaved {
		from = to - 1
	}
	if text := c.diffArg(q.body, "from"); text != "" {
		if from, err = versionNumber("from", text); err != nil {
			return err
		}
	}
	if from < 0 {
		return badQuery("Mapping set %s has only version 0. Send the versions to compare (from, to) or a mapping set (mappingSet).", d.ID)
	}
	if err := c.diffVersion(tx, d, &q.from, from); err != nil {
		return err
	}
	if !unsaved {
		err = c.diffVersion(tx, d, &q.to, to)
	} else {
		err = q.unsaved()
	}
	if err != nil {
		return err
	}
	for _, s := range []*diffSide{&q.from, &q.to} {
		if s.target, _, err = c.target(tx, s.set.SchemaID); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) diffVersion(tx *store.Tx, d *weir.Doc, s *diffSide, version int64) error {
	d, err := c.setAt(tx, d, version)
	if err != nil {
		return err
	}
	s.version = version
	s.set, err = mapping.ParseSet(d.Body)
	return err
}

// unsaved reads the mapping set in the body. The schema stays that of the stored set unless another one is named.
func (q *diffRequest) unsaved() error {
	raw := q.body.get("mappingSet")
	if !isObject(raw) {
		return fault(mapping.CodeBody, "/mappingSet", "mappingSet must be a mapping set.")
	}
	set, err := mapping.ParseSet(raw)
	if err != nil {
		return err
	}
	if set.SchemaID == "" {
		set.SchemaID, set.SchemaType = q.from.set.SchemaID, q.from.set.SchemaType
	}
	q.to.version, q.to.set = -1, set
	return nil
}

// compile refuses a version with a mapping that cannot run: its rows would be compared without that column.
func (s *diffSide) compile(shape weir.Shape) (*mapping.Transformer, error) {
	t, err := mapping.NewTransformer(s.set, s.target, shape)
	bad, is := errors.AsType[*weir.Error](err)
	if !is {
		return t, err
	}
	what := "The mapping set to compare with"
	if s.version >= 0 {
		what = "Version " + strconv.FormatInt(s.version, 10)
	}
	return nil, &weir.Error{Code: bad.Code, Pointer: bad.Pointer, Details: bad.Details, Err: bad, Message: what + " (" + s.name + ") cannot run: " + bad.Message}
}

// diffSource finds the records of a request that does not hold them.
func (c *call) diffSource(tx *store.Tx, q *diffRequest) error {
	sample, batch, dataset := c.diffArg(q.body, "sampleId"), c.diffArg(q.body, "batchId"), c.diffArg(q.body, "datasetId")
	named := 0
	for _, is := range []bool{q.body.has("data"), sample != "", batch != "", dataset != ""} {
		if is {
			named++
		}
	}
	if named != 1 {
		return fault(mapping.CodeBody, "/data", "Send the records to compare (data), or name a sample (sampleId), a batch (batchId) or a dataset (datasetId); one of them.")
	}
	var err error
	switch {
	case sample != "":
		if q.values, err = c.sampleRecords(tx, sample); errors.Is(err, weir.ErrNotFound) {
			err = badQuery("sampleId %s is not the id of a sample.", shorten(sample))
		}
		return err
	case batch != "":
		d, err := tx.Get(weir.KindBatch, c.Scope, batch)
		if errors.Is(err, weir.ErrNotFound) {
			return badQuery("batchId %s is not the id of a batch.", shorten(batch))
		}
		if err != nil {
			return err
		}
		var b weir.Batch
		if err := d.Read(&b); err != nil {
			return err
		}
		dataset, q.batch = b.Dataset(), batch
	}
	if dataset != "" {
		_, q.location, err = c.datasetSchema(tx, dataset)
	}
	return err
}

// diffRecords are the records of a request, at most maxDiff; more is set when there are further ones.
func (c *call) diffRecords(q *diffRequest, more *bool) iter.Seq2[record.Value, error] {
	return func(yield func(record.Value, error) bool) {
		n := 0
		next := func(v record.Value, err error) bool {
			if c.ctx().Err() != nil {
				yield(record.Null(), c.ctx().Err())
				return false
			}
			if n == maxDiff {
				*more = true
				return false
			}
			n++
			return yield(v, err)
		}
		for _, raw := range q.data {
			if !next(record.Parse(raw)) {
				return
			}
		}
		for _, v := range q.values {
			if !next(v, nil) {
				return
			}
		}
		if q.location == "" {
			return
		}
		if err := c.diffRows(q, next); err != nil && !errors.Is(err, errEnough) {
			yield(record.Null(), err)
		}
	}
}

// diffRows reads the current rows of a dataset, or those of one batch.
func (c *call) diffRows(q *diffRequest, next func(record.Value, error) bool) error {
	t, err := c.server.Lake.Load(c.ctx(), q.location)
	if err != nil {
		return err
	}
	each := func(row json.RawMessage) error {
		if !next(record.Parse(row)) {
			return errEnough
		}
		return nil
	}
	if q.batch != "" {
		return t.ReadBatch(c.ctx(), q.batch, each)
	}
	return t.Read(c.ctx(), -1, each)
}
