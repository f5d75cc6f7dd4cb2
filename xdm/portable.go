package xdm

import (
	"bytes"
	"encoding/json"
	"strings"
)

// TenantPlaceholder stands for the tenant's name in exported resources (§1.10).
const TenantPlaceholder = "<XDM_TENANTID_PLACEHOLDER>"

// Portable replaces the tenant's name in ids, references and field names by [TenantPlaceholder].
func Portable(raw json.RawMessage, tenant string) (json.RawMessage, error) {
	tree, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	return encode(portable(tree, tenant)), nil
}

func portable(v any, tenant string) any {
	switch t := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, m := range t {
			if k == "_"+tenant {
				k = "_" + TenantPlaceholder
			}
			out[k] = portable(m, tenant)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, m := range t {
			out[i] = portable(m, tenant)
		}
		return out
	case string:
		return portableText(t, tenant)
	}
	return v
}

func portableText(s, tenant string) string {
	if rest, ok := strings.CutPrefix(s, Namespace+tenant+"/"); ok {
		return Namespace + TenantPlaceholder + "/" + rest
	}
	if s == "_"+tenant {
		return "_" + TenantPlaceholder
	}
	for _, sep := range []string{".", "/"} { // meta:altId, pointers
		if rest, ok := strings.CutPrefix(s, "_"+tenant+sep); ok {
			return "_" + TenantPlaceholder + sep + rest
		}
	}
	return strings.ReplaceAll(s, "/_"+tenant+"/", "/_"+TenantPlaceholder+"/")
}

// Local puts the tenant's name in the place of every [TenantPlaceholder] of a JSON document.
func Local(raw json.RawMessage, tenant string) (json.RawMessage, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(encode(v), []byte(TenantPlaceholder), []byte(tenant)), nil
}
