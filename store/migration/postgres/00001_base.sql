-- +goose Up
-- Text is compared by code point (COLLATE "C"), so that order and pages are the same on every database.
-- body and meta are the exact bytes of the client; body_q and meta_q are what filters read.
CREATE TABLE documents (
    kind TEXT COLLATE "C" NOT NULL,
    org TEXT COLLATE "C" NOT NULL,
    sandbox TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    rev BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    created_client TEXT COLLATE "C" NOT NULL,
    updated_client TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    meta TEXT NOT NULL,
    body_q JSONB NOT NULL,
    meta_q JSONB NOT NULL,
    secret BYTEA,
    PRIMARY KEY (kind, org, sandbox, id)
);

CREATE INDEX documents_page ON documents (kind, org, sandbox, created_at DESC, id);
-- An index entry is bounded, a name is not: the first 128 characters are indexed.
CREATE INDEX documents_name ON documents (kind, org, sandbox, left((body_q ->> 'name') COLLATE "C", 128), created_at DESC, id);
CREATE INDEX documents_flow ON documents (kind, org, sandbox, left((body_q ->> 'flowId') COLLATE "C", 128), created_at DESC, id);

CREATE TABLE steps (
    run TEXT COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, step)
);

CREATE TABLE ticks (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org TEXT COLLATE "C" NOT NULL,
    sandbox TEXT COLLATE "C" NOT NULL,
    next_at BIGINT NOT NULL
);

CREATE INDEX ticks_due ON ticks (next_at, key);

CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE TABLE worker_lease (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);

CREATE TABLE keyset (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);

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
