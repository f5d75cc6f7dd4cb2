package store

import (
	"database/sql"
	"errors"
	"fmt"

	"weir"
)

// catalogName is our catalog in the shared layout of the Iceberg project's JDBC catalog (version 1).
const catalogName = "weir"

// Table returns where the current metadata of a table is; [weir.ErrNotFound] if there is no such table.
func (tx *Tx) Table(namespace, name string) (metadataLocation string, err error) {
	err = tx.row("SELECT metadata_location FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3",
		[]any{catalogName, namespace, name}, &metadataLocation)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("table %s.%s: %w", namespace, name, weir.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("table %s.%s: %w", namespace, name, err)
	}
	return metadataLocation, nil
}

// SwapTable makes next the current metadata of a table, if old still is. An empty old creates the table, an empty next drops it. The
// error is [weir.ErrConflict] if somebody was first: load the table again and retry.
func (tx *Tx) SwapTable(namespace, name, old, next string) error {
	key := []any{catalogName, namespace, name}
	const where = " WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND metadata_location = $4"
	var n int64
	var err error
	switch {
	case old == "" && next == "":
		return fmt.Errorf("swap table %s.%s: neither an old nor a new location", namespace, name)
	case old == "":
		n, err = tx.exec(`INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
			VALUES ($1, $2, $3, $4, 'TABLE') ON CONFLICT DO NOTHING`, append(key, next)...)
	case next == "":
		n, err = tx.exec("DELETE FROM iceberg_tables"+where, append(key, old)...)
	default:
		n, err = tx.exec("UPDATE iceberg_tables SET metadata_location = $5, previous_metadata_location = $4"+where, append(key, old, next)...)
	}
	if err != nil {
		return fmt.Errorf("swap table %s.%s: %w", namespace, name, err)
	}
	if n == 0 {
		return fmt.Errorf("swap table %s.%s: %w", namespace, name, weir.ErrConflict)
	}
	return nil
}

// Tables returns the names of a namespace's tables in order.
func (tx *Tx) Tables(namespace string) ([]string, error) {
	return tx.names("SELECT table_name FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2 ORDER BY table_name",
		catalogName, namespace)
}

// Namespaces returns the namespaces that have tables, in order.
func (tx *Tx) Namespaces() ([]string, error) {
	return tx.names("SELECT DISTINCT table_namespace FROM iceberg_tables WHERE catalog_name = $1 ORDER BY table_namespace", catalogName)
}

func (tx *Tx) names(query string, args ...any) (names []string, err error) {
	err = tx.each(query, args, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return names, nil
}
