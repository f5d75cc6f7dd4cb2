package api

import (
	"errors"
	"slices"

	"weir"
	"weir/mapping"
	"weir/store"
)

// The older batch conversions (data-prep §3.10) are read from the promotions of batches; nothing is created here.

// showConversion is a batch as a conversion.
func showConversion(_ *store.Tx, d *weir.Doc) (object, error) {
	var b weir.Batch
	if err := d.Read(&b); err != nil {
		return nil, err
	}
	dataset := ""
	for _, o := range b.RelatedObjects {
		if o.Type == "dataSet" {
			dataset = o.ID
			break
		}
	}
	return object{}.set("id", d.ID).set("version", d.Rev-1).set("createdDate", d.CreatedAt).set("modifiedDate", d.UpdatedAt).
		set("createdBy", d.CreatedBy).set("modifiedBy", d.UpdatedBy).set("status", b.Status).set("destinationDatasetId", dataset).set("sourceBatchId", d.ID).
		set("recordCount", b.RecordCount).set("failedRecordCount", b.FailedRecordCount).set("errors", append([]weir.BatchError{}, b.Errors...)), nil
}

func listConversions(c *call) (reply, error) {
	q, err := c.conversionQuery(weir.KindBatch)
	if err != nil {
		return reply{}, err
	}
	dataset := c.arg("destinationDatasetId")
	if dataset == "" {
		dataset = c.arg("destinationDataSetId")
	}
	if dataset != "" {
		q.Where = append(q.Where, where("relatedObjects.id", dataset))
	}
	if id := c.arg("sourceBatchId"); id != "" {
		q.Where = append(q.Where, where("id", id))
	}
	if status := c.arg("status"); status != "" {
		q.Where = append(q.Where, where("state", status))
	}
	return c.conversionPages(q, showConversion)
}

// conversion reads the batch in the path.
func (c *call) conversion(tx *store.Tx) (*weir.Doc, error) {
	id := c.param("id")
	d, err := tx.Get(weir.KindBatch, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, &weir.Error{Code: mapping.CodeNoSet, Message: "The conversion " + shorten(id) + " was not found.", ID: id, Type: "xdmBatchConversions"}
	}
	return d, err
}

func getConversion(c *call) (reply, error) {
	var o object
	err := c.view(func(tx *store.Tx) error {
		d, err := c.conversion(tx)
		if err == nil {
			o, err = showConversion(tx, d)
		}
		return err
	})
	return ok(o), err
}

// conversionActivities are the steps of a conversion: its one promotion.
func (c *call) conversionActivities() ([]object, error) {
	var list []object
	err := c.view(func(tx *store.Tx) error {
		d, err := c.conversion(tx)
		if err != nil {
			return err
		}
		o, err := showConversion(tx, d)
		if err == nil {
			list = []object{object{}.set("id", "promotion").over(o.without("id", "version", "sourceBatchId"))}
		}
		return err
	})
	return list, err
}

func listConversionActivities(c *call) (reply, error) {
	list, err := c.conversionActivities()
	if err != nil {
		return reply{}, err
	}
	return ok(object{}.set("data", list).set("_page", object{}.set("count", len(list)).set("limit", conversionPage))), nil
}

func getConversionActivity(c *call) (reply, error) {
	list, err := c.conversionActivities()
	if err != nil {
		return reply{}, err
	}
	id := c.param("activity")
	i := slices.IndexFunc(list, func(o object) bool { return o.text("id") == id })
	if i < 0 {
		return reply{}, &weir.Error{Code: mapping.CodeNoMapping, Message: "The conversion has no activity " + shorten(id) + ".", ID: id, Type: "activities"}
	}
	return ok(list[i]), nil
}
