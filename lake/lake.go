// Package lake keeps rows in files: the stage (raw pages of a run), tables (Apache Iceberg v2 over Parquet) and the metadata that
// joins them. It knows no SQL: a commit writes new files and returns the location of a new metadata file, and nothing is current before
// the caller moved the table's pointer there. FORMAT.md describes every file.
package lake

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"weir/blob"
)

// Lake is the part of the platform below the bucket. It is safe for concurrent use.
type Lake struct {
	bucket *blob.Bucket
	log    *slog.Logger
	// Now is the clock of snapshots.
	Now func() time.Time
}

// Open makes a lake over an open bucket. A nil log discards.
func Open(_ context.Context, bucket *blob.Bucket, log *slog.Logger) (*Lake, error) {
	if bucket == nil {
		return nil, errors.New("lake: no bucket")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Lake{bucket: bucket, log: log, Now: time.Now}, nil
}

// Bucket is the bucket below: the folders stage/<run>/, tables/<namespace>/<table>/ and meta/<batch>/{row_errors,input_files}/.
func (l *Lake) Bucket() *blob.Bucket { return l.bucket }

// maxName bounds a namespace or table name, so that the folder names made of it stay short.
const maxName = 128

// Name turns any text into a name that every Iceberg reader takes: lower case, [a-z0-9_] only, never empty, at most 128 bytes.
// Different texts may get the same name.
func Name(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if b.Len() == maxName {
			break
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

// ValidName reports whether name can name a namespace or a table as it is.
func ValidName(name string) bool { return name != "" && len(name) <= maxName && Name(name) == name }
