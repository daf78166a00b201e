//! Looking at orchestrations from outside, and forgetting those that are over.

use std::collections::BTreeSet;

use duroxide::Event;
use duroxide::providers::{
    DeleteInstanceResult, ExecutionInfo, InstanceFilter, InstanceInfo, ProviderAdmin, PruneOptions,
    PruneResult, QueueDepths, SystemMetrics,
};
use sqlx::{AnyConnection, Row};

use super::{Answer, During, Journal, Trouble, int, uint};

/// How many orchestrations one call deletes or prunes, if it names no number.
const BULK: u32 = 1000;

/// Every table with rows of an orchestration, apart from its events, executions and queues.
const OTHER_TABLES: [&str; 4] = [
    "DELETE FROM journal_locks WHERE instance = $1",
    "DELETE FROM journal_values WHERE instance = $1",
    "DELETE FROM journal_changes WHERE instance = $1",
    "DELETE FROM journal_instances WHERE instance = $1",
];

impl Journal {
    async fn count(&self, statement: &'static str) -> Result<u64, Trouble> {
        let count: i64 = sqlx::query_scalar(statement).fetch_one(self.database.pool()).await?;
        Ok(uint(count))
    }

    async fn names(&self, statement: &'static str, value: &str) -> Result<Vec<String>, Trouble> {
        let query = sqlx::query_scalar(statement).bind(value.to_owned());
        Ok(query.fetch_all(self.database.pool()).await?)
    }

    async fn info(&self, instance: &str) -> Result<InstanceInfo, Trouble> {
        let row = sqlx::query(
            "SELECT i.name, i.version, i.execution, i.created, i.updated, i.parent, e.status, e.output \
             FROM journal_instances i LEFT JOIN journal_executions e \
             ON e.instance = i.instance AND e.execution = i.execution WHERE i.instance = $1",
        )
        .bind(instance.to_owned())
        .fetch_optional(self.database.pool())
        .await?
        .ok_or_else(|| absent(instance))?;
        Ok(InstanceInfo {
            instance_id: instance.to_owned(),
            orchestration_name: row.try_get(0)?,
            orchestration_version: row.try_get::<Option<String>, _>(1)?.unwrap_or("unknown".into()),
            current_execution_id: uint(row.try_get(2)?),
            created_at: uint(row.try_get(3)?),
            updated_at: uint(row.try_get(4)?),
            parent_instance_id: row.try_get(5)?,
            status: row.try_get::<Option<String>, _>(6)?.unwrap_or("Unknown".into()),
            output: row.try_get(7)?,
        })
    }

