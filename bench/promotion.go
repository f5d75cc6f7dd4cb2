package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// promotionMain is the subcommand: bench promotion -rows 1000000.
func promotionMain(args []string) error {
	b := promotionBench{}
	fs := flag.NewFlagSet("promotion", flag.ContinueOnError)
	threads := fs.String("threads", "1,2", "thread counts to measure")
	fs.IntVar(&b.rows, "rows", 1_000_000, "records")
	fs.IntVar(&b.rounds, "rounds", 5, "rounds; each runs every contender once")
	fs.StringVar(&b.weir, "weir", "../bin/weir", "the binary")
	fs.StringVar(&b.dir, "dir", "../.cache/bench", "folder for data and results")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for t := range strings.SplitSeq(*threads, ",") {
		n, err := strconv.Atoi(t)
		if err != nil || n < 1 {
			return fmt.Errorf("-threads %s: write numbers with commas between them", *threads)
		}
		b.threads = append(b.threads, n)
	}
	return b.run(context.Background())
}

// promotionBench measures the promotion alone, NDJSON file to Parquet file, beside DuckDB doing the same work.
type promotionBench struct {
	rows, rounds int
	threads      []int
	weir, dir    string
	data         string
}

// contender is a program that does the work.
type contender struct {
	name    string
	command func(ctx context.Context, b *promotionBench, threads int) *exec.Cmd
}

var contenders = []contender{
	{"weir", func(ctx context.Context, b *promotionBench, threads int) *exec.Cmd {
		c := exec.CommandContext(ctx, b.weir, "map", "--set", "testdata/mapping.json", "--schema", "testdata/schema.json", "--in", b.data,
			"--parquet", b.out("weir"), "--errors", b.errs("weir"), "--threads", strconv.Itoa(threads))
		c.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(threads))
		return c
	}},
	{"duckdb", func(ctx context.Context, b *promotionBench, threads int) *exec.Cmd {
		return exec.CommandContext(ctx, "node", "duckdb.js", b.data, b.out("duckdb"), b.errs("duckdb"), strconv.Itoa(threads))
	}},
}

func (b *promotionBench) out(who string) string  { return filepath.Join(b.dir, who+".parquet") }
func (b *promotionBench) errs(who string) string { return filepath.Join(b.dir, who+"-errors.ndjson") }

func (b *promotionBench) run(ctx context.Context) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	b.data = filepath.Join(b.dir, fmt.Sprintf("members-%d.ndjson", b.rows))
	if _, err := os.Stat(b.data); errors.Is(err, os.ErrNotExist) {
		if err := writeMembers(b.data+".tmp", b.rows); err != nil {
			return err
		}
		if err := os.Rename(b.data+".tmp", b.data); err != nil {
			return err
		}
	}
	for _, threads := range b.threads {
		samples := map[string][]measure{}
		for round := range b.rounds + 1 { // the first round warms the page cache and is not counted
			for _, c := range contenders {
				s, err := timed(c.command(ctx, b, threads))
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				if round > 0 {
					samples[c.name] = append(samples[c.name], s)
				}
			}
		}
		if err := b.compare(ctx); err != nil {
			return err
		}
		if err := b.print(threads, samples); err != nil {
			return err
		}
	}
	return nil
}

// timed runs a process.
func timed(c *exec.Cmd) (m measure, err error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	start := time.Now()
	if err := c.Run(); err != nil {
		return m, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	m.wall = time.Since(start).Seconds()
	m.usage(c.ProcessState)
	return m, nil
}

// compare holds that both made the same rows and rejected as many.
func (b *promotionBench) compare(ctx context.Context) error {
	c := exec.CommandContext(ctx, "node", "same.js", b.out("weir"), b.out("duckdb"))
	c.Env = append(os.Environ(), "TZ=UTC")
	raw, err := c.Output()
	if err != nil {
		return fmt.Errorf("same.js: %w", err)
	}
	var r struct{ RowsA, RowsB, OnlyA, OnlyB int }
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("same.js: %w", err)
	}
	bad := make([]int, len(contenders))
	for i, c := range contenders {
		text, err := os.ReadFile(b.errs(c.name))
		if err != nil {
			return err
		}
		bad[i] = bytes.Count(text, []byte("\n"))
	}
	say("rows %d = %d, rejected %d = %d, only in weir's file %d, only in DuckDB's %d", r.RowsA, r.RowsB, bad[0], bad[1], r.OnlyA, r.OnlyB)
	if r.RowsA != r.RowsB || r.OnlyA != 0 || r.OnlyB != 0 || bad[0] != bad[1] || r.RowsA+bad[0] != b.rows {
		return errors.New("the results differ")
	}
	return nil
}

func (b *promotionBench) print(threads int, samples map[string][]measure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "threads %d, %d rounds\tCPU s\twall s\tpeak MiB\tfile MB\t\n", threads, b.rounds)
	mid, size := make([]measure, len(contenders)), make([]float64, len(contenders))
	for i, c := range contenders {
		info, err := os.Stat(b.out(c.name))
		if err != nil {
			return err
		}
		mid[i], size[i] = median(samples[c.name]), float64(info.Size())/1e6
		_, _ = fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%d\t%.1f\t\n", c.name, mid[i].cpu, mid[i].wall, mid[i].rss>>20, size[i])
	}
	_, _ = fmt.Fprintf(w, "weir / duckdb\t%.2f\t%.2f\t\t%.3f\t\n", mid[0].cpu/mid[1].cpu, mid[0].wall/mid[1].wall, size[0]/size[1])
	return w.Flush()
}
