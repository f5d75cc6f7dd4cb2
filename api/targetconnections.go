package api

import (
	"errors"
	"slices"

	"weir"
	"weir/store"
)

// targetConnections say which dataset a flow fills (flow-service §2.5).
var targetConnections = &resource{
	kind:         weir.KindTargetConnection,
	fields:       endFields,
	unknownField: "FLOW-1449-400",
	patchable:    endPatchable,
	check:        checkTargetConnection,
	remove:       refuseUsed("targetConnectionIds"),
}

// lakeSpecs are the data lake and the ids seen in its place (§7.2): a dataset is needed.
var lakeSpecs = []string{
	"c604ff05-7f1a-43c0-8e18-33bf874cb11c", "feae26d8-4968-4074-b2ca-d182fc050729", "6b137bf6-d2a0-48c8-914b-d50f4942eb85",
}

func checkTargetConnection(c *call, tx *store.Tx, ch *change) error {
	body, spec, err := c.opening(tx, ch, weir.KindConnectionSpec, "connectionSpec", members{
		texts: []string{"providerRefId", "baseConnectionId"}, objects: []string{"data", "params"},
	})
	if err != nil {
		return err
	}
	var target weir.TargetConnection
	if err := ch.doc.Read(&target); err != nil {
		return fault("CONNECTOR-1312-400", "", "The target connection is not readable: %w.", err)
	}
	var base *weir.Doc
	if id := body.text("baseConnectionId"); id != "" {
		base, err = tx.Get(weir.KindConnection, c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) && (ch.op == "create" || ch.op == "publish") {
			return dangling(weir.KindConnection, id, "/baseConnectionId")
		}
		if err != nil && !errors.Is(err, weir.ErrNotFound) {
			return err
		}
	}
	lake := slices.Contains(lakeSpecs, spec.ID) || target.Data.Format == "parquet_xdm"
	if id := target.DatasetID(); id != "" {
		if _, err := tx.Get(weir.KindDataset, c.Scope, id); errors.Is(err, weir.ErrNotFound) {
			return dangling(weir.KindDataset, id, "/params/dataSetId")
		} else if err != nil {
			return err
		}
	} else if lake && !ch.draft {
		return fault("CONNECTOR-1325-400", "/params/dataSetId", "params.dataSetId is missing: the dataset to write into.")
	}
	ch.inherit(base)
	return nil
}