    async fn execution_info(
        &self,
        instance: &str,
        execution: u64,
    ) -> Result<ExecutionInfo, Trouble> {
        let row = sqlx::query(
            "SELECT status, output, started, completed, (SELECT COUNT(*) FROM journal_events v \
             WHERE v.instance = e.instance AND v.execution = e.execution) \
             FROM journal_executions e WHERE e.instance = $1 AND e.execution = $2",
        )
        .bind(instance.to_owned())
        .bind(int(execution))
        .fetch_optional(self.database.pool())
        .await?
        .ok_or_else(|| Trouble::refused(format!("{instance} has no execution {execution}")))?;
        Ok(ExecutionInfo {
            execution_id: execution,
            status: row.try_get(0)?,
            output: row.try_get(1)?,
            started_at: uint(row.try_get(2)?),
            completed_at: row.try_get::<Option<i64>, _>(3)?.map(uint),
            event_count: usize::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0),
        })
    }

    async fn metrics(&self) -> Result<SystemMetrics, Trouble> {
        let mut metrics = SystemMetrics {
            total_instances: self.count("SELECT COUNT(*) FROM journal_instances").await?,
            total_executions: self.count("SELECT COUNT(*) FROM journal_executions").await?,
            total_events: self.count("SELECT COUNT(*) FROM journal_events").await?,
            ..SystemMetrics::default()
        };
        let rows = sqlx::query(
            "SELECT e.status, COUNT(*) FROM journal_instances i JOIN journal_executions e \
             ON e.instance = i.instance AND e.execution = i.execution GROUP BY e.status",
        )
        .fetch_all(self.database.pool())
        .await?;
        for row in rows {
            let count = uint(row.try_get(1)?);
            match row.try_get::<String, _>(0)?.as_str() {
                "Running" => metrics.running_instances = count,
                "Completed" => metrics.completed_instances = count,
                "Failed" => metrics.failed_instances = count,
                _ => {}
            }
        }
        Ok(metrics)
    }

    async fn depths(&self) -> Result<QueueDepths, Trouble> {
        let messages =
            self.count("SELECT COUNT(*) FROM journal_messages WHERE token IS NULL").await?;
        let work = self.count("SELECT COUNT(*) FROM journal_work WHERE token IS NULL").await?;
        Ok(QueueDepths {
            orchestrator_queue: usize::try_from(messages).unwrap_or(usize::MAX),
            worker_queue: usize::try_from(work).unwrap_or(usize::MAX),
            timer_queue: 0,
        })
    }

    async fn parent(&self, instance: &str) -> Result<Option<String>, Trouble> {
        let row = sqlx::query("SELECT parent FROM journal_instances WHERE instance = $1")
            .bind(instance.to_owned())
            .fetch_optional(self.database.pool())
            .await?
            .ok_or_else(|| absent(instance))?;
        Ok(row.try_get(0)?)
    }

    async fn delete(&self, ids: &[String], force: bool) -> Result<DeleteInstanceResult, Trouble> {
        let set: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let mut writer = self.database.begin().await?;
        let mut result = DeleteInstanceResult::default();
        for id in ids {
            check_deletable(&mut writer, id, &set, force).await?;
        }
        for id in ids {
            delete_one(&mut writer, id, &mut result).await?;
        }
        writer.commit().await?;
        Ok(result)
    }

    /// Orchestrations that `filter` names, oldest first: with `over`, only those without a parent
    /// that are over.
    async fn selected(&self, filter: &InstanceFilter, over: bool) -> Result<Vec<String>, Trouble> {
        let rows = sqlx::query(
            "SELECT i.instance FROM journal_instances i LEFT JOIN journal_executions e \
             ON e.instance = i.instance AND e.execution = i.execution \
             WHERE ($1 = 0 OR (i.parent IS NULL AND e.status IN ('Completed', 'Failed', 'ContinuedAsNew'))) \
             AND ($2 = 0 OR e.completed < $3) ORDER BY i.created, i.instance",
        )
        .bind(i64::from(over))
        .bind(i64::from(filter.completed_before.is_some()))
        .bind(int(filter.completed_before.unwrap_or(0)))
        .fetch_all(self.database.pool())
        .await?;
        let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        let asked_for: Option<BTreeSet<&String>> =
            filter.instance_ids.as_ref().map(|ids| ids.iter().collect());
        let limit = usize::try_from(filter.limit.unwrap_or(BULK)).unwrap_or(usize::MAX);
        let named =
            names.into_iter().filter(|id| asked_for.as_ref().is_none_or(|ids| ids.contains(id)));
        Ok(named.take(limit).collect())
    }

    async fn prune(&self, instance: &str, options: &PruneOptions) -> Result<PruneResult, Trouble> {
        let current = self.info(instance).await?.current_execution_id;
        let mut writer = self.database.begin().await?;
        let rows = sqlx::query(
            "SELECT execution, status, completed FROM journal_executions WHERE instance = $1 \
             ORDER BY execution DESC",
        )
        .bind(instance.to_owned())
        .fetch_all(&mut *writer)
        .await?;
        let mut result = PruneResult { instances_processed: 1, ..PruneResult::default() };
        let keep = usize::try_from(options.keep_last.unwrap_or(0)).unwrap_or(usize::MAX);
        for row in rows.iter().skip(keep) {
            let execution: i64 = row.try_get(0)?;
            let completed: Option<i64> = row.try_get(2)?;
            let old = options
                .completed_before
                .is_none_or(|before| completed.is_some_and(|completed| completed < int(before)));
            let running = row.try_get::<String, _>(1)? == "Running";
            if old && !running && execution != int(current) {
                prune_one(&mut writer, instance, execution, &mut result).await?;
            }
        }
        writer.commit().await?;
        Ok(result)
    }
}

