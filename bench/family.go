package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"weir"
	"weir/ingest"
	"weir/internal/setfamily"
	"weir/mapping"
	"weir/xdm"
)

// familyBench promotes the records of a fixed family of mapping sets, one set after the other, and shows how the speed is spread.
type familyBench struct {
	records       int
	slowest       int
	dir           string
	only          string
	save, against string
	inputs        map[bool]string // the records as they are, and wrapped
	sizes         map[bool]int64
}

// familyMain is the subcommand: bench family -records 20000.
func familyMain(args []string) error {
	b := familyBench{inputs: map[bool]string{}, sizes: map[bool]int64{}}
	fs := flag.NewFlagSet("family", flag.ContinueOnError)
	fs.IntVar(&b.records, "records", 20_000, "records for each set")
	fs.IntVar(&b.slowest, "slowest", 10, "how many of the slowest sets are explained")
	fs.StringVar(&b.dir, "dir", "../.cache/bench", "folder for data and results")
	fs.StringVar(&b.only, "only", "", "only the sets whose name begins with this")
	fs.StringVar(&b.save, "save", "", "write the figures to this file")
	fs.StringVar(&b.against, "against", "", "compare with the figures of this file")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return b.run(context.Background())
}

// figure is what one set cost.
type figure struct {
	Name, Style      string
	Mappings, Leaves int
	CPU              float64 // µs of processor time per record
	Speed            float64 // MB of records per second of processor time
	General          float64 // share of the values that the general path settled
	Rejected, Warned float64 // shares of the records
	Forms            []form  // what took the general path, most rows first

	before float64
}

// form is a kind of mapping and how many values of it the general path settled, per record.
type form struct {
	Name string
	Rate float64
}

func (f *figure) perLeaf() float64 { return 1000 * f.CPU / float64(f.Leaves) }

func (b *familyBench) run(ctx context.Context) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if b.records < 1 {
		return errors.New("-records must be at least 1")
	}
	debug.SetGCPercent(50) // as weir map has it
	for _, wrapped := range []bool{false, true} {
		if err := b.write(wrapped); err != nil {
			return err
		}
	}
	var all []figure
	cases := setfamily.Cases()
	for i := range cases {
		if !strings.HasPrefix(cases[i].Name, b.only) {
			continue
		}
		f, err := b.measure(ctx, &cases[i])
		if err != nil {
			return fmt.Errorf("%s: %w", cases[i].Name, err)
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		return fmt.Errorf("no set begins with %q", b.only)
	}
	if err := b.compare(all); err != nil {
		return err
	}
	if b.save != "" {
		raw, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.save, raw, 0o600); err != nil {
			return err
		}
	}
	return b.print(all)
}

// write makes the file of records.
func (b *familyBench) write(wrapped bool) error {
	path := filepath.Join(b.dir, fmt.Sprintf("family-%v-%d.ndjson", wrapped, b.records))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for i := range b.records {
		line = append(setfamily.AppendRecord(line[:0], i, wrapped), '\n')
		b.sizes[wrapped] += int64(len(line))
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	b.inputs[wrapped] = path
	return w.Flush()
}

// watched is a program that keeps its lanes, to ask them afterwards.
type watched struct {
	p     *mapping.Program
	lanes []*mapping.Lane
}

// NewLane returns a worker of its own.
func (w *watched) NewLane(run string, now time.Time) ingest.Lane {
	l := w.p.NewLane(run, now)
	w.lanes = append(w.lanes, l)
	return l
}

// measure promotes the records by one set.
func (b *familyBench) measure(ctx context.Context, c *setfamily.Case) (f figure, err error) {
	set, err := mapping.ParseSet(c.Set)
	if err != nil {
		return f, err
	}
	target, err := xdm.FromJSONSchema(c.Schema)
	if err != nil {
		return f, err
	}
	shape := weir.Shape{}
	if c.Wrapped {
		shape.Wrapper = setfamily.Wrapper
	}
	p, err := mapping.NewProgram(set, target, shape)
	if err != nil {
		return f, err
	}
	w := &watched{p: p}
	start, err := processor()
	if err != nil {
		return f, err
	}
	r, err := ingest.PromoteFile(ctx, ingest.FileJob{
		In: b.inputs[c.Wrapped], Out: filepath.Join(b.dir, "family.parquet"), Errors: filepath.Join(b.dir, "family-errors.ndjson"), Schema: target, Program: w, Now: time.Now(), Workers: 1,
	})
	if err != nil {
		return f, err
	}
	end, err := processor()
	if err != nil {
		return f, err
	}
	n := float64(b.records)
	f = figure{
		Name: c.Name, Style: c.Style, Mappings: c.Mappings, Leaves: c.Leaves, CPU: (end - start) * 1e6 / n, Speed: float64(b.sizes[c.Wrapped]) / 1e6 / (end - start),
		Rejected: float64(r.Failed) / n, Warned: float64(r.Warned) / n,
	}
	f.explain(w.lanes, n)
	return f, nil
}

// processor is how many seconds of processor time the process has used.
func processor() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, nil
}

