-- The journal of the durable engine. Times are milliseconds since 1970; everything else that is a
-- number is one of the engine's own. "position" gives the queues their order.

CREATE TABLE journal_instances (
    instance TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT,
    execution BIGINT NOT NULL,
    parent TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    custom_status TEXT,
    custom_status_version BIGINT NOT NULL
);
CREATE INDEX journal_instances_parent ON journal_instances (parent);

CREATE TABLE journal_executions (
    instance TEXT NOT NULL,
    execution BIGINT NOT NULL,
    status TEXT NOT NULL,
    output TEXT,
    engine BIGINT,
    started BIGINT NOT NULL,
    completed BIGINT,
    PRIMARY KEY (instance, execution)
);

CREATE TABLE journal_events (
    instance TEXT NOT NULL,
    execution BIGINT NOT NULL,
    event BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (instance, execution, event)
);

CREATE TABLE journal_locks (
    instance TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX journal_locks_token ON journal_locks (token);

CREATE TABLE journal_messages (
    id TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    instance TEXT NOT NULL,
    item TEXT NOT NULL,
    visible BIGINT NOT NULL,
    token TEXT,
    attempts BIGINT NOT NULL
);
CREATE INDEX journal_messages_visible ON journal_messages (visible);
CREATE INDEX journal_messages_token ON journal_messages (token);
CREATE INDEX journal_messages_instance ON journal_messages (instance);

CREATE TABLE journal_work (
    id TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    instance TEXT,
    execution BIGINT,
    activity BIGINT,
    session TEXT,
    tag TEXT,
    item TEXT NOT NULL,
    visible BIGINT NOT NULL,
    token TEXT,
    until BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX journal_work_visible ON journal_work (visible);
CREATE INDEX journal_work_instance ON journal_work (instance);
CREATE INDEX journal_work_token ON journal_work (token);

CREATE TABLE journal_sessions (
    session TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    active BIGINT NOT NULL
);

-- What finished executions left, and what the current one changed since; no value: it was removed.
CREATE TABLE journal_values (
    instance TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (instance, name)
);

CREATE TABLE journal_changes (
    instance TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    updated BIGINT NOT NULL,
    PRIMARY KEY (instance, name)
);
