package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"weir"
	"weir/store"
)

// labelRoutes is the dataset label service (schema-catalog-data §2.11).
var labelRoutes = []route{
	{"GET", "/datasets/{id}/labels", getLabels, access{}},
	{"PUT", "/datasets/{id}/labels", putLabels, access{}},
	{"POST", "/datasets/{id}/labels", postLabels, access{}},
	{"DELETE", "/datasets/{id}/labels", deleteLabels, access{}},
}

// kindLabels is the kind of the documents that hold the labels of datasets, by dataset id.
const kindLabels = "datasetLabels"

// labelCodes are the codes of the label service, whose bodies show them as they are.
var labelCodes = serviceCodes{
	internal: "PES-500", notFound: "PES-404", conflict: "PES-412", method: "PES-405", badJSON: "PES-400", emptyBody: "PES-400", tooLarge: "PES-413", sandbox: "PES-404",
}

// labels reads the labels of the dataset in the path.
func (c *call) labels(tx *store.Tx) (*weir.Doc, error) {
	id := c.param("id")
	_, err := tx.Get(weir.KindDataset, c.Scope, id)
	var d *weir.Doc
	if err == nil {
		d, err = tx.Get(kindLabels, c.Scope, id)
	}
	if errors.Is(err, weir.ErrNotFound) {
		return nil, weir.Errorf("PES-404", "Dataset %s has no labels.", shorten(id))
	}
	return d, err
}

func getLabels(c *call) (reply, error) {
	var d *weir.Doc
	err := c.view(func(tx *store.Tx) (err error) {
		d, err = c.labels(tx)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return ok(d.Body).tagged(d), nil
}

// labelBody checks the labels of a dataset: of the whole, and of fields.
func (c *call) labelBody() (json.RawMessage, error) {
	o, err := c.object()
	if err != nil {
		return nil, err
	}
	if !o.has("labels") {
		o = o.set("labels", []string{})
	}
	if !isTexts(o.get("labels")) {
		return nil, weir.Errorf("PES-400", "labels must be a list of texts.")
	}
	var fields []struct {
		Option struct {
			ID          string `json:"id"`
			ContentType string `json:"contentType"`
			SchemaPath  string `json:"schemaPath"`
		} `json:"option"`
		Labels []string `json:"labels"`
	}
	if o.has("optionalLabels") && json.Unmarshal(o.get("optionalLabels"), &fields) != nil {
		return nil, weir.Errorf("PES-400", "optionalLabels must be a list of {option: {id, contentType, schemaPath}, labels}.")
	}
	if !o.has("optionalLabels") {
		o = o.set("optionalLabels", []string{})
	}
	return o.only("labels", "optionalLabels").raw(), nil
}

// putLabels replaces the labels, or sets the first ones. It needs If-Match: * where there are none yet.
func putLabels(c *call) (reply, error) {
	tag, given := c.ifMatch()
	if !given {
		return reply{}, weir.Errorf("PES-412", "The header If-Match is missing. Send the ETag of the labels you read, or * for a dataset without labels.")
	}
	return c.writeLabels(func(tx *store.Tx, d *weir.Doc, body json.RawMessage) (*weir.Doc, error) {
		switch {
		case d == nil && tag != "*":
			return nil, weir.Errorf("PES-412", "The dataset has no labels yet.")
		case d == nil:
			d = &weir.Doc{Kind: kindLabels, ID: c.param("id"), Scope: c.Scope, Body: body}
			return d, tx.Insert(d, c.Actor)
		case tag != "*" && tag != d.ETag:
			return nil, weir.Errorf("PES-412", "The labels were changed; read them again.")
		}
		d.Body = body
		return d, tx.Update(d, c.Actor)
	})
}

// postLabels sets the first labels (deprecated by PUT).
func postLabels(c *call) (reply, error) {
	rep, err := c.writeLabels(func(tx *store.Tx, d *weir.Doc, body json.RawMessage) (*weir.Doc, error) {
		if d != nil {
			return nil, weir.Errorf("PES-403", "The dataset has labels already. Replace them with PUT.")
		}
		d = &weir.Doc{Kind: kindLabels, ID: c.param("id"), Scope: c.Scope, Body: body}
		return d, tx.Insert(d, c.Actor)
	})
	if err == nil {
		rep.status = http.StatusCreated
	}
	return rep, err
}

func (c *call) writeLabels(do func(tx *store.Tx, d *weir.Doc, body json.RawMessage) (*weir.Doc, error)) (reply, error) {
	body, err := c.labelBody()
	if err != nil {
		return reply{}, err
	}
	var d *weir.Doc
	err = c.write(func(tx *store.Tx) error {
		old, err := c.labels(tx)
		if err != nil {
			if errorStatus(err) != http.StatusNotFound {
				return err
			}
			if _, err := tx.Get(weir.KindDataset, c.Scope, c.param("id")); errors.Is(err, weir.ErrNotFound) {
				return weir.Errorf("PES-404", "There is no dataset %s.", shorten(c.param("id")))
			}
			old = nil
		}
		d, err = do(tx, old, body)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return ok(d.Body).tagged(d), nil
}

func deleteLabels(c *call) (reply, error) {
	tag, given := c.ifMatch()
	if !given {
		return reply{}, weir.Errorf("PES-412", "The header If-Match is missing. Send the ETag of the labels you read.")
	}
	err := c.write(func(tx *store.Tx) error {
		d, err := c.labels(tx)
		if err != nil {
			return err
		}
		if tag != "*" && tag != d.ETag {
			return weir.Errorf("PES-412", "The labels were changed; read them again.")
		}
		return tx.Delete(kindLabels, c.Scope, d.ID)
	})
	return noContent(), err
}
