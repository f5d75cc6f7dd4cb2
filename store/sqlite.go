package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders is the number of connections of the read pool: the readers of a WAL file do not wait for each other.
const sqliteReaders = 8

func (s *Store) connectSQLite(path string) error {
	if path == "" {
		return errors.New("database URL sqlite: names no file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Created here for its mode: the file holds everybody's documents.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// A driver of our own instead of the registered one, so that its functions exist on our connections only.
	drv := &sqlite.Driver{}
	if err := registerSQLite(drv); err != nil {
		return err
	}
	dsn := func(extra string) string {
		u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
		return u.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)" +
			"&_pragma=cache_size(-16000)&_pragma=temp_store(memory)" + extra
	}
	s.db = sql.OpenDB(connector{drv, dsn("&_txlock=immediate")})
	s.db.SetMaxOpenConns(1)
	s.db.SetMaxIdleConns(1)
	s.reads = sql.OpenDB(connector{drv, dsn("&_pragma=query_only(1)")})
	s.reads.SetMaxOpenConns(sqliteReaders)
	s.reads.SetMaxIdleConns(sqliteReaders)
	s.dialect = sqliteDialect()
	s.queue = sqliteQueue{}
	return nil
}

// connector hands a driver of our own to database/sql, without a global registration.
type connector struct {
	drv *sqlite.Driver
	dsn string
}

// connectFor bounds how long Connect tries again: turning on the WAL needs the file alone for a moment, and does not wait for it.
const connectFor = 10 * time.Second

// Connect opens one connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	deadline := time.Now().Add(connectFor)
	for {
		conn, err := c.drv.Open(c.dsn)
		if err == nil || !sqliteBusy(err) || time.Now().After(deadline) {
			return conn, err
		}
		again := time.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}

// Driver is the driver of the connections.
func (c connector) Driver() driver.Driver { return c.drv }

// sqliteBusy reports whether another connection was in the way.
func sqliteBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	primary := e.Code() & 0xff
	return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
}

// sqliteNow is the clock of the database, which is that of this machine.
const sqliteNow = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

func sqliteDialect() *dialect {
	return &dialect{
		name:         "sqlite",
		bodyDoc:      "body",
		metaDoc:      "meta",
		goose:        goose.DialectSQLite3,
		nowMS:        sqliteNow,
		fold:         "weir_fold(%s)",
		json:         sqliteJSON{},
		writeOptions: &sql.TxOptions{},
		readOptions:  &sql.TxOptions{ReadOnly: true},
		transient:    sqliteBusy,
		probe:        func(context.Context, *sql.DB) error { return nil },
		close: func(ctx context.Context, db *sql.DB) {
			_, _ = db.ExecContext(ctx, "PRAGMA optimize") // statistics for the planner; a failure changes nothing
		},
	}
}

// registerSQLite adds the two functions that filters need and SQLite lacks.
func registerSQLite(drv *sqlite.Driver) error {
	// weir_fold lower-cases all of Unicode; the built-in lower knows ASCII only.
	err := drv.RegisterDeterministicScalarFunction("weir_fold", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if text, ok := args[0].(string); ok {
			return strings.ToLower(text), nil
		}
		return args[0], nil
	})
	if err != nil {
		return err
	}
	// weir_num is the number that a text holds, else null.
	return drv.RegisterDeterministicScalarFunction("weir_num", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok || !isNumber(text) {
			return nil, nil
		}
		return sqliteNumber(text), nil
	})
}

// sqliteNumber is the value that SQLite compares: an integer if it fits, else a double.
func sqliteNumber(text string) driver.Value {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && math.IsNaN(f) {
		return nil
	}
	return f
}
