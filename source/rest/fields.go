package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"weir"
)

// fieldRules ask for the fields of the records in several requests, where a source takes only so many names at once.
// Each page is requested once for each share of the names, and its records are put together by their key.
type fieldRules struct {
	Names []string `json:"names"`
	// Param is the name of a source parameter whose list, or text with commas, is the names. With neither, they are those
	// of schemaFrom.
	Param  string   `json:"param"`
	Each   int      `json:"each"`   // names of one request
	Always []string `json:"always"` // names that go into every request
	Key    string   `json:"key"`    // path of what tells records apart
	Inject *inject  `json:"inject"`
	Join   string   `json:"join"` // a comma by default; in the body names are a list without it

	key path
}

const (
	maxFields      = 10_000
	maxFieldShares = 100
	mergeBound     = 128 << 20 // bytes of the records of one page
	mergeTries     = 3
)

func (x *extension) compileFields() (err error) {
	f := x.Fields
	if f == nil {
		return nil
	}
	if f.Each < 1 || f.Key == "" || f.Inject == nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.fields needs each (names of one request), key and inject")
	}
	if len(f.Names) > 0 && f.Param != "" || len(f.Names) == 0 && f.Param == "" && x.SchemaFrom == nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.fields needs names, or param, or else weir.schemaFrom")
	}
	if x.Conditional || x.Answer.Records != "" && x.Answer.Records != "array" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.fields cannot be used together with conditional, nor with answer.records other than array")
	}
	if f.key, err = parsePath(f.Key); err != nil {
		return err
	}
	if len(f.key) == 0 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.fields.key must name a member of the record")
	}
	if f.Inject.Path != "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.fields.inject takes query, header or body")
	}
	return f.Inject.compile("fields.inject")
}

// shares are the names of each request of a page.
func (s *Source) shares(ctx context.Context, p *params, a *attributes) ([][]string, error) {
	f := a.ext.Fields
	if f == nil {
		return nil, nil
	}
	names := f.Names
	switch {
	case f.Param != "":
		list, err := (&partition{Param: f.Param}).list(p)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			names = append(names, paramText(v))
		}
	case len(names) == 0:
		var err error
		if names, err = s.described(ctx, p, a); err != nil {
			return nil, err
		}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" || slices.Contains(f.Always, n) })
	if len(names) == 0 {
		return [][]string{f.Always}, nil
	}
	if len(names) > maxFields || (len(names)+f.Each-1)/f.Each > maxFieldShares {
		return nil, weir.Errorf("CONNECTOR-1312-400", "weir.fields: %d names in shares of %d are more than %d names or %d requests a page", len(names), f.Each, maxFields, maxFieldShares)
	}
	var out [][]string
	for share := range slices.Chunk(names, f.Each) {
		out = append(out, slices.Concat(f.Always, share))
	}
	return out, nil
}

// described are the names of schemaFrom, asked for once unless a parent may have others.
func (s *Source) described(ctx context.Context, p *params, a *attributes) ([]string, error) {
	ask := func() ([]string, error) {
		list, err := s.descriptions(ctx, p, a)
		if err != nil {
			return nil, err
		}
		var names []string
		sc := scanner{buf: list, final: true}
		sc.each(0, func(field []byte) bool {
			if name, _ := scalarText(pluck(field, a.ext.SchemaFrom.name)); name != "" {
				names = append(names, name)
			}
			return true
		})
		return names, nil
	}
	if len(a.ext.Partition) > 0 {
		return ask()
	}
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if s.told.fields == nil {
		names, err := ask()
		if err != nil {
			return nil, err
		}
		s.told.fields = names
	}
	return s.told.fields, nil
}

// ask puts a share of the names into a request, also into the address of a next page.
func (f *fieldRules) ask(r *request, share []string) error {
	if f.Inject.Body != "" && f.Join == "" {
		list := make([]any, len(share))
		for i, n := range share {
			list[i] = n
		}
		return r.inject(f.Inject, list)
	}
	text := strings.Join(share, or(f.Join, ","))
	if r.link != "" && f.Inject.Query != "" {
		link, err := withParam(r.link, f.Inject.Query, text)
		r.link = link
		return err
	}
	return r.inject(f.Inject, text)
}

// withParam sets a query parameter of an address.
func withParam(link, name, value string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", weir.Errorf("CONNECTOR-1308-400", "the next page link is not a valid address")
	}
	r := request{base: (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()}
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		n, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(n); part != "" && (err != nil || plain != name) {
			r.query = append(r.query, queryParam{name: n, raw: part})
		}
	}
	r.query = append(r.query, queryParam{name: name, value: value})
	return r.address(), nil
}

// merger puts the records of a page together from the answers to several requests.
type merger struct {
	rules   *fieldRules
	records []merged
	index   map[string]int
	parts   [][]byte // of the answer that is being read, by record
	first   bool     // the first answer, which says which records there are
	size    int
	missing bool // an answer has a record that the first one has not
}

type merged struct{ pre, rec, post []byte }

// errUneven says that the answers of one page do not hold the same records.
var errUneven = errors.New("uneven")

