package rest

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"compress/zlib"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"

	"weir"
)

// csvRules say how to read CSV. Every value is text; mapping makes more of it.
type csvRules struct {
	Delimiter string   `json:"delimiter"` // "," by default
	Columns   []string `json:"columns"`   // names, when the first line is data
	Skip      int      `json:"skipLines"` // before the header
	Nulls     []string `json:"nulls"`     // texts that are null
}

// formats are the last layers of answer.decode; the others undo a packing.
var formats = []string{"json", "ndjson", "csv", "xml", "lines"}

var packings = []string{"gzip", "deflate", "zip"}

// compile checks the layers.
func (a *answerRules) compile() error {
	for i, d := range a.Decode {
		if last := i == len(a.Decode)-1; !slices.Contains(packings, d) && (!last || !slices.Contains(formats, d)) {
			return weir.Errorf("CONNECTOR-1312-400", "weir.answer.decode: %q at place %d; first come %s, then at most one of %s", d, i+1, strings.Join(packings, ", "), strings.Join(formats, ", "))
		}
	}
	if a.Encoding != "" {
		if _, err := htmlindex.Get(a.Encoding); err != nil {
			return weir.Errorf("CONNECTOR-1312-400", "weir.answer.encoding %q is not known", a.Encoding)
		}
	}
	return weirIf(len([]rune(a.CSV.Delimiter)) > 1 || a.CSV.Delimiter == `"`, "weir.answer.csv.delimiter %q is not one character", a.CSV.Delimiter)
}

// format is the last layer.
func (a *answerRules) format() string {
	if n := len(a.Decode); n > 0 && slices.Contains(formats, a.Decode[n-1]) {
		return a.Decode[n-1]
	}
	return "json"
}

// decoder unfolds the layers of a body.
type decoder struct {
	rules   *answerRules
	content path // of the records: XML needs it
	limits  *Limits
	tempDir string
}

// each calls fn with every document of the body, as JSON text.
func (d *decoder) each(body io.Reader, fn func(io.Reader) error) error {
	return d.unpack(body, d.rules.Decode, fn)
}

func (d *decoder) unpack(in io.Reader, layers []string, fn func(io.Reader) error) error {
	if len(layers) == 0 || !slices.Contains(packings, layers[0]) {
		return d.open(in, fn)
	}
	counted := &countReader{in: in}
	guard := func(out io.Reader) io.Reader { return &boundReader{in: out, packed: counted, limits: d.limits} }
	switch layers[0] {
	case "gzip":
		return d.unpack(guard(&gunzip{in: counted}), layers[1:], fn)
	case "deflate":
		return d.unpack(guard(&inflate{in: bufio.NewReader(counted)}), layers[1:], fn)
	}
	return d.unzip(counted, func(entry io.Reader) error { return d.unpack(guard(entry), layers[1:], fn) })
}

// unzip sets the archive aside, because its directory is at the end, and calls fn with every file in it.
func (d *decoder) unzip(in io.Reader, fn func(io.Reader) error) error {
	f, err := os.CreateTemp(d.tempDir, "weir-zip-*")
	if err != nil {
		return fmt.Errorf("an archive needs a temporary file: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	n, err := io.Copy(f, in)
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, n)
	if err != nil {
		return &damaged{"zip", err}
	}
	for _, entry := range z.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return &damaged{"zip", err}
		}
		err = fn(r)
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// damaged says that packed content is broken; another try may bring it whole.
type damaged struct {
	kind string
	err  error
}

// Error says which layer is broken.
func (e *damaged) Error() string { return fmt.Sprintf("the %s content is damaged: %v", e.kind, e.err) }

// Unwrap returns the cause.
func (e *damaged) Unwrap() error { return e.err }

// open applies the charset and turns the format into JSON text.
func (d *decoder) open(in io.Reader, fn func(io.Reader) error) error {
	if d.rules.Encoding != "" {
		enc, err := htmlindex.Get(d.rules.Encoding)
		if err != nil {
			return err
		}
		in = enc.NewDecoder().Reader(in)
	}
	switch d.rules.format() {
	case "csv":
		return fn(newCSV(in, &d.rules.CSV))
	case "xml":
		return fn(newXML(in, &d.rules.XML, d.content))
	case "lines":
		return fn(newLines(in))
	}
	return fn(in)
}

// countReader counts what goes through.
type countReader struct {
	in io.Reader
	n  int64
}

// Read reads and counts.
func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// boundReader ends content that unfolds to far more than it should.
type boundReader struct {
	in     io.Reader
	packed *countReader
	limits *Limits
	n      int64
}

// Read reads within the bounds.
func (b *boundReader) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.n += int64(n)
	if b.n > b.limits.Page {
		return n, errLarge
	}
	if b.n > ratioFrom && b.n > b.packed.n*b.limits.Ratio {
		return n, errBomb
	}
	return n, err
}

