package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"weir"
)

// extension is sourceSpec.attributes.weir: what the vendor's attributes cannot say (docs/rest-extension.md, with the
// published schema specs/weir-extension.schema.json). A spec without it behaves exactly as the contract says.
type extension struct {
	Paging     *pagingRules               `json:"paging"`
	Body       *bodyRules                 `json:"body"`
	Answer     answerRules                `json:"answer"`
	OnResponse []responseRule             `json:"onResponse"`
	Backoff    *backoffRules              `json:"backoff"`
	Budget     *budgetRules               `json:"budget"`
	Streams    map[string]json.RawMessage `json:"streams"`
	Partition  []partition                `json:"partition"`
	Cursor     *cursorRules               `json:"cursor"`
	Split      *splitRules                `json:"split"`
	Filter     string                     `json:"filter"`
	Deleted    string                     `json:"deleted"`
	Check      *checkRules                `json:"check"`
	Job        *jobRules                  `json:"job"`
	SchemaFrom *schemaRules               `json:"schemaFrom"`
	Explode    string                     `json:"explodeEmpty"` // drop (default) or keep
	Retention  *retentionRules            `json:"retention"`
	Fields     *fieldRules                `json:"fields"`
	Deletes    *deleteRules               `json:"deletes"`
	// Conditional asks for the first page only if it has changed since the run before.
	Conditional bool              `json:"conditional"`
	Prepare     []prepareRule     `json:"prepare"`
	Key         []string          `json:"key"` // paths of the members that tell the records apart
	Let         map[string]string `json:"let"` // ${placeholders} that are computed: expressions over params and window

	filter, deleted *expression
	key             []path
	let             []letRule
}

// inject says where a value goes into a request: exactly one of the members is set.
type inject struct {
	Query  string `json:"query"`
	Header string `json:"header"`
	Body   string `json:"body"` // a path, such as $.variables.after
	Path   string `json:"path"` // the name of a ${placeholder} in urlParams.path

	body path
}

// pagingRules extend paginationParams.
type pagingRules struct {
	Type    string          `json:"type"`   // LINK or NEXT; else paginationParams decides
	Rel     string          `json:"rel"`    // of LINK: next
	Next    string          `json:"next"`   // of NEXT: an expression, null or "" is the end
	Is      string          `json:"is"`     // of NEXT: token (default), url or path
	First   json.RawMessage `json:"first"`  // of NEXT: the position of the first page
	Inject  *inject         `json:"inject"` // where offset, page or token goes
	Limit   *limitAt        `json:"limit"`
	Stop    string          `json:"stop"`
	HasMore string          `json:"hasMore"`
	Total   string          `json:"total"`
	Counts  string          `json:"counts"` // of total: records (default) or pages
	Empty   bool            `json:"empty"`  // an empty page ends it
	Maximum int             `json:"maximum"`
	Delay   int             `json:"delayMillis"`
	// Parallel is how many pages of OFFSET and PAGE are fetched at once.
	Parallel int  `json:"parallel"`
	Keep     bool `json:"keep"` // the position is kept for the next run (a change feed)

	next, stop *expression
	hasMore    *place
	total      *place
}

// limitAt is a page size that goes elsewhere than the query.
type limitAt struct {
	inject
	Value int `json:"value"`
}

// place is a path of the body or headers.<name>.
type place struct {
	header string
	path   path
}

func parsePlace(where, text string) (*place, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // not set
	}
	if isHeader(text) {
		return &place{header: text[8:]}, nil
	}
	p, err := parsePath(text)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, weir.Errorf("CONNECTOR-1312-400", "%s must name a member or headers.<name>", where)
	}
	return &place{path: p}, nil
}

// text is the value at the place; ok is false if there is none.
func (p *place) text(a *answer) (text string, ok bool) {
	if p.header != "" {
		v := a.header.Values(p.header)
		if len(v) == 0 {
			return "", false
		}
		return strings.TrimSpace(v[0]), true
	}
	raw := a.value(p.path)
	return paramText(raw), len(raw) > 0
}

// answerRules say how to read an answer's body.
type answerRules struct {
	// Decode lists the layers from the outside in: gzip, deflate, zip, then one of json (default), ndjson, csv, xml.
	Decode   []string `json:"decode"`
	Encoding string   `json:"encoding"` // a charset label; utf-8 by default
	CSV      csvRules `json:"csv"`
	XML      xmlRules `json:"xml"`
	// Records is array (default), single (one object is one record) or keyed (an object from key to record).
	Records string `json:"records"`
	KeyAs   string `json:"keyAs"` // of keyed: the member that takes the key
}

// responseRule decides about answers; the first that matches counts.
type responseRule struct {
	Status  json.RawMessage `json:"status"` // 404, "5xx" or a list of them
	Text    string          `json:"text"`   // a regular expression on the body of a refusal
	When    string          `json:"when"`   // an expression over the answer
	Do      string          `json:"do"`     // fail, retry, ignore, refresh, reset
	Message string          `json:"message"`
	// Wait, of retry and refresh, is how long to wait, in place of backoff: its seconds, or what its header tells.
	Wait *backoffRules `json:"wait"`

	statuses []statusRange
	match    matcher
	when     *expression
}

