package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"weir"
	"weir/mapping"
	"weir/record"
	"weir/xdm"
)

// mapCmd runs an expression or a mapping set over records.
type mapCmd struct {
	Expr     string `help:"Expression of the mapping language to evaluate for each record." xor:"what" required:""`
	Set      string `help:"Mapping set (JSON file, either form) to transform each record with." type:"existingfile" xor:"what" required:""`
	Target   string `help:"Type to convert the result of --expr to: string, integer, number, boolean, date, date-time, object, array<…>." placeholder:"TYPE"`
	Schema   string `help:"Target schema of --set: a JSON Schema or a full XDM schema (JSON file). Without it nothing is converted or checked." type:"existingfile"`
	In       string `help:"Records, one JSON value per line; standard input if left out." type:"existingfile" placeholder:"FILE"`
	Diff     string `help:"Mapping set (JSON file) to compare --set with: prints how the rows of the two differ over the same records; with --results as one JSON object." type:"existingfile" placeholder:"NEW"`
	Results  bool   `help:"Write an object per record that tells values, nullified columns, rejected rows and errors apart."`
	Parquet  string `help:"Write the rows of --set to this Parquet file, with the code and the speed of a promotion. Needs --schema and --in." placeholder:"FILE"`
	Errors   string `help:"With --parquet: write the rejected records with their reasons to this file, one JSON object per line." placeholder:"FILE"`
	Examples int    `help:"With --diff: examples of each destination, and of each way to reject a row." default:"5" placeholder:"N"`
	Threads  int    `help:"With --parquet: records are mapped by this many threads; 0 is one per processor." default:"0" placeholder:"N"`
}

// Help is the long text of weir map --help.
func (mapCmd) Help() string {
	return "Writes one line per record: the result, or with --results {\"value\":…} for an expression, {\"data\":{…},\"warn\":[…]} for a mapping set, " +
		"{\"reject\":[…],\"errors\":[…]} for a rejected row, {\"error\":{…}} for a failed expression. An expression that does not compile ends with exit code 2. With --diff the output is a table (or one JSON object) of what differs."
}

// Run reads records and writes results.
func (c *mapCmd) Run(a *app) error {
	if c.Diff != "" {
		return c.compare(a)
	}
	if c.Parquet != "" {
		return c.promote(a)
	}
	m := &mapper{cmd: c, out: bufio.NewWriterSize(a.stdout, 1<<16), log: a.stderr, env: mapping.NewEnv("", time.Now())}
	if err := c.compile(m); err != nil {
		return c.refuse(m, err)
	}
	in, err := c.input(a)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := m.records(in); err != nil {
		return err
	}
	return m.out.Flush()
}

