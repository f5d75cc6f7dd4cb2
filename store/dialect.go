package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// dialect is all that differs between the two databases. Statements use $1, $2, … on both, and every column of theirs has the same name and
// order of values: text is compared by code point on both.
type dialect struct {
	name  string
	goose goose.Dialect
	// copies says that documents carry queryable copies (body_q, meta_q) beside the exact text.
	copies bool
	// bodyDoc and metaDoc are the columns that JSON expressions read.
	bodyDoc, metaDoc string
	// skipLocked ends a SELECT that claims a row.
	skipLocked string
	// nowMS is the database's clock in epoch milliseconds, for leases shared by processes.
	nowMS string
	// fold makes text comparable without case; %s is the expression.
	fold string
	// json holds the fragments that read JSON; see cond.go.
	json jsonSQL

	writeOptions, readOptions *sql.TxOptions

	transient func(error) bool
	probe     func(context.Context, *sql.DB) error
	close     func(context.Context, *sql.DB)
}

// connect opens the pools of the URL.
func (s *Store) connect(ctx context.Context, raw string) error {
	scheme, rest, ok := strings.Cut(raw, ":")
	switch {
	case ok && scheme == "sqlite":
		return s.connectSQLite(strings.TrimPrefix(rest, "//"))
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return s.connectPostgres(ctx, raw)
	}
	return fmt.Errorf("database URL begins with %q: use sqlite:/path/to/file or postgres://…", scheme+":")
}
