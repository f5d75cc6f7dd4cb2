package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"weir"
	"weir/ingest"
	"weir/mapping"
)

// promote writes a Parquet file: the promotion of a flow run, over a file and without a table.
func (c *mapCmd) promote(a *app) error {
	if c.Set == "" || c.Schema == "" || c.In == "" {
		return errors.New("--parquet needs --set, --schema and --in: the columns of the file are those of the schema")
	}
	set, err := readSet(c.Set)
	if err != nil {
		return err
	}
	target, err := c.target()
	if err != nil {
		return err
	}
	program, err := mapping.NewProgram(set, target, weir.Shape{})
	if err != nil {
		return c.refuse(&mapper{cmd: c, log: a.stderr}, err)
	}
	threads := c.Threads
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	debug.SetGCPercent(50) // buffers are reused: a small heap costs no time
	r, err := ingest.PromoteFile(a.ctx, ingest.FileJob{
		In: c.In, Out: c.Parquet, Errors: c.Errors, Schema: target, Program: ingest.Compiled(program), Now: time.Now(), Workers: threads,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%d records: %d rows, %d rejected, %d with columns left empty\n", r.In, r.Out, r.Failed, r.Warned)
	for _, e := range r.Errors {
		fmt.Fprintf(a.stderr, "%s: %s (%d)\n", e.Code, e.Message, e.RecordCount)
	}
	for _, col := range r.Columns {
		fmt.Fprintf(a.stderr, "%s: %s left empty (%d)\n", col.Code, col.Column, col.Rows)
	}
	return nil
}
