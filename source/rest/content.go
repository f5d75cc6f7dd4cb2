package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"weir"
)

// cutter reads one JSON document once, front to back, cuts it into records and picks the values a pager wants.
// It holds one window of the document, at least one record, and the members beside the array.
type cutter struct {
	r       io.Reader
	scan    scanner
	p       int // next byte of scan.buf
	cap     []byte
	windows *bufferPool // where cap comes from; may be nil
	// base is the document offset of scan.buf[0].
	base  int64
	depth int
	// read counts the bytes of the document taken from r.
	read int64

	root     node
	content  *selector
	explode  *selector
	wantEach []eachProbe // values inside array elements
	probes   [][]byte
	put      func(pre, rec, post []byte) error // takes one finished record in three parts, without line breaks
	limit    int                               // stop after so many elements; 0 for all
	mode     string                            // answerRules.Records
	keyAs    string                            // of keyed records
	stream   bool                              // the body is a sequence of documents
	keepBare bool                              // explode keeps a record whose inner array is empty
	ends     bool                              // first and last are wanted
	unseen   func() bool                       // nobody behind put looks into the records; nil: somebody does
	quick    bool                              // find the ends of records only, leave their text to those who read them
	first    []byte
	last     []byte

	wait     bool   // records must wait for the siblings behind their array
	pre      []byte // around each element, once the siblings are known
	post     []byte
	beside   []byte // `"name":value,` of each sibling kept, of the array's parent that is open
	kept     int
	spool    spool
	elements int
	found    bool // the array was there (or null)
	seen     []string
	scratch  []byte
	scratch2 []byte
	line     []byte
	names    names // of the records
}

// eachProbe wants a value below the record array: of element index, or of the last one (-1).
type eachProbe struct {
	index int
	path  path
	slot  int
}

// errStop ends a cut early without fault (the preview has enough records).
var errStop = errors.New("enough records")

// newCutter prepares a cut with the places the pager wants to see.
func newCutter(content, explode *selector, probes []path, tempDir string, put func(pre, rec, post []byte) error) *cutter {
	c := &cutter{content: content, explode: explode, put: put, probes: make([][]byte, len(probes)), spool: spool{dir: tempDir, bound: spoolBound}}
	c.root.add(content.path).array = true
	for i, p := range probes {
		if n := len(content.path); len(p) > n && slices.Equal(p[:n], content.path) && p[n].kind == byIndex {
			c.wantEach = append(c.wantEach, eachProbe{p[n].index, p[n+1:], i})
			continue
		}
		n := c.root.add(p)
		n.probes = append(n.probes, i)
	}
	return c
}

// begin forgets the last document.
func (c *cutter) begin() {
	c.p, c.base, c.read, c.depth, c.kept, c.elements, c.found = 0, 0, 0, 0, 0, 0, false
	c.beside, c.seen, c.first, c.last = c.beside[:0], c.seen[:0], nil, c.last[:0]
	c.spool.drop()
	clear(c.probes)
	c.quick = c.unseen != nil && c.unseen() && c.explode == nil && len(c.wantEach) == 0 && !c.ends && (c.mode == "" || c.mode == "array")
}

