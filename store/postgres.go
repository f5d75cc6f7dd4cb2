package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresConns bounds the pool; a process needs one connection per worker in a transaction and a few for the queue and the API.
const postgresConns = 24

func (s *Store) connectPostgres(ctx context.Context, raw string) error {
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return err // pgx leaves the password out
	}
	// The queue hijacks one connection of this pool for LISTEN; nothing else uses it.
	config.MinConns, config.MinIdleConns, config.MaxConns = 0, 0, 1
	listen, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.ConnConfig.Copy())
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	s.db, s.reads = db, db
	s.dialect = postgresDialect()
	s.queue = postgresQueue{listen: listen}
	s.dialect.close = func(context.Context, *sql.DB) { listen.Close() }
	return nil
}

// postgresNow is the clock of the server, the same for all processes.
const postgresNow = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

func postgresDialect() *dialect {
	d := &dialect{
		name:         "postgres",
		copies:       true,
		bodyDoc:      "body_q",
		metaDoc:      "meta_q",
		skipLocked:   " FOR UPDATE SKIP LOCKED",
		goose:        goose.DialectPostgres,
		nowMS:        postgresNow,
		fold:         "lower(%s)",
		json:         postgresJSON{},
		writeOptions: &sql.TxOptions{Isolation: sql.LevelSerializable},
		readOptions:  &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		transient: func(err error) bool {
			var e *pgconn.PgError
			if !errors.As(err, &e) {
				return false
			}
			return e.Code == "40001" || e.Code == "40P01" // serialization failure, deadlock
		},
	}
	d.probe = func(ctx context.Context, db *sql.DB) error {
		// A database in the C locale folds ASCII only; ICU, where the server has it, folds everything.
		var icu bool
		err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu')`).Scan(&icu)
		if err == nil && icu {
			d.fold = `lower(%s COLLATE "und-x-icu")`
		}
		return err
	}
	return d
}
