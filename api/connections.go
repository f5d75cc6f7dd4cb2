package api

import (
	"encoding/json"
	"slices"
	"strings"

	"weir"
	"weir/source/rest"
	"weir/store"
)

// connections are base connections, "accounts" (flow-service §2.3). What is secret in auth.params is in the document's Secret and
// nowhere else: Body holds the rest, so that reads, filters and logs cannot leak it.
var connections = &resource{
	kind:         weir.KindConnection,
	fields:       []string{"connectionSpec", "auth", "providerId", "providerRefId"},
	secret:       []string{"auth.params"},
	unknownField: "FLOW-1449-400",
	patchable:    []string{"/name", "/description", "/auth/*", "/state"},
	frozen: []string{
		"/connectionSpec/*", "/id", "/etag", "/version", "/createdAt", "/updatedAt", "/createdBy", "/updatedBy", "/createdClient",
		"/updatedClient", "/sandboxId", "/sandboxName", "/imsOrgId", "/providerId",
	},
	frozenCode: "FLOW-1414-400",
	check:      checkConnection,
	probe:      probeConnection,
	remove:     removeConnection,
	open:       openConnection,
	close:      closeConnection,
}

func checkConnection(c *call, tx *store.Tx, ch *change) error {
	body, spec, err := c.opening(tx, ch, weir.KindConnectionSpec, "connectionSpec", members{objects: []string{"auth"}})
	if err != nil || !body.has("auth") {
		return err
	}
	return checkConnectionAuth(tx, ch, body, spec)
}

// checkConnectionAuth checks auth against the spec: its name always, its params when the connection is made or published (R27).
func checkConnectionAuth(tx *store.Tx, ch *change, body object, spec *weir.Doc) error {
	auth, err := parseObject(body.get("auth"))
	if err != nil {
		return err
	}
	name := auth.text("specName")
	if name == "" && hasAuth(spec.Body) {
		return fault("CONNECTOR-1304-400", "/auth/specName", "auth.specName is missing.")
	}
	kind, known := rest.MatchAuthSpec(spec.Body, name)
	if !known && name != "" {
		return fault("FLOW-1415-400", "/auth/specName", "auth.specName %q is not an auth spec of connection spec %s.", shorten(name), spec.ID)
	}
	params := auth.get("params")
	if auth.has("params") && !isObject(params) {
		return fault("CONNECTOR-1312-400", "/auth/params", "auth.params must be an object.")
	}
	if !ch.draft && (ch.op == "create" || ch.op == "publish") {
		whole := params
		if ch.op == "publish" {
			if whole, err = authParams(tx, ch.doc); err != nil {
				return err
			}
		}
		if err := faults(rest.CheckAuth(spec.Body, kind, whole)); err != nil {
			return err
		}
	}
	if ch.op != "create" && !ch.touches("/auth") {
		return nil
	}
	return splitAuth(ch.doc, spec.Body, kind)
}

// splitAuth moves the secret members of auth.params from the body to the secret.
func splitAuth(d *weir.Doc, spec json.RawMessage, authSpec string) error {
	body, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	auth, err := parseObject(body.get("auth"))
	if err != nil {
		return err
	}
	params, err := parseObject(auth.get("params"))
	if err != nil {
		return err
	}
	hidden := rest.SecretParams(spec, authSpec, auth.get("params"))
	var open, secret object
	for _, m := range params {
		if slices.Contains(hidden, m.name) {
			secret = append(secret, m)
		} else {
			open = append(open, m)
		}
	}
	d.Secret = secret.raw()
	d.Body = body.with("auth", auth.with("params", open.raw()).raw()).raw()
	return nil
}

// authParams are the whole auth params of a stored connection, secrets included.
func authParams(tx *store.Tx, d *weir.Doc) (json.RawMessage, error) {
	var c weir.Connection
	if err := d.Read(&c); err != nil || c.Auth == nil {
		return nil, err
	}
	secret, err := tx.Reveal(d)
	if err != nil {
		return nil, err
	}
	o, err := merge(c.Auth.Params, secret)
	return o.raw(), err
}

