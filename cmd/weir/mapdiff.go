package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"weir"
	"weir/mapping"
	"weir/record"
)

// compare prints how the rows of two mapping sets differ over the same records.
func (c *mapCmd) compare(a *app) error {
	if c.Set == "" || c.Parquet != "" {
		return errors.New("--diff compares with the mapping set of --set, and writes no Parquet file")
	}
	target, err := c.target()
	if err != nil {
		return err
	}
	m := &mapper{cmd: c, out: bufio.NewWriterSize(a.stdout, 1<<16), log: a.stderr}
	var sets [2]*mapping.Transformer
	for i, name := range []string{c.Set, c.Diff} {
		body, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		set, err := mapping.ParseSet(body)
		if err == nil {
			sets[i], err = mapping.NewTransformer(set, target, weir.Shape{})
		}
		if err != nil {
			fmt.Fprintf(a.stderr, "weir: %s cannot run:\n", name)
			return c.refuse(m, err)
		}
	}
	in, err := c.input(a)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := mapping.Diff(sets[0], sets[1], recordsOf(in), mapping.DiffOptions{Now: time.Now(), Examples: c.Examples})
	if err != nil {
		return err
	}
	if c.Results {
		e := json.NewEncoder(m.out)
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	} else {
		err = diffTable(m.out, r)
	}
	return errors.Join(err, m.out.Flush())
}

// recordsOf reads one record per line; blank lines are no records. A line that is no JSON is a *record.SyntaxError.
func recordsOf(in io.Reader) iter.Seq2[record.Value, error] {
	return func(yield func(record.Value, error) bool) {
		r := bufio.NewReaderSize(in, 1<<16)
		for {
			line, err := r.ReadBytes('\n')
			if text := bytes.TrimSpace(line); len(text) > 0 {
				if !yield(record.Parse(text)) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(record.Null(), fmt.Errorf("read records: %w", err))
				return
			}
		}
	}
}

// diffTable prints a comparison for people: the counts, a line for each destination, the examples. Records are counted from 1, as in the
// other messages of the command.
func diffTable(out io.Writer, r *mapping.DiffReport) error {
	fmt.Fprintf(out, "%d records: %d same, %d changed, %d only rejected by the old set, %d only by the new one, %d by both", r.Records, r.Same, r.Changed, r.OnlyRejectedByFrom, r.OnlyRejectedByTo, r.RejectedByBoth)
	for _, c := range []struct {
		n    int64
		what string
	}{{r.RejectsDiffer, "for other reasons"}, {r.WarningsDiffer, "with other warnings"}, {r.Unreadable, "are no JSON"}} {
		if c.n > 0 {
			fmt.Fprintf(out, ", %d %s", c.n, c.what)
		}
	}
	fmt.Fprintln(out)
	if len(r.Destinations) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\ndestination\tchanged\tappeared\tvanished\twarnings\trejects\ttypes")
		for i := range r.Destinations {
			p := &r.Destinations[i]
			types := make([]string, len(p.TypeChanges))
			for j, t := range p.TypeChanges {
				types[j] = fmt.Sprintf("%s -> %s (%d)", t.From, t.To, t.Count)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", plain(p.Destination), p.Changed, p.Appeared, p.Vanished, ofBoth(p.WarningsFrom, p.WarningsTo), ofBoth(p.RejectsFrom, p.RejectsTo),
				strings.Join(types, ", "))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if r.OtherDestinations > 0 {
		fmt.Fprintf(out, "%d more differences at other destinations\n", r.OtherDestinations)
	}
	if len(r.Examples) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nrecord\tdestination\tbefore\tafter")
		for _, e := range r.Examples {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", e.Record+1, plain(e.Destination), shownValue(e.Before), shownValue(e.After))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if len(r.Rejects) > 0 {
		fmt.Fprintln(out)
	}
	for _, e := range r.Rejects {
		for _, reason := range e.From {
			fmt.Fprintf(out, "record %d: rejected by the old set: %s: %s\n", e.Record+1, reason.Code, plain(reason.Message))
		}
		for _, reason := range e.To {
			fmt.Fprintf(out, "record %d: rejected by the new set: %s: %s\n", e.Record+1, reason.Code, plain(reason.Message))
		}
	}
	return nil
}

// ofBoth is a pair of counts of the old and the new set, "" for none.
func ofBoth(from, to int64) string {
	if from+to == 0 {
		return ""
	}
	return fmt.Sprintf("-%d +%d", from, to)
}

// shownValue is a value in a table: JSON, cut.
func shownValue(raw json.RawMessage) string {
	const most = 60
	if r := []rune(string(raw)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(raw)
}

// plain is a text without the characters that would break a table or a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, s)
}