fn absent(instance: &str) -> Trouble {
    Trouble::refused(format!("orchestration {instance} not found"))
}

/// A running orchestration is deleted by force only, and none without its children.
async fn check_deletable(
    connection: &mut AnyConnection,
    id: &str,
    with: &BTreeSet<&str>,
    force: bool,
) -> Result<(), Trouble> {
    let status: Option<String> = sqlx::query_scalar(
        "SELECT e.status FROM journal_instances i JOIN journal_executions e \
         ON e.instance = i.instance AND e.execution = i.execution WHERE i.instance = $1",
    )
    .bind(id.to_owned())
    .fetch_optional(&mut *connection)
    .await?;
    if !force && status.as_deref() == Some("Running") {
        return Err(Trouble::refused(format!(
            "{id} is still running: cancel it first, or use force"
        )));
    }
    let children: Vec<String> =
        sqlx::query_scalar("SELECT instance FROM journal_instances WHERE parent = $1")
            .bind(id.to_owned())
            .fetch_all(connection)
            .await?;
    match children.iter().find(|child| !with.contains(child.as_str())) {
        Some(child) => Err(Trouble::refused(format!("{id} has a child {child}, which is to stay"))),
        None => Ok(()),
    }
}

async fn delete_one(
    connection: &mut AnyConnection,
    id: &str,
    result: &mut DeleteInstanceResult,
) -> Result<(), Trouble> {
    for (statement, count) in [
        ("DELETE FROM journal_events WHERE instance = $1", &mut result.events_deleted),
        ("DELETE FROM journal_executions WHERE instance = $1", &mut result.executions_deleted),
    ] {
        let done = sqlx::query(statement).bind(id.to_owned()).execute(&mut *connection).await?;
        *count = count.saturating_add(done.rows_affected());
    }
    for statement in [
        "DELETE FROM journal_messages WHERE instance = $1",
        "DELETE FROM journal_work WHERE instance = $1",
    ] {
        let done = sqlx::query(statement).bind(id.to_owned()).execute(&mut *connection).await?;
        result.queue_messages_deleted =
            result.queue_messages_deleted.saturating_add(done.rows_affected());
    }
    for statement in OTHER_TABLES {
        sqlx::query(statement).bind(id.to_owned()).execute(&mut *connection).await?;
    }
    result.instances_deleted = result.instances_deleted.saturating_add(1);
    Ok(())
}

async fn prune_one(
    connection: &mut AnyConnection,
    instance: &str,
    execution: i64,
    result: &mut PruneResult,
) -> Result<(), Trouble> {
    for (statement, count) in [
        (
            "DELETE FROM journal_events WHERE instance = $1 AND execution = $2",
            &mut result.events_deleted,
        ),
        (
            "DELETE FROM journal_executions WHERE instance = $1 AND execution = $2",
            &mut result.executions_deleted,
        ),
    ] {
        let done = sqlx::query(statement)
            .bind(instance.to_owned())
            .bind(execution)
            .execute(&mut *connection)
            .await?;
        *count = count.saturating_add(done.rows_affected());
    }
    Ok(())
}

#[async_trait::async_trait]
impl ProviderAdmin for Journal {
    async fn list_instances(&self) -> Answer<Vec<String>> {
        let all =
            "SELECT instance FROM journal_instances WHERE instance <> $1 ORDER BY created DESC";
        self.names(all, "").await.during("list_instances")
    }

