package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"weir"
	"weir/store"
)

// resource is a Flow Service collection: one literal says what is particular about it, the shared handlers below do the rest.
type resource struct {
	kind string
	// shared collections are the organisation's, over all its sandboxes, with built-in documents below them (specs).
	shared bool
	// fields are the top-level members that may be filtered, sorted and projected, beside those of the header.
	fields []string
	// secret are dotted paths that hold secrets: never filterable, sortable or projected (flow-service R29).
	secret []string
	// unknownField is the code for any other field.
	unknownField string
	// aliases are short names of fields in filters.
	aliases map[string][]string
	// patchable are JSON pointers; one that ends in /* covers itself and everything below.
	patchable []string
	// frozen are pointers of the same form whose change has a code of its own, frozenCode.
	frozen     []string
	frozenCode string
	// check validates ch.doc in the order of the contract and derives its Meta and Secret. It runs inside the transaction that writes.
	check func(c *call, tx *store.Tx, ch *change) error
	// probe runs once before a create is written, outside of any transaction; nil for nothing.
	probe func(c *call, ch *change) error
	// saved runs after the write in its transaction; nil for nothing.
	saved func(c *call, tx *store.Tx, ch *change) error
	// remove refuses or prepares a deletion in its transaction; nil for nothing.
	remove func(c *call, tx *store.Tx, d *weir.Doc) error
	// open makes the body that a patch applies to and close takes it apart again; nil: the body as stored.
	open  func(tx *store.Tx, d *weir.Doc) (json.RawMessage, error)
	close func(d *weir.Doc, patched json.RawMessage) error
}

// change is a document on its way into the store.
type change struct {
	// doc is the document as it will be. old is as it was, nil on create.
	doc, old *weir.Doc
	// op is create, update, or the action that caused the change.
	op string
	// paths are the patched pointers.
	paths []string
	// draft asks only for what a draft must have.
	draft bool
}

// touches reports whether a patch names the pointer itself, something below it, or something above it.
func (ch *change) touches(pointer string) bool {
	return slices.ContainsFunc(ch.paths, func(p string) bool {
		return p == pointer || strings.HasPrefix(p, pointer+"/") || strings.HasPrefix(pointer, p+"/")
	})
}

// States of connections and flows (flow-service §4.4).
const (
	stateEnabled  = "enabled"
	stateDisabled = "disabled"
	stateDraft    = "draft"
)

const flowServiceBase = "/data/foundation/flowservice"

// scopes are where a resource's documents are looked up, the nearest first.
func (c *call) scopes(r *resource) []weir.Scope {
	if r.shared {
		return []weir.Scope{{Org: c.Scope.Org}, {}}
	}
	return []weir.Scope{c.Scope}
}

// read gets a document of the resource by the id in the path, or fails with 1439-404.
func (r *resource) read(c *call, tx *store.Tx, id string) (*weir.Doc, error) {
	d, err := tx.GetAny(r.kind, c.scopes(r), id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, missing(r.kind, id)
	}
	return d, err
}

// show is a document as clients read it: body, derived members, server-set header on top (flow-service §2.2).
func (r *resource) show(c *call, d *weir.Doc) (object, error) {
	o, err := view(d)
	if err != nil {
		return nil, err
	}
	created := d.CreatedAt
	if r.shared { // an organisation's copy of a built-in spec is as old as the original
		_ = json.Unmarshal(o.get("createdAt"), &created)
	}
	o = object{}.set("id", d.ID).over(o.without("id")).
		set("createdAt", created).set("updatedAt", d.UpdatedAt).set("createdBy", d.CreatedBy).set("updatedBy", d.UpdatedBy).
		set("createdClient", d.CreatedClient).set("updatedClient", d.UpdatedClient)
	if r.shared {
		return showSpec(o, d), nil
	}
	o = o.set("sandboxId", c.SandboxID).set("sandboxName", c.Scope.Sandbox).set("imsOrgId", c.Scope.Org)
	if !o.has("name") && r.kind != weir.KindRun {
		o = o.set("name", "")
	}
	if r.kind != weir.KindRun {
		o = o.set("state", d.State)
	}
	return o.set("version", quoted(d.ETag)).set("etag", quoted(d.ETag)), nil
}

