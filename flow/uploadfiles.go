package flow

import (
	"context"
	"errors"
	"path"
	"strings"

	"weir"
	"weir/ingest"
	"weir/lake"
	"weir/record"
)

// maxFiles is how many files a batch may have (schema-catalog-data §4.5).
const maxFiles = 25000

// stage turns the uploaded files into stage parts, in the order of their paths.
func (u *upload) stage(ctx context.Context, schema *record.Schema) (parts []lake.Part, err error) {
	u.names, u.files, u.bytes = map[string]string{}, 0, 0
	format := u.format()
	dir := lake.UploadDir(u.Batch) + "files/"
	for f, err := range u.e.Lake.Bucket().List(ctx, dir) {
		if err != nil {
			return nil, err
		}
		u.files++
		u.bytes += f.Size
		if u.files > maxFiles {
			return nil, weir.Errorf("INGEST-1000-400", "Batch ingestion guardrails hit: the batch has more than %d files.", maxFiles)
		}
		name := strings.TrimPrefix(f.Name, dir)
		if f.Size == 0 {
			return nil, weir.Errorf("INGEST-106-400", "The file %s is empty.", name)
		}
		part, err := u.stageFile(ctx, f.Name, name, format, schema)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		u.names[part.Name] = name
	}
	return parts, nil
}

// format is the format of the batch's files.
func (u *upload) format() weir.InputFormat {
	if u.batch.InputFormat == nil {
		return weir.InputFormat{Format: "parquet"}
	}
	f := *u.batch.InputFormat
	f.Format = strings.ToLower(f.Format)
	return f
}

func (u *upload) stageFile(ctx context.Context, object, name string, format weir.InputFormat, schema *record.Schema) (part lake.Part, err error) {
	w, err := u.e.Lake.NewPart(ctx, u.Batch, int(u.files))
	if err != nil {
		return part, err
	}
	defer w.Abort()
	convert := ingest.Formats[format.Format]
	if convert == nil {
		return part, weir.Errorf("INGEST-1000-400", "The format %q of batch %s is not known.", format.Format, u.Batch)
	}
	err = convert(ctx, u.e.Lake, object, format, schema, w.Append)
	if fault, ok := errors.AsType[*weir.Error](err); ok {
		fault.Message = path.Base(name) + ": " + fault.Message
	}
	if err != nil {
		return part, err
	}
	if part, err = w.Sync(); err != nil {
		return part, err
	}
	return part, w.Close()
}
