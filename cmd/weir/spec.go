package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"weir"
	"weir/author"
)

// specCmd are the tools for people who write connection specs.
type specCmd struct {
	Check specCheckCmd `cmd:"" help:"Validate a connection spec."`
	Try   specTryCmd   `cmd:"" help:"Read the first pages of a spec's source and show every request."`
	Prove specProveCmd `cmd:"" help:"Run a spec against an upstream made from it, in every bad situation there is."`

	Docs   specDocsCmd   `cmd:"" help:"Write a documentation page of a spec in Markdown."`
	Import specImportCmd `cmd:"" help:"Make a connection spec of an OpenAPI document, a curl command, a Postman collection or an Airbyte manifest."`
}

// specCheckCmd validates a spec.
type specCheckCmd struct {
	File  string `arg:"" help:"Connection spec (JSON file)." type:"existingfile"`
	JSON  bool   `help:"Print the findings as JSON."`
	Color string `help:"Colour: auto, always or never." enum:"auto,always,never" default:"auto"`
}

// Help is the long text of weir spec check --help.
func (specCheckCmd) Help() string {
	return "Prints one line per finding: line, JSON pointer, what is wrong. Ends with exit code 2 if there are faults; warnings alone are fine."
}

// Run prints the findings.
func (c *specCheckCmd) Run(a *app) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	faults := author.Check(raw)
	wrong := 0
	for _, f := range faults {
		if !f.Warning {
			wrong++
		}
	}
	if c.JSON {
		out, err := json.MarshalIndent(append([]author.Fault{}, faults...), "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, string(out))
	} else {
		c.show(newPainter(a, c.Color), faults)
	}
	summary := fmt.Sprintf("%s: %s, %s", c.File, count(wrong, "fault"), count(len(faults)-wrong, "warning"))
	if wrong > 0 {
		fmt.Fprintln(a.stderr, summary)
		return exitError(2)
	}
	if !c.JSON {
		fmt.Fprintln(a.stdout, summary)
	}
	return nil
}

// show prints the findings as a table.
func (c *specCheckCmd) show(p *painter, faults []author.Fault) {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range faults {
		fmt.Fprintf(t, "%s:%d\t%s\t%s\t%s\t%s\n", c.File, f.Line, map[bool]string{true: "warning", false: "fault"}[f.Warning], f.Code, orDash(f.Pointer), oneLine(f.Message))
	}
	_ = t.Flush() // into a buffer
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, f := range faults {
		p.line(map[bool]string{true: "33", false: "31"}[f.Warning], lines[i])
	}
}

// count words a number of things.
func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// specTryCmd tries a spec against its source.
type specTryCmd struct {
	File     string            `arg:"" help:"Connection spec (JSON file)." type:"existingfile"`
	Param    map[string]string `help:"Source parameter; repeat for more." placeholder:"NAME=VALUE" mapsep:"none"`
	Auth     map[string]string `help:"Auth parameter; repeat for more. VALUE may be @FILE." placeholder:"NAME=VALUE" mapsep:"none"`
	AuthSpec string            `help:"Name of the auth spec; the first one if left out." placeholder:"NAME"`
	Host     string            `help:"Address to use instead of the spec's host." placeholder:"URL"`
	Pages    int               `help:"Pages to read at most." default:"3"`
	Records  int               `help:"Records to show." default:"3"`
	Since    time.Time         `help:"Start of the window; none reads a backfill." placeholder:"TIME"`
	Bodies   bool              `help:"Show the beginning of the answers' bodies too."`
	Private  []string          `name:"allow-private-sources" help:"Private networks that may be read." placeholder:"CIDR"`
	Color    string            `help:"Colour: auto, always or never." enum:"auto,always,never" default:"auto"`
}

// Help is the long text of weir spec try --help.
func (specTryCmd) Help() string {
	return "Shows each request with its headers (secrets masked), what the paging decided after each page, the first records and the schema inferred from them."
}

