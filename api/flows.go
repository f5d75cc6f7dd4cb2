package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"weir"
	"weir/store"
)

// flows join a source connection and a target connection with a schedule, a mapping and options (flow-service §2.6, §8).
var flows = &resource{
	kind: weir.KindFlow,
	fields: []string{
		"flowSpec", "sourceConnectionIds", "targetConnectionIds", "scheduleParams", "transformations", "options", "inheritedAttributes",
		"runs", "lastOperation", "lastRunDetails", "labels", "policy", "providerId", "providerRefId",
	},
	unknownField: "FLOW-1449-400",
	patchable: []string{
		"/name", "/description", "/scheduleParams/*", "/transformations/*", "/options/*", "/labels/*", "/policy/*",
		"/sourceConnectionIds/*", "/targetConnectionIds/*",
	},
	check:  checkFlow,
	saved:  scheduleFlow,
	remove: stopFlow,
}

// checkFlow follows the order of flow-service §2.8: shape, flow spec, connections, schedule, mapping.
func checkFlow(c *call, tx *store.Tx, ch *change) error {
	body, specDoc, err := c.opening(tx, ch, weir.KindFlowSpec, "flowSpec", members{
		texts: []string{"providerRefId"}, objects: []string{"scheduleParams", "options", "policy"},
	})
	if err != nil {
		return err
	}
	if ch.old != nil && !ch.draft && ch.op == "update" && (ch.touches("/sourceConnectionIds") || ch.touches("/targetConnectionIds")) {
		return fault("CONNECTOR-1365-400", "", "The connections of a flow can change only while it is a draft.")
	}
	var spec flowSpec
	if err := specDoc.Read(&spec); err != nil {
		return err
	}
	ends, err := c.flowEnds(tx, body, &spec, ch)
	if err != nil {
		return err
	}
	if ch.op == "create" || ch.op == "update" || ch.op == "publish" {
		if err := c.checkSchedule(body, &spec, ch); err != nil {
			return err
		}
		if err := checkOptions(body); err != nil {
			return err
		}
		if ch.op != "update" || ch.touches("/transformations") {
			if err := c.checkTransformations(tx, body, ends.dataset, ch); err != nil {
				return err
			}
		}
	}
	return deriveFlow(c, ch, &spec, ends)
}

// flowEnds are what a flow connects.
type flowEnds struct {
	source, target *weir.Doc
	dataset        *weir.Doc // nil if the target is no dataset
}

// flowEnds reads the connections a flow names and checks that its spec joins them (1321, 1320, 1439, 1413, 1307).
func (c *call) flowEnds(tx *store.Tx, body object, spec *flowSpec, ch *change) (flowEnds, error) {
	var e flowEnds
	var err error
	strict := ch.op == "create" || ch.op == "publish" || ch.draft
	if e.source, err = c.flowEnd(tx, body, "sourceConnectionIds", weir.KindSourceConnection, strict); err != nil {
		return e, err
	}
	if e.target, err = c.flowEnd(tx, body, "targetConnectionIds", weir.KindTargetConnection, strict); err != nil {
		return e, err
	}
	if e.source == nil || e.target == nil {
		return e, nil
	}
	var source weir.SourceConnection
	var target weir.TargetConnection
	if err := errors.Join(e.source.Read(&source), e.target.Read(&target)); err != nil {
		return e, err
	}
	if strict && !slices.Contains(spec.Sources, source.ConnectionSpec.ID) {
		return e, fault("FLOW-1413-400", "/sourceConnectionIds/0", "Flow spec %s takes no sources of connection spec %s. PUT the flow spec with that id in sourceConnectionSpecIds to register it.", spec.Name, source.ConnectionSpec.ID)
	}
	if strict && !slices.Contains(spec.Targets, target.ConnectionSpec.ID) {
		return e, fault("CONNECTOR-1307-400", "/targetConnectionIds/0", "Flow spec %s takes no targets of connection spec %s.", spec.Name, target.ConnectionSpec.ID)
	}
	if id := target.DatasetID(); id != "" {
		e.dataset, err = tx.Get(weir.KindDataset, c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			if !strict {
				return e, nil
			}
			return e, dangling(weir.KindDataset, id, "/targetConnectionIds/0")
		}
	}
	return e, err
}

