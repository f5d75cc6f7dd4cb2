package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"weir"
)

// catalogOp is one operation of a batched call (§2.6).
type catalogOp struct {
	ID       string            `json:"id"`
	Resource string            `json:"resource"`
	Method   string            `json:"method"`
	Body     json.RawMessage   `json:"body"`
	Headers  map[string]string `json:"headers"`
}

// opResult is the answer to one operation.
type opResult struct {
	ID   string          `json:"id"`
	Code int             `json:"code"`
	Body json.RawMessage `json:"body"`
}

var opTemplate = regexp.MustCompile(`<<([^<>.]+)\.([^<>]+)>>`)

// batchedCatalog is POST /: operations in order, in one transaction. One failure undoes all.
func batchedCatalog(c *call) (reply, error) {
	raw, err := c.body()
	if err != nil {
		return reply{}, err
	}
	var ops []catalogOp
	if !isArray(raw) || json.Unmarshal(raw, &ops) != nil {
		return reply{}, c.refuse("The body must be an array of {id, resource, method, body, headers}.")
	}
	if len(ops) == 0 || len(ops) > maxOperations {
		return reply{}, c.refuse("%d operations; 1 to %d are possible.", len(ops), maxOperations)
	}
	var out []opResult
	err = c.writeCatalog(func(ch *catalogChange) error {
		out = make([]opResult, 0, len(ops))
		done := map[string]object{}
		for i, op := range ops {
			res, answer, err := ch.run(op, done)
			if err != nil {
				return opFailed(i, op, err)
			}
			out = append(out, res)
			if op.ID != "" {
				done[op.ID] = answer
			}
		}
		return nil
	})
	return reply{status: http.StatusCreated, body: out}, err
}

// opFailed says which operation was refused.
func opFailed(i int, op catalogOp, err error) error {
	if e, ok := err.(*weir.Error); ok { //nolint:errorlint // only the error itself is rewritten
		copied := *e
		copied.Message = fmt.Sprintf("Operation %d (%s) failed, nothing was changed. %s", i, shorten(op.ID), e.Message)
		copied.Pointer = fmt.Sprintf("/%d/body%s", i, e.Pointer)
		return &copied
	}
	return err
}

// run does one operation. The answer's members can be used by later ones as <<id.member>>.
func (ch *catalogChange) run(op catalogOp, done map[string]object) (opResult, object, error) {
	c := ch.c
	resource, err := c.fill(op.Resource, done)
	if err != nil {
		return opResult{}, nil, err
	}
	body, err := c.fill(string(op.Body), done)
	if err != nil {
		return opResult{}, nil, err
	}
	kind, id, _ := strings.Cut(strings.Trim(strings.TrimPrefix(strings.Trim(resource, "/"), "v2/"), "/"), "/")
	if kind != weir.KindDataset && kind != weir.KindBatch || strings.Contains(id, "/") {
		return opResult{}, nil, c.refuse("Resource %q is not possible here; /dataSets and /batches are.", shorten(op.Resource))
	}
	method := strings.ToUpper(op.Method)
	res := opResult{ID: op.ID, Code: http.StatusOK}
	switch {
	case method == http.MethodPost && id == "":
		res.Code = http.StatusCreated
		id, err = ch.opCreate(kind, json.RawMessage(body))
		res.Body = encode(ref(kind, id))
	case method == http.MethodGet && id != "":
		return ch.opGet(res, kind, id)
	case method == http.MethodDelete && id != "" && kind == weir.KindDataset:
		var gone []string
		gone, err = ch.deleteDataset(id, op.Headers["If-Match"])
		res.Body = encode(gone)
	case (method == http.MethodPatch || method == http.MethodPut) && id != "":
		err = ch.opUpdate(kind, id, method, strings.HasPrefix(strings.Trim(resource, "/"), "v2/"), op.Headers["If-Match"], json.RawMessage(body))
		res.Body = encode(ref(kind, id))
	default:
		err = c.refuse("%s of %q is not possible in a batched call.", shorten(op.Method), shorten(op.Resource))
	}
	return res, object{}.set("id", id), err
}

func (ch *catalogChange) opCreate(kind string, body json.RawMessage) (string, error) {
	o, err := ch.opObject(body)
	if err != nil {
		return "", err
	}
	if kind == weir.KindDataset {
		return ch.createDataset(o)
	}
	d, err := ch.createBatch(o)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

func (ch *catalogChange) opObject(body json.RawMessage) (object, error) {
	if !isObject(body) {
		return nil, ch.c.refuse("The operation needs a body that is a JSON object.")
	}
	return parseObject(body)
}

func (ch *catalogChange) opGet(res opResult, kind, id string) (opResult, object, error) {
	d, err := ch.c.get(ch.tx, kind, id)
	if err != nil {
		return res, nil, err
	}
	set := batches
	if kind == weir.KindDataset {
		set = datasets
	}
	o, err := set.show(ch.c, d)
	if err != nil {
		return res, nil, err
	}
	res.Body = object{member{id, o.raw()}}.raw()
	return res, object{}.set("id", id).over(o), nil
}

func (ch *catalogChange) opUpdate(kind, id, method string, deep bool, tag string, body json.RawMessage) error {
	if kind == weir.KindBatch {
		return ch.updateBatch(id, tag, body)
	}
	return ch.updateDataset(id, tag, func(old object) (object, error) {
		if method == http.MethodPatch && !deep {
			return ch.c.patched(old, body)
		}
		in, err := ch.opObject(body)
		if err != nil || method == http.MethodPut {
			return in, err
		}
		return deepMerge(old, in)
	})
}

// fill puts the answers of earlier operations into a text: <<id.member>>.
func (c *call) fill(text string, done map[string]object) (string, error) {
	var unknown string
	text = opTemplate.ReplaceAllStringFunc(text, func(m string) string {
		parts := opTemplate.FindStringSubmatch(m)
		o, ok := done[parts[1]]
		if !ok || !isText(o.get(parts[2])) {
			unknown = m
			return m
		}
		quoted := encode(o.text(parts[2]))
		return string(slices.Clone(quoted[1 : len(quoted)-1])) // the place is inside of a JSON text already
	})
	if unknown != "" {
		return "", c.refuse("%s names no earlier operation of this call with that member.", shorten(unknown))
	}
	return text, nil
}