type matcher interface{ Match(b []byte) bool }

type statusRange struct{ from, to int }

// backoffRules say how long to wait before another try.
type backoffRules struct {
	Kind    string  `json:"kind"` // exponential (default), constant
	Seconds float64 `json:"seconds"`
	Max     float64 `json:"maxSeconds"`
	Min     float64 `json:"minSeconds"` // of what the header tells
	Retries int     `json:"retries"`
	Header  string  `json:"header"` // that tells when to come again, besides Retry-After
	Form    string  `json:"form"`   // of the header: seconds (default), millis, epoch, epochMillis, date
	Match   string  `json:"match"`  // a regular expression whose first group is the value

	match finder
}

type finder interface{ FindStringSubmatch(s string) []string }

// budgetRules bound the rate of requests, shared by all sources that talk to the same host with the same credentials.
type budgetRules struct {
	Requests  int     `json:"requests"`
	Seconds   float64 `json:"seconds"`
	Per       string  `json:"per"`       // credentials (default), host, or token of several tokens
	Remaining string  `json:"remaining"` // header with the calls left; at 0 the next one waits for reset
	Reset     string  `json:"reset"`     // header that tells when the budget is full again
	Form      string  `json:"form"`      // of reset: seconds (default), millis, epoch, epochMillis, date
}

// cursorRules read incrementally by a field of the records.
type cursorRules struct {
	Field    string    `json:"field"`  // path in the record
	Format   string    `json:"format"` // of the field: "" (ISO 8601), epoch, epochMillis
	Lookback string    `json:"lookback"`
	Step     string    `json:"step"`   // the window is read in slices of this length
	Start    string    `json:"start"`  // where a backfill begins: a time, ${parameter}, or -P30D before the window's end
	Floor    string    `json:"floor"`  // no window begins before it; in the same forms
	End      string    `json:"end"`    // no window ends after it; in the same forms
	Delay    string    `json:"delay"`  // both bounds are moved back by this length
	Filter   bool      `json:"filter"` // drop records outside the window here
	Align    string    `json:"align"`  // the window's bounds are moved back to whole units of this length
	Inject   *windowAt `json:"inject"`

	field              path
	step               time.Duration // a lower bound of the step
	align              time.Duration
	months             int // of align
	back, stride, late span
}

// windowAt puts the window's bounds elsewhere than scheduleParams can.
type windowAt struct {
	Start  *inject `json:"start"`
	End    *inject `json:"end"`
	Format string  `json:"format"`
	// Closed is taken off the end, for sources that count the end itself in.
	Closed string `json:"closed"`

	closed time.Duration
}

// splitRules halve a window whose total is above what the source hands out.
type splitRules struct {
	Above int64 `json:"above"`
}

// checkRules tell good credentials from bad where the status does not.
type checkRules struct {
	Path    string `json:"path"`   // requested instead of the resource
	Stream  string `json:"stream"` // one of streams, when a connection is tested without one
	Status  int    `json:"status"`
	Records int    `json:"records"` // at least so many at contentPath
	When    string `json:"when"`    // an expression that must hold

	when *expression
}

// parseExtension reads and compiles attributes.weir. Everything that can be wrong is found here, when a spec is saved.
func parseExtension(raw json.RawMessage) (*extension, error) {
	x := &extension{}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return x, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(x); err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "attributes.weir cannot be read: %w", err)
	}
	for _, step := range []func() error{x.compilePaging, x.compileRules, x.compileRecords, x.compileParts, x.compileJob, x.compileSchema, x.compileVersions, x.compileFields, x.compilePrepare, x.compileKey, x.compileDeletes, x.compileLet} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// exprAt is an expression member to compile.
type exprAt struct {
	where, text string
	in          scope
	want        *cel.Type
	to          **expression
}

func compileAll(list []exprAt) error {
	for _, l := range list {
		if l.text == "" {
			continue
		}
		x, err := compileExpr("weir."+l.where, l.text, l.in, l.want)
		if err != nil {
			return err
		}
		*l.to = x
	}
	return nil
}

