package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/flow"
	"weir/mapping"
	"weir/store"
	"weir/xdm"
)

// setOwned are members of a mapping set that only the server sets.
var setOwned = []string{"id", "version", "createdDate", "modifiedDate", "updatedAt", "createdBy", "modifiedBy", "supportVersion", "status", "mappings"}

// mappingOwned are members of a mapping that only the server sets, or that come in two spellings.
var mappingOwned = []string{
	"id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy", "functionVersion", "expressionAttributes",
	"sourceType", "source", "destination", "sourceAttribute", "destinationXdmPath",
}

// setContentType is the form of a schema when a set names none.
const setContentType = "application/vnd.adobe.xed-full+json;version=1"

// storedSet is the body of a stored mapping set: what the client sent without what the server owns, with both ways to name the schema.
func (c *call) storedSet(set *mapping.Set, body object, version int64, mappings []object) object {
	o := body.without(setOwned...)
	out := object{}.set("version", version)
	if set.SchemaID != "" {
		older := !strings.Contains(set.SchemaType, "/")
		contentType, xdmVersion := set.SchemaType, set.SchemaType
		if older {
			contentType = setContentType
		}
		if xdmVersion == "" {
			xdmVersion = "1.0"
		}
		ref := object{}.set("id", set.SchemaID).set("contentType", contentType)
		schema, _ := parseObject(o.get("outputSchema")) // ParseSet has read it
		schema = schema.without("jsonSchema").set("schemaRef", ref)
		if !schema.has("id") {
			schema = object{}.set("id", weir.NewHex(16)).set("version", 0).over(schema.without("id", "version"))
		}
		out = out.with("outputSchema", schema.raw()).with("schemaRef", ref.raw()).set("xdmSchema", set.SchemaID).set("xdmVersion", xdmVersion)
	}
	out = append(out, o.without("outputSchema", "schemaRef", "xdmSchema", "xdmVersion")...)
	for _, name := range []string{"strictMapping", "allowNullValues"} {
		if !out.has(name) {
			out = out.set(name, false)
		}
	}
	return out.set("mappings", mappings)
}

// storedMapping is one mapping as it is kept and read back: the stored spelling of its type, both spellings of its paths (data-prep §2.2).
func (c *call) storedMapping(m *mapping.Mapping, id string, version int64, created int64) object {
	now := c.server.Now().UnixMilli()
	if created == 0 {
		created = now
	}
	o := object{}.set("id", id).set("version", version).set("createdDate", created).set("modifiedDate", now).
		set("createdBy", c.Actor.User).set("modifiedBy", c.Actor.User).
		set("sourceType", m.SourceType.Stored()).set("source", m.Source).set("destination", m.Destination)
	sent := object{}
	for _, f := range m.Members {
		sent = sent.with(f.Name, f.Raw)
	}
	for _, name := range []string{"identity", "primaryIdentity"} {
		if !sent.has(name) {
			sent = sent.set(name, false)
		}
	}
	if !sent.has("matchScore") {
		sent = sent.with("matchScore", json.RawMessage("0.0"))
	}
	o = append(o, sent.without(mappingOwned...)...)
	o = o.set("functionVersion", 1)
	if m.SourceType == mapping.Expression {
		if e, err := mapping.Compile(m.Source, mapping.Options{}); err == nil {
			o = o.set("expressionAttributes", append([]string{}, e.Attributes()...))
		}
	}
	return o.set("sourceAttribute", m.Source).set("destinationXdmPath", m.Destination)
}

// showSet is a mapping set as clients read it.
func (c *call) showSet(tx *store.Tx, d *weir.Doc, expand bool) (object, error) {
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	if d.Kind == weir.KindMappingSet { // earlier versions hold all this as it was
		o = c.setHeader(d).over(o.without("id"))
	}
	if expand {
		_, full, err := c.target(tx, schemaOf(o))
		if err != nil {
			return nil, err
		}
		if full != nil {
			schema, err := parseObject(o.get("outputSchema"))
			if err != nil {
				return nil, err
			}
			o = o.with("outputSchema", schema.with("jsonSchema", full.JSON(xdm.Variant{})).raw())
		}
	}
	return o, nil
}

// setHeader is what the server says about a set.
func (c *call) setHeader(d *weir.Doc) object {
	status := d.State
	if status == "" {
		status = setDraft
	}
	return object{}.set("id", d.ID).set("version", 0).set("createdDate", d.CreatedAt).set("modifiedDate", d.UpdatedAt).set("updatedAt", d.UpdatedAt).
		set("createdBy", d.CreatedBy).set("modifiedBy", d.UpdatedBy).set("supportVersion", "1.1").set("status", status)
}

