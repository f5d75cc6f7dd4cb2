package api

import (
	"encoding/json"
	"slices"
	"strings"

	"weir"
	"weir/flow"
	"weir/source/rest"
	"weir/store"
)

// hasAuth reports whether a connection spec lists any auth spec.
func hasAuth(spec json.RawMessage) bool {
	var s struct {
		AuthSpec []json.RawMessage `json:"authSpec"`
	}
	return json.Unmarshal(spec, &s) == nil && len(s.AuthSpec) > 0
}

// checkParams checks the parameters of a source connection against its spec, with the account at hand for placeholders.
func (c *call) checkParams(tx *store.Tx, spec, base *weir.Doc, params json.RawMessage) error {
	if flow.Kind(spec.Body) != "rest" {
		return nil
	}
	b, err := c.server.Engine.Bind(tx, c.Scope, spec.ID, base, params)
	if err != nil {
		return err
	}
	return faults(rest.CheckParams(b))
}

// faults makes one error of findings: missing members first, the code and place of the first, all of them in Details.
func faults(list []weir.Finding) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b weir.Finding) int {
		rank := func(f weir.Finding) int {
			if strings.HasPrefix(f.Code, "CONNECTOR-1304") {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	e := &weir.Error{Code: list[0].Code, Message: list[0].Message, Pointer: list[0].Pointer}
	if e.Pointer != "" && !strings.Contains(e.Message, "/") {
		e.Message = e.Pointer + ": " + e.Message
	}
	if len(list) > 1 {
		e.Details = list
	}
	return e
}