// run cuts a whole document after begin; a body of several documents calls it for each. A document is exactly one JSON
// value, or any number of them when the body is a stream.
func (c *cutter) run(r io.Reader) error {
	c.r, c.p, c.base, c.depth = r, 0, 0, 0
	if c.cap == nil {
		c.cap = c.windows.get(windowSize)[:windowSize]
	}
	c.scan = scanner{buf: c.cap[:0]}
	defer c.spool.drop()
	err := c.document()
	if syn, ok := errors.AsType[*syntaxError](err); ok {
		err = &syntaxError{int(c.base) + syn.at, syn.msg}
	}
	return err
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func (c *cutter) document() error {
	b, err := c.token()
	if c.stream && errors.Is(err, errTruncated) {
		c.found = true // a stream of no documents
		return nil
	}
	if err != nil {
		return err
	}
	if b == byteOrderMark[0] {
		for len(c.scan.buf)-c.p < len(byteOrderMark) && !c.scan.final {
			if err := c.more(); err != nil {
				return err
			}
		}
		if bytes.HasPrefix(c.scan.buf[c.p:], byteOrderMark) {
			c.p += len(byteOrderMark)
		}
		if b, err = c.token(); err != nil {
			return err
		}
	}
	if b == '<' {
		return errMarkup
	}
	if c.stream {
		return c.documents()
	}
	if b == '[' && !c.root.array && c.root.all == nil && len(c.root.spots) == 0 {
		return weir.Errorf("CONNECTOR-1315-400", "the answer is an array but contentPath is %s; use $ for an array at the root", c.content.path)
	}
	if err := c.walk(&c.root); err != nil {
		return err
	}
	switch _, err := c.token(); {
	case errors.Is(err, errTruncated):
		return nil // the end
	case err != nil:
		return err
	}
	return &syntaxError{c.p, "more text follows the JSON value"}
}

// documents cuts value after value. With contentPath $ each value is a record.
func (c *cutter) documents() error {
	for {
		_, err := c.token()
		if errors.Is(err, errTruncated) {
			return nil
		}
		if err == nil {
			if c.root.array {
				c.found = true
				err = c.element()
			} else {
				err = c.walk(&c.root)
			}
		}
		if err != nil {
			return err
		}
	}
}

// more reads on: what is before p is dropped, and the window grows when one value fills it.
func (c *cutter) more() error {
	if c.scan.final {
		return errTruncated
	}
	keep := len(c.scan.buf) - c.p
	if keep == len(c.cap) {
		if keep >= maxValue {
			return weir.Errorf("CONNECTOR-1308-400", "one value of the answer is larger than %d MiB", maxValue>>20)
		}
		grown := make([]byte, 2*len(c.cap))
		copy(grown, c.scan.buf[c.p:])
		c.cap = grown
	} else {
		copy(c.cap, c.scan.buf[c.p:])
	}
	c.base += int64(c.p)
	c.p = 0
	// Reading at least as much as is kept makes looking at a long value again cost no more than reading it did.
	have := keep
	for want := min(2*max(keep, 1), len(c.cap)); have < want; {
		n, err := c.r.Read(c.cap[have:])
		have += n
		c.read += int64(n)
		if err == io.EOF {
			c.scan.final = true
			break
		}
		if err != nil {
			return err
		}
	}
	c.scan.buf = c.cap[:have]
	return nil
}

// token skips white space and returns the next byte without taking it; errTruncated at the end.
func (c *cutter) token() (byte, error) {
	for {
		c.p = c.scan.space(c.p)
		if c.p < len(c.scan.buf) {
			return c.scan.buf[c.p], nil
		}
		if err := c.more(); err != nil {
			return 0, err
		}
	}
}

// value takes the whole value at p and returns its bytes, valid until the next read. broke: it holds raw line breaks.
func (c *cutter) value() (raw []byte, broke bool, err error) {
	for {
		c.scan.broke = false
		if c.scan.names != nil {
			c.scan.names.begin()
		}
		end, err := c.scan.value(c.p)
		switch {
		case err == nil:
			raw = c.scan.buf[c.p:end]
			c.p = end
			return raw, c.scan.broke, nil
		case !errors.Is(err, errShort):
			return nil, false, err
		}
		if n := c.scan.names; n != nil && n.learn {
			n.list = n.list[:0] // the record will be scanned again
		}
		if err := c.more(); err != nil {
			return nil, false, err
		}
	}
}

// span is like value for a record nobody looks into: only its end is found. A record with raw line breaks, or one that does
// not end, or that is not UTF-8, gets the full check.
func (c *cutter) span() (raw []byte, broke bool, err error) {
	for c.scan.buf[c.p] == '{' || c.scan.buf[c.p] == '[' {
		if end, ascii := spanEnd(c.scan.buf, c.p); end > 0 {
			if raw = c.scan.buf[c.p:end]; bytes.IndexByte(raw, '\n') >= 0 || !ascii && !utf8.Valid(raw) {
				break
			}
			c.p = end
			return raw, false, nil
		}
		if c.scan.final {
			break
		}
		if err := c.more(); err != nil {
			return nil, false, err
		}
	}
	return c.value()
}

// name takes a member name and its colon and returns the text from the opening quote on, valid until the next read.
func (c *cutter) name() ([]byte, error) {
	for {
		v, err := c.scan.name(c.p)
		if err == nil && v == len(c.scan.buf) && !c.scan.final {
			err = errShort
		}
		switch {
		case err == nil:
			raw := c.scan.buf[c.p:v]
			c.p = v
			return raw, nil
		case !errors.Is(err, errShort):
			return nil, err
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// walk takes the value at p, in which n (nil: nothing) is wanted.
func (c *cutter) walk(n *node) error {
	b, err := c.token()
	if err != nil {
		return err
	}
	switch {
	case n == nil:
		return c.skip(b)
	case n.array:
		return c.records(b, n)
	case len(n.probes) > 0:
		return c.capture(n)
	case b == '{' || b == '[':
		return c.container(b, n)
	}
	return c.skip(b)
}

// skip takes the value at p and forgets it; a container larger than the window is skipped member by member.
func (c *cutter) skip(b byte) error {
	for {
		end, err := c.scan.value(c.p)
		if err == nil {
			c.p = end
			return nil
		}
		if !errors.Is(err, errShort) {
			return err
		}
		if len(c.scan.buf)-c.p > windowSize/2 && (b == '{' || b == '[') {
			return c.container(b, nil)
		}
		if err := c.more(); err != nil {
			return err
		}
	}
}

// capture keeps the value at p for the probes of n and of the places below it.
func (c *cutter) capture(n *node) error {
	raw, _, err := c.value()
	if err != nil {
		return err
	}
	if len(raw) > probeBound {
		return weir.Errorf("CONNECTOR-1308-400", "a value that paging needs is larger than %d KiB", probeBound>>10)
	}
	c.keepProbes(n, bytes.Clone(raw))
	return nil
}

// keepProbes serves the probes at and below n from the bytes of its value.
func (c *cutter) keepProbes(n *node, raw []byte) {
	for _, i := range n.probes {
		if c.probes[i] == nil {
			c.probes[i] = raw
		}
	}
	for _, e := range n.names {
		if v := pluck(raw, path{{name: e.name}}); v != nil {
			c.keepProbes(e.to, v)
		}
	}
	for _, s := range n.spots {
		if v := pluck(raw, path{{kind: byIndex, index: s.index}}); v != nil {
			c.keepProbes(s.to, v)
		}
	}
	if n.all != nil && len(raw) > 0 && (raw[0] == '[' || raw[0] == '{') {
		s := scanner{buf: raw, final: true}
		s.each(0, func(v []byte) bool { c.keepProbes(n.all, v); return true })
	}
}

// container walks the members or elements of the container at p.
func (c *cutter) container(open byte, n *node) error {
	if c.depth++; c.depth > maxDepth {
		return &syntaxError{c.p, fmt.Sprintf("values are nested deeper than %d", maxDepth)}
	}
	defer func() { c.depth-- }()
	c.p++
	b, err := c.token()
	if err != nil {
		return err
	}
	if b == open+2 {
		c.p++
		return nil
	}
	parent := n != nil && open == '{' && c.isParent(n)
	if parent {
		c.beside, c.kept = c.beside[:0], 0
	}
	for i := 0; ; i++ {
		if open == '{' {
			err = c.member(n, parent)
		} else {
			err = c.walk(n.at(i))
		}
		if err != nil {
			return err
		}
		if b, err = c.token(); err != nil {
			return err
		}
		c.p++
		switch b {
		case ',':
			if _, err = c.token(); err != nil {
				return err
			}
			continue
		case open + 2:
			if parent {
				return c.replay()
			}
			return nil
		}
		return &syntaxError{c.p - 1, "a comma or closing bracket is missing"}
	}
}

// isParent reports whether the record array, wrapped with its siblings, is a member of this place.
func (c *cutter) isParent(n *node) bool {
	if !c.content.wrap {
		return false
	}
	for i := range n.names {
		if n.names[i].to.array {
			return true
		}
	}
	return false
}

// member walks one member of an object; beside the record array it may be kept for the records.
func (c *cutter) member(n *node, parent bool) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	to := n.named(name)
	if n == &c.root && !c.found && len(c.seen) < 12 {
		c.seen = append(c.seen, unquote(quoted(name)))
	}
	if !parent || to != nil && to.array || !c.content.wants(name) {
		return c.walk(to)
	}
	start := len(c.beside)
	c.beside = append(append(c.beside, quoted(name)...), ':')
	raw, broke, err := c.value()
	if err != nil {
		return err
	}
	if len(c.beside)+len(raw) > siblingBound {
		return weir.Errorf("CONNECTOR-1308-400", "the members beside %s are larger than %d KiB together; leave them out with skipAttributes or keepAttributes",
			c.content.path, siblingBound>>10)
	}
	if to != nil {
		c.keepProbes(to, bytes.Clone(raw))
	}
	nameText := c.beside[start:]
	c.dropTwin(start, nameText)
	if broke {
		c.beside = compact(c.beside, raw)
	} else {
		c.beside = append(c.beside, raw...)
	}
	c.beside = append(c.beside, ',')
	c.kept++
	return nil
}

// dropTwin removes an earlier sibling of the same name: the last one counts.
func (c *cutter) dropTwin(start int, name []byte) {
	for at := 0; at < start; {
		s := scanner{buf: c.beside, final: true}
		v, err := s.name(at)
		if err != nil {
			return
		}
		end, err := s.value(v)
		if err != nil {
			return
		}
		if bytes.Equal(c.beside[at:v], name) {
			c.beside = slices.Delete(c.beside, at, end+1)
			c.kept--
			return
		}
		at = end + 1
	}
}

// complete reports whether no member that is still to come can belong in the records.
func (c *cutter) complete() bool {
	return c.content.none || len(c.content.keep) > 0 && c.kept == len(c.content.keep)
}

func kindOf(b byte) string {
	switch b {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "text"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// errMarkup says that the body is HTML or XML.
var errMarkup = errors.New("the answer is HTML or XML, not JSON")

// absent words the warning of a page without its array.
func (c *cutter) absent() string {
	return fmt.Sprintf("the answer has no array at contentPath %s (its members: %s)", c.content.path, strings.Join(c.seen, ", "))
}

// release gives the window back; the cutter can be used again.
func (c *cutter) release() {
	if len(c.cap) == windowSize {
		c.windows.put(c.cap)
	}
	c.cap = nil
	c.scan.buf = nil
}
