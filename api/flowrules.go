package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"weir"
	"weir/store"
)

// units are the frequencies of a schedule with the least interval of each (flow-service §8.1) and the most that can be planned, a
// hundred years.
var units = map[string]struct{ least, most int64 }{
	"once": {}, "minute": {15, 52_560_000}, "hour": {1, 876_000}, "day": {1, 36_500}, "week": {1, 5_200},
}

// lastStart is the latest start time, in the milliseconds of the year 9999.
const lastStart = 253_402_300_799_000

// checkSchedule checks scheduleParams (§8.1) and, for a patch, what may no longer change (§4.3). Drafts may leave the schedule out.
func (c *call) checkSchedule(body object, spec *flowSpec, ch *change) error {
	if !body.has("scheduleParams") {
		if ch.draft || strings.EqualFold(spec.Attributes.Frequency, "streaming") {
			return nil
		}
		return fault("CONNECTOR-1359-400", "/scheduleParams", "scheduleParams is missing: startTime, frequency and interval.")
	}
	params, err := parseObject(body.get("scheduleParams"))
	if err != nil {
		return err
	}
	s, err := parseSchedule(params)
	if err != nil {
		return err
	}
	if ch.op == "update" && !ch.draft && ch.touches("/scheduleParams") {
		if err := c.checkLocks(ch, s); err != nil {
			return err
		}
	}
	if ch.draft {
		return nil
	}
	return checkPeriod(params, s)
}

// parseSchedule reads scheduleParams leniently, naming the member that cannot be read.
func parseSchedule(params object) (*weir.Schedule, error) {
	s := &weir.Schedule{}
	for name, into := range map[string]any{
		"startTime": &s.StartTime, "endTime": &s.EndTime, "interval": &s.Interval, "backfill": &s.Backfill, "frequency": &s.Frequency,
	} {
		raw := params.get(name)
		if raw == nil || json.Unmarshal(raw, into) == nil {
			continue
		}
		code, want := "CONNECTOR-1312-400", "a whole number"
		switch name {
		case "startTime", "endTime":
			code, want = "CONNECTOR-1340-400", "epoch seconds"
		case "backfill":
			want = "true or false"
		case "frequency":
			code, want = "CONNECTOR-1397-400", "once, minute, hour, day or week"
		}
		return nil, fault(code, "/scheduleParams/"+name, "scheduleParams.%s must be %s.", name, want)
	}
	return s, nil
}

func checkPeriod(params object, s *weir.Schedule) error {
	unit, known := units[s.Frequency]
	switch {
	case !params.has("frequency"):
		return fault("CONNECTOR-1359-400", "/scheduleParams/frequency", "scheduleParams.frequency is missing: once, minute, hour, day or week.")
	case !known:
		return fault("CONNECTOR-1397-400", "/scheduleParams/frequency", "scheduleParams.frequency %q is not known. Use once, minute, hour, day or week.", shorten(s.Frequency))
	case !s.StartTime.Set:
		return fault("CONNECTOR-1359-400", "/scheduleParams/startTime", "scheduleParams.startTime is missing: epoch seconds.")
	case s.StartTime.Value < 0 || s.StartTime.Value > lastStart:
		return fault("CONNECTOR-1340-400", "/scheduleParams/startTime", "scheduleParams.startTime must be epoch seconds.")
	}
	at := "/scheduleParams/interval"
	if s.Frequency == "once" {
		if s.Interval.Set {
			return fault("CONNECTOR-1361-400", at, "scheduleParams.interval is not possible with frequency once.")
		}
		if s.Backfill.Set {
			return fault("CONNECTOR-1364-400", "/scheduleParams/backfill", "scheduleParams.backfill is not possible with frequency once.")
		}
		return nil
	}
	switch {
	case !s.Interval.Set:
		return fault("CONNECTOR-1359-400", at, "scheduleParams.interval is missing.")
	case s.Frequency == "minute" && s.Interval.Value < unit.least:
		return fault("CONNECTOR-1362-400", at, "scheduleParams.interval is %d; with frequency minute the least is %d.", s.Interval.Value, unit.least)
	case s.Interval.Value < unit.least:
		return fault("CONNECTOR-1394-400", at, "scheduleParams.interval is %d; the least is %d.", s.Interval.Value, unit.least)
	case s.Interval.Value > unit.most:
		return fault("CONNECTOR-1312-400", at, "scheduleParams.interval is %d; with frequency %s the most is %d.", s.Interval.Value, s.Frequency, unit.most)
	}
	return nil
}

// checkLocks refuses changes that come too late (§4.3): start time, backfill and a turn to once after the flow has started.
func (c *call) checkLocks(ch *change, s *weir.Schedule) error {
	var old weir.Flow
	if err := ch.old.Read(&old); err != nil {
		return err
	}
	if old.ScheduleParams == nil {
		return nil
	}
	was, now := old.ScheduleParams, c.server.Now()
	started := was.StartTime.Set && !was.Start().After(now)
	named := func(member string) bool { return slices.Contains(ch.paths, "/scheduleParams/"+member) }
	moved := s.StartTime != was.StartTime
	switch {
	case started && (named("startTime") || moved):
		return fault("CONNECTOR-1366-400", "/scheduleParams/startTime", "The start time has passed and cannot change any more.")
	case moved && s.StartTime.Set && s.Start().Before(now):
		return fault("CONNECTOR-1360-400", "/scheduleParams/startTime", "scheduleParams.startTime is in the past.")
	case started && s.Frequency == "once" && was.Frequency != "once":
		return fault("CONNECTOR-1403-400", "/scheduleParams/frequency", "A flow that has started cannot become a flow that runs once.")
	case started && (named("backfill") || s.Backfill != was.Backfill):
		return fault("CONNECTOR-1404-400", "/scheduleParams/backfill", "backfill cannot change after the flow has started.")
	}
	return nil
}