// Run reads and shows.
func (c *specTryCmd) Run(a *app) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	opt := author.TryOptions{AuthSpec: c.AuthSpec, Host: c.Host, Pages: c.Pages, Records: c.Records, Window: weir.Window{Start: c.Since}}
	if opt.Params, err = values(c.Param); err != nil {
		return err
	}
	if opt.Auth, err = values(c.Auth); err != nil {
		return err
	}
	for _, text := range c.Private {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--allow-private-sources: %w", err)
		}
		opt.Allow = append(opt.Allow, p)
	}
	p := newPainter(a, c.Color)
	got, err := author.Try(a.ctx, raw, opt, func(e author.Event) { c.show(p, e) })
	if got != nil && got.Pages > 0 {
		if len(got.First) > 0 {
			p.line("1", fmt.Sprintf("first records (%d of %d)", len(got.First), got.Records))
		}
		for _, r := range got.First {
			p.line("2", "  "+clip(string(r), 2000))
		}
		if got.Schema != nil {
			var b bytes.Buffer
			if json.Indent(&b, got.Schema, "", "  ") == nil {
				p.line("1", "schema")
				p.line("", b.String())
			}
		}
		more := "all of them"
		if got.More {
			more = "there are more"
		}
		p.line("1", fmt.Sprintf("%s on %s with %s; %s", count(got.Records, "record"), count(got.Pages, "page"), count(got.Requests, "request"), more))
	}
	return err
}

// values turns flag values into JSON: JSON stays what it is where it is an object or a list, everything else is text.
func values(in map[string]string) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for name, v := range in {
		if file, ok := strings.CutPrefix(v, "@"); ok {
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			v = strings.TrimRight(string(raw), "\n")
		}
		if strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
			if !json.Valid([]byte(v)) {
				return nil, fmt.Errorf("the value of %s is not valid JSON", name)
			}
			out[name] = json.RawMessage(v)
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[name] = raw
	}
	return out, nil
}