// begin prepares for an answer, or for another try at it.
func (m *merger) begin(first bool) {
	m.first, m.missing = first, false
	if first {
		m.records, m.index, m.size = m.records[:0], map[string]int{}, 0
		return
	}
	m.parts = make([][]byte, len(m.records))
}

func (m *merger) put(pre, rec, post []byte) error {
	key := pluck(rec, m.rules.key)
	if len(key) == 0 {
		return weir.Errorf("CONNECTOR-1308-400", "a record has no %s, by which weir.fields puts the answers together", m.rules.Key)
	}
	if m.size += len(rec); m.size > mergeBound {
		return weir.Errorf("CONNECTOR-1308-400", "the records of one page are larger than the %d MiB that weir.fields puts together; ask for smaller pages", mergeBound>>20)
	}
	i, known := m.index[string(key)]
	switch {
	case m.first && known:
		return weir.Errorf("CONNECTOR-1308-400", "two records of one page have the same %s, by which weir.fields puts the answers together", m.rules.Key)
	case m.first:
		m.index[string(key)] = len(m.records)
		m.records = append(m.records, merged{bytes.Clone(pre), bytes.Clone(rec), bytes.Clone(post)})
	case !known:
		m.missing = true
	default:
		m.parts[i] = bytes.Clone(rec)
	}
	return nil
}

// end adds what an answer has to the records.
func (m *merger) end() error {
	if m.first {
		return nil
	}
	for i, part := range m.parts {
		if part == nil || m.missing {
			return errUneven
		}
		m.records[i].rec = mergeObjects(m.records[i].rec, part)
	}
	return nil
}

// flush hands the records on.
func (m *merger) flush(put func(pre, rec, post []byte) error) error {
	for i := range m.records {
		if err := put(m.records[i].pre, m.records[i].rec, m.records[i].post); err != nil {
			return err
		}
	}
	m.records = m.records[:0]
	return nil
}

// mergeObjects adds the members of b that a lacks; objects in both are put together likewise.
func mergeObjects(a, b []byte) []byte {
	a = bytes.TrimSpace(a)
	if len(a) == 0 || a[0] != '{' {
		return a
	}
	type member struct{ name, value []byte }
	var all []member
	at := map[string]int{}
	members(a, func(name, value []byte) bool {
		at[string(name)] = len(all)
		all = append(all, member{name, value})
		return true
	})
	members(b, func(name, value []byte) bool {
		i, has := at[string(name)]
		switch {
		case !has:
			all = append(all, member{name, value})
		case value[0] == '{' && all[i].value[0] == '{':
			all[i].value = mergeObjects(all[i].value, value)
		}
		return true
	})
	out := append(make([]byte, 0, len(a)+len(b)), '{')
	for i, m := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.name...), ':'), m.value...)
	}
	return append(out, '}')
}

// paged reads one page in shares: get sends a request and reads its answer into the merger. It begins again if a record
// came or went between the requests.
func (m *merger) paged(shares [][]string, get func(share []string, first bool) error) error {
	for try := 1; ; try++ {
		err := error(nil)
		for i, share := range shares {
			if err = get(share, i == 0); err == nil && i > 0 {
				err = m.end()
			}
			if err != nil || i == 0 && len(m.records) == 0 {
				break
			}
		}
		if !errors.Is(err, errUneven) {
			return err
		}
		if try == mergeTries {
			return weir.Errorf("CONNECTOR-1308-400", "the records of a page changed between the requests for their fields, %d times in a row", try)
		}
	}
}

// loadShares loads a page whose fields are requested in shares.
func (rd *reader) loadShares(ctx context.Context, r *request, emit func(weir.Chunk) error) (l loaded, err error) {
	s, m := rd.s, rd.merge
	rd.sink.next()
	rd.bytes = 0
	err = m.paged(rd.plan.shares, func(share []string, first bool) error {
		own := r.clone()
		if err := rd.plan.def.ext.Fields.ask(own, share); err != nil {
			return err
		}
		rd.bytes -= rd.cut.read // told together with the page
		return s.fetch(ctx, own, func(resp *response) error {
			m.begin(first)
			a, err := rd.read(resp)
			if first {
				l.url, l.answer = s.mask.url(resp.Request.URL), a.keep()
			}
			return err
		})
	})
	if errors.Is(err, errIgnored) {
		l.answer, m.records, err = nil, nil, nil
	}
	rd.sink.emit = func(data []byte, records int) error {
		return emit(weir.Chunk{Data: data, Records: records, Bytes: rd.fresh(), URL: l.url})
	}
	if err == nil {
		err = m.flush(rd.refine.put)
	}
	rd.sink.close()
	l.found, l.sum, l.started = rd.cut.found, rd.sink.sum, len(rd.sink.sent) > 0
	if rd.lead && !l.found {
		l.absent = rd.cut.absent()
	}
	return l, err
}

// keep makes an answer independent of the buffers that the next one is read into.
func (a *answer) keep() *answer {
	if a == nil {
		return nil
	}
	own := *a
	own.first, own.last = bytes.Clone(a.first), bytes.Clone(a.last)
	own.values = map[string]json.RawMessage{}
	for name, v := range a.values {
		own.values[name] = bytes.Clone(v)
	}
	return &own
}
