package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"weir"
	"weir/specs"
)

// MatchAuthSpec finds the auth spec a client named in auth.specName: by exact name, else by name or type without regard
// to case, blanks, dashes and underscores (contract flow-service §6.2). It returns the spec's own name.
func MatchAuthSpec(connectionSpec json.RawMessage, specName string) (name string, ok bool) {
	s, err := parseSpec(connectionSpec)
	if err != nil {
		return "", false
	}
	if a := s.matchAuth(specName); a != nil {
		return a.Name, true
	}
	return "", false
}

// SecretParams lists the members of auth.params that must never be shown: those with format password in the auth spec,
// and those with a telling name (token, secret, password, key) whether the spec lists them or not. The names are sorted.
func SecretParams(connectionSpec json.RawMessage, specName string, params json.RawMessage) []string {
	a := &authSpec{}
	if s, err := parseSpec(connectionSpec); err == nil {
		if m := s.matchAuth(specName); m != nil {
			a = m
		}
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(params, &m) != nil {
		return nil
	}
	var out []string
	for name := range m {
		if a.secret(name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// CheckAuth checks auth.params of a connection on create: the spec name (1415), then the auth spec's JSON Schema (a
// missing member is 1304, anything else 1312). Specs without authSpec take any auth or none. Pointers are relative to
// the request body (/auth/...).
func CheckAuth(connectionSpec json.RawMessage, specName string, params json.RawMessage) []weir.Finding {
	s, err := parseSpec(connectionSpec)
	if err != nil {
		return findings("", err)
	}
	if specName == "" && len(s.AuthSpec) == 0 {
		return nil
	}
	a := s.matchAuth(specName)
	if a == nil {
		names := make([]string, len(s.AuthSpec))
		for i := range s.AuthSpec {
			names[i] = s.AuthSpec[i].Name
		}
		return []weir.Finding{{Code: "FLOW-1415-400", Pointer: "/auth/specName", Message: fmt.Sprintf("the auth spec %q is not one of this connection spec: %s", specName, strings.Join(names, ", "))}}
	}
	out := checkSchema(a.Spec, params, "/auth/params")
	mask := &masker{}
	var m map[string]json.RawMessage
	if json.Unmarshal(params, &m) == nil {
		mask.add(secretsOf(m, a.secret)...)
	}
	for i := range out {
		out[i].Message = mask.text(out[i].Message)
	}
	return out
}

// CheckParams checks params of a source connection on create: sourceSpec.spec as a JSON Schema (numbers and booleans in
// text are fine), then everything the request needs: placeholders (1304), paths (1314), pagination (1316), schedule
// (1317). The binding needs Spec, AuthSpec, Auth and Params. Pointers are relative to the request body (/params/...).
func CheckParams(b weir.Binding) []weir.Finding {
	s, err := parseSpec(b.Spec)
	if err != nil {
		return findings("", err)
	}
	out := checkSchema(s.SourceSpec.Spec, b.Params, "/params")
	if s.generic() {
		out = append(out, checkSchema(s.SourceSpec.Attributes.Spec, b.Params, "/params")...)
	}
	if len(out) > 0 {
		return out
	}
	return findings("/params", s.checkRequest(&b))
}

// CheckSpec checks a connection spec when it is saved: paths, paging, schedule and body of its request definition, the
// extension with all its expressions, its streams and parents, and the auth types. Placeholders may still be open. A
// spec that is not of the REST kind (no urlParams, no extension) has no findings. Pointers are relative to the body.
func CheckSpec(connectionSpec json.RawMessage) []weir.Finding {
	const at = "/sourceSpec/attributes"
	s, err := parseSpec(connectionSpec)
	if err != nil {
		return findings("", err)
	}
	out := extensionFindings(s.SourceSpec.Attributes.Weir, at+"/weir")
	a, err := s.source()
	if s.generic() {
		if len(out) == 0 && len(s.SourceSpec.Attributes.Weir) > 0 {
			_, err = parseExtension(s.SourceSpec.Attributes.Weir)
			out = append(out, findings(at+"/weir", err)...)
		}
		return out
	}
	if err != nil {
		if len(out) == 0 {
			out = findings(at+"/weir", err)
		}
		return out
	}
	out = append(out, a.check(at)...)
	for i := range s.AuthSpec {
		raw := pluck(s.AuthSpec[i].raw, path{{name: "attributes"}, {name: "weir"}})
		out = append(out, checkSchema(authSchema(), raw, fmt.Sprintf("/authSpec/%d/attributes/weir", i))...)
		if t := s.AuthSpec[i].Type; authenticators[looseName(t)] == nil {
			out = append(out, weir.Finding{Code: "CONNECTOR-1302-400", Pointer: fmt.Sprintf("/authSpec/%d/type", i), Message: fmt.Sprintf("the auth type %q is not supported for REST sources", t)})
		}
	}
	return out
}

// check checks a request definition without its parameters, and those of its streams and parents.
func (a *attributes) check(at string) []weir.Finding {
	if len(a.ext.Streams) > 0 {
		var out []weir.Finding
		for _, name := range slices.Sorted(maps.Keys(a.ext.Streams)) {
			where := at + "/weir/streams/" + pointerEscape(name)
			stream, err := a.stream(name)
			if err != nil {
				out = append(out, findings(where, err)...)
				continue
			}
			stream.ext.Streams = nil
			out = append(out, stream.check(where)...)
		}
		return out
	}
	e := &expander{params: &params{}}
	def, err := a.define(e)
	out := findings(at, err)
	if err == nil && def.schedule.advance() && def.schedule.Incremental == "" {
		out = append(out, weir.Finding{Code: "CONNECTOR-1317-400", Pointer: at + "/scheduleParams", Message: "scheduleParams of type ADVANCE needs incremental"})
	}
	if def != nil {
		e.path(def.path)
		out = append(out, findings(at+"/urlParams/path", e.bad)...)
	}
	if d := a.ext.Deletes; d != nil {
		where := at + "/weir/deletes/sweep"
		if own, err := a.swept(); err != nil {
			out = append(out, findings(where, err)...)
		} else {
			out = append(out, own.check(where)...)
		}
	}
	if r := a.ext.Retention; r != nil && len(r.Full) > 0 {
		where := at + "/weir/retention/full"
		if own, err := a.with(r.Full, "retention"); err != nil {
			out = append(out, findings(where, err)...)
		} else {
			out = append(out, own.check(where)...)
		}
	}
	for i := range a.ext.Partition {
		part := &a.ext.Partition[i]
		if len(part.Parent) == 0 {
			continue
		}
		where := fmt.Sprintf("%s/weir/partition/%d/parent", at, i)
		own, err := a.with(part.Parent)
		if err != nil {
			out = append(out, findings(where, err)...)
			continue
		}
		own.ext.Partition = nil
		out = append(out, own.check(where)...)
	}
	return out
}

// extensionFindings checks the extension against its published schema.
func extensionFindings(raw json.RawMessage, at string) []weir.Finding {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	return checkSchema(specs.Extension(), raw, at)
}

// authSchema is the part of the extension's schema for authSpec[].attributes.weir.
func authSchema() json.RawMessage {
	all := specs.Extension()
	auth := pluck(all, path{{name: "definitions"}, {name: "auth"}})
	return slices.Clone(auth)
}

// checkRequest resolves everything a request needs, without sending one.
func (s *spec) checkRequest(b *weir.Binding) error {
	p, err := s.layers(b, nil)
	if err != nil {
		return err
	}
	a, err := s.source(b.Params)
	if err != nil {
		return err
	}
	name, _ := p.text("stream")
	if a, err = a.stream(name); err != nil {
		return err
	}
	e := &expander{params: a.ext.expected(p)}
	def, err := a.define(e)
	if err != nil {
		return err
	}
	if err := def.schedule.check(a); err != nil {
		return err
	}
	host := &expander{params: e.params}
	if def.host == "" && b.Host == "" {
		def.host = "${host}"
	}
	text := host.host(def.host)
	_, told := p.text("authorizationTestUrl") // the host may come from its answer (R25)
	if b.Host == "" && (!told || host.bad != nil) {
		if err := host.err(); err != nil {
			return err
		}
		if err := new(request).setAddress(text, ""); err != nil {
			return err
		}
	}
	e.path(def.path)
	for _, pr := range slices.Concat(def.query, def.headers, []pair{{def.schedule.Incremental, def.schedule.Backfill}}) {
		e.text(pr.name)
		e.text(pr.value)
	}
	if def.body != nil {
		if _, err := mapStrings(def.body, e.value); err != nil {
			return err
		}
	}
	return e.err()
}

// check demands that an ADVANCE schedule has its text and a place for it.
func (c *schedule) check(a *attributes) error {
	if !c.advance() {
		return nil
	}
	everything := slices.Concat(a.URLParams.QueryParams, a.HeaderParams, a.BodyParams, []byte(a.URLParams.Path), a.Weir)
	if !bytes.Contains(everything, []byte("{SCHEDULE_QUERY}")) {
		return weir.Errorf("CONNECTOR-1317-400", "scheduleParams of type ADVANCE needs {SCHEDULE_QUERY} in the path, query, headers or body")
	}
	if c.Incremental == "" {
		return weir.Errorf("CONNECTOR-1317-400", "scheduleParams of type ADVANCE needs incremental")
	}
	return nil
}

func findings(pointer string, err error) []weir.Finding {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*weir.Error](err); ok {
		return []weir.Finding{{Code: known.Code, Pointer: pointer, Message: known.Message}}
	}
	return []weir.Finding{{Code: "CONNECTOR-1014-400", Pointer: pointer, Message: err.Error()}}
}

// checkSchema checks an object against a spec's schema. Specs are open documents: a schema that is itself broken checks
// only what is required.
func checkSchema(schema, value json.RawMessage, at string) []weir.Finding {
	if len(bytes.TrimSpace(schema)) == 0 {
		return nil
	}
	sch, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil
	}
	sch = tidySchema(sch)
	if len(bytes.TrimSpace(value)) == 0 {
		value = json.RawMessage("{}")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []weir.Finding{{Code: "CONNECTOR-1312-400", Pointer: at, Message: "not valid JSON"}}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(noLoader{})
	if err := c.AddResource("weir:spec", sch); err != nil {
		return requiredOnly(sch, v, at)
	}
	compiled, err := c.Compile("weir:spec")
	if err != nil {
		return requiredOnly(sch, v, at)
	}
	if ve, ok := errors.AsType[*jsonschema.ValidationError](compiled.Validate(coerce(sch, v))); ok {
		var out []weir.Finding
		leaves(ve, at, &out)
		return out
	}
	return nil
}

// noLoader keeps a schema from reading files or addresses.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: references to other documents are not followed", url)
}

// tidySchema drops what people get wrong in specs and what would reach outside: $schema, $id and a required that is no list.
func tidySchema(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, m := range v {
			_, text := m.(string)
			if text && (name == "$schema" || name == "$id" || name == "id") {
				continue
			}
			if _, list := m.([]any); name == "required" && !list {
				if _, object := m.(map[string]any); !object {
					continue
				}
			}
			out[name] = tidySchema(m)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = tidySchema(v[i])
		}
		return out
	}
	return v
}

func requiredOnly(schema, value any, at string) []weir.Finding {
	s, _ := schema.(map[string]any)
	v, ok := value.(map[string]any)
	if !ok {
		return []weir.Finding{{Code: "CONNECTOR-1312-400", Pointer: at, Message: "must be an object"}}
	}
	list, _ := s["required"].([]any)
	var out []weir.Finding
	for _, n := range list {
		if name, ok := n.(string); ok && v[name] == nil {
			out = append(out, missing(at, name))
		}
	}
	return out
}

func missing(at, name string) weir.Finding {
	code := "CONNECTOR-1304-400"
	switch name {
	case "paginationParams":
		code = "CONNECTOR-1316-400"
	case "scheduleParams":
		code = "CONNECTOR-1317-400"
	}
	return weir.Finding{Code: code, Pointer: at + "/" + pointerEscape(name), Message: name + " is missing"}
}

func pointerEscape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// leaves collects the innermost faults.
func leaves(e *jsonschema.ValidationError, at string, out *[]weir.Finding) {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			leaves(c, at, out)
		}
		return
	}
	var atSb385 strings.Builder
	for _, part := range e.InstanceLocation {
		atSb385.WriteString("/" + pointerEscape(part))
	}
	at += atSb385.String()
	if req, ok := e.ErrorKind.(*kind.Required); ok {
		for _, name := range req.Missing {
			*out = append(*out, missing(at, name))
		}
		return
	}
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	*out = append(*out, weir.Finding{Code: "CONNECTOR-1312-400", Pointer: at, Message: text})
}

