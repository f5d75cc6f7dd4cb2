// Package fakesource is an upstream with every pagination, auth and failure mode, as an http.Handler: the other side
// of the REST engine in tests and in the demo. A [Scenario] says what it serves and how it misbehaves.
package fakesource

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Scenario describes one upstream. It can be written in Go or read from JSON. The zero value serves nothing at any path.
type Scenario struct {
	// Path of the resource; "" answers every path that is no other endpoint.
	Path string `json:"path,omitempty"`
	// Records is how many records there are. Record makes record i (from 0) as one JSON value; nil makes
	// {"id":i,"name":"record i","updated_at":…}. Data, if set, are the records themselves.
	Records int                `json:"records,omitempty"`
	Record  func(i int) []byte `json:"-"`
	Data    []json.RawMessage  `json:"data,omitempty"`
	// Content is the dotted path of the member that holds the array; "" puts the array at the root.
	Content string `json:"content,omitempty"`
	// Before and After are members (without braces) that stand beside the array.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Format is json (default), ndjson, csv, xml, keyed (an object from id to record) or single (one object per answer).
	Format string `json:"format,omitempty"`
	// Type is the Content-Type; "" is the usual one of the format.
	Type string `json:"type,omitempty"`
	Gzip bool   `json:"gzip,omitempty"`
	// Since and Until name parameters that select by updated_at (RFC 3339 or epoch seconds).
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`

	Paging Paging  `json:"paging"`
	Auth   Auth    `json:"auth"`
	Faults []Fault `json:"faults,omitempty"`

	// Now is the clock of token lifetimes; nil is the real one.
	Now func() time.Time `json:"-"`
}

// Paging is how the resource is paged.
type Paging struct {
	// Type is none, offset, page, token, pointer, link (Link header) or key (records after the last id sent).
	Type string `json:"type,omitempty"`
	// Parameter names; the defaults are limit, offset, page, cursor and after.
	Limit  string `json:"limit,omitempty"`
	Offset string `json:"offset,omitempty"`
	Page   string `json:"page,omitempty"`
	Token  string `json:"token,omitempty"`
	// TokenIn is query (default), header or body (Token is then a dotted path; it holds an offset too).
	TokenIn string `json:"tokenIn,omitempty"`
	// Size is the page size without a limit parameter (100); Max bounds it.
	Size int `json:"size,omitempty"`
	Max  int `json:"max,omitempty"`
	// First is the index of the first page, or the first offset.
	First int `json:"first,omitempty"`
	// Next is the dotted path, or headers.<name>, of the token or link in the answer (next).
	Next      string `json:"next,omitempty"`
	NextFirst bool   `json:"nextFirst,omitempty"` // it stands before the array
	Relative  bool   `json:"relative,omitempty"`
	Null      bool   `json:"null,omitempty"` // the last page says null instead of leaving it out
	// HasMore, Total and Pages are dotted paths, or headers.<name>, of a flag, the record count and the page count.
	HasMore string `json:"hasMore,omitempty"`
	Total   string `json:"total,omitempty"`
	Pages   string `json:"pages,omitempty"`
	// Kind of token: text (default, with awkward characters), int, object.
	Kind string `json:"kind,omitempty"`

	// EmptyEvery makes every nth answer an empty page with a live cursor before it goes on.
	EmptyEvery int `json:"emptyEvery,omitempty"`
	// Repeat ends a token loop with an empty page that repeats the token sent.
	Repeat bool `json:"repeat,omitempty"`
	// Cycle goes back to the first page after so many pages, for ever.
	Cycle int `json:"cycle,omitempty"`
	// Same ignores the paging parameters.
	Same bool `json:"same,omitempty"`
	// EmptyLast names a next page on the last page with records; that one is empty.
	EmptyLast bool `json:"emptyLast,omitempty"`
	// Cap refuses offsets beyond it with 400 (a record cap).
	Cap int `json:"cap,omitempty"`
}

// Auth is what the upstream demands.
type Auth struct {
	// Type is none, bearer, basic, header, query, cookie, body, oauth (bearer from /token) or session (raw token from /login).
	Type string `json:"type,omitempty"`
	// Name of the key; Value is the key or the first bearer token; User and Password are for basic, oauth (client) and session.
	Name     string `json:"name,omitempty"`
	Value    string `json:"value,omitempty"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Refresh is the first refresh token of oauth. Each works once and is replaced.
	Refresh string `json:"refresh,omitempty"`
	// Life of a token in seconds; 0 is for ever.
	Life int `json:"life,omitempty"`
	// Fields rename access_token, refresh_token, expires_in, client_id and client_secret.
	Fields map[string]string `json:"fields,omitempty"`
	// Quiet answers a wrong credential with 200 and no records.
	Quiet bool `json:"quiet,omitempty"`
}

// Fault is a failure of one or several requests to the resource.
type Fault struct {
	// Request is the first request it hits, from 1; Times how many from there (1); Every repeats it at each nth request.
	Request int `json:"request,omitempty"`
	Times   int `json:"times,omitempty"`
	Every   int `json:"every,omitempty"`
	// Kind is status, cut (half the body), drop (no answer), hang (no headers), stall (half the body, then nothing),
	// html, latin1, length (says more than it sends), empty, redirect, bomb (gzip of blanks), json (bad syntax), close
	// (half the body, then a clean end without a length).
	Kind       string `json:"kind"`
	Status     int    `json:"status,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
	To         string `json:"to,omitempty"` // redirect
	Body       string `json:"body,omitempty"`
}

func (f *Fault) hits(n int) bool {
	if f.Every > 0 && n%f.Every == 0 {
		return true
	}
	return f.Request > 0 && n >= f.Request && n < f.Request+max(f.Times, 1)
}

// Parse reads a scenario from JSON.
func Parse(raw []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	return s, err
}

// Lines reads records from NDJSON.
func Lines(r io.Reader) ([]json.RawMessage, error) {
	var out []json.RawMessage
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
			if !json.Valid(line) {
				return nil, fmt.Errorf("line %d is not JSON", len(out)+1)
			}
			out = append(out, bytes.Clone(line))
		}
	}
	return out, s.Err()
}

// epoch is the updated_at of record 0; each further record is a minute later.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *Scenario) count() int {
	if s.Data != nil {
		return len(s.Data)
	}
	return s.Records
}

func (s *Scenario) record(i int) []byte {
	switch {
	case s.Data != nil:
		return s.Data[i]
	case s.Record != nil:
		return s.Record(i)
	}
	return fmt.Appendf(nil, `{"id":%d,"name":"record %d","updated_at":%q}`, i, i, epoch.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
}

// updated is updated_at of record i.
func (s *Scenario) updated(i int) time.Time {
	var r struct {
		At string `json:"updated_at"`
	}
	if json.Unmarshal(s.record(i), &r) != nil {
		return time.Time{}
	}
	return readTime(r.At)
}

func readTime(text string) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