    async fn list_instances_by_status(&self, status: &str) -> Answer<Vec<String>> {
        let with_status = "SELECT i.instance FROM journal_instances i JOIN journal_executions e \
             ON e.instance = i.instance AND e.execution = i.execution WHERE e.status = $1 \
             ORDER BY i.created DESC";
        self.names(with_status, status).await.during("list_instances_by_status")
    }

    async fn list_executions(&self, instance: &str) -> Answer<Vec<u64>> {
        let query = sqlx::query_scalar::<_, i64>(
            "SELECT execution FROM journal_executions WHERE instance = $1 ORDER BY execution",
        );
        let rows = query.bind(instance.to_owned()).fetch_all(self.database.pool()).await;
        let rows = rows.map_err(Trouble::from).during("list_executions")?;
        Ok(rows.into_iter().map(uint).collect())
    }

    async fn read_history_with_execution_id(
        &self,
        instance: &str,
        execution_id: u64,
    ) -> Answer<Vec<Event>> {
        self.events(instance, execution_id).await.during("read_history_with_execution_id")
    }

    async fn read_history(&self, instance: &str) -> Answer<Vec<Event>> {
        self.latest_events(instance).await.during("read_history")
    }

    async fn latest_execution_id(&self, instance: &str) -> Answer<u64> {
        self.latest_execution(instance).await.during("latest_execution_id")
    }

    async fn get_instance_info(&self, instance: &str) -> Answer<InstanceInfo> {
        self.info(instance).await.during("get_instance_info")
    }

    async fn get_execution_info(&self, instance: &str, execution_id: u64) -> Answer<ExecutionInfo> {
        self.execution_info(instance, execution_id).await.during("get_execution_info")
    }

    async fn get_system_metrics(&self) -> Answer<SystemMetrics> {
        self.metrics().await.during("get_system_metrics")
    }

    async fn get_queue_depths(&self) -> Answer<QueueDepths> {
        self.depths().await.during("get_queue_depths")
    }

    async fn list_children(&self, instance_id: &str) -> Answer<Vec<String>> {
        let children = "SELECT instance FROM journal_instances WHERE parent = $1 ORDER BY created";
        self.names(children, instance_id).await.during("list_children")
    }

    async fn get_parent_id(&self, instance_id: &str) -> Answer<Option<String>> {
        self.parent(instance_id).await.during("get_parent_id")
    }

    async fn delete_instances_atomic(
        &self,
        ids: &[String],
        force: bool,
    ) -> Answer<DeleteInstanceResult> {
        self.delete(ids, force).await.during("delete_instances_atomic")
    }

    async fn delete_instance_bulk(&self, filter: InstanceFilter) -> Answer<DeleteInstanceResult> {
        let mut result = DeleteInstanceResult::default();
        for id in self.selected(&filter, true).await.during("delete_instance_bulk")? {
            let tree = self.get_instance_tree(&id).await?;
            let one = self.delete(&tree.all_ids, true).await.during("delete_instance_bulk")?;
            result.instances_deleted += one.instances_deleted;
            result.executions_deleted += one.executions_deleted;
            result.events_deleted += one.events_deleted;
            result.queue_messages_deleted += one.queue_messages_deleted;
        }
        Ok(result)
    }

    async fn prune_executions(
        &self,
        instance_id: &str,
        options: PruneOptions,
    ) -> Answer<PruneResult> {
        self.prune(instance_id, &options).await.during("prune_executions")
    }

    async fn prune_executions_bulk(
        &self,
        filter: InstanceFilter,
        options: PruneOptions,
    ) -> Answer<PruneResult> {
        let mut result = PruneResult::default();
        for id in self.selected(&filter, false).await.during("prune_executions_bulk")? {
            let one = self.prune(&id, &options).await.during("prune_executions_bulk")?;
            result.instances_processed += one.instances_processed;
            result.executions_deleted += one.executions_deleted;
            result.events_deleted += one.events_deleted;
        }
        Ok(result)
    }
}