// shortSet is the answer to a create (data-prep §2.3).
func shortSet(d *weir.Doc) object {
	return object{}.set("id", d.ID).set("version", 0).set("createdDate", d.CreatedAt).set("modifiedDate", d.UpdatedAt).set("createdBy", d.CreatedBy).set("modifiedBy", d.UpdatedBy)
}

// setBody reads a request's mapping set in either form.
func (c *call) setBody() (*mapping.Set, object, error) {
	raw, err := c.body()
	if err != nil {
		return nil, nil, err
	}
	set, err := mapping.ParseSet(raw)
	if err != nil {
		return nil, nil, err
	}
	body, err := parseObject(raw)
	return set, body, err
}

// checkSet refuses a set that breaks a rule: all of them, or with validate=false only those of a draft (D43).
func (c *call) checkSet(tx *store.Tx, set *mapping.Set) error {
	full, known := c.flag("validate")
	if !known {
		return badQuery("validate is %q; true or false is expected.", shorten(c.arg("validate")))
	}
	if !full && c.arg("validate") != "" {
		if set.SchemaID == "" {
			return fault(mapping.CodeNoTarget, "/outputSchema/schemaRef/id", "The mapping set names no target schema; set outputSchema.schemaRef.id.")
		}
		return notValid(set.CheckForm())
	}
	report, err := c.review(tx, set)
	if err != nil {
		return err
	}
	return notValid(report.Errors())
}

func createMappingSet(c *call) (reply, error) {
	set, body, err := c.setBody()
	if err != nil {
		return reply{}, err
	}
	var d *weir.Doc
	err = c.write(func(tx *store.Tx) error {
		if err := c.checkSet(tx, set); err != nil {
			return err
		}
		mappings := make([]object, len(set.Mappings))
		for i := range set.Mappings {
			mappings[i] = c.storedMapping(&set.Mappings[i], weir.NewHex(16), 0, 0)
		}
		d = &weir.Doc{Kind: weir.KindMappingSet, ID: weir.NewHex(16), Scope: c.Scope, State: setDraft, Body: c.storedSet(set, body, 0, mappings).raw()}
		return tx.Insert(d, c.Actor)
	})
	if err != nil {
		return reply{}, err
	}
	return ok(shortSet(d)), nil
}

// readSet reads the latest version of the set in the path.
func (c *call) readSet(tx *store.Tx) (*weir.Doc, error) {
	id := c.param("id")
	d, err := tx.Get(weir.KindMappingSet, c.Scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, &weir.Error{Code: mapping.CodeNoSet, Message: "Mapping set " + shorten(id) + " was not found.", ID: id, Type: weir.KindMappingSet}
	}
	return d, err
}

// readVersion reads the version that the query asks for: absent the latest, otherwise exactly that one (D47).
func (c *call) readVersion(tx *store.Tx) (*weir.Doc, error) {
	d, err := c.readSet(tx)
	text := c.arg("version")
	if err != nil || text == "" {
		return d, err
	}
	n, err := versionNumber("version", text)
	if err != nil {
		return nil, err
	}
	return c.setAt(tx, d, n)
}

// versionNumber reads the number of a version.
func versionNumber(name, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badQuery("%s is %q; a whole number from 0 is expected.", name, shorten(text))
	}
	return n, nil
}

// setAt reads exactly one version of a set.
func (c *call) setAt(tx *store.Tx, d *weir.Doc, n int64) (*weir.Doc, error) {
	if n == setVersion(d) {
		return d, nil
	}
	old, err := tx.Get(flow.KindMappingVersion, c.Scope, flow.MappingVersionID(d.ID, n))
	if errors.Is(err, weir.ErrNotFound) {
		return nil, &weir.Error{
			Code: mapping.CodeNoVersion, ID: d.ID, Type: weir.KindMappingSet,
			Message: "Mapping set " + d.ID + " has no version " + strconv.FormatInt(n, 10) + "; the newest is " + strconv.FormatInt(setVersion(d), 10) + ".",
		}
	}
	return old, err
}

func setVersion(d *weir.Doc) int64 {
	var v struct {
		Version weir.Int `json:"version"`
	}
	_ = d.Read(&v) // stored by us
	return v.Version.Value
}

func getMappingSet(c *call) (reply, error) {
	expand, err := c.expand()
	if err != nil {
		return reply{}, err
	}
	var o object
	err = c.view(func(tx *store.Tx) error {
		d, err := c.readVersion(tx)
		if err != nil {
			return err
		}
		o, err = c.showSet(tx, d, expand)
		return err
	})
	return ok(o), err
}

