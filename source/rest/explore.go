package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"weir"
)

// Bounds of a preview.
const (
	previewRows  = 100
	previewBytes = 32 << 20
)

// Explore answers an explore call (contract flow-service §5.5). root and folder list one entry, the answer itself; rest
// and file fetch the first page, without a schedule window, and infer its schema. A spec with a string contentPath
// previews the raw page, others the records (ruling R4).
func (s *Source) Explore(ctx context.Context, q weir.ExploreQuery) (weir.Preview, error) {
	switch strings.ToLower(q.ObjectType) {
	case "", "root", "folder":
		return weir.Preview{Items: []weir.ExploreItem{{Type: "file", Name: "json", Path: "json", CanPreview: true, CanFetchSchema: true}}}, nil
	case "rest", "file":
	case "table":
		return weir.Preview{}, weir.Errorf("CONNECTOR-1336-400", "objectType table is not supported by a REST source; use rest")
	default:
		return weir.Preview{}, weir.Errorf("CONNECTOR-1358-400", "objectType %q is not valid; use root, folder, file or rest", q.ObjectType)
	}
	if q.Determine {
		return weir.Preview{}, weir.Errorf("CONNECTOR-1371-400", "determineProperties is not supported by a REST source")
	}
	p, err := s.spec.layers(&s.b, q.Params)
	if err != nil {
		return weir.Preview{}, err
	}
	pl, err := s.plan(ctx, p, nil, s.b.Params, q.Params)
	if err != nil {
		return weir.Preview{}, err
	}
	pagers[pl.def.paging.kind](&pl.def.paging).place(pl.req)
	data, err := s.preview(ctx, pl)
	if err != nil {
		return weir.Preview{}, err
	}
	out := weir.Preview{Format: "hierarchical", Schema: pl.def.schema, Data: data}
	if out.Schema == nil {
		out.Schema = inferSchema(data)
	}
	return out, nil
}

// preview fetches the first page.
func (s *Source) preview(ctx context.Context, pl *plan) ([]json.RawMessage, error) {
	quick := *s
	quick.limits.Attempts = min(quick.limits.Attempts, 3)
	quick.limits.Wait = min(quick.limits.Wait, wait5)
	data := []json.RawMessage{}
	size := 0
	err := quick.fetch(ctx, pl.req, func(resp *response) error {
		data, size = data[:0], 0
		if resp.StatusCode == 204 {
			return nil
		}
		if pl.def.rawPreview {
			raw, err := whole(resp.body, previewBytes)
			if err == nil {
				data = append(data, raw)
				err = checkJSON(raw)
			}
			return err
		}
		cut := newCutter(&pl.def.content, pl.def.explode, nil, s.opt.TempDir, func(pre, rec, post []byte) error {
			r := bytes.Join([][]byte{pre, rec, post}, nil)
			data = append(data, r)
			if size += len(r); size > previewBytes || len(data) >= previewRows {
				return errStop
			}
			return nil
		})
		cut.begin()
		cut.limit = previewRows
		return cut.run(resp.body)
	})
	return data, err
}

// whole reads a body of at most limit bytes.
func whole(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = weir.Errorf("CONNECTOR-1308-400", "the answer is larger than the %d MiB a preview takes; ask for smaller pages", limit>>20)
	}
	return bytes.TrimPrefix(raw, byteOrderMark), err
}

// checkJSON checks that raw is exactly one JSON value.
func checkJSON(raw []byte) error {
	s := scanner{buf: raw, final: true}
	p := s.space(0)
	if p < len(raw) && raw[p] == '<' {
		return errMarkup
	}
	p, err := s.value(p)
	if err != nil {
		return err
	}
	if p = s.space(p); p < len(raw) {
		return &syntaxError{p, "more text follows the JSON value"}
	}
	return nil
}
