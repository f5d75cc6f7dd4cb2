-- +goose Up
CREATE TABLE documents (
    kind TEXT NOT NULL,
    org TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    id TEXT NOT NULL,
    etag TEXT NOT NULL,
    rev INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    created_client TEXT NOT NULL,
    updated_client TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    meta TEXT NOT NULL,
    secret BLOB,
    PRIMARY KEY (kind, org, sandbox, id)
) STRICT;

CREATE INDEX documents_page ON documents (kind, org, sandbox, created_at DESC, id);
CREATE INDEX documents_name ON documents (kind, org, sandbox, body ->> '$.name', created_at DESC, id);
CREATE INDEX documents_flow ON documents (kind, org, sandbox, body ->> '$.flowId', created_at DESC, id);

CREATE TABLE steps (
    run TEXT NOT NULL,
    step INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticks (
    key TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    next_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ticks_due ON ticks (next_at, key);

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE worker_lease (
    id TEXT NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keyset (
    id INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- The layout of the Iceberg project's JDBC catalog, version 1, so that its clients can attach to it.
CREATE TABLE iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);

CREATE TABLE iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255),
    property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
);

-- +goose Down
DROP TABLE iceberg_namespace_properties;
DROP TABLE iceberg_tables;
DROP TABLE keyset;
DROP TABLE worker_lease;
DROP TABLE leases;
DROP TABLE ticks;
DROP TABLE steps;
DROP TABLE documents;
