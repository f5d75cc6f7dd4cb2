package author

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/source/rest"
)

// ProveOptions choose what of a spec is proved. Empty names are the first auth spec and every stream.
type ProveOptions struct {
	AuthSpec string
	Stream   string
	// Params are source parameters to use instead of made-up ones.
	Params map[string]json.RawMessage
	// Only, if not empty, names the situations to run.
	Only []string
	// Tell, if set, is called with each result as soon as it is there.
	Tell func(stream string, r Result)
}

// Outcomes of a situation.
const (
	Passed        = "pass"
	Failed        = "fail"
	NotApplicable = "n/a"
)

// Result is how one situation went.
type Result struct {
	Situation string
	Outcome   string
	Records   int
	Requests  int
	// Note says what went wrong, or why the situation does not apply.
	Note string
}

// Proof is the table of one stream of a spec.
type Proof struct {
	Stream   string // "" for a spec without streams
	AuthSpec string
	Results  []Result
}

// Passed reports whether no situation failed.
func (p *Proof) Passed() bool {
	return !slices.ContainsFunc(p.Results, func(r Result) bool { return r.Outcome == Failed })
}

// Situations lists the situations of a proof.
func Situations() []string {
	out := make([]string, len(situations))
	for i, s := range situations {
		out[i] = s.name
	}
	return out
}

