package rest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"weir"
)

// Wrap puts a transport around the client's own: it sees every exchange, those for tokens and logins included, and may
// answer in the place of the network. Call it before the client is used.
func (c *Client) Wrap(wrap func(http.RoundTripper) http.RoundTripper) {
	t := wrap(c.http.Transport)
	c.http.Transport, c.once.Transport = t, t
}

// Mask replaces the secrets of the source in a text: the secret auth parameters and all tokens got with them so far.
func (s *Source) Mask(text string) string { return s.mask.text(text) }

// MaskURL is an address without secrets.
func (s *Source) MaskURL(u *url.URL) string { return s.mask.url(u) }

// InferSchema is the JSON Schema that an explore infers from records.
func InferSchema(records []json.RawMessage) json.RawMessage { return inferSchema(records) }

// Definition is what a binding requests: the request definition of its stream, with everything inherited in place, and
// those of the parents above it, outermost first (null for a list of values). Placeholders are still open.
type Definition struct {
	Own     json.RawMessage
	Parents []json.RawMessage
	// Others are the further definitions of a level that has several, by the index of the level.
	Others map[int][]json.RawMessage
	// Job are the requests around a job: create, status, delete. Full is the definition of a run that reads everything.
	Job  map[string]json.RawMessage
	Full json.RawMessage
	// Describe is the request for the fields of the records.
	Describe json.RawMessage
	// Streams are the names of the spec's streams.
	Streams []string
}

// Define finds the request definition of a binding. It needs Spec, AuthSpec, Auth and Params.
func Define(b weir.Binding) (*Definition, error) {
	s, err := parseSpec(b.Spec)
	if err != nil {
		return nil, err
	}
	p, err := s.layers(&b, nil)
	if err != nil {
		return nil, err
	}
	a, err := s.source(b.Params)
	if err != nil {
		return nil, err
	}
	out := &Definition{Streams: sortedNames(a.ext.Streams)}
	name, _ := p.text("stream")
	if a, err = a.stream(name); err != nil {
		return nil, err
	}
	out.Own = a.raw
	if err := out.around(a); err != nil {
		return nil, err
	}
	src := &Source{spec: s}
	for i := range a.ext.Partition {
		part := &a.ext.Partition[i]
		all := part.Any
		if len(all) == 0 {
			all = []partition{*part}
		}
		for j := range all {
			var raw json.RawMessage
			if all[j].requests() {
				own, err := src.parentAttributes(a, &all[j])
				if err != nil {
					return nil, err
				}
				raw = own.raw
			}
			if j == 0 {
				out.Parents = append(out.Parents, raw)
				continue
			}
			if out.Others == nil {
				out.Others = map[int][]json.RawMessage{}
			}
			out.Others[i] = append(out.Others[i], raw)
		}
	}
	return out, nil
}

// around adds the requests around a job, and the definition of a full run.
func (d *Definition) around(a *attributes) error {
	if j := a.ext.Job; j != nil {
		d.Job = map[string]json.RawMessage{}
		for name, raw := range map[string]json.RawMessage{"create": j.Create, "status": j.Status, "delete": j.Delete} {
			if len(raw) == 0 {
				continue
			}
			own, err := a.with(raw, "job", "answer", "paging", "split", "onResponse")
			if err != nil {
				return err
			}
			d.Job[name] = own.raw
		}
	}
	if r := a.ext.SchemaFrom; r != nil {
		own, err := a.with(r.Request, "job", "answer", "paging", "split", "onResponse")
		if err != nil {
			return err
		}
		d.Describe = own.raw
	}
	if r := a.ext.Retention; r != nil && len(r.Full) > 0 {
		own, err := a.with(r.Full, "retention")
		if err != nil {
			return err
		}
		d.Full = own.raw
	}
	return nil
}

func sortedNames(m map[string]json.RawMessage) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Step is one segment of a path: a member, an element, or every child.
type Step struct {
	Name  string
	Index int
	// Kind is name, index or each.
	Kind string
}

// ParsePath reads a path as specs write it.
func ParsePath(text string) ([]Step, error) {
	p, err := parsePath(text)
	if err != nil {
		return nil, err
	}
	out := make([]Step, len(p))
	for i, st := range p {
		switch st.kind {
		case byIndex:
			out[i] = Step{Index: st.index, Kind: "index"}
		case every:
			out[i] = Step{Kind: "each"}
		default:
			out[i] = Step{Name: st.name, Kind: "name"}
		}
	}
	return out, nil
}

// Expression is an expression of the extension, over an answer or over a record.
type Expression struct{ x *expression }

// ParseExpression checks and compiles an expression; record says which names it may use.
func ParseExpression(text string, record bool) (*Expression, error) {
	in := onPage
	if record {
		in = onRecord
	}
	x, err := compileExpr("expression", text, in, nil)
	if err != nil {
		return nil, err
	}
	return &Expression{x}, nil
}

// Pages are the places of the answer that the expression reads, as paths.
func (e *Expression) Pages() []string {
	var out []string
	for _, p := range e.x.pages {
		out = append(out, p.String())
	}
	return out
}

// Eval gives the result as JSON, nil for null and for what is not there. Values of vars are JSON texts; names that are
// left out are null.
func (e *Expression) Eval(vars map[string]json.RawMessage) (json.RawMessage, error) {
	in := map[string]any{"headers": map[string]any{}, "params": map[string]any{}, "window": windowVars(weir.Window{}), "page": map[string]any{}}
	for _, names := range scopeNames {
		for _, n := range names {
			if _, ok := in[n]; !ok {
				in[n] = nil
			}
		}
	}
	for n, raw := range vars {
		in[n] = toCEL(raw)
	}
	v, err := e.x.eval(in)
	if err != nil || v == nil {
		return nil, err
	}
	return plainJSON(v)
}