// checkTransformations checks the list (§8.3): the mapping set exists in that version and fits the dataset's schema (1419, 1412, 1425).
func (c *call) checkTransformations(tx *store.Tx, body object, dataset *weir.Doc, ch *change) error {
	if !body.has("transformations") {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(body.get("transformations"), &list) != nil {
		return fault("CONNECTOR-1392-400", "/transformations", "transformations must be a list of {name, params}.")
	}
	for i, raw := range list {
		at := "/transformations/" + itoa(i)
		o, err := parseObject(raw)
		if err != nil || len(o) == 0 {
			return fault("CONNECTOR-1392-400", at, "A transformation must be an object {name, params}.")
		}
		if o.has("params") && !isObject(o.get("params")) {
			return fault("CONNECTOR-1392-400", at+"/params", "params of a transformation must be an object.")
		}
		switch o.text("name") {
		case "Mapping":
			if err := c.checkMapping(tx, o, at, dataset, ch); err != nil {
				return err
			}
		case "Copy":
			if err := checkCopy(body, o, at); err != nil {
				return err
			}
		case "Encryption":
			if p, _ := parseObject(o.get("params")); p.text("publicKeyId") == "" {
				return fault("CONNECTOR-1309-400", at+"/params/publicKeyId", "publicKeyId of the Encryption transformation is missing.")
			}
		}
	}
	return nil
}

// checkCopy refuses a delta column in a flow that runs once (1369).
func checkCopy(body, o object, at string) error {
	params, err := parseObject(o.get("params"))
	if err != nil {
		return err
	}
	schedule, err := parseObject(body.get("scheduleParams"))
	if err == nil && params.has("deltaColumn") && schedule.text("frequency") == "once" {
		return fault("CONNECTOR-1369-400", at+"/params/deltaColumn", "A delta column is not possible with frequency once.")
	}
	return err
}

func (c *call) checkMapping(tx *store.Tx, o object, at string, dataset *weir.Doc, ch *change) error {
	var ref weir.MappingRef
	params, err := parseObject(o.get("params"))
	if err != nil {
		return err
	}
	if params.text("mappingId") == "" {
		if ch.draft {
			return nil
		}
		return fault("CONNECTOR-1329-400", at+"/params/mappingId", "mappingId of the Mapping transformation is missing.")
	}
	if json.Unmarshal(o.get("params"), &ref) != nil {
		return fault("FLOW-1412-400", at+"/params/mappingVersion", "mappingVersion must be a whole number.")
	}
	d, err := tx.Get(weir.KindMappingSet, c.Scope, ref.MappingID)
	if errors.Is(err, weir.ErrNotFound) {
		return &weir.Error{
			Code: "FLOW-1419-400", Pointer: at + "/params/mappingId", ID: ref.MappingID, Type: weir.KindMappingSet,
			Message: "Mapping set " + shorten(ref.MappingID) + " version " + itoa(int(ref.MappingVersion.Value)) + " was not found.",
		}
	}
	if err != nil {
		return err
	}
	set, err := view(d)
	if err != nil {
		return err
	}
	var version weir.Int
	_ = json.Unmarshal(set.get("version"), &version)
	if v := ref.MappingVersion.Value; v < 0 || v > version.Value {
		return fault("FLOW-1412-400", at+"/params/mappingVersion", "Mapping set %s has no version %d; the newest is %d.", d.ID, v, version.Value)
	}
	if dataset == nil {
		return c.useSet(tx, d, ref.MappingVersion.Value, at, ch)
	}
	var data struct {
		SchemaRef struct {
			ID string `json:"id"`
		} `json:"schemaRef"`
	}
	if err := dataset.Read(&data); err != nil {
		return err
	}
	if got := schemaOf(set); got != "" && data.SchemaRef.ID != "" && schemaKey(got) != schemaKey(data.SchemaRef.ID) {
		return fault("FLOW-1425-400", at+"/params/mappingId", "Mapping set %s is for schema %s, the dataset %s has schema %s.", d.ID, got, dataset.ID, data.SchemaRef.ID)
	}
	return c.useSet(tx, d, ref.MappingVersion.Value, at, ch)
}

// schemaOf is the target schema of a mapping set in any of its spellings (data-prep §2.1).
func schemaOf(set object) string {
	type ref struct {
		ID string `json:"id"`
	}
	var out struct {
		SchemaRef ref `json:"schemaRef"`
	}
	_ = json.Unmarshal(set.get("outputSchema"), &out)
	var own ref
	_ = json.Unmarshal(set.get("schemaRef"), &own)
	for _, id := range []string{out.SchemaRef.ID, own.ID, set.text("xdmSchema")} {
		if id != "" {
			return id
		}
	}
	return ""
}

// schemaKey makes $id and meta:altId of a tenant's schema comparable (schema-catalog-data §1.1).
func schemaKey(id string) string {
	if rest, is := strings.CutPrefix(id, "https://ns.adobe.com/"); is {
		return "_" + strings.ReplaceAll(rest, "/", ".")
	}
	return id
}