// nextSet writes the next version of a set: the one before stays readable. edit makes the new body.
func (c *call) nextSet(edit func(tx *store.Tx, d *weir.Doc, old object, version int64) (object, error)) (o object, err error) {
	err = c.write(func(tx *store.Tx) error {
		d, err := c.readSet(tx)
		if err != nil {
			return err
		}
		old, err := c.showSet(tx, d, false)
		if err != nil {
			return err
		}
		version := setVersion(d)
		body, err := edit(tx, d, old, version+1)
		if err != nil {
			return err
		}
		if err := c.archive(tx, d, old, version); err != nil {
			return err
		}
		d.Body = body.raw()
		if err := tx.Update(d, c.Actor); err != nil {
			return err
		}
		o, err = c.showSet(tx, d, false)
		return err
	})
	return o, err
}

// archive keeps a version of a set as it is read now.
func (c *call) archive(tx *store.Tx, d *weir.Doc, shown object, version int64) error {
	return tx.Insert(&weir.Doc{Kind: flow.KindMappingVersion, ID: flow.MappingVersionID(d.ID, version), Scope: d.Scope, State: d.State, Body: shown.raw()}, c.Actor)
}

func putMappingSet(c *call) (reply, error) {
	set, body, err := c.setBody()
	if err != nil {
		return reply{}, err
	}
	o, err := c.nextSet(func(tx *store.Tx, _ *weir.Doc, old object, version int64) (object, error) {
		if set.SchemaID == "" { // the schema stays unless another one is named
			set.SchemaID, set.SchemaType = schemaOf(old), old.text("xdmVersion")
			body = body.with("outputSchema", old.get("outputSchema"))
		}
		if err := c.checkSet(tx, set); err != nil {
			return nil, err
		}
		mappings := make([]object, len(set.Mappings))
		for i := range set.Mappings {
			mappings[i] = c.storedMapping(&set.Mappings[i], weir.NewHex(16), version, 0)
		}
		next := c.storedSet(set, body, version, mappings)
		for _, name := range []string{"name", "tags"} {
			if next.get(name) == nil && old.get(name) != nil {
				next = next.with(name, old.get(name))
			}
		}
		return next, nil
	})
	return ok(o), err
}

func deleteMappingSet(c *call) (reply, error) {
	err := c.write(func(tx *store.Tx) error {
		d, err := c.readSet(tx)
		if err != nil {
			return err
		}
		flows, _, err := tx.Find(store.Query{Kind: weir.KindFlow, Scopes: []weir.Scope{c.Scope}, Where: []store.Cond{where("transformations.params.mappingId", d.ID)}, Limit: 10})
		if err != nil {
			return err
		}
		if len(flows) > 0 {
			names := make([]string, len(flows))
			for i, f := range flows {
				var lens weir.Flow
				_ = f.Read(&lens) // an odd flow still has its id
				names[i] = strings.TrimSpace(lens.Name + " (" + f.ID + ")")
			}
			return &weir.Error{
				Code: mapping.CodeInUse, ID: d.ID, Type: weir.KindMappingSet,
				Message: "Mapping set " + d.ID + " is used by " + strings.Join(names, ", ") + ". Delete the flows or give them another mapping set first.",
			}
		}
		shown, err := c.showSet(tx, d, false)
		if err != nil {
			return err
		}
		// Runs in progress that pinned the latest version still find it.
		if err := c.archive(tx, d, shown, setVersion(d)); err != nil {
			return err
		}
		return tx.Delete(d.Kind, d.Scope, d.ID)
	})
	return noContent(), err
}

