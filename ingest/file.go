package ingest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"weir/lake"
	"weir/mapping"
	"weir/record"
)

// Compiled makes a compiled mapping set the program of a promotion.
func Compiled(p *mapping.Program) Program { return compiled{p} }

type compiled struct{ p *mapping.Program }

// NewLane returns a worker of its own.
func (c compiled) NewLane(run string, now time.Time) Lane { return c.p.NewLane(run, now) }

// FileJob promotes one NDJSON file into one Parquet file outside of any table.
type FileJob struct {
	// In is read, Out is written; Errors takes the rejected rows as NDJSON in the order of the records, "" drops them.
	In, Out, Errors string
	Schema          *record.Schema
	Program         Program
	Now             time.Time
	Workers         int
}

// PromoteFile runs a file job. Out appears when it is complete.
func PromoteFile(ctx context.Context, f FileJob) (Report, error) {
	info, err := os.Stat(f.In)
	if err != nil {
		return Report{}, err
	}
	job := Job{
		Schema: f.Schema, Program: f.Program, Now: f.Now, Workers: max(f.Workers, 1),
		Parts:    []lake.Part{{Name: f.In, Bytes: info.Size()}},
		Filename: func(p lake.Part) string { return filepath.Base(p.Name) },
	}
	p := &promotion{
		job: &job,
		open: func(_ context.Context, part lake.Part, from int64) (io.ReadCloser, error) {
			r, err := os.Open(part.Name)
			if err != nil {
				return nil, err
			}
			_, err = r.Seek(from, io.SeekStart)
			return r, err
		},
		create: func(context.Context, int) (*lake.FileWriter, error) {
			return createFile(f.Out, f.Schema)
		},
		drop: func(context.Context) { _ = os.Remove(f.Out) },
		one:  true,
	}
	if f.Errors != "" {
		w, err := os.Create(f.Errors)
		if err != nil {
			return Report{}, err
		}
		p.errors = &errorFile{w}
	}
	r, err := p.run(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("promote %s: %w", f.In, err)
	}
	if len(r.Files) == 0 { // no row was good: a file without rows
		w, err := createFile(f.Out, f.Schema)
		if err != nil {
			return Report{}, err
		}
		d, err := w.Close()
		if err != nil {
			return Report{}, err
		}
		r.Files, r.BytesOut = append(r.Files, d), d.Bytes
	}
	return r, nil
}

func createFile(path string, s *record.Schema) (*lake.FileWriter, error) {
	w, err := os.Create(path + ".tmp")
	if err != nil {
		return nil, err
	}
	return lake.WriteParquet(&localFile{w, path}, "file://"+path, s), nil
}

// localFile is a file that gets its name when it is complete.
type localFile struct {
	*os.File
	path string
}

func (f *localFile) Close() error {
	if err := f.File.Close(); err != nil {
		return err
	}
	return os.Rename(f.path+".tmp", f.path)
}

func (f *localFile) Abort() {
	if f.File.Close() == nil {
		_ = os.Remove(f.path + ".tmp")
	}
}

// errorFile keeps all rejected rows in one file.
type errorFile struct{ w *os.File }

func (f *errorFile) write(_ context.Context, e *errorBuffer) error {
	_, err := f.w.Write(e.rows[0])
	e.rows[0] = e.rows[0][:0]
	return err
}

func (f *errorFile) close(context.Context) error { return f.w.Close() }

func (f *errorFile) abort() { _ = f.w.Close() }
