-- The resource that an item of a loop is, by its identifier; empty for all other tasks.
ALTER TABLE oos_tasks ADD COLUMN resource TEXT NOT NULL DEFAULT '';
CREATE INDEX oos_tasks_resources ON oos_tasks (execution, status) WHERE resource > '';
