package api

import (
	"net/url"
	"regexp"
	"strings"

	"weir"
	"weir/xdm"
)

// accept is what an Accept header of the registry asks for (§1.3). xdm and xed mean the same; suffixes come in any order.
type accept struct {
	known   bool // one of the registry's media types
	version string
	summary bool // -id
	link    bool
	paged   bool // -v2
	full    bool
	variant xdm.Variant
	extra   bool // a suffix besides -id
}

var (
	registryMedia = regexp.MustCompile(`^application/vnd\.adobe\.(?:xed|xdm)((?:-[a-z0-9]+)*)\+json$`)
	versionParam  = regexp.MustCompile(`^version="?([0-9]+)(?:\.0)*"?$`)
)

// parseAccept reads the first media type of the registry in the header.
func parseAccept(header string) accept {
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		media, params, _ := strings.Cut(part, ";")
		m := registryMedia.FindStringSubmatch(strings.TrimSpace(media))
		if m == nil {
			continue
		}
		a := accept{known: true}
		for word := range strings.SplitSeq(strings.Trim(m[1], "-"), "-") {
			if word != "" && !a.suffix(word) {
				return accept{}
			}
		}
		for param := range strings.SplitSeq(params, ";") {
			if v := versionParam.FindStringSubmatch(strings.ReplaceAll(param, " ", "")); v != nil {
				a.version = v[1]
			}
		}
		return a
	}
	return accept{}
}

func (a *accept) suffix(word string) bool {
	a.extra = a.extra || word != "id"
	switch word {
	case "id":
		a.summary = true
	case "link":
		a.link = true
	case "v2":
		a.paged = true
	case "full":
		a.full = true
	case "notext":
		a.variant.NoText = true
	case "desc":
		a.variant.Desc = true
	case "flat":
		a.variant.Flat, a.full = true, true
	case "deprecated", "deprecatefield":
		a.variant.Deprecated, a.full = true, true
	default:
		return false
	}
	return true
}

const acceptHint = "Send application/vnd.adobe.xed-full+json; version=1 or another form of the registry."

// acceptList reads the header of a list: xed or xed-id.
func (c *call) acceptList() (accept, error) {
	a := parseAccept(c.req.Header.Get("Accept"))
	if !a.known || a.extra {
		return a, weir.Errorf("XDM-1006-400", "The Accept header %q is not for lists. Send application/vnd.adobe.xed-id+json or application/vnd.adobe.xed+json.", shorten(c.req.Header.Get("Accept")))
	}
	return a, nil
}

// acceptLookup reads the header of a lookup, which needs a version except for summaries (Q3).
func (c *call) acceptLookup() (accept, error) {
	header := c.req.Header.Get("Accept")
	a := parseAccept(header)
	switch {
	case !a.known:
		return a, weir.Errorf("XDM-1007-400", "The Accept header %q is not for a resource. %s", shorten(header), acceptHint)
	case a.version == "" && !a.summary:
		return a, weir.Errorf("XDM-1007-400", "The Accept header %q has no version. %s", shorten(header), acceptHint)
	case a.version != "" && a.version != "1":
		return a, weir.Errorf("XDM-1007-406", "Version %s does not exist. The only major version is 1.", a.version)
	}
	return a, nil
}

// acceptDescriptors reads the header of a descriptor list.
func (c *call) acceptDescriptors() (accept, error) {
	a := parseAccept(c.req.Header.Get("Accept"))
	if !a.known {
		return a, weir.Errorf("XDM-1008-400", "The Accept header %q is not for descriptor lists. Send application/vnd.adobe.xdm+json, -id, -link or -v2.", shorten(c.req.Header.Get("Accept")))
	}
	return a, nil
}

// acceptDescriptor reads the header of a descriptor lookup, which may be left out.
func (c *call) acceptDescriptor() error {
	header := c.req.Header.Get("Accept")
	if header == "" || strings.Contains(header, "*/*") || strings.Contains(header, "application/json") || strings.Contains(header, "application/*") || parseAccept(header).known {
		return nil
	}
	return weir.Errorf("XDM-1009-400", "The Accept header %q is not for a descriptor. Leave it out or send application/vnd.adobe.xdm+json.", shorten(header))
}

// unescapePath decodes an id that was percent-encoded twice; one that does not decode is taken as it is.
func unescapePath(s string) string {
	if v, err := url.PathUnescape(s); err == nil {
		return v
	}
	return s
}