// openConnection is the body that a patch sees: with the secrets in auth.params and the state.
func openConnection(tx *store.Tx, d *weir.Doc) (json.RawMessage, error) {
	body, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	if isObject(body.get("auth")) {
		auth, err := parseObject(body.get("auth"))
		if err != nil {
			return nil, err
		}
		params, err := authParams(tx, d)
		if err != nil {
			return nil, err
		}
		body = body.with("auth", auth.with("params", params).raw())
	}
	return body.set("state", d.State).raw(), nil
}

// patchedStates are what /state may be set to (1456).
var patchedStates = map[string]string{"enabled": stateEnabled, "disabled": stateDisabled, "initializing": "initializing"}

// closeConnection takes the state out of a patched body again. The secrets leave it in checkConnection, or here if auth is untouched.
func closeConnection(d *weir.Doc, patched json.RawMessage) error {
	body, err := parseObject(patched)
	if err != nil {
		return err
	}
	state := patchedStates[strings.ToLower(body.text("state"))]
	if state == "" && body.text("state") != d.State {
		return fault("FLOW-1456-400", "/state", "state must be enabled, disabled or initializing.")
	}
	if state != "" && d.State == stateDraft {
		return fault("FLOW-1420-400", "/state", "A draft is enabled with POST %s/%s/%s/action?op=publish.", flowServiceBase, d.Kind, d.ID)
	}
	if state != "" {
		d.State = state
	}
	old, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	body = body.without("state")
	if !body.has("auth") && old.has("auth") {
		d.Secret = json.RawMessage("{}")
	}
	d.Body = body.raw()
	return nil
}

// probeConnection tries the credentials of a new connection if it says where (§5.6).
func probeConnection(c *call, ch *change) error {
	var conn weir.Connection
	if err := ch.doc.Read(&conn); err != nil || conn.Auth == nil {
		return err
	}
	whole, err := merge(conn.Auth.Params, ch.doc.Secret)
	if err != nil {
		return err
	}
	if whole.text("authorizationTestUrl") == "" {
		return nil
	}
	var spec *weir.Doc
	err = c.view(func(tx *store.Tx) (err error) {
		spec, err = tx.GetAny(weir.KindConnectionSpec, []weir.Scope{{Org: c.Scope.Org}, {}}, conn.ConnectionSpec.ID)
		return err
	})
	if err != nil {
		return err
	}
	src, err := c.server.Engine.Open(c.ctx(), weir.Binding{
		Scope: c.Scope, SpecID: spec.ID, Spec: spec.Body, AuthSpec: conn.Auth.SpecName, Auth: whole.raw(), Host: c.server.Engine.Hosts[spec.ID],
	})
	if err != nil {
		return err
	}
	return refused(src.Test(c.ctx()))
}

// removeConnection refuses while a flow uses the connection through its source or target (1418).
func removeConnection(c *call, tx *store.Tx, d *weir.Doc) error {
	if err := deletable(d); err != nil {
		return err
	}
	for _, side := range []string{"sourceConnections", "targetConnections"} {
		n, err := tx.Count(store.Query{Kind: weir.KindFlow, Scopes: []weir.Scope{c.Scope}, Where: []store.Cond{
			where("inheritedAttributes."+side+"[].baseConnection.id", d.ID),
		}})
		if err != nil {
			return err
		}
		if n > 0 {
			return &weir.Error{Code: "FLOW-1418-400", ID: d.ID, Type: d.Kind, Message: "Base connection " + d.ID + " is used by a flow. Delete the flow first."}
		}
	}
	return nil
}

// deletable refuses states in which nothing may be deleted (1416).
func deletable(d *weir.Doc) error {
	switch d.State {
	case stateEnabled, stateDisabled, stateDraft, "initializing", "":
		return nil
	}
	return weir.Errorf("FLOW-1416-400", "%s %s is %s and cannot be deleted now.", d.Kind, d.ID, d.State)
}
