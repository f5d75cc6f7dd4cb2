package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"weir"
)

// operation is one element of a JSON Patch (RFC 6902): add, replace or remove.
type operation struct {
	op, path string
	value    json.RawMessage // nil for remove
}

// maxOperations bounds a patch: each operation walks the document again.
const maxOperations = 1000

// operations reads the body as a JSON Patch as clients of the Flow Service write it (flow-service §4.1): an array or one operation,
// op in any case, a value beside remove ignored, move, copy and test refused.
func (c *call) operations() ([]operation, error) {
	raw, err := c.body()
	if err != nil {
		return nil, err
	}
	if isObject(raw) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, weir.Errorf(c.service.codes.badJSON, "The body must be a JSON Patch: an array of {op, path, value}.")
	}
	if len(list) == 0 {
		return nil, weir.Errorf(c.service.codes.emptyBody, "The patch has no operations.")
	}
	if len(list) > maxOperations {
		return nil, weir.Errorf(c.service.codes.badJSON, "The patch has more than %d operations.", maxOperations)
	}
	ops := make([]operation, 0, len(list))
	for i, item := range list {
		at := fmt.Sprintf("/%d", i)
		o, err := parseObject(item)
		if err != nil {
			return nil, fault(c.service.codes.badJSON, at, "Element %d of the patch must be an object {op, path, value}.", i)
		}
		op := operation{op: strings.ToLower(o.text("op")), path: o.text("path"), value: o.get("value")}
		switch op.op {
		case "add", "replace":
			if op.value == nil {
				return nil, fault(c.service.codes.badJSON, at+"/value", "Operation %d of the patch has no value.", i)
			}
		case "remove":
			op.value = nil
		case "move", "copy", "test":
			return nil, fault("FLOW-1434-400", at+"/op", "The patch operation %s is not supported. Use add, replace or remove.", op.op)
		default:
			return nil, fault("FLOW-1434-400", at+"/op", "The patch operation %q is not known. Use add, replace or remove.", op.op)
		}
		if !strings.HasPrefix(op.path, "/") {
			return nil, fault("CONNECTOR-1365-400", at+"/path", "path %q must be a JSON pointer such as /name.", op.path)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// apply runs the operation on a JSON document. A missing target is 1455; replacing an unset top-level member sets it (§4.1).
func (op operation) apply(doc json.RawMessage) (json.RawMessage, error) {
	word := op.op
	if word == "replace" && strings.Count(op.path, "/") == 1 {
		word = "add"
	}
	line := object{}.set("op", word).set("path", op.path)
	if op.value != nil {
		line = line.with("value", op.value)
	}
	patch, err := jsonpatch.DecodePatch(slices.Concat([]byte("["), line.raw(), []byte("]")))
	if err != nil {
		return nil, err
	}
	opts := jsonpatch.NewApplyOptions()
	opts.SupportNegativeIndices, opts.EscapeHTML = false, false
	out, err := patch.ApplyWithOptions(doc, opts)
	if err != nil {
		e := fault("FLOW-1455-400", op.path, "There is nothing at %s to %s.", op.path, op.op)
		e.Err = err
		return nil, e
	}
	return out, nil
}

func errNoIfMatch() *weir.Error {
	return weir.Errorf("FLOW-1403-400", "The header If-Match is missing. Send the etag of the version you read.")
}

// ifMatch is the precondition: the header or, as one collection of requests sends it, the query parameter if-match.
func (c *call) ifMatch() (tag string, given bool) {
	tag = c.req.Header.Get("If-Match")
	if tag == "" {
		tag = c.arg("if-match")
	}
	tag = normalTag(tag)
	return tag, tag != ""
}

// normalTag strips what clients put around an etag: blanks, W/, quotes, escaped quotes (flow-service §4.2).
func normalTag(tag string) string {
	tag = strings.TrimSpace(tag)
	tag = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(tag, "W/"), "w/"))
	for _, quote := range []string{`\"`, `"`} {
		if len(tag) >= 2*len(quote) && strings.HasPrefix(tag, quote) && strings.HasSuffix(tag, quote) {
			return tag[len(quote) : len(tag)-len(quote)]
		}
	}
	return tag
}

// matchTag compares a precondition with a document: 1404 names both versions.
func matchTag(d *weir.Doc, tag string) error {
	if tag == "*" || tag == d.ETag {
		return nil
	}
	return &weir.Error{
		Code: "FLOW-1404-412", ID: d.ID, Type: d.Kind,
		Message: fmt.Sprintf("If-Match has version %s, but the current version of %s %s is %s. Read it again and repeat the change.", shorten(tag), d.Kind, d.ID, d.ETag),
	}
}

// shorten bounds a client's text in a message.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
