-- Executions of templates, templates and parameters: JSON documents, and beside them the columns
-- that SQL needs. Only TEXT and BIGINT. Times are nanoseconds since 1970; 0 is none.

-- One row for each run: a root execution with everything below it. Whoever writes to a run holds
-- its lease; `inbox` is the last number given out in it.
CREATE TABLE oos_runs (
    root TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    lease TEXT NOT NULL,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    inbox BIGINT NOT NULL
);
CREATE INDEX oos_runs_account ON oos_runs (account);
CREATE INDEX oos_runs_owner ON oos_runs (owner);

-- `firing` is the execution that a trigger started, in its own row and in all below it.
CREATE TABLE oos_executions (
    id TEXT NOT NULL PRIMARY KEY,
    root TEXT NOT NULL,
    parent TEXT NOT NULL,
    firing TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    template_name TEXT NOT NULL,
    status TEXT NOT NULL,
    mode TEXT NOT NULL,
    category TEXT NOT NULL,
    executed_by TEXT NOT NULL,
    ram_role TEXT NOT NULL,
    description TEXT NOT NULL,
    resource_group TEXT NOT NULL,
    tags TEXT NOT NULL,
    depth BIGINT NOT NULL,
    created BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    record TEXT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX oos_executions_root ON oos_executions (root, firing);
CREATE INDEX oos_executions_parent ON oos_executions (parent);
CREATE INDEX oos_executions_firing ON oos_executions (firing);
CREATE INDEX oos_executions_listed ON oos_executions (account, depth, created, id);
CREATE INDEX oos_executions_ended ON oos_executions (depth, ended);

CREATE TABLE oos_tasks (
    id TEXT NOT NULL PRIMARY KEY,
    execution TEXT NOT NULL,
    root TEXT NOT NULL,
    firing TEXT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    position BIGINT NOT NULL,
    created BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    record TEXT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX oos_tasks_root ON oos_tasks (root, firing);
CREATE INDEX oos_tasks_execution ON oos_tasks (execution, parent);

-- `position` grows within a run.
CREATE TABLE oos_logs (
    root TEXT NOT NULL,
    position BIGINT NOT NULL,
    execution TEXT NOT NULL,
    task TEXT NOT NULL,
    at BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (root, position)
);

-- What a run is to be told, until it has taken notice.
CREATE TABLE oos_inbox (
    root TEXT NOT NULL,
    position BIGINT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (root, position)
);

-- Texts of templates, each once, as runs found them. `used` is when a run last said that it needs
-- the text, so that none is removed that a run is just about to link.
CREATE TABLE oos_texts (
    digest TEXT NOT NULL PRIMARY KEY,
    used BIGINT NOT NULL,
    content TEXT NOT NULL
);

CREATE TABLE oos_run_texts (
    root TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (root, digest)
);
CREATE INDEX oos_run_texts_digest ON oos_run_texts (digest);

-- The tags of the records, by which they are found; `kind` is the type of the resource.
CREATE TABLE oos_tags (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, kind, resource, name)
);
CREATE INDEX oos_tags_name ON oos_tags (account, kind, name, value);

-- `folded` is the name in lower case: names differ by more than the case of letters.
CREATE TABLE oos_templates (
    account TEXT NOT NULL,
    folded TEXT NOT NULL,
    name TEXT NOT NULL,
    format TEXT NOT NULL,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    has_trigger BIGINT NOT NULL,
    resource_group TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    updated BIGINT NOT NULL,
    latest BIGINT NOT NULL,
    executions BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, folded)
);

CREATE TABLE oos_template_versions (
    account TEXT NOT NULL,
    folded TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, folded, version)
);

-- `folder` is what stands before the last slash of the name, without slashes at its ends.
CREATE TABLE oos_parameters (
    account TEXT NOT NULL,
    secret BIGINT NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource_group TEXT NOT NULL,
    tags TEXT NOT NULL,
    created BIGINT NOT NULL,
    latest BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, secret, name)
);

CREATE TABLE oos_parameter_versions (
    account TEXT NOT NULL,
    secret BIGINT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    value TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, secret, name, version)
);
