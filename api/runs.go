package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/flow"
	"weir/store"
)

// runs are the executions of flows (flow-service §8.5, §8.6). The engine writes them; clients read, start, repeat, and (as providers of
// their own data) report.
var runs = &resource{
	kind:         weir.KindRun,
	fields:       []string{"flowId", "flowSpec", "providerRefId", "params", "metrics", "activities", "parentFlowRunId", "childFlowRunIds", "predecessors", "recordTypes"},
	unknownField: "FLOW-1449-400",
	aliases:      map[string][]string{"state": {"metrics", "statusSummary", "status"}, "status": {"metrics", "statusSummary", "status"}},
}

func itoa(n int) string { return strconv.Itoa(n) }

// listRunsOfFlow is GET /flows/{id}/runs, the link that older flow objects print (R13).
func listRunsOfFlow(c *call) (reply, error) {
	if err := c.view(func(tx *store.Tx) error { _, err := flows.read(c, tx, c.param("id")); return err }); err != nil {
		return reply{}, err
	}
	c.values()["property"] = append(c.values()["property"], "flowId=="+c.param("id"))
	return runs.list(c)
}

// runParams are params of an on-demand run.
type runParams struct {
	StartTime   weir.Int `json:"startTime"`
	Start       weir.Int `json:"windowStartTime"`
	End         weir.Int `json:"windowEndTime"`
	DeltaColumn struct {
		Name string `json:"name"`
	} `json:"deltaColumn"`
}

// createRun is POST /runs: an on-demand run of a flow with frequency once (§8.5). The answer fits all three shapes in use (R9).
func createRun(c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	id := body.text("flowId")
	if id == "" {
		return reply{}, fault("FLOW-1446-400", "/flowId", "flowId is missing.")
	}
	window, err := c.runWindow(body)
	if err != nil {
		return reply{}, err
	}
	return c.startRun(func(tx *store.Tx) (*weir.Doc, flow.Start, error) {
		d, f, err := c.flowToRun(tx, id)
		if err != nil {
			return nil, flow.Start{}, err
		}
		if f.ScheduleParams == nil || f.ScheduleParams.Frequency != "once" {
			return nil, flow.Start{}, fault("CONNECTOR-1386-400", "/flowId", "Flow %s is not a flow with frequency once; its runs follow the schedule.", id)
		}
		params := body.get("params")
		if !isObject(params) {
			params = nil
		}
		return d, flow.Start{Window: window, Type: "on-demand", Params: params, By: c.Actor}, nil
	})
}

// runWindow reads the window of an on-demand run; no params mean now, without a lower bound (R8).
func (c *call) runWindow(body object) (weir.Window, error) {
	w := weir.Window{End: c.server.Now()}
	if !body.has("params") {
		return w, nil
	}
	var p runParams
	if !isObject(body.get("params")) || json.Unmarshal(body.get("params"), &p) != nil {
		return w, fault("CONNECTOR-1384-400", "/params", "params must be an object; its times are epoch seconds.")
	}
	if p.Start.Set {
		w.Start = weir.EpochTime(p.Start.Value)
	}
	if p.End.Set {
		w.End = weir.EpochTime(p.End.Value)
	}
	if w.End.Before(w.Start) {
		return w, fault("CONNECTOR-1381-400", "/params/windowEndTime", "windowEndTime is before windowStartTime.")
	}
	return w, nil
}

// flowToRun reads a flow named in a run body: it must exist (1430) and be enabled (1388).
func (c *call) flowToRun(tx *store.Tx, id string) (*weir.Doc, weir.Flow, error) {
	var f weir.Flow
	d, err := tx.Get(weir.KindFlow, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, f, &weir.Error{Code: "FLOW-1430-400", Message: "Flow " + shorten(id) + " was not found.", ID: id, Type: weir.KindFlow, Pointer: "/flowId"}
	}
	if err != nil {
		return nil, f, err
	}
	if d.State != stateEnabled {
		return nil, f, fault("CONNECTOR-1388-400", "/flowId", "Flow %s is %s. Enable it first.", id, d.State)
	}
	return d, f, d.Read(&f)
}