// explain sums up what took the general path.
func (f *figure) explain(lanes []*mapping.Lane, n float64) {
	rows, columns := map[string]float64{}, 0
	slow := 0.0
	for _, l := range lanes {
		for _, c := range l.Columns() {
			columns++
			name := c.General
			if name == "" {
				name = "values a column operator left"
			}
			rows[name] += float64(c.Rows)
			slow += float64(c.Rows)
		}
	}
	f.General = slow / n / float64(max(columns, 1))
	for name, count := range rows {
		if count > 0 {
			f.Forms = append(f.Forms, form{name, count / n})
		}
	}
	slices.SortFunc(f.Forms, func(a, b form) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Name, b.Name))
	})
}

// compare reads the figures of an earlier run.
func (b *familyBench) compare(all []figure) error {
	if b.against == "" {
		return nil
	}
	raw, err := os.ReadFile(b.against)
	if err != nil {
		return err
	}
	var old []figure
	if err := json.Unmarshal(raw, &old); err != nil {
		return fmt.Errorf("%s: %w", b.against, err)
	}
	for i := range all {
		k := slices.IndexFunc(old, func(f figure) bool { return f.Name == all[i].Name })
		if k >= 0 {
			all[i].before = old[k].CPU
		}
	}
	return nil
}

func (b *familyBench) print(all []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "%d sets, %d records each\tmin\tp10\tmedian\tp90\tmax\t\n", len(all), b.records)
	spread(w, "CPU µs per record", "%.1f", all, func(f *figure) float64 { return f.CPU })
	spread(w, "CPU ns per record and leaf", "%.0f", all, (*figure).perLeaf)
	spread(w, "MB of records per CPU second", "%.1f", all, func(f *figure) float64 { return f.Speed })
	spread(w, "million leaves per CPU second", "%.2f", all, func(f *figure) float64 { return 1000 / f.perLeaf() })
	spread(w, "% of values by the general path", "%.1f", all, func(f *figure) float64 { return 100 * f.General })
	if b.against != "" {
		spread(w, "times faster than before", "%.1f", all, func(f *figure) float64 { return f.before / f.CPU })
	}
	for style := range styles(all) {
		some := slices.DeleteFunc(slices.Clone(all), func(f figure) bool { return f.Style != style })
		spread(w, "ns per leaf, "+style, "%.0f", some, (*figure).perLeaf)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b figure) int { return cmp.Compare(b.CPU, a.CPU) })
	explained(all[:min(b.slowest, len(all))], "slowest per record")
	slices.SortFunc(all, func(a, b figure) int { return cmp.Compare(b.perLeaf(), a.perLeaf()) })
	many := slices.DeleteFunc(slices.Clone(all), func(f figure) bool { return f.Leaves < 10 }) // the scan alone is most of a smaller set
	explained(many[:min(b.slowest, len(many))], "slowest per leaf, of 10 leaves and more")
	return nil
}

// styles yields every style once.
func styles(all []figure) func(func(string) bool) {
	return func(yield func(string) bool) {
		last := ""
		for i := range all {
			if all[i].Style != last {
				last = all[i].Style
				if !yield(last) {
					return
				}
			}
		}
	}
}

// spread prints how a figure is spread.
func spread(w *tabwriter.Writer, name, verb string, all []figure, of func(*figure) float64) {
	v := make([]float64, len(all))
	for i := range all {
		v[i] = of(&all[i])
	}
	slices.Sort(v)
	var line strings.Builder
	line.WriteString(name)
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 1} {
		_, _ = fmt.Fprintf(&line, "\t"+verb, v[int(q*float64(len(v)-1)+0.5)])
	}
	_, _ = fmt.Fprintln(w, line.String()+"\t")
}

// explained prints sets with what made them slow.
func explained(some []figure, title string) {
	say("\n%s: µs per record, ns per leaf, leaves, %% of values by the general path, %% of records rejected and warned; what took the general path, per record", title)
	for i := range some {
		f := &some[i]
		var forms []string
		for _, x := range f.Forms[:min(5, len(f.Forms))] {
			forms = append(forms, fmt.Sprintf("%s %.2f", x.Name, x.Rate))
		}
		say("%-15s %7.1f %6.0f %4d  %3.0f %%  %3.0f %% %3.0f %%  %s", f.Name, f.CPU, f.perLeaf(), f.Leaves, 100*f.General, 100*f.Rejected, 100*f.Warned, strings.Join(forms, ", "))
	}
}