// coerce turns numbers and booleans in text, and numbers where text is asked for, into the type the schema wants, as
// far as properties tell it (ruling R15).
func coerce(schema, v any) any {
	s, ok := schema.(map[string]any)
	if !ok {
		return v
	}
	if m, ok := v.(map[string]any); ok {
		props, _ := s["properties"].(map[string]any)
		out := make(map[string]any, len(m))
		for name, e := range m {
			out[name] = coerce(props[name], e)
		}
		return out
	}
	if list, ok := v.([]any); ok {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = coerce(s["items"], e)
		}
		return out
	}
	switch want := s["type"]; text := v.(type) {
	case string:
		switch want {
		case "integer", "number":
			if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				return json.Number(strings.TrimSpace(text))
			}
		case "boolean":
			if b, err := strconv.ParseBool(strings.ToLower(text)); err == nil {
				return b
			}
		}
	case json.Number:
		if want == "string" {
			return text.String()
		}
	case bool:
		if want == "string" {
			return strconv.FormatBool(text)
		}
	}
	return v
}

// expected adds stand-ins for the values that only a run brings: those of parents and of the pager.
func (x *extension) expected(p *params) *params {
	m := map[string]json.RawMessage{}
	for i := range x.Partition {
		m[x.Partition[i].As] = json.RawMessage(`"x"`)
		for _, p := range append([]partition{x.Partition[i]}, x.Partition[i].Any...) {
			for name := range p.Keep {
				m[name] = json.RawMessage(`"x"`)
			}
		}
	}
	if x.Job != nil {
		m[x.Job.As] = json.RawMessage(`"x"`)
		for name := range x.Job.Keep {
			m[name] = json.RawMessage(`"x"`)
		}
	}
	for name := range x.Let {
		m[name] = json.RawMessage(`"x"`)
	}
	if x.Paging != nil && x.Paging.Inject != nil && x.Paging.Inject.Path != "" {
		m[x.Paging.Inject.Path] = json.RawMessage(`"x"`)
	}
	return &params{layers: append(append([]map[string]json.RawMessage{}, p.layers...), m)}
}