// ratioFrom is the unfolded size from which the ratio to the packed size counts.
const ratioFrom = 64 << 20

// inflate reads deflate with or without the zlib frame.
type inflate struct {
	in  *bufio.Reader
	out io.Reader
}

// Read unpacks.
func (f *inflate) Read(p []byte) (int, error) {
	if f.out == nil {
		head, err := f.in.Peek(2)
		if err != nil {
			return 0, err
		}
		if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			z, err := zlib.NewReader(f.in)
			if err != nil {
				return 0, &damaged{"deflate", err}
			}
			f.out = z
		} else {
			f.out = flate.NewReader(f.in)
		}
	}
	return f.out.Read(p)
}

// jsonMaker is a reader of JSON text that is made piece by piece.
type jsonMaker struct {
	buf  []byte
	at   int
	err  error
	next func() error // appends to buf; io.EOF after the last piece
}

// Read hands out the text that next makes.
func (m *jsonMaker) Read(p []byte) (int, error) {
	for m.at == len(m.buf) {
		if m.err != nil {
			return 0, m.err
		}
		m.buf, m.at = m.buf[:0], 0
		m.err = m.next()
	}
	n := copy(p, m.buf[m.at:])
	m.at += n
	return n, nil
}

// gate bounds how much one piece may read, so that a missing quote cannot swallow the whole body.
type gate struct {
	in   io.Reader
	left int
}

// Read reads up to what is left.
func (g *gate) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, weir.Errorf("CONNECTOR-1308-400", "one record of the answer is larger than %d MiB", maxValue>>20)
	}
	n, err := g.in.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// csvReader turns lines into an array of objects.
type csvReader struct {
	jsonMaker
	gate  *gate
	in    *csv.Reader
	names [][]byte // quoted, with the colon
	rules *csvRules
	rows  int
}

func newCSV(in io.Reader, rules *csvRules) io.Reader {
	c := &csvReader{gate: &gate{in: in, left: maxValue}, rules: rules}
	b := bufio.NewReaderSize(c.gate, 64<<10)
	if head, _ := b.Peek(len(byteOrderMark)); string(head) == string(byteOrderMark) {
		_, _ = b.Discard(len(byteOrderMark))
	}
	c.in = csv.NewReader(b)
	c.in.ReuseRecord, c.in.FieldsPerRecord, c.in.LazyQuotes = true, -1, true
	if rules.Delimiter != "" {
		c.in.Comma = []rune(rules.Delimiter)[0]
	}
	c.next = c.step
	c.buf = append(c.buf, '[')
	if first, _ := b.Peek(1); string(first) == "<" {
		c.next = func() error { return errMarkup }
	}
	for range rules.Skip {
		if _, err := b.ReadSlice('\n'); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if len(rules.Columns) > 0 {
		c.header(rules.Columns)
	}
	return c
}

// header names the columns: an empty name becomes columnN, a repeated one gets a number.
func (c *csvReader) header(names []string) {
	seen := map[string]int{}
	for i, n := range names {
		if n == "" {
			n = "column" + strconv.Itoa(i+1)
		}
		if seen[n]++; seen[n] > 1 {
			n += "_" + strconv.Itoa(seen[n])
		}
		c.names = append(c.names, append(quote(n), ':'))
	}
}

func (c *csvReader) step() error {
	c.gate.left = maxValue
	row, err := c.in.Read()
	if errors.Is(err, io.EOF) {
		c.buf = append(c.buf, ']')
		return io.EOF
	}
	if err != nil {
		return err
	}
	if c.names == nil {
		c.header(row)
		return nil
	}
	for i := len(c.names); i < len(row); i++ {
		c.names = append(c.names, append(quote("column"+strconv.Itoa(i+1)), ':'))
	}
	if c.rows++; c.rows > 1 {
		c.buf = append(c.buf, ',')
	}
	c.buf = append(c.buf, '{')
	for i, v := range row {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = append(c.buf, c.names[i]...)
		if slices.Contains(c.rules.Nulls, v) {
			c.buf = append(c.buf, "null"...)
			continue
		}
		c.buf = appendText(c.buf, v)
	}
	c.buf = append(c.buf, '}')
	return nil
}

// newLines turns each line that is not empty into {"record": line}, in an array.
func newLines(in io.Reader) io.Reader {
	g := &gate{in: in, left: maxValue}
	b := bufio.NewReaderSize(g, 64<<10)
	m := &jsonMaker{buf: []byte{'['}}
	rows := 0
	m.next = func() error {
		g.left = maxValue
		line, err := b.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			if rows++; rows > 1 {
				m.buf = append(m.buf, ',')
			}
			m.buf = append(appendText(append(m.buf, `{"record":`...), line), '}')
		}
		if errors.Is(err, io.EOF) {
			m.buf = append(m.buf, ']')
		}
		return err
	}
	return m
}

// appendText appends s as a JSON string. Bytes that are not UTF-8 stay as they are: the scan then says so.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}