// flowEnd reads the one connection of a side. Not strict, a connection that has gone is nil.
func (c *call) flowEnd(tx *store.Tx, body object, member, kind string, strict bool) (*weir.Doc, error) {
	if !body.has(member) {
		return nil, fault("CONNECTOR-1304-400", "/"+member, "%s is missing: a list with one id.", member)
	}
	var ids []*string
	if json.Unmarshal(body.get(member), &ids) != nil {
		return nil, fault("CONNECTOR-1312-400", "/"+member, "%s must be a list of ids.", member)
	}
	if len(ids) != 1 {
		return nil, fault("CONNECTOR-1321-400", "/"+member, "%s has %d ids; exactly one is possible.", member, len(ids))
	}
	if ids[0] == nil || *ids[0] == "" {
		return nil, fault("CONNECTOR-1320-400", "/"+member+"/0", "The id in %s is empty.", member)
	}
	d, err := tx.Get(kind, c.Scope, *ids[0])
	if errors.Is(err, weir.ErrNotFound) {
		if !strict {
			return nil, nil
		}
		return nil, dangling(kind, *ids[0], "/"+member+"/0")
	}
	return d, err
}

func checkOptions(body object) error {
	if !body.has("options") {
		return nil
	}
	var o struct {
		Diagnostics weir.Bool       `json:"errorDiagnosticsEnabled"`
		Percent     json.RawMessage `json:"partialIngestionPercent"`
	}
	if err := json.Unmarshal(body.get("options"), &o); err != nil {
		return fault("CONNECTOR-1312-400", "/options/errorDiagnosticsEnabled", "options.errorDiagnosticsEnabled must be true or false.")
	}
	if len(o.Percent) == 0 || string(o.Percent) == "null" {
		return nil
	}
	percent, err := strconv.ParseFloat(string(o.Percent), 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return fault("CONNECTOR-1312-400", "/options/partialIngestionPercent", "options.partialIngestionPercent must be a number above 0 and up to 100.")
	}
	return nil
}

// deriveFlow writes the members the server derives (§2.6). What the engine keeps there (lastRunDetails) stays.
func deriveFlow(c *call, ch *change, spec *flowSpec, e flowEnds) error {
	meta, err := parseObject(ch.doc.Meta)
	if err != nil {
		return err
	}
	if e.source != nil && e.target != nil {
		sourceMeta, err := parseObject(e.source.Meta)
		if err != nil {
			return err
		}
		targetMeta, err := parseObject(e.target.Meta)
		if err != nil {
			return err
		}
		properties := object{}.set("isSourceFlow", true)
		if spec.Attributes.IsDestinationFlow || spec.Attributes.IsSourceFlow != nil && !*spec.Attributes.IsSourceFlow {
			properties = object{}.set("isDestinationFlow", true)
		}
		meta = meta.set("inheritedAttributes", object{}.set("properties", properties).
			set("sourceConnections", []object{flowSide(e.source, sourceMeta)}).
			set("targetConnections", []object{flowSide(e.target, targetMeta)}))
	}
	now := c.server.Now().UnixMilli()
	operation := object{}.set("started", now).set("updated", now).set("operation", ch.op)
	if ch.op != "create" {
		operation = operation.set("percentCompleted", 100).set("status", object{}.set("value", "COMPLETED").set("errors", []string{}))
		if len(ch.paths) > 0 {
			operation = operation.set("ops", ch.paths)
		}
	}
	meta = meta.set("runs", "/runs?property=flowId=="+ch.doc.ID).set("lastOperation", operation)
	ch.doc.Meta = meta.raw()
	return nil
}

// flowSide is one element of inheritedAttributes.sourceConnections and targetConnections.
func flowSide(d *weir.Doc, meta object) object {
	o := object{}.set("id", d.ID).with("connectionSpec", specRef(d))
	inherited, err := parseObject(meta.get("inheritedAttributes"))
	if err == nil && inherited.has("baseConnection") {
		o = o.with("baseConnection", inherited.get("baseConnection"))
	}
	return o
}

// scheduleFlow brings the schedule in line with a written flow, in the same transaction.
func scheduleFlow(c *call, tx *store.Tx, ch *change) error {
	if ch.doc.State != stateEnabled {
		return c.server.Engine.Unschedule(tx, ch.doc)
	}
	if ch.op == "update" && !ch.touches("/scheduleParams") {
		return nil
	}
	return c.server.Engine.Schedule(tx, ch.doc)
}

// stopFlow ends the schedule of a flow that is deleted. Its runs stay (§4.5).
func stopFlow(c *call, tx *store.Tx, d *weir.Doc) error {
	if err := deletable(d); err != nil {
		return err
	}
	return c.server.Engine.Unschedule(tx, d)
}