// Prove runs a spec against an upstream that is made from it, in a fixed list of situations: the run must end, give
// every record once and in order, and be polite. Nothing leaves the process and no time is spent waiting. The error is
// for specs that no upstream can be made from.
func Prove(ctx context.Context, spec json.RawMessage, opt ProveOptions) ([]Proof, error) {
	first, err := newSubject(spec, choice{auth: opt.AuthSpec, stream: opt.Stream, params: opt.Params})
	streams := []string{opt.Stream}
	if names := streamNames(spec); opt.Stream == "" && len(names) > 0 {
		streams = names
	} else if err != nil {
		return nil, err
	}
	var out []Proof
	for _, name := range streams {
		s := first
		if s == nil || name != opt.Stream {
			if s, err = newSubject(spec, choice{auth: opt.AuthSpec, stream: name, params: opt.Params}); err != nil {
				return nil, fmt.Errorf("stream %s: %w", name, err)
			}
		}
		p := Proof{Stream: name, AuthSpec: s.gate.name}
		for _, sit := range situations {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(opt.Only) == 0 || slices.Contains(opt.Only, sit.name) {
				r := s.prove(ctx, sit)
				p.Results = append(p.Results, r)
				if opt.Tell != nil {
					opt.Tell(name, r)
				}
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func streamNames(spec json.RawMessage) []string {
	doc, err := parseDocument(spec)
	if err != nil {
		return nil
	}
	s := doc.path("sourceSpec", "attributes", "weir", "streams")
	if s == nil {
		return nil
	}
	return slices.Sorted(slices.Values(s.names))
}

// situation is one line of the table. It returns why it does not apply, or an error if the run was not as it must be.
type situation struct {
	name string
	run  func(ctx context.Context, t *trial) (inapplicable string, err error)
}

// situations are all there are, in the order of the table.
var situations = []situation{
	{"plain", plainRun},
	{"short pages", shortPages},
	{"exact multiple of the page size", exactMultiple},
	{"empty source", emptySource},
	{"duplicate rows", duplicateRows},
	{"repeating page or cursor", repeating},
	{"429 with Retry-After", tooMany},
	{"503 and dropped connections", unavailable},
	{"truncated bodies", truncated},
	{"field drift", drift},
	{"windows meet", windows},
	{"skewed clock of the source", skewed},
	{"wrong credentials", wrongCredentials},
	{"resume from every page", resume},
}

func (s *subject) prove(ctx context.Context, sit situation) Result {
	m, err := s.mirror()
	if err != nil {
		return Result{Situation: sit.name, Outcome: Failed, Note: err.Error()}
	}
	t := &trial{s: s, m: m}
	t.m.rows = s.rows(s.usual())
	srv := httptest.NewUnstartedServer(t.m)
	srv.Config.ErrorLog = quiet
	srv.Start()
	defer srv.Close()
	t.host = srv.Listener.Addr().String()
	why, err := sit.run(ctx, t)
	r := Result{Situation: sit.name, Outcome: Passed, Records: t.records, Requests: len(t.m.calls), Note: why}
	switch {
	case err != nil:
		r.Outcome, r.Note = Failed, err.Error()
	case why != "":
		r.Outcome = NotApplicable
	}
	return r
}

// trial is one situation under way.
type trial struct {
	s       *subject
	m       *mirror
	host    string
	records int
}

// source opens the subject against the mirror, with a client of its own.
func (t *trial) source(ctx context.Context, b weir.Binding) (*rest.Source, error) {
	client := rest.NewClient(nil)
	client.Wrap(func(http.RoundTripper) http.RoundTripper {
		return divert{base: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, host: t.host}
	})
	return rest.Open(ctx, b, rest.Options{
		Client: client, Now: t.m.clock.read, Sleep: t.m.clock.sleep,
		Limits: rest.Limits{Attempts: 5, Backoff: 10 * time.Millisecond, Header: 20 * time.Second, Idle: 20 * time.Second},
	})
}

// maxPages ends a run that does not end itself.
const maxPages = 400

var errEndless = errors.New("the run did not end")

// outcome is what a run gave.
type outcome struct {
	serials     []string
	checkpoints []checkpointAt
	resume      weir.Checkpoint
	warnings    []string
	pages       int
}

// checkpointAt is a checkpoint after so many records.
type checkpointAt struct {
	next    weir.Checkpoint
	records int
}

// read runs the source through a window from a checkpoint.
func (t *trial) read(ctx context.Context, b weir.Binding, w weir.Window, from weir.Checkpoint) (*outcome, error) {
	out := &outcome{}
	src, err := t.source(ctx, b)
	if err != nil {
		return out, err
	}
	var open []string // of the page that is not over
	for c, err := range src.Pages(ctx, w, from) {
		if err != nil {
			return out, err
		}
		if c.Restart {
			*out, open = outcome{warnings: append(out.warnings, c.Warnings...)}, nil
			continue
		}
		serials, err := t.serials(c.Data, c.Records)
		if err != nil {
			return out, err
		}
		open = append(open, serials...)
		if !c.PageEnd {
			continue
		}
		out.serials, open = append(out.serials, open...), nil
		if out.pages++; out.pages > maxPages {
			return out, errEndless
		}
		out.warnings = append(out.warnings, c.Warnings...)
		if c.Next != nil {
			out.checkpoints = append(out.checkpoints, checkpointAt{slices.Clone(c.Next), len(out.serials)})
		}
		if c.Resume != nil {
			out.resume = slices.Clone(c.Resume)
		}
	}
	t.records += len(out.serials)
	return out, ctx.Err()
}

// serials reads what tells the records of a chunk apart, and checks that their values came through unharmed.
func (t *trial) serials(data []byte, records int) ([]string, error) {
	key := regexp.MustCompile(`"` + regexp.QuoteMeta(t.s.own().serialKey()) + `":"([^"]*)"`)
	var out []string
	for line := range strings.Lines(string(data)) {
		g := key.FindStringSubmatch(line)
		if g == nil {
			return nil, fmt.Errorf("a record came through without its serial: %.200s", strings.TrimSpace(line))
		}
		if _, after, ok := strings.Cut(line, `"note":"`); ok && !strings.HasPrefix(after, note(strings.TrimSuffix(strings.TrimSuffix(g[1], ".0"), ".1"))) && !strings.HasPrefix(after, `"`) {
			return nil, fmt.Errorf("a value changed on its way: %.200s", strings.TrimSpace(line))
		}
		out = append(out, g[1])
	}
	if len(out) != records {
		return nil, fmt.Errorf("a chunk has %d lines and says %d records", len(out), records)
	}
	return out, nil
}

// whole is the window of a first run.
func (t *trial) whole() weir.Window { return weir.Window{End: t.s.end} }

// complete runs the subject and demands every record once, in order, and politeness.
func (t *trial) complete(ctx context.Context) (*outcome, error) {
	out, err := t.read(ctx, t.s.binding(), t.whole(), nil)
	if err != nil {
		return out, fmt.Errorf("the run failed: %w", err)
	}
	if err := same(out.serials, t.s.expected(t.m.rows, t.m.parents)); err != nil {
		return out, err
	}
	return out, t.polite()
}

// polite demands that no page was asked for again after it was given, and that nothing was asked for that is not there.
func (t *trial) polite() error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if t.m.unknown > 0 {
		return fmt.Errorf("%d requests went to addresses that the spec does not describe", t.m.unknown)
	}
	allowed := 1
	own := t.s.own()
	for _, l := range t.s.levels[:len(t.s.levels)-1] {
		_, elsewhere := own.asIn[l.as]
		if !slices.Contains(own.open, l.as) && !elsewhere {
			allowed *= max(t.m.parents, len(l.values)) * (1 + len(l.alts))
		}
	}
	if own.split > 0 {
		allowed *= 64
	}
	for id, n := range t.m.given {
		if n > allowed {
			return fmt.Errorf("the page %q was read %d times", id, n)
		}
	}
	return nil
}

// same compares the records of a run with those there are.
func same(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	count := map[string]int{}
	for _, s := range want {
		count[s]++
	}
	for _, s := range got {
		count[s]--
	}
	var missing, extra []string
	for _, s := range want {
		if count[s] > 0 {
			missing = append(missing, s)
			count[s] = 0
		}
	}
	for _, s := range got {
		if count[s] < 0 {
			extra = append(extra, s)
			count[s] = 0
		}
	}
	switch {
	case len(missing)+len(extra) == 0:
		return fmt.Errorf("%d records came in another order", len(got))
	case len(missing) == 0:
		return fmt.Errorf("%d records came more often than they are there, first %s", len(extra), extra[0])
	}
	return fmt.Errorf("%d of %d records are missing, first %s; %d came too often", len(missing), len(want), missing[0], len(extra))
}

// ruled reports whether a rule of the spec decides about a status, so that it is not retried.
func (t *trial) ruled(status int) string {
	for _, r := range t.s.rules() {
		if r.str("do") == "retry" || r.get("text") != nil || r.get("when") != nil {
			continue
		}
		for _, s := range r.get("status").list() {
			text := s.text()
			if text == strconv.Itoa(status) || text == fmt.Sprintf("%dxx", status/100) {
				return fmt.Sprintf("a rule of the spec says %s for %d", r.str("do"), status)
			}
		}
	}
	return ""
}

func (s *subject) rules() []*node {
	a := s.doc.path("sourceSpec", "attributes", "weir")
	if st := a.path("streams", s.stream, "weir", "onResponse"); st != nil {
		return st.list()
	}
	return a.get("onResponse").list()
}
