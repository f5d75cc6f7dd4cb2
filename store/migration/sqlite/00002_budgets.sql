-- +goose Up
-- Rate budgets of sources, shared by all processes; epoch microseconds.
CREATE TABLE budgets (
    name TEXT NOT NULL PRIMARY KEY,
    full_at INTEGER NOT NULL,
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE budgets;
