package fakesource

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// render writes a page in the scenario's format; paging facts that live in headers go to h.
func (srv *Server) render(_ *http.Request, v *view, h http.Header) []byte {
	s := &srv.s
	p := &s.Paging
	if link, ok := v.next.(string); ok && p.Type == "link" {
		h.Set("Link", `<http://unused.example/?a=1,2>; rel="prev last", <`+link+`>; title="x, y"; rel=next`)
	}
	var facts []fact
	add := func(path string, value any) {
		if path == "" {
			return
		}
		if name, ok := strings.CutPrefix(path, "headers."); ok {
			if value != nil {
				h.Set(name, fmt.Sprint(value))
			}
			return
		}
		facts = append(facts, fact{path, value})
	}
	if v.nextKnown && p.Type != "link" && (v.next != nil || p.Null) {
		add(or(p.Next, "next"), v.next)
	}
	add(p.HasMore, v.to < len(v.selected))
	add(p.Total, len(v.selected))
	add(p.Pages, (len(v.selected)+v.size-1)/max(v.size, 1))
	rows := make([][]byte, 0, v.to-v.from)
	for _, i := range v.selected[v.from:v.to] {
		rows = append(rows, s.record(i))
	}
	h.Set("Content-Type", or(s.Type, contentTypes[or(s.Format, "json")]))
	switch s.Format {
	case "ndjson":
		return append(bytes.Join(rows, []byte{'\n'}), '\n')
	case "csv":
		return renderCSV(rows)
	case "xml":
		return renderXML(rows)
	}
	return s.renderJSON(rows, facts)
}

var contentTypes = map[string]string{
	"json": "application/json", "keyed": "application/json", "single": "application/json",
	"ndjson": "application/x-ndjson", "csv": "text/csv", "xml": "application/xml",
}

// fact is a value of the answer at a dotted path.
type fact struct {
	path  string
	value any
}

// renderJSON writes the records inside their members, with Before, After and the paging facts beside them.
func (s *Scenario) renderJSON(rows [][]byte, facts []fact) []byte {
	list := append(append([]byte{'['}, bytes.Join(rows, []byte{','})...), ']')
	switch s.Format {
	case "keyed":
		list = []byte{'{'}
		for i, row := range rows {
			if i > 0 {
				list = append(list, ',')
			}
			list = append(append(list, fmt.Sprintf(`"k%d":`, i)...), row...)
		}
		list = append(list, '}')
	case "single":
		list = []byte("null")
		if len(rows) > 0 {
			list = rows[0]
		}
	}
	if s.Content == "" {
		return list
	}
	names := strings.Split(s.Content, ".")
	inner, outer := placeFacts(facts, strings.Join(names[:len(names)-1], "."))
	var b bytes.Buffer
	for _, n := range names[:len(names)-1] {
		b.WriteString("{" + strconv.Quote(n) + ":")
	}
	b.WriteByte('{')
	if s.Before != "" {
		b.WriteString(s.Before + ",")
	}
	if s.Paging.NextFirst && inner != "" {
		b.WriteString(inner[1:] + ",")
		inner = ""
	}
	b.WriteString(strconv.Quote(names[len(names)-1]) + ":")
	b.Write(list)
	if s.After != "" {
		b.WriteString("," + s.After)
	}
	b.WriteString(inner)
	b.WriteByte('}')
	for i := len(names) - 2; i >= 0; i-- {
		if i == 0 {
			b.WriteString(outer)
			outer = ""
		}
		b.WriteByte('}')
	}
	out := b.Bytes()
	if outer != "" { // one level: outer and inner are the same object
		out = append(append(out[:len(out)-1], outer...), '}')
	}
	return out
}

// placeFacts writes the facts beside the array (inner) and at the root (outer), each after a comma.
func placeFacts(facts []fact, arrayParent string) (inner, outer string) {
	for _, f := range facts {
		parent, name := "", f.path
		if i := strings.LastIndexByte(f.path, '.'); i >= 0 {
			parent, name = f.path[:i], f.path[i+1:]
		}
		raw, err := json.Marshal(f.value)
		if err != nil {
			raw = []byte("null")
		}
		text := strconv.Quote(name) + ":" + string(raw)
		switch parent {
		case arrayParent:
			inner += "," + text
		case "":
			outer += "," + text
		default:
			outer += "," + strconv.Quote(parent) + ":{" + text + "}"
		}
	}
	return inner, outer
}

// columns are the names of flat records, sorted.
func columns(rows [][]byte) ([]string, []map[string]any) {
	seen := map[string]bool{}
	var recs []map[string]any
	for _, row := range rows {
		m := map[string]any{}
		d := json.NewDecoder(bytes.NewReader(row))
		d.UseNumber()
		if d.Decode(&m) != nil {
			continue
		}
		for n := range m {
			seen[n] = true
		}
		recs = append(recs, m)
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, recs
}

func renderCSV(rows [][]byte) []byte {
	names, recs := columns(rows)
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(names)
	for _, r := range recs {
		line := make([]string, len(names))
		for i, n := range names {
			if r[n] != nil {
				line[i] = fmt.Sprint(r[n])
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.Bytes()
}

func renderXML(rows [][]byte) []byte {
	names, recs := columns(rows)
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0"?><result><items>`)
	for _, r := range recs {
		b.WriteString("<item>")
		for _, n := range names {
			b.WriteString("<" + n + ">")
			_ = xml.EscapeText(&b, []byte(fmt.Sprint(r[n])))
			b.WriteString("</" + n + ">")
		}
		b.WriteString("</item>")
	}
	b.WriteString("</items></result>")
	return b.Bytes()
}
