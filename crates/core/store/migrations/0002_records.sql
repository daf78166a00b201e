-- Records of the image service: JSON documents, and beside them the columns that SQL needs.
-- Only TEXT and BIGINT: what SQLite and PostgreSQL have alike.

-- One row. `revision` grows with every transaction that writes records; writers take it first, so
-- that numbers are committed in their order. `horizon` is the newest deletion that is forgotten.
CREATE TABLE record_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    horizon BIGINT NOT NULL
);
INSERT INTO record_counter (id, revision, horizon) VALUES (1, 0, 0);

CREATE TABLE images (
    region TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    revision BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (region, id)
);
CREATE UNIQUE INDEX images_name ON images (region, owner, name);
CREATE INDEX images_revision ON images (revision);

-- By these the lists that other processes hold in memory learn of deletions.
CREATE TABLE deleted_images (
    region TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    PRIMARY KEY (region, id)
);
CREATE INDEX deleted_images_revision ON deleted_images (revision);
CREATE INDEX deleted_images_deleted ON deleted_images (deleted);

-- Times are nanoseconds since 1970; `ended` is 0 until the task is at its end.
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    region TEXT NOT NULL,
    owner TEXT NOT NULL,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    image TEXT NOT NULL,
    created BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX tasks_listed ON tasks (region, owner, created);
CREATE INDEX tasks_ended ON tasks (ended);

CREATE TABLE tokens (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    action TEXT NOT NULL,
    token TEXT NOT NULL,
    created BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, region, action, token)
);
CREATE INDEX tokens_created ON tokens (created);
