package rest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html/charset"

	"weir"
)

// xmlRules say how XML becomes JSON. An element with only text becomes text; others become objects with a member per
// child; a child that comes more than once becomes an array, and so does one that is declared, however often it comes.
// The element that contentPath names is an array without being declared.
type xmlRules struct {
	Arrays     []string `json:"arrays"`     // element names, or the ends of dotted paths
	Attributes string   `json:"attributes"` // prefix of attribute members: @ by default
	Text       string   `json:"text"`       // member of the text beside attributes or children: #text by default
}

// xmlReader streams: each record element is converted alone; what stands beside the records waits for the end of their parent.
type xmlReader struct {
	jsonMaker
	gate   *gate
	in     *xml.Decoder
	rules  *xmlRules
	path   []string
	open   []*xmlLevel // open elements on the path
	depth  int
	closed bool
}

// xmlLevel is an open element on the way to the records.
type xmlLevel struct {
	name    string
	beside  *object
	count   int // children written on the path
	inArray bool
}

func newXML(in io.Reader, rules *xmlRules, content path) io.Reader {
	r := &xmlReader{gate: &gate{in: in, left: maxValue}, rules: rules}
	for _, st := range content {
		r.path = append(r.path, st.name)
	}
	r.in = xml.NewDecoder(r.gate)
	r.in.CharsetReader = charset.NewReaderLabel
	r.next = r.step
	r.buf = append(r.buf, '{')
	return r
}

// step converts the next piece.
func (r *xmlReader) step() error {
	r.gate.left = maxValue
	t, err := r.in.RawToken()
	if errors.Is(err, io.EOF) {
		if len(r.open) > 0 {
			return errTruncated
		}
		if !r.closed {
			return errTruncated // not even a root
		}
		r.buf = append(r.buf, '}')
		return io.EOF
	}
	if err != nil {
		return xmlFault(err)
	}
	switch t := t.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end(t)
	}
	return nil
}

// xmlFault tells a cut document from a wrong one.
func xmlFault(err error) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		if strings.Contains(syntax.Msg, "unexpected EOF") {
			return errTruncated
		}
		return weir.Errorf("CONNECTOR-1308-400", "the answer is not valid XML: %s in line %d", syntax.Msg, syntax.Line)
	}
	return err
}

func (r *xmlReader) start(t xml.StartElement) error {
	level := len(r.open)
	if r.closed {
		return weir.Errorf("CONNECTOR-1308-400", "the answer is not valid XML: a second root element %s", t.Name.Local)
	}
	onPath := level < len(r.path) && t.Name.Local == r.path[level]
	if !onPath && level == 0 {
		return weir.Errorf("CONNECTOR-1308-400", "the answer's root element is <%s>, but contentPath starts with %s", t.Name.Local, strings.Join(r.path, "."))
	}
	if !onPath {
		v, err := r.element(t, nil)
		if err != nil {
			return err
		}
		r.add(r.open[level-1].beside, t.Name.Local, v, r.path[:level])
		return nil
	}
	if level < len(r.path)-1 {
		if level > 0 {
			if up := r.open[level-1]; up.count > 0 {
				r.buf = append(r.buf, ',')
			}
			r.open[level-1].count++
		}
		r.buf = append(append(r.buf, quote(t.Name.Local)...), ':', '{')
		beside := &object{}
		for _, a := range t.Attr {
			beside.set(r.attribute(a.Name), a.Value)
		}
		r.open = append(r.open, &xmlLevel{name: t.Name.Local, beside: beside})
		return nil
	}
	v, err := r.element(t, nil)
	if err != nil {
		return err
	}
	raw, err := plainJSON(v)
	if err != nil {
		return err
	}
	if level == 0 { // the root itself is the one record
		r.buf = append(append(r.buf, quote(t.Name.Local)...), ":["...)
		r.buf = append(append(r.buf, raw...), ']')
		r.closed = true
		return nil
	}
	up := r.open[level-1]
	if !up.inArray {
		if up.inArray = true; up.count > 0 {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(append(r.buf, quote(t.Name.Local)...), ":["...)
	} else {
		r.buf = append(r.buf, ',')
	}
	up.count++
	r.buf = append(r.buf, raw...)
	return nil
}

// end closes the innermost element on the path and writes what stood beside the records.
func (r *xmlReader) end(t xml.EndElement) error {
	n := len(r.open)
	if n == 0 || r.open[n-1].name != t.Name.Local {
		return weir.Errorf("CONNECTOR-1308-400", "the answer is not valid XML: </%s> closes what is not open", t.Name.Local)
	}
	l := r.open[n-1]
	r.open = r.open[:n-1]
	if l.inArray {
		r.buf = append(r.buf, ']')
	}
	raw, err := plainJSON(l.beside)
	if err != nil {
		return err
	}
	if len(raw) > 2 {
		if l.count > 0 {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(r.buf, raw[1:len(raw)-1]...)
	}
	r.buf = append(r.buf, '}')
	r.closed = n == 1
	return nil
}

func (r *xmlReader) attribute(n xml.Name) string {
	prefix := r.rules.Attributes
	if prefix == "" {
		prefix = "@"
	}
	return prefix + n.Local
}

// element converts the element whose start was read. within is the path of names above it, from the record on.
func (r *xmlReader) element(t xml.StartElement, within []string) (any, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, &syntaxError{0, fmt.Sprintf("elements are nested deeper than %d", maxDepth)}
	}
	defer func() { r.depth-- }()
	o := &object{}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		o.set(r.attribute(a.Name), a.Value)
	}
	var text strings.Builder
	at := append(slices.Clip(within), t.Name.Local)
	for {
		tok, err := r.in.RawToken()
		if errors.Is(err, io.EOF) {
			return nil, errTruncated
		}
		if err != nil {
			return nil, xmlFault(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			v, err := r.element(tok, at)
			if err != nil {
				return nil, err
			}
			r.add(o, tok.Name.Local, v, at)
		case xml.CharData:
			text.Write(tok)
		case xml.EndElement:
			if tok.Name.Local != t.Name.Local {
				return nil, weir.Errorf("CONNECTOR-1308-400", "the answer is not valid XML: <%s> is closed by </%s>", t.Name.Local, tok.Name.Local)
			}
			if len(o.names) == 0 {
				return text.String(), nil
			}
			if s := strings.TrimSpace(text.String()); s != "" {
				name := r.rules.Text
				if name == "" {
					name = "#text"
				}
				o.set(name, s)
			}
			return o, nil
		}
	}
}

// add puts a child into its parent, as an array when it is declared or comes again.
func (r *xmlReader) add(o *object, name string, v any, within []string) {
	old, has := o.get(name)
	list, isList := old.([]any)
	switch {
	case isList:
		o.set(name, append(list, v))
	case has:
		o.set(name, []any{old, v})
	case r.declared(append(slices.Clip(within), name)):
		o.set(name, []any{v})
	default:
		o.set(name, v)
	}
}

// declared reports whether an element is to be an array however often it comes.
func (r *xmlReader) declared(at []string) bool {
	full := "." + strings.Join(at, ".")
	for _, a := range r.rules.Arrays {
		if strings.HasSuffix(full, "."+strings.TrimPrefix(a, "$.")) {
			return true
		}
	}
	return false
}
