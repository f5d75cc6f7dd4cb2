package ingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"

	"weir"
	"weir/lake"
	"weir/record"
)

// readCSV reads a file whose first record names the columns; a dotted name leads into an object. Values are texts, empty ones are left out.
// A record with another number of fields than the header is corrupt.
func readCSV(ctx context.Context, l *lake.Lake, object string, f weir.InputFormat, _ *record.Schema, sink Sink) error {
	text, c, err := openText(ctx, l, object)
	if err != nil {
		return err
	}
	defer c.Close()
	if strings.EqualFold(f.Charset, "ISO-8859-1") {
		text = bufio.NewReader(transform.NewReader(text, charmap.ISO8859_1.NewDecoder()))
	}
	r, err := NewCSV(text, f)
	if err != nil {
		return err
	}
	names, err := r.header()
	if err != nil {
		return err
	}
	root := csvTree(names)
	var out []byte
	for {
		raw, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(raw) == 1 && raw[0] == "" {
			continue // an empty line
		}
		if len(raw) != len(names) || r.broken {
			out = record.AppendQuoted(out[:0], strings.Join(raw, string(r.delimiter)))
			out = append(out, '}', '\n') // no JSON value: the promotion reports it as corrupt
		} else {
			out, _ = root.append(out[:0], raw, f.NullMarker)
			if len(out) == 0 {
				out = append(out, "{}"...)
			}
			out = append(out, '\n')
		}
		if err := sink(out, 1); err != nil {
			return err
		}
	}
}

// CSV reads records of fields that a delimiter separates. A quoted field may hold delimiters and line breaks; inside of it a quote is doubled or
// escaped. It holds one record in memory.
type CSV struct {
	r         *bufio.Reader
	delimiter rune
	quote     rune
	escape    rune
	broken    bool // the last record ended inside of quotes

	// Of the record being read.
	field  strings.Builder
	quoted bool
	size   int
}

// NewCSV reads r with a format's delimiter (default ,), quote (") and escape (\).
func NewCSV(r *bufio.Reader, f weir.InputFormat) (*CSV, error) {
	c := &CSV{r: r}
	for _, m := range []struct {
		name, text string
		to         *rune
		absent     rune
	}{{"delimiter", f.Delimiter, &c.delimiter, ','}, {"quote", f.Quote, &c.quote, '"'}, {"escape", f.Escape, &c.escape, '\\'}} {
		text := m.text
		if text == `\t` || strings.EqualFold(text, "tab") {
			text = "\t"
		}
		v, n := utf8.DecodeRuneInString(text)
		switch {
		case text == "":
			v = m.absent
		case n != len(text) || v == '\n' || v == '\r' || v == utf8.RuneError:
			return nil, weir.Errorf("INGEST-1000-400", "%s of the CSV format must be one character.", m.name)
		}
		*m.to = v
	}
	return c, nil
}

// header reads the names of the columns: 118 if there are none.
func (c *CSV) header() ([]string, error) {
	names, err := c.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	seen := map[string]bool{}
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
		if names[i] == "" || seen[names[i]] {
			return nil, weir.Errorf("INGEST-118-400", "The CSV header is empty, or a column has no name or the name of another.")
		}
		seen[names[i]] = true
	}
	if len(names) == 0 {
		return nil, weir.Errorf("INGEST-118-400", "The CSV header is empty.")
	}
	return names, nil
}

// Read returns the next record, [io.EOF] at the end.
func (c *CSV) Read() ([]string, error) {
	var fields []string
	c.field.Reset()
	c.quoted, c.broken, c.size = false, false, 0
	for {
		ch, n, err := c.r.ReadRune()
		c.size += n
		switch {
		case errors.Is(err, io.EOF) && c.size == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			c.broken = c.quoted
			return append(fields, c.field.String()), nil
		case err != nil:
			return nil, err
		case c.size > maxLine:
			return nil, weir.Errorf("INGEST-1002-400", "A CSV record is longer than %d bytes.", maxLine)
		case c.quoted:
			c.inQuotes(ch)
		case ch == c.quote && c.field.Len() == 0:
			c.quoted = true
		case ch == c.delimiter:
			fields = append(fields, c.field.String())
			c.field.Reset()
		case ch == '\n':
			return append(fields, c.field.String()), nil
		case ch == '\r':
			c.skip('\n')
			return append(fields, c.field.String()), nil
		default:
			c.field.WriteRune(ch)
		}
	}
}

// inQuotes takes one character of a quoted field.
func (c *CSV) inQuotes(ch rune) {
	switch {
	case ch == c.escape && ch != c.quote:
		next, n, err := c.r.ReadRune()
		c.size += n
		if err == nil && (next == c.quote || next == c.escape) {
			ch = next
		} else if err == nil {
			c.field.WriteRune(ch)
			ch = next
		}
		c.field.WriteRune(ch)
	case ch == c.quote && c.skip(c.quote):
		c.field.WriteRune(ch)
	case ch == c.quote:
		c.quoted = false
	default:
		c.field.WriteRune(ch)
	}
}

// skip takes the next character if it is want.
func (c *CSV) skip(want rune) bool {
	next, n, err := c.r.ReadRune()
	if err != nil {
		return false
	}
	if next != want {
		_ = c.r.UnreadRune()
		return false
	}
	c.size += n
	return true
}

// csvNode is a column, or the object that dotted columns make.
type csvNode struct {
	name string
	at   int // column, -1 for an object
	kids []*csvNode
}

// csvTree is the objects of a header. A column that is also an object keeps its dotted name.
func csvTree(names []string) *csvNode {
	root := &csvNode{at: -1}
	for i, name := range names {
		n := root
		segments := strings.Split(name, ".")
		for j, seg := range segments {
			last := j == len(segments)-1
			var next *csvNode
			for _, k := range n.kids {
				if k.name == seg && k.at < 0 && !last {
					next = k
				}
			}
			if next == nil {
				next = &csvNode{name: seg, at: -1}
				if last {
					next.at = i
				}
				n.kids = append(n.kids, next)
			}
			n = next
		}
	}
	return root
}

// append writes the node's value as JSON; false and nothing if it has none.
func (n *csvNode) append(dst []byte, row []string, null string) ([]byte, bool) {
	if n.at >= 0 {
		v := row[n.at]
		if v == "" || null != "" && v == null {
			return dst, false
		}
		return record.AppendQuoted(dst, v), true
	}
	start := len(dst)
	dst = append(dst, '{')
	some := false
	for _, k := range n.kids {
		before := len(dst)
		if some {
			dst = append(dst, ',')
		}
		dst = record.AppendQuoted(dst, k.name)
		dst = append(dst, ':')
		var ok bool
		if dst, ok = k.append(dst, row, null); !ok {
			dst = dst[:before]
			continue
		}
		some = true
	}
	if !some {
		return dst[:start], false
	}
	return append(dst, '}'), true
}
