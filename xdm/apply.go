package xdm

import (
	"encoding/json"
	"maps"
	"strings"
)

// hiddenKey marks a field that a descriptor deprecates; it is never written.
const hiddenKey = "\x00hidden"

// descriptorPath splits xdm:sourceProperty into served names. Arrays and maps add no name.
func descriptorPath(property string) []string {
	var path []string
	for name := range strings.SplitSeq(strings.Trim(property, "/"), "/") {
		if name != "" {
			path = append(path, served(unescapePointer.Replace(name))...)
		}
	}
	return path
}

// sourceProperties reads xdm:sourceProperty, which is text or a list of texts.
func sourceProperties(d map[string]any) []string {
	switch p := d["xdm:sourceProperty"].(type) {
	case string:
		return []string{p}
	case []any:
		var out []string
		for _, v := range p {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// applyDescriptor returns root with the effect of one descriptor (§1.6 step 7). Descriptors without an effect on the full form change nothing.
func applyDescriptor(root *node, d map[string]any) *node {
	kind, _ := d["@type"].(string)
	for _, p := range sourceProperties(d) {
		path := descriptorPath(p)
		if len(path) == 0 || root.lookup(path) == nil {
			continue
		}
		switch kind {
		case DescriptorIdentity:
			if isPrimary(d) {
				root = root.edit(path, func(parent *node, name string) { parent.require(name) }, func(f *node) {
					if _, has := f.keys["minLength"]; !has {
						f.keys["minLength"] = json.Number("1")
					}
				})
			}
		case DescriptorDeprecated:
			root = root.edit(path, nil, func(f *node) {
				f.keys["meta:status"] = "deprecated"
				f.keys[hiddenKey] = true
			})
		case DescriptorDisplayInfo:
			root = root.edit(path, nil, func(f *node) { display(f, d) })
		}
	}
	return root
}

func isPrimary(d map[string]any) bool {
	switch v := d["xdm:isPrimary"].(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true")
	}
	return false
}

// display replaces texts and suggestions of a field.
func display(f *node, d map[string]any) {
	for from, to := range map[string]string{"xdm:title": "title", "xdm:description": "description", "xdm:note": "meta:note"} {
		if s := localText(d[from]); s != "" {
			f.keys[to] = s
		}
	}
	labels, _ := f.keys["meta:enum"].(map[string]any)
	labels = maps.Clone(labels)
	if more, ok := d["meta:enum"].(map[string]any); ok {
		if labels == nil {
			labels = map[string]any{}
		}
		maps.Copy(labels, more)
	}
	for _, key := range []string{"xdm:excludeMetaEnum", "meta:excludeMetaEnum"} {
		switch hide := d[key].(type) {
		case map[string]any:
			for v := range hide {
				delete(labels, v)
			}
		case []any:
			for _, v := range hide {
				if s, ok := v.(string); ok {
					delete(labels, s)
				}
			}
		}
	}
	if labels != nil {
		f.keys["meta:enum"] = labels
	}
}

// localText reads {"en_us": "…"} or plain text.
func localText(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case map[string]any:
		if s, ok := t["en_us"].(string); ok {
			return s
		}
	}
	return ""
}
