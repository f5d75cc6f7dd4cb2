-- +goose Up
-- Rate budgets of sources, shared by all processes; epoch microseconds.
CREATE TABLE budgets (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    full_at BIGINT NOT NULL,
    held_until BIGINT NOT NULL
);

-- +goose Down
DROP TABLE budgets;
