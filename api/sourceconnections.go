package api

import (
	"encoding/json"
	"errors"
	"slices"

	"weir"
	"weir/store"
)

// sourceConnections say what to read through a base connection (flow-service §2.4).
var sourceConnections = &resource{
	kind:         weir.KindSourceConnection,
	fields:       endFields,
	unknownField: "FLOW-1449-400",
	patchable:    endPatchable,
	check:        checkSourceConnection,
	remove:       refuseUsed("sourceConnectionIds"),
}

// What source and target connections, the two ends of a flow, have in common (§2.4, §2.5).
var (
	endFields    = []string{"baseConnectionId", "connectionSpec", "data", "params", "inheritedAttributes", "providerId", "providerRefId"}
	endPatchable = []string{"/name", "/description", "/data/*", "/params/*"}
)

// inherit shows what an end has from its base connection, nil for none.
func (ch *change) inherit(base *weir.Doc) {
	inherited := object{}
	if base != nil {
		inherited = inherited.set("baseConnection", object{}.set("id", base.ID).with("connectionSpec", specRef(base)))
	}
	ch.doc.Meta = object{}.set("inheritedAttributes", inherited).raw()
}

// withoutBase are specs that must not have a base connection (1332): the landing zone.
var withoutBase = []string{"26f526f2-58f4-4712-961d-e41bf1ccc0e8"}

// dataFormats are the formats a source connection's data may have (1327).
var dataFormats = []string{"delimited", "json", "parquet", "tabular", "parquet_xdm", "raw", "xdm", "custom"}

func checkSourceConnection(c *call, tx *store.Tx, ch *change) error {
	m := members{texts: []string{"providerRefId"}, objects: []string{"data", "params"}}
	switch {
	case ch.draft:
	case ch.op == "create":
		m.required = []string{"name", "data"}
	default:
		m.required = []string{"data"}
	}
	body, spec, err := c.opening(tx, ch, weir.KindConnectionSpec, "connectionSpec", m)
	if err != nil {
		return err
	}
	if err := checkFormat(body); err != nil {
		return err
	}
	base, err := c.baseOf(tx, body, spec, ch)
	if err != nil {
		return err
	}
	if !ch.draft && (ch.op != "update" || ch.touches("/params")) {
		if err := c.checkParams(tx, spec, base, body.get("params")); err != nil {
			return err
		}
	}
	ch.inherit(base)
	return nil
}

func checkFormat(body object) error {
	var data struct {
		Format *string `json:"format"`
	}
	if !body.has("data") {
		return nil
	}
	if err := json.Unmarshal(body.get("data"), &data); err != nil {
		return fault("CONNECTOR-1312-400", "/data/format", "data.format must be text.")
	}
	if data.Format != nil && !slices.Contains(dataFormats, *data.Format) {
		return fault("CONNECTOR-1327-400", "/data/format", "data.format %q is not supported. Use delimited, json, parquet or tabular.", shorten(*data.Format))
	}
	return nil
}

// baseOf reads the base connection that a source connection names, nil if it needs none.
func (c *call) baseOf(tx *store.Tx, body object, spec *weir.Doc, ch *change) (*weir.Doc, error) {
	raw := body.get("baseConnectionId")
	id := body.text("baseConnectionId")
	switch {
	case slices.Contains(withoutBase, spec.ID) && id != "":
		return nil, fault("CONNECTOR-1332-400", "/baseConnectionId", "Connection spec %s takes no baseConnectionId.", spec.ID)
	case id == "" && raw != nil:
		return nil, fault("CONNECTOR-1338-400", "/baseConnectionId", "baseConnectionId is empty.")
	case id == "" && !ch.draft && hasAuth(spec.Body) && !slices.Contains(withoutBase, spec.ID):
		return nil, fault("CONNECTOR-1304-400", "/baseConnectionId", "baseConnectionId is missing: connection spec %s needs an account.", spec.ID)
	case id == "":
		return nil, nil
	}
	base, err := tx.Get(weir.KindConnection, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		if ch.op != "create" && ch.op != "publish" {
			return nil, nil // a base connection may be deleted before its source connections (§4.5)
		}
		return nil, dangling(weir.KindConnection, id, "/baseConnectionId")
	}
	if err != nil {
		return nil, err
	}
	var conn weir.Connection
	if err := base.Read(&conn); err != nil {
		return nil, err
	}
	if conn.ConnectionSpec.ID != spec.ID {
		return nil, fault("FLOW-1413-400", "/connectionSpec/id", "connectionSpec.id %s differs from the one of base connection %s, which is %s.", spec.ID, base.ID, conn.ConnectionSpec.ID)
	}
	return base, nil
}

// specRef is connectionSpec{id,version} of a stored connection.
func specRef(d *weir.Doc) json.RawMessage {
	var c struct {
		ConnectionSpec json.RawMessage `json:"connectionSpec"`
	}
	if d.Read(&c) != nil || c.ConnectionSpec == nil {
		return json.RawMessage(`{}`)
	}
	return c.ConnectionSpec
}

// refuseUsed makes a remove that fails while a flow lists the connection (1447).
func refuseUsed(member string) func(*call, *store.Tx, *weir.Doc) error {
	return func(c *call, tx *store.Tx, d *weir.Doc) error {
		if err := deletable(d); err != nil {
			return err
		}
		n, err := tx.Count(store.Query{Kind: weir.KindFlow, Scopes: []weir.Scope{c.Scope}, Where: []store.Cond{where(member+"[]", d.ID)}})
		if err != nil {
			return err
		}
		if n > 0 {
			return &weir.Error{Code: "FLOW-1447-400", ID: d.ID, Type: d.Kind, Message: d.Kind + " " + d.ID + " is used by a flow. Delete the flow first."}
		}
		return nil
	}
}