// startRun starts a run in one transaction with whatever decide checks, and answers 201.
func (c *call) startRun(decide func(*store.Tx) (*weir.Doc, flow.Start, error)) (reply, error) {
	return c.began(func(tx *store.Tx) (*weir.Doc, error) {
		d, start, err := decide(tx)
		if err != nil {
			return nil, err
		}
		return c.server.Engine.StartRun(tx, d, start)
	})
}

// began answers 201 with the run that start has recorded.
func (c *call) began(start func(*store.Tx) (*weir.Doc, error)) (reply, error) {
	var o object
	var run *weir.Doc
	err := c.write(func(tx *store.Tx) (err error) {
		if run, err = start(tx); err != nil {
			return err
		}
		o, err = runs.show(c, run)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	o = o.set("items", []object{short(run)})
	return created(flowServiceBase+"/runs/"+url.PathEscape(run.ID), o).tagged(run), nil
}

// actOnRun is POST /runs/{id}/action?op=…: RE_TRIGGER, or REPLAY of its rejected rows.
func actOnRun(c *call) (reply, error) {
	switch op := c.arg("op"); strings.ToUpper(op) {
	case "RE_TRIGGER":
		return repeatRun(c)
	case "REPLAY":
		return replayRun(c)
	default:
		return reply{}, weir.Errorf("CONNECTOR-1333-400", "op=%s is not known for runs. RE_TRIGGER and REPLAY are.", shorten(op))
	}
}

// replayRun takes the rejected rows of a run through the flow's mapping set again, as a new run with a batch of its own ([flow.Engine.Replay]).
func replayRun(c *call) (reply, error) {
	return asDone(c.startReplay(func(tx *store.Tx) (string, error) {
		d, err := runs.read(c, tx, c.param("id"))
		if err != nil {
			return "", err
		}
		var run weir.Run
		if err := d.Read(&run); err != nil {
			return "", err
		}
		batch := flow.BatchOf(&run)
		if run.Metrics.Status.Status != weir.RunSuccess || batch == "" {
			return "", weir.Errorf("CONNECTOR-1387-400", "Run %s is %s; only rejected rows of successful runs can be replayed.", d.ID, run.Metrics.Status.Status)
		}
		return batch, nil
	}))
}

// startReplay replays the rejected rows of the batch that find names, and answers with the new run. The query may name a mappingVersion.
func (c *call) startReplay(find func(*store.Tx) (string, error)) (reply, error) {
	var version int64
	if text := c.arg("mappingVersion"); text != "" {
		var err error
		if version, err = strconv.ParseInt(text, 10, 64); err != nil || version < 1 {
			return reply{}, fault(c.service.codes.badJSON, "/mappingVersion", "mappingVersion is %q; a whole number from 1 is expected. Without it the flow's version is used.", shorten(text))
		}
	}
	return c.began(func(tx *store.Tx) (*weir.Doc, error) {
		batch, err := find(tx)
		if err != nil {
			return nil, err
		}
		return c.server.Engine.Replay(tx, c.Scope, flow.Replay{Batch: batch, MappingVersion: version}, c.Actor)
	})
}

// asDone is the answer of an action that makes a resource: 200, and no address.
func asDone(rep reply, err error) (reply, error) {
	if err == nil {
		rep.status = http.StatusOK
		delete(rep.header, "Location")
	}
	return rep, err
}

// repeatRun starts the original window again, as a new run (§8.5).
func repeatRun(c *call) (reply, error) {
	return asDone(c.startRun(func(tx *store.Tx) (*weir.Doc, flow.Start, error) {
		old, err := runs.read(c, tx, c.param("id"))
		if err != nil {
			return nil, flow.Start{}, err
		}
		var run weir.Run
		if err := old.Read(&run); err != nil {
			return nil, flow.Start{}, err
		}
		d, _, err := c.flowToRun(tx, run.FlowID)
		if err != nil {
			return nil, flow.Start{}, err
		}
		if run.Metrics.Status.Status != weir.RunFailed {
			return nil, flow.Start{}, weir.Errorf("CONNECTOR-1387-400", "Run %s is %s; only failed runs can be repeated.", old.ID, run.Metrics.Status.Status)
		}
		window, err := windowOf(&run)
		return d, flow.Start{Window: window, Type: "on-demand", Params: run.Params, Predecessor: old.ID, By: c.Actor}, err
	}))
}

// windowOf reads the window of a run from its copy activity (§8.2).
func windowOf(run *weir.Run) (weir.Window, error) {
	for _, a := range run.Activities {
		if a.ID != weir.CopyActivity {
			continue
		}
		at := func(name string) time.Time {
			n, _ := a.Duration.Extensions[name].(float64)
			if n == 0 {
				return time.Time{}
			}
			return time.UnixMilli(int64(n)).UTC()
		}
		if w := (weir.Window{Start: at("windowStart"), End: at("windowEnd")}); !w.End.IsZero() {
			return w, nil
		}
	}
	return weir.Window{}, weir.Errorf("CONNECTOR-1387-400", "The run has no window to repeat.")
}

// reportable are the members a provider may report (§8.5).
var reportable = []string{
	"flowId", "flowSpec", "providerRefId", "parentFlowRunId", "childFlowRunIds", "params", "predecessors", "metrics", "activities", "recordTypes",
}

// reportedStates are what metrics.statusSummary.status may be (1437).
var reportedStates = []string{weir.RunScheduled, weir.RunQueued, weir.RunInProgress, weir.RunSuccess, weir.RunFailed, "partialSuccess"}

// reportRun is PUT /runs/{id}: a provider's status report. It needs If-Match and answers the bare run.
func reportRun(c *call) (reply, error) {
	tag, given := c.ifMatch()
	if !given {
		return reply{}, errNoIfMatch()
	}
	body, bodyErr := c.object()
	var o object
	var d *weir.Doc
	err := c.write(func(tx *store.Tx) (err error) {
		if d, err = runs.read(c, tx, c.param("id")); err != nil {
			return err
		}
		if err := matchTag(d, tag); err != nil {
			return err
		}
		if bodyErr != nil {
			return bodyErr
		}
		if err := c.checkReport(tx, body); err != nil {
			return err
		}
		old, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		d.Body = old.over(body.only(reportable...)).raw()
		if err := tx.Update(d, c.Actor); err != nil {
			return err
		}
		o, err = runs.show(c, d)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return ok(o).tagged(d), nil
}

func (c *call) checkReport(tx *store.Tx, body object) error {
	var run weir.Run
	if err := json.Unmarshal(body.only(reportable...).raw(), &run); err != nil {
		return fault("CONNECTOR-1312-400", "", "The run is not readable: %w.", err)
	}
	if body.get("flowId") != nil && run.FlowID == "" {
		return fault("FLOW-1446-400", "/flowId", "flowId is empty.")
	}
	if s := run.Metrics.Status.Status; s != "" && !slices.Contains(reportedStates, s) {
		return fault("FLOW-1437-400", "/metrics/statusSummary/status", "The status %q is not known.", shorten(s))
	}
	known := func(kind, id, code, pointer string) error {
		_, err := tx.Get(kind, c.Scope, id)
		if errors.Is(err, weir.ErrNotFound) {
			return &weir.Error{Code: code, Message: "No " + kind + " resource " + shorten(id), ID: id, Type: kind, Pointer: pointer}
		}
		return err
	}
	if run.FlowID != "" {
		if err := known(weir.KindFlow, run.FlowID, "FLOW-1430-400", "/flowId"); err != nil {
			return err
		}
	}
	for i, p := range run.Predecessors {
		at := "/predecessors/" + itoa(i)
		if p.FlowID != "" {
			if err := known(weir.KindFlow, p.FlowID, "FLOW-1429-400", at+"/flowId"); err != nil {
				return err
			}
		}
		if err := known(weir.KindRun, p.FlowRunID, "FLOW-1428-400", at+"/flowRunId"); err != nil {
			return err
		}
	}
	return nil
}