// input is the file of records, or the standard input.
func (c *mapCmd) input(a *app) (io.ReadCloser, error) {
	if c.In == "" {
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(c.In)
}

// readSet reads a mapping set.
func readSet(name string) (*mapping.Set, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return mapping.ParseSet(body)
}

// target is the schema of the rows, nil for none.
func (c *mapCmd) target() (s *record.Schema, err error) {
	if c.Schema == "" {
		return nil, nil //nolint:nilnil // no schema is a way to run
	}
	raw, err := os.ReadFile(c.Schema)
	if err != nil {
		return nil, err
	}
	return xdm.FromJSONSchema(raw)
}

func (c *mapCmd) compile(m *mapper) (err error) {
	if c.Set == "" {
		if c.Target != "" {
			if m.target, err = mapping.ParseTarget(c.Target); err != nil {
				return err
			}
		}
		m.expr, err = mapping.Compile(c.Expr, mapping.Options{})
		return err
	}
	set, err := readSet(c.Set)
	if err != nil {
		return err
	}
	target, err := c.target()
	if err != nil {
		return err
	}
	m.set, err = mapping.NewTransformer(set, target, weir.Shape{})
	return err
}

// refuse reports an expression or set that does not compile.
func (c *mapCmd) refuse(m *mapper, err error) error {
	var bad *mapping.Error
	if !errors.As(err, &bad) {
		var coded *weir.Error
		if !errors.As(err, &coded) {
			return err
		}
		bad = &mapping.Error{Code: coded.Code, Message: coded.Message}
	}
	if c.Results {
		m.failure(bad)
		if err := m.out.Flush(); err != nil {
			return err
		}
		return exitError(2)
	}
	fmt.Fprintf(m.log, "weir: %s: %s\n", bad.Code, bad)
	if s := bad.Snippet(); s != "" {
		fmt.Fprintln(m.log, s)
	}
	return exitError(2)
}

// mapper is one run of the command.
type mapper struct {
	cmd    *mapCmd
	expr   *mapping.Expr
	target *record.Field
	set    *mapping.Transformer
	env    *mapping.Env
	out    *bufio.Writer
	log    io.Writer
	line   []byte
}

func (m *mapper) records(in io.Reader) error {
	r := bufio.NewReaderSize(in, 1<<16)
	for n := int64(0); ; {
		line, err := r.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			m.record(text, n)
			n++
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
	}
}

// record maps one record and writes its line.
func (m *mapper) record(text []byte, n int64) {
	m.line = m.line[:0]
	rec, err := record.Parse(text)
	if err != nil {
		m.failed(n, &mapping.Error{Kind: mapping.KindSyntax, Code: "INGEST-1401-400", Message: "the record is no JSON: " + err.Error()})
		return
	}
	m.env.Now = time.Now()
	m.env.Next(n)
	if m.set != nil {
		m.row(n, m.set.Transform(rec, m.env))
		return
	}
	v, err := m.expr.Eval(rec, m.env)
	if err == nil && m.target != nil {
		v, err = mapping.Convert(v, m.target)
	}
	var bad *mapping.Error
	switch {
	case errors.As(err, &bad):
		m.failed(n, bad)
	case m.cmd.Results:
		m.line = append(m.line, `{"value":`...)
		m.line = v.AppendJSON(m.line)
		m.write("}")
	default:
		m.line = v.AppendJSON(m.line)
		m.write("")
	}
}

// failed is the line of a record without a result.
func (m *mapper) failed(n int64, bad *mapping.Error) {
	if m.cmd.Results {
		m.failure(bad)
		return
	}
	fmt.Fprintf(m.log, "record %d: %s: %s\n", n+1, bad.Code, bad)
	m.line = append(m.line, "null"...)
	m.write("")
}

func (m *mapper) failure(e *mapping.Error) {
	o := record.NewObject(5)
	if e.Kind != "" {
		o.Set("kind", record.TextOf(string(e.Kind)))
	}
	o.Set("code", record.TextOf(e.Code))
	o.Set("message", record.TextOf(e.Message))
	o.Set("line", record.IntOf(int64(e.Line)))
	o.Set("column", record.IntOf(int64(e.Column)))
	m.line = append(m.line, `{"error":`...)
	m.line = record.ObjectOf(o).AppendJSON(m.line)
	m.write("}")
}

// row is the line of a record of a mapping set.
func (m *mapper) row(n int64, r mapping.Result) {
	if !m.cmd.Results {
		for _, e := range r.Reject {
			fmt.Fprintf(m.log, "record %d: rejected: %s: %s\n", n+1, e.Code, e.Message)
		}
		for i := range r.Warnings {
			fmt.Fprintf(m.log, "record %d: %s\n", n+1, r.Warnings[i].Description())
		}
		if len(r.Reject) > 0 {
			m.line = append(m.line, "null"...)
		} else {
			m.line = r.Data.AppendJSON(m.line)
		}
		m.write("")
		return
	}
	if len(r.Reject) > 0 {
		var paths, errs []record.Value
		for _, e := range r.Reject {
			o := record.NewObject(3)
			o.Set("code", record.TextOf(e.Code))
			o.Set("path", record.TextOf(e.Path))
			o.Set("message", record.TextOf(e.Message))
			paths, errs = append(paths, record.TextOf(e.Path)), append(errs, record.ObjectOf(o))
		}
		m.line = append(m.line, `{"reject":`...)
		m.line = record.ArrayOf(paths).AppendJSON(m.line)
		m.line = append(m.line, `,"errors":`...)
		m.line = record.ArrayOf(errs).AppendJSON(m.line)
		m.write("}")
		return
	}
	m.line = append(m.line, `{"data":`...)
	m.line = r.Data.AppendJSON(m.line)
	if len(r.Warnings) > 0 {
		var warn []string
		for i := range r.Warnings {
			warn = append(warn, r.Warnings[i].Destination)
		}
		slices.Sort(warn)
		m.line = append(m.line, `,"warn":[`...)
		for i, w := range slices.Compact(warn) {
			if i > 0 {
				m.line = append(m.line, ',')
			}
			m.line = record.AppendQuoted(m.line, w)
		}
		m.line = append(m.line, ']')
	}
	m.write("}")
}

func (m *mapper) write(end string) {
	m.line = append(m.line, end...)
	m.line = append(m.line, '\n')
	_, _ = m.out.Write(m.line) // the error stays until Flush reports it
	m.line = m.line[:0]
}
