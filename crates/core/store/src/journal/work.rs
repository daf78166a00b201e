//! The queue of activities, and the sessions that tie activities to one worker.

use std::time::Duration;

use duroxide::providers::{MAX_WORKER_TAGS, SessionFetchConfig, TagFilter, WorkItem};
use sqlx::{AnyConnection, Row};

use super::{Journal, Taken, Trouble, after, int, json, now, token};
use crate::{Dialect, StoreError};

/// What is due, held by nobody, and for a worker with this session ($2) and these tags ($3..$9).
const CANDIDATE: &str = "SELECT q.id, q.item, q.attempts, q.session FROM journal_work q \
     LEFT JOIN journal_sessions s ON s.session = q.session AND s.until > $1 \
     WHERE q.visible <= $1 AND q.until <= $1 \
     AND (q.session IS NULL OR ($2 <> '' AND (s.session IS NULL OR s.owner = $2))) \
     AND ((q.tag IS NULL AND $3 = 1) OR (q.tag IS NOT NULL AND $4 = 1) OR q.tag IN ($5, $6, $7, $8, $9)) \
     ORDER BY q.position LIMIT 1";

/// The same, passing by what another process is taking at this moment.
const CANDIDATE_POSTGRES: &str = "SELECT q.id, q.item, q.attempts, q.session FROM journal_work q \
     LEFT JOIN journal_sessions s ON s.session = q.session AND s.until > $1 \
     WHERE q.visible <= $1 AND q.until <= $1 \
     AND (q.session IS NULL OR ($2 <> '' AND (s.session IS NULL OR s.owner = $2))) \
     AND ((q.tag IS NULL AND $3 = 1) OR (q.tag IS NOT NULL AND $4 = 1) OR q.tag IN ($5, $6, $7, $8, $9)) \
     ORDER BY q.position LIMIT 1 FOR UPDATE OF q SKIP LOCKED";

const LOST: &str = "the activity was cancelled, or its lock ran out";

