//! Driving one run in this process: store what changed, do what is to be done, take in what came.
//!
//! A step is stored before its calls are made, so what a killed process was about is known to the
//! next one. Who may drive a run is settled by a lease: a driver that lost it finds that nothing it
//! stores is taken any more, and stops.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kiln_oos::run::{Command, Event, Run};
use kiln_store::{Batch, LogRow};
use tokio::sync::Notify;

use super::caller::Later;
use super::rows;
use super::service::{Inbox, Inner};
use super::{Failure, Result};

/// How long a lease is taken for; it is held for longer three times in that time.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// A run that has nothing to do for longer than this is let go of, where somebody else keeps time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls of one run that are under way at a time.
const MAX_CALLS: usize = 256;

/// How a driver stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drive {
    /// The run is over.
    Over,
    /// Nothing happens before this time, unless somebody decides something.
    Until(Timestamp),
    /// Nothing happens until somebody decides something.
    Waits,
    /// Somebody else drives it.
    Elsewhere,
}

/// Who wants to see what happens.
pub trait Watch: Send + Sync {
    /// Something was stored: `run` as it is now, and the identifiers of what changed.
    fn changed(&self, run: &Run, executions: &[String], tasks: &[String]);
}

/// What drives one run.
pub(super) struct Driver<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) run: Run,
    pub(super) lease: String,
    pub(super) watch: Option<Arc<dyn Watch>>,
    /// Whether to wait for times that are far away, or to leave that to whoever asked.
    pub(super) stays: bool,
}

type Calls<'a> = FuturesUnordered<Later<'a, Event>>;

impl Driver<'_> {
    /// Drive until the run is over, or nothing is to be done for a while.
    pub(super) async fn drive(mut self, first: Event, bell: &Notify) -> Result<Drive> {
        let inner = Arc::clone(self.inner);
        let mut calls: Calls<'_> = FuturesUnordered::new();
        let mut waiting: std::collections::VecDeque<Command> = std::collections::VecDeque::new();
        let mut events = vec![first];
        let mut looks = true;
        loop {
            let mut inbox = Vec::new();
            if events.is_empty() {
                events.push(Event::Time);
            }
            for event in events.drain(..) {
                waiting.extend(self.run.advance(inner.clock.now(), event));
            }
            if std::mem::take(&mut looks) {
                for (id, item) in self.new_items().await? {
                    inbox.push(id);
                    waiting.extend(self.run.advance(inner.clock.now(), item.event()));
                }
            }
            if !self.store(inbox).await? {
                return Ok(Drive::Elsewhere);
            }
            if self.run.is_over() {
                return Ok(Drive::Over);
            }
            while calls.len() < MAX_CALLS
                && let Some(command) = waiting.pop_front()
            {
                calls.push(perform(Arc::clone(&inner), command, self.account()));
            }
            if calls.is_empty()
                && let Some(stop) = self.rest().await?
            {
                return Ok(stop);
            }
            let next = self.run.next_time();
            let wait = next.map(|at| inner.clock.until(at));
            tokio::select! {
                Some(event) = calls.next() => {
                    events.push(event);
                    // What came at the same time is stored together.
                    while let Some(Some(event)) = futures::FutureExt::now_or_never(calls.next()) {
                        events.push(event);
                    }
                }
                () = sleep(wait), if wait.is_some_and(|wait| !(inner.clock.jumps() && wait.is_zero() && !calls.is_empty())) => {
                    if let Some(at) = next {
                        inner.clock.set(at);
                    }
                }
                () = bell.notified() => looks = true,
            }
        }
    }

    fn account(&self) -> String {
        self.run.root().context.account.clone()
    }

    /// Nothing is under way: whether to stop here and leave the waiting to somebody else.
    async fn rest(&self) -> Result<Option<Drive>> {
        if self.stays || !self.new_items().await?.is_empty() {
            return Ok(None);
        }
        match self.run.next_time() {
            Some(at) if self.inner.clock.until(at) > PATIENCE => Ok(Some(Drive::Until(at))),
            Some(_) => Ok(None),
            None => Ok(Some(Drive::Waits)),
        }
    }

    async fn new_items(&self) -> Result<Vec<(i64, Inbox)>> {
        let mut items = Vec::new();
        for (id, text) in self.inner.records.inbox(&self.run.root().id).await? {
            match serde_json::from_str(&text) {
                Ok(item) => items.push((id, item)),
                Err(error) => return Err(Failure::Records(format!("the inbox: {error}"))),
            }
        }
        Ok(items)
    }

    /// Store what changed. False where the lease is lost.
    async fn store(&mut self, inbox_done: Vec<i64>) -> Result<bool> {
        let changes = self.run.take_changes();
        let is_last = self.run.is_over();
        if changes.is_empty() && inbox_done.is_empty() && !is_last {
            return Ok(true);
        }
        let batch = Batch { is_last, ..batch(&self.run, &self.lease, &changes, inbox_done)? };
        if !self.inner.committer.commit(batch).await? {
            return Ok(false);
        }
        if let Some(watch) = &self.watch {
            watch.changed(&self.run, &changes.executions, &changes.tasks);
        }
        Ok(true)
    }
}

/// The rows of what changed.
pub(super) fn batch(
    run: &Run,
    lease: &str,
    changes: &kiln_oos::run::Changes,
    inbox_done: Vec<i64>,
) -> Result<Batch> {
    let root = run.root().id.clone();
    let executions = changes.executions.iter().filter_map(|id| run.execution(id));
    let tasks = changes.tasks.iter().filter_map(|id| run.task_run(id));
    let templates = changes.templates.iter().filter_map(|digest| run.template(digest));
    Ok(Batch {
        executions: executions.map(|own| rows::execution(run, own)).collect::<Result<_>>()?,
        tasks: tasks.map(|own| rows::task(run, own)).collect::<Result<_>>()?,
        logs: changes
            .logs
            .iter()
            .map(|entry| LogRow {
                execution: entry.execution.clone(),
                root: root.clone(),
                task: entry.task.clone().unwrap_or_default(),
                at: rows::nanoseconds(entry.at),
                message: entry.message.clone(),
            })
            .collect(),
        templates: templates.map(|loaded| (loaded.digest.clone(), loaded.text.clone())).collect(),
        lease: lease.to_owned(),
        inbox_done,
        is_last: false,
        root,
    })
}

async fn sleep(wait: Option<Duration>) {
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
}

fn perform(inner: Arc<Inner>, command: Command, account: String) -> Later<'static, Event> {
    Box::pin(async move {
        match command {
            Command::Call { task, serial, request } => {
                let result = inner.caller.call(&request, inner.clock.now()).await;
                Event::Called { task, serial, result }
            }
            Command::Http { task, serial, request } => {
                let result = inner.caller.http(&request).await;
                Event::Answered { task, serial, result }
            }
            Command::Find { task, serial, name, version } => {
                let result = inner.library.template(&account, &name, version.as_deref()).await;
                Event::Found { task, serial, result }
            }
            Command::Read { task, serial, name, secret } => {
                let result = inner.library.parameter(&account, &name, secret).await;
                Event::Read { task, serial, result }
            }
        }
    })
}

/// Take the lease of a run for `owner`.
pub(super) async fn take_lease(inner: &Inner, root: &str) -> Result<Option<String>> {
    Ok(inner.records.take_lease(root, &inner.owner, LEASE).await?)
}
