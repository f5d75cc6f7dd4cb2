package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migration
var migrations embed.FS

// migrateTries bounds how often a process that lost the race to migrate looks again.
const migrateTries = 20

// migrate brings the schema and the queue's tables to this version. Processes that start together race for it: on PostgreSQL they queue
// behind an advisory lock, on SQLite the loser fails on what the winner has just made and looks again.
func (s *Store) migrate(ctx context.Context) error {
	unlock, err := s.queue.migrateLock(ctx, s.db)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer unlock()
	for try := 1; ; try++ {
		err = s.migrateOnce(ctx)
		if err == nil || try == migrateTries || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * 5 * time.Millisecond):
		}
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (s *Store) migrateOnce(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migration/"+s.dialect.name)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(s.dialect.goose, s.db, dir, goose.WithTableName("weir_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return s.queue.migrate(ctx, s.db, s.log)
}
