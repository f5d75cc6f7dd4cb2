package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"weir"
	"weir/store"
)

// Spec finds a connection spec: the organisation's own first, then the built-in one.
func Spec(tx *store.Tx, org, id string) (*weir.Doc, error) {
	return tx.GetAny(weir.KindConnectionSpec, []weir.Scope{{Org: org}, {}}, id)
}

// Kind tells which connector serves a connection spec ("rest", …), "" for none of ours.
func Kind(spec json.RawMessage) string {
	var s struct {
		Type       string `json:"type"`
		SourceSpec struct {
			Attributes map[string]json.RawMessage `json:"attributes"`
		} `json:"sourceSpec"`
	}
	if json.Unmarshal(spec, &s) != nil {
		return ""
	}
	if strings.HasPrefix(s.Type, "generic-rest") {
		return "rest"
	}
	for _, member := range []string{"urlParams", "paginationParams", "contentPath", "weir"} {
		if _, ok := s.SourceSpec.Attributes[member]; ok {
			return "rest"
		}
	}
	return ""
}

// Bind joins a base connection (nil for none), its spec and source parameters into what a connector opens.
func (e *Engine) Bind(tx *store.Tx, scope weir.Scope, specID string, conn *weir.Doc, params json.RawMessage) (weir.Binding, error) {
	b := weir.Binding{Scope: scope, SpecID: specID, Params: params}
	if conn != nil {
		var c weir.Connection
		if err := conn.Read(&c); err != nil {
			return b, fmt.Errorf("read connection %s: %w", conn.ID, err)
		}
		b.ConnectionID, b.SpecID = conn.ID, c.ConnectionSpec.ID
		secret, err := tx.Reveal(conn)
		if err != nil {
			return b, fmt.Errorf("open the credentials of connection %s: %w", conn.ID, err)
		}
		if c.Auth != nil {
			b.AuthSpec = c.Auth.SpecName
			if b.Auth, err = overlay(c.Auth.Params, secret); err != nil {
				return b, fmt.Errorf("read the credentials of connection %s: %w", conn.ID, err)
			}
		}
		b.Rotate = e.rotate(scope, conn.ID)
	}
	spec, err := Spec(tx, scope.Org, b.SpecID)
	if err != nil {
		return b, err
	}
	b.Spec, b.Host = spec.Body, e.Hosts[b.SpecID]
	return b, nil
}

// overlay puts the members of top over those of base.
func overlay(base, top json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(top)) == 0 {
		return base, nil
	}
	merged := map[string]json.RawMessage{}
	for _, part := range []json.RawMessage{base, top} {
		if len(part) == 0 {
			continue
		}
		if err := json.Unmarshal(part, &merged); err != nil {
			return nil, err
		}
	}
	return json.Marshal(merged)
}

// rotate makes Binding.Rotate for a stored connection: one renewal at a time over all processes, durable before it is used.
func (e *Engine) rotate(scope weir.Scope, id string) func(context.Context, func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	return func(ctx context.Context, renew func(context.Context, json.RawMessage) (json.RawMessage, error)) (out json.RawMessage, err error) {
		err = e.Store.Exclusive(ctx, "credentials/"+id, func(ctx context.Context) error {
			current, err := e.credentials(ctx, scope, id)
			if err != nil {
				return err
			}
			if out, err = renew(ctx, current); err != nil || bytes.Equal(out, current) {
				return err
			}
			// The renewal may have used up a single-use token: what came back is stored even if the caller has gone.
			return e.Store.Tx(context.WithoutCancel(ctx), func(tx *store.Tx) error {
				d, err := tx.Get(weir.KindConnection, scope, id)
				if err != nil {
					return err
				}
				d.Secret = out
				return tx.Touch(d)
			})
		})
		if errors.Is(err, weir.ErrNotFound) {
			return nil, weir.Errorf("CONNECTOR-1003-404", "connection %s was deleted while its credentials were renewed", id)
		}
		return out, err
	}
}

// credentials reads the plain auth params of a connection.
func (e *Engine) credentials(ctx context.Context, scope weir.Scope, id string) (out json.RawMessage, err error) {
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(weir.KindConnection, scope, id)
		if err != nil {
			return err
		}
		b, err := e.Bind(tx, scope, "", d, nil)
		out = b.Auth
		return err
	})
	return out, err
}

// Open opens a binding with the connector of its spec.
func (e *Engine) Open(ctx context.Context, b weir.Binding) (Source, error) {
	open := e.Openers[Kind(b.Spec)]
	if open == nil {
		return nil, weir.Errorf("CONNECTOR-1336-400", "connection spec %s has no connector here: it can neither be explored nor read", b.SpecID)
	}
	return open(ctx, b)
}