// short is the answer to creates, patches and actions.
func short(d *weir.Doc) object { return object{}.set("id", d.ID).set("etag", quoted(d.ETag)) }

// getOne is GET /{kind}/{id}: {"items":[thing]} (flow-service §2.1).
func (r *resource) getOne(c *call) (reply, error) {
	var o object
	var d *weir.Doc
	err := c.view(func(tx *store.Tx) (err error) {
		if d, err = r.read(c, tx, c.param("id")); err != nil {
			return err
		}
		o, err = r.show(c, d)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	out := object{}.set("items", []object{o})
	if r.kind == weir.KindConnectionSpec {
		out = out.with("name", o.get("name")) // one client looks for it here (R22)
	}
	return ok(out).tagged(d), nil
}

// create is POST /{kind}.
func (r *resource) create(c *call) (reply, error) {
	draft, err := c.draftMode()
	if err != nil {
		return reply{}, err
	}
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	prepare := func(tx *store.Tx) (*change, error) {
		ch := &change{op: "create", draft: draft, doc: &weir.Doc{Kind: r.kind, ID: weir.NewUUID(), Scope: c.Scope, State: stateEnabled, Body: body.without(serverSet...).raw()}}
		if draft {
			ch.doc.State = stateDraft
		}
		if err := r.checkState(body); err != nil {
			return nil, err
		}
		return ch, r.check(c, tx, ch)
	}
	if r.probe != nil && !draft {
		var ch *change
		if err := c.view(func(tx *store.Tx) (err error) { ch, err = prepare(tx); return err }); err != nil {
			return reply{}, err
		}
		if err := r.probe(c, ch); err != nil {
			return reply{}, err
		}
	}
	var d *weir.Doc
	err = c.write(func(tx *store.Tx) error {
		ch, err := prepare(tx)
		if err != nil {
			return err
		}
		d = ch.doc
		if err := tx.Insert(d, c.Actor); err != nil {
			return err
		}
		if r.saved != nil {
			return r.saved(c, tx, ch)
		}
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	return created(flowServiceBase+"/"+r.kind+"/"+d.ID, short(d)).tagged(d), nil
}

// serverSet are members that a client's body cannot set.
var serverSet = []string{
	"id", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient", "updatedClient", "sandboxId", "sandboxName", "imsOrgId",
	"version", "etag", "state", "inheritedAttributes", "runs", "lastOperation", "lastRunDetails",
}

// checkState refuses a state in a create body: any in a flow (1410), any but enabled elsewhere (1456).
func (r *resource) checkState(body object) error {
	if !body.has("state") {
		return nil
	}
	if r.kind == weir.KindFlow {
		return fault("FLOW-1410-400", "/state", "A new flow's state is set by the server. Leave state out; POST /flows?mode=draft makes a draft.")
	}
	if !strings.EqualFold(body.text("state"), stateEnabled) {
		return fault("FLOW-1456-400", "/state", "A new resource is enabled. Leave state out.")
	}
	return nil
}

// draftMode reads the query parameter mode: absent or draft (flow-service §4.4).
func (c *call) draftMode() (bool, error) {
	switch mode := c.arg("mode"); {
	case mode == "":
		return false, nil
	case strings.EqualFold(mode, stateDraft):
		return true, nil
	default:
		return false, weir.Errorf("CONNECTOR-1368-400", "mode=%s is not known. mode=draft is.", mode)
	}
}

// patch is PATCH /{kind}/{id}. If-Match is judged before the body (R30); all operations apply or none.
func (r *resource) patch(c *call) (reply, error) {
	tag, given := c.ifMatch()
	if !given {
		return reply{}, errNoIfMatch()
	}
	ops, bodyErr := c.operations()
	var d *weir.Doc
	err := c.write(func(tx *store.Tx) (err error) {
		if d, err = r.read(c, tx, c.param("id")); err != nil {
			return err
		}
		if err := matchTag(d, tag); err != nil {
			return err
		}
		if bodyErr != nil {
			return bodyErr
		}
		old := *d
		ch := &change{op: "update", doc: d, old: &old, draft: d.State == stateDraft}
		if err := r.apply(tx, ch, ops); err != nil {
			return err
		}
		return r.store(c, tx, ch)
	})
	if err != nil {
		return reply{}, err
	}
	return ok(short(d)).tagged(d), nil
}

// apply patches ch.doc.
func (r *resource) apply(tx *store.Tx, ch *change, ops []operation) error {
	body := ch.doc.Body
	var err error
	if r.open != nil {
		if body, err = r.open(tx, ch.doc); err != nil {
			return err
		}
	}
	for _, op := range ops {
		if err := r.allowed(op); err != nil {
			return err
		}
		if body, err = op.apply(body); err != nil {
			return err
		}
		ch.paths = append(ch.paths, op.path)
	}
	if r.close != nil {
		return r.close(ch.doc, body)
	}
	ch.doc.Body = body
	return nil
}

// allowed refuses operations outside the patchable paths (flow-service §4.1).
func (r *resource) allowed(op operation) error {
	if covers(r.patchable, op.path) {
		return nil
	}
	if covers(r.frozen, op.path) {
		return fault(r.frozenCode, op.path, "%s of %s cannot be changed.", op.path, r.kind)
	}
	return fault("CONNECTOR-1365-400", op.path, "%s cannot be patched. Patchable: %s.", op.path, strings.Join(r.patchable, ", "))
}

// covers reports whether one of the patterns covers a pointer.
func covers(patterns []string, pointer string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, below := strings.CutSuffix(p, "/*")
		return pointer == base || below && strings.HasPrefix(pointer, base+"/")
	})
}

// store checks and writes a changed document.
func (r *resource) store(c *call, tx *store.Tx, ch *change) error {
	if err := r.check(c, tx, ch); err != nil {
		return err
	}
	if err := tx.Update(ch.doc, c.Actor); err != nil {
		return err
	}
	if r.saved != nil {
		return r.saved(c, tx, ch)
	}
	return nil
}

// deleteOne is DELETE /{kind}/{id}: 204, no If-Match needed (R23).
func (r *resource) deleteOne(c *call) (reply, error) {
	err := c.write(func(tx *store.Tx) error {
		d, err := r.read(c, tx, c.param("id"))
		if err != nil {
			return err
		}
		if r.remove != nil {
			if err := r.remove(c, tx, d); err != nil {
				return err
			}
		}
		return tx.Delete(r.kind, d.Scope, d.ID)
	})
	return noContent(), err
}

// action is POST /{kind}/{id}/action?op=… (flow-service §4.4). If-Match is optional; a body is for providers and is not read.
func (r *resource) action(c *call) (reply, error) {
	op := strings.ToLower(c.arg("op"))
	if err := r.checkOp(c, op); err != nil {
		return reply{}, err
	}
	tag, given := c.ifMatch()
	var d *weir.Doc
	err := c.write(func(tx *store.Tx) (err error) {
		if d, err = r.read(c, tx, c.param("id")); err != nil {
			return err
		}
		if given {
			if err := matchTag(d, tag); err != nil {
				return err
			}
		}
		move := actions[op]
		if !slices.Contains(move.from, d.State) {
			return weir.Errorf("FLOW-1422-400", "%s is not possible for %s %s, which is %s.", op, r.kind, d.ID, d.State)
		}
		old := *d
		d.State = move.to
		return r.store(c, tx, &change{op: op, doc: d, old: &old})
	})
	if err != nil {
		return reply{}, err
	}
	return ok(short(d)).tagged(d), nil
}

// actions are the state changes a user may ask for.
var actions = map[string]struct {
	from []string
	to   string
}{
	"enable":  {[]string{stateDisabled}, stateEnabled},
	"disable": {[]string{stateEnabled}, stateDisabled},
	"publish": {[]string{stateDraft}, stateEnabled},
}

// checkOp refuses operations that do not exist or that only providers may run.
func (r *resource) checkOp(c *call, op string) error {
	switch {
	case op == "":
		return weir.Errorf("CONNECTOR-1334-400", "The query parameter op is missing.")
	case strings.HasPrefix(op, "finalize"):
		return weir.Errorf("FLOW-1402-400", "%s is for providers only.", c.arg("op"))
	case actions[op].to == "" || r.kind != weir.KindFlow && op != "publish":
		return weir.Errorf("CONNECTOR-1398-400", "op=%s is not known for %s.", c.arg("op"), r.kind)
	}
	switch sub := strings.ToLower(c.arg("subOp")); {
	case sub == "" || sub == "apply" || sub == "rollback":
		return nil
	case sub == "progress" && op == "enable":
		return weir.Errorf("FLOW-1436-400", "subOp=PROGRESS is not possible with op=enable.")
	case sub == "progress":
		return nil
	}
	return weir.Errorf("FLOW-1435-400", "subOp=%s is not known. APPLY, ROLLBACK and PROGRESS are.", c.arg("subOp"))
}

// ref reads {id, version} of a body member: the id, and whether the member is there at all.
func (o object) ref(name string) (id string, present bool) {
	if !o.has(name) {
		return "", false
	}
	var ref weir.Ref
	if err := json.Unmarshal(o.get(name), &ref); err != nil {
		return "", true
	}
	return ref.ID, true
}

// members name what a check asks of a body first.
type members struct{ texts, objects, required []string }

// opening is how every check begins: the body's members have their types, none is missing, and its spec exists. On create the body then
// says what it left to the spec.
func (c *call) opening(tx *store.Tx, ch *change, kind, member string, m members) (object, *weir.Doc, error) {
	body, err := parseObject(ch.doc.Body)
	if err != nil {
		return nil, nil, err
	}
	if err := wantText(body, append([]string{"name", "description", "providerId"}, m.texts...)...); err != nil {
		return nil, nil, err
	}
	if err := wantObject(body, append([]string{member}, m.objects...)...); err != nil {
		return nil, nil, err
	}
	for _, name := range m.required {
		if !body.has(name) || string(body.get(name)) == `""` {
			return nil, nil, fault("CONNECTOR-1304-400", "/"+name, "%s is missing.", name)
		}
	}
	spec, err := c.findSpec(tx, kind, body, member)
	if err == nil && ch.op == "create" {
		body, err = settleSpec(ch.doc, body, member, spec)
	}
	return body, spec, err
}

// settleSpec writes what a body leaves to its spec into the document: the version of the spec it names, and the provider (§2.3).
func settleSpec(d *weir.Doc, body object, name string, spec *weir.Doc) (object, error) {
	from, err := parseObject(spec.Body)
	if err != nil {
		return nil, err
	}
	ref, err := parseObject(body.get(name))
	if err != nil {
		return nil, err
	}
	if !ref.has("version") {
		version := from.get("version")
		if version == nil {
			version = encode("1.0")
		}
		body = body.with(name, ref.with("version", version).raw())
	}
	if !body.has("providerId") && from.has("providerId") {
		body = body.with("providerId", from.get("providerId"))
	}
	d.Body = body.raw()
	return body, nil
}

// wantText fails for members that are there and are not text.
func wantText(o object, names ...string) error {
	for _, n := range names {
		var s string
		if o.has(n) && json.Unmarshal(o.get(n), &s) != nil {
			return fault("CONNECTOR-1312-400", "/"+n, "%s must be text.", n)
		}
	}
	return nil
}

// wantObject fails for members that are there and are not objects.
func wantObject(o object, names ...string) error {
	for _, n := range names {
		if o.has(n) && !isObject(o.get(n)) {
			return fault("CONNECTOR-1312-400", "/"+n, "%s must be an object.", n)
		}
	}
	return nil
}

// findSpec reads the connection or flow spec that a body member names: 1304 without an id, 1413 for an unknown one.
func (c *call) findSpec(tx *store.Tx, kind string, o object, name string) (*weir.Doc, error) {
	id, present := o.ref(name)
	if !present || id == "" {
		return nil, fault("CONNECTOR-1304-400", "/"+name+"/id", "%s.id is missing.", name)
	}
	d, err := tx.GetAny(kind, []weir.Scope{{Org: c.Scope.Org}, {}}, id)
	if errors.Is(err, weir.ErrNotFound) {
		e := fault("FLOW-1413-400", "/"+name+"/id", "%s.id %s is not the id of a %s. GET %s/%s lists them.", name, id, strings.TrimSuffix(kind, "s"), flowServiceBase, kind)
		e.ID, e.Type = id, kind
		return nil, e
	}
	return d, err
}
