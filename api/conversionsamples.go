package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"weir"
	"weir/mapping"
	"weir/record"
	"weir/store"
	"weir/xdm"
)

// sampleRows is how many records of a sample are kept.
const sampleRows = 1000

// sampleRecords reads the records of a stored sample; weir.ErrNotFound if there is none.
func (c *call) sampleRecords(tx *store.Tx, id string) ([]record.Value, error) {
	d, err := tx.Get(weir.KindSample, c.Scope, id)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	v, err := record.Parse(o.get("data"))
	return v.Items(), err
}

// showRecord is a sample or input schema as clients read it.
func showRecord(_ *store.Tx, d *weir.Doc) (object, error) {
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	return object{}.set("id", d.ID).set("version", d.Rev-1).set("createdDate", d.CreatedAt).set("modifiedDate", d.UpdatedAt).
		set("createdBy", d.CreatedBy).set("modifiedBy", d.UpdatedBy).over(o), nil
}

// readRecord reads a sample or input schema.
func (c *call) readRecord(tx *store.Tx, kind, word string) (*weir.Doc, error) {
	id := c.param("id")
	d, err := tx.Get(kind, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, &weir.Error{Code: mapping.CodeNoSet, Message: "The " + word + " " + shorten(id) + " was not found.", ID: id, Type: kind}
	}
	return d, err
}

func (c *call) listRecords(kind string) (reply, error) {
	q, err := c.conversionQuery(kind)
	if err != nil {
		return reply{}, err
	}
	return c.conversionPages(q, showRecord)
}

func (c *call) getRecord(kind, word string) (reply, error) {
	var o object
	err := c.view(func(tx *store.Tx) error {
		d, err := c.readRecord(tx, kind, word)
		if err == nil {
			o, err = showRecord(tx, d)
		}
		return err
	})
	return ok(o), err
}

func (c *call) addRecord(kind string, body object) (reply, error) {
	d := &weir.Doc{Kind: kind, ID: weir.NewHex(16), Scope: c.Scope, Body: body.raw()}
	if err := c.write(func(tx *store.Tx) error { return tx.Insert(d, c.Actor) }); err != nil {
		return reply{}, err
	}
	o, err := showRecord(nil, d)
	return ok(o), err
}

func listSamples(c *call) (reply, error)      { return c.listRecords(weir.KindSample) }
func getSample(c *call) (reply, error)        { return c.getRecord(weir.KindSample, "sample") }
func listInputSchemas(c *call) (reply, error) { return c.listRecords(weir.KindInputSchema) }
func getInputSchema(c *call) (reply, error)   { return c.getRecord(weir.KindInputSchema, "input schema") }

// sampleBody makes a stored sample of a request: {name?, data, type?}.
func (c *call) sampleBody() (object, error) {
	o, err := c.object()
	if err != nil {
		return nil, err
	}
	if !o.has("data") {
		return nil, fault(mapping.CodeBody, "/data", "data is missing. Send the sample as text or as an array of records.")
	}
	records, err := readSample([]byte(o.text("data")), o.text("type"), o.get("data"))
	if err != nil {
		return nil, fault(mapping.CodeBody, "/data", "The sample cannot be read: %s.", err)
	}
	return sampleOf(o.text("name"), records)
}

func sampleOf(name string, records []record.Value) (object, error) {
	if len(records) == 0 {
		return nil, fault(mapping.CodeBody, "/data", "The sample holds no records.")
	}
	records = records[:min(len(records), sampleRows)]
	return object{}.set("name", name).set("type", "json").with("data", record.ArrayOf(records).AppendJSON(nil)), nil
}

func createSample(c *call) (reply, error) {
	o, err := c.sampleBody()
	if err != nil {
		return reply{}, err
	}
	return c.addRecord(weir.KindSample, o)
}

func putSample(c *call) (reply, error) {
	body, err := c.sampleBody()
	if err != nil {
		return reply{}, err
	}
	var o object
	err = c.write(func(tx *store.Tx) error {
		d, err := c.readRecord(tx, weir.KindSample, "sample")
		if err != nil {
			return err
		}
		d.Body = body.raw()
		if err := tx.Update(d, c.Actor); err != nil {
			return err
		}
		o, err = showRecord(tx, d)
		return err
	})
	return ok(o), err
}

// upload reads the part named file of a form, or the body itself.
func (c *call) upload() (name string, data []byte, err error) {
	c.req.Body = c.stream()
	f, head, err := c.req.FormFile("file")
	switch {
	case err == nil:
		defer f.Close()
		if data, err = io.ReadAll(f); err != nil {
			return "", nil, err
		}
		return head.Filename, data, nil
	case errors.Is(err, http.ErrNotMultipart):
		data, err = io.ReadAll(c.req.Body)
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", nil, weir.Errorf(c.service.codes.tooLarge, "The file is larger than %d bytes.", large.Limit)
	}
	if err != nil {
		return "", nil, &weir.Error{Code: mapping.CodeBody, Message: "The form has no part named file.", Err: err}
	}
	return "", data, nil
}

func uploadSample(c *call) (reply, error) {
	name, data, err := c.upload()
	if err != nil {
		return reply{}, err
	}
	records, err := readSample(data, "", nil)
	if err != nil {
		return reply{}, weir.Errorf(mapping.CodeBody, "The sample cannot be read: %s.", err)
	}
	o, err := sampleOf(name, records)
	if err != nil {
		return reply{}, err
	}
	return c.addRecord(weir.KindSample, o)
}

// createInputSchema is POST /schemas: {sampleId}, {jsonSchema}, or both.
func createInputSchema(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	schema := body.get("jsonSchema")
	if !body.has("jsonSchema") {
		err = c.view(func(tx *store.Tx) error {
			records, err := c.sampleRecords(tx, body.text("sampleId"))
			if errors.Is(err, weir.ErrNotFound) {
				return fault(mapping.CodeBody, "/sampleId", "Send the id of a sample (sampleId) or a JSON Schema (jsonSchema).")
			}
			if err == nil {
				schema = mapping.InferSchema(records)
			}
			return err
		})
		if err != nil {
			return reply{}, err
		}
	} else if !isObject(schema) {
		return reply{}, fault(mapping.CodeBody, "/jsonSchema", "jsonSchema must be a JSON Schema.")
	}
	o := object{}.set("name", body.text("name"))
	if body.has("sampleId") {
		o = o.with("sampleId", body.get("sampleId"))
	}
	return c.addRecord(weir.KindInputSchema, o.with("jsonSchema", schema))
}

// uploadInputSchema is POST /schemas/upload: a JSON Schema, or a sample to infer one from.
func uploadInputSchema(c *call) (reply, error) {
	name, data, err := c.upload()
	if err != nil {
		return reply{}, err
	}
	schema := json.RawMessage(data)
	if o, err := parseObject(schema); err != nil || !o.has("properties") || checkJSON(data) != nil || !columnsOf(schema) {
		records, err := readSample(data, "", nil)
		if err != nil {
			return reply{}, weir.Errorf(mapping.CodeBody, "The file is neither a JSON Schema nor a sample: %s.", err)
		}
		schema = mapping.InferSchema(records)
	}
	return c.addRecord(weir.KindInputSchema, object{}.set("name", name).with("jsonSchema", schema))
}

func columnsOf(schema json.RawMessage) bool {
	_, err := xdm.FromJSONSchema(schema)
	return err == nil
}