// setMappings are the mappings of a shown set.
func setMappings(o object) ([]object, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(o.get("mappings"), &raw); err != nil {
		return nil, err
	}
	out := make([]object, len(raw))
	for i, r := range raw {
		m, err := parseObject(r)
		if err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}

func listMappings(c *call) (reply, error) {
	out := json.RawMessage("[]")
	err := c.view(func(tx *store.Tx) error {
		d, err := c.readVersion(tx)
		if err != nil {
			return err
		}
		o, err := parseObject(d.Body)
		out = o.get("mappings")
		return err
	})
	return ok(out), err
}

func noMapping(set, id string) error {
	return &weir.Error{Code: mapping.CodeNoMapping, Message: "Mapping set " + shorten(set) + " has no mapping " + shorten(id) + ".", ID: id, Type: "mappings"}
}

// findMapping is the position of the path's mapping.
func (c *call) findMapping(list []object) (int, error) {
	id := c.param("mapping")
	i := slices.IndexFunc(list, func(m object) bool { return m.text("id") == id })
	if i < 0 {
		return 0, noMapping(c.param("id"), id)
	}
	return i, nil
}

func getMapping(c *call) (reply, error) {
	var out object
	err := c.view(func(tx *store.Tx) error {
		d, err := c.readVersion(tx)
		if err != nil {
			return err
		}
		o, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		list, err := setMappings(o)
		if err != nil {
			return err
		}
		i, err := c.findMapping(list)
		if err == nil {
			out = list[i]
		}
		return err
	})
	return ok(out), err
}

// mappingBody reads one mapping; with a wrapping object {"mapping": …} too.
func (c *call) mappingBody() (*mapping.Mapping, error) {
	raw, err := c.body()
	if err != nil {
		return nil, err
	}
	m, err := mapping.ParseMapping(raw)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// changeMappings writes the next version of a set with other mappings; edit gets the list and returns it with the position of the one to show.
func (c *call) changeMappings(edit func(list []object, version int64) ([]object, int, error)) (object, error) {
	var shown object
	_, err := c.nextSet(func(tx *store.Tx, d *weir.Doc, old object, version int64) (object, error) {
		list, err := setMappings(old)
		if err != nil {
			return nil, err
		}
		list, at, err := edit(list, version)
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			shown = list[at]
		}
		stored, err := parseObject(d.Body)
		if err != nil {
			return nil, err
		}
		stored = stored.set("mappings", list).set("version", version)
		set, err := mapping.ParseSet(stored.raw())
		if err != nil {
			return nil, err
		}
		return stored, c.checkChanged(tx, set, at)
	})
	return shown, err
}

// checkChanged refuses a changed mapping that is wrong in itself. What other mappings lack is for the set's own validation: single mappings
// are added and removed one by one.
func (c *call) checkChanged(tx *store.Tx, set *mapping.Set, at int) error {
	if at < 0 {
		return nil
	}
	full, known := c.flag("validate")
	if !known {
		return badQuery("validate is %q; true or false is expected.", shorten(c.arg("validate")))
	}
	found := set.CheckForm()
	if full || c.arg("validate") == "" {
		report, err := c.review(tx, set)
		if err != nil {
			return err
		}
		found = report.Mappings[at]
	}
	return notValid(found)
}

func createMapping(c *call) (reply, error) {
	m, err := c.mappingBody()
	if err != nil {
		return reply{}, err
	}
	o, err := c.changeMappings(func(list []object, version int64) ([]object, int, error) {
		return append(list, c.storedMapping(m, weir.NewHex(16), version, 0)), len(list), nil
	})
	return ok(o), err
}

func putMapping(c *call) (reply, error) {
	m, err := c.mappingBody()
	if err != nil {
		return reply{}, err
	}
	o, err := c.changeMappings(func(list []object, version int64) ([]object, int, error) {
		i, err := c.findMapping(list)
		if err != nil {
			return nil, 0, err
		}
		var created weir.Int
		_ = json.Unmarshal(list[i].get("createdDate"), &created) // stored by us
		list[i] = c.storedMapping(m, list[i].text("id"), version, created.Value)
		return list, i, nil
	})
	return ok(o), err
}

func deleteMapping(c *call) (reply, error) {
	_, err := c.changeMappings(func(list []object, _ int64) ([]object, int, error) {
		i, err := c.findMapping(list)
		if err != nil {
			return nil, 0, err
		}
		return slices.Delete(list, i, i+1), -1, nil
	})
	return noContent(), err
}

// publish marks a set that a flow refers to (D48).
func publish(tx *store.Tx, d *weir.Doc) error {
	if d.State == setPublished {
		return nil
	}
	d.State = setPublished
	return tx.Touch(d)
}

// useSet lets a flow refer to a version of a set: it must be valid (§4.1: V1 to V9) when the flow begins to use it, and counts as published from then on.
func (c *call) useSet(tx *store.Tx, d *weir.Doc, version int64, at string, ch *change) error {
	if ch.draft || ch.old != nil && ch.op != "publish" && !ch.touches("/transformations") {
		return nil
	}
	body, err := flow.MappingSet(tx, c.Scope, d.ID, version)
	if err != nil {
		return err
	}
	set, err := mapping.ParseSet(body)
	var report *mapping.Report
	if err == nil {
		report, err = c.review(tx, set)
	}
	if err == nil {
		err = notValid(report.Errors())
	}
	if bad, ok := errors.AsType[*weir.Error](err); ok {
		return &weir.Error{
			Code: "FLOW-1419-400", Pointer: at + "/params/mappingId", ID: d.ID, Type: weir.KindMappingSet, Details: bad.Details,
			Message: "Mapping set " + d.ID + " version " + strconv.FormatInt(version, 10) + " is not valid: " + bad.Message,
		}
	}
	if err != nil {
		return err
	}
	return publish(tx, d)
}