func (x *extension) compilePaging() error {
	p := x.Paging
	if p == nil {
		return nil
	}
	if err := oneOf("paging.type", p.Type, "", "LINK", "NEXT"); err != nil {
		return err
	}
	if err := oneOf("paging.is", p.Is, "", "token", "url", "path"); err != nil {
		return err
	}
	if err := oneOf("paging.counts", p.Counts, "", "records", "pages"); err != nil {
		return err
	}
	if p.Parallel < 0 || p.Parallel > maxParallel {
		return weir.Errorf("CONNECTOR-1312-400", "weir.paging.parallel must be 1 to %d", maxParallel)
	}
	if p.Type == "NEXT" && p.Next == "" {
		return weir.Errorf("CONNECTOR-1316-400", "weir.paging of type NEXT needs next")
	}
	if p.Type == "NEXT" && (p.Is == "" || p.Is == "token") && p.Inject == nil {
		return weir.Errorf("CONNECTOR-1316-400", "weir.paging of type NEXT needs inject, which says where the token goes")
	}
	for where, in := range map[string]*inject{"paging.inject": p.Inject, "paging.limit": p.limitInject()} {
		if err := in.compile(where); err != nil {
			return err
		}
	}
	var err error
	if p.hasMore, err = parsePlace("weir.paging.hasMore", p.HasMore); err != nil {
		return err
	}
	if p.total, err = parsePlace("weir.paging.total", p.Total); err != nil {
		return err
	}
	return compileAll([]exprAt{{"paging.next", p.Next, onPage, nil, &p.next}, {"paging.stop", p.Stop, onPage, cel.BoolType, &p.stop}})
}

func (p *pagingRules) limitInject() *inject {
	if p.Limit == nil {
		return nil
	}
	return &p.Limit.inject
}

// compile checks that exactly one place is named.
func (in *inject) compile(where string) error {
	if in == nil {
		return nil
	}
	n := 0
	for _, s := range []string{in.Query, in.Header, in.Body, in.Path} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s needs exactly one of query, header, body, path", where)
	}
	if in.Body == "" {
		return nil
	}
	var err error
	if in.body, err = parsePath(in.Body); err != nil {
		return err
	}
	for _, st := range in.body {
		if st.kind == every {
			return weir.Errorf("CONNECTOR-1314-400", "weir.%s.body %s may not hold [*]", where, in.Body)
		}
	}
	if len(in.body) == 0 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.%s.body must name a member", where)
	}
	return nil
}

func (x *extension) compileRecords() error {
	if err := oneOf("answer.records", x.Answer.Records, "", "array", "single", "keyed"); err != nil {
		return err
	}
	if err := oneOf("explodeEmpty", x.Explode, "", "drop", "keep"); err != nil {
		return err
	}
	if err := x.Answer.compile(); err != nil {
		return err
	}
	if c := x.Cursor; c != nil {
		if err := c.compile(); err != nil {
			return err
		}
	}
	if x.Split != nil && (x.Split.Above <= 0 || x.Paging == nil || x.Paging.Total == "") {
		return weir.Errorf("CONNECTOR-1312-400", "weir.split needs above, and paging.total to compare it with")
	}
	return compileAll([]exprAt{{"filter", x.Filter, onRecord, cel.BoolType, &x.filter}, {"deleted", x.Deleted, onRecord, cel.BoolType, &x.deleted}})
}

func (c *cursorRules) compile() (err error) {
	if c.Field != "" {
		if c.field, err = parsePath(c.Field); err != nil {
			return err
		}
	}
	if c.Filter && len(c.field) == 0 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.cursor.filter needs field")
	}
	if err := c.compileTimes(); err != nil {
		return err
	}
	if c.step > 0 && c.step < time.Second {
		return weir.Errorf("CONNECTOR-1312-400", "weir.cursor.step must be at least a second")
	}
	if c.Inject == nil {
		return nil
	}
	if c.Inject.closed, err = parseDuration(c.Inject.Closed); err != nil {
		return weir.Errorf("CONNECTOR-1312-400", "weir.cursor.inject.closed: %w", err)
	}
	if err := c.Inject.Start.compile("cursor.inject.start"); err != nil {
		return err
	}
	return c.Inject.End.compile("cursor.inject.end")
}

// parseDuration reads an ISO 8601 duration without months and years (P7D, PT1H30M), or a Go one (90m).
func parseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if text[0] != 'P' {
		d, err := time.ParseDuration(text)
		if err == nil && d < 0 {
			err = fmt.Errorf("%q is negative", text)
		}
		return d, err
	}
	date, clock, _ := strings.Cut(text[1:], "T")
	var total time.Duration
	for _, part := range []struct {
		text  string
		units map[byte]time.Duration
	}{
		{date, map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}},
		{clock, map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}},
	} {
		n, digits := 0, 0
		for i := range len(part.text) {
			c := part.text[i]
			if c >= '0' && c <= '9' && digits < 9 {
				n, digits = n*10+int(c-'0'), digits+1
				continue
			}
			unit, ok := part.units[c]
			if !ok || digits == 0 {
				return 0, fmt.Errorf("%q is not a duration like P7D or PT1H30M", text)
			}
			total += time.Duration(n) * unit
			n, digits = 0, 0
		}
		if digits > 0 {
			return 0, fmt.Errorf("%q is not a duration like P7D or PT1H30M", text)
		}
	}
	return total, nil
}

func oneOf(where, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return weir.Errorf("CONNECTOR-1312-400", "weir.%s %q is not one of %s", where, got, strings.Trim(strings.Join(allowed, ", "), ", "))
}
