package api

import (
	"net/url"
	"strings"
)

// route is one line of a service's table.
type route struct {
	method string
	// path is relative to the service's base: fixed segments, {name} for one segment, and {name...} as the last part for the raw rest of
	// the path, slashes and all. Slashes at the end and doubled slashes never matter, except inside a {name...}.
	path string
	do   handler
	access
}

type handler func(*call) (reply, error)

// access says what a route asks of a request. The zero value is the usual: token, API key, organisation and sandbox, a body up to maxBody.
type access struct {
	// open needs no header at all (token endpoints, health).
	open bool
	// orgOnly checks no sandbox header (sandbox management).
	orgOnly bool
	// limit is the largest body in bytes, 0 for maxBody, -1 for none (the handler streams and bounds it itself).
	limit int64
}

// node is one place in the tree of routes. Fixed segments win over {name}, and {name} over {name...}.
type node struct {
	fixed map[string]*node
	one   *node
	here  map[string]*bound // by method, when the path ends here
	rest  map[string]*bound // by method, {name...}
}

// bound is a route with its service and the names of its parameters.
type bound struct {
	route
	service *service
	names   []string
}

func (n *node) add(pattern string, b *bound) {
	for seg := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		switch {
		case strings.HasSuffix(seg, "...}"):
			b.names = append(b.names, strings.TrimSuffix(seg[1:], "...}"))
			if n.rest == nil {
				n.rest = map[string]*bound{}
			}
			n.rest[b.method] = b
			return
		case strings.HasPrefix(seg, "{"):
			b.names = append(b.names, strings.Trim(seg, "{}"))
			if n.one == nil {
				n.one = &node{}
			}
			n = n.one
		case seg != "":
			if n.fixed == nil {
				n.fixed = map[string]*node{}
			}
			if n.fixed[seg] == nil {
				n.fixed[seg] = &node{}
			}
			n = n.fixed[seg]
		}
	}
	if n.here == nil {
		n.here = map[string]*bound{}
	}
	n.here[b.method] = b
}

// find walks the escaped path. It returns the methods at the best matching place, nil if there is none, and the parameters in order.
// Routing happens on the escaped path, because ids are URLs in one percent-encoded segment.
func (n *node) find(path string, params []string) (map[string]*bound, []string) {
	path = strings.TrimLeft(path, "/")
	if path == "" {
		if n.here != nil {
			return n.here, params
		}
		return nil, nil
	}
	seg, rest, _ := strings.Cut(path, "/")
	text, err := url.PathUnescape(seg)
	if err != nil {
		return nil, nil
	}
	if next := n.fixed[text]; next != nil {
		if m, p := next.find(rest, params); m != nil {
			return m, p
		}
	}
	if n.one != nil {
		if m, p := n.one.find(rest, append(params, text)); m != nil {
			return m, p
		}
	}
	if n.rest != nil {
		text, err := url.PathUnescape(strings.TrimRight(path, "/"))
		if err == nil && text != "" {
			return n.rest, append(params, text)
		}
	}
	return nil, nil
}