// show prints one event.
func (c *specTryCmd) show(p *painter, e author.Event) {
	switch {
	case e.Exchange != nil:
		x := e.Exchange
		p.line("1;36", x.Method+" "+x.URL)
		for _, h := range author.HeaderLines(x.Header) {
			p.line("2", "  "+h)
		}
		if x.Body != "" {
			p.line("", "  "+clip(x.Body, 2000))
		}
		if x.Err != "" {
			p.line("31", "  no answer: "+x.Err)
			return
		}
		color := "32"
		if x.Status >= 400 {
			color = "31"
		}
		p.line(color, fmt.Sprintf("  %d after %s, %s", x.Status, x.Took.Round(time.Millisecond), orDash(x.Answer.Get("Content-Type"))))
		if c.Bodies || x.Status >= 400 {
			p.line("2", "  "+clip(x.AnswerBody, 2000))
		}
	case e.Page != nil:
		p.line("33", fmt.Sprintf("page %d: %s; %s", e.Page.Number, count(e.Page.Records, "record"), e.Page.Decision))
		for _, w := range e.Page.Warnings {
			p.line("31", "  warning: "+w)
		}
	default:
		p.line("2", "  waiting "+e.Wait.Round(time.Millisecond).String())
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// painter writes lines, coloured in a terminal.
type painter struct {
	out   io.Writer
	color bool
}

// newPainter paints standard output: by itself in a terminal, unless NO_COLOR is set.
func newPainter(a *app, color string) *painter {
	return &painter{out: a.stdout, color: color == "always" || color == "auto" && terminal(a.stdout) && a.environ("NO_COLOR") == ""}
}

func (p *painter) line(color, text string) {
	if p.color && color != "" {
		text = "\x1b[" + color + "m" + text + "\x1b[0m"
	}
	fmt.Fprintln(p.out, text)
}

// terminal reports whether w shows text to a person.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// specProveCmd proves a spec.
type specProveCmd struct {
	File     string            `arg:"" help:"Connection spec (JSON file)." type:"existingfile"`
	AuthSpec string            `help:"Name of the auth spec; the first one if left out." placeholder:"NAME"`
	Stream   string            `help:"Stream of a spec with several; all of them if left out." placeholder:"NAME"`
	Param    map[string]string `help:"Source parameter to use instead of a made-up one." placeholder:"NAME=VALUE" mapsep:"none"`
	JSON     bool              `help:"Print the results as JSON."`
	Color    string            `help:"Colour: auto, always or never." enum:"auto,always,never" default:"auto"`
}

// Help is the long text of weir spec prove --help.
func (specProveCmd) Help() string {
	return "Makes an upstream from the spec, with its paging, format and credentials, and runs the spec against it in a fixed list of situations. Each run must end, give every record once, and be polite. " +
		"Nothing leaves this machine. Ends with exit code 1 if a situation failed."
}

// Run prints the table.
func (c *specProveCmd) Run(a *app) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	params, err := values(c.Param)
	if err != nil {
		return err
	}
	opt := author.ProveOptions{AuthSpec: c.AuthSpec, Stream: c.Stream, Params: params}
	p := newPainter(a, c.Color)
	if !c.JSON {
		stream := ""
		opt.Tell = func(name string, r author.Result) {
			if name != stream {
				stream = name
				p.line("1", name)
			}
			showResult(p, r)
		}
	}
	proofs, err := author.Prove(a.ctx, raw, opt)
	if _, ok := errors.AsType[*weir.Error](err); ok {
		return fmt.Errorf("no upstream can be made from %s: %w", c.File, err)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		out, err := json.MarshalIndent(proofs, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, string(out))
	}
	tally := map[string]int{}
	for _, proof := range proofs {
		for _, r := range proof.Results {
			tally[r.Outcome]++
		}
	}
	if !c.JSON {
		p.line("1", fmt.Sprintf("%d passed, %d failed, %d do not apply", tally[author.Passed], tally[author.Failed], tally[author.NotApplicable]))
	}
	if tally[author.Failed] > 0 {
		return exitError(1)
	}
	return nil
}

// showResult prints one situation as soon as it is over.
func showResult(p *painter, r author.Result) {
	mark, color := "✓", "32"
	switch r.Outcome {
	case author.Failed:
		mark, color = "✗", "31"
	case author.NotApplicable:
		mark, color = "–", "2"
	}
	text := fmt.Sprintf("%s %-34s %7d records %5d requests  %s", mark, r.Situation, r.Records, r.Requests, oneLine(r.Note))
	p.line(color, strings.TrimRight(text, " "))
}

// specImportCmd makes a spec of another form.
type specImportCmd struct {
	From      string   `arg:"" help:"Form of the file: openapi, curl, postman or airbyte." enum:"openapi,curl,postman,airbyte"`
	File      string   `arg:"" help:"OpenAPI 3 document, text of a curl command, Postman collection v2.1, or declarative manifest.yaml; - reads standard input."`
	Out       string   `short:"o" help:"File for the spec; standard output if left out." placeholder:"FILE"`
	Path      []string `help:"OpenAPI: path to take, as it stands in the document; repeat for more." placeholder:"PATH"`
	Operation []string `help:"OpenAPI: operationId to take; repeat for more." placeholder:"ID"`
}

// Help is the long text of weir spec import --help.
func (specImportCmd) Help() string {
	return "Writes the spec, and on standard error the report: a line for every construct that was not carried over as it was (loss), and for what nothing is missing without (note). Check the spec with weir spec check and weir spec prove."
}

// Run imports one file.
func (c *specImportCmd) Run(a *app) error {
	var raw []byte
	var err error
	if c.File == "-" {
		raw, err = io.ReadAll(a.stdin)
	} else {
		raw, err = os.ReadFile(c.File)
	}
	if err != nil {
		return err
	}
	var got *author.Import
	switch c.From {
	case "openapi":
		got, err = author.ImportOpenAPI(raw, author.OpenAPIOptions{Paths: c.Path, Operations: c.Operation})
	case "curl":
		got, err = author.ImportCurl(raw)
	case "postman":
		got, err = author.ImportPostman(raw)
	default:
		got, err = author.ImportAirbyte(raw)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	c.report(a, "loss", got.Losses)
	c.report(a, "note", got.Notes)
	if len(got.Losses) == 0 {
		fmt.Fprintf(a.stderr, "%s: everything was carried over; %s\n", c.File, count(len(got.Notes), "note"))
	} else {
		fmt.Fprintf(a.stderr, "%s: %d not carried over as it was; %s\n", c.File, len(got.Losses), count(len(got.Notes), "note"))
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, got.Spec, 0o644) //nolint:gosec // a spec holds no secrets
	}
	_, err = a.stdout.Write(got.Spec)
	return err
}

// report prints what was not carried over, or is noted, a line for each.
func (c *specImportCmd) report(a *app, kind string, list []author.Loss) {
	for _, l := range list {
		fmt.Fprintf(a.stderr, "%s:%d: %s: %s  %s: %s\n", c.File, l.Line, kind, orDash(l.Pointer), l.Construct, oneLine(l.Reason))
	}
}

// specDocsCmd writes a documentation page.
type specDocsCmd struct {
	File string `arg:"" help:"Connection spec (JSON file)." type:"existingfile"`
	Out  string `short:"o" help:"File for the page; standard output if left out." placeholder:"FILE"`
}

// Run writes the page.
func (c *specDocsCmd) Run(a *app) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	page, err := author.Docs(a.ctx, raw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, []byte(page), 0o644) //nolint:gosec // a page for everybody
	}
	_, err = io.WriteString(a.stdout, page)
	return err
}