impl Journal {
    pub(super) async fn enqueue_work(&self, item: &WorkItem) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        self.put_work(&mut writer, item).await?;
        writer.commit().await?;
        self.work.notify_waiters();
        Ok(())
    }

    pub(super) async fn put_work(
        &self,
        connection: &mut AnyConnection,
        item: &WorkItem,
    ) -> Result<(), Trouble> {
        let WorkItem::ActivityExecute { instance, execution_id, id, session_id, tag, .. } = item
        else {
            return Err(Trouble::refused("only activities are work"));
        };
        sqlx::query(
            "INSERT INTO journal_work (id, position, instance, execution, activity, session, tag, \
             item, visible, until, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0)",
        )
        .bind(token())
        .bind(self.next_position())
        .bind(instance.clone())
        .bind(int(*execution_id))
        .bind(int(*id))
        .bind(session_id.clone())
        .bind(tag.clone())
        .bind(json(item)?)
        .bind(now())
        .execute(connection)
        .await?;
        Ok(())
    }

    pub(super) async fn take_work(
        &self,
        hold: Duration,
        session: Option<&SessionFetchConfig>,
        filter: &TagFilter,
    ) -> Result<Taken<WorkItem>, Trouble> {
        // A look that writes nothing comes first: whoever only waits must not be in writers' way.
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM journal_work WHERE visible <= $1 AND until <= $1 LIMIT 1",
        )
        .bind(now())
        .fetch_optional(self.database.pool())
        .await?;
        if due.is_none() || matches!(filter, TagFilter::None) {
            return Ok(None);
        }
        let (now, held) = (now(), self.held());
        let mut writer = self.database.begin().await?;
        let statement = match self.database.dialect() {
            Dialect::Sqlite => CANDIDATE,
            Dialect::Postgres => CANDIDATE_POSTGRES,
        };
        let owner = session.map_or("", |session| session.owner_id.as_str());
        let (untagged, any, tags) = tags(filter)?;
        let mut query = sqlx::query(statement).bind(now).bind(owner.to_owned());
        query = query.bind(i64::from(untagged)).bind(i64::from(any));
        for tag in tags {
            query = query.bind(tag);
        }
        let Some(row) = query.fetch_optional(&mut *writer).await? else { return Ok(None) };
        let (id, item): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let attempts: i64 = row.try_get(2)?;
        if let (Some(name), Some(session)) = (row.try_get::<Option<String>, _>(3)?, session)
            && !claim_session(&mut writer, &name, session, now).await?
        {
            return Ok(None);
        }
        let item = serde_json::from_str(&item).map_err(|error| StoreError::Corrupt {
            what: format!("journal_work, id {id}"),
            why: error.to_string(),
        })?;
        sqlx::query("UPDATE journal_work SET token = $1, until = $2, attempts = $3 WHERE id = $4")
            .bind(held.clone())
            .bind(after(hold))
            .bind(attempts.saturating_add(1))
            .bind(id)
            .execute(&mut *writer)
            .await?;
        writer.commit().await?;
        let attempts = u32::try_from(attempts.saturating_add(1)).unwrap_or(u32::MAX);
        Ok(Some((item, held, attempts)))
    }

    pub(super) async fn finish_work(
        &self,
        held: &str,
        completion: Option<&WorkItem>,
    ) -> Result<(), Trouble> {
        if let Some(item) = completion
            && !matches!(item, WorkItem::ActivityCompleted { .. } | WorkItem::ActivityFailed { .. })
        {
            return Err(Trouble::refused("an activity ends by a completion or a failure"));
        }
        let mut writer = self.database.begin().await?;
        touch_session(&mut writer, held).await?;
        let done = sqlx::query("DELETE FROM journal_work WHERE token = $1 AND until > $2")
            .bind(held.to_owned())
            .bind(now())
            .execute(&mut *writer)
            .await?;
        if done.rows_affected() == 0 {
            return Err(Trouble::refused(LOST));
        }
        if let Some(item) = completion {
            self.put_message(&mut writer, item, now()).await?;
        }
        writer.commit().await?;
        self.turns.notify_waiters();
        // The next activity of the same session may have been waiting for this one.
        self.work.notify_waiters();
        Ok(())
    }

    pub(super) async fn renew_work(&self, held: &str, hold: Duration) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        let renewed =
            sqlx::query("UPDATE journal_work SET until = $1 WHERE token = $2 AND until > $3")
                .bind(after(hold))
                .bind(held.to_owned())
                .bind(now())
                .execute(&mut *writer)
                .await?;
        if renewed.rows_affected() == 0 {
            return Err(Trouble::refused(LOST));
        }
        touch_session(&mut writer, held).await?;
        Ok(writer.commit().await?)
    }

    pub(super) async fn abandon_work(
        &self,
        held: &str,
        delay: Option<Duration>,
        uncounted: bool,
    ) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        let given_back = sqlx::query(
            "UPDATE journal_work SET token = NULL, until = 0, visible = $1, \
             attempts = CASE WHEN attempts > $2 THEN attempts - $2 ELSE 0 END WHERE token = $3",
        )
        .bind(after(delay.unwrap_or_default()))
        .bind(i64::from(uncounted))
        .bind(held.to_owned())
        .execute(&mut *writer)
        .await?;
        if given_back.rows_affected() == 0 {
            return Err(Trouble::refused(LOST));
        }
        writer.commit().await?;
        self.work.notify_waiters();
        Ok(())
    }

    pub(super) async fn renew_sessions(
        &self,
        owners: &[&str],
        hold: Duration,
        idle: Duration,
    ) -> Result<usize, Trouble> {
        let now = now();
        let idle = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        let mut writer = self.database.begin().await?;
        let mut renewed = 0_u64;
        for owner in owners {
            let done = sqlx::query(
                "UPDATE journal_sessions SET until = $1 WHERE owner = $2 AND until > $3 AND active > $4",
            )
            .bind(after(hold))
            .bind((*owner).to_owned())
            .bind(now)
            .bind(now.saturating_sub(idle))
            .execute(&mut *writer)
            .await?;
            renewed = renewed.saturating_add(done.rows_affected());
        }
        writer.commit().await?;
        Ok(usize::try_from(renewed).unwrap_or(usize::MAX))
    }

    pub(super) async fn forget_sessions(&self) -> Result<usize, Trouble> {
        let mut writer = self.database.begin().await?;
        let gone = sqlx::query(
            "DELETE FROM journal_sessions WHERE until < $1 AND NOT EXISTS \
             (SELECT 1 FROM journal_work w WHERE w.session = journal_sessions.session)",
        )
        .bind(now())
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        Ok(usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// Whether untagged work fits, whether any tagged work does, and else the tags that do.
type Tags = (bool, bool, [Option<String>; MAX_WORKER_TAGS]);

fn tags(filter: &TagFilter) -> Result<Tags, Trouble> {
    let mut fits = [const { None }; MAX_WORKER_TAGS];
    let (untagged, any, set) = match filter {
        TagFilter::DefaultOnly => (true, false, None),
        TagFilter::Any => (true, true, None),
        TagFilter::None => (false, false, None),
        TagFilter::Tags(set) => (false, false, Some(set)),
        TagFilter::DefaultAnd(set) => (true, false, Some(set)),
    };
    if set.is_some_and(|set| set.len() > MAX_WORKER_TAGS) {
        return Err(Trouble::refused(format!("a worker has at most {MAX_WORKER_TAGS} tags")));
    }
    for (slot, tag) in fits.iter_mut().zip(set.into_iter().flatten()) {
        *slot = Some(tag.clone());
    }
    Ok((untagged, any, fits))
}

/// Make `session` the worker's, unless it is another one's.
async fn claim_session(
    connection: &mut AnyConnection,
    name: &str,
    session: &SessionFetchConfig,
    now: i64,
) -> Result<bool, Trouble> {
    let claimed = sqlx::query(
        "INSERT INTO journal_sessions (session, owner, until, active) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (session) DO UPDATE SET owner = excluded.owner, until = excluded.until, \
         active = excluded.active \
         WHERE journal_sessions.until <= excluded.active OR journal_sessions.owner = excluded.owner",
    )
    .bind(name.to_owned())
    .bind(session.owner_id.clone())
    .bind(after(session.lock_timeout))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() > 0)
}

/// The session of held work, if it has one, was active just now.
async fn touch_session(connection: &mut AnyConnection, held: &str) -> Result<(), Trouble> {
    sqlx::query(
        "UPDATE journal_sessions SET active = $1 WHERE until > $1 AND session IN \
         (SELECT w.session FROM journal_work w WHERE w.token = $2)",
    )
    .bind(now())
    .bind(held.to_owned())
    .execute(connection)
    .await?;
    Ok(())
}
